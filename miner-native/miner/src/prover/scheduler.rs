//! The threads around [`super::selection`]: every step runs on a thread of its own, never on the async runtime's.
//!
//! Whoever asks for a step waits for its turn and its result. Each arrival and each end asks the schedule what may start.
//! A panic of a step becomes an error of that step. What nobody waits for any more is not started.

use super::jobs::{JobState, JobView};
use super::rates::{Expected, Rates};
use super::selection::{forecast, startable, Limits, Running, Waiting};
use super::work::{Cost, Step};
use super::ProverError;
use crate::clock::now_ms;
use crate::machine::available_memory;
use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{oneshot, Semaphore};

/// Steps that wait or run; whoever asks beyond it waits before it is queued.
const MAX_JOBS: usize = 1024;

/// What is asked for: a step, on whose files, and what it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub step: Step,
    pub sector: Option<u64>,
    pub cost: Cost,
    /// How much of the step there is to do: partitions of a proof-of-spacetime, else 1.
    pub units: u64,
}

/// What the memory budget follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub cores: u64,
    /// Bytes that the operator allows; none leaves it to the machine.
    pub memory: Option<u64>,
    /// Zero-knowledge proofs at once; 0 leaves it to the machine.
    pub slots: u64,
    /// Bytes kept free for proofs-of-spacetime.
    pub reserve: u64,
    /// Bytes of a zero-knowledge proof.
    pub proof: u64,
}

impl Plan {
    pub(super) fn limits(&self) -> Limits {
        let memory = self.memory.or_else(available_memory).unwrap_or(u64::MAX);
        Limits::of_machine(self.cores, memory, self.reserve, self.proof, self.slots)
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Scheduler {
    inner: Arc<Inner>,
    places: Arc<Semaphore>,
}

struct Inner {
    state: Mutex<State>,
    /// Told whenever no proof-of-spacetime is due any more.
    calm: Condvar,
    rates: Rates,
}

struct State {
    next: u64,
    plan: Plan,
    limits: Limits,
    /// Proofs-of-spacetime that are being prepared, wait or run.
    due: usize,
    waiting: Vec<Queued>,
    running: Vec<Begun>,
}

struct Queued {
    job: Waiting,
    units: u64,
    work: Box<dyn FnOnce() + Send>,
}

#[derive(Clone, Copy)]
struct Begun {
    job: Running,
    units: u64,
    since_ms: u64,
}

/// As long as it lives a proof-of-spacetime is due, and nothing that takes time begins.
pub(super) struct Priority(Arc<Inner>);

impl Drop for Priority {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.due -= 1;
        if state.due == 0 {
            self.0.calm.notify_all();
        }
        drop(state);
        self.0.dispatch();
    }
}

/// Takes a step out of the queue when nobody waits for it any more.
struct Place {
    inner: Arc<Inner>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        let before = state.waiting.len();
        state.waiting.retain(|queued| queued.job.number != self.number);
        let left = state.waiting.len() < before;
        drop(state);
        if left {
            self.inner.dispatch();
        }
    }
}

impl Scheduler {
    pub(super) fn new(plan: Plan, rates: Rates) -> Self {
        let state = State {
            next: 0,
            limits: plan.limits(),
            plan,
            due: 0,
            waiting: Vec::new(),
            running: Vec::new(),
        };
        let inner = Inner {
            state: Mutex::new(state),
            calm: Condvar::new(),
            rates,
        };
        Self {
            inner: Arc::new(inner),
            places: Arc::new(Semaphore::new(MAX_JOBS)),
        }
    }

    /// Holds to what the operator allows from now on; what runs goes on.
    pub(super) fn allow(&self, memory: Option<u64>, slots: u64) {
        let mut state = self.inner.state();
        (state.plan.memory, state.plan.slots) = (memory, slots);
        state.limits = state.plan.limits();
        drop(state);
        self.inner.dispatch();
    }

    /// Keeps so many bytes free for proofs-of-spacetime from now on.
    pub(super) fn reserve(&self, bytes: u64) {
        let mut state = self.inner.state();
        state.plan.reserve = bytes;
        state.limits = state.plan.limits();
        drop(state);
        self.inner.dispatch();
    }

    /// Goes by this memory of a zero-knowledge proof from now on.
    pub(super) fn set_proof_memory(&self, bytes: u64) {
        let mut state = self.inner.state();
        state.plan.proof = bytes;
        state.limits = state.plan.limits();
        drop(state);
        self.inner.dispatch();
    }

    pub(super) fn limits(&self) -> Limits {
        self.inner.state().limits
    }

    pub(super) fn expected(&self, step: Step, units: u64) -> Expected {
        self.inner.rates.expected(step, units)
    }

    /// A proof-of-spacetime is due from now on, until the result is dropped.
    pub(super) fn priority(&self) -> Priority {
        self.inner.state().due += 1;
        Priority(self.inner.clone())
    }

    /// What a step of long reading calls now and then: returns when no proof-of-spacetime is due. Blocks its thread.
    pub(super) fn wait_until_idle(&self) {
        let state = self.inner.state();
        drop(self.inner.calm.wait_while(state, |state| state.due > 0));
    }

    /// Does a step when its turn comes. Once begun, it runs to its end even if nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        order: Order,
        work: impl FnOnce() -> Result<T, ProverError> + Send + 'static,
    ) -> Result<T, ProverError> {
        self.check(&order)?;
        // Never closed.
        let _permit = self.places.acquire().await;
        let (done, result) = oneshot::channel();
        let _place = self.enqueue(order, work, done);
        self.inner.dispatch();
        // Its sender is dropped unused only when no thread could be started.
        result.await.unwrap_or(Err(ProverError::NoThread { step: order.step }))
    }

    /// Which of these steps would start at once, in the order in which they would; those that this machine has too little memory for never.
    pub(super) fn would_start(&self, orders: &[Order]) -> Vec<usize> {
        let can: Vec<bool> = orders.iter().map(|order| self.check(order).is_ok()).collect();
        let state = self.inner.state();
        let mut waiting: Vec<Waiting> = state.waiting.iter().map(|queued| queued.job).collect();
        let running: Vec<Running> = state.running.iter().map(|begun| begun.job).collect();
        let asked = orders.iter().enumerate().filter(|(at, _)| can.get(*at) == Some(&true));
        waiting.extend(asked.map(|(at, order)| Waiting {
            number: state.next + at as u64,
            step: order.step,
            sector: order.sector,
            cost: Cost {
                threads: order.cost.threads.min(state.limits.threads),
                ..order.cost
            },
            overtaken: 0,
        }));
        let chosen = startable(&waiting, &running, state.due > 0, &state.limits);
        let places = chosen.into_iter().filter_map(|number| number.checked_sub(state.next));
        places.filter_map(|at| usize::try_from(at).ok()).collect()
    }

    /// Whether the step could ever run.
    pub(super) fn check(&self, order: &Order) -> Result<(), ProverError> {
        if order.step == Step::WindowPost {
            return Ok(());
        }
        let mut state = self.inner.state();
        let needed = order.cost.memory;
        if needed > state.limits.memory && state.running.is_empty() {
            // What other programs took when this one started they may have given back.
            state.limits = state.plan.limits();
        }
        match state.limits.memory {
            budget if needed > budget => Err(ProverError::TooLittleMemory {
                step: order.step,
                needed,
                budget,
                reserve: state.plan.reserve,
            }),
            _ => Ok(()),
        }
    }

    /// Fails when a proof-of-spacetime takes more than all of the memory.
    pub(super) fn check_reserve(&self, order: &Order) -> Result<(), ProverError> {
        let plan = self.inner.state().plan;
        let budget = Plan { reserve: 0, ..plan }.limits().memory;
        match order.cost.memory {
            needed if needed > budget => Err(ProverError::TooLittleMemory {
                step: order.step,
                needed,
                budget,
                reserve: 0,
            }),
            _ => Ok(()),
        }
    }

    fn enqueue<T: Send + 'static>(
        &self,
        order: Order,
        work: impl FnOnce() -> Result<T, ProverError> + Send + 'static,
        done: oneshot::Sender<Result<T, ProverError>>,
    ) -> Place {
        let mut state = self.inner.state();
        let number = state.next;
        state.next += 1;
        let inner = self.inner.clone();
        let Order {
            step,
            sector,
            mut cost,
            units,
        } = order;
        cost.threads = cost.threads.min(state.limits.threads);
        let cores = state.plan.cores;
        let work = Box::new(move || {
            let began = Instant::now();
            let outcome = guarded(step, || apart(step, cores, work));
            if outcome.is_ok() {
                let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                inner.rates.observe(step, took, units);
            }
            inner.ended(number);
            // Nobody waits any more: the daemon is stopping.
            let _ = done.send(outcome);
        });
        let job = Waiting {
            number,
            step,
            sector,
            cost,
            overtaken: 0,
        };
        state.waiting.push(Queued { job, units, work });
        let inner = self.inner.clone();
        Place { inner, number }
    }

    /// What waits and what runs.
    pub(super) fn jobs(&self) -> Vec<JobView> {
        let state = self.inner.state();
        let now = now_ms();
        let waiting: Vec<Waiting> = state.waiting.iter().map(|queued| queued.job).collect();
        let running: Vec<Running> = state.running.iter().map(|begun| begun.job).collect();
        let expected = |step, units| self.inner.rates.expected(step, units);
        let left = |job: &Running| {
            let begun = state.running.iter().find(|begun| begun.job.number == job.number);
            begun.map_or(0, |begun| {
                let whole = expected(begun.job.step, begun.units).ms.unwrap_or(0);
                whole.saturating_sub(now.saturating_sub(begun.since_ms))
            })
        };
        let takes = |step| expected(step, 1).ms.unwrap_or(0);
        let starts = forecast(&waiting, &running, &state.limits, left, takes);
        let view = |step, sector, units, state, wait_ms| {
            let Expected { ms, basis } = expected(step, units);
            JobView {
                sector,
                step,
                state,
                expected_ms: ms,
                wait_ms,
                basis,
            }
        };
        let mut views: Vec<JobView> = state
            .running
            .iter()
            .map(|begun| {
                let since_ms = begun.since_ms;
                view(
                    begun.job.step,
                    begun.job.sector,
                    begun.units,
                    JobState::Running { since_ms },
                    None,
                )
            })
            .collect();
        let mut queue: Vec<&Queued> = state.waiting.iter().collect();
        let start = |queued: &&Queued| starts.get(&queued.job.number).copied().unwrap_or(u64::MAX);
        queue.sort_by_key(|queued| (start(queued), queued.job.step, queued.job.number));
        views.extend(queue.iter().enumerate().map(|(index, queued)| {
            let behind = (running.len() + index) as u64;
            let wait = starts.get(&queued.job.number).copied();
            view(
                queued.job.step,
                queued.job.sector,
                queued.units,
                JobState::Queued { behind },
                wait,
            )
        }));
        views
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Changed in single assignments and pushes: whole after a panic, too.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts what may start now.
    fn dispatch(self: &Arc<Self>) {
        let mut state = self.state();
        let waiting: Vec<Waiting> = state.waiting.iter().map(|queued| queued.job).collect();
        let running: Vec<Running> = state.running.iter().map(|begun| begun.job).collect();
        for number in startable(&waiting, &running, state.due > 0, &state.limits) {
            let Some(at) = state.waiting.iter().position(|queued| queued.job.number == number) else {
                continue;
            };
            let Queued { job, units, work } = state.waiting.remove(at);
            for other in &mut state.waiting {
                other.job.overtaken += u32::from(other.job.is_overtaken_by(&job));
            }
            let name = format!("{}", job.step);
            state.running.push(Begun {
                job: Running {
                    number,
                    step: job.step,
                    sector: job.sector,
                    cost: job.cost,
                },
                units,
                since_ms: now_ms(),
            });
            // The thread waits for this lock before it is done; the system cuts a name that is too long.
            if let Err(error) = std::thread::Builder::new().name(name).spawn(work) {
                tracing::error!(step = %job.step, %error, "a thread for a step could not be started");
                state.running.retain(|begun| begun.job.number != number);
            }
        }
    }

    fn ended(self: &Arc<Self>, number: u64) {
        self.state().running.retain(|begun| begun.job.number != number);
        self.dispatch();
    }
}

/// Runs a step on a rayon pool of its own: on the common one an opening of some milliseconds comes after all the small
/// pieces of a long step that were put there before it. The pools share the cores as the system sees fit.
fn apart<T: Send>(
    step: Step,
    cores: u64,
    work: impl FnOnce() -> Result<T, ProverError> + Send,
) -> Result<T, ProverError> {
    if !step.computes_apart() {
        return work();
    }
    let threads = usize::try_from(cores).unwrap_or(1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| {
        tracing::error!(%step, %error, "the threads for a step could not be started");
        ProverError::NoThread { step }
    })?;
    pool.install(work)
}

/// A panic is an error of the step.
fn guarded<T>(step: Step, work: impl FnOnce() -> Result<T, ProverError>) -> Result<T, ProverError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(ProverError::Panicked {
            step,
            reason: panic_text(&*panic),
        })
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".into())
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
