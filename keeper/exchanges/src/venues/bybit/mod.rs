//! Bybit v5: linear contracts, whose sizes are base units, and inverse ones, whose sizes are US dollars.

mod connections;
mod decode;
mod errors;
mod instruments;
mod replies;
mod requests;
mod sign;
#[cfg(test)]
mod tests;
mod words;

use crate::credentials::Credentials;
use crate::error::{DecodeError, ReplyError, RequestError, SignError};
use crate::model::{Event, Instruments, Scope, Stream, Venue};
use crate::operation::{Operation, Reply};
use crate::protocol::{Connection, Context, Endpoints, Environment, Heartbeat, Protocol};
use crate::request::{Request, Response, SignedRequest};
use crate::venues::pages;

/// Bybit v5, linear and inverse contracts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bybit;

impl Protocol for Bybit {
    fn venue(&self) -> Venue {
        Venue::Bybit
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

    /// The topics of the account and of the market have different names, so that the scope does not matter.
    fn next_page(&self, operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
        pages::bybit(operation, request, response)
    }

    fn decode(
        &self,
        frame: &[u8],
        _scope: Scope,
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
        _listen_key: Option<&str>,
        timestamp_ms: u64,
    ) -> Result<Vec<Connection>, SignError> {
        connections::connections(endpoints, streams, credentials, timestamp_ms)
    }

    fn heartbeat(&self) -> Heartbeat {
        connections::heartbeat()
    }
}
