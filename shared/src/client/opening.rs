//! Opening a deal's payment channel, the one message by which a client pays (spec §3.4 step 3).
//!
//! Called by [`super::engine::step`]. Before it is made, the file is looked at again and the miner is asked whether it takes the deal. Where
//! a person has to sign it, a deal that is over before they do is not paid.

use super::engine::{advance, keep, look_at_file, order, overdue, Next};
use super::host::{Awaited, ClientHost, EngineError, Event, Order};
use super::problem::{ErrorCode, Problem};
use super::record::DealRecord;
use super::{quoting, refunds};
use crate::chain::{calls, Address, AttoFil, Epoch};
use crate::deal::watch::LONGEST_WATCH_MS;
use crate::deal::ClientInput;
use crate::ports::{Chain, MessagePurpose, Sent};
use alloc::string::String;

/// Times in a row that a dropped message which opens a channel is made anew; the next step begins again.
pub const CHANNEL_ATTEMPTS: u32 = 3;

pub(super) async fn open<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    target: &Address,
    amount: AttoFil,
    eol: Epoch,
) -> Result<Next, H::Error> {
    let (chain, payer) = (host.chain(), record.deal.draft.payer.clone());
    let purpose = MessagePurpose::OpenChannel {
        attempt: record.attempt,
    };
    let mut why = String::new();
    for _ in 0..CHANNEL_ATTEMPTS {
        let sent = match chain.sent(&payer, &record.id, purpose).await? {
            // Paid already, in an earlier life.
            Some(sent) if !matches!(sent, Sent::Dropped { .. }) => sent,
            _ => {
                look_at_file(record, host).await?;
                let refused = quoting::refusal(record, host).await;
                if quoting::go_to_next(record, host, &refused).await? {
                    chain.settle(&payer, &record.id, purpose).await?;
                    return Ok(Next::Now);
                }
                if let Some(reason) = quoting::gives_way::<H>(record, &refused) {
                    end_unpaid(record, host, reason, None).await?;
                    chain.settle(&payer, &record.id, purpose).await?;
                    return Ok(Next::Now);
                }
                if let Some(quote) = refused? {
                    let problem = quoting::problem(&quote);
                    end_unpaid(record, host, quoting::reason(&quote), Some(problem)).await?;
                    chain.settle(&payer, &record.id, purpose).await?;
                    return Ok(Next::Now);
                }
                let key = host.key().address();
                let call = match key == payer {
                    true => calls::create_channel(target, eol, amount),
                    // What follows is signed by the session key alone.
                    false => calls::create_channel_with_session(target, eol, amount, &key),
                };
                let over = is_over(record, host);
                match chain.send_unless(&payer, &record.id, purpose, call, over).await? {
                    Some(sent) => sent,
                    None => return Ok(Next::Now),
                }
            }
        };
        let input = match sent {
            Sent::Pending => return Ok(Next::Message),
            Sent::Dropped { reason } => {
                // It is in no block and never will be: a new message takes its place.
                chain.settle(&payer, &record.id, purpose).await?;
                why = reason;
                continue;
            }
            Sent::Refused { reason } => {
                // Asking again would be a nuisance: whoever wants it after all makes the deal anew.
                let problem = Problem::of(ErrorCode::SignerRefused, reason.clone());
                end_unpaid(record, host, reason, Some(problem)).await?;
                return Ok(Next::Now);
            }
            sent => match refunds::opened_by(host, &payer, &sent).await? {
                Ok((channel, message)) => ClientInput::ChannelOpened { channel, message },
                Err(reason) => ClientInput::ChannelFailed { reason },
            },
        };
        advance(record, host, input, None).await?;
        // The channel is in the record: its message will not be asked for again.
        chain.settle(&payer, &record.id, purpose).await?;
        return Ok(Next::Now);
    }
    Err(EngineError::Channel { reason: why }.into())
}

/// Waits until nobody may be asked to pay for the deal any longer: it was given up, or its time is over.
async fn is_over<H: ClientHost>(record: &DealRecord<H::File>, host: &H) {
    while order(record, host) == Order::GoOn && overdue(record, host.chain().height().await.ok()).is_none() {
        host.wait(LONGEST_WATCH_MS, Awaited::Block).await;
    }
}

/// Ends a deal that its miner would not take, or cannot be asked about, before anything was paid for it.
async fn end_unpaid<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    reason: String,
    problem: Option<Problem>,
) -> Result<(), H::Error> {
    let mut deal = record.deal.clone();
    deal.handle(ClientInput::ChannelFailed { reason })
        .map_err(|_| EngineError::NotApplicable)?;
    let mut next = record.clone();
    next.advance(deal, None, host.now_ms());
    next.error = problem;
    keep(record, next, host, Event::Stage).await
}
