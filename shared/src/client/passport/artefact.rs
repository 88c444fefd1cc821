//! What shows a step of a deal, and to which step each kind belongs: the one table that everything here goes by.
//!
//! An artefact travels as bytes of its own, so that a damaged one is the fault of its step and of no other.

use super::step::DealStep;
use crate::chain::light::{MessageProof, Path, SignedHeader};
use crate::chain::{Address, AttoFil, BytesAmount, Epoch, Receipt, Signature, SignedMessage};
use crate::deal::{SignedProposal, SignedResponse};
use crate::payment::PaymentVoucher;
use crate::piece::{Commitment, SectorSize};
use crate::wire::cbor::decode_bounded;
use crate::wire::cbor::{cbor_map, Bytes, Cbor, DecodeError};
use crate::wire::encode;
use alloc::string::String;
use alloc::vec::Vec;
use cid::Cid;
use serde::Serialize;

/// Most CBOR items of an artefact: a proof over all sectors that a miner may have, with three items each, or the most vouchers.
const MAX_ITEMS: usize = 32 * 1024;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $number:literal of $step:ident;)+) => {
        /// What an artefact is. Its number goes into receipts and never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "camelCase")]
        pub enum ArtefactKind {
            $($(#[doc = $doc])+ $kind = $number,)+
        }

        impl ArtefactKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The step that it shows, and that is wrong when it is.
            pub fn step(self) -> DealStep {
                match self {
                    $(Self::$kind => DealStep::$step,)+
                }
            }
        }
    };
}

kinds! {
    /// The list of the pieces of the file that the deal's piece is one of: [`ManifestCopy`].
    Manifest = 1 of File;
    /// What the client computed from the data: [`Piece`].
    Piece = 2 of Piece;
    /// What the client chose: [`Terms`].
    Terms = 3 of Terms;
    /// The message that opened the payment channel: [`OnChain`].
    Channel = 4 of Payment;
    /// The proposal's vouchers, a list of [`PaymentVoucher`]; signed each for itself and, within the proposal, together.
    Vouchers = 5 of Payment;
    /// The [`SignedProposal`] without its vouchers.
    Proposal = 6 of Proposal;
    /// The miner's first answer that says it takes the deal: [`Answer`].
    Accepted = 7 of Answer;
    /// The miner's answer that says it has the data: [`Answer`].
    Started = 8 of Transfer;
    /// The miner's answer that says the piece is in a sector: [`Answer`].
    Staged = 9 of Staging;
    /// The message that announced the sealed sector: [`OnChain`].
    PreCommit = 10 of Seal;
    /// The message that committed it with its proof: [`OnChain`].
    Commit = 11 of Commit;
    /// The block ticket that the replica was encoded with: [`Ticket`].
    SealTicket = 12 of Commit;
    /// The block ticket that the proof's challenges were drawn from: [`Ticket`].
    SealSeed = 13 of Commit;
    /// The miner's answer that says complete, with commitments and inclusion proof: [`Answer`].
    Complete = 14 of Inclusion;
    /// A proof-of-spacetime that covers the sector: [`Post`].
    Post = 15 of Proving;
    /// A message that paid the miner: [`OnChain`].
    Redemption = 16 of Redemption;
    /// That the data came back whole: [`Retrieved`].
    Retrieved = 17 of Retrieval;
}

impl ArtefactKind {
    /// `None` for a number that this program does not know.
    pub fn of_number(number: u64) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u64 == number)
    }

    /// Whether there may be several.
    pub fn is_repeated(self) -> bool {
        matches!(self, Self::Post | Self::Redemption)
    }
}

/// An artefact as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefact {
    pub kind: ArtefactKind,
    /// Canonical CBOR of the kind's type.
    pub bytes: Vec<u8>,
}

impl Artefact {
    pub fn of<T: Cbor>(kind: ArtefactKind, value: &T) -> Self {
        let bytes = encode(value);
        Self { kind, bytes }
    }

    /// Reads it as its kind's type.
    pub fn read<T: Cbor>(&self) -> Result<T, DecodeError> {
        decode_bounded(&self.bytes, MAX_ITEMS)
    }
}

/// A manifest with its id, so that it names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestCopy {
    pub cid: Cid,
    /// [`crate::file::Manifest`], in its byte form.
    pub manifest: Bytes,
}
cbor_map!(ManifestCopy { "cid" => cid, "manifest" => manifest });

/// What a client computes from the data alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Root of its UnixFS DAG.
    pub data_cid: Cid,
    /// Bytes.
    pub size: u64,
    pub comm_p: Commitment,
    /// CommP with the size in it (FRC-0069), as today's tools print it.
    pub piece_cid: String,
}
cbor_map!(Piece { "size" => size, "commP" => comm_p, "dataCid" => data_cid, "pieceCid" => piece_cid });

/// What a client has chosen, and reviewed with the miner's own rules before it paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub payer: Address,
    pub miner: Address,
    /// attoFIL per byte per block.
    pub price: AttoFil,
    /// Blocks.
    pub duration: u64,
    /// Bytes of the miner's sectors.
    pub sector_size: BytesAmount,
    /// Who is paid, and the height that the payments count from; `None` in a free deal.
    pub paid: Option<(Address, Epoch)>,
}
cbor_map!(Terms {
    "payer" => payer, "miner" => miner, "price" => price, "duration" => duration, "sectorSize" => sector_size,
    "paid" => paid,
});

impl Terms {
    /// `None` for a size that no sector has.
    pub fn sector(&self) -> Option<SectorSize> {
        SectorSize::from_bytes(self.sector_size.0).ok()
    }
}

/// A miner's answer, and the worker that the chain named for the miner when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub worker: Address,
    pub response: SignedResponse,
}
cbor_map!(Answer { "worker" => worker, "response" => response });

/// A message in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnChain {
    pub message: SignedMessage,
    /// Of its block.
    pub height: Epoch,
    pub receipt: Receipt,
    /// The header of the block, and the way to it from message and receipt. Without it, that it is there is the chain's word.
    pub proof: Option<(SignedHeader, Path)>,
}
cbor_map!(OnChain { "proof" => proof, "height" => height, "message" => message, "receipt" => receipt });

impl OnChain {
    /// As the chain proved it.
    pub fn proven(proof: MessageProof) -> Self {
        Self {
            height: proof.header.header.height,
            message: proof.message,
            receipt: proof.receipt,
            proof: Some((proof.header, proof.path)),
        }
    }

    /// As the chain proves it, if it does.
    pub(super) fn to_proof(&self) -> Option<MessageProof> {
        let (header, path) = self.proof.clone()?;
        Some(MessageProof {
            header,
            message: self.message.clone(),
            receipt: self.receipt.clone(),
            path,
        })
    }
}

/// What the randomness of a height is drawn from; the authority's signature over network and height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub height: Epoch,
    pub ticket: Signature,
}
cbor_map!(Ticket { "height" => height, "ticket" => ticket });

/// A proof-of-spacetime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// The submitPoSt message.
    pub message: OnChain,
    /// What it proves; `None` where the chain keeps too little to say.
    pub claim: Option<PostClaim>,
}
cbor_map!(Post { "claim" => claim, "message" => message });

/// What a proof-of-spacetime proves, beside its bytes, which are in its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostClaim {
    /// Of the window's first block.
    pub window: Ticket,
    /// Sector numbers, ascending, with their CommR.
    pub sectors: Vec<(u64, Commitment)>,
}
cbor_map!(PostClaim { "window" => window, "sectors" => sectors });

/// That all data came back, each block checked against its CID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrieved {
    pub data_cid: Cid,
    /// Bytes.
    pub size: u64,
}
cbor_map!(Retrieved { "size" => size, "dataCid" => data_cid });

/// A proposal in two artefacts: its vouchers show one step, the rest another.
pub(super) fn split(proposal: &SignedProposal) -> (SignedProposal, Option<Vec<PaymentVoucher>>) {
    let mut rest = proposal.clone();
    let vouchers = rest.proposal.payment.vouchers.take();
    (rest, vouchers)
}

/// The inverse of [`split`].
pub(super) fn join(rest: &SignedProposal, vouchers: Option<&Vec<PaymentVoucher>>) -> SignedProposal {
    let mut proposal = rest.clone();
    proposal.proposal.payment.vouchers = vouchers.cloned();
    proposal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_known_by_its_number() {
        for kind in ArtefactKind::ALL {
            assert_eq!(ArtefactKind::of_number(*kind as u64), Some(*kind));
        }
        assert_eq!(ArtefactKind::of_number(0), None);
        assert_eq!(ArtefactKind::of_number(18), None);
    }

    #[test]
    fn every_step_but_the_miners_own_check_has_an_artefact() {
        let shown = |step: &DealStep| ArtefactKind::ALL.iter().any(|kind| kind.step() == *step);
        let bare: Vec<DealStep> = DealStep::ALL.into_iter().filter(|step| !shown(step)).collect();
        assert_eq!(bare, [DealStep::Check]);
    }
}
