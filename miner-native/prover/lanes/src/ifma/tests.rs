//! The bounds of the lazy reductions, at their edges: the largest operand that is allowed gives a right result below the
//! bound that is stated. Values in the middle are checked against blst in [`fuzzing`](crate::fuzzing).

use super::fp::reduce;
use super::*;
use crate::Kernel;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// A number of up to 512 bits, lowest word first.
type Wide = [u64; 8];

fn wide<const N: usize>(x: [u64; N]) -> Wide {
    std::array::from_fn(|i| if i < N { x[i] } else { 0 })
}
/// x·k / 2^s.
fn scaled(x: Wide, k: u64, s: u32) -> Wide {
    let (mut out, mut carry) = ([0; 8], 0u128);
    for i in 0..8 {
        carry += u128::from(x[i]) * u128::from(k);
        out[i] = carry as u64;
        carry >>= 64;
    }
    std::array::from_fn(|i| {
        if s == 0 {
            out[i]
        } else {
            out[i] >> s | if i < 7 { out[i + 1] << (64 - s) } else { 0 }
        }
    })
}
/// x modulo m, by subtracting m·2^k.
fn modulo(mut x: Wide, m: Wide) -> Wide {
    for k in (0..64).rev() {
        let shifted = scaled(m, 1 << k, 0);
        // No overflow: p·2^63 is below 2^445.
        while let (rest, false) = sub_words(x, shifted) {
            x = rest;
        }
    }
    x
}
fn below(x: Wide, bound: Wide) -> bool {
    sub_words(x, bound).1
}
/// Carried limbs of a number; the last one takes what is left.
fn limbs_of<const L: usize>(x: Wide) -> [u64; L] {
    std::array::from_fn(|j| {
        let (w, s) = (52 * j / 64, 52 * j % 64);
        let v = x[w] >> s | if s > 0 && w < 7 { x[w + 1] << (64 - s) } else { 0 };
        if j + 1 == L {
            v
        } else {
            v & MASK
        }
    })
}
/// The number of some limbs of any sign.
fn number<const L: usize>(l: &[u64; L]) -> Wide {
    let mut out = [0; 8];
    for j in (0..L).rev() {
        out = scaled(out, 1 << 52, 0);
        let limb = l[j] as i64;
        out = match limb < 0 {
            true => sub_words(out, wide([limb.unsigned_abs()])).0,
            false => add_words(out, wide([limb as u64])),
        };
    }
    out
}
/// One lane's limbs.
fn lane<const L: usize>(v: &[V; L], i: usize) -> [u64; L] {
    // SAFETY: a vector is eight words.
    v.map(|limb| unsafe { std::mem::transmute::<V, [u64; 8]>(limb) }[i])
}
/// The eight numbers, a lane each.
fn vector<const L: usize>(x: [[u64; L]; 8]) -> [V; L] {
    // SAFETY: as above.
    std::array::from_fn(|j| unsafe { std::mem::transmute::<[u64; 8], V>(std::array::from_fn(|i| x[i][j])) })
}
fn same<const L: usize>(x: Wide) -> [V; L] {
    vector([limbs_of(x); 8])
}

fn p() -> Wide {
    wide(P64)
}
fn r() -> Wide {
    wide(R64)
}
fn minus(x: Wide, y: u64) -> Wide {
    sub_words(x, wide([y])).0
}
/// a·b / 2^s modulo m, with a and b below 2m or so, bit by bit.
fn product(a: Wide, b: Wide, s: usize, m: Wide) -> Wide {
    let (a, b) = (modulo(a, m), modulo(b, m));
    let mut sum = [0; 8];
    for i in (0..448).rev() {
        sum = modulo(scaled(sum, 2, 0), m);
        if b[i / 64] >> (i % 64) & 1 == 1 {
            sum = modulo(add_words(sum, a), m);
        }
    }
    for _ in 0..s {
        // Half of it, modulo the odd m.
        let even = if sum[0] & 1 == 1 { add_words(sum, m) } else { sum };
        sum = scaled(even, 1, 1);
    }
    sum
}
fn available() -> bool {
    Kernel::detected() == Kernel::Ifma
}
/// So many p or r, less a little.
fn edges(m: Wide, most: u64) -> Vec<Wide> {
    let mut out = vec![[0; 8], wide([1])];
    for k in 1..=most {
        out.extend([
            minus(scaled(m, k, 0), 1),
            scaled(m, k, 0),
            add_words(scaled(m, k, 0), wide([1])),
        ]);
    }
    out.retain(|x| below(*x, scaled(m, most, 0)));
    out
}

#[test]
fn a_product_of_the_largest_operands_is_right_and_below_1_01_p() {
    if !available() {
        return;
    }
    let largest = minus(scaled(p(), 1 << 13, 0), 1);
    let bound = scaled(p(), 1034, 10);
    let mut operands = edges(p(), 8);
    operands.push(largest);
    for a in &operands {
        for b in &operands {
            // SAFETY: the kernel was detected; so below.
            let c = unsafe { pmul(&same(*a), &same(*b)) };
            let c = number(&lane(&c, 3));
            assert!(below(c, bound));
            assert_eq!(modulo(c, p()), product(*a, *b, 416, p()));
        }
        let square = number(&lane(&unsafe { mont_sqr(&same(*a), &P, P_INV) }, 5));
        assert!(below(square, bound));
        assert_eq!(modulo(square, p()), product(*a, *a, 416, p()));
    }
}

#[test]
fn reduction_brings_everything_below_6p_below_2p() {
    if !available() {
        return;
    }
    let mut inputs = edges(p(), 6);
    // Where the quotient changes: multiples of 2^381.
    for q in 1..=4 {
        let edge = scaled(std::array::from_fn(|i| if i == 5 { 1 << 61 } else { 0 }), q, 0);
        inputs.extend([minus(edge, 1), edge]);
    }
    for x in inputs {
        let out = number(&lane(&unsafe { reduce(same(x)) }, 0));
        assert!(below(out, scaled(p(), 2, 0)), "{x:x?}");
        assert_eq!(modulo(out, p()), modulo(x, p()));
    }
}

#[test]
fn at_six_p_and_a_seventh_reduction_would_fail() {
    if !available() {
        return;
    }
    // The bound is no smaller than it has to be: just below 5 · 2^381 = 6.15p the rest is above 2p.
    let edge = scaled(std::array::from_fn(|i| if i == 5 { 1 << 61 } else { 0 }), 5, 0);
    let out = number(&lane(&unsafe { reduce(same(minus(edge, 1))) }, 0));
    assert!(!below(out, scaled(p(), 2, 0)));
}

#[test]
fn differences_at_their_edges_are_right_and_below_their_bounds() {
    if !available() {
        return;
    }
    let stored = {
        let mut edges = edges(p(), 2);
        edges.push(scaled(p(), 2, 0));
        edges
    };
    // A product of Fp2 is reduced and may come up to 2p only where it is stored; x3 and y3 get products of Fp or squares.
    let products = [[0; 8], p(), minus(scaled(p(), 1126, 10), 1)];
    let check = |name: &str, out: [V; 8], expected: Wide, bound: u64| {
        let x = number(&lane(&out, 2));
        // "Up to" the bound where both operands are at theirs.
        assert!(below(x, add_words(scaled(p(), bound, 0), wide([1]))), "{name}");
        assert_eq!(modulo(x, p()), expected, "{name}");
    };
    let eight = scaled(p(), 8, 0);
    let minus_mod = |a: Wide, b: Wide| modulo(sub_words(add_words(a, eight), b).0, p());
    for a in &stored {
        for b in &stored {
            let (x, y) = (Fp(same(*a)), Fp(same(*b)));
            check("sub_norm", unsafe { x.sub_norm(&y) }.0, minus_mod(*a, *b), 4);
            for l in &products {
                let l_ = Fp(same(*l));
                check(
                    "x3",
                    unsafe { Fp::x3(&l_, &x, &y) }.0,
                    minus_mod(minus_mod(*l, *a), *b),
                    2,
                );
                check("y3", unsafe { Fp::y3(&l_, &y) }.0, minus_mod(*l, *b), 2);
            }
            let negative = unsafe { y.neg_mask(0xff) };
            check(
                "minus a negative",
                unsafe { x.sub_norm(&negative) }.0,
                modulo(add_words(*a, *b), p()),
                4,
            );
            check(
                "negative minus",
                unsafe { negative.sub_norm(&x) }.0,
                minus_mod(minus_mod([0; 8], *b), *a),
                4,
            );
        }
    }
}

#[test]
fn products_in_fp2_of_the_largest_operands_are_right_and_below_2p() {
    if !available() {
        return;
    }
    let parts = [[0; 8], p(), minus(scaled(p(), 4, 0), 1), minus(scaled(p(), 8, 0), 1)];
    let all: Vec<[Wide; 2]> = parts.iter().flat_map(|a| parts.iter().map(move |b| [*a, *b])).collect();
    let sub = |a: Wide, b: Wide| modulo(sub_words(add_words(a, p()), b).0, p());
    let check = |out: Fp2, expected: [Wide; 2]| {
        for (half, expected) in [out.0, out.1].iter().zip(expected) {
            let x = number(&lane(half, 6));
            assert!(below(x, scaled(p(), 2, 0)));
            assert_eq!(modulo(x, p()), expected);
        }
    };
    let m = |a: Wide, b: Wide| product(a, b, 416, p());
    for a in &all {
        let x = Fp2(same(a[0]), same(a[1]));
        check(
            unsafe { x.sqr() },
            [
                sub(m(a[0], a[0]), m(a[1], a[1])),
                modulo(scaled(m(a[0], a[1]), 2, 0), p()),
            ],
        );
        for b in &all {
            let y = Fp2(same(b[0]), same(b[1]));
            let imaginary = modulo(add_words(m(a[0], b[1]), m(a[1], b[0])), p());
            check(unsafe { x.mul(&y) }, [sub(m(a[0], b[0]), m(a[1], b[1])), imaginary]);
        }
    }
}

#[test]
fn inverses_of_numbers_that_are_not_reduced_are_right() {
    if !available() {
        return;
    }
    let numbers: [Wide; 8] = std::array::from_fn(|i| add_words(wide([i as u64 + 1]), scaled(p(), i as u64 % 4, 0)));
    let mut v = [Fp(vector(numbers.map(limbs_of))), Fp(same(minus(p(), 1)))];
    assert!(unsafe { Fp::invert(&mut v) });
    let one = modulo(wide(pow2_p(416)), p());
    for i in 0..8 {
        assert_eq!(product(numbers[i], number(&lane(&v[0].0, i)), 416, p()), one);
    }
    // A multiple of p is a zero.
    for k in 0..4 {
        let mut numbers = numbers;
        numbers[5] = scaled(p(), k, 0);
        assert!(!unsafe { Fp::invert(&mut [Fp(same(p())), Fp(vector(numbers.map(limbs_of)))]) });
    }
}

#[test]
fn scalar_products_of_the_largest_operands_are_right_and_below_1_12_r() {
    if !available() {
        return;
    }
    // What a butterfly multiplies: a difference below 3.5r by a twiddle below r, or loose numbers by each other.
    let pairs = [(7, 1, 2), (3, 2, 3)];
    for (a, s, b) in pairs {
        let a = minus(scaled(r(), a, s), 1);
        let b = if b == 2 {
            minus(r(), 1)
        } else {
            minus(scaled(r(), 3, 1), 1)
        };
        let c = number(&lane(&unsafe { rmul(&same(a), &same(b)) }, 1));
        assert!(below(c, scaled(r(), 1147, 10)));
        assert_eq!(modulo(c, r()), product(a, b, 260, r()));
    }
}

#[test]
fn scalar_reduction_brings_everything_below_4_4_r_below_1_43_r() {
    if !available() {
        return;
    }
    let mut inputs = edges(r(), 4);
    inputs.push(minus(scaled(r(), 4505, 10), 1));
    for q in 1..=3 {
        let edge = scaled(std::array::from_fn(|i| if i == 3 { 1 << 63 } else { 0 }), q, 0);
        inputs.extend([minus(edge, 1), edge]);
    }
    for x in inputs {
        let out = number(&lane(&unsafe { reduce_r(same(x)) }, 7));
        assert!(below(out, scaled(r(), 1464, 10)), "{x:x?}");
        assert_eq!(modulo(out, r()), modulo(x, r()));
    }
}

#[test]
fn butterflies_keep_loose_numbers_loose() {
    if !available() {
        return;
    }
    let loose = [[0; 8], r(), minus(scaled(r(), 3, 1), 1)];
    let bound = scaled(r(), 3, 1);
    let w = minus(r(), 1);
    let check = |x: Fr, expected: Wide| {
        let x = number(&lane(&x.0, 4));
        assert!(below(x, bound));
        assert_eq!(modulo(x, r()), modulo(expected, r()));
    };
    let four = scaled(r(), 4, 0);
    let minus = |a: Wide, b: Wide| sub_words(add_words(a, four), b).0;
    for a in loose {
        for b in loose {
            let (x, y, w_) = (Fr(same(a)), Fr(same(b)), Fr(same(w)));
            let (mut u, mut v) = (x, y);
            unsafe { Fr::dif(&mut u, &mut v, &w_) };
            check(u, add_words(a, b));
            check(v, product(minus(a, b), w, 260, r()));
            let (mut u, mut v) = (x, y);
            unsafe { Fr::dit(&mut u, &mut v, &w_) };
            let t = product(b, w, 260, r());
            check(u, add_words(a, t));
            check(v, minus(a, t));
            check(unsafe { x.sub(&y) }, minus(a, b));
            let mixed = Fr(vector(std::array::from_fn(|i| limbs_of(if i < 4 { a } else { b }))));
            check(unsafe { mixed.cross(4) }, minus(a, b));
            let negated = unsafe { mixed.negate_first() };
            let x = number(&lane(&negated.0, 0));
            assert!(below(x, bound) && modulo(x, r()) == modulo(minus([0; 8], a), r()));
            check(negated, b);
        }
    }
}

#[test]
fn limbs_of_any_sign_are_carried() {
    if !available() {
        return;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..200 {
        let mut l: [u64; 8] = std::array::from_fn(|_| ((rng.next_u64() as i64) >> 4) as u64);
        l[7] = 1 << 55;
        let out = lane(&unsafe { carry(vector([l; 8])) }, 0);
        assert!(out[..7].iter().all(|x| *x <= MASK));
        assert_eq!(number(&out), number(&l));
    }
}

#[test]
fn rows_become_columns() {
    if !available() {
        return;
    }
    let x: [[u64; 8]; 8] = std::array::from_fn(|i| std::array::from_fn(|j| (10 * i + j) as u64));
    // SAFETY: eight vectors of eight words.
    let out: [[u64; 8]; 8] = unsafe { std::mem::transmute(transpose(std::mem::transmute::<[[u64; 8]; 8], [V; 8]>(x))) };
    assert!((0..8).all(|i| (0..8).all(|j| out[i][j] == x[j][i])));
}

#[test]
fn packing_reduces_and_unpacking_undoes_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for k in 0..8 {
        for _ in 0..20 {
            let x: Wide = std::array::from_fn(|i| {
                if i < 6 {
                    rng.next_u64() >> if i == 5 { 4 } else { 0 }
                } else {
                    0
                }
            });
            let x = modulo(x, p());
            let words: [u64; 6] = std::array::from_fn(|i| x[i]);
            assert_eq!(pack(&limbs_of(add_words(x, scaled(p(), k, 0)))), words);
            assert_eq!(unpack(&words), limbs_of(x));
        }
    }
}
