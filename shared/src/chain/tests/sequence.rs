//! Thousands of messages in pseudo-random order: whatever happens, the chain's invariants hold after each of them
//! ([`World::apply`] checks them).

use super::*;
use alloc::collections::BTreeSet;

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
}

fn random_voucher(world: &World, rng: &mut Lcg, channel: ChannelId) -> PaymentVoucher {
    let mut voucher = PaymentVoucher {
        channel,
        payer: world.client.address(),
        target: world.owner.address(),
        amount: AttoFil(u128::from(rng.below(600))),
        valid_at: Epoch(world.height.saturating_sub(20) + rng.below(30)),
        condition: None,
        signature: None,
    };
    voucher.signature = Some(Bytes(world.client.sign(&voucher.payload()).0.to_vec()));
    voucher
}

fn random_call(world: &World, rng: &mut Lcg, miner: &Address) -> Call {
    let nonce = world.state.nonce(&world.client.address()).max(1);
    // Recent channels: most older ones are closed.
    let channel = ChannelId(nonce - 1 - rng.below(nonce.min(6)));
    let sector = rng.below(6);
    let value = AttoFil(u128::from(rng.below(1000)));
    let eol = Epoch(world.height + rng.below(1500));
    match rng.below(12) {
        0 => calls::transfer(&key(3 + rng.below(3) as u8).address(), value),
        1 => calls::transfer(miner, value),
        2 | 3 => calls::create_channel(&world.owner.address(), eol, value),
        4 => calls::redeem(&random_voucher(world, rng, channel), vec![]),
        5 => calls::close(&random_voucher(world, rng, channel), vec![]),
        6 => calls::cancel(channel),
        7 => calls::reclaim(channel),
        8 => calls::extend(channel, eol, value),
        9 => world.pre_commit(miner, sector),
        10 if world.miner(miner).pre_commits.contains_key(&sector) => world.commit_call(miner, sector),
        11 if world.miner(miner).proving_period_end.is_some() => world.post_call(miner, AttoFil(value.0 << 43)),
        _ => calls::slash_storage_fault(miner),
    }
}

#[test]
fn no_sequence_of_messages_breaks_the_invariants() {
    let mut succeeded = BTreeSet::new();
    for seed in 1..=4 {
        let (mut world, miner) = World::with_miner();
        let mut rng = Lcg(seed);
        let (mut applied, mut reverted) = (0, 0);
        for _ in 0..500 {
            world.height += rng.below(40);
            let keys = [
                &world.client,
                &world.client,
                &world.owner,
                &world.owner,
                &world.stranger,
            ];
            let from = keys[rng.below(5) as usize].clone();
            let call = random_call(&world, &mut rng, &miner);
            if call.to == from.address() {
                continue;
            }
            let method = call.method.clone();
            match world.send(&from, call).exit_code {
                0 => {
                    applied += 1;
                    succeeded.insert(method);
                }
                _ => reverted += 1,
            }
        }
        assert!(
            applied > 50 && reverted > 50,
            "seed {seed}: {applied} applied, {reverted} reverted"
        );
        world.state.check_invariants().unwrap();
    }
    let all = [
        "",
        "cancel",
        "close",
        "commitSector",
        "createChannel",
        "extend",
        "preCommitSector",
        "reclaim",
        "redeem",
    ];
    let all = all
        .into_iter()
        .chain(["slashStorageFault", "submitPoSt"])
        .map(String::from)
        .collect::<BTreeSet<_>>();
    assert_eq!(succeeded, all, "the sequences must exercise every method");
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
