//! OKX v5: perpetuals settled in their quote asset.

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
mod words;

use std::time::Duration;

use crate::credentials::Credentials;
use crate::error::{DecodeError, ReplyError, RequestError, SignError};
use crate::model::{Event, Instruments, Scope, Stream, Venue};
use crate::operation::{Operation, Reply};
use crate::protocol::{Connection, Context, Endpoints, Environment, Heartbeat, Protocol};
use crate::request::{Request, Response, SignedRequest};
use crate::venues::pages;

/// How often the sockets are pinged: OKX closes them after 30 seconds of silence.
const PING_EVERY: Duration = Duration::from_secs(20);

/// OKX.
#[derive(Debug, Clone, Copy)]
pub struct Okx;

impl Protocol for Okx {
    fn venue(&self) -> Venue {
        Venue::Okx
    }

    fn endpoints(&self, environment: Environment) -> Endpoints {
        connections::endpoints(environment)
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
        pages::okx(operation, request, response)
    }

    fn decode(
        &self,
        frame: &[u8],
        _: Scope,
        instruments: &Instruments,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        decode::decode(frame, instruments, events)
    }

    fn connections(
        &self,
        endpoints: &Endpoints,
        streams: &[Stream],
        credentials: Option<&Credentials>,
        _: Option<&str>,
        timestamp_ms: u64,
    ) -> Result<Vec<Connection>, SignError> {
        connections::connections(endpoints, streams, credentials, timestamp_ms)
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat::Client {
            text: "ping".to_owned(),
            every: PING_EVERY,
        }
    }
}
