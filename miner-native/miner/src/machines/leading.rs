//! The daemon that leads: by a lease of seconds, so that another takes over soon after it fell silent.
//!
//! Whoever loses the lease changes nothing any more, whatever it still believes: the one that follows opens the records as their only owner, and each
//! transaction of the former fails from then on. What is sent to the chain is in the records before it is sent, under its purpose, so that the one that
//! follows sends nothing twice.

use crate::supervisor::{Lifeline, ServiceError};
use sealdrop_database::blocking;
use sealdrop_database::jobs::{Jobs, Leadership};
use sealdrop_database::DatabaseError;
use std::sync::Arc;
use std::time::Duration;

/// How long a daemon leads after its last sign of life.
const LEASE: Duration = Duration::from_secs(10);
/// How often it gives one, and how often another looks.
const EVERY: Duration = Duration::from_secs(2);
/// After this time an answer does not come any more: a server or a proxy that takes what is sent and says nothing. One that is away is an error, sooner.
const HANGS: Duration = Duration::from_secs(180);
/// What is said of it.
const HUNG: &str = "the database takes what is sent and does not answer: this process ends, and is to be started again";
/// The lease's name.
const NAME: &str = "daemon";
/// What health calls it.
const LEASE_OF: &str = "lease of the database";

/// See the module.
#[derive(Clone)]
pub struct Leading {
    jobs: Jobs,
    lease: Arc<Leadership>,
    /// Ends the process, with the reason.
    give_up: fn(&str),
}

impl Leading {
    /// Leads as soon as nobody else does; `waits` hears once who does meanwhile.
    pub async fn when_free(
        jobs: Jobs,
        holder: &str,
        give_up: fn(&str),
        waits: impl FnOnce(&str),
    ) -> Result<Self, DatabaseError> {
        let mut waits = Some(waits);
        loop {
            let (asking, name) = (jobs.clone(), holder.to_owned());
            let asked = tokio::task::spawn_blocking(move || asking.lead(NAME, &name, LEASE));
            let asked = match tokio::time::timeout(HANGS, asked).await {
                Ok(Ok(asked)) => asked,
                Ok(Err(_)) => continue,
                Err(_) => {
                    give_up(HUNG);
                    continue;
                }
            };
            match asked {
                Ok(Ok(lease)) => {
                    let lease = Arc::new(lease);
                    return Ok(Self { jobs, lease, give_up });
                }
                Ok(Err(other)) => {
                    if let Some(waits) = waits.take() {
                        waits(&other);
                    }
                }
                Err(error) => tracing::warn!(%error, "the database is not reached; trying again"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Which daemon leads now, for whoever only looks.
    pub fn holder(jobs: &Jobs) -> Result<Option<String>, DatabaseError> {
        jobs.leader(NAME)
    }

    /// By what it leads.
    pub fn lease(&self) -> Arc<Leadership> {
        self.lease.clone()
    }

    /// Goes on leading until it is to stop; fails when another leads.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        loop {
            let (jobs, lease) = (self.jobs.clone(), self.lease.clone());
            let asked = tokio::task::spawn_blocking(move || jobs.keep_leading(&lease, LEASE));
            let Ok(asked) = tokio::time::timeout(HANGS, asked).await else {
                (self.give_up)(HUNG);
                return Err(HUNG.into());
            };
            match asked? {
                Ok(true) => lifeline.well(LEASE_OF),
                Ok(false) => {
                    let reason = "another daemon leads by now: this one ends";
                    (self.give_up)(reason);
                    return Err(reason.into());
                }
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be renewed; trying again");
                    lifeline.failing(LEASE_OF, &error);
                }
            }
            lifeline.beat();
            if lifeline.unless_stopping(tokio::time::sleep(EVERY)).await.is_none() {
                break;
            }
        }
        if let Err(error) = blocking(|| self.jobs.stop_leading(&self.lease)) {
            tracing::warn!(%error, "the next daemon leads when this one's lease is over");
        }
        Ok(())
    }
}
