//! What a payee or a payer has to know of a payment channel, read from the chain (spec §5.2).
//!
//! Taken by [`crate::deal::review()`] before a deal, by [`super::next_redemption`] while it runs and by
//! [`crate::deal::Refund`] when it has failed.

use crate::chain::view::ChannelView;
use crate::chain::{Address, AttoFil, Epoch};

/// A payment channel as the chain has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelFacts {
    pub target: Address,
    /// Everything paid in.
    pub amount: AttoFil,
    /// What the target has taken out of it.
    pub amount_redeemed: AttoFil,
    /// First height at which nothing can be redeemed and the payer may reclaim.
    pub eol: Epoch,
    /// The end of life that was agreed on: later than `eol` while the payer's cancellation stands.
    pub agreed_eol: Epoch,
    /// The key that may sign for the channel beside its payer's ([`crate::chain::session`]).
    pub session: Option<Address>,
}

impl ChannelFacts {
    /// Whether the payer has cancelled and nothing was redeemed since.
    pub fn is_cancelled(&self) -> bool {
        self.eol < self.agreed_eol
    }
}

impl From<&ChannelView> for ChannelFacts {
    fn from(view: &ChannelView) -> Self {
        Self {
            target: view.target.clone(),
            amount: view.amount,
            amount_redeemed: view.amount_redeemed,
            eol: view.eol,
            agreed_eol: view.agreed_eol,
            session: view.session.clone(),
        }
    }
}
