//! The door for whoever watches the process: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use lockstep_service::metrics::Handle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Ready;
use crate::follow::{Health, Report};

struct Door {
    health: Arc<Health>,
    metrics: Handle,
    ready: Ready,
}

/// Serves until `stop`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    metrics: Handle,
    ready: Ready,
    stop: CancellationToken,
) -> std::io::Result<()> {
    tracing::info!(listen = %listener.local_addr()?, "health and metrics");
    let door = Arc::new(Door {
        health,
        metrics,
        ready,
    });
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(|State(door): State<Arc<Door>>| async move { door.metrics.render() }),
        )
        .with_state(door);
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn readyz(State(door): State<Arc<Door>>) -> impl IntoResponse {
    let report = door.health.report();
    let status = if is_ready(&report, door.ready) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}

/// Close to the head, and heard from lately.
fn is_ready(report: &Report, ready: Ready) -> bool {
    report.lag_blocks.is_some_and(|lag| lag <= ready.lag_blocks)
        && report.silent_ms.is_some_and(|silent| silent <= ready.silent_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_close_and_heard_from() {
        let ready = Ready {
            lag_blocks: 5,
            silent_ms: 1_000,
        };
        let report = |lag_blocks, silent_ms| Report {
            cursor: None,
            head: None,
            finalized: None,
            lag_blocks,
            silent_ms,
            problem: None,
        };
        assert!(is_ready(&report(Some(5), Some(1_000)), ready));
        assert!(!is_ready(&report(Some(6), Some(0)), ready));
        assert!(!is_ready(&report(Some(0), Some(1_001)), ready));
        assert!(!is_ready(&report(None, None), ready));
    }
}
