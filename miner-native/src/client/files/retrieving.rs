//! Bringing a file or folder back: its pieces side by side, each from whoever has a copy, checked on arrival and as a whole.
//!
//! Nobody is trusted: a piece is what its root says, the file is what its root says, and the manifest is what the file's id says. A
//! manifest comes from anybody, so that what it names is written below the chosen folder and nowhere else, and into nothing that is there.

mod parts;

pub use parts::retrieve_range;

use super::decrypting::{self, Opener, Opening};
use super::spool::{Memory, PieceSpool};
use crate::client::destination::{Destination, Spool};
use crate::client::error::ClientError;
use crate::client::fetching::{self, Holder, Sink};
use crate::client::report::{Gauge, Report};
use crate::client::Session;
use cid::Cid;
use futures::StreamExt;
use sealdrop_miner::clock::now_ms;
use shared::chain::view::MinerView;
use shared::chain::Address;
use shared::client::files::{Placement, Standing};
use shared::client::offer::PieceNames;
use shared::client::retrieval::Search;
use shared::file::{Contents, FileEntry, FilePiece, FileSystem, Manifest, MAX_MANIFEST_BYTES};
use shared::piece::node::raw_cid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Pieces that are fetched at once: as many as a miner gives one peer.
const PIECES_AT_ONCE: usize = 4;
/// Files of a folder that are brought back at once: small ones are one piece each.
const FILES_AT_ONCE: usize = PIECES_AT_ONCE;
/// Times that all who have a piece are asked for it: a miner that gives four pieces at once refuses a fifth for a moment.
const TURNS: u32 = 3;
/// Between two of them.
const TURN_PAUSE: Duration = Duration::from_secs(2);
/// The rules of where files are written.
const PLACE: FileSystem = match (cfg!(windows), cfg!(target_os = "macos")) {
    (true, _) => FileSystem::Windows,
    (_, true) => FileSystem::CaseInsensitive,
    _ => FileSystem::CaseSensitive,
};

/// What is to be brought back.
pub struct Found {
    pub id: String,
    pub manifest: Manifest,
    /// Its copies as the book knows them, if it does.
    placement: Option<Placement>,
    /// What opens its files, where they are encrypted and come back as they were.
    opener: Option<Opener>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Back {
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    pub files: usize,
    /// Bytes that were written, or were there already.
    pub size: u64,
    /// Whether they were decrypted.
    pub decrypted: bool,
    /// Root of the file as it is stored; none of a folder.
    pub data_cid: Option<Cid>,
}

/// The file of this name: its id, or its root if the book knows it. A manifest that the book does not know is asked for at miners.
/// `None` when the name is nothing of that kind.
pub async fn find(
    session: &Session,
    name: &str,
    miner: Option<&Address>,
    opening: &Opening,
) -> Result<Option<Found>, ClientError> {
    let Some((id, manifest, placement)) = find_manifest(session, name, miner).await? else {
        return Ok(None);
    };
    let (manifest, opener) = decrypting::open((&session.book, &session.report), &id, manifest, opening)?;
    Ok(Some(Found {
        id,
        manifest,
        placement,
        opener,
    }))
}

async fn find_manifest(
    session: &Session,
    name: &str,
    miner: Option<&Address>,
) -> Result<Option<(String, Manifest, Option<Placement>)>, ClientError> {
    if let Some(stored) = session.book.find_file(name)? {
        let placement = match stored.record.genesis == session.genesis() {
            true => Some(super::placed(&session.book, &stored)?),
            false => None,
        };
        return Ok(Some((stored.record.id, stored.manifest, placement)));
    }
    let Some(id) = Cid::try_from(name).ok().filter(Manifest::is_id) else {
        return Ok(None);
    };
    session
        .report
        .note("the book does not know this file: asking miners for its manifest");
    let bytes = Pieces::new(session, None, miner).await?.manifest(&id).await?;
    let manifest = Manifest::read(&bytes)?;
    Ok(Some((id.to_string(), manifest, None)))
}

/// Brings all of it back: a file to a path, a folder's files below one.
pub async fn retrieve(
    session: &Session,
    found: &Found,
    output: PathBuf,
    miner: Option<&Address>,
) -> Result<Back, ClientError> {
    let manifest = &found.manifest;
    let pieces = Pieces::new(session, found.placement.as_ref(), miner).await?;
    let gauge = session.report.bytes("receiving", manifest.size());
    let progress = Progress {
        gauge: &gauge,
        done: AtomicU64::new(0),
    };
    let (size, data_cid) = match manifest.contents() {
        Contents::File(file) => {
            let size = alone(&pieces, (found, file), &output, &progress).await?;
            (size, Some(file.root()))
        }
        Contents::Folder(_) if output.as_os_str() == "-" => return Err(ClientError::FolderToStdout),
        Contents::Folder(folder) => {
            manifest.writable_on(PLACE)?;
            make_folder(&output)?;
            let files = folder.files().iter().enumerate();
            let work = files.map(|file| below(&pieces, (found, file), &output, &progress));
            let mut all = futures::stream::iter(work).buffered(FILES_AT_ONCE);
            let mut size = 0u64;
            while let Some(written) = all.next().await {
                size = size.saturating_add(written?);
            }
            (size, None)
        }
    };
    Ok(Back {
        id: found.id.clone(),
        path: output,
        files: manifest.files().len(),
        size,
        decrypted: found.opener.is_some(),
        data_cid,
    })
}

/// A file to where it was wanted; its bytes.
async fn alone(
    pieces: &Pieces<'_>,
    (found, file): (&Found, &FileEntry),
    output: &Path,
    progress: &Progress<'_>,
) -> Result<u64, ClientError> {
    let to = Destination::at(output.to_owned())?;
    let spool = spool_for(&to, output, file, &pieces.report)?;
    pieces.fill(file, &spool, progress).await?;
    let Some(opener) = &found.opener else {
        spool.keep(&to)?;
        return Ok(file.size());
    };
    let decryptor = opener.decryptor((0, file), &spool)?;
    sealdrop_database::blocking(|| {
        let mut written = Spool::create(&to)?;
        decrypting::decrypt_all((&decryptor, file), &spool, |bytes| written.write(bytes))?;
        written.keep()
    })?;
    spool.discard();
    Ok(decryptor.plain_len())
}

struct Progress<'a> {
    gauge: &'a Gauge,
    done: AtomicU64,
}

impl Progress<'_> {
    fn add(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        self.gauge.at(before.saturating_add(bytes));
    }
}

fn spool_for(to: &Destination, output: &Path, file: &FileEntry, report: &Report) -> Result<PieceSpool, ClientError> {
    match to.file() {
        Some(place) => PieceSpool::beside(place, &file.root(), file.size(), report),
        None => PieceSpool::unnamed(output, file.size()),
    }
}

/// The chosen folder, made if nothing is there. It may be a link that its user made.
fn make_folder(path: &Path) -> Result<(), ClientError> {
    if path.exists() && !path.is_dir() {
        return Err(ClientError::NotAFolder { path: path.to_owned() });
    }
    fs::create_dir_all(path).map_err(ClientError::file("create", path))
}

/// A file below the chosen folder, in folders that are folders and no links; its bytes.
async fn below(
    pieces: &Pieces<'_>,
    (found, (index, file)): (&Found, (usize, &FileEntry)),
    folder: &Path,
    progress: &Progress<'_>,
) -> Result<u64, ClientError> {
    let place = place_below(folder, file)?;
    let is_there = fs::symlink_metadata(&place).is_ok();
    let Some(opener) = &found.opener else {
        if is_there {
            // An earlier retrieval may have put it there.
            return match is_file(&place, file)? {
                true => {
                    progress.add(file.size());
                    Ok(file.size())
                }
                false => Err(ClientError::Exists { path: place }),
            };
        }
        let spool = PieceSpool::beside(&place, &file.root(), file.size(), &pieces.report)?;
        pieces.fill(file, &spool, progress).await?;
        spool.keep_new()?;
        return Ok(file.size());
    };
    let spool = PieceSpool::beside(&place, &file.root(), file.size(), &pieces.report)?;
    pieces.fill(file, &spool, progress).await?;
    let decryptor = opener.decryptor((index, file), &spool)?;
    let written = sealdrop_database::blocking(|| {
        if is_there {
            // Whether it is the same is only seen with the other at hand.
            return match decrypting::is_at(&place, (&decryptor, file), &spool)? {
                true => Ok(()),
                false => Err(ClientError::Exists { path: place.clone() }),
            };
        }
        // Under a name that no ciphertext's spool has.
        let name = raw_cid(file.root().to_string().as_bytes());
        let plain = PieceSpool::beside(&place, &name, decryptor.plain_len(), &pieces.report)?;
        let mut sink = plain.piece(0);
        decrypting::decrypt_all((&decryptor, file), &spool, |bytes| sink.write(bytes))?;
        plain.keep_new()
    });
    // What else hinders it may be over the next time, which goes on with the ciphertext.
    if matches!(written, Ok(()) | Err(ClientError::Exists { .. })) {
        spool.discard();
    }
    written.map(|()| decryptor.plain_len())
}

/// Where a file goes; the folders on the way are made.
fn place_below(folder: &Path, file: &FileEntry) -> Result<PathBuf, ClientError> {
    let mut place = folder.to_owned();
    let mut parts = file.path().parts().peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        if parts.peek().is_some() {
            match fs::create_dir(&place) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ClientError::file("create", place)(error)),
            }
            let found = fs::symlink_metadata(&place).map_err(ClientError::file("read", &place))?;
            if !found.is_dir() {
                return Err(ClientError::NotAFolder { path: place });
            }
        }
    }
    Ok(place)
}

/// Whether what is at a place is this file.
fn is_file(place: &Path, file: &FileEntry) -> Result<bool, ClientError> {
    let unreadable = || ClientError::file("read", place);
    let found = fs::symlink_metadata(place).map_err(unreadable())?;
    if !found.is_file() || found.len() != file.size() {
        return Ok(false);
    }
    if file.size() == 0 {
        return Ok(true);
    }
    let mut source = fs::File::open(place).map_err(unreadable())?;
    let summary = crate::client::source::digest_of(&mut source, place, |_, _| true)?;
    Ok(summary.data_cid == file.root())
}

/// Fetches a piece from the first of these miners that gives it.
pub(super) async fn from_one_of(
    session: &Session,
    holders: &[Address],
    piece: &PieceNames,
    spool: &PieceSpool,
) -> Result<(), ClientError> {
    let pieces = Pieces::new(session, None, None).await?;
    let mut reasons = Vec::new();
    for view in pieces.miners.iter().filter(|view| holders.contains(&view.address)) {
        let wanted = (piece.data_cid, Some(piece.size));
        match fetching::fetch_into(&pieces.session, wanted, &holder(view), &mut spool.piece(0)).await {
            Ok(_) => return Ok(()),
            Err(error) if fetching::is_the_miners(&error) => reasons.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Err(ClientError::NowhereFound {
        data: piece.data_cid,
        reasons: reasons.join("; "),
    })
}

fn holder(view: &MinerView) -> Holder {
    Holder {
        miner: view.address.clone(),
        peer: view.peer_id.clone(),
        usable: view.usable_bytes,
    }
}

/// Where pieces are, and how they are fetched.
struct Pieces<'a> {
    session: Session,
    /// What the session does not say by itself.
    report: Report,
    placement: Option<&'a Placement>,
    miners: Vec<MinerView>,
    /// The only one that is asked.
    miner: Option<&'a Address>,
    /// For the pieces of all files together.
    room: Semaphore,
}

impl<'a> Pieces<'a> {
    async fn new(
        session: &Session,
        placement: Option<&'a Placement>,
        miner: Option<&'a Address>,
    ) -> Result<Self, ClientError> {
        let miners = session.chain.miners().await.map_err(ClientError::chain)?;
        Ok(Self {
            session: session.reporting(session.report.silent()),
            report: session.report.clone(),
            placement,
            miners,
            miner,
            room: Semaphore::new(PIECES_AT_ONCE),
        })
    }

    /// Fills a file's spool and checks the whole.
    async fn fill(&self, file: &FileEntry, spool: &PieceSpool, progress: &Progress<'_>) -> Result<(), ClientError> {
        let mut missing = Vec::new();
        for piece in file.pieces() {
            match sealdrop_database::blocking(|| spool.has(piece.offset..piece.end(), &piece.data_cid))? {
                true => progress.add(piece.size),
                false => missing.push(piece),
            }
        }
        self.fetch_all(&missing, spool, progress).await?;
        if file.size() == 0 {
            return Ok(());
        }
        match sealdrop_database::blocking(|| spool.root(0..file.size()))? {
            Some(root) if root == file.root() => Ok(()),
            found => Err(ClientError::WrongRoot {
                expected: file.root(),
                found: found.map_or_else(|| "none".to_owned(), |found| found.to_string()),
            }),
        }
    }

    async fn fetch_all(
        &self,
        pieces: &[&FilePiece],
        spool: &PieceSpool,
        progress: &Progress<'_>,
    ) -> Result<(), ClientError> {
        let work = pieces.iter().enumerate().map(|(index, piece)| async move {
            self.fetch(index, piece, spool).await?;
            progress.add(piece.size);
            Ok::<_, ClientError>(())
        });
        let mut all = futures::stream::iter(work).buffer_unordered(PIECES_AT_ONCE);
        while let Some(fetched) = all.next().await {
            fetched?;
        }
        Ok(())
    }

    /// Fetches one piece, from the first of its holders that gives it.
    async fn fetch(&self, index: usize, piece: &FilePiece, spool: &PieceSpool) -> Result<(), ClientError> {
        // It is never closed.
        let _room = self.room.acquire().await;
        let holders = self.holders(index, &piece.data_cid, piece.size);
        let (mut reasons, mut search) = (BTreeMap::new(), Search::new(now_ms()));
        for turn in 0..TURNS {
            if turn > 0 {
                tokio::time::sleep(TURN_PAUSE).await;
            }
            for holder in &holders {
                if !search.goes_on(now_ms()) {
                    break;
                }
                let mut sink = spool.piece(piece.offset);
                let wanted = (piece.data_cid, Some(piece.size));
                match fetching::fetch_into(&self.session, wanted, holder, &mut sink).await {
                    Ok(_) => return Ok(()),
                    Err(error) if fetching::is_the_miners(&error) => {
                        reasons.insert(holder.miner.to_string(), error.to_string());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(ClientError::NowhereFound {
            data: piece.data_cid,
            reasons: reasons.into_values().collect::<Vec<_>>().join("; "),
        })
    }

    /// The bytes of a manifest, in memory.
    async fn manifest(&self, id: &Cid) -> Result<Vec<u8>, ClientError> {
        let mut reasons = Vec::new();
        let mut search = Search::new(now_ms());
        for mut holder in self.holders(0, id, 1) {
            if !search.goes_on(now_ms()) {
                break;
            }
            holder.usable = holder.usable.min(MAX_MANIFEST_BYTES as u64);
            let mut memory = Memory::default();
            match fetching::fetch_into(&self.session, (*id, None), &holder, &mut memory).await {
                Ok(_) => return Ok(memory.bytes),
                Err(error) if fetching::is_the_miners(&error) => reasons.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Err(ClientError::NowhereFound {
            data: *id,
            reasons: reasons.join("; "),
        })
    }

    /// Who may have a piece: those that keep a copy, in another order for each piece; then those that are to have one, and all others.
    fn holders(&self, turn: usize, data: &Cid, size: u64) -> Vec<Holder> {
        let mut order: Vec<Address> = self.miner.into_iter().cloned().collect();
        if self.miner.is_none() {
            let copies = self.copies(data);
            let by = |standing: fn(&Standing) -> bool| {
                let found = copies.iter().filter(move |(_, known)| standing(known));
                found.map(|(miner, _)| miner.clone()).collect::<Vec<_>>()
            };
            let mut kept = by(|standing| *standing == Standing::Kept);
            let count = kept.len().max(1);
            kept.rotate_left(turn % count);
            order.extend(kept);
            order.extend(by(|standing| {
                matches!(standing, Standing::UnderWay { .. } | Standing::Lost)
            }));
            order.extend(self.miners.iter().map(|view| view.address.clone()));
        }
        let mut seen = BTreeSet::new();
        let once = order.into_iter().filter(|miner| seen.insert(miner.clone()));
        let view = |miner: Address| self.miners.iter().find(|view| view.address == miner);
        let fitting = once.filter_map(view).filter(|view| size <= view.usable_bytes);
        fitting.map(holder).collect()
    }

    fn copies(&self, data: &Cid) -> Vec<(Address, Standing)> {
        let placed = self.placement.and_then(|placement| {
            let index = placement.piece_of(data)?;
            placement.pieces().get(index)
        });
        let copies = placed.map_or(&[][..], |piece| piece.copies());
        copies.iter().map(|copy| (copy.miner.clone(), copy.standing)).collect()
    }
}
