//! CPU seconds of pre-commit 2 on random layers: filecoin-proofs, the portable kernel and IFMA in turns, and the processor's
//! limit. `cargo run --release -p sealdrop-stacked --example pre_commit2 -- [MIB] [TURNS]`, 8 MiB and three turns if not said
//! otherwise; no turns of the library if TURNS is 0. `TMPDIR` says where.

#[path = "../tests/sealing/mod.rs"]
mod sealing;

use filecoin_proofs::constants::SectorShape8MiB;
use sealdrop_poseidon::{multiply, Arity, Cost, Kernel};
use sealdrop_stacked::pre_commit2::Layout;
use sealing::Sealing;
use std::time::Instant;

/// Median CPU and wall seconds.
struct Times(Vec<(f64, f64)>);

impl Times {
    fn take(&mut self, f: impl FnOnce()) {
        let (cpu, wall) = (cpu(), Instant::now());
        f();
        self.0.push((cpu_since(cpu), wall.elapsed().as_secs_f64()));
    }

    fn median(&mut self) -> (f64, f64) {
        self.0.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.0[self.0.len() / 2]
    }
}

fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn cpu_since(before: f64) -> f64 {
    cpu() - before
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>().expect("a number"));
    let (mib, turns) = (arguments.next().unwrap_or(8), arguments.next().unwrap_or(3));
    let sealing = Sealing::new(Layout::of_sector(mib << 20).expect("a sector size with two layers and one tree"));
    let [mut library, mut portable, mut ifma] = [(); 3].map(|()| Times(vec![]));
    for _ in 0..turns.max(1) {
        if turns > 0 {
            library.take(|| {
                sealing.run_library::<SectorShape8MiB>();
            });
            sealing.remove_outputs();
        }
        for (kernel, times) in [(Kernel::Portable, &mut portable), (Kernel::Ifma, &mut ifma)] {
            times.take(|| {
                sealing.run(kernel).expect("the layers are sound");
            });
            sealing.remove_outputs();
        }
    }
    if turns > 0 {
        let (cpu, wall) = library.median();
        println!("filecoin-proofs {cpu:8.3} CPU-s {wall:8.3} s");
    }
    for (kernel, times) in [(Kernel::Portable, &mut portable), (Kernel::Ifma, &mut ifma)] {
        let (cpu, wall) = times.median();
        let before = self::cpu();
        let count = multiply(kernel, 1 << 26);
        let each = cpu_since(before) / count as f64;
        let multiplications = |arity| Cost::of(arity, kernel).multiplications;
        let nodes = sealing.layout.nodes() as f64;
        let limit = each * nodes * (multiplications(Arity::Two) + multiplications(Arity::Eight) * 2.0 / 7.0);
        print!("{kernel:?} {cpu:8.3} CPU-s {wall:8.3} s, limit {limit:.3} CPU-s");
        match turns {
            0 => println!(),
            _ => println!(", {:.1} times", library.median().0 / cpu),
        }
    }
    for line in std::fs::read_to_string("/proc/self/status").unwrap_or_default().lines() {
        if line.starts_with("VmHWM") || line.starts_with("RssAnon") {
            println!("{line}");
        }
    }
}
