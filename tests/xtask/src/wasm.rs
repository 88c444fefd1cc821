//! The browser client's module: which compiler makes it, and what happens to it before a browser can load it.
//!
//! Order: cargo for wasm32, then wasm-bindgen (linked in, so that its version always fits the library's), then
//! binaryen's optimizer if the client's npm package depends on it. The result is `client-wasm/dist/wasm/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::process;
use crate::project::Project;
use crate::stamp::Stamp;
use crate::sysroot::Sysroot;

/// Rust's name of the browser's platform.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Vector instructions: every browser that the page supports has them, and the piece commitment needs them.
const FEATURES: &str = "-Ctarget-feature=+simd128";

/// The module's name in `dist/wasm/`: NAME.js, NAME.d.ts, NAME_bg.wasm.
const NAME: &str = "sealdrop_client";

/// A compiler that has the browser's target.
pub enum Toolchain {
    /// The one that builds everything else.
    Same,
    /// Debian's, with a standard library of our own.
    Debian(Sysroot),
}

impl Toolchain {
    /// Finds one, or gets one: the present compiler, rustup's target, or Debian's sources, in this order.
    pub fn ready(project: &Project) -> Result<Self> {
        if has_target() {
            return Ok(Self::Same);
        }
        let allowed = std::env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0");
        if allowed && process::find(&["rustup"]).is_some() {
            println!("[setup] rustup target add {TARGET}: compiles the browser client");
            let mut rustup = Command::new("rustup");
            rustup.args(["target", "add", TARGET]);
            match process::run(&mut rustup, "add the WebAssembly target") {
                Ok(()) if has_target() => return Ok(Self::Same),
                Ok(()) => println!("[setup] rustup added the target to another compiler; trying Debian's packages"),
                Err(error) => println!("[setup] {error:#}; trying Debian's packages"),
            }
        }
        let sysroot = Sysroot::ready(project).with_context(|| {
            format!("the browser client needs a Rust compiler with the target {TARGET}; with rustup: rustup target add {TARGET}; without it, Debian's packages, which failed")
        })?;
        Ok(Self::Debian(sysroot))
    }

    fn cargo(&self, project: &Project) -> Command {
        let (mut command, mut flags) = match self {
            Self::Same => (project.cargo(), Vec::new()),
            Self::Debian(sysroot) => (sysroot.cargo(), sysroot.flags()),
        };
        flags.push(FEATURES.into());
        command.current_dir(&project.root);
        // Cargo's form for flags that may hold spaces, as folders' names do.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        // A folder of its own: the compiler may be another than the native one, and each would undo the other's work.
        command.env("CARGO_TARGET_DIR", target(project));
        command
    }
}

/// Compiles the client and makes `dist/wasm/` from it. Does nothing if nothing has changed.
pub fn build(project: &Project, toolchain: &Toolchain) -> Result<()> {
    let mut cargo = toolchain.cargo(project);
    cargo.args([
        "build",
        "--package",
        "sealdrop-client",
        "--lib",
        "--target",
        TARGET,
        "--profile",
        "wasm",
    ]);
    if let Toolchain::Debian(sysroot) = toolchain {
        note_compiler(project, sysroot)?;
    }
    process::run(&mut cargo, "compile the browser client")?;

    let module = target(project).join(TARGET).join("wasm").join(format!("{NAME}.wasm"));
    let optimizer = project.client().join("node_modules/binaryen/bin/wasm-opt");
    let this = std::env::current_exe().context("cannot tell where xtask runs from")?;
    let output = project.client().join("dist/wasm");
    let stamp = Stamp::take(project, "wasm-bindgen", &[module.clone(), optimizer.clone(), this])?;
    if stamp.is_current(&output.join(format!("{NAME}_bg.wasm"))) {
        return Ok(());
    }
    println!("[build] wasm-bindgen: makes the module loadable from JavaScript");
    bind(&module, &output)?;
    // Never the one in PATH: Debian's version 108 breaks modules without a word.
    if optimizer.is_file() {
        println!("[build] wasm-opt: makes the module smaller (half a minute)");
        optimize(&optimizer, &output.join(format!("{NAME}_bg.wasm")))?;
    }
    stamp.save()
}

fn bind(module: &Path, output: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(module)
        .out_name(NAME)
        .web(true)
        .context("wasm-bindgen refuses its target")?
        .typescript(true)
        .omit_default_module_path(false)
        // Half the size; panics still carry their file and line.
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(output)
        .with_context(|| {
            format!(
                "wasm-bindgen cannot read {} or write {}",
                module.display(),
                output.display()
            )
        })
}

fn optimize(optimizer: &Path, module: &Path) -> Result<()> {
    const FEATURES: [&str; 7] = [
        "--enable-simd",
        "--enable-bulk-memory",
        "--enable-sign-ext",
        "--enable-mutable-globals",
        "--enable-nontrapping-float-to-int",
        "--enable-reference-types",
        "--enable-multivalue",
    ];
    let smaller = module.with_extension("opt");
    let mut command = Command::new("node");
    command
        .arg(optimizer)
        .arg("-O3")
        .args(FEATURES)
        .arg(module)
        .arg("-o")
        .arg(&smaller);
    process::run(&mut command, "optimize the browser client")?;
    fs::rename(&smaller, module).with_context(|| format!("cannot replace {}", module.display()))
}

/// Says once per compiler that the client is not built by the compiler in PATH.
fn note_compiler(project: &Project, sysroot: &Sysroot) -> Result<()> {
    let file = project.stamps().join("wasm-compiler");
    let version = sysroot.compiler().lines().next().unwrap_or_default();
    if fs::read_to_string(&file).is_ok_and(|last| last == version) {
        return Ok(());
    }
    println!("[build] the browser client is compiled by Debian's {version}");
    fs::create_dir_all(project.stamps())
        .and_then(|()| fs::write(&file, version))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn target(project: &Project) -> PathBuf {
    project.target.join("wasm")
}

fn has_target() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", TARGET]);
    process::answer(&mut command).is_some_and(|folder| Path::new(&folder).is_dir())
}
