//! How much arithmetic a hash is, for benches that compare it with the processor's limit. Counted from the formulas of
//! `ifma` and `portable`; a limit is the count times the time of one multiplication, which [`multiply`] lets a bench take.

use crate::{Arity, Kernel};

/// The arithmetic of one hash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Multiplications: of 52-bit limbs on eight lanes, the low or the high half (an eighth of an instruction is this hash's),
    /// or of 64-bit words with both halves.
    pub multiplications: f64,
    /// With IFMA, all vector instructions: these, additions, shifts and masks; loads and broadcasts are not counted.
    pub vector_operations: Option<f64>,
}

/// Calls of each building block in a hash.
struct Calls {
    /// S-boxes.
    sboxes: u64,
    /// Sums of products that are reduced, and their terms.
    sums: u64,
    products: u64,
    /// Sums of products by one limb, and their terms.
    limb_sums: u64,
    limb_products: u64,
}

impl Calls {
    fn of(arity: Arity) -> Self {
        let n = arity.elements() as u64;
        let t = n + 1;
        let partial = if arity == Arity::Two { 55 } else { 57 };
        // A window grows from n terms by one a round until it has 2n.
        let windows: u64 = (0..partial).map(|round: u64| n + round.min(n)).sum();
        Self {
            sboxes: 8 * t - 1 + partial,
            sums: t + partial + n + 1,
            products: t * t + windows + 2 * n * n + t,
            limb_sums: 6 * t,
            limb_products: 6 * t * t,
        }
    }
}

impl Cost {
    /// Of one hash of a full group.
    pub fn of(arity: Arity, kernel: Kernel) -> Self {
        let calls = Calls::of(arity);
        let partial = if arity == Arity::Two { 55 } else { 57 };
        let total = |sbox: u64, sum: u64, product: u64, limb_sum: u64, limb_product: u64| {
            calls.sboxes * sbox
                + calls.sums * sum
                + calls.products * product
                + calls.limb_sums * limb_sum
                + calls.limb_products * limb_product
        };
        match kernel {
            Kernel::Portable => {
                // A square is 10 products and 4 steps of 3, the S-box's product and a sum's are 16, reduced by 5 steps.
                let multiplications = total(2 * (10 + 12) + 16 + 15, 15, 16, 3, 4);
                Self {
                    multiplications: multiplications as f64,
                    vector_operations: None,
                }
            }
            Kernel::Ifma => {
                // On eight lanes: a square 30 and 8 additions, a product 50, five steps 50 and 15 others, carries 12.
                let multiplications = total(2 * (30 + 50) + 50 + 50, 50, 50, 10, 10);
                let others = total(2 * (8 + 15 + 12) + 15 + 12, 15 + 12, 0, 3 + 12, 0) + partial * 5;
                Self {
                    multiplications: multiplications as f64 / 8.0,
                    vector_operations: Some((multiplications + others) as f64 / 8.0),
                }
            }
        }
    }
}

/// Computes that many multiplications (rounded up to a multiple of 1024) as fast as the processor can, independent of each
/// other; returns how many there were. The time is the caller's to take.
pub fn multiply(kernel: Kernel, count: u64) -> u64 {
    let rounds = count.div_ceil(1024);
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Ifma if crate::ifma::available() => {
            // SAFETY: the processor has the kernel's features: just asked.
            unsafe { crate::ifma::multiply(rounds) };
        }
        _ => crate::portable::multiply(rounds),
    }
    rounds * 1024
}
