//! What a chain with many accounts costs: messages a second, time of a query, and memory of the states that are held at once.
//!
//! `cargo run --release -p sealdrop-devnet --example crowd -- 25600`

use shared::chain::verifier::{ProofVerifier, SealClaim, VerifierFault, WindowPoStClaim};
use shared::chain::{apply, calls, query, Address, AttoFil, ChainState, Context, Epoch, Genesis, Policy, SecretKey};
use std::collections::BTreeMap;
use std::time::Instant;

/// Messages that are timed.
const MESSAGES: u64 = 256;
/// States that are held at once: that of the last block, and those that readers have not let go of.
const HELD: usize = 16;

struct NoProofs;

impl ProofVerifier for NoProofs {
    fn verify_seal(&self, _: &SealClaim) -> Result<bool, VerifierFault> {
        Ok(false)
    }
    fn verify_window_post(&self, _: &WindowPoStClaim) -> Result<bool, VerifierFault> {
        Ok(false)
    }
}

fn main() {
    let accounts = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(25_600u64);
    let key = SecretKey::from_bytes(&[7; 32]).expect("the number is in range");
    let mut allocations = BTreeMap::from([(key.address(), AttoFil::from_fil(1000))]);
    for number in 0..accounts {
        let mut point = [4; 65];
        point[..8].copy_from_slice(&number.to_be_bytes());
        allocations.insert(Address::secp256k1(&point), AttoFil(1));
    }
    let genesis = Genesis {
        network: "crowd".into(),
        policy: Policy::default(),
        supply: AttoFil::from_fil(2000),
        allocations,
    };
    let mut state = ChainState::genesis(genesis).expect("the usual policy works");
    let beacon = |_| Some(Vec::new());
    let ctx = Context {
        height: Epoch(1),
        network: &cid::Cid::default(),
        beacon: &beacon,
        verifier: &NoProofs,
    };
    let (to, from) = (Address::id(Address::NETWORK_TREASURY), key.address());
    let messages: Vec<_> = (0..MESSAGES)
        .map(|nonce| calls::transfer(&to, AttoFil(1)).message(&from, nonce).sign(&key))
        .collect();
    let began = Instant::now();
    for message in &messages {
        apply(&mut state, message, &ctx).expect("the account can pay");
    }
    let each = began.elapsed() / MESSAGES as u32;
    println!("{accounts} accounts: {each:?} a message, signature included");
    let began = Instant::now();
    let market = Address::id(Address::STORAGE_MARKET);
    query(&state, &ctx, None, &market, "getTotalStorage", Vec::new()).expect("the market answers");
    println!("{:?} a query", began.elapsed());
    let before = resident();
    let mut held = Vec::new();
    for nonce in 0..HELD as u64 {
        held.push(state.clone());
        let message = calls::transfer(&to, AttoFil(1))
            .message(&from, MESSAGES + nonce)
            .sign(&key);
        apply(&mut state, &message, &ctx).expect("the account can pay");
    }
    println!(
        "{} KiB for {HELD} states that differ by a message",
        resident().saturating_sub(before)
    );
}

/// KiB of memory in use; 0 where that cannot be told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}
