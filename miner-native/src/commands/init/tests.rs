use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(words: &[&str]) -> Arguments {
    let words = [&["init"], words].concat();
    let mut arguments = Line::try_parse_from(words).expect("it is a command line").arguments;
    // Whatever the environment of the tests says.
    arguments.params = None;
    arguments
}

/// By options alone, in a home of its own.
async fn answered(words: &[&str]) -> Result<(Answers, Plan), CommandError> {
    let dir = tempfile::tempdir().expect("there is room for a directory");
    let home = dir.path().to_owned();
    let file = home.join(FILE_NAME);
    let (answers, _) = answering::by_options(&arguments(words), home, file, &Settled::default()).await?;
    let plan = Plan::of(&answers)?;
    Ok((answers, plan))
}

#[tokio::test]
async fn options_come_to_the_same_configuration_as_they_do_for_a_daemon() {
    let (answers, plan) = answered(&[
        "--sector-size",
        "2KiB",
        "--chain-port",
        "9",
        "--price-per-gib-month",
        "2783.138807808",
    ])
    .await
    .expect("all of it is right");
    assert_eq!(
        (answers.role, answers.sector_size),
        (Role::ChainAndMiner, SectorSize::S2KiB)
    );
    assert_eq!(answers.price, AttoFil(1_000_000));
    assert_eq!(plan.keys.get("chain.port"), Some(&json!(9)));
    assert_eq!(plan.keys.get("mining.storagePrice"), Some(&json!("0.000000000001")));
    assert_eq!(plan.keys.len(), 3, "{:?}", plan.keys);
}

#[tokio::test]
async fn what_says_nothing_to_a_role_or_makes_no_sense_is_refused_in_words() {
    for (words, told) in [
        (&["--role", "chain", "--price", "1"][..], "--price"),
        (&["--chain", "http://127.0.0.1:1", "--block-time", "1s"], "--block-time"),
        (&["--role", "chain", "--chain", "http://127.0.0.1:1"], "--chain"),
        (&["--role", "miner"], "--chain URL"),
        (&["--name", "a.example"], "--reach"),
        (&["--price-per-gib-month", "0.0001"], "--price"),
        (&["--web-port", "4401"], "4401"),
        (&["--block-time", "1ms"], "--block-time"),
        (&["--chain", "nonsense"], "nonsense"),
        (
            &["--tls-certificate", "/nowhere.pem", "--tls-key", "/nowhere.pem"],
            "/nowhere.pem",
        ),
    ] {
        let error = answered(words)
            .await
            .err()
            .unwrap_or_else(|| panic!("{words:?} is taken"));
        assert!(error.to_string().contains(told), "{words:?}: {error}");
    }
}

#[test]
fn a_file_that_is_there_is_not_replaced_unasked_and_keeps_its_mode() {
    let dir = tempfile::tempdir().expect("there is room for a directory");
    let file = dir.path().join(FILE_NAME);
    may_replace(&file, false, None).expect("nothing is there");
    assert_eq!(mode_of(&file), 0o600);
    std::fs::write(&file, "").expect("there is room");
    assert!(matches!(
        may_replace(&file, false, None),
        Err(CommandError::Init(InitError::Exists { .. }))
    ));
    may_replace(&file, true, None).expect("it was asked for");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("it is ours");
        assert_eq!(mode_of(&file), 0o640);
    }
}

#[tokio::test]
async fn a_summary_says_every_answer() {
    let words = [
        "--reach",
        "internet",
        "--name",
        "miner.example.org",
        "--chain-port",
        "9",
    ];
    let (answers, _) = answered(&words).await.expect("all of it is right");
    let told = columns(answering::summary(&answers).map(|(what, value)| [what.to_owned(), value]));
    for words in [
        "miner.example.org",
        "8 MiB",
        "9 the chain",
        "0.0000000001 FIL per byte",
        "certificate",
    ] {
        assert!(told.contains(words), "{words:?} is missing in {told}");
    }
}
