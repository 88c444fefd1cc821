//! The deal passport: what is true stands, and one changed byte makes exactly one step wrong.

use shared::chain::{Address, Epoch};
use shared::client::passport::artefact::{Answer, OnChain, Post};
use shared::client::passport::receipt::{self as format, Receipt, ReceiptError};
use shared::client::passport::testing::{free_receipt, key, receipt, receipt_signed_by, verdicts};
use shared::client::passport::{
    Artefact, ArtefactKind, Conclusion, DealStep, Inspection, Measured, Passport, PassportView, ProofVerdict,
    StepStanding, Verdicts, Viewpoint,
};
use shared::wire::DecodeError;

fn passport(receipt: &Receipt, view: &Viewpoint) -> Passport {
    let inspection = Inspection::open(receipt).expect("the record is that of the network");
    inspection.judge(&verdicts(&inspection.claims()), view)
}

fn own() -> Viewpoint {
    Viewpoint {
        own: true,
        ..Viewpoint::default()
    }
}

#[test]
fn every_step_of_a_whole_deal_is_checked_by_the_client_but_the_miners_own_check() {
    let shown = passport(&receipt(), &own());
    for report in &shown.steps {
        let expected = match report.step {
            DealStep::Check => StepStanding::ClaimedByMiner,
            _ => StepStanding::Checked,
        };
        assert_eq!(report.standing, expected, "{}: {}", report.step, report.detail);
    }
    assert_eq!(shown.network.as_deref(), Some("test"));
}

#[test]
fn of_somebody_elses_receipt_the_clients_own_work_is_its_word() {
    let shown = passport(&receipt(), &Viewpoint::default());
    assert_eq!(
        shown.standing(StepStanding::ClaimedByClient),
        [DealStep::Piece, DealStep::Retrieval]
    );
    assert_eq!(
        shown.standing(StepStanding::ClaimedByMiner),
        [DealStep::Transfer, DealStep::Check]
    );
    assert!(shown.standing(StepStanding::Wrong).is_empty());
}

/// With the file at hand, a stranger needs nobody's word for what it is.
#[test]
fn data_at_hand_are_held_against_the_piece() {
    let receipt = receipt();
    let inspection = Inspection::open(&receipt).expect("the record is that of the network");
    let piece = inspection.piece().expect("there is one");
    let mut measured = Measured {
        data_cid: piece.data_cid,
        size: piece.size,
        comm_p: piece.comm_p,
    };
    let view = |measured: &Measured| Viewpoint {
        measured: Some(measured.clone()),
        ..Viewpoint::default()
    };
    let standing = |shown: Passport, step| shown.step(step).map(|report| report.standing);
    let shown = passport(&receipt, &view(&measured));
    assert_eq!(standing(shown, DealStep::Piece), Some(StepStanding::Checked));
    measured.comm_p.0[0] ^= 1;
    let shown = passport(&receipt, &view(&measured));
    assert_eq!(shown.standing(StepStanding::Wrong), [DealStep::Piece]);
}

#[test]
fn a_receipt_is_read_as_it_was_written() {
    let receipt = receipt();
    let bytes = receipt.to_bytes();
    assert_eq!(Receipt::read(&bytes), Ok(receipt));
    assert!(bytes.len() < 16 * 1024, "{}", bytes.len());
}

/// Of an artefact's bytes, every so manyth is changed: an inspection takes some fifty signatures.
const STEP: usize = 7;

/// The table of [`ArtefactKind::step`].
#[test]
fn a_changed_byte_of_an_artefact_makes_its_step_wrong_and_no_other() {
    let whole = receipt();
    for (at, artefact) in whole.artefacts.iter().enumerate() {
        let expected = artefact.kind.step();
        for byte in (at % STEP..artefact.bytes.len()).step_by(STEP) {
            let mut changed = whole.clone();
            changed.artefacts[at].bytes[byte] ^= 1 << (byte % 8);
            let shown = passport(&changed, &own());
            let wrong = shown.standing(StepStanding::Wrong);
            assert_eq!(wrong, [expected], "{:?}, byte {byte}: {shown:#?}", artefact.kind);
        }
    }
}

/// What is not judged names the step whose fault that is.
#[test]
fn a_step_that_rests_on_a_wrong_one_is_not_judged() {
    let mut changed = receipt();
    let complete = changed.artefacts.iter_mut();
    let mut complete = complete.filter(|artefact| artefact.kind == ArtefactKind::Complete);
    complete.next().expect("there is one").bytes[40] ^= 1;
    let shown = passport(&changed, &own());
    for step in [DealStep::Staging, DealStep::Seal, DealStep::Commit, DealStep::Proving] {
        let report = shown.step(step).expect("all steps are there");
        assert_eq!(
            (report.standing, report.because),
            (StepStanding::Unchecked, Some(DealStep::Inclusion)),
            "{step}"
        );
    }
    let signed = shown.step(DealStep::Proposal).map(|report| report.standing);
    assert_eq!(signed, Some(StepStanding::Checked));
}

#[test]
fn without_an_artefact_its_step_is_somebodys_word_or_not_yet_but_never_wrong() {
    let whole = receipt();
    for at in 0..whole.artefacts.len() {
        let mut less = whole.clone();
        let gone = less.artefacts.remove(at);
        if gone.kind == ArtefactKind::Proposal {
            assert_eq!(Receipt::read(&less.to_bytes()), Err(ReceiptError::NoProposal));
            continue;
        }
        // Vouchers are a part of what was signed.
        let expected: &[DealStep] = match gone.kind {
            ArtefactKind::Vouchers => &[DealStep::Proposal],
            _ => &[],
        };
        let shown = passport(&less, &own());
        assert_eq!(shown.standing(StepStanding::Wrong), expected, "{:?}", gone.kind);
    }
}

#[test]
fn without_the_genesis_record_what_is_on_the_chain_is_the_chains_word() {
    let bare = Receipt {
        record: None,
        ..receipt()
    };
    let shown = passport(&bare, &own());
    assert_eq!(
        shown.standing(StepStanding::ClaimedByChain),
        [
            DealStep::Payment,
            DealStep::Seal,
            DealStep::Commit,
            DealStep::Proving,
            DealStep::Redemption
        ]
    );
}

/// What a stranger may leave out or write himself, and still sign: no step of it is checked.
mod forgeries {
    use super::*;

    fn standing(shown: &Passport, step: DealStep) -> StepStanding {
        shown.step(step).expect("all steps are there").standing
    }

    fn strangers(receipt: &Receipt) -> Passport {
        passport(receipt, &Viewpoint::default())
    }

    fn without(kinds: &[ArtefactKind]) -> Receipt {
        let mut less = receipt();
        less.artefacts.retain(|artefact| !kinds.contains(&artefact.kind));
        less
    }

    /// Every artefact of a kind, changed.
    fn changed<T: shared::wire::cbor::Cbor>(receipt: &mut Receipt, kind: ArtefactKind, change: impl Fn(&mut T)) {
        for artefact in receipt.artefacts.iter_mut().filter(|artefact| artefact.kind == kind) {
            let mut value = artefact.read().expect("it is one");
            change(&mut value);
            *artefact = Artefact::of(kind, &value);
        }
    }

    const ON_CHAIN: [ArtefactKind; 4] = [
        ArtefactKind::Channel,
        ArtefactKind::PreCommit,
        ArtefactKind::Commit,
        ArtefactKind::Redemption,
    ];

    fn unproven() -> Receipt {
        let mut bare = receipt();
        for kind in ON_CHAIN {
            changed(&mut bare, kind, |placed: &mut OnChain| placed.proof = None);
        }
        changed(&mut bare, ArtefactKind::Post, |post: &mut Post| {
            post.message.proof = None;
        });
        bare
    }

    #[test]
    fn a_whole_receipt_holds_for_a_stranger_too() {
        let shown = strangers(&receipt());
        assert_eq!(shown.conclusion, Conclusion::Holds);
        for step in [DealStep::Answer, DealStep::Staging, DealStep::Seal, DealStep::Proving] {
            assert_eq!(standing(&shown, step), StepStanding::Checked, "{step}");
        }
    }

    #[test]
    fn a_path_that_leads_from_nowhere_shows_no_inclusion() {
        let less = without(&[ArtefactKind::Piece]);
        let shown = strangers(&less);
        assert_ne!(standing(&shown, DealStep::Inclusion), StepStanding::Checked);
        assert_ne!(standing(&shown, DealStep::Staging), StepStanding::Checked);
        assert_eq!(shown.conclusion, Conclusion::Undecided);
        let other = Measured {
            data_cid: shared::piece::node::raw_cid(b"other data"),
            size: 10,
            comm_p: shared::piece::Commitment([7; 32]),
        };
        let view = Viewpoint {
            measured: Some(other),
            ..Viewpoint::default()
        };
        assert_eq!(passport(&less, &view).conclusion, Conclusion::Wrong);
    }

    #[test]
    fn answers_count_as_the_miners_only_from_a_worker_that_seals_for_it() {
        let mut forged = receipt();
        let kinds = [
            ArtefactKind::Accepted,
            ArtefactKind::Started,
            ArtefactKind::Staged,
            ArtefactKind::Complete,
        ];
        for kind in kinds {
            changed(&mut forged, kind, |answer: &mut Answer| {
                answer.worker = key(77).address();
                answer.response = answer.response.response.clone().sign(&key(77));
            });
        }
        let shown = strangers(&forged);
        for step in [
            DealStep::Answer,
            DealStep::Transfer,
            DealStep::Check,
            DealStep::Inclusion,
        ] {
            assert_eq!(standing(&shown, step), StepStanding::ClaimedByClient, "{step}");
        }
        assert_eq!(shown.conclusion, Conclusion::Undecided);
    }

    #[test]
    fn another_keys_signature_is_not_the_payers_unless_its_channel_names_it() {
        let mut forged = receipt_signed_by(&key(8));
        assert_eq!(strangers(&forged).conclusion, Conclusion::Wrong);
        forged
            .artefacts
            .retain(|artefact| artefact.kind != ArtefactKind::Channel);
        let shown = strangers(&forged);
        for step in [DealStep::Proposal, DealStep::Payment] {
            assert_eq!(standing(&shown, step), StepStanding::ClaimedByClient, "{step}");
        }
    }

    #[test]
    fn a_seal_whose_challenges_may_have_been_chosen_is_not_checked() {
        let shown = strangers(&unproven());
        assert_ne!(standing(&shown, DealStep::Seal), StepStanding::Checked);
        // The commit in its block is enough: the chain knew the seed.
        let mut committed = receipt();
        changed(&mut committed, ArtefactKind::PreCommit, |placed: &mut OnChain| {
            placed.proof = None;
        });
        assert_eq!(standing(&strangers(&committed), DealStep::Seal), StepStanding::Checked);
    }

    #[test]
    fn proofs_of_spacetime_count_once_and_on_the_chain() {
        let mut late = receipt();
        changed(&mut late, ArtefactKind::Post, |post: &mut Post| {
            post.message.proof = None;
            post.message.height = Epoch(999_999);
        });
        let shown = strangers(&late);
        assert_eq!(standing(&shown, DealStep::Proving), StepStanding::ClaimedByClient);
        assert_eq!(
            strangers(&twice(ArtefactKind::Post)).standing(StepStanding::Wrong),
            [DealStep::Proving]
        );
    }

    fn twice(kind: ArtefactKind) -> Receipt {
        let mut doubled = receipt();
        let at = doubled.artefacts.iter().position(|artefact| artefact.kind == kind);
        let at = at.expect("there is one");
        doubled.artefacts.insert(at, doubled.artefacts[at].clone());
        doubled
    }

    #[test]
    fn a_redemption_counts_once() {
        let shown = strangers(&twice(ArtefactKind::Redemption));
        assert_eq!(shown.standing(StepStanding::Wrong), [DealStep::Redemption]);
    }

    #[test]
    fn what_the_file_says_of_the_chain_is_not_the_chains_word() {
        let shown = strangers(&unproven());
        assert!(shown.standing(StepStanding::ClaimedByChain).is_empty(), "{shown:#?}");
    }

    #[test]
    fn in_a_free_deal_only_the_file_ties_the_commitment_to_the_data() {
        let honest = strangers(&free_receipt());
        assert!(honest.standing(StepStanding::Wrong).is_empty(), "{honest:#?}");
        assert_eq!(standing(&honest, DealStep::Inclusion), StepStanding::ClaimedByClient);
        assert_eq!(honest.conclusion, Conclusion::Undecided);
        let said = honest.step(DealStep::Piece).map(|report| report.detail.as_str());
        assert!(said.is_some_and(|said| said.contains("nowhere signed")), "{said:?}");
        let inspection = Inspection::open(&free_receipt()).expect("the record is that of the network");
        let piece = inspection.piece().expect("there is one");
        let measured = Some(Measured {
            data_cid: piece.data_cid,
            size: piece.size,
            comm_p: piece.comm_p,
        });
        let view = Viewpoint {
            measured,
            ..Viewpoint::default()
        };
        assert_eq!(passport(&free_receipt(), &view).conclusion, Conclusion::Holds);
    }

    #[test]
    fn whoever_does_not_know_the_network_is_told_to_compare_it() {
        let told = |view: &Viewpoint| {
            let limits = passport(&receipt(), view).limits;
            limits.iter().any(|limit| limit.contains("genesis id"))
        };
        assert!(told(&Viewpoint::default()));
        let knows = Viewpoint {
            knows_network: true,
            ..Viewpoint::default()
        };
        assert!(!told(&knows) && !told(&own()));
    }

    #[test]
    fn a_voucher_of_another_payer_is_wrong() {
        let mut forged = receipt();
        changed(
            &mut forged,
            ArtefactKind::Vouchers,
            |vouchers: &mut Vec<shared::payment::PaymentVoucher>| {
                for voucher in vouchers {
                    voucher.payer = Address::id(3);
                }
            },
        );
        assert_eq!(strangers(&forged).conclusion, Conclusion::Wrong);
    }
}

#[test]
fn a_genesis_record_of_another_network_is_refused() {
    let mut other = receipt();
    other.record.as_mut().expect("there is one").0[10] ^= 1;
    assert!(Inspection::open(&other).is_err());
}

#[test]
fn a_proof_that_fails_is_the_fault_of_its_step() {
    let receipt = receipt();
    let inspection = Inspection::open(&receipt).expect("the record is that of the network");
    let good = verdicts(&inspection.claims());
    let fails = || ProofVerdict::Fails {
        reason: "it does not hold".into(),
    };
    let seal = Verdicts {
        seal: Some(fails()),
        ..good.clone()
    };
    let shown = inspection.judge(&seal, &own());
    assert_eq!(shown.standing(StepStanding::Wrong), [DealStep::Commit]);
    let mut posts = good;
    posts.posts[1] = Some(fails());
    let shown = inspection.judge(&posts, &own());
    assert_eq!(shown.standing(StepStanding::Wrong), [DealStep::Proving]);
}

#[test]
fn a_proof_that_nobody_checked_is_the_chains_word() {
    let receipt = receipt();
    let inspection = Inspection::open(&receipt).expect("the record is that of the network");
    let shown = inspection.judge(&Verdicts::default(), &own());
    assert_eq!(
        shown.standing(StepStanding::ClaimedByChain),
        [DealStep::Seal, DealStep::Commit, DealStep::Proving]
    );
}

#[test]
fn a_file_that_is_too_long_of_another_version_or_of_unknown_kinds_is_no_receipt() {
    let whole = receipt();
    assert_eq!(
        Receipt::read(&[0; format::MAX_RECEIPT + 1]),
        Err(ReceiptError::TooLong(format::MAX_RECEIPT + 1))
    );
    assert!(matches!(
        Receipt::read(b"%PDF-1.7"),
        Err(ReceiptError::Encoding(DecodeError::Malformed))
    ));
    let mut newer = whole.to_bytes();
    let at = newer
        .windows(7)
        .position(|bytes| bytes == b"version")
        .expect("it is named");
    assert_eq!(newer[at + 7], 1);
    newer[at + 7] = 2;
    assert_eq!(Receipt::read(&newer), Err(ReceiptError::Version { found: 2 }));
    let mut twice = whole.clone();
    twice.artefacts.insert(1, twice.artefacts[0].clone());
    let kind = twice.artefacts[0].kind;
    assert_eq!(Receipt::read(&twice.to_bytes()), Err(ReceiptError::Repeated(kind)));
    let mut turned = whole.clone();
    turned.artefacts.reverse();
    assert_eq!(Receipt::read(&turned.to_bytes()), Err(ReceiptError::Order));
    let mut many = whole;
    let post = many
        .artefacts
        .iter()
        .find(|artefact| artefact.kind == ArtefactKind::Post)
        .cloned();
    let post = post.expect("there is one");
    let last = many
        .artefacts
        .iter()
        .rposition(|artefact| artefact.kind == ArtefactKind::Post);
    let last = last.expect("there is one");
    for _ in 0..format::MAX_REPEATED {
        many.artefacts.insert(last, post.clone());
    }
    assert_eq!(Receipt::read(&many.to_bytes()), Err(ReceiptError::TooMany));
}

/// Any bytes give an error or a verdict; what is read is written the same.
#[test]
fn changed_and_cut_files_give_an_error_or_a_verdict() {
    let whole = receipt().to_bytes();
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    let mut read = 0;
    for round in 0..3000 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 4 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        if round % 7 == 0 {
            bytes.truncate(random() % bytes.len());
        }
        let Ok(receipt) = Receipt::read(&bytes) else { continue };
        assert_eq!(receipt.to_bytes(), bytes);
        let Ok(inspection) = Inspection::open(&receipt) else {
            continue;
        };
        let shown = inspection.judge(&verdicts(&inspection.claims()), &Viewpoint::default());
        assert_eq!(shown.steps.len(), 15);
        read += 1;
    }
    assert!(read > 500, "most changes are in artefacts: {read}");
}

#[test]
fn what_is_shown_has_every_artefact_under_its_step() {
    let receipt = receipt();
    let inspection = Inspection::open(&receipt).expect("the record is that of the network");
    let verdicts = verdicts(&inspection.claims());
    let shown = PassportView::of(inspection.judge(&verdicts, &own()), &inspection, &verdicts);
    let under: Vec<(usize, ArtefactKind)> = shown
        .steps
        .iter()
        .flat_map(|step| step.artefacts.iter().map(|artefact| (step.number, artefact.kind)))
        .collect();
    let expected: Vec<(usize, ArtefactKind)> = receipt
        .artefacts
        .iter()
        .map(|artefact| (artefact.kind.step().number(), artefact.kind))
        .collect();
    assert_eq!(under.len(), expected.len());
    assert!(expected.iter().all(|each| under.contains(each)), "{under:?}");
    let path = shown.steps[11].artefacts[0].path.as_ref().expect("there is a path");
    assert_eq!(
        path.steps.last().map(|step| step.parent.as_str()),
        Some(path.comm_d.as_str())
    );
}
