//! Masters who trade on an exchange: their account is followed over its streams and its REST, and each change of their
//! leverage becomes a signal that this keeper attests, on the same path as one that comes in at the door.
//!
//! What is copied is the state of the account, net over hedge positions, whoever caused it: a liquidation of the master
//! takes the followers out too, and says so in the log. A state is only copied while it is whole: from the moment the
//! stream is lost until a snapshot is in, nothing is attested, and after a minute of that an alarm is raised.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::I256;
use anyhow::Context as _;
use lockstep_contracts::units::Wad;
use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::follow::{Options, Told, View, follow};
use lockstep_exchanges::model::{Cause, Decimal, Position, Text, Venue};
use lockstep_exchanges::protocol::{Endpoints, Environment};
use lockstep_exchanges::transport::socket::Settings;
use lockstep_exchanges::venues::{Generation, protocol_of};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::engine::{Command, Seen, SignalRefused};
use crate::state::{MarketIndex, StrategyId};

/// A state is attested again after so long: the contract takes and follows a signal for 15 minutes.
const REPEAT: Duration = Duration::from_secs(5 * 60);
/// Without a trade, leverage moves with the price: attested when it is off by more than this share of what was attested.
const DRIFT_BPS: u32 = 200;
/// A state that has not been whole for so long is an alarm.
const ALARM: Duration = Duration::from_secs(60);
/// Pause before a signal that was not taken for the moment is handed in again.
const RETRY: Duration = Duration::from_secs(2);

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
    /// Seconds between snapshots that check the stream.
    #[serde(default = "snapshot_seconds")]
    pub snapshot_seconds: u64,
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
    /// What the exchange's client needs.
    ///
    /// # Errors
    /// When the secret is missing or its file cannot be read.
    pub fn options(&self) -> anyhow::Result<Options> {
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
            endpoints: self
                .endpoints
                .clone()
                .unwrap_or_else(|| protocol.endpoints(self.environment)),
            protocol: Arc::from(protocol),
            credentials: Credentials::new(self.key.clone(), secret.unwrap_or_default(), passphrase),
            marks: self.markets.values().cloned().collect(),
            snapshot_every: Duration::from_secs(self.snapshot_seconds.max(1)),
            settings: Settings::default(),
        })
    }
}

/// Follows one master until `stop`.
///
/// # Errors
/// When it cannot be begun: a missing secret, no sockets.
pub async fn run(
    master: ExchangeMaster,
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let options = master.options()?;
    let (tell, told) = mpsc::channel(1_024);
    info!(strategy = master.strategy, venue = %master.venue, markets = master.markets.len(), "following a master on an exchange");
    let following = follow(options, tell, stop.clone());
    let attesting = attest(&master, told, &commands, &stop);
    let (followed, ()) = tokio::join!(following, attesting);
    followed.with_context(|| format!("master of strategy {} on {}", master.strategy, master.venue))
}

/// What was attested last for a market.
#[derive(Debug, Clone, Copy)]
struct Attested {
    size: Decimal,
    leverage: Wad,
    at: Instant,
}

/// Turns views into signals.
async fn attest(
    master: &ExchangeMaster,
    mut told: mpsc::Receiver<Told>,
    commands: &mpsc::Sender<Command>,
    stop: &CancellationToken,
) {
    let mut attested: BTreeMap<&str, Attested> = BTreeMap::new();
    let mut view = View::default();
    let mut uncertain_since = Instant::now();
    let mut alarmed = false;
    let mut ticks = tokio::time::interval(RETRY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            message = told.recv() => match message {
                Some(Told::View(new)) => {
                    if view.certain && !new.certain {
                        uncertain_since = Instant::now();
                    }
                    view = *new;
                }
                Some(Told::Fill { fill, repaired }) => {
                    if fill.cause != Cause::User {
                        warn!(strategy = master.strategy, instrument = %fill.instrument, cause = ?fill.cause, size = %fill.size,
                            "the exchange traded for the master: the state is followed, but nobody wished it");
                    }
                    metrics::counter!("keeper_exchange_fills_total", "venue" => master.venue.name(),
                        "repaired" => if repaired { "true" } else { "false" }).increment(1);
                    continue;
                }
                Some(Told::Disagreement(_)) => {
                    metrics::counter!("keeper_exchange_disagreements_total", "venue" => master.venue.name()).increment(1);
                    continue;
                }
                Some(Told::Ended(why)) => {
                    error!(strategy = master.strategy, venue = %master.venue, why, "the master is not followed any more");
                    return;
                }
                None => return,
            },
        }
        if !view.certain {
            if !alarmed && uncertain_since.elapsed() > ALARM {
                alarmed = true;
                error!(strategy = master.strategy, venue = %master.venue, "the master's account has not been known for a minute: followers stay where they are");
            }
            continue;
        }
        alarmed = false;
        for (market, instrument) in &master.markets {
            let Some((size, leverage)) = state_of(&view, instrument, &master.equity_asset) else {
                continue;
            };
            let last = attested.get(market.as_str()).copied();
            if !is_news(last, size, leverage) {
                continue;
            }
            // Drift and repetition are observed now; a trade when it was made.
            let traded = last.is_none_or(|last| last.size != size);
            let observed_at = if traded && view.changed_ms > 0 {
                view.changed_ms
            } else {
                view.now_ms
            };
            match hand_in(master.strategy, market, leverage, observed_at, commands).await {
                Handed::Taken | Handed::Superseded => {
                    attested.insert(
                        market,
                        Attested {
                            size,
                            leverage,
                            at: Instant::now(),
                        },
                    );
                }
                // The next tick hands in what is true then.
                Handed::Later => break,
                Handed::Gone => return,
            }
        }
    }
}

fn is_news(last: Option<Attested>, size: Decimal, leverage: Wad) -> bool {
    let Some(last) = last else {
        return true;
    };
    if last.size != size || last.at.elapsed() >= REPEAT {
        return true;
    }
    let off = last.leverage.0.abs_diff(leverage.0);
    off.saturating_mul(10_000)
        > last
            .leverage
            .0
            .unsigned_abs()
            .saturating_mul(u128::from(DRIFT_BPS))
}

enum Handed {
    Taken,
    Superseded,
    Later,
    Gone,
}

async fn hand_in(
    strategy: StrategyId,
    market: &str,
    leverage: Wad,
    observed_at: u64,
    commands: &mpsc::Sender<Command>,
) -> Handed {
    let (answer, found) = oneshot::channel();
    let question = Command::MarketOf {
        strategy,
        symbol: market.to_owned(),
        answer,
    };
    if commands.send(question).await.is_err() {
        return Handed::Gone;
    }
    let index: MarketIndex = match found.await {
        Ok(Some(index)) => index,
        Ok(None) => {
            warn!(
                strategy,
                market, "the strategy has no such market on the chain; asked again later"
            );
            return Handed::Later;
        }
        Err(_) => return Handed::Gone,
    };
    let (answer, taken) = oneshot::channel();
    let seen = Seen {
        strategy,
        market: index,
        leverage,
        observed_at,
    };
    if commands.send(Command::Signal { seen, answer }).await.is_err() {
        return Handed::Gone;
    }
    match taken.await {
        Ok(Ok(())) => {
            info!(strategy, market, %leverage, observed_at, "the master's state was attested");
            Handed::Taken
        }
        Ok(Err(SignalRefused::Superseded)) => Handed::Superseded,
        Ok(Err(refused)) => {
            warn!(strategy, market, %refused, "the master's state was not taken; tried again");
            Handed::Later
        }
        Err(_) => Handed::Gone,
    }
}

/// Net size in an instrument and its leverage: notional at the mark price over equity, both signs, cut towards zero. None
/// while a price or the balance that it needs is not known.
fn state_of(view: &View, instrument: &Text, asset: &Text) -> Option<(Decimal, Wad)> {
    let of = |position: &&Position| position.instrument == *instrument;
    let size: Decimal = view
        .positions
        .iter()
        .filter(of)
        .map(|position| position.size)
        .sum();
    if size.is_zero() {
        return Some((size, Wad(0)));
    }
    let equity = equity(view, asset)?;
    if equity <= Decimal::ZERO {
        // Owing more than they have: there is nothing to follow.
        return Some((size, Wad(0)));
    }
    let leverage = size.checked_mul(mark(view, instrument)?)?.checked_div(equity)?;
    Some((size, wad(leverage)?))
}

fn mark(view: &View, instrument: &Text) -> Option<Decimal> {
    view.marks.get(instrument).copied().or_else(|| {
        let position = view
            .positions
            .iter()
            .find(|position| position.instrument == *instrument)?;
        position.mark_price.or(position.entry_price)
    })
}

/// Wallet and unrealised profit at the newest prices, where the prices are known; the venue's own figure otherwise.
fn equity(view: &View, asset: &Text) -> Option<Decimal> {
    let balance = view.balances.iter().find(|balance| balance.asset == *asset)?;
    let profit: Option<Decimal> = view
        .positions
        .iter()
        .map(|position| {
            let entry = position.entry_price?;
            let change = view.marks.get(&position.instrument)?.checked_sub(entry)?;
            position.size.checked_mul(change)
        })
        .sum();
    match profit {
        Some(profit) => balance.wallet.checked_add(profit),
        None => Some(balance.equity.unwrap_or(balance.wallet)),
    }
}

/// In 1e-18, cut towards zero; none beyond what the contract holds.
fn wad(value: Decimal) -> Option<Wad> {
    let scaled = value.trunc_with_scale(18);
    let missing = 18_u32.checked_sub(scaled.scale())?;
    let mantissa = I256::try_from(scaled.mantissa()).ok()?;
    let factor = I256::try_from(10_u64.checked_pow(missing)?).ok()?;
    Wad::try_from_i256(mantissa.checked_mul(factor)?).ok()
}

#[cfg(test)]
mod tests {
    use lockstep_exchanges::model::{Balance, PositionSide};

    use super::*;

    const ONE: i128 = 1_000_000_000_000_000_000;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn position(side: PositionSide, size: &str, entry: &str) -> Position {
        Position {
            instrument: "ETHUSDT".into(),
            position_side: side,
            size: decimal(size),
            entry_price: Some(decimal(entry)),
            mark_price: None,
            unrealised_profit: None,
            leverage: None,
            margin_mode: None,
            liquidation_price: None,
            time_ms: 1,
        }
    }

    fn view(wallet: &str, positions: Vec<Position>, mark: &str) -> View {
        View {
            certain: true,
            balances: vec![Balance {
                asset: "USDT".into(),
                wallet: decimal(wallet),
                equity: None,
                available: None,
                time_ms: 1,
            }],
            positions,
            orders: Vec::new(),
            marks: [("ETHUSDT".into(), decimal(mark))].into(),
            changed_ms: 1,
            now_ms: 1,
        }
    }

    fn leverage(view: &View) -> Option<i128> {
        state_of(view, &"ETHUSDT".into(), &"USDT".into()).map(|(_, leverage)| leverage.0)
    }

    #[test]
    fn leverage_is_notional_at_the_mark_over_equity_with_its_profit() {
        let long = view("1000", vec![position(PositionSide::Net, "1", "2000")], "2500");
        // 2500 over 1000 + 500.
        assert_eq!(leverage(&long), Some(1_666_666_666_666_666_666));
        let short = view("1000", vec![position(PositionSide::Net, "-0.5", "2000")], "2000");
        assert_eq!(leverage(&short), Some(-ONE));
        assert_eq!(leverage(&view("1000", vec![], "2000")), Some(0));
    }

    #[test]
    fn hedge_positions_count_net() {
        let both = vec![
            position(PositionSide::Long, "1.5", "2000"),
            position(PositionSide::Short, "-0.5", "2000"),
        ];
        assert_eq!(leverage(&view("2000", both, "2000")), Some(ONE));
    }

    #[test]
    fn without_a_balance_nothing_is_known_and_a_ruined_master_is_followed_nowhere() {
        let mut unknown = view("1000", vec![position(PositionSide::Net, "1", "2000")], "2000");
        unknown.balances.clear();
        assert_eq!(leverage(&unknown), None);
        let ruined = view("100", vec![position(PositionSide::Net, "1", "2000")], "1000");
        assert_eq!(leverage(&ruined), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trade_is_news_at_once_and_drift_only_when_it_matters() {
        let last = Attested {
            size: decimal("1"),
            leverage: Wad(ONE),
            at: Instant::now(),
        };
        assert!(is_news(None, decimal("1"), Wad(ONE)));
        assert!(is_news(Some(last), decimal("1.001"), Wad(ONE)));
        assert!(!is_news(Some(last), decimal("1"), Wad(ONE + ONE / 100)));
        assert!(is_news(Some(last), decimal("1"), Wad(ONE + ONE / 40)));
        tokio::time::advance(REPEAT).await;
        assert!(is_news(Some(last), decimal("1"), Wad(ONE)));
    }

    #[test]
    fn leverage_is_cut_towards_zero() {
        assert_eq!(wad(decimal("1.9999999999999999999")), Some(Wad(2 * ONE - 1)));
        assert_eq!(wad(decimal("-1.9999999999999999999")), Some(Wad(1 - 2 * ONE)));
        assert_eq!(wad(decimal("3")), Some(Wad(3 * ONE)));
    }
}
