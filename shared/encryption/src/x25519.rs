//! X25519 recipients and identities: their text, and how they wrap a file key. Called by [`crate::keys`].

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use data_encoding::BASE64_NOPAD;
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::error::{DecryptError, EncryptError, KeyError};
use crate::header::{base64, Stanza};
use crate::random::random;
use crate::secret::{derive, FileKey};
use crate::wrap::{unwrap_key, wrap_key, WRAPPED_BYTES};

/// The stanza's kind.
pub(crate) const KIND: &str = "X25519";
const INFO: &[u8] = b"age-encryption.org/v1/X25519";
const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";
/// What [`Identity::read_all`] takes: more than a person has.
pub const MAX_IDENTITIES: usize = 64;

/// Whom a file is encrypted to: `age1…`, which may be known to everybody.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipient(PublicKey);

/// What opens a file: `AGE-SECRET-KEY-1…`. Whoever has it reads everything that was encrypted to its recipient, and without it
/// nobody does. Wiped when it is dropped; it cannot be printed but by [`Identity::to_secret_text`].
#[derive(Clone)]
pub struct Identity(StaticSecret);

impl Identity {
    pub fn generate() -> Result<Self, EncryptError> {
        random().map(|secret| Self(StaticSecret::from(*secret)))
    }

    /// The identity of 32 secret bytes, which the caller has derived.
    pub fn from_secret(secret: &Zeroizing<[u8; 32]>) -> Self {
        Self(StaticSecret::from(**secret))
    }

    pub fn recipient(&self) -> Recipient {
        Recipient(PublicKey::from(&self.0))
    }

    /// The text for safekeeping, as `age-keygen` writes it.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let text = bech32::encode_upper::<Bech32>(Hrp::parse_unchecked(IDENTITY), self.0.as_bytes());
        Zeroizing::new(text.expect("32 bytes are within Bech32's length"))
    }

    /// The identities of a file as `age-keygen` writes it: one in each line, beside empty ones and comments behind `#`.
    pub fn read_all(text: &str) -> Result<Vec<Self>, KeyError> {
        let mut identities = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if identities.len() == MAX_IDENTITIES {
                return Err(KeyError::TooManyIdentities(MAX_IDENTITIES));
            }
            let identity = text.parse().map_err(|error| KeyError::Line {
                line,
                error: Box::new(error),
            });
            identities.push(identity?);
        }
        match identities.is_empty() {
            true => Err(KeyError::NoIdentities),
            false => Ok(identities),
        }
    }

    /// The file key, if the stanza is for this identity. A stanza that nobody could have written well fails the whole file.
    pub(crate) fn unwrap(&self, stanza: &Stanza) -> Result<Option<FileKey>, DecryptError> {
        let [_, share] = stanza.arguments.as_slice() else {
            return Err(DecryptError::Header("an X25519 recipient has not one argument"));
        };
        let share = base64(share.as_bytes()).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let share = PublicKey::from(share.ok_or(DecryptError::Header("an X25519 share is not 32 bytes"))?);
        let wrapped = stanza.body.as_slice().try_into();
        let wrapped: [u8; WRAPPED_BYTES] = wrapped.map_err(|_| DecryptError::Header("a file key is not 32 bytes"))?;
        let shared = self.0.diffie_hellman(&share);
        if !shared.was_contributory() {
            return Err(DecryptError::Header("an X25519 share is of low order"));
        }
        Ok(unwrap_key(
            &wrapping_key(&shared, &share, &self.recipient().0),
            &wrapped,
        ))
    }
}

impl Recipient {
    pub(crate) fn wrap(&self, key: &FileKey) -> Result<Stanza, EncryptError> {
        let ephemeral = StaticSecret::from(*random()?);
        let share = PublicKey::from(&ephemeral);
        let shared = ephemeral.diffie_hellman(&self.0);
        if !shared.was_contributory() {
            return Err(EncryptError::WeakRecipient);
        }
        Ok(Stanza {
            arguments: vec![KIND.to_owned(), BASE64_NOPAD.encode(share.as_bytes())],
            body: wrap_key(&wrapping_key(&shared, &share, &self.0), key),
        })
    }
}

fn wrapping_key(shared: &SharedSecret, share: &PublicKey, recipient: &PublicKey) -> Zeroizing<[u8; 32]> {
    let salt = [share.to_bytes(), recipient.to_bytes()].concat();
    derive(shared.as_bytes(), &salt, INFO)
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32, _>(f, Hrp::parse_unchecked(RECIPIENT), self.0.as_bytes())
            .map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if begins(text, "age-secret-key-") {
            return Err(KeyError::IdentityForRecipient);
        }
        refuse_others(text)?;
        let bytes = decode(text, RECIPIENT).map_err(KeyError::Recipient)?;
        let recipient = Self(PublicKey::from(*bytes));
        // There is one text of each: no capitals, no bits left over.
        match recipient.to_string() == text {
            true => Ok(recipient),
            false => Err(KeyError::Recipient("it is written in another way than small letters")),
        }
    }
}

impl FromStr for Identity {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        refuse_others(text)?;
        if begins(text, "age1") {
            return Err(KeyError::RecipientForIdentity);
        }
        let bytes = decode(text, IDENTITY).map_err(KeyError::Identity)?;
        let identity = Self(StaticSecret::from(*bytes));
        match *identity.to_secret_text() == text {
            true => Ok(identity),
            false => Err(KeyError::Identity("it is written in another way than capital letters")),
        }
    }
}

/// Keys of other kinds that age knows, by their right name.
fn refuse_others(text: &str) -> Result<(), KeyError> {
    match () {
        () if begins(text, "age1pq1") || begins(text, "age-secret-key-pq-") => {
            Err(KeyError::OtherKind("age's post-quantum keys"))
        }
        () if begins(text, "age-plugin-") => Err(KeyError::OtherKind("keys of age's plugins")),
        () if begins(text, "age1") && text.get(4..).is_some_and(|rest| rest.contains('1')) => {
            Err(KeyError::OtherKind("keys of age's plugins"))
        }
        () if begins(text, "ssh-") || begins(text, "-----BEGIN") => Err(KeyError::OtherKind("keys of SSH")),
        () => Ok(()),
    }
}

fn begins(text: &str, with: &str) -> bool {
    let beginning = text.get(..with.len());
    beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(with))
}

fn decode(text: &str, prefix: &'static str) -> Result<Zeroizing<[u8; 32]>, &'static str> {
    if !begins(text, prefix) {
        return Err("it begins otherwise");
    }
    let decoded = CheckedHrpstring::new::<Bech32>(text).map_err(|_| "a letter is wrong or missing")?;
    if !decoded.hrp().as_str().eq_ignore_ascii_case(prefix) {
        return Err("it begins otherwise");
    }
    let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(decoded.byte_iter().collect());
    let key = bytes.as_slice().try_into();
    key.map(Zeroizing::new).map_err(|_| "it has another length")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the specification's test vectors (`age_test.go` and CCTV use it).
    const IDENTITY_TEXT: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

    fn recipient(text: &str) -> KeyError {
        text.parse::<Recipient>().err().unwrap()
    }

    fn identity(text: &str) -> KeyError {
        text.parse::<Identity>().err().unwrap()
    }

    #[test]
    fn keys_have_one_text_that_is_read_again() {
        let made = Identity::generate().unwrap();
        let text = made.to_secret_text();
        assert!(text.starts_with("AGE-SECRET-KEY-1"));
        assert_eq!(text.len(), 74);
        let read: Identity = format!(" {}\n", *text).parse().unwrap();
        assert_eq!(read.recipient(), made.recipient());
        let recipient = made.recipient().to_string();
        assert!(recipient.starts_with("age1"));
        assert_eq!(recipient.parse::<Recipient>().unwrap(), made.recipient());
        assert_ne!(Identity::generate().unwrap().recipient(), made.recipient());
        assert!(IDENTITY_TEXT.parse::<Identity>().unwrap().to_secret_text().as_str() == IDENTITY_TEXT);
    }

    #[test]
    fn a_text_that_is_no_key_says_why() {
        let made = Identity::generate().unwrap();
        let (secret, public) = (made.to_secret_text(), made.recipient().to_string());
        assert_eq!(recipient(&secret), KeyError::IdentityForRecipient);
        assert_eq!(identity(&public), KeyError::RecipientForIdentity);
        assert!(matches!(recipient(&public.to_uppercase()), KeyError::Recipient(_)));
        assert!(matches!(identity(&secret.to_lowercase()), KeyError::Identity(_)));
        assert!(matches!(recipient(&public[..61]), KeyError::Recipient(_)));
        assert!(matches!(recipient(""), KeyError::Recipient(_)));
        assert!(matches!(recipient("äge1"), KeyError::Recipient(_)));
        let last = if secret.ends_with('Q') { 'P' } else { 'Q' };
        assert!(matches!(
            identity(&format!("{}{last}", &secret[..73])),
            KeyError::Identity(_)
        ));
        for other in [
            "age1pq1abc",
            "AGE-SECRET-KEY-PQ-1ABC",
            "age1yubikey1abc",
            "ssh-ed25519 AAAA",
            "AGE-PLUGIN-YUBIKEY-1A",
        ] {
            assert!(
                matches!(
                    recipient(other),
                    KeyError::OtherKind(_) | KeyError::IdentityForRecipient
                ),
                "{other}"
            );
            assert!(matches!(identity(other), KeyError::OtherKind(_)), "{other}");
        }
    }

    #[test]
    fn no_error_repeats_a_secret() {
        let secret = Identity::generate().unwrap().to_secret_text();
        let short = &secret[..73];
        for error in [
            recipient(&secret),
            recipient(short),
            identity(short),
            identity(&format!("{}A", *secret)),
        ] {
            assert!(!format!("{error} {error:?}").contains(&secret[20..60]), "{error}");
        }
    }

    #[test]
    fn a_file_of_identities_is_read_as_age_keygen_writes_it() {
        let (first, second) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let text = format!(
            "# created: 2026-01-01\r\n# public key: {}\r\n{}\r\n\n{}\n",
            first.recipient(),
            *first.to_secret_text(),
            *second.to_secret_text()
        );
        let read = Identity::read_all(&text).unwrap();
        let recipients: Vec<Recipient> = read.iter().map(Identity::recipient).collect();
        assert_eq!(recipients, [first.recipient(), second.recipient()]);
        assert_eq!(Identity::read_all("# nothing\n").err(), Some(KeyError::NoIdentities));
        let error = Identity::read_all("\nrubbish").err().unwrap();
        assert!(error.to_string().starts_with("line 2: "), "{error}");
        let many = format!("{}\n", *first.to_secret_text()).repeat(MAX_IDENTITIES + 1);
        assert_eq!(
            Identity::read_all(&many).err(),
            Some(KeyError::TooManyIdentities(MAX_IDENTITIES))
        );
    }

    #[test]
    fn a_stanza_that_is_malformed_fails_the_file_and_a_strangers_does_not() {
        let (mine, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let key = FileKey::generate().unwrap();
        let stanza = mine.recipient().wrap(&key).unwrap();
        assert_eq!(mine.unwrap(&stanza).unwrap().unwrap().bytes(), key.bytes());
        assert!(other.unwrap(&stanza).unwrap().is_none());
        let broken = |change: fn(&mut Stanza)| {
            let mut stanza = stanza.clone();
            change(&mut stanza);
            matches!(mine.unwrap(&stanza), Err(DecryptError::Header(_)))
        };
        assert!(broken(|stanza| stanza.arguments.push("more".into())));
        assert!(broken(|stanza| stanza.arguments.truncate(1)));
        assert!(broken(|stanza| stanza.arguments[1] = BASE64_NOPAD.encode(&[9; 31])));
        assert!(broken(|stanza| stanza.arguments[1].push('=')));
        assert!(broken(|stanza| stanza.body.truncate(31)));
        assert!(broken(|stanza| stanza.body.push(0)));
        // Points of low order make a secret that everybody knows.
        assert!(broken(|stanza| stanza.arguments[1] = BASE64_NOPAD.encode(&[0; 32])));
        assert!(broken(|stanza| stanza.arguments[1] = BASE64_NOPAD.encode(&{
            let mut one = [0; 32];
            one[0] = 1;
            one
        })));
        let weak = Recipient(PublicKey::from([0; 32]));
        assert_eq!(weak.wrap(&key).err(), Some(EncryptError::WeakRecipient));
    }
}
