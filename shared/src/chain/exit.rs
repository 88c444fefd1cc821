//! Exit codes: what comes of a message, each code of an actor with its number and meaning, defined here and nowhere else
//! (spec §5, the tables of its actors).
//!
//! The actors revert with them; hosts show their texts where a receipt's own is not at hand. 36 means two things in two
//! actors, and a receipt's text tells which: the gas ran out, or the actor's own 36.

use super::actors::Kind;

/// What the tools of 2019 said of a code that an actor's table lacks.
pub const UNKNOWN_EXIT: &str = "Error executing command. Consult the logs.";

/// The exit code of a message that was applied.
pub const SUCCESS: u64 = 0;

/// The exit code in the receipt of a message that was dropped from the pool and is in no block: above every actor's
/// codes. Nothing of it happened, and its nonce is free.
pub const DROPPED: u64 = 1000;

macro_rules! exit_codes {
    ($($(#[$doc:meta])* $actor:ident { $($name:ident = $number:literal, $text:literal;)+ })+) => {$(
        $(#[$doc])*
        pub mod $actor {
            $(#[doc = $text] pub const $name: u64 = $number;)+

            pub(super) fn text(code: u64) -> Option<&'static str> {
                match code {
                    $($name => Some($text),)+
                    _ => None,
                }
            }
        }
    )+};
}

/// A revert that its actor gives no code of its own: it has many texts.
pub const GENERIC: u64 = 1;

exit_codes! {
    /// Those that every actor shares.
    common {
        NEGATIVE_VALUE = 2, "negative value";
        INSUFFICIENT_BALANCE = 3, "not enough balance";
        NO_SUCH_ACTOR = 5, "actor code not found";
        OUT_OF_GAS = 36, "Insufficient gas: gas cost exceeds gas limit";
    }

    /// Those of the storage market; from 45 on our own.
    market {
        UNKNOWN_MINER = 34, "unknown miner";
        UNSUPPORTED_SECTOR_SIZE = 44, "sector size is not supported";
        TOO_MANY_MINERS = 45, "the network has as many miners as it can hold";
        COLLATERAL_TOO_LOW = 46, "too little collateral for a miner";
    }

    /// Those of the payment broker; from 46 on our own.
    broker {
        NON_ACCOUNT_ACTOR = 33, "Only account actors may create payment channels";
        DUPLICATE_CHANNEL = 34, "Duplicate create channel attempt";
        EOL_TOO_LOW = 35, "payment channel eol may not be decreased";
        RECLAIM_BEFORE_EOL = 36, "payment channel may not reclaimed before eol";
        INSUFFICIENT_CHANNEL_FUNDS = 37, "voucher amount exceeds amount in channel";
        UNKNOWN_CHANNEL = 38, "payment channel is unknown";
        WRONG_TARGET = 39, "attempt to redeem channel from wrong target account";
        EXPIRED = 40, "block height has exceeded channel's end of life";
        ALREADY_WITHDRAWN = 41, "update amount has already been redeemed";
        INVALID_SIGNATURE = 42, "signature failed to validate";
        TOO_EARLY = 43, "block height too low to redeem voucher";
        CONDITION_INVALID = 44, "failed to validate voucher condition";
        INVALID_CANCEL = 45, "channel cannot be cancelled due to successful redeem";
        TOO_MANY_CHANNELS = 46, "the payer has as many open channels as it may have";
        AGREED_EOL_TOO_LOW = 47, "the agreed end of a cancelled channel may not be brought forward";
        SESSION_KEY = 48, "a channel's session key is a secp256k1 address";
    }

    /// Those of a miner; from 47 on our own.
    miner {
        SECTOR_ID_OUT_OF_RANGE = 34, "sectorID out of range";
        SECTOR_COMMITTED = 35, "sector already committed at this ID";
        MARKET = 36, "call to StorageMarket failed";
        CALLER_UNAUTHORIZED = 37, "not authorized to call the method";
        INVALID_POST = 39, "PoSt proof did not validate";
        ASK_NOT_FOUND = 40, "no ask was found";
        INVALID_SEAL_PROOF = 41, "seal proof was invalid";
        INSUFFICIENT_COLLATERAL = 43, "insufficient collateral";
        ALREADY_SLASHED = 44, "miner already slashed";
        NOT_TARDY = 45, "miner is inactive, or not yet tardy";
        INVALID_INCLUSION = 46, "piece inclusion proof did not validate";
        NOT_PRE_COMMITTED = 47, "the sector was not pre-committed";
        PRE_COMMIT_DIFFERS = 48, "the pre-commit names another commD or commR";
        SEED_NOT_DRAWN = 49, "the seed is not drawn yet";
        PRE_COMMIT_EXPIRED = 50, "the pre-commit expired";
        TICKET_OUT_OF_RANGE = 51, "the ticket is from a block too old, or not made yet";
        TOO_MANY = 52, "the miner has too many of these";
        PRE_COMMITTED = 53, "the sector is pre-committed already";
        NOT_MISSED = 54, "the running period can still be proven";
    }
}

/// The text of an exit code of an actor of `kind`; `None` for 0 and for codes without one meaning.
pub fn exit_text(kind: Kind, exit_code: u64) -> Option<&'static str> {
    let own = match kind {
        Kind::Account | Kind::Init => None,
        Kind::Market => market::text(exit_code),
        Kind::Broker => broker::text(exit_code),
        Kind::Miner => miner::text(exit_code),
    };
    own.or_else(|| common::text(exit_code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::actors::broker::BrokerError;
    use crate::chain::actors::market::MarketError;
    use crate::chain::actors::miner::MinerError;
    use crate::chain::{AttoFil, Epoch};
    use alloc::string::ToString;

    #[test]
    fn every_code_of_an_actor_has_the_text_of_its_error() {
        let begins = |kind, code, text: &str| {
            let stated = exit_text(kind, code).expect("the code has a text");
            assert!(text.starts_with(stated), "{kind:?} {code}: {text}");
        };
        for error in [
            BrokerError::NonAccountActor,
            BrokerError::DuplicateChannel,
            BrokerError::EolTooLow,
            BrokerError::ReclaimBeforeEol,
            BrokerError::InsufficientChannelFunds,
            BrokerError::UnknownChannel,
            BrokerError::WrongTarget,
            BrokerError::Expired,
            BrokerError::AlreadyWithdrawn,
            BrokerError::InvalidSignature,
            BrokerError::TooEarly,
            BrokerError::ConditionInvalid("why".into()),
            BrokerError::InvalidCancel,
            BrokerError::AgreedEolTooLow {
                agreed: Epoch(2),
                to: Epoch(1),
            },
            BrokerError::SessionKey,
        ] {
            begins(Kind::Broker, error.code(), &error.to_string());
        }
        for error in [
            MarketError::UnknownMiner,
            MarketError::UnsupportedSectorSize,
            MarketError::TooManyMiners(0),
            MarketError::Collateral(AttoFil(1)),
        ] {
            begins(Kind::Market, error.code(), &error.to_string());
        }
        for error in [
            MinerError::SectorIdOutOfRange,
            MinerError::SectorCommitted,
            MinerError::Market("why".into()),
            MinerError::CallerUnauthorized,
            MinerError::InvalidPoSt,
            MinerError::AskNotFound,
            MinerError::InvalidSealProof,
            MinerError::InsufficientCollateral,
            MinerError::AlreadySlashed,
            MinerError::InvalidInclusion,
        ] {
            begins(Kind::Miner, error.code(), &error.to_string());
        }
    }

    #[test]
    fn codes_with_values_in_their_texts_have_a_text_too() {
        let epoch = Epoch(1);
        let errors = [
            MinerError::Inactive,
            MinerError::NotYetTardy,
            MinerError::NotPreCommitted(1),
            MinerError::PreCommitDiffers(1),
            MinerError::SeedNotDrawn {
                height: epoch,
                seed: epoch,
            },
            MinerError::PreCommitExpired {
                height: epoch,
                expired: epoch,
            },
            MinerError::TicketOutOfRange {
                ticket: epoch,
                oldest: epoch,
                height: epoch,
            },
            MinerError::TooMany { what: "asks", limit: 1 },
            MinerError::PreCommitted { id: 1, expires: epoch },
            MinerError::NotMissed { deadline: epoch },
        ];
        for error in errors {
            assert!(exit_text(Kind::Miner, error.code()).is_some(), "{error}");
        }
        assert!(exit_text(Kind::Broker, BrokerError::TooManyChannels.code()).is_some());
        assert_eq!(
            exit_text(Kind::Miner, MinerError::Tardy.code()),
            None,
            "1 has many texts"
        );
    }

    #[test]
    fn thirty_six_is_an_actors_own_where_it_has_one() {
        let gas = Some("Insufficient gas: gas cost exceeds gas limit");
        assert_eq!(exit_text(Kind::Market, 36), gas);
        assert_eq!(exit_text(Kind::Account, 36), gas);
        assert_eq!(exit_text(Kind::Miner, 36), Some("call to StorageMarket failed"));
        assert_eq!(exit_text(Kind::Account, 0), None);
        assert_eq!(exit_text(Kind::Init, 44), None);
    }
}
