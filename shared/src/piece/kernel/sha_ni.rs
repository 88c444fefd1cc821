//! x86 with SHA instructions: two sets of lanes, one phase apart.
//!
//! A node is two SHA-256 blocks: its children, then a constant one. The first needs the processor's schedule units
//! (`msg1`, `msg2`) beside its round unit, the second only rounds. So while one set runs its first block the other runs
//! its second: the round unit, which is the limit, stays busy. Measured on Zen 4: 1.5 times two plain lanes.
//!
//! The SHA instructions have no AVX form. Nothing here may use AVX, not even for copies: on Intel each SHA instruction
//! after a write to the upper half of a vector register takes some sixty cycles (measured: 2 MB/s instead of 500).

use super::constants::{IV, K, LAST_WORD, PADDING_K};
use super::lanes::x86_rows;
use super::{Node, Quad, MAX_RUN, QUAD};
use core::arch::asm;
use core::arch::x86_64::*;

/// Lanes of a set: five states of two registers, and room for what the round needs, fill sixteen registers best.
const SET: usize = 5;
/// Sub-trees that advance together.
pub const LANES: usize = 2 * SET;
/// Leaves of the data's own tree that are hashed together.
pub const LEAVES: usize = 4;
const LEVELS: usize = MAX_RUN as usize + 3;

/// A node, as words 0-3 and 4-7 of SHA-256's state.
type Halves = [__m128i; 2];
type Row = [Halves; SET];

/// What one set of lanes is at.
struct Set {
    /// Left and right nodes that wait for their parent, by level.
    levels: [[Row; 2]; LEVELS],
    /// Children of the quads' own nodes.
    leaf: [Row; 2],
    /// States between the two blocks of a node: (a, b, e, f) and (c, d, g, h).
    middle: Row,
    /// Level and side of the node whose second block is due.
    due: (usize, usize),
}

#[repr(align(64))]
struct Table([[u32; 4]; 32]);

/// [`PADDING_K`] by fours, each followed by its upper half: the second of two rounds then needs no shuffle.
static PADDING_PAIRS: Table = {
    let mut pairs = [[0; 4]; 32];
    let mut g = 0;
    while g < 16 {
        let k = [
            PADDING_K[4 * g],
            PADDING_K[4 * g + 1],
            PADDING_K[4 * g + 2],
            PADDING_K[4 * g + 3],
        ];
        pairs[2 * g] = k;
        pairs[2 * g + 1] = [k[2], k[3], 0, 0];
        g += 1;
    }
    Table(pairs)
};

#[repr(align(64))]
struct Rounds([[u32; 4]; 16]);

static ROUNDS: Rounds = {
    let mut fours = [[0; 4]; 16];
    let mut t = 0;
    while t < 64 {
        fours[t / 4][t % 4] = K[t];
        t += 1;
    }
    Rounds(fours)
};

/// Holds an array in memory across this point, so that the registers are left to the states.
macro_rules! keep_in_memory {
    ($array:expr) => {
        // SAFETY: an empty instruction. It tells the compiler only that the array may be looked at.
        unsafe { asm!("/* {0} */", in(reg) $array.as_mut_ptr(), options(nostack, preserves_flags)) }
    };
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn words(four: &[u32; 4]) -> __m128i {
    // SAFETY: reads the 16 bytes of the array; any alignment will do.
    unsafe { _mm_loadu_si128(four.as_ptr().cast()) }
}

/// Big-endian words from bytes.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn swap(x: __m128i) -> __m128i {
    _mm_shuffle_epi8(x, _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203))
}

/// The initial state as (a, b, e, f) and (c, d, g, h), the order of the round instruction.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn initial() -> Halves {
    let [a, b, c, d, e, f, g, h] = IV.map(|word| word as i32);
    [_mm_set_epi32(a, b, e, f), _mm_set_epi32(c, d, g, h)]
}

/// Words in their own order from a state in the round instruction's order.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn ordered([abef, cdgh]: Halves) -> Halves {
    let feba = _mm_shuffle_epi32::<0x1b>(abef);
    let dchg = _mm_shuffle_epi32::<0xb1>(cdgh);
    [_mm_blend_epi16::<0xf0>(feba, dchg), _mm_alignr_epi8::<8>(dchg, feba)]
}

/// A node's two highest bits are cleared.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn truncated([low, high]: Halves) -> Halves {
    [low, _mm_and_si128(high, _mm_set_epi32(LAST_WORD as i32, -1, -1, -1))]
}

/// Field elements 2·`pair` and 2·`pair` + 1 of a quad (Fr32, as [`crate::piece::fr32`] has it).
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn elements(quad: &Quad, pair: usize) -> [Halves; 2] {
    let [a, b, c, d] = if pair == 0 {
        [
            shifted::<0, 0, 0>(quad),
            shifted::<16, 0, 0>(quad),
            shifted::<31, 6, 58>(quad),
            shifted::<47, 6, 58>(quad),
        ]
    } else {
        [
            shifted::<63, 4, 60>(quad),
            shifted::<79, 4, 60>(quad),
            shifted::<95, 2, 62>(quad),
            shifted::<111, 2, 62>(quad),
        ]
    };
    [truncated([swap(a), swap(b)]), truncated([swap(c), swap(d)])]
}

/// One set's first block (`message`, giving `middle`) and the other's second (from `other`, giving `out`), together.
#[inline(never)]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn phase(message: &[Row; 2], middle: &mut Row, other: &Row, out: &mut Row) {
    let zero = _mm_setzero_si128();
    let [a0, c0] = initial();
    let mut w = [[zero; 4]; SET];
    let (mut ya, mut yc) = ([zero; SET], [zero; SET]);
    for l in 0..SET {
        w[l] = [message[0][l][0], message[0][l][1], message[1][l][0], message[1][l][1]];
        [ya[l], yc[l]] = other[l];
    }
    let (mut a, mut c) = ([a0; SET], [c0; SET]);
    macro_rules! four_rounds {
        ($($g:literal)*) => {$({
            const G: usize = $g;
            keep_in_memory!(w);
            let k = words(&ROUNDS.0[G]);
            let (k0, k1) = (words(&PADDING_PAIRS.0[2 * G]), words(&PADDING_PAIRS.0[2 * G + 1]));
            for l in 0..SET {
                yc[l] = _mm_sha256rnds2_epu32(yc[l], ya[l], k0);
            }
            for l in 0..SET {
                let kw = _mm_add_epi32(w[l][G & 3], k);
                c[l] = _mm_sha256rnds2_epu32(c[l], a[l], kw);
                a[l] = _mm_sha256rnds2_epu32(a[l], c[l], _mm_shuffle_epi32::<0x0e>(kw));
                if G < 12 {
                    let x = _mm_sha256msg1_epu32(w[l][G & 3], w[l][(G + 1) & 3]);
                    let x = _mm_add_epi32(x, _mm_alignr_epi8::<4>(w[l][(G + 3) & 3], w[l][(G + 2) & 3]));
                    w[l][G & 3] = _mm_sha256msg2_epu32(x, w[l][(G + 3) & 3]);
                }
            }
            for l in 0..SET {
                ya[l] = _mm_sha256rnds2_epu32(ya[l], yc[l], k1);
            }
        })*};
    }
    four_rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    for l in 0..SET {
        let sums = [_mm_add_epi32(ya[l], other[l][0]), _mm_add_epi32(yc[l], other[l][1])];
        out[l] = truncated(ordered(sums));
        middle[l] = [_mm_add_epi32(a[l], a0), _mm_add_epi32(c[l], c0)];
    }
}

x86_rows!("sha,sse4.1,ssse3");

/// Where the children of the next node are.
#[derive(Clone, Copy)]
enum Children {
    Leaf,
    Level(usize),
}

/// Starts a node in `x`, to be kept at `place`, and ends the one that `y` is at.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn step(x: &mut Set, y: &mut Set, children: Children, place: (usize, usize)) {
    let message = match children {
        Children::Leaf => &x.leaf,
        Children::Level(level) => &x.levels[level],
    };
    let (level, side) = y.due;
    phase(message, &mut x.middle, &y.middle, &mut y.levels[level][side]);
    x.due = place;
}

/// Roots of [`LANES`] runs of 2^`height` quads, which lie one after the other in `bytes`.
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub fn roots(bytes: &[u8], height: u32, out: &mut [Node]) {
    let zero = [[_mm_setzero_si128(); 2]; SET];
    let set = || Set {
        levels: [[zero; 2]; LEVELS],
        leaf: [zero; 2],
        middle: zero,
        // The first phase ends no node: its result goes where nothing is read.
        due: (LEVELS - 1, 0),
    };
    let (mut x, mut y) = (set(), set());
    let run = QUAD << height;
    for quad in 0..1usize << height {
        for pair in 0..2 {
            fill(&mut x.leaf, &bytes[quad * QUAD..], run, pair);
            step(&mut x, &mut y, Children::Leaf, (0, pair));
            fill(&mut y.leaf, &bytes[SET * run + quad * QUAD..], run, pair);
            step(&mut y, &mut x, Children::Leaf, (0, pair));
        }
        // As a binary counter carries: a right node completes its parent.
        let (mut level, mut place) = (0, quad);
        loop {
            step(&mut x, &mut y, Children::Level(level), (level + 1, place & 1));
            step(&mut y, &mut x, Children::Level(level), (level + 1, place & 1));
            if place & 1 == 0 {
                break;
            }
            level += 1;
            place >>= 1;
        }
    }
    // Ends the last node of `y`; what `x` starts beside it is not used.
    step(&mut x, &mut y, Children::Leaf, (LEVELS - 1, 0));
    let top = height as usize + 1;
    let nodes = x.levels[top][0].iter().chain(&y.levels[top][0]);
    for (node, out) in nodes.zip(out) {
        store(*node, out);
    }
}

/// Loads a pair of elements of one quad for each lane.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn fill(leaf: &mut [Row; 2], bytes: &[u8], run: usize, pair: usize) {
    for lane in 0..SET {
        let quad = bytes[lane * run..].first_chunk().expect("the caller gives whole runs");
        [leaf[0][lane], leaf[1][lane]] = elements(quad, pair);
    }
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn store([low, high]: Halves, out: &mut Node) {
    let (first, second) = out.split_at_mut(16);
    for (half, bytes) in [(low, first), (high, second)] {
        // SAFETY: each half of a 32-byte node has the 16 bytes that are written; any alignment will do.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), swap(half)) }
    }
}

/// Adds the same number of whole 64-byte blocks to [`LEAVES`] SHA-256 states.
#[target_feature(enable = "sha,sse4.1,ssse3")]
#[allow(clippy::needless_range_loop)] // A block of every leaf at once: there is no one slice to go through.
pub fn compress(states: &mut [[u32; 8]; LEAVES], blocks: [&[[u8; 64]]; LEAVES]) {
    let zero = _mm_setzero_si128();
    let (mut a, mut c) = ([zero; LEAVES], [zero; LEAVES]);
    for l in 0..LEAVES {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = states[l].map(|word| word as i32);
        a[l] = _mm_set_epi32(s0, s1, s4, s5);
        c[l] = _mm_set_epi32(s2, s3, s6, s7);
    }
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    for at in 0..count {
        let (a0, c0) = (a, c);
        let mut w = [[zero; 4]; LEAVES];
        for l in 0..LEAVES {
            let (fours, _) = blocks[l][at].as_chunks();
            w[l] = [
                swap(load(&fours[0])),
                swap(load(&fours[1])),
                swap(load(&fours[2])),
                swap(load(&fours[3])),
            ];
        }
        macro_rules! four_rounds {
            ($($g:literal)*) => {$({
                const G: usize = $g;
                keep_in_memory!(w);
                let k = words(&ROUNDS.0[G]);
                for l in 0..LEAVES {
                    let kw = _mm_add_epi32(w[l][G & 3], k);
                    c[l] = _mm_sha256rnds2_epu32(c[l], a[l], kw);
                    a[l] = _mm_sha256rnds2_epu32(a[l], c[l], _mm_shuffle_epi32::<0x0e>(kw));
                    if G < 12 {
                        let x = _mm_sha256msg1_epu32(w[l][G & 3], w[l][(G + 1) & 3]);
                        let x = _mm_add_epi32(x, _mm_alignr_epi8::<4>(w[l][(G + 3) & 3], w[l][(G + 2) & 3]));
                        w[l][G & 3] = _mm_sha256msg2_epu32(x, w[l][(G + 3) & 3]);
                    }
                }
            })*};
        }
        four_rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for l in 0..LEAVES {
            a[l] = _mm_add_epi32(a[l], a0[l]);
            c[l] = _mm_add_epi32(c[l], c0[l]);
        }
    }
    for l in 0..LEAVES {
        let mut bytes = [0; 32];
        store(ordered([a[l], c[l]]), &mut bytes);
        let (fours, _) = bytes.as_chunks();
        for (word, four) in states[l].iter_mut().zip(fours) {
            *word = u32::from_be_bytes(*four);
        }
    }
}
