//! HTX linear swaps. Two generations of the interface are live: v5 ([`Generation::Current`]) and the one before it
//! ([`Generation::Legacy`]). Which accounts have been moved is unconfirmed, so it is a choice of the configuration.
//! Frames of both are read whichever is chosen: they name themselves.

mod connections;
mod decode;
mod errors;
mod inflate;
mod instruments;
mod legacy;
mod replies;
mod requests;
mod sign;
mod words;

use crate::credentials::Credentials;
use crate::error::{DecodeError, ReplyError, RequestError, SignError};
use crate::model::{Event, Instruments, Scope, Stream, Venue};
use crate::operation::{Operation, Reply};
use crate::protocol::{Connection, Context, Endpoints, Environment, Heartbeat, Protocol};
use crate::request::{Request, Response, SignedRequest};
use crate::venues::Generation;
use crate::venues::pages;

/// HTX.
#[derive(Debug, Clone, Copy)]
pub struct Htx(pub Generation);

impl Protocol for Htx {
    fn venue(&self) -> Venue {
        Venue::Htx
    }

    /// There is no public test world: both are the real one.
    fn endpoints(&self, _environment: Environment) -> Endpoints {
        let private = match self.0 {
            Generation::Legacy => connections::LEGACY_ACCOUNT,
            Generation::Current | Generation::Next => connections::ACCOUNT,
        };
        Endpoints::local(
            "https://api.hbdm.com",
            connections::MARKET,
            connections::INDEX,
            private,
        )
    }

    fn known_instruments(&self) -> Instruments {
        instruments::known()
    }

    fn requests(&self, operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
        match self.0 {
            Generation::Legacy => legacy::requests(operation, context),
            Generation::Current | Generation::Next => requests::requests(operation, context),
        }
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
        replies::reply(self.0, operation, response, instruments)
    }

    fn next_page(&self, operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
        match self.0 {
            Generation::Legacy => pages::htx_legacy(operation, request, response),
            _ => pages::htx(operation, request, response),
        }
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
        connections::connections(self.0, endpoints, streams, credentials, timestamp_ms)
    }

    /// The venue asks about every five seconds and closes after three questions without an answer.
    fn heartbeat(&self) -> Heartbeat {
        Heartbeat::Server
    }

    fn lists_fills_by_instrument(&self) -> bool {
        self.0 == Generation::Legacy
    }
}
