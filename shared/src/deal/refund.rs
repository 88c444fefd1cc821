//! Getting the money of a failed deal back (spec §5.2, §7.9; design §9): the client cancels the channel, waits until it
//! ends, and reclaims what is left in it. Where the miner itself has said that there is no deal, it is asked first to close the
//! channel at once ([`crate::payment::closing`]). A complete deal's channel is left to the miner until its agreed end; then what
//! nobody redeemed is reclaimed, and a payer's list of channels does not fill up.
//!
//! Driven by the browser and by the command line for every deal that has a channel to take back
//! ([`super::ClientDeal::refund`]).
//! The one input is what the chain says of the channel: whatever happened to a message, and however often it was sent,
//! the next look puts the machine where it belongs. What comes next is [`Refund::effect`]; nothing follows
//! [`Refund::Returned`].

use crate::chain::Epoch;
use crate::payment::closing::CLOSING_WAIT;
use crate::payment::ChannelFacts;
use serde::{Deserialize, Serialize};

/// How far the money is on its way back.
///
/// Earlier versions kept `None`, `Cancelled` and `Reclaimed`: the first two are looked at anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refund {
    /// Nothing is known of the channel yet.
    #[default]
    #[serde(alias = "None", alias = "Cancelled")]
    Due,
    /// The miner has said that there is no deal: it is to be asked to close the channel now.
    Asking,
    /// It has said that it does: the channel is awaited to go before `until`, and cancelled then.
    Closing { until: Epoch },
    /// The channel lives on: its end is to be brought near.
    Cancelling,
    /// The channel ends at `eol`. `earned` when the broker refused to cancel it, because the miner has shown that it
    /// earns the money (spec §5.2, code 45).
    Waiting { eol: Epoch, earned: bool },
    /// The channel has ended: what is left in it is to be taken back.
    Reclaiming,
    /// The channel is gone; what was left in it is the payer's again.
    #[serde(alias = "Reclaimed")]
    Returned,
}

/// What happened to the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundInput {
    /// The chain was asked: the channel as it is now, `None` when there is none any more. `cancel_delay` is the
    /// network's ([`crate::chain::Policy`]), in blocks.
    Seen {
        channel: Option<ChannelFacts>,
        cancel_delay: u64,
    },
    /// The miner was asked to close the channel; whether it does. One that does not answer does not.
    CloseAnswered { closes: bool },
    /// The broker refused the cancellation with [`INVALID_CANCEL`]; the channel ends at `eol` as before.
    CancelRefused { eol: Epoch },
}

/// What the host must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundEffect {
    /// Ask the chain for the channel: [`RefundInput::Seen`].
    Look,
    /// Ask the miner to close the channel by both signatures: [`RefundInput::CloseAnswered`].
    AskToClose,
    /// The miner's message is on its way to a block: wait for one, then look again.
    AwaitClose,
    /// Send `cancel`, then look again.
    Cancel,
    /// Nothing before this height; then look again.
    WaitUntil(Epoch),
    /// Send `reclaim`, then look again.
    Reclaim,
    /// Nothing, for good.
    Rest,
}

impl Refund {
    /// The refund of a channel that the miner earns: nothing before its end at `eol`.
    pub fn at_end(eol: Epoch) -> Self {
        Self::Waiting { eol, earned: true }
    }

    /// Takes in what happened at height `now`. Every input applies at every stage, and once more changes nothing.
    pub fn handle(&mut self, input: RefundInput, now: Epoch) {
        *self = match input {
            RefundInput::CancelRefused { eol } if *self == Self::Cancelling => Self::Waiting { eol, earned: true },
            RefundInput::CancelRefused { .. } => *self,
            RefundInput::CloseAnswered { closes: true } if *self == Self::Asking => Self::Closing {
                until: now.plus(CLOSING_WAIT),
            },
            RefundInput::CloseAnswered { closes: false } if *self == Self::Asking => Self::Due,
            RefundInput::CloseAnswered { .. } => *self,
            RefundInput::Seen { channel: None, .. } => Self::Returned,
            RefundInput::Seen {
                channel: Some(channel),
                cancel_delay,
            } => self.seen(&channel, cancel_delay, now),
        };
    }

    fn seen(self, channel: &ChannelFacts, cancel_delay: u64, now: Epoch) -> Self {
        let eol = channel.eol;
        let earned = matches!(self, Self::Waiting { earned: true, .. });
        if self == Self::Returned {
            // A payer's channel ids are never used again: an endpoint that still shows the channel lags behind.
            self
        } else if now >= eol {
            Self::Reclaiming
        } else if self.is_agreeing(now) {
            self
        } else if earned || eol <= now.plus(cancel_delay) {
            // Cancelled already, or it ends no later by itself.
            Self::Waiting { eol, earned }
        } else {
            Self::Cancelling
        }
    }

    /// Whether the miner may still close the channel.
    fn is_agreeing(self, now: Epoch) -> bool {
        match self {
            Self::Asking => true,
            Self::Closing { until } => now < until,
            _ => false,
        }
    }

    /// The next thing to do; the same after a restart.
    pub fn effect(&self) -> RefundEffect {
        match self {
            Self::Due => RefundEffect::Look,
            Self::Asking => RefundEffect::AskToClose,
            Self::Closing { .. } => RefundEffect::AwaitClose,
            Self::Cancelling => RefundEffect::Cancel,
            Self::Waiting { eol, .. } => RefundEffect::WaitUntil(*eol),
            Self::Reclaiming => RefundEffect::Reclaim,
            Self::Returned => RefundEffect::Rest,
        }
    }

    /// The height at which the channel is to be looked at again, when there is one.
    pub fn deadline(&self) -> Option<Epoch> {
        match self {
            Self::Waiting { eol, .. } => Some(*eol),
            _ => None,
        }
    }

    /// Whether the money is back.
    pub fn is_over(&self) -> bool {
        *self == Self::Returned
    }
}

/// The broker's exit code for a channel that cannot be cancelled (spec §5.2).
pub const INVALID_CANCEL: u64 = 45;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Address, AttoFil};

    const DELAY: u64 = 10_000;

    fn channel(eol: u64, agreed: u64) -> Option<ChannelFacts> {
        Some(ChannelFacts {
            target: Address::id(9),
            amount: AttoFil(300),
            amount_redeemed: AttoFil::ZERO,
            eol: Epoch(eol),
            agreed_eol: Epoch(agreed),
            session: None,
        })
    }

    fn seen(refund: &mut Refund, channel: Option<ChannelFacts>, now: u64) -> RefundEffect {
        let cancel_delay = DELAY;
        refund.handle(RefundInput::Seen { channel, cancel_delay }, Epoch(now));
        refund.effect()
    }

    #[test]
    fn a_long_channel_is_cancelled_waited_for_and_reclaimed() {
        let mut refund = Refund::default();
        assert_eq!(refund.effect(), RefundEffect::Look);
        assert_eq!(seen(&mut refund, channel(20_000, 20_000), 100), RefundEffect::Cancel);
        assert_eq!(
            seen(&mut refund, channel(10_101, 20_000), 101),
            RefundEffect::WaitUntil(Epoch(10_101))
        );
        assert_eq!(refund.deadline(), Some(Epoch(10_101)));
        assert_eq!(
            seen(&mut refund, channel(10_101, 20_000), 10_101),
            RefundEffect::Reclaim
        );
        assert_eq!(seen(&mut refund, None, 10_102), RefundEffect::Rest);
        assert!(refund.is_over());
    }

    #[test]
    fn a_channel_that_ends_soon_is_not_cancelled() {
        let mut refund = Refund::default();
        assert_eq!(
            seen(&mut refund, channel(5000, 5000), 100),
            RefundEffect::WaitUntil(Epoch(5000))
        );
    }

    fn close_answered(refund: &mut Refund, closes: bool, now: u64) {
        refund.handle(RefundInput::CloseAnswered { closes }, Epoch(now));
    }

    #[test]
    fn a_miner_that_said_no_is_asked_to_close_the_channel_before_it_is_cancelled() {
        let mut refund = Refund::Asking;
        assert_eq!(
            seen(&mut refund, channel(20_000, 20_000), 100),
            RefundEffect::AskToClose
        );
        close_answered(&mut refund, true, 100);
        assert_eq!(refund.effect(), RefundEffect::AwaitClose);
        assert_eq!(refund.deadline(), None, "it may be gone with any block");
        let again = refund;
        close_answered(&mut refund, false, 101);
        assert_eq!(refund, again, "a late answer changes nothing");
        assert_eq!(
            seen(&mut refund, channel(20_000, 20_000), 101),
            RefundEffect::AwaitClose
        );
        let mut gone = refund;
        assert_eq!(seen(&mut gone, None, 102), RefundEffect::Rest);
        let last = 99 + CLOSING_WAIT;
        assert_eq!(
            seen(&mut refund, channel(20_000, 20_000), last),
            RefundEffect::AwaitClose
        );
        assert_eq!(
            seen(&mut refund, channel(20_000, 20_000), last + 1),
            RefundEffect::Cancel
        );
    }

    #[test]
    fn a_channel_that_its_miner_does_not_close_is_cancelled_as_before() {
        let mut refund = Refund::Asking;
        close_answered(&mut refund, false, 100);
        assert_eq!(refund, Refund::Due);
        assert_eq!(seen(&mut refund, channel(20_000, 20_000), 100), RefundEffect::Cancel);
        for mut refund in [Refund::Asking, Refund::Closing { until: Epoch(7000) }] {
            assert_eq!(seen(&mut refund, channel(6000, 20_000), 6000), RefundEffect::Reclaim);
        }
    }

    #[test]
    fn a_lost_cancellation_is_sent_again() {
        let mut refund = Refund::default();
        seen(&mut refund, channel(20_000, 20_000), 100);
        assert_eq!(seen(&mut refund, channel(20_000, 20_000), 150), RefundEffect::Cancel);
    }

    #[test]
    fn a_redemption_that_undoes_the_cancellation_is_answered_with_another_one() {
        let mut refund = Refund::default();
        seen(&mut refund, channel(10_101, 20_000), 101);
        assert_eq!(seen(&mut refund, channel(20_000, 20_000), 200), RefundEffect::Cancel);
    }

    #[test]
    fn a_channel_that_the_miner_earns_is_left_to_it_until_its_agreed_end() {
        let mut refund = Refund::default();
        seen(&mut refund, channel(20_000, 20_000), 100);
        refund.handle(RefundInput::CancelRefused { eol: Epoch(20_000) }, Epoch(101));
        assert_eq!(refund.effect(), RefundEffect::WaitUntil(Epoch(20_000)));
        assert_eq!(
            seen(&mut refund, channel(20_000, 20_000), 150),
            RefundEffect::WaitUntil(Epoch(20_000))
        );
        assert_eq!(
            seen(&mut refund, channel(20_000, 20_000), 20_000),
            RefundEffect::Reclaim
        );
    }

    #[test]
    fn a_complete_deals_channel_is_not_touched_before_its_end_and_reclaimed_then() {
        let mut refund = Refund::at_end(Epoch(20_000));
        assert_eq!(refund.deadline(), Some(Epoch(20_000)));
        assert_eq!(
            seen(&mut refund, channel(20_000, 20_000), 100),
            RefundEffect::WaitUntil(Epoch(20_000))
        );
        assert_eq!(
            seen(&mut refund, channel(20_000, 20_000), 20_000),
            RefundEffect::Reclaim
        );
        // The miner may have closed it with its last voucher.
        assert_eq!(seen(&mut refund, None, 20_001), RefundEffect::Rest);
    }

    #[test]
    fn a_returned_channel_stays_returned_and_the_same_look_twice_changes_nothing() {
        let mut refund = Refund::Returned;
        assert_eq!(seen(&mut refund, channel(20_000, 20_000), 1), RefundEffect::Rest);
        refund.handle(RefundInput::CancelRefused { eol: Epoch(9) }, Epoch(1));
        assert_eq!(refund, Refund::Returned);
        for (eol, now) in [(20_000, 1), (5000, 1), (5000, 6000)] {
            let mut refund = Refund::default();
            seen(&mut refund, channel(eol, 20_000), now);
            let once = refund;
            seen(&mut refund, channel(eol, 20_000), now);
            assert_eq!(refund, once);
        }
    }

    #[test]
    fn every_stage_is_read_back_also_as_earlier_versions_wrote_it() {
        let stages = [
            Refund::Due,
            Refund::Asking,
            Refund::Closing { until: Epoch(7) },
            Refund::Cancelling,
            Refund::Waiting {
                eol: Epoch(7),
                earned: true,
            },
            Refund::Reclaiming,
            Refund::Returned,
        ];
        for stage in stages {
            let stored = serde_json::to_string(&stage).expect("stored");
            assert_eq!(serde_json::from_str::<Refund>(&stored).expect("loaded"), stage);
        }
        let old = [
            ("\"None\"", Refund::Due),
            ("\"Cancelled\"", Refund::Due),
            ("\"Reclaimed\"", Refund::Returned),
        ];
        for (text, stage) in old {
            assert_eq!(serde_json::from_str::<Refund>(text).expect("loaded"), stage);
        }
    }
}
