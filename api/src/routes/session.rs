//! Login with a wallet (EIP-4361), and what only the logged-in address sees.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::AnyProblem;
use crate::dto::problem::Problem;
use crate::dto::session::{Label, Me, NewSession, Session, SessionNonce, SessionRequest};
use crate::error::{ApiError, Kind, Result};
use crate::extract;
use crate::state::App;

/// What to put into the login message.
#[utoipa::path(
    get,
    path = "/api/v1/session/nonce",
    operation_id = "getSessionNonce",
    tag = "session",
    responses((status = 200, description = "Use once, soon.", body = SessionNonce), AnyProblem),
)]
pub async fn nonce(State(_app): State<App>) -> Result<Json<SessionNonce>> {
    Err(ApiError::new(Kind::Unauthenticated))
}

/// Logs in.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    operation_id = "createSession",
    tag = "session",
    request_body = SessionRequest,
    responses(
        (status = 201, description = "Logged in; the cookie is set.", body = NewSession, headers(
            ("set-cookie" = String, description = "The session, for browsers."),
        )),
        (status = 401, description = "The message or its signature was refused: `errors` says why.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn create(
    State(_app): State<App>,
    extract::Json(_request): extract::Json<SessionRequest>,
) -> Result<Response> {
    Err(ApiError::new(Kind::Unauthenticated))
}

/// Who is logged in.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    operation_id = "getSession",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "The session.", body = Session),
        (status = 401, description = "Nobody.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn get(State(_app): State<App>) -> Result<Json<Session>> {
    Err(ApiError::new(Kind::Unauthenticated))
}

/// Logs out.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    operation_id = "deleteSession",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    responses((status = 204, description = "Nobody is logged in any more."), AnyProblem),
)]
pub async fn delete(State(_app): State<App>) -> Result<StatusCode> {
    Ok(StatusCode::NO_CONTENT)
}

/// What only the logged-in address sees.
#[utoipa::path(
    get,
    path = "/api/v1/me",
    operation_id = "getMe",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "Accounts with labels, and the relay history.", body = Me),
        (status = 401, description = "Nobody is logged in.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn me(State(_app): State<App>) -> Result<Json<Me>> {
    Err(ApiError::new(Kind::Unauthenticated))
}

/// Names one's own account.
#[utoipa::path(
    put,
    path = "/api/v1/me/labels/{vault}",
    operation_id = "setLabel",
    tag = "session",
    params(("vault" = String, Path, description = "Strategy vault of the account.", pattern = "^0x[0-9a-fA-F]{40}$")),
    request_body = Label,
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "The label.", body = Label),
        (status = 401, description = "Nobody is logged in.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No account in this vault.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn label(
    State(_app): State<App>,
    extract::Json(_label): extract::Json<Label>,
) -> Result<Json<Label>> {
    Err(ApiError::new(Kind::Unauthenticated))
}
