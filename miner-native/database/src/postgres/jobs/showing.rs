//! Jobs and machines, for people.

use super::{is_kept, sector, unsigned, Fault, Jobs, Machine};
use crate::DatabaseError;
use postgres::Row;
use std::time::Duration;

/// A machine, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineView {
    pub machine: Machine,
    /// Since its last sign of life, in milliseconds.
    pub silent_ms: u64,
    /// Jobs that it holds.
    pub jobs: u64,
}

/// A job, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    pub id: i64,
    pub kind: String,
    pub sector: Option<u64>,
    /// Who holds it, and since when, in milliseconds since 1970; none when it waits.
    pub holder: Option<(String, u64)>,
    pub age_ms: u64,
    pub attempts: u32,
    /// Why the last try came to nothing.
    pub reason: Option<String>,
    /// The machine that it waits for, which has its sector's files.
    pub waits_for: Option<String>,
}

impl Jobs {
    /// All jobs that are there, the first first.
    pub fn list(&self, most: u32) -> Result<Vec<JobView>, DatabaseError> {
        self.ask(|session| {
            let (jobs, is_kept) = (session.quoted("jobs"), is_kept(session));
            let query = format!(
                "SELECT id, kind, sector, CASE WHEN lease_until >= now() THEN holder END, (extract(epoch FROM begun_at) * 1000)::bigint,
                   (extract(epoch FROM now() - posted_at) * 1000)::bigint, attempts, reason,
                   CASE WHEN {is_kept} THEN prefers END FROM {jobs} WHERE ended_at IS NULL
                 ORDER BY (holder IS NULL), rank, id LIMIT $1"
            );
            let rows = session.client()?.query(&query, &[&i64::from(most)]).map_err(Fault::of)?;
            Ok(rows.iter().map(job_view).collect())
        })
    }

    /// All machines that gave a sign of life within a day.
    pub fn machines(&self) -> Result<Vec<MachineView>, DatabaseError> {
        self.ask(|session| {
            let (jobs, machines) = (session.quoted("jobs"), session.quoted("machines"));
            let query = format!(
                "SELECT name, cores, memory, version, kinds, keeps_s, (extract(epoch FROM now() - seen_at) * 1000)::bigint,
                   (SELECT count(*) FROM {jobs} WHERE holder = name AND ended_at IS NULL AND lease_until >= now())
                 FROM {machines} WHERE seen_at > now() - interval '1 day' ORDER BY name"
            );
            let rows = session.client()?.query(&query, &[]).map_err(Fault::of)?;
            Ok(rows.iter().map(machine_view).collect())
        })
    }
}

fn job_view(row: &Row) -> JobView {
    let holder: Option<String> = row.get(3);
    let since: Option<i64> = row.get(4);
    JobView {
        id: row.get(0),
        kind: row.get(1),
        sector: sector(row, 2),
        holder: holder.map(|holder| (holder, since.map_or(0, unsigned))),
        age_ms: unsigned(row.get(5)),
        attempts: row.get::<_, i32>(6).unsigned_abs(),
        reason: row.get(7),
        waits_for: row.get(8),
    }
}

fn machine_view(row: &Row) -> MachineView {
    let keeps: Option<f64> = row.get(5);
    MachineView {
        machine: Machine {
            name: row.get(0),
            cores: unsigned(row.get(1)),
            memory: unsigned(row.get(2)),
            version: row.get(3),
            kinds: row.get(4),
            keeps: keeps.and_then(|keeps| Duration::try_from_secs_f64(keeps).ok()),
        },
        silent_ms: unsigned(row.get(6)),
        jobs: unsigned(row.get(7)),
    }
}
