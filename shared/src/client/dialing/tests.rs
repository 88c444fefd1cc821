use super::*;
use alloc::string::ToString;
use alloc::vec;

const PEER: &str = "12D3KooWR7EfNv5SLtgjMRjUwR8AvNu3hP4fLrtSa9fmHHXKYWNG";
const OTHER: &str = "12D3KooWGjMCwsZmXHxo1wJqY1SXnHrVkqT2q4fEBJHbPZYQJGmZ";
const HASH: &str = "uEiCaDd1Ca1A8IVJ3hsIxIyi11cwxaDKqzVrBkGJbKZU5ng";
const NEW_HASH: &str = "uEiDv-VGW8oXxui_G_Kqp-87YjvET-Hr2qYAMYPePJDcsjQ";

fn webtransport(host: &str) -> String {
    alloc::format!("{host}/udp/4405/quic-v1/webtransport/certhash/{HASH}/certhash/{NEW_HASH}")
}

fn webrtc(host: &str) -> String {
    alloc::format!("{host}/udp/4406/webrtc-direct/certhash/{HASH}")
}

/// Everything that a miner on one machine may announce.
fn all() -> Vec<String> {
    let mut all = vec![
        "/dns4/miner.example/tcp/4404/tls/ws".to_string(),
        "/dns4/miner.example/tcp/443/wss".to_string(),
    ];
    for host in [
        "/ip4/127.0.0.1",
        "/ip4/192.168.1.7",
        "/ip4/203.0.113.9",
        "/ip6/2001:db8::9",
    ] {
        let over = |rest: &str| alloc::format!("{host}/{rest}");
        all.extend([over("tcp/4401"), over("tcp/4402/ws"), over("udp/4401/quic-v1")]);
        all.extend([webrtc(host), webtransport(host)]);
    }
    all
}

fn browser(page: Page) -> Dialer {
    use Transport::{SecureWebSocket, WebRtcDirect, WebSocket, WebTransport};
    let mut transports = vec![SecureWebSocket, WebSocket, WebRtcDirect];
    if page.is_secure {
        transports.push(WebTransport);
    }
    let page = Some(page);
    Dialer { transports, page }
}

fn public(permission: Permission) -> Dialer {
    browser(Page::of_origin("https://app.example", true, permission, permission))
}

fn local() -> Dialer {
    browser(Page::of_origin(
        "http://127.0.0.1:4400",
        true,
        Permission::Granted,
        Permission::Granted,
    ))
}

fn plan_of<'a>(dialer: &Dialer, addresses: impl IntoIterator<Item = &'a String>) -> Plan {
    let addresses = addresses.into_iter().map(String::as_str);
    plan(dialer, PEER, addresses, &Failures::default(), 0)
}

fn dialled(plan: &Plan) -> Vec<&str> {
    plan.dial.iter().map(|candidate| candidate.address.as_str()).collect()
}

fn obstacle_of(plan: &Plan, address: &str) -> Obstacle {
    let left = plan.left_out.iter().find(|left| left.address == address);
    left.unwrap_or_else(|| panic!("{address} is not left out: {plan:?}"))
        .obstacle
}

fn only(dialer: &Dialer, address: &str) -> Plan {
    plan(dialer, PEER, [address], &Failures::default(), 0)
}

#[test]
fn a_page_of_this_machine_dials_web_transport_here_first_and_few_in_all() {
    let plan = plan_of(&local(), &all());
    assert_eq!(
        dialled(&plan),
        [
            webtransport("/ip4/127.0.0.1"),
            webtransport("/ip4/192.168.1.7"),
            webtransport("/ip4/203.0.113.9"),
            webtransport("/ip6/2001:db8::9"),
        ]
    );
    assert_eq!(obstacle_of(&plan, "/ip4/127.0.0.1/tcp/4402/ws"), Obstacle::Surplus);
    assert_eq!(obstacle_of(&plan, "/ip4/127.0.0.1/tcp/4401"), Obstacle::Unsupported);
    assert_eq!(plan.dial.len().saturating_add(plan.left_out.len()), all().len());
}

#[test]
fn many_networks_of_a_machine_do_not_keep_its_public_address_from_being_dialled() {
    let hosts = [
        "172.17.0.1",
        "172.18.0.1",
        "172.19.0.1",
        "192.168.1.7",
        "127.0.0.1",
        "203.0.113.9",
    ];
    let addresses: Vec<String> = hosts
        .iter()
        .map(|host| webtransport(&alloc::format!("/ip4/{host}")))
        .collect();
    let plan = plan_of(&local(), &addresses);
    let first = [&addresses[4], &addresses[0], &addresses[5], &addresses[1]];
    assert_eq!(dialled(&plan), first);
}

#[test]
fn a_public_page_asks_its_user_only_after_what_needs_no_answer() {
    let addresses = [
        webrtc("/ip4/203.0.113.9"),
        "/dns4/miner.example/tcp/443/wss".to_string(),
        webtransport("/ip4/192.168.1.7"),
        webtransport("/ip4/203.0.113.9"),
    ];
    let plan = plan_of(&public(Permission::Prompt), &addresses);
    assert_eq!(
        dialled(&plan),
        [
            webtransport("/ip4/203.0.113.9"),
            "/dns4/miner.example/tcp/443/wss".to_string(),
            webtransport("/ip4/192.168.1.7"),
            webrtc("/ip4/203.0.113.9"),
        ]
    );
    let asks: Vec<bool> = plan.dial.iter().map(|candidate| candidate.asks).collect();
    assert_eq!(asks, [false, false, true, false]);
}

#[test]
fn without_the_permission_a_private_miner_is_reached_over_web_rtc_only() {
    let addresses = [webtransport("/ip4/127.0.0.1"), webrtc("/ip4/127.0.0.1")];
    let plan = plan_of(&public(Permission::Denied), &addresses);
    assert_eq!(dialled(&plan), [webrtc("/ip4/127.0.0.1")]);
    assert_eq!(
        obstacle_of(&plan, &webtransport("/ip4/127.0.0.1")),
        Obstacle::PermissionDenied
    );
    let granted = plan_of(&public(Permission::Granted), &addresses);
    assert_eq!(
        dialled(&granted),
        [webtransport("/ip4/127.0.0.1"), webrtc("/ip4/127.0.0.1")]
    );
}

#[test]
fn the_permission_for_this_machine_is_not_the_one_for_the_network() {
    let page = Page::of_origin("https://app.example", true, Permission::Denied, Permission::Granted);
    let addresses = [webtransport("/ip4/192.168.1.7"), webtransport("/ip4/127.0.0.1")];
    let plan = plan_of(&browser(page), &addresses);
    assert_eq!(dialled(&plan), [webtransport("/ip4/127.0.0.1")]);
    // A page of the local network needs the one for this machine only.
    let page = Page::of_origin("https://192.168.1.2", true, Permission::Denied, Permission::Denied);
    let plan = plan_of(&browser(page), &addresses);
    assert_eq!(dialled(&plan), [webtransport("/ip4/192.168.1.7")]);
}

#[test]
fn a_page_over_https_sends_nothing_in_the_clear_but_to_this_machine() {
    let https = public(Permission::Granted);
    for host in ["/ip4/192.168.1.7", "/ip4/203.0.113.9", "/dns4/miner.example"] {
        let address = alloc::format!("{host}/tcp/4402/ws");
        assert_eq!(obstacle_of(&only(&https, &address), &address), Obstacle::MixedContent);
    }
    for address in [
        "/ip4/127.0.0.1/tcp/4402/ws",
        "/ip6/::1/tcp/4402/ws",
        "/dns4/localhost/tcp/4402/ws",
    ] {
        assert_eq!(dialled(&only(&https, address)), [address]);
    }
    // No permission helps against it, so that is what is said.
    let denied = public(Permission::Denied);
    let address = "/ip4/192.168.1.7/tcp/4402/ws";
    assert_eq!(obstacle_of(&only(&denied, address), address), Obstacle::MixedContent);
}

#[test]
fn a_page_over_http_of_another_machine_has_no_web_transport() {
    let page = Page::of_origin(
        "http://192.168.1.2:4400",
        false,
        Permission::Granted,
        Permission::Granted,
    );
    let addresses = [
        webtransport("/ip4/192.168.1.2"),
        "/ip4/192.168.1.2/tcp/4402/ws".to_string(),
    ];
    let plan = plan_of(&browser(page), &addresses);
    assert_eq!(dialled(&plan), ["/ip4/192.168.1.2/tcp/4402/ws"]);
    assert_eq!(obstacle_of(&plan, &addresses[0]), Obstacle::InsecurePage);
    let page = Page::of_origin("http://app.example", false, Permission::Granted, Permission::Granted);
    let nearer = only(&browser(page), "/ip4/192.168.1.2/tcp/4402/ws");
    assert_eq!(nearer.obstacle(), Some(Obstacle::InsecurePage));
}

#[test]
fn what_a_browser_does_not_have_is_said_to_be_missing() {
    let mut dialer = local();
    dialer
        .transports
        .retain(|transport| *transport != Transport::WebTransport);
    let address = webtransport("/ip4/127.0.0.1");
    assert_eq!(obstacle_of(&only(&dialer, &address), &address), Obstacle::MissingApi);
    // Without data channels that can be handed over to a worker.
    dialer
        .transports
        .retain(|transport| *transport != Transport::WebRtcDirect);
    let address = webrtc("/ip4/127.0.0.1");
    assert_eq!(obstacle_of(&only(&dialer, &address), &address), Obstacle::MissingApi);
}

#[test]
fn a_page_dials_web_rtc_last_and_only_at_an_ip_address_with_one_certificate() {
    let addresses = [webrtc("/ip4/127.0.0.1"), "/ip4/127.0.0.1/tcp/4402/ws".to_string()];
    let plan = plan_of(&local(), &addresses);
    assert_eq!(dialled(&plan), [addresses[1].clone(), addresses[0].clone()]);
    let two = webrtc("/ip4/127.0.0.1") + &alloc::format!("/certhash/{NEW_HASH}");
    let none = "/ip4/127.0.0.1/udp/4406/webrtc-direct".to_string();
    for (address, obstacle) in [
        (two, Obstacle::Unsupported),
        (webrtc("/dns4/miner.example"), Obstacle::Unsupported),
        (none, Obstacle::NoCertificateHash),
    ] {
        assert_eq!(obstacle_of(&only(&local(), &address), &address), obstacle);
    }
}

#[test]
fn what_has_just_failed_comes_after_everything_else_and_counts_again_later() {
    let mut failures = Failures::default();
    let (better, worse) = (webtransport("/ip4/127.0.0.1"), "/ip4/127.0.0.1/tcp/4402/ws");
    failures.failed(&better, 1_000);
    let at = |failures: &Failures, now| {
        let plan = plan(&local(), PEER, [better.as_str(), worse], failures, now);
        plan.dial
            .into_iter()
            .map(|candidate| candidate.address)
            .collect::<Vec<_>>()
    };
    assert_eq!(at(&failures, 5_999), [worse, &better]);
    assert_eq!(at(&failures, 6_000), [&better, worse]);
    // Each further failure counts twice as long, up to a minute.
    failures.failed(&better, 6_000);
    assert_eq!(at(&failures, 15_999), [worse, &better]);
    (0..100).for_each(|_| failures.failed(&better, 20_000));
    assert_eq!(at(&failures, 79_999), [worse, &better]);
    assert_eq!(at(&failures, 80_000), [&better, worse]);
    failures.worked(&better);
    assert_eq!(at(&failures, 20_000), [&better, worse]);
}

#[test]
fn the_failures_that_are_remembered_are_bounded() {
    let mut failures = Failures::default();
    for n in 0..=MAX_FAILURES {
        failures.failed(&n.to_string(), n as u64);
    }
    assert!(!failures.is_fresh("0", 64));
    assert!(failures.is_fresh("1", 64));
}

#[test]
fn an_address_of_a_renewed_certificate_gives_way_to_the_one_that_was_heard_last() {
    let heard = alloc::format!("/ip4/127.0.0.1/udp/4405/quic-v1/webtransport/certhash/{NEW_HASH}");
    let linked = alloc::format!("/ip4/127.0.0.1/udp/4405/quic-v1/webtransport/certhash/{HASH}/p2p/{PEER}");
    let plan = plan_of(&local(), &[heard.clone(), linked.clone()]);
    assert_eq!(dialled(&plan), [heard]);
    assert_eq!(obstacle_of(&plan, &linked), Obstacle::OutdatedCertificate);
}

#[test]
fn addresses_of_others_and_those_that_no_one_can_dial_are_left_out() {
    let of = |address: &str| only(&local(), address).obstacle();
    let (mine, others) = (alloc::format!("/p2p/{PEER}"), alloc::format!("/p2p/{OTHER}"));
    assert_eq!(of(&(webtransport("/ip4/127.0.0.1") + &mine)), None);
    assert_eq!(
        of(&(webtransport("/ip4/127.0.0.1") + &others)),
        Some(Obstacle::OtherPeer)
    );
    let bare = "/ip4/127.0.0.1/udp/4405/quic-v1/webtransport";
    assert_eq!(of(bare), Some(Obstacle::NoCertificateHash));
    assert_eq!(of("/dns4/miner.example/udp/443/quic-v1/webtransport"), None);
    for address in [
        "",
        "127.0.0.1:4402",
        "/",
        "/ip4",
        "/ip4/127.0.0.1",
        "/ip4/127.0.0.1/tcp",
        "/ip4/127.0.0.1/tcp/99999/ws",
        "/ip4/127.0.0.1/tcp/0/ws",
        "/ip4/0.0.0.0/tcp/4402/ws",
        "/ip6/::/tcp/4402/ws",
        "/ip4/::1/tcp/4402/ws",
        "/dns4//tcp/4402/ws",
        "/dns4/127.0.0.1/tcp/4402/ws",
        "/ip4/127.0.0.1/sctp/4402/ws",
    ] {
        assert_eq!(of(address), Some(Obstacle::Malformed), "{address}");
    }
    for address in [
        "/dnsaddr/miner.example",
        "/ip4/127.0.0.1/udp/4405/quic",
        "/ip4/127.0.0.1/udp/4405",
        "/ip4/127.0.0.1/tcp/1/gopher",
        "/ip4/127.0.0.1/tcp/1/p2p/X/p2p-circuit",
    ] {
        assert_eq!(of(address), Some(Obstacle::Unsupported), "{address}");
    }
    let long = "/dns4/".to_string() + &"a".repeat(2 * MAX_ADDRESS) + "/tcp/1/ws";
    let plan = only(&local(), &long);
    assert_eq!(plan.obstacle(), Some(Obstacle::Malformed));
    assert_eq!(plan.left_out[0].address.len(), MAX_ADDRESS);
}

#[test]
fn however_many_addresses_a_miner_announces_few_are_looked_at() {
    let many: Vec<String> = (0..1000)
        .map(|n| alloc::format!("/ip4/203.0.113.9/tcp/{}/ws", n + 1))
        .collect();
    let plan = plan_of(&local(), &many);
    assert_eq!(plan.dial.len(), MAX_DIALS);
    assert_eq!(plan.dial.len() + plan.left_out.len(), MAX_ADDRESSES);
    // The same one many times is one.
    let same = vec![many[0].clone(); 10];
    assert_eq!(plan_of(&local(), &same).dial.len(), 1);
}

#[test]
fn a_program_dials_tcp_and_then_quic_and_nothing_of_browsers() {
    let plan = plan_of(&Dialer::program(), &all());
    let quic = dialled(&plan)
        .iter()
        .filter(|address| address.ends_with("quic-v1"))
        .count();
    assert_eq!((plan.dial.len(), quic), (8, 4));
    assert_eq!(
        dialled(&plan)[..2],
        ["/ip4/127.0.0.1/tcp/4401", "/ip4/192.168.1.7/tcp/4401"]
    );
    assert_eq!(obstacle_of(&plan, "/ip4/127.0.0.1/tcp/4402/ws"), Obstacle::Unsupported);
    let quic = "/ip4/203.0.113.9/udp/4401/quic-v1";
    assert_eq!(dialled(&only(&Dialer::program(), quic)), [quic]);
}

#[test]
fn hosts_are_as_near_as_browsers_say() {
    for (host, reach) in [
        ("127.8.8.8", Reach::Loopback),
        ("[::1]", Reach::Loopback),
        ("LocalHost", Reach::Loopback),
        ("page.localhost", Reach::Loopback),
        ("::ffff:127.0.0.1", Reach::Loopback),
        ("10.1.2.3", Reach::Private),
        ("172.31.0.1", Reach::Private),
        ("169.254.1.1", Reach::Private),
        ("100.64.0.1", Reach::Private),
        ("100.127.255.255", Reach::Private),
        ("fe80::1", Reach::Private),
        ("fd00::1", Reach::Private),
        ("printer.local", Reach::Private),
        ("nas", Reach::Private),
        ("100.128.0.1", Reach::Public),
        ("172.32.0.1", Reach::Public),
        ("203.0.113.9", Reach::Public),
        ("2001:db8::1", Reach::Public),
        ("app.example", Reach::Public),
        ("localhost.example", Reach::Public),
    ] {
        assert_eq!(Reach::of_host(host), reach, "{host}");
    }
}

#[test]
fn the_route_says_of_every_address_why_it_is_not_used() {
    let addresses = [
        webtransport("/ip4/203.0.113.9"),
        "/dns4/miner.example/tcp/443/wss".to_string(),
        "/ip4/203.0.113.9/tcp/4402/ws".to_string(),
    ];
    let plan = plan_of(&public(Permission::Prompt), &addresses);
    let failed = [(addresses[0].clone(), "it is silent".to_string())];
    let route = Route::of(&plan, Some(&addresses[1]), &failed);
    assert!(route.connected);
    let shown: Vec<_> = route.addresses.iter().map(|a| (a.standing, a.obstacle)).collect();
    assert_eq!(
        shown,
        [
            (Standing::Used, None),
            (Standing::Failed, Some(Obstacle::NoAnswer)),
            (Standing::LeftOut, Some(Obstacle::MixedContent)),
        ]
    );
    assert_eq!(route.addresses[1].message, "it is silent");
    assert_eq!(route.addresses[0].transport, Some(Transport::SecureWebSocket));
    assert_eq!(route.obstacle(), None);
    let before = Route::of(&plan, None, &[]);
    assert_eq!(before.addresses[0].standing, Standing::Next);
    assert_eq!(before.obstacle(), Some(Obstacle::MixedContent));
    // A failed one that its user was asked for failed for want of an answer, most likely.
    let near = [webtransport("/ip4/127.0.0.1")];
    let asked = plan_of(&public(Permission::Prompt), &near);
    let route = Route::of(&asked, None, &[(near[0].clone(), "lost".to_string())]);
    assert_eq!(route.obstacle(), Some(Obstacle::PermissionPending));
}

#[test]
fn what_keeps_a_page_from_its_chain_is_told_by_the_same_rules() {
    let of = |permission, url| {
        let page = Page::of_origin("https://app.example", true, permission, permission);
        page.obstacle_to(url, false)
    };
    use Obstacle::{CrossOrigin, InsecurePage, MixedContent, NoAnswer, PermissionDenied, PermissionPending};
    assert_eq!(of(Permission::Prompt, "https://chain.example/rpc"), NoAnswer);
    assert_eq!(of(Permission::Granted, "http://chain.example/rpc"), MixedContent);
    assert_eq!(of(Permission::Granted, "http://127.0.0.1:4403/rpc"), NoAnswer);
    assert_eq!(of(Permission::Prompt, "http://localhost:4403/rpc"), PermissionPending);
    assert_eq!(of(Permission::Denied, "http://127.0.0.1:4403/rpc"), PermissionDenied);
    assert_eq!(of(Permission::Denied, "https://[fd00::1]:4403/rpc"), PermissionDenied);
    assert_eq!(
        of(Permission::Denied, "https://user@127.0.0.1@chain.example:1/"),
        NoAnswer
    );
    let local = Page::of_origin("http://localhost:4400", true, Permission::Denied, Permission::Denied);
    assert_eq!(local.obstacle_to("http://127.0.0.1:4403/rpc", false), NoAnswer);
    let clear = Page::of_origin("http://app.example", false, Permission::Prompt, Permission::Prompt);
    assert_eq!(clear.obstacle_to("http://127.0.0.1:4403/rpc", false), InsecurePage);
    // It answers, only not to this page.
    let page = Page::of_origin("https://app.example", true, Permission::Prompt, Permission::Prompt);
    assert_eq!(page.obstacle_to("https://chain.example/rpc", true), CrossOrigin);
    assert_eq!(page.obstacle_to("http://127.0.0.1:4403/rpc", true), CrossOrigin);
}

#[test]
fn an_address_of_http_is_not_dialled_and_not_called_broken() {
    let (http, tcp) = ("/ip4/127.0.0.1/tcp/4405/http", "/ip4/127.0.0.1/tcp/4401");
    let plan = super::plan(&Dialer::program(), "", [http, tcp], &Failures::default(), 0);
    assert_eq!(
        plan.dial
            .iter()
            .map(|candidate| candidate.address.as_str())
            .collect::<Vec<_>>(),
        [tcp]
    );
    assert_eq!(plan.left_out, []);
    let url = |text: &str| HttpAddress::parse(text).map(|address| address.url);
    for (text, expected) in [
        (http, "http://127.0.0.1:4405"),
        ("/dns4/miner.example/tcp/443/tls/http", "https://miner.example:443"),
        (
            "/ip6/2001:db8::1/tcp/4405/http/p2p/12D3KooWx",
            "http://[2001:db8::1]:4405",
        ),
    ] {
        assert_eq!(url(text).as_deref(), Some(expected), "{text}");
    }
    for text in [
        tcp,
        "/ip4/127.0.0.1/udp/4405/http",
        "/ip4/127.0.0.1/tcp/0/http",
        "/ip4/x/tcp/1/http",
        "http://a",
        "",
    ] {
        assert_eq!(url(text), None, "{text}");
    }
}

#[test]
fn a_page_asks_over_http_only_where_its_browser_lets_it_without_a_question() {
    use Permission::{Denied, Granted, Prompt};
    let page = |origin: &str, permission| Page::of_origin(origin, true, permission, permission);
    for (origin, permission, url, may) in [
        ("http://127.0.0.1:4400", Prompt, "http://127.0.0.1:4404", true),
        ("https://app.example", Prompt, "https://miner.example", true),
        ("https://app.example", Granted, "http://miner.example", false),
        ("https://app.example", Granted, "http://127.0.0.1:4404", true),
        ("https://app.example", Prompt, "http://127.0.0.1:4404", false),
        ("https://app.example", Prompt, "https://192.168.1.7:4404", false),
        ("https://app.example", Granted, "https://192.168.1.7:4404", true),
        ("https://app.example", Denied, "https://192.168.1.7:4404", false),
        ("https://app.example", Granted, "ftp://miner.example", false),
    ] {
        assert_eq!(
            page(origin, permission).may_ask(url),
            may,
            "{origin} {permission:?} {url}"
        );
    }
}
