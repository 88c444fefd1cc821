//! `sealdrop client keygen`: an identity for encrypted files. It goes to whoever asked for it, and is kept nowhere else: so it
//! is printed once, and a file that is there is never replaced by it.

use super::CommandContext;
use crate::client::Report;
use crate::commands::error::CommandError;
use crate::commands::output::put_path;
use clap::Args;
use sealdrop_encryption::Identity;
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Keygen {
    /// Write the identity into a new file that only you can read, and print only its recipient
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Makes an identity.
pub(super) fn keygen(context: &CommandContext, arguments: Keygen) -> Result<(), CommandError> {
    let identity = Identity::generate()?;
    let recipient = identity.recipient().to_string();
    let secret = identity.to_secret_text();
    let text = format!("# public key: {recipient}\n{}\n", secret.as_str());
    let Some(path) = arguments.output else {
        let value = json!({ "identity": secret.as_str(), "recipient": recipient });
        context.output.show(&value, || text)?;
        return warn(context);
    };
    write_new(&path, text.as_bytes())?;
    let mut value = json!({ "recipient": recipient });
    put_path(&mut value, "path", &path);
    context.output.show(&value, || recipient.clone())?;
    warn(context)
}

/// What a person has to know, who did not ask for JSON.
fn warn(context: &CommandContext) -> Result<(), CommandError> {
    if !context.output.is_json() {
        Report::new().note(
            "this identity is kept nowhere else: whoever has it reads what is encrypted to its recipient, and without it \
             nobody does, so put it where it will neither be lost nor seen",
        );
    }
    Ok(())
}

/// A file of its owner's that was not there before; on the disk when this returns.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let file_error = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => CommandError::KeyIsThere { path: path.to_owned() },
        _ => CommandError::File {
            action: "create",
            path: path.to_owned(),
            source,
        },
    };
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(file_error)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let synced = written.and_then(|()| match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    });
    synced.map_err(|source| {
        // Half a key is none, and would only stand in the way of the next one.
        let _ = fs::remove_file(path);
        file_error(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_never_replaces_a_file_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().expect("there is room for a directory");
        let path = folder.path().join("key");
        write_new(&path, b"first").expect("it is new");
        let refused = write_new(&path, b"second").expect_err("it is there");
        assert!(matches!(refused, CommandError::KeyIsThere { .. }), "{refused}");
        assert_eq!(fs::read(&path).expect("it is there"), b"first");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let nowhere = write_new(&folder.path().join("none/key"), b"x").expect_err("there is no folder");
        assert!(matches!(nowhere, CommandError::File { .. }), "{nowhere}");
    }
}
