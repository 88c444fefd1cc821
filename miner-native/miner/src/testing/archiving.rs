//! A miner whose files are lost goes on with those of its archive.

use super::{piece, World};
use crate::archive::keeping::{Archiving, Keeper};
use crate::archive::ArchiveConfig;
use crate::prover::fake::FakeEngine;
use crate::scrubbing::{self, Scrubber};
use crate::supervisor::Lifeline;
use shared::chain::view::MinerView;
use shared::sector::Phase;
use std::fs;
use std::path::PathBuf;

fn place(world: &World) -> PathBuf {
    let place = world.dir.path().join("archive");
    fs::create_dir_all(&place).expect("made");
    place
}

fn archiving(world: &World) -> Archiving {
    let config = ArchiveConfig {
        place: place(world).to_str().expect("a text").into(),
        endpoint: None,
        region: None,
    };
    world.miner().archiving(config, "network".into())
}

/// Looks once, as a service that has just been started.
async fn look(world: &World) {
    let looked = Keeper::default()
        .tick(&archiving(world), &Lifeline::unsupervised())
        .await;
    looked.expect("the archive is kept");
}

fn is_there(world: &World, name: &str) -> bool {
    place(world).join("manifests").join(name).exists()
}

fn proven(view: &MinerView) -> bool {
    view.sectors.iter().all(|sector| sector.fault.is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sector_whose_files_are_lost_comes_back_and_is_proven_in_its_window() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    look(&world).await;
    assert!(is_there(&world, "sectors/1"));
    let replica = FakeEngine::replica(&world.sectors(), 1);
    let whole = fs::read(&replica).expect("it is there");
    // All of the folder is gone, as with a new disk.
    fs::remove_dir_all(world.sectors()).expect("removed");
    world.reopen().await;
    look(&world).await;
    assert_eq!(fs::read(&replica).expect("it is back"), whole);
    let posts = world.view().await.posts;
    world.until(|view| view.posts > posts).await;
    assert!(proven(&world.view().await), "no fault was declared");
    let coming = world.sectors().join(".coming");
    assert!(fs::read_dir(coming).is_ok_and(|mut left| left.next().is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_waits_to_be_sealed_comes_back_and_is_in_the_archive_no_longer_than_it_must() {
    let mut world = World::start().await;
    let (bytes, waiting) = piece(3, 500);
    let signed = world.paid(&waiting, 1, 9000).await;
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.message, "");
    world.deliver(&cid, &waiting, &bytes);
    look(&world).await;
    let name = format!("pieces/{}", waiting.data_cid);
    assert!(is_there(&world, &name));
    let path = world.miner().staging.path(&waiting.data_cid);
    fs::remove_file(&path).expect("removed");
    look(&world).await;
    assert_eq!(fs::read(&path).expect("it is back"), bytes);
    world.seal(false).await;
    look(&world).await;
    assert!(is_there(&world, "sectors/1"), "first its sector is there");
    look(&world).await;
    assert!(!is_there(&world, &name), "then the piece need not be");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_is_another_in_the_archive_is_not_taken() {
    let world = World::start().await;
    let (bytes, waiting) = piece(3, 500);
    let signed = world.paid(&waiting, 1, 9000).await;
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.message, "");
    world.deliver(&cid, &waiting, &bytes);
    look(&world).await;
    // A part and a manifest that fit each other, made by whoever can write there.
    let (other, name) = (vec![9; 500], format!("pieces/{}", waiting.data_cid));
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&other));
    let manifest = format!(
        r#"{{"format":1,"files":[{{"path":"{}","bytes":500,"parts":["{digest}"]}}]}}"#,
        waiting.data_cid
    );
    fs::write(place(&world).join("parts").join(&name).join(&digest), &other).expect("written");
    fs::write(place(&world).join("manifests").join(&name), manifest).expect("written");
    let path = world.miner().staging.path(&waiting.data_cid);
    fs::remove_file(&path).expect("removed");
    let (lifeline, board) = Lifeline::watched();
    let looked = Keeper::default().tick(&archiving(&world), &lifeline).await;
    assert!(!path.exists(), "{looked:?}");
    assert!(looked.is_err() || !board.health().ok, "and health says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_replica_that_scrubbing_found_is_replaced() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    look(&world).await;
    let replica = FakeEngine::replica(&world.sectors(), 1);
    let whole = fs::read(&replica).expect("it is there");
    let mut other = whole.clone();
    other[0] ^= 1;
    fs::write(&replica, &other).expect("written");
    look(&world).await;
    assert_eq!(fs::read(&replica).expect("there"), other, "nobody knows of it yet");
    let (miner, later) = (world.miner().clone(), crate::clock::now_ms() + 7 * 24 * 3600 * 1000);
    let mut scrubber = Scrubber::default();
    assert!(scrubber.tick(&miner.scrubbing(), later).await.expect("scrubbed"));
    assert_eq!(scrubbing::status(&miner.store).expect("read").damage.len(), 1);
    look(&world).await;
    assert_eq!(fs::read(&replica).expect("there"), whole);
    assert_eq!(scrubbing::status(&miner.store).expect("read").damage, []);
    assert!(
        scrubber.tick(&miner.scrubbing(), later).await.expect("scrubbed"),
        "at once again"
    );
    assert_eq!(scrubbing::status(&miner.store).expect("read").damage, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_goes_and_what_older_records_do_not_know_stays() {
    let mut world = World::start().await;
    world.complete(1, 300).await;
    look(&world).await;
    let unknown = place(&world).join("manifests/sectors/99");
    fs::copy(place(&world).join("manifests/sectors/1"), &unknown).expect("copied");
    for _ in 0..400 {
        let record = world.miner().store.sector(1).expect("read").expect("kept");
        if record.sector.phase() == Phase::Removed {
            break;
        }
        world.skip(10).await;
        world.tick().await;
    }
    look(&world).await;
    assert!(!is_there(&world, "sectors/1") && unknown.exists());
}
