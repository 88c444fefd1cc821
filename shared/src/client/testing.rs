//! The engine's ports in memory: a chain whose blocks the test makes, a miner that answers as it is told, a file that can
//! change, and a store that can fail.

use super::host::{Awaited, Blame, ClientHost, EngineError, Event, Order, Woken};
use super::record::DealRecord;
use crate::chain::keys::cid_of_bytes;
use crate::chain::view::{ChannelView, MinerView};
use crate::chain::{Address, AttoFil, Call, ChannelId, Epoch, Policy, Receipt, SecretKey};
use crate::deal::{
    ClientDeal, DealState, Draft, ProofInfo, Quote, QuoteRequest, Response, SignedProposal, SignedResponse,
};
use crate::payment::{CloseRequest, CloseResponse};
use crate::piece::node::raw_cid;
use crate::piece::{Commitment, SectorSize};
use crate::ports::{Chain, Found, MessagePurpose, Sent};
use crate::wire::cbor::Bytes;
use crate::wire::{decode, encode, protocol, Cbor};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::{format, vec, vec::Vec};
use cid::Cid;
use core::cell::{Cell, RefCell};
use core::future::{pending, Future};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// What hinders a fake host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FakeError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the chain is away")]
    ChainAway,
    #[error("the chain refuses the message")]
    Refused,
    #[error("the miner is away")]
    MinerAway,
    #[error("the miner does not speak the protocol")]
    NoProtocol,
    #[error("the disk is full")]
    DiskFull,
}

/// What the next messages of a kind come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    #[default]
    Applied,
    /// The chain does not take it.
    Refused,
    /// It fails in its block with this code.
    Fails(u64),
    /// It goes out of the pool.
    Dropped,
}

/// A chain in memory. A message is in a block when [`FakeChain::mine`] is called.
#[derive(Default)]
pub struct FakeChain {
    pub away: Cell<bool>,
    pub height: Cell<u64>,
    pub fate: Cell<Fate>,
    /// Whether it keeps nothing more of blocks that are made.
    pub pruned: Cell<bool>,
    /// Messages of this purpose are ones that it can say nothing of.
    pub unreadable: Cell<Option<MessagePurpose>>,
    pub miners: RefCell<BTreeMap<Address, MinerView>>,
    pub channels: RefCell<BTreeMap<u64, ChannelView>>,
    /// Every message that was ever sent.
    pub sent: RefCell<Vec<(MessagePurpose, Call)>>,
    /// Whether the payer's key is with a person, who thinks about what they are asked for ever, and how often they were asked.
    pub thinks: Cell<bool>,
    pub prompts: Cell<u32>,
    /// Channels that their payee closes with the next block.
    pub closing: RefCell<Vec<u64>>,
    /// Channels that were ever opened: no id is used again.
    opened: Cell<u64>,
    outbox: RefCell<BTreeMap<String, (MessagePurpose, Call, Sent)>>,
}

impl FakeChain {
    fn answers(&self) -> Result<(), FakeError> {
        match self.away.get() {
            true => Err(FakeError::ChainAway),
            false => Ok(()),
        }
    }

    /// What it says of a message whose fate is `known`.
    fn tell(&self, known: &Sent) -> Sent {
        let number = match known {
            Sent::Applied { receipt, .. } => crate::chain::calls::channel_id(receipt).map(|id| id.0).ok(),
            Sent::Failed { .. } => None,
            _ => return known.clone(),
        };
        match self.pruned.get() {
            true => Sent::Pruned {
                message: cid_of_bytes(b"pruned"),
                number: number.unwrap_or(u64::MAX),
                height: Epoch(1),
            },
            false => known.clone(),
        }
    }

    /// Makes a block of what waits.
    pub fn mine(&self, payer: &Address) {
        self.height.set(self.height.get() + 1);
        for id in self.closing.take() {
            self.channels.borrow_mut().remove(&id);
        }
        let mut outbox = self.outbox.borrow_mut();
        for (purpose, call, state) in outbox.values_mut().filter(|(_, _, state)| *state == Sent::Pending) {
            *state = match self.fate.get() {
                Fate::Dropped => Sent::Dropped {
                    reason: "the pool is full".into(),
                },
                Fate::Fails(exit_code) => Sent::Failed {
                    exit_code,
                    error: format!("failed with {exit_code}"),
                },
                Fate::Applied | Fate::Refused => self.apply(payer, *purpose, call),
            };
        }
    }

    fn apply(&self, payer: &Address, purpose: MessagePurpose, call: &Call) -> Sent {
        let mut channels = self.channels.borrow_mut();
        let mut returns = vec![];
        match purpose {
            MessagePurpose::OpenChannel { .. } => {
                let id = 9 + self.opened.replace(self.opened.get() + 1);
                returns = vec![Bytes(crate::chain::abi::Abi::to_abi(&ChannelId(id)))];
                let eol = crate::chain::abi::Abi::from_abi(&call.params[1]).expect("a height");
                let channel = ChannelView {
                    payer: payer.clone(),
                    id: ChannelId(id),
                    target: payer.clone(),
                    amount: call.value,
                    amount_redeemed: AttoFil::ZERO,
                    remaining: call.value,
                    agreed_eol: eol,
                    eol,
                    redeemed: false,
                    condition: None,
                    session: None,
                };
                channels.insert(id, channel);
            }
            MessagePurpose::Cancel { channel } => {
                let end = Epoch(self.height.get() + Policy::default().cancel_delay);
                if let Some(found) = channels.get_mut(&channel.0) {
                    found.eol = found.eol.min(end);
                }
            }
            MessagePurpose::Reclaim { channel } => {
                channels.retain(|id, found| *id != channel.0 || found.eol.0 > self.height.get());
            }
        }
        Sent::Applied {
            message: cid_of_bytes(call.method.as_bytes()),
            receipt: Receipt {
                exit_code: 0,
                returns,
                gas_cost: AttoFil::ZERO,
                error: String::new(),
            },
        }
    }

    /// How many messages of a method were sent.
    pub fn count(&self, method: &str) -> usize {
        self.sent
            .borrow()
            .iter()
            .filter(|(_, call)| call.method == method)
            .count()
    }
}

impl Chain for FakeChain {
    type Error = FakeError;

    async fn height(&self) -> Result<Epoch, FakeError> {
        self.answers().map(|()| Epoch(self.height.get()))
    }
    async fn policy(&self) -> Result<Policy, FakeError> {
        self.answers().map(|()| Policy::default())
    }
    async fn miner(&self, address: &Address) -> Result<Option<MinerView>, FakeError> {
        self.answers().map(|()| self.miners.borrow().get(address).cloned())
    }
    async fn channel(&self, _: &Address, id: ChannelId) -> Result<Option<ChannelView>, FakeError> {
        self.answers().map(|()| self.channels.borrow().get(&id.0).cloned())
    }
    async fn message(&self, _: &Cid) -> Result<Found, FakeError> {
        self.answers().map(|()| Found::Pruned(Epoch(1)))
    }
    async fn ask(&self, _: &Call) -> Result<Result<(), String>, FakeError> {
        self.answers().map(|()| Ok(()))
    }
    async fn send(&self, _: &Address, deal: &str, purpose: MessagePurpose, call: Call) -> Result<Sent, FakeError> {
        self.answers()?;
        let mut outbox = self.outbox.borrow_mut();
        if let Some((_, _, known)) = outbox.get(&purpose.key(deal)) {
            return Ok(self.tell(known));
        }
        if self.fate.get() == Fate::Refused {
            return Err(FakeError::Refused);
        }
        self.sent.borrow_mut().push((purpose, call.clone()));
        outbox.insert(purpose.key(deal), (purpose, call, Sent::Pending));
        Ok(Sent::Pending)
    }
    async fn send_unless(
        &self,
        payer: &Address,
        deal: &str,
        purpose: MessagePurpose,
        call: Call,
        over: impl Future<Output = ()>,
    ) -> Result<Option<Sent>, FakeError> {
        if !self.thinks.get() {
            return self.send(payer, deal, purpose, call).await.map(Some);
        }
        self.prompts.set(self.prompts.get() + 1);
        over.await;
        Ok(None)
    }
    async fn sent(&self, _: &Address, deal: &str, purpose: MessagePurpose) -> Result<Option<Sent>, FakeError> {
        self.answers()?;
        if self.unreadable.get() == Some(purpose) {
            return Err(FakeError::ChainAway);
        }
        Ok(self
            .outbox
            .borrow()
            .get(&purpose.key(deal))
            .map(|(_, _, known)| self.tell(known)))
    }
    async fn settle(&self, _: &Address, deal: &str, purpose: MessagePurpose) -> Result<(), FakeError> {
        self.outbox.borrow_mut().remove(&purpose.key(deal));
        Ok(())
    }
}

/// The edges of one deal in memory.
pub struct FakeHost {
    pub chain: FakeChain,
    pub order: RefCell<Order>,
    pub file_is_same: Cell<bool>,
    pub disk_full: Cell<bool>,
    /// What the miner says of deals that it knows; `None` while it is away.
    pub miner: Cell<Option<DealState>>,
    /// What it proves a complete deal with.
    pub proof: RefCell<Option<ProofInfo>>,
    /// The host key that the miner answers under.
    pub peer: RefCell<String>,
    /// Whose key signs its answers.
    pub worker: Cell<u8>,
    pub known: RefCell<Vec<Cid>>,
    /// Protocols that it was asked by.
    pub asked: RefCell<Vec<&'static str>>,
    pub saved: RefCell<Option<DealRecord<()>>>,
    pub offered: Cell<bool>,
    pub dropped: Cell<bool>,
    /// Whether the miner speaks the protocol of watches.
    pub watches: Cell<bool>,
    /// What the miner says to a request for a quote; `None`: it does not speak the protocol.
    pub quote: RefCell<Option<Result<(), crate::deal::quote::Refusal>>>,
    /// Whether the miner closes a channel when it is asked to; `None`: it does not speak the protocol.
    pub closes: Cell<Option<bool>>,
    /// Whether the miner lets a watch wait for ever.
    pub silent: Cell<bool>,
    /// What ends the next waits; then it is their time, or a call while the miner is silent.
    pub woken: RefCell<VecDeque<Woken>>,
    /// Whether a block is made while somebody waits.
    pub mines_meanwhile: Cell<bool>,
    /// The chain's height from the next wait on.
    pub height_after_wait: Cell<Option<Epoch>>,
    /// What the user wants from the next wait on.
    pub order_after_wait: RefCell<Option<Order>>,
}

/// 1 is the client's, 2 the owner's, 3 the worker's.
pub fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a small number is a key")
}

/// A deal of 1000 bytes at `price` for `duration` blocks from height 100.
pub fn draft(price: u128, duration: u64) -> Draft {
    let owner = key(2).address();
    Draft {
        data_cid: raw_cid(b"piece"),
        comm_p: Commitment([7; 32]),
        size: 1000,
        payer: key(1).address(),
        miner: Address::actor(&owner, 0),
        owner,
        worker: key(3).address(),
        sector_size: SectorSize::S2KiB,
        price: AttoFil(price),
        duration,
        start: Epoch(100),
    }
}

/// A record of such a deal, just drawn up.
pub fn record(price: u128, duration: u64) -> DealRecord<()> {
    let deal = ClientDeal::new(draft(price, duration));
    DealRecord::new("one".into(), 0, "genesis".into(), "peer".into(), (), deal)
}

/// The deal's miner as the chain has it.
pub fn miner_view() -> MinerView {
    MinerView {
        address: draft(0, 1).miner,
        owner: key(2).address(),
        worker: key(3).address(),
        peer_id: "peer".into(),
        sector_size: 2048,
        usable_bytes: 2032,
        power: 0,
        balance: AttoFil::ZERO,
        collateral: AttoFil::ZERO,
        deposits: AttoFil::ZERO,
        free_balance: AttoFil::ZERO,
        asks: Vec::new(),
        proving_window: None,
        sectors: Vec::new(),
        pre_commits: Vec::new(),
        done: Vec::new(),
        last_used_sector_id: 0,
        last_post: None,
        posts: 0,
        post_state: Default::default(),
        proof_deadline: None,
        late_fee: AttoFil::ZERO,
        slashed_at: None,
    }
}

impl Default for FakeHost {
    /// A miner that accepts, a file that is there, a chain at height 100.
    fn default() -> Self {
        let chain = FakeChain::default();
        chain.height.set(100);
        chain.miners.borrow_mut().insert(draft(0, 1).miner, miner_view());
        Self {
            chain,
            order: RefCell::new(Order::GoOn),
            file_is_same: Cell::new(true),
            disk_full: Cell::new(false),
            miner: Cell::new(Some(DealState::Accepted)),
            proof: RefCell::default(),
            peer: RefCell::new("peer".into()),
            worker: Cell::new(3),
            known: RefCell::default(),
            asked: RefCell::default(),
            saved: RefCell::default(),
            offered: Cell::new(false),
            dropped: Cell::new(false),
            watches: Cell::new(false),
            quote: RefCell::new(None),
            closes: Cell::new(None),
            silent: Cell::new(false),
            woken: RefCell::default(),
            mines_meanwhile: Cell::new(false),
            height_after_wait: Cell::new(None),
            order_after_wait: RefCell::new(None),
        }
    }
}

impl FakeHost {
    fn respond(&self, deal: Cid) -> Result<SignedResponse, FakeError> {
        let says = self.miner.get().ok_or(FakeError::MinerAway)?;
        let state = match self.known.borrow().contains(&deal) {
            true => says,
            false => DealState::Unknown,
        };
        let response = Response {
            state,
            message: "why".into(),
            proposal_cid: deal,
            proof_info: self.proof.borrow().clone().filter(|_| state == DealState::Complete),
        };
        Ok(response.sign(&key(self.worker.get())))
    }

    fn quoted<A: Cbor>(&self, request: &[u8]) -> Result<A, FakeError> {
        self.miner.get().ok_or(FakeError::MinerAway)?;
        let verdict = self.quote.borrow().clone().ok_or(FakeError::NoProtocol)?;
        let request: QuoteRequest = decode(request).expect("a request");
        let quote = Quote::of(&request, Epoch(self.chain.height.get()), verdict);
        Ok(decode(&encode(&quote.sign(&key(self.worker.get())))).expect("an answer"))
    }

    fn closed<A: Cbor>(&self, request: &[u8]) -> Result<A, FakeError> {
        self.miner.get().ok_or(FakeError::MinerAway)?;
        let closes = self.closes.get().ok_or(FakeError::NoProtocol)?;
        let request: CloseRequest = decode(request).expect("a request");
        if closes {
            self.chain.closing.borrow_mut().push(request.voucher.channel.0);
        }
        let message = String::new();
        Ok(decode(&encode(&CloseResponse { closes, message })).expect("an answer"))
    }

    /// Makes the block that a message waits for.
    pub fn mine(&self) {
        self.chain.mine(&key(1).address());
    }
}

impl ClientHost for FakeHost {
    type Error = FakeError;
    type File = ();
    type Chain = FakeChain;

    fn chain(&self) -> &FakeChain {
        &self.chain
    }
    fn key(&self) -> SecretKey {
        key(1)
    }
    fn now_ms(&self) -> u64 {
        self.chain.height.get() * 1000
    }
    fn order(&self) -> Order {
        self.order.borrow().clone()
    }
    async fn save(&self, record: &DealRecord<()>, _: Event) -> Result<(), FakeError> {
        if self.disk_full.get() {
            return Err(FakeError::DiskFull);
        }
        *self.saved.borrow_mut() = Some(record.clone());
        Ok(())
    }
    async fn ask<Q: Cbor, A: Cbor>(
        &self,
        record: &DealRecord<()>,
        protocol: &'static str,
        question: &Q,
    ) -> Result<A, FakeError> {
        if *self.peer.borrow() != record.peer {
            return Err(FakeError::MinerAway);
        }
        let speaks = match protocol {
            protocol::QUOTE => self.quote.borrow().is_some(),
            protocol::CLOSE_CHANNEL => self.closes.get().is_some(),
            _ => true,
        };
        if !speaks {
            return Err(FakeError::NoProtocol);
        }
        self.asked.borrow_mut().push(protocol);
        if protocol == protocol::WATCH_DEAL {
            match (self.watches.get(), self.silent.get()) {
                (false, _) => return Err(FakeError::NoProtocol),
                (true, true) => pending::<()>().await,
                (true, false) => {}
            }
        }
        let bytes = encode(question);
        match protocol {
            protocol::QUOTE => return self.quoted(&bytes),
            protocol::CLOSE_CHANNEL => return self.closed(&bytes),
            _ => {}
        }
        let deal = match protocol {
            protocol::MAKE_DEAL => {
                let proposal: SignedProposal = decode(&bytes).expect("a proposal");
                self.known.borrow_mut().push(proposal.cid());
                proposal.cid()
            }
            protocol::WATCH_DEAL => decode::<crate::deal::WatchRequest>(&bytes).expect("a watch").cid,
            _ => decode::<crate::deal::QueryRequest>(&bytes).expect("a query").cid,
        };
        Ok(decode(&encode(&self.respond(deal)?)).expect("an answer"))
    }
    fn blame(error: &FakeError) -> Blame {
        let reason = format!("{error}");
        match error {
            FakeError::ChainAway => Blame::Chain { reason },
            FakeError::MinerAway => Blame::Miner { reason },
            FakeError::NoProtocol => Blame::Protocol { reason },
            _ => Blame::Other,
        }
    }
    async fn wait(&self, _: u64, _: Awaited) -> Woken {
        if let Some(height) = self.height_after_wait.take() {
            self.chain.height.set(height.0);
        }
        if let Some(order) = self.order_after_wait.take() {
            self.order.replace(order);
        }
        if self.mines_meanwhile.get() {
            self.mine();
        }
        let rest = match self.silent.get() {
            true => Woken::Called,
            false => Woken::Time,
        };
        self.woken.borrow_mut().pop_front().unwrap_or(rest)
    }
    async fn file_is_same(&self, _: &mut DealRecord<()>) -> Result<bool, FakeError> {
        Ok(self.file_is_same.get())
    }
    fn served(&self) -> u64 {
        0
    }
    fn offer(&self, _: &DealRecord<()>) {
        self.offered.set(true);
    }
    async fn file_is_not_needed(&self, _: &DealRecord<()>) -> Result<(), FakeError> {
        self.dropped.set(true);
        Ok(())
    }
}

/// The outcome of work that never waits, as that of fakes.
pub fn now<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("a fake never waits"),
    }
}
