//! Gathers what [`crate::metrics`] tells.

use super::requests::{watching, Asked};
use super::Api;
use crate::metrics::{self, ByName, Figures, Power};
use crate::operator::{AddressStatus, Machine};
use crate::prover::{JobState, JobView};
use crate::store::StoreError;
use crate::supervisor::{Health, ServiceHealth, ServiceState};
use crate::{intake, proving, scrubbing};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use sealdrop_database::blocking;
use serde::Serialize;
use shared::chain::view::MinerView;
use shared::chain::AttoFil;
use shared::sector::Phase;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the chain may take: Prometheus waits for ten seconds.
const CHAIN_LIMIT: Duration = Duration::from_secs(3);

/// What Prometheus reads.
pub(super) async fn metrics(State(shown): Asked) -> impl IntoResponse {
    let api = &shown.api;
    let miners = tokio::time::timeout(CHAIN_LIMIT, api.chain.miners()).await;
    let miners = miners.ok().and_then(Result::ok).unwrap_or_default();
    let figures = blocking(|| gather(api, &miners));
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&figures))
}

/// What the store does not say at the moment is left out: whether all is well is told above all when it is not.
fn gather(api: &Api, miners: &[MinerView]) -> Figures {
    let mut figures = Figures {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: api.started_ms as f64 / 1000.0,
        chain_height: api.chain.heads().borrow().height.0,
        deals: by_name(api.store.deals_by_state().unwrap_or_default()),
        sectors: sectors(api).unwrap_or_default(),
        earned_fil: api.store.earned().ok().map(fil),
        last_proof_height: api.store.last_post().ok().flatten().map(|post| post.height.0),
        damage: scrubbing::status(&api.store)
            .ok()
            .map(|status| status.damage.len() as u64),
        connections: api.host.peers(0).total,
        refused: by_name(api.host.refusals()),
        addresses: addresses(&api.host.board().statuses(&api.host.advertised())),
        log_lines_lost: api.log.lost(),
        alerts_pending: api.alerts.status().pending,
        ..Figures::default()
    };
    if let Ok(intake) = intake::status(&api.intake) {
        figures.takes_deals = intake.open && api.settings.now().mining;
        figures.waiting_bytes = Some(intake.waiting_bytes);
        figures.waiting_bytes_limit = Some(intake.max_bytes);
        figures.waiting_deals = Some(intake.waiting_deals);
    }
    of_health(&mut figures, &api.health.health());
    of_jobs(&mut figures, &api.prover.jobs());
    if let Some(own) = miners.iter().find(|miner| miner.address == api.address) {
        let proving = proving::status(&api.proving, own);
        let seconds = |ms: Option<u64>| ms.map(|ms| ms as f64 / 1000.0);
        figures.proof_expected_seconds = seconds(proving.expected_ms);
        figures.proof_window_seconds = seconds(proving.window_ms);
        figures.power = Some(Power {
            own: own.power,
            network: miners.iter().map(|miner| miner.power).fold(0, u64::saturating_add),
            collateral_fil: fil(own.collateral),
        });
    }
    if let Ok(machine) = watching::seen(api) {
        of_machine(&mut figures, &machine);
    }
    figures
}

fn by_name(counts: BTreeMap<String, u64>) -> ByName {
    counts.into_iter().map(|(name, count)| (name, count as f64)).collect()
}

fn sectors(api: &Api) -> Result<ByName, StoreError> {
    let counted = Phase::ALL
        .iter()
        .map(|phase| Ok((name_of(*phase), api.store.count_sectors_in(&[*phase])? as f64)));
    counted.collect()
}

/// A phase or a step as the API has it.
fn name_of(value: impl Serialize) -> String {
    let name = serde_json::to_value(value).ok();
    name.as_ref()
        .and_then(|name| name.as_str())
        .unwrap_or_default()
        .to_owned()
}

/// For drawing: the exact amount is in the API.
fn fil(amount: AttoFil) -> f64 {
    amount.0 as f64 / 1e18
}

fn addresses(statuses: &[AddressStatus]) -> ByName {
    let mut found: BTreeMap<&str, f64> = [("reached", 0.0), ("silent", 0.0), ("untried", 0.0)].into();
    for status in statuses {
        let name = match (status.is_reached(), status.answers) {
            (true, _) => "reached",
            (false, Some(_)) => "silent",
            (false, None) => "untried",
        };
        *found.entry(name).or_default() += 1.0;
    }
    found
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn of_health(figures: &mut Figures, health: &Health) {
    (figures.is_healthy, figures.problems) = (health.ok, health.problems.len() as u64);
    let by_service = |of: fn(&ServiceHealth) -> u64| {
        let services = health.services.iter();
        services
            .map(|service| (service.name.clone(), of(service) as f64))
            .collect()
    };
    figures.services_up = by_service(|service| u64::from(service.state == ServiceState::Up));
    figures.service_restarts = by_service(|service| service.restarts);
    figures.service_panics = by_service(|service| service.panics);
}

fn of_jobs(figures: &mut Figures, jobs: &[JobView]) {
    let (mut running, mut waiting): (BTreeMap<String, f64>, BTreeMap<String, f64>) = Default::default();
    for job in jobs {
        let step = name_of(job.step);
        let counted = match job.state {
            JobState::Running { .. } => &mut running,
            JobState::Queued { .. } => &mut waiting,
        };
        *counted.entry(step).or_default() += 1.0;
    }
    figures.jobs_running = running.into_iter().collect();
    figures.jobs_waiting = waiting.into_iter().collect();
}

fn of_machine(figures: &mut Figures, machine: &Machine) {
    (figures.disk_free, figures.disk_total) = (Some(machine.disk.free), machine.disk.total);
    (figures.memory_available, figures.memory_own) = (machine.memory.available, machine.memory.own);
}
