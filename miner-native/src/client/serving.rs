//! The files that this process has and miners fetch (step 7 of a deal): moves the bytes.
//!
//! A miner opens the stream and asks; [`shared::client::offers`] decides the answer.

use super::reading::PieceReader;
use cid::Cid;
use futures::StreamExt;
use libp2p::{PeerId, Stream};
use libp2p_stream::IncomingStreams;
use sealdrop_miner::network::frames::{self, StreamError};
use shared::client::offers::{self, Decision, Nodes, PieceCopy, MAX_STREAMS};
use shared::transfer::{RefusalCode, Request, Response};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{watch, Semaphore};

/// How the fetching of a file goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// End of the furthest range that was asked for.
    pub bytes: u64,
    /// Whether a range could not be read: the file has changed or is gone.
    pub unreadable: bool,
}

/// A deal's file or part of one, and who is told how far it was fetched.
#[derive(Clone)]
struct ServedFile {
    piece: PieceReader,
    served: watch::Sender<Served>,
}

/// The files on offer. Clones share them.
#[derive(Clone)]
pub struct Offers {
    files: Arc<Mutex<offers::Offers<ServedFile>>>,
    room: Arc<Semaphore>,
}

impl Default for Offers {
    fn default() -> Self {
        Self {
            files: Arc::default(),
            room: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }
}

impl Offers {
    /// Offers a part of a file for a deal with the miner of this peer id from now on, as long as this process lives; tells how far it was
    /// fetched.
    pub fn offer(
        &self,
        root: Cid,
        deal: &str,
        miner: &str,
        piece: PieceReader,
        nodes: Nodes,
    ) -> watch::Receiver<Served> {
        let (served, watching) = watch::channel(Served::default());
        let (size, miner) = (piece.size(), miner.to_owned());
        let place = ServedFile { piece, served };
        let copy = PieceCopy { miner, place };
        self.files().offer(root, size, || nodes, deal, copy);
        watching
    }

    /// Ends the offer for a deal. Others of the same file stay.
    pub fn withdraw(&self, root: &Cid, deal: &str) {
        self.files().withdraw(root, deal);
    }

    /// So many bytes of a file are at a miner that it was sent to another way.
    pub(super) fn sent(&self, root: &Cid, miner: &str, bytes: u64) {
        let note = |served: &mut Served| served.bytes = served.bytes.max(bytes);
        let fetched = self.files().fetched_by(root, miner);
        fetched.iter().for_each(|copy| copy.served.send_modify(note));
    }

    /// Serves every stream that comes in, until the node ends.
    pub(super) async fn serve_all(self, mut incoming: IncomingStreams) {
        while let Some((peer, stream)) = incoming.next().await {
            // Dropping a stream resets it: the miner tries again.
            let Ok(permit) = self.room.clone().try_acquire_owned() else {
                continue;
            };
            let offers = self.clone();
            tokio::spawn(async move {
                if let Err(error) = offers.serve(&peer, stream).await {
                    tracing::debug!(%peer, %error, "a transfer ended");
                }
                drop(permit);
            });
        }
    }

    async fn serve(&self, peer: &PeerId, mut stream: Stream) -> Result<(), StreamError> {
        let mut unread = Vec::new();
        loop {
            while let Some(request) = Request::take(&mut unread)? {
                let frame = self.answer(peer, &request).await.to_frame()?;
                frames::write_bytes(&mut stream, &frame).await?;
            }
            frames::flush(&mut stream).await?;
            match frames::read_more(&mut stream, &mut unread).await {
                Ok(()) => {}
                // The miner has what it wanted.
                Err(StreamError::Closed) if unread.is_empty() => return frames::close(&mut stream).await,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) async fn answer(&self, peer: &PeerId, request: &Request) -> Response {
        let decision = self.files().decide(request);
        let (offset, len, copies) = match decision {
            Decision::Answer(response) => return response,
            Decision::Read { offset, len, copies } => (offset, len, copies),
        };
        for ServedFile { piece, served } in copies {
            if let Some(bytes) = piece.range(offset, len).await {
                self.sent(&request.root, &peer.to_string(), offset.saturating_add(u64::from(len)));
                return Response::Data(bytes);
            }
            served.send_modify(|served| served.unreadable = true);
        }
        Response::refusal(RefusalCode::ReadFailed)
    }

    /// A panic while the lock was held leaves a whole map: each change is one insertion or removal.
    fn files(&self) -> MutexGuard<'_, offers::Offers<ServedFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::source::FileFacts;
    use shared::piece::PieceDigest;
    use shared::transfer::Target;

    fn whole(facts: FileFacts) -> PieceReader {
        let part = 0..facts.size;
        PieceReader::clear(facts, part)
    }

    async fn offered(bytes: &[u8], miner: &PeerId) -> (tempfile::TempDir, Cid, Offers, watch::Receiver<Served>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let mut digest = PieceDigest::new();
        digest.push(bytes).unwrap();
        let root = digest.finish().unwrap().data_cid;
        let offers = Offers::default();
        let facts = FileFacts::of(&path).unwrap();
        let served = offers.offer(root, "one", &miner.to_string(), whole(facts), Nodes::new());
        (dir, root, offers, served)
    }

    #[tokio::test]
    async fn ranges_of_an_offered_file_are_served_and_counted() {
        let miner = PeerId::random();
        let (dir, root, offers, served) = offered(b"0123456789", &miner).await;
        let target = Target::Bytes { offset: 4, len: 6 };
        let answer = offers.answer(&miner, &Request { root, target }).await;
        assert_eq!(answer, Response::Data(b"456789".to_vec()));
        assert_eq!(
            *served.borrow(),
            Served {
                bytes: 10,
                unreadable: false
            }
        );
        let facts = FileFacts::of(&dir.path().join("file")).unwrap();
        let other = offers.offer(root, "two", &miner.to_string(), whole(facts), Nodes::new());
        offers.withdraw(&root, "one");
        assert!(matches!(
            offers.answer(&miner, &Request { root, target }).await,
            Response::Data(_)
        ));
        assert_eq!(other.borrow().bytes, 10);
        offers.withdraw(&root, "two");
        let answer = offers.answer(&miner, &Request { root, target }).await;
        assert_eq!(answer, Response::refusal(RefusalCode::UnknownPiece));
    }

    #[tokio::test]
    async fn a_part_of_a_file_is_served_by_its_own_offsets_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        let (miner, root) = (PeerId::random(), shared::piece::node::raw_cid(b"345"));
        let offers = Offers::default();
        let facts = FileFacts::of(&path).unwrap();
        let served = offers.offer(
            root,
            "one",
            &miner.to_string(),
            PieceReader::clear(facts, 3..6),
            Nodes::new(),
        );
        for (offset, len, expected) in [
            (0, 3, Response::Data(b"345".to_vec())),
            (2, 1, Response::Data(b"5".to_vec())),
            (2, 2, Response::refusal(RefusalCode::OutOfRange)),
        ] {
            let target = Target::Bytes { offset, len };
            assert_eq!(offers.answer(&miner, &Request { root, target }).await, expected);
        }
        assert_eq!(served.borrow().bytes, 3);
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_refused_and_reported() {
        let miner = PeerId::random();
        let (dir, root, offers, served) = offered(b"0123456789", &miner).await;
        std::fs::remove_file(dir.path().join("file")).unwrap();
        let target = Target::Bytes { offset: 0, len: 1 };
        let answer = offers.answer(&miner, &Request { root, target }).await;
        assert_eq!(answer, Response::refusal(RefusalCode::ReadFailed));
        assert!(served.borrow().unreadable);
    }

    #[tokio::test]
    async fn what_one_deals_copy_has_lost_another_deals_copy_still_gives() {
        let miner = PeerId::random();
        let (dir, root, offers, served) = offered(b"0123456789", &miner).await;
        let path = dir.path().join("other");
        std::fs::write(&path, b"0123456789").unwrap();
        let facts = FileFacts::of(&path).unwrap();
        let other = offers.offer(root, "two", &miner.to_string(), whole(facts), Nodes::new());
        std::fs::remove_file(dir.path().join("file")).unwrap();
        let target = Target::Bytes { offset: 0, len: 10 };
        let answer = offers.answer(&miner, &Request { root, target }).await;
        assert_eq!(answer, Response::Data(b"0123456789".to_vec()));
        assert!(served.borrow().unreadable && !other.borrow().unreadable);
        assert_eq!(other.borrow().bytes, 10);
    }
}
