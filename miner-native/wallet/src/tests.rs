//! The rules of a wallet, each by its words.

use super::*;
use shared::chain::keys::cid_of_bytes;

/// The genesis id of a network.
fn network(name: &str) -> Cid {
    cid_of_bytes(name.as_bytes())
}

/// The network of the tests that are not about networks.
fn alpha() -> Cid {
    network("alpha")
}

fn wallet() -> (tempfile::TempDir, Wallet) {
    let dir = tempfile::tempdir().unwrap();
    let wallet = Wallet::open(dir.path().join("wallet")).unwrap();
    (dir, wallet)
}

#[test]
fn the_default_key_is_made_once_and_stays() {
    let (_dir, wallet) = wallet();
    let key = wallet.default_key(&alpha()).unwrap();
    let other = wallet.create(&alpha()).unwrap();
    assert_ne!(key.address(), other.address());
    let again = Wallet::open(&wallet.dir).unwrap();
    assert_eq!(again.default_key(&alpha()).unwrap().to_bytes(), key.to_bytes());
    assert_eq!(again.addresses().unwrap().len(), 2);
    assert_eq!(again.key(&other.address()).unwrap().to_bytes(), other.to_bytes());
}

#[test]
fn a_key_left_without_a_default_becomes_the_default() {
    let (_dir, wallet) = wallet();
    let key = wallet.create(&alpha()).unwrap();
    assert_eq!(wallet.default_key(&alpha()).unwrap().address(), key.address());
    assert_eq!(wallet.addresses().unwrap(), [key.address()]);
}

#[cfg(unix)]
#[test]
fn key_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, wallet) = wallet();
    let address = wallet.default_key(&alpha()).unwrap().address();
    for path in [wallet.path(&address, ACCOUNT), wallet.dir.join(ROOT)] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_damaged_or_misnamed_key_file_is_refused() {
    let (_dir, wallet) = wallet();
    older(&wallet);
    let address = wallet.default_key(&alpha()).unwrap().address();
    for damaged in ["", "00", &"0".repeat(64), &"zz".repeat(32), &"1".repeat(1000)] {
        std::fs::write(wallet.path(&address, KEY), damaged).unwrap();
        assert!(
            matches!(wallet.default_key(&alpha()), Err(WalletError::Malformed { .. })),
            "{damaged}"
        );
    }
    std::fs::write(wallet.path(&address, KEY), [0xff; 64]).unwrap();
    assert!(matches!(
        wallet.default_key(&alpha()),
        Err(WalletError::Malformed { .. })
    ));
    std::fs::write(wallet.path(&address, KEY), "01".repeat(32)).unwrap();
    assert!(matches!(
        wallet.default_key(&alpha()),
        Err(WalletError::Misnamed { .. })
    ));
    std::fs::remove_file(wallet.path(&address, KEY)).unwrap();
    assert!(matches!(
        wallet.default_key(&alpha()),
        Err(WalletError::DefaultMissing { .. })
    ));
}

#[test]
fn an_exported_key_imports_to_the_same_address_and_signs_alike() {
    let (_dir, wallet) = wallet();
    let address = wallet.create(&alpha()).expect("the folder is there").address();
    let secret = wallet.export(&address).expect("the key was just made");
    let (_other_dir, other) = self::wallet();
    for text in [secret.clone(), format!(" {secret}\n"), secret.to_uppercase()] {
        assert_eq!(
            other.import(&text).expect("it was exported"),
            Imported::Key(address.clone())
        );
    }
    assert_eq!(other.addresses().expect("the folder is there"), [address.clone()]);
    let signed = [&wallet, &other].map(|wallet| wallet.sign(&address, b"bytes").expect("both have the key"));
    assert_eq!(signed[0], signed[1]);
    assert!(signed[0].verifies(b"bytes", &address));
}

#[test]
fn what_is_no_secret_key_is_refused_without_being_quoted() {
    let (_dir, wallet) = wallet();
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for (text, wanted) in [
        ("", SecretError::Length(0)),
        ("abcd", SecretError::Length(4)),
        (&"1".repeat(66), SecretError::Length(66)),
        (&"zz".repeat(32), SecretError::Digits),
        (&"00".repeat(32), SecretError::Range),
        (order, SecretError::Range),
    ] {
        let refused = wallet.import(text).expect_err("it is no key");
        assert!(
            matches!(&refused, WalletError::Secret(found) if *found == wanted),
            "{refused}"
        );
        assert!(text.is_empty() || !refused.to_string().contains(text), "{refused}");
    }
    assert!(wallet.addresses().expect("the folder is there").is_empty());
}

#[test]
fn the_default_can_be_another_key_of_the_wallet_and_no_other() {
    let (_dir, wallet) = wallet();
    assert_eq!(wallet.default_address(&alpha()).expect("the folder is there"), None);
    let first = wallet.default_key(&alpha()).expect("one is made").address();
    assert_eq!(wallet.default_address(&alpha()).expect("it was named"), Some(first));
    let second = wallet.create(&alpha()).expect("there is room").address();
    wallet.set_default(&second).expect("the wallet has it");
    assert_eq!(wallet.default_key(&alpha()).expect("it is there").address(), second);
    let foreign = random_key().address();
    let refused = wallet.set_default(&foreign).expect_err("the wallet does not have it");
    assert!(matches!(refused, WalletError::Unknown { address, .. } if address == foreign));
    let actor = Address::id(2);
    let refused = wallet.sign(&actor, b"bytes").expect_err("an actor has no key");
    assert!(matches!(refused, WalletError::NotAnAccount(address) if address == actor));
}

#[test]
fn a_wallet_has_a_bounded_number_of_keys() {
    let (_dir, wallet) = wallet();
    for number in 0..MAX_KEYS as u64 {
        let mut seed = [1; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        let key = SecretKey::from_bytes(&seed).expect("it is below the order");
        std::fs::write(wallet.path(&key.address(), KEY), "unread").expect("the folder is there");
    }
    assert!(matches!(wallet.create(&alpha()), Err(WalletError::TooManyKeys { .. })));
    let secret = hex::encode(random_key().to_bytes());
    assert!(matches!(wallet.import(&secret), Err(WalletError::TooManyKeys { .. })));
}

#[test]
fn a_leftover_of_a_crash_does_not_stop_the_wallet() {
    let (_dir, wallet) = wallet();
    std::fs::write(wallet.dir.join("default.new"), "half").unwrap();
    let key = wallet.default_key(&alpha()).unwrap();
    assert_eq!(wallet.default_key(&alpha()).unwrap().address(), key.address());
}

/// A key as earlier versions made them.
fn older(wallet: &Wallet) -> Address {
    let key = random_key();
    write_key(&wallet.path(&key.address(), KEY), &key).expect("the folder is there");
    key.address()
}

/// Finding B3.
#[test]
fn each_network_has_accounts_of_its_own_and_no_key_signs_on_another() {
    let (_dir, wallet) = wallet();
    let beta = network("beta");
    let (on_alpha, on_beta) = (
        wallet.default_key(&alpha()).unwrap(),
        wallet.default_key(&beta).unwrap(),
    );
    assert_ne!(on_alpha.address(), on_beta.address());
    let binding = |network, number| Binding::Network { network, number };
    let second = wallet.create(&beta).unwrap().address();
    for (address, expected) in [
        (on_alpha.address(), binding(alpha(), 0)),
        (on_beta.address(), binding(beta, 0)),
        (second.clone(), binding(beta, 1)),
    ] {
        assert_eq!(wallet.binding(&address).unwrap(), expected);
    }
    let refused = wallet.key_on(&on_alpha.address(), &beta).unwrap_err();
    assert!(
        matches!(&refused, WalletError::OtherNetwork { bound, network, .. } if *bound == alpha() && *network == beta),
        "{refused}"
    );
    assert_eq!(wallet.key_on(&second, &beta).unwrap().address(), second);
    // Neither network's default is lost to the other's.
    wallet.set_default(&second).unwrap();
    assert_eq!(wallet.default_key(&alpha()).unwrap().address(), on_alpha.address());
    assert_eq!(wallet.default_key(&beta).unwrap().address(), second);
}

#[test]
fn an_older_key_stays_the_default_and_is_bound_to_no_network() {
    let (_dir, wallet) = wallet();
    let address = older(&wallet);
    for network in [alpha(), network("beta")] {
        assert_eq!(wallet.default_key(&network).unwrap().address(), address);
        assert_eq!(wallet.key_on(&address, &network).unwrap().address(), address);
    }
    assert_eq!(wallet.accounts().unwrap(), [(address.clone(), Binding::None)]);
    assert!(!wallet.dir.join(ROOT).exists(), "no root is needed yet");
    let new = wallet.create(&alpha()).unwrap().address();
    assert_ne!(wallet.binding(&new).unwrap(), Binding::None);
    assert_eq!(wallet.default_key(&alpha()).unwrap().address(), address);
}

#[test]
fn an_exported_root_gives_the_same_accounts_elsewhere() {
    let (_dir, wallet) = wallet();
    let made = [alpha(), network("beta")].map(|network| [0, 1].map(|_| wallet.create(&network).unwrap().address()));
    let root = wallet.export_root().unwrap();
    let (_other_dir, other) = self::wallet();
    assert!(matches!(other.export_root(), Err(WalletError::RootMissing { .. })));
    assert_eq!(other.import(&format!(" {root}\n")).unwrap(), Imported::Root);
    for (network, made) in [alpha(), network("beta")].iter().zip(made) {
        assert_eq!(made, [0, 1].map(|_| other.create(network).unwrap().address()));
    }
    assert_eq!(other.import(&root).unwrap(), Imported::Root, "it is there already");
    let foreign = format!("root:{}", "07".repeat(32));
    let refused = other.import(&foreign).unwrap_err();
    assert!(matches!(refused, WalletError::HasOtherRoot { .. }));
    assert!(!refused.to_string().contains("0707"), "{refused}");
    // One that nothing comes from gives way.
    let (_dir, fresh) = self::wallet();
    older(&fresh);
    for root in [&foreign, &root] {
        assert_eq!(fresh.import(root).unwrap(), Imported::Root);
    }
    assert_eq!(fresh.export_root().unwrap(), root);
}

#[test]
fn an_account_without_its_root_is_said_to_be_and_a_root_that_was_lost_can_be_imported() {
    let (_dir, wallet) = wallet();
    let address = wallet.default_key(&alpha()).unwrap().address();
    let root = wallet.export_root().unwrap();
    std::fs::remove_file(wallet.dir.join(ROOT)).unwrap();
    assert!(matches!(wallet.key(&address), Err(WalletError::RootMissing { .. })));
    // Another root would make other accounts.
    assert!(matches!(wallet.create(&alpha()), Err(WalletError::RootMissing { .. })));
    let other = RootKey::from_bytes([7; 32]);
    wallet.write_root(&other).unwrap();
    assert!(matches!(wallet.key(&address), Err(WalletError::OtherRoot { .. })));
    for damaged in ["", "root:", &"1".repeat(64), &format!("root:{}", "zz".repeat(32))] {
        std::fs::write(wallet.dir.join(ROOT), damaged).unwrap();
        assert!(
            matches!(wallet.key(&address), Err(WalletError::Malformed { .. })),
            "{damaged}"
        );
    }
    wallet.import(&root).unwrap();
    assert_eq!(wallet.key(&address).unwrap().address(), address);
    std::fs::write(wallet.path(&address, ACCOUNT), "nonsense").unwrap();
    assert!(matches!(
        wallet.key(&address),
        Err(WalletError::MalformedAccount { .. })
    ));
}

#[test]
fn accounts_that_are_made_at_once_are_not_the_same() {
    let (_dir, wallet) = wallet();
    let made: Vec<Address> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| wallet.create(&alpha()).unwrap().address()))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), made.len());
}

#[test]
fn an_account_whose_key_is_imported_here_too_stays_bound() {
    let (_dir, wallet) = wallet();
    let address = wallet.default_key(&alpha()).unwrap().address();
    std::fs::write(wallet.path(&address, KEY), wallet.export(&address).unwrap()).unwrap();
    assert_eq!(wallet.addresses().unwrap(), [address.clone()]);
    assert_ne!(wallet.binding(&address).unwrap(), Binding::None);
}

#[test]
fn an_address_of_a_restored_root_is_recognised_by_its_number() {
    let (_dir, old) = wallet();
    let (first, second) = (old.create(&alpha()).unwrap(), old.create(&alpha()).unwrap());
    let (_other_dir, new) = wallet();
    new.restore(&old.root_key().unwrap()).unwrap();
    assert!(new.recognise(&second.address(), &alpha()).unwrap());
    assert_eq!(
        new.key_on(&second.address(), &alpha()).unwrap().to_bytes(),
        second.to_bytes()
    );
    assert_eq!(new.addresses().unwrap(), [second.address()]);
    let stranger = random_key().address();
    assert!(!new.recognise(&stranger, &alpha()).unwrap());
    assert!(!new.recognise(&first.address(), &network("beta")).unwrap());
}
