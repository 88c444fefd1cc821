//! CPU seconds of pre-commit 1: filecoin-proofs and both kernels in turns, with and without a parent cache, and the processor's
//! limit. `cargo run --release -p sealdrop-stacked --example pre_commit1 -- [MIB] [TURNS]`, 8 MiB and three turns if not said
//! otherwise; one turn of the best kernel alone if TURNS is 0. `TMPDIR` says where.

#[path = "../tests/labelling/mod.rs"]
mod labelling;

use filecoin_proofs::constants::SectorShape8MiB;
use labelling::{parents, with_options, Sealing};
use sealdrop_stacked::pre_commit1::{compressions, measure_compression_ns, pre_commit1_together};
use sealdrop_stacked::pre_commit2::Layout;
use sealdrop_stacked::Sha256Kernel;
use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

/// CPU and wall seconds of all runs, by name.
#[derive(Default)]
struct Times(BTreeMap<String, Vec<(f64, f64)>>);

impl Times {
    fn take(&mut self, name: &str, f: impl FnOnce()) {
        let (cpu, wall) = (self::cpu(), Instant::now());
        f();
        let times = (self::cpu() - cpu, wall.elapsed().as_secs_f64());
        println!("  {name:24} {:8.3} CPU-s {:8.3} s", times.0, times.1);
        self.0.entry(name.to_owned()).or_default().push(times);
    }
}

fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>().expect("a number"));
    let (mib, turns) = (arguments.next().unwrap_or(8), arguments.next().unwrap_or(3));
    let layout = Layout::of_sector(mib << 20).expect("a sector size with two layers and one tree");
    let proof = if mib == 512 { 7 } else { 6 };
    let sealings: Vec<_> = (0..if mib > 64 { 1 } else { 4 })
        .map(|n| Sealing::numbered(layout, proof, n))
        .collect();
    let mut times = Times::default();
    for _ in 0..turns.max(1) {
        for temperature in ["cold", "warm"] {
            let forget = || {
                if temperature == "cold" {
                    drop(fs::remove_dir_all(parents()));
                }
            };
            if turns > 0 {
                forget();
                times.take(&format!("filecoin-proofs, {temperature}"), || {
                    sealings[0].run_library::<SectorShape8MiB>();
                });
                sealings[0].remove();
            }
            let kernels = [Sha256Kernel::best(), Sha256Kernel::PORTABLE];
            for kernel in &kernels[..if turns > 0 { 2 } else { 1 }] {
                forget();
                times.take(&format!("{}, {temperature}", kernel.name()), || {
                    sealings[0].run(*kernel);
                });
                sealings[0].remove();
            }
        }
        for count in [2, 4] {
            if let Some(sealings) = sealings.get(..count) {
                times.take(&format!("{count} sectors together"), || together(sealings));
                sealings.iter().for_each(Sealing::remove);
            }
        }
    }
    println!("medians");
    for (name, times) in &mut times.0 {
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (cpu, wall) = times[times.len() / 2];
        println!("  {name:24} {cpu:8.3} CPU-s {wall:8.3} s");
    }
    for kernel in [Sha256Kernel::PORTABLE, Sha256Kernel::best()] {
        let ns = measure_compression_ns(kernel);
        let limit = compressions(&layout) as f64 * ns / 1e9;
        println!(
            "{}: {ns:.1} ns a compression, limit of the labels {limit:.3} s",
            kernel.name()
        );
    }
}

fn together(sealings: &[Sealing]) {
    let sectors: Vec<_> = sealings.iter().map(Sealing::sector).collect();
    with_options(Sha256Kernel::best(), |options| pre_commit1_together(&sectors, options)).expect("the data is sound");
}
