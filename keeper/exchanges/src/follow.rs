//! Follows one account: sockets, snapshots, gap repair, and what came of it as one [`View`].
//!
//! The stream says at once that something changed; REST says what is true. A snapshot is taken when the socket has come
//! up, when anything may have been missed, and every [`Options::snapshot_every`] besides: a stream that is silent because
//! it is dead looks like a master who does not trade, and only the second evidence tells the two apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::account::{AccountState, Change, Disagreement, Snapshot};
use crate::credentials::Credentials;
use crate::error::{Refusal, SignError};
use crate::health::Health;
use crate::model::{Balance, Cause, Decimal, Event, Fill, Instruments, Order, Position, Stream, Text, Venue};
use crate::operation::{Empty, Operation, OrderRef, Reply};
use crate::protocol::{Endpoints, Protocol};
use crate::transport::backoff::ConnectLimiter;
use crate::transport::clock::{LocalClock, VenueClock};
use crate::transport::dedupe::Seen;
use crate::transport::feed::{Feed, channel};
use crate::transport::http::{Http, HttpError, Pool};
use crate::transport::ledger::MemoryLedger;
use crate::transport::limiter::Limiter;
use crate::transport::random::Random;
use crate::transport::rest::{Client, NotSent, Parts, Patience, ReadError};
use crate::transport::snapshot::{self, FillsSince};
use crate::transport::socket::{Connect, LinkError, Plan, SessionKeys, Settings, plan, start};
use crate::transport::websocket::WebSockets;

/// Room for messages between the sockets and the state.
const ROOM: usize = 1_024;
/// How far before a gap fills are asked for, milliseconds: the venue's clock and ours may differ by that.
const OVERLAP_MS: u64 = 60_000;
/// Longest request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a snapshot that could not be taken.
const SNAPSHOT_RETRY: Duration = Duration::from_secs(2);
/// Fills remembered per instrument, to tell new ones from old.
const SEEN: usize = 10_000;

/// Which account, and where.
#[derive(Clone)]
pub struct Options {
    /// The venue's words.
    pub protocol: Arc<dyn Protocol>,
    /// Where it is reached.
    pub endpoints: Endpoints,
    /// A key that may read. On Hyperliquid the address alone, with an empty secret.
    pub credentials: Credentials,
    /// Instruments whose mark prices are followed too.
    pub marks: Vec<Text>,
    /// How often a snapshot is taken though nothing seems missing.
    pub snapshot_every: Duration,
    /// How sockets wait.
    pub settings: Settings,
    /// What is noted of the venue: the caller reads it at any time.
    pub health: Health,
}

/// An account as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Nothing is missing: a snapshot was taken and the stream has stood since.
    pub certain: bool,
    /// By asset.
    pub balances: Vec<Balance>,
    /// Those that are open, by instrument and side.
    pub positions: Vec<Position>,
    /// Those that are open, by the venue's id; none where the account is read from public trades.
    pub orders: Vec<Order>,
    /// Mark prices of the instruments that are followed.
    pub marks: HashMap<Text, Decimal>,
    /// The venue's time of the newest change, Unix milliseconds.
    pub changed_ms: u64,
    /// The venue's clock when this was put together, Unix milliseconds.
    pub now_ms: u64,
}

/// What is told of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is so now.
    View(Box<View>),
    /// It traded; `repaired` when only a snapshot told of it.
    Fill {
        /// How.
        fill: Box<Fill>,
        /// Whether the stream had missed it.
        repaired: bool,
    },
    /// Fills of this order were told as the owner's; now the venue says that it forced them.
    Forced {
        /// Which instrument.
        instrument: Text,
        /// The venue's id of the order.
        order_id: Text,
        /// Who caused it.
        cause: Cause,
    },
    /// Stream and REST did not agree: the view holds what REST says.
    Disagreement(Box<Disagreement>),
    /// It is not followed any more; somebody has to help.
    Ended(String),
}

/// Why an account cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The HTTP client could not be made.
    #[error("no HTTP client: {0}")]
    Http(#[from] HttpError),
    /// Sockets could not be set up.
    #[error("no sockets: {0}")]
    Link(#[from] LinkError),
    /// The key cannot sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// What an account is followed over. Everything that differs from one run to the next is in here: a test that gives a
/// network in memory and seeds of its own gets the same run again.
pub struct Surroundings {
    /// How requests are sent.
    pub http: Arc<dyn Http>,
    /// How sockets are opened.
    pub connect: Arc<dyn Connect>,
    /// Our own clock.
    pub clock: LocalClock,
    /// Who may connect when; shared by all that connect from one address.
    pub connects: ConnectLimiter,
    /// How many requests the venue takes; shared by all that ask from one address.
    pub limiter: Limiter,
    /// Jitter.
    pub random: Random,
}

/// Follows an account until `stop`. What happens is told to `told`, which must be read: account events are never dropped.
///
/// # Errors
/// When it cannot even be begun. What goes wrong later is tried again for ever, and told.
pub async fn follow(
    options: Options,
    told: mpsc::Sender<Told>,
    stop: CancellationToken,
) -> Result<(), FollowError> {
    let surroundings = Surroundings {
        http: Arc::new(Pool::new(REQUEST_TIMEOUT)?),
        connect: Arc::new(WebSockets::new()?),
        clock: LocalClock::start(),
        connects: ConnectLimiter::of_process(),
        limiter: Limiter::of_process(options.protocol.venue(), &options.endpoints.rest),
        random: Random::from_process(),
    };
    follow_in(options, surroundings, told, stop).await
}

/// [`follow`] over another network: a test's.
///
/// # Errors
/// When it cannot even be begun.
pub async fn follow_in(
    options: Options,
    surroundings: Surroundings,
    told: mpsc::Sender<Told>,
    stop: CancellationToken,
) -> Result<(), FollowError> {
    let Surroundings {
        http,
        connect,
        clock,
        connects,
        limiter,
        mut random,
    } = surroundings;
    let venue = options.protocol.venue();
    let health = options.health.clone();
    let client = Client::new(Parts {
        protocol: options.protocol.clone(),
        http,
        rest: options.endpoints.rest.trim_end_matches('/').to_owned(),
        credentials: Some(options.credentials.clone()),
        instruments: options.protocol.known_instruments(),
        clock: VenueClock::new(venue, clock),
        limiter,
        health: health.clone(),
        // Nothing is ordered here: there is nothing to write down.
        ledger: Arc::new(MemoryLedger::default()),
        patience: Patience::of(venue),
        random: Random::seeded(random.bits()),
    });
    let mut follower = Follower {
        venue,
        client,
        state: AccountState::new(Seen::new(SEEN)),
        instruments: options.marks.clone(),
        marks: HashMap::new(),
        changed_ms: 0,
        began_ms: 0,
        repaired_until_ms: 0,
        private: Vec::new(),
        standing: BTreeSet::new(),
        told,
        last: View::default(),
    };
    tokio::select! {
        biased;
        () = follower.prepare() => {}
        () = stop.cancelled() => return Ok(()),
    }
    let keys: Arc<dyn SessionKeys> = Arc::new(follower.client.clone());
    let mut streams = vec![Stream::Account];
    streams.extend(options.marks.iter().map(|instrument| Stream::Mark {
        instrument: instrument.clone(),
    }));
    let whole = Plan {
        protocol: options.protocol.clone(),
        endpoints: options.endpoints.clone(),
        streams,
        index: 0,
        credentials: Some(options.credentials.clone()),
        keys: options.protocol.listen_key_renewal().is_some().then_some(keys),
        instruments: follower.client.instruments(),
        clock: follower.client.clock().clone(),
        settings: options.settings.clone(),
    };
    let (sender, receiver) = channel(ROOM);
    let handles: Vec<_> = (0..)
        .zip(plan(&whole)?)
        .map(|(id, plan)| {
            let private = plan.streams.contains(&Stream::Account);
            let handle = start(
                plan,
                id,
                Arc::clone(&connect),
                connects.clone(),
                health.clone(),
                sender.clone(),
                Random::seeded(random.bits()),
            );
            (id, private, handle)
        })
        .collect();
    drop(sender);
    follower.private = handles
        .iter()
        .filter(|(_, private, _)| *private)
        .map(|(id, ..)| *id)
        .collect();
    follower.run(receiver, options.snapshot_every, &stop).await;
    for (_, _, handle) in handles {
        handle.stop().await;
    }
    Ok(())
}

struct Follower {
    venue: Venue,
    client: Client,
    state: AccountState,
    instruments: Vec<Text>,
    marks: HashMap<Text, Decimal>,
    changed_ms: u64,
    /// The venue's time when following began, Unix milliseconds.
    began_ms: u64,
    /// Fills up to here were asked for.
    repaired_until_ms: u64,
    /// Sockets of the account, and those of them that stand.
    private: Vec<u32>,
    standing: BTreeSet<u32>,
    told: mpsc::Sender<Told>,
    last: View,
}

/// Half a snapshot is none, and its first half costs too: where the rate limit is used up, asking before there is room for
/// all of it would keep it used up.
fn pause_after(error: &ReadError) -> Duration {
    let told = match error {
        ReadError::NotSent(NotSent::Limit(limit)) => limit.wait(),
        _ => None,
    };
    told.map_or(SNAPSHOT_RETRY, |told| told.max(SNAPSHOT_RETRY))
}

/// Why following ends.
enum End {
    NobodyListens,
    Socket(String),
}

impl Follower {
    /// Clock and instruments; tried until they are there, since nothing can be read rightly without them.
    async fn prepare(&mut self) {
        loop {
            match self.try_prepare().await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(venue = %self.venue, %error, "clock and instruments cannot be read; trying again");
                    tokio::time::sleep(SNAPSHOT_RETRY).await;
                }
            }
        }
    }

    async fn try_prepare(&mut self) -> Result<(), ReadError> {
        self.client.measure_clock().await?;
        if let Reply::Instruments(list) = self.client.read(&Operation::Instruments(Empty {})).await? {
            self.client.set_instruments(Instruments::new(self.venue, list));
        }
        // Who follows from now on does not copy what was done before.
        self.began_ms = self.client.clock().now_ms();
        self.repaired_until_ms = self.began_ms;
        Ok(())
    }

    async fn run(
        &mut self,
        mut receiver: crate::transport::feed::Receiver,
        snapshot_every: Duration,
        stop: &CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        let mut next_snapshot: Option<Instant> = None;
        loop {
            let mut changes = Vec::new();
            let due = next_snapshot.unwrap_or_else(|| Instant::now() + snapshot_every);
            // In a fixed order, so that a run in a test can be repeated; what is due by time first, because messages may
            // come without end.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.state.tick(Instant::now(), &mut changes),
                () = tokio::time::sleep_until(due), if next_snapshot.is_some() => {
                    next_snapshot = Some(match self.snapshot(&mut changes).await {
                        Ok(true) => Instant::now() + snapshot_every,
                        Ok(false) => Instant::now() + SNAPSHOT_RETRY,
                        Err(error) => {
                            tracing::warn!(venue = %self.venue, %error, "snapshot failed; trying again");
                            Instant::now() + pause_after(&error)
                        }
                    });
                }
                message = receiver.receive() => {
                    let Some(message) = message else { return };
                    if let Feed::Ended { why } = &message.feed {
                        self.end(End::Socket(format!("{why:?}"))).await;
                        return;
                    }
                    if let Feed::Event { event: Event::Mark(mark), .. } = &message.feed {
                        self.marks.insert(mark.instrument.clone(), mark.price);
                    }
                    // What happens to the sockets of market data says nothing of the account.
                    let event = matches!(message.feed, Feed::Event { .. });
                    let private = self.private.contains(&message.socket);
                    if event || private {
                        self.state.feed(&message.feed, &mut changes);
                    }
                    match message.feed {
                        Feed::Connected { .. } if private => {
                            self.standing.insert(message.socket);
                            next_snapshot = Some(Instant::now());
                        }
                        Feed::Lost { .. } => {
                            self.standing.remove(&message.socket);
                        }
                        _ => {}
                    }
                }
            }
            // While a socket is away its return brings a snapshot: one taken before that would only cost its weight.
            if self.stream_stands()
                && changes.iter().any(|change| {
                    matches!(change, Change::Uncertain | Change::Recheck | Change::OrderGone(_))
                })
            {
                next_snapshot = Some(Instant::now());
            }
            if let Err(end) = self.tell(changes).await {
                self.end(end).await;
                return;
            }
        }
    }

    fn stream_stands(&self) -> bool {
        self.standing.len() == self.private.len()
    }

    /// Asks REST for the whole truth. False when something was lost meanwhile.
    async fn snapshot(&mut self, changes: &mut Vec<Change>) -> Result<bool, ReadError> {
        let ticket = self.state.begin_snapshot();
        match self.ask().await {
            Ok(snapshot) => {
                let until_ms = snapshot.asked_ms;
                let whole = self.state.finish_snapshot(ticket, snapshot, changes);
                if whole {
                    self.repaired_until_ms = until_ms;
                }
                Ok(whole)
            }
            Err(error) => {
                self.state.abandon_snapshot(ticket, changes);
                Err(error)
            }
        }
    }

    async fn ask(&self) -> Result<Snapshot, ReadError> {
        let since_ms = self.repaired_until_ms.saturating_sub(OVERLAP_MS);
        let held = self.state.positions().map(|position| &position.instrument);
        let ordered = self.state.orders().map(|order| &order.instrument);
        let since = FillsSince {
            start_ms: Some(since_ms),
            instruments: self
                .instruments
                .iter()
                .chain(held)
                .chain(ordered)
                .cloned()
                .collect(),
        };
        let mut snapshot = snapshot::take(&self.client, &since).await?;
        // What happened before we began is nobody's business.
        let from_ms = since_ms.max(self.began_ms);
        snapshot.fills.retain(|fill| fill.time_ms >= from_ms);
        self.tell_causes(&mut snapshot.fills).await?;
        Ok(snapshot)
    }

    /// Some lists of fills do not say who caused them (Binance): the orders they belong to do.
    async fn tell_causes(&self, fills: &mut [Fill]) -> Result<(), ReadError> {
        let mut orders: BTreeMap<Text, Order> = BTreeMap::new();
        for fill in fills {
            if !fill.historic || self.state.seen().contains(&fill.instrument, &fill.trade_id) {
                continue;
            }
            if !orders.contains_key(&fill.order_id) {
                let wanted = Operation::Order(OrderRef {
                    instrument: fill.instrument.clone(),
                    order_id: Some(fill.order_id.clone()),
                    client_order_id: None,
                });
                match self.client.read(&wanted).await {
                    Ok(Reply::Order(order)) => {
                        orders.insert(fill.order_id.clone(), *order);
                    }
                    // The venue has forgotten it: the fill stays history, the snapshot's positions count.
                    Ok(_) => {}
                    Err(error) if error.refusal() == Some(Refusal::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            if let Some(order) = orders.get(&fill.order_id) {
                fill.cause = order.cause;
                fill.client_order_id.clone_from(&order.client_order_id);
                fill.historic = false;
            }
        }
        Ok(())
    }

    async fn tell(&mut self, changes: Vec<Change>) -> Result<(), End> {
        for change in changes {
            match change {
                Change::Fill { fill, repaired } => {
                    self.changed_ms = self.changed_ms.max(fill.time_ms);
                    // A stream that begins with what happened before it (Hyperliquid) may be the first to tell of a fill
                    // that fell into a gap.
                    if fill.time_ms < self.began_ms {
                        continue;
                    }
                    if repaired {
                        tracing::warn!(venue = %self.venue, instrument = %fill.instrument, trade = %fill.trade_id,
                            "a fill the stream had missed was found in a snapshot");
                    }
                    self.send(Told::Fill { fill, repaired }).await?;
                }
                Change::Position(position) => self.changed_ms = self.changed_ms.max(position.time_ms),
                Change::Balance(balance) => self.changed_ms = self.changed_ms.max(balance.time_ms),
                Change::Disagreement(disagreement) => {
                    tracing::warn!(venue = %self.venue, ?disagreement, "stream and REST disagree; REST counts");
                    self.send(Told::Disagreement(Box::new(disagreement))).await?;
                }
                Change::Forced {
                    instrument,
                    order_id,
                    cause,
                } => {
                    self.send(Told::Forced {
                        instrument,
                        order_id,
                        cause,
                    })
                    .await?;
                }
                Change::Order(_)
                | Change::OrderGone(_)
                | Change::Uncertain
                | Change::Certain
                | Change::Recheck
                | Change::Control(_) => {}
            }
        }
        let view = View {
            // Without the stream a snapshot is true of its moment only.
            certain: self.state.is_certain() && self.stream_stands(),
            balances: self.state.balances().cloned().collect(),
            positions: self.state.positions().cloned().collect(),
            orders: self.state.orders().cloned().collect(),
            marks: self.marks.clone(),
            changed_ms: self.changed_ms,
            now_ms: self.last.now_ms,
        };
        if view != self.last {
            self.last = View {
                now_ms: self.client.clock().now_ms(),
                ..view
            };
            self.send(Told::View(Box::new(self.last.clone()))).await?;
        }
        Ok(())
    }

    async fn send(&self, told: Told) -> Result<(), End> {
        self.told.send(told).await.map_err(|_| End::NobodyListens)
    }

    async fn end(&self, end: End) {
        if let End::Socket(why) = end {
            tracing::error!(venue = %self.venue, why, "the account is not followed any more");
            // Nobody listening is no loss here.
            let _ = self.told.send(Told::Ended(why)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::limiter::LimitError;

    #[test]
    fn a_snapshot_without_room_is_tried_again_when_there_is_some() {
        let full = |wait| {
            ReadError::from(NotSent::from(LimitError::Full {
                venue: Venue::Hyperliquid,
                wait,
            }))
        };
        let long = Duration::from_secs(40);
        assert_eq!(pause_after(&full(long)), long);
        assert_eq!(pause_after(&full(Duration::ZERO)), SNAPSHOT_RETRY);
        assert_eq!(pause_after(&ReadError::NoReply(String::new())), SNAPSHOT_RETRY);
    }
}
