//! From decoded events to rows: facts that are added, documents that change.
//!
//! [`Deriver`] is synchronous and touches no store. The caller loads what [`Deriver::needs`] names, calls
//! [`Deriver::derive`], and commits the result in one transaction. What the events say must hang together (NAV points
//! and batches count up without a gap): logs that a node left out are found here.

use std::collections::{BTreeSet, HashMap};

use alloy::primitives::{Address, B256};
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::units::{Usdc, Wad};

use crate::decode::{DecodeError, Event, Speaker};
use crate::model::{AccountEntry, Batch, BlockRef, Fill, Finality, Origin, Signal, StrategyId};

mod apply;
pub mod documents;
pub mod math;
pub mod nav;
pub mod position;
pub mod statistics;

use documents::{Document, Key, SeriesKey};
use math::Overflow;

/// An event and where it is.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Which contract would say this.
    pub speaker: Speaker,
    /// Who said it.
    pub address: Address,
    /// Transaction.
    pub tx_hash: B256,
    /// Index of the log in the block.
    pub log_index: u64,
    /// The event; an error counts only when the emitter is one of Lockstep's contracts.
    pub event: Result<Event, DecodeError>,
}

/// A block with events.
#[derive(Debug, Clone)]
pub struct Block {
    /// The block.
    pub block: BlockRef,
    /// Its events by log index.
    pub events: Vec<Placed>,
}

/// A point of a vault's NAV record, and of its strategy's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NavRow {
    pub vault: Address,
    pub index: u64,
    pub strategy: StrategyId,
    pub strategy_index: u64,
    pub time: u64,
    pub nav_index: Wad,
    pub total_equity: Usdc,
    pub strategy_nav_index: Wad,
    pub strategy_equity: Usdc,
    pub origin: Origin,
}

/// Facts: rows that are only ever added, or taken back with their block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Facts {
    pub nav: Vec<NavRow>,
    pub batches: Vec<Batch>,
    /// With the position of the line in its batch.
    pub fills: Vec<(u32, Fill)>,
    pub signals: Vec<Signal>,
    /// With a running number per log.
    pub entries: Vec<(u32, AccountEntry)>,
}

/// The body of a document before a block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Undo {
    pub block: u64,
    pub key: Key,
    /// `None`: it did not exist.
    pub before: Option<Document>,
}

/// What a range of blocks changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Derived {
    pub facts: Facts,
    pub documents: Vec<(Key, Document)>,
    pub undo: Vec<Undo>,
    pub strategies: BTreeSet<StrategyId>,
    pub followers: BTreeSet<Address>,
    /// Events of Lockstep's contracts.
    pub events: u64,
    /// Logs of strangers with the same signatures.
    pub strangers: u64,
}

/// What must be loaded before a range can be derived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Documents by key.
    pub keys: BTreeSet<Key>,
    /// Vaults of which every account is needed.
    pub vaults: BTreeSet<Address>,
}

/// Why events cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// A log of one of Lockstep's contracts cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Something is missing before this event: the node left logs out, or following began too late.
    #[error("block {block}, log {log_index}: {detail}; the node left logs out, or following began too late")]
    Gap {
        /// Block.
        block: u64,
        /// Log.
        log_index: u64,
        /// What was expected and what came.
        detail: String,
    },
    /// A sum left 128 bits.
    #[error("block {block}, log {log_index}: {source}")]
    Overflow {
        /// Block.
        block: u64,
        /// Log.
        log_index: u64,
        /// Which.
        source: Overflow,
    },
    /// A document was not loaded: a bug of this crate.
    #[error("bug: document {0:?} was not loaded")]
    NotLoaded(Key),
}

struct Slot {
    document: Option<Document>,
    dirty: bool,
    /// Block for which an undo entry was made last.
    undone: Option<u64>,
}

/// Applies events. Holds what it loaded and changed until [`Deriver::forget`].
pub struct Deriver {
    deployment: Deployment,
    vaults: HashMap<Address, StrategyId>,
    cache: HashMap<Key, Slot>,
}

/// Where an event is, for errors and origins.
#[derive(Clone, Copy)]
struct At {
    block: BlockRef,
    tx_hash: B256,
    log_index: u64,
}

impl At {
    const fn origin(&self) -> Origin {
        Origin {
            block: self.block.number,
            block_hash: self.block.hash,
            time: self.block.time,
            tx_hash: self.tx_hash,
            log_index: self.log_index,
            finality: Finality::Pending,
        }
    }

    fn gap(&self, detail: impl Into<String>) -> DeriveError {
        DeriveError::Gap {
            block: self.block.number,
            log_index: self.log_index,
            detail: detail.into(),
        }
    }

    fn over(&self) -> impl Fn(Overflow) -> DeriveError + use<> {
        let (block, log_index) = (self.block.number, self.log_index);
        move |source| DeriveError::Overflow {
            block,
            log_index,
            source,
        }
    }
}

type Done<T = ()> = Result<T, DeriveError>;

impl Deriver {
    /// A deriver that knows `vaults` from the store.
    #[must_use]
    pub fn new(deployment: Deployment, vaults: impl IntoIterator<Item = (Address, StrategyId)>) -> Self {
        Self {
            deployment,
            vaults: vaults.into_iter().collect(),
            cache: HashMap::new(),
        }
    }

    /// The vaults it knows.
    pub fn vaults(&self) -> impl Iterator<Item = Address> {
        self.vaults.keys().copied()
    }

    /// Forgets what was loaded, after a rollback or an error; `vaults` as the store has them now.
    pub fn reset(&mut self, vaults: impl IntoIterator<Item = (Address, StrategyId)>) {
        self.cache.clear();
        self.vaults = vaults.into_iter().collect();
    }

    /// Forgets loaded documents when there are more than `most`. Call after a commit.
    pub fn forget(&mut self, most: usize) {
        if self.cache.len() > most {
            self.cache.clear();
        }
    }

    fn speaks(&self, placed: &Placed, created: &HashMap<Address, StrategyId>) -> bool {
        match placed.speaker {
            Speaker::Registry => placed.address == self.deployment.registry,
            Speaker::Engine => placed.address == self.deployment.engine,
            Speaker::Liquidator => placed.address == self.deployment.liquidator,
            Speaker::Insurance => placed.address == self.deployment.insurance,
            Speaker::Vault => {
                self.vaults.contains_key(&placed.address) || created.contains_key(&placed.address)
            }
        }
    }

    fn created(&self, blocks: &[Block]) -> HashMap<Address, StrategyId> {
        blocks
            .iter()
            .flat_map(|block| &block.events)
            .filter(|placed| placed.address == self.deployment.registry)
            .filter_map(|placed| match placed.event {
                Ok(Event::VaultCreated { strategy, vault, .. }) => Some((vault, strategy)),
                _ => None,
            })
            .collect()
    }

    /// What must be [`load`](Self::load)ed before these blocks can be derived.
    #[must_use]
    pub fn needs(&self, blocks: &[Block]) -> Needs {
        let created = self.created(blocks);
        let mut needs = Needs::default();
        needs.keys.insert(Key::System);
        for block in blocks {
            let day = block.block.time / nav::DAY;
            for placed in &block.events {
                if !self.speaks(placed, &created) {
                    continue;
                }
                let Ok(event) = &placed.event else { continue };
                if placed.speaker == Speaker::Vault {
                    let vault = placed.address;
                    let strategy = self.vaults.get(&vault).or_else(|| created.get(&vault)).copied();
                    needs.keys.insert(Key::Vault(vault));
                    if let Some(strategy) = strategy {
                        needs.keys.insert(Key::Strategy(strategy));
                        needs.keys.insert(Key::Tally(strategy, day));
                        if let Event::Nav { time, .. } = event {
                            for series in [SeriesKey::Vault(vault), SeriesKey::Strategy(strategy)] {
                                needs.keys.insert(Key::Hour(series, time / nav::HOUR));
                                needs.keys.insert(Key::Day(series, time / nav::DAY));
                            }
                        }
                    }
                    match event {
                        Event::Batch(batch) => needs
                            .keys
                            .extend(batch.fills.iter().map(|fill| Key::Account(vault, fill.account))),
                        Event::VenueDiverged(_) => {
                            needs.vaults.insert(vault);
                        }
                        other => {
                            if let Some(account) = account_of(other) {
                                needs.keys.insert(Key::Account(vault, account));
                            }
                        }
                    }
                }
                match event {
                    Event::StrategyRegistered { strategy, .. }
                    | Event::TermsScheduled { strategy, .. }
                    | Event::TermsApplied { strategy, .. }
                    | Event::SourceChanged { strategy, .. }
                    | Event::SignalAccepted { strategy, .. } => {
                        needs.keys.insert(Key::Strategy(*strategy));
                    }
                    Event::VaultCreated { strategy, vault, .. } => {
                        needs.keys.insert(Key::Strategy(*strategy));
                        needs.keys.insert(Key::Vault(*vault));
                    }
                    _ => {}
                }
            }
        }
        needs.keys.retain(|key| !self.cache.contains_key(key));
        needs
    }

    /// Gives documents to work on; a key without a document says that the store has none.
    pub fn load(&mut self, documents: impl IntoIterator<Item = (Key, Option<Document>)>) {
        for (key, document) in documents {
            self.cache.entry(key).or_insert(Slot {
                document,
                dirty: false,
                undone: None,
            });
        }
    }

    /// Applies blocks in order. For blocks above `undo_above` the bodies before are returned as well.
    ///
    /// # Errors
    /// [`DeriveError`]; then call [`reset`](Self::reset): what was loaded is half changed.
    pub fn derive(&mut self, blocks: &[Block], undo_above: u64) -> Done<Derived> {
        let mut out = Derived::default();
        let none = HashMap::new();
        for block in blocks {
            let mut order: Vec<&Placed> = block.events.iter().collect();
            order.sort_by_key(|placed| {
                (
                    placed.event.as_ref().map_or(u8::MAX, Event::rank),
                    placed.log_index,
                )
            });
            let undo = block.block.number > undo_above;
            for placed in order {
                if !self.speaks(placed, &none) {
                    out.strangers += 1;
                    continue;
                }
                let event = placed.event.as_ref().map_err(Clone::clone)?;
                out.events += 1;
                let at = At {
                    block: block.block,
                    tx_hash: placed.tx_hash,
                    log_index: placed.log_index,
                };
                apply::Step {
                    deriver: self,
                    out: &mut out,
                    at,
                    undo,
                }
                .apply(placed.address, event)?;
            }
        }
        for (key, slot) in &mut self.cache {
            if std::mem::take(&mut slot.dirty)
                && let Some(document) = &slot.document
            {
                out.documents.push((*key, document.clone()));
            }
            slot.undone = None;
        }
        Ok(out)
    }
}

const fn account_of(event: &Event) -> Option<u32> {
    match event {
        Event::AccountOpened { account, .. }
        | Event::MandateAccepted { account, .. }
        | Event::StatusChanged { account, .. }
        | Event::Deposited { account, .. }
        | Event::Withdrawn { account, .. }
        | Event::PerformanceFee { account, .. }
        | Event::QuoteSwept { account, .. }
        | Event::AccountLiquidated { account, .. }
        | Event::BadDebt { account, .. } => Some(*account),
        _ => None,
    }
}
