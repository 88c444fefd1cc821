//! Messages, transfers, miners and queries (spec §5.1, §5.4 to §5.6).

use super::*;
use crate::chain::verifier::VerifierFault;
use crate::wire::{decode, encode};

fn invalid(world: &mut World, signed: &SignedMessage) -> Invalid {
    world.end_blocks();
    let before = world.state.clone();
    let applied = world.apply(signed);
    assert_eq!(world.state, before, "a message outside of blocks changed something");
    match applied {
        Err(ApplyError::Invalid(invalid)) => invalid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transfer_moves_money_and_may_create_an_account() {
    let mut world = World::new();
    let (client, new) = (world.client.clone(), key(9));
    assert!(world.send(&client, calls::transfer(&new.address(), fil(3))).is_ok());
    assert_eq!(world.balance(&new), fil(3).0);
    assert_eq!(world.balance(&client), fil(997).0, "a transfer uses no gas");
    assert_eq!(world.state.nonce(&client.address()), 1);
}

/// Finding A8: 25 600 accounts cost 2.6·10⁻¹⁴ FIL.
#[test]
fn on_a_new_network_a_transfer_costs_gas_and_a_new_account_a_price_that_is_burnt() {
    let mut world = World::new();
    world.state.policy = Policy::of_new_network(SectorSize::S2KiB);
    let (client, new) = (world.client.clone(), key(9));
    let (gas, price) = (policy::GAS_PER_TRANSFER, policy::ACCOUNT_PRICE);
    let burnt = Address::id(Address::BURNT_FUNDS);
    let receipt = world.send(&client, calls::transfer(&new.address(), AttoFil(1)));
    assert_eq!((receipt.exit_code, receipt.gas_cost), (0, AttoFil(gas.into())));
    assert_eq!(world.balance(&new), 1);
    assert_eq!(world.state.balance(&burnt), price);
    assert_eq!(world.balance(&client), fil(1000).0 - price.0 - 1 - u128::from(gas));
    let again = world.send(&client, calls::transfer(&new.address(), AttoFil(1)));
    assert_eq!(again.gas_cost, AttoFil(gas.into()));
    assert_eq!(world.state.balance(&burnt), price, "the account was there");
    let all = AttoFil(world.balance(&client) - price.0);
    let too_much = world.sign(&client, calls::transfer(&key(10).address(), all));
    let invalid = invalid(&mut world, &too_much);
    assert!(
        matches!(invalid, Invalid::Balance { .. }),
        "gas is left over: {invalid}"
    );
    let preview = preview(
        &world.state,
        &world.context(),
        &client.address(),
        calls::transfer(&key(10).address(), AttoFil(all.0 + 1)),
    );
    let preview = preview.expect("it can be told");
    assert_eq!(preview.exit_code, exit::common::INSUFFICIENT_BALANCE);
    assert!(
        preview.error.contains("a new account costs 0.01 FIL"),
        "{}",
        preview.error
    );
    let unknown = Address::actor(&client.address(), 77);
    assert_eq!(world.revert(&client, calls::transfer(&unknown, fil(1))).0, 5);
}

#[test]
fn money_cannot_be_sent_to_where_nobody_could_get_it_back() {
    let mut world = World::new();
    let client = world.client.clone();
    let unknown = Address::actor(&client.address(), 77);
    assert_eq!(
        world.revert(&client, calls::transfer(&unknown, fil(1))),
        (5, "actor code not found".into())
    );
    let text = "t03 takes money with its methods only";
    assert_eq!(
        world.revert(&client, calls::transfer(&Address::id(3), fil(1))),
        (1, text.into())
    );
    let mut cancel = calls::cancel(ChannelId(0));
    cancel.value = fil(1);
    assert_eq!(
        world.revert(&client, cancel),
        (1, "cancel takes no value: send it without".into())
    );
}

#[test]
fn unknown_actors_and_methods_revert() {
    let mut world = World::new();
    let client = world.client.clone();
    let missing = (1, "actor does not export method".to_string());
    assert_eq!(
        world.revert(&client, calls::read(&world.owner.address(), "getPower")),
        missing
    );
    assert_eq!(world.revert(&client, calls::read(&Address::id(3), "getPower")), missing);
    let nobody = calls::read(&key(9).address(), "getPower");
    assert_eq!(world.revert(&client, nobody), (5, "actor code not found".into()));
}

#[test]
fn a_wrong_number_of_parameters_reverts() {
    let mut world = World::new();
    let client = world.client.clone();
    let mut call = calls::cancel(ChannelId(1));
    call.params.push(vec![1]);
    let text = "invalid params: expected 1 parameters, but got 2";
    assert_eq!(world.revert(&client, call), (1, text.into()));
    let mut call = calls::cancel(ChannelId(1));
    call.params = vec![vec![0x80]];
    assert_eq!(
        world.revert(&client, call).0,
        1,
        "a malformed number reverts and does not panic"
    );
}

#[test]
fn every_method_costs_its_flat_gas_to_the_treasury() {
    let mut world = World::new();
    let client = world.client.clone();
    let treasury = world.state.balance(&Address::id(1)).0;
    let receipt = world.send(
        &client,
        calls::create_channel(&world.owner.address(), Epoch(9000), fil(1)),
    );
    assert_eq!(receipt.gas_cost, AttoFil(100));
    assert_eq!(world.state.balance(&Address::id(1)).0, treasury + 100);
}

#[test]
fn a_message_over_its_gas_limit_reverts_and_pays_the_limit() {
    let mut world = World::new();
    let client = world.client.clone();
    let mut metered = calls::cancel(ChannelId(0)).message(&client.address(), 0);
    metered.gas_limit = 99;
    let receipt = world.apply(&metered.sign(&client)).unwrap();
    assert_eq!((receipt.exit_code, receipt.gas_cost), (36, AttoFil(99)));
    assert_eq!(receipt.error, "Insufficient gas: gas cost exceeds gas limit");
}

#[test]
fn a_message_that_its_sender_did_not_sign_is_invalid() {
    let mut world = World::new();
    let (client, stranger) = (world.client.clone(), world.stranger.clone());
    let from = client.address();
    let forged = calls::transfer(&stranger.address(), fil(1))
        .message(&from, 0)
        .sign(&stranger);
    assert_eq!(invalid(&mut world, &forged), Invalid::Signature { from });
}

#[test]
fn a_message_is_applied_once_and_in_order() {
    let mut world = World::new();
    let (client, to) = (world.client.clone(), world.owner.address());
    let first = world.sign(&client, calls::transfer(&to, fil(1)));
    let second = calls::transfer(&to, fil(1)).message(&client.address(), 1).sign(&client);
    assert_eq!(
        invalid(&mut world, &second),
        Invalid::NonceTooHigh { nonce: 1, next: 0 }
    );
    assert_eq!(
        validate(&world.state, &second, &world.network),
        Ok(()),
        "the pool keeps it until its turn"
    );
    let far = calls::transfer(&to, fil(1))
        .message(&client.address(), 257)
        .sign(&client);
    assert_eq!(
        validate(&world.state, &far, &world.network),
        Err(Invalid::NonceTooHigh { nonce: 257, next: 0 })
    );
    world.apply(&first).unwrap();
    assert_eq!(invalid(&mut world, &first), Invalid::NonceUsed { nonce: 0, next: 1 });
    world.apply(&second).unwrap();
}

#[test]
fn the_sender_must_have_value_and_gas() {
    let mut world = World::new();
    let client = world.client.clone();
    let to = world.owner.address();
    let all = world.sign(&client, calls::transfer(&to, fil(1000)));
    let needed = AttoFil(fil(1000).0 + 300);
    assert_eq!(
        invalid(&mut world, &all),
        Invalid::Balance {
            balance: fil(1000),
            needed
        }
    );
    let poor = key(9);
    let message = world.sign(&poor, calls::transfer(&to, AttoFil(1)));
    let balance = AttoFil::ZERO;
    assert_eq!(
        invalid(&mut world, &message),
        Invalid::Balance {
            balance,
            needed: AttoFil(301)
        }
    );
}

#[test]
fn messages_of_a_wrong_shape_are_invalid() {
    let mut world = World::new();
    let client = world.client.clone();
    let from = client.address();
    let good = || calls::transfer(&key(2).address(), fil(1)).message(&from, 0);
    let mut broken = |change: &dyn Fn(&mut MeteredMessage)| {
        let mut metered = good();
        change(&mut metered);
        invalid(&mut world, &metered.sign(&client))
    };
    assert_eq!(broken(&|m| m.message.to = m.message.from.clone()), Invalid::ToSelf);
    assert_eq!(broken(&|m| m.gas_price = AttoFil::ZERO), Invalid::GasPriceZero);
    let (limit, block_limit) = (10_000_001, 10_000_000);
    assert_eq!(
        broken(&|m| m.gas_limit = limit),
        Invalid::GasLimit { limit, block_limit }
    );
    assert_eq!(
        broken(&|m| m.message.method = "m".repeat(65)),
        Invalid::MethodTooLong(65)
    );
    let long = Invalid::ParamsTooLarge {
        count: 1,
        bytes: 65_537,
    };
    assert_eq!(broken(&|m| m.message.params = vec![vec![0; 65_537]]), long);
    let many = Invalid::ParamsTooLarge { count: 17, bytes: 0 };
    assert_eq!(broken(&|m| m.message.params = vec![vec![]; 17]), many);
    assert_eq!(broken(&|m| m.gas_price = AttoFil((1 << 125) - 1)), Invalid::Overflow);
    let treasury = Address::id(1);
    assert_eq!(
        broken(&|m| m.message.from = Address::id(1)),
        Invalid::SenderNotAccount(treasury)
    );
}

#[test]
fn a_fault_of_the_verifier_leaves_the_message_out_of_the_block() {
    let (mut world, miner) = World::with_miner();
    let owner = world.owner.clone();
    let call = world.pre_commit(&miner, 0);
    world.send(&owner, call);
    world.height += 6;
    let signed = world.sign(&owner, world.commit_call(&miner, 0));
    world.verifier.broken = true;
    world.end_blocks();
    let before = world.state.clone();
    let reason = "the fake is broken on purpose".to_string();
    assert_eq!(world.apply(&signed), Err(ApplyError::Fault(VerifierFault { reason })));
    assert_eq!(world.state, before);
    world.verifier.broken = false;
    assert!(world.apply(&signed).unwrap().is_ok());
}

#[test]
fn a_miners_address_follows_from_its_owner_and_message_and_its_collateral_is_the_value() {
    let (world, miner) = World::with_miner();
    assert_eq!(miner.to_string(), "t2ewszk3zwnf2k5vppxihm4k7wi4tbo4x3ycsf3tq");
    assert_eq!(world.state.balance(&miner), fil(1));
    let read = |method: &str| world.ask(None, calls::read(&miner, method)).unwrap();
    assert_eq!(read("getOwner"), [world.owner.address().to_bytes()]);
    assert_eq!(read("getWorker"), [world.owner.address().to_bytes()]);
    assert_eq!(read("getPeerID"), [b"peer".to_vec()]);
    assert_eq!(read("getSectorSize"), [BytesAmount(2048).to_bytes()]);
    assert_eq!(read("getPower"), [vec![0]]);
    assert_eq!(read("getActiveCollateral"), [vec![0]]);
    assert_eq!(read("getLastUsedSectorID"), [vec![0]]);
    assert_eq!(read("isBootstrapMiner"), [vec![0]]);
    assert_eq!(read("getProvingWindow"), [vec![0], vec![]]);
    assert_eq!(read("getPoStState"), [Vec::<u8>::new()]);
    let market = |method: &str| world.ask(None, calls::read(&Address::id(2), method)).unwrap();
    assert_eq!(market("getTotalStorage"), [vec![0]]);
    assert_eq!(market("getProofsMode"), [vec![2]]);
    assert_eq!(market("getLateMiners"), [vec![0xa0]]);
    assert_eq!(
        world.ask(None, calls::read(&Address::id(0), "getNetwork")),
        Ok(vec![b"test".to_vec()])
    );
}

/// spec §9.49: sector sizes against what the network allows (2019: its proofs mode), updateStorage from miners only.
#[test]
fn the_market_refuses_sizes_peers_and_strangers() {
    let mut world = World::new();
    let owner = world.owner.clone();
    let size = (44, "sector size is not supported".to_string());
    assert_eq!(
        world.revert(&owner, calls::create_storage_miner(SectorSize::S32GiB, b"p", fil(1))),
        size
    );
    let mut odd = calls::create_storage_miner(SectorSize::S2KiB, b"p", fil(1));
    odd.params[0] = BytesAmount(1024).to_bytes();
    assert_eq!(world.revert(&owner, odd), size);
    for peer in [&[][..], &[0; 65]] {
        let call = calls::create_storage_miner(SectorSize::S2KiB, peer, fil(1));
        assert_eq!(world.revert(&owner, call).0, 1);
    }
    let mut update = calls::read(&Address::id(2), "updateStorage");
    update.params = vec![vec![1]];
    assert_eq!(world.revert(&owner, update), (34, "unknown miner".into()));
}

/// spec §9.48: the worker is changed by the owner only, the peer id by the worker only.
#[test]
fn only_owner_and_worker_change_what_is_theirs() {
    let (mut world, miner) = World::with_miner();
    let (owner, stranger) = (world.owner.clone(), world.stranger.clone());
    let denied = (37, "not authorized to call the method".to_string());
    assert_eq!(
        world.revert(&stranger, calls::change_worker(&miner, &stranger.address())),
        denied
    );
    assert_eq!(world.revert(&stranger, calls::update_peer_id(&miner, b"mine")), denied);
    assert!(world
        .send(&owner, calls::change_worker(&miner, &stranger.address()))
        .is_ok());
    assert_eq!(world.revert(&owner, calls::update_peer_id(&miner, b"new")), denied);
    assert!(world.send(&stranger, calls::update_peer_id(&miner, b"new")).is_ok());
    assert_eq!(world.miner(&miner).peer_id, b"new");
}

/// spec §9.48: ids 0 and 1, expiry relative, unknown id 40.
#[test]
fn asks_count_from_zero_and_expire_relative_to_their_height() {
    let (mut world, miner) = World::with_miner();
    let (owner, stranger) = (world.owner.clone(), world.stranger.clone());
    let denied = (37, "not authorized to call the method".to_string());
    assert_eq!(world.revert(&stranger, calls::add_ask(&miner, AttoFil(1), 10)), denied);
    for id in 0..2 {
        let receipt = world.send(&owner, calls::add_ask(&miner, AttoFil(20), 10));
        assert_eq!(calls::ask_id(&receipt), Ok(id));
    }
    let ask = world.ask(None, calls::ask(&miner, 1)).unwrap().remove(0);
    assert_eq!(hex::encode(ask), "a3626944410165707269636541146665787069727942f207");
    assert_eq!(
        world.ask(None, calls::read(&miner, "getAsks")),
        Ok(vec![encode(&vec![0u64, 1])])
    );
    let unknown = Revert {
        code: 40,
        text: "no ask was found".into(),
    };
    assert_eq!(world.ask(None, calls::ask(&miner, 2)), Err(unknown));
    world.height += 10;
    world.send(&owner, calls::add_ask(&miner, AttoFil(20), 10));
    let ids = world.ask(None, calls::read(&miner, "getAsks")).unwrap().remove(0);
    assert_eq!(decode::<Vec<u64>>(&ids), Ok(vec![2]), "expired asks are dropped");
    let endless = calls::add_ask(&miner, AttoFil(1), u64::MAX);
    assert_eq!(world.revert(&owner, endless), (1, "expiry was invalid".into()));
}

#[test]
fn a_miner_has_a_bounded_number_of_asks() {
    let (mut world, miner) = World::with_miner();
    let owner = world.owner.clone();
    for _ in 0..64 {
        assert!(world.send(&owner, calls::add_ask(&miner, AttoFil(1), 10)).is_ok());
    }
    let text = "too many asks: a miner may have 64".to_string();
    assert_eq!(world.revert(&owner, calls::add_ask(&miner, AttoFil(1), 10)), (52, text));
}

#[test]
fn a_query_changes_nothing_and_names_its_caller_if_it_likes() {
    let mut world = World::new();
    let client = world.client.clone();
    world.send(
        &client,
        calls::create_channel(&world.owner.address(), Epoch(9000), fil(1)),
    );
    let before = world.state.clone();
    let from = client.address();
    assert_eq!(world.ask(Some(&from), calls::cancel(ChannelId(0))), Ok(vec![]));
    assert_eq!(world.state, before);
    let code = |result: Result<Vec<Vec<u8>>, Revert>| result.unwrap_err().code;
    assert_eq!(code(world.ask(None, calls::cancel(ChannelId(0)))), 38);
    assert_eq!(
        code(world.ask(None, calls::create_channel(&from, Epoch(1), AttoFil::ZERO))),
        33
    );
}

#[test]
fn a_state_survives_its_serialisation() {
    let (mut world, miner) = World::with_sectors(2);
    let client = world.client.clone();
    world.send(
        &client,
        calls::create_channel(&world.owner.address(), Epoch(9000), fil(1)),
    );
    let text = serde_json::to_string(&world.state).unwrap();
    assert_eq!(serde_json::from_str::<ChainState>(&text).unwrap(), world.state);
    let mut bytes = Vec::new();
    ciborium::into_writer(&world.state, &mut bytes).unwrap();
    assert_eq!(
        ciborium::from_reader::<ChainState, _>(bytes.as_slice()).unwrap(),
        world.state
    );
    let view = view::MinerView::of(&world.state, &miner).unwrap();
    let text = serde_json::to_string(&view).unwrap();
    assert!(
        text.contains("\"usableBytes\":2032") && text.contains("\"inProvingSet\":true"),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<view::MinerView>(&text).unwrap(), view);
}

#[test]
fn a_receipts_view_gives_the_receipt_back() {
    let mut world = World::new();
    let client = world.client.clone();
    let receipt = world.send(
        &client,
        calls::create_channel(&world.owner.address(), Epoch(9000), fil(1)),
    );
    let view = view::ReceiptView::of("id".into(), Epoch(5), &receipt);
    assert_eq!(view.receipt(), Ok(receipt.clone()));
    assert_eq!(calls::channel_id(&receipt), Ok(ChannelId(0)));
    let failed = Receipt {
        exit_code: 38,
        error: "text".into(),
        ..receipt
    };
    let expected = calls::ReturnError::Failed {
        code: 38,
        text: "text".into(),
    };
    assert_eq!(calls::channel_id(&failed), Err(expected));
}

#[test]
fn genesis_allocates_no_more_than_the_supply_and_only_to_accounts() {
    let genesis = |to: Address, amount| {
        let allocations = [(to, fil(amount))].into();
        ChainState::genesis(Genesis {
            network: "n".into(),
            policy: Policy::default(),
            supply: fil(10),
            allocations,
        })
    };
    let account = key(1).address();
    assert_eq!(genesis(account.clone(), 10).unwrap().check_invariants(), Ok(()));
    assert_eq!(
        genesis(account, 11),
        Err(state::GenesisError::OverAllocated { supply: fil(10) })
    );
    assert_eq!(
        genesis(Address::id(7), 1),
        Err(state::GenesisError::NotAnAccount(Address::id(7)))
    );
}
