//! The network: its chain, its miners, and its time, which passes only when somebody says so.

use crate::faults::{FaultError, Faults};
use crate::keys::Seed;
use crate::miner::Miner;
use sealdrop_devnet::{DevnetError, MemoryChain, MemoryConfig};
use serde::Deserialize;
use shared::chain::calls::{self, ReturnError};
use shared::chain::rpc::ErrorObject;
use shared::chain::state::Violation;
use shared::chain::verifier::{FakeVerifier, FAKE_KEYS};
use shared::chain::view::HeadView;
use shared::chain::{Address, AttoFil, Policy};
use shared::piece::SectorSize;
use std::sync::Arc;
use std::time::Duration;

/// The network's name.
pub const NETWORK: &str = "in-page devnet (fake proofs)";
/// When block 0 was made, in milliseconds since 1970: the same in every run (2026-01-01).
pub const BEGINS_MS: u64 = 1_767_225_600_000;
/// Most miners; each has a libp2p host in the page.
pub const MAX_MINERS: usize = 16;
/// Blocks that an ask stands: longer than any test.
const ASK_BLOCKS: u64 = 10_000_000;
/// Largest sectors, in bytes: pieces are held in memory.
const LARGEST_SECTOR: SectorSize = SectorSize::S8MiB;

/// What a network begins with.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DevnetOptions {
    pub miners: usize,
    /// Bytes of a sector.
    pub sector_size: u64,
    /// All keys come from it.
    pub seed: String,
    /// attoFIL for a byte in a block.
    pub price: u64,
    /// Virtual milliseconds between blocks.
    pub block_time_ms: u64,
}

impl Default for DevnetOptions {
    fn default() -> Self {
        Self {
            miners: 1,
            sector_size: SectorSize::S2KiB.bytes(),
            seed: "sealdrop".into(),
            price: 1,
            block_time_ms: 1000,
        }
    }
}

/// Why there is no such network, or it does not go on.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    #[error("a network has 1 to {MAX_MINERS} miners, not {0}")]
    Miners(usize),
    #[error("sectors of {0} bytes cannot be had in a page: 2 KiB and 8 MiB can")]
    SectorSize(u64),
    #[error("blocks must be some time apart")]
    BlockTime,
    #[error(transparent)]
    Chain(#[from] DevnetError),
    #[error("the chain refuses a message of a miner: {}", .0.message)]
    Refused(ErrorObject),
    #[error("a miner could not be registered: {0}")]
    Registering(String),
    #[error(transparent)]
    Returned(#[from] ReturnError),
}

impl From<ErrorObject> for OptionError {
    fn from(refusal: ErrorObject) -> Self {
        Self::Refused(refusal)
    }
}

/// A network. Nothing happens in it by itself.
pub struct Devnet {
    pub chain: MemoryChain,
    pub miners: Vec<Miner>,
    now_ms: u64,
    block_time_ms: u64,
}

impl Devnet {
    /// Begins a network: its miners are registered, have an ask, and are in the directory of peers. `addresses` tells where the miner
    /// with a number is dialled, in multiaddrs' binary form.
    pub fn begin(options: &DevnetOptions, addresses: impl Fn(usize) -> Vec<Vec<u8>>) -> Result<Self, OptionError> {
        let &DevnetOptions {
            miners,
            sector_size,
            price,
            block_time_ms,
            ..
        } = options;
        if !(1..=MAX_MINERS).contains(&miners) {
            return Err(OptionError::Miners(miners));
        }
        let size = SectorSize::from_bytes(sector_size).map_err(|_| OptionError::SectorSize(sector_size))?;
        if size > LARGEST_SECTOR {
            return Err(OptionError::SectorSize(sector_size));
        }
        if block_time_ms == 0 {
            return Err(OptionError::BlockTime);
        }
        let seed = Seed::of(&options.seed);
        let chain = MemoryChain::begin(MemoryConfig {
            network: NETWORK.into(),
            policy: Policy::of_new_network(size),
            block_time: Duration::from_millis(block_time_ms),
            begins_ms: BEGINS_MS,
            block_key: seed.account("blocks"),
            faucet_key: seed.account("faucet"),
            verifier: Arc::new(FakeVerifier::default()),
            verifying_keys: FAKE_KEYS.into(),
        })?;
        let mut devnet = Self {
            chain,
            miners: Vec::new(),
            now_ms: BEGINS_MS,
            block_time_ms,
        };
        devnet.register(&seed, miners, size, AttoFil(price.into()))?;
        for number in 0..miners {
            let record = devnet.miner(number)?.record(addresses(number), BEGINS_MS / 1000);
            devnet.chain.announce(&record)?;
        }
        Ok(devnet)
    }

    fn register(&mut self, seed: &Seed, count: usize, size: SectorSize, price: AttoFil) -> Result<(), OptionError> {
        let keys: Vec<_> = (0..count)
            .map(|number| {
                (
                    seed.account(&format!("miner {number}")),
                    seed.host(&format!("host {number}")),
                )
            })
            .collect();
        for (owner, _) in &keys {
            self.chain.grant(&owner.address())?;
        }
        self.block()?;
        let collateral = self.chain.policy().miner_collateral;
        let mut made = Vec::new();
        for (owner, host) in keys {
            let call = calls::create_storage_miner(size, &Miner::peer_of(&host), collateral);
            made.push((self.send(&owner, call)?, owner, host));
        }
        self.block()?;
        for (message, owner, host) in made {
            let address = match self.chain.receipt(&message) {
                Some((_, Ok(receipt))) => calls::miner_address(&receipt)?,
                other => return Err(OptionError::Registering(format!("{other:?}"))),
            };
            self.send(&owner, calls::add_ask(&address, price, ASK_BLOCKS))?;
            self.miners.push(Miner::new(address, owner, host, size));
        }
        self.block().map(drop)
    }

    fn send(&self, key: &shared::chain::SecretKey, call: calls::Call) -> Result<cid::Cid, OptionError> {
        let address = key.address();
        let message = call.message(&address, self.chain.next_nonce(&address)).sign(key);
        Ok(self.chain.push(message)?)
    }

    fn block(&mut self) -> Result<HeadView, OptionError> {
        self.now_ms = self.now_ms.saturating_add(self.block_time_ms);
        Ok(self.chain.produce(self.now_ms)?)
    }

    /// Makes the next block; the miners see it and do what is to be done.
    pub fn mine(&mut self) -> Result<HeadView, OptionError> {
        let head = self.block()?;
        for miner in &mut self.miners {
            miner.tick(&self.chain);
        }
        Ok(head)
    }

    /// Blocks that are made in so many virtual milliseconds.
    pub fn blocks_in(&self, ms: u64) -> u64 {
        ms.div_ceil(self.block_time_ms)
    }

    /// The miner with a number, or its place by its address.
    pub fn miner(&self, number: usize) -> Result<&Miner, FaultError> {
        let unknown = || FaultError::NoMiner(number.to_string());
        self.miners.get(number).ok_or_else(unknown)
    }

    /// Switches a miner's faults: those that are not named are off.
    pub fn set_faults(&mut self, miner: &Address, faults: Faults) -> Result<(), FaultError> {
        faults.check()?;
        let found = self.miners.iter_mut().find(|found| found.address == *miner);
        found.ok_or_else(|| FaultError::NoMiner(miner.to_string()))?.faults = faults;
        Ok(())
    }

    /// Checks the rules of the whole chain: no money appeared or vanished, power is that of the proven sectors.
    pub fn check_invariants(&self) -> Result<(), Violation> {
        self.chain.check_invariants()
    }
}

impl From<FaultError> for OptionError {
    fn from(error: FaultError) -> Self {
        Self::Registering(error.to_string())
    }
}
