//! `sealdrop chain`: what is on the chain, asked of its endpoint.

use super::error::CommandError;
use super::output::{columns, Output};
use super::target::Target;
use crate::chain_access::ChainAccess;
use crate::devnet::MessageView;
use cid::Cid;
use clap::{Args, Subcommand};
use shared::chain::view::ReceiptView;
use shared::chain::Address;
use std::fmt::Write;

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
    /// Show the newest block
    Head,
    /// Show an actor's balance and how many messages it sent
    Actor {
        /// The actor's address
        address: Address,
    },
    /// Show a message and what became of it
    Message {
        /// The message's id
        message: Cid,
    },
}

/// Asks the chain.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        output,
        command,
    } = arguments;
    let chain = target.chain().await?;
    match command {
        Command::Head => {
            let head = chain.head().await?;
            output.show(&head, || format!("{}  {}", head.height, head.block));
        }
        Command::Actor { address } => actor(&chain, address, output).await?,
        Command::Message { message } => {
            let view = chain.message(&message).await?;
            let view = view.ok_or(CommandError::UnknownMessage { message })?;
            output.show(&view, || describe_message(&view));
        }
    }
    Ok(())
}

async fn actor(chain: &ChainAccess, address: Address, output: Output) -> Result<(), CommandError> {
    let view = chain.actor(&address).await?;
    let view = view.ok_or(CommandError::UnknownActor { address })?;
    output.show(&view, || {
        columns([
            ["address".to_owned(), view.address.to_string()],
            ["balance".to_owned(), format!("{} FIL", view.balance)],
            ["nonce".to_owned(), view.nonce.to_string()],
        ])
    });
    Ok(())
}

/// A message as text.
pub(super) fn describe_message(view: &MessageView) -> String {
    let method = if view.method.is_empty() {
        "(transfer)"
    } else {
        &view.method
    };
    let mut rows = vec![
        ["to", &view.to.to_string()].map(str::to_owned),
        ["from", &view.from.to_string()].map(str::to_owned),
        ["nonce", &view.nonce.to_string()].map(str::to_owned),
        ["value", &format!("{} FIL", view.value)].map(str::to_owned),
        ["method", method].map(str::to_owned),
    ];
    rows.extend(view.params.iter().map(|param| ["param", param].map(str::to_owned)));
    let mut text = columns(rows);
    match &view.receipt {
        Some(receipt) => {
            let _ = write!(text, "\n{}", describe_receipt(receipt));
        }
        None => text.push_str("\nit waits for a block"),
    }
    text
}

/// A receipt as text.
pub(super) fn describe_receipt(receipt: &ReceiptView) -> String {
    let mut rows = vec![
        ["height", &receipt.height.to_string()].map(str::to_owned),
        ["exit code", &receipt.exit_code.to_string()].map(str::to_owned),
        ["gas paid", &format!("{} FIL", receipt.gas_cost)].map(str::to_owned),
    ];
    if !receipt.error.is_empty() {
        rows.push(["error", &receipt.error].map(str::to_owned));
    }
    rows.extend(
        receipt
            .returns
            .iter()
            .map(|value| ["returned", value].map(str::to_owned)),
    );
    columns(rows)
}
