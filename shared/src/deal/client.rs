//! The client's side of a deal (design §4): from a piece and a miner's terms to a proof that it checked itself.
//!
//! Driven by the browser's worker and by the command line. Every stage can be persisted and resumed; whatever is still
//! to be done follows from the stage alone.

pub use super::draft::{Draft, DraftError};
use super::proposal::{PaymentInfo, Proposal, SignedProposal};
use super::refund::Refund;
use super::response::{DealState, ProofInfo, SignedResponse};
use crate::chain::address::MaybeAddress;
use crate::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch, SecretKey};
use crate::payment::schedule::{unsigned_vouchers, ScheduleError, Terms};
use crate::payment::PaymentVoucher;
use crate::piece::{padded_for, InclusionProof};
use crate::wire::as_cbor;
use alloc::string::String;
use cid::Cid;
use serde::{Deserialize, Serialize};

/// One deal as the client keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientDeal {
    pub draft: Draft,
    pub stage: ClientStage,
}

/// How far a deal has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ClientStage {
    /// Reviewed; the payment channel is still to be opened (or the deal is free).
    Drafted,
    /// The channel is on the chain; vouchers and proposal are to be signed.
    ChannelOpen {
        channel: u64,
        #[serde(with = "as_cbor")]
        message: Cid,
    },
    /// Signed; to be sent to the miner.
    Signed {
        #[serde(with = "as_cbor")]
        proposal: SignedProposal,
    },
    /// The miner has answered; it fetches, stages and seals.
    Running {
        #[serde(with = "as_cbor")]
        proposal: SignedProposal,
        #[serde(with = "as_cbor")]
        response: SignedResponse,
    },
    /// Complete, and the inclusion proof holds.
    Complete {
        #[serde(with = "as_cbor")]
        proposal: SignedProposal,
        #[serde(with = "as_cbor")]
        response: SignedResponse,
    },
    /// Given up. A channel that was opened is to be cancelled and reclaimed.
    Failed { reason: String, channel: Option<u64> },
}

/// What happened to a deal.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientInput {
    /// The createChannel message is on the chain.
    ChannelOpened { channel: ChannelId, message: Cid },
    /// The createChannel message failed there, or was not sent because the miner would not take the deal.
    ChannelFailed { reason: String },
    /// Vouchers and proposal are signed.
    Signed { proposal: SignedProposal },
    /// The miner answered, to the proposal or to a query. A complete deal may be asked about again: its sector can be lost.
    Answered { response: SignedResponse },
    /// The chain names another worker for the miner than before: it signs from now on (spec §3.6).
    WorkerChanged { worker: Address },
    /// The deal is not pursued any longer, because of the user or of [`ClientDeal::deadline`]. In stage
    /// [`ClientStage::Drafted`] only when no message was sent that opens a channel.
    GivenUp { reason: String },
}

/// What the host must do next.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEffect {
    /// Open a channel to `target` with `amount` that lives until `eol`, once for this deal.
    OpenChannel {
        target: Address,
        amount: AttoFil,
        eol: Epoch,
    },
    /// Sign with the payer's key: [`ClientDeal::sign`].
    Sign,
    /// Send the proposal.
    Propose,
    /// Serve the piece to the miner and query the deal until it is done.
    ServeAndQuery,
    /// Nothing, for good.
    Rest,
}

/// Why an input was refused; the deal is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientRefusal {
    #[error("Response signature is invalid")]
    ResponseSignature,
    #[error("deal response has invalid signature")]
    QuerySignature,
    #[error("cids not equal {asked} {answered}")]
    OtherDeal { asked: Cid, answered: Cid },
    #[error("invalid proposal response: {state}")]
    InvalidResponse { state: DealState },
    #[error("the miner's quote has an invalid signature")]
    QuoteSignature,
    #[error("the miner's quote is for another deal")]
    OtherRequest,
    #[error("the miner does not know this deal")]
    UnknownDeal,
    #[error("the miner says complete, but {0}")]
    Unproven(&'static str),
    #[error("this is not possible in the deal's present state")]
    Unexpected,
}

impl ClientDeal {
    pub fn new(draft: Draft) -> Self {
        Self {
            draft,
            stage: ClientStage::Drafted,
        }
    }

    /// The deal's id, once it is signed.
    pub fn cid(&self) -> Option<Cid> {
        self.proposal().map(SignedProposal::cid)
    }

    /// The signed proposal, once there is one.
    pub fn proposal(&self) -> Option<&SignedProposal> {
        match &self.stage {
            ClientStage::Signed { proposal }
            | ClientStage::Running { proposal, .. }
            | ClientStage::Complete { proposal, .. } => Some(proposal),
            _ => None,
        }
    }

    /// The vouchers of the signed proposal; none in a free deal, and before it is signed.
    pub fn vouchers(&self) -> &[PaymentVoucher] {
        let proposal = self.proposal();
        let vouchers = proposal.and_then(|proposal| proposal.proposal.payment.vouchers.as_deref());
        vouchers.unwrap_or_default()
    }

    /// The miner's last answer.
    pub fn response(&self) -> Option<&SignedResponse> {
        match &self.stage {
            ClientStage::Running { response, .. } | ClientStage::Complete { response, .. } => Some(response),
            _ => None,
        }
    }

    /// The checked proof of a complete deal.
    pub fn proof(&self) -> Option<&ProofInfo> {
        self.response()
            .and_then(|response| response.response.proof_info.as_ref())
    }

    /// The deal's channel, once it is known.
    pub fn channel(&self) -> Option<u64> {
        match &self.stage {
            ClientStage::ChannelOpen { channel, .. } => Some(*channel),
            ClientStage::Failed { channel, .. } => *channel,
            _ => self
                .proposal()
                .and_then(|proposal| proposal.proposal.payment.channel)
                .map(|id| id.0),
        }
    }

    /// The channel whose money comes back to the client, and how that begins: a failed deal's at once, a complete deal's
    /// when it has ended.
    pub fn refund(&self) -> Option<(ChannelId, Refund)> {
        let begin = match self.stage {
            ClientStage::Failed { .. } => Refund::default(),
            ClientStage::Complete { .. } => Refund::at_end(self.draft.channel_eol()),
            _ => return None,
        };
        Some((ChannelId(self.channel()?), begin))
    }

    /// The height from which on a deal that is neither complete nor failed is given up ([`ClientInput::GivenUp`]): its
    /// channel has ended. The miner has given up [`PROPOSAL_SLACK`](super::review::PROPOSAL_SLACK) blocks before, so that
    /// its word comes first as a rule.
    pub fn deadline(&self) -> Option<Epoch> {
        match self.stage {
            ClientStage::Complete { .. } | ClientStage::Failed { .. } => None,
            _ => Some(self.draft.channel_eol()),
        }
    }

    /// The next thing to do; the same after a restart.
    pub fn effect(&self) -> ClientEffect {
        match &self.stage {
            ClientStage::Drafted => match self.draft.total().filter(|total| !total.is_zero()) {
                None => ClientEffect::Sign,
                Some(amount) => ClientEffect::OpenChannel {
                    target: self.draft.owner.clone(),
                    amount,
                    eol: self.draft.channel_eol(),
                },
            },
            ClientStage::ChannelOpen { .. } => ClientEffect::Sign,
            ClientStage::Signed { .. } => ClientEffect::Propose,
            ClientStage::Running { .. } => ClientEffect::ServeAndQuery,
            ClientStage::Complete { .. } | ClientStage::Failed { .. } => ClientEffect::Rest,
        }
    }

    /// Draws up and signs vouchers and proposal with the payer's key, or with the session key that its channel names; the same
    /// bytes each time.
    pub fn sign(&self, key: &SecretKey) -> Result<SignedProposal, ScheduleError> {
        let draft = &self.draft;
        let total = draft.total().ok_or(ScheduleError::Overflow)?;
        let mut payment = PaymentInfo {
            payer: draft.payer.clone(),
            pay_ch_actor: MaybeAddress(None),
            channel: None,
            channel_msg_cid: None,
            vouchers: None,
        };
        if let ClientStage::ChannelOpen { channel, message } = &self.stage {
            let terms = Terms {
                payer: draft.payer.clone(),
                target: draft.owner.clone(),
                miner: draft.miner.clone(),
                channel: ChannelId(*channel),
                total,
                duration: draft.duration,
                start: draft.start,
                comm_p: draft.comm_p,
                size: BytesAmount(draft.size),
            };
            let mut vouchers = unsigned_vouchers(&terms)?;
            for voucher in &mut vouchers {
                voucher.signature = Some(key.sign(&voucher.payload()).0.to_vec().into());
            }
            payment.pay_ch_actor = MaybeAddress(Some(Address::id(Address::PAYMENT_BROKER)));
            payment.channel = Some(ChannelId(*channel));
            payment.channel_msg_cid = Some(*message);
            payment.vouchers = Some(vouchers);
        }
        let proposal = Proposal {
            piece_ref: draft.data_cid,
            size: Some(BytesAmount(draft.size)),
            total_price: total,
            duration: draft.duration,
            miner_address: draft.miner.clone(),
            payment,
        };
        Ok(proposal.sign(key))
    }

    /// Moves the deal on. On `Err` nothing changed.
    pub fn handle(&mut self, input: ClientInput) -> Result<(), ClientRefusal> {
        let next = match (&self.stage, input) {
            (ClientStage::Drafted, ClientInput::ChannelOpened { channel, message }) => ClientStage::ChannelOpen {
                channel: channel.0,
                message,
            },
            (ClientStage::Drafted, ClientInput::ChannelFailed { reason }) => {
                ClientStage::Failed { reason, channel: None }
            }
            (ClientStage::Drafted | ClientStage::ChannelOpen { .. }, ClientInput::Signed { proposal }) => {
                ClientStage::Signed { proposal }
            }
            (
                ClientStage::Signed { proposal }
                | ClientStage::Running { proposal, .. }
                | ClientStage::Complete { proposal, .. },
                ClientInput::Answered { response },
            ) => self.answered(proposal, response)?,
            (ClientStage::Failed { reason, channel: None }, ClientInput::ChannelOpened { channel, .. }) => {
                // Its message was under way when the deal was given up: there is money to take back after all.
                ClientStage::Failed {
                    reason: reason.clone(),
                    channel: Some(channel.0),
                }
            }
            (_, ClientInput::WorkerChanged { worker }) => {
                self.draft.worker = worker;
                return Ok(());
            }
            (ClientStage::Complete { .. } | ClientStage::Failed { .. }, ClientInput::GivenUp { .. }) => {
                return Err(ClientRefusal::Unexpected)
            }
            (_, ClientInput::GivenUp { reason }) => ClientStage::Failed {
                reason,
                channel: self.channel(),
            },
            _ => return Err(ClientRefusal::Unexpected),
        };
        self.stage = next;
        Ok(())
    }

    /// Judges an answer: to the proposal (spec §3.3 steps 18 and 19), or to a query (spec §3.6).
    fn answered(&self, proposal: &SignedProposal, answer: SignedResponse) -> Result<ClientStage, ClientRefusal> {
        let proposing = matches!(self.stage, ClientStage::Signed { .. });
        let was_complete = matches!(self.stage, ClientStage::Complete { .. });
        if !answer.is_signed_by(&self.draft.worker) {
            return Err(match proposing {
                true => ClientRefusal::ResponseSignature,
                false => ClientRefusal::QuerySignature,
            });
        }
        let (asked, response) = (proposal.cid(), &answer.response);
        if response.proposal_cid != asked {
            return Err(ClientRefusal::OtherDeal {
                asked,
                answered: response.proposal_cid,
            });
        }
        let channel = self.channel();
        let failed = |word: &str| ClientStage::Failed {
            reason: alloc::format!("deal {word}: {}", response.message),
            channel,
        };
        Ok(match response.state {
            state @ DealState::Unknown if proposing => return Err(ClientRefusal::InvalidResponse { state }),
            DealState::Unknown => return Err(ClientRefusal::UnknownDeal),
            DealState::Rejected => failed("rejected"),
            DealState::Failed => failed("failed"),
            DealState::Complete => {
                self.check_inclusion(response.proof_info.as_ref())?;
                ClientStage::Complete {
                    proposal: proposal.clone(),
                    response: answer,
                }
            }
            _ if was_complete => return Err(ClientRefusal::Unexpected),
            // What a miner has, it has: an earlier state is no news, and not worth a write.
            state if self.response().is_some_and(|known| state < known.response.state) => self.stage.clone(),
            // A proposal that is sent again, because its first answer was lost, may find the deal further on.
            DealState::Accepted | DealState::Started | DealState::Staged => ClientStage::Running {
                proposal: proposal.clone(),
                response: answer,
            },
        })
    }

    /// The piece must lie in the sector that the miner names.
    fn check_inclusion(&self, proof: Option<&ProofInfo>) -> Result<(), ClientRefusal> {
        let info = proof.ok_or(ClientRefusal::Unproven("sends no proof"))?;
        let bytes = info
            .piece_inclusion_proof
            .as_ref()
            .ok_or(ClientRefusal::Unproven("sends no inclusion proof"))?;
        let proof = InclusionProof::from_bytes(&bytes.0)
            .map_err(|_| ClientRefusal::Unproven("its inclusion proof is malformed"))?;
        let padded =
            padded_for(self.draft.size).map_err(|_| ClientRefusal::Unproven("the piece has no padded size"))?;
        proof
            .verify(self.draft.comm_p, padded, info.comm_d, self.draft.sector_size)
            .map_err(|_| ClientRefusal::Unproven("its inclusion proof does not hold"))
    }
}
