//! The configuration file. `indexer.example.toml` shows every key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use lockstep_contracts::deployment::Deployment;
use serde::Deserialize;
use url::Url;

use crate::follow::Options;

/// Variables that begin with this and two underscores stand over the file.
pub const ENV_PREFIX: &str = "LOCKSTEP_INDEXER";

/// The configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The deployment's JSON file.
    pub deployment: PathBuf,
    /// `sqlite://…` or `postgres://…`.
    pub store: String,
    /// Health and metrics.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Endpoints.
    pub rpc: Rpc,
    /// When a block is safe.
    #[serde(default)]
    pub finality: Finality,
    /// When `/readyz` says yes.
    #[serde(default)]
    pub ready: Ready,
}

/// Endpoints and how they are asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rpc {
    /// HTTP endpoints, best first.
    pub urls: Vec<Url>,
    /// New heads are announced here; optional.
    pub ws_url: Option<Url>,
    /// Between looks at the chain.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// For one answer.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Blocks of the first `eth_getLogs`.
    #[serde(default = "default_range")]
    pub range: u64,
    /// Most blocks of one `eth_getLogs`.
    #[serde(default = "default_max_range")]
    pub max_range: u64,
    /// Ranges read ahead.
    #[serde(default = "default_prefetch")]
    pub prefetch: usize,
    /// How long an endpoint below the cursor with another chain is taken for one that lags.
    #[serde(default = "default_lag_patience_s")]
    pub lag_patience_s: u64,
}

/// When a block is safe.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Finality {
    /// Blocks on top of one that make it confirmed.
    pub confirmations: u64,
    /// Blocks on top of one that make it final, where the endpoint does not know the tag `finalized`.
    pub depth: u64,
}

/// When `/readyz` says yes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ready {
    /// At most so many blocks behind the head.
    pub lag_blocks: u64,
    /// At most so long since an endpoint answered.
    pub silent_ms: u64,
}

impl Default for Finality {
    fn default() -> Self {
        let options = Options::default();
        Self {
            confirmations: options.confirmations,
            depth: options.finality_depth,
        }
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            lag_blocks: 20,
            silent_ms: 30_000,
        }
    }
}

const fn default_listen() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9_102)
}

const fn default_poll_ms() -> u64 {
    1_000
}

const fn default_timeout_ms() -> u64 {
    20_000
}

const fn default_range() -> u64 {
    200
}

const fn default_max_range() -> u64 {
    10_000
}

const fn default_prefetch() -> usize {
    4
}

const fn default_lag_patience_s() -> u64 {
    60
}

impl Config {
    /// How to follow.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            urls: self.rpc.urls.clone(),
            ws_url: self.rpc.ws_url.clone(),
            poll_interval: Duration::from_millis(self.rpc.poll_ms.max(10)),
            timeout: Duration::from_millis(self.rpc.timeout_ms.max(100)),
            confirmations: self.finality.confirmations,
            finality_depth: self.finality.depth,
            range: self.rpc.range.max(1),
            max_range: self.rpc.max_range.max(1),
            prefetch: self.rpc.prefetch.max(1),
            lag_patience: Duration::from_secs(self.rpc.lag_patience_s),
        }
    }

    /// The deployment.
    ///
    /// # Errors
    /// When its file cannot be read or is no deployment.
    pub fn read_deployment(&self) -> anyhow::Result<Deployment> {
        let path = self.deployment.display();
        let text =
            std::fs::read_to_string(&self.deployment).with_context(|| format!("deployment file {path}"))?;
        serde_json::from_str(&text).with_context(|| format!("deployment file {path}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_configuration() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/indexer.example.toml");
        let config: Config =
            lockstep_service::config::load(Some(path.as_ref()), "LOCKSTEP_INDEXER_EXAMPLE").unwrap();
        assert_eq!(config.finality.confirmations, Finality::default().confirmations);
        assert_eq!(config.listen, default_listen());
        assert_eq!(config.rpc.max_range, default_max_range());
    }
}
