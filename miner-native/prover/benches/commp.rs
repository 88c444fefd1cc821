//! CommP natively: each kernel, the limit of the processor, `filecoin-proofs`, the data root beside it, all cores.
//!
//! Started by `cargo xtask bench commp`. Everything runs in turns, so that whatever else the machine does hits all alike;
//! ratios are of the medians of CPU times in one run. The last line is JSON.

use filecoin_proofs::{generate_piece_commitment, UnpaddedBytesAmount};
use shared::piece::kernel::{available, detected, Kernel};
use shared::piece::{assemble, CommPHasher, Division, PieceDigest, PieceSize, SliceHasher, BYTES_TOGETHER};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Bytes hashed in a turn of one kernel: 127·2^16, 8.3 MB, beyond the caches that would flatter.
const TURN: usize = 127 << 16;
/// Bytes of a turn with the data root: many leaves, as in a large file.
const LARGE_TURN: usize = 127 << 20;
/// Turns of each; the median is over as many.
const TURNS: usize = 15;

/// CPU time of this process, in nanoseconds: `filecoin-proofs` hashes on threads of its own.
fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

struct Contender {
    name: &'static str,
    bytes: usize,
    run: Box<dyn FnMut()>,
    /// CPU and wall time of each turn, in nanoseconds.
    times: Vec<(u64, u64)>,
}

impl Contender {
    fn new(name: &'static str, bytes: usize, run: impl FnMut() + 'static) -> Self {
        let (run, times) = (Box::new(run), Vec::new());
        Self {
            name,
            bytes,
            run,
            times,
        }
    }

    fn turn(&mut self) {
        let (cpu, wall) = (cpu_ns(), Instant::now());
        (self.run)();
        self.times.push((cpu_ns() - cpu, wall.elapsed().as_nanos() as u64));
    }

    /// CPU nanoseconds for a byte, median.
    fn cost(&self) -> f64 {
        self.median(|(cpu, _)| cpu)
    }

    fn median(&self, of: impl Fn((u64, u64)) -> u64) -> f64 {
        let mut times: Vec<u64> = self.times.iter().map(|time| of(*time)).collect();
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
/// uses them can beat.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sha,sse4.1")]
#[allow(clippy::needless_range_loop)] // Chains side by side read better by their number.
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

/// Vector instructions of SIMD128 for the four node hashes that 127 bytes need: 128 rounds of 34 (Σ of 11 each, choice and
/// majority of 3, six sums), 64 sums with a word of the schedule, 48 such words of 21, 16 sums of states, and a mask.
const VECTOR_INSTRUCTIONS: usize = 128 * 34 + 64 + 48 * 21 + 16 + 1;

/// As many additions of independent vectors: what no WebAssembly kernel can beat, whatever the order of its instructions.
fn vector_limit() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: adds registers that are named as overwritten, and counts down.
    unsafe {
        core::arch::asm!(
            "2:",
            "paddd xmm0, xmm12", "paddd xmm1, xmm12", "paddd xmm2, xmm12", "paddd xmm3, xmm12",
            "paddd xmm4, xmm12", "paddd xmm5, xmm12", "paddd xmm6, xmm12", "paddd xmm7, xmm12",
            "paddd xmm8, xmm12", "paddd xmm9, xmm12", "paddd xmm10, xmm12", "paddd xmm11, xmm12",
            "dec {left}",
            "jnz 2b",
            left = inout(reg) TURN / 127 * VECTOR_INSTRUCTIONS / 12 => _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            options(nomem, nostack),
        );
    }
}

/// CommP by the best kernel, of data that comes as it does for both names.
fn comm_p_alone(data: &[u8]) {
    let mut hasher = CommPHasher::new();
    for part in data.chunks(BYTES_TOGETHER) {
        hasher.push(part).expect("far below the largest piece");
    }
    black_box(hasher.finish().expect("there are bytes"));
}

fn both_names(data: &[u8]) {
    let mut digest = PieceDigest::new();
    for part in data.chunks(BYTES_TOGETHER) {
        digest.push(part).expect("far below the largest piece");
    }
    black_box(digest.finish().expect("there are bytes"));
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Both names by every core, as the command line computes them.
fn both_names_on_all_cores(data: &[u8]) {
    let size = data.len() as u64;
    let division = Division::new(PieceSize::new(size).expect("there are bytes"), cores() as u64);
    let next = AtomicU64::new(0);
    let take = || {
        let mut found = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= division.slices() {
                return found;
            }
            let slice = division.slice(index);
            let read = slice.read();
            // The command line reads so that leaves begin where a read begins.
            let first = (slice.leaves.start - read.start) as usize;
            let (first, rest) = data[read.start as usize..read.end as usize].split_at(first);
            let mut hasher = SliceHasher::new(slice);
            for part in [first].into_iter().chain(rest.chunks(BYTES_TOGETHER)) {
                hasher.push(part).expect("far below the largest piece");
            }
            found.push((index, hasher.finish().expect("there are bytes")));
        }
    };
    let mut found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(take)).collect();
        let found = threads.into_iter().map(|thread| thread.join().expect("no slice fails"));
        found.flatten().collect()
    });
    found.sort_unstable_by_key(|(index, _)| *index);
    let names: Vec<_> = found.into_iter().map(|(_, names)| names).collect();
    black_box(assemble(size, &names).expect("every slice is there"));
}

const SHA_NI: &str = "SHA-NI";
const LIMIT: &str = "limit of SHA-NI";
const VECTOR_LIMIT: &str = "limit of SIMD128";
const ALONE: &str = "CommP of a large file";
const ONE_PASS: &str = "the same and data root";
const ALL_CORES: &str = "both, all cores";
const PROOFS: &str = "filecoin-proofs";

fn main() {
    let data: Vec<u8> = (0..LARGE_TURN as u64)
        .map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8)
        .collect();
    let large: &'static [u8] = data.leak();
    let data = &large[..TURN];
    let expected = comm_p(detected(), data);
    let mut all = Vec::new();
    if available().any(|kernel| kernel.name == SHA_NI) {
        all.push(Contender::new(LIMIT, TURN, limit));
    }
    if cfg!(target_arch = "x86_64") {
        all.push(Contender::new(VECTOR_LIMIT, TURN, vector_limit));
    }
    for kernel in available() {
        assert_eq!(comm_p(kernel, data), expected, "{}", kernel.name);
        all.push(Contender::new(kernel.name, TURN, move || {
            black_box(comm_p(kernel, data));
        }));
    }
    all.push(Contender::new(ALONE, LARGE_TURN, move || comm_p_alone(large)));
    all.push(Contender::new(ONE_PASS, LARGE_TURN, move || both_names(large)));
    all.push(Contender::new(ALL_CORES, LARGE_TURN, move || {
        both_names_on_all_cores(large);
    }));
    all.push(Contender::new(PROOFS, TURN, move || {
        let info = generate_piece_commitment(data, UnpaddedBytesAmount(TURN as u64)).expect("a whole piece");
        assert_eq!(info.commitment, expected);
    }));
    for _ in 0..TURNS {
        all.iter_mut().for_each(Contender::turn);
    }
    machine();
    report(&all);
}

/// What this was measured on.
fn machine() {
    let facts = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = facts
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    println!("{model}, {} cores, {}", cores(), features().join(" "));
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    macro_rules! found {
        ($($feature:tt)*) => {
            [$(($feature, std::arch::is_x86_feature_detected!($feature))),*]
        };
    }
    let all = found!("sha" "avx2" "avx512f" "avx512bw" "avx512vl" "avx512dq");
    all.into_iter()
        .filter_map(|(name, found)| found.then_some(name))
        .collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    vec![std::env::consts::ARCH]
}

fn report(all: &[Contender]) {
    let find = |name: &str| all.iter().find(|contender| contender.name == name);
    let cost = |name: &str| find(name).map_or(f64::NAN, Contender::cost);
    let ours = cost(detected().name);
    println!(
        "{:<24} {:>8} {:>8} {:>8}",
        "native, MB/s", "per CPU", "of ours", "by clock"
    );
    for contender in all {
        println!(
            "{:<24} {:>8.0} {:>8.2} {:>8.0}",
            contender.name,
            1e3 / contender.cost(),
            ours / contender.cost(),
            1e3 / contender.median(|(_, wall)| wall)
        );
    }
    let values = [
        ("native_mb_s", 1e3 / ours),
        ("native_vs_filecoin_proofs", cost(PROOFS) / ours),
        ("native_of_limit", cost(LIMIT) / ours),
        ("native_sha_ni_of_limit", cost(LIMIT) / cost(SHA_NI)),
        ("native_one_pass_ratio", cost(ONE_PASS) / cost(ALONE)),
        ("native_pool_efficiency", cost(ONE_PASS) / cost(ALL_CORES)),
        ("simd128_limit_mb_s", 1e3 / cost(VECTOR_LIMIT)),
    ];
    // What this processor cannot do has no number.
    let values = values.iter().filter(|(_, value)| value.is_finite());
    let values: Vec<String> = values.map(|(name, value)| format!("\"{name}\":{value:.3}")).collect();
    println!("{{\"kernel\":\"{}\",{}}}", detected().name, values.join(","));
}
