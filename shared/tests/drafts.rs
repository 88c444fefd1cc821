//! What refuses a deal while that costs nothing, in the order and with the texts of the specification.

use shared::chain::calls::{GAS_LIMIT, GAS_PRICE};
use shared::chain::keys::cid_of_bytes;
use shared::chain::{Address, AttoFil, Epoch, SecretKey};
use shared::deal::{duplicates, Draft, DraftError, RejectionCode};
use shared::payment::schedule::{ScheduleError, MAX_VOUCHERS};
use shared::piece::node::raw_cid;
use shared::piece::{Commitment, SectorSize};
use shared::wire::frame::MAX_MESSAGE;

const RICH: AttoFil = AttoFil(1 << 124);

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key")
}

fn draft() -> Draft {
    let owner = key(2).address();
    Draft {
        data_cid: raw_cid(b"piece"),
        comm_p: Commitment([7; 32]),
        size: 1000,
        payer: key(1).address(),
        miner: Address::actor(&owner, 0),
        owner,
        worker: key(3).address(),
        sector_size: SectorSize::S2KiB,
        price: AttoFil(2),
        duration: 2500,
        start: Epoch(773),
    }
}

fn refused(change: impl FnOnce(&mut Draft)) -> Option<DraftError> {
    let mut draft = draft();
    change(&mut draft);
    draft.rehearse(&key(1), RICH).err()
}

#[test]
fn a_draft_that_the_miner_would_take_is_rehearsed_without_complaint() {
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|d| d.price = AttoFil::ZERO), None);
}

/// spec §9.13 (the client's half): the usable size is what the text names.
#[test]
fn a_piece_larger_than_a_sector_is_refused_with_the_usable_size() {
    let error = refused(|d| d.size = 3000).expect("too large");
    let (size, usable) = (3000, 2032);
    assert_eq!(error, DraftError::PieceTooLarge { size, usable });
    assert_eq!(error.to_string(), "piece is 3000 bytes but sector size is 2032 bytes");
    assert_eq!(refused(|d| d.size = 2032), None);
    assert_eq!(refused(|d| d.size = 0), Some(DraftError::Empty));
}

/// spec §9.14
#[test]
fn a_deal_with_ones_own_miner_is_refused() {
    let text = "attempting to make storage deal with self. This is currently unsupported.  Please use a separate \
                go-filecoin node as client";
    for change in [
        |d: &mut Draft| d.payer = d.owner.clone(),
        |d: &mut Draft| d.payer = d.worker.clone(),
    ] {
        let error = refused(change).expect("one's own");
        assert_eq!(
            (error.clone(), error.to_string().as_str()),
            (DraftError::SelfDeal, text)
        );
    }
}

/// spec §9.10, spec §9.7 (the check; the flag is the command line's)
#[test]
fn the_same_data_with_the_same_miner_is_a_duplicate_and_with_another_it_is_not() {
    let draft = draft();
    let (other_miner, other_piece) = (Address::id(1000), cid_of_bytes(b"other"));
    assert!(duplicates([(&draft.miner, &draft.data_cid)], &draft));
    assert!(!duplicates([(&other_miner, &draft.data_cid)], &draft));
    assert!(!duplicates([(&draft.miner, &other_piece)], &draft));
    let text = "proposal is a duplicate of existing deal; if you would like to create a duplicate, add the \
                --allow-duplicates flag";
    assert_eq!(DraftError::Duplicate.to_string(), text);
}

#[test]
fn a_duration_without_a_schedule_is_refused() {
    let schedule = |error| Some(DraftError::Schedule(error));
    assert_eq!(refused(|d| d.duration = 0), schedule(ScheduleError::NoDuration));
    let (duration, vouchers) = (900_001, MAX_VOUCHERS as u64 + 1);
    let too_long = ScheduleError::TooLong { duration, vouchers };
    assert_eq!(refused(|d| d.duration = duration), schedule(too_long));
    let dear = refused(|d| (d.duration, d.price.0) = (900_000, 1 << 110));
    assert_eq!(dear, schedule(ScheduleError::Overflow));
}

#[test]
fn a_proposal_longer_than_a_miner_reads_is_refused_whatever_the_channels_id_will_be() {
    let long = |price, start| {
        refused(|d| {
            (d.duration, d.price, d.start) = (MAX_VOUCHERS as u64 * 1000, AttoFil(price), Epoch(start));
        })
    };
    assert_eq!(long(1_000_000_000, 5_000_000), None);
    let error = long(1 << 80, u64::MAX >> 2).expect("amounts of 16 bytes and heights of 9");
    assert!(
        matches!(error, DraftError::ProposalTooLarge { size, limit: MAX_MESSAGE } if size > MAX_MESSAGE),
        "{error}"
    );
    assert!(error.to_string().contains("choose a shorter duration"));
}

#[test]
fn the_account_must_hold_price_and_gas() {
    let cost = AttoFil(5_000_000 + GAS_PRICE.0 * u128::from(GAS_LIMIT));
    let with = |balance| draft().rehearse(&key(1), AttoFil(balance)).err();
    assert_eq!((draft().cost(), with(cost.0)), (Ok(cost), None));
    let balance = AttoFil(cost.0 - 1);
    assert_eq!(with(balance.0), Some(DraftError::Funds { cost, balance }));
    let free = Draft {
        price: AttoFil::ZERO,
        ..draft()
    };
    assert_eq!(free.rehearse(&key(1), AttoFil::ZERO), Ok(()));
}

#[test]
fn what_the_miner_would_refuse_is_refused_with_its_code() {
    // A channel's opening names the key; a free deal has no channel that could.
    assert_eq!(draft().rehearse(&key(4), RICH), Ok(()));
    let free = Draft {
        price: AttoFil::ZERO,
        ..draft()
    };
    let error = free.rehearse(&key(4), RICH).expect_err("another's key");
    assert!(matches!(error, DraftError::Rejected(rejection) if rejection.code == RejectionCode::Signature));
}

#[test]
fn the_first_reason_in_the_specifications_order_is_given() {
    let all_wrong = |d: &mut Draft| {
        d.size = 3000;
        d.payer = d.owner.clone();
        d.duration = 0;
    };
    assert!(matches!(refused(all_wrong), Some(DraftError::PieceTooLarge { .. })));
    let two_wrong = |d: &mut Draft| {
        d.payer = d.owner.clone();
        d.duration = 0;
    };
    assert_eq!(refused(two_wrong), Some(DraftError::SelfDeal));
    let poor = Draft { duration: 0, ..draft() };
    let error = poor.rehearse(&key(1), AttoFil::ZERO);
    assert_eq!(error, Err(DraftError::Schedule(ScheduleError::NoDuration)));
}
