//! `sealdrop message`: messages of the operator's own, and what became of any message (spec §6.7).

use super::chain::{describe_message, describe_receipt};
use super::error::CommandError;
use super::gas::Sending;
use super::output::Output;
use super::sending::Sender;
use super::target::Target;
use cid::Cid;
use clap::{Args, Subcommand};
use sealdrop_miner::chain_access::{ChainAccess, MessageStatus};
use serde_json::{json, Value};
use shared::chain::{Address, AttoFil, Call};
use std::time::Duration;

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
    /// Send FIL, or call a method of an actor; prints the message's id
    Send(ToSend),
    /// Wait until a message is in a block, and print its receipt
    Wait {
        /// The message's id
        message: Cid,
        /// Blocks that must follow its own
        #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
        confirmations: u64,
        /// How long to wait
        #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = crate::span::parse)]
        timeout: Duration,
    },
    /// Show where a message is: on its way, in a block, dropped
    Status {
        /// The message's id
        message: Cid,
    },
}

#[derive(Debug, Args)]
struct ToSend {
    /// Whom it is sent to
    to: Address,
    /// The actor's method; without one only the value moves
    #[arg(default_value = "")]
    method: String,
    /// FIL that move with it
    #[arg(long, value_name = "FIL", default_value_t = AttoFil::ZERO)]
    value: AttoFil,
    /// A parameter of the method in its ABI form, hexadecimal; once for each
    #[arg(long = "param", value_name = "HEX", value_parser = parameter)]
    params: Vec<Parameter>,
    #[command(flatten)]
    sending: Sending,
}

/// One ABI value.
#[derive(Debug, Clone)]
struct Parameter(Vec<u8>);

fn parameter(text: &str) -> Result<Parameter, hex::FromHexError> {
    hex::decode(text).map(Parameter)
}

/// Runs one command on messages.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        output,
        command,
    } = arguments;
    match command {
        Command::Send(asked) => {
            let call = Call {
                to: asked.to,
                value: asked.value,
                method: asked.method,
                params: asked.params.into_iter().map(|Parameter(bytes)| bytes).collect(),
            };
            let sender = Sender::open(&target, &asked.sending, None).await?;
            sender.perform(&target, call, output).await
        }
        Command::Wait {
            message,
            confirmations,
            timeout,
        } => wait(&target.chain().await?, message, confirmations, timeout, output).await,
        Command::Status { message } => status(&target.chain().await?, message, output).await,
    }
}

/// Waits for any message, also of others: a chain that does not know it yet may get it.
async fn wait(
    chain: &ChainAccess,
    message: Cid,
    confirmations: u64,
    timeout: Duration,
    output: Output,
) -> Result<(), CommandError> {
    let mined = async {
        let mut heads = chain.heads();
        loop {
            heads.borrow_and_update();
            match chain.message_status(&message).await? {
                MessageStatus::Mined {
                    receipt,
                    confirmations: deep,
                } if deep >= confirmations => return Ok(receipt),
                MessageStatus::Dropped { reason, .. } => return Err(CommandError::Dropped { message, reason }),
                MessageStatus::Pruned { height } => return Err(CommandError::Pruned { message, height }),
                _ => {}
            }
            if heads.changed().await.is_err() {
                return Err(CommandError::UnknownMessage { message });
            }
        }
    };
    let Ok(receipt) = tokio::time::timeout(timeout, mined).await else {
        let seconds = timeout.as_secs();
        return Err(CommandError::NotMined { message, seconds });
    };
    let receipt = receipt?;
    output.show(&receipt, || describe_receipt(&receipt))?;
    match receipt.exit_code {
        0 => Ok(()),
        exit_code => Err(CommandError::MessageFailed {
            exit_code,
            error: receipt.error,
        }),
    }
}

async fn status(chain: &ChainAccess, message: Cid, output: Output) -> Result<(), CommandError> {
    let status = chain.message_status(&message).await?;
    let (word, more): (&str, Value) = match &status {
        MessageStatus::Unknown | MessageStatus::Unsent => return Err(CommandError::UnknownMessage { message }),
        MessageStatus::Waiting => ("waiting", json!({})),
        MessageStatus::Mined { receipt, confirmations } => {
            ("mined", json!({ "receipt": receipt, "confirmations": confirmations }))
        }
        MessageStatus::Dropped { height, reason } => ("dropped", json!({ "height": height, "reason": reason })),
        MessageStatus::Pruned { height } => ("pruned", json!({ "height": height })),
    };
    let view = match status {
        MessageStatus::Pruned { .. } => None,
        _ => chain.message(&message).await?,
    };
    let mut value = json!({ "message": message.to_string(), "status": word, "content": view });
    if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
        all.extend(more);
    }
    output.show(&value, || match view {
        Some(view) => format!("{word}\n{}", describe_message(&view)),
        None => word.to_owned(),
    })?;
    Ok(())
}
