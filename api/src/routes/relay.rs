//! Signatures on their way to the chain.

use alloy::primitives::B256;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lockstep_contracts::relay as wire;

use super::AnyProblem;
use crate::dto::problem::Problem;
use crate::dto::relay::{RelayStatus, SignedIntent, SignedMandate};
use crate::error::{ApiError, Kind, Result};
use crate::state::App;
use crate::{extract, relay};

/// Relays a mandate.
///
/// Checks all that can be checked without the chain, then hands it to the keeper. Sending the same signature again is
/// safe: it has the same id, and nothing is moved twice. `state: unknown` means that the keeper did not answer in time:
/// ask by id.
#[utoipa::path(
    post,
    path = "/api/v1/relay/mandate",
    operation_id = "relayMandate",
    tag = "relay",
    request_body = SignedMandate,
    responses(
        (status = 202, description = "Taken; follow it by id.", body = RelayStatus, headers(
            ("location" = String, description = "Where to ask."),
        )),
        (status = 409, description = "The chain has accepted this mandate before.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not application/json.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be accepted: `errors` says why, field by field.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn mandate(
    State(app): State<App>,
    extract::Json(signed): extract::Json<wire::SignedMandate>,
) -> Result<Response> {
    relay::mandate(&app, signed).await.map(taken)
}

/// Relays a stop or a withdrawal.
#[utoipa::path(
    post,
    path = "/api/v1/relay/intent",
    operation_id = "relayIntent",
    tag = "relay",
    request_body = SignedIntent,
    responses(
        (status = 202, description = "Taken; follow it by id.", body = RelayStatus, headers(
            ("location" = String, description = "Where to ask."),
        )),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not application/json.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be accepted: `errors` says why, field by field.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn intent(
    State(app): State<App>,
    extract::Json(signed): extract::Json<wire::SignedIntent>,
) -> Result<Response> {
    relay::intent(&app, signed).await.map(taken)
}

/// 202, and where to ask.
fn taken(status: RelayStatus) -> Response {
    let place = HeaderValue::try_from(format!("/api/v1/relay/{}", status.id));
    let mut response = (StatusCode::ACCEPTED, Json(status)).into_response();
    if let Ok(place) = place {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

/// What became of something relayed.
#[utoipa::path(
    get,
    path = "/api/v1/relay/{id}",
    operation_id = "getRelay",
    tag = "relay",
    params(("id" = String, Path, description = "EIP-712 digest of what was signed.", pattern = "^0x[0-9a-fA-F]{64}$")),
    responses(
        (status = 200, description = "Where it stands.", body = RelayStatus),
        (status = 404, description = "Nothing was relayed under this id.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Response> {
    let id: B256 = id
        .parse()
        .map_err(|_| ApiError::new(Kind::RelayNotFound).detail("An id is 0x and 64 hexadecimal digits."))?;
    let status = relay::status(&app, id).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(status)).into_response())
}
