//! Whose key signs the messages: an account that others may hold while its key is replaced.

use super::ChainError;
use shared::chain::{Address, SecretKey};
use std::sync::{Arc, PoisonError, RwLock};

/// An account that messages are sent from. Clones are the same account.
#[derive(Clone)]
pub struct Account {
    held: Arc<RwLock<Held>>,
}

#[derive(Clone)]
struct Held {
    address: Address,
    /// None when this node does not have it.
    key: Option<SecretKey>,
}

impl Account {
    /// The account of a key.
    pub fn of(key: SecretKey) -> Self {
        let (address, key) = (key.address(), Some(key));
        Self {
            held: Arc::new(RwLock::new(Held { address, key })),
        }
    }

    /// Who sends.
    pub fn address(&self) -> Address {
        self.held().address
    }

    /// The key that signs; an error when this node does not have it.
    pub fn key(&self) -> Result<SecretKey, ChainError> {
        let Held { address, key } = self.held();
        key.ok_or(ChainError::NoKey { account: address })
    }

    /// From now on messages are sent from this address, if its key is given.
    pub fn replace(&self, address: Address, key: Option<SecretKey>) {
        // Replaced in one assignment: whole after a panic, too.
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held { address, key };
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
