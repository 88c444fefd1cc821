//! Whom a deal is made with (step 3 of a deal): the miner and the ask that were named, or the first by a rule that takes the file. Miners
//! are asked here; what follows from their answers says [`shared::client::choosing`].

use super::error::{step, ClientError};
use super::miner_connection::MinerConnection;
use super::network::NetworkError;
use super::proposing::Order;
use super::source::FileFacts;
use super::Session;
use futures::StreamExt;
use sealdrop_miner::clock::now_ms;
use serde::Serialize;
use shared::chain::view::{AskView, MinerView};
use shared::chain::{Address, AttoFil, Epoch};
use shared::client::{choosing, ByRule, Choice, Choosing, MinerAnswer, MinerOffer, MinerRule, OfferError, PassedOver};
use shared::deal::{QuoteRequest, SignedQuote};
use shared::wire::protocol;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a network without any miner is waited for: a daemon that has just started registers its own.
const MINER_PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks for it.
const MINER_PAUSE: Duration = Duration::from_millis(500);

/// Whom a deal is made with, and how that was decided unless its user did.
pub type Chosen = (MinerOffer, Option<ByRule>);

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

/// The miner and the ask named, or the first by the rule that takes the file; those before it are told.
pub async fn choose(session: &Session, file: &FileFacts, order: &Order) -> Result<Chosen, ClientError> {
    let miners = open_miners(session).await?;
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    let wrong = |error| ClientError::offer(error, session.chain.url(), &file.path);
    if let Some(miner) = &order.miner {
        let offer = MinerOffer::named(miners, miner, order.ask, file.size, height).map_err(wrong)?;
        return Ok((offer, None));
    }
    let deals = deals_by_rule(session, order.rule)?;
    let own = session.account.address();
    let choosing = Choosing::begin(order.rule, miners, &own, file.size, height, &deals)
        .and_then(|choosing| choosing.within(order.most, file.size, order.duration))
        .map_err(wrong)?;
    let chosen = settle(session, choosing, (file.size, order.duration)).await;
    let Choice { offer, by_rule } = chosen.map_err(wrong)?;
    for PassedOver { miner, reason } in &by_rule.passed {
        session.report.note(format!("miner {miner} is passed over: {reason}"));
    }
    Ok((offer, Some(by_rule)))
}

/// This client's deals with each miner, as far as the rule goes by them: the book may be long.
pub(super) fn deals_by_rule(session: &Session, rule: MinerRule) -> Result<BTreeMap<Address, usize>, ClientError> {
    match rule {
        MinerRule::Spread => session.deals_of_miners(),
        MinerRule::Cheapest | MinerRule::Nearest => Ok(BTreeMap::new()),
    }
}

/// The first of `miners` by a rule that takes so many bytes for so many blocks, where this client has so many deals with each.
pub(super) async fn choose_among(
    session: &Session,
    (miners, height): (Vec<MinerView>, Epoch),
    (rule, size, duration): (MinerRule, u64, u64),
    deals: &BTreeMap<Address, usize>,
) -> Result<Choice, OfferError> {
    let own = session.account.address();
    let choosing = Choosing::begin(rule, miners, &own, size, height, deals)?;
    settle(session, choosing, (size, duration)).await
}

/// Makes a choice: the only miner need not be asked.
async fn settle(session: &Session, choosing: Choosing, (size, duration): (u64, u64)) -> Result<Choice, OfferError> {
    match choosing.is_settled() {
        true => choosing.finish(),
        false => by_asking(session, choosing, (size, duration)).await,
    }
}

/// Asks the miners of a choice, several at once, until it is made.
async fn by_asking(
    session: &Session,
    mut choosing: Choosing,
    (size, duration): (u64, u64),
) -> Result<Choice, OfferError> {
    let payer = session.account.address();
    let asked = choosing.asked().into_iter().map(|offer| {
        let request = choosing::question(&offer, &payer, size, duration);
        async move { answer(session, &offer, request).await }
    });
    let gauge = session.report.wait("asking miners");
    let mut answers = futures::stream::iter(asked).buffered(choosing::ASKED_AT_ONCE);
    while let Some(answer) = answers.next().await {
        if choosing.hear(answer) {
            break;
        }
    }
    drop(gauge);
    choosing.finish()
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
pub(super) async fn open_miners(session: &Session) -> Result<Vec<MinerView>, ClientError> {
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

/// Asks miners whether they would take an ordinary deal now ([`choosing::usual_question`]); the first of the list, if there are many.
pub async fn answers(session: &Session, miners: &[MinerView], height: Epoch) -> Vec<MinerAnswer> {
    let payer = session.account.address();
    let asked = miners.iter().enumerate().map(|(index, miner)| {
        let offer = MinerOffer::of(miner.clone(), None, height).ok();
        let offer = offer.filter(|_| index < choosing::MOST_ASKED);
        let payer = &payer;
        async move {
            match offer {
                Some(offer) => answer(session, &offer, choosing::usual_question(&offer, payer)).await,
                None => MinerAnswer::unasked(&miner.address, None, now_ms()),
            }
        }
    });
    let asked = futures::stream::iter(asked).buffered(choosing::ASKED_AT_ONCE);
    asked.collect().await
}

/// What a miner says to a question, and how far away it is.
async fn answer(session: &Session, offer: &MinerOffer, request: Option<QuoteRequest>) -> MinerAnswer {
    let miner = &offer.view.address;
    let Some(request) = request else {
        return MinerAnswer::unasked(miner, None, now_ms());
    };
    let limit = Duration::from_millis(choosing::ASK_LIMIT_MS);
    match tokio::time::timeout(limit, asked(session, offer, &request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => MinerAnswer::silent(miner, error.to_string(), now_ms()),
        Err(_) => MinerAnswer::silent(miner, format!("no answer within {} s", limit.as_secs()), now_ms()),
    }
}

async fn asked(session: &Session, offer: &MinerOffer, request: &QuoteRequest) -> Result<MinerAnswer, ClientError> {
    let (miner, peer) = (&offer.view.address, &offer.view.peer_id);
    let mut connection = MinerConnection::new(session.network.clone(), session.chain.clone(), miner.clone(), peer)?;
    let lost = |source| ClientError::Peer {
        miner: miner.clone(),
        source,
    };
    // The way is measured without the dial.
    connection.connect().await.map_err(lost)?;
    let started = Instant::now();
    let answer: Result<SignedQuote, NetworkError> = connection.ask_once(protocol::QUOTE, request).await;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match answer {
        Ok(signed) => Ok(MinerAnswer::heard(&signed, request, offer, took_ms, now_ms())),
        Err(NetworkError::Protocol(_)) => Ok(MinerAnswer::unasked(miner, Some(took_ms), now_ms())),
        Err(error) => Err(lost(error)),
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
}
