//! Asking before paying (design §9): what a miner says of a deal's terms while no money has moved.
//!
//! In 2019 a client opened a channel first, and a refusal that was known beforehand locked its money up for ten thousand blocks. Here
//! the client's engine sends a [`QuoteRequest`] before it opens one ([`crate::client::engine`]). The miner judges it by
//! [`super::review::review_terms`], the part of [`super::review()`] that needs no payment, with its own terms, and by what else keeps it
//! from taking a deal now: intake, disk, the time that sealing takes. Its worker signs the [`Quote`], so that a client can show
//! who said so. A quote promises nothing: the proposal is reviewed anew. A miner that does not speak the protocol, as those of 2019, is
//! taken without a quote.

use super::review::{DealTerms, Rejection};
use crate::chain::keys::cid_of_bytes;
use crate::chain::{Address, AttoFil, Epoch, SecretKey, Signature};
use crate::wire::cbor::{cbor_map, Bytes};
use crate::wire::encode;
use alloc::format;
use alloc::string::String;
use cid::Cid;

/// Most bytes of a request's frame: two addresses, a CID and three numbers take fewer than 300.
pub const MAX_REQUEST: usize = 1024;

/// A deal's terms, before anything of it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteRequest {
    /// Who would pay.
    pub payer: Address,
    pub miner: Address,
    /// Root of the piece's DAG.
    pub piece_ref: Cid,
    /// Unpadded bytes of the piece.
    pub size: u64,
    /// attoFIL for the entire deal.
    pub total_price: AttoFil,
    /// Blocks.
    pub duration: u64,
}
cbor_map!(QuoteRequest {
    "payer" => payer, "miner" => miner, "pieceRef" => piece_ref, "size" => size, "totalPrice" => total_price,
    "duration" => duration,
});

impl QuoteRequest {
    /// What a quote is bound to.
    pub fn cid(&self) -> Cid {
        cid_of_bytes(&encode(self))
    }

    /// The terms as the review takes them.
    pub fn terms(&self) -> DealTerms<'_> {
        DealTerms {
            miner: &self.miner,
            size: Some(self.size),
            duration: self.duration,
            total_price: self.total_price,
        }
    }
}

/// What a miner says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// [`QuoteRequest::cid`].
    pub request: Cid,
    /// The chain's height when it was judged.
    pub height: Epoch,
    /// 0: it would be taken now. Else the number of a [`super::RejectionCode`], perhaps of a later version.
    pub code: u64,
    /// Why it would not; empty when it would.
    pub message: String,
    /// After how long to ask again, in milliseconds, where the miner can tell.
    pub retry_ms: Option<u64>,
    /// Bytes that the miner would take in at present, of this and other deals, where it has come to look.
    pub room: Option<u64>,
}
cbor_map!(Quote {
    "request" => request, "height" => height, "code" => code, "message" => message, "retryMs" => retry_ms, "room" => room,
});

/// A quote with the signature of the miner's worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedQuote {
    pub quote: Quote,
    pub signature: Bytes,
}
cbor_map!(SignedQuote { "quote" => quote, "signature" => signature });

/// Why a deal would not be taken now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rejection}")]
pub struct Refusal {
    pub rejection: Rejection,
    /// After how long the same may be taken, in milliseconds, where that is known.
    pub retry_ms: Option<u64>,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let retry_ms = None;
        Self { rejection, retry_ms }
    }
}

impl Quote {
    /// The quote of a verdict.
    pub fn of(request: &QuoteRequest, height: Epoch, verdict: Result<(), Refusal>) -> Self {
        let refusal = verdict.err();
        Self {
            request: request.cid(),
            height,
            code: refusal.as_ref().map_or(0, |refusal| refusal.rejection.code as u64),
            retry_ms: refusal.as_ref().and_then(|refusal| refusal.retry_ms),
            message: refusal.map(|refusal| refusal.rejection.message).unwrap_or_default(),
            room: None,
        }
    }

    /// The same with what the miner has room for.
    pub fn with_room(self, room: Option<u64>) -> Self {
        Self { room, ..self }
    }

    /// Whether the miner would take the deal now.
    pub fn is_accepted(&self) -> bool {
        self.code == 0
    }

    /// Signs it as the miner's worker.
    pub fn sign(self, worker: &SecretKey) -> SignedQuote {
        let signature = worker.sign(&encode(&self)).0.to_vec().into();
        SignedQuote { quote: self, signature }
    }
}

impl SignedQuote {
    /// Whether `worker` signed exactly this quote.
    pub fn is_signed_by(&self, worker: &Address) -> bool {
        let signature = self.signature.0.as_slice().try_into().map(Signature);
        signature.is_ok_and(|signature| signature.verifies(&encode(&self.quote), worker))
    }
}

/// A span for people, rounded up.
pub fn span(ms: u64) -> String {
    match ms.div_ceil(1000) {
        0..=1 => "a second".into(),
        seconds @ 2..=90 => format!("{seconds} seconds"),
        91..=5400 => format!("{} minutes", ms.div_ceil(60_000)),
        _ => format!("{} hours", ms.div_ceil(3_600_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deal::RejectionCode;
    use crate::wire::frame::frame;

    fn worker() -> SecretKey {
        SecretKey::from_bytes(&[3; 32]).expect("a valid key")
    }

    fn request() -> QuoteRequest {
        QuoteRequest {
            payer: Address::id(8),
            miner: Address::id(1000),
            piece_ref: cid_of_bytes(b"piece"),
            size: 1000,
            total_price: AttoFil(5000),
            duration: 2500,
        }
    }

    fn refusal() -> Refusal {
        Refusal {
            rejection: Rejection {
                code: RejectionCode::SealingBacklog,
                message: "too much waits".into(),
            },
            retry_ms: Some(90_000),
        }
    }

    #[test]
    fn a_quote_carries_code_text_and_when_to_come_again_and_only_its_worker_signed_it() {
        let quote = Quote::of(&request(), Epoch(7), Err(refusal())).with_room(Some(64));
        let signed = quote.sign(&worker());
        let again: SignedQuote = crate::wire::decode(&encode(&signed)).expect("canonical");
        assert_eq!(again, signed);
        let quote = &again.quote;
        assert_eq!((quote.code, quote.retry_ms), (1044, Some(90_000)));
        assert_eq!(quote.room, Some(64));
        assert_eq!((quote.message.as_str(), quote.height), ("too much waits", Epoch(7)));
        assert!(!quote.is_accepted() && Quote::of(&request(), Epoch(7), Ok(())).is_accepted());
        assert!(again.is_signed_by(&worker().address()));
        assert!(!again.is_signed_by(&Address::id(8)));
        let mut altered = again;
        altered.quote.code = 0;
        assert!(!altered.is_signed_by(&worker().address()));
        altered.signature = Bytes(alloc::vec![1; 64]);
        assert!(!altered.is_signed_by(&worker().address()));
    }

    #[test]
    fn a_quote_is_bound_to_every_term_of_its_request() {
        let changes: [fn(&mut QuoteRequest); 6] = [
            |r| r.payer = Address::id(9),
            |r| r.miner = Address::id(1001),
            |r| r.piece_ref = cid_of_bytes(b"another"),
            |r| r.size += 1,
            |r| r.total_price.0 += 1,
            |r| r.duration += 1,
        ];
        for change in changes {
            let mut other = request();
            change(&mut other);
            assert_ne!(other.cid(), request().cid());
        }
    }

    #[test]
    fn the_longest_request_fits_its_frame() {
        let longest = QuoteRequest {
            payer: Address::actor(&Address::id(1), 1),
            miner: Address::actor(&Address::id(1), 0),
            size: u64::MAX,
            total_price: AttoFil(u128::MAX >> 1),
            duration: u64::MAX,
            ..request()
        };
        assert!(frame(&encode(&longest), MAX_REQUEST).is_ok());
    }
}
