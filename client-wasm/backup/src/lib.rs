//! Recovery phrases and backups as a small WebAssembly module of its own: only who makes a backup, or takes one back, loads it with its list of words.
//!
//! Plain exports without generated glue; `client-wasm/js/backup-module.ts` is their only caller and gives them types. Text and bytes go in through one
//! buffer: ask [`input`] for room, write there, then call. Results lie at [`output`] until the next call. A function that can fail returns false
//! and leaves the reason, as text, as its result. Called by a worker that ends after one call, and its memory with it.
//!
//! The rules are those of `sealdrop_backup`; here the browser's form of a book (`js/store.ts`) becomes a backup and comes out of one. Random bytes
//! are handed in with what is encrypted. On a machine other than the browser this crate is empty.
#![cfg(target_arch = "wasm32")]

mod book;
#[path = "../../src/former.rs"]
mod former;
mod record {
    pub use sealdrop_backup::{NamedFile, Record};
}

use sealdrop_backup::{key, phrase};
use sealdrop_encryption::{
    decrypt_bytes, encrypt_bytes, hand_in, is_encrypted, Keys, Passphrase, Recipients, WorkFactor,
};
use shared::chain::RootKey;
use std::cell::RefCell;
use std::fmt::Display;
use zeroize::{Zeroize, Zeroizing};

/// Random bytes that come with what is encrypted: more than a header needs.
const RANDOM: usize = 256;

#[derive(Default)]
struct Module {
    input: Vec<u8>,
    output: Vec<u8>,
}

thread_local! {
    static MODULE: RefCell<Module> = RefCell::default();
}

/// Runs one call on the `length` bytes of the input; leaves its result, and tells whether it is one.
fn answer(length: usize, work: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>) -> bool {
    MODULE.with_borrow_mut(|module| {
        let outcome = match module.input.get(..length) {
            Some(written) => work(written),
            None => Err("ask for room first".to_owned()),
        };
        module.input.zeroize();
        let succeeded = outcome.is_ok();
        module.output = outcome.unwrap_or_else(String::into_bytes);
        succeeded
    })
}

fn words(error: impl Display) -> String {
    error.to_string()
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| words("it is not text"))
}

fn root(bytes: &[u8]) -> Result<RootKey, String> {
    let bytes = bytes.try_into().map_err(|_| words("a root has 32 bytes"))?;
    Ok(RootKey::from_bytes(bytes))
}

/// Room for `length` bytes. Valid until it is called again.
#[no_mangle]
pub extern "C" fn input(length: usize) -> *mut u8 {
    MODULE.with_borrow_mut(|module| {
        module.input.resize(length, 0);
        module.input.as_mut_ptr()
    })
}

/// Where the result begins.
#[no_mangle]
pub extern "C" fn output() -> *const u8 {
    MODULE.with_borrow(|module| module.output.as_ptr())
}

/// Bytes of the result.
#[no_mangle]
pub extern "C" fn output_length() -> usize {
    MODULE.with_borrow(|module| module.output.len())
}

/// The recovery phrase of a root of 32 bytes.
#[no_mangle]
pub extern "C" fn phrase_of(length: usize) -> bool {
    answer(length, |bytes| Ok(phrase::of_root(&root(bytes)?).as_bytes().to_vec()))
}

/// The 32 bytes of the root that a phrase says.
#[no_mangle]
pub extern "C" fn root_of(length: usize) -> bool {
    answer(length, |bytes| {
        let root = phrase::root_of(text(bytes)?).map_err(words)?;
        Ok(root.to_bytes().to_vec())
    })
}

/// What a backup is opened by: a passphrase of `key` bytes, or a root of 32.
enum By {
    Root(RootKey),
    Passphrase(Passphrase),
}

impl By {
    fn read(key: &[u8], by_passphrase: bool) -> Result<Self, String> {
        match by_passphrase {
            true => Ok(Self::Passphrase(Passphrase::new(text(key)?.to_owned()).map_err(words)?)),
            false => root(key).map(Self::Root),
        }
    }
}

/// A backup of a browser's book as an age file. The input is 256 random bytes, the key of `key` bytes, and the book as JSON.
#[no_mangle]
pub extern "C" fn seal(key: usize, by_passphrase: bool, length: usize) -> bool {
    answer(length, |bytes| {
        let (random, rest) = bytes.split_at_checked(RANDOM).ok_or_else(|| words("it is cut off"))?;
        let (key, book) = rest.split_at_checked(key).ok_or_else(|| words("it is cut off"))?;
        hand_in(random);
        let backup = book::pack(book)?;
        let sealed = match By::read(key, by_passphrase)? {
            By::Root(root) => encrypt_bytes(&Recipients::X25519(&[key::identity(&root).recipient()]), &backup),
            By::Passphrase(passphrase) => {
                encrypt_bytes(&Recipients::Passphrase(&passphrase, WorkFactor::default()), &backup)
            }
        };
        sealed.map_err(words)
    })
}

/// A browser's book of a backup, as it is taken back at `now`, in milliseconds since 1970. The input is the key of `key` bytes, and the file.
#[no_mangle]
pub extern "C" fn open(key: usize, by_passphrase: bool, length: usize, now: f64) -> bool {
    answer(length, |bytes| {
        let (key, sealed) = bytes.split_at_checked(key).ok_or_else(|| words("it is cut off"))?;
        if !is_encrypted(sealed) {
            return Err(words("this file is no backup"));
        }
        let opened = match By::read(key, by_passphrase)? {
            By::Root(root) => decrypt_bytes(Keys::Identities(&[key::identity(&root)]), sealed),
            By::Passphrase(passphrase) => decrypt_bytes(Keys::Passphrase(&passphrase), sealed),
        };
        book::unpack(&Zeroizing::new(opened.map_err(words)?), now as u64)
    })
}

/// Whether a deal of a backup takes the place of the one that is here: their states, the first of `first` bytes. The result is `yes` or `no`.
#[no_mangle]
pub extern "C" fn takes_the_place(first: usize, length: usize) -> bool {
    answer(length, |bytes| {
        let (backed, here) = bytes.split_at_checked(first).ok_or_else(|| words("it is cut off"))?;
        let record = |bytes| former::read(text(bytes)?).map_err(words);
        let takes = sealdrop_backup::restored::takes_the_place(&record(backed)?, &record(here)?);
        Ok(if takes { b"yes".to_vec() } else { b"no".to_vec() })
    })
}
