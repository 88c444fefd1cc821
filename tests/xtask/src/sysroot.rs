//! Rust's own libraries for another target, built once from Debian's sources.
//!
//! Used by `toolchain` where no compiler here has that target and rustup may not, or cannot, fetch it. The result lives
//! in the user's cache folder, one folder per compiler version, so it outlives the checkout's `target/`.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::project::Project;
use crate::toolchain::{Target, SMALLER, TRAPPING};
use crate::{apt, process};

/// Debian's newest Rust (the one that it keeps for building browsers), its standard library's sources, and the linker.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// Where those packages put their programs; PATH may lead to rustup's first.
const CARGO: &str = "/usr/bin/cargo";
const RUSTC: &str = "/usr/bin/rustc";
const LINKER: &str = "/usr/lib/llvm-19/bin/wasm-ld";

/// Debian's compiler together with Rust's libraries for one target.
pub struct Sysroot {
    target: Target,
    folder: PathBuf,
    /// `rustc -vV`: names the version, the host and LLVM.
    compiler: String,
}

impl Sysroot {
    /// Installs the packages that are missing.
    pub fn installed(project: &Project, target: Target) -> Result<Self> {
        let purpose = target.purpose;
        apt::install(
            &PACKAGES,
            &format!("{purpose}: no Rust compiler here has the target {}", target.name),
        )?;
        let compiler = process::answer(bare(RUSTC).arg("-vV"))
            .with_context(|| format!("{RUSTC} does not run; reinstall the Debian package rustc-web"))?;
        let folder = cache(project).join(folder_name(&compiler, target));
        Ok(Self {
            target,
            folder,
            compiler,
        })
    }

    /// Builds the library unless it is there.
    pub fn build_once(&self) -> Result<()> {
        if self.library().is_dir() {
            return Ok(());
        }
        let Target { crates, name, .. } = self.target;
        println!("[setup] building Rust's own {crates} for {name}: Debian has only the sources (about a minute, once per compiler)");
        process::stage("setup: Rust's libraries", || self.build())
    }

    /// Debian's cargo, led to nothing of the toolchain that runs this program.
    pub fn cargo(&self) -> Command {
        let mut command = bare(CARGO);
        command.env("RUSTC", RUSTC).env("RUSTDOC", "/usr/bin/rustdoc");
        command
    }

    /// Compiler flags that make it find the library and the linker, and fit what it was compiled with.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec![
            format!("--sysroot={}", self.folder.display()),
            format!("-Clinker={LINKER}"),
        ];
        if self.target.is_small {
            flags.extend(TRAPPING.map(str::to_owned));
        }
        flags
    }

    /// Puts a `rustc` and a `cargo` into `folder`, and the folder into a command's PATH: Debian's, with the library for what is compiled for the target. What
    /// runs at compile time is compiled for this machine, with the library that Debian has.
    #[cfg(unix)]
    pub fn lead(&self, command: &mut Command, folder: &Path) -> Result<()> {
        use std::os::unix::fs::{symlink, PermissionsExt};
        create(folder)?;
        let (ours, target) = (self.folder.display(), self.target.name);
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *{target}*|'--print sysroot') exec {RUSTC} --sysroot '{ours}' \"$@\" ;; esac\nexec {RUSTC} \"$@\"\n"
        );
        let rustc = folder.join("rustc");
        fs::write(&rustc, script)
            .and_then(|()| fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", rustc.display()))?;
        let cargo = folder.join("cargo");
        if !cargo.exists() {
            symlink(CARGO, &cargo).with_context(|| format!("cannot write {}", cargo.display()))?;
        }
        process::without_toolchain_variables(command);
        let others = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&others)))
            .context("PATH holds what cannot be in it")?;
        command.env("PATH", path).env("RUSTC", rustc);
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", LINKER);
        Ok(())
    }

    #[cfg(not(unix))]
    pub fn lead(&self, _: &mut Command, _: &Path) -> Result<()> {
        bail!("Debian's compiler runs on Debian")
    }

    /// Names the compiler, for records of what was built with it.
    pub fn compiler(&self) -> &str {
        &self.compiler
    }

    /// The folder of all that belongs to the target.
    fn place(&self) -> PathBuf {
        self.folder.join("lib/rustlib").join(self.target.name)
    }

    fn library(&self) -> PathBuf {
        self.place().join("lib")
    }

    fn build(&self) -> Result<()> {
        let cache = self.folder.parent().context("the cache folder has no parent")?;
        // Built beside its place and then renamed: an interrupted build leaves nothing that looks finished.
        let work = cache.join(format!("building-{}", std::process::id()));
        let made = create(&work).and_then(|()| self.build_in(&work));
        let cleaned = fs::remove_dir_all(&work);
        made?;
        cleaned.with_context(|| format!("cannot remove {}", work.display()))?;
        remove_others(cache, &self.folder, prefix(self.target))
    }

    fn build_in(&self, work: &Path) -> Result<()> {
        write_shim(work)?;
        let mut command = self.cargo();
        command
            .current_dir(work)
            // Building the standard library is an unstable option of cargo; this admits it on a stable compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", library_flags(self.target).join("\x1f"))
            .args(["build", "--release", "--target", self.target.name])
            .arg(format!("-Zbuild-std={}", self.target.crates));
        if self.target.is_small {
            command.arg("-Zbuild-std-features=optimize_for_size");
        }
        process::run(&mut command, "build Rust's own libraries")?;

        let whole = work.join("whole");
        create(&whole.join("lib"))?;
        let built = work.join("target").join(self.target.name).join("release/deps");
        let copied = copy_libraries(&built, &whole.join("lib"))?;
        if copied == 0 {
            bail!(
                "cargo built no libraries in {}; this cargo keeps them elsewhere",
                built.display()
            );
        }
        create(&self.folder.join("lib/rustlib"))?;
        // FAIL: another xtask finished first. THEN: its folder is as good, and ours goes with `work`.
        match fs::rename(&whole, self.place()) {
            Err(error) if !self.library().is_dir() => {
                Err(error).with_context(|| format!("cannot move the libraries to {}", self.place().display()))
            }
            _ => Ok(()),
        }
    }
}

/// Compiler flags of Rust's own libraries.
fn library_flags(target: Target) -> Vec<&'static str> {
    // Without bitcode in the library, `lto = "fat"` fails later with "Can't find section .llvmbc".
    let mut flags = vec!["-Cembed-bitcode=yes"];
    if target.is_small {
        flags.push("-Copt-level=z");
        flags.extend(SMALLER);
        flags.extend(TRAPPING);
    }
    flags
}

/// An empty package whose build makes cargo build Rust's libraries; without `std`, which not every target has.
fn write_shim(work: &Path) -> Result<()> {
    const MANIFEST: &str = "[package]\nname = \"stdshim\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n";
    create(&work.join("src"))?;
    for (name, text) in [("Cargo.toml", MANIFEST), ("src/lib.rs", "#![no_std]\n")] {
        let file = work.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn copy_libraries(from: &Path, to: &Path) -> Result<usize> {
    let mut copied = 0;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let name = entry
            .with_context(|| format!("cannot list {}", from.display()))?
            .file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".rlib") && !text.starts_with("libstdshim") {
            fs::copy(from.join(&name), to.join(&name)).with_context(|| format!("cannot copy {text}"))?;
            copied += 1;
        }
    }
    Ok(copied)
}

/// Libraries of compilers that are gone only take space.
fn remove_others(cache: &Path, keep: &Path, prefix: &str) -> Result<()> {
    for entry in fs::read_dir(cache).with_context(|| format!("cannot list {}", cache.display()))? {
        let path = entry
            .with_context(|| format!("cannot list {}", cache.display()))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path != keep && name.starts_with(prefix) {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    process::without_toolchain_variables(&mut command);
    command
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}; is the disk full or read-only?", folder.display()))
}

fn cache(project: &Project) -> PathBuf {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let user = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    match user {
        Some(folder) => folder.join("sealdrop/wasm-toolchain"),
        None => project.target.join("wasm-toolchain"),
    }
}

/// What names of folders begin with: libraries for small code lie beside the others.
fn prefix(target: Target) -> &'static str {
    match target.is_small {
        true => "small-rustc-",
        false => "rustc-",
    }
}

/// `rustc-VERSION-HASH`: distributions rebuild one version with other sources, which the hash tells apart.
fn folder_name(compiler: &str, target: Target) -> String {
    let version = compiler.split_whitespace().nth(1).unwrap_or("unknown");
    let mut hasher = DefaultHasher::new();
    compiler.hash(&mut hasher);
    if target.is_small {
        library_flags(target).hash(&mut hasher);
    }
    format!("{}{version}-{:016x}", prefix(target), hasher.finish())
}
