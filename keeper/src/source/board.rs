//! What the sources outside the chain show of themselves: on the internal door and as metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lockstep_exchanges::health::{Health, State};
use lockstep_exchanges::model::Venue;
use serde::Serialize;

use super::signals::{SignalSourceHealth, SignalSources};
use crate::state::StrategyId;

/// All of them.
#[derive(Clone, Default)]
pub struct Board {
    /// Masters on exchanges.
    pub masters: Vec<MasterBoard>,
    /// Signal sources, when there are any.
    pub signals: Option<SignalSources>,
}

/// How an exchange master is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReadBy {
    /// The account's own streams.
    Account,
    /// The venue's public trades, which name their users, and snapshots.
    PublicTrades,
}

/// What is known of one exchange master. Clones share it.
#[derive(Debug, Clone)]
pub struct MasterBoard {
    /// Strategy.
    pub strategy: StrategyId,
    /// Where.
    pub venue: Venue,
    /// How it is read.
    pub read_by: ReadBy,
    /// The venue's health, as this master's connections see it.
    pub health: Health,
    certain: Arc<AtomicBool>,
    followed: Arc<AtomicBool>,
}

impl MasterBoard {
    /// Of a master of whom nothing is known yet.
    #[must_use]
    pub fn new(strategy: StrategyId, venue: Venue, read_by: ReadBy, health: Health) -> Self {
        Self {
            strategy,
            venue,
            read_by,
            health,
            certain: Arc::default(),
            followed: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Whether the account is known for certain now.
    pub fn set_certain(&self, certain: bool) {
        self.certain.store(certain, Ordering::Relaxed);
    }

    /// Following has ended for good.
    pub fn ended(&self) {
        self.set_certain(false);
        self.followed.store(false, Ordering::Relaxed);
    }

    fn shown(&self) -> MasterHealth {
        let figures = self.health.figures();
        MasterHealth {
            strategy: self.strategy,
            venue: self.venue,
            read_by: self.read_by,
            followed: self.followed.load(Ordering::Relaxed),
            certain: self.certain.load(Ordering::Relaxed),
            breaker: figures.state,
            data_age_ms: figures.data_age_ms,
            mean_latency_us: figures.mean_latency_us,
            p99_latency_us: figures.p99_latency_us,
            errors_per_thousand: figures.errors_per_thousand,
        }
    }
}

/// An exchange master as the internal door shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MasterHealth {
    /// Strategy.
    pub strategy: StrategyId,
    /// Where the master trades.
    pub venue: Venue,
    /// How the account is read.
    pub read_by: ReadBy,
    /// False when following has ended and somebody has to help.
    pub followed: bool,
    /// Nothing is missing: a snapshot was taken and the stream has stood since. Otherwise nothing is attested.
    pub certain: bool,
    /// The venue's circuit breaker.
    pub breaker: State,
    /// Milliseconds since anything was received on a stream.
    pub data_age_ms: Option<u64>,
    /// Mean latency of requests, microseconds.
    pub mean_latency_us: Option<u64>,
    /// 99th percentile of the last 256 latencies, microseconds.
    pub p99_latency_us: Option<u64>,
    /// Errors among the last 256 requests, per thousand.
    pub errors_per_thousand: u32,
}

/// Members of the internal door's health beside the loop's.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Masters on exchanges.
    pub exchange_masters: Vec<MasterHealth>,
    /// Signal sources.
    pub signal_sources: Vec<SignalSourceHealth>,
}

impl Board {
    /// As it is now.
    #[must_use]
    pub fn shown(&self) -> Shown {
        Shown {
            exchange_masters: self.masters.iter().map(MasterBoard::shown).collect(),
            signal_sources: self
                .signals
                .as_ref()
                .map(SignalSources::health)
                .unwrap_or_default(),
        }
    }

    /// Sets the gauges to how it is now; before metrics are read.
    pub fn gauges(&self) {
        let shown = self.shown();
        for master in shown.exchange_masters {
            let labels = [
                ("strategy", master.strategy.to_string()),
                ("venue", master.venue.name().to_owned()),
            ];
            let set = |name: &'static str, value: u64| {
                // Gauges are floating point; nothing is decided by them.
                metrics::gauge!(name, &labels)
                    .set(u32::try_from(value).map_or(f64::from(u32::MAX), f64::from));
            };
            set("keeper_exchange_master_certain", u64::from(master.certain));
            set("keeper_exchange_master_followed", u64::from(master.followed));
            set(
                "keeper_exchange_breaker",
                match master.breaker {
                    State::Healthy => 0,
                    State::Degraded => 1,
                    State::HalfOpen => 2,
                    State::Open => 3,
                },
            );
            set(
                "keeper_exchange_errors_per_thousand",
                u64::from(master.errors_per_thousand),
            );
            if let Some(latency) = master.mean_latency_us {
                set("keeper_exchange_latency_us", latency);
            }
            if let Some(age) = master.data_age_ms {
                set("keeper_exchange_data_age_ms", age);
            }
        }
        for source in shown.signal_sources {
            let broken = if source.broken.is_some() { 1.0 } else { 0.0 };
            metrics::gauge!("keeper_signal_source_broken", "source" => source.name).set(broken);
        }
    }
}
