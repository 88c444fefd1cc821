//! `client show`: one deal, with all that is known of it.

use super::CommandContext;
use crate::client::{ClientError, Record};
use crate::commands::error::CommandError;
use clap::Args;
use serde::Serialize;
use shared::client::view::{self, Deal, Payments, RefundState};

#[derive(Debug, Args)]
pub struct Show {
    /// The deal's id, or the CID of its data
    deal: String,
}

/// The deal as the npm package's `deal` gives it, and its payments as its `payments`.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    deal: Deal<'a>,
    payments: Payments,
}

pub async fn show(context: &CommandContext, arguments: Show) -> Result<(), CommandError> {
    let session = context.session().await?;
    let record = session.book.get(&arguments.deal)?;
    session.check_chain(&record)?;
    let payments = view::payments(&record, &session.account_chain()).await;
    let name = record.file.name();
    let shown = Shown {
        deal: Deal::of(&record, &name, "", false),
        payments: payments.map_err(|error: ClientError| error.of_deal(&record))?,
    };
    context.output.show(&shown, || text(&shown, &record))?;
    Ok(())
}

fn text(shown: &Shown, record: &Record) -> String {
    let Shown { deal, payments } = shown;
    let mut lines = vec![
        format!("Deal: {}", record.name()),
        format!("File: {} ({} bytes)", record.file.facts.path.display(), deal.size),
        format!("Data: {}", deal.data_cid),
        format!("Piece: {}", deal.piece_cid),
        format!("Miner: {}", deal.miner),
        format!("State: {}", record.state()),
        format!(
            "Price: {} FIL for {} blocks, in {} vouchers",
            deal.total,
            deal.duration,
            payments.vouchers.len()
        ),
        format!("Paid: {} FIL of {} FIL due", payments.redeemed, payments.due),
    ];
    if let Some(proof) = &deal.proof {
        lines.push(format!("Sector: {}", proof.sector_id));
    }
    if let Some(error) = &deal.error {
        lines.push(format!("Problem: {}", error.message));
    }
    for refund in &deal.refunds {
        let state = match refund.state {
            RefundState::Cancelling => "its channel is being cancelled",
            RefundState::Waiting => "its channel has still to end",
            RefundState::Reclaiming => "on its way back",
            RefundState::Returned => "back in the account",
        };
        lines.push(format!(
            "Refund: {} FIL of channel {}: {state}",
            refund.amount, refund.channel
        ));
    }
    lines.join("\n")
}
