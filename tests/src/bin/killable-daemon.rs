//! The daemon that `kill-matrix` kills: all of `sealdrop daemon`, but FAKE proofs, which take no time and prove nothing.
//! Never for use: its chain takes any forged proof.

use sealdrop_tests::kill::FakeProofs;
use std::process::ExitCode;

fn main() -> ExitCode {
    sealdrop::commands::run_daemon_with(&FakeProofs)
}
