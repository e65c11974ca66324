//! What the modules of the venues share.

use std::fmt::Write as _;

use crate::error::RequestError;
use crate::model::Text;

/// A JSON object with its members in the given order, which some venues sign byte for byte. Values are JSON already.
pub(crate) fn json_object(members: &[(&str, String)]) -> String {
    let mut out = String::from("{");
    for (index, (name, value)) in members.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(out, "{comma}\"{name}\":{value}");
    }
    out.push('}');
    out
}

/// A JSON string.
pub(crate) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What an operation needs, by name.
pub(crate) struct Parameters(pub &'static str);

impl Parameters {
    /// The value, or that it is missing.
    pub(crate) fn need<T>(&self, parameter: &'static str, value: Option<T>) -> Result<T, RequestError> {
        value.ok_or(RequestError::MissingParameter {
            operation: self.0,
            parameter,
        })
    }

    /// Either id of an order, the venue's first.
    pub(crate) fn need_id<'a>(
        &self,
        order_id: Option<&'a Text>,
        client_order_id: Option<&'a Text>,
    ) -> Result<OrderId<'a>, RequestError> {
        match (order_id, client_order_id) {
            (Some(id), _) => Ok(OrderId::Venue(id)),
            (None, Some(id)) => Ok(OrderId::Client(id)),
            (None, None) => Err(RequestError::MissingParameter {
                operation: self.0,
                parameter: "order_id or client_order_id",
            }),
        }
    }
}

/// An order by one of its ids.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OrderId<'a> {
    /// The venue's.
    Venue(&'a str),
    /// The owner's.
    Client(&'a str),
}
