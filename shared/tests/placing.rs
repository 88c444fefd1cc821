//! Whatever miners do and cost, the pieces of a file are placed by the rules: never two copies of a piece at one miner, never more FIL
//! than was consented to, and it ends.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]

use proptest::prelude::*;
use shared::chain::view::{AskView, MinerView};
use shared::chain::{Address, AttoFil, Epoch, SecretKey};
use shared::client::files::{
    FileOrder, FileProgress, FileRecord, FileState, MinerChoice, PieceNeeds, Placement, Standing, DEALS_UNDER_WAY,
    PIECES_UNDER_WAY,
};
use shared::client::testing::{miner_view, now, FakeHost};
use shared::client::{DealRecord, MinerOffer, MinerRule};
use shared::deal::{ClientDeal, ClientStage};
use shared::file::{FileEntry, FilePiece, Manifest, RelativePath};
use shared::piece::node::{cid_of, DAG_PB, RAW};
use shared::piece::Commitment;
use std::collections::{BTreeMap, BTreeSet};

const MIB: u64 = 1 << 20;
const HEIGHT: Epoch = Epoch(100);

/// What becomes of the deal that is under way the longest.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Refused,
    Failed,
    Kept,
}

fn own() -> Address {
    SecretKey::from_bytes(&[9; 32]).unwrap().address()
}

fn miners(prices: &[u64]) -> Vec<MinerView> {
    let miner = |(number, price): (usize, &u64)| MinerView {
        address: Address::id(1000 + number as u64),
        sector_size: 8 * MIB,
        asks: vec![AskView {
            id: 0,
            price: AttoFil(u128::from(*price)),
            expiry: Epoch(1 << 40),
        }],
        ..miner_view()
    };
    prices.iter().enumerate().map(miner).collect()
}

fn manifest(pieces: usize) -> Manifest {
    let piece = |index: usize| FilePiece {
        offset: index as u64 * 7 * MIB,
        size: 7 * MIB,
        data_cid: cid_of(DAG_PB, &[index as u8; 32]),
        comm_p: Commitment([index as u8; 32]),
    };
    let all: Vec<FilePiece> = (0..pieces).map(piece).collect();
    let root = match all.as_slice() {
        [one] => one.data_cid,
        _ => cid_of(DAG_PB, &[255; 32]),
    };
    let path = RelativePath::parse("file").unwrap();
    Manifest::file(FileEntry::new(path, pieces as u64 * 7 * MIB, root, all).unwrap()).unwrap()
}

fn record(manifest: &Manifest, copies: u32, most: Option<u128>) -> FileRecord {
    let order = FileOrder {
        copies,
        miner: MinerChoice::Rule(MinerRule::Cheapest),
        duration: 10_000,
        most: most.map(AttoFil),
        repair: true,
        with_manifest: false,
        allow_duplicates: false,
    };
    let bytes = manifest.to_bytes().unwrap();
    FileRecord::new((manifest, &bytes), order, ("genesis".into(), HEIGHT), 0).unwrap()
}

/// A deal of a piece with a miner, as a host draws it up.
fn drawn(placement: &Placement, piece: usize, view: MinerView, number: usize) -> DealRecord<()> {
    let offer = MinerOffer::of(view, None, HEIGHT).unwrap();
    let names = placement.pieces()[piece].names.clone();
    let draft = offer.draft(names, own(), placement.file().order.duration, HEIGHT);
    let mut record = DealRecord::new(
        format!("deal-{number}"),
        1,
        "genesis".into(),
        "peer".into(),
        (),
        ClientDeal::new(draft),
    );
    record.part_of = Some(placement.file().id.clone());
    record
}

/// The end of a deal as the engine would note it; what a deal that failed cost is back.
fn end(record: &mut DealRecord<()>, fate: Fate, complete: &ClientStage) {
    let failed = |reason: &str| ClientStage::Failed {
        reason: reason.into(),
        channel: None,
    };
    record.deal.stage = match fate {
        Fate::Refused => failed("deal rejected: no room"),
        Fate::Failed => failed("the transfer stopped"),
        Fate::Kept => complete.clone(),
    };
}

/// A stage of which only its kind matters here.
fn complete() -> ClientStage {
    let (host, mut record) = (FakeHost::default(), shared::client::testing::record(0, 20_000));
    for _ in 0..6 {
        now(shared::client::step(&mut record, &host)).unwrap();
        if let ClientStage::Running { proposal, response } = record.deal.stage {
            return ClientStage::Complete { proposal, response };
        }
    }
    panic!("it is not accepted: {record:?}");
}

fn check(placement: &Placement) {
    for piece in placement.pieces() {
        let good = piece.copies().iter().filter(|copy| copy.counts_for(placement.file()));
        let miners: Vec<&Address> = good.map(|copy| &copy.miner).collect();
        let different: BTreeSet<&Address> = miners.iter().copied().collect();
        assert_eq!(different.len(), miners.len(), "two copies of a piece at one miner");
        assert!(miners.len() <= placement.file().order.copies as usize);
    }
    if let Some(most) = placement.file().order.most {
        assert!(placement.committed() <= most, "more than was consented to");
    }
    let under_way = |copies: &[shared::client::files::Copy]| {
        let under_way = copies
            .iter()
            .filter(|copy| matches!(copy.standing, Standing::UnderWay { .. }));
        under_way.count()
    };
    let all: usize = placement.pieces().iter().map(|piece| under_way(piece.copies())).sum();
    assert!(all <= DEALS_UNDER_WAY.min(PIECES_UNDER_WAY));
}

/// Makes deals until there is none to be made.
fn place(placement: &mut Placement, miners: &[MinerView], open: &mut Vec<DealRecord<()>>, choose: usize) -> usize {
    let mut made = 0;
    while let Some((piece, needed)) = placement.next_need() {
        assert!(matches!(needed, PieceNeeds::Deal { .. }));
        let candidates = match placement.candidates((piece, &needed), miners, &own(), HEIGHT) {
            Ok(candidates) => candidates,
            Err(reason) => {
                placement.set_aside(piece, reason);
                continue;
            }
        };
        assert!(!candidates.is_empty());
        let chosen = candidates[choose % candidates.len()].clone();
        let record = drawn(placement, piece, chosen, placement_deals(placement));
        placement.affords(record.deal.draft.total().unwrap()).unwrap();
        assert!(placement.take(&record));
        open.push(record);
        made += 1;
        check(placement);
    }
    made
}

fn placement_deals(placement: &Placement) -> usize {
    placement.pieces().iter().map(|piece| piece.copies().len()).sum()
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    prop::collection::vec(
        prop_oneof![Just(Fate::Refused), Just(Fate::Failed), Just(Fate::Kept)],
        1..20,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn placing_follows_its_rules_whatever_miners_do_and_ends(
        pieces in 1usize..6,
        copies in 1u32..4,
        prices in prop::collection::vec(1u64..20, 1..6),
        share in prop::option::of(1u128..300),
        fates in fates(),
        choose in 0usize..100,
    ) {
        let (manifest, miners) = (manifest(pieces), miners(&prices));
        // Of one copy at the dearest miner.
        let most = share.map(|share| u128::from(7 * MIB) * 10_000 * 20 * pieces as u128 * share / 100);
        let mut placement = Placement::new(record(&manifest, copies, most), &manifest, 0);
        let (complete, mut open, mut rounds) = (complete(), Vec::new(), 0);
        let mut fates = fates.iter().cycle();
        loop {
            place(&mut placement, &miners, &mut open, choose);
            check(&placement);
            if open.is_empty() {
                break;
            }
            let mut record = open.remove(0);
            end(&mut record, *fates.next().unwrap(), &complete);
            placement.take(&record);
            check(&placement);
            rounds += 1;
            prop_assert!(rounds < 1000, "it does not end");
        }
        let progress = FileProgress::of(&placement);
        match placement.shortfall() {
            None => prop_assert_eq!(progress.state, FileState::Kept),
            Some(_) => prop_assert!(progress.copies_kept < progress.copies_wanted),
        }
    }

    /// After a crash the book's deals give what was there before, in whatever order they are read.
    #[test]
    fn the_same_deals_give_the_same_placement_in_any_order(seed in 0usize..100, fates in fates()) {
        let (manifest, miners) = (manifest(4), miners(&[1, 2, 3]));
        let file = record(&manifest, 2, None);
        let mut placement = Placement::new(file.clone(), &manifest, 0);
        let (complete, mut open, mut book) = (complete(), Vec::new(), BTreeMap::new());
        for fate in fates {
            place(&mut placement, &miners, &mut open, seed);
            for record in &open {
                book.insert(record.id.clone(), record.clone());
            }
            if let Some(mut record) = (!open.is_empty()).then(|| open.remove(0)) {
                end(&mut record, fate, &complete);
                placement.take(&record);
                book.insert(record.id.clone(), record);
            }
        }
        let mut read = Placement::new(file, &manifest, 0);
        for record in book.values().rev() {
            prop_assert!(read.take(record));
        }
        prop_assert_eq!(FileProgress::of(&read), FileProgress::of(&placement));
        prop_assert_eq!(read.committed(), placement.committed());
        prop_assert_eq!(read.next_need(), placement.next_need());
    }
}

#[test]
fn pieces_with_the_same_bytes_are_placed_once() {
    let piece = |offset: u64| FilePiece {
        offset,
        size: MIB,
        data_cid: cid_of(RAW, &[1; 32]),
        comm_p: Commitment([1; 32]),
    };
    let path = RelativePath::parse("zeros").unwrap();
    let pieces = (0..3).map(|index| piece(index * MIB)).collect();
    let entry = FileEntry::new(path, 3 * MIB, cid_of(DAG_PB, &[2; 32]), pieces).unwrap();
    let manifest = Manifest::file(entry).unwrap();
    let placement = Placement::new(record(&manifest, 1, None), &manifest, 0);
    assert_eq!(placement.pieces().len(), 1);
}
