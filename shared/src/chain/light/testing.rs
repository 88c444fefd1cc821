//! A chain of headers for tests of whoever checks them: one authority, any messages and any states.

use super::{Anchor, BlockHeader, Hash, MessageProof, SignedHeader, StateKey, StateProof, StateTree, Tree};
use crate::chain::keys::cid_of_bytes;
use crate::chain::state::{Fault, Miner, PaymentChannel, Sector};
use crate::chain::{
    calls, Address, AttoFil, ChainState, ChannelId, Epoch, Genesis, Policy, Receipt, SecretKey, SignedMessage,
};
use crate::piece::{Commitment, SectorSize};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cid::Cid;
use serde::Serialize;

/// A genesis record, as the development chain writes it.
#[derive(Serialize)]
struct Record {
    network: String,
    verifying_keys: String,
    policy: Policy,
    supply: AttoFil,
    authority: Address,
    faucet: Address,
    time_ms: u64,
}

/// What one block recorded.
struct Made {
    signed: SignedHeader,
    messages: Vec<(SignedMessage, Receipt)>,
    state: ChainState,
}

/// A chain that only signs what it is given.
pub struct SignedChain {
    pub authority: SecretKey,
    /// The genesis record's bytes.
    pub record: Vec<u8>,
    pub anchor: Anchor,
    blocks: Vec<Made>,
}

/// A key that is the same in every run.
pub fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).expect("it is below the group's order")
}

impl SignedChain {
    /// A chain whose authority has [`key`] `number`, without blocks.
    pub fn new(number: u8, policy: Policy) -> Self {
        let authority = key(number);
        let record = Record {
            network: "test".to_string(),
            verifying_keys: "keys".to_string(),
            policy,
            supply: AttoFil::from_fil(2_000_000_000),
            authority: authority.address(),
            faucet: key(200).address(),
            time_ms: 1_700_000_000_000,
        };
        let mut bytes = Vec::new();
        ciborium::into_writer(&record, &mut bytes).expect("writing to a Vec cannot fail");
        let anchor = Anchor::open(&cid_of_bytes(&bytes), &bytes).expect("it was just made");
        Self {
            authority,
            record: bytes,
            anchor,
            blocks: Vec::new(),
        }
    }

    /// Makes the next block of these messages, with the state after them.
    pub fn push(&mut self, messages: Vec<(SignedMessage, Receipt)>, state: ChainState) -> SignedHeader {
        let genesis = *self.anchor.genesis();
        let height = Epoch(self.blocks.len() as u64);
        let parent = self.blocks.last().map_or(genesis, |made| made.signed.header.id());
        let header = BlockHeader {
            genesis,
            height,
            parent,
            ticket: super::header::ticket(&self.authority, &genesis, height),
            time_ms: 1_700_000_000_000_u64.saturating_add(height.0.saturating_mul(1000)),
            receipts_root: receipts(&messages).root(),
            state_root: StateTree::of(&state).root(),
            state_digest: Hash::default(),
        };
        let signed = header.sign(&self.authority);
        self.blocks.push(Made {
            signed: signed.clone(),
            messages,
            state,
        });
        signed
    }

    /// The header at a height.
    pub fn header(&self, height: u64) -> Option<SignedHeader> {
        Some(self.made(height)?.signed.clone())
    }

    pub fn head(&self) -> Option<SignedHeader> {
        Some(self.blocks.last()?.signed.clone())
    }

    fn made(&self, height: u64) -> Option<&Made> {
        self.blocks.get(usize::try_from(height).ok()?)
    }

    /// The proof of a message in one of the blocks.
    pub fn message_proof(&self, id: &Cid) -> Option<MessageProof> {
        self.blocks.iter().find_map(|made| {
            let at = made.messages.iter().position(|(message, _)| message.cid() == *id)?;
            let (message, receipt) = made.messages.get(at)?.clone();
            Some(MessageProof {
                header: made.signed.clone(),
                message,
                receipt,
                path: receipts(&made.messages).path(at)?,
            })
        })
    }

    /// What the state after a block has under these keys.
    pub fn state_proof(&self, height: u64, keys: &[StateKey]) -> Option<StateProof> {
        let Made { signed, state, .. } = self.made(height)?;
        let tree = StateTree::of(state);
        Some(StateProof {
            header: signed.clone(),
            entries: keys.iter().map(|key| tree.prove(state, key)).collect(),
        })
    }
}

fn receipts(messages: &[(SignedMessage, Receipt)]) -> Tree {
    let leaf = |(message, receipt): &(SignedMessage, Receipt)| super::proofs::receipt_leaf(&message.cid(), receipt);
    Tree::of(messages.iter().map(leaf).collect())
}

/// A message of [`key`] `number`, and a receipt with this exit code.
pub fn transfer(number: u8, nonce: u64, exit_code: u64) -> (SignedMessage, Receipt) {
    let key = key(number);
    let message = calls::transfer(&Address::id(Address::BURNT_FUNDS), AttoFil(1));
    let receipt = Receipt {
        exit_code,
        returns: Vec::new(),
        gas_cost: AttoFil(100),
        error: String::new(),
    };
    (message.message(&key.address(), nonce).sign(&key), receipt)
}

/// A miner of [`key`] `number` with so many sectors.
pub fn miner(number: u8, sectors: u64) -> (Address, Miner) {
    let owner = key(number).address();
    let sector = |id: u64| {
        let mut commitment = [number; 32];
        commitment[..8].copy_from_slice(&id.to_be_bytes());
        let sector = Sector {
            comm_d: Commitment(commitment),
            comm_r: Commitment(commitment),
            comm_r_star: Commitment(commitment),
            committed_at: Epoch(1),
            last_proven_at: Some(Epoch(2)),
            proofs: 1,
        };
        (id, sector)
    };
    let miner = Miner {
        owner: owner.clone(),
        worker: owner.clone(),
        peer_id: alloc::vec![number; 38],
        sector_size: SectorSize::S2KiB,
        registered_at: Epoch(0),
        balance: AttoFil::from_fil(10),
        active_collateral: AttoFil::ZERO,
        power: sectors.saturating_mul(SectorSize::S2KiB.bytes()),
        asks: Vec::new(),
        next_ask_id: 0,
        sectors: (1..=sectors).map(sector).collect(),
        pre_commits: BTreeMap::new(),
        proving_set: (1..=sectors).collect(),
        faults: BTreeMap::from([(
            1,
            Fault {
                since: Epoch(1),
                recovering: true,
            },
        )]),
        next_faults: BTreeMap::new(),
        next_done: BTreeSet::new(),
        released: BTreeMap::new(),
        proving_period_end: Some(Epoch(300)),
        last_used_sector_id: sectors,
        slashed_at: None,
        last_post: Some(Epoch(2)),
        posts: 1,
    };
    (Address::actor(&owner, 0), miner)
}

/// A state with so many accounts and a miner with so many sectors, and one channel.
pub fn state(policy: &Policy, accounts: u64, sectors: u64) -> ChainState {
    let mut state = ChainState::genesis(Genesis {
        network: "test".to_string(),
        policy: policy.clone(),
        supply: AttoFil::from_fil(2_000_000_000),
        allocations: BTreeMap::from([(key(200).address(), AttoFil::from_fil(1_000_000))]),
    })
    .expect("its numbers are the usual ones");
    for number in 0..accounts {
        let account = crate::chain::state::Account {
            balance: AttoFil(u128::from(number)),
            nonce: number,
        };
        state.accounts.insert(Address::actor(&Address::id(0), number), account);
    }
    let (address, miner) = miner(3, sectors);
    state.broker.channels.change(&miner.owner, |channels| {
        let channel = PaymentChannel {
            target: address.clone(),
            amount: AttoFil::from_fil(1),
            amount_redeemed: AttoFil::ZERO,
            agreed_eol: Epoch(1000),
            condition: None,
            eol: Epoch(1000),
            redeemed: false,
            session: None,
        };
        channels.insert(ChannelId(7), channel);
    });
    state.miners.insert(address, miner);
    state
}
