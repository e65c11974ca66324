//! A figure is never printed without the formula it comes from, its window and its number of samples.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scalar::{NavIndex, Timestamp};

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A share of one: 0.05 is 5 %.
    Ratio,
    /// Basis points: 100 is 1 %.
    Bps,
    /// Milliseconds.
    Ms,
    /// USDC, 6 decimals.
    Usdc,
    /// A number without a unit.
    Number,
}

/// Which stretch of time figures cover: whole UTC days up to and including today, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub enum WindowName {
    /// Last 7 UTC days.
    #[serde(rename = "7d")]
    Days7,
    /// Last 30 UTC days.
    #[serde(rename = "30d")]
    Days30,
    /// Last 90 UTC days.
    #[serde(rename = "90d")]
    Days90,
    /// Last 365 UTC days.
    #[serde(rename = "365d")]
    Days365,
    /// Since registration.
    #[default]
    #[serde(rename = "all")]
    All,
}

/// The stretch of time a figure covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// As asked for.
    pub name: WindowName,
    /// First moment that counts.
    pub from: Timestamp,
    /// Last moment that counts: the newest block in the store.
    pub to: Timestamp,
}

/// A derived figure with all that is needed to check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statistic {
    /// The figure as a decimal string; null when it is not defined (see `blank`).
    #[schema(pattern = "^-?\\d+(\\.\\d+)?$", example = "0.0723")]
    pub value: Option<String>,
    /// What it is measured in.
    pub unit: Unit,
    /// How it is computed, in words and symbols.
    #[schema(example = "last NAV index ÷ NAV index at the start of the window − 1")]
    pub formula: String,
    /// What it covers.
    pub window: Window,
    /// How many observations went into it; `sampleKind` says of what.
    pub samples: u64,
    /// What a sample is, e.g. "daily UTC returns".
    pub sample_kind: String,
    /// Why there is no value, e.g. "fewer than 30 daily UTC returns".
    pub blank: Option<String>,
}

/// Where the deepest fall was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrawdownPlace {
    /// NAV index at the peak.
    pub peak: NavIndex,
    /// Time of the peak.
    pub peak_time: Timestamp,
    /// NAV index at the trough.
    pub trough: NavIndex,
    /// Time of the trough.
    pub trough_time: Timestamp,
}
