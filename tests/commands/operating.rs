//! The operator's commands, asked of the running daemon.

use crate::{daemon, text, NOBODYS};
use sealdrop_tests::{bytes, Client, Daemon};
use shared::client::link::Link;

/// spec §9.51: one after the other, since all of them change what the one miner does. The list of deals filters by role; a
/// deal of 2000 blocks shows two vouchers, half and full, the first conditional; a free one shows none; an unknown deal
/// is "deal not found".
#[test]
fn the_operator_starts_stops_configures_and_is_told() {
    let daemon = daemon();
    only_who_has_a_token_is_obeyed_and_only_in_what_it_is_for(&daemon);
    the_miner_is_described(&daemon);
    mining_starts_and_stops(&daemon);
    settings_are_read_and_changed(&daemon);
    deals_are_listed_and_shown(&daemon);
    a_free_deal_has_no_vouchers(&daemon);
}

/// Finding A10: any local user's `mining stop` was obeyed.
fn only_who_has_a_token_is_obeyed_and_only_in_what_it_is_for(daemon: &Daemon) {
    let price = ["config", "mining.storagePrice", "0.5"];
    for order in [&["mining", "stop"][..], &price, &["mining", "status"]] {
        daemon
            .operate_from_elsewhere(None, order)
            .failed_saying_once(&["takes orders from its operator only", "operator.token is not there"]);
    }
    let token = |scope| daemon.operate(&["token", "show", "--scope", scope]).lines().remove(0);
    let (read, operate) = (token("read"), token("operate"));
    daemon
        .operate_from_elsewhere(Some(&read), &["mining", "status"])
        .succeeded();
    daemon
        .operate_from_elsewhere(Some(&read), &["mining", "stop"])
        .failed_saying_once(&["this token is for read, and this needs one for operate"]);
    daemon
        .operate_from_elsewhere(Some(&operate), &["mining", "start"])
        .succeeded();
    daemon
        .operate_from_elsewhere(Some(&operate), &price)
        .failed_saying_once(&["needs one for admin"]);
    daemon.operate(&["token", "rotate"]).succeeded();
    daemon
        .operate_from_elsewhere(Some(&operate), &["mining", "stop"])
        .failed_saying_once(&["takes orders from its operator only"]);
    assert_ne!(token("operate"), operate);
    daemon.operate(&["mining", "status"]).succeeded();
}

/// Finding A11.
#[test]
fn the_page_is_kept_to_itself_and_to_this_machine() {
    let daemon = daemon();
    for path in ["/", "/config.json", "/health", "/api/v1/miner/status"] {
        let answer = daemon.get(path).to_lowercase();
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self' 'wasm-unsafe-eval';",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'; trusted-types lit-html default",
            "x-content-type-options: nosniff",
            "cross-origin-opener-policy: same-origin",
        ] {
            assert!(answer.contains(header), "{path} lacks {header}: {answer}");
        }
    }
    assert!(daemon.get("/api/v1/miner/status").starts_with("HTTP/1.1 401"));
    let foreign = daemon.get("/config.json HTTP/1.1\r\nHost: page.example\r\nX-Rest:");
    assert!(foreign.starts_with("HTTP/1.1 4"), "{foreign}");
}

#[test]
fn a_link_opens_the_page_at_the_miner_and_is_drawn_for_a_camera() {
    let daemon = daemon();
    let status = daemon.operate_json(&["mining", "status"]).expect("the daemon answers");
    let miner = text(&status, "address").to_owned();
    let told = daemon.operate_json(&["mining", "link"]).expect("the daemon answers");
    let link = text(&told, "link").to_owned();
    let named = Link::parse(&link).expect("it is a link").expect("it names something");
    assert_eq!(named.miner.map(|address| address.to_string()), Some(miner));
    assert_eq!(
        named.chain.map(|url| url.to_string()),
        Some(format!("{}/rpc", daemon.chain()))
    );
    assert_eq!(text(&status, "link"), link);
    let shown = daemon.operate(&["mining", "link"]).succeeded();
    assert!(
        shown.stderr.contains("--page URL") && shown.stderr.contains("--chain URL"),
        "{}",
        shown.stderr
    );
    let lines = shown.lines();
    assert!(lines.len() > 20 && lines.last() == Some(&link), "{lines:?}");
    let public = [
        "mining",
        "link",
        "--no-qr",
        "--page",
        "https://page.example/store/",
        "--chain",
        "https://chain.example/rpc",
    ];
    let public = daemon.operate(&public).lines();
    assert!(
        public[0].starts_with("https://page.example/store/#/miner="),
        "{public:?}"
    );
    assert!(public[0].ends_with("&chain=https://chain.example/rpc"), "{public:?}");
}

#[test]
fn the_doctor_finds_out_what_a_miner_lacks_whether_it_runs_or_not() {
    let mut daemon = Daemon::start(&[]);
    let levels = |told: &serde_json::Value, check: &str| -> Vec<String> {
        let all = told["findings"].as_array().expect("a list").iter();
        let of = all.filter(|finding| finding["check"] == check);
        of.map(|finding| text(finding, "level").to_owned()).collect()
    };
    let told = daemon.operate_json(&["doctor"]).expect("nothing is wrong");
    assert_eq!(told["ok"], true);
    for check in ["home", "daemon", "chain", "clock", "miner"] {
        assert_eq!(levels(&told, check), ["ok"], "{check}: {told}");
    }
    let addresses = levels(&told, "address");
    assert!(
        !addresses.is_empty() && addresses.iter().all(|level| level == "ok"),
        "{told}"
    );
    assert_eq!(
        levels(&told, "reach"),
        ["warning"],
        "it listens on loopback alone: {told}"
    );
    assert!(daemon.stop().success());
    let ended = daemon.operate(&["doctor", "--json"]);
    assert_eq!(
        ended.status.code(),
        Some(i32::from(shared::exit_code::UNWELL)),
        "{ended:?}"
    );
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one JSON value");
    assert_eq!(levels(&told, "daemon"), ["warning"], "{told}");
    assert_eq!(levels(&told, "chain"), ["wrong"], "{told}");
    assert_eq!(levels(&told, "home"), ["ok"], "{told}");
    let shown = daemon.operate(&["doctor"]);
    assert!(shown.stdout.contains("wrong    chain: "), "{shown:?}");
    shown.failed_saying(&["1 of the checks found something wrong"]);
}

fn the_miner_is_described(daemon: &Daemon) {
    let status = daemon.operate_json(&["mining", "status"]).expect("the daemon answers");
    let address = text(&status, "address").to_owned();
    assert_eq!(daemon.operate(&["mining", "address"]).lines(), [address.clone()]);
    let shown = daemon.operate(&["mining", "status"]).succeeded().stdout;
    assert!(shown.contains(&address) && shown.contains("0 / 0"), "{shown}");
    assert_eq!(daemon.operate(&["mining", "setup"]).lines(), ["mining ready"]);
    let shown = daemon.operate(&["miner", "status"]).succeeded().stdout;
    assert!(shown.contains(&address) && shown.contains("takes deals"), "{shown}");
    let block = daemon.operate(&["mining", "once"]).lines().remove(0);
    daemon.operate(&["chain", "block", &block]).succeeded();
}

fn mining_starts_and_stops(daemon: &Daemon) {
    assert_eq!(daemon.operate(&["mining", "seal-now"]).lines(), ["sealing started"]);
    assert_eq!(daemon.operate(&["mining", "stop"]).lines(), ["Stopped mining"]);
    let file = daemon.home().join("a piece of the operator's own");
    std::fs::write(&file, bytes(31, 100)).expect("the file can be written");
    let file = file.to_str().expect("the path is text");
    daemon
        .operate(&["mining", "seal-now"])
        .failed_saying_once(&["must be mining to seal sectors"]);
    daemon
        .operate(&["mining", "add-piece", file])
        .failed_saying_once(&["must be mining to add piece"]);
    assert_eq!(daemon.operate(&["mining", "start"]).lines(), ["Started mining"]);
    let staged = daemon.operate(&["mining", "add-piece", file]).lines().remove(0);
    let sector = staged
        .strip_prefix("piece staged in sector ")
        .expect("it names the sector");
    sectors_are_filled_and_tried_again_only_when_they_failed(daemon, sector);
    let large = daemon.home().join("too large");
    std::fs::write(&large, bytes(32, 2033)).expect("the file can be written");
    daemon
        .operate(&["mining", "add-piece", large.to_str().expect("the path is text")])
        .failed_saying(&["2032 bytes"]);
    daemon
        .operate(&["mining", "add-piece", "/nowhere at all"])
        .failed_saying_once(&["/nowhere at all", "No such file"]);
    daemon
        .operate(&["mining", "add-piece", "/"])
        .failed_saying_once(&["cannot be read", "Is a directory"]);
}

fn sectors_are_filled_and_tried_again_only_when_they_failed(daemon: &Daemon, sector: &str) {
    let status = daemon.operate_json(&["mining", "status"]).expect("the daemon answers");
    let number: u64 = sector.parse().expect("sectors are numbered");
    let packing = status["packing"].as_array().expect("a list");
    let filling = packing.iter().find(|filling| filling["sector"] == number);
    let filling = filling.expect("it takes pieces");
    assert!(
        filling["used"].as_u64() >= Some(128) && filling["size"] == 2048,
        "{status}"
    );
    let shown = daemon.operate(&["mining", "status"]).succeeded().stdout;
    assert!(shown.contains("of 2048 bytes used"), "{shown}");
    for order in ["retry", "give-up"] {
        daemon
            .operate(&["mining", order, sector])
            .failed_saying_once(&["only a failed sector"]);
        daemon
            .operate(&["mining", order, "999"])
            .failed_saying_once(&["there is no sector 999"]);
    }
}

fn settings_are_read_and_changed(daemon: &Daemon) {
    let config = |arguments: &[&str]| daemon.operate(&[&["config"], arguments].concat());
    let all = daemon.operate_json(&["config"]).expect("the daemon answers");
    assert_eq!(all["config"]["mining.autoSealIntervalSeconds"], 24 * 3600);
    assert!(config(&[]).succeeded().stdout.contains("sectorbase.rootdir"));
    assert_eq!(config(&["mining.storagePrice"]).lines(), ["0.0000000001"]);
    assert_eq!(config(&["mining.minDuration", "2"]).lines(), ["2"]);
    let kept = daemon
        .operate_json(&["config", "mining.minDuration"])
        .expect("it is there");
    assert_eq!(kept, serde_json::json!({ "key": "mining.minDuration", "value": 2 }));
    let shown = daemon.operate_json(&["config", "show"]).expect("it is asked");
    assert_eq!(shown["config"]["mining.minDuration"]["source"], "kept");
    assert_eq!(shown["config"]["mining.maxDuration"]["source"], "default");
    config(&["chain.public", "true"]).failed_saying_once(&["holds from a daemon's start on"]);
    config(&["mining.minDuration", "1"]).succeeded();
    config(&["mining.minDuration", "0"]).failed_saying(&["no deal lasts"]);
    config(&["mining.minDuration", "soon"]).failed_saying_once(&["a number of blocks"]);
    config(&["mining.prize"]).failed_saying_once(&["no setting", "mining.storagePrice"]);
    config(&["mining.minerAddress", "t01"]).failed_saying_once(&["cannot be changed"]);
    // The daemon keeps the ask in line with its price (spec §6.2, where they could diverge).
    let miner = daemon.operate(&["config", "mining.minerAddress"]).lines().remove(0);
    let told = daemon
        .operate(&["miner", "set-price", "0.00000000005", "500000"])
        .lines();
    assert_eq!(told[0], format!("Set price for miner {miner} to 0.00000000005."));
    assert!(told[1].starts_with("Published ask, cid: "), "{told:?}");
    assert_eq!(config(&["mining.storagePrice"]).lines(), ["0.00000000005"]);
    let preview = ["miner", "set-price", "7", "500000", "--preview"];
    assert_eq!(daemon.operate(&preview).lines(), ["100"]);
    assert_eq!(config(&["mining.storagePrice"]).lines(), ["0.00000000005"]);
}

fn deals_are_listed_and_shown(daemon: &Daemon) {
    let client = Client::new(&daemon.chain());
    let paid = stored(&client, &bytes(41, 100), "2000");
    let listed = |arguments: &[&str]| {
        let all = [&["deals", "list"], arguments].concat();
        let deals = daemon.operate_json(&all).expect("the daemon answers");
        deals["deals"].as_array().expect("a list of deals").clone()
    };
    assert!(listed(&["--client"]).is_empty(), "the daemon's home made no deal");
    let taken = listed(&["--miner"]);
    let found = taken.iter().find(|deal| deal["proposalCid"] == paid.as_str());
    let found = found.expect("the miner took it");
    assert_eq!(
        (&found["role"], found["minerAddress"].is_string()),
        (&"miner".into(), true)
    );
    let made = client.sealdrop_json(&["deals", "ls", "-c"]).expect("the book is read");
    assert_eq!(made["deals"][0]["proposalCid"], paid.as_str());
    assert_eq!(made["deals"][0]["role"], "client");

    its_vouchers_are_shown_to_both(daemon, &client, &paid);
    it_is_explained_to_both(daemon, &client, &paid);
    let shown = daemon.operate(&["deals", "show", &paid]).succeeded().stdout;
    assert!(
        shown.contains("verifyPieceInclusion") && shown.contains("2000 blocks"),
        "{shown}"
    );
    daemon
        .operate(&["deals", "show", NOBODYS])
        .failed_saying_once(&["deal not found"]);
    daemon
        .operate(&["deals", "redeem", NOBODYS])
        .failed_saying_once(&["deal not found"]);
    daemon
        .operate(&["deals", "redeem", &paid])
        .failed_saying_once(&["only a complete deal"]);
}

fn its_vouchers_are_shown_to_both(daemon: &Daemon, client: &Client, deal: &str) {
    for shown in [
        daemon.operate_json(&["deals", "show", deal]),
        client.sealdrop_json(&["deals", "show", deal]),
    ] {
        let shown = shown.expect("both sides know the deal");
        let vouchers = shown["payment_vouchers"].as_array().expect("a list of vouchers");
        assert_eq!(vouchers.len(), 2, "{shown}");
        // 100 bytes for 2000 blocks at 0.00000000005 FIL.
        assert_eq!(
            (&vouchers[0]["amount"], &vouchers[1]["amount"]),
            (&"0.000005".into(), &"0.00001".into())
        );
        assert_eq!(shown["total_price"], vouchers[1]["amount"]);
        assert_eq!(vouchers[0]["condition"], "verifyPieceInclusion");
        assert!(
            !vouchers[1]["condition"].is_null(),
            "the last one too is paid for a piece that is proven"
        );
        assert_eq!(
            (&shown["duration_blocks"], &shown["deal_size"]),
            (&2000.into(), &100.into())
        );
    }
}

/// It waits in a sector that nobody seals: the same answer as the miner's, as its client's, and of the sector.
fn it_is_explained_to_both(daemon: &Daemon, client: &Client, deal: &str) {
    let of_miner = daemon
        .operate_json(&["deals", "explain", deal])
        .expect("the miner knows it");
    let of_client = client.json(&["explain", deal]).expect("the miner answers the client");
    let sector = of_miner["because"][0]["text"].as_str().expect("a cause has a text");
    let sector = sector.split(' ').nth(1).expect("it names the sector").to_owned();
    let of_sector = daemon
        .operate_json(&["mining", "explain", &sector])
        .expect("it is there");
    for told in [&of_miner, &of_client, &of_sector] {
        assert_eq!(told["because"][0]["code"], "waitingForAutoSeal", "{told}");
        assert_eq!(told["done"], false);
        assert!(told["eta"]["expectedMs"].as_u64() > Some(3_600_000), "{told}");
    }
    for told in [&of_miner, &of_client] {
        assert_eq!(told["subject"], serde_json::json!({ "kind": "deal", "id": deal }));
        assert_eq!(told["state"], "staged");
    }
    assert_eq!(of_client["steps"][0]["phase"], "channel");
    let printed = daemon.operate(&["deals", "explain", deal]).succeeded().stdout;
    assert!(
        printed.contains("seal-now") && printed.contains("going by"),
        "{printed}"
    );
    daemon
        .operate(&["deals", "explain", NOBODYS])
        .failed_saying_once(&["deal not found"]);
    daemon
        .operate(&["mining", "explain", "999"])
        .failed_saying_once(&["no sector 999"]);
    client
        .run(&["explain", NOBODYS])
        .failed_saying(&["neither the id of a deal"]);
}

fn a_free_deal_has_no_vouchers(daemon: &Daemon) {
    daemon.operate(&["miner", "set-price", "0", "500000"]).succeeded();
    let free = stored(&Client::new(&daemon.chain()), &bytes(42, 100), "2000");
    let shown = daemon
        .operate_json(&["deals", "show", &free])
        .expect("the miner knows the deal");
    assert_eq!(shown["payment_vouchers"], serde_json::json!([]));
}

fn stored(client: &Client, data: &[u8], duration: &str) -> String {
    let file = client.file("file", data);
    let file = file.to_str().expect("the path is text");
    let arguments = ["store", file, "--duration", duration, "--until", "staged"];
    let deal = client.json(&arguments).expect("the deal is made");
    text(&deal, "deal").to_owned()
}
