//! A deal's receipt: everything that shows it, in one small file that is checked without any chain, miner or client.
//!
//! Made by [`super::gather`], read by whoever got it from anybody. Canonical DAG-CBOR; a version that is not known is refused. The envelope
//! is read as a whole or not at all; what is wrong in an artefact is found when its step is judged.

use super::artefact::{Artefact, ArtefactKind};
use crate::chain::light::AnchorError;
use crate::wire::cbor::decode_bounded;
use crate::wire::cbor::{cbor_map, Bytes, Cbor, DecodeError, Value};
use crate::wire::encode;
use alloc::vec::Vec;
use cid::Cid;

/// Longest receipt that is read: one of a paid deal for a year has some 200 kB, nearly all of it vouchers; proofs over the most sectors that
/// a miner may have take the rest.
pub const MAX_RECEIPT: usize = 4 * 1024 * 1024;
/// Most artefacts of a receipt.
pub const MAX_ARTEFACTS: usize = 64;
/// Most artefacts of a kind that there may be several of.
pub const MAX_REPEATED: usize = 16;
/// Most CBOR items of the envelope: three an artefact, and the fields.
const MAX_ITEMS: usize = 4 * MAX_ARTEFACTS + 64;
/// Version of the format.
pub const VERSION: u64 = 1;
/// What a receipt's file is called at its end.
pub const EXTENSION: &str = "receipt";

/// Why bytes are no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("a receipt has at most {MAX_RECEIPT} bytes, not {0}")]
    TooLong(usize),
    #[error("this is no receipt: {0}")]
    Encoding(#[from] DecodeError),
    #[error("the receipt has version {found}, and this program knows version {VERSION}; use a newer one")]
    Version { found: u64 },
    #[error("a receipt has at most {MAX_ARTEFACTS} artefacts, and {MAX_REPEATED} of a kind")]
    TooMany,
    #[error("the receipt has an artefact of a kind that this program does not know: {0}")]
    Kind(u64),
    #[error("the receipt has two artefacts of the kind {0:?}, of which a deal has one")]
    Repeated(ArtefactKind),
    #[error("the artefacts of a receipt stand in the order of their kinds")]
    Order,
    #[error("the receipt lacks the signed proposal, which everything else in it hangs on")]
    NoProposal,
    #[error("the network's genesis record in the receipt: {0}")]
    Anchor(#[from] AnchorError),
}

/// What shows a deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The network, by its genesis id.
    pub genesis: Cid,
    /// The genesis record, whose hash the id is: names the authority, the network's rules and the digest of its verifying keys. Without it,
    /// what the chain says is its word.
    pub record: Option<Bytes>,
    /// By kind; those of one kind in the order of their blocks.
    pub artefacts: Vec<Artefact>,
}

struct Envelope {
    version: u64,
    genesis: Cid,
    record: Option<Bytes>,
    artefacts: Vec<(u64, Bytes)>,
}
cbor_map!(Envelope {
    "version" => version, "genesis" => genesis, "record" => record, "artefacts" => artefacts,
});

/// Of a receipt of any version.
struct Version(u64);

impl Cbor for Version {
    fn to_value(&self) -> Value {
        self.0.to_value()
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let fields = value.into_map().map_err(|_| DecodeError::Type { expected: "a map" })?;
        let version = fields.into_iter().find(|(key, _)| key.as_text() == Some("version"));
        let missing = DecodeError::MissingKey {
            of: "Receipt",
            key: "version",
        };
        u64::from_value(version.ok_or(missing)?.1).map(Self)
    }
}

impl Receipt {
    /// The first artefact of a kind.
    pub fn artefact(&self, kind: ArtefactKind) -> Option<&Artefact> {
        self.artefacts.iter().find(|artefact| artefact.kind == kind)
    }

    /// All artefacts of a kind, with their positions.
    pub fn all(&self, kind: ArtefactKind) -> impl Iterator<Item = (usize, &Artefact)> {
        let all = self.artefacts.iter().enumerate();
        all.filter(move |(_, artefact)| artefact.kind == kind)
    }

    /// The receipt as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let artefacts = self.artefacts.iter();
        encode(&Envelope {
            version: VERSION,
            genesis: self.genesis,
            record: self.record.clone(),
            artefacts: artefacts
                .map(|artefact| (artefact.kind as u64, Bytes(artefact.bytes.clone())))
                .collect(),
        })
    }

    /// Reads a file from anybody.
    ///
    /// # Errors
    /// Why it is no receipt. Artefacts are not looked into: see [`super::Inspection`].
    pub fn read(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > MAX_RECEIPT {
            return Err(ReceiptError::TooLong(bytes.len()));
        }
        let envelope: Envelope = match decode_bounded(bytes, MAX_ITEMS) {
            Ok(envelope) => envelope,
            Err(error) => return Err(other_version(bytes, &error).unwrap_or(error.into())),
        };
        if envelope.version != VERSION {
            let found = envelope.version;
            return Err(ReceiptError::Version { found });
        }
        if envelope.artefacts.len() > MAX_ARTEFACTS {
            return Err(ReceiptError::TooMany);
        }
        let artefact = |(number, bytes): (u64, Bytes)| match ArtefactKind::of_number(number) {
            Some(kind) => Ok(Artefact { kind, bytes: bytes.0 }),
            None => Err(ReceiptError::Kind(number)),
        };
        let artefacts: Vec<Artefact> = envelope.artefacts.into_iter().map(artefact).collect::<Result<_, _>>()?;
        check_order(&artefacts)?;
        let Envelope { genesis, record, .. } = envelope;
        Ok(Self {
            genesis,
            record,
            artefacts,
        })
    }
}

/// A receipt of another version may have other fields: what was counted, and well-formed, and not understood, is asked for its version.
fn other_version(bytes: &[u8], error: &DecodeError) -> Option<ReceiptError> {
    use DecodeError::{Invalid, MissingKey, Type, UnknownKey};
    if !matches!(
        error,
        Invalid { .. } | MissingKey { .. } | Type { .. } | UnknownKey { .. }
    ) {
        return None;
    }
    let value: Value = ciborium::de::from_reader_with_recursion_limit(bytes, 8).ok()?;
    let Version(found) = Version::from_value(value).ok()?;
    (found != VERSION).then_some(ReceiptError::Version { found })
}

fn check_order(artefacts: &[Artefact]) -> Result<(), ReceiptError> {
    let pairs = artefacts.iter().zip(artefacts.iter().skip(1));
    for (before, after) in pairs {
        if before.kind > after.kind {
            return Err(ReceiptError::Order);
        }
        if before.kind == after.kind && !after.kind.is_repeated() {
            return Err(ReceiptError::Repeated(after.kind));
        }
    }
    if artefacts.iter().all(|artefact| artefact.kind != ArtefactKind::Proposal) {
        return Err(ReceiptError::NoProposal);
    }
    let of = |kind: ArtefactKind| artefacts.iter().filter(|artefact| artefact.kind == kind).count();
    match ArtefactKind::ALL.iter().any(|kind| of(*kind) > MAX_REPEATED) {
        true => Err(ReceiptError::TooMany),
        false => Ok(()),
    }
}
