//! The miner as a whole: how it is doing, whether it takes deals, and its settings.

use super::{detached, Answer, ApiError, Asked, Input};
use crate::ask_publisher;
use crate::operator::{ChangedSettings, MinedBlock, MinerStatus, MiningStatus};
use crate::settings::{Settings, SettingsChange};

use crate::web::{views, Api};
use crate::{intake, proving, scrubbing};
use axum::extract::State;
use axum::Json;
use sealdrop_database::blocking;
use shared::sector::{Phase, SectorEffect};

pub(super) async fn status(State(shown): Asked) -> Answer<MinerStatus> {
    Ok(Json(blocking(|| views::status(&shown.api))?))
}

pub(super) async fn mining(State(shown): Asked) -> Answer<MiningStatus> {
    Ok(Json(mining_status(&shown.api).await?))
}

pub(super) async fn start_mining(State(shown): Asked) -> Answer<MiningStatus> {
    set_mining(&shown.api, true).await
}

pub(super) async fn stop_mining(State(shown): Asked) -> Answer<MiningStatus> {
    set_mining(&shown.api, false).await
}

pub(super) async fn set_mining(api: &Api, mining: bool) -> Answer<MiningStatus> {
    let change = SettingsChange {
        mining: Some(mining),
        ..SettingsChange::default()
    };
    ask_publisher::change(&api.ask_publisher, &change).await?;
    tracing::info!(mining, "the operator said whether new deals are taken");
    Ok(Json(mining_status(api).await?))
}

pub(super) async fn mining_status(api: &Api) -> Result<MiningStatus, ApiError> {
    let all = api.chain.miners().await?;
    let own = all.iter().find(|view| view.address == api.address);
    let own = own.ok_or(ApiError::NoMiner)?;
    let (mut sealing, mut packing, mut stuck) = (0, Vec::new(), Vec::new());
    let mut phases = Phase::UNSEALED.to_vec();
    phases.push(Phase::Failed);
    for record in blocking(|| api.store.sectors_in(&phases))? {
        let sector = record.sector;
        let phase = sector.phase();
        sealing += u64::from(phase > Phase::Packing && phase < Phase::Proving);
        if phase == Phase::Packing {
            packing.push(views::filling(&sector));
        }
        if sector.effect() == SectorEffect::AwaitOperator {
            stuck.push(sector.id);
        }
    }
    Ok(MiningStatus {
        mining: api.settings.now().mining,
        address: api.address.clone(),
        height: api.chain.heads().borrow().height,
        power: own.power,
        total_power: all.iter().map(|view| view.power).fold(0, u64::saturating_add),
        collateral: own.collateral,
        proving_window: own.proving_window.map(|window| (window.start, window.end)),
        sealing,
        packing,
        stuck,
        intake: intake::status(&api.intake)?,
        proving: proving::status(&api.proving, own),
        scrub: scrubbing::status(&api.store)?,
        own_prover: api.prover.own_code(),
        jobs: api.prover.jobs(),
        health: api.health.health(),
        refused: api.host.refusals(),
        addresses: api.host.board().statuses(&api.host.advertised()),
        link: api.link.clone(),
    })
}

/// The chain's authority makes the blocks: this waits for its next one (in 2019 the miner made one itself).
pub(super) async fn mine_once(State(shown): Asked) -> Answer<MinedBlock> {
    let mut heads = shown.api.chain.heads();
    let before = shown.api.chain.head().await?.height;
    // An error means that the chain adapter is gone; the head is then as it was.
    let _ = heads.wait_for(|head| head.height > before).await;
    let head = heads.borrow().clone();
    Ok(Json(MinedBlock {
        height: head.height,
        block: head.block,
    }))
}

pub(super) async fn settings(State(shown): Asked) -> Json<Settings> {
    Json(shown.api.settings.now())
}

pub(super) async fn change_settings(
    State(shown): Asked,
    Input(change): Input<SettingsChange>,
) -> Answer<ChangedSettings> {
    let publisher = shown.api.ask_publisher.clone();
    let changed = detached(&shown.lifeline, async move {
        ask_publisher::change(&publisher, &change).await
    })
    .await?;
    Ok(Json(changed?))
}
