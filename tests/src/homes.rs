//! Homes that earlier versions kept, as `tests/vectors/homes` has them: how they are made, and how a copy is opened.
//!
//! That of 0.2 is what a daemon with FAKE proofs and a client have left in one home. That of 0.1 is the same, brought back to what
//! version 0.1.0 kept: the miner's records, the chain's and the outbox in sled, a file for each of the client's deals. Its records have the fields that
//! 0.1.0 wrote where those differ in more than defaults (the client's), and otherwise those of today.

use ciborium::Value as Cbor;
use sealdrop_database::testing::write_old;
use sealdrop_database::{DatabaseError, Entry, Order, Records, Schema, Sharing, Sqlite, Store, Table};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the test of homes goes by, beside the home's own files.
pub const FACTS: &str = "kept.json";
/// The miner's, the chain's and the book's databases, with the kinds that their files name.
pub const DATABASES: [(&str, i32); 3] = [
    ("miner/store/miner.db", 0x5344_6d69),
    ("devnet/chain/chain.db", 0x5344_6368),
    ("client/book/deals.db", 0x5344_626b),
];
/// The network of a kept home; a daemon that goes on with it is started with the same.
pub const NETWORK: [&str; 10] = [
    "--sector-size",
    "2KiB",
    "--block-time",
    "300ms",
    "--proving-period",
    "60",
    "--challenge-window",
    "40",
    "--grace",
    "40",
];
const OUTBOX: i32 = 0x5344_6f62;
/// Names of files that a process makes anew.
const OF_A_PROCESS: [&str; 6] = [
    "--exclude=*lock",
    "--exclude=*-shm",
    "--exclude=endpoints.json",
    "--exclude=index",
    "--exclude=params",
    "--exclude=locks",
];

/// The kept home of a version.
pub fn kept(version: &str) -> PathBuf {
    let homes = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/homes");
    homes.join(format!("{version}.tar.gz"))
}

/// Unpacks the kept home of a version into a new folder; what the test goes by.
pub fn unpack(version: &str, home: &Path) -> Value {
    fs::create_dir_all(home).expect("there is room");
    tar(&["-xzf"], &kept(version), home, &["."]);
    let facts = fs::read(home.join(FACTS)).expect("a kept home has its facts");
    serde_json::from_slice(&facts).expect("they are JSON")
}

/// Keeps a home, which nobody has open.
pub fn keep(version: &str, home: &Path) {
    let names = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
    let flags = [&names[..], &OF_A_PROCESS, &["-czf"]].concat();
    tar(&flags, &kept(version), home, &["."]);
}

fn tar(flags: &[&str], archive: &Path, folder: &Path, names: &[&str]) {
    let mut command = Command::new("tar");
    command.args(flags).arg(archive).arg("-C").arg(folder).args(names);
    assert!(command.status().expect("there is a tar").success(), "{command:?}");
}

/// Lets a database say that a version of this format wrote it.
pub fn raise_format(path: &Path, kind: i32, format: u32) {
    let schema = Schema {
        kind,
        tables: &[],
        format,
        migrate: |_, _| Ok(()),
    };
    Sqlite::open(path, &schema, Sharing::Alone).expect("nobody else has it open");
    // What is made of it before is of no interest.
    let folder = path.parent().expect("it lies in a folder");
    for entry in fs::read_dir(folder).expect("it is a folder").flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "bak") {
            fs::remove_file(entry.path()).expect("it is there");
        }
    }
}

/// Brings a home of today back to what version 0.1.0 kept.
pub fn to_first_version(home: &Path) {
    miner(&home.join("miner/store"));
    chain(&home.join("devnet/chain"));
    client(&home.join("client"));
}

/// The records of a table of a database that nobody has open.
fn records(path: &Path, kind: i32, format: u32, table: &'static str) -> Vec<Entry> {
    let schema = Schema {
        kind,
        tables: &[],
        format,
        migrate: |_, _| Ok(()),
    };
    let store: Box<dyn Store> = Box::new(Sqlite::open(path, &schema, Sharing::Alone).expect("it opens"));
    let read: Result<_, DatabaseError> =
        store.read(|records: &dyn Records| records.range(Table::index(table), &[], None, Order::Ascending, usize::MAX));
    read.expect("it can be read")
}

fn miner(folder: &Path) {
    const SAME: [&str; 9] = [
        "deals",
        "sectors",
        "channels",
        "pieces",
        "durations",
        "rates",
        "posts",
        "redemptions",
        "outbox",
    ];
    let (file, kind) = (folder.join("miner.db"), DATABASES[0].1);
    let of = |table| records(&file, kind, 1, table);
    let mut trees: Vec<_> = SAME.map(|table| (Some(table), of(table))).into();
    let mut singles = of("singles");
    singles.retain(|(key, _)| [b"miner".as_slice(), b"settings", b"sector"].contains(&key.as_slice()));
    // Counters that are indexes now.
    singles.push((b"accepted".to_vec(), 1u64.to_be_bytes().to_vec()));
    trees.push((Some("counters"), singles));
    in_place_of(folder, |folder| write_old(folder, &trees));
}

fn chain(folder: &Path) {
    let mut all = records(&folder.join("chain.db"), DATABASES[1].1, 3, "chain");
    all.push((b"format".to_vec(), 2u64.to_be_bytes().to_vec()));
    in_place_of(folder, |folder| write_old(folder, &[(None, all)]));
}

fn client(folder: &Path) {
    let outboxes = fs::read_dir(folder.join("outboxes")).expect("an account has sent messages");
    for account in outboxes {
        let account = account.expect("it can be listed").path();
        let sent = records(&account.join("outbox.db"), OUTBOX, 1, "outbox");
        in_place_of(&account, |folder| write_old(folder, &[(Some("outbox"), sent)]));
    }
    let file = folder.join("book/deals.db");
    let format = format_of(&file);
    let deals = records(&file, DATABASES[2].1, format, "deals");
    fs::create_dir(folder.join("deals")).expect("there is room");
    for (id, record) in deals {
        let name = String::from_utf8(id).expect("a record's name is text");
        let record = former(ciborium::from_reader(record.as_slice()).expect("a record is CBOR"));
        let mut bytes = Vec::new();
        ciborium::into_writer(&record, &mut bytes).expect("memory has room");
        fs::write(folder.join("deals").join(format!("{name}.deal")), bytes).expect("there is room");
    }
    fs::remove_dir_all(folder.join("book")).expect("it is there");
}

/// A client's record with the fields that 0.1.0 wrote, of a deal whose sector was proven.
fn former(record: Cbor) -> Cbor {
    let field = |of: &Cbor, name: &str| {
        let fields = of.as_map().expect("a record is a map");
        let found = fields.iter().find(|(key, _)| key.as_text() == Some(name));
        found.unwrap_or_else(|| panic!("no {name}")).1.clone()
    };
    let file = field(&record, "file");
    let named = |name: &str, value: Cbor| (Cbor::Text(name.to_owned()), value);
    Cbor::Map(vec![
        named("id", field(&record, "id")),
        named("created_ms", field(&record, "createdMs")),
        named("genesis", field(&record, "genesis")),
        named("peer", field(&record, "peer")),
        named("file", field(&file, "facts")),
        named("nodes", field(&file, "nodes")),
        named("deal", field(&record, "deal")),
        named("cid", field(&record, "cid")),
        named("proven", Cbor::Bool(true)),
        named("refund", Cbor::Text("None".to_owned())),
    ])
}

/// The format in a database's header.
fn format_of(path: &Path) -> u32 {
    let bytes = fs::read(path).expect("it is there");
    let number = bytes.get(60..64).expect("a database has a header");
    u32::from_be_bytes(number.try_into().expect("four bytes"))
}

/// Makes a folder anew.
fn in_place_of(folder: &Path, make: impl FnOnce(&Path)) {
    fs::remove_dir_all(folder).expect("it is there");
    make(folder);
}
