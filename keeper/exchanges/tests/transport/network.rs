//! A network in memory to a venue that speaks the model's own events. It shows how a socket behaves by itself, and what
//! [`AccountState`] makes of a snapshot that is under way while events go on: the events are kept aside and applied over it.
//! The follower waits for its snapshots, so that `seeds.rs`, where real venues' words are spoken, never gets there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{sink, stream};
use lockstep_exchanges::account::{AccountState, Change, Snapshot, Ticket};
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{
    Balance, Cause, Control, Decimal, Event, Fill, Order, OrderKind, OrderStatus, Position, PositionSide,
    Side, Stream, Text, TimeInForce, Venue,
};
use lockstep_exchanges::protocol::{Environment, Protocol as _};
use lockstep_exchanges::transport::backoff::ConnectLimiter;
use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
use lockstep_exchanges::transport::dedupe::Seen;
use lockstep_exchanges::transport::feed::{Feed, Lost, Receiver, channel};
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::socket::{Connect, Handle, Link, LinkError, Plan, Settings, start};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::script::Script;

const NOW: u64 = 1_790_000_000_000;

/// The venue: the truth.
#[derive(Default)]
struct World {
    last_ms: u64,
    positions: BTreeMap<Text, (Decimal, u64)>,
    wallet: Decimal,
    wallet_ms: u64,
    orders: BTreeMap<u64, Order>,
    fills: Vec<Fill>,
    next: u64,
    subscribers: Vec<mpsc::UnboundedSender<Frame>>,
    late: Vec<Vec<Event>>,
    faults: bool,
    half_open: bool,
    refuse_login: bool,
    connects: u32,
}

type Shared = Arc<Mutex<World>>;

fn frame(events: &[Event]) -> Frame {
    Frame::text(serde_json::to_string(events).unwrap())
}

impl World {
    /// A time of its own for each change, as a sequence number would be.
    fn tick(&mut self, clock: &LocalClock) -> u64 {
        self.last_ms = clock.now_ms().max(self.last_ms + 1);
        self.last_ms
    }

    fn position(instrument: &Text, size: Decimal, time_ms: u64) -> Position {
        Position {
            instrument: instrument.clone(),
            position_side: PositionSide::Net,
            size,
            entry_price: None,
            mark_price: None,
            unrealised_profit: None,
            leverage: None,
            margin_mode: None,
            liquidation_price: None,
            time_ms,
        }
    }

    fn balance(&self) -> Balance {
        Balance {
            asset: "USDT".into(),
            wallet: self.wallet,
            equity: None,
            available: None,
            time_ms: self.wallet_ms,
        }
    }

    /// Something happens at the venue; the frame that tells of it.
    fn happen(&mut self, clock: &LocalClock, random: &mut Random) -> Vec<Event> {
        let instrument = Text::from(["BTC", "ETH", "SOL"][usize::try_from(random.up_to(2)).unwrap()]);
        if self.orders.len() < 3 || random.up_to(2) == 0 {
            self.next += 1;
            let order = Order {
                instrument,
                order_id: self.next.to_string().into(),
                client_order_id: None,
                side: if random.up_to(1) == 0 {
                    Side::Buy
                } else {
                    Side::Sell
                },
                position_side: PositionSide::Net,
                order_kind: OrderKind::Limit,
                time_in_force: TimeInForce::GoodTilCancelled,
                status: OrderStatus::Open,
                venue_status: "open".into(),
                price: Some(Decimal::ONE),
                trigger_price: None,
                size: Some(Decimal::from(3)),
                filled: Decimal::ZERO,
                average_price: None,
                reduce_only: false,
                cause: Cause::User,
                time_ms: self.tick(clock),
            };
            self.orders.insert(self.next, order.clone());
            return vec![Event::Order(order)];
        }
        let index = usize::try_from(random.up_to(u64::try_from(self.orders.len() - 1).unwrap())).unwrap();
        let key = *self.orders.keys().nth(index).unwrap();
        let mut order = self.orders.remove(&key).unwrap();
        order.time_ms = self.tick(clock);
        if random.up_to(3) == 0 {
            order.status = OrderStatus::Cancelled;
            return vec![Event::Order(order)];
        }
        order.filled += Decimal::ONE;
        order.status = if order.filled == Decimal::from(3) {
            OrderStatus::Filled
        } else {
            OrderStatus::PartiallyFilled
        };
        if order.status == OrderStatus::PartiallyFilled {
            self.orders.insert(key, order.clone());
        }
        self.next += 1;
        let fill = Fill {
            instrument: order.instrument.clone(),
            trade_id: self.next.to_string().into(),
            order_id: order.order_id.clone(),
            client_order_id: None,
            side: order.side,
            position_side: None,
            size: Decimal::ONE,
            price: Decimal::ONE,
            fee: None,
            liquidity: None,
            cause: Cause::User,
            position_after: None,
            user: None,
            historic: false,
            time_ms: order.time_ms,
        };
        self.fills.push(fill.clone());
        let position = self.positions.entry(order.instrument.clone()).or_default();
        position.0 += order.side.signed(Decimal::ONE);
        position.1 = order.time_ms;
        let position = Self::position(&order.instrument, position.0, position.1);
        self.wallet += Decimal::ONE;
        self.wallet_ms = order.time_ms;
        vec![
            Event::Fill(fill),
            Event::Order(order),
            Event::Position(position),
            Event::Balance(self.balance()),
        ]
    }

    /// Tells of it, with faults.
    fn publish(&mut self, events: Vec<Event>, random: &mut Random) {
        if self.half_open {
            return;
        }
        if self.faults {
            match random.up_to(19) {
                // Never arrives, and nothing says so.
                0 => return,
                // Arrives later than what follows it.
                1 | 2 => {
                    self.late.push(events);
                    return;
                }
                // Arrives twice, the second time late.
                3 | 4 => self.late.push(events.clone()),
                _ => {}
            }
        }
        self.send(&events);
        if !self.late.is_empty() && random.up_to(2) == 0 {
            let late = self.late.remove(0);
            self.send(&late);
        }
    }

    fn send(&mut self, events: &[Event]) {
        self.subscribers
            .retain(|subscriber| subscriber.send(frame(events)).is_ok());
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            asked_ms: 0,
            // What is closed is not listed.
            positions: Some(
                self.positions
                    .iter()
                    .filter(|(_, (size, _))| !size.is_zero())
                    .map(|(instrument, (size, time_ms))| Self::position(instrument, *size, *time_ms))
                    .collect(),
            ),
            balances: Some(vec![self.balance()]),
            open_orders: Some(self.orders.values().cloned().collect()),
            fills: self.fills.clone(),
            account_positions: Vec::new(),
        }
    }
}

/// The network to it.
struct Memory {
    world: Shared,
    random: Mutex<Random>,
}

#[async_trait]
impl Connect for Memory {
    async fn connect(&self, url: &str) -> Result<Link, LinkError> {
        assert!(url.ends_with("/private") || url.ends_with("/public"));
        let delay = self.random.lock().unwrap().up_to(50);
        sleep(Duration::from_millis(delay)).await;
        {
            let mut world = self.world.lock().unwrap();
            world.connects += 1;
            if world.faults && self.random.lock().unwrap().up_to(3) == 0 {
                return Err(LinkError("refused".to_owned()));
            }
            world.half_open = false;
        }
        let (to_client, from_server) = mpsc::unbounded_channel::<Frame>();
        let (to_server, mut from_client) = mpsc::unbounded_channel::<Frame>();
        let world = self.world.clone();
        tokio::spawn(async move {
            while let Some(message) = from_client.recv().await {
                let Frame::Text(text) = message else { continue };
                let control = match text.as_str() {
                    "login" if world.lock().unwrap().refuse_login => Control::LoginRefused {
                        code: "60009".into(),
                        message: "Login failed.".into(),
                    },
                    "login" => Control::LoggedIn { valid_seconds: None },
                    "subscribe" => {
                        world.lock().unwrap().subscribers.push(to_client.clone());
                        Control::Subscribed { topic: "all".into() }
                    }
                    _ => Control::Pong,
                };
                if world.lock().unwrap().half_open {
                    continue;
                }
                sleep(Duration::from_millis(5)).await;
                let broken = !world
                    .lock()
                    .unwrap()
                    .subscribers
                    .iter()
                    .any(|one| one.same_channel(&to_client))
                    && !matches!(control, Control::LoggedIn { .. } | Control::LoginRefused { .. });
                if broken || to_client.send(frame(&[Event::Control(control)])).is_err() {
                    return;
                }
            }
        });
        Ok(Link {
            outgoing: Box::pin(sink::unfold(to_server, |to_server, frame| async move {
                to_server
                    .send(frame)
                    .map_err(|_| LinkError("broken".to_owned()))?;
                Ok(to_server)
            })),
            incoming: Box::pin(stream::unfold(from_server, |mut from_server| async move {
                from_server.recv().await.map(|frame| (Ok(frame), from_server))
            })),
        })
    }
}

fn open(world: &Shared, clock: LocalClock, seed: u64, streams: Vec<Stream>) -> (Handle, Receiver) {
    let protocol = Script { venue: Venue::Bybit };
    let plan = Plan {
        endpoints: protocol.endpoints(Environment::Test),
        instruments: protocol.known_instruments(),
        protocol: Arc::new(protocol),
        streams,
        index: 0,
        credentials: None,
        keys: None,
        clock: VenueClock::new(Venue::Bybit, clock),
        settings: Settings {
            maximum_connection_age: Duration::from_secs(120),
            ..Settings::default()
        },
    };
    let (sender, receiver) = channel(8);
    let handle = start(
        plan,
        0,
        Arc::new(Memory {
            world: world.clone(),
            random: Mutex::new(Random::seeded(seed ^ 1)),
        }),
        ConnectLimiter::new(3, Duration::from_secs(1)),
        Health::new(Venue::Bybit, Limits::default()),
        sender,
        Random::seeded(seed ^ 2),
    );
    (handle, receiver)
}

/// What the keeper does with an account: feeds the state, takes snapshots when they are due.
struct Reader {
    state: AccountState,
    fills: Vec<Text>,
    disagreements: usize,
    snapshot: Option<(Ticket, tokio::task::JoinHandle<Snapshot>)>,
    wanted: bool,
}

impl Reader {
    fn new() -> Self {
        Self {
            state: AccountState::new(Seen::new(10_000)),
            fills: Vec::new(),
            disagreements: 0,
            snapshot: None,
            wanted: false,
        }
    }

    fn note(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Fill { fill, .. } => self.fills.push(fill.trade_id.clone()),
                Change::Uncertain => self.wanted = true,
                Change::Disagreement(_) => self.disagreements += 1,
                _ => {}
            }
        }
    }

    fn ask(&mut self, world: &Shared, clock: LocalClock, random: &mut Random) {
        let (before, after) = (random.up_to(200), random.up_to(200));
        let world = world.clone();
        let ticket = self.state.begin_snapshot();
        let task = tokio::spawn(async move {
            let asked_ms = clock.now_ms() - 1;
            sleep(Duration::from_millis(before)).await;
            let mut snapshot = world.lock().unwrap().snapshot();
            snapshot.asked_ms = asked_ms;
            sleep(Duration::from_millis(after)).await;
            snapshot
        });
        self.snapshot = Some((ticket, task));
    }

    /// Until `deadline`; reconciles every `every`.
    async fn run(
        &mut self,
        receiver: &mut Receiver,
        world: &Shared,
        clock: LocalClock,
        random: &mut Random,
        deadline: Instant,
    ) {
        let mut reconcile = Instant::now() + Duration::from_secs(10);
        let mut connected = self.state.is_certain();
        // A planned reconnect may fall on the deadline: the state is looked at when it is whole again.
        let last = deadline + Duration::from_secs(100);
        while Instant::now() < deadline || !self.state.is_certain() && Instant::now() < last {
            let mut changes = Vec::new();
            if let Some((ticket, task)) = self.snapshot.take_if(|(_, task)| task.is_finished())
                && !self
                    .state
                    .finish_snapshot(ticket, task.await.unwrap(), &mut changes)
            {
                self.wanted = true;
            }
            if self.snapshot.is_none() && connected && (self.wanted || Instant::now() >= reconcile) {
                self.wanted = false;
                reconcile = Instant::now() + Duration::from_secs(10);
                self.ask(world, clock, random);
            }
            if let Ok(Some(message)) = timeout(Duration::from_millis(50), receiver.receive()).await {
                match &message.feed {
                    Feed::Connected { .. } => connected = true,
                    Feed::Lost { .. } => connected = false,
                    _ => {}
                }
                self.state.feed(&message.feed, &mut changes);
            }
            self.state.tick(Instant::now(), &mut changes);
            self.note(changes);
        }
    }
}

async fn one_seed(seed: u64) {
    let clock = LocalClock::at(NOW);
    let world: Shared = Arc::new(Mutex::new(World {
        faults: true,
        ..World::default()
    }));
    let (handle, mut receiver) = open(&world, clock, seed, vec![Stream::Account]);
    let venue = {
        let world = world.clone();
        tokio::spawn(async move {
            let mut random = Random::seeded(seed);
            for _ in 0..120 {
                sleep(Duration::from_millis(random.up_to(400))).await;
                let mut world = world.lock().unwrap();
                let events = world.happen(&clock, &mut random);
                world.publish(events, &mut random);
                match random.up_to(29) {
                    // The connection breaks; what was under way is gone.
                    0 => {
                        world.subscribers.clear();
                        world.late.clear();
                    }
                    1 => world.half_open = true,
                    _ => {}
                }
            }
            let mut world = world.lock().unwrap();
            world.faults = false;
            world.half_open = false;
            for late in std::mem::take(&mut world.late) {
                world.send(&late);
            }
        })
    };
    let mut reader = Reader::new();
    let mut random = Random::seeded(seed ^ 3);
    let deadline = Instant::now() + Duration::from_secs(200);
    reader
        .run(&mut receiver, &world, clock, &mut random, deadline)
        .await;
    assert!(
        venue.is_finished(),
        "seed {seed}: the venue must have ended before the comparison"
    );
    handle.stop().await;

    let world = world.lock().unwrap();
    assert!(reader.state.is_certain(), "seed {seed}: not certain");
    let ours: BTreeMap<Text, Decimal> = reader
        .state
        .positions()
        .map(|position| (position.instrument.clone(), position.size))
        .collect();
    let theirs: BTreeMap<Text, Decimal> = world
        .positions
        .iter()
        .filter(|(_, (size, _))| !size.is_zero())
        .map(|(instrument, (size, _))| (instrument.clone(), *size))
        .collect();
    assert_eq!(ours, theirs, "seed {seed}: positions");
    let ours: Vec<&Order> = reader.state.orders().collect();
    let mut theirs: Vec<&Order> = world.orders.values().collect();
    theirs.sort_by(|one, other| one.order_id.cmp(&other.order_id));
    assert_eq!(ours, theirs, "seed {seed}: orders");
    let wallet: Vec<Decimal> = reader.state.balances().map(|balance| balance.wallet).collect();
    assert_eq!(wallet, [world.wallet], "seed {seed}: balance");
    let mut ours = reader.fills.clone();
    ours.sort();
    let mut theirs: Vec<Text> = world.fills.iter().map(|fill| fill.trade_id.clone()).collect();
    theirs.sort();
    assert_eq!(ours, theirs, "seed {seed}: each fill once");
}

pub fn virtual_time<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn after_any_faults_our_state_is_the_venues() {
    let long = std::env::var_os("LOCKSTEP_LONG").is_some_and(|value| value == "1");
    let first = std::env::var("LOCKSTEP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0);
    for seed in first..first + if long { 10_000 } else { 200 } {
        virtual_time(one_seed(seed));
    }
}

async fn next_feed(receiver: &mut Receiver) -> Feed {
    timeout(Duration::from_secs(400), receiver.receive())
        .await
        .unwrap()
        .unwrap()
        .feed
}

#[tokio::test(start_paused = true)]
async fn a_half_open_socket_is_noticed_and_replaced() {
    let world = Shared::default();
    let (_handle, mut receiver) = open(&world, LocalClock::at(NOW), 1, vec![Stream::Account]);
    assert_eq!(
        next_feed(&mut receiver).await,
        Feed::Connected { confirmed: true }
    );
    let start = Instant::now();
    world.lock().unwrap().half_open = true;
    assert_eq!(next_feed(&mut receiver).await, Feed::Lost { why: Lost::Silent });
    assert!(
        start.elapsed() <= Duration::from_secs(16),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        next_feed(&mut receiver).await,
        Feed::Connected { confirmed: true }
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_data_is_stale_though_heartbeats_are_answered() {
    let world = Shared::default();
    let ticker = Stream::Ticker {
        instrument: "BTC".into(),
    };
    let (_handle, mut receiver) = open(&world, LocalClock::at(NOW), 1, vec![ticker.clone()]);
    assert_eq!(
        next_feed(&mut receiver).await,
        Feed::Connected { confirmed: true }
    );
    let start = Instant::now();
    assert!(matches!(next_feed(&mut receiver).await, Feed::Stale { stream, .. } if stream == ticker));
    assert_eq!(start.elapsed().as_secs(), 15);
    assert_eq!(
        next_feed(&mut receiver).await,
        Feed::Lost {
            why: Lost::NoData(ticker)
        }
    );
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn it_moves_before_the_venue_does() {
    let world = Shared::default();
    let (handle, mut receiver) = open(&world, LocalClock::at(NOW), 1, vec![Stream::Account]);
    assert_eq!(
        next_feed(&mut receiver).await,
        Feed::Connected { confirmed: true }
    );
    let notice = Event::Control(Control::Maintenance {
        message: "soon".into(),
    });
    world.lock().unwrap().send(&[notice]);
    assert_eq!(
        next_feed(&mut receiver).await,
        Feed::Lost {
            why: Lost::Maintenance
        }
    );
    assert_eq!(
        next_feed(&mut receiver).await,
        Feed::Connected { confirmed: true }
    );
    handle.reconnect("REST has a newer fill");
    assert!(matches!(
        next_feed(&mut receiver).await,
        Feed::Lost { why: Lost::Asked(_) }
    ));
    assert_eq!(
        next_feed(&mut receiver).await,
        Feed::Connected { confirmed: true }
    );
    assert_eq!(next_feed(&mut receiver).await, Feed::Lost { why: Lost::Age });
    assert_eq!(
        next_feed(&mut receiver).await,
        Feed::Connected { confirmed: true }
    );
    assert_eq!(world.lock().unwrap().connects, 4);
    handle.stop().await;
    assert_eq!(next_feed(&mut receiver).await, Feed::Lost { why: Lost::Stopped });
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_ends_after_three_tries() {
    let world = Shared::default();
    world.lock().unwrap().refuse_login = true;
    let (_handle, mut receiver) = open(&world, LocalClock::at(NOW), 1, vec![Stream::Account]);
    for _ in 0..3 {
        let feed = next_feed(&mut receiver).await;
        assert!(
            matches!(
                feed,
                Feed::Lost {
                    why: Lost::LoginRefused { .. }
                }
            ),
            "{feed:?}"
        );
    }
    let feed = next_feed(&mut receiver).await;
    assert!(
        matches!(
            feed,
            Feed::Ended {
                why: Lost::LoginRefused { .. }
            }
        ),
        "{feed:?}"
    );
}
