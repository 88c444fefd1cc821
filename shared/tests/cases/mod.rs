//! How a property is tried on random cases: the same ones in every run, and a case that fails is shrunk to the least one.
//!
//! `PROPTEST_CASES=n` asks for more or fewer cases than the property's own number, `PROPTEST_RNG_SEED=n` for others.

// The crate's own tests, which use this too, are `no_std`.
extern crate std;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// The seed of an ordinary run.
const SEED: u64 = 1;

/// Cases of a property: what the environment asks for, or `usual`.
pub fn count(usual: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

/// Tries `property`, which panics where it does not hold, on [`count`] values of `strategy`.
pub fn hold<S: Strategy>(usual: u32, strategy: &S, property: impl Fn(S::Value)) {
    let defaults = Config::default();
    let config = Config {
        cases: count(usual),
        failure_persistence: None,
        rng_seed: match defaults.rng_seed {
            RngSeed::Random => RngSeed::Fixed(SEED),
            asked => asked,
        },
        ..defaults
    };
    let outcome = TestRunner::new(config).run(strategy, |value| {
        property(value);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
