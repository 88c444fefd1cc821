//! A daemon under attack: while hostile peers hold back, flood and lie, and after that, it serves an honest client; what they make
//! it hold is bounded and given back. Real processes; nothing is sealed here. What is played, and how it is measured, is in
//! `tests/src/hostile`.
#![cfg(target_os = "linux")] // Memory and descriptors of another process are read from /proc.

use sealdrop_tests::hostile::{attacks, drill};

#[test]
fn hostile_peers_keep_nobody_out_and_what_they_hold_is_bounded_and_given_back() {
    let summary = drill::run(false);
    assert_eq!(summary.all_broken(), Vec::<String>::new());
}

/// Written by the program that plays all of them.
#[test]
fn the_table_of_attacks_names_each_of_them() {
    let table = include_str!("../../shared/docs/attacks.md");
    for kind in attacks::ALL {
        let row = format!("| {} | {} | {} |", kind.name, kind.of, kind.before);
        assert!(table.contains(&row), "{row}: `cargo xtask nightly hostile` writes it");
    }
}
