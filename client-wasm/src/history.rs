//! The chain's past over [`crate::rpc`], for the page that checks proofs by itself ([`shared::client::evidence`]).

use crate::error::ClientError;
use crate::rpc::Rpc;
use cid::Cid;
use shared::chain::rpc::{code, MessageSummary, MessageView, Method, Query};
use shared::chain::view::NetworkView;
use shared::chain::{Address, Call, Epoch};
use shared::ports::History;

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
