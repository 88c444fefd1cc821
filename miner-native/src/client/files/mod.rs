//! Files of any size, several of them, and folders: the terminal's edges of [`shared::client::files`].
//!
//! Called by [`crate::commands`]. [`gathering`] finds the files below what was named, [`cutting`] reads them once and makes the manifest,
//! (with [`encrypting`], of what is encrypted), [`carrying`] has a deal made of every piece as often as was ordered and carries them on ([`drawing`] draws each up), [`retrieving`]
//! brings all of it back over a [`spool`] ([`decrypting`] opens what is encrypted), and [`drills`] fetches copies now and then.
//!
//! State first: the manifest, the order and the places of the files are in the book ([`super::stored_files`]) before the first deal is
//! drawn up. Killed at any instruction, [`carrying`] goes on from the book: what has a deal is carried on, what has none gets one.

pub mod carrying;
mod cutting;
pub mod decrypting;
mod drawing;
pub mod drills;
pub mod encrypting;
mod gathering;
pub mod retrieving;
mod spool;

use super::book::DealLock;
use super::cli_host::Until;
use super::error::ClientError;
use super::kept_keys::FileKeys;
use super::miner_offers;
use super::source::FileFacts;
use super::stored_files::{FileSource, StoredFile};
use super::Session;
use encrypting::Readers;
use gathering::Gathered;
use sealdrop_encryption::EncryptedFile;
use sealdrop_miner::clock::now_ms;
use shared::chain::calls::{GAS_LIMIT, GAS_PRICE};
use shared::chain::view::MinerView;
use shared::chain::{AttoFil, Epoch};
use shared::client::files::{
    quote, quote_manifest, sector_for, FileOrder, FileProgress, FileQuote, FileRecord, Placement,
};
use shared::file::{Cut, Manifest};
use shared::piece::SectorSize;
use std::path::{Path, PathBuf};

/// What to store, and how.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// What several are called together.
    pub name: Option<String>,
    pub order: FileOrder,
    pub until: Until,
    /// Who is to read it; `None`: everybody.
    pub readers: Option<Readers>,
}

/// The market as a file's order sees it.
struct Market {
    miners: Vec<MinerView>,
    height: Epoch,
}

impl Market {
    async fn look(session: &Session) -> Result<Self, ClientError> {
        let miners = miner_offers::open_miners(session).await?;
        let height = session.chain.head().await.map_err(ClientError::chain)?.height;
        Ok(Self { miners, height })
    }

    fn sector_for(
        &self,
        session: &Session,
        order: &FileOrder,
        (path, size): (&Path, u64),
    ) -> Result<SectorSize, ClientError> {
        let own = session.account.address();
        let found = sector_for(&self.miners, &own, self.height, order, size);
        found.map_err(|error| ClientError::sector(error, session.chain.url(), path))
    }
}

/// Whether a path is a file that is one deal, as ever: it fits in a sector, and one copy of it is wanted.
pub async fn is_one_deal(session: &Session, path: &Path, order: &FileOrder) -> Result<bool, ClientError> {
    if order.copies != 1 || order.with_manifest || order.repair || path.is_dir() {
        return Ok(false);
    }
    // What is wrong with it says whoever stores it.
    let Ok(facts) = FileFacts::of(path) else {
        return Ok(true);
    };
    let market = Market::look(session).await?;
    match market.sector_for(session, order, (path, facts.size)) {
        // One that cannot be cut, either, is refused as ever.
        Ok(sector) => Ok(facts.size <= sector.usable() || Cut::new(facts.size, sector).is_err()),
        // As that one says that there is nobody to take it.
        Err(_) => Ok(true),
    }
}

/// Stores files and folders, and carries their deals as far as was wanted. On an error after the first deal all of it is in the book and
/// can be resumed.
pub async fn store(session: &Session, wanted: &Wanted) -> Result<Placement, ClientError> {
    wanted.order.check()?;
    let gathered = gathering::gather(&wanted.paths, wanted.name.as_deref(), &session.report)?;
    let market = Market::look(session).await?;
    let (stored, known, sources) = match encrypted_before(session, wanted, &gathered, &market)? {
        Some(stored) => (stored.clone(), stored.record, None),
        None => {
            let (stored, known, sources) = measure(session, wanted, gathered, &market).await?;
            (stored, known, Some(sources))
        }
    };
    let (stored, lock) = order_anew(session, wanted, &market, (stored, known, sources))?;
    let id = &stored.record.id;
    session
        .report
        .step(format!("the manifest {id} is kept: {} pieces", stored.pieces()));
    carrying::carry((stored, lock), session, wanted.until).await
}

/// The same files as they were encrypted to the same readers before: encrypted again they would be others, and be paid for again.
fn encrypted_before(
    session: &Session,
    wanted: &Wanted,
    gathered: &Gathered,
    market: &Market,
) -> Result<Option<StoredFile>, ClientError> {
    let Some(readers) = &wanted.readers else {
        return Ok(None);
    };
    for id in session.book.file_ids()? {
        let Some(stored) = session.book.find_file(&id)? else {
            continue;
        };
        let is_of_chain = stored.record.genesis == session.genesis() && stored.record.ends > market.height;
        if stored.record.encryption.is_none() || stored.record.name != gathered.name.as_str() || !is_of_chain {
            continue;
        }
        let sources = session.book.sources(&id)?;
        let dated = sources.iter().all(|source| source.facts.modified_ns > 0);
        let before = sources.iter().map(|source| &source.facts);
        let same = dated && before.eq(gathered.files.iter().map(|file| &file.facts));
        let names = stored.manifest.encrypted_names();
        let keys = if same { session.book.keys(&id)? } else { None };
        if keys.is_some_and(|keys| sealdrop_database::blocking(|| readers.are_those_of(&keys, names))) {
            session.report.note("these files are encrypted and stored already");
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

/// Has the price consented to, reads the files, and keeps what was found; the record is the one that is in the book then.
async fn measure(
    session: &Session,
    wanted: &Wanted,
    mut gathered: Gathered,
    market: &Market,
) -> Result<(StoredFile, FileRecord, Vec<FileSource>), ClientError> {
    let plain_size = gathered.size();
    let keys: Vec<EncryptedFile> = match &wanted.readers {
        Some(readers) => sealdrop_database::blocking(|| encrypting::make(readers, &mut gathered))?,
        None => Vec::new(),
    };
    let largest = gathered.files.iter().max_by_key(|file| file.stored);
    let largest = largest.map(|file| (file.facts.path.clone(), file.stored));
    let (path, size) = largest.ok_or(ClientError::Manifest(shared::file::ManifestError::NoFiles))?;
    let sector = market.sector_for(session, &wanted.order, (&path, size))?;
    let cuts = cutting::cuts(&gathered, sector)?;
    estimate(session, market, &wanted.order, (&gathered, &cuts))?;
    let place = gathered.place.clone();
    let draft = match keys.is_empty() {
        true => None,
        false => Some(session.book.keep_draft(&keys)?),
    };
    let (manifest, sources, files) = cutting::digest(session, gathered, cuts, keys).await?;
    let (name, mut keys) = (manifest.name().as_str().to_owned(), None);
    let manifest = match &wanted.readers {
        None => manifest,
        Some(readers) => {
            let (manifest, names) = sealdrop_database::blocking(|| encrypting::hide(readers, manifest))?;
            let readers = readers.texts();
            keys = Some(FileKeys { readers, names, files });
            manifest
        }
    };
    let manifest_bytes = manifest.to_bytes()?;
    consent(session, market, (&wanted.order, &place), (&manifest, &manifest_bytes)).await?;
    let chain = (session.genesis().to_owned(), market.height);
    let record = FileRecord::new((&manifest, &manifest_bytes), wanted.order.clone(), chain, now_ms());
    let mut record = record.map_err(|source| ClientError::Digest { path, source })?;
    if let Some(readers) = &wanted.readers {
        record = record.encrypted(name, readers.described(plain_size));
    }
    let stored = StoredFile {
        record,
        manifest,
        manifest_bytes,
    };
    let known = session
        .book
        .add_file(&stored, &sources, draft.as_deref().zip(keys.as_ref()))?;
    Ok((stored, known, sources))
}

/// Keeps what is wanted of a file now, under its lock.
fn order_anew(
    session: &Session,
    wanted: &Wanted,
    market: &Market,
    (mut stored, known, sources): (StoredFile, FileRecord, Option<Vec<FileSource>>),
) -> Result<(StoredFile, DealLock), ClientError> {
    let lock = session.book.lock_file(&known)?;
    let asked = wanted.order.duration;
    let own_piece = stored.record.manifest.take();
    stored.record.clone_from(&known);
    let has_deals = placed(&session.book, &stored)?.has_deals();
    let manifest = own_piece.or_else(|| known.manifest.clone());
    stored.record = FileRecord {
        manifest,
        ..known.ordered_again(wanted.order.clone(), market.height, has_deals)
    };
    if stored.record.order.duration != asked {
        session.report.note(format!(
            "it is stored until block {} already, which stays; store it again then",
            stored.record.ends
        ));
    }
    session.book.save_file(&stored.record, sources.as_deref())?;
    Ok((stored, lock))
}

impl StoredFile {
    /// Different pieces.
    fn pieces(&self) -> usize {
        Placement::new(self.record.clone(), &self.manifest, 0).pieces().len()
    }
}

/// Before anything is read: what it costs if no two pieces are the same, which is not known yet. Refuses what no miners take.
fn estimate(
    session: &Session,
    market: &Market,
    order: &FileOrder,
    (gathered, cuts): (&Gathered, &[Cut]),
) -> Result<(), ClientError> {
    let sizes = cuts.iter().flat_map(|cut| {
        let parts = (0..cut.pieces()).filter_map(|index| cut.piece(index));
        parts.map(|part| part.end.saturating_sub(part.start))
    });
    let own = session.account.address();
    let found = quote(&market.miners, &own, market.height, order, sizes);
    let found = found.map_err(|error| ClientError::sector(error, session.chain.url(), &gathered.place))?;
    if let Some(limit) = order.most.filter(|limit| found.least > *limit) {
        session.report.note(format!(
            "all deals would cost {} FIL at least, and --most allows {limit} FIL, unless some of the {} pieces are the same",
            found.least, found.pieces
        ));
    }
    Ok(())
}

/// One quote for all pieces, before a deal is drawn up: refuses what costs more than was allowed, and what the account cannot pay.
async fn consent(
    session: &Session,
    market: &Market,
    (order, place): (&FileOrder, &Path),
    (manifest, bytes): (&Manifest, &[u8]),
) -> Result<(), ClientError> {
    let own = session.account.address();
    let found = quote_manifest(&market.miners, &own, market.height, order, (manifest, bytes));
    let found = found.map_err(|error| ClientError::sector(error, session.chain.url(), place))?;
    let FileQuote {
        pieces,
        deals,
        least,
        most,
        miners,
    } = found;
    let price = match least == most {
        true => format!("{least} FIL"),
        false => format!("{least} to {most} FIL"),
    };
    let copies = match order.copies {
        1 => "one copy".to_owned(),
        copies => format!("{copies} copies"),
    };
    session.report.step(format!(
        "{} in {}, {copies} of each for {} blocks: {deals} deals, {price} in all; {miners} miners could take them",
        indicatif::HumanBytes(manifest.size()),
        if pieces == 1 {
            "one piece".to_owned()
        } else {
            format!("{pieces} pieces")
        },
        order.duration,
    ));
    if let Some(limit) = order.most.filter(|limit| least > *limit) {
        return Err(ClientError::OverLimit { least, most: limit });
    }
    let gas = AttoFil(GAS_PRICE.0 * u128::from(GAS_LIMIT)).checked_mul(u128::from(deals));
    let cost = match least.is_zero() {
        true => AttoFil::ZERO,
        false => gas.and_then(|gas| gas.checked_add(least)).unwrap_or(AttoFil(u128::MAX)),
    };
    session
        .account
        .fund(&session.chain, cost, &session.report)
        .await
        .map(drop)
}

/// Goes on with a file from where it is, and does so anew where it was stopped; `repair` has lost copies replaced from now on.
pub async fn resume(session: &Session, id: &str, repair: bool, until: Until) -> Result<Placement, ClientError> {
    let (mut stored, lock) = taken(session, id)?;
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    let progress = FileProgress::of(&placed(&session.book, &stored)?);
    // One that was never kept as a whole is gone on with all the same: its deals last as long from now on.
    if stored.record.is_over(height) && progress.copies_kept >= progress.copies_wanted {
        let (file, ends) = (stored.record.id, stored.record.ends);
        return Err(ClientError::FileOver { file, ends });
    }
    stored.record.stopped = None;
    stored.record.order.repair |= repair;
    session.book.save_file(&stored.record, None)?;
    carrying::carry((stored, lock), session, until).await
}

/// The file for this process alone, as the book has it now.
fn taken(session: &Session, id: &str) -> Result<(StoredFile, DealLock), ClientError> {
    let stored = get(session, id)?;
    let lock = session.book.lock_file(&stored.record)?;
    Ok((get(session, id)?, lock))
}

/// A file in the book, of the session's chain.
pub fn get(session: &Session, id: &str) -> Result<StoredFile, ClientError> {
    let unknown = || ClientError::UnknownFile(id.chars().take(80).collect());
    let stored = session.book.find_file(id)?.ok_or_else(unknown)?;
    match stored.record.genesis == session.genesis() {
        true => Ok(stored),
        false => Err(ClientError::OtherChain {
            url: session.chain.url().to_owned(),
            ours: stored.record.genesis,
            theirs: session.genesis().to_owned(),
        }),
    }
}

/// A file with its deals as the book has them.
pub fn placed(book: &super::Book, stored: &StoredFile) -> Result<Placement, ClientError> {
    let mut placement = Placement::new(stored.record.clone(), &stored.manifest, now_ms());
    let data: Vec<_> = placement.pieces().iter().map(|piece| piece.names.data_cid).collect();
    for data in data {
        for record in book.of_data(&data)? {
            placement.take(&record);
        }
    }
    Ok(placement)
}

/// Gives a file up: no more deals are made, those under way are abandoned, and complete ones stay.
pub async fn abandon(session: &Session, id: &str) -> Result<Placement, ClientError> {
    let (mut stored, _lock) = taken(session, id)?;
    let progress = FileProgress::of(&placed(&session.book, &stored)?);
    let given_up = stored.record.clone().abandoned(&progress);
    stored.record = given_up.map_err(|reason| ClientError::FileKept {
        file: stored.record.id.clone(),
        reason,
    })?;
    session.book.save_file(&stored.record, None)?;
    let quiet = session.reporting(session.report.of_part());
    for record in session.book.deals_of_file(&stored.record.id)? {
        if !record.is_settled() {
            super::storing::abandon(&quiet, &record).await?;
        }
    }
    placed(&session.book, &stored)
}
