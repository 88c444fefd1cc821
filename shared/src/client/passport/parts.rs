//! A receipt's artefacts as what they are, and which steps are wrong so far.

use super::artefact::{Answer, Artefact, ArtefactKind, ManifestCopy, OnChain, Piece, Post, Retrieved, Terms, Ticket};
use super::receipt::Receipt;
use super::step::DealStep;
use crate::chain::light::Anchor;
use crate::chain::Address;
use crate::deal::{ProofInfo, SignedProposal};
use crate::payment::PaymentVoucher;
use crate::wire::cbor::Cbor;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Steps with what is wrong with them, the first thing that was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Wrongs(BTreeMap<DealStep, String>);

impl Wrongs {
    pub fn note(&mut self, step: DealStep, reason: impl Into<String>) {
        self.0.entry(step).or_insert_with(|| reason.into());
    }

    pub fn reason(&self, step: DealStep) -> Option<&str> {
        self.0.get(&step).map(String::as_str)
    }

    /// A wrong step that `step` rests on, directly or not.
    pub fn below(&self, step: DealStep) -> Option<DealStep> {
        let mut seen = BTreeSet::from([step]);
        let mut left = Vec::from(step.rests_on());
        let mut found = None;
        while let Some(next) = left.pop() {
            if seen.insert(next) {
                left.extend(next.rests_on());
                if self.0.contains_key(&next) && found.is_none_or(|found| next < found) {
                    found = Some(next);
                }
            }
        }
        found
    }

    /// Whether the step, and all that it rests on, may still be right.
    pub fn spare(&self, step: DealStep) -> bool {
        !self.0.contains_key(&step) && self.below(step).is_none()
    }
}

/// A message in a block, and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub on_chain: OnChain,
    /// Whether a header that the authority signed shows it in its block, with its receipt.
    pub is_proven: bool,
}

/// A proof-of-spacetime, and what is known of its message.
#[derive(Debug, Clone)]
pub(super) struct PlacedPost {
    pub post: Post,
    pub is_proven: bool,
}

/// What was read, and what was found by holding it together.
#[derive(Default)]
pub(super) struct Parts {
    pub anchor: Option<Anchor>,
    pub manifest: Option<ManifestCopy>,
    pub piece: Option<Piece>,
    pub terms: Option<Terms>,
    pub channel: Option<Placed>,
    pub vouchers: Option<Vec<PaymentVoucher>>,
    /// Without its vouchers.
    pub proposal: Option<SignedProposal>,
    /// With its vouchers, and signed by its payer.
    pub signed: Option<SignedProposal>,
    pub accepted: Option<Answer>,
    pub started: Option<Answer>,
    pub staged: Option<Answer>,
    pub complete: Option<Answer>,
    pub pre_commit: Option<Placed>,
    pub commit: Option<Placed>,
    pub seal_ticket: Option<Ticket>,
    pub seal_seed: Option<Ticket>,
    /// With their positions in the receipt.
    pub posts: Vec<(usize, PlacedPost)>,
    pub redemptions: Vec<(usize, Placed)>,
    pub retrieved: Option<Retrieved>,
    /// Who signed the proposal in its payer's place, where the message is not here that would name this key.
    pub unnamed_session: Option<Address>,
    /// Whether the inclusion proof leads from the piece's commitment to the sector's.
    pub is_included: bool,
    /// Whether the seal's ticket and seed are of the heights that a pre-commit calls for which is shown in its block.
    pub is_drawn: bool,
    /// How many vouchers the messages redeem.
    pub redeemed: usize,
}

impl Parts {
    /// Reads every artefact; one that cannot be read makes its step wrong.
    pub fn read(receipt: &Receipt, anchor: Option<Anchor>, wrongs: &mut Wrongs) -> Self {
        let mut reading = Reading { receipt, wrongs };
        Self {
            anchor,
            manifest: reading.one(ArtefactKind::Manifest),
            piece: reading.one(ArtefactKind::Piece),
            terms: reading.one(ArtefactKind::Terms),
            channel: reading.placed(ArtefactKind::Channel),
            vouchers: reading.one(ArtefactKind::Vouchers),
            proposal: reading.one(ArtefactKind::Proposal),
            signed: None,
            accepted: reading.one(ArtefactKind::Accepted),
            started: reading.one(ArtefactKind::Started),
            staged: reading.one(ArtefactKind::Staged),
            complete: reading.one(ArtefactKind::Complete),
            pre_commit: reading.placed(ArtefactKind::PreCommit),
            commit: reading.placed(ArtefactKind::Commit),
            seal_ticket: reading.one(ArtefactKind::SealTicket),
            seal_seed: reading.one(ArtefactKind::SealSeed),
            posts: reading
                .all(ArtefactKind::Post)
                .into_iter()
                .map(|(at, post)| (at, PlacedPost { post, is_proven: false }))
                .collect(),
            redemptions: reading
                .all(ArtefactKind::Redemption)
                .into_iter()
                .map(|(at, on_chain)| (at, placed(on_chain)))
                .collect(),
            retrieved: reading.one(ArtefactKind::Retrieved),
            unnamed_session: None,
            is_included: false,
            is_drawn: false,
            redeemed: 0,
        }
    }

    /// What the miner says of the sector.
    pub fn proof_info(&self) -> Option<&ProofInfo> {
        self.complete.as_ref()?.response.response.proof_info.as_ref()
    }

    /// Whether a message that is shown in its block names this as the miner's worker: from nobody else does the chain take announcements,
    /// commits and proofs of its sectors.
    pub fn is_worker(&self, address: &Address) -> bool {
        let sealing = [&self.pre_commit, &self.commit].into_iter().flatten();
        let sealing = sealing.map(|placed| (placed.is_proven, &placed.on_chain));
        let posts = self.posts.iter();
        let posts = posts.map(|(_, placed)| (placed.is_proven, &placed.post.message));
        let mut all = sealing.chain(posts);
        all.any(|(is_proven, on_chain)| is_proven && on_chain.message.message().from == *address)
    }

    /// The vouchers of the signed proposal.
    pub fn signed_vouchers(&self) -> &[PaymentVoucher] {
        let signed = self.signed.as_ref();
        let vouchers = signed.and_then(|signed| signed.proposal.payment.vouchers.as_deref());
        vouchers.unwrap_or_default()
    }
}

fn placed(on_chain: OnChain) -> Placed {
    Placed {
        on_chain,
        is_proven: false,
    }
}

struct Reading<'a> {
    receipt: &'a Receipt,
    wrongs: &'a mut Wrongs,
}

impl Reading<'_> {
    fn artefact<T: Cbor>(&mut self, artefact: &Artefact) -> Option<T> {
        match artefact.read() {
            Ok(value) => Some(value),
            Err(error) => {
                let kind = artefact.kind;
                self.wrongs
                    .note(kind.step(), format!("the artefact {kind:?} cannot be read: {error}"));
                None
            }
        }
    }

    fn one<T: Cbor>(&mut self, kind: ArtefactKind) -> Option<T> {
        let receipt = self.receipt;
        self.artefact(receipt.artefact(kind)?)
    }

    fn placed(&mut self, kind: ArtefactKind) -> Option<Placed> {
        self.one(kind).map(placed)
    }

    fn all<T: Cbor>(&mut self, kind: ArtefactKind) -> Vec<(usize, T)> {
        let receipt = self.receipt;
        let all = receipt.all(kind);
        all.filter_map(|(at, artefact)| Some((at, self.artefact(artefact)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_rests_on_wrong_ones_over_others_too() {
        let mut wrongs = Wrongs::default();
        wrongs.note(DealStep::Payment, "a voucher is not signed");
        let below: BTreeSet<DealStep> = DealStep::ALL
            .into_iter()
            .filter(|step| wrongs.below(*step).is_some())
            .collect();
        let free: Vec<DealStep> = DealStep::ALL.into_iter().filter(|step| !below.contains(step)).collect();
        assert_eq!(free, [DealStep::Payment]);
    }
}
