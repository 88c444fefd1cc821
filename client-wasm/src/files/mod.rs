//! Files of any size in this browser: the placements of those that are carried on, and the next deal that one of them needs.
//!
//! How many deals, with whom, and when it is enough is decided by [`shared::client::files`]. Here a deal is drawn up with chain and miners
//! ([`next_deal`]); bytes and records are kept by the network worker (`js/folders.ts`), which asks again after everything that changed.
//! What the page asks before anything is kept (sectors, manifest, quote) is in [`preparing`]; what it calls, in [`calls`].

mod calls;
mod drilling;
mod manifests;
mod preparing;

use calls::{file_text, read_manifest};
pub(crate) use calls::{limit, object};

use crate::choosing::{self, Question};
use crate::clock;
use crate::engine::Engine;
use crate::error::ClientError;
use crate::offer::{self, Drafted};
use crate::record::{NamedFile, Record};
use shared::chain::view::MinerView;
use shared::chain::{Address, Epoch};
use shared::client::files::{FileRecord, FileView, GivenUp, PieceSource, PieceView, Placement, Standing};
use shared::client::{Choice, OfferError};
use shared::deal::{ClientDeal, DraftError};
use shared::file::Manifest;
use shared::piece::PieceDigest;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How often no miner may take a piece while none is under way, before it is set aside: with the worker's pause of 5 s, five minutes, in
/// which a miner restarts or makes room.
const MAX_REFUSALS: u32 = 60;

/// The files that are carried on.
#[derive(Default)]
pub struct Files(RefCell<BTreeMap<String, OpenFile>>);

/// A file with its deals.
pub struct OpenFile {
    placement: Placement,
    manifest: Manifest,
    /// How often in a row no miner took a piece.
    refusals: u32,
}

/// A deal that was drawn up and is to be kept before anything is done for it.
pub struct Drawn {
    pub record: Record,
    pub source: PieceSource,
}

/// What came of the question for a file's next deal.
pub enum Turn {
    Deal(Box<Drawn>),
    /// There will be one later.
    Wait,
    /// There is none now.
    Rest,
    /// There will be none, for this reason, which is to be kept.
    Stop(Box<FileRecord>),
}

impl OpenFile {
    pub fn new(record: FileRecord, manifest: Manifest, now_ms: u64) -> Self {
        Self {
            placement: Placement::new(record, &manifest, now_ms),
            manifest,
            refusals: 0,
        }
    }

    /// Takes a deal as it is now; whether it is about the file.
    pub fn take(&mut self, record: &Record) -> bool {
        self.placement.take(record)
    }

    pub fn view(&self) -> FileView {
        FileView::of(&self.placement)
    }

    pub fn pieces(&self) -> Vec<PieceView> {
        PieceView::all(&self.placement)
    }

    fn is_busy(&self) -> bool {
        let copies = self.placement.pieces().iter().flat_map(|piece| piece.copies());
        let mut own = copies.filter(|copy| copy.is_of(self.placement.file()) && !self.placement.rests(&copy.deal));
        own.any(|copy| matches!(copy.standing, Standing::UnderWay { .. }))
    }

    /// What a piece's deal is called in the book.
    fn name_of(&self, source: PieceSource) -> String {
        let PieceSource::File { file, offset } = source else {
            return format!("{} (manifest)", self.placement.file().name);
        };
        let Some(entry) = self.manifest.files().get(file) else {
            return self.placement.file().name.clone();
        };
        let count = entry.pieces().len();
        let place = entry.pieces().partition_point(|piece| piece.offset < offset);
        match count {
            1 => entry.path().as_str().to_owned(),
            count => format!("{} (part {} of {count})", entry.path().as_str(), place + 1),
        }
    }
}

impl Files {
    pub fn open(&self, id: String, file: OpenFile) {
        self.0.borrow_mut().insert(id, file);
    }

    pub fn close(&self, id: &str) {
        self.0.borrow_mut().remove(id);
    }

    /// Works on a file that is carried on here.
    pub fn with<T>(&self, id: &str, work: impl FnOnce(&mut OpenFile) -> T) -> Option<T> {
        self.0.borrow_mut().get_mut(id).map(work)
    }

    /// Takes a deal as it is now; the files that it is about.
    pub fn take(&self, record: &Record) -> Vec<String> {
        let mut files = self.0.borrow_mut();
        let about = files
            .iter_mut()
            .filter_map(|(id, file)| file.take(record).then(|| id.clone()));
        about.collect()
    }

    /// A deal is not carried on here: no file waits for it.
    pub fn rest(&self, deal: &str) {
        self.0
            .borrow_mut()
            .values_mut()
            .for_each(|file| file.placement.rest(deal));
    }

    /// The deals of all files with each miner, without those that have failed.
    fn counts(&self) -> BTreeMap<Address, usize> {
        let mut counts = BTreeMap::new();
        let files = self.0.borrow();
        let copies = files
            .values()
            .flat_map(|file| file.placement.pieces())
            .flat_map(|piece| piece.copies());
        for copy in copies.filter(|copy| !matches!(copy.standing, Standing::Failed(_))) {
            *counts.entry(copy.miner.clone()).or_default() += 1;
        }
        counts
    }
}

fn gone() -> ClientError {
    ClientError::Aborted
}

/// Draws the next deal of a file up, with the local id `deal`.
pub async fn next_deal(engine: &Rc<Engine>, id: &str, deal: &str) -> Result<Turn, ClientError> {
    loop {
        let files = &engine.files;
        let next = files.with(id, |file| match file.placement.file().stopped {
            None => file.placement.next_need(),
            Some(_) => None,
        });
        let Some((index, needed)) = next.ok_or_else(gone)? else {
            return files.with(id, rest).ok_or_else(gone);
        };
        let named = files.with(id, |file| file.placement.file().order.named().cloned());
        let (miners, height) = engine.choosable(named.flatten().as_ref()).await?;
        let own = engine.payer.clone();
        let found = files.with(id, |file| {
            file.placement.candidates((index, &needed), &miners, &own, height)
        });
        let drawn = match found.ok_or_else(gone)? {
            Ok(candidates) => draw(engine, (id, deal), index, candidates, height).await,
            Err(reason) => Ok(Err(reason)),
        };
        match drawn {
            Ok(Ok(drawn)) => {
                files.with(id, |file| file.refusals = 0);
                return Ok(Turn::Deal(Box::new(drawn)));
            }
            Ok(Err(reason)) => {
                files.with(id, |file| file.placement.set_aside(index, reason));
            }
            Err(ClientError::Offer(OfferError::NoneTakes { reasons, .. })) => {
                let later = files.with(id, |file| {
                    file.refusals += 1;
                    let later = file.is_busy() || file.refusals < MAX_REFUSALS;
                    if !later {
                        file.placement.set_aside(index, GivenUp::NoMiner { reason: reasons });
                    }
                    later
                });
                if later.ok_or_else(gone)? {
                    return Ok(Turn::Wait);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// There is no next deal: whether that is for good.
fn rest(file: &mut OpenFile) -> Turn {
    // A no holds over the next visit, too, whatever else is still under way.
    let is_final = |reason: &GivenUp| *reason == GivenUp::Declined || !file.is_busy();
    let shortfall = file.placement.shortfall().filter(|(reason, _)| is_final(reason));
    let record = file.placement.file();
    match shortfall {
        Some((reason, pieces)) if record.stopped.is_none() => {
            let mut record = record.clone();
            record.stopped = Some(match pieces {
                1 => reason.to_string(),
                more => format!("{reason} (and {} more pieces)", more - 1),
            });
            file.placement.renew(record.clone());
            Turn::Stop(Box::new(record))
        }
        _ => Turn::Rest,
    }
}

/// Draws a deal about one piece up, with one of `candidates`.
async fn draw(
    engine: &Rc<Engine>,
    (id, deal): (&str, &str),
    index: usize,
    candidates: Vec<MinerView>,
    height: Epoch,
) -> Result<Result<Drawn, GivenUp>, ClientError> {
    let known = engine.files.with(id, |file| {
        let piece = file.placement.pieces().get(index)?;
        let order = file.placement.file().order.clone();
        Some((piece.names.clone(), piece.source, order, file.name_of(piece.source)))
    });
    let (names, source, order, name) = known.flatten().ok_or_else(gone)?;
    let question = Question {
        rule: order.rule(),
        size: names.size,
        duration: order.duration,
        deals: engine.files.counts(),
    };
    let Choice { offer, by_rule } = choosing::choose_among(engine, question, candidates, height).await?;
    let draft = offer.draft(names, engine.payer.clone(), order.duration, height);
    let total = draft.total().unwrap_or_default();
    let affords = engine.files.with(id, |file| file.placement.affords(total));
    if let Err(reason) = affords.ok_or_else(gone)? {
        return Ok(Err(reason));
    }
    let drafted = Drafted {
        peer_id: offer.view.peer_id,
        draft,
    };
    match offer::check_and_reach(engine, &drafted).await {
        Ok(()) => {}
        // Its rules do not change while it is tried again.
        Err(
            error @ ClientError::Draft(
                DraftError::Rejected(_) | DraftError::Schedule(_) | DraftError::ProposalTooLarge { .. },
            ),
        ) => {
            let reason = error.to_string();
            return Ok(Err(GivenUp::NoMiner { reason }));
        }
        Err(error) => return Err(error),
    }
    let genesis = engine.rpc.network().await?.genesis;
    let file = NamedFile {
        name,
        kind: String::new(),
    };
    let deal_of = ClientDeal::new(drafted.draft);
    let mut record = Record::new(
        deal.to_owned(),
        clock::now() as u64,
        genesis,
        drafted.peer_id,
        file,
        deal_of,
    );
    record.by_rule = order.named().is_none().then_some(by_rule);
    record.part_of = Some(id.to_owned());
    Ok(Ok(Drawn { record, source }))
}

/// What the bytes of a manifest need to be served.
fn nodes_of_manifest(bytes: &[u8]) -> Result<Vec<(cid::Cid, Vec<u8>)>, ClientError> {
    let mut digest = PieceDigest::new();
    let failed = |reason: String| ClientError::Internal(format!("a manifest cannot be hashed: {reason}"));
    digest.push(bytes).map_err(|e| failed(e.to_string()))?;
    Ok(digest.finish().map_err(|e| failed(e.to_string()))?.nodes)
}
