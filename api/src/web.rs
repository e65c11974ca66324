//! The built dashboard: files, the one page behind all its paths, and headers that keep it honest.

use std::path::Path;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower::ServiceExt as _;
use tower_http::services::{ServeDir, ServeFile};

use crate::config::Config;
use crate::error::{ApiError, Kind};
use crate::state::App;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Headers of every answer, made once.
#[derive(Debug, Clone)]
pub struct Protection {
    page: HeaderValue,
    data: HeaderValue,
    https: bool,
}

impl Protection {
    /// For the configured addresses.
    #[must_use]
    pub fn new(app: &App) -> Self {
        let origins = app.sessions.origins();
        let page = page_policy(
            &app.config,
            origins.iter().map(|url| url.origin().ascii_serialization()),
        );
        Self {
            page: HeaderValue::try_from(page)
                .unwrap_or_else(|_| HeaderValue::from_static("default-src 'self'")),
            data: HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
            https: origins.iter().all(|url| url.scheme() == "https"),
        }
    }
}

/// What the dashboard may do: its own scripts, and talk to this API and the configured chain.
fn page_policy(config: &Config, origins: impl Iterator<Item = String>) -> String {
    let mut connect = vec!["'self'".to_owned()];
    // Some browsers do not take 'self' for WebSockets.
    connect.extend(origins.map(|origin| origin.replacen("http", "ws", 1)));
    if let Some(rpc) = &config.public_rpc_url {
        let origin = rpc.origin().ascii_serialization();
        if origin.starts_with("http") {
            connect.push(origin.replacen("http", "ws", 1));
        }
        connect.push(origin);
    }
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; \
         font-src 'self'; manifest-src 'self'; connect-src {}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        connect.join(" ")
    )
}

/// Marks an answer that stands for the page of the dashboard, whether it carries it or says that it has not changed.
#[derive(Debug, Clone, Copy)]
struct IsPage;

/// Middleware: headers for every answer.
pub async fn protect(State(protection): State<Protection>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    // The headers of a 304 replace those of the page that the browser kept: with the policy of data, a page that is opened
    // again would stay blank.
    let page = response.extensions().get::<IsPage>().is_some();
    let headers = response.headers_mut();
    let html = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let policy = if html || page {
        &protection.page
    } else {
        &protection.data
    };
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if html {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    }
    if html || page {
        // Wallets may open windows of their own.
        headers.insert(
            OPENER_POLICY,
            HeaderValue::from_static("same-origin-allow-popups"),
        );
        headers.insert(
            PERMISSIONS_POLICY,
            HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        );
    }
    if protection.https {
        headers.insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

/// Paths that are never a page of the dashboard.
const NOT_PAGES: [&str; 5] = ["/api/", "/openapi.json", "/healthz", "/readyz", "/metrics"];

/// Answers what no other route has: a file of the dashboard, or its page.
pub async fn serve(State(app): State<App>, request: Request) -> Response {
    let path = request.uri().path();
    let other = path == "/api" || NOT_PAGES.iter().any(|prefix| path.starts_with(prefix));
    match &app.config.web_dist {
        Some(dist) if !other => file(dist, request).await,
        _ => ApiError::new(Kind::NotFound).into_response(),
    }
}

async fn file(dist: &Path, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let (method, uri, conditions) = (
        request.method().clone(),
        request.uri().clone(),
        request.headers().clone(),
    );
    let files = ServeDir::new(dist)
        .append_index_html_on_directories(true)
        .precompressed_gzip();
    let found = match files.oneshot(request).await {
        Ok(found) => found,
        Err(never) => match never {},
    };
    let is_file = uri
        .path()
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'));
    if found.status() == StatusCode::NOT_FOUND && !is_file {
        return page(dist, method, conditions).await;
    }
    let mut response = found.map(Body::new);
    if response.status() == StatusCode::NOT_FOUND {
        return ApiError::new(Kind::NotFound).into_response();
    }
    response.headers_mut().insert(CACHE_CONTROL, caching(&uri));
    if uri.path().ends_with('/') || uri.path().ends_with(".html") {
        response.extensions_mut().insert(IsPage);
    }
    response
}

/// The one page behind all paths of the dashboard.
async fn page(dist: &Path, method: Method, conditions: HeaderMap) -> Response {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.headers_mut() = conditions;
    let found = match ServeFile::new(dist.join("index.html"))
        .precompressed_gzip()
        .oneshot(request)
        .await
    {
        Ok(found) => found,
        Err(never) => match never {},
    };
    if found.status() == StatusCode::NOT_FOUND {
        return ApiError::new(Kind::NotFound)
            .detail("The dashboard is not built here: see api/web.")
            .into_response();
    }
    let mut response = found.map(Body::new);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.extensions_mut().insert(IsPage);
    response
}

/// What has a hash of its content in its name never changes; everything else is asked about each time.
fn caching(uri: &Uri) -> HeaderValue {
    if uri.path().starts_with("/assets/") {
        HeaderValue::from_static("public, max-age=31536000, immutable")
    } else {
        HeaderValue::from_static("no-cache")
    }
}
