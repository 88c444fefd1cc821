//! The configuration file, `sealdrop.toml`: what it says by key. A key that there is not is refused with the one that was probably
//! meant: a misspelt one must not go unnoticed.

use super::options::Options;
use super::{keys, ConfigurationError};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What the file of a home is called.
pub const FILE_NAME: &str = "sealdrop.toml";
/// Longest file, in bytes: the commented sample has some 8 KiB.
const MAX_FILE: u64 = 256 * 1024;

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Options, ConfigurationError> {
    let unreadable = |source| ConfigurationError::Read {
        path: path.to_owned(),
        source,
    };
    // A pipe or a device has no length before it is read.
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let length = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if length as u64 > MAX_FILE {
        return Err(ConfigurationError::TooLong { path: path.to_owned() });
    }
    understood(path, &text)
}

/// What the text of a file says that lies, or is to lie, at `path`.
pub(super) fn understood(path: &Path, text: &str) -> Result<Options, ConfigurationError> {
    let mut options = parse(path, text)?;
    // Relative to the file, which may be read from anywhere.
    let folder = path.parent().unwrap_or(Path::new(""));
    for named in paths(&mut options) {
        *named = resolved(folder, named);
    }
    let archive = options.archive.archive.as_mut();
    if let Some(place) = archive.filter(|place| !place.contains("://")) {
        *place = resolved(folder, Path::new(place.as_str()))
            .to_string_lossy()
            .into_owned();
    }
    Ok(options)
}

fn paths(options: &mut Options) -> impl Iterator<Item = &mut PathBuf> {
    let all = [
        &mut options.place.home,
        &mut options.proofs.params,
        &mut options.web.web,
        &mut options.web.client,
        &mut options.tls.tls_certificate,
        &mut options.tls.tls_key,
        &mut options.log.log_folder,
        &mut options.database.storage,
    ];
    all.into_iter().flatten()
}

fn resolved(folder: &Path, named: &Path) -> PathBuf {
    match (named.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => folder.join(named),
    }
}

/// Reads a file's text.
pub(super) fn parse(path: &Path, text: &str) -> Result<Options, ConfigurationError> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map(|span| 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
        ConfigurationError::Toml {
            path: path.to_owned(),
            line: line.unwrap_or(1),
            reason: error.message().to_owned(),
        }
    })?;
    let mut options = Options::default();
    read_table(path, "", &table, &mut options)?;
    Ok(options)
}

fn read_table(path: &Path, section: &str, table: &Table, options: &mut Options) -> Result<(), ConfigurationError> {
    for (key, value) in table {
        let name = match section.is_empty() {
            true => key.clone(),
            false => format!("{section}.{key}"),
        };
        let known = keys::names().find(|known| *known == name);
        match (known, value) {
            (None, Value::Table(inner)) => read_table(path, &name, inner, options)?,
            (None, _) => {
                let (path, nearest) = (path.to_owned(), keys::nearest(&name));
                return Err(ConfigurationError::UnknownKey { path, name, nearest });
            }
            (Some(known), value) => {
                keys::set_toml(options, known, value).map_err(|form| ConfigurationError::Value {
                    place: format!("{name} in {}", path.display()),
                    found: value.to_string(),
                    form,
                })?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Options, ConfigurationError> {
        parse(Path::new("sealdrop.toml"), text)
    }

    #[test]
    fn a_key_that_there_is_not_is_refused_with_the_nearest() {
        let refused = parsed("[chain]\nblocktime = \"1s\"\n").expect_err("it is misspelt");
        assert!(
            matches!(&refused, ConfigurationError::UnknownKey { name, nearest: Some("chain.blockTime"), .. } if name == "chain.blocktime"),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("chain.blockTime"), "{refused}");
        let refused = parsed("colour = 1\n").expect_err("there is no such key");
        assert!(matches!(refused, ConfigurationError::UnknownKey { nearest: None, .. }));
        let refused = parsed("[chian]\npublic = true\n").expect_err("there is no such section");
        assert!(matches!(
            refused,
            ConfigurationError::UnknownKey {
                nearest: Some("chain.public"),
                ..
            }
        ));
    }

    #[test]
    fn a_value_of_another_form_is_refused_with_the_form() {
        for text in [
            "[chain]\nport = \"4403\"\n",
            "[chain]\nport = 70000\n",
            "chain = { listen = \"127.0.0.1:1\" }\n",
            "[mining]\ntakesDeals = \"perhaps\"\n",
            "[chain.port]\nx = 1\n",
        ] {
            let refused = parsed(text).expect_err("it has another form");
            assert!(
                matches!(refused, ConfigurationError::Value { .. }),
                "{text}: {refused:?}"
            );
        }
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let refused = parsed("[chain]\npublic = yes\n").expect_err("it is no TOML");
        assert!(
            matches!(refused, ConfigurationError::Toml { line: 2, .. }),
            "{refused:?}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_does_not_end_is_not_read_to_its_end() {
        let refused = read(Path::new("/dev/zero"));
        assert!(
            matches!(refused, Err(ConfigurationError::TooLong { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        fs::write(&path, "home = \"here\"\nparams = \"/there\"\n").unwrap();
        let options = read(&path).expect("it is right");
        assert_eq!(options.place.home, Some(dir.path().join("here")));
        assert_eq!(options.proofs.params, Some("/there".into()));
    }
}
