//! The roots of unity of a domain, as the transforms use them, and the powers of the coset's shift.

use crate::query::canonical;
use blstrs::Scalar;
use ff::{Field, PrimeField};
use sealdrop_lanes::ScalarField;

/// log2 of the elements of a chunk, the second pass's unit; the first pass's strips have what is left. Two passes over memory
/// suffice for any domain whose halves fit the second-level cache.
const LOW: u32 = 11;

/// 2^k, also for negative k.
fn power2(k: i64) -> Scalar {
    let power = Scalar::from(2).pow_vartime([k.unsigned_abs()]);
    if k < 0 {
        // 2 is not 0.
        power.invert().unwrap_or(Scalar::ZERO)
    } else {
        power
    }
}

/// What a scalar is multiplied by 2^ to, where it lies.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// As blst holds it.
    Blst,
    /// The kernel's Montgomery form.
    Kernel,
    /// The integer itself.
    Plain,
}

impl Form {
    fn exponent<S: ScalarField>(self) -> i64 {
        match self {
            Form::Blst => 256,
            Form::Kernel => S::RADIX as i64,
            Form::Plain => 0,
        }
    }
    /// The integer whose product with a number in form `self` is `x` times it in form `to`.
    pub(crate) fn factor<S: ScalarField>(self, to: Form, x: Scalar) -> [u64; 4] {
        canonical(&(x * power2(S::RADIX as i64 + to.exponent::<S>() - self.exponent::<S>())))
    }
}

/// A scalar in the kernel's form.
pub(super) fn constant<S: ScalarField>(x: Scalar) -> [u64; 4] {
    Form::Kernel.factor::<S>(Form::Kernel, x)
}

/// The domain of the 2^log-th roots of unity, and how its transforms are cut.
pub(crate) struct Domain<S> {
    pub(super) log: u32,
    /// log2 of a chunk's elements.
    pub(super) low: u32,
    /// log2 of the lanes.
    pub(super) lanes: u32,
    root: Scalar,
    /// Of the first pass: for each column of blocks, for each level, the twiddles of row 0.
    pub(super) columns: Vec<S>,
    /// The powers that take them to other rows, plain integers to be spread over the lanes.
    pub(super) rows: Vec<[u64; 4]>,
    /// Of the second pass, level by level, from the widest down to the width of a block.
    pub(super) chunk: Vec<S>,
    /// Of the levels within a block.
    pub(super) inner: Vec<S>,
}

impl<S: ScalarField> Domain<S> {
    /// The domain of 2^log elements; it has a block at least. The coset's shift needs a root of twice the order: 2^31 at most.
    pub(crate) fn new(log: u32) -> Self {
        Self::cut(log, log.min(LOW.max(log / 2)))
    }

    /// The domain cut into chunks of 2^low.
    pub(super) fn cut(log: u32, low: u32) -> Self {
        let lanes = S::LANES.trailing_zeros();
        assert!(lanes <= low && low <= log && log < Scalar::S);
        let mut domain = Self {
            log,
            low,
            lanes,
            root: root_of_unity(log),
            columns: vec![],
            rows: vec![],
            chunk: vec![],
            inner: vec![],
        };
        let levels = log - low;
        let roots: Vec<Scalar> = (0..levels).map(|level| domain.root_of(log - level)).collect();
        for column in 0..1u64 << (low - lanes) {
            domain
                .columns
                .extend(roots.iter().map(|w| powers::<S>(*w, column << lanes)));
        }
        let step = domain.root_of(log - low);
        let mut x = Scalar::ONE;
        for _ in 0..(1usize << levels) / 2 {
            domain.rows.push(constant::<S>(x));
            x *= step;
        }
        for half in (lanes..low).rev() {
            let w = domain.root_of(half + 1);
            domain
                .chunk
                .extend((0..1u64 << (half - lanes)).map(|b| powers::<S>(w, b << lanes)));
        }
        domain.inner = (0..lanes)
            .rev()
            .map(|half| inner::<S>(domain.root_of(half + 1), 1 << half))
            .collect();
        domain
    }

    /// The root of order 2^k.
    fn root_of(&self, k: u32) -> Scalar {
        self.root.pow_vartime([1u64 << (self.log - k)])
    }
}

/// The root of order 2^k that the field's own root of order 2^32 gives.
pub(super) fn root_of_unity(k: u32) -> Scalar {
    Scalar::ROOT_OF_UNITY.pow_vartime([1u64 << (Scalar::S - k)])
}

/// w^from, w^(from + 1), … on the lanes.
fn powers<S: ScalarField>(w: Scalar, from: u64) -> S {
    let mut x = w.pow_vartime([from]);
    let next = |_| {
        let c = constant::<S>(x);
        x *= w;
        c
    };
    // SAFETY: the kernel was detected by whoever chose `S`.
    unsafe { S::gather(next) }
}

/// On the upper lanes of each pair at distance `s`, the powers of w; 1 on the others.
fn inner<S: ScalarField>(w: Scalar, s: usize) -> S {
    let twiddle = |i: usize| {
        if i & s == 0 {
            Scalar::ONE
        } else {
            w.pow_vartime([(i % s) as u64])
        }
    };
    // SAFETY: as above.
    unsafe { S::gather(|i| constant::<S>(twiddle(i))) }
}

/// scale·g^k for the positions whose bit-reversal is k.
pub(super) struct Reversed<S> {
    /// The part of k that a block's place in the domain's chunks gives.
    g: Scalar,
    scale: Scalar,
    from: Form,
    to: Form,
    top_bits: u32,
    lanes: S,
    low: Vec<[u64; 4]>,
}

impl<S: ScalarField> Reversed<S> {
    /// For numbers in form `from` that are to come out in form `to`.
    pub(super) fn new(domain: &Domain<S>, g: Scalar, scale: Scalar, from: Form, to: Form) -> Self {
        let (log, low, lanes) = (domain.log, domain.low, domain.lanes);
        // A position is (chunk, block of the chunk, lane) = (log - low, low - lanes, lanes) bits, from the top.
        let lane = |i: usize| constant::<S>(g.pow_vartime([reverse(i as u64, lanes) << (log - lanes)]));
        let block = |i: u64| constant::<S>(g.pow_vartime([reverse(i, low - lanes) << (log - low)]));
        Self {
            g,
            scale,
            from,
            to,
            top_bits: log - low,
            // SAFETY: as above.
            lanes: unsafe { S::gather(lane) },
            low: (0..1u64 << (low - lanes)).map(block).collect(),
        }
    }

    /// The factors of a chunk's blocks are this times `splat(low[i])`.
    ///
    /// # Safety
    /// As [`ScalarField`].
    #[inline(always)]
    pub(super) unsafe fn base(&self, chunk: usize) -> S {
        let k = reverse(chunk as u64, self.top_bits);
        let top = self.from.factor::<S>(self.to, self.scale * self.g.pow_vartime([k]));
        // SAFETY: the caller's contract.
        unsafe { S::splat(&top).mul(&self.lanes) }
    }
    /// The factor of block `i`.
    ///
    /// # Safety
    /// As [`ScalarField`].
    #[inline(always)]
    pub(super) unsafe fn at(&self, base: &S, i: usize) -> S {
        // SAFETY: the caller's contract.
        unsafe { base.mul(&S::splat(&self.low[i])) }
    }
}

/// The lowest `bits` of x in reverse order.
#[inline(always)]
pub(super) fn reverse(x: u64, bits: u32) -> u64 {
    if bits == 0 {
        0
    } else {
        x.reverse_bits() >> (u64::BITS - bits)
    }
}
