//! Jobs as they are found, for whoever only looks: nothing is made for it.

use super::{opening, Fault, Jobs, Session};
use crate::{blocking, DatabaseError};
use std::time::Duration;

/// How long each of the server's hosts may take to accept a connection.
const ACCEPTED: Duration = Duration::from_secs(3);

impl Jobs {
    /// The jobs in the schema `space` of the database that `url` names; `None` where nobody has made them yet. A server
    /// that is not reached is not waited for.
    pub fn there(url: &str, space: &str) -> Result<Option<Self>, DatabaseError> {
        blocking(|| {
            let mut place = opening::place(url, space)?;
            place.config.connect_timeout(ACCEPTED);
            let mut session = Session::new(place.clone());
            match are_there(&mut session) {
                Ok(are_there) => Ok(are_there.then(|| Self::of(place, session))),
                Err(fault) => Err(DatabaseError::Server {
                    reason: fault.to_string(),
                }),
            }
        })
    }

    /// Who has the lease `name`; none when nobody has.
    pub fn leader(&self, name: &str) -> Result<Option<String>, DatabaseError> {
        self.ask(|session| {
            let leases = session.quoted("leases");
            let query = format!("SELECT holder FROM {leases} WHERE name = $1 AND until >= now()");
            let found = session.client()?.query_opt(&query, &[&name]).map_err(Fault::of)?;
            Ok(found.map(|row| row.get(0)))
        })
    }
}

/// Whether the tables are there, which are made all at once.
fn are_there(session: &mut Session) -> Result<bool, Fault> {
    let facts = session.quoted("facts");
    let query = "SELECT to_regclass($1::text) IS NOT NULL";
    let row = session.client()?.query_one(query, &[&facts]).map_err(Fault::of)?;
    Ok(row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_looks_makes_nothing_and_finds_who_leads() {
        let Ok(url) = std::env::var("SEALDROP_POSTGRES") else {
            eprintln!("left out: SEALDROP_POSTGRES names no server");
            return;
        };
        let space = format!("j{}_looking", std::process::id());
        let look = || Jobs::there(&url, &space).expect("the server answers");
        assert!(look().is_none());
        assert!(look().is_none(), "the first look made nothing");
        let jobs = Jobs::at(&url, &space).expect("the server answers");
        let found = look().expect("they are there");
        assert_eq!(found.leader("daemon").unwrap(), None);
        let lease = jobs.lead("daemon", "one", Duration::from_secs(10)).unwrap().unwrap();
        assert_eq!(found.leader("daemon").unwrap().as_deref(), Some("one"));
        jobs.stop_leading(&lease).unwrap();
        assert_eq!(found.leader("daemon").unwrap(), None);
    }

    #[test]
    fn a_server_that_is_not_there_is_not_waited_for() {
        let began = std::time::Instant::now();
        let refused = Jobs::there("postgres://u:SECRET@127.0.0.1:1/deals", "deals");
        let error = refused.expect_err("nobody listens there").to_string();
        assert!(
            began.elapsed() < Duration::from_secs(10) && !error.contains("SECRET"),
            "{error}"
        );
    }
}
