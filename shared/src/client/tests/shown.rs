//! What is seen and shown of a deal: its state in a word, its sector on the chain, the miner's words, vouchers as text.

use super::*;
use crate::chain::keys::cid_of_bytes;
use crate::chain::view::{MinerView, PreCommitView, SectorView, WindowView};
use crate::chain::AttoFil;
use crate::client::explaining::{explain, with};
use crate::client::retrieval::{printable, Retrieval, RetrievalError, RetrievalInput, Taken, SILENCE_MS};
use crate::client::voucher_text::{self, VoucherTextError, MAX_VOUCHERS};
use crate::deal::ProofInfo;
use crate::explain::deal::client::MinerReport;
use crate::explain::deal::Explanation;
use crate::payment::{voucher, PaymentVoucher};
use crate::piece::node::raw_cid;
use crate::piece::Commitment;
use crate::retrieval::{RetrievalStatus, RetrievePieceResponse, MAX_CHUNK};
use crate::wire::cbor::Bytes;
use alloc::vec;

const SECTOR: u64 = 5;

fn sector(proofs: u64) -> SectorView {
    SectorView {
        id: SECTOR,
        comm_d: Commitment([1; 32]),
        comm_r: Commitment([2; 32]),
        comm_r_star: Commitment([3; 32]),
        committed_at: Epoch(90),
        last_proven_at: None,
        proofs,
        in_proving_set: true,
        proven: proofs > 0,
        fault: None,
        next_fault: None,
    }
}

fn chain_shows(host: &FakeHost, view: MinerView) {
    host.chain.miners.borrow_mut().insert(view.address.clone(), view);
}

/// The deal in its miner's sector, as after an answer with a proof.
fn complete(host: &FakeHost, price: u128) -> DealRecord<()> {
    let mut found = record(price, LONG);
    run(&mut found, host, |record| engine::is_accepted(&record.deal.stage));
    let mut deal = found.deal.clone();
    let ClientStage::Running { proposal, mut response } = deal.stage else {
        panic!("{:?}", found.deal.stage);
    };
    response.response.proof_info = Some(ProofInfo {
        sector_id: SECTOR,
        comm_d: Commitment([1; 32]),
        comm_r: Commitment([2; 32]),
        comm_r_star: Commitment([3; 32]),
        commitment_message: cid_of_bytes(b"commit"),
        piece_inclusion_proof: None,
    });
    deal.stage = ClientStage::Complete { proposal, response };
    found.advance(deal, None, 0);
    found
}

#[test]
fn a_deals_state_is_one_word_from_the_draft_to_the_first_proof() {
    let host = FakeHost::default();
    let mut deal = record(2, LONG);
    let mut words = vec![deal.state()];
    run(&mut deal, &host, |record| record.step() == Step::Channel);
    words.push(deal.state());
    run(&mut deal, &host, |record| engine::is_accepted(&record.deal.stage));
    words.push(deal.state());
    host.miner.set(Some(DealState::Staged));
    run(&mut deal, &host, |record| record.step() >= Step::Staged);
    words.push(deal.state());
    assert_eq!(words, ["drafted", "channel-open", "accepted", "staged"]);
    let mut deal = complete(&FakeHost::default(), 2);
    assert_eq!((deal.state(), deal.is_proven()), ("complete", false));
    deal.reach(Step::Proven, 0);
    assert_eq!((deal.state(), deal.is_proven()), ("proven", true));
    abandon(&host);
    let mut given_up = record(0, LONG);
    go(&mut given_up, &host).expect("it is given up");
    assert_eq!(given_up.state(), "failed");
}

#[test]
fn a_complete_deal_is_watched_and_proven_when_the_chain_counts_a_proof_of_its_sector() {
    let host = FakeHost::default();
    let mut deal = complete(&host, 0);
    let shows = |proofs| MinerView {
        sectors: vec![sector(proofs)],
        proving_window: Some(WindowView {
            start: Epoch(100),
            end: Epoch(200),
        }),
        ..miner_view()
    };
    chain_shows(&host, shows(0));
    let again = now(engine::watch(&mut deal, &host)).expect("nothing hinders it");
    assert!(again.is_some(), "its sector is proven again and again");
    assert!(!deal.is_proven() && !deal.is_owed());
    assert_eq!(deal.proving.as_ref().map(|proving| proving.proofs), Some(0));
    chain_shows(&host, shows(1));
    now(engine::watch(&mut deal, &host)).expect("nothing hinders it");
    assert!(deal.is_proven());
}

#[test]
fn an_earlier_attempts_channel_is_paid_back_and_is_never_the_present_deals() {
    let host = FakeHost::default();
    let mut deal = record(2, LONG);
    for attempt in 0..2 {
        *host.order.borrow_mut() = Order::GoOn;
        go(&mut deal, &host).expect("a channel's message is sent");
        abandon(&host);
        go(&mut deal, &host).expect("it is given up");
        if attempt == 0 {
            deal.redraw(crate::deal::ClientDeal::new(draft(2, LONG)), "peer".into(), 1);
        }
    }
    host.mine();
    now(take_back(&mut deal, &host)).expect("both are found");
    assert_eq!(deal.refunds.keys().copied().collect::<Vec<_>>(), [9, 10]);
    assert_eq!(deal.deal.channel(), Some(10));
}

#[test]
fn a_file_is_kept_while_the_miner_may_need_it() {
    let host = FakeHost::default();
    let mut deal = accepted(&host);
    go(&mut deal, &host).expect("the miner is asked");
    assert!(!host.dropped.get() && !deal.file_let_go);
    host.miner.set(Some(DealState::Staged));
    go(&mut deal, &host).expect("the miner is asked");
    assert!(host.dropped.get() && deal.file_let_go);
}

#[test]
fn a_failed_deal_without_money_is_watched_no_more() {
    let host = FakeHost::default();
    let mut deal = record(0, LONG);
    abandon(&host);
    go(&mut deal, &host).expect("it is given up");
    assert_eq!(now(engine::watch(&mut deal, &host)), Ok(None));
    assert!(!host.dropped.get(), "it may be drawn up anew, with the same file");
}

#[test]
fn a_staged_deal_is_being_sealed_when_its_miner_announces_a_sector_after_the_acceptance() {
    let host = FakeHost::default();
    let mut deal = accepted(&host);
    host.miner.set(Some(DealState::Staged));
    let since = deal.accepted_at.expect("it is accepted");
    let announced = |height| MinerView {
        pre_commits: vec![PreCommitView {
            id: SECTOR,
            comm_d: Commitment([1; 32]),
            comm_r: Commitment([2; 32]),
            height,
            ticket_epoch: Epoch(1),
            seed_epoch: Epoch(1),
            expires: Epoch(LONG),
            deposit: AttoFil::ZERO,
        }],
        ..miner_view()
    };
    deal.reach(Step::Staged, 0);
    for (height, step) in [(Epoch(since.0 - 1), Step::Staged), (since, Step::Sealing)] {
        chain_shows(&host, announced(height));
        now(engine::look_for_sealing(&mut deal, &host)).expect("nothing hinders it");
        assert_eq!(deal.step(), step);
    }
}

#[test]
fn a_miner_that_knows_nothing_of_a_deal_is_not_asked_why_it_is_not_done() {
    let host = FakeHost::default();
    let deal = record(2, LONG);
    let read = |_: &str| -> Result<Explanation, String> { Err("nobody was asked".into()) };
    let told = now(explain(&deal, &host, read)).expect("nothing hinders it");
    assert_eq!(told, with(&deal, 100_000, MinerReport::NotAsked));
    assert!(host.asked.borrow().is_empty());
}

#[test]
fn a_miner_that_has_accepted_a_deal_is_asked_why_it_is_not_done() {
    let host = FakeHost::default();
    let deal = accepted(&host);
    *host.peer.borrow_mut() = "gone".into();
    let read = |_: &str| -> Result<Explanation, String> { Err("nobody answered".into()) };
    let told = now(explain(&deal, &host, read)).expect("that it is away is a cause");
    let reason = "the miner is away".into();
    let now_ms = host.chain.height.get() * 1000;
    assert_eq!(told, with(&deal, now_ms, MinerReport::Unreachable { reason }));
}

#[test]
fn a_deal_is_accepted_at_the_height_of_the_miners_answer_and_not_of_the_signature() {
    let done = accepted(&FakeHost::default()).deal;
    let ClientStage::Running { proposal, .. } = done.stage.clone() else {
        panic!("{:?}", done.stage);
    };
    let mut deal = record(2, LONG);
    let mut signed = deal.deal.clone();
    signed.stage = ClientStage::Signed { proposal };
    deal.advance(signed, Some(Epoch(101)), 0);
    assert_eq!((deal.step(), deal.accepted_at), (Step::Signed, None));
    deal.advance(done, Some(Epoch(105)), 0);
    assert_eq!(deal.accepted_at, Some(Epoch(105)));
}

#[test]
fn a_peers_words_are_shown_without_control_characters_and_shortened() {
    assert_eq!(printable("no\u{1b}[2J such\nfile"), "no[2J suchfile");
    assert_eq!(printable(&"x".repeat(300)), "x".repeat(200));
}

#[test]
fn a_chunk_may_be_as_long_as_the_protocol_says_and_a_pause_in_the_middle_is_silence() {
    let begun = || {
        let mut retrieval = Retrieval::new(raw_cid(b"file"), None, 1 << 30, 0);
        let answer = RetrievePieceResponse {
            status: RetrievalStatus::Success,
            error_message: "".into(),
        };
        let taken = retrieval.handle(RetrievalInput::Answer(&answer), 1);
        assert_eq!((taken, retrieval.most()), (Ok(Taken::More), 1 << 30));
        retrieval
    };
    let mut retrieval = begun();
    let longest = Bytes(vec![0; MAX_CHUNK]);
    assert_eq!(retrieval.handle(RetrievalInput::Chunk(&longest), 2), Ok(Taken::More));
    let longer = Bytes(vec![0; MAX_CHUNK + 1]);
    let refused = begun().handle(RetrievalInput::Chunk(&longer), 3);
    assert_eq!(refused, Err(RetrievalError::Chunk(MAX_CHUNK + 1)));
    let silent = retrieval.handle(RetrievalInput::Silence, 2 + SILENCE_MS);
    assert_eq!(silent, Err(RetrievalError::Silence { limit_ms: SILENCE_MS }));
}

#[test]
fn vouchers_are_read_up_to_their_bound() {
    let signed = accepted(&FakeHost::default()).deal.vouchers()[0].clone();
    let texts = |count| -> Vec<String> { vec![voucher::to_text(&signed); count] };
    let read = |count| voucher_text::read(&texts(count).join(" ")).map(|read| read.len());
    let lines: Vec<PaymentVoucher> =
        voucher_text::read(&voucher_text::lines(&[signed.clone(), signed.clone()])).unwrap();
    assert_eq!(lines, [signed.clone(), signed.clone()]);
    assert_eq!(read(3), Ok(3));
    assert_eq!(read(0), Err(VoucherTextError::Empty));
    assert_eq!(read(MAX_VOUCHERS + 1), Err(VoucherTextError::TooMany));
}
