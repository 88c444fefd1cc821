//! Where the project's folders are, and which cargo builds its native part. Read by every other module.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The profile of `Cargo.toml` by which what `up` starts and tests run is built.
pub const QUICK: &str = "quick";

/// The checkout that xtask works in.
pub struct Project {
    /// Folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target folder for native builds, wherever the user's configuration puts it.
    pub target: PathBuf,
}

impl Project {
    /// Finds the checkout from what cargo says, or else from where this program was compiled; the target folder from where
    /// it runs.
    pub fn locate() -> Result<Self> {
        // Cargo takes the program of a checkout that was moved or copied for its own; what it says then is right.
        let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = here
            .ancestors()
            .nth(2)
            .filter(|root| root.join("Cargo.lock").is_file())
            .with_context(|| {
                format!(
                    "{} is no longer inside the checkout; run `cargo xtask` from it",
                    here.display()
                )
            })?
            .to_path_buf();
        // The program is TARGET/xtask/xtask: asking itself also honours CARGO_TARGET_DIR and `build.target-dir`.
        let exe = std::env::current_exe().context("cannot tell where xtask runs from")?;
        let target = exe
            .ancestors()
            .nth(2)
            .context("xtask runs from the root of a file system; start it with `cargo xtask`")?
            .to_path_buf();
        Ok(Self { root, target })
    }

    /// The cargo that runs this xtask, free of what `cargo run` sets for its child.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        process::without_package_variables(&mut command);
        command.current_dir(&self.root);
        command
    }

    /// The daemon's binary, present after [`crate::build::native`].
    pub fn daemon(&self) -> PathBuf {
        self.program("release")
    }

    /// The daemon's binary that `up` starts and tests run, compiled in half the time ([`QUICK`]).
    pub fn quick_daemon(&self) -> PathBuf {
        self.program(QUICK)
    }

    fn program(&self, profile: &str) -> PathBuf {
        self.target
            .join(profile)
            .join(format!("sealdrop{}", std::env::consts::EXE_SUFFIX))
    }

    /// Folder of the browser client's package.
    pub fn client(&self) -> PathBuf {
        self.root.join("client-wasm")
    }

    /// Where the browser client's modules lie.
    pub fn wasm_output(&self) -> PathBuf {
        self.client().join("dist/wasm")
    }

    /// Folder of the web page's package.
    pub fn www(&self) -> PathBuf {
        self.root.join("www")
    }

    /// Folder of the browser tests' package.
    pub fn browser_tests(&self) -> PathBuf {
        self.root.join("tests/browser")
    }

    /// Folder of the packages that compute what the hashing module computes, with the tests that compare.
    pub fn oracles(&self) -> PathBuf {
        self.root.join("tests/oracles")
    }

    /// Folder of the tests of the npm package as it is packed, with the bundlers that dapps are built by.
    pub fn package_tests(&self) -> PathBuf {
        self.root.join("tests/package")
    }

    /// Folder of the tests in which another implementation of libp2p is the client.
    pub fn interop(&self) -> PathBuf {
        self.root.join("tests/interop")
    }

    /// Folder of the tests on several hosts.
    pub fn hosts(&self) -> PathBuf {
        self.root.join("tests/hosts")
    }

    /// Folder of the browser's measurements.
    pub fn browser_bench(&self) -> PathBuf {
        self.root.join("tests/bench")
    }

    /// Folder for this program's own records.
    pub fn stamps(&self) -> PathBuf {
        self.target.join("xtask-stamps")
    }
}
