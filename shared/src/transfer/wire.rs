//! The transfer's messages and their bytes.
//!
//! Request: kind (0 node, 1 bytes), root CID (36 bytes), then the node's CID (36 bytes), or offset and length (8 and 4
//! bytes, little-endian). Response: kind 0 and the data, or kind 1, a refusal code and a short text. Decoders are strict
//! and refuse a frame by its declared length, before its body is kept.

use crate::piece::node::{read_cid, CID_BYTES};
use crate::wire::frame::{frame, next_frame, FrameError};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use cid::Cid;

/// File bytes in a response, at most; also what the puller asks for at a time (design §10).
pub const MAX_DATA: usize = 256 * 1024;
/// Bytes of a request's body, at most.
pub const MAX_REQUEST: usize = 256;
/// Bytes of a response's body, at most.
pub const MAX_RESPONSE: usize = MAX_DATA + 64;
/// Bytes of a refusal's text, at most: long enough for a sentence, short enough to be kept in a log.
pub const MAX_TEXT: usize = 200;

const KIND_NODE: u8 = 0;
const KIND_BYTES: u8 = 1;
const KIND_DATA: u8 = 0;
const KIND_UNAVAILABLE: u8 = 1;

/// Why a message cannot be read or written. When reading, the peer is to blame and the stream is useless from there on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("transfer message: {0}")]
    Frame(#[from] FrameError),
    #[error("a transfer message is empty")]
    Empty,
    #[error("a transfer message is of unknown kind {kind}")]
    UnknownKind { kind: u8 },
    #[error("a transfer message has {found} bytes where {expected} belong")]
    WrongLength { expected: usize, found: usize },
    #[error("a transfer message names a block that is no version 1 CID of a raw leaf or a dag-pb node by SHA-256")]
    WrongCid,
    #[error("a request asks for {len} bytes; ask for 1 to {MAX_DATA}")]
    RangeLength { len: u32 },
    #[error("a response carries {size} bytes; 1 to {MAX_DATA} are allowed")]
    DataLength { size: usize },
    #[error("a refusal's text is longer than {MAX_TEXT} bytes, no UTF-8, or has control characters")]
    Text,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An interior node of the DAG.
    Node(Cid),
    /// File bytes; `len` is 1 to [`MAX_DATA`].
    Bytes { offset: u64, len: u32 },
}

/// One question of the side that lacks the piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The piece, by its UnixFS root.
    pub root: Cid,
    pub target: Target,
}

/// Why the other side does not answer with data. The numbers go over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// 1: it does not have this piece.
    UnknownPiece,
    /// 2: the piece has no such node.
    UnknownNode,
    /// 3: the range is not within the file.
    OutOfRange,
    /// 4: try later.
    Busy,
    /// 5: it could not read the bytes; a page may have lost its file.
    ReadFailed,
    /// Any other number: from a newer peer.
    Other(u8),
}

impl RefusalCode {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::UnknownPiece => 1,
            Self::UnknownNode => 2,
            Self::OutOfRange => 3,
            Self::Busy => 4,
            Self::ReadFailed => 5,
            Self::Other(number) => number,
        }
    }

    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::UnknownPiece,
            2 => Self::UnknownNode,
            3 => Self::OutOfRange,
            4 => Self::Busy,
            5 => Self::ReadFailed,
            other => Self::Other(other),
        }
    }

    /// What it means, for the refusal's text.
    pub fn text(self) -> &'static str {
        match self {
            Self::UnknownPiece => "this piece is not here",
            Self::UnknownNode => "the piece has no such node",
            Self::OutOfRange => "the range is not within the file",
            Self::Busy => "too many transfers are under way; try later",
            Self::ReadFailed => "the bytes could not be read",
            Self::Other(_) => "refused",
        }
    }
}

/// One answer of the side that has the piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The node's bytes or the file's bytes, exactly what was asked for.
    Data(Vec<u8>),
    Unavailable {
        code: RefusalCode,
        text: String,
    },
}

impl Request {
    /// The framed message. Fails with [`WireError::WrongCid`] or [`WireError::RangeLength`] for what no peer accepts.
    pub fn to_frame(&self) -> Result<Vec<u8>, WireError> {
        let mut body = Vec::with_capacity(1 + 2 * CID_BYTES);
        let kind = match self.target {
            Target::Node(_) => KIND_NODE,
            Target::Bytes { .. } => KIND_BYTES,
        };
        body.push(kind);
        body.extend_from_slice(&cid_bytes(&self.root)?);
        match self.target {
            Target::Node(cid) => body.extend_from_slice(&cid_bytes(&cid)?),
            Target::Bytes { offset, len } => {
                check_range(len)?;
                body.extend_from_slice(&offset.to_le_bytes());
                body.extend_from_slice(&len.to_le_bytes());
            }
        }
        Ok(frame(&body, MAX_REQUEST)?)
    }

    /// Reads a message's body.
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        let (&kind, rest) = body.split_first().ok_or(WireError::Empty)?;
        let target_bytes = match kind {
            KIND_NODE => CID_BYTES,
            KIND_BYTES => 12,
            kind => return Err(WireError::UnknownKind { kind }),
        };
        let (expected, found) = ((1 + CID_BYTES).saturating_add(target_bytes), body.len());
        if found != expected {
            return Err(WireError::WrongLength { expected, found });
        }
        let (root, target) = rest.split_at(CID_BYTES);
        let root = read_cid(root).ok_or(WireError::WrongCid)?;
        let target = match target.split_first_chunk::<8>() {
            Some((offset, len)) if kind == KIND_BYTES => {
                let len = len.try_into().expect("12 bytes without 8 are 4");
                let (offset, len) = (u64::from_le_bytes(*offset), u32::from_le_bytes(len));
                check_range(len)?;
                Target::Bytes { offset, len }
            }
            _ => Target::Node(read_cid(target).ok_or(WireError::WrongCid)?),
        };
        Ok(Self { root, target })
    }

    /// Takes the first whole request out of what was read; `None` when more bytes are needed.
    pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Self>, WireError> {
        take_frame(buffer, MAX_REQUEST, Self::from_body)
    }
}

impl Response {
    /// The refusal with its usual text.
    pub fn refusal(code: RefusalCode) -> Self {
        let text = code.text().to_owned();
        Self::Unavailable { code, text }
    }

    /// The framed message. Fails with [`WireError::DataLength`] or [`WireError::Text`] for what no peer accepts.
    pub fn to_frame(&self) -> Result<Vec<u8>, WireError> {
        let mut body;
        match self {
            Self::Data(bytes) => {
                check_data(bytes.len())?;
                body = Vec::with_capacity(bytes.len().saturating_add(1));
                body.push(KIND_DATA);
                body.extend_from_slice(bytes);
            }
            Self::Unavailable { code, text } => {
                if text.len() > MAX_TEXT {
                    return Err(WireError::Text);
                }
                body = Vec::with_capacity(text.len().saturating_add(2));
                body.extend_from_slice(&[KIND_UNAVAILABLE, code.number()]);
                body.extend_from_slice(text.as_bytes());
            }
        }
        Ok(frame(&body, MAX_RESPONSE)?)
    }

    /// Reads a message's body.
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        match body {
            [] => Err(WireError::Empty),
            [KIND_DATA, data @ ..] => {
                check_data(data.len())?;
                Ok(Self::Data(data.to_vec()))
            }
            [KIND_UNAVAILABLE, number, text @ ..] if text.len() <= MAX_TEXT => {
                let text = core::str::from_utf8(text).map_err(|_| WireError::Text)?;
                // The text ends up in logs and on terminals.
                if text.chars().any(char::is_control) {
                    return Err(WireError::Text);
                }
                Ok(Self::Unavailable {
                    code: RefusalCode::from_number(*number),
                    text: text.to_owned(),
                })
            }
            [KIND_UNAVAILABLE] => Err(WireError::WrongLength { expected: 2, found: 1 }),
            [KIND_UNAVAILABLE, ..] => Err(WireError::Text),
            [kind, ..] => Err(WireError::UnknownKind { kind: *kind }),
        }
    }

    /// Takes the first whole response out of what was read; `None` when more bytes are needed.
    pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Self>, WireError> {
        take_frame(buffer, MAX_RESPONSE, Self::from_body)
    }
}

fn take_frame<T>(
    buffer: &mut Vec<u8>,
    limit: usize,
    read: impl Fn(&[u8]) -> Result<T, WireError>,
) -> Result<Option<T>, WireError> {
    let Some(body) = next_frame(buffer, limit)? else {
        return Ok(None);
    };
    let Some(message) = buffer.get(body.clone()).map(read).transpose()? else {
        return Ok(None);
    };
    buffer.drain(..body.end);
    Ok(Some(message))
}

fn cid_bytes(cid: &Cid) -> Result<Vec<u8>, WireError> {
    let bytes = cid.to_bytes();
    match read_cid(&bytes) {
        Some(_) => Ok(bytes),
        None => Err(WireError::WrongCid),
    }
}

fn check_range(len: u32) -> Result<(), WireError> {
    match len as usize {
        1..=MAX_DATA => Ok(()),
        _ => Err(WireError::RangeLength { len }),
    }
}

fn check_data(size: usize) -> Result<(), WireError> {
    match size {
        1..=MAX_DATA => Ok(()),
        _ => Err(WireError::DataLength { size }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::node::{cid_of, node_cid, raw_cid};
    use alloc::vec;

    fn requests() -> [Request; 2] {
        let root = node_cid(b"root");
        let (offset, len) = (1 << 40, MAX_DATA as u32);
        [Target::Node(raw_cid(b"leaf")), Target::Bytes { offset, len }].map(|target| Request { root, target })
    }

    #[test]
    fn messages_read_back_from_a_stream_cut_anywhere() {
        for request in requests() {
            let frame = request.to_frame().unwrap();
            let mut buffer = Vec::new();
            for (i, byte) in frame.iter().enumerate() {
                assert_eq!(Request::take(&mut buffer), Ok(None), "{i}");
                buffer.push(*byte);
            }
            buffer.push(0xee);
            assert_eq!(Request::take(&mut buffer), Ok(Some(request)));
            assert_eq!(buffer, [0xee]);
        }
        for response in [
            Response::Data(vec![7; MAX_DATA]),
            Response::Data(vec![1]),
            Response::refusal(RefusalCode::Busy),
            Response::refusal(RefusalCode::Other(77)),
        ] {
            let mut buffer = response.to_frame().unwrap();
            buffer.extend(response.to_frame().unwrap());
            for _ in 0..2 {
                assert_eq!(Response::take(&mut buffer), Ok(Some(response.clone())));
            }
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_request_of_another_length_kind_or_cid_is_refused() {
        for request in requests() {
            let frame = request.to_frame().unwrap();
            let body = &frame[1..];
            for cut in 1..body.len() {
                assert!(matches!(
                    Request::from_body(&body[..cut]),
                    Err(WireError::WrongLength { .. })
                ));
            }
            let mut bad = body.to_vec();
            bad[0] = 2;
            let kind = WireError::UnknownKind { kind: 2 };
            assert_eq!(Request::from_body(&bad), Err(kind));
            for at in 1..5 {
                bad = body.to_vec();
                bad[at] ^= 0x80;
                assert_eq!(Request::from_body(&bad), Err(WireError::WrongCid));
            }
        }
        assert_eq!(Request::from_body(&[]), Err(WireError::Empty));
        let root = cid_of(0x71, &[0; 32]);
        let request = Request { root, ..requests()[1] };
        assert_eq!(request.to_frame(), Err(WireError::WrongCid));
    }

    #[test]
    fn a_range_of_no_or_too_many_bytes_is_refused() {
        for len in [0, MAX_DATA as u32 + 1, u32::MAX] {
            let target = Target::Bytes { offset: 0, len };
            let request = Request {
                target,
                ..requests()[1]
            };
            assert_eq!(request.to_frame(), Err(WireError::RangeLength { len }));
            let mut body = requests()[1].to_frame().unwrap()[1..].to_vec();
            body[45..].copy_from_slice(&len.to_le_bytes());
            assert_eq!(Request::from_body(&body), Err(WireError::RangeLength { len }));
        }
    }

    #[test]
    fn a_response_over_a_bound_is_refused() {
        for size in [0, MAX_DATA + 1] {
            let data = Response::Data(vec![0; size]);
            assert_eq!(data.to_frame(), Err(WireError::DataLength { size }));
            let body = vec![0; size + 1];
            assert_eq!(Response::from_body(&body), Err(WireError::DataLength { size }));
        }
        let long = [1].repeat(MAX_TEXT + 3);
        assert_eq!(Response::from_body(&long), Err(WireError::Text));
        for text in [0xff, 0x1b] {
            assert_eq!(Response::from_body(&[1, 1, text]), Err(WireError::Text));
        }
        let kind = WireError::UnknownKind { kind: 9 };
        assert_eq!(Response::from_body(&[9, 9]), Err(kind));
        let mut huge = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(
            Response::take(&mut huge),
            Err(WireError::Frame(FrameError::TooLarge { .. }))
        ));
    }
}
