//! Carries a client's deal to its end: performs each effect through the host, persists, and goes on.
//!
//! The browser's worker and the command line call [`drive`] with their own [`ClientHost`]; called again after a crash
//! with the persisted deal, it goes on where it was.

use super::client::{ClientDeal, ClientEffect, ClientInput, ClientRefusal};
use super::proposal::SignedProposal;
use super::response::SignedResponse;
use crate::chain::{Address, AttoFil, ChannelId, Epoch, SecretKey};
use crate::payment::schedule::ScheduleError;
use alloc::string::String;
use cid::Cid;

/// How the opening of a channel ended on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelOutcome {
    Opened { channel: ChannelId, message: Cid },
    Failed { reason: String },
}

/// The client's edges. Errors are the host's own: the deal stays as it is and can be driven again.
#[allow(async_fn_in_trait)] // both hosts run it on one thread
pub trait ClientHost {
    type Error;

    /// The payer's key.
    fn key(&self) -> SecretKey;
    /// Keeps the deal; when this returns, the deal survives a crash. Also where a host shows progress.
    async fn save(&mut self, deal: &ClientDeal) -> Result<(), Self::Error>;
    /// Opens the deal's channel and waits until that is on the chain. Called again for the same deal, it opens no second one.
    async fn open_channel(
        &mut self,
        deal: &ClientDeal,
        target: &Address,
        amount: AttoFil,
        eol: Epoch,
    ) -> Result<ChannelOutcome, Self::Error>;
    /// Sends the proposal to the miner.
    async fn propose(&mut self, proposal: &SignedProposal) -> Result<SignedResponse, Self::Error>;
    /// Waits a little (serving the piece meanwhile), then asks the miner for the deal's state.
    async fn query(&mut self, deal: &Cid) -> Result<SignedResponse, Self::Error>;
    /// The miner's worker as the chain has it now, asked when an answer is not signed by the one known; `None` when it
    /// cannot be told.
    async fn worker(&mut self, deal: &ClientDeal) -> Result<Option<Address>, Self::Error>;
    /// The miner's answer was not acceptable; `Ok` keeps asking, `Err` gives up for now.
    async fn refused(&mut self, refusal: ClientRefusal) -> Result<(), Self::Error>;
    /// The schedule cannot be drawn up (a draft that was never checked).
    fn unschedulable(&self, error: ScheduleError) -> Self::Error;
}

/// Drives `deal` until it is complete or failed, or the host gives up.
pub async fn drive<H: ClientHost>(deal: &mut ClientDeal, host: &mut H) -> Result<(), H::Error> {
    host.save(deal).await?;
    loop {
        let input = match deal.effect() {
            ClientEffect::Rest => return Ok(()),
            ClientEffect::OpenChannel { target, amount, eol } => {
                match host.open_channel(deal, &target, amount, eol).await? {
                    ChannelOutcome::Opened { channel, message } => ClientInput::ChannelOpened { channel, message },
                    ChannelOutcome::Failed { reason } => ClientInput::ChannelFailed { reason },
                }
            }
            ClientEffect::Sign => {
                let proposal = deal.sign(&host.key()).map_err(|e| host.unschedulable(e))?;
                ClientInput::Signed { proposal }
            }
            ClientEffect::Propose => match deal.proposal() {
                Some(proposal) => ClientInput::Answered {
                    response: host.propose(proposal).await?,
                },
                None => return Ok(()),
            },
            ClientEffect::ServeAndQuery => match deal.cid() {
                Some(cid) => ClientInput::Answered {
                    response: host.query(&cid).await?,
                },
                None => return Ok(()),
            },
        };
        let before = deal.stage.clone();
        match handle(deal, host, input).await? {
            Ok(()) if deal.stage != before => host.save(deal).await?,
            Ok(()) => {}
            Err(refusal) => host.refused(refusal).await?,
        }
    }
}

/// Hands an input to the deal. An answer that another key has signed than the worker's known so far is judged by the
/// worker of now: the miner may have a new one (spec §3.6).
async fn handle<H: ClientHost>(
    deal: &mut ClientDeal,
    host: &mut H,
    input: ClientInput,
) -> Result<Result<(), ClientRefusal>, H::Error> {
    let first = deal.handle(input.clone());
    if !matches!(
        first,
        Err(ClientRefusal::ResponseSignature | ClientRefusal::QuerySignature)
    ) {
        return Ok(first);
    }
    match host.worker(deal).await? {
        Some(worker) if worker != deal.draft.worker => Ok(deal
            .handle(ClientInput::WorkerChanged { worker })
            .and_then(|()| deal.handle(input))),
        _ => Ok(first),
    }
}
