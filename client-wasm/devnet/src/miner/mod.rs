//! A miner: its deals and sectors in memory, driven by the blocks that are made. What it decides is decided by [`shared`].
//!
//! [`answering`] answers clients, [`sealing`] brings pieces into sectors and these onto the chain, with a FAKE prover, [`earning`] proves
//! them in every window and redeems vouchers, [`pull`] fetches pieces, [`outbox`] sends its messages.

mod answering;
mod earning;
mod outbox;
mod pull;
mod sealing;

pub use answering::Answer;
pub use pull::{Pull, PullError};

use crate::faults::Faults;
use cid::Cid;
use ed25519_dalek::{Signer, SigningKey};
use outbox::Outbox;
use sealdrop_devnet::MemoryChain;
use shared::chain::peers::{peer_to_text, Record};
use shared::chain::{Address, ChannelId, SecretKey};
use shared::deal::{MinerDeal, MinerEffect, MinerInput, MinerStage};
use shared::payment::ChannelFacts;
use shared::piece::{PieceDigest, SectorSize};
use shared::sector::Sector;
use std::collections::{BTreeMap, BTreeSet};

/// Deals that a miner keeps, at most, over or not.
const MAX_DEALS: usize = 4096;
/// Bytes of all pieces that a miner keeps, at most: they are in the page's memory.
const MAX_BYTES: u64 = 256 << 20;
/// Steps of machines at one height, at most: sealing takes no time, and from a piece's arrival to its pre-commit there are six.
const MAX_STEPS: usize = 16;

/// One miner.
pub struct Miner {
    pub address: Address,
    /// What it does wrong on purpose.
    pub faults: Faults,
    pub deals: BTreeMap<Cid, MinerDeal>,
    pub sectors: Vec<Sector>,
    /// Pieces by their root.
    pieces: BTreeMap<Cid, Vec<u8>>,
    /// Channels that it closes.
    closing: BTreeSet<(Address, ChannelId)>,
    /// Owner and worker.
    key: SecretKey,
    host: SigningKey,
    size: SectorSize,
    outbox: Outbox,
}

impl Miner {
    pub(crate) fn new(address: Address, key: SecretKey, host: SigningKey, size: SectorSize) -> Self {
        Self {
            address,
            faults: Faults::default(),
            deals: BTreeMap::new(),
            sectors: Vec::new(),
            pieces: BTreeMap::new(),
            closing: BTreeSet::new(),
            outbox: Outbox::new(key.clone()),
            key,
            host,
            size,
        }
    }

    /// The peer id of a host key.
    pub(crate) fn peer_of(host: &SigningKey) -> Vec<u8> {
        let record = Record {
            key: host.verifying_key().to_bytes(),
            seq: 0,
            addresses: Vec::new(),
        };
        record.peer()
    }

    /// The secret of its host's key.
    pub fn host_secret(&self) -> [u8; 32] {
        self.host.to_bytes()
    }

    /// Its libp2p peer id, as text.
    pub fn peer_id(&self) -> String {
        peer_to_text(&Self::peer_of(&self.host))
    }

    /// Where it is dialled, signed by its host.
    pub(crate) fn record(&self, addresses: Vec<Vec<u8>>, seq: u64) -> Vec<u8> {
        let record = Record {
            key: self.host.verifying_key().to_bytes(),
            seq,
            addresses,
        };
        record.envelope(&self.host.sign(&record.signed_bytes()).to_bytes())
    }

    /// Sees the newest block, and does everything that can be done at its height.
    pub fn tick(&mut self, chain: &MemoryChain) {
        for _ in 0..MAX_STEPS {
            let (deals, sectors) = (self.step_deals(chain), self.step_sectors(chain));
            if !deals && !sectors {
                break;
            }
        }
        self.prove(chain);
    }

    /// The transfer of a deal's piece; `None` when the deal awaits none.
    pub fn pull(&self, deal: &Cid) -> Option<Result<Pull, PullError>> {
        let found = self.deals.get(deal)?;
        let proposal = &found.proposal;
        (found.effect() == MinerEffect::FetchPiece).then(|| Pull::new(proposal.proposal.piece_ref, proposal.size()))
    }

    /// A deal's piece is here: every block was checked.
    pub fn arrived(&mut self, chain: &MemoryChain, deal: &Cid, bytes: Vec<u8>) {
        let mut digest = PieceDigest::new();
        let pushed = digest.push(&bytes).and_then(|()| digest.finish());
        let input = match pushed {
            Ok(piece) => {
                self.pieces.insert(piece.data_cid, bytes);
                MinerInput::PieceReceived { comm_p: piece.comm_p }
            }
            Err(_) => MinerInput::TransferFailed,
        };
        self.feed(deal, input);
        self.tick(chain);
    }

    /// A deal's piece can never be had.
    pub fn unobtainable(&mut self, deal: &Cid) {
        self.feed(deal, MinerInput::TransferFailed);
    }

    fn feed(&mut self, deal: &Cid, input: MinerInput) -> bool {
        // An input that comes too late, after the deal has ended, changes nothing.
        let found = self.deals.get_mut(deal);
        found.is_some_and(|deal| deal.handle(input).is_ok())
    }

    /// Does the next thing for each deal; whether any came further.
    fn step_deals(&mut self, chain: &MemoryChain) -> bool {
        let open = |(cid, deal): (&Cid, &MinerDeal)| (deal.effect() != MinerEffect::Rest).then_some(*cid);
        let cids: Vec<Cid> = self.deals.iter().filter_map(open).collect();
        let mut changed = false;
        for cid in cids {
            if let Some(input) = self.next_input(&cid, chain) {
                changed |= self.feed(&cid, input);
            }
        }
        changed
    }

    fn next_input(&mut self, cid: &Cid, chain: &MemoryChain) -> Option<MinerInput> {
        let (height, deal) = (chain.head().height, self.deals.get(cid)?);
        let is_late = deal.deadline().is_some_and(|deadline| height >= deadline);
        match deal.effect() {
            MinerEffect::FetchPiece => is_late.then_some(MinerInput::TransferFailed),
            MinerEffect::Place | MinerEffect::AwaitSector { .. } if is_late => Some(MinerInput::Ended { height }),
            MinerEffect::Place => self.place(cid),
            MinerEffect::AwaitSector { sector } => self.report(cid, sector),
            MinerEffect::Keep { .. } => self.keep(cid, chain),
            MinerEffect::Rest => None,
        }
    }

    /// Whether a channel pays for a deal that is not over.
    fn owes(&self, payer: &Address, id: ChannelId) -> bool {
        self.deals.values().any(|deal| {
            let payment = &deal.proposal.proposal.payment;
            deal.effect() != MinerEffect::Rest && payment.channel == Some(id) && payment.payer == *payer
        })
    }

    /// Bytes of the pieces that it has, or has promised to take.
    fn promised(&self) -> u64 {
        let awaited = |deal: &&MinerDeal| matches!(deal.stage, MinerStage::Accepted);
        let coming: u64 = self
            .deals
            .values()
            .filter(awaited)
            .map(|deal| deal.proposal.size())
            .sum();
        coming + self.pieces.values().map(|bytes| bytes.len() as u64).sum::<u64>()
    }
}

/// A channel as the rules look at it.
fn channel(chain: &MemoryChain, payer: &Address, id: Option<ChannelId>) -> Option<ChannelFacts> {
    chain.channel(payer, id?).as_ref().map(ChannelFacts::from)
}
