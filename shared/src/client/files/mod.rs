//! Files of any size (design §10): which deals a file's pieces need, and when there are enough of them.
//!
//! Truth is kept once: a piece's copies are derived from the deals in the client's book ([`Copy::of`]), of which each says whose part
//! it is ([`super::DealRecord::part_of`]). What is kept beside them is a [`FileRecord`], small and seldom written, and the manifest's
//! bytes, which never change. After a crash the same deals give the same [`Placement`], and [`needs()`] says the same again: a deal that
//! was kept is seen, and one that was not kept was never paid.
//!
//! Called by both hosts, which draw deals up, carry them on and move bytes. In order:
//!
//! 1. [`sector_for`] says which sectors the file is cut for; [`crate::file`] makes the manifest of it.
//! 2. [`quote`] says what all of it costs at most; its user consents to that once ([`FileOrder::most`]).
//! 3. The host keeps the manifest and the [`FileRecord`], and from then on asks [`Placement::next_need`] whether there is a deal to be made
//!    ([`Placement::candidates`] with whom), draws it up with [`super::Choosing`], keeps it, and hands every record that changes to
//!    [`Placement::take`]; until nothing is under way and there is no next one.
//! 4. [`drills`] fetch a copy now and then: one that fails three times in a row is lost, which is no copy any more.
//!
//! What is decided, and where:
//!
//! - **How many deals, with whom, and when it is enough** ([`needs()`]): one rule for the first placing, for the next candidate after a
//!   refusal or a failure, for further copies, and for repair. Copies of a piece are at different miners, and all deals of a file
//!   together never cost more than was consented to.
//! - **What counts as a copy** ([`copies`]), and how many deals go on at once ([`placement`]).
//! - **What a file's state is called** ([`view`]), and what is known of miners ([`score`]).

pub mod copies;
pub mod drills;
pub mod needs;
pub mod placement;
pub mod record;
pub mod score;
pub mod sectors;
pub mod view;

pub use copies::{Copy, Failure, Standing};
pub use drills::{Check, Drill, DrillVerdict, Drills, STRIKES};
pub use needs::{needs, GivenUp, PieceNeeds, ATTEMPTS_PER_COPY};
pub use placement::{PieceSource, PlacedPiece, Placement, DEALS_UNDER_WAY, PIECES_UNDER_WAY};
pub use record::{Encryption, FileOrder, FileRecord, MinerChoice, NothingToAbandon, OrderError, ABANDONED, MAX_COPIES};
pub use score::{score_cards, ScoreCard};
pub use sectors::{quote, quote_manifest, sector_for, FileQuote, SectorError};
pub use view::{CheckView, CopyView, FileProgress, FileState, FileView, PieceView};

#[cfg(test)]
mod tests;
