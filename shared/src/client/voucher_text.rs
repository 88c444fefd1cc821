//! Vouchers as text that people hand to each other: one or more a line, with remarks between (spec §1.7, §6.1).
//!
//! Both clients write and read it, so that what one exports the other imports.

use super::record::DealRecord;
use crate::chain::Protocol;
use crate::payment::{voucher, PaymentVoucher};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Vouchers of one text, at most: ten of the longest deals.
pub const MAX_VOUCHERS: usize = 9_000;
/// In front of what a text says to people.
const REMARK: char = '#';

/// Why vouchers cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoucherTextError {
    #[error("voucher on line {line}: {reason}")]
    Voucher { line: usize, reason: String },
    #[error("it holds no voucher")]
    Empty,
    #[error("it holds more than {MAX_VOUCHERS} vouchers")]
    TooMany,
}

/// Reads vouchers, and checks that each is signed by the payer that it names. A wallet signs none: whether the key that signed
/// for its account is the channel's session key is seen when the channel is looked at ([`crate::payment::standing::VoucherStanding`]).
pub fn read(text: &str) -> Result<Vec<PaymentVoucher>, VoucherTextError> {
    let mut vouchers = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with(REMARK) {
            continue;
        }
        let refused = |reason: String| VoucherTextError::Voucher { line: number, reason };
        for word in line.split_whitespace() {
            if vouchers.len() >= MAX_VOUCHERS {
                return Err(VoucherTextError::TooMany);
            }
            let voucher = voucher::from_text(word).map_err(|e| refused(e.to_string()))?;
            let signer = voucher.signer();
            let is_wallets = voucher.payer.protocol() == Protocol::Delegated;
            if !signer.is_some_and(|signer| is_wallets || signer == voucher.payer) {
                return Err(refused("invalid signature in voucher".into()));
            }
            vouchers.push(voucher);
        }
    }
    match vouchers.is_empty() {
        true => Err(VoucherTextError::Empty),
        false => Ok(vouchers),
    }
}

/// Vouchers one a line.
pub fn lines(vouchers: &[PaymentVoucher]) -> String {
    vouchers
        .iter()
        .map(|found| format!("{}\n", voucher::to_text(found)))
        .collect()
}

/// A deal's vouchers with a remark that says whose they are.
pub fn export<F>(record: &DealRecord<F>) -> String {
    format!(
        "{REMARK} vouchers of deal {}\n{}",
        record.name(),
        lines(record.deal.vouchers())
    )
}
