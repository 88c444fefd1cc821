//! Closing channels of deals that came to nothing, with the payer's signature ([`shared::payment::closing`]).
//!
//! A channel that a deal of ours is paid over is not closed, and over one that is being closed none is taken any more.

use super::exchange::{Exchange, SHORT};
use super::propose::Reviewer;
use super::{frames, ExchangeError, EXCHANGE_LIMIT};
use crate::chain_access::ChainAccess;
use sealdrop_database::blocking;
use shared::chain::{calls, Address, ChannelId};
use shared::payment::closing::{review_closing, ClosingError};
use shared::payment::{ChannelFacts, CloseRequest, CloseResponse, PaymentVoucher};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Most channels that are being closed at once: each was opened for money, and its message is in a block within seconds.
const MAX_CLOSING: usize = 1024;

/// Channels that are being closed, and since when.
///
/// An entry stays for as long as a proposal may be under review that did not see the message in the outbox yet.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    channels: Arc<Mutex<BTreeMap<(Address, ChannelId), Instant>>>,
}

impl Closing {
    /// Whether a channel of `payer` is being closed. Waits for nobody: it is asked within the store's transaction.
    pub(super) fn contains(&self, payer: &Address, id: ChannelId) -> bool {
        self.lock().contains_key(&(payer.clone(), id))
    }

    /// Notes that no deal is to be taken over a channel; false when too many are being closed.
    fn begin(&self, payer: &Address, id: ChannelId) -> bool {
        let mut channels = self.lock();
        channels.retain(|_, since| since.elapsed() < EXCHANGE_LIMIT);
        if channels.len() >= MAX_CLOSING {
            return false;
        }
        channels.insert((payer.clone(), id), Instant::now());
        true
    }

    fn give_up(&self, payer: &Address, id: ChannelId) {
        self.lock().remove(&(payer.clone(), id));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Address, ChannelId), Instant>> {
        // Entries come and go in one call each: whole after a panic, too.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the message that closes a channel was made. Not to be asked within the store's transaction: the outbox waits for the disk.
pub(super) fn is_closed(chain: &ChainAccess, payer: &Address, id: ChannelId) -> bool {
    chain.made(&purpose(payer, id)).is_some()
}

/// The same channel is the same message, however often it is asked for.
fn purpose(payer: &Address, id: ChannelId) -> String {
    format!("close/{payer}/{id}")
}

/// Reads a voucher, closes its channel if that may be, answers.
pub(super) async fn answer(reviewer: Arc<Reviewer>, mut exchange: Exchange) -> Result<(), ExchangeError> {
    let CloseRequest { voucher } = exchange.request(SHORT).await?;
    let closed = close(&reviewer, &voucher).await?;
    let message = closed.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let closes = closed.is_ok();
    match closes {
        true => tracing::info!(payer = %voucher.payer, channel = %voucher.channel, "a channel is being closed"),
        // Anybody can have these written, as many as they like.
        false => {
            tracing::debug!(payer = %voucher.payer, channel = %voucher.channel, message, "a channel is not closed");
        }
    }
    frames::write(&mut exchange.stream, &CloseResponse { closes, message }).await?;
    frames::close(&mut exchange.stream).await?;
    Ok(())
}

/// Sends the message that closes a voucher's channel; why not, otherwise.
pub(crate) async fn close(
    reviewer: &Reviewer,
    voucher: &PaymentVoucher,
) -> Result<Result<(), ClosingError>, ExchangeError> {
    let (payer, id, chain) = (&voucher.payer, voucher.channel, &reviewer.chain);
    let found = chain.channel(payer, id).await?;
    let height = chain.heads().borrow().height;
    let facts = found.as_ref().map(ChannelFacts::from);
    let reviewed = blocking(|| review_closing(voucher, &reviewer.owner, facts.as_ref(), height));
    if let Err(error) = reviewed {
        return Ok(Err(error));
    }
    // From here on no deal is taken over the channel; one that was taken before is seen.
    if !reviewer.closing.begin(payer, id) {
        return Ok(Err(ClosingError::Busy));
    }
    let sent = submit(reviewer, voucher).await;
    if !matches!(sent, Ok(Ok(()))) {
        reviewer.closing.give_up(payer, id);
    }
    sent
}

async fn submit(reviewer: &Reviewer, voucher: &PaymentVoucher) -> Result<Result<(), ClosingError>, ExchangeError> {
    let (payer, id, chain) = (&voucher.payer, voucher.channel, &reviewer.chain);
    if blocking(|| reviewer.store.is_owed(payer, id))? {
        return Ok(Err(ClosingError::Promised));
    }
    let purpose = purpose(payer, id);
    // FAIL: the chain may be away, the process end. THEN: the message goes out by itself, and the same again when asked.
    chain.submit(&purpose, calls::close(voucher, Vec::new())).await?;
    // Nobody counts on it: it is cleared away some time after it is in a block.
    chain.settle(&purpose)?;
    Ok(Ok(()))
}
