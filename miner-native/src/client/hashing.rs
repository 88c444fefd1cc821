//! A file's names, computed on every core: each takes slices of the file ([`shared::piece::division`]), reads and hashes
//! them, and what they found is put together. Called by [`super::source`] (step 2 of a deal) and, for files of several pieces, by
//! [`super::files`].

use super::error::ClientError;
use super::reading;
use super::source::FileFacts;
use sealdrop_encryption::EncryptedFile;
use shared::file::{Cut, FileBuilder, FileSummary};
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{
    assemble, DigestError, Division, PieceSize, PieceSummary, Slice, SliceHasher, SliceNames, BYTES_TOGETHER,
};
use shared::wire::cbor::Bytes;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

/// Memory for what is read and not hashed yet, of all threads together.
const MAX_BUFFERS: usize = 512 << 20;
/// More threads than this read from no disk faster.
const MAX_THREADS: usize = 128;

/// A file, and the key where it is encrypted: then its ciphertext is measured, which is made for that and goes nowhere.
#[derive(Clone, Copy)]
pub(super) struct Measured<'a> {
    pub facts: &'a FileFacts,
    pub key: Option<&'a EncryptedFile>,
}

/// Computes both names of a part of the file as it is described, or of all of it, in constant memory; `progress` is told the bytes done
/// so far, by any thread. Fails with [`ClientError::Changed`] when the file is not the described one, or not any more.
pub(super) fn digest(
    file: Measured<'_>,
    part: Range<u64>,
    deal: &str,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<PieceSummary, ClientError> {
    digest_on((file, part), deal, cores(), progress)
}

fn digest_on(
    (file, part): (Measured<'_>, Range<u64>),
    deal: &str,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<PieceSummary, ClientError> {
    let size = part.end.saturating_sub(part.start);
    let tasks = tasks_of(file.facts, 0, part, threads)?;
    let names = hash_all((file, deal), tasks, threads, progress)?;
    let names: Vec<SliceNames> = names.into_iter().map(|(_, names)| names).collect();
    assemble(size, &names).map_err(|e| refused(file.facts, e))
}

/// A file's pieces with the nodes that serving each needs.
pub(super) struct Digested {
    pub summary: FileSummary,
    pub nodes: Vec<Vec<Bytes>>,
}

/// Computes the names of a file and of all its pieces in one pass, as [`digest`] does those of one.
pub(super) fn digest_file(
    file: Measured<'_>,
    cut: Cut,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Digested, ClientError> {
    digest_file_on(file, cut, cores(), progress)
}

fn digest_file_on(
    file: Measured<'_>,
    cut: Cut,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Digested, ClientError> {
    let mut tasks = Vec::new();
    for index in 0..cut.pieces() {
        let part = cut.piece(index).unwrap_or_default();
        tasks.extend(tasks_of(file.facts, index, part, threads)?);
    }
    let wrong = |source| ClientError::FileDigest {
        path: file.facts.path.clone(),
        source,
    };
    let mut names = hash_all((file, ""), tasks, threads, progress)?.into_iter().peekable();
    let (mut builder, mut nodes) = (FileBuilder::new(cut), Vec::new());
    for index in 0..cut.pieces() {
        let mut slices = Vec::new();
        while let Some((_, slice)) = names.next_if(|(piece, _)| *piece == index) {
            slices.push(slice);
        }
        let piece = builder.push(&slices).map_err(wrong)?;
        nodes.push(piece.nodes.into_iter().map(|(_, bytes)| Bytes(bytes)).collect());
    }
    let summary = builder.finish().map_err(wrong)?;
    Ok(Digested { summary, nodes })
}

fn cores() -> usize {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.min(MAX_THREADS)
}

/// A slice of a piece.
struct Task {
    piece: u64,
    /// Where the piece begins in the file.
    start: u64,
    slice: Slice,
}

fn tasks_of(facts: &FileFacts, piece: u64, part: Range<u64>, threads: usize) -> Result<Vec<Task>, ClientError> {
    let size = PieceSize::new(part.end.saturating_sub(part.start));
    let size = size.map_err(|e| refused(facts, DigestError::CommP(e.into())))?;
    let (division, start) = (Division::new(size, threads as u64), part.start);
    let slices = (0..division.slices()).map(|index| division.slice(index));
    Ok(slices.map(|slice| Task { piece, start, slice }).collect())
}

/// The names of all slices, in order, each with the index of its piece.
fn hash_all(
    (file, deal): (Measured<'_>, &str),
    tasks: Vec<Task>,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<(u64, SliceNames)>, ClientError> {
    let largest = tasks.iter().map(|task| task.slice.read());
    let largest = largest
        .map(|read| read.end.saturating_sub(read.start))
        .max()
        .unwrap_or_default();
    let largest = usize::try_from(largest.saturating_add(LEAF_BYTES)).unwrap_or(usize::MAX);
    let threads = threads.min(tasks.len());
    // What is made of a file is beside what was read of it, and beside what is hashed.
    let buffers = if file.key.is_some() { 3 } else { 1 };
    let work = Work {
        file,
        deal,
        tasks,
        buffer: buffer_bytes(threads.saturating_mul(buffers)).min(largest),
        next: AtomicUsize::new(0),
        done: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        progress,
    };
    let found = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| work.take_slices())).collect();
        let ended = running.into_iter().map(|thread| {
            let crashed = |_| {
                Err(ClientError::file("read", &file.facts.path)(io::Error::other(
                    "a thread crashed",
                )))
            };
            thread.join().unwrap_or_else(crashed)
        });
        ended.collect::<Vec<_>>()
    });
    let mut slices = Vec::new();
    for found in found {
        slices.extend(found?);
    }
    slices.sort_unstable_by_key(|(index, ..)| *index);
    Ok(slices.into_iter().map(|(_, piece, names)| (piece, names)).collect())
}

fn refused(facts: &FileFacts, source: DigestError) -> ClientError {
    ClientError::Digest {
        path: facts.path.clone(),
        source,
    }
}

/// Whole leaves, as many as the widest kernel hashes together where the memory allows, and room for the rest of another.
fn buffer_bytes(threads: usize) -> usize {
    let leaf = LEAF_BYTES as usize;
    let share = MAX_BUFFERS / threads.max(1) / leaf * leaf;
    share.saturating_sub(leaf).clamp(leaf, BYTES_TOGETHER) + leaf
}

/// What the threads share.
struct Work<'a> {
    file: Measured<'a>,
    deal: &'a str,
    tasks: Vec<Task>,
    buffer: usize,
    /// The first slice that nobody has taken.
    next: AtomicUsize,
    done: AtomicU64,
    failed: AtomicBool,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Work<'_> {
    /// One thread's part: takes slices until there are none, or until a thread fails.
    fn take_slices(&self) -> Result<Vec<(usize, u64, SliceNames)>, ClientError> {
        let taken = self.try_slices();
        if taken.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        taken
    }

    fn try_slices(&self) -> Result<Vec<(usize, u64, SliceNames)>, ClientError> {
        let unreadable = || ClientError::file("read", &self.file.facts.path);
        let mut file = File::open(&self.file.facts.path).map_err(ClientError::file("open", &self.file.facts.path))?;
        let mut buffer = vec![0; self.buffer];
        let mut found = Vec::new();
        while !self.failed.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = self.tasks.get(index) else {
                break;
            };
            let names = self.hash(task, &mut file, &mut buffer);
            // A file that changed is said to have changed, whatever reading and hashing make of it.
            if !self.file.facts.matches(&file.metadata().map_err(unreadable())?) {
                return Err(self.file.facts.changed(self.deal));
            }
            found.push((index, task.piece, names?));
        }
        Ok(found)
    }

    fn hash(&self, task: &Task, file: &mut File, buffer: &mut [u8]) -> Result<SliceNames, ClientError> {
        let unreadable = || ClientError::file("read", &self.file.facts.path);
        let refused = |e| refused(self.file.facts, DigestError::CommP(e));
        let (counted, read) = (task.slice.bytes.clone(), task.slice.read());
        let mut hasher = SliceHasher::new(task.slice.clone());
        for part in parts(read, buffer.len() as u64) {
            if self.failed.load(Ordering::Relaxed) {
                break;
            }
            let (bytes, _) = buffer.split_at_mut((part.end - part.start) as usize);
            let at = task.start.saturating_add(part.start);
            reading::read_stored(file, self.file.key, at, bytes).map_err(unreadable())?;
            hasher.push(bytes).map_err(refused)?;
            let counted = part.end.min(counted.end).saturating_sub(part.start);
            (self.progress)(self.done.fetch_add(counted, Ordering::Relaxed) + counted);
        }
        hasher.finish().map_err(refused)
    }
}

/// Parts of a range, each at most `most` bytes (more than a leaf), that end where leaves end: so leaves are hashed
/// together.
fn parts(read: Range<u64>, most: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = read.start;
    std::iter::from_fn(move || {
        let part = at..((at + most - 1) / LEAF_BYTES * LEAF_BYTES).min(read.end);
        at = part.end;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::file::FileDigest;
    use shared::piece::{PieceDigest, SectorSize};
    use std::path::PathBuf;
    use std::sync::Mutex;

    /// Nine MiB and a bit: two slices, the second a short one.
    const SIZE: usize = (9 << 20) + 12345;

    fn file() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..SIZE).map(|i| (i * 131 + (i >> 9) * 7) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        (dir, path, bytes)
    }

    fn clear(facts: &FileFacts) -> Measured<'_> {
        Measured { facts, key: None }
    }

    #[test]
    fn any_number_of_threads_finds_the_names_of_one_pass_and_counts_every_byte_once() {
        let (_dir, path, bytes) = file();
        let mut whole = PieceDigest::new();
        whole.push(&bytes).unwrap();
        let whole = whole.finish().unwrap();
        let facts = FileFacts::of(&path).unwrap();
        for threads in [1, 2, 7] {
            let seen = Mutex::new(0);
            let progress = |done: u64| {
                let mut seen = seen.lock().unwrap();
                *seen = done.max(*seen);
            };
            assert_eq!(
                digest_on((clear(&facts), 0..SIZE as u64), "", threads, &progress).unwrap(),
                whole
            );
            assert_eq!(*seen.lock().unwrap(), SIZE as u64);
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_said_to_have_changed() {
        let (_dir, path, _) = file();
        for size in [SIZE as u64 / 2, SIZE as u64 * 2] {
            let facts = FileFacts::of(&path).unwrap();
            let change = |_: u64| File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
            let digest = digest_on((clear(&facts), 0..facts.size), "d", 1, &change);
            assert!(matches!(digest, Err(ClientError::Changed { .. })), "{digest:?}");
        }
    }

    #[test]
    fn one_pass_over_a_file_finds_the_names_of_all_its_pieces() {
        let (_dir, path, bytes) = file();
        let cut = Cut::new(SIZE as u64, SectorSize::S8MiB).unwrap();
        let mut one_core = FileDigest::new(cut);
        one_core.push(&bytes).unwrap();
        let expected = one_core.finish().unwrap();
        let facts = FileFacts::of(&path).unwrap();
        for threads in [1, 3] {
            let seen = Mutex::new(0);
            let progress = |done: u64| {
                let mut seen = seen.lock().unwrap();
                *seen = done.max(*seen);
            };
            let found = digest_file_on(clear(&facts), cut, threads, &progress).unwrap();
            assert_eq!(found.summary, expected);
            assert_eq!(*seen.lock().unwrap(), SIZE as u64);
            assert_eq!(found.nodes.len(), 2);
            let part = digest_on((clear(&facts), 7 << 20..SIZE as u64), "", threads, &|_| {}).unwrap();
            assert_eq!(part.data_cid, expected.pieces()[1].data_cid);
            assert_eq!(part.nodes.len(), found.nodes[1].len());
        }
    }

    #[test]
    fn reads_end_where_leaves_end_and_cover_the_range_once() {
        let leaf = LEAF_BYTES;
        for (range, most) in [
            (0..1, leaf + 1),
            (5..40 * leaf + 7, 17 * leaf),
            (leaf..9 * leaf, 2 * leaf),
            (7..8 * leaf, leaf + 1),
        ] {
            let mut at = range.start;
            for part in parts(range.clone(), most) {
                assert_eq!(part.start, at);
                assert!(part.end - part.start <= most);
                assert!(part.end % leaf == 0 || part.end == range.end, "{part:?}");
                at = part.end;
            }
            assert_eq!(at, range.end);
        }
    }

    #[test]
    fn the_buffers_of_all_threads_stay_within_the_memory_that_is_meant_for_them() {
        for threads in [1, 2, 16, 31, 100, MAX_THREADS] {
            let each = buffer_bytes(threads);
            assert!(each >= 2 << 20 && threads * each <= MAX_BUFFERS, "{threads}");
        }
        assert_eq!(buffer_bytes(2), BYTES_TOGETHER + (1 << 20));
    }
}
