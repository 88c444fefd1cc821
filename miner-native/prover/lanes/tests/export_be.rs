//! Coordinates as uncompressed points have them, against blst, on every kernel of this machine.

use blst::{blst_bendian_from_fp, blst_fp, blst_fp_from_bendian};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use sealdrop_lanes::{Arithmetic, Field, Kernel, Portable, P64};

/// 0, 1, p - 1 and random numbers, in blst's form.
fn numbers() -> Vec<blst_fp> {
    let mut last = [0; 48];
    for (i, word) in P64.iter().enumerate() {
        last[48 - 8 * (i + 1)..48 - 8 * i].copy_from_slice(&word.to_be_bytes());
    }
    last[47] -= 1;
    let mut one = [0; 48];
    one[47] = 1;
    let mut bytes = vec![[0; 48], one, last];
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for _ in 0..61 {
        let mut random = [0; 48];
        rng.fill_bytes(&mut random);
        random[0] &= 0x0f;
        bytes.push(random);
    }
    let number = |bytes: &[u8; 48]| {
        let mut out = blst_fp::default();
        // SAFETY: 48 bytes and a number.
        unsafe { blst_fp_from_bendian(&mut out, bytes.as_ptr()) };
        out
    };
    bytes.iter().map(number).collect()
}

/// The bytes of all of `numbers`, of which each coordinate has as many as `F` has components. If `opposite`, those of the
/// differences 0 - x, which the kernels keep unreduced.
fn exported<F: Field>(numbers: &[blst_fp], opposite: bool) -> Vec<u8> {
    let bytes = 48 * F::COMPONENTS;
    let coordinates: Vec<&[blst_fp]> = numbers.chunks_exact(F::COMPONENTS).collect();
    let mut out = vec![0xaa; coordinates.len() * bytes];
    for (lanes, out) in coordinates
        .chunks_exact(F::LANES)
        .zip(out.chunks_exact_mut(F::LANES * bytes))
    {
        let mut words = vec![0; F::LANES * F::WORDS];
        let mut at: Vec<*mut u64> = words.chunks_exact_mut(F::WORDS).map(<[u64]>::as_mut_ptr).collect();
        let mut to: Vec<*mut u8> = out.chunks_exact_mut(bytes).map(<[u8]>::as_mut_ptr).collect();
        // One byte off, to see the offset at work.
        to.iter_mut().for_each(|p| *p = p.wrapping_sub(1));
        for (x, at) in lanes.iter().zip(&mut at) {
            // SAFETY: room for a coordinate; the kernel was detected.
            unsafe {
                F::import(x, *at);
                if opposite {
                    F::negate(*at);
                }
            }
        }
        let from: Vec<*const u64> = at.iter().map(|p| p.cast_const()).collect();
        // SAFETY: as above.
        unsafe { F::vectorize(|| F::load(&from).export_be_at(&to, 1)) };
    }
    out
}

/// What blst writes, the components of each coordinate in reverse.
fn expected(numbers: &[blst_fp], components: usize, opposite: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for coordinate in numbers.chunks_exact(components) {
        for x in coordinate.iter().rev() {
            let mut x = *x;
            let mut bytes = [0; 48];
            // SAFETY: two numbers, and 48 bytes.
            unsafe {
                if opposite {
                    blst::blst_fp_cneg(&mut x, &x.clone(), true);
                }
                blst_bendian_from_fp(bytes.as_mut_ptr(), &x);
            }
            out.extend_from_slice(&bytes);
        }
    }
    out
}

fn check<A: Arithmetic>() {
    let numbers = numbers();
    for opposite in [false, true] {
        assert_eq!(
            exported::<A::Fp>(&numbers, opposite),
            expected(&numbers, 1, opposite),
            "Fp"
        );
        assert_eq!(
            exported::<A::Fp2>(&numbers, opposite),
            expected(&numbers, 2, opposite),
            "Fp2"
        );
    }
}

#[test]
fn the_portable_kernel_writes_numbers_as_blst_does() {
    check::<Portable>();
}

#[test]
fn the_vector_kernel_writes_numbers_as_blst_does() {
    if Kernel::detected() == Kernel::Ifma {
        check::<sealdrop_lanes::Ifma>();
    }
}
