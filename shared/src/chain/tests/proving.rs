//! Proofs-of-spacetime: windows, fees, power and slashing (spec §5.3.4 to §5.3.7).

use super::actors::miner::{late_fee, PostState};
use super::*;

/// A world with one sector, whose window runs from 1156 to 1306, at `height`.
fn proving_at(height: u64) -> (World, Address, SecretKey) {
    let (mut world, miner) = World::with_sectors(1);
    world.height = height;
    let owner = world.owner.clone();
    (world, miner, owner)
}

/// spec §9.45: on time, and the window moves by 300.
#[test]
fn a_proof_on_time_gives_power_costs_nothing_and_moves_the_window() {
    let (mut world, miner, owner) = proving_at(1171);
    let receipt = world.send(&owner, world.post_call(&miner, AttoFil::ZERO));
    assert_eq!((receipt.exit_code, receipt.gas_cost), (0, AttoFil(200)));
    let state = world.miner(&miner);
    assert_eq!(state.power, 2048);
    assert_eq!(state.proving_period_end, Some(Epoch(1606)));
    assert_eq!((state.last_post, state.posts), (Some(Epoch(1171)), 1));
    assert_eq!(
        (state.sectors[&0].last_proven_at, state.sectors[&0].proofs),
        (Some(Epoch(1171)), 1)
    );
    assert_eq!(world.state.market.total_storage, 2048);
    world.height = 1500;
    let receipt = world.send(&owner, world.post_call(&miner, AttoFil::ZERO));
    assert_eq!(receipt.gas_cost, AttoFil(100), "power did not change");
}

/// spec §9.44, spec §9.53 (the power): power 0 until the first proof, one sector after it though three are committed, all after the next.
#[test]
fn power_follows_one_period_behind_commitment() {
    let (mut world, miner) = World::with_sectors(3);
    let owner = world.owner.clone();
    for (height, power, proofs) in [(1200, 2048, [1, 0, 0]), (1500, 3 * 2048, [2, 1, 1])] {
        world.height = height;
        assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
        let state = world.miner(&miner);
        assert_eq!(state.power, power);
        assert_eq!([0, 1, 2].map(|id| state.sectors[&id].proofs), proofs);
    }
}

#[test]
fn only_the_worker_proves() {
    let (mut world, miner, _) = proving_at(1171);
    let stranger = world.stranger.clone();
    let call = world.post_call(&miner, AttoFil::ZERO);
    assert_eq!(
        world.revert(&stranger, call),
        (37, "not authorized to call the method".into())
    );
}

/// spec §9.45: the window text. A late proof cannot come too early here: its window is the one it is late for (design §9).
#[test]
fn a_proof_before_its_window_is_refused() {
    let (mut world, miner, owner) = proving_at(1155);
    let call = world.post_call(&miner, AttoFil::ZERO);
    let text = "PoSt arrived at 1155, which is before proving window (1156-1306)".to_string();
    assert_eq!(world.revert(&owner, call), (39, text));
    world.height = 1156;
    let call = world.post_call(&miner, AttoFil::ZERO);
    assert!(world.send(&owner, call).is_ok());
}

/// spec §9.45: the seed is sampled at end - 150, also for late proofs, where 2019 wanted end + 150 (design §9).
#[test]
fn a_proof_with_other_randomness_or_sectors_is_refused() {
    let (mut world, miner, owner) = proving_at(1171);
    let good = world.post_call(&miner, AttoFil::ZERO);
    let mut other = world.state.clone();
    other.miners.get_mut(&miner).unwrap().proving_period_end = Some(Epoch(1307));
    let original = core::mem::replace(&mut world.state, other);
    let call = world.post_call(&miner, AttoFil::ZERO);
    world.state = original;
    assert_ne!(call, good);
    assert_eq!(world.revert(&owner, call), (39, "PoSt proof did not validate".into()));
    let empty = calls::submit_post(&miner, &[], AttoFil::ZERO);
    assert_eq!(world.revert(&owner, empty).0, 39);
    assert!(world.send(&owner, good).is_ok());
}

/// spec §9.45: late without value, and with more than the fee.
#[test]
fn a_late_proof_pays_its_fee_exactly_and_gets_the_change_back() {
    let (mut world, miner, owner) = proving_at(1306 + 30);
    let fee = AttoFil(world.state.policy.sector_collateral.0 / 10);
    let asked = world.ask(None, calls::late_fee(&miner, Epoch(1336))).unwrap();
    assert_eq!(asked, [fee.to_bytes()]);
    let short = world.post_call(&miner, AttoFil(fee.0 - 1));
    let text = format!(
        "PoSt message requires value of at least {} attofil to cover fees, got {}",
        fee.0,
        fee.0 - 1
    );
    assert_eq!(world.revert(&owner, short), (1, text));
    let before = world.balance(&owner);
    let call = world.post_call(&miner, fil(1));
    let receipt = world.send(&owner, call);
    assert!(receipt.is_ok());
    assert_eq!(before - world.balance(&owner), fee.0 + receipt.gas_cost.0);
    assert_eq!(world.state.balance(&Address::id(Address::BURNT_FUNDS)), fee);
    assert_eq!(world.miner(&miner).proving_period_end, Some(Epoch(1606)));
}

/// spec §9.45: after end + grace.
#[test]
fn a_proof_after_the_grace_is_refused() {
    let (mut world, miner, owner) = proving_at(1306 + 300);
    let call = world.post_call(&miner, fil(1));
    let text = "PoSt submitted later than grace period of 300 rounds after proving period end".to_string();
    assert_eq!(world.revert(&owner, call), (1, text));
    world.height -= 1;
    let call = world.post_call(&miner, fil(1));
    assert!(world.send(&owner, call).is_ok());
}

/// spec §9.45: 10 of 1000 at 1 % lateness, rounded down, capped.
#[test]
fn a_late_fee_grows_with_lateness_rounds_down_and_ends_at_the_collateral() {
    let policy = Policy::default();
    let fee = |collateral, height| late_fee(&policy, AttoFil(collateral), Epoch(1000), Epoch(height)).0;
    assert_eq!([fee(1000, 900), fee(1000, 1000), fee(1000, 1003)], [0, 0, 10]);
    assert_eq!([fee(999, 1001), fee(1000, 1300), fee(1000, 9999)], [3, 1000, 1000]);
    let all = (1 << 125) - 1;
    assert!(fee(all, 1299) < all, "the largest collateral does not overflow");
}

#[test]
fn a_miner_without_sectors_proves_nothing() {
    let (mut world, miner) = World::with_miner();
    let owner = world.owner.clone();
    let call = calls::submit_post(&miner, &[], AttoFil::ZERO);
    assert_eq!(world.revert(&owner, call), (45, "miner is inactive".into()));
}

/// spec §9.46: too early, power and commitments stripped, twice.
#[test]
fn a_miner_that_missed_its_grace_is_slashed_once_and_may_begin_again() {
    let (mut world, miner, owner) = proving_at(1171);
    world.send(&owner, world.post_call(&miner, AttoFil::ZERO));
    let stranger = world.stranger.clone();
    world.height = 1606 + 300;
    assert_eq!(world.ask(None, calls::read(&miner, "getPoStState")), Ok(vec![vec![3]]));
    let late = world.ask(None, calls::read(&Address::id(2), "getLateMiners")).unwrap();
    assert_eq!(late[0][0], 0xa1);
    assert_eq!(
        world.revert(&stranger, calls::slash_storage_fault(&miner)),
        (45, "miner not yet tardy".into())
    );
    world.height += 1;
    assert!(world.send(&stranger, calls::slash_storage_fault(&miner)).is_ok());
    let state = world.miner(&miner);
    assert_eq!(
        (state.power, state.sectors.len(), state.slashed_at),
        (0, 0, Some(Epoch(1907)))
    );
    let burnt = world.state.balance(&Address::id(Address::BURNT_FUNDS));
    assert_eq!(burnt, world.state.policy.sector_collateral, "the sector's collateral");
    assert_eq!(state.active_collateral, AttoFil::ZERO);
    assert_eq!(world.state.market.total_storage, 0);
    assert_eq!(
        world.revert(&stranger, calls::slash_storage_fault(&miner)),
        (44, "miner already slashed".into())
    );
    assert!(world.commit(&miner, 7).is_ok());
    assert_eq!(world.miner(&miner).proving_period_end, Some(Epoch(1913 + 300)));
}

/// spec §9.46: out of gas, for the call itself and for the market's.
#[test]
fn a_slash_that_runs_out_of_gas_slashes_nobody() {
    let (mut world, miner, owner) = proving_at(1171);
    world.send(&owner, world.post_call(&miner, AttoFil::ZERO));
    let stranger = world.stranger.clone();
    world.height = 1907;
    for limit in [99, 199] {
        let nonce = world.state.nonce(&stranger.address());
        let mut metered = calls::slash_storage_fault(&miner).message(&stranger.address(), nonce);
        metered.gas_limit = limit;
        let receipt = world.apply(&metered.sign(&stranger)).expect("the message is valid");
        assert_eq!((receipt.exit_code, receipt.gas_cost), (36, AttoFil(u128::from(limit))));
        assert_eq!(receipt.error, "Insufficient gas: gas cost exceeds gas limit");
        assert_eq!(world.miner(&miner).power, 2048);
    }
}

/// spec §9.49: only with commitments, and only when unrecoverable.
#[test]
fn a_miner_is_listed_late_from_the_end_of_its_grace_on_while_it_has_sectors_to_prove() {
    let (mut world, miner, _) = proving_at(1605);
    let stranger = world.stranger.clone();
    let late = |world: &World| {
        let returns = world.ask(None, calls::late_miners()).expect("the market answers");
        calls::returns::late_miners(&returns).expect("the list decodes").0
    };
    assert!(late(&world).is_empty(), "late, and its proof is still accepted");
    world.height = 1606;
    assert_eq!(late(&world), [(miner.clone(), PostState::Unrecoverable as u64)].into());
    world.height = 1607;
    assert!(world.send(&stranger, calls::slash_storage_fault(&miner)).is_ok());
    assert!(late(&world).is_empty(), "nothing is left to prove");
    let idle = calls::create_storage_miner(SectorSize::S2KiB, b"idle", fil(1));
    assert!(world.send(&stranger, idle).is_ok());
    assert!(late(&world).is_empty(), "a miner without sectors is not late");
}

/// spec §9.46: inactive.
#[test]
fn an_inactive_miner_cannot_be_slashed() {
    let (mut world, miner) = World::with_miner();
    let stranger = world.stranger.clone();
    assert_eq!(
        world.revert(&stranger, calls::slash_storage_fault(&miner)),
        (45, "miner is inactive".into())
    );
}
