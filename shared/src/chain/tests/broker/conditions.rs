//! Vouchers that pay only when a predicate holds on the chain (spec §5.2).

use super::*;
use crate::chain::policy::CHANNEL_EXPIRY_INTERVAL;

/// spec §9.38, spec §9.39: a condition that holds, cached with its parameters, and cleared by a null condition.
#[test]
fn a_conditional_voucher_pays_with_the_sector_and_its_inclusion_proof() {
    let (mut world, _, owner, condition) = opened_with_miner();
    let call = calls::redeem(
        &voucher(&world, 100, 0, Some(&condition)),
        calls::inclusion_parameters(0, &inclusion()),
    );
    let receipt = world.send(&owner, call);
    assert_eq!(
        (receipt.exit_code, receipt.gas_cost),
        (0, AttoFil(200)),
        "{}",
        receipt.error
    );
    let cached = channel(&world).condition.unwrap().params.unwrap();
    assert_eq!(cached.len(), 4);
    let next = world.send(
        &owner,
        calls::redeem(&voucher(&world, 200, 0, Some(&condition)), vec![]),
    );
    assert!(
        next.is_ok(),
        "a later voucher uses the cached parameters: {}",
        next.error
    );
    assert!(world
        .send(&owner, calls::redeem(&voucher(&world, 300, 0, None), vec![]))
        .is_ok());
    assert_eq!(
        channel(&world).condition,
        None,
        "an unconditional voucher clears the condition"
    );
}

/// spec §9.38: false condition, missing actor, missing method, too few parameters of the payer and of the redeemer.
#[test]
fn a_condition_that_fails_in_any_way_pays_nothing() {
    let (mut world, _, owner, good) = opened_with_miner();
    let redeemer = || calls::inclusion_parameters(0, &inclusion());
    let mut refused = |condition: Predicate, redeemer, inner: &str| {
        let call = calls::redeem(&voucher(&world, 100, 0, Some(&condition)), redeemer);
        let text = format!("failed to validate voucher condition: {inner}");
        assert_eq!(world.revert(&owner, call), (44, text));
    };
    let false_condition = Predicate::piece_inclusion(&good.to, &comm_d(), BytesAmount(PIECE as u64));
    refused(false_condition, redeemer(), "piece inclusion proof did not validate");
    refused(
        good.clone(),
        calls::inclusion_parameters(1, &inclusion()),
        "sector not committed",
    );
    refused(
        Predicate {
            to: key(9).address(),
            ..good.clone()
        },
        redeemer(),
        "actor code not found",
    );
    refused(
        Predicate {
            method: "no".into(),
            ..good.clone()
        },
        redeemer(),
        "actor does not export method",
    );
    refused(good.clone(), vec![], "invalid params: expected 4 parameters, but got 2");
    refused(
        Predicate {
            params: None,
            ..good.clone()
        },
        redeemer(),
        "invalid params: expected 4 parameters, but got 2",
    );
    refused(
        Predicate { params: None, ..good },
        vec![],
        "invalid params: expected 4 parameters, but got 0",
    );
}

#[test]
fn a_condition_can_neither_change_the_chain_nor_call_itself() {
    let (mut world, _, owner) = opened();
    let miner_of_the_broker = Predicate {
        to: Address::id(2),
        method: "createStorageMiner".into(),
        params: Some(vec![
            crate::wire::cbor::Value::Bytes(BytesAmount(2048).to_bytes()),
            crate::wire::cbor::Value::Bytes(b"peer".to_vec()),
        ]),
    };
    let call = calls::redeem(&voucher(&world, 100, 0, Some(&miner_of_the_broker)), vec![]);
    assert!(world.send(&owner, call).is_ok());
    assert!(world.state.miners.is_empty());
    let inner = calls::redeem(&voucher(&world, 200, 0, Some(&miner_of_the_broker)), vec![]);
    let params = inner.params.into_iter().map(crate::wire::cbor::Value::Bytes).collect();
    let nested = Predicate {
        to: Address::id(3),
        method: "redeem".into(),
        params: Some(params),
    };
    let call = calls::redeem(
        &voucher(&world, 200, 0, Some(&nested)),
        vec![crate::wire::cbor::Value::Null],
    );
    assert_eq!(world.revert(&owner, call).0, 44);
    let call = calls::redeem(&voucher(&world, 200, 0, Some(&nested)), vec![]);
    let receipt = world.send(&owner, call);
    assert!(
        receipt.is_ok(),
        "an empty redeemer's share keeps the condition that was met: {}",
        receipt.error
    );
}

#[test]
fn calls_nest_no_deeper_than_a_condition() {
    let (mut world, _, owner) = opened();
    let leaf = Predicate {
        to: Address::id(0),
        method: "getNetwork".into(),
        params: None,
    };
    let inner = calls::redeem(&voucher(&world, 200, 0, Some(&leaf)), vec![]);
    let params = inner.params.into_iter().map(crate::wire::cbor::Value::Bytes).collect();
    let nested = Predicate {
        to: Address::id(3),
        method: "redeem".into(),
        params: Some(params),
    };
    let call = calls::redeem(&voucher(&world, 200, 0, Some(&nested)), vec![]);
    let depth = "failed to validate voucher condition: calls nest too deeply";
    let text = format!("failed to validate voucher condition: {depth}");
    assert_eq!(world.revert(&owner, call), (44, text));
}

/// spec §9.40: a cancel once the condition fails.
#[test]
fn after_a_conditional_redeem_a_cancel_needs_the_condition_to_fail() {
    let (mut world, client, owner, condition) = opened_with_miner();
    let redeem = calls::redeem(
        &voucher(&world, 100, 0, Some(&condition)),
        calls::inclusion_parameters(0, &inclusion()),
    );
    assert!(world.send(&owner, redeem).is_ok());
    let refused = (45, "channel cannot be cancelled due to successful redeem".to_string());
    assert_eq!(world.revert(&client, calls::cancel(ChannelId(0))), refused);
    world.height = 5000;
    assert!(
        world.send(&client, calls::cancel(ChannelId(0))).is_ok(),
        "the miner no longer proves"
    );
    assert_eq!(channel(&world).eol, Epoch(15_000));
}

#[test]
fn a_payer_cannot_make_a_condition_fail_by_giving_too_little_gas() {
    let (mut world, client, owner, condition) = opened_with_miner();
    let redeem = calls::redeem(
        &voucher(&world, 100, 0, Some(&condition)),
        calls::inclusion_parameters(0, &inclusion()),
    );
    assert!(world.send(&owner, redeem).is_ok());
    let mut metered = calls::cancel(ChannelId(0)).message(&client.address(), world.state.nonce(&client.address()));
    metered.gas_limit = 150;
    let receipt = world.apply(&metered.sign(&client)).unwrap();
    assert_eq!(receipt.exit_code, 36);
    assert_eq!(channel(&world).eol, Epoch(EOL));
}

/// A world as [`opened_with_miner`] at the height at which the only sector's proof also calls it done, or given up.
fn let_go(done: bool) -> (World, SecretKey, SecretKey, Predicate) {
    let (mut world, client, owner, condition) = opened_with_miner();
    let (start, _) = world.miner(&condition.to).proving_window(&policy()).expect("it proves");
    world.height = start.0;
    let (faults, done) = match done {
        true => (FaultSet::default(), IntSet([0].into())),
        false => (FaultSet::of([0]), IntSet::default()),
    };
    let proof = world.post_proof(&condition.to, |id| !faults.ids.0.contains(id));
    let call = calls::submit_post_without(&condition.to, &proof, &faults, &done, AttoFil::ZERO);
    let receipt = world.send(&owner, call);
    assert!(receipt.is_ok(), "{}", receipt.error);
    assert!(world.miner(&condition.to).sectors.is_empty());
    (world, client, owner, condition)
}

/// design §9: what a miner earned until it released the sector by agreement, it can redeem for a while after.
#[test]
fn a_sector_that_was_proven_to_its_end_still_pays_vouchers_that_had_fallen_due() {
    let (mut world, _, owner, condition) = let_go(true);
    let released = world.height;
    let redeem = |world: &World, amount, valid_at| {
        let voucher = voucher(world, amount, valid_at, Some(&condition));
        calls::redeem(&voucher, calls::inclusion_parameters(0, &inclusion()))
    };
    world.height = released + CHANNEL_EXPIRY_INTERVAL - 1;
    let call = redeem(&world, 100, released);
    let receipt = world.send(&owner, call);
    assert!(receipt.is_ok(), "{}", receipt.error);
    // It was dropped before this one fell due, although that is past now.
    let gone = "failed to validate voucher condition: sector not committed";
    let call = redeem(&world, 200, released + 1);
    assert_eq!(world.revert(&owner, call), (44, gone.into()));
    world.height += 1;
    let call = redeem(&world, 200, released);
    assert_eq!(world.revert(&owner, call), (44, gone.into()));
    world.height += 1;
    world.end_blocks();
    assert!(world.miner(&condition.to).released.is_empty(), "and it is forgotten");
}

#[test]
fn a_sector_that_was_given_up_pays_no_voucher_any_more() {
    let (mut world, _, owner, condition) = let_go(false);
    let voucher = voucher(&world, 100, world.height - 1, Some(&condition));
    let call = calls::redeem(&voucher, calls::inclusion_parameters(0, &inclusion()));
    let gone = "failed to validate voucher condition: sector not committed";
    assert_eq!(world.revert(&owner, call), (44, gone.into()));
}

#[test]
fn only_vouchers_know_a_sector_that_was_released() {
    let (world, _, _, condition) = let_go(true);
    let size = BytesAmount(PIECE as u64);
    let call = calls::verify_piece_inclusion(&condition.to, &comm_p(), size, 0, &inclusion());
    assert_eq!(
        world.ask(None, call).expect_err("it is gone").text,
        "sector not committed"
    );
}

/// A sector that no proof covered is not kept to the end by calling it done.
#[test]
fn a_sector_that_is_called_done_before_its_first_proof_is_not_remembered() {
    let (mut world, _, owner, condition) = opened_with_miner();
    let miner = condition.to;
    assert!(world.commit(&miner, 1).is_ok());
    let (start, _) = world.miner(&miner).proving_window(&policy()).expect("it proves");
    world.height = start.0;
    let (proof, done) = (world.post_proof(&miner, |_| true), IntSet([1].into()));
    let call = calls::submit_post_without(&miner, &proof, &FaultSet::default(), &done, AttoFil::ZERO);
    assert!(world.send(&owner, call).is_ok());
    assert_eq!(
        (world.miner(&miner).sectors.len(), world.miner(&miner).released.len()),
        (1, 0)
    );
}
