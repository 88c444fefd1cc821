use super::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

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
        let Wire::Plain(stream) = &connection.wire else {
            panic!("there is no certificate")
        };
        from.push(stream.local_addr().expect("it is open"));
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

/// A certificate for `localhost` and its key, in files; and what trusts it.
fn certificate(dir: &std::path::Path) -> (PemFiles, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it can be made");
    let files = PemFiles {
        certificate: dir.join("certificate.pem"),
        key: dir.join("key.pem"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).expect("it can be written");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("it can be written");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("it is a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = client.expect("they are supported").with_root_certificates(roots);
    (files, TlsConnector::from(Arc::new(client.with_no_client_auth())))
}

#[tokio::test]
async fn with_a_certificate_tls_and_this_machines_plain_programs_are_served_at_one_port() {
    let dir = tempfile::tempdir().expect("there is room for a directory");
    let (files, connector) = certificate(dir.path());
    let tls = Tls::under(&Certificate::load(files).expect("the files are right"));
    let (listener, address) = listener(8).await;
    let mut listener = listener.with_tls(Some(tls));
    let mut plain = TcpStream::connect(address).await.expect("it listens");
    let (mut heard, _) = listener.accept().await;
    plain.write_all(b"GET").await.expect("it is open");
    let mut asked = [0; 3];
    heard.read_exact(&mut asked).await.expect("it is heard");
    assert_eq!(&asked, b"GET");

    let stream = TcpStream::connect(address).await.expect("it listens");
    let (mut heard, _) = listener.accept().await;
    let name = ServerName::try_from("localhost").expect("a name");
    let asking = async {
        let mut secure = connector
            .connect(name, stream)
            .await
            .expect("the certificate is trusted");
        secure.write_all(b"ask").await.expect("it is open");
        let mut answer = [0; 6];
        secure.read_exact(&mut answer).await.expect("it is answered");
        answer
    };
    let serving = async {
        heard.read_exact(&mut asked).await.expect("it is heard");
        heard.write_all(b"answer").await.expect("it is open");
        heard.flush().await.expect("it is open");
        asked
    };
    let (answer, asked) = tokio::join!(asking, serving);
    assert_eq!((&asked, &answer), (b"ask", b"answer"));
}

#[tokio::test]
async fn with_a_certificate_nobody_elses_plain_program_is_served() {
    let dir = tempfile::tempdir().expect("there is room for a directory");
    let tls = Tls::under(&Certificate::load(certificate(dir.path()).0).expect("the files are right"));
    let inner = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let mut client = TcpStream::connect(inner.local_addr().expect("it is bound"))
        .await
        .expect("it listens");
    let (stream, _) = inner.accept().await.expect("somebody came");
    let elsewhere = "192.0.2.1:1".parse().expect("an address");
    let mut wire = Wire::new(stream, elsewhere, Some(&tls));
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it is open");
    let mut asked = Vec::new();
    wire.read_to_end(&mut asked).await.expect("it ends");
    assert!(asked.is_empty());
    drop(wire);
    let mut told = [0; 64];
    let count = client.read(&mut told).await.expect("it was told");
    assert!(told[..count].starts_with(b"HTTP/1.1 426 "));
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_which_the_service_says_that_it_asked_has_no_limit_of_ours() {
    let (mut listener, address) = listener(8).await;
    let _client = TcpStream::connect(address).await.expect("it listens");
    let (mut connection, _) = listener.accept().await;
    connection.asked.store(true, Ordering::Relaxed);
    let mut buffer = [0; 8];
    let read = tokio::time::timeout(UNSERVED_LIMIT * 9, connection.read(&mut buffer)).await;
    assert!(read.is_err(), "it is still open: {read:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_nothing_of_its_answer_ends() {
    let (mut listener, address) = listener(8).await;
    let _client = TcpStream::connect(address).await.expect("it listens");
    let (mut connection, _) = listener.accept().await;
    let began = Instant::now();
    let ended = loop {
        // More than the system's buffers take.
        if let Err(error) = connection.write_all(&[0; 1 << 20]).await {
            break error.kind();
        }
    };
    assert_eq!((ended, began.elapsed()), (io::ErrorKind::TimedOut, STALLED_LIMIT));
}

#[tokio::test]
async fn a_connection_of_http_2_is_refused_however_it_comes() {
    for parts in [&[&b"PRI * HTTP/2.0\r\n"[..]][..], &[b"P", b"R", b"I", b" *"]] {
        let (mut listener, address) = listener(4).await;
        let mut client = TcpStream::connect(address).await.expect("it listens");
        let (mut connection, _) = listener.accept().await;
        let reading = async {
            let mut read = Vec::new();
            loop {
                match connection.read_buf(&mut read).await {
                    Ok(0) => return Ok(read),
                    Ok(_) => {}
                    Err(error) => return Err(error),
                }
            }
        };
        let writing = async {
            for part in parts {
                client.write_all(part).await.expect("it is taken");
                tokio::task::yield_now().await;
            }
        };
        let (read, ()) = tokio::join!(reading, writing);
        assert!(read.is_err(), "{read:?}");
    }
    for request in ["PUT /uploads HTTP/1.1\r\n", "PRICE / HTTP/1.1\r\n", "P"] {
        let mut version = VersionCheck::new();
        assert!(version.take(request.as_bytes()).is_ok(), "{request}");
    }
}
