//! A sector's life: pieces packed, sealed, committed on the chain, proven in every window, and released at last.
//!
//! The machine says what to do next; the daemon's prover, chain access and store do it.

pub mod failing;
pub mod machine;
pub mod post;
pub mod retention;
mod stage;
pub mod timing;

pub use failing::{pause_left_ms, retry_pause_ms, Setback};
pub use machine::{Sector, SectorEffect, SectorInput, SectorPiece};
pub use post::{post_duty, PostDuty, PostFacts};
pub use retention::SectorOver;
pub use stage::{Phase, Sealed, SectorStage};
