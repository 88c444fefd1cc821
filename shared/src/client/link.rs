//! The link that opens the page at a miner: `https://PAGE/#/miner=t2…&chain=https://chain.example/rpc`.
//!
//! Everything is in the fragment, which a browser sends to no server: the page's own files may lie anywhere. The miner's
//! command line and its operator's page print a link (and draw it as a QR code), the page reads it. A link is a stranger's
//! word: the page shows a chain that it does not know before it asks that chain anything, and a miner counts only when
//! the chain knows it.
//!
//! Names that are not known are passed over, so that a later version may add some; a name that stands twice is refused, since
//! two readers could take different ones.

use crate::chain::address::{Address, AddressError};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// Longest link that is read, in bytes: page, chain and miner, each percent-encoded. A QR code of it can still be read off a screen.
pub const MAX_LINK: usize = 2048;
/// Longest URL of a chain or of a page, in bytes.
pub const MAX_URL: usize = 512;
/// Most parameters of a link: those known here, and some of later versions.
const MAX_PARAMETERS: usize = 16;

const MINER: &str = "miner";
const CHAIN: &str = "chain";

/// Why a link or a URL in it is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("the link is longer than {MAX_LINK} bytes")]
    TooLong,
    #[error("the link has more than {MAX_PARAMETERS} parameters")]
    TooMany,
    #[error("the link names its {0} twice")]
    Twice(&'static str),
    #[error("the link is damaged: a `%` is not followed by two hexadecimal digits of UTF-8")]
    Escape,
    #[error("the link's miner is no address: {0}")]
    Miner(AddressError),
    #[error("the link names neither a miner nor a chain")]
    Empty,
    #[error("the URL is longer than {MAX_URL} bytes")]
    UrlLength,
    #[error("a URL starts with http:// or https://")]
    Scheme,
    #[error("a URL names a host: letters, digits, dots and hyphens, or an IPv6 address in brackets; no user name")]
    Host,
    #[error("the URL's port is no number from 1 to 65535")]
    Port,
    #[error("the URL has a character that has no place there: give it percent-encoded")]
    Character,
    #[error("a page's URL has no `#`: the link puts its own there")]
    Fragment,
}

/// A checked URL with scheme `http` or `https`, without user name and fragment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct HttpUrl(String);

impl HttpUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is asked over it can be read and changed on the way.
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http://")
    }

    /// Host and port as they stand, with the brackets of an IPv6 address: what a person is asked about.
    pub fn authority(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?']).next().unwrap_or_default()
    }
}

impl FromStr for HttpUrl {
    type Err = LinkError;

    /// Scheme and host are brought to lower case; the rest stays as it is.
    fn from_str(text: &str) -> Result<Self, LinkError> {
        if text.len() > MAX_URL {
            return Err(LinkError::UrlLength);
        }
        let (scheme, rest) = text.split_once("://").ok_or(LinkError::Scheme)?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            return Err(LinkError::Scheme);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        check_authority(authority)?;
        match path.chars().find(|c| !in_path(*c)) {
            Some('#') => return Err(LinkError::Fragment),
            Some(_) => return Err(LinkError::Character),
            None => {}
        }
        Ok(Self(format!("{scheme}://{}{path}", authority.to_ascii_lowercase())))
    }
}

/// What RFC 3986 lets stand in a path or a query. A backslash, which browsers take for a slash, is not among it.
fn in_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%/?".contains(c)
}

fn check_authority(authority: &str) -> Result<(), LinkError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (address, port) = inner.split_once(']').ok_or(LinkError::Host)?;
            address.parse::<core::net::Ipv6Addr>().map_err(|_| LinkError::Host)?;
            (None, port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at_checked(end).ok_or(LinkError::Host)?;
            (Some(host), port)
        }
    };
    let is_name = |host: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        !host.is_empty() && host.chars().all(fits)
    };
    if !host.is_none_or(is_name) {
        return Err(LinkError::Host);
    }
    let digits =
        |port: &str| port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    match port.strip_prefix(':') {
        Some(port) if digits(port) => Ok(()),
        None if port.is_empty() => Ok(()),
        _ => Err(LinkError::Port),
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for HttpUrl {
    type Error = LinkError;

    fn try_from(text: String) -> Result<Self, LinkError> {
        text.parse()
    }
}

impl From<HttpUrl> for String {
    fn from(url: HttpUrl) -> Self {
        url.0
    }
}

/// What a link names: a miner, the chain to ask about it, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Link {
    /// The miner to store with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miner: Option<Address>,
    /// The chain's JSON-RPC endpoint; without it the one that the page knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<HttpUrl>,
}

impl Link {
    /// Reads a link, or only what stands behind its `#`. `None` when it is a place within the page, or the page alone.
    pub fn parse(text: &str) -> Result<Option<Self>, LinkError> {
        if text.len() > MAX_LINK {
            return Err(LinkError::TooLong);
        }
        let fragment = text.split_once('#').map_or(text, |(_, fragment)| fragment);
        let fragment = fragment.trim_start_matches('/').trim_start_matches('?');
        let (mut miner, mut chain) = (None, None);
        for (number, parameter) in fragment.split('&').enumerate() {
            if number >= MAX_PARAMETERS {
                return Err(LinkError::TooMany);
            }
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                MINER => once(MINER, &mut miner, unescaped(value)?)?,
                CHAIN => once(CHAIN, &mut chain, unescaped(value)?)?,
                _ => {}
            }
        }
        if miner.is_none() && chain.is_none() {
            return Ok(None);
        }
        let miner = miner.map(|text| text.parse().map_err(LinkError::Miner)).transpose()?;
        let chain = chain.map(|text| text.parse()).transpose()?;
        Ok(Some(Self { miner, chain }))
    }

    /// The fragment with its `#`: what stands behind the page's own URL.
    pub fn fragment(&self) -> String {
        let miner = self.miner.as_ref().map(|miner| format!("{MINER}={miner}"));
        let chain = self.chain.as_ref();
        let chain = chain.map(|chain| format!("{CHAIN}={}", escaped(chain.as_str())));
        let parameters: Vec<String> = miner.into_iter().chain(chain).collect();
        format!("#/{}", parameters.join("&"))
    }

    /// The whole link: this at a page.
    pub fn at(&self, page: &HttpUrl) -> Result<String, LinkError> {
        if self.miner.is_none() && self.chain.is_none() {
            return Err(LinkError::Empty);
        }
        let path = page
            .as_str()
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains('/'));
        // A page without a path has the path `/`.
        let slash = if path { "" } else { "/" };
        let link = format!("{page}{slash}{}", self.fragment());
        match link.len() <= MAX_LINK {
            true => Ok(link),
            false => Err(LinkError::TooLong),
        }
    }
}

/// Notes a parameter's value, which may stand there once.
fn once(name: &'static str, slot: &mut Option<String>, value: String) -> Result<(), LinkError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(LinkError::Twice(name)),
    }
}

/// Percent-encoded, but for what neither ends a parameter nor is changed on the way through mails and chats.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn unescaped(text: &str) -> Result<String, LinkError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = bytes.next().map(char::from)?;
            digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())
        };
        let (high, low) = (digit().ok_or(LinkError::Escape)?, digit().ok_or(LinkError::Escape)?);
        out.push(high << 4 | low);
    }
    String::from_utf8(out).map_err(|_| LinkError::Escape)
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fragment())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn miner() -> Address {
        Address::actor(&Address::id(100), 7)
    }

    fn url(text: &str) -> HttpUrl {
        text.parse().unwrap()
    }

    fn link() -> Link {
        Link {
            miner: Some(miner()),
            chain: Some(url("https://chain.example:4403/rpc")),
        }
    }

    #[test]
    fn a_link_is_read_as_it_was_printed() {
        let page = url("https://page.example/store/");
        let chains = [
            "https://chain.example/rpc",
            "http://[2001:db8::1]:4403/rpc",
            "http://127.0.0.1:4403/rpc?a=b&c=%20+d",
        ];
        for chain in chains {
            let link = Link {
                chain: Some(url(chain)),
                ..link()
            };
            let text = link.at(&page).unwrap();
            assert_eq!(Link::parse(&text), Ok(Some(link.clone())), "{text}");
            assert_eq!(Link::parse(&link.fragment()), Ok(Some(link)));
        }
    }

    #[test]
    fn a_link_says_what_it_is_for() {
        let text = link().at(&url("https://page.example")).unwrap();
        let miner = miner();
        assert_eq!(
            text,
            format!("https://page.example/#/miner={miner}&chain=https://chain.example:4403/rpc")
        );
    }

    #[test]
    fn a_link_may_name_a_miner_or_a_chain_alone() {
        let alone = Link { chain: None, ..link() };
        assert_eq!(Link::parse(&format!("#/miner={}", miner())), Ok(Some(alone)));
        let alone = Link { miner: None, ..link() };
        assert_eq!(Link::parse("#/chain=https://chain.example:4403/rpc"), Ok(Some(alone)));
        let none = Link {
            miner: None,
            chain: None,
        };
        assert_eq!(none.at(&url("https://page.example")), Err(LinkError::Empty));
    }

    #[test]
    fn a_place_within_the_page_is_no_link() {
        for place in [
            "",
            "#",
            "#/",
            "#/deals",
            "#/deal/bafy=",
            "https://page.example/",
            "#/other=1&more=2",
        ] {
            assert_eq!(Link::parse(place), Ok(None), "{place}");
        }
    }

    #[test]
    fn unknown_parameters_are_passed_over_and_double_ones_are_refused() {
        let text = format!("{}&later=1", link().fragment());
        assert_eq!(Link::parse(&text), Ok(Some(link())));
        let text = format!("{}&chain=https://evil.example/rpc", link().fragment());
        assert_eq!(Link::parse(&text), Err(LinkError::Twice(CHAIN)));
        let text = format!("{0}&{0}", vec!["a=b"; MAX_PARAMETERS].join("&"));
        assert_eq!(Link::parse(&text), Err(LinkError::TooMany));
    }

    #[test]
    fn a_damaged_link_is_refused_with_its_reason() {
        assert_eq!(Link::parse(&"a".repeat(MAX_LINK + 1)), Err(LinkError::TooLong));
        let mistyped = format!("#/miner={}", miner().to_string().to_uppercase());
        assert!(matches!(Link::parse(&mistyped), Err(LinkError::Miner(_))));
        assert!(matches!(Link::parse("#/miner="), Err(LinkError::Miner(_))));
        for damaged in ["#/chain=https%3", "#/chain=%G0", "#/chain=%FF", "#/chain=%+1"] {
            assert_eq!(Link::parse(damaged), Err(LinkError::Escape), "{damaged}");
        }
    }

    #[test]
    fn only_the_url_of_a_web_server_is_a_chain() {
        let refused = |text: &str| text.parse::<HttpUrl>().unwrap_err();
        for text in [
            "",
            "chain.example",
            "javascript://x/",
            "file:///etc/passwd",
            "ws://chain.example",
        ] {
            assert_eq!(refused(text), LinkError::Scheme, "{text}");
        }
        for text in [
            "http://",
            "http:///rpc",
            "http://user@chain.example/",
            "http://good.example\\@evil.example/",
            "http://chain example/",
            "http://[::1/",
            "http://[chain]/",
            "http://ch\u{e4}in.example/",
        ] {
            assert_eq!(refused(text), LinkError::Host, "{text}");
        }
        for text in [
            "http://a:0/",
            "http://a:65536/",
            "http://a:/",
            "http://a:+1/",
            "http://[::1]x/",
            "http://a:b@c/",
        ] {
            assert_eq!(refused(text), LinkError::Port, "{text}");
        }
        for text in [
            "http://a/\\b",
            "http://a/ b",
            "http://a/\nb",
            "http://a/<b>",
            "http://a/\u{e4}",
        ] {
            assert_eq!(refused(text), LinkError::Character, "{text}");
        }
        assert_eq!(refused("http://a/#/miner=x"), LinkError::Fragment);
        assert_eq!(
            refused(&format!("http://a/{}", "b".repeat(MAX_URL))),
            LinkError::UrlLength
        );
    }

    #[test]
    fn scheme_and_host_are_read_in_any_case() {
        assert_eq!(url("HTTPS://Chain.Example/RPC").as_str(), "https://chain.example/RPC");
        assert_eq!(url("http://[::1]:4403/rpc").authority(), "[::1]:4403");
        assert_eq!(url("https://chain.example?x").authority(), "chain.example");
        assert!(url("http://a").is_plain() && !url("https://a").is_plain());
    }
}
