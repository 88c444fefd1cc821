//! Debian packages: which are missing, and how to get them. Called by the set-up only.

use std::process::Command;
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{bail, Result};

use crate::process;

static UPDATED: Once = Once::new();
/// Whoever installs: Debian's tools refuse a second one.
static ALONE: Mutex<()> = Mutex::new(());

/// Installs those of `packages` that are missing. `purpose` completes "needed to ...".
pub fn install(packages: &[&str], purpose: &str) -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if process::find(&["apt-get"]).is_none() {
        bail!(
            "missing programs, needed to {purpose}, and there is no apt-get here to install them; \
             install your system's equivalent of the Debian packages: {names}"
        );
    }
    println!("[setup] apt-get install {names}: needed to {purpose}");
    let mut failed_update = None;
    UPDATED.call_once(|| failed_update = apt_get(&["update"], "refresh the list of Debian packages").err());
    if let Some(error) = failed_update {
        return Err(error);
    }
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(&missing);
    apt_get(
        &words,
        &format!("install the Debian packages {names}, needed to {purpose}"),
    )
}

fn is_installed(package: &str) -> bool {
    let status =
        process::answer(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]));
    status.as_deref() == Some("installed")
}

fn apt_get(words: &[&str], purpose: &str) -> Result<()> {
    let root = process::answer(Command::new("id").arg("-u")).as_deref() == Some("0");
    let mut command = if root {
        Command::new("apt-get")
    } else if process::find(&["sudo"]).is_some() {
        let mut sudo = Command::new("sudo");
        sudo.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        bail!(
            "cannot {purpose}: not root, and no sudo here; run as root: apt-get {}",
            words.join(" ")
        );
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(words);
    process::run_quiet(&mut command, purpose)
}
