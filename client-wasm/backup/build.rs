//! Tells the linker to leave names of functions and notes of tools out: whoever makes a backup loads this module.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=--strip-all");
    }
}
