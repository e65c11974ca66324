//! The doors. Each handler is annotated with what it promises; router and OpenAPI document come from the same list.

use std::collections::BTreeMap;

use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayItems, Schema, SchemaType, Type};
use utoipa::openapi::{Content, Ref, RefOr};
use utoipa::{IntoResponses, Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dto;
use crate::error::PROBLEM_JSON;
use crate::state::App;

pub mod accounts;
pub mod info;
pub mod relay;
pub mod session;
pub mod strategies;
pub mod stream;

/// Problems that any request may meet.
pub struct AnyProblem;

impl IntoResponses for AnyProblem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [
            ("400", "A parameter is wrong: `errors` says which."),
            ("429", "Too many requests: wait for `retry-after` seconds."),
            (
                "503",
                "A part that is needed is not there now: try again after `retry-after` seconds.",
            ),
            ("default", "Any other refusal."),
        ]
        .into_iter()
        .map(|(status, description)| (status.to_owned(), problem(description).into()))
        .collect()
    }
}

fn problem(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, Content::new(Some(Ref::from_schema_name("Problem"))))
        .build()
}

struct Security;

impl Modify for Security {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
        let components = api.components.get_or_insert_default();
        components.add_security_scheme(
            "cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("lockstep_session"))),
        );
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lockstep",
        description = "Non-custodial copy trading: strategies, their NAV and batches, followers' accounts, the relay \
                       for signatures, and a stream of what is new.\n\nAmounts, prices, leverages and indices are \
                       decimal strings with their unit in the schema (`x-unit`, `x-decimals`). Times are RFC 3339 in \
                       UTC with milliseconds. Ids are strings. Every derived figure carries its formula, window and \
                       number of samples. Errors are RFC 9457 problems. Lists are paged by an opaque cursor: give \
                       `next` back as `cursor`.",
    ),
    servers((url = "/")),
    tags(
        (name = "strategies", description = "What can be followed."),
        (name = "accounts", description = "Who follows, and what it came to. All of it is public on the chain."),
        (name = "relay", description = "Signatures on their way to the chain."),
        (name = "session", description = "Login with a wallet, and what only the logged-in address sees."),
        (name = "stream", description = "What is new, as it happens."),
        (name = "info", description = "Deployment and health."),
    ),
    components(schemas(
        dto::problem::Problem,
        dto::problem::FieldError,
        dto::strategy::StrategySort,
        dto::stream::StreamRequest,
        dto::stream::StreamMessage,
    )),
    modifiers(&Security),
)]
struct Document;

/// All documented routes and the document about them.
#[must_use]
pub fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(strategies::list))
        .routes(routes!(strategies::get))
        .routes(routes!(strategies::nav))
        .routes(routes!(strategies::batches))
        .routes(routes!(strategies::batch))
        .routes(routes!(strategies::signals))
        .routes(routes!(strategies::followers))
        .routes(routes!(accounts::get))
        .routes(routes!(accounts::fills))
        .routes(routes!(accounts::fills_csv))
        .routes(routes!(accounts::history))
        .routes(routes!(relay::mandate))
        .routes(routes!(relay::intent))
        .routes(routes!(relay::get))
        .routes(routes!(session::nonce))
        .routes(routes!(session::create, session::get, session::delete))
        .routes(routes!(session::me))
        .routes(routes!(session::label))
        .routes(routes!(stream::connect))
        .routes(routes!(info::deployment))
        .routes(routes!(info::status))
        .routes(routes!(info::healthz))
        .routes(routes!(info::readyz))
}

/// The OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = documented().into_openapi();
    finish(&mut document);
    document
}

/// Schemas of bodies that clients send: there, what may be null may also be left out.
const REQUESTS: [&str; 1] = ["SignedMandate"];

/// Says what the derived schemas cannot: an answer always has all its members, also those that are null; and a page
/// holds items of a named schema, so that generated clients have a name for them too.
fn finish(document: &mut utoipa::openapi::OpenApi) {
    let Some(components) = document.components.as_mut() else {
        return;
    };
    for (name, schema) in &mut components.schemas {
        if !REQUESTS.contains(&name.as_str()) {
            require_nullable(schema);
        }
        if let (Some(item), RefOr::T(Schema::Object(page))) = (name.strip_prefix("Page_"), schema)
            && let Some(RefOr::T(Schema::Array(items))) = page.properties.get_mut("items")
        {
            items.items = ArrayItems::RefOrSchema(Box::new(Ref::from_schema_name(item).into()));
        }
    }
}

/// Adds members that may be null to the required ones.
fn require_nullable(schema: &mut RefOr<Schema>) {
    let parts = match schema {
        RefOr::T(Schema::Object(object)) => {
            for (name, property) in &object.properties {
                if may_be_null(property) && !object.required.contains(name) {
                    object.required.push(name.clone());
                }
            }
            return;
        }
        RefOr::T(Schema::AllOf(all)) => &mut all.items,
        RefOr::T(Schema::OneOf(one)) => &mut one.items,
        _ => return,
    };
    parts.iter_mut().for_each(require_nullable);
}

fn may_be_null(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::T(Schema::Object(object)) => match &object.schema_type {
            SchemaType::Type(kind) => *kind == Type::Null,
            SchemaType::Array(kinds) => kinds.contains(&Type::Null),
            SchemaType::AnyValue => false,
        },
        RefOr::T(Schema::OneOf(one)) => one.items.iter().any(may_be_null),
        RefOr::T(Schema::Array(array)) => match &array.schema_type {
            SchemaType::Array(kinds) => kinds.contains(&Type::Null),
            _ => false,
        },
        _ => false,
    }
}

/// The OpenAPI document as it is committed and served: always the same text for the same document.
///
/// # Errors
/// Never for a document that this program made.
pub fn openapi_json() -> serde_json::Result<String> {
    let sorted = sort(serde_json::to_value(openapi())?);
    serde_json::to_string_pretty(&sorted).map(|json| json + "\n")
}

/// Extensions come out of a hash map in any order; sorted members make the document comparable.
fn sort(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<String, Value> = members
                .into_iter()
                .map(|(name, member)| (name, sort(member)))
                .collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sort).collect()),
        other => other,
    }
}
