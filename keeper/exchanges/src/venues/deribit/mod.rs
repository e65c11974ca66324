//! Deribit API v2: perpetuals and dated futures, linear and inverse. Accounts hold net positions only.

mod connections;
mod decode;
mod errors;
mod instruments;
mod replies;
mod requests;
mod sign;

use crate::credentials::Credentials;
use crate::error::{DecodeError, ReplyError, RequestError, SignError};
use crate::model::{Event, Instruments, Scope, Stream, Venue};
use crate::operation::{Operation, Reply};
use crate::protocol::{Connection, Context, Endpoints, Environment, Heartbeat, Protocol};
use crate::request::{Request, Response, SignedRequest};
use crate::venues::pages;

/// Deribit.
#[derive(Debug, Clone, Copy)]
pub struct Deribit;

impl Protocol for Deribit {
    fn venue(&self) -> Venue {
        Venue::Deribit
    }

    fn endpoints(&self, environment: Environment) -> Endpoints {
        let host = match environment {
            Environment::Main => "www.deribit.com",
            Environment::Test => "test.deribit.com",
        };
        Endpoints::local(
            &format!("https://{host}"),
            connections::SOCKET,
            connections::SOCKET,
            connections::SOCKET,
        )
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
        pages::deribit(operation, request, response)
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

    /// The venue asks (`test_request`), after `public/set_heartbeat`, which is the first thing said on a socket.
    fn heartbeat(&self) -> Heartbeat {
        Heartbeat::Server
    }

    fn lists_fills_by_instrument(&self) -> bool {
        true
    }

    fn most_fills(&self) -> Option<u32> {
        // Of its own accord it lists ten.
        Some(1_000)
    }
}
