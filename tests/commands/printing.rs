//! What commands print, where they write it, and how they end when that fails (findings E1 to E5).

use crate::{daemon, text, SOON};
use sealdrop_tests::{bytes, program, sealdrop, wait_for, Client, Daemon, Ended};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{symlink, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// A command of this program on a home and a chain, for pipes of one's own.
fn command(home: &Path, chain: &str, arguments: &[&OsStr]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).arg("--home").arg(home).args(["--chain", chain]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn words<'a>(text: &[&'a str]) -> Vec<&'a OsStr> {
    text.iter().map(|word| OsStr::new(*word)).collect()
}

/// The error of a command with `--json`: the last line of its standard error.
fn told(ended: &Ended) -> Value {
    assert!(!ended.status.success(), "it should have failed: {ended:?}");
    let last = ended.stderr.lines().last().unwrap_or_default();
    let told: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {}", ended.stderr));
    assert!(told["code"].is_string() && told["message"].is_string(), "{told}");
    told
}

fn partials(folder: &Path) -> Vec<OsString> {
    let names = fs::read_dir(folder).expect("it is a folder").flatten();
    let names = names.map(|entry| entry.file_name());
    names
        .filter(|name| name.to_string_lossy().ends_with(".partial"))
        .collect()
}

/// Finding E2: they vanished with exit code 0.
#[test]
fn a_result_that_cannot_be_written_is_an_error_and_a_reader_that_has_heard_enough_is_none() {
    let daemon = daemon();
    let chain = daemon.chain();
    let client = Client::new(&chain);
    let home = client.path("home");
    let address = client.sealdrop(&["wallet", "new"]).lines().remove(0);
    let commands = [
        words(&["wallet", "export", &address]),
        words(&["wallet", "export", &address, "--json"]),
        words(&["chain", "ls"]),
        words(&["client", "miners"]),
        words(&["client", "miners", "--json"]),
    ];
    for arguments in &commands {
        let full = File::options().write(true).open("/dev/full").expect("it is there");
        let ended = command(&home, &chain, arguments)
            .stdout(full)
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("could not be written"), "{said}");

        let mut running = command(&home, &chain, arguments).spawn().expect("it starts");
        drop(running.stdout.take());
        let ended = running.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(0));
        assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let full = File::options().write(true).open("/dev/full").expect("it is there");
    let script = Command::new(program())
        .args(["completions", "bash"])
        .stdout(full)
        .status();
    assert_eq!(script.expect("it starts").code(), Some(1));
}

/// Finding E2: it was a panic, and the deal half made.
#[test]
fn a_deal_is_made_to_its_end_whoever_reads_the_command_that_makes_it() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let file = client.file("file", &bytes(71, 300));
    let mut arguments = words(&["client", "store", "--until", "accepted"]);
    arguments.push(file.as_os_str());
    let mut running = command(&client.path("home"), &daemon.chain(), &arguments)
        .spawn()
        .expect("it starts");
    drop((running.stdout.take(), running.stderr.take()));
    assert!(running.wait().expect("it ends").success());
    let deals = client.json(&["deals"]).expect("the book is read");
    assert_eq!(text(&deals[0], "state"), "accepted", "{deals}");
}

/// Finding E1: a device, a FIFO and a link were replaced by plain files.
#[test]
fn what_stands_where_a_result_goes_is_written_into_or_keeps_its_mode() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let text = "0123456789".repeat(40);
    let file = client.file("file", text.as_bytes());
    let store = [
        OsStr::new("store"),
        file.as_os_str(),
        OsStr::new("--until"),
        OsStr::new("staged"),
    ];
    let deal = client.run(&store).lines().pop();
    let deal = deal.expect("the last line is the deal's id");
    let fetch = |to: &Path| {
        let fixed = ["retrieve", &deal, "-o"].map(OsStr::new);
        client.run(&[&fixed[..], &[to.as_os_str()]].concat())
    };
    let export = |to: &Path| {
        let fixed = ["vouchers", "export", &deal, "-o"].map(OsStr::new);
        client.run(&[&fixed[..], &[to.as_os_str()]].concat())
    };
    let read = |path: &Path| fs::read_to_string(path).expect("it is there");

    let private = client.file("private", b"old");
    for bits in [0o600, 0o640] {
        fs::set_permissions(&private, fs::Permissions::from_mode(bits)).expect("it is ours");
        fetch(&private).succeeded();
        assert_eq!(read(&private), text);
        let found = fs::metadata(&private).expect("it is there").permissions();
        assert_eq!(found.mode() & 0o777, bits);
    }

    let link = client.path("link");
    symlink("private", &link).expect("there is room");
    fs::write(&private, b"old").expect("it is ours");
    fetch(&link).succeeded();
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert_eq!(read(&private), text);

    let fifo = client.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("there is a mkfifo").success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read_to_string(fifo).expect("it is read to its end")
    });
    fetch(&fifo).succeeded();
    assert!(fs::metadata(&fifo).expect("it is there").file_type().is_fifo());
    assert_eq!(reader.join().expect("it ends"), text);

    // Over a link, so that a program that replaces what is there replaces the link, and not the machine's device.
    let full = client.path("full");
    symlink("/dev/full", &full).expect("there is room");
    for write in [&fetch as &dyn Fn(&Path) -> Ended, &export] {
        write(&full).failed_saying(&["cannot write", "full", "No space left"]);
        let found = fs::metadata(&full).expect("it is there");
        assert!(found.file_type().is_char_device());
    }
    let stdout = client.path("stdout");
    symlink("/dev/stdout", &stdout).expect("there is room");
    assert_eq!(fetch(&stdout).succeeded().stdout, text);
    assert_eq!(partials(&client.path("")), [] as [&str; 0]);
}

/// Finding E3.
#[test]
fn an_ended_command_leaves_no_file_under_way_and_a_killed_ones_goes_with_the_next() {
    let client = Client::new("http://127.0.0.1:9");
    let (home, data) = (client.path("home"), client.path("home/client/imports/data"));
    let import = || {
        let arguments = words(&["client", "import", "-"]);
        let mut command = command(&home, "http://127.0.0.1:9", &arguments);
        let mut running = command.stdin(Stdio::piped()).spawn().expect("it starts");
        let mut input = running.stdin.take().expect("it is a pipe");
        input.write_all(&bytes(73, 100_000)).expect("it reads");
        wait_for("the import to begin", SOON, || {
            let begun = data.is_dir() && !partials(&data).is_empty();
            begun.then_some(())
        });
        (running, input)
    };
    // A signal that this test was started with as ignored (`nohup`, a shell's background) stays so in what it starts.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    for number in [2, 15, 1] {
        if ignored & (1 << (number - 1)) != 0 {
            continue;
        }
        let (mut running, _input) = import();
        let signal = format!("-{number}");
        let code = 128 + number;
        let sent = Command::new("kill").args([&signal, &running.id().to_string()]).status();
        assert!(sent.expect("there is a kill").success());
        assert_eq!(running.wait().expect("it ends").code(), Some(code));
        assert_eq!(partials(&data), [] as [&str; 0], "after {signal}");
    }
    let (mut killed, _input) = import();
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");
    assert_eq!(partials(&data).len(), 1);
    // What another process is about stays.
    let (mut living, input) = import();
    assert_eq!(partials(&data).len(), 1);
    client
        .run(&["import", "/nothing"])
        .failed_saying(&["cannot read /nothing"]);
    assert_eq!(partials(&data).len(), 1);
    drop(input);
    assert!(living.wait().expect("it ends").success());
    assert_eq!(partials(&data), [] as [&str; 0]);
}

/// Finding E3: paths that are not UTF-8 were panics, and control characters reached the terminal.
#[test]
fn a_file_of_any_name_is_stored_and_shown_without_moving_the_terminal() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let name = b"\xff\x1b[2J\n.txt";
    let file = client.path("").join(OsStr::from_bytes(name));
    fs::write(&file, bytes(74, 200)).expect("there is room");
    let shown = client
        .json(&[OsStr::new("import"), file.as_os_str()])
        .expect("it is imported");
    let hex = text(&shown, "pathBytes").to_owned();
    assert!(hex.ends_with("ff1b5b324a0a2e747874"), "{shown}");
    let stored = client.run(&[
        OsStr::new("store"),
        file.as_os_str(),
        OsStr::new("--until"),
        OsStr::new("staged"),
    ]);
    let stored = stored.succeeded();
    assert!(!stored.stderr.contains('\x1b'), "{}", stored.stderr);
    let deals = client.json(&["deals"]).expect("the book is read");
    assert_eq!(text(&deals[0], "fileBytes"), hex);
    let listed = client.run(&["deals"]).lines();
    assert!(
        listed.len() == 1 && listed[0].ends_with("\\u001b[2J\\u000a.txt"),
        "{listed:?}"
    );
    let data = text(&shown, "dataCid");
    let back = Path::new(&file).with_file_name(OsStr::from_bytes(b"back\xff"));
    let fixed = ["retrieve", data, "--json", "-o"].map(OsStr::new);
    let shown = client
        .run(&[&fixed[..], &[back.as_os_str()]].concat())
        .json()
        .expect("it comes back");
    assert!(text(&shown, "pathBytes").ends_with("2f6261636bff"), "{shown}");
    assert_eq!(fs::read(&back).expect("it is there"), bytes(74, 200));
    let missing = client.run(&[OsStr::new("import"), OsStr::from_bytes(b"/no\x1b\xff")]);
    missing.failed_saying(&["cannot read /no\\u001b"]);
}

/// Finding E4.
#[test]
fn an_error_is_json_wherever_the_option_stands() {
    let client = Client::new("http://127.0.0.1:9");
    for arguments in [
        &["--json", "client", "query", "nothing"][..],
        &["client", "--json", "query", "nothing"],
        &["client", "query", "nothing", "--json"],
    ] {
        let told = told(&client.sealdrop(arguments));
        assert_eq!(text(&told, "code"), "chain-unreachable", "{told}");
        assert!(text(&told, "hint").contains("--chain URL"), "{told}");
    }
    for arguments in [&["--json", "minning"][..], &["client", "store", "--json"]] {
        let ended = sealdrop(arguments);
        assert_eq!(ended.status.code(), Some(2));
        assert_eq!(text(&told(&ended), "code"), "usage");
    }
    assert!(sealdrop(&["--json", "--help"]).succeeded().stdout.contains("Usage"));
    // An account belongs to a network, so a new home needs one.
    let daemon = daemon();
    let exported = Client::new(&daemon.chain())
        .sealdrop(&["--json", "wallet", "new"])
        .json()
        .expect("it is JSON");
    assert!(exported["address"].is_string());
}

/// Finding E4.
#[test]
fn an_exported_key_is_imported_in_either_form() {
    // An account belongs to a network; a key that is imported does not.
    let daemon = daemon();
    let (client, other) = (Client::new(&daemon.chain()), Client::new("http://127.0.0.1:9"));
    let address = client.sealdrop(&["wallet", "new"]).lines().remove(0);
    let key = client
        .sealdrop(&["wallet", "export", &address, "--json"])
        .succeeded()
        .stdout;
    let file = other.file("key", key.as_bytes());
    let file = file.to_str().expect("the path is text");
    assert_eq!(other.sealdrop(&["wallet", "import", file]).lines(), [address.clone()]);
    let half = other.file("half", br#"{"address":"t0"}"#);
    let half = half.to_str().expect("the path is text");
    other
        .sealdrop(&["wallet", "import", half])
        .failed_saying(&["no secretKey", "wallet export"]);
}

/// Finding E4.
#[test]
fn standard_input_is_stored_and_its_deal_is_found_by_the_piece_that_store_names() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let arguments = words(&["client", "store", "-", "--until", "staged", "--json"]);
    let mut command = command(&client.path("home"), &daemon.chain(), &arguments);
    let mut running = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = running.stdin.take().expect("it is a pipe");
    input.write_all(&bytes(75, 500)).expect("it reads");
    drop(input);
    let ended = running.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}");
    let deal: Value = serde_json::from_slice(&ended.stdout).expect("it is JSON");
    let piece = text(&deal, "pieceCid");
    assert!(said.contains(&format!("piece {piece}")), "{said}");
    let explained = client.json(&["explain", piece]).expect("it is found");
    assert!(explained["subject"].is_object(), "{explained}");
    let path = client.path("back");
    let fetched = ["retrieve", piece, "-o", path.to_str().expect("the path is text")];
    client.run(&fetched).succeeded();
    assert_eq!(fs::read(&path).expect("it is there"), bytes(75, 500));
}

/// Finding E5: commands talked to whatever listened on the default port, and made real deals there.
#[test]
fn a_home_keeps_to_its_network() {
    let (first, other) = (daemon(), Daemon::start(&["--auto-seal", "24h"]));
    let client = Client::new(&first.chain());
    client.sealdrop(&["chain", "head"]).succeeded();
    client.sealdrop(&["wallet", "new"]).succeeded();
    let home = client.path("home");
    let on = |home: &Path, chain: Option<&str>, arguments: &[&str]| {
        let mut command = Command::new(program());
        command.args(arguments).arg("--home").arg(home);
        command.args(chain.iter().flat_map(|url| ["--chain", url]));
        let ended = command.stdin(Stdio::null()).output().expect("it starts");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        (ended.status.success(), said)
    };
    for arguments in [
        &["chain", "head"][..],
        &["wallet", "fund"],
        &["client", "miners"],
        &["message", "status", crate::NOBODYS],
    ] {
        let (ended_well, said) = on(&home, Some(&other.chain()), arguments);
        assert!(!ended_well, "{arguments:?}");
        for word in ["belongs to the network", &other.chain(), "--home"] {
            assert!(said.contains(word), "{arguments:?}: {said}");
        }
    }
    // It was used with that endpoint first.
    assert!(on(&home, None, &["chain", "head"]).0);
    // Nobody's: no default port is tried.
    let (ended_well, said) = on(&client.path("new"), None, &["chain", "head"]);
    assert!(!ended_well && said.contains("knows no network"), "{said}");
    let (ended_well, said) = on(&client.path("new"), None, &["mining", "stop"]);
    assert!(!ended_well && said.contains("none ever ran in this home"), "{said}");
    // A daemon's home names its own, also where another listens now.
    let (ended_well, said) = on(first.home(), Some(&other.chain()), &["client", "miners"]);
    assert!(!ended_well && said.contains("belongs to the network"), "{said}");
}

/// Whoever pipes a file on hears of a miner's end only when all of it is there.
#[test]
fn what_is_written_out_ends_quietly_with_its_reader() {
    let client = Client::new("http://127.0.0.1:9");
    let file = client.file("file", &bytes(76, 2_000_000));
    let imported = client.run(&[OsStr::new("import"), file.as_os_str()]).lines().remove(0);
    let arguments = words(&["client", "cat", &imported]);
    let mut running = command(&client.path("home"), "http://127.0.0.1:9", &arguments)
        .spawn()
        .expect("it starts");
    let mut first = [0; 10];
    let mut output = BufReader::new(running.stdout.take().expect("it is a pipe"));
    output.read_exact(&mut first).expect("it is written out");
    drop(output);
    assert!(running.wait().expect("it ends").success());
    let mut said = String::new();
    let errors = running.stderr.take().expect("it is a pipe");
    BufReader::new(errors).read_line(&mut said).expect("it is text");
    assert!(!said.contains("panic") && !said.contains("cannot"), "{said}");
    let full = File::options().write(true).open("/dev/full").expect("it is there");
    let ended = command(&client.path("home"), "http://127.0.0.1:9", &arguments)
        .stdout(full)
        .output();
    assert_eq!(ended.expect("it starts").status.code(), Some(1));
}

fn files_below(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files_below(&path),
            path => fs::read(path).into_iter().collect(),
        })
        .collect()
}

/// Whoever loses it has lost what was encrypted to it, and whoever finds it reads that.
#[test]
fn an_identity_is_told_once_and_kept_nowhere_but_in_a_new_file_that_was_asked_for() {
    let client = Client::new("http://127.0.0.1:9");
    let made = client.json(&["keygen"]).expect("it needs neither daemon nor chain");
    let identity = text(&made, "identity");
    assert!(identity.starts_with("AGE-SECRET-KEY-1"), "{identity}");
    assert!(text(&made, "recipient").starts_with("age1"), "{made}");
    let kept = files_below(&client.path("home"));
    let found = |bytes: &Vec<u8>| bytes.windows(identity.len()).any(|part| part == identity.as_bytes());
    assert!(!kept.iter().any(found), "it is kept in the home");
    let path = client.path("key");
    let to_file = ["keygen", "-o", path.to_str().expect("the path is text")];
    let ended = client.run(&to_file).succeeded();
    assert!(ended.stdout.starts_with("age1"), "{}", ended.stdout);
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("AGE-SECRET-KEY"));
    let written = fs::read_to_string(&path).expect("it is there");
    assert!(
        written.lines().any(|line| line.starts_with("AGE-SECRET-KEY-1")),
        "{written}"
    );
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    client
        .run(&to_file)
        .failed_saying(&["is there already", "never replaced"]);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), written);
}
