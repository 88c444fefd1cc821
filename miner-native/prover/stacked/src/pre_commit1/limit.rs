//! What the processor allows: how many SHA-256 blocks a sector's labels are, and how long one takes after another.

use crate::pre_commit2::Layout;
use crate::sha256::{Sha256, Sha256Kernel, WHOLE_BLOCKS};
use std::time::Instant;

/// SHA-256 compressions of all labels of a sector: 20 a label (64 bytes, 37 parents, padding), 2 for a layer's first.
///
/// One of the 20 does not depend on the label before it, and is hashed beside the others where two fit: a chain can do with
/// 95 % of this number's time.
pub fn compressions(layout: &Layout) -> u64 {
    let others = layout.nodes() as u64 - 1;
    layout.layers() as u64 * (2 + others * (2 + WHOLE_BLOCKS as u64))
}

/// Nanoseconds of a compression that waits for the one before it, on this processor now: the best of some short runs, of 30 ms
/// together. Wall time; whoever else works on the core must not do so all the time.
pub fn measure_compression_ns(kernel: Sha256Kernel) -> f64 {
    const COUNT: u32 = 10_000;
    let best = (0..100).map(|_| {
        let start = Instant::now();
        std::hint::black_box(kernel.chain(std::hint::black_box(COUNT)));
        start.elapsed()
    });
    best.min().unwrap_or_default().as_secs_f64() * 1e9 / f64::from(COUNT)
}
