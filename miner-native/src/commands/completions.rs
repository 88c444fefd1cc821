//! `sealdrop completions`: what a shell needs to complete this program's commands and options.

use super::error::CommandError;
use super::output::print;
use super::Cli;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell, for example: sealdrop completions bash > ~/.local/share/bash-completion/completions/sealdrop
    shell: Shell,
}

/// Prints the shell's script.
pub fn run(arguments: &Arguments) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "sealdrop", &mut script);
    print(&script)
}
