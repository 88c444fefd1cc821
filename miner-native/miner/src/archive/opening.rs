//! An archive's beginning: whose it is, that it is the same as before, and what is there.

use super::{damaged, file_error, store_error, Archive, ArchiveError, Archiving, Item, MANIFESTS, PARTS};
use crate::data_dir::write_whole;
use crate::store::KnownArchive;
use futures::StreamExt;
use object_store::path::Path as Location;
use object_store::{ObjectStoreExt, PutPayload};
use sealdrop_database::blocking;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

/// Says whose the archive is.
const OWNER: &str = "archive.json";
/// Most bytes of that.
const MAX_OWNER_BYTES: u64 = 4096;
/// Most items that are looked at: beyond that somebody else has filled the place.
const MAX_ITEMS: usize = 1 << 22;

/// Whose an archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    pub network: String,
    pub miner: String,
    /// Whose key has registered it: two chains may give one number to different miners.
    pub owner: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "miner {} of {} ({})", self.miner, self.network, self.owner)
    }
}

/// What is written at its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    #[serde(flatten)]
    owner: Owner,
    /// By this it is known again, as hexadecimal digits.
    id: String,
}

/// What is there: items, and whether each is whole.
pub(super) type There = BTreeMap<Item, bool>;

impl Archiving {
    /// Opens the archive: this miner's, and the one that was there before.
    pub(super) async fn open(&self) -> Result<(Archive, There), ArchiveError> {
        let archive = blocking(|| self.config.open())?;
        if let Some(folder) = &archive.folder {
            check_apart(folder, [self.sectors.as_path(), self.staging.dir()])?;
        }
        let place = self.config.to_string();
        let known = blocking(|| self.store.archive())?.filter(|known| known.place == place);
        let id = match (archive.mark().await?, known) {
            (Some(mark), _) if mark.owner != self.owner => {
                return Err(ArchiveError::Others {
                    theirs: mark.owner.to_string(),
                    ours: self.owner.to_string(),
                });
            }
            (Some(mark), Some(known)) if mark.id != known.id => return Err(ArchiveError::Gone { place }),
            (Some(mark), _) => mark.id,
            (None, Some(_)) => return Err(ArchiveError::Gone { place }),
            (None, None) => archive.claim(&self.owner).await?,
        };
        blocking(|| self.store.keep_archive(&KnownArchive { place, id }))?;
        let there = archive.items().await?;
        Ok((archive, there))
    }
}

/// Fails when an archive lies where pieces and sectors do: it would go with them.
fn check_apart(folder: &Path, worked_in: [&Path; 2]) -> Result<(), ArchiveError> {
    let folder = folder.canonicalize().map_err(file_error("find", folder))?;
    let is_in = |dir: &Path| {
        dir.canonicalize()
            .is_ok_and(|dir| folder.starts_with(&dir) || dir.starts_with(&folder))
    };
    match worked_in.into_iter().any(is_in) {
        true => Err(ArchiveError::Place {
            reason: "it lies where the miner's pieces and sectors do, and would be lost with them".into(),
        }),
        false => Ok(()),
    }
}

impl Archive {
    /// Whose it is; none while it is nobody's.
    pub async fn owner(&self) -> Result<Option<Owner>, ArchiveError> {
        Ok(self.mark().await?.map(|mark| mark.owner))
    }

    async fn mark(&self) -> Result<Option<Mark>, ArchiveError> {
        let found = self.get(&Location::from(OWNER), MAX_OWNER_BYTES, "owner").await?;
        // What a loss of power left of one that was just begun.
        let Some(found) = found.filter(|found| !found.is_empty()) else {
            return Ok(None);
        };
        let mark = serde_json::from_slice(&found).map_err(|error| damaged("archive.json", error))?;
        Ok(Some(mark))
    }

    /// Makes an archive of nobody this miner's.
    async fn claim(&self, owner: &Owner) -> Result<String, ArchiveError> {
        let mark = Mark {
            owner: owner.clone(),
            id: hex::encode(rand::random::<[u8; 16]>()),
        };
        let text = serde_json::to_vec(&mark).map_err(|error| damaged("owner", error))?;
        self.write(&Location::from(OWNER), text, "owner").await?;
        // Of two that claim it at once one finds the other's word, here or at its next start.
        match self.mark().await? {
            Some(found) if found == mark => Ok(mark.id),
            _ => Err(damaged("owner", "another miner has claimed it at this moment")),
        }
    }

    /// All items that have a manifest, and those that have parts alone, of which an upload was cut off.
    pub(super) async fn items(&self) -> Result<There, ArchiveError> {
        let mut found = There::new();
        for kind in ["sectors", "pieces"] {
            let begun = Location::from(format!("{PARTS}/{kind}"));
            let listed = self.store.list_with_delimiter(Some(&begun)).await;
            let listed = listed.map_err(store_error("list", "what is there"))?;
            found.extend(
                listed
                    .common_prefixes
                    .iter()
                    .filter_map(Item::of)
                    .map(|item| (item, false)),
            );
        }
        let mut listed = self.store.list(Some(&Location::from(MANIFESTS)));
        while let Some(meta) = listed.next().await {
            let meta = meta.map_err(store_error("list", "what is there"))?;
            if let (Some(item), true) = (Item::of(&meta.location), meta.size > 0) {
                found.insert(item, true);
            }
            if found.len() > MAX_ITEMS {
                return Err(damaged("list", format!("it has more than {MAX_ITEMS} items")));
            }
        }
        Ok(found)
    }

    /// Writes a small object, whole and to stay.
    pub(super) async fn write(&self, location: &Location, bytes: Vec<u8>, what: &str) -> Result<(), ArchiveError> {
        let Some(folder) = &self.folder else {
            let put = self.store.put(location, PutPayload::from(bytes)).await;
            return put.map(drop).map_err(store_error("write", what));
        };
        self.check_plain(location)?;
        let path = folder.join(location.as_ref());
        blocking(|| {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(file_error("create", parent))?;
            }
            write_whole(&path, &bytes, 0o600).map_err(file_error("write", &path))?;
            self.sync_above(&path)
        })
    }
}
