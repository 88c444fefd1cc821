//! `cargo xtask bench sealing`: what sealing costs beyond the proofs themselves, what overlapping brings, what parameters
//! cost, and whether the daemon survives being killed anywhere.
//!
//! Each part runs programs of its own and takes figures from the JSON object in the last line of each: processor time and
//! peak memory are those of one process. The last line of all is one JSON object with every part's figures.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

use crate::project::Project;
use crate::{build, process, setup, test};

const USAGE: &str = "\
usage: cargo xtask bench sealing [PART...] [--quick]

  phases       each phase by the own code, with every kernel of this processor, and by filecoin-proofs, in turn
  overhead     processor time of a sector in the daemon against the bare calls of filecoin-proofs
  page         a file of 6 MB from its drop on the page to Complete, and where the time goes
  throughput   four deals together against one after another, with proofs-of-spacetime in between
  params       the parameter generator against bellperson's own
  kill         the daemon killed after every write and around every side effect
  sector       one sector of 512 MiB, each phase (about half an hour, only when asked for)

  --quick      smaller circuits and sectors, to see that the benchmark runs: its figures mean nothing";

/// Deals of the throughput part; the overhead is the mean of those that came one after another.
const DEALS: &str = "4";
/// Sectors that the bare calls seal.
const BARE_SECTORS: usize = 2;
const MEBIBYTES: u64 = 1 << 20;

/// The parts and their scale.
struct Plan {
    phases: bool,
    overhead: bool,
    page: bool,
    throughput: bool,
    params: bool,
    kill: bool,
    sector: bool,
    quick: bool,
}

impl Plan {
    fn of(args: &[String]) -> Result<Self> {
        let quick = args.iter().any(|arg| arg == "--quick");
        let parts: Vec<&str> = args
            .iter()
            .map(String::as_str)
            .filter(|arg| *arg != "--quick")
            .collect();
        let known = ["phases", "overhead", "page", "throughput", "params", "kill", "sector"];
        if let Some(unknown) = parts.iter().find(|part| !known.contains(part)) {
            bail!("the sealing benchmark has no part `{unknown}`\n{USAGE}");
        }
        let all = parts.is_empty();
        let has = |part: &str| parts.contains(&part);
        Ok(Self {
            phases: all || has("phases"),
            overhead: all || has("overhead"),
            page: all || has("page"),
            throughput: all || has("throughput"),
            params: all || has("params"),
            kill: all || has("kill"),
            sector: has("sector"),
            quick,
        })
    }

    fn sector_size(&self) -> (&'static str, u64) {
        match self.quick {
            true => ("2KiB", 2048),
            false => ("8MiB", 8 * MEBIBYTES),
        }
    }
}

/// Runs the parts that are named, or all but the long one.
pub fn run(project: &Project, args: &[String]) -> Result<()> {
    let plan = Plan::of(args)?;
    process::stage("bench: build", || build::native(project))?;
    let work = project.target.join("bench-sealing");
    // Left by an interrupted run.
    clear(&work)?;
    let bench = Bench { project, work };
    let mut figures = Figures::default();
    let failed = bench.parts(&plan, &mut figures);
    clear(&bench.work)?;
    for error in &failed {
        eprintln!("error: {error:#}");
    }
    println!("{}", figures.json());
    match failed.len() {
        0 => Ok(()),
        failed => {
            bail!("{failed} of the parts failed; their messages are above, the figures of the others in the last line")
        }
    }
}

fn clear(folder: &PathBuf) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

struct Bench<'a> {
    project: &'a Project,
    /// Removed at the end.
    work: PathBuf,
}

impl Bench<'_> {
    /// Runs the parts; one that fails leaves the others' figures as they are.
    fn parts(&self, plan: &Plan, figures: &mut Figures) -> Vec<anyhow::Error> {
        let mut failed = Vec::new();
        let mut part = |wanted: bool, name: &str, part: &dyn Fn(&mut Figures) -> Result<()>| {
            if wanted {
                let outcome = process::stage(&format!("bench: {name}"), || part(figures));
                failed.extend(outcome.err());
            }
        };
        part(plan.phases, "phases", &|figures| self.phases(plan, figures));
        let deals = plan.overhead || plan.throughput;
        part(deals, "overhead and throughput", &|figures| self.deals(plan, figures));
        part(plan.page, "page", &|figures| self.page(plan, figures));
        part(plan.params, "params", &|figures| self.params(plan, figures));
        part(plan.kill, "kill", &|figures| self.kill(figures));
        part(plan.sector, "a sector of 512 MiB", &|figures| self.sector(figures));
        failed
    }

    /// Whose code is how fast, phase by phase: all figures of a program of the prover.
    fn phases(&self, plan: &Plan, figures: &mut Figures) -> Result<()> {
        let (_, bytes) = plan.sector_size();
        let mut command = self.part("phases");
        command.arg(params_folder()?).arg(&self.work).arg(bytes.to_string());
        figures.take(&measured(&mut command, "measure each phase")?);
        Ok(())
    }

    /// The bare calls before and after the daemon's deals, so that what else the machine does falls on both.
    fn deals(&self, plan: &Plan, figures: &mut Figures) -> Result<()> {
        let (name, bytes) = plan.sector_size();
        let deals: f64 = DEALS.parse().context("the number of deals is one")?;
        let mut bare = Vec::new();
        if plan.overhead {
            bare.push(self.bare(bytes)?.number("cpu_seconds")?);
        }
        let sequence = self.deals_at_once("sequence", name)?;
        if plan.overhead {
            for _ in 1..BARE_SECTORS {
                bare.push(self.bare(bytes)?.number("cpu_seconds")?);
            }
            let bare = bare.iter().sum::<f64>() / bare.len() as f64;
            let daemon = sequence.number("cpu_seconds")? / deals;
            figures.add("bare_cpu_seconds", bare);
            figures.add("daemon_cpu_seconds", daemon);
            figures.add("overhead_cpu", daemon / bare);
        }
        if plan.throughput {
            let together = self.deals_at_once("together", name)?;
            let (one_by_one, at_once) = (sequence.number("seconds")?, together.number("seconds")?);
            figures.add("sequence_seconds", one_by_one);
            figures.add("together_seconds", at_once);
            figures.add("overlap_gain", one_by_one / at_once);
            for name in ["proofs", "proofs_while_sealing", "proofs_on_time"] {
                figures.add(name, together.number(name)?);
            }
        }
        Ok(())
    }

    /// One sector by filecoin-proofs alone.
    fn bare(&self, bytes: u64) -> Result<Figures> {
        let mut command = self.part("bare");
        command.arg(params_folder()?).arg(&self.work).arg(bytes.to_string());
        measured(&mut command, "seal a sector by the bare calls")
    }

    /// Deals of a real daemon and real clients.
    fn deals_at_once(&self, order: &str, sector: &str) -> Result<Figures> {
        let mut command = self.project.cargo();
        command.args(["run", "--release", "--example", "deals-at-once", "--"]);
        command
            .args([order, DEALS, sector])
            .env("SEALDROP_BIN", self.project.daemon());
        measured(&mut command, "seal the sectors of some deals")
    }

    /// A program beside the browser tests, which shares their helpers: a daemon of its own, and the page in a browser.
    fn page(&self, plan: &Plan, figures: &mut Figures) -> Result<()> {
        build::for_benches(self.project)?;
        let browser = setup::for_browser_tests(self.project)?;
        let (sector, _) = plan.sector_size();
        let mut node = Command::new("node");
        process::without_package_variables(&mut node);
        test::with_places(&mut node, self.project, &self.project.daemon(), &browser);
        node.arg(self.project.browser_tests().join("drop.mjs"))
            .arg(sector)
            .env("SEALDROP_PARAMS", params_folder()?);
        let drop = measured(&mut node, "drop a file on the page")?;
        for name in ["drop_to_complete_s", "drop_outside_prover_s"] {
            figures.add(name, drop.number(name)?);
        }
        figures.raw("drop", &drop.line);
        Ok(())
    }

    /// Both generators on the same circuit. The proof-of-replication of 2 KiB sectors is what miners wait for; a small
    /// circuit would flatter the stock generator, as ours begins with tables of half a gigabyte.
    fn params(&self, plan: &Plan, figures: &mut Figures) -> Result<()> {
        let circuit = if plan.quick { "window" } else { "porep" };
        let generate = |whose, size, circuit| {
            fs::create_dir_all(&self.work).with_context(|| format!("cannot create {}", self.work.display()))?;
            let mut command = self.part(whose);
            command.arg(&self.work).args([size, circuit]);
            let made = measured(&mut command, "generate parameters");
            clear(&self.work)?;
            made
        };
        let (ours, stock) = (generate("ours", "2048", circuit)?, generate("stock", "2048", circuit)?);
        let gibibytes = |of: &Figures| Ok::<_, anyhow::Error>(of.number("peak_bytes")? / f64::from(1 << 30));
        let (cpu, stock_cpu) = (ours.number("cpu_seconds")?, stock.number("cpu_seconds")?);
        let (size, bytes) = plan.sector_size();
        let newcomers = generate("ours", &bytes.to_string(), "porep")?;
        figures.word("params_sector", size);
        figures.add("params_cpu_s", newcomers.number("cpu_seconds")?);
        figures.add("params_wall_s", newcomers.number("seconds")?);
        figures.word("params_circuit", &format!("{circuit} 2 KiB"));
        figures.add("params_cpu_seconds", cpu);
        figures.add("params_stock_cpu_seconds", stock_cpu);
        figures.add("params_vs_stock", stock_cpu / cpu);
        figures.add("params_peak_gib", gibibytes(&ours)?);
        figures.add("params_stock_peak_gib", gibibytes(&stock)?);
        Ok(())
    }

    /// The daemon killed at every failpoint: a program of the tests, which says how often and how often it did not recover.
    fn kill(&self, figures: &mut Figures) -> Result<()> {
        let mut command = self.project.cargo();
        command.args(["run", "--release", "--bin", "kill-matrix"]);
        command.env("SEALDROP_BIN", self.project.daemon());
        let matrix = measured(&mut command, "kill the daemon everywhere")?;
        for name in ["kill_points", "kill_points_failed"] {
            figures.add(name, matrix.number(name)?);
        }
        Ok(())
    }

    /// The prover's own example prints the table.
    fn sector(&self, figures: &mut Figures) -> Result<()> {
        let mut command = self.project.cargo();
        command.args(["run", "--release", "--example", "seal", "--"]);
        command
            .arg(params_folder()?)
            .arg(&self.work)
            .arg((512 * MEBIBYTES).to_string());
        let table = measured(&mut command, "seal a sector of 512 MiB")?;
        figures.add("sector_512_total_cpu_s", table.number("sealing_cpu_seconds")?);
        figures.raw("sector_512_mib", &table.line);
        Ok(())
    }

    fn part(&self, name: &str) -> Command {
        let mut command = self.project.cargo();
        command.args(["bench", "--bench", "sealing-parts", "--", name]);
        command
    }
}

/// Where proof parameters are kept between runs.
fn params_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("SEALDROP_PARAMS") {
        return Ok(folder.into());
    }
    let home = std::env::var_os("HOME").context("there is no HOME to find proof parameters in; set SEALDROP_PARAMS")?;
    Ok(PathBuf::from(home).join(".sealdrop/params"))
}

/// Runs a program, shows what it prints, and takes its last line for its figures.
fn measured(command: &mut Command, purpose: &str) -> Result<Figures> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot {purpose}: the program did not start"))?;
    let output = child.stdout.take().context("a pipe was asked for")?;
    let mut last = String::new();
    for line in BufReader::new(output).lines() {
        let line = line.with_context(|| format!("cannot {purpose}: its output cannot be read"))?;
        println!("  {line}");
        last = line;
    }
    let status = child.wait().with_context(|| format!("cannot {purpose}"))?;
    if !status.success() {
        bail!("cannot {purpose}: the program ended with {status}; its messages are above");
    }
    Ok(Figures { line: last })
}

/// A flat JSON object of numbers, as text: enough for figures, without a parser.
#[derive(Default)]
struct Figures {
    line: String,
}

impl Figures {
    /// The number of this name.
    fn number(&self, name: &str) -> Result<f64> {
        let found = self.line.split_once(&format!("\"{name}\":"));
        let text = found.map(|(_, rest)| rest.split([',', '}']).next().unwrap_or_default().trim());
        text.and_then(|text| text.parse().ok())
            .with_context(|| format!("there is no number `{name}` in: {}", self.line))
    }

    fn add(&mut self, name: &str, number: f64) {
        self.raw(name, &format!("{}", (number * 1000.0).round() / 1000.0));
    }

    /// All of another flat object.
    fn take(&mut self, other: &Self) {
        let inner = other.line.trim().trim_start_matches('{').trim_end_matches('}');
        if !self.line.is_empty() && !inner.is_empty() {
            self.line.push(',');
        }
        self.line.push_str(inner);
    }

    fn word(&mut self, name: &str, word: &str) {
        self.raw(name, &format!("\"{word}\""));
    }

    fn raw(&mut self, name: &str, json: &str) {
        if !self.line.is_empty() {
            self.line.push(',');
        }
        self.line.push_str(&format!("\"{name}\":{json}"));
    }

    fn json(&self) -> String {
        format!("{{{}}}", self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_a_last_line_and_written_to_one() {
        let read = Figures {
            line: r#"{"seconds":12.5,"kill_points": 60,"kill_points_failed":0}"#.into(),
        };
        assert_eq!(read.number("seconds").ok(), Some(12.5));
        assert_eq!(read.number("kill_points").ok(), Some(60.0));
        assert_eq!(read.number("kill_points_failed").ok(), Some(0.0));
        assert!(read.number("second").is_err());
        let mut taken = Figures::default();
        taken.take(&read);
        taken.take(&Figures { line: "{}".into() });
        taken.take(&Figures {
            line: r#"{"c2_wall_s":9.5}"#.into(),
        });
        assert_eq!(
            taken.json(),
            r#"{"seconds":12.5,"kill_points": 60,"kill_points_failed":0,"c2_wall_s":9.5}"#
        );
        let mut written = Figures::default();
        written.add("overhead_cpu", 1.012_345);
        written.add("kill_points", 60.0);
        written.word("params_circuit", "porep 2 KiB");
        assert_eq!(
            written.json(),
            r#"{"overhead_cpu":1.012,"kill_points":60,"params_circuit":"porep 2 KiB"}"#
        );
    }

    #[test]
    fn all_parts_but_the_long_one_run_unless_some_are_named() {
        let plan = |text: &str| Plan::of(&text.split_whitespace().map(String::from).collect::<Vec<_>>());
        let all = plan("--quick").expect("it is known");
        assert!(all.phases && all.overhead && all.page && all.throughput && all.params && all.kill && all.quick);
        assert!(!all.sector);
        let some = plan("params sector").expect("they are known");
        assert!(
            some.params && some.sector && !some.phases && !some.overhead && !some.page && !some.kill && !some.quick
        );
        assert!(plan("speed").is_err());
    }
}
