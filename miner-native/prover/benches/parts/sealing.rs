//! What the sealing benchmark measures below the daemon, each part in a process of its own, so that its peak memory and
//! its caches are its own. Started by `cargo xtask bench sealing`, which has the other parts.
//!
//! ```text
//! phases PARAMETER_DIR WORK_DIR SECTOR_BYTES  every phase by the own code and by filecoin-proofs, in turn
//! bare PARAMETER_DIR WORK_DIR SECTOR_BYTES    one sector by filecoin-proofs alone, the calls in sequence
//! ours WORK_DIR SECTOR_BYTES porep|window     this product's parameter generator
//! stock WORK_DIR SECTOR_BYTES porep|window    bellperson's own, for the same circuit
//! ```
//! The last line is one JSON object, with seconds, cpu_seconds and peak_bytes, or the figures of all phases.

mod phases;

use bellperson::groth16::{generate_random_parameters, Parameters};
use blstrs::Bls12;
use filecoin_proofs::constants::{DefaultPieceHasher, SectorShapeBase};
use filecoin_proofs::parameters::{public_params, window_post_public_params};
use filecoin_proofs_api::seal;
use filecoin_proofs_api::{RegisteredPoStProof, RegisteredSealProof, SectorId, UnpaddedBytesAmount};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sealdrop_prover::params::{ensure, Circuit};
use sealdrop_prover::usage::Usage;
use sealdrop_prover::{init, SectorSize};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;
use storage_proofs_core::compound_proof::CompoundProof;
use storage_proofs_porep::stacked::{StackedCompound, StackedDrg};
use storage_proofs_post::fallback::{FallbackPoSt, FallbackPoStCompound};

type Outcome<T> = Result<T, Box<dyn Error>>;

const PROVER: [u8; 32] = [0; 32];
const SECTOR: u64 = 1;
const TICKET: [u8; 32] = [1; 32];
const SEED: [u8; 32] = [2; 32];

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        // What `cargo test` does with benchmarks.
        [] => Ok(()),
        ["bare", params, work, size] => bare(Path::new(params), Path::new(work), sector_size(size)?),
        ["phases", params, work, size] => phases::phases(Path::new(params), Path::new(work), sector_size(size)?),
        ["ours", work, size, circuit] => {
            let (work, set) = (Path::new(work), (circuit_of(circuit)?, sector_size(size)?));
            measured(|| Ok(ensure(work, &[set], &mut |_| {}).map(|_| ())?))
        }
        ["stock", work, size, circuit] => {
            let (size, circuit) = (sector_size(size)?, circuit_of(circuit)?);
            let out = Path::new(work).join("stock.params");
            measured(|| stock(circuit, size, &out))
        }
        _ => Err("see the first lines of the program for its arguments".into()),
    }
}

fn sector_size(text: &str) -> Outcome<SectorSize> {
    SectorSize::from_bytes(text.parse()?).ok_or_else(|| format!("{text} is no sector size").into())
}

fn circuit_of(text: &str) -> Outcome<Circuit> {
    match text {
        "porep" => Ok(Circuit::PoRep),
        "window" => Ok(Circuit::WindowPoSt),
        _ => Err(format!("{text} is no circuit: take porep or window").into()),
    }
}

fn proofs(size: SectorSize) -> Outcome<(RegisteredSealProof, RegisteredPoStProof)> {
    use RegisteredPoStProof::{StackedDrgWindow2KiBV1_2, StackedDrgWindow512MiBV1_2, StackedDrgWindow8MiBV1_2};
    use RegisteredSealProof::{StackedDrg2KiBV1_1, StackedDrg512MiBV1_1, StackedDrg8MiBV1_1};
    match size {
        SectorSize::S2KiB => Ok((StackedDrg2KiBV1_1, StackedDrgWindow2KiBV1_2)),
        SectorSize::S8MiB => Ok((StackedDrg8MiBV1_1, StackedDrgWindow8MiBV1_2)),
        SectorSize::S512MiB => Ok((StackedDrg512MiBV1_1, StackedDrgWindow512MiBV1_2)),
        SectorSize::S32GiB => Err("32 GiB is too much for a benchmark".into()),
    }
}

/// Runs a part and prints what it took.
fn measured(part: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    let (clock, before) = (Instant::now(), Usage::now());
    part()?;
    let after = Usage::now();
    let figures = serde_json::json!({
        "seconds": clock.elapsed().as_secs_f64(),
        "cpu_seconds": after.cpu_seconds - before.cpu_seconds,
        "peak_bytes": after.peak_memory,
    });
    println!("{figures}");
    Ok(())
}

/// What anybody would write who only wants a sealed sector and its proof: no checks, no syncing, nothing kept for a crash.
fn bare(params: &Path, work: &Path, size: SectorSize) -> Outcome<()> {
    // Sets the library's directories; the parameters are looked at here, which the measured part does not do.
    init(params, &work.join("parents"))?;
    ensure(params, &Circuit::ALL.map(|circuit| (circuit, size)), &mut |_| {})?;
    let dir = work.join("bare");
    // Left by an interrupted run.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("cache"))?;
    let data = data(size.usable());
    let outcome = measured(|| seal_bare(&dir, size, &data));
    fs::remove_dir_all(&dir)?;
    outcome
}

fn seal_bare(dir: &Path, size: SectorSize, data: &[u8]) -> Outcome<()> {
    let (proof, _) = proofs(size)?;
    let (unsealed, sealed, cache) = (dir.join("unsealed"), dir.join("sealed"), dir.join("cache"));
    let (sector, all) = (SectorId::from(SECTOR), UnpaddedBytesAmount(size.usable()));
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&unsealed)?;
    let (piece, _) = seal::write_and_preprocess(proof, data, &mut file, all)?;
    drop(file);
    File::create(&sealed)?;
    let pieces = [piece];
    let p1 = seal::seal_pre_commit_phase1(proof, &cache, &unsealed, &sealed, PROVER, sector, TICKET, &pieces)?;
    let p2 = seal::seal_pre_commit_phase2(p1, &cache, &sealed)?;
    let (comm_r, comm_d) = (p2.comm_r, p2.comm_d);
    let c1 = seal::seal_commit_phase1(&cache, &sealed, PROVER, sector, TICKET, SEED, p2, &pieces)?;
    let c2 = seal::seal_commit_phase2(c1, PROVER, sector)?;
    let holds = seal::verify_seal(proof, comm_r, comm_d, PROVER, sector, TICKET, SEED, &c2.proof)?;
    seal::clear_cache(&cache)?;
    match holds {
        true => Ok(()),
        false => Err("the bare calls made a proof that does not hold".into()),
    }
}

/// Bytes that look random.
fn data(size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut state = 1u64;
    let words = std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    });
    bytes.extend(words.flatten().take(usize::try_from(size).unwrap_or(usize::MAX)));
    bytes
}

/// bellperson's own generator, written to a file as filecoin-proofs does.
fn stock(circuit: Circuit, size: SectorSize, out: &Path) -> Outcome<()> {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let (porep, post) = proofs(size)?;
    let parameters: Parameters<Bls12> = match circuit {
        Circuit::PoRep => {
            type Scheme = StackedDrg<'static, SectorShapeBase, DefaultPieceHasher>;
            type Compound = StackedCompound<SectorShapeBase, DefaultPieceHasher>;
            let shape = public_params::<SectorShapeBase>(&porep.as_v1_config())?;
            let blank = <Compound as CompoundProof<Scheme, _>>::blank_circuit(&shape);
            generate_random_parameters(blank, &mut random)?
        }
        Circuit::WindowPoSt => {
            type Scheme = FallbackPoSt<'static, SectorShapeBase>;
            type Compound = FallbackPoStCompound<SectorShapeBase>;
            let shape = window_post_public_params::<SectorShapeBase>(&post.as_v1_config())?;
            let blank = <Compound as CompoundProof<Scheme, _>>::blank_circuit(&shape);
            generate_random_parameters(blank, &mut random)?
        }
    };
    let mut file = BufWriter::new(File::create(out)?);
    parameters.write(&mut file)?;
    file.flush()?;
    Ok(())
}
