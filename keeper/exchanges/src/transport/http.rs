//! How a signed request goes over the wire: pooled connections, HTTP/2 where the venue speaks it.

use std::time::Duration;

use async_trait::async_trait;

use crate::request::{Method, Response, SignedRequest};

/// Largest reply that is read, in bytes: a whole list of instruments has about a quarter of it.
const MAXIMUM_REPLY: usize = 32 * 1024 * 1024;

/// Why there is no reply, by what may have happened at the venue. Addresses are not in it: they carry keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// It did not leave: nothing was done.
    #[error("not sent: {detail}")]
    NotSent {
        /// Why.
        detail: String,
    },
    /// It may have arrived.
    #[error("no reply: {detail}")]
    NoReply {
        /// Why.
        detail: String,
    },
}

/// Sends one request once.
#[async_trait]
pub trait Http: Send + Sync + 'static {
    /// Sends it and waits for the whole reply, whatever its status.
    ///
    /// # Errors
    /// When there is none, with whether the venue may have received it.
    async fn send(&self, request: SignedRequest) -> Result<Response, HttpError>;
}

/// The real one.
#[derive(Debug, Clone)]
pub struct Pool {
    client: reqwest::Client,
}

impl Pool {
    /// `timeout` from the sending to the last byte of the reply.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(timeout: Duration) -> Result<Self, HttpError> {
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(Duration::from_secs(15))
            .http2_keep_alive_while_idle(true)
            // A redirect would carry a signed request to an address nobody chose, or send it twice.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| HttpError::NotSent {
                detail: describe(error),
            })?;
        Ok(Self { client })
    }
}

/// What went wrong without the address.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[async_trait]
impl Http for Pool {
    async fn send(&self, request: SignedRequest) -> Result<Response, HttpError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, request.url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if !request.body.is_empty() {
            builder = builder.body(request.body);
        }
        let mut reply = builder.send().await.map_err(|error| {
            // Only these are certain; whatever else happened, the bytes may have left.
            let not_sent = error.is_connect() || error.is_builder();
            let detail = describe(error);
            if not_sent {
                HttpError::NotSent { detail }
            } else {
                HttpError::NoReply { detail }
            }
        })?;
        let status = reply.status().as_u16();
        let headers = reply
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let mut body = Vec::new();
        while let Some(part) = reply.chunk().await.map_err(|error| HttpError::NoReply {
            detail: describe(error),
        })? {
            if body.len().saturating_add(part.len()) > MAXIMUM_REPLY {
                return Err(HttpError::NoReply {
                    detail: format!("the reply is longer than {MAXIMUM_REPLY} bytes"),
                });
            }
            body.extend_from_slice(&part);
        }
        Ok(Response {
            status,
            headers,
            body,
        })
    }
}
