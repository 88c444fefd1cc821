//! The WebAssembly kernel's node hash, instruction by instruction.
//!
//! A browser's compiler keeps the order of the instructions that it is given, and LLVM's order for the intrinsics of
//! [`super::simd128`] is a bad one: it draws every value to its use. In Chromium 156 this order is 1.17 (Intel, Sapphire
//! Rapids) to 1.26 (AMD, Zen 4) times as fast. Assembly for WebAssembly is not stable in Rust: `build.rs` says when this
//! module is compiled; without it the intrinsics do the same work.

use super::constants::{IV, K, PADDING_K};
use core::arch::global_asm;
use core::arch::wasm32::v128;

/// The initial state, the constants of the message block's rounds, those of the padding block's with its schedule.
static TABLE: [u32; 136] = {
    let mut table = [0; 136];
    let mut t = 0;
    while t < 64 {
        if t < 8 {
            table[t] = IV[t];
        }
        table[8 + t] = K[t];
        table[72 + t] = PADDING_K[t];
        t += 1;
    }
    table
};

extern "C" {
    fn sealdrop_simd128_node(words: *mut u8, node: *mut u8, table: *const u32);
}

/// The nodes over the children in `w`, which is used up. The last word's two bits are cleared.
#[inline]
pub fn node(w: &mut [v128; 16], out: &mut [v128; 8]) {
    // SAFETY: the function reads and writes the sixteen vectors of `w`, writes the eight of `out`, reads `TABLE`, and
    // touches nothing else.
    unsafe { sealdrop_simd128_node(w.as_mut_ptr().cast(), out.as_mut_ptr().cast(), TABLE.as_ptr()) }
}

// Locals. 0: `words`, 1: `node`, 2: `table`, 3: turns of a loop that are left, 4: the next round constant's place.
// 5 to 12: the state. 13: Σ1, later Σ0; 14, 15: halves of a rotation; 16: choice, then majority; 17: round constant and
// schedule word; 18, 19: a ⊕ b of this round and of the one before, in turns; 20 to 22: schedule.

/// An instruction by its code. When the whole program is optimized at once, LLVM reads assembly with a processor in mind
/// that has no vector instructions, and refuses their names.
macro_rules! wasm {
    (get $local:literal) => {
        concat!(".byte 0x20, ", $local, "\n")
    };
    (set $local:literal) => {
        concat!(".byte 0x21, ", $local, "\n")
    };
    (tee $local:literal) => {
        concat!(".byte 0x22, ", $local, "\n")
    };
    (number $value:literal) => {
        concat!(".byte 0x41\n.sleb128 ", $value, "\n")
    };
    (sum) => {
        ".byte 0x6a\n"
    };
    (loop) => {
        ".byte 0x03, 0x40\n"
    };
    (again_unless_zero) => {
        ".byte 0x0d, 0\n"
    };
    (end) => {
        ".byte 0x0b\n"
    };
    (add) => {
        ".byte 0xfd, 0xae, 0x01\n"
    };
    (shl) => {
        ".byte 0xfd, 0xab, 0x01\n"
    };
    (shr) => {
        ".byte 0xfd, 0xad, 0x01\n"
    };
    (and) => {
        ".byte 0xfd, 0x4e\n"
    };
    (or) => {
        ".byte 0xfd, 0x50\n"
    };
    (xor) => {
        ".byte 0xfd, 0x51\n"
    };
    // At any alignment, so many bytes behind the address.
    (load $at:literal) => {
        concat!(".byte 0xfd, 0x00, 0\n.uleb128 ", $at, "\n")
    };
    (store $at:literal) => {
        concat!(".byte 0xfd, 0x0b, 0\n.uleb128 ", $at, "\n")
    };
    // A word into every lane; words lie at multiples of 2^2.
    (load_splat $at:literal) => {
        concat!(".byte 0xfd, 0x09, 2\n.uleb128 ", $at, "\n")
    };
    // Every lane of a node's last word without its two highest bits.
    (last_word) => {
        ".byte 0xfd, 0x0c, 63, 255, 255, 255, 63, 255, 255, 255, 63, 255, 255, 255, 63, 255, 255, 255\n"
    };
}
/// `$to` = `$op`(`$x`, `$y`).
macro_rules! two {
    ($op:ident $to:literal $x:literal $y:literal) => {
        concat!(wasm!(get $x), wasm!(get $y), wasm!($op), wasm!(set $to))
    };
}
/// `$to` = `$x` shifted by `$by`.
macro_rules! shift {
    ($op:ident $to:literal $x:literal $by:literal) => {
        concat!(wasm!(get $x), wasm!(number $by), wasm!($op), wasm!(set $to))
    };
}
/// `$to` = `$x` rotated right by `$right`, which is 32 less `$left`.
macro_rules! rotated {
    ($to:literal $x:literal $right:literal $left:literal) => {
        concat!(
            shift!(shr 14 $x $right),
            shift!(shl 15 $x $left),
            two!(or $to 14 15)
        )
    };
}
/// A large Σ into local 13.
macro_rules! big_sigma {
    ($x:literal $r1:literal $l1:literal $r2:literal $l2:literal $r3:literal $l3:literal) => {
        concat!(
            rotated!(13 $x $r1 $l1),
            rotated!(14 $x $r2 $l2),
            two!(xor 13 13 14),
            rotated!(14 $x $r3 $l3),
            two!(xor 13 13 14)
        )
    };
}
/// A small σ into local 22.
macro_rules! small_sigma {
    ($x:literal $r1:literal $l1:literal $r2:literal $l2:literal $shift:literal) => {
        concat!(
            rotated!(22 $x $r1 $l1),
            rotated!(14 $x $r2 $l2),
            two!(xor 22 22 14),
            shift!(shr 14 $x $shift),
            two!(xor 22 22 14)
        )
    };
}
/// `$to` = the word at `$at` bytes of `words`.
macro_rules! word {
    ($to:literal $at:literal) => {
        concat!(wasm!(get 0), wasm!(load $at), wasm!(set $to))
    };
}
/// Local `$to` = the table's word at `$at` bytes behind local `$from`, in every lane.
macro_rules! constant {
    ($to:literal $from:literal $at:literal) => {
        concat!(wasm!(get $from), wasm!(load_splat $at), wasm!(set $to))
    };
}
/// The next word of the schedule into local 20, and in the place of the one sixteen before it: at `$w`, with those
/// 1, 9 and 14 behind it at `$w1`, `$w9` and `$w14`.
macro_rules! schedule {
    ($w:literal $w1:literal $w9:literal $w14:literal) => {
        concat!(
            word!(20 $w),
            word!(21 $w9),
            two!(add 20 20 21),
            word!(21 $w1),
            small_sigma!(21 7 25 18 14 3),
            two!(add 20 20 22),
            word!(21 $w14),
            small_sigma!(21 17 15 19 13 10),
            two!(add 20 20 22),
            wasm!(get 0),
            wasm!(get 20),
            wasm!(store $w)
        )
    };
}
/// A round's constant into local 17, with the word of the schedule where there is one.
macro_rules! constant_and_word {
    (first $k:literal $w:literal $w1:literal $w9:literal $w14:literal) => {
        concat!(word!(20 $w), constant!(17 4 $k), two!(add 17 17 20))
    };
    (later $k:literal $w:literal $w1:literal $w9:literal $w14:literal) => {
        concat!(schedule!($w $w1 $w9 $w14), constant!(17 4 $k), two!(add 17 17 20))
    };
    (padding $k:literal $w:literal $w1:literal $w9:literal $w14:literal) => {
        constant!(17 4 $k)
    };
}
/// One round (FIPS 180-4 §6.2.2, step 3); `$bc` is b ⊕ c, and `$ab` gets what it is in the next round.
macro_rules! round {
    ($kind:ident $k:literal $w:literal $w1:literal $w9:literal $w14:literal
     $a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal $ab:literal $bc:literal) => {
        concat!(
            constant_and_word!($kind $k $w $w1 $w9 $w14),
            two!(add $h $h 17),
            big_sigma!($e 6 26 11 21 25 7),
            two!(xor 16 $f $g),
            two!(and 16 16 $e),
            two!(xor 16 16 $g),
            two!(add $h $h 16),
            two!(add $h $h 13),
            two!(add $d $d $h),
            big_sigma!($a 2 30 13 19 22 10),
            two!(xor $ab $a $b),
            two!(and $bc $bc $ab),
            two!(xor 16 $bc $b),
            two!(add 13 13 16),
            two!(add $h $h 13)
        )
    };
}
/// Sixteen rounds.
macro_rules! sixteen {
    ($kind:ident) => {
        concat!(
            round!($kind 0 0 16 144 224 5 6 7 8 9 10 11 12 18 19),
            round!($kind 4 16 32 160 240 12 5 6 7 8 9 10 11 19 18),
            round!($kind 8 32 48 176 0 11 12 5 6 7 8 9 10 18 19),
            round!($kind 12 48 64 192 16 10 11 12 5 6 7 8 9 19 18),
            round!($kind 16 64 80 208 32 9 10 11 12 5 6 7 8 18 19),
            round!($kind 20 80 96 224 48 8 9 10 11 12 5 6 7 19 18),
            round!($kind 24 96 112 240 64 7 8 9 10 11 12 5 6 18 19),
            round!($kind 28 112 128 0 80 6 7 8 9 10 11 12 5 19 18),
            round!($kind 32 128 144 16 96 5 6 7 8 9 10 11 12 18 19),
            round!($kind 36 144 160 32 112 12 5 6 7 8 9 10 11 19 18),
            round!($kind 40 160 176 48 128 11 12 5 6 7 8 9 10 18 19),
            round!($kind 44 176 192 64 144 10 11 12 5 6 7 8 9 19 18),
            round!($kind 48 192 208 80 160 9 10 11 12 5 6 7 8 18 19),
            round!($kind 52 208 224 96 176 8 9 10 11 12 5 6 7 19 18),
            round!($kind 56 224 240 112 192 7 8 9 10 11 12 5 6 18 19),
            round!($kind 60 240 0 128 208 6 7 8 9 10 11 12 5 19 18),
            wasm!(get 4),
            wasm!(number 64),
            wasm!(sum),
            wasm!(set 4)
        )
    };
    ($kind:ident $times:literal times) => {
        concat!(
            wasm!(number $times),
            wasm!(set 3),
            wasm!(loop),
            sixteen!($kind),
            wasm!(get 3),
            wasm!(number -1),
            wasm!(sum),
            wasm!(tee 3),
            wasm!(again_unless_zero),
            wasm!(end)
        )
    };
}
/// Something for each word of the state: its local, its place in `node`, its place in the table.
macro_rules! each_word {
    ($what:ident) => {
        concat!(
            $what!(5 0 0),
            $what!(6 16 4),
            $what!(7 32 8),
            $what!(8 48 12),
            $what!(9 64 16),
            $what!(10 80 20),
            $what!(11 96 24),
            $what!(12 112 28)
        )
    };
}
macro_rules! initial {
    ($s:literal $place:literal $at:literal) => {
        constant!($s 2 $at)
    };
}
/// The state after the message block, kept in `node` too.
macro_rules! middle {
    ($s:literal $place:literal $at:literal) => {
        concat!(
            constant!(17 2 $at),
            two!(add $s $s 17),
            wasm!(get 1),
            wasm!(get $s),
            wasm!(store $place)
        )
    };
}
macro_rules! last {
    ($s:literal $place:literal $at:literal) => {
        concat!(
            wasm!(get 1),
            wasm!(get 1),
            wasm!(load $place),
            wasm!(get $s),
            wasm!(add),
            wasm!(store $place)
        )
    };
}

global_asm!(concat!(
    ".section .text.sealdrop_simd128_node,\"\",@\n",
    ".globl sealdrop_simd128_node\n",
    ".type sealdrop_simd128_node,@function\n",
    "sealdrop_simd128_node:\n",
    ".functype sealdrop_simd128_node (i32, i32, i32) -> ()\n",
    ".local i32, i32, v128, v128, v128, v128, v128, v128, v128, v128, v128, v128, v128, v128, v128, v128, v128, v128, v128, v128\n",
    each_word!(initial),
    two!(xor 19 6 7),
    // The first constant of the rounds stands behind the initial state.
    wasm!(get 2),
    wasm!(number 32),
    wasm!(sum),
    wasm!(set 4),
    sixteen!(first),
    sixteen!(later 3 times),
    each_word!(middle),
    two!(xor 19 6 7),
    sixteen!(padding 4 times),
    each_word!(last),
    // A node's two highest bits are cleared.
    wasm!(get 1),
    wasm!(get 1),
    wasm!(load 112),
    wasm!(last_word),
    wasm!(and),
    wasm!(store 112),
    "end_function\n",
));
