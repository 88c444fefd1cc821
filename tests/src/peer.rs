//! A peer that says to the miner whatever it likes, and a miner that is not there.

use crate::{bytes, Daemon};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::PeerRecord;
use libp2p::identity::Keypair;
use libp2p::PeerId;
use sealdrop::client::network::Network;
use sealdrop_database::Memory;
use sealdrop_miner::chain_access::{ChainAccess, ChainError};
use shared::chain::address::MaybeAddress;
use shared::chain::calls::{add_ask, create_storage_miner, miner_address};
use shared::chain::view::MinerView;
use shared::chain::{Address, AttoFil, BytesAmount, SecretKey};
use shared::deal::{PaymentInfo, Proposal, QueryRequest, SignedProposal, SignedResponse};
use shared::piece::{PieceDigest, SectorSize};
use shared::wire::frame::MAX_MESSAGE;
use shared::wire::{protocol, Cbor};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long the miner may take to end a stream that it was sent nonsense on.
const END_LIMIT: Duration = Duration::from_secs(60);

/// A libp2p node connected to the daemon's miner.
pub struct Peer {
    runtime: Runtime,
    network: Network,
    miner: MinerView,
    key: SecretKey,
}

fn runtime() -> Runtime {
    Runtime::new().expect("threads can be started")
}

async fn chain(daemon: &Daemon, key: &SecretKey) -> ChainAccess {
    chain_at(daemon.ports()[2], key).await.expect("the chain answers")
}

/// The chain at this port, with an account that nothing is kept of.
pub(crate) async fn chain_at(port: u16, key: &SecretKey) -> Result<ChainAccess, ChainError> {
    let url = format!("http://127.0.0.1:{port}/rpc");
    ChainAccess::connect(&url, Arc::new(Memory::default()), key.clone()).await
}

/// The first miner of the chain at this port.
pub(crate) async fn miner_at(port: u16) -> Result<MinerView, String> {
    let key = SecretKey::from_bytes(&[7; 32]).ok_or("a small number is a key")?;
    let miners = chain_at(port, &key).await.map_err(text)?.miners().await.map_err(text)?;
    Ok(miners.into_iter().next().ok_or("no miner is registered")?)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn peer_id(view: &MinerView) -> PeerId {
    view.peer_id.parse().expect("the chain names a peer id")
}

impl Peer {
    /// Connects to the daemon's miner.
    pub fn of(daemon: &Daemon) -> Self {
        Self::at(daemon.ports()).expect("the miner can be reached")
    }

    /// Connects to the miner of the daemon that listens on these ports, or stands behind them; tells why it cannot.
    pub fn at(ports: [u16; 4]) -> Result<Self, String> {
        let runtime = runtime();
        let key = SecretKey::from_bytes(&[7; 32]).expect("a small number is a key");
        let connected = runtime.block_on(async {
            let chain = chain_at(ports[2], &key).await.map_err(text)?;
            let network = Network::start(Default::default()).map_err(text)?;
            let miners = chain.miners().await.map_err(text)?;
            let miner = miners.into_iter().next().ok_or("no miner is registered")?;
            let address = format!("/ip4/127.0.0.1/tcp/{}", ports[0]);
            network.connect(peer_id(&miner), &[address]).await.map_err(text)?;
            Ok::<_, String>((network, miner))
        });
        let (network, miner) = connected?;
        Ok(Self {
            runtime,
            network,
            miner,
            key,
        })
    }

    /// Who signs the miner's answers.
    pub fn worker(&self) -> &Address {
        &self.miner.worker
    }

    /// Who signs its proposals.
    pub fn payer(&self) -> Address {
        self.key.address()
    }

    /// The miner.
    pub fn miner(&self) -> &Address {
        &self.miner.address
    }

    /// Sends bytes on a stream of their own, and gives back what came until its end.
    pub fn say(&self, protocol: &'static str, said: &[u8]) -> Vec<u8> {
        self.try_to_say(protocol, said).expect("a stream opens")
    }

    /// The same; `None` where the miner does not let it open a stream.
    pub fn try_to_say(&self, protocol: &'static str, said: &[u8]) -> Option<Vec<u8>> {
        self.runtime.block_on(async {
            let mut stream = self.network.open(peer_id(&self.miner), protocol).await.ok()?;
            let mut heard = Vec::new();
            // The miner may end the stream before all is said.
            let talk = async {
                stream.write_all(said).await?;
                stream.close().await?;
                stream.read_to_end(&mut heard).await
            };
            let _ = tokio::time::timeout(END_LIMIT, talk)
                .await
                .expect("the miner ends the stream");
            assert!(heard.len() <= MAX_MESSAGE);
            Some(heard)
        })
    }

    /// Opens a stream, says something on it, and holds it; `None` when the miner does not let it.
    pub fn hold(&self, protocol: &'static str, said: &[u8]) -> Option<libp2p::Stream> {
        let held = async {
            let mut stream = self.network.open(peer_id(&self.miner), protocol).await.ok()?;
            stream.write_all(said).await.ok()?;
            stream.flush().await.ok()?;
            Some(stream)
        };
        let held = async { tokio::time::timeout(Duration::from_secs(2), held).await.ok().flatten() };
        self.runtime.block_on(held)
    }

    fn ask<Q: Cbor>(&self, protocol: &'static str, question: &Q) -> SignedResponse {
        let asking = self.network.ask(peer_id(&self.miner), protocol, question);
        self.runtime.block_on(asking).expect("the miner answers")
    }

    pub fn propose(&self, proposal: &SignedProposal) -> SignedResponse {
        self.ask(protocol::MAKE_DEAL, proposal)
    }

    pub fn query(&self, deal: &cid::Cid) -> SignedResponse {
        self.ask(protocol::QUERY_DEAL, &QueryRequest { cid: *deal })
    }

    /// A well-signed proposal without payment, which this miner does not take.
    pub fn proposal(&self, seed: u64) -> SignedProposal {
        self.proposal_to(seed, self.miner.address.clone())
    }

    pub fn proposal_to_another_miner(&self, seed: u64) -> SignedProposal {
        self.proposal_to(seed, Address::id(12345))
    }

    fn proposal_to(&self, seed: u64, miner_address: Address) -> SignedProposal {
        self.changed(seed, |proposal| proposal.miner_address = miner_address)
    }

    /// A proposal of a piece of 100 bytes at no price, changed before it is signed.
    pub fn changed(&self, seed: u64, change: impl FnOnce(&mut Proposal)) -> SignedProposal {
        let mut digest = PieceDigest::new();
        digest.push(&bytes(seed, 100)).expect("100 bytes are a piece");
        let mut proposal = Proposal {
            piece_ref: digest.finish().expect("100 bytes are a piece").data_cid,
            size: Some(BytesAmount(100)),
            total_price: AttoFil::ZERO,
            duration: 1000,
            miner_address: self.miner.address.clone(),
            payment: PaymentInfo {
                payer: self.key.address(),
                pay_ch_actor: MaybeAddress(None),
                channel: None,
                channel_msg_cid: None,
                vouchers: None,
            },
        };
        change(&mut proposal);
        proposal.sign(&self.key)
    }
}

/// Registers a miner on the daemon's chain whose host is announced at this port, whatever listens there. Gives its
/// address.
pub fn announce_miner(daemon: &Daemon, port: u16) -> String {
    let host = Keypair::generate_ed25519();
    let key = SecretKey::from_bytes(&[9; 32]).expect("a small number is a key");
    runtime().block_on(async {
        let chain = chain(daemon, &key).await;
        chain.faucet(&key.address()).await.expect("the faucet gives");
        while chain.actor(&key.address()).await.expect("the chain answers").is_none() {
            chain.heads().changed().await.expect("blocks go on");
        }
        let peer = PeerId::from(host.public()).to_bytes();
        let create = create_storage_miner(SectorSize::S2KiB, &peer, AttoFil::from_fil(10));
        let (_, receipt) = chain.call("create", create).await.expect("the miner is registered");
        let receipt = receipt.receipt().expect("the receipt is well formed");
        let miner = miner_address(&receipt).expect("the receipt names the miner");
        let ask = add_ask(&miner, AttoFil(1_000_000_000), 1_000_000);
        chain.call("ask", ask).await.expect("the offer stands");
        let address = format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address");
        let record = PeerRecord::new_interop(&host, vec![address]).expect("a record can be signed");
        let envelope = record.into_signed_envelope().into_protobuf_encoding();
        chain.announce(&envelope).await.expect("the announcement is taken");
        miner.to_string()
    })
}
