//! The tree over a state's entries, for those who make headers and proofs of them.
//!
//! Made once of a whole state, then carried along: a block hashes the entries that it changed, and the nodes over them. Where entries
//! come or go, the nodes behind the first of them are hashed again, which takes some 0.2 µs each.

use super::entries::{SectorEntry, StateEntry, StateKey};
use super::merkle::{Hash, Tree};
use super::proofs::{entry_leaf, EntryProof, Neighbour};
use crate::chain::keys::blake2b256;
use crate::chain::state::{Miner, PaymentChannel, Table};
use crate::chain::{Address, ChainState, ChannelId};
use crate::wire::cbor::Bytes;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A state's entries by key, and the tree over them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateTree {
    /// Ascending; as many as the tree has leaves.
    keys: Vec<Arc<[u8]>>,
    tree: Tree,
}

impl StateTree {
    /// The tree of a state.
    pub fn of(state: &ChainState) -> Self {
        let mut keys = Vec::new();
        differences(None, state, &mut |key| keys.push(key));
        let mut tree = Self::default();
        tree.change(keys, state);
        tree
    }

    /// Brings the tree of the state `before` to the state `after`.
    pub fn advance(&mut self, before: &ChainState, after: &ChainState) {
        let mut keys = Vec::new();
        differences(Some(before), after, &mut |key| keys.push(key));
        self.change(keys, after);
    }

    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Entries of the state.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// What the state, whose tree this is, has under a key.
    pub fn prove(&self, state: &ChainState, key: &StateKey) -> EntryProof {
        let bytes = key.to_bytes();
        let found = self.keys.binary_search_by(|held| held.as_ref().cmp(&bytes));
        let present = |at: usize| Some((StateEntry::of(state, key)?, self.tree.path(at)?));
        if let Some((entry, path)) = found.ok().and_then(present) {
            return EntryProof::Present {
                key: Bytes(bytes),
                value: Bytes(entry.to_bytes()),
                path,
            };
        }
        let (Ok(at) | Err(at)) = found;
        EntryProof::Absent {
            key: Bytes(bytes),
            before: at.checked_sub(1).and_then(|before| self.neighbour(state, before)),
            after: self.neighbour(state, at),
        }
    }

    fn neighbour(&self, state: &ChainState, at: usize) -> Option<Neighbour> {
        let key = self.keys.get(at)?;
        let entry = StateEntry::of(state, &StateKey::from_bytes(key)?)?;
        Some(Neighbour {
            key: Bytes(key.to_vec()),
            digest: blake2b256(&entry.to_bytes()),
            path: self.tree.path(at)?,
        })
    }

    /// Takes in what a state has under these keys.
    fn change(&mut self, keys: Vec<StateKey>, state: &ChainState) {
        let entries = keys.iter().map(|key| {
            let bytes = key.to_bytes();
            let entry = StateEntry::of(state, key);
            let hash = entry.map(|entry| entry_leaf(&bytes, &blake2b256(&entry.to_bytes())));
            (bytes, hash)
        });
        let changes: BTreeMap<Vec<u8>, Option<Hash>> = entries.collect();
        let place = |key: &Vec<u8>| self.keys.binary_search_by(|held| held.as_ref().cmp(key));
        let mut leaves = self.tree.leaves().to_vec();
        let (mut changed, mut moved) = (Vec::new(), false);
        for (key, hash) in &changes {
            match (place(key), hash) {
                (Ok(at), Some(hash)) => {
                    if let Some(leaf) = leaves.get_mut(at) {
                        *leaf = *hash;
                    }
                    changed.push(at);
                }
                (Err(_), None) => {}
                (Ok(_), None) | (Err(_), Some(_)) => moved = true,
            }
        }
        match moved {
            true => self.merge(leaves, changes, changed),
            false => {
                let end = leaves.len();
                self.tree.replace(leaves, changed, end);
            }
        }
    }

    /// Takes in changes among which keys come or go; `leaves` are those of the keys held, where they stay, as they are now.
    fn merge(&mut self, leaves: Vec<Hash>, changes: BTreeMap<Vec<u8>, Option<Hash>>, changed: Vec<usize>) {
        let held = core::mem::take(&mut self.keys);
        let mut merged = (Vec::with_capacity(held.len()), Vec::with_capacity(held.len()));
        let mut first = None;
        let mut changes = changes.into_iter().peekable();
        let mut came = |merged: &mut (Vec<Arc<[u8]>>, Vec<Hash>), (key, hash): (Vec<u8>, Option<Hash>)| {
            first.get_or_insert(merged.0.len());
            if let Some(hash) = hash {
                merged.0.push(key.into());
                merged.1.push(hash);
            }
        };
        for (key, leaf) in held.into_iter().zip(leaves) {
            while let Some(new) = changes.next_if(|(new, _)| new.as_slice() < key.as_ref()) {
                if new.1.is_some() {
                    came(&mut merged, new);
                }
            }
            match changes.next_if(|(same, _)| same.as_slice() == key.as_ref()) {
                Some((same, None)) => came(&mut merged, (same, None)),
                _ => {
                    merged.0.push(key);
                    merged.1.push(leaf);
                }
            }
        }
        changes
            .filter(|(_, hash)| hash.is_some())
            .for_each(|new| came(&mut merged, new));
        let (keys, leaves) = merged;
        let from = first.unwrap_or(leaves.len());
        self.keys = keys;
        let changed = changed.into_iter().filter(|at| *at < from).collect();
        self.tree.replace(leaves, changed, from);
    }
}

/// Calls `differs` with every key under which `after` has something else than `before`, or one of them has nothing.
fn differences(before: Option<&ChainState>, after: &ChainState, differs: &mut dyn FnMut(StateKey)) {
    if before.is_none_or(|before| before.market != after.market) {
        differs(StateKey::Market);
    }
    if before.is_none_or(|before| before.broker.balance != after.broker.balance) {
        differs(StateKey::Account(Address::id(Address::PAYMENT_BROKER)));
    }
    compare(
        before.into_iter().flat_map(|state| state.accounts.iter()),
        after.accounts.iter(),
        |address, _, _| differs(StateKey::Account(address.clone())),
    );
    compare(
        before.into_iter().flat_map(|state| state.miners.iter()),
        after.miners.iter(),
        |address, before, after| miner_differences(address, before, after, differs),
    );
    compare(
        before.into_iter().flat_map(|state| state.broker.channels.iter()),
        after.broker.channels.iter(),
        |payer, before, after| channel_differences(payer, before, after, differs),
    );
}

fn miner_differences(
    address: &Address,
    before: Option<&Miner>,
    after: Option<&Miner>,
    differs: &mut dyn FnMut(StateKey),
) {
    differs(StateKey::Miner(address.clone()));
    let (old, new) = (sectors(before), sectors(after));
    compare(
        old.iter().map(|(id, entry)| (id, entry)),
        new.iter().map(|(id, entry)| (id, entry)),
        |sector, _, _| {
            let (miner, sector) = (address.clone(), *sector);
            differs(StateKey::Sector { miner, sector });
        },
    );
    compare(
        before.into_iter().flat_map(|miner| miner.pre_commits.iter()),
        after.into_iter().flat_map(|miner| miner.pre_commits.iter()),
        |sector, _, _| {
            let (miner, sector) = (address.clone(), *sector);
            differs(StateKey::PreCommit { miner, sector });
        },
    );
}

/// A miner's sectors as they stand in the tree.
fn sectors(miner: Option<&Miner>) -> Vec<(u64, Option<SectorEntry>)> {
    let Some(miner) = miner else { return Vec::new() };
    let ids = miner.sectors.keys();
    ids.map(|id| (*id, SectorEntry::of(miner, *id))).collect()
}

type Channels = Table<ChannelId, PaymentChannel>;

fn channel_differences(
    payer: &Address,
    before: Option<&Channels>,
    after: Option<&Channels>,
    differs: &mut dyn FnMut(StateKey),
) {
    compare(
        before.into_iter().flat_map(Table::iter),
        after.into_iter().flat_map(Table::iter),
        |id, _, _| {
            let (payer, id) = (payer.clone(), *id);
            differs(StateKey::Channel { payer, id });
        },
    );
}

/// Compares two maps, given in the order of their keys; what two copies share is not compared again.
fn compare<'a, K: Ord + 'a, V: PartialEq + 'a>(
    before: impl IntoIterator<Item = (&'a K, &'a V)>,
    after: impl IntoIterator<Item = (&'a K, &'a V)>,
    mut differs: impl FnMut(&'a K, Option<&'a V>, Option<&'a V>),
) {
    let mut before = before.into_iter().peekable();
    for (key, value) in after {
        while let Some((gone, old)) = before.next_if(|(old, _)| *old < key) {
            differs(gone, Some(old), None);
        }
        match before.next_if(|(old, _)| *old == key) {
            Some((_, old)) if core::ptr::eq(old, value) || old == value => {}
            old => differs(key, old.map(|(_, old)| old), Some(value)),
        }
    }
    before.for_each(|(gone, old)| differs(gone, Some(old), None));
}
