//! Answering questions about deals, and watches of them ([`shared::deal::watch`]). A peer that asks about a deal whose piece is
//! missing becomes a source of it.

use super::exchange::{Exchange, SHORT};
use super::transfers::TransferManager;
use super::{frames, Answers, ExchangeError};
use cid::Cid;
use futures::AsyncReadExt;
use libp2p::PeerId;
use shared::deal::watch::LONGEST_WATCH_MS;
use shared::deal::{DealState, MinerEffect, QueryRequest, Response, WatchRequest};
use std::borrow::BorrowMut;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};

/// Reads a question, answers it with the deal's state, signed by the worker; also when there is no such deal.
pub(super) async fn answer(
    answers: Answers,
    transfers: TransferManager,
    mut exchange: Exchange,
) -> Result<(), ExchangeError> {
    let QueryRequest { cid } = exchange.request(SHORT).await?;
    let response = response(&answers, &transfers, exchange.peer, cid)?;
    send(&answers, response, exchange).await
}

/// Reads a watch, and answers it as a query once the deal is in another state than the peer knows, or after a while. A peer
/// that leaves meanwhile is not answered.
pub(super) async fn watch(
    answers: Answers,
    transfers: TransferManager,
    mut exchange: Exchange,
) -> Result<(), ExchangeError> {
    let WatchRequest { cid, state } = exchange.request(SHORT).await?;
    let peer = exchange.peer;
    let changes = answers.store.deal_changes();
    let longest = Duration::from_millis(LONGEST_WATCH_MS);
    let awaited = next_state(changes, (cid, state), longest, || {
        response(&answers, &transfers, peer, cid)
    });
    // A peer that waits says nothing more: whatever can be read is its end.
    let mut nothing = [0];
    let response = tokio::select! {
        response = awaited => response?,
        _ = exchange.stream.read(&mut nothing) => return Ok(()),
    };
    send(&answers, response, exchange).await
}

/// What `look` finds of the deal as soon as that is another state than the one known; after `longest` whatever it finds.
/// Looks again when the deal changes; `changes` listens already.
async fn next_state(
    mut changes: broadcast::Receiver<Cid>,
    (deal, known): (Cid, DealState),
    longest: Duration,
    look: impl Fn() -> Result<Response, ExchangeError>,
) -> Result<Response, ExchangeError> {
    let limit = tokio::time::sleep(longest);
    tokio::pin!(limit);
    loop {
        let response = look()?;
        // A deal that is not here may never be, and nothing comes after an end: no place is held for either.
        let has_news = response.state != known || response.state == DealState::Unknown;
        if has_news || response.state.is_terminal() || limit.is_elapsed() {
            return Ok(response);
        }
        tokio::select! {
            () = changed(&mut changes, &deal) => {}
            () = &mut limit => {}
        }
    }
}

/// Returns when the deal may have changed.
pub(super) async fn changed(mut changes: impl BorrowMut<broadcast::Receiver<Cid>>, deal: &Cid) {
    loop {
        match changes.borrow_mut().recv().await {
            Ok(other) if other != *deal => {}
            // The store cannot be gone: whoever waits holds its miner.
            Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
        }
    }
}

/// How the deal stands.
fn response(answers: &Answers, transfers: &TransferManager, peer: PeerId, cid: Cid) -> Result<Response, ExchangeError> {
    Ok(match answers.store.deal(&cid)? {
        Some(record) => {
            if record.deal.effect() == MinerEffect::FetchPiece {
                transfers.source(cid, peer);
            }
            record.deal.response()
        }
        None => {
            let message = "no such deal".to_owned();
            Response {
                state: DealState::Unknown,
                message,
                proposal_cid: cid,
                proof_info: None,
            }
        }
    })
}

async fn send(answers: &Answers, response: Response, mut exchange: Exchange) -> Result<(), ExchangeError> {
    frames::write(&mut exchange.stream, &answers.sign(response)?).await?;
    frames::close(&mut exchange.stream).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Longer than any test.
    const LONG: Duration = Duration::from_secs(24 * 3600);

    fn deal(name: &[u8]) -> Cid {
        shared::chain::keys::cid_of_bytes(name)
    }

    fn in_state(state: DealState) -> Response {
        Response {
            state,
            message: String::new(),
            proposal_cid: deal(b"ours"),
            proof_info: None,
        }
    }

    #[tokio::test]
    async fn a_watch_ends_at_once_with_news_and_without_any_after_the_longest_wait() {
        let (changes, told) = broadcast::channel(4);
        let look = || Ok(in_state(DealState::Staged));
        let news = next_state(told, (deal(b"ours"), DealState::Accepted), LONG, look).await;
        assert_eq!(news.expect("it is there").state, DealState::Staged);
        let known = (deal(b"ours"), DealState::Staged);
        let none = next_state(changes.subscribe(), known, Duration::ZERO, look).await;
        assert_eq!(none.expect("it is there").state, DealState::Staged);
    }

    #[tokio::test]
    async fn a_watch_looks_again_when_its_deal_changes_and_only_then() {
        let (changes, told) = broadcast::channel(4);
        let (looks, state) = (Cell::new(0), Cell::new(DealState::Staged));
        let watching = next_state(told, (deal(b"ours"), DealState::Staged), LONG, || {
            looks.set(looks.get() + 1);
            Ok(in_state(state.get()))
        });
        tokio::pin!(watching);
        let told = |changed: &[u8]| changes.send(deal(changed)).expect("it listens");
        assert!(futures::poll!(&mut watching).is_pending() && futures::poll!(&mut watching).is_pending());
        assert_eq!(looks.get(), 1);
        state.set(DealState::Complete);
        told(b"another");
        assert!(futures::poll!(&mut watching).is_pending());
        assert_eq!(looks.get(), 1);
        state.set(DealState::Staged);
        // A change of what peers are not told.
        told(b"ours");
        assert!(futures::poll!(&mut watching).is_pending());
        assert_eq!(looks.get(), 2);
        state.set(DealState::Complete);
        // More than it can keep, its own not among the last.
        told(b"ours");
        for _ in 0..8 {
            told(b"another");
        }
        assert_eq!(watching.await.expect("it is there").state, DealState::Complete);
        assert_eq!(looks.get(), 3);
    }
}
