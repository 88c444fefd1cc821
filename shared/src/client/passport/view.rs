//! A passport for a screen: each step with its artefacts, and what is in them, in texts that need no further reading.
//!
//! Called by the page for its own deals and for receipts. Amounts are decimal FIL, bytes hexadecimal.

use super::artefact::{Answer, ArtefactKind, OnChain, Post, Ticket};
use super::inspection::{Conclusion, Inspection, Passport, ProofVerdict, Verdicts};
use super::step::{DealStep, StepStanding};
use crate::chain::Epoch;
use crate::file::Manifest;
use crate::piece::InclusionProof;
use crate::wire::encode;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Serialize;

/// How the steps of a deal stand, with what shows them.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PassportView {
    /// The deal's id; absent while its proposal cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deal: Option<String>,
    /// The network, by its genesis id.
    pub genesis: String,
    /// Its name, where the receipt has the network's genesis record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Whether the network is known here by its genesis id. Anybody can make one of any name.
    pub is_known_network: bool,
    /// Digest of the verifying keys that the network goes by, from that record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifying_keys: Option<String>,
    pub conclusion: Conclusion,
    /// All fifteen, in the order of a deal's life.
    pub steps: Vec<StepView>,
    /// What cannot be known from this, in words.
    pub limits: Vec<String>,
}

/// A step of a deal, whose word it stands on, and what shows it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// 1 to 15.
    pub number: usize,
    pub step: DealStep,
    pub standing: StepStanding,
    /// What was compared with what, and what came of it.
    pub detail: String,
    /// The wrong step that keeps this one from being judged, by its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<usize>,
    pub artefacts: Vec<ArtefactView>,
}

/// What shows a step.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ArtefactView {
    pub kind: ArtefactKind,
    /// Height of the block that it is in or of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<Epoch>,
    pub facts: Vec<Fact>,
    /// The way from the piece to the sector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathView>,
    /// A zero-knowledge proof, and what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofView>,
}

/// A name and what is under it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fact {
    pub name: String,
    pub value: String,
}

/// An inclusion proof: hashes from the piece's commitment up to the sector's.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PathView {
    pub comm_p: String,
    pub comm_d: String,
    /// From the piece upward.
    pub steps: Vec<PathStep>,
}

/// A level of an inclusion proof.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PathStep {
    /// What stands beside.
    pub sibling: String,
    /// Whether it stands to the left.
    pub is_left: bool,
    /// The hash of both.
    pub parent: String,
}

/// A zero-knowledge proof.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProofView {
    /// Hexadecimal, 192 bytes for each partition.
    pub bytes: String,
    pub verdict: ProofState,
    /// SHA-256 of the verifying key that it holds under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why it does not hold, or was not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What came of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ProofState {
    Holds,
    Fails,
    Unchecked,
}

impl PassportView {
    /// The passport with everything that shows it.
    pub fn of(passport: Passport, inspection: &Inspection, verdicts: &Verdicts) -> Self {
        let mut artefacts = artefacts(inspection, verdicts);
        let Passport {
            deal,
            genesis,
            network,
            is_known_network,
            verifying_keys,
            conclusion,
            steps,
            limits,
        } = passport;
        let step = |report: super::step::StepReport| {
            let own = artefacts.extract_if(.., |artefact| artefact.kind.step() == report.step);
            StepView {
                number: report.step.number(),
                step: report.step,
                standing: report.standing,
                detail: report.detail,
                because: report.because.map(DealStep::number),
                artefacts: own.collect(),
            }
        };
        Self {
            deal,
            genesis,
            network,
            is_known_network,
            verifying_keys,
            conclusion,
            steps: steps.into_iter().map(step).collect(),
            limits,
        }
    }
}

struct Facts(Vec<Fact>);

impl Facts {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        let (name, value) = (name.to_string(), value.to_string());
        self.0.push(Fact { name, value });
        self
    }

    fn view(self, kind: ArtefactKind) -> ArtefactView {
        ArtefactView {
            kind,
            height: None,
            facts: self.0,
            path: None,
            proof: None,
        }
    }
}

/// Every artefact that could be read.
fn artefacts(inspection: &Inspection, verdicts: &Verdicts) -> Vec<ArtefactView> {
    let mut views = own(inspection);
    let parts = &inspection.parts;
    let answers = [
        (ArtefactKind::Accepted, &parts.accepted),
        (ArtefactKind::Started, &parts.started),
        (ArtefactKind::Staged, &parts.staged),
    ];
    for (kind, answer) in answers {
        views.extend(answer.as_ref().map(|answer| answer_facts(answer).view(kind)));
    }
    let messages = [
        (ArtefactKind::Channel, &parts.channel),
        (ArtefactKind::PreCommit, &parts.pre_commit),
        (ArtefactKind::Commit, &parts.commit),
    ];
    for (kind, placed) in messages {
        let Some(placed) = placed else { continue };
        let mut view = message(kind, &placed.on_chain);
        if kind == ArtefactKind::Commit {
            let proof = placed.on_chain.message.message().params.get(4);
            view.proof = proof.map(|bytes| proof_view(bytes, verdicts.seal.as_ref()));
        }
        views.push(view);
    }
    let tickets = [
        (ArtefactKind::SealTicket, &parts.seal_ticket),
        (ArtefactKind::SealSeed, &parts.seal_seed),
    ];
    for (kind, ticket) in tickets {
        views.extend(ticket.as_ref().map(|ticket| ticket_view(kind, ticket)));
    }
    views.extend(complete(inspection));
    let posts = parts.posts.iter().enumerate();
    views.extend(
        posts.map(|(at, (_, placed))| post_view(&placed.post, verdicts.posts.get(at).and_then(Option::as_ref))),
    );
    let redemptions = parts.redemptions.iter();
    views.extend(redemptions.map(|(_, placed)| message(ArtefactKind::Redemption, &placed.on_chain)));
    if let Some(retrieved) = &parts.retrieved {
        let facts = Facts::new()
            .with("dataCid", retrieved.data_cid)
            .with("size", retrieved.size);
        views.push(facts.view(ArtefactKind::Retrieved));
    }
    views
}

/// What the client computed, chose and signed.
fn own(inspection: &Inspection) -> Vec<ArtefactView> {
    let parts = &inspection.parts;
    let mut views = Vec::new();
    if let Some(copy) = &parts.manifest {
        let mut facts = Facts::new().with("manifestCid", copy.cid);
        if let Ok(manifest) = Manifest::read(&copy.manifest.0) {
            let pieces: usize = manifest.files().iter().map(|file| file.pieces().len()).sum();
            facts = facts
                .with("name", manifest.name().as_str())
                .with("files", manifest.files().len())
                .with("pieces", pieces);
        }
        views.push(facts.view(ArtefactKind::Manifest));
    }
    if let Some(piece) = &parts.piece {
        let facts = Facts::new()
            .with("dataCid", piece.data_cid)
            .with("size", piece.size)
            .with("commP", piece.comm_p)
            .with("pieceCid", &piece.piece_cid);
        views.push(facts.view(ArtefactKind::Piece));
    }
    if let Some(terms) = &parts.terms {
        let mut facts = Facts::new()
            .with("payer", &terms.payer)
            .with("miner", &terms.miner)
            .with("price", terms.price)
            .with("duration", terms.duration)
            .with("sectorSize", terms.sector_size.0);
        if let Some((owner, start)) = &terms.paid {
            facts = facts.with("paidTo", owner).with("start", start);
        }
        views.push(facts.view(ArtefactKind::Terms));
    }
    if let Some(vouchers) = &parts.vouchers {
        let mut facts = Facts::new().with("vouchers", vouchers.len());
        for voucher in vouchers {
            let signature = voucher.signature.as_ref().map(|bytes| hex::encode(&bytes.0));
            let (amount, from) = (voucher.amount, voucher.valid_at);
            let signature = signature.unwrap_or_default();
            facts = facts.with("voucher", format!("{amount} FIL, block {from}, {signature}"));
        }
        views.push(facts.view(ArtefactKind::Vouchers));
    }
    if let Some(signed) = &parts.proposal {
        let proposal = &signed.proposal;
        let mut facts = Facts::new();
        if let Some(whole) = &parts.signed {
            facts = facts.with("deal", whole.cid());
        }
        let facts = facts
            .with("dataCid", proposal.piece_ref)
            .with("total", proposal.total_price)
            .with("duration", proposal.duration)
            .with("miner", &proposal.miner_address)
            .with("payer", &proposal.payment.payer)
            .with("signature", hex::encode(signed.signature.0));
        views.push(facts.view(ArtefactKind::Proposal));
    }
    views
}

fn answer_facts(answer: &Answer) -> Facts {
    let response = &answer.response;
    Facts::new()
        .with("state", response.response.state)
        .with("deal", response.response.proposal_cid)
        .with("worker", &answer.worker)
        .with("signature", hex::encode(response.signature.0))
}

fn message(kind: ArtefactKind, on_chain: &OnChain) -> ArtefactView {
    let message = on_chain.message.message();
    let mut facts = Facts::new()
        .with("message", on_chain.message.cid())
        .with("method", &message.method)
        .with("from", &message.from)
        .with("to", &message.to)
        .with("value", message.value)
        .with("signature", hex::encode(on_chain.message.signature.0))
        .with("exitCode", on_chain.receipt.exit_code);
    if let Some((header, path)) = &on_chain.proof {
        facts = facts
            .with("block", header.header.id())
            .with("receiptsRoot", hex::encode(header.header.receipts_root))
            .with("receiptPath", hex::encode(encode(path)))
            .with("authoritySignature", hex::encode(header.signature.0));
    }
    ArtefactView {
        height: Some(on_chain.height),
        ..facts.view(kind)
    }
}

fn ticket_view(kind: ArtefactKind, ticket: &Ticket) -> ArtefactView {
    let facts = Facts::new().with("ticket", hex::encode(ticket.ticket.0));
    ArtefactView {
        height: Some(ticket.height),
        ..facts.view(kind)
    }
}

fn complete(inspection: &Inspection) -> Option<ArtefactView> {
    let answer = inspection.parts.complete.as_ref()?;
    let mut facts = answer_facts(answer);
    let mut path = None;
    if let Some(info) = inspection.parts.proof_info() {
        facts = facts
            .with("sector", info.sector_id)
            .with("commD", info.comm_d)
            .with("commR", info.comm_r)
            .with("commRStar", info.comm_r_star)
            .with("message", info.commitment_message);
        path = inspection.parts.piece.as_ref().and_then(|piece| {
            let proof = InclusionProof::from_bytes(&info.piece_inclusion_proof.as_ref()?.0).ok()?;
            let levels = proof.levels(piece.comm_p, crate::piece::padded_for(piece.size).ok()?);
            Some(PathView {
                comm_p: piece.comm_p.to_string(),
                comm_d: info.comm_d.to_string(),
                steps: levels
                    .into_iter()
                    .map(|(is_left, sibling, parent)| PathStep {
                        sibling: sibling.to_string(),
                        is_left,
                        parent: parent.to_string(),
                    })
                    .collect(),
            })
        });
    }
    Some(ArtefactView {
        path,
        ..facts.view(ArtefactKind::Complete)
    })
}

fn post_view(post: &Post, verdict: Option<&ProofVerdict>) -> ArtefactView {
    let mut view = message(ArtefactKind::Post, &post.message);
    if let Some(claim) = &post.claim {
        let facts = Facts::new()
            .with("window", claim.window.height)
            .with("ticket", hex::encode(claim.window.ticket.0))
            .with("sectors", claim.sectors.len());
        view.facts.extend(facts.0);
    }
    let proof = post.message.message.message().params.first();
    view.proof = proof.map(|bytes| proof_view(bytes, verdict));
    view
}

fn proof_view(bytes: &[u8], verdict: Option<&ProofVerdict>) -> ProofView {
    let (state, key, reason) = match verdict {
        Some(ProofVerdict::Holds { key }) => (ProofState::Holds, Some(key.clone()), None),
        Some(ProofVerdict::Fails { reason }) => (ProofState::Fails, None, Some(reason.clone())),
        Some(ProofVerdict::Unchecked { reason }) => (ProofState::Unchecked, None, Some(reason.clone())),
        None => (ProofState::Unchecked, None, None),
    };
    ProofView {
        bytes: hex::encode(bytes),
        verdict: state,
        key,
        reason,
    }
}
