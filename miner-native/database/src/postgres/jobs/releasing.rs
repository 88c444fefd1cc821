//! Which sectors nobody seals any more: what a machine keeps of them in a folder of its own is of no use then.

use super::{number, unsigned, Fault, Jobs};
use crate::DatabaseError;

impl Jobs {
    /// Says that nobody needs what sealing a sector took, until a job of it is posted again. Twice is harmless.
    pub fn release(&self, sector: u64) -> Result<(), DatabaseError> {
        let sector = number(sector);
        let released = self.ask_leading(|session| {
            let (jobs, released) = (session.quoted("jobs"), session.quoted("released"));
            let query = format!(
                "INSERT INTO {released} SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM {jobs} WHERE sector = $1 AND kind <> '') ON CONFLICT DO NOTHING"
            );
            session.client()?.execute(&query, &[&sector]).map(drop).map_err(Fault::of)
        });
        released.map(drop)
    }

    /// Which of these sectors were released.
    pub fn released(&self, sectors: &[u64]) -> Result<Vec<u64>, DatabaseError> {
        let sectors: Vec<i64> = sectors.iter().copied().map(number).collect();
        self.ask(|session| {
            let released = session.quoted("released");
            let query = format!("SELECT sector FROM {released} WHERE sector = ANY($1) ORDER BY sector");
            let rows = session.client()?.query(&query, &[&sectors]).map_err(Fault::of)?;
            Ok(rows.iter().map(|row| unsigned(row.get(0))).collect())
        })
    }
}
