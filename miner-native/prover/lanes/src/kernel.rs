//! Which arithmetic this process computes with.

use std::sync::OnceLock;

/// Set to `portable`, it keeps the vector kernels off: to compare, or where a processor is not trusted.
pub const KERNEL_VARIABLE: &str = "SEALDROP_KERNEL";

/// A way to compute; all give the same results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// blst's own arithmetic, one number at a time; any processor.
    Portable,
    /// AVX-512 with 52-bit multiplication, eight numbers at a time.
    Ifma,
}

impl Kernel {
    /// The fastest that this processor has, unless [`KERNEL_VARIABLE`] says otherwise. Looked up once a process.
    pub fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| match std::env::var(KERNEL_VARIABLE).as_deref() {
            Ok("portable") => Self::Portable,
            _ if ifma_available() => Self::Ifma,
            _ => Self::Portable,
        })
    }
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
