use super::*;
use crate::contract::{get, on_server, put, SCHEMA, THINGS};
use rustls::pki_types::PrivateKeyDer;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What keeps a session from being cut by the test that cuts all others.
const UNCUT: &str = "application_name=uncut";

/// A name of the server's schema that nobody else has.
fn space(rule: &str) -> String {
    format!("t{}_{rule}", std::process::id()).chars().take(63).collect()
}

#[test]
fn whoever_opens_records_of_one_process_shuts_out_whoever_had_them() {
    let space = space("fence");
    let Some(first) = on_server(&SCHEMA, Sharing::Alone, &space) else {
        return;
    };
    put(&first, b"a", b"1");
    let second = on_server(&SCHEMA, Sharing::Alone, &space).expect("the same server");
    put(&second, b"a", b"2");
    let store: &dyn Store = &first;
    let refused: Result<(), DatabaseError> = store.write(|changes| changes.put(THINGS, b"a", b"3"));
    assert!(matches!(refused, Err(DatabaseError::InUse { .. })), "{refused:?}");
    // It may still look.
    assert_eq!(get(&first, b"a"), Some(b"2".to_vec()));
}

#[test]
fn what_was_kept_is_there_when_it_is_opened_again_and_shared_records_are_everybodys() {
    let space = space("shared");
    let Some(one) = on_server(&SCHEMA, Sharing::Shared, &space) else {
        return;
    };
    put(&one, b"a", b"1");
    let two = on_server(&SCHEMA, Sharing::Shared, &space).expect("the same server");
    put(&two, b"b", b"2");
    put(&one, b"c", b"3");
    assert_eq!(
        (
            get(&two, b"a").is_some(),
            get(&one, b"b").is_some(),
            get(&two, b"c").is_some()
        ),
        (true, true, true)
    );
}

#[test]
fn other_kinds_and_later_formats_are_refused_and_earlier_ones_brought_up() {
    let space = space("formats");
    let Some(store) = on_server(&SCHEMA, Sharing::Alone, &space) else {
        return;
    };
    put(&store, b"a", b"1");
    drop(store);
    let url = std::env::var("SEALDROP_POSTGRES").expect("there is one");
    let other = Schema { kind: 8, ..SCHEMA };
    let refused = Postgres::open(&url, &space, &other, Sharing::Alone);
    assert!(matches!(refused, Err(DatabaseError::OtherKind { .. })));
    let next = Schema {
        format: 3,
        migrate: |changes, from| changes.put(THINGS, &[u8::try_from(from).unwrap()], b"brought up"),
        ..SCHEMA
    };
    let store = Postgres::open(&url, &space, &next, Sharing::Alone).expect("it is brought up");
    assert_eq!(
        (
            get(&store, b"a").is_some(),
            get(&store, &[1]).is_some(),
            get(&store, &[2]).is_some()
        ),
        (true, true, true)
    );
    let refused = Postgres::open(&url, &space, &SCHEMA, Sharing::Alone);
    assert!(
        matches!(refused, Err(DatabaseError::LaterFormat { found: 3, known: 1, .. })),
        "{refused:?}"
    );
}

#[test]
fn connections_that_are_cut_again_and_again_lose_nothing_and_do_nothing_twice() {
    let space = space("cuts");
    let Some(store) = on_server(&SCHEMA, Sharing::Alone, &space) else {
        return;
    };
    let url = std::env::var("SEALDROP_POSTGRES").expect("there is one");
    let cutter = std::thread::spawn(move || {
        let place = opening::place(&url, "none").expect("a place");
        let mut client = place.connect().expect("the server");
        // Those of the tests beside are cut, too: no harm in it.
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'sealdrop'";
        for _ in 0..20 {
            client.query_one(cut, &[]).expect("they are cut");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let store: &dyn Store = &store;
    for expected in 1..=200u8 {
        let counted = store.write(|changes| {
            let count = changes.get(THINGS, b"n")?.map_or(0, |value| value[0]) + 1;
            changes.put(THINGS, b"n", &[count])?;
            Ok::<_, DatabaseError>(count)
        });
        assert_eq!(counted.expect("it is done"), expected);
    }
    cutter.join().expect("it is through");
    assert_eq!(
        store.read(|records| records.get(THINGS, b"n")).expect("it is there"),
        Some(vec![200])
    );
}

#[test]
fn a_server_that_is_not_there_and_names_that_are_none_are_refused_with_words() {
    let words = |url: &str, space: &str| {
        let refused = Postgres::open(url, space, &SCHEMA, Sharing::Alone);
        refused.expect_err("it is none").to_string()
    };
    assert!(words("host=/nowhere", "Deals; DROP").contains("small letters"));
    assert!(words("nonsense", "deals").contains("names no database"));
    assert!(words("host=h sslmode=require sslrootcert=/nowhere.pem", "deals").contains("/nowhere.pem"));
    // Passwords are not shown.
    let place = opening::place("postgres://u:SECRET@db.example/deals", "deals").expect("a place");
    assert!(
        !place.shown.display().to_string().contains("SECRET"),
        "{}",
        place.shown.display()
    );
}

/// A server that speaks TLS by a certificate of its own, before the one that tests have; its port, and the certificate.
fn tls_before(socket: std::path::PathBuf) -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let (certificate, shown) = (made.cert.der().clone(), made.cert.pem());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    listener.set_nonblocking(true).expect("it can be");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it listens");
            while let Ok((mut stream, _)) = listener.accept().await {
                let (acceptor, socket) = (acceptor.clone(), socket.clone());
                tokio::spawn(async move {
                    // What asks for TLS: its length, and a number that is no version. The answer is one letter.
                    let mut asked = [0; 8];
                    stream.read_exact(&mut asked).await?;
                    assert_eq!(asked, [0, 0, 0, 8, 4, 210, 22, 47]);
                    stream.write_all(b"S").await?;
                    let mut stream = acceptor.accept(stream).await?;
                    let mut server = tokio::net::UnixStream::connect(socket).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut server).await
                });
            }
        });
    });
    (port, shown)
}

#[test]
fn a_server_is_spoken_to_by_tls_where_its_certificate_is_trusted_and_else_not_at_all() {
    let Ok(url) = std::env::var("SEALDROP_POSTGRES") else {
        eprintln!("left out: SEALDROP_POSTGRES names no server");
        return;
    };
    let plain = opening::place(&url, "none").expect("a place");
    let Some(postgres::config::Host::Unix(dir)) = plain.config.get_hosts().first() else {
        panic!("the tests' server has a socket")
    };
    let number = plain.config.get_ports().first().expect("it has a number");
    let (port, certificate) = tls_before(dir.join(format!(".s.PGSQL.{number}")));
    let user = plain.config.get_user().expect("it has a user");
    let dir = tempfile::tempdir().expect("there is room for a directory");
    let asked = |trusted: &str| {
        let file = dir.path().join("authority.pem");
        std::fs::write(&file, trusted).expect("it can be written");
        let file = file.display();
        let url = format!(
            "host=localhost port={port} user={user} dbname=postgres {UNCUT} sslmode=verify-full sslrootcert={file}"
        );
        let mut session = Session::new(opening::place(&url, "none").expect("a place"));
        let client = session.client()?;
        let row = client.query_one("SELECT 1 + 1", &[]).map_err(session::Fault::of)?;
        Ok::<i32, session::Fault>(row.get(0))
    };
    assert_eq!(asked(&certificate).expect("it is trusted"), 2);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let refused = asked(&other.cert.pem()).expect_err("it is another's");
    assert!(refused.to_string().contains("certificate"), "{refused}");
    assert!(!refused.is_passing(), "it is said at once, and not tried for a minute");
}

#[test]
fn whoever_dies_in_a_transaction_holds_its_locks_for_seconds() {
    let Ok(url) = std::env::var("SEALDROP_POSTGRES") else {
        eprintln!("left out: SEALDROP_POSTGRES names no server");
        return;
    };
    let place = opening::place(&format!("{url} {UNCUT}"), "none").expect("a place");
    let mut session = Session::new(place);
    let client = session.client().expect("the server answers");
    let mut shown = |name: &str| -> String {
        let row = client.query_one(&format!("SHOW {name}"), &[]).expect("it is shown");
        row.get(0)
    };
    assert_eq!(shown("idle_in_transaction_session_timeout"), "20s");
    assert_eq!(shown("statement_timeout"), "30s");
}
