//! Pieces that are in their sector alone.

use super::*;
use crate::testing::{piece, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_is_in_its_sector_alone_is_unsealed_once_for_all_who_ask() {
    let mut world = World::start().await;
    world.complete(1, 5000).await;
    let (bytes, piece) = piece(1, 500);
    let miner = world.miner();
    miner.indexing().settle_now(&piece.data_cid).expect("it is indexed");
    let router = open_to_pages(reading(miner.reading()), READS);
    let get = async |path: &str, headers: &[(HeaderName, &str)]| ask(&router, Method::GET, path, headers).await;
    let (by_comm_p, by_root) = (
        format!("/piece/{}", piece.piece_cid),
        format!("/ipfs/{}?format=raw", piece.data_cid),
    );
    let mut unsealed = miner.reader.restored();
    for path in [&by_comm_p, &by_root] {
        miner.staging.remove(&piece.data_cid).expect("removed");
        let cached = get(&by_root, &[(header::CACHE_CONTROL, "only-if-cached")]).await;
        assert_eq!(cached.status, StatusCode::PRECONDITION_FAILED, "it is not at hand");
        let answers = futures::future::join_all((0..4).map(|_| get(path, &[]))).await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.status == StatusCode::OK && answer.body == bytes),
            "{path}"
        );
        assert_eq!(unsealed.try_recv(), Ok(piece.data_cid));
        assert!(unsealed.try_recv().is_err(), "it was unsealed once");
    }
}
