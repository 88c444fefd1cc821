//! The rules of files, each by its words.

use super::copies::{Copy, Standing};
use super::drills::{DrillVerdict, DRILL_BYTES, DRILL_PAUSE_MS, STRIKES, STRIKE_PAUSE_MS};
use super::needs::{needs, GivenUp, PieceNeeds, ATTEMPTS_PER_COPY};
use super::placement::{Placement, PIECES_UNDER_WAY};
use super::record::{FileOrder, FileRecord, MinerChoice, OrderError, MAX_COPIES};
use super::score::score_cards;
use super::sectors::{quote, sector_for, SectorError};
use super::view::{FileProgress, FileState, PieceView};
use crate::chain::view::{AskView, MinerView};
use crate::chain::{Address, AttoFil, Epoch};
use crate::client::choosing::{ByRule, MinerRule};
use crate::client::record::{ChannelRefund, DealRecord};
use crate::client::testing::{draft, key, miner_view, now, record, FakeHost};
use crate::client::{engine, Next};
use crate::deal::{ClientDeal, ClientStage, Refund, Rejection, RejectionCode};
use crate::file::{FileEntry, FilePiece, Manifest, RelativePath};
use crate::piece::node::{cid_of, DAG_PB};
use crate::piece::{Commitment, SectorSize};
use crate::wire::protocol;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

const MIB: u64 = 1 << 20;

fn order(copies: u32) -> FileOrder {
    FileOrder {
        copies,
        miner: MinerChoice::Rule(MinerRule::Cheapest),
        duration: 1000,
        most: None,
        repair: true,
        with_manifest: false,
        allow_duplicates: false,
    }
}

fn manifest(pieces: u8) -> Manifest {
    let piece = |index: u8| FilePiece {
        offset: u64::from(index) * 7 * MIB,
        size: 7 * MIB,
        data_cid: cid_of(DAG_PB, &[index; 32]),
        comm_p: Commitment([index; 32]),
    };
    let path = RelativePath::parse("file").expect("a name");
    let pieces: Vec<FilePiece> = (0..pieces).map(piece).collect();
    let (size, root) = (pieces.len() as u64 * 7 * MIB, cid_of(DAG_PB, &[255; 32]));
    let entry = FileEntry::new(path, size, root, pieces).expect("a file");
    Manifest::file(entry).expect("a manifest")
}

fn file(order: FileOrder) -> FileRecord {
    let manifest = manifest(2);
    let bytes = manifest.to_bytes().expect("it is short");
    FileRecord::new((&manifest, &bytes), order, ("genesis".into(), Epoch(100)), 5).expect("it has names")
}

fn copy(file: &FileRecord, miner: u64, standing: Standing) -> Copy {
    Copy {
        deal: format!("{miner}-{standing:?}"),
        cid: None,
        miner: Address::id(miner),
        standing,
        drafted_ms: 10,
        ends: file.ends,
        part_of: Some(file.id.clone()),
        committed: AttoFil(0),
        transferred: 0,
    }
}

fn deal(leave_out: &[u64], last: &[u64]) -> PieceNeeds {
    let miners = |numbers: &[u64]| numbers.iter().map(|number| Address::id(*number)).collect();
    PieceNeeds::Deal {
        leave_out: miners(leave_out),
        last: miners(last),
        most: None,
    }
}

const REFUSED: Standing = Standing::Failed { refused: true };
const UNDER_WAY: Standing = Standing::UnderWay { needs_file: true };

#[test]
fn a_piece_gets_as_many_deals_as_copies_at_different_miners() {
    let file = file(order(2));
    let mut copies = Vec::new();
    assert_eq!(needs(&file, &copies, AttoFil(0), 0), deal(&[], &[]));
    copies.push(copy(&file, 1, UNDER_WAY));
    assert_eq!(needs(&file, &copies, AttoFil(0), 0), deal(&[1], &[]));
    // Another deal with the same miner is no second copy.
    copies.push(Copy {
        deal: "again".into(),
        ..copy(&file, 1, Standing::Kept)
    });
    assert_eq!(needs(&file, &copies, AttoFil(0), 0), deal(&[1], &[]));
    copies.push(copy(&file, 2, Standing::Kept));
    assert_eq!(needs(&file, &copies, AttoFil(0), 0), PieceNeeds::Nothing);
}

#[test]
fn who_failed_a_piece_comes_last_and_not_for_ever() {
    let file = file(order(1));
    let mut copies = vec![copy(&file, 1, REFUSED)];
    assert_eq!(needs(&file, &copies, AttoFil(0), 0), deal(&[], &[1]));
    for attempt in 1..ATTEMPTS_PER_COPY {
        let deal = format!("attempt {attempt}");
        copies.push(Copy {
            deal,
            ..copy(&file, 2, REFUSED)
        });
    }
    let attempts = ATTEMPTS_PER_COPY;
    let given_up = PieceNeeds::GivenUp(GivenUp::Attempts { attempts });
    assert_eq!(needs(&file, &copies, AttoFil(0), 10), given_up);
    // Somebody who goes on with the file later begins anew.
    assert_eq!(needs(&file, &copies, AttoFil(0), 11), deal(&[], &[1, 2]));
}

#[test]
fn a_named_miner_that_fails_a_piece_is_not_asked_again_by_itself() {
    let file = file(FileOrder {
        miner: MinerChoice::Named(Address::id(1)),
        ..order(1)
    });
    assert_eq!(needs(&file, &[], AttoFil(0), 0), deal(&[], &[]));
    let failed = [copy(&file, 1, REFUSED)];
    assert_eq!(
        needs(&file, &failed, AttoFil(0), 0),
        PieceNeeds::GivenUp(GivenUp::NamedMiner)
    );
    assert_eq!(needs(&file, &failed, AttoFil(0), 11), deal(&[], &[1]));
}

#[test]
fn a_copy_whose_time_was_over_when_the_file_was_ordered_again_is_none_and_its_miner_may_keep_it_anew() {
    let file = file(order(2));
    let began = file.ends.0 - file.order.duration;
    for (ends, counts) in [(began, false), (began + 1, true)] {
        let copy = Copy {
            ends: Epoch(ends),
            ..copy(&file, 1, Standing::Kept)
        };
        assert_eq!(copy.counts_for(&file), counts);
        let left_out: &[u64] = if counts { &[1] } else { &[] };
        assert_eq!(needs(&file, &[copy], AttoFil(0), 0), deal(left_out, &[]));
    }
}

#[test]
fn a_deal_for_something_else_counts_if_it_lasts_as_long_and_its_miner_is_left_out_if_not() {
    let file = file(order(1));
    let foreign = Copy {
        part_of: None,
        ..copy(&file, 1, Standing::Kept)
    };
    assert_eq!(needs(&file, &[foreign.clone()], AttoFil(0), 0), PieceNeeds::Nothing);
    let short = Copy {
        ends: Epoch(file.ends.0 - 1),
        ..foreign.clone()
    };
    assert_eq!(needs(&file, &[short], AttoFil(0), 0), deal(&[1], &[]));
    let duplicates = FileRecord {
        order: FileOrder {
            allow_duplicates: true,
            ..order(1)
        },
        ..file
    };
    assert_eq!(needs(&duplicates, &[foreign], AttoFil(0), 0), deal(&[], &[]));
}

#[test]
fn a_lost_copy_is_replaced_if_that_was_ordered_and_never_by_its_miner() {
    let mut file = file(order(1));
    let lost = [copy(&file, 1, Standing::Lost)];
    assert_eq!(needs(&file, &lost, AttoFil(0), 0), deal(&[1], &[]));
    file.order.repair = false;
    assert_eq!(needs(&file, &lost, AttoFil(0), 0), PieceNeeds::Nothing);
}

#[test]
fn no_deal_is_made_beyond_the_limit() {
    let most = AttoFil(100);
    let file = file(FileOrder {
        most: Some(most),
        ..order(1)
    });
    let PieceNeeds::Deal { most: left, .. } = needs(&file, &[], AttoFil(60), 0) else {
        panic!("it needs one");
    };
    assert_eq!(left, Some(AttoFil(40)));
    let committed = AttoFil(101);
    assert_eq!(
        needs(&file, &[], committed, 0),
        PieceNeeds::GivenUp(GivenUp::Limit { most, committed })
    );
}

#[test]
fn an_order_that_cannot_be_carried_out_is_refused() {
    for copies in [0, MAX_COPIES + 1] {
        assert_eq!(order(copies).check(), Err(OrderError::Copies { copies }));
    }
    let named = FileOrder {
        miner: MinerChoice::Named(Address::id(1)),
        ..order(2)
    };
    assert_eq!(named.check(), Err(OrderError::NamedMiner { copies: 2 }));
    assert_eq!(order(MAX_COPIES).check(), Ok(()));
}

/// Miner `number` with sectors of this size and an ask at `price`.
fn miner(number: u64, sector: SectorSize, price: u64) -> MinerView {
    MinerView {
        address: Address::id(number),
        sector_size: sector.bytes(),
        asks: vec![AskView {
            id: 0,
            price: AttoFil(u128::from(price)),
            expiry: Epoch(1000),
        }],
        ..miner_view()
    }
}

#[test]
fn a_file_is_cut_for_the_largest_sectors_that_enough_miners_have() {
    let miners = [
        miner(1, SectorSize::S512MiB, 1),
        miner(2, SectorSize::S8MiB, 1),
        miner(3, SectorSize::S8MiB, 1),
    ];
    let sector = |copies, size| sector_for(&miners, &key(9).address(), Epoch(10), &order(copies), size);
    assert_eq!(sector(1, 1 << 30), Ok(SectorSize::S512MiB));
    assert_eq!(sector(2, 1 << 30), Ok(SectorSize::S8MiB));
    assert_eq!(sector(1, MIB), Ok(SectorSize::S8MiB));
    let (copies, found) = (4, 3);
    assert_eq!(sector(copies, MIB), Err(SectorError::TooFewMiners { copies, found }));
    let named = FileOrder {
        miner: MinerChoice::Named(Address::id(2)),
        ..order(1)
    };
    let sector = sector_for(&miners, &key(9).address(), Epoch(10), &named, 1 << 30);
    assert_eq!(sector, Ok(SectorSize::S8MiB));
}

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

/// A deal of the file's piece with a miner, just drawn up.
fn drawn(file: &FileRecord, miner: u64, price: u128) -> DealRecord<()> {
    let mut draft = draft(price, file.order.duration);
    (draft.miner, draft.data_cid) = (Address::id(miner), cid_of(DAG_PB, &[0; 32]));
    (draft.size, draft.start) = (7 * MIB, Epoch(100));
    let id = format!("deal {miner}");
    let mut record = DealRecord::new(id, 10, "genesis".into(), "peer".into(), (), ClientDeal::new(draft));
    record.part_of = Some(file.id.clone());
    record
}

fn failed(record: &mut DealRecord<()>, reason: &str, channel: Option<u64>) {
    let reason = reason.to_string();
    record.deal.stage = ClientStage::Failed { reason, channel };
}

/// The deal as its miner leaves it in the end.
fn completed(record: &mut DealRecord<()>) {
    let (host, mut other) = (FakeHost::default(), super::super::testing::record(0, 20_000));
    while !engine::is_accepted(&other.deal.stage) {
        now(engine::step(&mut other, &host)).expect("nothing hinders it");
    }
    let ClientStage::Running { proposal, response } = other.deal.stage else {
        panic!("{:?}", other.deal.stage);
    };
    record.deal.stage = ClientStage::Complete { proposal, response };
}

#[test]
fn money_counts_as_spent_until_it_is_back() {
    let file = file(order(1));
    let mut record = drawn(&file, 1, 1);
    let total = record.deal.draft.total().expect("little");
    assert_eq!(Copy::of(&record).committed, total);
    record.openings.insert(0);
    failed(&mut record, "given up", None);
    assert_eq!(Copy::of(&record).committed, total);
    record.openings.clear();
    assert_eq!(Copy::of(&record).committed, AttoFil::ZERO);
    failed(&mut record, "given up", Some(9));
    let (amount, refund, error) = (AttoFil(total.0 - 5), Refund::Due, None);
    record.refunds.insert(9, ChannelRefund { amount, refund, error });
    assert_eq!(Copy::of(&record).committed, total);
    // The miner has earned 5.
    record.refunds.insert(
        9,
        ChannelRefund {
            amount,
            refund: Refund::Returned,
            error: None,
        },
    );
    assert_eq!(Copy::of(&record).committed, AttoFil(5));
}

#[test]
fn a_deal_of_another_file_or_chain_is_none_of_this_one() {
    let file = file(order(1));
    let mut placement = Placement::new(file.clone(), &manifest(2), 0);
    let mut other = drawn(&file, 1, 1);
    other.genesis = "other".into();
    assert!(!placement.take(&other));
    assert!(!placement.take(&record(1, 1000)));
    assert!(placement.take(&drawn(&file, 1, 1)));
    assert_eq!(placement.pieces()[0].copies().len(), 1);
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
fn so_many_deals_are_under_way_at_once_and_one_that_rests_is_none_of_them() {
    let (file, pieces) = (file(order(1)), 100);
    let mut placement = Placement::new(file.clone(), &manifest(pieces), 0);
    let mut made = Vec::new();
    let make = |placement: &mut Placement, made: &mut Vec<String>| {
        while let Some((piece, _)) = placement.next_need() {
            let mut deal = drawn(&file, 1, 1);
            deal.id = format!("deal {piece}");
            deal.deal.draft.data_cid = placement.pieces()[piece].names.data_cid;
            assert!(placement.take(&deal));
            made.push(deal.id);
        }
        made.len()
    };
    assert_eq!(make(&mut placement, &mut made), PIECES_UNDER_WAY);
    placement.rest(&made[0]);
    placement.rest(&made[1]);
    assert_eq!(make(&mut placement, &mut made), PIECES_UNDER_WAY + 2);
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
    assert_eq!(file.drills.next(&placement, 7), None);
    placement.take(&kept);
    let drill = file.drills.next(&placement, 7).expect("one is kept");
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
    assert_eq!(file.drills.next(&placement, 7), None);
    let cards = score_cards([&kept], [&file]);
    let card = cards.get(&Address::id(1)).expect("it has one");
    assert_eq!(
        (card.complete, card.drills_passed, card.drills_failed, card.lost),
        (1, 1, 5, 1)
    );
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
    let drill = file.drills.next(&placement, 0).expect("two are kept");
    file.drills.heard(&drill, true, 100);
    assert_eq!(file.drills.due_ms(), 100 + DRILL_PAUSE_MS);
    file.drills.heard(&drill, false, 200);
    assert_eq!(file.drills.due_ms(), 200 + STRIKE_PAUSE_MS);
    for seed in 0..20 {
        assert_eq!(file.drills.next(&placement, seed).expect("two").deal, drill.deal);
    }
    assert_eq!(STRIKES, 3);
}

#[test]
fn what_is_kept_of_a_file_is_read_as_it_was() {
    let mut kept = file(FileOrder {
        with_manifest: true,
        most: Some(AttoFil(7)),
        ..order(3)
    });
    kept.stopped = Some("why".into());
    let mut bytes = Vec::new();
    ciborium::into_writer(&kept, &mut bytes).expect("a vector takes everything");
    let read: FileRecord = ciborium::from_reader(bytes.as_slice()).expect("it was written here");
    assert_eq!(read, kept);
}

/// A deal whose miner was chosen before two others.
fn by_rule(file: &FileRecord, others: &[u64]) -> DealRecord<()> {
    let mut record = record(2, 20_000);
    record.part_of = Some(file.id.clone());
    record.by_rule = Some(ByRule {
        rule: MinerRule::Cheapest,
        passed: Vec::new(),
        others: others.iter().map(|other| Address::id(*other)).collect(),
    });
    record
}

#[test]
fn a_piece_whose_miner_is_away_before_anything_is_paid_goes_to_another_if_there_is_one() {
    let file = file(order(1));
    let host = FakeHost::default();
    host.quote.replace(Some(Ok(())));
    host.miner.set(None);
    let mut alone = by_rule(&file, &[]);
    now(engine::step(&mut alone, &host)).expect_err("it is waited for");
    assert!(!alone.is_failed());
    let mut record = by_rule(&file, &[2, 3]);
    assert_eq!(now(engine::step(&mut record, &host)), Ok(Next::Now));
    assert_eq!(Copy::of(&record).standing, Standing::Failed { refused: false });
    assert_eq!(Copy::of(&record).committed, AttoFil::ZERO);
    assert_eq!(host.chain.count("createChannel"), 0);
    assert_eq!(*host.asked.borrow(), [protocol::QUOTE, protocol::QUOTE]);
}

#[test]
fn a_piece_that_its_miner_refuses_does_not_go_to_the_next_by_itself() {
    let file = file(order(1));
    let host = FakeHost::default();
    let (code, message) = (RejectionCode::NotMining, String::from("mining is stopped"));
    host.quote.replace(Some(Err(Rejection { code, message }.into())));
    let mut record = by_rule(&file, &[2, 3]);
    now(engine::step(&mut record, &host)).expect("it is declined");
    assert_eq!(Copy::of(&record).standing, Standing::Failed { refused: true });
    assert_eq!(record.deal.draft.miner, draft(2, 20_000).miner);
}
