//! One managed socket: it opens, logs in, subscribes, proves that it is alive, and comes back when it is not.
//!
//! A socket is alive when data arrives, not when it is open. Four kinds of evidence are watched:
//! - heartbeats: after each, anything at all must come back in time, or the socket is half open;
//! - data: each market stream has its longest silence ([`Settings::maximum_age`]); one that passes it is reported as
//!   [`Feed::Stale`], and at twice that the socket is opened again;
//! - the account's stream may be silent for hours: there the reader holds it against REST and, when it is contradicted,
//!   says so with [`Handle::reconnect`];
//! - the venue's own words: maintenance, the end of a session.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream as FutureStream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::credentials::Credentials;
use crate::error::SignError;
use crate::health::Health;
use crate::model::{Control, Event, Instruments, Scope, Stream, Text};
use crate::protocol::{Connection, Endpoints, Heartbeat, Protocol};

use super::backoff::{Backoff, ConnectLimiter};
use super::clock::VenueClock;
use super::feed::{Feed, Lost, Message, Offer, Sender, SocketId, stream_of};
use super::random::Random;

/// A connection that cannot be made or is broken. Without addresses: they may carry keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LinkError(pub String);

/// What goes out.
pub type Outgoing = Pin<Box<dyn Sink<Frame, Error = LinkError> + Send>>;
/// What comes in.
pub type Incoming = Pin<Box<dyn FutureStream<Item = Result<Frame, LinkError>> + Send>>;

/// An open connection.
pub struct Link {
    /// What goes out.
    pub outgoing: Outgoing,
    /// What comes in; ends when the other side has closed.
    pub incoming: Incoming,
}

/// Opens connections: the real network or one in memory.
#[async_trait]
pub trait Connect: Send + Sync + 'static {
    /// Opens one.
    ///
    /// # Errors
    /// When it cannot be opened.
    async fn connect(&self, url: &str) -> Result<Link, LinkError>;
}

/// The account stream's key, on venues that have one.
#[async_trait]
pub trait SessionKeys: Send + Sync + 'static {
    /// Makes one, or gets the one that stands.
    ///
    /// # Errors
    /// When the venue does not give one.
    async fn create(&self) -> Result<Text, KeyError>;

    /// Keeps it.
    ///
    /// # Errors
    /// [`KeyError::Gone`] when it is over.
    async fn keep(&self) -> Result<(), KeyError>;
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is over: make a new one.
    #[error("the account stream's key is over: {0}")]
    Gone(String),
    /// It did not work this time.
    #[error("{0}")]
    Failed(String),
}

/// How a socket waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Longest time from the start of the connect to its end.
    pub connect_timeout: Duration,
    /// Longest wait for the answer to the login, and to the subscriptions.
    pub answer_timeout: Duration,
    /// After a heartbeat something must come back within this.
    pub heartbeat_timeout: Duration,
    /// How often we ask on venues that do the asking: their silence must be noticed too.
    pub probe_every: Duration,
    /// Pause between two messages of ours: venues take ten a second.
    pub pace: Duration,
    /// The connection is opened anew at this age: venues end it at 24 hours.
    pub maximum_connection_age: Duration,
    /// A connection that has lived so long was a good one: the backoff starts anew.
    pub settled_after: Duration,
    /// First ceiling of the backoff.
    pub first_backoff: Duration,
    /// So many refused logins in a row end it: asking on with a wrong key gets the address banned.
    pub login_refusals: u32,
    /// Longest silence of tickers, books and marks.
    pub quotes_age: Duration,
    /// Longest silence of klines.
    pub klines_age: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(10),
            heartbeat_timeout: Duration::from_secs(10),
            probe_every: Duration::from_secs(15),
            pace: Duration::from_millis(120),
            maximum_connection_age: Duration::from_secs(23 * 3_600),
            settled_after: Duration::from_secs(60),
            first_backoff: Duration::from_millis(500),
            login_refusals: 3,
            quotes_age: Duration::from_secs(15),
            klines_age: Duration::from_secs(90),
        }
    }
}

impl Settings {
    /// Longest silence of a stream; none where silence means nothing: nobody may trade for a long time.
    #[must_use]
    pub const fn maximum_age(&self, stream: &Stream) -> Option<Duration> {
        match stream {
            Stream::Ticker { .. } | Stream::Book { .. } | Stream::Mark { .. } => Some(self.quotes_age),
            Stream::Klines { .. } => Some(self.klines_age),
            Stream::Trades { .. } | Stream::Account | Stream::User { .. } => None,
        }
    }
}

/// What a socket is for.
#[derive(Clone)]
pub struct Plan {
    /// The venue's words.
    pub protocol: Arc<dyn Protocol>,
    /// Where.
    pub endpoints: Endpoints,
    /// The streams, all on one socket.
    pub streams: Vec<Stream>,
    /// Which of the connections these streams need.
    pub index: usize,
    /// The account's key.
    pub credentials: Option<Credentials>,
    /// The account stream's key, on venues that have one.
    pub keys: Option<Arc<dyn SessionKeys>>,
    /// Contract sizes.
    pub instruments: Instruments,
    /// The venue's clock: logins are signed with it.
    pub clock: VenueClock,
    /// How it waits.
    pub settings: Settings,
}

/// Groups streams into sockets: those of one address together, as many as one connection may carry, so that each socket
/// knows what to expect on it. A stream that needs several connections by itself gets all of them.
///
/// # Errors
/// When a stream needs credentials that are missing, or the venue has no such stream.
pub fn plan(whole: &Plan) -> Result<Vec<Plan>, SignError> {
    let mut groups: Vec<(Vec<String>, Vec<Stream>)> = Vec::new();
    for stream in &whole.streams {
        let connections = whole.connections(std::slice::from_ref(stream), Some("planned"))?;
        if connections.is_empty() {
            return Err(SignError::NoStream {
                venue: whole.protocol.venue(),
                stream: stream.clone(),
            });
        }
        // The address up to its query: keys and names of streams stand behind it.
        let mut addresses: Vec<String> = connections
            .iter()
            .map(|connection| connection.url.split('?').next().unwrap_or_default().to_owned())
            .collect();
        addresses.push(format!("{:?}", stream.scope()));
        match groups.iter_mut().find(|(known, _)| *known == addresses) {
            Some((_, streams)) => streams.push(stream.clone()),
            None => groups.push((addresses, vec![stream.clone()])),
        }
    }
    let mut plans = Vec::new();
    for (_, streams) in groups {
        let mut rest = streams.as_slice();
        while let Some(first) = rest.first() {
            let least = whole
                .connections(std::slice::from_ref(first), Some("planned"))?
                .len();
            // The longest part that needs no more connections than its first stream does. A venue that takes so many
            // streams per connection would otherwise give several for the whole group, and each socket would wait for
            // the data of the others.
            let (mut fits, mut too_long) = (1, rest.len() + 1);
            while too_long - fits > 1 {
                let middle = fits.midpoint(too_long);
                let part = rest.get(..middle).unwrap_or(rest);
                if whole.connections(part, Some("planned"))?.len() > least {
                    too_long = middle;
                } else {
                    fits = middle;
                }
            }
            let (part, after) = rest.split_at_checked(fits).unwrap_or((rest, &[]));
            plans.extend((0..least).map(|index| Plan {
                streams: part.to_vec(),
                index,
                ..whole.clone()
            }));
            rest = after;
        }
    }
    Ok(plans)
}

impl Plan {
    fn connections(&self, streams: &[Stream], key: Option<&str>) -> Result<Vec<Connection>, SignError> {
        self.protocol.connections(
            &self.endpoints,
            streams,
            self.credentials.as_ref(),
            key,
            self.clock.now_ms(),
        )
    }

    /// The login of this connection, signed anew.
    fn login(&self) -> Result<Option<String>, SignError> {
        let connections = self.connections(&self.streams, None)?;
        Ok(connections
            .into_iter()
            .nth(self.index)
            .and_then(|connection| connection.login))
    }

    fn scope(&self) -> Scope {
        if self.streams.iter().any(|stream| stream.scope() == Scope::Private) {
            Scope::Private
        } else {
            Scope::Public
        }
    }
}

enum Order {
    Reconnect(String),
    Stop,
}

/// Steers a running socket. Dropping it stops the socket.
#[derive(Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    task: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reconnect(_) => "Reconnect",
            Self::Stop => "Stop",
        })
    }
}

impl Handle {
    /// Opens the connection anew: the reader has seen by other means that this one misses something.
    pub fn reconnect(&self, why: impl Into<String>) {
        // A full queue means that it was asked already.
        let _ = self.orders.try_send(Order::Reconnect(why.into()));
    }

    /// Closes the connection and waits until the task has ended: at most a second, because its last words may find no
    /// room when nobody reads any more.
    pub async fn stop(mut self) {
        let Some(mut task) = self.task.take() else { return };
        let ended = timeout(Duration::from_secs(1), async {
            let _ = self.orders.send(Order::Stop).await;
            let _ = (&mut task).await;
        });
        if ended.await.is_err() {
            task.abort();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Starts a socket. What it says goes to `sender` under the number `id`.
#[must_use]
pub fn start(
    plan: Plan,
    id: SocketId,
    connect: Arc<dyn Connect>,
    connects: ConnectLimiter,
    health: Health,
    sender: Sender,
    random: Random,
) -> Handle {
    let (orders, receiver) = mpsc::channel(2);
    let backoff = Backoff::new(plan.settings.first_backoff, random);
    let socket = Socket {
        plan,
        id,
        connect,
        connects,
        health,
        sender,
        orders: receiver,
        frame: 0,
    };
    Handle {
        orders,
        task: Some(tokio::spawn(socket.run(backoff))),
    }
}

struct Socket {
    plan: Plan,
    id: SocketId,
    connect: Arc<dyn Connect>,
    connects: ConnectLimiter,
    health: Health,
    sender: Sender,
    orders: mpsc::Receiver<Order>,
    frame: u64,
}

/// Messages read at once from a socket with market data.
const BURST: usize = 64;

/// A renewal of the account stream's key that is under way.
type Keeping = Pin<Box<dyn Future<Output = Result<(), KeyError>> + Send>>;

/// How one life of a connection ended.
struct Ended {
    why: Lost,
    /// Connected was told.
    stood: bool,
    lived: Duration,
}

impl Socket {
    async fn run(mut self, mut backoff: Backoff) {
        let mut refused_logins = 0;
        loop {
            let ended = self.live().await;
            if ended.stood {
                refused_logins = 0;
            }
            if ended.lived >= self.plan.settings.settled_after {
                backoff.reset();
            }
            let venue = self.plan.protocol.venue();
            tracing::warn!(%venue, socket = self.id, why = ?ended.why, "connection lost");
            let told = self
                .tell(Feed::Lost {
                    why: ended.why.clone(),
                })
                .await;
            if !told || ended.why == Lost::Stopped {
                self.tell(Feed::Ended { why: Lost::Stopped }).await;
                return;
            }
            if matches!(ended.why, Lost::LoginRefused { .. }) {
                refused_logins += 1;
                if refused_logins >= self.plan.settings.login_refusals {
                    tracing::error!(%venue, socket = self.id, "the login is refused again and again: giving up");
                    self.tell(Feed::Ended { why: ended.why }).await;
                    return;
                }
            }
            // Moving on purpose from a connection that worked needs no wait; the connect limiter still spreads it.
            let planned = ended.stood
                && matches!(
                    ended.why,
                    Lost::Age | Lost::Maintenance | Lost::Session(_) | Lost::Asked(_)
                )
                && backoff.failures() == 0;
            let wait = backoff.after_failure();
            let until = if planned {
                Instant::now()
            } else {
                Instant::now() + wait
            };
            if self.wait(until).await {
                self.tell(Feed::Ended { why: Lost::Stopped }).await;
                return;
            }
        }
    }

    /// Waits; true when it was told to stop meanwhile.
    async fn wait(&mut self, until: Instant) -> bool {
        loop {
            tokio::select! {
                biased;
                () = sleep_until(until) => return false,
                order = self.orders.recv() => match order {
                    // Already on it.
                    Some(Order::Reconnect(_)) => {}
                    Some(Order::Stop) | None => return true,
                },
            }
        }
    }

    async fn tell(&self, feed: Feed) -> bool {
        self.sender
            .send(Message {
                socket: self.id,
                feed,
            })
            .await
    }

    async fn live(&mut self) -> Ended {
        let dead = |why| Ended {
            why,
            stood: false,
            lived: Duration::ZERO,
        };
        let opened = {
            let opening = open(&self.plan, self.connect.as_ref(), &self.connects);
            tokio::pin!(opening);
            loop {
                tokio::select! {
                    biased;
                    opened = &mut opening => break opened,
                    order = self.orders.recv() => match order {
                        Some(Order::Reconnect(_)) => {}
                        Some(Order::Stop) | None => return dead(Lost::Stopped),
                    },
                }
            }
        };
        let (link, connection) = match opened {
            Ok(opened) => opened,
            Err(why) => return dead(why),
        };
        let mut life = Life::new(&self.plan, link, connection);
        let why = self.drive(&mut life).await;
        // The other side may be gone: say goodbye, but do not wait for it.
        let _ = timeout(Duration::from_millis(200), life.link.outgoing.close()).await;
        Ended {
            why,
            stood: life.phase == Phase::Standing,
            lived: life.opened.elapsed(),
        }
    }

    async fn drive(&mut self, life: &mut Life) -> Lost {
        let mut keeping: Option<Keeping> = None;
        let private = self.plan.scope() == Scope::Private;
        let mut told = false;
        loop {
            // What must not be dropped goes first; nothing is read while it waits.
            let mut full = false;
            while let Some(feed) = life.pending.pop_front() {
                match self.sender.offer(Message {
                    socket: self.id,
                    feed,
                }) {
                    Offer::Taken => told = private,
                    Offer::Closed => return Lost::Stopped,
                    Offer::Full(message) => {
                        life.pending.push_front(message.feed);
                        full = true;
                        break;
                    }
                }
            }
            if std::mem::take(&mut told) && !full {
                // An account's news goes before the reading of more: whoever acts on it runs first.
                tokio::task::yield_now().await;
            }
            if let Some(why) = life.ended.take() {
                // What the venue said before it ended is not lost with it.
                while let Some(feed) = life.pending.pop_front() {
                    if !self.tell(feed).await {
                        return Lost::Stopped;
                    }
                }
                return why;
            }
            let now = Instant::now();
            if let Some(why) = life.due(&self.plan, now, full) {
                life.ended = Some(why);
                continue;
            }
            if !life.pending.is_empty() && !full {
                continue;
            }
            if life.flush(now, self.plan.settings.answer_timeout).await.is_err() {
                life.ended = Some(Lost::Closed("cannot send".to_owned()));
                continue;
            }
            if keeping.is_none()
                && life.renew_at.is_some_and(|at| at <= now)
                && let Some(keys) = self.plan.keys.clone()
            {
                keeping = Some(Box::pin(async move { keys.keep().await }));
            }
            let next = life.next_timer();
            let keep = async {
                match &mut keeping {
                    Some(future) => future.as_mut().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Reconnect(why)) => life.ended = Some(Lost::Asked(why)),
                    Some(Order::Stop) | None => life.ended = Some(Lost::Stopped),
                },
                kept = keep => {
                    keeping = None;
                    life.renewed(&self.plan, kept);
                }
                () = self.sender.room(), if full => {}
                frame = life.link.incoming.next(), if !full => match frame {
                    Some(Ok(frame)) => {
                        self.frame = self.frame.wrapping_add(1);
                        life.received(&self.plan, &self.health, frame, self.frame);
                        // As much as is there already, so that a burst costs one turn.
                        let most = if private { 1 } else { BURST };
                        while life.pending.len() < most && life.ended.is_none() {
                            match life.link.incoming.next().now_or_never() {
                                Some(Some(Ok(frame))) => {
                                    self.frame = self.frame.wrapping_add(1);
                                    life.received(&self.plan, &self.health, frame, self.frame);
                                }
                                Some(Some(Err(error))) => life.ended = Some(Lost::Closed(error.0)),
                                Some(None) => life.ended = Some(Lost::Closed("closed".to_owned())),
                                None => break,
                            }
                        }
                    }
                    Some(Err(error)) => life.ended = Some(Lost::Closed(error.0)),
                    None => life.ended = Some(Lost::Closed("closed".to_owned())),
                },
                () = sleep_until(next) => {}
            }
        }
    }
}

/// Makes the key, waits for its turn, signs and connects.
async fn open(
    plan: &Plan,
    connect: &dyn Connect,
    connects: &ConnectLimiter,
) -> Result<(Link, Connection), Lost> {
    let key = match &plan.keys {
        Some(keys) if plan.scope() == Scope::Private => {
            let made = timeout(plan.settings.answer_timeout, keys.create()).await;
            Some(
                made.map_err(|_| Lost::Session("no key in time".to_owned()))?
                    .map_err(|error| Lost::Session(error.to_string()))?,
            )
        }
        _ => None,
    };
    connects.admit().await;
    // Signed after the wait: logins are valid for seconds.
    let connection = plan
        .connections(&plan.streams, key.as_deref())
        .map_err(|error| Lost::Connect(error.to_string()))?
        .into_iter()
        .nth(plan.index)
        .ok_or_else(|| Lost::Connect("the venue needs fewer connections than planned".to_owned()))?;
    let link = timeout(plan.settings.connect_timeout, connect.connect(&connection.url))
        .await
        .map_err(|_| Lost::Connect("no connection in time".to_owned()))?
        .map_err(|error| Lost::Connect(error.0))?;
    Ok((link, connection))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    LoggingIn,
    Subscribing,
    Standing,
}

struct Watch {
    stream: Stream,
    limit: Duration,
    last: Instant,
    told: bool,
}

struct Life {
    link: Link,
    phase: Phase,
    opened: Instant,
    /// Since when the present phase waits for its answer.
    asked: Instant,
    subscribe: Vec<String>,
    outbox: std::collections::VecDeque<Frame>,
    next_send: Instant,
    pace: Duration,
    /// Subscriptions sent, and those that were confirmed.
    expected: usize,
    confirmed: usize,
    seen_data: bool,
    beat_every: Duration,
    beat: Frame,
    next_beat: Instant,
    /// A heartbeat that nothing has come back after yet.
    unanswered: Option<Instant>,
    renew_at: Option<Instant>,
    key_good_until: Option<Instant>,
    /// When the login is said again, and when it is over.
    login_again_at: Option<Instant>,
    login_good_until: Option<Instant>,
    watches: Vec<Watch>,
    pending: std::collections::VecDeque<Feed>,
    ended: Option<Lost>,
    timeouts: (Duration, Duration, Duration),
    events: Vec<Event>,
}

impl Life {
    fn new(plan: &Plan, link: Link, connection: Connection) -> Self {
        let now = Instant::now();
        let settings = &plan.settings;
        let (beat_every, beat) = match plan.protocol.heartbeat() {
            Heartbeat::Client { text, every } => (every, Frame::text(text)),
            Heartbeat::Server => (settings.probe_every, Frame::Ping(Default::default())),
        };
        let renewal = plan
            .keys
            .as_ref()
            .filter(|_| plan.scope() == Scope::Private)
            .and_then(|_| plan.protocol.listen_key_renewal());
        let mut life = Self {
            link,
            phase: Phase::LoggingIn,
            opened: now,
            asked: now,
            subscribe: connection.subscribe,
            outbox: std::collections::VecDeque::new(),
            next_send: now,
            pace: settings.pace,
            expected: 0,
            confirmed: 0,
            seen_data: false,
            beat_every,
            beat,
            next_beat: now + beat_every,
            unanswered: None,
            renew_at: renewal.map(|every| now + every),
            // Renewals are at half of the validity or sooner: two of them missed and it may be over.
            key_good_until: renewal.map(|every| now + every * 2 - every / 8),
            login_again_at: None,
            login_good_until: None,
            watches: Vec::new(),
            pending: std::collections::VecDeque::new(),
            ended: None,
            timeouts: (
                settings.answer_timeout,
                settings.heartbeat_timeout,
                settings.maximum_connection_age,
            ),
            events: Vec::new(),
        };
        match connection.login {
            Some(login) => life.outbox.push_back(Frame::text(login)),
            None => life.subscribe(plan),
        }
        life
    }

    fn subscribe(&mut self, plan: &Plan) {
        self.phase = Phase::Subscribing;
        self.asked = Instant::now();
        let texts = std::mem::take(&mut self.subscribe);
        self.expected = texts.len();
        self.outbox.extend(texts.into_iter().map(Frame::text));
        // Their sending is paced: the wait for the answers begins after the last.
        self.asked += self.pace * u32::try_from(self.expected).unwrap_or(u32::MAX);
        self.confirmed = 0;
        if self.expected == 0 {
            self.stand(plan, true);
        }
    }

    fn stand(&mut self, plan: &Plan, confirmed: bool) {
        if self.phase == Phase::Standing {
            return;
        }
        let now = Instant::now();
        self.phase = Phase::Standing;
        self.watches = plan
            .streams
            .iter()
            .filter_map(|stream| {
                Some(Watch {
                    limit: plan.settings.maximum_age(stream)?,
                    stream: stream.clone(),
                    last: now,
                    told: false,
                })
            })
            .collect();
        self.pending.push_back(Feed::Connected { confirmed });
    }

    /// What is due by time; the end, if it is one.
    fn due(&mut self, plan: &Plan, now: Instant, full: bool) -> Option<Lost> {
        let (answer, heartbeat, age) = self.timeouts;
        match self.phase {
            Phase::LoggingIn if now >= self.asked + answer => return Some(Lost::LoginTimeout),
            Phase::Subscribing if now >= self.asked + answer => {
                if self.confirmed == 0 && !self.seen_data {
                    return Some(Lost::SubscribeTimeout);
                }
                self.stand(plan, false);
            }
            _ => {}
        }
        if now >= self.opened + age {
            return Some(Lost::Age);
        }
        if self.key_good_until.is_some_and(|until| now >= until) {
            return Some(Lost::Session("the key could not be kept".to_owned()));
        }
        if self.login_good_until.is_some_and(|until| now >= until) {
            return Some(Lost::Session("the login could not be renewed".to_owned()));
        }
        if self.login_again_at.is_some_and(|at| now >= at) {
            self.login_again_at = None;
            match plan.login() {
                Ok(login) => self.outbox.extend(login.map(Frame::text)),
                Err(error) => return Some(Lost::Session(error.to_string())),
            }
        }
        // While nothing is read for want of room, silence proves nothing.
        if full {
            self.unanswered = None;
        }
        if let Some(since) = self.unanswered
            && now >= since + heartbeat
        {
            return Some(Lost::Silent);
        }
        if now >= self.next_beat {
            self.outbox.push_front(self.beat.clone());
            self.next_send = self.next_send.min(now);
            self.next_beat = now + self.beat_every;
            self.unanswered.get_or_insert(now);
        }
        if full {
            for watch in &mut self.watches {
                watch.last = watch
                    .last
                    .max(now.checked_sub(watch.limit / 2).unwrap_or(watch.last));
            }
        }
        for watch in &mut self.watches {
            let silence = now.saturating_duration_since(watch.last);
            if silence >= watch.limit && !watch.told {
                watch.told = true;
                self.pending.push_back(Feed::Stale {
                    stream: watch.stream.clone(),
                    age: silence,
                });
            }
            if silence >= watch.limit * 2 {
                return Some(Lost::NoData(watch.stream.clone()));
            }
        }
        None
    }

    fn next_timer(&self) -> Instant {
        if !self.pending.is_empty() && self.ended.is_none() {
            // Either there is no room, and room wakes us, or it came up just now.
            return self.next_beat;
        }
        let (answer, heartbeat, age) = self.timeouts;
        let mut next = self.next_beat.min(self.opened + age);
        if self.phase != Phase::Standing {
            next = next.min(self.asked + answer);
        }
        if !self.outbox.is_empty() {
            next = next.min(self.next_send);
        }
        if let Some(since) = self.unanswered {
            next = next.min(since + heartbeat);
        }
        // While a renewal is under way its time has passed: its end wakes us.
        if let Some(at) = self.renew_at.filter(|at| *at > Instant::now()) {
            next = next.min(at);
        }
        for until in [self.key_good_until, self.login_good_until, self.login_again_at] {
            next = next.min(until.unwrap_or(next));
        }
        for watch in &self.watches {
            let limit = if watch.told { watch.limit * 2 } else { watch.limit };
            next = next.min(watch.last + limit);
        }
        next
    }

    /// Sends what may be sent now.
    async fn flush(&mut self, now: Instant, within: Duration) -> Result<(), LinkError> {
        while !self.outbox.is_empty() && self.next_send <= now {
            let Some(frame) = self.outbox.pop_front() else {
                break;
            };
            self.next_send = now + self.pace;
            self.send(frame, within).await?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: Frame, within: Duration) -> Result<(), LinkError> {
        match timeout_at(Instant::now() + within, self.link.outgoing.send(frame)).await {
            Ok(sent) => sent,
            Err(_) => Err(LinkError("cannot send in time".to_owned())),
        }
    }

    /// Answers jump the queue and the pace.
    fn answer(&mut self, frame: Frame) {
        self.outbox.push_front(frame);
        self.next_send = Instant::now();
    }

    fn renewed(&mut self, plan: &Plan, kept: Result<(), KeyError>) {
        let every = plan
            .protocol
            .listen_key_renewal()
            .unwrap_or(Duration::from_secs(1_800));
        let now = Instant::now();
        match kept {
            Ok(()) => {
                self.renew_at = Some(now + every);
                self.key_good_until = Some(now + every * 2 - every / 8);
            }
            Err(KeyError::Gone(why)) => self.ended = Some(Lost::Session(why)),
            Err(KeyError::Failed(why)) => {
                tracing::warn!(venue = %plan.protocol.venue(), why, "the account stream's key was not kept, trying again");
                self.renew_at = Some(now + every / 16);
            }
        }
    }

    fn received(&mut self, plan: &Plan, health: &Health, frame: Frame, number: u64) {
        let now = Instant::now();
        self.unanswered = None;
        let bytes: &[u8] = match &frame {
            Frame::Text(text) => text.as_bytes(),
            Frame::Binary(bytes) => bytes,
            // The library answers pings by itself when it is flushed; a second answer is allowed and certain.
            Frame::Ping(payload) => {
                self.answer(Frame::Pong(payload.clone()));
                return;
            }
            Frame::Pong(_) | Frame::Frame(_) => return,
            Frame::Close(_) => {
                self.ended = Some(Lost::Closed("closed by the venue".to_owned()));
                return;
            }
        };
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match plan
            .protocol
            .decode(bytes, plan.scope(), &plan.instruments, &mut events)
        {
            Ok(()) => {
                for event in events.drain(..) {
                    self.take(plan, health, event, now, number);
                }
            }
            Err(error) => self.pending.push_back(Feed::Unreadable { error }),
        }
        self.events = events;
    }

    fn take(&mut self, plan: &Plan, health: &Health, event: Event, now: Instant, frame: u64) {
        if let Event::Control(control) = &event {
            match control {
                Control::Ping { reply } => {
                    self.answer(Frame::text(reply.to_string()));
                    return;
                }
                Control::Pong => return,
                Control::LoggedIn { valid_seconds } => {
                    let valid = valid_seconds.map(Duration::from_secs);
                    self.login_again_at = valid.and_then(|valid| now.checked_add(valid / 5 * 4));
                    self.login_good_until = valid.and_then(|valid| now.checked_add(valid));
                    if self.phase == Phase::LoggingIn {
                        self.subscribe(plan);
                    }
                    return;
                }
                Control::LoginRefused { code, message } => {
                    self.ended = Some(Lost::LoginRefused {
                        code: code.clone(),
                        message: message.clone(),
                    });
                    return;
                }
                Control::Subscribed { .. } | Control::Answered { .. } => {
                    self.confirmed = self.confirmed.saturating_add(1);
                    if self.phase == Phase::Subscribing && self.confirmed >= self.expected {
                        self.stand(plan, true);
                    }
                    return;
                }
                Control::Refused { code, message } => {
                    self.pending.push_back(Feed::Refused {
                        code: code.clone(),
                        message: message.clone(),
                    });
                    return;
                }
                Control::SessionExpired => {
                    self.ended = Some(Lost::Session("expired".to_owned()));
                    return;
                }
                Control::Maintenance { message } => {
                    tracing::warn!(venue = %plan.protocol.venue(), %message, "maintenance");
                    self.ended = Some(Lost::Maintenance);
                    return;
                }
                _ => {}
            }
        } else {
            self.seen_data = true;
            health.data(now);
            if let Some(stream) = stream_of(&event) {
                let also_mark = matches!(&event, Event::Ticker(ticker) if ticker.mark.is_some());
                for watch in &mut self.watches {
                    let same = watch.stream == stream
                        || also_mark
                            && matches!((&watch.stream, &stream),
                                (Stream::Mark { instrument: one }, Stream::Ticker { instrument: other }) if one == other);
                    if same {
                        watch.last = now;
                        watch.told = false;
                    }
                }
            }
        }
        self.pending.push_back(Feed::Event {
            event,
            received_at: now,
            frame,
        });
    }
}
