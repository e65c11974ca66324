//! Extractors that refuse with problems and say which part of the request is wrong.

use alloy::primitives::Address;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use lockstep_indexer::model::{PageRequest, StrategyId};
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Kind, Result};

/// A query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| {
                let text = rejection.body_text();
                let text = text
                    .strip_prefix("Failed to deserialize query string: ")
                    .unwrap_or(&text);
                let name = text.split_once(": ").map(|(name, _)| name);
                match name {
                    Some(name) if !name.contains(' ') => ApiError::parameter(name, "invalid", text),
                    _ => ApiError::parameter("query", "invalid", text),
                }
            })
    }
}

/// A JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if !is_json(request.headers()) {
            return Err(ApiError::new(Kind::UnsupportedMediaType).field(
                "content-type",
                "unsupported",
                "Send the body as application/json.",
            ));
        }
        let body =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Kind::BodyTooLarge),
                    _ => ApiError::new(Kind::InvalidBody).detail("The body could not be read."),
                })?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let detail = error.inner().to_string();
            ApiError::new(Kind::InvalidBody).field(pointer(error.path()), "invalid", detail)
        })?;
        json.end().map_err(|error| {
            ApiError::new(Kind::InvalidBody).field("", "trailing-data", error.to_string())
        })?;
        Ok(Self(value))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        })
}

/// JSON pointer (RFC 6901) of a path in the body.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut pointer, segment| {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => return pointer,
        };
        pointer.push('/');
        pointer.push_str(&part);
        pointer
    })
}

/// Reads an address; a checksum, when there is one, must be right.
///
/// # Errors
/// A problem that names the parameter.
pub fn address(name: &str, text: &str) -> Result<Address> {
    let wrong = |detail: &str| ApiError::parameter(name, "not-an-address", detail);
    if text.len() != 42 || !text.starts_with("0x") {
        return Err(wrong("An address is 0x and 40 hexadecimal digits."));
    }
    let digits = text.get(2..).unwrap_or_default();
    let mixed =
        digits.bytes().any(|b| b.is_ascii_lowercase()) && digits.bytes().any(|b| b.is_ascii_uppercase());
    if mixed {
        return Address::parse_checksummed(text, None)
            .map_err(|_| wrong("The address's checksum (EIP-55) does not match: is it mistyped?"));
    }
    text.parse()
        .map_err(|_| wrong("An address is 0x and 40 hexadecimal digits."))
}

/// Reads an address that may be absent.
///
/// # Errors
/// A problem that names the parameter.
pub fn optional_address(name: &str, text: Option<&str>) -> Result<Option<Address>> {
    text.map(|text| address(name, text)).transpose()
}

/// Reads a strategy id. What is no number names no strategy.
///
/// # Errors
/// 404.
pub fn strategy_id(text: &str) -> Result<StrategyId> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| strategy_not_found(text))
}

/// 404 for a strategy.
#[must_use]
pub fn strategy_not_found(id: &str) -> ApiError {
    ApiError::new(Kind::StrategyNotFound).detail(format!("There is no strategy {id:?} in the store."))
}

/// Most items of a page.
pub const MAX_PAGE: u16 = 200;

/// Reads where in a list.
///
/// # Errors
/// A problem for a limit out of range.
pub fn page(limit: Option<u16>, cursor: Option<String>) -> Result<PageRequest> {
    if limit.is_some_and(|limit| limit == 0 || limit > MAX_PAGE) {
        return Err(ApiError::parameter(
            "limit",
            "out-of-range",
            format!("A page has 1 to {MAX_PAGE} items."),
        ));
    }
    Ok(PageRequest {
        after: cursor,
        limit: limit.map(u32::from),
    })
}
