//! Pre-commit, commit and piece inclusion (spec §5.3.3, §5.3.9; design §9).

use super::*;

const DENIED: &str = "not authorized to call the method";

/// A world where sector 0 is pre-committed and its seed is drawn.
fn pre_committed() -> (World, Address, SecretKey) {
    let (mut world, miner) = World::with_miner();
    let owner = world.owner.clone();
    let call = world.pre_commit(&miner, 0);
    assert!(world.send(&owner, call).is_ok());
    world.height += 6;
    (world, miner, owner)
}

#[test]
fn a_sector_is_committed_after_its_seed_is_drawn_and_starts_the_proving_period() {
    let (mut world, miner, owner) = pre_committed();
    let call = world.commit_call(&miner, 0);
    assert!(world.send(&owner, call).is_ok());
    let state = world.miner(&miner);
    assert_eq!(state.sectors[&0].committed_at, Epoch(1006));
    assert_eq!(state.proving_set, [0].into());
    assert_eq!(state.proving_period_end, Some(Epoch(1306)));
    assert_eq!(state.active_collateral, world.state.policy.sector_collateral);
    assert_eq!((state.power, state.pre_commits.len()), (0, 0));
    let window = world.ask(None, calls::read(&miner, "getProvingWindow")).unwrap();
    assert_eq!(window, [Epoch(1156).to_bytes(), Epoch(1306).to_bytes()]);
    assert_eq!(world.ask(None, calls::read(&miner, "getPoStState")), Ok(vec![vec![1]]));
    let set = world
        .ask(None, calls::read(&miner, "getProvingSetCommitments"))
        .unwrap();
    assert!(
        hex::encode(&set[0]).starts_with("a16130a365636f6d6d44"),
        "{}",
        hex::encode(&set[0])
    );
}

#[test]
fn only_the_worker_pre_commits_and_commits() {
    let (mut world, miner, _) = pre_committed();
    let stranger = world.stranger.clone();
    let call = world.pre_commit(&miner, 1);
    assert_eq!(world.revert(&stranger, call), (37, DENIED.into()));
    let call = world.commit_call(&miner, 0);
    assert_eq!(world.revert(&stranger, call), (37, DENIED.into()));
}

#[test]
fn a_stranger_is_refused_before_any_proof_is_verified() {
    let (mut world, miner, _) = pre_committed();
    world.verifier.broken = true;
    let stranger = world.stranger.clone();
    let call = world.commit_call(&miner, 0);
    assert_eq!(world.revert(&stranger, call).0, 37);
}

#[test]
fn a_ticket_is_not_from_the_future_nor_too_old() {
    let (mut world, miner) = World::with_miner();
    world.height = 5000;
    let owner = world.owner.clone();
    let with = |ticket| calls::pre_commit_sector(&miner, ticket, &comm_d(), &comm_r(0), Epoch(ticket));
    for ticket in [2999, 5001] {
        let text = format!("the ticket of {ticket} is not from the blocks 3000 to 5000");
        assert_eq!(world.revert(&owner, with(ticket)), (51, text));
    }
    for ticket in [3000, 5000] {
        assert!(world.send(&owner, with(ticket)).is_ok());
    }
}

/// spec §9.44: the second commit of an id exits with 35 (0x23).
#[test]
fn a_pre_commit_is_not_replaced_while_it_lives_nor_after_its_sector_is_committed() {
    let (mut world, miner, owner) = pre_committed();
    let call = world.pre_commit(&miner, 0);
    let text = "sector 0 is pre-committed until 4000: commit it, or wait until its deposit is burnt".to_string();
    assert_eq!(world.revert(&owner, call), (53, text));
    let call = world.commit_call(&miner, 0);
    assert!(world.send(&owner, call.clone()).is_ok());
    let committed = (35, "sector already committed at this ID".to_string());
    assert_eq!(world.revert(&owner, call), committed);
    let call = world.pre_commit(&miner, 0);
    assert_eq!(world.revert(&owner, call), committed);
}

#[test]
fn a_deposit_is_locked_by_the_pre_commit_and_free_after_the_commit() {
    let (mut world, miner, owner) = pre_committed();
    let (deposit, collateral) = (
        world.state.policy.pre_commit_deposit,
        world.state.policy.sector_collateral,
    );
    let state = world.miner(&miner);
    assert_eq!(
        (state.balance, state.deposits(), state.active_collateral),
        (fil(1), deposit, AttoFil::ZERO)
    );
    assert_eq!(state.free_balance(), AttoFil(fil(1).0 - deposit.0));
    let call = world.commit_call(&miner, 0);
    assert!(world.send(&owner, call).is_ok());
    let state = world.miner(&miner);
    assert_eq!((state.deposits(), state.active_collateral), (AttoFil::ZERO, collateral));
    assert_eq!(state.balance, fil(1));
}

#[test]
fn a_deposit_may_come_with_its_message_and_without_it_no_pre_commit_is_taken() {
    let mut world = World::new();
    let owner = world.owner.clone();
    let create = calls::create_storage_miner(SectorSize::S2KiB, b"peer", AttoFil::ZERO);
    let receipt = world.send(&owner, create);
    let miner = calls::miner_address(&receipt).expect("the receipt holds the miner's address");
    let call = world.pre_commit(&miner, 0);
    assert_eq!(
        world.revert(&owner, call.clone()),
        (43, "insufficient collateral".into())
    );
    let deposit = world.state.policy.pre_commit_deposit;
    assert!(world.send(&owner, call.with_value(deposit)).is_ok());
    assert_eq!(world.miner(&miner).deposits(), deposit);
}

#[test]
fn the_deposit_of_a_pre_commit_that_expires_is_burnt_at_the_end_of_a_block() {
    let (mut world, miner, owner) = pre_committed();
    let deposit = world.state.policy.pre_commit_deposit;
    assert!(
        !end_block(&mut world.state, Epoch(4000)).changed(),
        "the commit may still come in block 4000"
    );
    let ended = end_block(&mut world.state, Epoch(4001));
    assert_eq!((ended.pre_commits, ended.burnt, ended.changed()), (1, deposit, true));
    assert_eq!(world.state.balance(&Address::id(Address::BURNT_FUNDS)), deposit);
    assert_eq!(world.miner(&miner).balance, AttoFil(fil(1).0 - deposit.0));
    assert_eq!(end_block(&mut world.state, Epoch(4002)), BlockEnd::default());
    world.state.check_invariants().expect("the invariants hold");
    world.height = 4003;
    let call = world.pre_commit(&miner, 0);
    assert!(world.send(&owner, call).is_ok(), "a new seed costs a deposit");
}

#[test]
fn a_commit_needs_its_pre_commit() {
    let (mut world, miner, owner) = pre_committed();
    let other = calls::commit_sector(&miner, 1, &comm_d(), &comm_r(1), &comm_d(), b"proof");
    let text = "sector 1 was not pre-committed: send preCommitSector first".to_string();
    assert_eq!(world.revert(&owner, other), (47, text));
    let text = "the pre-commit of sector 0 names another commD or commR".to_string();
    for (comm_d, comm_r) in [(comm_d(), comm_r(1)), (comm_r(1), comm_r(0))] {
        let differs = calls::commit_sector(&miner, 0, &comm_d, &comm_r, &comm_d, b"proof");
        assert_eq!(world.revert(&owner, differs), (48, text.clone()));
    }
}

#[test]
fn a_commit_comes_neither_before_its_seed_nor_after_its_pre_commit_expired() {
    let (mut world, miner, owner) = pre_committed();
    let call = world.commit_call(&miner, 0);
    world.height = 1005;
    let early = (
        49,
        "the seed is drawn at 1006, and this is 1005: commit later".to_string(),
    );
    assert_eq!(world.revert(&owner, call.clone()), early);
    world.height = 4001;
    let late = (
        50,
        "the pre-commit expired at 4000, and this is 4001: pre-commit again".to_string(),
    );
    assert_eq!(world.revert(&owner, call.clone()), late);
    world.height = 4000;
    assert!(world.send(&owner, call).is_ok());
}

#[test]
fn a_seal_proof_of_any_other_claim_is_refused() {
    let (mut world, miner, owner) = pre_committed();
    let good = world.seal_claim(&miner, 0);
    let mut claims = vec![];
    let mut broken = |change: &dyn Fn(&mut SealClaim)| {
        let mut claim = good.clone();
        change(&mut claim);
        claims.push(FakeVerifier::seal_tag(&claim));
    };
    broken(&|c| c.sector = 1);
    broken(&|c| c.seed[0] ^= 1);
    broken(&|c| c.ticket[0] ^= 1);
    broken(&|c| c.prover_id[0] ^= 1);
    broken(&|c| c.sector_size = SectorSize::S8MiB);
    claims.push(Vec::new());
    for proof in claims {
        let call = calls::commit_sector(&miner, 0, &comm_d(), &comm_r(0), &Commitment([9; 32]), &proof);
        assert_eq!(world.revert(&owner, call), (41, "seal proof was invalid".into()));
    }
}

#[test]
fn commitments_have_32_bytes() {
    let (mut world, miner, owner) = pre_committed();
    for (at, name) in [(1, "commD"), (2, "commR"), (3, "commRStar")] {
        let mut call = world.commit_call(&miner, 0);
        call.params[at].push(0);
        assert_eq!(world.revert(&owner, call), (1, format!("invalid sized {name}")));
    }
    let mut call = world.pre_commit(&miner, 1);
    call.params[2].pop();
    assert_eq!(world.revert(&owner, call), (1, "invalid sized commR".into()));
}

#[test]
fn a_sector_number_above_the_range_is_refused() {
    let (mut world, miner, owner) = pre_committed();
    let call = calls::pre_commit_sector(&miner, 1 << 63, &comm_d(), &comm_r(0), Epoch(1006));
    assert_eq!(world.revert(&owner, call), (34, "sectorID out of range".into()));
}

#[test]
fn a_sector_without_collateral_is_refused_until_money_arrives() {
    let (mut world, miner, owner) = pre_committed();
    // A network whose deposits are smaller than its collateral, and a miner that has no more than the deposit.
    let (deposit, collateral) = (AttoFil(10), world.state.policy.sector_collateral);
    world.state.policy.pre_commit_deposit = deposit;
    let state = world.state.miners.get_mut(&miner).expect("the miner exists");
    state.pre_commits.get_mut(&0).expect("it is pre-committed").deposit = deposit;
    let rest = state.balance.0 - deposit.0;
    state.balance = deposit;
    let account = world
        .state
        .accounts
        .get_mut(&owner.address())
        .expect("the owner exists");
    account.balance.0 += rest;
    let call = world.commit_call(&miner, 0);
    assert_eq!(
        world.revert(&owner, call.clone()),
        (43, "insufficient collateral".into())
    );
    let missing = AttoFil(collateral.0 - deposit.0);
    assert!(world.send(&owner, calls::transfer(&miner, missing)).is_ok());
    assert!(world.send(&owner, call).is_ok());
}

/// spec §9.44: the 11th sector without collateral fails. Here its pre-commit does, whose deposit is as much.
#[test]
fn a_miner_has_as_many_sectors_as_its_money_covers() {
    let mut world = World::new();
    let owner = world.owner.clone();
    let collateral = world.state.policy.sector_collateral;
    let create = calls::create_storage_miner(SectorSize::S2KiB, b"peer", AttoFil(10 * collateral.0));
    let receipt = world.send(&owner, create);
    let miner = calls::miner_address(&receipt).expect("the receipt holds the miner's address");
    for id in 0..10 {
        assert!(world.commit(&miner, id).is_ok());
    }
    let call = world.pre_commit(&miner, 10);
    assert_eq!(world.revert(&owner, call), (43, "insufficient collateral".into()));
    assert_eq!(world.miner(&miner).free_balance(), AttoFil::ZERO);
}

#[test]
fn a_miner_has_a_bounded_number_of_pre_commits_and_expired_ones_make_room() {
    let (mut world, miner) = World::with_miner();
    let owner = world.owner.clone();
    let pre = state::PreCommit {
        comm_d: comm_d(),
        comm_r: comm_r(0),
        ticket_epoch: Epoch(1),
        height: Epoch(1000),
        deposit: AttoFil::ZERO,
    };
    let pre_commits = &mut world.state.miners.get_mut(&miner).unwrap().pre_commits;
    pre_commits.extend((0..256).map(|id| (id, pre.clone())));
    let call = world.pre_commit(&miner, 256);
    assert_eq!(
        world.revert(&owner, call),
        (52, "too many pre-commits: a miner may have 256".into())
    );
    world.height = 4001;
    let call = world.pre_commit(&miner, 256);
    assert!(world.send(&owner, call).is_ok());
    assert_eq!(world.miner(&miner).pre_commits.len(), 1);
}

#[test]
fn a_miner_has_a_bounded_number_of_sectors() {
    let (mut world, miner) = World::with_sectors(1);
    let owner = world.owner.clone();
    let sectors = &mut world.state.miners.get_mut(&miner).unwrap().sectors;
    let sector = sectors[&0].clone();
    sectors.extend((0..4096).map(|id| (id, sector.clone())));
    let collateral = world.state.policy.sector_collateral.0 * 4096;
    world.endow(&miner, collateral);
    let call = world.pre_commit(&miner, 4096);
    assert_eq!(
        world.revert(&owner, call),
        (52, "too many sectors: a miner may have 4096".into())
    );
}

/// spec §9.47: not committed, not active, tardy, malformed (2019: a failing verifier), false (46), success.
#[test]
fn a_piece_in_a_proven_sector_verifies_and_nothing_else_does() {
    let (mut world, miner) = World::with_sectors(1);
    let size = BytesAmount(PIECE as u64);
    let check = |world: &World, comm_p: Commitment, size, sector, proof: &[u8]| {
        let result = world.ask(
            None,
            calls::verify_piece_inclusion(&miner, &comm_p, size, sector, proof),
        );
        result.map_err(|revert| (revert.code, revert.text))
    };
    let proof = inclusion();
    assert_eq!(check(&world, comm_p(), size, 0, &proof), Ok(vec![]));
    let refused = Err((46, "piece inclusion proof did not validate".to_string()));
    assert_eq!(check(&world, comm_d(), size, 0, &proof), refused);
    assert_eq!(check(&world, comm_p(), BytesAmount(100), 0, &proof), refused);
    assert_eq!(
        check(&world, comm_p(), size, 1, &proof),
        Err((1, "sector not committed".into()))
    );
    let malformed = check(&world, comm_p(), size, 0, &proof[1..]).unwrap_err();
    assert_eq!(malformed.0, 1);
    assert!(
        malformed
            .1
            .starts_with("failed to verify piece inclusion proof: malformed"),
        "{}",
        malformed.1
    );
    assert_eq!(check(&world, comm_p(), BytesAmount(0), 0, &proof).unwrap_err().0, 1);
    world.height = 1306 + 300;
    assert_eq!(check(&world, comm_p(), size, 0, &proof), Ok(vec![]));
    world.height += 1;
    assert_eq!(
        check(&world, comm_p(), size, 0, &proof),
        Err((1, "miner is tardy".into()))
    );
    world.state.miners.get_mut(&miner).unwrap().proving_period_end = None;
    assert_eq!(
        check(&world, comm_p(), size, 0, &proof),
        Err((1, "miner not active".into()))
    );
}
