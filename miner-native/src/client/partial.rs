//! Files and folders under way: the bytes of a result that is not whole yet. They go away with an error, with a signal
//! ([`abandon_all`]) and, after a SIGKILL, with the next file that is begun in the same folder (finding E3).
//!
//! Each file is locked while its process lives, so that only those of the dead are swept. Made by [`super::destination`],
//! [`super::imports`] and [`crate::backup`].

use super::book::new_id;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SUFFIX: &str = ".partial";
/// What the name of a file under way begins with, in anybody's folder.
pub const PREFIX: &str = shared::file::UNDER_WAY_PREFIX;
/// Entries of a folder that are looked at for leftovers: somebody's folder may have millions.
const MOST_ENTRIES: usize = 10_000;

/// How often and how long another process's sweeping is waited for.
const MOST_TURNS: u32 = 50;
const TURN: Duration = Duration::from_millis(10);

/// The files and folders under way of this process; `None` when it is about to end, and no more are begun.
static UNDER_WAY: Mutex<Option<BTreeSet<PathBuf>>> = Mutex::new(Some(BTreeSet::new()));

/// Files under way of this process that stay when it ends: what has come into them is gone on with.
static STAYING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A file under way stays when the process ends.
pub fn stays(path: &Path) {
    let mut staying = STAYING.lock().unwrap_or_else(PoisonError::into_inner);
    staying.insert(path.to_owned());
}

/// It is under way no longer.
pub fn stays_no_more(path: &Path) {
    let mut staying = STAYING.lock().unwrap_or_else(PoisonError::into_inner);
    staying.remove(path);
}

/// What is said of a file that stays.
pub fn told_of(path: &Path) -> String {
    let path = path.display();
    format!("what has come stays in {path}: the same command goes on with it, or remove it")
}

/// A file under way, of a name of its own.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    /// Begins one in `folder`, and removes what killed processes left there.
    pub fn create(folder: &Path) -> io::Result<Self> {
        // Nobody sweeps between this one's creation and its lock.
        let _swept = sweep(folder, PREFIX);
        let path = folder.join(format!("{PREFIX}{}{SUFFIX}", new_id().0));
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        let known = under_way.as_mut().ok_or_else(ending)?;
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        // A file system without locks has no sweeping either.
        let _ = file.try_lock();
        known.insert(path.clone());
        Ok(Self { path, file })
    }

    /// Takes over a file that was written before and is whole now.
    pub fn adopt(path: PathBuf, file: File) -> io::Result<Self> {
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.as_mut().ok_or_else(ending)?.insert(path.clone());
        Ok(Self { path, file })
    }

    /// The file, for reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its name until it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its place, in the same folder; it is on the disk when this returns.
    pub fn keep_as(self, place: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, place)?;
        File::open(folder_of(place))?.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove; otherwise a leftover is all that can go wrong.
        let _ = fs::remove_file(&self.path);
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = under_way.as_mut() {
            known.remove(&self.path);
        }
    }
}

/// A folder under way, for its owner alone: all of it goes away unless it is kept.
#[derive(Debug)]
pub struct PartialFolder {
    path: PathBuf,
}

impl PartialFolder {
    /// Makes the folder, which must not be there yet.
    pub fn create(path: PathBuf) -> io::Result<Self> {
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        let known = under_way.as_mut().ok_or_else(ending)?;
        private_folders().create(&path)?;
        known.insert(path.clone());
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on it stays, whatever happens. Refused when the process is about to end.
    pub fn keep(self) -> io::Result<PathBuf> {
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.as_mut().ok_or_else(ending)?.remove(&self.path);
        drop(under_way);
        let mut kept = std::mem::ManuallyDrop::new(self);
        Ok(std::mem::take(&mut kept.path))
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        // Held meanwhile: who is about to end waits until it is gone, and the other way round.
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        remove(&self.path);
        if let Some(known) = under_way.as_mut() {
            known.remove(&self.path);
        }
    }
}

/// Makes a folder with those above it, for the owner alone. When the process is about to end, none is made: it would come back after
/// [`abandon_all`].
pub fn make_folders(path: &Path) -> io::Result<()> {
    let under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    under_way.as_ref().ok_or_else(ending)?;
    private_folders().recursive(true).create(path)
}

fn private_folders() -> DirBuilder {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn ending() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the program is being ended")
}

/// Removes a file, or a folder into which another thread may still write: it makes no more folders, so this comes to an end.
fn remove(path: &Path) {
    // A link is removed as such.
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        let _ = fs::remove_file(path);
        return;
    }
    for _ in 0..MOST_TURNS {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(TURN),
            _ => return,
        }
    }
}

/// A file in the folder for temporary files that has no name any more: it goes away with the process, however that ends.
pub fn unnamed() -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    // The folder is everybody's, the file is not.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let path = std::env::temp_dir().join(format!("{PREFIX}{}{SUFFIX}", new_id().0));
    let file = options.open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Removes the files and folders under way of this process, which is about to end, and lets no more be begun; those that stay.
pub fn abandon_all() -> BTreeSet<PathBuf> {
    // Held meanwhile: a thread that fails because its files go away does not end the process before they are gone.
    let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    for path in under_way.take().into_iter().flatten() {
        remove(&path);
    }
    drop(under_way);
    STAYING.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Removes the files under way of processes that are gone, whose names begin with `prefix`. Whatever hinders it is left for
/// the next time. What is returned keeps others from sweeping.
pub fn sweep(folder: &Path, prefix: &str) -> Option<File> {
    let held = File::open(folder).ok()?;
    let mut turns = 0;
    while held.try_lock().is_err() {
        // Others hold it for a moment; somebody else's program may hold it for good.
        turns += 1;
        if turns > MOST_TURNS {
            return None;
        }
        std::thread::sleep(TURN);
    }
    for entry in fs::read_dir(folder).ok()?.flatten().take(MOST_ENTRIES) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with(prefix) && name.ends_with(SUFFIX)) {
            continue;
        }
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        // Opened for writing: only one's own are removed.
        let left = File::options().write(true).open(entry.path()).ok().filter(|_| is_file);
        if left.is_some_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Some(held)
}

/// The folder that a path names a file in.
pub fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).expect("it is a folder").count()
    }

    #[test]
    fn a_file_under_way_that_is_not_kept_leaves_nothing() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let partial = Partial::create(dir.path()).expect("it can be made");
        partial.file().write_all(b"half").expect("it can be written");
        drop(partial);
        assert_eq!(count(dir.path()), 0);
    }

    #[test]
    fn a_folder_under_way_goes_away_with_all_that_is_in_it_unless_it_is_kept() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let begin = || PartialFolder::create(dir.path().join("part")).expect("it can be made");
        let folder = begin();
        make_folders(&folder.path().join("a/b")).expect("there is room");
        fs::write(folder.path().join("a/b/key"), b"half").expect("it can be written");
        assert!(PartialFolder::create(folder.path().to_owned()).is_err(), "it is there");
        drop(folder);
        assert_eq!(count(dir.path()), 0);
        let kept = begin().keep().expect("the process goes on");
        assert!(kept.is_dir());
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_a_living_one_has_is_not() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let left = dir.path().join(".sealdrop-1-a.partial");
        fs::write(&left, b"half").expect("it can be written");
        fs::write(dir.path().join(".other-1.partial"), b"not ours").expect("it can be written");
        let first = Partial::create(dir.path()).expect("it can be made");
        assert!(!left.exists());
        let second = Partial::create(dir.path()).expect("it can be made");
        assert!(first.path().exists() && second.path().exists());
        drop((first, second));
        assert_eq!(count(dir.path()), 1);
    }
}
