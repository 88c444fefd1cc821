//! Encrypted files on their way back: with what they are opened, under which names, and their bytes.
//!
//! Called by [`super::retrieving`], which brings the ciphertext into a spool, checked against its roots; what is decrypted of it comes
//! from whoever wrote the file, and is one file's plaintext or nothing.

use super::spool::PieceSpool;
use crate::client::error::ClientError;
use crate::client::{Book, Report};
use sealdrop_encryption::{
    decrypt_bytes, readers, DecryptError, Decryptor, EncryptedFile, Identity, Keys, Passphrase, MAX_HEAD_BYTES,
};
use shared::file::{EncryptedNames, FileEntry, Manifest, TrueNames};
use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

/// Bytes that are decrypted at once: sixteen chunks.
const STEP: u64 = 1 << 20;

/// With what an encrypted file is opened, if with anything.
#[derive(Clone)]
pub enum Opening {
    /// What this book has kept of it.
    Own,
    Identities(Vec<Identity>),
    Passphrase(Passphrase),
    /// It stays as it is stored.
    Raw,
}

impl Opening {
    fn keys(&self) -> Option<Keys<'_>> {
        match self {
            Self::Identities(identities) => Some(Keys::Identities(identities)),
            Self::Passphrase(passphrase) => Some(Keys::Passphrase(passphrase)),
            Self::Own | Self::Raw => None,
        }
    }
}

/// What opens the files of a manifest.
pub(super) enum Opener {
    /// Of each file, in order.
    Kept(Vec<EncryptedFile>),
    Given(Opening),
}

/// The manifest under its own names with what opens its files, or as it is.
pub(super) fn open(
    (book, report): (&Book, &Report),
    id: &str,
    manifest: Manifest,
    opening: &Opening,
) -> Result<(Manifest, Option<Opener>), ClientError> {
    let Some(encrypted) = manifest.encrypted_names() else {
        if opening.keys().is_some() {
            report.note("this file is not encrypted: no key is needed");
        }
        return Ok((manifest, None));
    };
    let (names, opener) = match opening.keys() {
        Some(keys) => {
            let opened = sealdrop_database::blocking(|| decrypt_bytes(keys, encrypted.as_bytes()));
            let opened = opened.map_err(|source| ClientError::Decryption {
                path: format!("file {id}"),
                source,
            })?;
            (TrueNames::read(&opened)?, Opener::Given(opening.clone()))
        }
        None if matches!(opening, Opening::Raw) => return Ok((manifest, None)),
        None => match book.keys(id)? {
            Some(keys) => (keys.names, Opener::Kept(keys.files)),
            None => return Err(locked(encrypted)),
        },
    };
    Ok((manifest.under(names)?, Some(opener)))
}

/// Whose keys are needed, as far as the manifest shows it.
fn locked(names: &EncryptedNames) -> ClientError {
    let found = readers(names.as_bytes()).ok();
    let (readers, needed) = match found {
        Some(found) if found.passphrase => ("with a passphrase".to_owned(), "it with --passphrase"),
        Some(found) if found.recipients == 1 => ("to 1 recipient".to_owned(), "the identity with --identity FILE"),
        Some(found) => (
            format!("to {} recipients", found.recipients),
            "the identity of one of them with --identity FILE",
        ),
        None => ("in a form that is not known here".to_owned(), "its key"),
    };
    ClientError::Encrypted { readers, needed }
}

impl Opener {
    /// What opens the file of this index. The beginning of its ciphertext is in the spool, unless the key was kept.
    pub(super) fn decryptor(
        &self,
        (index, file): (usize, &FileEntry),
        spool: &PieceSpool,
    ) -> Result<Decryptor, ClientError> {
        let failed = |source| ClientError::Decryption {
            path: format!("{:?}", file.path()),
            source,
        };
        let given = match self {
            Self::Kept(files) => {
                let key = files.get(index).filter(|key| key.ciphertext_len() == file.size());
                let key = key.ok_or_else(|| failed(DecryptError::Truncated("its length is not the kept key's")))?;
                return Ok(key.decryptor());
            }
            Self::Given(given) => given,
        };
        let keys = given.keys().ok_or_else(|| failed(DecryptError::NoIdentityFits))?;
        let head = spool.bytes(0..file.size().min(MAX_HEAD_BYTES as u64))?;
        sealdrop_database::blocking(|| Decryptor::open(&head, file.size(), &keys)).map_err(failed)
    }

    /// Whether the beginning of the ciphertext is needed to open a file.
    pub(super) fn needs_head(&self) -> bool {
        matches!(self, Self::Given(_))
    }
}

/// Decrypts a range of a file from the ciphertext in its spool.
pub(super) fn decrypt(
    (decryptor, file): (&Decryptor, &FileEntry),
    range: Range<u64>,
    spool: &PieceSpool,
    mut write: impl FnMut(&[u8]) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    let failed = |source| ClientError::Decryption {
        path: format!("{:?}", file.path()),
        source,
    };
    let mut at = range.start;
    while at < range.end {
        let step = at..(at / STEP).saturating_add(1).saturating_mul(STEP).min(range.end);
        at = step.end;
        let cipher = decryptor.cipher_range(&step).map_err(|error| failed(error.into()))?;
        let sealed = spool.bytes(cipher)?;
        write(&decryptor.decrypt_range(&step, &sealed).map_err(failed)?)?;
    }
    Ok(())
}

/// Decrypts all of a file; one without bytes has an end, too, that only its writer can have made.
pub(super) fn decrypt_all(
    opened: (&Decryptor, &FileEntry),
    spool: &PieceSpool,
    write: impl FnMut(&[u8]) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    let (decryptor, file) = opened;
    let end = spool.bytes(decryptor.end_range())?;
    decryptor.check_end(&end).map_err(|source| ClientError::Decryption {
        path: format!("{:?}", file.path()),
        source,
    })?;
    decrypt(opened, 0..decryptor.plain_len(), spool, write)
}

/// Whether what is at a place is the file in the spool, decrypted.
pub(super) fn is_at(place: &Path, opened: (&Decryptor, &FileEntry), spool: &PieceSpool) -> Result<bool, ClientError> {
    let unreadable = || ClientError::file("read", place);
    let found = fs::symlink_metadata(place).map_err(unreadable())?;
    if !found.is_file() || found.len() != opened.0.plain_len() {
        return Ok(false);
    }
    let mut there = fs::File::open(place).map_err(unreadable())?;
    let (mut same, mut buffer) = (true, Vec::new());
    decrypt_all(opened, spool, |bytes| {
        buffer.resize(bytes.len(), 0);
        match there.read_exact(&mut buffer) {
            Ok(()) => same &= buffer == bytes,
            // It has become shorter meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => same = false,
            Err(error) => return Err(ClientError::file("read", place)(error)),
        }
        Ok(())
    })?;
    Ok(same)
}

#[cfg(test)]
mod tests {
    use super::super::encrypting::{hide, Readers};
    use super::*;
    use crate::client::fetching::Sink;
    use crate::client::kept_keys::{self, FileKeys};
    use sealdrop_encryption::{encrypt_bytes, EncryptionKey, Recipients};
    use shared::file::{Cut, FileDigest, ManifestError, RelativePath};
    use shared::piece::SectorSize;

    /// More than one step.
    const SIZE: usize = (2 << 20) + 777;

    struct Stored {
        dir: tempfile::TempDir,
        identity: Identity,
        bytes: Vec<u8>,
        key: EncryptedFile,
        manifest: Manifest,
        names: TrueNames,
        ciphertext: Vec<u8>,
    }

    fn identity() -> Identity {
        Identity::generate().expect("the system is random")
    }

    fn stored(size: usize) -> Stored {
        let identity = identity();
        let bytes: Vec<u8> = (0..size).map(|at| (at * 131 + (at >> 9) * 7) as u8).collect();
        let key = EncryptionKey::generate(&Recipients::X25519(&[identity.recipient()])).expect("a key");
        let key = EncryptedFile::new(key, size as u64).expect("it is short");
        let made = key
            .encrypt_range(&(0..key.ciphertext_len()), &bytes)
            .expect("all of it");
        let ciphertext = made.for_hashing().to_vec();
        let mut digest = FileDigest::new(Cut::new(ciphertext.len() as u64, SectorSize::S8MiB).expect("it is short"));
        digest.push(&ciphertext).expect("it is short");
        let path = RelativePath::parse("secret.txt").expect("a name");
        let entry = FileEntry::of(path, &digest.finish().expect("all of it")).expect("a file");
        let readers = Readers::Recipients(vec![identity.recipient()]);
        let (manifest, names) = hide(&readers, Manifest::file(entry).expect("a name")).expect("it is short");
        Stored {
            dir: tempfile::tempdir().expect("there is room"),
            identity,
            bytes,
            key,
            manifest,
            names,
            ciphertext,
        }
    }

    fn book(stored: &Stored) -> Book {
        Book::open(&stored.dir.path().join("client")).expect("it is new")
    }

    fn spool(stored: &Stored) -> PieceSpool {
        let spool = PieceSpool::unnamed(stored.dir.path(), stored.ciphertext.len() as u64).expect("there is room");
        spool.piece(0).write(&stored.ciphertext).expect("there is room");
        spool
    }

    fn opened(stored: &Stored, opening: &Opening) -> Result<(Manifest, Option<Opener>), ClientError> {
        open((&book(stored), &Report::new()), "id", stored.manifest.clone(), opening)
    }

    fn by_identity(stored: &Stored) -> (Manifest, Opener) {
        let opening = Opening::Identities(vec![identity(), stored.identity.clone()]);
        let (manifest, opener) = opened(stored, &opening).expect("it fits");
        (manifest, opener.expect("it is encrypted"))
    }

    fn plain(opened: (&Decryptor, &FileEntry), range: Range<u64>, spool: &PieceSpool) -> Vec<u8> {
        let mut found = Vec::new();
        let written = decrypt(opened, range, spool, |bytes| {
            found.extend_from_slice(bytes);
            Ok(())
        });
        written.map(|()| found).expect("it is whole")
    }

    #[test]
    fn an_identity_opens_a_file_under_its_own_name_as_a_whole_and_in_part() {
        for size in [0, 1, SIZE] {
            let stored = stored(size);
            let (manifest, opener) = by_identity(&stored);
            assert_eq!(manifest.name().as_str(), "secret.txt");
            let (spool, file) = (spool(&stored), &manifest.files()[0]);
            let decryptor = opener.decryptor((0, file), &spool).expect("it fits");
            let place = stored.dir.path().join("there");
            std::fs::write(&place, &stored.bytes).expect("there is room");
            assert!(is_at(&place, (&decryptor, file), &spool).expect("it can be read"));
            std::fs::write(&place, [&stored.bytes[..], b"x"].concat()).expect("there is room");
            assert!(!is_at(&place, (&decryptor, file), &spool).expect("it can be read"));
            let size = size as u64;
            for range in [0..size, size / 2..size, 0..size.min(10)] {
                let expected = &stored.bytes[range.start as usize..range.end as usize];
                assert!(plain((&decryptor, file), range, &spool) == expected);
            }
        }
    }

    #[test]
    fn the_book_opens_what_it_has_kept_and_says_whose_key_is_needed_for_the_rest() {
        let stored = stored(SIZE);
        let Err(locked) = opened(&stored, &Opening::Own) else {
            panic!("nothing is kept");
        };
        let text = locked.to_string();
        assert!(text.contains("to 1 recipient") && text.contains("--identity"), "{text}");
        let book = book(&stored);
        let keys = FileKeys {
            readers: Vec::new(),
            names: stored.names.clone(),
            files: vec![stored.key],
        };
        book.deals
            .write(|changes| kept_keys::put(changes, "id", &keys))
            .expect("there is room");
        let manifest = stored.manifest.clone();
        let found = open((&book, &Report::new()), "id", manifest, &Opening::Own);
        let (manifest, opener) = found.expect("it is kept");
        assert_eq!(manifest.name().as_str(), "secret.txt");
        assert!(opener.is_some_and(|opener| !opener.needs_head()));
    }

    #[test]
    fn another_identity_and_a_passphrase_open_nothing() {
        let stored = stored(1);
        let passphrase = sealdrop_encryption::Passphrase::new("x".to_owned()).expect("it is one");
        for (opening, expected) in [
            (Opening::Identities(vec![identity()]), DecryptError::NoIdentityFits),
            (Opening::Passphrase(passphrase), DecryptError::IdentityNeeded),
        ] {
            match opened(&stored, &opening) {
                Err(ClientError::Decryption { source, .. }) => assert_eq!(source, expected),
                other => panic!("{:?}", other.map(drop)),
            }
        }
    }

    #[test]
    fn raw_it_stays_as_it_is_stored() {
        let stored = stored(1);
        let (manifest, opener) = opened(&stored, &Opening::Raw).expect("no key is needed");
        assert!(opener.is_none());
        assert_eq!(manifest.name().as_str(), "0.age");
    }

    #[test]
    fn hostile_names_that_were_encrypted_to_their_victim_are_refused() {
        let stored = stored(1);
        let recipients = [stored.identity.recipient()];
        for (name, paths) in [
            ("../../etc/passwd", vec![]),
            ("/etc/passwd", vec![]),
            ("a", vec!["b", "c"]),
        ] {
            let mut list = Vec::new();
            let value = ciborium::Value::Map(vec![
                ("name".into(), name.into()),
                (
                    "paths".into(),
                    ciborium::Value::Array(paths.into_iter().map(Into::into).collect()),
                ),
            ]);
            ciborium::into_writer(&value, &mut list).expect("there is room");
            let list = encrypt_bytes(&Recipients::X25519(&recipients), &list).expect("it is short");
            let clear = Manifest::file(stored.manifest.files()[0].clone()).expect("a name");
            let names = EncryptedNames::new(list).expect("it is short");
            let hostile = Stored {
                manifest: clear.hiding(names).expect("it is neutral"),
                dir: tempfile::tempdir().expect("there is room"),
                identity: stored.identity.clone(),
                ..self::stored(1)
            };
            let opening = Opening::Identities(vec![stored.identity.clone()]);
            let refused = opened(&hostile, &opening).map(drop);
            assert!(
                matches!(
                    refused,
                    Err(ClientError::Manifest(
                        ManifestError::Path(_) | ManifestError::NamesCount { .. }
                    ))
                ),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn what_is_decrypted_of_a_changed_ciphertext_is_an_error_and_no_bytes() {
        let mut stored = stored(SIZE);
        let last = stored.ciphertext.len() - 1;
        stored.ciphertext[last] ^= 1;
        let (manifest, opener) = by_identity(&stored);
        let (spool, file) = (spool(&stored), &manifest.files()[0]);
        let decryptor = opener.decryptor((0, file), &spool).expect("its head is whole");
        let refused = decrypt_all((&decryptor, file), &spool, |_| panic!("nothing may come"));
        assert!(matches!(refused, Err(ClientError::Decryption { .. })), "{refused:?}");
    }
}
