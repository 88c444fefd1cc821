//! How a development chain begins, and the two keys that its single authority holds.
//!
//! Called when a chain is opened: [`Authority::open`] finds or makes the keys, [`Genesis::check_network`] refuses the data of
//! another network. Blocks are made next, in [`super::node`].

use super::block::Block;
use super::error::DevnetError;
use cid::Cid;
#[cfg(feature = "server")]
use sealdrop_wallet::{random_key, read_key, write_key};
use serde::{Deserialize, Serialize};
use shared::chain::keys::cid_of_bytes;
use shared::chain::light::header::ticket;
use shared::chain::light::{BlockHeader, Hash, SignedHeader, StateTree, Tree};
use shared::chain::state::Genesis as StateGenesis;
use shared::chain::{Address, AttoFil, ChainState, Epoch, Policy, SecretKey, Signature};
use std::collections::BTreeMap;
#[cfg(feature = "server")]
use std::path::{Path, PathBuf};

/// All FIL of a network (spec §5.1).
const SUPPLY_FIL: u64 = 2_000_000_000;
/// What the faucet may give away: half of all FIL, for a million accounts.
const FAUCET_FIL: u64 = 1_000_000_000;
/// File of the key that signs tickets.
#[cfg(feature = "server")]
const BLOCK_KEY: &str = "block.key";
/// File of the key that the faucet's money belongs to.
#[cfg(feature = "server")]
const FAUCET_KEY: &str = "faucet.key";

/// What a chain was started with; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Genesis {
    pub network: String,
    /// Digest of the verifying keys that proofs are checked with.
    pub verifying_keys: String,
    pub policy: Policy,
    pub supply: AttoFil,
    /// Who signs the tickets.
    pub authority: Address,
    pub faucet: Address,
    /// Milliseconds since 1970.
    pub time_ms: u64,
}

impl Genesis {
    pub fn new(network: &str, verifying_keys: &str, policy: &Policy, authority: &Authority, time_ms: u64) -> Self {
        Self {
            network: network.to_owned(),
            verifying_keys: verifying_keys.to_owned(),
            policy: policy.clone(),
            supply: AttoFil::from_fil(SUPPLY_FIL),
            authority: authority.block_key.address(),
            faucet: authority.faucet_key.address(),
            time_ms,
        }
    }

    /// The record as the chain's id is made of it; [`shared::chain::light::Anchor`] opens it again.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes).expect("writing to a Vec cannot fail");
        bytes
    }

    /// The chain's id: two networks of the same name differ in it.
    pub fn cid(&self) -> Cid {
        cid_of_bytes(&self.bytes())
    }

    /// The state of block 0.
    pub fn state(&self) -> Result<ChainState, DevnetError> {
        let allocations = BTreeMap::from([(self.faucet.clone(), AttoFil::from_fil(FAUCET_FIL))]);
        let (network, policy, supply) = (self.network.clone(), self.policy.clone(), self.supply);
        Ok(ChainState::genesis(StateGenesis {
            network,
            policy,
            supply,
            allocations,
        })?)
    }

    /// Block 0, which records no messages.
    pub fn block(&self, authority: &Authority, state_digest: Hash, tree: &StateTree) -> Block {
        let genesis = self.cid();
        let header = BlockHeader {
            genesis,
            height: Epoch(0),
            parent: genesis,
            ticket: authority.ticket(&genesis, Epoch(0)),
            time_ms: self.time_ms,
            receipts_root: Tree::default().root(),
            state_root: tree.root(),
            state_digest,
        };
        Block::of(authority.sign(header), Vec::new())
    }

    /// Refuses to go on with the data of another network, or of other proofs.
    #[cfg(feature = "server")]
    pub fn check_network(&self, dir: &Path, network: &str, keys: &str) -> Result<(), DevnetError> {
        let dir = dir.to_owned();
        if self.network != network {
            let (found, wanted) = (self.network.clone(), network.to_owned());
            return Err(DevnetError::OtherNetwork { dir, found, wanted });
        }
        if self.verifying_keys != keys {
            let (found, wanted) = (self.verifying_keys.clone(), keys.to_owned());
            return Err(DevnetError::OtherVerifyingKeys { dir, found, wanted });
        }
        Ok(())
    }

    /// Refuses to go on with other keys than the chain was started with: its tickets would change.
    #[cfg(feature = "server")]
    pub fn check_keys(&self, dir: &Path, authority: &Authority) -> Result<(), DevnetError> {
        let keys = [
            (&authority.block_key, &self.authority, BLOCK_KEY),
            (&authority.faucet_key, &self.faucet, FAUCET_KEY),
        ];
        match keys.into_iter().find(|(key, address, _)| key.address() != **address) {
            Some((_, _, file)) => Err(DevnetError::KeyDiffers { path: dir.join(file) }),
            None => Ok(()),
        }
    }
}

/// The single authority of a development chain: whoever holds these keys makes the blocks.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    block_key: SecretKey,
    pub faucet_key: SecretKey,
}

impl Authority {
    /// The keys in `dir`. They are made only for a chain that has not begun (`begun` false).
    #[cfg(feature = "server")]
    pub fn open(dir: &Path, begun: bool) -> Result<Self, DevnetError> {
        let key = |file: &str| open_key(dir.join(file), begun);
        Ok(Self {
            block_key: key(BLOCK_KEY)?,
            faucet_key: key(FAUCET_KEY)?,
        })
    }

    /// An authority of keys that somebody else keeps.
    pub fn of(block_key: SecretKey, faucet_key: SecretKey) -> Self {
        Self { block_key, faucet_key }
    }

    /// The ticket of the block at `height`.
    pub fn ticket(&self, genesis: &Cid, height: Epoch) -> Signature {
        ticket(&self.block_key, genesis, height)
    }

    /// Signs a block's header.
    pub fn sign(&self, header: BlockHeader) -> SignedHeader {
        header.sign(&self.block_key)
    }
}

#[cfg(feature = "server")]
fn open_key(path: PathBuf, begun: bool) -> Result<SecretKey, DevnetError> {
    match read_key(&path)? {
        Some(key) => Ok(key),
        None if begun => Err(DevnetError::KeyMissing { path }),
        // Written before the chain begins: a crash in between leaves a key that the next start takes.
        None => {
            let key = random_key();
            write_key(&path, &key)?;
            Ok(key)
        }
    }
}
