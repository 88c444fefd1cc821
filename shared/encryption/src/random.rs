//! Randomness of the system: of the browser's `crypto.getRandomValues` in a page. Called wherever a key begins.

use zeroize::Zeroizing;

use crate::error::EncryptError;

/// `N` random bytes, which are wiped when they are dropped.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, EncryptError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| EncryptError::Random(error.to_string()))?;
    Ok(bytes)
}
