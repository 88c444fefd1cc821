//! Sectors that are not proven: given up, done, faulty, recovered, lost; periods that were missed (spec §5.3.4, §5.3.7,
//! §5.3.8, §7.8).

use super::actors::miner::PostState;
use super::state::Fault;
use super::*;

/// Bytes of a sector.
const SECTOR: u64 = 2048;

/// A world whose miner proved its three sectors, 0 to 2, at 1500; the window now runs from 1756 to 1906.
fn proven() -> (World, Address, SecretKey) {
    let (mut world, miner) = World::with_sectors(3);
    let owner = world.owner.clone();
    for height in [1200, 1500] {
        world.height = height;
        assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
    }
    assert_eq!(world.miner(&miner).power, 3 * SECTOR);
    world.height = 1600;
    (world, miner, owner)
}

fn ids(ids: &[u64]) -> IntSet {
    ids.iter().copied().collect()
}

fn burnt(world: &World) -> u128 {
    world.state.balance(&Address::id(Address::BURNT_FUNDS)).0
}

/// A proof without `faults`, and with the last one of `done`.
fn post_without(world: &World, miner: &Address, faults: &[u64], done: &[u64]) -> Call {
    let proof = world.post_proof(miner, |id| !faults.contains(id));
    calls::submit_post_without(
        miner,
        &proof,
        &FaultSet::of(faults.iter().copied()),
        &ids(done),
        AttoFil::ZERO,
    )
}

/// Where a miner's sectors stand.
fn standing(world: &World, miner: &Address) -> (u64, Vec<u64>, Vec<u64>) {
    let state = world.miner(miner);
    (
        state.power / SECTOR,
        state.sectors.keys().copied().collect(),
        state.proving_set.iter().copied().collect(),
    )
}

/// spec §9.44: faults drop power and commitments. Their collateral is burnt, where 2019 kept it locked for ever.
#[test]
fn a_sector_given_up_in_a_proof_loses_power_commitment_and_collateral() {
    let (mut world, miner, owner) = proven();
    world.height = 1771;
    let call = post_without(&world, &miner, &[1], &[]);
    assert!(world.send(&owner, call).is_ok());
    assert_eq!(standing(&world, &miner), (2, vec![0, 2], vec![0, 2]));
    let collateral = world.state.policy.sector_collateral.0;
    assert_eq!(burnt(&world), collateral);
    assert_eq!(world.miner(&miner).active_collateral.0, 2 * collateral);
    assert_eq!(world.miner(&miner).balance.0, fil(1).0 - collateral);
    let inclusion = calls::verify_piece_inclusion(&miner, &comm_p(), BytesAmount(PIECE as u64), 1, &inclusion());
    let gone = world.ask(None, inclusion).expect_err("the sector is gone");
    assert_eq!(gone.text, "sector not committed");
}

#[test]
fn a_proof_must_cover_every_sector_that_is_not_given_up() {
    let (mut world, miner, owner) = proven();
    world.height = 1771;
    let proof = world.post_proof(&miner, |id| *id != 1);
    let call = calls::submit_post(&miner, &proof, AttoFil::ZERO);
    assert_eq!(world.revert(&owner, call), (39, "PoSt proof did not validate".into()));
}

/// spec §9.44: power lags removal by one period. The collateral is free at once.
#[test]
fn a_done_sector_keeps_its_power_for_one_period_and_frees_its_collateral() {
    let (mut world, miner, owner) = proven();
    world.height = 1771;
    let call = post_without(&world, &miner, &[], &[2]);
    assert!(world.send(&owner, call).is_ok());
    assert_eq!(standing(&world, &miner), (3, vec![0, 1], vec![0, 1]));
    assert_eq!(burnt(&world), 0);
    let state = world.miner(&miner);
    let collateral = world.state.policy.sector_collateral.0;
    assert_eq!((state.active_collateral.0, state.balance), (2 * collateral, fil(1)));
    world.height = 2071;
    assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
    assert_eq!(standing(&world, &miner), (2, vec![0, 1], vec![0, 1]));
}

#[test]
fn the_power_of_done_sectors_lapses_at_the_periods_end_when_no_proof_will_follow() {
    let (mut world, miner, owner) = proven();
    world.height = 1771;
    let call = post_without(&world, &miner, &[], &[0, 1, 2]);
    assert!(world.send(&owner, call).is_ok());
    assert_eq!(standing(&world, &miner), (3, vec![], vec![]));
    assert!(!end_block(&mut world.state, Epoch(2205)).changed());
    let ended = end_block(&mut world.state, Epoch(2206));
    assert_eq!(ended.power, 3 * SECTOR);
    world.check();
    assert_eq!(standing(&world, &miner).0, 0);
    assert_eq!(world.state.market.total_storage, 0);
}

/// spec §9.44: done of an unknown id fails with 34.
#[test]
fn only_committed_sectors_are_given_up_done_or_faulty_and_none_is_two_of_these() {
    let (mut world, miner, owner) = proven();
    world.height = 1771;
    let unknown = (34, "sectorID out of range".to_string());
    for (faults, done) in [(&[][..], &[7][..]), (&[7], &[]), (&[1], &[1])] {
        let call = post_without(&world, &miner, faults, done);
        assert_eq!(world.revert(&owner, call), unknown, "{faults:?} {done:?}");
    }
    assert_eq!(
        world.revert(&owner, calls::add_faults(&miner, &FaultSet::of([0, 7]))),
        unknown
    );
    assert_eq!(
        world.revert(&owner, calls::recover_faults(&miner, &ids(&[0]))),
        unknown,
        "it is not faulty"
    );
}

#[test]
fn a_miner_that_gives_everything_up_needs_no_proof() {
    let (mut world, miner, owner) = proven();
    world.height = 1771;
    let nothing = calls::submit_post_without(&miner, &[], &FaultSet::of(0..3), &IntSet::default(), AttoFil::ZERO);
    assert!(world.send(&owner, nothing).is_ok());
    assert_eq!(standing(&world, &miner), (0, vec![], vec![]));
    assert_eq!(burnt(&world), 3 * world.state.policy.sector_collateral.0);
}

#[test]
fn malformed_sets_revert() {
    let (mut world, miner, owner) = proven();
    world.height = 1771;
    for at in [1, 2] {
        let mut call = world.post_call(&miner, AttoFil::ZERO);
        call.params[at] = vec![0x41, 0x04];
        assert_eq!(world.revert(&owner, call).0, 1);
    }
}

/// spec §5.3.8 [Q]: the call of 2019 had no check of its sender.
#[test]
fn only_the_worker_declares_recovers_and_restarts() {
    let (mut world, miner, _) = proven();
    let stranger = world.stranger.clone();
    let denied = (37, "not authorized to call the method".to_string());
    for call in [
        calls::add_faults(&miner, &FaultSet::of([0])),
        calls::recover_faults(&miner, &ids(&[0])),
        calls::restart_proving(&miner, AttoFil::ZERO),
    ] {
        assert_eq!(world.revert(&stranger, call), denied);
    }
}

#[test]
fn a_fault_declared_before_the_window_leaves_its_proof_and_recovers_with_a_later_one() {
    let (mut world, miner, owner) = proven();
    let receipt = world.send(&owner, calls::add_faults(&miner, &FaultSet::of([1])));
    assert_eq!((receipt.exit_code, receipt.gas_cost), (0, AttoFil(200)));
    assert_eq!(standing(&world, &miner), (2, vec![0, 1, 2], vec![0, 2]));
    let view = view::MinerView::of(&world.state, &miner).expect("the miner exists");
    let fault = view.sectors[1].fault.expect("the view shows the fault");
    assert_eq!(
        (fault.since, fault.recovering, fault.lost_at),
        (Epoch(1600), false, Epoch(5800))
    );
    assert!(!view.sectors[1].in_proving_set && !view.sectors[1].proven && view.sectors[0].proven);
    world.height = 1771;
    assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
    assert_eq!(standing(&world, &miner), (2, vec![0, 1, 2], vec![0, 2]));
    assert!(world.send(&owner, calls::recover_faults(&miner, &ids(&[1]))).is_ok());
    assert_eq!(
        standing(&world, &miner),
        (2, vec![0, 1, 2], vec![0, 1, 2]),
        "no power before the proof"
    );
    world.height = 2071;
    assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
    assert_eq!(standing(&world, &miner), (3, vec![0, 1, 2], vec![0, 1, 2]));
    assert!(world.miner(&miner).faults.is_empty());
    assert_eq!(burnt(&world), 0, "a fault that recovers costs power, not money");
}

/// Once the challenge is known, a miner could declare what it happens not to be able to prove.
#[test]
fn a_fault_declared_in_the_window_counts_from_the_next_period() {
    let (mut world, miner, owner) = proven();
    world.height = 1756;
    assert!(world
        .send(&owner, calls::add_faults(&miner, &FaultSet::of([1])))
        .is_ok());
    assert_eq!(standing(&world, &miner), (3, vec![0, 1, 2], vec![0, 1, 2]));
    assert_eq!(world.miner(&miner).next_faults, [(1, Epoch(1756))].into());
    world.height = 1771;
    let receipt = world.send(&owner, world.post_call(&miner, AttoFil::ZERO));
    assert!(receipt.is_ok());
    assert_eq!(standing(&world, &miner), (2, vec![0, 1, 2], vec![0, 2]));
    let since = Fault {
        since: Epoch(1756),
        recovering: false,
    };
    assert_eq!(world.miner(&miner).faults, [(1, since)].into());
}

#[test]
fn a_recovery_in_the_window_waits_for_the_next_period() {
    let (mut world, miner, owner) = proven();
    assert!(world
        .send(&owner, calls::add_faults(&miner, &FaultSet::of([1])))
        .is_ok());
    world.height = 1756;
    assert!(world.send(&owner, calls::recover_faults(&miner, &ids(&[1]))).is_ok());
    assert_eq!(standing(&world, &miner), (2, vec![0, 1, 2], vec![0, 2]));
    world.height = 1771;
    assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
    assert_eq!(standing(&world, &miner), (2, vec![0, 1, 2], vec![0, 1, 2]));
}

#[test]
fn a_miner_whose_sectors_all_were_faulty_begins_a_period_with_the_first_that_recovers() {
    let (mut world, miner, owner) = proven();
    assert!(world
        .send(&owner, calls::add_faults(&miner, &FaultSet::of(0..3)))
        .is_ok());
    assert_eq!(standing(&world, &miner), (0, vec![0, 1, 2], vec![]));
    world.height = 3000;
    let state = world.ask(None, calls::post_state(&miner)).expect("the miner answers");
    assert_eq!(calls::returns::post_state(&state), Ok(PostState::NoStorage));
    let stranger = world.stranger.clone();
    let idle = (45, "miner is inactive".to_string());
    assert_eq!(world.revert(&stranger, calls::slash_storage_fault(&miner)), idle);
    assert!(world.send(&owner, calls::recover_faults(&miner, &ids(&[2]))).is_ok());
    assert_eq!(standing(&world, &miner), (0, vec![0, 1, 2], vec![2]));
    assert_eq!(world.miner(&miner).proving_period_end, Some(Epoch(3300)));
    world.height = 3200;
    assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
    assert_eq!(standing(&world, &miner), (1, vec![0, 1, 2], vec![2]));
}

#[test]
fn a_faulty_sector_redeems_no_conditional_voucher() {
    let (mut world, miner, owner) = proven();
    let check = |world: &World| {
        let size = BytesAmount(PIECE as u64);
        let call = calls::verify_piece_inclusion(&miner, &comm_p(), size, 1, &inclusion());
        world.ask(None, call).map_err(|revert| (revert.code, revert.text))
    };
    assert_eq!(check(&world), Ok(vec![]));
    let declared = calls::add_faults(&miner, &FaultSet::of([1]));
    assert!(world.send(&owner, declared).is_ok());
    assert_eq!(check(&world), Err((1, "sector is faulty".into())));
    assert!(world.send(&owner, calls::recover_faults(&miner, &ids(&[1]))).is_ok());
    assert_eq!(
        check(&world),
        Err((1, "sector is faulty".into())),
        "until a proof covers it"
    );
    world.height = 1771;
    assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
    assert_eq!(check(&world), Ok(vec![]));
}

#[test]
fn a_sector_that_stays_faulty_is_lost_with_its_collateral() {
    let (mut world, miner, owner) = proven();
    assert!(world
        .send(&owner, calls::add_faults(&miner, &FaultSet::of([1])))
        .is_ok());
    // Declaring it again does not make it younger.
    world.height = 1700;
    assert!(world
        .send(&owner, calls::add_faults(&miner, &FaultSet::of([1])))
        .is_ok());
    assert!(!end_block(&mut world.state, Epoch(5799)).changed());
    let ended = end_block(&mut world.state, Epoch(5800));
    let collateral = world.state.policy.sector_collateral;
    assert_eq!((ended.sectors, ended.burnt, ended.power), (1, collateral, 0));
    world.check();
    assert_eq!(standing(&world, &miner).1, [0, 2]);
}

/// spec §7.8 [Q]: the miner of 2019 could never prove again (venus#3406).
#[test]
fn a_miner_that_missed_a_period_goes_on_for_the_price_of_a_slash() {
    let (mut world, miner, owner) = proven();
    let collateral = world.state.policy.sector_collateral;
    world.height = 2205;
    let text = "the running period can be proven until 2206: send submitPoSt".to_string();
    assert_eq!(
        world.revert(&owner, calls::restart_proving(&miner, AttoFil::ZERO)),
        (54, text)
    );
    world.height = 2206;
    assert!(world
        .send(&owner, calls::restart_proving(&miner, AttoFil::ZERO))
        .is_ok());
    assert_eq!(standing(&world, &miner), (0, vec![0, 1, 2], vec![0, 1, 2]));
    assert_eq!(burnt(&world), 3 * collateral.0);
    let state = world.miner(&miner);
    assert_eq!(state.active_collateral.0, 3 * collateral.0);
    assert_eq!(state.balance.0, fil(1).0 - 3 * collateral.0);
    assert!(state.faults.values().all(|fault| fault.recovering));
    assert_eq!(state.proving_period_end, Some(Epoch(2506)));
    world.height = 2371;
    assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
    assert_eq!(standing(&world, &miner), (3, vec![0, 1, 2], vec![0, 1, 2]));
    assert!(world.miner(&miner).faults.is_empty());
}

#[test]
fn a_restart_is_paid_from_free_money_and_the_messages_value() {
    let (mut world, miner, owner) = proven();
    let collateral = world.state.policy.sector_collateral.0;
    // Take all free money away.
    let state = world.state.miners.get_mut(&miner).expect("the miner exists");
    let free = state.free_balance().0;
    state.balance.0 -= free;
    world.state.supply.0 -= free;
    world.height = 2300;
    let short = calls::restart_proving(&miner, AttoFil(3 * collateral - 1));
    assert_eq!(world.revert(&owner, short), (43, "insufficient collateral".into()));
    assert!(world
        .send(&owner, calls::restart_proving(&miner, AttoFil(3 * collateral)))
        .is_ok());
    assert_eq!(world.miner(&miner).free_balance(), AttoFil::ZERO);
}

#[test]
fn a_slashed_miner_goes_on_with_its_other_sectors_and_can_be_slashed_again() {
    let (mut world, miner, owner) = proven();
    let stranger = world.stranger.clone();
    assert!(world.commit(&miner, 3).is_ok(), "it waits for the next period");
    world.height = 2207;
    assert!(world.send(&stranger, calls::slash_storage_fault(&miner)).is_ok());
    assert_eq!(standing(&world, &miner), (0, vec![3], vec![]));
    assert_eq!(burnt(&world), 3 * world.state.policy.sector_collateral.0);
    let restart = calls::restart_proving(&miner, AttoFil::ZERO);
    assert!(world.send(&owner, restart.clone()).is_ok());
    assert_eq!(standing(&world, &miner), (0, vec![3], vec![3]));
    assert_eq!(world.miner(&miner).slashed_at, None);
    assert_eq!(
        burnt(&world),
        3 * world.state.policy.sector_collateral.0,
        "no second penalty"
    );
    let text = "the running period can be proven until 2807: send submitPoSt".to_string();
    assert_eq!(world.revert(&owner, restart), (54, text));
    world.height = 2808;
    assert!(world.send(&stranger, calls::slash_storage_fault(&miner)).is_ok());
    assert_eq!(standing(&world, &miner), (0, vec![], vec![]));
    let idle = calls::restart_proving(&miner, AttoFil::ZERO);
    assert_eq!(world.revert(&owner, idle), (45, "miner is inactive".into()));
}

#[test]
fn faults_declared_late_in_a_missed_period_do_not_recover_by_the_restart() {
    let (mut world, miner, owner) = proven();
    world.height = 1900;
    assert!(world
        .send(&owner, calls::add_faults(&miner, &FaultSet::of([1])))
        .is_ok());
    world.height = 2206;
    assert!(world
        .send(&owner, calls::restart_proving(&miner, AttoFil::ZERO))
        .is_ok());
    assert_eq!(standing(&world, &miner), (0, vec![0, 1, 2], vec![0, 2]));
    assert_eq!(
        burnt(&world),
        3 * world.state.policy.sector_collateral.0,
        "all three were due"
    );
}
