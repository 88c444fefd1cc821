//! Randomness of the system: of the browser's `crypto.getRandomValues` in a page. Called wherever a key begins. A module without the feature `random`
//! is handed its random bytes ([`hand_in`]).

use zeroize::Zeroizing;

use crate::error::EncryptError;

/// `N` random bytes, which are wiped when they are dropped.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, EncryptError> {
    let mut bytes = Zeroizing::new([0; N]);
    fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

#[cfg(feature = "random")]
fn fill(bytes: &mut [u8]) -> Result<(), EncryptError> {
    getrandom::fill(bytes).map_err(|error| EncryptError::Random(error.to_string()))
}

#[cfg(not(feature = "random"))]
use handed::fill;
#[cfg(not(feature = "random"))]
pub use handed::hand_in;

#[cfg(not(feature = "random"))]
mod handed {
    use crate::error::EncryptError;
    use std::cell::RefCell;
    use zeroize::Zeroizing;

    thread_local! {
        static BYTES: RefCell<Zeroizing<Vec<u8>>> = RefCell::default();
    }

    /// Random bytes of the host, each of which is used once: 128 are enough for a header of one recipient, or of a passphrase.
    pub fn hand_in(bytes: &[u8]) {
        BYTES.with_borrow_mut(|held| held.extend_from_slice(bytes));
    }

    pub(super) fn fill(bytes: &mut [u8]) -> Result<(), EncryptError> {
        BYTES.with_borrow_mut(|held| {
            let rest = held.len().checked_sub(bytes.len());
            let rest = rest.ok_or_else(|| EncryptError::Random("too few of them were handed in".to_owned()))?;
            for (byte, random) in bytes.iter_mut().zip(held.drain(rest..)) {
                *byte = random;
            }
            Ok(())
        })
    }
}
