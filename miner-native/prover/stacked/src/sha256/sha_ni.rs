//! x86 with SHA extensions, inlined into the loop over nodes.
//!
//! Two rounds are one instruction, which takes four cycles while the next waits for its result (Zen 5; Intel's too): a chain of
//! labels is bound by that latency, 32 instructions a block. So what this code does is to keep everything else off that path:
//!
//! - A label's parents are hashed two and a half times (six times in the first layer), so their message schedules are worked
//!   out once and kept, with the round constants added: 8 of 20 blocks need a schedule.
//! - The first block (replica id, layer, node) does not depend on the label before: it is hashed for the next node meanwhile.
//! - Parents' cache lines are asked for some nodes ahead.
//!
//! A chain leaves half of the round unit idle. Another sector's chain of the same graph fills it: with two lanes a label takes
//! two thirds of the time, with four three fifths.
//!
//! The SHA instructions have no AVX form, and nothing here may use AVX: on Intel each SHA instruction after a write to the
//! upper half of a vector register takes some sixty cycles.

use crate::sha256::{
    Lane, Node, Parents, Sha256, BASE_DEGREE, DEGREE, HASHED_PARENTS, INITIAL, LABEL_BITS, WHOLE_BLOCKS,
};
use std::arch::x86_64::*;

/// Shows that the processor has the instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShaNi(());

impl ShaNi {
    /// The only way to a value.
    pub fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse4.1")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse2");
        all.then_some(Self(()))
    }
}

impl Sha256 for ShaNi {
    fn label<const N: usize>(self, lanes: &mut [Lane<'_>; N], layer: u32, first: u32, parents: &[Parents]) {
        // SAFETY: the processor was asked for every feature, else there were no `ShaNi`.
        unsafe {
            match layer {
                1 => label::<N, BASE_DEGREE>(lanes, layer, first, parents),
                _ => label::<N, DEGREE>(lanes, layer, first, parents),
            }
        }
    }

    fn hash_pairs(self, pairs: &[[Node; 2]], parents: &mut [Node]) {
        // SAFETY: as above.
        unsafe { hash_pairs(pairs, parents) }
    }

    fn chain(self, count: u32) -> u32 {
        // SAFETY: as above.
        unsafe { chain(count) }
    }
}

/// A state as the round instruction has it: words (a, b, e, f) and (c, d, g, h).
type State = [__m128i; 2];
/// Eight words in their own order.
type Words = [__m128i; 2];
/// A block's message schedule with the round constants added, by fours, each followed by its upper half: the second of two
/// instructions then needs no shuffle, which would take the round unit's place.
type Schedule = [__m128i; 32];

/// Nodes between asking for a parent and reading it: 2.5 to 5 µs.
const AHEAD: usize = 6;
/// Pairs of nodes that are hashed together.
const PAIRS: usize = 4;

/// All functions with the same features, so that all are inlined into each other.
macro_rules! with_sha {
    ($($(#[$meta:meta])* fn $name:ident $(<$(const $generic:ident: $of:ty),*>)? ($($args:tt)*) $(-> $out:ty)? $body:block)*) => {$(
        $(#[$meta])*
        #[target_feature(enable = "sha,sse4.1,ssse3,sse2")]
        fn $name $(<$(const $generic: $of),*>)? ($($args)*) $(-> $out)? $body
    )*};
}

with_sha! {
    #[inline]
    fn load(bytes: &[u8; 16]) -> __m128i {
        // SAFETY: reads the 16 bytes of the array; any alignment will do.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    #[inline]
    fn store(bytes: &mut [u8; 16], x: __m128i) {
        // SAFETY: writes the 16 bytes of the array; any alignment will do.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), x) }
    }

    /// Big-endian words from bytes, and back.
    #[inline]
    fn swap(x: __m128i) -> __m128i {
        _mm_shuffle_epi8(x, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
    }

    #[inline]
    fn words_of(node: &Node) -> Words {
        let (halves, _) = node.as_chunks();
        [swap(load(&halves[0])), swap(load(&halves[1]))]
    }

    #[inline]
    fn initial() -> State {
        let [a, b, c, d, e, f, g, h] = INITIAL.map(u32::cast_signed);
        [_mm_set_epi32(a, b, e, f), _mm_set_epi32(c, d, g, h)]
    }

    /// The digest without its two highest bits.
    #[inline]
    fn write(node: &mut Node, [abef, cdgh]: State) {
        let feba = _mm_shuffle_epi32::<0x1b>(abef);
        let dchg = _mm_shuffle_epi32::<0xb1>(cdgh);
        let low = _mm_blend_epi16::<0xf0>(feba, dchg);
        let high = _mm_alignr_epi8::<8>(dchg, feba);
        let high = _mm_and_si128(high, _mm_set_epi32(0xffff_ff3fu32.cast_signed(), -1, -1, -1));
        let (halves, _) = node.as_chunks_mut();
        store(&mut halves[0], swap(low));
        store(&mut halves[1], swap(high));
    }

    /// Asks for a node's cache line: a hint, which reads nothing.
    #[inline]
    fn prefetch(node: &Node) {
        _mm_prefetch::<_MM_HINT_T0>(node.as_ptr().cast());
    }

    /// Four round constants.
    #[inline]
    fn constants(four: usize) -> __m128i {
        let k = &K.0[four];
        // SAFETY: reads the 16 bytes of the array; any alignment will do.
        unsafe { _mm_loadu_si128(k.as_ptr().cast()) }
    }
}

/// Sixteen times the same code, where the number of the time must be a constant.
macro_rules! sixteen_times {
    ($four:ident => $body:block) => {
        sixteen_times!(@ $four $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $four:ident $body:block $($number:literal)*) => {$({
        const $four: usize = $number;
        $body
    })*};
}

with_sha! {
    /// One block in each lane, whose schedules are kept if `KEEP`.
    #[inline]
    fn compress<const N: usize, const KEEP: bool>(
        states: &mut [State; N],
        mut w: [[__m128i; 4]; N],
        kept: &mut [Schedule; N],
    ) {
        let start = *states;
        sixteen_times!(FOUR => {
            let k = constants(FOUR);
            for l in 0..N {
                let low = _mm_add_epi32(w[l][FOUR % 4], k);
                let high = _mm_shuffle_epi32::<0x0e>(low);
                if KEEP {
                    kept[l][2 * FOUR] = low;
                    kept[l][2 * FOUR + 1] = high;
                }
                states[l][1] = _mm_sha256rnds2_epu32(states[l][1], states[l][0], low);
                states[l][0] = _mm_sha256rnds2_epu32(states[l][0], states[l][1], high);
                if FOUR < 12 {
                    let x = _mm_sha256msg1_epu32(w[l][FOUR % 4], w[l][(FOUR + 1) % 4]);
                    let middle = _mm_alignr_epi8::<4>(w[l][(FOUR + 3) % 4], w[l][(FOUR + 2) % 4]);
                    w[l][FOUR % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(x, middle), w[l][(FOUR + 3) % 4]);
                }
            }
        });
        add(states, &start);
    }

    /// One block in each lane, whose schedules were kept.
    #[inline]
    fn compress_again<const N: usize>(states: &mut [State; N], kept: &[Schedule; N]) {
        let start = *states;
        sixteen_times!(FOUR => {
            for l in 0..N {
                states[l][1] = _mm_sha256rnds2_epu32(states[l][1], states[l][0], kept[l][2 * FOUR]);
            }
            for l in 0..N {
                states[l][0] = _mm_sha256rnds2_epu32(states[l][0], states[l][1], kept[l][2 * FOUR + 1]);
            }
        });
        add(states, &start);
    }

    #[inline]
    fn add<const N: usize>(states: &mut [State; N], start: &[State; N]) {
        for (state, start) in states.iter_mut().zip(start) {
            state[0] = _mm_add_epi32(state[0], start[0]);
            state[1] = _mm_add_epi32(state[1], start[1]);
        }
    }

    /// States after the first block of a label.
    #[inline]
    fn prefixes<const N: usize>(replica_ids: &[Words; N], layer: u32, node: u32) -> [State; N] {
        let zero = _mm_setzero_si128();
        let mut states = [initial(); N];
        let mut w = [[zero; 4]; N];
        for (w, id) in w.iter_mut().zip(replica_ids) {
            *w = [id[0], id[1], _mm_set_epi32(0, node.cast_signed(), 0, layer.cast_signed()), zero];
        }
        compress::<N, false>(&mut states, w, &mut [[zero; 32]; N]);
        states
    }

    /// [`Sha256::label`], with `OF` parents: 6 or 14.
    fn label<const N: usize, const OF: usize>(
        lanes: &mut [Lane<'_>; N],
        layer: u32,
        first: u32,
        parents: &[Parents],
    ) {
        let zero = _mm_setzero_si128();
        let mut kept = [[[zero; 32]; N]; DEGREE / 2];
        let mut replica_ids = [[zero; 2]; N];
        for (id, lane) in replica_ids.iter_mut().zip(&*lanes) {
            *id = words_of(&lane.replica_id);
        }
        let mut next = prefixes(&replica_ids, layer, first);
        for (at, (node, own)) in (first..).zip(parents).enumerate() {
            if let Some(ahead) = parents.get(at + AHEAD) {
                for lane in &*lanes {
                    // The first is the node before, which is being written.
                    ahead[1..BASE_DEGREE].iter().for_each(|parent| prefetch(&lane.labels[*parent as usize]));
                    ahead[BASE_DEGREE..OF].iter().for_each(|parent| prefetch(&lane.previous[*parent as usize]));
                }
            }
            let mut states = next;
            for (pair, kept) in kept[..OF / 2].iter_mut().enumerate() {
                let mut w = [[zero; 4]; N];
                for (w, lane) in w.iter_mut().zip(&*lanes) {
                    let [a, b] = parent(lane, own, 2 * pair);
                    let [c, d] = parent(lane, own, 2 * pair + 1);
                    *w = [a, b, c, d];
                }
                compress::<N, true>(&mut states, w, kept);
            }
            // Beside the chain, which goes on meanwhile.
            next = prefixes(&replica_ids, layer, node.wrapping_add(1));
            for block in OF / 2..WHOLE_BLOCKS {
                compress_again(&mut states, &kept[block % (OF / 2)]);
            }
            let mut w = [[zero; 4]; N];
            for (w, lane) in w.iter_mut().zip(&*lanes) {
                let [a, b] = parent(lane, own, (HASHED_PARENTS - 1) % OF);
                let end = _mm_set_epi32(LABEL_BITS.cast_signed(), 0, 0, 0);
                *w = [a, b, _mm_set_epi32(0, 0, 0, i32::MIN), end];
            }
            compress::<N, false>(&mut states, w, &mut [[zero; 32]; N]);
            for (lane, state) in lanes.iter_mut().zip(states) {
                write(&mut lane.labels[node as usize], state);
            }
        }
    }

    #[inline]
    fn parent(lane: &Lane<'_>, parents: &Parents, which: usize) -> Words {
        let from = if which < BASE_DEGREE { &*lane.labels } else { lane.previous };
        words_of(&from[parents[which] as usize])
    }

    /// [`Sha256::hash_pairs`].
    fn hash_pairs(pairs: &[[Node; 2]], parents: &mut [Node]) {
        let zero = _mm_setzero_si128();
        // The second block is the same for all: one set bit, and the length of 512 bits.
        let mut padding = [[zero; 32]];
        let w = [_mm_set_epi32(0, 0, 0, i32::MIN), zero, zero, _mm_set_epi32(512, 0, 0, 0)];
        compress::<1, true>(&mut [initial()], [w], &mut padding);
        let padding = [padding[0]; PAIRS];
        let hash = |pairs: &[[Node; 2]; PAIRS], parents: &mut [Node; PAIRS]| {
            let mut states = [initial(); PAIRS];
            let mut w = [[zero; 4]; PAIRS];
            for (w, [left, right]) in w.iter_mut().zip(pairs) {
                let ([a, b], [c, d]) = (words_of(left), words_of(right));
                *w = [a, b, c, d];
            }
            compress::<PAIRS, false>(&mut states, w, &mut [[zero; 32]; PAIRS]);
            compress_again(&mut states, &padding);
            for (parent, state) in parents.iter_mut().zip(states) {
                write(parent, state);
            }
        };
        let (groups, rest) = pairs.as_chunks();
        let (out, out_rest) = parents.as_chunks_mut();
        for (pairs, parents) in groups.iter().zip(out) {
            hash(pairs, parents);
        }
        if !rest.is_empty() {
            let (mut last, mut hashed) = ([[[0; 32]; 2]; PAIRS], [[0; 32]; PAIRS]);
            last[..rest.len()].copy_from_slice(rest);
            hash(&last, &mut hashed);
            for (parent, hashed) in out_rest.iter_mut().zip(hashed) {
                *parent = hashed;
            }
        }
    }

    /// [`Sha256::chain`].
    fn chain(count: u32) -> u32 {
        let zero = _mm_setzero_si128();
        let mut states = [initial()];
        for _ in 0..count {
            compress::<1, false>(&mut states, [[zero; 4]], &mut [[zero; 32]]);
        }
        let mut node = [0; 32];
        write(&mut node, states[0]);
        u32::from_be_bytes(*node.first_chunk().expect("a node has 32 bytes"))
    }
}

/// FIPS 180-4's round constants, by fours.
#[repr(align(64))]
struct Constants([[u32; 4]; 16]);

#[rustfmt::skip]
static K: Constants = Constants([
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5], [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3], [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc], [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7], [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13], [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3], [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5], [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208], [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
]);
