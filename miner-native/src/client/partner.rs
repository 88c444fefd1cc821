//! Whom a deal is made with (step 3 of a deal): the miner and the ask that were named, or the cheapest that takes the file.

use super::error::ClientError;
use super::source::FileFacts;
use super::Session;
use serde::Serialize;
use shared::chain::view::{AskView, MinerView};
use shared::chain::{Address, AttoFil, Epoch};
use shared::piece::SectorSize;
use std::time::Duration;
use tokio::time::Instant;

/// How long a network without any miner is waited for: a daemon that has just started registers its own.
const MINER_PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks for it.
const MINER_PAUSE: Duration = Duration::from_millis(500);

/// A miner, and the ask that a deal with it goes by.
#[derive(Debug, Clone)]
pub struct Partner {
    pub view: MinerView,
    pub sector: SectorSize,
    pub ask: AskView,
}

/// One line of `client list-asks` (spec §6.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    pub miner: Address,
    pub id: u64,
    /// FIL for one byte in one block.
    pub price: AttoFil,
    /// First height at which it no longer stands.
    pub expiry: Epoch,
}

impl std::fmt::Display for Offer {
    /// As the tools of 2019 printed it: `<miner> <id padded to 3> <price FIL> <expiry>`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            miner,
            id,
            price,
            expiry,
        } = self;
        write!(f, "{miner} {id:03} {price} {expiry}")
    }
}

/// Every ask of these miners that stands at `height`, or with `expired` every one that the chain knows.
pub fn offers(miners: &[MinerView], height: Epoch, expired: bool) -> Vec<Offer> {
    let of = |miner: &MinerView| {
        let standing = miner.asks.iter().filter(|ask| expired || height < ask.expiry);
        let offer = |ask: &AskView| Offer {
            miner: miner.address.clone(),
            id: ask.id,
            price: ask.price,
            expiry: ask.expiry,
        };
        standing.map(offer).collect::<Vec<_>>()
    };
    miners.iter().flat_map(of).collect()
}

/// The miner and the ask named, or the cheapest that takes the file.
pub async fn choose(
    session: &Session,
    file: &FileFacts,
    miner: Option<&Address>,
    ask: Option<u64>,
) -> Result<Partner, ClientError> {
    let miners = open_miners(session).await?;
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    match miner {
        Some(asked) => {
            let found = miners.into_iter().find(|miner| miner.address == *asked);
            let view = found.ok_or_else(|| ClientError::UnknownMiner { asked: asked.clone() })?;
            let partner = Partner::of(view, ask, height)?;
            match file.size <= partner.sector.usable() {
                true => Ok(partner),
                false => Err(partner.too_small(file)),
            }
        }
        None => cheapest(session, file, miners, height),
    }
}

fn cheapest(
    session: &Session,
    file: &FileFacts,
    miners: Vec<MinerView>,
    height: Epoch,
) -> Result<Partner, ClientError> {
    let own = session.account.address();
    // One's own miner would refuse the deal.
    let working = |miner: &MinerView| miner.slashed_at.is_none() && miner.owner != own && miner.worker != own;
    let working = miners.into_iter().filter(working);
    let partners: Vec<Partner> = working
        .filter_map(|view| Partner::of(view, None, height).ok())
        .collect();
    let largest = partners.iter().max_by_key(|partner| partner.sector);
    let refused = largest.map(|partner| partner.too_small(file));
    let fitting = partners.iter().filter(|partner| file.size <= partner.sector.usable());
    let cheapest = fitting.min_by_key(|partner| (partner.ask.price, partner.view.address.to_string()));
    let none = || ClientError::NoMiners {
        url: session.chain.url().to_owned(),
    };
    cheapest.cloned().ok_or_else(|| refused.unwrap_or_else(none))
}

/// The network's miners; of a network that has just started, after a moment.
async fn open_miners(session: &Session) -> Result<Vec<MinerView>, ClientError> {
    let started = Instant::now();
    let mut gauge = None;
    loop {
        let miners = session.chain.miners().await.map_err(ClientError::chain)?;
        let height = session.chain.head().await.map_err(ClientError::chain)?.height;
        let open = miners.iter().any(|miner| miner.standing_ask(height).is_some());
        if open || started.elapsed() > MINER_PATIENCE {
            return Ok(miners);
        }
        gauge
            .get_or_insert_with(|| session.report.wait("waiting for the network's first miner"))
            .at(0);
        tokio::time::sleep(MINER_PAUSE).await;
    }
}

impl Partner {
    /// A miner with its ask of this id, or its newest one; fails when that does not stand at `height`.
    pub fn of(view: MinerView, ask: Option<u64>, height: Epoch) -> Result<Self, ClientError> {
        let sector = SectorSize::try_from(view.sector_size).map_err(|_| ClientError::SectorSize {
            miner: view.address.clone(),
            bytes: view.sector_size,
        })?;
        let ask = match ask {
            None => view.standing_ask(height).cloned().ok_or_else(|| ClientError::NoAsk {
                miner: view.address.clone(),
            })?,
            Some(id) => ask_of(&view, id, height)?,
        };
        Ok(Self { view, sector, ask })
    }

    /// The same miner and ask as the chain has them now, and its height: the whole proposal counts from it.
    pub async fn renewed(&self, session: &Session) -> Result<(Self, Epoch), ClientError> {
        let asked = &self.view.address;
        let head = session.chain.head().await.map_err(ClientError::chain)?;
        let view = session.chain.miner(asked).await.map_err(ClientError::chain)?;
        let view = view.ok_or_else(|| ClientError::UnknownMiner { asked: asked.clone() })?;
        let partner = Self::of(view, Some(self.ask.id), head.height)?;
        Ok((partner, head.height))
    }

    fn too_small(&self, file: &FileFacts) -> ClientError {
        ClientError::TooLarge {
            path: file.path.clone(),
            size: file.size,
            miner: self.view.address.clone(),
            sector: self.sector,
            usable: self.sector.usable(),
        }
    }
}

fn ask_of(view: &MinerView, id: u64, height: Epoch) -> Result<AskView, ClientError> {
    let miner = || view.address.clone();
    let found = view.asks.iter().find(|ask| ask.id == id);
    match found {
        None => Err(ClientError::UnknownAsk { miner: miner(), id }),
        Some(ask) if ask.expiry <= height => Err(ClientError::AskExpired {
            miner: miner(),
            id,
            expiry: ask.expiry,
        }),
        Some(ask) => Ok(ask.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::SecretKey;

    fn miner() -> MinerView {
        let address = |byte| {
            SecretKey::from_bytes(&[byte; 32])
                .expect("a small number is a key")
                .address()
        };
        let ask = |id, price, expiry| AskView {
            id,
            price: AttoFil::from_fil(price),
            expiry: Epoch(expiry),
        };
        MinerView {
            address: address(1),
            owner: address(2),
            worker: address(2),
            peer_id: "p".into(),
            sector_size: 2048,
            usable_bytes: 2032,
            power: 0,
            balance: AttoFil::ZERO,
            collateral: AttoFil::ZERO,
            deposits: AttoFil::ZERO,
            free_balance: AttoFil::ZERO,
            asks: vec![ask(0, 20, 11), ask(1, 30, 50)],
            proving_window: None,
            sectors: Vec::new(),
            pre_commits: Vec::new(),
            done: Vec::new(),
            last_used_sector_id: 0,
            last_post: None,
            posts: 0,
            post_state: Default::default(),
            proof_deadline: None,
            late_fee: AttoFil::ZERO,
            slashed_at: None,
        }
    }

    /// spec §9.15: price 20, expiry 10 set at height 1.
    #[test]
    fn an_ask_is_listed_as_its_miner_padded_id_price_and_expiry() {
        let miner = miner();
        let lines = |height, expired| {
            let offers = offers(std::slice::from_ref(&miner), Epoch(height), expired);
            offers.iter().map(Offer::to_string).collect::<Vec<_>>()
        };
        let (first, second) = (
            format!("{} 000 20 11", miner.address),
            format!("{} 001 30 50", miner.address),
        );
        assert_eq!(lines(1, false), [first.clone(), second.clone()]);
        assert_eq!(lines(11, false), [second.clone()]);
        assert_eq!(lines(11, true), [first, second]);
    }

    #[test]
    fn a_deal_goes_by_the_ask_that_was_named_while_it_stands() {
        let at = |ask, height| Partner::of(miner(), ask, Epoch(height));
        assert_eq!(at(Some(0), 10).expect("it stands").ask.price, AttoFil::from_fil(20));
        assert_eq!(at(None, 10).expect("one stands").ask.id, 1);
        assert!(matches!(
            at(Some(0), 11),
            Err(ClientError::AskExpired {
                id: 0,
                expiry: Epoch(11),
                ..
            })
        ));
        assert!(matches!(at(Some(7), 10), Err(ClientError::UnknownAsk { id: 7, .. })));
        assert!(matches!(at(None, 50), Err(ClientError::NoAsk { .. })));
    }
}
