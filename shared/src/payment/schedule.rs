//! The vouchers of a paid deal: equal steps every [`VOUCHER_INTERVAL`] blocks, the last one for the whole price (spec §3.4).
//!
//! All of them have the condition that the piece lies in a sector that is proven, the last one too. In 2019 that had none, so
//! that a miner which stored nothing could take the whole price with it (design §9). What a miner has earned by the deal's end
//! it redeems while the channel lives on, [`super::CHANNEL_EXPIRY_INTERVAL`] blocks: from the sector as long as it is
//! committed, and as long as the chain remembers it after its release ([`crate::chain::actors::miner`]).

use super::{PaymentVoucher, Predicate, VOUCHER_INTERVAL};
use crate::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch};
use crate::piece::Commitment;
use alloc::vec::Vec;

/// Most vouchers that fit a proposal's frame of 256 KiB at about 283 bytes each (spec §3.4).
pub const MAX_VOUCHERS: usize = 900;

/// What the vouchers of one deal are computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub payer: Address,
    /// The miner's owner, who is paid.
    pub target: Address,
    /// The miner actor, which the condition asks.
    pub miner: Address,
    pub channel: ChannelId,
    pub total: AttoFil,
    /// Blocks.
    pub duration: u64,
    /// The height that the schedule counts from.
    pub start: Epoch,
    pub comm_p: Commitment,
    pub size: BytesAmount,
}

/// Why no schedule can be drawn up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("a deal lasts at least one block")]
    NoDuration,
    #[error("a deal of {duration} blocks needs {vouchers} vouchers, more than the {MAX_VOUCHERS} that fit a proposal: choose a shorter duration")]
    TooLong { duration: u64, vouchers: u64 },
    #[error("the price is larger than all FIL that can exist")]
    Overflow,
}

/// The number of vouchers of a deal.
pub fn voucher_count(duration: u64) -> Result<usize, ScheduleError> {
    if duration == 0 {
        return Err(ScheduleError::NoDuration);
    }
    let vouchers = duration.div_ceil(VOUCHER_INTERVAL);
    usize::try_from(vouchers)
        .ok()
        .filter(|count| *count <= MAX_VOUCHERS)
        .ok_or(ScheduleError::TooLong { duration, vouchers })
}

/// The deal's vouchers in order, without signatures.
pub fn unsigned_vouchers(terms: &Terms) -> Result<Vec<PaymentVoucher>, ScheduleError> {
    let count = voucher_count(terms.duration)? as u64;
    let scaled = terms
        .total
        .checked_mul(u128::from(VOUCHER_INTERVAL))
        .ok_or(ScheduleError::Overflow)?;
    let step = AttoFil(scaled.0.div_ceil(u128::from(terms.duration)));
    let condition = Predicate::piece_inclusion(&terms.miner, &terms.comm_p, terms.size);
    (1..=count)
        .map(|i| {
            let (last, served) = (i == count, i.saturating_mul(VOUCHER_INTERVAL));
            let paid = step
                .checked_mul(u128::from(i))
                .ok_or(ScheduleError::Overflow)?
                .min(terms.total);
            Ok(PaymentVoucher {
                channel: terms.channel,
                payer: terms.payer.clone(),
                target: terms.target.clone(),
                amount: if last { terms.total } else { paid },
                valid_at: terms.start.plus(if last { terms.duration } else { served }),
                condition: Some(condition.clone()),
                signature: None,
            })
        })
        .collect()
}

/// The vouchers as clients of 2019 draw them up: the last one has no condition. Our miner takes these as well.
pub fn unsigned_vouchers_of_2019(terms: &Terms) -> Result<Vec<PaymentVoucher>, ScheduleError> {
    let mut vouchers = unsigned_vouchers(terms)?;
    if let Some(last) = vouchers.last_mut() {
        last.condition = None;
    }
    Ok(vouchers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(duration: u64) -> Terms {
        let miner = Address::actor(&Address::id(7), 0);
        Terms {
            payer: Address::id(8),
            target: Address::id(9),
            miner,
            channel: ChannelId(9),
            total: AttoFil(5_000_000),
            duration,
            start: Epoch(773),
            comm_p: Commitment([0; 32]),
            size: BytesAmount(1000),
        }
    }

    #[test]
    fn there_is_one_voucher_for_each_started_interval() {
        for (duration, count) in [(10_000, 10), (10_001, 11), (2500, 3), (999, 1), (1, 1), (1000, 1)] {
            assert_eq!(
                unsigned_vouchers(&terms(duration)).expect("a schedule").len(),
                count,
                "{duration}"
            );
        }
    }

    #[test]
    fn amounts_rise_by_equal_steps_to_the_whole_price_and_only_the_last_of_2019_is_unconditional() {
        let vouchers = unsigned_vouchers_of_2019(&terms(2500)).expect("a schedule");
        let seen: Vec<_> = vouchers
            .iter()
            .map(|v| (v.amount.0, v.valid_at.0, v.condition.is_some()))
            .collect();
        assert_eq!(
            seen,
            [
                (2_000_000, 1773, true),
                (4_000_000, 2773, true),
                (5_000_000, 3273, false)
            ]
        );
    }

    /// design §9
    #[test]
    fn every_voucher_of_ours_pays_only_while_the_piece_is_proven_the_last_too() {
        for duration in [1, 999, 1000, 2500, 10_000] {
            let deal = terms(duration);
            let condition = Predicate::piece_inclusion(&deal.miner, &deal.comm_p, deal.size);
            let vouchers = unsigned_vouchers(&deal).expect("a schedule");
            assert!(vouchers
                .iter()
                .all(|voucher| voucher.condition.as_ref() == Some(&condition)));
            let mut of_2019 = unsigned_vouchers_of_2019(&deal).expect("a schedule");
            of_2019.last_mut().expect("one at least").condition = Some(condition);
            assert_eq!(vouchers, of_2019, "nothing else differs");
        }
    }

    /// Vouchers of 2019 of a deal for 93 attoFIL·10¹⁸ over `duration` blocks: (amount, blocks from the start, conditional).
    fn of_93(duration: u64) -> Vec<(AttoFil, u64, bool)> {
        let terms = Terms {
            total: AttoFil::from_fil(93),
            ..terms(duration)
        };
        let vouchers = unsigned_vouchers_of_2019(&terms).expect("a schedule");
        vouchers
            .iter()
            .map(|v| (v.amount, v.valid_at.0 - 773, v.condition.is_some()))
            .collect()
    }

    fn fil(text: &str) -> AttoFil {
        text.parse().expect("an amount")
    }

    /// spec §9.16; our interval is fixed at 1000 blocks, so that its 50 blocks at 5 are 10000 at 1000.
    #[test]
    fn ten_intervals_are_ten_equal_steps() {
        let vouchers = of_93(10_000);
        for (k, voucher) in vouchers.iter().enumerate() {
            let amount = AttoFil(9_300_000_000_000_000_000 * (k as u128 + 1));
            assert_eq!(*voucher, (amount, 1000 * (k as u64 + 1), k < 9));
        }
        assert_eq!(vouchers.last().map(|v| v.0), Some(fil("93")));
    }

    /// spec §9.17 (48 blocks at 5 are 9600 at 1000)
    #[test]
    fn a_started_interval_has_a_voucher_for_the_rest() {
        let vouchers = of_93(9600);
        assert_eq!((vouchers.len(), vouchers[0].0), (10, fil("9.6875")));
        assert_eq!(vouchers[8], (fil("87.1875"), 9000, true));
        assert_eq!(vouchers[9], (fil("93"), 9600, false));
    }

    /// spec §9.18 (3 blocks at 5 are 600 at 1000)
    #[test]
    fn a_deal_shorter_than_an_interval_has_one_voucher_without_a_condition() {
        assert_eq!(of_93(600), [(fil("93"), 600, false)]);
    }

    /// spec §9.12 (the amounts; their list is the command line's): 12 bytes at 20 FIL for 3000 blocks.
    #[test]
    fn twelve_bytes_at_20_fil_for_3000_blocks_are_paid_in_three_steps_of_240000_fil() {
        let terms = Terms {
            total: AttoFil::from_fil(20 * 12 * 3000),
            ..terms(3000)
        };
        let vouchers = unsigned_vouchers(&terms).expect("a schedule");
        let seen: Vec<_> = vouchers.iter().map(|v| (v.amount, v.valid_at.0 - 773)).collect();
        let expected = [(240_000, 1000), (480_000, 2000), (720_000, 3000)];
        assert_eq!(seen, expected.map(|(amount, at)| (AttoFil::from_fil(amount), at)));
    }

    /// spec §9.19 (a payer and a payee are missing): there is no payment without them. They are typed here, so that the
    /// bytes of one without are no voucher and no channel's opening.
    #[test]
    fn a_payment_without_a_payer_or_a_payee_is_refused() {
        use crate::wire::cbor::{DecodeError, Value};
        let voucher = unsigned_vouchers(&terms(10)).expect("a schedule").remove(0);
        let encoded: Value = crate::wire::decode(&crate::wire::encode(&voucher)).expect("a map");
        let without = |field: &str, nothing: Value| {
            let mut fields = encoded.clone().into_map().expect("a map");
            let at = fields.iter().position(|(key, _)| key.as_text() == Some(field));
            fields[at.expect("it is there")].1 = nothing;
            let bytes = crate::wire::encode(&Value::Map(fields));
            crate::wire::decode::<PaymentVoucher>(&bytes).expect_err("it names nobody")
        };
        for field in ["payer", "target"] {
            for nothing in [Value::Null, Value::Bytes(Vec::new())] {
                let error = without(field, nothing);
                assert!(
                    matches!(error, DecodeError::Type { .. } | DecodeError::Invalid { .. }),
                    "{error}"
                );
            }
        }
    }

    /// spec §9.19 (an interval of nothing): the interval is a constant, and no deal lasts nothing.
    #[test]
    fn an_interval_or_a_duration_of_nothing_has_no_schedule() {
        const { assert!(VOUCHER_INTERVAL >= 1) };
        assert_eq!(unsigned_vouchers(&terms(0)), Err(ScheduleError::NoDuration));
        let text = alloc::string::ToString::to_string(&ScheduleError::NoDuration);
        assert_eq!(text, "a deal lasts at least one block");
    }

    #[test]
    fn a_duration_of_nothing_or_of_too_many_vouchers_is_refused() {
        assert_eq!(unsigned_vouchers(&terms(0)), Err(ScheduleError::NoDuration));
        let duration = 900_001;
        assert_eq!(
            unsigned_vouchers(&terms(duration)),
            Err(ScheduleError::TooLong {
                duration,
                vouchers: 901
            })
        );
    }
}
