//! Passphrases: scrypt makes a key of one, slowly, so that guessing is slow, too. Called by [`crate::keys`].
//!
//! The work factor is in the file, and comes from whoever wrote it: above [`WorkFactor::MAX`] nothing is computed.
//! The usual one, 2^18, takes 256 MiB of memory, 0.6 s natively and 1.1 s to 1.7 s in WebAssembly. A page has to do it in a worker that ends
//! afterwards: the main thread would stand still, and WebAssembly gives no memory back.

use data_encoding::BASE64_NOPAD;
use zeroize::Zeroizing;

use crate::error::{memory, DecryptError, EncryptError, KeyError};
use crate::header::{base64, Stanza};
use crate::random::random;
use crate::secret::FileKey;
use crate::wrap::{unwrap_key, wrap_key, WRAPPED_BYTES};

/// The stanza's kind. It is alone in its header.
pub(crate) const KIND: &str = "scrypt";
const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
const SALT_BYTES: usize = 16;
/// scrypt's block size, as the format has it.
const BLOCK: u32 = 8;
/// Longer than anybody types, and nothing is hashed that a program filled by mistake.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// A passphrase; wiped when it is dropped.
///
/// It is taken as it is: spaces and the form of its Unicode count, as with `age`.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, KeyError> {
        let text = text.into();
        match text.len() {
            0 => Err(KeyError::EmptyPassphrase),
            length if length > MAX_PASSPHRASE_BYTES => Err(KeyError::LongPassphrase),
            _ => Ok(Self(text)),
        }
    }

    pub(crate) fn wrap(&self, work: WorkFactor, key: &FileKey) -> Result<Stanza, EncryptError> {
        let salt = random::<SALT_BYTES>()?;
        let wrapping = self.stretch(salt.as_slice(), work);
        let wrapping = wrapping.ok_or(EncryptError::Memory {
            log_n: work.0,
            mib: memory(work.0),
        })?;
        Ok(Stanza {
            arguments: vec![
                KIND.to_owned(),
                BASE64_NOPAD.encode(salt.as_slice()),
                work.0.to_string(),
            ],
            body: wrap_key(&wrapping, key),
        })
    }

    pub(crate) fn unwrap(&self, stanza: &Stanza) -> Result<FileKey, DecryptError> {
        let [_, salt, work] = stanza.arguments.as_slice() else {
            return Err(DecryptError::Header("a passphrase's recipient has not two arguments"));
        };
        let salt = base64(salt.as_bytes()).filter(|salt| salt.len() == SALT_BYTES);
        let salt = salt.ok_or(DecryptError::Header("a passphrase's salt is not 16 bytes"))?;
        let work = WorkFactor::read(work)?;
        let wrapped = stanza.body.as_slice().try_into();
        let wrapped: [u8; WRAPPED_BYTES] = wrapped.map_err(|_| DecryptError::Header("a file key is not 32 bytes"))?;
        let wrapping = self.stretch(&salt, work);
        let wrapping = wrapping.ok_or(DecryptError::Memory { mib: memory(work.0) })?;
        unwrap_key(&wrapping, &wrapped).ok_or(DecryptError::WrongPassphrase)
    }

    /// None without the memory for it.
    fn stretch(&self, salt: &[u8], work: WorkFactor) -> Option<Zeroizing<[u8; 32]>> {
        let salt = [SALT_LABEL, salt].concat();
        let mut key = Zeroizing::new([0; 32]);
        let parameters = scrypt::Params::new(work.0, BLOCK, 1, key.len()).ok()?;
        // scrypt ends the program where there is no memory; here it is only asked for, and given back for scrypt.
        let bytes = usize::try_from(memory(work.0)).ok()?.checked_mul(1 << 20)?;
        let mut room = Vec::<u8>::new();
        room.try_reserve_exact(bytes).ok()?;
        drop(std::hint::black_box(room));
        scrypt::scrypt(self.0.as_bytes(), &salt, &parameters, key.as_mut_slice()).ok()?;
        Some(key)
    }
}

/// How slow a passphrase is made: scrypt's N as a power of two. One more is twice the time and twice the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkFactor(u8);

impl WorkFactor {
    /// For tests, and for passphrases that are keys already.
    pub const MIN: u8 = 10;
    /// 1 GiB of memory and 3 s to 7 s; what a hostile file may ask for after a passphrase was typed for it.
    pub const MAX: u8 = 20;
    /// What `age` takes: 256 MiB, about a second.
    pub const USUAL: Self = Self(18);

    pub fn new(log_n: u8) -> Result<Self, KeyError> {
        match (Self::MIN..=Self::MAX).contains(&log_n) {
            true => Ok(Self(log_n)),
            false => Err(KeyError::WorkFactor { given: log_n }),
        }
    }

    /// Of a header: a decimal number without sign and leading zeros. A small one was somebody else's choice.
    fn read(text: &str) -> Result<Self, DecryptError> {
        let malformed = DecryptError::Header("a passphrase's work factor is no number");
        let decimal = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let log_n = text.parse::<u8>().ok().filter(|_| decimal).ok_or(malformed)?;
        match log_n <= Self::MAX {
            true => Ok(Self(log_n)),
            false => Err(DecryptError::WorkFactor { log_n }),
        }
    }
}

impl Default for WorkFactor {
    fn default() -> Self {
        Self::USUAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned()).ok().unwrap()
    }

    #[test]
    fn a_file_key_comes_back_with_the_same_passphrase_only() {
        let key = FileKey::generate().unwrap();
        let stanza = passphrase("correct horse")
            .wrap(WorkFactor::new(10).unwrap(), &key)
            .unwrap();
        assert_eq!(
            passphrase("correct horse").unwrap(&stanza).unwrap().bytes(),
            key.bytes()
        );
        assert_eq!(
            passphrase("correct horse ").unwrap(&stanza).err(),
            Some(DecryptError::WrongPassphrase)
        );
    }

    #[test]
    fn a_work_factor_above_the_limit_is_refused_before_anything_is_computed() {
        let stanza = |work: &str| Stanza {
            arguments: vec![KIND.into(), BASE64_NOPAD.encode(&[0; 16]), work.into()],
            body: vec![0; 32],
        };
        let error = |work: &str| passphrase("x").unwrap(&stanza(work)).err().unwrap();
        assert_eq!(error("21"), DecryptError::WorkFactor { log_n: 21 });
        assert_eq!(error("255"), DecryptError::WorkFactor { log_n: 255 });
        assert!(error("22").to_string().contains("4096 MiB"), "{}", error("22"));
        for work in [
            "0",
            "010",
            "+10",
            "-10",
            "10 ",
            "",
            "0x10",
            "256",
            "99999999999999999999",
        ] {
            assert!(matches!(error(work), DecryptError::Header(_)), "{work:?}");
        }
        assert_eq!(error("1"), DecryptError::WrongPassphrase);
        assert_eq!(WorkFactor::new(9), Err(KeyError::WorkFactor { given: 9 }));
        assert_eq!(WorkFactor::new(21), Err(KeyError::WorkFactor { given: 21 }));
    }

    #[test]
    fn a_malformed_stanza_is_refused() {
        let key = FileKey::generate().unwrap();
        let good = passphrase("x").wrap(WorkFactor::new(10).unwrap(), &key).unwrap();
        let broken = |change: fn(&mut Stanza)| {
            let mut stanza = good.clone();
            change(&mut stanza);
            matches!(passphrase("x").unwrap(&stanza), Err(DecryptError::Header(_)))
        };
        assert!(broken(|stanza| stanza.arguments.truncate(2)));
        assert!(broken(|stanza| stanza.arguments.push("1".into())));
        assert!(broken(|stanza| stanza.arguments[1] = BASE64_NOPAD.encode(&[0; 15])));
        assert!(broken(|stanza| stanza.arguments[1].push('=')));
        assert!(broken(|stanza| stanza.body.push(0)));
    }

    #[test]
    fn a_passphrase_is_neither_empty_nor_endless() {
        assert_eq!(Passphrase::new(String::new()).err(), Some(KeyError::EmptyPassphrase));
        assert_eq!(Passphrase::new("a".repeat(1025)).err(), Some(KeyError::LongPassphrase));
        assert!(Passphrase::new("a".repeat(1024)).is_ok());
    }
}
