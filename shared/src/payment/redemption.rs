//! Which voucher a payee redeems, when, and with which parameters (spec §4.13, §5.2, §7.18).
//!
//! [`next_redemption`] is asked by the miner's daemon at every height that an earlier answer named, and whenever the
//! channel changed or the deal's sector was committed; its answer is a pure function of the chain. [`best_redeemable`]
//! is the operator's choice for `deals redeem`.
//!
//! The rule: redeem as soon as a voucher adds something. A voucher that pays shows the broker that the miner earns the
//! money, and from then on the broker refuses the payer's cancellations for as long as the voucher's condition holds; a
//! cancellation that came before is undone, because redeeming restores the agreed end of life. Vouchers fall due every
//! [`super::VOUCHER_INTERVAL`] blocks, far more often than a cancelled channel's remaining life lasts. Conditional
//! vouchers always carry the miner's own parameters: the broker then checks and caches exactly the condition at hand, so
//! that nothing hangs on what another redemption left in its cache.

use super::{ChannelFacts, PaymentVoucher};
use crate::chain::calls::inclusion_parameters;
use crate::chain::{AttoFil, Epoch};
use crate::wire::cbor::{Bytes, Value};
use alloc::vec::Vec;

/// Blocks before a channel's end in which a redemption is pressing: time to send a lost message again several times (a
/// message that is in no block after 10 rounds is dropped, spec §5.1).
pub const ENDING_MARGIN: u64 = 200;

/// Where the miner proves that a deal's piece lies: the redeemer's parameters of the deal's conditional vouchers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionEvidence {
    pub sector: u64,
    /// An inclusion proof in its byte form.
    pub pip: Bytes,
}

impl InclusionEvidence {
    /// `[sectorID, PIP]`, what a condition's parameters are completed with.
    pub fn parameters(&self) -> Vec<Value> {
        inclusion_parameters(self.sector, &self.pip.0)
    }
}

/// How long a redemption may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// The channel lives long enough.
    Ordinary,
    /// The payer has cancelled: what is not redeemed before `eol` is lost, and a redemption undoes the cancellation.
    Cancelled { eol: Epoch },
    /// The channel ends at `eol`, within [`ENDING_MARGIN`].
    Ending { eol: Epoch },
}

/// What is to be done about a deal's vouchers now.
#[derive(Debug, Clone, PartialEq)]
pub enum Redemption {
    /// Redeem `voucher` with `redeemer` as the redeemer's parameters; it pays `gain` attoFIL.
    Redeem {
        voucher: PaymentVoucher,
        redeemer: Vec<Value>,
        gain: AttoFil,
        urgency: Urgency,
    },
    /// Nothing is due: look again at `until`.
    Wait { until: Epoch, urgency: Urgency },
    /// Vouchers worth `gain` are due, but their condition needs a sector that is not committed yet: look again when it
    /// is, at the latest at `until`.
    Unproven {
        gain: AttoFil,
        until: Epoch,
        urgency: Urgency,
    },
    /// Everything that the vouchers promise was taken.
    Finished,
    /// The channel is over, or holds too little: `unpaid` attoFIL of the vouchers will never be paid.
    Lost { unpaid: AttoFil },
}

impl Redemption {
    /// Whether nothing more will come of these vouchers.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Finished | Self::Lost { .. })
    }
}

/// Decides about the vouchers of one deal at `height`; `evidence` is there once the deal's sector is committed.
pub fn next_redemption(
    vouchers: &[PaymentVoucher],
    channel: &ChannelFacts,
    height: Epoch,
    evidence: Option<&InclusionEvidence>,
) -> Redemption {
    let taken = channel.amount_redeemed;
    let promised = vouchers.iter().map(|voucher| voucher.amount).max().unwrap_or_default();
    if promised <= taken {
        return Redemption::Finished;
    }
    let payable = |voucher: &&PaymentVoucher| voucher.amount > taken && voucher.amount <= channel.amount;
    let open: Vec<&PaymentVoucher> = vouchers.iter().filter(payable).collect();
    let reachable = open.iter().any(|voucher| voucher.valid_at < channel.eol);
    if height >= channel.eol || !reachable {
        return Redemption::Lost {
            unpaid: gain(promised, taken),
        };
    }
    let urgency = urgency(channel, height);
    let due = |voucher: &&&PaymentVoucher| voucher.valid_at <= height;
    let provable = |voucher: &&&PaymentVoucher| voucher.condition.is_none() || evidence.is_some();
    if let Some(voucher) = greatest(open.iter().filter(due).filter(provable).copied()) {
        let conditional = evidence.filter(|_| voucher.condition.is_some());
        return Redemption::Redeem {
            voucher: voucher.clone(),
            redeemer: conditional.map_or_else(Vec::new, InclusionEvidence::parameters),
            gain: gain(voucher.amount, taken),
            urgency,
        };
    }
    // Nothing happens before the next voucher is due; without one, the channel's end is the last thing to look at.
    let later = open.iter().map(|voucher| voucher.valid_at).filter(|at| *at > height);
    let until = later.min().unwrap_or(channel.eol).min(channel.eol);
    match greatest(open.iter().filter(due).copied()) {
        Some(voucher) => Redemption::Unproven {
            gain: gain(voucher.amount, taken),
            until,
            urgency,
        },
        None => Redemption::Wait { until, urgency },
    }
}

fn gain(amount: AttoFil, taken: AttoFil) -> AttoFil {
    amount.checked_sub(taken).unwrap_or_default()
}

fn urgency(channel: &ChannelFacts, height: Epoch) -> Urgency {
    let eol = channel.eol;
    if channel.is_cancelled() {
        Urgency::Cancelled { eol }
    } else if height.plus(ENDING_MARGIN) >= eol {
        Urgency::Ending { eol }
    } else {
        Urgency::Ordinary
    }
}

/// The voucher of the greatest amount, the last among equals: the last one of a deal has no condition.
fn greatest<'a>(vouchers: impl Iterator<Item = &'a PaymentVoucher>) -> Option<&'a PaymentVoucher> {
    vouchers.max_by_key(|voucher| voucher.amount)
}

/// None of a deal's vouchers is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no remaining redeemable vouchers found")]
pub struct NoneRedeemable;

/// The voucher that `deals redeem` takes at `height`: of those that are due, the one of the greatest amount, the last
/// among equals (spec §4.13).
pub fn best_redeemable(vouchers: &[PaymentVoucher], height: Epoch) -> Result<&PaymentVoucher, NoneRedeemable> {
    greatest(vouchers.iter().filter(|voucher| voucher.valid_at <= height)).ok_or(NoneRedeemable)
}

#[cfg(test)]
mod tests;
