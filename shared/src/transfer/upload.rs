//! A deal's piece over HTTP: the side that has it sends, in the shape of Curio's MK20 upload sessions (design §10).
//!
//! 1. `POST /uploads/{deal}` opens a session, or opens it again. The body is a [`SignedOpening`]: the payer of the deal shows
//!    that it is the one. The answer is a [`SessionView`]: a token for what follows, the chunks' size, and which are missing.
//! 2. `PUT /uploads/{deal}/nodes`: the interior nodes of the file's DAG ([`write_nodes`]), where they are missing. A file of one
//!    leaf has none. Only with them can anything else be checked.
//! 3. `PUT /uploads/{deal}/{n}`: the chunks, in any order and several at once. A chunk is [`CHUNK_LEAVES`] leaves, the last may be
//!    shorter. Each leaf is checked against its CID before anything of the chunk is kept.
//! 4. `GET /uploads/{deal}` says again what is missing.
//! 5. `POST /uploads/{deal}/finalize`: the piece is checked as a whole, and the deal goes on as if it had been pulled.
//!
//! Everything may be sent twice. An answer to a chunk promises nothing: what is missing after a restart is what the session says
//! when it is opened again. Over libp2p and over HTTP the same leaves are kept ([`super::LeafSet`]), one way at a time. What goes
//! wrong is told as an [`UploadProblem`]. Which way a client goes is decided in `client::uploading`.

use super::known_dag::KnownDag;
use super::leaf_set::LeafSet;
use crate::chain::{Address, Epoch, SecretKey, Signature};
use crate::piece::node::{node_cid, MAX_NODE_BYTES};
use crate::piece::DagShape;
use crate::wire::cbor::cbor_map;
use crate::wire::encode;
use crate::wire::frame::{frame, next_frame, FrameError};
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cid::Cid;
use core::ops::Range;
use serde::{Deserialize, Serialize};

/// Leaves of a chunk: enough that a request's cost does not show, and as many as the widest hashing takes side by side at half its
/// lanes; few enough that a broken one costs little.
pub const CHUNK_LEAVES: u64 = 8;
/// Bytes of an opening, at most: an address, two CIDs, a number and a signature take fewer than 350.
pub const MAX_OPENING: usize = 1024;
/// Blocks for which an opening holds, at most: it needs to live for one request, and whoever overheard it can send right bytes
/// only.
pub const LONGEST_OPENING: u64 = 1000;
/// Blocks for which a client's opening holds: at 200 ms a block, twenty seconds.
pub const USUAL_OPENING: u64 = 100;
/// Ranges of missing chunks in an answer, at most; the first ones. The largest piece has 4064 chunks.
pub const MAX_RANGES: usize = 256;
/// The path of all sessions.
pub const PATH: &str = "/uploads";
/// What an opening is signed for, so that it can never be taken for another signed thing.
const PURPOSE: &str = "sealdrop/upload/1";

/// What the payer of a deal signs to send its piece: this deal, to this miner, on this network, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    purpose: String,
    /// The network's genesis id.
    pub network: Cid,
    pub miner: Address,
    /// The deal's id.
    pub deal: Cid,
    /// The last height at which it holds.
    pub until: Epoch,
}
cbor_map!(Opening {
    "deal" => deal, "miner" => miner, "until" => until, "network" => network, "purpose" => purpose,
});

/// An opening with the signature of the deal's payer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOpening {
    pub opening: Opening,
    pub signature: Signature,
}
cbor_map!(SignedOpening { "opening" => opening, "signature" => signature });

/// Why an opening is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    #[error("it is signed for another purpose, not for an upload")]
    Purpose,
    #[error("it is for another network, {0}")]
    Network(Cid),
    #[error("it is for another miner, {0}")]
    Miner(Address),
    #[error("it is for another deal, {0}")]
    Deal(Cid),
    #[error("it held until block {until}, and this is block {height}")]
    Expired { until: Epoch, height: Epoch },
    #[error("it holds until block {until}, which is more than {LONGEST_OPENING} blocks from block {height}")]
    TooLong { until: Epoch, height: Epoch },
    #[error("it is not signed by the deal's payer, {0}")]
    Signature(Address),
}

impl Opening {
    /// For a deal whose payer is about to send its piece, at `height`.
    pub fn new(network: Cid, miner: Address, deal: Cid, height: Epoch) -> Self {
        Self {
            purpose: PURPOSE.to_owned(),
            network,
            miner,
            deal,
            until: height.plus(USUAL_OPENING),
        }
    }

    /// Signs it with the key that signed the deal: its payer's, or its channel's session key.
    pub fn sign(self, key: &SecretKey) -> SignedOpening {
        let signature = key.sign(&encode(&self));
        SignedOpening {
            opening: self,
            signature,
        }
    }
}

/// What an opening is held against.
#[derive(Debug, Clone, Copy)]
pub struct OpeningContext<'a> {
    pub network: &'a Cid,
    pub miner: &'a Address,
    pub deal: &'a Cid,
    /// Who signed the deal's proposal, which was reviewed: its payer, or its channel's session key.
    pub signer: &'a Address,
    pub height: Epoch,
}

impl SignedOpening {
    /// Whether the signer of this deal signed it for this miner and network, and it still holds.
    pub fn review(&self, context: &OpeningContext<'_>) -> Result<(), OpeningError> {
        let (opening, height) = (&self.opening, context.height);
        let until = opening.until;
        if opening.purpose != PURPOSE {
            return Err(OpeningError::Purpose);
        }
        if opening.network != *context.network {
            return Err(OpeningError::Network(opening.network));
        }
        if opening.miner != *context.miner {
            return Err(OpeningError::Miner(opening.miner.clone()));
        }
        if opening.deal != *context.deal {
            return Err(OpeningError::Deal(opening.deal));
        }
        if until < height {
            return Err(OpeningError::Expired { until, height });
        }
        if until > height.plus(LONGEST_OPENING) {
            return Err(OpeningError::TooLong { until, height });
        }
        match self.signature.verifies(&encode(opening), context.signer) {
            true => Ok(()),
            false => Err(OpeningError::Signature(context.signer.clone())),
        }
    }
}

/// How a file is cut for an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    size: u64,
    shape: DagShape,
}

impl Chunks {
    /// Of a file of `size` bytes.
    pub fn new(size: u64) -> Self {
        Self::with_shape(size, DagShape::STANDARD)
    }

    /// For files of a shape that is not the usual one: tests have such.
    pub fn with_shape(size: u64, shape: DagShape) -> Self {
        Self { size, shape }
    }

    /// Bytes of every chunk but the last.
    pub fn chunk_bytes(&self) -> u64 {
        self.shape.leaf_bytes().saturating_mul(CHUNK_LEAVES)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.shape.leaves(self.size).div_ceil(CHUNK_LEAVES)
    }

    /// The leaves of a chunk; `None` behind the last.
    pub fn leaves(&self, chunk: u64) -> Option<Range<u64>> {
        let first = chunk.checked_mul(CHUNK_LEAVES)?;
        let end = first.saturating_add(CHUNK_LEAVES).min(self.shape.leaves(self.size));
        (first < end).then_some(first..end)
    }

    /// The bytes of a chunk within the file; `None` behind the last.
    pub fn bytes(&self, chunk: u64) -> Option<Range<u64>> {
        let leaves = self.leaves(chunk)?;
        let place = |leaf: u64| leaf.saturating_mul(self.shape.leaf_bytes()).min(self.size);
        Some(place(leaves.start)..place(leaves.end))
    }

    /// The chunks of which a leaf is missing, as ranges, at most [`MAX_RANGES`] of them; and whether there are more.
    pub fn missing(&self, kept: &LeafSet) -> (Vec<Range<u64>>, bool) {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for chunk in 0..self.count() {
            if self.leaves(chunk).is_none_or(|leaves| kept.contains_all(leaves)) {
                continue;
            }
            let (is_full, end) = (ranges.len() == MAX_RANGES, chunk.saturating_add(1));
            match ranges.last_mut() {
                Some(last) if last.end == chunk => last.end = end,
                _ if is_full => return (ranges, true),
                _ => ranges.push(chunk..end),
            }
        }
        (ranges, false)
    }

    /// Bytes of the body with all nodes, at most.
    pub fn most_nodes_bytes(&self) -> u64 {
        let nodes = self.shape.nodes(self.size);
        nodes.saturating_mul((MAX_NODE_BYTES as u64).saturating_add(4))
    }
}

/// The body that carries a DAG's nodes: each with its length in front, in any order. Their CIDs follow from them.
pub fn write_nodes<'a>(nodes: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, FrameError> {
    let mut body = Vec::new();
    for node in nodes {
        body.extend(frame(node, MAX_NODE_BYTES)?);
    }
    Ok(body)
}

/// Reads such a body; `None` when it ends in the middle of a node, or a node is longer than any can be.
pub fn read_nodes(body: &[u8]) -> Option<Vec<(Cid, Vec<u8>)>> {
    let (mut nodes, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let range = next_frame(rest, MAX_NODE_BYTES).ok()??;
        let node = rest.get(range.clone())?;
        nodes.push((node_cid(node), node.to_vec()));
        rest = rest.get(range.end..)?;
    }
    Some(nodes)
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SessionState {
    /// Something is missing, or the piece waits to be finalized.
    Open,
    /// The miner has the piece, checked; the deal has gone on.
    Received,
}

/// What a miner says of a session, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    pub state: SessionState,
    /// For the header `Authorization: Bearer …` of everything that follows; only in the answer to `POST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Bytes of every chunk but the last.
    pub chunk_bytes: u64,
    pub chunks: u64,
    /// Whether the DAG's nodes are to be sent first.
    pub nodes_missing: bool,
    /// Chunks of which something is missing: each the first, and the one behind the last.
    pub missing: Vec<(u64, u64)>,
    /// Whether there are more of them.
    pub more_missing: bool,
}

impl SessionView {
    /// Of an upload that stands so.
    pub fn open(dag: &KnownDag, kept: &LeafSet, token: Option<String>) -> Self {
        let chunks = Chunks::new(dag.size());
        let (missing, more_missing) = chunks.missing(kept);
        Self {
            state: SessionState::Open,
            token,
            chunk_bytes: chunks.chunk_bytes(),
            chunks: chunks.count(),
            nodes_missing: !dag.is_complete(),
            missing: missing.into_iter().map(|range| (range.start, range.end)).collect(),
            more_missing,
        }
    }

    /// Of a piece of `size` bytes that is whole here already, and waits to be finalized.
    pub fn whole(size: u64, token: Option<String>) -> Self {
        Self {
            state: SessionState::Open,
            token,
            ..Self::received(size)
        }
    }

    /// Of a deal whose piece of `size` bytes the miner has.
    pub fn received(size: u64) -> Self {
        let chunks = Chunks::new(size);
        Self {
            state: SessionState::Received,
            token: None,
            chunk_bytes: chunks.chunk_bytes(),
            chunks: chunks.count(),
            nodes_missing: false,
            missing: Vec::new(),
            more_missing: false,
        }
    }

    /// Whether the piece can be finalized.
    pub fn is_whole(&self) -> bool {
        !self.nodes_missing && self.missing.is_empty()
    }
}

/// Why a request of an upload is not done, by stable codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UploadCode {
    /// The path or the body is not what it should be.
    BadRequest,
    /// The opening was not taken.
    NotAuthorised,
    /// There is no session with this token: it ended, or the miner was started again.
    NoSession,
    /// The miner has no such deal.
    UnknownDeal,
    /// The deal was refused, has failed or has ended.
    DealOver,
    /// The DAG's nodes come first.
    NodesMissing,
    /// Something is still missing; the answer says what.
    Incomplete,
    /// The file has no such chunk.
    NoSuchChunk,
    /// The body's length is not declared, or another one than the chunk's.
    WrongLength,
    /// A leaf is another one than the file's; nothing of the chunk was kept.
    WrongBytes,
    /// None of the nodes is one that is missing.
    WrongNodes,
    /// The data CID stands for something that is no file of the deal's size; the deal has failed.
    NotAFile,
    /// The body came too slowly.
    TooSlow,
    /// There is no room for it now; later there may be.
    Busy,
    /// The miner's disk is full.
    NoRoom,
    /// The miner could not do its part.
    Internal,
}

impl UploadCode {
    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotAuthorised | Self::NoSession => 401,
            Self::UnknownDeal | Self::NoSuchChunk => 404,
            Self::TooSlow => 408,
            Self::DealOver | Self::NodesMissing | Self::Incomplete => 409,
            Self::WrongLength => 411,
            Self::WrongBytes | Self::WrongNodes | Self::NotAFile => 422,
            Self::Internal => 500,
            Self::Busy => 503,
            Self::NoRoom => 507,
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::BadRequest => "See the documentation of uploads for what each request carries.",
            Self::NotAuthorised => "Sign a new opening with the key of the deal's payer.",
            Self::NoSession => "Open the session again with POST; what was kept is not sent again.",
            Self::UnknownDeal => "Propose the deal first, and send its piece when it is accepted.",
            Self::DealOver => "Make a new deal.",
            Self::NodesMissing => "PUT the nodes of the file's DAG first.",
            Self::Incomplete => "PUT the chunks that are missing, then finalize again.",
            Self::NoSuchChunk => "Chunks are numbered from 0; the session says how many there are.",
            Self::WrongLength => "Send the whole chunk, with its Content-Length.",
            Self::WrongBytes => {
                "Look whether the file is still the one that the deal was made of, and send the chunk again."
            }
            Self::WrongNodes => "Send the interior nodes of the deal's own file.",
            Self::NotAFile => "Make a new deal, with the CID and the size of the same file.",
            Self::TooSlow => "Send the chunk again, or fewer of them at once.",
            Self::Busy => "Try again after a moment.",
            Self::NoRoom => "Try again later, or choose another miner.",
            Self::Internal => "Try again later; the miner's log says what is wrong.",
        }
    }
}

/// What went wrong, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadProblem {
    pub code: UploadCode,
    pub message: String,
    pub hint: String,
    /// After how long to try again, in milliseconds, where that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
    /// With [`UploadCode::Incomplete`] and [`UploadCode::NodesMissing`]: how the session stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionView>,
}

impl UploadProblem {
    /// With the code's own hint.
    pub fn new(code: UploadCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: code.hint().to_string(),
            retry_ms: None,
            session: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::keys::cid_of_bytes;
    use crate::deal::{Proposal, QuoteRequest, SignedProposal};
    use crate::payment::PaymentVoucher;
    use crate::piece::unixfs::test_data;
    use crate::piece::DagBuilder;
    use crate::wire::decode;

    fn payer() -> SecretKey {
        SecretKey::from_bytes(&[1; 32]).expect("a valid key")
    }

    fn opening() -> Opening {
        Opening::new(
            cid_of_bytes(b"genesis"),
            Address::id(1000),
            cid_of_bytes(b"deal"),
            Epoch(7),
        )
    }

    fn review(signed: &SignedOpening, height: u64) -> Result<(), OpeningError> {
        let (network, deal) = (cid_of_bytes(b"genesis"), cid_of_bytes(b"deal"));
        let (miner, signer) = (Address::id(1000), payer().address());
        signed.review(&OpeningContext {
            network: &network,
            miner: &miner,
            deal: &deal,
            signer: &signer,
            height: Epoch(height),
        })
    }

    #[test]
    fn the_payer_opens_an_upload_of_its_deal_with_its_miner_on_its_network() {
        let signed = opening().sign(&payer());
        let read: SignedOpening = decode(&encode(&signed)).expect("canonical");
        assert_eq!(read, signed);
        assert_eq!(review(&read, 7), Ok(()));
        assert!(encode(&signed).len() < MAX_OPENING / 2);
        let (network, deal) = (cid_of_bytes(b"other"), cid_of_bytes(b"another"));
        for (change, expected) in [
            (
                Opening {
                    purpose: "sealdrop/upload/2".into(),
                    ..opening()
                },
                OpeningError::Purpose,
            ),
            (Opening { network, ..opening() }, OpeningError::Network(network)),
            (
                Opening {
                    miner: Address::id(1001),
                    ..opening()
                },
                OpeningError::Miner(Address::id(1001)),
            ),
            (Opening { deal, ..opening() }, OpeningError::Deal(deal)),
        ] {
            assert_eq!(review(&change.sign(&payer()), 7), Err(expected));
        }
    }

    #[test]
    fn an_opening_holds_from_a_thousand_blocks_before_its_last_one_to_that_one() {
        let signed = opening().sign(&payer());
        let until = Epoch(7 + USUAL_OPENING);
        assert_eq!(review(&signed, until.0), Ok(()));
        let height = Epoch(until.0 + 1);
        assert_eq!(review(&signed, height.0), Err(OpeningError::Expired { until, height }));
        let until = Epoch(7 + LONGEST_OPENING);
        let long = Opening { until, ..opening() }.sign(&payer());
        assert_eq!(review(&long, 7), Ok(()));
        let height = Epoch(6);
        assert_eq!(review(&long, 6), Err(OpeningError::TooLong { until, height }));
        let for_ever = Opening {
            until: Epoch(u64::MAX),
            ..opening()
        };
        assert!(matches!(
            review(&for_ever.sign(&payer()), 7),
            Err(OpeningError::TooLong { .. })
        ));
    }

    #[test]
    fn another_key_or_a_changed_opening_is_refused() {
        let other = SecretKey::from_bytes(&[2; 32]).expect("a valid key");
        let refused = Err(OpeningError::Signature(payer().address()));
        assert_eq!(review(&opening().sign(&other), 7), refused);
        let mut changed = opening().sign(&payer());
        changed.opening.until = Epoch(8);
        assert_eq!(review(&changed, 7), refused);
    }

    #[test]
    fn an_opening_is_no_other_signed_thing_and_no_other_is_an_opening() {
        let bytes = encode(&opening());
        assert!(decode::<Proposal>(&bytes).is_err() && decode::<PaymentVoucher>(&bytes).is_err());
        assert!(decode::<QuoteRequest>(&bytes).is_err());
        assert!(decode::<crate::chain::MeteredMessage>(&bytes).is_err());
        assert!(decode::<SignedProposal>(&encode(&opening().sign(&payer()))).is_err());
        let text = core::str::from_utf8(PURPOSE.as_bytes()).expect("text");
        let is_named = bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(is_named, "what is signed names its purpose");
    }

    #[test]
    fn chunks_are_eight_leaves_and_cover_the_file_once() {
        let leaf = DagShape::STANDARD.leaf_bytes();
        for (size, count) in [
            (1, 1),
            (8 * leaf, 1),
            (8 * leaf + 1, 2),
            (100_000_000, 12),
            (34_091_302_912, 4064),
        ] {
            let chunks = Chunks::new(size);
            assert_eq!(chunks.count(), count, "{size}");
            let mut end = 0;
            for chunk in 0..count {
                let bytes = chunks.bytes(chunk).expect("a chunk");
                assert_eq!(bytes.start, end);
                assert!(bytes.end == size || bytes.end - bytes.start == chunks.chunk_bytes());
                end = bytes.end;
            }
            assert_eq!(end, size);
            assert_eq!((chunks.bytes(count), chunks.leaves(u64::MAX)), (None, None));
        }
    }

    #[allow(clippy::single_range_in_vec_init, reason = "a range is meant")]
    #[test]
    fn a_chunk_is_missing_until_its_last_leaf_is_here() {
        let chunks = Chunks::with_shape(35, DagShape::small(1, 3));
        let mut kept = LeafSet::none(35);
        assert_eq!(chunks.missing(&kept), ([0..5].to_vec(), false));
        (8..16).chain(32..35).for_each(|leaf| kept.insert(leaf));
        assert_eq!(chunks.missing(&kept), ([0..1, 2..4].to_vec(), false));
        (0..7).for_each(|leaf| kept.insert(leaf));
        assert_eq!(chunks.missing(&kept).0, [0..1, 2..4]);
        kept.insert(7);
        assert_eq!(chunks.missing(&kept).0, [2..4]);
        assert_eq!(chunks.missing(&LeafSet::first(35, 35)), ([].to_vec(), false));
    }

    #[test]
    fn the_list_of_missing_chunks_is_bounded_and_says_that_there_are_more() {
        let leaves = 2 * CHUNK_LEAVES * (MAX_RANGES as u64 + 1);
        let chunks = Chunks::with_shape(leaves, DagShape::small(1, 3));
        let mut kept = LeafSet::none(leaves);
        (0..leaves)
            .filter(|leaf| leaf / CHUNK_LEAVES % 2 == 1)
            .for_each(|leaf| kept.insert(leaf));
        let (ranges, more) = chunks.missing(&kept);
        assert_eq!((ranges.len(), more), (MAX_RANGES, true));
        assert_eq!(
            ranges.last(),
            Some(&(2 * MAX_RANGES as u64 - 2..2 * MAX_RANGES as u64 - 1))
        );
    }

    #[test]
    fn nodes_read_back_and_a_body_that_ends_in_the_middle_is_refused() {
        let shape = DagShape::small(4, 3);
        let mut dag = DagBuilder::with_shape(shape);
        dag.push(&test_data(130)).expect("short");
        let dag = dag.finish().expect("a file");
        let body = write_nodes(dag.nodes.iter().map(|(_, bytes)| bytes.as_slice())).expect("nodes");
        assert!(body.len() as u64 <= Chunks::with_shape(130, shape).most_nodes_bytes());
        assert_eq!(read_nodes(&body), Some(dag.nodes));
        assert_eq!(read_nodes(&[]), Some([].to_vec()));
        assert_eq!(read_nodes(&body[..body.len() - 1]), None);
        assert_eq!(read_nodes(&[0xff, 0xff, 0xff, 0xff, 0x0f]), None);
        assert!(write_nodes([[0; MAX_NODE_BYTES + 1].as_slice()]).is_err());
    }
}
