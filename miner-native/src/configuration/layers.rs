//! Who says what: options of the command line before the environment, that before the file, that before what is usual. Each value
//! keeps its source, so that `config show` can tell it.

use super::file::{self, FILE_NAME};
use super::options::Options;
use super::{keys, settings, ConfigurationError};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The variable that names the file.
const FILE_VARIABLE: &str = "SEALDROP_CONFIG";

/// Who says a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An option of the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Environment(String),
    /// The configuration file.
    File(PathBuf),
    /// Nobody.
    Default,
}

impl Source {
    /// Its kind, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Environment(_) => "environment",
            Self::File(_) => "file",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "option {flag}"),
            Self::Environment(variable) => write!(f, "environment, {variable}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What everybody says together.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The value of each key that somebody names.
    pub options: Options,
    sources: BTreeMap<&'static str, Source>,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
}

impl Configuration {
    /// Reads what the environment and the file say beside the command line. `asked` is the file that it names.
    pub fn gather(
        flags: Options,
        asked: Option<PathBuf>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigurationError> {
        let flags = flags.with_settings();
        let variables = of_environment(&environment)?;
        let (mut options, mut sources) = (Options::default(), BTreeMap::new());
        let mut layer = |from: &Options, source: &dyn Fn(&'static str) -> Source| {
            for name in keys::names() {
                if !sources.contains_key(name) && keys::shown(from, name).is_some() {
                    keys::take(&mut options, name, from);
                    sources.insert(name, source(name));
                }
            }
        };
        layer(&flags, &|name| Source::Flag(keys::flag(name)));
        layer(&variables, &|name| Source::Environment(keys::variable(name)));
        let named = asked.or_else(|| {
            environment(FILE_VARIABLE)
                .filter(|name| !name.is_empty())
                .map(PathBuf::from)
        });
        let home = flags.place.home.as_ref().or(variables.place.home.as_ref());
        let file = find(named, home.map(PathBuf::as_path), &environment)?;
        if let Some(path) = &file {
            layer(&file::read(path)?, &|_| Source::File(path.clone()));
        }
        let found = Self { options, sources, file };
        found.check_file_is_of_its_home()?;
        Ok(found)
    }

    /// Of a file's text alone, before it is written to `path`.
    pub fn of_text(path: &Path, text: &str) -> Result<Self, ConfigurationError> {
        let options = file::understood(path, text)?;
        let named = keys::names().filter(|name| keys::shown(&options, name).is_some());
        let found = Self {
            sources: named.map(|name| (name, Source::File(path.to_owned()))).collect(),
            options,
            file: Some(path.to_owned()),
        };
        found.check_file_is_of_its_home()?;
        Ok(found)
    }

    /// Who says a key's value.
    pub fn source(&self, name: &str) -> &Source {
        self.sources.get(name).unwrap_or(&Source::Default)
    }

    /// Every key with its value, where there is one, and who says it.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, Option<Json>, &Source)> {
        let effective = super::effective(self.options.clone());
        keys::names().map(move |name| {
            let shown = keys::shown(&effective, name).or_else(|| settings::usual(name));
            (name, shown, self.source(name))
        })
    }

    /// A file that lies in a home is about that one.
    fn check_file_is_of_its_home(&self) -> Result<(), ConfigurationError> {
        let (Some(file), Some(home), Source::File(_)) = (&self.file, &self.options.place.home, self.source("home"))
        else {
            return Ok(());
        };
        let own = file.parent().unwrap_or(Path::new(""));
        match own.join(FILE_NAME) == *file && own != home && is_home(own) {
            true => Err(ConfigurationError::OtherHome {
                file: file.clone(),
                home: home.clone(),
            }),
            false => Ok(()),
        }
    }
}

/// Whether a daemon ran in a folder.
fn is_home(dir: &Path) -> bool {
    dir.join("network.json").exists()
}

fn of_environment(environment: &impl Fn(&str) -> Option<OsString>) -> Result<Options, ConfigurationError> {
    let mut options = Options::default();
    for name in keys::names() {
        let variable = keys::variable(name);
        let Some(text) = environment(&variable).filter(|text| !text.is_empty()) else {
            continue;
        };
        keys::set_environment(&mut options, name, &text).map_err(|form| ConfigurationError::Value {
            place: format!("the environment's {variable}"),
            found: text.to_string_lossy().into_owned(),
            form,
        })?;
    }
    Ok(options)
}

/// The file that was named, or that of the home where there is one.
fn find(
    named: Option<PathBuf>,
    home: Option<&Path>,
    environment: &impl Fn(&str) -> Option<OsString>,
) -> Result<Option<PathBuf>, ConfigurationError> {
    if named.is_some() {
        return Ok(named);
    }
    let user = || environment("HOME").map(|home| PathBuf::from(home).join(".sealdrop"));
    let home = home.map(Path::to_owned).or_else(user);
    let usual = home.map(|home| home.join(FILE_NAME));
    Ok(usual.filter(|path| path.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn an_option_is_before_the_environment_and_that_before_the_file_and_that_before_what_is_usual() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE_NAME);
        fs::write(
            &file,
            "[chain]\nblockTime = \"4s\"\nport = 4\npublic = true\n[mining]\nstoragePrice = 0.5\n",
        )
        .unwrap();
        let mut flags = Options::default();
        flags.place.home = Some(dir.path().to_owned());
        flags.chain.block_time = Some(Duration::from_secs(2));
        flags.miner.auto_seal = Some(Duration::from_millis(100));
        let environment = |name: &str| match name {
            "SEALDROP_CHAIN_BLOCK_TIME" | "SEALDROP_CHAIN_PORT" => {
                Some(OsString::from(if name.ends_with("PORT") { "3" } else { "3s" }))
            }
            _ => None,
        };
        let found = Configuration::gather(flags, None, environment).expect("all of it is right");
        let value = |key: &str| {
            let (_, value, source) = found.all().find(|(name, ..)| *name == key).expect("it is a key");
            (value.map(|value| settings::plain(&value)), source.clone())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(value("chain.blockTime"), (some("2s"), Source::Flag("--block-time")));
        assert_eq!(
            value("chain.port"),
            (some("3"), Source::Environment("SEALDROP_CHAIN_PORT".into()))
        );
        assert_eq!(value("chain.public"), (some("true"), Source::File(file.clone())));
        assert_eq!(value("mining.storagePrice"), (some("0.5"), Source::File(file)));
        assert_eq!(
            value("mining.autoSealIntervalSeconds"),
            (some("0.1"), Source::Flag("--auto-seal"))
        );
        assert_eq!(value("network.name"), (some("sealdrop-devnet"), Source::Default));
        assert_eq!(value("mining.minDuration"), (some("1"), Source::Default));
    }

    #[test]
    fn a_file_that_was_named_must_be_there_and_one_that_was_not_need_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut flags = Options::default();
        flags.place.home = Some(dir.path().to_owned());
        let found = Configuration::gather(flags.clone(), None, nothing).expect("there is no file");
        assert_eq!(found.file, None);
        let refused = Configuration::gather(flags, Some(dir.path().join("none")), nothing);
        assert!(matches!(refused, Err(ConfigurationError::Read { .. })));
    }

    #[test]
    fn a_value_of_the_environment_that_is_none_is_refused_with_its_form() {
        let environment = |name: &str| (name == "SEALDROP_CHAIN_PORT").then(|| OsString::from("all"));
        let refused = Configuration::gather(Options::default(), None, environment).expect_err("it is no port");
        let text = refused.to_string();
        assert!(
            text.contains("SEALDROP_CHAIN_PORT") && text.contains("a port"),
            "{text}"
        );
    }

    #[test]
    fn a_file_in_a_home_does_not_name_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE_NAME);
        fs::write(&file, "home = \"/elsewhere\"\n").unwrap();
        assert!(Configuration::gather(Options::default(), Some(file.clone()), nothing).is_ok());
        fs::write(dir.path().join("network.json"), "{}").unwrap();
        let refused = Configuration::gather(Options::default(), Some(file), nothing);
        assert!(matches!(refused, Err(ConfigurationError::OtherHome { .. })));
    }
}
