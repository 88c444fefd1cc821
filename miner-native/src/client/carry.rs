//! The host of one deal: does what [`shared::deal::drive()`] asks for, with the account, the book and the miner.

use super::account::{Account, Purse};
use super::book::{Book, Record};
use super::contact::{ChainPatience, Contact};
use super::error::ClientError;
use super::network::NetworkError;
use super::report::{Gauge, Report};
use super::serving::Served;
use super::Session;
use crate::chain_access::ChainError;
use cid::Cid;
use shared::chain::calls::{self, channel_id};
use shared::chain::{Address, AttoFil, ChannelId, Epoch, SecretKey};
use shared::deal::client::ClientRefusal;
use shared::deal::drive::ChannelOutcome;
use shared::deal::watch::{pause_ms, QUERY_PAUSE_MS};
use shared::deal::{
    ClientDeal, ClientHost, ClientStage, DealState, QueryRequest, SignedProposal, SignedResponse, WatchRequest,
};
use shared::payment::schedule::ScheduleError;
use shared::wire::protocol;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often the display of a transfer is brought up to date.
const SHOW: Duration = Duration::from_millis(200);
/// Times that an unmined channel message is made anew.
const CHANNEL_ATTEMPTS: u32 = 3;

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

/// Who hears of a deal's acceptance.
pub type Heard = Box<dyn FnOnce(&Record) + Send>;

/// Why driving a deal ends before its own end.
#[derive(Debug)]
pub enum Stop {
    /// It came as far as it should.
    Reached,
    Fault(ClientError),
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Self::Fault(error)
    }
}

/// One deal with everything that carries it on.
pub struct Carrier {
    pub record: Record,
    pub book: Book,
    pub account: Account,
    pub contact: Contact,
    pub report: Report,
    pub served: watch::Receiver<Served>,
    pub until: Until,
    /// Hears once of the miner's acceptance.
    pub accepted: Option<Heard>,
    /// Held from the channel's opening until that is kept.
    purse: Option<Purse>,
    /// What is under way, and whether it is the transfer.
    gauge: Option<(Gauge, Phase)>,
    /// Whether the miner was heard of since the last trouble.
    in_trouble: bool,
    /// Whether the miner may speak the protocol of watches.
    can_watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Transfer,
    Sealing,
}

fn channel_purpose(record: &Record) -> String {
    format!("deal/{}/channel", record.id)
}

/// The channel of a deal whose record does not name one yet, and its message, which may have been sent all the same.
pub(super) async fn opened_channel(
    session: &Session,
    record: &Record,
) -> Result<Option<(ChannelId, Cid)>, ClientError> {
    let account = session.account.of(&record.deal.draft.payer).await?;
    let (purse, purpose) = (account.purse().await?, channel_purpose(record));
    let Some(message) = purse.chain.made(&purpose) else {
        return Ok(None);
    };
    let receipt = match purse.chain.confirmed(&message, 0).await {
        Ok(receipt) => receipt,
        // It opened nothing.
        Err(ChainError::Failed { .. } | ChainError::Dropped { .. }) => return Ok(None),
        Err(error) => return Err(ClientError::chain(error)),
    };
    let unusable = |reason: String| ClientError::Channel {
        reason,
        deal: record.id.clone(),
    };
    let receipt = receipt.receipt().map_err(|e| unusable(e.to_string()))?;
    let channel = channel_id(&receipt).map_err(|e| unusable(e.to_string()))?;
    Ok(Some((channel, message)))
}

impl Carrier {
    /// A carrier of `record`; the caller holds the deal's lock and offers its file as `served`.
    pub fn new(
        record: Record,
        book: Book,
        account: Account,
        contact: Contact,
        report: Report,
        served: watch::Receiver<Served>,
        until: Until,
    ) -> Self {
        Self {
            record,
            book,
            account,
            contact,
            report,
            served,
            until,
            accepted: None,
            purse: None,
            gauge: None,
            in_trouble: false,
            can_watch: true,
        }
    }

    /// The record as it stands.
    pub fn into_record(self) -> Record {
        self.record
    }

    fn purpose(&self) -> String {
        channel_purpose(&self.record)
    }

    /// Tells what a stage means that the deal has just come to.
    fn show(&mut self, stage: &ClientStage) {
        match stage {
            ClientStage::Drafted => {}
            ClientStage::ChannelOpen { channel, .. } => self.report.step(format!("payment channel {channel} is open")),
            ClientStage::Signed { proposal } => {
                let vouchers = proposal.proposal.payment.vouchers.as_ref().map_or(0, Vec::len);
                let text = format!(
                    "proposal and {vouchers} vouchers signed; the deal is {}",
                    proposal.cid()
                );
                self.report.step(text);
            }
            ClientStage::Running { response, .. } => self.show_running(response.response.state),
            ClientStage::Complete { response, .. } => {
                self.gauge = None;
                let sector = response.response.proof_info.as_ref().map_or(0, |proof| proof.sector_id);
                let text =
                    format!("complete: sealed in sector {sector}, committed on the chain, inclusion proof checked");
                self.report.step(text);
            }
            ClientStage::Failed { .. } => self.gauge = None,
        }
    }

    fn show_running(&mut self, state: DealState) {
        let size = self.record.file.size;
        if state == DealState::Staged {
            if self.gauge.as_ref().is_none_or(|(_, phase)| *phase == Phase::Transfer) {
                self.gauge = None;
                self.report.step("the miner has the file, checked, in a sector");
                if self.until > Until::Staged {
                    self.gauge = Some((self.report.wait("sealing and proving the sector"), Phase::Sealing));
                }
            }
        } else if self.gauge.is_none() {
            self.report
                .step(format!("miner {} accepted the deal", self.contact.miner()));
            self.gauge = Some((self.report.bytes("the miner fetches the file", size), Phase::Transfer));
        }
    }

    /// Whether the deal is as far as it should come.
    fn is_reached(&self) -> bool {
        let ClientStage::Running { response, .. } = &self.record.deal.stage else {
            return false;
        };
        match self.until {
            Until::Accepted => true,
            Until::Staged => response.response.state == DealState::Staged,
            Until::Complete | Until::Proven => false,
        }
    }

    /// Lets the miner fetch and seal for a while.
    async fn wait(&self, milliseconds: u64) -> Result<(), ClientError> {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(milliseconds)) => Ok(()),
            error = show_transfer(&self.served, self.gauge.as_ref(), &self.record) => Err(error),
        }
    }

    /// The miner's word once the deal is in another state than `state`, or after a while; `None` when the miner cannot be
    /// watched now. What hinders it is told by the query that follows.
    async fn watch(&mut self, deal: &Cid, state: DealState) -> Result<Option<SignedResponse>, ClientError> {
        let (began, request) = (Instant::now(), WatchRequest { cid: *deal, state });
        let watched = tokio::select! {
            answer = self.contact.ask_once::<_, SignedResponse>(protocol::WATCH_DEAL, &request) => answer,
            error = show_transfer(&self.served, self.gauge.as_ref(), &self.record) => return Err(error),
        };
        match watched {
            Ok(answer) => {
                let open_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.wait(pause_ms(answer.response.state != state, open_ms)).await?;
                Ok(Some(answer))
            }
            Err(error) => {
                self.can_watch = !matches!(error, NetworkError::Protocol(_));
                Ok(None)
            }
        }
    }

    /// Opens the channel, or finds the one that was opened.
    async fn channel(
        &self,
        purse: &Purse,
        target: &Address,
        amount: AttoFil,
        eol: Epoch,
    ) -> Result<ChannelOutcome, ClientError> {
        let failed = |reason: String| ClientError::Channel {
            reason,
            deal: self.record.id.clone(),
        };
        let purpose = self.purpose();
        let mut reason = String::new();
        for _ in 0..CHANNEL_ATTEMPTS {
            let call = calls::create_channel(target, eol, amount);
            match purse.chain.call(&purpose, call).await {
                Ok((message, receipt)) => {
                    let receipt = receipt.receipt().map_err(|e| failed(e.to_string()))?;
                    let channel = channel_id(&receipt).map_err(|e| failed(e.to_string()))?;
                    return Ok(ChannelOutcome::Opened { channel, message });
                }
                Err(ChainError::Failed { error, .. }) => return Ok(ChannelOutcome::Failed { reason: error }),
                // It is in no block and never will be: a new message takes its place.
                Err(ChainError::Dropped { reason: why }) => {
                    purse.chain.forget(&purpose).map_err(ClientError::chain)?;
                    reason = why;
                }
                Err(error) => return Err(ClientError::chain(error)),
            }
        }
        Err(failed(reason))
    }
}

/// Shows how far the transfer is, again and again; returns only when the file cannot be read any more.
async fn show_transfer(
    served: &watch::Receiver<Served>,
    gauge: Option<&(Gauge, Phase)>,
    record: &Record,
) -> ClientError {
    loop {
        let served = *served.borrow();
        if served.unreadable {
            return record.file.changed(&record.name());
        }
        if let Some((gauge, _)) = gauge {
            gauge.at(served.bytes);
        }
        tokio::time::sleep(SHOW).await;
    }
}

impl ClientHost for Carrier {
    type Error = Stop;

    fn key(&self) -> SecretKey {
        self.account.key().clone()
    }

    async fn save(&mut self, deal: &ClientDeal) -> Result<(), Stop> {
        self.record.advance(deal);
        self.book.save(&self.record)?;
        if let Some(purse) = self.purse.take() {
            // The channel is in the record: its message will not be asked for again.
            purse.chain.settle(&self.purpose()).map_err(ClientError::chain)?;
        }
        self.show(&deal.stage);
        if matches!(deal.stage, ClientStage::Running { .. } | ClientStage::Complete { .. }) {
            if let Some(heard) = self.accepted.take() {
                heard(&self.record);
            }
        }
        match self.is_reached() {
            true => Err(Stop::Reached),
            false => Ok(()),
        }
    }

    async fn open_channel(
        &mut self,
        _deal: &ClientDeal,
        target: &Address,
        amount: AttoFil,
        eol: Epoch,
    ) -> Result<ChannelOutcome, Stop> {
        let gauge = self
            .report
            .wait(&format!("opening a payment channel with {amount} FIL"));
        let mut patience = ChainPatience::default();
        let (purse, outcome) = loop {
            // The account is not held while the chain is away: another process may have another chain.
            let attempt = async {
                let purse = self.account.purse().await?;
                let outcome = self.channel(&purse, target, amount, eol).await?;
                Ok((purse, outcome))
            };
            match attempt.await {
                Ok(opened) => break opened,
                Err(error) => patience.bear(error, &self.report).await?,
            }
        };
        drop(gauge);
        self.purse = Some(purse);
        Ok(outcome)
    }

    async fn propose(&mut self, proposal: &SignedProposal) -> Result<SignedResponse, Stop> {
        self.ask(protocol::MAKE_DEAL, proposal).await
    }

    async fn query(&mut self, deal: &Cid) -> Result<SignedResponse, Stop> {
        let known = self.record.deal.response().map(|answer| answer.response.state);
        if let Some(state) = known.filter(|_| self.can_watch) {
            if let Some(answer) = self.watch(deal, state).await? {
                return Ok(answer);
            }
        }
        self.wait(QUERY_PAUSE_MS).await?;
        self.ask(protocol::QUERY_DEAL, &QueryRequest { cid: *deal }).await
    }

    async fn worker(&mut self, _deal: &ClientDeal) -> Result<Option<Address>, Stop> {
        Ok(self.contact.worker().await?)
    }

    async fn refused(&mut self, refusal: ClientRefusal) -> Result<(), Stop> {
        Err(Stop::Fault(ClientError::Answer {
            miner: self.contact.miner().clone(),
            refusal,
            deal: self.record.name(),
        }))
    }

    fn unschedulable(&self, error: ScheduleError) -> Stop {
        Stop::Fault(error.into())
    }
}

impl Carrier {
    async fn ask<Q: shared::wire::Cbor>(
        &mut self,
        protocol: &'static str,
        question: &Q,
    ) -> Result<SignedResponse, Stop> {
        let deal = self.record.name();
        let (report, in_trouble) = (self.report.clone(), &mut self.in_trouble);
        let miner = self.contact.miner().clone();
        let answer = self.contact.ask(protocol, question, &deal, |error| {
            // Once is enough: the wait may be long.
            if !std::mem::replace(in_trouble, true) {
                report.note(format!("no contact with miner {miner} ({error}); trying again"));
            }
        });
        let answer = answer.await?;
        if std::mem::take(&mut self.in_trouble) {
            self.report.note("the miner is back");
        }
        Ok(answer)
    }
}
