use super::*;
use crate::configuration::{configured, written, Configuration, Parts};
use crate::daemon::DaemonConfig;

fn answers(change: impl FnOnce(&mut Answers)) -> Answers {
    let mut answers = Answers {
        home: "/h".into(),
        file: "/h/sealdrop.toml".into(),
        role: Role::ChainAndMiner,
        network: None,
        block_time: None,
        sector_size: SectorSize::S8MiB,
        price: AttoFil(100_000_000),
        reach: Reach::ThisMachine,
        names: Vec::new(),
        ports: Ports::USUAL,
        params: None,
        official_params: false,
        tls: None,
    };
    change(&mut answers);
    answers
}

/// What a daemon that reads the file runs with, and the file.
fn read(answers: &Answers) -> (DaemonConfig, String) {
    let text = written(&answers.options(true), HEAD);
    let parts = match answers.role {
        Role::Chain => Parts::Chain,
        _ => Parts::Miner,
    };
    let said = Configuration::of_text(&answers.file, &text).expect("the file has keys that there are");
    let config = configured(parts, &said).expect("they go together");
    config.check().expect("a daemon can run with it");
    (config, text)
}

fn named(names: &[&str]) -> Vec<HostName> {
    names.iter().map(|name| name.parse().expect("a name")).collect()
}

fn texts<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

#[test]
fn the_usual_answers_come_to_a_daemon_of_this_machine_alone() {
    let (config, text) = read(&answers(|_| {}));
    assert_eq!(config.role, Role::ChainAndMiner);
    assert_eq!(config.warnings(), [""; 0]);
    assert!(
        !text.contains("listen =") && !text.contains("port =") && !text.contains("\nhome"),
        "{text}"
    );
    assert!(text.contains("sectorSize = \"8MiB\"") && text.contains("storagePrice = \"0.0000000001\""));
}

#[test]
fn other_ports_are_those_of_each_listener_wherever_it_listens() {
    let other = Ports {
        web: 1,
        p2p: 2,
        p2p_ws: 3,
        chain: 4,
        http: 5,
    };
    for reach in [Reach::ThisMachine, Reach::Network, Reach::Internet] {
        let (config, _) = read(&answers(|answers| (answers.ports, answers.reach) = (other, reach)));
        let ports: Vec<u16> = config.listens().iter().map(|(_, address)| address.port()).collect();
        for port in 1..=5 {
            assert!(ports.contains(&port), "{reach:?}: {port} is not in {ports:?}");
        }
        assert!(ports.iter().all(|port| *port < 6), "{reach:?}: {ports:?}");
    }
}

#[test]
fn a_port_that_two_listeners_share_is_found_among_those_that_the_role_uses() {
    let role = Role::ChainAndMiner;
    assert_eq!(Ports::USUAL.shared(&role), None);
    let twice = Ports {
        web: 4403,
        ..Ports::USUAL
    };
    assert_eq!(twice.shared(&role), Some(4403));
    assert_eq!(twice.shared(&Role::Chain), None, "it has no page");
    let free = Ports {
        web: 0,
        chain: 0,
        ..Ports::USUAL
    };
    assert_eq!(free.shared(&role), None);
}

#[test]
fn a_network_reaches_chain_page_and_miner_and_nothing_is_announced_in_place_of_where_they_listen() {
    let (config, _) = read(&answers(|answers| {
        answers.reach = Reach::Network;
        answers.names = named(&["box.lan"]);
    }));
    for addresses in [&config.chain.addresses, &config.web.addresses, &config.http.addresses] {
        assert!(
            addresses.iter().any(|address| address.ip().is_unspecified()),
            "{addresses:?}"
        );
        assert_eq!(addresses.len(), 2);
    }
    assert!(!config.chain_is_public && config.p2p.announce.is_empty());
    assert_eq!(
        (config.web.hosts, config.chain.hosts),
        (vec!["box.lan".into()], vec!["box.lan".into()])
    );
}

#[test]
fn the_internet_is_told_names_and_gets_the_page_in_tls_alone() {
    let (config, _) = read(&answers(|answers| {
        answers.reach = Reach::Internet;
        answers.names = named(&["miner.example.org", "192.0.2.7", "2001:db8::1"]);
    }));
    assert!(config.chain_is_public);
    assert_eq!(
        texts(&config.web.addresses),
        ["127.0.0.1:4400"],
        "a token would cross it unencrypted"
    );
    let announced = texts(&config.p2p.announce);
    for address in [
        "/dns4/miner.example.org/tcp/4401",
        "/dns4/miner.example.org/udp/4402/quic-v1/webtransport",
        "/ip4/192.0.2.7/udp/4401/quic-v1",
        "/ip6/2001:db8::1/tcp/4402/ws",
    ] {
        assert!(announced.iter().any(|one| one == address), "{address}: {announced:?}");
    }
    assert_eq!(
        texts(&config.http.announce).first().map(String::as_str),
        Some("/dns4/miner.example.org/tcp/4405/http")
    );
    let mut with_tls = answers(|answers| answers.reach = Reach::Internet);
    with_tls.names = named(&["miner.example.org"]);
    with_tls.tls = Some(Tls {
        certificate: "/c.pem".into(),
        key: "/k.pem".into(),
    });
    let options = with_tls.options(false);
    assert_eq!(texts(&options.web.web_listen.expect("it is shown")), ["0.0.0.0:4400"]);
    let listen = texts(&options.p2p.p2p_listen.expect("others reach it"));
    assert!(
        listen.contains(&"/ip4/0.0.0.0/tcp/4402/tls/ws".to_owned()),
        "{listen:?}"
    );
    assert_eq!(
        texts(&options.http.http_announce.expect("it is announced")),
        ["/dns4/miner.example.org/tcp/4405/tls/http"]
    );
}

#[test]
fn a_joined_chains_numbers_and_a_lonely_chains_miner_are_not_in_the_file() {
    let (config, text) = read(&answers(|answers| {
        let chain = "http://192.0.2.7:4403".to_owned();
        answers.role = Role::Miner { chain };
        answers.network = Some("alpha-net".into());
        answers.ports.chain = 9;
    }));
    assert!(matches!(config.role, Role::Miner { .. }));
    assert!(!text.contains("alpha-net") && !text.contains("port = 9"), "{text}");
    let (config, text) = read(&answers(|answers| {
        (answers.role, answers.reach) = (Role::Chain, Reach::Network);
    }));
    assert_eq!(config.role, Role::Chain);
    for absent in ["[p2p]", "[web]", "[http]", "[mining]"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
}

#[test]
fn what_comes_next_names_the_home_or_the_file_where_they_are_not_the_usual() {
    let next = |answers: &Answers| answers.next_command(Some(Path::new("/h")));
    assert_eq!(next(&answers(|_| {})), "sealdrop daemon");
    assert_eq!(
        next(&answers(|answers| answers.role = Role::Chain)),
        "sealdrop chain run"
    );
    let other = answers(|answers| (answers.home, answers.file) = ("/a b".into(), "/a b/sealdrop.toml".into()));
    assert_eq!(next(&other), "sealdrop daemon --home '/a b'");
    let elsewhere = answers(|answers| answers.file = "/etc/sealdrop/sealdrop.toml".into());
    assert_eq!(next(&elsewhere), "sealdrop daemon --config /etc/sealdrop/sealdrop.toml");
    let (config, _) = read(&elsewhere);
    assert_eq!(config.home, Some("/h".into()));
}
