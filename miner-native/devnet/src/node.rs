//! The development chain itself: takes messages in, makes blocks of them, answers questions about the state.
//!
//! Everything here blocks (disk, proofs): [`super`] and [`super::rpc`] call it on threads made for that. Readers see the
//! state of the last block as a whole, also while the next one is being made.

use super::block::Block;
use super::error::DevnetError;
use super::faucet::{self, Faucet, FaucetError, Grant};
use super::genesis::{Authority, Genesis};
use super::peers::{PeerError, Peers};
use super::pool::{Class, Pool, PoolError, Waiting};
use super::store::{
    state_bytes, state_digest, Batch, Commit, Outcome, Resumed, Settled, Store, MESSAGES_KEPT, MESSAGES_KEPT_BLOCKS,
};
use cid::Cid;
use shared::chain::verifier::{Verifier, VerifierFault};
use shared::chain::view::HeadView;
use shared::chain::{apply, calls, check_unsigned, end_block, is_urgent, preview, validate};
use shared::chain::{Address, ApplyError, AttoFil, Call, ChainState};
use shared::chain::{Context, Epoch, Invalid, Message, Preview, Receipt, SecretKey, SignedMessage};
use shared::wire;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Most messages of a block: with proofs in all of them, it still takes seconds to make, not minutes.
pub const MAX_BLOCK_MESSAGES: usize = 256;
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
    Peer(#[from] PeerError),
    #[error("there is no block at height {asked} yet: the head is at {head}")]
    Future { asked: Epoch, head: Epoch },
    #[error("the state at height {asked} is no longer kept: ask for {oldest} to {head}")]
    Past { asked: Epoch, oldest: Epoch, head: Epoch },
    #[error("block {asked} is no longer kept: it is older than {MESSAGES_KEPT_BLOCKS} blocks or {MESSAGES_KEPT} messages, or recorded none")]
    BlockForgotten { asked: Epoch },
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
    pub block: Block,
    pub cid: Cid,
}

impl Snapshot {
    fn new(state: ChainState, block: Block) -> Arc<Self> {
        let cid = block.cid();
        Arc::new(Self { state, block, cid })
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
    pub peers: Mutex<Peers>,
    /// One block is made at a time.
    making: Mutex<()>,
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
        let head = genesis.block(&authority, state_digest(&bytes));
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
        let current = Snapshot::new(state, head);
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
        })
    }

    /// The chain after its last block.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest block, told with every new one.
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
        let cid = message.cid();
        let known = Pushed { cid, is_known: true };
        if self.is_known(&lock(&self.pool), &message, &cid)? {
            return Ok(known);
        }
        // The signature takes the longest to check: without the lock that blocks and other messages wait for.
        validate(&self.current().state, &message)?;
        let mut pool = lock(&self.pool);
        // A block may have been made since, or the same message come twice.
        if self.is_known(&pool, &message, &cid)? {
            return Ok(known);
        }
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
        if address.protocol() != shared::chain::Protocol::Secp256k1 {
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
            beacon: &beacon,
            verifier: &*self.verifier,
        };
        preview(&current.state, &ctx, from, call).map_err(|error| match error {
            ApplyError::Invalid(invalid) => invalid.into(),
            ApplyError::Fault(fault) => Refusal::Unjudged(fault),
        })
    }

    /// Makes the next block of the messages whose turn it is.
    pub fn produce(&self) -> Result<Arc<Snapshot>, DevnetError> {
        let _one_at_a_time = lock(&self.making);
        let parent = self.current();
        let height = Epoch(
            parent
                .block
                .height
                .0
                .checked_add(1)
                .ok_or(DevnetError::HeightExhausted)?,
        );
        let ready = lock(&self.pool).ready(&parent.state, MAX_BLOCK_MESSAGES);
        let mut state = parent.state.clone();
        let round = self.apply_all(&mut state, ready, height);
        let ended = end_block(&mut state, height);
        let bytes = (!round.mined.is_empty() || ended.changed()).then(|| state_bytes(&state));
        if bytes.is_some() {
            // A defect of the actors. A chain that stops would help nobody to find it.
            if let Err(violation) = state.check_invariants() {
                tracing::error!(%height, %violation, "a rule of the whole chain does not hold");
            }
        }
        let block = Block {
            height,
            parent: parent.cid,
            ticket: self.authority.ticket(&self.genesis_cid, height),
            messages: round.mined.iter().map(|(waiting, _)| waiting.cid).collect(),
            state: bytes.as_deref().map_or(parent.block.state, state_digest),
            time_ms: now_ms().max(parent.block.time_ms),
        };
        self.settle(round, bytes, Snapshot::new(state, block))
    }

    /// Applies messages in turn; one that does not fit or cannot be judged stays in the pool.
    fn apply_all(&self, state: &mut ChainState, ready: Vec<Waiting>, height: Epoch) -> Round {
        let beacon = |asked| self.ticket(asked, height);
        let ctx = Context {
            height,
            beacon: &beacon,
            verifier: &*self.verifier,
        };
        let mut round = Round::default();
        let mut gas = 0u64;
        for waiting in ready {
            let message = waiting.message.message();
            // A message before this one was put off: so is this one.
            if message.nonce != state.nonce(&message.from) {
                continue;
            }
            let after = gas.saturating_add(waiting.message.metered.gas_limit);
            if after > state.policy.block_gas_limit {
                continue;
            }
            match apply(state, &waiting.message, &ctx) {
                Ok(receipt) => {
                    gas = after;
                    round.mined.push((waiting, receipt));
                }
                Err(ApplyError::Invalid(invalid)) => round.dropped.push((waiting, invalid.to_string())),
                Err(ApplyError::Fault(fault)) => {
                    tracing::error!(message = %waiting.cid, %fault, "a message waits until its proof can be verified");
                }
            }
        }
        round
    }

    /// Persists a block and shows it.
    fn settle(
        &self,
        mut round: Round,
        bytes: Option<Vec<u8>>,
        next: Arc<Snapshot>,
    ) -> Result<Arc<Snapshot>, DevnetError> {
        let height = next.block.height;
        let mut pool = lock(&self.pool);
        let settled =
            |cid: Cid| round.mined.iter().any(|(w, _)| w.cid == cid) || round.dropped.iter().any(|(w, _)| w.cid == cid);
        let hopeless: Vec<_> = pool
            .hopeless(&next.state, height)
            .into_iter()
            .filter(|(waiting, _)| !settled(waiting.cid))
            .collect();
        round.dropped.extend(hopeless);
        let mined = round.mined.iter().map(|(waiting, receipt)| {
            let receipt = receipt.clone();
            waiting.settled(Outcome::Mined { height, receipt })
        });
        let dropped = round.dropped.iter().map(|out| dropped(out, height));
        let all: Vec<Settled> = mined.chain(dropped).collect();
        // FAIL: the disk may be full: the block is not shown, and the next attempt makes it anew under the same height.
        self.store.commit(&Commit {
            block: &next.block,
            state: bytes.as_deref(),
            settled: &all,
        })?;
        for (waiting, _) in &round.dropped {
            tracing::info!(message = %waiting.cid, "message dropped");
            pool.remove(waiting);
        }
        for (waiting, _) in &round.mined {
            pool.remove(waiting);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next.clone();
        self.heads.send_replace(next.head());
        Ok(next)
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

/// What came of the messages of a block.
#[derive(Default)]
struct Round {
    mined: Vec<(Waiting, Receipt)>,
    dropped: Vec<(Waiting, String)>,
}

/// Milliseconds since 1970; 0 when the machine's clock is before that.
pub(super) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
