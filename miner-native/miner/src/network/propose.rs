//! Answering proposals (steps 5 and 6 of a deal): what the chain knows is looked up here, the decision is
//! [`shared::deal::review()`].

use super::close::{self, Closing};
use super::exchange::Exchange;
use super::stream_limiter::StreamLimiter;
use super::transfers::TransferManager;
use super::{frames, Answers, ExchangeError};
use crate::chain_access::ChainAccess;
use crate::clock::now_ms;
use crate::failpoint;
use crate::intake::{self, Capacity, Intake};
use crate::packing::{self, Packing};
use crate::settings::SettingsStore;
use crate::staging::{Staging, StagingError};
use crate::storage_check::SEALING_FACTOR;
use crate::store::{DealRecord, Decision, Known, MinerStore, StoreError};
use cid::Cid;
use libp2p::PeerId;
use sealdrop_database::blocking;
use shared::chain::{Address, Epoch};
use shared::deal::{
    review, DealState, MinerDeal, OperatorTerms, Rejection, RejectionCode, Response, ReviewContext, SignedProposal,
};
use shared::payment::ChannelFacts;
use shared::piece::SectorSize;
use shared::wire::frame::MAX_MESSAGE;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// How long the channel's message may take to get into a block (spec §4.3).
const CHANNEL_WAIT: Duration = Duration::from_secs(120);
/// Deals whose piece is awaited, at most; further proposals are told to come back.
pub(super) const MAX_AWAITED: u64 = 256;
/// Of those, deals that cost nothing, however many peers propose them; they are promised no larger part of the disk that is free,
/// either. Whoever pays finds room.
pub(crate) const MAX_AWAITED_FREE: u64 = MAX_AWAITED / FREE_SHARE;
/// One in so many.
const FREE_SHARE: u64 = 4;
/// Of those, deals that one peer proposed, at most: others get their turn.
const MAX_AWAITED_OF_A_PEER: u64 = 64;
/// The answer while the operator has stopped mining. It is not kept: the same proposal may be accepted later.
pub(super) const NOT_MINING: &str = "this miner takes no new deals at present: its operator has stopped mining";
/// The answer while too many proposals wait for their channel. It is not kept.
const TOO_MANY_WAIT: &str =
    "too many proposals wait for their channel here: propose again when the message that opens it is in a block";

/// What proposals are decided with.
pub struct Reviewer {
    pub address: Address,
    pub owner: Address,
    pub sector_size: SectorSize,
    pub store: MinerStore,
    pub staging: Staging,
    pub chain: ChainAccess,
    pub settings: Arc<SettingsStore>,
    pub intake: Arc<Intake>,
    pub packing: Packing,
    /// Proposals that wait for their channel.
    pub(crate) waiting: StreamLimiter,
    /// Channels that are being closed.
    pub closing: Closing,
}

/// Reads a proposal, decides, answers.
pub(super) async fn answer(
    reviewer: Arc<Reviewer>,
    answers: Answers,
    transfers: TransferManager,
    mut exchange: Exchange,
) -> Result<(), ExchangeError> {
    let signed: SignedProposal = exchange.request(MAX_MESSAGE).await?;
    let (peer, stream) = (exchange.peer, &mut exchange.stream);
    let cid = signed.cid();
    // What cannot be answered is not accepted.
    answers.signer.key()?;
    let span = tracing::info_span!("proposal", deal = %cid);
    let response = decide(&reviewer, signed, peer).instrument(span).await?;
    let accepted = response.state == DealState::Accepted;
    match accepted {
        true => tracing::info!(deal = %cid, "accepted a proposal"),
        // Anybody can have these written, as many as they like.
        false => {
            tracing::debug!(deal = %cid, state = %response.state, reason = response.message, "answered a proposal");
        }
    }
    frames::write(stream, &answers.sign(response)?).await?;
    failpoint::hit_failpoint("deal.answered");
    if accepted {
        transfers.source(cid, peer);
    }
    frames::close(stream).await?;
    Ok(())
}

/// The answer to a proposal; what it says is on the disk when this returns.
pub(crate) async fn decide(
    reviewer: &Reviewer,
    signed: SignedProposal,
    peer: PeerId,
) -> Result<Response, ExchangeError> {
    let cid = signed.cid();
    if let Some(known) = reviewer.store.deal(&cid)? {
        return Ok(known.deal.response());
    }
    if !signed.signature_is_valid() && signed.session_key().is_none() {
        // Anybody can send these: nothing is stored.
        return Ok(refusal(cid, RejectionCode::Signature, "invalid deal signature"));
    }
    if !reviewer.settings.now().mining {
        return Ok(refusal(cid, RejectionCode::NotMining, NOT_MINING));
    }
    let mut context = context(reviewer);
    let waits = matches!(blocking(|| review(&signed, &context)), Err(e) if e.code == RejectionCode::NoChannel);
    let place = match waits {
        true => reviewer.waiting.enter(peer),
        false => None,
    };
    if waits && place.is_none() {
        return Ok(refusal(cid, RejectionCode::Busy, TOO_MANY_WAIT));
    }
    if waits && !wait_for_channel(reviewer, &signed).await? {
        let Rejection { code, message } = Rejection::channel_timeout();
        return Ok(refusal(cid, code, message));
    }
    context.channel = channel(reviewer, &signed).await?;
    context.height = height(reviewer, context.channel.is_some()).await?;
    settle(reviewer, &signed, &context, &peer.to_string())
}

/// Decides on what is known, and keeps the decision.
fn settle(
    reviewer: &Reviewer,
    signed: &SignedProposal,
    context: &ReviewContext,
    source: &str,
) -> Result<Response, ExchangeError> {
    // What takes long, such as many signatures, is not done in the transaction.
    let verdict = blocking(|| review(signed, context));
    if let Err(Rejection {
        code: RejectionCode::Signature,
        message,
    }) = verdict
    {
        // It is signed by a key that its channel does not name: nothing is stored of that either.
        return Ok(refusal(signed.cid(), RejectionCode::Signature, message));
    }
    let late = match &verdict {
        Ok(()) => {
            let end = MinerDeal::accepted(signed.clone(), context.height).end();
            packing::too_short(&reviewer.packing, end, context.height)?
        }
        Err(_) => None,
    };
    let circumstances = Circumstances {
        height: context.height,
        late,
        is_closed: is_closed(reviewer, signed),
        capacity: intake::capacity(&reviewer.intake),
    };
    let decided = reviewer.store.decide(signed, source, |known| {
        if let Some(deal) = &known.deal {
            return Ok(Decision::Answer(Ok(deal.deal.response())));
        }
        let verdict = match known.channel_is_promised || circumstances.is_closed || is_closing(reviewer, signed) {
            true => review(
                signed,
                &ReviewContext {
                    channel_is_promised: true,
                    ..context.clone()
                },
            ),
            false => verdict.clone(),
        };
        Ok(conclude(reviewer, signed, source, verdict, &circumstances, known))
    });
    match decided {
        Err(full @ StoreError::TooManyDeals) => {
            Ok(refusal(signed.cid(), RejectionCode::TooManyDeals, full.to_string()))
        }
        other => other?,
    }
}

/// Whether the message that closes the proposal's channel was made.
fn is_closed(reviewer: &Reviewer, signed: &SignedProposal) -> bool {
    let payment = &signed.proposal.payment;
    let closed = |id| close::is_closed(&reviewer.chain, &payment.payer, id);
    payment.channel.is_some_and(closed)
}

/// Whether the proposal's channel is being closed. Within the transaction: a closing that begins later sees the deal.
fn is_closing(reviewer: &Reviewer, signed: &SignedProposal) -> bool {
    let payment = &signed.proposal.payment;
    let closing = |id| reviewer.closing.contains(&payment.payer, id);
    payment.channel.is_some_and(closing)
}

/// What is found out before the transaction that decides: in it, nobody is waited for.
struct Circumstances {
    height: Epoch,
    /// Why the deal could not be sealed in time.
    late: Option<String>,
    /// Whether the message was made that closes its channel.
    is_closed: bool,
    capacity: Capacity,
}

/// What the verdict becomes with what else is known.
fn conclude(
    reviewer: &Reviewer,
    signed: &SignedProposal,
    source: &str,
    verdict: Result<(), Rejection>,
    circumstances: &Circumstances,
    known: &Known,
) -> Decision<Result<Response, ExchangeError>> {
    let cid = signed.cid();
    if verdict.is_ok() {
        if let Some(reason) = &circumstances.late {
            return Decision::Answer(Ok(refusal(cid, RejectionCode::DurationTooShort, reason.as_str())));
        }
        let size = signed.size();
        let refused = match no_room(reviewer, size, signed.proposal.is_free(), known) {
            Ok(None) => intake::refuses(&reviewer.intake, &circumstances.capacity, known.unsealed, size)
                .map(|refusal| (refusal.rejection.code, refusal.rejection.message)),
            Ok(refused) => refused,
            Err(error) => return Decision::Answer(Err(error)),
        };
        if let Some((code, reason)) = refused {
            return Decision::Answer(Ok(refusal(cid, code, reason)));
        }
    }
    let deal = match verdict {
        Ok(()) => MinerDeal::accepted(signed.clone(), circumstances.height),
        Err(rejection) => MinerDeal::rejected(signed.clone(), rejection.message, circumstances.height),
    };
    let response = deal.response();
    let record = DealRecord {
        deal,
        created_ms: now_ms(),
        source: source.to_owned(),
    };
    Decision::Keep(Box::new(record), Ok(response))
}

/// A refusal that is not kept: it may be different another time, or costs a peer nothing to provoke.
fn refusal(proposal_cid: Cid, code: RejectionCode, message: impl Into<String>) -> Response {
    let message = message.into();
    tracing::debug!(deal = %proposal_cid, code = code as u16, message, "a proposal is refused");
    Response {
        state: DealState::Rejected,
        message,
        proposal_cid,
        proof_info: None,
    }
}

/// What the reviewer knows, but for a proposal's channel.
pub(super) fn context(reviewer: &Reviewer) -> ReviewContext {
    let kept = reviewer.settings.kept();
    ReviewContext {
        miner: reviewer.address.clone(),
        owner: reviewer.owner.clone(),
        terms: OperatorTerms {
            ask_id: kept.ask.map(|ask| ask.id),
            price: kept.price(),
            min_duration: kept.settings.min_duration,
            max_duration: kept.settings.max_duration,
            expiry: kept.ask.map(|ask| ask.expiry),
        },
        height: reviewer.chain.heads().borrow().height,
        usable: reviewer.sector_size.usable(),
        channel: None,
        channel_is_promised: false,
    }
}

/// Waits until the message that opens the channel is in a block. False when it takes too long.
async fn wait_for_channel(reviewer: &Reviewer, signed: &SignedProposal) -> Result<bool, ExchangeError> {
    let Some(message) = signed.proposal.payment.channel_msg_cid else {
        return Ok(true);
    };
    let mut heads = reviewer.chain.heads();
    let waiting = async {
        loop {
            heads.borrow_and_update();
            if reviewer.chain.receipt(&message).await?.is_some() {
                return Ok(());
            }
            if heads.changed().await.is_err() {
                // The chain adapter is gone: the daemon stops.
                std::future::pending::<()>().await;
            }
        }
    };
    match tokio::time::timeout(CHANNEL_WAIT, waiting).await {
        Ok(result) => result.map(|()| true),
        Err(_) => Ok(false),
    }
}

async fn channel(reviewer: &Reviewer, signed: &SignedProposal) -> Result<Option<ChannelFacts>, ExchangeError> {
    let payment = &signed.proposal.payment;
    let Some(id) = payment.channel else { return Ok(None) };
    // An endpoint that is away is our trouble: no answer, and the client proposes again.
    let found = reviewer.chain.channel(&payment.payer, id).await?;
    Ok(found.as_ref().map(ChannelFacts::from))
}

/// Bytes on the disk that sealing a sector takes.
fn sealing_room(reviewer: &Reviewer) -> u64 {
    reviewer.sector_size.bytes().saturating_mul(SEALING_FACTOR)
}

/// Bytes of pieces that the disk takes beside those that are awaited and what sealing needs.
pub(super) fn disk_room(reviewer: &Reviewer, known: &Known) -> Result<u64, ExchangeError> {
    let taken = known.awaited.bytes.saturating_add(sealing_room(reviewer));
    Ok(reviewer.staging.room()?.saturating_sub(taken))
}

/// The chain's height. For a paid proposal it is asked for: the schedule counts from a block that the client knows, and of which this
/// miner, after its way to the chain was cut, may hear later.
async fn height(reviewer: &Reviewer, is_paid: bool) -> Result<Epoch, ExchangeError> {
    let told = reviewer.chain.heads().borrow().height;
    match is_paid {
        true => Ok(reviewer.chain.head().await?.height.max(told)),
        false => Ok(told),
    }
}

/// Why a piece of `size` bytes cannot be taken in now.
pub(super) fn no_room(
    reviewer: &Reviewer,
    size: u64,
    is_free: bool,
    known: &Known,
) -> Result<Option<(RejectionCode, String)>, ExchangeError> {
    if known.awaited.deals >= MAX_AWAITED {
        let text = format!("this miner waits for the data of {MAX_AWAITED} deals: propose again later");
        return Ok(Some((RejectionCode::Busy, text)));
    }
    if known.awaited_of_source >= MAX_AWAITED_OF_A_PEER {
        let text =
            format!("this miner waits for the data of {MAX_AWAITED_OF_A_PEER} deals of yours: propose again later");
        return Ok(Some((RejectionCode::Busy, text)));
    }
    if is_free && known.awaited_free.deals >= MAX_AWAITED_FREE {
        let text =
            format!("this miner waits for the data of {MAX_AWAITED_FREE} deals that cost nothing: propose again later");
        return Ok(Some((RejectionCode::Busy, text)));
    }
    let with_this = |promised: u64| promised.saturating_add(size);
    let promised = match is_free {
        true => with_this(known.awaited.bytes).max(with_this(known.awaited_free.bytes).saturating_mul(FREE_SHARE)),
        false => with_this(known.awaited.bytes),
    };
    match reviewer
        .staging
        .check_room(promised.saturating_add(sealing_room(reviewer)))
    {
        Ok(()) => Ok(None),
        Err(StagingError::NoRoom { needed, available, dir }) => {
            tracing::warn!(needed, available, dir = %dir.display(), "a proposal was refused: the disk is full");
            let text = "this miner has no disk space left for the piece".to_owned();
            Ok(Some((RejectionCode::NoDiskSpace, text)))
        }
        Err(other) => Err(other.into()),
    }
}
