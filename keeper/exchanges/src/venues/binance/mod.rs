//! Binance USDⓈ-M futures. Sizes are base units everywhere.

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

use std::time::Duration;

use crate::credentials::Credentials;
use crate::error::{DecodeError, ReplyError, RequestError, SignError};
use crate::model::{Event, Instruments, Scope, Stream, Venue};
use crate::operation::{Operation, Reply};
use crate::protocol::{Connection, Context, Endpoints, Environment, Heartbeat, Protocol};
use crate::request::{Request, Response, SignedRequest};
use crate::venues::pages;

/// Binance USDⓈ-M futures.
#[derive(Debug, Clone, Copy, Default)]
pub struct Binance;

impl Protocol for Binance {
    fn venue(&self) -> Venue {
        Venue::Binance
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
        _instruments: &Instruments,
    ) -> Result<Reply, ReplyError> {
        replies::reply(operation, response)
    }

    /// The messages of the account and of the market have different names, so that the scope does not matter.
    fn next_page(&self, operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
        pages::binance(operation, request, response)
    }

    fn decode(
        &self,
        frame: &[u8],
        _scope: Scope,
        _instruments: &Instruments,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        decode::decode(frame, events)
    }

    fn connections(
        &self,
        endpoints: &Endpoints,
        streams: &[Stream],
        _credentials: Option<&Credentials>,
        listen_key: Option<&str>,
        _timestamp_ms: u64,
    ) -> Result<Vec<Connection>, SignError> {
        connections::connections(endpoints, streams, listen_key)
    }

    /// The venue pings every three minutes (its options pages say five) and wants a pong within ten.
    fn heartbeat(&self) -> Heartbeat {
        Heartbeat::Server
    }

    fn listen_key_renewal(&self) -> Option<Duration> {
        Some(connections::LISTEN_KEY_RENEWAL)
    }

    fn lists_fills_by_instrument(&self) -> bool {
        true
    }
}
