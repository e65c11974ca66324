//! `memory`: what a client holds that has subscribed to 300 symbols on each of the seven venues.
//!
//! The venues are simulators in processes of their own, so that only the client's memory is counted. Everything goes the
//! way it goes in use: the list of instruments over REST, the subscriptions and the frames over sockets, books from
//! snapshots and changes.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use lockstep_exchanges::aggregate::market::{Market, Quantity};
use lockstep_exchanges::aggregate::scanner::Matches;
use lockstep_exchanges::book::OrderBook;
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{Event, Funding, Instrument, Instruments, Mark, Stream, Text, Ticker, Venue};
use lockstep_exchanges::operation::{BookQuery, Empty, Operation, Reply};
use lockstep_exchanges::protocol::{Endpoints, Environment, Protocol};
use lockstep_exchanges::transport::backoff::ConnectLimiter;
use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
use lockstep_exchanges::transport::dedupe::Seen;
use lockstep_exchanges::transport::feed::{Feed, Receiver, Sender, channel};
use lockstep_exchanges::transport::http::Pool;
use lockstep_exchanges::transport::ledger::MemoryLedger;
use lockstep_exchanges::transport::limiter::Limiter;
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::rest::{Client, Parts, Patience};
use lockstep_exchanges::transport::socket::{Handle, Plan, Settings, plan, start};
use lockstep_exchanges::transport::websocket::WebSockets;
use lockstep_exchanges::venues::protocol;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{Figure, SYMBOLS};

/// Prices on each side of every book.
const LEVELS: u32 = 50;
/// The depth that Binance is asked for where a book starts over REST.
const SNAPSHOT_LEVELS: u32 = 100;
/// Milliseconds between price moves.
const STEP_MS: u32 = 2_000;
/// Fills remembered of the one account per venue that is followed.
const FILLS: usize = 10_000;
/// Room for messages between sockets and reader.
const ROOM: usize = 65_536;
/// Longest time until all that was subscribed to has come.
const PATIENCE: Duration = Duration::from_secs(180);
/// Copies of all books that are made to see how much one takes.
const COPIES: usize = 3;

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

/// A venue in a process of its own.
async fn simulator(venue: Venue) -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            "simulate",
            venue.name(),
            "--symbols",
            &SYMBOLS.to_string(),
            "--levels",
            &LEVELS.to_string(),
            "--step-ms",
            &STEP_MS.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().context("no output of the simulator")?;
    let url = BufReader::new(output)
        .lines()
        .next_line()
        .await?
        .with_context(|| format!("the simulator of {venue} did not start"))?;
    Ok((child, url))
}

/// The venue's own paths at the simulator's address.
fn endpoints(protocol: &dyn Protocol, url: &str) -> Endpoints {
    let real = protocol.endpoints(Environment::Main);
    let socket = url.replacen("http", "ws", 1);
    let at = |real: &str| {
        let path = real.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        format!("{socket}/{}", path.map_or("", |(_, path)| path))
    };
    Endpoints {
        rest: url.to_owned(),
        public_socket: at(&real.public_socket),
        market_socket: at(&real.market_socket),
        private_socket: at(&real.private_socket),
    }
}

/// What is held of one venue.
struct Held {
    client: Client,
    instruments: Vec<Instrument>,
    books: HashMap<Text, OrderBook>,
    tickers: HashMap<Text, Ticker>,
    marks: HashMap<Text, Mark>,
    funding: HashMap<Text, Funding>,
    fills: Seen,
    /// Running sockets.
    sockets: Vec<Handle>,
}

impl Held {
    /// Reads the venue's instruments.
    async fn connect(venue: Venue, url: &str) -> anyhow::Result<(Self, Endpoints)> {
        let protocol = protocol(venue);
        let endpoints = endpoints(protocol.as_ref(), url);
        let client = Client::new(Parts {
            instruments: protocol.known_instruments(),
            protocol: Arc::from(protocol),
            http: Arc::new(Pool::new(Duration::from_secs(10))?),
            rest: endpoints.rest.clone(),
            credentials: None,
            clock: VenueClock::new(venue, LocalClock::start()),
            limiter: Limiter::new(venue),
            health: Health::new(venue, Limits::default()),
            ledger: Arc::new(MemoryLedger::default()),
            patience: Patience::of(venue),
            random: Random::from_process(),
        });
        let Reply::Instruments(instruments) = client.read(&Operation::Instruments(Empty {})).await? else {
            bail!("{venue} answered with something else than its instruments");
        };
        ensure!(
            instruments.len() >= SYMBOLS,
            "{venue} lists {} instruments, not {SYMBOLS}",
            instruments.len()
        );
        let instruments: Vec<Instrument> = instruments.into_iter().take(SYMBOLS).collect();
        client.set_instruments(Instruments::new(venue, instruments.iter().cloned()));
        let books = instruments
            .iter()
            .map(|one| (one.instrument.clone(), OrderBook::new(one)))
            .collect();
        let mut fills = Seen::new(FILLS);
        if let Some(first) = instruments.first() {
            for id in 0..FILLS {
                fills.insert(&first.instrument, &Text::from(format!("{:019}", id)));
            }
        }
        Ok((
            Self {
                client,
                instruments,
                books,
                tickers: HashMap::new(),
                marks: HashMap::new(),
                funding: HashMap::new(),
                fills,
                sockets: Vec::new(),
            },
            endpoints,
        ))
    }

    /// Subscribes to best prices, mark prices and books of all of them. Gives how many sockets that takes.
    fn subscribe(
        &mut self,
        endpoints: Endpoints,
        first: u32,
        sender: &Sender,
        sockets: &Arc<WebSockets>,
    ) -> anyhow::Result<u32> {
        let venue = self.client.venue();
        let streams = self
            .instruments
            .iter()
            .flat_map(|one| {
                let instrument = || one.instrument.clone();
                [
                    Stream::Ticker {
                        instrument: instrument(),
                    },
                    Stream::Mark {
                        instrument: instrument(),
                    },
                    Stream::Book {
                        instrument: instrument(),
                    },
                ]
            })
            .collect();
        let whole = Plan {
            protocol: Arc::from(protocol(venue)),
            endpoints,
            streams,
            index: 0,
            credentials: None,
            keys: None,
            instruments: self.client.instruments(),
            clock: self.client.clock().clone(),
            settings: Settings {
                // Real venues take ten messages a second: with that the measurement would take minutes.
                pace: Duration::from_millis(1),
                // Whether everything came is looked at below; simulators on a busy machine may be slow.
                quotes_age: PATIENCE,
                answer_timeout: PATIENCE,
                ..Settings::default()
            },
        };
        let mut next = first;
        for plan in plan(&whole)? {
            self.sockets.push(start(
                plan,
                next,
                sockets.clone(),
                ConnectLimiter::of_process(),
                self.client.health().clone(),
                sender.clone(),
                Random::from_process(),
            ));
            next += 1;
        }
        Ok(next - first)
    }

    fn take(&mut self, event: Event) -> anyhow::Result<()> {
        let venue = self.client.venue();
        match event {
            Event::Ticker(ticker) => {
                self.tickers.insert(ticker.instrument.clone(), ticker);
            }
            Event::Mark(mark) => {
                self.marks.insert(mark.instrument.clone(), mark);
            }
            Event::Funding(funding) => {
                self.funding.insert(funding.instrument.clone(), funding);
            }
            Event::Book(change) => {
                let book = self
                    .books
                    .get_mut(&change.instrument)
                    .with_context(|| format!("{venue} {}: a book nobody asked for", change.instrument))?;
                book.apply(&change)
                    .with_context(|| format!("{venue} {}", change.instrument))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads the books over REST that the stream gives changes of only.
    async fn read_books(&mut self) -> anyhow::Result<()> {
        for one in &self.instruments {
            let Some(book) = self
                .books
                .get_mut(&one.instrument)
                .filter(|book| !book.is_whole())
            else {
                continue;
            };
            let query = Operation::Book(BookQuery {
                instrument: one.instrument.clone(),
                depth: Some(SNAPSHOT_LEVELS),
            });
            if let Reply::Book(snapshot) = self.client.read(&query).await? {
                book.apply(&snapshot)
                    .with_context(|| format!("{} {}", self.client.venue(), one.instrument))?;
            }
        }
        Ok(())
    }

    /// Books that are whole and deep enough.
    fn whole_books(&self) -> usize {
        let levels = usize::try_from(LEVELS).unwrap_or(usize::MAX);
        self.books
            .values()
            .filter(|book| book.bids().count() >= levels && book.asks().count() >= levels)
            .count()
    }
}

/// Reads until every symbol has best prices, a mark price and a whole book.
async fn fill(
    held: &mut BTreeMap<Venue, Held>,
    whose: &HashMap<u32, Venue>,
    market: &mut Market,
    receiver: &mut Receiver,
) -> anyhow::Result<()> {
    let prices = [Quantity::Bid, Quantity::Ask, Quantity::Mark].map(|quantity| (market.column(quantity), 0));
    let known = market.table().condition(&prices, 1)?;
    let mut matches = Matches::default();
    let deadline = Instant::now() + PATIENCE;
    loop {
        // A second of messages, then a look at what is missing.
        let until = tokio::time::Instant::now() + Duration::from_secs(1);
        while let Ok(message) = tokio::time::timeout_at(until, receiver.receive()).await {
            let message = message.context("all sockets ended")?;
            let venue = *whose.get(&message.socket).context("a socket nobody started")?;
            match message.feed {
                Feed::Event { event, .. } => {
                    market.apply(venue, &event)?;
                    held.get_mut(&venue).context("a venue")?.take(event)?;
                }
                Feed::Connected { .. } => {}
                other => bail!("{venue}: {other:?}"),
            }
        }
        if let Some(binance) = held.get_mut(&Venue::Binance)
            && binance.tickers.len() == SYMBOLS
        {
            binance.read_books().await?;
        }
        let priced = market.table().scan(&known, &mut matches);
        let books: Vec<String> = held
            .iter()
            .map(|(venue, held)| format!("{venue} {}", held.whole_books()))
            .collect();
        let complete = held.values().all(|held| held.whole_books() == SYMBOLS);
        if complete && priced == market.len() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{priced} of {} symbols have prices; whole books: {}",
            market.len(),
            books.join(", ")
        );
    }
}

pub(super) async fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut simulators = Vec::new();
    for venue in Venue::ALL {
        simulators.push((venue, simulator(venue).await?));
    }
    let sockets = Arc::new(WebSockets::new()?);
    let before = resident_kib()?;
    let (sender, mut receiver) = channel(ROOM);
    let mut held = BTreeMap::new();
    let mut whose = HashMap::new();
    for (venue, (_, url)) in &simulators {
        let (mut one, endpoints) = Held::connect(*venue, url).await?;
        let first = u32::try_from(whose.len())?;
        let count = one.subscribe(endpoints, first, &sender, &sockets)?;
        whose.extend((first..first + count).map(|socket| (socket, *venue)));
        held.insert(*venue, one);
    }
    let mut market = Market::new(held.iter().flat_map(|(venue, held)| {
        held.instruments
            .iter()
            .map(|one| (*venue, one.instrument.clone()))
    }));
    fill(&mut held, &whose, &mut market, &mut receiver).await?;
    let after = resident_kib()?;
    let remembered: usize = held.values().map(|held| held.fills.len()).sum();
    ensure!(remembered == FILLS * Venue::ALL.len(), "fills were forgotten");

    let mut copies = Vec::new();
    for _ in 0..COPIES {
        copies.extend(held.values().flat_map(|held| held.books.values().cloned()));
    }
    let with_copies = resident_kib()?;
    let bytes = with_copies.saturating_sub(after) * 1_024 / u64::try_from(copies.len().max(1))?;
    black_box(&copies);

    let chosen = || {
        [
            ("venues", json!(Venue::ALL.len())),
            ("symbols", json!(SYMBOLS)),
            ("levels", json!(LEVELS)),
        ]
    };
    Ok(vec![
        Figure::new("memory", after.saturating_sub(before), "KiB", chosen()),
        Figure::new("memory_process", after, "KiB", chosen()),
        Figure::new("memory_book", bytes, "bytes", chosen()),
    ])
}
