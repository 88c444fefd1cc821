//! The rules of [`Store`], for every implementation.

use super::*;
use std::sync::Arc;

pub(super) const THINGS: Table = Table::records("things");
const INDEX: Table = Table::index("index");

pub(super) const SCHEMA: Schema = Schema {
    kind: 7,
    tables: &[THINGS, INDEX],
    format: 1,
    migrate: |_, _| Ok(()),
};

type Made = (tempfile::TempDir, Arc<dyn Store>);

fn sqlite() -> Made {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("x/things.db"), &SCHEMA, Sharing::Alone).unwrap();
    (dir, Arc::new(store))
}

fn memory() -> Made {
    (tempfile::tempdir().unwrap(), Arc::new(Memory::default()))
}

/// Records of their own on the server that `SEALDROP_POSTGRES` names; `None` where none is named.
#[cfg(feature = "postgres")]
pub(super) fn on_server(schema: &Schema, sharing: Sharing, space: &str) -> Option<Postgres> {
    let Ok(url) = std::env::var("SEALDROP_POSTGRES") else {
        eprintln!("left out: SEALDROP_POSTGRES names no server");
        return None;
    };
    Some(Postgres::open(&url, space, schema, sharing).unwrap())
}

#[cfg(feature = "postgres")]
fn postgres(rule: &str) -> Option<Made> {
    let space = format!("t{}_{rule}", std::process::id());
    let space: String = space.chars().take(63).collect();
    let store = on_server(&SCHEMA, Sharing::Alone, &space)?;
    Some((tempfile::tempdir().unwrap(), Arc::new(store)))
}

/// Tests of every implementation.
macro_rules! contract {
    ($($rule:ident)*) => {
        mod on_sqlite { $(#[test] fn $rule() { super::$rule(super::sqlite()) })* }
        mod in_memory { $(#[test] fn $rule() { super::$rule(super::memory()) })* }
        #[cfg(feature = "postgres")]
        mod on_postgres { $(#[test] fn $rule() { if let Some(made) = super::postgres(stringify!($rule)) { super::$rule(made) } })* }
    };
}

contract! {
    what_was_put_is_there_in_place_of_what_was_before
    what_was_removed_is_gone_and_removing_again_is_harmless
    a_range_is_in_the_order_of_keys_and_bounded
    a_reader_that_panics_keeps_nobody_else_from_reading
    tables_do_not_share_keys
    a_transaction_that_fails_changes_nothing
    a_transaction_sees_what_it_changed_itself
    a_transaction_that_panics_changes_nothing
    transactions_that_come_at_once_are_all_kept
    a_transaction_that_fails_takes_no_other_with_it
    a_view_stays_as_it_was_while_others_write
}

pub(super) fn put(store: &dyn Store, key: &[u8], value: &[u8]) {
    store.write(|changes| changes.put(THINGS, key, value)).unwrap();
}

pub(super) fn get(store: &dyn Store, key: &[u8]) -> Option<Vec<u8>> {
    store.read(|records| records.get(THINGS, key)).unwrap()
}

fn failed() -> DatabaseError {
    DatabaseError::Failed { reason: "no".into() }
}

fn what_was_put_is_there_in_place_of_what_was_before((_dir, store): Made) {
    assert_eq!(get(&*store, b"a"), None);
    put(&*store, b"a", b"1");
    put(&*store, b"a", b"");
    assert_eq!(get(&*store, b"a"), Some(Vec::new()));
    let long = vec![7; 300_000];
    put(&*store, b"", &long);
    assert_eq!(get(&*store, b""), Some(long));
}

fn what_was_removed_is_gone_and_removing_again_is_harmless((_dir, store): Made) {
    put(&*store, b"a", b"1");
    for _ in 0..2 {
        store.write(|changes| changes.remove(THINGS, b"a")).unwrap();
        assert_eq!(get(&*store, b"a"), None);
    }
}

fn a_range_is_in_the_order_of_keys_and_bounded((_dir, store): Made) {
    for key in [b"b".as_slice(), b"", b"a\xff", b"a", b"\xff\xff", b"a\0"] {
        put(&*store, key, key);
    }
    let range = |from: &[u8], to: Option<&[u8]>, order, most| {
        let found = store
            .read(|records| records.range(THINGS, from, to, order, most))
            .unwrap();
        assert!(found.iter().all(|(key, value)| key == value));
        found.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let all: [&[u8]; 6] = [b"", b"a", b"a\0", b"a\xff", b"b", b"\xff\xff"];
    assert_eq!(range(b"", None, Order::Ascending, 9), all);
    assert_eq!(range(b"a", Some(b"b"), Order::Ascending, 9), all[1..4]);
    assert_eq!(range(b"a", Some(b"b"), Order::Descending, 2), [all[3], all[2]]);
    assert_eq!(range(b"", None, Order::Descending, 1), [all[5]]);
    assert_eq!(range(b"b", Some(b"a"), Order::Ascending, 9), Vec::<Vec<u8>>::new());
    let of = |prefix: &[u8]| {
        store
            .read(|records| with_prefix(records, THINGS, prefix))
            .unwrap()
            .len()
    };
    assert_eq!((of(b"a"), of(b"\xff"), of(b"")), (3, 1, 6));
}

fn tables_do_not_share_keys((_dir, store): Made) {
    put(&*store, b"a", b"1");
    assert_eq!(store.read(|records| records.get(INDEX, b"a")).unwrap(), None);
}

fn a_transaction_that_fails_changes_nothing((_dir, store): Made) {
    put(&*store, b"a", b"1");
    let refused: Result<(), DatabaseError> = store.write(|changes| {
        changes.put(THINGS, b"a", b"2")?;
        changes.put(THINGS, b"b", b"2")?;
        changes.remove(THINGS, b"a")?;
        Err(failed())
    });
    assert!(refused.is_err());
    assert_eq!((get(&*store, b"a"), get(&*store, b"b")), (Some(b"1".to_vec()), None));
}

fn a_transaction_sees_what_it_changed_itself((_dir, store): Made) {
    let seen = store.write(|changes| {
        changes.put(THINGS, b"a", b"1")?;
        let records: &dyn Records = changes;
        records.get(THINGS, b"a")
    });
    assert_eq!(seen.unwrap(), Some(b"1".to_vec()));
}

fn a_transaction_that_panics_changes_nothing((_dir, store): Made) {
    let panics = || {
        store.write(|changes| -> Result<(), DatabaseError> {
            changes.put(THINGS, b"a", b"1")?;
            panic!("a bug")
        })
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(get(&*store, b"a"), None);
    put(&*store, b"a", b"2");
    assert_eq!(get(&*store, b"a"), Some(b"2".to_vec()));
}

/// Counts up `key` many times at once; every third attempt fails after its change.
fn count_at_once(store: &Arc<dyn Store>, fails: bool) -> u8 {
    let threads: Vec<_> = (0..8u8)
        .map(|thread| {
            let store = store.clone();
            std::thread::spawn(move || {
                let attempts = (0..6u8).filter(|attempt| {
                    let done: Result<(), DatabaseError> = store.write(|changes| {
                        let count = changes.get(THINGS, b"n")?.map_or(0, |value| value[0]);
                        changes.put(THINGS, b"n", &[count + 1])?;
                        if fails && (thread + attempt) % 3 == 0 {
                            return Err(failed());
                        }
                        Ok(())
                    });
                    done.is_ok()
                });
                attempts.count()
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap() as u8).sum()
}

fn transactions_that_come_at_once_are_all_kept((_dir, store): Made) {
    assert_eq!(count_at_once(&store, false), 48);
    assert_eq!(get(&*store, b"n"), Some(vec![48]));
}

fn a_transaction_that_fails_takes_no_other_with_it((_dir, store): Made) {
    let done = count_at_once(&store, true);
    assert_eq!((done, get(&*store, b"n")), (32, Some(vec![32])));
}

fn a_view_stays_as_it_was_while_others_write((_dir, store): Made) {
    put(&*store, b"a", b"1");
    let writer = store.clone();
    let (first, second, started) = store
        .read(|records| {
            let first = records.get(THINGS, b"a")?;
            // In memory the writer waits for the reader; on the disk it does not.
            let writer = writer.clone();
            let started = std::thread::spawn(move || put(&*writer, b"a", b"2"));
            std::thread::yield_now();
            Ok::<_, DatabaseError>((first, records.get(THINGS, b"a")?, started))
        })
        .unwrap();
    started.join().unwrap();
    assert_eq!(first, second);
    assert_eq!(get(&*store, b"a"), Some(b"2".to_vec()));
}

#[test]
fn what_was_kept_is_there_after_a_restart_and_readable_by_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/things.db");
    let open = || -> Arc<dyn Store> { Arc::new(Sqlite::open(&path, &SCHEMA, Sharing::Alone).unwrap()) };
    let store = open();
    put(&*store, b"a", b"1");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let files: Vec<_> = std::fs::read_dir(dir.path().join("new")).unwrap().collect();
        assert!(files.len() >= 3, "{files:?}");
        for file in files {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
        assert_eq!(mode(&dir.path().join("new")), 0o700);
    }
    drop(store);
    assert_eq!(get(&*open(), b"a"), Some(b"1".to_vec()));
}

#[test]
fn an_earlier_format_is_brought_up_and_a_copy_of_it_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("things.db");
    put(&Sqlite::open(&path, &SCHEMA, Sharing::Alone).unwrap(), b"a", b"1");
    let next = Schema {
        format: 3,
        migrate: |changes, from| changes.put(THINGS, &[u8::try_from(from).unwrap()], b"brought up"),
        ..SCHEMA
    };
    let store = Sqlite::open(&path, &next, Sharing::Alone).unwrap();
    assert_eq!(
        (
            get(&store, b"a").is_some(),
            get(&store, &[1]).is_some(),
            get(&store, &[2]).is_some()
        ),
        (true, true, true)
    );
    drop(store);
    let copy = Sqlite::open(&dir.path().join("things.format1.bak"), &SCHEMA, Sharing::Alone).unwrap();
    assert_eq!((get(&copy, b"a").is_some(), get(&copy, &[1])), (true, None));
    assert!(matches!(
        Sqlite::open(&path, &SCHEMA, Sharing::Alone),
        Err(DatabaseError::LaterFormat { found: 3, known: 1, .. })
    ));
}

#[test]
fn another_kind_of_database_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("things.db");
    put(&Sqlite::open(&path, &SCHEMA, Sharing::Alone).unwrap(), b"a", b"1");
    let other = Schema { kind: 8, ..SCHEMA };
    assert!(matches!(
        Sqlite::open(&path, &other, Sharing::Alone),
        Err(DatabaseError::OtherKind { .. })
    ));
    assert!(get(&Sqlite::open(&path, &SCHEMA, Sharing::Alone).unwrap(), b"a").is_some());
}

#[test]
fn a_shared_database_shows_to_one_handle_what_the_other_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("things.db");
    let open = || Sqlite::open(&path, &SCHEMA, Sharing::Shared).unwrap();
    let (one, two) = (open(), open());
    put(&one, b"a", b"1");
    put(&two, b"b", b"2");
    assert_eq!((get(&two, b"a").is_some(), get(&one, b"b").is_some()), (true, true));
}

#[test]
fn a_backup_is_a_database_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("things.db"), &SCHEMA, Sharing::Alone).unwrap();
    put(&store, b"a", b"1");
    let copy = dir.path().join("copy.db");
    store.back_up(&copy).unwrap();
    put(&store, b"b", b"1");
    let copy = Sqlite::open(&copy, &SCHEMA, Sharing::Alone).unwrap();
    assert_eq!((get(&copy, b"a").is_some(), get(&copy, b"b")), (true, None));
}

fn a_reader_that_panics_keeps_nobody_else_from_reading((_dir, store): Made) {
    put(&*store, b"k", b"1");
    for _ in 0..8 {
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            store.view(&mut |_| panic!("a caller's own mistake"))
        }));
        assert!(read.is_err());
    }
    assert_eq!(get(&*store, b"k"), Some(b"1".to_vec()));
    put(&*store, b"k", b"2");
    assert_eq!(get(&*store, b"k"), Some(b"2".to_vec()));
}
