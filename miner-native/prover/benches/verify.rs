//! `cargo xtask bench verify`, the native part: kept proofs checked by `sealdrop-verify` and by filecoin-proofs, in turns and in CPU time, which other
//! work on the machine does not stretch. The last line is JSON,
//! which the part in a browser (`tests/bench/verify.mjs`) goes on with.

#[path = "../../../shared/verify/tests/claims/mod.rs"]
#[allow(dead_code)]
mod claims;

use claims::{kept, Claim};
use sealdrop_prover::{init, params, verify_seal, verify_window_post, SectorSize};
use sealdrop_verify::BuiltIn;
use shared::ports::verifier::ProofVerifier;
use std::error::Error;
use std::fs;

/// Turns of each; the figures are medians over them.
const ROUNDS: usize = 41;
/// Kept proofs, and what they are called in the table and in the JSON.
const PROOFS: [(&str, &str, &str); 4] = [
    ("seal-8388608-1", "seal 8 MiB", "seal_8mib"),
    ("forged-seal-512MiB", "seal 512 MiB", "seal_512mib"),
    ("window-8388608-2", "window, 2 sectors (1 partition)", "window_2"),
    ("window-8388608-5", "window, 5 sectors (3 partitions)", "window_5"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("sealdrop-bench-verify-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let measured = measure(&dir);
    fs::remove_dir_all(&dir)?;
    measured
}

fn measure(dir: &std::path::Path) -> Result<(), Box<dyn Error>> {
    init(dir, &dir.join("parents"))?;
    params::install_verifying_keys(dir)?;
    let begun = cpu_ms();
    let keys = BuiltIn::all();
    let prepared = cpu_ms() - begun;
    println!("native, CPU ms (median of {ROUNDS})       ours  filecoin-proofs  ratio");
    let mut json = vec![format!("\"native_six_keys_ms\":{prepared:.2}")];
    for (name, shown, key) in PROOFS {
        let claim = kept().into_iter().find(|(kept, _)| kept == name);
        let (_, claim) = claim.ok_or("a proof is missing")?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(timed(|| by_us(&keys, &claim))?);
            theirs.push(timed(|| by_library(&claim))?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!("{shown:<34} {ours:>8.2} {theirs:>16.2} {:>6.2}", ours / theirs);
        json.push(format!(
            "\"native_{key}_ms\":{ours:.3},\"library_{key}_ms\":{theirs:.3}"
        ));
    }
    println!("{{{}}}", json.join(","));
    Ok(())
}

/// CPU time of this process, in milliseconds: filecoin-proofs checks on threads of its own, too.
fn cpu_ms() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// Milliseconds of a check, which must find that the proof holds.
fn timed(check: impl FnOnce() -> Result<bool, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let begun = cpu_ms();
    let holds = check()?;
    let milliseconds = cpu_ms() - begun;
    holds
        .then_some(milliseconds)
        .ok_or_else(|| "a true proof was refused".into())
}

fn by_us(keys: &BuiltIn, claim: &Claim) -> Result<bool, Box<dyn Error>> {
    Ok(match claim {
        Claim::Seal(claim) => keys.verify_seal(claim)?,
        Claim::Window(claim) => keys.verify_window_post(claim)?,
    })
}

fn by_library(claim: &Claim) -> Result<bool, Box<dyn Error>> {
    let size = |size: shared::piece::SectorSize| SectorSize::from_bytes(size.bytes()).ok_or("a size");
    Ok(match claim {
        Claim::Seal(c) => verify_seal(
            size(c.sector_size)?,
            c.comm_r.0,
            c.comm_d.0,
            c.prover_id,
            c.sector,
            c.ticket,
            c.seed,
            &c.proof,
        )?,
        Claim::Window(c) => {
            let sectors: Vec<_> = c.sectors.iter().map(|(number, comm_r)| (*number, comm_r.0)).collect();
            verify_window_post(size(c.sector_size)?, c.randomness, c.prover_id, &sectors, &c.proof)?
        }
    })
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}
