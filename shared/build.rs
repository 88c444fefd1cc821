//! Says whether the WebAssembly kernel in assembly can be compiled (`src/piece/kernel/ordered.rs`).
//!
//! Rust does not promise yet that such assembly stays as it is, so a compiler takes it only when told to, for this crate
//! by name: RUSTC_BOOTSTRAP=shared, which `cargo xtask` sets. Without it everything works, and the browser is slower.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_BOOTSTRAP");
    println!("cargo:rustc-check-cfg=cfg(ordered_kernel)");
    let list_has = |list: &str, wanted: &str| {
        let list = env::var(list).unwrap_or_default();
        list.split(',').any(|entry| entry == wanted)
    };
    let allowed = list_has("RUSTC_BOOTSTRAP", "shared") || list_has("RUSTC_BOOTSTRAP", "1");
    let fits = list_has("CARGO_CFG_TARGET_ARCH", "wasm32") && list_has("CARGO_CFG_TARGET_FEATURE", "simd128");
    if allowed && fits {
        println!("cargo:rustc-cfg=ordered_kernel");
    }
}
