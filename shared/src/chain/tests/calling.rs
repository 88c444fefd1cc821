//! Every builder of [`calls`] names a method that its actor has, and every reader of [`calls::returns`] reads what that
//! method returns.

use super::actors::miner::PostState;
use super::*;
use crate::chain::abi::ProofsMode;
use calls::returns;

fn world() -> (World, Address) {
    let (mut world, miner) = World::with_sectors(2);
    let (client, owner) = (world.client.clone(), world.owner.clone());
    world.send(
        &client,
        calls::create_channel(&owner.address(), Epoch(9000), AttoFil(1000)),
    );
    world.send(&owner, calls::add_ask(&miner, AttoFil(20), 10));
    (world, miner)
}

#[test]
fn what_a_query_returns_is_read_back() {
    let (world, miner) = world();
    let ask = |call: Call| world.ask(None, call).expect("the method answers");
    let owner = world.owner.address();
    assert_eq!(returns::network(&ask(calls::network())), Ok("test".into()));
    assert_eq!(returns::size(&ask(calls::total_storage())), Ok(BytesAmount(0)));
    assert_eq!(returns::proofs_mode(&ask(calls::proofs_mode())), Ok(ProofsMode::Live));
    let late = returns::late_miners(&ask(calls::late_miners())).expect("the list decodes");
    assert!(late.0.is_empty());
    assert_eq!(returns::address(&ask(calls::owner(&miner))), Ok(owner.clone()));
    assert_eq!(returns::address(&ask(calls::worker(&miner))), Ok(owner));
    assert_eq!(returns::bytes(&ask(calls::peer_id(&miner))), Ok(b"peer".to_vec()));
    assert_eq!(returns::size(&ask(calls::sector_size(&miner))), Ok(BytesAmount(2048)));
    assert_eq!(returns::size(&ask(calls::power(&miner))), Ok(BytesAmount(0)));
    let locked = AttoFil(2 * world.state.policy.sector_collateral.0);
    assert_eq!(returns::money(&ask(calls::active_collateral(&miner))), Ok(locked));
    assert_eq!(returns::sector(&ask(calls::last_used_sector_id(&miner))), Ok(1));
    assert_eq!(returns::flag(&ask(calls::is_bootstrap_miner(&miner))), Ok(false));
    assert_eq!(returns::ask_ids(&ask(calls::asks(&miner))), Ok(vec![0]));
    let offer = returns::ask(&ask(calls::ask(&miner, 0))).expect("the ask decodes");
    assert_eq!((offer.id, offer.price, offer.expiry), (0, AttoFil(20), Epoch(1022)));
    assert_eq!(
        returns::post_state(&ask(calls::post_state(&miner))),
        Ok(PostState::WithinPeriod)
    );
    let window = returns::proving_window(&ask(calls::proving_window(&miner)));
    assert_eq!(window, Ok(Some((Epoch(1156), Epoch(1306)))));
    let due = returns::commitments(&ask(calls::proving_set_commitments(&miner))).expect("the map decodes");
    assert_eq!(due.0.keys().copied().collect::<Vec<_>>(), [0]);
    assert_eq!(due.0[&0].comm_r, comm_r(0));
    let fee = returns::money(&ask(calls::late_fee(&miner, Epoch(1309))));
    assert_eq!(fee, Ok(AttoFil(locked.0 / 100)));
    let channels = returns::channels(&ask(calls::channels(&world.client.address()))).expect("the map decodes");
    assert_eq!(channels.0[&ChannelId(0)].amount, AttoFil(1000));
}

#[test]
fn every_method_that_changes_something_is_one_of_its_actors() {
    let (mut world, miner) = world();
    let stranger = world.stranger.clone();
    let voucher = PaymentVoucher {
        channel: ChannelId(0),
        payer: world.client.address(),
        target: stranger.address(),
        amount: AttoFil(1),
        valid_at: Epoch(0),
        condition: None,
        signature: None,
    };
    let (none, comm) = (IntSet::default(), Commitment([1; 32]));
    let all = [
        calls::create_storage_miner(SectorSize::S2KiB, b"peer", fil(1)),
        calls::add_ask(&miner, AttoFil(1), 1),
        calls::update_peer_id(&miner, b"peer"),
        calls::change_worker(&miner, &stranger.address()),
        calls::pre_commit_sector(&miner, 1, &comm, &comm, Epoch(1)),
        calls::commit_sector(&miner, 1, &comm, &comm, &comm, &[]),
        calls::submit_post(&miner, &[], AttoFil::ZERO),
        calls::add_faults(&miner, &FaultSet::default()),
        calls::recover_faults(&miner, &none),
        calls::restart_proving(&miner, AttoFil::ZERO),
        calls::slash_storage_fault(&miner),
        calls::create_channel(&miner, Epoch(1), AttoFil(1)),
        calls::extend(ChannelId(7), Epoch(1), AttoFil(1)),
        calls::redeem(&voucher, vec![]),
        calls::close(&voucher, vec![]),
        calls::cancel(ChannelId(7)),
        calls::reclaim(ChannelId(7)),
    ];
    for call in all {
        let method = call.method.clone();
        let receipt = world.send(&stranger, call);
        let unknown = ["actor does not export method", "actor code not found"];
        assert!(
            !unknown.contains(&receipt.error.as_str()),
            "{method}: {}",
            receipt.error
        );
        assert!(
            !receipt.error.starts_with("invalid params"),
            "{method}: {}",
            receipt.error
        );
    }
}

#[test]
fn a_return_value_that_is_missing_or_malformed_is_refused() {
    use calls::ReturnError;
    assert_eq!(returns::network(&[]), Err(ReturnError::Missing));
    assert_eq!(returns::network(&[vec![], vec![]]), Err(ReturnError::TooMany(2)));
    assert!(matches!(
        returns::proving_window(&[vec![0], vec![0x80]]),
        Err(ReturnError::Malformed(_))
    ));
    assert_eq!(returns::proving_window(&[vec![0], vec![]]), Ok(None));
    assert!(matches!(
        returns::post_state(&[vec![4]]),
        Err(ReturnError::Malformed(_))
    ));
    assert!(matches!(
        returns::channels(&[vec![0xa1]]),
        Err(ReturnError::Malformed(_))
    ));
}

/// spec §5.6 [Q]: the sender was absent from the previews of 2019, and a method that looked at it met nothing.
#[test]
fn a_preview_has_its_sender_and_a_query_without_one_is_told_so() {
    let (mut world, _) = world();
    let client = world.client.clone();
    let from = client.address();
    let call = || calls::create_channel(&key(9).address(), Epoch(9000), AttoFil(5));
    world.end_blocks();
    let before = world.state.clone();
    let preview = preview(&world.state, &world.context(), &from, call()).expect("the sender is an account");
    assert_eq!((preview.exit_code, preview.gas_used), (0, 100));
    assert_eq!(preview.returns, [ChannelId(world.state.nonce(&from)).to_bytes()]);
    assert_eq!(world.state, before);
    let create = calls::create_storage_miner(SectorSize::S2KiB, b"peer", AttoFil::ZERO);
    let nobody = world.ask(None, create).expect_err("a miner needs an owner");
    assert_eq!(
        (nobody.code, nobody.text.as_str()),
        (1, "a miner needs an owner: name the sender")
    );
    let receipt = world.send(&client, call());
    assert_eq!(receipt.returns, [Bytes(preview.returns[0].clone())]);
}

#[test]
fn the_views_show_channels_power_and_late_state() {
    let (mut world, miner) = world();
    let (client, owner) = (world.client.clone(), world.owner.clone());
    world.height = 1206;
    assert!(world.send(&owner, world.post_call(&miner, AttoFil::ZERO)).is_ok());
    assert!(world.send(&client, calls::cancel(ChannelId(0))).is_ok());
    let condition = Predicate::piece_inclusion(&miner, &comm_p(), BytesAmount(PIECE as u64));
    let mut channel = world
        .state
        .channel(&client.address(), ChannelId(0))
        .expect("open")
        .clone();
    channel.condition = Some(condition);
    channel.amount_redeemed = AttoFil(400);
    let channels = world.state.broker.channels.get_mut(&client.address()).expect("open");
    channels.insert(ChannelId(0), channel);
    let view = view::ChannelView::of(&world.state, &client.address(), ChannelId(0)).expect("open");
    assert_eq!(
        (view.remaining, view.agreed_eol, view.is_cancelled()),
        (AttoFil(600), Epoch(9000), false)
    );
    let params = view.condition.expect("the view shows the condition").params;
    assert_eq!(
        params,
        [hex::encode(comm_p().0), hex::encode(BytesAmount(500).to_bytes())]
    );
    let power = view::PowerView::of(&world.state);
    assert_eq!(
        (power.total, power.miners[0].power, power.burnt),
        (2048, 2048, AttoFil::ZERO)
    );
    world.state.height = Epoch(1608);
    let late = view::MinerView::of(&world.state, &miner).expect("the miner exists");
    let collateral = 2 * world.state.policy.sector_collateral.0;
    assert_eq!(late.post_state, PostState::AfterPeriod);
    assert_eq!(
        (late.proof_deadline, late.late_fee),
        (Some(Epoch(1906)), AttoFil(collateral * 3 / 300))
    );
    assert_eq!(late.free_balance, AttoFil(fil(1).0 - collateral));
    let text = serde_json::to_string(&late).expect("a view is JSON");
    assert!(text.contains("\"postState\":\"afterPeriod\""), "{text}");
}
