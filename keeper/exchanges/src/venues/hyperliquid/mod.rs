//! Hyperliquid perpetuals: what everybody does there is public, so a master needs no key.

mod connections;
mod decode;
mod errors;
mod instruments;
mod replies;
mod requests;
mod sign;

use std::time::Duration;

use crate::credentials::Credentials;
use crate::error::{DecodeError, ReplyError, RequestError, SignError};
use crate::model::{Event, Instruments, Scope, Stream, Venue};
use crate::operation::{Operation, Reply};
use crate::protocol::{Connection, Context, Endpoints, Environment, Heartbeat, Protocol};
use crate::request::{Request, Response, SignedRequest};
use crate::venues::pages;

/// Users whose own streams one address on the internet may follow. Beyond it, masters are read from the public trades,
/// which name both users.
pub const MAXIMUM_USERS: usize = 10;

/// The venue closes a socket that was silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(50);

/// Hyperliquid.
#[derive(Debug, Clone, Copy)]
pub struct Hyperliquid;

impl Protocol for Hyperliquid {
    fn venue(&self) -> Venue {
        Venue::Hyperliquid
    }

    fn endpoints(&self, environment: Environment) -> Endpoints {
        let host = match environment {
            Environment::Main => "api.hyperliquid.xyz",
            Environment::Test => "api.hyperliquid-testnet.xyz",
        };
        Endpoints::local(&format!("https://{host}"), "/ws", "/ws", "/ws")
    }

    fn known_instruments(&self) -> Instruments {
        instruments::known()
    }

    fn requests(&self, operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
        requests::requests(operation, context)
    }

    fn sign(
        &self,
        request: &Request,
        rest: &str,
        credentials: Option<&Credentials>,
        timestamp_ms: u64,
    ) -> Result<SignedRequest, SignError> {
        sign::sign(request, rest, credentials, timestamp_ms)
    }

    fn reply(
        &self,
        operation: &Operation,
        response: &Response,
        instruments: &Instruments,
    ) -> Result<Reply, ReplyError> {
        replies::reply(operation, response, instruments)
    }

    fn next_page(&self, operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
        pages::hyperliquid(operation, request, response)
    }

    fn decode(
        &self,
        frame: &[u8],
        scope: Scope,
        _instruments: &Instruments,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        decode::decode(frame, scope, events)
    }

    fn connections(
        &self,
        endpoints: &Endpoints,
        streams: &[Stream],
        credentials: Option<&Credentials>,
        _listen_key: Option<&str>,
        _timestamp_ms: u64,
    ) -> Result<Vec<Connection>, SignError> {
        connections::connections(endpoints, streams, credentials)
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat::Client {
            text: r#"{"method":"ping"}"#.to_owned(),
            every: HEARTBEAT,
        }
    }
}
