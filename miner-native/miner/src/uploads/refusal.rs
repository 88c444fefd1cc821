//! What is answered when a request is not done, and how that looks.

use crate::staging::StagingError;
use crate::store::StoreError;
use axum::http::{header, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::Json;
use cid::Cid;
use shared::transfer::upload::{OpeningError, SessionView, UploadCode, UploadProblem};
use shared::transfer::{LeafFault, PlaceLost, TransferFault};
use shared::wire::DecodeError;
use std::time::Duration;

/// When to come again where many are under way.
const CROWDED_RETRY: Duration = Duration::from_secs(5);
/// When to come again where something takes its time.
const SOON: Duration = Duration::from_secs(1);

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("{0:?} is not a deal id: a deal id is the CID of the signed proposal")]
    NoCid(String),
    #[error("the opening cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    #[error("the opening is not taken: {0}")]
    Opening(#[from] OpeningError),
    #[error("there is no such session: its token is missing or another, it was idle for too long, or the miner was started again")]
    NoSession,
    #[error("this miner has no deal {0}")]
    UnknownDeal(Cid),
    #[error("the deal is over: {reason}")]
    DealOver { reason: String },
    /// Not an error: it is answered so.
    #[error("the miner has the piece")]
    Received { size: u64 },
    #[error("the nodes of the file's DAG are not here yet")]
    NodesMissing(Box<SessionView>),
    #[error("the piece is not whole yet")]
    Incomplete(Box<SessionView>),
    #[error("the file has {chunks} chunks, and there is none with the number {chunk}")]
    NoSuchChunk { chunk: String, chunks: u64 },
    #[error("the body is to have {expected} bytes, and {} were announced", said(.declared))]
    Length { expected: u64, declared: Option<u64> },
    #[error("the body may have {most} bytes, and {} were announced", said(.declared))]
    TooLong { most: u64, declared: Option<u64> },
    #[error("{0}")]
    Leaf(LeafFault),
    #[error("none of the nodes is one that is missing")]
    WrongNodes,
    #[error("the deal has failed: {0}")]
    NotAFile(TransferFault),
    #[error("nothing came for {} seconds", .0.as_secs())]
    Silent(Duration),
    #[error(transparent)]
    PlaceLost(#[from] PlaceLost),
    #[error("the body ended in the middle: {0}")]
    Broken(String),
    #[error("as many uploads are under way as this miner takes at once")]
    Crowded,
    #[error("too many wait to send their bytes")]
    NoPlace,
    #[error("somebody else sends or uses the piece just now")]
    Claimed,
    #[error("what is here of the piece is being checked")]
    Checking,
    #[error("the miner stopped in the middle")]
    Interrupted,
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn said(declared: &Option<u64>) -> String {
    declared.map_or_else(|| "none".to_owned(), |bytes| bytes.to_string())
}

impl UploadError {
    pub(super) fn code(&self) -> UploadCode {
        match self {
            Self::NoCid(_) | Self::Malformed(_) | Self::Broken(_) => UploadCode::BadRequest,
            Self::Opening(_) => UploadCode::NotAuthorised,
            Self::NoSession => UploadCode::NoSession,
            Self::UnknownDeal(_) => UploadCode::UnknownDeal,
            Self::DealOver { .. } | Self::Received { .. } => UploadCode::DealOver,
            Self::NodesMissing(_) | Self::Leaf(LeafFault::NodesMissing) => UploadCode::NodesMissing,
            Self::Incomplete(_) => UploadCode::Incomplete,
            Self::NoSuchChunk { .. } => UploadCode::NoSuchChunk,
            Self::Length { .. } | Self::TooLong { .. } | Self::Leaf(LeafFault::Length { .. }) => {
                UploadCode::WrongLength
            }
            Self::Leaf(LeafFault::Hash { .. }) => UploadCode::WrongBytes,
            Self::WrongNodes => UploadCode::WrongNodes,
            Self::NotAFile(_) => UploadCode::NotAFile,
            Self::Silent(_) | Self::PlaceLost(_) => UploadCode::TooSlow,
            Self::Crowded | Self::NoPlace | Self::Claimed | Self::Checking => UploadCode::Busy,
            Self::Staging(error) if error.passes() => UploadCode::NoRoom,
            Self::Interrupted | Self::Staging(_) | Self::Store(_) => UploadCode::Internal,
        }
    }

    fn retry(&self) -> Option<Duration> {
        match self {
            Self::Crowded | Self::NoPlace => Some(CROWDED_RETRY),
            Self::Claimed | Self::Checking => Some(SOON),
            _ => None,
        }
    }

    /// How the session stands, where the answer says so.
    fn session(&self) -> Option<SessionView> {
        match self {
            Self::NodesMissing(view) | Self::Incomplete(view) => Some((**view).clone()),
            _ => None,
        }
    }
}

impl IntoResponse for UploadError {
    fn into_response(self) -> Response {
        if let Self::Received { size } = self {
            return Json(SessionView::received(size)).into_response();
        }
        let code = self.code();
        if matches!(code, UploadCode::Internal | UploadCode::NoRoom) {
            tracing::error!(error = %self, "an upload cannot be taken");
        }
        let retry = self.retry();
        let mut problem = UploadProblem::new(code, self.to_string());
        problem.retry_ms = retry.and_then(|retry| u64::try_from(retry.as_millis()).ok());
        problem.session = self.session();
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(problem)).into_response();
        if let Some(seconds) = retry.map(|retry| retry.as_secs().max(1)) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
