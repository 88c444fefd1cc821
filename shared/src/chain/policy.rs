//! The numbers that the actors go by. Genesis fixes them; every node of a network reads them from its state.
//!
//! Called by the actors, and by hosts that plan ahead: when to prove, when to redeem, when to reclaim.

use super::amount::AttoFil;
use crate::piece::SectorSize;
use alloc::{vec, vec::Vec};
use serde::{Deserialize, Serialize};

/// Blocks in which every sector of a miner is proven once (spec §5.3).
pub const PROVING_PERIOD: u64 = 300;
/// Blocks at the end of a proving period in which a proof-of-spacetime on time is accepted (spec §5.3).
pub const CHALLENGE_WINDOW: u64 = 150;
/// Blocks after a proving period in which its proof is still accepted, for a fee (spec §5.3).
pub const GRACE: u64 = 300;
/// Blocks that a miner waits in a window before it starts to prove (spec §4.11).
pub const POST_DELAY: u64 = 15;
/// Money that a sector locks up, 0.001 FIL whatever its size (spec §5.3).
pub const SECTOR_COLLATERAL: AttoFil = AttoFil(1_000_000_000_000_000);
/// Blocks that a payee has to redeem after the payer cancelled (spec §5.2).
pub const CANCEL_DELAY: u64 = 10_000;
/// Money that a registration brings along on a new network, 10 FIL: what daemons give their miners anyway. To fill the
/// registry then takes eleven grants of the faucet; it is collateral of the miner, and its owner's again when the miner makes
/// room for another. In 2019 there was no minimum (spec §5.4).
pub const MINER_COLLATERAL: AttoFil = AttoFil(10_000_000_000_000_000_000);
/// Units of gas that a method costs (spec §5.1).
pub const GAS_PER_METHOD: u64 = 100;
/// Units of gas that a transfer costs on a new network. In 2019 it cost none (spec §5.1), so that it could not be bounded by gas.
pub const GAS_PER_TRANSFER: u64 = GAS_PER_METHOD;
/// What a sender pays for the account that its transfer makes, 0.01 FIL, on a new network: burnt, since an account is kept
/// for ever. A hundred thousand accounts, 10 MB of state, then cost what one grant of the faucet brings.
pub const ACCOUNT_PRICE: AttoFil = AttoFil(10_000_000_000_000_000);
/// Most units of gas that one block, and so one message, may use (spec §5.1).
pub const BLOCK_GAS_LIMIT: u64 = 10_000_000;
/// Blocks from a pre-commit to the block that its seed is drawn from. One is the rule: whoever sends a pre-commit must not
/// know the seed, and a block's ticket is known when the block is. On a chain with forks it must be as many more as blocks
/// can be taken back (Filecoin's mainnet waits 150 epochs); here one authority makes the blocks and takes none back. The
/// second is for a machine that loses its newest blocks with its power: their tickets come again, so a pre-commit that was
/// lost with them could be made anew by somebody who knows its seed.
pub const SEED_DELAY: u64 = 2;
/// Oldest ticket that a pre-commit may name, in blocks: sealing's first half (minutes for 512 MiB) must fit between the
/// two; a replica's ticket must still not be chosen from the whole past.
pub const MAX_TICKET_AGE: u64 = 2000;
/// Blocks in which a pre-commit must be followed by its commit: sealing's second half and some retries fit.
pub const PRE_COMMIT_EXPIRY: u64 = 3000;
/// Money that a pre-commit locks up until its sector is committed, 0.001 FIL like a sector: what it costs to let one
/// lapse, so that drawing a second seed is never free.
pub const PRE_COMMIT_DEPOSIT: AttoFil = SECTOR_COLLATERAL;
/// Blocks that a sector may be faulty, 14 proving periods as in today's Filecoin: after them it is taken for lost.
pub const MAX_FAULT_AGE: u64 = 14 * PROVING_PERIOD;

/// Blocks between two vouchers of a deal (spec §3.1).
pub const VOUCHER_INTERVAL: u64 = 1000;
/// Blocks that a channel outlives its last voucher, so that it can be redeemed (spec §3.1).
pub const CHANNEL_EXPIRY_INTERVAL: u64 = 2000;

/// A network's rules in numbers. Spans are in blocks, gas in units, money in attoFIL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// Blocks in which every sector of a miner is proven once.
    pub proving_period: u64,
    /// Blocks at the end of a proving period in which a proof-of-spacetime on time is accepted.
    pub challenge_window: u64,
    /// Blocks after a proving period in which its proof is still accepted, for a fee.
    pub grace: u64,
    /// Blocks that a miner waits in a window before it starts to prove.
    pub post_delay: u64,
    /// FIL that a sector locks up.
    pub sector_collateral: AttoFil,
    /// Blocks that a payee has to redeem after the payer cancelled.
    pub cancel_delay: u64,
    /// Units of gas that a method costs.
    pub gas_per_method: u64,
    /// Units of gas that a transfer costs; 0 on networks that began before transfers cost any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gas_per_transfer: u64,
    /// FIL that a transfer to a new account costs beside what it brings, burnt; 0 on networks that began before it.
    #[serde(default, skip_serializing_if = "is_free")]
    pub account_price: AttoFil,
    /// Least FIL that a miner is registered with; 0 on networks that began before it.
    #[serde(default, skip_serializing_if = "is_free")]
    pub miner_collateral: AttoFil,
    /// Most units of gas that one block, and so one message, may use.
    pub block_gas_limit: u64,
    /// Blocks from a pre-commit to the block that its seed is drawn from.
    pub seed_delay: u64,
    /// Oldest ticket that a pre-commit may name, in blocks.
    pub max_ticket_age: u64,
    /// Blocks in which a pre-commit must be followed by its commit.
    pub pre_commit_expiry: u64,
    /// FIL that a pre-commit locks up until its sector is committed.
    pub pre_commit_deposit: AttoFil,
    /// Blocks that a sector may be faulty before it is taken for lost.
    pub max_fault_age: u64,
    /// Blocks between two vouchers of a deal.
    pub voucher_interval: u64,
    /// Blocks that a payment channel outlives its last voucher.
    pub channel_expiry_interval: u64,
    /// Sizes of sectors that miners may have: those with proof parameters on this network.
    pub sector_sizes: Vec<SectorSize>,
}

/// The numbers of 2019: what networks have that do not name others.
impl Default for Policy {
    fn default() -> Self {
        Self {
            proving_period: PROVING_PERIOD,
            challenge_window: CHALLENGE_WINDOW,
            grace: GRACE,
            post_delay: POST_DELAY,
            sector_collateral: SECTOR_COLLATERAL,
            cancel_delay: CANCEL_DELAY,
            gas_per_method: GAS_PER_METHOD,
            gas_per_transfer: 0,
            account_price: AttoFil::ZERO,
            miner_collateral: AttoFil::ZERO,
            block_gas_limit: BLOCK_GAS_LIMIT,
            seed_delay: SEED_DELAY,
            max_ticket_age: MAX_TICKET_AGE,
            pre_commit_expiry: PRE_COMMIT_EXPIRY,
            pre_commit_deposit: PRE_COMMIT_DEPOSIT,
            max_fault_age: MAX_FAULT_AGE,
            voucher_interval: VOUCHER_INTERVAL,
            channel_expiry_interval: CHANNEL_EXPIRY_INTERVAL,
            sector_sizes: vec![SectorSize::S2KiB, SectorSize::S8MiB, SectorSize::S512MiB],
        }
    }
}

/// Larger sectors are sealed in hours: spans that sealing must fit into are so many times the usual ones.
const LARGE_SECTOR_SPANS: u64 = 10;
/// Each proof of a larger sector takes longer, while others are sealed: proving periods are so many times the usual ones.
const LARGE_SECTOR_PERIODS: u64 = 4;

/// Why numbers do not make a working policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("{name} is 0: give it at least one block or unit")]
    Zero { name: &'static str },
    #[error("the challenge window of {window} blocks does not fit in a proving period of {period} blocks")]
    WindowTooLong { window: u64, period: u64 },
    #[error("a proof starts {delay} blocks into a challenge window of {window} blocks: it would never be on time")]
    DelayTooLong { delay: u64, window: u64 },
    #[error("a pre-commit expires after {expiry} blocks, before its seed is drawn after {seed_delay} blocks")]
    ExpiryTooShort { expiry: u64, seed_delay: u64 },
    #[error("no sector size is allowed: name at least one")]
    NoSectorSize,
}

impl Policy {
    /// The usual numbers for a network whose miners have sectors of this size. From 512 MiB on, a ticket must outlast the
    /// labelling and encoding of sectors that wait for one another (20 minutes each on two cores), the pre-commit their
    /// proofs; windows and periods are longer, so that a proof-of-spacetime is on time while sectors are sealed.
    pub fn for_sectors(size: SectorSize) -> Self {
        let usual = Self::default();
        if size < SectorSize::S512MiB {
            return usual;
        }
        Self {
            max_ticket_age: MAX_TICKET_AGE * LARGE_SECTOR_SPANS,
            pre_commit_expiry: PRE_COMMIT_EXPIRY * LARGE_SECTOR_SPANS,
            proving_period: PROVING_PERIOD * LARGE_SECTOR_PERIODS,
            challenge_window: CHALLENGE_WINDOW * LARGE_SECTOR_PERIODS,
            grace: GRACE * LARGE_SECTOR_PERIODS,
            max_fault_age: MAX_FAULT_AGE * LARGE_SECTOR_PERIODS,
            sector_sizes: match size {
                SectorSize::S32GiB => SectorSize::ALL.to_vec(),
                _ => usual.sector_sizes,
            },
            ..usual
        }
    }

    /// The numbers of a network that begins now: [`Self::for_sectors`], and what 2019 gave away.
    pub fn of_new_network(size: SectorSize) -> Self {
        Self {
            gas_per_transfer: GAS_PER_TRANSFER,
            account_price: ACCOUNT_PRICE,
            miner_collateral: MINER_COLLATERAL,
            ..Self::for_sectors(size)
        }
    }

    /// Blocks after its registration in which a miner makes room for no other: within them the first half of its first sector
    /// is sealed, which this policy gives [`Self::max_ticket_age`] blocks; from its pre-commit on the sector protects it.
    pub fn newcomer_span(&self) -> u64 {
        self.max_ticket_age
    }

    /// Checks that deals can be sealed and proven under these numbers.
    pub fn check(&self) -> Result<(), PolicyError> {
        let spans = [
            ("provingPeriod", self.proving_period),
            ("challengeWindow", self.challenge_window),
            ("grace", self.grace),
            ("seedDelay", self.seed_delay),
            ("gasPerMethod", self.gas_per_method),
            ("blockGasLimit", self.block_gas_limit),
            ("maxFaultAge", self.max_fault_age),
            ("voucherInterval", self.voucher_interval),
        ];
        if let Some((name, _)) = spans.into_iter().find(|(_, span)| *span == 0) {
            return Err(PolicyError::Zero { name });
        }
        let (window, period, delay) = (self.challenge_window, self.proving_period, self.post_delay);
        if window > period {
            return Err(PolicyError::WindowTooLong { window, period });
        }
        if delay >= window {
            return Err(PolicyError::DelayTooLong { delay, window });
        }
        if self.pre_commit_expiry <= self.seed_delay {
            let (expiry, seed_delay) = (self.pre_commit_expiry, self.seed_delay);
            return Err(PolicyError::ExpiryTooShort { expiry, seed_delay });
        }
        if self.sector_sizes.is_empty() {
            return Err(PolicyError::NoSectorSize);
        }
        Ok(())
    }
}

/// Left out of what is stored: a network that began before there was such a number keeps the bytes of its genesis.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_free(price: &AttoFil) -> bool {
    price.is_zero()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_works() {
        assert_eq!(Policy::default().check(), Ok(()));
    }

    #[test]
    fn hours_of_sealing_fit_between_ticket_and_commit_of_large_sectors() {
        for size in SectorSize::ALL {
            let policy = Policy::for_sectors(size);
            assert_eq!(policy.check(), Ok(()), "{size}");
            assert!(policy.sector_sizes.contains(&size), "{size}");
        }
        assert_eq!(Policy::for_sectors(SectorSize::S8MiB), Policy::default());
        // In blocks of a second, as usual.
        let large = Policy::for_sectors(SectorSize::S512MiB);
        assert!(large.max_ticket_age > 5 * 3600 && large.pre_commit_expiry > 5 * 3600);
        assert!(
            !large.sector_sizes.contains(&SectorSize::S32GiB),
            "only official parameters can prove those"
        );
    }

    #[test]
    fn a_policy_under_which_nobody_could_prove_is_refused() {
        let broken = |change: fn(&mut Policy)| {
            let mut policy = Policy::default();
            change(&mut policy);
            policy.check()
        };
        assert_eq!(
            broken(|p| p.seed_delay = 0),
            Err(PolicyError::Zero { name: "seedDelay" })
        );
        assert_eq!(
            broken(|p| p.challenge_window = 301),
            Err(PolicyError::WindowTooLong {
                window: 301,
                period: 300
            })
        );
        assert_eq!(
            broken(|p| p.post_delay = 150),
            Err(PolicyError::DelayTooLong {
                delay: 150,
                window: 150
            })
        );
        assert_eq!(
            broken(|p| p.pre_commit_expiry = p.seed_delay),
            Err(PolicyError::ExpiryTooShort {
                expiry: SEED_DELAY,
                seed_delay: SEED_DELAY
            })
        );
        assert_eq!(broken(|p| p.sector_sizes.clear()), Err(PolicyError::NoSectorSize));
    }

    #[test]
    fn a_network_that_began_before_transfers_cost_anything_keeps_its_numbers_and_their_bytes() {
        let old = Policy::default();
        let text = serde_json::to_string(&old).unwrap();
        assert!(
            !["gasPerTransfer", "accountPrice", "minerCollateral"]
                .iter()
                .any(|name| text.contains(name)),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), old);
        let new = Policy::of_new_network(SectorSize::S8MiB);
        assert_eq!(
            (new.gas_per_transfer, new.account_price, new.miner_collateral),
            (GAS_PER_TRANSFER, ACCOUNT_PRICE, MINER_COLLATERAL)
        );
        let text = serde_json::to_string(&new).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), new);
    }

    #[test]
    fn numbers_that_a_file_leaves_out_are_the_defaults() {
        let policy: Policy = serde_json::from_str(r#"{"provingPeriod":60,"challengeWindow":30}"#).unwrap();
        assert_eq!(
            policy,
            Policy {
                proving_period: 60,
                challenge_window: 30,
                ..Policy::default()
            }
        );
    }
}
