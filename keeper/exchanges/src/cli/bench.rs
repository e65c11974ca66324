use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use lockstep_exchanges::aggregate::scanner::{Matches, Scale, Table};
use lockstep_exchanges::book::OrderBook;
use lockstep_exchanges::model::{
    Book, Decimal, Event, Instrument, OrderKind, PositionSide, Scope, Side, Text, Venue,
};
use lockstep_exchanges::operation::NewOrder;
use lockstep_exchanges::request::{Method, Response};
use lockstep_exchanges::simulate::engine::{Engine, Reject, Update};
use lockstep_exchanges::simulate::server::{Options, Simulator};
use lockstep_exchanges::simulate::venues::{account, wire};
use lockstep_exchanges::simulate::wire::{Cost, Frame, Incoming, Socket, Used, Wire};
use lockstep_exchanges::venues::protocol;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// `exchanges bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Only those whose name contains it: decode_latency, fill_to_order_latency, scan_rate, memory.
    name: Option<String>,
    /// One JSON object per figure and line.
    #[arg(long)]
    json: bool,
}

/// Rounds per venue of `decode_latency`.
const DECODES: usize = 200_000;
/// Fills per client of `fill_to_order_latency`.
const FILLS: usize = 400;
/// Fills before the measured ones, while connections and caches warm up.
const WARM: usize = 50;
/// Symbols of `scan_rate` and `memory`: of each venue.
const SYMBOLS: usize = 300;
/// Scans of `scan_rate`.
const SCANS: usize = 20_000;
/// Longest wait for one order.
const PATIENCE: Duration = Duration::from_secs(10);

/// One measured figure.
struct Figure {
    name: &'static str,
    value: Value,
    unit: &'static str,
    parameters: BTreeMap<&'static str, Value>,
}

impl Figure {
    fn new<const N: usize>(
        name: &'static str,
        value: impl Into<Value>,
        unit: &'static str,
        parameters: [(&'static str, Value); N],
    ) -> Self {
        Self {
            name,
            value: value.into(),
            unit,
            parameters: parameters.into(),
        }
    }

    fn print(&self, as_json: bool) {
        if as_json {
            println!(
                "{}",
                json!({ "figure": self.name, "value": self.value, "unit": self.unit, "parameters": self.parameters })
            );
        } else {
            let parameters: Vec<String> = self
                .parameters
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            println!(
                "{:<24} {:>12} {:<12} {}",
                self.name,
                self.value.to_string(),
                self.unit,
                parameters.join(", ")
            );
        }
    }
}

impl Bench {
    /// Measures and prints.
    ///
    /// # Errors
    /// When a part cannot be run: no ccxt, no node.
    pub async fn run(self) -> anyhow::Result<()> {
        let wanted = |name: &str| {
            self.name
                .as_ref()
                .is_none_or(|wanted| name.contains(wanted.as_str()))
        };
        let print = |figures: Vec<Figure>| figures.iter().for_each(|figure| figure.print(self.json));
        if wanted("decode_latency") {
            print(decode_latency()?);
        }
        if wanted("scan_rate") {
            print(scan_rate()?);
        }
        if wanted("memory") {
            print(memory()?);
        }
        if wanted("fill_to_order_latency") {
            print(fill_to_order_latency().await?);
        }
        Ok(())
    }
}

/// p50 and p99 of measured times, nanoseconds.
fn percentiles(times: &mut [u64]) -> (u64, u64) {
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    (at(50), at(99))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The order fill of a venue as it comes over its socket: the longest of the recorded frames that hold one.
fn fill_frame(venue: Venue) -> anyhow::Result<Vec<u8>> {
    let text = match venue {
        Venue::Binance => include_str!("../../tests/fixtures/binance/ws.json"),
        Venue::Okx => include_str!("../../tests/fixtures/okx/ws.json"),
        Venue::Bybit => include_str!("../../tests/fixtures/bybit/ws.json"),
        Venue::Bitget => include_str!("../../tests/fixtures/bitget/ws.json"),
        Venue::Deribit => include_str!("../../tests/fixtures/deribit/ws.json"),
        Venue::Htx => include_str!("../../tests/fixtures/htx/ws.json"),
        Venue::Hyperliquid => include_str!("../../tests/fixtures/hyperliquid/ws.json"),
    };
    let file: Value = serde_json::from_str(text)?;
    let protocol = protocol(venue);
    let instruments = protocol.known_instruments();
    let frames = file["cases"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|case| case["payload"].to_string());
    frames
        .filter(|frame| {
            let mut events = Vec::new();
            let decoded = protocol.decode(frame.as_bytes(), Scope::Private, &instruments, &mut events);
            decoded.is_ok()
                && events
                    .iter()
                    .filter(|event| matches!(event, Event::Fill(_)))
                    .count()
                    == 1
        })
        .max_by_key(String::len)
        .or_else(|| own_fill_frame(venue).map(ToOwned::to_owned))
        .map(String::into_bytes)
        .with_context(|| format!("no recorded fill of {venue}"))
}

/// Where no recorded frame holds a single fill of a derivative: the fact sheet's.
const fn own_fill_frame(venue: Venue) -> Option<&'static str> {
    match venue {
        Venue::Binance => Some(
            r#"{"e":"ORDER_TRADE_UPDATE","T":1568879465651,"E":1568879465651,"o":{"s":"BTCUSDT","c":"TEST","S":"BUY","o":"LIMIT","f":"GTC","q":"0.001","p":"7100.50","ap":"7100.50","sp":"0","x":"TRADE","X":"PARTIALLY_FILLED","i":8886774,"l":"0.001","z":"0.001","L":"7100.50","N":"USDT","n":"0.01000000","T":1568879465651,"t":12345678,"b":"0","a":"0","m":true,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"LONG","cp":false,"AP":"0","cr":"0","pP":false,"si":0,"ss":0,"rp":"12.34","V":"EXPIRE_TAKER"}}"#,
        ),
        _ => None,
    }
}

/// Frame to normalised event, an order fill of each venue.
fn decode_latency() -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for venue in Venue::ALL {
        let protocol = protocol(venue);
        let instruments = protocol.known_instruments();
        let frame = fill_frame(venue)?;
        let mut events = Vec::with_capacity(8);
        let mut times = Vec::with_capacity(DECODES);
        for round in 0..DECODES + DECODES / 10 {
            events.clear();
            let begin = Instant::now();
            protocol.decode(black_box(&frame), Scope::Private, &instruments, &mut events)?;
            let time = begin.elapsed();
            black_box(&events);
            if round >= DECODES / 10 {
                times.push(nanoseconds(time));
            }
        }
        let (p50, p99) = percentiles(&mut times);
        for (percentile, value) in [("p50", p50), ("p99", p99)] {
            figures.push(Figure::new(
                "decode_latency",
                value,
                "ns",
                [
                    ("venue", json!(venue)),
                    ("percentile", json!(percentile)),
                    ("bytes", json!(frame.len())),
                ],
            ));
        }
    }
    Ok(figures)
}

/// A condition over all symbols of all venues, evaluated again and again on one core.
fn scan_rate() -> anyhow::Result<Vec<Figure>> {
    let rows = SYMBOLS * Venue::ALL.len();
    // Bid, ask, mark, funding rate.
    let mut table = Table::new(rows, &[Scale::new(8); 4]);
    let column = |place| table.column(place).context("a column");
    let (bid, ask, mark) = (column(0)?, column(1)?, column(2)?);
    for place in 0..rows {
        let row = table.row(place).context("a row")?;
        let price = Decimal::from(1_000 + place);
        table.set(row, bid, price - Decimal::ONE)?;
        table.set(row, ask, price + Decimal::ONE)?;
        table.set(row, mark, price + Decimal::from(place % 7) - Decimal::from(3))?;
    }
    let condition = table.condition(&[(mark, 2), (bid, -1), (ask, -1)], 0)?;
    let mut matches = Matches::default();
    let row = table.row(0).context("a row")?;
    let begin = Instant::now();
    let mut found = 0_usize;
    for round in 0..SCANS {
        // One symbol changes, all are evaluated.
        table.set(row, mark, Decimal::from(1_000 + round % 5))?;
        found += black_box(table.scan(black_box(&condition), &mut matches));
    }
    let time = begin.elapsed();
    ensure!(found > 0, "the condition held nowhere");
    let evaluated = u64::try_from(rows * SCANS)?;
    let per_second = u128::from(evaluated) * 1_000_000_000 / time.as_nanos().max(1);
    Ok(vec![Figure::new(
        "scan_rate",
        u64::try_from(per_second)?,
        "symbols/s",
        [("symbols", json!(rows)), ("scans", json!(SCANS))],
    )])
}

/// Resident memory of this process, KiB.
fn resident_kib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("memory is measured on Linux only")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .context("no VmRSS")?;
    let number = line.split_whitespace().nth(1).context("no number after VmRSS")?;
    Ok(number.parse()?)
}

/// What books and tickers of 300 symbols on each of seven venues take.
fn memory() -> anyhow::Result<Vec<Figure>> {
    let before = resident_kib()?;
    let mut books = Vec::new();
    let mut engines = Vec::new();
    for venue in Venue::ALL {
        let (_, listing) = wire(venue);
        let (instrument, price) = listing.into_iter().next().context("an instrument")?;
        let engine = Engine::new(venue, [(instrument.clone(), price)], 1);
        let quote = engine.quote(&instrument.instrument).context("a quote")?.clone();
        let template: Book = engine.book(&quote);
        for number in 0..SYMBOLS {
            let name = Text::from(format!("SYMBOL{number}"));
            let snapshot = Book {
                instrument: name.clone(),
                ..template.clone()
            };
            let mut book = OrderBook::new(&Instrument {
                instrument: name,
                ..instrument.clone()
            });
            book.apply(&snapshot)?;
            books.push(book);
        }
        engines.push(engine);
    }
    let after = resident_kib()?;
    black_box(&books);
    Ok(vec![Figure::new(
        "memory",
        after.saturating_sub(before),
        "KiB",
        [
            ("venues", json!(Venue::ALL.len())),
            ("symbols", json!(SYMBOLS)),
            ("books", json!(books.len())),
            ("process_kib", json!(after)),
        ],
    )])
}

/// A wire that notes when an order came in.
struct Watched {
    inner: Box<dyn Wire>,
    orders: Mutex<mpsc::UnboundedSender<Instant>>,
}

impl Wire for Watched {
    fn venue(&self) -> Venue {
        self.inner.venue()
    }

    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response {
        if request.method == Method::Post && request.path == "/fapi/v1/order" {
            // Nobody listening is no loss: the benchmark is over.
            let _ = self
                .orders
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .send(Instant::now());
        }
        self.inner.rest(request, engine)
    }

    fn acts(&self, request: &Incoming) -> bool {
        self.inner.acts(request)
    }

    fn costs(&self, _request: &Incoming) -> Vec<Cost> {
        // What is measured is the client, not its patience with a limit.
        Vec::new()
    }

    fn limit_headers(&self, used: &[Used]) -> Vec<(String, String)> {
        self.inner.limit_headers(used)
    }

    fn too_many(&self, retry_after_seconds: u64, banned: bool, now_ms: u64) -> Response {
        self.inner.too_many(retry_after_seconds, banned, now_ms)
    }

    fn internal_error(&self) -> Response {
        self.inner.internal_error()
    }

    fn opened(&self, socket: &mut Socket, engine: &mut Engine) -> Vec<Frame> {
        self.inner.opened(socket, engine)
    }

    fn message(&self, socket: &mut Socket, text: &str, engine: &mut Engine) -> Vec<Frame> {
        self.inner.message(socket, text, engine)
    }

    fn push(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame> {
        self.inner.push(socket, update, engine)
    }

    fn server_ping(&self, socket: &Socket, now_ms: u64) -> Option<(Frame, u64)> {
        self.inner.server_ping(socket, now_ms)
    }

    fn maintenance(&self, socket: &Socket) -> Option<Frame> {
        self.inner.maintenance(socket)
    }

    fn expire_sessions(&self, socket: &mut Socket, engine: &mut Engine) -> Vec<Frame> {
        self.inner.expire_sessions(socket, engine)
    }

    fn reject(&self, reject: &Reject) -> (String, String) {
        self.inner.reject(reject)
    }
}

/// A fill on the socket to the signed order that answers it, at the venue's end: our client and ccxt.pro, one after the
/// other, against the same simulator.
async fn fill_to_order_latency() -> anyhow::Result<Vec<Figure>> {
    let peer = peer_script();
    ensure!(
        peer.is_file(),
        "{} is not there: run it from the repository, after `npm ci`",
        peer.display()
    );
    let (sender, mut orders) = mpsc::unbounded_channel();
    let (inner, listing) = wire(Venue::Binance);
    let mut engine = Engine::new(Venue::Binance, listing, 1);
    let master = account(Venue::Binance);
    let key = master.key.clone();
    engine.add_account(master);
    let watched = Watched {
        inner,
        orders: Mutex::new(sender),
    };
    let simulator = Simulator::start(Box::new(watched), engine, Options::default()).await?;
    let ours = vec![
        std::env::current_exe()?.into_os_string(),
        "react".into(),
        simulator.url().into(),
    ];
    let theirs = vec!["node".into(), peer.into_os_string(), simulator.url().into()];
    let mut figures = Vec::new();
    for (client, command) in [("lockstep", ours), ("ccxt.pro", theirs)] {
        let (program, arguments) = command.split_first().context("a program")?;
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{client} cannot be started"))?;
        let mut times = Vec::with_capacity(FILLS);
        // The client says that it is ready by answering the first fill it sees.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            ensure!(Instant::now() < deadline, "{client} never answered a fill");
            trade(&simulator, &key)?;
            if tokio::time::timeout(Duration::from_millis(500), orders.recv())
                .await
                .is_ok()
            {
                break;
            }
        }
        drain(&mut orders).await;
        for round in 0..WARM + FILLS {
            let begin = Instant::now();
            trade(&simulator, &key)?;
            let answered = tokio::time::timeout(PATIENCE, orders.recv())
                .await
                .with_context(|| format!("{client} did not answer fill {round}"))?
                .context("the simulator ended")?;
            if round >= WARM {
                times.push(nanoseconds(answered.saturating_duration_since(begin)));
            }
            // One message may tell of a fill twice; a client must answer once, and what follows must find it idle.
            drain(&mut orders).await;
        }
        child.kill().await?;
        let (p50, p99) = percentiles(&mut times);
        for (percentile, value) in [("p50", p50), ("p99", p99)] {
            figures.push(Figure::new(
                "fill_to_order_latency",
                value / 1_000,
                "us",
                [
                    ("client", json!(client)),
                    ("percentile", json!(percentile)),
                    ("fills", json!(FILLS)),
                ],
            ));
        }
    }
    Ok(figures)
}

/// Waits until nothing has come for a while.
async fn drain(orders: &mut mpsc::UnboundedReceiver<Instant>) {
    while tokio::time::timeout(Duration::from_millis(15), orders.recv())
        .await
        .is_ok()
    {}
}

/// The account trades, alternately both ways, as somebody at the venue's own page would.
fn trade(simulator: &Simulator, key: &str) -> anyhow::Result<()> {
    simulator.act(|engine| {
        let flat = engine.positions(key).is_empty();
        let order = NewOrder {
            instrument: "ETHUSDT".into(),
            side: if flat { Side::Buy } else { Side::Sell },
            size: Decimal::new(1, 1),
            order_kind: OrderKind::Market,
            price: None,
            time_in_force: None,
            reduce_only: false,
            position_side: PositionSide::Net,
            margin_mode: lockstep_exchanges::model::MarginMode::Cross,
            leverage: None,
            client_order_id: None,
        };
        engine
            .place(key, &order)
            .map(|_| ())
            .context("the simulated account cannot trade")
    })
}

fn peer_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ccxt/react.mjs")
}

/// `exchanges react`: what `fill_to_order_latency` measures of ours. Follows the account of a Binance simulator and
/// answers each of its fills with an order far from the market.
#[derive(Debug, Args)]
pub struct React {
    /// Address of the simulator.
    url: String,
}

impl React {
    /// Runs until it is killed.
    ///
    /// # Errors
    /// When the simulator cannot be reached.
    pub async fn run(self) -> anyhow::Result<()> {
        use lockstep_exchanges::credentials::Credentials;
        use lockstep_exchanges::health::{Health, Limits};
        use lockstep_exchanges::model::{Stream, TimeInForce};
        use lockstep_exchanges::operation::Operation;
        use lockstep_exchanges::protocol::{Endpoints, Protocol};
        use lockstep_exchanges::transport::backoff::ConnectLimiter;
        use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
        use lockstep_exchanges::transport::dedupe::Seen;
        use lockstep_exchanges::transport::feed::{Feed, channel};
        use lockstep_exchanges::transport::http::Pool;
        use lockstep_exchanges::transport::ledger::MemoryLedger;
        use lockstep_exchanges::transport::limiter::Limiter;
        use lockstep_exchanges::transport::random::Random;
        use lockstep_exchanges::transport::rest::{Client, Parts, Patience};
        use lockstep_exchanges::transport::socket::{Plan, SessionKeys, Settings, start};
        use lockstep_exchanges::transport::websocket::WebSockets;

        let venue = Venue::Binance;
        let protocol: Arc<dyn Protocol> = Arc::from(protocol(venue));
        let credentials = Credentials::new("test_api_key", "test_secret", None);
        let endpoints = Endpoints::local(&self.url, "/ws", "/ws", "/private/ws");
        let client = Client::new(Parts {
            protocol: protocol.clone(),
            http: Arc::new(Pool::new(PATIENCE)?),
            rest: endpoints.rest.clone(),
            credentials: Some(credentials.clone()),
            instruments: protocol.known_instruments(),
            clock: VenueClock::new(venue, LocalClock::start()),
            // The venue's own limits would stop the measurement.
            limiter: Limiter::with(venue, []),
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
        let mut seen = Seen::new(1_000);
        while let Some(message) = receiver.receive().await {
            let Feed::Event {
                event: Event::Fill(fill),
                ..
            } = message.feed
            else {
                continue;
            };
            // The fast message and the full one tell of the same fill.
            if !seen.insert(&fill.instrument, &fill.trade_id) {
                continue;
            }
            let order = Operation::PlaceOrder(NewOrder {
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
                margin_mode: lockstep_exchanges::model::MarginMode::Cross,
                leverage: None,
                client_order_id: Some(Text::from(format!("react-{}", fill.trade_id))),
            });
            let outcome = client.act(&order).await;
            tracing::debug!(?outcome, "answered");
        }
        Ok(())
    }
}
