//! Why a deal of this client is not done, and when it will be: [`shared::client::explaining`] asks and judges.

use super::book::Record;
use super::cli_host::{CliHost, Until};
use super::error::ClientError;
use super::Session;
use sealdrop_miner::clock::now_ms;
use shared::client::explaining;
use shared::explain::deal::client::MinerReport;
use shared::explain::deal::Explanation;

/// Explains a deal in the book. Without a session, whose place the reason why there is none takes, what is known here is
/// told. Nothing in the book changes.
pub async fn explain(session: Result<&Session, &str>, record: &Record) -> Result<Explanation, ClientError> {
    let session = match session {
        Ok(session) => session,
        Err(reason) => {
            let word = MinerReport::ChainUnreachable { reason: reason.into() };
            return Ok(explaining::with(record, now_ms(), word));
        }
    };
    session.check_chain(record)?;
    let host = CliHost::new(session, record, session.report.clone(), Until::Complete).await?;
    explaining::explain(record, &host, |json| serde_json::from_str(json)).await
}
