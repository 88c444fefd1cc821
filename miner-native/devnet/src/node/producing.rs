//! The making of blocks: what of the pool comes into the next one, what leaves the pool, and when others see it.

#[cfg(feature = "server")]
use super::now_ms;
use super::{dropped, lock, Node, Snapshot};
use crate::block::Block;
use crate::error::DevnetError;
use crate::pool::Waiting;
use crate::store::{state_bytes, state_digest, Commit, Outcome, Settled};
use cid::Cid;
use shared::chain::light::proofs::receipt_leaf;
use shared::chain::light::{BlockHeader, Tree};
use shared::chain::{apply, end_block, ApplyError, ChainState, Context, Epoch, Receipt};
use std::sync::{Arc, PoisonError};

/// Most messages of a block: with proofs in all of them, it still takes seconds to make, not minutes.
const MAX_BLOCK_MESSAGES: usize = 256;
/// What came of the messages of a block.
#[derive(Default)]
struct Round {
    mined: Vec<(Waiting, Receipt)>,
    dropped: Vec<(Waiting, String)>,
}

impl Round {
    /// The tree over the block's messages with their receipts.
    fn receipts(&self) -> Tree {
        let mined = self.mined.iter();
        Tree::of(
            mined
                .map(|(waiting, receipt)| receipt_leaf(&waiting.cid, receipt))
                .collect(),
        )
    }
}

impl Node {
    /// Makes the next block now, by the machine's clock.
    #[cfg(feature = "server")]
    pub fn produce(&self) -> Result<Arc<Snapshot>, DevnetError> {
        self.produce_at(now_ms)
    }

    /// Makes the next block of the messages whose turn it is; `now_ms` is asked when they are applied.
    pub fn produce_at(&self, now_ms: impl FnOnce() -> u64) -> Result<Arc<Snapshot>, DevnetError> {
        let _one_at_a_time = lock(&self.making);
        let parent = self.current();
        let height = Epoch(
            parent
                .block
                .height
                .0
                .checked_add(1)
                .ok_or(DevnetError::HeightExhausted)?,
        );
        let ready = lock(&self.pool).ready(&parent.state, MAX_BLOCK_MESSAGES);
        let mut state = parent.state.clone();
        let round = self.apply_all(&mut state, ready, height);
        let ended = end_block(&mut state, height);
        let has_changed = !round.mined.is_empty() || ended.changed();
        let bytes = has_changed.then(|| state_bytes(&state));
        let mut tree = parent.tree.clone();
        if has_changed {
            // Readers have the parent's tree: this is a copy of it.
            Arc::make_mut(&mut tree).advance(&parent.state, &state);
        }
        if bytes.is_some() {
            // A defect of the actors. A chain that stops would help nobody to find it.
            if let Err(violation) = state.check_invariants() {
                tracing::error!(%height, %violation, "a rule of the whole chain does not hold");
            }
        }
        let header = BlockHeader {
            genesis: self.genesis_cid,
            height,
            parent: parent.cid,
            ticket: self.authority.ticket(&self.genesis_cid, height),
            time_ms: now_ms().max(parent.block.time_ms),
            receipts_root: round.receipts().root(),
            state_root: tree.root(),
            state_digest: bytes.as_deref().map_or(parent.block.state, state_digest),
        };
        let messages = round.mined.iter().map(|(waiting, _)| waiting.cid).collect();
        let block = Block::of(self.authority.sign(header), messages);
        self.settle(round, bytes, Snapshot::new(state, tree, block))
    }

    /// Applies messages in turn; one that does not fit or cannot be judged stays in the pool.
    fn apply_all(&self, state: &mut ChainState, ready: Vec<Waiting>, height: Epoch) -> Round {
        let beacon = |asked| self.ticket(asked, height);
        let ctx = Context {
            height,
            network: &self.genesis_cid,
            beacon: &beacon,
            verifier: &*self.verifier,
        };
        let mut round = Round::default();
        let mut gas = 0u64;
        for waiting in ready {
            let message = waiting.message.message();
            // A message before this one was put off: so is this one.
            if message.nonce != state.nonce(&message.from) {
                continue;
            }
            let after = gas.saturating_add(waiting.message.metered.gas_limit);
            if after > state.policy.block_gas_limit {
                continue;
            }
            match apply(state, &waiting.message, &ctx) {
                Ok(receipt) => {
                    gas = after;
                    round.mined.push((waiting, receipt));
                }
                Err(ApplyError::Invalid(invalid)) => round.dropped.push((waiting, invalid.to_string())),
                Err(ApplyError::Fault(fault)) => {
                    tracing::error!(message = %waiting.cid, %fault, "a message waits until its proof can be verified");
                }
            }
        }
        round
    }

    /// Persists a block and shows it.
    fn settle(
        &self,
        mut round: Round,
        bytes: Option<Vec<u8>>,
        next: Arc<Snapshot>,
    ) -> Result<Arc<Snapshot>, DevnetError> {
        let height = next.block.height;
        let mut pool = lock(&self.pool);
        let settled =
            |cid: Cid| round.mined.iter().any(|(w, _)| w.cid == cid) || round.dropped.iter().any(|(w, _)| w.cid == cid);
        let hopeless: Vec<_> = pool
            .hopeless(&next.state, height)
            .into_iter()
            .filter(|(waiting, _)| !settled(waiting.cid))
            .collect();
        round.dropped.extend(hopeless);
        let mined = round.mined.iter().map(|(waiting, receipt)| {
            let receipt = receipt.clone();
            waiting.settled(Outcome::Mined { height, receipt })
        });
        let dropped = round.dropped.iter().map(|out| dropped(out, height));
        let all: Vec<Settled> = mined.chain(dropped).collect();
        // FAIL: the disk may be full: the block is not shown, and the next attempt makes it anew under the same height.
        self.store.commit(&Commit {
            block: &next.block,
            state: bytes.as_deref(),
            settled: &all,
        })?;
        for (waiting, _) in &round.dropped {
            tracing::info!(message = %waiting.cid, "message dropped");
            pool.remove(waiting);
        }
        for (waiting, _) in &round.mined {
            pool.remove(waiting);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next.clone();
        self.heads.send_replace(next.head());
        Ok(next)
    }
}
