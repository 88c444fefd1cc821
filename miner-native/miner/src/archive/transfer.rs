//! Items on their way into the archive and out of it, part by part; what is there already is not sent again.

use super::manifest::{Entry, Manifest, MAX_BYTES, PART_BYTES};
use super::{damaged, file_error, store_error, Archive, ArchiveError, Item};
use futures::{stream, FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path as Location;
use object_store::{ObjectStoreExt, PutPayload};
use sealdrop_database::blocking;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Parts that are on their way at the same time: with their copies 64 MiB of memory.
const AT_ONCE: usize = 2;
/// Most parts of an item: a sector of 64 GiB has a third of it.
const MAX_PARTS: usize = 1 << 14;

/// Called before each part that is sent, on a thread that may wait.
pub(super) type Pace = Arc<dyn Fn() + Send + Sync>;

impl Archive {
    /// Archives `files`, which lie below `dir`, as one item; goes on where it was cut off.
    pub(super) async fn put(
        &self,
        item: &Item,
        (dir, files): (&Path, &[PathBuf]),
        pace: &Pace,
    ) -> Result<u64, ArchiveError> {
        let there = self.parts(item).await?;
        let mut entries = Vec::new();
        for file in files {
            entries.push(self.put_file(item, (dir, file), &there, pace).await?);
        }
        blocking(|| self.settle(item))?;
        // Whoever led before may have taken some away meanwhile.
        let there = self.parts(item).await?;
        let missing = entries
            .iter()
            .flat_map(|entry| &entry.parts)
            .any(|part| !there.contains_key(part));
        if missing {
            return Err(damaged(item, "parts went away while others came"));
        }
        let manifest = Manifest::new(entries);
        let text = serde_json::to_vec(&manifest).map_err(|error| damaged("manifest", error))?;
        self.write(&item.manifest(), text, &format!("manifest of {item}"))
            .await?;
        Ok(manifest.bytes())
    }

    async fn put_file(
        &self,
        item: &Item,
        (dir, file): (&Path, &Path),
        there: &BTreeMap<String, u64>,
        pace: &Pace,
    ) -> Result<Entry, ArchiveError> {
        let path = dir.join(file);
        let length = blocking(|| fs::metadata(&path))
            .map_err(file_error("inspect", &path))?
            .len();
        let mut entry = Entry {
            path: slashed(file),
            bytes: length,
            parts: Vec::new(),
        };
        let parts = (0..length.div_ceil(PART_BYTES)).map(|index| {
            let part = (index, entry.part_bytes(index));
            self.put_part(item, (path.clone(), part), there, pace.clone()).boxed()
        });
        let parts: Vec<_> = parts.collect();
        entry.parts = stream::iter(parts).buffered(AT_ONCE).try_collect().await?;
        Ok(entry)
    }

    /// Puts a part there unless it is, and returns its digest.
    async fn put_part(
        &self,
        item: &Item,
        (path, (index, bytes)): (PathBuf, (u64, u64)),
        there: &BTreeMap<String, u64>,
        pace: Pace,
    ) -> Result<String, ArchiveError> {
        let (part, digest) = read_part(path, (index, bytes), Some(pace)).await?;
        if !self.has_part(item, &digest, bytes, there).await {
            let location = item.parts().join(digest.as_str());
            self.check_plain(&location)?;
            let put = self.store.put(&location, PutPayload::from(part)).await;
            put.map_err(store_error("write a part of", item))?;
        }
        Ok(digest)
    }

    /// Whether a part is there. A folder's is read: a loss of power may have left its length alone. An object store has checked what it took.
    async fn has_part(&self, item: &Item, digest: &str, bytes: u64, there: &BTreeMap<String, u64>) -> bool {
        let is_there = there.get(digest) == Some(&bytes);
        is_there && (self.folder.is_none() || self.part(item, digest, bytes).await.is_ok())
    }

    /// The parts of an item that are there, with their lengths.
    async fn parts(&self, item: &Item) -> Result<BTreeMap<String, u64>, ArchiveError> {
        self.check_plain(&item.parts())?;
        let (mut found, mut listed) = (BTreeMap::new(), self.store.list(Some(&item.parts())));
        while let Some(meta) = listed.next().await {
            let meta = meta.map_err(store_error("list the parts of", item))?;
            // What is called otherwise is nothing of ours, and stays.
            let name = meta.location.filename().filter(|name| is_digest(name));
            if let Some(name) = name.filter(|name| item.parts().join(*name) == meta.location) {
                found.insert(name.to_owned(), meta.size);
            }
            if found.len() > MAX_PARTS {
                return Err(damaged(item, format!("it has more than {MAX_PARTS} parts")));
            }
        }
        Ok(found)
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
            let file = blocking(|| open_sized(&path, entry.bytes))?;
            let file = Arc::new(Mutex::new(file));
            let parts = entry.parts.iter().zip(0u64..).map(|(digest, index)| {
                let part = (index, entry.part_bytes(index), digest.as_str());
                self.fetch_part(item, part, (path.clone(), file.clone())).boxed()
            });
            // Collected first: the compiler does not see otherwise that this can be sent between threads.
            let parts: Vec<_> = parts.collect();
            stream::iter(parts)
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
        let (here, found) = read_part(path.clone(), (index, bytes), None).await?;
        if found == digest {
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
        match blocking(|| hex::encode(Sha256::digest(&part))) == *digest {
            true => Ok(part),
            false => Err(damaged(&what, "its bytes are others")),
        }
    }

    /// Takes an item away; first what says that it is there.
    pub(super) async fn remove(&self, item: &Item) -> Result<(), ArchiveError> {
        self.check_plain(&item.manifest())?;
        self.delete(&item.manifest(), item).await?;
        for part in self.parts(item).await?.into_keys() {
            self.delete(&item.parts().join(part), item).await?;
        }
        Ok(())
    }

    async fn delete(&self, location: &Location, item: &Item) -> Result<(), ArchiveError> {
        match self.store.delete(location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(store_error("remove", item)(error)),
        }
    }

    /// An object's bytes, unless there is none; no more than `most` are read.
    pub(super) async fn get(
        &self,
        location: &Location,
        most: u64,
        what: &str,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        self.check_plain(location)?;
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

    /// In a folder, fails when there is anything on the way but folders and files: a link leads to what is not the archive's.
    pub(super) fn check_plain(&self, location: &Location) -> Result<(), ArchiveError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut path = folder.clone();
        for part in location.parts() {
            path.push(part.as_ref());
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() || found.is_file() => {}
                Ok(_) => return Err(damaged(path.display(), "it is neither a file nor a folder")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(source) => return Err(file_error("inspect", &path)(source)),
            }
        }
        Ok(())
    }

    /// In a folder, sees that the parts of an item stay there when the power fails.
    fn settle(&self, item: &Item) -> Result<(), ArchiveError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let folder = folder.join(item.parts().as_ref());
        if !folder.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(&folder).map_err(file_error("list", &folder))? {
            let path = entry.map_err(file_error("list", &folder))?.path();
            // Nothing but a file: a pipe would be waited for.
            if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
                let synced = File::open(&path).and_then(|file| file.sync_all());
                synced.map_err(file_error("sync", &path))?;
            }
        }
        self.sync_above(&folder.join("any"))
    }

    /// Syncs the folders above a path, up to the archive's.
    pub(super) fn sync_above(&self, path: &Path) -> Result<(), ArchiveError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut above = path.ancestors().skip(1).take_while(|path| path.starts_with(folder));
        above.try_for_each(sync)
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
    sync(dir)?;
    dir.parent().map_or(Ok(()), sync)
}

fn sync(path: &Path) -> Result<(), ArchiveError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(file_error("sync", path))
}

/// A file of this length, with what it has of it.
fn open_sized(path: &Path, bytes: u64) -> Result<File, ArchiveError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(file_error("create", folder))?;
    }
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = file.map_err(file_error("open", path))?;
    file.set_len(bytes).map_err(file_error("size", path))?;
    Ok(file)
}

/// A part of a file, and its digest.
async fn read_part(
    path: PathBuf,
    (index, bytes): (u64, u64),
    pace: Option<Pace>,
) -> Result<(Vec<u8>, String), ArchiveError> {
    let from = path.clone();
    let read = tokio::task::spawn_blocking(move || {
        if let Some(pace) = pace {
            pace();
        }
        let mut file = File::open(&from)?;
        file.seek(SeekFrom::Start(index * PART_BYTES))?;
        let mut part = vec![0; usize::try_from(bytes).unwrap_or_default()];
        file.read_exact(&mut part)?;
        let digest = hex::encode(Sha256::digest(&part));
        Ok((part, digest))
    });
    joined(read.await).map_err(file_error("read", &path))
}

/// What a thread found; one that panicked has failed.
fn joined<T>(thread: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    thread.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn slashed(file: &Path) -> String {
    let parts: Vec<_> = file
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

/// Whether it is what a part is called.
pub(super) fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
