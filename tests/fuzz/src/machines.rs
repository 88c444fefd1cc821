//! Deals, proofs and the inputs of the machines of a deal and of a sector.

use crate::Script;
use cid::Cid;
use shared::chain::keys::cid_of_bytes;
use shared::chain::{Address, AttoFil, ChannelId, Epoch};
use shared::client::testing::{draft, key};
use shared::deal::{ClientDeal, ClientInput, Draft, MinerInput, ProofInfo, SignedProposal};
use shared::payment::ChannelFacts;
use shared::piece::{padded_for, Commitment, InclusionProof, SectorLayout, SectorSize};
use shared::sector::{SectorInput, SectorPiece};
use shared::wire::cbor::Bytes;
use std::sync::OnceLock;

/// Deals of every kind: free ones, of one and of several vouchers, and one whose vouchers say what a miner that asks for nothing
/// would not review.
pub fn proposals() -> &'static [(Draft, SignedProposal)] {
    static ALL: OnceLock<Vec<(Draft, SignedProposal)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let kinds = [(0, 900), (2, 500), (2, 2500), (u128::from(u64::MAX), 1001)];
        let mut all: Vec<_> = kinds.map(|(price, duration)| signed(draft(price, duration))).into();
        let (draft, mut odd) = signed(draft(2, 2500));
        for voucher in odd.proposal.payment.vouchers.iter_mut().flatten() {
            voucher.valid_at = Epoch(u64::MAX);
            voucher.condition = None;
        }
        all.push((draft, odd.proposal.sign(&key(1))));
        all
    })
}

fn signed(draft: Draft) -> (Draft, SignedProposal) {
    let mut deal = ClientDeal::new(draft.clone());
    if draft.total().is_some_and(|total| total > AttoFil::ZERO) {
        let (channel, message) = (ChannelId(9), cid_of_bytes(b"message"));
        deal.handle(ClientInput::ChannelOpened { channel, message })
            .expect("it was drafted");
    }
    (draft, deal.sign(&key(1)).expect("a schedule"))
}

/// What a miner may send as the proof of its sector: of the deals' piece, of another, without an inclusion proof, and with one that
/// is none.
pub fn proofs() -> &'static [ProofInfo] {
    static ALL: OnceLock<Vec<ProofInfo>> = OnceLock::new();
    ALL.get_or_init(|| {
        let good = proof_of(Commitment([7; 32]));
        let mut bare = good.clone();
        bare.piece_inclusion_proof = None;
        let mut broken = good.clone();
        broken.piece_inclusion_proof = Some(Bytes(vec![1, 2, 3]));
        vec![good, proof_of(Commitment([8; 32])), bare, broken]
    })
}

fn proof_of(comm_p: Commitment) -> ProofInfo {
    let mut layout = SectorLayout::new(SectorSize::S2KiB);
    let place = padded_for(1000).expect("it is small");
    layout.place(place, comm_p).expect("there is room");
    let proof = InclusionProof::prove(&layout, 0).expect("it is there");
    ProofInfo {
        sector_id: 1,
        comm_d: layout.comm_d(),
        comm_r: Commitment([2; 32]),
        comm_r_star: Commitment([3; 32]),
        commitment_message: cid_of_bytes(b"commit"),
        piece_inclusion_proof: Some(Bytes(proof.to_bytes())),
    }
}

/// One of few commitments, the deals' among them.
pub fn commitment(script: &mut Script) -> Commitment {
    Commitment([7 + script.below(2); 32])
}

/// One of few ids.
pub fn cid(script: &mut Script) -> Cid {
    cid_of_bytes(&[script.below(8)])
}

/// Anything that may happen to a miner's deal.
pub fn miner_input(script: &mut Script) -> MinerInput {
    match script.below(10) {
        0..=1 => MinerInput::PieceReceived {
            comm_p: commitment(script),
        },
        2 => MinerInput::TransferFailed,
        3 => MinerInput::WrongData,
        4 => MinerInput::Placed {
            sector: script.below(3).into(),
        },
        5 => MinerInput::PlacingFailed,
        6 => MinerInput::Evicted {
            reason: script.text(16),
        },
        7 => MinerInput::Committed {
            proof: proofs()[usize::from(script.below(4))].clone(),
        },
        8 => MinerInput::SectorFailed {
            sector: script.below(3).into(),
        },
        _ => MinerInput::Ended {
            height: Epoch(script.number()),
        },
    }
}

/// Anything that may happen to a sector.
pub fn sector_input(script: &mut Script) -> SectorInput {
    match script.below(20) {
        0..=1 => SectorInput::PieceAdded(SectorPiece {
            deal: cid(script),
            data_cid: cid(script),
            size: script.number(),
            comm_p: commitment(script),
        }),
        2 => SectorInput::PieceEvicted { deal: cid(script) },
        3 => SectorInput::Close,
        4 => SectorInput::TicketDrawn {
            epoch: Epoch(script.number()),
            ticket: [script.byte(); 32],
        },
        5 => SectorInput::PreCommit1Done {
            output: script.bytes(8).to_vec(),
        },
        6 => SectorInput::PreCommit2Done {
            comm_d: commitment(script),
            comm_r: commitment(script),
            comm_c: commitment(script),
        },
        7 => SectorInput::PreCommitted {
            seed_epoch: Epoch(script.number()),
        },
        8 => SectorInput::SealExpired { reason: script.text(8) },
        9 => SectorInput::SeedDrawn {
            seed: [script.byte(); 32],
        },
        10 => SectorInput::Commit1Done {
            output: script.bytes(8).to_vec(),
        },
        11 => SectorInput::Commit2Done {
            proof: script.bytes(8).to_vec(),
        },
        12 => SectorInput::Committed {
            message: cid(script),
            height: Epoch(script.number()),
        },
        13 => SectorInput::DealsEnded,
        14 => SectorInput::Dropped {
            height: Epoch(script.number()),
        },
        15 => SectorInput::FilesDeleted,
        16 => SectorInput::Lost { reason: script.text(8) },
        17 => match script.chance() {
            true => SectorInput::RetryOrdered,
            false => SectorInput::GivenUp,
        },
        18 => SectorInput::Abandoned { reason: script.text(8) },
        _ => SectorInput::StepFailed { reason: script.text(8) },
    }
}

/// A channel as the chain might have it.
pub fn channel(script: &mut Script) -> ChannelFacts {
    let amount = u128::from(script.number()) << (script.byte() & 63);
    let redeemed = amount.checked_shr(script.below(128).into()).unwrap_or_default();
    let agreed = script.number();
    ChannelFacts {
        target: owner(),
        amount: AttoFil(amount),
        amount_redeemed: AttoFil(redeemed),
        eol: Epoch(match script.chance() {
            true => agreed,
            false => script.number().min(agreed),
        }),
        agreed_eol: Epoch(agreed),
        session: None,
    }
}

fn owner() -> Address {
    static OWNER: OnceLock<Address> = OnceLock::new();
    OWNER.get_or_init(|| key(2).address()).clone()
}
