//! What keeps the processor busy while other tests mostly wait: the gates and the rules where there is no system run beside the tests, behind
//! them in the queue. A program of its own, whose output is shown when it is over.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, Result};

use crate::project::Project;
use crate::tally::Tally;
use crate::{gates, process, test};

/// The word on the command line, and what begins the last line.
pub const NAME: &str = "beside";

/// Runs them; called as a program of its own.
pub fn run() -> ExitCode {
    let mut tally = Tally::default();
    match Project::locate() {
        Ok(project) => {
            // First what holds no lock that the tests of the moment need.
            test::portable_rules(&project, &mut tally);
            gates::check(&project, &mut tally);
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            tally.add(false);
        }
    }
    println!("{NAME}: {tally}");
    if tally.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The program while it runs.
pub struct Beside {
    child: Child,
    said: JoinHandle<std::io::Result<String>>,
}

impl Beside {
    /// Starts it, behind everything else.
    pub fn start() -> Result<Self> {
        let this = std::env::current_exe().context("cannot tell where xtask runs from")?;
        let mut command = match process::find(&["nice"]) {
            Some(nice) => {
                let mut command = Command::new(nice);
                command.args(["-n", "19"]).arg(this);
                command
            }
            None => Command::new(this),
        };
        let (mut output, writer) = std::io::pipe().context("cannot run the gates")?;
        let other = writer.try_clone().context("cannot run the gates")?;
        command.arg(NAME).stdin(Stdio::null()).stdout(writer).stderr(other);
        let child = command.spawn().context("cannot run the gates")?;
        let said = std::thread::spawn(move || {
            let mut said = Vec::new();
            output.read_to_end(&mut said)?;
            Ok(String::from_utf8_lossy(&said).into_owned())
        });
        Ok(Self { child, said })
    }

    /// Waits for its end, shows what it said, and counts it.
    pub fn finish(mut self, tally: &mut Tally) -> Result<()> {
        let before = tally.failed;
        let status = self.child.wait().context("cannot wait for the gates")?;
        let said = self.said.join();
        let said = said.map_err(|_| anyhow::anyhow!("cannot read what the gates say"))??;
        std::io::stdout().lock().write_all(said.as_bytes())?;
        let last = said.lines().next_back().unwrap_or_default();
        tally.read(last);
        tally.settle(before, status.success());
        Ok(())
    }
}
