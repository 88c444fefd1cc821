//! `sealdrop chain`: what is on the chain, asked of its endpoint; `chain run` makes one.

use super::daemon::ChainArguments;
use super::error::CommandError;
use super::output::{columns, Output};
use super::target::Target;
use cid::Cid;
use clap::{Args, Subcommand};
use sealdrop_miner::chain_access::ChainAccess;
use serde_json::json;
use shared::chain::actors::Kind;
use shared::chain::rpc::{BlockView, MessageSummary, MessageView, SupplyView, MAX_LISTED};
use shared::chain::view::ReceiptView;
use shared::chain::{exit_text, Address, AttoFil, Epoch};
use std::fmt::Write;
use std::path::PathBuf;
use std::str::FromStr;

/// Pages of [`MAX_LISTED`] heights that are looked through for a block's id: a few hours of a block a second.
const MAX_PAGES: usize = 100;
/// No actor has a code as high as this.
const MAX_EXIT_CODE: u64 = 256;

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
    /// Run a chain alone, for others' miners; `sealdrop daemon --chain URL` joins it
    Run(Box<ChainArguments>),
    /// Show the newest block
    Head,
    /// List blocks, the newest first
    Ls {
        /// How many heights to look at
        #[arg(short, long, value_name = "BLOCKS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=MAX_LISTED as u64))]
        count: u64,
        /// The highest of them [default: the head]
        #[arg(long, value_name = "HEIGHT")]
        to: Option<u64>,
    },
    /// Show a block
    Block {
        /// Its height, or its id
        block: Named,
    },
    /// List the messages in blocks from or to an address, the newest first
    Messages {
        /// The address
        address: Address,
        /// Only those below this height
        #[arg(long, value_name = "HEIGHT")]
        before: Option<u64>,
    },
    /// Show the messages that wait for a block
    Pool {
        /// Only those of this sender
        #[arg(long, value_name = "ADDRESS")]
        from: Option<Address>,
    },
    /// List what the exit codes of failed messages mean
    ExitCodes,
    /// Show where all the money is
    Supply,
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

/// A block's height or its id.
#[derive(Debug, Clone)]
enum Named {
    Height(Epoch),
    Id(Cid),
}

/// Why text names no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a block is named by its height, such as 120, or by its id, such as `chain head` prints")]
struct NoBlock;

impl FromStr for Named {
    type Err = NoBlock;

    fn from_str(text: &str) -> Result<Self, NoBlock> {
        match (text.parse(), text.parse()) {
            (Ok(height), _) => Ok(Self::Height(Epoch(height))),
            (_, Ok(id)) => Ok(Self::Id(id)),
            _ => Err(NoBlock),
        }
    }
}

impl Arguments {
    /// The chain that is to be run here, and in which home; or the question again.
    pub fn into_run(self) -> Result<(Option<PathBuf>, ChainArguments), Self> {
        match self.command {
            Command::Run(asked) => Ok((self.target.home_as_given(), *asked)),
            command => Err(Self { command, ..self }),
        }
    }
}

/// Asks the chain.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        output,
        command,
    } = arguments;
    if let Command::ExitCodes = command {
        return show_exit_codes(output);
    }
    let chain = target.chain().await?;
    match command {
        // Neither of them asks a chain.
        Command::ExitCodes | Command::Run(_) => {}
        Command::Head => {
            let head = chain.head().await?;
            output.show(&head, || format!("{}  {}", head.height, head.block))?;
        }
        Command::Ls { count, to } => list(&chain, count, to, output).await?,
        Command::Block { block } => {
            let block = find(&chain, block).await?;
            output.show(&block, || describe_block(&block))?;
        }
        Command::Messages { address, before } => {
            let messages = chain.messages(&address, before.map(Epoch)).await?;
            output.show(&json!({ "messages": messages }), || summaries(&messages))?;
        }
        Command::Pool { from } => {
            let pool = chain.pool(from.as_ref()).await?;
            output.show(&pool, || {
                let waiting: Vec<_> = pool.messages.iter().map(|pooled| pooled.message.clone()).collect();
                match waiting.is_empty() {
                    true => "no message waits".into(),
                    false => summaries(&waiting),
                }
            })?;
        }
        Command::Supply => {
            let supply = chain.supply().await?;
            output.show(&supply, || describe_supply(&supply))?;
        }
        Command::Actor { address } => actor(&chain, address, output).await?,
        Command::Message { message } => {
            let view = chain.message(&message).await?;
            let view = view.ok_or(CommandError::UnknownMessage { message })?;
            output.show(&view, || describe_message(&view))?;
        }
    }
    Ok(())
}

/// Needs no chain: the codes are the actors' own.
fn show_exit_codes(output: Output) -> Result<(), CommandError> {
    let kinds = [
        ("account", Kind::Account),
        ("init", Kind::Init),
        ("market", Kind::Market),
        ("broker", Kind::Broker),
        ("miner", Kind::Miner),
    ];
    let codes: Vec<(&str, u64, &str)> = kinds
        .into_iter()
        .flat_map(|(name, kind)| {
            let known = move |code| exit_text(kind, code).map(|text| (name, code, text));
            (0..MAX_EXIT_CODE).filter_map(known)
        })
        .collect();
    let listed = codes.iter();
    let listed = listed.map(|(actor, code, text)| json!({ "actor": actor, "code": code, "text": text }));
    let value = json!({ "exitCodes": listed.collect::<Vec<_>>() });
    output.show(&value, || {
        let row = |(actor, code, text): &(&str, u64, &str)| [actor.to_string(), code.to_string(), text.to_string()];
        columns(codes.iter().map(row))
    })
}

async fn list(chain: &ChainAccess, count: u64, to: Option<u64>, output: Output) -> Result<(), CommandError> {
    let to = match to {
        Some(height) => Epoch(height),
        None => chain.head().await?.height,
    };
    let from = Epoch((to.0 + 1).saturating_sub(count));
    let mut blocks = chain.blocks(from, to).await?;
    blocks.reverse();
    output.show(&json!({ "blocks": blocks }), || {
        columns(blocks.iter().map(|block| {
            let messages = match block.messages.len() {
                0 => String::new(),
                1 => "1 message".into(),
                count => format!("{count} messages"),
            };
            [block.height.to_string(), block.block.clone(), messages]
        }))
    })?;
    Ok(())
}

/// The block of a height, or the one of an id, which is looked for from the head down.
async fn find(chain: &ChainAccess, named: Named) -> Result<BlockView, CommandError> {
    let id = match named {
        Named::Height(height) => return Ok(chain.block(height).await?),
        Named::Id(id) => id.to_string(),
    };
    let mut to = chain.head().await?.height;
    for _ in 0..MAX_PAGES {
        let from = Epoch((to.0 + 1).saturating_sub(MAX_LISTED as u64));
        let blocks = chain.blocks(from, to).await?;
        if let Some(block) = blocks.into_iter().find(|block| block.block == id) {
            return Ok(block);
        }
        match from.0.checked_sub(1) {
            Some(below) => to = Epoch(below),
            None => break,
        }
    }
    Err(CommandError::UnknownBlock { id })
}

fn describe_block(block: &BlockView) -> String {
    let mut rows = vec![
        ["height".to_owned(), block.height.to_string()],
        ["block".to_owned(), block.block.clone()],
        ["parent".to_owned(), block.parent.clone()],
        ["state".to_owned(), block.state.clone()],
        ["time".to_owned(), format!("{} ms since 1970", block.time_ms)],
    ];
    let messages = block.messages.iter();
    rows.extend(messages.map(|message| ["message".to_owned(), message.clone()]));
    columns(rows)
}

fn summaries(messages: &[MessageSummary]) -> String {
    columns(messages.iter().map(|message| {
        let method = if message.method.is_empty() {
            "(transfer)"
        } else {
            &message.method
        };
        [
            message.height.map_or("waiting".into(), |height| height.to_string()),
            message.message.clone(),
            format!("{} → {}", message.from, message.to),
            method.to_owned(),
            format!("{} FIL", message.value),
            message.exit_code.map_or(String::new(), |code| format!("exit {code}")),
        ]
    }))
}

fn describe_supply(supply: &SupplyView) -> String {
    let row = |name: &str, amount: AttoFil| [name.to_owned(), format!("{amount} FIL")];
    columns([
        row("total", supply.total),
        row("accounts", supply.accounts),
        row("payment channels", supply.channels),
        row("miners", supply.miners),
        row("  of it collateral", supply.collateral),
        row("faucet", supply.faucet),
        row("treasury", supply.treasury),
        row("burnt", supply.burnt),
    ])
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
    })?;
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
