//! What a daemon is started with: the sample, its check, and where each value comes from. Needs no daemon.

use sealdrop_tests::program;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A command of the configuration without a home of anybody, in an environment that says nothing but this.
fn config(arguments: &[&str], environment: &[(&str, &str)], home: &Path) -> Output {
    sealdrop(&[&["config"], arguments].concat(), environment, home)
}

fn sealdrop(arguments: &[&str], environment: &[(&str, &str)], home: &Path) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null());
    for name in ["SEALDROP_HOME", "SEALDROP_PARAMS", "SEALDROP_CONFIG", "SEALDROP_CHAIN"] {
        command.env_remove(name);
    }
    command.env("HOME", home).envs(environment.iter().copied());
    command.output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_sample_is_a_right_configuration_and_a_misspelt_key_is_refused_with_the_nearest() {
    let home = tempfile::tempdir().expect("there is room for a directory");
    let file = home.path().join("a.toml");
    let name = file.to_str().expect("its name is text");
    let sample = config(&["init"], &[], home.path());
    assert!(sample.status.success());
    std::fs::write(&file, &sample.stdout).expect("it can be written");
    let checked = config(&["check", "--config", name], &[], home.path());
    assert_eq!(text(&checked.stdout), format!("{name} is right\n"), "{checked:?}");

    std::fs::write(&file, "[chain]\nlisten = [\"0.0.0.0:4403\"]\n").expect("it can be written");
    let checked = config(&["check", "--config", name], &[], home.path());
    assert!(
        checked.status.success() && text(&checked.stderr).contains("faucet"),
        "{checked:?}"
    );

    std::fs::write(&file, "[chain]\nblok_time = \"1s\"\n").expect("it can be written");
    let refused = config(&["check", "--json", "--config", name], &[], home.path());
    let told: Value = serde_json::from_slice(&refused.stderr).expect("an error is JSON");
    assert!(!refused.status.success());
    assert_eq!(told["code"], "configuration.unknown-key");
    assert!(
        told["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("chain.blockTime")),
        "{told}"
    );
    let unusable = config(&["check", "--block-time", "1ms"], &[], home.path());
    assert!(
        !unusable.status.success() && text(&unusable.stderr).contains("--block-time"),
        "{unusable:?}"
    );
}

#[test]
fn each_value_is_shown_with_where_it_comes_from() {
    let home = tempfile::tempdir().expect("there is room for a directory");
    let own = home.path().join(".sealdrop");
    std::fs::create_dir(&own).expect("it can be made");
    let file = "[network]\nsectorSize = \"2KiB\"\n[chain]\nblockTime = \"3s\"\n[mining]\nminDuration = 7\n";
    std::fs::write(own.join("sealdrop.toml"), file).expect("it can be written");
    let environment = [
        ("SEALDROP_CHAIN_BLOCK_TIME", "2s"),
        ("SEALDROP_CHAIN", "http://127.0.0.1:1"),
    ];
    let shown = config(&["show", "--json", "--web-port", "5"], &environment, home.path());
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("it is JSON");
    let of = |key: &str| {
        (
            shown["config"][key]["value"].clone(),
            shown["config"][key]["source"].clone(),
        )
    };
    for (key, value, source) in [
        ("network.sectorSize", "2KiB", "file"),
        ("chain.blockTime", "2s", "environment"),
        ("network.name", "sealdrop-devnet", "default"),
    ] {
        assert_eq!(of(key), (value.into(), source.into()), "{key}");
    }
    assert_eq!(of("web.port"), (5.into(), "flag".into()));
    assert_eq!(of("web.listen"), (serde_json::json!(["127.0.0.1:5"]), "default".into()));
    assert_eq!(of("mining.minDuration"), (7.into(), "file".into()));
    assert_eq!(
        of("chain.url").1,
        "default",
        "what commands ask is not what a daemon joins"
    );
}

#[test]
fn init_writes_what_its_check_takes_and_never_over_a_file_unasked() {
    let home = tempfile::tempdir().expect("there is room for a directory");
    let file = home.path().join(".sealdrop/sealdrop.toml");
    let init = |arguments: &[&str]| {
        let free = [
            "--web-port",
            "0",
            "--p2p-port",
            "0",
            "--p2p-ws-port",
            "0",
            "--chain-port",
            "0",
        ];
        let words = [
            &["init", "--yes", "--json", "--sector-size", "2KiB", "--http-port", "0"],
            &free[..],
            arguments,
        ];
        sealdrop(&words.concat(), &[], home.path())
    };
    let made = init(&["--price-per-gib-month", "2783.138807808"]);
    // Whether this machine has room and memory is its own affair.
    let unwell = i32::from(shared::exit_code::UNWELL);
    assert!([Some(0), Some(unwell)].contains(&made.status.code()), "{made:?}");
    let told: Value = serde_json::from_slice(&made.stdout).expect("one JSON value");
    assert_eq!(told["file"], file.to_str().expect("its name is text"));
    assert_eq!(told["next"], "sealdrop daemon");
    assert_eq!(told["config"]["mining.storagePrice"], "0.000000000001");
    let checks: Vec<&str> = told["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|found| found["check"].as_str())
        .collect();
    for check in ["home", "disk", "memory", "parameters", "port"] {
        assert!(checks.contains(&check), "{check}: {checks:?}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let checked = config(&["check"], &[], home.path());
    assert!(text(&checked.stdout).ends_with(" is right\n"), "{checked:?}");

    let refused = init(&[]);
    let told: Value = serde_json::from_slice(&refused.stderr).expect("an error is JSON");
    assert_eq!(told["code"], "init.exists");
    let before = std::fs::read(&file).expect("it is there");
    let wrong = init(&["--force", "--role", "chain"]);
    let told: Value = serde_json::from_slice(&wrong.stderr).expect("an error is JSON");
    assert_eq!(told["code"], "init.of-other-role");
    assert_eq!(
        std::fs::read(&file).expect("it is there"),
        before,
        "nothing was written"
    );
    assert!(init(&["--force", "--network", "another"]).stdout.starts_with(b"{"));
    assert_ne!(std::fs::read(&file).expect("it is there"), before);
}
