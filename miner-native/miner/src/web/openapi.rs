//! This API as an OpenAPI 3.1 document: written from the handlers' own types, so that it cannot say anything else than they do.
//!
//! A copy is kept in `shared/docs`, which a test holds to it; `schemathesis` in the tests asks a daemon by it.

use crate::operator::token::Scope;
use crate::operator::Refusal;
use aide::openapi::{License, MediaType, ReferenceOr, RequestBody, SecurityScheme, Server, Tag};
use aide::transform::{TransformOpenApi, TransformOperation};
use axum::Json;

/// How tokens are sent.
const SCHEME: &str = "token";

/// An operation's id, what it does, and which token it needs.
pub(super) fn operation(
    id: &'static str,
    summary: &'static str,
    scope: Scope,
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| {
        operation
            .id(id)
            .summary(summary)
            .tag(tag(scope))
            .security_requirement_scopes(SCHEME, [scope.to_string()])
    }
}

/// The same for one that takes a file's bytes.
pub(super) fn with_bytes(
    described: impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_>,
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| {
        let mut operation = described(operation);
        let body = RequestBody {
            description: Some("The file's bytes".to_owned()),
            content: [("application/octet-stream".to_owned(), MediaType::default())]
                .into_iter()
                .collect(),
            required: true,
            ..RequestBody::default()
        };
        operation.inner_mut().request_body = Some(ReferenceOr::Item(body));
        operation
    }
}

fn tag(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "watching",
        Scope::Operate => "orders",
        Scope::Admin => "settings",
    }
}

/// What the document says beside its operations.
pub(super) fn about(api: TransformOpenApi<'_>) -> TransformOpenApi<'_> {
    let of = |scope: Scope, description: &str| Tag {
        name: tag(scope).to_owned(),
        description: Some(description.to_owned()),
        ..Tag::default()
    };
    api.title("Sealdrop's miner, for its operator")
        .version("1")
        .description(
            "What the operator's page and `sealdrop mining` ask. Amounts are FIL as decimal text, sizes bytes, heights and spans numbers. \
             Every refusal is `{ \"error\": … }`: 401 without a token of this daemon, 403 with one for less.",
        )
        .license(License {
            name: env!("CARGO_PKG_LICENSE").to_owned(),
            ..License::default()
        })
        .server(Server {
            url: "http://127.0.0.1:4400".to_owned(),
            ..Server::default()
        })
        .security_scheme(
            SCHEME,
            SecurityScheme::Http {
                scheme: "bearer".to_owned(),
                bearer_format: None,
                description: Some("A token of the daemon's operator.token: `sealdrop token show` prints one".to_owned()),
                extensions: Default::default(),
            },
        )
        .tag(of(Scope::Read, "With a token of scope read"))
        .tag(of(Scope::Operate, "With a token of scope operate"))
        .tag(of(Scope::Admin, "With a token of scope admin"))
        .default_response::<Json<Refusal>>()
}
