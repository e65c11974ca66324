//! The router with everything around it.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;

use crate::error::{self, ApiError, Kind, REQUEST_ID};
use crate::state::App;
use crate::web::{self, Protection};
use crate::{limit, routes};

/// Connections get so long to finish after the process was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// The whole service.
///
/// # Errors
/// When a configured origin is no header value.
pub fn router(app: &App) -> anyhow::Result<Router> {
    let cors = cors(app)?;
    let protection = Protection::new(app);
    let documented: Router<App> = routes::documented().into();
    let id = HeaderName::from_static(REQUEST_ID);
    let seconds = Duration::from_secs(app.config.request_timeout_seconds.max(1));
    Ok(documented
        .route("/openapi.json", get(openapi))
        .route("/metrics", get(prometheus))
        .fallback(web::serve)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn(foreign_ids))
                .layer(SetRequestIdLayer::new(id.clone(), MakeRequestUuid))
                .layer(PropagateRequestIdLayer::new(id))
                .layer(from_fn(measure))
                .layer(from_fn_with_state(protection, web::protect))
                .layer(cors)
                .layer(CompressionLayer::new())
                .layer(from_fn(error::render))
                .layer(from_fn_with_state(app.clone(), limit::enforce))
                .layer(TimeoutLayer::with_status_code(
                    StatusCode::GATEWAY_TIMEOUT,
                    seconds,
                ))
                .layer(DefaultBodyLimit::max(app.config.max_body_bytes)),
        )
        .with_state(app.clone()))
}

/// Serves until the process is to stop.
///
/// # Errors
/// When the socket fails.
pub async fn serve(app: App, listener: TcpListener) -> anyhow::Result<()> {
    let service = router(&app)?.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let stop = app.stop.clone();
    let serving = axum::serve(listener, service)
        .with_graceful_shutdown({
            let stop = stop.clone();
            async move { stop.cancelled().await }
        })
        .into_future();
    tokio::select! {
        ended = serving => Ok(ended?),
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => {
            tracing::warn!("connections were still open; stopped without them");
            Ok(())
        }
    }
}

fn cors(app: &App) -> anyhow::Result<CorsLayer> {
    let origins = &app.config.cors_origins;
    let layer = CorsLayer::new()
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
        ])
        .allow_headers([ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH])
        .expose_headers([
            ETAG,
            LOCATION,
            RETRY_AFTER,
            HeaderName::from_static(REQUEST_ID),
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
        ])
        .max_age(Duration::from_secs(3_600));
    if origins.iter().any(|origin| origin == "*") {
        return Ok(layer.allow_origin(Any));
    }
    let origins = origins
        .iter()
        .map(|origin| HeaderValue::from_str(origin))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(layer
        .allow_origin(AllowOrigin::list(origins))
        .allow_credentials(true))
}

/// Middleware: a request id from outside is kept only when it is one: short, and nothing that could break a log line.
async fn foreign_ids(mut request: Request, next: Next) -> Response {
    let good = request.headers().get(REQUEST_ID).is_none_or(|id| {
        let id = id.as_bytes();
        (1..=64).contains(&id.len())
            && id
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
    });
    if !good {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

/// A method's name where it is a standard one. HTTP takes any word for a method, and every word would be a time series
/// that is kept for ever.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

/// Middleware: counts, times and logs.
async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("web", MatchedPath::as_str)
        .to_owned();
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let response = next.run(request).await;
    let (status, took) = (response.status(), started.elapsed());
    let labels = [
        ("method", method.to_owned()),
        ("route", route.clone()),
        ("status", status.as_u16().to_string()),
    ];
    metrics::counter!("lockstep_api_requests_total", &labels).increment(1);
    metrics::histogram!("lockstep_api_request_seconds", "route" => route.clone()).record(took.as_secs_f64());
    let (status, took_ms) = (status.as_u16(), took.as_millis());
    if status >= 500 {
        tracing::warn!(method, route, status, took_ms, request_id = id, "request failed");
    } else {
        tracing::debug!(method, route, status, took_ms, request_id = id, "request");
    }
    response
}

async fn openapi() -> Result<Response, ApiError> {
    let json = routes::openapi_json().map_err(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be written");
        ApiError::new(Kind::Internal)
    })?;
    Ok((
        [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "public, max-age=300"),
        ],
        json,
    )
        .into_response())
}

async fn prometheus(State(app): State<App>) -> Result<Response, ApiError> {
    match &app.metrics {
        Some(handle) => {
            handle.run_upkeep();
            Ok((
                [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
                handle.render(),
            )
                .into_response())
        }
        None => Err(ApiError::new(Kind::NotFound)),
    }
}
