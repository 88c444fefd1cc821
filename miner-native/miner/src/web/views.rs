//! The miner's records as the operator sees them ([`crate::operator`]).

use super::Api;
use crate::ask_publisher;
use crate::operator::{
    DealDetail, DealSummary, Filling, MinerStatus, PhaseEntry, PieceSummary, PostSummary, RedemptionSummary,
    SectorSummary, SetbackSummary, VoucherSummary,
};
use crate::store::{DealRecord, PostRecord, RedemptionRecord, RedemptionStage, SectorRecord, StoreError};
use shared::chain::AttoFil;
use shared::deal::{MinerDeal, MinerStage};
use shared::explain::deal::state as stage;
use shared::payment::{voucher, PaymentVoucher};
use shared::piece::SectorLayout;
use shared::sector::{Phase, Sector};

/// Sectors in an answer, the newest: nobody reads more.
const MAX_SECTORS_SHOWN: usize = 200;

pub(super) fn status(api: &Api) -> Result<MinerStatus, StoreError> {
    let deals = api.store.deals_by_state()?;
    let (peer, kept) = (api.host.peer_id(), api.settings.kept());
    let addresses = api.host.addresses().into_iter();
    Ok(MinerStatus {
        address: api.address.clone(),
        owner: api.owner.clone(),
        worker: api.worker.address(),
        peer_id: peer.to_string(),
        multiaddrs: addresses.map(|address| format!("{address}/p2p/{peer}")).collect(),
        sector_size: api.sector_size.bytes(),
        height: api.chain.heads().borrow().height,
        price: kept.settings.price,
        mining: kept.settings.mining,
        ask: ask_publisher::standing(&kept),
        settings: kept.settings,
        deals,
        sectors: sectors(api)?,
        last_post: api.store.last_post()?.map(post),
        earned: api.store.earned()?,
    })
}

pub(super) fn post(post: PostRecord) -> PostSummary {
    PostSummary {
        window_end: post.window_end,
        height: post.height,
        message: post.message,
        sectors: post.sectors,
        at: post.at_ms,
    }
}

/// The newest sectors, the newest first.
pub(super) fn sectors(api: &Api) -> Result<Vec<SectorSummary>, StoreError> {
    let newest = api.store.newest_sectors(MAX_SECTORS_SHOWN)?;
    newest.iter().map(|record| sector(api, record)).collect()
}

/// How full a sector is.
pub(super) fn filling(sector: &Sector) -> Filling {
    let (used, size) = (
        sector.layout().as_ref().map_or(0, SectorLayout::used),
        sector.size.bytes(),
    );
    Filling {
        sector: sector.id,
        used,
        size,
        fill: (used as f64 / size as f64 * 1000.0).round() / 10.0,
    }
}

fn setback(record: &SectorRecord) -> Option<SetbackSummary> {
    let setback = record.sector.setback()?;
    Some(SetbackSummary {
        failed: setback.failed,
        reason: setback.reason.to_owned(),
        attempts: setback.attempts,
        next: setback.next,
        retry_at: record.retry_at_ms,
        awaits_operator: setback.awaits_operator,
    })
}

pub(super) fn sector(api: &Api, record: &SectorRecord) -> Result<SectorSummary, StoreError> {
    let sector = &record.sector;
    let pieces = sector.pieces.iter().map(|piece| PieceSummary {
        deal: piece.deal.to_string(),
        data_cid: piece.data_cid.to_string(),
        size: piece.size,
    });
    let history = record.history.iter().map(|start| PhaseEntry {
        phase: start.phase,
        at: start.at_ms,
    });
    let Filling { used, size, fill, .. } = filling(sector);
    Ok(SectorSummary {
        id: sector.id,
        phase: sector.phase(),
        since: record.since_ms(),
        estimate_ms: estimate(api, record)?,
        used,
        size,
        fill,
        pieces: pieces.collect(),
        history: history.collect(),
        attempts: sector.attempts,
        last_error: sector.last_error.clone(),
        setback: setback(record),
        comm_r: sector.sealed().map(|sealed| sealed.comm_r),
    })
}

/// How long the present phase takes: the timer while packing, otherwise what it took the last time; none when unknown.
fn estimate(api: &Api, record: &SectorRecord) -> Result<Option<u64>, StoreError> {
    match record.sector.phase() {
        Phase::Packing => Ok(Some(api.settings.now().auto_seal_ms)),
        phase if phase >= Phase::Proving => Ok(None),
        phase => api.store.estimate(record.sector.size, phase),
    }
}

pub(super) fn deal(api: &Api, record: &DealRecord) -> Result<DealSummary, StoreError> {
    let deal = &record.deal;
    let (proposal, response) = (&deal.proposal.proposal, deal.response());
    let redemptions = api.store.redemptions(&response.proposal_cid)?;
    let redeemed = redemptions.iter().filter_map(RedemptionRecord::gained);
    Ok(DealSummary {
        deal: response.proposal_cid.to_string(),
        state: response.state.name().to_owned(),
        stage: stage(&deal.stage).to_owned(),
        message: response.message,
        miner: proposal.miner_address.clone(),
        client: proposal.payment.payer.clone(),
        piece: proposal.piece_ref.to_string(),
        size: deal.proposal.size(),
        total_price: proposal.total_price,
        duration: proposal.duration,
        channel: proposal.payment.channel,
        sector: deal.sector(),
        created_at: record.created_ms,
        ends_at: deal.proof().is_some().then(|| deal.end()),
        redeemed: redeemed.fold(AttoFil::ZERO, |sum, gain| sum.checked_add(gain).unwrap_or(sum)),
    })
}

pub(super) fn detail(api: &Api, record: &DealRecord) -> Result<DealDetail, StoreError> {
    let deal = &record.deal;
    let (size, cid) = (deal.proposal.size(), deal.proposal.cid());
    let transferred = match &deal.stage {
        MinerStage::Rejected { .. } => 0,
        MinerStage::Accepted => api.staging.held(&deal.proposal.proposal.piece_ref).min(size),
        _ => size,
    };
    let sector = match deal.sector() {
        Some(id) => api.store.sector(id)?,
        None => None,
    };
    let estimate = sector.as_ref().map(|record| estimate(api, record)).transpose()?;
    let redemptions = api.store.redemptions(&cid)?;
    let gained = redemptions.iter().filter(|record| record.gained().is_some());
    let reached = gained.map(|record| record.amount).max().unwrap_or_default();
    Ok(DealDetail {
        summary: self::deal(api, record)?,
        transferred,
        phase: sector.as_ref().map(|record| record.sector.phase()),
        phase_since: sector.as_ref().map(SectorRecord::since_ms),
        phase_estimate_ms: estimate.flatten(),
        vouchers: vouchers(deal)
            .into_iter()
            .enumerate()
            .map(|(index, voucher)| self::voucher(index, &voucher, reached))
            .collect(),
        redemptions: redemptions.into_iter().map(redemption).collect(),
    })
}

/// A deal's vouchers, by the height from which they may be redeemed.
pub(super) fn vouchers(deal: &MinerDeal) -> Vec<PaymentVoucher> {
    let mut vouchers = deal.proposal.proposal.payment.vouchers.clone().unwrap_or_default();
    vouchers.sort_by_key(|voucher| voucher.valid_at);
    vouchers
}

pub(super) fn voucher(index: usize, voucher: &PaymentVoucher, reached: AttoFil) -> VoucherSummary {
    VoucherSummary {
        index,
        amount: voucher.amount,
        channel: voucher.channel,
        payer: voucher.payer.clone(),
        valid_at: voucher.valid_at,
        condition: voucher.condition.as_ref().map(|condition| condition.method.clone()),
        encoded_as: voucher::to_text(voucher),
        is_redeemed: voucher.amount <= reached,
    }
}

fn redemption(record: RedemptionRecord) -> RedemptionSummary {
    let gained = record.gained();
    let (message, height, error) = match record.stage {
        RedemptionStage::Sent { .. } => (None, None, None),
        RedemptionStage::Done { message, height, .. } => (Some(message), Some(height), None),
        RedemptionStage::Failed { reason, .. } => (None, None, Some(reason)),
    };
    RedemptionSummary {
        amount: record.amount,
        gained,
        message,
        height,
        error,
    }
}
