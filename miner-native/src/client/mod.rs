//! The client of the command line: a deal from a file to a proof without a browser (design §2).
//!
//! Called by [`crate::commands`]. What is decided, is decided by the engine that the page has too ([`shared::client`]); here
//! are the edges: the book of deals ([`book`]), the account and its messages ([`account`], [`chain`]), the libp2p node
//! ([`network`]) with the files that it serves ([`serving`]), sends over HTTP (`uploading`) and measures on every core (`hashing`), and what the user sees
//! ([`report`]). [`imports`] knows files by their CID, [`miner_offers`] asks for the network's miners, [`proposing`] does all
//! that comes before money is locked, [`storing`] makes deals and goes on with them, [`cli_host`] has the edges of one deal, [`files`] does
//! all of that for files of any size and for folders, which [`stored_files`] keeps (with the keys of encrypted ones, `kept_keys`, of which `reading` makes
//! what is stored),
//! [`refund`] says when money is taken back, [`fetching`] brings files back to a
//! [`destination`] over files under way ([`partial`]), [`checking`] asks how a deal stands,
//! [`explaining`] why it is not done, [`verifying`] checks it and [`proofs`] its proofs, [`receipts`] shows it to others, [`vouchers`] lists
//! what a deal pays, [`channels`] is for payment channels without deals, [`backup`] makes backups of the book and takes them back.
//!
//! Any number of these processes may run at once on one directory: each deal has its own file and lock, and the account's
//! messages are numbered by one process at a time.

pub mod account;
pub mod backup;
pub mod book;
pub mod chain;
pub mod channels;
pub mod checking;
pub mod cli_host;
pub mod destination;
pub mod error;
pub mod explaining;
pub mod fetching;
pub mod files;
mod former;
mod hashing;
mod history;
pub mod imports;
pub mod kept_keys;
pub mod miner_connection;
mod miner_http;
pub mod miner_offers;
pub mod network;
pub mod partial;
pub mod proofs;
pub mod proposing;
pub mod proven_range;
mod ranged;
mod reading;
pub mod receipts;
pub mod refund;
pub mod report;
pub mod serving;
pub mod source;
pub mod stored_files;
pub mod storing;
mod uploading;
pub mod verifying;
pub mod vouchers;

#[cfg(test)]
mod tests;

pub use account::Account;
pub use book::{Book, Record};
pub use cli_host::Until;
pub use error::ClientError;
pub use report::Report;

use chain::AccountChain;
use network::Network;
use sealdrop_miner::chain_access::{genesis_at, rpc_url, ChainAccess};
use serving::Offers;
use shared::chain::Address;
use std::collections::BTreeMap;
use std::path::Path;

/// What every command that talks to the world has.
pub struct Session {
    pub book: Book,
    pub account: Account,
    /// For questions only; messages go through [`Account::lock`].
    pub chain: ChainAccess,
    pub network: Network,
    pub offers: Offers,
    pub report: Report,
}

impl Session {
    /// Opens the client's directory, connects to the chain and starts a libp2p node.
    pub async fn open(dir: &Path, chain: &str, report: Report) -> Result<Self, ClientError> {
        let book = Book::open(dir)?;
        let network = genesis_at(&rpc_url(chain)).await.map_err(ClientError::chain)?;
        let account = Account::open(dir, chain, &network).await?;
        let chain = account.reader().await?;
        let offers = Offers::default();
        let network = Network::start(offers.clone()).map_err(ClientError::Node)?;
        Ok(Self {
            book,
            account,
            chain,
            network,
            offers,
            report,
        })
    }

    /// The chain as the engine asks for it.
    pub fn account_chain(&self) -> AccountChain {
        AccountChain {
            reader: self.chain.clone(),
            account: self.account.clone(),
        }
    }

    /// The same session, whose steps are told with `report`.
    pub(crate) fn reporting(&self, report: Report) -> Self {
        Self {
            book: self.book.clone(),
            account: self.account.clone(),
            chain: self.chain.clone(),
            network: self.network.clone(),
            offers: self.offers.clone(),
            report,
        }
    }

    /// The chain that this session is on, by its genesis id.
    pub fn genesis(&self) -> &str {
        &self.chain.connected_network().genesis
    }

    /// How many deals of this chain the book has with each miner, without those that have failed.
    pub(crate) fn deals_of_miners(&self) -> Result<BTreeMap<Address, usize>, ClientError> {
        let mut deals = BTreeMap::<Address, usize>::new();
        self.book.each(|record| {
            if record.genesis == self.genesis() && !record.is_failed() {
                let count = deals.entry(record.deal.draft.miner.clone()).or_default();
                *count = count.saturating_add(1);
            }
        })?;
        Ok(deals)
    }

    /// A deal of another chain means nothing here.
    pub(crate) fn check_chain(&self, record: &Record) -> Result<(), ClientError> {
        if record.genesis == self.genesis() {
            return Ok(());
        }
        Err(ClientError::OtherChain {
            url: self.chain.url().to_owned(),
            ours: record.genesis.clone(),
            theirs: self.genesis().to_owned(),
        })
    }
}
