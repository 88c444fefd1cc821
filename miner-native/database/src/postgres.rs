//! PostgreSQL: the same tables of ordered records, in a schema of a server's database that other machines reach, too.
//!
//! A transaction is on the server's disk when [`Store::change`] returns (`synchronous_commit` stays as the server has it, which is on). All
//! are serializable: what others change at the same time makes one of the two begin anew. A server that is started again, or is gone for a
//! moment, is waited for; a commit of which nothing was heard is looked up by its number before anything is done twice
//! ([`session`]). Whoever opens records that belong to one process alone ([`Sharing::Alone`]) takes a higher number than everybody before: each
//! transaction of another then fails, also of one that was thought dead and is not.

pub mod jobs;
mod opening;
mod session;
#[cfg(test)]
mod tests;
mod tls;

use super::{blocking, Changes, DatabaseError, Entry, Order, Records, Schema, Sharing, Store, Table};
use session::{Outcome, Session};
use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connections for reading: a long list does not hold up a short question.
const READERS: usize = 2;
/// How long a server that is gone is waited for, and the pause between two tries.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// How long a transaction may wait for its next statement.
const IDLE: Duration = Duration::from_secs(20);
/// How often a transaction begins anew because of others'.
const MOST_TRIES: u32 = 50;

/// Records in a schema of a PostgreSQL database.
pub struct Postgres {
    place: Place,
    /// Which opening of records that belong to one process this is.
    owner: Option<i64>,
    writer: Mutex<Session>,
    readers: Mutex<Vec<Session>>,
    reader_free: Condvar,
}

/// Where the records are.
#[derive(Clone)]
struct Place {
    config: postgres::Config,
    /// How it is spoken to where its URL asks for TLS.
    tls: Option<MakeRustlsConnect>,
    /// The name of the server's schema.
    space: String,
    /// For people, without the password.
    shown: PathBuf,
}

impl Place {
    /// A connection that the server ends when its machine loses power within a transaction: whoever follows would wait for that one's locks, for hours
    /// by the usual settings of a server.
    fn connect(&self) -> Result<postgres::Client, postgres::Error> {
        let mut client = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(postgres::NoTls),
        }?;
        let (idle, statement) = (IDLE.as_secs(), PATIENCE.as_secs() / 2);
        client.batch_execute(&format!(
            "SET idle_in_transaction_session_timeout = '{idle}s'; SET statement_timeout = '{statement}s'"
        ))?;
        Ok(client)
    }
}

impl Postgres {
    /// Opens the records in the schema `space` of the database that `url` names (`postgres://user@host/database`, or as `libpq` has it:
    /// `host=… user=… dbname=…`), made when they are not there, and brings them to the schema's format.
    pub fn open(url: &str, space: &str, schema: &Schema, sharing: Sharing) -> Result<Self, DatabaseError> {
        blocking(|| Self::open_now(url, space, schema, sharing))
    }

    fn open_now(url: &str, space: &str, schema: &Schema, sharing: Sharing) -> Result<Self, DatabaseError> {
        let place = opening::place(url, space)?;
        let mut writer = Session::new(place.clone());
        let owner = opening::bring_up(&mut writer, &place, schema, sharing)?;
        let readers = (0..READERS).map(|_| Session::new(place.clone())).collect();
        Ok(Self {
            place,
            owner,
            writer: Mutex::new(writer),
            readers: Mutex::new(readers),
            reader_free: Condvar::new(),
        })
    }

    /// Where the records are, for people, without a password.
    pub fn shown(&self) -> String {
        self.place.shown.display().to_string()
    }

    /// What a URL names, for people, without a password; fails when it is none.
    pub fn shown_url(url: &str) -> Result<String, DatabaseError> {
        Ok(opening::place(url, "x")?
            .shown
            .display()
            .to_string()
            .trim_end_matches(" x")
            .to_owned())
    }

    fn take_reader(&self) -> Session {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(reader) = readers.pop() {
                return reader;
            }
            readers = self.reader_free.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, reader: Session) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        self.reader_free.notify_one();
    }

    fn view_once(&self, session: &mut Session, work: &mut dyn FnMut(&dyn Records)) -> Result<Outcome, DatabaseError> {
        session.begin(session::READ)?;
        let view = View::of(session);
        let done = catch_unwind(AssertUnwindSafe(|| work(&view)));
        let fault = view.fault.take();
        // Nothing was changed.
        session.roll_back();
        match (done, fault) {
            (Err(panic), _) => resume_unwind(panic),
            (Ok(()), None) => Ok(Outcome::Done),
            (Ok(()), Some(fault)) => fault.outcome(),
        }
    }

    fn change_once(
        &self,
        session: &mut Session,
        work: &mut dyn FnMut(&dyn Changes) -> bool,
    ) -> Result<Outcome, DatabaseError> {
        session.begin(session::WRITE)?;
        match self.owner.map(|owner| (owner, session.owner())) {
            Some((owner, Ok(now))) if owner != now => {
                session.roll_back();
                let path = self.place.shown.clone();
                return Err(DatabaseError::InUse { path });
            }
            Some((_, Err(fault))) => {
                session.roll_back();
                return fault.outcome();
            }
            _ => {}
        }
        let view = View::of(session);
        let done = catch_unwind(AssertUnwindSafe(|| work(&view)));
        let fault = view.fault.take();
        let is_kept = match done {
            Ok(is_kept) => is_kept,
            Err(panic) => {
                session.roll_back();
                resume_unwind(panic);
            }
        };
        if let Some(fault) = fault {
            session.roll_back();
            return fault.outcome();
        }
        match is_kept {
            true => session.commit(),
            false => {
                session.roll_back();
                Ok(Outcome::Done)
            }
        }
    }
}

/// Tries until it is done, a while after the server went away, and so often when others are in the way.
fn insist(mut once: impl FnMut() -> Result<Outcome, DatabaseError>) -> Result<(), DatabaseError> {
    let (until, mut tries) = (Instant::now() + PATIENCE, 0);
    loop {
        match once()? {
            Outcome::Done => return Ok(()),
            Outcome::Conflict(reason) if tries >= MOST_TRIES => return Err(DatabaseError::Server { reason }),
            Outcome::Conflict(_) => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(u64::from(tries)));
            }
            Outcome::Away(reason) if Instant::now() > until => return Err(DatabaseError::Server { reason }),
            Outcome::Away(_) => std::thread::sleep(PAUSE),
        }
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("place", &self.place.shown)
            .field("space", &self.place.space)
            .finish_non_exhaustive()
    }
}

impl Store for Postgres {
    fn view(&self, work: &mut dyn FnMut(&dyn Records)) -> Result<(), DatabaseError> {
        blocking(|| {
            let mut reader = self.take_reader();
            let done = catch_unwind(AssertUnwindSafe(|| insist(|| self.view_once(&mut reader, work))));
            // Also after a panic: who reads next would wait for ever.
            self.give_back(reader);
            done.unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn change(&self, work: &mut dyn FnMut(&dyn Changes) -> bool) -> Result<(), DatabaseError> {
        blocking(|| {
            // Whole after a panic: the next transaction begins on a connection that is rolled back, or on a new one.
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            insist(|| self.change_once(&mut writer, work))
        })
    }
}

/// Records through a session that is in a transaction.
struct View<'a> {
    session: RefCell<&'a mut Session>,
    /// The first fault: after it the server refuses everything until the transaction is rolled back.
    fault: Cell<Option<session::Fault>>,
}

impl<'a> View<'a> {
    fn of(session: &'a mut Session) -> Self {
        Self {
            session: RefCell::new(session),
            fault: Cell::new(None),
        }
    }

    fn ask<T>(&self, work: impl FnOnce(&mut Session) -> Result<T, session::Fault>) -> Result<T, DatabaseError> {
        work(&mut self.session.borrow_mut()).map_err(|fault| {
            let error = DatabaseError::Server {
                reason: fault.to_string(),
            };
            let first = self.fault.take().unwrap_or(fault);
            self.fault.set(Some(first));
            error
        })
    }
}

impl Records for View<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError> {
        self.ask(|session| session.get(table, key))
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        most: usize,
    ) -> Result<Vec<Entry>, DatabaseError> {
        self.ask(|session| session.range(table, from, to, order, most))
    }
}

impl Changes for View<'_> {
    fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), DatabaseError> {
        self.ask(|session| session.put(table, key, value))
    }

    fn remove(&self, table: Table, key: &[u8]) -> Result<(), DatabaseError> {
        self.ask(|session| session.remove(table, key))
    }
}
