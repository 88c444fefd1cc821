//! One step of a deal: what is to be done now, done through the host, and kept.

use super::following;
use super::host::{ClientHost, EngineError, Event, Order};
use super::opening;
use super::problem::ErrorCode;
use super::record::{lacks_the_piece, Answer, DealRecord, Proving, Step};
use super::refunds;
use crate::chain::view::MinerView;
use crate::chain::{Address, Epoch};
use crate::deal::client::ClientRefusal;
use crate::deal::{ClientDeal, ClientEffect, ClientInput, ClientStage, QueryRequest, SignedResponse};
use crate::ports::Chain;
use crate::wire::protocol;
use alloc::format;
use alloc::string::{String, ToString};
use cid::Cid;

/// Blocks for which the miner of an accepted deal is asked for its last word once the deal's time is over: its channel has
/// ended, so that nothing is lost by it, and one lost answer does not make a failed deal of a complete one.
pub const LAST_WORD: u64 = 300;

/// When there is something to do again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Now,
    /// When the message that is on its way may be in a block.
    Message,
    /// When the miner may have news.
    Query,
    /// The deal is complete or has failed: what is left is to watch its sector and its refunds ([`watch`]).
    Settled,
}

/// Does the next thing for a deal. On `Err` the record is as it was kept last, and the step can be repeated.
pub async fn step<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<Next, H::Error> {
    if record.is_settled() {
        return Ok(Next::Settled);
    }
    record.served(host.served(), host.now_ms());
    // Without the chain a deal goes on as far as it can; its time is looked at when the chain is back.
    let height = host.chain().height().await.ok();
    if let Order::GiveUp { reason } = order(record, host) {
        give_up(record, host, &format!("given up: {reason}")).await?;
        return Ok(Next::Now);
    }
    if let Some(deadline) = overdue(record, height) {
        // It may be complete, and nobody here has asked since: what does not answer now, or otherwise, is too late.
        let asked = query(record, host, height).await;
        let late = height.is_some_and(|height| height >= deadline.plus(LAST_WORD));
        if let (Err(error), true, false) = (asked, is_accepted(&record.deal.stage), late) {
            return Err(error);
        }
        if !record.is_settled() {
            let reason = format!("given up: it was not complete by block {deadline}, when its time was over");
            give_up(record, host, &reason).await?;
        }
        return Ok(Next::Now);
    }
    match record.deal.effect() {
        ClientEffect::OpenChannel { target, amount, eol } => opening::open(record, host, &target, amount, eol).await,
        ClientEffect::Sign => sign(record, host, height).await,
        ClientEffect::Propose => propose(record, host, height).await,
        ClientEffect::ServeAndQuery => query(record, host, height).await,
        ClientEffect::Rest => Ok(Next::Settled),
    }
}

/// What its user wants of a deal: what is kept of it, also from an earlier life, or else what the host has heard.
pub(super) fn order<H: ClientHost>(record: &DealRecord<H::File>, host: &H) -> Order {
    match record.giving_up.clone() {
        Some(reason) => Order::GiveUp { reason },
        None => host.order(),
    }
}

/// The end of the time of a deal that is neither complete nor failed, when that has come.
pub fn overdue<F>(record: &DealRecord<F>, height: Option<Epoch>) -> Option<Epoch> {
    let deadline = record.deal.deadline()?;
    height.filter(|height| *height >= deadline).map(|_| deadline)
}

/// Ends a deal that is neither complete nor failed. Its channel is taken back from then on; one that is just being opened
/// is looked for.
pub async fn give_up<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H, reason: &str) -> Result<(), H::Error> {
    let mut deal = record.deal.clone();
    let opening = matches!(deal.effect(), ClientEffect::OpenChannel { .. });
    let reason = reason.to_string();
    deal.handle(ClientInput::GivenUp { reason })
        .map_err(|_| EngineError::NotApplicable)?;
    let mut next = record.clone();
    next.advance(deal, None, host.now_ms());
    if opening {
        next.openings.insert(next.attempt);
    }
    keep(record, next, host, Event::Stage).await
}

/// Begins a failed deal anew with another draft; what its former attempts left on the chain stays in the record. Called by
/// whoever carries the deal on: what it has found since the draft was made is not to be lost.
pub async fn redraw<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    deal: ClientDeal,
    peer: String,
) -> Result<(), H::Error> {
    if !record.is_failed() {
        return Err(EngineError::NotApplicable.into());
    }
    let mut next = record.clone();
    next.redraw(deal, peer, host.now_ms());
    keep(record, next, host, Event::Stage).await
}

/// Keeps a record, and goes on with it only when it is kept: nothing is done that a crash could forget.
pub(super) async fn keep<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    next: DealRecord<H::File>,
    host: &H,
    event: Event,
) -> Result<(), H::Error> {
    host.save(&next, event).await?;
    *record = next;
    Ok(())
}

/// What is left to do for a settled deal: its refunds, and the proving of its sector. Returns when to do it again, `None`
/// when there is nothing left.
pub async fn watch<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<Option<u64>, H::Error> {
    let_go_of_file(record, host).await?;
    let seen = look_at_sector(record, host).await;
    refunds::take_back(record, host).await?;
    seen?;
    Ok((record.is_complete() || record.is_owed()).then_some(following::SETTLED_MS))
}

/// Takes over what the chain says of a complete deal's sector.
pub async fn look_at_sector<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<(), H::Error> {
    let Some(id) = record
        .deal
        .proof()
        .filter(|_| record.is_complete())
        .map(|proof| proof.sector_id)
    else {
        return Ok(());
    };
    let Some(miner) = host.chain().miner(&record.deal.draft.miner).await? else {
        return Ok(());
    };
    let sector = miner.sectors.iter().find(|sector| sector.id == id);
    let Some((sector, window)) = sector.zip(miner.proving_window) else {
        return Ok(());
    };
    let proving = Proving {
        window_start: window.start,
        window_end: window.end,
        last_proven_at: sector.last_proven_at,
        proofs: sector.proofs,
    };
    if record.proving.as_ref() == Some(&proving) {
        return Ok(());
    }
    let mut next = record.clone();
    if proving.proofs > 0 {
        next.reach(Step::Proven, host.now_ms());
    }
    next.proving = Some(proving);
    keep(record, next, host, Event::Record).await
}

/// The file must be there, and the same, before money moves or anything is promised.
pub(super) async fn look_at_file<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<(), H::Error> {
    match host.file_is_same(record).await? {
        true => Ok(()),
        false => Err(EngineError::FileChanged.into()),
    }
}

async fn sign<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    height: Option<Epoch>,
) -> Result<Next, H::Error> {
    look_at_file(record, host).await?;
    let proposal = record.deal.sign(&host.key()).map_err(EngineError::Schedule)?;
    advance(record, host, ClientInput::Signed { proposal }, height).await?;
    Ok(Next::Now)
}

/// Sends the proposal. The miner may have it from an earlier life, and the file with it: when that is not here any more, it
/// is asked first.
async fn propose<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    height: Option<Epoch>,
) -> Result<Next, H::Error> {
    let Some(proposal) = record.deal.proposal().cloned() else {
        return Ok(Next::Now);
    };
    follow_miner(record, host).await?;
    let response: SignedResponse = match host.file_is_same(record).await? {
        true => {
            host.offer(record);
            host.ask(record, protocol::MAKE_DEAL, &proposal).await?
        }
        false => {
            let cid = proposal.cid();
            let response: SignedResponse = host.ask(record, protocol::QUERY_DEAL, &QueryRequest { cid }).await?;
            if lacks_the_piece(response.response.state) {
                return Err(EngineError::FileChanged.into());
            }
            response
        }
    };
    hear(record, host, response, height).await?;
    if matches!(record.deal.stage, ClientStage::Running { .. }) && record.needs_file() {
        // It may be sent from now on, too, and not only be fetched.
        host.offer(record);
    }
    Ok(Next::Now)
}

/// Asks how the deal is. Only then is it known whether the file is still needed.
async fn query<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    height: Option<Epoch>,
) -> Result<Next, H::Error> {
    let Some(cid) = record.deal.cid() else {
        return Ok(Next::Now);
    };
    follow_miner(record, host).await?;
    look_for_sealing(record, host).await?;
    let response: SignedResponse = host.ask(record, protocol::QUERY_DEAL, &QueryRequest { cid }).await?;
    go_by(record, host, response, height).await
}

/// Keeps what follows from a miner's word of a deal that is under way, and offers the file where it is still needed.
pub(super) async fn go_by<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    response: SignedResponse,
    height: Option<Epoch>,
) -> Result<Next, H::Error> {
    let state = response.response.state;
    hear(record, host, response, height).await?;
    if record.is_settled() {
        return Ok(Next::Now);
    }
    if lacks_the_piece(state) {
        look_at_file(record, host).await?;
        host.offer(record);
        if record.error.is_some() {
            let next = DealRecord {
                error: None,
                ..record.clone()
            };
            keep(record, next, host, Event::Record).await?;
        }
    }
    Ok(Next::Query)
}

/// The miner may have another host since the deal was made.
pub async fn follow_miner<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<(), H::Error> {
    // Without the chain, or a word of it, the miner is looked for where it was last.
    let Ok(Some(miner)) = host.chain().miner(&record.deal.draft.miner).await else {
        return Ok(());
    };
    if record.peer == miner.peer_id || miner.peer_id.is_empty() {
        return Ok(());
    }
    let mut next = record.clone();
    next.peer = miner.peer_id;
    keep(record, next, host, Event::Record).await
}

/// Judges an answer, and keeps what follows from it. One that another key has signed than the worker's known so far is
/// judged by the worker of now: the miner may have a new one (spec §3.6).
pub async fn hear<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    response: SignedResponse,
    height: Option<Epoch>,
) -> Result<(), H::Error> {
    let now_ms = host.now_ms();
    let answer = Answer::of(&response, now_ms);
    let mut deal = record.deal.clone();
    let mut heard = deal.handle(ClientInput::Answered {
        response: response.clone(),
    });
    if let Err(ClientRefusal::ResponseSignature | ClientRefusal::QuerySignature) = heard {
        let miner = host.chain().miner(&deal.draft.miner).await?;
        if let Some(worker) = miner
            .map(|miner| miner.worker)
            .filter(|worker| *worker != deal.draft.worker)
        {
            heard = deal
                .handle(ClientInput::WorkerChanged { worker })
                .and_then(|()| deal.handle(ClientInput::Answered { response }));
        }
    }
    heard.map_err(|refusal| EngineError::Refused {
        miner: record.deal.draft.miner.clone(),
        refusal,
    })?;
    let mut next = record.clone();
    // The miner has answered: whatever hindered the deal is over, but for a file that it may still need.
    let lacks = deal
        .response()
        .is_some_and(|found| lacks_the_piece(found.response.state));
    let error = next
        .error
        .take()
        .filter(|error| lacks && error.code == ErrorCode::FileLost);
    next.answer = Some(answer);
    next.advance(deal, height, now_ms);
    next.error = error;
    if next.deal != record.deal || next.error != record.error {
        keep(record, next, host, Event::Stage).await?;
    } else {
        // What the miner says again is not worth a write.
        *record = next;
    }
    let_go_of_file(record, host).await
}

/// Tells the host that the file need not be kept, once, and again after a crash that came between.
async fn let_go_of_file<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<(), H::Error> {
    if record.file_let_go || record.needs_file() || record.is_failed() {
        return Ok(());
    }
    host.file_is_not_needed(record).await?;
    let mut next = record.clone();
    next.file_let_go = true;
    keep(record, next, host, Event::Record).await
}

/// The record with the miner's host as the chain names it now, and the miner as the chain has it.
pub async fn where_it_is<H: ClientHost>(
    record: &DealRecord<H::File>,
    host: &H,
) -> Result<(DealRecord<H::File>, Option<MinerView>), H::Error> {
    let view = host.chain().miner(&record.deal.draft.miner).await?;
    let mut there = record.clone();
    if let Some(view) = view.as_ref().filter(|view| !view.peer_id.is_empty()) {
        there.peer = view.peer_id.clone();
    }
    Ok((there, view))
}

/// The deal's miner's answer to a question of the user, and the worker that signed it: the deal's, or the one that the chain
/// names now, since what its former worker signed holds all the same (spec §3.6 \[Q\]).
pub async fn ask_state<H: ClientHost>(
    record: &DealRecord<H::File>,
    cid: Cid,
    host: &H,
) -> Result<(SignedResponse, Address), H::Error> {
    let miner = record.deal.draft.miner.clone();
    let (there, view) = where_it_is(record, host).await?;
    let response: SignedResponse = host.ask(&there, protocol::QUERY_DEAL, &QueryRequest { cid }).await?;
    let refused = |refusal| EngineError::Refused {
        miner: miner.clone(),
        refusal,
    };
    let mut workers = [Some(record.deal.draft.worker.clone()), view.map(|view| view.worker)]
        .into_iter()
        .flatten();
    let signer = workers.find(|worker| response.is_signed_by(worker));
    let worker = signer.ok_or_else(|| refused(ClientRefusal::QuerySignature))?;
    let answered = response.response.proposal_cid;
    if answered != cid {
        return Err(refused(ClientRefusal::OtherDeal { asked: cid, answered }).into());
    }
    Ok((response, worker))
}

/// Takes such an answer into the record. What does not apply, such as an earlier state of a complete deal, changes
/// nothing but the miner's last word.
pub async fn take_in<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    response: SignedResponse,
    worker: Address,
    host: &H,
) -> Result<Result<(), ClientRefusal>, H::Error> {
    let (mut deal, mut next) = (record.deal.clone(), record.clone());
    next.answer = Some(Answer::of(&response, host.now_ms()));
    let known = deal.handle(ClientInput::WorkerChanged { worker });
    let taken = known.and_then(|()| deal.handle(ClientInput::Answered { response }));
    if taken.is_ok() {
        next.advance(deal, None, host.now_ms());
    }
    keep(record, next, host, Event::Stage).await?;
    Ok(match taken {
        Err(ClientRefusal::Unexpected) => Ok(()),
        other => other,
    })
}

/// The chain shows when a staged piece's sector is being sealed: a sector of the miner that was announced after the deal
/// was accepted. With several sectors at once it may be another one; the proof at the end names the right one.
pub(super) async fn look_for_sealing<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
) -> Result<(), H::Error> {
    let Some(since) = record.accepted_at.filter(|_| record.step() == Step::Staged) else {
        return Ok(());
    };
    // It is only shown: without the chain it is seen later.
    let Ok(Some(miner)) = host.chain().miner(&record.deal.draft.miner).await else {
        return Ok(());
    };
    let announced = miner.pre_commits.iter().map(|pre| pre.height);
    let committed = miner.sectors.iter().map(|sector| sector.committed_at);
    if announced.chain(committed).any(|height| height >= since) {
        let mut next = record.clone();
        next.reach(Step::Sealing, host.now_ms());
        keep(record, next, host, Event::Record).await?;
    }
    Ok(())
}

/// Hands the machine an input that applies, and keeps what came of it.
pub(super) async fn advance<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    input: ClientInput,
    height: Option<Epoch>,
) -> Result<(), H::Error> {
    let mut deal: ClientDeal = record.deal.clone();
    deal.handle(input).map_err(|refusal| EngineError::Refused {
        miner: record.deal.draft.miner.clone(),
        refusal,
    })?;
    let mut next = record.clone();
    next.advance(deal, height, host.now_ms());
    keep(record, next, host, Event::Stage).await
}

/// Whether a stage means that the miner has said yes.
pub fn is_accepted(stage: &ClientStage) -> bool {
    matches!(stage, ClientStage::Running { .. } | ClientStage::Complete { .. })
}
