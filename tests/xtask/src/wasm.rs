//! The browser client's modules: which compiler makes them, and what happens to them before a browser can load them.
//!
//! The client's, and that of the in-page devnet: cargo for wasm32, small rather than fast (`narrowed`, `toolchain`), then wasm-bindgen (linked in, so
//! that its version always fits the library's), then binaryen's optimizer, which is an npm package of the client. The modules that hash, encrypt, verify
//! and back up have plain exports. Last comes the order of the functions ([`function_order`]). The results are in `client-wasm/dist/wasm/`.

mod function_order;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::build::joined;
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
    is_small: false,
    purpose: "compile the browser client",
};
/// The same for what every visitor loads.
pub const SMALL: Target = Target {
    is_small: true,
    ..TARGET
};

/// How what is small is compiled: small first, fast where it matters (`Cargo.toml`).
pub const PROFILE: &str = "wasm-client";

/// What the optimizer is told where the compressed size counts. More passes make a module 6 % smaller and, compressed, 15 % larger: what they put into
/// one function repeats nothing any more.
const COMPRESSIBLE: [&str; 3] = ["-O1", "--dae-optimizing", "--duplicate-function-elimination"];

/// A module that wasm-bindgen makes loadable: its package, what cargo calls the library, and its name in `dist/wasm/`: NAME.js, NAME.d.ts,
/// NAME_bg.wasm.
struct BoundModule {
    package: &'static str,
    library: &'static str,
    name: &'static str,
}

const CLIENT: BoundModule = BoundModule {
    package: "sealdrop-client",
    library: "sealdrop_client",
    name: "sealdrop_client",
};
const DEVNET: BoundModule = BoundModule {
    package: "sealdrop-devnet-wasm",
    library: "sealdrop_devnet_module",
    name: "sealdrop_devnet",
};

/// A module with plain exports: the package that it is compiled from, for what and with which profile, its name in `dist/wasm/`, and what the
/// optimizer is told, if it runs at all.
struct PlainModule {
    package: &'static str,
    target: Target,
    profile: &'static str,
    name: &'static str,
    level: Option<&'static str>,
}

const HASHING: PlainModule = PlainModule {
    package: "sealdrop-commp",
    target: SMALL,
    profile: "wasm-fast",
    name: "sealdrop_commp",
    // Its kernels are in the order in which they are fastest.
    level: None,
};
const ENCRYPTION: PlainModule = PlainModule {
    package: "sealdrop-age",
    target: SMALL,
    profile: "wasm-fast",
    name: "sealdrop_age",
    level: Some("-O3"),
};
const VERIFYING: PlainModule = PlainModule {
    package: "sealdrop-verify-wasm",
    target: SMALL,
    profile: "wasm-small",
    name: "sealdrop_verify_module",
    level: Some("-Oz"),
};
const BACKUP: PlainModule = PlainModule {
    package: "sealdrop-backup-wasm",
    target: SMALL,
    profile: PROFILE,
    name: "sealdrop_backup_module",
    level: Some("-Oz"),
};

/// Compiles all modules and makes `dist/wasm/` from them. Does nothing if nothing has changed.
///
/// Those of one profile by one call, so that what they share is compiled once; the small ones with profiles of their own beside them: each is optimized
/// as a whole at its end, by one core.
pub fn build(project: &Project) -> Result<()> {
    Toolchain::ready(project, SMALL)?;
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| {
            build_hashing(project)?;
            build_plain(project, &ENCRYPTION)?;
            build_verifying(project)
        });
        let toolchain = Toolchain::ready(project, SMALL)?;
        if let Some(compiler) = toolchain.foreign() {
            note_compiler(project, compiler)?;
        }
        compile(project, SMALL, PROFILE, &[CLIENT.package, DEVNET.package])?;
        bind_module(project, &CLIENT)?;
        bind_module(project, &DEVNET)?;
        // By itself: what it has of the encryption takes its random bytes from the page.
        build_plain(project, &BACKUP)?;
        joined(beside).map(drop)
    })
}

/// Compiles the libraries of packages.
fn compile(project: &Project, target: Target, profile: &str, packages: &[&str]) -> Result<()> {
    let toolchain = Toolchain::ready(project, target)?;
    let mut cargo = toolchain.cargo(project, "build");
    cargo.args(["--lib", "--profile", profile]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    process::run(&mut cargo, &format!("compile {}", packages.join(", ")))
}

/// Has wasm-bindgen make a compiled module loadable.
fn bind_module(project: &Project, bound: &BoundModule) -> Result<()> {
    let BoundModule { library, name, .. } = bound;
    let toolchain = Toolchain::ready(project, SMALL)?;
    let module = toolchain.output(project).join(PROFILE).join(format!("{library}.wasm"));
    let optimizer = optimizer(project);
    let this = std::env::current_exe().context("cannot tell where xtask runs from")?;
    let output = project.wasm_output();
    let stamp = Stamp::take(
        project,
        &format!("wasm-bindgen-{name}"),
        &[module.clone(), optimizer.clone(), this],
    )?;
    if stamp.is_current(&output.join(format!("{name}_bg.wasm"))) {
        return Ok(());
    }
    println!("[build] wasm-bindgen: makes {name} loadable from JavaScript");
    bind(&module, &output, name)?;
    let module = output.join(format!("{name}_bg.wasm"));
    // Never the one in PATH: Debian's version 108 breaks modules without a word.
    if optimizer.is_file() {
        println!("[build] wasm-opt: makes {name} smaller (half a minute)");
        optimize(&optimizer, &COMPRESSIBLE, &module, &module)?;
    }
    let sorted = function_order::sort(&read(&module)?)?;
    fs::write(&module, sorted).with_context(|| format!("cannot write {}", module.display()))?;
    stamp.save()
}

/// Compiles the hashing module alone, in seconds; returns the file in `dist/wasm/`.
pub fn build_hashing(project: &Project) -> Result<PathBuf> {
    build_plain(project, &HASHING)
}

/// Compiles the verifying module alone, and lays the verifying keys beside it; returns the file in `dist/wasm/`.
pub fn build_verifying(project: &Project) -> Result<PathBuf> {
    let module = build_plain(project, &VERIFYING)?;
    let keys = project.root.join("shared/verify/keys");
    let entries = fs::read_dir(&keys).with_context(|| format!("cannot read {}", keys.display()))?;
    for entry in entries.flatten() {
        let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
        write_if_other(&project.wasm_output().join("keys").join(entry.file_name()), &bytes)?;
    }
    Ok(module)
}

/// Compiles a module with plain exports; returns the file in `dist/wasm/`.
fn build_plain(project: &Project, module: &PlainModule) -> Result<PathBuf> {
    let PlainModule { profile, name, .. } = module;
    compile(project, module.target, profile, &[module.package])?;
    let toolchain = Toolchain::ready(project, module.target)?;
    let mut made = toolchain.output(project).join(profile).join(format!("{name}.wasm"));
    let optimizer = optimizer(project);
    if let (Some(level), true) = (module.level, optimizer.is_file()) {
        let smaller = made.with_extension("smaller.wasm");
        let stamp = Stamp::take(project, &format!("wasm-opt-{name}"), &[made.clone(), optimizer.clone()])?;
        if !stamp.is_current(&smaller) {
            optimize(&optimizer, &[level], &made, &smaller)?;
            stamp.save()?;
        }
        made = smaller;
    }
    let sorted = function_order::sort(&read(&made)?)?;
    let output = project.wasm_output().join(format!("{name}.wasm"));
    write_if_other(&output, &sorted)?;
    Ok(output)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// An unchanged file keeps its time, so that what is built from it is left alone.
fn write_if_other(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|kept| kept == bytes) {
        return Ok(());
    }
    let folder = path.parent().context("the file lies in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn bind(module: &Path, output: &Path, name: &str) -> Result<()> {
    Bindgen::new()
        .input_path(module)
        .out_name(name)
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

/// Binaryen's, as the client's npm package has it.
fn optimizer(project: &Project) -> PathBuf {
    project.client().join("node_modules/binaryen/bin/wasm-opt")
}

fn optimize(optimizer: &Path, passes: &[&str], module: &Path, output: &Path) -> Result<()> {
    const FEATURES: [&str; 7] = [
        "--enable-simd",
        "--enable-bulk-memory",
        "--enable-sign-ext",
        "--enable-mutable-globals",
        "--enable-nontrapping-float-to-int",
        "--enable-reference-types",
        "--enable-multivalue",
    ];
    let smaller = output.with_extension("opt");
    let mut command = Command::new("node");
    command
        .arg(optimizer)
        .args(passes)
        .args(FEATURES)
        .arg(module)
        .arg("-o")
        .arg(&smaller);
    process::run(&mut command, "optimize a module")?;
    fs::rename(&smaller, output).with_context(|| format!("cannot replace {}", output.display()))
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
