use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Venue {
    /// Binance USDⓈ-M futures.
    Binance,
    /// OKX v5, swaps.
    Okx,
    /// Bybit v5, linear and inverse perpetuals.
    Bybit,
    /// Bitget, v2 (classic) and v3 (unified account).
    Bitget,
    /// Deribit API v2, perpetuals and futures.
    Deribit,
    /// HTX linear swaps, the legacy interface and v5.
    Htx,
    /// Hyperliquid perpetuals.
    Hyperliquid,
}

impl Venue {
    /// All of them, in the order in which they are listed everywhere.
    pub const ALL: [Self; 7] = [
        Self::Binance,
        Self::Okx,
        Self::Bybit,
        Self::Bitget,
        Self::Deribit,
        Self::Htx,
        Self::Hyperliquid,
    ];

    /// Its name in configuration, on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Okx => "okx",
            Self::Bybit => "bybit",
            Self::Bitget => "bitget",
            Self::Deribit => "deribit",
            Self::Htx => "htx",
            Self::Hyperliquid => "hyperliquid",
        }
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is no venue's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no venue: binance, okx, bybit, bitget, deribit, htx or hyperliquid")]
pub struct ParseVenueError(pub String);

impl FromStr for Venue {
    type Err = ParseVenueError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|venue| venue.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| ParseVenueError(name.to_owned()))
    }
}
