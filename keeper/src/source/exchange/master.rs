//! A master on an exchange, as it is configured.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::follow::Options;
use lockstep_exchanges::health::Health;
use lockstep_exchanges::model::{Text, Venue};
use lockstep_exchanges::protocol::{Endpoints, Environment};
use lockstep_exchanges::transport::socket::Settings;
use lockstep_exchanges::venues::{Generation, protocol_of};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::state::StrategyId;

/// A master on an exchange, as it is configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeMaster {
    /// Registry id of the strategy. It must have no on-chain source.
    pub strategy: StrategyId,
    /// Where the master trades.
    pub venue: Venue,
    /// Which of the venue's interfaces.
    #[serde(default)]
    pub generation: Generation,
    /// Real money or the venue's test world.
    #[serde(default)]
    pub environment: Environment,
    /// Addresses instead of the venue's own.
    pub endpoints: Option<Endpoints>,
    /// The key, for reading only. On Hyperliquid the master's address, and no secret.
    pub key: String,
    /// The secret. Better in a file.
    pub secret: Option<SecretString>,
    /// File that holds the secret.
    pub secret_file: Option<PathBuf>,
    /// What OKX and Bitget want besides.
    pub passphrase: Option<SecretString>,
    /// File that holds the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// Asset the account's equity is counted in; a dollar coin.
    #[serde(default = "usdt")]
    pub equity_asset: Text,
    /// The strategy's markets by name, and the venue's word for each: `"ETH-USD" = "ETHUSDT"`.
    pub markets: BTreeMap<String, Text>,
    /// What followers do when the exchange, not the master, has closed or moved a position.
    #[serde(default)]
    pub forced_trades: ForcedTrades,
    /// Seconds between snapshots that check the stream.
    #[serde(default = "snapshot_seconds")]
    pub snapshot_seconds: u64,
}

/// What followers do when the exchange trades for the master: liquidation, auto-deleveraging, settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForcedTrades {
    /// They follow the state as ever: out with the master. A position that its master has lost is managed by nobody.
    #[default]
    Follow,
    /// Only what the master meant is copied: in that market nothing is attested until the master trades in it again.
    /// Followers keep what they hold; their own stops and bounds go on.
    Hold,
}

fn usdt() -> Text {
    Text::const_new("USDT")
}

const fn snapshot_seconds() -> u64 {
    30
}

fn read(given: Option<&SecretString>, file: Option<&PathBuf>, what: &str) -> anyhow::Result<Option<String>> {
    match (given, file) {
        (Some(secret), _) => Ok(Some(secret.expose_secret().to_owned())),
        (None, Some(path)) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("{what} file {}", path.display()))?;
            Ok(Some(text.trim().to_owned()))
        }
        (None, None) => Ok(None),
    }
}

impl ExchangeMaster {
    /// Where the venue is reached.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        let of_venue = || protocol_of(self.venue, self.generation).endpoints(self.environment);
        self.endpoints.clone().unwrap_or_else(of_venue)
    }

    /// What the exchange's client needs.
    ///
    /// # Errors
    /// When the secret is missing or its file cannot be read.
    pub fn options(&self, health: Health) -> anyhow::Result<Options> {
        let protocol = protocol_of(self.venue, self.generation);
        let secret = read(self.secret.as_ref(), self.secret_file.as_ref(), "secret")?;
        anyhow::ensure!(
            secret.is_some() || self.venue == Venue::Hyperliquid,
            "exchange master of strategy {}: {} wants a secret: set `secret_file`",
            self.strategy,
            self.venue
        );
        let passphrase = read(
            self.passphrase.as_ref(),
            self.passphrase_file.as_ref(),
            "passphrase",
        )?;
        Ok(Options {
            endpoints: self.endpoints(),
            protocol: Arc::from(protocol),
            credentials: Credentials::new(self.key.clone(), secret.unwrap_or_default(), passphrase),
            marks: self.markets.values().cloned().collect(),
            snapshot_every: Duration::from_secs(self.snapshot_seconds.max(1)),
            settings: Settings::default(),
            health,
        })
    }
}
