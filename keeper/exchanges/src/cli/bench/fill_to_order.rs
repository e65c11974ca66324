//! `fill_to_order_latency`: a fill on a WebSocket to the signed order that answers it, at the venue's end.
//!
//! Our client and ccxt.pro run at the same time against the same simulator, each on an account of its own, and are given
//! fills in turn, so that whatever else the machine does hits both. Both have their connections open and their code warm.
//! The time begins when the simulator hands the account's messages to the socket, and ends when it has the order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use lockstep_exchanges::model::{Decimal, MarginMode, OrderKind, PositionSide, Side, Venue};
use lockstep_exchanges::operation::NewOrder;
use lockstep_exchanges::request::{Method, Response};
use lockstep_exchanges::simulate::engine::{Account, Engine, Reject, Update};
use lockstep_exchanges::simulate::server::{Options, Simulator};
use lockstep_exchanges::simulate::venues::wire;
use lockstep_exchanges::simulate::wire::{Cost, Frame, Incoming, Socket, Used, Wire};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use super::react::{Passed, unix_nanoseconds};
use super::{Figure, PERCENTILES, percentile, ratio};

/// Measured fills per client.
const FILLS: usize = 1_000;
/// Fills before the measured ones, while connections and caches warm up and node compiles what is used often.
const WARM: usize = 300;
/// Longest wait for one order.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a client to start: node reads all of ccxt first.
const START: Duration = Duration::from_secs(60);
/// So long nothing may come before the next fill, so that it finds both clients idle.
const QUIET: Duration = Duration::from_millis(5);

/// The clients and the keys of their accounts.
const OURS: &str = "lockstep";
const PEER: &str = "ccxt.pro";
const CLIENTS: [(&str, &str); 2] = [(OURS, "key_of_lockstep"), (PEER, "key_of_ccxt")];

/// An order came in.
struct Arrival {
    key: String,
    /// When the account's last messages had been handed to its socket, Unix nanoseconds.
    told: Option<u64>,
    /// When the order came, Unix nanoseconds.
    at: u64,
}

/// What our own client did in the time of one fill, nanoseconds.
const STAGES: [&str; 4] = [
    // Until the client has read the frame from its socket.
    "to the client",
    // Decoding, and the way to whoever reads the account.
    "event",
    // Limits, the ledger, the venue's words, the signature.
    "signed request",
    // HTTP, and the simulator's reading of the request.
    "to the venue",
];

/// A wire that notes when it tells an account something, and when an order of the account comes in.
struct Watched {
    inner: Box<dyn Wire>,
    told: Mutex<HashMap<String, u64>>,
    orders: mpsc::UnboundedSender<Arrival>,
}

impl Watched {
    fn told(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire for Watched {
    fn venue(&self) -> Venue {
        self.inner.venue()
    }

    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response {
        if request.method == Method::Post && request.path == "/fapi/v1/order" {
            let at = unix_nanoseconds();
            let key = request.header("x-mbx-apikey").unwrap_or_default().to_owned();
            let told = self.told().get(&key).copied();
            // Nobody listening is no loss: the benchmark is over.
            let _ = self.orders.send(Arrival { key, told, at });
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
        let frames = self.inner.push(socket, update, engine);
        // All messages of one trade are made before the first is sent: the last of them is the moment it goes out.
        if !frames.is_empty()
            && let Some(key) = &socket.account
        {
            self.told().insert(key.clone(), unix_nanoseconds());
        }
        frames
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

fn peer_script() -> anyhow::Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ccxt/react.mjs");
    ensure!(
        script.is_file(),
        "{} is not there: run it from the repository, after `npm ci`",
        script.display()
    );
    Ok(script)
}

fn client(name: &str, key: &str, url: &str) -> anyhow::Result<Child> {
    let mut command = if name == OURS {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("react");
        command
    } else {
        let mut command = Command::new("node");
        command.arg(peer_script()?);
        command
    };
    command
        .args([url, key])
        .stdin(Stdio::null())
        .stdout(if name == OURS {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{name} cannot be started"))
}

/// One fill and its answer, Unix nanoseconds.
#[derive(Clone, Copy)]
struct Round {
    told: u64,
    at: u64,
}

impl Round {
    const fn time(&self) -> u64 {
        self.at.saturating_sub(self.told)
    }

    /// In the order of [`STAGES`].
    const fn stages(&self, passed: &Passed) -> [u64; 4] {
        [
            passed.received.saturating_sub(self.told),
            passed.handed_over.saturating_sub(passed.received),
            passed.signed.saturating_sub(passed.handed_over),
            self.at.saturating_sub(passed.signed),
        ]
    }
}

/// Reads what our client says of each fill until it ends.
async fn read_passed(output: ChildStdout) -> anyhow::Result<Vec<Passed>> {
    let mut lines = BufReader::new(output).lines();
    let mut all = Vec::with_capacity(WARM + FILLS);
    while let Some(line) = lines.next_line().await? {
        all.push(serde_json::from_str(&line)?);
    }
    Ok(all)
}

/// The simulator, and the orders that come in.
struct Venues {
    simulator: Simulator,
    orders: mpsc::UnboundedReceiver<Arrival>,
}

impl Venues {
    async fn start() -> anyhow::Result<Self> {
        let (sender, orders) = mpsc::unbounded_channel();
        let (inner, listing) = wire(Venue::Binance);
        let mut engine = Engine::new(Venue::Binance, listing, 1);
        for (_, key) in CLIENTS {
            engine.add_account(Account::new(key, "test_secret", "", Decimal::from(1_000_000)));
        }
        let watched = Watched {
            inner,
            told: Mutex::default(),
            orders: sender,
        };
        let simulator = Simulator::start(Box::new(watched), engine, Options::default()).await?;
        Ok(Self { simulator, orders })
    }

    /// The account trades, alternately both ways, as somebody at the venue's own page would.
    fn trade(&self, key: &str) -> anyhow::Result<()> {
        self.simulator.act(|engine| {
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
                margin_mode: MarginMode::Cross,
                leverage: None,
                client_order_id: None,
            };
            engine
                .place(key, &order)
                .map(|_| ())
                .context("the simulated account cannot trade")
        })
    }

    /// Waits until nothing has come for a while. Gives how many came meanwhile.
    async fn quiet(&mut self) -> usize {
        let mut count = 0;
        while tokio::time::timeout(QUIET, self.orders.recv()).await.is_ok() {
            count += 1;
        }
        count
    }

    /// A client says that it is ready by answering a fill.
    async fn ready(&mut self, name: &str, key: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            ensure!(Instant::now() < deadline, "{name} never answered a fill");
            self.trade(key)?;
            let answered = tokio::time::timeout(Duration::from_millis(500), self.orders.recv()).await;
            if answered.is_ok() {
                break;
            }
        }
        self.quiet().await;
        Ok(())
    }

    /// One fill to the order that answers it.
    async fn round(&mut self, name: &str, key: &str) -> anyhow::Result<Round> {
        self.trade(key)?;
        let arrival = tokio::time::timeout(PATIENCE, self.orders.recv())
            .await
            .with_context(|| format!("{name} did not answer a fill"))?
            .context("the simulator ended")?;
        ensure!(
            arrival.key == key,
            "{name} was asked and {} answered",
            arrival.key
        );
        let told = arrival.told.context("an order before its fill was told")?;
        let more = self.quiet().await;
        ensure!(more == 0, "{name} answered one fill with {} orders", more + 1);
        Ok(Round { told, at: arrival.at })
    }
}

pub(super) async fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut venues = Venues::start().await?;
    let url = venues.simulator.url();
    let mut children = Vec::new();
    let mut passed = None;
    for (name, key) in CLIENTS {
        let mut child = client(name, key, &url)?;
        if let Some(output) = child.stdout.take() {
            passed = Some(tokio::spawn(read_passed(output)));
        }
        children.push(child);
        venues.ready(name, key).await?;
    }
    let mut rounds: HashMap<&str, Vec<Round>> = HashMap::new();
    for round in 0..WARM + FILLS {
        for (name, key) in CLIENTS {
            let told = venues.round(name, key).await?;
            if round >= WARM {
                rounds.entry(name).or_default().push(told);
            }
        }
    }
    for mut child in children {
        child.kill().await?;
    }
    let passed = passed.context("our client says nothing")?.await??;
    let mut figures = compared(&rounds)?;
    figures.extend(stages(rounds.get(OURS).context("no rounds of ours")?, &passed)?);
    Ok(figures)
}

/// Both clients' times, and how many times ours the other's are.
fn compared(rounds: &HashMap<&str, Vec<Round>>) -> anyhow::Result<Vec<Figure>> {
    let at = |name: &str, percent: usize| {
        let mut times: Vec<u64> = rounds.get(name)?.iter().map(Round::time).collect();
        times.sort_unstable();
        percentile(&times, percent)
    };
    let mut figures = Vec::new();
    for (name, percent) in PERCENTILES {
        let ours = at(OURS, percent).context("no times of ours")?;
        let theirs = at(PEER, percent).context("no times of the peer")?;
        let chosen = |client: &str| {
            [
                ("client", json!(client)),
                ("percentile", json!(name)),
                ("fills", json!(FILLS)),
            ]
        };
        for (client, value) in [(OURS, ours), (PEER, theirs)] {
            figures.push(Figure::new(
                "fill_to_order_latency",
                value / 1_000,
                "us",
                chosen(client),
            ));
        }
        figures.push(Figure::new(
            "fill_to_order_latency",
            ratio(theirs, ours),
            "times",
            chosen("ccxt.pro / lockstep"),
        ));
    }
    Ok(figures)
}

/// Where our own time went. Our client says one line per fill, also of those before the measured ones: the line of a round
/// is the one whose frame came in its time.
fn stages(rounds: &[Round], passed: &[Passed]) -> anyhow::Result<Vec<Figure>> {
    let all: Vec<[u64; 4]> = rounds
        .iter()
        .map(|round| {
            let during = |passed: &&Passed| (round.told..=round.at).contains(&passed.received);
            passed
                .iter()
                .find(during)
                .map(|passed| round.stages(passed))
                .context("our client did not tell of a fill that it answered")
        })
        .collect::<anyhow::Result<_>>()?;
    let mut figures = Vec::new();
    for (place, stage) in STAGES.into_iter().enumerate() {
        let mut times: Vec<u64> = all.iter().filter_map(|times| times.get(place).copied()).collect();
        times.sort_unstable();
        for (name, percent) in PERCENTILES {
            figures.push(Figure::new(
                "fill_to_order_stage",
                percentile(&times, percent).context("no times of a stage")? / 1_000,
                "us",
                [("stage", json!(stage)), ("percentile", json!(name))],
            ));
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_of_a_fill_are_the_whole_of_its_time() {
        let round = Round {
            told: 1_000,
            at: 9_000,
        };
        let passed = Passed {
            received: 2_000,
            handed_over: 4_000,
            signed: 8_500,
        };
        assert_eq!(round.stages(&passed), [1_000, 2_000, 4_500, 500]);
        assert_eq!(round.stages(&passed).iter().sum::<u64>(), round.time());
    }

    #[test]
    fn lines_of_fills_before_the_measured_ones_are_left_out() {
        let passed = |received| Passed {
            received,
            handed_over: received,
            signed: received,
        };
        let rounds = [Round {
            told: 5_000_000,
            at: 9_000_000,
        }];
        let figures = stages(&rounds, &[passed(1), passed(7_000_000)]).unwrap();
        let first = figures.first().unwrap();
        assert_eq!((first.name, &first.value), ("fill_to_order_stage", &json!(2_000)));
        assert!(stages(&rounds, &[]).is_err());
    }
}
