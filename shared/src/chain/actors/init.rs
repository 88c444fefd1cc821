//! The init actor, t00 (spec §5.5): names the network.

use super::{params, Export, Halt, Invocation, Returns};
use crate::chain::state::ChainState;
use alloc::vec;

pub(super) fn export(method: &str) -> Option<Export> {
    (method == "getNetwork").then_some(Export::METHOD)
}

pub(super) fn call(state: &ChainState, call: &Invocation) -> Result<Returns, Halt> {
    params::<0>(call)?;
    Ok(vec![state.network.clone().into_bytes()])
}
