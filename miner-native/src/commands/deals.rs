//! `sealdrop deals`: the deals of this node, both those that it made as a client and those that its miner took
//! (spec §6.4). The client's are in the book, the miner's are asked of the running daemon.

use super::error::CommandError;
use super::explain::described;
use super::output::{columns, Output};
use super::target::{DaemonPort, Target};
use crate::client::{Book, Record};
use crate::terminal::escaped;
use cid::Cid;
use clap::{Args, Subcommand};
use sealdrop_miner::console;
use sealdrop_miner::operator::{
    DealDetail, DealFilter, DealSummary, Operator, OperatorError, RedeemRequest, VoucherSummary,
};
use serde::Serialize;
use serde_json::json;
use shared::chain::{Address, AttoFil, ChannelId, Epoch};
use shared::deal::{ClientStage, DealState};
use shared::payment::voucher::to_text;
use shared::payment::PaymentVoucher;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    port: DaemonPort,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List deals
    #[command(visible_alias = "ls")]
    List {
        /// Only those made as a client
        #[arg(short, long)]
        client: bool,
        /// Only those taken as a miner
        #[arg(short, long, conflicts_with = "client")]
        miner: bool,
    },
    /// Show a deal and its vouchers
    Show {
        /// The deal's id
        deal: Cid,
    },
    /// Tell why a deal is not done, and when it will be, as its miner
    Explain {
        /// The deal's id
        deal: Cid,
    },
    /// Redeem the best voucher of a deal that is due, as its miner
    Redeem {
        /// The deal's id
        deal: Cid,
        /// Redeem nothing; print the units of gas that it would take
        #[arg(long)]
        preview: bool,
    },
}

/// Every state that goes over the wire (spec §2).
const STATES: [DealState; 7] = [
    DealState::Unknown,
    DealState::Rejected,
    DealState::Accepted,
    DealState::Started,
    DealState::Failed,
    DealState::Staged,
    DealState::Complete,
];

/// A deal in the list (spec §6.4, its field names).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    miner_address: Address,
    piece_cid: String,
    proposal_cid: String,
    state: String,
    /// `client` or `miner`.
    role: &'static str,
}

/// A deal shown (spec §6.4, its field names).
#[derive(Debug, Serialize)]
struct Shown {
    deal_cid: String,
    /// As on the wire (spec §2).
    state: u64,
    state_name: String,
    miner_address: Address,
    duration_blocks: u64,
    deal_size: u64,
    total_price: AttoFil,
    payment_vouchers: Vec<ShownVoucher>,
}

#[derive(Debug, Serialize)]
struct ShownVoucher {
    index: usize,
    amount: AttoFil,
    channel_id: ChannelId,
    /// The method that must succeed before it pays.
    condition: Option<String>,
    payer: Address,
    valid_at_block: Epoch,
    encoded_as: String,
    /// Whether its amount was redeemed; only the miner knows.
    is_redeemed: Option<bool>,
}

/// Runs one command on deals.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        port,
        output,
        command,
    } = arguments;
    // Not every deal is asked of the daemon.
    let operator = || target.operator(&port);
    let book = || Ok::<_, CommandError>(Book::open(&target.home()?.client())?);
    match command {
        Command::List { client, miner } => {
            let mut deals = Vec::new();
            if !miner {
                book()?.each(|record| deals.extend(Listed::made(&record)))?;
            }
            if !client {
                deals.extend(taken(operator(), miner).await?.iter().map(Listed::taken));
            }
            output.show(&json!({ "deals": deals }), || listed(&deals))?;
        }
        Command::Show { deal } => {
            let shown = match book()?.find(&deal.to_string())? {
                Some(record) => Shown::made(&record),
                None => Shown::taken(&detail(operator(), &deal).await?),
            };
            output.show(&shown, || shown.described())?;
        }
        Command::Explain { deal } => {
            let told = operator()?.explain_deal(&deal.to_string()).await?;
            output.show(&told, || described(&told))?;
        }
        Command::Redeem { deal, preview } => {
            let outcome = operator()?.redeem(&deal.to_string(), RedeemRequest { preview }).await?;
            output.show(&outcome, || match &outcome.message {
                Some(message) => message.clone(),
                None => outcome.gas.to_string(),
            })?;
        }
    }
    Ok(())
}

/// The miner's deals. Unless they alone are asked for, a daemon that does not run has none.
async fn taken(operator: Result<Operator, CommandError>, needed: bool) -> Result<Vec<DealSummary>, CommandError> {
    let asked = async { Ok(operator?.deals(&DealFilter::default()).await?) };
    match asked.await {
        Ok(deals) => Ok(deals),
        Err(CommandError::Operator(error @ OperatorError::Unreachable { .. })) if !needed => {
            let line = format!("sealdrop: only the deals made as a client are listed: {error}");
            console::stderr(&escaped(&line));
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

async fn detail(operator: Result<Operator, CommandError>, deal: &Cid) -> Result<DealDetail, CommandError> {
    let asked = async { Ok(operator?.deal(&deal.to_string()).await?) };
    match asked.await {
        // Without a daemon, the book was the only place to look.
        Err(CommandError::Operator(OperatorError::Unreachable { .. })) => Err(CommandError::DealNotFound),
        other => other,
    }
}

impl Listed {
    /// `None` while the deal has no id: nothing was proposed yet.
    fn made(record: &Record) -> Option<Self> {
        Some(Self {
            miner_address: record.deal.draft.miner.clone(),
            piece_cid: record.data_cid().to_string(),
            proposal_cid: record.cid.clone()?,
            state: record.state().to_owned(),
            role: "client",
        })
    }

    fn taken(deal: &DealSummary) -> Self {
        Self {
            miner_address: deal.miner.clone(),
            piece_cid: deal.piece.clone(),
            proposal_cid: deal.deal.clone(),
            state: deal.stage.clone(),
            role: "miner",
        }
    }
}

fn listed(deals: &[Listed]) -> String {
    columns(deals.iter().map(|deal| {
        [
            deal.proposal_cid.clone(),
            deal.state.clone(),
            deal.role.to_owned(),
            deal.miner_address.to_string(),
            deal.piece_cid.clone(),
        ]
    }))
}

impl Shown {
    fn made(record: &Record) -> Self {
        let draft = &record.deal.draft;
        let state = wire_state(record);
        let proposal = record.deal.proposal().map(|signed| &signed.proposal);
        let vouchers = proposal.and_then(|proposal| proposal.payment.vouchers.clone());
        let mut vouchers = vouchers.unwrap_or_default();
        vouchers.sort_by_key(|voucher| voucher.valid_at);
        Self {
            deal_cid: record.name(),
            state: state as u64,
            state_name: record.state().to_owned(),
            miner_address: draft.miner.clone(),
            duration_blocks: draft.duration,
            deal_size: draft.size,
            total_price: draft.total().unwrap_or_default(),
            payment_vouchers: vouchers.iter().enumerate().map(ShownVoucher::made).collect(),
        }
    }

    fn taken(deal: &DealDetail) -> Self {
        let summary = &deal.summary;
        Self {
            deal_cid: summary.deal.clone(),
            state: STATES
                .into_iter()
                .find(|state| state.name() == summary.state)
                .unwrap_or(DealState::Unknown) as u64,
            state_name: summary.stage.clone(),
            miner_address: summary.miner.clone(),
            duration_blocks: summary.duration,
            deal_size: summary.size,
            total_price: summary.total_price,
            payment_vouchers: deal.vouchers.iter().map(ShownVoucher::taken).collect(),
        }
    }

    fn described(&self) -> String {
        let facts = columns([
            ["deal".to_owned(), self.deal_cid.clone()],
            ["state".to_owned(), self.state_name.clone()],
            ["miner".to_owned(), self.miner_address.to_string()],
            ["duration".to_owned(), format!("{} blocks", self.duration_blocks)],
            ["size".to_owned(), format!("{} bytes", self.deal_size)],
            ["total price".to_owned(), format!("{} FIL", self.total_price)],
        ]);
        if self.payment_vouchers.is_empty() {
            return facts;
        }
        let header = ["voucher", "amount", "valid at", "channel", "condition", "encoded"].map(str::to_owned);
        let rows = self.payment_vouchers.iter().map(|voucher| {
            [
                voucher.index.to_string(),
                voucher.amount.to_string(),
                voucher.valid_at_block.to_string(),
                voucher.channel_id.to_string(),
                voucher.condition.clone().unwrap_or_else(|| "none".into()),
                voucher.encoded_as.clone(),
            ]
        });
        format!("{facts}\n{}", columns(std::iter::once(header).chain(rows)))
    }
}

impl ShownVoucher {
    fn made((index, voucher): (usize, &PaymentVoucher)) -> Self {
        Self {
            index,
            amount: voucher.amount,
            channel_id: voucher.channel,
            condition: voucher.condition.as_ref().map(|condition| condition.method.clone()),
            payer: voucher.payer.clone(),
            valid_at_block: voucher.valid_at,
            encoded_as: to_text(voucher),
            is_redeemed: None,
        }
    }

    fn taken(voucher: &VoucherSummary) -> Self {
        Self {
            index: voucher.index,
            amount: voucher.amount,
            channel_id: voucher.channel,
            condition: voucher.condition.clone(),
            payer: voucher.payer.clone(),
            valid_at_block: voucher.valid_at,
            encoded_as: voucher.encoded_as.clone(),
            is_redeemed: Some(voucher.is_redeemed),
        }
    }
}

/// The state as the miner last told it.
fn wire_state(record: &Record) -> DealState {
    match &record.deal.stage {
        ClientStage::Failed { .. } => DealState::Failed,
        _ => record
            .deal
            .response()
            .map_or(DealState::Unknown, |response| response.response.state),
    }
}
