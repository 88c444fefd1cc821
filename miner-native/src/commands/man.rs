//! `sealdrop man`: the manual pages, made from the command line itself. Packages carry them; only this program knows its commands.

use super::error::CommandError;
use super::Cli;
use clap::{Args, CommandFactory};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder that they are written into; made when it is not there
    dir: PathBuf,
}

/// Writes a page for the program and one for each of its commands: `sealdrop.1`, `sealdrop-client.1`, `sealdrop-client-store.1`. They have
/// no date: the same source gives the same pages.
pub fn run(arguments: &Arguments) -> Result<(), CommandError> {
    let dir = &arguments.dir;
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    written.map_err(|source| CommandError::File {
        action: "write manual pages to",
        path: dir.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page_of_its_own() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let dir = dir.path().join("man1");
        run(&Arguments { dir: dir.clone() }).expect("there is room");
        let page = |name: &str| std::fs::read_to_string(dir.join(name));
        for name in [
            "sealdrop.1",
            "sealdrop-daemon.1",
            "sealdrop-worker.1",
            "sealdrop-client-store.1",
            "sealdrop-init.1",
        ] {
            let text = page(name).expect("it is there");
            assert!(text.contains(".TH") && text.contains("SYNOPSIS"), "{name}: {text}");
        }
        assert!(page("sealdrop-prove.1").is_err() && page("sealdrop-man.1").is_err());
    }
}
