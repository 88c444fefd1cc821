//! The browser client's two modules: which compiler makes them, and what happens to them before a browser can load them.
//!
//! The client's: cargo for wasm32, then wasm-bindgen (linked in, so that its version always fits the library's), then
//! binaryen's optimizer if the client's npm package depends on it. The hashing module has plain exports and is only
//! stripped by the linker. The results are in `client-wasm/dist/wasm/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::process;
use crate::project::Project;
use crate::stamp::Stamp;
use crate::toolchain::{Target, Toolchain};

/// The browser's platform.
pub const TARGET: Target = Target {
    name: "wasm32-unknown-unknown",
    crates: "std,panic_abort",
    // Vector instructions: every browser that the page supports has them, and the piece commitment needs them.
    flags: &["-Ctarget-feature=+simd128"],
    purpose: "compile the browser client",
};

/// The module's name in `dist/wasm/`: NAME.js, NAME.d.ts, NAME_bg.wasm.
const NAME: &str = "sealdrop_client";

/// The hashing module's name in `dist/wasm/`.
const HASHING: &str = "sealdrop_commp";

/// Compiles the client and makes `dist/wasm/` from it. Does nothing if nothing has changed.
pub fn build(project: &Project, toolchain: &Toolchain) -> Result<()> {
    build_hashing(project, toolchain)?;
    let mut cargo = toolchain.cargo(project, "build");
    cargo.args(["--package", "sealdrop-client", "--lib", "--profile", "wasm"]);
    if let Some(compiler) = toolchain.foreign() {
        note_compiler(project, compiler)?;
    }
    process::run(&mut cargo, "compile the browser client")?;

    let module = toolchain.output(project).join("wasm").join(format!("{NAME}.wasm"));
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

/// Compiles the hashing module alone, in seconds; returns the file in `dist/wasm/`.
pub fn build_hashing(project: &Project, toolchain: &Toolchain) -> Result<PathBuf> {
    let mut cargo = toolchain.cargo(project, "build");
    cargo.args(["--package", "sealdrop-commp", "--lib", "--profile", "wasm"]);
    process::run(&mut cargo, "compile the hashing module")?;
    let module = toolchain.output(project).join("wasm").join(format!("{HASHING}.wasm"));
    let output = project.hashing_module();
    let (made, kept) = (fs::read(&module), fs::read(&output));
    let made = made.with_context(|| format!("cannot read {}", module.display()))?;
    // An unchanged file keeps its time, so that what is built from it is left alone.
    if kept.is_ok_and(|kept| kept == made) {
        return Ok(output);
    }
    let folder = output.parent().context("the module lies in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&output, made))
        .with_context(|| format!("cannot write {}", output.display()))?;
    Ok(output)
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
fn note_compiler(project: &Project, compiler: &str) -> Result<()> {
    let file = project.stamps().join("wasm-compiler");
    let version = compiler.lines().next().unwrap_or_default();
    if fs::read_to_string(&file).is_ok_and(|last| last == version) {
        return Ok(());
    }
    println!("[build] the browser client is compiled by Debian's {version}");
    fs::create_dir_all(project.stamps())
        .and_then(|()| fs::write(&file, version))
        .with_context(|| format!("cannot write {}", file.display()))
}
