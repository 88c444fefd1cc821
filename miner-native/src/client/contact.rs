//! Talking to one miner for as long as a deal takes: finds it, dials it, asks it, and does all of that again when the
//! connection breaks or the miner restarts.

use super::error::ClientError;
use super::network::{Network, NetworkError};
use super::report::Report;
use crate::chain_access::ChainAccess;
use libp2p::PeerId;
use shared::chain::Address;
use shared::wire::Cbor;
use std::time::Duration;
use tokio::time::Instant;

/// How long a miner that was there before may be away before the deal is put aside.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// Pause after a failed attempt; it grows by half with each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the chain's directory of peers is waited for while a miner is looked for.
const FIND_LIMIT: Duration = Duration::from_secs(5);

/// Lets a deal wait while the chain is away, as it lets it wait for the miner: both may be one daemon that restarts.
#[derive(Debug, Default)]
pub struct ChainPatience {
    away_since: Option<Instant>,
}

impl ChainPatience {
    /// Waits a moment when `error` says that the chain is away and there is patience left; any other error comes back.
    pub async fn bear(&mut self, error: ClientError, report: &Report) -> Result<(), ClientError> {
        let ClientError::ChainAway { reason, .. } = &error else {
            return Err(error);
        };
        if self.away_since.is_none() {
            report.note(format!("the chain does not answer ({reason}); trying again"));
        }
        if self.away_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(error);
        }
        tokio::time::sleep(LONGEST_PAUSE).await;
        Ok(())
    }

    /// The chain has answered.
    pub fn over(&mut self) {
        self.away_since = None;
    }
}

/// One miner, and how it is reached.
pub struct Contact {
    network: Network,
    chain: ChainAccess,
    miner: Address,
    peer: PeerId,
    /// As the chain's directory last gave them; it may be away together with the miner.
    addresses: Vec<String>,
}

impl Contact {
    /// The miner's worker as the chain has it now.
    pub async fn worker(&self) -> Result<Option<Address>, ClientError> {
        let view = self.chain.miner(&self.miner).await.map_err(ClientError::chain)?;
        Ok(view.map(|view| view.worker))
    }

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

    /// The miner that this is about.
    pub fn miner(&self) -> &Address {
        &self.miner
    }

    /// The miner's libp2p identity.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The node that talks.
    pub fn network(&self) -> &Network {
        &self.network
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

    /// Asks once, over a connection that is made when there is none.
    pub async fn ask_once<Q: Cbor, A: Cbor>(
        &mut self,
        protocol: &'static str,
        question: &Q,
    ) -> Result<A, NetworkError> {
        self.connect().await?;
        self.network.ask(self.peer, protocol, question).await
    }

    /// Asks until there is an answer, for up to [`PATIENCE`] without one. `deal` is what the error's text calls the deal;
    /// `trouble` hears of every failed attempt. Asking again is harmless: a miner answers the same.
    pub async fn ask<Q: Cbor, A: Cbor>(
        &mut self,
        protocol: &'static str,
        question: &Q,
        deal: &str,
        mut trouble: impl FnMut(&NetworkError),
    ) -> Result<A, ClientError> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.ask_once(protocol, question).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if started.elapsed() > PATIENCE {
                return Err(ClientError::Lost {
                    miner: self.miner.clone(),
                    minutes: PATIENCE.as_secs() / 60,
                    reason: error.to_string(),
                    deal: deal.to_owned(),
                });
            }
            trouble(&error);
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// A miner that has just started is on the chain a moment before its address is.
    async fn connect_when_announced(&mut self) -> Result<(), NetworkError> {
        loop {
            match self.connect().await {
                Err(NetworkError::NoAddress(_)) => tokio::time::sleep(FIRST_PAUSE).await,
                other => return other,
            }
        }
    }

    async fn connect(&mut self) -> Result<(), NetworkError> {
        if !self.addresses.is_empty() && self.network.connect(self.peer, &self.addresses).await.is_ok() {
            return Ok(());
        }
        // It may have announced itself elsewhere since.
        let peer = self.peer.to_string();
        let asking = self.chain.find_peer(&peer);
        if let Ok(Ok(found)) = tokio::time::timeout(FIND_LIMIT, asking).await {
            self.addresses = found;
        }
        self.network.connect(self.peer, &self.addresses).await
    }
}
