//! What whoever posts jobs does: post them, wait for what comes of them, and take them away.

use super::{number, Ended, Fault, Jobs, NewJob, LEASE_OF_FILES, MOST_LOSSES};
use crate::DatabaseError;
use std::time::Duration;

/// How long a job is kept for the machine that holds its sector's files.
const PREFERENCE: Duration = Duration::from_secs(60);
/// What is remembered of jobs that ended.
const HISTORY: i64 = 10_000;
/// What came of a job that does not stick, and says nothing of where the sector's files are.
const APART: &str = "done apart";
/// How often whoever waits looks for itself, whatever it was told.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Jobs {
    /// Posts a job; one that is there already stays as it is. Returns its number, or `None` when somebody else leads by
    /// now.
    pub fn post(&self, job: &NewJob) -> Result<Option<i64>, DatabaseError> {
        let sector = job.sector.map(number);
        let (preference, lease) = (PREFERENCE.as_secs_f64(), job.lease.as_secs_f64());
        let posted = self.ask_leading(|session| {
            let [jobs, history, released] = ["jobs", "job_history", "released"].map(|name| session.quoted(name));
            // Whoever was at the sector's files must have come to rest before the next one is.
            let query = format!(
                "WITH last AS (SELECT CASE WHEN outcome = 'done' THEN machine END AS machine FROM {history} WHERE sector = $4 AND outcome <> '{APART}' ORDER BY id DESC LIMIT 1),
                 needed AS (DELETE FROM {released} WHERE sector = $4),
                 others AS (DELETE FROM {jobs} WHERE sector = $4 AND key <> $1 RETURNING greatest(lease_until, not_before) AS rests),
                 made AS (INSERT INTO {jobs} (key, kind, rank, sector, input, prefers, preferred_until, not_before, lease_s)
                   VALUES ($1, $2, $3, $4, $5, (SELECT machine FROM last WHERE $7), CASE WHEN $7 THEN now() + make_interval(secs => $6) END,
                     greatest(now(), (SELECT max(rests) FROM others)), $8)
                   ON CONFLICT (key) DO UPDATE SET not_before = greatest({jobs}.not_before, (SELECT max(rests) FROM others)) RETURNING id)
                 SELECT id FROM made"
            );
            let client = session.client()?;
            let row = client
                .query_one(&query, &[&job.key, &job.kind, &job.rank, &sector, &job.input, &preference, &job.sticks, &lease])
                .map_err(Fault::of)?;
            session.tell("posted")?;
            Ok(row.get(0))
        })?;
        Ok(posted)
    }

    /// What a job ended with; none while it goes on. A job whose machines fell silent too often ends here.
    pub fn result(&self, id: i64) -> Result<Option<Ended>, DatabaseError> {
        self.ask(|session| {
            let jobs = session.quoted("jobs");
            let query = format!(
                "SELECT output, failure, lost + (holder IS NOT NULL AND ended_at IS NULL AND lease_until < now())::integer FROM {jobs} WHERE id = $1"
            );
            let Some(row) = session.client()?.query_opt(&query, &[&id]).map_err(Fault::of)? else {
                return Ok(Some(Ended::Gone));
            };
            let lost: i32 = row.get(2);
            Ok(match (row.get(0), row.get(1)) {
                (Some(output), _) => Some(Ended::Done(output)),
                (None, Some(failure)) => Some(Ended::Failed(failure)),
                (None, None) if lost >= MOST_LOSSES => Some(Ended::Lost(lost.unsigned_abs())),
                (None, None) => None,
            })
        })
    }

    /// Waits for a job's end until `until` says that nobody waits any more. Blocks its thread.
    pub fn wait(&self, id: i64, until: impl Fn() -> bool) -> Result<Option<Ended>, DatabaseError> {
        let ear = self.inner.bell.listen(id);
        loop {
            if until() {
                return Ok(None);
            }
            if let Some(ended) = self.result(id)? {
                return Ok(Some(ended));
            }
            ear.wait(LOOK_EVERY);
        }
    }

    /// Takes a job away, whatever it is at, and remembers what came of it.
    pub fn remove(&self, id: i64) -> Result<(), DatabaseError> {
        self.ask(|session| {
            let (jobs, history) = (session.quoted("jobs"), session.quoted("job_history"));
            let query = format!(
                "WITH gone AS (DELETE FROM {jobs} WHERE id = $1 RETURNING *)
                 INSERT INTO {history} (job, key, kind, sector, machine, attempts, lost, posted_at, begun_at, ended_at, outcome)
                 SELECT id, key, kind, sector, holder, attempts, lost, posted_at, begun_at, coalesce(ended_at, now()),
                   CASE WHEN output IS NOT NULL AND preferred_until IS NULL THEN '{APART}' WHEN output IS NOT NULL THEN 'done' WHEN failure IS NOT NULL THEN 'failed' ELSE 'given up' END FROM gone RETURNING id"
            );
            let kept = session.client()?.query_opt(&query, &[&id]).map_err(Fault::of)?;
            // What is old goes now and then.
            let last: i64 = kept.map_or(0, |row| row.get(0));
            if last % 256 == 0 && last > HISTORY {
                let query = format!("DELETE FROM {history} WHERE id <= $1");
                session.client()?.execute(&query, &[&(last - HISTORY)]).map_err(Fault::of)?;
            }
            Ok(())
        })
    }

    /// Ends all jobs of a sector; how long whoever held one may be at its files still. Asked again, it says what is
    /// left of that.
    pub fn cancel(&self, sector: u64) -> Result<Duration, DatabaseError> {
        let sector = number(sector);
        let left = self.ask_leading(|session| {
            let jobs = session.quoted("jobs");
            let client = session.client()?;
            let query = format!(
                "UPDATE {jobs} SET kind = '', holder = NULL, fence = fence + 1, not_before = greatest(not_before, lease_until), lease_until = NULL
                 WHERE sector = $1 AND kind <> ''"
            );
            client.execute(&query, &[&sector]).map_err(Fault::of)?;
            let query = format!("DELETE FROM {jobs} WHERE sector = $1 AND kind = '' AND not_before <= now()");
            client.execute(&query, &[&sector]).map_err(Fault::of)?;
            let query = format!(
                "SELECT coalesce(extract(epoch FROM max(not_before) - now()), 0)::double precision FROM {jobs} WHERE sector = $1"
            );
            let row = client.query_one(&query, &[&sector]).map_err(Fault::of)?;
            Ok(Duration::from_secs_f64(row.get::<_, f64>(0).max(0.0)))
        })?;
        Ok(left.unwrap_or(LEASE_OF_FILES))
    }

    /// Takes away all jobs of no sector, whoever holds them: they change no files, and are wanted for a moment only.
    pub fn remove_of_no_sector(&self) -> Result<(), DatabaseError> {
        let removed = self.ask_leading(|session| {
            let query = format!("DELETE FROM {} WHERE sector IS NULL", session.quoted("jobs"));
            session.client()?.execute(&query, &[]).map(drop).map_err(Fault::of)
        });
        removed.map(drop)
    }

    /// Takes away what nobody holds and nobody rests from, and all jobs of no sector: whoever posted them is gone, and what is wanted still is
    /// posted again.
    pub fn clear(&self) -> Result<(), DatabaseError> {
        let cleared = self.ask_leading(|session| {
            let query = format!(
                "DELETE FROM {} WHERE sector IS NULL OR (holder IS NULL OR ended_at IS NOT NULL OR lease_until < now()) AND not_before <= now()",
                session.quoted("jobs")
            );
            session.client()?.execute(&query, &[]).map(drop).map_err(Fault::of)
        });
        cleared.map(drop)
    }
}
