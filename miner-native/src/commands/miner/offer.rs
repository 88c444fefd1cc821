//! `sealdrop miner set-price`: a miner's offer (spec §6.2). The original changed its configuration first and published the
//! ask afterwards, also for a preview; here nothing changes before the ask is on the chain.

use super::super::error::CommandError;
use super::super::gas::Sending;
use super::super::sending::{show_preview, Sender};
use super::Place;
use clap::Args;
use sealdrop_miner::chain_access::ChainAccess;
use sealdrop_miner::console;
use sealdrop_miner::operator::OperatorError;
use sealdrop_miner::settings::SettingsChange;
use serde_json::json;
use shared::chain::{calls, Address, AttoFil, Epoch};

#[derive(Debug, Args)]
pub struct SetPrice {
    /// FIL for a byte in a block
    price: AttoFil,
    /// For how many blocks the offer stands
    expiry: u64,
    /// The miner [default: this node's]
    #[arg(long, value_name = "ADDRESS")]
    miner: Option<Address>,
    #[command(flatten)]
    sending: Sending,
}

/// An ask that was published.
struct Published {
    message: String,
    height: Epoch,
}

/// Publishes the offer and waits until it is on the chain.
pub(super) async fn set_price(place: &Place, asked: SetPrice) -> Result<(), CommandError> {
    let (chain, view) = place.view(asked.miner.clone()).await?;
    let call = calls::add_ask(&view.address, asked.price, asked.expiry);
    if asked.sending.gas.preview {
        let sender = Sender::open(&place.target, &asked.sending, Some(&view.worker)).await?;
        show_preview(sender.preview(&chain, &call).await?, place.output)?;
        return Ok(());
    }
    // A sender that is named is the user's choice; otherwise the daemon speaks for its own miner.
    let by_daemon = match asked.sending.from {
        Some(_) => None,
        None => through_daemon(place, &view.address, &asked).await?,
    };
    let published = match by_daemon {
        Some(published) => published,
        None => {
            let sender = Sender::open(&place.target, &asked.sending, Some(&view.worker)).await?;
            let (message, receipt) = sender.send_and_wait(call).await?;
            Some(Published {
                message: message.to_string(),
                height: receipt.height,
            })
        }
    };
    show(place, &chain, &view.address, asked.price, published).await
}

/// Changes the daemon's settings when the miner is the daemon's. The inner value is empty when its ask said the same
/// already.
async fn through_daemon(
    place: &Place,
    miner: &Address,
    asked: &SetPrice,
) -> Result<Option<Option<Published>>, CommandError> {
    let operator = match place.target.operator(&place.port) {
        Ok(operator) => operator,
        Err(CommandError::Operator(OperatorError::Unreachable { .. })) => return Ok(None),
        Err(error) => return Err(error),
    };
    match operator.mining().await {
        Ok(status) if status.address == *miner => {}
        Ok(_) | Err(OperatorError::Unreachable { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    if asked.sending.gas.are_changed() {
        console::stderr(
            "sealdrop: the daemon pays for this message as for all its own; --gas-price and --gas-limit are not used",
        );
    }
    let change = SettingsChange {
        price: Some(asked.price),
        ask_blocks: Some(asked.expiry),
        ..SettingsChange::default()
    };
    let changed = operator.change_settings(&change).await?;
    let published = changed.ask_message.zip(changed.ask_height);
    Ok(Some(published.map(|(message, height)| Published { message, height })))
}

async fn show(
    place: &Place,
    chain: &ChainAccess,
    miner: &Address,
    price: AttoFil,
    published: Option<Published>,
) -> Result<(), CommandError> {
    let block = match &published {
        Some(published) => Some(chain.block(published.height).await?.block),
        None => None,
    };
    let value = json!({
        "miner": miner,
        "price": price,
        "message": published.as_ref().map(|published| &published.message),
        "height": published.as_ref().map(|published| published.height),
        "block": block,
    });
    place.output.show(&value, || {
        let set = format!("Set price for miner {miner} to {price}.");
        match (&published, &block) {
            (Some(published), Some(block)) => {
                let message = &published.message;
                format!("{set}\nPublished ask, cid: {message}\nAsk confirmed on chain in block: {block}")
            }
            _ => format!("{set}\nThe ask on the chain said so already."),
        }
    })?;
    Ok(())
}
