//! What was seen already: venues send fills and trades again after a reconnect, and on two streams at once.

use std::collections::{BTreeMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::Text;

/// Trade ids by instrument, oldest first, bounded. Each instrument has its own room: a busy one does not push out what a
/// quiet one has seen. Serialised as the lists of ids, so that the keeper can persist it with its cursor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Seen {
    per_instrument: usize,
    instruments: BTreeMap<Text, Ids>,
}

#[derive(Debug, Clone, Default)]
struct Ids {
    order: VecDeque<Text>,
    set: HashSet<Text>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    per_instrument: usize,
    seen: BTreeMap<Text, VecDeque<Text>>,
}

impl From<Stored> for Seen {
    fn from(stored: Stored) -> Self {
        let mut seen = Self::new(stored.per_instrument);
        for (instrument, ids) in stored.seen {
            for id in ids {
                seen.insert(&instrument, &id);
            }
        }
        seen
    }
}

impl From<Seen> for Stored {
    fn from(seen: Seen) -> Self {
        Self {
            per_instrument: seen.per_instrument,
            seen: seen
                .instruments
                .into_iter()
                .map(|(instrument, ids)| (instrument, ids.order))
                .collect(),
        }
    }
}

impl Seen {
    /// Remembers the newest `per_instrument` ids of each instrument; 0 counts as 1. Choose more than a venue ever sends
    /// again: its replays are at most some hundred fills long.
    #[must_use]
    pub fn new(per_instrument: usize) -> Self {
        Self {
            per_instrument: per_instrument.max(1),
            instruments: BTreeMap::new(),
        }
    }

    /// Notes an id. True when it is new.
    pub fn insert(&mut self, instrument: &Text, id: &Text) -> bool {
        if !self.instruments.contains_key(instrument) {
            self.instruments.insert(instrument.clone(), Ids::default());
        }
        let Some(ids) = self.instruments.get_mut(instrument) else {
            return true;
        };
        if !ids.set.insert(id.clone()) {
            return false;
        }
        ids.order.push_back(id.clone());
        if ids.order.len() > self.per_instrument
            && let Some(oldest) = ids.order.pop_front()
        {
            ids.set.remove(&oldest);
        }
        true
    }

    /// Whether an id was noted and is remembered.
    #[must_use]
    pub fn contains(&self, instrument: &Text, id: &Text) -> bool {
        self.instruments
            .get(instrument)
            .is_some_and(|ids| ids.set.contains(id))
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.instruments.values().map(|ids| ids.order.len()).sum()
    }

    /// None.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_is_new_once_while_it_is_remembered_and_a_restart_changes_nothing(
            room in 1_usize..20,
            asks in proptest::collection::vec((0_u8..3, 0_u8..40), 0..300),
            restart in 0_usize..300,
        ) {
            let mut seen = Seen::new(room);
            let mut model: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
            for (index, (instrument, id)) in asks.into_iter().enumerate() {
                if index == restart {
                    seen = serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
                }
                let known = model.entry(instrument).or_default();
                let new = !known.contains(&id);
                let text = Text::from(id.to_string());
                prop_assert_eq!(seen.insert(&Text::from(instrument.to_string()), &text), new);
                if new {
                    known.push(id);
                    if known.len() > room {
                        known.remove(0);
                    }
                }
                prop_assert_eq!(seen.len(), model.values().map(Vec::len).sum::<usize>());
            }
        }
    }
}
