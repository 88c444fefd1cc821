//! The command line: reads arguments, sets up logging, and hands over.

mod address;
mod backup;
mod chain;
mod client;
mod completions;
mod config;
mod daemon;
mod deals;
mod doctor;
mod error;
mod explain;
mod gas;
mod init;
mod link;
mod man;
mod message;
mod miner;
mod mining;
mod output;
mod params;
mod paych;
mod protocol;
mod prove;
mod retrieval;
mod sending;
mod signals;
mod target;
mod token;
mod wallet;
mod worker;

pub use error::CommandError;

use crate::daemon::{DaemonError, Proofs, RealProofs};
use crate::terminal::escaped;
use error::Told;
use output::Output;
use sealdrop_database::blocking;
use sealdrop_miner::console;
use sealdrop_miner::data_dir::keep_files_private;
use sealdrop_miner::logging::Log;

use clap::{Parser, Subcommand};
use shared::exit_code;
use std::future::Future;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// Sealdrop: a storage miner with its own development chain.
#[derive(Debug, Parser)]
#[command(name = "sealdrop", version, about, arg_required_else_help = true)]
struct Cli {
    /// Wherever it stands: the groups of commands have it too.
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask what a daemon needs to know, check that the machine has it, and write sealdrop.toml
    Init(Box<init::Arguments>),
    /// Run a miner and its web page, with a chain of its own or on another's
    Daemon(Box<daemon::Arguments>),
    /// Seal on this machine for a miner whose daemon runs on another one
    Worker(worker::Arguments),
    /// Store files with a miner, bring them back, and check that they are kept
    Client(client::Arguments),
    /// Open payment channels, pay from them, and take back what is left
    Paych(paych::Arguments),
    /// Bring pieces back from miners
    RetrievalClient(retrieval::Arguments),
    /// Register a miner, set its price, see what the chain says of it
    Miner(miner::Arguments),
    /// Start and stop taking deals, seal now, add a piece of your own
    Mining(mining::Arguments),
    /// List and show deals, redeem their vouchers
    Deals(deals::Arguments),
    /// Send messages and see what became of them
    Message(message::Arguments),
    /// Keys and their money
    Wallet(wallet::Arguments),
    /// Addresses of the wallet and of miners' hosts
    Address(address::Arguments),
    /// Read and change what the node goes by
    Config(config::Arguments),
    /// Show and replace the tokens that the daemon takes orders by
    Token(token::Arguments),
    /// Write all that has to be kept of a home into one encrypted file, also while its daemon runs
    Backup(Box<backup::Backup>),
    /// Make a home of a backup, on this machine or another
    Restore(backup::Restore),
    /// Check that everything that a miner needs is there, and that clients reach it
    Doctor(doctor::Arguments),
    /// Show the network's parameters
    Protocol(protocol::Arguments),
    /// Generate or check the proof parameters of the development network
    Params(params::Arguments),
    /// Look at blocks, messages and actors; run a chain alone
    Chain(chain::Arguments),
    /// Compute one proof, for the daemon
    #[command(hide = true)]
    Prove(prove::Arguments),
    /// Print what a shell needs to complete commands and options
    Completions(completions::Arguments),
    /// Write the manual pages of all commands, for packages
    #[command(hide = true)]
    Man(man::Arguments),
}

/// Runs the program; errors go to standard error.
pub fn run() -> ExitCode {
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let done = match cli.command {
        Command::Daemon(arguments) => return run_daemon(|log| daemon::run(*arguments, &RealProofs, log)),
        Command::Worker(arguments) => return run_daemon(|_| worker::run(arguments, &RealProofs)),
        Command::Init(arguments) => block_on(init::run(*arguments)),
        Command::Client(arguments) => block_on(client::run(arguments)),
        Command::Paych(arguments) => block_on(paych::run(arguments)),
        Command::RetrievalClient(arguments) => block_on(retrieval::run(arguments)),
        Command::Miner(arguments) => block_on(miner::run(arguments)),
        Command::Mining(arguments) => block_on(mining::run(arguments)),
        Command::Deals(arguments) => block_on(deals::run(arguments)),
        Command::Message(arguments) => block_on(message::run(arguments)),
        Command::Wallet(arguments) => block_on(wallet::run(arguments)),
        Command::Address(arguments) => block_on(address::run(arguments)),
        Command::Config(arguments) => block_on(config::run(arguments)),
        Command::Token(arguments) => token::run(&arguments).map_err(Into::into),
        Command::Backup(arguments) => block_on(async { blocking(|| backup::run(*arguments)) }),
        Command::Restore(arguments) => block_on(async { blocking(|| backup::restore(&arguments)) }),
        Command::Doctor(arguments) => block_on(doctor::run(arguments)),
        Command::Protocol(arguments) => block_on(protocol::run(arguments)),
        Command::Params(arguments) => params::run(arguments, cli.output),
        Command::Chain(arguments) => match arguments.into_run() {
            Ok((home, asked)) => return run_daemon(|log| daemon::run_chain(home, asked, &RealProofs, log)),
            Err(question) => block_on(chain::run(question)),
        },
        Command::Prove(arguments) => return prove::run(arguments),
        Command::Completions(arguments) => completions::run(&arguments).map_err(Into::into),
        Command::Man(arguments) => man::run(&arguments).map_err(Into::into),
    };
    ended(done)
}

/// The daemon's command line with proofs from elsewhere, for the daemon that tests kill: any other command is refused.
pub fn run_daemon_with(proofs: &dyn Proofs) -> ExitCode {
    match Cli::parse().command {
        Command::Daemon(arguments) => return run_daemon(|log| daemon::run(*arguments, proofs, log)),
        Command::Worker(arguments) => return run_daemon(|_| worker::run(arguments, proofs)),
        Command::Chain(arguments) => {
            if let Ok((home, asked)) = arguments.into_run() {
                return run_daemon(|log| daemon::run_chain(home, asked, proofs, log));
            }
        }
        _ => {}
    }
    console::stderr("this program is a daemon for tests and nothing else: use `sealdrop`");
    ExitCode::FAILURE
}

/// The command line, or what the program ends with when it is none, or only asks for help.
fn parsed() -> Result<Cli, ExitCode> {
    let error = match Cli::try_parse() {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    match is_for_programs() && error.use_stderr() {
        true => console::stderr(&Told::of_usage(&error.render().to_string()).json()),
        // Whoever asked for help has heard enough of it, or is gone.
        false => drop(error.print()),
    }
    Err(u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Whether a program reads what is printed. Looked up in the words themselves, since those that clap refuses count too.
fn is_for_programs() -> bool {
    let mut words = std::env::args_os().skip(1).take_while(|word| word != "--");
    words.any(|word| word == "--json")
}

fn run_daemon(run: impl FnOnce(&Log) -> anyhow::Result<()>) -> ExitCode {
    keep_files_private();
    // The session layer of WebTransport warns of every peer that ends a connection.
    let log = Log::start("sealdrop=info,warn,web_transport_quinn=error").unwrap_or_default();
    let code = ended(run(&log));
    log.flush();
    code
}

fn ended(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = Told::of(&error);
            console::stderr(&match is_for_programs() {
                true => told.json(),
                false => format!("sealdrop: {}", escaped(&told.text)),
            });
            if let Some(DaemonError::ServiceFailed(_)) = error.downcast_ref() {
                return ExitCode::from(exit_code::SERVICE_FAILED);
            }
            error
                .downcast_ref::<CommandError>()
                .map_or(ExitCode::FAILURE, CommandError::exit_code)
        }
    }
}

/// Runs a command that waits for others. A read that is stuck does not keep the program from ending.
fn block_on(work: impl Future<Output = Result<(), CommandError>>) -> anyhow::Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().build().map_err(CommandError::Runtime)?;
    runtime.spawn(signals::end_cleanly());
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done?)
}

/// A file, or what comes in where its name is `-`.
fn open(path: &Path) -> Result<Box<dyn Read + Send>, CommandError> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdin()));
    }
    match std::fs::File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(source) => Err(CommandError::File {
            action: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use sealdrop_miner::supervisor::ServiceFailed;

    /// Whatever starts the daemon tells this end from a wrong option.
    #[test]
    fn a_daemon_that_cannot_keep_a_service_running_ends_with_a_code_of_its_own() {
        let failed = ServiceFailed {
            name: "proving",
            times: 7,
            reason: "it panicked".into(),
        };
        let code = ended(Err(DaemonError::from(failed).into()));
        let expected = ExitCode::from(exit_code::SERVICE_FAILED);
        assert_eq!(format!("{code:?}"), format!("{expected:?}"));
    }

    /// Every command that is no group of commands, by its words.
    fn leaves(command: &clap::Command, words: &[String], found: &mut Vec<(Vec<String>, clap::Command)>) {
        let words = [words, &[command.get_name().to_owned()]].concat();
        if !command.has_subcommands() {
            found.push((words, command.clone()));
            return;
        }
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            leaves(inner, &words, found);
        }
    }

    #[test]
    fn the_command_line_is_well_formed_and_every_command_says_what_it_does() {
        Cli::command().debug_assert();
        let mut built = Cli::command();
        built.build();
        let mut found = Vec::new();
        leaves(&built, &[], &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for (words, command) in found {
            assert!(command.get_about().is_some(), "{} has no help", words.join(" "));
        }
    }

    /// Gas options have defaults everywhere; in 2019 they had to be given (spec §6).
    #[test]
    fn every_command_that_previews_a_message_takes_gas_options_that_may_be_left_out() {
        let mut built = Cli::command();
        built.build();
        let mut found = Vec::new();
        leaves(&built, &[], &mut found);
        for (words, command) in found {
            let of = |name: &str| command.get_arguments().find(|option| option.get_id() == name);
            let Some(price) = of("gas_price") else { continue };
            let limit = of("gas_limit").expect("price and limit go together");
            assert!(of("preview").is_some(), "{}", words.join(" "));
            assert!(
                !price.is_required_set() && !limit.is_required_set(),
                "{}",
                words.join(" ")
            );
        }
    }
}
