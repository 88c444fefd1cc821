//! What the miner says of deals before they are made and while they run.

use super::*;
use crate::packing;
use shared::sector::SectorInput;

#[tokio::test(flavor = "multi_thread")]
async fn terms_are_answered_with_the_workers_signature_and_longer_requests_than_any_are_not_read() {
    let world = World::start().await;
    let (_, summary) = file();
    for browser in [false, true] {
        let mut client = world.client(browser).await;
        let mut request = QuoteRequest {
            payer: SecretKey::from_bytes(&[1; 32]).unwrap().address(),
            miner: world.miner.address.clone(),
            piece_ref: summary.data_cid,
            size: summary.size,
            total_price: AttoFil::ZERO,
            duration: 50_000,
        };
        let quote: SignedQuote = client.ask(protocol::QUOTE, &request).await;
        assert!(quote.is_signed_by(&world.miner.owner));
        assert_eq!(quote.quote.request, request.cid());
        assert!(quote.quote.is_accepted(), "{quote:?}");
        request.duration = 0;
        let quote: SignedQuote = client.ask(protocol::QUOTE, &request).await;
        assert_eq!(quote.quote.code, 1004);
        let mut stream = client
            .control
            .open_stream(client.miner, StreamProtocol::new(protocol::QUOTE))
            .await
            .unwrap();
        frames::write(&mut stream, &"x".repeat(MAX_REQUEST)).await.unwrap();
        let answer = frames::read::<SignedQuote, _>(&mut stream).await;
        assert!(
            matches!(answer, Err(StreamError::Closed | StreamError::Broken(_))),
            "{answer:?}"
        );
    }
}

/// A sector that holds a deal's piece and takes no more.
async fn closed_sector(world: &World, number: u64) -> u64 {
    let (store, (_, summary)) = (&world.miner.store, file());
    let mut proposal = free_deal(&world.miner, &summary).proposal;
    proposal.duration += number;
    let signed = proposal.sign(&SecretKey::from_bytes(&[1; 32]).unwrap());
    let cid = signed.cid();
    let answer = propose::decide(&world.miner.reviewer(), signed, PeerId::random()).await;
    assert_eq!(answer.unwrap().state, DealState::Accepted);
    let comm_p = summary.comm_p;
    store.advance_deal(&cid, MinerInput::PieceReceived { comm_p }).unwrap();
    let sector = store.place(&cid, SectorSize::S8MiB, 0).unwrap();
    store.advance_sector(sector, SectorInput::Close, 0).unwrap();
    sector
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_would_be_over_before_the_sectors_in_front_of_its_own_are_sealed_is_refused() {
    let world = World::start().await;
    let (store, packing) = (&world.miner.store, world.miner.reviewer().packing);
    let sector = closed_sector(&world, 1).await;
    let (epoch, ticket) = (Epoch(1), [1; 32]);
    store
        .advance_sector(sector, SectorInput::TicketDrawn { epoch, ticket }, 0)
        .unwrap();
    // Two seconds, which are a hundred blocks here.
    let output = vec![1];
    store
        .advance_sector(sector, SectorInput::PreCommit1Done { output }, 2000)
        .unwrap();
    let refused = |blocks: u64| {
        let refused = packing::too_short(&packing, Epoch(1000 + blocks), Epoch(1000));
        refused.unwrap().is_some()
    };
    assert!(refused(100) && !refused(150), "it is the next to be sealed");
    for number in 2..=3 {
        closed_sector(&world, number).await;
    }
    assert!(refused(150) && refused(300) && !refused(350), "two come before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_a_deal_hears_of_its_next_state_and_not_before_it_comes() {
    let world = World::start().await;
    let (mut client, mut watcher) = (world.client(false).await, world.client(true).await);
    let (_, summary) = file();
    let signed = free_deal(&world.miner, &summary);
    let cid = signed.cid();
    let watch = move |state| WatchRequest { cid, state };
    let answer: SignedResponse = watcher.ask(protocol::WATCH_DEAL, &watch(DealState::Accepted)).await;
    assert_eq!(
        response(&answer, &world.miner.owner).state,
        DealState::Unknown,
        "news to who took it for accepted"
    );
    client.propose(&signed).await;
    let waiting = tokio::spawn(async move { watcher.ask(protocol::WATCH_DEAL, &watch(DealState::Accepted)).await });
    for _ in 0..3 {
        let asked = response(&client.query(cid).await, &world.miner.owner);
        assert_eq!(asked.state, DealState::Accepted);
    }
    assert!(!waiting.is_finished(), "there is no news");
    let (store, comm_p) = (&world.miner.store, summary.comm_p);
    // A change, but of nothing that a peer is told.
    store.advance_deal(&cid, MinerInput::PieceReceived { comm_p }).unwrap();
    let asked = response(&client.query(cid).await, &world.miner.owner);
    assert!(
        asked.state == DealState::Accepted && !waiting.is_finished(),
        "{asked:?}"
    );
    store.place(&cid, world.miner.sector_size, 0).unwrap();
    let answer: SignedResponse = waiting.await.unwrap();
    assert_eq!(response(&answer, &world.miner.owner).state, DealState::Staged);
}

/// As a query, it is answered to anybody who knows the deal's id.
#[tokio::test(flavor = "multi_thread")]
async fn anybody_is_told_why_a_deal_is_not_done() {
    let world = World::start().await;
    let (mut client, mut other) = (world.client(false).await, world.client(true).await);
    let signed = free_deal(&world.miner, &file().1);
    let cid = signed.cid();
    for (proposed, state) in [(false, "unknown"), (true, "accepted")] {
        if proposed {
            client.propose(&signed).await;
        }
        for asker in [&mut client, &mut other] {
            let json: String = asker.ask(protocol::EXPLAIN, &QueryRequest { cid }).await;
            assert!(json.len() <= MAX_JSON);
            let told: Explanation = serde_json::from_str(&json).unwrap();
            assert!(told.state == state && !told.done, "{told:?}");
            assert_eq!(told.subject.id, cid.to_string());
            assert!(!told.because.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_proposal_again_gets_the_same_answer() {
    let world = World::start().await;
    let mut client = world.client(false).await;
    let (_, summary) = file();
    let accepted = free_deal(&world.miner, &summary);
    let mut refused = accepted.clone();
    refused.proposal.duration = 0;
    let refused = refused.proposal.sign(&SecretKey::from_bytes(&[1; 32]).unwrap());
    for signed in [accepted, refused] {
        let first = client.propose(&signed).await;
        assert_eq!(client.propose(&signed).await, first);
    }
    assert_eq!(world.miner.store.deals().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_is_not_here_is_refused_with_a_reason() {
    let world = World::start().await;
    let (_, summary) = file();
    let refused = world.client(false).await.retrieve(summary.data_cid).await;
    assert_eq!(refused, Err(format!("piece {} is not stored here", summary.data_cid)));
}
