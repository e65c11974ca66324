//! The real network under [`super::socket`]: WebSocket over TLS.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, connect_async_tls_with_config};

use crate::json::MAXIMUM_FRAME;

use super::socket::{Connect, Link, LinkError};

/// Opens WebSockets. Build it once: it holds the trusted certificates.
#[derive(Clone)]
pub struct WebSockets {
    tls: Arc<rustls::ClientConfig>,
}

impl std::fmt::Debug for WebSockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebSockets")
    }
}

impl WebSockets {
    /// With the certificates this machine trusts. None found is no error: plain sockets to simulators need none, and a
    /// venue's would not be trusted.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, LinkError> {
        let mut roots = rustls::RootCertStore::empty();
        let (_, ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if ignored > 0 {
            tracing::debug!(ignored, "certificates that cannot be read");
        }
        // Named, not looked up: which provider a process has by default depends on what else is compiled into it.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| LinkError(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls) })
    }
}

/// What went wrong without the address: it may carry a key.
fn describe(error: &Error) -> LinkError {
    LinkError(match error {
        Error::Http(response) => format!("HTTP {}", response.status().as_u16()),
        Error::Url(_) => "the address cannot be used".to_owned(),
        other => other.to_string(),
    })
}

#[async_trait]
impl Connect for WebSockets {
    async fn connect(&self, url: &str) -> Result<Link, LinkError> {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAXIMUM_FRAME))
            .max_frame_size(Some(MAXIMUM_FRAME));
        let (stream, _) =
            connect_async_tls_with_config(url, Some(limits), true, Some(Connector::Rustls(self.tls.clone())))
                .await
                .map_err(|error| describe(&error))?;
        let (outgoing, incoming) = stream.split();
        Ok(Link {
            outgoing: Box::pin(outgoing.sink_map_err(|error| describe(&error))),
            incoming: Box::pin(incoming.map(|frame| frame.map_err(|error| describe(&error)))),
        })
    }
}
