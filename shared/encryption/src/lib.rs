//! Encryption in the client, before CommP, in the age format ([`age-encryption.org/v1`](https://age-encryption.org/v1)): miners and everybody
//! else see only the ciphertext, and `age -d` reads what comes back.
//!
//! Called by both hosts of the client: the terminal (`miner-native/src/client`) and the browser (`client-wasm`). It does no I/O; its only
//! wish to the system is randomness.
//!
//! # To store a file
//!
//! ```
//! # use sealdrop_encryption::*;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let identity = Identity::generate()?;
//! # let plaintext = vec![7; 100_000];
//! // To whom: recipients, or a passphrase.
//! let recipients = [identity.recipient()];
//! let key = EncryptionKey::generate(&Recipients::X25519(&recipients))?;
//! let mut file = EncryptedFile::new(key, plaintext.len() as u64)?;
//! // Keep `file` now (serde). Then hash the ciphertext, range by range, in as many workers as there are:
//! let range = 0..file.ciphertext_len();
//! let needed = file.plain_range(&range)?;
//! let made = file.encrypt_range(&range, &plaintext[needed.start as usize..needed.end as usize])?;
//! let leaf = sha256(made.for_hashing());
//! // Bind the root that was found, and keep `file` again. Only then may anything leave:
//! # let root = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku".parse().map_err(|_| "no CID")?;
//! file.bind(root)?;
//! let sent: Vec<u8> = file.encrypt_range(&range, &plaintext)?.release(&leaf)?;
//! # fn sha256(bytes: &[u8]) -> [u8; 32] { use sha2::Digest; sha2::Sha256::digest(bytes).into() }
//! # assert!(decrypt_bytes(Keys::Identities(&[identity]), &sent)? == plaintext);
//! # Ok(()) }
//! ```
//!
//! No encrypted copy is on the disk: any range is made again from the file. **One key never encrypts two files**: [`mod@file`] says how
//! callers are held to that, and why. A file that is read once, from a pipe, goes through [`Encryptor`], in pushes of any length and with one chunk
//! in memory; it ends with the [`EncryptedFile`]. What a manifest says of names is hidden by [`encrypt_bytes`], as a small file of its own.
//!
//! # To get it back
//!
//! [`Decryptor`] reads any range of the file from the chunks of 64 KiB that it lies in; [`StreamDecryptor`] reads from the beginning to the end as it
//! comes; [`decrypt_bytes`] reads what is small. Whoever has the [`Identity`] or the passphrase reads; **without them nobody does**, so
//! whoever makes one for a person has to offer it for safekeeping ([`Identity::to_secret_text`], `sealdrop client keygen`).
//!
//! Of what is encrypted everybody sees the length, to the byte, how many recipients it has, and whether it has a passphrase; not who the
//! recipients are.
//!
//! # What it costs
//!
//! 0.9 to 1.2 GB/s natively and 0.77 GB/s in WebAssembly, a thread; a header of one recipient 70 µs natively. A range that begins within a chunk makes the
//! whole chunk: an unaligned MiB costs a sixteenth more, 256 KiB a quarter more. Nothing but whole chunks is held.
//!
//! # What is bounded
//!
//! A header comes from anybody: it and the nonce have [`MAX_HEAD_BYTES`] at most, [`MAX_STANZAS`] recipients, and a passphrase no higher
//! work factor than [`WorkFactor::MAX`] (`age` goes two further, to 4 GiB of memory). Files beyond that are refused in words
//! that name `age -d`, which reads them.
//!
//! # Why it is written here
//!
//! The `age` crate (0.12) reads ranges, but it writes streams only: header, MAC and payload nonce are made inside, so nothing that was encrypted
//! can be made again. Its recipients could be taken for the stanzas; the crate brings HPKE, ML-KEM, P-256 and Fluent's translations with it
//! (some sixty crates that the browser's client does not have), for two stanzas of twenty lines. The ciphers here are those of RustCrypto and dalek that
//! libp2p's Noise has anyhow; new are `scrypt` with `salsa20` and `pbkdf2`, and `bech32`. Not read are the armored (text) form, keys of SSH and of plugins,
//! and the post-quantum recipients of age 1.3; each is refused by its name.
#![forbid(unsafe_code)]
// Headers and lengths come from anybody. Tests may reckon as they like; what goes wrong fails them.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod chunk;
mod decryptor;
mod error;
pub mod file;
mod header;
mod kept;
mod keys;
mod layout;
mod passphrase;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable;
mod random;
mod secret;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
mod small;
mod streaming;
mod wrap;
mod x25519;

pub use decryptor::{head_len, Decryptor};
pub use error::{DecryptError, EncryptError, KeyError, RangeError};
pub use file::{EncryptedFile, EncryptionKey, Unreleased};
pub use header::{readers, Readers, MAX_HEAD_BYTES, MAX_STANZAS};
pub use keys::{Keys, Recipients};
pub use layout::{CHUNK_BYTES, MAX_PLAIN_BYTES, SEALED_CHUNK_BYTES, TAG_BYTES};
pub use passphrase::{Passphrase, WorkFactor, MAX_PASSPHRASE_BYTES};
#[cfg(not(feature = "random"))]
pub use random::hand_in;
pub use small::{decrypt_bytes, encrypt_bytes, is_encrypted};
pub use streaming::{Encryptor, StreamDecryptor};
pub use x25519::{Identity, Recipient, MAX_IDENTITIES};
