//! Talking to one miner: finds it, dials it, and asks it. When to ask again is decided by [`shared::client`]; how long a
//! command waits for a miner or a chain that is away is decided here.

use super::error::ClientError;
use super::network::{Network, NetworkError};
use super::report::Report;
use libp2p::PeerId;
use sealdrop_miner::chain_access::ChainAccess;
use sealdrop_miner::network::frames::StreamError;
use sealdrop_miner::network::texts;
use shared::chain::Address;
use shared::wire::Cbor;
use std::time::Duration;
use tokio::time::Instant;

/// How long a miner that was there before may be away before the deal is put aside.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// Pause between two looks for a miner's address.
const ANNOUNCED_PAUSE: Duration = Duration::from_millis(500);
/// How long the chain's directory of peers is waited for while a miner is looked for.
const FIND_LIMIT: Duration = Duration::from_secs(5);

/// Lets a deal wait while the chain or the miner is away: both may be one daemon that restarts.
#[derive(Debug, Default)]
pub struct Patience {
    away_since: Option<Instant>,
    miner: bool,
}

impl Patience {
    /// Lets an error pass that may go away by itself, while there is patience left; any other comes back. `deal` is what the
    /// error's text calls the deal.
    pub fn bear(&mut self, error: ClientError, deal: &str, report: &Report) -> Result<(), ClientError> {
        let note = match &error {
            ClientError::ChainAway { reason, .. } => format!("the chain does not answer ({reason}); trying again"),
            ClientError::Peer { miner, source } => {
                self.miner = true;
                format!("no contact with miner {miner} ({source}); trying again")
            }
            _ => return Err(error),
        };
        if self.away_since.is_none() {
            // Once is enough: the wait may be long.
            report.note(note);
        }
        if self.away_since.get_or_insert_with(Instant::now).elapsed() <= PATIENCE {
            return Ok(());
        }
        Err(match error {
            ClientError::Peer { miner, source } => ClientError::Lost {
                miner,
                minutes: PATIENCE.as_secs() / 60,
                reason: source.to_string(),
                deal: deal.to_owned(),
            },
            other => other,
        })
    }

    /// Chain and miner have answered.
    pub fn over(&mut self, report: &Report) {
        self.away_since = None;
        if std::mem::take(&mut self.miner) {
            report.note("the miner is back");
        }
    }
}

/// One miner, and how it is reached.
pub struct MinerConnection {
    network: Network,
    chain: ChainAccess,
    miner: Address,
    peer: PeerId,
    /// As it signed them last; the chain's directory may be away together with the miner.
    addresses: Vec<String>,
}

impl MinerConnection {
    /// `peer` is the miner's peer id as the chain has it.
    pub fn new(network: Network, chain: ChainAccess, miner: Address, peer: &str) -> Result<Self, ClientError> {
        let parsed = peer.parse();
        let unknown = |_| ClientError::Unreachable {
            miner: miner.clone(),
            reason: NetworkError::PeerId(peer.chars().take(80).collect()).to_string(),
        };
        let peer = parsed.map_err(unknown)?;
        Ok(Self {
            network,
            chain,
            miner,
            peer,
            addresses: Vec::new(),
        })
    }

    /// The miner's libp2p identity.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Makes a connection, once; a miner that is not there is named within 15 seconds.
    pub async fn reach(&mut self) -> Result<(), ClientError> {
        let limit = super::network::DIAL_LIMIT;
        let reached = tokio::time::timeout(limit, self.connect_when_announced()).await;
        let reason = match reached {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) if self.addresses.is_empty() => NetworkError::NoAddress(self.peer.to_string()).to_string(),
            Err(_) => format!("no answer, timed out after {}s", limit.as_secs()),
        };
        Err(ClientError::Unreachable {
            miner: self.miner.clone(),
            reason,
        })
    }

    /// Asks, over a connection that is made when there is none. Two that were made at once become one: a question that went over the
    /// other is asked again, once, which is harmless.
    pub async fn ask_once<Q: Cbor, A: Cbor>(
        &mut self,
        protocol: &'static str,
        question: &Q,
    ) -> Result<A, NetworkError> {
        match self.ask_now(protocol, question).await {
            Err(NetworkError::Broken | NetworkError::Stream(StreamError::Broken(_))) => {
                self.ask_now(protocol, question).await
            }
            asked => asked,
        }
    }

    async fn ask_now<Q: Cbor, A: Cbor>(&mut self, protocol: &'static str, question: &Q) -> Result<A, NetworkError> {
        self.connect().await?;
        self.network.ask(self.peer, protocol, question).await
    }

    /// A miner that has just started is on the chain a moment before its address is.
    async fn connect_when_announced(&mut self) -> Result<(), NetworkError> {
        loop {
            match self.connect().await {
                Err(NetworkError::NoAddress(_)) => tokio::time::sleep(ANNOUNCED_PAUSE).await,
                other => return other,
            }
        }
    }

    /// Makes a connection where there is none: where the miner was reached last, or where the directory says now.
    pub async fn connect(&mut self) -> Result<(), NetworkError> {
        if !self.addresses.is_empty() && self.network.connect(self.peer, &self.addresses).await.is_ok() {
            return Ok(());
        }
        // It may have announced itself elsewhere since.
        let peer = self.peer.to_string();
        let asking = self.chain.find_peer(&peer);
        match tokio::time::timeout(FIND_LIMIT, asking).await {
            Ok(Ok(found)) => self.addresses = found.map_or(Vec::new(), |record| texts(record.addresses())),
            Ok(Err(error)) => tracing::debug!(%error, "the chain does not say where the miner is"),
            Err(_) => {}
        }
        self.network.connect(self.peer, &self.addresses).await
    }
}
