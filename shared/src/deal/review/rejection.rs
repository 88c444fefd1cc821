//! The reasons to refuse a proposal: stable numbers, and the texts of 2019 where there were any.
//!
//! | codes | about |
//! |---|---|
//! | 1001 to 1006 | the proposal itself: signature, miner, size, duration |
//! | 1007 to 1009 | what the miner's operator set: shortest and longest duration, the ask's expiry |
//! | 1010 to 1019 | price and payment channel |
//! | 1020 to 1032 | vouchers |
//! | 1033 | the piece's id |
//! | 1040 to 1045 | the miner takes nothing just now: the same proposal may be accepted later |
//!
//! Each variant's comment says what it means; a number is never used for anything else, nor given up.

use alloc::string::{String, ToString};

macro_rules! rejections {
    ($($(#[$doc:meta])* $name:ident = $code:literal),+ $(,)?) => {
        /// Stable numbers of the reasons to refuse a proposal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum RejectionCode { $($(#[$doc])* $name = $code),+ }

        impl RejectionCode {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

rejections! {
    /// The payer did not sign this proposal.
    Signature = 1001,
    /// The proposal is for another miner.
    WrongMiner = 1002,
    /// No size, or nothing to store.
    NoSize = 1003,
    /// The deal lasts no time, or longer than any schedule of vouchers.
    Duration = 1004,
    /// The piece is larger than a sector.
    PieceTooLarge = 1005,
    /// Price times size times duration is more than exists.
    PriceOverflow = 1006,
    /// The deal is shorter than this miner's shortest.
    DurationTooShort = 1007,
    /// The deal is longer than this miner's longest.
    DurationTooLong = 1008,
    /// The miner's ask does not stand any more.
    AskExpired = 1009,
    /// The total price is below the asking price.
    PriceTooLow = 1010,
    /// The payment broker is not the one of this network.
    WrongBroker = 1011,
    /// The proposal names no channel or not the message that opened it, or the channel is not on the chain.
    NoChannel = 1012,
    /// The channel pays somebody else.
    ChannelTarget = 1013,
    /// The channel holds too little.
    ChannelFunds = 1014,
    /// The channel is promised to another deal.
    ChannelReused = 1015,
    /// The channel ends before the vouchers can be redeemed.
    ChannelEol = 1016,
    /// The payer has cancelled the channel.
    ChannelCancelled = 1017,
    /// The channel has paid for something already.
    ChannelRedeemed = 1018,
    /// The message that opens the channel does not get into a block.
    ChannelTimeout = 1019,
    /// No vouchers.
    NoVouchers = 1020,
    /// The first voucher is due too late.
    FirstVoucherLate = 1021,
    /// A voucher names another payer, target or channel.
    VoucherFields = 1022,
    /// A voucher is not signed by the payer.
    VoucherSignature = 1023,
    /// Two vouchers are too far apart.
    VoucherInterval = 1024,
    /// A voucher is worth less than the time served.
    VoucherAmount = 1025,
    /// The last voucher does not cover the price.
    LastVoucher = 1026,
    /// The last voucher has a condition. Miners before version 0.2 say this; ours takes both (design §9).
    LastVoucherConditional = 1027,
    /// The last voucher fell due long ago: the deal is over before it begins.
    ScheduleOver = 1028,
    /// A voucher's condition is not that of this deal.
    VoucherCondition = 1029,
    /// A voucher comes before one that is due earlier.
    VoucherOrder = 1030,
    /// A voucher is for more than the channel holds, so that the broker would never pay it.
    VoucherExceedsChannel = 1031,
    /// A deal that costs nothing has vouchers: nothing can be paid with them.
    FreeVouchers = 1032,
    /// The piece's id cannot be the root of a file of the piece's size, so that it can never be fetched.
    PieceRef = 1033,
    /// The miner's operator has stopped mining: no new deals for now.
    NotMining = 1040,
    /// The miner waits for the data of too many deals.
    Busy = 1041,
    /// The miner's disk is full.
    NoDiskSpace = 1042,
    /// The miner serves as many deals as it can: propose again when some of them have ended.
    TooManyDeals = 1043,
    /// As much waits to be sealed as the miner takes in: propose again later.
    SealingBacklog = 1044,
    /// The miner's machine cannot seal at present.
    CannotSeal = 1045,
}

/// A refusal: the peer's fault, with a stable code and the text that tools know (design §4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    pub code: RejectionCode,
    pub message: String,
}

impl Rejection {
    /// The channel's message was waited for in vain (spec §4.3).
    pub fn channel_timeout() -> Self {
        Self {
            code: RejectionCode::ChannelTimeout,
            message: "Timeout waiting for payment channel: context deadline exceeded".into(),
        }
    }
}

pub(super) fn reject<T>(code: RejectionCode, message: impl ToString) -> Result<T, Rejection> {
    Err(Rejection {
        code,
        message: message.to_string(),
    })
}
