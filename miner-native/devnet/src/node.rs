//! The development chain itself: takes messages in, makes blocks of them, answers questions about the state.
//!
//! Everything here blocks (disk, proofs): [`super`] and [`super::rpc`] call it on threads made for that. Readers see the
//! state of the last block as a whole, also while the next one is being made ([`producing`]).

mod producing;
mod proving;

use super::block::Block;
use super::error::DevnetError;
use super::faucet::{self, Faucet, FaucetError, Grant};
use super::genesis::{Authority, Genesis};
use super::pool::{Class, Pool, PoolError, Waiting};
use super::store::{
    state_bytes, state_digest, Batch, Outcome, Resumed, Settled, Store, MESSAGES_KEPT, MESSAGES_KEPT_BLOCKS,
};
use cid::Cid;
use shared::chain::light::StateTree;
use shared::chain::peers::{Directory, RecordError};
use shared::chain::verifier::{Verifier, VerifierFault};
use shared::chain::view::HeadView;
use shared::chain::{calls, check_unsigned, is_urgent, preview, validate};
use shared::chain::{Address, ApplyError, AttoFil, Call, ChainState};
use shared::chain::{Context, Epoch, Invalid, Message, Preview, SecretKey, SignedMessage};
use shared::wire;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
#[cfg(feature = "server")]
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Longest message that is taken in: its parameters' bound and room for the rest.
pub const MAX_MESSAGE: usize = shared::chain::apply::MAX_PARAM_BYTES + 1024;

/// Why the chain does not do what it was asked. The asker's fault, but for [`Refusal::Host`].
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("a message has at most {MAX_MESSAGE} bytes, not {0}")]
    TooLong(usize),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error(transparent)]
    Faucet(#[from] FaucetError),
    #[error(transparent)]
    Peer(#[from] RecordError),
    #[error("{0:?} is no peer id")]
    PeerId(String),
    #[error("there is no block at height {asked} yet: the head is at {head}")]
    Future { asked: Epoch, head: Epoch },
    #[error("the state at height {asked} is no longer kept: ask for {oldest} to {head}")]
    Past { asked: Epoch, oldest: Epoch, head: Epoch },
    #[error("block {asked} is no longer kept: it is older than {MESSAGES_KEPT_BLOCKS} blocks or {MESSAGES_KEPT} messages, or recorded none")]
    BlockForgotten { asked: Epoch },
    #[error("block {asked} was made before blocks had signed headers: nothing that is shown of it can be proven")]
    Unsigned { asked: Epoch },
    #[error("message {message} is in block {height}, so long ago that its contents and receipt are no longer kept")]
    Forgotten { message: Cid, height: Epoch },
    #[error("the span from {from} to {to} ends before it begins")]
    Span { from: Epoch, to: Epoch },
    #[error("the call cannot be evaluated now: {0}")]
    Unjudged(VerifierFault),
    #[error("{0}")]
    Query(#[from] shared::chain::Revert),
    #[error(transparent)]
    Host(#[from] DevnetError),
}

/// A message that the chain has now.
pub(super) struct Pushed {
    pub cid: Cid,
    /// Whether it had it before.
    pub is_known: bool,
}

/// The chain after a block.
pub(super) struct Snapshot {
    pub state: ChainState,
    /// Over that state; what proofs of it are made from.
    pub tree: Arc<StateTree>,
    pub block: Block,
    pub cid: Cid,
    /// The miners' peer ids, gathered when somebody asks for the first time: anybody may ask, again and again.
    miners: OnceLock<BTreeSet<Vec<u8>>>,
}

impl Snapshot {
    fn new(state: ChainState, tree: Arc<StateTree>, block: Block) -> Arc<Self> {
        let (cid, miners) = (block.cid(), OnceLock::new());
        Arc::new(Self {
            state,
            tree,
            block,
            cid,
            miners,
        })
    }

    /// The peer ids of the chain's miners.
    pub fn miners(&self) -> &BTreeSet<Vec<u8>> {
        let gather = || self.state.miners.values().map(|miner| miner.peer_id.clone()).collect();
        self.miners.get_or_init(gather)
    }

    /// Its newest block, as it is shown.
    pub fn head(&self) -> HeadView {
        HeadView {
            height: self.block.height,
            block: self.cid.to_string(),
            time_ms: self.block.time_ms,
        }
    }
}

pub(super) struct Node {
    pub store: Store,
    authority: Authority,
    pub genesis: Genesis,
    pub genesis_cid: Cid,
    verifier: Verifier,
    /// Replaced as a whole, with the pool's lock held.
    current: RwLock<Arc<Snapshot>>,
    pub(super) pool: Mutex<Pool>,
    faucet: Mutex<Faucet>,
    /// Kept in memory: miners announce themselves again and again.
    pub peers: Mutex<Directory>,
    /// One block is made at a time.
    making: Mutex<()>,
    /// Past states of which something was proven lately.
    past: Mutex<proving::Past>,
    /// Tells the newest block to those who wait for it.
    heads: watch::Sender<HeadView>,
}

/// A panic while a lock was held leaves data that is still whole: every change is one assignment or one call.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Begins a chain.
    pub fn begin(
        store: Store,
        authority: Authority,
        genesis: Genesis,
        verifier: Verifier,
    ) -> Result<Self, DevnetError> {
        let state = genesis.state()?;
        let bytes = state_bytes(&state);
        let head = genesis.block(&authority, state_digest(&bytes), &StateTree::of(&state));
        store.begin(&genesis, &head, &bytes)?;
        Self::resume(
            store,
            authority,
            Resumed {
                genesis,
                head,
                state,
                waiting: Vec::new(),
            },
            verifier,
        )
    }

    /// Goes on with a chain.
    pub fn resume(
        store: Store,
        authority: Authority,
        resumed: Resumed,
        verifier: Verifier,
    ) -> Result<Self, DevnetError> {
        let Resumed {
            genesis,
            head,
            state,
            waiting,
        } = resumed;
        let mut pool = Pool::default();
        for (since, message) in waiting {
            let size = wire::encode(&message).len();
            let class = class_of(&state, &genesis.faucet, message.message());
            pool.insert(Waiting::new(message, since, size, class));
        }
        let tree = Arc::new(StateTree::of(&state));
        let current = Snapshot::new(state, tree, head);
        let faucet = Mutex::new(Faucet::of(store.grants()?));
        Ok(Self {
            store,
            authority,
            genesis_cid: genesis.cid(),
            genesis,
            verifier,
            heads: watch::Sender::new(current.head()),
            current: RwLock::new(current),
            pool: Mutex::new(pool),
            faucet,
            peers: Mutex::default(),
            making: Mutex::default(),
            past: Mutex::default(),
        })
    }

    /// The chain after its last block.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest block, told with every new one.
    #[cfg(feature = "server")]
    pub fn heads(&self) -> watch::Receiver<HeadView> {
        self.heads.subscribe()
    }

    /// The ticket of a block of this chain, up to `height`.
    fn ticket(&self, asked: Epoch, height: Epoch) -> Option<Vec<u8>> {
        (asked <= height).then(|| self.authority.ticket(&self.genesis_cid, asked).0.to_vec())
    }

    /// The ticket of a block that was made.
    pub fn beacon(&self, asked: Epoch) -> Result<Vec<u8>, Refusal> {
        let head = self.current().block.height;
        self.ticket(asked, head).ok_or(Refusal::Future { asked, head })
    }

    /// Takes a message in; it is on the disk when this returns. A message that is known already is as good.
    pub fn push(&self, bytes_len: usize, message: SignedMessage) -> Result<Pushed, Refusal> {
        self.push_with(bytes_len, message, Batch::default())
    }

    /// [`Node::push`], with what else is to be on the disk when the message is.
    fn push_with(&self, bytes_len: usize, message: SignedMessage, beside: Batch) -> Result<Pushed, Refusal> {
        if bytes_len > MAX_MESSAGE {
            return Err(Refusal::TooLong(bytes_len));
        }
        // The signature takes the longest to check: without the lock that blocks and other messages wait for.
        let checked = validate(&self.current().state, &message, &self.genesis_cid);
        if let Err(forged @ Invalid::Signature { .. }) = checked {
            return Err(forged.into());
        }
        let cid = message.cid();
        let mut pool = lock(&self.pool);
        if self.is_known(&pool, &message, &cid)? {
            return Ok(Pushed { cid, is_known: true });
        }
        checked?;
        // A block may have been made since.
        let current = self.current();
        check_unsigned(&current.state, &message)?;
        let class = class_of(&current.state, &self.genesis.faucet, message.message());
        let admission = pool.admits(&current.state, &message, bytes_len, class)?;
        let height = current.block.height;
        let displaced: Vec<Settled> = admission.displaced.iter().map(|out| dropped(out, height)).collect();
        self.store.add_waiting(&cid, &message, height, &displaced, beside)?;
        for (waiting, _) in &admission.displaced {
            pool.remove(waiting);
        }
        pool.insert(Waiting::new(message, height, bytes_len, admission.class));
        Ok(Pushed { cid, is_known: false })
    }

    /// Whether a message waits, or is in a block.
    fn is_known(&self, pool: &Pool, message: &SignedMessage, cid: &Cid) -> Result<bool, DevnetError> {
        let outcome = self.store.outcome(cid)?;
        let mined = outcome.is_some_and(|outcome| outcome.mined_at().is_some());
        Ok(mined || pool.contains(message, cid) || self.store.forgotten_at(cid)?.is_some())
    }

    /// Sends money to a new account, asked for by `from`.
    pub fn grant(&self, address: &Address, from: IpAddr) -> Result<(Cid, AttoFil), Refusal> {
        if !address.can_sign() {
            return Err(FaucetError::NotAnAccount {
                address: address.clone(),
            }
            .into());
        }
        let mut faucet = lock(&self.faucet);
        let (height, time_ms) = {
            let block = &self.current().block;
            (block.height, block.time_ms)
        };
        if let Some(message) = faucet.repeated(address, height) {
            return Ok((message, faucet::amount()));
        }
        faucet.admits(address, from, height, time_ms)?;
        let key: &SecretKey = &self.authority.faucet_key;
        let nonce = self.next_nonce(&key.address());
        let message = calls::transfer(address, faucet::amount())
            .message(&key.address(), nonce)
            .sign(key);
        let grant = Grant {
            height,
            time_ms,
            message: message.cid(),
            from,
        };
        let beside = Store::grant_record(address, &grant, &faucet.forget(height, time_ms));
        let cid = self.push_with(wire::encode(&message).len(), message, beside)?.cid;
        faucet.record(address.clone(), grant);
        Ok((cid, faucet::amount()))
    }

    /// What became of a message; `None` while it waits, and when the chain does not know it.
    pub fn outcome(&self, cid: &Cid) -> Result<Option<Outcome>, Refusal> {
        let outcome = self.store.outcome(cid)?;
        if outcome.is_none() {
            self.check_kept(cid)?;
        }
        // A block is on the disk a moment before it is shown: whoever has a receipt must find the state that it tells of.
        let shown = self.current().block.height;
        Ok(outcome.filter(|outcome| match outcome {
            Outcome::Mined { height, .. } | Outcome::Dropped { height, .. } => *height <= shown,
        }))
    }

    /// A message that waits, is in a block, or was dropped lately.
    pub fn message(&self, cid: &Cid) -> Result<Option<SignedMessage>, Refusal> {
        let message = self.store.message(cid)?;
        if message.is_none() {
            self.check_kept(cid)?;
        }
        Ok(message)
    }

    fn check_kept(&self, cid: &Cid) -> Result<(), Refusal> {
        match self.store.forgotten_at(cid)? {
            Some(height) => Err(Refusal::Forgotten { message: *cid, height }),
            None => Ok(()),
        }
    }

    /// A block as it was recorded, unless it was pruned.
    #[cfg(feature = "server")]
    pub fn block(&self, height: Epoch) -> Result<Option<Block>, DevnetError> {
        self.store.block(height)
    }

    /// A block that must be there.
    pub fn kept_block(&self, asked: Epoch) -> Result<Block, Refusal> {
        let head = self.current().block.height;
        if asked > head {
            return Err(Refusal::Future { asked, head });
        }
        self.store.block(asked)?.ok_or(Refusal::BlockForgotten { asked })
    }

    /// The blocks of a span that are kept, oldest first; at most `most`.
    pub fn blocks(&self, from: Epoch, to: Epoch, most: usize) -> Result<Vec<Block>, Refusal> {
        if to < from {
            return Err(Refusal::Span { from, to });
        }
        Ok(self.store.blocks(from, to, most)?)
    }

    /// Messages in blocks from or to an address; see [`Store::messages_of`].
    pub fn messages_of(&self, address: &Address, before: Option<Epoch>, most: usize) -> Result<Vec<Cid>, DevnetError> {
        self.store.messages_of(address, before, most)
    }

    /// The number of an account's next message, after those that wait.
    pub fn next_nonce(&self, address: &Address) -> u64 {
        // The pool first: a block replaces the state with the pool's lock held.
        let pool = lock(&self.pool);
        pool.next_nonce(&self.current().state, address)
    }

    /// Runs a method against the state after the block at `height`, the head's when `None`, without changing anything.
    pub fn query(
        &self,
        height: Option<Epoch>,
        from: Option<&Address>,
        to: &Address,
        method: &str,
        params: Vec<Vec<u8>>,
    ) -> Result<Vec<Vec<u8>>, Refusal> {
        let current = self.current();
        let head = current.block.height;
        let height = height.unwrap_or(head);
        let past = match height.cmp(&head) {
            std::cmp::Ordering::Greater => return Err(Refusal::Future { asked: height, head }),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Less => Some(self.past_state(height, head)?),
        };
        let beacon = |asked| self.ticket(asked, height);
        let ctx = Context {
            height,
            network: &self.genesis_cid,
            beacon: &beacon,
            verifier: &*self.verifier,
        };
        let state = past.as_ref().unwrap_or(&current.state);
        Ok(shared::chain::query(state, &ctx, from, to, method, params)?)
    }

    fn past_state(&self, asked: Epoch, head: Epoch) -> Result<ChainState, Refusal> {
        let oldest = self.store.oldest_state(head);
        let past = Refusal::Past { asked, oldest, head };
        if asked < oldest {
            return Err(past);
        }
        self.store.state_at(asked)?.ok_or(past)
    }

    /// What a call would do and cost if it were sent now.
    pub fn preview(&self, from: &Address, call: Call) -> Result<Preview, Refusal> {
        let current = self.current();
        let height = current.block.height;
        let beacon = |asked| self.ticket(asked, height);
        let ctx = Context {
            height,
            network: &self.genesis_cid,
            beacon: &beacon,
            verifier: &*self.verifier,
        };
        preview(&current.state, &ctx, from, call).map_err(|error| match error {
            ApplyError::Invalid(invalid) => invalid.into(),
            ApplyError::Fault(fault) => Refusal::Unjudged(fault),
        })
    }
}

/// Which room of the pool a message asks for: what the rules call urgent, and the grants of the chain's own faucet, which has
/// limits of its own.
fn class_of(state: &ChainState, faucet: &Address, message: &Message) -> Class {
    match message.from == *faucet || is_urgent(state, message) {
        true => Class::Urgent,
        false => Class::Ordinary,
    }
}

fn dropped((waiting, reason): &(Waiting, String), height: Epoch) -> Settled {
    let reason = reason.clone();
    waiting.settled(Outcome::Dropped { height, reason })
}

impl Waiting {
    fn new(message: SignedMessage, since: Epoch, size: usize, class: Class) -> Self {
        Self {
            cid: message.cid(),
            message: Arc::new(message),
            since,
            size,
            class,
        }
    }

    fn settled(&self, outcome: Outcome) -> Settled {
        Settled {
            cid: self.cid,
            message: self.message.clone(),
            outcome,
        }
    }
}

/// Milliseconds since 1970; 0 when the machine's clock is before that.
#[cfg(feature = "server")]
pub(super) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
