//! `sealdrop token`: what the home's daemon takes orders by. Commands find it by themselves; other programs are given one.

use super::error::CommandError;
use super::output::{say, Output};
use super::target::Target;
use clap::{Args, Subcommand};
use sealdrop_miner::operator::token::{Scope, Tokens};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a token, to be sent as `Authorization: Bearer TOKEN`
    Show {
        /// What it is for: read, operate (also give orders) or admin (also change settings)
        #[arg(long, default_value = "read")]
        scope: Scope,
    },
    /// Make new tokens; the old ones end at once, also while the daemon runs
    Rotate,
}

pub fn run(arguments: &Arguments) -> Result<(), CommandError> {
    let path = arguments.target.home()?.tokens();
    match arguments.command {
        Command::Show { scope } => {
            let tokens = Tokens::read(&path)?;
            let token = tokens.of(scope);
            arguments.output.show(&token, || token.to_owned())?;
        }
        Command::Rotate => {
            Tokens::rotate(&path)?;
            if !arguments.output.is_json() {
                say("New tokens hold from now on; the old ones do not.")?;
            }
        }
    }
    Ok(())
}
