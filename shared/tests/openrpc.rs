//! The chain's OpenRPC document is the one that its types make. `SEALDROP_WRITE_DOCS=1` (or `cargo xtask docs`) writes it anew.

use serde_json::Value;
use shared::chain::rpc::openrpc;
use std::path::Path;

#[test]
fn the_openrpc_document_is_the_one_that_the_types_make() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/chain.openrpc.json");
    let made = openrpc::document();
    if std::env::var_os("SEALDROP_WRITE_DOCS").is_some() {
        let text = serde_json::to_string_pretty(&made).expect("it is JSON");
        std::fs::write(&path, text + "\n").expect("the document can be written");
    }
    let kept = std::fs::read_to_string(&path).expect("the document is there");
    let kept: Value = serde_json::from_str(&kept).expect("the document is JSON");
    assert!(
        kept == made,
        "shared/docs/chain.openrpc.json is not what the types make: run `cargo xtask docs` and commit it"
    );
}
