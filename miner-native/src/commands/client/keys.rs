//! The keys that `client store` and `client retrieve` are given: recipients, identities and passphrases. A secret is never an
//! argument, since every process of the machine sees those; it comes from the terminal, a file, or a variable of the environment.

use crate::client::files::decrypting::Opening;
use crate::client::files::encrypting::Readers;
use crate::commands::error::CommandError;
use clap::Args;
use sealdrop_encryption::{is_encrypted, Identity, KeyError, Passphrase, Recipient, MAX_IDENTITIES, MAX_STANZAS};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a file of keys, at most: as many lines as there may be keys, with long comments.
const MAX_KEY_FILE: u64 = 1 << 20;
/// The terminal, also where the standard input is something else.
const TERMINAL: &str = "/dev/tty";

/// Whom a store encrypts to.
#[derive(Debug, Args)]
pub struct EncryptionArguments {
    /// Encrypt to this recipient (age1…), or to all in this file, one in a line; again for more of them
    #[arg(long, value_name = "RECIPIENT", conflicts_with_all = ["passphrase", "passphrase_file", "passphrase_env"])]
    encrypt_to: Vec<String>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

/// What a retrieval opens encrypted files with.
#[derive(Debug, Args)]
pub struct OpeningArguments {
    /// Open what is encrypted with the identities in this file (`client keygen`, `age-keygen`); again for more of them [default: what this
    /// book has kept]
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["passphrase", "passphrase_file", "passphrase_env", "raw"])]
    identity: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Write what is encrypted as it is stored: age files, which `age -d` opens
    #[arg(long, conflicts_with_all = ["passphrase", "passphrase_file", "passphrase_env"])]
    raw: bool,
}

#[derive(Debug, Args)]
pub struct PassphraseArguments {
    /// Encrypted with a passphrase, which is asked for at the terminal
    #[arg(long)]
    passphrase: bool,
    /// Encrypted with the passphrase that is the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase")]
    passphrase_file: Option<PathBuf>,
    /// Encrypted with the passphrase in this variable of the environment
    #[arg(long, value_name = "VARIABLE", conflicts_with_all = ["passphrase", "passphrase_file"])]
    passphrase_env: Option<String>,
}

/// What opens an encrypted file beside a passphrase.
#[derive(Debug, Args)]
pub struct OpeningKeys {
    /// Open it with the identities in this file (`client keygen`, `age-keygen`); again for more of them
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["passphrase", "passphrase_file", "passphrase_env"])]
    identity: Vec<PathBuf>,
}

impl OpeningKeys {
    /// The identities that were named.
    pub fn identities(&self) -> Result<Vec<Identity>, CommandError> {
        all_identities(&self.identity)
    }
}

impl EncryptionArguments {
    /// Who is to read what is stored; `None`: everybody.
    pub fn readers(&self) -> Result<Option<Readers>, CommandError> {
        if let Some(passphrase) = self.passphrase.read(true)? {
            return Ok(Some(Readers::Passphrase(passphrase)));
        }
        let mut recipients: Vec<Recipient> = Vec::new();
        for given in &self.encrypt_to {
            for recipient in recipients_of(given)? {
                if !recipients.contains(&recipient) {
                    recipients.push(recipient);
                }
            }
        }
        match recipients.len() {
            0 => Ok(None),
            1..=MAX_STANZAS => Ok(Some(Readers::Recipients(recipients))),
            given => Err(sealdrop_encryption::EncryptError::TooManyRecipients { given }.into()),
        }
    }
}

impl OpeningArguments {
    pub fn opening(&self) -> Result<Opening, CommandError> {
        if self.raw {
            return Ok(Opening::Raw);
        }
        if let Some(passphrase) = self.passphrase.read(false)? {
            return Ok(Opening::Passphrase(passphrase));
        }
        let identities = all_identities(&self.identity)?;
        match identities.is_empty() {
            true => Ok(Opening::Own),
            false => Ok(Opening::Identities(identities)),
        }
    }
}

impl PassphraseArguments {
    /// The passphrase that was named; `None` where none was.
    pub fn read(&self, is_new: bool) -> Result<Option<Passphrase>, CommandError> {
        let (what, text) = match (&self.passphrase_file, &self.passphrase_env) {
            (Some(path), _) => {
                let bytes = read_keys(path)?;
                let text = text_of(path, &bytes)?;
                ("--passphrase-file", text.lines().next().unwrap_or_default().to_owned())
            }
            (None, Some(name)) => {
                let found = std::env::var(name);
                let missing = |error| CommandError::Unusable(format!("--passphrase-env {name}: {error}"));
                ("--passphrase-env", found.map_err(missing)?)
            }
            (None, None) if self.passphrase => ("--passphrase", asked(is_new)?),
            (None, None) => return Ok(None),
        };
        let passphrase = Passphrase::new(text).map_err(|error| unusable(what, &error))?;
        Ok(Some(passphrase))
    }
}

/// What was given is not said again: it may be a secret in the wrong place.
fn unusable(what: &str, error: &KeyError) -> CommandError {
    CommandError::Unusable(format!("{what}: {error}"))
}

fn recipients_of(given: &str) -> Result<Vec<Recipient>, CommandError> {
    let path = Path::new(given);
    match given.parse() {
        Ok(recipient) => return Ok(vec![recipient]),
        Err(error) if !path.is_file() => return Err(unusable("--encrypt-to", &error)),
        Err(_) => {}
    }
    let bytes = read_keys(path)?;
    let mut recipients = Vec::new();
    for (line, text) in (1..).zip(text_of(path, &bytes)?.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let parsed = text.parse().map_err(|error| KeyError::Line {
            line,
            error: Box::new(error),
        });
        recipients.push(parsed.map_err(|error| unusable(&format!("--encrypt-to {}", path.display()), &error))?);
    }
    match recipients.is_empty() {
        true => Err(CommandError::Unusable(format!(
            "--encrypt-to {}: there is no recipient in it, only empty lines and comments",
            path.display()
        ))),
        false => Ok(recipients),
    }
}

fn all_identities(paths: &[PathBuf]) -> Result<Vec<Identity>, CommandError> {
    let mut identities = Vec::new();
    for path in paths {
        identities.extend(identities_of(path)?);
    }
    match identities.len() {
        ..=MAX_IDENTITIES => Ok(identities),
        _ => Err(unusable("--identity", &KeyError::TooManyIdentities(MAX_IDENTITIES))),
    }
}

fn identities_of(path: &Path) -> Result<Vec<Identity>, CommandError> {
    let bytes = read_keys(path)?;
    if is_encrypted(&bytes) {
        let path = path.display();
        return Err(CommandError::Unusable(format!(
            "--identity {path}: it is encrypted itself; decrypt it first (`age -d {path}`), and give what comes out"
        )));
    }
    let identities = Identity::read_all(text_of(path, &bytes)?);
    identities.map_err(|error| unusable(&format!("--identity {}", path.display()), &error))
}

fn read_keys(path: &Path) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_KEY_FILE).read_to_end(&mut bytes));
    read.map_err(|source| CommandError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    Ok(bytes)
}

fn text_of<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, CommandError> {
    let wrong = |_| CommandError::Unusable(format!("{}: it is not text", path.display()));
    std::str::from_utf8(bytes).map_err(wrong)
}

/// A passphrase from the terminal; a new one is asked for twice.
pub fn ask_passphrase(is_new: bool) -> Result<Passphrase, CommandError> {
    Passphrase::new(asked(is_new)?).map_err(|error| unusable("the passphrase", &error))
}

/// Asks for a passphrase at the terminal, which does not show it; a new one twice.
fn asked(is_new: bool) -> Result<String, CommandError> {
    let no_terminal = |source: io::Error| {
        CommandError::Unusable(format!(
            "the passphrase cannot be asked for: {source}; give --passphrase-file or --passphrase-env instead"
        ))
    };
    let _hidden = Hidden::begin().map_err(no_terminal)?;
    let first = ask("Passphrase: ").map_err(no_terminal)?;
    if is_new && ask("The same again: ").map_err(no_terminal)? != first {
        return Err(CommandError::Unusable(
            "the two passphrases are not the same; try again".to_owned(),
        ));
    }
    Ok(first)
}

fn ask(prompt: &str) -> io::Result<String> {
    let mut terminal = File::options().read(true).write(true).open(TERMINAL)?;
    terminal.write_all(prompt.as_bytes())?;
    let mut text = String::new();
    BufReader::new(&terminal).take(MAX_KEY_FILE).read_line(&mut text)?;
    (&terminal).write_all(b"\n")?;
    let length = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(length);
    Ok(text)
}

/// The terminal shows nothing of what is typed, as long as this lives. It is set by `stty`, which every Unix has, so that no library is
/// needed for one question.
struct Hidden;

/// Whether the terminal shows nothing now.
static IS_HIDDEN: AtomicBool = AtomicBool::new(false);

impl Hidden {
    fn begin() -> io::Result<Self> {
        // Before: a signal may come in between. What is dropped makes good where it cannot be hidden.
        IS_HIDDEN.store(true, Ordering::SeqCst);
        let hidden = Self;
        stty("-echo").map(|()| hidden)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        show_again();
    }
}

/// Has the terminal show again what is typed, where that is hidden: also for a process that ends at a signal.
pub fn show_again() {
    if IS_HIDDEN.swap(false, Ordering::SeqCst) {
        // The terminal has gone away.
        let _ = stty("echo");
    }
}

fn stty(setting: &str) -> io::Result<()> {
    let terminal = File::open(TERMINAL)?;
    let mut command = Command::new("stty");
    let set = command.arg(setting).stdin(terminal).stderr(Stdio::null()).status()?;
    match set.success() {
        true => Ok(()),
        false => Err(io::Error::other("the terminal shows what is typed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("there is room");
        let path = dir.path().join("keys");
        std::fs::write(&path, text).expect("there is room");
        (dir, path)
    }

    fn identity() -> Identity {
        Identity::generate().expect("the system is random")
    }

    #[test]
    fn a_recipient_is_one_or_a_file_of_them() {
        let [one, two] = [identity(), identity()].map(|identity| identity.recipient());
        assert!(recipients_of(&one.to_string()).expect("it is one") == [one]);
        let (_dir, path) = file(&format!("# mine\n{one}\n\n {two}\n"));
        assert!(recipients_of(path.to_str().expect("text")).expect("two") == [one, two]);
        let (_dir, empty) = file("# nobody\n");
        let refused = recipients_of(empty.to_str().expect("text")).expect_err("nobody");
        assert!(refused.to_string().contains("no recipient"), "{refused}");
    }

    #[test]
    fn an_identity_in_the_place_of_a_recipient_is_refused_and_not_shown() {
        let secret = identity().to_secret_text();
        let (_dir, path) = file(&secret);
        for given in [secret.as_str(), path.to_str().expect("text")] {
            let refused = recipients_of(given).expect_err("it is secret").to_string();
            assert!(
                refused.contains("age1") && !refused.contains(&secret[20..]),
                "{refused}"
            );
        }
    }

    #[test]
    fn an_identity_that_is_encrypted_itself_is_said_to_be() {
        let (_dir, path) = file("age-encryption.org/v1\n-> X25519 x\n");
        let refused = identities_of(&path).err().expect("it is encrypted").to_string();
        assert!(refused.contains("age -d"), "{refused}");
        let (_dir, path) = file(&identity().to_secret_text());
        assert_eq!(identities_of(&path).expect("one").len(), 1);
    }

    #[test]
    fn a_passphrase_is_the_first_line_of_its_file_as_it_is() {
        let (_dir, path) = file(" two words \nsecond line\n");
        let from = |path: &Path| PassphraseArguments {
            passphrase: false,
            passphrase_file: Some(path.to_owned()),
            passphrase_env: None,
        };
        assert!(from(&path).read(true).expect("it is one").is_some());
        let (_dir, empty) = file("\n");
        let refused = from(&empty).read(true).err().expect("none").to_string();
        assert!(refused.contains("empty"), "{refused}");
    }
}
