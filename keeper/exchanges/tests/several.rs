//! Several venues, and several accounts of one venue, at once: on simulators, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use lockstep_exchanges::aggregate::failover;
use lockstep_exchanges::aggregate::selection::{Candidate, Selected, Settings, follow_best, nothing};
use lockstep_exchanges::follow::{Told, View};
use lockstep_exchanges::follow_public::{PublicAccount, PublicOptions, follow_public};
use lockstep_exchanges::health::{Health, Limits, State};
use lockstep_exchanges::model::{
    Cause, Decimal, MarginMode, OrderKind, PositionSide, Scope, Side, Text, Venue,
};
use lockstep_exchanges::operation::NewOrder;
use lockstep_exchanges::protocol::{Endpoints, Environment, Protocol};
use lockstep_exchanges::simulate::engine::Account;
use lockstep_exchanges::simulate::faults::Fault;
use lockstep_exchanges::simulate::server::Simulator;
use lockstep_exchanges::simulate::venues::start;
use lockstep_exchanges::transport::http::Pool;
use lockstep_exchanges::transport::socket;
use lockstep_exchanges::transport::websocket::WebSockets;
use lockstep_exchanges::venues::protocol;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

async fn simulator(venue: Venue, step: Option<Duration>) -> Simulator {
    start(venue, ([127, 0, 0, 1], 0).into(), step, 1).await.unwrap()
}

fn reached(exchange: &Simulator) -> (Arc<dyn Protocol>, Endpoints) {
    let protocol: Arc<dyn Protocol> = Arc::from(protocol(exchange.venue()));
    let endpoints = protocol.endpoints(Environment::Main).moved_to(&exchange.url());
    (protocol, endpoints)
}

async fn until(
    selected: &mut watch::Receiver<Selected>,
    what: &str,
    wanted: impl FnMut(&Selected) -> bool,
) -> Selected {
    let found = tokio::time::timeout(PATIENCE, selected.wait_for(wanted)).await;
    let found = found.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"));
    found.unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_best_venue_falls_silent_or_down_and_the_next_best_is_chosen_until_it_is_back() {
    let exchanges = [
        simulator(Venue::Binance, Some(Duration::from_millis(50))).await,
        simulator(Venue::Okx, Some(Duration::from_millis(50))).await,
    ];
    let candidates: Vec<Candidate> = exchanges
        .iter()
        .map(|exchange| {
            let (protocol, endpoints) = reached(exchange);
            let limits = Limits {
                open_for: Duration::from_millis(500),
                ..Limits::default()
            };
            Candidate {
                protocol,
                endpoints,
                instrument: None,
                health: Health::new(exchange.venue(), limits),
            }
        })
        .collect();
    let health = candidates[0].health.clone();
    let settings = Settings {
        failover: failover::Settings {
            // A loaded machine may be late; that it is less than a second is tested on a clock that stands still.
            leave_after: Duration::from_millis(1_500),
            return_after: Duration::from_secs(1),
        },
        probe_every: Duration::from_millis(100),
        ..Settings::default()
    };
    let (tell, mut selected) = watch::channel(nothing("ETH".into()));
    let stop = CancellationToken::new();
    let following = tokio::spawn(follow_best(
        "ETH".into(),
        candidates,
        settings,
        Arc::new(Pool::new(Duration::from_secs(5)).unwrap()),
        Arc::new(WebSockets::new().unwrap()),
        tell,
        stop.clone(),
    ));
    let both = until(&mut selected, "both venues quote", |selected| {
        selected.venue == Some(Venue::Binance) && selected.venues.iter().all(|venue| venue.quote.is_some())
    })
    .await;
    let names: Vec<_> = both
        .venues
        .iter()
        .filter_map(|venue| venue.instrument.clone())
        .collect();
    assert_eq!(names, ["ETHUSDT", "ETH-USDT-SWAP"]);
    assert!(both.best.is_some());

    exchanges[0].fault(&Fault::SilentStream {
        scope: Scope::Public,
        milliseconds: 4_000,
    });
    let left = until(&mut selected, "the silent venue is left", |selected| {
        selected.venue == Some(Venue::Okx)
    })
    .await;
    assert_eq!(left.venues[0].quote, None);
    let best = left.best.unwrap();
    assert_eq!((best.bid.venue, best.ask.venue), (Venue::Okx, Venue::Okx));
    until(&mut selected, "it is gone back to", |selected| {
        selected.venue == Some(Venue::Binance)
    })
    .await;

    // Its sockets quote on, but requests fail: the circuit opens, and a probe of its own closes it again.
    // A probe that was under way may close it at once, so requests fail until the open circuit was seen.
    let failing = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            while health.state().is_usable() {
                health.failed();
            }
        }
    };
    let seen = until(&mut selected, "the circuit opens", |selected| {
        selected.venue == Some(Venue::Okx) && selected.venues[0].figures.state == State::Open
    });
    let open = tokio::select! {
        open = seen => open,
        () = failing => unreachable!("it fails for ever"),
    };
    assert!(open.venues[0].figures.errors_per_thousand > 0);
    until(
        &mut selected,
        "the circuit closes and it is gone back to",
        |selected| selected.venue == Some(Venue::Binance),
    )
    .await;
    assert!(health.state().is_usable());
    stop.cancel();
    following.await.unwrap();
}

fn order(side: Side, size: u32) -> NewOrder {
    NewOrder {
        instrument: "ETH".into(),
        side,
        size: Decimal::from(size),
        order_kind: OrderKind::Market,
        price: None,
        time_in_force: None,
        reduce_only: false,
        position_side: PositionSide::Net,
        margin_mode: MarginMode::Cross,
        leverage: None,
        client_order_id: None,
    }
}

struct Master {
    key: String,
    told: mpsc::Receiver<Told>,
    view: View,
    fills: Vec<(Cause, Decimal)>,
}

impl Master {
    fn size(&self) -> Decimal {
        self.view.positions.iter().map(|position| position.size).sum()
    }

    /// Reads until the account is certain and holds `size`, and so many fills were told.
    async fn holds(&mut self, size: i32, fills: usize) {
        let wanted = Decimal::from(size);
        let read = async {
            while !self.view.certain || self.size() != wanted || self.fills.len() < fills {
                match self.told.recv().await.unwrap() {
                    Told::View(view) => self.view = *view,
                    Told::Fill { fill, .. } => self.fills.push((fill.cause, fill.side.signed(fill.size))),
                    other => panic!("{other:?}"),
                }
            }
        };
        let read = tokio::time::timeout(PATIENCE, read).await;
        assert!(
            read.is_ok(),
            "{} holds {} with {} fills and not {size} with {fills}, certain: {}",
            self.key,
            self.size(),
            self.fills.len(),
            self.view.certain
        );
    }
}

/// More accounts than the venue lets one address follow the streams of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dozen_hyperliquid_accounts_are_followed_by_the_trades_that_name_them() {
    let exchange = simulator(Venue::Hyperliquid, None).await;
    let (mut accounts, mut masters) = (Vec::new(), Vec::new());
    for number in 1..=12_u32 {
        let key = format!("0x{number:040x}");
        exchange.act(|engine| engine.add_account(Account::new(&key, "", "", Decimal::from(1_000_000))));
        let (tell, told) = mpsc::channel(1_024);
        accounts.push(PublicAccount {
            // Addresses are written with capitals too.
            user: Text::new(key.to_uppercase().replacen("0X", "0x", 1)),
            instruments: vec!["ETH".into()],
            told: tell,
        });
        masters.push(Master {
            key,
            told,
            view: View::default(),
            fills: Vec::new(),
        });
    }
    let (protocol, endpoints) = reached(&exchange);
    let options = PublicOptions {
        protocol,
        endpoints,
        settings: socket::Settings {
            first_backoff: Duration::from_millis(50),
            ..socket::Settings::default()
        },
        snapshot_every: Duration::from_secs(600),
        health: Health::new(Venue::Hyperliquid, Limits::default()),
        accounts,
    };
    let stop = CancellationToken::new();
    let following = tokio::spawn(follow_public(options, stop.clone()));
    for master in &mut masters {
        master.holds(0, 0).await;
    }
    let trade = |key: &str, side, size| {
        exchange
            .act(|engine| engine.place(key, &order(side, size)))
            .unwrap()
    };

    // One trades, and it is one that changes; who is not named is not asked about.
    trade(&masters[3].key, Side::Buy, 7);
    masters[3].holds(7, 1).await;
    assert_eq!(masters[3].fills, [(Cause::User, Decimal::from(7))]);
    assert!(masters[3].view.changed_ms > 0);
    for (master, size) in masters.iter().zip(1_u32..) {
        trade(&master.key, Side::Sell, size);
    }
    for (number, master) in masters.iter_mut().enumerate() {
        let before = if number == 3 { 7 } else { 0 };
        master.holds(before - i32::try_from(number + 1).unwrap(), 0).await;
    }

    // What happened while the trades were not heard is found by the snapshot afterwards.
    exchange.fault(&Fault::Disconnect { scope: Scope::Public });
    trade(&masters[0].key, Side::Buy, 5);
    masters[0].holds(4, 0).await;

    // Whose receiver is gone is followed no more, and the others are.
    drop(masters.remove(1));
    trade(&masters[1].key, Side::Sell, 1);
    masters[1].holds(-4, 0).await;
    stop.cancel();
    following.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_prints_the_best_prices_the_chosen_venue_and_everyone_s_health() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    let exchanges = [
        simulator(Venue::Bybit, Some(Duration::from_millis(50))).await,
        simulator(Venue::Deribit, Some(Duration::from_millis(50))).await,
    ];
    let endpoints: std::collections::BTreeMap<Venue, Endpoints> = exchanges
        .iter()
        .map(|exchange| (exchange.venue(), reached(exchange).1))
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_vec(&endpoints).unwrap()).unwrap();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_exchanges"))
        .args([
            "watch",
            "--best",
            "btc",
            "--venues",
            "bybit,deribit",
            "--endpoints",
        ])
        .arg(file.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut logs = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut line_with = async |what: &str, wanted: fn(&serde_json::Value) -> bool| {
        let read = async {
            loop {
                let line = lines.next_line().await.unwrap().unwrap();
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                if wanted(&line) {
                    return line;
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect(what)
    };
    let line = line_with("both venues quote", |line| {
        let quoted = |number: usize| line["venues"][number]["bid"].is_string();
        line["chosen"] == "bybit" && quoted(0) && quoted(1)
    })
    .await;
    assert_eq!(line["symbol"], "btc");
    assert_eq!(line["venues"][0]["instrument"], "BTCUSDT");
    assert_eq!(line["venues"][1]["instrument"], "BTC_USDC-PERPETUAL");
    for side in ["bid", "ask"] {
        let price: Decimal = line[side]["price"].as_str().unwrap().parse().unwrap();
        assert!(price > Decimal::ZERO && line[side]["venue"].is_string(), "{line}");
    }
    for venue in line["venues"].as_array().unwrap() {
        assert_eq!(venue["health"]["state"], "healthy", "{line}");
        assert!(venue["health"]["data_age_ms"].is_u64(), "{line}");
    }

    exchanges[0].fault(&Fault::SilentStream {
        scope: Scope::Public,
        milliseconds: 600_000,
    });
    let line = line_with("the silent venue is left", |line| line["chosen"] == "deribit").await;
    assert_eq!(line["venues"][0]["bid"], serde_json::Value::Null, "{line}");
    let logged = async {
        loop {
            let log = logs.next_line().await.unwrap().unwrap();
            if log.contains(r#"from="bybit""#) && log.contains("why=Silent") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, logged)
        .await
        .expect("the change is logged with its reason");
}
