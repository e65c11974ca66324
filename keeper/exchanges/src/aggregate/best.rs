//! Best bid and ask over venues, never from a stale or broken one.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::health::State;
use crate::model::{Decimal, Level, Text, Venue};

/// What one venue bids and asks for a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
    /// When it was received.
    pub received_at: Instant,
}

/// A price and who gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Who.
    pub venue: Venue,
    /// Price and size.
    pub level: Level,
}

/// The best over all venues that may be used. Bid and ask are of different venues more often than not, and may cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Best {
    /// Highest bid.
    pub bid: At,
    /// Lowest ask.
    pub ask: At,
}

/// The quotes of all venues.
#[derive(Debug, Clone)]
pub struct Quotes {
    maximum_age: Duration,
    by_symbol: HashMap<Text, BTreeMap<Venue, Quote>>,
    states: BTreeMap<Venue, State>,
}

impl Quotes {
    /// A quote older than `maximum_age` is not used.
    #[must_use]
    pub fn new(maximum_age: Duration) -> Self {
        Self {
            maximum_age,
            by_symbol: HashMap::new(),
            states: BTreeMap::new(),
        }
    }

    /// Takes a quote. One that is crossed, or has a price or size of zero or less, takes the venue's quote away: a broken
    /// book has no best price. False then.
    pub fn update(&mut self, venue: Venue, symbol: &Text, quote: Quote) -> bool {
        let positive = |level: &Level| level.price > Decimal::ZERO && level.size > Decimal::ZERO;
        if !positive(&quote.bid) || !positive(&quote.ask) || quote.bid.price >= quote.ask.price {
            self.withdraw(venue, symbol);
            return false;
        }
        if let Some(quotes) = self.by_symbol.get_mut(symbol) {
            // Two sockets may bring the older one later.
            match quotes.get(&venue) {
                Some(held) if held.received_at > quote.received_at => {}
                _ => {
                    quotes.insert(venue, quote);
                }
            }
        } else {
            self.by_symbol
                .insert(symbol.clone(), BTreeMap::from([(venue, quote)]));
        }
        true
    }

    /// The venue's book of the symbol is broken or its stream is lost.
    pub fn withdraw(&mut self, venue: Venue, symbol: &Text) {
        if let Some(quotes) = self.by_symbol.get_mut(symbol) {
            quotes.remove(&venue);
        }
    }

    /// All of a venue's streams are lost.
    pub fn withdraw_venue(&mut self, venue: Venue) {
        for quotes in self.by_symbol.values_mut() {
            quotes.remove(&venue);
        }
    }

    /// Takes over a venue's health.
    pub fn set_state(&mut self, venue: Venue, state: State) {
        self.states.insert(venue, state);
    }

    /// A venue's quote, if it may be used.
    #[must_use]
    pub fn usable(&self, venue: Venue, symbol: &Text, now: Instant) -> Option<&Quote> {
        let quote = self.by_symbol.get(symbol)?.get(&venue)?;
        self.is_usable(venue, quote, now).then_some(quote)
    }

    fn is_usable(&self, venue: Venue, quote: &Quote, now: Instant) -> bool {
        now.saturating_duration_since(quote.received_at) <= self.maximum_age
            && self.states.get(&venue).is_none_or(|state| state.is_usable())
    }

    /// The best over all venues that may be used; none where there is none. Of equal prices the larger size wins.
    #[must_use]
    pub fn best(&self, symbol: &Text, now: Instant) -> Option<Best> {
        let quotes = self.by_symbol.get(symbol)?;
        let usable = || {
            quotes
                .iter()
                .filter(|(venue, quote)| self.is_usable(**venue, quote, now))
        };
        let bid = usable().max_by_key(|(_, quote)| (quote.bid.price, quote.bid.size))?;
        let ask = usable().min_by_key(|(_, quote)| (quote.ask.price, std::cmp::Reverse(quote.ask.size)))?;
        Some(Best {
            bid: At {
                venue: *bid.0,
                level: bid.1.bid,
            },
            ask: At {
                venue: *ask.0,
                level: ask.1.ask,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::time::advance;

    fn quote(bid: u32, ask: u32) -> Quote {
        let level = |price: u32| Level {
            price: price.into(),
            size: Decimal::ONE,
        };
        Quote {
            bid: level(bid),
            ask: level(ask),
            received_at: Instant::now(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_or_broken_venue_gives_no_best_price() {
        let mut quotes = Quotes::new(Duration::from_millis(700));
        let symbol = Text::from("BTC-USDT");
        quotes.update(Venue::Okx, &symbol, quote(101, 103));
        advance(Duration::from_millis(400)).await;
        quotes.update(Venue::Bybit, &symbol, quote(100, 102));
        let best = quotes.best(&symbol, Instant::now()).unwrap();
        assert_eq!((best.bid.venue, best.ask.venue), (Venue::Okx, Venue::Bybit));
        advance(Duration::from_millis(400)).await;
        let best = quotes.best(&symbol, Instant::now()).unwrap();
        assert_eq!((best.bid.venue, best.ask.venue), (Venue::Bybit, Venue::Bybit));
        quotes.set_state(Venue::Bybit, State::Open);
        assert_eq!(quotes.best(&symbol, Instant::now()), None);
        quotes.set_state(Venue::Bybit, State::Degraded);
        assert!(quotes.best(&symbol, Instant::now()).is_some());
        quotes.update(Venue::Bybit, &symbol, quote(102, 102));
        assert_eq!(quotes.best(&symbol, Instant::now()), None);
    }

    proptest! {
        #[test]
        fn the_best_is_the_best_of_the_usable(asks in proptest::collection::vec((0_usize..7, 1_u32..50, 1_u32..50, 0_u64..500), 1..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let maximum = Duration::from_millis(700);
                let mut quotes = Quotes::new(maximum);
                let symbol = Text::from("X");
                let mut model: BTreeMap<Venue, Quote> = BTreeMap::new();
                for (venue, bid, spread, pause) in asks {
                    advance(Duration::from_millis(pause)).await;
                    let venue = Venue::ALL[venue];
                    let quote = quote(bid, bid + spread);
                    quotes.update(venue, &symbol, quote);
                    model.insert(venue, quote);
                    let now = Instant::now();
                    let fresh: Vec<_> = model.values().filter(|quote| now - quote.received_at <= maximum).collect();
                    let best = quotes.best(&symbol, now).unwrap();
                    prop_assert_eq!(Some(best.bid.level.price), fresh.iter().map(|quote| quote.bid.price).max());
                    prop_assert_eq!(Some(best.ask.level.price), fresh.iter().map(|quote| quote.ask.price).min());
                }
                Ok::<(), TestCaseError>(())
            })?;
        }
    }
}
