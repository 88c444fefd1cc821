//! What a machine does: look for jobs, take them, give signs of life, and say what came of them.

use super::{is_kept, number, sector, Claim, Fault, Jobs, Machine, OpenJob, Outcome, Verdict, FREE};
use crate::DatabaseError;
use postgres::Row;
use std::time::Duration;

/// How long the server is waited for by a sign of life.
const BEAT_PATIENCE: Duration = Duration::from_secs(2);
/// Pauses between two tries of a job that nobody could do: doubled each time, up to the second.
const FIRST_PAUSE_S: f64 = 1.0;
const LONGEST_PAUSE_S: f64 = 300.0;
/// How often a job that sticks is put off before any machine may try it.
const MOST_WAITS: i32 = 8;
/// Jobs that a machine is shown.
const SHOWN: i64 = 64;

impl Jobs {
    /// The jobs of these kinds that `machine` may take, the first first; at most so many as one look needs.
    pub fn open(&self, machine: &str, kinds: &[&str]) -> Result<Vec<OpenJob>, DatabaseError> {
        self.ask(|session| {
            let (jobs, is_kept) = (session.quoted("jobs"), is_kept(session));
            let query = format!(
                "SELECT id, kind, sector FROM {jobs}
                 WHERE {FREE} AND not_before <= now() AND kind = ANY($1)
                   AND (prefers IS NULL OR prefers = $2 OR NOT {is_kept})
                 ORDER BY rank, id LIMIT {SHOWN}"
            );
            let rows = session
                .client()?
                .query(&query, &[&kinds, &machine])
                .map_err(Fault::of)?;
            Ok(rows.iter().map(open_job).collect())
        })
    }

    /// Takes the first of these jobs that nobody has taken meanwhile.
    pub fn claim(&self, machine: &str, ids: &[i64]) -> Result<Option<Claim>, DatabaseError> {
        self.ask(|session| {
            let jobs = session.quoted("jobs");
            let query = format!(
                "WITH next AS (SELECT id FROM {jobs} WHERE id = ANY($1) AND {FREE}
                   ORDER BY rank, id LIMIT 1 FOR UPDATE SKIP LOCKED)
                 UPDATE {jobs} SET lost = lost + (holder IS NOT NULL)::integer, prefers = CASE WHEN holder IS NULL THEN prefers END, holder = $2, fence = fence + 1, attempts = attempts + 1,
                   begun_at = now(), lease_until = now() + make_interval(secs => lease_s)
                 FROM next WHERE {jobs}.id = next.id
                 RETURNING {jobs}.id, fence, kind, sector, input, attempts"
            );
            let taken = session.client()?.query_opt(&query, &[&ids, &machine]).map_err(Fault::of)?;
            Ok(taken.map(|row| claimed(&row)))
        })
    }

    /// A sign of life: says what the machine is, renews the leases of what it holds, and returns the jobs that are
    /// still its own.
    pub fn beat(&self, machine: &Machine, held: &[(i64, i64)]) -> Result<Vec<i64>, DatabaseError> {
        let (ids, fences): (Vec<i64>, Vec<i64>) = held.iter().copied().unzip();
        let (cores, memory) = (number(machine.cores), number(machine.memory));
        self.ask_of(&self.inner.beats, BEAT_PATIENCE, &mut |session| {
            let (jobs, machines) = (session.quoted("jobs"), session.quoted("machines"));
            let query = format!(
                "WITH seen AS (INSERT INTO {machines} (name, cores, memory, version, kinds, keeps_s, seen_at) VALUES ($1, $2, $3, $4, $7, $8, now())
                   ON CONFLICT (name) DO UPDATE SET cores = $2, memory = $3, version = $4, kinds = $7, keeps_s = $8, seen_at = now()),
                 held AS (SELECT * FROM unnest($5::bigint[], $6::bigint[]) AS t(id, fence))
                 UPDATE {jobs} SET lease_until = now() + make_interval(secs => lease_s) FROM held
                 WHERE {jobs}.id = held.id AND {jobs}.fence = held.fence AND holder = $1 AND ended_at IS NULL RETURNING {jobs}.id"
            );
            let rows = session
                .client()?
                .query(
                    &query,
                    &[
                        &machine.name,
                        &cores,
                        &memory,
                        &machine.version,
                        &ids,
                        &fences,
                        &machine.kinds,
                        &machine.keeps.map(|keeps| keeps.as_secs_f64()),
                    ],
                )
                .map_err(Fault::of)?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }

    /// Says what came of a job. Twice is harmless.
    pub fn end(&self, machine: &str, claim: &Claim, outcome: &Outcome) -> Result<Verdict, DatabaseError> {
        let (output, failure, reason) = match outcome {
            Outcome::Done(output) => (Some(output), None, None),
            Outcome::Failed(failure) => (None, Some(failure), None),
            Outcome::NotNow(reason) | Outcome::NotHere(reason) => (None, None, Some(reason)),
            Outcome::Stopped(_) => (None, None, None),
        };
        self.ask(|session| {
            let (jobs, machines) = (session.quoted("jobs"), session.quoted("machines"));
            let changed = match (outcome, reason) {
                (Outcome::Stopped(rest), _) => {
                    let query = format!(
                        "UPDATE {jobs} SET holder = NULL, lease_until = NULL, attempts = attempts - 1, not_before = now() + make_interval(secs => $4)
                         WHERE id = $1 AND fence = $2 AND holder = $3 AND ended_at IS NULL"
                    );
                    let client = session.client()?;
                    client.execute(&query, &[&claim.id, &claim.fence, &machine, &rest.as_secs_f64()]).map_err(Fault::of)?
                }
                (_, Some(reason)) => {
                    let query = format!(
                        "UPDATE {jobs} SET holder = NULL, lease_until = NULL, reason = $4,
                           prefers = CASE WHEN NOT $5 THEN NULL WHEN preferred_until IS NOT NULL AND EXISTS (SELECT 1 FROM {machines} WHERE name = $3 AND keeps_s IS NOT NULL) THEN $3
                             WHEN attempts < {MOST_WAITS} THEN prefers END,
                           not_before = now() + make_interval(secs => least({FIRST_PAUSE_S} * power(2, least(attempts, 16)), {LONGEST_PAUSE_S}))
                         WHERE id = $1 AND fence = $2 AND holder = $3 AND ended_at IS NULL"
                    );
                    let client = session.client()?;
                    let sticks = matches!(outcome, Outcome::NotNow(_));
                    client
                        .execute(&query, &[&claim.id, &claim.fence, &machine, reason, &sticks])
                        .map_err(Fault::of)?
                }
                (_, None) => {
                    // One that has just this result already was answered, and the answer was lost.
                    let query = format!(
                        "UPDATE {jobs} SET output = $4, failure = $5, ended_at = coalesce(ended_at, now()), lease_until = NULL
                         WHERE id = $1 AND fence = $2 AND holder = $3
                           AND (ended_at IS NULL OR (output IS NOT DISTINCT FROM $4 AND failure IS NOT DISTINCT FROM $5))"
                    );
                    let client = session.client()?;
                    client
                        .execute(&query, &[&claim.id, &claim.fence, &machine, &output, &failure])
                        .map_err(Fault::of)?
                }
            };
            session.tell(&claim.id.to_string())?;
            Ok(if changed == 0 { Verdict::Lost } else { Verdict::Kept })
        })
    }

    /// Grows with whatever may be work: taken before a look, it keeps [`Jobs::wait_for_work`] from missing what came
    /// during it.
    pub fn ticket(&self) -> u64 {
        self.inner.bell.ticket()
    }

    /// Waits until jobs were posted or freed since the ticket was taken, or for `most`. Blocks its thread.
    pub fn wait_for_work(&self, ticket: u64, most: Duration) {
        self.inner.bell.wait_for_work(ticket, most);
    }
}

fn open_job(row: &Row) -> OpenJob {
    OpenJob {
        id: row.get(0),
        kind: row.get(1),
        sector: sector(row, 2),
    }
}

fn claimed(row: &Row) -> Claim {
    Claim {
        id: row.get(0),
        fence: row.get(1),
        kind: row.get(2),
        sector: sector(row, 3),
        input: row.get(4),
        attempts: row.get::<_, i32>(5).unsigned_abs(),
    }
}
