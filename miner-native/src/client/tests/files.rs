//! Files of several pieces: how many deals there are, with whom, and what a death of the process leaves.

use super::super::files::{self, Wanted};
use super::*;
use shared::client::files::{
    DrillVerdict, FileOrder, FileProgress, FileState, FileView, GivenUp, MinerChoice, Placement, Standing,
};
use std::collections::BTreeSet;

/// Two pieces of sectors of 8 MiB.
const SIZE: usize = 9 << 20;
/// attoFIL for a byte in a block.
const CHEAP: AttoFil = AttoFil(1000);

fn wanted(world: &World, copies: u32) -> Wanted {
    let path = world.dir.path().join("large");
    if !path.exists() {
        let bytes: Vec<u8> = (0..SIZE).map(|i| (i * 131 + (i >> 9) * 7) as u8).collect();
        std::fs::write(&path, bytes).expect("there is room");
    }
    Wanted {
        paths: vec![path],
        name: None,
        order: FileOrder {
            copies,
            miner: MinerChoice::default(),
            duration: 1000,
            most: None,
            repair: false,
            with_manifest: false,
            allow_duplicates: false,
        },
        until: Until::Staged,
        readers: None,
    }
}

/// Miners that have the file as soon as they are asked.
async fn miners(world: &World, count: u8) -> Vec<Miner> {
    let mut miners = Vec::new();
    for number in 0..count {
        let miner = world.large_miner(&key(3 + number), CHEAP).await;
        miner.says(Reply::Stage);
        miners.push(miner);
    }
    miners
}

fn check(placement: &Placement, copies: usize) {
    assert_eq!(placement.pieces().len(), 2);
    for piece in placement.pieces() {
        let good = piece.copies().iter().filter(|copy| copy.counts_for(placement.file()));
        let miners: Vec<&Address> = good.map(|copy| &copy.miner).collect();
        let different: BTreeSet<&Address> = miners.iter().copied().collect();
        assert_eq!((miners.len(), different.len()), (copies, copies));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_piece_gets_its_copies_at_different_miners() {
    let world = World::start();
    let _miners = miners(&world, 2).await;
    let session = world.session().await;
    let placement = files::store(&session, &wanted(&world, 2)).await.expect("they take it");
    check(&placement, 2);
    assert_eq!(
        session
            .book
            .deals_of_file(&placement.file().id)
            .expect("it can be read")
            .len(),
        4
    );
    // Once more, there is nothing to be done.
    let again = files::store(&session, &wanted(&world, 2)).await.expect("it is stored");
    assert_eq!(again.file().id, placement.file().id);
    assert_eq!(session.book.all().expect("it can be read").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_that_refuses_is_followed_by_the_next_one() {
    let world = World::start();
    let miners = miners(&world, 3).await;
    miners[1].says(Reply::Reject);
    let session = world.session().await;
    let placement = files::store(&session, &wanted(&world, 2)).await.expect("two take it");
    check(&placement, 2);
    let refused = &miners[1].address;
    for piece in placement.pieces() {
        let good = piece.copies().iter().filter(|copy| copy.counts_for(placement.file()));
        assert!(good.into_iter().all(|copy| copy.miner != *refused));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_more_than_was_allowed_is_refused_before_anything_is_kept() {
    let world = World::start();
    let _miners = miners(&world, 1).await;
    let session = world.session().await;
    let mut wanted = wanted(&world, 1);
    let total = AttoFil(CHEAP.0 * SIZE as u128 * 1000);
    wanted.order.most = total.checked_sub(AttoFil(1));
    let refused = files::store(&session, &wanted).await;
    assert!(matches!(refused, Err(ClientError::OverLimit { least, .. }) if least == total));
    assert_eq!(session.book.file_ids().expect("it can be read"), [""; 0]);
    wanted.order.most = Some(total);
    let placement = files::store(&session, &wanted).await.expect("it is enough");
    assert_eq!(placement.committed(), total);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_moment_is_gone_on_with_and_no_deal_is_made_twice() {
    let world = World::start();
    let _miners = miners(&world, 2).await;
    let wanted = wanted(&world, 2);
    let mut known: Option<String> = None;
    for millis in [120, 30, 60, 90, 120] {
        let session = world.session().await;
        let work = async {
            match &known {
                None => files::store(&session, &wanted).await.map(drop),
                Some(id) => files::resume(&session, id, false, Until::Staged).await.map(drop),
            }
        };
        // Dropped where it is, as by a kill: nothing is finished.
        let _ = tokio::time::timeout(Duration::from_millis(millis), work).await;
        known = session.book.file_ids().expect("it can be read").into_iter().next();
    }
    let session = world.session().await;
    let placement = match known {
        None => files::store(&session, &wanted).await,
        Some(id) => files::resume(&session, &id, false, Until::Staged).await,
    };
    let placement = placement.expect("it goes on");
    check(&placement, 2);
    assert_eq!(session.book.all().expect("it can be read").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_nobody_takes_is_said_to_lack_its_pieces_and_can_be_given_up() {
    let world = World::start();
    let miners = miners(&world, 1).await;
    miners[0].says(Reply::Reject);
    let session = world.session().await;
    let mut wanted = wanted(&world, 1);
    wanted.order.miner = MinerChoice::Named(miners[0].address.clone());
    let failed = files::store(&session, &wanted).await;
    let Err(ClientError::FileIncomplete { file, pieces: 2, .. }) = failed else {
        panic!("{failed:?}");
    };
    let stored = files::get(&session, &file).expect("it is in the book");
    assert!(stored.record.stopped.is_some());
    let placement = files::placed(&session.book, &stored).expect("it can be read");
    assert_eq!(FileProgress::of(&placement).state, FileState::Failed);
    let given_up = files::abandon(&session, &file).await.expect("nothing is under way");
    assert!(given_up.file().is_abandoned());
    assert_eq!(FileProgress::of(&given_up).state, FileState::Abandoned);
    // Somebody who wants it after all.
    miners[0].says(Reply::Stage);
    let placement = files::resume(&session, &file, false, Until::Staged)
        .await
        .expect("it takes it now");
    check(&placement, 1);
}

/// The deal as its miner would leave it in the end.
fn completed(mut record: Record) -> Record {
    let ClientStage::Running { proposal, response } = record.deal.stage else {
        panic!("{record:?}");
    };
    record.deal.stage = ClientStage::Complete { proposal, response };
    record
}

/// Miners here give nothing back.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_does_not_come_back_three_times_in_a_row_is_replaced_at_another_miner() {
    let world = World::start();
    let _miners = miners(&world, 2).await;
    let session = world.session().await;
    let mut wanted = wanted(&world, 1);
    wanted.order.repair = true;
    let placement = files::store(&session, &wanted).await.expect("they take it");
    let id = placement.file().id.clone();
    assert!(files::drills::drill(&session, &id, Until::Staged)
        .await
        .expect("it is looked for")
        .is_none());
    for record in session.book.deals_of_file(&id).expect("it can be read") {
        session.book.save(&completed(record)).expect("it can be kept");
    }
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        let drilled = files::drills::drill(&session, &id, Until::Staged).await;
        let drilled = drilled.expect("the chain is there").expect("two are kept");
        assert!(drilled.reason.is_some());
        verdicts.push((drilled.verdict, drilled.miner));
    }
    let lost = verdicts[0].1.clone();
    let expected = [
        DrillVerdict::Doubtful { strikes: 1 },
        DrillVerdict::Doubtful { strikes: 2 },
        DrillVerdict::Lost,
    ];
    assert_eq!(verdicts, expected.map(|verdict| (verdict, lost.clone())));
    let stored = files::get(&session, &id).expect("it is in the book");
    let placement = files::placed(&session.book, &stored).expect("it can be read");
    let progress = FileProgress::of(&placement);
    assert_eq!((progress.copies_lost, progress.copies_under_way), (1, 1));
    let copies = placement
        .pieces()
        .iter()
        .flat_map(shared::client::files::PlacedPiece::copies);
    let mut new = copies.filter(|copy| matches!(copy.standing, Standing::UnderWay { .. }));
    assert!(new.all(|copy| copy.miner != lost));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_the_same_bytes_are_paid_once() {
    let world = World::start();
    let _miners = miners(&world, 1).await;
    let session = world.session().await;
    let folder = world.dir.path().join("folder");
    std::fs::create_dir(&folder).expect("there is room");
    for name in ["a", "b", "c"] {
        std::fs::write(folder.join(name), [7; 5000]).expect("there is room");
    }
    let mut wanted = Wanted {
        paths: vec![folder],
        ..wanted(&world, 1)
    };
    let total = AttoFil(CHEAP.0 * 5000 * 1000);
    wanted.order.most = Some(total);
    let placement = files::store(&session, &wanted).await.expect("it is enough");
    assert_eq!((placement.pieces().len(), placement.committed()), (1, total));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_that_has_the_data_for_a_shorter_time_takes_it_for_longer_when_no_other_is_left() {
    let world = World::start();
    let miners = miners(&world, 1).await;
    let session = world.session().await;
    let path = world.dir.path().join("small");
    std::fs::write(&path, [9; 3000]).expect("there is room");
    let shorter = Order {
        duration: 500,
        until: Until::Staged,
        ..order(&miners[0])
    };
    storing::store(&session, &path, &shorter).await.expect("it takes it");
    let wanted = Wanted {
        paths: vec![path],
        ..wanted(&world, 1)
    };
    let placement = files::store(&session, &wanted)
        .await
        .expect("it takes it for longer, too");
    let copies = placement.pieces()[0].copies();
    assert_eq!((copies.len(), FileProgress::of(&placement).copies_under_way), (2, 1));
    // One miner stays one copy, which is said.
    let two = Wanted {
        order: FileOrder {
            copies: 2,
            ..wanted.order.clone()
        },
        ..wanted
    };
    let refused = files::store(&session, &two).await.expect_err("there is one miner");
    assert!(
        refused.to_string().contains("2 copies are at as many miners"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_copy_that_is_not_to_be_replaced_is_said_and_replaced_once_its_user_wants_that() {
    let world = World::start();
    let _miners = miners(&world, 2).await;
    let session = world.session().await;
    let placement = files::store(&session, &wanted(&world, 1)).await.expect("they take it");
    let id = placement.file().id.clone();
    for record in session.book.deals_of_file(&id).expect("it can be read") {
        session.book.save(&completed(record)).expect("it can be kept");
    }
    for _ in 0..3 {
        let drilled = files::drills::drill(&session, &id, Until::Staged).await;
        drilled.expect("the chain is there").expect("two are kept");
    }
    let state = || {
        let stored = files::get(&session, &id).expect("it is in the book");
        let placement = files::placed(&session.book, &stored).expect("it can be read");
        FileView::of(&placement)
    };
    let lost = state();
    assert_eq!((lost.progress.state, lost.progress.copies_lost), (FileState::Failed, 1));
    assert_eq!(lost.stopped, Some(GivenUp::Lost.to_string()));
    let refused = files::resume(&session, &id, false, Until::Staged).await;
    assert!(
        matches!(refused, Err(ClientError::FileIncomplete { pieces: 1, .. })),
        "{refused:?}"
    );
    files::resume(&session, &id, true, Until::Staged)
        .await
        .expect("another takes it");
    assert_eq!(state().progress.copies_under_way, 1);
}
