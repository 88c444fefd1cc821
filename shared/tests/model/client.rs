//! The client of the model: the machines of deal and refund, and a network that loses what it carries.

use super::chain::{Chain, Outbox};
use super::miner::Miner;
use super::random::Random;
use super::{key, restart, Trouble};
use cid::Cid;
use shared::chain::calls;
use shared::chain::keys::cid_of_bytes;
use shared::chain::{AttoFil, ChannelId};
use shared::deal::refund::INVALID_CANCEL;
use shared::deal::{
    ClientDeal, ClientEffect, ClientInput, ClientStage, Draft, Refund, RefundEffect, RefundInput, SignedResponse,
};
use shared::piece::{Commitment, SectorSize};

/// A deal that the client wants.
#[derive(Debug, Clone)]
pub struct Order {
    number: u8,
    size: u64,
    price: AttoFil,
    duration: u64,
    /// First height at which it is drawn up.
    from: u64,
    /// The vouchers' conditions speak of another piece than the one that arrives. (Free and short deals have none.)
    lies: bool,
}

impl Order {
    pub fn any(number: u8, random: &mut Random) -> Self {
        let free = random.chance(20);
        let duration = 1 + random.below(2500);
        Self {
            number,
            size: 1 + random.below(1016),
            price: AttoFil(if free { 0 } else { 2 }),
            duration,
            from: 101 + random.below(400),
            lies: !free && duration > 1000 && random.chance(20),
        }
    }
}

#[derive(Debug)]
pub struct Deal {
    order: Order,
    pub machine: ClientDeal,
    /// The id, also after a failure.
    pub cid: Option<Cid>,
    refund: Refund,
    attempts: u32,
    drawn_up: bool,
}

#[derive(Debug)]
pub struct Client {
    pub deals: Vec<Deal>,
    outbox: Outbox,
    trouble: Trouble,
}

impl Client {
    pub fn new(orders: Vec<Order>, miner: &Miner, trouble: Trouble) -> Self {
        let deal = |order: Order| {
            let draft = Draft {
                data_cid: cid_of_bytes(&[order.number]),
                comm_p: Commitment([order.number + 1; 32]),
                size: order.size,
                payer: key(1).address(),
                miner: miner.address.clone(),
                owner: key(2).address(),
                worker: key(2).address(),
                sector_size: SectorSize::S2KiB,
                price: order.price,
                duration: order.duration,
                start: shared::chain::Epoch(0),
            };
            Deal {
                order,
                machine: ClientDeal::new(draft),
                cid: None,
                refund: Refund::default(),
                attempts: 0,
                drawn_up: false,
            }
        };
        Self {
            deals: orders.into_iter().map(deal).collect(),
            outbox: Outbox::new(key(1), 0, trouble.loss),
            trouble,
        }
    }

    /// Whether every deal is over here; a complete one is asked about until it is over at the miner's.
    pub fn is_done(&self, miner: &Miner) -> bool {
        self.deals.iter().all(|deal| match &deal.machine.stage {
            ClientStage::Complete { .. } => deal.cid.is_some_and(|cid| miner.has_ended(&cid)),
            ClientStage::Failed { channel, .. } => channel.is_none() || deal.refund.is_over(),
            _ => false,
        })
    }

    /// What arrives of a deal's piece: its commitment.
    pub fn serve(&self, deal: &Cid) -> Option<Commitment> {
        let deal = self.deals.iter().find(|found| found.cid == Some(*deal))?;
        Some(match deal.order.lies {
            true => Commitment([99; 32]),
            false => deal.machine.draft.comm_p,
        })
    }

    pub fn step(&mut self, chain: &mut Chain, miner: &mut Miner, random: &mut Random) {
        for index in 0..self.deals.len() {
            if random.chance(70) {
                self.step_deal(index, chain, miner, random);
            }
            if random.chance(10) {
                restart(&mut self.deals[index].machine);
                restart(&mut self.deals[index].refund);
            }
        }
        self.outbox.tend(chain, random);
    }

    fn step_deal(&mut self, index: usize, chain: &mut Chain, miner: &mut Miner, random: &mut Random) {
        let now = chain.now();
        let (deal, outbox) = (&mut self.deals[index], &mut self.outbox);
        if !deal.drawn_up {
            if now.0 < deal.order.from {
                return;
            }
            deal.machine.draft.start = now;
            let balance = chain.state.balance(&key(1).address());
            assert_eq!(deal.machine.draft.rehearse(&key(1), balance), Ok(()));
            deal.drawn_up = true;
        }
        let opening = format!("channel/{index}");
        let message_is_out = deal.machine.stage == ClientStage::Drafted && outbox.has(&opening);
        if deal.machine.deadline().is_some_and(|deadline| now >= deadline) && !message_is_out {
            let reason = "given up".into();
            deal.machine
                .handle(ClientInput::GivenUp { reason })
                .expect("not at its end");
        }
        match deal.machine.effect() {
            ClientEffect::OpenChannel { target, amount, eol } => {
                let call = || calls::create_channel(&target, eol, amount);
                if let Some((message, _, receipt)) = outbox.call(chain, &opening, call) {
                    let channel = calls::channel_id(&receipt).expect("nothing is wrong with it");
                    let opened = ClientInput::ChannelOpened { channel, message };
                    deal.machine.handle(opened).expect("drafted");
                }
            }
            ClientEffect::Sign => {
                let proposal = deal.machine.sign(&key(1)).expect("rehearsed");
                deal.cid = Some(proposal.cid());
                deal.machine.handle(ClientInput::Signed { proposal }).expect("open");
            }
            ClientEffect::Propose => {
                let proposal = deal.machine.proposal().expect("signed").clone();
                let answer = carry(random, self.trouble.loss, || miner.propose(chain, &proposal));
                take(&mut deal.machine, answer);
            }
            ClientEffect::ServeAndQuery if random.chance(80) => {}
            ClientEffect::ServeAndQuery => {
                let cid = deal.cid.expect("signed");
                let answer = carry(random, self.trouble.loss, || miner.query(chain, &cid));
                take(&mut deal.machine, answer);
                if self.trouble.cancels && chain.channel(deal.machine.channel().unwrap_or(u64::MAX)).is_some() {
                    let id = ChannelId(deal.machine.channel().expect("paid"));
                    outbox.call(chain, &format!("betray/{index}"), || calls::cancel(id));
                }
            }
            ClientEffect::Rest => self.step_rest(index, chain, miner, random),
        }
    }

    fn step_rest(&mut self, index: usize, chain: &Chain, miner: &mut Miner, random: &mut Random) {
        let (now, deal, outbox) = (chain.now(), &mut self.deals[index], &mut self.outbox);
        if let (ClientStage::Complete { .. }, Some(cid)) = (&deal.machine.stage, deal.cid) {
            if random.chance(95) {
                return;
            }
            let answer = carry(random, self.trouble.loss, || miner.query(chain, &cid));
            take(&mut deal.machine, answer);
            return;
        }
        let Some(id) = deal.machine.channel().filter(|_| !deal.refund.is_over()) else {
            return;
        };
        let purpose = |what: &str| format!("{what}/{index}/{}", deal.attempts);
        match deal.refund.effect() {
            RefundEffect::Cancel => {
                let sent = outbox.call(chain, &purpose("cancel"), || calls::cancel(ChannelId(id)));
                let Some((_, _, receipt)) = sent else { return };
                deal.attempts += 1;
                if receipt.exit_code == INVALID_CANCEL {
                    let eol = chain.channel(id).expect("it was not reclaimed").eol;
                    deal.refund.handle(RefundInput::CancelRefused { eol }, now);
                }
            }
            RefundEffect::WaitUntil(eol) if now < eol => return,
            RefundEffect::Reclaim => {
                let sent = outbox.call(chain, &purpose("reclaim"), || calls::reclaim(ChannelId(id)));
                let Some((_, _, receipt)) = sent else { return };
                deal.attempts += 1;
                assert_eq!(receipt.exit_code, 0, "{}", receipt.error);
            }
            RefundEffect::WaitUntil(_) | RefundEffect::Look | RefundEffect::Rest => {}
        }
        let seen = RefundInput::Seen {
            channel: chain.channel(id),
            cancel_delay: chain.state.policy.cancel_delay,
        };
        deal.refund.handle(seen, now);
    }
}

/// A question and its answer: either may be lost, and the question may come twice.
fn carry<T>(random: &mut Random, loss: u64, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    if random.chance(loss) {
        return None;
    }
    if random.chance(10) {
        ask();
    }
    let answer = ask()?;
    (!random.chance(loss)).then_some(answer)
}

fn take(deal: &mut ClientDeal, answer: Option<SignedResponse>) {
    if let Some(response) = answer {
        deal.handle(ClientInput::Answered { response })
            .expect("the miner is honest");
    }
}
