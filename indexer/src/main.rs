//! `lockstep-indexer`: see `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use lockstep_indexer::config::{Config, ENV_PREFIX};
use lockstep_indexer::follow::Follower;
use lockstep_indexer::{bench, http, store, verify};
use lockstep_service::{config, ending, logs, metrics, panics, shutdown};

/// Follows Lockstep's logs through reorgs into the store.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Configuration file (TOML); variables LOCKSTEP_INDEXER__… stand over it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look. RUST_LOG chooses what is logged.
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: logs::Format,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Follow the chain until stopped (the default).
    Run,
    /// Compare every NAV point, account and position in the store with the chain; exit 1 on the first difference.
    Verify {
        /// Only NAV points.
        #[arg(long)]
        nav_only: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure events per second from a local chain into a store.
    Bench(bench::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let format = arguments.log_format;
    ending::report(format, start(arguments).await)
}

async fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let format = arguments.log_format;
    let bench = matches!(arguments.command, Some(Command::Bench(_)));
    logs::init(format, if bench { "warn" } else { "info" })?;
    let read = || config::load::<Config>(arguments.config.as_deref(), ENV_PREFIX);
    match arguments.command {
        None | Some(Command::Run) => run(read()?).await,
        Some(Command::Verify { nav_only, json }) => check(&read()?, nav_only, json).await,
        Some(Command::Bench(bench)) => bench::run(&bench).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let stop = shutdown::on_signal()?;
    panics::install(stop.clone());
    let metrics = metrics::install(&[])?;
    let deployment = config.read_deployment()?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    let store = store::open_writer(&config.store).await.context("store")?;
    let mut follower = Follower::new(deployment, store, config.options()).await?;
    let door = tokio::spawn(http::serve(
        listener,
        follower.health(),
        metrics,
        config.ready,
        stop.clone(),
    ));
    tracing::info!(
        cursor = follower.cursor().map(|cursor| cursor.number),
        "following"
    );
    let followed = follower.run(stop.clone()).await;
    // The door closes with the process, whichever way following ended.
    stop.cancel();
    let served = door.await;
    followed?;
    served?.context("health and metrics")?;
    Ok(ExitCode::SUCCESS)
}

async fn check(config: &Config, nav_only: bool, json: bool) -> anyhow::Result<ExitCode> {
    let store = store::open_reader(&config.store).await.context("store")?;
    let rpc = config.rpc.urls.first().context("no RPC endpoint is configured")?;
    let done = verify::verify(store.as_ref(), rpc, !nav_only).await?;
    if json {
        println!("{}", serde_json::to_string(&done)?);
    } else {
        match &done.difference {
            None => println!(
                "equal at block {}: {} NAV points of {} vaults, {} accounts",
                done.block, done.points, done.vaults, done.accounts
            ),
            Some(difference) => println!("different at block {}: {difference}", done.block),
        }
    }
    Ok(if done.difference.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
