//! What lying peers say to the miner: bytes of no meaning, proposals that can come to nothing, pieces that are others.

use super::attacks::{Attack, Over, Target};
use super::liar::{Liar, Lie};
use crate::peer::Peer;
use shared::chain::keys::{blake2b256, cid_of_bytes};
use shared::chain::voucher::PaymentVoucher;
use shared::chain::{AttoFil, BytesAmount, ChannelId, Epoch};
use shared::deal::{DealState, Proposal, QueryRequest, QuoteRequest, WatchRequest};
use shared::payment::CloseRequest;
use shared::retrieval::RetrievePieceRequest;
use shared::wire::frame::{frame, MAX_MESSAGE};
use shared::wire::{encode, protocol};
use std::time::{Duration, Instant};

/// How long the honest among slow peers may wait: a slow one's turn, and the next.
const SERVED_WITHIN: Duration = Duration::from_secs(150);
const LOOK: Duration = Duration::from_millis(200);
/// Slow peers, and deals of each.
const SLOW: u64 = 6;
const OF_EACH: u64 = 2;
/// How long a piece of wrong bytes is left to be found wrong.
const FOUND_WITHIN: Duration = Duration::from_secs(3);

fn over(outcome: Result<String, String>) -> Box<dyn Attack> {
    Box::new(Over(outcome))
}

fn voucher(peer: &Peer) -> PaymentVoucher {
    PaymentVoucher {
        channel: ChannelId(1),
        payer: peer.payer(),
        target: peer.worker().clone(),
        amount: AttoFil(1),
        valid_at: Epoch(u64::MAX),
        condition: None,
        signature: None,
    }
}

/// Each artefact that a peer sends, whole.
fn artefacts(peer: &Peer) -> Vec<(&'static str, Vec<u8>)> {
    let proposal = peer.proposal(40);
    let (cid, piece_ref) = (proposal.cid(), proposal.proposal.piece_ref);
    let quote = QuoteRequest {
        payer: peer.payer(),
        miner: peer.miner().clone(),
        piece_ref,
        size: 100,
        total_price: AttoFil::ZERO,
        duration: 1000,
    };
    let close = CloseRequest { voucher: voucher(peer) };
    let watch = WatchRequest {
        cid,
        state: DealState::Unknown,
    };
    vec![
        (protocol::MAKE_DEAL, encode(&proposal)),
        (protocol::QUERY_DEAL, encode(&QueryRequest { cid })),
        (protocol::EXPLAIN, encode(&QueryRequest { cid })),
        (protocol::WATCH_DEAL, encode(&watch)),
        (protocol::RETRIEVAL, encode(&RetrievePieceRequest { piece_ref })),
        (protocol::QUOTE, encode(&quote)),
        (protocol::CLOSE_CHANNEL, encode(&close)),
    ]
}

/// Every artefact with a byte changed, at some places, cut short, and with lengths that are none. A proposal must not be taken
/// by it; anything may be answered in words.
pub(super) fn wrong_bytes(target: &Target) -> Box<dyn Attack> {
    over(say_wrong_bytes(target))
}

fn say_wrong_bytes(target: &Target) -> Result<String, String> {
    let peer = Peer::at(target.ports)?;
    let (mut said, mut answered) = (0, 0);
    for (name, whole) in artefacts(&peer) {
        let mut wrong = vec![
            vec![0xff; 20],
            vec![0x81, 0x80, 0x10],
            vec![0x00],
            [vec![0xc8, 0x01], vec![0x81; 200]].concat(),
            frame(whole.get(..whole.len() / 2).unwrap_or_default(), MAX_MESSAGE).map_err(|e| e.to_string())?,
        ];
        let step = (whole.len() / 8).max(1);
        // A watch that still makes sense is answered after a while.
        let changed = if name == protocol::WATCH_DEAL { 0 } else { whole.len() };
        for place in (0..changed).step_by(step) {
            let mut changed = whole.clone();
            changed[place] ^= 1 << (place % 8);
            wrong.push(frame(&changed, MAX_MESSAGE).map_err(|e| e.to_string())?);
        }
        for bytes in wrong {
            said += 1;
            answered += usize::from(peer.try_to_say(name, &bytes).is_some_and(|heard| !heard.is_empty()));
        }
    }
    let state = peer.query(&peer.proposal(40).cid()).response.state;
    match state {
        DealState::Unknown => Ok(format!("{said} said, {answered} answered in words")),
        other => Err(format!("a deal that was never proposed is {other:?}")),
    }
}

type Change = fn(&Peer, &mut Proposal);

/// Proposals that an honest miner must not take, whatever it asks for.
const HOPELESS: [(&str, Change); 9] = [
    ("a block of another codec", |_, proposal| {
        proposal.piece_ref = cid::Cid::new_v1(0x71, *proposal.piece_ref.hash());
    }),
    ("no size", |_, proposal| proposal.size = None),
    ("no block", |_, proposal| proposal.duration = 0),
    ("one block", |_, proposal| proposal.duration = 1),
    ("for ever", |_, proposal| proposal.duration = u64::MAX),
    ("larger than a sector", |_, proposal| {
        proposal.size = Some(BytesAmount(4000));
    }),
    ("as large as numbers go", |_, proposal| {
        proposal.size = Some(BytesAmount(u64::MAX));
        proposal.total_price = AttoFil(u128::MAX >> 4);
    }),
    ("a voucher due at the end of time", |peer, proposal| {
        proposal.payment.vouchers = Some(vec![voucher(peer)]);
    }),
    ("a channel that is not there", |peer, proposal| {
        proposal.payment.channel = Some(ChannelId(77));
        proposal.payment.channel_msg_cid = Some(cid_of_bytes(b"no message"));
        proposal.payment.vouchers = Some(vec![voucher(peer)]);
        proposal.total_price = AttoFil(1);
    }),
];

pub(super) fn hopeless_proposals(target: &Target) -> Box<dyn Attack> {
    over(propose_in_vain(target))
}

fn propose_in_vain(target: &Target) -> Result<String, String> {
    let peer = Peer::at(target.ports)?;
    let mut refused = 0;
    for (what, change) in HOPELESS {
        let proposal = peer.changed(50, |proposal| change(&peer, proposal));
        let sent = frame(&encode(&proposal), MAX_MESSAGE).map_err(|e| e.to_string())?;
        // A channel that is not there may be waited for: nobody waits with it.
        let answer = match what {
            "a channel that is not there" => peer.hold(protocol::MAKE_DEAL, &sent).map(|_| Vec::new()),
            _ => peer.try_to_say(protocol::MAKE_DEAL, &sent),
        };
        match peer.query(&proposal.cid()).response.state {
            DealState::Unknown | DealState::Rejected => refused += 1,
            other => {
                return Err(format!(
                    "a proposal ({what}) is {other:?}; the answer had {:?} bytes",
                    answer.map(|a| a.len())
                ))
            }
        }
    }
    let mut forged = peer.proposal(51);
    forged.signature.0[10] ^= 1;
    for _ in 0..100 {
        let answer = peer.propose(&forged);
        if answer.response.state != DealState::Rejected {
            return Err("a forged proposal is taken".to_owned());
        }
        refused += 1;
    }
    Ok(format!("{refused} refused"))
}

/// Deals at no price whose pieces come as other bytes, as frames without end, or not at all.
pub(super) fn wrong_pieces(target: &Target) -> Box<dyn Attack> {
    over(send_wrong_pieces(target))
}

fn send_wrong_pieces(target: &Target) -> Result<String, String> {
    let lies = [Lie::OtherBytes, Lie::Endless, Lie::Nonsense, Lie::Refused];
    let mut told = Vec::new();
    let mut liars = Vec::new();
    for (number, lie) in lies.into_iter().enumerate() {
        let liar = Liar::at(target.ports, lie, unique(number as u64))?;
        told.push((lie, liar.propose()?));
        liars.push(liar);
    }
    std::thread::sleep(FOUND_WITHIN);
    let peer = Peer::at(target.ports)?;
    let mut states = Vec::new();
    for (lie, deal) in told {
        let state = peer.query(&deal).response.state;
        if matches!(state, DealState::Staged | DealState::Complete) {
            return Err(format!("a piece that came as {lie:?} is {state:?}"));
        }
        states.push(format!("{lie:?}: {state}"));
    }
    Ok(states.join(", "))
}

/// Deals whose pieces come a byte at a time take every place there is; then an honest peer's piece must come through.
pub(super) fn slow_pieces(target: &Target) -> Box<dyn Attack> {
    over(send_slow_pieces(target))
}

fn send_slow_pieces(target: &Target) -> Result<String, String> {
    let mut slow = Vec::new();
    for number in 0..SLOW {
        for deal in 0..OF_EACH {
            let liar = Liar::at(target.ports, Lie::Dripping, unique(100 + number * OF_EACH + deal))?;
            liar.propose()?;
            slow.push(liar);
        }
    }
    let honest = Liar::at(target.ports, Lie::Honest, unique(999))?;
    let (deal, began) = (honest.propose()?, Instant::now());
    let peer = Peer::at(target.ports)?;
    loop {
        let state = peer.query(&deal).response.state;
        if matches!(state, DealState::Staged | DealState::Complete) {
            return Ok(format!(
                "an honest piece came through after {} s",
                began.elapsed().as_secs()
            ));
        }
        if began.elapsed() > SERVED_WITHIN {
            return Err(format!("an honest piece is {state} after {SERVED_WITHIN:?}"));
        }
        std::thread::sleep(LOOK);
    }
}

/// Another number for each run: what was refused once is known.
fn unique(number: u64) -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let hash = blake2b256(&[now.as_nanos().to_be_bytes().as_slice(), &number.to_be_bytes()].concat());
    u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}
