//! What becomes of records that come out of a backup, which is older than what happened since. Called by [`crate::Backup::restore`], and for a
//! record that is here already by whoever takes the backup back.

use crate::book::Record;
use shared::client::files::FileRecord;
use shared::client::DealRecord;
use shared::deal::{ClientInput, ClientStage};

/// Why a deal that was not paid for is given up.
pub const UNPAID: &str = "it was restored from a backup that was made before the deal was paid for; whether it was paid since, the backup does not know";
/// Why a file makes no more deals.
pub const STOPPED: &str = "it was restored from a backup, and makes new deals when you say so: those that were made after the backup are not in this book";

/// A deal that was not paid for when the backup was made is given up: to pay for it now could be to pay twice. All others go on, which is
/// harmless: what they do again has the same bytes.
pub(crate) fn restored_deal(record: &mut Record, now_ms: u64) {
    if !matches!(record.deal.stage, ClientStage::Drafted) {
        return;
    }
    let mut deal = record.deal.clone();
    let reason = UNPAID.to_owned();
    if deal.handle(ClientInput::GivenUp { reason }).is_ok() {
        record.advance(deal, None, now_ms);
    }
}

/// A file makes no deals by itself.
pub(crate) fn restored_file(record: &mut FileRecord) {
    record.stopped.get_or_insert_with(|| STOPPED.to_owned());
}

/// Whether the record of a backup takes the place of the one with its id that is here. What is here has seen more, but for a deal that an older
/// backup has brought as given up before it was paid.
pub fn takes_the_place<F, G>(of_backup: &DealRecord<F>, here: &DealRecord<G>) -> bool {
    let unpaid = matches!(&here.deal.stage, ClientStage::Failed { reason, channel: None } if reason == UNPAID);
    let same_attempt = of_backup.attempt >= here.attempt && of_backup.deal.draft == here.deal.draft;
    let says_more = !matches!(
        &of_backup.deal.stage,
        ClientStage::Drafted | ClientStage::Failed { channel: None, .. }
    );
    unpaid && same_attempt && says_more
}
