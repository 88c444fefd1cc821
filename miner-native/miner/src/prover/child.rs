//! The zero-knowledge proof in a process of its own (step 11 of a deal).
//!
//! bellperson computes on threads that all proofs of a process share, in the order in which they come: beside a proof of
//! minutes in the same process a proof-of-spacetime of seconds comes last, and its window is missed. In a process of its
//! own, of lower priority, the system gives proofs-of-spacetime the processor first; its memory goes back to the system at
//! its end; and whatever ends it, a lack of memory say, ends one attempt and not the daemon.
//!
//! [`commit2`] starts this program with the hidden command `prove` (its `commands`), which calls [`serve`]. The work
//! comes on standard input, which stays open: when it ends, the daemon is gone, and the process ends as well.

use super::work::Step;
use super::ProverError;
use sealdrop_prover::params::Source;
use sealdrop_prover::{Error, Implementation, SectorIdentity, SectorSize};
use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Niceness of the process, beyond the daemon's: it gives way to proofs-of-spacetime and to people at the same machine.
const NICENESS: &str = "10";
/// Largest output of commit 1 that is taken: ten times what sectors of 32 GiB have.
const MAX_INPUT: u64 = 1 << 30;
/// Exit code for an output of commit 1 that is damaged: the step before is to be done again.
pub const DAMAGED: u8 = 3;
/// Exit code for a proof of the own code that does not hold, or that it could not make: the library is to make it.
pub const REFUSED: u8 = 4;

/// Where this environment variable is set, the own code computes wrongly in the process: a drill for what happens then. It costs
/// time; no wrong proof leaves the process.
pub const DRILL_VARIABLE: &str = "SEALDROP_DRILL_BROKEN_PROVER";

/// What the process is told on its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub prover_id: [u8; 32],
    pub sector: u64,
    /// Bytes of the sector.
    pub size: u64,
    pub params: PathBuf,
    pub parents: PathBuf,
    pub official: bool,
    /// Whether filecoin-proofs is to make it.
    pub library: bool,
}

/// Has the proof of a sector computed from the output of commit 1.
pub(super) fn commit2(identity: &SectorIdentity, c1: &[u8], by: Implementation) -> Result<Vec<u8>, ProverError> {
    let session = sealdrop_prover::session()?;
    let task = Task {
        prover_id: identity.prover_id,
        sector: identity.sector,
        size: identity.size.bytes(),
        params: session.params,
        parents: session.parents,
        official: session.source == Source::Official,
        library: by == Implementation::Library,
    };
    let mut child = start(&task).map_err(not_run)?;
    let mut input = child.stdin.take();
    if let Some(input) = &mut input {
        // A process that ended early says why; the broken pipe does not.
        let _ = input
            .write_all(&(c1.len() as u64).to_be_bytes())
            .and_then(|()| input.write_all(c1))
            .and_then(|()| input.flush());
    }
    let output = child.wait_with_output().map_err(not_run)?;
    // Open until now: its end would have been the process's.
    drop(input);
    read(output, by)
}

fn start(task: &Task) -> io::Result<Child> {
    let program = this_program()?;
    let spawn = |mut command: Command| {
        // Ctrl-C in a terminal is for the daemon: a proof that it ended would count as a failed attempt.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
            .args(arguments(task))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let mut nice = Command::new("nice");
    nice.args(["-n", NICENESS]).arg(&program);
    match spawn(nice) {
        // A system without `nice` computes all the same.
        Err(error) if error.kind() == ErrorKind::NotFound => spawn(Command::new(program)),
        started => started,
    }
}

/// The program as it was started, also when an upgrade has put another in its place.
fn this_program() -> io::Result<PathBuf> {
    let running = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    match running.exists() {
        true => Ok(running),
        false => std::env::current_exe(),
    }
}

fn arguments(task: &Task) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<std::ffi::OsString> = vec!["prove".into()];
    let mut option = |name: &str, value: std::ffi::OsString| arguments.extend([name.into(), value]);
    option("--prover-id", hex::encode(task.prover_id).into());
    option("--sector", task.sector.to_string().into());
    option("--size", task.size.to_string().into());
    option("--params", task.params.clone().into());
    option("--parents", task.parents.clone().into());
    if task.official {
        arguments.push("--official".into());
    }
    if task.library {
        arguments.push("--library".into());
    }
    arguments
}

/// What the process found. An own code that ends in any way of its own making, by a signal that only a fault sends too, is
/// refused; what the system or a person ended is tried again as it is.
fn read(output: Output, by: Implementation) -> Result<Vec<u8>, ProverError> {
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        return hex::decode(text.trim())
            .map_err(|error| failed(format!("the process that computes it printed no proof: {error}")));
    }
    Err(match output.status.code().map(u8::try_from) {
        Some(Ok(DAMAGED)) => {
            let step = "commit 1";
            ProverError::Step(Error::DamagedOutput { step, reason })
        }
        Some(Ok(REFUSED)) => {
            let step = Step::Commit2.name();
            ProverError::Step(Error::Refused { step, reason })
        }
        _ if by != Implementation::Library && !was_ended(&output) => {
            let (step, status) = (Step::Commit2.name(), output.status);
            let reason = format!("the process that computes it ended with {status}. {reason}");
            ProverError::Step(Error::Refused { step, reason })
        }
        Some(_) => failed(reason),
        None => failed(format!(
            "the process that computes it was ended by the system ({}): free memory, or close other programs. {reason}",
            output.status
        )),
    })
}

/// Whether somebody else ended the process: the system for want of memory, or a person.
fn was_ended(output: &Output) -> bool {
    #[cfg(unix)]
    {
        use nix::sys::signal::Signal::{SIGINT, SIGKILL, SIGTERM};
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        [SIGINT, SIGKILL, SIGTERM]
            .iter()
            .any(|ended| signal == Some(*ended as i32))
    }
    #[cfg(not(unix))]
    {
        let _ = output;
        false
    }
}

fn failed(reason: String) -> ProverError {
    ProverError::Step(Error::Proofs {
        step: Step::Commit2.name(),
        reason,
    })
}

fn not_run(error: io::Error) -> ProverError {
    let reason = format!("the process that computes it could not be run: {error}");
    match sealdrop_prover::is_shortage(&error) {
        true => ProverError::Step(Error::Shortage {
            step: Step::Commit2.name(),
            reason,
        }),
        false => failed(reason),
    }
}

/// Why the process has no proof to print.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Prover(#[from] Error),
    #[error("no proofs exist for sectors of {0} bytes")]
    Size(u64),
    #[error("the output of commit 1 cannot be read: {0}")]
    Input(io::Error),
    #[error("an output of commit 1 has {0} bytes; at most {MAX_INPUT} are taken")]
    TooLong(u64),
}

/// Computes the proof whose input comes on standard input. Ends the process when that ends.
pub fn serve(task: &Task) -> Result<Vec<u8>, ServeError> {
    let c1 = input(&mut io::stdin().lock())?;
    // Nothing more comes. Reading ends with the daemon, which nobody else waits for.
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(1);
    });
    let source = match task.official {
        true => Source::Official,
        false => Source::Generated,
    };
    sealdrop_prover::init_from(&task.params, &task.parents, source)?;
    let identity = SectorIdentity {
        prover_id: task.prover_id,
        sector: task.sector,
        size: SectorSize::from_bytes(task.size).ok_or(ServeError::Size(task.size))?,
    };
    if std::env::var_os(DRILL_VARIABLE).is_some() {
        sealdrop_prover::break_own_proofs();
    }
    let by = match task.library {
        true => Implementation::Library,
        false => Implementation::own(),
    };
    Ok(sealdrop_prover::commit2(&identity, &c1, by)?)
}

/// Eight bytes of length, the highest first, then as many bytes.
fn input(from: &mut impl Read) -> Result<Vec<u8>, ServeError> {
    let mut length = [0; 8];
    from.read_exact(&mut length).map_err(ServeError::Input)?;
    let length = u64::from_be_bytes(length);
    if length > MAX_INPUT {
        return Err(ServeError::TooLong(length));
    }
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes).map_err(ServeError::Input)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(ServeError::Input(ErrorKind::UnexpectedEof.into())),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ended(status: i32, stdout: &str, stderr: &str) -> Result<Vec<u8>, ProverError> {
        ended_by(Implementation::Library, status, stdout, stderr)
    }

    fn ended_by(by: Implementation, status: i32, stdout: &str, stderr: &str) -> Result<Vec<u8>, ProverError> {
        let output = Output {
            status: ExitStatus::from_raw(status),
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        read(output, by)
    }

    #[test]
    fn own_code_that_dies_by_its_own_fault_is_refused_and_what_was_ended_is_tried_again() {
        let own = |status| ended_by(Implementation::own(), status, "", "");
        // An illegal instruction, a bad address, an abort, and a panic's exit code.
        for status in [4, 11, 6, 101 << 8] {
            let died = own(status);
            assert!(
                matches!(died, Err(ProverError::Step(Error::Refused { .. }))),
                "{died:?}"
            );
        }
        for status in [2, 9, 15] {
            let killed = own(status);
            assert!(
                matches!(killed, Err(ProverError::Step(Error::Proofs { .. }))),
                "{killed:?}"
            );
        }
    }

    #[test]
    fn the_proof_is_what_the_process_prints_and_nothing_else_is_one() {
        assert_eq!(ended(0, "0102ff\n", "").expect("a proof"), [1, 2, 255]);
        let text = ended(0, "done", "").expect_err("no proof").to_string();
        assert!(text.contains("printed no proof"), "{text}");
    }

    #[test]
    fn a_refused_proof_is_told_from_a_failed_one() {
        let refused = ended(i32::from(REFUSED) << 8, "", "it does not hold");
        assert!(
            matches!(refused, Err(ProverError::Step(Error::Refused { ref reason, .. })) if reason == "it does not hold"),
            "{refused:?}"
        );
    }

    #[test]
    fn a_damaged_input_a_failure_and_a_kill_are_told_apart() {
        let damaged = ended(i32::from(DAMAGED) << 8, "", "not JSON");
        assert!(
            matches!(damaged, Err(ProverError::Step(Error::DamagedOutput { ref reason, .. })) if reason == "not JSON"),
            "{damaged:?}"
        );
        let failed = ended(1 << 8, "", "no such parameters")
            .expect_err("it failed")
            .to_string();
        assert!(failed.contains("commit 2 failed: no such parameters"), "{failed}");
        let killed = ended(9, "", "").expect_err("it was killed").to_string();
        assert!(killed.contains("ended by the system (signal: 9"), "{killed}");
    }

    #[test]
    fn an_input_that_breaks_off_or_is_too_long_is_refused() {
        let framed = |length: u64, bytes: &[u8]| input(&mut [&length.to_be_bytes(), bytes].concat().as_slice());
        assert_eq!(framed(3, b"abc").expect("whole"), b"abc");
        assert!(matches!(framed(4, b"abc"), Err(ServeError::Input(_))));
        assert!(matches!(framed(u64::MAX, b"abc"), Err(ServeError::TooLong(u64::MAX))));
    }
}
