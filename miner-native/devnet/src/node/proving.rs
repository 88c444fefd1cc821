//! Proofs of what is on the chain: headers, messages with their receipts, entries of states ([`shared::chain::light`]).
//!
//! Proofs of the newest state come from the tree that its block was made with. One of a past state takes a tree of its own: a
//! few are remembered, and the RPC lets few be made at a time.

use super::{lock, Node, Refusal};
use crate::error::DevnetError;
use crate::store::Outcome;
use cid::Cid;
use shared::chain::light::proofs::receipt_leaf;
use shared::chain::light::{EntryProof, MessageProof, SignedHeader, StateKey, StateProof, StateTree, Tree};
use shared::chain::{ChainState, Epoch};
use std::collections::VecDeque;
use std::sync::Arc;

/// Past states that are remembered with their trees: somebody who checks a deal asks for a few heights, several times.
const PAST_KEPT: usize = 4;

/// Past states with their trees, the newest last.
pub(super) type Past = VecDeque<(Epoch, Arc<(ChainState, StateTree)>)>;

impl Node {
    /// The header of a block, of the newest one when `height` is `None`.
    pub fn header(&self, height: Option<Epoch>) -> Result<SignedHeader, Refusal> {
        let current = self.current();
        let asked = height.unwrap_or(current.block.height);
        let header = match asked == current.block.height {
            true => current.block.header(),
            false => self.kept_block(asked)?.header(),
        };
        header.ok_or(Refusal::Unsigned { asked })
    }

    /// The headers of a span that are kept, oldest first; at most `most`.
    pub fn headers(&self, from: Epoch, to: Epoch, most: usize) -> Result<Vec<SignedHeader>, Refusal> {
        let blocks = self.blocks(from, to, most)?;
        Ok(blocks.iter().filter_map(crate::block::Block::header).collect())
    }

    /// The proof of a message; `None` while it waits, and when the chain does not know it.
    pub fn message_proof(&self, id: &Cid) -> Result<Option<MessageProof>, Refusal> {
        let Some(asked) = self.outcome(id)?.and_then(|outcome| outcome.mined_at()) else {
            return Ok(None);
        };
        let block = self.kept_block(asked)?;
        let header = block.header().ok_or(Refusal::Unsigned { asked })?;
        let mut receipts = Vec::new();
        for cid in &block.messages {
            // A block made meanwhile may have pushed them out.
            let Some(Outcome::Mined { receipt, .. }) = self.store.outcome(cid)? else {
                return Err(Refusal::BlockForgotten { asked });
            };
            receipts.push((cid, receipt));
        }
        let message = self.message(id)?.ok_or(Refusal::BlockForgotten { asked })?;
        let tree = Tree::of(
            receipts
                .iter()
                .map(|(cid, receipt)| receipt_leaf(cid, receipt))
                .collect(),
        );
        let at = receipts.iter().position(|(cid, _)| *cid == id);
        let shown = at.and_then(|at| Some((receipts.get(at)?.1.clone(), tree.path(at)?)));
        let lacking = || DevnetError::damaged("block", "it does not name a message that is in it");
        let (receipt, path) = shown.ok_or_else(lacking)?;
        Ok(Some(MessageProof {
            header,
            message,
            receipt,
            path,
        }))
    }

    /// What the state after a block has under these keys; after the newest block when `height` is `None`.
    pub fn state_proof(&self, keys: &[StateKey], height: Option<Epoch>) -> Result<StateProof, Refusal> {
        let current = self.current();
        let head = current.block.height;
        let asked = height.unwrap_or(head);
        if asked > head {
            return Err(Refusal::Future { asked, head });
        }
        if asked == head {
            let header = current.block.header().ok_or(Refusal::Unsigned { asked })?;
            let entries = prove(&current.state, &current.tree, keys);
            return Ok(StateProof { header, entries });
        }
        let header = self.header(Some(asked))?;
        let past = self.past(asked, head)?;
        let (state, tree) = &*past;
        if tree.root() != header.header.state_root {
            let reason = "it is not the one that its header names";
            return Err(DevnetError::damaged("state", reason).into());
        }
        let entries = prove(state, tree, keys);
        Ok(StateProof { header, entries })
    }

    fn past(&self, asked: Epoch, head: Epoch) -> Result<Arc<(ChainState, StateTree)>, Refusal> {
        let found = lock(&self.past).iter().find(|(height, _)| *height == asked).cloned();
        if let Some((_, past)) = found {
            return Ok(past);
        }
        let state = self.past_state(asked, head)?;
        let tree = StateTree::of(&state);
        let made = Arc::new((state, tree));
        let mut past = lock(&self.past);
        past.push_back((asked, made.clone()));
        while past.len() > PAST_KEPT {
            past.pop_front();
        }
        Ok(made)
    }
}

fn prove(state: &ChainState, tree: &StateTree, keys: &[StateKey]) -> Vec<EntryProof> {
    keys.iter().map(|key| tree.prove(state, key)).collect()
}
