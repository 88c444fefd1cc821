//! Properties: thousands of messages in random order, at any heights. Whatever happens, no money appears or vanishes and the
//! chain's other invariants hold after each message and block ([`World::apply`] checks them), and no order of redemptions
//! takes more out of a channel than was paid in.
//!
//! A case is a list of [`Step`]s, which name what they are about by its place among what there is then: a step means
//! something in any world, so that a failing case shrinks to the few steps that matter.

#[path = "../../../tests/cases/mod.rs"]
pub mod cases;

use super::*;
use alloc::collections::{BTreeMap, BTreeSet};
use core::cell::{Cell, RefCell};
use core::ops::Range;
use proptest::collection::{btree_set, vec};
use proptest::prelude::{any, prop_oneof, Just, Strategy};
use proptest::sample::Index;

/// Cases of a property in an ordinary run.
const CASES: u32 = 512;
/// Messages of a case.
const STEPS: usize = 24;
/// Sectors that the messages speak of.
const SECTORS: Range<u64> = 0..6;

/// Blocks until the next message, each of which is ended and checked.
#[derive(Debug, Clone)]
enum Pause {
    Blocks(u64),
    /// Until a pre-commit's seed is drawn.
    Seed,
    /// To the running period's window, where proofs are taken.
    Window,
    /// To where they are not any more, and so many blocks further.
    Missed(u64),
}

/// What a voucher says beside its channel: an amount, and from how many blocks before or after now on it pays.
type Promise = (u128, i64);

/// A call of the broker on one of the last channels.
#[derive(Debug, Clone)]
enum Payment {
    Create { life: u64, value: u128 },
    Cancel,
    Reclaim,
    Extend { life: u64, value: u128 },
    RedeemProven { promise: Promise, sector: u64 },
    Redeem { promise: Promise },
    Close { promise: Promise },
}

/// A call of the miner, or a transfer.
#[derive(Debug, Clone)]
enum Storage {
    Transfer { to_miner: bool },
    PreCommit { sector: u64 },
    Commit { sector: u64 },
    Prove,
    ProveWithout { faults: BTreeSet<u64>, done: BTreeSet<u64> },
    AddFault { which: Index },
    RecoverFaults,
    RestartProving,
    ChangeWorker,
    Slash,
}

#[derive(Debug, Clone)]
enum Message {
    /// The channel is counted back from the newest.
    Payment {
        back: u64,
        call: Payment,
    },
    Storage {
        value: u128,
        call: Storage,
    },
}

type Step = (Pause, Message);

fn pauses() -> impl Strategy<Value = Pause> {
    prop_oneof![
        6 => (0..8u64).prop_map(Pause::Blocks),
        2 => Just(Pause::Seed),
        2 => Just(Pause::Window),
        1 => (0..2u64).prop_map(Pause::Missed),
        1 => (0..3000u64).prop_map(Pause::Blocks),
    ]
}

fn payments() -> impl Strategy<Value = Message> {
    let (life, value) = (0..1500u64, 0..1000u128);
    let promise = || (0..600u128, -20..10i64);
    let call = prop_oneof![
        2 => (life.clone(), value.clone()).prop_map(|(life, value)| Payment::Create { life, value }),
        1 => Just(Payment::Cancel),
        1 => Just(Payment::Reclaim),
        1 => (life, value).prop_map(|(life, value)| Payment::Extend { life, value }),
        1 => (promise(), 0..4u64).prop_map(|(promise, sector)| Payment::RedeemProven { promise, sector }),
        1 => promise().prop_map(|promise| Payment::Close { promise }),
        2 => promise().prop_map(|promise| Payment::Redeem { promise }),
    ];
    (0..6u64, call).prop_map(|(back, call)| Message::Payment { back, call })
}

fn storage() -> impl Strategy<Value = Message> {
    let some = || btree_set(SECTORS, 0..3);
    let call = prop_oneof![
        2 => any::<bool>().prop_map(|to_miner| Storage::Transfer { to_miner }),
        2 => SECTORS.prop_map(|sector| Storage::PreCommit { sector }),
        2 => SECTORS.prop_map(|sector| Storage::Commit { sector }),
        2 => Just(Storage::Prove),
        1 => (some(), some()).prop_map(|(faults, done)| Storage::ProveWithout { faults, done }),
        1 => any::<Index>().prop_map(|which| Storage::AddFault { which }),
        1 => Just(Storage::RecoverFaults),
        1 => Just(Storage::RestartProving),
        1 => Just(Storage::ChangeWorker),
        1 => Just(Storage::Slash),
    ];
    (0..1000u128, call).prop_map(|(value, call)| Message::Storage { value, call })
}

fn signed(world: &World, channel: ChannelId, promise: Promise, condition: Option<&Predicate>) -> PaymentVoucher {
    let (amount, due) = promise;
    let mut voucher = PaymentVoucher {
        channel,
        payer: world.client.address(),
        target: world.owner.address(),
        amount: AttoFil(amount),
        valid_at: Epoch(world.height.saturating_add_signed(due)),
        condition: condition.cloned(),
        signature: None,
    };
    voucher.signature = Some(Bytes(world.client.sign(&voucher.payload()).0.to_vec()));
    voucher
}

/// The call of the broker, with its sender.
fn payment(world: &World, miner: &Address, back: u64, call: &Payment) -> (SecretKey, Call) {
    let (client, owner) = (world.client.clone(), world.owner.clone());
    let nonce = world.state.nonce(&client.address()).max(1);
    let channel = ChannelId(nonce - 1 - back % nonce);
    let voucher = |promise| signed(world, channel, promise, None);
    let eol = |life| Epoch(world.height + life);
    match *call {
        Payment::Create { life, value } => {
            let call = calls::create_channel(&owner.address(), eol(life), AttoFil(value));
            (client, call)
        }
        Payment::Cancel => (client, calls::cancel(channel)),
        Payment::Reclaim => (client, calls::reclaim(channel)),
        Payment::Extend { life, value } => (client, calls::extend(channel, eol(life), AttoFil(value))),
        Payment::RedeemProven { promise, sector } => {
            let condition = Predicate::piece_inclusion(miner, &comm_p(), BytesAmount(PIECE as u64));
            let voucher = signed(world, channel, promise, Some(&condition));
            (
                owner,
                calls::redeem(&voucher, calls::inclusion_parameters(sector, &inclusion())),
            )
        }
        Payment::Redeem { promise } => (owner, calls::redeem(&voucher(promise), vec![])),
        Payment::Close { promise } => (owner, calls::close(&voucher(promise), vec![])),
    }
}

/// The call of the miner or the transfer, with its sender; a slash where the miner has not what the call is about.
fn storing(world: &World, miner: &Address, value: u128, call: &Storage) -> (SecretKey, Call) {
    let (owner, stranger) = (world.owner.clone(), world.stranger.clone());
    let value = AttoFil(value << 43);
    let state = world.miner(miner);
    let proves = state.proving_period_end.is_some();
    match call {
        Storage::Transfer { to_miner: true } => (stranger, calls::transfer(miner, value)),
        Storage::Transfer { to_miner: false } => (stranger, calls::transfer(&owner.address(), value)),
        Storage::PreCommit { sector } => (owner, world.pre_commit(miner, *sector).with_value(value)),
        Storage::Commit { sector } if state.pre_commits.contains_key(sector) => {
            (owner, world.commit_call(miner, *sector))
        }
        Storage::Prove if proves => (owner, world.post_call(miner, value)),
        Storage::ProveWithout { faults, done } if proves => {
            let proof = world.post_proof(miner, |id| !faults.contains(id));
            let (faults, done) = (FaultSet::of(faults.iter().copied()), done.iter().copied().collect());
            let call = calls::submit_post_without(miner, &proof, &faults, &done, value);
            (owner, call)
        }
        Storage::AddFault { which } => {
            let committed: Vec<u64> = state.sectors.keys().copied().collect();
            let one = (!committed.is_empty()).then(|| *which.get(&committed));
            (owner, calls::add_faults(miner, &FaultSet::of(one)))
        }
        Storage::RecoverFaults => {
            let faulty = state.faults.keys().chain(state.next_faults.keys()).copied().collect();
            (owner, calls::recover_faults(miner, &faulty))
        }
        Storage::RestartProving => (owner, calls::restart_proving(miner, value)),
        Storage::ChangeWorker => (owner, calls::change_worker(miner, &world.owner.address())),
        Storage::Slash | Storage::Commit { .. } | Storage::Prove | Storage::ProveWithout { .. } => {
            (stranger, calls::slash_storage_fault(miner))
        }
    }
}

fn message(world: &World, miner: &Address, message: &Message) -> (SecretKey, Call) {
    match message {
        Message::Payment { back, call } => payment(world, miner, *back, call),
        Message::Storage { value, call } => storing(world, miner, *value, call),
    }
}

fn pass_time(world: &mut World, miner: &Address, pause: &Pause) {
    let window = world.miner(miner).proving_window(&world.state.policy);
    world.height += match (pause, window) {
        (Pause::Blocks(blocks), _) => *blocks,
        (Pause::Seed, _) => world.state.policy.seed_delay,
        (Pause::Window, Some((start, _))) => start.0.saturating_sub(world.height),
        (Pause::Missed(more), Some((_, end))) => (end.0 + 300).saturating_sub(world.height) + more,
        (Pause::Window | Pause::Missed(_), None) => 1,
    };
    world.end_blocks();
}

#[test]
fn no_sequence_of_messages_at_any_heights_loses_money_or_breaks_another_invariant() {
    let (start, miner) = World::with_sectors(3);
    let (succeeded, reverted) = (RefCell::new(BTreeSet::new()), Cell::new(0));
    let messages = prop_oneof![1 => payments(), 2 => storage()];
    cases::hold(CASES, &vec((pauses(), messages), 1..=2 * STEPS), |steps: Vec<Step>| {
        let mut world = start.clone();
        for (pause, step) in &steps {
            pass_time(&mut world, &miner, pause);
            let (from, call) = message(&world, &miner, step);
            let method = call.method.clone();
            match world.send(&from, call).exit_code {
                0 => drop(succeeded.borrow_mut().insert(method)),
                _ => reverted.set(reverted.get() + 1),
            }
        }
    });
    let all = [
        "",
        "addFaults",
        "cancel",
        "changeWorker",
        "close",
        "commitSector",
        "createChannel",
        "extend",
        "preCommitSector",
        "reclaim",
        "recoverFaults",
        "redeem",
        "restartProving",
        "slashStorageFault",
        "submitPoSt",
    ];
    let tried = cases::count(CASES);
    assert!(reverted.get() > tried, "{reverted:?} messages reverted");
    if tried >= CASES {
        let all: BTreeSet<String> = all.into_iter().map(String::from).collect();
        assert_eq!(succeeded.into_inner(), all, "the cases must exercise every method");
    }
}

/// What a model of the broker that knows nothing of vouchers says of a channel: paid in, taken out.
type Book = BTreeMap<ChannelId, (u128, u128)>;

/// Checks one message of the broker against the book: only a redemption moves money to the owner, and exactly what the
/// voucher adds to what was redeemed before, at most what was paid in.
fn book(book: &mut Book, call: &Call, id: ChannelId, amount: u128, received: u128) {
    match call.method.as_str() {
        "createChannel" => drop(book.insert(id, (call.value.0, 0))),
        "extend" => book.get_mut(&id).expect("the channel is open").0 += call.value.0,
        "redeem" | "close" => {
            let (paid_in, taken) = book.get_mut(&id).expect("the channel is open");
            assert_eq!(received, amount - *taken, "a redemption pays what the voucher adds");
            *taken = amount;
            assert!(*taken <= *paid_in, "{taken} were taken of {paid_in}");
            if call.method == "close" {
                book.remove(&id);
            }
        }
        "reclaim" => drop(book.remove(&id)),
        _ => {}
    }
    if !matches!(call.method.as_str(), "redeem" | "close") {
        assert_eq!(received, 0, "{} pays the target nothing", call.method);
    }
}

#[test]
fn no_sequence_of_redemptions_pays_more_than_the_channel_holds() {
    let (start, miner) = World::with_sectors(1);
    let redeemed = Cell::new(0);
    let steps = vec((0..60u64, payments()), 1..=2 * STEPS);
    cases::hold(CASES, &steps, |steps| {
        let (mut world, mut open) = (start.clone(), Book::new());
        for (blocks, step) in &steps {
            world.height += blocks;
            let (from, call) = message(&world, &miner, step);
            let received = book_one(&mut world, &mut open, &from, call);
            redeemed.set(redeemed.get() + u32::from(received > 0));
        }
    });
    assert!(redeemed.get() > cases::count(CASES), "{redeemed:?} redemptions paid");
}

/// Sends a message of the broker, checks what it moved against the book, and returns what the owner received.
fn book_one(world: &mut World, open: &mut Book, from: &SecretKey, call: Call) -> u128 {
    let nonce = world.state.nonce(&world.client.address());
    let param = |at: usize| call.params.get(at).cloned().unwrap_or_default();
    let (id, amount) = match call.method.as_str() {
        "createChannel" => (Ok(ChannelId(nonce)), 0),
        "redeem" | "close" => (
            ChannelId::from_bytes(&param(1)),
            AttoFil::from_bytes(&param(2)).expect("the test encoded it").0,
        ),
        _ => (ChannelId::from_bytes(&param(0)), 0),
    };
    let before = world.balance(&world.owner);
    let receipt = world.send(from, call.clone());
    let gas = match from.address() == world.owner.address() {
        true => receipt.gas_cost.0,
        false => 0,
    };
    let received = world.balance(&world.owner) + gas - before;
    match receipt.is_ok() {
        true => book(open, &call, id.expect("the test encoded it"), amount, received),
        false => assert_eq!(received, 0, "a message that failed pays nothing"),
    }
    let held: u128 = open.values().map(|(paid_in, taken)| paid_in - taken).sum();
    assert_eq!(
        world.state.broker.balance,
        AttoFil(held),
        "what the broker holds is owed"
    );
    received
}

#[test]
fn each_broken_invariant_is_named() {
    let (mut world, miner) = World::with_sectors(1);
    let client = world.client.clone();
    world.send(
        &client,
        calls::create_channel(&world.owner.address(), Epoch(9000), AttoFil(1000)),
    );
    let broken = |change: &dyn Fn(&mut ChainState)| {
        let mut state = world.state.clone();
        change(&mut state);
        state.check_invariants().unwrap_err()
    };
    use state::Violation;
    let is = |violation: Violation, name: &str| assert!(format!("{violation:?}").starts_with(name), "{violation:?}");
    is(broken(&|s| s.supply.0 += 1), "Supply");
    is(broken(&|s| s.miners.get_mut(&miner).unwrap().power = 2048), "Power");
    is(broken(&|s| s.market.total_storage = 1), "TotalStorage");
    is(
        broken(&|s| s.miners.get_mut(&miner).unwrap().active_collateral = fil(2)),
        "Collateral",
    );
    is(
        broken(&|s| {
            let miner = s.miners.get_mut(&miner).unwrap();
            s.accounts.get_mut(&world.owner.address()).unwrap().balance.0 += miner.balance.0;
            miner.balance = AttoFil::ZERO;
        }),
        "Locked",
    );
    is(
        broken(&|s| s.miners.get_mut(&miner).unwrap().proving_set.extend([5])),
        "ProvingSet",
    );
    is(
        broken(&|s| {
            let fault = state::Fault {
                since: Epoch(1),
                recovering: true,
            };
            s.miners.get_mut(&miner).unwrap().faults.insert(5, fault);
        }),
        "Fault",
    );
    is(
        broken(&|s| s.miners.get_mut(&miner).unwrap().proving_period_end = None),
        "Period",
    );
    let channel = |s: &mut ChainState, paid: u128| {
        s.broker
            .channels
            .values_mut()
            .flat_map(|all| all.values_mut())
            .for_each(|c| c.amount_redeemed = AttoFil(paid));
    };
    is(broken(&|s| channel(s, 1001)), "Overpaid");
    is(broken(&|s| channel(s, 1)), "Channels");
}
