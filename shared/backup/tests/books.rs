//! What is refused of a backup, and what becomes of what is taken back.

use cid::Cid;
use sealdrop_backup::{restored, Backup, BackupError, FileEntry, NamedFile, NetworkBook, Record, Sealed, SignerBook};
use sealdrop_encryption::{EncryptedFile, EncryptionKey, Identity, Recipients};
use shared::chain::keys::cid_of_bytes;
use shared::chain::{Address, AttoFil, Epoch, RootKey, SecretKey};
use shared::client::files::{Encryption, FileOrder, FileRecord, MinerChoice};
use shared::client::DealRecord;
use shared::deal::{ClientDeal, ClientStage, Draft};
use shared::file::{FileEntry as ManifestEntry, Manifest, RelativePath, TrueNames};
use shared::piece::node::raw_cid;
use shared::piece::{Commitment, SectorSize};
use zeroize::Zeroizing;

fn genesis(name: &str) -> String {
    cid_of_bytes(name.as_bytes()).to_string()
}

fn deal(id: &str, stage: ClientStage) -> Record {
    let address = |n: u8| {
        SecretKey::from_bytes(&[n; 32])
            .expect("a small number is a key")
            .address()
    };
    let draft = Draft {
        data_cid: cid_of_bytes(b"piece"),
        comm_p: Commitment([7; 32]),
        size: 100,
        payer: address(1),
        miner: address(2),
        owner: address(3),
        worker: address(4),
        sector_size: SectorSize::S2KiB,
        price: AttoFil(1),
        duration: 1000,
        start: Epoch(7),
    };
    let mut deal = ClientDeal::new(draft);
    deal.stage = stage;
    let file = NamedFile {
        name: "letter".into(),
        kind: "text/plain".into(),
    };
    DealRecord::new(id.into(), 5, genesis("one"), "peer".into(), file, deal)
}

fn channel_open() -> ClientStage {
    let message = cid_of_bytes(b"message");
    ClientStage::ChannelOpen { channel: 3, message }
}

/// A file of its ciphertext, which is encrypted.
fn file() -> FileEntry {
    let recipient = Identity::generate().expect("there is randomness").recipient();
    let key = EncryptionKey::generate(&Recipients::X25519(&[recipient])).expect("there is randomness");
    let mut key = EncryptedFile::new(key, 0).expect("it is short");
    let ciphertext = key
        .encrypt_range(&(0..key.ciphertext_len()), &[])
        .expect("that is all of it");
    let root: Cid = raw_cid(ciphertext.for_hashing());
    key.bind(root).expect("it is new");
    let piece = shared::file::FilePiece {
        offset: 0,
        size: key.ciphertext_len(),
        data_cid: root,
        comm_p: Commitment([8; 32]),
    };
    let path = RelativePath::parse("0.age").expect("a name");
    let entry = ManifestEntry::new(path, key.ciphertext_len(), root, vec![piece]).expect("it has one piece");
    let manifest = Manifest::file(entry).expect("it has a name");
    let bytes = manifest.to_bytes().expect("it is small");
    let order = FileOrder {
        copies: 1,
        miner: MinerChoice::default(),
        duration: 10,
        most: None,
        repair: false,
        with_manifest: false,
        allow_duplicates: false,
    };
    let record = FileRecord::new((&manifest, &bytes), order, (genesis("one"), Epoch(1)), 7).expect("it is small");
    let encryption = Encryption {
        recipients: 1,
        passphrase: false,
        plain_size: 0,
    };
    FileEntry {
        record: record.encrypted("diary".into(), encryption),
        manifest: bytes,
        sealed: Some(Sealed {
            names: TrueNames::of(&manifest).to_bytes().expect("they are short"),
            readers: Vec::new(),
            keys: vec![key],
        }),
    }
}

fn book() -> NetworkBook {
    NetworkBook {
        genesis: genesis("one"),
        older_key: Some(Zeroizing::new([9; 32])),
        deals: vec![deal("a", ClientStage::Drafted), deal("b", channel_open())],
        files: vec![file()],
    }
}

fn backup(networks: Vec<NetworkBook>) -> Backup {
    Backup::new(1, &RootKey::from_bytes([1; 32]), networks)
}

/// Why a book is refused, when it is read as when it is made.
fn refused(change: impl FnOnce(&mut NetworkBook)) -> BackupError {
    let mut book = book();
    change(&mut book);
    let backup = backup(vec![book]);
    let json = serde_json::to_vec(&backup).expect("it can be written");
    let read = Backup::read(&json).err().expect("it is refused");
    assert_eq!(backup.to_bytes().err(), Some(read.clone()));
    read
}

#[test]
fn what_is_backed_up_is_read_as_it_was() {
    let made = backup(vec![book()]);
    let bytes = made.to_bytes().expect("it is whole");
    let read = Backup::read(&bytes).expect("it is whole");
    assert_eq!(read.root(), RootKey::from_bytes([1; 32]));
    assert_eq!(read.networks[0].deals, made.networks[0].deals);
    assert_eq!(read.networks[0].files[0].record, made.networks[0].files[0].record);
    assert_eq!(*read.to_bytes().expect("it is whole"), *bytes);
}

/// A book of the same network, whose payer is a wallet.
fn of_wallet(stage: ClientStage) -> SignerBook {
    let signer = Address::ethereum(&[7; 20]).expect("it has a key");
    let (deals, files) = (vec![deal("two", stage)], Vec::new());
    let book = NetworkBook {
        deals,
        files,
        older_key: None,
        ..book()
    };
    SignerBook { signer, book }
}

#[test]
fn the_books_of_signers_stand_beside_that_of_the_account_and_earlier_versions_refuse_them() {
    let signers = vec![of_wallet(ClientStage::Drafted)];
    let bytes = backup(vec![book()])
        .with_signers(signers)
        .to_bytes()
        .expect("it is right");
    assert!(bytes.starts_with(b"{\"format\":2,"));
    let back = Backup::restore(&bytes, 9).expect("it is right");
    assert_eq!((back.networks.len(), back.signers.len()), (1, 1));
    let [signer] = &back.signers[..] else {
        panic!("there is one")
    };
    assert_eq!(signer.signer, of_wallet(ClientStage::Drafted).signer);
    assert!(signer.book.deals[0].is_failed(), "nothing is paid for by restoring");
    let plain = backup(vec![book()]).with_signers(Vec::new());
    assert!(plain.to_bytes().expect("it is right").starts_with(b"{\"format\":1,"));
}

#[test]
fn a_signer_that_is_in_it_twice_for_one_network_is_refused() {
    let twice = vec![of_wallet(channel_open()), of_wallet(channel_open())];
    let error = backup(Vec::new()).with_signers(twice).to_bytes().err();
    assert!(matches!(error, Some(BackupError::TwoSigners { .. })), "{error:?}");
}

#[test]
fn a_backup_of_another_form_is_refused_by_its_number() {
    let bytes = backup(Vec::new()).to_bytes().expect("it is whole");
    let text = String::from_utf8(bytes.to_vec()).expect("it is JSON");
    let newer = text.replace("\"format\":1", "\"format\":3,\"new\":true");
    assert_eq!(Backup::read(newer.as_bytes()).err(), Some(BackupError::Format(3)));
}

#[test]
fn a_damaged_backup_is_refused_without_quoting_it() {
    let bytes = backup(Vec::new()).to_bytes().expect("it is whole");
    let text = String::from_utf8(bytes.to_vec()).expect("it is JSON");
    let secret = "01".repeat(32);
    let error = Backup::read(text.replace(&secret, &secret[1..]).as_bytes())
        .err()
        .expect("it is refused");
    assert!(matches!(&error, BackupError::Form(_)), "{error:?}");
    assert!(!error.to_string().contains("0101"), "{error}");
}

#[test]
fn a_backup_that_is_too_large_is_refused_unread() {
    let bytes = vec![b' '; sealdrop_backup::MAX_BACKUP_BYTES + 1];
    assert_eq!(Backup::read(&bytes).err(), Some(BackupError::TooLarge(bytes.len())));
}

#[test]
fn a_network_that_is_in_it_twice_is_refused() {
    let json = serde_json::to_vec(&backup(vec![book(), book()])).expect("it can be written");
    assert_eq!(Backup::read(&json).err(), Some(BackupError::TwoBooks(genesis("one"))));
}

#[test]
fn what_is_no_genesis_id_is_refused() {
    assert_eq!(
        refused(|book| book.genesis = "one".into()),
        BackupError::Genesis("one".into())
    );
}

#[test]
fn what_is_no_key_is_refused() {
    assert_eq!(
        refused(|book| book.older_key = Some(Zeroizing::new([0; 32]))),
        BackupError::Key
    );
}

#[test]
fn a_deal_of_another_network_is_refused() {
    let error = refused(|book| book.deals[0].genesis = genesis("two"));
    assert!(
        matches!(error, BackupError::OtherNetwork { what: "deal", .. }),
        "{error:?}"
    );
}

#[test]
fn a_deal_that_is_in_it_twice_is_refused() {
    let error = refused(|book| book.deals[1].id = "a".into());
    assert_eq!(
        error,
        BackupError::Twice {
            what: "deal",
            id: "a".into()
        }
    );
}

#[test]
fn a_manifest_that_is_not_the_one_that_is_named_is_refused() {
    let error = refused(|book| book.files[0].record.id = genesis("other"));
    assert!(matches!(error, BackupError::Manifest { .. }), "{error:?}");
}

#[test]
fn keys_that_are_not_those_of_the_files_are_refused() {
    let reason = |change: fn(&mut FileEntry)| match refused(|book| change(&mut book.files[0])) {
        BackupError::Keys { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(|file| file.sealed = None), "there are none");
    assert_eq!(reason(|file| file.record.encryption = None), "it is not encrypted");
    assert_eq!(
        reason(|file| file.sealed.as_mut().expect("it is encrypted").keys.clear()),
        "there is not one for each file"
    );
    let of_others = |file: &mut FileEntry| {
        let recipient = Identity::generate().expect("there is randomness").recipient();
        let key = EncryptionKey::generate(&Recipients::X25519(&[recipient])).expect("there is randomness");
        let mut key = EncryptedFile::new(key, 0).expect("it is short");
        key.bind(cid_of_bytes(b"other")).expect("it is new");
        file.sealed.as_mut().expect("it is encrypted").keys = vec![key];
    };
    assert_eq!(reason(of_others), "one of them is for other bytes");
}

#[test]
fn restoring_pays_for_nothing_and_forgets_no_channel() {
    let bytes = backup(vec![book()]).to_bytes().expect("it is whole");
    let back = Backup::restore(&bytes, 9).expect("it is whole");
    let [unpaid, paid] = back.networks[0].deals.as_slice() else {
        panic!("there are two");
    };
    let ClientStage::Failed { reason, channel } = &unpaid.deal.stage else {
        panic!("it would be paid for");
    };
    assert_eq!((reason.as_str(), *channel), (restored::UNPAID, None));
    assert_eq!(paid.deal.stage, channel_open());
    assert_eq!(
        back.networks[0].files[0].record.stopped.as_deref(),
        Some(restored::STOPPED)
    );
}

#[test]
fn what_is_here_stays_unless_an_older_backup_brought_it_as_unpaid() {
    let (unpaid, paid) = (deal("a", ClientStage::Drafted), deal("a", channel_open()));
    let failed = |reason: &str, channel| {
        let reason = reason.into();
        deal("a", ClientStage::Failed { reason, channel })
    };
    let brought = failed(restored::UNPAID, None);
    assert!(restored::takes_the_place(&paid, &brought));
    assert!(restored::takes_the_place(&failed("late", Some(3)), &brought));
    assert!(!restored::takes_the_place(&unpaid, &brought));
    assert!(!restored::takes_the_place(&brought, &brought));
    for here in [unpaid, paid.clone(), failed("late", Some(3)), failed("late", None)] {
        assert!(!restored::takes_the_place(&paid, &here), "{:?}", here.deal.stage);
    }
    let mut drawn_up_anew = brought.clone();
    drawn_up_anew.attempt = 1;
    assert!(!restored::takes_the_place(&paid, &drawn_up_anew));
}
