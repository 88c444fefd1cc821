//! A miner whose files are lost goes on with those of its archive.

use super::{piece, World};
use crate::archive::bringing::Bringer;
use crate::archive::keeping::Keeper;
use crate::archive::tending::Tends;
use crate::archive::{ArchiveConfig, Archiving};
use crate::packing;
use crate::prover::fake::FakeEngine;
use crate::scrubbing::{self, Scrubber};
use crate::sealing;
use crate::supervisor::Lifeline;
use shared::chain::keys::blake2b256;
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

/// Looks once, as services that have just been started.
async fn look(world: &World) {
    let (service, lifeline) = (archiving(world), Lifeline::unsupervised());
    let brought = Bringer::default().tick(&service, &lifeline).await;
    brought.expect("what is missing is brought");
    let kept = Keeper::default().tick(&service, &lifeline).await;
    kept.expect("the archive is kept");
}

/// Whether an item is there whose name begins so.
fn is_there(world: &World, name: &str) -> bool {
    let (kind, name) = name.split_once('/').expect("a kind");
    let listed = fs::read_dir(place(world).join("manifests").join(kind));
    let mut names = listed.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|found| found.to_string_lossy().starts_with(name))
}

/// Removes the sectors' files, as a new disk has them; returns the replica.
fn lose(world: &World) -> Vec<u8> {
    let replica = FakeEngine::replica(&world.sectors(), 1);
    let whole = fs::read(&replica).expect("it is there");
    fs::remove_dir_all(world.sectors()).expect("removed");
    whole
}

/// The bytes of all parts in the archive become others.
fn spoil(world: &World, kind: &str) {
    for item in fs::read_dir(place(world).join("parts").join(kind))
        .expect("there")
        .flatten()
    {
        for part in fs::read_dir(item.path()).expect("there").flatten() {
            let mut bytes = fs::read(part.path()).expect("read");
            bytes.iter_mut().for_each(|byte| *byte ^= 1);
            fs::write(part.path(), bytes).expect("written");
        }
    }
}

fn proven(view: &MinerView) -> bool {
    view.sectors.iter().all(|sector| sector.fault.is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sector_whose_files_are_lost_comes_back_and_no_fault_is_declared() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    look(&world).await;
    assert!(is_there(&world, "sectors/1-"));
    let whole = lose(&world);
    world.reopen().await;
    world.miner().coming.forget();
    // Proving looks first, at the first head after the start.
    world.tick().await;
    assert!(proven(&world.view().await), "it may come: nothing is declared yet");
    look(&world).await;
    let replica = FakeEngine::replica(&world.sectors(), 1);
    assert_eq!(fs::read(&replica).expect("it is back"), whole);
    let posts = world.view().await.posts;
    world.until(|view| view.posts > posts).await;
    assert!(proven(&world.view().await), "no fault was declared");
    let coming = world.sectors().join(".coming");
    assert!(fs::read_dir(coming).is_ok_and(|mut left| left.next().is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sector_that_comes_from_nowhere_is_declared_faulty_before_its_window() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    lose(&world);
    look(&world).await;
    world.until(|view| !proven(view)).await;
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
    // Its sector is lost before it was archived: then the piece is all that there is.
    let whole = lose(&world);
    look(&world).await;
    assert!(is_there(&world, &name) && !is_there(&world, "sectors/1-"));
    let replica = FakeEngine::replica(&world.sectors(), 1);
    fs::create_dir_all(replica.parent().expect("a folder")).expect("made");
    fs::write(replica.with_file_name("p_aux"), blake2b256(&whole)).expect("written");
    fs::write(&replica, whole).expect("written");
    look(&world).await;
    assert!(is_there(&world, "sectors/1-"));
    look(&world).await;
    assert!(!is_there(&world, &name), "its sector is there: the piece need not be");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_item_keeps_no_other_one_waiting_and_is_told() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
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
    let whole = lose(&world);
    let (lifeline, board) = Lifeline::watched();
    let mut bringer = Bringer::default();
    bringer
        .tick(&archiving(&world), &lifeline)
        .await
        .expect("the others go on");
    assert!(!path.exists(), "it is another piece");
    let health = board.health();
    assert!(
        !health.ok && health.problems[0].text.contains("data root"),
        "{health:?}"
    );
    let replica = FakeEngine::replica(&world.sectors(), 1);
    assert_eq!(fs::read(&replica).expect("it is back"), whole);
    // It comes by another way: all is well again.
    fs::write(&path, &bytes).expect("written");
    bringer.tick(&archiving(&world), &lifeline).await.expect("looked");
    assert!(board.health().ok, "{:?}", board.health());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_replica_is_replaced_by_whoever_found_it_and_by_a_whole_one_only() {
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
    // Proving finds it before a window opens. What is no better in the archive replaces nothing.
    fs::write(&replica, &other).expect("written");
    spoil(&world, "sectors");
    world.until(|view| !proven(view)).await;
    let (lifeline, board) = Lifeline::watched();
    let looked = Bringer::default().tick(&archiving(&world), &lifeline).await;
    looked.expect("the archive is there");
    assert_eq!(fs::read(&replica).expect("there"), other);
    assert!(!board.health().ok);
    spoil(&world, "sectors");
    look(&world).await;
    assert_eq!(fs::read(&replica).expect("there"), whole);
    world.until(proven).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_goes_and_what_these_records_do_not_know_stays() {
    let mut world = World::start().await;
    world.complete(1, 300).await;
    look(&world).await;
    let unknown = format!("manifests/sectors/99-{}", "ab".repeat(32));
    let unknown = place(&world).join(unknown);
    fs::write(&unknown, r#"{"format":1,"files":[]}"#).expect("written");
    for _ in 0..400 {
        let record = world.miner().store.sector(1).expect("read").expect("kept");
        if record.sector.phase() == Phase::Removed {
            break;
        }
        world.skip(10).await;
        world.tick().await;
    }
    look(&world).await;
    assert!(!is_there(&world, "sectors/1-") && unknown.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_lost_before_its_commitment_is_sealed_again() {
    let mut world = World::start().await;
    sealed_to(&world, Phase::Commit1).await;
    let miner = world.miner().clone();
    for at in [Phase::Commit1, Phase::Commit2, Phase::Committing] {
        while phase_of(&world) != at {
            world
                .during(sealing::step(&miner.sealing(), 1))
                .await
                .expect("a step is done");
        }
        lose(&world);
        world
            .during(sealing::step(&miner.sealing(), 1))
            .await
            .expect("it is noticed");
        assert_eq!(phase_of(&world), Phase::PreCommit1, "lost at {at:?}");
    }
    world.seal(false).await;
    assert_eq!(world.view().await.sectors.len(), 1);
    assert!(miner.prover.is_here(1).expect("looked"));
}

/// A sector with one piece, taken as far as this phase.
async fn sealed_to(world: &World, phase: Phase) {
    let (bytes, waiting) = piece(3, 500);
    let signed = world.paid(&waiting, 1, 9000).await;
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.message, "");
    world.deliver(&cid, &waiting, &bytes);
    packing::place(&world.miner().packing(), 0).expect("placed");
    packing::close_all(&world.miner().packing(), 0).expect("closed");
    let service = world.miner().sealing();
    while phase_of(world) != phase {
        world.during(sealing::step(&service, 1)).await.expect("a step is done");
    }
}

fn phase_of(world: &World) -> Phase {
    let record = world.miner().store.sector(1).expect("read");
    record.expect("kept").sector.phase()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_sent_counts_whatever_became_of_the_files() {
    let world = World::start().await;
    sealed_to(&world, Phase::Committing).await;
    let miner = world.miner().clone();
    let record = miner.store.sector(1).expect("read").expect("kept").sector;
    let purpose = sealing::commit_purpose(&record, record.sealed().expect("it is sealed"));
    // The daemon ends after the message was sent, before it is in a block.
    let service = miner.sealing();
    let mut step = Box::pin(sealing::step(&service, 1));
    while miner.chain.made(&purpose).is_none() {
        tokio::select! {
            biased;
            done = &mut step => panic!("no block was made: {done:?}"),
            () = tokio::time::sleep(std::time::Duration::from_millis(1)) => {}
        }
    }
    drop(step);
    lose(&world);
    world
        .during(sealing::step(&miner.sealing(), 1))
        .await
        .expect("it is looked after");
    assert_eq!(phase_of(&world), Phase::Proving);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sector_whose_pre_commit_expires_while_it_is_sealed_again_gets_a_new_ticket() {
    let mut world = World::start().await;
    sealed_to(&world, Phase::Commit2).await;
    lose(&world);
    let miner = world.miner().clone();
    world.skip(miner.policy.pre_commit_expiry + 10).await;
    let mut expired = false;
    while phase_of(&world) != Phase::Proving {
        world
            .during(sealing::step(&miner.sealing(), 1))
            .await
            .expect("a step is done");
        expired |= phase_of(&world) == Phase::Closed;
    }
    assert!(expired && miner.prover.is_here(1).expect("looked"));
    world.tick().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_one_miners_and_known_again() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    look(&world).await;
    let tick = |service: Archiving| async move {
        let looked = Keeper::default().tick(&service, &Lifeline::unsupervised()).await;
        looked.expect_err("it is refused").to_string()
    };
    let mut other = archiving(&world);
    other.owner.miner = "t01".into();
    let text = tick(other).await;
    assert!(text.contains("an archive of its own"), "{text}");
    // As a mount point without its disk.
    let mark = place(&world).join("archive.json");
    let kept = fs::read(&mark).expect("read");
    fs::remove_file(&mark).expect("removed");
    let text = tick(archiving(&world)).await;
    assert!(text.contains("not there any more"), "{text}");
    assert!(!mark.exists(), "no new one is begun there");
    fs::write(&mark, kept).expect("written");
    look(&world).await;
    let mut inside = archiving(&world);
    inside.config.place = world.sectors().to_str().expect("a text").into();
    let text = tick(inside).await;
    assert!(text.contains("lost with them"), "{text}");
}
