//! Takes money back: does what [`Refund`] says, for every channel of a deal that is owed (spec §5.2, §7.9).
//!
//! Called by [`super::engine::step`] for settled deals, and by hosts for failed attempts of a deal that is under way anew.
//! Acting twice is harmless: the chain is asked before and after each message.

use super::engine::keep;
use super::following::MESSAGE_MS;
use super::host::{Awaited, ClientHost, EngineError, Event};
use super::record::{ChannelRefund, DealRecord};
use crate::chain::calls::{self, channel_id};
use crate::chain::{Address, AttoFil, ChannelId, Epoch};
use crate::deal::refund::INVALID_CANCEL;
use crate::deal::{ClientInput, Refund, RefundEffect, RefundInput};
use crate::payment::closing::closing_voucher;
use crate::payment::{ChannelFacts, CloseRequest, CloseResponse};
use crate::ports::{Chain, MessagePurpose, Sent};
use crate::wire::protocol;
use alloc::string::String;
use alloc::{format, vec::Vec};
use cid::Cid;

/// Moves of one refund in a row: ask, look, cancel, look, reclaim, look; the rest is a channel that changes meanwhile, or a few
/// blocks in which the miner closes it.
const MOVES: usize = 8;
/// Waits for a block in a row, of [`MESSAGE_MS`] at most: a chain that takes minutes for a message has stopped.
const MOST_WAITS: usize = 100;

/// Does all that can be done now for the money that is owed to the deal.
pub async fn take_back<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<(), H::Error> {
    // One channel that cannot be looked for or moved does not keep the others.
    let mut first = find_channels(record, host).await;
    let height = host.chain().height().await?;
    let pending = |found: &ChannelRefund| match found.refund {
        Refund::Returned => false,
        // A cancellation that a redemption undid is seen only by looking; what is earned is left alone until its end.
        Refund::Waiting { eol, earned } => !earned || height >= eol,
        Refund::Due | Refund::Asking | Refund::Closing { .. } | Refund::Cancelling | Refund::Reclaiming => true,
    };
    let channels: Vec<u64> = record
        .refunds
        .iter()
        .filter(|(_, found)| pending(found))
        .map(|(id, _)| *id)
        .collect();
    for id in channels {
        let moved = pursue(record, host, ChannelId(id)).await;
        first = first.and(moved);
    }
    first
}

/// Does it all, and waits for the blocks of its messages: for a host that ends then.
pub async fn take_back_and_wait<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<(), H::Error> {
    for _ in 0..MOST_WAITS {
        take_back(record, host).await?;
        if !waits_for_a_message(record) {
            break;
        }
        host.wait(MESSAGE_MS, Awaited::Block).await;
    }
    Ok(())
}

/// Whether a message of the refunds is on its way to a block, or was when it was looked for.
fn waits_for_a_message<F>(record: &DealRecord<F>) -> bool {
    let is_sent = |found: &ChannelRefund| {
        matches!(
            found.refund,
            Refund::Closing { .. } | Refund::Cancelling | Refund::Reclaiming
        )
    };
    !record.openings.is_empty() || record.refunds.values().any(is_sent)
}

/// Finds out what became of messages that may have opened channels of attempts that were given up.
async fn find_channels<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<(), H::Error> {
    let mut first = Ok(());
    for attempt in record.openings.clone() {
        let found = find_channel(record, host, attempt).await;
        first = first.and(found);
    }
    first
}

async fn find_channel<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H, attempt: u32) -> Result<(), H::Error> {
    let (chain, payer) = (host.chain(), record.deal.draft.payer.clone());
    let purpose = MessagePurpose::OpenChannel { attempt };
    let opened = match chain.sent(&payer, &record.id, purpose).await? {
        Some(Sent::Pending) => return Ok(()),
        Some(sent) => opened_by(host, &payer, &sent).await?.ok(),
        None => None,
    };
    let mut next = record.clone();
    if let Some((channel, message)) = opened {
        owe(&mut next, attempt, channel, message);
    }
    next.openings.remove(&attempt);
    keep(record, next, host, Event::Record).await?;
    chain.settle(&payer, &record.id, purpose).await
}

/// The channel that a message of `payer` opened, and the message; else why there is none.
pub(super) async fn opened_by<H: ClientHost>(
    host: &H,
    payer: &Address,
    sent: &Sent,
) -> Result<Result<(ChannelId, Cid), String>, H::Error> {
    Ok(match sent {
        Sent::Applied { message, receipt } => match channel_id(receipt) {
            Ok(channel) => Ok((channel, *message)),
            Err(error) => Err(format!("createChannel failed: {error}")),
        },
        Sent::Failed { error, .. } => Err(error.clone()),
        Sent::Dropped { reason } | Sent::Refused { reason } => Err(reason.clone()),
        Sent::Pending => Err("its message waits for a block".into()),
        Sent::Pruned {
            message,
            number,
            height,
        } => {
            let channel = ChannelId(*number);
            match host.chain().channel(payer, channel).await? {
                Some(_) => Ok((channel, *message)),
                None => Err(format!(
                    "createChannel failed in block {height}: there is no channel {channel}"
                )),
            }
        }
    })
}

fn owe<F>(record: &mut DealRecord<F>, attempt: u32, channel: ChannelId, message: Cid) {
    if attempt == record.attempt && record.is_failed() {
        // On an earlier attempt's channel the present deal has no say.
        let _ = record.deal.handle(ClientInput::ChannelOpened { channel, message });
        record.owe_refund();
    }
    record.refunds.entry(channel.0).or_insert(ChannelRefund {
        amount: AttoFil::ZERO,
        refund: Refund::Due,
        error: None,
    });
}

/// The channel as it was last seen.
struct Seen {
    channel: Option<ChannelFacts>,
    height: Epoch,
}

/// Does what can be done now for one channel.
pub async fn pursue<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H, id: ChannelId) -> Result<(), H::Error> {
    for _ in 0..MOVES {
        if effect(record, id) == RefundEffect::Rest {
            return Ok(());
        }
        let seen = look(record, host, id).await?;
        let sent = match effect(record, id) {
            RefundEffect::Rest | RefundEffect::WaitUntil(_) => return Ok(()),
            RefundEffect::Look => continue,
            RefundEffect::AskToClose => {
                let closes = asks_to_close(record, host, id, seen.channel.as_ref()).await;
                let input = RefundInput::CloseAnswered { closes };
                tell(record, host, id, input, seen.height).await?;
                continue;
            }
            RefundEffect::AwaitClose => {
                host.wait(MESSAGE_MS, Awaited::Block).await;
                continue;
            }
            RefundEffect::Cancel => send(record, host, MessagePurpose::Cancel { channel: id }).await?,
            RefundEffect::Reclaim => send(record, host, MessagePurpose::Reclaim { channel: id }).await?,
        };
        match sent {
            // A signer that would not is asked at the next look.
            Sent::Pending | Sent::Refused { .. } => return Ok(()),
            Sent::Failed {
                exit_code: INVALID_CANCEL,
                ..
            } => {
                let eol = seen.channel.map_or(seen.height, |channel| channel.agreed_eol);
                tell(record, host, id, RefundInput::CancelRefused { eol }, seen.height).await?;
            }
            Sent::Failed { exit_code, error } => {
                return Err(EngineError::Refund {
                    channel: id,
                    exit_code,
                    error,
                }
                .into())
            }
            // What came of it is seen at the next look; a message that was dropped is made again after it.
            Sent::Applied { .. } | Sent::Dropped { .. } | Sent::Pruned { .. } => {}
        }
    }
    Ok(())
}

/// Asks the miner to close the channel, and whether it does. One that is away, does not speak the protocol, or says no, does not.
async fn asks_to_close<H: ClientHost>(
    record: &DealRecord<H::File>,
    host: &H,
    id: ChannelId,
    channel: Option<&ChannelFacts>,
) -> bool {
    let Some(voucher) = channel.and_then(|channel| closing_voucher(&host.key(), &record.deal.draft.payer, id, channel))
    else {
        return false;
    };
    let request = CloseRequest { voucher };
    let answer: Result<CloseResponse, _> = host.ask(record, protocol::CLOSE_CHANNEL, &request).await;
    answer.is_ok_and(|answer| answer.closes)
}

fn effect<F>(record: &DealRecord<F>, id: ChannelId) -> RefundEffect {
    let found = record.refunds.get(&id.0);
    found.map_or(RefundEffect::Rest, |found| found.refund.effect())
}

/// Asks the chain, and keeps what follows from it.
async fn look<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H, id: ChannelId) -> Result<Seen, H::Error> {
    let chain = host.chain();
    let height = chain.height().await?;
    let view = chain.channel(&record.deal.draft.payer, id).await?;
    let channel = view.as_ref().map(ChannelFacts::from);
    let cancel_delay = chain.policy().await?.cancel_delay;
    let input = RefundInput::Seen {
        channel: channel.clone(),
        cancel_delay,
    };
    tell(record, host, id, input, height).await?;
    Ok(Seen { channel, height })
}

/// Hands the machine an input, and keeps what came of it.
async fn tell<H: ClientHost>(
    record: &mut DealRecord<H::File>,
    host: &H,
    id: ChannelId,
    input: RefundInput,
    now: Epoch,
) -> Result<(), H::Error> {
    let mut next = record.clone();
    let Some(found) = next.refunds.get_mut(&id.0) else {
        return Ok(());
    };
    if let RefundInput::Seen {
        channel: Some(channel), ..
    } = &input
    {
        found.amount = channel.amount.checked_sub(channel.amount_redeemed).unwrap_or_default();
    }
    found.refund.handle(input, now);
    found.error = None;
    match next.refunds == record.refunds {
        true => Ok(()),
        false => keep(record, next, host, Event::Refund(id)).await,
    }
}

/// Sends a message of the refund; one whose outcome is known is made anew the next time.
async fn send<H: ClientHost>(
    record: &DealRecord<H::File>,
    host: &H,
    purpose: MessagePurpose,
) -> Result<Sent, H::Error> {
    let (chain, payer) = (host.chain(), &record.deal.draft.payer);
    let call = match purpose {
        MessagePurpose::Reclaim { channel } => calls::reclaim(channel),
        MessagePurpose::Cancel { channel } => calls::cancel(channel),
        MessagePurpose::OpenChannel { .. } => return Ok(Sent::Pending),
    };
    let sent = chain.send(payer, &record.id, purpose, call).await?;
    if sent != Sent::Pending {
        chain.settle(payer, &record.id, purpose).await?;
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::super::engine::{self, step};
    use super::super::testing::{now, record, FakeHost};
    use super::*;

    /// A deal that was given up while its channel was open.
    fn given_up(host: &FakeHost) -> DealRecord<()> {
        let mut record = record(2, 20_000);
        while record.deal.channel().is_none() {
            now(step(&mut record, host)).expect("nothing hinders it");
            host.mine();
        }
        now(engine::give_up(&mut record, host, "r")).expect("it is under way");
        record
    }

    #[test]
    fn a_host_that_ends_waits_for_the_blocks_of_its_messages_and_not_for_the_channels_end() {
        let host = FakeHost::default();
        host.mines_meanwhile.set(true);
        let mut record = given_up(&host);
        now(take_back_and_wait(&mut record, &host)).expect("nothing hinders it");
        assert!(matches!(record.refund(), Refund::Waiting { earned: false, .. }));
        let end = record.rests_until().expect("its channel has an end");
        host.chain.height.set(end.0);
        now(take_back_and_wait(&mut record, &host)).expect("nothing hinders it");
        assert_eq!(record.refund(), Refund::Returned);
        assert_eq!((host.chain.count("cancel"), host.chain.count("reclaim")), (1, 1));
    }

    #[test]
    fn a_chain_that_makes_no_blocks_does_not_keep_a_host_for_ever() {
        let host = FakeHost::default();
        let mut record = given_up(&host);
        now(take_back_and_wait(&mut record, &host)).expect("nothing hinders it");
        assert_eq!(record.refund(), Refund::Cancelling);
    }
}
