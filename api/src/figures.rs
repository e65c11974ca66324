//! Figures with their formula, window and number of samples.
//!
//! Ratios without a unit (Sharpe, win rate, a yearly rate) are computed in floating point; money never is.
#![allow(clippy::float_arithmetic)]

use alloy::primitives::U256;
use lockstep_contracts::units;
use lockstep_indexer::derive::statistics::FORMULAS;
use lockstep_indexer::model::{self, Figure};

use crate::dto::account::{FollowerResult, ResultGap};
use crate::dto::scalar::{NavIndex, Timestamp};
use crate::dto::statistic::{DrawdownPlace, Statistic, Unit, Window, WindowName};
use crate::dto::strategy::StrategyStatistics;

/// Fewest daily returns from which a deviation means anything.
const MIN_DAILY_RETURNS: u64 = 30;

/// Youngest account, in seconds, whose return is worth a year's rate.
const MIN_RATE_AGE: u64 = 7 * 86_400;

const SECONDS_PER_YEAR: f64 = 365.0 * 86_400.0;

impl From<WindowName> for model::Window {
    fn from(name: WindowName) -> Self {
        match name {
            WindowName::Days7 => Self::Days7,
            WindowName::Days30 => Self::Days30,
            WindowName::Days90 => Self::Days90,
            WindowName::Days365 => Self::Days365,
            WindowName::All => Self::All,
        }
    }
}

impl From<model::Window> for WindowName {
    fn from(window: model::Window) -> Self {
        match window {
            model::Window::Days7 => Self::Days7,
            model::Window::Days30 => Self::Days30,
            model::Window::Days90 => Self::Days90,
            model::Window::Days365 => Self::Days365,
            model::Window::All => Self::All,
        }
    }
}

/// The formula the indexer publishes for a figure.
fn formula(name: &str) -> String {
    FORMULAS
        .iter()
        .find(|(figure, _)| *figure == name)
        .map_or_else(String::new, |(_, formula)| (*formula).to_owned())
}

/// A ratio as text; what is no number is blank.
fn ratio_text(value: f64) -> Option<String> {
    value.is_finite().then(|| format!("{value:.8}"))
}

/// Builds the statistics of one strategy.
struct Builder {
    window: Window,
}

impl Builder {
    fn statistic<T>(
        &self,
        name: &str,
        unit: Unit,
        kind: &str,
        figure: &Figure<T>,
        text: impl FnOnce(&T) -> Option<String>,
        blank: impl FnOnce(u64) -> String,
    ) -> Statistic {
        let value = figure.value.as_ref().and_then(text);
        Statistic {
            blank: value.is_none().then(|| blank(figure.samples)),
            value,
            unit,
            formula: formula(name),
            window: self.window,
            samples: figure.samples,
            sample_kind: kind.to_owned(),
        }
    }

    fn daily(&self, name: &str, figure: &Figure<f64>) -> Statistic {
        self.statistic(
            name,
            Unit::Number,
            "daily UTC returns",
            figure,
            |v| ratio_text(*v),
            |samples| {
                if samples < MIN_DAILY_RETURNS {
                    format!("fewer than {MIN_DAILY_RETURNS} daily UTC returns")
                } else {
                    "nothing to divide by: the returns have no such deviation".to_owned()
                }
            },
        )
    }

    fn money(&self, name: &str, kind: &str, figure: &Figure<units::Usdc>) -> Statistic {
        self.statistic(
            name,
            Unit::Usdc,
            kind,
            figure,
            |v| Some(v.to_string()),
            |_| format!("no {kind}"),
        )
    }

    fn delay(&self, name: &str, figure: &Figure<i64>) -> Statistic {
        self.statistic(
            name,
            Unit::Ms,
            "batches",
            figure,
            |v| Some(v.to_string()),
            |_| "no batches".to_owned(),
        )
    }
}

/// The figures of a strategy as they travel.
#[must_use]
pub fn strategy(statistics: &model::Statistics) -> StrategyStatistics {
    let window = Window {
        name: statistics.window.into(),
        from: Timestamp::from_seconds(statistics.from),
        to: Timestamp::from_seconds(statistics.to),
    };
    let build = Builder { window };
    let s = statistics;
    StrategyStatistics {
        window,
        total_return: build.statistic(
            "totalReturn",
            Unit::Ratio,
            "NAV points",
            &s.total_return,
            |v| Some(v.to_string()),
            |_| "no NAV points".to_owned(),
        ),
        max_drawdown: build.statistic(
            "maxDrawdown",
            Unit::Ratio,
            "NAV points",
            &s.max_drawdown,
            |v| Some(v.depth.to_string()),
            |_| "no NAV points".to_owned(),
        ),
        drawdown_place: s.max_drawdown.value.as_ref().map(|drawdown| DrawdownPlace {
            peak: NavIndex(drawdown.peak),
            peak_time: Timestamp::from_seconds(drawdown.peak_time),
            trough: NavIndex(drawdown.trough),
            trough_time: Timestamp::from_seconds(drawdown.trough_time),
        }),
        sharpe: build.daily("sharpe", &s.sharpe),
        sortino: build.daily("sortino", &s.sortino),
        volatility: Statistic {
            unit: Unit::Ratio,
            ..build.daily("volatility", &s.volatility)
        },
        win_rate: build.statistic(
            "winRate",
            Unit::Ratio,
            "closed positions",
            &s.win_rate,
            |v| ratio_text(*v),
            |_| "no closed positions".to_owned(),
        ),
        profit_factor: build.statistic(
            "profitFactor",
            Unit::Number,
            "closed positions",
            &s.profit_factor,
            |v| ratio_text(*v),
            |samples| match samples {
                0 => "no closed positions".to_owned(),
                _ => "none: nothing was lost".to_owned(),
            },
        ),
        realised: build.money("realised", "closed positions", &s.realised),
        volume: build.money("volume", "fills", &s.volume),
        fees: build.money("fees", "fills", &s.fees),
        performance_fees: build.money("performanceFees", "charges", &s.performance_fees),
        slippage: build.statistic(
            "slippageBps",
            Unit::Bps,
            "fills",
            &s.slippage_bps,
            |v| Some(v.to_string()),
            |_| "no fills".to_owned(),
        ),
        delay: build.delay("delayMs", &s.delay_ms),
        max_delay: build.delay("maxDelayMs", &s.max_delay_ms),
        moved_share: build.statistic(
            "movedShare",
            Unit::Ratio,
            "batch lines",
            &s.moved_share,
            |v| ratio_text(*v),
            |_| "no batches".to_owned(),
        ),
    }
}

/// Money in (+) or out (−) of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Unix seconds.
    pub time: u64,
    /// Deposits positive, withdrawals negative.
    pub amount: units::Usdc,
}

/// `last ÷ first − 1` of two NAV indices, rounded down at 1e-18.
#[must_use]
pub fn growth(first: units::Wad, last: units::Wad) -> Option<units::Wad> {
    let wad = U256::from(1_000_000_000_000_000_000u64);
    let first = U256::try_from(first.0).ok().filter(|first| !first.is_zero())?;
    let last = U256::try_from(last.0).ok()?;
    let ratio = units::Wad::try_from_u256(last.checked_mul(wad)?.checked_div(first)?).ok()?;
    ratio.checked_sub(units::Wad(1_000_000_000_000_000_000))
}

/// What following has come to. `nav` holds the strategy's index when the account was opened and now; `now` is the time
/// of the newest block.
#[must_use]
pub fn follower(
    account: &model::Account,
    flows: &[Flow],
    nav: Option<(units::Wad, units::Wad, u64)>,
    now: u64,
) -> FollowerResult {
    let window = Window {
        name: WindowName::All,
        from: Timestamp::from_seconds(account.opened_at),
        to: Timestamp::from_seconds(now),
    };
    let statistic =
        |unit, formula: &str, kind: &str, samples, value: Option<String>, blank: &str| Statistic {
            blank: value.is_none().then(|| blank.to_owned()),
            value,
            unit,
            formula: formula.to_owned(),
            window,
            samples,
            sample_kind: kind.to_owned(),
        };
    let flow_count = u64::try_from(flows.len()).unwrap_or(u64::MAX);
    let profit = account
        .equity
        .and_then(|equity| equity.checked_sub(account.net_deposits));
    let no_price = "a market of this account has no price yet";
    let (rate, rate_blank) = match account.equity {
        None => (None, no_price),
        Some(_) if now.saturating_sub(account.opened_at) < MIN_RATE_AGE => (
            None,
            "the account is younger than 7 days, too short for a year's rate",
        ),
        Some(equity) => (xirr(flows, equity, now), "no rate satisfies these flows"),
    };
    let strategy_return = nav.and_then(|(first, last, _)| growth(first, last));
    let all_fees = account.fees.checked_add(account.performance_fees);
    FollowerResult {
        profit: statistic(
            Unit::Usdc,
            "equity + withdrawals − deposits, after all fees",
            "deposits and withdrawals",
            flow_count,
            profit.map(|v| v.to_string()),
            no_price,
        ),
        money_weighted_return: statistic(
            Unit::Ratio,
            "rate r for which Σ flow ÷ (1 + r)^(days ÷ 365) = 0 over deposits, withdrawals and the equity now (XIRR)",
            "deposits and withdrawals",
            flow_count,
            rate.and_then(ratio_text),
            rate_blank,
        ),
        strategy_return: statistic(
            Unit::Ratio,
            "last NAV index ÷ NAV index at the first point since the account was opened − 1",
            "NAV points",
            nav.map_or(0, |(_, _, samples)| samples),
            strategy_return.map(|v| v.to_string()),
            "no NAV points since the account was opened",
        ),
        win_rate: statistic(
            Unit::Ratio,
            "closed positions with a profit after fees and funding ÷ all closed positions of this account",
            "closed positions",
            account.closed.count,
            share(account.closed.wins, account.closed.count),
            "no closed positions",
        ),
        gap: ResultGap {
            latency: statistic(
                Unit::Usdc,
                "Σ size × (index price at the batch − price of the master's own trade)",
                "fills",
                0,
                None,
                "not measured: the price of the master's own trade is not on the chain",
            ),
            slippage: statistic(
                Unit::Usdc,
                "Σ |size| × distance of the fill price from the index price, against the follower",
                "fills",
                account.fills,
                Some(account.slippage_cost.to_string()),
                "",
            ),
            fees: statistic(
                Unit::Usdc,
                "copy fees + venue fees + performance fees",
                "fills",
                account.fills,
                all_fees.map(|v| v.to_string()),
                "out of range",
            ),
            bounds: statistic(
                Unit::Usdc,
                "Σ (target of the signal − size after the batch) × later price move",
                "batch lines",
                0,
                None,
                "not measured: capped and skipped lines are listed with their reason, but not valued",
            ),
        },
    }
}

/// `part ÷ whole` with 8 decimals, rounded down.
fn share(part: u64, whole: u64) -> Option<String> {
    const SCALE: u128 = 100_000_000;
    let scaled = u128::from(part)
        .checked_mul(SCALE)?
        .checked_div(u128::from(whole))?;
    Some(format!("{}.{:08}", scaled / SCALE, scaled % SCALE))
}

/// Yearly money-weighted rate of return, by bisection: it cannot run away where Newton's method does.
fn xirr(flows: &[Flow], equity: units::Usdc, now: u64) -> Option<f64> {
    let first = flows.first()?.time;
    let years = |time: u64| -> f64 {
        // Times are below 2^53 seconds.
        #[allow(clippy::cast_precision_loss)]
        let seconds = time.saturating_sub(first) as f64;
        seconds / SECONDS_PER_YEAR
    };
    let usdc = |amount: units::Usdc| -> f64 {
        // A rate needs no more digits of an amount than a double has.
        #[allow(clippy::cast_precision_loss)]
        let micro = amount.0 as f64;
        micro
    };
    let value = |rate: f64| -> f64 {
        let discounted = |time: u64, amount: f64| -> f64 { amount / (1.0 + rate).powf(years(time)) };
        flows
            .iter()
            .map(|flow| discounted(flow.time, -usdc(flow.amount)))
            .sum::<f64>()
            + discounted(now, usdc(equity))
    };
    let (mut low, mut high) = (-0.999_999, 1.0);
    while value(high) > 0.0 {
        high *= 4.0;
        if high > 1e9 {
            return None;
        }
    }
    if value(low) < 0.0 {
        return None;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if value(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(f64::midpoint(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn flow(day: u64, usdc: i128) -> Flow {
        Flow {
            time: day * DAY,
            amount: units::Usdc(usdc * 1_000_000),
        }
    }

    #[test]
    fn every_figure_has_a_formula() {
        for name in [
            "totalReturn",
            "maxDrawdown",
            "sharpe",
            "sortino",
            "volatility",
            "winRate",
            "profitFactor",
            "realised",
            "volume",
            "fees",
            "performanceFees",
            "slippageBps",
            "delayMs",
            "maxDelayMs",
            "movedShare",
        ] {
            assert!(!formula(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn ten_percent_in_a_year_is_ten_percent() {
        let rate = xirr(&[flow(0, 1_000)], units::Usdc(1_100_000_000), 365 * DAY).unwrap();
        assert!((rate - 0.1).abs() < 1e-9, "{rate}");
    }

    #[test]
    fn agrees_with_the_spreadsheet_on_uneven_flows() {
        // The example of Excel's XIRR: −10000, 2750, 4250, 3250, 2750 on 1-Jan-08, 1-Mar-08, 30-Oct-08, 15-Feb-09,
        // 1-Apr-09 give 0.373362535.
        let flows = [
            flow(0, 10_000),
            flow(60, -2_750),
            flow(303, -4_250),
            flow(411, -3_250),
        ];
        let rate = xirr(&flows, units::Usdc(2_750_000_000), 456 * DAY).unwrap();
        assert!((rate - 0.373_362_535).abs() < 1e-7, "{rate}");
    }

    #[test]
    fn a_total_loss_has_no_rate_above_minus_one() {
        assert!(xirr(&[flow(0, 1_000)], units::Usdc(0), 100 * DAY).is_none_or(|rate| rate <= -0.999));
        assert_eq!(xirr(&[], units::Usdc(1), DAY), None);
    }

    #[test]
    fn growth_is_exact() {
        let wad = |text: &str| text.parse::<units::Wad>().unwrap();
        assert_eq!(growth(wad("1.0"), wad("1.25")), Some(wad("0.25")));
        assert_eq!(growth(wad("2.0"), wad("1.0")), Some(wad("-0.5")));
        assert_eq!(growth(wad("0.0"), wad("1.0")), None);
    }

    #[test]
    fn shares_are_exact_and_blank_without_samples() {
        assert_eq!(share(1, 3).as_deref(), Some("0.33333333"));
        assert_eq!(share(3, 3).as_deref(), Some("1.00000000"));
        assert_eq!(share(0, 0), None);
    }
}
