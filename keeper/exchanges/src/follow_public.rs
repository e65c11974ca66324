//! Follows many accounts of a venue whose public trades name their users (Hyperliquid), without a stream of any of them:
//! the venue lets one address on the internet follow the streams of few users, and everybody's trades are public.
//!
//! A trade that names an account says that it changed; a snapshot over REST says what it is now. Between the two the
//! account is not certain. Snapshots are taken besides when the trades were interrupted, and every so often: a liquidation
//! in an instrument that nobody follows, a deposit or funding is in no trade that is read. Fills, which say who caused
//! them, are read afterwards and less often: nothing waits for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::credentials::Credentials;
use crate::follow::{FollowError, Told, View};
use crate::health::Health;
use crate::model::{Balance, Decimal, Event, Fill, Instruments, Position, Stream, Text, Trade, Venue};
use crate::operation::{Empty, FillQuery, Maybe, Operation, Reply};
use crate::protocol::{Endpoints, Protocol};
use crate::transport::backoff::ConnectLimiter;
use crate::transport::clock::{LocalClock, VenueClock};
use crate::transport::dedupe::Seen;
use crate::transport::feed::{Feed, Lost, Message, channel};
use crate::transport::http::{Http, Pool};
use crate::transport::ledger::MemoryLedger;
use crate::transport::limiter::Limiter;
use crate::transport::random::Random;
use crate::transport::rest::{Client, Parts, Patience, ReadError};
use crate::transport::socket::{Connect, Plan, Settings, plan, start};
use crate::transport::websocket::WebSockets;

/// Room for messages between the sockets and the state.
const ROOM: usize = 4_096;
/// Longest request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a snapshot that could not be taken.
const RETRY: Duration = Duration::from_secs(2);
/// Pause before REST is asked again that was behind the trades.
const BEHIND: Duration = Duration::from_millis(200);
/// However many accounts there are, their regular snapshots together ask no more often than this.
const SPREAD: Duration = Duration::from_millis(500);
/// The same for fills, which weigh ten times as much: a fifth of what one address may ask in a minute. States must never
/// wait for them.
const FILLS_SPREAD: Duration = Duration::from_secs(10);
/// How far before the last time fills are asked for, milliseconds.
const OVERLAP_MS: u64 = 60_000;
/// Fills remembered per account and instrument.
const SEEN: usize = 1_000;

/// Which accounts, and where.
#[derive(Clone)]
pub struct PublicOptions {
    /// The venue's words.
    pub protocol: Arc<dyn Protocol>,
    /// Where it is reached.
    pub endpoints: Endpoints,
    /// How sockets wait.
    pub settings: Settings,
    /// How often a snapshot is taken though nothing seems to have happened; less often with very many accounts.
    pub snapshot_every: Duration,
    /// What is noted of the venue.
    pub health: Health,
    /// The accounts.
    pub accounts: Vec<PublicAccount>,
}

/// An account to follow.
#[derive(Debug, Clone)]
pub struct PublicAccount {
    /// Its address.
    pub user: Text,
    /// Instruments whose trades and mark prices are followed.
    pub instruments: Vec<Text>,
    /// Who hears of it; must be read.
    pub told: mpsc::Sender<Told>,
}

/// Follows the accounts until `stop`.
///
/// # Errors
/// When it cannot even be begun. What goes wrong later is tried again for ever, and told.
pub async fn follow_public(options: PublicOptions, stop: CancellationToken) -> Result<(), FollowError> {
    let http: Arc<dyn Http> = Arc::new(Pool::new(REQUEST_TIMEOUT)?);
    let connect: Arc<dyn Connect> = Arc::new(WebSockets::new()?);
    follow_public_with(options, http, connect, stop).await
}

/// [`follow_public`] over another network: a test's.
///
/// # Errors
/// When it cannot even be begun.
pub async fn follow_public_with(
    options: PublicOptions,
    http: Arc<dyn Http>,
    connect: Arc<dyn Connect>,
    stop: CancellationToken,
) -> Result<(), FollowError> {
    let venue = options.protocol.venue();
    // All of it is one address on the internet: one clock, one set of buckets.
    let clock = VenueClock::new(venue, LocalClock::start());
    let limiter = Limiter::of_process(venue, &options.endpoints.rest);
    let client = |user: &Text| {
        Client::new(Parts {
            protocol: options.protocol.clone(),
            http: Arc::clone(&http),
            rest: options.endpoints.rest.trim_end_matches('/').to_owned(),
            credentials: Some(Credentials::new(user.as_str(), "", None)),
            instruments: options.protocol.known_instruments(),
            clock: clock.clone(),
            limiter: limiter.clone(),
            health: options.health.clone(),
            // Nothing is ordered here: there is nothing to write down.
            ledger: Arc::new(MemoryLedger::default()),
            patience: Patience::of(venue),
            random: Random::from_process(),
        })
    };
    let mut accounts: Vec<Account> = options
        .accounts
        .iter()
        .map(|account| Account::new(account, client(&account.user)))
        .collect();
    let Some(first) = accounts.first() else {
        return Ok(());
    };
    let instruments = tokio::select! {
        instruments = prepare(&first.client) => instruments,
        () = stop.cancelled() => return Ok(()),
    };
    let began_ms = clock.now_ms();
    for account in &mut accounts {
        account.client.set_instruments(instruments.clone());
        // Who follows from now on does not copy what was done before.
        account.fills_until_ms = began_ms;
    }
    let whole = Plan {
        protocol: options.protocol.clone(),
        endpoints: options.endpoints.clone(),
        streams: streams(&accounts),
        index: 0,
        credentials: None,
        keys: None,
        instruments,
        clock,
        settings: options.settings.clone(),
    };
    let (sender, receiver) = channel(ROOM);
    let connects = ConnectLimiter::of_process();
    let handles: Vec<_> = (0..)
        .zip(plan(&whole)?)
        .map(|(id, plan)| {
            start(
                plan,
                id,
                Arc::clone(&connect),
                connects.clone(),
                options.health.clone(),
                sender.clone(),
                Random::from_process(),
            )
        })
        .collect();
    drop(sender);
    let count = u32::try_from(accounts.len()).unwrap_or(u32::MAX);
    let mut follower = Follower {
        venue,
        snapshot_every: options.snapshot_every.max(SPREAD.saturating_mul(count)),
        fills_due: Instant::now(),
        accounts,
        marks: HashMap::new(),
        connected: false,
        generation: 0,
        asked: JoinSet::new(),
    };
    follower.run(receiver, &stop).await;
    for handle in handles {
        handle.stop().await;
    }
    Ok(())
}

/// Clock and instruments; tried until they are there.
async fn prepare(client: &Client) -> Instruments {
    loop {
        let read = async {
            client.measure_clock().await?;
            client.read(&Operation::Instruments(Empty {})).await
        };
        match read.await {
            Ok(Reply::Instruments(list)) => return Instruments::new(client.venue(), list),
            Ok(_) => {
                tracing::warn!(venue = %client.venue(), "no list of instruments was answered; trying again")
            }
            Err(error) => {
                tracing::warn!(venue = %client.venue(), %error, "clock and instruments cannot be read; trying again");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn streams(accounts: &[Account]) -> Vec<Stream> {
    let mut streams = Vec::new();
    for instrument in accounts.iter().flat_map(|account| &account.instruments) {
        for stream in [
            Stream::Trades {
                instrument: instrument.clone(),
            },
            Stream::Mark {
                instrument: instrument.clone(),
            },
        ] {
            if !streams.contains(&stream) {
                streams.push(stream);
            }
        }
    }
    streams
}

struct Account {
    user: Text,
    instruments: Vec<Text>,
    client: Client,
    /// None when nobody listens any more.
    told: Option<mpsc::Sender<Told>>,
    positions: Vec<Position>,
    balances: Vec<Balance>,
    /// The venue's time of positions and balances.
    state_ms: u64,
    certain: bool,
    changed_ms: u64,
    /// The newest trade that named it.
    trade_ms: u64,
    /// A trade named it since the request that is under way went out.
    traded_meanwhile: bool,
    /// Since when there are fills that were not read.
    fills_unread: Option<Instant>,
    fills_until_ms: u64,
    seen: Seen,
    busy: bool,
    state_due: Instant,
    last: View,
}

enum Answer {
    State {
        balances: Vec<Balance>,
        positions: Vec<Position>,
    },
    Fills {
        fills: Vec<Fill>,
        asked_ms: u64,
    },
}

struct Asked {
    account: usize,
    generation: u64,
    answer: Result<Answer, ReadError>,
}

impl Account {
    fn new(account: &PublicAccount, client: Client) -> Self {
        let now = Instant::now();
        let mut user = account.user.clone();
        user.make_ascii_lowercase();
        Self {
            user,
            instruments: account.instruments.clone(),
            client,
            told: Some(account.told.clone()),
            positions: Vec::new(),
            balances: Vec::new(),
            state_ms: 0,
            certain: false,
            changed_ms: 0,
            trade_ms: 0,
            traded_meanwhile: false,
            fills_unread: None,
            fills_until_ms: 0,
            seen: Seen::new(SEEN),
            busy: false,
            state_due: now,
            last: View::default(),
        }
    }

    fn is_named(&self, trade: &Trade) -> bool {
        [&trade.buyer, &trade.seller]
            .into_iter()
            .any(|user| user.as_ref() == Some(&self.user))
    }

    fn traded(&mut self, trade: &Trade) {
        self.trade_ms = self.trade_ms.max(trade.time_ms);
        self.traded_meanwhile = true;
        self.fills_unread.get_or_insert_with(Instant::now);
        self.certain = false;
        self.state_due = Instant::now();
    }

    /// Takes what REST says. True when it holds every trade that was told.
    fn take(&mut self, balances: Vec<Balance>, positions: Vec<Position>) -> bool {
        // Balances are read first: the positions are not older than their time.
        let state_ms = balances.iter().map(|balance| balance.time_ms).min().unwrap_or(0);
        if state_ms < self.state_ms {
            return false;
        }
        let of = |positions: &[Position]| -> Vec<(Text, Decimal, Option<Decimal>)> {
            positions
                .iter()
                .map(|position| (position.instrument.clone(), position.size, position.entry_price))
                .collect()
        };
        if of(&positions) != of(&self.positions) {
            if self.state_ms > 0 {
                self.fills_unread.get_or_insert_with(Instant::now);
            }
            let traded = self.trade_ms > self.changed_ms && self.trade_ms <= state_ms;
            let changed_ms = if traded { self.trade_ms } else { state_ms };
            self.changed_ms = self.changed_ms.max(changed_ms);
        }
        self.state_ms = state_ms;
        self.balances = balances;
        self.positions = positions;
        state_ms > self.trade_ms || (state_ms == self.trade_ms && !self.traded_meanwhile)
    }

    async fn tell_view(&mut self, marks: &HashMap<Text, Decimal>) {
        let view = View {
            certain: self.certain,
            balances: self.balances.clone(),
            positions: self.positions.clone(),
            // The public trades tell of no order that rests.
            orders: Vec::new(),
            marks: self
                .instruments
                .iter()
                .filter_map(|instrument| Some((instrument.clone(), *marks.get(instrument)?)))
                .collect(),
            changed_ms: self.changed_ms,
            now_ms: self.last.now_ms,
        };
        if view != self.last {
            self.last = View {
                now_ms: self.client.clock().now_ms(),
                ..view
            };
            self.tell(Told::View(Box::new(self.last.clone()))).await;
        }
    }

    async fn tell(&mut self, message: Told) {
        if let Some(told) = &self.told
            && told.send(message).await.is_err()
        {
            // The others are followed on.
            self.told = None;
        }
    }
}

async fn state(client: Client) -> Result<Answer, ReadError> {
    let unexpected = || ReadError::NoReply("a reply of another kind than was asked for".to_owned());
    let Reply::Balances(balances) = client.read(&Operation::Balances(Empty {})).await? else {
        return Err(unexpected());
    };
    let Reply::Positions(positions) = client.read(&Operation::Positions(Maybe::default())).await? else {
        return Err(unexpected());
    };
    Ok(Answer::State { balances, positions })
}

async fn fills(client: Client, since_ms: u64) -> Result<Answer, ReadError> {
    let asked_ms = client.clock().certainly_passed_ms();
    let query = FillQuery {
        instrument: None,
        start_ms: Some(since_ms.saturating_sub(OVERLAP_MS)),
        limit: None,
    };
    match client.read(&Operation::Fills(query)).await? {
        Reply::Fills(fills) => Ok(Answer::Fills { fills, asked_ms }),
        _ => Err(ReadError::NoReply(
            "a reply of another kind than was asked for".to_owned(),
        )),
    }
}

struct Follower {
    venue: Venue,
    accounts: Vec<Account>,
    marks: HashMap<Text, Decimal>,
    snapshot_every: Duration,
    /// When fills may be read again, of whichever account.
    fills_due: Instant,
    connected: bool,
    /// Counts interruptions: a snapshot that was asked for before one does not end it.
    generation: u64,
    asked: JoinSet<Asked>,
}

impl Follower {
    async fn run(&mut self, mut receiver: crate::transport::feed::Receiver, stop: &CancellationToken) {
        loop {
            self.ask();
            let due = self.next_due();
            tokio::select! {
                () = stop.cancelled() => return,
                message = receiver.receive() => {
                    let Some(message) = message else { return };
                    if !self.hear(message).await {
                        return;
                    }
                }
                Some(asked) = self.asked.join_next() => {
                    match asked {
                        Ok(asked) => self.answered(asked).await,
                        // A request does not panic; if one did, its account would stay busy for ever.
                        Err(error) => tracing::error!(venue = %self.venue, %error, "a request was lost"),
                    }
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            if self.accounts.iter().all(|account| account.told.is_none()) {
                return;
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let idle = self
            .accounts
            .iter()
            .filter(|account| !account.busy && account.told.is_some());
        idle.map(|account| match account.fills_unread {
            Some(_) => account.state_due.min(self.fills_due),
            None => account.state_due,
        })
        .min()
    }

    /// Sends what is due: one request of an account at a time, the state before the fills, and the fills of who has waited
    /// longest for them.
    fn ask(&mut self) {
        let now = Instant::now();
        let idle = |account: &&Account| !account.busy && account.told.is_some() && account.state_due > now;
        let first = self
            .accounts
            .iter()
            .filter(idle)
            .filter_map(|account| account.fills_unread)
            .min();
        for (number, account) in self.accounts.iter_mut().enumerate() {
            if account.busy || account.told.is_none() {
                continue;
            }
            let (client, generation) = (account.client.clone(), self.generation);
            if account.state_due <= now {
                account.traded_meanwhile = false;
                self.asked.spawn(async move {
                    Asked {
                        account: number,
                        generation,
                        answer: state(client).await,
                    }
                });
            } else if account.fills_unread.is_some() && account.fills_unread == first && self.fills_due <= now
            {
                account.fills_unread = None;
                self.fills_due = now + FILLS_SPREAD;
                let since_ms = account.fills_until_ms;
                self.asked.spawn(async move {
                    Asked {
                        account: number,
                        generation,
                        answer: fills(client, since_ms).await,
                    }
                });
            } else {
                continue;
            }
            account.busy = true;
        }
    }

    async fn answered(&mut self, asked: Asked) {
        let current = self.connected && asked.generation == self.generation;
        let Some(account) = self.accounts.get_mut(asked.account) else {
            return;
        };
        account.busy = false;
        let now = Instant::now();
        match asked.answer {
            Ok(Answer::State { balances, positions }) => {
                let whole = account.take(balances, positions);
                account.certain = whole && current;
                account.state_due = match (whole, current) {
                    (true, true) => now + self.snapshot_every,
                    (false, _) => now + BEHIND,
                    // Interrupted meanwhile: asked again once the trades are back, or now when they are.
                    (true, false) => now + RETRY,
                };
                account.tell_view(&self.marks).await;
            }
            Ok(Answer::Fills { fills, asked_ms }) => {
                let since_ms = account.fills_until_ms.saturating_sub(OVERLAP_MS);
                account.fills_until_ms = asked_ms;
                for fill in fills {
                    let key = fill.trade_id.clone();
                    if fill.time_ms >= since_ms && account.seen.insert(&fill.instrument, &key) {
                        account
                            .tell(Told::Fill {
                                fill: Box::new(fill),
                                repaired: false,
                            })
                            .await;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(venue = %self.venue, user = %account.user, %error, "an account could not be read; trying again");
                account.state_due = now + RETRY;
                if account.trade_ms > account.fills_until_ms {
                    account.fills_unread.get_or_insert(now);
                }
            }
        }
    }

    /// False when the sockets have ended for good.
    async fn hear(&mut self, message: Message) -> bool {
        match message.feed {
            Feed::Event {
                event: Event::Trade(trade),
                ..
            } => {
                for account in &mut self.accounts {
                    if account.is_named(&trade) {
                        account.traded(&trade);
                        account.tell_view(&self.marks).await;
                    }
                }
            }
            Feed::Event {
                event: Event::Mark(mark),
                ..
            } => {
                self.marks.insert(mark.instrument.clone(), mark.price);
                for account in &mut self.accounts {
                    if account.instruments.contains(&mark.instrument) {
                        account.tell_view(&self.marks).await;
                    }
                }
            }
            Feed::Connected { .. } => {
                self.connected = true;
                self.interrupted().await;
            }
            Feed::Lost { .. } => {
                self.connected = false;
                self.interrupted().await;
            }
            Feed::Skipped {
                stream: Stream::Trades { .. },
                ..
            }
            | Feed::Unreadable { .. } => self.interrupted().await,
            Feed::Refused { code, message } => {
                tracing::error!(venue = %self.venue, %code, %message, "a subscription was refused: only snapshots tell of its trades");
            }
            Feed::Ended { why } => {
                self.end(&why).await;
                return false;
            }
            Feed::Event { .. } | Feed::Stale { .. } | Feed::Skipped { .. } | Feed::Redundancy { .. } => {}
        }
        true
    }

    /// Trades may have been missed: nothing is certain until a snapshot that is asked for from now on.
    async fn interrupted(&mut self) {
        self.generation += 1;
        for account in &mut self.accounts {
            account.certain = false;
            account.state_due = Instant::now();
            account.tell_view(&self.marks).await;
        }
    }

    async fn end(&mut self, why: &Lost) {
        let why = format!("{why:?}");
        tracing::error!(venue = %self.venue, why, "the public trades are not followed any more");
        for account in &mut self.accounts {
            account.tell(Told::Ended(why.clone())).await;
        }
    }
}
