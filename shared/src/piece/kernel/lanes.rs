//! The kernel for vector instructions, written once as a macro: every lane of a vector owns a run of quads of its own.
//!
//! So the upper levels of the tree are as full as the lowest, and nothing is shuffled between lanes. A module that uses
//! `lane_kernel!` names its vector type `V` and gives these small functions under the same target feature: `splat`,
//! `add`, `xor`, `and`, `shr`, `rotr`, `xor3`, `choose`, `majority`, `gather`, `store`, `parent` (the node hash;
//! `parent!` makes one), and two that load words:
//! `fill` (elements of a quad of each lane) and `message` (a block of each lane). Where 16 bytes of a lane are loaded at
//! a time, `load_by_rows!` makes the last two from `load`, `shifted` and `transpose`; on x86 `x86_rows!` gives the first
//! two of these.

/// Makes `roots`, `compress` and what they need for a vector type. `$feature` is what the processor must have.
macro_rules! lane_kernel {
    ($feature:literal, $lanes:literal) => {
        /// Sub-trees that advance together.
        pub const LANES: usize = $lanes;
        const LEVELS: usize = MAX_RUN as usize + 3;

        /// Round constants of the message block, then those of the padding block with its schedule.
        static SUMS: [u32; 128] = {
            let mut sums = [0; 128];
            let mut t = 0;
            while t < 64 {
                sums[t] = K[t];
                sums[64 + t] = PADDING_K[t];
                t += 1;
            }
            sums
        };

        /// One SHA-256 round (FIPS 180-4 §6.2.2, step 3); `$bc` carries b ⊕ c from round to round.
        macro_rules! round {
            ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident $bc:ident $kw:expr) => {
                let x = add(add($h, $kw), choose($e, $f, $g));
                let t1 = add(x, xor3(rotr::<6, 26>($e), rotr::<11, 21>($e), rotr::<25, 7>($e)));
                let (majority, ab) = majority($a, $b, $c, $bc);
                $d = add($d, t1);
                let sum = xor3(rotr::<2, 30>($a), rotr::<13, 19>($a), rotr::<22, 10>($a));
                $h = add(add(t1, sum), majority);
                $bc = ab;
            };
        }

        /// Sixteen rounds; `$kw` gives constant plus schedule word of round `$i`.
        macro_rules! sixteen {
            ($s:ident $bc:ident |$i:ident| $kw:expr) => {{
                let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = $s;
                macro_rules! kw {
                    ($at:literal) => {{
                        let $i: usize = $at;
                        $kw
                    }};
                }
                round!(a b c d e f g h $bc kw!(0));
                round!(h a b c d e f g $bc kw!(1));
                round!(g h a b c d e f $bc kw!(2));
                round!(f g h a b c d e $bc kw!(3));
                round!(e f g h a b c d $bc kw!(4));
                round!(d e f g h a b c $bc kw!(5));
                round!(c d e f g h a b $bc kw!(6));
                round!(b c d e f g h a $bc kw!(7));
                round!(a b c d e f g h $bc kw!(8));
                round!(h a b c d e f g $bc kw!(9));
                round!(g h a b c d e f $bc kw!(10));
                round!(f g h a b c d e $bc kw!(11));
                round!(e f g h a b c d $bc kw!(12));
                round!(d e f g h a b c $bc kw!(13));
                round!(c d e f g h a b $bc kw!(14));
                round!(b c d e f g h a $bc kw!(15));
                $s = [a, b, c, d, e, f, g, h];
            }};
        }

        /// Word `i` of the next sixteen of the schedule, in the place of the one sixteen before it.
        #[inline]
        #[target_feature(enable = $feature)]
        fn next_word(w: &mut [V; 16], i: usize) -> V {
            let (x, y) = (w[(i + 1) & 15], w[(i + 14) & 15]);
            let low = xor3(rotr::<7, 25>(x), rotr::<18, 14>(x), shr::<3>(x));
            let high = xor3(rotr::<17, 15>(y), rotr::<19, 13>(y), shr::<10>(y));
            w[i] = add(add(add(w[i], low), w[(i + 9) & 15]), high);
            w[i]
        }

        /// The state after a message block.
        #[inline]
        #[target_feature(enable = $feature)]
        fn message_block(start: [V; 8], w: &mut [V; 16], sums: &[u32; 128]) -> [V; 8] {
            let mut s = start;
            let mut bc = xor(s[1], s[2]);
            sixteen!(s bc |i| add(w[i], splat(sums[i])));
            for t in 1..4 {
                sixteen!(s bc |i| add(next_word(w, i), splat(sums[16 * t + i])));
            }
            let _ = bc;
            sum(start, s)
        }

        #[inline]
        #[target_feature(enable = $feature)]
        fn sum(a: [V; 8], b: [V; 8]) -> [V; 8] {
            let mut s = a;
            for i in 0..8 {
                s[i] = add(a[i], b[i]);
            }
            s
        }

        /// Roots of [`LANES`] runs of 2^`height` quads, which lie one after the other in `bytes`.
        #[target_feature(enable = $feature)]
        pub fn roots(bytes: &[u8], height: u32, out: &mut [Node]) {
            // Known only at run time as far as the compiler can see: as constants, they would cost more than the loads.
            let sums = core::hint::black_box(&SUMS);
            let zero = splat(0);
            // Left nodes in the lower half, right ones in the upper.
            let mut levels = [[zero; 16]; LEVELS];
            let mut leaf = [zero; 16];
            let mut node = [zero; 8];
            let run = QUAD << height;
            for quad in 0..1usize << height {
                for pair in 0..2 {
                    fill(&mut leaf, &bytes[quad * QUAD..], run, pair);
                    parent(&mut leaf, &mut node, sums);
                    levels[0][8 * pair..8 * pair + 8].copy_from_slice(&node);
                }
                // As a binary counter carries: a right node completes its parent.
                let (mut level, mut place) = (0, quad);
                loop {
                    parent(&mut levels[level], &mut node, sums);
                    let side = 8 * (place & 1);
                    levels[level + 1][side..side + 8].copy_from_slice(&node);
                    if place & 1 == 0 {
                        break;
                    }
                    level += 1;
                    place >>= 1;
                }
            }
            let top = &levels[height as usize + 1];
            store(top.first_chunk().expect("sixteen words"), out);
        }

        /// Adds the same number of whole 64-byte blocks to [`LANES`] SHA-256 states.
        #[target_feature(enable = $feature)]
        pub fn compress(states: &mut [[u32; 8]; LANES], blocks: [&[[u8; 64]]; LANES]) {
            let sums = core::hint::black_box(&SUMS);
            let mut s = [splat(0); 8];
            for i in 0..8 {
                let mut words = [0; LANES];
                for lane in 0..LANES {
                    words[lane] = states[lane][i];
                }
                s[i] = gather(&words);
            }
            let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
            for at in 0..count {
                let mut w = message(&blocks, at);
                s = message_block(s, &mut w, sums);
            }
            let mut nodes = [[0; 32]; LANES];
            store(&s, &mut nodes);
            for (state, node) in states.iter_mut().zip(&nodes) {
                for (word, bytes) in state.iter_mut().zip(node.as_chunks().0) {
                    *word = u32::from_be_bytes(*bytes);
                }
            }
        }
    };
}
pub(super) use lane_kernel;

/// Makes `parent`, which `lane_kernel!` needs, from what that has made.
#[cfg(not(ordered_kernel))]
macro_rules! parent {
    ($feature:literal) => {
        #[inline]
        #[target_feature(enable = $feature)]
        fn initial() -> [V; 8] {
            let mut s = [splat(0); 8];
            for i in 0..8 {
                s[i] = splat(IV[i]);
            }
            s
        }

        /// The nodes over the children in `w`, which is used up.
        #[inline(never)]
        #[target_feature(enable = $feature)]
        fn parent(w: &mut [V; 16], out: &mut [V; 8], sums: &[u32; 128]) {
            let middle = message_block(initial(), w, sums);
            let mut s = middle;
            let mut bc = xor(s[1], s[2]);
            for t in 4..8 {
                sixteen!(s bc |i| splat(sums[16 * t + i]));
            }
            let _ = bc;
            *out = sum(middle, s);
            out[7] = and(out[7], splat(LAST_WORD));
        }
    };
}
#[cfg(not(ordered_kernel))]
pub(super) use parent;

/// Makes `fill` and `message` for vectors that are put together from 16 bytes a lane.
macro_rules! load_by_rows {
    ($feature:literal) => {
        /// Loads elements 2·`pair` and 2·`pair` + 1 (Fr32) of one quad for each lane, as words.
        #[inline]
        #[target_feature(enable = $feature)]
        fn fill(w: &mut [V; 16], bytes: &[u8], run: usize, pair: usize) {
            macro_rules! eight {
                ($to:literal, $at:literal, $down:literal, $up:literal) => {{
                    let mut rows = [load(&[0; 16]); LANES];
                    for lane in 0..LANES {
                        let quad = bytes[lane * run..]
                            .first_chunk()
                            .expect("the caller gives whole runs");
                        rows[lane] = shifted::<$at, $down, $up>(quad);
                    }
                    transpose(&rows, (&mut w[$to..$to + 4]).try_into().expect("four words"));
                }};
            }
            if pair == 0 {
                eight!(0, 0, 0, 0);
                eight!(4, 16, 0, 0);
                eight!(8, 31, 6, 58);
                eight!(12, 47, 6, 58);
            } else {
                eight!(0, 63, 4, 60);
                eight!(4, 79, 4, 60);
                eight!(8, 95, 2, 62);
                eight!(12, 111, 2, 62);
            }
            for last in [7, 15] {
                w[last] = and(w[last], splat(LAST_WORD));
            }
        }

        /// Block `at` of each lane, as words.
        #[inline]
        #[target_feature(enable = $feature)]
        fn message(blocks: &[&[[u8; 64]]; LANES], at: usize) -> [V; 16] {
            let mut w = [splat(0); 16];
            for four in 0..4 {
                let mut rows = [load(&[0; 16]); LANES];
                for lane in 0..LANES {
                    rows[lane] = load(
                        blocks[lane][at][16 * four..]
                            .first_chunk()
                            .expect("a quarter of 64"),
                    );
                }
                transpose(
                    &rows,
                    (&mut w[4 * four..4 * four + 4]).try_into().expect("four words"),
                );
            }
            w
        }
    };
}
pub(super) use load_by_rows;

/// Makes `load` and `shifted` for x86.
#[cfg(target_arch = "x86_64")]
macro_rules! x86_rows {
    ($feature:literal) => {
        #[inline]
        #[target_feature(enable = $feature)]
        fn load(bytes: &[u8; 16]) -> __m128i {
            // SAFETY: reads the 16 bytes of the array; any alignment will do.
            unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
        }

        /// The 16 bytes at `AT` of a quad, shifted down by `DOWN` bits (`UP` is 64 less that).
        #[inline]
        #[target_feature(enable = $feature)]
        fn shifted<const AT: usize, const DOWN: i32, const UP: i32>(quad: &Quad) -> __m128i {
            let here = load(quad[AT..].first_chunk().expect("at most 111, of 127 bytes"));
            if DOWN == 0 {
                return here;
            }
            // Behind the last element there is nothing, and its upper two bits are cleared anyway.
            let next = if AT + 24 > QUAD {
                _mm_srli_si128::<8>(here)
            } else {
                load(
                    quad[AT + 8..]
                        .first_chunk()
                        .expect("24 bytes are left, as just seen"),
                )
            };
            _mm_or_si128(_mm_srli_epi64::<DOWN>(here), _mm_slli_epi64::<UP>(next))
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(super) use x86_rows;
