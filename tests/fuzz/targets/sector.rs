//! The sector's machine under any inputs in any order, stored and read again at any moment.
#![no_main]

use sealdrop_fuzz::machines::sector_input;
use sealdrop_fuzz::{reloaded, Script};
use shared::piece::SectorSize;
use shared::sector::machine::{MAX_ATTEMPTS, MAX_PIECES};
use shared::sector::{Phase, Sector, SectorInput, SectorStage};
use std::collections::BTreeSet;

/// A failure is counted each time; whatever else is said twice says nothing new.
fn is_counted(input: &SectorInput) -> bool {
    matches!(input, SectorInput::StepFailed { .. } | SectorInput::SealExpired { .. })
}

/// What holds of every sector.
fn check(sector: &Sector) {
    assert!(sector.layout().is_some(), "its pieces lie beside each other");
    assert!(sector.pieces.len() <= MAX_PIECES);
    let deals: BTreeSet<_> = sector.pieces.iter().map(|piece| piece.deal).collect();
    assert_eq!(deals.len(), sector.pieces.len(), "each deal has one piece");
    assert!(sector.phase() == Phase::Packing || !sector.pieces.is_empty());
    assert!(sector.attempts <= MAX_ATTEMPTS);
    assert_eq!(sector.attempts == 0, sector.last_error.is_none());
    assert_eq!(
        sector.setback().is_some(),
        sector.last_error.is_some() || sector.phase() == Phase::Failed
    );
}

/// What holds of every step.
fn check_step(before: &Sector, after: &Sector, input: &SectorInput) {
    let (from, to) = (before.phase(), after.phase());
    if from != Phase::Packing {
        assert_eq!(before.pieces, after.pieces, "a closed sector keeps its pieces");
    }
    if let SectorStage::Failed { resume: None, .. } | SectorStage::Removed { .. } = before.stage {
        assert_eq!(before, after, "what is over stays so");
    }
    if (Phase::Proving..Phase::Failed).contains(&from) {
        assert!(to >= from, "a committed sector does not go back: {from:?} {to:?}");
    }
    if to < from && from != Phase::Failed {
        assert!(is_counted(input), "only a failure leads back: {from:?} {to:?}");
    }
    if let (Some(old), Some(new)) = (before.sealed(), after.sealed()) {
        assert_eq!(old, new, "a replica's commitments do not change");
    }
    if let (Some(old), SectorStage::PreCommit1 { ticket_epoch, ticket }) = (before.sealed(), &after.stage) {
        assert_eq!((old.ticket_epoch, &old.ticket), (*ticket_epoch, ticket));
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    let size = match script.chance() {
        true => SectorSize::S2KiB,
        false => SectorSize::S8MiB,
    };
    let mut sector = Sector::new(script.number(), size);
    while !script.is_over() {
        let (before, input) = (sector.clone(), sector_input(&mut script));
        match sector.handle(input.clone()) {
            Ok(()) => check_step(&before, &sector, &input),
            Err(_) => assert_eq!(before, sector, "a refusal changes nothing"),
        }
        if !is_counted(&input) {
            let once = sector.clone();
            let _ = sector.handle(input);
            assert_eq!(once, sector, "said twice is said once");
        }
        check(&sector);
        if script.chance() {
            let again = reloaded(&sector);
            assert_eq!((&again, again.effect()), (&sector, sector.effect()));
            sector = again;
        }
        let _ = (sector.is_nearly_full(), sector.fits(script.number()));
    }
});
