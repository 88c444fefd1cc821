//! Makes the receipt of a deal: from what the client has kept, and from the chain's past.
//!
//! Called by both hosts, at any time after the proposal was signed. What the chain keeps no more of is left out: the receipt then says less.

use super::artefact::{
    split, Answer, Artefact, ArtefactKind, ManifestCopy, OnChain, Piece, Post, PostClaim, Retrieved, Terms, Ticket,
};
use super::receipt::{Receipt, MAX_REPEATED};
use crate::chain::calls::redeem;
use crate::chain::{Address, BytesAmount, Epoch, Signature};
use crate::client::evidence::{self, gather as gather_proofs, Drawn, Evidence, PostEvidence, MAX_PAGES};
use crate::client::record::{DealRecord, SignedAnswer};
use crate::deal::{DealState, SignedProposal};
use crate::file::Manifest;
use crate::payment::PaymentVoucher;
use crate::piece::{PieceSize, SizedPieceCid};
use crate::ports::{History, ProofSource, Unproven};
use crate::wire::cbor::{Bytes, Cbor};
use alloc::string::ToString;
use alloc::vec::Vec;
use cid::Cid;

/// Longest manifest that goes into a receipt: of some thousand files. A longer one is left out.
pub const MAX_MANIFEST: usize = 512 * 1024;
/// Bytes that all proofs-of-spacetime of a receipt may have together: of a miner with many sectors fewer go in.
const MAX_POST_BYTES: usize = 2 * 1024 * 1024;

/// Why there is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatherError<E, P> {
    #[error("there is nothing to show yet: the proposal is not signed")]
    NotSigned,
    #[error("{0:?} is no genesis id")]
    Genesis(alloc::string::String),
    /// The chain is away.
    #[error(transparent)]
    Chain(E),
    /// The same, when it was asked for proofs.
    #[error(transparent)]
    Proofs(P),
}

/// Gathers the receipt of a deal; `manifest` is that of the file that its piece belongs to, in its byte form.
///
/// # Errors
/// There is nothing to show yet, or the chain is away.
pub async fn gather<F, H: History, P: ProofSource>(
    record: &DealRecord<F>,
    manifest: Option<&[u8]>,
    chain: &H,
    source: &P,
) -> Result<Receipt, GatherError<H::Error, P::Error>> {
    let signed = record.deal.proposal().ok_or(GatherError::NotSigned)?;
    let genesis = record.genesis.parse::<Cid>();
    let genesis = genesis.map_err(|_| GatherError::Genesis(record.genesis.clone()))?;
    let genesis_record = shown::<P, _>(source.genesis_record().await).map_err(GatherError::Proofs)?;
    let mut collecting = Collecting {
        chain,
        source,
        artefacts: Vec::new(),
    };
    collecting.own(record, signed, manifest);
    if let Some(id) = signed.proposal.payment.channel_msg_cid {
        collecting.on_chain(ArtefactKind::Channel, &id).await?;
    }
    if let Some(proof) = record.deal.proof() {
        let found = gather_proofs(&record.deal.draft, proof, chain).await;
        let found = found.map_err(GatherError::Chain)?;
        collecting
            .on_chain(ArtefactKind::Commit, &proof.commitment_message)
            .await?;
        collecting.proofs(&found).await?;
    }
    collecting.redemptions(record, signed).await?;
    let mut artefacts = collecting.artefacts;
    artefacts.sort_by_key(|artefact| artefact.kind);
    Ok(Receipt {
        genesis,
        record: genesis_record.map(Bytes),
        artefacts,
    })
}

/// An answer, or nothing where the chain does not prove it (any more): the receipt then does without.
fn shown<P: ProofSource, T>(answer: Result<T, P::Error>) -> Result<Option<T>, P::Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) => match P::unproven(&error) {
            Unproven::Away => Err(error),
            Unproven::Cannot(_) | Unproven::Malformed(_) => Ok(None),
        },
    }
}

type Gathered<T, H, P> = Result<T, GatherError<<H as History>::Error, <P as ProofSource>::Error>>;

struct Collecting<'a, H, P> {
    chain: &'a H,
    source: &'a P,
    artefacts: Vec<Artefact>,
}

impl<H: History, P: ProofSource> Collecting<'_, H, P> {
    fn add<T: Cbor>(&mut self, kind: ArtefactKind, value: &T) {
        self.artefacts.push(Artefact::of(kind, value));
    }

    /// What the client has itself.
    fn own<F>(&mut self, record: &DealRecord<F>, signed: &SignedProposal, manifest: Option<&[u8]>) {
        let draft = &record.deal.draft;
        let (rest, vouchers) = split(signed);
        if let Some(manifest) = manifest.filter(|bytes| bytes.len() <= MAX_MANIFEST) {
            let copy = ManifestCopy {
                cid: Manifest::cid_of(manifest),
                manifest: Bytes(manifest.to_vec()),
            };
            self.add(ArtefactKind::Manifest, &copy);
        }
        if let Ok(size) = PieceSize::new(draft.size) {
            let piece = Piece {
                data_cid: draft.data_cid,
                size: draft.size,
                comm_p: draft.comm_p,
                piece_cid: SizedPieceCid::new(draft.comm_p, size).to_string(),
            };
            self.add(ArtefactKind::Piece, &piece);
        }
        let terms = Terms {
            payer: draft.payer.clone(),
            miner: draft.miner.clone(),
            price: draft.price,
            duration: draft.duration,
            sector_size: BytesAmount(draft.sector_size.bytes()),
            paid: vouchers.as_ref().map(|_| (draft.owner.clone(), draft.start)),
        };
        self.add(ArtefactKind::Terms, &terms);
        if let Some(vouchers) = vouchers {
            self.add(ArtefactKind::Vouchers, &vouchers);
        }
        self.add(ArtefactKind::Proposal, &rest);
        self.answers(record);
        if record.retrieved {
            let (data_cid, size) = (draft.data_cid, draft.size);
            self.add(ArtefactKind::Retrieved, &Retrieved { data_cid, size });
        }
    }

    /// The first answer of each state; the newest one, where the record is older than the list.
    fn answers<F>(&mut self, record: &DealRecord<F>) {
        let newest = record.deal.response().map(|response| SignedAnswer {
            worker: record.deal.draft.worker.clone(),
            response: response.clone(),
        });
        let kinds = [
            (DealState::Accepted, ArtefactKind::Accepted),
            (DealState::Started, ArtefactKind::Started),
            (DealState::Staged, ArtefactKind::Staged),
            (DealState::Complete, ArtefactKind::Complete),
        ];
        for (state, kind) in kinds {
            // A deal that is complete may be answered again, with another sector: its newest answer counts.
            let is_newest = |answer: &&SignedAnswer| answer.response.response.state == state;
            let newest = newest.as_ref().filter(is_newest);
            if let Some(found) = newest.or_else(|| record.answers.iter().find(is_newest)) {
                let answer = Answer {
                    worker: found.worker.clone(),
                    response: found.response.clone(),
                };
                self.add(kind, &answer);
            }
        }
    }

    async fn placed(&self, id: &Cid) -> Gathered<Option<OnChain>, H, P> {
        let found = shown::<P, _>(self.source.message_proof(id).await).map_err(GatherError::Proofs)?;
        Ok(found.flatten().map(OnChain::proven))
    }

    async fn on_chain(&mut self, kind: ArtefactKind, id: &Cid) -> Gathered<(), H, P> {
        if let Some(found) = self.placed(id).await? {
            self.add(kind, &found);
        }
        Ok(())
    }

    async fn named(&self, id: &str) -> Gathered<Option<OnChain>, H, P> {
        match id.parse::<Cid>() {
            Ok(id) => self.placed(&id).await,
            Err(_) => Ok(None),
        }
    }

    async fn proofs(&mut self, found: &Evidence) -> Gathered<(), H, P> {
        if let Some(source) = &found.seal_source {
            if let Some(pre_commit) = self.named(&source.pre_commit).await? {
                self.add(ArtefactKind::PreCommit, &pre_commit);
            }
            let tickets = [
                (ArtefactKind::SealTicket, &source.ticket),
                (ArtefactKind::SealSeed, &source.seed),
            ];
            for (kind, drawn) in tickets {
                if let Some(ticket) = ticket_of(drawn) {
                    self.add(kind, &ticket);
                }
            }
        }
        let mut posts = Vec::new();
        let mut bytes = 0usize;
        for post in found.posts.iter().take(MAX_REPEATED) {
            let Some(message) = self.named(&post.message).await? else {
                continue;
            };
            let claim = claim_of(post);
            let artefact = Artefact::of(ArtefactKind::Post, &Post { message, claim });
            bytes = bytes.saturating_add(artefact.bytes.len());
            if bytes > MAX_POST_BYTES {
                break;
            }
            posts.push(artefact);
        }
        self.artefacts.extend(posts.into_iter().rev());
        Ok(())
    }

    /// The newest messages that redeem vouchers of the deal, oldest first.
    async fn redemptions<F>(&mut self, record: &DealRecord<F>, signed: &SignedProposal) -> Gathered<(), H, P> {
        let vouchers = signed.proposal.payment.vouchers.as_deref().unwrap_or_default();
        let Some(owner) = vouchers.first().map(|voucher| &voucher.target) else {
            return Ok(());
        };
        let mut found = Vec::new();
        let mut before = None;
        for _ in 0..MAX_PAGES {
            let page = match self.chain.messages(owner, before).await {
                Ok(page) => page,
                Err(error) if H::is_past(&error) => break,
                Err(error) => return Err(GatherError::Chain(error)),
            };
            let redeeming = page.iter().filter(|summary| {
                let paid = ["redeem", "close"].contains(&summary.method.as_str());
                paid && summary.from == *owner && summary.exit_code == Some(0)
            });
            for summary in redeeming {
                if found.len() == MAX_REPEATED {
                    break;
                }
                let placed = self.named(&summary.message).await?;
                found.extend(placed.filter(|placed| redeems(placed, vouchers)));
            }
            before = page.iter().filter_map(|summary| summary.height).min();
            let is_over = before.is_none_or(|before: Epoch| before <= record.deal.draft.start);
            if is_over || found.len() == MAX_REPEATED {
                break;
            }
        }
        for placed in found.iter().rev() {
            self.add(ArtefactKind::Redemption, placed);
        }
        Ok(())
    }
}

/// Whether a message of the payee redeems one of these.
fn redeems(placed: &OnChain, vouchers: &[PaymentVoucher]) -> bool {
    let message = placed.message.message();
    let broker = Address::id(Address::PAYMENT_BROKER);
    let named = |voucher: &PaymentVoucher| {
        let claim = redeem(voucher, Vec::new());
        claim.params.get(..6) == message.params.get(..6)
    };
    message.to == broker && message.params.len() >= 6 && vouchers.iter().any(named)
}

/// `None` for bytes that are no ticket.
fn ticket_of(drawn: &Drawn) -> Option<Ticket> {
    Some(Ticket {
        height: drawn.height,
        ticket: Signature(drawn.ticket.as_slice().try_into().ok()?),
    })
}

fn claim_of(post: &PostEvidence) -> Option<PostClaim> {
    let evidence::Gathered::Claim(claim) = &post.claim else {
        return None;
    };
    Some(PostClaim {
        window: ticket_of(post.window.as_ref()?)?,
        sectors: claim.sectors.clone(),
    })
}
