//! Files read once, on every core: the names of all their pieces, and the manifest.

use super::gathering::{Found, Gathered};
use crate::client::error::ClientError;
use crate::client::hashing::{self, Digested};
use crate::client::stored_files::FileSource;
use crate::client::Session;
use shared::file::{Cut, FileBuilder, FileEntry, Manifest, ManifestError, MAX_PIECES};
use shared::piece::SectorSize;

/// Where each file is cut for these sectors.
pub(super) fn cuts(gathered: &Gathered, sector: SectorSize) -> Result<Vec<Cut>, ClientError> {
    let cut = |file: &Found| {
        Cut::new(file.facts.size, sector).map_err(|source| ClientError::Cut {
            path: file.facts.path.clone(),
            source,
        })
    };
    let cuts: Vec<Cut> = gathered.files.iter().map(cut).collect::<Result<_, _>>()?;
    let pieces = cuts.iter().fold(0u64, |sum, cut| sum.saturating_add(cut.pieces()));
    match pieces > MAX_PIECES {
        true => Err(ManifestError::TooManyPieces { pieces }.into()),
        false => Ok(cuts),
    }
}

/// Reads all files once, and says where they are. A file that changes meanwhile is an error.
pub(super) async fn digest(
    session: &Session,
    gathered: Gathered,
    cuts: Vec<Cut>,
) -> Result<(Manifest, Vec<FileSource>), ClientError> {
    let gauge = session
        .report
        .bytes("computing the commitments of all pieces", gathered.size());
    let name = gathered.place.clone();
    let work = tokio::task::spawn_blocking(move || {
        let (mut entries, mut sources, mut before) = (Vec::new(), Vec::new(), 0);
        for (file, cut) in gathered.files.into_iter().zip(cuts) {
            let size = file.facts.size;
            let Digested { summary, nodes } = one(&file, cut, &|done: u64| gauge.at(done.saturating_add(before)))?;
            before = before.saturating_add(size);
            let entry = FileEntry::of(file.path.clone(), &summary);
            let path = file.path;
            entries.push(entry.map_err(|error| ManifestError::Entry { path, error })?);
            sources.push(FileSource {
                facts: file.facts,
                nodes,
            });
        }
        let manifest = match gathered.is_folder {
            true => Manifest::folder(gathered.name, entries)?,
            false => Manifest::file(entries.into_iter().next().ok_or(ManifestError::NoFiles)?)?,
        };
        Ok((manifest, sources))
    });
    let crashed = |error| ClientError::file("read", name)(std::io::Error::other(error));
    work.await.map_err(crashed)?
}

fn one(file: &Found, cut: Cut, progress: &(dyn Fn(u64) + Sync)) -> Result<Digested, ClientError> {
    if cut.pieces() > 0 {
        return hashing::digest_file(&file.facts, cut, progress);
    }
    let summary = FileBuilder::new(cut).finish();
    let summary = summary.map_err(|source| ClientError::FileDigest {
        path: file.facts.path.clone(),
        source,
    })?;
    let nodes = Vec::new();
    Ok(Digested { summary, nodes })
}
