//! What the values of keys look like: as TOML in the file, as text in the environment.

use crate::span;
use libp2p::Multiaddr;
use sealdrop_miner::alerts::Webhook;
use sealdrop_miner::logging::{parse_filter, LogError, LogFormat};
use sealdrop_miner::machines::DatabaseUrl;
use serde_json::{json, Value as Json};
use shared::chain::AttoFil;
use shared::piece::SectorSize;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Most addresses or names in one list: five transports on a few interfaces.
pub(super) const MAX_LIST: usize = 32;

/// A value of a key.
pub(super) trait Value: Sized {
    /// What one looks like.
    const FORM: &'static str;

    fn of_text(text: &str) -> Option<Self>;

    fn of_environment(text: &OsStr) -> Option<Self> {
        Self::of_text(text.to_str()?)
    }

    fn of_toml(value: &toml::Value) -> Option<Self> {
        Self::of_text(value.as_str()?)
    }

    fn shown(&self) -> Json;
}

impl Value for PathBuf {
    const FORM: &'static str = "a path";

    fn of_text(text: &str) -> Option<Self> {
        Self::of_environment(OsStr::new(text))
    }

    fn of_environment(text: &OsStr) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }

    fn shown(&self) -> Json {
        json!(self.to_string_lossy())
    }
}

impl Value for bool {
    const FORM: &'static str = "true or false";

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn of_toml(value: &toml::Value) -> Option<Self> {
        value.as_bool()
    }

    fn shown(&self) -> Json {
        json!(self)
    }
}

impl Value for u64 {
    const FORM: &'static str = "a whole number";

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn of_toml(value: &toml::Value) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }

    fn shown(&self) -> Json {
        json!(self)
    }
}

impl Value for u16 {
    const FORM: &'static str = "a port: 0 to 65535, and 0 takes any free one";

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn of_toml(value: &toml::Value) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }

    fn shown(&self) -> Json {
        json!(self)
    }
}

impl Value for LogFormat {
    const FORM: &'static str = "text or json";

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn shown(&self) -> Json {
        json!(self.to_string())
    }
}

/// Which lines a log has, in the syntax of `RUST_LOG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(pub String);

impl FromStr for LogFilter {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        parse_filter(text).map(|_| Self(text.to_owned()))
    }
}

impl Value for LogFilter {
    const FORM: &'static str = "levels of a log, such as \"info\" or \"sealdrop=debug,warn\"";

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn shown(&self) -> Json {
        json!(self.0)
    }
}

impl Value for Webhook {
    const FORM: &'static str = "a URL that begins with https:// or http://";

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Its host alone: whoever knows the rest can send there, too.
    fn shown(&self) -> Json {
        json!(self.to_string())
    }
}

impl Value for DatabaseUrl {
    const FORM: &'static str = "a database of PostgreSQL, such as \"postgres://user:password@host/database\"";

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Its place alone: it may have a password.
    fn shown(&self) -> Json {
        json!(self.to_string())
    }
}

impl Value for String {
    const FORM: &'static str = "a text";

    fn of_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn shown(&self) -> Json {
        json!(self)
    }
}

impl Value for Duration {
    const FORM: &'static str = "a span of time, such as \"200ms\", \"10s\" or \"24h\"";

    fn of_text(text: &str) -> Option<Self> {
        span::parse(text).ok()
    }

    fn shown(&self) -> Json {
        json!(span::text(*self))
    }
}

impl Value for SectorSize {
    const FORM: &'static str = "a size of sectors: \"2KiB\", \"8MiB\", \"512MiB\" or \"32GiB\"";

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn shown(&self) -> Json {
        json!(self.to_string().replace(' ', ""))
    }
}

impl Value for AttoFil {
    const FORM: &'static str = "FIL per byte per block, such as \"0.0000000001\"";

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn shown(&self) -> Json {
        json!(self.to_string())
    }
}

/// One of a list.
pub(super) trait Item: FromStr + ToString {
    const LIST: &'static str;
}

impl Item for SocketAddr {
    const LIST: &'static str = "a list of addresses with ports, such as [\"127.0.0.1:4403\", \"[::1]:4403\"]";
}

impl Item for Multiaddr {
    const LIST: &'static str =
        "a list of multiaddrs, such as [\"/ip4/0.0.0.0/tcp/4401\", \"/dns4/miner.example.org/tcp/4402/ws\"]";
}

impl Item for HostName {
    const LIST: &'static str =
        "a list of names without scheme, port and path, such as [\"chain.example.org\", \"192.0.2.7\"]";
}

impl<T: Item> Value for Vec<T> {
    const FORM: &'static str = T::LIST;

    /// Separated by commas.
    fn of_text(text: &str) -> Option<Self> {
        let items: Vec<T> = text
            .split(',')
            .map(|item| item.trim().parse().ok())
            .collect::<Option<_>>()?;
        (items.len() <= MAX_LIST).then_some(items)
    }

    fn of_toml(value: &toml::Value) -> Option<Self> {
        let items = value.as_array()?;
        let items: Vec<T> = items
            .iter()
            .map(|item| item.as_str()?.parse().ok())
            .collect::<Option<_>>()?;
        (items.len() <= MAX_LIST).then_some(items)
    }

    fn shown(&self) -> Json {
        self.iter().map(ToString::to_string).collect::<Vec<_>>().into()
    }
}

/// The name that a listener is asked by, or its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(pub String);

/// Why text is no name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host is named without scheme, port and path, such as chain.example.org or 192.0.2.7")]
pub struct NoHostName;

/// Longest name of a host in the domain name system.
const LONGEST_NAME: usize = 253;

impl FromStr for HostName {
    type Err = NoHostName;

    fn from_str(text: &str) -> Result<Self, NoHostName> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let is_address = bare.parse::<std::net::IpAddr>().is_ok();
        let is_label =
            |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let is_name = text.len() <= LONGEST_NAME && text.split('.').all(is_label);
        match is_address || is_name {
            true => Ok(Self(bare.to_ascii_lowercase())),
            false => Err(NoHostName),
        }
    }
}

impl std::fmt::Display for HostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_without_scheme_port_and_path() {
        for (given, read) in [
            ("Chain.Example.org", "chain.example.org"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("node-1", "node-1"),
        ] {
            assert_eq!(given.parse(), Ok(HostName(read.into())));
        }
        for given in [
            "",
            "http://a.example",
            "a.example:80",
            "a.example/rpc",
            "a..b",
            "*",
            "a b",
        ] {
            assert_eq!(given.parse::<HostName>(), Err(NoHostName), "{given}");
        }
    }

    #[test]
    fn a_list_is_read_from_text_and_from_toml_and_has_a_bounded_length() {
        let expected: Vec<SocketAddr> = vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()];
        assert_eq!(Value::of_text("127.0.0.1:1, [::1]:2"), Some(expected.clone()));
        let toml: toml::Value = vec!["127.0.0.1:1".to_owned(), "[::1]:2".to_owned()].into();
        assert_eq!(Value::of_toml(&toml), Some(expected));
        let long = vec!["127.0.0.1:1"; MAX_LIST + 1].join(",");
        assert_eq!(<Vec<SocketAddr> as Value>::of_text(&long), None);
    }
}
