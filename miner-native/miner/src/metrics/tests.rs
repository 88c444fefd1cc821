use super::*;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Figures with everything in them.
fn full() -> Figures {
    let one = |name: &str| vec![(name.to_owned(), 1.0)];
    Figures {
        version: "0".into(),
        services_up: one("web"),
        service_restarts: one("web"),
        service_panics: one("web"),
        deals: one("staged"),
        sectors: one("proving"),
        jobs_running: one("commit2"),
        jobs_waiting: one("commit2"),
        power: Some(Power {
            own: 1,
            network: 2,
            collateral_fil: 0.5,
        }),
        proof_expected_seconds: Some(1.0),
        proof_window_seconds: Some(1.0),
        last_proof_height: Some(1),
        waiting_bytes: Some(1),
        waiting_bytes_limit: Some(1),
        waiting_deals: Some(1),
        earned_fil: Some(1.0),
        damage: Some(0),
        disk_free: Some(1),
        disk_total: Some(1),
        memory_available: Some(1),
        memory_own: Some(1),
        refused: one("connections"),
        addresses: one("reached"),
        ..Figures::default()
    }
}

/// Names as they are asked for, with type and meaning.
fn described() -> Vec<(String, String, String)> {
    let text = text(&full());
    let meaning = |name: &str| {
        let line = format!("# HELP {name} ");
        text.lines()
            .find_map(|other| other.strip_prefix(&line))
            .unwrap_or_default()
            .trim_end_matches('.')
            .to_owned()
    };
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let named = types.filter_map(|line| line.split_once(' '));
    named
        .map(|(name, kind)| {
            let suffix = if kind == "counter" { "_total" } else { "" };
            (format!("{name}{suffix}"), kind.to_owned(), meaning(name))
        })
        .collect()
}

fn document() -> String {
    let mut document = "# Metrics\n\nWhat a daemon says at `/metrics`, for Prometheus; with a token of scope `read` as `Authorization: Bearer TOKEN`\n\
        (`authorization` in a scrape configuration). Written from `miner-native/miner/src/metrics`; a test holds it to that.\n\
        `miner-native/packaging/grafana.json` is a dashboard of them.\n\n| name | type | what |\n|-|-|-|\n"
        .to_owned();
    for (name, kind, meaning) in described() {
        let _ = writeln!(document, "| `{name}` | {kind} | {meaning} |");
    }
    document
}

#[test]
fn the_document_names_every_metric() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/docs/metrics.md");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let document = document();
    if kept != document && std::env::var_os("SEALDROP_WRITE_DOCS").is_some() {
        std::fs::write(path, &document).expect("it can be written");
        return;
    }
    assert_eq!(
        kept, document,
        "run this test with SEALDROP_WRITE_DOCS=1 to write it anew"
    );
}

#[test]
fn the_dashboard_draws_metrics_that_there_are() {
    let dashboard = include_str!("../../../packaging/grafana.json");
    let parsed: serde_json::Value = serde_json::from_str(dashboard).expect("JSON");
    let names: BTreeSet<String> = described().into_iter().map(|(name, _, _)| name).collect();
    let panels = parsed["panels"].as_array().expect("panels");
    let mut drawn = BTreeSet::new();
    for target in panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
    {
        let expression = target["expr"].as_str().expect("an expression");
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("sealdrop_")) {
            assert!(names.contains(word), "{word} in {expression}");
            drawn.insert(word.to_owned());
        }
    }
    assert!(drawn.len() > 20, "{drawn:?}");
}

#[test]
fn what_is_not_known_is_left_out_and_names_cannot_break_the_text() {
    let hostile = vec![("a\"} 1\nsealdrop_healthy 1".to_owned(), 2.0)];
    let text = text(&Figures {
        refused: hostile,
        ..Figures::default()
    });
    assert!(
        !text.contains("sealdrop_power_bytes") && !text.contains("\nsealdrop_healthy 1"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
}
