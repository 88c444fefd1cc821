//! A deal of 30 blocks with vouchers at 10, 20 and 30, and a channel that lives until 2030.

use super::*;
use crate::chain::{Address, BytesAmount, ChannelId};
use crate::payment::Predicate;
use crate::piece::Commitment;

fn voucher(amount: u128, valid_at: u64, conditional: bool) -> PaymentVoucher {
    let condition = Predicate::piece_inclusion(&Address::id(7), &Commitment([1; 32]), BytesAmount(100));
    PaymentVoucher {
        channel: ChannelId(9),
        payer: Address::id(8),
        target: Address::id(9),
        amount: AttoFil(amount),
        valid_at: Epoch(valid_at),
        condition: conditional.then_some(condition),
        signature: None,
    }
}

fn vouchers() -> Vec<PaymentVoucher> {
    [voucher(100, 10, true), voucher(200, 20, true), voucher(300, 30, false)].into()
}

fn channel() -> ChannelFacts {
    ChannelFacts {
        target: Address::id(9),
        amount: AttoFil(300),
        amount_redeemed: AttoFil::ZERO,
        eol: Epoch(2030),
        agreed_eol: Epoch(2030),
        session: None,
    }
}

fn evidence() -> InclusionEvidence {
    InclusionEvidence {
        sector: 4,
        pip: Bytes([5; 8].to_vec()),
    }
}

/// What is decided at `height` with the sector committed, on the channel changed by `change`.
fn decided(height: u64, change: impl FnOnce(&mut ChannelFacts)) -> Redemption {
    let mut channel = channel();
    change(&mut channel);
    next_redemption(&vouchers(), &channel, Epoch(height), Some(&evidence()))
}

fn redeem(index: usize, gain: u128, urgency: Urgency) -> Redemption {
    let voucher = vouchers().swap_remove(index);
    let conditional = voucher.condition.is_some();
    Redemption::Redeem {
        redeemer: if conditional {
            evidence().parameters()
        } else {
            Vec::new()
        },
        voucher,
        gain: AttoFil(gain),
        urgency,
    }
}

/// spec §9.22: at height 25, of vouchers that are due at 10, 20 and 30, the one at 20 is redeemed.
#[test]
fn the_operator_redeems_the_greatest_voucher_that_is_due() {
    let vouchers = vouchers();
    assert_eq!(best_redeemable(&vouchers, Epoch(25)), Ok(&vouchers[1]));
    assert_eq!(best_redeemable(&vouchers, Epoch(20)), Ok(&vouchers[1]));
    assert_eq!(best_redeemable(&vouchers, Epoch(19)), Ok(&vouchers[0]));
    assert_eq!(best_redeemable(&vouchers, Epoch(9)), Err(NoneRedeemable));
    let text = alloc::string::ToString::to_string(&NoneRedeemable);
    assert_eq!(text, "no remaining redeemable vouchers found");
}

#[test]
fn of_equal_vouchers_the_last_is_redeemed_because_it_has_no_condition() {
    let equal = [voucher(300, 10, true), voucher(300, 20, false)];
    assert_eq!(best_redeemable(&equal, Epoch(25)), Ok(&equal[1]));
    let decision = next_redemption(&equal, &channel(), Epoch(25), Some(&evidence()));
    assert!(
        matches!(decision, Redemption::Redeem { voucher, redeemer, .. } if voucher == equal[1] && redeemer.is_empty())
    );
}

#[test]
fn each_voucher_is_redeemed_when_it_falls_due_with_sector_and_inclusion_proof() {
    let calm = Urgency::Ordinary;
    let wait = |until| Redemption::Wait {
        until: Epoch(until),
        urgency: calm,
    };
    assert_eq!(decided(9, |_| {}), wait(10));
    assert_eq!(decided(10, |_| {}), redeem(0, 100, calm));
    assert_eq!(decided(15, |c| c.amount_redeemed.0 = 100), wait(20));
    assert_eq!(decided(20, |c| c.amount_redeemed.0 = 100), redeem(1, 100, calm));
    assert_eq!(decided(40, |c| c.amount_redeemed.0 = 200), redeem(2, 100, calm));
    assert_eq!(decided(40, |c| c.amount_redeemed.0 = 300), Redemption::Finished);
}

#[test]
fn a_late_start_redeems_only_the_greatest_voucher() {
    assert_eq!(decided(25, |_| {}), redeem(1, 200, Urgency::Ordinary));
    assert_eq!(decided(31, |_| {}), redeem(2, 300, Urgency::Ordinary));
}

#[test]
fn without_a_committed_sector_only_the_unconditional_voucher_pays() {
    let at = |height| next_redemption(&vouchers(), &channel(), Epoch(height), None);
    let unproven = Redemption::Unproven {
        gain: AttoFil(200),
        until: Epoch(30),
        urgency: Urgency::Ordinary,
    };
    assert_eq!(at(25), unproven);
    assert_eq!(at(30), redeem(2, 300, Urgency::Ordinary));
}

#[test]
fn a_cancelled_channel_is_redeemed_before_it_ends() {
    let cancel = |c: &mut ChannelFacts| c.eol = Epoch(28);
    let urgency = Urgency::Cancelled { eol: Epoch(28) };
    assert_eq!(
        decided(5, cancel),
        Redemption::Wait {
            until: Epoch(10),
            urgency
        }
    );
    assert_eq!(decided(10, cancel), redeem(0, 100, urgency));
    assert_eq!(decided(27, cancel), redeem(1, 200, urgency));
    assert_eq!(decided(28, cancel), Redemption::Lost { unpaid: AttoFil(300) });
}

#[test]
fn the_last_blocks_of_a_channel_are_pressing() {
    let urgency = Urgency::Ending { eol: Epoch(2030) };
    assert_eq!(decided(2029, |_| {}), redeem(2, 300, urgency));
    assert_eq!(decided(1829, |_| {}), redeem(2, 300, Urgency::Ordinary));
    assert_eq!(decided(2030, |_| {}), Redemption::Lost { unpaid: AttoFil(300) });
}

#[test]
fn vouchers_that_the_channel_can_never_pay_are_not_waited_for() {
    let ends_first = |c: &mut ChannelFacts| (c.eol, c.agreed_eol) = (Epoch(9), Epoch(9));
    assert_eq!(decided(5, ends_first), Redemption::Lost { unpaid: AttoFil(300) });
    assert_eq!(decided(40, |c| c.amount.0 = 250), redeem(1, 200, Urgency::Ordinary));
    let rest = decided(40, |c| (c.amount.0, c.amount_redeemed.0) = (250, 200));
    assert_eq!(rest, Redemption::Lost { unpaid: AttoFil(100) });
}

#[test]
fn a_deal_without_vouchers_has_nothing_to_redeem() {
    let none = next_redemption(&[], &channel(), Epoch(1), None);
    assert_eq!(none, Redemption::Finished);
    assert!(none.is_over());
}
