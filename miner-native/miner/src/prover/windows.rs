//! A proof-of-spacetime that several machines make together.
//!
//! Each partition of one is a proof by itself, over its own sectors: since version 1.2 of the proofs' API the places where a sector is opened follow from
//! the randomness and the sector's number alone (FIP-0061). So a partition is a job like a step of sealing, of the highest rank.
//!
//! The machine whose duty the proof is waits for nobody: it begins at the first partition, the others at the last, and where they meet it makes what the
//! others are still at, too. Whichever comes first counts.

use super::elsewhere::Elsewhere;
use super::{prover_size, Prover, ProverError, Step};
use futures::future::{select, Either};
use futures::stream::{FuturesUnordered, StreamExt};
use shared::piece::Commitment;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;

/// Partitions that are posted for each machine: one that it makes, and one that it finds at once after that.
const POSTED_EACH: usize = 2;

impl Prover {
    /// See [`super::Engine::window_post`]. Other machines make partitions of it, if they take them; what they make counts only if it `holds` for its sectors.
    pub async fn window_post(
        &self,
        randomness: [u8; 32],
        mut sectors: Vec<(u64, Commitment)>,
        holds: impl Fn(Vec<(u64, Commitment)>, &[u8]) -> bool,
    ) -> Result<Vec<u8>, ProverError> {
        let _due = self.post_is_due();
        sectors.sort_unstable_by_key(|(sector, _)| *sector);
        let parts: Vec<&[(u64, Commitment)]> = sectors.chunks(self.partition_sectors()).collect();
        let machines = self.elsewhere.as_ref().map_or(0, Elsewhere::machines_for_windows);
        if let (Some(elsewhere), 1.., 2..) = (&self.elsewhere, machines, parts.len()) {
            let here = |part: &[(u64, Commitment)]| self.window_part(randomness, part.to_vec());
            let there = |part| elsewhere.window_part(randomness, part);
            let holds = |part: &[(u64, Commitment)], proof: &[u8]| holds(part.to_vec(), proof);
            let most = machines * POSTED_EACH;
            let made = made_together(&parts, most, here, there, holds).await;
            elsewhere.forget_windows();
            match made {
                Ok((proof, others)) => {
                    tracing::info!(partitions = parts.len(), others, "a proof-of-spacetime was shared out");
                    return Ok(proof);
                }
                // Whoever opens all of them names all that are damaged.
                Err(error) if error.faulty().is_some() => {}
                Err(error) => return Err(error),
            }
        }
        self.window_part(randomness, sectors).await
    }

    /// The proof over these sectors, which may be a partition of a larger one, on this machine.
    pub(super) async fn window_part(
        &self,
        randomness: [u8; 32],
        sectors: Vec<(u64, Commitment)>,
    ) -> Result<Vec<u8>, ProverError> {
        let (engine, order) = (self.engine.clone(), self.order(Step::WindowPost, None, sectors.len()));
        let _due = self.post_is_due();
        let job = move || engine.window_post(randomness, &sectors);
        self.scheduler.run(order, job).await
    }

    fn partition_sectors(&self) -> usize {
        prover_size(self.size).map_or(1, sealdrop_prover::partition_sectors)
    }

    /// Whether a window may have more than one partition, which machines can share out.
    pub fn shares_windows(&self) -> bool {
        self.partition_sectors() < sealdrop_prover::MAX_WINDOW_SECTORS
    }
}

/// Has all `parts` made, here one after the other and elsewhere `most` at once, and joins their proofs; says how many came from elsewhere. Such a one counts
/// only if it `holds`.
///
/// # Errors
/// What the first partition that is made here fails with. What fails elsewhere is made here next: it may be the sectors that fail it.
async fn made_together<P: Copy, H, E>(
    parts: &[P],
    most: usize,
    here: impl Fn(P) -> H,
    elsewhere: impl Fn(P) -> E,
    holds: impl Fn(P, &[u8]) -> bool,
) -> Result<(Vec<u8>, usize), ProverError>
where
    H: Future<Output = Result<Vec<u8>, ProverError>>,
    E: Future<Output = Result<Vec<u8>, ProverError>>,
{
    let ask = |at: usize, part: P| {
        let made = elsewhere(part);
        async move { (at, part, made.await) }
    };
    let all = || parts.iter().copied().enumerate();
    let mut untaken = all();
    let mut proofs: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut failed = VecDeque::new();
    let mut others = 0;
    let mut asked = FuturesUnordered::new();
    while let Some((next, part)) = failed
        .pop_front()
        .or_else(|| untaken.next())
        .or_else(|| all().find(|(at, _)| !proofs.contains_key(at)))
    {
        let mut made = Box::pin(here(part));
        while !proofs.contains_key(&next) {
            while asked.len() < most {
                let Some((at, part)) = untaken.next_back() else { break };
                asked.push(ask(at, part));
            }
            let first = match asked.is_empty() {
                true => Either::Left(made.as_mut().await),
                false => match select(made.as_mut(), asked.next()).await {
                    Either::Left((made, _)) => Either::Left(made),
                    Either::Right((answer, _)) => Either::Right(answer),
                },
            };
            match first {
                Either::Left(made) => drop(proofs.insert(next, made?)),
                Either::Right(Some((at, part, Ok(proof)))) if holds(part, &proof) => {
                    others += usize::from(proofs.insert(at, proof).is_none());
                }
                Either::Right(Some((at, part, answer))) => {
                    let reason = answer.map_or_else(|error| error.to_string(), |_| "it does not hold".to_owned());
                    tracing::warn!(
                        partition = at,
                        reason,
                        "a partition was not made elsewhere: it is made here"
                    );
                    if at != next && !proofs.contains_key(&at) {
                        failed.push_back((at, part));
                    }
                }
                Either::Right(None) => {}
            }
        }
    }
    Ok((proofs.into_values().flatten().collect(), others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::time::Duration;

    fn proof(part: usize) -> Vec<u8> {
        vec![part as u8; 2]
    }

    fn all(parts: usize) -> Vec<u8> {
        (0..parts).flat_map(proof).collect()
    }

    fn refused() -> ProverError {
        ProverError::NoThread { step: Step::WindowPost }
    }

    /// Makes `parts` partitions: here in `slow` each, elsewhere as `elsewhere` has it. Returns the proof, how long it took, and which were made here.
    async fn together<E: Future<Output = Result<Vec<u8>, ProverError>>>(
        parts: usize,
        slow: Duration,
        elsewhere: impl Fn(usize) -> E,
    ) -> (Result<Vec<u8>, ProverError>, Duration, Vec<usize>) {
        let here = RefCell::new(Vec::new());
        let make = |part: usize| {
            here.borrow_mut().push(part);
            async move {
                tokio::time::sleep(slow).await;
                Ok(proof(part))
            }
        };
        let holds = |part: usize, made: &[u8]| made == proof(part);
        let began = tokio::time::Instant::now();
        let made = made_together(&(0..parts).collect::<Vec<_>>(), 2 * POSTED_EACH, make, elsewhere, holds).await;
        let took = began.elapsed();
        (made.map(|(proof, _)| proof), took, here.take())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn three_machines_take_a_third_of_the_time() {
        let free = tokio::sync::Semaphore::new(2);
        let elsewhere = |part: usize| {
            let free = &free;
            async move {
                let _place = free.acquire().await.expect("it is never closed");
                tokio::time::sleep(SECOND * 9 / 10).await;
                Ok(proof(part))
            }
        };
        let (made, took, here) = together(12, SECOND, elsewhere).await;
        assert_eq!(made.expect("a proof"), all(12));
        assert_eq!(took, 4 * SECOND);
        assert_eq!(here, [0, 1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for() {
        let elsewhere = |_: usize| std::future::pending();
        let (made, took, here) = together(7, SECOND, elsewhere).await;
        assert_eq!(made.expect("a proof"), all(7));
        assert_eq!((took, here.len()), (7 * SECOND, 7));
    }

    /// A machine whose arithmetic is broken, or that has another version.
    #[tokio::test(start_paused = true)]
    async fn what_does_not_hold_and_what_fails_is_made_here() {
        let elsewhere = |part: usize| async move {
            match part % 2 {
                0 => Ok(proof(part + 1)),
                _ => Err(refused()),
            }
        };
        let (made, took, here) = together(5, SECOND, elsewhere).await;
        assert_eq!(made.expect("a proof"), all(5));
        assert_eq!((took, here.len()), (5 * SECOND, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_while_it_is_made_here_counts() {
        let elsewhere = |part: usize| async move {
            tokio::time::sleep(3 * SECOND / 2).await;
            Ok(proof(part))
        };
        let (made, took, _) = together(2, 10 * SECOND, elsewhere).await;
        assert_eq!(made.expect("a proof"), all(2));
        assert_eq!(took, 10 * SECOND, "the first partition was never posted");
        let (made, took, _) = together(1, SECOND, elsewhere).await;
        assert_eq!((made.expect("a proof"), took), (all(1), SECOND));
    }

    /// A damaged sector is known as soon as whoever has its partition says so.
    #[tokio::test(start_paused = true)]
    async fn a_partition_that_failed_elsewhere_is_the_next_one_here() {
        let order = RefCell::new(Vec::new());
        let make = |part: usize| {
            order.borrow_mut().push(part);
            async move {
                tokio::time::sleep(SECOND).await;
                match part {
                    9 => Err(refused()),
                    part => Ok(proof(part)),
                }
            }
        };
        let elsewhere = |part: usize| async move {
            match part {
                9 => Err(refused()),
                _ => std::future::pending().await,
            }
        };
        let made = made_together(&(0..10).collect::<Vec<_>>(), 2, make, elsewhere, |_, _| true).await;
        assert!(made.is_err());
        assert_eq!(order.take(), [0, 9]);
    }
}
