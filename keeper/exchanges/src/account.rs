//! The state of one account, kept from its stream and from REST snapshots, whichever is newer by the venue's time.
//!
//! - Between [`AccountState::lost`] and the end of a snapshot nothing is trusted: events are kept aside and applied over
//!   the snapshot afterwards.
//! - Fills are facts: each is reported once, whatever it came by ([`Seen`]).
//! - Positions, balances and orders are states: of two, the one with the later venue time wins; of two with the same time
//!   from the same source, the one that came later.
//! - A REST snapshot taken while the stream was whole must agree with it. Where it does not, the snapshot wins at once,
//!   and if the stream does not catch up within [`GRACE`] it is a [`Disagreement`]: the stream has missed something.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Balance, Cause, Control, Event, Fill, Order, Position, PositionSide, Text};
use crate::operation::OrderRef;
use crate::transport::dedupe::Seen;
use crate::transport::feed::Feed;

mod causes;

use causes::Causes;

/// How long the stream may take to say what a snapshot said first.
pub const GRACE: Duration = Duration::from_secs(2);
/// Events kept aside during a snapshot. More than that and the snapshot is asked for again.
const ASIDE: usize = 10_000;
/// Ended orders remembered: late messages about them must not bring them back.
const ENDED_ORDERS: usize = 4_096;

/// Where a state comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The account's stream.
    Stream,
    /// A fill that names the position after it.
    Fill,
    /// REST, the account.
    RestAccount,
    /// REST, the positions.
    RestPosition,
}

impl Source {
    const fn is_rest(self) -> bool {
        matches!(self, Self::RestAccount | Self::RestPosition)
    }
}

/// Which position: instrument and side.
pub type PositionKey = (Text, PositionSide);

/// What differed between two sources at the same time. The state holds what the venue's REST says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// A position.
    Position {
        /// Which.
        key: PositionKey,
        /// What we held to be true, and from where.
        held: Box<Position>,
        /// Its source.
        held_from: Source,
        /// What the venue says.
        venue: Box<Position>,
        /// Its source.
        venue_from: Source,
    },
    /// The wallet of an asset.
    Balance {
        /// What we held to be true.
        held: Box<Balance>,
        /// What the venue says.
        venue: Box<Balance>,
    },
    /// An order that we held to be open and the venue does not list.
    OrderGone {
        /// Which: ask for its end.
        order: OrderRef,
    },
    /// An order the venue lists that the stream never told of.
    OrderUnknown {
        /// Which.
        order: Box<Order>,
    },
    /// A fill the venue lists that the stream never told of.
    FillMissed {
        /// Which.
        fill: Box<Fill>,
    },
}

/// What became different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new fill. `repaired` when it was found in a snapshot after a gap.
    Fill {
        /// Which.
        fill: Box<Fill>,
        /// It came late, by a snapshot.
        repaired: bool,
    },
    /// Fills of this order were told as the owner's; now the venue says that it forced them.
    Forced {
        /// Which instrument.
        instrument: Text,
        /// The venue's id of the order.
        order_id: Text,
        /// Who caused it.
        cause: Cause,
    },
    /// A position has another size, entry or leverage.
    Position(Box<Position>),
    /// A balance is another.
    Balance(Box<Balance>),
    /// An order is new or went on.
    Order(Box<Order>),
    /// An order ended while nobody looked: ask for its end.
    OrderGone(OrderRef),
    /// From now on nothing is certain: take a snapshot.
    Uncertain,
    /// The state is whole again.
    Certain,
    /// See there.
    Disagreement(Disagreement),
    /// A list of positions came while a snapshot was under way, and which of the two is later cannot be told: take another
    /// snapshot soon. What is held is right but for positions that may have been closed meanwhile.
    Recheck,
    /// Something that is not state: leverage, margin call.
    Control(Control),
}

/// What REST said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// A time that had certainly passed on the venue's clock before the first request went out, Unix milliseconds
    /// ([`crate::transport::clock::VenueClock::certainly_passed_ms`]): the snapshot holds everything up to then.
    pub asked_ms: u64,
    /// All open positions; none where it was not asked.
    pub positions: Option<Vec<Position>>,
    /// All balances; none where it was not asked.
    pub balances: Option<Vec<Balance>>,
    /// All open orders; none where it was not asked.
    pub open_orders: Option<Vec<Order>>,
    /// Fills since some time before the gap, oldest first.
    pub fills: Vec<Fill>,
    /// Positions as another source of the same moment states them (the account's own summary), if asked.
    pub account_positions: Vec<Position>,
}

/// A snapshot that is being taken. It counts only if nothing was lost since it was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held<T> {
    value: T,
    source: Source,
}

#[derive(Debug)]
struct Suspect {
    disagreement: Disagreement,
    until: Instant,
}

/// The state of one account.
#[derive(Debug)]
pub struct AccountState {
    positions: BTreeMap<PositionKey, Held<Position>>,
    balances: BTreeMap<Text, Held<Balance>>,
    orders: BTreeMap<Text, Held<Order>>,
    ended: VecDeque<Text>,
    /// Every order that was open at this time is in `orders`: what is not has ended since.
    orders_whole_at_ms: u64,
    seen: Seen,
    causes: Causes,
    /// Generation of the connection; a ticket of an older one is void.
    generation: u64,
    certain: bool,
    snapshot_under_way: bool,
    aside: VecDeque<(Event, u64)>,
    suspects: Vec<Suspect>,
    frame: (u64, Vec<PositionKey>),
}

impl AccountState {
    /// Empty and uncertain. `seen` are the fills of earlier lives, as the keeper persisted them.
    #[must_use]
    pub fn new(seen: Seen) -> Self {
        Self {
            positions: BTreeMap::new(),
            balances: BTreeMap::new(),
            orders: BTreeMap::new(),
            ended: VecDeque::new(),
            orders_whole_at_ms: 0,
            seen,
            causes: Causes::default(),
            generation: 0,
            certain: false,
            snapshot_under_way: false,
            aside: VecDeque::new(),
            suspects: Vec::new(),
            frame: (0, Vec::new()),
        }
    }

    /// The state is whole: the stream stands and a snapshot was taken since.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        self.certain
    }

    /// Open positions, by instrument and side.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.positions
            .values()
            .map(|held| &held.value)
            .filter(|position| !position.size.is_zero())
    }

    /// One position, also if it is closed.
    #[must_use]
    pub fn position(&self, instrument: &str, side: PositionSide) -> Option<&Position> {
        self.positions
            .get(&(Text::from(instrument), side))
            .map(|held| &held.value)
    }

    /// Balances, by asset.
    pub fn balances(&self) -> impl Iterator<Item = &Balance> {
        self.balances.values().map(|held| &held.value)
    }

    /// Open orders, by the venue's id.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values().map(|held| &held.value)
    }

    /// The fills that were seen, to be persisted together with what was made of them.
    #[must_use]
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Takes a message of the account's socket.
    pub fn feed(&mut self, feed: &Feed, changes: &mut Vec<Change>) {
        match feed {
            Feed::Event { event, frame, .. } => self.event(event, *frame, changes),
            Feed::Lost { .. } | Feed::Unreadable { .. } | Feed::Skipped { .. } | Feed::Refused { .. } => {
                self.lost(changes);
            }
            Feed::Connected { .. } => {
                // A snapshot that was begun before it may have been taken before the subscription stood.
                self.generation = self.generation.wrapping_add(1);
                self.snapshot_under_way = false;
                self.certain = false;
                changes.push(Change::Uncertain);
            }
            Feed::Stale { .. } | Feed::Redundancy { .. } | Feed::Ended { .. } => {}
        }
    }

    /// Something may have been missed: nothing is certain until a snapshot begun after this is in.
    pub fn lost(&mut self, changes: &mut Vec<Change>) {
        self.generation = self.generation.wrapping_add(1);
        self.snapshot_under_way = false;
        self.suspects.clear();
        if self.certain {
            self.certain = false;
            changes.push(Change::Uncertain);
        }
    }

    /// A snapshot is about to be asked for.
    pub const fn begin_snapshot(&mut self) -> Ticket {
        self.snapshot_under_way = true;
        Ticket(self.generation)
    }

    /// The snapshot is in. False when it is void because something was lost since: take another.
    pub fn finish_snapshot(&mut self, ticket: Ticket, snapshot: Snapshot, changes: &mut Vec<Change>) -> bool {
        if ticket.0 != self.generation || !self.snapshot_under_way {
            return false;
        }
        self.snapshot_under_way = false;
        let was_certain = self.certain;
        self.apply_snapshot(snapshot, was_certain, changes);
        for (event, frame) in std::mem::take(&mut self.aside) {
            if matches!(event, Event::Control(Control::PositionsComplete)) {
                // The list has no time of its own: older than the snapshot, it would close what was opened in between.
                changes.push(Change::Recheck);
            } else {
                self.apply(&event, frame, changes);
            }
        }
        if !self.certain {
            self.certain = true;
            changes.push(Change::Certain);
        }
        true
    }

    /// A snapshot could not be taken. The state stays as certain as it was.
    pub fn abandon_snapshot(&mut self, ticket: Ticket, changes: &mut Vec<Change>) {
        if ticket.0 == self.generation && self.snapshot_under_way {
            self.snapshot_under_way = false;
            if self.certain {
                for (event, frame) in std::mem::take(&mut self.aside) {
                    self.apply(&event, frame, changes);
                }
            }
        }
    }

    /// Reports what the stream has not caught up with in time. Call it about once a second.
    pub fn tick(&mut self, now: Instant, changes: &mut Vec<Change>) {
        let mut index = 0;
        while let Some(suspect) = self.suspects.get(index) {
            if suspect.until > now {
                index += 1;
                continue;
            }
            let suspect = self.suspects.swap_remove(index);
            tracing::warn!(disagreement = ?suspect.disagreement, "the stream and the venue's REST disagree");
            changes.push(Change::Disagreement(suspect.disagreement));
        }
    }

    fn event(&mut self, event: &Event, frame: u64, changes: &mut Vec<Change>) {
        if self.certain && !self.snapshot_under_way {
            self.apply(event, frame, changes);
            return;
        }
        if self.aside.len() >= ASIDE {
            // The snapshot that would make sense of them takes too long: begin again.
            tracing::error!(kept = ASIDE, "too many events during a snapshot");
            self.aside.clear();
            self.lost(changes);
        }
        self.aside.push_back((event.clone(), frame));
    }

    fn apply(&mut self, event: &Event, frame: u64, changes: &mut Vec<Change>) {
        match event {
            Event::Fill(fill) => {
                self.fill(fill, false, changes);
                self.position_after(fill, changes);
            }
            Event::Order(order) => self.order(order, Source::Stream, changes),
            Event::Position(position) => {
                let key = (position.instrument.clone(), position.position_side);
                if self.frame.0 != frame {
                    self.frame = (frame, Vec::new());
                }
                self.frame.1.push(key);
                self.set_position(position.clone(), Source::Stream, changes);
            }
            Event::Balance(balance) => self.set_balance(balance, Source::Stream, changes),
            Event::Control(Control::PositionsComplete) => self.positions_complete(frame, changes),
            Event::Control(control) => changes.push(Change::Control(control.clone())),
            Event::Ticker(_)
            | Event::Book(_)
            | Event::Trade(_)
            | Event::Kline(_)
            | Event::Mark(_)
            | Event::Funding(_) => {}
        }
    }

    fn fill(&mut self, fill: &Fill, repaired: bool, changes: &mut Vec<Change>) {
        self.suspects.retain(|suspect| {
            !matches!(&suspect.disagreement, Disagreement::FillMissed { fill: missed }
                if missed.trade_id == fill.trade_id && missed.instrument == fill.instrument)
        });
        if self.seen.insert(&fill.instrument, &fill.trade_id) {
            changes.push(Change::Fill {
                fill: Box::new(self.with_cause(fill)),
                repaired: repaired || fill.historic,
            });
        }
    }

    fn with_cause(&mut self, fill: &Fill) -> Fill {
        Fill {
            cause: self.causes.of(fill),
            ..fill.clone()
        }
    }

    fn position_after(&mut self, fill: &Fill, changes: &mut Vec<Change>) {
        let Some(size) = fill.position_after else { return };
        let side = fill.position_side.unwrap_or_default();
        let key = (fill.instrument.clone(), side);
        let mut position = self
            .positions
            .get(&key)
            .map_or_else(|| closed(&key, fill.time_ms), |held| held.value.clone());
        // Its time is the fill's; of what the fill does not tell, the last known stays.
        if fill.time_ms < position.time_ms {
            return;
        }
        position.size = size;
        position.time_ms = fill.time_ms;
        self.set_position(position, Source::Fill, changes);
    }

    fn set_position(&mut self, position: Position, source: Source, changes: &mut Vec<Change>) {
        let key = (position.instrument.clone(), position.position_side);
        if source == Source::Stream || source == Source::Fill {
            self.suspects.retain(|suspect| {
                !matches!(&suspect.disagreement, Disagreement::Position { key: of, venue, .. }
                    if *of == key && (venue.size == position.size || position.time_ms > venue.time_ms))
            });
        }
        match self.positions.get(&key) {
            Some(held) if held.value.time_ms > position.time_ms => return,
            Some(held) if same_position(&held.value, &position) => {}
            _ => changes.push(Change::Position(Box::new(position.clone()))),
        }
        self.positions.insert(
            key,
            Held {
                value: position,
                source,
            },
        );
    }

    fn set_balance(&mut self, balance: &Balance, source: Source, changes: &mut Vec<Change>) {
        let mut balance = balance.clone();
        if balance.time_ms == 0
            && let Some(held) = self.balances.get(&balance.asset)
        {
            // Deribit's stream does not say of when: what comes is newer than what is held. Should it have been on its way
            // while REST was asked, the next one follows.
            balance.time_ms = held.value.time_ms;
        }
        let balance = &balance;
        if !source.is_rest() {
            self.suspects.retain(|suspect| {
                !matches!(&suspect.disagreement, Disagreement::Balance { venue, .. }
                    if venue.asset == balance.asset
                        && (venue.wallet == balance.wallet || balance.time_ms > venue.time_ms))
            });
        }
        match self.balances.get(&balance.asset) {
            Some(held) if held.value.time_ms > balance.time_ms => return,
            Some(held) if held.value.wallet == balance.wallet => {}
            _ => changes.push(Change::Balance(Box::new(balance.clone()))),
        }
        self.balances.insert(
            balance.asset.clone(),
            Held {
                value: balance.clone(),
                source,
            },
        );
    }

    fn order(&mut self, order: &Order, source: Source, changes: &mut Vec<Change>) {
        if let Some(cause) = self.causes.learn(order) {
            changes.push(Change::Forced {
                instrument: order.instrument.clone(),
                order_id: order.order_id.clone(),
                cause,
            });
        }
        if !source.is_rest() {
            self.suspects.retain(|suspect| match &suspect.disagreement {
                Disagreement::OrderGone { order: gone } => gone.order_id.as_ref() != Some(&order.order_id),
                Disagreement::OrderUnknown { order: unknown } => unknown.order_id != order.order_id,
                _ => true,
            });
        }
        if self.ended.contains(&order.order_id) {
            // An end is an end, whatever arrives late.
            return;
        }
        if let Some(held) = self.orders.get(&order.order_id) {
            let held = &held.value;
            // Within one millisecond an order may go on several times: then more filled or an end is the later one.
            let older = order.time_ms < held.time_ms
                || order.time_ms == held.time_ms && order.filled < held.filled && !order.status.is_final();
            if older || held == order {
                return;
            }
        } else if !source.is_rest() && !order.status.is_final() && order.time_ms <= self.orders_whole_at_ms {
            // A snapshot taken after this state did not list it any more: it is a late message about an ended order.
            return;
        }
        if order.status.is_final() {
            self.orders.remove(&order.order_id);
            self.end(order.order_id.clone());
        } else {
            self.orders.insert(
                order.order_id.clone(),
                Held {
                    value: order.clone(),
                    source,
                },
            );
        }
        changes.push(Change::Order(Box::new(order.clone())));
    }

    fn end(&mut self, order_id: Text) {
        if self.ended.len() == ENDED_ORDERS {
            self.ended.pop_front();
        }
        self.ended.push_back(order_id);
    }

    fn positions_complete(&mut self, frame: u64, changes: &mut Vec<Change>) {
        let listed = if self.frame.0 == frame {
            std::mem::take(&mut self.frame.1)
        } else {
            Vec::new()
        };
        // The message has no time of its own: the newest listed, or just after what it closes.
        let newest = listed
            .iter()
            .filter_map(|key| self.positions.get(key))
            .map(|held| held.value.time_ms)
            .max();
        let vanished: Vec<PositionKey> = self
            .positions
            .iter()
            .filter(|(key, held)| !held.value.size.is_zero() && !listed.contains(key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in vanished {
            let held_ms = self.positions.get(&key).map_or(0, |held| held.value.time_ms);
            let position = closed(&key, newest.unwrap_or(held_ms).max(held_ms));
            self.set_position(position, Source::Stream, changes);
        }
    }

    fn apply_snapshot(&mut self, snapshot: Snapshot, was_certain: bool, changes: &mut Vec<Change>) {
        let until = Instant::now() + GRACE;
        for fill in &snapshot.fills {
            if was_certain && !self.seen.contains(&fill.instrument, &fill.trade_id) {
                let disagreement = Disagreement::FillMissed {
                    fill: Box::new(fill.clone()),
                };
                self.suspects.push(Suspect { disagreement, until });
                // It is reported at once, whether or not the stream will tell of it too; the suspect stays.
                if self.seen.insert(&fill.instrument, &fill.trade_id) {
                    changes.push(Change::Fill {
                        fill: Box::new(self.with_cause(fill)),
                        repaired: true,
                    });
                }
            } else {
                self.fill(fill, true, changes);
            }
        }
        if let Some(positions) = snapshot.positions {
            let mut rows: BTreeMap<PositionKey, (Position, Source)> = positions
                .into_iter()
                .map(|position| {
                    let key = (position.instrument.clone(), position.position_side);
                    (key, (position, Source::RestPosition))
                })
                .collect();
            for position in snapshot.account_positions {
                self.merge_account(&mut rows, position, changes);
            }
            // What is not listed is closed, as of the asking.
            for (key, held) in &self.positions {
                if !held.value.size.is_zero() && !rows.contains_key(key) {
                    rows.insert(
                        key.clone(),
                        (closed(key, snapshot.asked_ms), Source::RestPosition),
                    );
                }
            }
            for (key, (position, source)) in rows {
                self.compare_position(&key, &position, source, was_certain, until);
                self.rest_position(key, position, source, snapshot.asked_ms, changes);
            }
        }
        for balance in snapshot.balances.into_iter().flatten() {
            if was_certain
                && let Some(held) = self.balances.get(&balance.asset)
                && held.value.wallet != balance.wallet
                && held.value.time_ms <= balance.time_ms
            {
                self.suspects.push(Suspect {
                    disagreement: Disagreement::Balance {
                        held: Box::new(held.value.clone()),
                        venue: Box::new(balance.clone()),
                    },
                    until,
                });
            }
            self.set_balance(&balance, Source::RestAccount, changes);
        }
        if let Some(open) = snapshot.open_orders {
            self.rest_orders(&open, snapshot.asked_ms, was_certain, until, changes);
        }
    }

    /// A position row of REST. Some venues state when it last changed, others when they were asked; both are true not
    /// before what we hold with a later time.
    fn rest_position(
        &mut self,
        key: PositionKey,
        mut position: Position,
        source: Source,
        asked_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        if let Some(held) = self.positions.get(&key)
            && held.value.time_ms > position.time_ms
            && held.value.time_ms <= asked_ms
        {
            // It was asked for after what we hold: it knows of that, whatever time it puts on itself.
            position.time_ms = held.value.time_ms;
        }
        self.set_position(position, source, changes);
    }

    fn compare_position(
        &mut self,
        key: &PositionKey,
        venue: &Position,
        venue_from: Source,
        was_certain: bool,
        until: Instant,
    ) {
        if !was_certain {
            return;
        }
        let held = self.positions.get(key).cloned().unwrap_or(Held {
            value: closed(key, 0),
            source: Source::Stream,
        });
        if held.value.size != venue.size && held.value.time_ms <= venue.time_ms {
            self.suspects.push(Suspect {
                disagreement: Disagreement::Position {
                    key: key.clone(),
                    held: Box::new(held.value),
                    held_from: held.source,
                    venue: Box::new(venue.clone()),
                    venue_from,
                },
                until,
            });
        }
    }

    /// The newer of two REST sources wins; two that differ with the same time are a disagreement, and the list of
    /// positions is believed.
    fn merge_account(
        &self,
        rows: &mut BTreeMap<PositionKey, (Position, Source)>,
        position: Position,
        changes: &mut Vec<Change>,
    ) {
        let key = (position.instrument.clone(), position.position_side);
        match rows.get(&key) {
            Some((listed, _)) if listed.time_ms < position.time_ms => {
                rows.insert(key, (position, Source::RestAccount));
            }
            Some((listed, source)) if listed.time_ms == position.time_ms && listed.size != position.size => {
                changes.push(Change::Disagreement(Disagreement::Position {
                    key,
                    held: Box::new(position),
                    held_from: Source::RestAccount,
                    venue: Box::new(listed.clone()),
                    venue_from: *source,
                }));
            }
            None if !position.size.is_zero() => {
                rows.insert(key, (position, Source::RestAccount));
            }
            _ => {}
        }
    }

    fn rest_orders(
        &mut self,
        open: &[Order],
        asked_ms: u64,
        was_certain: bool,
        until: Instant,
        changes: &mut Vec<Change>,
    ) {
        for order in open {
            let known = self.orders.contains_key(&order.order_id) || self.ended.contains(&order.order_id);
            if was_certain && !known {
                self.suspects.push(Suspect {
                    disagreement: Disagreement::OrderUnknown {
                        order: Box::new(order.clone()),
                    },
                    until,
                });
            }
            self.order(order, Source::RestAccount, changes);
        }
        self.orders_whole_at_ms = self.orders_whole_at_ms.max(asked_ms);
        let gone: Vec<Order> = self
            .orders
            .values()
            .map(|held| &held.value)
            .filter(|order| {
                order.time_ms <= asked_ms && !open.iter().any(|listed| listed.order_id == order.order_id)
            })
            .cloned()
            .collect();
        for order in gone {
            let reference = OrderRef {
                instrument: order.instrument.clone(),
                order_id: Some(order.order_id.clone()),
                client_order_id: order.client_order_id.clone(),
            };
            self.orders.remove(&order.order_id);
            // Its end is not in `ended`: the stream or the answer to the question will tell how it ended.
            changes.push(Change::OrderGone(reference.clone()));
            if was_certain {
                self.suspects.push(Suspect {
                    disagreement: Disagreement::OrderGone { order: reference },
                    until,
                });
            }
        }
    }
}

fn closed(key: &PositionKey, time_ms: u64) -> Position {
    Position {
        instrument: key.0.clone(),
        position_side: key.1,
        size: rust_decimal::Decimal::ZERO,
        entry_price: None,
        mark_price: None,
        unrealised_profit: None,
        leverage: None,
        margin_mode: None,
        liquidation_price: None,
        time_ms,
    }
}

/// Mark price and profit move all the time: they are no change of the position.
fn same_position(one: &Position, other: &Position) -> bool {
    one.size == other.size
        && one.entry_price == other.entry_price
        && one.leverage == other.leverage
        && one.margin_mode == other.margin_mode
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, Decimal, OrderKind, OrderStatus, Side, TimeInForce};
    use tokio::time::advance;

    fn position(size: i64, time_ms: u64) -> Position {
        Position {
            size: size.into(),
            ..closed(&("BTC".into(), PositionSide::Net), time_ms)
        }
    }

    fn order(status: OrderStatus, time_ms: u64) -> Order {
        Order {
            instrument: "BTC".into(),
            order_id: "1".into(),
            client_order_id: None,
            side: Side::Buy,
            position_side: PositionSide::Net,
            order_kind: OrderKind::Limit,
            time_in_force: TimeInForce::GoodTilCancelled,
            status,
            venue_status: "".into(),
            price: None,
            trigger_price: None,
            size: None,
            filled: Decimal::ZERO,
            average_price: None,
            reduce_only: false,
            cause: Cause::User,
            time_ms,
        }
    }

    fn fill(id: &str) -> Fill {
        Fill {
            instrument: "BTC".into(),
            trade_id: id.into(),
            order_id: "1".into(),
            client_order_id: None,
            side: Side::Buy,
            position_side: None,
            size: Decimal::ONE,
            price: Decimal::ONE,
            fee: None,
            liquidity: None,
            cause: Cause::User,
            position_after: None,
            user: None,
            historic: false,
            time_ms: 1,
        }
    }

    fn feed(state: &mut AccountState, event: Event, frame: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        let received_at = Instant::now();
        state.feed(
            &Feed::Event {
                event,
                received_at,
                frame,
            },
            &mut changes,
        );
        changes
    }

    fn snapshot(asked_ms: u64, positions: Vec<Position>) -> Snapshot {
        Snapshot {
            asked_ms,
            positions: Some(positions),
            ..Snapshot::default()
        }
    }

    fn take(state: &mut AccountState, snapshot: Snapshot) -> Vec<Change> {
        let mut changes = Vec::new();
        let ticket = state.begin_snapshot();
        assert!(state.finish_snapshot(ticket, snapshot, &mut changes));
        changes
    }

    fn size(state: &AccountState) -> Decimal {
        state
            .position("BTC", PositionSide::Net)
            .map_or(Decimal::ZERO, |position| position.size)
    }

    fn disagreements(changes: &[Change]) -> usize {
        changes
            .iter()
            .filter(|change| matches!(change, Change::Disagreement(_)))
            .count()
    }

    fn liquidating() -> Event {
        Event::Order(Order {
            cause: Cause::Liquidation,
            ..order(OrderStatus::Filled, 2)
        })
    }

    fn cause_of(changes: &[Change]) -> Option<Cause> {
        changes.iter().find_map(|change| match change {
            Change::Fill { fill, .. } => Some(fill.cause),
            _ => None,
        })
    }

    #[test]
    fn a_fill_that_does_not_say_who_caused_it_takes_the_cause_of_its_order() {
        let mut state = AccountState::new(Seen::new(10));
        take(&mut state, snapshot(0, Vec::new()));
        feed(&mut state, liquidating(), 1);
        let changes = feed(&mut state, Event::Fill(fill("7")), 2);
        assert_eq!(cause_of(&changes), Some(Cause::Liquidation));
    }

    #[test]
    fn a_cause_that_comes_after_the_fill_is_told_once() {
        let mut state = AccountState::new(Seen::new(10));
        take(&mut state, snapshot(0, Vec::new()));
        let changes = feed(&mut state, Event::Fill(fill("7")), 1);
        assert_eq!(cause_of(&changes), Some(Cause::User));
        let forced = Change::Forced {
            instrument: "BTC".into(),
            order_id: "1".into(),
            cause: Cause::Liquidation,
        };
        assert!(feed(&mut state, liquidating(), 2).contains(&forced));
        assert!(!feed(&mut state, liquidating(), 3).contains(&forced));
    }

    #[tokio::test(start_paused = true)]
    async fn a_disagreement_is_the_venues_truth_at_once_and_told_when_the_stream_stays_behind() {
        let mut state = AccountState::new(Seen::new(10));
        take(&mut state, snapshot(10, vec![position(1, 5)]));
        let changes = take(&mut state, snapshot(20, vec![position(3, 15)]));
        assert_eq!((size(&state), disagreements(&changes)), (3.into(), 0));
        advance(GRACE).await;
        let mut changes = Vec::new();
        state.tick(Instant::now(), &mut changes);
        assert_eq!(disagreements(&changes), 1);
        // The same again, but the stream was only late.
        take(&mut state, snapshot(30, vec![position(4, 25)]));
        feed(&mut state, Event::Position(position(4, 25)), 1);
        advance(GRACE).await;
        let mut changes = Vec::new();
        state.tick(Instant::now(), &mut changes);
        assert!(changes.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_newer_of_two_sources_wins_and_two_of_one_time_are_told() {
        let mut state = AccountState::new(Seen::new(10));
        let both = |account: Position| Snapshot {
            account_positions: vec![account],
            ..snapshot(10, vec![position(1, 5)])
        };
        take(&mut state, both(position(2, 6)));
        assert_eq!(size(&state), 2.into());
        let changes = take(&mut state, both(position(9, 5)));
        assert_eq!(disagreements(&changes), 1);
        // The stream knows something later than both.
        feed(&mut state, Event::Position(position(7, 30)), 1);
        take(&mut state, snapshot(20, vec![position(1, 5)]));
        assert_eq!(size(&state), 7.into());
    }

    #[tokio::test(start_paused = true)]
    async fn events_during_a_snapshot_are_applied_over_it_and_a_lost_connection_voids_it() {
        let mut state = AccountState::new(Seen::new(10));
        let ticket = state.begin_snapshot();
        assert!(feed(&mut state, Event::Position(position(5, 50)), 1).is_empty());
        let mut changes = Vec::new();
        assert!(state.finish_snapshot(ticket, snapshot(40, vec![position(4, 40)]), &mut changes));
        assert_eq!(size(&state), 5.into());
        let ticket = state.begin_snapshot();
        state.lost(&mut changes);
        assert!(!state.finish_snapshot(ticket, snapshot(60, vec![]), &mut changes));
        assert!(!state.is_certain());
        assert_eq!(size(&state), 5.into());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_complete_list_leaves_out_is_closed() {
        let mut state = AccountState::new(Seen::new(10));
        take(&mut state, snapshot(10, vec![position(1, 5)]));
        let other = Position {
            instrument: "ETH".into(),
            ..position(2, 20)
        };
        feed(&mut state, Event::Position(other), 7);
        assert_eq!(state.positions().count(), 2);
        feed(&mut state, Event::Control(Control::PositionsComplete), 7);
        assert_eq!(state.positions().count(), 1);
        assert_eq!(size(&state), Decimal::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_order_does_not_come_back() {
        let mut state = AccountState::new(Seen::new(10));
        let orders = |open: Vec<Order>, asked_ms| Snapshot {
            asked_ms,
            open_orders: Some(open),
            ..Snapshot::default()
        };
        take(&mut state, orders(vec![order(OrderStatus::Open, 5)], 10));
        assert_eq!(state.orders().count(), 1);
        let changes = take(&mut state, orders(vec![], 20));
        assert!(matches!(changes[0], Change::OrderGone(_)));
        feed(
            &mut state,
            Event::Order(order(OrderStatus::PartiallyFilled, 15)),
            1,
        );
        assert_eq!(state.orders().count(), 0);
        let changes = feed(&mut state, Event::Order(order(OrderStatus::Filled, 15)), 2);
        assert!(matches!(&changes[0], Change::Order(order) if order.status == OrderStatus::Filled));
        feed(&mut state, Event::Order(order(OrderStatus::Open, 99)), 3);
        assert_eq!(state.orders().count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fill_is_told_once_whatever_brings_it_and_after_a_restart_too() {
        let mut state = AccountState::new(Seen::new(10));
        let with = |fills: Vec<Fill>| Snapshot {
            fills,
            ..Snapshot::default()
        };
        let told = |changes: &[Change]| {
            changes
                .iter()
                .filter(|change| matches!(change, Change::Fill { .. }))
                .count()
        };
        assert_eq!(told(&take(&mut state, with(vec![fill("a")]))), 1);
        assert_eq!(told(&feed(&mut state, Event::Fill(fill("a")), 1)), 0);
        assert_eq!(told(&feed(&mut state, Event::Fill(fill("b")), 2)), 1);
        assert_eq!(
            told(&take(&mut state, with(vec![fill("a"), fill("b"), fill("c")]))),
            1
        );
        let stored = serde_json::to_string(state.seen()).unwrap();
        let mut state = AccountState::new(serde_json::from_str(&stored).unwrap());
        assert_eq!(told(&take(&mut state, with(vec![fill("c"), fill("d")]))), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_balance_that_does_not_say_of_when_is_newer_than_what_is_held() {
        let money = |wallet: i64, time_ms: u64| Balance {
            asset: "BTC".into(),
            wallet: wallet.into(),
            equity: None,
            available: None,
            time_ms,
        };
        let mut state = AccountState::new(Seen::new(10));
        let mut changes = Vec::new();
        let ticket = state.begin_snapshot();
        let asked = Snapshot {
            balances: Some(vec![money(100, 50)]),
            ..snapshot(50, Vec::new())
        };
        state.finish_snapshot(ticket, asked, &mut changes);
        let wallet = |state: &AccountState| state.balances().next().map(|balance| balance.wallet);
        feed(&mut state, Event::Balance(money(99, 0)), 1);
        assert_eq!(wallet(&state), Some(99.into()));
        // One that says that it is older is not taken.
        feed(&mut state, Event::Balance(money(98, 49)), 2);
        assert_eq!(wallet(&state), Some(99.into()));
    }
}
