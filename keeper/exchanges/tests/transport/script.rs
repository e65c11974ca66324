//! The scripted venue's words: frames are JSON lists of the model's events, requests are the operation itself.

use std::time::Duration;

use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::error::{DecodeError, Refusal, ReplyError, RequestError, SignError, VenueError};
use lockstep_exchanges::model::{Event, Fill, Instruments, Order, Scope, Stream, Venue};
use lockstep_exchanges::operation::{Acknowledgement, Operation, Reply};
use lockstep_exchanges::protocol::{Connection, Context, Endpoints, Environment, Heartbeat, Protocol};
use lockstep_exchanges::request::{Access, Method, Request, Response, SignedRequest};

/// A reply's body.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    Time(u64),
    Order(Box<Order>),
    Acknowledged(Vec<Acknowledgement>),
    Fills(Vec<Fill>),
    Refused(String),
}

pub struct Script {
    pub venue: Venue,
}

impl Protocol for Script {
    fn venue(&self) -> Venue {
        self.venue
    }

    fn endpoints(&self, _: Environment) -> Endpoints {
        Endpoints::local("http://memory", "/public", "/market", "/private")
    }

    fn known_instruments(&self) -> Instruments {
        Instruments::new(self.venue, [])
    }

    fn requests(&self, operation: &Operation, _: &Context<'_>) -> Result<Vec<Request>, RequestError> {
        let method = if operation.is_read() {
            Method::Get
        } else {
            Method::Post
        };
        let path = format!("/{}", operation.name());
        Ok(vec![
            Request::new(method, path, Access::Signed).json(serde_json::to_string(operation).unwrap()),
        ])
    }

    fn sign(
        &self,
        request: &Request,
        rest: &str,
        _: Option<&Credentials>,
        timestamp_ms: u64,
    ) -> Result<SignedRequest, SignError> {
        Ok(SignedRequest {
            method: request.method,
            url: format!("{rest}{}?secret=do-not-print", request.path),
            headers: vec![("timestamp".to_owned(), timestamp_ms.to_string())],
            body: request.body.clone(),
        })
    }

    fn reply(&self, _: &Operation, response: &Response, _: &Instruments) -> Result<Reply, ReplyError> {
        let body: Body =
            serde_json::from_slice(&response.body).map_err(|error| DecodeError::malformed(&error))?;
        Ok(match body {
            Body::Time(time) => Reply::Time(time),
            Body::Order(order) => Reply::Order(order),
            Body::Acknowledged(all) => Reply::Acknowledged(all.into_iter().map(Ok).collect()),
            Body::Fills(fills) => Reply::Fills(fills),
            Body::Refused(code) => {
                let refusal = match code.as_str() {
                    "clock" => Refusal::Clock,
                    "not-found" => Refusal::NotFound,
                    "busy" => Refusal::Busy,
                    _ => Refusal::Rejected,
                };
                return Err(VenueError::new(self.venue, refusal, code.as_str(), "scripted").into());
            }
        })
    }

    fn decode(
        &self,
        frame: &[u8],
        _: Scope,
        _: &Instruments,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        let read: Vec<Event> =
            serde_json::from_slice(frame).map_err(|error| DecodeError::malformed(&error))?;
        events.extend(read);
        Ok(())
    }

    fn connections(
        &self,
        endpoints: &Endpoints,
        streams: &[Stream],
        _: Option<&Credentials>,
        _: Option<&str>,
        _: u64,
    ) -> Result<Vec<Connection>, SignError> {
        let private = streams.contains(&Stream::Account);
        Ok(vec![Connection {
            url: if private {
                endpoints.private_socket.clone()
            } else {
                endpoints.public_socket.clone()
            },
            login: private.then(|| "login".to_owned()),
            subscribe: vec!["subscribe".to_owned()],
        }])
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat::Client {
            text: "beat".to_owned(),
            every: Duration::from_secs(5),
        }
    }
}
