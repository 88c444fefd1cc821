//! A client of the network without any I/O: the engine of browser and terminal, with the network in the same process.

use cid::Cid;
use sealdrop_devnet_module::{Answer, Devnet, DevnetOptions, Faults, Miner, PullError};
use shared::chain::light::{Follower, MessageProof, StateKey, StateProof};
use shared::chain::rpc::{self, code, ErrorObject};
use shared::chain::view::{ChannelView, MinerView};
use shared::chain::{exit, Address, AttoFil, Call, ChannelId, Epoch, Policy, SecretKey, SignedMessage, TypedData};
use shared::client::testing::now;
use shared::client::{
    engine, refunds, Awaited, Blame, ClientHost, DealRecord, EngineError, Event, Following, Order, Woken,
};
use shared::client::{fetching, retrieval, verifying};
use shared::deal::verification::Verification;
use shared::deal::{ClientDeal, Draft, MinerStage, SignedProposal, SignedResponse};
use shared::piece::{PieceDigest, PieceSummary, SectorSize};
use shared::ports::{Chain, CommitMessage, Found, MessagePurpose, ProofSource, Sent, Unproven};
use shared::transfer::{serve, PieceSource, Request, Response, Serve};
use shared::wire::{decode, encode, protocol, Cbor};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

/// Blocks of the deals here: two vouchers.
pub const DURATION: u64 = 2000;

/// What goes wrong on the client's way.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    Engine(EngineError),
    Chain(ErrorObject),
    /// The miner breaks off.
    BrokenOff,
    Retrieval(retrieval::RetrievalError),
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// A network, and a client with one file.
pub struct World {
    net: RefCell<Devnet>,
    /// What the client signs with: the payer's key, or its session key.
    key: SecretKey,
    payer: Address,
    /// The payer's key where it is in a wallet.
    wallet: Option<SecretKey>,
    /// How often the wallet was asked.
    pub prompts: Cell<u32>,
    /// Whether its user says no.
    pub refuses: Cell<bool>,
    kept: RefCell<BTreeMap<String, SignedMessage>>,
    bytes: Vec<u8>,
    piece: PieceSummary,
    /// Other bytes than the piece, for a client that lies.
    pub serves: RefCell<Option<Vec<u8>>>,
    served: Cell<u64>,
}

impl World {
    pub fn new(options: &DevnetOptions) -> Self {
        Self::of(options, None)
    }

    /// A client whose payer's key is in an Ethereum wallet.
    pub fn with_wallet() -> Self {
        let wallet = SecretKey::from_bytes(&[8; 32]).expect("a valid key");
        Self::of(&DevnetOptions::default(), Some(wallet))
    }

    fn of(options: &DevnetOptions, wallet: Option<SecretKey>) -> Self {
        let mut net = Devnet::begin(options, |_| vec![vec![4, 127, 0, 0, 1, 6, 0, 1]]).expect("they are good options");
        let key = SecretKey::from_bytes(&[7; 32]).expect("a valid key");
        let payer = wallet.as_ref().map_or_else(|| key.address(), SecretKey::wallet_address);
        net.chain.grant(&payer).expect("the faucet gives");
        net.mine().expect("a block");
        let bytes: Vec<u8> = (0..1000u32).map(|at| (at * 7 % 251) as u8).collect();
        let mut digest = PieceDigest::new();
        digest.push(&bytes).expect("it is short");
        Self {
            net: RefCell::new(net),
            key,
            payer,
            wallet,
            prompts: Cell::new(0),
            refuses: Cell::new(false),
            kept: RefCell::default(),
            piece: digest.finish().expect("it is not empty"),
            bytes,
            serves: RefCell::default(),
            served: Cell::new(0),
        }
    }

    pub fn usual() -> Self {
        Self::new(&DevnetOptions::default())
    }

    pub fn height(&self) -> u64 {
        self.net.borrow().chain.head().height.0
    }

    pub fn head(&self) -> String {
        self.net.borrow().chain.head().block
    }

    pub fn miner(&self) -> Address {
        self.net.borrow().miner(0).expect("there is one").address.clone()
    }

    pub fn faults(&self, faults: Faults) {
        let miner = self.miner();
        self.net
            .borrow_mut()
            .set_faults(&miner, faults)
            .expect("it can have them");
    }

    pub fn view(&self) -> MinerView {
        self.net.borrow().chain.miner(&self.miner()).expect("registered")
    }

    /// Makes blocks; after each, the rules of the whole chain hold.
    pub fn mine(&self, blocks: u64) {
        for _ in 0..blocks {
            let mut net = self.net.borrow_mut();
            net.mine().expect("a block");
            net.check_invariants().expect("the chain's invariants hold");
        }
    }

    fn genesis(&self) -> String {
        let network = self.net.borrow().chain.call(&rpc::Network {});
        network.expect("it answers").genesis
    }

    pub fn balance(&self) -> AttoFil {
        let actor = self.net.borrow().chain.call(&rpc::Actor {
            address: self.payer.clone(),
        });
        actor.expect("it answers").map_or(AttoFil::ZERO, |actor| actor.balance)
    }

    /// A deal about the file, drawn up with the miner's ask.
    pub fn record(&self) -> DealRecord<()> {
        let view = self.view();
        let draft = Draft {
            data_cid: self.piece.data_cid,
            comm_p: self.piece.comm_p,
            size: self.piece.size,
            payer: self.payer.clone(),
            miner: view.address.clone(),
            owner: view.owner.clone(),
            worker: view.worker.clone(),
            sector_size: SectorSize::from_bytes(view.sector_size).expect("a sector's"),
            price: view.standing_ask(Epoch(self.height())).expect("it has one").price,
            duration: DURATION,
            start: Epoch(self.height()),
        };
        DealRecord::new(
            "one".into(),
            0,
            self.genesis(),
            view.peer_id,
            (),
            ClientDeal::new(draft),
        )
    }

    /// Does the client's next things, moves the piece, makes a block, until `done` or for so many blocks; the last error.
    pub fn run(
        &self,
        record: &mut DealRecord<()>,
        blocks: u64,
        done: impl Fn(&DealRecord<()>) -> bool,
    ) -> Option<Trouble> {
        let (mut following, mut trouble) = (Following::default(), None);
        for _ in 0..blocks {
            for _ in 0..4 {
                if record.is_settled() {
                    let watched = now(engine::watch(record, self)).map(drop);
                    let refunded = now(refunds::take_back(record, self)).map(drop);
                    trouble = watched.and(refunded).err();
                } else {
                    trouble = now(following.turn(record, self)).err();
                }
                self.transfer();
            }
            if done(record) {
                break;
            }
            self.mine(1);
        }
        trouble
    }

    /// Serves what the miner asks for, as the browser does.
    fn transfer(&self) {
        let mut net = self.net.borrow_mut();
        let Devnet { chain, miners, .. } = &mut *net;
        for miner in miners.iter_mut().filter(|miner| !miner.faults.drop_connection) {
            let deals: Vec<Cid> = miner.deals.keys().copied().collect();
            for deal in deals {
                let Some(Ok(pull)) = miner.pull(&deal) else { continue };
                match self.serve(pull) {
                    Ok(bytes) => miner.arrived(chain, &deal, bytes),
                    Err(error) if error.is_final() => miner.unobtainable(&deal),
                    // Another try, as a miner makes one.
                    Err(_) => {}
                }
            }
        }
    }

    fn serve(&self, mut pull: sealdrop_devnet_module::Pull) -> Result<Vec<u8>, PullError> {
        let (nodes, mut asked) = (self.piece.nodes.iter().cloned().collect(), Vec::new());
        let source = PieceSource {
            root: self.piece.data_cid,
            size: self.piece.size,
            nodes: &nodes,
        };
        let serves = self.serves.borrow();
        let bytes = serves.as_ref().unwrap_or(&self.bytes);
        loop {
            asked.extend(pull.requests()?);
            let Some(request) = Request::take(&mut asked)? else {
                panic!("it asks for nothing, and has not all");
            };
            let response = match serve(&request, &source) {
                Serve::Node(node) => Response::Data(node.to_vec()),
                Serve::Range { offset, len } => {
                    self.served.set(self.served.get().max(offset + u64::from(len)));
                    Response::Data(bytes[offset as usize..][..len as usize].to_vec())
                }
                Serve::Refuse(code) => Response::refusal(code),
            };
            if let Some(whole) = pull.take(&response.to_frame()?)? {
                return Ok(whole);
            }
        }
    }

    /// A miner's answer to a request, after a block where it waits for one.
    fn question(&self, protocol: &str, request: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
        let mut net = self.net.borrow_mut();
        let Devnet { chain, miners, .. } = &mut *net;
        let miner: &mut Miner = &mut miners[0];
        let answer = miner.answer(chain, protocol, request, false).expect("it can be read");
        match answer {
            Answer::Messages(messages) => Ok(messages),
            Answer::Nothing => Err(Trouble::BrokenOff),
            Answer::Later => match miner.answer(chain, protocol, request, true) {
                Ok(Answer::Messages(messages)) => Ok(messages),
                other => panic!("it was told not to wait: {other:?}"),
            },
        }
    }

    /// What the miner answers to a proposal, whoever signed it.
    pub fn propose(&self, proposal: &SignedProposal) -> shared::deal::Response {
        let answer = self
            .question(protocol::MAKE_DEAL, &encode(proposal))
            .expect("it answers");
        decode::<SignedResponse>(&answer[0]).expect("canonical").response
    }

    pub fn verify(&self, record: &DealRecord<()>) -> Verification {
        let proof = record.deal.proof().expect("it is complete");
        let mut follower = Follower::default();
        let checking = verifying::Checking {
            genesis: &record.genesis,
            source: self,
            follower: &mut follower,
        };
        now(verifying::verify(&record.deal.draft, proof, self, checking)).expect("the chain answers")
    }

    /// Fetches the file back, checked.
    pub fn fetch(&self) -> Result<Vec<u8>, Trouble> {
        let mut stream = Stream {
            world: self,
            coming: VecDeque::new(),
            kept: Vec::new(),
        };
        now(fetching::fetch(
            self.piece.data_cid,
            Some(self.piece.size),
            self.piece.size,
            &mut stream,
        ))?;
        Ok(stream.kept)
    }

    pub fn file(&self) -> &[u8] {
        &self.bytes
    }

    /// How the miner has the client's only deal.
    pub fn stage(&self) -> MinerStage {
        let net = self.net.borrow();
        let deals = &net.miner(0).expect("there is one").deals;
        deals.values().next_back().expect("there is a deal").stage.clone()
    }

    pub fn channel(&self, record: &DealRecord<()>) -> Option<ChannelView> {
        let id = ChannelId(record.deal.channel()?);
        self.net.borrow().chain.channel(&self.payer, id)
    }

    fn called<M: rpc::Method>(&self, method: &M) -> Result<M::Result, Trouble> {
        self.net.borrow().chain.call(method).map_err(Trouble::Chain)
    }

    fn outcome(&self, key: &str, message: &SignedMessage) -> Sent {
        let id = message.cid();
        match self.net.borrow().chain.receipt(&id) {
            None => Sent::Pending,
            Some((_, Ok(receipt))) if receipt.exit_code == exit::SUCCESS => Sent::Applied { message: id, receipt },
            Some((_, Ok(receipt))) => Sent::Failed {
                exit_code: receipt.exit_code,
                error: receipt.error,
            },
            Some((_, Err(reason))) => {
                self.kept.borrow_mut().remove(key);
                Sent::Dropped { reason }
            }
        }
    }
}

struct Stream<'a> {
    world: &'a World,
    coming: VecDeque<Vec<u8>>,
    kept: Vec<u8>,
}

impl fetching::RetrievalHost for Stream<'_> {
    type Error = Trouble;

    fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }
    async fn send<Q: Cbor>(&mut self, request: &Q) -> Result<(), Trouble> {
        self.coming = self.world.question(protocol::RETRIEVAL, &encode(request))?.into();
        Ok(())
    }
    async fn receive<T: Cbor>(&mut self, _: u64) -> Result<fetching::Received<T>, Trouble> {
        let message = self.coming.pop_front();
        Ok(message.map_or(fetching::Received::End, |message| {
            fetching::Received::Message(decode(&message).expect("canonical"))
        }))
    }
    fn keep(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.kept.extend_from_slice(bytes);
        Ok(())
    }
    fn show(&mut self, _: fetching::Progress) {}
    fn failed(&self, error: retrieval::RetrievalError) -> Trouble {
        Trouble::Retrieval(error)
    }
}

impl Chain for World {
    type Error = Trouble;

    async fn height(&self) -> Result<Epoch, Trouble> {
        Ok(Epoch(self.height()))
    }
    async fn policy(&self) -> Result<Policy, Trouble> {
        Ok(self.net.borrow().chain.policy())
    }
    async fn miner(&self, address: &Address) -> Result<Option<MinerView>, Trouble> {
        Ok(self.net.borrow().chain.miner(address))
    }
    async fn channel(&self, payer: &Address, id: ChannelId) -> Result<Option<ChannelView>, Trouble> {
        Ok(self.net.borrow().chain.channel(payer, id))
    }
    async fn message(&self, id: &Cid) -> Result<Found, Trouble> {
        let view = self.net.borrow().chain.call(&rpc::Message { message: *id });
        let Some(view) = view.map_err(Trouble::Chain)? else {
            return Ok(Found::Unknown);
        };
        let params = view.params.iter().map(|param| hex::decode(param).expect("hexadecimal"));
        Ok(Found::Known(CommitMessage {
            to: view.to,
            method: view.method,
            params: params.collect(),
            applied: view.receipt.map(|receipt| (receipt.height, receipt.exit_code)),
        }))
    }
    async fn ask(&self, call: &Call) -> Result<Result<(), String>, Trouble> {
        let query = rpc::Query {
            to: call.to.clone(),
            from: None,
            method: call.method.clone(),
            params: call.params.clone(),
            height: None,
        };
        match self.net.borrow().chain.call(&query) {
            Ok(_) => Ok(Ok(())),
            Err(error) if error.code == code::QUERY => Ok(Err(error.message)),
            Err(error) => Err(Trouble::Chain(error)),
        }
    }
    async fn send(&self, _: &Address, deal: &str, purpose: MessagePurpose, call: Call) -> Result<Sent, Trouble> {
        let (key, address) = (purpose.key(deal), &self.payer);
        let known = self.kept.borrow().get(&key).cloned();
        let message = match known {
            Some(message) => message,
            None => {
                let net = self.net.borrow();
                let metered = call.message(address, net.chain.next_nonce(address));
                let message = match (&self.wallet, purpose) {
                    (Some(_), MessagePurpose::OpenChannel { .. }) if self.refuses.get() => {
                        let reason = "the user said no".into();
                        return Ok(Sent::Refused { reason });
                    }
                    (Some(wallet), MessagePurpose::OpenChannel { .. }) => {
                        self.prompts.set(self.prompts.get() + 1);
                        let network = self.genesis().parse().expect("a genesis id");
                        let signature = wallet.sign_as_wallet(&TypedData::of(&metered, &network));
                        SignedMessage { metered, signature }
                    }
                    _ => metered.sign(&self.key),
                };
                net.chain.push(message.clone()).map_err(Trouble::Chain)?;
                self.kept.borrow_mut().insert(key.clone(), message.clone());
                message
            }
        };
        Ok(self.outcome(&key, &message))
    }
    async fn sent(&self, _: &Address, deal: &str, purpose: MessagePurpose) -> Result<Option<Sent>, Trouble> {
        let key = purpose.key(deal);
        let known = self.kept.borrow().get(&key).cloned();
        Ok(known.map(|message| self.outcome(&key, &message)))
    }
    async fn settle(&self, _: &Address, deal: &str, purpose: MessagePurpose) -> Result<(), Trouble> {
        self.kept.borrow_mut().remove(&purpose.key(deal));
        Ok(())
    }
}

impl ProofSource for World {
    type Error = Trouble;

    async fn genesis_record(&self) -> Result<Vec<u8>, Trouble> {
        Ok(self.called(&rpc::GenesisRecord {})?.0)
    }
    async fn message_proof(&self, id: &Cid) -> Result<Option<MessageProof>, Trouble> {
        let proof = self.called(&rpc::ProveMessage { message: *id })?;
        Ok(proof.map(|proof| proof.0))
    }
    async fn state_proof(&self, keys: &[StateKey]) -> Result<StateProof, Trouble> {
        let (keys, height) = (keys.to_vec(), None);
        Ok(self.called(&rpc::ProveState { keys, height })?.0)
    }
    fn unproven(error: &Trouble) -> Unproven {
        match error {
            Trouble::Chain(error) => Unproven::Cannot(error.message.clone()),
            _ => Unproven::Away,
        }
    }
}

impl ClientHost for World {
    type Error = Trouble;
    type File = ();
    type Chain = Self;

    fn chain(&self) -> &Self {
        self
    }
    fn key(&self) -> SecretKey {
        self.key.clone()
    }
    fn now_ms(&self) -> u64 {
        self.net.borrow().chain.head().time_ms
    }
    fn order(&self) -> Order {
        Order::GoOn
    }
    async fn save(&self, _: &DealRecord<()>, _: Event) -> Result<(), Trouble> {
        Ok(())
    }
    async fn ask<Q: Cbor, A: Cbor>(
        &self,
        _: &DealRecord<()>,
        protocol: &'static str,
        question: &Q,
    ) -> Result<A, Trouble> {
        let answer = self.question(protocol, &encode(question))?;
        Ok(decode(&answer[0]).expect("canonical"))
    }
    fn blame(error: &Trouble) -> Blame {
        match error {
            Trouble::BrokenOff => Blame::Miner {
                reason: "it breaks off".into(),
            },
            _ => Blame::Other,
        }
    }
    async fn wait(&self, _: u64, _: Awaited) -> Woken {
        Woken::Time
    }
    async fn file_is_same(&self, _: &mut DealRecord<()>) -> Result<bool, Trouble> {
        Ok(true)
    }
    fn served(&self) -> u64 {
        self.served.get()
    }
    fn offer(&self, _: &DealRecord<()>) {}
    async fn file_is_not_needed(&self, _: &DealRecord<()>) -> Result<(), Trouble> {
        Ok(())
    }
}
