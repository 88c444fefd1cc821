//! The files that this process has and miners fetch (step 7 of a deal): which, what is answered, how far it is.
//!
//! A miner opens the stream and asks; [`shared::transfer::serve`] decides the answer. Blocks are checked by the miner, so
//! it does not matter who asks.

use super::source::FileFacts;
use cid::Cid;
use futures::StreamExt;
use libp2p::Stream;
use libp2p_stream::IncomingStreams;
use sealdrop_miner::network::frames::{self, StreamError};
use shared::transfer::{serve, PieceSource, RefusalCode, Request, Response, Serve};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{watch, Semaphore};

/// Streams served at once, at most: each holds one answer of 256 KiB.
const MAX_STREAMS: usize = 32;

/// How the fetching of a file goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// End of the furthest range that was asked for.
    pub bytes: u64,
    /// Whether a range could not be read: the file has changed or is gone.
    pub unreadable: bool,
}

struct Offer {
    file: FileFacts,
    nodes: BTreeMap<Cid, Vec<u8>>,
    served: watch::Sender<Served>,
}

/// The offers of one file, by the deal that each is made for.
type ByDeal = BTreeMap<String, Arc<Offer>>;

/// The files on offer. Clones share them.
#[derive(Clone)]
pub struct Offers {
    files: Arc<Mutex<BTreeMap<Cid, ByDeal>>>,
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
    /// Offers a file for a deal from now on, as long as this process lives; tells how far it was fetched.
    pub fn offer(
        &self,
        root: Cid,
        deal: &str,
        file: FileFacts,
        nodes: BTreeMap<Cid, Vec<u8>>,
    ) -> watch::Receiver<Served> {
        let (served, watching) = watch::channel(Served::default());
        let offer = Arc::new(Offer { file, nodes, served });
        self.files().entry(root).or_default().insert(deal.to_owned(), offer);
        watching
    }

    /// Ends the offer for a deal. Others of the same file stay.
    pub fn withdraw(&self, root: &Cid, deal: &str) {
        let mut files = self.files();
        if let Some(deals) = files.get_mut(root) {
            deals.remove(deal);
            if deals.is_empty() {
                files.remove(root);
            }
        }
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
                if let Err(error) = offers.serve(stream).await {
                    tracing::debug!(%peer, %error, "a transfer ended");
                }
                drop(permit);
            });
        }
    }

    async fn serve(&self, mut stream: Stream) -> Result<(), StreamError> {
        let mut unread = Vec::new();
        loop {
            while let Some(request) = Request::take(&mut unread)? {
                let frame = self.answer(&request).await.to_frame()?;
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

    async fn answer(&self, request: &Request) -> Response {
        let offers: Vec<Arc<Offer>> = match self.files().get(&request.root) {
            Some(deals) => deals.values().cloned().collect(),
            None => return Response::refusal(RefusalCode::UnknownPiece),
        };
        let mut answer = Response::refusal(RefusalCode::UnknownPiece);
        for offer in &offers {
            let piece = PieceSource {
                root: request.root,
                size: offer.file.size,
                nodes: &offer.nodes,
            };
            let (offset, len) = match serve(request, &piece) {
                Serve::Node(bytes) => return Response::Data(bytes.to_vec()),
                Serve::Refuse(code) => return Response::refusal(code),
                Serve::Range { offset, len } => (offset, len),
            };
            if let Some(bytes) = offer.file.range(offset, len).await {
                let end = offset.saturating_add(u64::from(len));
                // All of them are this file: what one has given, the others need not.
                let note = |served: &mut Served| served.bytes = served.bytes.max(end);
                offers.iter().for_each(|offer| offer.served.send_modify(note));
                return Response::Data(bytes);
            }
            offer.served.send_modify(|served| served.unreadable = true);
            answer = Response::refusal(RefusalCode::ReadFailed);
        }
        answer
    }

    /// A panic while the lock was held leaves a whole map: each change is one insertion or removal.
    fn files(&self) -> MutexGuard<'_, BTreeMap<Cid, ByDeal>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::piece::PieceDigest;
    use shared::transfer::Target;

    async fn offered(bytes: &[u8]) -> (tempfile::TempDir, Cid, Offers, watch::Receiver<Served>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let mut digest = PieceDigest::new();
        digest.push(bytes).unwrap();
        let root = digest.finish().unwrap().data_cid;
        let offers = Offers::default();
        let served = offers.offer(root, "one", FileFacts::of(&path).unwrap(), BTreeMap::new());
        (dir, root, offers, served)
    }

    #[tokio::test]
    async fn ranges_of_an_offered_file_are_served_and_counted() {
        let (dir, root, offers, served) = offered(b"0123456789").await;
        let target = Target::Bytes { offset: 4, len: 6 };
        let answer = offers.answer(&Request { root, target }).await;
        assert_eq!(answer, Response::Data(b"456789".to_vec()));
        assert_eq!(
            *served.borrow(),
            Served {
                bytes: 10,
                unreadable: false
            }
        );
        let other = offers.offer(
            root,
            "two",
            FileFacts::of(&dir.path().join("file")).unwrap(),
            BTreeMap::new(),
        );
        offers.withdraw(&root, "one");
        assert!(matches!(
            offers.answer(&Request { root, target }).await,
            Response::Data(_)
        ));
        assert_eq!(other.borrow().bytes, 10);
        offers.withdraw(&root, "two");
        let answer = offers.answer(&Request { root, target }).await;
        assert_eq!(answer, Response::refusal(RefusalCode::UnknownPiece));
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_refused_and_reported() {
        let (dir, root, offers, served) = offered(b"0123456789").await;
        std::fs::remove_file(dir.path().join("file")).unwrap();
        let target = Target::Bytes { offset: 0, len: 1 };
        let answer = offers.answer(&Request { root, target }).await;
        assert_eq!(answer, Response::refusal(RefusalCode::ReadFailed));
        assert!(served.borrow().unreadable);
    }
}
