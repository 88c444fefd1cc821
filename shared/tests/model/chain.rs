//! The chain of the model: the real actors, a pool that a lossy network fills, and blocks.

use super::key;
use super::random::Random;
use cid::Cid;
use shared::chain::view::MinerView;
use shared::chain::{
    apply, calls, end_block, Address, ApplyError, AttoFil, Call, ChainState, ChannelId, Context, Epoch, Genesis,
    Invalid, Policy, Receipt, SecretKey, SignedMessage,
};
use shared::payment::ChannelFacts;
use shared::ports::verifier::FakeVerifier;
use std::collections::BTreeMap;

/// Money of everybody at the start.
const START: AttoFil = AttoFil(1_000_000_000_000_000_000_000);

#[derive(Debug)]
pub struct Chain {
    pub state: ChainState,
    height: u64,
    pool: Vec<SignedMessage>,
    pub receipts: BTreeMap<Cid, (Epoch, Receipt)>,
    gas: BTreeMap<Address, u128>,
}

/// Every block's ticket is its height.
pub fn beacon(height: Epoch) -> Option<Vec<u8>> {
    Some(height.0.to_be_bytes().to_vec())
}

impl Chain {
    pub fn new() -> Self {
        let policy = Policy {
            cancel_delay: 4000,
            ..Policy::default()
        };
        let genesis = Genesis {
            network: "model".into(),
            policy,
            supply: AttoFil(START.0 * 10),
            allocations: [1, 2, 3].map(|byte| (key(byte).address(), START)).into(),
        };
        Self {
            state: ChainState::genesis(genesis).expect("a working policy"),
            height: 100,
            pool: Vec::new(),
            receipts: BTreeMap::new(),
            gas: BTreeMap::new(),
        }
    }

    pub fn height(&self) -> u64 {
        self.height
    }

    pub fn now(&self) -> Epoch {
        Epoch(self.height)
    }

    pub fn channel(&self, id: u64) -> Option<ChannelFacts> {
        let view = shared::chain::view::ChannelView::of(&self.state, &key(1).address(), ChannelId(id))?;
        Some(ChannelFacts::from(&view))
    }

    pub fn miner(&self, address: &Address) -> MinerView {
        MinerView::of(&self.state, address).expect("registered")
    }

    /// Money that an account has less than at the start.
    pub fn lost_by(&self, account: &SecretKey) -> AttoFil {
        let has = self.state.balance(&account.address());
        START.checked_sub(has).unwrap_or_default()
    }

    /// What an account has spent on gas.
    pub fn gas_of(&self, account: &SecretKey) -> AttoFil {
        AttoFil(self.gas.get(&account.address()).copied().unwrap_or_default())
    }

    fn submit(&mut self, message: SignedMessage) {
        self.pool.push(message);
    }

    /// Applies one message at once: for the world's beginning.
    pub fn apply_now(&mut self, from: &SecretKey, call: Call) -> Receipt {
        let nonce = self.state.nonce(&from.address());
        self.submit(call.message(&from.address(), nonce).sign(from));
        self.block(1);
        let (_, receipt) = self.receipts.values().last().expect("applied").clone();
        receipt
    }

    /// The next block with what is in the pool, some blocks later when there is nothing.
    pub fn mine(&mut self, random: &mut Random) {
        let quiet = self.pool.is_empty();
        self.block(if quiet { 1 + random.below(30) } else { 1 });
    }

    fn block(&mut self, later: u64) {
        self.height += later;
        let mut pool = std::mem::take(&mut self.pool);
        pool.sort_by_key(|message| message.message().nonce);
        for message in pool {
            let context = Context {
                height: Epoch(self.height),
                network: &Cid::default(),
                beacon: &beacon,
                verifier: &FakeVerifier::default(),
            };
            match apply(&mut self.state, &message, &context) {
                Ok(receipt) => {
                    *self.gas.entry(message.message().from.clone()).or_default() += receipt.gas_cost.0;
                    self.receipts.insert(message.cid(), (Epoch(self.height), receipt));
                }
                // One that comes before its turn is sent again by its owner; one that came before is on the chain.
                Err(ApplyError::Invalid(Invalid::NonceTooHigh { .. } | Invalid::NonceUsed { .. })) => {}
                Err(other) => panic!("nobody sends such messages: {other}"),
            }
            self.check();
        }
        end_block(&mut self.state, Epoch(self.height));
        self.check();
    }

    fn check(&self) {
        self.state.check_invariants().expect("the chain's invariants hold");
    }
}

/// An account's messages by purpose, each made once, durable before it leaves.
#[derive(Debug)]
pub struct Outbox {
    key: SecretKey,
    /// Percent of messages that are lost on their way.
    loss: u64,
    kept: BTreeMap<String, SignedMessage>,
    next: u64,
}

impl Outbox {
    pub fn new(key: SecretKey, next: u64, loss: u64) -> Self {
        let kept = BTreeMap::new();
        Self { key, loss, kept, next }
    }

    /// Whether a message was made for a purpose.
    pub fn has(&self, purpose: &str) -> bool {
        self.kept.contains_key(purpose)
    }

    /// Frees a purpose whose message's outcome is known.
    pub fn forget(&mut self, purpose: &str) {
        self.kept.remove(purpose);
    }

    /// The outcome of the message for `purpose`, which is made from `call` the first time; `None` while it is under way.
    pub fn call(&mut self, chain: &Chain, purpose: &str, call: impl FnOnce() -> Call) -> Option<(Cid, Epoch, Receipt)> {
        if !self.kept.contains_key(purpose) {
            let message = call().message(&self.key.address(), self.next).sign(&self.key);
            self.next += 1;
            self.kept.insert(purpose.to_owned(), message);
        }
        let cid = self.kept[purpose].cid();
        let (height, receipt) = chain.receipts.get(&cid)?.clone();
        Some((cid, height, receipt))
    }

    /// Sends what is in no block yet; some of it is lost, some comes twice.
    pub fn tend(&self, chain: &mut Chain, random: &mut Random) {
        let used = chain.state.nonce(&self.key.address());
        let waiting: Vec<SignedMessage> = self
            .kept
            .values()
            .filter(|message| message.message().nonce >= used)
            .cloned()
            .collect();
        for message in waiting {
            if !random.chance(self.loss) {
                chain.submit(message.clone());
            }
            if random.chance(10) {
                chain.submit(message);
            }
        }
    }
}

/// The registered miner's address.
pub fn register(chain: &mut Chain, owner: &SecretKey) -> Address {
    let collateral = AttoFil(START.0 / 10);
    let call = calls::create_storage_miner(shared::piece::SectorSize::S2KiB, b"peer", collateral);
    calls::miner_address(&chain.apply_now(owner, call)).expect("registered")
}
