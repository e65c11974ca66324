//! Follows the chain into the store: one code path for backfill and live, one cursor of (block number, hash).
//!
//! Where an endpoint stands against the cursor decides everything, by hashes and never by heights alone:
//!
//! | endpoint | what it means | what is done |
//! | --- | --- | --- |
//! | its chain contains the cursor | all is well | the blocks after it are read |
//! | it is lower than the cursor | it lags | named; another is asked, or it is waited for |
//! | it has another block at the cursor, others do not | it is on a fork | named and avoided for a while |
//! | it has another block at the cursor, nobody objects | reorg | back to the newest common block, in one transaction |
//! | it has another block where ours is final | it lies, or the chain broke its promise | next endpoint; when all say so, stop |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy::primitives::B256;
use futures_util::{StreamExt as _, stream};
use lockstep_contracts::deployment::Deployment;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::decode;
use crate::derive::{DeriveError, Deriver};
use crate::model::BlockRef;
use crate::store::{self, Commit, Identity, SharedWriter, StoreError};

mod health;
mod hint;
pub mod range;
pub mod rpc;

pub use health::{Health, Report};
use range::{Fetched, Proof};
use rpc::{Endpoint, Heights, RpcFault};

/// How to follow.
#[derive(Debug, Clone)]
pub struct Options {
    /// Endpoints, best first.
    pub urls: Vec<Url>,
    /// New heads are announced here; a hint only, polling goes on.
    pub ws_url: Option<Url>,
    /// Between looks at the chain when nothing is new.
    pub poll_interval: Duration,
    /// For one answer.
    pub timeout: Duration,
    /// Blocks on top of one that make it confirmed.
    pub confirmations: u64,
    /// Blocks on top of one that make it final, where the endpoint has no `finalized` tag.
    pub finality_depth: u64,
    /// Blocks of the first `eth_getLogs`.
    pub range: u64,
    /// Most blocks of one `eth_getLogs`.
    pub max_range: u64,
    /// Ranges that are read ahead of the one being written.
    pub prefetch: usize,
    /// How long an endpoint below the cursor with another chain is taken for one that lags.
    pub lag_patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            ws_url: None,
            poll_interval: Duration::from_millis(1_000),
            timeout: Duration::from_secs(20),
            confirmations: 12,
            finality_depth: 64,
            range: 200,
            max_range: 10_000,
            prefetch: 4,
            lag_patience: Duration::from_secs(60),
        }
    }
}

/// Why following stops. Everything that may pass by itself is retried and never ends here.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// No endpoint is configured.
    #[error("no RPC endpoint is configured")]
    NoEndpoint,
    /// Every endpoint that answers is of another chain.
    #[error("{endpoint} is on chain {found}, the deployment is on chain {expected}")]
    WrongChain {
        /// One of them.
        endpoint: String,
        /// Its chain id.
        found: u64,
        /// The deployment's.
        expected: u64,
    },
    /// The chain has another block where the store's is final.
    #[error(
        "reorg beyond finality: {endpoint} has another chain than block {number} {hash}, which was final; nothing was \
         taken back. Either every endpoint is wrong, or the database must be deleted and indexed again"
    )]
    BeyondFinalized {
        /// The endpoint that was asked last.
        endpoint: String,
        /// Final block of the store.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// Events do not hang together, whichever endpoint gives them.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why one step failed.
enum Trouble {
    /// This endpoint: ask another, or again.
    Endpoint(RpcFault),
    /// The endpoint's chain changed while it was read.
    Moved,
    /// It does not pass.
    Stop(FollowError),
}

impl From<RpcFault> for Trouble {
    fn from(fault: RpcFault) -> Self {
        Self::Endpoint(fault)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// Where an endpoint stands against the cursor.
enum Stand {
    /// Its chain contains the cursor.
    Contains,
    /// It is lower, on the same chain as far as it goes.
    Lags,
    /// It is lower, and has another chain.
    LagsElsewhere,
    /// It has another block at the cursor.
    Differs,
}

/// Ranges that gave a gap are asked for again this often before the gap is believed.
const GAP_PATIENCE: u32 = 5;
/// A cursor that is elsewhere this often in a row is moved by another indexer.
const CURSOR_PATIENCE: u32 = 3;
/// How long an endpoint on a fork is not asked.
const AVOID: Duration = Duration::from_secs(60);
/// Blocks of one linked range: each costs a header.
const LINKED_RANGE: u64 = 100;
/// Logs that one transaction should hold.
const TARGET_LOGS: u64 = 8_000;
/// Documents kept in memory between commits.
const CACHED: usize = 100_000;

struct Peer {
    endpoint: Endpoint,
    avoided_until: Option<Instant>,
    /// Since when it is below the cursor with another chain.
    elsewhere_since: Option<Instant>,
    /// Its chain id was checked.
    known: bool,
    /// It lags; said once.
    lagging: bool,
    /// What it said last cannot be followed.
    condemned: bool,
}

/// What came of asking one endpoint.
enum Step {
    /// Something was written.
    Moved,
    /// Nothing is new.
    Idle,
    /// It is below the cursor, at this height.
    Lagging(u64),
    /// It is on a fork.
    Avoided,
}

/// Follows the chain into a store.
pub struct Follower {
    options: Options,
    deployment: Deployment,
    store: SharedWriter,
    deriver: Deriver,
    peers: Vec<Peer>,
    active: usize,
    topics: Arc<Vec<B256>>,
    range: Arc<AtomicU64>,
    cursor: Option<BlockRef>,
    gaps: u32,
    /// The blocks since the last final one were read again because of a gap.
    reread: bool,
    /// Deriver and cursor may not be what the store has: a write began and its end was not seen.
    stale: bool,
    /// How often in a row the store's cursor was elsewhere.
    cursor_moves: u32,
    health: Arc<Health>,
}

impl Follower {
    /// Claims the store for the deployment and takes up where it ends.
    ///
    /// # Errors
    /// [`FollowError::NoEndpoint`]; [`FollowError::Store`] when the database is another deployment's or unusable.
    pub async fn new(
        deployment: Deployment,
        store: SharedWriter,
        options: Options,
    ) -> Result<Self, FollowError> {
        if options.urls.is_empty() {
            return Err(FollowError::NoEndpoint);
        }
        store
            .attach(&Identity {
                chain_id: deployment.chain_id,
                registry: deployment.registry,
                deployment_block: deployment.deployment_block,
                confirmations: options.confirmations,
            })
            .await?;
        let vaults = store.vaults().await?;
        let cursor = store.cursor().await?;
        let peers = options
            .urls
            .iter()
            .map(|url| Peer {
                endpoint: Endpoint::new(url, options.timeout),
                avoided_until: None,
                elsewhere_since: None,
                known: false,
                lagging: false,
                condemned: false,
            })
            .collect();
        Ok(Self {
            deriver: Deriver::new(deployment.clone(), vaults),
            range: Arc::new(AtomicU64::new(options.range.clamp(1, options.max_range))),
            topics: Arc::new(decode::signatures()),
            health: Arc::new(Health::default()),
            options,
            deployment,
            store,
            peers,
            active: 0,
            cursor,
            gaps: 0,
            reread: false,
            stale: false,
            cursor_moves: 0,
        })
    }

    /// What the process tells about itself.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// The cursor.
    #[must_use]
    pub const fn cursor(&self) -> Option<BlockRef> {
        self.cursor
    }

    /// Follows until `stop`. Whatever may pass by itself is retried.
    ///
    /// # Errors
    /// [`FollowError`], when going on would be wrong.
    pub async fn run(&mut self, stop: CancellationToken) -> Result<(), FollowError> {
        let hint = hint::listen(self.options.ws_url.clone(), stop.clone());
        let mut pause = self.options.poll_interval;
        loop {
            let step = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                step = self.step() => step,
            };
            match step {
                Ok(true) => pause = Duration::ZERO,
                Ok(false) => pause = self.options.poll_interval,
                Err(FollowError::Store(
                    error @ (StoreError::DiskFull | StoreError::Locked | StoreError::Unavailable(_)),
                )) => {
                    tracing::error!(%error, "store: trying again");
                    self.health.failed(&error.to_string());
                    pause = (pause * 2).clamp(Duration::from_millis(500), Duration::from_secs(15));
                }
                Err(error) => {
                    self.health.failed(&error.to_string());
                    return Err(error);
                }
            }
            if !pause.is_zero() {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = hint.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }

    /// Indexes up to the head once, then returns; for commands and tests.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn catch_up(&mut self) -> Result<BlockRef, FollowError> {
        loop {
            let moved = self.step().await?;
            if let (false, Some(cursor)) = (moved, self.cursor)
                && self.health.report().lag_blocks == Some(0)
            {
                return Ok(cursor);
            }
            if !moved {
                tokio::time::sleep(self.options.poll_interval).await;
            }
        }
    }

    /// One look at the chain; true when something was written.
    async fn step(&mut self) -> Result<bool, FollowError> {
        self.refresh().await?;
        let count = self.peers.len();
        let mut lagging = None;
        let mut condemned = None;
        for turn in 0..count {
            let index = (self.active + turn) % count;
            if self.peers[index]
                .avoided_until
                .is_some_and(|until| until > Instant::now())
            {
                continue;
            }
            match self.step_with(index).await {
                Ok(step @ (Step::Moved | Step::Idle)) => {
                    self.peers[index].condemned = false;
                    self.active = index;
                    return Ok(matches!(step, Step::Moved));
                }
                Ok(Step::Lagging(height)) => lagging = lagging.max(Some(height)),
                Ok(Step::Avoided) => {}
                // What it is now is seen at the next look.
                Err(Trouble::Moved) => return Ok(false),
                Err(Trouble::Endpoint(fault)) => self.complain(index, &fault),
                Err(Trouble::Stop(
                    error @ (FollowError::BeyondFinalized { .. } | FollowError::WrongChain { .. }),
                )) => {
                    self.avoid(index, &error.to_string());
                    self.peers[index].condemned = true;
                    condemned = Some(error);
                }
                // A commit that was still on its way when this process took up the cursor; or another indexer.
                Err(Trouble::Stop(FollowError::Store(error @ StoreError::CursorMoved { .. })))
                    if self.cursor_moves < CURSOR_PATIENCE =>
                {
                    self.cursor_moves += 1;
                    tracing::warn!(%error, "taking up the store's cursor");
                    return Ok(false);
                }
                Err(Trouble::Stop(error)) => return Err(error),
            }
        }
        if let Some(error) = condemned
            && self.peers.iter().all(|peer| peer.condemned)
        {
            return Err(error);
        }
        if let Some(height) = lagging {
            self.health.lags(height);
        }
        Ok(false)
    }

    fn complain(&self, index: usize, fault: &RpcFault) {
        let endpoint = self.peers[index].endpoint.name();
        metrics::counter!("lockstep_indexer_rpc_errors_total", "endpoint" => endpoint.to_owned())
            .increment(1);
        tracing::warn!(endpoint, %fault, "endpoint fails");
        self.health.failed(&format!("{endpoint}: {fault}"));
    }

    fn avoid(&mut self, index: usize, why: &str) {
        let peer = &mut self.peers[index];
        peer.avoided_until = Some(Instant::now() + AVOID);
        tracing::warn!(
            endpoint = peer.endpoint.name(),
            why,
            "endpoint avoided for a while"
        );
        metrics::counter!("lockstep_indexer_rpc_avoided_total", "endpoint" => peer.endpoint.name().to_owned())
            .increment(1);
    }

    async fn step_with(&mut self, index: usize) -> Result<Step, Trouble> {
        let endpoint = self.peers[index].endpoint.clone();
        if !self.peers[index].known {
            let found = endpoint.chain_id().await?;
            if found != self.deployment.chain_id {
                let expected = self.deployment.chain_id;
                let endpoint = endpoint.name().to_owned();
                return Err(Trouble::Stop(FollowError::WrongChain {
                    endpoint,
                    found,
                    expected,
                }));
            }
            if !endpoint.has_code(self.deployment.registry).await? {
                let (endpoint, registry) = (endpoint.name(), self.deployment.registry);
                tracing::warn!(endpoint, %registry, "no contract at the registry's address: nothing will be found");
            }
            self.peers[index].known = true;
        }
        let (heights, at_cursor) = endpoint.heights(self.cursor.map(|cursor| cursor.number)).await?;
        let head = heights.latest.block();
        let stand = self
            .stand(&endpoint, head, at_cursor.map(|header| header.block()))
            .await?;
        if matches!(stand, Stand::Contains | Stand::Differs) {
            let peer = &mut self.peers[index];
            peer.elsewhere_since = None;
            if std::mem::take(&mut peer.lagging) {
                tracing::info!(
                    endpoint = endpoint.name(),
                    height = head.number,
                    "endpoint caught up"
                );
            }
        }
        match stand {
            Stand::Contains => self.advance(&endpoint, &heights).await,
            Stand::Lags => {
                self.name_lag(index, head.number);
                self.peers[index].elsewhere_since = None;
                Ok(Step::Lagging(head.number))
            }
            Stand::LagsElsewhere => {
                self.name_lag(index, head.number);
                let since = *self.peers[index].elsewhere_since.get_or_insert_with(Instant::now);
                if since.elapsed() < self.options.lag_patience {
                    return Ok(Step::Lagging(head.number));
                }
                tracing::warn!(
                    endpoint = endpoint.name(),
                    "its lower chain stays: taken for a reorg"
                );
                self.rewind(&endpoint).await
            }
            Stand::Differs => {
                if let Some(other) = self.objector(index, head.number).await {
                    let why = format!("it has another block at the cursor than {other}, which is as high");
                    self.avoid(index, &why);
                    return Ok(Step::Avoided);
                }
                self.rewind(&endpoint).await
            }
        }
    }

    fn name_lag(&mut self, index: usize, height: u64) {
        let cursor = self.cursor.map_or(0, |cursor| cursor.number);
        let peer = &mut self.peers[index];
        if !std::mem::replace(&mut peer.lagging, true) {
            let endpoint = peer.endpoint.name();
            tracing::warn!(
                endpoint,
                height,
                cursor,
                "endpoint lags behind the cursor: no reorg"
            );
            metrics::counter!("lockstep_indexer_rpc_lagging_total", "endpoint" => endpoint.to_owned())
                .increment(1);
        }
    }

    async fn stand(
        &self,
        endpoint: &Endpoint,
        head: BlockRef,
        at_cursor: Option<BlockRef>,
    ) -> Result<Stand, Trouble> {
        let Some(cursor) = self.cursor else {
            return Ok(Stand::Contains);
        };
        if head.number >= cursor.number {
            let there = at_cursor
                .ok_or_else(|| RpcFault::Inconsistent(format!("it has no block {}", cursor.number)))?;
            return Ok(if there.hash == cursor.hash {
                Stand::Contains
            } else {
                Stand::Differs
            });
        }
        let Some(known) = self.store.blocks_down_from(head.number, 1).await?.pop() else {
            return Ok(Stand::Lags);
        };
        let there = endpoint.headers(&[known.number]).await?.pop().flatten();
        Ok(match there {
            Some(header) if header.block().hash != known.hash => Stand::LagsElsewhere,
            _ => Stand::Lags,
        })
    }

    /// Another endpoint, at least as high, whose chain contains the cursor.
    async fn objector(&self, index: usize, height: u64) -> Option<String> {
        let cursor = self.cursor?;
        for (other, peer) in self.peers.iter().enumerate() {
            if other == index || peer.condemned {
                continue;
            }
            if let Ok((heights, Some(header))) = peer.endpoint.heights(Some(cursor.number)).await
                && heights.latest.block().number >= height
                && header.block().hash == cursor.hash
            {
                return Some(peer.endpoint.name().to_owned());
            }
        }
        None
    }

    /// Back to the newest block of the store that is in the endpoint's chain.
    async fn rewind(&mut self, endpoint: &Endpoint) -> Result<Step, Trouble> {
        let Some(cursor) = self.cursor else {
            return Ok(Step::Idle);
        };
        let floor = self.store.undo_floor().await?;
        let mut below = cursor.number;
        let mut last = cursor;
        let ancestor = 'found: loop {
            let known = self.store.blocks_down_from(below, ANCESTORS).await?;
            let known: Vec<BlockRef> = known.into_iter().filter(|block| block.number >= floor).collect();
            let Some(lowest) = known.last().copied() else {
                break None;
            };
            let numbers: Vec<u64> = known.iter().map(|block| block.number).collect();
            for (block, header) in known.iter().zip(endpoint.headers(&numbers).await?) {
                if header.is_some_and(|header| header.block().hash == block.hash) {
                    break 'found Some(*block);
                }
            }
            last = lowest;
            match lowest.number.checked_sub(1) {
                Some(next) => below = next,
                None => break None,
            }
        };
        if ancestor.is_none() && floor > 0 {
            return Err(Trouble::Stop(FollowError::BeyondFinalized {
                endpoint: endpoint.name().to_owned(),
                number: last.number,
                hash: last.hash,
            }));
        }
        let depth = cursor.number - ancestor.map_or(0, |block| block.number);
        tracing::warn!(
            endpoint = endpoint.name(),
            from = cursor.number,
            to = ancestor.map(|block| block.number),
            depth,
            "reorg: taking blocks back"
        );
        metrics::counter!("lockstep_indexer_reorgs_total").increment(1);
        self.take_back(ancestor).await?;
        Ok(Step::Moved)
    }

    async fn take_back(&mut self, to: Option<BlockRef>) -> Result<(), Trouble> {
        self.stale = true;
        self.store.rollback_to(to).await?;
        self.refresh().await?;
        Ok(())
    }

    /// Takes up what the store has, after a write whose end was not seen: a lost connection does not tell whether
    /// the commit arrived.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        if self.stale {
            self.cursor = self.store.cursor().await?;
            self.deriver.reset(self.store.vaults().await?);
            self.stale = false;
        }
        Ok(())
    }

    /// Reads and writes everything between the cursor and the endpoint's head.
    async fn advance(&mut self, endpoint: &Endpoint, heights: &Heights) -> Result<Step, Trouble> {
        let head = heights.latest.block().number;
        let finalized = heights
            .finalized
            .as_ref()
            .map_or(head.saturating_sub(self.options.finality_depth), |header| {
                header.block().number
            })
            .min(head);
        let seen = store::Heights {
            head,
            finalized,
            seen_ms: unix_ms(),
        };
        self.store.observe(&seen).await?;
        self.health
            .heard(self.cursor.map(|cursor| cursor.number), head, finalized);

        let next = self
            .cursor
            .map_or(self.deployment.deployment_block, |cursor| cursor.number + 1);
        if next > head {
            self.health.written(self.cursor.map(|cursor| cursor.number));
            return Ok(Step::Idle);
        }
        let ranges = Ranges {
            next,
            finalized,
            head,
            size: Arc::clone(&self.range),
        };
        let (reader, topics, most) = (endpoint.clone(), Arc::clone(&self.topics), self.options.max_range);
        let range = Arc::clone(&self.range);
        let speakers = Arc::new(self.speakers(next));
        let mut read = stream::iter(ranges)
            .map(|(from, to, proof)| {
                let (endpoint, topics) = (reader.clone(), Arc::clone(&topics));
                let (size, speakers) = (Arc::clone(&range), Arc::clone(&speakers));
                // Read and decoded while the range before is written; given up when this pass is.
                AbortOnDropHandle::new(tokio::spawn(async move {
                    let begun = Instant::now();
                    let fetched = range::fetch(&endpoint, from, to, proof, &topics, &speakers).await?;
                    metrics::histogram!("lockstep_indexer_fetch_seconds").record(begun.elapsed());
                    if proof == Proof::Sparse {
                        adapt(&size, most, to - from + 1, &fetched, begun.elapsed());
                    }
                    Ok::<_, RpcFault>(fetched)
                }))
            })
            .buffered(self.options.prefetch.max(1));
        while let Some(fetched) = read.next().await {
            let fetched = fetched.map_err(|error| RpcFault::Inconsistent(error.to_string()))??;
            self.write(fetched, finalized).await?;
            self.health.written(self.cursor.map(|cursor| cursor.number));
        }
        Ok(Step::Moved)
    }

    /// Whose logs are ours, as far as is known when `next` is the first block to be read.
    fn speakers(&self, next: u64) -> range::Speakers {
        let deployment = &self.deployment;
        range::Speakers {
            registry: deployment.registry,
            contracts: vec![
                deployment.registry,
                deployment.engine,
                deployment.liquidator,
                deployment.insurance,
            ],
            vaults: self.deriver.vaults().collect(),
            since: next,
        }
    }

    /// Derives and commits one range.
    async fn write(&mut self, fetched: Fetched, finalized: u64) -> Result<(), Trouble> {
        if let (Some(parent), Some(cursor)) = (fetched.parent, self.cursor)
            && parent != cursor.hash
        {
            return Err(Trouble::Moved);
        }
        let begun = Instant::now();
        self.stale = true;
        let needs = self.deriver.needs(&fetched.blocks);
        let found = self.store.documents(&needs.keys).await?;
        self.deriver
            .load(found.into_iter().map(|(key, document)| (key, Some(document))));
        self.deriver.load(needs.keys.into_iter().map(|key| (key, None)));
        for vault in needs.vaults {
            let accounts = self.store.accounts(vault).await?;
            self.deriver
                .load(accounts.into_iter().map(|(key, document)| (key, Some(document))));
        }
        let derived = match self.deriver.derive(&fetched.blocks, finalized) {
            Ok(derived) => derived,
            Err(error) => return Err(self.underivable(error).await),
        };
        let (events, strangers) = (derived.events, derived.strangers);
        let with_rows: Vec<BlockRef> = fetched.blocks.iter().map(|block| block.block).collect();
        let commit = Commit {
            after: self.cursor,
            from: fetched.from,
            to: fetched.to,
            known: fetched.known,
            blocks: with_rows,
            derived,
            undo_above: finalized,
        };
        self.store.apply(&commit).await?;
        self.cursor = Some(commit.to);
        self.stale = false;
        self.cursor_moves = 0;
        self.deriver.forget(CACHED);
        self.gaps = 0;
        if events > 0 {
            self.reread = false;
        }
        metrics::counter!("lockstep_indexer_events_total").increment(events);
        metrics::counter!("lockstep_indexer_strangers_total").increment(strangers);
        metrics::histogram!("lockstep_indexer_commit_seconds").record(begun.elapsed());
        tracing::debug!(from = commit.from, to = commit.to.number, events, "indexed");
        Ok(())
    }

    /// A gap is first taken for logs that the endpoint left out, now or since the last final block.
    async fn underivable(&mut self, error: DeriveError) -> Trouble {
        if let Err(error) = self.refresh().await {
            return error.into();
        }
        if !matches!(error, DeriveError::Gap { .. }) {
            return Trouble::Stop(error.into());
        }
        self.gaps += 1;
        if self.gaps <= GAP_PATIENCE {
            self.active = (self.active + 1) % self.peers.len();
            return RpcFault::Inconsistent(error.to_string()).into();
        }
        if std::mem::replace(&mut self.reread, true) {
            return Trouble::Stop(error.into());
        }
        tracing::warn!(%error, "reading again from the last final block");
        self.gaps = 0;
        match self.reread().await {
            Ok(true) => Trouble::Moved,
            Ok(false) => Trouble::Stop(error.into()),
            Err(trouble) => trouble,
        }
    }

    /// Takes back every block that is not final; false when there is none.
    async fn reread(&mut self) -> Result<bool, Trouble> {
        let Some(cursor) = self.cursor else {
            return Ok(false);
        };
        let floor = self.store.undo_floor().await?;
        let mut to = None;
        let mut below = cursor.number;
        loop {
            let known = self.store.blocks_down_from(below, ANCESTORS).await?;
            let kept: Vec<&BlockRef> = known.iter().filter(|block| block.number >= floor).collect();
            let Some(lowest) = kept.last() else { break };
            to = Some(**lowest);
            match lowest.number.checked_sub(1) {
                Some(next) if kept.len() == known.len() => below = next,
                _ => break,
            }
        }
        if to == self.cursor {
            return Ok(false);
        }
        let to = if floor == 0 { None } else { to };
        self.take_back(to).await?;
        Ok(true)
    }
}

/// Blocks compared at once when looking for the common one.
const ANCESTORS: u32 = 50;

/// Ranges between the cursor and the head: final blocks in large ones, the others linked.
struct Ranges {
    next: u64,
    finalized: u64,
    head: u64,
    size: Arc<AtomicU64>,
}

impl Iterator for Ranges {
    type Item = (u64, u64, Proof);

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.next;
        if from > self.head {
            return None;
        }
        let (to, proof) = if from <= self.finalized {
            let size = self.size.load(Ordering::Relaxed).max(1);
            (self.finalized.min(from.saturating_add(size - 1)), Proof::Sparse)
        } else {
            (self.head.min(from + LINKED_RANGE - 1), Proof::Linked)
        };
        self.next = to + 1;
        Some((from, to, proof))
    }
}

/// Next range size, so that a range holds about [`TARGET_LOGS`] and is answered soon.
fn adapt(size: &AtomicU64, most: u64, blocks: u64, fetched: &Fetched, took: Duration) {
    let current = size.load(Ordering::Relaxed);
    let slow = took > Duration::from_secs(5);
    let next = if fetched.cut || slow {
        (blocks / 2).max(1)
    } else if fetched.logs > TARGET_LOGS {
        blocks.saturating_mul(TARGET_LOGS) / fetched.logs
    } else if fetched.logs < TARGET_LOGS / 2 && blocks >= current {
        current.saturating_mul(2)
    } else {
        current
    };
    size.store(next.clamp(1, most), Ordering::Relaxed);
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
