//! What was meant to be sent, written down before it is sent: after a crash the question is what became of it, never
//! whether it was sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::{Order, Text, Venue};
use crate::operation::Operation;

/// An order that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Where.
    pub venue: Venue,
    /// The owner's id: the key.
    pub client_order_id: Text,
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// The whole act, for people and for audits. Of a batch, the batch.
    pub operation: Operation,
    /// On the venue's clock, Unix milliseconds: not sent before, signed with this or a later time.
    pub written_ms: u64,
    /// On the venue's clock, Unix milliseconds: after this the venue refuses it, however late it arrives. None where the
    /// venue sets no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until_ms: Option<u64>,
}

/// Whether an intent is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is: send it.
    New,
    /// An intent with this id was written before and may have been sent: ask the venue.
    Before,
}

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "settlement", rename_all = "snake_case")]
pub enum Settlement {
    /// The venue took it.
    Taken {
        /// The venue's id, where told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order_id: Option<Text>,
    },
    /// The venue refused it for good.
    Refused {
        /// The venue's code.
        code: Text,
    },
    /// It never arrived and cannot any more.
    NeverArrived,
    /// It did not leave this process.
    NotSent,
}

/// The ledger could not be written or read: nothing may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ledger: {0}")]
pub struct LedgerError(pub String);

/// Where intents are kept. The keeper implements it over its database.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Writes all of them or none; when this returns they survive the loss of power. If one was there already, none is
    /// written and [`Written::Before`] is returned, whatever became of the earlier one: an id is never used twice.
    /// The exception is [`Settlement::NotSent`]: such an id is free again.
    ///
    /// # Errors
    /// When they are not safely written.
    async fn write(&self, intents: &[Intent]) -> Result<Written, LedgerError>;

    /// Notes what became of one.
    ///
    /// # Errors
    /// When that is not safely written.
    async fn settle(
        &self,
        venue: Venue,
        client_order_id: &Text,
        settlement: &Settlement,
    ) -> Result<(), LedgerError>;

    /// Those of a venue whose end is not known, oldest first: what a restart asks about first.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn unsettled(&self, venue: Venue) -> Result<Vec<Intent>, LedgerError>;
}

type Rows = BTreeMap<(Venue, Text), (Intent, Option<Settlement>)>;

/// A ledger that forgets everything when the process ends: for tests and for looking on. Not to trade with.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    rows: Mutex<Rows>,
}

impl MemoryLedger {
    fn lock(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of one; none while that is open or where it is not known.
    #[must_use]
    pub fn settlement(&self, venue: Venue, client_order_id: &str) -> Option<Settlement> {
        self.lock()
            .get(&(venue, client_order_id.into()))
            .and_then(|(_, settlement)| settlement.clone())
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn write(&self, intents: &[Intent]) -> Result<Written, LedgerError> {
        let mut rows = self.lock();
        let mut keys = std::collections::BTreeSet::new();
        for intent in intents {
            let key = (intent.venue, intent.client_order_id.clone());
            let free = matches!(rows.get(&key), None | Some((_, Some(Settlement::NotSent))));
            if !free || !keys.insert(key) {
                return Ok(Written::Before);
            }
        }
        for intent in intents {
            rows.insert(
                (intent.venue, intent.client_order_id.clone()),
                (intent.clone(), None),
            );
        }
        Ok(Written::New)
    }

    async fn settle(
        &self,
        venue: Venue,
        client_order_id: &Text,
        settlement: &Settlement,
    ) -> Result<(), LedgerError> {
        match self.lock().get_mut(&(venue, client_order_id.clone())) {
            Some((_, slot)) => {
                *slot = Some(settlement.clone());
                Ok(())
            }
            None => Err(LedgerError(format!("{venue} {client_order_id}: not written"))),
        }
    }

    async fn unsettled(&self, venue: Venue) -> Result<Vec<Intent>, LedgerError> {
        let mut open: Vec<Intent> = self
            .lock()
            .values()
            .filter(|(intent, settlement)| intent.venue == venue && settlement.is_none())
            .map(|(intent, _)| intent.clone())
            .collect();
        open.sort_by_key(|intent| intent.written_ms);
        Ok(open)
    }
}

/// The orders an operation would bring into the world: instrument and owner's id, none where it names no id.
#[must_use]
pub fn orders_of(operation: &Operation) -> Vec<(Text, Option<Text>)> {
    match operation {
        Operation::PlaceOrder(order) => vec![(order.instrument.clone(), order.client_order_id.clone())],
        Operation::PlaceOrders(orders) => orders
            .orders
            .iter()
            .map(|order| (order.instrument.clone(), order.client_order_id.clone()))
            .collect(),
        Operation::PlaceConditionalOrder(order) => {
            vec![(order.instrument.clone(), order.client_order_id.clone())]
        }
        Operation::PlaceStopLadder(ladder) => ladder
            .rungs
            .iter()
            .map(|rung| (rung.instrument.clone(), rung.client_order_id.clone()))
            .collect(),
        Operation::ClosePosition(close) => vec![(close.instrument.clone(), close.client_order_id.clone())],
        _ => Vec::new(),
    }
}

/// [`Settlement`] of an order the venue shows.
#[must_use]
pub fn taken(order: &Order) -> Settlement {
    Settlement::Taken {
        order_id: Some(order.order_id.clone()),
    }
}
