//! The specification's test vectors (appendix A) in a WebAssembly engine: the same tests that `shared` runs natively
//! (`shared/tests/vectors.rs`, taken in by `build.rs`).
//!
//! `cargo xtask test` compiles this for the browser's target; `run.test.mjs` beside it loads the module and runs each
//! check in an instance of its own. Texts are handed out as address and length in the module's memory.

use std::sync::{Mutex, Once, PoisonError};

mod vectors {
    include!(concat!(env!("OUT_DIR"), "/vectors.rs"));
}
use vectors::CHECKS;

/// What the last check that failed said.
static MESSAGE: Mutex<String> = Mutex::new(String::new());
static HOOK: Once = Once::new();

/// How many checks there are.
#[no_mangle]
pub extern "C" fn count() -> usize {
    CHECKS.len()
}

/// Where a check's name begins.
#[no_mangle]
pub extern "C" fn name(index: usize) -> *const u8 {
    CHECKS[index].0.as_ptr()
}

/// Bytes of a check's name.
#[no_mangle]
pub extern "C" fn name_length(index: usize) -> usize {
    CHECKS[index].0.len()
}

/// Runs a check; traps when it fails, and `message` tells why.
#[no_mangle]
pub extern "C" fn run(index: usize) {
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            *MESSAGE.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
        }));
    });
    CHECKS[index].1();
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
