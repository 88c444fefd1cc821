//! One miner, many machines: what `cargo xtask bench scale` measures.

pub mod drill;
pub mod speed;
