//! Why a miner could not get a deal's piece, as its client is told: stable numbers beside the texts.
//!
//! The messages of 2019 have no place for a number, so the text of a code that 2019 had no text for ends with it. A client reads it
//! back with [`FailureCode::of`], from the answer to a query or a watch. Decided by [`super::MinerDeal`].

/// Stable numbers; none is ever used for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum FailureCode {
    /// The piece did not come in time, or no peer can ever send it.
    TransferFailed = 2001,
    /// Who offered the piece sent something else than what the proposal names.
    WrongData = 2002,
}

impl FailureCode {
    /// Every code, in order.
    pub const ALL: &'static [Self] = &[Self::TransferFailed, Self::WrongData];

    /// What a client is told.
    pub const fn message(self) -> &'static str {
        match self {
            Self::TransferFailed => "Transfer failed",
            Self::WrongData => "Transfer failed: what was sent is not the proposed piece (code 2002); the file may have changed since: store it in a new deal",
        }
    }

    /// The code of a failed deal's message, with or without words before it.
    pub fn of(message: &str) -> Option<Self> {
        let ends = |code: &&Self| message.ends_with(code.message());
        // The longest first: one text begins like the other.
        Self::ALL.iter().rev().find(ends).copied()
    }
}

impl core::fmt::Display for FailureCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reads_the_code_from_what_it_is_told() {
        for code in FailureCode::ALL {
            assert_eq!(FailureCode::of(code.message()), Some(*code));
            let reason = alloc::format!("deal failed: {code}");
            assert_eq!(FailureCode::of(&reason), Some(*code));
        }
        assert_eq!(FailureCode::of("failed sealing sector: 3"), None);
        let number = alloc::format!("{}", FailureCode::WrongData as u16);
        assert!(FailureCode::WrongData.message().contains(&number));
    }
}
