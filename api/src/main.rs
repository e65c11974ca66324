//! `lockstep-api`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use lockstep_api::config::Config;
use lockstep_api::private::PrivateStore;
use lockstep_api::state::App;
use lockstep_api::stream::feed::Feed;
use lockstep_api::{routes, server};
use lockstep_contracts::deployment::Deployment;
use lockstep_indexer::store::{self, StoreError};
use lockstep_service::{config, ending, logs, metrics, panics, shutdown};

/// Between two looks whether the indexer has written anything.
const WAIT_FOR_STORE: Duration = Duration::from_secs(1);

/// REST, WebSocket and the dashboard of Lockstep.
#[derive(Debug, Parser)]
#[command(name = "lockstep-api", version, about)]
struct Arguments {
    /// Configuration file; `LOCKSTEP_API__…` variables go over it. See api.example.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    log_format: logs::Format,
    /// What is logged, e.g. `info,lockstep_api=debug`; RUST_LOG goes over it.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the OpenAPI document and exits.
    Openapi,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let format = arguments.log_format;
    ending::report(format, start(arguments).map(|()| ExitCode::SUCCESS))
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(Command::Openapi) = arguments.command {
        print!("{}", routes::openapi_json()?);
        return Ok(());
    }
    logs::init(arguments.log_format, &arguments.log)?;
    let config: Config = config::load(arguments.config.as_deref(), "LOCKSTEP_API")?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(config))
}

async fn run(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    panics::install(stop.clone());
    let metrics = metrics::install(&[])?;

    let path = config.deployment.clone();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("deployment {} cannot be read", path.display()))?;
    let deployment: Deployment =
        serde_json::from_str(&text).with_context(|| format!("deployment {}", path.display()))?;
    let private = PrivateStore::open(config.state_file.as_deref()).await?;
    if config.session.secret.is_none() {
        tracing::warn!("no `session.secret`: sessions end when this process does");
    }
    if config.keeper.is_none() {
        tracing::warn!("no `keeper`: nothing can be relayed");
    }
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");

    let app = App::new(config, deployment, private, Some(metrics), stop.clone())?;
    let opening = tokio::spawn(open_store(app.clone()));
    let feed = tokio::spawn(Feed::new(app.clone()).run());
    let served = server::serve(app, listener).await;
    stop.cancel();
    feed.await?;
    opening.await??;
    served
}

/// Opens the store as soon as the indexer has made it; until then everything that needs it answers 503.
async fn open_store(app: App) -> anyhow::Result<()> {
    let stop = app.stop.clone();
    let mut told = false;
    loop {
        match store::open_reader(&app.config.database_url).await {
            Ok(reader) => {
                let status = match reader.status().await {
                    Err(StoreError::Empty) => None,
                    status => Some(status),
                };
                if let Some(status) = status.transpose().inspect_err(|_| stop.cancel())? {
                    let expected = (app.deployment.chain_id, app.deployment.registry);
                    if (status.chain_id, status.registry) != expected {
                        stop.cancel();
                        anyhow::bail!(
                            "the database belongs to registry {} on chain {}, the deployment says {} on chain {}",
                            status.registry,
                            status.chain_id,
                            expected.1,
                            expected.0
                        );
                    }
                    tracing::info!(block = status.cursor.map(|cursor| cursor.number), "store opened");
                    app.set_reader(reader);
                    return Ok(());
                }
            }
            Err(StoreError::Empty | StoreError::Unavailable(_) | StoreError::Locked) => {}
            Err(error) => {
                stop.cancel();
                return Err(error.into());
            }
        }
        if !std::mem::replace(&mut told, true) {
            tracing::info!("waiting for the indexer to write its store");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(WAIT_FOR_STORE) => {}
        }
    }
}
