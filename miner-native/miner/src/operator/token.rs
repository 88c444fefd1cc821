//! Who may give orders: whoever has a token of the data folder's `operator.token`, which its owner alone can read.
//!
//! Made when a daemon starts for the first time; commands find it by their home. The web listener reads it for every request
//! ([`crate::web`]), so that a new one holds at once. Tokens differ in what they are for ([`Scope`]), so that one may be given to
//! a program that only watches.

use crate::data_dir::write_whole;
use rand::RngCore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::chain::keys::blake2b256;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// Bytes of a token: as hard to guess as a key.
const LENGTH: usize = 32;
/// Longest file that is read: three tokens and their names.
const MAX_FILE: u64 = 1024;

/// What a token is for; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// See everything that the operator sees.
    Read,
    /// Also give orders: take deals or none, seal, try again, redeem, store a piece.
    Operate,
    /// Also change settings.
    Admin,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Read, Self::Operate, Self::Admin];
        let found = all.into_iter().find(|scope| scope.to_string() == text);
        found.ok_or("a scope is read, operate or admin")
    }
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{} is not there: a daemon makes it when it starts; run the command as the user who runs the daemon, and name its folder with --home DIR", path.display())]
    Missing { path: PathBuf },
    #[error("{} cannot be read ({source}): only the user who runs the daemon may give it orders; run the command as that user", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} cannot be written: {source}; check the folder's owner, its permissions and the free space", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("{} holds no tokens: make new ones with `sealdrop token rotate`", path.display())]
    Malformed { path: PathBuf },
}

/// The tokens of one daemon, as hexadecimal text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    read: String,
    operate: String,
    admin: String,
}

/// A secret is not printed.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Reads those of a file.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let path = path.to_owned();
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(TokenError::Missing { path }),
            Err(source) => return Err(TokenError::Unreadable { path, source }),
        };
        if size > MAX_FILE {
            return Err(TokenError::Malformed { path });
        }
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed { path }),
            Err(source) => Err(TokenError::Unreadable { path, source }),
        }
    }

    /// Makes new ones, which hold from now on; the old ones do not.
    pub fn rotate(path: &Path) -> Result<Self, TokenError> {
        let tokens = Self {
            read: random(),
            operate: random(),
            admin: random(),
        };
        let bytes = serde_json::to_vec_pretty(&tokens).expect("a struct of texts is JSON");
        let written = write_whole(path, &bytes, 0o600);
        written.map_err(|source| TokenError::Unwritable {
            path: path.to_owned(),
            source,
        })?;
        Ok(tokens)
    }

    /// Those of a file, which is made when it is not there; for the daemon, before it listens.
    pub fn ensure(path: &Path) -> Result<Self, TokenError> {
        match Self::read(path) {
            Err(TokenError::Missing { .. }) => Self::rotate(path),
            other => other,
        }
    }

    /// The token of a scope.
    pub fn of(&self, scope: Scope) -> &str {
        match scope {
            Scope::Read => &self.read,
            Scope::Operate => &self.operate,
            Scope::Admin => &self.admin,
        }
    }

    /// What a presented token may do; `None` for one that is none of these. Takes as long whatever is presented: digests are
    /// compared, all of them, to the last byte.
    pub fn scope_of(&self, presented: &str) -> Option<Scope> {
        let presented = blake2b256(presented.as_bytes());
        let mut found = None;
        for scope in [Scope::Read, Scope::Operate, Scope::Admin] {
            if bool::from(presented.ct_eq(&blake2b256(self.of(scope).as_bytes()))) {
                found = Some(scope);
            }
        }
        found
    }
}

fn random() -> String {
    let mut bytes = [0; LENGTH];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_made_once_and_say_what_they_are_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.token");
        assert!(matches!(Tokens::read(&path), Err(TokenError::Missing { .. })));
        let tokens = Tokens::ensure(&path).unwrap();
        assert_eq!(Tokens::ensure(&path).unwrap(), tokens);
        for scope in [Scope::Read, Scope::Operate, Scope::Admin] {
            assert_eq!(tokens.scope_of(tokens.of(scope)), Some(scope));
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for wrong in [
            "",
            "1",
            &tokens.admin[1..],
            &format!("{}0", tokens.admin),
            &tokens.admin.to_uppercase(),
        ] {
            assert_eq!(tokens.scope_of(wrong), None, "{wrong}");
        }
        assert!(!format!("{tokens:?}").contains(tokens.of(Scope::Read)));
    }

    #[test]
    fn new_tokens_end_the_old_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.token");
        let old = Tokens::ensure(&path).unwrap();
        Tokens::rotate(&path).unwrap();
        let new = Tokens::read(&path).unwrap();
        assert_eq!(new.scope_of(old.of(Scope::Admin)), None);
        fs::write(&path, "{}").unwrap();
        assert!(matches!(Tokens::read(&path), Err(TokenError::Malformed { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn tokens_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.token");
        Tokens::ensure(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
