//! Encrypted files: what is in the book before anything can leave, and that nothing is encrypted, or paid for, twice.

use super::super::files::encrypting::{Readers, MAX_PASSPHRASE_FILES};
use super::super::files::{self, Wanted};
use super::*;
use crate::client::cli_host::CliHost;
use libp2p::PeerId;
use sealdrop_encryption::{Identity, Passphrase};
use shared::client::files::{FileOrder, MinerChoice, Placement};
use shared::client::ClientHost;
use shared::file::Manifest;
use shared::transfer::{RefusalCode, Request, Response, Target};
use std::path::PathBuf;

const SECRET: &[u8] = b"a secret that nobody else has";

/// A folder of a small file, an empty one, and one of two pieces.
fn folder(world: &World) -> PathBuf {
    let folder = world.dir.path().join("photos");
    if !folder.exists() {
        std::fs::create_dir_all(folder.join("inner")).expect("there is room");
        let large: Vec<u8> = (0..9 << 20).map(|i: usize| (i * 131 + (i >> 9) * 7) as u8).collect();
        for (name, bytes) in [("a.txt", SECRET), ("inner/empty", &[]), ("z", &large)] {
            std::fs::write(folder.join(name), bytes).expect("there is room");
        }
    }
    folder
}

fn wanted(world: &World, identity: &Identity) -> Wanted {
    Wanted {
        paths: vec![folder(world)],
        name: None,
        order: FileOrder {
            copies: 1,
            miner: MinerChoice::default(),
            duration: 1000,
            most: None,
            repair: false,
            with_manifest: false,
            allow_duplicates: false,
        },
        until: Until::Staged,
        readers: Some(Readers::Recipients(vec![identity.recipient()])),
    }
}

async fn miner(world: &World) -> Miner {
    let miner = world.large_miner(&key(3), AttoFil(1000)).await;
    miner.says(Reply::Stage);
    miner
}

fn identity() -> Identity {
    Identity::generate().expect("the system is random")
}

/// Nothing of what is encrypted is in what leaves, and everything is in the book.
fn check(session: &Session, placement: &Placement, identity: &Identity) {
    let id = &placement.file().id;
    let stored = files::get(session, id).expect("it is in the book");
    for name in [&b"photos"[..], b"a.txt", b"inner"] {
        let bytes = &stored.manifest_bytes;
        assert!(!bytes.windows(name.len()).any(|part| part == name), "{name:?}");
    }
    assert_eq!(stored.record.name, "photos");
    let encryption = stored.record.encryption.expect("it is encrypted");
    assert_eq!((encryption.recipients, encryption.passphrase), (1, false));
    assert_eq!(encryption.plain_size, SECRET.len() as u64 + (9 << 20));
    let keys = session.book.keys(id).expect("it can be read").expect("they are kept");
    assert_eq!(keys.readers, [identity.recipient().to_string()]);
    let roots: Vec<_> = stored.manifest.files().iter().map(|file| Some(file.root())).collect();
    let bound: Vec<_> = keys.files.iter().map(|key| key.root().copied()).collect();
    assert_eq!(bound, roots);
    let named = stored.manifest.under(keys.names).expect("they are its names");
    let names: Vec<&str> = named.files().iter().map(|file| file.path().as_str()).collect();
    assert_eq!(
        (named.name().as_str(), names),
        ("photos", vec!["a.txt", "inner/empty", "z"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_folder_is_stored_without_its_names_and_not_a_second_time() {
    let world = World::start();
    let _miner = miner(&world).await;
    let session = world.session().await;
    let identity = identity();
    let placement = files::store(&session, &wanted(&world, &identity))
        .await
        .expect("it takes it");
    check(&session, &placement, &identity);
    // The small one, the empty one, which has a header, and two.
    assert_eq!(placement.pieces().len(), 4);
    let again = files::store(&session, &wanted(&world, &identity))
        .await
        .expect("it is stored");
    assert_eq!(again.file().id, placement.file().id);
    assert_eq!(session.book.all().expect("it can be read").len(), 4);
    // For somebody else, it is another file.
    let other = self::identity();
    let other = files::store(&session, &wanted(&world, &other))
        .await
        .expect("it takes it");
    assert_ne!(other.file().id, placement.file().id);
    // And as it is, it is one that everybody reads.
    let mut clear = wanted(&world, &identity);
    clear.readers = None;
    let clear = files::store(&session, &clear).await.expect("it takes it");
    assert!(clear.file().encryption.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_moment_leaves_no_deal_without_its_key() {
    let world = World::start();
    let _miner = miner(&world).await;
    let identity = identity();
    let wanted = wanted(&world, &identity);
    for millis in [60, 120, 30, 90, 200] {
        let session = world.session().await;
        // Dropped where it is, as by a kill: nothing is finished.
        let _ = tokio::time::timeout(Duration::from_millis(millis), files::store(&session, &wanted)).await;
        for record in session.book.all().expect("it can be read") {
            let key = session
                .book
                .key_of(&record.file)
                .expect("it is there")
                .expect("it has one");
            assert!(key.root().is_some(), "it is bound");
        }
    }
    let session = world.session().await;
    let placement = files::store(&session, &wanted).await.expect("it goes on");
    check(&session, &placement, &identity);
    assert_eq!(session.book.file_ids().expect("it can be read").len(), 1);
    assert_eq!(session.book.all().expect("it can be read").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_that_is_encrypted_has_a_manifest_that_hides_its_name() {
    let world = World::start();
    let _miner = miner(&world).await;
    let session = world.session().await;
    let mut wanted = wanted(&world, &identity());
    wanted.paths = vec![folder(&world).join("a.txt")];
    let placement = files::store(&session, &wanted).await.expect("it takes it");
    let stored = files::get(&session, &placement.file().id).expect("it is in the book");
    assert_eq!(stored.manifest.name().as_str(), "0.age");
    assert_eq!(stored.record.name, "a.txt");
    assert_eq!(Manifest::read(&stored.manifest_bytes).as_ref(), Ok(&stored.manifest));
    assert_eq!(placement.pieces().len(), 1);
}

/// Its date says nothing of it, and its length neither.
#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_changes_before_it_is_fetched_is_not_sent_and_the_deal_hears_of_it() {
    let world = World::start();
    let miner = miner(&world).await;
    miner.says(Reply::Accept);
    let session = world.session().await;
    let mut wanted = wanted(&world, &identity());
    let path = folder(&world).join("a.txt");
    (wanted.paths, wanted.until) = (vec![path.clone()], Until::Accepted);
    files::store(&session, &wanted).await.expect("it is accepted");
    let mut record = only(&session);
    let host = CliHost::new(&session, &record, session.report.silent(), Until::Accepted).await;
    let host = host.expect("the account is there");
    assert!(host.file_is_same(&mut record).await.expect("it is there"));
    host.offer(&record);
    let modified = std::fs::metadata(&path)
        .and_then(|found| found.modified())
        .expect("it is there");
    std::fs::write(&path, b"A secret that nobody else has").expect("there is room");
    let changed = std::fs::File::options().write(true).open(&path).expect("it is there");
    changed.set_modified(modified).expect("it is ours");
    let (root, len) = (*record.data_cid(), record.deal.draft.size as u32);
    let target = Target::Bytes { offset: 0, len };
    let (peer, request) = (PeerId::random(), Request { root, target });
    let answer = session.offers.answer(&peer, &request).await;
    assert_eq!(answer, Response::refusal(RefusalCode::ReadFailed));
    assert!(!host.file_is_same(&mut record).await.expect("it is there"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_for_more_files_than_anybody_waits_for_is_refused_before_anything_is_kept() {
    let world = World::start();
    let _miner = miner(&world).await;
    let session = world.session().await;
    let mut wanted = wanted(&world, &identity());
    let many = world.dir.path().join("many");
    std::fs::create_dir_all(&many).expect("there is room");
    for index in 0..=MAX_PASSPHRASE_FILES {
        std::fs::write(many.join(index.to_string()), b"x").expect("there is room");
    }
    wanted.paths = vec![many];
    let passphrase = Passphrase::new("many words".to_owned()).expect("it is one");
    wanted.readers = Some(Readers::Passphrase(passphrase));
    let refused = files::store(&session, &wanted).await;
    let Err(ClientError::PassphraseFiles { files, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(files, MAX_PASSPHRASE_FILES + 1);
    assert_eq!(session.book.file_ids().expect("it can be read"), [""; 0]);
}
