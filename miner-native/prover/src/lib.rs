//! Sealing, proofs-of-spacetime and their parameters, on filecoin-proofs.
//!
//! The only crate that names filecoin-proofs: what it offers takes paths, numbers and 32-byte arrays.
//! The miner calls it for steps 9 to 15 of a deal (staged, sealed, proved, retrieved); the development
//! chain calls [`verify_seal`] and [`verify_window_post`] when a miner commits a sector or proves a window.
//!
//! Order of use: [`init`] once; [`params::install_verifying_keys`] to verify; [`params::ensure`] to prove. With the
//! official parameters of Filecoin's networks: [`init_from`], then [`params::check_official`].
//!
//! **The generated parameters are insecure by design and for development networks only:** see [`params`].

#![warn(missing_docs)]

mod error;
mod implementation;
mod needs;
pub mod params;
mod sector;
mod session;
mod size;
mod snark;
pub mod usage;
mod verify;

pub use error::{is_shortage, Error};
pub use implementation::Implementation;
pub use needs::{Memory, Needs};
pub use sealdrop_groth16::Report;
pub use sealdrop_lanes::Kernel;
pub use sector::{
    check_pre_commit, clear_cache, commit1, commit2, commit2_reported, data_commitment, layout, open_sector,
    partition_sectors, partitions, pre_commit1, pre_commit2, remove_unsealed, unseal_piece, unseal_range, window_post,
    write_unsealed, OpenPiece, Piece, PlacedPiece, PreCommit, ProvingSector, SectorFiles, SectorIdentity, WindowProof,
    MAX_WINDOW_SECTORS, MIN_PIECE, PARTITION_PROOF_BYTES, PROOF_BYTES,
};
pub use session::{init, init_from, session, Session};
pub use size::SectorSize;
pub use snark::{break_own_proofs, Refusal};
pub use verify::{verify_seal, verify_window_post};
