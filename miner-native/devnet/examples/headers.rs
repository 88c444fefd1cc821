//! What the tree over the state costs a block: the whole tree at a start, the changes of a block, and a proof, beside what a changed
//! block costs in any case (its state's bytes and their digest).
//!
//! `cargo run --release -p sealdrop-devnet --features testing --example headers -- 20000 20000`

use shared::chain::keys::blake2b256;
use shared::chain::light::testing::{key, miner, state};
use shared::chain::light::{StateKey, StateTree};
use shared::chain::state::Account;
use shared::chain::{Address, AttoFil, ChainState, Epoch, Policy};
use std::time::{Duration, Instant};

/// Runs of each measurement; the middle one is shown.
const RUNS: usize = 9;

fn main() {
    let number = |at: usize| std::env::args().nth(at).and_then(|text| text.parse().ok());
    let (accounts, sectors) = (number(1).unwrap_or(20_000), number(2).unwrap_or(20_000));
    let before = state(&Policy::default(), accounts, sectors);
    let whole = StateTree::of(&before);
    println!(
        "{accounts} accounts, {sectors} sectors of a miner: {} entries",
        whole.count()
    );
    show("the state's bytes and digest", || stored(&before));
    show("the whole tree, at a start", || StateTree::of(&before));
    for (what, change) in CHANGES {
        let mut after = before.clone();
        change(&mut after);
        show(what, || {
            let mut tree = whole.clone();
            tree.advance(&before, &after);
            tree.root()
        });
    }
    let (miner, _) = miner(3, 0);
    let keys = [1, sectors / 2, sectors + 1].map(|sector| StateKey::Sector {
        miner: miner.clone(),
        sector,
    });
    show("three entries proven", || {
        keys.clone().map(|key| whole.prove(&before, &key))
    });
}

const CHANGES: [(&str, fn(&mut ChainState)); 4] = [
    ("a block that pays 256 accounts", |state| {
        for number in 0..256 {
            let address = Address::actor(&Address::id(0), number);
            state.accounts.change(&address, |account| account.nonce += 1);
        }
    }),
    ("a block that makes an account", |state| {
        let balance = AttoFil(1);
        state.accounts.insert(key(77).address(), Account { balance, nonce: 0 });
    }),
    ("a block that commits a sector", |state| {
        let (address, _) = miner(3, 0);
        let miner = state.miners.get_mut(&address).expect("it is there");
        let (last, sector) = miner.sectors.last_key_value().expect("it has some");
        let (next, sector) = (last + 1, sector.clone());
        miner.sectors.insert(next, sector);
    }),
    ("a block with a proof-of-spacetime over all sectors", |state| {
        let (address, _) = miner(3, 0);
        let miner = state.miners.get_mut(&address).expect("it is there");
        for sector in miner.sectors.values_mut() {
            sector.last_proven_at = Some(Epoch(300));
            sector.proofs += 1;
        }
    }),
];

fn stored(state: &ChainState) -> [u8; 32] {
    let mut bytes = Vec::new();
    ciborium::into_writer(state, &mut bytes).expect("writing to a Vec cannot fail");
    blake2b256(&bytes)
}

fn show<T>(what: &str, work: impl Fn() -> T) {
    let time = || {
        let began = Instant::now();
        drop(std::hint::black_box(work()));
        began.elapsed()
    };
    let mut times: Vec<Duration> = std::iter::repeat_with(time).take(RUNS).collect();
    times.sort();
    println!("{:>10.2?}  {what}", times.get(RUNS / 2).copied().unwrap_or_default());
}
