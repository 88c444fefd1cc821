//! What people and programs give as text: addresses, money, CIDs of pieces, vouchers. What is read is told the same.
#![no_main]

use shared::chain::{Address, AttoFil};
use shared::payment::voucher;
use shared::piece::{Commitment, PieceCid, SectorSize};
use std::fmt::{Debug, Display};
use std::str::FromStr;

fn told_again<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    told_again::<Address>(text);
    told_again::<AttoFil>(text);
    told_again::<PieceCid>(text);
    told_again::<Commitment>(text);
    told_again::<SectorSize>(text);
    if let Ok(found) = voucher::from_text(text) {
        assert_eq!(voucher::from_text(&voucher::to_text(&found)), Ok(found));
    }
});
