//! Answering why a deal is not done. As a query is answered to anybody who knows the deal's id (spec §2), so is this; it
//! tells nothing that names the miner's files or endpoints, and is not signed: nothing depends on it.

use super::exchange::{Exchange, SHORT};
use super::{frames, ExchangeError};
use crate::explaining::Explainer;
use shared::deal::QueryRequest;
use shared::explain::deal::Audience;

/// Reads a question, answers it with the JSON of an explanation; also when there is no such deal.
pub(super) async fn answer(explainer: Explainer, mut exchange: Exchange) -> Result<(), ExchangeError> {
    let QueryRequest { cid } = exchange.request(SHORT).await?;
    let explanation = explainer.deal(&cid, Audience::Client).await?;
    let json = serde_json::to_string(&explanation).expect("an explanation has text keys and no own serializer");
    frames::write(&mut exchange.stream, &json).await?;
    frames::close(&mut exchange.stream).await?;
    Ok(())
}
