//! Compilers for targets other than this machine: which one makes the browser's code, and code for no system at all.
//!
//! Called by `wasm`, `vectors` and `bare`. Order: the present compiler, rustup's target, or Debian's sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::narrowed;
use crate::process;
use crate::project::Project;
use crate::sysroot::Sysroot;

/// What code is compiled for.
#[derive(Clone, Copy)]
pub struct Target {
    /// Rust's name of it.
    pub name: &'static str,
    /// Rust's own libraries that it has, as `-Zbuild-std` lists them.
    pub crates: &'static str,
    /// Compiler flags of the whole build.
    pub flags: &'static [&'static str],
    /// Whether size counts before everything else, for code that every visitor loads: no texts of panics, see [`SMALLER`].
    pub is_small: bool,
    /// Completes "needed to ...".
    pub purpose: &'static str,
}

/// Compiler flags that leave out what only developers read: where in the source a panic was, and the fields of values that are shown for debugging
/// (the names of their types and variants stay; text in quotes is no part of it).
pub const SMALLER: [&str; 2] = ["-Zlocation-detail=none", "-Zfmt-debug=shallow"];
/// A panic is a trap, without a text and without the code that writes it. Only with Rust's own libraries compiled alike.
pub const TRAPPING: [&str; 2] = ["-Zunstable-options", "-Cpanic=immediate-abort"];

/// A compiler that has a target.
pub struct Toolchain {
    target: Target,
    /// Debian's, with libraries of our own; without it, the compiler that builds everything else.
    debian: Option<Sysroot>,
}

impl Toolchain {
    /// Finds one, or gets one.
    pub fn ready(project: &Project, target: Target) -> Result<Self> {
        let toolchain = Self::installed(project, target)?;
        toolchain.debian.as_ref().map_or(Ok(()), Sysroot::build_once)?;
        Ok(toolchain)
    }

    /// The same, but for what is compiled for it here.
    pub fn installed(project: &Project, target: Target) -> Result<Self> {
        let Target { name, purpose, .. } = target;
        let same = Self { target, debian: None };
        if has_target(name) {
            return Ok(same);
        }
        let allowed = std::env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0");
        if allowed && process::find(&["rustup"]).is_some() {
            println!("[setup] rustup target add {name}: needed to {purpose}");
            let mut rustup = Command::new("rustup");
            rustup.args(["target", "add", name]);
            match process::run(&mut rustup, &format!("add the target {name}")) {
                Ok(()) if has_target(name) => return Ok(same),
                Ok(()) => println!("[setup] rustup added the target to another compiler; trying Debian's packages"),
                Err(error) => println!("[setup] {error:#}; trying Debian's packages"),
            }
        }
        let sysroot = Sysroot::installed(project, target).with_context(|| {
            format!("to {purpose}, a Rust compiler with the target {name} is needed; with rustup: rustup target add {name}; without it, Debian's packages, which failed")
        })?;
        Ok(Self {
            target,
            debian: Some(sysroot),
        })
    }

    /// `cargo VERB` for the target.
    pub fn cargo(&self, project: &Project, verb: &str) -> Command {
        let (mut command, mut flags) = match &self.debian {
            None => (project.cargo(), Vec::new()),
            Some(sysroot) => (sysroot.cargo(), sysroot.flags()),
        };
        flags.extend(self.target.flags.iter().map(|flag| (*flag).to_owned()));
        if self.target.is_small {
            flags.extend(SMALLER.map(str::to_owned));
        }
        command.current_dir(&project.root);
        // Cargo's form for flags that may hold spaces, as folders' names do.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        // What the compiler does not promise to keep: assembly for WebAssembly in one crate, a faster kernel (see its `build.rs`), or flags of all.
        command.env("RUSTC_BOOTSTRAP", "1");
        if let Ok(this) = std::env::current_exe() {
            command.env("RUSTC_WRAPPER", this).env(narrowed::SWITCH, "1");
        }
        // A folder of its own: the compiler may be another than the native one, and each would undo the other's work.
        command.env("CARGO_TARGET_DIR", folder(project));
        command.args([verb, "--target", self.target.name]);
        command
    }

    /// Has a program that runs `cargo` find the target: nothing to do where the compiler in PATH has it; else `folder` gets commands that lead there.
    pub fn lead(&self, command: &mut Command, folder: &Path) -> Result<()> {
        self.debian
            .as_ref()
            .map_or(Ok(()), |sysroot| sysroot.lead(command, folder))
    }

    /// Where the results lie, by profile.
    pub fn output(&self, project: &Project) -> PathBuf {
        folder(project).join(self.target.name)
    }

    /// Names the compiler when it is not the one in PATH.
    pub fn foreign(&self) -> Option<&str> {
        self.debian.as_ref().map(Sysroot::compiler)
    }
}

fn folder(project: &Project) -> PathBuf {
    project.target.join("wasm")
}

fn has_target(name: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", name]);
    process::answer(&mut command).is_some_and(|folder| Path::new(&folder).is_dir())
}
