//! What the operator asks and orders: one function for each of [`crate::operator::route`], by what they are about. [`openapi`] describes
//! them from their own types.
//!
//! Each needs a token for what it does ([`super::guard`]): to see, to give orders, or to change settings.

mod deals;
mod input;
mod mining;
mod sectors;
pub(super) mod watching;

use super::guard::scoped;
use super::{events, openapi, probes, Shown};
use crate::alerts::AlertError;
use crate::ask_publisher::AskError;
use crate::chain_access::ChainError;
use crate::logging::LogError;
use crate::operator::token::Scope;
use crate::operator::{route, Refusal};
use crate::redeeming::RedeemError;
use crate::staging::StagingError;
use crate::store::StoreError;
use crate::supervisor::Lifeline;
use aide::axum::routing::{get_with, post_with};
use aide::axum::ApiRouter;
use aide::OperationOutput;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::Json;
use cid::Cid;
use input::Input;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) type Asked = State<Arc<Shown>>;
type Answer<T> = Result<Json<T>, ApiError>;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0:?} is not a deal id: a deal id is a CID such as `deals list` shows")]
    NoCid(String),
    #[error("deal not found")]
    NoDeal,
    #[error("there is no sector {0}; `sealdrop miner status` shows the newest")]
    NoSector(u64),
    #[error("the miner is not known to the chain any more")]
    NoMiner,
    #[error("an empty file has nothing to store")]
    EmptyPiece,
    #[error("the file is larger than the {usable} bytes that a sector holds")]
    PieceTooLarge { usable: u64 },
    #[error("the upload was interrupted: {0}")]
    Upload(String),
    #[error("{reason}; the document at /api/v1/openapi.json says what is asked for")]
    Input { status: StatusCode, reason: String },
    #[error("{0:?} is no level of the log: give error, warn, info, debug or trace")]
    NoLevel(String),
    #[error("the free room of the disk cannot be read: {0}")]
    Disk(std::io::Error),
    #[error("as many pages as may be told of changes are: close some, or ask again later")]
    TooManyReaders,
    #[error("the daemon stopped in the middle; what was written down is taken up again")]
    Interrupted,
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Alert(#[from] AlertError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::EmptyPiece | Self::PieceTooLarge { .. } | Self::Upload(_) => StatusCode::BAD_REQUEST,
            Self::Ask(AskError::Settings(_)) | Self::NoLevel(_) | Self::Log(_) => StatusCode::BAD_REQUEST,
            Self::Input { status, .. } => *status,
            Self::TooManyReaders => StatusCode::SERVICE_UNAVAILABLE,
            Self::Alert(AlertError::NoWebhook) => StatusCode::CONFLICT,
            Self::Alert(_) => StatusCode::BAD_GATEWAY,
            Self::NoCid(_) | Self::NoDeal | Self::NoSector(_) => StatusCode::NOT_FOUND,
            Self::Ask(AskError::Delayed(_)) | Self::Chain(_) | Self::Redeem(RedeemError::Chain(_)) => {
                StatusCode::BAD_GATEWAY
            }
            Self::Store(StoreError::Sector(_)) => StatusCode::CONFLICT,
            Self::Store(StoreError::UnknownSector(_)) => StatusCode::NOT_FOUND,
            Self::Redeem(RedeemError::Store(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Ask(AskError::Refused(_)) | Self::Redeem(_) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "the operator cannot be answered");
        }
        refuse(status, self.to_string())
    }
}

pub(super) fn refuse(status: StatusCode, error: String) -> Response {
    (status, Json(Refusal { error })).into_response()
}

/// A refusal is described where every operation's default answer is.
impl OperationOutput for ApiError {
    type Inner = Refusal;
}

/// All routes, each for those whose token, in the file `tokens`, is for it; what watches the daemon needs none.
pub(super) fn router(tokens: &Path) -> ApiRouter<Arc<Shown>> {
    let read = scoped(reading(), tokens, Scope::Read);
    let operate = scoped(operating(), tokens, Scope::Operate);
    let admin = scoped(administering(), tokens, Scope::Admin);
    read.merge(operate)
        .merge(admin)
        .route(route::HEALTH, get(probes::health))
        .route(route::HEALTHZ, get(probes::healthz))
        .route(route::LIVE, get(probes::live))
        .route(route::READY, get(probes::ready))
}

fn reading() -> ApiRouter<Arc<Shown>> {
    let of = |id, summary| openapi::operation(id, summary, Scope::Read);
    ApiRouter::new()
        .api_route(
            route::WHO_AM_I,
            get_with(watching::who_am_i, of("whoAmI", "What the token may do")),
        )
        .api_route(
            route::STATUS,
            get_with(mining::status, of("status", "How the miner is doing")),
        )
        .api_route(
            route::MINING,
            get_with(
                mining::mining,
                of("mining", "Whether deals are taken, what is sealed and proven"),
            ),
        )
        .api_route(
            route::DEALS,
            get_with(deals::deals, of("deals", "Deals, by the time of the proposal")),
        )
        .api_route(
            route::DEAL,
            get_with(deals::deal, of("deal", "One deal with its vouchers")),
        )
        .api_route(
            route::DEAL_EXPLANATION,
            get_with(
                deals::explain_deal,
                of("explainDeal", "Why the deal is not done, and when it will be"),
            ),
        )
        .api_route(
            route::SECTORS,
            get_with(sectors::sectors, of("sectors", "The newest sectors")),
        )
        .api_route(
            route::SECTOR_EXPLANATION,
            get_with(
                sectors::explain_sector,
                of("explainSector", "Why the sector is not done, and when it will be"),
            ),
        )
        .api_route(
            route::SETTINGS,
            get_with(mining::settings, of("settings", "The settings")),
        )
        .api_route(
            route::MACHINE,
            get_with(watching::machine, of("machine", "Disk, memory, cores, version")),
        )
        .api_route(route::PEERS, get_with(watching::peers, of("peers", "Who is connected")))
        .api_route(
            route::EARNINGS,
            get_with(
                watching::earnings,
                of("earnings", "What came in, and what is outstanding, by channel"),
            ),
        )
        .api_route(
            route::PROOFS,
            get_with(watching::proofs, of("proofs", "Proofs-of-spacetime made and missed")),
        )
        .api_route(route::LOG, get_with(watching::log, of("log", "The log's last lines")))
        .api_route(
            route::ALERTS,
            get_with(watching::alerts, of("alerts", "How the webhook is doing")),
        )
        .api_route(
            route::CONFIGURATION,
            get_with(
                watching::configuration,
                of("configuration", "Every key, its value and where that comes from"),
            ),
        )
        .route(route::EVENTS, get(events::events))
        .route(route::METRICS, get(super::figures::metrics))
}

fn operating() -> ApiRouter<Arc<Shown>> {
    let of = |id, summary| openapi::operation(id, summary, Scope::Operate);
    ApiRouter::new()
        .api_route(
            route::REDEEM,
            post_with(
                deals::redeem,
                of(
                    "redeem",
                    "Redeem the best voucher that is due, or say what that would bring",
                ),
            ),
        )
        .api_route(
            route::RETRY,
            post_with(sectors::retry, of("retry", "Try a failed sector again")),
        )
        .api_route(
            route::GIVE_UP,
            post_with(
                sectors::give_up,
                of("giveUp", "Do not try a failed sector again; its deals fail"),
            ),
        )
        .api_route(
            route::SEAL_NOW,
            post_with(sectors::seal_now, of("sealNow", "Seal what is staged now")),
        )
        .api_route(
            route::MINING_START,
            post_with(mining::start_mining, of("startMining", "Take deals")),
        )
        .api_route(
            route::MINING_STOP,
            post_with(mining::stop_mining, of("stopMining", "Take no new deals")),
        )
        .api_route(
            route::MINING_ONCE,
            post_with(mining::mine_once, of("mineOnce", "Wait for the chain's next block")),
        )
        .api_route(
            route::ADD_PIECE,
            post_with(
                sectors::add_piece,
                openapi::with_bytes(of("addPiece", "Store a piece of the operator's own")),
            ),
        )
        .api_route(
            route::ALERTS_TEST,
            post_with(
                watching::test_alerts,
                of("testAlerts", "Send an alert that says that it is a test"),
            ),
        )
}

fn administering() -> ApiRouter<Arc<Shown>> {
    let of = |id, summary| openapi::operation(id, summary, Scope::Admin);
    ApiRouter::new()
        .api_route(
            route::SETTINGS,
            post_with(
                mining::change_settings,
                of("changeSettings", "Change settings; they hold at once"),
            ),
        )
        .api_route(
            route::LOG,
            post_with(
                watching::change_log,
                of("changeLog", "Change which lines the log has, until the next start"),
            ),
        )
}

fn parse(text: &str) -> Result<Cid, ApiError> {
    Cid::try_from(text).map_err(|_| ApiError::NoCid(text.chars().take(100).collect()))
}

/// Runs in a task of its own: an operator who hangs up does not stop it in the middle.
async fn detached<T: Send + 'static>(
    lifeline: &Lifeline,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    let (answer, done) = oneshot::channel();
    drop(lifeline.spawn("an order of the operator", async move {
        // Nobody waits for it when it fails.
        let _ = answer.send(work.await);
    }));
    done.await.map_err(|_| ApiError::Interrupted)
}
