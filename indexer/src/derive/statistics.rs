//! The figures, each with its formula.

use lockstep_contracts::units::{Usdc, Wad};

use super::apply::absorb;
use super::documents::{BucketPoint, NavBucket, Tally};
use super::math::{Overflow, WAD, mul_div_floor, sub};
use super::nav::{self, DAY};
use crate::model::{Drawdown, Figure, Statistics, Window};

/// Name of a figure in [`Statistics`](crate::model::Statistics) and its formula, for whoever prints it.
pub const FORMULAS: &[(&str, &str)] = &[
    (
        "totalReturn",
        "last NAV index ÷ NAV index at the start of the window − 1; time-weighted, net of flows and fees",
    ),
    (
        "maxDrawdown",
        "largest 1 − trough ÷ earlier peak over every recorded NAV point of the window",
    ),
    (
        "sharpe",
        "mean ÷ standard deviation (n − 1) of daily UTC returns × √365, risk-free rate 0; blank under 30 days",
    ),
    (
        "sortino",
        "mean ÷ √(Σ min(r, 0)² ÷ n) of daily UTC returns × √365, risk-free rate 0; blank under 30 days or without a \
         losing day",
    ),
    (
        "volatility",
        "standard deviation (n − 1) of daily UTC returns × √365; blank under 30 days",
    ),
    (
        "winRate",
        "closed positions with a profit after fees and funding ÷ all closed positions of all followers",
    ),
    (
        "profitFactor",
        "sum of profits ÷ sum of losses of closed positions; none when nothing was lost",
    ),
    (
        "realised",
        "sum of results of closed positions after fees and funding",
    ),
    ("volume", "sum of |size| × fill price"),
    ("fees", "copy fees and venue fees paid by followers"),
    ("performanceFees", "performance fees paid by followers"),
    (
        "slippageBps",
        "Σ cost against the index price ÷ Σ volume of batch fills × 10,000; positive = worse than index",
    ),
    (
        "delayMs",
        "mean over batches of block time − time at which the master's state was observed",
    ),
    ("maxDelayMs", "largest such delay"),
    ("movedShare", "accounts moved ÷ accounts named in batches"),
];

/// Daily returns without which ratios are blank.
pub const MIN_DAYS: u64 = 30;

/// Figures of one window.
///
/// `now` is the time of the last indexed block; `before` the last NAV point before the window; `days` the NAV of the
/// window's UTC days that have points; `tallies` the trades of its days.
///
/// # Errors
/// [`Overflow`] when a sum leaves 128 bits.
pub fn compute(
    window: Window,
    now: u64,
    before: Option<BucketPoint>,
    days: &[(u64, NavBucket)],
    tallies: &[Tally],
) -> Result<Statistics, Overflow> {
    let today = now / DAY;
    let start = before.or_else(|| days.first().map(|(_, day)| day.first));
    let from = match (window.days(), days.first()) {
        (Some(length), _) => (today + 1).saturating_sub(length) * DAY,
        (None, Some((_, day))) => day.first.time,
        (None, None) => now,
    };

    let points = days.iter().map(|(_, day)| day.count).sum::<u64>();
    let last = days.last().map(|(_, day)| day.last).or(before);
    let total_return = match (start, last) {
        (Some(start), Some(last)) if start.nav.0 > 0 => Some(Wad(mul_div_floor(
            last.nav.0 - start.nav.0,
            WAD,
            start.nav.0,
            "return",
        )?)),
        _ => None,
    };

    let mut whole = before.map(|point| nav::extend(None, point)).transpose()?;
    for (_, day) in days {
        whole = Some(match &whole {
            Some(whole) => nav::join(whole, day)?,
            None => *day,
        });
    }
    let max_drawdown = match &whole {
        None => None,
        Some(whole) => match &whole.fall {
            Some(fall) => Some(nav::drawdown(fall)?),
            None => Some(Drawdown {
                depth: Wad::ZERO,
                peak: whole.high.nav,
                peak_time: whole.high.time,
                trough: whole.high.nav,
                trough_time: whole.high.time,
            }),
        },
    };

    let returns = daily_returns(before, days, today);
    let length = returns.len() as u64;
    let ratios = ratios(&returns);

    let mut sum = Tally::default();
    for tally in tallies {
        absorb(&mut sum, tally)?;
    }
    let closed = &sum.closed;
    let batches = i64::try_from(sum.batches).map_err(|_| Overflow("batches"))?;
    let slippage = if sum.batch_volume.0 > 0 {
        Some(Wad(mul_div_floor(
            sum.slippage_cost.0,
            10_000 * WAD,
            sum.batch_volume.0,
            "slippage",
        )?))
    } else {
        None
    };
    Ok(Statistics {
        window,
        from,
        to: now,
        total_return: Figure {
            value: total_return,
            samples: points,
        },
        max_drawdown: Figure {
            value: max_drawdown,
            samples: points,
        },
        sharpe: Figure {
            value: ratios.sharpe,
            samples: length,
        },
        sortino: Figure {
            value: ratios.sortino,
            samples: length,
        },
        volatility: Figure {
            value: ratios.volatility,
            samples: length,
        },
        win_rate: Figure {
            value: share(closed.wins, closed.count),
            samples: closed.count,
        },
        profit_factor: Figure {
            value: quotient(closed.profit, closed.loss),
            samples: closed.count,
        },
        realised: Figure {
            value: Some(sub(closed.profit, closed.loss, "realised")?),
            samples: closed.count,
        },
        volume: Figure {
            value: Some(sum.volume),
            samples: sum.fills,
        },
        fees: Figure {
            value: Some(sum.fees),
            samples: sum.fills,
        },
        performance_fees: Figure {
            value: Some(sum.performance_fees),
            samples: sum.charges,
        },
        slippage_bps: Figure {
            value: slippage,
            samples: sum.moved,
        },
        delay_ms: Figure {
            value: sum.delay_ms.checked_div(batches),
            samples: sum.batches,
        },
        max_delay_ms: Figure {
            value: sum.max_delay_ms,
            samples: sum.batches,
        },
        moved_share: Figure {
            value: share(sum.moved, sum.named),
            samples: sum.named,
        },
    })
}

// Below are ratios without a unit: the one place where floating point is right.

/// Returns of whole UTC days: close ÷ the close before − 1. A day without a point has the close before it, so its
/// return is 0. The first day has no close before it unless the window does; today is not over and is left out.
#[allow(clippy::float_arithmetic)]
fn daily_returns(before: Option<BucketPoint>, days: &[(u64, NavBucket)], today: u64) -> Vec<f64> {
    let mut returns = Vec::new();
    let mut close = before.map(|point| (point.time / DAY, point.nav));
    for (day, bucket) in days.iter().filter(|(day, _)| *day < today) {
        if let Some((then, nav)) = close {
            returns.extend(std::iter::repeat_n(
                0.0,
                usize::try_from(day - then - 1).unwrap_or(0),
            ));
            returns.push(if nav.0 > 0 {
                ratio(bucket.last.nav, nav) - 1.0
            } else {
                0.0
            });
        }
        close = Some((*day, bucket.last.nav));
    }
    if let Some((then, _)) = close {
        returns.extend(std::iter::repeat_n(
            0.0,
            usize::try_from(today.saturating_sub(then + 1)).unwrap_or(0),
        ));
    }
    returns
}

/// See [`FORMULAS`].
struct Ratios {
    sharpe: Option<f64>,
    sortino: Option<f64>,
    volatility: Option<f64>,
}

#[allow(clippy::float_arithmetic)]
fn ratios(returns: &[f64]) -> Ratios {
    let blank = Ratios {
        sharpe: None,
        sortino: None,
        volatility: None,
    };
    if (returns.len() as u64) < MIN_DAYS {
        return blank;
    }
    let count = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / count;
    let deviation = (returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let downside = (returns.iter().map(|r| r.min(0.0).powi(2)).sum::<f64>() / count).sqrt();
    let year = 365f64.sqrt();
    let over = |by: f64| (by > 0.0).then(|| mean / by * year);
    Ratios {
        sharpe: over(deviation),
        sortino: over(downside),
        volatility: Some(deviation * year),
    }
}

#[allow(clippy::float_arithmetic)]
fn ratio(a: Wad, b: Wad) -> f64 {
    a.0 as f64 / b.0 as f64
}

#[allow(clippy::float_arithmetic)]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[allow(clippy::float_arithmetic)]
fn quotient(profit: Usdc, loss: Usdc) -> Option<f64> {
    (loss.0 > 0).then(|| profit.0 as f64 / loss.0 as f64)
}

/// A ratio as an integer to order by, 1e-9.
#[must_use]
#[allow(clippy::float_arithmetic, clippy::cast_possible_truncation)]
pub fn rank(ratio: f64) -> i128 {
    (ratio * 1e9) as i128
}
