//! The development chain as a whole: blocks, restarts, crashes and the pool. Blocks are made by hand, so nothing waits.

mod faults;
mod past;
mod pooling;
mod proving;

use super::node::Refusal;
use super::store::{Batch, Outcome, Store, BLOCKS_KEPT};
use super::*;
pub(super) use crate::testing::{config, key, produce};
use cid::Cid;
use shared::chain::keys::cid_of_bytes;
use shared::chain::{calls, exit, Address, AttoFil, Call, Epoch, Invalid, Policy, SecretKey, SignedMessage};
use shared::wire;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Who asks for money.
pub(super) const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

pub(super) fn chain() -> (TempDir, Devnet) {
    let dir = tempfile::tempdir().unwrap();
    let devnet = Devnet::open(config(dir.path())).unwrap();
    (dir, devnet)
}

fn push(devnet: &Devnet, message: SignedMessage) -> Result<Cid, Refusal> {
    let pushed = devnet.node.push(wire::encode(&message).len(), message);
    pushed.map(|pushed| pushed.cid)
}

fn fund(devnet: &Devnet, key: &SecretKey) {
    devnet.node.grant(&key.address(), HERE).unwrap();
    produce(devnet);
}

fn message(key: &SecretKey, nonce: u64, call: Call) -> SignedMessage {
    call.message(&key.address(), nonce).sign(key)
}

pub(super) fn pay(key: &SecretKey, nonce: u64, fil: u64) -> SignedMessage {
    message(
        key,
        nonce,
        calls::transfer(&self::key(99).address(), AttoFil::from_fil(fil)),
    )
}

fn balance(devnet: &Devnet, address: &Address) -> AttoFil {
    devnet.node.current().state.balance(address)
}

fn mined_at(devnet: &Devnet, cid: &Cid) -> Option<Epoch> {
    match devnet.node.outcome(cid).unwrap() {
        Some(Outcome::Mined { height, receipt }) if receipt.is_ok() => Some(height),
        None => None,
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_grant_of_the_faucet_arrives_with_the_next_block() {
    let (_dir, devnet) = chain();
    let address = key(1).address();
    let (cid, amount) = devnet.node.grant(&address, HERE).unwrap();
    assert_eq!(
        devnet.node.grant(&address, HERE).unwrap(),
        (cid, amount),
        "asking twice in a row is harmless"
    );
    assert_eq!(balance(&devnet, &address), AttoFil::ZERO);
    produce(&devnet);
    assert_eq!(balance(&devnet, &address), AttoFil::from_fil(GRANT_FIL));
    assert!(matches!(
        devnet.node.grant(&address, HERE),
        Err(Refusal::Faucet(faucet::FaucetError::TooSoon { .. }))
    ));
    let miner = Address::actor(&address, 0);
    assert!(matches!(
        devnet.node.grant(&miner, HERE),
        Err(Refusal::Faucet(faucet::FaucetError::NotAnAccount { .. }))
    ));
}

/// Finding A9: what the faucet gave was forgotten with the process.
#[test]
fn a_restart_does_not_make_the_faucet_forget_whom_it_gave_to() {
    let (dir, devnet) = chain();
    let address = key(1).address();
    let (cid, _) = devnet.node.grant(&address, HERE).unwrap();
    drop(devnet);
    let devnet = past::reopen(&dir);
    assert_eq!(
        devnet.node.grant(&address, HERE).unwrap().0,
        cid,
        "at the same height it is the same"
    );
    produce(&devnet);
    drop(devnet);
    let devnet = past::reopen(&dir);
    assert!(matches!(
        devnet.node.grant(&address, HERE),
        Err(Refusal::Faucet(faucet::FaucetError::TooSoon { .. }))
    ));
    for _ in 0..FAUCET_INTERVAL {
        produce(&devnet);
    }
    devnet.node.grant(&address, HERE).unwrap();
}

#[test]
fn a_restart_goes_on_with_the_same_head_state_receipts_and_pool() {
    let (dir, devnet) = chain();
    fund(&devnet, &key(1));
    let done = push(&devnet, pay(&key(1), 0, 1)).unwrap();
    produce(&devnet);
    let waiting = push(&devnet, pay(&key(1), 1, 2)).unwrap();
    let head = devnet.head();
    drop(devnet);
    let devnet = Devnet::open(config(dir.path())).unwrap();
    assert_eq!(devnet.head(), head);
    assert_eq!(mined_at(&devnet, &done), Some(Epoch(2)));
    assert_eq!(balance(&devnet, &key(99).address()), AttoFil::from_fil(1));
    assert_eq!(produce(&devnet).height, Epoch(3));
    assert_eq!(mined_at(&devnet, &waiting), Some(Epoch(3)));
    assert_eq!(balance(&devnet, &key(99).address()), AttoFil::from_fil(3));
    let (second, third) = (
        devnet.block(Epoch(2)).unwrap().unwrap(),
        devnet.block(Epoch(3)).unwrap().unwrap(),
    );
    assert_eq!((third.parent, third.messages), (second.cid(), vec![waiting]));
    assert_eq!(second.messages, [done]);
}

#[test]
fn empty_blocks_keep_the_state_and_survive_a_restart() {
    let (dir, devnet) = chain();
    let first = devnet.block(Epoch(0)).unwrap().unwrap();
    for height in 1..=5 {
        assert_eq!(produce(&devnet).height, Epoch(height));
    }
    let last = devnet.block(Epoch(5)).unwrap().unwrap();
    assert_eq!((last.state, last.messages.len()), (first.state, 0));
    drop(devnet);
    let devnet = Devnet::open(config(dir.path())).unwrap();
    assert_eq!(devnet.head().height, Epoch(5));
    assert_eq!(devnet.node.current().state.height, Epoch(5));
}

#[test]
fn the_data_of_another_network_or_other_proofs_is_refused() {
    let (dir, devnet) = chain();
    drop(devnet);
    let open = |change: fn(&mut DevnetConfig)| {
        let mut config = config(dir.path());
        change(&mut config);
        Devnet::open(config).map(|_| ())
    };
    let error = open(|config| config.network = "other".into()).unwrap_err();
    assert!(matches!(&error, DevnetError::OtherNetwork { found, wanted, .. } if found == "test" && wanted == "other"));
    assert!(error.to_string().contains("\"test\"") && error.to_string().contains("\"other\""));
    let error = open(|config| config.verifying_keys = "new".into()).unwrap_err();
    assert!(
        matches!(error, DevnetError::OtherVerifyingKeys { found, wanted, .. } if found == "keys" && wanted == "new")
    );
    open(|_| ()).unwrap();
}

#[test]
fn the_policy_of_genesis_stays() {
    let (dir, devnet) = chain();
    drop(devnet);
    let policy = Policy {
        proving_period: 60,
        challenge_window: 30,
        ..Policy::default()
    };
    let devnet = Devnet::open(DevnetConfig {
        policy,
        ..config(dir.path())
    })
    .unwrap();
    assert_eq!(devnet.node.current().state.policy, Policy::default());
}

#[test]
fn a_lost_or_changed_key_is_refused() {
    let (dir, devnet) = chain();
    drop(devnet);
    let path = dir.path().join("block.key");
    std::fs::write(&path, "01".repeat(32)).unwrap();
    assert!(matches!(Devnet::open(config(dir.path())), Err(DevnetError::KeyDiffers { path: p }) if p == path));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Devnet::open(config(dir.path())), Err(DevnetError::KeyMissing { path: p }) if p == path));
}

#[test]
fn a_folder_in_use_and_a_taken_port_are_refused() {
    let (dir, devnet) = chain();
    assert!(matches!(
        Devnet::open(config(dir.path())),
        Err(DevnetError::InUse { .. })
    ));
    let other = tempfile::tempdir().unwrap();
    let taken = DevnetConfig {
        listen: devnet.addresses.clone(),
        ..config(other.path())
    };
    let error = Devnet::open(taken).err().unwrap();
    assert!(
        error
            .to_string()
            .contains(&format!("port {}", devnet.addresses[0].port())),
        "{error}"
    );
}

#[test]
fn a_chain_on_all_addresses_is_reached_by_loopback_from_here() {
    let dir = tempfile::tempdir().unwrap();
    let listen = ["0.0.0.0:0", "127.0.0.2:0"].map(|address| address.parse().unwrap());
    let devnet = Devnet::open(DevnetConfig {
        listen: listen.to_vec(),
        ..config(dir.path())
    })
    .unwrap();
    let [all, loopback] = [0, 1].map(|at| devnet.addresses[at].port());
    assert_ne!(all, loopback);
    assert_eq!(devnet.url(), format!("http://127.0.0.1:{all}/rpc"));
}

#[test]
fn a_message_after_a_gap_waits_until_the_gap_is_filled() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let late = push(&devnet, pay(&key(1), 1, 1)).unwrap();
    produce(&devnet);
    assert_eq!(mined_at(&devnet, &late), None);
    let early = push(&devnet, pay(&key(1), 0, 1)).unwrap();
    let head = produce(&devnet);
    assert_eq!(
        (mined_at(&devnet, &early), mined_at(&devnet, &late)),
        (Some(head.height), Some(head.height))
    );
    assert_eq!(devnet.block(head.height).unwrap().unwrap().messages, [early, late]);
}

#[test]
fn a_gap_that_nobody_fills_ends_the_wait() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let late = push(&devnet, pay(&key(1), 1, 1)).unwrap();
    let since = devnet.head().height;
    let state = devnet.node.current().state.clone();
    let hopeless = |blocks| node::lock(&devnet.node.pool).hopeless(&state, since.plus(blocks)).len();
    assert_eq!(hopeless(pool::MAX_WAIT - 1), 0);
    assert_eq!(hopeless(pool::MAX_WAIT), 1);
    assert_eq!(mined_at(&devnet, &late), None);
}

#[test]
fn a_message_is_taken_once_and_known_for_ever() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let message = pay(&key(1), 0, 1);
    let cid = push(&devnet, message.clone()).unwrap();
    assert_eq!(push(&devnet, message.clone()).unwrap(), cid);
    produce(&devnet);
    assert_eq!(push(&devnet, message).unwrap(), cid);
    assert!(devnet
        .block(produce(&devnet).height)
        .unwrap()
        .unwrap()
        .messages
        .is_empty());
    let used = push(&devnet, pay(&key(1), 0, 2)).unwrap_err();
    assert!(
        matches!(used, Refusal::Invalid(Invalid::NonceUsed { nonce: 0, next: 1 })),
        "{used}"
    );
}

#[test]
fn a_nonce_that_waits_is_not_given_to_another_message() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let first = push(&devnet, pay(&key(1), 0, 1)).unwrap();
    let taken = push(&devnet, pay(&key(1), 0, 2)).unwrap_err();
    assert!(matches!(taken, Refusal::Pool(pool::PoolError::NonceTaken { nonce: 0, other, .. }) if other == first));
}

#[test]
fn a_sender_has_a_bounded_number_of_messages_waiting() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let most = pool::MAX_PER_SENDER as u64;
    for nonce in 0..most {
        push(&devnet, pay(&key(1), nonce, 0)).unwrap();
    }
    let full = push(&devnet, pay(&key(1), most, 0)).unwrap_err();
    assert!(
        matches!(full, Refusal::Pool(pool::PoolError::SenderFull { .. })),
        "{full}"
    );
}

#[test]
fn a_message_that_its_sender_can_no_longer_pay_is_dropped_with_the_reason_and_may_come_again() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    push(&devnet, pay(&key(1), 0, 600)).unwrap();
    let unpaid = pay(&key(1), 1, 600);
    let cid = push(&devnet, unpaid.clone()).unwrap();
    let head = produce(&devnet);
    let outcome = devnet.node.outcome(&cid).unwrap().unwrap();
    let view = answer::views::message(&devnet.node.current().state, cid.to_string(), &unpaid, Some(&outcome));
    let receipt = view.receipt.unwrap();
    assert_eq!((view.height, receipt.exit_code), (None, exit::DROPPED));
    assert!(
        receipt.error.starts_with("dropped: the sender has 400 FIL"),
        "{}",
        receipt.error
    );
    assert!(matches!(
        push(&devnet, unpaid.clone()),
        Err(Refusal::Invalid(Invalid::Balance { .. }))
    ));
    for _ in 0..FAUCET_INTERVAL {
        produce(&devnet);
    }
    fund(&devnet, &key(1));
    assert_eq!(push(&devnet, unpaid).unwrap(), cid);
    assert_eq!(devnet.node.outcome(&cid).unwrap(), None);
    let height = produce(&devnet).height;
    assert_eq!(mined_at(&devnet, &cid), Some(height));
    assert!(height > head.height);
}

#[test]
fn messages_that_a_block_has_no_gas_for_wait_and_senders_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let policy = Policy {
        block_gas_limit: 2 * calls::GAS_LIMIT,
        ..Policy::default()
    };
    let devnet = Devnet::open(DevnetConfig {
        policy,
        ..config(dir.path())
    })
    .unwrap();
    fund(&devnet, &key(1));
    fund(&devnet, &key(2));
    let first: Vec<_> = (0..3)
        .map(|nonce| push(&devnet, pay(&key(1), nonce, 1)).unwrap())
        .collect();
    let second = push(&devnet, pay(&key(2), 0, 1)).unwrap();
    let height = produce(&devnet).height;
    assert_eq!(
        (mined_at(&devnet, &first[0]), mined_at(&devnet, &second)),
        (Some(height), Some(height))
    );
    assert_eq!(mined_at(&devnet, &first[1]), None);
    let height = produce(&devnet).height;
    assert_eq!(
        (mined_at(&devnet, &first[1]), mined_at(&devnet, &first[2])),
        (Some(height), Some(height))
    );
}

#[test]
fn tickets_can_be_computed_for_every_past_height_and_none_to_come() {
    let (dir, devnet) = chain();
    produce(&devnet);
    let genesis = devnet.node.genesis_cid;
    let authority = devnet.node.genesis.authority.clone();
    for height in [Epoch(0), Epoch(1)] {
        let ticket = devnet.block(height).unwrap().unwrap().ticket;
        assert!(ticket_is_valid(&ticket, &authority, &genesis, height));
        assert_eq!(devnet.node.beacon(height).unwrap(), ticket.0);
    }
    assert!(matches!(
        devnet.node.beacon(Epoch(2)),
        Err(Refusal::Future {
            asked: Epoch(2),
            head: Epoch(1)
        })
    ));
    let before = devnet.node.beacon(Epoch(1)).unwrap();
    drop(devnet);
    let devnet = Devnet::open(config(dir.path())).unwrap();
    assert_eq!(devnet.node.beacon(Epoch(1)).unwrap(), before);
}

#[test]
fn old_blocks_stay_only_when_they_recorded_messages() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let genesis = cid_of_bytes(b"genesis");
    let commit = |height, messages: &[Cid]| {
        let ticket = shared::chain::light::header::ticket(&key(1), &genesis, height);
        let messages = messages.to_vec();
        let block = Block {
            height,
            parent: genesis,
            ticket,
            messages,
            state: [0; 32],
            time_ms: 0,
            seal: None,
        };
        store
            .commit(&store::Commit {
                block: &block,
                state: None,
                settled: &[],
            })
            .unwrap();
    };
    commit(Epoch(1), &[]);
    commit(Epoch(2), &[genesis]);
    commit(Epoch(1 + BLOCKS_KEPT), &[]);
    commit(Epoch(2 + BLOCKS_KEPT), &[]);
    assert_eq!(store.block(Epoch(1)).unwrap(), None);
    assert!(store.block(Epoch(2)).unwrap().is_some());
    assert!(store.block(Epoch(1 + BLOCKS_KEPT)).unwrap().is_some());
}

#[test]
fn a_damaged_state_is_noticed() {
    let (dir, devnet) = chain();
    drop(devnet);
    let store = Store::open(dir.path()).unwrap();
    let key = [b"S".as_slice(), &0u64.to_be_bytes()].concat();
    let mut state = store.get(&key).unwrap().unwrap();
    let last = state.len() - 1;
    state[last] ^= 1;
    let mut batch = Batch::default();
    batch.insert(key, state);
    store.write(&batch).unwrap();
    drop(store);
    assert!(matches!(
        Devnet::open(config(dir.path())),
        Err(DevnetError::Damaged { what: "state", .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_makes_blocks_and_shutdown_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let devnet = Devnet::open(DevnetConfig {
        block_time: Duration::from_millis(5),
        ..config(dir.path())
    })
    .unwrap();
    let running = tokio::spawn({
        let devnet = devnet.clone();
        async move { devnet.run().await }
    });
    while devnet.head().height < Epoch(3) {
        tokio::task::yield_now().await;
    }
    devnet.shutdown();
    running.await.unwrap().unwrap();
    assert!(matches!(devnet.run().await, Err(DevnetError::AlreadyServed)));
}

/// Where the child of the crash test keeps its chain; the parent sets it.
const CRASH_DIR: &str = "SEALDROP_TEST_CRASH_DIR";

/// Not a test of its own: the process that [`a_crash_loses_nothing_that_was_acknowledged`] kills. Says the id of every
/// message that was taken in.
#[test]
fn crash_child() {
    let Some(dir) = std::env::var_os(CRASH_DIR) else { return };
    let devnet = Devnet::open(config(Path::new(&dir))).unwrap();
    fund(&devnet, &key(1));
    for nonce in 0.. {
        println!("taken {}", push(&devnet, pay(&key(1), nonce, 0)).unwrap());
        if nonce % 3 == 2 {
            println!("made {}", produce(&devnet).height);
        }
    }
}

#[test]
fn a_crash_loses_nothing_that_was_acknowledged() {
    use std::io::BufRead;
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::crash_child", "--nocapture"])
        .env(CRASH_DIR, dir.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut taken: Vec<Cid> = Vec::new();
    let mut made = 0;
    // The test harness's own words stand in front of the first line.
    for line in lines {
        if let Some((_, cid)) = line.split_once("taken ") {
            taken.push(cid.parse().unwrap());
        }
        if let Some((_, height)) = line.split_once("made ") {
            made = height.parse().unwrap();
        }
        if taken.len() == 50 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(taken.len() >= 50);
    let devnet = Devnet::open(config(dir.path())).unwrap();
    assert!(devnet.head().height >= Epoch(made));
    produce(&devnet);
    let unmined = taken.iter().filter(|cid| mined_at(&devnet, cid).is_none()).count();
    assert_eq!(unmined, 0);
}
