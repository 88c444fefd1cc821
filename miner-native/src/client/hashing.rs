//! A file's names, computed on every core: each takes slices of the file ([`shared::piece::division`]), reads and hashes
//! them, and what they found is put together. Called by [`super::source`] (step 2 of a deal).

use super::error::ClientError;
use super::source::FileFacts;
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{
    assemble, DigestError, Division, PieceSize, PieceSummary, SliceHasher, SliceNames, BYTES_TOGETHER,
};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Memory for what is read and not hashed yet, of all threads together.
const MAX_BUFFERS: usize = 512 << 20;
/// More threads than this read from no disk faster.
const MAX_THREADS: usize = 128;

/// Computes both names of the file as it is described, in constant memory; `progress` is told the bytes done so far, by
/// any thread. Fails with [`ClientError::Changed`] when the file is not the described one, or not any more.
pub(super) fn digest(
    facts: &FileFacts,
    deal: &str,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<PieceSummary, ClientError> {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    digest_on(facts, deal, cores.min(MAX_THREADS), progress)
}

fn digest_on(
    facts: &FileFacts,
    deal: &str,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<PieceSummary, ClientError> {
    let size = PieceSize::new(facts.size).map_err(|e| refused(facts, DigestError::CommP(e.into())))?;
    let division = Division::new(size, threads as u64);
    let work = Work {
        facts,
        deal,
        division,
        buffer: buffer_bytes(threads),
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        progress,
    };
    let threads = threads.min(usize::try_from(division.slices()).unwrap_or(usize::MAX));
    let found = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| work.take_slices())).collect();
        let ended = running.into_iter().map(|thread| {
            let crashed = |_| {
                Err(ClientError::file("read", &facts.path)(io::Error::other(
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
    slices.sort_unstable_by_key(|(index, _)| *index);
    let names: Vec<SliceNames> = slices.into_iter().map(|(_, names)| names).collect();
    assemble(facts.size, &names).map_err(|e| refused(facts, e))
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
    facts: &'a FileFacts,
    deal: &'a str,
    division: Division,
    buffer: usize,
    /// The first slice that nobody has taken.
    next: AtomicU64,
    done: AtomicU64,
    failed: AtomicBool,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Work<'_> {
    /// One thread's part: takes slices until there are none, or until a thread fails.
    fn take_slices(&self) -> Result<Vec<(u64, SliceNames)>, ClientError> {
        let taken = self.try_slices();
        if taken.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        taken
    }

    fn try_slices(&self) -> Result<Vec<(u64, SliceNames)>, ClientError> {
        let unreadable = || ClientError::file("read", &self.facts.path);
        let mut file = File::open(&self.facts.path).map_err(ClientError::file("open", &self.facts.path))?;
        let mut buffer = vec![0; self.buffer.min(self.largest_read())];
        let mut found = Vec::new();
        while !self.failed.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.division.slices() {
                break;
            }
            let names = self.hash(index, &mut file, &mut buffer);
            // A file that changed is said to have changed, whatever reading and hashing make of it.
            if !self.facts.matches(&file.metadata().map_err(unreadable())?) {
                return Err(self.facts.changed(self.deal));
            }
            found.push((index, names?));
        }
        Ok(found)
    }

    fn hash(&self, index: u64, file: &mut File, buffer: &mut [u8]) -> Result<SliceNames, ClientError> {
        let unreadable = || ClientError::file("read", &self.facts.path);
        let refused = |e| refused(self.facts, DigestError::CommP(e));
        let slice = self.division.slice(index);
        let (counted, read) = (slice.bytes.clone(), slice.read());
        let mut hasher = SliceHasher::new(slice);
        file.seek(SeekFrom::Start(read.start)).map_err(unreadable())?;
        for part in parts(read, buffer.len() as u64) {
            if self.failed.load(Ordering::Relaxed) {
                break;
            }
            let (bytes, _) = buffer.split_at_mut((part.end - part.start) as usize);
            file.read_exact(bytes).map_err(unreadable())?;
            hasher.push(bytes).map_err(refused)?;
            let counted = part.end.min(counted.end).saturating_sub(part.start);
            (self.progress)(self.done.fetch_add(counted, Ordering::Relaxed) + counted);
        }
        hasher.finish().map_err(refused)
    }

    fn largest_read(&self) -> usize {
        let first = self.division.slice(0).read();
        usize::try_from(first.end - first.start + LEAF_BYTES).unwrap_or(usize::MAX)
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
    use shared::piece::PieceDigest;
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
            assert_eq!(digest_on(&facts, "", threads, &progress).unwrap(), whole);
            assert_eq!(*seen.lock().unwrap(), SIZE as u64);
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_said_to_have_changed() {
        let (_dir, path, _) = file();
        for size in [SIZE as u64 / 2, SIZE as u64 * 2] {
            let facts = FileFacts::of(&path).unwrap();
            let change = |_: u64| File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
            let digest = digest_on(&facts, "d", 1, &change);
            assert!(matches!(digest, Err(ClientError::Changed { .. })), "{digest:?}");
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
