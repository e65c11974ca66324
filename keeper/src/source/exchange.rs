//! Masters who trade on an exchange: their account is followed over its streams and its REST, and each change of their
//! leverage becomes a signal that this keeper attests, on the same path as one that comes in at the door.
//!
//! What is copied is the state of the account, net over hedge positions, whoever caused it: a liquidation of the master
//! takes the followers out too, and says so in the log, unless the master is configured to be held then
//! ([`ForcedTrades`]). A state is only copied while it is whole: from the moment the
//! stream is lost until a snapshot is in, nothing is attested, and after a minute of that an alarm is raised.

mod account;
mod master;
mod watched;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context as _;
use lockstep_contracts::units::Wad;
use lockstep_exchanges::follow::{Told, View, follow};
use lockstep_exchanges::follow_public::{PublicAccount, PublicOptions, follow_public};
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{Decimal, Text, Venue};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use account::state_of;
pub use master::{ExchangeMaster, ForcedTrades};
use watched::Watched;

use super::board::{MasterBoard, ReadBy};
use super::hand_in::{Gone, market_of, signal};
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
    let mut watched = Watched::new(followed);
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
            && hand_in_news(master, &watched, &mut attested, context)
                .await
                .is_break()
        {
            return;
        }
    }
}

/// Hands in every market whose state is news. Breaks when nobody takes anything any more.
async fn hand_in_news(
    master: &ExchangeMaster,
    watched: &Watched<'_>,
    attested: &mut BTreeMap<String, Attested>,
    context: &Context,
) -> ControlFlow<()> {
    let view = watched.view();
    for (market, instrument) in &master.markets {
        if watched.is_held(instrument) {
            continue;
        }
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

#[cfg(test)]
mod tests {
    use lockstep_exchanges::protocol::Endpoints;

    use super::*;

    const ONE: i128 = 1_000_000_000_000_000_000;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
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
