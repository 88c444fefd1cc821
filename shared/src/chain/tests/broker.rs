//! Payment channels (spec §5.2).

mod conditions;

use super::*;
use crate::wire::decode;

/// First height after the end of the test channel's life.
const EOL: u64 = 20_000;

/// A world with a channel of 1000 attoFIL from the client to the owner.
fn opened() -> (World, SecretKey, SecretKey) {
    let mut world = World::new();
    let (client, owner) = (world.client.clone(), world.owner.clone());
    let receipt = world.send(
        &client,
        calls::create_channel(&owner.address(), Epoch(EOL), AttoFil(1000)),
    );
    assert_eq!(calls::channel_id(&receipt), Ok(ChannelId(0)));
    world.height = 2000;
    (world, client, owner)
}

/// A world as [`opened`] whose owner also has a miner with the piece in its sector 0, committed at `height`.
fn opened_with_miner() -> (World, SecretKey, SecretKey, Predicate) {
    let (mut world, miner) = World::with_sectors(1);
    let (client, owner) = (world.client.clone(), world.owner.clone());
    world.send(
        &client,
        calls::create_channel(&owner.address(), Epoch(EOL), AttoFil(1000)),
    );
    let condition = Predicate::piece_inclusion(&miner, &comm_p(), BytesAmount(PIECE as u64));
    (world, client, owner, condition)
}

fn voucher(world: &World, amount: u128, valid_at: u64, condition: Option<&Predicate>) -> PaymentVoucher {
    let mut voucher = PaymentVoucher {
        channel: ChannelId(0),
        payer: world.client.address(),
        target: world.owner.address(),
        amount: AttoFil(amount),
        valid_at: Epoch(valid_at),
        condition: condition.cloned(),
        signature: None,
    };
    voucher.signature = Some(Bytes(world.client.sign(&voucher.payload()).0.to_vec()));
    voucher
}

fn channel(world: &World) -> state::PaymentChannel {
    world
        .state
        .channel(&world.client.address(), ChannelId(0))
        .unwrap()
        .clone()
}

/// spec §9.19 (the payee is missing)
#[test]
fn a_channel_without_a_target_is_not_opened() {
    let mut world = World::new();
    let (client, owner) = (world.client.clone(), world.owner.clone());
    let mut call = calls::create_channel(&owner.address(), Epoch(EOL), AttoFil(1000));
    call.params[0] = Vec::new();
    let (code, text) = world.revert(&client, call);
    assert!(code == 1 && text.contains("an address is empty"), "{code}: {text}");
}

/// spec §9.37: exactly 1000, 100 and 900.
#[test]
fn a_close_pays_the_target_and_gives_the_rest_back() {
    let (mut world, client, owner) = opened();
    assert_eq!(world.state.balance(&Address::id(3)), AttoFil(1000));
    let before = (world.balance(&client), world.balance(&owner));
    let closed = world.send(&owner, calls::close(&voucher(&world, 100, 2000, None), vec![]));
    assert!(closed.is_ok());
    assert_eq!(world.balance(&owner), before.1 + 100 - closed.gas_cost.0);
    assert_eq!(world.balance(&client), before.0 + 900);
    assert_eq!(world.state.balance(&Address::id(3)), AttoFil::ZERO);
}

/// spec §9.22 (the preview) and spec §9.52: at height 25 of vouchers for 10, 20 and 30 the second is redeemed, which a
/// preview says costs 100 units of gas; after its five blocks a deal of 12 bytes pays its price less that gas.
#[test]
fn the_voucher_that_is_due_pays_its_amount_less_the_gas_that_a_preview_says() {
    let mut world = World::new();
    let (client, owner) = (world.client.clone(), world.owner.clone());
    let price = 20 * 12 * 5;
    let open = calls::create_channel(&owner.address(), Epoch(EOL), AttoFil(price));
    assert!(world.send(&client, open).is_ok());
    let vouchers = [(10, 300), (20, 600), (30, price)].map(|(at, amount)| voucher(&world, amount, at, None));
    for (height, due) in [(25, 600), (30, price)] {
        world.height = height;
        let best = crate::payment::best_redeemable(&vouchers, Epoch(height)).expect("one is due");
        assert_eq!(best.amount, AttoFil(due));
        let call = || calls::redeem(best, vec![]);
        let preview =
            preview(&world.state, &world.context(), &owner.address(), call()).expect("the owner has an account");
        assert_eq!((preview.exit_code, preview.gas_used), (0, 100));
        assert!(
            channel(&world).amount_redeemed < AttoFil(due),
            "a preview moves nothing"
        );
        let (before, paid) = (world.balance(&owner), channel(&world).amount_redeemed.0);
        let receipt = world.send(&owner, call());
        assert_eq!(receipt.gas_cost, AttoFil(100));
        assert_eq!(world.balance(&owner) - before, due - paid - 100);
    }
}

/// spec §9.39: new parameters replace the cached ones, and a close without parameters uses them.
#[test]
fn a_redeemers_new_parameters_replace_the_cached_ones() {
    let (mut world, client, owner, condition) = opened_with_miner();
    let cached = |world: &World| channel(world).condition.and_then(|condition| condition.params);
    for (sector, amount) in [(0, 100), (7, 200), (0, 300)] {
        let redeemer = calls::inclusion_parameters(sector, &inclusion());
        let before = cached(&world);
        let call = calls::redeem(&voucher(&world, amount, 0, Some(&condition)), redeemer.clone());
        if sector == 7 {
            let text = "failed to validate voucher condition: sector not committed".to_string();
            assert_eq!(world.revert(&owner, call), (44, text));
            assert_eq!(cached(&world), before, "a claim that fails changes nothing");
            continue;
        }
        assert!(world.send(&owner, call).is_ok());
        assert!(channel(&world).redeemed);
        let params = cached(&world).expect("the condition is cached");
        assert_eq!(params[2..], redeemer);
    }
    let before = world.balance(&client);
    let close = calls::close(&voucher(&world, 400, 0, Some(&condition)), vec![]);
    assert!(world.send(&owner, close).is_ok());
    assert_eq!(world.balance(&client), before + 600);
}

/// spec §9.43: a sector with real data commitment and inclusion proof, its seal checked by the fake verifier.
#[test]
fn a_sealed_pieces_voucher_pays_for_its_sector_and_proof_only_while_it_is_proven() {
    let (mut world, _, owner, condition) = opened_with_miner();
    let claim = |world: &World, condition: &Predicate, sector, proof: &[u8]| {
        let redeemer = calls::inclusion_parameters(sector, proof);
        calls::redeem(&voucher(world, 100, 0, Some(condition)), redeemer)
    };
    let failed = |inner: &str| (44, format!("failed to validate voucher condition: {inner}"));
    let elsewhere = Predicate {
        to: key(9).address(),
        ..condition.clone()
    };
    let call = claim(&world, &elsewhere, 0, &inclusion());
    assert_eq!(world.revert(&owner, call), failed("actor code not found"));
    let mut bad = inclusion();
    bad[20] ^= 1;
    let call = claim(&world, &condition, 0, &bad);
    assert_eq!(
        world.revert(&owner, call),
        failed("piece inclusion proof did not validate")
    );
    let call = claim(&world, &condition, 1, &inclusion());
    assert_eq!(world.revert(&owner, call), failed("sector not committed"));
    let mut altered = voucher(&world, 100, 0, Some(&condition));
    altered.condition = Some(elsewhere);
    let call = calls::redeem(&altered, calls::inclusion_parameters(0, &inclusion()));
    assert_eq!(world.revert(&owner, call), (42, "signature failed to validate".into()));
    let good = claim(&world, &condition, 0, &inclusion());
    let height = world.height;
    world.height = 100_000;
    assert_eq!(world.revert(&owner, good.clone()), failed("miner is tardy"));
    world.height = height;
    assert!(world.send(&owner, good).is_ok());
    assert_eq!(channel(&world).amount_redeemed, AttoFil(100));
}

/// spec §9.37: what was redeemed and what was closed are cumulative.
#[test]
fn creating_redeeming_and_closing_move_exactly_what_they_say() {
    let (mut world, client, owner) = opened();
    assert_eq!(world.state.balance(&Address::id(3)), AttoFil(1000));
    let before = (world.balance(&client), world.balance(&owner));
    let paid = world.send(&owner, calls::redeem(&voucher(&world, 100, 2000, None), vec![]));
    assert!(paid.is_ok());
    assert_eq!(world.balance(&owner), before.1 + 100 - paid.gas_cost.0);
    assert!(channel(&world).redeemed);
    let closed = world.send(&owner, calls::close(&voucher(&world, 150, 2000, None), vec![]));
    assert!(closed.is_ok());
    assert_eq!(
        world.balance(&owner),
        before.1 + 150 - 2 * paid.gas_cost.0,
        "amounts are cumulative"
    );
    assert_eq!(world.balance(&client), before.0 + 850);
    assert_eq!(world.state.broker, state::Broker::default());
    let again = calls::redeem(&voucher(&world, 200, 2000, None), vec![]);
    assert_eq!(world.revert(&owner, again), (38, "payment channel is unknown".into()));
}

/// spec §7.28 [Q]: the broker of 2019 kept it.
#[test]
fn a_channel_from_which_all_was_taken_is_removed_when_it_is_closed() {
    let (mut world, _, owner) = opened();
    assert!(world
        .send(&owner, calls::close(&voucher(&world, 1000, 0, None), vec![]))
        .is_ok());
    assert!(world.state.broker.channels.is_empty());
}

/// spec §9.37, spec §9.42: a bad signature, and a condition left out or put in after signing.
#[test]
fn a_voucher_that_the_payer_did_not_sign_is_refused() {
    let (mut world, _, owner) = opened();
    let text = "signature failed to validate".to_string();
    let good = voucher(&world, 100, 2000, None);
    let condition = Predicate::piece_inclusion(&key(9).address(), &comm_p(), BytesAmount(1));
    let forged = [
        PaymentVoucher {
            amount: AttoFil(101),
            ..good.clone()
        },
        PaymentVoucher {
            valid_at: Epoch(1999),
            ..good.clone()
        },
        PaymentVoucher {
            channel: ChannelId(1),
            ..good.clone()
        },
        PaymentVoucher {
            payer: owner.address(),
            ..good.clone()
        },
        PaymentVoucher {
            condition: Some(condition.clone()),
            ..good.clone()
        },
        PaymentVoucher {
            signature: None,
            ..good.clone()
        },
        PaymentVoucher {
            condition: None,
            ..voucher(&world, 100, 2000, Some(&condition))
        },
    ];
    for voucher in forged {
        assert_eq!(
            world.revert(&owner, calls::redeem(&voucher, vec![])),
            (42, text.clone())
        );
    }
}

/// spec §9.37, spec §9.41: unknown channels.
#[test]
fn a_channel_that_does_not_exist_is_unknown() {
    let (mut world, client, owner) = opened();
    let mut other = voucher(&world, 100, 2000, None);
    other.channel = ChannelId(5);
    other.signature = Some(Bytes(client.sign(&other.payload()).0.to_vec()));
    let unknown = (38, "payment channel is unknown".to_string());
    assert_eq!(world.revert(&owner, calls::redeem(&other, vec![])), unknown);
    assert_eq!(world.revert(&client, calls::cancel(ChannelId(5))), unknown);
    assert_eq!(world.revert(&client, calls::reclaim(ChannelId(5))), unknown);
    assert_eq!(
        world.revert(&owner, calls::cancel(ChannelId(0))),
        unknown,
        "the channel is the client's"
    );
    assert_eq!(
        world.revert(&client, calls::extend(ChannelId(5), Epoch(EOL), AttoFil(1))),
        unknown
    );
}

/// spec §9.37: a redeemer that is not the target.
#[test]
fn only_the_target_redeems() {
    let (mut world, client, _) = opened();
    let stranger = world.stranger.clone();
    let text = "attempt to redeem channel from wrong target account".to_string();
    for other in [client, stranger] {
        let call = calls::redeem(&voucher(&world, 100, 2000, None), vec![]);
        assert_eq!(world.revert(&other, call), (39, text.clone()));
    }
}

/// spec §9.37: before validAt, at eol, and at validAt.
#[test]
fn a_voucher_is_redeemable_from_its_height_until_the_channels_end() {
    let (mut world, _, owner) = opened();
    let call = calls::redeem(&voucher(&world, 100, 2001, None), vec![]);
    assert_eq!(
        world.revert(&owner, call.clone()),
        (43, "block height too low to redeem voucher".into())
    );
    world.height = EOL;
    let text = "block height has exceeded channel's end of life".to_string();
    assert_eq!(world.revert(&owner, call.clone()), (40, text));
    world.height = 2001;
    assert!(world.send(&owner, call).is_ok());
}

/// spec §9.37: more than the channel, less than redeemed.
#[test]
fn a_voucher_pays_at_most_what_is_in_the_channel_and_never_twice() {
    let (mut world, _, owner) = opened();
    let over = calls::redeem(&voucher(&world, 1001, 2000, None), vec![]);
    assert_eq!(
        world.revert(&owner, over),
        (37, "voucher amount exceeds amount in channel".into())
    );
    assert!(world
        .send(&owner, calls::redeem(&voucher(&world, 100, 2000, None), vec![]))
        .is_ok());
    for amount in [100, 99] {
        let call = calls::redeem(&voucher(&world, amount, 2000, None), vec![]);
        assert_eq!(
            world.revert(&owner, call),
            (41, "update amount has already been redeemed".into())
        );
    }
    assert!(world
        .send(&owner, calls::redeem(&voucher(&world, 1000, 2000, None), vec![]))
        .is_ok());
}

/// spec §9.40: cancel at 100, and a cancel after a valid redeem.
#[test]
fn a_cancel_brings_the_end_near_and_a_redeem_takes_it_back() {
    let (mut world, client, owner) = opened();
    world.height = 100;
    assert!(world.send(&client, calls::cancel(ChannelId(0))).is_ok());
    assert_eq!(
        (channel(&world).eol, channel(&world).agreed_eol),
        (Epoch(10_100), Epoch(EOL))
    );
    assert!(world
        .send(&owner, calls::redeem(&voucher(&world, 100, 0, None), vec![]))
        .is_ok());
    assert_eq!(channel(&world).eol, Epoch(EOL));
    let refused = (45, "channel cannot be cancelled due to successful redeem".to_string());
    assert_eq!(world.revert(&client, calls::cancel(ChannelId(0))), refused);
}

#[test]
fn a_cancel_never_lengthens_a_channels_life() {
    let (mut world, client, _) = opened();
    world.height = EOL - 1;
    assert!(world.send(&client, calls::cancel(ChannelId(0))).is_ok());
    assert_eq!(channel(&world).eol, Epoch(EOL));
}

/// spec §9.41: reclaim before and after eol.
#[test]
fn what_is_left_can_be_reclaimed_from_the_end_on() {
    let (mut world, client, owner) = opened();
    assert!(world
        .send(&owner, calls::redeem(&voucher(&world, 100, 0, None), vec![]))
        .is_ok());
    world.height = EOL - 1;
    let early = (36, "payment channel may not reclaimed before eol".to_string());
    assert_eq!(world.revert(&client, calls::reclaim(ChannelId(0))), early);
    world.height = EOL;
    let before = world.balance(&client);
    let receipt = world.send(&client, calls::reclaim(ChannelId(0)));
    assert_eq!(world.balance(&client), before + 900 - receipt.gas_cost.0);
    assert!(world.state.broker.channels.is_empty());
}

/// spec §9.41: extend.
#[test]
fn an_extension_adds_money_and_life_and_never_shortens() {
    let (mut world, client, _) = opened();
    let shorter = calls::extend(ChannelId(0), Epoch(EOL - 1), AttoFil(5));
    assert_eq!(
        world.revert(&client, shorter),
        (35, "payment channel eol may not be decreased".into())
    );
    assert!(world
        .send(&client, calls::extend(ChannelId(0), Epoch(EOL + 5), AttoFil(5)))
        .is_ok());
    let channel = channel(&world);
    assert_eq!(
        (channel.amount, channel.eol, channel.agreed_eol),
        (AttoFil(1005), Epoch(EOL + 5), Epoch(EOL + 5))
    );
}

/// design §9: the broker of 2019 took any end that was not before the cancelled channel's near one.
#[test]
fn an_extension_never_brings_the_agreed_end_of_a_cancelled_channel_forward() {
    let (mut world, client, owner) = opened();
    assert!(world.send(&client, calls::cancel(ChannelId(0))).is_ok());
    let near = channel(&world).eol.0;
    assert!(near < EOL, "the cancellation brought the end near");
    for to in [near, near + 13, EOL - 1] {
        let call = calls::extend(ChannelId(0), Epoch(to), AttoFil(5));
        let text = format!(
            "the agreed end of a cancelled channel may not be brought forward: extend it to {EOL} or later, not to {to}"
        );
        assert_eq!(world.revert(&client, call), (47, text));
    }
    let call = calls::redeem(&voucher(&world, 100, 2000, None), vec![]);
    assert!(world.send(&owner, call).is_ok());
    assert_eq!(channel(&world).eol, Epoch(EOL), "a redemption restores the agreed end");
}

#[test]
fn an_extension_beyond_the_agreed_end_undoes_a_cancellation() {
    let (mut world, client, _) = opened();
    assert!(world.send(&client, calls::cancel(ChannelId(0))).is_ok());
    let call = calls::extend(ChannelId(0), Epoch(EOL), AttoFil(5));
    assert!(world.send(&client, call).is_ok());
    let channel = channel(&world);
    assert_eq!((channel.eol, channel.agreed_eol), (Epoch(EOL), Epoch(EOL)));
}

#[test]
fn a_duplicate_channel_is_refused() {
    let (mut world, client, owner) = opened();
    world.state.accounts.get_mut(&client.address()).unwrap().nonce = 0;
    let call = calls::create_channel(&owner.address(), Epoch(EOL), AttoFil(1));
    assert_eq!(
        world.revert(&client, call),
        (34, "Duplicate create channel attempt".into())
    );
}

#[test]
fn a_payer_has_a_bounded_number_of_channels() {
    let (mut world, client, owner) = opened();
    let empty = state::PaymentChannel {
        amount: AttoFil::ZERO,
        ..channel(&world)
    };
    let channels = world.state.broker.channels.get_mut(&client.address()).unwrap();
    channels.extend((10..10 + 4095).map(|id| (ChannelId(id), empty.clone())));
    let call = calls::create_channel(&owner.address(), Epoch(EOL), AttoFil(1));
    assert_eq!(world.revert(&client, call).0, 46);
}

/// spec §9.41: ls with channels and without.
#[test]
fn a_channel_is_listed_with_its_payer_and_nobody_else() {
    let (world, client, owner) = opened();
    let listed = world.ask(None, calls::channels(&client.address())).unwrap().remove(0);
    let value: crate::wire::cbor::Value = decode(&listed).unwrap();
    assert_eq!(value.as_map().unwrap()[0].0.as_text(), Some("0"));
    assert_eq!(world.ask(None, calls::channels(&owner.address())), Ok(vec![vec![0xa0]]));
    let view = view::ChannelView::all(&world.state, &client.address());
    assert_eq!(view.len(), 1);
    assert_eq!((view[0].amount, view[0].eol), (AttoFil(1000), Epoch(EOL)));
}

/// spec §9.41: voucher, and its errors.
#[test]
fn the_broker_draws_up_unsigned_vouchers_on_the_callers_channel() {
    let (world, client, owner) = opened();
    let from = client.address();
    let call = |amount| calls::voucher(ChannelId(0), AttoFil(amount), Epoch(2000), None);
    let bytes = world.ask(Some(&from), call(1000)).unwrap().remove(0);
    let drawn: PaymentVoucher = decode(&bytes).unwrap();
    assert_eq!(
        drawn,
        PaymentVoucher {
            signature: None,
            ..voucher(&world, 1000, 2000, None)
        }
    );
    assert_eq!(world.ask(Some(&from), call(1001)).unwrap_err().code, 37);
    assert_eq!(world.ask(Some(&owner.address()), call(1)).unwrap_err().code, 38);
    assert_eq!(world.ask(None, call(1)).unwrap_err().code, 38);
}
