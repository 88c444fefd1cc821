//! `client payments` and `client vouchers`: what a deal pays, and vouchers as files.

use super::CommandContext;
use crate::client::destination::Destination;
use crate::client::vouchers::{self, Imported, Payment};
use crate::commands::error::CommandError;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Payments {
    /// The deal's id
    deal: String,
}

#[derive(Debug, Args)]
pub struct Vouchers {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a deal's vouchers out, one a line
    Export {
        /// The deal's id
        deal: String,
        /// Where to put them [default: the standard output]
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
    },
    /// Keep vouchers of a file, once their signatures are checked
    Import {
        /// The file, with one voucher a line; `-` is the standard input
        file: PathBuf,
    },
    /// List the vouchers that were imported
    List,
}

pub fn payments(context: &CommandContext, arguments: Payments) -> Result<(), CommandError> {
    let record = context.book()?.get(&arguments.deal)?;
    show(context, &vouchers::of_deal(&record)?)?;
    Ok(())
}

pub fn run(context: &CommandContext, arguments: Vouchers) -> Result<(), CommandError> {
    let imported = Imported::open(&context.target.home()?.client())?;
    match arguments.command {
        Command::Export { deal, output } => {
            let record = context.book()?.get(&deal)?;
            let text = vouchers::export(&record)?;
            let Some(path) = output else {
                let listed = vouchers::of_deal(&record)?;
                context.output.show(&json!({ "payments": listed }), || text)?;
                return Ok(());
            };
            Destination::at(path)?.write(text.as_bytes())?;
        }
        Command::Import { file } => {
            let read = match file.to_str() {
                Some("-") => vouchers::read(std::io::stdin(), &file)?,
                _ => vouchers::read_file(&file)?,
            };
            imported.add(&read)?;
            show(context, &read.iter().map(Payment::of).collect::<Vec<_>>())?;
        }
        Command::List => {
            let listed: Vec<Payment> = imported.all()?.iter().map(Payment::of).collect();
            show(context, &listed)?;
        }
    }
    Ok(())
}

fn show(context: &CommandContext, listed: &[Payment]) -> Result<(), CommandError> {
    context
        .output
        .show(&json!({ "payments": listed }), || vouchers::table(listed))
}
