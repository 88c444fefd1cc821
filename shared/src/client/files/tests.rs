//! The rules of files, each by its words.

use super::copies::{Copy, Failure, Standing};
use super::drills::{DrillVerdict, DRILL_BYTES, DRILL_PAUSE_MS, STRIKES, STRIKE_PAUSE_MS};
use super::needs::{needs, GivenUp, PieceNeeds, ATTEMPTS_PER_COPY};
use super::placement::{Placement, PIECES_UNDER_WAY};
use super::record::{FileOrder, FileRecord, MinerChoice, NothingToAbandon, OrderError, ABANDONED, LAGGING, MAX_COPIES};
use super::score::score_cards;
use super::sectors::{quote, quote_manifest, sector_for, SectorError};
use super::view::{FileProgress, FileState, FileView, PieceView};
use crate::chain::view::{AskView, MinerView};
use crate::chain::{Address, AttoFil, Epoch};
use crate::client::choosing::{ByRule, MinerRule};
use crate::client::problem::{ErrorCode, Problem};
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

mod showing;

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
    // A file of one piece has that one's root.
    let root = match pieces.as_slice() {
        [only] => only.data_cid,
        _ => cid_of(DAG_PB, &[255; 32]),
    };
    let size = pieces.len() as u64 * 7 * MIB;
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

const REFUSED: Standing = Standing::Failed(Failure::Refused);
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
    let needed = |ends| {
        let copy = Copy {
            ends: Epoch(ends),
            ..copy(&file, 1, Standing::Kept)
        };
        (copy.counts_for(&file), needs(&file, &[copy], AttoFil(0), 0))
    };
    assert_eq!(needed(began), (false, deal(&[], &[])));
    // It is over soon: its miner comes after those that have nothing yet.
    assert_eq!(needed(began + 1), (false, deal(&[], &[1])));
    assert_eq!(needed(file.ends.0 - LAGGING - 1), (false, deal(&[], &[1])));
    // It was drawn up when the endpoint was behind.
    assert_eq!(needed(file.ends.0 - LAGGING), (true, deal(&[1], &[])));
}

#[test]
fn a_file_keeps_its_time_when_it_is_ordered_again_until_that_is_over_and_then_begins_anew() {
    let file = FileRecord {
        stopped: Some("why".into()),
        ..file(order(1))
    };
    let longer = FileOrder {
        duration: 5000,
        ..order(2)
    };
    let before = Epoch(file.ends.0 - 1);
    let more = file.clone().ordered_again(longer.clone(), before, true);
    assert_eq!((more.order.copies, more.order.duration), (2, 1000));
    assert_eq!((more.ends, more.stopped), (file.ends, None));
    let over = file.ends;
    // Nobody has taken a piece of it: nothing holds it to its time.
    let other = file.clone().ordered_again(longer.clone(), before, false);
    assert_eq!((other.order.duration, other.ends), (5000, before.plus(5000)));
    let anew = file.ordered_again(longer, over, true);
    assert_eq!((anew.order.duration, anew.ends), (5000, over.plus(5000)));
}

#[test]
fn what_former_deals_cost_is_none_of_the_limit_of_an_order_that_begins_anew() {
    let file = file(order(1));
    let manifest = manifest(2);
    let mut placement = Placement::new(file.clone(), &manifest, 0);
    let former = drawn(&file, 1, 1);
    assert!(placement.take(&former));
    assert_eq!(Some(placement.committed()), former.deal.draft.total());
    let ends = former.deal.draft.end();
    placement.renew(file.ordered_again(order(1), ends, true));
    assert_eq!(placement.committed(), AttoFil::ZERO);
    assert_eq!(placement.next_need(), Some((0, deal(&[], &[]))));
}

#[test]
fn a_deal_for_something_else_counts_if_it_lasts_as_long_and_its_miner_comes_last_if_not() {
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
    assert_eq!(needs(&file, &[short.clone()], AttoFil(0), 0), deal(&[], &[1]));
    // With the longer deal it is one copy, and no second one.
    let both = [short, copy(&file, 1, UNDER_WAY)];
    assert_eq!(needs(&file, &both, AttoFil(0), 0), PieceNeeds::Nothing);
    let two = FileRecord {
        order: order(2),
        ..file.clone()
    };
    assert_eq!(needs(&two, &both, AttoFil(0), 0), deal(&[1], &[]));
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
    assert_eq!(needs(&file, &lost, AttoFil(0), 0), PieceNeeds::GivenUp(GivenUp::Lost));
    // Two deals of one miner that are lost are one lost copy.
    file.order.copies = 2;
    let again = Copy {
        deal: "again".into(),
        ..lost[0].clone()
    };
    let lost = [lost[0].clone(), again];
    assert_eq!(needs(&file, &lost, AttoFil(0), 0), deal(&[1], &[]));
}

#[test]
fn a_miner_that_has_the_data_for_a_shorter_time_is_a_candidate_only_when_no_other_is_left() {
    let file = file(order(1));
    let (manifest, own) = (manifest(2), key(9).address());
    let mut placement = Placement::new(file.clone(), &manifest, 0);
    let mut short = drawn(&file, 1, 1);
    short.deal.draft.duration -= LAGGING + 1;
    short.part_of = None;
    assert!(placement.take(&short));
    let need = placement.next_need().expect("it is no copy");
    let among = |placement: &Placement, miners: &[MinerView]| {
        let found = placement.candidates((need.0, &need.1), miners, &own, Epoch(10));
        found.map(|found| found.into_iter().map(|view| view.address).collect::<Vec<_>>())
    };
    let (first, second) = (miner(1, SectorSize::S8MiB, 1), miner(2, SectorSize::S8MiB, 9));
    assert_eq!(among(&placement, &[first.clone(), second]), Ok(vec![Address::id(2)]));
    assert_eq!(among(&placement, &[first]), Ok(vec![Address::id(1)]));
}

#[test]
fn that_all_miners_have_a_copy_already_is_the_reason_and_not_that_there_is_none() {
    let file = file(order(2));
    let manifest = manifest(2);
    let mut placement = Placement::new(file.clone(), &manifest, 0);
    assert!(placement.take(&drawn(&file, 1, 1)));
    let need = placement.next_need().expect("another copy");
    let miners = [miner(1, SectorSize::S8MiB, 1)];
    let found = placement.candidates((need.0, &need.1), &miners, &key(9).address(), Epoch(10));
    assert_eq!(found.map(|found| found.len()), Err(GivenUp::AllHold { miners: 1 }));
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
    let no_time = FileOrder {
        duration: 0,
        ..order(1)
    };
    assert_eq!(no_time.check(), Err(OrderError::NoDuration));
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
        agreed: None,
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
    assert_eq!(Copy::of(&record).standing, Standing::Failed(Failure::Other));
    assert_eq!(Copy::of(&record).committed, AttoFil::ZERO);
    assert_eq!(host.chain.count("createChannel"), 0);
    assert_eq!(*host.asked.borrow(), [protocol::QUOTE, protocol::QUOTE]);
}

/// Another miner, or the next piece, would only bring the same question up again.
#[test]
fn a_payer_that_says_no_is_not_asked_again_for_the_file() {
    let file = file(order(2));
    let mut placement = Placement::new(file.clone(), &manifest(2), 0);
    let mut record = drawn(&file, 1, 1);
    record.deal.stage = ClientStage::Failed {
        reason: "the user said no".into(),
        channel: None,
    };
    record.error = Some(Problem::of(ErrorCode::SignerRefused, "the user said no".into()));
    assert_eq!(Copy::of(&record).standing, Standing::Failed(Failure::Declined));
    assert!(placement.take(&record));
    assert_eq!(placement.next_need(), None);
    assert_eq!(placement.shortfall(), Some((GivenUp::Declined, 2)));
}

#[test]
fn a_piece_that_its_miner_refuses_does_not_go_to_the_next_by_itself() {
    let file = file(order(1));
    let host = FakeHost::default();
    let (code, message) = (RejectionCode::NotMining, String::from("mining is stopped"));
    host.quote.replace(Some(Err(Rejection { code, message }.into())));
    let mut record = by_rule(&file, &[2, 3]);
    now(engine::step(&mut record, &host)).expect("it is declined");
    assert_eq!(Copy::of(&record).standing, Standing::Failed(Failure::Refused));
    assert_eq!(record.deal.draft.miner, draft(2, 20_000).miner);
}
