//! What is said of a file: its quote, its state, its copies, and what drills have found.

use super::*;

#[test]
fn a_quote_is_what_the_cheapest_and_the_dearest_miners_would_take() {
    let miners = [
        miner(1, SectorSize::S8MiB, 5),
        miner(2, SectorSize::S8MiB, 2),
        miner(3, SectorSize::S8MiB, 9),
    ];
    let quoted = |copies| quote(&miners, &key(9).address(), Epoch(10), &order(copies), [10, 10, 1]);
    let found = quoted(2).expect("there are enough");
    let all = 21 * 1000;
    assert_eq!((found.least, found.most), (AttoFil(all * 7), AttoFil(all * 14)));
    assert_eq!((found.pieces, found.deals, found.miners), (3, 6, 3));
    assert!(matches!(
        quoted(4),
        Err(SectorError::TooFewForPiece {
            copies: 4,
            found: 3,
            ..
        })
    ));
}

#[test]
fn a_quote_has_equal_pieces_once_and_the_manifest_where_it_is_kept_too() {
    let piece = |index: u8, offset| FilePiece {
        offset,
        size: 2 * MIB,
        data_cid: cid_of(DAG_PB, &[index; 32]),
        comm_p: Commitment([index; 32]),
    };
    let entry = |name: &str, index| {
        let path = RelativePath::parse(name).expect("a name");
        FileEntry::new(path, 2 * MIB, cid_of(DAG_PB, &[index; 32]), vec![piece(index, 0)]).expect("a file")
    };
    let name = RelativePath::parse("folder").expect("a name");
    let folder = Manifest::folder(name, vec![entry("a", 1), entry("b", 1), entry("c", 2)]).expect("a folder");
    let bytes = folder.to_bytes().expect("it is short");
    let miners = [miner(1, SectorSize::S8MiB, 3)];
    for with_manifest in [false, true] {
        let order = FileOrder {
            with_manifest,
            ..order(1)
        };
        let whole = (&folder, bytes.as_slice());
        let found = quote_manifest(&miners, &key(9).address(), Epoch(10), &order, whole).expect("one takes it");
        let own = if with_manifest { bytes.len() as u128 } else { 0 };
        assert_eq!(found.pieces, 2 + usize::from(with_manifest));
        assert_eq!(found.least, AttoFil((4 * u128::from(MIB) + own) * 1000 * 3));
    }
}

#[test]
fn a_file_is_kept_when_every_piece_is_and_under_way_until_somebody_stops() {
    let mut file = file(order(1));
    let state = |file: &FileRecord, deals: &[DealRecord<()>]| {
        let mut placement = Placement::new(file.clone(), &manifest(2), 0);
        deals.iter().for_each(|deal| assert!(placement.take(deal)));
        FileProgress::of(&placement)
    };
    assert_eq!(state(&file, &[]).state, FileState::UnderWay);
    let (mut first, mut second) = (drawn(&file, 1, 1), drawn(&file, 2, 1));
    second.deal.draft.data_cid = cid_of(DAG_PB, &[1; 32]);
    completed(&mut first);
    file.stopped = Some("its user stopped it".into());
    assert_eq!(
        state(&file, &[first.clone(), second.clone()]).state,
        FileState::UnderWay
    );
    let mut gone = second.clone();
    failed(&mut gone, "deal rejected: no room", None);
    let progress = state(&file, &[first.clone(), gone]);
    assert_eq!(
        (progress.state, progress.copies_kept, progress.deals_failed),
        (FileState::Failed, 1, 1)
    );
    completed(&mut second);
    let progress = state(&file, &[first.clone(), second.clone()]);
    assert_eq!((progress.state, progress.transferred), (FileState::Kept, 14 * MIB));
    let more = FileRecord {
        order: order(2),
        ..file
    };
    assert_eq!(state(&more, &[first, second]).state, FileState::Incomplete);
}

#[test]
fn two_deals_of_one_miner_are_shown_as_one_copy() {
    let file = file(order(2));
    let mut placement = Placement::new(file.clone(), &manifest(1), 0);
    let (mut first, mut second) = (drawn(&file, 1, 1), drawn(&file, 1, 1));
    second.id = "again".into();
    assert!(placement.take(&first) && placement.take(&second));
    assert_eq!(FileProgress::of(&placement).copies_under_way, 1);
    completed(&mut first);
    assert!(placement.take(&first));
    let progress = FileProgress::of(&placement);
    assert_eq!((progress.copies_kept, progress.copies_under_way), (1, 0));
    completed(&mut second);
    assert!(placement.take(&second));
    let progress = FileProgress::of(&placement);
    assert_eq!((progress.copies_kept, progress.state), (1, FileState::UnderWay));
}

#[test]
fn a_lost_copy_that_is_not_to_be_replaced_leaves_the_file_incomplete_and_says_why() {
    let mut file = file(FileOrder {
        repair: false,
        ..order(2)
    });
    let mut placement = Placement::new(file.clone(), &manifest(1), 0);
    for miner in [1, 2] {
        let mut kept = drawn(&file, miner, 1);
        completed(&mut kept);
        placement.take(&kept);
    }
    let drill = file.drills.next(&placement, Epoch(100), 0).expect("two are kept");
    for _ in 0..STRIKES {
        file.drills.heard(&drill, false, 50);
    }
    placement.renew(file.clone());
    let view = FileView::of(&placement);
    assert_eq!(
        (view.progress.state, view.progress.copies_lost),
        (FileState::Incomplete, 1)
    );
    assert_eq!(view.stopped, Some(GivenUp::Lost.to_string()));
    assert_eq!(placement.next_need(), None);
    assert_eq!(placement.shortfall(), Some((GivenUp::Lost, 1)));
}

#[test]
fn a_file_whose_time_is_over_has_ended() {
    let file = file(order(1));
    let mut placement = Placement::new(file.clone(), &manifest(1), 0);
    let mut kept = drawn(&file, 1, 1);
    assert!(placement.take(&kept));
    let state = |placement: &Placement, height| FileView::of(placement).at(height).progress.state;
    assert_eq!(state(&placement, file.ends), FileState::UnderWay);
    completed(&mut kept);
    assert!(placement.take(&kept));
    assert_eq!(state(&placement, Epoch(file.ends.0 - 1)), FileState::Kept);
    assert_eq!(state(&placement, file.ends), FileState::Ended);
}

#[test]
fn a_file_that_is_kept_cannot_be_given_up_except_that_lost_copies_are_replaced() {
    let placed = |file: &FileRecord, is_kept: bool| {
        let mut placement = Placement::new(file.clone(), &manifest(1), 0);
        let mut deal = drawn(file, 1, 1);
        match is_kept {
            true => completed(&mut deal),
            false => failed(&mut deal, "deal rejected: no room", None),
        }
        assert!(placement.take(&deal));
        placement
    };
    let mut file = file(order(1));
    let given_up = file.clone().abandoned(&FileProgress::of(&placed(&file, true)));
    let given_up = given_up.expect("lost copies of it are replaced");
    assert_eq!((given_up.order.repair, given_up.stopped.as_deref()), (false, None));
    let again = given_up.clone().abandoned(&FileProgress::of(&placed(&given_up, true)));
    assert_eq!(again, Err(NothingToAbandon));
    file = file
        .clone()
        .abandoned(&FileProgress::of(&placed(&file, false)))
        .expect("it is not kept");
    let view = FileView::of(&placed(&file, false));
    assert_eq!(view.progress.state, FileState::Abandoned);
    assert_eq!(view.stopped.as_deref(), Some(ABANDONED));
    // As an earlier version left it: what is kept was not abandoned, whatever was said of it.
    let view = FileView::of(&placed(&file, true));
    assert_eq!((view.progress.state, view.stopped), (FileState::Kept, None));
}

#[test]
fn a_file_that_was_given_up_has_ended_when_what_is_kept_of_it_need_not_be_any_more() {
    let mut file = file(order(2));
    file.stopped = Some(ABANDONED.into());
    let mut placement = Placement::new(file.clone(), &manifest(1), 0);
    let state = |placement: &Placement, height| FileView::of(placement).at(height).progress.state;
    assert_eq!(
        state(&placement, file.ends),
        FileState::Abandoned,
        "nobody ever kept it"
    );
    let mut kept = drawn(&file, 1, 1);
    completed(&mut kept);
    assert!(placement.take(&kept));
    assert_eq!(state(&placement, Epoch(file.ends.0 - 1)), FileState::Abandoned);
    assert_eq!(state(&placement, file.ends), FileState::Ended);
}

#[test]
fn a_lost_copy_of_a_file_that_was_given_up_is_not_replaced() {
    for (stopped, replaced) in [(None, true), (Some("no room"), true), (Some(ABANDONED), false)] {
        let mut file = file(order(1));
        let mut placement = Placement::new(file.clone(), &manifest(1), 0);
        let mut kept = drawn(&file, 1, 1);
        completed(&mut kept);
        assert!(placement.take(&kept));
        let drill = file.drills.next(&placement, Epoch(100), 7).expect("one is kept");
        file.stopped = stopped.map(Into::into);
        for strike in 1..=STRIKES {
            let (verdict, goes_on) = file.heard_drill(&drill, false, 50);
            assert_eq!(verdict == DrillVerdict::Lost, strike == STRIKES);
            assert_eq!(goes_on, replaced && strike == STRIKES);
        }
        assert_eq!(file.stopped.is_none(), replaced, "{stopped:?}");
    }
}

#[test]
fn the_manifest_is_a_piece_of_its_own_where_that_was_ordered() {
    let file = file(FileOrder {
        with_manifest: true,
        ..order(1)
    });
    let placement = Placement::new(file.clone(), &manifest(2), 0);
    let last = placement.pieces().last().expect("three");
    let id: cid::Cid = file.id.parse().expect("its CID");
    assert_eq!(last.names.data_cid.hash(), id.hash());
    let shown = PieceView::all(&placement);
    assert_eq!(
        shown.iter().map(|piece| piece.file).collect::<Vec<_>>(),
        [Some(0), Some(0), None]
    );
}

#[test]
fn a_copy_that_fails_three_drills_in_a_row_is_lost_and_replaced() {
    let mut file = file(order(1));
    let mut kept = drawn(&file, 1, 1);
    completed(&mut kept);
    let mut placement = Placement::new(file.clone(), &manifest(2), 0);
    assert_eq!(file.drills.next(&placement, Epoch(100), 7), None);
    placement.take(&kept);
    let drill = file.drills.next(&placement, Epoch(100), 7).expect("one is kept");
    assert_eq!((drill.deal.as_str(), drill.piece), ("deal 1", 0));
    assert!(drill.range.end <= 7 * MIB && drill.range.end - drill.range.start == DRILL_BYTES);
    for (came_back, verdict) in [
        (false, DrillVerdict::Doubtful { strikes: 1 }),
        (false, DrillVerdict::Doubtful { strikes: 2 }),
        (true, DrillVerdict::Kept),
        (false, DrillVerdict::Doubtful { strikes: 1 }),
        (false, DrillVerdict::Doubtful { strikes: 2 }),
        (false, DrillVerdict::Lost),
    ] {
        assert_eq!(file.drills.heard(&drill, came_back, 50), verdict);
    }
    placement.renew(file.clone());
    assert_eq!(FileProgress::of(&placement).copies_lost, 1);
    let (piece, needed) = placement.next_need().expect("another deal");
    assert_eq!((piece, needed), (0, deal(&[1], &[])));
    assert_eq!(file.drills.next(&placement, Epoch(100), 7), None);
    let cards = score_cards([&kept], [&file]);
    let card = cards.get(&Address::id(1)).expect("it has one");
    assert_eq!(
        (card.complete, card.drills_passed, card.drills_failed, card.lost),
        (1, 1, 5, 1)
    );
}

#[test]
fn the_last_drill_of_a_copy_is_remembered_with_what_came_of_it() {
    let mut file = file(order(1));
    let mut kept = drawn(&file, 1, 1);
    completed(&mut kept);
    let mut placement = Placement::new(file.clone(), &manifest(2), 0);
    placement.take(&kept);
    let drill = file.drills.next(&placement, Epoch(100), 7).expect("one is kept");
    let checked = |placement: &Placement| {
        PieceView::all(placement)[0].copies[0]
            .checked
            .map(|check| (check.at, check.passed))
    };
    assert_eq!(checked(&placement), None);
    for (came_back, at) in [(true, 50), (false, 90)] {
        file.drills.heard(&drill, came_back, at);
        placement.renew(file.clone());
        assert_eq!(checked(&placement), Some((at, came_back)));
    }
}

#[test]
fn a_doubtful_copy_is_fetched_again_first_and_soon() {
    let mut file = file(order(2));
    let mut placement = Placement::new(file.clone(), &manifest(2), 0);
    for miner in [1, 2] {
        let mut kept = drawn(&file, miner, 1);
        completed(&mut kept);
        placement.take(&kept);
    }
    assert_eq!(file.drills.due_ms(), 0);
    let drill = file.drills.next(&placement, Epoch(100), 0).expect("two are kept");
    file.drills.heard(&drill, true, 100);
    assert_eq!(file.drills.due_ms(), 100 + DRILL_PAUSE_MS);
    file.drills.heard(&drill, false, 200);
    assert_eq!(file.drills.due_ms(), 200 + STRIKE_PAUSE_MS);
    for seed in 0..20 {
        assert_eq!(
            file.drills.next(&placement, Epoch(100), seed).expect("two").deal,
            drill.deal
        );
    }
    assert_eq!(STRIKES, 3);
}

#[test]
fn a_copy_whose_time_is_over_is_not_fetched_and_never_lost() {
    let file = file(order(1));
    let mut placement = Placement::new(file.clone(), &manifest(1), 0);
    let mut kept = drawn(&file, 1, 1);
    completed(&mut kept);
    assert!(placement.take(&kept));
    let ends = kept.deal.draft.end();
    assert!(file.drills.next(&placement, Epoch(ends.0 - 1), 7).is_some());
    assert_eq!(file.drills.next(&placement, ends, 7), None);
}
