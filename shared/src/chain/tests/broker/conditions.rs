//! Vouchers that pay only when a predicate holds on the chain (spec §5.2).

use super::*;

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
