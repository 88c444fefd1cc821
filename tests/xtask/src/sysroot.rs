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
use crate::toolchain::Target;
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
    /// Installs the packages and builds the library, whichever is missing.
    pub fn ready(project: &Project, target: Target) -> Result<Self> {
        let purpose = target.purpose;
        apt::install(
            &PACKAGES,
            &format!("{purpose}: no Rust compiler here has the target {}", target.name),
        )?;
        let compiler = process::answer(bare(RUSTC).arg("-vV"))
            .with_context(|| format!("{RUSTC} does not run; reinstall the Debian package rustc-web"))?;
        let folder = cache(project).join(folder_name(&compiler));
        let sysroot = Self {
            target,
            folder,
            compiler,
        };
        if !sysroot.library().is_dir() {
            let (crates, name) = (target.crates, target.name);
            println!("[setup] building Rust's own {crates} for {name}: Debian has only the sources (about a minute, once per compiler)");
            process::stage("setup: Rust's libraries", || sysroot.build())?;
        }
        Ok(sysroot)
    }

    /// Debian's cargo, led to nothing of the toolchain that runs this program.
    pub fn cargo(&self) -> Command {
        let mut command = bare(CARGO);
        command.env("RUSTC", RUSTC).env("RUSTDOC", "/usr/bin/rustdoc");
        command
    }

    /// Compiler flags that make it find the library and the linker.
    pub fn flags(&self) -> Vec<String> {
        vec![
            format!("--sysroot={}", self.folder.display()),
            format!("-Clinker={LINKER}"),
        ]
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
        remove_others(cache, &self.folder)
    }

    fn build_in(&self, work: &Path) -> Result<()> {
        write_shim(work)?;
        let mut command = self.cargo();
        command
            .current_dir(work)
            // Building the standard library is an unstable option of cargo; this admits it on a stable compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            // Without bitcode in the library, `lto = "fat"` fails later with "Can't find section .llvmbc".
            .env("RUSTFLAGS", "-Cembed-bitcode=yes")
            .args(["build", "--release", "--target", self.target.name])
            .arg(format!("-Zbuild-std={}", self.target.crates));
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
fn remove_others(cache: &Path, keep: &Path) -> Result<()> {
    for entry in fs::read_dir(cache).with_context(|| format!("cannot list {}", cache.display()))? {
        let path = entry
            .with_context(|| format!("cannot list {}", cache.display()))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path != keep && name.starts_with("rustc-") {
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

/// `rustc-VERSION-HASH`: distributions rebuild one version with other sources, which the hash tells apart.
fn folder_name(compiler: &str) -> String {
    let version = compiler.split_whitespace().nth(1).unwrap_or("unknown");
    let mut hasher = DefaultHasher::new();
    compiler.hash(&mut hasher);
    format!("rustc-{version}-{:016x}", hasher.finish())
}
