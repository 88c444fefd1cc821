//! A piece, or some bytes of it, from any miner's HTTP by the piece CID alone: without chain, deal or data CID, and without trust. The miner
//! gives a proof ([`shared::piece::range`]) and the bytes; what does not lead to CommP is not written.
//!
//! Called by `client retrieve --piece`.

use super::destination::{Destination, Spool};
use super::error::ClientError;
use super::miner_http::MinerHttp;
use super::report::Report;
use shared::piece::range::MAX_PROOF_NODES;
use shared::piece::{PieceName, PieceSize, QuadRange, RangeCheck, RangeProof, SizedPieceCid};
use shared::retrieval::proof::{checkable, path_of_bytes, path_of_proof, NODE_BYTES};
use std::ops::Range;

/// What is to be had.
pub struct Wanted<'a> {
    pub name: PieceName,
    /// Bytes of the piece, where its name does not say so.
    pub size: Option<PieceSize>,
    /// First and last byte; all without.
    pub range: Option<(u64, u64)>,
    /// The miner's HTTP, as `http://host:port`.
    pub from: &'a str,
}

/// What came.
pub struct Came {
    pub piece: SizedPieceCid,
    pub bytes: Range<u64>,
}

/// Fetches the bytes, checks them, and writes them.
pub async fn retrieve(wanted: &Wanted<'_>, to: &Destination, report: &Report) -> Result<Came, ClientError> {
    let piece = match (wanted.name, wanted.size) {
        (PieceName::V1(cid), Some(size)) => SizedPieceCid::new(cid.0, size),
        (PieceName::V2(cid), Some(size)) if cid.size() != size.bytes() => {
            let (says, given) = (cid.size(), size.bytes());
            let reason =
                format!("this piece CID says that the piece has {says} bytes, and --size {given}; leave --size out");
            return Err(ClientError::Range { reason });
        }
        (name, _) => checkable(&name)?,
    };
    let size = PieceSize::new(piece.size()).map_err(|error| outside(&error))?;
    let bytes = match wanted.range {
        Some((first, last)) => first..last.saturating_add(1),
        None => 0..piece.size(),
    };
    let range = QuadRange::around(&bytes, size).map_err(|error| outside(&error))?;
    let miner = MinerHttp::at(wanted.from)?.patiently();
    let proof = proof_of(&miner, &piece, &bytes).await?;
    let check = RangeCheck::begin(&piece, range, &proof).map_err(|error| miner.failed(error))?;
    let mut written = Spool::create(to)?;
    bytes_of(&miner, check, &bytes, &mut written, report).await?;
    written.keep()?;
    Ok(Came { piece, bytes })
}

fn outside(error: &dyn std::error::Error) -> ClientError {
    ClientError::Range {
        reason: error.to_string(),
    }
}

async fn proof_of(miner: &MinerHttp<'_>, piece: &SizedPieceCid, bytes: &Range<u64>) -> Result<RangeProof, ClientError> {
    let body = miner.get(&path_of_proof(piece, bytes), None).await?;
    // One byte more, so that a longer one is seen to be none.
    let body = body.first(MAX_PROOF_NODES * NODE_BYTES + 1).await?;
    RangeProof::from_bytes(&body).map_err(|error| miner.failed(error))
}

/// Writes the bytes that were asked for, out of those that are checked.
async fn bytes_of(
    miner: &MinerHttp<'_>,
    mut check: RangeCheck,
    bytes: &Range<u64>,
    to: &mut Spool,
    report: &Report,
) -> Result<(), ClientError> {
    let (piece, wide) = (*check.piece(), check.range().bytes());
    let asked = (wide != (0..piece.size())).then_some(&wide);
    let mut body = miner.get(&path_of_bytes(&piece), asked).await?;
    let gauge = report.bytes("receiving", wide.end.saturating_sub(wide.start));
    let mut at = wide.start;
    while let Some(chunk) = body.next().await? {
        check.push(&chunk).map_err(|error| miner.failed(error))?;
        to.write(within(&chunk, at, bytes))?;
        at = at.saturating_add(chunk.len() as u64);
        gauge.at(at.saturating_sub(wide.start));
    }
    check.finish().map_err(|error| miner.failed(error))
}

/// What of a chunk that begins at byte `at` lies in these bytes.
fn within<'a>(chunk: &'a [u8], at: u64, bytes: &Range<u64>) -> &'a [u8] {
    let place = |byte: u64| (byte.saturating_sub(at) as usize).min(chunk.len());
    chunk.get(place(bytes.start)..place(bytes.end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Request;
    use axum::http::{header, StatusCode};
    use axum::response::IntoResponse;
    use axum::Router;
    use shared::piece::{CommPHasher, Outline};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;

    struct Piece {
        bytes: Vec<u8>,
        cid: SizedPieceCid,
        outline: Outline,
    }

    fn piece() -> Arc<Piece> {
        let bytes: Vec<u8> = (0..300_000u32).map(|at| (at * 7 + (at >> 9)) as u8).collect();
        let mut hasher = CommPHasher::with_outline(shared::piece::range::SLICE);
        hasher.push(&bytes).unwrap();
        let (piece, outline) = hasher.finish_with_outline().unwrap();
        Arc::new(Piece {
            cid: SizedPieceCid::of(&piece).unwrap(),
            outline: outline.unwrap(),
            bytes,
        })
    }

    /// A miner that flips a bit of what it gives at `lies` (of the bytes, or of the proof), and first says twice that it needs time.
    async fn miner(piece: Arc<Piece>, lies: Option<&'static str>) -> String {
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = move |request: Request| {
            let (piece, asked) = (piece.clone(), asked.clone());
            async move {
                if asked.fetch_add(1, Ordering::SeqCst) < 2 {
                    return (
                        StatusCode::SERVICE_UNAVAILABLE,
                        [(header::RETRY_AFTER, "0")],
                        Vec::<u8>::new(),
                    )
                        .into_response();
                }
                let of_proof = request.uri().path().ends_with("/proof");
                let first_and_last = match of_proof {
                    true => request.uri().query().unwrap().strip_prefix("range=").unwrap(),
                    false => match request.headers().get(header::RANGE) {
                        Some(range) => range.to_str().unwrap().strip_prefix("bytes=").unwrap(),
                        None => "0-299999",
                    },
                };
                let (first, last) = first_and_last.split_once('-').unwrap();
                let range = first.parse::<u64>().unwrap()..last.parse::<u64>().unwrap() + 1;
                let part = |range: &Range<u64>| piece.bytes[range.start as usize..range.end as usize].to_vec();
                let mut body = match of_proof {
                    true => {
                        let size = PieceSize::new(piece.cid.size()).unwrap();
                        let range = QuadRange::around(&range, size).unwrap();
                        let [left, right] = piece.outline.edges(&range).map(|edge| part(&edge));
                        piece.outline.prove(&range, [&left, &right]).unwrap().to_bytes()
                    }
                    false => part(&range),
                };
                if lies == Some(if of_proof { "proof" } else { "bytes" }) {
                    body[0] ^= 1;
                }
                let is_whole = !of_proof && !request.headers().contains_key(header::RANGE);
                let status = match of_proof || is_whole {
                    true => StatusCode::OK,
                    false => StatusCode::PARTIAL_CONTENT,
                };
                (status, body).into_response()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        url
    }

    async fn get(
        piece: &Arc<Piece>,
        lies: Option<&'static str>,
        range: Option<(u64, u64)>,
    ) -> Result<Vec<u8>, ClientError> {
        let from = miner(piece.clone(), lies).await;
        let wanted = Wanted {
            name: PieceName::V2(piece.cid),
            size: None,
            range,
            from: &from,
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        let to = Destination::at(path.clone()).unwrap();
        let came = retrieve(&wanted, &to, &Report::new()).await;
        assert_eq!(path.exists(), came.is_ok(), "nothing is written that is not checked");
        came.map(|_| std::fs::read(path).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_range_comes_as_it_was_asked_for_and_a_whole_piece_too() {
        let piece = piece();
        for (first, last) in [(0, 0), (126, 127), (100_000, 250_001), (299_999, 299_999)] {
            let part = get(&piece, None, Some((first, last))).await.unwrap();
            assert!(part == piece.bytes[first as usize..=last as usize], "{first}-{last}");
        }
        assert!(get(&piece, None, None).await.unwrap() == piece.bytes);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_not_the_pieces_is_not_written() {
        let piece = piece();
        for lies in ["proof", "bytes"] {
            let refused = get(&piece, Some(lies), Some((100_000, 250_001))).await;
            assert!(
                matches!(refused, Err(ClientError::Http { reason, .. }) if reason.contains("not those of the piece"))
            );
        }
        let beyond = get(&piece, None, Some((0, 300_000))).await;
        assert!(matches!(beyond, Err(ClientError::Range { .. })));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_name_without_a_size_is_not_enough_and_with_one_it_is() {
        let piece = piece();
        let from = miner(piece.clone(), None).await;
        let mut wanted = Wanted {
            name: PieceName::V1(piece.cid.comm_p.into()),
            size: None,
            range: Some((5, 9)),
            from: &from,
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        let to = Destination::at(path.clone()).unwrap();
        let refused = retrieve(&wanted, &to, &Report::new()).await;
        assert!(matches!(refused, Err(ClientError::SizeUnknown(_))));
        wanted.size = Some(PieceSize::new(300_000).unwrap());
        retrieve(&wanted, &to, &Report::new()).await.unwrap();
        assert!(std::fs::read(path).unwrap() == piece.bytes[5..10]);
    }
}
