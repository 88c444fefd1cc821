//! What can go wrong, in words for whoever has the file: what, why, what to do next.

use std::ops::Range;

use cid::Cid;

use crate::header::{MAX_HEAD_BYTES, MAX_STANZAS};
use crate::passphrase::{WorkFactor, MAX_PASSPHRASE_BYTES};

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("this is not an age recipient: {0}; one looks like age1 followed by 58 letters and digits")]
    Recipient(&'static str),
    #[error("this is not an age identity: {0}; one looks like AGE-SECRET-KEY-1 followed by 58 letters and digits")]
    Identity(&'static str),
    #[error("this is an identity, which is secret, where a recipient belongs; give the age1… that goes with it")]
    IdentityForRecipient,
    #[error("this is a recipient, which only encrypts; give the identity that goes with it: AGE-SECRET-KEY-1…")]
    RecipientForIdentity,
    #[error("{0} are not supported; make a recipient of the kind age1… with `sealdrop client keygen` or `age-keygen`")]
    OtherKind(&'static str),
    #[error("line {line}: {error}")]
    Line { line: usize, error: Box<KeyError> },
    #[error("there is no identity in it, only empty lines and comments")]
    NoIdentities,
    #[error("there are more than {0} identities in it; leave only those that may open the file")]
    TooManyIdentities(usize),
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    #[error("the passphrase is longer than {MAX_PASSPHRASE_BYTES} bytes")]
    LongPassphrase,
    #[error(
        "a work factor of {given} is not between {} and {}",
        WorkFactor::MIN,
        WorkFactor::MAX
    )]
    WorkFactor { given: u8 },
}

/// A range that a file does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bytes {} to {} are not a range of its {length} bytes", .range.start, .range.end)]
pub struct RangeError {
    pub range: Range<u64>,
    pub length: u64,
}

/// Why something cannot be encrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    #[error("nobody to encrypt to: give at least one recipient")]
    NoRecipients,
    #[error("{given} recipients are more than {MAX_STANZAS}; encrypt to a few, and share their identity")]
    TooManyRecipients { given: usize },
    #[error("the recipient's key is one that no identity goes with; ask for another")]
    WeakRecipient,
    #[error("a passphrase with work factor {log_n} takes {mib} MiB of memory, which is not there; close other programs, or use a recipient")]
    Memory { log_n: u8, mib: u64 },
    #[error("{bytes} bytes are more than can be encrypted")]
    TooLong { bytes: u64 },
    #[error("ciphertext: {0}")]
    Range(#[from] RangeError),
    #[error("bytes {} to {} of the file are needed, and {given} were given; the file may have become shorter: choose the same file again", .needed.start, .needed.end)]
    Plaintext { needed: Range<u64>, given: u64 },
    #[error(
        "the file is not what it was when it was encrypted first, and the same key must not encrypt another: \
         choose the same file again, or store this one anew"
    )]
    Changed,
    #[error("the encrypted file is {first}, and now it would be {now}: the file has changed; choose the same file again, or store this one anew")]
    OtherRoot { first: Cid, now: Cid },
}

/// Why something cannot be decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    #[error("this is not a file in the age format: it does not begin with age-encryption.org/v1")]
    NotAge,
    #[error("this is an age file as text; make it binary first: `age -d` reads it")]
    Armored,
    #[error("this age file has another version than v1; use a newer program")]
    Version,
    #[error("more of the file is needed: the header is not complete after {given} bytes, and ends before byte {MAX_HEAD_BYTES}")]
    Incomplete { given: usize },
    #[error("the header is longer than {MAX_HEAD_BYTES} bytes; `age -d` may read it")]
    LongHeader,
    #[error("the header has more than {MAX_STANZAS} recipients; `age -d` may read it")]
    TooManyStanzas,
    #[error("the header is damaged: {0}; get the file again")]
    Header(&'static str),
    #[error("the header was changed after it was written; get the file again")]
    HeaderMac,
    #[error("none of the given identities opens this file: it was encrypted to other recipients")]
    NoIdentityFits,
    #[error("this file was encrypted with a passphrase; give it")]
    PassphraseNeeded,
    #[error("this file was encrypted to recipients; give an identity (AGE-SECRET-KEY-1…) in place of a passphrase")]
    IdentityNeeded,
    #[error("the passphrase is not the one that this file was encrypted with")]
    WrongPassphrase,
    #[error("the passphrase's work factor is {log_n}, and more than {} is refused, since it takes {} MiB of memory; `age -d` may read it", WorkFactor::MAX, memory(*log_n))]
    WorkFactor { log_n: u8 },
    #[error(
        "the passphrase takes {mib} MiB of memory, which is not there; close other programs, or decrypt elsewhere"
    )]
    Memory { mib: u64 },
    #[error("the file is cut off: {0}; get it again")]
    Truncated(&'static str),
    #[error("there are bytes behind the end of the encrypted file; get it again, without them")]
    Trailing,
    #[error("the file is damaged in the 64 KiB from byte {offset} on; get that part again")]
    Damaged { offset: u64 },
    #[error("the file: {0}")]
    Range(#[from] RangeError),
    #[error("bytes {} to {} of the encrypted file are needed, and {given} were given", .needed.start, .needed.end)]
    Ciphertext { needed: Range<u64>, given: u64 },
}

/// MiB of memory that scrypt takes for this work factor: 128 · 8 · 2^N bytes.
pub(crate) fn memory(log_n: u8) -> u64 {
    1u64.checked_shl(u32::from(log_n).saturating_sub(10))
        .unwrap_or(u64::MAX)
}
