//! BLS12-381 field arithmetic on eight lanes, for whoever proves: `sealdrop-groth16`, `sealdrop-poseidon`, the parameter
//! generator. And the one place that decides which kernel this processor runs.

mod constants;
mod field;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod kernel;
pub mod portable;

#[cfg(target_arch = "x86_64")]
pub mod ifma;

pub use constants::*;
pub use field::{Arithmetic, Field, ScalarField};
pub use kernel::{Kernel, KERNEL_VARIABLE};

/// [`Kernel::Portable`]'s fields.
pub struct Portable;
impl Arithmetic for Portable {
    const KERNEL: Kernel = Kernel::Portable;
    type Fp = portable::Fp;
    type Fp2 = portable::Fp2;
    type Fr = portable::Fr;
}

/// [`Kernel::Ifma`]'s fields; on other architectures, where that kernel is never chosen, the portable ones.
pub struct Ifma;
#[cfg(target_arch = "x86_64")]
impl Arithmetic for Ifma {
    const KERNEL: Kernel = Kernel::Ifma;
    type Fp = ifma::Fp;
    type Fp2 = ifma::Fp2;
    type Fr = ifma::Fr;
}
#[cfg(not(target_arch = "x86_64"))]
impl Arithmetic for Ifma {
    const KERNEL: Kernel = Kernel::Ifma;
    type Fp = portable::Fp;
    type Fp2 = portable::Fp2;
    type Fr = portable::Fr;
}

/// Whether the processor has every feature that the eight-lane functions are compiled for.
#[cfg(target_arch = "x86_64")]
fn ifma_available() -> bool {
    macro_rules! all { ($($feature:tt)*) => { $(std::arch::is_x86_feature_detected!($feature))&&* } }
    all!("avx512f" "avx512ifma" "avx512dq" "avx512vl" "avx512bw" "avx512vbmi" "bmi2" "adx")
}
#[cfg(not(target_arch = "x86_64"))]
fn ifma_available() -> bool {
    false
}

/// Asks for the cache line at `p`, which may be any address: a hint.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch(p: *const u64) {
    // SAFETY: a prefetch reads nothing, and every x86-64 processor has it.
    unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(p.cast()) }
}
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn prefetch(_: *const u64) {}
