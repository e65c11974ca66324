//! Klines kept here, from trades or from the venue's kline stream: a venue is asked for a stretch of history once.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Interval, Kline, Text, Trade};

/// A stretch of time to ask the venue for, both ends included, Unix milliseconds at the start of a kline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Start of the first kline.
    pub start_ms: u64,
    /// Start of the last kline.
    pub end_ms: u64,
}

#[derive(Debug, Clone)]
struct Held {
    kline: Kline,
    /// The venue stated it as a whole; else it was built from trades seen here.
    stated: bool,
}

#[derive(Debug, Clone, Default)]
struct Series {
    klines: BTreeMap<u64, Held>,
    /// Starts of klines that were asked for and have not come; they may never (nobody traded).
    asked: BTreeMap<u64, ()>,
    /// Trades are seen without a gap since then.
    whole_since_ms: Option<u64>,
}

/// The klines of one venue, bounded.
#[derive(Debug, Clone)]
pub struct KlineBook {
    keep: usize,
    series: HashMap<(Text, Interval), Series>,
}

impl KlineBook {
    /// Keeps the newest `keep` klines of each instrument and interval; 0 counts as 1.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self {
            keep: keep.max(1),
            series: HashMap::new(),
        }
    }

    /// Starts to keep an instrument and interval.
    pub fn follow(&mut self, instrument: &Text, interval: Interval) {
        self.series.entry((instrument.clone(), interval)).or_default();
    }

    /// Takes a public trade into every interval that is followed. Trades must be deduplicated before
    /// ([`crate::transport::dedupe::Seen`]). A kline that the venue stated is not touched.
    pub fn trade(&mut self, trade: &Trade) {
        for interval in Interval::ALL {
            let Some(series) = self.series.get_mut(&(trade.instrument.clone(), interval)) else {
                continue;
            };
            let start_ms = trade.time_ms - trade.time_ms % interval.milliseconds();
            series.whole_since_ms.get_or_insert(trade.time_ms);
            match series.klines.get_mut(&start_ms) {
                Some(held) if held.stated => {}
                Some(held) => {
                    let kline = &mut held.kline;
                    kline.high = kline.high.max(trade.price);
                    kline.low = kline.low.min(trade.price);
                    kline.volume = kline.volume.checked_add(trade.size).unwrap_or(kline.volume);
                    // A trade that comes late is no close.
                    if trade.time_ms >= kline.time_ms {
                        kline.close = trade.price;
                        kline.time_ms = trade.time_ms;
                    }
                }
                None => {
                    let kline = Kline {
                        instrument: trade.instrument.clone(),
                        interval,
                        start_ms,
                        open: trade.price,
                        high: trade.price,
                        low: trade.price,
                        close: trade.price,
                        volume: trade.size,
                        closed: None,
                        time_ms: trade.time_ms,
                    };
                    series.klines.insert(start_ms, Held { kline, stated: false });
                }
            }
            series.bound(self.keep);
        }
    }

    /// Takes a kline that the venue stated, by stream or REST: the newer statement wins.
    pub fn kline(&mut self, kline: &Kline) {
        let Some(series) = self.series.get_mut(&(kline.instrument.clone(), kline.interval)) else {
            return;
        };
        series.asked.remove(&kline.start_ms);
        let newer = series.klines.get(&kline.start_ms).is_none_or(|held| {
            !held.stated || (kline.closed, kline.time_ms) >= (held.kline.closed, held.kline.time_ms)
        });
        if newer {
            series.klines.insert(
                kline.start_ms,
                Held {
                    kline: kline.clone(),
                    stated: true,
                },
            );
        }
        series.bound(self.keep);
    }

    /// Trades were missed: what is built from them from now on is whole only from the next kline on.
    pub fn interrupted(&mut self, instrument: &Text) {
        for interval in Interval::ALL {
            if let Some(series) = self.series.get_mut(&(instrument.clone(), interval)) {
                series.whole_since_ms = None;
                let newest = series.klines.last_key_value().map(|(start, _)| *start);
                // The newest kline lacks what was missed: it has to be asked for.
                if let Some(start) = newest
                    && series.klines.get(&start).is_some_and(|held| !held.stated)
                {
                    series.klines.remove(&start);
                }
            }
        }
    }

    /// The klines of a stretch that are held, oldest first.
    pub fn klines(
        &self,
        instrument: &Text,
        interval: Interval,
        stretch: Stretch,
    ) -> impl Iterator<Item = &Kline> {
        self.series
            .get(&(instrument.clone(), interval))
            .into_iter()
            .filter(move |_| stretch.start_ms <= stretch.end_ms)
            .flat_map(move |series| series.klines.range(stretch.start_ms..=stretch.end_ms))
            .map(|(_, held)| &held.kline)
    }

    /// What the venue has to be asked for to know a stretch: what is neither held whole nor asked for already. It counts
    /// as asked for from now on, so calling this again gives nothing.
    pub fn missing(&mut self, instrument: &Text, interval: Interval, stretch: Stretch) -> Vec<Stretch> {
        let step = interval.milliseconds();
        let Some(series) = self.series.get_mut(&(instrument.clone(), interval)) else {
            return Vec::new();
        };
        let mut missing: Vec<Stretch> = Vec::new();
        let last = stretch.end_ms - stretch.end_ms % step;
        let room = step.saturating_mul(u64::try_from(self.keep).unwrap_or(u64::MAX));
        // More than is kept is not asked for.
        let first = stretch
            .start_ms
            .div_ceil(step)
            .saturating_mul(step)
            .max((last + step).saturating_sub(room));
        let mut start = first;
        while start <= last {
            let whole = series
                .klines
                .get(&start)
                .is_some_and(|held| held.stated || series.whole_since_ms.is_some_and(|since| since <= start));
            if !whole && series.asked.insert(start, ()).is_none() {
                match missing.last_mut() {
                    Some(before) if before.end_ms + step == start => before.end_ms = start,
                    _ => missing.push(Stretch {
                        start_ms: start,
                        end_ms: start,
                    }),
                }
            }
            start += step;
        }
        series.bound(self.keep);
        missing
    }

    /// A request failed: its stretch may be asked for again.
    pub fn failed(&mut self, instrument: &Text, interval: Interval, stretch: Stretch) {
        if let Some(series) = self.series.get_mut(&(instrument.clone(), interval)) {
            series
                .asked
                .retain(|start, ()| *start < stretch.start_ms || *start > stretch.end_ms);
        }
    }
}

impl Series {
    fn bound(&mut self, keep: usize) {
        while self.klines.len() > keep {
            self.klines.pop_first();
        }
        while self.asked.len() > keep {
            self.asked.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Decimal, Side};
    use proptest::prelude::*;

    const MINUTE: u64 = 60_000;

    fn trade(time_ms: u64, price: u32) -> Trade {
        Trade {
            instrument: "X".into(),
            trade_id: time_ms.to_string().into(),
            side: Side::Buy,
            size: Decimal::ONE,
            price: price.into(),
            buyer: None,
            seller: None,
            liquidation: false,
            time_ms,
        }
    }

    fn stated(start_ms: u64, close: u32, closed: bool) -> Kline {
        Kline {
            instrument: "X".into(),
            interval: Interval::Minute,
            start_ms,
            open: close.into(),
            high: close.into(),
            low: close.into(),
            close: close.into(),
            volume: Decimal::TEN,
            closed: Some(closed),
            time_ms: start_ms + 1,
        }
    }

    fn book() -> KlineBook {
        let mut book = KlineBook::new(100);
        book.follow(&"X".into(), Interval::Minute);
        book
    }

    #[test]
    fn history_is_asked_for_once() {
        let mut book = book();
        let x = Text::from("X");
        let all = Stretch {
            start_ms: 0,
            end_ms: 9 * MINUTE,
        };
        book.kline(&stated(3 * MINUTE, 5, true));
        let missing = book.missing(&x, Interval::Minute, all);
        assert_eq!(
            missing,
            [
                Stretch {
                    start_ms: 0,
                    end_ms: 2 * MINUTE
                },
                Stretch {
                    start_ms: 4 * MINUTE,
                    end_ms: 9 * MINUTE
                },
            ]
        );
        assert!(book.missing(&x, Interval::Minute, all).is_empty());
        book.failed(&x, Interval::Minute, missing[0]);
        assert_eq!(book.missing(&x, Interval::Minute, all), [missing[0]]);
    }

    #[test]
    fn what_was_built_from_half_a_minute_is_asked_for_and_what_was_seen_whole_is_not() {
        let mut book = book();
        for second in 30..200 {
            book.trade(&trade(second * 1_000, 7));
        }
        let missing = book.missing(
            &"X".into(),
            Interval::Minute,
            Stretch {
                start_ms: 0,
                end_ms: 2 * MINUTE,
            },
        );
        assert_eq!(
            missing,
            [Stretch {
                start_ms: 0,
                end_ms: 0
            }]
        );
        book.interrupted(&"X".into());
        let missing = book.missing(
            &"X".into(),
            Interval::Minute,
            Stretch {
                start_ms: 3 * MINUTE,
                end_ms: 3 * MINUTE,
            },
        );
        assert_eq!(missing.len(), 1);
    }

    #[test]
    fn the_venues_word_stands_over_ours_and_a_closed_kline_over_an_open_one() {
        let mut book = book();
        book.trade(&trade(1_000, 3));
        book.kline(&stated(0, 9, true));
        book.trade(&trade(2_000, 100));
        book.kline(&stated(0, 1, false));
        let all = Stretch {
            start_ms: 0,
            end_ms: MINUTE,
        };
        let closes: Vec<_> = book
            .klines(&"X".into(), Interval::Minute, all)
            .map(|kline| kline.close)
            .collect();
        assert_eq!(closes, [Decimal::from(9)]);
    }

    proptest! {
        #[test]
        fn trades_make_the_kline_a_venue_would(prices in proptest::collection::vec(1_u32..100, 1..50)) {
            let mut book = book();
            for (second, price) in (0_u64..).zip(&prices) {
                book.trade(&trade(second * 1_000, *price));
            }
            let all = Stretch { start_ms: 0, end_ms: 0 };
            let kline = book.klines(&"X".into(), Interval::Minute, all).next().unwrap();
            prop_assert_eq!(kline.open, Decimal::from(prices[0]));
            prop_assert_eq!(kline.close, Decimal::from(*prices.last().unwrap()));
            prop_assert_eq!(kline.high, Decimal::from(*prices.iter().max().unwrap()));
            prop_assert_eq!(kline.low, Decimal::from(*prices.iter().min().unwrap()));
            prop_assert_eq!(kline.volume, Decimal::from(prices.len()));
        }
    }
}
