//! The last books of each instrument, for wires that tell what changed from one to the next.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::model::{Book, Decimal, Level, Text};

/// Books kept of each instrument: sockets may be so many behind.
const KEPT: usize = 256;

/// The last books by their number.
#[derive(Debug, Default)]
pub(super) struct Books(Mutex<HashMap<Text, BTreeMap<i64, Book>>>);

impl Books {
    /// Keeps a book.
    pub(super) fn keep(&self, sequence: i64, book: &Book) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let books = all.entry(book.instrument.clone()).or_default();
        books.entry(sequence).or_insert_with(|| book.clone());
        while books.len() > KEPT {
            books.pop_first();
        }
    }

    /// A book by its number.
    pub(super) fn get(&self, instrument: &str, sequence: i64) -> Option<Book> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(instrument)?.get(&sequence).cloned()
    }
}

/// A price of which the size changed. Zero: it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// Price and new size.
    pub(super) level: Level,
    /// It was in the book before.
    pub(super) known: bool,
}

/// What changed on one side of a book.
pub(super) fn changes(old: &[Level], new: &[Level]) -> Vec<Change> {
    let at = |levels: &[Level], price: Decimal| {
        levels
            .iter()
            .find(|level| level.price == price)
            .map(|level| level.size)
    };
    let gone = old
        .iter()
        .filter(|level| at(new, level.price).is_none())
        .map(|level| Change {
            level: Level {
                price: level.price,
                size: Decimal::ZERO,
            },
            known: true,
        });
    let come = new.iter().filter_map(|level| {
        let before = at(old, level.price);
        (before != Some(level.size)).then_some(Change {
            level: *level,
            known: before.is_some(),
        })
    });
    gone.chain(come).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64, size: i64) -> Level {
        Level {
            price: Decimal::from(price),
            size: Decimal::from(size),
        }
    }

    #[test]
    fn what_went_what_came_and_what_changed() {
        let found = changes(
            &[level(1, 5), level(2, 5), level(3, 5)],
            &[level(2, 5), level(3, 6), level(4, 5)],
        );
        let change = |price, size, known| Change {
            level: level(price, size),
            known,
        };
        assert_eq!(
            found,
            [change(1, 0, true), change(3, 6, true), change(4, 5, false)]
        );
    }
}
