//! Puts the keeper together from its configuration and runs it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::{Context as _, ensure};
use lockstep_contracts::deployment::Deployment;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::chain::Rpc;
use crate::chain::pool::Pool;
use crate::config::Config;
use crate::confirm::Tracker;
use crate::engine::{Engine, Health, Parts};
use crate::journal::Journal;
use crate::relay::door::Door;
use crate::relay::validate::Validator;
use crate::source::board::Board;
use crate::source::exchange;
use crate::source::perp_v2::{Feed, PerpV2};
use crate::source::signals::SignalSources;
use crate::submit::Submitter;
use crate::submit::key::Key;

/// Reads `deployment.json`.
///
/// # Errors
/// When it is missing or not one.
pub fn deployment(path: &std::path::Path) -> anyhow::Result<Deployment> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "deployment file {} cannot be read: set `deployment` to the file that the deployment script wrote",
            path.display()
        )
    })?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "deployment file {} is not one: set `deployment` to the file that the deployment script wrote",
            path.display()
        )
    })
}

/// Waits for the first answer of an endpoint: keeper and chain may be started together.
async fn first_answer(rpc: &dyn Rpc, stop: &CancellationToken) -> anyhow::Result<u64> {
    loop {
        let error = match rpc.chain_id().await {
            Ok(id) => return Ok(id),
            Err(error) => error,
        };
        warn!(%error, "waiting for an RPC endpoint; are `rpc.urls` right?");
        tokio::select! {
            () = stop.cancelled() => {
                return Err(error).context("stopped before any RPC endpoint answered: check `rpc.urls`");
            }
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// Runs until `stop` is cancelled. `render` gives the metrics.
///
/// # Errors
/// When the keeper cannot start, or the journal fails while it runs.
pub async fn run(
    config: Config,
    render: Arc<dyn Fn() -> String + Send + Sync>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    config.check()?;
    let key = Key::new(&config.secret()?)?;
    let deployment = deployment(&config.deployment)?;
    let rpc: Arc<dyn Rpc> = Arc::new(Pool::new(
        &config.rpc.urls,
        config.rpc.timeout(),
        config.rpc.max_lag_blocks,
    ));
    let chain_id = first_answer(rpc.as_ref(), &stop).await?;
    ensure!(
        chain_id == deployment.chain_id,
        "the RPC endpoint is on chain {chain_id}, the deployment on {}: give `rpc.urls` of that chain, or its deployment",
        deployment.chain_id
    );
    ensure!(
        !rpc.code(deployment.engine).await?.is_empty(),
        "no contract at the engine's address {}: is this the deployment's chain?",
        deployment.engine
    );

    let journal = Journal::open(&config.journal, config.journal_full_sync).await?;
    let birth = rpc
        .block(deployment.deployment_block)
        .await?
        .map(|block| block.hash)
        .unwrap_or_default();
    journal
        .bind(&[
            ("chain", chain_id.to_string()),
            ("engine", deployment.engine.to_string()),
            ("deployment block", birth.to_string()),
            ("keeper", key.address().to_string()),
        ])
        .await?;
    let unfinished = journal.unfinished().await?;
    info!(
        keeper = %key.address(), chain = chain_id, engine = %deployment.engine, unfinished = unfinished.len(),
        "keeper starts"
    );
    if config.token.is_none() {
        warn!("no `token`: anyone on this machine may hand in signed items");
    }

    let submitter = Submitter::resume(
        Arc::clone(&rpc),
        journal.clone(),
        key.clone(),
        chain_id,
        config.fees.clone(),
        config.gas.clone(),
    )
    .await?;
    let tracker = Tracker::new(
        Arc::clone(&rpc),
        journal.clone(),
        config.confirm.clone(),
        unfinished,
    );
    let source = PerpV2::new(deployment.perp.clearing_house);
    let (health, health_seen) = watch::channel(Health::default());
    let (masters, masters_seen) = watch::channel(BTreeSet::<Address>::new());
    let (observe, observations) = mpsc::channel(1_024);
    let (command, commands) = mpsc::channel(256);
    // Only those who hand something in keep the queue open.
    let context = exchange::Context {
        commands: command.clone(),
        journal: journal.clone(),
        stop: stop.clone(),
    };
    let groups = exchange::arrange(config.exchange_masters, config.hyperliquid.user_streams);
    let mut board = Board {
        masters: groups
            .iter()
            .flat_map(|group| group.all())
            .map(|followed| followed.board.clone())
            .collect(),
        signals: None,
    };
    board.masters.sort_by_key(|master| master.strategy);
    if !config.signal_sources.is_empty() {
        let signals = SignalSources::open(&config.signal_sources, &journal, command.clone()).await?;
        signals.listen(config.signal_door.listen, stop.clone()).await?;
        board.signals = Some(signals);
    }

    let door = Door {
        journal: journal.clone(),
        validator: Validator::new(Arc::clone(&rpc), deployment.clone(), key.address()),
        commands: command,
        health: health_seen,
        metrics: render,
        board,
        token: config.token.clone(),
    };
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}: set `listen` to a free loopback address",
            config.listen
        )
    })?;
    info!(address = %listener.local_addr()?, "door is open");
    let closing = stop.clone();
    let served = tokio::spawn(async move {
        axum::serve(listener, door.routes())
            .with_graceful_shutdown(closing.cancelled_owned())
            .await
    });

    if let Some(url) = config.rpc.websocket() {
        let silence = Duration::from_secs(config.rpc.ws_silence_seconds);
        let feed = Feed {
            url,
            source,
            masters: masters_seen,
            silence,
        };
        tokio::spawn(feed.run(observe, stop.clone()));
    }

    for group in groups {
        tokio::spawn(group.run(context.clone()));
    }
    drop(context);

    let engine = Engine::new(Parts {
        rpc,
        journal,
        submitter,
        tracker,
        source: Arc::new(source),
        deployment,
        pace: config.pace,
        limits: config.guard,
        gas: config.gas,
        health,
        masters,
    });
    let ended = engine.run(observations, commands, stop.clone()).await;
    stop.cancel();
    let served = served.await;
    // Why the engine ended says more than what the door made of it.
    ended?;
    Ok(served??)
}
