//! Files read once, on every core: the names of all their pieces, and the manifest.

use super::gathering::{Found, Gathered};
use crate::client::error::ClientError;
use crate::client::hashing::{self, Digested, Measured};
use crate::client::stored_files::FileSource;
use crate::client::Session;
use sealdrop_encryption::EncryptedFile;
use shared::file::{Cut, FileBuilder, FileEntry, Manifest, ManifestError, MAX_PIECES};
use shared::piece::SectorSize;

/// Where each file is cut for these sectors.
pub(super) fn cuts(gathered: &Gathered, sector: SectorSize) -> Result<Vec<Cut>, ClientError> {
    let cut = |file: &Found| {
        Cut::new(file.stored, sector).map_err(|source| ClientError::Cut {
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

/// Reads all files once, and says where they are. A file that changes meanwhile is an error. With keys, of each file its ciphertext is
/// measured, and its key is bound to that.
pub(super) async fn digest(
    session: &Session,
    gathered: Gathered,
    cuts: Vec<Cut>,
    keys: Vec<EncryptedFile>,
) -> Result<(Manifest, Vec<FileSource>, Vec<EncryptedFile>), ClientError> {
    let gauge = session
        .report
        .bytes("computing the commitments of all pieces", gathered.size());
    let name = gathered.place.clone();
    let work = tokio::task::spawn_blocking(move || {
        let (mut entries, mut sources, mut before, mut keys) = (Vec::new(), Vec::new(), 0, keys);
        for (index, (file, cut)) in gathered.files.into_iter().zip(cuts).enumerate() {
            let progress = |done: u64| gauge.at(done.saturating_add(before));
            let Digested { summary, nodes } = one(&file, keys.get(index), cut, &progress)?;
            before = before.saturating_add(file.stored);
            if let Some(key) = keys.get_mut(index) {
                key.bind(summary.root())?;
            }
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
        Ok((manifest, sources, keys))
    });
    let crashed = |error| ClientError::file("read", name)(std::io::Error::other(error));
    work.await.map_err(crashed)?
}

fn one(
    file: &Found,
    key: Option<&EncryptedFile>,
    cut: Cut,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Digested, ClientError> {
    if cut.pieces() > 0 {
        let facts = &file.facts;
        return hashing::digest_file(Measured { facts, key }, cut, progress);
    }
    let summary = FileBuilder::new(cut).finish();
    let summary = summary.map_err(|source| ClientError::FileDigest {
        path: file.facts.path.clone(),
        source,
    })?;
    let nodes = Vec::new();
    Ok(Digested { summary, nodes })
}
