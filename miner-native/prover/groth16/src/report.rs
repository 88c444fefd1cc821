//! What a proof took, to be held against what the processor could do.

use sealdrop_lanes::Arithmetic;
use sealdrop_lanes::{Field, Ifma, Kernel, Portable, ScalarField};
use std::time::{Duration, Instant};

/// The parts of a proof, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The circuit's own code, and A, B and C of every constraint.
    Synthesis,
    /// The quotient polynomial.
    Transforms,
    /// Its commitment: the densest sum.
    H,
    /// The auxiliary variables' sum.
    L,
    /// Query A.
    A,
    /// Query B in G1.
    BG1,
    /// Query B in G2.
    BG2,
}

impl Part {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Synthesis,
        Self::Transforms,
        Self::H,
        Self::L,
        Self::A,
        Self::BG1,
        Self::BG2,
    ];
}

/// One part's time.
#[derive(Clone, Copy, Debug)]
pub struct PartReport {
    /// Which.
    pub part: Part,
    /// On the clock.
    pub wall: Duration,
    /// Of all the process's threads, so also of what else it did meanwhile.
    pub cpu: Duration,
}

/// What a proof took.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each part's time.
    pub parts: Vec<PartReport>,
    /// Multiplications and squarings of the base field: six for an addition in G1, seventeen in G2 (a product in Fp2 being
    /// three, a square two), two or four for a point that is read.
    pub multiplications_fp: u64,
    /// Multiplications of the scalar field, in the transforms only.
    pub multiplications_fr: u64,
    /// Additions of points, with the lanes that only fill up a vector.
    pub additions: u64,
}

/// Nanoseconds of one multiplication on one lane, one thread.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// In the base field.
    pub fp: f64,
    /// In the scalar field.
    pub fr: f64,
}

impl Report {
    /// CPU time that the multiplications alone would take: what the sums and transforms cannot go below.
    pub fn limit(&self, speed: Speed) -> Duration {
        let ns = self.multiplications_fp as f64 * speed.fp + self.multiplications_fr as f64 * speed.fr;
        Duration::from_nanos(ns as u64)
    }
}

/// Measures [`Speed`] on this processor: four independent chains of products, a few milliseconds, the best of five runs.
pub fn measure_speed(kernel: Kernel) -> Speed {
    match kernel.usable() {
        Kernel::Portable => speed::<Portable>(),
        Kernel::Ifma => speed::<Ifma>(),
    }
}

fn speed<K: Arithmetic>() -> Speed {
    const CHAINS: usize = 4;
    const STEPS: usize = 20_000;
    let best = |run: &dyn Fn(), lanes: usize| {
        let once = || {
            let clock = Instant::now();
            run();
            clock.elapsed().as_nanos() as f64 / (CHAINS * STEPS * lanes) as f64
        };
        (0..5).map(|_| once()).fold(f64::MAX, f64::min)
    };
    let fp = || {
        // SAFETY: whoever names a kernel has detected it.
        let x = unsafe {
            K::Fp::vectorize(
                #[inline(always)]
                || fp_chains::<K::Fp, CHAINS>(STEPS),
            )
        };
        std::hint::black_box(x);
    };
    let fr = || {
        // SAFETY: as above.
        let x = unsafe {
            K::Fr::vectorize(
                #[inline(always)]
                || fr_chains::<K::Fr, CHAINS>(STEPS),
            )
        };
        std::hint::black_box(x);
    };
    Speed {
        fp: best(&fp, K::Fp::LANES),
        fr: best(&fr, K::Fr::LANES),
    }
}

#[inline(always)]
fn fp_chains<F: Field, const N: usize>(steps: usize) -> [F; N] {
    // SAFETY: called by `speed` only, inside the kernel.
    unsafe {
        let mut x = [F::one(); N];
        for _ in 0..steps {
            for x in &mut x {
                *x = x.mul(x);
            }
        }
        x
    }
}

#[inline(always)]
fn fr_chains<F: ScalarField, const N: usize>(steps: usize) -> [F; N] {
    // SAFETY: as above.
    unsafe {
        let mut x = [F::splat(&[3, 1, 4, 1]); N];
        for _ in 0..steps {
            for x in &mut x {
                *x = x.mul(x);
            }
        }
        x
    }
}
