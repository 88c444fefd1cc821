//! Receipts: made of a deal in the book, and checked wherever they come from, with nothing but the file.
//!
//! Called by `client receipt` and `client verify-receipt`. What shows what is decided by [`shared::client::passport`]; proofs are checked by
//! `sealdrop-verify` under the keys of development networks.

use super::book::Record;
use super::error::ClientError;
use super::history::{Past, Proven};
use super::Session;
use sealdrop_verify::{check_seal, check_window_post, BuiltIn, Circuit, Key, Refusal};
use shared::client::passport::{
    gather, Claims, GatherError, Inspection, Measured, Passport, ProofVerdict, Receipt, Verdicts, Viewpoint,
};
use shared::piece::{PieceDigest, SectorSize};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 20;

/// Gathers the receipt of a deal.
pub async fn make(session: &Session, record: &Record) -> Result<Receipt, ClientError> {
    session.check_chain(record)?;
    let file = match &record.part_of {
        Some(id) => session.book.find_file(id)?,
        None => None,
    };
    let manifest = file.as_ref().map(|file| file.manifest_bytes.as_slice());
    let chain = session.account_chain().reader;
    let (past, proven) = (Past(chain.clone()), Proven(chain));
    gather(record, manifest, &past, &proven)
        .await
        .map_err(|error| match error {
            GatherError::NotSigned => ClientError::NotYet {
                deal: record.name(),
                state: record.state(),
                advice: "nothing of it is signed yet; `sealdrop client resume` goes on with it",
            },
            GatherError::Genesis(text) => ClientError::OtherChain {
                url: session.chain.url().to_owned(),
                ours: text,
                theirs: session.genesis().to_owned(),
            },
            GatherError::Chain(error) => ClientError::chain(error),
            GatherError::Proofs(error) => error,
        })
}

/// Checks everything in a receipt, its proofs too.
pub fn judge(inspection: &Inspection, view: &Viewpoint) -> Passport {
    inspection.judge(&verdicts(&inspection.claims()), view)
}

/// What the keys that are built in say of a receipt's proofs.
pub fn verdicts(claims: &Claims) -> Verdicts {
    let size = claims.seal.as_ref().map(|claim| claim.sector_size);
    let posts = claims.posts.iter().flatten().map(|claim| claim.sector_size);
    let sizes: Vec<SectorSize> = size.into_iter().chain(posts).take(1).collect();
    let keys = BuiltIn::for_sizes(&sizes);
    let seal = |claim| verdict(&keys, Circuit::PoRep, sizes.first(), claim, check_seal);
    let post = |claim| verdict(&keys, Circuit::WindowPoSt, sizes.first(), claim, check_window_post);
    Verdicts {
        seal: claims.seal.as_ref().map(seal),
        posts: claims.posts.iter().map(|claim| claim.as_ref().map(post)).collect(),
    }
}

fn verdict<C>(
    keys: &BuiltIn,
    circuit: Circuit,
    size: Option<&SectorSize>,
    claim: &C,
    check: impl Fn(&Key, &C) -> Result<(), Refusal>,
) -> ProofVerdict {
    let unchecked = |reason: String| ProofVerdict::Unchecked { reason };
    let Some(size) = size else {
        return unchecked("the receipt names no sector size".to_owned());
    };
    match keys.key(circuit, *size) {
        Err(fault) => unchecked(fault.reason),
        Ok(key) => match check(key, claim) {
            Ok(()) => ProofVerdict::Holds {
                key: hex::encode(key.digest()),
            },
            Err(refusal) => ProofVerdict::Fails {
                reason: refusal.to_string(),
            },
        },
    }
}

/// Hashes the data that a receipt is said to be about.
pub fn measure(path: &Path) -> Result<Measured, MeasureError> {
    let mut file = File::open(path)?;
    let mut digest = PieceDigest::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => digest.push(bytes)?,
            _ => break,
        }
    }
    let found = digest.finish()?;
    Ok(Measured {
        data_cid: found.data_cid,
        size: found.size,
        comm_p: found.comm_p,
    })
}

/// Why data have no names.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    #[error(transparent)]
    Read(#[from] std::io::Error),
    #[error(transparent)]
    Digest(#[from] shared::piece::DigestError),
}
