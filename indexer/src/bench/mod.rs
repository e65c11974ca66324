//! `lockstep-indexer bench`: events per second from a local chain into a store, by the path that every block takes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::follow::{Follower, Options};
use crate::model::{Series, StrategyQuery};
use crate::store;
use crate::synthetic::{self, Emitted, World};

pub mod chain;
pub mod postgres;

/// Of `bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Events on the chain: signals, batches and NAV points in equal parts.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// Accounts in a batch.
    #[arg(long, default_value_t = 2)]
    lines: usize,
    /// Measure this store only.
    #[arg(long, value_enum)]
    store: Option<Engine>,
    /// The local node.
    #[arg(long, default_value = "node_modules/.bin/anvil", value_name = "FILE")]
    anvil: PathBuf,
    /// Print one JSON object per store.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

const STRATEGIES: usize = 10;
const FOLLOWERS: usize = 20;
/// Batches of one block: with two lines each about as many bytes of logs as a full block of an L2 holds.
const BATCHES_PER_BLOCK: usize = 30;

/// Runs it.
///
/// # Errors
/// When anvil or a store cannot be started.
pub async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut local = chain::LocalChain::start(&arguments.anvil).await?;
    let events = fill(&mut local, arguments).await?;
    let engines = match arguments.store {
        Some(engine) => vec![engine],
        None => vec![Engine::Sqlite, Engine::Postgres],
    };
    for engine in engines {
        // Who asked for all gets what can be had; who asked for this one gets the error.
        if engine == Engine::Postgres
            && arguments.store.is_none()
            && let Err(missing) = postgres::installed()
        {
            eprintln!("PostgreSQL is not measured: {missing:#}");
            continue;
        }
        let took = measure(&local, engine, events).await?;
        let rate = u128::from(events) * 1_000_000 / took.as_micros().max(1);
        if arguments.json {
            let line = json!({
                "figure": "indexer_rate",
                "value": u64::try_from(rate)?,
                "unit": "events/s",
                "parameters": { "store": engine.name(), "events": events, "lines_per_batch": arguments.lines },
            });
            println!("{line}");
        } else {
            println!(
                "{}: {rate} events/s ({events} events in {took:.2?})",
                engine.name()
            );
        }
    }
    Ok(())
}

/// Puts the events on the chain; gives how many there are.
async fn fill(local: &mut chain::LocalChain, arguments: &Arguments) -> anyhow::Result<u64> {
    let deployment = synthetic::deployment(local.chain_id().await?, 1);
    let mut world = World::new(deployment, 1);
    let mut time = now() + 10;
    let mut count = 0;
    let mut emit = async |mut logs: Vec<Emitted>, time: u64| {
        synthetic::stamp(&mut logs, time);
        count += logs.len() as u64;
        local.emit(&logs, time).await.map(|()| count)
    };
    let mut start = world.listings();
    start.extend((0..STRATEGIES).flat_map(|_| world.register()).collect::<Vec<_>>());
    emit(start, time).await?;
    let mut done = 0;
    for shard in 0..STRATEGIES {
        time += 60;
        let logs = (0..FOLLOWERS).flat_map(|_| world.follow(shard)).collect();
        done = emit(logs, time).await?;
    }
    let mut shard = 0;
    while done < arguments.events {
        time += 60;
        let left = usize::try_from((arguments.events - done).div_ceil(3))?;
        let mut logs: Vec<Emitted> = (0..BATCHES_PER_BLOCK.min(left))
            .flat_map(|_| world.batch(shard, arguments.lines, time))
            .collect();
        // All of one emitter in one transaction.
        logs.sort_by_key(|log| log.address);
        done = emit(logs, time).await?;
        shard = (shard + 1) % STRATEGIES;
    }
    Ok(done)
}

async fn measure(local: &chain::LocalChain, engine: Engine, events: u64) -> anyhow::Result<Duration> {
    let directory = tempfile::tempdir()?;
    let cluster = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(postgres::Cluster::start()?),
    };
    let url = match &cluster {
        None => format!("sqlite://{}", directory.path().join("bench.db").display()),
        Some(cluster) => cluster.database()?,
    };
    let store = store::open_writer(&url).await?;
    let deployment = synthetic::deployment(local.chain_id().await?, 1);
    let options = Options {
        urls: vec![local.url().clone()],
        ..Options::default()
    };
    let mut follower = Follower::new(deployment, store, options).await?;
    let begun = Instant::now();
    follower.catch_up().await?;
    let took = begun.elapsed();

    // Fast is worth nothing when something is missing.
    let reader = store::open_reader(&url).await?;
    let strategies = reader
        .strategies(&StrategyQuery::default(), &Default::default())
        .await?
        .items;
    ensure!(
        strategies.len() == STRATEGIES,
        "{} strategies were found",
        strategies.len()
    );
    let (mut points, mut batches) = (0, 0);
    for strategy in &strategies {
        let last = reader
            .nav_latest(Series::Strategy(strategy.id))
            .await?
            .context("a strategy without NAV")?;
        points += last.index + 1;
        batches += strategy.statistics.delay_ms.samples;
    }
    let rest = (2 + 3 * STRATEGIES + 4 * STRATEGIES * FOLLOWERS) as u64;
    let first_points = (STRATEGIES + STRATEGIES * FOLLOWERS) as u64;
    ensure!(
        points == batches + first_points,
        "{points} NAV points and {batches} batches"
    );
    ensure!(
        rest + 3 * batches == events,
        "{batches} batches of {events} events"
    );
    Ok(took)
}

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
