//! A file as both clients show it: the whole in a few numbers, and each of its pieces with its copies.

use super::copies::{Copy, Failure, Standing};
use super::placement::{PieceSource, Placement};
use super::record::Encryption;
use crate::chain::{Address, AttoFil, Epoch};
use crate::piece::PieceCid;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Serialize;

/// How a file is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// Deals are being made or carried on, or will be when somebody goes on with it.
    UnderWay,
    /// As many copies of every piece are kept as were ordered.
    Kept,
    /// Every piece is kept, but not as often as was ordered, and no more deals are made.
    Incomplete,
    /// A piece is not kept at all, and no more deals are made.
    Failed,
    /// Its user gave it up before all of it was kept; what is kept stays.
    Abandoned,
    /// Its time is over: no miner has to keep it any more. Said where the chain's height is known.
    Ended,
}

impl FileState {
    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnderWay => "under-way",
            Self::Kept => "kept",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Ended => "ended",
        }
    }
}

/// How far a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileProgress {
    pub state: FileState,
    /// Different pieces.
    pub pieces: u64,
    /// Copies of all pieces together that were ordered. A copy is a miner, however many deals it has about a piece.
    pub copies_wanted: u64,
    pub copies_kept: u64,
    pub copies_under_way: u64,
    /// Copies that are lost.
    pub copies_lost: u64,
    /// Deals that were refused or failed.
    pub deals_failed: u64,
    /// Bytes that miners have to fetch for all copies together.
    pub bytes: u64,
    /// Bytes of these that they have fetched.
    pub transferred: u64,
    /// FIL that the file's deals have committed.
    pub committed: AttoFil,
}

/// A copy of a piece, or a deal that has failed to become one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CopyView {
    /// The deal's local id.
    pub deal: String,
    /// CID of the signed proposal, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deal_cid: Option<String>,
    /// The miner's address.
    pub miner: String,
    pub state: CopyState,
    /// Whether the deal was made for another purpose, and counts all the same.
    pub shared: bool,
    /// When it was last fetched from to see whether it comes back; absent while it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<CheckView>,
}

/// A copy's last drill.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckView {
    /// Milliseconds since 1970.
    pub at: u64,
    /// Whether it came back.
    pub passed: bool,
}

/// How a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CopyState {
    UnderWay,
    Kept,
    Refused,
    Failed,
    Lost,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PieceView {
    /// Index of the file in the manifest that it is first found in; absent of the manifest itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<u64>,
    /// Where it begins in that file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    pub data_cid: String,
    pub piece_cid: String,
    pub copies: Vec<CopyView>,
    /// Why no more deals are made of it at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A file with all that is known of it here.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileView {
    /// Its manifest's CID: what gets it back.
    pub file: String,
    /// Name of the file or folder.
    pub name: String,
    pub folder: bool,
    /// Bytes, as they are stored: of what is encrypted, of the ciphertexts.
    pub size: u64,
    /// Of what is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Milliseconds since 1970.
    pub created_at: u64,
    /// Copies that were ordered.
    pub copies: u32,
    /// Blocks that each deal lasts.
    pub duration: u64,
    /// The block at which its time is over.
    pub ends: u64,
    /// FIL that all deals together may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<AttoFil>,
    pub progress: FileProgress,
    /// Why no more deals are made for it, although not all that was ordered is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

impl FileProgress {
    /// How far the file is whose deals were taken in.
    pub fn of(placement: &Placement) -> Self {
        let file = placement.file();
        let copies = u64::from(file.order.copies);
        let mut progress = Self {
            state: FileState::Kept,
            pieces: placement.pieces().len() as u64,
            copies_wanted: copies.saturating_mul(placement.pieces().len() as u64),
            copies_kept: 0,
            copies_under_way: 0,
            copies_lost: 0,
            deals_failed: 0,
            bytes: 0,
            transferred: 0,
            committed: placement.committed(),
        };
        let (mut least, mut all) = (u64::MAX, true);
        for piece in placement.pieces() {
            let size = piece.names.size;
            let kept = progress.count(piece.copies(), placement, size);
            (least, all) = (least.min(kept), all && kept >= copies);
            progress.bytes = progress.bytes.saturating_add(size.saturating_mul(copies));
        }
        progress.transferred = progress.transferred.min(progress.bytes);
        let stopped = progress.copies_under_way == 0 && placement.stopped().is_some();
        progress.state = match (all, stopped) {
            (true, _) => FileState::Kept,
            (false, false) => FileState::UnderWay,
            (false, true) if file.is_abandoned() => FileState::Abandoned,
            (false, true) if least > 0 => FileState::Incomplete,
            (false, true) => FileState::Failed,
        };
        progress
    }

    /// Counts a piece's copies; how many are kept. Each miner is one, as the best of its deals.
    fn count(&mut self, copies: &[Copy], placement: &Placement, size: u64) -> u64 {
        let file = placement.file();
        let (mut seen, wanted) = (BTreeSet::<&Address>::new(), u64::from(file.order.copies));
        let mut kept = 0u64;
        for copy in copies {
            let is_kept = copy.standing == Standing::Kept && copy.counts_for(file);
            if is_kept && seen.insert(&copy.miner) {
                kept = kept.saturating_add(1);
            }
        }
        for copy in copies {
            let under_way = matches!(copy.standing, Standing::UnderWay { .. }) && copy.counts_for(file);
            if under_way && seen.insert(&copy.miner) {
                self.copies_under_way = self.copies_under_way.saturating_add(1);
                self.transferred = self.transferred.saturating_add(copy.transferred.min(size));
            }
        }
        for copy in copies {
            let is_lost = copy.standing == Standing::Lost && !copy.had_ended(file);
            if is_lost && seen.insert(&copy.miner) {
                self.copies_lost = self.copies_lost.saturating_add(1);
            }
            if matches!(copy.standing, Standing::Failed(_)) && copy.is_of(file) {
                self.deals_failed = self.deals_failed.saturating_add(1);
            }
        }
        // More than was ordered does not make up for another piece.
        let counted = kept.min(wanted);
        self.copies_kept = self.copies_kept.saturating_add(counted);
        self.transferred = self.transferred.saturating_add(counted.saturating_mul(size));
        kept
    }
}

impl FileView {
    /// What is shown of a file.
    pub fn of(placement: &Placement) -> Self {
        let (file, progress) = (placement.file(), FileProgress::of(placement));
        let is_kept = progress.state == FileState::Kept;
        Self {
            file: file.id.clone(),
            name: file.name.clone(),
            folder: file.folder,
            size: file.size,
            encryption: file.encryption,
            created_at: file.created_ms,
            copies: file.order.copies,
            duration: file.order.duration,
            ends: file.ends.0,
            most: file.order.most,
            progress,
            stopped: placement.stopped().filter(|_| !is_kept),
        }
    }

    /// The same at this height of the chain, where its time may be over.
    pub fn at(mut self, height: Epoch) -> Self {
        let was_stored = match self.progress.state {
            FileState::Kept | FileState::Incomplete => true,
            FileState::Abandoned => self.progress.copies_kept > 0,
            FileState::UnderWay | FileState::Failed | FileState::Ended => false,
        };
        if was_stored && self.ends <= height.0 {
            self.progress.state = FileState::Ended;
        }
        self
    }
}

impl PieceView {
    /// All pieces of a file, in the order in which they are placed.
    pub fn all(placement: &Placement) -> Vec<Self> {
        let file = placement.file();
        let copy = |copy: &Copy| CopyView {
            deal: copy.deal.clone(),
            deal_cid: copy.cid.clone(),
            miner: copy.miner.to_string(),
            state: copy.standing.into(),
            shared: !copy.is_of(file),
            checked: file.drills.last_check(&copy.deal).map(|check| CheckView {
                at: check.at_ms,
                passed: check.passed,
            }),
        };
        let view = placement.pieces().iter().map(|piece| {
            let (index, offset) = match piece.source {
                PieceSource::File { file, offset } => (Some(file as u64), offset),
                PieceSource::Manifest => (None, 0),
            };
            Self {
                file: index,
                offset,
                size: piece.names.size,
                data_cid: piece.names.data_cid.to_string(),
                piece_cid: PieceCid(piece.names.comm_p).to_string(),
                copies: piece.copies().iter().map(copy).collect(),
                problem: piece.set_aside().map(ToString::to_string),
            }
        });
        view.collect()
    }
}

impl From<Standing> for CopyState {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::UnderWay { .. } => Self::UnderWay,
            Standing::Kept => Self::Kept,
            Standing::Failed(Failure::Refused) => Self::Refused,
            Standing::Failed(Failure::Declined | Failure::Other) => Self::Failed,
            Standing::Lost => Self::Lost,
        }
    }
}
