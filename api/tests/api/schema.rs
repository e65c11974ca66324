//! Holds an answer against what the OpenAPI document says about it.

use std::sync::LazyLock;

use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let document = lockstep_api::routes::openapi_json().unwrap();
    serde_json::from_str(&document).unwrap()
});

/// The document.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The operation that serves a path.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap();
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        parts.len() == segments.len()
            && parts
                .iter()
                .zip(&segments)
                .all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    let paths = document()["paths"].as_object().unwrap();
    // A literal path goes before one with a parameter.
    let exact = paths.get(path);
    let found = exact.or_else(|| {
        paths
            .iter()
            .find(|(template, _)| fits(template))
            .map(|(_, item)| item)
    })?;
    found.get(method.to_lowercase())
}

/// Panics unless the document allows this answer, member by member: none missing, none more.
pub fn check(method: &str, path: &str, status: u16, content_type: &str, body: &[u8]) {
    let Some(operation) = operation(method, path) else {
        assert!(
            status >= 400,
            "{method} {path} answered {status} but is not documented"
        );
        validate(&json!({ "$ref": "#/components/schemas/Problem" }), body, path);
        return;
    };
    let responses = &operation["responses"];
    let response = [status.to_string().as_str(), "default"]
        .iter()
        .find_map(|key| responses.get(key))
        .unwrap_or_else(|| panic!("{method} {path}: {status} is not documented"));
    let Some(content) = response.get("content") else {
        assert!(
            body.is_empty(),
            "{method} {path} {status}: a body that is not documented"
        );
        return;
    };
    let essence = content_type.split(';').next().unwrap();
    let media = content
        .get(essence)
        .unwrap_or_else(|| panic!("{method} {path} {status}: {essence:?} is not documented"));
    if essence.ends_with("json") {
        validate(&media["schema"], body, path);
    }
}

/// Panics unless the body fits a named schema.
pub fn check_named(name: &str, value: &Value) {
    let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
    validate(&schema, value.to_string().as_bytes(), name);
}

/// True when the value fits a named schema.
pub fn fits(name: &str, value: &Value) -> bool {
    let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
    validator(&schema).is_valid(value)
}

fn validator(schema: &Value) -> jsonschema::Validator {
    let mut root = schema.clone();
    root["components"] = document()["components"].clone();
    let mut root = closed(root, false);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    jsonschema::options()
        .should_validate_formats(true)
        .build(&root)
        .unwrap()
}

fn validate(schema: &Value, body: &[u8], place: &str) {
    let value: Value = serde_json::from_slice(body)
        .unwrap_or_else(|error| panic!("{place}: {error}: {:?}", String::from_utf8_lossy(body)));
    let errors: Vec<String> = validator(schema)
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{place}: {errors:#?}\n{value:#}");
}

/// Adds to each reference that nothing may be there which the schema does not name; parts of an `allOf` see each other.
fn closed(value: Value, part: bool) -> Value {
    match value {
        Value::Object(members) => {
            let reference = members.contains_key("$ref") && !part;
            let mut members: serde_json::Map<String, Value> = members
                .into_iter()
                .map(|(name, member)| {
                    let parts = name == "allOf";
                    let member = match member {
                        Value::Array(items) => {
                            Value::Array(items.into_iter().map(|item| closed(item, parts)).collect())
                        }
                        other => closed(other, false),
                    };
                    (name, member)
                })
                .collect();
            if reference {
                members.insert("unevaluatedProperties".to_owned(), json!(false));
            }
            Value::Object(members)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| closed(item, false)).collect()),
        other => other,
    }
}
