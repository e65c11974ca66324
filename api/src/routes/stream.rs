//! The WebSocket.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::header::UPGRADE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use super::AnyProblem;
use crate::client::Client;
use crate::dto::problem::Problem;
use crate::error::{ApiError, Kind, Result};
use crate::state::App;
use crate::stream::socket;

/// What is new, as it happens.
///
/// A WebSocket with one JSON object per text frame: the client sends `StreamRequest`, the server `StreamMessage`.
/// Topics: `strategies`, `strategy:{id}`, `account:{address}`, `relay:{id}`. A slow client gets `lagged` and reads again
/// over HTTP.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    operation_id = "stream",
    tag = "stream",
    responses(
        (status = 101, description = "From here on a WebSocket."),
        (status = 426, description = "Not a WebSocket handshake.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn connect(
    State(app): State<App>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: axum::extract::Request,
) -> Result<Response> {
    let upgrade = upgrade.map_err(|rejection| {
        ApiError::new(Kind::UpgradeRequired)
            .detail(rejection.body_text())
            .headers(HeaderMap::from_iter([(
                UPGRADE,
                HeaderValue::from_static("websocket"),
            )]))
    })?;
    let client = Client::of(
        request.extensions(),
        request.headers(),
        &app.config.trusted_proxies,
    );
    let seat = app.hub.join(client).ok_or_else(|| {
        ApiError::new(Kind::Overloaded)
            .detail("Too many connections; close some of yours.")
            .retry_after(10)
    })?;
    Ok(upgrade
        .max_message_size(socket::MAX_MESSAGE)
        .max_frame_size(socket::MAX_MESSAGE)
        .on_upgrade(move |connection| socket::serve(app, connection, seat)))
}
