//! Which of several native kernels is the fastest here: tried once a process, for about a tenth of a millisecond.
//!
//! The order is not the same everywhere. AMD's Zen 4 starts a SHA round instruction every cycle, and SHA-NI is ahead of
//! AVX-512 by a quarter; Intel's Sapphire Rapids starts one in three cycles, and is twice as fast with AVX-512. A list
//! of models would be wrong for the next one. What the counter says changes how long work takes, never what comes out of
//! it: the rules of this crate still know no time.

use super::{runs_here, Work, MAX_LANES, NATIVE, QUAD};
use core::sync::atomic::{AtomicU32, Ordering};

/// Trials of each kernel; the best counts, so that an interruption does not.
const TRIALS: usize = 3;
/// Quads of a run, as a power of two: the fewest with which starting and ending the run does not decide.
const HEIGHT: u32 = 2;
/// Blocks of a leaf in a trial.
const BLOCKS: usize = 16;

#[allow(clippy::declare_interior_mutable_const)] // Only to fill the tables below with.
const UNKNOWN: AtomicU32 = AtomicU32::new(0);
/// Ticks for one lane, by kernel; 0: not tried yet. Of threads that try at once, the first decides.
static ROOTS: [AtomicU32; NATIVE.len()] = [UNKNOWN; NATIVE.len()];
static LEAVES: [AtomicU32; NATIVE.len()] = [UNKNOWN; NATIVE.len()];

/// Ticks that the native kernel of this index takes for a lane of work; [`u32::MAX`] for one that does not run here.
pub fn cost(index: usize, work: Work) -> u32 {
    let table = match work {
        Work::Roots => &ROOTS,
        Work::Leaves => &LEAVES,
    };
    if table[index].load(Ordering::Relaxed) == 0 {
        let found = trials(work);
        for (known, found) in table.iter().zip(found) {
            // Already known: another thread was faster.
            let _ = known.compare_exchange(0, found, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
    table[index].load(Ordering::Relaxed)
}

fn trials(work: Work) -> [u32; NATIVE.len()] {
    let mut best = [u32::MAX; NATIVE.len()];
    // In turns, so that whatever else the processor does meets all alike.
    for _ in 0..TRIALS {
        for (index, runs) in runs_here().into_iter().enumerate() {
            if runs {
                best[index] = best[index].min(trial(index, work));
            }
        }
    }
    best
}

fn trial(index: usize, work: Work) -> u32 {
    let kernel = &NATIVE[index];
    let bytes = [0; MAX_LANES * (QUAD << HEIGHT)];
    let blocks = [[0; 64]; BLOCKS];
    let (start, lanes) = match work {
        Work::Roots => {
            let mut nodes = [[0; 32]; MAX_LANES];
            let (bytes, nodes) = (&bytes[..kernel.lanes * (QUAD << HEIGHT)], &mut nodes[..kernel.lanes]);
            let start = ticks();
            kernel.roots(bytes, HEIGHT, nodes);
            core::hint::black_box(nodes);
            (start, kernel.lanes)
        }
        Work::Leaves => {
            let mut states = [[0; 8]; MAX_LANES];
            let leaves = [&blocks[..]; MAX_LANES];
            let start = ticks();
            kernel.compress(&mut states[..kernel.leaves], &leaves[..kernel.leaves]);
            core::hint::black_box(states);
            (start, kernel.leaves)
        }
    };
    let taken = ticks().wrapping_sub(start) / lanes as u64;
    // Never 0, which says that nothing is known.
    u32::try_from(taken).unwrap_or(u32::MAX).max(1)
}

/// The processor's own counter.
fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction; it reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}
