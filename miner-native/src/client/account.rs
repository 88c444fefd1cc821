//! The client's account: its key, its money, and its messages to the chain.
//!
//! Messages are numbered, and the numbers of one account cannot be given out by two processes at once: whoever sends
//! one holds the account's lock until the message is on the chain ([`Account::lock`]). Questions need no lock.

use super::error::ClientError;
use super::report::Report;
use cid::Cid;
use sealdrop_database::takeover::take_over;
use sealdrop_database::{Memory, Sharing, Sqlite, Store};
use sealdrop_miner::chain_access::{rpc_url, ChainAccess, ChainError, OUTBOX, OUTBOX_SCHEMA};
use sealdrop_wallet::Wallet;
use shared::chain::{Address, AttoFil, SecretKey};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long another process may hold the account: its channel must come to a block.
const LOCK_PATIENCE: Duration = Duration::from_secs(300);
/// Pause between two tries to take the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// How long the faucet's money may take to arrive.
const FAUCET_PATIENCE: Duration = Duration::from_secs(120);
/// Blocks within which a grant that the faucet made is on the chain.
const GRANT_BLOCKS: u64 = 2;
/// Pause between two looks at the balance.
const FAUCET_PAUSE: Duration = Duration::from_millis(500);
/// The file in an outbox' folder.
const OUTBOX_FILE: &str = "outbox.db";

/// One key, and the way to the chain for it.
#[derive(Clone)]
pub struct Account {
    dir: PathBuf,
    url: String,
    /// By its genesis id. The key signs here alone, unless it is an older one.
    network: Cid,
    key: SecretKey,
}

/// The right to send messages of the account. Other processes wait until it is dropped.
pub struct AccountLock {
    /// Sends the account's messages.
    pub chain: ChainAccess,
    // Last: the outbox is closed before the lock opens.
    _lock: File,
}

impl Account {
    /// Opens the wallet's default account on `network` in the client's directory `dir`; it is made at the first
    /// start. The network's chain is at `url`.
    pub async fn open(dir: &Path, url: &str, network: &Cid) -> Result<Self, ClientError> {
        Self::open_as(dir, url, network, None).await
    }

    /// Opens the account `from`, which must be in the wallet and not bound to another network, or without one the default.
    pub async fn open_as(dir: &Path, url: &str, network: &Cid, from: Option<&Address>) -> Result<Self, ClientError> {
        fs::create_dir_all(dir).map_err(ClientError::file("create", dir))?;
        // Two processes that start at once must not make two keys.
        let lock = lock_file(dir).await?;
        let wallet = Wallet::open(dir.join("wallet"))?;
        let key = match from {
            Some(address) => wallet.key_on(address, network)?,
            None => wallet.default_key(network)?,
        };
        drop(lock);
        Self::of_key(dir, url, network, key)
    }

    /// The account of a key that is kept elsewhere; its messages are kept in `dir` all the same.
    pub fn of_key(dir: &Path, url: &str, network: &Cid, key: SecretKey) -> Result<Self, ClientError> {
        fs::create_dir_all(dir).map_err(ClientError::file("create", dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            url: rpc_url(url),
            network: *network,
            key,
        })
    }

    /// The account of another key of the same wallet.
    pub async fn of(&self, address: &Address) -> Result<Self, ClientError> {
        match *address == self.address() {
            true => Ok(self.clone()),
            false => Self::open_as(&self.dir, &self.url, &self.network, Some(address)).await,
        }
    }

    /// The payer's key.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The payer's address.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Where the chain is reached.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A way to ask the chain. Its outbox is empty and goes away with it: nothing is sent through it.
    pub async fn reader(&self) -> Result<ChainAccess, ClientError> {
        self.connect(Arc::new(Memory::default())).await
    }

    /// Takes the account for this process, waiting for others.
    pub async fn lock(&self) -> Result<AccountLock, ClientError> {
        let lock = lock_file(&self.dir).await?;
        let chain = self.connect(self.open_outbox()?).await?;
        Ok(AccountLock { chain, _lock: lock })
    }

    async fn connect(&self, outbox: Arc<dyn Store>) -> Result<ChainAccess, ClientError> {
        let connected = ChainAccess::connect(&self.url, outbox, self.key.clone()).await;
        connected.map_err(ClientError::chain)
    }

    /// Whether the account has ever made a message here.
    pub fn has_sent(&self) -> bool {
        self.outbox().exists()
    }

    fn open_outbox(&self) -> Result<Arc<dyn Store>, ClientError> {
        let folder = self.outbox();
        let open = |folder: &Path| -> Result<Arc<dyn Store>, ClientError> {
            let file = folder.join(OUTBOX_FILE);
            Ok(Arc::new(Sqlite::open(&file, &OUTBOX_SCHEMA, Sharing::Alone)?))
        };
        take_over(&folder, |old, new| {
            let store = open(new)?;
            old.each(Some("outbox"), |part| {
                store.write(|changes| {
                    let mut kept = part.iter();
                    kept.try_for_each(|(key, value)| changes.put(OUTBOX, key, value).map_err(ClientError::from))
                })
            })
        })?;
        open(&folder)
    }

    /// Each account's messages have numbers of their own, so each has an outbox of its own.
    fn outbox(&self) -> PathBuf {
        self.dir.join("outboxes").join(self.address().to_string())
    }

    /// What the account holds.
    pub async fn balance(&self, chain: &ChainAccess) -> Result<AttoFil, ClientError> {
        let actor = chain.actor(&self.address()).await.map_err(ClientError::chain)?;
        Ok(actor.map_or(AttoFil::ZERO, |actor| actor.balance))
    }

    /// Makes sure that the account holds `cost`; an account that holds less asks the devnet's faucet, and says so.
    /// Returns the balance.
    pub async fn fund(&self, chain: &ChainAccess, cost: AttoFil, report: &Report) -> Result<AttoFil, ClientError> {
        let balance = self.balance(chain).await?;
        if balance >= cost {
            return Ok(balance);
        }
        let address = self.address();
        let gift = match chain.faucet(&address).await {
            Ok(gift) => gift.amount,
            Err(ChainError::Rpc { message, .. }) => return self.granted_to_another(chain, cost, message).await,
            Err(error) => return Err(ClientError::chain(error)),
        };
        report.note(format!(
            "the account {address} holds {balance} FIL; asked the devnet's faucet for {gift} FIL"
        ));
        let gauge = report.wait("waiting for the faucet's money");
        let started = Instant::now();
        loop {
            let held = self.balance(chain).await?;
            if held > balance {
                if held < cost {
                    let advice = "choose a shorter duration or a smaller file".into();
                    return Err(self.too_poor(cost, held, advice));
                }
                return Ok(held);
            }
            if started.elapsed() > FAUCET_PATIENCE {
                let advice = "the faucet's money did not arrive; is the chain making blocks?".into();
                return Err(self.too_poor(cost, held, advice));
            }
            gauge.at(0);
            tokio::time::sleep(FAUCET_PAUSE).await;
        }
    }

    /// The balance after the faucet refused with `refusal`: it may have given to another process of this account a
    /// moment ago, and that money comes with one of the next blocks.
    pub(super) async fn granted_to_another(
        &self,
        chain: &ChainAccess,
        cost: AttoFil,
        refusal: String,
    ) -> Result<AttoFil, ClientError> {
        let mut heads = chain.heads();
        let last = chain
            .head()
            .await
            .map_err(ClientError::chain)?
            .height
            .plus(GRANT_BLOCKS);
        let started = Instant::now();
        loop {
            // The height before the balance: what is not there at the last height will not come.
            let height = chain.head().await.map_err(ClientError::chain)?.height;
            let held = self.balance(chain).await?;
            if held >= cost {
                return Ok(held);
            }
            if height >= last || started.elapsed() > FAUCET_PATIENCE {
                let advice = format!("the chain's faucet gives nothing now: {refusal}");
                return Err(self.too_poor(cost, held, advice));
            }
            // A head that is missed only delays the next look.
            let _ = tokio::time::timeout(FAUCET_PAUSE, heads.changed()).await;
        }
    }

    fn too_poor(&self, cost: AttoFil, balance: AttoFil, advice: String) -> ClientError {
        ClientError::Funds {
            address: self.address(),
            cost,
            balance,
            advice,
        }
    }
}

async fn lock_file(dir: &Path) -> Result<File, ClientError> {
    let path = dir.join("account.lock");
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(ClientError::file("open", &path))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_PATIENCE => {}
            Err(TryLockError::WouldBlock) => {
                let seconds = LOCK_PATIENCE.as_secs();
                return Err(ClientError::AccountBusy { path, seconds });
            }
            Err(TryLockError::Error(source)) => return Err(ClientError::file("lock", path)(source)),
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealdrop_wallet::WalletError;

    #[tokio::test]
    async fn processes_that_start_at_once_share_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let network = network();
        let open = || Account::open(dir.path(), DEFAULT, &network);
        let (one, two) = tokio::join!(open(), open());
        assert_eq!(one.unwrap().address(), two.unwrap().address());
    }

    #[tokio::test]
    async fn an_account_is_opened_by_its_address_and_numbers_its_messages_apart() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let network = network();
        let default = Account::open(dir.path(), DEFAULT, &network)
            .await
            .expect("a key is made");
        let wallet = Wallet::open(dir.path().join("wallet")).expect("it is there");
        let other = wallet.create(&network).expect("a key can be kept").address();
        let named = Account::open_as(dir.path(), DEFAULT, &network, Some(&other)).await;
        let named = named.expect("its key is in the wallet");
        assert_eq!(named.address(), other);
        assert_ne!(named.outbox(), default.outbox());
        let unknown = sealdrop_devnet::testing::key(7).address();
        let refused = Account::open_as(dir.path(), DEFAULT, &network, Some(&unknown))
            .await
            .err();
        assert!(
            matches!(refused, Some(ClientError::Wallet(WalletError::Unknown { address, .. })) if address == unknown)
        );
    }

    /// Finding B3.
    #[tokio::test]
    async fn on_another_network_there_is_another_account_and_no_key_of_the_first() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let (here, there) = (network(), shared::chain::keys::cid_of_bytes(b"there"));
        let ours = Account::open(dir.path(), DEFAULT, &here).await.expect("it is made");
        let theirs = Account::open(dir.path(), DEFAULT, &there).await.expect("it is made");
        assert_ne!(ours.address(), theirs.address());
        let refused = theirs.of(&ours.address()).await.err();
        assert!(matches!(
            refused,
            Some(ClientError::Wallet(WalletError::OtherNetwork { bound, .. })) if bound == here
        ));
    }

    fn network() -> Cid {
        shared::chain::keys::cid_of_bytes(b"genesis")
    }

    const DEFAULT: &str = "http://127.0.0.1:4403";
}
