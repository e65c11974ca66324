use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use lockstep_exchanges::aggregate::best::At;
use lockstep_exchanges::aggregate::selection::{
    Candidate, Selected, Settings, Standing, follow_best, nothing,
};
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{Text, Venue};
use lockstep_exchanges::protocol::{Endpoints, Environment, Protocol};
use lockstep_exchanges::transport::http::{Http, Pool};
use lockstep_exchanges::transport::socket::Connect;
use lockstep_exchanges::transport::websocket::WebSockets;
use lockstep_exchanges::venues::protocol;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Longest request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A line is printed at least so often, though no price has changed: health has.
const AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// Prints best bid and ask over the venues, the chosen venue and each venue's health as JSON lines, until it is
/// interrupted. Changes of the chosen venue are logged on standard error, with the reason.
///
/// # Errors
/// When no venue is named, or there are no sockets.
pub(crate) async fn run(
    symbol: &str,
    venues: &[Venue],
    environment: Environment,
    mut endpoints: BTreeMap<Venue, Endpoints>,
) -> anyhow::Result<()> {
    anyhow::ensure!(
        !venues.is_empty(),
        "no venue to choose from: --venues binance,okx,bybit"
    );
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(tracing::Level::INFO)
        .try_init()
        .map_err(|error| anyhow::anyhow!("logs: {error}"))?;
    let mut candidates: Vec<Candidate> = Vec::new();
    for venue in venues {
        anyhow::ensure!(
            candidates
                .iter()
                .all(|candidate| candidate.health.venue() != *venue),
            "{venue} is named twice"
        );
        let protocol: Arc<dyn Protocol> = Arc::from(protocol(*venue));
        candidates.push(Candidate {
            endpoints: endpoints
                .remove(venue)
                .unwrap_or_else(|| protocol.endpoints(environment)),
            protocol,
            instrument: None,
            health: Health::new(*venue, Limits::default()),
        });
    }
    let http: Arc<dyn Http> = Arc::new(Pool::new(REQUEST_TIMEOUT).context("HTTP")?);
    let connect: Arc<dyn Connect> = Arc::new(WebSockets::new().context("sockets")?);
    let symbol = Text::new(symbol);
    let (tell, mut selected) = watch::channel(nothing(symbol.clone()));
    let stop = CancellationToken::new();
    let _ends_with_us = stop.clone().drop_guard();
    let following = follow_best(symbol, candidates, Settings::default(), http, connect, tell, stop);
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(()),
        () = following => Ok(()),
        printed = print(&mut selected) => printed,
    }
}

async fn print(selected: &mut watch::Receiver<Selected>) -> anyhow::Result<()> {
    let mut last = None;
    let mut ticks = tokio::time::interval(AT_LEAST_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = selected.changed() => {
                changed.context("nobody chooses any more")?;
                let now = selected.borrow_and_update();
                if last == Some((now.venue, now.best)) {
                    continue;
                }
                drop(now);
                ticks.reset();
            }
        }
        let now = selected.borrow_and_update().clone();
        if now.venues.is_empty() {
            continue;
        }
        last = Some((now.venue, now.best));
        println!("{}", line(&now));
    }
}

fn line(selected: &Selected) -> Value {
    let side = |at: At| json!({ "venue": at.venue, "price": at.level.price, "size": at.level.size });
    json!({
        "symbol": selected.symbol,
        "chosen": selected.venue,
        "bid": selected.best.map(|best| side(best.bid)),
        "ask": selected.best.map(|best| side(best.ask)),
        "venues": selected.venues.iter().map(venue).collect::<Vec<_>>(),
        "time_ms": now_ms(),
    })
}

fn venue(standing: &Standing) -> Value {
    json!({
        "venue": standing.venue,
        "instrument": standing.instrument,
        "bid": standing.quote.map(|quote| quote.bid.price),
        "ask": standing.quote.map(|quote| quote.ask.price),
        "health": standing.figures,
    })
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
