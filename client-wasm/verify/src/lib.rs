//! `sealdrop-verify` as a WebAssembly module of its own, which a page loads in a worker when somebody wants to see a proof checked.
//!
//! Plain exports without generated glue; `client-wasm/js/verify-module.ts` is their only caller and gives them types. Bytes go in through one
//! buffer: ask [`input`] for room, write there, then call; numbers in it are little-endian. What a call says lies at [`output`] until the next one.
//! The verifying keys are not in here: they hardly compress, and a page needs one or two of the six. [`key`] takes the bytes of one and
//! holds them against the digest that is in here.
//!
//! Without `std`, as `client-wasm/commp`: a panic, which is a bug, traps. On a machine other than the browser this crate is empty.
#![no_std]
#![cfg(target_arch = "wasm32")]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use sealdrop_verify::{check_seal, check_window_post, Circuit, Key, Refusal, MAX_WINDOW_SECTORS, PARTITION_PROOF};
use shared::piece::{Commitment, SectorSize};
use shared::ports::verifier::{SealClaim, WindowPoStClaim};
use spin::{Mutex, MutexGuard};

/// Bytes of the largest claim: a window's sectors with number and CommR, and a proof for every second of them. It has some more room.
const MAX_INPUT: usize = MAX_WINDOW_SECTORS * (40 + PARTITION_PROOF);

/// The proof holds.
const HOLDS: u32 = 1;
/// It does not; the output says why.
const REFUSED: u32 = 2;
/// Nothing was checked; the output says why.
const UNCHECKED: u32 = 3;

struct Module {
    input: Vec<u8>,
    output: String,
    keys: BTreeMap<(Circuit, u64), Key>,
}

static MODULE: Mutex<Module> = Mutex::new(Module {
    input: Vec::new(),
    output: String::new(),
    keys: BTreeMap::new(),
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

fn words(error: impl Display) -> String {
    error.to_string()
}

impl Module {
    fn written(&self, length: usize) -> Result<&[u8], String> {
        self.input.get(..length).ok_or_else(|| words("ask for room first"))
    }

    /// A claim of `length` bytes is read and checked.
    fn check<C>(
        &mut self,
        circuit: Circuit,
        size: f64,
        length: usize,
        read: impl FnOnce(SectorSize, &[u8]) -> Option<C>,
        check: impl FnOnce(&Key, &C) -> Result<(), Refusal>,
    ) -> u32 {
        let claim = || {
            let size = SectorSize::from_bytes(size as u64).map_err(words)?;
            let key = self.keys.get(&(circuit, size.bytes()));
            let key = key.ok_or_else(|| words("there is no verifying key for this"))?;
            let claim = read(size, self.written(length)?).ok_or_else(|| words("the claim is cut off"))?;
            Ok((key, claim))
        };
        let (verdict, text) = match claim() {
            Err(reason) => (UNCHECKED, reason),
            Ok((key, claim)) => match check(key, &claim) {
                Ok(()) => (HOLDS, String::new()),
                Err(refusal) => (REFUSED, words(refusal)),
            },
        };
        self.output = text;
        verdict
    }
}

/// Room for `length` bytes, valid until it is called again; null for more than any claim has.
#[no_mangle]
pub extern "C" fn input(length: usize) -> *mut u8 {
    let input = &mut module().input;
    if length > MAX_INPUT {
        return core::ptr::null_mut();
    }
    if input.len() < length {
        input.resize(length, 0);
    }
    input.as_mut_ptr()
}

/// Where the reason of the last verdict begins.
#[no_mangle]
pub extern "C" fn output() -> *const u8 {
    module().output.as_ptr()
}

/// Bytes of that reason.
#[no_mangle]
pub extern "C" fn output_length() -> usize {
    module().output.len()
}

/// Takes a verifying key of `length` bytes for sectors of `size` bytes, for seals or for windows; tells whether it is the known one, and leaves its
/// SHA-256 as hexadecimal.
#[no_mangle]
pub extern "C" fn key(window: bool, size: f64, length: usize) -> bool {
    let mut module = module();
    let circuit = circuit(window);
    let read = || {
        let size = SectorSize::from_bytes(size as u64).map_err(words)?;
        Key::pinned(circuit, size, module.written(length)?).map_err(words)
    };
    let (text, key) = match read() {
        Ok(key) => (hex::encode(key.digest()), Some(key)),
        Err(reason) => (reason, None),
    };
    let known = key.is_some();
    if let Some(key) = key {
        module.keys.insert((circuit, size as u64), key);
    }
    module.output = text;
    known
}

fn circuit(window: bool) -> Circuit {
    match window {
        false => Circuit::PoRep,
        true => Circuit::WindowPoSt,
    }
}

/// Checks a seal: CommR, CommD, prover id, ticket, seed (32 bytes each), sector number (8), proof.
#[no_mangle]
pub extern "C" fn seal(size: f64, length: usize) -> u32 {
    module().check(Circuit::PoRep, size, length, read_seal, check_seal)
}

fn read_seal(sector_size: SectorSize, mut rest: &[u8]) -> Option<SealClaim> {
    Some(SealClaim {
        sector_size,
        comm_r: Commitment(take(&mut rest)?),
        comm_d: Commitment(take(&mut rest)?),
        prover_id: take(&mut rest)?,
        ticket: take(&mut rest)?,
        seed: take(&mut rest)?,
        sector: u64::from_le_bytes(take(&mut rest)?),
        proof: rest.to_vec(),
    })
}

/// Checks a window: prover id, randomness (32 bytes each), number of sectors (4), for each its number (8) and CommR (32); proof.
#[no_mangle]
pub extern "C" fn window(size: f64, length: usize) -> u32 {
    module().check(Circuit::WindowPoSt, size, length, read_window, check_window_post)
}

fn read_window(sector_size: SectorSize, mut rest: &[u8]) -> Option<WindowPoStClaim> {
    let (prover_id, randomness) = (take(&mut rest)?, take(&mut rest)?);
    let count = u32::from_le_bytes(take(&mut rest)?);
    let sector = |_| Some((u64::from_le_bytes(take(&mut rest)?), Commitment(take(&mut rest)?)));
    // Ends with the bytes that there are.
    let sectors = (0..count).map(sector).collect::<Option<_>>()?;
    Some(WindowPoStClaim {
        sector_size,
        prover_id,
        randomness,
        sectors,
        proof: rest.to_vec(),
    })
}

/// The next bytes of `rest`, which it loses.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}
