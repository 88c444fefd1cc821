//! Randomness of the system: of the browser's `crypto.getRandomValues` in a page. Called wherever a key begins.

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
fn fill(_: &mut [u8]) -> Result<(), EncryptError> {
    Err(EncryptError::Random("this program was built without them".to_owned()))
}
