//! Encryption and decryption in the age format as a WebAssembly module of its own: every worker that hashes, sends or fetches encrypted
//! files has one, and nobody loads it who encrypts nothing.
//!
//! Plain exports without generated glue; `client-wasm/js/age.ts` is their only caller and gives them types. Bytes go in through one buffer: ask
//! [`input`] for room, write there, then call. Results lie at [`output`] until the next call. A function that can fail returns false and
//! leaves the reason, as text, as its result.
//!
//! What a file is opened with stays open under a number: a file of one's own by what was kept of it ([`open_kept`]), or anybody's by its head
//! and a key ([`open_sealed`]). The rules are those of `sealdrop_encryption`; **what [`encrypt`] makes is not released**: it may be hashed,
//! and leaves the machine only after `js/sealing.ts` has compared its SHA-256 with the one that is known.
//!
//! Keys are made in the client's own module, which has randomness. On a machine other than the browser this crate is empty.
#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;

use sealdrop_encryption::{Decryptor, EncryptedFile, Identity, Keys, Passphrase};
use zeroize::Zeroize;

/// Files that are open at once, at most: a worker has one slice and the next one, and the network's worker sends eight pieces at a time.
const MOST_OPEN: usize = 256;

/// A file that is open.
struct Open {
    /// What makes its ciphertext; nothing of a file of somebody else.
    file: Option<EncryptedFile>,
    decryptor: Decryptor,
}

#[derive(Default)]
struct Module {
    input: Vec<u8>,
    output: Vec<u8>,
    open: BTreeMap<u32, Open>,
    next: u32,
}

thread_local! {
    static MODULE: RefCell<Module> = RefCell::default();
}

/// Runs one call; leaves its result, and tells whether it is one.
fn answer(work: impl FnOnce(&mut Module) -> Result<Vec<u8>, String>) -> bool {
    MODULE.with_borrow_mut(|module| {
        let outcome = work(module);
        let succeeded = outcome.is_ok();
        module.output = outcome.unwrap_or_else(String::into_bytes);
        succeeded
    })
}

fn words(error: impl Display) -> String {
    error.to_string()
}

impl Module {
    fn written(&self, length: usize) -> Result<&[u8], String> {
        let room = self.input.len();
        let written = self.input.get(..length);
        written.ok_or_else(|| format!("{length} bytes do not lie in a buffer of {room}; ask for room first"))
    }

    fn file(&self, number: u32) -> Result<&Open, String> {
        self.open.get(&number).ok_or_else(|| words("the file is not open"))
    }

    fn own(&self, number: u32) -> Result<&EncryptedFile, String> {
        let file = self.file(number)?.file.as_ref();
        file.ok_or_else(|| words("only a file of one's own is made again"))
    }

    /// Opens a file under a new number, which is the result.
    fn open(&mut self, open: Open) -> Result<Vec<u8>, String> {
        if self.open.len() >= MOST_OPEN {
            return Err(format!("{MOST_OPEN} encrypted files are open already"));
        }
        self.next = self.next.wrapping_add(1);
        self.open.insert(self.next, open);
        Ok(self.next.to_string().into_bytes())
    }
}

/// As places in a file; they come as JavaScript numbers, which hold them exactly.
fn range(from: f64, to: f64) -> Range<u64> {
    from as u64..to as u64
}

fn text_of(range: Range<u64>) -> Vec<u8> {
    format!("[{},{}]", range.start, range.end).into_bytes()
}

/// Room for `length` bytes. Valid until it is called again.
#[no_mangle]
pub extern "C" fn input(length: usize) -> *mut u8 {
    MODULE.with_borrow_mut(|module| {
        if module.input.len() < length {
            module.input.resize(length, 0);
        }
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

/// Opens a file of one's own by what was kept of it: JSON of `length` bytes. The result is its number.
#[no_mangle]
pub extern "C" fn open_kept(length: usize) -> bool {
    answer(|module| {
        let kept = serde_json::from_slice(module.written(length)?);
        module.input.zeroize();
        let file: EncryptedFile = kept.map_err(|error| format!("a kept encryption cannot be read: {error}"))?;
        let decryptor = file.decryptor();
        module.open(Open {
            file: Some(file),
            decryptor,
        })
    })
}

/// Opens anybody's file of `cipher_length` bytes by its beginning, `head` bytes, and a key behind it, `key` bytes: a passphrase, or
/// identities as `age-keygen` writes them. The result is its number.
#[no_mangle]
pub extern "C" fn open_sealed(head: usize, key: usize, cipher_length: f64, by_passphrase: bool) -> bool {
    answer(|module| {
        let (beginning, key) = module.written(head.saturating_add(key))?.split_at(head);
        let (beginning, key) = (beginning.to_vec(), String::from_utf8(key.to_vec()));
        module.input.zeroize();
        let key = key.map_err(|_| words("the key is not text"))?;
        let length = cipher_length as u64;
        let decryptor = match by_passphrase {
            true => {
                let passphrase = Passphrase::new(key).map_err(words)?;
                Decryptor::open(&beginning, length, &Keys::Passphrase(&passphrase))
            }
            false => {
                let identities = Identity::read_all(&key).map_err(words)?;
                Decryptor::open(&beginning, length, &Keys::Identities(&identities))
            }
        };
        let decryptor = decryptor.map_err(words)?;
        module.open(Open { file: None, decryptor })
    })
}

/// Closes a file; its key is wiped.
#[no_mangle]
pub extern "C" fn close(number: u32) {
    MODULE.with_borrow_mut(|module| module.open.remove(&number));
}

/// The lengths of a file and of its ciphertext: `[plain,cipher]`.
#[no_mangle]
pub extern "C" fn lengths(number: u32) -> bool {
    answer(|module| {
        let Open { decryptor, .. } = module.file(number)?;
        Ok(text_of(decryptor.plain_len()..decryptor.ciphertext_len()))
    })
}

/// What has to be read of the file to make these bytes of the ciphertext: `[from,to]`.
#[no_mangle]
pub extern "C" fn plain_range(number: u32, from: f64, to: f64) -> bool {
    answer(|module| {
        let needed = module.own(number)?.plain_range(&range(from, to));
        needed.map(text_of).map_err(words)
    })
}

/// Makes these bytes of the ciphertext from the `length` bytes of the file in the buffer. They are for hashing, and may not leave yet.
#[no_mangle]
pub extern "C" fn encrypt(number: u32, from: f64, to: f64, length: usize) -> bool {
    answer(|module| {
        let made = module
            .own(number)?
            .encrypt_range(&range(from, to), module.written(length)?);
        Ok(made.map_err(words)?.for_hashing().to_vec())
    })
}

/// What has to be read of the ciphertext for these bytes of the file: `[from,to]`.
#[no_mangle]
pub extern "C" fn cipher_range(number: u32, from: f64, to: f64) -> bool {
    answer(|module| {
        let needed = module.file(number)?.decryptor.cipher_range(&range(from, to));
        needed.map(text_of).map_err(words)
    })
}

/// These bytes of the file from the `length` bytes of the ciphertext in the buffer.
#[no_mangle]
pub extern "C" fn decrypt(number: u32, from: f64, to: f64, length: usize) -> bool {
    answer(|module| {
        let Open { decryptor, .. } = module.file(number)?;
        let opened = decryptor.decrypt_range(&range(from, to), module.written(length)?);
        opened.map_err(words)
    })
}
