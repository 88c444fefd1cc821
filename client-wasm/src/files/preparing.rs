//! What is asked before a file is kept: which sectors it is cut for, its manifest, and what it costs.

use crate::engine::Engine;
use crate::error::ClientError;
use crate::offer;
use crate::public_types::FilesQuote;
use cid::Cid;
use serde::Deserialize;
use shared::chain::{Address, AttoFil, Epoch};
use shared::client::files::{self, FileOrder, MinerChoice, SectorError};
use shared::client::offer::PieceNames;
use shared::client::{MinerOffer, OfferError};
use shared::deal::DraftError;
use shared::file::{FileEntry, FilePiece, Manifest, RelativePath};
use shared::piece::{Commitment, SectorSize};

use crate::offer::Wanted;

/// What the page wants of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderRequest {
    copies: u32,
    /// An address, or the name of a rule.
    miner: String,
    duration: u64,
    #[serde(default)]
    most: Option<AttoFil>,
    #[serde(default)]
    repair: bool,
    #[serde(default)]
    with_manifest: bool,
    #[serde(default)]
    allow_duplicates: bool,
}

impl OrderRequest {
    pub fn read(self) -> Result<FileOrder, ClientError> {
        let order = FileOrder {
            copies: self.copies,
            miner: match Wanted::parse(&self.miner)? {
                Wanted::Miner(miner) => MinerChoice::Named(miner),
                Wanted::Rule(rule) => MinerChoice::Rule(rule),
            },
            duration: self.duration,
            most: self.most,
            repair: self.repair,
            with_manifest: self.with_manifest,
            allow_duplicates: self.allow_duplicates,
        };
        order.check().map_err(|e| argument("the order", e))?;
        Ok(order)
    }
}

fn argument(what: &'static str, error: impl std::fmt::Display) -> ClientError {
    ClientError::Argument {
        what,
        reason: error.to_string(),
    }
}

/// Files that are to be stored, before they are hashed.
#[derive(Debug, Deserialize)]
pub struct Plan {
    /// The folder's name; of a single file there is none.
    #[serde(default)]
    folder: Option<String>,
    paths: Vec<String>,
    /// Bytes of the largest.
    largest: u64,
    order: OrderRequest,
}

/// Which sectors files are cut for; refuses names that no manifest may have before a byte is read.
pub async fn plan(engine: &Engine, plan: Plan) -> Result<SectorSize, ClientError> {
    // For how long they are to be stored is not known yet, and nothing here depends on it.
    let duration = plan.order.duration.max(1);
    let order = OrderRequest { duration, ..plan.order }.read()?;
    let entries = plan.paths.iter().map(|path| empty(path)).collect::<Result<_, _>>()?;
    manifest_of(plan.folder.as_deref(), entries)?;
    let (miners, height) = engine.choosable(order.named()).await?;
    let own = engine.payer.clone();
    Ok(files::sector_for(&miners, &own, height, &order, plan.largest)?)
}

/// A file of this path without bytes: for rules about paths alone.
fn empty(path: &str) -> Result<FileEntry, ClientError> {
    let path = RelativePath::parse(path).map_err(|e| argument("the files", e))?;
    let root = shared::piece::node::raw_cid(&[]);
    FileEntry::new(path, 0, root, Vec::new()).map_err(|e| argument("the files", e))
}

fn manifest_of(folder: Option<&str>, mut entries: Vec<FileEntry>) -> Result<Manifest, ClientError> {
    let manifest = match (folder, entries.len()) {
        (None, 1) => Manifest::file(entries.remove(0)),
        (None, _) => return Err(argument("the files", "several files are a folder, which has a name")),
        (Some(folder), _) => {
            let name = RelativePath::parse(folder).map_err(|e| argument("the folder", e))?;
            Manifest::folder(name, entries)
        }
    };
    manifest.map_err(|e| argument("the files", e))
}

/// Files as they were hashed.
#[derive(Debug, Deserialize)]
pub struct Hashed {
    #[serde(default)]
    folder: Option<String>,
    files: Vec<HashedFile>,
}

#[derive(Debug, Deserialize)]
struct HashedFile {
    path: String,
    size: u64,
    root: String,
    pieces: Vec<HashedPiece>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedPiece {
    offset: u64,
    size: u64,
    data_cid: String,
    comm_p: Commitment,
}

/// The manifest of files that were hashed.
pub fn manifest(hashed: Hashed) -> Result<Manifest, ClientError> {
    let cid = |text: &str| Cid::try_from(text).map_err(|e| argument("the files", e));
    let piece = |piece: &HashedPiece| {
        Ok(FilePiece {
            offset: piece.offset,
            size: piece.size,
            data_cid: cid(&piece.data_cid)?,
            comm_p: piece.comm_p,
        })
    };
    let entry = |file: &HashedFile| {
        let path = RelativePath::parse(&file.path).map_err(|e| argument("the files", e))?;
        let pieces = file.pieces.iter().map(piece).collect::<Result<_, ClientError>>()?;
        FileEntry::new(path, file.size, cid(&file.root)?, pieces).map_err(|e| argument("the files", e))
    };
    let entries = hashed.files.iter().map(entry).collect::<Result<_, ClientError>>()?;
    manifest_of(hashed.folder.as_deref(), entries)
}

/// What keeping files costs, and why that is not possible if it is not.
pub async fn quote(engine: &Engine, manifest: &[u8], order: &FileOrder) -> Result<FilesQuote, ClientError> {
    let read = Manifest::read(manifest).map_err(|e| argument("the manifest", e))?;
    let (miners, height) = engine.choosable(order.named()).await?;
    let balance = offer::balance(&engine.rpc, &engine.payer).await?;
    let own = engine.payer.clone();
    let names = |piece: &FilePiece| PieceNames {
        data_cid: piece.data_cid,
        comm_p: piece.comm_p,
        size: piece.size,
    };
    let quote = match files::quote_manifest(&miners, &own, height, order, (&read, manifest)) {
        Ok(quote) => quote,
        Err(error) => return Ok(FilesQuote::none(ClientError::from(error).problem())),
    };
    let pieces = read.files().iter().flat_map(FileEntry::pieces);
    let largest = pieces.max_by_key(|piece| piece.size).map(names);
    let rehearsed = largest.map(|piece| rehearse(engine, miners, order, (piece, height)));
    let funds = DraftError::Funds {
        cost: quote.least,
        balance,
    };
    let problem = match rehearsed {
        Some(Err(error)) => Some(error),
        _ if balance < quote.least => Some(funds.into()),
        _ => None,
    };
    Ok(FilesQuote {
        pieces: quote.pieces,
        deals: quote.deals,
        least: quote.least,
        most: quote.most,
        miners: quote.miners,
        problem: problem.map(|error| error.problem()),
    })
}

/// The miners' own rules, on the largest piece: whether one of those that could take it would not refuse it.
fn rehearse(
    engine: &Engine,
    miners: Vec<shared::chain::view::MinerView>,
    order: &FileOrder,
    (piece, height): (PieceNames, Epoch),
) -> Result<(), ClientError> {
    let own: Address = engine.payer.clone();
    let offers = match order.named() {
        Some(named) => Vec::from([MinerOffer::named(miners, named, None, piece.size, height)?]),
        None => MinerOffer::fitting(miners, &own, piece.size, height)?,
    };
    let mut refusal = None;
    for offer in offers {
        let draft = offer.draft(piece.clone(), own.clone(), order.duration, height);
        // What the account holds is held against all deals together.
        match draft.rehearse(&engine.key, AttoFil(u128::MAX)) {
            Ok(()) => return Ok(()),
            Err(error) => refusal = Some(error),
        }
    }
    refusal.map_or(Err(OfferError::NoMiners.into()), |error| Err(error.into()))
}

impl From<SectorError> for ClientError {
    fn from(error: SectorError) -> Self {
        match error {
            SectorError::Offer(error) => error.into(),
            error => argument("the number of copies", error),
        }
    }
}
