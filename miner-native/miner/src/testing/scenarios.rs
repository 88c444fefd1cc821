//! Scenarios of the specification that need a whole miner: what a complete deal says, what becomes of the deals of a failed
//! sector, and what fails at a new head.

use super::{piece, World, SIZE};
use crate::ask_publisher::{self, AskError};
use crate::chain_access::ChainError;
use crate::packing;
use crate::proving::PostError;
use crate::sealing;
use crate::supervisor::Lifeline;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use cid::Cid;
use sealdrop_devnet::testing::produce;
use serde_json::{json, Value};
use shared::chain::rpc::{code, ErrorObject};
use shared::chain::{AttoFil, Epoch};
use shared::deal::{DealState, MinerEffect};
use shared::piece::{padded_for, InclusionProof, PieceSummary};
use shared::sector::{SectorEffect, SectorInput};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A paid deal whose piece of 400 bytes has arrived.
async fn delivered(world: &World, number: u8) -> (Cid, PieceSummary) {
    let (bytes, summary) = piece(number, 400);
    let signed = world.paid(&summary, 1, 5000).await;
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.state, DealState::Accepted);
    world.deliver(&cid, &summary, &bytes);
    (cid, summary)
}

/// spec §9.31: sector id, commitment message, three commitments and inclusion proof are what the chain has, for each of two
/// deals in one sector.
#[tokio::test(flavor = "multi_thread")]
async fn a_complete_deal_says_what_the_chain_says_of_its_sector() {
    let mut world = World::start().await;
    let deals = [delivered(&world, 1).await, delivered(&world, 2).await];
    world.seal(false).await;
    let view = world.view().await;
    for (cid, piece) in deals {
        let response = world.deal(&cid).deal.response();
        assert_eq!((response.state, response.message.as_str()), (DealState::Complete, ""));
        let proof = response.proof_info.expect("a complete deal has a proof");
        let sector = view.sectors.iter().find(|sector| sector.id == proof.sector_id);
        let sector = sector.expect("it is on the chain");
        let claimed = [proof.comm_d, proof.comm_r, proof.comm_r_star];
        assert_eq!(claimed, [sector.comm_d, sector.comm_r, sector.comm_r_star]);
        let message = world.client.message(&proof.commitment_message).await;
        let message = message.expect("the chain answers").expect("it is on the chain");
        assert_eq!(
            (message.method.as_str(), message.to),
            ("commitSector", view.address.clone())
        );
        let inclusion = proof.piece_inclusion_proof.expect("the piece lies there");
        let inclusion = InclusionProof::from_bytes(&inclusion.0).expect("well formed");
        let padded = padded_for(piece.size).expect("small");
        inclusion
            .verify(piece.comm_p, padded, sector.comm_d, SIZE)
            .expect("the piece lies in the sector that is on the chain");
    }
}

/// spec §9.35: all deals of a sector that is given up fail with its number, also when they are told again and after a
/// restart; the deal of another sector goes on and completes.
#[tokio::test(flavor = "multi_thread")]
async fn deals_of_a_failed_sector_fail_together_and_those_of_another_do_not() {
    let mut world = World::start().await;
    let failing = [
        delivered(&world, 1).await,
        delivered(&world, 2).await,
        delivered(&world, 3).await,
    ];
    packing::place(&world.miner().packing(), 0).expect("placed");
    packing::close_all(&world.miner().packing(), 0).expect("closed");
    let (other, _) = delivered(&world, 4).await;
    packing::place(&world.miner().packing(), 0).expect("placed");
    assert_eq!(world.deal(&other).deal.effect(), MinerEffect::AwaitSector { sector: 2 });
    // The staged pieces are gone: the sector cannot be sealed, and its operator gives it up.
    for (cid, summary) in &failing {
        assert_eq!(world.deal(cid).deal.effect(), MinerEffect::AwaitSector { sector: 1 });
        world.miner().staging.remove(&summary.data_cid).expect("removed");
    }
    let miner = world.miner().clone();
    while world
        .during(sealing::step(&miner.sealing(), 1))
        .await
        .expect("a step is done")
    {}
    drop(miner);
    let store = &world.miner().store;
    let sector = store.sector(1).expect("the store is whole").expect("it was made");
    assert_eq!(sector.sector.effect(), SectorEffect::AwaitOperator);
    store.advance_sector(1, SectorInput::GivenUp, 0).expect("it failed");
    let mut told = store.settle(1).expect("the store is whole");
    told.sort();
    let mut all = failing.map(|(cid, _)| cid);
    all.sort();
    assert!(told.is_empty() || told == all, "{told:?}");
    assert_eq!(store.settle(1).expect("again"), []);
    world.reopen().await;
    for cid in all {
        let response = world.deal(&cid).deal.response();
        assert_eq!((response.state, response.proof_info), (DealState::Failed, None));
        assert_eq!(response.message, "failed sealing sector: 1");
    }
    assert_eq!(world.deal(&other).deal.effect(), MinerEffect::AwaitSector { sector: 2 });
    world.seal(false).await;
    assert_eq!(world.deal(&other).deal.state(), DealState::Complete);
}

/// Another answer, made from the chain's own.
type Otherwise = fn(Value) -> Value;

/// Stands between the miner and the chain, and answers some methods otherwise than the chain does.
#[derive(Clone, Default)]
struct Relay {
    chain: Arc<Mutex<String>>,
    /// By method.
    otherwise: Arc<Mutex<BTreeMap<&'static str, Otherwise>>>,
}

impl Relay {
    /// Begins to listen; returns its URL.
    async fn serve(&self, chain: String) -> String {
        *self.chain.lock().expect("nobody panics with it") = chain;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let router = Router::new().route("/rpc", post(relay)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/rpc")
    }

    fn answers(&self, method: &'static str, otherwise: Otherwise) {
        let mut answers = self.otherwise.lock().expect("nobody panics with it");
        *answers = BTreeMap::from([(method, otherwise)]);
    }

    fn answers_truly(&self) {
        self.otherwise.lock().expect("nobody panics with it").clear();
    }
}

async fn relay(State(relay): State<Relay>, Json(request): Json<Value>) -> Json<Value> {
    let url = relay.chain.lock().expect("nobody panics with it").clone();
    // A proxy of the environment has no business between two programs on this machine.
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = http.post(url).json(&request).send().await;
    let answer: Value = answer.expect("the chain answers").json().await.expect("with JSON");
    let method = request["method"].as_str().unwrap_or_default();
    let otherwise = relay
        .otherwise
        .lock()
        .expect("nobody panics with it")
        .get(method)
        .copied();
    Json(match otherwise {
        Some(otherwise) => otherwise(answer),
        None => answer,
    })
}

fn refused(_: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32603, "message": "the state is gone" } })
}

fn with_a_sector_that_is_no_number(mut answer: Value) -> Value {
    answer["result"]["sectors"][0]["id"] = "one".into();
    answer
}

fn with_a_window_that_is_no_number(mut answer: Value) -> Value {
    answer["result"]["provingWindow"]["start"] = "soon".into();
    answer
}

fn without_a_result(mut answer: Value) -> Value {
    answer["result"] = Value::Null;
    answer
}

fn pruned(_: Value) -> Value {
    let error = ErrorObject::new(code::PRUNED, "so long ago").with_height(Epoch(1));
    json!({ "jsonrpc": "2.0", "id": 1, "error": error })
}

/// It would wait for news of that message for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_ask_of_which_the_chain_has_forgotten_what_came_is_published_again() {
    let mut world = World::start().await;
    let between = Relay::default();
    world.chain = between.serve(world.devnet.url()).await;
    world.reopen().await;
    let miner = world.miner().clone();
    let publisher = miner.ask_publisher();
    let change = crate::settings::SettingsChange {
        price: Some(AttoFil(77)),
        ..Default::default()
    };
    between.answers("chain.receipt", pruned);
    let changed = world.during(ask_publisher::change(&publisher, &change)).await;
    assert!(
        matches!(changed, Err(AskError::Delayed(ChainError::Pruned { .. }))),
        "{changed:?}"
    );
    between.answers_truly();
    world
        .during(ask_publisher::ensure(&publisher))
        .await
        .expect("it is published");
    assert_eq!(miner.settings.now().price, AttoFil(77));
    let view = world.view().await;
    let standing = view.standing_ask(world.devnet.head().height);
    assert_eq!(standing.map(|ask| ask.price), Some(AttoFil(77)));
}

/// spec §9.32: the queries for the miner and its sectors, for the window, for the randomness and for the head fail, or are
/// answered with what is no number. Each failure is an error of that head, nothing is sent, and the next head asks again. A
/// miner that the chain does not know (2019: one that was made in the genesis) has nothing to prove.
#[tokio::test(flavor = "multi_thread")]
async fn every_question_that_fails_at_a_new_head_surfaces_and_is_asked_again() {
    let mut world = World::start().await;
    world.complete(1, 5000).await;
    let window = world.view().await.proving_window.expect("there is a sector");
    let between = Relay::default();
    world.chain = between.serve(world.devnet.url()).await;
    world.reopen().await;
    world.skip_to(window.start.plus(15)).await;
    let miner = world.miner().clone();
    for method in ["chain.miner", "chain.beacon", "chain.head"] {
        between.answers(method, refused);
        let failed = world
            .tasks
            .proving
            .tick(&miner.proving(), world.devnet.head().height, &Lifeline::unsupervised())
            .await;
        let failed = failed.expect_err(method);
        assert!(
            matches!(&failed, PostError::Chain(ChainError::Rpc { message, .. }) if message == "the state is gone"),
            "{method}: {failed}"
        );
    }
    for otherwise in [with_a_sector_that_is_no_number, with_a_window_that_is_no_number] {
        between.answers("chain.miner", otherwise);
        let failed = world
            .tasks
            .proving
            .tick(&miner.proving(), world.devnet.head().height, &Lifeline::unsupervised())
            .await;
        let failed = failed.expect_err("it is no view of a miner");
        assert!(
            matches!(failed, PostError::Chain(ChainError::Protocol { .. })),
            "{failed}"
        );
    }
    between.answers("chain.miner", without_a_result);
    let nobody = world
        .tasks
        .proving
        .tick(&miner.proving(), world.devnet.head().height, &Lifeline::unsupervised())
        .await;
    nobody.expect("a miner that is not there proves nothing");
    let posts = |world: &World| {
        let (chain, address) = (world.client.clone(), world.miner().address.clone());
        async move {
            let view = chain.miner(&address).await.expect("the chain answers");
            view.expect("it is registered").posts
        }
    };
    produce(&world.devnet);
    assert_eq!(posts(&world).await, 0, "nothing was sent");
    between.answers_truly();
    world.tick().await;
    assert_eq!(posts(&world).await, 1);
}
