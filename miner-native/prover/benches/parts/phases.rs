//! Each phase of a sector by filecoin-proofs and by the own code with every kernel of this processor, in turn in one
//! process, so that whatever else the machine does falls on all of them.

use crate::{data, proofs, Outcome, PROVER, SECTOR, SEED, TICKET};
use filecoin_proofs_api::seal;
use filecoin_proofs_api::UnpaddedBytesAmount;
use sealdrop_groth16::measure_speed;
use sealdrop_poseidon::{multiply, Arity, Cost};
use sealdrop_prover::params::{ensure, Circuit};
use sealdrop_prover::usage::{reset_peak, Usage};
use sealdrop_prover::{
    commit1, commit2, commit2_reported, init, open_sector, pre_commit1, pre_commit2, window_post, write_unsealed,
    Implementation, Kernel, Piece, PreCommit, ProvingSector, SectorFiles, SectorIdentity, SectorSize,
};
use sealdrop_stacked::pre_commit1::{compressions, measure_compression_ns};
use sealdrop_stacked::pre_commit2::Layout;
use sealdrop_stacked::Sha256Kernel;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::time::Instant;

/// Times that each phase is measured with each code; the medians are told.
const ROUNDS: usize = 3;
/// Times for commit 2, of which the library's takes minutes.
const PROOFS: usize = 2;
const GIB: f64 = (1u64 << 30) as f64;

/// Processor time, time by the clock and peak memory of one run.
#[derive(Clone, Copy)]
struct Run {
    cpu: f64,
    wall: f64,
    peak: f64,
}

fn run<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, Run)> {
    reset_peak();
    let (clock, before) = (Instant::now(), Usage::now());
    let result = work()?;
    let after = Usage::now();
    let run = Run {
        cpu: after.cpu_seconds - before.cpu_seconds,
        wall: clock.elapsed().as_secs_f64(),
        peak: after.peak_memory as f64 / GIB,
    };
    Ok((result, run))
}

/// Whose code, as it is called in the table and in the figures.
fn name(implementation: Implementation) -> &'static str {
    match implementation {
        Implementation::Own(Kernel::Ifma) => "ifma",
        Implementation::Own(Kernel::Portable) => "portable",
        Implementation::Library => "library",
    }
}

/// The runs of all phases.
#[derive(Default)]
struct Runs(BTreeMap<(&'static str, &'static str), Vec<Run>>);

impl Runs {
    fn add(&mut self, phase: &'static str, by: Implementation, run: Run) {
        println!(
            "{phase:<16} {:<9} {:>9.2} CPU-s {:>9.2} s {:>7.2} GiB",
            name(by),
            run.cpu,
            run.wall,
            run.peak
        );
        self.0.entry((phase, name(by))).or_default().push(run);
    }

    fn median(&self, phase: &'static str, by: &'static str, of: fn(&Run) -> f64) -> Option<f64> {
        let mut found: Vec<f64> = self.0.get(&(phase, by))?.iter().map(of).collect();
        found.sort_by(f64::total_cmp);
        found.get(found.len() / 2).copied()
    }
}

/// A sector that is sealed again and again.
struct Bench<'a> {
    identity: SectorIdentity,
    files: SectorFiles,
    pieces: Vec<Piece>,
    parents: &'a Path,
    codes: Vec<Implementation>,
    runs: Runs,
    /// CPU-seconds of a phase, by a code, that its arithmetic alone would take.
    limits: BTreeMap<(&'static str, &'static str), f64>,
}

/// Measures every phase; the last line is one JSON object.
pub fn phases(params: &Path, work: &Path, size: SectorSize) -> Outcome<()> {
    let parents = work.join("parents");
    init(params, &parents)?;
    ensure(params, &Circuit::ALL.map(|circuit| (circuit, size)), &mut |_| {})?;
    let bytes = data(size.usable());
    let whole = UnpaddedBytesAmount(size.usable());
    let comm_p = seal::generate_piece_commitment(proofs(size)?.0, Cursor::new(&bytes), whole)?.commitment;
    let mut codes = vec![Implementation::own()];
    if Kernel::best() != Kernel::Portable {
        codes.push(Implementation::Own(Kernel::Portable));
    }
    codes.push(Implementation::Library);
    let mut bench = Bench {
        identity: SectorIdentity {
            prover_id: PROVER,
            sector: SECTOR,
            size,
        },
        files: SectorFiles::new(work.join("phases")),
        pieces: vec![Piece {
            padded_size: size.bytes(),
            comm_p,
        }],
        parents: &parents,
        codes,
        runs: Runs::default(),
        limits: BTreeMap::new(),
    };
    bench.pre_commit_limits()?;
    let mut open = |_: usize| Ok(Box::new(Cursor::new(bytes.clone())) as Box<dyn Read>);
    write_unsealed(size, &bench.files, &bench.pieces, &mut open)?;
    let (p1, done) = bench.pre_commits()?;
    let c1 = commit1(&bench.identity, &bench.files, TICKET, SEED, &done, &bench.pieces)?;
    bench.windows(&done)?;
    bench.proofs(&c1)?;
    drop(p1);
    println!("{}", Value::Object(bench.figures()));
    Ok(())
}

impl Bench<'_> {
    /// Phase 1 with and without the parent cache, and phase 2.
    fn pre_commits(&mut self) -> Outcome<(Vec<u8>, PreCommit)> {
        let mut last = None;
        for round in 0..ROUNDS {
            for by in self.codes.clone() {
                if round == 0 {
                    // Once a sector size: the first sector of a miner waits for it.
                    let _ = fs::remove_dir_all(self.parents);
                    fs::create_dir_all(self.parents)?;
                    let (_, cold) = run(|| self.pre_commit1(by))?;
                    self.runs.add("phase 1, cold", by, cold);
                }
                let (p1, first) = run(|| self.pre_commit1(by))?;
                self.runs.add("phase 1", by, first);
                let (done, second) = run(|| Ok(pre_commit2(&self.identity, &self.files, &p1, by)?))?;
                self.runs.add("phase 2", by, second);
                match &last {
                    Some((_, before)) if *before != done => return Err("two codes made two replicas".into()),
                    _ => last = Some((p1, done)),
                }
            }
        }
        Ok(last.ok_or("no code was measured")?)
    }

    /// Phase 1 is one chain of compressions a layer; phase 2 hashes each column, and two trees of arity 8 above as many leaves.
    fn pre_commit_limits(&mut self) -> Outcome<()> {
        let layout = Layout::of_sector(self.identity.size.bytes()).ok_or("there is no such layout")?;
        let Some(&by @ Implementation::Own(kernel)) = self.codes.first() else {
            return Ok(());
        };
        let compressions = compressions(&layout) as f64;
        let chain = compressions * measure_compression_ns(Sha256Kernel::best()) / 1e9;
        self.limits.insert(("p1", name(by)), chain);
        let (leaves, parents) = (layout.nodes() as f64, 2.0 * layout.nodes() as f64 / 7.0);
        let cost = |arity| Cost::of(arity, kernel).multiplications;
        let columns = Arity::of(layout.layers()).ok_or("there is no such column hash")?;
        let multiplications = leaves * cost(columns) + parents * cost(Arity::Eight);
        let (clock, before) = (1u64 << 26, Usage::now().cpu_seconds);
        let done = multiply(kernel, clock) as f64;
        let each = (Usage::now().cpu_seconds - before) / done;
        self.limits.insert(("p2", name(by)), multiplications * each);
        Ok(())
    }

    fn pre_commit1(&self, by: Implementation) -> Outcome<Vec<u8>> {
        Ok(pre_commit1(&self.identity, &self.files, TICKET, &self.pieces, by)?)
    }

    /// A proof-of-spacetime of this one sector.
    fn windows(&mut self, done: &PreCommit) -> Outcome<()> {
        let sector = ProvingSector {
            sector: SECTOR,
            comm_r: done.comm_r,
            files: self.files.clone(),
        };
        open_sector(PROVER, self.identity.size, &sector)?;
        for _ in 0..ROUNDS {
            for by in self.codes.clone() {
                let window = || Ok(window_post(PROVER, self.identity.size, SEED, &[sector.clone()], by)?);
                let (proof, took) = run(window)?;
                if let Some(refused) = proof.refused {
                    return Err(refused.0.into());
                }
                self.runs.add("window", by, took);
            }
        }
        Ok(())
    }

    /// The proof-of-replication. The library comes last: its parameters stay in memory.
    fn proofs(&mut self, c1: &[u8]) -> Outcome<()> {
        for _ in 0..PROOFS {
            for by in self.codes.clone() {
                let took = match by {
                    Implementation::Library => run(|| Ok(commit2(&self.identity, c1, by)?))?.1,
                    Implementation::Own(kernel) => {
                        let ((_, reports), took) = run(|| Ok(commit2_reported(&self.identity, c1, kernel)?))?;
                        let speed = measure_speed(kernel);
                        let limit: f64 = reports.iter().map(|report| report.limit(speed).as_secs_f64()).sum();
                        self.limits.insert(("c2", name(by)), limit);
                        took
                    }
                };
                self.runs.add("commit 2", by, took);
            }
        }
        Ok(())
    }

    fn figures(&self) -> Map<String, Value> {
        let mut figures = Map::new();
        let cpu = |phase, by| self.runs.median(phase, by, |run| run.cpu);
        let mut add = |name: String, number: Option<f64>| {
            if let Some(number) = number {
                figures.insert(name, ((number * 1000.0).round() / 1000.0).into());
            }
        };
        let ratio = |phase, by| Some(cpu(phase, "library")? / cpu(phase, by)?);
        let best = name(self.codes[0]);
        for (phase, figure) in [
            ("phase 1", "p1_vs_filecoin_proofs"),
            ("phase 1, cold", "p1_cold_vs_filecoin_proofs"),
            ("phase 2", "p2_vs_filecoin_proofs"),
            ("commit 2", "c2_vs_bellperson"),
            ("window", "post_vs_bellperson"),
        ] {
            add(figure.into(), ratio(phase, best));
            if best != "portable" {
                add(format!("{figure}_portable"), ratio(phase, "portable"));
            }
            for by in self.codes.iter().map(|by| name(*by)) {
                let short = figure.split('_').next().unwrap_or(figure);
                let cold = if phase.ends_with("cold") { "_cold" } else { "" };
                add(format!("{short}{cold}_cpu_s_{by}"), cpu(phase, by));
            }
        }
        for (short, phase) in [("p1", "phase 1"), ("p2", "phase 2"), ("c2", "commit 2")] {
            for by in self.codes.iter().map(|by| name(*by)) {
                let limit = self.limits.get(&(short, by)).copied();
                let suffix = if by == best { String::new() } else { format!("_{by}") };
                add(
                    format!("{short}_of_limit{suffix}"),
                    limit.zip(cpu(phase, by)).map(|(limit, cpu)| limit / cpu),
                );
            }
        }
        add("c2_wall_s".into(), self.runs.median("commit 2", best, |run| run.wall));
        add("post_wall_s".into(), self.runs.median("window", best, |run| run.wall));
        // Of the first run: later ones share the process with what the library keeps.
        let first = self.runs.0.get(&("commit 2", best)).and_then(|runs| runs.first());
        add("c2_peak_gib".into(), first.map(|run| run.peak));
        figures
    }
}
