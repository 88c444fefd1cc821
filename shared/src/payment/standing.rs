//! How a voucher stands: whether it may be redeemed now, later, or no more (spec §5.2).
//!
//! Shown to payers by both clients; nothing is decided by it. What a payee redeems is chosen by its own rules.

use super::{ChannelFacts, PaymentVoucher};
use crate::chain::{AttoFil, Epoch};
use serde::Serialize;

/// How a voucher stands at some height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum VoucherStanding {
    /// Neither its payer nor its channel's session key signed it, it names another target than its channel, or it is for more than the channel holds:
    /// the broker pays nothing for it.
    Invalid,
    /// Its channel is gone: whatever was redeemed was paid, the rest went back to the payer.
    Settled,
    /// The channel has paid as much, for this voucher or a larger one.
    Redeemed,
    /// The channel has ended before it was redeemed.
    Expired,
    /// It may be redeemed once its height has come.
    Ahead,
    /// It may be redeemed now, if its condition holds.
    Due,
}

impl VoucherStanding {
    /// How `voucher` stands at `height`; `channel` is `None` when the payer has no such channel any more.
    pub fn of(voucher: &PaymentVoucher, channel: Option<&ChannelFacts>, height: Epoch) -> Self {
        let Some(channel) = channel else {
            // Which session key its channel had, nobody knows any more.
            return match voucher.signer() {
                Some(_) => Self::Settled,
                None => Self::Invalid,
            };
        };
        if !voucher.is_signed_for(channel.session.as_ref()) {
            return Self::Invalid;
        }
        if voucher.target != channel.target || voucher.amount > channel.amount {
            Self::Invalid
        } else if voucher.amount <= channel.amount_redeemed {
            Self::Redeemed
        } else if height >= channel.eol {
            Self::Expired
        } else if height < voucher.valid_at {
            Self::Ahead
        } else {
            Self::Due
        }
    }
}

/// The amount that `vouchers` promise by `height`, redeemed or not: amounts are cumulative, so the largest that is due.
pub fn due_by<'a>(vouchers: impl IntoIterator<Item = &'a PaymentVoucher>, height: Epoch) -> AttoFil {
    let due = vouchers.into_iter().filter(|voucher| voucher.valid_at <= height);
    due.map(|voucher| voucher.amount).max().unwrap_or(AttoFil::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Address, ChannelId, SecretKey};

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[1; 32]).expect("a valid key")
    }

    fn voucher(amount: u128, valid_at: u64) -> PaymentVoucher {
        let mut voucher = PaymentVoucher {
            channel: ChannelId(9),
            payer: key().address(),
            target: Address::id(9),
            amount: AttoFil(amount),
            valid_at: Epoch(valid_at),
            condition: None,
            signature: None,
        };
        voucher.signature = Some(key().sign(&voucher.payload()).0.to_vec().into());
        voucher
    }

    fn channel() -> ChannelFacts {
        ChannelFacts {
            target: Address::id(9),
            amount: AttoFil(300),
            amount_redeemed: AttoFil(100),
            eol: Epoch(5000),
            agreed_eol: Epoch(5000),
            session: None,
        }
    }

    fn standing(voucher: &PaymentVoucher, height: u64) -> VoucherStanding {
        VoucherStanding::of(voucher, Some(&channel()), Epoch(height))
    }

    #[test]
    fn a_voucher_is_ahead_until_its_height_then_due_until_the_channel_ends() {
        let voucher = voucher(200, 2000);
        assert_eq!(standing(&voucher, 1999), VoucherStanding::Ahead);
        assert_eq!(standing(&voucher, 2000), VoucherStanding::Due);
        assert_eq!(standing(&voucher, 4999), VoucherStanding::Due);
        assert_eq!(standing(&voucher, 5000), VoucherStanding::Expired);
    }

    #[test]
    fn a_voucher_within_what_was_paid_is_redeemed_for_ever() {
        for height in [0, 2000, 5000] {
            assert_eq!(standing(&voucher(100, 1000), height), VoucherStanding::Redeemed);
        }
        assert_eq!(standing(&voucher(101, 1000), 2000), VoucherStanding::Due);
    }

    #[test]
    fn a_voucher_that_the_broker_would_never_pay_is_invalid() {
        let good = voucher(200, 2000);
        assert_eq!(standing(&voucher(301, 2000), 2000), VoucherStanding::Invalid);
        let mut other = good.clone();
        other.target = Address::id(8);
        assert_eq!(standing(&other, 2000), VoucherStanding::Invalid);
        let mut altered = good.clone();
        altered.amount = AttoFil(201);
        assert_eq!(standing(&altered, 2000), VoucherStanding::Invalid);
        let mut unsigned = good;
        unsigned.signature = None;
        assert_eq!(standing(&unsigned, 2000), VoucherStanding::Invalid);
    }

    #[test]
    fn a_session_keys_voucher_stands_with_the_channel_that_names_the_key() {
        let session = SecretKey::from_bytes(&[2; 32]).expect("a valid key");
        let mut voucher = voucher(200, 2000);
        voucher.signature = Some(session.sign(&voucher.payload()).0.to_vec().into());
        assert_eq!(standing(&voucher, 2000), VoucherStanding::Invalid);
        let named = ChannelFacts {
            session: Some(session.address()),
            ..channel()
        };
        let standing = VoucherStanding::of(&voucher, Some(&named), Epoch(2000));
        assert_eq!(standing, VoucherStanding::Due);
    }

    #[test]
    fn without_its_channel_a_voucher_is_settled() {
        assert_eq!(
            VoucherStanding::of(&voucher(200, 2000), None, Epoch(1)),
            VoucherStanding::Settled
        );
    }

    #[test]
    fn the_largest_voucher_whose_height_has_come_is_due() {
        let vouchers = [voucher(100, 1000), voucher(200, 2000), voucher(300, 2500)];
        for (height, due) in [(999, 0), (1000, 100), (2499, 200), (9999, 300)] {
            assert_eq!(due_by(&vouchers, Epoch(height)), AttoFil(due), "{height}");
        }
    }
}
