//! `sealdrop client …`: the storage client of the terminal. What it does is in [`crate::client`]; here are its options
//! and its output.

mod asking;
mod backup;
mod files;
mod keygen;
pub(super) mod keys;
mod receipts;
mod showing;
mod storing;
mod vouchers;
mod whole;

pub(super) use files::tell;

use super::error::CommandError;
use super::output::Output;
use super::target::Target;
use crate::client::{refund, Book, Report, Session};
use clap::{Args, Subcommand};
use shared::chain::Epoch;
use std::time::Duration;

/// How long a chain may take to say its height to who only looks into the book.
const LOOK: Duration = Duration::from_secs(2);

/// Store files with a miner, bring them back, and check that they are kept
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
    /// Store files of any size and folders, and see their deals through; the last line is the id of the deal, or of the file
    Store(storing::Store),
    /// Bring a file or a folder back, checked
    Retrieve(files::Retrieve),
    /// List the files of several deals in the book, the newest first
    Files,
    /// Show a file of several deals, with its pieces and their copies
    File(whole::ShowFile),
    /// Fetch copies now and then to see that they come back, and replace lost ones where that was ordered
    Watch(whole::Watch),
    /// Name a file by its CID, so that deals can be proposed for it
    Import(files::Import),
    /// Write data out by its CID: from an import, or else from a miner
    Cat(files::Cat),
    /// List the asks of all miners: miner, id, price, expiry
    ListAsks(asking::ListAsks),
    /// List the miners of the network with their offers
    Miners,
    /// Propose a deal for imported data, and serve the data until the miner has it
    ProposeStorageDeal(storing::Propose),
    /// Ask the miner how a deal stands
    #[command(visible_alias = "query")]
    QueryStorageDeal(asking::Query),
    /// Tell why a deal is not done, and when it will be
    Explain(asking::Explain),
    /// Check a complete deal against the chain; ends with 3 while a part of it is not due yet
    #[command(visible_alias = "verify")]
    VerifyStorageDeal(asking::Verify),
    /// Write what shows a deal into one small file, which anybody can check without a network, and show its fifteen steps
    Receipt(receipts::MakeReceipt),
    /// Check a receipt with nothing but its file; ends with 3 when it does not show that the data are in a sector
    VerifyReceipt(receipts::VerifyReceipt),
    /// List the deals in the book, the newest first
    Deals,
    /// Show all that is known of a deal, with its refunds and payments
    Show(showing::Show),
    /// Go on with deals that were left unfinished, and with refunds
    Resume(storing::Resume),
    /// Begin a failed deal anew, at its miner's present price
    Retry(storing::Retry),
    /// Give an unfinished deal up, and take the money in its payment channel back
    Abandon(storing::Abandon),
    /// Make an identity for encrypted files; it is printed once and kept nowhere, so keep it well
    Keygen(keygen::Keygen),
    /// List what a deal pays, as vouchers
    Payments(vouchers::Payments),
    /// Move vouchers out of the book, or another's in
    Vouchers(vouchers::Vouchers),
    /// Write the account and the book into an encrypted file, which the recovery phrase opens (`wallet phrase`)
    Backup(backup::Backup),
    /// Take a backup's deals and files into the book; pays for nothing
    Restore(backup::Restore),
}

/// What a command is performed with.
struct CommandContext {
    target: Target,
    output: Output,
}

impl CommandContext {
    /// The deals, without the world.
    fn book(&self) -> Result<Book, CommandError> {
        Ok(Book::open(&self.target.home()?.client())?)
    }

    /// The chain's height and what chain it is, for who only looks; `None` while it does not answer.
    async fn height(&self) -> Option<(String, Epoch)> {
        let looked = async {
            let chain = self.target.looked_at().await.ok()?;
            let head = chain.head().await.ok()?;
            Some((chain.connected_network().genesis.clone(), head.height))
        };
        tokio::time::timeout(LOOK, looked).await.ok().flatten()
    }

    /// The deals and the world.
    async fn session(&self) -> Result<Session, CommandError> {
        let dir = self.target.home()?.client();
        Ok(Session::open(&dir, &self.target.chain_url().await?, Report::new()).await?)
    }
}

/// Runs one client command, and moves refunds on that are due.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        output,
        command,
    } = arguments;
    if let Command::VerifyReceipt(arguments) = &command {
        return receipts::verify(output, arguments);
    }
    let context = CommandContext { target, output };
    let is_resume = matches!(command, Command::Resume(_));
    let done = perform(&context, command).await;
    if !is_resume {
        // In passing: whatever comes of it, the command is done.
        let (target, dir) = (&context.target, context.target.home()?.client());
        refund::background_refunds(&dir, async { target.chain_url().await.ok() }).await;
    }
    done
}

async fn perform(context: &CommandContext, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Store(arguments) => storing::store(context, arguments).await,
        Command::Retrieve(arguments) => files::retrieve(context, arguments).await,
        Command::Files => whole::list(context).await,
        Command::File(arguments) => whole::show(context, arguments).await,
        Command::Watch(arguments) => whole::watch(context, arguments).await,
        Command::Import(arguments) => files::import(context, arguments).await,
        Command::Cat(arguments) => files::cat(context, arguments).await,
        Command::ListAsks(arguments) => asking::list_asks(context, arguments).await,
        Command::Miners => asking::miners(context).await,
        Command::ProposeStorageDeal(arguments) => storing::propose(context, arguments).await,
        Command::QueryStorageDeal(arguments) => asking::query(context, arguments).await,
        Command::Explain(arguments) => asking::explain(context, arguments).await,
        Command::VerifyStorageDeal(arguments) => asking::verify(context, arguments).await,
        Command::Receipt(arguments) => receipts::make(context, arguments).await,
        Command::VerifyReceipt(arguments) => receipts::verify(context.output, &arguments),
        Command::Deals => asking::deals(context),
        Command::Show(arguments) => showing::show(context, arguments).await,
        Command::Resume(arguments) => storing::resume(context, arguments).await,
        Command::Retry(arguments) => storing::retry(context, arguments).await,
        Command::Abandon(arguments) => storing::abandon(context, arguments).await,
        Command::Keygen(arguments) => keygen::keygen(context, arguments),
        Command::Payments(arguments) => vouchers::payments(context, arguments),
        Command::Vouchers(arguments) => vouchers::run(context, arguments),
        Command::Backup(arguments) => backup::backup(context, arguments),
        Command::Restore(arguments) => backup::restore(context, arguments),
    }
}
