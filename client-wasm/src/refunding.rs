//! Takes the money of failed attempts back: does what [`shared::deal::Refund`] says, one channel after the other.
//!
//! Started by [`crate::driver`] for every deal with a channel to take back, beside whatever else the deal does: a deal
//! that was drawn up anew may be under way while its first attempt's money is still coming.

use crate::clock;
use crate::driver::{Core, Running};
use crate::fault::{Fault, Problem};
use serde::{Deserialize, Serialize};
use shared::chain::calls::{self, Call};
use shared::chain::{AttoFil, ChannelId, Epoch};
use shared::deal::refund::INVALID_CANCEL;
use shared::deal::{Refund, RefundEffect, RefundInput};
use shared::payment::ChannelFacts;
use std::rc::Rc;

/// Milliseconds between two looks at a channel: at least, and at most.
const LOOK_WAIT: (f64, f64) = (1_000.0, 20_000.0);
/// Milliseconds between two looks, at most, while a miner is still earning a complete deal's channel.
const EARNING_WAIT: f64 = 600_000.0;

/// A failed attempt's channel, and how far its money is on its way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refunding {
    /// What is still in the channel, as far as is known.
    pub amount: AttoFil,
    pub refund: Refund,
    /// What hinders it at present; it is tried again by itself.
    #[serde(default)]
    pub error: Option<Problem>,
}

/// `Refund` of the public types.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundView<'a> {
    channel: u64,
    amount: AttoFil,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Epoch>,
    earned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Problem>,
}

impl Refunding {
    /// The refund of a channel that nobody has looked at yet.
    pub fn of(amount: AttoFil) -> Self {
        Self {
            amount,
            refund: Refund::default(),
            error: None,
        }
    }

    /// `Refund` for the page.
    pub fn view(&self, channel: u64) -> RefundView<'_> {
        let state = match self.refund {
            Refund::Due | Refund::Cancelling => "cancelling",
            Refund::Waiting { .. } => "waiting",
            Refund::Reclaiming => "reclaiming",
            Refund::Returned => "returned",
        };
        RefundView {
            channel,
            amount: self.amount,
            state,
            until: self.refund.deadline(),
            earned: matches!(self.refund, Refund::Waiting { earned: true, .. }),
            error: self.error.as_ref(),
        }
    }
}

impl Core {
    /// Takes the money of all failed attempts of a deal back. Returns when it is back, or the deal is stopped.
    pub(crate) async fn take_back(self: Rc<Self>, running: Rc<Running>) {
        if running.refunding.replace(true) {
            return;
        }
        while let Some(channel) = next_of(&running) {
            if let Err(fault) = self.go_on_with_refund(&running, channel).await {
                self.note_refund_fault(&running, channel, fault).await;
            }
            if running.stopped.get() {
                break;
            }
            let wait = self.wait_for(&running).await;
            clock::sleep(wait).await;
        }
        running.refunding.set(false);
    }

    /// Does all that can be done for every channel now, the given one first.
    async fn go_on_with_refund(&self, running: &Running, first: u64) -> Result<(), Fault> {
        self.pursue(running, first).await?;
        let all: Vec<u64> = running.record.borrow().refunding.keys().copied().collect();
        for channel in all.into_iter().filter(|channel| *channel != first) {
            self.pursue(running, channel).await?;
        }
        Ok(())
    }

    async fn pursue(&self, running: &Running, channel: u64) -> Result<(), Fault> {
        while !running.stopped.get() {
            let (effect, eol) = self.look(running, channel).await?;
            match effect {
                RefundEffect::Look => {}
                RefundEffect::Cancel => {
                    let cancel = calls::cancel(ChannelId(channel));
                    if self.send(running, channel, "cancel", cancel).await? == INVALID_CANCEL {
                        self.tell(running, channel, RefundInput::CancelRefused { eol }).await?;
                    }
                }
                RefundEffect::Reclaim => {
                    let reclaim = calls::reclaim(ChannelId(channel));
                    self.send(running, channel, "reclaim", reclaim).await?;
                }
                RefundEffect::WaitUntil(_) | RefundEffect::Rest => return Ok(()),
            }
        }
        Ok(())
    }

    /// Brings the refund up to date with the chain; returns what is next, and the channel's end.
    async fn look(&self, running: &Running, channel: u64) -> Result<(RefundEffect, Epoch), Fault> {
        if self.effect_of(running, channel) == RefundEffect::Rest {
            return Ok((RefundEffect::Rest, Epoch(0)));
        }
        let payer = running.record.borrow().deal.draft.payer.clone();
        let found = self.rpc.channel(&payer, ChannelId(channel));
        let (view, network) = futures::try_join!(found, self.rpc.network())?;
        let eol = view.as_ref().map_or(network.height, |view| view.eol);
        if let (Some(view), Some(refunding)) = (&view, running.record.borrow_mut().refunding.get_mut(&channel)) {
            let left = view.amount.checked_sub(view.amount_redeemed);
            refunding.amount = left.unwrap_or(AttoFil::ZERO);
        }
        let input = RefundInput::Seen {
            channel: view.as_ref().map(ChannelFacts::from),
            cancel_delay: network.policy.cancel_delay,
        };
        self.tell(running, channel, input).await?;
        Ok((self.effect_of(running, channel), eol))
    }

    fn effect_of(&self, running: &Running, channel: u64) -> RefundEffect {
        let record = running.record.borrow();
        let refunding = record.refunding.get(&channel);
        refunding.map_or(RefundEffect::Rest, |refunding| refunding.refund.effect())
    }

    /// Hands the machine an input, and keeps what came of it.
    async fn tell(&self, running: &Running, channel: u64, input: RefundInput) -> Result<(), Fault> {
        let now = self.rpc.head().await?.height;
        let changed = {
            let mut record = running.record.borrow_mut();
            let Some(refunding) = record.refunding.get_mut(&channel) else {
                return Ok(());
            };
            let before = refunding.clone();
            refunding.refund.handle(input, now);
            refunding.error = None;
            *refunding != before
        };
        if changed && !running.stopped.get() {
            self.save(running).await?;
        }
        Ok(())
    }

    /// Sends a message of the refund and waits for its receipt; returns the exit code when it is 0 or a refusal that
    /// the machine knows.
    async fn send(&self, running: &Running, channel: u64, what: &'static str, call: Call) -> Result<u64, Fault> {
        let purpose = format!("{what}/{}/{channel}", running.record.borrow().id);
        let message = self.outbox.submit(&purpose, call).await?;
        let receipt = self.outbox.confirmed(&purpose, &message).await?;
        self.outbox.forget(&purpose).await?;
        match receipt.exit_code {
            code if code == 0 || code == INVALID_CANCEL => Ok(code),
            code => Err(Fault::ChainRefused {
                method: what,
                message: format!("exit code {code}: {}", receipt.error),
                hint: "It is tried again by itself.".into(),
            }),
        }
    }

    async fn note_refund_fault(&self, running: &Running, channel: u64, fault: Fault) {
        if running.stopped.get() {
            return;
        }
        // Those who watch the chain's head tell when it cannot be reached.
        if !matches!(fault, Fault::ChainUnreachable { .. }) {
            if let Some(refunding) = running.record.borrow_mut().refunding.get_mut(&channel) {
                refunding.error = Some(fault.problem());
            }
            self.show(running);
        }
        web_sys::console::debug_1(&format!("a refund has to wait: {fault}").into());
    }

    /// Milliseconds until the next look: sooner when a channel ends soon.
    async fn wait_for(&self, running: &Running) -> i32 {
        let (least, most) = match running.is_complete() {
            true => (LOOK_WAIT.0, EARNING_WAIT),
            false => LOOK_WAIT,
        };
        let refunding = running.record.borrow().refunding.clone();
        let end = refunding
            .values()
            .filter_map(|refunding| refunding.refund.deadline())
            .min();
        let Some((end, network)) = end.zip(self.rpc.network().await.ok()) else {
            return most as i32;
        };
        let blocks = end.0.saturating_sub(network.height.0);
        (blocks as f64 * network.block_time_ms as f64).clamp(least, most) as i32
    }
}

/// A channel whose money is not back yet.
fn next_of(running: &Running) -> Option<u64> {
    let record = running.record.borrow();
    let mut pending = record
        .refunding
        .iter()
        .filter(|(_, refunding)| !refunding.refund.is_over());
    pending
        .next()
        .map(|(channel, _)| *channel)
        .filter(|_| !running.stopped.get())
}
