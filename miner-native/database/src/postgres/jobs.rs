//! Work that machines share: jobs as rows of a table, taken for a time.
//!
//! Whoever takes a job holds it by a lease of [`LEASE`], which [`Jobs::beat`] renews, and by a number that grows each
//! time the job is taken. A machine that falls silent loses its jobs to others; what it says of them afterwards is
//! refused by that number, so that a job has one result. A job is posted under a key, so that posting it twice, before
//! and after a crash, is posting it once; its result stays until whoever posted it takes it away. All times are the
//! server's: no machine's clock matters.
//!
//! `apalis` and `graphile_worker` were looked at: both return the jobs of the dead, and neither refuses what the dead
//! write later in every step, nor knows what a machine has and which one holds a sector's files; both bring `sqlx`
//! beside the client that is here already.
//!
//! Which of the waiting jobs a machine may take is not decided here: it is shown them by [`Jobs::open`] and names those
//! that it has room for.

mod bell;
mod leading;
mod looking;
mod posting;
mod releasing;
mod showing;
mod taking;
#[cfg(test)]
mod tests;

pub use leading::Leadership;
pub use showing::{JobView, MachineView};

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
/// How often a job is lost with the machine that had it before it counts as failed ([`FREE`] says the same).
const MOST_LOSSES: i32 = 5;
/// Which jobs may be taken.
const FREE: &str =
    "ended_at IS NULL AND (holder IS NULL OR lease_until < now()) AND lost + (holder IS NOT NULL)::integer < 5";

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
    /// It was not begun, or there was no room for it: later, and where it stuck it sticks for a while.
    NotNow(String),
    /// What this machine has, or lacks, is at fault: another one.
    NotHere(String),
    /// The machine is being stopped, and so is the job with it: it counts for nothing. A thread may be at it for so
    /// long still.
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
    /// Where a sector's files stay on the machine: how long jobs that stick wait for it after its last sign of life.
    pub keeps: Option<Duration>,
    pub version: String,
}

impl Jobs {
    /// Opens the jobs in the schema `space` of the database that `url` names, made when they are not there.
    pub fn at(url: &str, space: &str) -> Result<Self, DatabaseError> {
        blocking(|| {
            let place = opening::place(url, space)?;
            let mut session = Session::new(place.clone());
            let sql = tables(&session);
            opening::make_tables(&mut session, &place, &sql)?;
            Ok(Self::of(place, session))
        })
    }

    /// Those that are there.
    fn of(place: Place, session: Session) -> Self {
        let inner = Inner {
            beats: Mutex::new(Session::new(place.clone())),
            bell: Bell::hang(place.clone()),
            place,
            session: Mutex::new(session),
        };
        Self {
            inner: Arc::new(inner),
            leads: None,
        }
    }

    /// The same jobs, for whoever leads: it posts and takes away only for as long as it does.
    pub fn led_by(&self, leads: Arc<Leadership>) -> Self {
        let leads = Some(leads);
        Self { leads, ..self.clone() }
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
    let [jobs, history, machines, leases, facts, released] =
        ["jobs", "job_history", "machines", "leases", "facts", "released"].map(|name| session.quoted(name));
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
         DO $$ BEGIN
           -- Asked first: to alter a table waits for whoever reads it, and all others wait behind that.
           IF NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = '{machines}'::regclass AND attname = 'keeps_s') THEN
             ALTER TABLE {machines} ADD COLUMN keeps_s double precision;
           END IF;
         END $$;
         CREATE TABLE IF NOT EXISTS {leases} (
           name text PRIMARY KEY, holder text NOT NULL, fence bigint NOT NULL, until timestamptz NOT NULL);
         CREATE TABLE IF NOT EXISTS {released} (sector bigint PRIMARY KEY);
         CREATE TABLE IF NOT EXISTS {facts} (name text PRIMARY KEY, value bytea NOT NULL);"
    )
}

/// Whether a job is kept for the machine that has its sector's files: for a while, and for as long as a machine said that its jobs wait for it.
fn is_kept(session: &Session) -> String {
    let machines = session.quoted("machines");
    format!(
        "EXISTS (SELECT 1 FROM {machines} WHERE name = prefers AND kind = ANY(kinds)
           AND greatest(preferred_until, seen_at + make_interval(secs => keeps_s)) > now())"
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
