//! A receipt opened: which proofs are in it for a verifier, and, with the verifier's verdicts, how the fifteen steps stand.

use super::anchoring;
use super::artefact::{Piece, Ticket};
use super::parts::{Parts, PlacedPost, Wrongs};
use super::receipt::Receipt;
use super::standing;
use super::step::{DealStep, StepReport, StepStanding};
use crate::chain::light::{Anchor, AnchorError};
use crate::chain::randomness::{draw, Purpose};
use crate::ports::verifier::{prover_id, SealClaim, WindowPoStClaim, DEVELOPMENT_KEYS};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cid::Cid;
use serde::Serialize;

/// Who looks at a receipt.
#[derive(Debug, Clone, Default)]
pub struct Viewpoint {
    /// Whether it is the client that made the deal: what it computed and saw itself is checked, and not claimed by a client.
    pub own: bool,
    /// What was computed from the data, where they are at hand.
    pub measured: Option<Measured>,
    /// Whether it knows the receipt's network by its genesis id. Anybody can make a network of any name.
    pub knows_network: bool,
}

/// Data that were hashed by whoever looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    pub data_cid: Cid,
    pub size: u64,
    pub comm_p: crate::piece::Commitment,
}

/// What a verifier says of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofVerdict {
    /// It holds under the verifying key with this SHA-256, in hexadecimal.
    Holds { key: String },
    /// It does not prove its claim, and why.
    Fails { reason: String },
    /// It was not checked, and why.
    Unchecked { reason: String },
}

/// The proofs of a receipt with what they claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// `None` where the receipt has too little of it.
    pub seal: Option<SealClaim>,
    /// One for each proof-of-spacetime of the receipt, in its order.
    pub posts: Vec<Option<WindowPoStClaim>>,
}

/// A verifier's verdicts on [`Claims`], in the same order. One that is missing was not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    pub seal: Option<ProofVerdict>,
    pub posts: Vec<Option<ProofVerdict>>,
}

/// What all steps come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Conclusion {
    /// Nothing is wrong, and it was checked that the piece is in a sector of the miner.
    Holds,
    /// Nothing is wrong, and what is here does not show that the piece is in a sector of the miner.
    Undecided,
    /// A step is wrong.
    Wrong,
}

/// How the steps of a deal stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Passport {
    /// The deal's id; `None` while its proposal cannot be read.
    pub deal: Option<String>,
    /// The network, by its genesis id.
    pub genesis: String,
    /// Its name, where the genesis record is there.
    pub network: Option<String>,
    /// Whether whoever looked knows the network by its genesis id, or is the client that used it.
    pub is_known_network: bool,
    /// Digest of the verifying keys that it goes by, from the genesis record.
    pub verifying_keys: Option<String>,
    pub conclusion: Conclusion,
    /// In their order, all fifteen.
    pub steps: Vec<StepReport>,
    /// What cannot be known from here, in words.
    pub limits: Vec<String>,
}

impl Passport {
    /// How a step stands.
    pub fn step(&self, step: DealStep) -> Option<&StepReport> {
        self.steps.iter().find(|report| report.step == step)
    }

    /// The steps of a standing.
    pub fn standing(&self, standing: StepStanding) -> Vec<DealStep> {
        let alike = self.steps.iter().filter(|report| report.standing == standing);
        alike.map(|report| report.step).collect()
    }
}

/// A receipt whose artefacts were held against one another.
pub struct Inspection {
    pub(super) parts: Parts,
    pub(super) wrongs: Wrongs,
    genesis: Cid,
}

impl Inspection {
    /// Opens a receipt.
    ///
    /// # Errors
    /// The genesis record that it brings is not that of its network.
    pub fn open(receipt: &Receipt) -> Result<Self, AnchorError> {
        let record = receipt.record.as_ref();
        let anchor = record
            .map(|record| Anchor::open(&receipt.genesis, &record.0))
            .transpose()?;
        let mut wrongs = Wrongs::default();
        let mut parts = Parts::read(receipt, anchor, &mut wrongs);
        let genesis = receipt.genesis;
        anchoring::check(&mut parts, &mut wrongs, &genesis);
        Ok(Self { parts, wrongs, genesis })
    }

    /// What its proofs claim, for a verifier.
    pub fn claims(&self) -> Claims {
        if !self.has_known_keys() {
            return Claims::default();
        }
        let posts = 0..self.parts.posts.len();
        Claims {
            seal: self.seal_claim(),
            posts: posts.map(|at| self.post_claim(at)).collect(),
        }
    }

    /// Whether the network's proofs are made under the keys that verifiers here have, as far as it is known.
    fn has_known_keys(&self) -> bool {
        let anchor = self.parts.anchor.as_ref();
        anchor.is_none_or(|anchor| anchor.verifying_keys() == DEVELOPMENT_KEYS)
    }

    fn seal_claim(&self) -> Option<SealClaim> {
        let parts = &self.parts;
        let miner = &parts.signed.as_ref()?.proposal.miner_address;
        let info = parts.proof_info()?;
        let proof = parts.commit.as_ref()?.on_chain.message.message().params.get(4)?;
        let drawn = |purpose, ticket: &Ticket| draw(purpose, &ticket.ticket.0, miner);
        Some(SealClaim {
            sector_size: parts.terms.as_ref()?.sector()?,
            comm_r: info.comm_r,
            comm_d: info.comm_d,
            prover_id: prover_id(miner),
            sector: info.sector_id,
            ticket: drawn(Purpose::SealTicket, parts.seal_ticket.as_ref()?),
            seed: drawn(Purpose::SealSeed, parts.seal_seed.as_ref()?),
            proof: proof.clone(),
        })
    }

    fn post_claim(&self, at: usize) -> Option<WindowPoStClaim> {
        let parts = &self.parts;
        let miner = &parts.signed.as_ref()?.proposal.miner_address;
        let (_, PlacedPost { post, .. }) = parts.posts.get(at)?;
        let claim = post.claim.as_ref()?;
        Some(WindowPoStClaim {
            sector_size: parts.terms.as_ref()?.sector()?,
            prover_id: prover_id(miner),
            randomness: draw(Purpose::WindowPoSt, &claim.window.ticket.0, miner),
            sectors: claim.sectors.clone(),
            proof: post.message.message.message().params.first()?.clone(),
        })
    }

    /// How the steps stand.
    pub fn judge(&self, verdicts: &Verdicts, view: &Viewpoint) -> Passport {
        let mut wrongs = self.wrongs.clone();
        if let Some(ProofVerdict::Fails { reason }) = &verdicts.seal {
            blame(
                &mut wrongs,
                DealStep::Commit,
                format!("the seal's proof does not hold: {reason}"),
            );
        }
        for (number, verdict) in (1..).zip(&verdicts.posts) {
            if let Some(ProofVerdict::Fails { reason }) = verdict {
                blame(
                    &mut wrongs,
                    DealStep::Proving,
                    format!("proof-of-spacetime {number} does not hold: {reason}"),
                );
            }
        }
        if let Some((step, reason)) = view.measured.as_ref().and_then(|found| self.other_data(found)) {
            blame(&mut wrongs, step, reason);
        }
        let standings = standing::Standings {
            parts: &self.parts,
            verdicts,
            view,
        };
        let report = |step: DealStep| match (wrongs.reason(step), wrongs.below(step)) {
            (Some(reason), _) => StepReport {
                step,
                standing: StepStanding::Wrong,
                detail: reason.to_string(),
                because: None,
            },
            (None, Some(because)) => StepReport {
                step,
                standing: StepStanding::Unchecked,
                detail: format!("not checked, because {because}, is wrong"),
                because: Some(because),
            },
            (None, None) => standings.report(step),
        };
        let signed = self.parts.signed.as_ref();
        let steps: Vec<StepReport> = DealStep::ALL.into_iter().map(report).collect();
        Passport {
            deal: signed.map(|signed| signed.cid().to_string()),
            genesis: self.genesis.to_string(),
            network: self.parts.anchor.as_ref().map(|anchor| anchor.network().to_string()),
            is_known_network: view.own || view.knows_network,
            verifying_keys: self
                .parts
                .anchor
                .as_ref()
                .map(|anchor| anchor.verifying_keys().to_string()),
            conclusion: conclusion(&steps),
            steps,
            limits: limits(self.parts.anchor.is_some(), view),
        }
    }

    /// Data at hand that are not the deal's.
    fn other_data(&self, found: &Measured) -> Option<(DealStep, String)> {
        let same = match (&self.parts.piece, &self.parts.signed) {
            (Some(piece), _) => {
                (piece.data_cid, piece.size, piece.comm_p) == (found.data_cid, found.size, found.comm_p)
            }
            (None, Some(signed)) => {
                let agreed = anchoring::condition_comm_p(self.parts.signed_vouchers());
                (signed.proposal.piece_ref, signed.size()) == (found.data_cid, found.size)
                    && agreed.is_none_or(|agreed| agreed == found.comm_p)
            }
            (None, None) => return None,
        };
        (!same).then(|| {
            let (bytes, root) = (found.size, found.data_cid);
            let reason = format!(
                "the data at hand are {bytes} bytes with the root {root} and commP {}",
                found.comm_p
            );
            (DealStep::Piece, reason)
        })
    }

    /// The piece as the receipt has it.
    pub fn piece(&self) -> Option<&Piece> {
        self.parts.piece.as_ref()
    }
}

fn conclusion(steps: &[StepReport]) -> Conclusion {
    let stands = |step, standing| {
        steps
            .iter()
            .any(|report| report.step == step && report.standing == standing)
    };
    let is_wrong = steps.iter().any(|report| report.standing == StepStanding::Wrong);
    match stands(DealStep::Inclusion, StepStanding::Checked) {
        _ if is_wrong => Conclusion::Wrong,
        true => Conclusion::Holds,
        false => Conclusion::Undecided,
    }
}

/// A proof that fails is the fault of its step, unless what it was checked against is wrong already.
fn blame(wrongs: &mut Wrongs, step: DealStep, reason: String) {
    if wrongs.spare(step) {
        wrongs.note(step, reason);
    }
}

fn limits(has_record: bool, view: &Viewpoint) -> Vec<String> {
    let mut limits = Vec::from([
        "The chain is a development chain of one authority: what it signs is true because it says so.",
        "Its proving keys come from a public seed: anybody who knows it can make a proof of what never was. That the data are there is shown by taking them back.",
        "A receipt tells of the past. Whether the data are stored today, it cannot say.",
    ].map(String::from));
    if !has_record {
        limits
            .push("This receipt has no genesis record, so that nothing that it says of the chain was checked.".into());
    }
    if !view.own && !view.knows_network {
        limits.push("Which network this is, the receipt says itself, and anybody can make one of any name: compare its genesis id with that of the network that you mean.".into());
    }
    if !view.own && view.measured.is_none() {
        limits
            .push("Without the file, that CommP and data root are those of the same data is the client's word.".into());
    }
    limits
}
