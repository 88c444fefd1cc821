//! The proof parameters, before anything else starts: minutes at the first start, milliseconds from then on.
//!
//! A development network's are made from a public seed. Those of Filecoin's networks are files that the operator got:
//! nothing is ever made in their place.

use indicatif::{ProgressBar, ProgressStyle};
use sealdrop_miner::console;
use sealdrop_miner::prover::{prover_size, ProverError};
pub use sealdrop_prover::params::Source;
use sealdrop_prover::params::{self, Circuit, ParamsError, Phase, Progress};
use sealdrop_prover::Needs;
use shared::piece::SectorSize;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

/// Units of the bar: thousandths.
const FINE: u64 = 1000;
/// Lines that are printed for a phase when nobody sees a bar: every tenth part.
const PARTS: u64 = 10;
/// Memory that sealing may take without a word of warning: most machines have it.
const COMMON_MEMORY: u64 = 16 << 30;

/// Why there are no parameters.
#[derive(Debug, thiserror::Error)]
pub enum ParametersError {
    #[error(transparent)]
    Params(#[from] ParamsError),
    #[error(transparent)]
    Prover(#[from] ProverError),
}

/// Names of Filecoin's own networks. A network of one of these names goes by official parameters, asked for or not: what
/// is made from a public seed must never pass for theirs.
const REAL_NETWORKS: [&str; 6] = [
    "mainnet",
    "filecoin",
    "calibration",
    "calibnet",
    "calibrationnet",
    "butterfly",
];

/// Where a network's parameters come from: `official` if the operator says so or the network is one of Filecoin's.
pub fn source(network: &str, official: bool) -> Source {
    let network = network.to_ascii_lowercase();
    match official || REAL_NETWORKS.contains(&network.as_str()) {
        true => Source::Official,
        false => Source::Generated,
    }
}

/// Makes sure that `dir` holds the parameters to seal and prove sectors of this size, showing progress. Only development
/// parameters are made; official ones are there or not, and the error says what is missing.
pub fn ensure(dir: &Path, size: SectorSize, source: Source) -> Result<(), ParametersError> {
    let size = prover_size(size)?;
    match source {
        Source::Generated => generated(dir, size),
        Source::Official => official(dir, size),
    }
}

/// What the operator should know of the parameters, in a line.
pub fn label(source: Source) -> &'static str {
    match source {
        Source::Generated => "INSECURE development parameters, made from a public seed: anybody can forge proofs",
        Source::Official => "official parameters of Filecoin's networks, by their published digests",
    }
}

fn generated(dir: &Path, size: sealdrop_prover::SectorSize) -> Result<(), ParametersError> {
    if size == sealdrop_prover::SectorSize::S32GiB {
        // Says which files are missing; when none is, only the flag is.
        official(dir, size)?;
        return Err(ParamsError::OfficialOnly { size }.into());
    }
    params::install_verifying_keys(dir)?;
    let mut display = Display::new("Proof parameters (once, some minutes)");
    let wanted = [(Circuit::PoRep, size), (Circuit::WindowPoSt, size)];
    let report = params::ensure(dir, &wanted, &mut |progress| display.show(progress))?;
    display.end();
    if !report.made.is_empty() {
        console::stderr(&format!(
            "Proof parameters made in {:.0} s; they are kept in {}",
            report.elapsed.as_secs_f64(),
            dir.display()
        ));
    }
    Ok(())
}

fn official(dir: &Path, size: sealdrop_prover::SectorSize) -> Result<(), ParametersError> {
    let mut display = Display::new("Official proof parameters (hashed once)");
    let checked = params::check_official(dir, size, &Circuit::ALL, &mut |progress| display.show(progress));
    display.end();
    let report = checked?;
    if !report.stamps_kept {
        console::stderr(&format!(
            "{} cannot be written, so the official parameters are hashed at every start; let this user write there",
            dir.display()
        ));
    }
    let needs = Needs::of(size);
    if needs.peak_memory() > COMMON_MEMORY {
        console::stderr(&format!("Mind that {needs}"));
    }
    Ok(())
}

/// A bar on a terminal, plain lines otherwise.
struct Display {
    bar: Option<ProgressBar>,
    last: Option<(Circuit, Phase, u64)>,
}

impl Display {
    fn new(message: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(FINE);
            let style = ProgressStyle::with_template("{spinner} {msg} {bar:40} {percent:>3} %  {elapsed}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar.set_message(message);
            bar
        });
        Self { bar, last: None }
    }

    fn show(&mut self, progress: Progress) {
        let Progress {
            circuit, size, phase, ..
        } = progress;
        let message = format!("Proof parameters, {circuit} for {size} sectors: {phase}");
        if let Some(bar) = &self.bar {
            bar.set_message(message);
            bar.set_position((progress.fraction() * FINE as f64) as u64);
            return;
        }
        let part = (progress.fraction() * PARTS as f64) as u64;
        if self.last != Some((circuit, phase, part)) {
            self.last = Some((circuit, phase, part));
            console::stderr(&format!("{message} {} %", part * (100 / PARTS)));
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_development_network_goes_by_generated_parameters() {
        assert_eq!(source("sealdrop-devnet", false), Source::Generated);
        assert_eq!(source("sealdrop-devnet", true), Source::Official);
        for network in REAL_NETWORKS {
            assert_eq!(source(network, false), Source::Official, "{network}");
        }
        assert_eq!(source("MainNet", false), Source::Official);
    }

    #[test]
    fn nothing_is_made_for_a_network_with_official_parameters() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        for size in SectorSize::ALL {
            let refused = ensure(dir.path(), size, Source::Official).expect_err("nothing is there");
            let text = refused.to_string();
            assert!(text.contains("paramfetch -z") && text.contains("is missing"), "{text}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("it can be listed").count(), 0);
    }

    #[test]
    fn sectors_of_32_gib_are_refused_without_official_parameters_and_told_what_they_take() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let refused = ensure(dir.path(), SectorSize::S32GiB, Source::Generated).expect_err("it cannot be generated");
        let text = refused.to_string();
        for words in ["paramfetch -z 34359738368", "11 layers", "256.0 GiB for the proof"] {
            assert!(text.contains(words), "{words:?} is missing in: {text}");
        }
    }
}
