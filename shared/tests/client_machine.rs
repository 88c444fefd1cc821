//! The client's machine: what a proposal holds, which answers it believes, and how it gives up (spec §3).

mod parties;

use cid::Cid;
use parties::{key, COMM_P};
use shared::chain::address::MaybeAddress;
use shared::chain::keys::cid_of_bytes;
use shared::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch};
use shared::deal::client::ClientRefusal;
use shared::deal::{
    ClientDeal, ClientEffect, ClientInput, ClientStage, DealState, Draft, MinerDeal, MinerInput, Response,
    SignedProposal, SignedResponse,
};
use shared::payment::Predicate;
use shared::wire::{decode, encode};

const CHANNEL: ChannelId = ChannelId(9);

fn message() -> Cid {
    cid_of_bytes(b"createChannel")
}

fn draft() -> Draft {
    parties::draft(10_000)
}

/// A deal of `draft`, signed and about to be proposed.
fn signed(draft: Draft) -> (ClientDeal, SignedProposal) {
    let mut deal = ClientDeal::new(draft);
    if let ClientEffect::OpenChannel { .. } = deal.effect() {
        let (channel, message) = (CHANNEL, message());
        deal.handle(ClientInput::ChannelOpened { channel, message })
            .expect("opened");
    }
    let proposal = deal.sign(&key(1)).expect("a schedule");
    let input = ClientInput::Signed {
        proposal: proposal.clone(),
    };
    deal.handle(input).expect("signed");
    (deal, proposal)
}

fn answer_by(worker: u8, proposal: &SignedProposal, state: DealState) -> SignedResponse {
    let response = Response {
        state,
        message: "why".into(),
        proposal_cid: proposal.cid(),
        proof_info: None,
    };
    response.sign(&key(worker))
}

fn answered(deal: &mut ClientDeal, response: SignedResponse) -> Result<(), ClientRefusal> {
    deal.handle(ClientInput::Answered { response })
}

/// spec §9.1, spec §9.2, spec §9.3
#[test]
fn a_proposal_carries_the_drafts_terms_the_product_as_price_and_the_channel_that_was_opened() {
    let (_, signed) = signed(draft());
    let proposal = &signed.proposal;
    assert_eq!(proposal.piece_ref, draft().data_cid);
    assert_eq!((proposal.size, proposal.duration), (Some(BytesAmount(1000)), 10_000));
    assert_eq!(proposal.miner_address, draft().miner);
    assert!(signed.signature_is_valid());
    assert_eq!(proposal.total_price, AttoFil(2 * 1000 * 10_000));
    let payment = &proposal.payment;
    assert_eq!(
        (payment.channel, payment.channel_msg_cid),
        (Some(CHANNEL), Some(message()))
    );
    let broker = MaybeAddress(Some(Address::id(Address::PAYMENT_BROKER)));
    assert_eq!((&payment.payer, &payment.pay_ch_actor), (&key(1).address(), &broker));
}

/// spec §9.4
#[test]
fn ten_thousand_blocks_are_paid_with_ten_vouchers_conditional_on_the_miners_proof() {
    let (_, signed) = signed(draft());
    let vouchers = signed.proposal.payment.vouchers.expect("a paid deal");
    let step = 2 * 1000 * 1000;
    let found: Vec<_> = vouchers.iter().map(|v| (v.valid_at.0, v.amount.0)).collect();
    let expected: Vec<_> = (1..=10).map(|k| (773 + 1000 * k, u128::from(k) * step)).collect();
    assert_eq!(found, expected);
    let condition = Predicate::piece_inclusion(&draft().miner, &COMM_P, BytesAmount(1000));
    // The last of 2019 had none (design §9).
    for voucher in &vouchers {
        assert_eq!(voucher.condition.as_ref(), Some(&condition));
    }
}

/// spec §9.5: what the client keeps of a deal is the answer that it got.
#[test]
fn the_accepted_answer_is_kept() {
    let (mut deal, proposal) = signed(draft());
    let accepted = answer_by(3, &proposal, DealState::Accepted);
    answered(&mut deal, accepted.clone()).expect("accepted");
    assert_eq!(deal.response(), Some(&accepted));
    assert_eq!(deal.effect(), ClientEffect::ServeAndQuery);
}

/// spec §9.6
#[test]
fn a_free_deal_names_its_payer_and_no_channel() {
    let free = Draft {
        price: AttoFil::ZERO,
        ..draft()
    };
    assert_eq!(ClientDeal::new(free.clone()).effect(), ClientEffect::Sign);
    let (_, signed) = signed(free);
    let payment = signed.proposal.payment;
    assert_eq!(payment.payer, key(1).address());
    assert_eq!(
        (
            payment.pay_ch_actor,
            payment.channel,
            payment.channel_msg_cid,
            payment.vouchers
        ),
        (MaybeAddress(None), None, None, None)
    );
}

/// spec §9.7 (with the flag): the same data again is a deal of its own, because its channel is another.
#[test]
fn a_paid_duplicate_has_another_id() {
    let (_, first) = signed(draft());
    let mut again = ClientDeal::new(draft());
    let (channel, message) = (ChannelId(10), message());
    again
        .handle(ClientInput::ChannelOpened { channel, message })
        .expect("opened");
    assert_ne!(again.sign(&key(1)).expect("a schedule").cid(), first.cid());
}

/// spec §9.8
#[test]
fn an_answer_altered_after_signing_is_not_believed() {
    let (mut deal, proposal) = signed(draft());
    let before = deal.clone();
    let mut altered = answer_by(3, &proposal, DealState::Accepted);
    altered.response.message = "because".into();
    let refusal = answered(&mut deal, altered).expect_err("altered");
    assert_eq!(refusal.to_string(), "Response signature is invalid");
    assert_eq!(deal, before);
}

/// spec §9.9
#[test]
fn a_proposal_with_channel_vouchers_and_message_survives_the_wire() {
    let (_, signed) = signed(draft());
    let again: SignedProposal = decode(&encode(&signed)).expect("canonical");
    assert_eq!((&again, again.cid()), (&signed, signed.cid()));
}

#[test]
fn each_state_of_an_answer_has_its_consequence_and_text() {
    let after = |state| {
        let (mut deal, proposal) = signed(draft());
        let result = answered(&mut deal, answer_by(3, &proposal, state));
        (result.map_err(|refusal| refusal.to_string()), deal.stage)
    };
    for (state, reason) in [
        (DealState::Rejected, "deal rejected: why"),
        (DealState::Failed, "deal failed: why"),
    ] {
        let channel = Some(CHANNEL.0);
        let failed = ClientStage::Failed {
            reason: reason.into(),
            channel,
        };
        assert_eq!(after(state), (Ok(()), failed));
    }
    for state in [DealState::Accepted, DealState::Staged] {
        assert!(matches!(after(state), (Ok(()), ClientStage::Running { .. })));
    }
    let unknown = after(DealState::Unknown).0;
    assert_eq!(unknown, Err("invalid proposal response: unknown".into()));
    let complete = after(DealState::Complete).0;
    assert_eq!(complete, Err("the miner says complete, but sends no proof".into()));
}

/// spec §9.11: both sides' records are read back, the one asks and the other answers as before; and a signed Unknown ([Q] of spec §7.22) is told apart.
#[test]
fn a_restarted_client_queries_and_brings_its_record_up_to_date() {
    let (mut deal, proposal) = signed(draft());
    answered(&mut deal, answer_by(3, &proposal, DealState::Accepted)).expect("accepted");
    let stored = serde_json::to_string(&deal).expect("stored");
    let mut deal: ClientDeal = serde_json::from_str(&stored).expect("loaded");
    assert_eq!(deal.effect(), ClientEffect::ServeAndQuery);
    let kept = MinerDeal::accepted(proposal.clone(), Epoch(775));
    let stored = serde_json::to_string(&kept).expect("stored");
    let mut kept: MinerDeal = serde_json::from_str(&stored).expect("loaded");
    answered(&mut deal, kept.response().sign(&key(3))).expect("the miner answers as before");
    kept.handle(MinerInput::PieceReceived { comm_p: COMM_P })
        .expect("accepted");
    kept.handle(MinerInput::Placed { sector: 1 }).expect("received");
    answered(&mut deal, kept.response().sign(&key(3))).expect("staged");
    assert_eq!(deal.response().map(|r| r.response.state), Some(DealState::Staged));
    let unknown = answered(&mut deal, answer_by(3, &proposal, DealState::Unknown));
    assert_eq!(unknown, Err(ClientRefusal::UnknownDeal));
    let forged = answered(&mut deal, answer_by(4, &proposal, DealState::Staged)).expect_err("forged");
    assert_eq!(forged.to_string(), "deal response has invalid signature");
}

/// [Q] of spec §3.6: a worker change since the proposal does not make the deal's answers invalid for ever.
#[test]
fn after_a_change_of_the_worker_its_answers_are_believed_and_the_old_ones_are_not() {
    let (mut deal, proposal) = signed(draft());
    answered(&mut deal, answer_by(3, &proposal, DealState::Accepted)).expect("accepted");
    let staged = answer_by(5, &proposal, DealState::Staged);
    assert_eq!(answered(&mut deal, staged.clone()), Err(ClientRefusal::QuerySignature));
    let worker = key(5).address();
    deal.handle(ClientInput::WorkerChanged { worker })
        .expect("the chain's word");
    answered(&mut deal, staged).expect("the new worker's");
    let old = answered(&mut deal, answer_by(3, &proposal, DealState::Staged));
    assert_eq!(old, Err(ClientRefusal::QuerySignature));
}

#[test]
fn a_deal_that_is_given_up_names_the_channel_to_take_back() {
    let given_up = |deal: &mut ClientDeal| {
        let reason: String = "late".into();
        deal.handle(ClientInput::GivenUp { reason }).expect("not at its end");
        deal.channel()
    };
    let mut drafted = ClientDeal::new(draft());
    assert_eq!(given_up(&mut drafted), None);
    let (mut proposed, _) = signed(draft());
    assert_eq!(proposed.deadline(), Some(Epoch(773 + 10_000 + 2000)));
    assert_eq!(given_up(&mut proposed), Some(CHANNEL.0));
    assert_eq!((proposed.effect(), proposed.deadline()), (ClientEffect::Rest, None));
    let mut open = ClientDeal::new(draft());
    let (channel, message) = (CHANNEL, message());
    open.handle(ClientInput::ChannelOpened { channel, message })
        .expect("opened");
    assert_eq!(given_up(&mut open), Some(CHANNEL.0));
}

#[test]
fn a_channel_that_opens_after_the_deal_was_given_up_is_taken_back_too() {
    let mut deal = ClientDeal::new(draft());
    let reason: String = "late".into();
    deal.handle(ClientInput::GivenUp { reason }).expect("drafted");
    let (channel, message) = (CHANNEL, message());
    deal.handle(ClientInput::ChannelOpened { channel, message })
        .expect("late, and still money");
    assert_eq!(deal.channel(), Some(CHANNEL.0));
}
