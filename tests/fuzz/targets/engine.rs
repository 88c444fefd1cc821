//! The client's engine between a chain, a miner, a disk and a user that fail at any moment: what it goes on with is on the disk,
//! and when everything is well again all money that no deal earns comes back.
#![no_main]

use sealdrop_fuzz::machines::proofs;
use sealdrop_fuzz::{reloaded, Script};
use shared::client::engine::{redraw, watch};
use shared::client::testing::{draft, key, miner_view, now, record, FakeError, FakeHost, Fate};
use shared::client::{step, DealRecord, Following, Order};
use shared::deal::quote::Refusal;
use shared::deal::{ClientDeal, DealState, Refund, Rejection, RejectionCode};

/// Steps of a script; each may have signatures to make and to check.
const STEPS: usize = 40;
/// Rounds after which a deal that nothing hinders must be settled, and its money back.
const ROUNDS: usize = 40;

/// Something happens around the deal.
fn around(script: &mut Script, host: &FakeHost) {
    let flip = |cell: &core::cell::Cell<bool>| cell.set(!cell.get());
    match script.below(16) {
        0 => flip(&host.chain.away),
        1 => flip(&host.disk_full),
        2 => flip(&host.file_is_same),
        3 => flip(&host.watches),
        4 => host.chain.fate.set(match script.below(5) {
            0 => Fate::Applied,
            1 => Fate::Refused,
            2 => Fate::Dropped,
            3 => Fate::Fails(45),
            _ => Fate::Fails(script.byte().into()),
        }),
        5 => {
            let height = host.chain.height.get().saturating_add(script.number());
            host.chain.height.set(height.min(1 << 40));
        }
        6..=8 => host
            .miner
            .set(DealState::ALL.get(usize::from(script.below(8))).copied()),
        9 => *host.proof.borrow_mut() = proofs().get(usize::from(script.below(5))).cloned(),
        10 => {
            *host.quote.borrow_mut() = match script.below(3) {
                0 => None,
                1 => Some(Ok(())),
                _ => Some(Err(refusal(script))),
            }
        }
        11 => host
            .closes
            .set([None, Some(true), Some(false)][usize::from(script.below(3))]),
        12 => {
            // The miner has another worker; the chain may know.
            host.worker.set(3 + script.below(2));
            let mut view = miner_view();
            view.worker = key(3 + script.below(2)).address();
            host.chain.miners.borrow_mut().insert(view.address.clone(), view);
        }
        13 => host.known.borrow_mut().clear(),
        14 => {
            *host.order.borrow_mut() = Order::GiveUp {
                reason: "enough".into(),
            }
        }
        _ => *host.order.borrow_mut() = Order::GoOn,
    }
}

fn refusal(script: &mut Script) -> Refusal {
    let codes = RejectionCode::ALL;
    let code = codes[usize::from(script.byte()) % codes.len()];
    Refusal {
        rejection: Rejection {
            code,
            message: script.text(16),
        },
        retry_ms: script.chance().then(|| script.number()),
    }
}

/// The deal is carried on, or its process begins anew with what is on the disk.
fn carry_on(script: &mut Script, host: &FakeHost, record: &mut DealRecord<()>, following: &mut Following) {
    let outcome: Result<(), FakeError> = match script.below(8) {
        0 => now(watch(record, host)).map(drop),
        1..=2 => now(following.turn(record, host)).map(drop),
        3 => {
            *record = host.saved.borrow().clone().unwrap_or_else(|| record.clone());
            *following = Following::default();
            Ok(())
        }
        4 if record.is_failed() => {
            let deal = ClientDeal::new(draft(script.below(3).into(), 900));
            now(redraw(record, host, deal, "peer".into()))
        }
        _ => now(step(record, host)).map(drop),
    };
    // Whatever hinders it is told; it is tried again.
    drop(outcome);
}

/// What it goes on with is kept.
fn check(record: &DealRecord<()>, host: &FakeHost) {
    let saved = host.saved.borrow();
    let Some(saved) = saved.as_ref() else { return };
    assert_eq!(saved.deal, record.deal, "a stage is kept before it is gone on with");
    assert_eq!(saved.attempt, record.attempt);
    assert_eq!((&saved.openings, &saved.refunds), (&record.openings, &record.refunds));
    assert_eq!(&reloaded(saved), saved);
    let channels = host.chain.channels.borrow();
    assert!(
        channels.len() <= record.attempt as usize + 1,
        "an attempt has one channel"
    );
    if record.may_be_forgotten() && !record.is_complete() {
        assert!(channels.is_empty(), "no money is forgotten");
    }
}

/// Everything is well from now on, and time passes.
fn well(host: &FakeHost) {
    host.chain.away.set(false);
    host.chain.fate.set(Fate::Applied);
    host.disk_full.set(false);
    *host.order.borrow_mut() = Order::GoOn;
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    let (host, mut following) = (FakeHost::default(), Following::default());
    let mut record = record(script.below(3).into(), [900, 2500][usize::from(script.below(2))]);
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        let was_failed = record.is_failed().then_some(record.attempt);
        match script.below(3) {
            0 => around(&mut script, &host),
            1 => host.mine(),
            _ => carry_on(&mut script, &host, &mut record, &mut following),
        }
        check(&record, &host);
        if was_failed == Some(record.attempt) && !record.is_failed() {
            panic!("a failed attempt stays so");
        }
    }
    well(&host);
    for _ in 0..ROUNDS {
        let _ = (now(step(&mut record, &host)), now(watch(&mut record, &host)));
        host.mine();
        host.chain.height.set(host.chain.height.get() + 1000);
        if record.may_be_forgotten() {
            break;
        }
    }
    assert!(record.is_settled(), "time ends every deal: {record:?}");
    assert!(host.chain.channels.borrow().is_empty(), "all money is back: {record:?}");
    assert!(record.refunds.values().all(|found| found.refund == Refund::Returned));
});
