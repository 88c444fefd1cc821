//! A sector's life: data written, sealed, proved in every window, read back.
//!
//! All functions block for as long as their work takes; call them on dedicated threads. The paths of a
//! sector belong to this module: see [`SectorFiles`].

mod files;
mod layout;
mod own;
mod sealing;
mod staging;
mod unsealing;
mod upkeep;
mod window;

pub use files::SectorFiles;
pub use layout::{layout, Piece, PlacedPiece, MIN_PIECE};
pub use sealing::{
    check_pre_commit, clear_cache, commit1, commit2, commit2_reported, pre_commit1, pre_commit2, PreCommit,
    SectorIdentity, PROOF_BYTES,
};
pub use staging::{data_commitment, write_unsealed, OpenPiece};
pub use unsealing::{unseal_piece, unseal_range};
pub use upkeep::{open_sector, remove_unsealed};
pub use window::{
    partition_sectors, partitions, window_post, ProvingSector, WindowProof, MAX_WINDOW_SECTORS, PARTITION_PROOF_BYTES,
};

pub(crate) use window::field_safe;
