//! Seals one sector of the given size, filled with two pieces, and prints what each step takes.
//!
//! `cargo run --release --example seal -- PARAMETER_DIR WORK_DIR 8388608`

use filecoin_proofs_api::{seal, PaddedBytesAmount, RegisteredSealProof};
use sealdrop_prover::params::{ensure, Circuit};
use sealdrop_prover::*;
use std::error::Error;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

const TICKET: [u8; 32] = [1; 32];
const SEED: [u8; 32] = [2; 32];
const PROVER: [u8; 32] = [0; 32];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [params, work, size] = arguments.as_slice() else {
        return Err("usage: seal PARAMETER_DIR WORK_DIR SECTOR_BYTES".into());
    };
    let size = SectorSize::from_bytes(size.parse()?).ok_or("no such sector size")?;
    let wanted = Circuit::ALL.map(|circuit| (circuit, size));
    ensure(Path::new(params), &wanted, &mut |_| {})?;
    init(Path::new(params), &Path::new(work).join("parents"))?;
    let files = SectorFiles::new(Path::new(work).join("sector"));
    walk(size, &files)
}

fn walk(size: SectorSize, files: &SectorFiles) -> Result<(), Box<dyn Error>> {
    let identity = SectorIdentity {
        prover_id: PROVER,
        sector: 1,
        size,
    };
    let pieces = [piece(size.bytes() / 4)?, piece(size.bytes() / 2)?];
    let mut open = |index: usize| Ok(Box::new(data(pieces[index].padded_size)) as Box<dyn Read>);
    let comm_d = timed("stage", || write_unsealed(size, files, &pieces, &mut open))?;
    let p1 = timed("pre-commit 1", || pre_commit1(&identity, files, TICKET, &pieces))?;
    let done = timed("pre-commit 2", || pre_commit2(&identity, files, &p1))?;
    timed("check", || check_pre_commit(&identity, files, TICKET, &done, &pieces))?;
    let c1 = timed("commit 1", || commit1(&identity, files, TICKET, SEED, &done, &pieces))?;
    let proof = timed("commit 2", || commit2(&identity, &c1))?;
    let sealed = timed("verify", || {
        verify_seal(size, done.comm_r, comm_d, PROVER, 1, TICKET, SEED, &proof)
    })?;
    clear_cache(files)?;
    let sector = ProvingSector {
        sector: 1,
        comm_r: done.comm_r,
        files: files.clone(),
    };
    let window = timed("window", || window_post(PROVER, size, SEED, &[sector]))?;
    let stored = timed("verify window", || {
        verify_window_post(size, SEED, PROVER, &[(1, done.comm_r)], &window)
    })?;
    let bytes = timed("unseal", || {
        unseal_piece(&identity, files, TICKET, comm_d, &pieces, 1, &mut io::sink())
    })?;
    println!("sealed: {sealed}, stored: {stored}, unsealed: {bytes} bytes");
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

fn timed<T>(step: &str, work: impl FnOnce() -> Result<T, sealdrop_prover::Error>) -> Result<T, sealdrop_prover::Error> {
    let start = Instant::now();
    let result = work();
    println!("{step}: {:.3} s", start.elapsed().as_secs_f64());
    result
}
