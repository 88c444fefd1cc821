//! A chain whose blocks are made by hand, with a verifier that is told what to say: for tests of whoever uses a chain.

use crate::{Devnet, DevnetConfig};
use shared::chain::verifier::FakeVerifier;
use shared::chain::view::HeadView;
use shared::chain::{Policy, SecretKey};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A chain in `dir`, on a free port.
pub fn config(dir: &Path) -> DevnetConfig {
    DevnetConfig {
        dir: dir.to_owned(),
        network: "test".into(),
        block_time: Duration::ZERO,
        policy: Policy::default(),
        listen: vec!["127.0.0.1:0".parse().expect("it can be made")],
        hosts: Vec::new(),
        is_public: false,
        tls: None,
        verifier: Arc::new(FakeVerifier::default()),
        verifying_keys: "keys".into(),
    }
}

/// A key that is the same in every run.
pub fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).expect("it can be made")
}

/// Makes a block and checks the whole chain.
pub fn produce(devnet: &Devnet) -> HeadView {
    let head = devnet.produce_block().expect("it can be made");
    devnet.check_invariants().expect("it can be made");
    head
}
