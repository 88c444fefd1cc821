//! Checks of every function of a kernel against blst, for the tests and for a fuzzer: they panic where the two differ.

use crate::{Arithmetic, Field, Ifma, Kernel, Portable, ScalarField, P64, R64};
use blst::*;

/// The kernels of this machine.
fn kernels() -> &'static [Kernel] {
    match Kernel::detected() {
        Kernel::Portable => &[Kernel::Portable],
        Kernel::Ifma => &[Kernel::Portable, Kernel::Ifma],
    }
}

/// Runs all checks of all fields on numbers made of `data`, which may be anything and of any length.
pub fn field(data: &[u8]) {
    coordinates(data);
    scalars(data);
}

/// Runs all checks of both coordinate fields on numbers made of `data`, which may be anything and of any length.
pub fn coordinates(data: &[u8]) {
    let mut source = Source { data, at: 0 };
    let numbers: Vec<blst_fp2> = (0..32)
        .map(|_| blst_fp2 {
            fp: [source.fp(), source.fp()],
        })
        .collect();
    let mask = source.byte();
    for kernel in kernels() {
        match kernel {
            Kernel::Portable => both_fields::<Portable>(&numbers, mask),
            Kernel::Ifma => both_fields::<Ifma>(&numbers, mask),
        }
    }
}

/// Runs all checks of the scalar field on numbers made of `data`.
pub fn scalars(data: &[u8]) {
    let mut source = Source { data, at: 0 };
    let numbers: Vec<[u64; 4]> = (0..24).map(|_| source.fr()).collect();
    for kernel in kernels() {
        match kernel {
            Kernel::Portable => scalar_field::<<Portable as Arithmetic>::Fr>(&numbers),
            Kernel::Ifma => scalar_field::<<Ifma as Arithmetic>::Fr>(&numbers),
        }
    }
}

/// Numbers made of bytes; zeros when they are used up. A first byte chooses between the edges of the field and its middle.
struct Source<'a> {
    data: &'a [u8],
    at: usize,
}
impl Source<'_> {
    fn byte(&mut self) -> u8 {
        self.at += 1;
        self.data.get(self.at - 1).copied().unwrap_or(0)
    }
    fn words<const N: usize>(&mut self, modulus: [u64; N]) -> [u64; N] {
        let small = |x: u64| std::array::from_fn(|i| if i == 0 { x } else { 0 });
        match self.byte() {
            0 => small(u64::from(self.byte())),
            1 => crate::sub_words(modulus, small(u64::from(self.byte()) + 1)).0,
            2 => {
                // Around (p + 1) / 2, whose double is one.
                let half = std::array::from_fn(|i| modulus[i] >> 1 | if i + 1 < N { modulus[i + 1] << 63 } else { 0 });
                crate::add_words(half, small(u64::from(self.byte())))
            }
            _ => {
                let mut x: [u64; N] = std::array::from_fn(|_| u64::from_le_bytes(std::array::from_fn(|_| self.byte())));
                x[N - 1] %= modulus[N - 1];
                x
            }
        }
    }
    fn fp(&mut self) -> blst_fp {
        blst_fp { l: self.words(P64) }
    }
    fn fr(&mut self) -> [u64; 4] {
        self.words(R64)
    }
}

/// blst's function with a fresh result.
macro_rules! blst {
    ($f:ident, $($x:expr),+) => {{
        let mut out = Default::default();
        // SAFETY: pointers to numbers that live through the call.
        #[allow(unused_unsafe)] // Some callers are unsafe blocks themselves.
        unsafe {
            $f(&mut out, $($x),+)
        };
        out
    }};
}

fn both_fields<K: Arithmetic>(numbers: &[blst_fp2], mask: u8) {
    // Fp is the part of Fp2 without imaginary ones.
    let real: Vec<_> = numbers
        .iter()
        .map(|x| blst_fp2 {
            fp: [x.fp[0], blst_fp::default()],
        })
        .collect();
    // SAFETY: the kernel was detected.
    unsafe {
        Check::<K::Fp>::run(&real, mask);
        Check::<K::Fp2>::run(numbers, mask);
    }
}

/// The checks of one field on all lanes.
struct Check<F>(std::marker::PhantomData<F>);
impl<F: Field> Check<F> {
    /// # Safety
    /// As [`Field`].
    unsafe fn run(numbers: &[blst_fp2], mask: u8) {
        let lanes = F::LANES;
        let [a, b, c, d] = std::array::from_fn(|i| &numbers[8 * i..8 * i + lanes]);
        // SAFETY: this function's contract.
        unsafe {
            let [x, y, z, w] = [a, b, c, d].map(|n| Self::load(n));
            let one = F::one();
            let mul = |i: usize, j: &[blst_fp2], k: &[blst_fp2]| -> blst_fp2 { blst!(blst_fp2_mul, &j[i], &k[i]) };
            let sub = |p: &blst_fp2, q: &blst_fp2| -> blst_fp2 { blst!(blst_fp2_sub, p, q) };
            Self::equal("load, store", &x, |i| a[i]);
            Self::equal("mul", &x.mul(&y), |i| mul(i, a, b));
            Self::equal("sqr", &x.sqr(), |i| mul(i, a, a));
            Self::equal("one", &x.mul(&one), |i| a[i]);
            Self::equal("sub_norm", &x.sub_norm(&y).mul(&one), |i| sub(&a[i], &b[i]));
            Self::equal("x3", &F::x3(&x.mul(&y), &z, &w), |i| {
                sub(&sub(&mul(i, a, b), &c[i]), &d[i])
            });
            Self::equal("y3", &F::y3(&x.sqr(), &z), |i| sub(&mul(i, a, a), &c[i]));
            let negated = |i: usize| {
                if mask >> i & 1 == 1 {
                    sub(&blst_fp2::default(), &c[i])
                } else {
                    c[i]
                }
            };
            let v = z.neg_mask(mask);
            Self::equal("neg_mask, then y3", &F::y3(&x.mul(&y), &v), |i| {
                sub(&mul(i, a, b), &negated(i))
            });
            Self::equal("neg_mask on the left", &v.sub_norm(&x).mul(&one), |i| {
                sub(&negated(i), &a[i])
            });
            Self::equal("neg_mask, then x3", &F::x3(&x.sqr(), &v, &w), |i| {
                sub(&sub(&mul(i, a, a), &negated(i)), &d[i])
            });
            Self::products_of_differences([x, y, z, w], [a, b, c, d]);
            Self::inverses([x, y, z, w], [a, b, c, d]);
            Self::words(a);
            Self::bytes(a, &x);
        }
    }

    /// # Safety
    /// As [`Field`].
    unsafe fn load(numbers: &[blst_fp2]) -> F {
        let mut memory = vec![0u64; (F::WORDS + 1) * F::LANES];
        let at = places(&mut memory, F::WORDS + 1);
        // SAFETY: the places are of so many words and one: the offset is seen at work.
        unsafe {
            for (x, at) in numbers.iter().zip(&at) {
                F::import(&x.fp[..F::COMPONENTS], at.wrapping_add(1));
            }
            let read: Vec<*const u64> = at.iter().map(|p| p.cast_const()).collect();
            F::load_at(&read, 1)
        }
    }

    /// # Safety
    /// As [`Field`]; `x` is one that may be stored.
    unsafe fn equal(name: &str, x: &F, expected: impl Fn(usize) -> blst_fp2) {
        let mut memory = vec![0u64; F::WORDS * F::LANES];
        let at = places(&mut memory, F::WORDS);
        // SAFETY: the places are of so many words each; so below.
        unsafe { x.store(&at) };
        for (i, at) in at.iter().enumerate() {
            let mut out = blst_fp2::default();
            unsafe { F::export(*at, &mut out.fp[..F::COMPONENTS]) };
            assert!(
                out == expected(i),
                "{name}, lane {i} of {:?}, {} components",
                F::KERNEL,
                F::COMPONENTS
            );
        }
    }

    /// The largest operands that the sums of points multiply.
    ///
    /// # Safety
    /// As [`Field`].
    unsafe fn products_of_differences([x, y, z, w]: [F; 4], [a, b, c, d]: [&[blst_fp2]; 4]) {
        let difference = |i: usize, p: &[blst_fp2], q: &[blst_fp2]| -> blst_fp2 { blst!(blst_fp2_sub, &p[i], &q[i]) };
        // SAFETY: this function's contract.
        unsafe {
            let product = x.sub_norm(&y).mul(&z.sub_norm(&w));
            let expected = |i| blst!(blst_fp2_mul, &difference(i, a, b), &difference(i, c, d));
            Self::equal("product of differences", &product, expected);
            let expected = |i| blst!(blst_fp2_sqr, &difference(i, a, b));
            Self::equal("square of a difference", &x.sub_norm(&y).sqr(), expected);
        }
    }

    /// # Safety
    /// As [`Field`].
    unsafe fn inverses(values: [F; 4], numbers: [&[blst_fp2]; 4]) {
        for n in 1..=4 {
            let mut v = values[..n].to_vec();
            let zero = numbers[..n].iter().any(|lanes| lanes.contains(&blst_fp2::default()));
            // SAFETY: this function's contract.
            unsafe {
                assert_eq!(F::invert(&mut v), !zero, "whether there are inverses");
                for (x, lanes) in v.iter().zip(&numbers).filter(|_| !zero) {
                    Self::equal("invert", x, |i| blst!(blst_fp2_eucl_inverse, &lanes[i]));
                }
            }
        }
    }

    /// What happens to stored coordinates one by one.
    ///
    /// # Safety
    /// As [`Field`].
    unsafe fn words(numbers: &[blst_fp2]) {
        let mut memory = vec![0u64; 2 * F::WORDS];
        let (p, q) = memory.split_at_mut(F::WORDS);
        let (p, q) = (p.as_mut_ptr(), q.as_mut_ptr());
        for x in numbers {
            let mut out = blst_fp2::default();
            // SAFETY: both are of so many words.
            unsafe {
                F::import(&x.fp[..F::COMPONENTS], p);
                F::import(&x.fp[..F::COMPONENTS], q);
                assert!(F::same(p, q), "same");
                F::negate(q);
                assert_eq!(
                    F::same(p, q),
                    *x == blst_fp2::default(),
                    "same, of a number and its negative"
                );
                F::export(q, &mut out.fp[..F::COMPONENTS]);
                assert!(out == blst!(blst_fp2_sub, &blst_fp2::default(), x), "negate");
                F::negate(q);
                assert!(F::same(p, q), "negated twice");
            }
        }
    }

    /// Numbers as uncompressed points have them, read and written.
    ///
    /// # Safety
    /// As [`Field`].
    unsafe fn bytes(numbers: &[blst_fp2], x: &F) {
        let component = F::WORDS / F::COMPONENTS;
        let mut encoded = vec![[[0u8; 48]; 2]; F::LANES];
        for (x, e) in numbers.iter().zip(&mut encoded) {
            for (c, e) in x.fp.iter().zip(e) {
                // SAFETY: 48 bytes are written.
                unsafe { blst_bendian_from_fp(e.as_mut_ptr(), c) };
            }
        }
        let mut memory = vec![0u64; F::WORDS * F::LANES];
        for k in 0..F::COMPONENTS {
            let from: Vec<*const u8> = encoded.iter().map(|e| e[k].as_ptr()).collect();
            let to: Vec<_> = places(&mut memory, F::WORDS)
                .iter()
                .map(|p| p.wrapping_add(k * component))
                .collect();
            // SAFETY: 48 bytes and a component's words each.
            unsafe { F::import_be(&from, &to) };
        }
        let mut written = vec![[0u8; 100]; F::LANES];
        let to: Vec<*mut u8> = written.iter_mut().map(|w| w.as_mut_ptr()).collect();
        for (i, x) in numbers.iter().enumerate() {
            let mut out = blst_fp2::default();
            // SAFETY: a coordinate that was just written.
            unsafe { F::export(memory[F::WORDS * i..].as_ptr(), &mut out.fp[..F::COMPONENTS]) };
            assert!(out == *x, "import_be");
        }
        // SAFETY: 96 bytes behind the offset at most.
        unsafe { x.export_be_at(&to, 3) };
        for (w, e) in written.iter().zip(&encoded) {
            let expected: Vec<u8> = e[..F::COMPONENTS].iter().rev().flatten().copied().collect();
            assert_eq!(w[3..3 + expected.len()], expected, "export_be_at");
        }
    }
}

/// Pointers to consecutive places of so many words.
fn places(memory: &mut [u64], words: usize) -> Vec<*mut u64> {
    memory.chunks_exact_mut(words).map(<[u64]>::as_mut_ptr).collect()
}

/// A number times 2^k, as integers.
fn shifted(x: &[u64; 4], k: u64) -> [u64; 4] {
    let mut out = to_blst(x);
    for _ in 0..k {
        out = blst!(blst_fr_add, &out, &out);
    }
    from_blst(&out)
}
fn to_blst(x: &[u64; 4]) -> blst_fr {
    blst!(blst_fr_from_uint64, x.as_ptr())
}
fn from_blst(x: &blst_fr) -> [u64; 4] {
    let mut out = [0; 4];
    // SAFETY: four words are written.
    unsafe { blst_uint64_from_fr(out.as_mut_ptr(), x) };
    out
}

fn scalar_field<F: ScalarField>(numbers: &[[u64; 4]]) {
    let lanes = F::LANES;
    let [a, b, c] = std::array::from_fn(|i| &numbers[8 * i..8 * i + lanes]);
    let binary =
        |f: fn(&blst_fr, &blst_fr) -> blst_fr, x: &[u64; 4], y: &[u64; 4]| from_blst(&f(&to_blst(x), &to_blst(y)));
    let add = |x: &[u64; 4], y: &[u64; 4]| binary(|x, y| blst!(blst_fr_add, x, y), x, y);
    let sub = |x: &[u64; 4], y: &[u64; 4]| binary(|x, y| blst!(blst_fr_sub, x, y), x, y);
    // With one factor in Montgomery form the product is the plain one.
    let mul = |x: &[u64; 4], y: &[u64; 4]| binary(|x, y| blst!(blst_fr_mul, x, y), x, y);
    let equal = |name: &str, x: &F, expected: &dyn Fn(usize) -> [u64; 4]| {
        let mut out = [[0; 4]; 8];
        // SAFETY: the kernel was detected; so below.
        unsafe { x.scatter(&mut out) };
        for (i, x) in out[..lanes].iter().enumerate() {
            assert_eq!(*x, expected(i), "{name}, lane {i} of {:?}", F::KERNEL);
        }
    };
    unsafe {
        let [x, y] = [a, b].map(|n| F::gather(|i| n[i]));
        let w = F::gather(|i| shifted(&c[i], F::RADIX));
        equal("gather, scatter", &x, &|i| a[i]);
        equal("splat", &F::splat(&a[0]), &|_| a[0]);
        equal("mul", &x.mul(&w), &|i| mul(&a[i], &c[i]));
        equal("sub", &x.sub(&y), &|i| sub(&a[i], &b[i]));
        equal("negate_first", &x.negate_first(), &|i| {
            if i == 0 {
                sub(&[0; 4], &a[0])
            } else {
                a[i]
            }
        });
        let (mut u, mut v) = (x, y);
        F::dif(&mut u, &mut v, &w);
        equal("dif, sum", &u, &|i| add(&a[i], &b[i]));
        equal("dif, difference", &v, &|i| mul(&sub(&a[i], &b[i]), &c[i]));
        let (mut u, mut v) = (x, y);
        F::dit(&mut u, &mut v, &w);
        equal("dit, sum", &u, &|i| add(&a[i], &mul(&b[i], &c[i])));
        equal("dit, difference", &v, &|i| sub(&a[i], &mul(&b[i], &c[i])));
        let mut s = 1;
        while s < lanes {
            equal("cross", &x.cross(s), &|i| {
                if i & s == 0 {
                    add(&a[i], &a[i ^ s])
                } else {
                    sub(&a[i ^ s], &a[i])
                }
            });
            s *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::{RngCore, SeedableRng};

    fn many(check: fn(&[u8])) {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for round in 0..300 {
            let mut data = vec![0u8; 4000];
            rng.fill_bytes(&mut data);
            if round % 2 == 1 {
                // Edges in most places.
                for b in &mut data {
                    if *b & 0x38 != 0 {
                        *b %= 3;
                    }
                }
            }
            check(&data);
        }
        for byte in [0, 1, 2, 3, 0xff] {
            check(&vec![byte; 4000]);
        }
        check(&[]);
    }

    #[test]
    fn coordinates_are_computed_as_by_blst_on_random_and_edge_values() {
        many(coordinates);
    }

    #[test]
    fn scalars_are_computed_as_by_blst_on_random_and_edge_values() {
        many(scalars);
    }
}
