//! Properties: thousands of messages in pseudo-random order, at any heights. Whatever happens, no money appears or vanishes
//! and the chain's other invariants hold after each message and block ([`World::apply`] checks them), and no order of
//! redemptions takes more out of a channel than was paid in.
//!
//! Every case has a seed, which a failure names. There are 512 cases, or as many as `PROPTEST_CASES` says.

use super::*;
use alloc::collections::{BTreeMap, BTreeSet};

/// Cases of a property in an ordinary run.
const CASES: u64 = 512;
/// Messages of a case.
const STEPS: u64 = 24;

fn cases() -> u64 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

/// Knuth's linear congruential generator: the same sequence for the same seed.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// Some of the sectors 0 to 5.
    fn sectors(&mut self) -> Vec<u64> {
        let mask = self.below(64) & self.below(64);
        (0..6).filter(|id| mask >> id & 1 == 1).collect()
    }
}

/// Says which case failed, when a check in it did.
struct Case {
    seed: u64,
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::eprintln!("the failing case has the seed {}", self.seed);
        }
    }
}

fn random_voucher(world: &World, rng: &mut Lcg, channel: ChannelId, condition: Option<&Predicate>) -> PaymentVoucher {
    let mut voucher = PaymentVoucher {
        channel,
        payer: world.client.address(),
        target: world.owner.address(),
        amount: AttoFil(u128::from(rng.below(600))),
        valid_at: Epoch(world.height.saturating_sub(20) + rng.below(30)),
        condition: condition.cloned(),
        signature: None,
    };
    voucher.signature = Some(Bytes(world.client.sign(&voucher.payload()).0.to_vec()));
    voucher
}

/// A call of the broker, with its sender: mostly one that may call it.
fn random_payment(world: &World, rng: &mut Lcg, miner: &Address) -> (SecretKey, Call) {
    let (client, owner) = (world.client.clone(), world.owner.clone());
    let nonce = world.state.nonce(&client.address()).max(1);
    // Recent channels: most older ones are closed.
    let channel = ChannelId(nonce - 1 - rng.below(nonce.min(6)));
    let value = AttoFil(u128::from(rng.below(1000)));
    let eol = Epoch(world.height + rng.below(1500));
    let condition = Predicate::piece_inclusion(miner, &comm_p(), BytesAmount(PIECE as u64));
    match rng.below(9) {
        0 | 1 => (client, calls::create_channel(&owner.address(), eol, value)),
        2 => (client, calls::cancel(channel)),
        3 => (client, calls::reclaim(channel)),
        4 => (client, calls::extend(channel, eol, value)),
        5 => {
            let redeemer = calls::inclusion_parameters(rng.below(4), &inclusion());
            let voucher = random_voucher(world, rng, channel, Some(&condition));
            (owner, calls::redeem(&voucher, redeemer))
        }
        6 => (owner, calls::close(&random_voucher(world, rng, channel, None), vec![])),
        _ => (owner, calls::redeem(&random_voucher(world, rng, channel, None), vec![])),
    }
}

/// A call of the miner or a transfer, with its sender.
fn random_storage(world: &World, rng: &mut Lcg, miner: &Address) -> (SecretKey, Call) {
    let (owner, stranger) = (world.owner.clone(), world.stranger.clone());
    let sector = rng.below(6);
    let value = AttoFil(u128::from(rng.below(1000)) << 43);
    let state = world.miner(miner);
    let proves = state.proving_period_end.is_some();
    match rng.below(14) {
        0 => (stranger, calls::transfer(&owner.address(), value)),
        1 => (stranger, calls::transfer(miner, value)),
        2 | 3 => (owner, world.pre_commit(miner, sector).with_value(value)),
        4 | 5 if state.pre_commits.contains_key(&sector) => (owner, world.commit_call(miner, sector)),
        6 | 7 if proves => (owner, world.post_call(miner, value)),
        8 if proves => {
            let (faults, done) = (rng.sectors(), rng.sectors());
            let proof = world.post_proof(miner, |id| !faults.contains(id));
            let (faults, done) = (FaultSet::of(faults), done.into_iter().collect());
            (owner, calls::submit_post_without(miner, &proof, &faults, &done, value))
        }
        9 => {
            let committed: Vec<u64> = state.sectors.keys().copied().collect();
            let one = committed
                .get(rng.below(committed.len().max(1) as u64) as usize)
                .copied();
            (owner, calls::add_faults(miner, &FaultSet::of(one)))
        }
        10 => {
            let faulty = state.faults.keys().chain(state.next_faults.keys()).copied().collect();
            (owner, calls::recover_faults(miner, &faulty))
        }
        11 => (owner, calls::restart_proving(miner, value)),
        12 => (owner, calls::change_worker(miner, &world.owner.address())),
        _ => (stranger, calls::slash_storage_fault(miner)),
    }
}

/// Goes some blocks on, each of which is ended and checked.
fn pass_time(world: &mut World, rng: &mut Lcg, miner: &Address) {
    let window = world.miner(miner).proving_window(&world.state.policy);
    let blocks = match (rng.below(12), window) {
        // To the running period's window, where proofs are taken, or to where they are not any more.
        (0 | 1, Some((start, _))) => start.0.saturating_sub(world.height),
        (2, Some((_, end))) => (end.0 + 300).saturating_sub(world.height) + rng.below(2),
        (3, _) => rng.below(3000),
        (4 | 5, _) => world.state.policy.seed_delay,
        _ => rng.below(8),
    };
    world.height += blocks;
    world.end_blocks();
}

#[test]
fn no_sequence_of_messages_at_any_heights_loses_money_or_breaks_another_invariant() {
    let (start, miner) = World::with_sectors(3);
    let (mut succeeded, mut reverted) = (BTreeSet::new(), 0u64);
    for seed in 1..=cases() {
        let case = Case { seed };
        let (mut world, mut rng) = (start.clone(), Lcg(seed));
        for _ in 0..STEPS {
            pass_time(&mut world, &mut rng, &miner);
            let (from, call) = match rng.below(3) {
                0 => random_payment(&world, &mut rng, &miner),
                _ => random_storage(&world, &mut rng, &miner),
            };
            let method = call.method.clone();
            match world.send(&from, call).exit_code {
                0 => drop(succeeded.insert(method)),
                _ => reverted += 1,
            }
        }
        drop(case);
    }
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
    assert!(reverted > cases(), "{reverted} messages reverted");
    if cases() >= CASES {
        let all: BTreeSet<String> = all.into_iter().map(String::from).collect();
        assert_eq!(succeeded, all, "the cases must exercise every method");
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
    let mut redeemed = 0;
    for seed in 1..=cases() {
        let case = Case { seed };
        let (mut world, mut rng, mut open) = (start.clone(), Lcg(seed ^ 0xb0b), Book::new());
        for _ in 0..STEPS {
            world.height += rng.below(60);
            let nonce = world.state.nonce(&world.client.address());
            let (from, call) = random_payment(&world, &mut rng, &miner);
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
            let receipt = world.send(&from, call.clone());
            let gas = if from.address() == world.owner.address() {
                receipt.gas_cost.0
            } else {
                0
            };
            let received = world.balance(&world.owner) + gas - before;
            if receipt.is_ok() {
                redeemed += u64::from(received > 0);
                book(&mut open, &call, id.expect("the test encoded it"), amount, received);
            } else {
                assert_eq!(received, 0, "a message that failed pays nothing");
            }
            let held: u128 = open.values().map(|(paid_in, taken)| paid_in - taken).sum();
            assert_eq!(
                world.state.broker.balance,
                AttoFil(held),
                "what the broker holds is owed"
            );
        }
        drop(case);
    }
    assert!(redeemed > cases(), "{redeemed} redemptions paid");
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
