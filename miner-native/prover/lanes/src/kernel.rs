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
        *BEST.get_or_init(|| Self::choose(std::env::var(KERNEL_VARIABLE).ok().as_deref()))
    }

    /// The fastest that this processor has, whatever the environment says: for tests that compare them.
    pub fn detected() -> Self {
        match crate::ifma_available() {
            true => Self::Ifma,
            false => Self::Portable,
        }
    }

    /// This one if the processor has it, else the portable one.
    pub fn usable(self) -> Self {
        match self {
            Self::Ifma => Self::detected(),
            Self::Portable => Self::Portable,
        }
    }

    /// What [`best`](Self::best) is where [`KERNEL_VARIABLE`] has this value.
    pub fn choose(variable: Option<&str>) -> Self {
        match variable.map(str::trim) {
            Some(text) if text.eq_ignore_ascii_case("portable") => Self::Portable,
            _ => Self::detected(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_masks_the_vector_kernel() {
        assert_eq!(Kernel::choose(Some("portable")), Kernel::Portable);
        assert_eq!(Kernel::choose(Some(" Portable\n")), Kernel::Portable);
        assert_eq!(Kernel::choose(Some("other")), Kernel::detected());
        assert_eq!(Kernel::choose(None), Kernel::detected());
    }
}
