//! Work that machines share: jobs as rows of a table, taken for a time.
//!
//! Whoever takes a job holds it by a lease of [`LEASE`], which [`Jobs::beat`] renews, and by a number that grows each time the job is taken. A machine
//! that falls silent loses its jobs to others; what it says of them afterwards is refused by that number, so that a job has one result. A job is
//! posted under a key, so that posting it twice, before and after a crash, is posting it once; its result stays until whoever posted it takes it away.
//! All times are the server's: no machine's clock matters.
//!
//! `apalis` and `graphile_worker` were looked at: both return the jobs of the dead, and neither refuses what the dead write later in every step, nor
//! knows what a machine has and which one holds a sector's files; both bring `sqlx` beside the client that is here already.
//!
//! Which of the waiting jobs a machine may take is not decided here: it is shown them by [`Jobs::open`] and names those that it has room for.

mod bell;
mod leading;
#[cfg(test)]
mod tests;

pub use leading::Leadership;

use super::opening;
use super::session::{Fault, Session};
use super::{Place, PATIENCE, PAUSE};
use crate::{blocking, DatabaseError};
use bell::Bell;
use postgres::Row;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a job is held after the last sign of life of whoever took it.
pub const LEASE: Duration = Duration::from_secs(60);
/// The same of a job that changes files, which must have come to rest before another machine is at them.
pub const LEASE_OF_FILES: Duration = Duration::from_secs(180);
/// How often whoever holds jobs gives one.
pub const BEAT: Duration = Duration::from_secs(5);
/// After this time without an answer of the server a machine takes its jobs for lost, before others can have them.
pub const SILENCE: Duration = Duration::from_secs(120);
/// How long the server is waited for by a sign of life.
const BEAT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a job is kept for the machine that holds its sector's files.
const PREFERENCE: Duration = Duration::from_secs(60);
/// How often a job is lost with the machine that had it before it counts as failed ([`FREE`] says the same).
const MOST_LOSSES: i32 = 5;
/// Pauses between two tries of a job that nobody could do: doubled each time, up to the second.
const FIRST_PAUSE_S: f64 = 1.0;
const LONGEST_PAUSE_S: f64 = 300.0;
/// Which jobs may be taken.
const FREE: &str =
    "ended_at IS NULL AND (holder IS NULL OR lease_until < now()) AND lost + (holder IS NOT NULL)::integer < 5";
/// Jobs that a machine is shown.
const SHOWN: i64 = 64;
/// What is remembered of jobs that ended.
const HISTORY: i64 = 10_000;
/// How often whoever waits looks for itself, whatever it was told.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The jobs of one schema of a server.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
    /// Who posts: nobody else's word counts while it leads.
    leads: Option<Arc<Leadership>>,
}

struct Inner {
    place: Place,
    session: Mutex<Session>,
    /// For signs of life alone, which wait for nothing else.
    beats: Mutex<Session>,
    bell: Bell,
}

/// Work to be done.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'a> {
    /// What it is for: the same key is the same job.
    pub key: &'a str,
    pub kind: &'a str,
    /// Lower goes first.
    pub rank: i16,
    /// Other jobs of the same sector are over with this one: nobody wants them any more.
    pub sector: Option<u64>,
    /// Whether the machine that did the sector's last job has it for itself at first.
    pub sticks: bool,
    /// How long it is held after a sign of life: [`LEASE`] or [`LEASE_OF_FILES`].
    pub lease: Duration,
    pub input: &'a [u8],
}

/// A job that waits for a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenJob {
    pub id: i64,
    pub kind: String,
    pub sector: Option<u64>,
}

/// A job that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub id: i64,
    /// Grows each time that the job is taken.
    pub fence: i64,
    /// How often it was taken, this time too.
    pub attempts: u32,
    pub kind: String,
    pub sector: Option<u64>,
    pub input: Vec<u8>,
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done(Vec<u8>),
    /// It cannot be done; what the machine says of it.
    Failed(Vec<u8>),
    /// It was not begun, or there was no room for it: another machine, or the same one later.
    NotNow(String),
    /// The machine is being stopped, and so is the job with it: it counts for nothing. A thread may be at it for so long still.
    Stopped(Duration),
}

/// Whether a result was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Kept,
    /// The job was taken from this machine meanwhile, or nobody wants it any more: the result is worth nothing.
    Lost,
}

/// What a job ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Done(Vec<u8>),
    Failed(Vec<u8>),
    /// Each machine that had it fell silent: so often.
    Lost(u32),
    /// Somebody took it away: it is posted again if it is wanted still.
    Gone,
}

/// A machine as it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// A name that no other machine has.
    pub name: String,
    pub cores: u64,
    /// Bytes of memory for jobs.
    pub memory: u64,
    /// The kinds of jobs that it takes.
    pub kinds: Vec<String>,
    pub version: String,
}

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
}

impl Jobs {
    /// Opens the jobs in the schema `space` of the database that `url` names, made when they are not there.
    pub fn at(url: &str, space: &str) -> Result<Self, DatabaseError> {
        blocking(|| {
            let place = opening::place(url, space)?;
            let mut session = Session::new(place.clone());
            let sql = tables(&session);
            opening::make_tables(&mut session, &place, &sql)?;
            let bell = Bell::hang(place.clone());
            let inner = Inner {
                beats: Mutex::new(Session::new(place.clone())),
                place,
                session: Mutex::new(session),
                bell,
            };
            Ok(Self {
                inner: Arc::new(inner),
                leads: None,
            })
        })
    }

    /// Where they are, for people, without a password.
    pub fn shown(&self) -> String {
        self.inner.place.shown.display().to_string()
    }

    /// The same, for whoever leads: it posts and takes away only for as long as it does.
    pub fn led_by(&self, leads: Arc<Leadership>) -> Self {
        let leads = Some(leads);
        Self { leads, ..self.clone() }
    }

    /// Does `work` in a transaction in which nobody else begins to lead; `None` when somebody else does already.
    fn ask_leading<T>(
        &self,
        mut work: impl FnMut(&mut Session) -> Result<T, Fault>,
    ) -> Result<Option<T>, DatabaseError> {
        self.ask(|session| {
            let Some(leads) = &self.leads else {
                return work(session).map(Some);
            };
            let leases = session.quoted("leases");
            let query = format!("SELECT 1 FROM {leases} WHERE name = $1 AND holder = $2 AND fence = $3 FOR SHARE");
            let client = session.client()?;
            client.batch_execute("BEGIN").map_err(Fault::of)?;
            let found = client
                .query_opt(&query, &[&leads.name, &leads.holder, &leads.fence])
                .map_err(Fault::of)?;
            let done = match found {
                Some(_) => Some(work(session)?),
                None => None,
            };
            session.client()?.batch_execute("COMMIT").map_err(Fault::of)?;
            Ok(done)
        })
    }

    /// Posts a job; one that is there already stays as it is. Returns its number, or `None` when somebody else leads by now.
    pub fn post(&self, job: &NewJob) -> Result<Option<i64>, DatabaseError> {
        let sector = job.sector.map(number);
        let (preference, lease) = (PREFERENCE.as_secs_f64(), job.lease.as_secs_f64());
        let posted = self.ask_leading(|session| {
            let (jobs, history) = (session.quoted("jobs"), session.quoted("job_history"));
            // Whoever was at the sector's files must have come to rest before the next one is.
            let query = format!(
                "WITH last AS (SELECT machine FROM {history} WHERE sector = $4 AND machine IS NOT NULL AND outcome = 'done' ORDER BY id DESC LIMIT 1),
                 others AS (DELETE FROM {jobs} WHERE sector = $4 AND key <> $1 RETURNING greatest(lease_until, not_before) AS rests),
                 made AS (INSERT INTO {jobs} (key, kind, rank, sector, input, prefers, preferred_until, not_before, lease_s)
                   VALUES ($1, $2, $3, $4, $5, (SELECT machine FROM last WHERE $7), now() + make_interval(secs => $6),
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

    /// The jobs of these kinds that `machine` may take, the first first; at most so many as one look needs.
    pub fn open(&self, machine: &str, kinds: &[&str]) -> Result<Vec<OpenJob>, DatabaseError> {
        self.ask(|session| {
            let jobs = session.quoted("jobs");
            let query = format!(
                "SELECT id, kind, sector FROM {jobs}
                 WHERE {FREE} AND not_before <= now() AND kind = ANY($1)
                   AND (prefers IS NULL OR prefers = $2 OR preferred_until < now())
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
                 UPDATE {jobs} SET lost = lost + (holder IS NOT NULL)::integer, holder = $2, fence = fence + 1, attempts = attempts + 1,
                   begun_at = now(), lease_until = now() + make_interval(secs => lease_s)
                 FROM next WHERE {jobs}.id = next.id
                 RETURNING {jobs}.id, fence, kind, sector, input, attempts"
            );
            let taken = session.client()?.query_opt(&query, &[&ids, &machine]).map_err(Fault::of)?;
            Ok(taken.map(|row| claimed(&row)))
        })
    }

    /// A sign of life: says what the machine is, renews the leases of what it holds, and returns the jobs that are still its own.
    pub fn beat(&self, machine: &Machine, held: &[(i64, i64)]) -> Result<Vec<i64>, DatabaseError> {
        let (ids, fences): (Vec<i64>, Vec<i64>) = held.iter().copied().unzip();
        let (cores, memory) = (number(machine.cores), number(machine.memory));
        self.ask_of(&self.inner.beats, BEAT_PATIENCE, &mut |session| {
            let (jobs, machines) = (session.quoted("jobs"), session.quoted("machines"));
            let query = format!(
                "WITH seen AS (INSERT INTO {machines} (name, cores, memory, version, kinds, seen_at) VALUES ($1, $2, $3, $4, $7, now())
                   ON CONFLICT (name) DO UPDATE SET cores = $2, memory = $3, version = $4, kinds = $7, seen_at = now()),
                 held AS (SELECT * FROM unnest($5::bigint[], $6::bigint[]) AS t(id, fence))
                 UPDATE {jobs} SET lease_until = now() + make_interval(secs => lease_s) FROM held
                 WHERE {jobs}.id = held.id AND {jobs}.fence = held.fence AND holder = $1 AND ended_at IS NULL RETURNING {jobs}.id"
            );
            let rows = session
                .client()?
                .query(&query, &[&machine.name, &cores, &memory, &machine.version, &ids,
                        &fences,
                        &machine.kinds])
                .map_err(Fault::of)?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }

    /// Says what came of a job. Twice is harmless.
    pub fn end(&self, machine: &str, claim: &Claim, outcome: &Outcome) -> Result<Verdict, DatabaseError> {
        let (output, failure, reason) = match outcome {
            Outcome::Done(output) => (Some(output), None, None),
            Outcome::Failed(failure) => (None, Some(failure), None),
            Outcome::NotNow(reason) => (None, None, Some(reason)),
            Outcome::Stopped(_) => (None, None, None),
        };
        self.ask(|session| {
            let jobs = session.quoted("jobs");
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
                        "UPDATE {jobs} SET holder = NULL, lease_until = NULL, prefers = NULL, reason = $4,
                           not_before = now() + make_interval(secs => least({FIRST_PAUSE_S} * power(2, least(attempts, 16)), {LONGEST_PAUSE_S}))
                         WHERE id = $1 AND fence = $2 AND holder = $3 AND ended_at IS NULL"
                    );
                    let client = session.client()?;
                    client.execute(&query, &[&claim.id, &claim.fence, &machine, reason]).map_err(Fault::of)?
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

    /// Grows with whatever may be work: taken before a look, it keeps [`Jobs::wait_for_work`] from missing what came during it.
    pub fn ticket(&self) -> u64 {
        self.inner.bell.ticket()
    }

    /// Waits until jobs were posted or freed since the ticket was taken, or for `most`. Blocks its thread.
    pub fn wait_for_work(&self, ticket: u64, most: Duration) {
        self.inner.bell.wait_for_work(ticket, most);
    }

    /// Takes a job away, whatever it is at, and remembers what came of it.
    pub fn remove(&self, id: i64) -> Result<(), DatabaseError> {
        self.ask(|session| {
            let (jobs, history) = (session.quoted("jobs"), session.quoted("job_history"));
            let query = format!(
                "WITH gone AS (DELETE FROM {jobs} WHERE id = $1 RETURNING *)
                 INSERT INTO {history} (job, key, kind, sector, machine, attempts, lost, posted_at, begun_at, ended_at, outcome)
                 SELECT id, key, kind, sector, holder, attempts, lost, posted_at, begun_at, coalesce(ended_at, now()),
                   CASE WHEN output IS NOT NULL THEN 'done' WHEN failure IS NOT NULL THEN 'failed' ELSE 'given up' END FROM gone RETURNING id"
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

    /// Ends all jobs of a sector; how long whoever held one may be at its files still. Asked again, it says what is left of that.
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

    /// Takes away what nobody holds and nobody rests from: whoever posted it is gone, and what is wanted still is posted again.
    pub fn clear(&self) -> Result<(), DatabaseError> {
        let cleared = self.ask_leading(|session| {
            let query = format!(
                "DELETE FROM {} WHERE (holder IS NULL OR ended_at IS NOT NULL OR lease_until < now()) AND not_before <= now()",
                session.quoted("jobs")
            );
            session.client()?.execute(&query, &[]).map(drop).map_err(Fault::of)
        });
        cleared.map(drop)
    }

    /// Says something that all machines have to know, unless it was said before; what is so then.
    pub fn say_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, DatabaseError> {
        self.ask(|session| {
            let facts = session.quoted("facts");
            let query = format!("INSERT INTO {facts} VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = {facts}.value RETURNING value");
            let row = session.client()?.query_one(&query, &[&name, &value]).map_err(Fault::of)?;
            Ok(row.get(0))
        })
    }

    /// Says something that all machines have to know, in place of what was said before.
    pub fn say(&self, name: &str, value: &[u8]) -> Result<(), DatabaseError> {
        self.ask(|session| {
            let facts = session.quoted("facts");
            let query = format!("INSERT INTO {facts} VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2");
            session
                .client()?
                .execute(&query, &[&name, &value])
                .map(drop)
                .map_err(Fault::of)
        })
    }

    /// What was said under a name.
    pub fn said(&self, name: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        self.ask(|session| {
            let query = format!("SELECT value FROM {} WHERE name = $1", session.quoted("facts"));
            let found = session.client()?.query_opt(&query, &[&name]).map_err(Fault::of)?;
            Ok(found.map(|row| row.get(0)))
        })
    }

    /// All jobs that are there, the first first.
    pub fn list(&self, most: u32) -> Result<Vec<JobView>, DatabaseError> {
        self.ask(|session| {
            let jobs = session.quoted("jobs");
            let query = format!(
                "SELECT id, kind, sector, CASE WHEN lease_until >= now() THEN holder END, (extract(epoch FROM begun_at) * 1000)::bigint,
                   (extract(epoch FROM now() - posted_at) * 1000)::bigint, attempts, reason FROM {jobs} WHERE ended_at IS NULL
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
                "SELECT name, cores, memory, version, kinds, (extract(epoch FROM now() - seen_at) * 1000)::bigint,
                   (SELECT count(*) FROM {jobs} WHERE holder = name AND ended_at IS NULL AND lease_until >= now())
                 FROM {machines} WHERE seen_at > now() - interval '1 day' ORDER BY name"
            );
            let rows = session.client()?.query(&query, &[]).map_err(Fault::of)?;
            Ok(rows.iter().map(machine_view).collect())
        })
    }

    /// Asks once, and again while the server is away; what is asked here may be asked twice.
    fn ask<T>(&self, mut work: impl FnMut(&mut Session) -> Result<T, Fault>) -> Result<T, DatabaseError> {
        self.ask_of(&self.inner.session, PATIENCE, &mut work)
    }

    /// The same by one of the sessions, for so long.
    fn ask_of<T>(
        &self,
        session: &Mutex<Session>,
        patience: Duration,
        work: &mut dyn FnMut(&mut Session) -> Result<T, Fault>,
    ) -> Result<T, DatabaseError> {
        blocking(|| {
            let until = Instant::now() + patience;
            loop {
                let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
                let fault = match work(&mut session) {
                    Ok(answer) => return Ok(answer),
                    Err(fault) => fault,
                };
                // It may have been in a transaction.
                session.roll_back();
                drop(session);
                if !fault.is_passing() || Instant::now() > until {
                    let reason = fault.to_string();
                    return Err(DatabaseError::Server { reason });
                }
                std::thread::sleep(PAUSE);
            }
        })
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Jobs").field(&self.inner.place.shown).finish()
    }
}

/// What the tables are made by; those that are there stay.
fn tables(session: &Session) -> String {
    let [jobs, history, machines, leases, facts] =
        ["jobs", "job_history", "machines", "leases", "facts"].map(|name| session.quoted(name));
    format!(
        "CREATE TABLE IF NOT EXISTS {jobs} (
           id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL UNIQUE, kind text NOT NULL, rank smallint NOT NULL,
           sector bigint, input bytea NOT NULL, output bytea, failure bytea,
           posted_at timestamptz NOT NULL DEFAULT now(), not_before timestamptz NOT NULL DEFAULT now(), begun_at timestamptz, ended_at timestamptz,
           prefers text, preferred_until timestamptz, holder text, fence bigint NOT NULL DEFAULT 0, lease_until timestamptz, lease_s double precision NOT NULL,
           attempts integer NOT NULL DEFAULT 0, lost integer NOT NULL DEFAULT 0, reason text);
         CREATE INDEX IF NOT EXISTS jobs_open ON {jobs} (rank, id) WHERE ended_at IS NULL;
         CREATE TABLE IF NOT EXISTS {history} (
           id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job bigint NOT NULL, key text NOT NULL, kind text NOT NULL, sector bigint,
           machine text, attempts integer NOT NULL, lost integer NOT NULL, posted_at timestamptz NOT NULL, begun_at timestamptz,
           ended_at timestamptz NOT NULL, outcome text NOT NULL);
         CREATE INDEX IF NOT EXISTS job_history_sector ON {history} (sector, id);
         CREATE TABLE IF NOT EXISTS {machines} (
           name text PRIMARY KEY, cores bigint NOT NULL, memory bigint NOT NULL, version text NOT NULL, kinds text[] NOT NULL, seen_at timestamptz NOT NULL);
         CREATE TABLE IF NOT EXISTS {leases} (
           name text PRIMARY KEY, holder text NOT NULL, fence bigint NOT NULL, until timestamptz NOT NULL);
         CREATE TABLE IF NOT EXISTS {facts} (name text PRIMARY KEY, value bytea NOT NULL);"
    )
}

/// A number as the server has it.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number that was given as [`number`] gives it.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn sector(row: &Row, at: usize) -> Option<u64> {
    row.get::<_, Option<i64>>(at).map(unsigned)
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
    }
}

fn machine_view(row: &Row) -> MachineView {
    MachineView {
        machine: Machine {
            name: row.get(0),
            cores: unsigned(row.get(1)),
            memory: unsigned(row.get(2)),
            version: row.get(3),
            kinds: row.get(4),
        },
        silent_ms: unsigned(row.get(5)),
        jobs: unsigned(row.get(6)),
    }
}
