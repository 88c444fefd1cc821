//! A PostgreSQL server for tests, in a folder of its own, reached by a socket in it alone; it ends with its handle.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::apt;
use crate::process;

/// Where Debian's packages keep versions side by side.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user of Debian's package; the server does not run as root.
const USER: &str = "postgres";
/// How long it may take to answer.
const READY: Duration = Duration::from_secs(30);
/// The port in the socket's name.
const PORT: &str = "5499";

/// A running server.
pub struct Server {
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts one; fails with what to install.
    pub fn start() -> Result<Self> {
        if programs().is_err() {
            apt::install(&["postgresql"], "test the store on PostgreSQL")?;
        }
        let programs = programs()?;
        // In the short path of temporary files: a socket's name has little room.
        let folder = std::env::temp_dir().join(format!("sealdrop-postgres-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        if is_root() {
            let mut chown = Command::new("chown");
            process::run_quiet(chown.arg(USER).arg(&folder), "give the server its folder")?;
        }
        let data = folder.join("data");
        let mut initdb = as_user(&programs.join("initdb"));
        initdb
            .args(["--auth", "trust", "--username", USER, "--no-sync", "--pgdata"])
            .arg(&data);
        process::run_quiet(&mut initdb, "make a database for tests")?;
        let server = Self {
            child: spawn(&programs, &folder)?,
            folder,
        };
        server.wait(&programs)?;
        Ok(server)
    }

    /// Ends it, with whatever it is at, and starts it again on the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let programs = programs()?;
        self.child = spawn(&programs, &self.folder)?;
        self.wait(&programs)
    }

    fn stop(&mut self) {
        // The process behind `runuser` is told by its own file.
        let process = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        if let Some(process) = process.lines().next() {
            let _ = Command::new("kill").args(["-INT", process]).status();
        }
        let _ = self.child.wait();
    }

    /// How it is reached.
    pub fn url(&self) -> String {
        format!("host={} port={PORT} user={USER} dbname=postgres", self.folder.display())
    }

    fn wait(&self, programs: &Path) -> Result<()> {
        let until = Instant::now() + READY;
        loop {
            let mut asking = Command::new(programs.join("pg_isready"));
            let answer = process::answer(asking.args(["-p", PORT, "-h"]).arg(&self.folder));
            if answer.is_some() {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("PostgreSQL does not answer after {} s", READY.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(programs: &Path, folder: &Path) -> Result<Child> {
    let mut server = as_user(&programs.join("postgres"));
    // As many connections as the largest measurement has.
    server.args(["-c", "listen_addresses=", "-c", "max_connections=400", "-p", PORT, "-k"]);
    server.arg(folder).arg("-D").arg(folder.join("data"));
    let child = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.context("cannot start PostgreSQL")
}

/// The folder of the newest version's programs.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok().into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let newest = folders
        .filter(|folder| process::is_program(&folder.join("initdb")))
        .max();
    newest.with_context(|| format!("there is no PostgreSQL in {VERSIONS}: install the package postgresql"))
}

fn is_root() -> bool {
    process::answer(Command::new("id").arg("-u")).as_deref() == Some("0")
}

fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", USER, "--"]).arg(program);
    // Root's own folder is closed to that user.
    command.current_dir("/");
    command
}
