//! Answering what clients ask before they pay ([`shared::deal::quote`]): the terms are judged as a proposal's would be, and nothing
//! is kept.

use super::exchange::Exchange;
use super::propose::{self, Reviewer};
use super::{frames, Answers, ExchangeError};
use crate::intake;
use crate::packing;
use sealdrop_database::blocking;
use shared::deal::quote::{Refusal, MAX_REQUEST};
use shared::deal::review::review_terms;
use shared::deal::{Quote, QuoteRequest, Rejection, RejectionCode};
use shared::sector::timing::MESSAGE_MARGIN;
use std::sync::Arc;

/// Reads terms, judges them, answers.
pub(super) async fn answer(
    reviewer: Arc<Reviewer>,
    answers: Answers,
    mut exchange: Exchange,
) -> Result<(), ExchangeError> {
    let request: QuoteRequest = exchange.request(MAX_REQUEST).await?;
    let (peer, stream) = (exchange.peer, &mut exchange.stream);
    // What cannot be signed is not judged.
    let worker = answers.signer.key()?;
    let quote = blocking(|| quote(&reviewer, &request, &peer.to_string()))?;
    tracing::debug!(%peer, code = quote.code, reason = quote.message, "answered what a deal would come to");
    frames::write(stream, &quote.sign(&worker)).await?;
    frames::close(stream).await?;
    Ok(())
}

/// What this miner says of a deal of these terms now, when the peer `source` proposes it.
pub(crate) fn quote(reviewer: &Reviewer, request: &QuoteRequest, source: &str) -> Result<Quote, ExchangeError> {
    let height = reviewer.chain.heads().borrow().height;
    let (verdict, room) = judge(reviewer, request, source)?;
    Ok(Quote::of(request, height, verdict).with_room(room))
}

/// The verdict, and the bytes that would be taken in where that was looked at.
type Judged = (Result<(), Refusal>, Option<u64>);

/// In the order in which a proposal is judged ([`propose`]).
fn judge(reviewer: &Reviewer, request: &QuoteRequest, source: &str) -> Result<Judged, ExchangeError> {
    let refused = |code, message: String| Ok((Err(Rejection { code, message }.into()), None));
    if !reviewer.settings.now().mining {
        return refused(RejectionCode::NotMining, propose::NOT_MINING.to_owned());
    }
    let context = propose::context(reviewer);
    if let Err(rejection) = review_terms(&request.terms(), &context) {
        return Ok((Err(rejection.into()), None));
    }
    // The channel's message and the proposal take some blocks: what is good now must be so then.
    let until_proposed = MESSAGE_MARGIN.min(request.duration / 10);
    let end = context.height.plus(request.duration - until_proposed);
    if let Some(reason) = packing::too_short(&reviewer.packing, end, context.height)? {
        return refused(RejectionCode::DurationTooShort, reason);
    }
    let known = reviewer.store.known_of(source)?;
    if known.is_full {
        return refused(
            RejectionCode::TooManyDeals,
            crate::store::StoreError::TooManyDeals.to_string(),
        );
    }
    if let Some((code, reason)) = propose::no_room(reviewer, request.size, request.total_price.is_zero(), &known)? {
        return refused(code, reason);
    }
    let capacity = intake::capacity(&reviewer.intake);
    let refusal = intake::refuses(&reviewer.intake, &capacity, known.unsealed, request.size);
    let room = capacity.room(known.unsealed).min(propose::disk_room(reviewer, &known)?);
    Ok((refusal.map_or(Ok(()), Err), Some(room)))
}
