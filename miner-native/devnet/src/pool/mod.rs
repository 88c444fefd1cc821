//! Messages that wait for a block: who may wait, who makes room for whom, and whose turn it is.
//!
//! Called by [`super::node`] when a message comes and when a block is made. The pool in memory mirrors the one on disk.
//!
//! Room is shared, so that nobody closes the chain to others for the price of some messages:
//! - A message that can be in the next block counts for more than one that waits for another before it; then the higher gas
//!   price counts for more; then the message of a sender that has fewer waiting. In a full pool the weakest message that
//!   is its sender's last makes room for a stronger one, and for no other ([`Strength`]).
//! - A sender has [`MAX_PER_SENDER`] messages, of which [`MAX_GAPPED`] wait for one before them.
//! - Beside all that there is room for what must not wait: miners' proofs and the faucet's grants ([`Class::Urgent`]).

mod order;

use cid::Cid;
use shared::chain::{Address, AttoFil, ChainState, Epoch, SignedMessage};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most ordinary messages that wait.
pub const MAX_MESSAGES: usize = 4096;
/// Most bytes of all ordinary messages that wait.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Most messages of one sender: as far as a nonce may run ahead.
pub const MAX_PER_SENDER: usize = 256;
/// Most messages of one sender that wait for another before them: what overtakes each other on its way from one program.
pub const MAX_GAPPED: usize = 16;
/// Room for urgent messages, beside the ordinary ones'.
pub const URGENT_MESSAGES: usize = 512;
/// Bytes of urgent messages: of the largest proofs-of-spacetime, 64 KiB, a quarter of their number.
pub const URGENT_BYTES: usize = 8 * 1024 * 1024;
/// Most urgent messages of one sender; further ones are ordinary. A miner's commits of one block and its proof fit.
pub const URGENT_PER_SENDER: usize = 32;
/// A message takes the place of another with its nonce when it offers so many per cent more for gas: each replacement is
/// written to the disk.
pub const REPLACEMENT_PER_CENT: u128 = 110;
/// Blocks that a message waits for its turn before it is dropped.
pub const MAX_WAIT: u64 = 2000;

/// Why a message may not wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PoolError {
    #[error("the pool is full ({MAX_MESSAGES} messages or {MAX_BYTES} bytes), and no message in it is weaker: offer more than {weakest} attoFIL for a unit of gas, or try again in some blocks", weakest = .weakest.0)]
    Full { weakest: AttoFil },
    #[error("{sender} has {MAX_PER_SENDER} messages waiting: wait until some are in a block")]
    SenderFull { sender: Address },
    #[error(
        "{sender} has {MAX_GAPPED} messages waiting for its message {next}, which did not come: send that one first"
    )]
    GapsFull { sender: Address, next: u64 },
    #[error("another message of {sender} with nonce {nonce} is waiting: {other}; to replace it, offer at least {price} attoFIL for a unit of gas", price = .price.0)]
    NonceTaken {
        sender: Address,
        nonce: u64,
        other: Cid,
        /// What a message in its place must offer.
        price: AttoFil,
    },
}

/// Which room a message waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Ordinary,
    /// Somebody loses money when it waits: in room of its own, and in the next block before others.
    Urgent,
}

/// A message that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub cid: Cid,
    pub message: Arc<SignedMessage>,
    /// Height at which it came.
    pub since: Epoch,
    /// Bytes of the signed message.
    pub size: usize,
    pub class: Class,
}

impl Waiting {
    fn price(&self) -> AttoFil {
        self.message.metered.gas_price
    }

    fn nonce(&self) -> u64 {
        self.message.message().nonce
    }
}

/// What decides who makes room for whom: the greater is the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Strength {
    /// Whether all messages before it are there.
    is_executable: bool,
    price: AttoFil,
    /// Messages of its sender.
    of_sender: Reverse<usize>,
}

/// How a message may come in.
#[derive(Debug)]
pub(super) struct Admission {
    pub class: Class,
    /// Messages that make room for it, with the reason.
    pub displaced: Vec<(Waiting, String)>,
}

/// What is in one room.
#[derive(Debug, Default, Clone, Copy)]
struct Load {
    messages: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, size: usize) {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(size);
    }

    fn remove(&mut self, size: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
    }

    fn admits(self, size: usize, most: Self) -> bool {
        self.messages < most.messages && self.bytes.saturating_add(size) <= most.bytes
    }
}

const ORDINARY_ROOM: Load = Load {
    messages: MAX_MESSAGES,
    bytes: MAX_BYTES,
};
const URGENT_ROOM: Load = Load {
    messages: URGENT_MESSAGES,
    bytes: URGENT_BYTES,
};

/// By sender and nonce.
#[derive(Debug, Default)]
pub(super) struct Pool {
    messages: BTreeMap<(Address, u64), Waiting>,
    ordinary: Load,
    urgent: Load,
}

impl Pool {
    /// Whether exactly this message waits.
    pub fn contains(&self, message: &SignedMessage, cid: &Cid) -> bool {
        self.messages
            .get(&slot(message))
            .is_some_and(|waiting| waiting.cid == *cid)
    }

    /// Whether a message of `size` bytes may come in after `state`, and which messages make room for it.
    pub fn admits(
        &self,
        state: &ChainState,
        message: &SignedMessage,
        size: usize,
        class: Class,
    ) -> Result<Admission, PoolError> {
        let (sender, nonce) = slot(message);
        let next = self.next_nonce(state, &sender);
        let replaced = self.replaced(message)?;
        let of_sender = self.of(&sender).count();
        let is_executable = nonce <= next;
        if replaced.is_none() {
            let gapped = self.of(&sender).filter(|waiting| waiting.nonce() > next).count();
            if !is_executable && gapped >= MAX_GAPPED {
                return Err(PoolError::GapsFull { sender, next });
            }
            if of_sender >= MAX_PER_SENDER {
                return Err(PoolError::SenderFull { sender });
            }
        }
        let newcomer = Strength {
            is_executable,
            price: message.metered.gas_price,
            of_sender: Reverse(of_sender + 1),
        };
        let class = match is_executable {
            true => self.class(&sender, size, class),
            false => Class::Ordinary,
        };
        let mut displaced = Vec::new();
        let mut ordinary = self.ordinary;
        if let Some(old) = replaced {
            if old.class == Class::Ordinary {
                ordinary.remove(old.size);
            }
            displaced.push((old.clone(), format!("it was replaced by {}", message.cid())));
        }
        if class == Class::Ordinary {
            let weaker = self.make_room(state, &sender, newcomer, ordinary, size)?;
            let reason = "the pool was full, and it was the weakest: it may be sent again".to_owned();
            displaced.extend(weaker.into_iter().map(|waiting| (waiting, reason.clone())));
        }
        Ok(Admission { class, displaced })
    }

    /// The message that `message` would replace; an error when it does not offer enough for that.
    fn replaced(&self, message: &SignedMessage) -> Result<Option<&Waiting>, PoolError> {
        let (sender, nonce) = slot(message);
        let Some(old) = self.messages.get(&(sender.clone(), nonce)) else {
            return Ok(None);
        };
        // At 1 attoFIL, the usual price, the next is 2.
        let price = AttoFil(old.price().0.saturating_mul(REPLACEMENT_PER_CENT).div_ceil(100));
        if message.metered.gas_price < price || message.metered.gas_price <= old.price() {
            let other = old.cid;
            return Err(PoolError::NonceTaken {
                sender,
                nonce,
                other,
                price,
            });
        }
        Ok(Some(old))
    }

    /// The room that a message gets which asked for one of `class`: what is too much for the urgent one is ordinary.
    fn class(&self, sender: &Address, size: usize, class: Class) -> Class {
        let urgent = self.of(sender).filter(|waiting| waiting.class == Class::Urgent).count();
        match class {
            Class::Urgent if urgent < URGENT_PER_SENDER && self.urgent.admits(size, URGENT_ROOM) => Class::Urgent,
            _ => Class::Ordinary,
        }
    }

    /// The messages that make ordinary room for a newcomer of `size` bytes: the weakest first, and each of them weaker.
    fn make_room(
        &self,
        state: &ChainState,
        sender: &Address,
        newcomer: Strength,
        mut load: Load,
        size: usize,
    ) -> Result<Vec<Waiting>, PoolError> {
        let mut weaker: Vec<Waiting> = Vec::new();
        let mut tails: Option<BTreeMap<Strength, Vec<Tail>>> = None;
        while !load.admits(size, ORDINARY_ROOM) {
            // Only a full pool is looked through.
            let tails = tails.get_or_insert_with(|| self.tails(state, sender));
            let weakest = tails.first_entry().filter(|entry| *entry.key() < newcomer);
            let Some(mut weakest) = weakest else {
                let weakest = tails.keys().next().map_or(newcomer.price, |strength| strength.price);
                return Err(PoolError::Full { weakest });
            };
            let Some(tail) = weakest.get_mut().pop() else {
                weakest.remove();
                continue;
            };
            let (waiting, shorter) = tail.cut();
            load.remove(waiting.size);
            weaker.push(waiting.clone());
            if let Some((strength, shorter)) = shorter {
                tails.entry(strength).or_default().push(shorter);
            }
        }
        Ok(weaker)
    }

    /// The messages of each sender but one, by the strength of its last. A sender whose last message is urgent is not among
    /// them: what is before it must stay.
    fn tails(&self, state: &ChainState, but: &Address) -> BTreeMap<Strength, Vec<Tail<'_>>> {
        let mut tails: BTreeMap<Strength, Vec<Tail>> = BTreeMap::new();
        for (sender, messages) in self.senders() {
            if sender == but {
                continue;
            }
            let tail = Tail {
                next: run_end(state.nonce(sender), messages.iter().copied()),
                messages,
            };
            if let Some(strength) = tail.strength() {
                tails.entry(strength).or_default().push(tail);
            }
        }
        tails
    }

    /// The messages of every sender, by nonce.
    fn senders(&self) -> BTreeMap<&Address, Vec<&Waiting>> {
        let mut senders: BTreeMap<&Address, Vec<&Waiting>> = BTreeMap::new();
        for ((sender, _), waiting) in &self.messages {
            senders.entry(sender).or_default().push(waiting);
        }
        senders
    }

    /// Takes a message in that [`Pool::admits`].
    pub fn insert(&mut self, waiting: Waiting) {
        self.load_of(waiting.class).add(waiting.size);
        if let Some(replaced) = self.messages.insert(slot(&waiting.message), waiting) {
            self.load_of(replaced.class).remove(replaced.size);
        }
    }

    /// Takes out exactly this message, not another that took its place.
    pub fn remove(&mut self, waiting: &Waiting) {
        if !self.contains(&waiting.message, &waiting.cid) {
            return;
        }
        if let Some(removed) = self.messages.remove(&slot(&waiting.message)) {
            self.load_of(removed.class).remove(removed.size);
        }
    }

    fn load_of(&mut self, class: Class) -> &mut Load {
        match class {
            Class::Ordinary => &mut self.ordinary,
            Class::Urgent => &mut self.urgent,
        }
    }

    /// How many messages wait, and how many bytes they have.
    pub fn load(&self) -> (usize, usize) {
        (
            self.messages.len(),
            self.ordinary.bytes.saturating_add(self.urgent.bytes),
        )
    }

    /// The first messages that wait, by sender and nonce; of one sender when it is given.
    pub fn listed(&self, sender: Option<&Address>, most: usize) -> Vec<Waiting> {
        let wanted = |waiting: &&Waiting| sender.is_none_or(|sender| waiting.message.message().from == *sender);
        self.messages.values().filter(wanted).take(most).cloned().collect()
    }

    /// The nonce after all that the account used or has waiting without a gap.
    pub fn next_nonce(&self, state: &ChainState, sender: &Address) -> u64 {
        run_end(state.nonce(sender), self.of(sender))
    }

    /// Messages that can never be in a block after `state`, or have waited too long for it, with the reason.
    pub fn hopeless(&self, state: &ChainState, height: Epoch) -> Vec<(Waiting, String)> {
        let reason = |((sender, nonce), waiting): (&(Address, u64), &Waiting)| {
            let next = state.nonce(sender);
            let reason = if *nonce < next {
                format!("its number {nonce} was used by another message of {sender}")
            } else if height < waiting.since.plus(MAX_WAIT) {
                return None;
            } else if *nonce == next {
                format!("for {MAX_WAIT} blocks the chain could not tell what it does")
            } else {
                format!("it waited {MAX_WAIT} blocks for message {next} of {sender}, which did not come")
            };
            Some((waiting.clone(), reason))
        };
        self.messages.iter().filter_map(reason).collect()
    }

    fn of(&self, sender: &Address) -> impl Iterator<Item = &Waiting> {
        self.messages
            .range((sender.clone(), 0)..=(sender.clone(), u64::MAX))
            .map(|(_, waiting)| waiting)
    }
}

/// The last message of a sender, and those before it.
struct Tail<'a> {
    messages: Vec<&'a Waiting>,
    /// The nonce after those that wait without a gap.
    next: u64,
}

impl<'a> Tail<'a> {
    /// How strong the last message is; `None` when it stays whatever comes.
    fn strength(&self) -> Option<Strength> {
        let last = self.messages.last().filter(|last| last.class == Class::Ordinary)?;
        Some(Strength {
            is_executable: last.nonce() < self.next,
            price: last.price(),
            of_sender: Reverse(self.messages.len()),
        })
    }

    /// The last message, and what is left without it.
    fn cut(mut self) -> (&'a Waiting, Option<(Strength, Self)>) {
        let last = self.messages.pop().expect("a tail with a strength has a last message");
        let left = self.strength().map(|strength| (strength, self));
        (last, left)
    }
}

/// The nonce after `next` and those that follow it without a gap.
fn run_end<'a>(next: u64, messages: impl IntoIterator<Item = &'a Waiting>) -> u64 {
    messages
        .into_iter()
        .fold(next, |next, waiting| match waiting.nonce() == next {
            true => next.saturating_add(1),
            false => next,
        })
}

fn slot(message: &SignedMessage) -> (Address, u64) {
    let message = message.message();
    (message.from.clone(), message.nonce)
}
