//! What clients are answered: quotes, proposals, questions, the closing of channels, and pieces.
//!
//! Each request is reviewed with the rules of [`shared`]; the miner's faults change what it says, not what it keeps.

use super::{channel, Miner, MAX_BYTES, MAX_DEALS};
use crate::faults::Lie;
use cid::Cid;
use sealdrop_devnet::MemoryChain;
use shared::chain::{calls, Epoch};
use shared::deal::review::{review, review_terms, OperatorTerms, ReviewContext};
use shared::deal::{
    DealState, MinerDeal, ProofInfo, QueryRequest, Quote, QuoteRequest, Rejection, RejectionCode, Response,
    SignedProposal, WatchRequest,
};
use shared::payment::closing::{review_closing, ClosingError};
use shared::payment::{CloseRequest, CloseResponse};
use shared::retrieval::{RetrievalStatus, RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse, MAX_CHUNK};
use shared::wire::{decode, encode, protocol, Cbor, DecodeError};

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// These messages, in this order, each in a frame of its own; then the stream ends.
    Messages(Vec<Vec<u8>>),
    /// Not yet: ask again after the next block, or when a deal came further.
    Later,
    /// The miner breaks off.
    Nothing,
}

impl Answer {
    fn one<T: Cbor>(message: &T) -> Self {
        Self::Messages(vec![encode(message)])
    }
}

impl Miner {
    /// Answers a request of a client. Errs when it cannot be read, which ends the stream. `waited` ends the waiting: what can be said now
    /// is said.
    pub fn answer(
        &mut self,
        chain: &MemoryChain,
        protocol: &str,
        request: &[u8],
        waited: bool,
    ) -> Result<Answer, DecodeError> {
        if self.faults.drop_connection {
            return Ok(Answer::Nothing);
        }
        Ok(match protocol {
            protocol::MAKE_DEAL => self.propose(chain, &decode(request)?, waited),
            protocol::QUERY_DEAL => {
                let QueryRequest { cid } = decode(request)?;
                Answer::one(&self.say(self.response(&cid)))
            }
            protocol::WATCH_DEAL => {
                let WatchRequest { cid, state } = decode(request)?;
                let response = self.response(&cid);
                match response.state == state && !waited {
                    true => Answer::Later,
                    false => Answer::one(&self.say(response)),
                }
            }
            protocol::QUOTE => Answer::one(&self.quote(chain, &decode(request)?)),
            protocol::CLOSE_CHANNEL => Answer::one(&self.close(chain, &decode(request)?)),
            protocol::RETRIEVAL => self.retrieve(&decode(request)?),
            _ => Answer::Nothing,
        })
    }

    /// The deal that a proposal or a question is about: whoever sends it may have its piece.
    pub fn deal_of(protocol: &str, request: &[u8]) -> Option<Cid> {
        match protocol {
            protocol::MAKE_DEAL => decode(request).ok().map(|signed: SignedProposal| signed.cid()),
            protocol::QUERY_DEAL => decode(request).ok().map(|query: QueryRequest| query.cid),
            protocol::WATCH_DEAL => decode(request).ok().map(|watch: WatchRequest| watch.cid),
            _ => None,
        }
    }

    /// How a deal stands.
    pub fn response(&self, cid: &Cid) -> Response {
        let unknown = || Response {
            state: DealState::Unknown,
            message: "no such deal".into(),
            proposal_cid: *cid,
            proof_info: None,
        };
        self.deals.get(cid).map_or_else(unknown, MinerDeal::response)
    }

    /// A response as this miner says it, signed.
    fn say(&self, mut response: Response) -> shared::deal::SignedResponse {
        if let (Some(lie), Some(proof)) = (self.faults.lie, response.proof_info.as_mut()) {
            tell_lie(lie, proof);
        }
        response.sign(&self.key)
    }

    fn context(&self, chain: &MemoryChain) -> ReviewContext {
        let height = chain.head().height;
        let view = chain.miner(&self.address);
        let ask = view.as_ref().and_then(|view| view.standing_ask(height).cloned());
        ReviewContext {
            miner: self.address.clone(),
            owner: self.key.address(),
            terms: OperatorTerms {
                ask_id: ask.as_ref().map(|ask| ask.id),
                expiry: ask.as_ref().map(|ask| ask.expiry),
                ..OperatorTerms::at_price(ask.map(|ask| ask.price).unwrap_or_default())
            },
            height,
            usable: self.size.usable(),
            channel: None,
            channel_is_promised: false,
        }
    }

    /// What stands in the way beside the terms: a fault, or no room.
    fn refuses(&self, size: u64) -> Result<(), Rejection> {
        let refused = |code, message: String| Err(Rejection { code, message });
        if let Some(code) = self.faults.refusal() {
            return refused(code, format!("refused on purpose, with code {}", code as u16));
        }
        if self.deals.len() >= MAX_DEALS {
            return refused(
                RejectionCode::TooManyDeals,
                format!("this miner keeps {MAX_DEALS} deals at most"),
            );
        }
        if self.promised().saturating_add(size) > MAX_BYTES {
            return refused(
                RejectionCode::NoDiskSpace,
                "this miner has no room left for the piece".into(),
            );
        }
        Ok(())
    }

    fn propose(&mut self, chain: &MemoryChain, signed: &SignedProposal, waited: bool) -> Answer {
        let (cid, payment) = (signed.cid(), &signed.proposal.payment);
        if !self.deals.contains_key(&cid) {
            let id = payment.channel;
            let promised = id
                .is_some_and(|id| self.owes(&payment.payer, id) || self.closing.contains(&(payment.payer.clone(), id)));
            let context = ReviewContext {
                channel: channel(chain, &payment.payer, id),
                channel_is_promised: promised,
                ..self.context(chain)
            };
            let verdict = review(signed, &context);
            let is_opening = payment
                .channel_msg_cid
                .is_some_and(|message| chain.receipt(&message).is_none());
            match verdict {
                Err(rejection) if rejection.code == RejectionCode::NoChannel && is_opening && !waited => {
                    return Answer::Later;
                }
                // Nothing is kept for what anybody can send.
                Err(rejection) if rejection.code == RejectionCode::Signature => {
                    return Answer::one(&self.say(rejected(cid, rejection)));
                }
                Err(rejection) => {
                    let deal = MinerDeal::rejected(signed.clone(), rejection.message, context.height);
                    self.deals.insert(cid, deal);
                }
                Ok(()) => match self.refuses(signed.size()) {
                    // The same proposal may be taken later.
                    Err(rejection) => return Answer::one(&self.say(rejected(cid, rejection))),
                    Ok(()) => {
                        self.deals
                            .insert(cid, MinerDeal::accepted(signed.clone(), context.height));
                    }
                },
            }
        }
        Answer::one(&self.say(self.response(&cid)))
    }

    fn quote(&self, chain: &MemoryChain, request: &QuoteRequest) -> shared::deal::SignedQuote {
        let context = self.context(chain);
        let verdict = review_terms(&request.terms(), &context).and_then(|()| self.refuses(request.size));
        let room = MAX_BYTES.saturating_sub(self.promised());
        let quote = Quote::of(request, context.height, verdict.map_err(Into::into));
        quote.with_room(Some(room)).sign(&self.key)
    }

    /// Closes a channel, if nothing is paid over it.
    fn close(&mut self, chain: &MemoryChain, CloseRequest { voucher }: &CloseRequest) -> CloseResponse {
        let facts = channel(chain, &voucher.payer, Some(voucher.channel));
        let height: Epoch = chain.head().height;
        let reviewed = review_closing(voucher, &self.key.address(), facts.as_ref(), height);
        let reviewed = reviewed.and_then(|()| match self.owes(&voucher.payer, voucher.channel) {
            true => Err(ClosingError::Promised),
            false => Ok(()),
        });
        if reviewed.is_ok() {
            self.closing.insert((voucher.payer.clone(), voucher.channel));
            let purpose = format!("close/{}/{}", voucher.payer, voucher.channel);
            self.outbox.send(chain, &purpose, || calls::close(voucher, Vec::new()));
        }
        CloseResponse {
            closes: reviewed.is_ok(),
            message: reviewed.err().as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn retrieve(&self, RetrievePieceRequest { piece_ref }: &RetrievePieceRequest) -> Answer {
        let Some(bytes) = self.pieces.get(piece_ref) else {
            return Answer::one(&RetrievePieceResponse {
                status: RetrievalStatus::Failure,
                error_message: format!("piece {piece_ref} is not stored here"),
            });
        };
        let granted = RetrievePieceResponse {
            status: RetrievalStatus::Success,
            error_message: String::new(),
        };
        let mut messages = vec![encode(&granted)];
        for (place, chunk) in bytes.chunks(MAX_CHUNK).enumerate() {
            let mut data = chunk.to_vec();
            if let (Some(Lie::PieceBytes), 0, Some(first)) = (self.faults.lie, place, data.first_mut()) {
                *first ^= 1;
            }
            messages.push(encode(&RetrievePieceChunk { data: data.into() }));
        }
        Answer::Messages(messages)
    }
}

fn rejected(proposal_cid: Cid, rejection: Rejection) -> Response {
    Response {
        state: DealState::Rejected,
        message: rejection.message,
        proposal_cid,
        proof_info: None,
    }
}

fn tell_lie(lie: Lie, proof: &mut ProofInfo) {
    match lie {
        Lie::CommR => proof.comm_r.0[0] ^= 1,
        Lie::Inclusion => {
            let bytes = proof.piece_inclusion_proof.as_mut();
            if let Some(last) = bytes.and_then(|bytes| bytes.0.last_mut()) {
                *last ^= 1;
            }
        }
        Lie::PieceBytes => {}
    }
}
