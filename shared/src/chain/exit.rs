//! What an exit code of a kind of actor means (spec §5, the tables of its actors).
//!
//! Shown by hosts where a receipt's own text is not at hand. 36 means two things in two actors, and a receipt's text tells
//! which: the gas ran out, or the actor's own 36.

use super::actors::{code, Kind};

/// What the tools of 2019 said of a code that an actor's table lacks.
pub const UNKNOWN_EXIT: &str = "Error executing command. Consult the logs.";

/// The text of an exit code of an actor of `kind`; `None` for 0 and for codes without one meaning.
pub fn exit_text(kind: Kind, exit_code: u64) -> Option<&'static str> {
    let own = match kind {
        Kind::Account | Kind::Init => None,
        Kind::Market => market(exit_code),
        Kind::Broker => broker(exit_code),
        Kind::Miner => miner(exit_code),
    };
    own.or(match exit_code {
        2 => Some("negative value"),
        code::INSUFFICIENT_BALANCE => Some("not enough balance"),
        code::NO_SUCH_ACTOR => Some("actor code not found"),
        code::OUT_OF_GAS => Some("Insufficient gas: gas cost exceeds gas limit"),
        _ => None,
    })
}

fn market(code: u64) -> Option<&'static str> {
    Some(match code {
        34 => "unknown miner",
        44 => "sector size is not supported",
        45 => "the network has as many miners as it can hold",
        _ => return None,
    })
}

fn broker(code: u64) -> Option<&'static str> {
    Some(match code {
        33 => "Only account actors may create payment channels",
        34 => "Duplicate create channel attempt",
        35 => "payment channel eol may not be decreased",
        36 => "payment channel may not reclaimed before eol",
        37 => "voucher amount exceeds amount in channel",
        38 => "payment channel is unknown",
        39 => "attempt to redeem channel from wrong target account",
        40 => "block height has exceeded channel's end of life",
        41 => "update amount has already been redeemed",
        42 => "signature failed to validate",
        43 => "block height too low to redeem voucher",
        44 => "failed to validate voucher condition",
        45 => "channel cannot be cancelled due to successful redeem",
        46 => "the payer has as many open channels as it may have",
        _ => return None,
    })
}

fn miner(code: u64) -> Option<&'static str> {
    Some(match code {
        34 => "sectorID out of range",
        35 => "sector already committed at this ID",
        36 => "call to StorageMarket failed",
        37 => "not authorized to call the method",
        39 => "PoSt proof did not validate",
        40 => "no ask was found",
        41 => "seal proof was invalid",
        43 => "insufficient collateral",
        44 => "miner already slashed",
        45 => "miner is inactive, or not yet tardy",
        46 => "piece inclusion proof did not validate",
        47 => "the sector was not pre-committed",
        48 => "the pre-commit names another commD or commR",
        49 => "the seed is not drawn yet",
        50 => "the pre-commit expired",
        51 => "the ticket is from a block too old, or not made yet",
        52 => "the miner has too many of these",
        53 => "the sector is pre-committed already",
        54 => "the running period can still be proven",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::actors::broker::BrokerError;
    use crate::chain::actors::market::MarketError;
    use crate::chain::actors::miner::MinerError;
    use crate::chain::Epoch;
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
        ] {
            begins(Kind::Broker, error.code(), &error.to_string());
        }
        for error in [
            MarketError::UnknownMiner,
            MarketError::UnsupportedSectorSize,
            MarketError::TooManyMiners,
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
