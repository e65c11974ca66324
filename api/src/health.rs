//! How the parts are.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::dto::scalar::Timestamp;
use crate::dto::status::{Health, IndexerStatus, KeeperStatus, Status, SystemStatus};
use crate::error::Result;
use crate::relay::door::DoorHealth;
use crate::state::App;

/// An answer of the keeper's is good for so long.
const PROBE_LIFE: Duration = Duration::from_secs(3);

/// The indexer is late with more blocks than this to do.
const LATE_BLOCKS: u64 = 10;

/// The indexer is down, or its chain is silent, when it has not seen the head for so long, milliseconds.
const SILENT_MS: i64 = 60_000;

/// What the keeper last said. The lock is held while it is asked, so that it is asked once.
#[derive(Default)]
pub struct Probe(Mutex<Option<(Instant, KeeperStatus)>>);

/// How the parts are now.
pub async fn status(app: &App) -> Status {
    let (indexer, system) = match stored(app).await {
        Ok((indexer, system)) => (indexer, Some(system)),
        Err(error) => (
            IndexerStatus {
                health: Health::Down,
                detail: Some(match error.code() {
                    "store-empty" => "Nothing has been indexed yet.".to_owned(),
                    _ => "The store cannot be read now.".to_owned(),
                }),
                cursor: None,
                head: None,
                finalized: None,
                lag_blocks: None,
                head_seen_at: None,
            },
            None,
        ),
    };
    let keeper = keeper(app).await;
    Status {
        health: worst(indexer.health, keeper.health),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time: Timestamp::now(),
        indexer,
        system,
        keeper,
    }
}

const fn worst(a: Health, b: Health) -> Health {
    match (a, b) {
        (Health::Down, _) | (_, Health::Down) => Health::Down,
        (Health::Degraded, _) | (_, Health::Degraded) => Health::Degraded,
        (Health::Up, _) | (_, Health::Up) => Health::Up,
        (Health::Unknown, Health::Unknown) => Health::Unknown,
    }
}

async fn stored(app: &App) -> Result<(IndexerStatus, SystemStatus)> {
    let reader = app.reader()?;
    let status = reader.status().await?;
    let system = reader.system().await?;
    let seen = Timestamp::from_unsigned_millis(status.head_seen_ms);
    let silence = Timestamp::now().millis().saturating_sub(seen.millis());
    let (health, detail) = if silence > SILENT_MS {
        (
            Health::Down,
            Some(format!(
                "The chain's head was last seen {} s ago.",
                silence / 1_000
            )),
        )
    } else if status.lag_blocks > LATE_BLOCKS {
        (
            Health::Degraded,
            Some(format!("{} blocks behind the chain's head.", status.lag_blocks)),
        )
    } else {
        (Health::Up, None)
    };
    let indexer = IndexerStatus {
        health,
        detail,
        cursor: status.cursor.map(Into::into),
        head: Some(status.head),
        finalized: Some(status.finalized),
        lag_blocks: Some(status.lag_blocks),
        head_seen_at: Some(seen),
    };
    let now = status.cursor.map_or(0, |cursor| cursor.time);
    let system = SystemStatus {
        keepers: system.keepers.into_iter().map(Into::into).collect(),
        breaker_until: (system.breaker_until > now).then(|| Timestamp::from_seconds(system.breaker_until)),
        insurance_paid: system.insurance_paid.into(),
        insurance_donated: system.insurance_donated.into(),
        strategies: system.strategies,
        accounts: system.accounts,
    };
    Ok((indexer, system))
}

async fn keeper(app: &App) -> KeeperStatus {
    let Some(door) = &app.door else {
        return KeeperStatus {
            health: Health::Unknown,
            detail: Some("No keeper is configured here; nothing can be relayed.".to_owned()),
            checked_at: None,
        };
    };
    let mut known = app.probe.0.lock().await;
    if let Some((asked, status)) = known.as_ref()
        && asked.elapsed() < PROBE_LIFE
    {
        return status.clone();
    }
    let (health, detail) = match door.health().await {
        DoorHealth::Up => (Health::Up, None),
        // What the keeper says of itself may name its endpoints; it stays in the log.
        DoorHealth::Ailing(problem) => {
            tracing::warn!(problem, "keeper says that it is not well");
            (
                Health::Degraded,
                Some("The keeper is late: it cannot look at the chain now.".to_owned()),
            )
        }
        DoorHealth::Down => (Health::Down, Some("The keeper does not answer.".to_owned())),
    };
    let status = KeeperStatus {
        health,
        detail,
        checked_at: Some(Timestamp::now()),
    };
    *known = Some((Instant::now(), status.clone()));
    status
}
