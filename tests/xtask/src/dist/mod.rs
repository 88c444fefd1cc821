//! `cargo xtask dist`: what is given away. Builds everything, lays it out as it is installed ([`stage`]), and packs that: an archive that is the
//! same for the same files ([`archive`]), with `--deb` a Debian package by cargo-deb, whose metadata is the daemon's `Cargo.toml`; beside them
//! what they are made of ([`sbom`]) and their digests ([`sums`]).

mod archive;
mod sbom;
mod stage;
mod sums;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::process::{self, stage};
use crate::project::Project;
use crate::{build, nightly};

/// What is packed, and when its source was written.
struct Release {
    version: &'static str,
    target: String,
    /// Seconds since 1970: all files' time.
    time: u64,
}

impl Release {
    fn of(project: &Project) -> Result<Self> {
        Ok(Self {
            // The workspace has one version.
            version: env!("CARGO_PKG_VERSION"),
            target: host()?,
            time: source_time(project),
        })
    }

    /// The archive's folder, and its name without ending.
    fn name(&self) -> String {
        format!("sealdrop-{}-{}", self.version, self.target)
    }
}

/// Options of the command.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    deb: bool,
    /// A program that is packed as it is, with page and client as they are.
    program: Option<PathBuf>,
}

fn asked(args: &[String]) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--deb" => asked.deb = true,
            "--program" => asked.program = Some(args.next().context("--program needs a file")?.into()),
            other => bail!("dist has no option {other}: usage: cargo xtask dist [--deb] [--program FILE]"),
        }
    }
    Ok(asked)
}

/// Makes everything in `dist`.
pub fn run(project: &Project, args: &[String]) -> Result<()> {
    let asked = asked(args)?;
    let program = match &asked.program {
        Some(program) => program.clone(),
        None => {
            build::for_release(project)?;
            project.daemon()
        }
    };
    let release = Release::of(project)?;
    let dist = project.root.join("dist");
    fs::create_dir_all(&dist).with_context(|| format!("cannot create {}", dist.display()))?;
    let bill = stage("dist: what it is made of", || sbom::of(project, &release))?;
    let bill_name = format!("{}.cdx.json", release.name());
    write(&dist.join(&bill_name), &bill)?;
    let files = dist.join("files");
    stage("dist: files", || stage::lay(project, &program, &files, &bill))?;
    let archive_name = format!("{}.tar.gz", release.name());
    stage("dist: archive", || {
        archive::write(&files, &release.name(), release.time, &dist.join(&archive_name))
    })?;
    let mut made = vec![archive_name, bill_name];
    if asked.deb {
        made.push(stage("dist: Debian package", || deb(project, &dist, release.time))?);
    }
    sums::write(&dist, &made)?;
    for name in made.iter().map(String::as_str).chain([sums::NAME]) {
        println!("dist/{name}");
    }
    Ok(())
}

/// The package that cargo-deb makes of the files; its name.
fn deb(project: &Project, dist: &Path, time: u64) -> Result<String> {
    let tool = nightly::installed(project, "cargo-deb")?;
    let output = dist.join("deb");
    // The only one there, whatever it is called.
    let _ = fs::remove_dir_all(&output);
    fs::create_dir_all(&output).with_context(|| format!("cannot create {}", output.display()))?;
    let mut command = Command::new(tool);
    process::without_package_variables(&mut command);
    command
        .current_dir(project.root.join("miner-native"))
        .env("SOURCE_DATE_EPOCH", time.to_string())
        .args(["deb", "--no-build", "--no-strip", "--locked", "--output"])
        .arg(&output);
    process::run(&mut command, "make the Debian package")?;
    let made = fs::read_dir(&output)?.next().context("cargo-deb made no package")??;
    let name = made.file_name().to_string_lossy().into_owned();
    fs::rename(made.path(), dist.join(&name)).with_context(|| format!("cannot move {name} to dist"))?;
    fs::remove_dir(&output)?;
    Ok(name)
}

/// The system that rustc compiles for here.
fn host() -> Result<String> {
    let told = process::answer(Command::new("rustc").arg("-vV")).context("rustc does not say what it compiles for")?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not say what it compiles for")
}

/// When the source was written: what SOURCE_DATE_EPOCH says, or the last commit; without either 1970.
fn source_time(project: &Project) -> u64 {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok();
    let committed = || {
        let mut git = Command::new("git");
        git.current_dir(&project.root).args(["log", "-1", "--format=%ct"]);
        process::answer(&mut git)
    };
    said.or_else(committed)
        .and_then(|seconds| seconds.trim().parse().ok())
        .unwrap_or(0)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_others_are_refused() {
        let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        assert_eq!(asked(&[]).expect("there are none"), Asked::default());
        let all = asked(&words("--deb --program a/sealdrop")).expect("both are known");
        assert_eq!(all.program, Some("a/sealdrop".into()));
        assert!(all.deb);
        assert!(asked(&words("--program")).is_err() && asked(&words("--dbe")).is_err());
    }

    #[test]
    fn an_archive_is_named_after_version_and_system() {
        let release = Release {
            version: "1.2.3",
            target: "x86_64-unknown-linux-gnu".into(),
            time: 0,
        };
        assert_eq!(release.name(), "sealdrop-1.2.3-x86_64-unknown-linux-gnu");
    }
}
