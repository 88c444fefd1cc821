//! The proof parameters, before anything else starts: minutes at the first start, milliseconds from then on.

use crate::prover::{prover_size, ProverError};
use indicatif::{ProgressBar, ProgressStyle};
use sealdrop_prover::params::{self, Circuit, ParamsError, Phase, Progress};
use shared::piece::SectorSize;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

/// Units of the bar: thousandths.
const FINE: u64 = 1000;
/// Lines that are printed for a phase when nobody sees a bar: every tenth part.
const PARTS: u64 = 10;

/// Why there are no parameters.
#[derive(Debug, thiserror::Error)]
pub enum ParametersError {
    #[error(transparent)]
    Params(#[from] ParamsError),
    #[error(transparent)]
    Prover(#[from] ProverError),
}

/// Makes sure that `dir` holds the parameters to seal and prove sectors of this size, showing progress.
pub fn ensure(dir: &Path, size: SectorSize) -> Result<(), ParametersError> {
    let size = prover_size(size)?;
    params::install_verifying_keys(dir)?;
    if size == sealdrop_prover::SectorSize::S32GiB {
        // Official files only; the prover checks them when it uses them.
        return Ok(());
    }
    let mut display = Display::new();
    let wanted = [(Circuit::PoRep, size), (Circuit::WindowPoSt, size)];
    let report = params::ensure(dir, &wanted, &mut |progress| display.show(progress))?;
    display.end();
    if !report.made.is_empty() {
        eprintln!(
            "Proof parameters made in {:.0} s; they are kept in {}",
            report.elapsed.as_secs_f64(),
            dir.display()
        );
    }
    Ok(())
}

/// A bar on a terminal, plain lines otherwise.
struct Display {
    bar: Option<ProgressBar>,
    last: Option<(Circuit, Phase, u64)>,
}

impl Display {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(FINE);
            let style = ProgressStyle::with_template("{spinner} {msg} {bar:40} {percent:>3} %  {elapsed}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar.set_message("Proof parameters (once, some minutes)");
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
            eprintln!("{message} {} %", part * (100 / PARTS));
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
