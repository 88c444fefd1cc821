//! Driving a deal through a host: what the host reports surfaces, and nothing moves on a failure.

use shared::chain::view::MinerView;
use shared::client::testing::{key, miner_view, now, record, FakeError, FakeHost, Fate};
use shared::client::{step, DealRecord, EngineError, Next};
use shared::deal::client::ClientRefusal;
use shared::deal::ClientStage;

/// Steps and makes blocks until something hinders the deal, it is settled, or it is asked about.
fn run(host: &FakeHost, duration: u64) -> (Result<Next, FakeError>, ClientStage) {
    let mut record: DealRecord<()> = record(2, duration);
    loop {
        let outcome = now(step(&mut record, host));
        let kept = host.saved.borrow().as_ref().map(|kept| kept.deal.stage.clone());
        assert_eq!(
            kept.unwrap_or(ClientStage::Drafted),
            record.deal.stage,
            "what the deal came to is kept"
        );
        match outcome {
            Ok(Next::Now) => {}
            Ok(Next::Message) => host.mine(),
            outcome => return (outcome, record.deal.stage),
        }
    }
}

/// spec §9.20: what fails while the payment is made surfaces, and the deal can be driven again from where it was. (The
/// broker is not asked for vouchers here: the client draws them up itself, from the same rules.)
#[test]
fn failures_to_send_to_be_mined_and_to_schedule_surface() {
    let host = FakeHost::default();
    host.chain.away.set(true);
    assert_eq!(run(&host, 2500), (Err(FakeError::ChainAway), ClientStage::Drafted));
    let host = FakeHost::default();
    host.chain.fate.set(Fate::Fails(33));
    let failed = ClientStage::Failed {
        reason: "failed with 33".into(),
        channel: None,
    };
    assert_eq!(run(&host, 2500), (Ok(Next::Settled), failed));
    let (outcome, stage) = run(&FakeHost::default(), 0);
    assert_eq!(outcome, Ok(Next::Query), "0 blocks cost nothing: a free deal");
    assert!(matches!(stage, ClientStage::Running { .. }));
}

#[test]
fn an_unreachable_miner_leaves_the_signed_deal_to_be_proposed_again() {
    let host = FakeHost::default();
    host.miner.set(None);
    let (outcome, stage) = run(&host, 2500);
    assert_eq!(outcome, Err(FakeError::MinerAway));
    assert!(matches!(stage, ClientStage::Signed { .. }));
}

#[test]
fn an_answer_by_the_miners_new_worker_is_believed_and_a_strangers_is_not() {
    let host = FakeHost::default();
    host.worker.set(5);
    let (outcome, stage) = run(&host, 2500);
    let refusal = ClientRefusal::ResponseSignature;
    let miner = miner_view().address;
    assert_eq!(outcome, Err(FakeError::Engine(EngineError::Refused { miner, refusal })));
    assert!(matches!(stage, ClientStage::Signed { .. }));
    let host = FakeHost::default();
    host.worker.set(5);
    let changed = MinerView {
        worker: key(5).address(),
        ..miner_view()
    };
    host.chain.miners.borrow_mut().insert(changed.address.clone(), changed);
    let (outcome, stage) = run(&host, 2500);
    assert_eq!(outcome, Ok(Next::Query));
    assert!(matches!(stage, ClientStage::Running { .. }));
}
