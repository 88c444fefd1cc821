//! What hashing a file and reading a manifest hold, counted at the allocator: files of 64 GiB and more, whose bytes nobody hashes, and
//! the largest manifests, true and hostile. One test alone in its program, since everything that is allocated counts.

use shared::file::{
    Cut, FileDigest, FileEntry, FilePiece, HashPiece, Manifest, RelativePath, MAX_FILE, MAX_FILES, MAX_MANIFEST_BYTES,
};
use shared::piece::node::raw_cid;
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{Commitment, PieceError, PieceSize, SectorSize, SliceNames, SubtreeRoot};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const MIB: usize = 1 << 20;
const GIB: u64 = 1 << 30;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's allocator does everything; this counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: the caller's promises are the system's allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: likewise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Stands for SHA-256 and CommP: digests of the right number and a root of the right height, from nothing.
struct NoHash {
    size: u64,
    taken: u64,
}

impl HashPiece for NoHash {
    fn begin(size: u64) -> Self {
        Self { size, taken: 0 }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), PieceError> {
        self.taken += bytes.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<SliceNames, PieceError> {
        assert_eq!(self.taken, self.size, "a piece gets its bytes and no others");
        Ok(SliceNames {
            root: SubtreeRoot {
                height: PieceSize::new(self.size)?.padded().height(),
                root: Commitment([0; 32]),
            },
            leaves: vec![[0; 32]; self.size.div_ceil(LEAF_BYTES) as usize],
        })
    }
}

/// Hashes a file of `size` bytes; returns the bytes held at most while that is done, and after it.
fn held(size: u64, sector: SectorSize, pieces: usize) -> (usize, usize) {
    let part = vec![0; 64 * MIB];
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let mut digest = FileDigest::<NoHash>::hashed_by(Cut::new(size, sector).expect("below the bounds"));
    let mut left = size;
    while left > 0 {
        let step = left.min(part.len() as u64);
        digest.push(&part[..step as usize]).expect("as many as were announced");
        left -= step;
    }
    let file = digest.finish().expect("all bytes");
    let most = MOST.load(Relaxed) - before;
    let after = HELD.load(Relaxed) - before;
    assert_eq!(file.size(), size);
    assert_eq!(file.pieces().len(), pieces);
    assert_eq!(file.pieces().last().map(shared::file::FilePiece::end), Some(size));
    (most, after)
}

/// Reads what somebody says is a manifest; returns the bytes held at most while that is done.
fn held_reading(bytes: &[u8]) -> (usize, bool) {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let is_one = Manifest::read(bytes).is_ok();
    (MOST.load(Relaxed) - before, is_one)
}

/// The largest folder: as many files as it may have, with a piece each, and long names.
fn largest_folder() -> Vec<u8> {
    let file = |index: usize| {
        let piece = FilePiece {
            offset: 0,
            size: 300,
            data_cid: raw_cid(&index.to_le_bytes()),
            comm_p: Commitment([7; 32]),
        };
        let path = RelativePath::parse(&format!("{index:05}{}", "n".repeat(245))).expect("a name");
        FileEntry::new(path, 300, piece.data_cid, vec![piece]).expect("one piece is the file")
    };
    let name = RelativePath::parse("folder").expect("a name");
    let folder = Manifest::folder(name, (0..MAX_FILES).map(file).collect()).expect("as many as may be");
    folder.to_bytes().expect("not too large")
}

/// Small items, which take most memory for their bytes, as many as are taken: one array of them.
fn many(item: &[u8], items_each: usize) -> Vec<u8> {
    let count = 327_000 / items_each;
    let head = [[0x9a].as_slice(), &(count as u32).to_be_bytes()].concat();
    [head, item.repeat(count)].concat()
}

#[test]
fn hashing_a_file_and_reading_a_manifest_hold_a_few_mib_however_large_they_are() {
    for (what, bytes, most, expected) in [
        ("the largest folder", largest_folder(), 46, true),
        ("7 MiB of one-byte items", vec![0x80; MAX_MANIFEST_BYTES], 1, false),
        (
            "a text of 7 MiB",
            [
                [0x7a, 0, 0x6f, 0xff, 0xfb].as_slice(),
                &vec![b'x'; MAX_MANIFEST_BYTES - 5],
            ]
            .concat(),
            13,
            false,
        ),
        ("empty arrays", many(&[0x80], 1), 32, false),
        ("arrays of one", many(&[0x81, 0x00], 2), 32, false),
        ("maps of one", many(&[0xa1, 0x00, 0x00], 3), 32, false),
        ("texts", many(b"\x61x", 1), 32, false),
        ("tags", many(&[0xc1, 0x00], 2), 32, false),
    ] {
        let (found, is_one) = held_reading(&bytes);
        println!("{what}: {found} bytes held for {}", bytes.len());
        assert_eq!(is_one, expected, "{what}");
        assert!(found <= most * MIB, "{what}: {found} bytes");
    }
    for (size, sector, pieces, most, after) in [
        (64 * GIB, SectorSize::S8MiB, 9363, 5, 4),
        (64 * GIB + 1, SectorSize::S32GiB, 3, 12, 3),
        (100 * GIB, SectorSize::S8MiB, 14_629, 7, 6),
        (100 * GIB, SectorSize::S32GiB, 4, 13, 4),
        (MAX_FILE, SectorSize::S32GiB, 33, 41, 33),
    ] {
        let (found_most, found_after) = held(size, sector, pieces);
        println!("{size} bytes on {sector}: {found_most} bytes held at most, {found_after} after it");
        assert!(
            found_most <= most * MIB,
            "{size} bytes on {sector}: {found_most} at most"
        );
        assert!(
            found_after <= after * MIB,
            "{size} bytes on {sector}: {found_after} after it"
        );
    }
}
