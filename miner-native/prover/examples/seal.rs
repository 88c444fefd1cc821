//! Seals one sector of the given size, filled with two pieces, proves it, gets a piece back, and prints what each step
//! takes: time, processor time, peak memory, and the disk that the sector holds afterwards.
//!
//! `cargo run --release --example seal -- PARAMETER_DIR WORK_DIR 8388608`; for 512 MiB: `cargo xtask bench sealing sector`.
//! The last line is one JSON object.

use filecoin_proofs_api::{seal, PaddedBytesAmount, RegisteredSealProof};
use sealdrop_prover::params::{ensure, Circuit};
use sealdrop_prover::usage::{reset_peak, Usage};
use sealdrop_prover::*;
use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

const TICKET: [u8; 32] = [1; 32];
const SEED: [u8; 32] = [2; 32];
const PROVER: [u8; 32] = [0; 32];
/// The steps from the data to the proof.
const SEALING: [&str; 6] = ["stage", "pre-commit 1", "pre-commit 2", "check", "commit 1", "commit 2"];
const MEBI: f64 = (1 << 20) as f64;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [params, work, size] = arguments.as_slice() else {
        return Err("usage: seal PARAMETER_DIR WORK_DIR SECTOR_BYTES".into());
    };
    let size = SectorSize::from_bytes(size.parse()?).ok_or("no such sector size")?;
    let work = Path::new(work);
    println!(
        "{:<28} {:>9} {:>9} {:>10} {:>10}",
        "step", "seconds", "CPU-s", "peak MiB", "disk MiB"
    );
    let mut table = Table {
        work: work.to_owned(),
        rows: serde_json::Map::new(),
    };
    let wanted = Circuit::ALL.map(|circuit| (circuit, size));
    table.step("parameters", || ensure(Path::new(params), &wanted, &mut |_| {}))?;
    init(Path::new(params), &work.join("parents"))?;
    let files = SectorFiles::new(work.join("sector"));
    walk(size, &files, &mut table)?;
    let sealing: f64 = SEALING
        .iter()
        .filter_map(|step| table.rows.get(*step)?.get("cpu_seconds")?.as_f64())
        .sum();
    println!(
        "{}",
        serde_json::json!({ "sector": size.bytes(), "sealing_cpu_seconds": sealing, "steps": table.rows })
    );
    Ok(())
}

fn walk(size: SectorSize, files: &SectorFiles, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let identity = SectorIdentity {
        prover_id: PROVER,
        sector: 1,
        size,
    };
    let pieces = [piece(size.bytes() / 4)?, piece(size.bytes() / 2)?];
    let mut open = |index: usize| Ok(Box::new(data(pieces[index].padded_size)) as Box<dyn Read>);
    let comm_d = table.step("stage", || write_unsealed(size, files, &pieces, &mut open))?;
    let p1 = table.step("pre-commit 1", || {
        pre_commit1(&identity, files, TICKET, &pieces, Implementation::own())
    })?;
    let done = table.step("pre-commit 2", || {
        pre_commit2(&identity, files, &p1, Implementation::own())
    })?;
    table.step("check", || check_pre_commit(&identity, files, TICKET, &done, &pieces))?;
    let c1 = table.step("commit 1", || commit1(&identity, files, TICKET, SEED, &done, &pieces))?;
    let proof = table.step("commit 2", || commit2(&identity, &c1, Implementation::own()))?;
    let sealed = table.step("verify", || {
        verify_seal(size, done.comm_r, comm_d, PROVER, 1, TICKET, SEED, &proof)
    })?;
    table.step("clear", || clear_cache(files))?;
    let sector = ProvingSector {
        sector: 1,
        comm_r: done.comm_r,
        files: files.clone(),
    };
    let window = table.step("window proof", || {
        window_post(PROVER, size, SEED, &[sector], Implementation::own())
    })?;
    let stored = table.step("verify window proof", || {
        verify_window_post(size, SEED, PROVER, &[(1, done.comm_r)], &window.proof)
    })?;
    let bytes = table.step("unseal a piece", || {
        unseal_piece(
            &identity,
            files,
            TICKET,
            comm_d,
            &pieces,
            1,
            &mut io::sink(),
            Implementation::own(),
        )
    })?;
    println!("sealed: {sealed}, stored: {stored}, unsealed: {bytes} bytes");
    if !(sealed && stored) {
        return Err("a proof was not accepted".into());
    }
    Ok(())
}

/// A piece full of one byte, which `data` yields.
fn piece(padded_size: u64) -> Result<Piece, Box<dyn Error>> {
    let unpadded = PaddedBytesAmount(padded_size).into();
    let proof = RegisteredSealProof::StackedDrg2KiBV1_1;
    let info = seal::generate_piece_commitment(proof, data(padded_size), unpadded)?;
    Ok(Piece {
        padded_size,
        comm_p: info.commitment,
    })
}

fn data(padded_size: u64) -> impl Read {
    io::repeat(0x5a).take(padded_size / 128 * 127)
}

/// What the steps took, printed as they end.
struct Table {
    /// Whose disk space is counted: the sector's files and the parent cache.
    work: PathBuf,
    rows: serde_json::Map<String, serde_json::Value>,
}

impl Table {
    fn step<T, E>(&mut self, name: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        reset_peak();
        let (clock, before) = (Instant::now(), Usage::now());
        let result = work()?;
        let after = Usage::now();
        let (seconds, cpu) = (clock.elapsed().as_secs_f64(), after.cpu_seconds - before.cpu_seconds);
        let disk = occupied(&self.work);
        println!(
            "{name:<28} {seconds:>9.2} {cpu:>9.2} {:>10.0} {:>10.1}",
            after.peak_memory as f64 / MEBI,
            disk as f64 / MEBI,
        );
        let row = serde_json::json!({
            "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": after.peak_memory, "disk_bytes": disk,
        });
        self.rows.insert(name.to_owned(), row);
        Ok(result)
    }
}

/// Bytes that the files in a directory take.
fn occupied(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => occupied(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
