//! The host's key: it decides the peer id, which the miner's actor names on the chain, so it must stay the same.

use crate::data_dir::write_whole;
use libp2p::identity::Keypair;
use std::io;
use std::path::{Path, PathBuf};

/// Longest key file that is read.
const MAX_KEY: u64 = 1024;

/// Why there is no host key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("could not {action} {}: {source}; check the folder's permissions", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not a host key ({reason}); restore it from a backup, or move it away to get a new peer id", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// The key in a file; drawn and written there, for its owner's eyes only, when there is none.
pub fn load_or_create(path: &Path) -> Result<Keypair, IdentityError> {
    let file = |action| {
        move |source| IdentityError::File {
            action,
            path: path.to_owned(),
            source,
        }
    };
    let damaged = |reason: String| IdentityError::Damaged {
        path: path.to_owned(),
        reason,
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_KEY => Err(damaged("it is too long".into())),
        Ok(_) => {
            let bytes = std::fs::read(path).map_err(file("read"))?;
            Keypair::from_protobuf_encoding(&bytes).map_err(|e| damaged(e.to_string()))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let key = Keypair::generate_ed25519();
            let bytes = key.to_protobuf_encoding().map_err(|e| damaged(e.to_string()))?;
            write_whole(path, &bytes, 0o600).map_err(file("write"))?;
            Ok(key)
        }
        Err(e) => Err(file("read")(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_key_is_made_once_and_read_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.key");
        let key = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap().public(), key.public());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "no key").unwrap();
        assert!(matches!(load_or_create(&path), Err(IdentityError::Damaged { .. })));
    }
}
