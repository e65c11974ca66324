//! Reads the store's commits and tells the hub what is new for those who listen.
//!
//! At least once: around a restart of the indexer or a reorganisation a client may see something twice, and knows it by
//! its id.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256};
use lockstep_indexer::model::{
    self, BatchQuery, Change, ChangeKind, FillQuery, PageRequest, Series, StrategyId, Window,
};
use lockstep_indexer::store::Reader;

use super::topic::Topic;
use crate::convert;
use crate::dto::relay::{RelayState, RelayStatus};
use crate::dto::scalar::Timestamp;
use crate::dto::stream::StreamMessage;
use crate::error::{ApiError, Result};
use crate::relay;
use crate::routes::strategies::present;
use crate::state::App;

/// Most commits told at once.
const MAX_CHANGES: u32 = 500;
/// Most points of one curve told at once; more is a reason to read again.
const MAX_POINTS: u32 = 500;
/// Signals waiting for their disclosure.
const MAX_WITHHELD: usize = 10_000;
/// How often relayed items are asked about.
const RELAY_EVERY: Duration = Duration::from_millis(500);
/// Most relayed items asked about at once.
const MAX_RELAYS: usize = 64;
/// Pause after an error.
const BACK_OFF: Duration = Duration::from_secs(1);

/// See the module.
pub struct Feed {
    app: App,
    seq: Option<u64>,
    /// Signals and when to disclose them.
    withheld: Vec<(Timestamp, model::Signal)>,
    relays: HashMap<B256, RelayState>,
    relays_asked: Instant,
}

/// Blocks that were added.
#[derive(Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
}

impl Feed {
    /// A feed that starts with what is new from now on.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self {
            app,
            seq: None,
            withheld: Vec::new(),
            relays: HashMap::new(),
            relays_asked: Instant::now(),
        }
    }

    /// Tells what is new until the process stops.
    pub async fn run(mut self) {
        let stop = self.app.stop.clone();
        let pace = Duration::from_millis(self.app.config.stream.poll_ms.max(10));
        let mut well = true;
        loop {
            let pause = match self.turn().await {
                Ok(()) => {
                    well = true;
                    pace
                }
                Err(error) => {
                    if std::mem::take(&mut well) {
                        tracing::warn!(
                            code = error.code(),
                            "the stream cannot read the store; trying again"
                        );
                    }
                    BACK_OFF
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn turn(&mut self) -> Result<()> {
        let app = self.app.clone();
        self.relays(&app).await;
        let reader = app.reader()?;
        let Some(seq) = self.seq else {
            let status = reader.status().await?;
            self.seq = Some(status.seq);
            app.hub.set_head(status.cursor.map(Into::into));
            return Ok(());
        };
        let changes = reader.changes_since(seq, MAX_CHANGES).await?;
        if let Some(last) = changes.last() {
            self.tell(&app, reader.as_ref(), &changes).await?;
            self.seq = Some(last.seq);
        }
        self.disclose();
        Ok(())
    }

    async fn tell(&mut self, app: &App, reader: &dyn Reader, changes: &[Change]) -> Result<()> {
        app.hub.set_head(reader.status().await?.cursor.map(Into::into));
        let reverted = changes
            .iter()
            .filter(|change| change.kind == ChangeKind::RolledBack)
            .map(|change| change.from_block)
            .min();
        if let Some(from_block) = reverted {
            self.withheld
                .retain(|(_, signal)| signal.origin.block < from_block);
            app.hub.publish_to_all(&StreamMessage::Reverted { from_block });
        }
        if changes.iter().any(|change| change.everything) {
            app.hub.publish_to_all(&StreamMessage::Resync);
            return Ok(());
        }
        let applied = || changes.iter().filter(|change| change.kind == ChangeKind::Applied);
        let (Some(from), Some(to)) = (
            applied().map(|change| change.from_block).min(),
            applied().map(|change| change.to_block).max(),
        ) else {
            return Ok(());
        };
        let range = Range { from, to };
        let wanted = app.hub.wanted();
        let strategies: BTreeSet<StrategyId> = applied()
            .flat_map(|change| change.strategies.iter().copied())
            .collect();
        for id in strategies {
            self.strategy(app, reader, id, range, &wanted).await?;
        }
        let followers: BTreeSet<Address> = applied()
            .flat_map(|change| change.followers.iter().copied())
            .collect();
        for follower in followers {
            if wanted.contains(&Topic::Account(follower)) {
                account(app, reader, follower, range).await?;
            }
        }
        Ok(())
    }

    async fn strategy(
        &mut self,
        app: &App,
        reader: &dyn Reader,
        id: StrategyId,
        range: Range,
        wanted: &HashSet<Topic>,
    ) -> Result<()> {
        let topic = Topic::Strategy(id);
        let (one, all) = (wanted.contains(&topic), wanted.contains(&Topic::Strategies));
        if !one && !all {
            return Ok(());
        }
        let Some(strategy) = reader.strategy(id, Window::All).await? else {
            return Ok(());
        };
        let delay = strategy.terms.disclosure_delay;
        if one {
            self.details(app, reader, id, delay, range).await?;
        }
        let strategy = Box::new(present(reader, strategy).await?);
        for topic in [(one, topic), (all, Topic::Strategies)]
            .into_iter()
            .filter(|(on, _)| *on)
            .map(|(_, t)| t)
        {
            let message = StreamMessage::Strategy {
                topic: topic.to_string(),
                strategy: strategy.clone(),
            };
            app.hub.publish(topic, &message);
        }
        Ok(())
    }

    async fn details(
        &mut self,
        app: &App,
        reader: &dyn Reader,
        id: StrategyId,
        delay: u32,
        range: Range,
    ) -> Result<()> {
        let topic = Topic::Strategy(id);
        let now = Timestamp::now();
        let newest = PageRequest {
            after: None,
            limit: Some(PageRequest::MAX),
        };

        let signals = reader.signals(id, None, &newest).await?;
        for signal in signals
            .items
            .into_iter()
            .rev()
            .filter(|signal| range.holds(signal.origin.block))
        {
            match convert::disclosure(&signal.origin, delay, now) {
                (_, true) => publish_signal(app, signal),
                (at, false) if self.withheld.len() < MAX_WITHHELD => self.withheld.push((at, signal)),
                (_, false) => {}
            }
        }

        let query = BatchQuery {
            strategy: Some(id),
            from_block: Some(range.from),
            to_block: Some(range.to),
            ..BatchQuery::default()
        };
        let batches = reader.batches(&query, &newest).await?;
        for batch in batches.items.into_iter().rev() {
            let batch = Box::new(convert::batch(batch, delay, now));
            app.hub.publish(
                topic,
                &StreamMessage::Batch {
                    topic: topic.to_string(),
                    batch,
                },
            );
        }

        if let Some(last) = reader.nav_latest(Series::Strategy(id)).await? {
            let from = last.index.saturating_sub(u64::from(MAX_POINTS - 1));
            let points = reader.nav_points(Series::Strategy(id), from, MAX_POINTS).await?;
            for point in points.into_iter().filter(|point| range.holds(point.origin.block)) {
                let message = StreamMessage::Nav {
                    topic: topic.to_string(),
                    strategy_id: id.to_string(),
                    vault: point.vault.into(),
                    point: point.into(),
                };
                app.hub.publish(topic, &message);
            }
        }
        Ok(())
    }

    /// Publishes signals whose time has come.
    fn disclose(&mut self) {
        let now = Timestamp::now();
        for (_, signal) in self.withheld.extract_if(.., |(at, _)| *at <= now) {
            publish_signal(&self.app, signal);
        }
    }

    /// Asks the keeper about relayed items that someone listens to, until they are settled.
    async fn relays(&mut self, app: &App) {
        if self.relays_asked.elapsed() < RELAY_EVERY {
            return;
        }
        self.relays_asked = Instant::now();
        let wanted: HashSet<B256> = app
            .hub
            .wanted()
            .into_iter()
            .filter_map(|topic| match topic {
                Topic::Relay(id) => Some(id),
                _ => None,
            })
            .collect();
        self.relays.retain(|id, _| wanted.contains(id));
        let open = wanted.into_iter().filter(|id| {
            !matches!(
                self.relays.get(id),
                Some(RelayState::Included { .. } | RelayState::Rejected { .. })
            )
        });
        let asked = open
            .take(MAX_RELAYS)
            .map(async |id| (id, relay::status(app, id).await));
        for (id, answer) in futures_util::future::join_all(asked).await {
            // 404 and a silent keeper are told over HTTP; here there is just nothing new.
            let Ok(status) = answer.map_err(|_: ApiError| ()) else {
                continue;
            };
            if self.relays.get(&id) != Some(&status.state) {
                self.relays.insert(id, status.state.clone());
                publish_relay(app, id, status);
            }
        }
    }
}

impl Range {
    const fn holds(self, block: u64) -> bool {
        self.from <= block && block <= self.to
    }
}

fn publish_signal(app: &App, signal: model::Signal) {
    let topic = Topic::Strategy(signal.strategy_id);
    let message = StreamMessage::Signal {
        topic: topic.to_string(),
        signal: Box::new(signal.into()),
    };
    app.hub.publish(topic, &message);
}

fn publish_relay(app: &App, id: B256, relay: RelayStatus) {
    let topic = Topic::Relay(id);
    app.hub.publish(
        topic,
        &StreamMessage::Relay {
            topic: topic.to_string(),
            relay,
        },
    );
}

async fn account(app: &App, reader: &dyn Reader, follower: Address, range: Range) -> Result<()> {
    let topic = Topic::Account(follower);
    let now = Timestamp::now();
    let query = FillQuery {
        follower: Some(follower),
        from_block: Some(range.from),
        to_block: Some(range.to),
        ..FillQuery::default()
    };
    let request = PageRequest {
        after: None,
        limit: Some(PageRequest::MAX),
    };
    let fills = reader.fills(&query, &request).await?;
    let mut delays = HashMap::<StrategyId, u32>::new();
    for fill in fills.items.into_iter().rev() {
        let delay = match delays.get(&fill.strategy_id) {
            Some(delay) => *delay,
            None => {
                let strategy = reader.strategy(fill.strategy_id, Window::All).await?;
                let delay = strategy.map_or(0, |strategy| strategy.terms.disclosure_delay);
                delays.insert(fill.strategy_id, delay);
                delay
            }
        };
        let fill = Box::new(convert::fill(fill, delay, now));
        app.hub.publish(
            topic,
            &StreamMessage::Fill {
                topic: topic.to_string(),
                fill,
            },
        );
    }
    for account in reader.accounts_of(follower).await? {
        let account = Box::new(account.into());
        app.hub.publish(
            topic,
            &StreamMessage::Account {
                topic: topic.to_string(),
                account,
            },
        );
    }
    Ok(())
}
