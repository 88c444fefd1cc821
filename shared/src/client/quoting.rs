//! Asking the miner whether it takes a deal before anything is paid (design §9, [`crate::deal::quote`]).
//!
//! Called by [`super::engine`] before it opens a channel, and by hosts that show what miners say. A miner that does not speak the
//! protocol is taken without being asked, as in 2019; one that does not answer is not paid.

use super::engine::follow_miner;
use super::host::{Blame, ClientHost, EngineError};
use super::problem::{ErrorCode, Problem};
use super::record::DealRecord;
use crate::chain::Address;
use crate::deal::client::ClientRefusal;
use crate::deal::quote::span;
use crate::deal::{Quote, QuoteRequest, SignedQuote};
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
