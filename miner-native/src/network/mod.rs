//! The miner on the network: its libp2p host, and one file for each thing that peers ask of it.
//!
//! The only module of the miner that names libp2p. [`propose`], [`query`] and [`explain`] answer about deals, [`pull`] fetches their
//! pieces (steps 5 to 8 of a deal), [`give`] hands pieces back (step 15), [`host`] listens and connects. Peers are
//! hostile: every exchange has time limits and a share of bounded room. Next: [`crate::sealing`].

mod explain;
pub(crate) mod frames;
mod gate;
mod give;
mod host;
mod identity;
pub(crate) mod propose;
mod pull;
mod query;
#[cfg(test)]
mod tests;

pub use host::{Host, HostConfig};
pub use identity::{load_or_create, IdentityError};
pub use libp2p::identity::Keypair;
pub use pull::Pulls;

use crate::chain_access::ChainError;
use crate::explaining::Explainer;
use crate::miner::Miner;
use crate::staging::StagingError;
use crate::store::StoreError;
use frames::StreamError;
use futures::StreamExt;
use gate::Gate;
use libp2p::{PeerId, Stream, StreamProtocol};
use shared::wire::protocol;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Longest exchange about a deal: a channel may take two minutes to be mined.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(180);
/// Longest delivery of a piece: 32 GiB at 2.5 MB/s.
const DELIVERY_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// Why the host does not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("port {port} for {what} is taken by another program: stop that one, or choose another port with {option}")]
    PortInUse {
        port: u16,
        what: &'static str,
        option: &'static str,
    },
    #[error("cannot listen for {what} on port {port}: {reason}; choose another port with {option}")]
    Listen {
        port: u16,
        what: &'static str,
        option: &'static str,
        reason: String,
    },
    #[error("the libp2p host cannot be set up: {0}")]
    SetUp(String),
    #[error("the host got no address within {} seconds", host::LISTEN_LIMIT.as_secs())]
    NoAddress,
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Serves peers until the process ends.
pub fn serve(miner: Arc<Miner>, host: &Host, pulls: Pulls, explainer: Explainer) -> Result<(), NetworkError> {
    let gate = Gate::of_exchanges();
    let (proposals, for_pulls) = (miner.clone(), pulls.clone());
    accept(
        host,
        protocol::MAKE_DEAL,
        gate.clone(),
        EXCHANGE_LIMIT,
        move |peer, stream| propose::answer(proposals.clone(), for_pulls.clone(), peer, stream),
    )?;
    let (watches, for_watches) = (miner.clone(), pulls.clone());
    accept(
        host,
        protocol::WATCH_DEAL,
        Gate::of_watches(),
        EXCHANGE_LIMIT,
        move |peer, stream| query::watch(watches.clone(), for_watches.clone(), peer, stream),
    )?;
    let queries = miner.clone();
    accept(
        host,
        protocol::QUERY_DEAL,
        gate.clone(),
        EXCHANGE_LIMIT,
        move |peer, stream| query::answer(queries.clone(), pulls.clone(), peer, stream),
    )?;
    accept(
        host,
        protocol::EXPLAIN,
        gate.clone(),
        EXCHANGE_LIMIT,
        move |_, stream| explain::answer(explainer.clone(), stream),
    )?;
    let giver = give::Giver::new(miner);
    accept(host, protocol::RETRIEVAL, gate, DELIVERY_LIMIT, move |_, stream| {
        giver.clone().answer(stream)
    })
}

/// Runs `handler` for every stream of a protocol that finds room.
fn accept<F, Exchange>(
    host: &Host,
    protocol: &'static str,
    gate: Gate,
    limit: Duration,
    handler: F,
) -> Result<(), NetworkError>
where
    F: Fn(PeerId, Stream) -> Exchange + Send + 'static,
    Exchange: Future<Output = Result<(), ExchangeError>> + Send + 'static,
{
    let mut incoming = host
        .control()
        .accept(StreamProtocol::new(protocol))
        .map_err(|e| NetworkError::SetUp(format!("{protocol}: {e}")))?;
    tokio::spawn(async move {
        while let Some((peer, stream)) = incoming.next().await {
            let Some(place) = gate.enter(peer) else {
                tracing::debug!(%peer, protocol, "no room for another exchange");
                continue;
            };
            let exchange = handler(peer, stream);
            tokio::spawn(async move {
                match tokio::time::timeout(limit, exchange).await {
                    Ok(Ok(())) => {}
                    Ok(Err(ExchangeError::Stream(error))) => tracing::debug!(%peer, protocol, %error, "exchange ended"),
                    Ok(Err(error)) => tracing::warn!(%peer, protocol, %error, "a peer could not be answered"),
                    Err(_) => tracing::debug!(%peer, protocol, "exchange took too long"),
                }
                drop(place);
            });
        }
    });
    Ok(())
}
