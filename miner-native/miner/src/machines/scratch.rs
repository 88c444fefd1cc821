//! A machine's own folder for what it seals: which it is, and that nobody else uses it.

use super::{failed, mark_of, MachinesError, MARK};
use crate::data_dir::write_whole;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A folder that this machine seals in, held until this is dropped.
#[derive(Debug)]
pub struct ScratchFolder {
    dir: PathBuf,
    _lock: File,
}

impl ScratchFolder {
    /// Opens `dir`, made when it is not there, for the records of this `id`, whose storage is another folder.
    ///
    /// # Errors
    /// [`MachinesError::Scratch`] when it is, or lies in, the storage, when it has files and no mark of ours, when another worker holds it, and when it was
    /// used with another database.
    pub fn open(dir: &Path, storage: &Path, id: &str) -> Result<Self, MachinesError> {
        let refused = |reason| MachinesError::Scratch {
            dir: dir.to_owned(),
            reason,
        };
        let whole = |path: &Path| fs::canonicalize(path).map_err(|source| failed("find", path, source));
        // Only its last part is made: a disk that is not mounted is not written around.
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let here = match dir.exists() {
            true => whole(dir)?,
            false => whole(parent)?.join(dir.file_name().unwrap_or_default()),
        };
        let there = whole(storage)?;
        if here.starts_with(&there) || there.starts_with(&here) {
            return Err(refused("it is the storage, or one lies in the other"));
        }
        let dir = here.as_path();
        if let Err(source) = fs::create_dir(dir) {
            if source.kind() != ErrorKind::AlreadyExists {
                return Err(failed("make", dir, source));
            }
        }
        // What somebody else keeps there would be removed with the sectors of the same numbers.
        let mut entries = fs::read_dir(dir).map_err(|source| failed("read", dir, source))?;
        let is_strange = |entry: std::io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name() != "lost+found" && entry.file_name() != "lock")
        };
        if mark_of(dir)?.is_none() && entries.any(is_strange) {
            return Err(refused("there are files in it, and it has no mark of a worker's"));
        }
        let path = dir.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = open.map_err(|source| failed("open", &path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refused("another worker of this machine uses it")),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path, source)),
        }
        let (path, mark) = (dir.join(MARK), format!("{id}-scratch"));
        match mark_of(dir)? {
            Some(found) if found == mark => {}
            Some(_) => return Err(refused("it was used with another database")),
            None => write_whole(&path, mark.as_bytes(), 0o600).map_err(|source| failed("write", &path, source))?,
        }
        let sectors = dir.join("sectors");
        fs::create_dir_all(&sectors).map_err(|source| failed("make", &sectors, source))?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// What the machine is called that has this folder: what it was called first, unless its operator says otherwise. Its sectors wait for that name.
    pub fn name(&self, usual: &str, is_given: bool) -> Result<String, MachinesError> {
        let path = self.dir.join("name");
        match fs::read_to_string(&path) {
            Ok(name) if !is_given && !name.is_empty() => return Ok(name),
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(failed("read", &path, source)),
            _ => {}
        }
        write_whole(&path, usual.as_bytes(), 0o600).map_err(|source| failed("write", &path, source))?;
        Ok(usual.to_owned())
    }

    /// Where its sectors are.
    pub fn sectors(&self) -> PathBuf {
        self.dir.join("sectors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_is_one_workers_and_one_databases_and_not_the_storage() {
        let (storage, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = |dir: &Path, id| ScratchFolder::open(dir, storage.path(), id);
        let refusal = |dir: &Path, id| open(dir, id).expect_err("it is refused").to_string();
        let dir = own.path().join("scratch");
        let held = open(&dir, "one").expect("it is new");
        assert!(held.sectors().is_dir());
        // A container has another host name at each start.
        let names = [("first", false), ("second", false), ("given", true), ("third", false)];
        let names = names.map(|(usual, is_given)| held.name(usual, is_given).unwrap());
        assert_eq!(names, ["first", "first", "given", "given"]);
        assert!(refusal(&dir, "one").contains("another worker"));
        drop(held);
        assert!(refusal(&dir, "two").contains("another database"));
        drop(open(&dir, "one").expect("it is this database's"));
        for within in [storage.path().to_owned(), storage.path().join("scratch")] {
            assert!(refusal(&within, "one").contains("storage"));
        }
        assert_eq!(
            fs::read_dir(storage.path()).unwrap().count(),
            0,
            "nothing is made there"
        );
        let around = tempfile::tempdir().unwrap();
        let storage = around.path().join("storage");
        fs::create_dir(&storage).unwrap();
        let refused = ScratchFolder::open(around.path(), &storage, "one").expect_err("the storage lies in it");
        assert!(refused.to_string().contains("storage"));
        // Another miner's home, and a disk that is not mounted.
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("sectors/7")).unwrap();
        assert!(refusal(home.path(), "one").contains("there are files in it"));
        assert!(home.path().join("sectors/7").is_dir());
        open(&own.path().join("not/mounted"), "one").expect_err("its parent is not there");
        assert!(!own.path().join("not").exists());
    }
}
