//! The miner on the network: its libp2p host, and one file for each thing that peers ask of it.
//!
//! The only module of the miner that names libp2p. [`quote`], [`propose`], [`query`] and [`explain`] answer about deals, [`close`] gives
//! money back, [`transfers`] fetches their
//! pieces (steps 5 to 8 of a deal), [`retrieval`] hands pieces back (step 15), [`host`] listens and connects. Peers are
//! hostile: every exchange has time limits and a share of bounded room. Next: [`crate::sealing`].

pub(crate) mod address_status;
pub mod advertised;
mod announcer;
pub(crate) mod close;
mod connections;
mod dead_path;
mod exchange;
mod explain;
pub mod frames;
mod guarded;
mod handshakes;
mod host;
mod http_address;
mod identity;
mod listen;
mod muxer;
mod origin;
pub mod peers;
pub mod probe;
pub(crate) mod propose;
mod query;
pub(crate) mod quote;
mod reachability;
mod refused;
mod retrieval;
mod self_check;
mod stream_budget;
mod stream_limiter;
mod swarm;
#[cfg(test)]
mod tests;
mod tls;
mod transfer_places;
mod transfers;
mod webrtc;

pub use announcer::texts;
pub use close::Closing;
pub use dead_path::ending_when_dead;
pub use host::Host;
pub use http_address::{is_http, HttpPlaces};
pub use identity::{load_or_create, IdentityError};
pub use libp2p::identity::Keypair;
pub use listen::{HostConfig, TransportKind};
pub use muxer::Yamux;
pub use probe::PeerAddress;
pub use propose::Reviewer;
pub use retrieval::RetrievalServer;
pub use self_check::{AddressBoard, SelfCheck};
pub(crate) use stream_limiter::StreamLimiter;
pub use transfers::{TransferManager, TransferParts};

use crate::chain_access::{Account, ChainAccess, ChainError};
use crate::explaining::Explainer;
use crate::staging::StagingError;
use crate::storage_check::StorageDoubt;
use crate::store::{MinerStore, StoreError};
use crate::supervisor::{Lifeline, ServiceError};
use announcer::Announcer;
use exchange::Exchange;
use frames::StreamError;
use futures::StreamExt;
use libp2p::StreamProtocol;
use reachability::{PortControl, Rounds};
use refused::Limit;
use shared::deal::{Response, SignedResponse};
use shared::wire::protocol;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Time between two signs of life of the network.
const BEAT: Duration = Duration::from_secs(10);

/// Longest exchange about a deal: a channel may take two minutes to be mined.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(180);
/// Longest exchange that waits for nobody: a request of a kilobyte and its answer, on a slow line.
const QUESTION_LIMIT: Duration = Duration::from_secs(30);
/// Longest delivery of a piece: 32 GiB at 2.5 MB/s.
const DELIVERY_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// Why the host does not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("port {port} for {what} is taken by another program: stop that one, or choose another port with {option}")]
    PortInUse {
        port: u16,
        what: TransportKind,
        option: &'static str,
    },
    #[error("cannot listen for {what} on port {port}: {reason}; choose another port with {option}")]
    Listen {
        port: u16,
        what: TransportKind,
        option: &'static str,
        reason: String,
    },
    #[error("cannot listen on {address}: {reason}")]
    Address { address: libp2p::Multiaddr, reason: String },
    #[error("{0} addresses to listen on: give at least one and no more than 32")]
    Listeners(usize),
    #[error("cannot create {}: {source}; check the permissions of the folder above", path.display())]
    Folder {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Certificates(#[from] libp2p_webtransport_quinn::CertificateError),
    #[error("{} is no certificate for WebRTC ({reason}); move it away to have a new one made, under another address", path.display())]
    WebRtcCertificate { path: std::path::PathBuf, reason: String },
    #[error("the libp2p host cannot be set up: {0}")]
    SetUp(String),
    #[error("the host got no address within {} seconds", host::LISTEN_LIMIT.as_secs())]
    NoAddress,
    #[error("the listener at {addresses:?} closed: {reason}")]
    ListenerClosed {
        addresses: Vec<libp2p::Multiaddr>,
        reason: String,
    },
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

/// What the network works with.
#[derive(Clone)]
pub struct Network {
    pub host: Host,
    /// The directory of peers is the chain's.
    pub chain: ChainAccess,
    pub reviewer: Arc<Reviewer>,
    pub answers: Answers,
    pub transfers: TransferManager,
    pub explainer: Explainer,
    pub retrieval: RetrievalServer,
    /// Raised when an exchange fails by an error of ours.
    pub storage_doubt: StorageDoubt,
}

/// What answers about deals are read from and signed with.
#[derive(Clone)]
pub struct Answers {
    pub store: MinerStore,
    /// The miner's worker.
    pub signer: Account,
}

impl Answers {
    pub(crate) fn sign(&self, response: Response) -> Result<SignedResponse, ExchangeError> {
        Ok(response.sign(&self.signer.key()?))
    }
}

impl Network {
    /// Serves peers until it is to stop; ends when the host cannot be reached any more.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let open = self.host.open().await?;
        self.transfers.begin(&lifeline);
        let mut parts = JoinSet::new();
        self.accept_all(&lifeline, &mut parts)?;
        parts.spawn(async move { open.run().await.to_string() });
        let (host, chain, lives) = (self.host.clone(), self.chain.clone(), lifeline.clone());
        parts.spawn(async move {
            Announcer::new(host, chain).run(&lives).await;
            "nobody tells the chain's directory any more".to_owned()
        });
        let rounds = Rounds {
            host: self.host.clone(),
            chain: self.chain.clone(),
        };
        let lives = lifeline.clone();
        parts.spawn(async move {
            rounds.run(&lives).await;
            "nobody asks other miners any more".to_owned()
        });
        let (ports, lives) = (
            PortControl {
                host: self.host.clone(),
            },
            lifeline.clone(),
        );
        parts.spawn(async move {
            ports.run(&lives).await;
            "nobody asks routers for ports any more".to_owned()
        });
        let (transfers, lives) = (self.transfers.clone(), lifeline.clone());
        parts.spawn(async move {
            transfers.sweep(lives).await;
            "nobody looks for overdue transfers any more".to_owned()
        });
        loop {
            let ended = tokio::select! {
                () = lifeline.stopping() => return Ok(()),
                ended = parts.join_next() => ended,
                () = tokio::time::sleep(BEAT) => {
                    lifeline.beat();
                    continue;
                }
            };
            return match ended {
                Some(Ok(reason)) => Err(reason.into()),
                Some(Err(join)) => match join.try_into_panic() {
                    // The service's own, from here on.
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(join) => Err(join.into()),
                },
                None => Err("nothing of the network runs any more".into()),
            };
        }
    }

    fn accept_all(&self, lifeline: &Lifeline, parts: &mut JoinSet<String>) -> Result<(), NetworkError> {
        let limiter = StreamLimiter::of_exchanges();
        let mut serve = |protocol, limiter, limit, handler| {
            let rules = Rules {
                protocol,
                limiter,
                limit,
                doubt: self.storage_doubt.clone(),
            };
            let accepting = accept(&self.host, lifeline, rules, handler)?;
            parts.spawn(accepting);
            Ok::<_, NetworkError>(())
        };
        let all = self.clone();
        serve(
            protocol::MAKE_DEAL,
            limiter.clone(),
            EXCHANGE_LIMIT,
            handler(move |exchange| {
                let transfers = all.transfers.clone();
                propose::answer(all.reviewer.clone(), all.answers.clone(), transfers, exchange)
            }),
        )?;
        let all = self.clone();
        serve(
            protocol::WATCH_DEAL,
            StreamLimiter::of_watches(),
            EXCHANGE_LIMIT,
            handler(move |exchange| query::watch(all.answers.clone(), all.transfers.clone(), exchange)),
        )?;
        let all = self.clone();
        serve(
            protocol::QUERY_DEAL,
            limiter.clone(),
            EXCHANGE_LIMIT,
            handler(move |exchange| query::answer(all.answers.clone(), all.transfers.clone(), exchange)),
        )?;
        let all = self.clone();
        serve(
            protocol::QUOTE,
            limiter.clone(),
            QUESTION_LIMIT,
            handler(move |exchange| quote::answer(all.reviewer.clone(), all.answers.clone(), exchange)),
        )?;
        let reviewer = self.reviewer.clone();
        serve(
            protocol::CLOSE_CHANNEL,
            limiter.clone(),
            EXCHANGE_LIMIT,
            handler(move |exchange| close::answer(reviewer.clone(), exchange)),
        )?;
        let explainer = self.explainer.clone();
        serve(
            protocol::EXPLAIN,
            limiter.clone(),
            EXCHANGE_LIMIT,
            handler(move |exchange| explain::answer(explainer.clone(), exchange)),
        )?;
        let retrieval = self.retrieval.clone();
        serve(
            protocol::RETRIEVAL,
            limiter,
            DELIVERY_LIMIT,
            handler(move |exchange| retrieval.clone().answer(exchange)),
        )
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<(), ExchangeError>> + Send>>;
type Handler = Box<dyn Fn(Exchange) -> Answering + Send>;

fn handler<F, A>(answer: F) -> Handler
where
    F: Fn(Exchange) -> A + Send + 'static,
    A: Future<Output = Result<(), ExchangeError>> + Send + 'static,
{
    Box::new(move |exchange| Box::pin(answer(exchange)))
}

/// What the exchanges of a protocol have to keep to.
struct Rules {
    protocol: &'static str,
    limiter: StreamLimiter,
    /// How long one may take.
    limit: Duration,
    doubt: StorageDoubt,
}

/// Runs `handler` for every stream of a protocol that finds room; what is returned says why it ended.
fn accept(
    host: &Host,
    lifeline: &Lifeline,
    rules: Rules,
    handler: Handler,
) -> Result<impl Future<Output = String> + Send + 'static, NetworkError> {
    let Rules {
        protocol,
        limiter,
        limit,
        doubt,
    } = rules;
    let mut incoming = host
        .control()
        .accept(StreamProtocol::new(protocol))
        .map_err(|e| NetworkError::SetUp(format!("{protocol}: {e}")))?;
    let (lifeline, host) = (lifeline.clone(), host.clone());
    Ok(async move {
        while let Some((peer, stream)) = incoming.next().await {
            let Some(place) = limiter.enter(peer) else {
                tracing::debug!(%peer, protocol, "no room for another exchange");
                host.refused().count(Limit::Exchanges);
                continue;
            };
            let evicted = place.evicted();
            let refused = host.refused().clone();
            let exchange = handler(Exchange::new(peer, stream, place, host.clone()));
            let doubt = doubt.clone();
            drop(lifeline.spawn("an exchange with a peer", async move {
                let ended = tokio::select! {
                    ended = tokio::time::timeout(limit, exchange) => ended,
                    () = evicted.cancelled() => Ok(Err(StreamError::Slow.into())),
                };
                match &ended {
                    Ok(Err(ExchangeError::Stream(StreamError::Slow))) => refused.count(Limit::Requests),
                    Ok(Err(ExchangeError::Stream(StreamError::PlaceLost(_)))) => refused.count(Limit::Deliveries),
                    _ => {}
                }
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(ExchangeError::Stream(error))) => tracing::debug!(%peer, protocol, %error, "exchange ended"),
                    Ok(Err(error)) => {
                        tracing::warn!(%peer, protocol, %error, "a peer could not be answered");
                        doubt.raise();
                    }
                    Err(_) => tracing::debug!(%peer, protocol, "exchange took too long"),
                }
            }));
        }
        format!("no streams of {protocol} come any more")
    })
}
