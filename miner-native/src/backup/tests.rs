//! What comes out of a backup is what went in; and nothing comes out of one that is cut, changed, hostile or another's.

use super::testing::{manifest, passphrase, to};
use super::{check, check_place, restore, write, BackupError, Extent, Manifest, Opening};
use sealdrop_database::{Changes, DatabaseError, Schema, Sharing, Sqlite, Store, Table};
use sealdrop_encryption::{Identity, Keys, Recipients};
use sealdrop_miner::data_dir::{DataDir, Elsewhere, Endpoints, Identity as Network, KnownChain};
use sealdrop_miner::store::MinerStore;
use shared::chain::{Address, Epoch};
use shared::piece::{Commitment, PieceDigest, SectorSize};
use shared::sector::{Phase, SectorInput, SectorPiece};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const TABLE: Table = Table::index("t");
const SCHEMA: Schema = Schema {
    kind: 1,
    tables: &[TABLE],
    format: 1,
    migrate: |_, _| Ok(()),
};
const WHOLE: Extent = Extent { sectors: true };
const USUAL: Extent = Extent { sectors: false };

struct World {
    dir: TempDir,
    home: DataDir,
    // Open, as a running daemon has it.
    store: MinerStore,
}

impl World {
    /// A miner's home, in use.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("there is room");
        let home = DataDir::open(Some(dir.path().join("home"))).expect("it opens");
        let identity = Network {
            network: "alpha".into(),
            sector_size: SectorSize::S2KiB,
        };
        home.claim(&identity).expect("it is new");
        let chain = KnownChain {
            genesis: "genesis".into(),
            endpoint: "http://127.0.0.1:1".into(),
        };
        home.own_chain(&chain).expect("it is new");
        let store = MinerStore::open(&home.miner().join("store")).expect("it opens");
        store.remember_miner(&Address::id(101)).expect("there is room");
        let world = Self { dir, home, store };
        world.put("miner/host.key", b"key");
        world.put("miner/wallet/root", b"root");
        world.put("miner/certificates/webtransport.pem", b"certificate");
        world.put("miner/sectors/1/sealed", b"replica");
        world.put("miner/staging/bafy.part", b"half");
        world.put("miner/index/blocks.db", b"made again");
        world.put("params/v28.params", b"large");
        world.put("endpoints.json", b"{}");
        world.put("operator.token", b"token");
        world.put("notes.txt", b"mine");
        world.put("client/imports/data/large", &vec![7; 3 << 20]);
        drop(database(&world.home.client().join("book/deals.db")));
        drop(database(&world.home.devnet().join("chain/chain.db")));
        world
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.home.root().join(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("there is room");
        fs::write(path, bytes).expect("there is room");
    }

    fn backup(&self, extent: Extent, readers: Option<&Recipients<'_>>) -> (Vec<u8>, Manifest) {
        let mut out = Vec::new();
        let manifest = write(&self.home, extent, readers, 1, &mut out).expect("it is made");
        (out, manifest)
    }

    fn unencrypted(&self) -> Vec<u8> {
        self.backup(USUAL, None).0
    }

    /// Restores into a folder beside, which must not be there when that fails.
    fn restored(&self, backup: &[u8], opening: Opening<'_>) -> Result<Manifest, BackupError> {
        let place = self.dir.path().join("restored");
        let done = restore(backup, opening, &place);
        assert_eq!(place.exists(), done.is_ok());
        let beside = fs::read_dir(self.dir.path()).expect("it is a folder").count();
        assert_eq!(beside, 1 + usize::from(done.is_ok()), "nothing half restored stays");
        done
    }
}

fn database(path: &Path) -> Sqlite {
    let database = Sqlite::open(path, &SCHEMA, Sharing::Alone).expect("it opens");
    let store: &dyn Store = &database;
    let written: Result<(), DatabaseError> = store.write(|changes: &dyn Changes| changes.put(TABLE, b"k", b"v"));
    written.expect("there is room");
    database
}

fn names(manifest: &Manifest) -> Vec<&str> {
    manifest.files.iter().map(|file| file.path.as_str()).collect()
}

#[test]
fn a_home_in_use_is_restored_with_all_that_is_not_made_again() {
    let world = World::new();
    let secret = passphrase("correct horse");
    let (backup, manifest) = world.backup(USUAL, Some(&to(&secret)));
    assert_eq!(
        names(&manifest),
        [
            "chain.json",
            "client/book/deals.db",
            "client/imports/data/large",
            "devnet/chain/chain.db",
            "miner/certificates/webtransport.pem",
            "miner/host.key",
            "miner/store/miner.db",
            "miner/wallet/root",
            "network.json",
            "operator.token",
        ]
    );
    assert_eq!(manifest.network.as_deref(), Some("alpha"));
    assert_eq!(manifest.miner, Some(Address::id(101).to_string()));
    assert!(manifest.holds_chain);
    assert!(manifest.left_out.iter().any(|left| left.path == "notes.txt"));
    assert!(!world.home.root().join("backup.part").exists());
    let restored = world.restored(&backup, Opening::Keys(Keys::Passphrase(&secret)));
    assert_eq!(restored.expect("it is restored"), manifest);
    let place = world.dir.path().join("restored");
    for file in ["miner/host.key", "client/imports/data/large", "network.json"] {
        let [before, after] = [world.home.root(), &place].map(|root| fs::read(root.join(file)).expect("it is there"));
        assert!(before == after, "{file}");
    }
    let store = MinerStore::open(&place.join("miner/store")).expect("it opens");
    assert_eq!(store.miner_address().expect("it can be read"), Some(Address::id(101)));
}

#[cfg(unix)]
#[test]
fn a_restored_home_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let restored = world.restored(&world.unencrypted(), Opening::Unencrypted);
    restored.expect("it is restored");
    let mode = |name: &str| {
        let path = world.dir.path().join("restored").join(name);
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!([mode(""), mode("miner"), mode("miner/wallet")], [0o700; 3]);
    assert_eq!([mode("miner/wallet/root"), mode("network.json")], [0o600; 2]);
}

#[test]
fn any_program_for_tar_opens_it() {
    let world = World::new();
    let identity = Identity::generate().expect("the system is random");
    let (backup, manifest) = world.backup(USUAL, Some(&Recipients::X25519(&[identity.recipient()])));
    let plain = sealdrop_encryption::decrypt_bytes(Keys::Identities(&[identity]), &backup).expect("it is theirs");
    let place = world.dir.path().join("unpacked");
    tar::Archive::new(plain.as_slice())
        .unpack(&place)
        .expect("it is an archive");
    let json = fs::read(place.join("backup.json")).expect("it is there");
    assert_eq!(Manifest::read(&json).expect("it is one"), manifest);
    assert_eq!(
        fs::read(place.join("home/miner/host.key")).expect("it is there"),
        b"key"
    );
}

impl World {
    /// The operator's own piece in sector 1, staged.
    fn piece(&self) -> String {
        let bytes = [9; 700];
        let mut digest = PieceDigest::new();
        digest.push(&bytes).expect("it is short");
        let summary = digest.finish().expect("it is not empty");
        let piece = SectorPiece {
            deal: summary.data_cid,
            data_cid: summary.data_cid,
            size: 700,
            comm_p: summary.comm_p,
        };
        let placed = self.store.add_piece(piece, SectorSize::S2KiB, 1);
        assert_eq!(placed.expect("there is room"), 1);
        let name = format!("miner/staging/{}", summary.data_cid);
        self.put(&name, &bytes);
        name
    }

    fn advance(&self, inputs: impl IntoIterator<Item = SectorInput>) {
        for input in inputs {
            self.store.advance_sector(1, input, 1).expect("it is the next step");
        }
    }

    /// Closes sector 1, up to the second phase of its encoding.
    fn close(&self) {
        self.advance([
            SectorInput::Close,
            SectorInput::TicketDrawn {
                epoch: Epoch(1),
                ticket: [1; 32],
            },
            SectorInput::PreCommit1Done { output: vec![1] },
        ]);
    }

    /// Its replica is whole.
    fn encode(&self) {
        let of = |byte| Commitment([byte; 32]);
        self.advance([SectorInput::PreCommit2Done {
            comm_d: of(1),
            comm_r: of(2),
            comm_c: of(3),
        }]);
    }

    fn commit(&self) {
        let message = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        self.advance([
            SectorInput::PreCommitted { seed_epoch: Epoch(2) },
            SectorInput::SeedDrawn { seed: [1; 32] },
            SectorInput::Commit1Done { output: vec![1] },
            SectorInput::Commit2Done { proof: vec![1] },
            SectorInput::Committed {
                message: message.parse().expect("it is a CID"),
                height: Epoch(3),
            },
        ]);
    }
}

#[test]
fn pieces_that_are_not_sealed_are_taken_along_and_a_missing_one_is_named() {
    let world = World::new();
    let (piece, other) = (world.piece(), "miner/staging/bafysealed");
    world.put(other, b"of no deal that waits");
    let (_, manifest) = world.backup(USUAL, None);
    assert!(names(&manifest).contains(&piece.as_str()) && !names(&manifest).contains(&other));
    assert!(!names(&manifest).iter().any(|name| name.ends_with(".part")));
    assert_eq!(manifest.missing_pieces, Vec::<String>::new());
    fs::remove_file(world.home.root().join(&piece)).expect("it is there");
    let (_, manifest) = world.backup(USUAL, None);
    assert_eq!(
        manifest.missing_pieces,
        [piece.strip_prefix("miner/staging/").expect("it is staged")]
    );
}

/// A file system in memory stands for another disk.
#[cfg(target_os = "linux")]
#[test]
fn of_pieces_on_another_disk_those_that_are_needed_are_taken_along() {
    let world = World::new();
    let Ok(other) = TempDir::new_in("/dev/shm") else {
        return;
    };
    if check_place(&world.home, other.path()).expect("it is there") {
        return;
    }
    let staging = world.home.miner().join("staging");
    fs::remove_dir_all(&staging).expect("it is there");
    std::os::unix::fs::symlink(other.path(), &staging).expect("there is room");
    let piece = world.piece();
    world.put("miner/staging/bafysealed", b"of no deal that waits");
    let gathered = super::gathering::gather(&world.home, false).expect("it is gathered");
    assert!(gathered.files.iter().any(|file| file.name == piece));
    let work = world.home.root().join("backup.part/miner/staging");
    assert_eq!(fs::read_dir(work).expect("it is a folder").count(), 1);
    drop(gathered);
    let (_, whole) = world.backup(WHOLE, None);
    assert!(names(&whole).contains(&"miner/staging/bafysealed"));
    assert_eq!(whole.missing_pieces, Vec::<String>::new());
}

#[test]
fn a_sector_with_a_replica_is_taken_along_or_named_and_one_that_is_being_encoded_is_neither() {
    const REPLICA: &str = "miner/sectors/1/sealed";
    let world = World::new();
    let piece = world.piece();
    world.close();
    let (_, encoding) = world.backup(WHOLE, None);
    assert!(encoding.sectors.is_empty() && !names(&encoding).contains(&REPLICA));
    assert!(names(&encoding).contains(&piece.as_str()));
    world.encode();
    let (_, sealing) = world.backup(WHOLE, None);
    assert!(names(&sealing).contains(&REPLICA) && names(&sealing).contains(&piece.as_str()));
    world.commit();
    let (_, usual) = world.backup(USUAL, None);
    assert_eq!(usual.missing_sectors(), [1]);
    assert!(usual.left_out.iter().any(|left| left.path == "miner/sectors"));
    assert!(!names(&usual).contains(&REPLICA) && !names(&usual).contains(&piece.as_str()));
    let (backup, whole) = world.backup(WHOLE, None);
    assert_eq!(whole.missing_sectors(), Vec::<u64>::new());
    assert!(names(&whole).contains(&REPLICA) && names(&whole).contains(&piece.as_str()));
    world.restored(&backup, Opening::Unencrypted).expect("it is restored");
    let restored = world.dir.path().join("restored");
    assert_eq!(fs::read(restored.join(REPLICA)).expect("it is there"), b"replica");
    let store = MinerStore::open(&restored.join("miner/store")).expect("it opens");
    let sector = store.sector(1).expect("it can be read").expect("it is known");
    assert_eq!(sector.sector.phase(), Phase::Proving);
}

#[test]
fn a_wrong_key_opens_nothing() {
    let world = World::new();
    let (secret, other) = (passphrase("correct horse"), passphrase("wrong horse"));
    let (backup, _) = world.backup(USUAL, Some(&to(&secret)));
    let refused = world.restored(&backup, Opening::Keys(Keys::Passphrase(&other)));
    assert!(matches!(refused, Err(BackupError::Decrypt(_))), "{refused:?}");
    let refused = world.restored(&backup, Opening::Unencrypted);
    assert!(matches!(refused, Err(BackupError::Encrypted)), "{refused:?}");
    let refused = world.restored(&world.unencrypted(), Opening::Keys(Keys::Passphrase(&secret)));
    assert!(matches!(refused, Err(BackupError::NotEncrypted)), "{refused:?}");
}

#[test]
fn a_backup_that_is_cut_off_anywhere_is_refused() {
    let world = World::new();
    let secret = passphrase("correct horse");
    let (sealed, _) = world.backup(USUAL, Some(&to(&secret)));
    let plain = world.unencrypted();
    for part in [0, 10, 300, 1000, 70_000, 1 << 20] {
        let refused = world.restored(&plain[..part], Opening::Unencrypted);
        assert!(refused.is_err(), "{part}");
        let refused = world.restored(&sealed[..part], Opening::Keys(Keys::Passphrase(&secret)));
        assert!(refused.is_err(), "{part}");
    }
    for missing in [1, 16, 700, 65_536] {
        let part = sealed.len() - missing;
        let refused = check(&sealed[..part], Opening::Keys(Keys::Passphrase(&secret)));
        assert!(refused.is_err(), "without the last {missing}");
    }
    check(sealed.as_slice(), Opening::Keys(Keys::Passphrase(&secret))).expect("it is whole");
}

#[test]
fn changed_bytes_are_found() {
    let world = World::new();
    let mut plain = world.unencrypted();
    let at = plain.len() / 2;
    plain[at] ^= 1;
    let refused = world.restored(&plain, Opening::Unencrypted);
    assert!(matches!(refused, Err(BackupError::Damaged { .. })), "{refused:?}");
    let mut longer = world.unencrypted();
    longer.extend([0; 512]);
    check(longer.as_slice(), Opening::Unencrypted).expect("zeros are nothing");
    longer.push(1);
    let refused = world.restored(&longer, Opening::Unencrypted);
    assert!(matches!(refused, Err(BackupError::Damaged { .. })), "{refused:?}");
}

#[test]
fn a_home_that_belongs_to_something_is_not_touched() {
    let world = World::new();
    let backup = world.unencrypted();
    let refused = restore(backup.as_slice(), Opening::Unencrypted, world.home.root()).expect_err("it is in use");
    assert!(refused.to_string().contains("alpha"), "{refused}");
    let other = world.dir.path().join("other");
    fs::create_dir(&other).expect("there is room");
    fs::write(other.join("x"), b"x").expect("there is room");
    let refused = restore(backup.as_slice(), Opening::Unencrypted, &other);
    assert!(matches!(refused, Err(BackupError::Occupied { .. })));
    fs::remove_file(other.join("x")).expect("it is there");
    restore(backup.as_slice(), Opening::Unencrypted, &other).expect("an empty folder is a new home");
}

#[cfg(unix)]
#[test]
fn a_home_may_be_a_link_or_have_a_file_systems_own_folder() {
    let world = World::new();
    let backup = world.unencrypted();
    let disk = world.dir.path().join("disk");
    fs::create_dir_all(disk.join("lost+found")).expect("there is room");
    let link = world.dir.path().join("link");
    std::os::unix::fs::symlink("disk", &link).expect("there is room");
    restore(backup.as_slice(), Opening::Unencrypted, &link).expect("it is empty");
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert!(disk.join("network.json").is_file() && disk.join("miner/store/miner.db").is_file());
    DataDir::open(Some(link)).expect("it is whole");
}

#[test]
fn a_home_that_is_not_wholly_restored_is_refused() {
    let world = World::new();
    let backup = world.unencrypted();
    let half = world.dir.path().join("half");
    fs::create_dir_all(half.join("restore.part/miner")).expect("there is room");
    let refused = restore(backup.as_slice(), Opening::Unencrypted, &half).expect_err("it is half restored");
    assert!(refused.to_string().contains("not finished"), "{refused}");
}

#[test]
fn an_empty_folder_stays_and_stays_empty_when_a_restore_fails() {
    let world = World::new();
    let backup = world.unencrypted();
    let place = world.dir.path().join("empty");
    fs::create_dir(&place).expect("there is room");
    assert!(restore(&backup[..backup.len() / 2], Opening::Unencrypted, &place).is_err());
    assert_eq!(fs::read_dir(&place).expect("it is a folder").count(), 0);
}

#[test]
fn a_home_of_nothing_is_not_backed_up() {
    let dir = tempfile::tempdir().expect("there is room");
    let home = DataDir::open(Some(dir.path().join("home"))).expect("it opens");
    let refused = write(&home, USUAL, None, 1, &mut Vec::new());
    assert!(matches!(refused, Err(BackupError::Nothing { .. })));
}

#[test]
fn a_home_of_the_first_version_is_taken_over_before() {
    let world = World::new();
    let chain = world.home.devnet().join("chain");
    fs::remove_dir_all(&chain).expect("it is there");
    world.put("devnet/chain/conf", b"");
    world.put("devnet/chain/db", b"");
    let refused = write(&world.home, USUAL, None, 1, &mut Vec::new());
    assert!(matches!(refused, Err(BackupError::OldHome { .. })));
}

/// An archive of these entries behind a manifest of these files.
fn archive(files: &[&str], entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let json = manifest(files).to_json();
    let first = ("backup.json", tar::EntryType::Regular, json.as_slice());
    for (name, kind, bytes) in [first].into_iter().chain(entries.iter().copied()) {
        let mut header = tar::Header::new_ustar();
        // As it is: the library keeps such names out.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        if kind == tar::EntryType::Symlink || kind == tar::EntryType::Link {
            header.set_link_name("/etc/passwd").expect("it is short");
        }
        header.set_cksum();
        archive.append(&header, bytes).expect("memory has room");
    }
    archive.into_inner().expect("memory has room")
}

#[test]
fn a_hostile_archive_writes_nothing() {
    use tar::EntryType;
    let world = World::new();
    let refused = |files: &[&str], entries: &[(&str, EntryType, &[u8])]| {
        let refused = world.restored(&archive(files, entries), Opening::Unencrypted);
        refused.expect_err("it is refused")
    };
    let hostile = |error: &BackupError| matches!(error, BackupError::Hostile { .. });
    for path in ["../x", "/tmp/x", "a/../../x"] {
        let name = format!("home/{path}");
        let error = refused(&[path], &[(&name, EntryType::Regular, path.as_bytes())]);
        assert!(hostile(&error), "{path}: {error}");
    }
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Directory,
        EntryType::GNULongName,
        EntryType::GNUSparse,
        EntryType::XHeader,
    ] {
        let error = refused(&["a"], &[("home/a", kind, b"a")]);
        assert!(hostile(&error), "{kind:?}: {error}");
    }
    // Another name, order, size or content than the manifest's; one too many, one too few.
    let file = EntryType::Regular;
    assert!(hostile(&refused(&["a"], &[("home/b", file, b"a")])));
    assert!(hostile(&refused(&["a"], &[("a", file, b"a")])));
    assert!(hostile(&refused(
        &["a", "b"],
        &[("home/b", file, b"b"), ("home/a", file, b"a")]
    )));
    assert!(hostile(&refused(&["a"], &[("home/a", file, b"aa")])));
    assert!(hostile(&refused(
        &["a"],
        &[("home/a", file, b"a"), ("home/b", file, b"b")]
    )));
    let damaged = |error: &BackupError| matches!(error, BackupError::Damaged { .. });
    assert!(damaged(&refused(&["a"], &[("home/a", file, b"b")])));
    assert!(damaged(&refused(&["a"], &[])));
    // The same as it should be.
    let good = archive(&["a"], &[("home/a", file, b"a")]);
    check(good.as_slice(), Opening::Unencrypted).expect("it is one");
}

#[test]
fn what_is_no_backup_is_told_to_be_none() {
    for bytes in [b"".as_slice(), b"hello", &[0; 4096], &[7; 4096]] {
        let refused = check(bytes, Opening::Unencrypted).expect_err("it is none");
        assert!(matches!(refused, BackupError::NotABackup { .. }), "{refused}");
    }
}

#[test]
fn a_backup_does_not_lie_in_its_home() {
    let world = World::new();
    let inside = world.home.client().join("imports");
    for folder in [world.home.root(), inside.as_path(), &inside.join("../..")] {
        let refused = check_place(&world.home, folder);
        assert!(matches!(refused, Err(BackupError::InHome { .. })), "{refused:?}");
    }
    assert_eq!(check_place(&world.home, world.dir.path()).ok(), Some(cfg!(unix)));
}

#[test]
fn a_configuration_file_elsewhere_is_named() {
    let world = World::new();
    let named = |file: &Path| {
        let endpoints = Endpoints {
            chain: "http://127.0.0.1:1".into(),
            web: None,
            http: None,
            elsewhere: Elsewhere::default(),
            config: file.to_str().map(str::to_owned),
        };
        world.home.announce(&endpoints).expect("there is room");
        let (_, manifest) = world.backup(USUAL, None);
        manifest.left_out.iter().any(|left| Path::new(&left.path) == file)
    };
    assert!(named(&world.dir.path().join("sealdrop.toml")));
    assert!(!named(&world.home.root().join("sealdrop.toml")));
}

#[cfg(unix)]
#[test]
fn what_a_link_leads_to_is_in_the_backup() {
    let world = World::new();
    let large = vec![7; 2 << 20];
    world.put("params/large", &large);
    let link = world.home.root().join("client/imports/data/link");
    std::os::unix::fs::symlink("../../../params/large", link).expect("there is room");
    let restored = world.restored(&world.unencrypted(), Opening::Unencrypted);
    restored.expect("it is restored");
    let link = world.dir.path().join("restored/client/imports/data/link");
    assert!(fs::symlink_metadata(&link).expect("it is there").is_file());
    assert!(fs::read(link).expect("it is there") == large);
}

#[test]
fn two_backups_of_a_home_do_not_mix() {
    let world = World::new();
    let _first = super::gathering::gather(&world.home, false).expect("it is gathered");
    let second = super::gathering::gather(&world.home, false);
    assert!(matches!(second, Err(BackupError::UnderWay { .. })));
}
