//! The chain's past over [`crate::rpc`], for the page that checks proofs by itself ([`shared::client::evidence`]), and proofs of what
//! the chain's endpoint says ([`shared::client::light`]).

use crate::error::ClientError;
use crate::rpc::Rpc;
use cid::Cid;
use shared::chain::light::{MessageProof, StateKey, StateProof};
use shared::chain::rpc::{code, MessageSummary, MessageView, Method, Query};
use shared::chain::view::NetworkView;
use shared::chain::{Address, Call, Epoch};
use shared::ports::{History, ProofSource, Unproven};

impl History for Rpc {
    type Error = ClientError;

    async fn network(&self) -> Result<NetworkView, ClientError> {
        Rpc::network(self).await
    }

    async fn ticket(&self, height: Epoch) -> Result<Vec<u8>, ClientError> {
        Ok(self.beacon(height).await?.0)
    }

    async fn messages(&self, address: &Address, before: Option<Epoch>) -> Result<Vec<MessageSummary>, ClientError> {
        Rpc::messages(self, address, before).await
    }

    async fn message_view(&self, id: &Cid) -> Result<Option<MessageView>, ClientError> {
        self.message(id).await
    }

    async fn returned_at(&self, call: &Call, height: Epoch) -> Result<Vec<Vec<u8>>, ClientError> {
        let answer = self.query_at(call, Some(height)).await?;
        let values: Result<_, _> = answer.returns.iter().map(hex::decode).collect();
        values.map_err(|e| ClientError::ChainAnswer {
            method: Query::NAME,
            reason: e.to_string(),
        })
    }

    fn is_past(error: &ClientError) -> bool {
        matches!(
            error,
            ClientError::ChainRefused {
                code: code::PRUNED | code::PAST,
                ..
            }
        )
    }
}

impl ProofSource for Rpc {
    type Error = ClientError;

    async fn genesis_record(&self) -> Result<Vec<u8>, ClientError> {
        Ok(Rpc::genesis_record(self).await?.0)
    }

    async fn message_proof(&self, id: &Cid) -> Result<Option<MessageProof>, ClientError> {
        Ok(self.prove_message(id).await?.map(|proof| proof.0))
    }

    async fn state_proof(&self, keys: &[StateKey]) -> Result<StateProof, ClientError> {
        Ok(self.prove_state(keys).await?.0)
    }

    fn unproven(error: &ClientError) -> Unproven {
        match error {
            ClientError::ChainRefused { message, .. } => Unproven::Cannot(message.clone()),
            ClientError::ChainAnswer { reason, .. } => Unproven::Malformed(reason.clone()),
            _ => Unproven::Away,
        }
    }
}
