//! Held against the `age` program of Debian's package: it reads what we wrote, and we read what it wrote.
//!
//! `cargo xtask test` installs it; where it is missing, each test says that it was skipped.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealdrop_encryption::{
    decrypt_bytes, encrypt_bytes, EncryptedFile, EncryptionKey, Identity, Keys, Passphrase, Recipient, Recipients,
    WorkFactor, CHUNK_BYTES,
};
use tempfile::TempDir;

/// Lengths at which the format changes: the empty file, the ends of chunks.
const LENGTHS: [u64; 6] = [
    0,
    1,
    CHUNK_BYTES - 1,
    CHUNK_BYTES,
    CHUNK_BYTES + 1,
    3 * CHUNK_BYTES + 12_345,
];

/// A folder for one test, with the program there.
struct Place(TempDir);

impl Place {
    /// None, with a word, where a program that is needed is missing.
    fn with(programs: &[&str]) -> Option<Self> {
        let missing = |program: &&&str| Command::new(program).arg("--version").output().is_err();
        if let Some(missing) = programs.iter().find(missing) {
            eprintln!("skipped: there is no `{missing}` here; `apt-get install age` has it");
            return None;
        }
        Some(Self(tempfile::tempdir().unwrap()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn identity(&self, name: &str, identity: &Identity) -> PathBuf {
        self.file(name, identity.to_secret_text().as_bytes())
    }
}

/// What `age` prints with these arguments.
fn age(arguments: &[&Path]) -> Vec<u8> {
    let ended = Command::new("age").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    ended.stdout
}

/// Runs `age` at a terminal of its own, on which these lines are typed: it asks for passphrases nowhere else.
fn age_at_a_terminal(arguments: &str, typed: &str) {
    let mut script = Command::new("script")
        .args(["-qec", &format!("age {arguments}"), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let ended = script.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

fn plaintext(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 253) as u8).collect()
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery staple".to_owned()).unwrap()
}

#[test]
fn age_reads_what_we_wrote() {
    let Some(place) = Place::with(&["age"]) else { return };
    let (identity, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let key = place.identity("key", &identity);
    let recipients = [other.recipient(), identity.recipient()];
    for length in LENGTHS {
        let plain = plaintext(length);
        let cipher = encrypt_bytes(&Recipients::X25519(&recipients), &plain).unwrap();
        let file = place.file("file.age", &cipher);
        assert!(
            age(&["-d".as_ref(), "-i".as_ref(), &key, &file]) == plain,
            "{length} bytes"
        );
    }
}

#[test]
fn age_reads_ranges_put_together() {
    let Some(place) = Place::with(&["age"]) else { return };
    let identity = Identity::generate().unwrap();
    let key = place.identity("key", &identity);
    for length in LENGTHS {
        let plain = plaintext(length);
        let recipients = [identity.recipient()];
        let made = EncryptionKey::generate(&Recipients::X25519(&recipients)).unwrap();
        let file = EncryptedFile::new(made, length).unwrap();
        let mut cipher = Vec::new();
        while (cipher.len() as u64) < file.ciphertext_len() {
            let begin = cipher.len() as u64;
            let range = begin..(begin + 10_007).min(file.ciphertext_len());
            let needed = file.plain_range(&range).unwrap();
            let bytes = &plain[needed.start as usize..needed.end as usize];
            let part = file.encrypt_range(&range, bytes).unwrap();
            cipher.extend_from_slice(part.for_hashing());
        }
        let path = place.file("file.age", &cipher);
        assert!(
            age(&["-d".as_ref(), "-i".as_ref(), &key, &path]) == plain,
            "{length} bytes"
        );
    }
}

#[test]
fn we_read_what_age_wrote() {
    let Some(place) = Place::with(&["age"]) else { return };
    let (identity, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let (to_us, to_other) = (identity.recipient().to_string(), other.recipient().to_string());
    for length in LENGTHS {
        let plain = plaintext(length);
        let file = place.file("file", &plain);
        let (to_us, to_other): (&Path, &Path) = (to_us.as_ref(), to_other.as_ref());
        let cipher = age(&["-r".as_ref(), to_other, "-r".as_ref(), to_us, &file]);
        let read = decrypt_bytes(Keys::Identities(std::slice::from_ref(&identity)), &cipher);
        assert!(read.unwrap() == plain, "{length} bytes");
    }
}

#[test]
fn keys_of_age_keygen_are_ours() {
    let Some(_place) = Place::with(&["age-keygen"]) else {
        return;
    };
    let made = Command::new("age-keygen").output().unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    let identities = Identity::read_all(&text).unwrap();
    let recipient: Recipient = text
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(identities[0].recipient(), recipient);
    let told = Command::new("age-keygen")
        .arg("-y")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            let ours = Identity::generate().unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(ours.to_secret_text().as_bytes())?;
            Ok((ours, child.wait_with_output()?))
        });
    let (ours, ended) = told.unwrap();
    assert_eq!(
        String::from_utf8(ended.stdout).unwrap().trim(),
        ours.recipient().to_string()
    );
}

#[test]
fn age_reads_what_we_wrote_with_a_passphrase() {
    let Some(place) = Place::with(&["age", "script"]) else {
        return;
    };
    let (plain, work) = (plaintext(100_000), WorkFactor::new(12).unwrap());
    let cipher = encrypt_bytes(&Recipients::Passphrase(&passphrase(), work), &plain).unwrap();
    let (file, out) = (place.file("file.age", &cipher), place.path("out"));
    let arguments = format!("-d -o {} {}", out.display(), file.display());
    age_at_a_terminal(&arguments, "correct horse battery staple\n");
    assert!(fs::read(out).unwrap() == plain);
}

#[test]
fn we_read_what_age_wrote_with_a_passphrase() {
    let Some(place) = Place::with(&["age", "script"]) else {
        return;
    };
    let plain = plaintext(100_000);
    let (file, out) = (place.file("file", &plain), place.path("file.age"));
    let arguments = format!("-p -o {} {}", out.display(), file.display());
    age_at_a_terminal(&arguments, &"correct horse battery staple\n".repeat(2));
    let cipher = fs::read(out).unwrap();
    assert!(decrypt_bytes(Keys::Passphrase(&passphrase()), &cipher).unwrap() == plain);
}
