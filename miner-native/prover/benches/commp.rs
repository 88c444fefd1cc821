//! CommP natively: each kernel, the limit of the processor, `filecoin-proofs`, the data root beside it.
//!
//! Started by `cargo xtask bench commp`. Everything runs in turns of some milliseconds, so that whatever
//! else the machine does hits all alike; ratios are of the medians of CPU times in one run. The last line is JSON.

use filecoin_proofs::{generate_piece_commitment, UnpaddedBytesAmount};
use shared::piece::kernel::{available, detected, Kernel};
use shared::piece::{CommPHasher, PieceDigest};
use std::hint::black_box;

/// Bytes hashed in a turn: 127·2^15, 4.2 MB, beyond the caches that would flatter.
const TURN: usize = 127 << 15;
/// Turns of each; the median is over as many.
const TURNS: usize = 15;

/// CPU time of this process, in nanoseconds: `filecoin-proofs` hashes on threads of its own.
fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

struct Contender<'a> {
    name: String,
    bytes: usize,
    run: Box<dyn FnMut() + 'a>,
    times: Vec<u64>,
}

impl Contender<'_> {
    /// Nanoseconds for a byte, median.
    fn cost(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[times.len() / 2] as f64 / self.bytes as f64
    }
}

fn comm_p(kernel: &'static Kernel, data: &[u8]) -> [u8; 32] {
    let mut hasher = CommPHasher::with_kernel(kernel);
    hasher.push(data).expect("far below the largest piece");
    hasher.finish().expect("there are bytes").comm_p.0
}

/// As many round instructions as CommP of a turn needs, on enough chains to hide their latency: what no kernel that
/// uses them can beat. 0 where there are none.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sha,sse4.1")]
fn rounds_only(compressions: usize) -> i32 {
    use core::arch::x86_64::*;
    let k = _mm_set1_epi32(compressions as i32);
    let mut s = [[_mm_setzero_si128(); 2]; 6];
    for _ in 0..compressions / 6 {
        for _ in 0..16 {
            for l in 0..6 {
                s[l][1] = _mm_sha256rnds2_epu32(s[l][1], s[l][0], k);
            }
            for l in 0..6 {
                s[l][0] = _mm_sha256rnds2_epu32(s[l][0], s[l][1], k);
            }
        }
    }
    let sum = s
        .iter()
        .fold(k, |sum, [a, b]| _mm_add_epi32(sum, _mm_add_epi32(*a, *b)));
    _mm_cvtsi128_si32(sum)
}

fn limit() {
    let compressions = TURN / 127 * 8;
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sha") {
        // SAFETY: just looked.
        black_box(unsafe { rounds_only(compressions) });
    }
    black_box(compressions);
}

fn main() {
    let data: Vec<u8> = (0..TURN as u64)
        .map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8)
        .collect();
    let expected = comm_p(detected(), &data);
    let mut all: Vec<Contender> = Vec::new();
    let mut add = |name: &str, bytes, run: Box<dyn FnMut()>| {
        let (name, times) = (name.to_owned(), Vec::new());
        all.push(Contender {
            name,
            bytes,
            run,
            times,
        });
    };
    let data: &'static [u8] = data.leak();
    add("limit", TURN, Box::new(limit));
    for kernel in available() {
        assert_eq!(comm_p(kernel, data), expected, "{}", kernel.name);
        let run = move || {
            black_box(comm_p(kernel, data));
        };
        add(kernel.name, TURN, Box::new(run));
    }
    add(
        "CommP and data root",
        TURN,
        Box::new(|| {
            let mut digest = PieceDigest::new();
            digest.push(data).expect("far below the largest piece");
            black_box(digest.finish().expect("there are bytes"));
        }),
    );
    let proofs = move || {
        let info = generate_piece_commitment(data, UnpaddedBytesAmount(TURN as u64)).expect("a whole piece");
        assert_eq!(info.commitment, expected);
    };
    add("filecoin-proofs", TURN, Box::new(proofs));
    for _ in 0..TURNS {
        for contender in &mut all {
            let start = cpu_ns();
            (contender.run)();
            contender.times.push(cpu_ns() - start);
        }
    }
    report(&all);
}

fn report(all: &[Contender]) {
    let cost = |name: &str| all.iter().find(|c| c.name == name).map_or(f64::NAN, Contender::cost);
    let ours = cost(detected().name);
    println!("{:<24} {:>8} {:>8}", "native, per CPU-second", "MB/s", "of ours");
    for contender in all {
        println!(
            "{:<24} {:>8.0} {:>8.2}",
            contender.name,
            1e3 / contender.cost(),
            ours / contender.cost()
        );
    }
    println!(
        "{{\"kernel\":\"{}\",\"native_mb_s\":{:.0},\"native_vs_filecoin_proofs\":{:.2},\"native_of_limit\":{:.3},\"native_one_pass_ratio\":{:.3}}}",
        detected().name,
        1e3 / ours,
        cost("filecoin-proofs") / ours,
        cost("limit") / ours,
        cost("CommP and data root") / ours,
    );
}
