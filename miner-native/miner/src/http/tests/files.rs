//! Whole files across pieces, by their own roots.

use super::cars::blocks;
use super::*;
use shared::file::{FileEntry, FilePiece, Manifest, RelativePath};
use shared::piece::DagBuilder;

/// A file of three pieces of two leaves and a bit.
struct Stored {
    bytes: Vec<u8>,
    root: Cid,
    pieces: Vec<PieceSummary>,
    manifest: Vec<u8>,
}

fn root_of(bytes: &[u8]) -> Cid {
    let mut builder = DagBuilder::new();
    builder.push(bytes).expect("it is small");
    builder.finish().expect("it has bytes").root
}

fn entry(name: &str, root: Cid, pieces: &[PieceSummary]) -> FileEntry {
    let mut offset = 0;
    let pieces: Vec<FilePiece> = pieces
        .iter()
        .map(|piece| {
            let placed = FilePiece {
                offset,
                size: piece.size,
                data_cid: piece.data_cid,
                comm_p: piece.comm_p,
            };
            offset += piece.size;
            placed
        })
        .collect();
    FileEntry::new(RelativePath::parse(name).expect("a name"), offset, root, pieces).expect("a file")
}

/// The pieces are stored; the manifest is not yet.
fn store(miner: &Miner) -> Stored {
    let bytes = data(4 * MIB + 77);
    let pieces: Vec<PieceSummary> = bytes.chunks(2 * MIB).map(|piece| miner.put(piece)).collect();
    let root = root_of(&bytes);
    let manifest = Manifest::file(entry("film.mp4", root, &pieces)).expect("a manifest");
    Stored {
        bytes,
        root,
        pieces,
        manifest: manifest.to_bytes().expect("it is short"),
    }
}

async fn car(miner: &Miner, root: &Cid, query: &str) -> Answer {
    miner.get(&format!("/ipfs/{root}?format=car{query}"), &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_makes_the_whole_file_known_by_its_root() {
    let miner = miner();
    let Stored {
        bytes, root, manifest, ..
    } = store(&miner);
    assert_eq!(car(&miner, &root, "").await.status, StatusCode::NOT_FOUND);
    miner.put(&manifest);
    let leaves: Vec<Cid> = bytes.chunks(MIB).map(raw_cid).collect();
    let whole = car(&miner, &root, "").await;
    assert_eq!(blocks(&whole.body), [&[root], leaves.as_slice()].concat());
    // A range over the border of two pieces.
    let part = car(&miner, &root, "&entity-bytes=2097151:2097152").await;
    assert_eq!(blocks(&part.body), [&[root], &leaves[1..3]].concat());
    let raw = miner.get(&format!("/ipfs/{root}?format=raw"), &[]).await;
    assert_eq!(shared::retrieval::gateway::verify_block(&root, &raw.body), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_itself_is_given_by_its_own_cid() {
    let miner = miner();
    let Stored { manifest, .. } = store(&miner);
    miner.put(&manifest);
    let answer = miner
        .get(&format!("/ipfs/{}?format=raw", Manifest::cid_of(&manifest)), &[])
        .await;
    assert_eq!(answer.body, manifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_its_pieces_and_for_one_that_comes_again() {
    let miner = miner();
    let Stored {
        bytes,
        root,
        pieces,
        manifest,
    } = store(&miner);
    miner.remove(&pieces[1].data_cid);
    miner.put(&manifest);
    assert_eq!(car(&miner, &root, "").await.status, StatusCode::NOT_FOUND);
    miner.put(&bytes[2 * MIB..4 * MIB]);
    assert_eq!(blocks(&car(&miner, &root, "").await.body).len(), 6);
    miner.remove(&pieces[0].data_cid);
    assert_eq!(car(&miner, &root, "").await.status, StatusCode::NOT_FOUND);
    miner.put(&bytes[..2 * MIB]);
    assert_eq!(blocks(&car(&miner, &root, "").await.body).len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_names_another_root_shows_nothing() {
    let miner = miner();
    let Stored { pieces, .. } = store(&miner);
    let lie = root_of(&data(4 * MIB + 78));
    let manifest = Manifest::file(entry("film.mp4", lie, &pieces)).expect("a manifest");
    miner.put(&manifest.to_bytes().expect("it is short"));
    assert_eq!(car(&miner, &lie, "").await.status, StatusCode::NOT_FOUND);
    // In another order they are another file.
    let turned = [&pieces[1..2], &pieces[..1], &pieces[2..]].concat();
    let manifest = Manifest::file(entry("film.mp4", lie, &turned)).expect("a manifest");
    miner.put(&manifest.to_bytes().expect("it is short"));
    assert_eq!(car(&miner, &lie, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_with_the_last_manifest_that_names_it() {
    let miner = miner();
    let Stored {
        root, pieces, manifest, ..
    } = store(&miner);
    let first = miner.put(&manifest);
    let name = RelativePath::parse("album").expect("a name");
    let folder = Manifest::folder(name, vec![entry("a/film.mp4", root, &pieces)]).expect("a folder");
    let second = miner.put(&folder.to_bytes().expect("it is short"));
    miner.remove(&first.data_cid);
    assert_eq!(blocks(&car(&miner, &root, "").await.body).len(), 6);
    miner.remove(&second.data_cid);
    assert_eq!(car(&miner, &root, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_and_a_file_across_pieces_of_the_same_root_do_not_take_each_other_along() {
    let miner = miner();
    let Stored {
        bytes, root, manifest, ..
    } = store(&miner);
    assert_eq!(miner.put(&bytes).data_cid, root);
    let named = miner.put(&manifest).data_cid;
    miner.remove(&named);
    assert_eq!(blocks(&car(&miner, &root, "").await.body).len(), 6);
    miner.put(&manifest);
    miner.remove(&root);
    assert_eq!(blocks(&car(&miner, &root, "").await.body).len(), 6);
}
