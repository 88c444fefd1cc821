//! What went wrong is told to whoever asked, with its code and its text.

use super::*;
use shared::chain::view::HeadView;

async fn until(access: &ChainAccess, head: &HeadView) {
    let mut heads = access.heads();
    let seen = heads.wait_for(|seen| seen.height >= head.height).await;
    seen.expect("the access follows the head");
}

/// spec §9.20: errors from send, wait, a non-zero receipt and the voucher query surface.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_sending_waiting_receipts_and_queries_surface() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let channel = |fil| calls::create_channel(&key(99).address(), Epoch(5000), AttoFil::from_fil(fil));
    let send = access
        .submit("channel", channel(5000))
        .await
        .expect_err("it is more than the account has");
    assert!(
        matches!(&send, ChainError::Rpc { code: code::MESSAGE_INVALID, message, .. } if message.contains("1000 FIL")),
        "{send}"
    );
    let failing = || calls::extend(shared::chain::ChannelId(7), Epoch(9000), AttoFil::ZERO);
    let receipt = setup
        .mine(&access, "extend", failing())
        .await
        .expect_err("there is no such channel");
    assert!(
        matches!(&receipt, ChainError::Failed { exit_code: 38, error } if error == "payment channel is unknown"),
        "{receipt}"
    );
    let first = access.submit("first", pay(600)).await.expect("the account can pay it");
    let second = access
        .submit("second", pay(600))
        .await
        .expect("alone, the account could pay it");
    produce(&setup.chain.devnet);
    access.confirmed(&first, 0).await.expect("it was applied");
    let wait = access.confirmed(&second, 0).await.expect_err("the money is gone");
    assert!(
        matches!(&wait, ChainError::Dropped { reason } if reason.contains("needs 600")),
        "{wait}"
    );
    let voucher = calls::voucher(shared::chain::ChannelId(7), AttoFil(1), Epoch(0), None);
    let query = access.ask(&voucher).await.expect_err("there is no such channel");
    assert!(
        matches!(&query, ChainError::Reverted { exit_code: 38, error } if error.starts_with("payment channel is unknown")),
        "{query}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_are_blocks_after_the_message_s_own() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let cid = access.submit("pay", pay(1)).await.expect("the account can pay");
    let own = produce(&setup.chain.devnet);
    let waiting = tokio::spawn({
        let access = access.clone();
        async move { access.confirmed(&cid, 2).await }
    });
    access.confirmed(&cid, 0).await.expect("its own block is enough");
    until(&access, &produce(&setup.chain.devnet)).await;
    assert!(!waiting.is_finished());
    produce(&setup.chain.devnet);
    let receipt = waiting.await.expect("nothing panics").expect("it was applied");
    assert_eq!(receipt.height, own.height);
    let failing = calls::add_ask(&key(99).address(), AttoFil(1), 1);
    let failed = access.submit("ask", failing).await.expect("it may be in a block");
    produce(&setup.chain.devnet);
    produce(&setup.chain.devnet);
    let error = access
        .confirmed(&failed, 1)
        .await
        .expect_err("an account has no methods");
    assert!(
        matches!(&error, ChainError::Failed { exit_code: 1, error } if error == "actor does not export method"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_s_status_is_told_at_every_stage() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let status = |cid: Cid| {
        let access = access.clone();
        async move { access.message_status(&cid).await.expect("anybody may ask") }
    };
    assert_eq!(status(cid_of_bytes(b"nothing")).await, MessageStatus::Unknown);
    let unsent = pay(9).message(&access.address(), 200).sign(&key(1));
    access
        .inner
        .outbox
        .add("unsent", unsent.clone())
        .expect("there is room");
    assert_eq!(status(unsent.cid()).await, MessageStatus::Unsent);
    access.inner.outbox.withdraw("unsent").expect("it is there");
    let cid = access.submit("pay", pay(600)).await.expect("the account can pay");
    let late = access
        .submit("late", pay(600))
        .await
        .expect("alone, the account could pay it");
    assert_eq!(status(cid).await, MessageStatus::Waiting);
    let own = produce(&setup.chain.devnet);
    assert!(matches!(status(late).await, MessageStatus::Dropped { height, .. } if height == own.height));
    produce(&setup.chain.devnet);
    let mined = status(cid).await;
    assert!(
        matches!(&mined, MessageStatus::Mined { receipt, confirmations: 1 } if receipt.height == own.height),
        "{mined:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_s_gas_is_offered_and_too_little_of_it_is_told() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let channel = || calls::create_channel(&key(99).address(), Epoch(5000), AttoFil::from_fil(1));
    let preview = access.preview(&channel(), None).await.expect("the account may send it");
    assert_eq!((preview.exit_code, preview.gas), (0, 100));
    let price = AttoFil(7);
    let too_little = Gas {
        price,
        limit: preview.gas - 1,
    };
    let cid = access
        .submit_with("channel", channel(), too_little)
        .await
        .expect("it may be in a block");
    produce(&setup.chain.devnet);
    let error = access.confirmed(&cid, 0).await.expect_err("it needs more gas");
    assert!(matches!(error, ChainError::Failed { exit_code: 36, .. }), "{error}");
    access.forget("channel").expect("the disk can be written");
    let enough = Gas {
        price,
        limit: preview.gas,
    };
    let cid = access
        .submit_with("channel", channel(), enough)
        .await
        .expect("it may be in a block");
    produce(&setup.chain.devnet);
    let receipt = access.confirmed(&cid, 0).await.expect("it was applied");
    assert_eq!(receipt.gas_cost, AttoFil(700));
    let view = access
        .message(&cid)
        .await
        .expect("anybody may ask")
        .expect("it is in a block");
    assert_eq!((view.gas_price, view.gas_limit), (price, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_the_past_go_through() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let network = Address::id(0);
    let said = access.query(&network, None, "getNetwork", &[], Some(Epoch(0))).await;
    assert_eq!(said.expect("the state is kept"), [b"test".to_vec()]);
    let future = access.query(&network, None, "getNetwork", &[], Some(Epoch(9))).await;
    assert!(matches!(future, Err(ChainError::Rpc { code: code::FUTURE, .. })));
    let blocks = access.blocks(Epoch(0), Epoch(9)).await.expect("anybody may ask");
    assert_eq!(blocks.len(), 2);
    assert_eq!(access.block(Epoch(1)).await.expect("it is kept"), blocks[1]);
    let found = access.messages(&access.address(), None).await.expect("anybody may ask");
    assert_eq!(found[0].message, blocks[1].messages[0]);
    access.submit("pay", pay(1)).await.expect("the account can pay");
    let pool = access.pool(Some(&access.address())).await.expect("anybody may ask");
    assert_eq!((pool.count, pool.messages[0].message.nonce), (1, 0));
    assert_eq!(
        access.supply().await.expect("anybody may ask").accounts,
        AttoFil::from_fil(1000)
    );
    assert_eq!(
        access.balance(&key(7).address()).await.expect("anybody may ask"),
        AttoFil::ZERO
    );
}
