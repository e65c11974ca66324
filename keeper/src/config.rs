//! The keeper's configuration. `keeper/keeper.example.toml` explains every key.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lockstep_exchanges::venues::hyperliquid::MAXIMUM_USERS;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::confirm::Patience;
use crate::guard::Limits;
use crate::plan::GasModel;
use crate::source::exchange::ExchangeMaster;
use crate::source::signals::{SignalDoor, SignalSource};
use crate::submit::fees::Policy;

/// Everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `deployment.json`.
    pub deployment: PathBuf,
    /// SQLite file of the journal; made when it is not there.
    pub journal: PathBuf,
    /// Sync every commit to the device, not only what followers were told.
    #[serde(default)]
    pub journal_full_sync: bool,
    /// Loopback address of the internal door.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Bearer token of the door. Without one anyone on this machine may hand in signed items.
    pub token: Option<SecretString>,
    /// The keeper's private key. Give it in the environment.
    pub key: Option<SecretString>,
    /// Or a file that holds it.
    pub key_file: Option<PathBuf>,
    /// RPC.
    pub rpc: RpcConfig,
    /// Pace.
    #[serde(default)]
    pub pace: Pace,
    /// Confirmation and stalls.
    #[serde(default)]
    pub confirm: Patience,
    /// Guards.
    #[serde(default)]
    pub guard: Limits,
    /// Gas model.
    #[serde(default)]
    pub gas: GasModel,
    /// Fees.
    #[serde(default)]
    pub fees: Policy,
    /// Masters who trade on exchanges.
    #[serde(default)]
    pub exchange_masters: Vec<ExchangeMaster>,
    /// How Hyperliquid's limits are kept.
    #[serde(default)]
    pub hyperliquid: HyperliquidConfig,
    /// Private strategies that post signed target states.
    #[serde(default)]
    pub signal_sources: Vec<SignalSource>,
    /// Where they are heard.
    #[serde(default)]
    pub signal_door: SignalDoor,
    /// Log filter, unless `RUST_LOG` is set.
    #[serde(default = "default_filter")]
    pub log_filter: String,
}

/// How Hyperliquid's limits are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HyperliquidConfig {
    /// Masters whose own streams are followed. With more of them at one address, all are read from the public trades.
    pub user_streams: usize,
}

impl Default for HyperliquidConfig {
    fn default() -> Self {
        Self {
            user_streams: MAXIMUM_USERS,
        }
    }
}

/// RPC endpoints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpcConfig {
    /// HTTP endpoints, best first.
    pub urls: Vec<Url>,
    /// WebSocket endpoint; by default the first HTTP endpoint's, as `ws://` or `wss://`.
    pub ws_url: Option<Url>,
    /// Milliseconds after which an endpoint has not answered.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// Blocks behind the others at which an endpoint lags.
    #[serde(default = "default_lag")]
    pub max_lag_blocks: u64,
    /// Seconds without a block after which the WebSocket is opened anew.
    #[serde(default = "default_silence")]
    pub ws_silence_seconds: u64,
}

/// How often things are done.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// Milliseconds between looks at the chain's head.
    pub poll_ms: u64,
    /// Seconds between looks at accounts that are off target without the master having traded.
    pub look_seconds: u64,
    /// Seconds after which every cached account is read again.
    pub refresh_seconds: u64,
    /// Seconds (block time) between NAV points; 0 = never.
    pub checkpoint_seconds: u64,
    /// How far cached equity and price may be off, bps.
    pub tolerance_bps: u32,
    /// Jobs under way at once from which on only reductions are sent.
    pub max_in_flight: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll_ms: 1_000,
            look_seconds: 2,
            refresh_seconds: 60,
            checkpoint_seconds: 300,
            tolerance_bps: 50,
            max_in_flight: 16,
        }
    }
}

impl Config {
    /// The private key, from the environment or the file.
    ///
    /// # Errors
    /// When neither gives one.
    pub fn secret(&self) -> anyhow::Result<SecretString> {
        match (&self.key, &self.key_file) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| anyhow::anyhow!("key file {}: {error}", path.display()))?;
                Ok(SecretString::from(text.trim().to_owned()))
            }
            (None, None) => anyhow::bail!("no private key: set LOCKSTEP_KEEPER__KEY, or `key_file`"),
        }
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.rpc.urls.is_empty(),
            "`rpc.urls` is empty: at least one HTTP endpoint is needed"
        );
        anyhow::ensure!(
            self.listen.ip().is_loopback(),
            "`listen` is {}: the door is internal, give it a loopback address such as 127.0.0.1",
            self.listen
        );
        anyhow::ensure!(
            self.pace.poll_ms > 0,
            "`pace.poll_ms` is 0: give the milliseconds between looks"
        );
        anyhow::ensure!(
            self.confirm.confirmations > 0,
            "`confirm.confirmations` is 0: a job's own block is its first confirmation, so give at least 1"
        );
        self.check_sources()
    }

    fn check_sources(&self) -> anyhow::Result<()> {
        let mut names = BTreeSet::new();
        for source in &self.signal_sources {
            source.check()?;
            anyhow::ensure!(
                names.insert(source.name.as_str()),
                "two signal sources are called {:?}: give each a name of its own",
                source.name
            );
        }
        let masters = self.exchange_masters.iter().map(|master| master.strategy);
        let sources = self.signal_sources.iter().map(|source| source.strategy);
        let mut strategies = BTreeSet::new();
        for strategy in masters.chain(sources) {
            anyhow::ensure!(
                strategies.insert(strategy),
                "strategy {strategy} has two sources: they would overwrite each other, so give it one of `exchange_masters` and `signal_sources`"
            );
        }
        anyhow::ensure!(
            self.signal_sources.is_empty() || self.signal_door.listen != self.listen,
            "`signal_door.listen` is the internal door's address {}: give it another port",
            self.listen
        );
        Ok(())
    }
}

impl RpcConfig {
    /// The WebSocket endpoint.
    #[must_use]
    pub fn websocket(&self) -> Option<Url> {
        if let Some(url) = &self.ws_url {
            return Some(url.clone());
        }
        let mut url = self.urls.first()?.clone();
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).ok()?;
        Some(url)
    }

    /// See [`Self::timeout_ms`].
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8091))
}

fn default_filter() -> String {
    "info".into()
}

const fn default_timeout() -> u64 {
    5_000
}

const fn default_lag() -> u64 {
    5
}

const fn default_silence() -> u64 {
    30
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_complete_and_valid() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/keeper.example.toml");
        let config: Config = lockstep_service::config::load(Some(path.as_ref()), "NO_SUCH_PREFIX").unwrap();
        config.check().unwrap();
        assert_eq!(config.rpc.websocket().unwrap().scheme(), "ws");
    }

    fn checked(text: &str) -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("k.toml");
        let text = format!("deployment='d'\njournal='j'\n{text}\n[rpc]\nurls=['http://x']");
        std::fs::write(&path, text)?;
        let config: Config = lockstep_service::config::load(Some(&path), "NO_SUCH_PREFIX")?;
        config.check()
    }

    #[test]
    fn sources_that_would_get_in_each_other_s_way_are_refused_with_what_to_do() {
        let source = |name: &str, strategy: u32, markets: &str| {
            format!("[[signal_sources]]\nname='{name}'\nstrategy={strategy}\nmarkets=[{markets}]\n")
        };
        checked(&source("alpha", 1, "'ETH-USD'")).unwrap();
        let same_name = source("alpha", 1, "'ETH-USD'") + &source("alpha", 2, "'ETH-USD'");
        let same_strategy = source("alpha", 1, "'ETH-USD'") + &source("beta", 1, "'ETH-USD'");
        let same_address = source("alpha", 1, "'ETH-USD'") + "[signal_door]\nlisten='127.0.0.1:8091'\n";
        for (text, said) in [
            (same_name, "two signal sources are called \"alpha\""),
            (same_strategy, "strategy 1 has two sources"),
            (source("al/pha", 1, "'ETH-USD'"), "small letters"),
            (source("alpha", 1, ""), "`markets` is empty"),
            (same_address, "give it another port"),
        ] {
            let error = checked(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = "deployment='d'\njournal='j'\ntoken='hunter2'\nkey='hunter3'\n[rpc]\nurls=['http://x']";
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k.toml");
        std::fs::write(&path, text).unwrap();
        let config: Config = lockstep_service::config::load(Some(&path), "NO_SUCH_PREFIX").unwrap();
        assert!(!format!("{config:?}").contains("hunter"));
    }
}
