//! What the modules' tests share.

use crate::query::canonical;
use blstrs::Scalar;
use ff::Field;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use sealdrop_lanes::Kernel;

pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub(crate) fn random_scalars(n: usize, seed: u64) -> Vec<Scalar> {
    let mut rng = rng(seed);
    (0..n).map(|_| Scalar::random(&mut rng)).collect()
}

pub(crate) fn words(s: &Scalar) -> [u64; 4] {
    canonical(s)
}

/// Whether this machine can run the other kernel.
pub(crate) fn has_ifma() -> bool {
    Kernel::detected() == Kernel::Ifma
}
