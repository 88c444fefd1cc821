//! What a step that is not wrong stands on: what was checked here, and else whose word it is.

use super::anchoring::sector_of;
use super::artefact::Answer;
use super::inspection::{ProofVerdict, Verdicts, Viewpoint};
use super::parts::{Parts, Placed};
use super::step::{DealStep, StepReport, StepStanding};
use crate::piece::InclusionProof;
use alloc::format;
use alloc::string::{String, ToString};

pub(super) struct Standings<'a> {
    pub parts: &'a Parts,
    pub verdicts: &'a Verdicts,
    pub view: &'a Viewpoint,
}

type Said = (StepStanding, String);

fn not_yet(detail: &str) -> Said {
    (StepStanding::NotYet, detail.to_string())
}

impl Standings<'_> {
    /// How a step stands that nothing is wrong with.
    pub fn report(&self, step: DealStep) -> StepReport {
        let (standing, detail) = match step {
            DealStep::File => self.file(),
            DealStep::Piece => self.piece(),
            DealStep::Terms => self.terms(),
            DealStep::Payment => self.payment(),
            DealStep::Proposal => self.proposal(),
            DealStep::Answer => self.answer(),
            DealStep::Transfer => self.transfer(),
            DealStep::Check => self.check(),
            DealStep::Staging => self.staging(),
            DealStep::Seal => self.seal(),
            DealStep::Commit => self.commit(),
            DealStep::Inclusion => self.inclusion(),
            DealStep::Proving => self.proving(),
            DealStep::Redemption => self.redemption(),
            DealStep::Retrieval => self.retrieval(),
        };
        StepReport {
            step,
            standing,
            detail,
            because: None,
        }
    }

    /// What the client says of its own work.
    fn clients(&self) -> StepStanding {
        match self.view.own {
            true => StepStanding::Checked,
            false => StepStanding::ClaimedByClient,
        }
    }

    fn file(&self) -> Said {
        let (manifest, piece) = (&self.parts.manifest, &self.parts.piece);
        match (manifest, piece) {
            (Some(copy), Some(_)) => (
                StepStanding::Checked,
                format!(
                    "the manifest {} lists this piece with its size and both its commitments",
                    copy.cid
                ),
            ),
            (None, Some(piece)) if self.view.own || self.view.measured.is_some() => (
                StepStanding::Checked,
                format!("the file is this piece of {} bytes", piece.size),
            ),
            (None, Some(piece)) => (
                StepStanding::ClaimedByClient,
                format!("a file of {} bytes; the receipt does not contain it", piece.size),
            ),
            _ => not_yet("the receipt does not say what the piece is"),
        }
    }

    fn piece(&self) -> Said {
        let Some(piece) = &self.parts.piece else {
            return not_yet("the receipt does not say what the piece is");
        };
        let (root, comm_p) = (piece.data_cid, piece.comm_p);
        if self.view.measured.is_some() {
            let detail = format!("the data at hand have the root {root} and commP {comm_p}");
            return (StepStanding::Checked, detail);
        }
        let detail = match self.view.own {
            true => format!("computed here from the data: root {root}, commP {comm_p}"),
            false => format!("the client has signed root {root} and commP {comm_p}; with the file at hand they can be computed again"),
        };
        (self.clients(), detail)
    }

    fn terms(&self) -> Said {
        match (&self.parts.terms, &self.parts.signed) {
            (Some(terms), Some(signed)) => {
                let (total, duration) = (signed.proposal.total_price, terms.duration);
                let detail = format!(
                    "the proposal is what these terms come to: {} bytes for {duration} blocks with {} cost {total} FIL",
                    signed.size(),
                    terms.miner
                );
                (StepStanding::Checked, detail)
            }
            (Some(_), None) => (self.clients(), "drawn up, and not signed yet".into()),
            _ => not_yet("there are no terms"),
        }
    }

    fn payment(&self) -> Said {
        let Some(signed) = &self.parts.signed else {
            return not_yet("nothing is signed");
        };
        let vouchers = self.parts.signed_vouchers();
        if vouchers.is_empty() && signed.proposal.is_free() {
            return (
                StepStanding::Checked,
                "the deal is free: no channel, and no vouchers".into(),
            );
        }
        let count = vouchers.len();
        let signed = format!("all {count} vouchers are signed by the payer and add up to the price");
        match &self.parts.channel {
            Some(placed) => placed_at(placed, &format!("{signed}; the message that opened the channel")),
            None => (
                StepStanding::ClaimedByChain,
                format!("{signed}; the message that opened the channel is not here"),
            ),
        }
    }

    fn proposal(&self) -> Said {
        match &self.parts.signed {
            Some(signed) => (
                StepStanding::Checked,
                format!(
                    "{} signed it; its id is {}",
                    signed.proposal.payment.payer,
                    signed.cid()
                ),
            ),
            None => not_yet("the proposal is not signed yet"),
        }
    }

    /// The last of the miner's answers: each follows those before.
    fn latest(&self) -> Option<&Answer> {
        let parts = self.parts;
        let all = [&parts.complete, &parts.staged, &parts.started, &parts.accepted];
        all.into_iter().flatten().next()
    }

    fn answer(&self) -> Said {
        match (&self.parts.accepted, self.latest()) {
            (Some(answer), _) => (
                StepStanding::Checked,
                format!("the worker {} signed that the miner takes the deal", answer.worker),
            ),
            (None, Some(answer)) => (
                StepStanding::Checked,
                format!(
                    "the worker {} signed a later answer, {}, which follows it",
                    answer.worker, answer.response.response.state
                ),
            ),
            (None, None) => not_yet("the miner has not answered"),
        }
    }

    fn transfer(&self) -> Said {
        let parts = self.parts;
        match (&parts.started, &parts.staged, &parts.complete) {
            (None, None, None) => not_yet("the miner has not said that it has the data"),
            _ if self.view.own => (
                StepStanding::Checked,
                "the data went from here, every block named by its hash, and the miner signed that it has them".into(),
            ),
            _ => (
                StepStanding::ClaimedByMiner,
                "the miner signed that it has the data".into(),
            ),
        }
    }

    fn check(&self) -> Said {
        match (&self.parts.staged, &self.parts.complete) {
            (None, None) => not_yet("the miner has not said so"),
            _ => (
                StepStanding::ClaimedByMiner,
                "the miner signed that it has staged the piece, which it does only after this check; that the commP is the agreed one is shown by the inclusion proof".into(),
            ),
        }
    }

    fn staging(&self) -> Said {
        match (self.parts.proof_info(), &self.parts.staged) {
            (Some(info), _) => (
                StepStanding::Checked,
                format!("the inclusion proof shows it in the data of sector {}", info.sector_id),
            ),
            (None, Some(_)) => (
                StepStanding::ClaimedByMiner,
                "the miner signed that the piece is in a sector".into(),
            ),
            (None, None) => not_yet("the miner has not said so"),
        }
    }

    fn seal(&self) -> Said {
        let Some(info) = self.parts.proof_info() else {
            return not_yet("the miner has not said which sector it is");
        };
        let sector = info.sector_id;
        match (&self.verdicts.seal, &self.parts.pre_commit) {
            (Some(ProofVerdict::Holds { .. }), _) => (
                StepStanding::Checked,
                format!(
                    "the proof of the commit shows that replica {} encodes the data of sector {sector}",
                    info.comm_r
                ),
            ),
            (_, Some(placed)) => {
                let number = placed.on_chain.message.message().params.first();
                let sector = number.and_then(|bytes| sector_of(bytes)).unwrap_or(sector);
                let height = placed.on_chain.height;
                let detail = format!("sector {sector} was announced in block {height} with the same commitments");
                (StepStanding::ClaimedByChain, detail)
            }
            (_, None) => (
                StepStanding::ClaimedByMiner,
                format!("the miner signed that sector {sector} is sealed"),
            ),
        }
    }

    fn commit(&self) -> Said {
        if self.parts.proof_info().is_none() {
            return not_yet("the miner has not said which sector is committed");
        }
        let Some(placed) = &self.parts.commit else {
            return (StepStanding::ClaimedByMiner, "the commit message is not here".into());
        };
        match &self.verdicts.seal {
            Some(ProofVerdict::Holds { key }) => placed_at(
                placed,
                &format!("its proof was checked here, under the verifying key {key}; the commit"),
            ),
            Some(ProofVerdict::Unchecked { reason }) => (
                StepStanding::ClaimedByChain,
                format!("the chain accepted its proof, which was not checked here: {reason}"),
            ),
            _ => (
                StepStanding::ClaimedByChain,
                "the chain accepted its proof, which was not checked here".into(),
            ),
        }
    }

    fn inclusion(&self) -> Said {
        let Some(info) = self.parts.proof_info() else {
            return not_yet("the deal is not complete");
        };
        let path = info.piece_inclusion_proof.as_ref();
        let path = path.and_then(|bytes| InclusionProof::from_bytes(&bytes.0).ok());
        let hashes = path.map_or(0, |path| path.siblings.len());
        let detail = format!(
            "commP leads over {hashes} hashes to commD {}, and the miner signed it",
            info.comm_d
        );
        (StepStanding::Checked, detail)
    }

    fn proving(&self) -> Said {
        if self.parts.proof_info().is_none() {
            return not_yet("the miner has not said which sector is proven");
        }
        let verdicts = &self.verdicts.posts;
        let posts = self.parts.posts.len();
        let holds = verdicts.iter().flatten();
        let holds = holds
            .filter(|verdict| matches!(verdict, ProofVerdict::Holds { .. }))
            .count();
        match (posts, holds) {
            (0, _) => not_yet("no proof-of-spacetime is here yet"),
            (posts, 0) => {
                let reason = verdicts.iter().flatten().find_map(|verdict| match verdict {
                    ProofVerdict::Unchecked { reason } => Some(reason.as_str()),
                    _ => None,
                });
                let reason = reason.unwrap_or("the chain keeps too little of them");
                (
                    StepStanding::ClaimedByChain,
                    format!("the chain accepted {posts} that cover the sector; none was checked here: {reason}"),
                )
            }
            (posts, holds) if posts == holds => (
                StepStanding::Checked,
                format!("all {posts} proofs-of-spacetime that are here were checked, and hold"),
            ),
            (posts, holds) => (
                StepStanding::Checked,
                format!(
                    "{holds} of {posts} proofs-of-spacetime were checked here, and hold; the others the chain accepted"
                ),
            ),
        }
    }

    fn redemption(&self) -> Said {
        let Some(signed) = &self.parts.signed else {
            return not_yet("nothing is signed");
        };
        if signed.proposal.is_free() {
            return (
                StepStanding::Checked,
                "the deal is free: there is nothing to redeem".into(),
            );
        }
        let redeemed = self.parts.redemptions.len();
        let Some((_, last)) = self.parts.redemptions.last() else {
            return not_yet("no voucher is redeemed yet");
        };
        let (standing, detail) = placed_at(last, "the last");
        let all = self.parts.redemptions.iter().all(|(_, placed)| placed.is_proven);
        let standing = match all {
            true => standing,
            false => StepStanding::ClaimedByChain,
        };
        (
            standing,
            format!("{redeemed} of the deal's vouchers redeemed by their payee; {detail}"),
        )
    }

    fn retrieval(&self) -> Said {
        match &self.parts.retrieved {
            Some(retrieved) => {
                let detail = format!(
                    "all {} bytes came back, every block checked against its hash",
                    retrieved.size
                );
                (self.clients(), detail)
            }
            None => not_yet("the file was not taken back yet"),
        }
    }
}

/// That a message is in its block: shown by the block's header, or the chain's word.
fn placed_at(placed: &Placed, what: &str) -> Said {
    let height = placed.on_chain.height;
    match placed.is_proven {
        true => (
            StepStanding::Checked,
            format!("{what} is in block {height}, as the header shows that the authority signed"),
        ),
        false => (
            StepStanding::ClaimedByChain,
            format!("{what} is in block {height}, as the chain says"),
        ),
    }
}
