//! A node that only verifies: it has no parameters, and a broken key is its own fault, not the proof's.

use sealdrop_prover::params::install_verifying_keys;
use sealdrop_prover::{init, verify_seal, verify_window_post, Error, SectorSize};
use std::fs;

const SIZE: SectorSize = SectorSize::S2KiB;

fn seal() -> Result<bool, Error> {
    let any = [1; 32];
    verify_seal(SIZE, any, any, any, 1, any, any, &[1; 192])
}

fn window() -> Result<bool, Error> {
    verify_window_post(SIZE, [1; 32], [1; 32], &[(1, [1; 32])], &[1; 192])
}

#[test]
fn a_missing_or_damaged_key_is_an_error_and_installing_the_keys_is_enough_to_verify() {
    assert!(matches!(seal(), Err(Error::NotInitialised)));
    let dir = tempfile::tempdir().expect("a temporary directory");
    init(dir.path(), &dir.path().join("parents")).expect("initialises");
    assert!(matches!(seal(), Err(Error::VerifyingKey { .. })));
    assert!(matches!(window(), Err(Error::VerifyingKey { .. })));

    install_verifying_keys(dir.path()).expect("installs");
    for entry in fs::read_dir(dir.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "vk") {
            let bytes = fs::read(&path).expect("reads");
            fs::write(&path, &bytes[..bytes.len() - 1]).expect("damages");
        }
    }
    assert!(matches!(seal(), Err(Error::VerifyingKey { .. })));
    assert!(matches!(window(), Err(Error::VerifyingKey { .. })));

    install_verifying_keys(dir.path()).expect("installs again");
    assert!(!seal().expect("can verify"));
    assert!(!window().expect("can verify"));
}
