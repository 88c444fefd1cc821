//! What of an explanation is shown to whom, and in which form.

use super::*;

#[test]
fn a_client_is_not_told_what_names_the_miners_files_or_endpoints() {
    for stage in stages() {
        let sector = Sector {
            attempts: 1,
            last_error: Some(SECRET.into()),
            ..sector(stage)
        };
        for mut around in surroundings() {
            around.audience = Audience::Client;
            around.chain.trouble = Some("http://10.0.0.1:4403 refused".into());
            for facts in all_facts(&sector) {
                let text = format!("{:?}", explain(&facts, &around));
                assert!(!text.contains("/home/") && !text.contains("10.0.0.1"), "{text}");
            }
        }
    }
}

#[test]
fn the_json_is_in_camel_case_and_comes_back_as_it_was() {
    let explanation = explain(&facts(&at(Phase::PreCommit2)), &around());
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["subject"], serde_json::json!({ "kind": "sector", "id": "7" }));
    assert_eq!(json["state"], "preCommit2");
    assert_eq!(json["because"][0]["code"], "stepRunning");
    assert_eq!(json["because"][0]["whatToDo"], "");
    assert_eq!(json["steps"][3]["phase"], "preCommit2");
    assert_eq!(json["steps"][3]["expectedMs"], 20_000);
    assert_eq!(json["eta"]["expectedMs"], json["eta"]["earliestMs"]);
    assert_eq!(serde_json::from_value::<Explanation>(json).unwrap(), explanation);
}

#[test]
fn names_that_a_later_version_adds_are_read_as_other() {
    let mut json = serde_json::to_value(explain(&facts(&at(Phase::PreCommit2)), &around())).unwrap();
    json["because"][0]["code"] = "moonPhase".into();
    json["steps"][0]["phase"] = "preCommit3".into();
    let read: Explanation = serde_json::from_value(json).unwrap();
    assert_eq!(
        (read.because[0].code, read.steps[0].phase),
        (CauseCode::Other, StepName::Other)
    );
}

#[test]
fn what_a_peer_sends_is_cut_to_what_may_be_shown() {
    let mut explanation = explain(&facts(&at(Phase::PreCommit2)), &around());
    explanation.because = vec![Cause::new(CauseCode::Other, "\u{1b}[31mred\nline\u{202e}".repeat(1000), ""); 5000];
    explanation.next = "x".repeat(100_000);
    let shown = explanation.bounded();
    assert!(shown.because.len() <= 32 && shown.next.chars().count() == MAX_TEXT);
    assert!(shown.because[0].text.starts_with("[31mred line[31mred"));
}

#[test]
fn spans_are_told_in_two_units() {
    let cases = [
        (0, "0 s"),
        (1, "1 s"),
        (59_000, "59 s"),
        (60_000, "1 min"),
        (125_000, "2 min 5 s"),
        (3_600_000, "1 h"),
        (11_400_000, "3 h 10 min"),
        (90_000_000, "1 d 1 h"),
    ];
    for (ms, text) in cases {
        assert_eq!(span(ms), text);
    }
}

#[test]
fn a_committed_sector_tells_when_it_is_proven_next_and_what_is_wrong_with_it() {
    let sector = at(Phase::Proving);
    let mut around = around();
    around.chain.post = Some(PostDuty::WaitUntil(Epoch(160)));
    let explanation = explain(&facts(&sector), &around);
    assert!(explanation.because.is_empty());
    assert_eq!(
        explanation.next,
        "The next proof-of-spacetime is due from block 160 on, in 60 blocks, about 1 min."
    );
    around.chain.post = Some(PostDuty::Prove {
        randomness_at: Epoch(90),
        deadline: Epoch(400),
        fee: Default::default(),
    });
    let faulty = SectorFacts {
        on_chain: Some(OnChain {
            proofs: 3,
            fault: Some((Epoch(50), Epoch(4000))),
        }),
        ..facts(&sector)
    };
    let explanation = explain(&faulty, &around);
    let codes: Vec<_> = explanation.because.iter().map(|cause| cause.code).collect();
    assert_eq!(codes, [CauseCode::SectorFaulty, CauseCode::PostDue]);
}
