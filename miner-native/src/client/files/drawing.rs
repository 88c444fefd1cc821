//! One deal about a piece of a file, drawn up: with whom, and reviewed before anything is paid ([`crate::client::proposing`] does it for a
//! file that is one deal).

use super::retrieving;
use super::spool::PieceSpool;
use crate::client::book::{self, FilePart, KeyPlace, LocalFile, Record};
use crate::client::cli_host::fits;
use crate::client::error::ClientError;
use crate::client::source::FileFacts;
use crate::client::stored_files::{FileSource, StoredFile};
use crate::client::{miner_offers, proposing, Session};
use cid::Cid;
use shared::chain::view::MinerView;
use shared::chain::{Address, Epoch};
use shared::client::duplicates::Duplicates;
use shared::client::files::{FileOrder, PieceSource, PlacedPiece};
use shared::client::offer::PieceNames;
use shared::client::{Choice, MinerOffer};
use shared::deal::{ClientDeal, DraftError};
use shared::piece::PieceDigest;
use shared::wire::cbor::Bytes;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// What a deal is drawn up of.
pub(super) struct Drawing<'a> {
    /// Draws without a word: whoever shows the whole says what is worth it.
    pub session: &'a Session,
    pub file: String,
    pub order: FileOrder,
    pub duplicates: Duplicates,
    pub piece: PieceNames,
    pub place: LocalFile,
    /// Miners that keep a copy, from whom the bytes come where they are not here any more.
    pub holders: Vec<Address>,
    pub candidates: Vec<MinerView>,
    pub height: Epoch,
    /// This client's deals with each miner, as far as the rule goes by them.
    pub deals: BTreeMap<Address, usize>,
    /// Before miners are asked again that have refused a moment ago.
    pub pause: Duration,
}

impl Drawing<'_> {
    /// Draws the deal up with the first candidate that takes it; nothing is paid, sent or kept yet.
    pub async fn draw(self) -> Result<Record, ClientError> {
        tokio::time::sleep(self.pause).await;
        let place = self.bytes().await?;
        let (session, piece, order) = (self.session, self.piece, &self.order);
        let wrong = |error| ClientError::offer(error, session.chain.url(), &place.facts.path);
        let (offer, by_rule) = match order.named() {
            Some(miner) => {
                let named = MinerOffer::named(self.candidates, miner, None, piece.size, self.height);
                (named.map_err(wrong)?, None)
            }
            None => {
                let wanted = (order.rule(), piece.size, order.duration);
                let among = (self.candidates, self.height);
                let chosen = miner_offers::choose_among(session, among, wanted, &self.deals).await;
                let Choice { offer, by_rule } = chosen.map_err(wrong)?;
                (offer, Some(by_rule))
            }
        };
        let (offer, start) = miner_offers::renewed(session, &offer, &place.facts).await?;
        let draft = offer.draft(piece, session.account.address(), order.duration, start);
        if [&draft.owner, &draft.worker].contains(&&draft.payer) {
            return Err(DraftError::SelfDeal.into());
        }
        proposing::refuse_duplicates(session, &draft, self.duplicates)?;
        proposing::check(session, &draft).await?;
        let (id, created_ms) = book::new_id();
        let (peer, genesis) = (offer.view.peer_id.clone(), session.genesis().to_owned());
        let mut record = Record::new(id, created_ms, genesis, peer, place, ClientDeal::new(draft));
        record.by_rule = by_rule;
        record.part_of = Some(self.file);
        Ok(record)
    }

    /// Where the piece's bytes are: in the file, if it is still the same there, and else fetched from who keeps a copy.
    async fn bytes(&self) -> Result<LocalFile, ClientError> {
        let (place, report) = (&self.place, &self.session.report);
        let now = FileFacts::of_any(&place.facts.path).ok();
        if now.as_ref() == Some(&place.facts) {
            return Ok(place.clone());
        }
        let key = self.session.book.key_of(place)?;
        if let Some(facts) = now.filter(|now| fits(&place.range(), key.as_deref(), now.size)) {
            // Copied back or touched, these may still be the same bytes.
            let found = facts.digest_part((place.range(), key), report, &self.file).await?;
            if found.data_cid == self.piece.data_cid {
                return Ok(LocalFile { facts, ..place.clone() });
            }
        }
        match self.holders.is_empty() {
            true => Err(place.facts.changed(&self.file)),
            false => self.fetched().await,
        }
    }

    async fn fetched(&self) -> Result<LocalFile, ClientError> {
        let folder = self.session.book.fetched_pieces();
        fs::create_dir_all(&folder).map_err(ClientError::file("create", &folder))?;
        let path = folder.join(self.piece.data_cid.to_string());
        if !path.exists() {
            let spool = PieceSpool::beside(&path, &self.piece.data_cid, self.piece.size, &self.session.report)?;
            retrieving::from_one_of(self.session, &self.holders, &self.piece, &spool).await?;
            spool.keep_new()?;
        }
        let facts = FileFacts::of(&path)?;
        let found = facts.digest(&self.session.report, &self.file).await?;
        if found.data_cid != self.piece.data_cid {
            // It is fetched anew the next time.
            let _ = fs::remove_file(&path);
            return Err(facts.changed(&self.file));
        }
        Ok(LocalFile {
            facts,
            part: None,
            key: None,
            nodes: found.nodes.into_iter().map(|(_, bytes)| Bytes(bytes)).collect(),
        })
    }
}

/// Removes pieces that were fetched for repair and that no deal needs any more. What hinders it is left for the next time.
pub(super) fn remove_fetched(session: &Session) -> Result<(), ClientError> {
    let Ok(found) = fs::read_dir(session.book.fetched_pieces()) else {
        return Ok(());
    };
    for entry in found.flatten() {
        let data = entry.file_name().to_str().and_then(|name| Cid::try_from(name).ok());
        let Some(data) = data else {
            continue;
        };
        let needed = session.book.of_data(&data)?.iter().any(Record::needs_file);
        if !needed {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Where the bytes of a piece are here.
pub(super) fn place_of(
    session: &Session,
    stored: &StoredFile,
    sources: &[FileSource],
    piece: &PlacedPiece,
) -> Result<LocalFile, ClientError> {
    match piece.source {
        PieceSource::Manifest => manifest_file(&session.book.manifests(), stored),
        PieceSource::File { file, offset } => {
            let lost = || ClientError::UnknownFile(stored.record.id.clone());
            let (source, entry) = (sources.get(file), stored.manifest.files().get(file));
            let (source, entry) = source.zip(entry).ok_or_else(lost)?;
            let index = entry.pieces().partition_point(|found| found.offset < offset);
            let size = piece.names.size;
            let key = stored.record.encryption.map(|_| KeyPlace {
                file: stored.record.id.clone(),
                index: file as u64,
            });
            let whole = key.is_none() && (offset, size) == (0, source.facts.size);
            Ok(LocalFile {
                facts: source.facts.clone(),
                part: (!whole).then_some(FilePart { offset, size }),
                key,
                nodes: source.nodes.get(index).cloned().unwrap_or_default(),
            })
        }
    }
}

/// The manifest as a file that can be served; it is on the disk when this returns.
fn manifest_file(folder: &Path, stored: &StoredFile) -> Result<LocalFile, ClientError> {
    let path = folder.join(format!("{}.manifest", stored.record.id));
    let bytes = &stored.manifest_bytes;
    if fs::read(&path).ok().as_ref() != Some(bytes) {
        fs::create_dir_all(folder).map_err(ClientError::file("create", folder))?;
        let written = File::create(&path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        written.map_err(ClientError::file("write", &path))?;
    }
    let refused = |source| ClientError::Digest {
        path: path.clone(),
        source,
    };
    let mut digest = PieceDigest::new();
    digest.push(bytes).map_err(refused)?;
    let found = digest.finish().map_err(refused)?;
    Ok(LocalFile {
        facts: FileFacts::of(&path)?,
        part: None,
        key: None,
        nodes: found.nodes.into_iter().map(|(_, bytes)| Bytes(bytes)).collect(),
    })
}
