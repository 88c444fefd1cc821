//! One thread that does one job at a time, and what lets urgent jobs go first.

use super::ProverError;
use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait for a lane; whoever asks beyond it waits before it is queued.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// A queue and the thread that works it off.
pub(super) struct Lane {
    jobs: mpsc::Sender<Job>,
}

/// How many proofs-of-spacetime are asked for or running.
pub(super) type Urgent = Arc<(Mutex<usize>, Condvar)>;

/// Makes the sealing lane wait as long as it lives.
pub(super) struct Priority<'a>(&'a Urgent);

impl<'a> Priority<'a> {
    pub(super) fn take(urgent: &'a Urgent) -> Self {
        *urgent.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(urgent)
    }
}

impl Drop for Priority<'_> {
    fn drop(&mut self) {
        *self.0 .0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0 .1.notify_all();
    }
}

impl Lane {
    pub(super) fn start(name: &'static str, gate: Option<Urgent>) -> Result<Self, ProverError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                if let Some(urgent) = &gate {
                    let count = urgent.0.lock().unwrap_or_else(PoisonError::into_inner);
                    drop(urgent.1.wait_while(count, |count| *count > 0));
                }
                job();
            }
        };
        let started = std::thread::Builder::new().name(name.into()).spawn(work);
        started.map_err(|source| ProverError::Thread { lane: name, source })?;
        Ok(Self { jobs })
    }

    /// Does a job on the lane's thread. The job runs to its end even if nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        step: &'static str,
        job: impl FnOnce() -> Result<T, ProverError> + Send + 'static,
    ) -> Result<T, ProverError> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(job));
            let outcome = outcome.unwrap_or_else(|panic| {
                Err(ProverError::Panicked {
                    step,
                    reason: panic_text(&*panic),
                })
            });
            // Nobody waits any more: the daemon is stopping.
            let _ = done.send(outcome);
        });
        self.jobs.send(job).await.map_err(|_| ProverError::Stopping)?;
        result.await.map_err(|_| ProverError::Stopping)?
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_step_is_an_error_and_the_lane_goes_on() {
        let lane = Lane::start("test", None).expect("the lane works");
        let broken = lane.run::<()>("breaking", || panic!("on purpose")).await;
        assert!(matches!(broken, Err(ProverError::Panicked { step: "breaking", reason }) if reason == "on purpose"));
        assert!(matches!(lane.run("adding", || Ok(1 + 1)).await, Ok(2)));
    }

    #[tokio::test]
    async fn sealing_starts_no_step_while_a_proof_of_spacetime_is_due() {
        let urgent = Urgent::default();
        let lane = Lane::start("test", Some(urgent.clone())).expect("the lane works");
        let priority = Priority::take(&urgent);
        let step = lane.run("sealing", || Ok(()));
        tokio::pin!(step);
        assert!(futures::poll!(&mut step).is_pending());
        drop(priority);
        step.await.expect("the lane works");
    }
}
