//! What tests of our own words against a simulator share: the simulator without a network, and an account that is followed
//! over one.

use std::sync::Arc;
use std::time::Duration;

use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::error::{Refusal, ReplyError};
use lockstep_exchanges::follow::{Options, Told, View, follow};
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{
    Cause, Decimal, Fill, Instruments, MarginMode, Order, OrderKind, Position, PositionSide, Side, Text,
    Venue,
};
use lockstep_exchanges::operation::{NewOrder, Operation, Reply};
use lockstep_exchanges::protocol::{Context, Endpoints, Environment, Protocol};
use lockstep_exchanges::simulate::engine::Engine;
use lockstep_exchanges::simulate::server::{Simulator, Truth};
use lockstep_exchanges::simulate::venues::{account, start, wire};
use lockstep_exchanges::simulate::wire::{Incoming, Wire};
use lockstep_exchanges::transport::socket::Settings;
use lockstep_exchanges::venues::{Generation, protocol_of};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

pub const NOW_MS: u64 = 1_700_000_000_000;
pub const KEY: &str = "test_api_key";
/// How long something may take to be told.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn credentials(secret: &str) -> Credentials {
    Credentials::new(KEY, secret, Some("test_passphrase".to_owned()))
}

/// The address of a simulator in place of the venue's, with the venue's path.
fn at(address: &str, base: &str) -> String {
    let path = Url::parse(address)
        .unwrap()
        .path()
        .trim_end_matches('/')
        .to_owned();
    format!("{base}{path}")
}

/// The simulator without a network, and our words for it.
pub struct Door {
    pub wire: Box<dyn Wire>,
    pub engine: Engine,
    protocol: Box<dyn Protocol>,
    rest: String,
    pub instruments: Instruments,
    pub secret: &'static str,
    /// Where the requests went.
    pub paths: Vec<String>,
}

impl Door {
    pub fn new(venue: Venue, generation: Generation) -> Self {
        let (wire, listed) = wire(venue);
        let mut engine = Engine::new(venue, listed, 1);
        engine.add_account(account(venue));
        engine.set_clock(NOW_MS);
        let protocol = protocol_of(venue, generation);
        Self {
            wire,
            engine,
            instruments: protocol.known_instruments(),
            rest: at(&protocol.endpoints(Environment::Main).rest, "http://simulator"),
            protocol,
            secret: "test_secret",
            paths: Vec::new(),
        }
    }

    pub fn ask(&mut self, operation: &str, parameters: Value) -> Result<Reply, ReplyError> {
        let operation: Operation =
            serde_json::from_value(json!({ "operation": operation, "parameters": parameters })).unwrap();
        let context = Context {
            instruments: &self.instruments,
            timestamp_ms: NOW_MS,
        };
        let mut reply = None;
        for request in self.protocol.requests(&operation, &context).unwrap() {
            let signed = self
                .protocol
                .sign(&request, &self.rest, Some(&credentials(self.secret)), NOW_MS)
                .unwrap();
            let url = Url::parse(&signed.url).unwrap();
            let incoming = Incoming {
                method: signed.method,
                path: url.path().to_owned(),
                raw_query: url.query().unwrap_or_default().to_owned(),
                headers: signed
                    .headers
                    .iter()
                    .map(|(name, value)| (name.to_lowercase(), value.clone()))
                    .collect(),
                body: signed.body,
                host: String::new(),
            };
            self.paths.push(incoming.path.clone());
            let response = self.wire.rest(&incoming, &mut self.engine);
            reply = Some(self.protocol.reply(&operation, &response, &self.instruments)?);
        }
        Ok(reply.expect("every operation has a request"))
    }

    pub fn refusal(&mut self, operation: &str, parameters: Value) -> (Refusal, String) {
        match self.ask(operation, parameters) {
            Err(ReplyError::Refused(error)) => (error.refusal, error.code.to_string()),
            other => panic!("{operation}: {other:?}"),
        }
    }

    pub fn orders(&mut self, operation: &str, parameters: Value) -> Vec<Order> {
        match self.ask(operation, parameters).unwrap() {
            Reply::Orders(orders) => orders,
            Reply::Order(order) => vec![*order],
            other => panic!("{operation}: {other:?}"),
        }
    }
}

/// An account that trades one instrument and is followed over sockets and REST.
pub struct Followed {
    pub exchange: Simulator,
    instrument: &'static str,
    asset: &'static str,
    told: mpsc::Receiver<Told>,
    pub view: View,
    /// What was told, and whether only a snapshot told of it.
    pub fills: Vec<(Fill, bool)>,
    /// How often stream and REST did not agree.
    pub disagreements: u32,
    stop: CancellationToken,
}

impl Followed {
    /// `instrument` settles in `asset`.
    pub async fn start(
        venue: Venue,
        generation: Generation,
        instrument: &'static str,
        asset: &'static str,
    ) -> Self {
        let exchange = start(venue, ([127, 0, 0, 1], 0).into(), None, 1).await.unwrap();
        let protocol = protocol_of(venue, generation);
        let real = protocol.endpoints(Environment::Main);
        let (http, socket) = (exchange.url(), exchange.url().replacen("http", "ws", 1));
        let options = Options {
            protocol: Arc::from(protocol),
            endpoints: Endpoints {
                rest: at(&real.rest, &http),
                public_socket: at(&real.public_socket, &socket),
                market_socket: at(&real.market_socket, &socket),
                private_socket: at(&real.private_socket, &socket),
            },
            credentials: credentials("test_secret"),
            marks: vec![Text::new(instrument)],
            snapshot_every: Duration::from_secs(2),
            settings: Settings::default(),
            health: Health::new(venue, Limits::default()),
        };
        let (sender, told) = mpsc::channel(1_024);
        let stop = CancellationToken::new();
        tokio::spawn(follow(options, sender, stop.clone()));
        let mut followed = Self {
            exchange,
            instrument,
            asset,
            told,
            view: View::default(),
            fills: Vec::new(),
            disagreements: 0,
            stop,
        };
        followed
            .until("the first snapshot", |followed| followed.view.certain)
            .await;
        followed
    }

    /// What the account has of the asset, without the profit of what is open.
    pub fn wallet(&self) -> Option<Decimal> {
        self.exchange
            .act(|engine| engine.balance_in(KEY, self.asset))
            .map(|balance| balance.wallet)
    }

    pub fn truth(&self) -> Truth {
        self.exchange.truth(KEY).unwrap()
    }

    pub async fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !reached(self) {
            match tokio::time::timeout_at(deadline, self.told.recv()).await {
                Ok(Some(Told::View(view))) => self.view = *view,
                Ok(Some(Told::Fill { fill, repaired })) => self.fills.push((*fill, repaired)),
                Ok(Some(Told::Disagreement(_))) => self.disagreements += 1,
                Ok(other) => panic!("while waiting for {what}: {other:?}"),
                Err(_) => panic!("waited for {what}; {:?}; the truth {:?}", self.view, self.truth()),
            }
        }
    }

    /// Until what is known is what is true, and every fill was told once.
    pub async fn until_true(&mut self, what: &str) {
        self.until(what, |followed| {
            let truth = followed.truth();
            let sizes = |positions: &[Position]| {
                let mut sizes: Vec<_> = positions
                    .iter()
                    .filter(|position| !position.size.is_zero())
                    .map(|position| (format!("{:?}", position.position_side), position.size))
                    .collect();
                sizes.sort();
                sizes
            };
            let wallet = followed.wallet();
            let told = followed
                .view
                .balances
                .iter()
                .find(|balance| balance.asset == followed.asset);
            followed.view.certain
                && sizes(&followed.view.positions) == sizes(&truth.positions)
                && told.map(|balance| balance.wallet) == wallet
                && followed.fills.len() == truth.fills.len()
        })
        .await;
    }

    pub fn trade(&self, side: Side, position_side: PositionSide, size: &str) {
        let order = NewOrder {
            instrument: Text::new(self.instrument),
            side,
            size: decimal(size),
            order_kind: OrderKind::Market,
            price: None,
            time_in_force: None,
            reduce_only: false,
            position_side,
            margin_mode: MarginMode::Cross,
            leverage: None,
            client_order_id: None,
        };
        self.exchange.act(|engine| engine.place(KEY, &order)).unwrap();
    }

    /// The venue closes a position by itself.
    pub fn force_close(&self, side: PositionSide, cause: Cause) {
        self.exchange
            .act(|engine| engine.force_close(KEY, self.instrument, side, cause));
    }

    pub fn causes(&self) -> Vec<Cause> {
        self.fills.iter().map(|(fill, _)| fill.cause).collect()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
