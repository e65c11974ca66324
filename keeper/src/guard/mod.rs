//! Whether the keeper may act on what it sees. Reductions and exits are never stopped by anything but a dead feed: when
//! nothing is known, nothing is done, and the follower can always leave without the keeper.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use lockstep_contracts::units::Wad;
use serde::Deserialize;

use crate::state::StrategyId;

/// Limits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A feed without a new block for so many seconds is dead.
    pub max_block_age_seconds: u64,
    /// A master beyond so many times leverage is a broken reading, not a trade.
    pub max_leverage: u32,
    /// Batches that may grow exposure, per strategy and minute.
    pub batches_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_block_age_seconds: 60,
            max_leverage: 100,
            batches_per_minute: 30,
        }
    }
}

/// Why the keeper holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No block for too long: what is known may be old.
    StaleSource {
        /// Since the last new block.
        age: Duration,
    },
    /// The leverage read is beyond any real one.
    AbsurdLeverage {
        /// What was read.
        leverage: Wad,
        /// The limit, times.
        limit: u32,
    },
    /// The liquidator's breaker is active.
    Breaker,
    /// The RPC endpoints see different chains.
    RpcDisagreement,
    /// Too many batches for this strategy.
    RateLimited,
}

impl Reason {
    /// A stable label for metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::StaleSource { .. } => "stale-source",
            Self::AbsurdLeverage { .. } => "absurd-leverage",
            Self::Breaker => "breaker",
            Self::RpcDisagreement => "rpc-disagreement",
            Self::RateLimited => "rate-limited",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StaleSource { age } => write!(f, "no new block for {} s", age.as_secs()),
            Self::AbsurdLeverage { leverage, limit } => write!(f, "leverage {leverage} is beyond {limit}x"),
            Self::Breaker => write!(f, "the breaker is active"),
            Self::RpcDisagreement => write!(f, "the RPC endpoints see different chains"),
            Self::RateLimited => write!(f, "too many batches in the last minute"),
        }
    }
}

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything.
    Go,
    /// Only what makes exposure smaller.
    ReduceOnly(Reason),
    /// Only closing what is to be closed whatever the master does.
    CloseOnly(Reason),
    /// Nothing.
    Hold(Reason),
}

/// What the verdict depends on.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// Since the last new block; `None` before the first.
    pub age: Option<Duration>,
    /// The master's leverage.
    pub leverage: Wad,
    /// The breaker.
    pub breaker: bool,
    /// Whether the endpoints agree.
    pub agreed: bool,
}

/// Counts batches per strategy. A token bucket on a monotonic clock.
#[derive(Debug, Default)]
pub struct Rate {
    buckets: HashMap<StrategyId, (u64, Option<Instant>)>,
}

/// Thousandths of a batch.
const TOKEN: u64 = 1_000;

impl Rate {
    fn refill(&mut self, limits: &Limits, strategy: StrategyId, now: Instant) -> &mut u64 {
        let full = u64::from(limits.batches_per_minute) * TOKEN;
        let (tokens, since) = self.buckets.entry(strategy).or_insert((full, None));
        if let Some(since) = since {
            let elapsed =
                u64::try_from(now.saturating_duration_since(*since).as_millis()).unwrap_or(u64::MAX);
            *tokens = full.min(tokens.saturating_add(elapsed.saturating_mul(full) / 60_000));
        }
        *since = Some(now);
        tokens
    }

    /// Takes one batch from the strategy's bucket.
    pub fn spend(&mut self, limits: &Limits, strategy: StrategyId, now: Instant) {
        let tokens = self.refill(limits, strategy, now);
        *tokens = tokens.saturating_sub(TOKEN);
    }

    /// True while the strategy may send another batch.
    pub fn allows(&mut self, limits: &Limits, strategy: StrategyId, now: Instant) -> bool {
        *self.refill(limits, strategy, now) >= TOKEN
    }
}

/// The verdict on acting for one strategy now.
#[must_use]
pub fn judge(limits: &Limits, sight: &Sight, rate_allows: bool) -> Verdict {
    let limit = Duration::from_secs(limits.max_block_age_seconds);
    match sight.age {
        Some(age) if age <= limit => {}
        age => {
            return Verdict::Hold(Reason::StaleSource {
                age: age.unwrap_or(Duration::MAX),
            });
        }
    }
    let largest = i128::from(limits.max_leverage) * 1_000_000_000_000_000_000;
    if sight.leverage.0.unsigned_abs() > largest.unsigned_abs() {
        let reason = Reason::AbsurdLeverage {
            leverage: sight.leverage,
            limit: limits.max_leverage,
        };
        return Verdict::CloseOnly(reason);
    }
    if !sight.agreed {
        return Verdict::ReduceOnly(Reason::RpcDisagreement);
    }
    if sight.breaker {
        return Verdict::ReduceOnly(Reason::Breaker);
    }
    if !rate_allows {
        return Verdict::ReduceOnly(Reason::RateLimited);
    }
    Verdict::Go
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i128 = 1_000_000_000_000_000_000;

    fn sight() -> Sight {
        Sight {
            age: Some(Duration::from_secs(1)),
            leverage: Wad(2 * ONE),
            breaker: false,
            agreed: true,
        }
    }

    #[test]
    fn each_danger_has_its_reason() {
        let limits = Limits::default();
        assert_eq!(judge(&limits, &sight(), true), Verdict::Go);
        let stale = Sight {
            age: Some(Duration::from_secs(61)),
            ..sight()
        };
        assert!(matches!(
            judge(&limits, &stale, true),
            Verdict::Hold(Reason::StaleSource { .. })
        ));
        assert!(matches!(
            judge(&limits, &Sight { age: None, ..sight() }, true),
            Verdict::Hold(_)
        ));
        let absurd = Sight {
            leverage: Wad(-101 * ONE),
            ..sight()
        };
        assert!(matches!(
            judge(&limits, &absurd, true),
            Verdict::CloseOnly(Reason::AbsurdLeverage { .. })
        ));
        let forked = Sight {
            agreed: false,
            ..sight()
        };
        assert_eq!(
            judge(&limits, &forked, true),
            Verdict::ReduceOnly(Reason::RpcDisagreement)
        );
        let breaker = Sight {
            breaker: true,
            ..sight()
        };
        assert_eq!(
            judge(&limits, &breaker, true),
            Verdict::ReduceOnly(Reason::Breaker)
        );
        assert_eq!(
            judge(&limits, &sight(), false),
            Verdict::ReduceOnly(Reason::RateLimited)
        );
    }

    #[test]
    fn the_bucket_empties_and_refills() {
        let limits = Limits {
            batches_per_minute: 2,
            ..Limits::default()
        };
        let mut rate = Rate::default();
        let start = Instant::now();
        for _ in 0..2 {
            assert!(rate.allows(&limits, 1, start));
            rate.spend(&limits, 1, start);
        }
        assert!(!rate.allows(&limits, 1, start));
        assert!(rate.allows(&limits, 2, start));
        assert!(rate.allows(&limits, 1, start + Duration::from_secs(31)));
    }
}
