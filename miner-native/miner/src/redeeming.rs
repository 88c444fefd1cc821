//! Redeems the vouchers of deals as they fall due, before the payer can take the money back (step 14 of a deal, spec §7.18).
//!
//! What is redeemed and when is decided by [`MinerDeal::redemption`]; here channels are watched at each head, a
//! bounded number at a time, and redemptions are written down, sent and followed. A restart goes on from the books: the
//! same voucher is always the same message. [`redeem_now`] is the operator's `deals redeem`. Next: [`crate::deal_expiry`].

use crate::chain_access::{ChainAccess, ChainError, MessageStatus};
use crate::on_head::{on_heads, OnHead};
use crate::settings::SettingsStore;
use crate::store::{MinerStore, RedemptionRecord, RedemptionStage, StoreError};
use crate::supervisor::{Lifeline, ServiceError};
use cid::Cid;
use shared::chain::calls::GAS_PRICE;
use shared::chain::{calls, AttoFil, Call, Epoch};
use shared::deal::{DealState, MinerDeal, ProofInfo};
use shared::payment::redemption::Urgency;
use shared::payment::{ChannelFacts, InclusionEvidence, PaymentVoucher, Redemption};
use shared::wire::cbor::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Channels that are asked about at one head. All of a miner's deals come round in a fortieth of the blocks that a
/// cancelled channel lives on ([`shared::chain::policy::CANCEL_DELAY`]).
const PER_HEAD: usize = 64;
/// Deals of whose loss it is remembered that the operator was told; one that is forgotten is told again.
const MOST_LOGGED: usize = 10_000;
/// Blocks between two redemptions of one channel while nothing presses: each costs gas, and the later one pays for both.
const CALM_INTERVAL: u64 = 100;
/// Blocks before a redemption that the chain refused is tried again; doubled with each attempt, [`MOST_DOUBLINGS`] times.
const RETRY: u64 = 5;
/// See [`RETRY`]: at the most 160 blocks, fewer than [`shared::payment::redemption::ENDING_MARGIN`].
const MOST_DOUBLINGS: u32 = 5;
/// Units of gas of a conditional redemption (spec §5.1).
const GAS: u128 = 200;

/// Why nothing was redeemed.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the deal is {state}: only a complete deal has earned its vouchers")]
    NotEarned { state: DealState },
    #[error("the deal is free: there are no vouchers to redeem")]
    Free,
    #[error("no remaining redeemable vouchers found")]
    NoneRedeemable,
    #[error("no remaining redeemable vouchers found: the channel is over or empty, and {unpaid} FIL of the vouchers will never be paid")]
    Lost { unpaid: AttoFil },
    #[error("the chain refused the redemption: {reason}; it is tried again by itself")]
    Refused { reason: String },
    #[error("the redemption is on its way; `deals show` tells when it is done")]
    OnItsWay,
}

/// A voucher that is to be redeemed now.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    pub voucher: PaymentVoucher,
    redeemer: Vec<Value>,
    /// What it pays.
    pub gain: AttoFil,
    urgency: Urgency,
    /// What was redeemed before.
    before: AttoFil,
}

impl Due {
    /// The message's content.
    pub fn call(&self) -> Call {
        calls::redeem(&self.voucher, self.redeemer.clone())
    }
}

/// How a deal's vouchers stand.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// One can be redeemed.
    Due(Box<Due>),
    /// None is due.
    Waiting,
    /// Nothing more will come of them; what was lost is in attoFIL.
    Over { unpaid: AttoFil },
}

/// What redeeming works with. Clones take turns.
#[derive(Clone)]
pub struct Redeeming {
    pub store: MinerStore,
    /// Signs as the miner's owner, whom channels pay.
    pub chain: ChainAccess,
    pub settings: Arc<SettingsStore>,
    /// Held while a redemption is decided on, sent or followed.
    pub turn: Arc<Mutex<()>>,
}

impl Redeeming {
    /// Redeems until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let (chain, watch) = (self.chain.clone(), Watch::default());
        on_heads(&mut Task { service: self, watch }, &chain, &lifeline).await
    }
}

struct Task {
    service: Redeeming,
    watch: Watch,
}

impl OnHead for Task {
    type Error = RedeemError;
    const LONGEST_TICK: Duration = Duration::from_secs(300);
    const FAILED: &'static str = "vouchers could not be looked at";

    async fn tick(&mut self, height: Epoch, _: &Lifeline) -> Result<(), RedeemError> {
        self.watch.tick(&self.service, height).await
    }
}

/// Goes round the deals with vouchers.
#[derive(Debug, Default)]
pub struct Watch {
    /// Where the round goes on.
    after: Option<Cid>,
    /// Deals of whose loss the operator was told.
    losses_logged: BTreeMap<Cid, AttoFil>,
}

impl Watch {
    /// Looks after the next deals of the round.
    pub async fn tick(&mut self, service: &Redeeming, height: Epoch) -> Result<(), RedeemError> {
        if !service.settings.now().redeem {
            return Ok(());
        }
        // A deal that has ended comes round no more.
        while self.losses_logged.len() > MOST_LOGGED {
            self.losses_logged.pop_first();
        }
        for (cid, record) in &service.store.earning(self.after, PER_HEAD)? {
            // Before it is looked at: one whose look fails does not hold up those after it.
            self.after = Some(*cid);
            let standing = tend(service, cid, &record.deal, height).await?;
            if let Standing::Over { unpaid } = standing {
                if !unpaid.is_zero() && self.losses_logged.insert(*cid, unpaid).is_none() {
                    tracing::error!(deal = %cid, %unpaid, "vouchers were not redeemed in time and will never be paid");
                }
            }
        }
        Ok(())
    }
}

/// Follows a redemption that is on its way, or begins one if it is time.
async fn tend(service: &Redeeming, cid: &Cid, deal: &MinerDeal, height: Epoch) -> Result<Standing, RedeemError> {
    let _turn = service.turn.lock().await;
    let books = service.store.redemptions(cid)?;
    if let Some(sent) = in_flight(&books) {
        follow(service, cid, deal, sent, height).await?;
        return Ok(Standing::Waiting);
    }
    let standing = standing(service, deal, height).await?;
    if let Standing::Due(due) = &standing {
        if is_time(due, &books, height) {
            send(service, cid, due, &books, height).await?;
        }
    }
    Ok(standing)
}

/// The redemption that is on its way, if one is.
pub fn in_flight(books: &[RedemptionRecord]) -> Option<&RedemptionRecord> {
    books
        .iter()
        .find(|record| matches!(record.stage, RedemptionStage::Sent { .. }))
}

/// How a complete deal's vouchers stand at `height`, by the chain's channel.
pub async fn standing(service: &Redeeming, deal: &MinerDeal, height: Epoch) -> Result<Standing, RedeemError> {
    let payment = &deal.proposal.proposal.payment;
    let promised = deal.vouchers().iter().map(|voucher| voucher.amount).max();
    let (Some(promised), Some(id)) = (promised, payment.channel) else {
        return Ok(Standing::Over { unpaid: AttoFil::ZERO });
    };
    let Some(view) = service.chain.channel(&payment.payer, id).await? else {
        // Closed by us with the last voucher, or reclaimed by the payer after its end: the books know which.
        let books = service.store.redemptions(&deal.proposal.cid())?;
        let done = books.iter().filter(|record| record.gained().is_some());
        let reached = done.map(|record| record.amount).max().unwrap_or_default();
        let unpaid = promised.checked_sub(reached).unwrap_or_default();
        return Ok(Standing::Over { unpaid });
    };
    let channel = ChannelFacts::from(&view);
    Ok(match deal.redemption(height, Some(&channel)) {
        Redemption::Redeem {
            voucher,
            redeemer,
            gain,
            urgency,
        } => Standing::Due(Box::new(Due {
            voucher,
            redeemer,
            gain,
            urgency,
            before: channel.amount_redeemed,
        })),
        Redemption::Wait { .. } | Redemption::Unproven { .. } => Standing::Waiting,
        Redemption::Finished => Standing::Over { unpaid: AttoFil::ZERO },
        Redemption::Lost { unpaid } => Standing::Over { unpaid },
    })
}

/// Whether a redemption is sent now: not for less than its gas, not often while nothing presses, and after a refusal
/// only when some blocks have passed.
fn is_time(due: &Due, books: &[RedemptionRecord], height: Epoch) -> bool {
    let refused = books.iter().find(|record| record.amount == due.voucher.amount);
    if let Some(RedemptionStage::Failed { at, .. }) = refused.map(|record| &record.stage) {
        let doublings = refused
            .map_or(0, |record| record.attempts.saturating_sub(1))
            .min(MOST_DOUBLINGS);
        if height < at.plus(RETRY << doublings) {
            return false;
        }
    }
    if due.urgency != Urgency::Ordinary {
        return true;
    }
    let last = books.iter().filter_map(|record| match record.stage {
        RedemptionStage::Done { height, .. } => Some(height),
        _ => None,
    });
    let is_worth_it = due.gain.0 > GAS.saturating_mul(GAS_PRICE.0);
    is_worth_it && last.max().is_none_or(|last| height >= last.plus(CALM_INTERVAL))
}

/// The same voucher is the same message, however often it is asked for, until the chain has refused it.
fn purpose(cid: &Cid, amount: AttoFil) -> String {
    format!("deal/{cid}/redeem/{}", amount.0)
}

/// Writes a redemption down and sends it.
/// FAIL: the process may end after the first line. THEN: [`follow`] sends the message, the same or now.
async fn send(
    service: &Redeeming,
    cid: &Cid,
    due: &Due,
    books: &[RedemptionRecord],
    at: Epoch,
) -> Result<Cid, RedeemError> {
    let amount = due.voucher.amount;
    let known = books.iter().find(|record| record.amount == amount);
    let record = RedemptionRecord {
        amount,
        attempts: known.map_or(0, |record| record.attempts).saturating_add(1),
        stage: RedemptionStage::Sent { at, before: due.before },
    };
    service.store.keep_redemption(cid, &record)?;
    let message = service.chain.submit(&purpose(cid, amount), due.call()).await?;
    tracing::info!(deal = %cid, amount = %amount, gain = %due.gain, urgency = ?due.urgency, "redeeming a voucher");
    Ok(message)
}

/// Looks what became of a redemption, and writes it down.
async fn follow(
    service: &Redeeming,
    cid: &Cid,
    deal: &MinerDeal,
    sent: &RedemptionRecord,
    height: Epoch,
) -> Result<RedemptionStage, RedeemError> {
    let RedemptionStage::Sent { before, .. } = sent.stage else {
        return Ok(sent.stage.clone());
    };
    let purpose = purpose(cid, sent.amount);
    let found = deal.vouchers().iter().find(|voucher| voucher.amount == sent.amount);
    let Some(voucher) = found else {
        return Err(RedeemError::NoneRedeemable);
    };
    let conditional = deal
        .proof()
        .and_then(ProofInfo::evidence)
        .filter(|_| voucher.condition.is_some());
    let redeemer = conditional.map_or_else(Vec::new, |evidence| InclusionEvidence::parameters(&evidence));
    let message = match service.chain.submit(&purpose, calls::redeem(voucher, redeemer)).await {
        Ok(message) => message,
        Err(ChainError::Dropped { reason }) => return give_up(service, cid, sent, height, reason),
        Err(error) => return Err(error.into()),
    };
    let gained = sent.amount.checked_sub(before).unwrap_or_default();
    let stage = match service.chain.message_status(&message).await? {
        MessageStatus::Waiting | MessageStatus::Unsent => return Ok(sent.stage.clone()),
        MessageStatus::Mined { receipt, .. } if receipt.is_success() => RedemptionStage::Done {
            message: message.to_string(),
            height: receipt.height,
            gained,
        },
        MessageStatus::Mined { receipt, .. } => return give_up(service, cid, sent, height, receipt.error),
        MessageStatus::Dropped { reason, .. } => return give_up(service, cid, sent, height, reason),
        // Too long ago for the chain to tell: what the channel has paid does.
        MessageStatus::Pruned { height } if is_paid(service, voucher).await? => RedemptionStage::Done {
            message: message.to_string(),
            height,
            gained,
        },
        MessageStatus::Pruned { .. } | MessageStatus::Unknown => {
            let reason = "the chain does not know the message any more".to_owned();
            return give_up(service, cid, sent, height, reason);
        }
    };
    let record = RedemptionRecord {
        stage: stage.clone(),
        ..sent.clone()
    };
    service.store.keep_redemption(cid, &record)?;
    service.chain.settle(&purpose)?;
    tracing::info!(deal = %cid, amount = %sent.amount, %gained, "a voucher was redeemed");
    Ok(stage)
}

async fn is_paid(service: &Redeeming, voucher: &PaymentVoucher) -> Result<bool, RedeemError> {
    let channel = service.chain.channel(&voucher.payer, voucher.channel).await?;
    Ok(channel.is_some_and(|channel| channel.amount_redeemed >= voucher.amount))
}

/// Writes down that the chain refused a redemption; the voucher may be tried again.
fn give_up(
    service: &Redeeming,
    cid: &Cid,
    sent: &RedemptionRecord,
    at: Epoch,
    reason: String,
) -> Result<RedemptionStage, RedeemError> {
    tracing::warn!(deal = %cid, amount = %sent.amount, reason, "a redemption failed; trying again later");
    service.chain.forget(&purpose(cid, sent.amount))?;
    let stage = RedemptionStage::Failed { at, reason };
    let record = RedemptionRecord {
        stage: stage.clone(),
        ..sent.clone()
    };
    service.store.keep_redemption(cid, &record)?;
    Ok(stage)
}

/// The voucher that `deals redeem` would take now (spec §4.13, with the parameters that its condition needs).
pub async fn redeemable(service: &Redeeming, deal: &MinerDeal) -> Result<Due, RedeemError> {
    if deal.proof().is_none() {
        let state = deal.state();
        return Err(RedeemError::NotEarned { state });
    }
    if deal.vouchers().is_empty() {
        return Err(RedeemError::Free);
    }
    let height = service.chain.head().await?.height;
    match standing(service, deal, height).await? {
        Standing::Due(due) => Ok(*due),
        Standing::Over { unpaid } if !unpaid.is_zero() => Err(RedeemError::Lost { unpaid }),
        Standing::Waiting | Standing::Over { .. } => Err(RedeemError::NoneRedeemable),
    }
}

/// What [`redeem_now`] did.
#[derive(Debug, Clone, PartialEq)]
pub struct Redeemed {
    pub due: Due,
    pub message: String,
    pub height: Epoch,
}

/// Redeems the best voucher that is due, and waits until the chain has it.
pub async fn redeem_now(service: &Redeeming, cid: &Cid, deal: &MinerDeal) -> Result<Redeemed, RedeemError> {
    let _turn = service.turn.lock().await;
    let due = redeemable(service, deal).await?;
    let books = service.store.redemptions(cid)?;
    let height = service.chain.head().await?.height;
    if let Some(sent) = in_flight(&books).filter(|sent| sent.amount != due.voucher.amount) {
        follow(service, cid, deal, sent, height).await?;
        return Err(RedeemError::OnItsWay);
    }
    let message = send(service, cid, &due, &books, height).await?;
    // What came of it is read in `follow`: here only that something did.
    let confirmed = service.chain.confirmed(&message, 0).await;
    if let Err(error @ ChainError::Unreachable { .. }) = confirmed {
        return Err(error.into());
    }
    let books = service.store.redemptions(cid)?;
    let Some(sent) = in_flight(&books) else {
        return Err(RedeemError::OnItsWay);
    };
    match follow(service, cid, deal, sent, height).await? {
        RedemptionStage::Done { message, height, .. } => Ok(Redeemed { due, message, height }),
        RedemptionStage::Failed { reason, .. } => Err(RedeemError::Refused { reason }),
        RedemptionStage::Sent { .. } => Err(RedeemError::OnItsWay),
    }
}
