//! Opening records on a server: of which kind and format they are, whose they are, and what earlier formats become.

use super::session::{Fault, Outcome, Session, WRITE};
use super::{insist, tls, Place, View};
use crate::{DatabaseError, Schema, Sharing};
use std::time::Duration;

/// Longest name of a server's schema, in bytes, as PostgreSQL has it.
const MAX_NAME: usize = 63;

/// How long a server may leave what was sent to it unanswered by its system.
const NO_ANSWER: Duration = Duration::from_secs(8);

/// Reads where the records are.
pub(super) fn place(url: &str, space: &str) -> Result<Place, DatabaseError> {
    let open = |reason: String| DatabaseError::Url { reason };
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if space.is_empty() || space.len() > MAX_NAME || !space.chars().all(is_name) {
        let reason = format!("{space:?} is no name of a schema: give small letters, digits and _");
        return Err(open(reason));
    }
    let (url, authorities) = tls::readable(url);
    // What is wrong with it is not shown: it may be a part of the password.
    let form = "write it as postgres://user:password@host/database?sslmode=verify-full, or as libpq has it, host=… user=… dbname=…";
    let parsed = url.parse().map_err(|_: postgres::Error| open(form.to_owned()));
    let mut config: postgres::Config = parsed?;
    let tls = match config.get_ssl_mode() {
        postgres::config::SslMode::Require => Some(tls::connector(authorities.as_deref()).map_err(&open)?),
        _ => None,
    };
    if config
        .get_hosts()
        .iter()
        .any(|host| matches!(host, postgres::config::Host::Tcp(name) if name.contains('@')))
    {
        return Err(open(
            "there is an @ in the name of its host: write one that is in the password as %40".to_owned(),
        ));
    }
    // A server that is gone without a word must not hold up whoever has a lease.
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(NO_ANSWER);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(NO_ANSWER);
    }
    config
        .keepalives_idle(NO_ANSWER)
        .keepalives_interval(NO_ANSWER / 4)
        .keepalives_retries(3);
    if config.get_application_name().is_none() {
        config.application_name("sealdrop");
    }
    let hosts = hosts_of(&config);
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    let shown = format!("postgres {hosts} {database} {space}");
    Ok(Place {
        config,
        tls,
        space: space.to_owned(),
        shown: shown.into(),
    })
}

/// The servers, as people name them: `db.example.org:5433`, or the folder of a socket.
fn hosts_of(config: &postgres::Config) -> String {
    let ports = config.get_ports();
    let named = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let name = match host {
            postgres::config::Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            postgres::config::Host::Unix(folder) => folder.display().to_string(),
        };
        // One port is that of all servers.
        match ports.get(index).or(ports.first()) {
            Some(port) => format!("{name}:{port}"),
            None => name,
        }
    });
    named.collect::<Vec<_>>().join(",")
}

/// Makes what is not there, checks kind and format, and brings what is older to the schema's; for one process alone, the number of this opening.
pub(super) fn bring_up(
    session: &mut Session,
    place: &Place,
    schema: &Schema,
    sharing: Sharing,
) -> Result<Option<i64>, DatabaseError> {
    make(session, place, schema)?;
    let mut owner = None;
    let mut refused = None;
    insist(|| {
        session.begin(WRITE)?;
        match taken_up(session, place, schema) {
            Ok(Ok(number)) => {
                owner = Some(number);
                session.commit()
            }
            Ok(Err(error)) => {
                session.roll_back();
                refused = Some(error);
                Ok(Outcome::Done)
            }
            Err(fault) => {
                session.roll_back();
                fault.outcome()
            }
        }
    })?;
    match refused {
        Some(error) => Err(error),
        None => Ok(owner.filter(|_| sharing == Sharing::Alone)),
    }
}

/// Makes schema and tables; those that are there stay.
fn make(session: &mut Session, place: &Place, schema: &Schema) -> Result<(), DatabaseError> {
    let meta = session.quoted("sealdrop");
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {meta} (one boolean PRIMARY KEY CHECK (one), kind integer NOT NULL, format bigint NOT NULL, owner bigint NOT NULL);
         INSERT INTO {meta} VALUES (true, {}, 0, 0) ON CONFLICT DO NOTHING;",
        schema.kind
    );
    for table in schema.tables {
        let name = session.quoted(table.name);
        sql.push_str(&format!(
            "CREATE TABLE IF NOT EXISTS {name} (key bytea PRIMARY KEY, value bytea NOT NULL);"
        ));
    }
    make_tables(session, place, &sql)
}

/// Makes the schema, and in it what `sql` makes where it is not there.
pub(super) fn make_tables(session: &mut Session, place: &Place, sql: &str) -> Result<(), DatabaseError> {
    let sql = format!("CREATE SCHEMA IF NOT EXISTS \"{}\"; {sql}", place.space);
    insist(|| {
        session.begin("BEGIN")?;
        // One process at a time: two that make the same at once get in each other's way.
        let made = session.client().and_then(|client| {
            client
                .batch_execute("SELECT pg_advisory_xact_lock(5431786)")
                .and_then(|()| client.batch_execute(&sql))
                .map_err(Fault::of)
        });
        match made {
            Ok(()) => session.commit(),
            Err(fault) => {
                session.roll_back();
                fault.outcome()
            }
        }
    })
    .map_err(|error| DatabaseError::Open {
        path: place.shown.clone(),
        reason: error.to_string(),
    })
}

/// Checks what is there in a transaction, and takes it up; the number of this opening, or why it is not ours.
fn taken_up(session: &mut Session, place: &Place, schema: &Schema) -> Result<Result<i64, DatabaseError>, Fault> {
    let meta = session.quoted("sealdrop");
    let query = format!("UPDATE {meta} SET owner = owner + 1 RETURNING kind, format, owner");
    let row = session.client()?.query_one(&query, &[]).map_err(Fault::of)?;
    let (kind, format, owner): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let path = place.shown.clone();
    if kind != schema.kind {
        return Ok(Err(DatabaseError::OtherKind { path }));
    }
    let (format, known) = (u32::try_from(format).unwrap_or(u32::MAX), schema.format);
    if format > known {
        let found = format;
        return Ok(Err(DatabaseError::LaterFormat { path, found, known }));
    }
    // 0 is new: there is nothing to bring up.
    for from in format.max(1)..known {
        if format == 0 {
            break;
        }
        let view = View::of(session);
        let migrated = (schema.migrate)(&view, from);
        if let Some(fault) = view.fault.take() {
            return Err(fault);
        }
        if let Err(error) = migrated {
            return Ok(Err(error));
        }
    }
    let query = format!("UPDATE {meta} SET format = {known}");
    session.client()?.batch_execute(&query).map_err(Fault::of)?;
    Ok(Ok(owner))
}
