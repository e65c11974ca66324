//! Two sockets for one purpose: what comes first counts, what comes second is dropped, and the loss of one is no gap.
//!
//! Meant for market data and for feeds of fills. On venues that close a position by leaving it out of a list (Bitget), a
//! pair does not pass that on, because the list of the slower socket is older than what the faster one said: there the
//! account's REST snapshot is what closes it.

use std::collections::{HashMap, VecDeque};

use crate::model::{BookCheck, Control, Event, Text};

use super::dedupe::Seen;
use super::feed::Feed;

/// Trade ids remembered per instrument.
const TRADES: usize = 2_048;
/// States remembered (tickers, marks, orders…). The oldest makes room.
const STATES: usize = 16_384;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Ticker(Text),
    Mark(Text),
    Funding(Text),
    Kline(Text, crate::model::Interval, u64),
    Order(Text),
    Position(Text, crate::model::PositionSide),
    Balance(Text),
    BookTime(Text),
}

/// Which of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// The first.
    First,
    /// The second.
    Second,
}

/// The merging of two sockets. Memory is bounded.
#[derive(Debug)]
pub struct Redundant {
    alive: [bool; 2],
    ended: [bool; 2],
    trades: Seen,
    fills: Seen,
    books: HashMap<Text, (i64, u64)>,
    states: HashMap<Key, Event>,
    order: VecDeque<Key>,
}

impl Default for Redundant {
    fn default() -> Self {
        Self::new()
    }
}

impl Redundant {
    /// Neither stands yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            alive: [false; 2],
            ended: [false; 2],
            trades: Seen::new(TRADES),
            fills: Seen::new(TRADES),
            books: HashMap::new(),
            states: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// How many stand.
    #[must_use]
    pub fn alive(&self) -> u8 {
        self.alive.iter().map(|alive| u8::from(*alive)).sum()
    }

    /// What a reader of both is to be told of a message of one; none when the other said it already, or covers for it.
    pub fn merge(&mut self, leg: Leg, feed: Feed) -> Option<Feed> {
        let (this, other) = match leg {
            Leg::First => (0, 1),
            Leg::Second => (1, 0),
        };
        match feed {
            Feed::Connected { confirmed } => {
                *self.alive.get_mut(this)? = true;
                if self.alive() == 1 {
                    // Also after both were lost: what was seen before says nothing of the gap.
                    self.books.clear();
                    Some(Feed::Connected { confirmed })
                } else {
                    Some(Feed::Redundancy { alive: 2 })
                }
            }
            Feed::Lost { why } => {
                let stood = std::mem::take(self.alive.get_mut(this)?);
                match self.alive() {
                    0 => Some(Feed::Lost { why }),
                    alive if stood => Some(Feed::Redundancy { alive }),
                    _ => None,
                }
            }
            Feed::Ended { why } => {
                *self.ended.get_mut(this)? = true;
                self.ended.get(other).copied()?.then_some(Feed::Ended { why })
            }
            Feed::Event {
                event,
                received_at,
                frame,
            } => self.is_new(&event).then_some(Feed::Event {
                event,
                received_at,
                // Frames of the two must not be taken for one another's.
                frame: frame.wrapping_mul(2).wrapping_add(u64::from(this == 1)),
            }),
            // The other one may have it: only if it is alone is it a gap.
            gap @ (Feed::Skipped { .. }
            | Feed::Unreadable { .. }
            | Feed::Refused { .. }
            | Feed::Stale { .. }) => (!self.alive.get(other).copied()?).then_some(gap),
            Feed::Redundancy { .. } => None,
        }
    }

    fn is_new(&mut self, event: &Event) -> bool {
        match event {
            Event::Trade(trade) => self.trades.insert(&trade.instrument, &trade.trade_id),
            // A fill may come again with more in it (a fee, the position): the account keeps its own set of ids.
            Event::Fill(fill) => self.fills.insert(&fill.instrument, &fill.trade_id),
            Event::Book(book) => match book.check {
                BookCheck::Whole => {
                    self.is_newer(Key::BookTime(book.instrument.clone()), event, book.time_ms)
                }
                BookCheck::Sequence { last, previous, .. } => {
                    let held = self.books.get(&book.instrument).copied();
                    let new = match held {
                        None => true,
                        // A venue that starts counting anew says so with a later snapshot, or with the chain.
                        Some((have, have_ms)) => {
                            last > have
                                || book.snapshot && book.time_ms > have_ms
                                || previous == Some(have) && last != have
                        }
                    };
                    if new {
                        self.books.insert(book.instrument.clone(), (last, book.time_ms));
                    }
                    new
                }
            },
            Event::Ticker(ticker) => {
                self.is_newer(Key::Ticker(ticker.instrument.clone()), event, ticker.time_ms)
            }
            Event::Mark(mark) => self.is_newer(Key::Mark(mark.instrument.clone()), event, mark.time_ms),
            Event::Funding(funding) => {
                self.is_newer(Key::Funding(funding.instrument.clone()), event, funding.time_ms)
            }
            Event::Kline(kline) => self.is_newer(
                Key::Kline(kline.instrument.clone(), kline.interval, kline.start_ms),
                event,
                kline.time_ms,
            ),
            Event::Order(order) => self.is_newer(Key::Order(order.order_id.clone()), event, order.time_ms),
            Event::Position(position) => self.is_newer(
                Key::Position(position.instrument.clone(), position.position_side),
                event,
                position.time_ms,
            ),
            Event::Balance(balance) => {
                self.is_newer(Key::Balance(balance.asset.clone()), event, balance.time_ms)
            }
            // The list of the slower socket would close what the faster one has opened since.
            Event::Control(Control::PositionsComplete) => false,
            Event::Control(_) => true,
        }
    }

    /// Not older than what was let through, and not the same.
    fn is_newer(&mut self, key: Key, event: &Event, time_ms: u64) -> bool {
        match self.states.get_mut(&key) {
            Some(held) if time_of(held) > time_ms || held == event => false,
            Some(held) => {
                *held = event.clone();
                true
            }
            None => {
                if self.order.len() == STATES
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.states.remove(&oldest);
                }
                self.order.push_back(key.clone());
                self.states.insert(key, event.clone());
                true
            }
        }
    }
}

fn time_of(event: &Event) -> u64 {
    match event {
        Event::Fill(fill) => fill.time_ms,
        Event::Order(order) => order.time_ms,
        Event::Position(position) => position.time_ms,
        Event::Balance(balance) => balance.time_ms,
        Event::Ticker(ticker) => ticker.time_ms,
        Event::Book(book) => book.time_ms,
        Event::Trade(trade) => trade.time_ms,
        Event::Kline(kline) => kline.time_ms,
        Event::Mark(mark) => mark.time_ms,
        Event::Funding(funding) => funding.time_ms,
        Event::Control(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Decimal, Side, Trade};
    use crate::transport::feed::Lost;
    use proptest::prelude::*;
    use tokio::time::Instant;

    fn trade(id: u32) -> Feed {
        Feed::Event {
            event: Event::Trade(Trade {
                instrument: "X".into(),
                trade_id: id.to_string().into(),
                side: Side::Buy,
                size: Decimal::ONE,
                price: Decimal::ONE,
                buyer: None,
                seller: None,
                liquidation: false,
                time_ms: 1,
            }),
            received_at: Instant::now(),
            frame: 1,
        }
    }

    fn connected() -> Feed {
        Feed::Connected { confirmed: true }
    }

    #[test]
    fn the_loss_of_one_is_no_gap_and_the_loss_of_both_is() {
        let mut both = Redundant::new();
        assert_eq!(both.merge(Leg::First, connected()), Some(connected()));
        assert_eq!(
            both.merge(Leg::Second, connected()),
            Some(Feed::Redundancy { alive: 2 })
        );
        let lost = || Feed::Lost { why: Lost::Silent };
        assert_eq!(
            both.merge(Leg::First, lost()),
            Some(Feed::Redundancy { alive: 1 })
        );
        assert_eq!(both.merge(Leg::First, lost()), None);
        assert_eq!(both.merge(Leg::Second, lost()), Some(lost()));
        assert_eq!(both.merge(Leg::First, connected()), Some(connected()));
    }

    proptest! {
        #[test]
        fn each_trade_comes_once_whichever_brings_it(drops in proptest::collection::vec((any::<bool>(), any::<bool>()), 1..300)) {
            let mut both = Redundant::new();
            let mut seen = Vec::new();
            let mut expected = Vec::new();
            for (id, (first, second)) in (0_u32..).zip(drops) {
                for (leg, arrives) in [(Leg::First, first), (Leg::Second, second)] {
                    if arrives && let Some(Feed::Event { event: Event::Trade(trade), .. }) = both.merge(leg, trade(id)) {
                        seen.push(trade.trade_id.to_string());
                    }
                }
                if first || second { expected.push(id.to_string()); }
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
