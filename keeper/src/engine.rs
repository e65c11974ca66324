//! The loop: one task owns the whole state and takes one observation after the other, so there is nothing to lock.
//!
//! On every new block, and at least every poll interval: read the logs since the last look, read what they made stale,
//! compare each strategy's master with its accounts, act. A master's trade told by the push feed takes a short cut to
//! the same comparison, for that master alone.

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod crowd_tests;
mod failing;
pub(crate) mod outcome;
mod reading;
#[cfg(test)]
mod town;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent as _;
use lockstep_contracts::bindings::{IMasterRegistry, IMirrorEngine, IStrategyVault};
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::digest::Domains;
use lockstep_contracts::fills::decode_fills;
use lockstep_contracts::units::Wad;
use tokio::sync::{mpsc, oneshot, watch as channel};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::chain::{Head, Rpc, RpcError, views};
use crate::config::Pace;
use crate::confirm::{News, Tracker};
use crate::guard::{self, Limits, Sight, Verdict};
use crate::journal::sources::ExchangeState;
use crate::journal::{Attestation, Journal, JournalError};
use crate::plan::{self, Decision, GasModel, Sink as _, Why};
use crate::relay::{self, Relay};
use crate::source::{Change, Observation, Origin, Source};
use crate::state::load::LOG_RANGE;
use crate::state::{AccountIndex, Book, MarketIndex, Status, StrategyId, load};
use crate::submit::sink::{ChainSink, Pair, Patience, ProofPath};
use crate::submit::{Stopwatch, SubmitError, Submitter};
use failing::{Failing, Open, Step};

alloy::sol! {
    /// A constant of the engine that is not part of its interface.
    function MAX_CLOCK_AHEAD() external view returns (uint64);
}

/// Why the loop ends.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// What cannot be written down is not done.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No endpoint answers; the next look tries again.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// Signing failed.
    #[error(transparent)]
    Key(#[from] crate::submit::key::KeyError),
}

impl From<SubmitError> for EngineError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Journal(error) => Self::Journal(error),
            SubmitError::Rpc(error) => Self::Rpc(error),
            SubmitError::Key(error) => Self::Key(error),
        }
    }
}

/// A master's state as somebody the keeper trusts saw it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Strategy.
    pub strategy: StrategyId,
    /// Market.
    pub market: MarketIndex,
    /// The master's leverage.
    pub leverage: Wad,
    /// Unix ms at which the master's state was seen.
    pub observed_at: u64,
}

/// Why a signal is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignalRefused {
    /// No such strategy, as far as this keeper has read the chain.
    #[error("no strategy has this id")]
    UnknownStrategy,
    /// The strategy's master trades on the chain: the contract reads the position there, and nobody attests it.
    #[error("the strategy's master is read from the exchange by the contract")]
    ProvenByVenue,
    /// The strategy has fewer markets.
    #[error("the strategy has no market of this index")]
    UnknownMarket,
    /// The contract would refuse it for its time; taken, it would supersede every honest one for as long.
    #[error("observedAt, Unix milliseconds, lies ahead of the chain's clock")]
    FromTheFuture,
    /// A later state of the same market was taken before.
    #[error("a signal with a later observedAt was taken before")]
    Superseded,
}

/// What other tasks ask of the loop.
#[derive(Debug)]
pub enum Command {
    /// The journal has something to relay.
    Relay,
    /// A keeper-attested signal for a strategy without an on-chain source.
    Signal {
        /// What was seen.
        seen: Seen,
        /// Of a master on an exchange: which state it is, to be remembered with it.
        exchange: Option<Box<ExchangeState>>,
        /// Hears whether it is written down.
        answer: oneshot::Sender<Result<(), SignalRefused>>,
    },
    /// The index of a strategy's market by its name; none while the chain shows none.
    MarketOf {
        /// Strategy.
        strategy: StrategyId,
        /// E.g. `ETH-USD`.
        symbol: String,
        /// Hears it.
        answer: oneshot::Sender<Option<MarketIndex>>,
    },
}

/// What the door tells about the loop.
#[derive(Debug, Clone, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Block of the last complete look.
    pub block: u64,
    /// Unix seconds of that block.
    pub block_time: u64,
    /// Whether the push feed is up; polling works without it.
    pub feed_up: bool,
    /// Strategies known.
    pub strategies: usize,
    /// Of these, with somebody to move: the others are not looked at.
    pub strategies_awake: usize,
    /// Of these, those that something was left open about at the last look; the others went on.
    pub strategies_failing: usize,
    /// Accounts cached.
    pub accounts: usize,
    /// Jobs not settled yet.
    pub jobs_in_flight: usize,
    /// What the last look failed on; `None` when it was complete.
    pub problem: Option<String>,
    /// When the last complete look was.
    #[serde(skip)]
    pub looked: Option<Instant>,
}

/// Parts the loop is made of.
pub struct Parts {
    /// Endpoints.
    pub rpc: Arc<dyn Rpc>,
    /// Journal.
    pub journal: Journal,
    /// Signs and sends.
    pub submitter: Submitter,
    /// Follows what was sent.
    pub tracker: Tracker,
    /// Masters.
    pub source: Arc<dyn Source>,
    /// Addresses.
    pub deployment: Deployment,
    /// Pace.
    pub pace: Pace,
    /// Guards.
    pub limits: Limits,
    /// Gas model.
    pub gas: GasModel,
    /// Health, for the door.
    pub health: channel::Sender<Health>,
    /// Masters, for the push feed.
    pub masters: channel::Sender<BTreeSet<Address>>,
}

/// See the module.
pub struct Engine {
    rpc: Arc<dyn Rpc>,
    journal: Journal,
    submitter: Submitter,
    tracker: Tracker,
    source: Arc<dyn Source>,
    deployment: Deployment,
    domains: Domains,
    pace: Pace,
    limits: Limits,
    gas: GasModel,
    health: channel::Sender<Health>,
    masters: channel::Sender<BTreeSet<Address>>,
    book: Book,
    /// Block up to which logs were read.
    cursor: Option<Head>,
    /// Strategies to read again.
    stale: BTreeSet<StrategyId>,
    /// Trades seen and not acted on yet: when they were received.
    hot: BTreeMap<Pair, Instant>,
    /// Changes seen, so that the feed and the poll do not count one twice.
    seen: HashSet<(B256, u64)>,
    seen_order: VecDeque<(B256, u64)>,
    rate: guard::Rate,
    patience: Patience,
    /// Guard verdicts said last, so that a lasting one is not said every block.
    said: HashMap<Pair, &'static str>,
    relay: Relay,
    looked: Option<Instant>,
    refreshed: Instant,
    /// Handed in, and not stored on the chain as far as is known.
    attestations: BTreeMap<Pair, Attestation>,
    /// Seconds after which the contract refuses a signal; read once.
    max_signal_age: Option<u64>,
    /// Seconds a signal may be ahead of the block that stores it; read once.
    max_clock_ahead: Option<u64>,
    /// When the head was first read. Unlike `head_seen`, changes told by the feed do not count.
    head_read: Option<Instant>,
    watched: HashMap<(Address, AccountIndex), Instant>,
    last_checkpoint: HashMap<Address, u64>,
    /// What is left open, for single strategies.
    failing: Failing,
    /// Sleeping vault asked last.
    swept: Option<Address>,
}

/// Changes remembered for deduplication.
const SEEN: usize = 8_192;

impl Engine {
    /// Puts the loop together. Nothing is read or sent yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let domains = Domains::from(&parts.deployment);
        let relay = Relay::new(&parts.deployment, parts.gas.mandates_per_batch);
        Self {
            rpc: parts.rpc,
            journal: parts.journal,
            submitter: parts.submitter,
            tracker: parts.tracker,
            source: parts.source,
            deployment: parts.deployment,
            domains,
            pace: parts.pace,
            limits: parts.limits,
            gas: parts.gas,
            health: parts.health,
            masters: parts.masters,
            book: Book::default(),
            cursor: None,
            stale: BTreeSet::new(),
            hot: BTreeMap::new(),
            seen: HashSet::new(),
            seen_order: VecDeque::new(),
            rate: guard::Rate::default(),
            patience: Patience::default(),
            said: HashMap::new(),
            relay,
            looked: None,
            refreshed: Instant::now(),
            attestations: BTreeMap::new(),
            max_signal_age: None,
            max_clock_ahead: None,
            head_read: None,
            watched: HashMap::new(),
            last_checkpoint: HashMap::new(),
            failing: Failing::default(),
            swept: None,
        }
    }

    /// The state, for tests and measurements.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// The state, for measurements that need no chain.
    pub const fn book_mut(&mut self) -> &mut Book {
        &mut self.book
    }

    /// Jobs under way.
    #[must_use]
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Runs until `stop`, or until the journal fails.
    ///
    /// # Errors
    /// [`EngineError::Journal`] or [`EngineError::Key`]; an endpoint that does not answer never ends the loop.
    pub async fn run(
        mut self,
        mut observations: mpsc::Receiver<Observation>,
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) -> Result<(), EngineError> {
        for attestation in self.journal.attestations().await? {
            self.attestations
                .insert((attestation.strategy, attestation.market), attestation);
        }
        self.tracker.resend(&mut self.submitter).await?;
        let mut tick = tokio::time::interval(Duration::from_millis(self.pace.poll_ms));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let look = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(observation) = observations.recv() => match observation {
                    Observation::Change(change) => {
                        survive(self.on_change(change).await)?;
                        false
                    }
                    Observation::Block => true,
                    Observation::Up => {
                        self.health.send_modify(|health| health.feed_up = true);
                        // Whatever happened while it was down: read again.
                        self.looked = None;
                        true
                    }
                    Observation::Down { .. } => {
                        self.health.send_modify(|health| health.feed_up = false);
                        false
                    }
                },
                Some(command) = commands.recv() => {
                    match command {
                        Command::Relay => survive(self.relays().await)?,
                        Command::Signal { seen, exchange, answer } => survive(self.on_signal(seen, exchange.as_deref(), answer).await)?,
                        Command::MarketOf { strategy, symbol, answer } => {
                            // Who asked may have stopped listening.
                            let _ = answer.send(self.book.market_of(strategy, &symbol));
                        }
                    }
                    false
                }
                _ = tick.tick() => true,
            };
            if look {
                let started = Instant::now();
                let result = self.look().await;
                let problem = result.as_ref().err().map(ToString::to_string);
                self.report(problem);
                metrics::histogram!("keeper_look_seconds").record(started.elapsed());
                survive(result)?;
            }
        }
        info!(
            jobs_in_flight = self.tracker.pending().count(),
            "stopped; what is in flight is in the journal"
        );
        self.journal.close().await;
        Ok(())
    }

    fn report(&self, problem: Option<String>) {
        let complete = problem.is_none();
        self.health.send_modify(|health| {
            if let Some(head) = self.book.head.filter(|_| complete) {
                health.block = head.number;
                health.block_time = head.timestamp;
                health.looked = Some(Instant::now());
            }
            health.strategies = self.book.strategies.len();
            health.strategies_awake = self.book.awake().count();
            health.strategies_failing = self.failing.strategies().len();
            health.accounts = self.book.account_count();
            health.jobs_in_flight = self.tracker.pending().count();
            health.problem = problem;
        });
        if let Some(seen) = self.book.head_seen {
            metrics::gauge!("keeper_block_age_seconds")
                .set(u32::try_from(seen.elapsed().as_secs()).unwrap_or(u32::MAX));
        }
        let failing = self.failing.strategies().len();
        metrics::gauge!("keeper_strategies_failing").set(u32::try_from(failing).unwrap_or(u32::MAX));
        metrics::gauge!("keeper_strategies_awake")
            .set(u32::try_from(self.book.awake().count()).unwrap_or(u32::MAX));
        metrics::gauge!("keeper_accounts").set(u32::try_from(self.book.account_count()).unwrap_or(u32::MAX));
    }

    /// A complete look at the chain: read, compare, act.
    ///
    /// # Errors
    /// As [`Self::run`], and when no endpoint answers.
    pub async fn look(&mut self) -> Result<(), EngineError> {
        let head = self.rpc.head().await?;
        let is_new = self.book.head.is_none_or(|known| known.hash != head.hash);
        if is_new {
            self.book.head_seen = Some(Instant::now());
            self.head_read = self.book.head_seen;
            self.book.head = Some(head);
            self.submitter.refresh_fees(head.base_fee).await;
        }
        // What one question leaves open must not keep the others waiting: a reduction, a stop or a liquidation goes on.
        let mut failed = None;
        // Logs that were not told are asked for again, also while no block comes.
        if self.cursor.is_none_or(|cursor| cursor.hash != head.hash) {
            contain(self.follow(head).await, &mut failed)?;
        }
        contain(self.step(&head).await, &mut failed)?;
        if self.refreshed.elapsed() >= Duration::from_secs(self.pace.refresh_seconds) {
            self.mark_all();
            self.sweep().await;
            self.refreshed = Instant::now();
            self.journal.tidy().await?;
        }
        self.reload().await;
        let book = &self.book;
        let awake = |id| book.strategies.get(&id).is_some_and(|known| book.is_awake(known));
        self.hot.retain(|(strategy, _), _| awake(*strategy));
        let due = self
            .looked
            .is_none_or(|at| at.elapsed() >= Duration::from_secs(self.pace.look_seconds));
        if is_new || due || !self.hot.is_empty() {
            self.read_markets().await?;
        }
        // What is left open about an item that somebody handed in is that item's: the look is complete without it.
        contain(self.relays().await, &mut None)?;
        let mut open = Open::new();
        let hot = self.unanswered_last(self.hot.keys().copied().collect());
        for pair in &hot {
            of_one(pair.0, self.converge(*pair, Why::Trade, None).await, &mut open)?;
        }
        if due {
            self.looked = Some(Instant::now());
            self.attestations(head, &mut open).await?;
            for pair in self.unanswered_last(self.pairs()) {
                of_one(pair.0, self.converge(pair, Why::Look, None).await, &mut open)?;
            }
            self.failing.settle(Step::Batch, None, open);
            contain(self.watch().await, &mut failed)?;
        } else {
            let asked = hot.iter().map(|(strategy, _)| *strategy).collect();
            self.failing.settle(Step::Batch, Some(&asked), open);
        }
        let everyone = self.book.awake().map(|strategy| strategy.id);
        let failed = failed.or_else(|| self.failing.of_all(everyone));
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Those whose last simulation stayed open come last: what they make an endpoint wait for delays nobody else.
    fn unanswered_last(&self, mut pairs: Vec<Pair>) -> Vec<Pair> {
        pairs.sort_by_key(|(strategy, _)| self.failing.is_open(Step::Batch, *strategy));
        pairs
    }

    /// Every market of every strategy with somebody to move.
    fn pairs(&self) -> Vec<Pair> {
        self.book
            .awake()
            .flat_map(|strategy| {
                (0..strategy.markets.len())
                    .filter_map(|i| Some((strategy.id, MarketIndex::try_from(i).ok()?)))
            })
            .collect()
    }

    /// Reads the logs since the last look, or everything after a gap or a reorganisation.
    async fn follow(&mut self, head: Head) -> Result<(), EngineError> {
        let Some(cursor) = self.cursor else {
            self.resync("start", head).await?;
            return Ok(());
        };
        let continues = head.parent == cursor.hash || head.hash == cursor.hash || {
            head.number >= cursor.number
                && self
                    .rpc
                    .block(cursor.number)
                    .await?
                    .is_some_and(|block| block.hash == cursor.hash)
        };
        if !continues {
            if head.number < cursor.number && self.rpc.block(cursor.number).await?.is_some() {
                // An endpoint that lags, not a reorganisation: nothing is older than what is known.
                return Ok(());
            }
            metrics::counter!("keeper_reorgs_total").increment(1);
            // What was mined there and not seen yet is forgotten with it: the same bytes again, at once.
            self.tracker.resend(&mut self.submitter).await?;
            self.resync("reorganisation", head).await?;
            return Ok(());
        }
        if head.number.saturating_sub(cursor.number) > LOG_RANGE {
            self.resync("gap", head).await?;
            return Ok(());
        }
        if head.number > cursor.number {
            let (from, to) = (cursor.number + 1, head.number);
            let logs = self.logs(from, to).await?;
            for log in &logs {
                self.on_log(log);
            }
            let masters = self.book.sources();
            for change in self.source.poll(self.rpc.as_ref(), &masters, from, to).await? {
                self.note(&change, head.timestamp);
            }
        }
        self.cursor = Some(head);
        Ok(())
    }

    /// Reads everything again.
    async fn resync(&mut self, why: &'static str, head: Head) -> Result<(), EngineError> {
        info!(why, block = head.number, "reading everything from the chain");
        let ids = load::strategy_ids(self.rpc.as_ref(), &self.deployment).await?;
        for vault in self.book.vaults.values_mut() {
            if vault.is_awake() {
                // It stays awake although its accounts are not known any more: an endpoint that lags may show none yet.
                vault.wake();
            }
            vault.accounts.clear();
            vault.dirty.clear();
            vault.stale = true;
            vault.last_nav = 0;
        }
        self.book.strategies.retain(|id, _| ids.contains(id));
        let known = &self.book.strategies;
        self.book
            .vaults
            .retain(|_, vault| known.contains_key(&vault.strategy));
        self.stale.retain(|id| ids.contains(id));
        // Everything is asked anew, and of strategies that are gone nothing is.
        self.failing = Failing::default();
        self.stale.extend(ids);
        self.cursor = Some(head);
        Ok(())
    }

    /// What a log of ours makes stale.
    fn on_log(&mut self, log: &Log) {
        let address = log.address();
        let Some(topic) = log.topic0().copied() else {
            return;
        };
        if address == self.deployment.registry {
            let id = log
                .topics()
                .get(1)
                .and_then(|id| StrategyId::try_from(U256::from_be_bytes(id.0)).ok());
            let concerns_a_strategy = [
                IMasterRegistry::StrategyRegistered::SIGNATURE_HASH,
                IMasterRegistry::VaultCreated::SIGNATURE_HASH,
                IMasterRegistry::TermsApplied::SIGNATURE_HASH,
                IMasterRegistry::SourceChanged::SIGNATURE_HASH,
            ]
            .contains(&topic);
            if let (true, Some(id)) = (concerns_a_strategy, id) {
                self.stale.insert(id);
            }
            return;
        }
        if address == self.deployment.engine {
            self.on_engine_log(log);
            return;
        }
        let Some(vault) = self.book.vaults.get_mut(&address) else {
            return;
        };
        match topic {
            IStrategyVault::BatchMirrored::SIGNATURE_HASH => {
                vault.stale = true;
                let fills = IStrategyVault::BatchMirrored::decode_log(&log.inner)
                    .ok()
                    .and_then(|event| decode_fills(&event.fills).ok());
                match fills {
                    Some(fills) => vault.dirty.extend(fills.iter().map(|fill| fill.account)),
                    None => vault.dirty.extend(vault.accounts.keys().copied()),
                }
            }
            IStrategyVault::NavRecorded::SIGNATURE_HASH => {
                if let Ok(event) = IStrategyVault::NavRecorded::decode_log(&log.inner) {
                    vault.last_nav = vault.last_nav.max(event.time);
                }
            }
            IStrategyVault::VenueDiverged::SIGNATURE_HASH | IStrategyVault::BadDebt::SIGNATURE_HASH => {
                vault.stale = true;
                vault.dirty.extend(vault.accounts.keys().copied());
            }
            IStrategyVault::FeesClaimed::SIGNATURE_HASH => {}
            _ => {
                // Every other event of a vault names the account it changed first.
                vault.stale = true;
                if let Some(account) = log.topics().get(1)
                    && let Ok(account) = AccountIndex::try_from(U256::from_be_bytes(account.0))
                {
                    vault.dirty.insert(account);
                }
            }
        }
    }

    /// Writes a change into the state; returns the strategies' markets it concerns, nothing when it was seen before.
    fn note(&mut self, change: &Change, head_time: u64) -> Vec<Pair> {
        let key = (change.block_hash, change.log_index);
        if !self.seen.insert(key) {
            return Vec::new();
        }
        self.seen_order.push_back(key);
        if self.seen_order.len() > SEEN
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        if change.origin == Origin::Liquidation {
            warn!(master = %change.source, block = change.block, "the venue liquidated a master: the state is mirrored, nobody traded");
            return Vec::new();
        }
        let at_ms = change.block_time.unwrap_or(head_time).saturating_mul(1_000);
        let pairs = self.book.note_trade(change.source, change.venue_market, at_ms);
        for (strategy, market) in &pairs {
            debug!(strategy, market, block = change.block, "master traded");
            metrics::counter!("keeper_master_trades_total").increment(1);
            self.hot.entry((*strategy, *market)).or_insert(change.received);
            if let Some(strategy) = self.book.strategies.get(strategy) {
                self.patience.forget(&strategy.vaults, *market);
            }
        }
        pairs
    }

    /// The short cut: a trade told by the push feed.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub async fn on_change(&mut self, change: Change) -> Result<(), EngineError> {
        let mut watch = Stopwatch::since(change.received);
        let mut head_time = self.book.head.map_or(0, |head| head.timestamp);
        if change.block_time.is_none() && self.book.head.is_none_or(|head| head.number != change.block) {
            let block = watch.rpc(self.rpc.block(change.block)).await?;
            head_time = block.map_or(head_time, |block| block.timestamp);
        }
        // A change is a block seen: the feed is alive.
        self.book.head_seen = Some(Instant::now());
        let pairs = self.note(&change, head_time);
        if pairs.is_empty() {
            return Ok(());
        }
        watch.rpc(self.read_markets()).await?;
        let asked: BTreeSet<StrategyId> = pairs.iter().map(|(strategy, _)| *strategy).collect();
        let mut open = Open::new();
        for pair in pairs {
            of_one(
                pair.0,
                self.converge(pair, Why::Trade, Some(watch)).await,
                &mut open,
            )?;
        }
        self.failing.settle(Step::Batch, Some(&asked), open);
        self.failing
            .of_all(asked.into_iter())
            .map_or(Ok(()), |error| Err(error.into()))
    }

    /// A master's state that the keeper attests. It is written down before anything else, also before who handed it in
    /// hears that it was taken, and attested until the chain has stored it: the contract takes no signal without an
    /// account, and there may be none yet.
    async fn on_signal(
        &mut self,
        seen: Seen,
        exchange: Option<&ExchangeState>,
        answer: oneshot::Sender<Result<(), SignalRefused>>,
    ) -> Result<(), EngineError> {
        let taken = self.take_signal(seen, exchange).await?;
        // Who asked may have stopped listening: the signal counts all the same.
        let _ = answer.send(taken);
        if let Err(refused) = taken {
            warn!(strategy = seen.strategy, market = seen.market, observed_at = seen.observed_at, %refused, "signal not taken");
            return Ok(());
        }
        let pair = (seen.strategy, seen.market);
        if let Some(known) = self.book.strategies.get(&seen.strategy) {
            self.patience.forget(&known.vaults, seen.market);
        }
        self.attest(pair, Some(Stopwatch::start())).await
    }

    /// Checks a signal and writes it down.
    async fn take_signal(
        &mut self,
        seen: Seen,
        exchange: Option<&ExchangeState>,
    ) -> Result<Result<(), SignalRefused>, EngineError> {
        let Some(known) = self.book.strategies.get(&seen.strategy) else {
            return Ok(Err(SignalRefused::UnknownStrategy));
        };
        if known.source.is_some() {
            return Ok(Err(SignalRefused::ProvenByVenue));
        }
        if known.markets.len() <= usize::from(seen.market) {
            return Ok(Err(SignalRefused::UnknownMarket));
        }
        let pair = (seen.strategy, seen.market);
        let latest = self.latest_signal_time().await?;
        if seen.observed_at > latest {
            return Ok(Err(SignalRefused::FromTheFuture));
        }
        let stored = IMirrorEngine::signalOfCall {
            strategyId: U256::from(seen.strategy),
            market: seen.market,
        };
        let stored = views::must(self.rpc.as_ref(), self.deployment.engine, stored).await?;
        // What waits, what was signed here, and what the chain has from any keeper. A time from the future can only have
        // been taken in by an older version of this one, and counts for nothing.
        let newest = [
            self.attestations.get(&pair).map(|known| known.observed_at),
            self.journal.newest_observed(seen.strategy, seen.market).await?,
            Some(stored.observedAt),
        ]
        .into_iter()
        .flatten()
        .filter(|observed_at| *observed_at <= latest)
        .max();
        if newest.is_some_and(|newest| newest > seen.observed_at) {
            return Ok(Err(SignalRefused::Superseded));
        }
        let attestation = Attestation {
            strategy: seen.strategy,
            market: seen.market,
            leverage: seen.leverage,
            observed_at: seen.observed_at,
            sequence: None,
        };
        self.journal.attest(&attestation, exchange).await?;
        self.attestations.insert(pair, attestation);
        Ok(Ok(()))
    }

    /// The latest `observedAt`, Unix ms, that the next block would take.
    async fn latest_signal_time(&mut self) -> Result<u64, EngineError> {
        let ahead = match self.max_clock_ahead {
            Some(ahead) => ahead,
            None => {
                let ahead =
                    views::must(self.rpc.as_ref(), self.deployment.engine, MAX_CLOCK_AHEADCall {}).await?;
                *self.max_clock_ahead.insert(ahead)
            }
        };
        // The chain's clock stands still between blocks; the block that will carry the signal is later by as much.
        let since = self.head_read.map_or(Duration::ZERO, |read| read.elapsed());
        let head = self.book.head.map_or(0, |head| head.timestamp);
        Ok(head
            .saturating_add(ahead)
            .saturating_mul(1_000)
            .saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Signs a state that was handed in and sends it with the accounts it moves.
    async fn attest(&mut self, pair: Pair, watch: Option<Stopwatch>) -> Result<(), EngineError> {
        let (strategy, market) = pair;
        let Some(attestation) = self.attestations.get(&pair).cloned() else {
            return Ok(());
        };
        let journalled = self
            .journal
            .highest_sequence(strategy, market)
            .await?
            .unwrap_or(0);
        let Some(state) = self
            .book
            .strategies
            .get_mut(&strategy)
            .and_then(|known| known.markets.get_mut(usize::from(market)))
        else {
            return Ok(());
        };
        let sequence = state.sequence.max(journalled) + 1;
        state.leverage = Some(attestation.leverage);
        state.traded_at = attestation.observed_at;
        let signal = IMirrorEngine::Signal {
            strategyId: U256::from(strategy),
            market,
            leverage: alloy::primitives::I256::try_from(attestation.leverage.0).unwrap_or_default(),
            sequence,
            observedAt: attestation.observed_at,
        };
        let signature = self
            .submitter
            .key()
            .sign_digest(self.domains.in_engine(&signal))?;
        let proof = ProofPath::Signed {
            signal,
            proof: 2,
            signature,
        };
        if self.act(pair, Why::Trade, watch, proof).await?
            && let Some(attestation) = self.attestations.get_mut(&pair)
        {
            attestation.sequence = Some(sequence);
        }
        Ok(())
    }

    /// What was handed in and is not stored on the chain yet: attested again once there is somebody to name, or once the
    /// transaction that carried it has come to nothing.
    async fn attestations(&mut self, head: Head, open: &mut Open) -> Result<(), EngineError> {
        let pairs: Vec<Pair> = self.attestations.keys().copied().collect();
        for pair in pairs {
            of_one(pair.0, self.attest_again(pair, head).await, open)?;
        }
        Ok(())
    }

    async fn attest_again(&mut self, pair: Pair, head: Head) -> Result<(), EngineError> {
        let (strategy, market) = pair;
        let Some(attestation) = self.attestations.get(&pair) else {
            return Ok(());
        };
        let Some(known) = self.book.strategies.get(&strategy) else {
            return Ok(());
        };
        let (sequence, observed_at) = (attestation.sequence, attestation.observed_at);
        let stored = known
            .markets
            .get(usize::from(market))
            .map_or(0, |state| state.sequence);
        if sequence.is_some_and(|sequence| stored >= sequence) {
            self.attestations.remove(&pair);
            self.journal.attested(strategy, market, observed_at).await?;
            return Ok(());
        }
        let under_way = self.tracker.pending().any(|job| {
            job.kind == "mirror"
                && job.market == Some(market)
                && job.vault.is_some_and(|vault| known.vaults.contains(&vault))
        });
        let nobody = !known.vaults.iter().any(|vault| {
            self.book
                .vaults
                .get(vault)
                .is_some_and(|vault| !vault.accounts.is_empty())
        });
        if under_way {
            return Ok(());
        }
        if self.is_too_old(observed_at, head).await? {
            warn!(
                strategy,
                market,
                observed_at,
                "not stored while the contract took it for its age; hand the signal in again"
            );
            self.attestations.remove(&pair);
            self.journal.attested(strategy, market, observed_at).await?;
        } else if !nobody {
            self.attest(pair, None).await?;
        }
        Ok(())
    }

    /// Whether the contract refuses a signal for its age.
    async fn is_too_old(&mut self, observed_at: u64, head: Head) -> Result<bool, EngineError> {
        let most = match self.max_signal_age {
            Some(most) => most,
            None => {
                let call = IMirrorEngine::MAX_SIGNAL_AGECall {};
                let most = views::must(self.rpc.as_ref(), self.deployment.engine, call).await?;
                *self.max_signal_age.insert(most)
            }
        };
        Ok(observed_at.saturating_add(most.saturating_mul(1_000)) < head.timestamp.saturating_mul(1_000))
    }

    /// Brings a strategy's accounts to the master's state in one market.
    async fn converge(&mut self, pair: Pair, why: Why, watch: Option<Stopwatch>) -> Result<(), EngineError> {
        let proof = match self.book.strategies.get(&pair.0) {
            Some(strategy) if strategy.source.is_some() => ProofPath::Venue,
            _ => ProofPath::Stored,
        };
        self.act(pair, why, watch, proof).await.map(|_| ())
    }

    /// Gives whether anything was sent.
    async fn act(
        &mut self,
        pair: Pair,
        why: Why,
        watch: Option<Stopwatch>,
        proof: ProofPath,
    ) -> Result<bool, EngineError> {
        let (id, market) = pair;
        let Some(strategy) = self.book.strategies.get(&id) else {
            return Ok(false);
        };
        let Some(state) = strategy.markets.get(usize::from(market)) else {
            return Ok(false);
        };
        // Nothing read, nothing known: the next look reads again. A stopped account's close needs no leverage, but the
        // batch that closes it does.
        let Some(leverage) = state.leverage else {
            return Ok(false);
        };
        let now = Instant::now();
        let sight = Sight {
            age: self
                .book
                .head_seen
                .map(|seen| now.saturating_duration_since(seen)),
            leverage,
            breaker: self.book.growth_stopped(strategy),
            agreed: self.rpc.agreed(),
        };
        let rate_allows = self.rate.allows(&self.limits, id, now);
        let verdict = guard::judge(&self.limits, &sight, rate_allows);
        let reduce_only = match verdict {
            Verdict::Go => {
                self.said.remove(&pair);
                false
            }
            Verdict::ReduceOnly(reason) | Verdict::CloseOnly(reason) | Verdict::Hold(reason) => {
                if self.said.insert(pair, reason.label()) != Some(reason.label()) {
                    warn!(strategy = id, market, %reason, "guard: held back");
                }
                metrics::counter!("keeper_guard_total", "reason" => reason.label()).increment(1);
                if matches!(verdict, Verdict::Hold(_)) {
                    return Ok(false);
                }
                true
            }
        };
        // What makes exposure smaller never waits for what makes it larger.
        let full = self.tracker.pending().count() >= self.pace.max_in_flight;
        if full {
            debug!(strategy = id, market, "many jobs under way: only reductions now");
            metrics::counter!("keeper_growth_waits_total").increment(1);
        }
        let reduce_only = reduce_only || full;
        let busy: HashSet<Address> = self
            .tracker
            .pending()
            .filter(|job| job.kind == "mirror" && job.market == Some(market))
            .filter_map(|job| job.vault)
            .collect();
        let (patience, vaults) = (&self.patience, &self.book.vaults);
        let close_only = matches!(verdict, Verdict::CloseOnly(_));
        let stays = |vault: Address, account: AccountIndex| {
            let account = vaults.get(&vault).and_then(|vault| vault.accounts.get(&account));
            account.is_none_or(|account| account.status != Status::Closing)
        };
        // Could not be read just now. A trade is followed all the same: the chain sizes.
        let unread = |vault: Address| vaults.get(&vault).is_some_and(|vault| vault.stale);
        let view = plan::View {
            book: &self.book,
            strategy,
            market,
            leverage,
            reduce_only,
            tolerance_bps: self.pace.tolerance_bps,
        };
        let mut orders = plan::plan(&view, why, &self.gas, |vault, account| {
            busy.contains(&vault)
                || patience.batch_waits(vault, market)
                || patience.waits(vault, market, account)
                || (close_only && stays(vault, account))
                || (why == Why::Look && unread(vault))
        });
        let waits = full || strategy.vaults.iter().any(|vault| busy.contains(vault));
        if orders.is_empty() && !close_only && !full && matches!(proof, ProofPath::Signed { .. }) {
            // Nobody to move now: named with one account, whoever it is, the signal is stored for those who come later.
            orders.extend(plan::storing(&self.book, strategy, market, |vault| {
                busy.contains(&vault) || patience.batch_waits(vault, market)
            }));
        }
        if orders.is_empty() {
            if !waits {
                self.hot.remove(&pair);
            }
            return Ok(false);
        }
        let observed_at = if why == Why::Trade { state.traded_at } else { 0 };
        let decision = Decision {
            strategy: id,
            market,
            leverage,
            observed_at,
            orders,
        };
        let grows = decision.orders.iter().any(|order| !order.reduces);
        let mut sink = ChainSink {
            submitter: &mut self.submitter,
            tracker: &mut self.tracker,
            patience: &mut self.patience,
            engine: self.deployment.engine,
            proof,
            watch,
        };
        let taken = sink.take(&decision).await?;
        if taken.sent > 0 && grows {
            self.rate.spend(&self.limits, id, now);
        }
        if !waits {
            // What could not be sent waits, and the looks try again.
            self.hot.remove(&pair);
        }
        Ok(taken.sent > 0)
    }

    /// Follows what is in flight.
    async fn step(&mut self, head: &Head) -> Result<(), EngineError> {
        let mut failed = None;
        for news in self.tracker.step(head, &mut self.submitter).await? {
            match news {
                // Without an answer about one job it is told again at the next look; the others are heard now.
                News::Included { job, receipt } => {
                    contain(self.on_included(&job, &receipt).await, &mut failed)?;
                }
                News::Confirmed(job) => debug!(job, "confirmed"),
                News::Returned(_) | News::Usurped(_) => self.mark_all(),
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Sends what followers handed in.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub async fn relays(&mut self) -> Result<(), EngineError> {
        let queued = self.journal.queued().await?;
        self.expect(relay::vaults(&queued));
        let (submitter, tracker) = (&mut self.submitter, &mut self.tracker);
        let sending = self
            .relay
            .send(self.rpc.as_ref(), &self.journal, submitter, tracker, queued);
        Ok(sending.await?)
    }

    /// Simulates and sends a call that is not a batch.
    async fn send_simple(
        &mut self,
        kind: &'static str,
        cause: String,
        vault: Address,
        target: Address,
        calldata: Bytes,
    ) -> Result<bool, EngineError> {
        let sent = relay::send_one(&mut self.submitter, kind, cause, Some(vault), target, calldata).await?;
        Ok(match sent {
            Ok(flight) => {
                self.tracker.track(flight);
                true
            }
            Err(reason) => {
                debug!(kind, %vault, reason, "not sent");
                false
            }
        })
    }
}

/// Keeps the first question that went unanswered for the end of the look, and lets the rest of it go on.
fn contain(result: Result<(), EngineError>, first: &mut Option<RpcError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::Rpc(error)) => {
            debug!(%error, "one step of the look not completed");
            first.get_or_insert(error);
            Ok(())
        }
        other => other,
    }
}

/// Keeps what a question about one strategy left open, and lets the others go on.
fn of_one(strategy: StrategyId, result: Result<(), EngineError>, open: &mut Open) -> Result<(), EngineError> {
    match result {
        Err(EngineError::Rpc(error)) => {
            open.entry(strategy).or_insert(error);
            Ok(())
        }
        other => other,
    }
}

/// An endpoint that does not answer is survived; a journal that cannot be written is not.
fn survive(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::Rpc(error)) => {
            warn!(%error, "look not completed; the next one goes on");
            metrics::counter!("keeper_looks_failed_total").increment(1);
            Ok(())
        }
        Err(fatal) => {
            error!(error = %fatal, "cannot go on");
            Err(fatal)
        }
        Ok(()) => Ok(()),
    }
}
