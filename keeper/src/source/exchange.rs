//! Masters who trade on an exchange: their account is followed over its streams and its REST, and each change of their
//! leverage becomes a signal that this keeper attests, on the same path as one that comes in at the door.
//!
//! What is copied is the state of the account, net over hedge positions, whoever caused it: a liquidation of the master
//! takes the followers out too, and says so in the log. A state is only copied while it is whole: from the moment the
//! stream is lost until a snapshot is in, nothing is attested, and after a minute of that an alarm is raised.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lockstep_contracts::units::Wad;
use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::follow::{Options, Told, View, follow};
use lockstep_exchanges::follow_public::{PublicAccount, PublicOptions, follow_public};
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{Cause, Decimal, Position, Text, Venue};
use lockstep_exchanges::protocol::{Endpoints, Environment};
use lockstep_exchanges::transport::socket::Settings;
use lockstep_exchanges::venues::{Generation, protocol_of};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::board::{MasterBoard, ReadBy};
use super::hand_in::{Gone, market_of, signal, wad};
use crate::engine::{Command, Seen, SignalRefused};
use crate::journal::sources::ExchangeState;
use crate::journal::{Journal, now_ms};
use crate::state::{MarketIndex, StrategyId};

/// A state is attested again after so long: the contract takes and follows a signal for 15 minutes.
const REPEAT: Duration = Duration::from_secs(5 * 60);
/// Without a trade, leverage moves with the price: attested when it is off by more than this share of what was attested.
const DRIFT_BPS: u32 = 200;
/// A trade older than this, milliseconds, was found by a snapshot: its state is attested as it is now. With the time of the
/// trade the contract might take it for too old, and followers would wait for the repetition.
const TRADE_AGE_MS: u64 = 60_000;
/// A state that has not been whole for so long is an alarm.
const ALARM: Duration = Duration::from_secs(60);
/// Pause before a signal that was not taken for the moment is handed in again.
const RETRY: Duration = Duration::from_secs(2);

/// Room for what is told of an account.
const ROOM: usize = 1_024;

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

/// What a follower of masters needs besides them.
#[derive(Clone)]
pub struct Context {
    /// To the loop.
    pub commands: mpsc::Sender<Command>,
    /// Where what was attested is kept.
    pub journal: Journal,
    /// Ends it.
    pub stop: CancellationToken,
}

/// A master and what is shown of it.
#[derive(Clone)]
pub struct Followed {
    /// Which.
    pub master: ExchangeMaster,
    /// What is shown.
    pub board: MasterBoard,
}

/// Follows one master over the account's own streams until told to stop.
///
/// # Errors
/// When it cannot be begun: a missing secret, no sockets.
pub async fn run(followed: Followed, context: Context) -> anyhow::Result<()> {
    let master = &followed.master;
    let options = master.options(followed.board.health.clone())?;
    let (tell, told) = mpsc::channel(ROOM);
    info!(strategy = master.strategy, venue = %master.venue, markets = master.markets.len(), "following a master on an exchange");
    let following = follow(options, tell, context.stop.clone());
    let attesting = attest(&followed, told, &context);
    let (ended, ()) = tokio::join!(following, attesting);
    ended.with_context(|| format!("master of strategy {} on {}", master.strategy, master.venue))
}

/// Follows several masters of a venue whose public trades name their users, by those trades and snapshots.
///
/// # Errors
/// When it cannot be begun: no sockets.
pub async fn run_public(all: Vec<Followed>, context: Context) -> anyhow::Result<()> {
    let Some(first) = all.first() else { return Ok(()) };
    let of_first = first.master.options(first.board.health.clone())?;
    let venue = first.master.venue;
    info!(%venue, masters = all.len(), "following masters by the public trades, which name them");
    let mut accounts = Vec::new();
    let mut attesting = JoinSet::new();
    for followed in &all {
        let (tell, told) = mpsc::channel(ROOM);
        accounts.push(PublicAccount {
            user: Text::new(&followed.master.key),
            instruments: followed.master.markets.values().cloned().collect(),
            told: tell,
        });
        let (followed, context) = (followed.clone(), context.clone());
        attesting.spawn(async move { attest(&followed, told, &context).await });
    }
    let every = all.iter().map(|followed| followed.master.snapshot_seconds).min();
    let options = PublicOptions {
        protocol: of_first.protocol,
        endpoints: of_first.endpoints,
        settings: of_first.settings,
        snapshot_every: Duration::from_secs(every.unwrap_or(1).max(1)),
        health: of_first.health,
        accounts,
    };
    let ended = follow_public(options, context.stop.clone()).await;
    attesting.join_all().await;
    ended.with_context(|| format!("masters on {venue}"))
}

/// Masters that are followed together.
#[derive(Clone)]
pub enum Group {
    /// By the streams of its account.
    Account(Box<Followed>),
    /// By the public trades.
    PublicTrades(Vec<Followed>),
}

impl Group {
    /// Those in it.
    #[must_use]
    pub fn all(&self) -> &[Followed] {
        match self {
            Self::Account(followed) => std::slice::from_ref(followed),
            Self::PublicTrades(all) => all,
        }
    }

    /// Follows them until told to stop. What cannot be begun is logged and shown.
    pub async fn run(self, context: Context) {
        let all = self.all().to_vec();
        let ended = match self {
            Self::Account(followed) => run(*followed, context).await,
            Self::PublicTrades(all) => run_public(all, context).await,
        };
        if let Err(error) = ended {
            for Followed { master, board } in all {
                error!(
                    strategy = master.strategy,
                    "a master on an exchange is not followed: {error:#}"
                );
                board.ended();
            }
        }
    }
}

/// Each master by the streams of its account, but those on Hyperliquid by the public trades where more than
/// `user_streams` of them are at one address: the venue lets nobody follow the streams of more users.
#[must_use]
pub fn arrange(masters: Vec<ExchangeMaster>, user_streams: usize) -> Vec<Group> {
    let followed = |master: ExchangeMaster, read_by, health| Followed {
        board: MasterBoard::new(master.strategy, master.venue, read_by, health),
        master,
    };
    let mut hyperliquid: BTreeMap<String, Vec<ExchangeMaster>> = BTreeMap::new();
    let mut groups = Vec::new();
    for master in masters {
        if master.venue == Venue::Hyperliquid {
            hyperliquid
                .entry(master.endpoints().rest)
                .or_default()
                .push(master);
            continue;
        }
        let health = Health::new(master.venue, Limits::default());
        groups.push(Group::Account(Box::new(followed(
            master,
            ReadBy::Account,
            health,
        ))));
    }
    for masters in hyperliquid.into_values() {
        let health = || Health::new(Venue::Hyperliquid, Limits::default());
        if masters.len() > user_streams {
            let shared = health();
            let all = masters
                .into_iter()
                .map(|master| followed(master, ReadBy::PublicTrades, shared.clone()));
            groups.push(Group::PublicTrades(all.collect()));
        } else {
            groups.extend(
                masters
                    .into_iter()
                    .map(|master| Group::Account(Box::new(followed(master, ReadBy::Account, health())))),
            );
        }
    }
    groups
}

/// What was attested last for a market.
#[derive(Debug, Clone, Copy)]
struct Attested {
    size: Decimal,
    leverage: Wad,
    at: Instant,
}

/// Turns views into signals.
async fn attest(followed: &Followed, mut told: mpsc::Receiver<Told>, context: &Context) {
    let master = &followed.master;
    let mut watched = Watched {
        followed,
        view: View::default(),
        uncertain_since: Instant::now(),
        alarmed: false,
    };
    let mut attested = attested_before(master.strategy, &context.journal).await;
    let mut ticks = tokio::time::interval(RETRY);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            _ = ticks.tick() => {}
            message = told.recv() => {
                let Some(message) = message else { return };
                if watched.hear(message).is_break() {
                    return;
                }
                // An order that is filled in parts says so in as many messages; the state after the last one counts.
                while let Ok(message) = told.try_recv() {
                    if watched.hear(message).is_break() {
                        return;
                    }
                }
            }
        }
        if watched.is_certain()
            && hand_in_news(master, &watched.view, &mut attested, context)
                .await
                .is_break()
        {
            return;
        }
    }
}

/// What was heard of a master.
struct Watched<'a> {
    followed: &'a Followed,
    view: View,
    uncertain_since: Instant,
    alarmed: bool,
}

impl Watched<'_> {
    /// Breaks when the master is not followed any more.
    fn hear(&mut self, message: Told) -> ControlFlow<()> {
        let Followed { master, board } = self.followed;
        match message {
            Told::View(new) => {
                if self.view.certain && !new.certain {
                    self.uncertain_since = Instant::now();
                }
                self.view = *new;
                board.set_certain(self.view.certain);
            }
            Told::Fill { fill, repaired } => {
                if fill.cause != Cause::User {
                    warn!(strategy = master.strategy, instrument = %fill.instrument, cause = ?fill.cause, size = %fill.size,
                        "the exchange traded for the master: the state is followed, but nobody wished it");
                }
                metrics::counter!("keeper_exchange_fills_total", "venue" => master.venue.name(),
                    "repaired" => if repaired { "true" } else { "false" })
                .increment(1);
            }
            Told::Disagreement(_) => {
                metrics::counter!("keeper_exchange_disagreements_total", "venue" => master.venue.name())
                    .increment(1);
            }
            Told::Ended(why) => {
                error!(strategy = master.strategy, venue = %master.venue, why, "the master is not followed any more");
                board.ended();
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether the state may be attested; an alarm when it has not been known for too long.
    fn is_certain(&mut self) -> bool {
        let master = &self.followed.master;
        if self.view.certain {
            self.alarmed = false;
        } else if !self.alarmed && self.uncertain_since.elapsed() > ALARM {
            self.alarmed = true;
            error!(strategy = master.strategy, venue = %master.venue, "the master's account has not been known for a minute: followers stay where they are");
        }
        self.view.certain
    }
}

/// Hands in every market whose state is news. Breaks when nobody takes anything any more.
async fn hand_in_news(
    master: &ExchangeMaster,
    view: &View,
    attested: &mut BTreeMap<String, Attested>,
    context: &Context,
) -> ControlFlow<()> {
    for (market, instrument) in &master.markets {
        let Some((size, leverage)) = state_of(view, instrument, &master.equity_asset) else {
            continue;
        };
        let last = attested.get(market.as_str()).copied();
        if !is_news(last, size, leverage) {
            continue;
        }
        let traded = last.is_none_or(|last| last.size != size);
        let observed_at = observed_at(view, traded);
        let state = ExchangeState {
            strategy: master.strategy,
            market: market.clone(),
            size,
            leverage,
            attested_at: now_ms(),
        };
        let mut handed = hand_in(&state, observed_at, &context.commands).await;
        if matches!(handed, Handed::Superseded) && observed_at < view.now_ms {
            // Drift was attested after this trade was made and before it was heard of. The state is whole, so it is true
            // now too; left at that, the trade would be forgotten until the next repetition.
            handed = hand_in(&state, view.now_ms, &context.commands).await;
        }
        match handed {
            Handed::Taken | Handed::Superseded => {
                attested.insert(
                    market.clone(),
                    Attested {
                        size,
                        leverage,
                        at: Instant::now(),
                    },
                );
            }
            // The next tick hands in what is true then.
            Handed::Later => break,
            Handed::Gone => return ControlFlow::Break(()),
        }
    }
    ControlFlow::Continue(())
}

/// Drift and repetition are observed now, and so is what was found long after it was done; a trade when it was made.
fn observed_at(view: &View, traded: bool) -> u64 {
    let oldest = view.now_ms.saturating_sub(TRADE_AGE_MS);
    if traded && view.changed_ms > oldest {
        view.changed_ms
    } else {
        view.now_ms
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

async fn hand_in(state: &ExchangeState, observed_at: u64, commands: &mpsc::Sender<Command>) -> Handed {
    let (strategy, leverage) = (state.strategy, state.leverage);
    let market = state.market.as_str();
    let index: MarketIndex = match market_of(strategy, market, commands).await {
        Ok(Some(index)) => index,
        Ok(None) => {
            warn!(
                strategy,
                market, "the strategy has no such market on the chain; asked again later"
            );
            return Handed::Later;
        }
        Err(Gone) => return Handed::Gone,
    };
    let seen = Seen {
        strategy,
        market: index,
        leverage,
        observed_at,
    };
    match signal(seen, Some(Box::new(state.clone())), commands).await {
        Ok(Ok(())) => {
            info!(strategy, market, %leverage, observed_at, "the master's state was attested");
            Handed::Taken
        }
        Ok(Err(SignalRefused::Superseded)) => Handed::Superseded,
        Ok(Err(refused)) => {
            warn!(strategy, market, %refused, "the master's state was not taken; tried again");
            Handed::Later
        }
        Err(Gone) => Handed::Gone,
    }
}

/// What an earlier life of the keeper attested. Without it a restart would attest again what the followers hold already.
async fn attested_before(strategy: StrategyId, journal: &Journal) -> BTreeMap<String, Attested> {
    let states = match journal.exchange_states(strategy).await {
        Ok(states) => states,
        Err(error) => {
            warn!(strategy, %error, "what was attested before cannot be read: the state is attested again");
            return BTreeMap::new();
        }
    };
    let now = Instant::now();
    let since = |state: &ExchangeState| {
        let age = u64::try_from(now_ms().saturating_sub(state.attested_at)).unwrap_or(0);
        // Older than this machine is up: it is attested again anyway.
        now.checked_sub(Duration::from_millis(age))
    };
    states
        .into_iter()
        .filter_map(|state| {
            let attested = Attested {
                size: state.size,
                leverage: state.leverage,
                at: since(&state)?,
            };
            Some((state.market, attested))
        })
        .collect()
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
    fn a_trade_is_observed_when_it_was_made_unless_it_was_found_long_afterwards() {
        let at = |changed_ms, traded| {
            let view = View {
                changed_ms,
                now_ms: 1_000_000,
                ..View::default()
            };
            observed_at(&view, traded)
        };
        assert_eq!(at(999_000, true), 999_000);
        assert_eq!(at(999_000, false), 1_000_000);
        assert_eq!(at(940_000, true), 1_000_000);
        assert_eq!(at(0, true), 1_000_000);
    }

    fn master(strategy: StrategyId, venue: &str, rest: &str) -> ExchangeMaster {
        let endpoints = Endpoints::local(rest, "", "", "");
        serde_json::from_value(serde_json::json!({
            "strategy": strategy, "venue": venue, "key": format!("0x{strategy:040x}"), "endpoints": endpoints,
            "markets": { "ETH-USD": "ETH" },
        }))
        .unwrap()
    }

    fn read_by(groups: &[Group]) -> Vec<(StrategyId, ReadBy)> {
        let mut all: Vec<_> = groups
            .iter()
            .flat_map(Group::all)
            .map(|followed| (followed.master.strategy, followed.board.read_by))
            .collect();
        all.sort_by_key(|(strategy, _)| *strategy);
        all
    }

    #[test]
    fn more_hyperliquid_masters_than_one_address_may_follow_are_read_from_the_public_trades() {
        use ReadBy::{Account, PublicTrades};
        let here = |strategy| master(strategy, "hyperliquid", "http://here");
        let two = vec![here(1), here(2), master(3, "okx", "http://here")];
        assert_eq!(
            read_by(&arrange(two.clone(), 2)),
            [(1, Account), (2, Account), (3, Account)]
        );
        let mut three = two;
        three.push(here(4));
        three.push(master(5, "hyperliquid", "http://there"));
        let groups = arrange(three, 2);
        assert_eq!(groups.len(), 3);
        assert_eq!(
            read_by(&groups),
            [
                (1, PublicTrades),
                (2, PublicTrades),
                (3, Account),
                (4, PublicTrades),
                (5, Account)
            ]
        );
    }
}
