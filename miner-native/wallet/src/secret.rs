//! Secrets as text: a key, or the root that accounts are derived from. What is no secret is refused without being quoted.

use shared::chain::{RootKey, SecretKey};

/// In front of a root's digits, so that it is not taken for a key.
const ROOT: &str = "root:";

/// Why a text is no secret. The text itself is never quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("it has {0} characters; give 64 hexadecimal digits")]
    Length(usize),
    #[error("it has characters other than 0-9 and a-f; give 64 hexadecimal digits")]
    Digits,
    #[error("its number is not below the order of secp256k1, or 0; give a key that a wallet exported")]
    Range,
}

/// What a wallet takes in.
pub(crate) enum Secret {
    Key(SecretKey),
    Root(RootKey),
}

/// The secret that a text says; white space around it does not matter.
pub(crate) fn parse(text: &str) -> Result<Secret, SecretError> {
    match text.trim().strip_prefix(ROOT) {
        Some(root) => Ok(Secret::Root(RootKey::from_bytes(digits(root)?))),
        None => parse_secret(text).map(Secret::Key),
    }
}

/// The key that 64 hexadecimal digits say.
pub(crate) fn parse_secret(text: &str) -> Result<SecretKey, SecretError> {
    SecretKey::from_bytes(&digits(text)?).ok_or(SecretError::Range)
}

/// The text of a key.
pub(crate) fn key_text(key: &SecretKey) -> String {
    hex::encode(key.to_bytes())
}

/// The text of a root.
pub(crate) fn root_text(root: &RootKey) -> String {
    format!("{ROOT}{}", hex::encode(root.to_bytes()))
}

fn digits(text: &str) -> Result<[u8; 32], SecretError> {
    let text = text.trim();
    if text.len() != 64 {
        return Err(SecretError::Length(text.chars().count()));
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| SecretError::Digits)?;
    Ok(bytes)
}
