//! A price as the protocol has it, per byte and block, and as people compare it, per GiB and month: exact arithmetic, no I/O.

use shared::chain::AttoFil;
use std::time::Duration;

const GIB: u128 = 1 << 30;
/// A month of thirty days, in milliseconds.
const MONTH: u128 = 30 * 24 * 3600 * 1000;

/// Bytes times blocks of a GiB that is kept for a month; none on a chain whose blocks are made by hand, or once a month.
fn byte_blocks(block_time: Duration) -> Option<u128> {
    let blocks = MONTH.checked_div(block_time.as_millis())?;
    GIB.checked_mul(blocks).filter(|all| *all > 0)
}

/// What a GiB costs in a month.
pub fn per_gib_month(price: AttoFil, block_time: Duration) -> Option<AttoFil> {
    price.checked_mul(byte_blocks(block_time)?)
}

/// The price per byte and block that comes nearest to a price per GiB and month. One that is not nothing does not become nothing.
pub fn per_byte_block(month: AttoFil, block_time: Duration) -> Option<AttoFil> {
    let all = byte_blocks(block_time)?;
    let nearest = month.0.checked_add(all / 2)? / all;
    (nearest > 0 || month.is_zero()).then_some(AttoFil(nearest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fil(text: &str) -> AttoFil {
        text.parse().expect("an amount")
    }

    #[test]
    fn the_usual_price_is_told_per_month_and_read_back() {
        let month = per_gib_month(fil("0.0000000001"), SECOND).expect("blocks come by themselves");
        assert_eq!(month, fil("278313.8807808"));
        assert_eq!(per_byte_block(month, SECOND), Some(fil("0.0000000001")));
        // With blocks half as often, half of that.
        let slower = per_gib_month(fil("0.0000000001"), 2 * SECOND);
        assert_eq!(slower, Some(fil("139156.9403904")));
    }

    #[test]
    fn a_price_that_is_no_whole_number_of_atto_fil_is_rounded_but_never_to_nothing() {
        assert_eq!(per_byte_block(fil("0.003"), SECOND), Some(AttoFil(1)));
        assert_eq!(per_byte_block(fil("0.001"), SECOND), None);
        assert_eq!(per_byte_block(AttoFil::ZERO, SECOND), Some(AttoFil::ZERO));
    }

    #[test]
    fn a_chain_whose_blocks_are_made_by_hand_has_no_price_per_month() {
        assert_eq!(per_gib_month(fil("1"), Duration::ZERO), None);
        assert_eq!(per_byte_block(fil("1"), Duration::from_secs(31 * 24 * 3600)), None);
        assert_eq!(per_gib_month(AttoFil(1 << 124), SECOND), None);
    }
}
