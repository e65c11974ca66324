//! Everything the API can refuse, as RFC 9457 problems.
//!
//! A handler returns an [`ApiError`]; the request's path and id are added by [`render`], which also turns the plain
//! refusals of the router and its layers (404, 405, 413, 503…) into problems. So there is one shape of error, whoever
//! raises it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lockstep_indexer::store::StoreError;

use crate::dto::problem::{FieldError, Problem};

/// Media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Name of the header with the request's id.
pub const REQUEST_ID: &str = "x-request-id";

/// Kinds of problems. The kebab-case name is the `code` clients match on and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A path or query parameter or a header is wrong.
    InvalidParameter,
    /// The body is not the JSON that is expected.
    InvalidBody,
    /// Log in first.
    Unauthenticated,
    /// The signature of a login does not prove the address.
    LoginRefused,
    /// Logged in, but not for this; or a request from a foreign page.
    Forbidden,
    /// No such path.
    NotFound,
    /// No such strategy in the store.
    StrategyNotFound,
    /// No such strategy vault in the strategy.
    VaultNotFound,
    /// No such batch.
    BatchNotFound,
    /// Nothing was relayed under this id.
    RelayNotFound,
    /// Not an account of the logged-in address.
    AccountNotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// No representation that the client accepts.
    NotAcceptable,
    /// The chain has already accepted this.
    AlreadyAccepted,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// This path speaks WebSocket.
    UpgradeRequired,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The mandate cannot be accepted by the chain as it is.
    MandateInvalid,
    /// The intent cannot be accepted by the chain as it is.
    IntentInvalid,
    /// The keeper refused it.
    RelayRefused,
    /// Too many requests from this address.
    RateLimited,
    /// A bug or a broken part.
    Internal,
    /// The store cannot be read now.
    StoreUnavailable,
    /// The indexer has not written anything yet.
    StoreEmpty,
    /// The keeper cannot be reached: nothing was sent.
    KeeperUnavailable,
    /// Relaying is not configured here.
    RelayDisabled,
    /// The chain cannot be asked now, and without it a contract's signature cannot be judged.
    ChainUnavailable,
    /// The server took too long.
    Timeout,
    /// Too busy.
    Overloaded,
    /// Any other refusal, named by its status.
    Other(StatusCode),
}

impl Kind {
    /// Code, status and title.
    const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::InvalidParameter => ("invalid-parameter", S::BAD_REQUEST, "A parameter is wrong"),
            Self::InvalidBody => (
                "invalid-body",
                S::BAD_REQUEST,
                "The body is not the JSON that is expected",
            ),
            Self::Unauthenticated => ("unauthenticated", S::UNAUTHORIZED, "Log in first"),
            Self::LoginRefused => ("login-refused", S::UNAUTHORIZED, "The login was refused"),
            Self::Forbidden => ("forbidden", S::FORBIDDEN, "Not allowed"),
            Self::NotFound => ("not-found", S::NOT_FOUND, "No such resource"),
            Self::StrategyNotFound => ("strategy-not-found", S::NOT_FOUND, "No such strategy"),
            Self::VaultNotFound => ("vault-not-found", S::NOT_FOUND, "No such strategy vault"),
            Self::BatchNotFound => ("batch-not-found", S::NOT_FOUND, "No such batch"),
            Self::RelayNotFound => (
                "relay-not-found",
                S::NOT_FOUND,
                "Nothing was relayed under this id",
            ),
            Self::AccountNotFound => ("account-not-found", S::NOT_FOUND, "No such account"),
            Self::MethodNotAllowed => ("method-not-allowed", S::METHOD_NOT_ALLOWED, "Method not allowed"),
            Self::NotAcceptable => (
                "not-acceptable",
                S::NOT_ACCEPTABLE,
                "No acceptable representation",
            ),
            Self::AlreadyAccepted => ("already-accepted", S::CONFLICT, "Already accepted on the chain"),
            Self::BodyTooLarge => ("body-too-large", S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "Send application/json",
            ),
            Self::UpgradeRequired => (
                "upgrade-required",
                S::UPGRADE_REQUIRED,
                "This path speaks WebSocket",
            ),
            Self::MandateInvalid => (
                "mandate-invalid",
                S::UNPROCESSABLE_ENTITY,
                "The mandate cannot be accepted",
            ),
            Self::IntentInvalid => (
                "intent-invalid",
                S::UNPROCESSABLE_ENTITY,
                "The intent cannot be accepted",
            ),
            Self::RelayRefused => ("relay-refused", S::UNPROCESSABLE_ENTITY, "The keeper refused it"),
            Self::RateLimited => ("rate-limited", S::TOO_MANY_REQUESTS, "Too many requests"),
            Self::Internal => (
                "internal",
                S::INTERNAL_SERVER_ERROR,
                "Something broke on our side",
            ),
            Self::StoreUnavailable => (
                "store-unavailable",
                S::SERVICE_UNAVAILABLE,
                "The store cannot be read now",
            ),
            Self::StoreEmpty => (
                "store-empty",
                S::SERVICE_UNAVAILABLE,
                "Nothing has been indexed yet",
            ),
            Self::KeeperUnavailable => (
                "keeper-unavailable",
                S::SERVICE_UNAVAILABLE,
                "The keeper cannot be reached",
            ),
            Self::RelayDisabled => (
                "relay-disabled",
                S::SERVICE_UNAVAILABLE,
                "Relaying is not configured here",
            ),
            Self::ChainUnavailable => (
                "chain-unavailable",
                S::SERVICE_UNAVAILABLE,
                "The chain cannot be asked now",
            ),
            Self::Timeout => ("timeout", S::SERVICE_UNAVAILABLE, "It took too long"),
            Self::Overloaded => ("overloaded", S::SERVICE_UNAVAILABLE, "Too busy"),
            Self::Other(status) => ("other", status, "The request was refused"),
        }
    }

    /// From a status that a router or a layer answered with.
    const fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::NOT_ACCEPTABLE => Self::NotAcceptable,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Internal,
            StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => Self::Timeout,
            other => Self::Other(other),
        }
    }
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct ApiError(Box<Refusal>);

#[derive(Debug, Clone)]
struct Refusal {
    kind: Kind,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after: Option<u64>,
    headers: HeaderMap,
}

/// Result of a handler.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    /// A refusal of a kind.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self(Box::new(Refusal {
            kind,
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            headers: HeaderMap::new(),
        }))
    }

    /// What happened and what the caller can do.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names a wrong part of the request.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError {
            field: field.into(),
            code: code.to_owned(),
            detail: detail.into(),
        });
        self
    }

    /// Names several wrong parts.
    #[must_use]
    pub fn fields(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors.extend(errors);
        self
    }

    /// When another attempt makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Headers that go with it.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers = headers;
        self
    }

    /// One wrong parameter.
    #[must_use]
    pub fn parameter(name: &str, code: &str, detail: impl Into<String>) -> Self {
        Self::new(Kind::InvalidParameter).field(name, code, detail)
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.parts().0
    }

    /// The problem as it travels.
    fn problem(&self, instance: &str, request_id: Option<&str>) -> Problem {
        let (code, status, title) = self.0.kind.parts();
        Problem {
            kind: format!("/problems/{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.0.detail.clone(),
            instance: instance.to_owned(),
            code: code.to_owned(),
            request_id: request_id.map(ToOwned::to_owned),
            retry_after: self.0.retry_after,
            errors: self.0.errors.clone(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadCursor => Self::parameter(
                "cursor",
                "bad-cursor",
                "Give back `next` of the page before, for the same list.",
            ),
            StoreError::Empty => Self::new(Kind::StoreEmpty)
                .detail("The indexer has not written anything yet; try again when it has.")
                .retry_after(5),
            StoreError::Unavailable(_) | StoreError::Locked => {
                tracing::warn!(%error, "store cannot be read");
                Self::new(Kind::StoreUnavailable).retry_after(2)
            }
            error => {
                tracing::error!(%error, "store failed");
                Self::new(Kind::Internal)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (_, status, _) = self.0.kind.parts();
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Middleware: gives every refusal its body.
pub async fn render(request: Request, next: Next) -> Response {
    let instance = request.uri().path().to_owned();
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .map(ToOwned::to_owned);
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let error = match response.extensions_mut().remove::<ApiError>() {
        Some(error) => error,
        None if is_problem(&response) => return response,
        None => ApiError::new(Kind::from_status(status)),
    };
    let mut rendered = error.problem(&instance, id.as_deref()).into_response();
    // What the router said beside the status, e.g. which methods are allowed, and what layers inside added.
    for (name, value) in response.headers() {
        if ![CONTENT_TYPE, axum::http::header::CONTENT_LENGTH].contains(name) {
            rendered.headers_mut().append(name.clone(), value.clone());
        }
    }
    for (name, value) in &error.0.headers {
        rendered.headers_mut().insert(name.clone(), value.clone());
    }
    if status == StatusCode::METHOD_NOT_ALLOWED && !rendered.headers().contains_key(ALLOW) {
        rendered
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    rendered
}

fn is_problem(response: &Response) -> bool {
    response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(PROBLEM_JSON.as_bytes()))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is texts and numbers: it can always be written.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(
            axum::http::header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
