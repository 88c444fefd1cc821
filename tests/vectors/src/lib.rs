//! The specification's test vectors (appendix A) in a WebAssembly engine: the same tests that `shared` runs natively
//! (`shared/tests/vectors.rs`, `canonical.rs` for what a decoder must refuse, and `piece.rs` for CommP by the kernel that
//! runs here; taken in by `build.rs`), and `shared/encryption/tests/ciphertext.rs` for the cipher that runs here.
//!
//! `cargo xtask test` compiles this for the browser's target; `run.test.mjs` beside it loads the module and runs each
//! check in an instance of its own. Texts are handed out as address and length in the module's memory.

use std::sync::{Mutex, Once, PoisonError};

mod vectors {
    include!(concat!(env!("OUT_DIR"), "/vectors.rs"));
}
mod canonical {
    include!(concat!(env!("OUT_DIR"), "/canonical.rs"));
}
mod ciphertext {
    include!(concat!(env!("OUT_DIR"), "/ciphertext.rs"));
}
mod piece {
    include!(concat!(env!("OUT_DIR"), "/piece.rs"));
}

/// A check with its name; it panics when it fails.
type Check = (&'static str, fn());

fn checks() -> impl Iterator<Item = &'static Check> {
    let rules = vectors::CHECKS.iter().chain(canonical::CHECKS).chain(piece::CHECKS);
    rules.chain(ciphertext::CHECKS)
}

fn check(index: usize) -> &'static Check {
    checks().nth(index).expect("the caller counts them first")
}

/// What the last check that failed said.
static MESSAGE: Mutex<String> = Mutex::new(String::new());
static HOOK: Once = Once::new();

/// How many checks there are.
#[no_mangle]
pub extern "C" fn count() -> usize {
    checks().count()
}

/// Where a check's name begins.
#[no_mangle]
pub extern "C" fn name(index: usize) -> *const u8 {
    check(index).0.as_ptr()
}

/// Bytes of a check's name.
#[no_mangle]
pub extern "C" fn name_length(index: usize) -> usize {
    check(index).0.len()
}

/// Runs a check; traps when it fails, and `message` tells why.
#[no_mangle]
pub extern "C" fn run(index: usize) {
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            *MESSAGE.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
        }));
    });
    check(index).1();
}

/// Where the message of a failed check begins.
#[no_mangle]
pub extern "C" fn message() -> *const u8 {
    MESSAGE.lock().unwrap_or_else(PoisonError::into_inner).as_ptr()
}

/// Bytes of that message.
#[no_mangle]
pub extern "C" fn message_length() -> usize {
    MESSAGE.lock().unwrap_or_else(PoisonError::into_inner).len()
}
