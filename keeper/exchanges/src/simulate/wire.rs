//! What a venue's simulator has to know: its wire format. The engine knows the rest.

use serde_json::Value;

use super::engine::{Engine, Reject, Update};
use crate::model::Venue;
use crate::request::{Method, Response};

/// Marks a text that stands for a number.
const NUMBER: char = '\u{1}';

/// A number that is printed digit by digit as the text has it, for wires with JSON numbers: no float comes near it.
#[must_use]
pub fn number(text: &str) -> Value {
    Value::String(format!("{NUMBER}{text}"))
}

/// JSON with the numbers of [`number`] without quotes.
#[must_use]
pub fn print(value: &Value) -> String {
    let text = value.to_string();
    let mut parts = text.split("\"\\u0001");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('"') {
            Some((digits, rest)) => {
                out.push_str(digits);
                out.push_str(rest);
            }
            None => out.push_str(part),
        }
    }
    out
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Method.
    pub method: Method,
    /// Path, without the query.
    pub path: String,
    /// Query as it was sent, without the question mark.
    pub raw_query: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
    /// The address the client used, `host:port`: HTX signs it.
    pub host: String,
}

impl Incoming {
    /// A header by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// Pairs of the query or of another text of that form, decoded.
    #[must_use]
    pub fn pairs(text: &str) -> Vec<(String, String)> {
        url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect()
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// What goes out on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Text.
    Text(String),
    /// Bytes (HTX: gzip).
    Binary(Vec<u8>),
    /// The end, with the venue's reason.
    Close(u16, String),
}

impl Frame {
    /// JSON as text.
    #[must_use]
    pub fn json(value: &Value) -> Self {
        Self::Text(value.to_string())
    }
}

/// What the simulator knows of one client's socket.
#[derive(Debug, Clone, Default)]
pub struct Socket {
    /// Path the client opened.
    pub path: String,
    /// Query the client opened it with.
    pub raw_query: String,
    /// Host the client named.
    pub host: String,
    /// The account it logged in as.
    pub account: Option<String>,
    /// What it subscribed to, in the wire's own words.
    pub topics: Vec<String>,
    /// What the wire wants to remember.
    pub memory: Value,
}

/// A bucket of the venue's rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Which.
    pub bucket: &'static str,
    /// Most weight in a window.
    pub maximum: u32,
    /// Length of the window, milliseconds.
    pub window_ms: u64,
}

/// What a request costs of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Which bucket.
    pub limit: Limit,
    /// How much of it.
    pub weight: u32,
}

/// How full a bucket is after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Which.
    pub limit: Limit,
    /// Weight used in the window.
    pub weight: u32,
    /// When the window ends, Unix milliseconds.
    pub reset_ms: u64,
}

/// A venue's wire format. It checks signatures by building the text to sign from what came in, not with the code of our
/// own client.
pub trait Wire: Send + Sync {
    /// Which venue.
    fn venue(&self) -> Venue;

    /// Answers a request; authentication is its business too.
    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response;

    /// Whether a request changes something: what faults may lose or leave unanswered. Hyperliquid reads with POST too,
    /// below `/info`.
    fn acts(&self, request: &Incoming) -> bool {
        request.method != Method::Get && request.path != "/info"
    }

    /// What a request costs.
    fn costs(&self, request: &Incoming) -> Vec<Cost>;

    /// Tells how full the buckets are, in the venue's headers.
    fn limit_headers(&self, _used: &[Used]) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The answer to a request beyond the limit (429), or to a client that went on (418 where the venue has it), at this
    /// time of the exchange's clock.
    fn too_many(&self, retry_after_seconds: u64, banned: bool, now_ms: u64) -> Response;

    /// The answer when the venue failed and the outcome is not known: its own words for a time-out or an internal error.
    fn internal_error(&self) -> Response;

    /// A socket was opened: what is said first, or why it is closed again.
    fn opened(&self, _socket: &mut Socket, _engine: &mut Engine) -> Vec<Frame> {
        Vec::new()
    }

    /// A message came in on a socket.
    fn message(&self, socket: &mut Socket, text: &str, engine: &mut Engine) -> Vec<Frame>;

    /// What one update looks like on a socket; nothing if it did not subscribe to it.
    fn push(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame>;

    /// What the server sends by itself to see whether the client lives, and how often in milliseconds. Asked again after
    /// every message, for venues where the client chooses.
    fn server_ping(&self, _socket: &Socket, _now_ms: u64) -> Option<(Frame, u64)> {
        None
    }

    /// The venue's notice that it will close soon, where it has one.
    fn maintenance(&self, _socket: &Socket) -> Option<Frame> {
        None
    }

    /// Ends all sessions or listen keys; what the sockets are told.
    fn expire_sessions(&self, _socket: &mut Socket, _engine: &mut Engine) -> Vec<Frame> {
        vec![Frame::Close(1000, "session expired".to_owned())]
    }

    /// The venue's code and words for a refusal.
    fn reject(&self, reject: &Reject) -> (String, String);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_printed_as_they_are_written() {
        let value = json!({ "a": number("0.10"), "b": [number("1.0e-5"), "x"] });
        assert_eq!(print(&value), r#"{"a":0.10,"b":[1.0e-5,"x"]}"#);
    }
}
