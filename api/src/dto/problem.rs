//! Errors as RFC 9457 problem details.

use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, as RFC 9457 `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// URI reference that names the kind of problem: `/problems/` and the code.
    #[serde(rename = "type")]
    #[schema(example = "/problems/mandate-invalid", format = "uri-reference")]
    pub kind: String,
    /// Short, the same for every occurrence of this kind.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened this time, and what the caller can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// The request: path, without the query.
    pub instance: String,
    /// Machine-readable kind; stable.
    #[schema(example = "mandate-invalid")]
    pub code: String,
    /// The request's id, as in the `x-request-id` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
    /// Seconds after which another attempt makes sense, as in the `retry-after` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after: Option<u64>,
    /// Which parts of the request are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One part of the request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldError {
    /// JSON pointer into the body, or the name of the query parameter, path parameter or header.
    #[schema(example = "/mandate/maxSlippageBps")]
    pub field: String,
    /// Machine-readable kind; stable.
    #[schema(example = "out-of-range")]
    pub code: String,
    /// One sentence for a person.
    pub detail: String,
}
