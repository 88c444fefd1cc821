//! The terminal's edges of one deal: what [`shared::client`] asks for is done with the account, the book and the miner,
//! and told to the user.

use super::book::{Book, Record};
use super::chain::AccountChain;
use super::error::{step, ClientError};
use super::miner_connection::{MinerConnection, Patience};
use super::network::NetworkError;
use super::reading::PieceReader;
use super::report::{Gauge, Report};
use super::serving::{Offers, Served};
use super::source::FileFacts;
use super::uploading::{self, Upload, UploadOrder};
use super::Session;
use sealdrop_encryption::EncryptedFile;
use sealdrop_miner::clock::now_ms;
use shared::chain::view::HeadView;
use shared::chain::{AttoFil, ChannelId, SecretKey};
use shared::client::engine::is_accepted;
use shared::client::{Awaited, Blame, ClientHost, Event, Order, PassedOver, Woken};
use shared::deal::{ClientStage, DealState, Refund};
use shared::piece::node::node_cid;
use shared::wire::Cbor;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{watch, Mutex};

/// How often the display of a transfer is brought up to date.
const SHOW: Duration = Duration::from_millis(200);

/// How far a command carries a deal before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Until {
    /// The miner has accepted the proposal; it still has to fetch the file.
    Accepted,
    /// The miner has the file, in a sector.
    Staged,
    /// The sector is sealed and committed on the chain.
    Complete,
    /// A proof-of-spacetime for the sector was accepted by the chain.
    Proven,
}

impl Until {
    /// Whether a deal is as far as it should come, and is not settled.
    pub fn is_reached(self, stage: &ClientStage) -> bool {
        let ClientStage::Running { response, .. } = stage else {
            return false;
        };
        match self {
            Self::Accepted => true,
            Self::Staged => response.response.state == DealState::Staged,
            Self::Complete | Self::Proven => false,
        }
    }
}

/// Who hears of a deal's acceptance.
pub type Heard = Box<dyn FnOnce(&Record) + Send>;

/// What a command waits for meanwhile, on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Channel,
    Transfer,
    Sealing,
}

/// The edges of one deal. The caller holds the deal's lock.
pub struct CliHost {
    chain: AccountChain,
    key: SecretKey,
    book: Book,
    session: SessionParts,
    pub report: Report,
    until: Until,
    /// Hears once of the miner's acceptance.
    accepted: RefCell<Option<Heard>>,
    /// Hears of everything that is kept, and of bytes that were fetched.
    follower: Option<UnboundedSender<Record>>,
    connection: Mutex<Option<(String, MinerConnection)>>,
    /// How long the miner may take to answer; `None`: as long as the protocol allows.
    ask_limit: Option<Duration>,
    /// To whom the file is offered, and how far it is fetched.
    served: RefCell<Option<(String, watch::Receiver<Served>)>>,
    /// The file on its way over HTTP, with whom.
    upload: RefCell<Option<(String, Upload)>>,
    /// Whether a wait was ended because the file that is served cannot be read any more.
    said_unreadable: Cell<bool>,
    heads: RefCell<watch::Receiver<HeadView>>,
    gauge: RefCell<Option<(Gauge, Phase)>>,
    patience: RefCell<Patience>,
}

/// Whether a file of so many bytes can have this part of what is stored of it.
pub(super) fn fits(part: &Range<u64>, key: Option<&EncryptedFile>, size: u64) -> bool {
    match key {
        Some(key) => key.plain_len() == size,
        None => part.end <= size,
    }
}

struct SessionParts {
    network: super::network::Network,
    offers: Offers,
}

impl CliHost {
    /// The edges of `record`, which belongs to the session's chain.
    pub async fn new(session: &Session, record: &Record, report: Report, until: Until) -> Result<Self, ClientError> {
        let account = session.account.of(&record.deal.draft.payer).await?;
        Ok(Self {
            key: account.key().clone(),
            chain: session.account_chain(),
            book: session.book.clone(),
            session: SessionParts {
                network: session.network.clone(),
                offers: session.offers.clone(),
            },
            report,
            until,
            accepted: RefCell::default(),
            follower: None,
            connection: Mutex::default(),
            ask_limit: None,
            served: RefCell::default(),
            upload: RefCell::default(),
            said_unreadable: Cell::default(),
            heads: RefCell::new(session.chain.heads()),
            gauge: RefCell::default(),
            patience: RefCell::default(),
        })
    }

    /// Goes on with a connection that is there.
    pub fn with_connection(mut self, peer: &str, connection: MinerConnection) -> Self {
        self.connection = Mutex::new(Some((peer.to_owned(), connection)));
        self
    }

    /// Tells `heard` of the miner's acceptance.
    pub fn with_heard(mut self, heard: Heard) -> Self {
        self.accepted = RefCell::new(Some(heard));
        self
    }

    /// Tells `follower` of every record that is kept.
    pub fn with_follower(mut self, follower: UnboundedSender<Record>) -> Self {
        self.follower = Some(follower);
        self
    }

    /// Asks the miner for so long at most.
    pub fn with_ask_limit(mut self, limit: Duration) -> Self {
        self.ask_limit = Some(limit);
        self
    }

    /// Ends the offer of the deal's file.
    pub fn withdraw(&self, record: &Record) {
        self.session.offers.withdraw(record.data_cid(), &record.id);
        self.served.replace(None);
        self.upload.replace(None);
        self.said_unreadable.set(false);
        self.gauge.replace(None);
    }

    /// Lets an error pass that may go away by itself; any other ends the command.
    pub fn bear(&self, error: ClientError, record: &Record) -> Result<(), ClientError> {
        let error = error.of_deal(record);
        let borne = self.patience.borrow_mut().bear(error, &record.name(), &self.report);
        borne.map_err(|error| error.of_stage(&record.deal.stage))
    }

    /// Chain and miner have answered.
    pub fn answered(&self) {
        self.patience.borrow_mut().over(&self.report);
    }

    /// Shows how far the transfer is, again and again; returns when the file that is served cannot be read any more.
    async fn show_transfer(&self) {
        loop {
            self.show_bytes();
            // Said once: while the miner is away, nobody looks at the file again.
            if self.is_unreadable() && !self.said_unreadable.replace(true) {
                return;
            }
            tokio::time::sleep(SHOW).await;
        }
    }

    fn is_unreadable(&self) -> bool {
        let served = self.served.borrow();
        served.as_ref().is_some_and(|(_, served)| served.borrow().unreadable)
    }

    /// Shows that something goes on.
    pub fn wait_for(&self, text: &str) {
        *self.gauge.borrow_mut() = Some((self.report.wait(text), Phase::Sealing));
    }

    /// Before the first step of a paid deal whose channel is still to be opened.
    pub fn show_opening(&self, record: &Record) {
        let amount = record.deal.draft.total().unwrap_or_default();
        if record.deal.stage == ClientStage::Drafted && !amount.is_zero() {
            let gauge = self
                .report
                .wait(&format!("opening a payment channel with {amount} FIL"));
            self.gauge.replace(Some((gauge, Phase::Channel)));
        }
    }

    fn show_bytes(&self) {
        let gauge = self.gauge.borrow();
        let served = self.served();
        if let Some((gauge, _)) = gauge.as_ref() {
            gauge.at(served);
        }
    }

    fn show_stage(&self, record: &Record) {
        let report = &self.report;
        match &record.deal.stage {
            ClientStage::Drafted => self.show_next_miner(record),
            ClientStage::ChannelOpen { channel, .. } => {
                self.gauge.replace(None);
                report.step(format!("payment channel {channel} is open"));
            }
            ClientStage::Signed { proposal } => {
                let vouchers = proposal.proposal.payment.vouchers.as_ref().map_or(0, Vec::len);
                let text = format!(
                    "proposal and {vouchers} vouchers signed; the deal is {}",
                    proposal.cid()
                );
                report.step(text);
            }
            ClientStage::Running { response, .. } => self.show_running(record, response.response.state),
            ClientStage::Complete { response, .. } => {
                self.gauge.replace(None);
                let sector = response.response.proof_info.as_ref().map_or(0, |proof| proof.sector_id);
                let text =
                    format!("complete: sealed in sector {sector}, committed on the chain, inclusion proof checked");
                report.step(text);
            }
            ClientStage::Failed { .. } => drop(self.gauge.replace(None)),
        }
    }

    /// A draft is kept anew when the miner that was chosen by rule would not take it.
    fn show_next_miner(&self, record: &Record) {
        let Some(passed) = record.by_rule.as_ref().and_then(|by_rule| by_rule.passed.last()) else {
            return;
        };
        let PassedOver { miner, reason } = passed;
        let (next, price) = (&record.deal.draft.miner, record.deal.draft.price);
        self.report.note(format!(
            "miner {miner} is passed over: {reason}. Next is miner {next}, {price} FIL per byte and block"
        ));
        self.show_opening(record);
    }

    fn show_running(&self, record: &Record, state: DealState) {
        let phase = self.gauge.borrow().as_ref().map(|(_, phase)| *phase);
        if state == DealState::Staged {
            if phase != Some(Phase::Sealing) {
                self.gauge.replace(None);
                let over_http = self
                    .upload
                    .borrow()
                    .as_ref()
                    .is_some_and(|(_, upload)| upload.is_sent());
                let way = if over_http { " (sent over HTTP)" } else { "" };
                self.report
                    .step(format!("the miner has the file, checked, in a sector{way}"));
                if self.until > Until::Staged {
                    self.wait_for("sealing and proving the sector");
                }
            }
        } else if phase.is_none() {
            let miner = &record.deal.draft.miner;
            self.report.step(format!("miner {miner} accepted the deal"));
            let gauge = self.report.bytes("the miner fetches the file", record.deal.draft.size);
            self.gauge.replace(Some((gauge, Phase::Transfer)));
        }
    }

    fn show_refund(&self, record: &Record, id: ChannelId) {
        let Some(found) = record.refunds.get(&id.0) else {
            return;
        };
        let report = &self.report;
        match found.refund {
            Refund::Waiting { eol, earned: false } => report.note(format!(
                "channel {id} ends with block {eol}; any `sealdrop client` command after that takes its money back"
            )),
            Refund::Waiting { eol, earned: true } => report.note(format!(
                "channel {id} cannot be cancelled: the miner has redeemed from it; what is left comes back after block {eol}"
            )),
            // Somebody else has closed it: what was left was given back then.
            Refund::Returned if found.amount == AttoFil::ZERO => report.step(format!("channel {id} is closed")),
            Refund::Returned => report.step(format!(
                "channel {id} is closed: {} FIL are back in the account",
                found.amount
            )),
            Refund::Closing { .. } => report.note(format!("the miner closes channel {id}; the money comes back with a block")),
            Refund::Due | Refund::Asking | Refund::Cancelling | Refund::Reclaiming => {}
        }
    }

    /// Sends the file over HTTP beside, once the miner has accepted the deal. One try a process: what fails is fetched over libp2p.
    fn upload(&self, record: &Record, piece: &PieceReader) {
        let ClientStage::Running { proposal, .. } = &record.deal.stage else {
            return;
        };
        let mut upload = self.upload.borrow_mut();
        if upload.as_ref().is_some_and(|(peer, _)| *peer == record.peer) {
            return;
        }
        let order = UploadOrder {
            chain: self.chain.reader.clone(),
            key: self.key.clone(),
            miner: record.deal.draft.miner.clone(),
            peer: record.peer.clone(),
            deal: proposal.cid(),
            piece: piece.clone(),
            nodes: record.file.nodes.clone(),
        };
        let (offers, data, peer) = (self.session.offers.clone(), *record.data_cid(), record.peer.clone());
        let progress = move |bytes| offers.sent(&data, &peer, bytes);
        let started = uploading::start(order, self.report.clone(), progress);
        *upload = Some((record.peer.clone(), started));
    }

    /// The connection to the miner where the record says that it is.
    async fn connected<Q: Cbor, A: Cbor>(
        &self,
        record: &Record,
        protocol: &'static str,
        question: &Q,
    ) -> Result<A, ClientError> {
        let mut connection = self.connection.lock().await;
        if connection.as_ref().is_none_or(|(peer, _)| *peer != record.peer) {
            let (network, chain) = (self.session.network.clone(), self.chain.reader.clone());
            let made = MinerConnection::new(network, chain, record.deal.draft.miner.clone(), &record.peer)?;
            *connection = Some((record.peer.clone(), made));
        }
        let (_, connection) = connection.as_mut().expect("it was made above");
        let asked = connection.ask_once(protocol, question).await;
        asked.map_err(|source| ClientError::Peer {
            miner: record.deal.draft.miner.clone(),
            source,
        })
    }
}

impl ClientHost for CliHost {
    type Error = ClientError;
    type File = super::book::LocalFile;
    type Chain = AccountChain;

    fn chain(&self) -> &AccountChain {
        &self.chain
    }

    fn key(&self) -> SecretKey {
        self.key.clone()
    }

    fn now_ms(&self) -> u64 {
        now_ms()
    }

    /// A command is ended by its user; a deal is given up by a command of its own.
    fn order(&self) -> Order {
        Order::GoOn
    }

    async fn save(&self, record: &Record, event: Event) -> Result<(), ClientError> {
        let is_reply = event == Event::Stage && is_accepted(&record.deal.stage);
        let saved = self.book.save(record);
        saved.map_err(|error| match is_reply {
            true => ClientError::in_step(step::TRACKING)(error),
            false => error,
        })?;
        if let Some(follower) = &self.follower {
            // Who does not listen any more does not want to know.
            let _ = follower.send(record.clone());
        }
        match event {
            Event::Stage => self.show_stage(record),
            Event::Refund(channel) => self.show_refund(record, channel),
            Event::Record => {}
        }
        if is_reply {
            if let Some(heard) = self.accepted.take() {
                heard(record);
            }
        }
        Ok(())
    }

    async fn ask<Q: Cbor, A: Cbor>(
        &self,
        record: &Record,
        protocol: &'static str,
        question: &Q,
    ) -> Result<A, ClientError> {
        let asking = self.connected(record, protocol, question);
        let Some(limit) = self.ask_limit else {
            return asking.await;
        };
        let silent = |_| ClientError::Peer {
            miner: record.deal.draft.miner.clone(),
            source: NetworkError::Timeout,
        };
        tokio::time::timeout(limit, asking).await.map_err(silent)?
    }

    fn blame(error: &ClientError) -> Blame {
        match error {
            ClientError::ChainAway { reason, .. } => Blame::Chain { reason: reason.clone() },
            ClientError::Unreachable { reason, .. } => Blame::Miner { reason: reason.clone() },
            ClientError::Peer { source, .. } => match source {
                NetworkError::Protocol(_) => Blame::Protocol {
                    reason: source.to_string(),
                },
                _ => Blame::Miner {
                    reason: source.to_string(),
                },
            },
            _ => Blame::Other,
        }
    }

    async fn wait(&self, most_ms: u64, awaited: Awaited) -> Woken {
        let mut heads = self.heads.borrow().clone();
        let block = async {
            match awaited {
                Awaited::Block if heads.changed().await.is_ok() => {}
                _ => std::future::pending().await,
            }
        };
        let woken = tokio::select! {
            () = self.show_transfer() => Woken::Called,
            () = block => Woken::Block,
            () = tokio::time::sleep(Duration::from_millis(most_ms)) => Woken::Time,
        };
        self.heads.replace(heads);
        woken
    }

    async fn file_is_same(&self, record: &mut Record) -> Result<bool, ClientError> {
        let key = self.book.key_of(&record.file)?;
        // What was made of it was not what it was, whatever its date says.
        let is_doubted = key.is_some() && self.is_unreadable();
        if self.is_unreadable() {
            self.withdraw(record);
        }
        let path = &record.file.facts.path;
        // An empty file is stored only where its ciphertext is not empty.
        let now = if key.is_some() {
            FileFacts::of_any(path)
        } else {
            FileFacts::of(path)
        };
        // A file that cannot be looked at is not there.
        let Ok(now) = now else {
            return Ok(false);
        };
        if now == record.file.facts && !is_doubted {
            return Ok(true);
        }
        // Copied back or touched, it may still be the same bytes.
        let part = record.file.range();
        if !fits(&part, key.as_deref(), now.size) {
            return Ok(false);
        }
        let summary = now.digest_part((part, key), &self.report, &record.name()).await?;
        let same = summary.data_cid == *record.data_cid();
        if same {
            record.file.facts = now;
        }
        Ok(same)
    }

    fn served(&self) -> u64 {
        let served = self.served.borrow();
        served.as_ref().map_or(0, |(_, served)| served.borrow().bytes)
    }

    fn offer(&self, record: &Record) {
        let is_of = |peer: &str| peer == record.peer;
        let is_offered = self.served.borrow().as_ref().is_some_and(|(peer, _)| is_of(peer));
        if is_offered && self.upload.borrow().as_ref().is_some_and(|(peer, _)| is_of(peer)) {
            return;
        }
        let reader = self.book.key_of(&record.file).and_then(|key| {
            let reader = PieceReader::of(&record.file, record.data_cid(), key);
            reader.map_err(|fault| ClientError::NotServed {
                deal: record.name(),
                fault,
            })
        });
        let reader = match reader {
            Ok(reader) => reader,
            // The miner asks in vain, which is shown with the deal.
            Err(error) => return self.report.note(error.to_string()),
        };
        let mut served = self.served.borrow_mut();
        // A miner with another host than the day before fetches from there.
        if served.as_ref().is_none_or(|(peer, _)| *peer != record.peer) {
            let nodes = record.file.nodes.iter().map(|node| (node_cid(&node.0), node.0.clone()));
            let offers = &self.session.offers;
            let data = *record.data_cid();
            let offered = offers.offer(data, &record.id, &record.peer, reader.clone(), nodes.collect());
            *served = Some((record.peer.clone(), offered));
        }
        drop(served);
        self.upload(record, &reader);
    }

    async fn file_is_not_needed(&self, record: &Record) -> Result<(), ClientError> {
        // It is the user's; only the offer ends.
        self.session.offers.withdraw(record.data_cid(), &record.id);
        self.served.replace(None);
        self.upload.replace(None);
        Ok(())
    }
}
