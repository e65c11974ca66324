//! What can go wrong, by what the caller can do about it.

use crate::model::{Stream, Text, UnknownInstrument, Venue};

/// A frame or a reply that is not passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or JSON of another shape than the message has. Nothing was taken from it.
    #[error("malformed: {detail}")]
    Malformed {
        /// What and where.
        detail: String,
    },
    /// A field that the message must have is missing.
    #[error("missing field {field} in {message}")]
    MissingField {
        /// Which.
        field: &'static str,
        /// Of what.
        message: &'static str,
    },
    /// A number that is none, or larger than can be told exactly.
    #[error("{field} is no number that can be held exactly: {value:?}")]
    BadNumber {
        /// Which field.
        field: &'static str,
        /// What stands there, cut to 64 characters.
        value: String,
    },
    /// A word that the venue's documentation does not list where it stands: never guessed at.
    #[error("{field}: unknown word {value:?}")]
    UnknownWord {
        /// Which field.
        field: &'static str,
        /// What stands there, cut to 64 characters.
        value: String,
    },
    /// A message of a stream that is not supported.
    #[error("unsupported message {message:?}")]
    UnsupportedMessage {
        /// What it calls itself.
        message: String,
    },
    /// A message of a product that is not supported: spot, options, margin loans.
    #[error("unsupported product {product:?}")]
    UnsupportedProduct {
        /// Which.
        product: String,
    },
    /// Its size cannot be told in base units.
    #[error(transparent)]
    UnknownInstrument(#[from] UnknownInstrument),
    /// Larger than any message a venue sends.
    #[error("frame of {bytes} bytes: larger than {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl DecodeError {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::MissingField { .. } => "missing-field",
            Self::BadNumber { .. } => "bad-number",
            Self::UnknownWord { .. } => "unknown-word",
            Self::UnsupportedMessage { .. } => "unsupported-message",
            Self::UnsupportedProduct { .. } => "unsupported-product",
            Self::UnknownInstrument(_) => "unknown-instrument",
            Self::TooLarge { .. } => "too-large",
        }
    }

    /// [`Self::Malformed`] of what serde says.
    #[must_use]
    pub fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed {
            detail: error.to_string(),
        }
    }

    /// [`Self::UnknownWord`], with the word cut short.
    #[must_use]
    pub fn unknown_word(field: &'static str, value: &str) -> Self {
        Self::UnknownWord {
            field,
            value: cut(value),
        }
    }

    /// [`Self::BadNumber`], with the text cut short.
    #[must_use]
    pub fn bad_number(field: &'static str, value: &str) -> Self {
        Self::BadNumber {
            field,
            value: cut(value),
        }
    }

    /// [`Self::UnsupportedMessage`], with the name cut short.
    #[must_use]
    pub fn unsupported(message: &str) -> Self {
        Self::UnsupportedMessage {
            message: cut(message),
        }
    }

    /// [`Self::UnsupportedProduct`], with the name cut short.
    #[must_use]
    pub fn product(product: &str) -> Self {
        Self::UnsupportedProduct {
            product: cut(product),
        }
    }
}

/// The first 64 characters: what a venue sent may be long.
fn cut(value: &str) -> String {
    value.chars().take(64).collect()
}

/// A request that cannot be made from what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The venue has no such operation.
    #[error("{venue} has no {operation}: {instead}")]
    Unsupported {
        /// Where.
        venue: Venue,
        /// Which.
        operation: &'static str,
        /// What to do instead, or why not.
        instead: &'static str,
    },
    /// A parameter is missing.
    #[error("{operation} needs {parameter}")]
    MissingParameter {
        /// Of which operation.
        operation: &'static str,
        /// Which.
        parameter: &'static str,
    },
    /// A parameter that the venue cannot take.
    #[error("{parameter} {value:?}: {reason}")]
    BadParameter {
        /// Which.
        parameter: &'static str,
        /// What was given.
        value: String,
        /// What is wrong and what would be right.
        reason: &'static str,
    },
    /// Its size cannot be told in the venue's unit.
    #[error(transparent)]
    UnknownInstrument(#[from] UnknownInstrument),
}

/// Credentials that cannot sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// None were given for a request that needs them.
    #[error("this request must be signed, and no credentials were given")]
    NoCredentials,
    /// The venue wants a passphrase.
    #[error("{0} wants a passphrase with its key")]
    NoPassphrase(Venue),
    /// The secret is of no kind the venue takes. The secret itself is never told.
    #[error("the secret is no {expected}")]
    BadSecret {
        /// What it should be.
        expected: &'static str,
    },
    /// The key is of no kind the venue takes.
    #[error("the key is no {expected}")]
    BadKey {
        /// What it should be.
        expected: &'static str,
    },
    /// The venue has no such stream.
    #[error("{venue} has no stream {stream:?}: leave it out")]
    NoStream {
        /// Where it was asked for.
        venue: Venue,
        /// Which.
        stream: Stream,
    },
}

/// What a venue's refusal means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The venue said no, for good: the same request will be refused again.
    Rejected,
    /// It may or may not have been done: ask by client order id before anything else is sent.
    Unknown,
    /// It was not done; send again after a pause.
    Busy,
    /// Too many requests: nothing was done; wait as long as the reply says.
    RateLimited,
    /// The clocks differ: measure the offset, then send again.
    Clock,
    /// The key, the secret or its rights are wrong: stop and tell the user.
    Authentication,
    /// It was so already: as good as done.
    AlreadyDone,
    /// An order with this client id exists: the first sending arrived. Ask for it.
    Duplicate,
    /// The order is not known. Straight after sending it may only be late.
    NotFound,
    /// The venue is closed for maintenance.
    Maintenance,
}

impl Refusal {
    /// A stable word for programs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Busy => "busy",
            Self::RateLimited => "rate-limited",
            Self::Clock => "clock",
            Self::Authentication => "authentication",
            Self::AlreadyDone => "already-done",
            Self::Duplicate => "duplicate",
            Self::NotFound => "not-found",
            Self::Maintenance => "maintenance",
        }
    }
}

/// What a venue answered instead of doing it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{venue} refused: {code} {message} ({})", refusal.code())]
pub struct VenueError {
    /// Who.
    pub venue: Venue,
    /// What it means.
    pub refusal: Refusal,
    /// The venue's code, or the HTTP status.
    pub code: Text,
    /// The venue's words, cut to 200 characters.
    pub message: String,
}

impl VenueError {
    /// A refusal in the venue's words, cut short.
    #[must_use]
    pub fn new(venue: Venue, refusal: Refusal, code: impl Into<Text>, message: &str) -> Self {
        Self {
            venue,
            refusal,
            code: code.into(),
            message: message.chars().take(200).collect(),
        }
    }
}

/// A reply that is no success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The venue refused.
    #[error(transparent)]
    Refused(#[from] VenueError),
    /// The reply cannot be read. Of an order: its outcome is unknown.
    #[error("unreadable reply: {0}")]
    Unreadable(#[from] DecodeError),
}
