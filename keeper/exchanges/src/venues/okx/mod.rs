//! Okx.

use crate::credentials::Credentials;
use crate::error::{DecodeError, ReplyError, RequestError, SignError};
use crate::model::{Event, Instruments, Scope, Stream, Venue};
use crate::operation::{Operation, Reply};
use crate::protocol::{Connection, Context, Endpoints, Environment, Heartbeat, Protocol};
use crate::request::{Request, Response, SignedRequest};

/// Okx.
#[derive(Debug, Clone, Copy, Default)]
pub struct Okx;

#[expect(unused_variables, clippy::unimplemented)]
impl Protocol for Okx {
    fn venue(&self) -> Venue {
        Venue::Okx
    }

    fn endpoints(&self, environment: Environment) -> Endpoints {
        unimplemented!()
    }

    fn known_instruments(&self) -> Instruments {
        unimplemented!()
    }

    fn requests(&self, operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
        unimplemented!()
    }

    fn sign(
        &self,
        request: &Request,
        rest: &str,
        credentials: Option<&Credentials>,
        timestamp_ms: u64,
    ) -> Result<SignedRequest, SignError> {
        unimplemented!()
    }

    fn reply(
        &self,
        operation: &Operation,
        response: &Response,
        instruments: &Instruments,
    ) -> Result<Reply, ReplyError> {
        unimplemented!()
    }

    fn decode(
        &self,
        frame: &[u8],
        scope: Scope,
        instruments: &Instruments,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        unimplemented!()
    }

    fn connections(
        &self,
        endpoints: &Endpoints,
        streams: &[Stream],
        credentials: Option<&Credentials>,
        listen_key: Option<&str>,
        timestamp_ms: u64,
    ) -> Result<Vec<Connection>, SignError> {
        unimplemented!()
    }

    fn heartbeat(&self) -> Heartbeat {
        unimplemented!()
    }
}
