//! Hearing of a deal's next state as soon as there is one, instead of asking again and again (steps 7 to 12 of a deal).
//!
//! A query of 2019 is answered at once, so that a client learned of a complete deal seconds after it was. A watch names the
//! state that the client knows; the miner keeps the question open and answers when the deal is in another, or after
//! [`LONGEST_WATCH_MS`] without news. The answer is a query's, signed. Nothing is kept between two watches: after a restart
//! of either side the next one is answered from what is stored. Where a miner does not speak the protocol, or has no room,
//! the client asks as in 2019, with [`QUERY_PAUSE_MS`] in between.

use super::response::DealState;
use crate::wire::cbor::cbor_map;
use cid::Cid;

/// Longest time that a miner lets a watch wait, in milliseconds: below the 30 seconds of silence after which either side
/// gives an exchange up, with room for a slow line.
pub const LONGEST_WATCH_MS: u64 = 20_000;
/// Time between two queries of a miner that cannot be watched, in milliseconds; also the least time between two watches
/// without news: a miner that answers at once is asked no more often.
pub const QUERY_PAUSE_MS: u64 = 1_000;

/// Asks for the state of a deal once it is another than `state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRequest {
    pub cid: Cid,
    /// What the client knows.
    pub state: DealState,
}
cbor_map!(WatchRequest { "cid" => cid, "state" => state });

/// How long to wait before the next question, in milliseconds: none after news, and no longer than needed after a watch
/// that was open for `open_ms` without any.
pub fn pause_ms(is_news: bool, open_ms: u64) -> u64 {
    match is_news {
        true => 0,
        false => QUERY_PAUSE_MS.saturating_sub(open_ms),
    }
}

/// Whether what a miner says of a deal is news for who knows that it was in state `known`: only what lies ahead is. A
/// miner that goes to and fro is asked no more often than a silent one.
pub fn is_news(known: DealState, says: DealState) -> bool {
    says.is_terminal() || says > known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_ahead_is_news_and_an_end_always_is() {
        use DealState::{Accepted, Complete, Failed, Rejected, Staged, Started};
        assert!(is_news(Accepted, Started) && !is_news(Staged, Started) && !is_news(Staged, Staged));
        for end in [Rejected, Failed, Complete] {
            assert!(is_news(Staged, end), "{end}");
        }
    }

    #[test]
    fn the_next_watch_follows_news_at_once_and_an_idle_answer_after_a_pause() {
        assert_eq!(pause_ms(true, 0), 0);
        assert_eq!(pause_ms(false, 0), QUERY_PAUSE_MS);
        assert_eq!(pause_ms(false, QUERY_PAUSE_MS - 1), 1);
        assert_eq!(pause_ms(false, LONGEST_WATCH_MS), 0);
        assert_eq!(pause_ms(false, u64::MAX), 0);
    }
}
