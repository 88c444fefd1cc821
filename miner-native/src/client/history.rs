//! The chain's past over the terminal's connection, for [`super::proofs`], and proofs of what the endpoint says, for [`super::verifying`].

use super::error::ClientError;
use cid::Cid;
use sealdrop_miner::chain_access::{ChainAccess, ChainError};
use shared::chain::light::{MessageProof, StateKey, StateProof};
use shared::chain::rpc::{code, MessageSummary, MessageView};
use shared::chain::view::NetworkView;
use shared::chain::{Address, Call, Epoch};
use shared::ports::{History, ProofSource, Unproven};

/// A connection, asked about what was.
pub struct Past(pub ChainAccess);

impl History for Past {
    type Error = ChainError;

    async fn network(&self) -> Result<NetworkView, ChainError> {
        Ok(self.0.connected_network().clone())
    }

    async fn ticket(&self, height: Epoch) -> Result<Vec<u8>, ChainError> {
        self.0.beacon(height).await
    }

    async fn messages(&self, address: &Address, before: Option<Epoch>) -> Result<Vec<MessageSummary>, ChainError> {
        self.0.messages(address, before).await
    }

    async fn message_view(&self, id: &Cid) -> Result<Option<MessageView>, ChainError> {
        self.0.message(id).await
    }

    async fn returned_at(&self, call: &Call, height: Epoch) -> Result<Vec<Vec<u8>>, ChainError> {
        let Call { to, method, params, .. } = call;
        self.0.query(to, None, method, params, Some(height)).await
    }

    fn is_past(error: &ChainError) -> bool {
        match error {
            ChainError::Pruned { .. } => true,
            ChainError::Rpc { code, .. } => *code == code::PAST,
            _ => false,
        }
    }
}

/// A connection, asked for proofs.
pub struct Proven(pub ChainAccess);

impl ProofSource for Proven {
    type Error = ClientError;

    async fn genesis_record(&self) -> Result<Vec<u8>, ClientError> {
        self.0.genesis_record().await.map_err(ClientError::chain)
    }

    async fn message_proof(&self, id: &Cid) -> Result<Option<MessageProof>, ClientError> {
        self.0.prove_message(id).await.map_err(ClientError::chain)
    }

    async fn state_proof(&self, keys: &[StateKey]) -> Result<StateProof, ClientError> {
        self.0.prove_state(keys, None).await.map_err(ClientError::chain)
    }

    fn unproven(error: &ClientError) -> Unproven {
        match error {
            ClientError::Chain(ChainError::Rpc { message, .. }) => Unproven::Cannot(message.clone()),
            ClientError::Chain(ChainError::Pruned { reason, .. }) => Unproven::Cannot(reason.clone()),
            ClientError::Chain(ChainError::Protocol { reason, .. }) => Unproven::Malformed(reason.clone()),
            _ => Unproven::Away,
        }
    }
}
