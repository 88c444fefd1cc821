//! Asking miners whether they would take a deal now, for their list and for a choice by rule; what follows from their answers says
//! [`shared::client::choosing`].

use crate::clock;
use crate::engine::Engine;
use crate::error::ClientError;
use crate::network::NetworkError;
use crate::public_types::Survey;
use futures::StreamExt;
use shared::chain::view::MinerView;
use shared::chain::{Address, AttoFil, Epoch};
use shared::client::choosing::{self, ASKED_AT_ONCE, ASK_LIMIT_MS, USUAL_DURATION};
use shared::client::{Choice, Choosing, MinerAnswer, MinerOffer, MinerRule};
use shared::deal::{QuoteRequest, SignedQuote};
use shared::wire::protocol;
use std::collections::BTreeMap;

/// What miners are asked about.
pub struct Question {
    pub rule: MinerRule,
    /// Bytes; 0 where no file is chosen yet.
    pub size: u64,
    /// Blocks; 0 where that is not known yet.
    pub duration: u64,
    /// The deals of this browser with each miner.
    pub deals: BTreeMap<Address, usize>,
}

/// The first miner by the rule that takes the deal, among those with whom it costs no more than `most`.
pub async fn choose(engine: &Engine, question: Question, most: Option<AttoFil>) -> Result<Choice, ClientError> {
    Ok(ask(engine, question, false, most).await?.finish()?)
}

/// The first of some miners by the rule that takes the deal.
pub async fn choose_among(
    engine: &Engine,
    question: Question,
    miners: Vec<MinerView>,
    height: Epoch,
) -> Result<Choice, ClientError> {
    Ok(ask_among(engine, question, false, (miners, height), None)
        .await?
        .finish()?)
}

/// What all miners say that could take the deal, and whom the rule takes.
pub async fn survey(engine: &Engine, question: Question) -> Result<Survey, ClientError> {
    let choosing = match ask(engine, question, true, None).await {
        Ok(choosing) => choosing,
        Err(ClientError::Offer(error)) => return Ok(Survey::none(ClientError::from(error).problem())),
        Err(error @ ClientError::FileTooLarge { .. }) => return Ok(Survey::none(error.problem())),
        Err(error) => return Err(error),
    };
    let answers = choosing.answers().to_vec();
    Ok(match choosing.finish() {
        Ok(choice) => Survey {
            answers,
            miner: Some(choice.offer.view.address),
            passed_over: choice.by_rule.passed,
            problem: None,
        },
        Err(error) => Survey {
            answers,
            ..Survey::none(ClientError::from(error).problem())
        },
    })
}

async fn ask(engine: &Engine, question: Question, all: bool, most: Option<AttoFil>) -> Result<Choosing, ClientError> {
    let choosable = engine.choosable(None).await?;
    ask_among(engine, question, all, choosable, most).await
}

async fn ask_among(
    engine: &Engine,
    question: Question,
    all: bool,
    (miners, height): (Vec<MinerView>, Epoch),
    most: Option<AttoFil>,
) -> Result<Choosing, ClientError> {
    let Question {
        rule,
        size,
        duration,
        deals,
    } = question;
    let own = engine.payer.clone();
    let duration = if duration == 0 { USUAL_DURATION } else { duration };
    let choosing = Choosing::begin(rule, miners, &own, size, height, &deals)?;
    let mut choosing = choosing.within(most, size, duration)?;
    if choosing.is_settled() && !all {
        return Ok(choosing);
    }
    let asked = choosing.asked().into_iter().map(|offer| {
        let request = match size {
            0 => choosing::usual_question(&offer, &own),
            size => choosing::question(&offer, &own, size, duration),
        };
        async move { answer(engine, &offer, request).await }
    });
    let mut answers = futures::stream::iter(asked).buffered(ASKED_AT_ONCE);
    while let Some(answer) = answers.next().await {
        if choosing.hear(answer) && !all {
            break;
        }
    }
    drop(answers);
    Ok(choosing)
}

/// What a miner says to a question, and how far away it is.
async fn answer(engine: &Engine, offer: &MinerOffer, request: Option<QuoteRequest>) -> MinerAnswer {
    let (miner, now) = (&offer.view.address, || clock::now() as u64);
    let Some(request) = request else {
        return MinerAnswer::unasked(miner, None, now());
    };
    let limit = i32::try_from(ASK_LIMIT_MS).unwrap_or(i32::MAX);
    match clock::within(limit, asked(engine, offer, &request)).await {
        Some(Ok(answer)) => answer,
        Some(Err(reason)) => MinerAnswer::silent(miner, reason, now()),
        None => MinerAnswer::silent(miner, format!("no answer within {} s", ASK_LIMIT_MS / 1000), now()),
    }
}

async fn asked(engine: &Engine, offer: &MinerOffer, request: &QuoteRequest) -> Result<MinerAnswer, String> {
    let (miner, peer) = (&offer.view.address, &offer.view.peer_id);
    let peer = engine.reach(miner, peer).await.map_err(|error| match error {
        ClientError::MinerUnreachable { reason, .. } => reason,
        other => other.to_string(),
    })?;
    // The way is measured without the dial.
    let started = clock::now();
    let took = || (clock::now() - started) as u64;
    let conversation = match engine.network.converse(peer, protocol::QUOTE).await {
        Ok(conversation) => conversation,
        Err(NetworkError::Protocol(_)) => return Ok(MinerAnswer::unasked(miner, Some(took()), clock::now() as u64)),
        Err(error) => return Err(error.to_string()),
    };
    let signed: SignedQuote = conversation.ask(request).await.map_err(|error| error.to_string())?;
    Ok(MinerAnswer::heard(&signed, request, offer, took(), clock::now() as u64))
}
