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

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;

    /// NAV of day `i`, the same as in the script that made the expected figures with empyrical 0.7.1.
    fn navs(days: u64) -> Vec<i128> {
        let mut navs = vec![WAD];
        for i in 0..i128::from(days) {
            let drift = (i * 7_919 + 13) % 2_001 - 980;
            let last = navs[navs.len() - 1];
            navs.push(last + last / 100_000 * drift);
        }
        navs
    }

    fn day(day: u64, nav: i128) -> (u64, NavBucket) {
        let point = BucketPoint {
            index: day,
            time: day * DAY + 7,
            nav: Wad(nav),
        };
        (day, nav::extend(None, point).unwrap())
    }

    fn close(figure: Option<f64>, expected: f64) {
        let value = figure.unwrap();
        assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
    }

    #[test]
    fn figures_agree_with_empyrical() {
        let days: Vec<_> = (19_000u64..)
            .zip(navs(120))
            .map(|(number, nav)| day(number, nav))
            .collect();
        let now = (19_000 + 121) * DAY + 3;
        let found = compute(Window::All, now, None, &days, &[]).unwrap();
        assert_eq!((found.sharpe.samples, found.total_return.samples), (120, 121));
        close(found.sharpe.value, 0.924_878_372_716_462_6);
        close(found.sortino.value, 1.368_964_495_354_022_3);
        close(found.volatility.value, 0.112_572_910_202_448_33);
        assert_eq!(found.total_return.value, Some(Wad(32_683_083_596_776_132)));
        let depth = found.max_drawdown.value.unwrap().depth;
        close(Some(ratio(depth, Wad(WAD))), 0.057_574_290_082_055_016);
    }

    #[test]
    fn ratios_are_blank_under_thirty_days_and_today_is_left_out() {
        let days: Vec<_> = (100u64..)
            .zip(navs(30))
            .map(|(number, nav)| day(number, nav))
            .collect();
        // 31 closes are 30 returns, but the last day is not over.
        let during = compute(Window::All, 130 * DAY + 60, None, &days, &[]).unwrap();
        assert_eq!((during.sharpe.value, during.sharpe.samples), (None, 29));
        let after = compute(Window::All, 131 * DAY, None, &days, &[]).unwrap();
        assert_eq!(after.sharpe.samples, 30);
        assert!(after.sharpe.value.is_some());
    }

    #[test]
    fn a_day_without_a_point_has_the_close_before_it() {
        let days = [day(10, WAD), day(13, 2 * WAD)];
        let returns = daily_returns(None, &days, 16);
        assert_eq!(returns, [0.0, 0.0, 1.0, 0.0, 0.0]);
        let before = BucketPoint {
            index: 0,
            time: 8 * DAY,
            nav: Wad(WAD),
        };
        assert_eq!(
            daily_returns(Some(before), &days[1..], 14),
            [0.0, 0.0, 0.0, 0.0, 1.0]
        );
    }

    #[test]
    fn a_window_starts_from_the_close_before_it() {
        let days: Vec<_> = [day(20, 150), day(21, 120)].to_vec();
        let before = BucketPoint {
            index: 0,
            time: 5 * DAY,
            nav: Wad(200),
        };
        let found = compute(Window::Days7, 22 * DAY, Some(before), &days, &[]).unwrap();
        assert_eq!(found.from, 16 * DAY);
        assert_eq!(found.total_return.value, Some(Wad(-WAD * 40 / 100)));
        assert_eq!(
            found.max_drawdown.value.map(|fall| fall.depth),
            Some(Wad(WAD * 40 / 100))
        );
        assert_eq!(found.total_return.samples, 2);
    }

    #[test]
    fn trades_are_added_up_and_blanks_stay_blank() {
        let empty = compute(Window::All, 5 * DAY, None, &[], &[]).unwrap();
        assert_eq!(
            (
                empty.win_rate.value,
                empty.profit_factor.value,
                empty.delay_ms.value
            ),
            (None, None, None)
        );
        assert_eq!((empty.total_return.value, empty.slippage_bps.value), (None, None));
        let mut tally = Tally {
            batches: 4,
            delay_ms: 1_002,
            max_delay_ms: Some(700),
            named: 10,
            moved: 5,
            batch_volume: Usdc(1_000_000_000),
            slippage_cost: Usdc(500_000),
            ..Tally::default()
        };
        tally.closed.count = 4;
        tally.closed.wins = 3;
        tally.closed.profit = Usdc(900);
        let found = compute(Window::All, 5 * DAY, None, &[], std::slice::from_ref(&tally)).unwrap();
        assert_eq!(
            (found.win_rate.value, found.profit_factor.value),
            (Some(0.75), None),
            "nothing was lost"
        );
        assert_eq!(
            (found.delay_ms.value, found.max_delay_ms.value),
            (Some(250), Some(700))
        );
        assert_eq!(found.slippage_bps.value, Some(Wad(5 * WAD)));
        assert_eq!(found.moved_share.value, Some(0.5));
        tally.closed.loss = Usdc(300);
        let found = compute(Window::All, 5 * DAY, None, &[], &[tally]).unwrap();
        assert_eq!(
            (found.profit_factor.value, found.realised.value),
            (Some(3.0), Some(Usdc(600)))
        );
    }
}
