//! CommP and data root as a WebAssembly module of its own: small, so that every worker of the page's pool can have one.
//!
//! Plain exports without generated glue; `client-wasm/js/commp.ts` is their only caller and gives them types. Bytes go in
//! through one buffer: ask [`input`] for room, write there, then call. Results lie at [`output`] until the next call,
//! structured ones as JSON. A function that can fail returns false and leaves the reason, as text, as its result.
//!
//! A worker asks where a [`slice`] lies, and calls [`begin`], [`push`] and [`finish`] for it; the page [`divide`]s the file before that and calls
//! [`add_slice`] and [`assemble`] after it. Of a file that is [`cut`] into pieces each piece is divided so: [`begin_file`], then [`add_slice`] and
//! [`add_piece`] for each piece in order, then [`finish_file`]. The rules are those of `shared::piece` and `shared::file`, which the miner runs too.
//!
//! Without `std`, whose way to report panics would be a third of the module: here a panic, which is a bug, traps. On a
//! machine other than the browser this crate is empty.
#![no_std]
#![cfg(target_arch = "wasm32")]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::{Display, Write};
use spin::{Mutex, MutexGuard};

use shared::file::{Cut, FileBuilder};
use shared::piece::division::{assemble as names_of, Division, Slice, SliceHasher, SliceNames};
use shared::piece::size::{SectorSize, MAX_HEIGHT};
use shared::piece::{Commitment, PieceSize, PieceSummary, SubtreeRoot};

/// Bytes of a slice's names before its leaves: height and root.
const NAMES_HEAD: usize = 33;

/// The state of an instance: one slice under way, or the slices and pieces of one file.
struct Module {
    input: Vec<u8>,
    output: Vec<u8>,
    hasher: Option<SliceHasher>,
    slices: Vec<SliceNames>,
    /// The file whose pieces are put together.
    file: Option<FileBuilder>,
    /// Interior nodes of the file or piece that was assembled last.
    nodes: Vec<Vec<u8>>,
}

static MODULE: Mutex<Module> = Mutex::new(Module {
    input: Vec::new(),
    output: Vec::new(),
    hasher: None,
    slices: Vec::new(),
    file: None,
    nodes: Vec::new(),
});

/// Never waits: an instance has one thread, and no export calls another.
fn module() -> MutexGuard<'static, Module> {
    MODULE.lock()
}

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

impl Module {
    /// Leaves a result; tells whether it is one.
    fn answer(&mut self, outcome: Result<Vec<u8>, String>) -> bool {
        let succeeded = outcome.is_ok();
        self.output = outcome.unwrap_or_else(String::into_bytes);
        succeeded
    }

    /// Keeps the nodes for [`node`]; gives the piece as text.
    fn keep_nodes(&mut self, piece: PieceSummary) -> Vec<u8> {
        let text = piece_text(&piece);
        self.nodes = piece.nodes.into_iter().map(|(_, bytes)| bytes).collect();
        text.into_bytes()
    }

    fn written(&self, length: usize) -> Result<&[u8], String> {
        let room = self.input.len();
        self.input
            .get(..length)
            .ok_or_else(|| format!("{length} bytes do not lie in a buffer of {room}; ask for room first"))
    }
}

fn words(error: impl Display) -> String {
    error.to_string()
}

/// Sizes come as JavaScript numbers, which hold the largest file's exactly.
fn division(size: f64, height: u32) -> Result<Division, String> {
    let size = PieceSize::new(size as u64).map_err(words)?;
    let division = u8::try_from(height)
        .ok()
        .and_then(|height| Division::of_height(size, height));
    division.ok_or_else(|| format!("no slice has height {height}; heights go from 2 to {MAX_HEIGHT}"))
}

/// Room for `length` bytes. Valid until it is called again.
#[no_mangle]
pub extern "C" fn input(length: usize) -> *mut u8 {
    let input = &mut module().input;
    if input.len() < length {
        input.resize(length, 0);
    }
    input.as_mut_ptr()
}

/// Where the result begins.
#[no_mangle]
pub extern "C" fn output() -> *const u8 {
    module().output.as_ptr()
}

/// Bytes of the result.
#[no_mangle]
pub extern "C" fn output_length() -> usize {
    module().output.len()
}

/// How a file of `size` bytes is shared by that many workers: `{"height":…,"slices":…}`. With a `height` that is not 0, as
/// it was divided before.
#[no_mangle]
pub extern "C" fn divide(size: f64, workers: u32, height: u32) -> bool {
    let divided = match height {
        0 => PieceSize::new(size as u64)
            .map_err(words)
            .map(|size| Division::new(size, workers.into())),
        _ => division(size, height),
    };
    let outcome = divided
        .map(|division| format!(r#"{{"height":{},"slices":{}}}"#, division.height(), division.slices()).into_bytes());
    module().answer(outcome)
}

/// Where a slice lies: `{"bytes":[from,to],"leaves":[from,to]}`, places in the file. To be pushed is what lies between the
/// first `from` and the larger `to`.
#[no_mangle]
pub extern "C" fn slice(size: f64, height: u32, index: f64) -> bool {
    let outcome = slice_at(size, height, index).map(|slice| {
        let (bytes, leaves) = (&slice.bytes, &slice.leaves);
        format!(
            r#"{{"bytes":[{},{}],"leaves":[{},{}]}}"#,
            bytes.start, bytes.end, leaves.start, leaves.end
        )
        .into_bytes()
    });
    module().answer(outcome)
}

/// Begins a slice. Without `leaves`, only its root is computed.
#[no_mangle]
pub extern "C" fn begin(size: f64, height: u32, index: f64, leaves: bool) -> bool {
    let mut module = module();
    let outcome = slice_at(size, height, index).map(|slice| {
        module.hasher = Some(match leaves {
            true => SliceHasher::new(slice),
            false => SliceHasher::without_leaves(slice),
        });
        Vec::new()
    });
    module.answer(outcome)
}

fn slice_at(size: f64, height: u32, index: f64) -> Result<Slice, String> {
    let division = division(size, height)?;
    // As a whole number: writing floating-point numbers would add a sixth to the module.
    let index = index as u64;
    let slice = division.slice(index);
    if slice.bytes.is_empty() {
        let slices = division.slices();
        return Err(format!("the file has {slices} slices, so there is no slice {index}"));
    }
    Ok(slice)
}

/// Takes the slice's next `length` bytes from the buffer.
#[no_mangle]
pub extern "C" fn push(length: usize) -> bool {
    let mut module = module();
    let hasher = module.hasher.take();
    let outcome = hasher
        .ok_or_else(|| words("no slice was begun"))
        .and_then(|mut hasher| {
            hasher.push(module.written(length)?).map_err(words)?;
            module.hasher = Some(hasher);
            Ok(Vec::new())
        });
    module.answer(outcome)
}

/// Ends the slice: its names, as [`add_slice`] takes them: height (1 byte), root (32), digests of its leaves (32 each).
#[no_mangle]
pub extern "C" fn finish() -> bool {
    let mut module = module();
    let hasher = module.hasher.take();
    let outcome = hasher.ok_or_else(|| words("no slice was begun")).and_then(|hasher| {
        let names = hasher.finish().map_err(words)?;
        let mut bytes = vec![names.root.height];
        bytes.extend_from_slice(names.root.root.as_bytes());
        bytes.extend(names.leaves.iter().flatten());
        Ok(bytes)
    });
    module.answer(outcome)
}

/// Takes the names of the file's next slice, `length` bytes, from the buffer.
#[no_mangle]
pub extern "C" fn add_slice(length: usize) -> bool {
    let mut module = module();
    let outcome = module.written(length).and_then(read_names).map(|names| {
        module.slices.push(names);
        Vec::new()
    });
    module.answer(outcome)
}

fn read_names(bytes: &[u8]) -> Result<SliceNames, String> {
    let damaged = || format!("{} bytes are no slice's names; hash the slice again", bytes.len());
    let (head, leaves) = bytes.split_first_chunk::<NAMES_HEAD>().ok_or_else(damaged)?;
    let (leaves, rest) = leaves.as_chunks();
    if !rest.is_empty() {
        return Err(damaged());
    }
    let root = Commitment::try_from(&head[1..]).map_err(words)?;
    Ok(SliceNames {
        root: SubtreeRoot { height: head[0], root },
        leaves: leaves.to_vec(),
    })
}

/// The names of a file of `size` bytes from those of the slices that were added, which are forgotten: JSON like the public
/// type `Piece`, with the CIDs of the nodes; [`node`] has their bytes.
#[no_mangle]
pub extern "C" fn assemble(size: f64) -> bool {
    let mut module = module();
    let slices = core::mem::take(&mut module.slices);
    let piece = names_of(size as u64, &slices).map_err(words);
    let outcome = piece.map(|piece| module.keep_nodes(piece));
    module.answer(outcome)
}

/// Where a file of `size` bytes is cut for sectors of that size: `{"pieces":…,"step":…}`, the bytes of every piece but the last.
#[no_mangle]
pub extern "C" fn cut(size: f64, sector: f64) -> bool {
    let outcome = cut_of(size, sector).map(|cut| {
        let step = cut.piece(0).map_or(0, |first| first.end);
        format!(r#"{{"pieces":{},"step":{step}}}"#, cut.pieces()).into_bytes()
    });
    module().answer(outcome)
}

fn cut_of(size: f64, sector: f64) -> Result<Cut, String> {
    let sector = SectorSize::from_bytes(sector as u64).map_err(words)?;
    Cut::new(size as u64, sector).map_err(words)
}

/// Begins a file of `size` bytes that is cut like that; one that was begun and not finished is forgotten.
#[no_mangle]
pub extern "C" fn begin_file(size: f64, sector: f64) -> bool {
    let mut module = module();
    module.slices.clear();
    let outcome = cut_of(size, sector).map(|cut| {
        module.file = Some(FileBuilder::new(cut));
        Vec::new()
    });
    module.answer(outcome)
}

/// Puts the file's next piece together from the slices that were added, which are forgotten; answers like [`assemble`].
#[no_mangle]
pub extern "C" fn add_piece() -> bool {
    let mut module = module();
    let slices = core::mem::take(&mut module.slices);
    let file = module.file.as_mut().ok_or_else(|| words("no file was begun"));
    let piece = file.and_then(|file| file.push(&slices).map_err(words));
    let outcome = piece.map(|piece| module.keep_nodes(piece));
    module.answer(outcome)
}

/// The root of the file whose pieces were all added, as text: what `ipfs add` prints for it.
#[no_mangle]
pub extern "C" fn finish_file() -> bool {
    let mut module = module();
    let file = module.file.take().ok_or_else(|| words("no file was begun"));
    let outcome = file.and_then(|file| file.finish().map_err(words));
    module.answer(outcome.map(|file| cid_text(&file.root().to_bytes()).into_bytes()))
}

fn piece_text(piece: &PieceSummary) -> String {
    let mut text = format!(
        r#"{{"size":{},"paddedSize":{},"commP":"{}","pieceCid":"{}","dataCid":"{}","nodes":["#,
        piece.size,
        piece.padded.bytes(),
        piece.comm_p,
        cid_text(&piece.piece_cid.cid().to_bytes()),
        cid_text(&piece.data_cid.to_bytes())
    );
    for (index, (cid, _)) in piece.nodes.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, r#"{comma}"{}""#, cid_text(&cid.to_bytes()));
    }
    text.push_str("]}");
    text
}

/// A CID as text: `b` for base 32 (RFC 4648, lower case, no padding). The library's own way brings the tables of two dozen
/// other bases along.
fn cid_text(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::from("b");
    for five in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + five.len()].copy_from_slice(five);
        let bits = u64::from_be_bytes(block);
        let digits = (five.len() * 8).div_ceil(5);
        for place in 0..digits {
            text.push(char::from(DIGITS[(bits >> (35 - 5 * place)) as usize % 32]));
        }
    }
    text
}

/// The bytes of a node of the file or piece that was assembled last.
#[no_mangle]
pub extern "C" fn node(index: usize) -> bool {
    let mut module = module();
    let bytes = module.nodes.get_mut(index).map(core::mem::take);
    let outcome = bytes.ok_or_else(|| format!("there is no node {index}"));
    module.answer(outcome)
}
