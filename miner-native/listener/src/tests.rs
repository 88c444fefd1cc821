use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FLOOD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

#[tokio::test(start_paused = true)]
async fn a_newcomer_takes_the_place_of_what_was_served_longest_ago_at_the_address_with_most() {
    let mut open = Open::default();
    let (honest, stays) = open.enter(HONEST, 4);
    tokio::time::advance(Duration::from_secs(60)).await;
    let flood: Vec<_> = (0..3).map(|_| open.enter(FLOOD, 4)).collect();
    let (served, _) = &flood[0];
    tokio::time::advance(Duration::from_millis(1)).await;
    open.all.get_mut(served).expect("it is open").served = Instant::now();
    open.enter(HONEST, 4);
    let ended: Vec<bool> = flood.iter().map(|(_, evicted)| evicted.is_cancelled()).collect();
    assert_eq!(
        ended,
        [false, true, false],
        "busy or not, it is of the address with most"
    );
    assert!(
        !stays.is_cancelled() && open.all.contains_key(&honest),
        "though it was quiet for long"
    );
    assert_eq!(open.all.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn addresses_of_one_network_of_version_6_are_counted_together() {
    let (mut open, address) = (Open::default(), |text: &str| -> IpAddr {
        text.parse().expect("an address")
    });
    // The honest one was served longer ago than any of the flood.
    let (_, honest) = open.enter(address("2001:db8:0:2::1"), 3);
    tokio::time::advance(Duration::from_secs(60)).await;
    let (_, flood) = open.enter(address("2001:db8:0:1::1"), 3);
    open.enter(address("2001:db8:0:1::2"), 3);
    open.enter(address("2001:db8:0:3::1"), 3);
    assert!(flood.is_cancelled() && !honest.is_cancelled());
}

async fn listener(most: usize) -> (BoundedListener, SocketAddr) {
    let inner = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = inner.local_addr().expect("it is bound");
    (BoundedListener::new(vec![inner], most), address)
}

#[tokio::test]
async fn a_full_listener_lets_a_newcomer_in_and_ends_an_idle_connection() {
    let (mut listener, address) = listener(2).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let client = TcpStream::connect(address).await.expect("it listens");
        held.push((client, listener.accept().await.0));
    }
    let mut newcomer = TcpStream::connect(address).await.expect("it listens");
    let (mut served, _) = listener.accept().await;
    newcomer.write_all(b"ask").await.expect("it is open");
    let mut asked = [0; 3];
    served.read_exact(&mut asked).await.expect("the newcomer is heard");
    let evicted = held[0].1.read(&mut asked).await;
    assert!(evicted.is_err(), "the first had to go");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_nothing_ends_and_one_that_was_served_stays() {
    let (mut listener, address) = listener(8).await;
    let mut silent = TcpStream::connect(address).await.expect("it listens");
    let (mut connection, _) = listener.accept().await;
    silent.write_all(b"G").await.expect("it is open");
    let mut buffer = [0; 8];
    let ended = async {
        loop {
            if let Err(error) = connection.read(&mut buffer).await {
                return error.kind();
            }
        }
    };
    assert_eq!(ended.await, io::ErrorKind::TimedOut);
    let _client = TcpStream::connect(address).await.expect("it listens");
    let (mut connection, _) = listener.accept().await;
    connection.write_all(b"an answer").await.expect("it is open");
    let more = tokio::time::timeout(UNSERVED_LIMIT * 10, connection.read(&mut buffer)).await;
    assert!(more.is_err(), "it is kept open");
}

#[tokio::test]
async fn every_address_is_listened_on_and_none_keeps_the_others_waiting() {
    let mut addresses = Vec::new();
    let mut bound = Vec::new();
    for address in ["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"] {
        let Ok(listener) = bind(address.parse().expect("an address")) else {
            continue; // A machine without IPv6.
        };
        addresses.push(listener.local_addr().expect("it is bound"));
        bound.push(TcpListener::from_std(listener).expect("it is one of this runtime"));
    }
    let mut listener = BoundedListener::new(bound, 8);
    let mut held = Vec::new();
    for address in addresses.iter().flat_map(|address| [address; 2]) {
        held.push(TcpStream::connect(address).await.expect("it listens"));
    }
    let mut from = Vec::new();
    for _ in 0..addresses.len() {
        let (connection, _) = listener.accept().await;
        from.push(connection.stream.local_addr().expect("it is open"));
    }
    from.sort();
    addresses.sort();
    assert_eq!(from, addresses, "each in turn");
}

#[test]
fn all_addresses_of_both_versions_can_be_listened_on_at_one_port() {
    let v4 = bind("0.0.0.0:0".parse().expect("an address")).expect("a port is free");
    let port = v4.local_addr().expect("it is bound").port();
    match bind(SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), port)) {
        Ok(_) => {}
        Err(error) => assert_ne!(
            error.kind(),
            io::ErrorKind::AddrInUse,
            "a machine without IPv6 says something else"
        ),
    }
}
