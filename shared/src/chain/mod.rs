//! The chain that deals are settled on: addresses, amounts, messages, and the actors as pure functions over state.
//!
//! Called by the development chain (`miner-native`) to apply messages, and by both hosts to build and check them.

pub mod abi;
pub mod actors;
pub mod address;
pub mod amount;
pub mod apply;
pub mod calls;
pub mod exit;
pub mod faults;
pub mod keys;
pub mod light;
pub mod message;
pub mod peers;
pub mod policy;
pub mod randomness;
pub mod root_key;
pub mod rpc;
pub mod session;
pub mod state;
pub mod typed_data;
pub mod verifier;
pub mod view;
pub mod voucher;

#[cfg(test)]
mod tests;

pub use actors::{kind_of, Context, Kind, Revert};
pub use address::{Address, Protocol};
pub use amount::{AttoFil, BytesAmount, ChannelId, Epoch};
pub use apply::{apply, check_unsigned, end_block, is_urgent, preview, query, validate};
pub use apply::{ApplyError, BlockEnd, Invalid, Preview};
pub use calls::Call;
pub use exit::{exit_text, UNKNOWN_EXIT};
pub use faults::{FaultSet, IntSet};
pub use keys::{cid_of, SecretKey, Signature};
pub use message::{Message, MeteredMessage, Receipt, SignedMessage};
pub use policy::Policy;
pub use randomness::Purpose;
pub use root_key::RootKey;
pub use state::{ChainState, Genesis};
pub use typed_data::TypedData;
pub use voucher::{PaymentVoucher, Predicate};
