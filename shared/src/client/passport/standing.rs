//! What a step that is not wrong stands on: what was checked here, and else whose word it is.

use super::anchoring::{condition_comm_p, sector_of};
use super::artefact::Answer;
use super::inspection::{ProofVerdict, Verdicts, Viewpoint};
use super::parts::{Parts, Placed};
use super::step::{DealStep, StepReport, StepStanding};
use crate::chain::Address;
use crate::deal::DealState;
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

    /// What nothing here shows to be on the chain: the client asked the chain itself; a file says what its maker wrote into it.
    fn chains(&self) -> StepStanding {
        match self.view.own {
            true => StepStanding::ClaimedByChain,
            false => StepStanding::ClaimedByClient,
        }
    }

    /// Whether an answer is the miner's: its worker is the one that the chain named to this client, or that has sealed or proven on the chain
    /// for this miner.
    fn is_miners(&self, answer: &Answer) -> bool {
        self.view.own || self.parts.is_worker(&answer.worker)
    }

    /// What an answer shows, and what it is worth where anybody could have signed it.
    fn answered(&self, answer: &Answer, standing: StepStanding, detail: String) -> Said {
        match self.is_miners(answer) {
            true => (standing, detail),
            false => (
                StepStanding::ClaimedByClient,
                format!(
                    "{detail}; that {} signs for this miner is not shown here",
                    answer.worker
                ),
            ),
        }
    }

    /// That a message is in its block: shown by the block's header, or somebody's word.
    fn placed(&self, placed: &Placed, what: &str) -> Said {
        let height = placed.on_chain.height;
        let detail = match (placed.is_proven, self.view.own) {
            (true, _) => format!("{what} is in block {height}, as the header shows that the authority signed"),
            (false, true) => format!("{what} is in block {height}, as the chain says"),
            (false, false) => format!("{what} is in block {height}, as whoever made this receipt says"),
        };
        match placed.is_proven {
            true => (StepStanding::Checked, detail),
            false => (self.chains(), detail),
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
            false if self.is_agreed() => format!("the client has signed root {root} and commP {comm_p}; with the file at hand they can be computed again"),
            false => format!("the client has signed root {root}; that its data have commP {comm_p} is nowhere signed, and with the file at hand can be computed"),
        };
        (self.clients(), detail)
    }

    /// Whether the signed vouchers name the commitment: those of a free deal, of which there are none, do not.
    fn is_agreed(&self) -> bool {
        condition_comm_p(self.parts.signed_vouchers()).is_some()
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
        let signed = match self.unnamed_session() {
            Some(key) => format!("all {count} vouchers are signed by {key}, which is said to sign for the payer, and add up to the price"),
            None => format!("all {count} vouchers are signed by the payer and add up to the price"),
        };
        match &self.parts.channel {
            Some(placed) => self.placed(placed, &format!("{signed}; the message that opened the channel")),
            None => (
                self.chains(),
                format!("{signed}; the message that opened the channel is not here"),
            ),
        }
    }

    /// A key that signed in the payer's place, and that nothing here shows the payer to have named. The client knows its own.
    fn unnamed_session(&self) -> Option<&Address> {
        let key = self.parts.unnamed_session.as_ref();
        key.filter(|_| !self.view.own)
    }

    fn proposal(&self) -> Said {
        match (&self.parts.signed, self.unnamed_session()) {
            (Some(signed), Some(key)) => (
                StepStanding::ClaimedByClient,
                format!(
                    "{key} signed it, which is said to sign for {}; the message that names this key is not here; its id is {}",
                    signed.proposal.payment.payer,
                    signed.cid()
                ),
            ),
            (Some(signed), None) => (
                StepStanding::Checked,
                format!(
                    "{} signed it; its id is {}",
                    signed.proposal.payment.payer,
                    signed.cid()
                ),
            ),
            (None, _) => not_yet("the proposal is not signed yet"),
        }
    }

    /// The first of these answers that is the miner's, else the first: each follows those before, and a miner may change its worker.
    fn first_of<'a>(&self, answers: &[&'a Option<Answer>]) -> Option<&'a Answer> {
        let all = || answers.iter().copied().flatten();
        all().find(|answer| self.is_miners(answer)).or_else(|| all().next())
    }

    fn answer(&self) -> Said {
        let parts = self.parts;
        let Some(answer) = self.first_of(&[&parts.accepted, &parts.started, &parts.staged, &parts.complete]) else {
            return not_yet("the miner has not answered");
        };
        let (worker, state) = (&answer.worker, answer.response.response.state);
        let detail = match state {
            DealState::Accepted => format!("the worker {worker} signed that the miner takes the deal"),
            _ => format!("the worker {worker} signed a later answer, {state}, which follows it"),
        };
        self.answered(answer, StepStanding::Checked, detail)
    }

    fn transfer(&self) -> Said {
        let parts = self.parts;
        match self.first_of(&[&parts.started, &parts.staged, &parts.complete]) {
            None => not_yet("the miner has not said that it has the data"),
            Some(_) if self.view.own => (
                StepStanding::Checked,
                "the data went from here, every block named by its hash, and the miner signed that it has them".into(),
            ),
            Some(answer) => self.answered(
                answer,
                StepStanding::ClaimedByMiner,
                "the miner signed that it has the data".into(),
            ),
        }
    }

    fn check(&self) -> Said {
        match self.first_of(&[&self.parts.staged, &self.parts.complete]) {
            None => not_yet("the miner has not said so"),
            Some(answer) => self.answered(
                answer,
                StepStanding::ClaimedByMiner,
                "the miner signed that it has staged the piece, which it does only after this check; that the commP is the agreed one is shown by the inclusion proof".into(),
            ),
        }
    }

    fn staging(&self) -> Said {
        let parts = self.parts;
        match (parts.proof_info(), self.first_of(&[&parts.staged, &parts.complete])) {
            (Some(info), Some(_)) if self.inclusion().0 == StepStanding::Checked => (
                StepStanding::Checked,
                format!("the inclusion proof shows it in the data of sector {}", info.sector_id),
            ),
            (_, Some(answer)) => self.answered(
                answer,
                StepStanding::ClaimedByMiner,
                "the miner signed that the piece is in a sector".into(),
            ),
            (_, None) => not_yet("the miner has not said so"),
        }
    }

    /// Whether the seal's proof can be believed: its challenges were drawn after the replica was announced, as the chain has checked of a
    /// commit that is in its block, and as shows where the announcement is there with both tickets.
    fn is_sound(&self) -> bool {
        let is_committed = self.parts.commit.as_ref().is_some_and(|placed| placed.is_proven);
        self.parts.anchor.is_some() && (is_committed || self.parts.is_drawn)
    }

    fn seal(&self) -> Said {
        let Some(info) = self.parts.proof_info() else {
            return not_yet("the miner has not said which sector it is");
        };
        let sector = info.sector_id;
        match (&self.verdicts.seal, &self.parts.pre_commit) {
            (Some(ProofVerdict::Holds { .. }), _) if self.is_sound() => (
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
                match placed.is_proven {
                    true => (StepStanding::ClaimedByChain, detail),
                    false => (self.chains(), detail),
                }
            }
            (_, None) => self.completed(
                StepStanding::ClaimedByMiner,
                format!("the miner signed that sector {sector} is sealed"),
            ),
        }
    }

    /// What the miner's last answer says.
    fn completed(&self, standing: StepStanding, detail: String) -> Said {
        match &self.parts.complete {
            Some(answer) => self.answered(answer, standing, detail),
            None => (standing, detail),
        }
    }

    fn commit(&self) -> Said {
        if self.parts.proof_info().is_none() {
            return not_yet("the miner has not said which sector is committed");
        }
        let Some(placed) = &self.parts.commit else {
            return self.completed(StepStanding::ClaimedByMiner, "the commit message is not here".into());
        };
        let accepted = match placed.is_proven {
            true => StepStanding::ClaimedByChain,
            false => self.chains(),
        };
        match &self.verdicts.seal {
            Some(ProofVerdict::Holds { key }) => self.placed(
                placed,
                &format!("its proof was checked here, under the verifying key {key}; the commit"),
            ),
            Some(ProofVerdict::Unchecked { reason }) => (
                accepted,
                format!("the chain accepted its proof, which was not checked here: {reason}"),
            ),
            _ => (
                accepted,
                "the chain accepted its proof, which was not checked here".into(),
            ),
        }
    }

    fn inclusion(&self) -> Said {
        let (Some(info), Some(answer)) = (self.parts.proof_info(), &self.parts.complete) else {
            return not_yet("the deal is not complete");
        };
        let path = info.piece_inclusion_proof.as_ref();
        let path = path.and_then(|bytes| InclusionProof::from_bytes(&bytes.0).ok());
        let (Some(path), true) = (path, self.parts.is_included) else {
            return self.answered(
                answer,
                StepStanding::ClaimedByMiner,
                "the receipt does not say what the piece is, so that the inclusion proof was not checked".into(),
            );
        };
        let (hashes, comm_d) = (path.siblings.len(), info.comm_d);
        let detail = format!("commP leads over {hashes} hashes to commD {comm_d}, and the miner signed it");
        match self.is_agreed() || self.view.own || self.view.measured.is_some() {
            true => self.answered(answer, StepStanding::Checked, detail),
            false => (
                StepStanding::ClaimedByClient,
                format!("{detail}; in a free deal nothing signed ties commP to the data root: the file at hand does"),
            ),
        }
    }

    fn proving(&self) -> Said {
        if self.parts.proof_info().is_none() {
            return not_yet("the miner has not said which sector is proven");
        }
        let posts = self.parts.posts.len();
        if posts == 0 {
            return not_yet("no proof-of-spacetime is here yet");
        }
        let shown = self.parts.posts.iter().filter(|(_, placed)| placed.is_proven).count();
        let verdicts = || self.verdicts.posts.iter().zip(&self.parts.posts);
        let holds = verdicts()
            .filter(|(verdict, (_, placed))| placed.is_proven && matches!(verdict, Some(ProofVerdict::Holds { .. })))
            .count();
        if holds == 0 && (self.view.own || shown == posts) {
            let reason = self.verdicts.posts.iter().flatten().find_map(|verdict| match verdict {
                ProofVerdict::Unchecked { reason } => Some(reason.as_str()),
                ProofVerdict::Holds { .. } | ProofVerdict::Fails { .. } => None,
            });
            let reason = reason.unwrap_or("the chain keeps too little of them");
            return (
                StepStanding::ClaimedByChain,
                format!("the chain accepted {posts} that cover the sector; none was checked here: {reason}"),
            );
        }
        if holds == 0 {
            return (
                StepStanding::ClaimedByClient,
                format!("{posts} cover the sector; {shown} of them are shown to be on the chain"),
            );
        }
        let detail = match posts == holds {
            true => format!("all {posts} proofs-of-spacetime that are here were checked, and hold"),
            false => format!(
                "{holds} of {posts} proofs-of-spacetime were checked here, and hold; the others are somebody's word"
            ),
        };
        (StepStanding::Checked, detail)
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
        let redeemed = self.parts.redeemed;
        let Some((_, last)) = self.parts.redemptions.last() else {
            return not_yet("no voucher is redeemed yet");
        };
        let (standing, detail) = self.placed(last, "the last");
        let all = self.parts.redemptions.iter().all(|(_, placed)| placed.is_proven);
        let standing = match all {
            true => standing,
            false => self.chains(),
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
