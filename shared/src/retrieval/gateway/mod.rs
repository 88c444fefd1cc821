//! The trustless gateway (`GET /ipfs/{cid}`): what a request asks for, by the IPFS specification of that name (2026-03-05).
//!
//! [`Request::parse`] reads path, query and `Accept` ([`accept`]) into a block or a CAR of a part of a DAG ([`entity`]); [`Walk`] says which
//! blocks that part has, in which order, from the nodes that the host reads for it, and [`car`] frames them. A client believes
//! nothing of what it gets: each block is held against its CID. Called by the miner's HTTP listener, which reads the blocks.

pub mod accept;
pub mod car;
pub mod entity;
mod query;
mod walk;

pub use accept::{CarForm, Format};
pub use entity::EntityBytes;
pub use walk::{verify_block, Walk, WalkError, Wanted, MAX_REMEMBERED};

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use cid::Cid;
use query::Query;

/// Longest text read as a CID: SHA-512 in base 16 has 140 characters.
const MAX_CID_TEXT: usize = 256;
/// Longest query: a few parameters, and a file's name.
const MAX_QUERY: usize = 4096;
/// Longest name that a client chooses for what it downloads, in bytes, as file systems take.
const MAX_FILENAME: usize = 255;
/// Multihash code of what is its own hash.
const IDENTITY: u64 = 0;

/// Why a request is not answered with what it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    #[error("{text:?} is no CID: {reason}")]
    Cid { text: String, reason: String },
    #[error("the query has {bytes} bytes, more than {MAX_QUERY}")]
    Query { bytes: usize },
    #[error("{name}={value:?} is malformed; give {form}")]
    Parameter {
        name: &'static str,
        value: String,
        form: &'static str,
    },
    #[error("this gateway gives blocks and CARs only: add ?format=raw or ?format=car, or send Accept: application/vnd.ipld.raw or application/vnd.ipld.car")]
    NoFormat,
    #[error("a block has no path below it: ask for /ipfs/{{cid}}?format=raw")]
    PathOfBlock,
    #[error("there is no {path:?} below it: what is stored here are files, and folders are lists of them that the client keeps")]
    NoSuchPath { path: String },
    #[error("{0} is not given here, only raw, and car of version 1 in the order dfs")]
    Unsupported(String),
    #[error("a CAR without duplicates is made of at most {MAX_REMEMBERED} blocks, and this would have {blocks}: ask with dups=y, or for a part with entity-bytes")]
    TooManyToRemember { blocks: u64 },
    #[error("entity-bytes={asked} lies outside of the {size} bytes")]
    OutOfEntity { asked: EntityBytes, size: u64 },
}

impl GatewayError {
    /// The HTTP status that says so.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unsupported(_) | Self::TooManyToRemember { .. } => 406,
            Self::NoSuchPath { .. } => 404,
            _ => 400,
        }
    }
}

/// Which part of the DAG a CAR has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The root alone.
    Block,
    /// What the file is read from, or these bytes of it.
    Entity(EntityBytes),
    /// Everything below the root.
    All,
}

impl Scope {
    /// Its name in an `ETag`.
    fn tag(self) -> String {
        match self {
            Self::Block => "block".to_owned(),
            Self::Entity(bytes) => format!("entity.{bytes}"),
            Self::All => "all".to_owned(),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub cid: Cid,
    /// As it was written: names in headers are the client's own.
    pub text: String,
    pub format: Format,
    /// Of a CAR.
    pub scope: Scope,
    /// Whether the form was chosen by `Accept` alone, so that the answer names a URL that chooses it, too.
    pub by_accept: bool,
    filename: Option<String>,
    /// What the path has behind the CID; may be empty.
    below: String,
}

impl Request {
    /// Reads a request: `path` is what follows `/ipfs/`, still percent-encoded, as the query is.
    pub fn parse(path: &str, query: &str, accept: Option<&str>) -> Result<Self, GatewayError> {
        if query.len() > MAX_QUERY {
            return Err(GatewayError::Query { bytes: query.len() });
        }
        // Decoded part by part: an encoded slash parts nothing.
        let (text, below) = path.split_once('/').unwrap_or((path, ""));
        let (text, below) = (query::decode_path(text), query::decode_path(below));
        let cid = read_cid(&text)?;
        let query = Query::of(query);
        let (format, by_accept) = accept::negotiate(&query, accept)?;
        if format == Format::Raw && !below.is_empty() {
            return Err(GatewayError::PathOfBlock);
        }
        let scope = match format {
            Format::Raw => Scope::Block,
            Format::Car(_) => scope(&query)?,
        };
        let filename = query.get("filename").filter(|name| !name.is_empty());
        Ok(Self {
            cid,
            text: text.into_owned(),
            format,
            scope,
            by_accept,
            filename: filename.map(|name| short(&name, MAX_FILENAME)),
            below: below.trim_end_matches('/').to_owned(),
        })
    }

    /// Fails where the path goes below the root: no file has anything there. Asked once the root is known to be here.
    pub fn check_path(&self) -> Result<(), GatewayError> {
        match self.below.is_empty() {
            true => Ok(()),
            false => Err(GatewayError::NoSuchPath {
                path: short(&self.below, MAX_FILENAME),
            }),
        }
    }

    /// The bytes of a CID that is made of them, such as `bafkqaaa`, by which a client finds out that this is a gateway.
    pub fn identity(&self) -> Option<&[u8]> {
        let hash = self.cid.hash();
        (hash.code() == IDENTITY).then(|| hash.digest())
    }

    /// Whether a CAR has a block each time that it occurs: as it is asked for, and each once unless it is. Fails for more blocks than are
    /// remembered for that.
    pub fn duplicates(&self, blocks: u64) -> Result<bool, GatewayError> {
        let Format::Car(form) = self.format else {
            return Ok(false);
        };
        match form.duplicates {
            Some(true) => Ok(true),
            _ if blocks > MAX_REMEMBERED => Err(GatewayError::TooManyToRemember { blocks }),
            _ => Ok(false),
        }
    }

    /// `Content-Type` of the answer.
    pub fn content_type(&self) -> &'static str {
        match self.format {
            Format::Raw => "application/vnd.ipld.raw",
            Format::Car(form) if form.duplicates == Some(true) => {
                "application/vnd.ipld.car; version=1; order=dfs; dups=y"
            }
            Format::Car(_) => "application/vnd.ipld.car; version=1; order=dfs; dups=n",
        }
    }

    /// The `ETag`, quotes included: of this CID in this form and scope.
    pub fn etag(&self) -> String {
        match self.format {
            Format::Raw => format!("\"{}.raw\"", self.text),
            Format::Car(form) => {
                let dups = if form.duplicates == Some(true) { "y" } else { "n" };
                format!("\"{}.dups-{dups}.{}.car\"", self.scope.tag(), self.text)
            }
        }
    }

    /// `Content-Disposition`: never shown in place, and named as the client wishes, or after the CID.
    pub fn disposition(&self) -> String {
        let extension = match self.format {
            Format::Raw => "bin",
            Format::Car(_) => "car",
        };
        let name = self
            .filename
            .clone()
            .unwrap_or_else(|| format!("{}.{extension}", self.text));
        let is_plain = |c: char| c.is_ascii() && !c.is_ascii_control() && !['"', '\\', '%'].contains(&c);
        let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        match plain == name {
            true => format!("attachment; filename=\"{plain}\""),
            false => format!(
                "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
                query::encode(&name)
            ),
        }
    }

    /// Where the same answer is had without `Accept`, for `Content-Location`; `None` where the URL says it all.
    pub fn location(&self) -> Option<String> {
        if !self.by_accept {
            return None;
        }
        let path = format!("/ipfs/{}?format=", query::encode(&self.text));
        Some(match self.format {
            Format::Raw => format!("{path}raw"),
            Format::Car(form) => {
                let dups = if form.duplicates == Some(true) { "y" } else { "n" };
                let scope = match self.scope {
                    Scope::Block => "&dag-scope=block".to_owned(),
                    Scope::Entity(bytes) => format!("&dag-scope=entity&entity-bytes={bytes}"),
                    Scope::All => String::new(),
                };
                format!("{path}car&car-version=1&car-order=dfs&car-dups={dups}{scope}")
            }
        })
    }
}

fn read_cid(text: &str) -> Result<Cid, GatewayError> {
    let refused = |reason: &str| GatewayError::Cid {
        text: short(text, MAX_CID_TEXT),
        reason: reason.to_owned(),
    };
    if text.len() > MAX_CID_TEXT {
        return Err(refused("it is too long"));
    }
    // The library takes a path or an address for one, and looks at its end alone.
    if text.contains('/') {
        return Err(refused("there is a slash in it"));
    }
    Cid::try_from(text).map_err(|error| refused(&error.to_string()))
}

fn scope(query: &Query<'_>) -> Result<Scope, GatewayError> {
    let malformed = |name, value: &str, form| GatewayError::Parameter {
        name,
        value: short(value, MAX_FILENAME),
        form,
    };
    let bytes = query.get("entity-bytes").filter(|text| !text.is_empty());
    let bytes = bytes.map(|text| {
        let form = "two numbers with a colon between, such as 0:1023, -1024:* or 499:-1000";
        text.parse::<EntityBytes>()
            .map_err(|_| malformed("entity-bytes", &text, form))
    });
    let bytes = bytes.transpose()?;
    let scope = query.get("dag-scope");
    match (scope.as_deref(), bytes) {
        (None | Some("all" | ""), None) => Ok(Scope::All),
        (Some("block"), None) => Ok(Scope::Block),
        (Some("entity"), None) => Ok(Scope::Entity(EntityBytes::WHOLE)),
        // A range is one of the entity, whatever else is asked.
        (None | Some("all" | "block" | "entity" | ""), Some(bytes)) => Ok(Scope::Entity(bytes)),
        (Some(other), _) => Err(malformed("dag-scope", other, "block, entity or all")),
    }
}

/// The beginning of what a client sent, for its eyes.
fn short(text: &str, most: usize) -> String {
    let mut kept = String::new();
    for c in text.chars() {
        if kept.len().saturating_add(c.len_utf8()) > most {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests;
