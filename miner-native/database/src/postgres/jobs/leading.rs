//! Which of several daemons leads: a lease by name, renewed by its holder, with a number that grows with each holder.

use super::{Fault, Jobs};
use crate::DatabaseError;
use std::time::Duration;

/// A lease that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    pub name: String,
    pub holder: String,
    /// Grows each time that it changes hands.
    pub fence: i64,
}

/// How long the server is waited for; whoever does not hear of its lease in time does not lead.
const PATIENCE: Duration = Duration::from_secs(2);

impl Jobs {
    /// Takes the lease `name` for `time` if nobody else has it; else who has it.
    pub fn lead(&self, name: &str, holder: &str, time: Duration) -> Result<Result<Leadership, String>, DatabaseError> {
        let seconds = time.as_secs_f64();
        self.ask_of(&self.inner.beats, PATIENCE, &mut |session| {
            let leases = session.quoted("leases");
            let query = format!(
                "INSERT INTO {leases} (name, holder, fence, until) VALUES ($1, $2, 1, now() + make_interval(secs => $3))
                 ON CONFLICT (name) DO UPDATE SET holder = $2, fence = {leases}.fence + 1, until = now() + make_interval(secs => $3)
                   WHERE {leases}.until < now()
                 RETURNING fence"
            );
            let client = session.client()?;
            let taken = client.query_opt(&query, &[&name, &holder, &seconds]).map_err(Fault::of)?;
            if let Some(row) = taken {
                return Ok(Ok(Leadership {
                    name: name.to_owned(),
                    holder: holder.to_owned(),
                    fence: row.get(0),
                }));
            }
            let query = format!("SELECT holder FROM {leases} WHERE name = $1");
            let row = client.query_opt(&query, &[&name]).map_err(Fault::of)?;
            Ok(Err(row.map_or_else(String::new, |row| row.get(0))))
        })
    }

    /// Holds a lease for another `time`; false when somebody else has it by now.
    pub fn keep_leading(&self, lease: &Leadership, time: Duration) -> Result<bool, DatabaseError> {
        let seconds = time.as_secs_f64();
        self.ask_of(&self.inner.beats, PATIENCE, &mut |session| {
            let leases = session.quoted("leases");
            let query = format!("UPDATE {leases} SET until = now() + make_interval(secs => $4) WHERE name = $1 AND holder = $2 AND fence = $3");
            let client = session.client()?;
            let kept = client.execute(&query, &[&lease.name, &lease.holder, &lease.fence, &seconds]).map_err(Fault::of)?;
            Ok(kept > 0)
        })
    }

    /// Gives a lease up, so that the next one need not wait.
    pub fn stop_leading(&self, lease: &Leadership) -> Result<(), DatabaseError> {
        self.ask_of(&self.inner.beats, PATIENCE, &mut |session| {
            let leases = session.quoted("leases");
            let query = format!("UPDATE {leases} SET until = now() - interval '1 second' WHERE name = $1 AND holder = $2 AND fence = $3");
            let client = session.client()?;
            client.execute(&query, &[&lease.name, &lease.holder, &lease.fence]).map(drop).map_err(Fault::of)
        })
    }
}
