//! The vouchers of a deal as people see and move them: a list, a file to export, and a file of another's to import
//! (spec §6.1, §1.7).
//!
//! ```text
//! CLIENT/vouchers/<payer>-<channel>.vouchers   imported vouchers, one a line
//! ```
//! Called by [`crate::commands`]. A voucher's text is what `sealdrop paych redeem` takes.

use super::book::Record;
use super::error::ClientError;
use sealdrop_miner::data_dir::write_whole;
use serde::Serialize;
use shared::chain::{Address, AttoFil, ChannelId, Epoch};
use shared::client::voucher_text::{self, VoucherTextError};
use shared::payment::{voucher, PaymentVoucher};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest file of vouchers that is read, in bytes: ten of the longest deals, of 900 vouchers with 400 letters each.
pub const MAX_VOUCHER_FILE: u64 = 4 * 1024 * 1024;
const EXTENSION: &str = "vouchers";

/// A voucher as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub channel: ChannelId,
    /// FIL of the whole channel that it is good for.
    pub amount: AttoFil,
    /// First height at which it may be redeemed.
    pub valid_at: Epoch,
    /// Whether it is good only while the miner proves that it has the piece.
    pub conditional: bool,
    pub payer: Address,
    /// What other tools read.
    pub encoded: String,
}

impl Payment {
    /// One voucher.
    pub fn of(voucher: &PaymentVoucher) -> Self {
        Self {
            channel: voucher.channel,
            amount: voucher.amount,
            valid_at: voucher.valid_at,
            conditional: voucher.condition.is_some(),
            payer: voucher.payer.clone(),
            encoded: voucher::to_text(voucher),
        }
    }
}

/// The table of 2019's `client payments`: a header, then a tab-separated row for each.
pub fn table(payments: &[Payment]) -> String {
    let mut text = "Channel\tAmount\tValidAt\tEncoded Voucher".to_owned();
    for payment in payments {
        let Payment {
            channel,
            amount,
            valid_at,
            encoded,
            ..
        } = payment;
        text.push_str(&format!("\n{channel}\t{amount}\t{valid_at}\t{encoded}"));
    }
    text
}

/// What a deal pays, in the order in which it falls due; nothing for a free deal.
pub fn of_deal(record: &Record) -> Result<Vec<Payment>, ClientError> {
    record.deal.proposal().ok_or_else(|| ClientError::NotYet {
        deal: record.name(),
        state: record.state(),
        advice: match record.is_settled() {
            true => "its vouchers are void, and its channel is being taken back",
            false => "its vouchers are not signed yet; `sealdrop client resume` goes on with it",
        },
    })?;
    Ok(record.deal.vouchers().iter().map(Payment::of).collect())
}

/// A deal's vouchers as a file: a remark, then one voucher a line.
pub fn export(record: &Record) -> Result<String, ClientError> {
    of_deal(record)?;
    Ok(voucher_text::export(record))
}

/// Reads a file of vouchers, and checks that each is signed by the payer that it names.
pub fn read(source: impl Read, path: &Path) -> Result<Vec<PaymentVoucher>, ClientError> {
    let mut text = String::new();
    let mut limited = source.take(MAX_VOUCHER_FILE + 1);
    limited
        .read_to_string(&mut text)
        .map_err(ClientError::file("read", path))?;
    if text.len() as u64 > MAX_VOUCHER_FILE {
        let (path, most) = (path.to_owned(), MAX_VOUCHER_FILE);
        return Err(ClientError::TooManyVouchers { path, most });
    }
    voucher_text::read(&text).map_err(|error| match error {
        VoucherTextError::Voucher { line, reason } => ClientError::Voucher { line, reason },
        VoucherTextError::Empty => ClientError::NoVouchers { path: path.to_owned() },
        VoucherTextError::TooMany => ClientError::TooManyVouchers {
            path: path.to_owned(),
            most: MAX_VOUCHER_FILE,
        },
    })
}

/// The vouchers that this client imported.
#[derive(Debug, Clone)]
pub struct Imported {
    dir: PathBuf,
}

impl Imported {
    /// Opens them in the client's directory.
    pub fn open(dir: &Path) -> Result<Self, ClientError> {
        let dir = dir.join("vouchers");
        fs::create_dir_all(&dir).map_err(ClientError::file("create", &dir))?;
        Ok(Self { dir })
    }

    /// Keeps vouchers beside those of the same channel; the same one again changes nothing.
    pub fn add(&self, vouchers: &[PaymentVoucher]) -> Result<(), ClientError> {
        let mut by_channel: BTreeMap<PathBuf, Vec<&PaymentVoucher>> = BTreeMap::new();
        for voucher in vouchers {
            let name = format!("{}-{}.{EXTENSION}", voucher.payer, voucher.channel);
            by_channel.entry(self.dir.join(name)).or_default().push(voucher);
        }
        for (path, added) in by_channel {
            let known = match path.exists() {
                true => read_file(&path)?,
                false => Vec::new(),
            };
            let lines: BTreeSet<String> = known.iter().chain(added).map(voucher::to_text).collect();
            let text = lines.into_iter().map(|line| line + "\n").collect::<String>();
            if text.len() as u64 > MAX_VOUCHER_FILE {
                let most = MAX_VOUCHER_FILE;
                return Err(ClientError::TooManyVouchers { path, most });
            }
            write_whole(&path, text.as_bytes(), 0o600).map_err(ClientError::file("write", path))?;
        }
        Ok(())
    }

    /// All of them, by payer, channel and height.
    pub fn all(&self) -> Result<Vec<PaymentVoucher>, ClientError> {
        let list = fs::read_dir(&self.dir).map_err(ClientError::file("list", &self.dir))?;
        let mut vouchers = Vec::new();
        for entry in list {
            let path = entry.map_err(ClientError::file("list", &self.dir))?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                vouchers.extend(read_file(&path)?);
            }
        }
        vouchers.sort_by_cached_key(|v| (v.payer.to_string(), v.channel, v.valid_at, v.amount));
        Ok(vouchers)
    }
}

/// Reads a file of vouchers by its path.
pub fn read_file(path: &Path) -> Result<Vec<PaymentVoucher>, ClientError> {
    let file = fs::File::open(path).map_err(ClientError::file("read", path))?;
    read(file, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::{BytesAmount, SecretKey};
    use shared::payment::schedule::{unsigned_vouchers, Terms};
    use shared::piece::Commitment;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes(&[byte; 32]).expect("a small number is a key")
    }

    /// The vouchers of 12 bytes at 20 FIL for 3000 blocks.
    fn vouchers() -> Vec<PaymentVoucher> {
        let terms = Terms {
            payer: key(1).address(),
            target: key(2).address(),
            miner: Address::actor(&key(2).address(), 0),
            channel: ChannelId(9),
            total: AttoFil::from_fil(20 * 12 * 3000),
            duration: 3000,
            start: Epoch(3),
            comm_p: Commitment([7; 32]),
            size: BytesAmount(12),
        };
        let mut vouchers = unsigned_vouchers(&terms).expect("three vouchers");
        for voucher in &mut vouchers {
            voucher.signature = Some(key(1).sign(&voucher.payload()).0.to_vec().into());
        }
        vouchers
    }

    fn lines(vouchers: &[PaymentVoucher]) -> String {
        vouchers.iter().map(|v| voucher::to_text(v) + "\n").collect()
    }

    /// spec §9.12: 240000, 480000 and 720000 FIL at about 1000, 2000 and 3000.
    #[test]
    fn payments_are_listed_with_channel_amount_height_and_text() {
        let payments: Vec<Payment> = vouchers().iter().map(Payment::of).collect();
        let table = table(&payments);
        let mut rows = table.lines();
        assert_eq!(rows.next(), Some("Channel\tAmount\tValidAt\tEncoded Voucher"));
        for (row, start) in rows.zip(["9\t240000\t1003\tz", "9\t480000\t2003\tz", "9\t720000\t3003\tz"]) {
            assert!(row.starts_with(start), "{row}");
            let text = row.rsplit('\t').next().expect("a row has columns");
            assert!(vouchers().contains(&voucher::from_text(text).expect("it is a voucher")));
        }
        assert_eq!(table.lines().count(), 4);
    }

    #[test]
    fn imported_vouchers_are_kept_once() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let imported = Imported::open(dir.path()).expect("the folder can be made");
        let text = format!("# of a friend\n\n{}", lines(&vouchers()));
        let read = read(text.as_bytes(), Path::new("-")).expect("they are signed");
        imported.add(&read).expect("there is room");
        imported.add(&read[1..]).expect("there is room");
        assert_eq!(imported.all().expect("they are kept"), vouchers());
    }

    #[test]
    fn a_voucher_that_its_payer_did_not_sign_is_refused_with_its_line() {
        let mut forged = vouchers();
        forged[1].amount = AttoFil::from_fil(720_000);
        let refused = read(lines(&forged).as_bytes(), Path::new("-"));
        assert!(
            matches!(&refused, Err(ClientError::Voucher { line: 2, reason }) if reason == "invalid signature in voucher"),
            "{refused:?}"
        );
        let mut unsigned = vouchers();
        unsigned[0].signature = None;
        let refused = read(lines(&unsigned).as_bytes(), Path::new("-"));
        assert!(matches!(refused, Err(ClientError::Voucher { line: 1, .. })));
    }

    #[test]
    fn text_that_is_no_voucher_is_refused_with_the_texts_of_2019() {
        for (text, expected) in [
            ("$", "voucher could not be decoded"),
            ("z2", "voucher string could not be decoded into voucher"),
        ] {
            let refused = read(text.as_bytes(), Path::new("-"));
            assert!(
                matches!(&refused, Err(ClientError::Voucher { line: 1, reason }) if reason.contains(expected)),
                "{refused:?}"
            );
        }
        let none = read("# nothing\n".as_bytes(), Path::new("-"));
        assert!(matches!(none, Err(ClientError::NoVouchers { .. })));
    }
}
