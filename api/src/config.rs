//! Configuration: `api.toml`, then `LOCKSTEP_API__…` from the environment over it. See `api.example.toml`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The indexer's store, only read: `sqlite://…` or `postgres://…`.
    pub database_url: String,
    /// The API's own small SQLite file for what is private and not on the chain: labels, relay history, used login
    /// nonces. In memory when not given: all of that is then forgotten at a restart.
    #[serde(default)]
    pub state_file: Option<PathBuf>,
    /// `deployment.json` of the contracts.
    pub deployment: PathBuf,
    /// JSON-RPC door the browser may use; also allowed by the content security policy.
    #[serde(default)]
    pub public_rpc_url: Option<Url>,
    /// JSON-RPC door for this process: needed only to judge logins of contract accounts (ERC-1271).
    #[serde(default)]
    pub rpc_url: Option<Url>,
    /// Block explorer that the dashboard links to.
    #[serde(default)]
    pub explorer_url: Option<Url>,
    /// The built dashboard. When not given: `api/web/dist` below the working directory, if it has been built there.
    #[serde(default = "default_web_dist")]
    pub web_dist: Option<PathBuf>,
    /// Pages of other origins that may call the API: exact origins, or `*` for all (then without cookies).
    #[serde(default)]
    pub cors_origins: Vec<String>,
    /// Networks of reverse proxies whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<IpNet>,
    /// Largest request body.
    #[serde(default = "default_max_body")]
    pub max_body_bytes: usize,
    /// Longest a request may take.
    #[serde(default = "default_timeout")]
    pub request_timeout_seconds: u64,
    /// The keeper's internal door. Relaying is off when not given.
    #[serde(default)]
    pub keeper: Option<KeeperConfig>,
    /// Login.
    #[serde(default)]
    pub session: SessionConfig,
    /// Rate limits per client address.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// WebSocket.
    #[serde(default)]
    pub stream: StreamConfig,
    /// Bytes of encoded NAV responses that are kept.
    #[serde(default = "default_nav_cache")]
    pub nav_cache_bytes: usize,
}

/// Why a configuration cannot be used although every key can be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A relayed item could be cut off while the keeper still works on it.
    #[error(
        "`request_timeout_seconds` ({request} s) must be at least 5 s longer than `keeper.timeout_ms` ({keeper} ms): a \
         request that is cut off cannot say what became of a signature"
    )]
    TimeoutTooShort {
        /// Longest a request may take, seconds.
        request: u64,
        /// Longest to wait for the keeper, milliseconds.
        keeper: u64,
    },
}

impl Config {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let request = self.request_timeout_seconds;
        match &self.keeper {
            Some(keeper) if keeper.timeout_ms.saturating_add(5_000) > request.saturating_mul(1_000) => {
                Err(ConfigError::TimeoutTooShort {
                    request,
                    keeper: keeper.timeout_ms,
                })
            }
            _ => Ok(()),
        }
    }
}

/// The keeper's internal door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeeperConfig {
    /// E.g. `http://127.0.0.1:8091`.
    pub url: Url,
    /// Shared secret, when the door asks for one.
    #[serde(default)]
    pub token: Option<SecretString>,
    /// Longest to wait for an answer.
    #[serde(default = "default_keeper_timeout")]
    pub timeout_ms: u64,
}

/// Login with a wallet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// At least 32 characters. Drawn at random when not given: sessions then end at a restart.
    pub secret: Option<SecretString>,
    /// Where the dashboard is reached, e.g. `https://lockstep.example`: its host is the login message's domain, and
    /// with `https` the cookie is marked secure. When empty, `localhost` and `127.0.0.1` at the port of `listen` and at
    /// 5173 (the dashboard's development server).
    pub origins: Vec<Url>,
    /// Life of a session.
    pub ttl_hours: u32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            secret: None,
            origins: Vec::new(),
            ttl_hours: 24,
        }
    }
}

/// A token bucket.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Requests per minute in the long run.
    pub per_minute: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

/// Rate limits per client address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Off only for load tests.
    pub enabled: bool,
    /// Reading.
    pub read: Limit,
    /// Relaying and logging in.
    pub write: Limit,
}

const fn limit(per_minute: u32, burst: u32) -> Limit {
    const fn at_least_one(value: u32) -> NonZeroU32 {
        match NonZeroU32::new(value) {
            Some(value) => value,
            None => NonZeroU32::MIN,
        }
    }
    Limit {
        per_minute: at_least_one(per_minute),
        burst: at_least_one(burst),
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            read: limit(600, 120),
            write: limit(30, 10),
        }
    }
}

/// WebSocket.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamConfig {
    /// Longest silence.
    pub heartbeat_seconds: u64,
    /// How often the store is asked what is new.
    pub poll_ms: u64,
    /// Messages that wait for a slow client before it is told that it lags.
    pub buffer: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one client address.
    pub max_connections_per_client: usize,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            heartbeat_seconds: 15,
            poll_ms: 250,
            buffer: 256,
            max_connections: 10_000,
            max_connections_per_client: 20,
        }
    }
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 8080).into()
}

fn default_web_dist() -> Option<PathBuf> {
    built_dashboard(Path::new(""))
}

/// The dashboard that `npm run web:build` has made in the checkout at `root`.
fn built_dashboard(root: &Path) -> Option<PathBuf> {
    let dist = root.join("api/web/dist");
    dist.join("index.html").is_file().then_some(dist)
}

const fn default_max_body() -> usize {
    64 * 1024
}

const fn default_timeout() -> u64 {
    15
}

const fn default_keeper_timeout() -> u64 {
    5_000
}

const fn default_nav_cache() -> usize {
    64 * 1024 * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example with every comment sign before a key taken away.
    fn example() -> String {
        let text = include_str!("../api.example.toml");
        let is_key = |line: &str| {
            let name = line.split([' ', '=']).next().unwrap_or_default();
            line.starts_with('[')
                || (line.contains(" = ") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        };
        text.lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if is_key(rest) => rest.to_owned(),
                _ => line.to_owned(),
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn load(text: &str) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        lockstep_service::config::load(Some(file.path()), "NO_SUCH_PREFIX").unwrap()
    }

    #[test]
    fn the_example_is_valid_as_it_is_and_with_every_key() {
        load(include_str!("../api.example.toml")).check().unwrap();
        let all = load(&example());
        all.check().unwrap();
        assert!(all.keeper.is_some() && all.session.secret.is_some() && all.web_dist.is_some());
        assert_eq!(all.limits.write.burst, LimitsConfig::default().write.burst);
        assert_eq!(all.stream.buffer, StreamConfig::default().buffer);
    }

    #[test]
    fn the_examples_of_all_programs_fit_together() {
        let value = |text: &str, key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
                .map(|value| value.trim_matches('"').to_owned())
                .unwrap()
        };
        let api = load(include_str!("../api.example.toml"));
        let indexer = include_str!("../../indexer/indexer.example.toml");
        let keeper = include_str!("../../keeper/keeper.example.toml");
        assert_eq!(api.database_url, value(indexer, "store"));
        for text in [indexer, keeper] {
            assert_eq!(api.deployment, PathBuf::from(value(text, "deployment")));
        }
        let door = format!("http://{}/", value(keeper, "listen"));
        assert_eq!(api.keeper.unwrap().url.as_str(), door);
    }

    #[test]
    fn a_dashboard_that_was_built_is_served_without_being_named() {
        let checkout = tempfile::tempdir().unwrap();
        assert_eq!(built_dashboard(checkout.path()), None);
        let dist = checkout.path().join("api/web/dist");
        std::fs::create_dir_all(&dist).unwrap();
        assert_eq!(built_dashboard(checkout.path()), None);
        std::fs::write(dist.join("index.html"), "").unwrap();
        assert_eq!(built_dashboard(checkout.path()), Some(dist));
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", load(&example()));
        assert!(
            !shown.contains("keeper's token") && !shown.contains("at least 32 characters"),
            "{shown}"
        );
    }

    #[test]
    fn a_request_may_not_be_cut_off_before_the_keeper_has_answered() {
        let mut config = load(&example());
        config.request_timeout_seconds = 9;
        assert!(config.check().is_err());
    }
}
