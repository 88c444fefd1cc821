//! Whom a deal is made with (step 3 of a deal): the miner and the ask that were named, or the cheapest that takes the file.

use super::error::{step, ClientError};
use super::miner_connection::MinerConnection;
use super::source::FileFacts;
use super::storing::DEFAULT_DURATION;
use super::Session;
use futures::StreamExt;
use serde::Serialize;
use shared::chain::keys::cid_of_bytes;
use shared::chain::view::{AskView, MinerView};
use shared::chain::{Address, AttoFil, Epoch};
use shared::client::{quoting, MinerOffer};
use shared::deal::review::price_of;
use shared::deal::{QuoteRequest, SignedQuote};
use shared::wire::protocol;
use std::time::Duration;
use tokio::time::Instant;

/// How long a network without any miner is waited for: a daemon that has just started registers its own.
const MINER_PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks for it.
const MINER_PAUSE: Duration = Duration::from_millis(500);

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
) -> Result<MinerOffer, ClientError> {
    let miners = open_miners(session).await?;
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    let own = session.account.address();
    let chosen = MinerOffer::choose(miners, miner, ask, &own, file.size, height);
    chosen.map_err(|error| ClientError::offer(error, session.chain.url(), &file.path))
}

/// The same miner and ask as the chain has them now, and its height: the whole proposal counts from it.
pub async fn renewed(
    session: &Session,
    offer: &MinerOffer,
    file: &FileFacts,
) -> Result<(MinerOffer, Epoch), ClientError> {
    let head = session.chain.head().await.map_err(ClientError::chain);
    let height = head.map_err(ClientError::in_step(step::HEAD))?.height;
    let asked = &offer.view.address;
    let view = session.chain.miner(asked).await.map_err(ClientError::chain)?;
    let view = view.ok_or_else(|| ClientError::UnknownMiner { asked: asked.clone() })?;
    let offer = MinerOffer::of(view, Some(offer.ask.id), height);
    let offer = offer.map_err(|error| ClientError::offer(error, session.chain.url(), &file.path))?;
    Ok((offer, height))
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

/// Miners that are asked whether they take deals, at most; the first of the list.
const MOST_ASKED: usize = 32;
/// Of those, so many at once.
const ASKED_AT_ONCE: usize = 8;
/// Bytes of the deal that they are asked about, where they take as many.
const USUAL_SIZE: u64 = 1 << 20;
/// How long one of them is waited for.
const ASK_LIMIT: Duration = Duration::from_secs(3);

/// What a miner says of an ordinary deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// It would take one now.
    Now,
    /// It would not: the code and text of its reason.
    Not {
        code: u64,
        message: String,
        retry_ms: Option<u64>,
    },
    /// It does not say, or cannot be asked.
    Unknown,
}

/// Asks miners whether they would take an ordinary deal now: as long as one without `--duration`, of at most a mebibyte.
pub async fn taking(session: &Session, miners: &[MinerView], height: Epoch) -> Vec<Takes> {
    let asked = miners.iter().take(MOST_ASKED).map(|miner| async move {
        let answer = tokio::time::timeout(ASK_LIMIT, asked(session, miner, height)).await;
        answer.ok().flatten().unwrap_or(Takes::Unknown)
    });
    let mut taking: Vec<Takes> = futures::stream::iter(asked).buffered(ASKED_AT_ONCE).collect().await;
    taking.resize(miners.len(), Takes::Unknown);
    taking
}

async fn asked(session: &Session, miner: &MinerView, height: Epoch) -> Option<Takes> {
    let ask = miner.standing_ask(height)?;
    let (size, duration) = (miner.usable_bytes.min(USUAL_SIZE), DEFAULT_DURATION);
    let request = QuoteRequest {
        payer: session.account.address(),
        miner: miner.address.clone(),
        piece_ref: cid_of_bytes(&[]),
        size,
        total_price: price_of(ask.price, size, duration)?,
        duration,
    };
    let (network, chain) = (session.network.clone(), session.chain.clone());
    let mut connection = MinerConnection::new(network, chain, miner.address.clone(), &miner.peer_id).ok()?;
    let signed: SignedQuote = connection.ask_once(protocol::QUOTE, &request).await.ok()?;
    quoting::check(&signed, &request, &miner.worker).ok()?;
    let quote = signed.quote;
    Some(match quote.is_accepted() {
        true => Takes::Now,
        false => Takes::Not {
            code: quote.code,
            message: quote.message,
            retry_ms: quote.retry_ms,
        },
    })
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
}
