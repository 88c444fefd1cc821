//! What requests carry, with refusals as all others are: `{ "error": … }`.

use super::ApiError;
use aide::generate::GenContext;
use aide::openapi::Operation;
use aide::OperationInput;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::StatusCode;
use axum::Json;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A body of JSON, an object.
pub(super) struct Input<T>(pub T);

/// The variable parts of a path.
pub(super) struct Of<T>(pub T);

/// What follows the question mark.
pub(super) struct Asking<T>(pub T);

/// A deal in a path.
#[derive(Deserialize, JsonSchema)]
pub(super) struct DealPath {
    /// The deal's id: the CID of its proposal.
    pub cid: String,
}

/// A sector in a path.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SectorPath {
    /// The sector's number.
    pub id: u64,
}

fn refused(status: StatusCode, reason: String) -> ApiError {
    ApiError::Input { status, reason }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        // A list is read as if its values had names in the order of the fields, which nobody means.
        match Json::<Map<String, Value>>::from_request(request, state).await {
            Ok(Json(fields)) => serde_json::from_value(Value::Object(fields))
                .map(Self)
                .map_err(|error| refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
            Err(rejection) => Err(refused(rejection.status(), rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Of<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(refused(rejection.status(), rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asking<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(refused(rejection.status(), rejection.body_text())),
        }
    }
}

impl<T: JsonSchema> OperationInput for Input<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Json::<T>::operation_input(context, operation);
    }
}

impl<T: JsonSchema> OperationInput for Of<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Path::<T>::operation_input(context, operation);
    }
}

impl<T: JsonSchema> OperationInput for Asking<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Query::<T>::operation_input(context, operation);
    }
}
