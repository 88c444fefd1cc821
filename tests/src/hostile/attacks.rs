//! Every attack: what it is called, which finding it plays (`findings` are those of the first version, `spec` is protocol.md), what it did
//! before, and how it begins. A held attack goes on until it is dropped; others are over when they began, and tell what they got.

use super::{chain, floods, lies, pages, streams};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Whom an attack is meant for, and how much of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The daemon's: libp2p, libp2p over WebSocket, chain, page; or those of a [`super::Relay`] to it.
    pub ports: [u16; 4],
    /// Connections of a flood, to each listener that it is made to.
    pub(super) flood: usize,
    /// Connections that are filled with streams, and streams that each tries to hold. Up to 256 KiB of each lie with the attacker.
    pub(super) filled: usize,
    pub(super) streams: usize,
}

impl Target {
    /// For an attacker alone: more than any listener takes.
    pub fn of_one(ports: [u16; 4]) -> Self {
        Self {
            ports,
            flood: 400,
            filled: 100,
            streams: 24,
        }
    }

    /// For one of several attackers, which together are as many.
    pub fn of_several(ports: [u16; 4]) -> Self {
        Self {
            ports,
            flood: 150,
            filled: 16,
            streams: 24,
        }
    }
}

/// An attack under way.
pub trait Attack {
    /// What it got; an error when that is what nobody may get.
    fn outcome(&self) -> Result<String, String> {
        Ok(String::new())
    }
}

/// What an attack that is over got.
pub(super) struct Over(pub Result<String, String>);

impl Attack for Over {
    fn outcome(&self) -> Result<String, String> {
        self.0.clone()
    }
}

/// One attack.
pub struct Kind {
    pub name: &'static str,
    /// The findings and weaknesses that it plays.
    pub of: &'static str,
    /// What it did to the first version.
    pub before: &'static str,
    /// Whether every run of the tests plays it; the others are for the night.
    pub is_usual: bool,
    /// Whether it takes the faucet's money, of which there is so much an hour for all.
    pub takes_money: bool,
    begin: fn(&Target) -> Box<dyn Attack>,
}

impl Kind {
    /// Begins it. One that finds the daemon as it never should be has got what nobody may get.
    pub fn begin(&self, target: &Target) -> Box<dyn Attack> {
        let begun = catch_unwind(AssertUnwindSafe(|| (self.begin)(target)));
        begun.unwrap_or_else(|_| Box::new(Over(Err("the daemon let it wait".to_owned()))))
    }

    const fn with_money(self) -> Self {
        Self {
            takes_money: true,
            ..self
        }
    }
}

const fn usual(
    name: &'static str,
    of: &'static str,
    before: &'static str,
    begin: fn(&Target) -> Box<dyn Attack>,
) -> Kind {
    Kind {
        name,
        of,
        before,
        is_usual: true,
        takes_money: false,
        begin,
    }
}

const fn nightly(
    name: &'static str,
    of: &'static str,
    before: &'static str,
    begin: fn(&Target) -> Box<dyn Attack>,
) -> Kind {
    Kind {
        is_usual: false,
        ..usual(name, of, before, begin)
    }
}

/// Every attack.
pub const ALL: &[Kind] = &[
    usual(
        "idle connections to every listener",
        "A6, A11",
        "1050 of them took all four listeners down for good",
        floods::idle_connections,
    ),
    nightly(
        "connections from 250 addresses to every listener",
        "A6",
        "as from one address",
        floods::many_addresses,
    ),
    usual(
        "headers that come a byte at a time",
        "A6, slow loris: WebSocket, chain, page",
        "no limit",
        floods::slow_headers,
    ),
    nightly(
        "bodies that come a byte at a time",
        "A6, slow loris: chain, page",
        "no limit",
        floods::slow_bodies,
    ),
    nightly(
        "handshakes that come a byte at a time",
        "A6, slow loris: libp2p",
        "64 of them kept every other one waiting",
        floods::slow_handshakes,
    ),
    nightly(
        "WebSocket frames that come a byte at a time",
        "A6, slow loris: the chain's /ws",
        "no limit",
        floods::slow_frames,
    ),
    usual(
        "WebSocket frames that declare what never comes",
        "A1",
        "8 connections of 1.5 kB: from 23 to 2063 MiB",
        floods::declared_frames,
    ),
    usual(
        "subscriptions to heads that nobody reads",
        "A11",
        "255 sockets filled /ws for good",
        floods::unread_subscriptions,
    ),
    nightly(
        "pages and answers that nobody reads",
        "a peer that reads nothing: page, chain",
        "not tried",
        floods::unread_pages,
    ),
    usual(
        "streams full of bytes that nobody reads",
        "A5",
        "not tried; yamux promised 256 MiB a connection",
        streams::full_streams,
    ),
    nightly(
        "connections that read nothing",
        "a peer that reads nothing: libp2p",
        "not tried",
        streams::deaf_connections,
    ),
    usual(
        "requests that never end",
        "A5, spec 7.26",
        "8 peers with 16 streams closed the miner for four hours",
        streams::endless_requests,
    ),
    nightly(
        "questions as fast as they go",
        "A12",
        "under one lock, on the threads that answer everybody",
        streams::questions,
    ),
    nightly(
        "requests to the chain as fast as they go",
        "A12",
        "as above",
        chain::requests,
    ),
    nightly(
        "previews with forged proofs as fast as they go",
        "A11",
        "every proof was verified, free, on the threads that answer everybody",
        chain::previews,
    ),
    usual(
        "messages whose first number is missing",
        "A2",
        "16 accounts closed the pool; the miner was slashed",
        chain::gaps,
    )
    .with_money(),
    nightly(
        "accounts for next to nothing",
        "A8",
        "25 600 accounts for 0.000000000000026 FIL: 470 MB of memory",
        chain::accounts,
    )
    .with_money(),
    nightly(
        "the faucet, again and again",
        "A9",
        "no limit, from any page",
        chain::faucet,
    )
    .with_money(),
    usual(
        "wrong bytes to every method of the chain",
        "spec 7.14, 7.16, 7.26",
        "not tried",
        chain::wrong_bytes,
    )
    .with_money(),
    usual(
        "pages of other sites, and names of other hosts",
        "A9, A11",
        "faucet and messages for any page; no Host check",
        pages::foreign,
    ),
    usual(
        "orders without the operator's token",
        "A10",
        "obeyed, from any user of the machine",
        pages::orders,
    ),
    usual("requests with two lengths", "A11", "taken", pages::two_lengths),
    usual(
        "wrong bytes to every protocol of the miner",
        "spec 7.14, 7.16",
        "in 2019 three kinds of them ended the process",
        lies::wrong_bytes,
    ),
    usual(
        "proposals that can come to nothing",
        "A3, B1, B4, B6, spec 7.16, 7.19, 7.20, 7.26",
        "16 384 in 80 s closed the miner for ever",
        lies::hopeless_proposals,
    ),
    usual(
        "pieces of wrong bytes",
        "C8, spec 7.2",
        "the deal waited for ever",
        lies::wrong_pieces,
    ),
    nightly(
        "pieces that come a byte at a time",
        "A4",
        "one peer with 8 deals kept every transfer waiting",
        lies::slow_pieces,
    ),
];

/// Findings that are about the chain's rules or other parties, and the tests that hold them.
pub const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "A7",
        "no descriptors, a full disk: blocks stopped for good",
        "`tests/src/shortages.rs`, `tests/src/soak`",
    ),
    (
        "B1",
        "a miner that stores nothing took the whole price",
        "`shared/tests/model`, `shared/src/payment`",
    ),
    (
        "B2",
        "cancel, then `extend`: the agreed end moved ahead",
        "`shared/src/chain/tests`",
    ),
    (
        "B5, B7",
        "money locked by a refusal that was known",
        "`miner-native/src/client/tests`, `tests/commands/paying.rs`",
    ),
    (
        "spec 7.15, 7.17, 7.18, 7.27, 7.28",
        "channels reused, cancelled, replayed",
        "`tests/scenarios.toml`",
    ),
];
