//! One connection to the server, made again when it breaks, with its prepared statements.

use super::Place;
use crate::{DatabaseError, Entry, Order, Table};
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, Statement};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How transactions begin.
pub(super) const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
pub(super) const WRITE: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";

/// What came of a transaction.
pub(super) enum Outcome {
    Done,
    /// Others were in the way: nothing is changed, and it begins anew. With the reason.
    Conflict(String),
    /// The server went away: nothing is changed, as far as it says. With the reason.
    Away(String),
}

/// Why a statement failed.
#[derive(Debug)]
pub(super) struct Fault(postgres::Error);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_db_error() {
            Some(said) => write!(f, "{}", said.message()),
            None => {
                write!(f, "{}", self.0)?;
                match std::error::Error::source(&self.0) {
                    Some(cause) => write!(f, ": {cause}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Fault {
    pub(super) fn of(error: postgres::Error) -> Self {
        Self(error)
    }

    /// What it means for the transaction.
    pub(super) fn outcome(self) -> Result<Outcome, DatabaseError> {
        let reason = self.to_string();
        match self {
            _ if self.is_conflict() => Ok(Outcome::Conflict(reason)),
            _ if self.is_away() => Ok(Outcome::Away(reason)),
            _ => Err(DatabaseError::Server { reason }),
        }
    }

    /// Whether it is worth asking again: others were in the way, or the server was.
    pub(super) fn is_passing(&self) -> bool {
        self.is_conflict() || self.is_away()
    }

    fn is_conflict(&self) -> bool {
        let code = self.0.code();
        code.is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }

    /// Whether the server ends, begins, or is not reached.
    pub(super) fn is_away(&self) -> bool {
        match self.0.code() {
            // What was not even asked, for lack of a password say, is no matter of time.
            None => {
                let cause = std::error::Error::source(&self.0).and_then(|cause| cause.downcast_ref::<std::io::Error>());
                // A certificate that is not trusted is none either.
                self.0.is_closed() || cause.is_some_and(|cause| cause.kind() != std::io::ErrorKind::InvalidData)
            }
            Some(code) => {
                let gone = [
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                    // It took the longest time that a statement may.
                    SqlState::QUERY_CANCELED,
                ];
                // The server ended a session that said nothing within a transaction, or for long.
                let slept = matches!(code.code(), "25P03" | "57P05");
                slept || gone.contains(code) || code.code().starts_with("08") || *code == SqlState::TOO_MANY_CONNECTIONS
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Get,
    Ascending { is_bounded: bool },
    Descending { is_bounded: bool },
    Put,
    Remove,
}

/// A connection.
pub(super) struct Session {
    place: Place,
    client: Option<Client>,
    statements: BTreeMap<(&'static str, Kind), Statement>,
}

/// Its end is waited for, which no async worker may do by itself.
impl Drop for Session {
    fn drop(&mut self) {
        let client = self.client.take();
        crate::blocking(|| drop(client));
    }
}

impl Session {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            client: None,
            statements: BTreeMap::new(),
        }
    }

    /// The connection, made when there is none.
    pub(super) fn client(&mut self) -> Result<&mut Client, Fault> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.forget();
            self.client = Some(self.place.connect().map_err(Fault)?);
        }
        Ok(self.client.as_mut().expect("it was made above"))
    }

    /// Has the next one made anew.
    fn forget(&mut self) {
        self.statements.clear();
        self.client = None;
    }

    /// Begins a transaction; a connection that broke meanwhile is made anew once.
    pub(super) fn begin(&mut self, how: &str) -> Result<(), DatabaseError> {
        let until = std::time::Instant::now() + super::PATIENCE;
        loop {
            let begun = self
                .client()
                .and_then(|client| client.batch_execute(how).map_err(Fault));
            match begun {
                Ok(()) => return Ok(()),
                Err(fault) if fault.is_away() && std::time::Instant::now() < until => {
                    self.forget();
                    std::thread::sleep(super::PAUSE);
                }
                Err(fault) => {
                    return Err(DatabaseError::Server {
                        reason: fault.to_string(),
                    })
                }
            }
        }
    }

    /// Gives the transaction up.
    pub(super) fn roll_back(&mut self) {
        let Some(client) = &mut self.client else { return };
        if client.batch_execute("ROLLBACK").is_err() {
            self.forget();
        }
    }

    /// Keeps what the transaction changed. When nothing is heard of that, the server is asked what became of it.
    pub(super) fn commit(&mut self) -> Result<Outcome, DatabaseError> {
        let number = match self.number() {
            Ok(number) => number,
            Err(fault) => {
                self.forget();
                return fault.outcome();
            }
        };
        let committed = self
            .client()
            .and_then(|client| client.batch_execute("COMMIT").map_err(Fault));
        match committed {
            Ok(()) => Ok(Outcome::Done),
            Err(fault) if fault.is_away() => {
                self.forget();
                self.outcome_of(number, fault)
            }
            Err(fault) => {
                self.roll_back();
                fault.outcome()
            }
        }
    }

    /// The transaction's number; none when it changed nothing.
    fn number(&mut self) -> Result<Option<String>, Fault> {
        let query = "SELECT pg_current_xact_id_if_assigned()::text";
        let row = self.client()?.query_one(query, &[]).map_err(Fault)?;
        Ok(row.get(0))
    }

    /// What became of a transaction whose commit was not answered.
    fn outcome_of(&mut self, number: Option<String>, fault: Fault) -> Result<Outcome, DatabaseError> {
        let Some(number) = number else {
            return Ok(Outcome::Done);
        };
        let until = std::time::Instant::now() + super::PATIENCE;
        loop {
            let asked = self.client().and_then(|client| {
                let query = "SELECT pg_xact_status($1::text::xid8)";
                let row = client.query_one(query, &[&number]).map_err(Fault)?;
                Ok(row.get::<_, Option<String>>(0))
            });
            match asked.as_ref().map(|status| status.as_deref()) {
                Ok(Some("committed")) => return Ok(Outcome::Done),
                Ok(Some("aborted")) => return Ok(Outcome::Away(fault.to_string())),
                // It is still at it, or not reached yet.
                Ok(Some(_)) | Err(_) if std::time::Instant::now() < until => std::thread::sleep(super::PAUSE),
                _ => {
                    return Err(DatabaseError::Server {
                        reason: format!("whether a change is kept is not known: {fault}"),
                    })
                }
            }
        }
    }

    /// Which opening these records belong to.
    pub(super) fn owner(&mut self) -> Result<i64, Fault> {
        let query = format!("SELECT owner FROM {}", self.quoted("sealdrop"));
        let row = self.client()?.query_one(&query, &[]).map_err(Fault)?;
        Ok(row.get(0))
    }

    pub(super) fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let statement = self.statement(table, Kind::Get)?;
        let found = self.client()?.query_opt(&statement, &[&key]).map_err(Fault)?;
        Ok(found.map(|row| row.get(0)))
    }

    pub(super) fn range(
        &mut self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        most: usize,
    ) -> Result<Vec<Entry>, Fault> {
        let is_bounded = to.is_some();
        let kind = match order {
            Order::Ascending => Kind::Ascending { is_bounded },
            Order::Descending => Kind::Descending { is_bounded },
        };
        let statement = self.statement(table, kind)?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let client = self.client()?;
        let rows = match to {
            Some(to) => client.query(&statement, &[&from, &most, &to]),
            None => client.query(&statement, &[&from, &most]),
        };
        let rows = rows.map_err(Fault)?;
        Ok(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    pub(super) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let statement = self.statement(table, Kind::Put)?;
        self.client()?
            .execute(&statement, &[&key, &value])
            .map(drop)
            .map_err(Fault)
    }

    pub(super) fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), Fault> {
        let statement = self.statement(table, Kind::Remove)?;
        self.client()?.execute(&statement, &[&key]).map(drop).map_err(Fault)
    }

    fn statement(&mut self, table: Table, kind: Kind) -> Result<Statement, Fault> {
        if let Some(known) = self.statements.get(&(table.name, kind)) {
            return Ok(known.clone());
        }
        let place = self.quoted(table.name);
        let bound = |is_bounded: bool| if is_bounded { "AND key < $3" } else { "" };
        let sql = match kind {
            Kind::Get => format!("SELECT value FROM {place} WHERE key = $1"),
            Kind::Ascending { is_bounded } => {
                let bound = bound(is_bounded);
                format!("SELECT key, value FROM {place} WHERE key >= $1 {bound} ORDER BY key ASC LIMIT $2")
            }
            Kind::Descending { is_bounded } => {
                let bound = bound(is_bounded);
                format!("SELECT key, value FROM {place} WHERE key >= $1 {bound} ORDER BY key DESC LIMIT $2")
            }
            Kind::Put => format!(
                "INSERT INTO {place} (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"
            ),
            Kind::Remove => format!("DELETE FROM {place} WHERE key = $1"),
        };
        let made = self.client()?.prepare(&sql).map_err(Fault)?;
        self.statements.insert((table.name, kind), made.clone());
        Ok(made)
    }

    /// Tells all who listen in this schema.
    pub(super) fn tell(&mut self, what: &str) -> Result<(), Fault> {
        let space = self.place.space.clone();
        let query = "SELECT pg_notify($1, $2)";
        self.client()?.execute(query, &[&space, &what]).map(drop).map_err(Fault)
    }

    /// Hands what is told in this schema to `hear`, as long as `goes_on` says so: it is asked at least each `round`.
    pub(super) fn listen(
        &mut self,
        mut hear: impl FnMut(&str),
        round: Duration,
        goes_on: impl Fn() -> bool,
    ) -> Result<(), Fault> {
        let listen = format!("LISTEN \"{}\"", self.place.space);
        let client = self.client()?;
        client.batch_execute(&listen).map_err(Fault)?;
        while goes_on() {
            let mut told = client.notifications();
            let mut told = told.timeout_iter(round);
            while let Some(notification) = told.next().map_err(Fault)? {
                hear(notification.payload());
            }
        }
        Ok(())
    }

    /// A table of the schema.
    pub(super) fn quoted(&self, table: &str) -> String {
        format!("\"{}\".\"{table}\"", self.place.space)
    }
}
