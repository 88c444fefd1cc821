//! The files as they lie when they are installed below a prefix such as `/usr/local`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use super::write;
use crate::process;
use crate::project::Project;

/// What lies in the repository as it is installed.
const DOCUMENTS: [&str; 5] = [
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];
/// The same, of the packaging's folder; the dashboard where there is one.
const OF_PACKAGING: [(&str, &str); 4] = [
    ("INSTALL.md", "INSTALL.md"),
    ("service.toml", "service.toml"),
    ("worker.env", "worker.env"),
    ("grafana.json", "grafana.json"),
];
/// Units of systemd, of the same folder.
const UNITS: [&str; 2] = ["sealdrop.service", "sealdrop-worker.service"];
const DOC: &str = "share/doc/sealdrop";
/// Where the program lies that the services of a Debian package start, and that of an archive.
const PROGRAM: [&str; 2] = ["/usr/bin/sealdrop", "/usr/local/bin/sealdrop"];
/// What a shell is called, and where its completions lie.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/sealdrop"),
    ("zsh", "share/zsh/site-functions/_sealdrop"),
    ("fish", "share/fish/vendor_completions.d/sealdrop.fish"),
];

/// Lays everything into `files`, anew.
pub fn lay(project: &Project, program: &Path, files: &Path, bill: &[u8]) -> Result<()> {
    if files.exists() {
        fs::remove_dir_all(files).with_context(|| format!("cannot remove {}", files.display()))?;
    }
    let installed = files.join("bin/sealdrop");
    copy(program, &installed)?;
    strip(&installed)?;
    let built = [(project.www(), "www"), (project.client(), "client")];
    for (package, name) in built {
        let from = package.join("dist");
        if !from.is_dir() {
            bail!("{} is missing; `cargo xtask build` makes it", from.display());
        }
        copy_folder(&from, &files.join("share/sealdrop").join(name))?;
    }
    let doc = files.join(DOC);
    for name in DOCUMENTS {
        copy(&project.root.join(name), &doc.join(name))?;
    }
    let packaging = project.root.join("miner-native/packaging");
    for (from, to) in OF_PACKAGING {
        let from = packaging.join(from);
        if from.exists() {
            copy(&from, &doc.join(to))?;
        }
    }
    for name in UNITS {
        let unit = fs::read_to_string(packaging.join(name)).with_context(|| format!("{name} is missing"))?;
        put(&files.join("lib/systemd/system").join(name), local(&unit).as_bytes())?;
    }
    copy(
        &packaging.join("sealdrop.sysusers"),
        &files.join("lib/sysusers.d/sealdrop.conf"),
    )?;
    put(&doc.join("sbom.cdx.json"), bill)?;
    told_by(&installed, files)
}

/// What the program itself says: its sample of a configuration, completions, manual pages.
fn told_by(program: &Path, files: &Path) -> Result<()> {
    put(
        &files.join(DOC).join("sealdrop.toml"),
        &said(program, &["config", "init"])?,
    )?;
    for (shell, path) in COMPLETIONS {
        put(&files.join(path), &said(program, &["completions", shell])?)?;
    }
    let pages = files.join("share/man/man1");
    let mut command = Command::new(program);
    command.arg("man").arg(&pages);
    process::run(&mut command, "make the manual pages")
}

fn said(program: &Path, words: &[&str]) -> Result<Vec<u8>> {
    let words_told = words.join(" ");
    let output = Command::new(program)
        .args(words)
        .output()
        .with_context(|| format!("{} does not start", program.display()))?;
    if !output.status.success() {
        bail!("`sealdrop {words_told}` ended with {}", output.status);
    }
    Ok(output.stdout)
}

/// The unit for a program of an archive.
fn local(unit: &str) -> String {
    let [packaged, local] = PROGRAM;
    unit.replace(packaged, local)
}

/// Names of functions are a quarter of the program, and lines of panics stay without them.
fn strip(program: &Path) -> Result<()> {
    if process::find(&["strip"]).is_none() {
        println!("[dist] there is no strip (binutils): the program stays a quarter larger");
        return Ok(());
    }
    process::run(Command::new("strip").arg(program), "strip the program")
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    make_parent(path)?;
    write(path, bytes)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to)
        .map(|_| ())
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn make_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for file in below(from)? {
        copy(&from.join(&file), &to.join(&file))?;
    }
    Ok(())
}

/// The files below a folder, by their paths from it, in the order of these.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(folder)?.to_path_buf()),
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMON: &str = include_str!("../../../../miner-native/packaging/sealdrop.service");
    const WORKER: &str = include_str!("../../../../miner-native/packaging/sealdrop-worker.service");

    #[test]
    fn the_services_of_an_archive_start_the_program_of_the_archive() {
        let started = |unit: &str| {
            let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart="));
            line.and_then(|line| line.split(' ').next()).map(str::to_owned)
        };
        for unit in [DAEMON, WORKER] {
            assert_eq!(started(unit).as_deref(), Some("/usr/bin/sealdrop"));
            assert_eq!(started(&local(unit)).as_deref(), Some("/usr/local/bin/sealdrop"));
        }
    }

    /// `shared/src/exit_code.rs` names the code of a failed service, which the units repeat.
    #[test]
    fn the_services_are_started_again_with_the_code_of_a_failed_one() {
        let codes = include_str!("../../../../shared/src/exit_code.rs");
        let code = codes
            .lines()
            .find_map(|line| line.strip_prefix("pub const SERVICE_FAILED: u8 = ")?.strip_suffix(';'))
            .expect("the code is there");
        let wanted = format!("RestartForceExitStatus={code}");
        for unit in [DAEMON, WORKER] {
            assert!(unit.lines().any(|line| line == wanted));
        }
    }

    #[test]
    fn a_worker_is_confined_as_the_daemon_is() {
        let confined: Vec<&str> = DAEMON
            .lines()
            .skip_while(|line| *line != "NoNewPrivileges=yes")
            .take_while(|line| *line != "[Install]")
            .filter(|line| line.contains('=') && !line.starts_with('#'))
            // A worker has fewer.
            .filter(|line| !line.starts_with("RestrictAddressFamilies="))
            .collect();
        assert!(confined.len() > 20, "{confined:?}");
        for line in confined {
            assert!(WORKER.lines().any(|own| own == line), "{line}");
        }
    }

    #[test]
    fn a_workers_environment_names_what_it_reads_and_sets_nothing() {
        let environment = include_str!("../../../../miner-native/packaging/worker.env");
        let command = include_str!("../../../../miner-native/src/commands/worker.rs");
        assert!(environment.lines().all(|line| line.is_empty() || line.starts_with('#')));
        let named: Vec<&str> = environment
            .lines()
            .filter_map(|line| line.strip_prefix("#SEALDROP_")?.split('=').next())
            .collect();
        assert_eq!(named.len(), 5, "{named:?}");
        for name in named {
            let is_read = command.contains(&format!("env = \"SEALDROP_{name}\""));
            assert!(is_read || WORKER.contains(&format!("$SEALDROP_{name}")), "{name}");
        }
    }

    /// cargo-deb finds the daemon's unit by the package's name, and no other.
    #[test]
    fn a_debian_package_has_the_workers_unit_and_an_environment_that_only_root_reads() {
        let manifest = include_str!("../../../../miner-native/Cargo.toml");
        for asset in [
            r#"["packaging/sealdrop-worker.service", "usr/lib/systemd/system/", "644"]"#,
            r#"["packaging/worker.env", "etc/sealdrop/worker.env", "600"]"#,
        ] {
            assert!(manifest.contains(asset), "{asset}");
        }
        assert!(WORKER
            .lines()
            .any(|line| line == "EnvironmentFile=/etc/sealdrop/worker.env"));
    }
}
