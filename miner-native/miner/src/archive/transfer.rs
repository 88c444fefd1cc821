//! Items on their way into the archive and out of it, part by part; what is there already is not sent again.

use super::manifest::{Entry, Manifest, MAX_BYTES, PART_BYTES};
use super::{file_error, store_error, Archive, ArchiveError, Item, Owner, MANIFESTS, OWNER};
use futures::{stream, FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path as Location;
use object_store::{ObjectStoreExt, PutPayload};
use sealdrop_database::blocking;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Parts that are on their way at the same time: 64 MiB of memory.
const AT_ONCE: usize = 4;
/// Most bytes of what says whose the archive is.
const MAX_OWNER_BYTES: u64 = 4096;

impl Archive {
    /// Makes an empty archive this miner's; fails when it is another's.
    pub(super) async fn claim(&self, ours: &Owner) -> Result<(), ArchiveError> {
        let location = Location::from(OWNER);
        let failed = |action| store_error(action, "its owner");
        if let Some(found) = self.owner().await? {
            return check_owner(&found, ours);
        }
        let text = serde_json::to_vec(ours).map_err(|error| damaged("owner", error))?;
        let put = self.store.put(&location, PutPayload::from(text)).await;
        put.map_err(failed("write"))?;
        // Two that claim it at once both find the last one's word.
        match self.owner().await? {
            Some(found) => check_owner(&found, ours),
            None => Err(damaged("owner", "what was written is not there")),
        }
    }

    /// Whose it is; none while it is nobody's.
    pub async fn owner(&self) -> Result<Option<Owner>, ArchiveError> {
        let Some(found) = self.get(&Location::from(OWNER), MAX_OWNER_BYTES, "owner").await? else {
            return Ok(None);
        };
        let owner = serde_json::from_slice(&found).map_err(|error| damaged("owner", error))?;
        Ok(Some(owner))
    }

    /// All items that are there, and when each came, in milliseconds since 1970.
    pub(super) async fn items(&self) -> Result<BTreeMap<Item, u64>, ArchiveError> {
        let listed = self.store.list(Some(&Location::from(MANIFESTS)));
        let found: Vec<_> = listed
            .try_collect()
            .await
            .map_err(store_error("list", "what is there"))?;
        let item = |meta: &object_store::ObjectMeta| {
            let at = u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0);
            Some((Item::of_manifest(&meta.location)?, at))
        };
        Ok(found.iter().filter_map(item).collect())
    }

    /// Archives `files`, which lie below `dir`, as one item; goes on where it was cut off.
    pub(super) async fn put(
        &self,
        item: &Item,
        comm_r: Option<String>,
        dir: &Path,
        files: &[PathBuf],
    ) -> Result<u64, ArchiveError> {
        let there = self.parts(item).await?;
        let mut entries = Vec::new();
        for file in files {
            entries.push(self.put_file(item, dir, file, &there).await?);
        }
        blocking(|| self.settle(item))?;
        let manifest = Manifest::new(comm_r, entries);
        let text = serde_json::to_vec(&manifest).map_err(|error| damaged("manifest", error))?;
        let put = self.store.put(&item.manifest(), PutPayload::from(text)).await;
        put.map_err(store_error("write", item))?;
        blocking(|| self.settle_file(&item.manifest()))?;
        Ok(manifest.bytes())
    }

    async fn put_file(
        &self,
        item: &Item,
        dir: &Path,
        file: &Path,
        there: &BTreeMap<String, u64>,
    ) -> Result<Entry, ArchiveError> {
        let path = dir.join(file);
        let length = fs::metadata(&path).map_err(file_error("inspect", &path))?.len();
        let mut entry = Entry {
            path: slashed(file),
            bytes: length,
            parts: Vec::new(),
        };
        let parts = stream::iter(0..length.div_ceil(PART_BYTES)).map(|index| {
            let bytes = entry.part_bytes(index);
            self.put_part(item, path.clone(), (index, bytes), there).boxed()
        });
        entry.parts = parts.buffered(AT_ONCE).try_collect().await?;
        Ok(entry)
    }

    /// Puts a part there unless it is, and returns its digest.
    async fn put_part(
        &self,
        item: &Item,
        path: PathBuf,
        (index, bytes): (u64, u64),
        there: &BTreeMap<String, u64>,
    ) -> Result<String, ArchiveError> {
        let part = read_part(path, index, bytes).await?;
        let digest = hex::encode(Sha256::digest(&part));
        if there.get(&digest) != Some(&bytes) {
            let location = item.parts().join(digest.as_str());
            let put = self.store.put(&location, PutPayload::from(part)).await;
            put.map_err(store_error("write a part of", item))?;
        }
        Ok(digest)
    }

    /// The parts of an item that are there, with their lengths.
    async fn parts(&self, item: &Item) -> Result<BTreeMap<String, u64>, ArchiveError> {
        let listed = self.store.list(Some(&item.parts()));
        let found: Vec<_> = listed
            .try_collect()
            .await
            .map_err(store_error("list the parts of", item))?;
        let part = |meta: &object_store::ObjectMeta| Some((meta.location.filename()?.to_owned(), meta.size));
        Ok(found.iter().filter_map(part).collect())
    }

    /// What an item consists of, checked; `most` is how many bytes it may have.
    pub(super) async fn manifest(&self, item: &Item, most: u64) -> Result<Manifest, ArchiveError> {
        let what = format!("manifest of {item}");
        match self.get(&item.manifest(), MAX_BYTES, &what).await? {
            Some(found) => Manifest::read(item, &found, most),
            None => Err(damaged(&what, "it is not there any more")),
        }
    }

    /// Brings an item's files to `dir`, each checked and on the disk; goes on where it was cut off.
    pub(super) async fn fetch(&self, item: &Item, manifest: &Manifest, dir: &Path) -> Result<(), ArchiveError> {
        for entry in &manifest.files {
            let path = entry.below(dir);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(file_error("create", folder))?;
            }
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path);
            let file = file.map_err(file_error("open", &path))?;
            file.set_len(entry.bytes).map_err(file_error("size", &path))?;
            let file = Arc::new(Mutex::new(file));
            let parts = entry.parts.iter().zip(0u64..).map(|(digest, index)| {
                let part = (index, entry.part_bytes(index), digest.as_str());
                self.fetch_part(item, part, (path.clone(), file.clone())).boxed()
            });
            // Collected first: the compiler does not see otherwise that this can be sent between threads.
            stream::iter(parts.collect::<Vec<_>>())
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            let synced = blocking(|| file.lock().unwrap_or_else(PoisonError::into_inner).sync_all());
            synced.map_err(file_error("sync", &path))?;
        }
        Ok(())
    }

    /// Writes a part to its place, unless it is there.
    async fn fetch_part(
        &self,
        item: &Item,
        (index, bytes, digest): (u64, u64, &str),
        (path, file): (PathBuf, Arc<Mutex<File>>),
    ) -> Result<(), ArchiveError> {
        let here = read_part(path.clone(), index, bytes).await?;
        if hex::encode(Sha256::digest(&here)) == digest {
            return Ok(());
        }
        drop(here);
        let part = self.part(item, digest, bytes).await?;
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(index * PART_BYTES))?;
            file.write_all(&part)
        });
        joined(written.await).map_err(file_error("write", &path))
    }

    async fn part(&self, item: &Item, digest: &str, bytes: u64) -> Result<Vec<u8>, ArchiveError> {
        let (what, location) = (format!("part {digest} of {item}"), item.parts().join(digest));
        let Some(part) = self.get(&location, bytes, &what).await? else {
            return Err(damaged(&what, "it is not there"));
        };
        match hex::encode(Sha256::digest(&part)) == *digest {
            true => Ok(part),
            false => Err(damaged(&what, "its bytes are others")),
        }
    }

    /// Takes an item away; first what says that it is there.
    pub(super) async fn remove(&self, item: &Item) -> Result<(), ArchiveError> {
        match self.store.delete(&item.manifest()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(store_error("remove", item)(error)),
        }
        for part in self.parts(item).await?.into_keys() {
            let location = item.parts().join(part);
            match self.store.delete(&location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(store_error("remove a part of", item)(error)),
            }
        }
        Ok(())
    }

    /// An object's bytes, unless there is none; no more than `most` are read.
    async fn get(&self, location: &Location, most: u64, what: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let found = match self.store.get(location).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(store_error("read", what)(error)),
        };
        if found.meta.size > most {
            let reason = format!("it has {} bytes, and at most {most} belong there", found.meta.size);
            return Err(damaged(what, reason));
        }
        let bytes = found.bytes().await.map_err(store_error("read", what))?;
        match bytes.len() as u64 > most {
            true => Err(damaged(what, "it goes on beyond its end")),
            false => Ok(Some(bytes.to_vec())),
        }
    }

    /// In a folder, sees that the parts of an item stay there when the power fails.
    fn settle(&self, item: &Item) -> Result<(), ArchiveError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let folder = folder.join(item.parts().as_ref());
        if !folder.is_dir() {
            return Ok(());
        }
        let listed = fs::read_dir(&folder).map_err(file_error("list", &folder))?;
        for entry in listed {
            let path = entry.map_err(file_error("list", &folder))?.path();
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(file_error("sync", &path))?;
        }
        sync_with_parents(&folder, 3)
    }

    fn settle_file(&self, location: &Location) -> Result<(), ArchiveError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.join(location.as_ref());
        sync_with_parents(&path, 3)
    }
}

/// Syncs a folder, all folders below it, and the one above it; their files are synced before.
pub(super) fn sync_tree(dir: &Path) -> Result<(), ArchiveError> {
    for entry in fs::read_dir(dir).map_err(file_error("list", dir))? {
        let path = entry.map_err(file_error("list", dir))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        }
    }
    sync_with_parents(dir, 1)
}

/// Syncs a file or folder and so many of those above it.
fn sync_with_parents(path: &Path, above: usize) -> Result<(), ArchiveError> {
    let mut all = path.ancestors().take(above + 1);
    all.try_for_each(|path| {
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(file_error("sync", path))
    })
}

async fn read_part(path: PathBuf, index: u64, bytes: u64) -> Result<Vec<u8>, ArchiveError> {
    let from = path.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut file = File::open(&from)?;
        file.seek(SeekFrom::Start(index * PART_BYTES))?;
        let mut part = vec![0; usize::try_from(bytes).unwrap_or_default()];
        file.read_exact(&mut part)?;
        Ok(part)
    });
    joined(read.await).map_err(file_error("read", &path))
}

/// What a thread found; one that panicked has failed.
fn joined<T>(thread: Result<std::io::Result<T>, tokio::task::JoinError>) -> std::io::Result<T> {
    thread.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn slashed(file: &Path) -> String {
    let parts: Vec<_> = file
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

fn check_owner(theirs: &Owner, ours: &Owner) -> Result<(), ArchiveError> {
    match theirs == ours {
        true => Ok(()),
        false => Err(ArchiveError::Others {
            theirs: theirs.to_string(),
            ours: ours.to_string(),
        }),
    }
}

fn damaged(what: &str, reason: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Damaged {
        what: what.to_owned(),
        reason: reason.to_string(),
    }
}
