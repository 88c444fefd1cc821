//! What a miner does wrong on purpose, as a test switches it on and off.

use serde::{Deserialize, Serialize};
use shared::deal::RejectionCode;

/// A miner's faults; by default it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Faults {
    /// It breaks connections off and takes no new ones.
    pub drop_connection: bool,
    /// It refuses quotes and proposals with this number of a [`RejectionCode`].
    pub refuse: Option<u16>,
    pub lie: Option<Lie>,
    /// It delivers no proof-of-spacetime.
    #[serde(rename = "missPoSt")]
    pub miss_post: bool,
    /// Blocks that sealing takes longer.
    pub slow: u64,
}

/// What a miner says that is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// Another replica than the one on the chain.
    #[serde(rename = "commR")]
    CommR,
    /// An inclusion proof that does not hold.
    Inclusion,
    /// Other bytes than the piece, to whoever fetches it.
    PieceBytes,
}

/// Why faults cannot be switched on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("there is no miner {0}")]
    NoMiner(String),
    #[error("no miner refuses with code {0}: see the table of rejection codes")]
    NoCode(u16),
}

impl Faults {
    /// Whether a miner can have them.
    pub fn check(&self) -> Result<(), FaultError> {
        match self.refuse.filter(|_| self.refusal().is_none()) {
            Some(code) => Err(FaultError::NoCode(code)),
            None => Ok(()),
        }
    }

    /// The code that it refuses with.
    pub(crate) fn refusal(&self) -> Option<RejectionCode> {
        let number = self.refuse?;
        RejectionCode::ALL.iter().copied().find(|code| *code as u16 == number)
    }
}
