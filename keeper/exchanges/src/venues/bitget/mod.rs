//! Bitget: perpetuals settled in USDT, through v2 (classic accounts) or v3 (unified accounts).

mod classic;
mod classic_rows;
mod connections;
mod decode;
mod errors;
mod instruments;
mod replies;
mod requests;
mod rows;
mod sign;
#[cfg(test)]
mod tests;
mod unified;
mod unified_rows;
mod words;

use std::time::Duration;

use crate::credentials::Credentials;
use crate::error::{DecodeError, ReplyError, RequestError, SignError};
use crate::model::{Event, Instruments, Scope, Stream, Venue};
use crate::operation::{Operation, Reply};
use crate::protocol::{Connection, Context, Endpoints, Environment, Heartbeat, Protocol};
use crate::request::{Request, Response, SignedRequest};
use crate::venues::Generation;
use crate::venues::pages;

/// How often the sockets are pinged: Bitget wants every 30 seconds and closes them after two minutes.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Bitget, in one of its two interfaces: [`Generation::Next`] is v3, anything else v2. An account is of one of them only;
/// asked through the other one it is refused with 40084 or 40085.
#[derive(Debug, Clone, Copy)]
pub struct Bitget(pub Generation);

impl Protocol for Bitget {
    fn venue(&self) -> Venue {
        Venue::Bitget
    }

    fn endpoints(&self, environment: Environment) -> Endpoints {
        connections::endpoints(self.0, environment)
    }

    fn known_instruments(&self) -> Instruments {
        instruments::known()
    }

    fn requests(&self, operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
        requests::requests(self.0, operation, context)
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
        _: &Instruments,
    ) -> Result<Reply, ReplyError> {
        replies::reply(self.0, operation, response)
    }

    fn next_page(&self, operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
        pages::bitget(operation, request, response)
    }

    fn decode(
        &self,
        frame: &[u8],
        _: Scope,
        _: &Instruments,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        decode::decode(frame, events)
    }

    fn connections(
        &self,
        endpoints: &Endpoints,
        streams: &[Stream],
        credentials: Option<&Credentials>,
        _: Option<&str>,
        timestamp_ms: u64,
    ) -> Result<Vec<Connection>, SignError> {
        connections::connections(self.0, endpoints, streams, credentials, timestamp_ms)
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat::Client {
            text: "ping".to_owned(),
            every: PING_EVERY,
        }
    }
}
