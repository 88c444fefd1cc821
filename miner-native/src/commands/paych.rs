//! `sealdrop paych …`: payment channels by hand (spec §6.5). What it does is in [`crate::client::channels`].

use super::error::CommandError;
use super::gas::Sending;
use super::output::Output;
use super::sending::Sender;
use super::target::Target;
use crate::client::channels::{self, Channel};
use crate::client::{Account, ClientError, Report};
use clap::{Args, Subcommand};
use sealdrop_miner::chain_access::ChainAccess;
use serde_json::json;
use shared::chain::calls::{self, channel_id, inclusion_parameters, Call};
use shared::chain::{Address, AttoFil, ChannelId, Epoch};
use shared::payment::voucher;
use shared::wire::cbor::Value;

/// Open payment channels, pay from them, and take back what is left
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
    /// Open a channel to somebody
    Create {
        /// Who is paid
        target: Address,
        /// FIL that the channel holds
        #[arg(value_parser = amount)]
        amount: AttoFil,
        /// The block with which it ends
        #[arg(value_parser = height)]
        eol: Epoch,
        #[command(flatten)]
        how: How,
    },
    /// List a payer's channels
    Ls {
        /// Whose channels [default: those of the wallet's default address]
        #[arg(long, value_name = "ADDRESS")]
        payer: Option<Address>,
        /// The account that asks, and whose channels they are unless --payer says otherwise
        #[arg(long, value_name = "ADDRESS")]
        from: Option<Address>,
    },
    /// Sign a voucher on one's own channel
    Voucher {
        /// The channel's id
        #[arg(value_parser = channel)]
        channel: ChannelId,
        /// FIL that the voucher brings the target up to
        #[arg(value_parser = amount)]
        amount: AttoFil,
        /// The first block in which it may be redeemed
        #[arg(long, value_name = "BLOCK", alias = "validat", default_value = "0", value_parser = height)]
        valid_at: Epoch,
        /// The payer [default: the wallet's default address]
        #[arg(long, value_name = "ADDRESS")]
        from: Option<Address>,
    },
    /// Take what a voucher is good for
    Redeem {
        #[command(flatten)]
        claim: Claim,
        #[command(flatten)]
        how: How,
    },
    /// Take what a voucher is good for, and give the rest back to the payer
    Close {
        #[command(flatten)]
        claim: Claim,
        #[command(flatten)]
        how: How,
    },
    /// Add money to one's own channel, and move its end
    Extend {
        /// The channel's id
        #[arg(value_parser = channel)]
        channel: ChannelId,
        /// FIL to add
        #[arg(value_parser = amount)]
        amount: AttoFil,
        /// The block with which it ends then
        #[arg(value_parser = height)]
        eol: Epoch,
        #[command(flatten)]
        how: How,
    },
    /// Bring the end of one's own channel near
    Cancel {
        /// The channel's id
        #[arg(value_parser = channel)]
        channel: ChannelId,
        #[command(flatten)]
        how: How,
    },
    /// Take back what is left in one's own channel after its end
    Reclaim {
        /// The channel's id
        #[arg(value_parser = channel)]
        channel: ChannelId,
        #[command(flatten)]
        how: How,
    },
}

/// How a message is sent.
#[derive(Debug, Args)]
struct How {
    #[command(flatten)]
    sending: Sending,
    /// Do not wait until the message is on the chain
    #[arg(long)]
    no_wait: bool,
}

/// What is redeemed.
#[derive(Debug, Args)]
struct Claim {
    /// The voucher, as it was printed
    voucher: String,
    /// The sector that a storage deal's voucher asks for
    #[arg(long, value_name = "ID", requires = "proof")]
    sector: Option<u64>,
    /// The piece's inclusion proof in that sector, as hexadecimal digits
    #[arg(long, value_name = "HEX", requires = "sector", value_parser = proof)]
    proof: Option<Proof>,
}

/// The bytes of an inclusion proof.
#[derive(Debug, Clone)]
struct Proof(Vec<u8>);

fn amount(text: &str) -> Result<AttoFil, String> {
    text.parse()
        .map_err(|_| "invalid amount (specify FIL as a decimal number)".into())
}

fn height(text: &str) -> Result<Epoch, String> {
    text.parse().map(Epoch).map_err(|_| "invalid block height".into())
}

fn channel(text: &str) -> Result<ChannelId, String> {
    text.parse().map(ChannelId).map_err(|_| "invalid channel id".into())
}

fn proof(text: &str) -> Result<Proof, String> {
    hex::decode(text).map(Proof).map_err(|e| e.to_string())
}

/// Runs one channel command.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        output,
        command,
    } = arguments;
    let context = CommandContext { target, output };
    match command {
        Command::Ls { payer, from } => context.list(payer, from).await,
        Command::Voucher {
            channel,
            amount,
            valid_at,
            from,
        } => context.voucher(channel, amount, valid_at, from).await,
        Command::Create {
            target,
            amount,
            eol,
            how,
        } => context.send(calls::create_channel(&target, eol, amount), &how).await,
        Command::Redeem { claim, how } => {
            let (voucher, redeemer) = claim.read()?;
            context.send(calls::redeem(&voucher, redeemer), &how).await
        }
        Command::Close { claim, how } => {
            let (voucher, redeemer) = claim.read()?;
            context.send(calls::close(&voucher, redeemer), &how).await
        }
        Command::Extend {
            channel,
            amount,
            eol,
            how,
        } => context.send(calls::extend(channel, eol, amount), &how).await,
        Command::Cancel { channel, how } => context.send(calls::cancel(channel), &how).await,
        Command::Reclaim { channel, how } => context.send(calls::reclaim(channel), &how).await,
    }
}

impl Claim {
    /// The voucher, and what the redeemer adds to its condition.
    fn read(self) -> Result<(voucher::PaymentVoucher, Vec<Value>), ClientError> {
        let voucher = channels::voucher_of(&self.voucher)?;
        let redeemer = match (self.sector, self.proof) {
            (Some(sector), Some(proof)) => inclusion_parameters(sector, &proof.0),
            _ => Vec::new(),
        };
        Ok((voucher, redeemer))
    }
}

struct CommandContext {
    target: Target,
    output: Output,
}

impl CommandContext {
    /// The account, and a way to ask for it.
    async fn account(&self, from: Option<&Address>) -> Result<(Account, ChainAccess), CommandError> {
        let account = self.target.account(from).await?;
        let chain = account.reader().await?;
        Ok((account, chain))
    }

    async fn list(&self, payer: Option<Address>, from: Option<Address>) -> Result<(), CommandError> {
        let (account, chain) = self.account(from.as_ref()).await?;
        let payer = payer.unwrap_or_else(|| account.address());
        let listed = channels::list(&chain, &payer).await?;
        self.output.show(&json!({ "payer": payer, "channels": listed }), || {
            match listed.is_empty() {
                true => "no channels".to_owned(),
                false => listed.iter().map(Channel::to_string).collect::<Vec<_>>().join("\n"),
            }
        })?;
        Ok(())
    }

    async fn voucher(
        &self,
        channel: ChannelId,
        amount: AttoFil,
        valid_at: Epoch,
        from: Option<Address>,
    ) -> Result<(), CommandError> {
        let (account, chain) = self.account(from.as_ref()).await?;
        let signed = channels::sign_voucher(&account, &chain, channel, amount, valid_at).await?;
        let text = voucher::to_text(&signed);
        self.output.show(&json!({ "voucher": text }), || text.clone())?;
        Ok(())
    }

    /// Sends a call, or shows what it would use.
    async fn send(&self, call: Call, how: &How) -> Result<(), CommandError> {
        let sender = Sender::open(&self.target, &how.sending, None).await?;
        if how.sending.gas.preview || how.no_wait {
            return sender.perform(&self.target, call, self.output).await;
        }
        let (message, receipt) = sender.send_and_wait(call).await?;
        // A channel's id is the only value that these methods return.
        let opened = receipt.receipt().ok().and_then(|receipt| channel_id(&receipt).ok());
        let report = Report::new();
        report.step(format!("in block {}", receipt.height));
        if let Some(id) = opened {
            report.step(format!("channel {id} is open"));
        }
        let message = message.to_string();
        let shown = json!({
            "message": message,
            "channel": opened,
            "height": receipt.height,
            "gasCost": receipt.gas_cost,
        });
        self.output.show(&shown, || message.clone())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_heights_and_channels_are_refused_with_the_texts_of_2019() {
        assert_eq!(amount("0.5"), Ok(AttoFil(500_000_000_000_000_000)));
        assert!(amount("much").is_err_and(|text| text.starts_with("invalid amount")));
        assert_eq!(height("-1"), Err("invalid block height".into()));
        assert_eq!(channel("x"), Err("invalid channel id".into()));
    }
}
