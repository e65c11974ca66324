//! What a venue's module has to know: its words, nothing of sockets and clocks. All of it is pure, so that it is tested
//! from recorded messages without a network.

use std::time::Duration;

use crate::credentials::Credentials;
use crate::error::{DecodeError, ReplyError, RequestError, SignError};
use crate::model::{Event, Instruments, Scope, Stream, Venue};
use crate::operation::{Operation, Reply};
use crate::request::{Request, Response, SignedRequest};

/// Where a venue is reached. Every address can be replaced in the configuration; a simulator is reached by nothing else.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Endpoints {
    /// REST, without a trailing slash.
    pub rest: String,
    /// Market data socket.
    pub public_socket: String,
    /// Second market data socket, on venues that split them (Binance `/market`, OKX `business`); same as the first elsewhere.
    pub market_socket: String,
    /// Account socket.
    pub private_socket: String,
}

impl Endpoints {
    /// Of a simulator or a proxy at one address: `http://host:port`.
    #[must_use]
    pub fn local(base: &str, public: &str, market: &str, private: &str) -> Self {
        let socket = base.replacen("http", "ws", 1);
        Self {
            rest: base.to_owned(),
            public_socket: format!("{socket}{public}"),
            market_socket: format!("{socket}{market}"),
            private_socket: format!("{socket}{private}"),
        }
    }

    /// The same paths at one other address, such as a simulator's: `http://host:port`, without a trailing slash.
    #[must_use]
    pub fn moved_to(&self, base: &str) -> Self {
        let socket = base.replacen("http", "ws", 1);
        let moved = |url: &str, base: &str| {
            let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
            let path = after_scheme.find('/').and_then(|at| after_scheme.get(at..));
            format!("{base}{}", path.unwrap_or_default())
        };
        Self {
            rest: moved(&self.rest, base),
            public_socket: moved(&self.public_socket, &socket),
            market_socket: moved(&self.market_socket, &socket),
            private_socket: moved(&self.private_socket, &socket),
        }
    }
}

/// Which of a venue's worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Real money.
    #[default]
    Main,
    /// The venue's test or demo world, where it has one.
    Test,
}

/// How a socket is kept alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heartbeat {
    /// The client sends this text after so long without anything sent.
    Client {
        /// What is sent.
        text: String,
        /// How often.
        every: Duration,
    },
    /// The venue asks, in a message ([`crate::model::Control::Ping`]) or a ping frame; the client only answers.
    Server,
}

/// A socket to open: its address and what is said on it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Address.
    pub url: String,
    /// Login message, sent first; nothing else goes out before it was taken.
    pub login: Option<String>,
    /// Subscriptions, sent after the login.
    pub subscribe: Vec<String>,
}

/// What is needed to translate a request besides the request.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Contract sizes, lots, numbers.
    pub instruments: &'a Instruments,
    /// When the request is made on the venue's clock, Unix milliseconds.
    pub timestamp_ms: u64,
}

/// A venue's words.
pub trait Protocol: Send + Sync {
    /// Which.
    fn venue(&self) -> Venue;

    /// Where it is reached.
    fn endpoints(&self, environment: Environment) -> Endpoints;

    /// Contract sizes of well-known instruments, for tools that have not loaded the venue's list. Not to trade with.
    fn known_instruments(&self) -> Instruments;

    /// Puts an operation into the venue's words. Several requests where the venue has no single one; they are sent in
    /// order.
    ///
    /// # Errors
    /// When the venue has no such operation or a parameter is missing or out of range.
    fn requests(&self, operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError>;

    /// Signs a request for an address.
    ///
    /// # Errors
    /// When it must be signed and the credentials cannot.
    fn sign(
        &self,
        request: &Request,
        rest: &str,
        credentials: Option<&Credentials>,
        timestamp_ms: u64,
    ) -> Result<SignedRequest, SignError>;

    /// Reads the reply to an operation.
    ///
    /// # Errors
    /// The venue's refusal, with what it means; or that the reply cannot be read.
    fn reply(
        &self,
        operation: &Operation,
        response: &Response,
        instruments: &Instruments,
    ) -> Result<Reply, ReplyError>;

    /// The request for the next page, where `response` to `request` holds only the first of a list that is wanted whole:
    /// positions, open orders, fills without a number.
    fn next_page(&self, _operation: &Operation, _request: &Request, _response: &Response) -> Option<Request> {
        None
    }

    /// Reads one frame of a socket and appends what it says. On an error nothing was appended.
    ///
    /// # Errors
    /// When the frame is of another shape than documented, of an unsupported stream or product, or names an instrument
    /// whose contract size is not known.
    fn decode(
        &self,
        frame: &[u8],
        scope: Scope,
        instruments: &Instruments,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError>;

    /// The sockets to open for these streams. `listen_key` is what [`Operation::CreateListenKey`] gave, where the venue
    /// has one.
    ///
    /// # Errors
    /// When a stream needs credentials that are missing or wrong.
    fn connections(
        &self,
        endpoints: &Endpoints,
        streams: &[Stream],
        credentials: Option<&Credentials>,
        listen_key: Option<&str>,
        timestamp_ms: u64,
    ) -> Result<Vec<Connection>, SignError>;

    /// How its sockets are kept alive.
    fn heartbeat(&self) -> Heartbeat;

    /// Whether [`Operation::Fills`] must name an instrument: the venue lists fills of one instrument only.
    fn lists_fills_by_instrument(&self) -> bool {
        false
    }

    /// How many fills to ask for in one request when all are wanted, where the venue gives fewer of its own accord than it
    /// could.
    fn most_fills(&self) -> Option<u32> {
        None
    }

    /// Whether the account stream needs a key from [`Operation::CreateListenKey`], and how often it is renewed.
    fn listen_key_renewal(&self) -> Option<Duration> {
        None
    }
}
