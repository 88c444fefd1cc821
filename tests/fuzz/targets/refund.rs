//! Taking a channel's money back, whatever the chain shows of the channel and whatever the miner says, at heights that do not go
//! back; and the vouchers of any deal.
#![no_main]

use sealdrop_fuzz::machines::channel;
use sealdrop_fuzz::{reloaded, Script};
use shared::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch};
use shared::deal::{Refund, RefundEffect, RefundInput};
use shared::payment::schedule::{unsigned_vouchers, Terms};
use shared::piece::Commitment;

/// A schedule pays the price at the deal's end, and on the way no more than what was served.
fn schedule(script: &mut Script) {
    let total = AttoFil(u128::from(script.number()) << (script.byte() & 63));
    let (duration, start) = (script.number(), Epoch(script.number()));
    let party = Address::id(script.number());
    let terms = Terms {
        payer: party.clone(),
        target: party.clone(),
        miner: party,
        channel: ChannelId(script.number()),
        total,
        duration,
        start,
        comm_p: Commitment([7; 32]),
        size: BytesAmount(script.number()),
    };
    let Ok(vouchers) = unsigned_vouchers(&terms) else {
        return;
    };
    let last = vouchers.last().expect("a deal lasts at least a block");
    assert_eq!((last.amount, last.valid_at), (total, start.plus(duration)));
    assert!(vouchers.iter().all(|voucher| voucher.condition.is_some()));
    for pair in vouchers.windows(2) {
        assert!(pair[0].amount <= pair[1].amount && pair[0].valid_at <= pair[1].valid_at);
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    if script.chance() {
        schedule(&mut script);
    }
    let mut refund = match script.below(3) {
        0 => Refund::default(),
        1 => Refund::Asking,
        _ => Refund::at_end(Epoch(script.number())),
    };
    let mut now = Epoch(0);
    while !script.is_over() {
        now = now.plus(script.number());
        let before = refund;
        let (kind, channel) = (script.below(8), channel(&mut script));
        let eol = channel.eol;
        let input = match kind {
            0 => RefundInput::CloseAnswered {
                closes: script.chance(),
            },
            1 => RefundInput::CancelRefused { eol },
            2 => RefundInput::Seen {
                channel: None,
                cancel_delay: 0,
            },
            _ => RefundInput::Seen {
                channel: Some(channel),
                cancel_delay: script.number(),
            },
        };
        refund.handle(input.clone(), now);
        let once = refund;
        refund.handle(input, now);
        assert_eq!(once, refund, "said twice is said once");
        if before.is_over() {
            assert!(refund.is_over(), "what is back stays so");
        }
        assert_eq!(refund.is_over(), refund.effect() == RefundEffect::Rest);
        if kind > 2 && !refund.is_over() {
            let reclaims = refund.effect() == RefundEffect::Reclaim;
            assert_eq!(
                reclaims,
                now >= eol,
                "a channel is reclaimed when it has ended, and not before"
            );
        }
        if script.chance() {
            refund = reloaded(&refund);
        }
    }
});
