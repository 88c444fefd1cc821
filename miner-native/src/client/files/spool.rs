//! A file that comes back in pieces, in any order: its bytes lie beside its place, under a name that says what they become, until they
//! are whole and checked. Killed or failed, it stays once something has come, says so where it can, and the next retrieval of the same
//! file to the same place goes on with it. No manifest can name such a file ([`shared::file::is_under_way`]), and none is stored.

use crate::client::destination::{Destination, Spool};
use crate::client::error::ClientError;
use crate::client::fetching::Sink;
use crate::client::partial::{self, folder_of, PREFIX};
use crate::client::report::Report;
use cid::Cid;
use shared::piece::node::raw_cid;
use shared::piece::unixfs::DagBuilder;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the names of such files end with: no other sweeps them away.
const SUFFIX: &str = ".pieces";
/// Characters of the root and of the name in the spool's name: enough that no other file has them.
const NAME_CHARACTERS: usize = 20;
/// Bytes that are read at once.
const READ: usize = 1 << 20;

/// A file on its way back.
pub(super) struct PieceSpool {
    /// Several pieces are written at once, each at its offset.
    file: Mutex<File>,
    name: Name,
    /// For errors.
    place: PathBuf,
}

/// The name of a file on its way back, until it has its own: when it goes without, what has come stays for the next retrieval.
struct Name {
    /// `None` where it has none and goes away with the process, or has its place.
    path: Option<PathBuf>,
    /// Whether an earlier retrieval has left bytes in it.
    is_left: bool,
    has_bytes: AtomicBool,
    report: Report,
}

impl Drop for Name {
    fn drop(&mut self) {
        let Some(path) = &self.path else {
            return;
        };
        partial::stays_no_more(path);
        if !self.is_left && !self.has_bytes.load(Ordering::Relaxed) {
            // Nothing is lost with it; if it stays, the next retrieval takes it.
            let _ = fs::remove_file(path);
            return;
        }
        self.report.note(partial::told_of(path));
    }
}

impl PieceSpool {
    /// The spool of the file with this root and size, beside `place`.
    pub fn beside(place: &Path, root: &Cid, size: u64, report: &Report) -> Result<Self, ClientError> {
        let root = root.to_string();
        // Two files with the same bytes may come back side by side.
        let name = raw_cid(place.file_name().unwrap_or_default().as_encoded_bytes()).to_string();
        let path = folder_of(place).join(format!("{PREFIX}{}-{}{SUFFIX}", tail(&root), tail(&name)));
        // Its user knows nothing of the spool.
        let failed = || ClientError::file("write", place);
        let new = File::options().read(true).write(true).create_new(true).open(&path);
        let (file, is_left) = match new {
            Ok(file) => (file, false),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A link of that name was put there by somebody else.
                if !fs::symlink_metadata(&path).map_err(failed())?.is_file() {
                    return Err(ClientError::Exists { path });
                }
                let file = File::options().read(true).write(true).open(&path).map_err(failed())?;
                (file, true)
            }
            Err(error) => return Err(failed()(error)),
        };
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let what = format!("the retrieval to {}", place.display());
            return Err(ClientError::Busy { what });
        }
        file.set_len(size).map_err(failed())?;
        if is_left {
            report.note(format!("going on with what has come before, in {}", path.display()));
            partial::stays(&path);
        }
        Ok(Self {
            file: Mutex::new(file),
            name: Name {
                path: Some(path),
                is_left,
                has_bytes: AtomicBool::new(false),
                report: report.clone(),
            },
            place: place.to_owned(),
        })
    }

    /// One without a name, for bytes that go into something that is no file.
    pub fn unnamed(place: &Path, size: u64) -> Result<Self, ClientError> {
        let failed = || ClientError::file("create a file in", std::env::temp_dir());
        let file = partial::unnamed().map_err(failed())?;
        file.set_len(size).map_err(failed())?;
        Ok(Self {
            file: Mutex::new(file),
            name: Name {
                path: None,
                is_left: false,
                has_bytes: AtomicBool::new(false),
                report: Report::new().silent(),
            },
            place: place.to_owned(),
        })
    }

    /// A place for a piece's bytes, from its beginning on.
    pub fn piece(&self, offset: u64) -> PieceSink<'_> {
        PieceSink {
            spool: self,
            at: offset,
        }
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        if let (false, Some(path)) = (self.name.has_bytes.swap(true, Ordering::Relaxed), &self.name.path) {
            partial::stays(path);
        }
        file.write_all(bytes)
    }

    /// Whether the bytes of a piece are there from an earlier retrieval; they are read again.
    pub fn has(&self, part: Range<u64>, root: &Cid) -> Result<bool, ClientError> {
        Ok(self.name.is_left && self.root(part)? == Some(*root))
    }

    /// The root of a part of the bytes; `None` of no bytes.
    pub fn root(&self, part: Range<u64>) -> Result<Option<Cid>, ClientError> {
        let (mut at, mut dag, mut buffer) = (part.start, DagBuilder::new(), vec![0; READ]);
        while at < part.end {
            let left = usize::try_from(part.end.saturating_sub(at)).unwrap_or(READ);
            let (bytes, _) = buffer.split_at_mut(left.min(READ));
            self.read(at, bytes).map_err(ClientError::file("read", &self.place))?;
            if dag.push(bytes).is_err() {
                return Ok(None);
            }
            at = at.saturating_add(bytes.len() as u64);
        }
        Ok(dag.finish().ok().map(|dag| dag.root))
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(bytes)
    }

    /// Gives the checked bytes their place, in that of what was there.
    pub fn keep(mut self, to: &Destination) -> Result<(), ClientError> {
        let file = self.file.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.name.path {
            partial::stays_no_more(path);
        }
        Spool::of(to, file, self.name.path.take())?.keep()
    }

    /// Gives the checked bytes their place if nothing is there; they are on the disk when this returns.
    pub fn keep_new(mut self) -> Result<(), ClientError> {
        let (place, file) = (
            self.place,
            self.file.into_inner().unwrap_or_else(PoisonError::into_inner),
        );
        let Some(path) = self.name.path.clone() else {
            return Err(ClientError::Exists { path: place });
        };
        let kept = file.sync_all().and_then(|()| put_new(&path, &place));
        if kept.is_ok() {
            partial::stays_no_more(&path);
            self.name.path = None;
        }
        match kept {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(ClientError::Exists { path: place }),
            other => other.map_err(ClientError::file("write", place)),
        }
    }

    /// Some of the bytes.
    pub fn bytes(&self, part: Range<u64>) -> Result<Vec<u8>, ClientError> {
        let failed = || ClientError::file("read", &self.place);
        let length = usize::try_from(part.end.saturating_sub(part.start));
        let mut bytes = vec![0; length.map_err(io::Error::other).map_err(failed())?];
        self.read(part.start, &mut bytes).map_err(failed())?;
        Ok(bytes)
    }

    /// They are not needed any more. What hinders that is left for the next retrieval to the same place.
    pub fn discard(mut self) {
        if let Some(path) = self.name.path.take() {
            partial::stays_no_more(&path);
            let _ = fs::remove_file(path);
        }
    }

    /// A part of the checked bytes.
    pub fn copy_part(&self, part: Range<u64>, to: &mut Spool) -> Result<(), ClientError> {
        let (mut at, mut buffer) = (part.start, vec![0; READ]);
        while at < part.end {
            let left = usize::try_from(part.end.saturating_sub(at)).unwrap_or(READ);
            let (bytes, _) = buffer.split_at_mut(left.min(READ));
            self.read(at, bytes).map_err(ClientError::file("read", &self.place))?;
            to.write(bytes)?;
            at = at.saturating_add(bytes.len() as u64);
        }
        Ok(())
    }
}

fn tail(text: &str) -> &str {
    text.get(text.len().saturating_sub(NAME_CHARACTERS)..).unwrap_or(text)
}

/// A second name for the bytes, which is not given where there is one already; then the first goes away.
fn put_new(path: &Path, place: &Path) -> io::Result<()> {
    match fs::hard_link(path, place) {
        Ok(()) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // A file system without hard links: an empty file of our own is replaced.
        Err(_) => {
            File::options().write(true).create_new(true).open(place)?;
            fs::rename(path, place)?;
        }
    }
    File::open(folder_of(place))?.sync_all()
}

/// Writes a piece to its place in the spool.
pub(super) struct PieceSink<'a> {
    spool: &'a PieceSpool,
    at: u64,
}

impl Sink for PieceSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let written = self.spool.write(self.at, bytes);
        written.map_err(ClientError::file("write", &self.spool.place))?;
        self.at = self.at.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

/// Bytes that are looked at and not kept, or kept in memory.
#[derive(Default)]
pub(super) struct Memory {
    pub bytes: Vec<u8>,
}

impl Sink for Memory {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// Bytes that are only wanted to have come.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> Result<(), ClientError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::piece::PieceDigest;

    fn beside(place: &Path, root: &Cid, size: u64) -> Result<PieceSpool, ClientError> {
        PieceSpool::beside(place, root, size, &Report::new())
    }

    fn root(bytes: &[u8]) -> Cid {
        let mut digest = PieceDigest::new();
        digest.push(bytes).expect("it is short");
        digest.finish().expect("it is not empty").data_cid
    }

    #[test]
    fn pieces_come_in_any_order_and_stay_when_the_process_ends() {
        let dir = tempfile::tempdir().expect("there is room");
        let (place, whole) = (dir.path().join("file"), root(b"helloworld"));
        let spool = beside(&place, &whole, 10).expect("there is room");
        spool.piece(5).write(b"world").expect("there is room");
        assert!(!spool.has(5..10, &root(b"world")).expect("it can be read"), "it is new");
        assert!(matches!(beside(&place, &whole, 10), Err(ClientError::Busy { .. })));
        drop(spool);
        let spool = beside(&place, &whole, 10).expect("it is there");
        assert!(spool.has(5..10, &root(b"world")).expect("it can be read"));
        assert!(!spool.has(0..5, &root(b"hello")).expect("it can be read"));
        let mut piece = spool.piece(0);
        piece.write(b"he").expect("there is room");
        piece.write(b"llo").expect("there is room");
        assert_eq!(spool.root(0..10).expect("it can be read"), Some(whole));
        spool.keep_new().expect("nothing is there");
        assert_eq!(fs::read(&place).expect("it is there"), b"helloworld");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_spool_that_nothing_came_into_goes_away_and_one_with_bytes_stays() {
        let dir = tempfile::tempdir().expect("there is room");
        let place = dir.path().join("file");
        let count = || fs::read_dir(dir.path()).expect("a folder").count();
        let spool = beside(&place, &root(b"x"), 1).expect("there is room");
        assert_eq!(count(), 1);
        drop(spool);
        assert_eq!(count(), 0);
        let spool = beside(&place, &root(b"xy"), 2).expect("there is room");
        spool.piece(0).write(b"x").expect("there is room");
        drop(spool);
        assert_eq!(count(), 1);
        // Gone on with, in which nothing comes: what was there before is not lost.
        drop(beside(&place, &root(b"xy"), 2).expect("it is there"));
        assert_eq!(count(), 1);
        let name = fs::read_dir(dir.path()).expect("a folder").flatten().next();
        let name = name.expect("one").file_name().into_string().expect("ASCII");
        assert!(shared::file::is_under_way(&name), "{name}");
    }

    #[test]
    fn what_is_there_is_not_replaced() {
        let dir = tempfile::tempdir().expect("there is room");
        let place = dir.path().join("file");
        let spool = beside(&place, &root(b"x"), 1).expect("there is room");
        fs::write(&place, b"other").expect("there is room");
        assert!(matches!(spool.keep_new(), Err(ClientError::Exists { .. })));
        assert_eq!(fs::read(&place).expect("it is there"), b"other");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_a_spool_is_not_followed() {
        let dir = tempfile::tempdir().expect("there is room");
        let (place, target) = (dir.path().join("file"), dir.path().join("target"));
        let whole = root(b"x");
        let spool = beside(&place, &whole, 1).expect("there is room");
        let path = spool.name.path.clone().expect("it has a name");
        spool.piece(0).write(b"x").expect("there is room");
        drop(spool);
        fs::remove_file(&path).expect("it is there");
        fs::write(&target, b"precious").expect("there is room");
        std::os::unix::fs::symlink(&target, &path).expect("there is room");
        assert!(matches!(beside(&place, &whole, 1), Err(ClientError::Exists { .. })));
        assert_eq!(fs::read(&target).expect("it is there"), b"precious");
    }
}
