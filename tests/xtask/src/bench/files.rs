//! `cargo xtask bench files`: files over HTTP between a page and a miner, against plain `fetch` (`tests/bench`).

use crate::project::Project;
use crate::{build, process, setup};
use anyhow::Result;
use std::process::Command;

pub fn run(project: &Project, args: &[String]) -> Result<()> {
    build::for_benches(project)?;
    let browser = setup::for_browser_bench(project)?;
    let mut node = Command::new("node");
    process::without_package_variables(&mut node);
    node.arg(project.browser_bench().join("files.mjs"))
        .args(args)
        .env("SEALDROP_BIN", project.daemon())
        .env("SEALDROP_CHROMIUM", browser)
        .env("SEALDROP_CLIENT", project.client().join("dist"));
    process::run(&mut node, "measure files in a browser")
}
