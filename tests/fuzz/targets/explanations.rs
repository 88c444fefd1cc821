//! Explanations of any deal and any sector, as miner and as client, whatever the clocks, the chain and the prover say; and those
//! that another miner sends. They never fail: whatever is not done has a cause, and everything keeps to its bounds.
#![no_main]

use sealdrop_fuzz::machines::{miner_input, proposals, sector_input};
use sealdrop_fuzz::Script;
use shared::chain::{AttoFil, Epoch};
use shared::deal::{ClientDeal, ClientInput, MinerDeal};
use shared::explain::deal::client::{ClientFacts, MinerReport};
use shared::explain::deal::{self, DealFacts, TransferFacts};
use shared::explain::sector::{
    self, Around, Audience, ChainFacts, Expected, Explanation, Measured, MessageFacts, OnChain, QueuedJob, SectorFacts,
    Turn, MAX_JSON, MAX_TEXT, PHASES,
};
use shared::piece::SectorSize;
use shared::sector::{Phase, PostDuty, Sector};

fn optional<T>(script: &mut Script, value: impl FnOnce(&mut Script) -> T) -> Option<T> {
    script.chance().then(|| value(script))
}

fn phase(script: &mut Script) -> Phase {
    let all = [Phase::Proving, Phase::Expired, Phase::Failed];
    let which = usize::from(script.below((PHASES.len() + all.len()) as u8));
    PHASES.iter().chain(&all).nth(which).copied().unwrap_or(Phase::Packing)
}

fn around(script: &mut Script) -> Around {
    let post = optional(script, |script| match script.below(4) {
        0 => PostDuty::Nothing,
        1 => PostDuty::WaitUntil(Epoch(script.number())),
        2 => PostDuty::Prove {
            randomness_at: Epoch(script.number()),
            deadline: Epoch(script.number()),
            fee: AttoFil(script.number().into()),
        },
        _ => PostDuty::Restart {
            value: AttoFil(script.number().into()),
        },
    });
    let measured = (0..script.below(4)).map(|_| {
        let (ms, samples) = (script.number(), script.number() as u32);
        (phase(script), Measured { ms, samples })
    });
    Around {
        measured: measured.collect(),
        now_ms: script.number(),
        size: SectorSize::S8MiB,
        auto_seal_ms: script.number(),
        chain: ChainFacts {
            height: Epoch(script.number()),
            head_ms: script.number(),
            block_time_ms: script.number(),
            seed_delay: script.number(),
            trouble: optional(script, |script| script.text(255)),
            post,
        },
        audience: match script.chance() {
            true => Audience::Operator,
            false => Audience::Client,
        },
    }
}

fn sector_facts<'a>(script: &mut Script, sector: &'a Sector) -> SectorFacts<'a> {
    SectorFacts {
        sector,
        first_piece_ms: script.number(),
        since_ms: script.number(),
        retry_at_ms: optional(script, |script| script.number()),
        history: (0..script.below(4)).map(|_| (phase(script), script.number())).collect(),
        turn: match script.chance() {
            true => Turn::Running {
                since_ms: script.number(),
                expected: optional(script, |script| Expected {
                    ms: script.number(),
                    basis: script.text(255),
                }),
            },
            false => Turn::Queued {
                behind: (0..script.below(40)).map(|_| job(script)).collect(),
            },
        },
        message: optional(script, |script| MessageFacts {
            id: script.text(64),
            in_block: script.chance(),
        }),
        on_chain: optional(script, |script| OnChain {
            proofs: script.number(),
            fault: optional(script, |script| (Epoch(script.number()), Epoch(script.number()))),
        }),
    }
}

fn job(script: &mut Script) -> QueuedJob {
    QueuedJob {
        sector: script.number(),
        phase: phase(script),
        since_ms: optional(script, |script| script.number()),
        whole: script.chance(),
    }
}

fn transfer(script: &mut Script) -> TransferFacts {
    TransferFacts {
        since_ms: script.number(),
        held: script.number(),
        sources: usize::from(script.byte()),
        limit_ms: script.number(),
        no_room: optional(script, |script| script.text(255)),
    }
}

fn check(told: &Explanation) {
    assert!(
        told.done || !told.because.is_empty(),
        "what is not done has a cause: {told:?}"
    );
    assert!(!told.next.is_empty());
    if let Some(eta) = &told.eta {
        assert!(eta.earliest_ms <= eta.expected_ms, "{eta:?}");
    }
    let texts = told.because.iter().flat_map(|cause| [&cause.text, &cause.what_to_do]);
    for text in texts.chain([&told.next, &told.state, &told.subject.id]) {
        assert!(
            text.chars().count() <= MAX_TEXT && !text.contains(char::is_control),
            "{text:?}"
        );
    }
    let json = serde_json::to_vec(told).expect("it has only what JSON has");
    assert!(json.len() <= MAX_JSON, "{} bytes", json.len());
    let read: Explanation = serde_json::from_slice(&json).expect("it is read as it is sent");
    assert_eq!(&read, told);
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    if script.below(4) == 0 {
        // As a peer sends it.
        if let Ok(told) = serde_json::from_slice::<Explanation>(script.bytes(255)) {
            let _ = serde_json::to_vec(&told.bounded()).expect("it has only what JSON has");
        }
    }
    let mut sector = Sector::new(script.number(), SectorSize::S8MiB);
    let (draft, proposal) = &proposals()[usize::from(script.below(proposals().len() as u8))];
    let mut deal = MinerDeal::accepted(proposal.clone(), Epoch(script.number()));
    for _ in 0..script.below(16) {
        let _ = (
            sector.handle(sector_input(&mut script)),
            deal.handle(miner_input(&mut script)),
        );
    }
    let around = around(&mut script);
    let facts = sector_facts(&mut script, &sector);
    check(&sector::explain(&facts, &around));
    let told = deal::explain(
        &DealFacts {
            deal: &deal,
            transfer: transfer(&mut script),
            sector: script.chance().then_some(facts),
        },
        &around,
    );
    check(&told);
    let reason = script.text(255);
    let mut client = ClientDeal::new(draft.clone());
    match script.below(3) {
        0 => {}
        1 => drop(client.handle(ClientInput::Signed {
            proposal: proposal.clone(),
        })),
        _ => drop(client.handle(ClientInput::GivenUp { reason: reason.clone() })),
    }
    check(&deal::client::explain(ClientFacts {
        deal: &client,
        name: &reason,
        now_ms: script.number(),
        word: match script.below(5) {
            0 => MinerReport::NotAsked,
            1 => MinerReport::Told(told),
            2 => MinerReport::CannotExplain { reason: reason.clone() },
            3 => MinerReport::Unreachable { reason: reason.clone() },
            _ => MinerReport::ChainUnreachable { reason: reason.clone() },
        },
    }));
});
