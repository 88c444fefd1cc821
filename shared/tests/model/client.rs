//! The client of the model: the very engine that browser and terminal drive, on a network that loses what it carries, with a
//! chain that is away at times, a disk that fails, and a user who gives deals up.

use super::chain::{Chain, Outbox};
use super::miner::Miner;
use super::random::Random;
use super::{key, restart, Trouble};
use cid::Cid;
use shared::chain::view::{ChannelView, MinerView};
use shared::chain::{calls, Address, AttoFil, Call, ChannelId, Epoch, Policy, SecretKey};
use shared::client::testing::now;
use shared::client::{
    engine, refunds, Awaited, Blame, ClientHost, DealRecord, EngineError, Event, Following, Order as Wish, Woken,
};
use shared::deal::{
    ClientDeal, ClientEffect, ClientStage, Draft, QueryRequest, QuoteRequest, SignedProposal, SignedResponse,
    WatchRequest,
};
use shared::payment::CloseRequest;
use shared::piece::node::raw_cid;
use shared::piece::{Commitment, SectorSize};
use shared::ports::{Chain as ChainPort, Found, MessagePurpose, Sent};
use shared::wire::{decode, encode, protocol, Cbor};
use std::cell::RefCell;

/// A deal that the client wants.
#[derive(Debug, Clone)]
pub struct Order {
    number: u8,
    size: u64,
    price: AttoFil,
    duration: u64,
    /// First height at which it is drawn up.
    from: u64,
    /// The vouchers' conditions speak of another piece than the one that arrives. (Free deals have none.)
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
            lies: !free && random.chance(20),
        }
    }
}

#[derive(Debug)]
pub struct Deal {
    order: Order,
    pub record: DealRecord<()>,
    /// As it was kept last: what a restart finds.
    kept: DealRecord<()>,
    /// The id, also after a failure.
    pub cid: Option<Cid>,
    /// Whether the user has given it up.
    pub given_up: bool,
    /// When the miner's last word came through.
    pub heard_at: Option<Epoch>,
    following: Following,
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
                data_cid: raw_cid(&[order.number]),
                comm_p: Commitment([order.number + 1; 32]),
                size: order.size,
                payer: key(1).address(),
                miner: miner.address.clone(),
                owner: key(2).address(),
                worker: key(2).address(),
                sector_size: SectorSize::S2KiB,
                price: order.price,
                duration: order.duration,
                start: Epoch(0),
            };
            let (id, deal) = (order.number.to_string(), ClientDeal::new(draft));
            let record = DealRecord::new(id, 0, "model".into(), "peer".into(), (), deal);
            Deal {
                order,
                kept: record.clone(),
                record,
                cid: None,
                given_up: false,
                heard_at: None,
                following: Following::default(),
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
        self.deals.iter().all(|deal| match &deal.record.deal.stage {
            ClientStage::Complete { .. } => deal.cid.is_some_and(|cid| miner.has_ended(&cid)),
            ClientStage::Failed { .. } => !deal.record.is_owed(),
            _ => false,
        })
    }

    /// What arrives of a deal's piece: its commitment.
    pub fn serve(&self, deal: &Cid) -> Option<Commitment> {
        let deal = self.deals.iter().find(|found| found.cid == Some(*deal))?;
        Some(match deal.order.lies {
            true => Commitment([99; 32]),
            false => deal.record.deal.draft.comm_p,
        })
    }

    pub fn step(&mut self, chain: &mut Chain, miner: &mut Miner, random: &mut Random) {
        for index in 0..self.deals.len() {
            if random.chance(70) {
                self.step_deal(index, chain, miner, random);
            }
            if random.chance(10) {
                let deal = &mut self.deals[index];
                restart(&mut deal.kept);
                deal.record = deal.kept.clone();
                deal.following = Following::default();
            }
        }
        self.outbox.tend(chain, random);
    }

    fn step_deal(&mut self, index: usize, chain: &mut Chain, miner: &mut Miner, random: &mut Random) {
        let deal = &mut self.deals[index];
        if !deal.drawn_up {
            if chain.height() < deal.order.from {
                return;
            }
            deal.record.deal.draft.start = chain.now();
            let balance = chain.state.balance(&key(1).address());
            assert_eq!(deal.record.deal.draft.rehearse(&key(1), balance), Ok(()));
            (deal.kept, deal.drawn_up) = (deal.record.clone(), true);
        }
        // Nobody asks all the time, but a client does so when time runs out.
        let idle = match deal.record.deal.effect() {
            ClientEffect::ServeAndQuery if engine::overdue(&deal.record, Some(chain.now())).is_some() => 0,
            ClientEffect::ServeAndQuery => 80,
            ClientEffect::Rest if deal.record.is_complete() => 95,
            _ => 0,
        };
        if random.chance(idle) {
            return;
        }
        let gives_up = self.trouble.gives_up && random.chance(5);
        let (trouble, world) = (&self.trouble, RefCell::new((&mut *chain, &mut *miner, &mut *random)));
        let outbox = RefCell::new(&mut self.outbox);
        let edges = Edges {
            chain: ModelChain { world, outbox, trouble },
            kept: RefCell::new(&mut deal.kept),
            heard: RefCell::new(&mut deal.heard_at),
            gives_up,
        };
        // What fails is done again.
        let _ = match deal.record.is_settled() {
            false => now(deal.following.turn(&mut deal.record, &edges)).map(drop),
            true if deal.record.is_complete() => now(ask_again(&mut deal.record, &edges)),
            true => now(refunds::take_back(&mut deal.record, &edges)),
        };
        deal.cid = deal.record.deal.cid().or(deal.cid);
        let reason = "given up: the user changed its mind";
        deal.given_up |= matches!(&deal.record.deal.stage, ClientStage::Failed { reason: why, .. } if why == reason);
        let channel = deal.record.deal.channel().map(ChannelId);
        let runs = deal.record.deal.effect() == ClientEffect::ServeAndQuery;
        if let Some(id) = channel.filter(|id| self.trouble.cancels && runs && chain.channel(id.0).is_some()) {
            self.outbox
                .call(chain, &format!("betray/{index}"), || calls::cancel(id));
        }
    }
}

/// A complete deal is asked about now and then: its sector can be lost.
async fn ask_again(record: &mut DealRecord<()>, edges: &Edges<'_>) -> Result<(), Lost> {
    let cid = record.deal.cid().expect("signed");
    let (response, worker) = engine::ask_state(record, cid, edges).await?;
    engine::take_in(record, response, worker, edges)
        .await?
        .expect("the miner is honest");
    Ok(())
}

/// What went wrong on the way.
#[derive(Debug)]
enum Lost {
    FileChanged,
    OnTheWay,
    NoProtocol,
}

impl From<EngineError> for Lost {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::FileChanged => Self::FileChanged,
            other => panic!("chain and miner are honest: {other}"),
        }
    }
}

type World<'a> = (&'a mut Chain, &'a mut Miner, &'a mut Random);

struct ModelChain<'a> {
    world: RefCell<World<'a>>,
    outbox: RefCell<&'a mut Outbox>,
    trouble: &'a Trouble,
}

impl ModelChain<'_> {
    /// Whether something goes wrong that nobody is to blame for.
    fn bad_luck(&self, percent: u64) -> bool {
        self.trouble.loss > 0 && self.world.borrow_mut().2.chance(percent)
    }

    fn ask<T>(&self, question: impl FnOnce(&Chain) -> T) -> Result<T, Lost> {
        match self.bad_luck(5) {
            true => Err(Lost::OnTheWay),
            false => Ok(question(self.world.borrow().0)),
        }
    }

    fn outcome(&self, key: &str, call: impl FnOnce() -> Call) -> Sent {
        let world = self.world.borrow();
        match self.outbox.borrow_mut().call(world.0, key, call) {
            None => Sent::Pending,
            Some((message, _, receipt)) if receipt.exit_code == 0 => Sent::Applied { message, receipt },
            Some((_, _, receipt)) => Sent::Failed {
                exit_code: receipt.exit_code,
                error: receipt.error,
            },
        }
    }
}

impl ChainPort for ModelChain<'_> {
    type Error = Lost;

    async fn height(&self) -> Result<Epoch, Lost> {
        self.ask(Chain::now)
    }
    async fn policy(&self) -> Result<Policy, Lost> {
        self.ask(|chain| chain.state.policy.clone())
    }
    async fn miner(&self, address: &Address) -> Result<Option<MinerView>, Lost> {
        let view = self.ask(|chain| chain.miner(address))?;
        Ok(Some(MinerView {
            peer_id: "peer".into(),
            ..view
        }))
    }
    async fn channel(&self, payer: &Address, id: ChannelId) -> Result<Option<ChannelView>, Lost> {
        self.ask(|chain| ChannelView::of(&chain.state, payer, id))
    }
    async fn message(&self, _: &Cid) -> Result<Found, Lost> {
        Ok(Found::Unknown)
    }
    async fn ask(&self, _: &Call) -> Result<Result<(), String>, Lost> {
        Ok(Ok(()))
    }
    async fn send(&self, _: &Address, deal: &str, purpose: MessagePurpose, call: Call) -> Result<Sent, Lost> {
        Ok(self.outcome(&purpose.key(deal), || call))
    }
    async fn sent(&self, _: &Address, deal: &str, purpose: MessagePurpose) -> Result<Option<Sent>, Lost> {
        let key = purpose.key(deal);
        let known = self.outbox.borrow().has(&key);
        Ok(known.then(|| self.outcome(&key, || unreachable!("it was made"))))
    }
    async fn settle(&self, _: &Address, deal: &str, purpose: MessagePurpose) -> Result<(), Lost> {
        if self.bad_luck(10) {
            return Err(Lost::OnTheWay);
        }
        self.outbox.borrow_mut().forget(&purpose.key(deal));
        Ok(())
    }
}

/// The edges of one deal for one step.
struct Edges<'a> {
    chain: ModelChain<'a>,
    kept: RefCell<&'a mut DealRecord<()>>,
    heard: RefCell<&'a mut Option<Epoch>>,
    gives_up: bool,
}

impl<'a> ClientHost for Edges<'a> {
    type Error = Lost;
    type File = ();
    type Chain = ModelChain<'a>;

    fn chain(&self) -> &ModelChain<'a> {
        &self.chain
    }
    fn key(&self) -> SecretKey {
        key(1)
    }
    fn now_ms(&self) -> u64 {
        0
    }
    fn order(&self) -> Wish {
        match self.gives_up {
            true => Wish::GiveUp {
                reason: "the user changed its mind".into(),
            },
            false => Wish::GoOn,
        }
    }
    async fn save(&self, record: &DealRecord<()>, _: Event) -> Result<(), Lost> {
        if self.chain.bad_luck(5) {
            return Err(Lost::OnTheWay);
        }
        **self.kept.borrow_mut() = record.clone();
        Ok(())
    }
    async fn ask<Q: Cbor, A: Cbor>(&self, _: &DealRecord<()>, protocol: &'static str, question: &Q) -> Result<A, Lost> {
        let mut world = self.chain.world.borrow_mut();
        let (chain, miner, random) = &mut *world;
        let bytes = encode(question);
        match protocol {
            protocol::QUOTE if !self.chain.trouble.quotes => return Err(Lost::NoProtocol),
            protocol::QUOTE => {
                let request: QuoteRequest = decode(&bytes).expect("canonical");
                let quote = carry(random, self.chain.trouble.loss, || miner.quote(chain, &request));
                return Ok(decode(&encode(&quote.ok_or(Lost::OnTheWay)?)).expect("canonical"));
            }
            protocol::CLOSE_CHANNEL if !self.chain.trouble.closes => return Err(Lost::NoProtocol),
            protocol::CLOSE_CHANNEL => {
                let CloseRequest { voucher } = decode(&bytes).expect("canonical");
                let closed = carry(random, self.chain.trouble.loss, || miner.close(chain, &voucher));
                return Ok(decode(&encode(&closed.ok_or(Lost::OnTheWay)?)).expect("canonical"));
            }
            _ => {}
        }
        let answer: Option<SignedResponse> = match protocol {
            protocol::MAKE_DEAL => {
                let proposal: SignedProposal = decode(&bytes).expect("canonical");
                carry(random, self.chain.trouble.loss, || miner.propose(chain, &proposal))
            }
            protocol::WATCH_DEAL if !self.chain.trouble.watches => return Err(Lost::NoProtocol),
            protocol::WATCH_DEAL => {
                let watch: WatchRequest = decode(&bytes).expect("canonical");
                carry(random, self.chain.trouble.loss, || miner.query(chain, &watch.cid))
            }
            // A miner of 2019: the client goes on without.
            protocol::QUOTE | protocol::CLOSE_CHANNEL => return Err(Lost::NoProtocol),
            _ => {
                let query: QueryRequest = decode(&bytes).expect("canonical");
                carry(random, self.chain.trouble.loss, || miner.query(chain, &query.cid))
            }
        };
        let answer = answer.ok_or(Lost::OnTheWay)?;
        **self.heard.borrow_mut() = Some(chain.now());
        Ok(decode(&encode(&answer)).expect("canonical"))
    }
    fn blame(error: &Lost) -> Blame {
        match error {
            Lost::NoProtocol => Blame::Protocol {
                reason: "it is old".into(),
            },
            Lost::OnTheWay => Blame::Miner {
                reason: "it is lost".into(),
            },
            Lost::FileChanged => Blame::Other,
        }
    }
    async fn wait(&self, _: u64, _: Awaited) -> Woken {
        Woken::Time
    }
    async fn file_is_same(&self, _: &mut DealRecord<()>) -> Result<bool, Lost> {
        Ok(!self.chain.bad_luck(5))
    }
    fn served(&self) -> u64 {
        0
    }
    fn offer(&self, _: &DealRecord<()>) {}
    async fn file_is_not_needed(&self, _: &DealRecord<()>) -> Result<(), Lost> {
        Ok(())
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
