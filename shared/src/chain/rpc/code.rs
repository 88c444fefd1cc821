//! Error codes of the chain's JSON-RPC: JSON-RPC's own, and from -32000 down the chain's.

/// A code as documents show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub number: i64,
    pub name: &'static str,
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $number:literal;)+) => {
        $($(#[doc = $meaning])+ pub const $name: i64 = $number;)+

        /// Every code.
        pub const ALL: &[Code] = &[$(Code {
            number: $name,
            name: stringify!($name),
            meaning: concat!($($meaning),+),
        }),+];
    };
}

codes! {
    /// It is not JSON.
    PARSE = -32700;
    /// It is no JSON-RPC request, or too long.
    REQUEST = -32600;
    /// There is no such method.
    METHOD = -32601;
    /// A parameter is missing, unknown or malformed.
    PARAMS = -32602;
    /// The chain's own fault.
    INTERNAL = -32603;
    /// The message cannot be in a block at all, as the state is.
    MESSAGE_INVALID = -32001;
    /// The pool has no room for the message.
    POOL = -32002;
    /// The faucet gives nothing.
    FAUCET = -32003;
    /// There is no block at that height yet.
    FUTURE = -32004;
    /// The query reverted; `data.exitCode` says how.
    QUERY = -32005;
    /// The record of a peer is refused.
    PEER = -32006;
    /// The message is in the block at `data.height`, and nothing more of it is kept.
    PRUNED = -32007;
    /// The message's nonce was used by another one, which is in a block.
    NONCE_USED = -32008;
    /// Another message with the same nonce waits.
    NONCE_TAKEN = -32009;
    /// The state or block at that height is no longer kept.
    PAST = -32010;
    /// There are as many connections or subscriptions as there may be.
    BUSY = -32011;
    /// This page, or the name that the chain was asked by, is not of its machine.
    FORBIDDEN = -32012;
    /// The block was made before blocks had signed headers: nothing of it can be proven.
    UNSIGNED = -32013;
}

/// The codes that every request may be answered with.
pub const COMMON: [i64; 5] = [PARSE, REQUEST, METHOD, PARAMS, INTERNAL];

/// A code with its name and meaning; the number must be one of this module's.
pub(super) const fn named(number: i64) -> Code {
    let mut left = ALL;
    while let [first, others @ ..] = left {
        if first.number == number {
            return *first;
        }
        left = others;
    }
    panic!("no code of this module has that number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_codes_have_one_number() {
        for (at, code) in ALL.iter().enumerate() {
            assert_eq!(ALL.iter().position(|other| other.number == code.number), Some(at));
            assert_eq!(named(code.number), *code);
        }
    }
}
