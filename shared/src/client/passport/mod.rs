//! The deal passport: each of a deal's fifteen steps (design §2) with whose word it stands on, from artefacts that anybody can check.
//!
//! A [`Receipt`] holds them: what the client computed and signed, what the miner answered, messages of the chain with the headers of their
//! blocks, proofs and what their randomness was drawn from. The client makes one of a deal at any time ([`gather`]), shows the passport of it, and
//! hands it on as a file; whoever has the file checks it with no network at all, and for ever: nothing here asks anybody.
//!
//! 1. [`Receipt::read`] takes the file apart, from whomever it is.
//! 2. [`Inspection::open`] holds every artefact against those that it must agree with. [`ArtefactKind::step`] is the table of which step an
//!    artefact shows; one that is damaged makes this step wrong and no other: those that rest on it are not judged, which is said.
//! 3. [`Inspection::claims`] are the proofs for whoever verifies such, here or in a module of its own.
//! 4. [`Inspection::judge`] says how all steps stand.
//!
//! Called by the terminal's `client receipt` and `client verify-receipt`, and by the page.

mod anchoring;
pub mod artefact;
pub mod gathering;
mod inspection;
mod parts;
pub mod receipt;
mod standing;
mod step;
#[cfg(any(test, feature = "testing"))]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what goes wrong fails the test"
)]
pub mod testing;
pub mod view;

pub use artefact::{Artefact, ArtefactKind};
pub use gathering::{gather, GatherError};
pub use inspection::{Claims, Conclusion, Inspection, Measured, Passport, ProofVerdict, Verdicts, Viewpoint};
pub use receipt::{Receipt, ReceiptError};
pub use step::{DealStep, StepReport, StepStanding};
pub use view::PassportView;
