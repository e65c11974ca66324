//! An order book kept from a stream. It is served only while nothing is missing from it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use crate::model::{Book, BookCheck, Decimal, Instrument, Level, SizeUnit};

/// Levels that a checksum covers on each side.
const CHECKED_LEVELS: usize = 25;
/// Changes kept until a snapshot comes.
const ASIDE: usize = 1_000;

/// Something is missing or wrong: the book is empty until the next snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookGap {
    /// Updates are missing.
    #[error("updates are missing after {have}: the next begins at {next}")]
    Sequence {
        /// Last update that was applied.
        have: i64,
        /// What came instead of the one after it.
        next: i64,
    },
    /// The venue's checksum is another.
    #[error("the checksum is {ours}, the venue says {venue}")]
    Checksum {
        /// Over our levels.
        ours: u32,
        /// The venue's.
        venue: u32,
    },
    /// The best bid is not below the best ask.
    #[error("crossed: bid {bid}, ask {ask}")]
    Crossed {
        /// Best bid.
        bid: Decimal,
        /// Best ask.
        ask: Decimal,
    },
    /// The connection was lost, or messages were skipped.
    #[error("the stream was interrupted")]
    Interrupted,
}

/// How sizes stand in the text that the venue's checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SizeText {
    /// As they are.
    Base,
    /// In contracts of so many base units, without trailing zeros.
    Contracts(Decimal),
    /// Not to be told exactly: no checksum is compared.
    Unknown,
}

/// The book of one instrument.
#[derive(Debug, Clone)]
pub struct OrderBook {
    size_text: SizeText,
    bids: BTreeMap<Reverse<Decimal>, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
    last: Option<i64>,
    /// The first change after a snapshot from elsewhere (REST) may begin before it.
    joined: bool,
    whole: bool,
    aside: VecDeque<Book>,
    time_ms: u64,
}

impl OrderBook {
    /// Empty: waits for a snapshot.
    #[must_use]
    pub fn new(instrument: &Instrument) -> Self {
        let size_text = match instrument.size_unit {
            SizeUnit::Base => SizeText::Base,
            SizeUnit::Contracts if instrument.kind == crate::model::ContractKind::Linear => {
                SizeText::Contracts(instrument.contract_size)
            }
            SizeUnit::Contracts | SizeUnit::Quote => SizeText::Unknown,
        };
        Self {
            size_text,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            last: None,
            joined: false,
            whole: false,
            aside: VecDeque::new(),
            time_ms: 0,
        }
    }

    /// Nothing is missing.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// When the venue last stated it, Unix milliseconds.
    #[must_use]
    pub const fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Best bid; none while the book is not whole.
    #[must_use]
    pub fn bid(&self) -> Option<Level> {
        self.bids().next()
    }

    /// Best ask; none while the book is not whole.
    #[must_use]
    pub fn ask(&self) -> Option<Level> {
        self.asks().next()
    }

    /// Bids from the best down; none while the book is not whole.
    pub fn bids(&self) -> impl Iterator<Item = Level> {
        self.bids
            .iter()
            .filter(|_| self.whole)
            .map(|(price, size)| Level {
                price: price.0,
                size: *size,
            })
    }

    /// Asks from the best up; none while the book is not whole.
    pub fn asks(&self) -> impl Iterator<Item = Level> {
        self.asks
            .iter()
            .filter(|_| self.whole)
            .map(|(price, size)| Level {
                price: *price,
                size: *size,
            })
    }

    /// Takes a message: a snapshot, from the stream or from REST, or a change. Changes before the first snapshot are kept
    /// for it.
    ///
    /// # Errors
    /// When something is missing. The book is empty then: ask for a snapshot.
    pub fn apply(&mut self, book: &Book) -> Result<(), BookGap> {
        let result = self.take(book);
        if let Err(gap) = &result {
            tracing::warn!(instrument = %book.instrument, %gap, "order book broken");
            self.clear();
        }
        result
    }

    /// The stream was interrupted, or messages of it were skipped: empty until the next snapshot.
    pub fn interrupted(&mut self) -> BookGap {
        self.clear();
        BookGap::Interrupted
    }

    fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.last = None;
        self.joined = false;
        self.whole = false;
        self.aside.clear();
    }

    fn take(&mut self, book: &Book) -> Result<(), BookGap> {
        if book.snapshot || book.check == BookCheck::Whole {
            let aside = std::mem::take(&mut self.aside);
            self.clear();
            self.put(book);
            if let BookCheck::Sequence { last, .. } = book.check {
                self.last = Some(last);
            }
            self.joined = true;
            self.whole = true;
            self.verify(book)?;
            for change in &aside {
                self.change(change)?;
            }
            return Ok(());
        }
        if !self.whole {
            if self.aside.len() == ASIDE {
                self.aside.pop_front();
            }
            self.aside.push_back(book.clone());
            return Ok(());
        }
        self.change(book)
    }

    fn change(&mut self, book: &Book) -> Result<(), BookGap> {
        if let (
            BookCheck::Sequence {
                first,
                last,
                previous,
            },
            Some(have),
        ) = (book.check, self.last)
        {
            // Asked first: OKX's numbers may start again lower, chained to the one before.
            let follows = previous == Some(have);
            if !follows && last <= have {
                return Ok(());
            }
            let overlaps = first <= have.saturating_add(1);
            let fits = match previous {
                Some(_) => follows || self.joined && overlaps,
                None => overlaps,
            };
            if !fits {
                return Err(BookGap::Sequence { have, next: first });
            }
            self.last = Some(last);
        }
        self.joined = false;
        self.put(book);
        self.verify(book)
    }

    fn put(&mut self, book: &Book) {
        self.time_ms = self.time_ms.max(book.time_ms);
        for level in &book.bids {
            if level.size.is_zero() {
                self.bids.remove(&Reverse(level.price));
            } else {
                self.bids.insert(Reverse(level.price), level.size);
            }
        }
        for level in &book.asks {
            if level.size.is_zero() {
                self.asks.remove(&level.price);
            } else {
                self.asks.insert(level.price, level.size);
            }
        }
    }

    fn verify(&self, book: &Book) -> Result<(), BookGap> {
        if let (Some((bid, _)), Some((ask, _))) = (self.bids.first_key_value(), self.asks.first_key_value())
            && bid.0 >= *ask
        {
            return Err(BookGap::Crossed {
                bid: bid.0,
                ask: *ask,
            });
        }
        // 0 is what OKX sends since it stopped computing one.
        match (book.checksum, self.checksum()) {
            (Some(venue), Some(ours)) if venue != 0 && venue != ours => {
                Err(BookGap::Checksum { ours, venue })
            }
            _ => Ok(()),
        }
    }

    /// CRC32 over `bid:size:ask:size…` of the best 25 levels, as OKX and Bitget define it; none where our decimals do not
    /// tell the venue's text.
    #[must_use]
    pub fn checksum(&self) -> Option<u32> {
        let mut text = String::new();
        let mut bids = self.bids.iter().map(|(price, size)| (price.0, *size));
        let mut asks = self.asks.iter().map(|(price, size)| (*price, *size));
        for _ in 0..CHECKED_LEVELS {
            for (price, size) in [bids.next(), asks.next()].into_iter().flatten() {
                let size = match self.size_text {
                    SizeText::Base => size,
                    SizeText::Contracts(contract) => size.checked_div(contract)?.normalize(),
                    SizeText::Unknown => return None,
                };
                if !text.is_empty() {
                    text.push(':');
                }
                text.push_str(&format!("{price}:{size}"));
            }
        }
        Some(crc32fast::hash(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn levels(levels: &[(&str, &str)]) -> Vec<Level> {
        levels
            .iter()
            .map(|(price, size)| Level {
                price: decimal(price),
                size: decimal(size),
            })
            .collect()
    }

    fn message(snapshot: bool, check: BookCheck, bids: &[(&str, &str)], asks: &[(&str, &str)]) -> Book {
        Book {
            instrument: "X".into(),
            snapshot,
            bids: levels(bids),
            asks: levels(asks),
            check,
            checksum: None,
            time_ms: 1,
        }
    }

    fn sequence(first: i64, last: i64, previous: Option<i64>) -> BookCheck {
        BookCheck::Sequence {
            first,
            last,
            previous,
        }
    }

    fn book() -> OrderBook {
        OrderBook::new(&Instrument::linear(
            "X",
            "X",
            "USDT",
            decimal("0.1"),
            decimal("0.001"),
        ))
    }

    #[test]
    fn a_gap_empties_the_book_until_a_snapshot() {
        let mut book = book();
        book.apply(&message(
            true,
            sequence(1, 10, None),
            &[("1", "1")],
            &[("2", "1")],
        ))
        .unwrap();
        book.apply(&message(false, sequence(11, 12, None), &[("1.5", "1")], &[]))
            .unwrap();
        assert_eq!(book.bid().unwrap().price, decimal("1.5"));
        let gap = book.apply(&message(false, sequence(14, 14, None), &[], &[]));
        assert_eq!(gap, Err(BookGap::Sequence { have: 12, next: 14 }));
        assert!(!book.is_whole() && book.bid().is_none() && book.asks().next().is_none());
        book.apply(&message(
            true,
            sequence(1, 20, None),
            &[("1", "1")],
            &[("2", "1")],
        ))
        .unwrap();
        assert!(book.is_whole());
    }

    #[test]
    fn changes_before_a_snapshot_from_rest_are_joined_to_it() {
        let mut book = book();
        for change in [
            message(false, sequence(90, 95, Some(89)), &[("1", "9")], &[]),
            message(false, sequence(96, 105, Some(95)), &[("1", "5")], &[]),
            message(false, sequence(106, 110, Some(105)), &[("1.1", "3")], &[]),
        ] {
            book.apply(&change).unwrap();
        }
        assert!(book.bid().is_none());
        book.apply(&message(
            true,
            sequence(0, 100, None),
            &[("1", "7")],
            &[("2", "1")],
        ))
        .unwrap();
        let bids: Vec<_> = book.bids().map(|level| level.size).collect();
        assert_eq!(bids, [decimal("3"), decimal("5")]);
        let gap = book.apply(&message(false, sequence(111, 112, Some(107)), &[], &[]));
        assert!(gap.is_err());
    }

    #[test]
    fn numbers_that_start_again_are_followed_by_their_chain() {
        let mut book = book();
        book.apply(&message(true, sequence(15, 15, Some(-1)), &[("1", "1")], &[]))
            .unwrap();
        book.apply(&message(false, sequence(15, 15, Some(15)), &[], &[]))
            .unwrap();
        book.apply(&message(false, sequence(3, 3, Some(15)), &[("1", "2")], &[]))
            .unwrap();
        book.apply(&message(false, sequence(5, 5, Some(3)), &[("1", "3")], &[]))
            .unwrap();
        assert_eq!(book.bid().unwrap().size, decimal("3"));
    }

    #[test]
    fn the_checksum_is_over_the_text_the_venue_sent() {
        let mut book = book();
        let mut snapshot = message(
            true,
            BookCheck::Whole,
            &[("3366.1", "7"), ("3366", "6")],
            &[("3366.8", "9"), ("3368", "8")],
        );
        // The example of OKX's documentation.
        snapshot.checksum = Some(crc32fast::hash(b"3366.1:7:3366.8:9:3366:6:3368:8"));
        book.apply(&snapshot).unwrap();
        snapshot.checksum = Some(1);
        assert!(matches!(
            book.apply(&snapshot),
            Err(BookGap::Checksum { venue: 1, .. })
        ));
        assert!(!book.is_whole());
        snapshot.checksum = Some(0);
        book.apply(&snapshot).unwrap();
    }

    #[test]
    fn a_crossed_book_is_broken() {
        let mut book = book();
        let crossed = message(true, BookCheck::Whole, &[("2", "1")], &[("2", "1")]);
        assert!(matches!(book.apply(&crossed), Err(BookGap::Crossed { .. })));
    }

    proptest! {
        #[test]
        fn what_is_served_is_what_the_venue_has_whatever_is_lost(
            changes in proptest::collection::vec((1_u32..20, 0_u32..5, any::<bool>(), 0_u8..10), 1..100),
        ) {
            let mut truth: [BTreeMap<u32, u32>; 2] = Default::default();
            let mut book = book();
            book.apply(&message(true, sequence(0, 0, None), &[], &[])).unwrap();
            for (index, (price, size, is_bid, fate)) in changes.into_iter().enumerate() {
                // Bids are below 100, asks above.
                let side = &mut truth[usize::from(is_bid)];
                if size == 0 { side.remove(&price); } else { side.insert(price, size); }
                let at = if is_bid { price } else { price + 100 };
                let level = [Level { price: at.into(), size: size.into() }];
                let number = i64::try_from(index).unwrap() + 1;
                let mut change = message(false, sequence(number, number, Some(number - 1)), &[], &[]);
                if is_bid { change.bids = level.to_vec(); } else { change.asks = level.to_vec(); }
                match fate {
                    0 => {}
                    1 => { let _ = book.apply(&change); let _ = book.apply(&change); }
                    _ => { let _ = book.apply(&change); }
                }
                if fate == 0 { continue; }
                if book.is_whole() {
                    let served: Vec<_> = book.bids().map(|level| (level.price, level.size)).collect();
                    let venue: Vec<_> = truth[1].iter().rev()
                        .map(|(price, size)| (Decimal::from(*price), Decimal::from(*size))).collect();
                    prop_assert_eq!(served, venue);
                } else {
                    let mut snapshot = message(true, sequence(0, number, None), &[], &[]);
                    snapshot.bids = truth[1].iter().map(|(price, size)| Level { price: (*price).into(), size: (*size).into() }).collect();
                    snapshot.asks = truth[0].iter().map(|(price, size)| Level { price: (price + 100).into(), size: (*size).into() }).collect();
                    book.apply(&snapshot).unwrap();
                }
            }
        }
    }
}
