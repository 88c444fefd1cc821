//! Both kernels and both groups against the library's multiplication, for every scalar that is special to some width.

use super::digits::Windows;
use super::*;
use blstrs::{G1Projective, G2Projective};
use ff::Field as _;
use group::Group;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sealdrop_lanes::{Ifma, Portable, R64};

/// The scalars whose two last summands are equal points, and those where they are opposite ones.
fn exceptional(windows: Windows) -> [Scalar; 3] {
    let shift = windows.bits * (windows.count - 1);
    // r / 2^shift is below 2^17: its highest word has it all.
    let quotient = (0..255 - shift).fold(0u64, |q, i| {
        let bit = 254 - i;
        q << 1 | R64[bit / 64] >> (bit % 64) & 1
    });
    let odd = Scalar::from(quotient | 1);
    let s = odd * Scalar::from(2).pow_vartime([shift as u64 + 1]);
    [Scalar::ZERO, s, -s]
}

/// Edges of digits, and random scalars, some of them again.
fn scalars(windows: Windows) -> Vec<Scalar> {
    let half = Scalar::from(1 << (windows.bits - 1));
    let whole = half.double();
    let mut all = vec![
        Scalar::ONE,
        -Scalar::ONE,
        Scalar::from(2),
        -Scalar::from(2),
        Scalar::from(u64::MAX),
    ];
    for edge in [
        half,
        whole,
        whole.square(),
        whole.pow_vartime([windows.count as u64 - 1]),
    ] {
        all.extend([edge - Scalar::ONE, edge, edge + Scalar::ONE]);
    }
    for bit in [15, 63, 64, 127, 128, 191, 192, 254] {
        let power = Scalar::from(2).pow_vartime([bit]);
        all.extend([power, -power, power - Scalar::ONE]);
    }
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let random: Vec<Scalar> = (0..12).map(|_| Scalar::random(&mut rng)).collect();
    all.extend(random.iter().chain(&random));
    all
}

fn expected<P: Point>(base: P::Curve, scalars: &[Scalar]) -> Vec<u8>
where
    P::Curve: Curve<AffineRepr = P>,
{
    let points = scalars
        .iter()
        .map(|scalar| (base * scalar).to_affine().to_uncompressed());
    points.flat_map(|bytes| bytes.as_ref().to_vec()).collect()
}

fn encoded<A: Arithmetic, P: Point>(table: &Table<A, P>, scalars: &[Scalar]) -> Vec<u8>
where
    P::Curve: Curve<AffineRepr = P>,
{
    let mut out = Vec::new();
    table.encode(scalars, &mut out);
    out
}

fn check<A: Arithmetic, P: Point>()
where
    P::Curve: Curve<AffineRepr = P>,
{
    let base = P::Curve::random(ChaCha20Rng::seed_from_u64(8));
    for bits in [6, 7, 8, 11] {
        let windows = Windows::new(bits);
        let table = Table::<A, P>::with_windows(base, windows);
        let plain = scalars(windows);
        let right = expected::<P>(base, &plain);
        assert!(encoded(&table, &plain) == right, "{bits} bits");
        for n in [0, 1, 15, 16, 17] {
            assert!(
                encoded(&table, &plain[..n]) == right[..n * Table::<A, P>::BYTES],
                "{n} scalars"
            );
        }
        // Each alone, and all among others.
        let mut mixed = plain;
        for (i, scalar) in exceptional(windows).into_iter().enumerate() {
            assert!(
                !Batch::<P::Coordinate<A>>::new().add_up(&table.entries, windows, &[scalar]),
                "{bits} bits, {i}"
            );
            mixed.insert(5 * i, scalar);
        }
        assert!(
            encoded(&table, &mixed) == expected::<P>(base, &mixed),
            "{bits} bits, exceptions"
        );
    }
}

fn check_infinity<A: Arithmetic, P: Point>()
where
    P::Curve: Curve<AffineRepr = P>,
{
    let windows = Windows::new(7);
    let table = Table::<A, P>::with_windows(P::Curve::identity(), windows);
    let scalars = scalars(windows);
    assert!(encoded(&table, &scalars) == expected::<P>(P::Curve::identity(), &scalars));
}

/// More than a batch, in a table as large as a sector's parameters take.
fn check_batches<A: Arithmetic, P: Point>()
where
    P::Curve: Curve<AffineRepr = P>,
{
    let base = P::Curve::generator();
    let table = Table::<A, P>::new(base, 10_000_000);
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let mut scalars: Vec<Scalar> = (0..BATCH + 40).map(|_| Scalar::random(&mut rng)).collect();
    scalars[BATCH - 1] = Scalar::ZERO;
    let all = encoded(&table, &scalars);
    assert_eq!(all.len(), scalars.len() * Table::<A, P>::BYTES);
    for range in [0..20, BATCH - 20..BATCH + 40] {
        let bytes = range.start * Table::<A, P>::BYTES..range.end * Table::<A, P>::BYTES;
        assert!(all[bytes] == expected::<P>(base, &scalars[range]));
    }
}

macro_rules! on_all_kernels_and_groups {
    ($name:ident, $check:ident) => {
        #[test]
        fn $name() {
            $check::<Portable, G1Affine>();
            $check::<Portable, G2Affine>();
            if Kernel::detected() == Kernel::Ifma {
                $check::<Ifma, G1Affine>();
                $check::<Ifma, G2Affine>();
            }
        }
    };
}

on_all_kernels_and_groups!(
    multiples_equal_the_librarys_at_every_width_and_for_every_awkward_scalar,
    check
);
on_all_kernels_and_groups!(all_multiples_of_the_point_at_infinity_are_it, check_infinity);
on_all_kernels_and_groups!(batches_follow_one_another_in_the_largest_table, check_batches);

#[test]
fn all_threads_make_the_same_table() {
    fn words<A: Arithmetic>(threads: usize) -> Vec<u8> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.expect("a few threads");
        pool.install(|| {
            let table = Table::<A, G1Affine>::with_windows(G1Projective::generator(), Windows::new(8));
            encoded(&table, &scalars(table.windows))
        })
    }
    let right = words::<Portable>(1);
    for threads in [1, 2, 3, 7] {
        assert!(words::<Portable>(threads) == right);
        if Kernel::detected() == Kernel::Ifma {
            assert!(words::<Ifma>(threads) == right);
        }
    }
    assert_eq!(
        Table::<Portable, G2Affine>::new(G2Projective::generator(), 0).windows,
        Windows::new(6)
    );
}
