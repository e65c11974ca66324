//! `exchanges react`: the client that `fill_to_order_latency` measures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use clap::Args;
use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{
    Decimal, Event, Fill, MarginMode, OrderKind, PositionSide, Side, Stream, Text, TimeInForce, Venue,
};
use lockstep_exchanges::operation::{NewOrder, Operation};
use lockstep_exchanges::protocol::{Endpoints, Protocol};
use lockstep_exchanges::request::{Response, SignedRequest};
use lockstep_exchanges::transport::backoff::ConnectLimiter;
use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
use lockstep_exchanges::transport::dedupe::Seen;
use lockstep_exchanges::transport::feed::{Feed, channel};
use lockstep_exchanges::transport::http::{Http, HttpError, Pool};
use lockstep_exchanges::transport::ledger::MemoryLedger;
use lockstep_exchanges::transport::limiter::{Limiter, Rule};
use lockstep_exchanges::transport::limits;
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::rest::{Client, Parts, Patience};
use lockstep_exchanges::transport::socket::{Plan, SessionKeys, Settings, start};
use lockstep_exchanges::transport::websocket::WebSockets;
use lockstep_exchanges::venues::protocol;
use serde::{Deserialize, Serialize};

use super::fill_to_order::PATIENCE;
use super::nanoseconds;

/// When a fill went through this process, Unix nanoseconds: one JSON line on standard output each, after the order was
/// answered.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Passed {
    /// Its frame had been read from the socket.
    pub(super) received: u64,
    /// The event reached whoever reads the account.
    pub(super) handed_over: u64,
    /// The signed request was handed to HTTP.
    pub(super) signed: u64,
}

/// Unix nanoseconds: what two processes on one machine can compare.
pub(super) fn unix_nanoseconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(nanoseconds)
        .unwrap_or_default()
}

/// The pool, and when it was last given a request.
struct Noted {
    pool: Pool,
    at: Arc<AtomicU64>,
}

#[async_trait]
impl Http for Noted {
    async fn send(&self, request: SignedRequest) -> Result<Response, HttpError> {
        self.at.store(unix_nanoseconds(), Ordering::Relaxed);
        self.pool.send(request).await
    }
}

/// Fills remembered per instrument.
const SEEN: usize = 1_000;

/// `exchanges react`: follows an account of a Binance simulator and answers each of its fills with an order far from the
/// market, over the same transport that everything else uses.
#[derive(Debug, Args)]
pub struct React {
    /// Address of the simulator.
    url: String,
    /// Key of the account.
    key: String,
}

/// The answer to a fill: the same size the same way, where it never trades.
fn answer(fill: &Fill) -> Operation {
    Operation::PlaceOrder(NewOrder {
        instrument: fill.instrument.clone(),
        side: fill.side,
        size: fill.size,
        order_kind: OrderKind::Limit,
        price: Some(match fill.side {
            Side::Buy => Decimal::from(1_000),
            Side::Sell => Decimal::from(10_000),
        }),
        time_in_force: Some(TimeInForce::GoodTilCancelled),
        reduce_only: false,
        position_side: PositionSide::Net,
        margin_mode: MarginMode::Cross,
        leverage: None,
        client_order_id: Some(Text::from(format!("react-{}", fill.trade_id))),
    })
}

/// The venue's own limits, each a thousand times as wide: they are kept as ever, but do not stop the measurement.
fn roomy_limiter(venue: Venue) -> Limiter {
    let rules = limits::rules(venue)
        .into_iter()
        .map(|rule| Rule::new(rule.kind, rule.capacity.saturating_mul(1_000), rule.window));
    Limiter::with(venue, rules)
}

impl React {
    /// Runs until it is killed. On one thread: what follows one account has nothing to do at the same time, and a wake-up
    /// of another thread costs more than all that is done here.
    ///
    /// # Errors
    /// When the simulator cannot be reached.
    pub fn run(self) -> anyhow::Result<()> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.follow())
    }

    async fn follow(self) -> anyhow::Result<()> {
        let signed = Arc::new(AtomicU64::new(0));
        let venue = Venue::Binance;
        let protocol: Arc<dyn Protocol> = Arc::from(protocol(venue));
        let credentials = Credentials::new(self.key.as_str(), "test_secret", None);
        let endpoints = Endpoints::local(&self.url, "/ws", "/ws", "/private/ws");
        let client = Client::new(Parts {
            protocol: protocol.clone(),
            http: Arc::new(Noted {
                pool: Pool::new(PATIENCE)?,
                at: signed.clone(),
            }),
            rest: endpoints.rest.clone(),
            credentials: Some(credentials.clone()),
            instruments: protocol.known_instruments(),
            clock: VenueClock::new(venue, LocalClock::start()),
            limiter: roomy_limiter(venue),
            health: Health::new(venue, Limits::default()),
            ledger: Arc::new(MemoryLedger::default()),
            patience: Patience::of(venue),
            random: Random::from_process(),
        });
        client.measure_clock().await?;
        let keys: Arc<dyn SessionKeys> = Arc::new(client.clone());
        let plan = Plan {
            instruments: client.instruments(),
            clock: client.clock().clone(),
            keys: Some(keys),
            credentials: Some(credentials),
            streams: vec![Stream::Account],
            index: 0,
            settings: Settings::default(),
            endpoints,
            protocol,
        };
        let (sender, mut receiver) = channel(1_024);
        let _socket = start(
            plan,
            0,
            Arc::new(WebSockets::new()?),
            ConnectLimiter::of_process(),
            client.health().clone(),
            sender,
            Random::from_process(),
        );
        let mut seen = Seen::new(SEEN);
        while let Some(message) = receiver.receive().await {
            let Feed::Event {
                event: Event::Fill(fill),
                received_at,
                ..
            } = message.feed
            else {
                continue;
            };
            // The fast message and the full one tell of the same fill.
            if !seen.insert(&fill.instrument, &fill.trade_id) {
                continue;
            }
            let handed_over = unix_nanoseconds();
            let received = handed_over.saturating_sub(nanoseconds(received_at.elapsed()));
            let outcome = client.act(&answer(&fill)).await;
            let passed = Passed {
                received,
                handed_over,
                signed: signed.load(Ordering::Relaxed),
            };
            println!("{}", serde_json::to_string(&passed)?);
            tracing::debug!(?outcome, "answered");
        }
        Ok(())
    }
}
