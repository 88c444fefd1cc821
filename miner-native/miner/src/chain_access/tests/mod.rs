//! The chain access against a development chain in the same process. Blocks are made by hand, so nothing waits for a clock.

mod crashes;
mod feeds;
mod surfacing;

use super::outbox::Stage;
use super::*;
use cid::Cid;
use sealdrop_database::{Memory, Sharing, Sqlite};
use sealdrop_devnet::testing::{config, key, produce};
use sealdrop_devnet::Devnet;
use shared::chain::keys::cid_of_bytes;
use shared::chain::rpc::code;
use shared::chain::{calls, AttoFil, Call};
use shared::piece::SectorSize;
use std::path::Path;
use tempfile::TempDir;
use tokio::task::JoinHandle;

struct Chain {
    devnet: Devnet,
    running: JoinHandle<()>,
}

impl Chain {
    fn open(dir: &Path) -> Self {
        Self::listen(dir, "127.0.0.1:0")
    }

    fn listen(dir: &Path, listen: &str) -> Self {
        let listen = vec![listen.parse().unwrap()];
        let devnet = Devnet::open(sealdrop_devnet::DevnetConfig { listen, ..config(dir) }).unwrap();
        let running = devnet.clone();
        let running = tokio::spawn(async move { running.run().await.unwrap() });
        Self { devnet, running }
    }

    async fn close(self) {
        self.devnet.shutdown();
        self.running.await.unwrap();
    }
}

struct Setup {
    dir: TempDir,
    chain: Chain,
    outbox: Arc<dyn Store>,
    /// Another process' outbox.
    other: Arc<Memory>,
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let chain = Chain::open(&dir.path().join("devnet"));
        let outbox = Sqlite::open(&dir.path().join("outbox.db"), &OUTBOX_SCHEMA, Sharing::Alone).unwrap();
        let outbox = Arc::new(outbox);
        let other = Arc::default();
        Self {
            dir,
            chain,
            outbox,
            other,
        }
    }

    async fn access(&self) -> ChainAccess {
        ChainAccess::connect(&self.chain.devnet.url(), self.outbox.clone(), key(1))
            .await
            .unwrap()
    }

    /// An access whose account has 1000 FIL.
    async fn funded(&self) -> ChainAccess {
        let access = self.access().await;
        access.faucet(&access.address()).await.unwrap();
        produce(&self.chain.devnet);
        access
    }

    async fn mine(&self, access: &ChainAccess, purpose: &str, call: Call) -> Result<ReceiptView, ChainError> {
        let cid = access.submit(purpose, call).await?;
        produce(&self.chain.devnet);
        access.confirmed(&cid, 0).await
    }
}

fn pay(fil: u64) -> Call {
    calls::transfer(&key(99).address(), AttoFil::from_fil(fil))
}

async fn paid(access: &ChainAccess) -> AttoFil {
    access
        .actor(&key(99).address())
        .await
        .unwrap()
        .map_or(AttoFil::ZERO, |actor| actor.balance)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_is_registered_offers_storage_and_is_paid_into_a_channel() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let call = calls::create_storage_miner(SectorSize::S2KiB, &[0, 1, 2], AttoFil::from_fil(10));
    let receipt = setup.mine(&access, "miner", call).await.unwrap().receipt().unwrap();
    let miner = calls::miner_address(&receipt).unwrap();
    setup
        .mine(&access, "ask", calls::add_ask(&miner, AttoFil(25), 1000))
        .await
        .unwrap();
    let view = access.miner(&miner).await.unwrap().unwrap();
    assert_eq!(
        (view.owner, view.balance, view.asks[0].price),
        (access.address(), AttoFil::from_fil(10), AttoFil(25))
    );
    assert_eq!(access.miners().await.unwrap().len(), 1);
    let call = calls::create_channel(&key(99).address(), Epoch(5000), AttoFil::from_fil(3));
    let receipt = setup.mine(&access, "channel", call).await.unwrap().receipt().unwrap();
    let id = calls::channel_id(&receipt).unwrap();
    let channel = access.channel(&access.address(), id).await.unwrap().unwrap();
    assert_eq!((channel.amount, channel.eol), (AttoFil::from_fil(3), Epoch(5000)));
    let owner = access.ask(&calls::read(&miner, "getOwner")).await.unwrap();
    assert_eq!(owner, [access.address().to_bytes()]);
    assert_eq!(access.beacon(Epoch(0)).await.unwrap().len(), 65);
    assert!(matches!(
        access.beacon(Epoch(100)).await,
        Err(ChainError::Rpc { code: -32004, .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_is_sent_once_however_often_it_is_asked_for() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let cid = access.submit("pay", pay(1)).await.unwrap();
    assert_eq!(access.submit("pay", pay(1)).await.unwrap(), cid);
    produce(&setup.chain.devnet);
    assert_eq!(access.submit("pay", pay(1)).await.unwrap(), cid);
    drop(access);
    let access = setup.access().await;
    assert_eq!(access.call("pay", pay(1)).await.unwrap().0, cid);
    access.settle("pay").unwrap();
    assert_eq!(access.submit("pay", pay(1)).await.unwrap(), cid);
    produce(&setup.chain.devnet);
    assert_eq!(paid(&access).await, AttoFil::from_fil(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_submitted_at_once_get_consecutive_nonces() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let submit = |number: usize| {
        let access = access.clone();
        async move { access.submit(&format!("pay/{number}"), pay(1)).await.unwrap() }
    };
    let cids = futures::future::join_all((0..10).map(submit)).await;
    produce(&setup.chain.devnet);
    for cid in &cids {
        access.confirmed(cid, 0).await.unwrap();
    }
    assert_eq!(paid(&access).await, AttoFil::from_fil(10));
    assert_eq!(access.actor(&access.address()).await.unwrap().unwrap().nonce, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_says_why_and_can_be_tried_anew_once_forgotten() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let wrong = || calls::add_ask(&key(99).address(), AttoFil(1), 1);
    let failed = setup.mine(&access, "ask", wrong()).await.unwrap_err();
    assert!(matches!(failed, ChainError::Failed { exit_code: 5, .. }), "{failed}");
    let again = access.call("ask", pay(1)).await.unwrap_err();
    assert!(matches!(again, ChainError::Failed { exit_code: 5, .. }), "{again}");
    access.forget("ask").unwrap();
    setup.mine(&access, "ask", pay(1)).await.unwrap();
    assert_eq!(paid(&access).await, AttoFil::from_fil(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_takes_no_nonce_and_frees_its_purpose() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let refused = access.submit("pay", pay(5000)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            ChainError::Rpc {
                code: code::MESSAGE_INVALID,
                ..
            }
        ),
        "{refused}"
    );
    setup.mine(&access, "pay", pay(5)).await.unwrap();
    assert_eq!(paid(&access).await, AttoFil::from_fil(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_message_is_told_and_those_after_it_do_not_wait_for_it() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let cids = [
        access.submit("first", pay(600)).await.unwrap(),
        access.submit("second", pay(600)).await.unwrap(),
        access.submit("third", pay(1)).await.unwrap(),
    ];
    produce(&setup.chain.devnet);
    access.confirmed(&cids[0], 0).await.unwrap();
    let dropped = access.confirmed(&cids[1], 0).await.unwrap_err();
    assert!(
        matches!(&dropped, ChainError::Dropped { reason } if reason.contains("600")),
        "{dropped}"
    );
    resubmission::resubmit(&access).await.unwrap();
    produce(&setup.chain.devnet);
    access.confirmed(&cids[2], 0).await.unwrap();
    assert_eq!(paid(&access).await, AttoFil::from_fil(601));
    access.forget("second").unwrap();
    setup.mine(&access, "second", pay(2)).await.unwrap();
    assert_eq!(paid(&access).await, AttoFil::from_fil(603));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_chain_lost_is_sent_again() {
    let mut setup = Setup::new();
    let access = setup.funded().await;
    let address = setup.chain.devnet.url();
    let address = address
        .trim_start_matches("http://")
        .trim_end_matches("/rpc")
        .to_owned();
    let (data, backup) = (setup.dir.path().join("devnet"), setup.dir.path().join("backup"));
    setup.chain.close().await;
    copy(&data, &backup);
    setup.chain = Chain::listen(&data, &address);
    let cid = access.submit("pay", pay(1)).await.unwrap();
    setup.chain.close().await;
    setup.chain = Chain::listen(&backup, &address);
    assert_eq!(access.message(&cid).await.unwrap(), None);
    resubmission::resubmit(&access).await.unwrap();
    assert!(access.message(&cid).await.unwrap().is_some());
    produce(&setup.chain.devnet);
    access.confirmed(&cid, 0).await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_nobody_here_is_not_waited_for() {
    let setup = Setup::new();
    let access = setup.access().await;
    let unknown = access.confirmed(&cid_of_bytes(b"nothing"), 0).await.unwrap_err();
    assert!(matches!(unknown, ChainError::UnknownMessage { .. }), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_of_another_chain_is_refused() {
    let setup = Setup::new();
    let first = setup.access().await.connected_network().genesis.clone();
    let other = Chain::open(&setup.dir.path().join("other"));
    let outbox = setup.outbox.clone();
    let refused = ChainAccess::connect(&other.devnet.url(), outbox, key(1))
        .await
        .err()
        .unwrap();
    assert!(matches!(&refused, ChainError::OtherChain { ours, theirs, .. } if *ours == first && ours != theirs));
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_away_or_no_chain_is_told_apart() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = Client::new(&format!("http://{free}/rpc")).unwrap();
    let away = client.try_call(&rpc::Head {}).await.unwrap_err();
    assert!(
        matches!(&away, ChainError::Unreachable { .. }) && away.is_temporary(),
        "{away}"
    );
    let setup = Setup::new();
    let client = Client::new(&setup.chain.devnet.url().replace("/rpc", "/other")).unwrap();
    let strange = client.try_call(&rpc::Head {}).await.unwrap_err();
    assert!(matches!(strange, ChainError::Protocol { .. }), "{strange}");
}

#[tokio::test]
async fn a_connection_that_breaks_as_it_is_used_is_no_endpoint_that_is_away() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/rpc", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        // The first is closed with the question in it.
        let asked = || {
            let (mut stream, _) = listener.accept().unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
            stream
        };
        drop(asked());
        let mut stream = asked();
        let body = r#"{"jsonrpc":"2.0","id":1,"result":{"height":7,"block":"b","timeMs":2}}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    let head = Client::new(&url).unwrap().try_call(&rpc::Head {}).await.unwrap();
    assert_eq!(head.height.0, 7);
    serving.join().unwrap();
}

#[tokio::test]
async fn a_chain_that_sends_its_askers_elsewhere_is_not_followed() {
    let (base, followed) = crate::testing::redirecting().await;
    let client = Client::new(&format!("{base}/rpc")).unwrap();
    let error = client.call(&rpc::Head {}).await.unwrap_err();
    assert!(
        matches!(&error, ChainError::Redirected { .. }) && !error.is_temporary(),
        "{error}"
    );
    assert!(error.to_string().contains("/internal"), "{error}");
    assert!(!followed.load(std::sync::atomic::Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_head_is_told_to_everybody() {
    let setup = Setup::new();
    let access = setup.access().await;
    let mut heads = access.heads();
    let made = produce(&setup.chain.devnet);
    assert_eq!(*heads.wait_for(|head| head.height == made.height).await.unwrap(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_has_a_bounded_name() {
    let setup = Setup::new();
    let access = setup.access().await;
    for purpose in [String::new(), "x".repeat(MAX_PURPOSE + 1)] {
        assert!(matches!(
            access.submit(&purpose, pay(1)).await,
            Err(ChainError::Purpose { .. })
        ));
    }
}

#[test]
fn settled_messages_are_cleared_away_beyond_a_bound_and_others_never() {
    let Ok(outbox) = Outbox::open(Arc::new(Memory::default()), "genesis").unwrap() else {
        panic!()
    };
    let message = |nonce| pay(1).message(&key(1).address(), nonce).sign(&key(1));
    outbox.add("needed", message(0)).unwrap();
    outbox.advance(&message(0).cid(), Stage::Mined).unwrap();
    outbox.add("on its way", message(1)).unwrap();
    outbox.settle("on its way").unwrap();
    for nonce in 2..(SETTLED_KEPT as u64 + 4) {
        let purpose = format!("done/{nonce}");
        outbox.add(&purpose, message(nonce)).unwrap();
        outbox.settle(&purpose).unwrap();
        outbox.advance(&message(nonce).cid(), Stage::Mined).unwrap();
    }
    for (purpose, is_kept) in [
        ("needed", true),
        ("on its way", true),
        ("done/2", false),
        ("done/3", false),
        ("done/4", true),
    ] {
        assert_eq!(outbox.entry(purpose).is_some(), is_kept, "{purpose}");
    }
    assert_eq!(outbox.free_nonce(&key(1).address(), 0), SETTLED_KEPT as u64 + 4);
}

#[test]
fn a_forgotten_message_on_its_way_keeps_its_nonce() {
    let Ok(outbox) = Outbox::open(Arc::new(Memory::default()), "genesis").unwrap() else {
        panic!()
    };
    let message = pay(1).message(&key(1).address(), 7).sign(&key(1));
    outbox.add("pay", message.clone()).unwrap();
    assert_eq!(
        (
            outbox.free_nonce(&key(1).address(), 7),
            outbox.free_nonce(&key(1).address(), 6)
        ),
        (8, 6)
    );
    outbox.forget("pay").unwrap();
    assert!(outbox.entry("pay").is_none());
    assert_eq!(outbox.free_nonce(&key(1).address(), 7), 8);
    outbox.advance(&message.cid(), Stage::Dropped).unwrap();
    assert_eq!(outbox.free_nonce(&key(1).address(), 7), 7);
}
