//! Gets the miner known to its chain: money, an actor, the right peer id (before step 3 of any deal).
//!
//! The money is the faucet's; where that gives none, it is whoever sends some. Called by the program's `daemon` at every start; does
//! only what is missing. Next: [`crate::worker`] finds the key that signs, [`crate::ask_publisher`] publishes the ask.

use crate::chain_access::{ChainAccess, ChainError};
use crate::console;
use crate::store::{MinerStore, StoreError};
use cid::Cid;
use shared::chain::actors::miner::MAX_SECTOR_ID;
use shared::chain::calls::{self, ReturnError};
use shared::chain::view::MinerView;
use shared::chain::{Address, AttoFil, Call};
use shared::piece::SectorSize;
use shared::wire::DecodeError;
use std::collections::BTreeSet;
use std::time::Duration;

/// FIL that the miner's actor holds for collateral, where its chain asks for no more: 0.001 a sector, and a chain takes 4096 sectors.
const COLLATERAL_FIL: u64 = 10;
/// Below this many FIL the faucet is asked: collateral, fees and gas for a long time.
const LOW_FIL: u64 = 20;
/// FIL beside the collateral that a miner needs before it is made: gas for the beginning.
const GAS_FIL: u64 = 1;
/// Longest wait between two looks for money that somebody sends.
const MONEY: Duration = Duration::from_secs(2);
/// How often the chain is asked for a miner that it does not show, and the longest wait between two times.
const LOOKS: u32 = 3;
const NEWS: Duration = Duration::from_secs(2);

/// Why the miner is not known to its chain.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the chain's answer to making the miner is unusable: {0}")]
    Returned(#[from] ReturnError),
    #[error("the chain's receipt is unusable: {0}")]
    Receipt(#[from] DecodeError),
    #[error("the faucet names a message that is no CID: {0}")]
    FaucetMessage(String),
    #[error("the chain does not know the miner {address} that this directory belongs to; was the chain's directory replaced, or did the miner, which never committed a sector, make room in a full registry? Restore the directory, or start in a new directory with --home DIR")]
    Unknown { address: Address },
    #[error("the miner {address} is registered with sectors of {found} bytes, not {asked}; start with that size, or in a new directory with --home DIR")]
    OtherSize { address: Address, found: u64, asked: u64 },
    #[error(
        "the miner {address} belongs to {found}, and this wallet's key is {own}; restore the owner's key from a backup"
    )]
    OtherOwner {
        address: Address,
        found: Address,
        own: Address,
    },
}

/// Registers the miner where that is needed; returns it as the chain shows it.
pub async fn register(
    chain: &ChainAccess,
    store: &MinerStore,
    sector_size: SectorSize,
    peer_id: &[u8],
) -> Result<MinerView, RegistrationError> {
    let address = match store.miner_address()? {
        Some(address) => {
            fund(chain).await?;
            address
        }
        None => {
            await_money(chain).await?;
            create(chain, store, sector_size, peer_id).await?
        }
    };
    let view = known(chain, &address).await?;
    if view.sector_size != sector_size.bytes() {
        let (found, asked) = (view.sector_size, sector_size.bytes());
        return Err(RegistrationError::OtherSize { address, found, asked });
    }
    let own = chain.address();
    if view.owner != own {
        return Err(RegistrationError::OtherOwner {
            address,
            found: view.owner,
            own,
        });
    }
    let seen = seen_sectors(&view);
    let highest = seen
        .iter()
        .copied()
        .chain([view.last_used_sector_id])
        .filter(|id| *id < MAX_SECTOR_ID)
        .max();
    store.skip_sector_numbers(highest.unwrap_or_default())?;
    for (from, to) in store.renumber(&seen)? {
        tracing::warn!(
            from,
            to,
            "a sector that is not sealed yet has another number now: the chain has seen its old one"
        );
    }
    Ok(view)
}

/// The numbers of sectors that the chain has seen of the miner and still knows.
fn seen_sectors(view: &MinerView) -> BTreeSet<u64> {
    let committed = view.sectors.iter().map(|sector| sector.id);
    let announced = view.pre_commits.iter().map(|sector| sector.id);
    committed.chain(announced).chain(view.done.iter().copied()).collect()
}

/// Has the chain show this host's peer id; `chain` signs as the worker.
pub async fn show_peer_id(
    chain: &ChainAccess,
    view: &MinerView,
    peer_id: &[u8],
    peer_text: &str,
) -> Result<(), RegistrationError> {
    if view.peer_id == peer_text {
        return Ok(());
    }
    let height = chain.head().await?.height;
    let call = calls::update_peer_id(&view.address, peer_id);
    once(chain, &format!("peer-id-{height}"), call).await?;
    Ok(())
}

/// The miner as the chain shows it. A receipt may be readable a moment before the state that it belongs to: the next
/// blocks are waited for.
async fn known(chain: &ChainAccess, address: &Address) -> Result<MinerView, RegistrationError> {
    let mut heads = chain.heads();
    for _ in 0..LOOKS {
        heads.borrow_and_update();
        if let Some(view) = chain.miner(address).await? {
            return Ok(view);
        }
        // A timeout is no news: the chain is asked again.
        let _ = tokio::time::timeout(NEWS, heads.changed()).await;
    }
    Err(RegistrationError::Unknown {
        address: address.clone(),
    })
}

/// Waits until there is enough to make a miner: from the faucet, or from whoever sends it where the faucet gives none.
async fn await_money(chain: &ChainAccess) -> Result<(), RegistrationError> {
    let needed = AttoFil(collateral(chain).0.saturating_add(AttoFil::from_fil(GAS_FIL).0));
    let reason = match fund(chain).await {
        Ok(()) => "it gives none now".to_owned(),
        Err(RegistrationError::Chain(ChainError::Rpc { message, .. })) => message,
        Err(error) => return Err(error),
    };
    let account = chain.address();
    let mut heads = chain.heads();
    let mut is_told = false;
    loop {
        heads.borrow_and_update();
        if chain.balance(&account).await? >= needed {
            return Ok(());
        }
        if !is_told {
            is_told = true;
            console::stderr(&format!(
                "The faucet refuses ({reason}), and a miner needs {needed} FIL: have somebody send them to {account}. Waiting; Ctrl-C ends this"
            ));
        }
        // A timeout is no news: the chain is asked again.
        let _ = tokio::time::timeout(MONEY, heads.changed()).await;
    }
}

/// What the miner is registered with.
fn collateral(chain: &ChainAccess) -> AttoFil {
    let least = chain.connected_network().policy.miner_collateral;
    least.max(AttoFil::from_fil(COLLATERAL_FIL))
}

/// Asks the faucet when there is little money.
pub(crate) async fn fund(chain: &ChainAccess) -> Result<(), RegistrationError> {
    let balance = chain.balance(&chain.address()).await?;
    if balance >= AttoFil::from_fil(LOW_FIL) {
        return Ok(());
    }
    let grant = match chain.faucet(&chain.address()).await {
        Ok(grant) => grant,
        Err(error) if !balance.is_zero() => {
            tracing::warn!(%balance, %error, "there is little money left, and the faucet gives none now");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(message) = grant.message {
        let cid = Cid::try_from(message.as_str()).map_err(|_| RegistrationError::FaucetMessage(message))?;
        chain.confirmed(&cid, 0).await?;
    }
    tracing::info!(account = %chain.address(), amount = %grant.amount, "the faucet gave FIL");
    Ok(())
}

/// Makes the miner's actor. FAIL: the process may end after the message is sent.
/// THEN: the same purpose gives the same message and the same address at the next start.
async fn create(
    chain: &ChainAccess,
    store: &MinerStore,
    sector_size: SectorSize,
    peer_id: &[u8],
) -> Result<Address, RegistrationError> {
    let purpose = "create-miner";
    let call = calls::create_storage_miner(sector_size, peer_id, collateral(chain));
    let receipt = once(chain, purpose, call).await?;
    let address = calls::miner_address(&receipt.receipt()?)?;
    store.remember_miner(&address)?;
    chain.settle(purpose)?;
    tracing::info!(miner = %address, "the miner was registered on the chain");
    Ok(address)
}

/// Sends a call; a failed one may be made anew at the next start.
async fn once(
    chain: &ChainAccess,
    purpose: &str,
    call: Call,
) -> Result<shared::chain::view::ReceiptView, RegistrationError> {
    match chain.call(purpose, call).await {
        Ok((_, receipt)) => Ok(receipt),
        Err(error) => {
            if matches!(error, ChainError::Failed { .. } | ChainError::Dropped { .. }) {
                chain.forget(purpose)?;
            }
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealdrop_database::Memory;
    use sealdrop_devnet::testing::{config, key};
    use sealdrop_devnet::{Devnet, DevnetConfig};
    use shared::chain::Policy;
    use std::sync::Arc;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_miner_is_registered_with_the_collateral_that_its_chain_asks_for() {
        let dir = tempfile::tempdir().unwrap();
        let usual = config(&dir.path().join("devnet"));
        let policy = Policy {
            miner_collateral: AttoFil::from_fil(COLLATERAL_FIL + 2),
            ..usual.policy.clone()
        };
        let devnet = Devnet::open(DevnetConfig {
            block_time: Duration::from_millis(20),
            policy,
            ..usual
        })
        .unwrap();
        let running = devnet.clone();
        tokio::spawn(async move { running.run().await });
        let access = ChainAccess::connect(&devnet.url(), Arc::new(Memory::default()), key(1))
            .await
            .unwrap();
        let store = MinerStore::open(&dir.path().join("store")).unwrap();
        let made = register(&access, &store, SectorSize::S2KiB, &[0, 1, 2]).await.unwrap();
        assert_eq!(made.balance, AttoFil::from_fil(COLLATERAL_FIL + 2));
        devnet.shutdown();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn where_the_faucet_gives_nothing_a_miner_is_made_of_money_that_somebody_sends() {
        let dir = tempfile::tempdir().unwrap();
        let block_time = Duration::from_millis(20);
        let devnet = Devnet::open(DevnetConfig {
            block_time,
            ..config(&dir.path().join("devnet"))
        })
        .unwrap();
        let running = devnet.clone();
        tokio::spawn(async move { running.run().await });
        let open = |number| {
            let url = devnet.url();
            async move {
                ChainAccess::connect(&url, Arc::new(Memory::default()), key(number))
                    .await
                    .unwrap()
            }
        };
        let (poor, rich) = (open(1).await, open(2).await);
        for access in [&poor, &rich] {
            fund(access).await.unwrap();
        }
        // What it got goes back to where it cannot be had again, but for less than a miner needs.
        let all = AttoFil::from_fil(995);
        poor.call("away", calls::transfer(&rich.address(), all)).await.unwrap();
        let store = MinerStore::open(&dir.path().join("store")).unwrap();
        let registering = register(&poor, &store, SectorSize::S2KiB, &[0, 1, 2]);
        tokio::pin!(registering);
        let early = tokio::time::timeout(Duration::from_millis(200), &mut registering).await;
        assert!(early.is_err(), "there is nothing to make it of");
        assert_eq!(rich.miners().await.unwrap().len(), 0);
        rich.call("gift", calls::transfer(&poor.address(), AttoFil::from_fil(20)))
            .await
            .unwrap();
        let made = registering.await.unwrap();
        assert_eq!(made.owner, poor.address());
        devnet.shutdown();
    }
}
