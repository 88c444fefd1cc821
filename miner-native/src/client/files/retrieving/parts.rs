//! A range of a file: its leaves over HTTP where a miner gives them so, else the pieces that it touches.

use super::{Back, Found, Pieces, Progress, PIECES_AT_ONCE};
use crate::client::destination::{Destination, Spool};
use crate::client::error::ClientError;
use crate::client::files::decrypting;
use crate::client::files::spool::PieceSpool;
use crate::client::{fetching, ranged, Session};
use futures::StreamExt;
use sealdrop_encryption::MAX_HEAD_BYTES;
use shared::chain::Address;
use shared::file::{Contents, FileEntry, FilePiece};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

/// Holders of a piece that are asked over HTTP for a part of it, before all of it is fetched.
const ASKED_OVER_HTTP: usize = 4;

/// Brings a range of a single file back: its leaves over HTTP, or where no miner gives them so, the pieces that it touches. Of an
/// encrypted file, it is a range of what was encrypted.
pub async fn retrieve_range(
    session: &Session,
    found: &Found,
    range: Range<u64>,
    output: PathBuf,
    miner: Option<&Address>,
) -> Result<Back, ClientError> {
    let Contents::File(file) = found.manifest.contents() else {
        let reason = "a range is of one file, and this is a folder; retrieve it as a whole".to_owned();
        return Err(ClientError::Range { reason });
    };
    let to = Destination::at(output.clone())?;
    let spool = PieceSpool::unnamed(&output, file.size())?;
    let mut ranged = Ranged {
        pieces: Pieces::new(session, found.placement.as_ref(), miner).await?,
        file,
        spool,
        whole: BTreeSet::new(),
    };
    let mut written = Spool::create(&to)?;
    match &found.opener {
        None => {
            ranged.fetch(session, range.clone()).await?;
            ranged.spool.copy_part(range.clone(), &mut written)?;
        }
        Some(opener) => {
            if opener.needs_head() {
                ranged.fetch(session, 0..file.size().min(MAX_HEAD_BYTES as u64)).await?;
            }
            let decryptor = opener.decryptor((0, file), &ranged.spool)?;
            let cipher = decryptor.cipher_range(&range).map_err(wrong_range)?;
            ranged.fetch(session, cipher).await?;
            let opened = (&decryptor, file);
            decrypting::decrypt(opened, range.clone(), &ranged.spool, |bytes| written.write(bytes))?;
        }
    }
    written.keep()?;
    Ok(Back {
        id: found.id.clone(),
        path: output,
        files: 1,
        size: range.end.saturating_sub(range.start),
        decrypted: found.opener.is_some(),
        data_cid: Some(file.root()),
    })
}

fn wrong_range(error: impl ToString) -> ClientError {
    let reason = error.to_string();
    ClientError::Range { reason }
}

/// A file of which a part is fetched.
struct Ranged<'a> {
    pieces: Pieces<'a>,
    file: &'a FileEntry,
    spool: PieceSpool,
    /// Pieces that are here as a whole.
    whole: BTreeSet<usize>,
}

impl Ranged<'_> {
    /// Fetches a range, but for what of it lies in pieces that are here.
    async fn fetch(&mut self, session: &Session, range: Range<u64>) -> Result<(), ClientError> {
        let (file, whole) = (self.file, &self.whole);
        let spans = file.spans(range).map_err(wrong_range)?;
        let missing = spans.filter(|span| !whole.contains(&span.piece));
        let parts = missing.filter_map(|span| Some((span.piece, file.pieces().get(span.piece)?, span.bytes)));
        let parts: Vec<Part<'_>> = parts.collect();
        let bytes = parts.iter().map(|(_, _, part)| part.end.saturating_sub(part.start));
        let gauge = session.report.bytes("receiving", bytes.fold(0, u64::saturating_add));
        let progress = Progress {
            gauge: &gauge,
            done: AtomicU64::new(0),
        };
        let mut whole = self.pieces.fetch_parts(&parts, &self.spool, &progress).await?;
        self.whole.append(&mut whole);
        Ok(())
    }
}

/// A piece's place in its file, and bytes of it.
type Part<'a> = (usize, &'a FilePiece, Range<u64>);

impl Pieces<'_> {
    /// Fetches parts of pieces; returns those pieces of which all is here.
    async fn fetch_parts(
        &self,
        parts: &[Part<'_>],
        spool: &PieceSpool,
        progress: &Progress<'_>,
    ) -> Result<BTreeSet<usize>, ClientError> {
        let work = parts.iter().map(|(index, piece, part)| async move {
            let is_part = self.fetch_part(*index, piece, part, spool).await?;
            if !is_part {
                self.fetch(*index, piece, spool).await?;
            }
            progress.add(part.end.saturating_sub(part.start));
            Ok::<_, ClientError>((!is_part).then_some(*index))
        });
        let mut all = futures::stream::iter(work).buffer_unordered(PIECES_AT_ONCE);
        let mut whole = BTreeSet::new();
        while let Some(fetched) = all.next().await {
            whole.extend(fetched?);
        }
        Ok(whole)
    }

    /// Fetches a part of a piece over HTTP, from the first of its holders that gives it so; `false` when none does.
    async fn fetch_part(
        &self,
        index: usize,
        piece: &FilePiece,
        part: &Range<u64>,
        spool: &PieceSpool,
    ) -> Result<bool, ClientError> {
        // It is never closed.
        let _room = self.room.acquire().await;
        for holder in self
            .holders(index, &piece.data_cid, piece.size)
            .iter()
            .take(ASKED_OVER_HTTP)
        {
            let mut sink = spool.piece(piece.offset.saturating_add(part.start));
            let wanted = (piece.data_cid, piece.size);
            match ranged::fetch(&self.session, wanted, part.clone(), holder, &mut sink).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) if fetching::is_the_miners(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
