//! One account at one venue: it is followed, and it trades through the production client, each order with an id of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::follow::{Options, Surroundings, follow_in};
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{
    ContractKind, Decimal, Instrument, Instruments, MarginMode, OrderKind, PositionSide, Side, Text, Venue,
};
use lockstep_exchanges::operation::{Maybe, NewOrder, Operation, OrderRef};
use lockstep_exchanges::protocol::Protocol;
use lockstep_exchanges::simulate::engine::Account;
use lockstep_exchanges::simulate::server::Truth;
use lockstep_exchanges::simulate::venues::{account, wire};
use lockstep_exchanges::transport::backoff::ConnectLimiter;
use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
use lockstep_exchanges::transport::http::Pool;
use lockstep_exchanges::transport::identity::{OrderCause, client_order_id};
use lockstep_exchanges::transport::ledger::{Intent, Ledger, LedgerError, Settlement, Written};
use lockstep_exchanges::transport::limiter::Limiter;
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::rest::{Client, NotSent, Outcome, Parts, Patience, Resolution};
use lockstep_exchanges::transport::socket::Settings;
use lockstep_exchanges::transport::websocket::WebSockets;
use lockstep_exchanges::venues::{Generation, protocol};
use tokio::sync::{RwLock, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::simulator::Simulator;
use crate::support::{Heard, differences, endpoints, size_worth};

/// Longest wait for a reply: a reply that is withheld must not hold up the whole run.
const REPLY_TIMEOUT: Duration = Duration::from_secs(3);
/// How long after the end of its validity the fate of an order may be unknown: the venue's lag, and the pauses between
/// questions.
const OVERDUE_MS: u64 = 45_000;
/// How long an order is asked for at a venue that sets no end to its validity.
const ASKING: Duration = Duration::from_secs(60);
/// A position beyond this much of the quote asset is made smaller.
const LARGEST: u64 = 60_000;

/// How often the venue may have an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Not known yet.
    Open,
    Once,
    Never,
}

/// A ledger that keeps of what is settled only that the id was used.
#[derive(Default)]
pub struct Book {
    open: Mutex<HashMap<Text, Intent>>,
    fates: Mutex<HashMap<Text, Fate>>,
}

impl Book {
    pub fn fates(&self) -> HashMap<Text, Fate> {
        self.fates.lock().unwrap().clone()
    }

    fn intent(&self, id: &Text) -> Option<Intent> {
        self.open.lock().unwrap().get(id).cloned()
    }
}

#[async_trait]
impl Ledger for Book {
    async fn write(&self, intents: &[Intent]) -> Result<Written, LedgerError> {
        let (mut open, mut fates) = (self.open.lock().unwrap(), self.fates.lock().unwrap());
        if intents
            .iter()
            .any(|intent| fates.contains_key(&intent.client_order_id))
        {
            return Ok(Written::Before);
        }
        for intent in intents {
            open.insert(intent.client_order_id.clone(), intent.clone());
            fates.insert(intent.client_order_id.clone(), Fate::Open);
        }
        Ok(Written::New)
    }

    async fn settle(&self, _: Venue, id: &Text, settlement: &Settlement) -> Result<(), LedgerError> {
        let fate = match settlement {
            Settlement::Taken { .. } => Fate::Once,
            Settlement::Refused { .. } | Settlement::NeverArrived | Settlement::NotSent => Fate::Never,
        };
        self.open.lock().unwrap().remove(id);
        self.fates.lock().unwrap().insert(id.clone(), fate);
        Ok(())
    }

    async fn unsettled(&self, _: Venue) -> Result<Vec<Intent>, LedgerError> {
        Ok(self.open.lock().unwrap().values().cloned().collect())
    }
}

/// What was done, in numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    pub orders: u64,
    pub taken: u64,
    pub refused: u64,
    pub unknown: u64,
    pub cancels: u64,
}

pub struct Trader {
    pub venue: Venue,
    pub simulator: Simulator,
    pub key: String,
    pub book: Arc<Book>,
    pub heard: Arc<Mutex<Heard>>,
    pub done: Mutex<Done>,
    pub prices: Mutex<HashMap<Text, Decimal>>,
    listing: Vec<Instrument>,
    client: Client,
    sequence: Mutex<u64>,
    asking: AtomicUsize,
    following: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
}

impl Trader {
    pub async fn start(venue: Venue) -> Arc<Self> {
        let simulator = Simulator::start(venue).await;
        let Account {
            key,
            secret,
            passphrase,
            ..
        } = account(venue);
        let mut listed = wire(venue).1;
        // A position in an inverse contract changes in base units with the price: what is known of it is not what is true a
        // moment later.
        listed.retain(|(instrument, _)| instrument.kind == ContractKind::Linear);
        let protocol: Arc<dyn Protocol> = Arc::from(protocol(venue));
        let endpoints = endpoints(protocol.as_ref(), simulator.host());
        let passphrase = (!passphrase.is_empty()).then_some(passphrase);
        let credentials = Credentials::new(key.clone(), secret, passphrase);
        let listing: Vec<Instrument> = listed.iter().map(|(instrument, _)| instrument.clone()).collect();
        let book = Arc::new(Book::default());
        let client = Client::new(Parts {
            protocol: protocol.clone(),
            http: Arc::new(Pool::new(REPLY_TIMEOUT).unwrap()),
            rest: endpoints.rest.clone(),
            credentials: Some(credentials.clone()),
            instruments: Instruments::new(venue, listing.clone()),
            clock: VenueClock::new(venue, LocalClock::start()),
            limiter: Limiter::new(venue),
            health: Health::new(venue, Limits::default()),
            ledger: book.clone(),
            patience: Patience::of(venue),
            random: Random::from_process(),
        });
        client.measure_clock().await.unwrap();
        let stop = CancellationToken::new();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let following = follow(&heard, &stop, protocol, endpoints, credentials, &listing);
        Arc::new(Self {
            venue,
            simulator,
            key,
            book,
            heard,
            done: Mutex::default(),
            prices: Mutex::new(
                listed
                    .into_iter()
                    .map(|(instrument, price)| (instrument.instrument, price))
                    .collect(),
            ),
            listing,
            client,
            sequence: Mutex::default(),
            asking: AtomicUsize::new(0),
            following: Mutex::new(Some(following)),
            stop,
        })
    }

    /// Moves a price by up to 0.1 %.
    pub async fn move_price(&self, random: &mut Random) {
        let instrument = self.any_instrument(random).instrument.clone();
        let steps = Decimal::from(random.up_to(20)) - Decimal::TEN;
        let price = {
            let mut prices = self.prices.lock().unwrap();
            let price = prices.get_mut(&instrument).unwrap();
            *price += *price * steps / Decimal::from(10_000);
            *price
        };
        self.simulator.price(&instrument, price).await;
    }

    fn any_instrument(&self, random: &mut Random) -> &Instrument {
        let last = u64::try_from(self.listing.len() - 1).unwrap();
        &self.listing[usize::try_from(random.up_to(last)).unwrap()]
    }

    /// Does one thing as the account's owner.
    pub async fn act(self: &Arc<Self>, random: &mut Random) {
        match random.up_to(9) {
            0..=6 => self.order(random).await,
            7 | 8 => {
                let open = self
                    .heard
                    .lock()
                    .unwrap()
                    .view
                    .orders
                    .first()
                    .map(|order| OrderRef {
                        instrument: order.instrument.clone(),
                        order_id: Some(order.order_id.clone()),
                        client_order_id: None,
                    });
                if let Some(open) = open {
                    let _ = self.client.act(&Operation::CancelOrder(open)).await;
                    self.done.lock().unwrap().cancels += 1;
                }
            }
            _ => {
                let instrument = Some(self.any_instrument(random).instrument.clone());
                let _ = self
                    .client
                    .act(&Operation::CancelAllOrders(Maybe { instrument }))
                    .await;
                self.done.lock().unwrap().cancels += 1;
            }
        }
    }

    async fn order(self: &Arc<Self>, random: &mut Random) {
        let order = self.next_order(random);
        let id = order.client_order_id.clone().unwrap();
        let outcome = self.client.act(&Operation::PlaceOrder(order)).await;
        let mut done = self.done.lock().unwrap();
        match outcome {
            // Nothing was intended where it could not even be put into words.
            Outcome::NotSent(NotSent::Request(error)) => panic!("{}: {error}", self.venue),
            Outcome::NotSent(_) => {}
            Outcome::Done(_) => {
                done.orders += 1;
                done.taken += 1;
            }
            Outcome::Refused(_) => {
                done.orders += 1;
                done.refused += 1;
            }
            Outcome::Unknown(_) | Outcome::Several(_) => {
                done.orders += 1;
                done.unknown += 1;
                if let Some(intent) = self.book.intent(&id) {
                    tokio::spawn(self.clone().clear_up(intent));
                }
            }
        }
    }

    /// Asks until it is known what became of an order; for a time, where the venue may take it without end.
    async fn clear_up(self: Arc<Self>, intent: Intent) {
        self.asking.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        while !self.stop.is_cancelled() && (intent.valid_until_ms.is_some() || started.elapsed() < ASKING) {
            // A venue that refuses to tell is asked again, but not without a pause.
            tokio::time::sleep(Duration::from_millis(200)).await;
            match self.client.resolve(&intent, Duration::from_secs(10)).await {
                Ok(Resolution::Open) => {}
                Ok(_) => break,
                Err(error) => tracing::warn!(venue = %self.venue, %error, "an order cannot be asked for"),
            }
        }
        self.asking.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tasks that ask what became of an order.
    pub fn asking(&self) -> usize {
        self.asking.load(Ordering::Relaxed)
    }

    /// Orders and fills that were recorded.
    pub fn records(&self) -> u64 {
        let fills = self.heard.lock().unwrap().fills.len();
        self.done.lock().unwrap().orders + u64::try_from(fills).unwrap()
    }

    /// Orders whose fate should be known by now.
    pub fn overdue(&self) -> Vec<Text> {
        let now_ms = self.client.clock().now_ms();
        let open = self.book.open.lock().unwrap();
        open.values()
            .filter(|intent| intent.valid_until_ms.is_some_and(|end| now_ms > end + OVERDUE_MS))
            .map(|intent| intent.client_order_id.clone())
            .collect()
    }

    fn next_order(&self, random: &mut Random) -> NewOrder {
        let instrument = self.any_instrument(random);
        let price = self.prices.lock().unwrap()[&instrument.instrument];
        let held: Decimal = self
            .heard
            .lock()
            .unwrap()
            .view
            .positions
            .iter()
            .filter(|position| position.instrument == instrument.instrument)
            .map(|position| position.size)
            .sum();
        let side = if (held * price).abs() > Decimal::from(LARGEST) {
            if held.is_sign_positive() {
                Side::Sell
            } else {
                Side::Buy
            }
        } else if random.up_to(1) == 0 {
            Side::Buy
        } else {
            Side::Sell
        };
        let limit = random.up_to(2) > 0;
        // Up to 0.2 % away from the market, sometimes through it.
        let away = price * (Decimal::from(random.up_to(25)) - Decimal::from(5)) / Decimal::from(10_000);
        let wanted = match (limit, side) {
            (true, Side::Buy) => price - away,
            (true, Side::Sell) => price + away,
            // The worst price of a market order, on venues that have none.
            (false, Side::Buy) => price * Decimal::new(105, 2),
            (false, Side::Sell) => price * Decimal::new(95, 2),
        };
        let sequence = {
            let mut sequence = self.sequence.lock().unwrap();
            *sequence += 1;
            *sequence
        };
        NewOrder {
            instrument: instrument.instrument.clone(),
            side,
            size: size_worth(instrument, price, 200 + random.up_to(5_000)),
            order_kind: if limit {
                OrderKind::Limit
            } else {
                OrderKind::Market
            },
            price: (limit || self.venue == Venue::Hyperliquid).then(|| on_tick(instrument, wanted)),
            time_in_force: None,
            reduce_only: false,
            position_side: PositionSide::Net,
            margin_mode: MarginMode::Cross,
            leverage: None,
            client_order_id: Some(client_order_id(
                self.venue,
                &OrderCause {
                    strategy: "soak",
                    instrument: &instrument.instrument,
                    sequence,
                    attempt: 0,
                },
            )),
        }
    }

    /// What of our state is not what the venue knows.
    pub fn drift(&self, truth: &Truth) -> String {
        differences(
            self.venue,
            Generation::Current,
            truth,
            0,
            &self.heard.lock().unwrap(),
        )
    }

    /// What is wrong with the orders the venue has: one that came twice, one nobody sent, one that is missing.
    pub fn wrong_orders(&self, truth: &Truth) -> Vec<String> {
        let mut counted: HashMap<&Text, u32> = HashMap::new();
        for id in truth
            .orders
            .iter()
            .filter_map(|order| order.client_order_id.as_ref())
        {
            *counted.entry(id).or_default() += 1;
        }
        let fates = self.book.fates();
        let mut wrong: Vec<String> = counted
            .iter()
            .filter(|(id, _)| !fates.contains_key(**id))
            .map(|(id, _)| format!("{}: order {id} was never meant", self.venue))
            .collect();
        for (id, fate) in &fates {
            let count = counted.get(id).copied().unwrap_or_default();
            let right = match fate {
                Fate::Once => count == 1,
                Fate::Never => count == 0,
                Fate::Open => count <= 1,
            };
            if !right {
                wrong.push(format!(
                    "{}: order {id} is {fate:?} and at the venue {count} times",
                    self.venue
                ));
            }
        }
        wrong
    }

    pub async fn stop(&self) {
        self.stop.cancel();
        let following = self.following.lock().unwrap().take();
        if let Some(following) = following {
            following.await.unwrap();
        }
    }
}

/// A price as the instrument takes it. Hyperliquid's have five significant figures and six places less those of the size.
fn on_tick(instrument: &Instrument, price: Decimal) -> Decimal {
    if instrument.tick.is_zero() {
        let places = 6_u32.saturating_sub(instrument.lot.normalize().scale());
        return price.round_sf(5).unwrap().round_dp(places);
    }
    (price / instrument.tick).trunc() * instrument.tick
}

fn follow(
    heard: &Arc<Mutex<Heard>>,
    stop: &CancellationToken,
    protocol: Arc<dyn Protocol>,
    endpoints: lockstep_exchanges::protocol::Endpoints,
    credentials: Credentials,
    listing: &[Instrument],
) -> JoinHandle<()> {
    let options = Options {
        health: Health::new(protocol.venue(), Limits::default()),
        protocol,
        endpoints,
        credentials,
        marks: listing
            .iter()
            .map(|instrument| instrument.instrument.clone())
            .collect(),
        snapshot_every: Duration::from_secs(5),
        settings: Settings {
            heartbeat_timeout: Duration::from_secs(3),
            probe_every: Duration::from_secs(3),
            first_backoff: Duration::from_millis(100),
            ..Settings::default()
        },
    };
    let surroundings = Surroundings {
        http: Arc::new(Pool::new(REPLY_TIMEOUT).unwrap()),
        connect: Arc::new(WebSockets::new().unwrap()),
        clock: LocalClock::start(),
        // Each of the seven stands for a venue of its own, which counts for itself.
        connects: ConnectLimiter::new(3, Duration::from_secs(1)),
        limiter: Limiter::new(options.protocol.venue()),
        random: Random::from_process(),
    };
    let (sender, mut told) = mpsc::channel(256);
    let (heard, stop) = (heard.clone(), stop.clone());
    tokio::spawn(async move {
        let listening = tokio::spawn(async move {
            while let Some(one) = told.recv().await {
                heard.lock().unwrap().note(one);
            }
        });
        follow_in(options, surroundings, sender, stop).await.unwrap();
        listening.await.unwrap();
    })
}

/// What all traders share: who holds it for writing stops them.
pub type Turn = Arc<RwLock<()>>;
