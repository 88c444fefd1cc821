//! A file or folder as a client keeps it, beside its manifest and the deals of its pieces.

use super::drills::{Drill, DrillVerdict, Drills};
use super::view::{FileProgress, FileState};
use crate::chain::{Address, AttoFil, Epoch};
use crate::client::choosing::MinerRule;
use crate::client::duplicates::Duplicates;
use crate::client::offer::PieceNames;
use crate::file::Manifest;
use crate::piece::{Commitment, DigestError, PieceDigest};
use crate::wire::as_cbor;
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use cid::Cid;
use serde::{Deserialize, Serialize};

/// The format of [`FileRecord`].
pub const FORMAT: u32 = 1;
/// Copies of a file, at most: as many miners are asked for each of its pieces, of 32 that are asked at all.
pub const MAX_COPIES: u32 = 16;
/// Blocks that a file's own deal may end before the file: an endpoint that is that far behind has drawn it up. Deals of a former order of
/// the file end sooner, or they are as good.
pub const LAGGING: u64 = 30;

/// Whom the pieces' deals are made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MinerChoice {
    /// Whoever comes first by the rule.
    Rule(MinerRule),
    /// This one and no other; then there is one copy.
    Named(Address),
}

impl Default for MinerChoice {
    fn default() -> Self {
        Self::Rule(MinerRule::default())
    }
}

/// Why no more deals are made for a file that its user has given up.
pub const ABANDONED: &str = "abandoned by its client";

/// What its user wants of a file, and has consented to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileOrder {
    /// Miners that keep each piece.
    pub copies: u32,
    pub miner: MinerChoice,
    /// Blocks that each deal lasts.
    pub duration: u64,
    /// FIL that all deals of the file may cost together; `None`: there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<AttoFil>,
    /// Whether a lost copy is replaced, within `most`.
    pub repair: bool,
    /// Whether the manifest is kept by miners, too, so that its CID is enough to get the file back.
    pub with_manifest: bool,
    /// Whether deals are made although miners keep the same data for this client already.
    pub allow_duplicates: bool,
}

/// A file that is kept as it was ordered cannot be given up: no deal is to be made for it, and what is kept stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all that was ordered is kept: there is nothing to abandon")]
pub struct NothingToAbandon;

/// An order that cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("{copies} copies are not possible; choose 1 to {MAX_COPIES}")]
    Copies { copies: u32 },
    #[error("{copies} copies are at as many miners, and one miner was named; leave the miner out, or the copies")]
    NamedMiner { copies: u32 },
    #[error("a deal lasts at least one block; choose a longer duration")]
    NoDuration,
}

impl FileOrder {
    /// Refuses what cannot be carried out, before a byte is read.
    pub fn check(&self) -> Result<(), OrderError> {
        let copies = self.copies;
        match &self.miner {
            _ if !(1..=MAX_COPIES).contains(&copies) => Err(OrderError::Copies { copies }),
            _ if self.duration == 0 => Err(OrderError::NoDuration),
            MinerChoice::Named(_) if copies > 1 => Err(OrderError::NamedMiner { copies }),
            _ => Ok(()),
        }
    }

    /// The rule by which miners are chosen; of a named one, nothing follows from it.
    pub fn rule(&self) -> MinerRule {
        match self.miner {
            MinerChoice::Rule(rule) => rule,
            MinerChoice::Named(_) => MinerRule::default(),
        }
    }

    /// The only miner, if one was named.
    pub fn named(&self) -> Option<&Address> {
        match &self.miner {
            MinerChoice::Rule(_) => None,
            MinerChoice::Named(miner) => Some(miner),
        }
    }
}

/// The manifest as a piece of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestPiece {
    /// Of up to 1 MiB, the raw CID with the digest of the file's id.
    #[serde(with = "as_cbor")]
    pub data_cid: Cid,
    pub comm_p: Commitment,
    /// Bytes.
    pub size: u64,
}

impl ManifestPiece {
    /// The names of the manifest with these bytes.
    pub fn of(bytes: &[u8]) -> Result<Self, DigestError> {
        let mut digest = PieceDigest::new();
        digest.push(bytes)?;
        let found = digest.finish()?;
        Ok(Self {
            data_cid: found.data_cid,
            comm_p: found.comm_p,
            size: found.size,
        })
    }

    pub(super) fn names(&self) -> PieceNames {
        PieceNames {
            data_cid: self.data_cid,
            comm_p: self.comm_p,
            size: self.size,
        }
    }
}

/// That what is stored is encrypted, and who may read it, as far as everybody sees that: not who the recipients are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Keys of which each reads it; 0 where a passphrase does.
    pub recipients: u32,
    /// Whether a passphrase reads it.
    pub passphrase: bool,
    /// Bytes of all files before they were encrypted.
    pub plain_size: u64,
}

/// A file or folder that is kept, or is to be. It is written before its first deal is drawn up, and again when its user wants something
/// else, when it stops, and after a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRecord {
    /// [`FORMAT`].
    pub format: u32,
    /// Its manifest's CID.
    pub id: String,
    /// The name of the file or folder, of what is encrypted its own one. Not to be shown as it is: it may hold control characters.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// The chain that its deals are on, by its genesis id.
    pub genesis: String,
    pub order: FileOrder,
    /// Bytes of all files, as they are stored.
    pub size: u64,
    /// Of what is encrypted. The keys are kept by the host, apart from this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The height at which deals that were made at the beginning end; another deal about a piece counts as a copy if it ends no earlier.
    pub ends: Epoch,
    /// The manifest as a piece, where the order wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestPiece>,
    /// Why no more deals are made for it; taken back when somebody goes on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    #[serde(default)]
    pub drills: Drills,
}

impl FileRecord {
    /// When a deal that was made for the file ends, at the earliest, that is a copy of the present order.
    pub fn lasts_from(&self) -> Epoch {
        Epoch(self.ends.0.saturating_sub(LAGGING))
    }

    /// Which deals with a miner that is chosen are in the way of one for the file: those that last as long.
    pub fn duplicates(&self) -> Duplicates {
        match self.order.allow_duplicates {
            true => Duplicates::Allowed,
            false => Duplicates::EndingFrom(self.ends),
        }
    }

    /// Whether its time is over, so that nobody has to keep it any more.
    pub fn is_over(&self, height: Epoch) -> bool {
        self.ends <= height
    }

    /// Whether its user has given it up; then nothing but its user has deals made for it again.
    pub fn is_abandoned(&self) -> bool {
        self.stopped.as_deref() == Some(ABANDONED)
    }

    /// The same given up by its user, when it is so far: no more deals are made for it. Of one that is kept as it was ordered only that lost
    /// copies are replaced can be given up.
    pub fn abandoned(mut self, progress: &FileProgress) -> Result<Self, NothingToAbandon> {
        match progress.state {
            FileState::Kept | FileState::Ended if !self.order.repair => return Err(NothingToAbandon),
            FileState::Kept | FileState::Ended => self.order.repair = false,
            FileState::UnderWay | FileState::Incomplete | FileState::Failed | FileState::Abandoned => {
                self.stopped = Some(ABANDONED.to_owned());
            }
        }
        Ok(self)
    }

    /// Notes what a drill came to. A lost copy is replaced, and deals are made again for a file that had stopped, where its user wants that
    /// and has not given it up; whether that is so.
    pub fn heard_drill(&mut self, drill: &Drill, came_back: bool, now_ms: u64) -> (DrillVerdict, bool) {
        let verdict = self.drills.heard(drill, came_back, now_ms);
        let replaced = verdict == DrillVerdict::Lost && self.order.repair && !self.is_abandoned();
        if replaced {
            self.stopped = None;
        }
        (verdict, replaced)
    }

    /// The same as its user wants it now. While its time is not over and it has deals (`has_deals`), that stays, since they are not made
    /// again for another one; else it begins anew at `height`, and what the former deals cost is none of the new order's limit.
    pub fn ordered_again(self, order: FileOrder, height: Epoch, has_deals: bool) -> Self {
        let (duration, ends) = match self.is_over(height) || !has_deals {
            true => (order.duration, height.plus(order.duration)),
            false => (self.order.duration, self.ends),
        };
        Self {
            order: FileOrder { duration, ..order },
            ends,
            stopped: None,
            ..self
        }
    }

    /// The record of a file whose manifest, which has these bytes, is being kept; its deals count from `height`.
    pub fn new(
        (manifest, bytes): (&Manifest, &[u8]),
        order: FileOrder,
        (genesis, height): (String, Epoch),
        now_ms: u64,
    ) -> Result<Self, DigestError> {
        let piece = order.with_manifest.then(|| ManifestPiece::of(bytes)).transpose()?;
        Ok(Self {
            format: FORMAT,
            id: Manifest::cid_of(bytes).to_string(),
            name: manifest.name().as_str().to_owned(),
            folder: manifest.is_folder(),
            created_ms: now_ms,
            genesis,
            ends: height.plus(order.duration),
            order,
            size: manifest.size(),
            encryption: None,
            manifest: piece,
            stopped: None,
            drills: Drills::default(),
        })
    }

    /// The same of what is encrypted, under its own name: the manifest has a neutral one.
    pub fn encrypted(self, name: String, encryption: Encryption) -> Self {
        Self {
            name,
            encryption: Some(encryption),
            ..self
        }
    }
}
