//! Asking the miner whether it takes a deal before anything is paid (design §9, [`crate::deal::quote`]).
//!
//! Called by [`super::engine`] before it opens a channel, and by hosts that show what miners say. A miner that does not speak the
//! protocol is taken without being asked, as in 2019; one that does not answer is not paid.

use super::choosing::{PassedOver, MOST_DEARER};
use super::engine::{follow_miner, keep};
use super::host::{Blame, ClientHost, EngineError, Event};
use super::offer::{within_limit, MinerOffer, PieceNames};
use super::problem::{ErrorCode, Problem};
use super::record::DealRecord;
use crate::chain::{Address, AttoFil};
use crate::deal::client::ClientRefusal;
use crate::deal::quote::span;
use crate::deal::{ClientDeal, Quote, QuoteRequest, SignedQuote};
use crate::ports::Chain;
use crate::wire::protocol;
use alloc::format;
use alloc::string::{String, ToString};

/// Why the deal's miner would not take it now; `None` when it would, or cannot be asked.
pub(super) async fn refusal<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
) -> Result<Option<Quote>, H::Error> {
    let Some(request) = record.deal.draft.quote_request() else {
        return Ok(None);
    };
    follow_miner(record, host).await?;
    let signed: SignedQuote = match host.ask(record, protocol::QUOTE, &request).await {
        Ok(signed) => signed,
        Err(error) => {
            return match H::blame(&error) {
                Blame::Protocol { .. } => Ok(None),
                _ => Err(error),
            }
        }
    };
    let miner = record.deal.draft.miner.clone();
    let worker = record.deal.draft.worker.clone();
    let mut checked = check(&signed, &request, &worker);
    if checked == Err(ClientRefusal::QuoteSignature) {
        // The miner may have another worker since the deal was drawn up (spec §3.6).
        let view = host.chain().miner(&miner).await?;
        if let Some(worker) = view.map(|view| view.worker) {
            checked = check(&signed, &request, &worker);
        }
    }
    checked.map_err(|refusal| EngineError::Refused { miner, refusal })?;
    Ok(Some(signed.quote).filter(|quote| !quote.is_accepted()))
}

/// Draws a deal up with the next miner by the rule, when the one that it is with would not take it, as `refused` says, or cannot be
/// asked; false when its user has named the miner, when there is no other, or when the miner takes it. Nothing is paid yet.
pub(super) async fn go_to_next<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    refused: &Result<Option<Quote>, H::Error>,
) -> Result<bool, H::Error> {
    // A file's pieces are placed together: another deal about this piece may be with that miner already.
    if record.part_of.is_some() {
        return Ok(false);
    }
    let miner = &record.deal.draft.miner;
    let passed = match refused {
        Ok(None) => return Ok(false),
        Ok(Some(quote)) => PassedOver::refusing(miner, &quote.message),
        Err(error) => match H::blame(error) {
            Blame::Miner { reason } => PassedOver::silent(miner, &reason),
            _ => return Ok(false),
        },
    };
    let Some(mut by_rule) = record.by_rule.clone() else {
        return Ok(false);
    };
    by_rule.passed.push(passed);
    let agreed = *by_rule.agreed.get_or_insert(record.deal.draft.price);
    let most = AttoFil(agreed.0.saturating_mul(MOST_DEARER));
    while !by_rule.others.is_empty() {
        let Some(view) = host.chain().miner(&by_rule.others.remove(0)).await? else {
            continue;
        };
        let height = host.chain().height().await?;
        let (draft, peer) = (&record.deal.draft, view.peer_id.clone());
        // One that has withdrawn its offer meanwhile, or has other sectors, is not for this deal.
        let offer = MinerOffer::of(view, None, height).ok();
        let Some(offer) = offer.filter(|offer| draft.size <= offer.sector.usable()) else {
            continue;
        };
        let piece = PieceNames {
            data_cid: draft.data_cid,
            comm_p: draft.comm_p,
            size: draft.size,
        };
        let drawn = offer.draft(piece, draft.payer.clone(), draft.duration, height);
        let dear = match record.most {
            Some(limit) => within_limit(drawn.total(), Some(limit))
                .is_err()
                .then(|| PassedOver::over_limit(&drawn.miner, limit)),
            None => (drawn.price > most).then(|| PassedOver::dearer(&drawn.miner)),
        };
        if let Some(dear) = dear {
            by_rule.passed.push(dear);
            continue;
        }
        let mut next = record.clone();
        (next.deal, next.peer, next.by_rule) = (ClientDeal::new(drawn), peer, Some(by_rule));
        next.error = None;
        keep(record, next, host, Event::Stage).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Why a deal about a piece of a file ends before anything is paid for it: its miner cannot be asked, and there are others by the rule,
/// with one of whom [`super::files::needs`] has a deal made instead. Without others the miner is waited for.
pub(super) fn gives_way<H: ClientHost>(
    record: &DealRecord<H::File>,
    refused: &Result<Option<Quote>, H::Error>,
) -> Option<String> {
    let others = record
        .by_rule
        .as_ref()
        .is_some_and(|by_rule| !by_rule.others.is_empty());
    let error = refused.as_ref().err().filter(|_| record.part_of.is_some() && others)?;
    match H::blame(error) {
        Blame::Miner { reason } => Some(format!("the miner does not answer, and another one is asked: {reason}")),
        _ => None,
    }
}

/// Whether a quote is `worker`'s answer to this request.
pub fn check(signed: &SignedQuote, request: &QuoteRequest, worker: &Address) -> Result<(), ClientRefusal> {
    if !signed.is_signed_by(worker) {
        return Err(ClientRefusal::QuoteSignature);
    }
    match signed.quote.request == request.cid() {
        true => Ok(()),
        false => Err(ClientRefusal::OtherRequest),
    }
}

/// The end of a deal whose miner would not take it, with the code beside the text.
pub(super) fn reason(quote: &Quote) -> String {
    format!(
        "deal rejected: {} (code {}; nothing was paid)",
        quote.message, quote.code
    )
}

/// The same as plain data.
pub(super) fn problem(quote: &Quote) -> Problem {
    Problem {
        code: ErrorCode::Rejected,
        message: quote.message.clone(),
        hint: match quote.retry_ms {
            Some(ms) => format!(
                "Nothing was paid. Try again in about {}, or with another miner.",
                span(ms)
            ),
            None => "Nothing was paid. The miner's reason tells what to change; try again, or with another miner."
                .to_string(),
        },
        rejection: u16::try_from(quote.code).ok(),
        obstacle: None,
    }
}
