//! What Prometheus reads: everything that [`Figures`] holds, as text in OpenMetrics' form.
//!
//! Gathered by [`crate::web`] when it is asked for; nothing is counted here. Names, types and meanings are in `shared/docs/metrics.md`,
//! which is written from what is said here; `miner-native/packaging/grafana.json` draws them.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

/// The form of the text, for whoever is asked for it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Figures of several things, by their names.
pub type ByName = Vec<(String, f64)>;

/// Everything that is told. What is not known at the moment is left out of the text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub version: String,
    /// Seconds since 1970.
    pub started: f64,
    pub is_healthy: bool,
    pub problems: u64,
    /// By service: 1 while it runs, 0 otherwise.
    pub services_up: ByName,
    pub service_restarts: ByName,
    pub service_panics: ByName,
    pub chain_height: u64,
    /// By state.
    pub deals: ByName,
    /// By phase.
    pub sectors: ByName,
    pub takes_deals: bool,
    pub waiting_bytes: Option<u64>,
    pub waiting_bytes_limit: Option<u64>,
    pub waiting_deals: Option<u64>,
    pub earned_fil: Option<f64>,
    /// By step.
    pub jobs_running: ByName,
    pub jobs_waiting: ByName,
    /// Of the chain, if it answered in time.
    pub power: Option<Power>,
    pub proof_expected_seconds: Option<f64>,
    pub proof_window_seconds: Option<f64>,
    pub last_proof_height: Option<u64>,
    pub damage: Option<u64>,
    pub disk_free: Option<u64>,
    pub disk_total: Option<u64>,
    pub memory_available: Option<u64>,
    pub memory_own: Option<u64>,
    pub connections: u64,
    /// By limit.
    pub refused: ByName,
    /// By what was found: `reached`, `silent`, `untried`.
    pub addresses: ByName,
    pub log_lines_lost: u64,
    pub alerts_pending: u64,
}

/// What the chain counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    pub own: u64,
    pub network: u64,
    pub collateral_fil: f64,
}

type F64 = Gauge<f64, AtomicU64>;
type Named = Vec<(&'static str, String)>;

/// A registry that figures are put into, each with its meaning.
struct Text(Registry);

impl Text {
    fn gauge(&mut self, name: &str, meaning: &str, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            let gauge = F64::default();
            gauge.set(value);
            self.0.register(name, meaning, gauge);
        }
    }

    fn in_unit(&mut self, name: &str, unit: Unit, meaning: &str, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            let gauge = F64::default();
            gauge.set(value);
            self.0.register_with_unit(name, meaning, unit, gauge);
        }
    }

    fn gauges(&mut self, name: &str, label: &'static str, meaning: &str, values: &ByName) {
        let family = Family::<Named, F64>::default();
        for (of, value) in values {
            family.get_or_create(&vec![(label, of.clone())]).set(*value);
        }
        self.0.register(name, meaning, family);
    }

    fn counter(&mut self, name: &str, meaning: &str, value: u64) {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        self.0.register(name, meaning, counter);
    }

    fn counters(&mut self, name: &str, label: &'static str, meaning: &str, values: &ByName) {
        let family = Family::<Named, Counter<f64, AtomicU64>>::default();
        for (of, value) in values {
            family.get_or_create(&vec![(label, of.clone())]).inc_by(*value);
        }
        self.0.register(name, meaning, family);
    }
}

fn float(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// The text; what cannot be written is left out, and nothing can.
pub fn text(figures: &Figures) -> String {
    let mut to = Text(Registry::with_prefix("sealdrop"));
    program(&mut to, figures);
    deals_and_sectors(&mut to, figures);
    proofs(&mut to, figures);
    machine_and_network(&mut to, figures);
    let mut written = String::new();
    // Writing to a text cannot fail.
    let _ = encode(&mut written, &to.0);
    written
}

fn program(to: &mut Text, now: &Figures) {
    to.gauges(
        "build",
        "version",
        "1, with the program's version",
        &vec![(now.version.clone(), 1.0)],
    );
    to.in_unit(
        "started",
        Unit::Seconds,
        "When the daemon started, in seconds since 1970",
        now.started,
    );
    to.gauge(
        "healthy",
        "1 while nothing is wrong, as /health says",
        flag(now.is_healthy),
    );
    to.gauge("problems", "What is wrong, counted", now.problems as f64);
    to.gauges("service_up", "service", "1 while the service runs", &now.services_up);
    to.counters(
        "service_restarts",
        "service",
        "How often the service ended by itself and was started again",
        &now.service_restarts,
    );
    to.counters(
        "service_panics",
        "service",
        "How often the service, or a task of it, panicked",
        &now.service_panics,
    );
    to.counter(
        "log_lines_lost",
        "Lines of the log that nobody took in time",
        now.log_lines_lost,
    );
    to.gauge(
        "alerts_pending",
        "Alerts that wait to be taken by the webhook",
        now.alerts_pending as f64,
    );
}

fn deals_and_sectors(to: &mut Text, now: &Figures) {
    to.gauges("deals", "state", "Deals by their state", &now.deals);
    to.gauges("sectors", "phase", "Sectors by their phase", &now.sectors);
    to.gauge("takes_deals", "1 while new deals are taken", flag(now.takes_deals));
    to.in_unit(
        "waiting",
        Unit::Bytes,
        "Bytes of accepted deals that are not sealed yet",
        float(now.waiting_bytes),
    );
    to.in_unit(
        "waiting_limit",
        Unit::Bytes,
        "The most that may wait before deals are refused",
        float(now.waiting_bytes_limit),
    );
    to.gauge(
        "waiting_deals",
        "Accepted deals that are not sealed yet",
        float(now.waiting_deals),
    );
    to.gauge("earned_fil", "What vouchers brought in so far, in FIL", now.earned_fil);
    to.gauges(
        "jobs_running",
        "step",
        "Steps of the prover that run",
        &now.jobs_running,
    );
    to.gauges(
        "jobs_waiting",
        "step",
        "Steps of the prover that wait",
        &now.jobs_waiting,
    );
}

fn proofs(to: &mut Text, now: &Figures) {
    to.gauge("chain_height", "Height of the newest block", now.chain_height as f64);
    to.in_unit(
        "power",
        Unit::Bytes,
        "Bytes of proven sectors",
        now.power.map(|power| power.own as f64),
    );
    to.in_unit(
        "network_power",
        Unit::Bytes,
        "The same of all miners",
        now.power.map(|power| power.network as f64),
    );
    to.gauge(
        "collateral_fil",
        "What sectors lock up, in FIL",
        now.power.map(|power| power.collateral_fil),
    );
    to.in_unit(
        "proof_expected",
        Unit::Seconds,
        "How long the next proof-of-spacetime is expected to take",
        now.proof_expected_seconds,
    );
    to.in_unit(
        "proof_window",
        Unit::Seconds,
        "How long there is for it",
        now.proof_window_seconds,
    );
    to.gauge(
        "last_proof_height",
        "Height of the block of the last proof-of-spacetime",
        now.last_proof_height.map(|height| height as f64),
    );
    to.gauge(
        "damage",
        "Damaged copies and replicas that are not mended",
        float(now.damage),
    );
}

fn machine_and_network(to: &mut Text, now: &Figures) {
    to.in_unit(
        "disk_free",
        Unit::Bytes,
        "Free room where the data lies",
        float(now.disk_free),
    );
    to.in_unit("disk_total", Unit::Bytes, "Size of that disk", float(now.disk_total));
    to.in_unit(
        "memory_available",
        Unit::Bytes,
        "Memory that a process may take",
        float(now.memory_available),
    );
    to.in_unit(
        "memory_own",
        Unit::Bytes,
        "Memory that the daemon holds, its proofs' processes left out",
        float(now.memory_own),
    );
    to.gauge(
        "connections",
        "Connections of peers over libp2p",
        now.connections as f64,
    );
    to.counters(
        "refused",
        "limit",
        "What was refused to peers, by the limit (shared/docs/limits.md)",
        &now.refused,
    );
    to.gauges(
        "addresses",
        "found",
        "Advertised addresses by whether they answer",
        &now.addresses,
    );
}

#[cfg(test)]
mod tests;
