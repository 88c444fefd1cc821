use super::*;
use crate::contract::{get, on_server, put, SCHEMA, THINGS};

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
        let mut client = place.config.connect(postgres::NoTls).expect("the server");
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
    assert!(words("nonsense", "deals").contains("cannot be opened"));
    assert!(words("host=db.example sslmode=require", "deals").contains("TLS"));
    // Passwords are not shown.
    let place = opening::place("postgres://u:SECRET@db.example/deals", "deals").expect("a place");
    assert!(
        !place.shown.display().to_string().contains("SECRET"),
        "{}",
        place.shown.display()
    );
}
