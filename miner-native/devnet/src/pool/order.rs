//! Whose turn it is in the next block: urgent messages first, up to half of the block, then the highest gas price; at the
//! same price one of each sender at a time, so that nobody has to wait for all of another's.

use super::{Class, Pool, Waiting, URGENT_PER_SENDER};
use shared::chain::{AttoFil, ChainState};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The messages of one sender that follow one another, from the one whose turn it is.
struct Run<'a> {
    messages: Vec<&'a Waiting>,
    /// How many of them go first: those up to the last urgent one, within the share of one sender.
    urgent: usize,
}

/// The next message of a run: the greater goes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    is_urgent: bool,
    price: AttoFil,
    /// Messages of the same run before it.
    taken: Reverse<usize>,
    run: Reverse<usize>,
}

impl<'a> Run<'a> {
    fn new(next: u64, messages: Vec<&'a Waiting>) -> Self {
        let due = messages.into_iter().skip_while(|waiting| waiting.nonce() < next);
        let follows = |(at, waiting): &(u64, &Waiting)| waiting.nonce() == next.saturating_add(*at);
        let messages: Vec<_> = (0u64..)
            .zip(due)
            .take_while(follows)
            .map(|(_, waiting)| waiting)
            .collect();
        let urgent = messages.iter().rposition(|waiting| waiting.class == Class::Urgent);
        let urgent = urgent.map_or(0, |last| last + 1).min(URGENT_PER_SENDER);
        Self { messages, urgent }
    }

    fn turn(&self, run: usize, taken: usize) -> Option<Turn> {
        let price = self.messages.get(taken)?.price();
        Some(Turn {
            is_urgent: taken < self.urgent,
            price,
            taken: Reverse(taken),
            run: Reverse(run),
        })
    }
}

impl Pool {
    /// The messages of the next block, in their order; at most `most`.
    pub fn ready(&self, state: &ChainState, most: usize) -> Vec<Waiting> {
        let senders = self.senders().into_iter();
        let runs: Vec<Run> = senders
            .map(|(sender, messages)| Run::new(state.nonce(sender), messages))
            .collect();
        let first = runs.iter().enumerate().filter_map(|(at, run)| run.turn(at, 0));
        let mut turns: BinaryHeap<Turn> = first.collect();
        let (mut ready, mut urgent) = (Vec::new(), 0);
        while ready.len() < most {
            let Some(turn) = turns.pop() else { break };
            if turn.is_urgent && urgent >= most.div_ceil(2) {
                let is_urgent = false;
                turns.push(Turn { is_urgent, ..turn });
                continue;
            }
            urgent += usize::from(turn.is_urgent);
            let (Reverse(at), Reverse(taken)) = (turn.run, turn.taken);
            let Some(run) = runs.get(at) else { break };
            ready.extend(run.messages.get(taken).map(|waiting| (*waiting).clone()));
            turns.extend(run.turn(at, taken + 1));
        }
        ready
    }
}
