//! The exchange behind a simulator: accounts, orders, a moving price. In the model's words and base units; a venue's wire
//! module translates. Of inverse contracts sizes are amounts of the quote asset, as venues count them: in base units they would
//! change with the price; [`Engine::in_base`] translates. Deterministic: the same seed and the same calls give the same fills.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::prelude::ToPrimitive as _;

use super::money::{Holding, average, is_inverse, profit, value};
use crate::model::{
    Balance, Book, BookCheck, Cause, Decimal, Event, Fee, Fill, Instrument, Level, Liquidity, MarginMode,
    Mark, Order, OrderKind, OrderStatus, Position, PositionMode, PositionSide, Side, Text, Ticker,
    TimeInForce, Trade, Venue,
};
use crate::operation::{AmendOrder, ConditionalOrder, NewOrder, OrderRef};

/// How many prices the book shows on each side.
const BOOK_LEVELS: u32 = 20;
/// How far apart they are, in ticks.
const LEVEL_TICKS: u32 = 5;
/// What stands at each price, in smallest orders.
const LEVEL_LOTS: u32 = 2_000;
/// What stands at each price is worth at least this much of the quote asset: on venues with tiny lots a book of so many
/// lots would be too thin for an order of usual size.
const LEVEL_NOTIONAL: Decimal = Decimal::from_parts(100_000, 0, 0, false, 0);
/// Taker fee as a fraction of notional.
const TAKER_FEE: Decimal = Decimal::from_parts(5, 0, 0, false, 4);
/// Maker fee as a fraction of notional.
const MAKER_FEE: Decimal = Decimal::from_parts(2, 0, 0, false, 4);
/// Maintenance margin as a fraction of notional.
const MAINTENANCE: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
/// Leverage nobody has set.
const DEFAULT_LEVERAGE: Decimal = Decimal::from_parts(20, 0, 0, false, 0);

/// Who stands on the other side of every fill, on venues that name users.
const CROWD: &str = "0x00000000000000000000000000000000000000ff";

/// `venue_status` of an order that was taken and then ended by the venue because of what it asked for.
pub const ENDED_BY_VENUE: &str = "ended by the venue";

/// Why an order is not taken; each venue has its own code for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// No such instrument.
    #[error("unknown instrument")]
    UnknownInstrument,
    /// The client id is in use.
    #[error("duplicate client order id of order {0}")]
    DuplicateClientId(Text),
    /// Zero, negative or between two lots.
    #[error("size is not a positive multiple of the lot")]
    Size,
    /// Between two ticks or missing.
    #[error("price is not a positive multiple of the tick")]
    Price,
    /// Smaller than an order may be.
    #[error("below the smallest notional")]
    MinimumNotional,
    /// Margin does not suffice.
    #[error("insufficient margin")]
    Margin,
    /// It would not reduce.
    #[error("reduce-only order would not reduce")]
    ReduceOnly,
    /// It would fill at once.
    #[error("post-only order would fill at once")]
    PostOnly,
    /// It cannot be filled at once and whole.
    #[error("fill-or-kill order cannot be filled whole")]
    FillOrKill,
    /// The trigger is reached already.
    #[error("order would trigger immediately")]
    WouldTrigger,
    /// Order and account disagree about one-way and hedge.
    #[error("position side does not match the position mode")]
    PositionMode,
    /// No such order, or it is final.
    #[error("unknown order")]
    UnknownOrder,
    /// Position mode cannot change now.
    #[error("open orders or positions")]
    NotFlat,
    /// It is so already.
    #[error("nothing to change")]
    Unchanged,
    /// Nothing to close.
    #[error("no position")]
    NoPosition,
}

/// What happened, to whom.
#[derive(Debug, Clone)]
pub struct Update {
    /// The account's key; none for market data.
    pub account: Option<String>,
    /// What. A fill is followed by the order it filled, the position and the balance.
    pub event: Event,
    /// Set on an order that this fill changed, so that venues whose order messages carry the fill can say both at once.
    pub fill: Option<Fill>,
    /// Set on a book: only what changed since the one before, for venues that send a book once and then its changes.
    pub change: Option<Book>,
}

/// An account of the simulator.
#[derive(Debug, Clone)]
pub struct Account {
    /// Public part of its key (Hyperliquid: its address).
    pub key: String,
    /// Secret.
    pub secret: String,
    /// Passphrase, where the venue has one.
    pub passphrase: String,
    /// Money without unrealised profit, in the asset most instruments settle in.
    pub wallet: Decimal,
    /// The same in other assets, where instruments settle in those.
    pub other_wallets: BTreeMap<Text, Decimal>,
    /// One-way or hedge.
    pub position_mode: PositionMode,
    /// How margin is shared, by instrument.
    pub margin_modes: HashMap<Text, MarginMode>,
    /// Leverage by instrument.
    pub leverage: HashMap<Text, Decimal>,
    positions: BTreeMap<(Text, u8), Holding>,
    orders: BTreeMap<u64, Order>,
    client_ids: HashMap<Text, u64>,
    fills: Vec<Fill>,
    /// When everything is cancelled unless the client asks again before.
    cancel_at_ms: Option<u64>,
}

impl Account {
    /// With so much money and nothing else.
    #[must_use]
    pub fn new(key: &str, secret: &str, passphrase: &str, wallet: Decimal) -> Self {
        Self {
            key: key.to_owned(),
            secret: secret.to_owned(),
            passphrase: passphrase.to_owned(),
            wallet,
            other_wallets: BTreeMap::new(),
            position_mode: PositionMode::OneWay,
            margin_modes: HashMap::new(),
            leverage: HashMap::new(),
            positions: BTreeMap::new(),
            orders: BTreeMap::new(),
            client_ids: HashMap::new(),
            fills: Vec::new(),
            cancel_at_ms: None,
        }
    }

    /// With money in another asset too.
    #[must_use]
    pub fn with_wallet(mut self, asset: &str, wallet: Decimal) -> Self {
        self.other_wallets.insert(Text::new(asset), wallet);
        self
    }

    /// Leverage of an instrument.
    #[must_use]
    pub fn leverage_of(&self, instrument: &str) -> Decimal {
        self.leverage.get(instrument).copied().unwrap_or(DEFAULT_LEVERAGE)
    }

    /// Its orders, oldest first, final ones too.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.orders.values()
    }

    /// Its fills, oldest first.
    #[must_use]
    pub fn fills(&self) -> &[Fill] {
        &self.fills
    }

    /// An order by either id.
    #[must_use]
    pub fn order(&self, order: &OrderRef) -> Option<&Order> {
        let number = match (&order.order_id, &order.client_order_id) {
            (Some(id), _) => return self.orders.values().find(|known| known.order_id == *id),
            (None, Some(id)) => self.client_ids.get(id)?,
            (None, None) => return None,
        };
        self.orders.get(number)
    }
}

const fn side_key(side: PositionSide) -> u8 {
    match side {
        PositionSide::Net => 0,
        PositionSide::Long => 1,
        PositionSide::Short => 2,
    }
}

const fn key_side(key: u8) -> PositionSide {
    match key {
        1 => PositionSide::Long,
        2 => PositionSide::Short,
        _ => PositionSide::Net,
    }
}

/// A price that moves.
#[derive(Debug, Clone)]
pub struct Quote {
    /// The instrument.
    pub instrument: Instrument,
    /// Middle.
    pub price: Decimal,
    /// Number of the last book update.
    pub sequence: i64,
    /// Prices on each side of the book.
    levels: u32,
}

impl Quote {
    fn half_spread(&self) -> Decimal {
        self.tick()
    }

    /// Smallest step of the price. Hyperliquid has none: there it is the last of five significant figures, with at most
    /// six decimals less those of the lot.
    fn tick(&self) -> Decimal {
        if !self.instrument.tick.is_zero() {
            return self.instrument.tick;
        }
        let most = 6_u32.saturating_sub(self.instrument.lot.normalize().scale());
        let mut scale = 0;
        let mut figures = self.price * Decimal::TEN;
        while scale < most && figures < Decimal::from(100_000) {
            scale += 1;
            figures *= Decimal::TEN;
        }
        Decimal::new(1, scale)
    }

    /// Lowest sell price.
    #[must_use]
    pub fn ask(&self) -> Decimal {
        self.price + self.half_spread()
    }

    /// Highest buy price.
    #[must_use]
    pub fn bid(&self) -> Decimal {
        self.price - self.half_spread()
    }

    /// What stands at each price of the book.
    fn level_size(&self) -> Decimal {
        let smallest = self.instrument.minimum_size.max(self.instrument.lot);
        let usual = LEVEL_NOTIONAL
            .checked_div(self.price)
            .and_then(|base| self.instrument.from_base(base, Some(self.price)))
            .unwrap_or_default();
        let size = usual.max(smallest * Decimal::from(LEVEL_LOTS));
        if is_inverse(&self.instrument) {
            return size;
        }
        self.instrument
            .to_base(size, Some(self.price))
            .unwrap_or(Decimal::ONE)
    }

    /// What a taker on `side` finds, best first.
    fn levels(&self, side: Side) -> impl Iterator<Item = Level> + use<> {
        let step = self.tick() * Decimal::from(LEVEL_TICKS);
        let (first, step) = match side {
            Side::Buy => (self.ask(), step),
            Side::Sell => (self.bid(), -step),
        };
        let size = self.level_size();
        (0..self.levels).map(move |level| Level {
            price: first + step * Decimal::from(level),
            size,
        })
    }
}

/// The exchange.
#[derive(Debug)]
pub struct Engine {
    venue: Venue,
    /// What [`Account::wallet`] is in: the first instrument's asset of settlement.
    asset: Text,
    quotes: BTreeMap<Text, Quote>,
    accounts: BTreeMap<String, Account>,
    next_order: u64,
    next_trade: u64,
    random: u64,
    now_ms: u64,
    updates: Vec<Update>,
}

impl Engine {
    /// An exchange with these instruments at these prices; accounts have their money in what the first one settles in.
    /// `seed` chooses the price path.
    #[must_use]
    pub fn new(
        venue: Venue,
        instruments: impl IntoIterator<Item = (Instrument, Decimal)>,
        seed: u64,
    ) -> Self {
        let mut instruments = instruments.into_iter().peekable();
        let asset = instruments
            .peek()
            .map_or_else(|| Text::new("USDT"), |(instrument, _)| instrument.settle.clone());
        Self {
            venue,
            asset,
            quotes: instruments
                .map(|(instrument, price)| {
                    (
                        instrument.instrument.clone(),
                        Quote {
                            instrument,
                            price,
                            sequence: 1_000,
                            levels: BOOK_LEVELS,
                        },
                    )
                })
                .collect(),
            accounts: BTreeMap::new(),
            next_order: 8_886_774_000,
            next_trade: 12_345_678,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            now_ms: 0,
            updates: Vec::new(),
        }
    }

    /// With so many prices on each side of every book, at least one.
    #[must_use]
    pub fn with_book_levels(mut self, levels: u32) -> Self {
        for quote in self.quotes.values_mut() {
            quote.levels = levels.max(1);
        }
        self
    }

    /// Adds an account.
    pub fn add_account(&mut self, account: Account) {
        self.accounts.insert(account.key.clone(), account);
    }

    /// An account by its key.
    #[must_use]
    pub fn account(&self, key: &str) -> Option<&Account> {
        self.accounts.get(key)
    }

    /// An account by its key, to change its settings.
    pub fn account_mut(&mut self, key: &str) -> Option<&mut Account> {
        self.accounts.get_mut(key)
    }

    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The instruments with their prices.
    pub fn quotes(&self) -> impl Iterator<Item = &Quote> {
        self.quotes.values()
    }

    /// One instrument with its price.
    #[must_use]
    pub fn quote(&self, instrument: &str) -> Option<&Quote> {
        self.quotes.get(instrument)
    }

    /// The exchange's clock, Unix milliseconds.
    #[must_use]
    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Sets the clock; it never goes back. Countdowns that are over do what they were set for.
    pub fn set_clock(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        let over: Vec<String> = self
            .accounts
            .values_mut()
            .filter_map(|account| {
                account.cancel_at_ms.take_if(|at| *at <= self.now_ms)?;
                Some(account.key.clone())
            })
            .collect();
        for key in over {
            self.cancel_all(&key, None, false);
        }
    }

    /// Cancels all orders of an account (not those that wait for a trigger) at this time, unless another time or none is
    /// set before.
    pub fn cancel_all_at(&mut self, key: &str, at_ms: Option<u64>) {
        if let Some(account) = self.accounts.get_mut(key) {
            account.cancel_at_ms = at_ms;
        }
    }

    /// What happened since this was last asked, in order.
    pub fn take_updates(&mut self) -> Vec<Update> {
        std::mem::take(&mut self.updates)
    }

    // xorshift64: reproducible and good enough for a price that moves.
    const fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Moves every price by up to three steps of 0.01 % and lets what follows happen.
    pub fn step(&mut self) {
        let names: Vec<Text> = self.quotes.keys().cloned().collect();
        for name in names {
            let steps = i64::try_from(self.draw() % 7).unwrap_or(3) - 3;
            if let Some(quote) = self.quotes.get(&name) {
                let price = quote.price + quote.price * Decimal::new(steps, 4);
                self.set_price(&name, price);
            }
        }
    }

    /// Moves one price (rounded to the tick) and lets what follows happen: resting orders fill, triggers fire, accounts
    /// are liquidated.
    pub fn set_price(&mut self, instrument: &str, price: Decimal) {
        let Some(quote) = self.quotes.get_mut(instrument) else {
            return;
        };
        let before = quote.clone();
        let tick = quote.tick();
        quote.price = (price / tick).trunc().max(Decimal::TWO) * tick;
        quote.sequence += 1;
        let quote = quote.clone();
        self.publish_market(&before, &quote);
        let keys: Vec<String> = self.accounts.keys().cloned().collect();
        for key in keys {
            self.fire_triggers(&key, &quote);
            self.fill_resting(&key, &quote);
            self.liquidate_if_short(&key, &quote.instrument.settle);
        }
    }

    fn publish_market(&mut self, before: &Quote, quote: &Quote) {
        let instrument = quote.instrument.instrument.clone();
        let time_ms = self.now_ms;
        let side = if self.draw().is_multiple_of(2) {
            Side::Buy
        } else {
            Side::Sell
        };
        let trade = Trade {
            instrument: instrument.clone(),
            trade_id: self.trade_id(&instrument),
            side,
            size: quote.level_size(),
            price: quote.price,
            buyer: None,
            seller: None,
            liquidation: false,
            time_ms,
        };
        for event in [
            Event::Ticker(self.ticker(quote)),
            Event::Book(self.book(quote)),
            Event::Mark(Mark {
                instrument,
                price: quote.price,
                index: Some(quote.price),
                time_ms,
            }),
            Event::Trade(trade),
        ] {
            let change = matches!(event, Event::Book(_)).then(|| self.book_change(before, quote));
            self.updates.push(Update {
                account: None,
                event,
                fill: None,
                change,
            });
        }
    }

    /// Best prices of an instrument.
    #[must_use]
    pub fn ticker(&self, quote: &Quote) -> Ticker {
        Ticker {
            instrument: quote.instrument.instrument.clone(),
            bid: Some(quote.bid()),
            bid_size: Some(quote.level_size()),
            ask: Some(quote.ask()),
            ask_size: Some(quote.level_size()),
            last: Some(quote.price),
            mark: Some(quote.price),
            index: Some(quote.price),
            funding_rate: Some(Decimal::new(1, 4)),
            time_ms: self.now_ms,
        }
    }

    /// The whole book of an instrument, base units.
    #[must_use]
    pub fn book(&self, quote: &Quote) -> Book {
        Book {
            instrument: quote.instrument.instrument.clone(),
            snapshot: true,
            bids: quote.levels(Side::Sell).collect(),
            asks: quote.levels(Side::Buy).collect(),
            check: BookCheck::Sequence {
                first: quote.sequence,
                last: quote.sequence,
                previous: Some(quote.sequence - 1),
            },
            checksum: None,
            time_ms: self.now_ms,
        }
    }

    /// What is different in the book of `quote` from that of `before`; prices that are gone have size zero.
    fn book_change(&self, before: &Quote, quote: &Quote) -> Book {
        let side = |side: Side| {
            let old: Vec<Level> = before.levels(side).collect();
            let new: Vec<Level> = quote.levels(side).collect();
            let gone = old
                .iter()
                .filter(|level| !new.iter().any(|other| other.price == level.price));
            gone.map(|level| Level {
                price: level.price,
                size: Decimal::ZERO,
            })
            .chain(new.iter().copied().filter(|level| !old.contains(level)))
            .collect()
        };
        Book {
            snapshot: false,
            bids: side(Side::Sell),
            asks: side(Side::Buy),
            ..self.book(quote)
        }
    }

    /// Positions of an account that are not flat, with mark price and profit.
    #[must_use]
    pub fn positions(&self, key: &str) -> Vec<Position> {
        let Some(account) = self.accounts.get(key) else {
            return Vec::new();
        };
        account
            .positions
            .iter()
            .filter(|(_, holding)| !holding.size.is_zero())
            .map(|((instrument, side), holding)| {
                self.position(account, instrument, key_side(*side), *holding)
            })
            .collect()
    }

    fn position(
        &self,
        account: &Account,
        instrument: &Text,
        side: PositionSide,
        holding: Holding,
    ) -> Position {
        let mark = self.quotes.get(instrument).map(|quote| quote.price);
        Position {
            instrument: instrument.clone(),
            position_side: side,
            size: holding.size.normalize(),
            entry_price: (!holding.size.is_zero()).then_some(holding.entry.normalize()),
            mark_price: mark,
            unrealised_profit: mark.map(|mark| {
                profit(self.counts_inverse(instrument), holding.size, holding.entry, mark).normalize()
            }),
            leverage: Some(account.leverage_of(instrument)),
            margin_mode: Some(account.margin_modes.get(instrument).copied().unwrap_or_default()),
            liquidation_price: None,
            time_ms: holding.time_ms,
        }
    }

    /// Whether sizes of an instrument are amounts of its quote asset.
    fn counts_inverse(&self, instrument: &str) -> bool {
        self.quotes
            .get(instrument)
            .is_some_and(|quote| is_inverse(&quote.instrument))
    }

    /// A size as the engine counts it in base units.
    #[must_use]
    pub fn in_base(&self, instrument: &str, size: Decimal, price: Decimal) -> Decimal {
        if self.counts_inverse(instrument) {
            value(true, size, price).normalize()
        } else {
            size
        }
    }

    /// The holdings of an account that settle in an asset.
    fn settled<'a>(
        &'a self,
        account: &'a Account,
        asset: &'a str,
    ) -> impl Iterator<Item = (&'a Quote, Holding)> {
        account
            .positions
            .iter()
            .filter_map(|((instrument, _), holding)| Some((self.quotes.get(instrument)?, *holding)))
            .filter(move |(quote, _)| quote.instrument.settle == asset)
    }

    fn unrealised(&self, account: &Account, asset: &str) -> Decimal {
        self.settled(account, asset)
            .map(|(quote, holding)| {
                let inverse = is_inverse(&quote.instrument);
                profit(inverse, holding.size, holding.entry, quote.price)
            })
            .sum()
    }

    fn margin_used(&self, account: &Account, asset: &str) -> Decimal {
        self.settled(account, asset)
            .filter_map(|(quote, holding)| {
                value(is_inverse(&quote.instrument), holding.size.abs(), quote.price)
                    .checked_div(account.leverage_of(&quote.instrument.instrument))
            })
            .sum()
    }

    fn wallet_of(&self, account: &Account, asset: &str) -> Decimal {
        if self.asset == asset {
            account.wallet
        } else {
            account.other_wallets.get(asset).copied().unwrap_or_default()
        }
    }

    /// The account's money in the asset most instruments settle in: wallet, equity, what is free.
    #[must_use]
    pub fn balance(&self, key: &str) -> Option<Balance> {
        self.balance_in(key, &self.asset)
    }

    /// The account's money in an asset.
    #[must_use]
    pub fn balance_in(&self, key: &str, asset: &str) -> Option<Balance> {
        let account = self.accounts.get(key)?;
        let wallet = self.wallet_of(account, asset);
        let equity = wallet + self.unrealised(account, asset);
        Some(Balance {
            asset: Text::new(asset),
            wallet: wallet.round_dp(8).normalize(),
            equity: Some(equity.round_dp(8).normalize()),
            available: Some(
                (equity - self.margin_used(account, asset))
                    .max(Decimal::ZERO)
                    .round_dp(8)
                    .normalize(),
            ),
            time_ms: self.now_ms,
        })
    }

    /// What Deribit's ids say first: the currency, save those of bitcoin.
    fn id_prefix(&self, instrument: &str) -> String {
        let currency = self.quotes.get(instrument).map(|quote| &quote.instrument.settle);
        currency
            .filter(|currency| *currency != "BTC")
            .map_or_else(String::new, |currency| format!("{currency}-"))
    }

    fn order_id(&mut self, instrument: &str) -> (u64, Text) {
        self.next_order += 1;
        let number = self.next_order;
        let id = match self.venue {
            // Bybit's ids are UUIDs; ours count in their last part.
            Venue::Bybit => format!("a1b2c3d4-0000-4000-8000-{number:012x}"),
            // OKX, Bitget and HTX have ids beyond 2^53: a client that reads them as floats goes wrong here.
            Venue::Okx | Venue::Bitget | Venue::Htx => (1_000_000_000_000_000_000 + number).to_string(),
            Venue::Deribit => format!("{}{number}", self.id_prefix(instrument)),
            Venue::Binance | Venue::Hyperliquid => number.to_string(),
        };
        (number, Text::from(id))
    }

    fn trade_id(&mut self, instrument: &str) -> Text {
        self.next_trade += 1;
        let number = self.next_trade;
        Text::from(match self.venue {
            Venue::Deribit => format!("{}{number}", self.id_prefix(instrument)),
            _ => number.to_string(),
        })
    }

    /// Takes an order: it fills at once against the book, rests, or is refused.
    ///
    /// # Errors
    /// Why it is not taken. Nothing changed then.
    pub fn place(&mut self, key: &str, order: &NewOrder) -> Result<Order, Reject> {
        self.place_as(key, order, None)
    }

    /// `waited` is the order that waited for a trigger and becomes this one under its own id.
    fn place_as(
        &mut self,
        key: &str,
        order: &NewOrder,
        waited: Option<(u64, Order)>,
    ) -> Result<Order, Reject> {
        self.check(
            key,
            &order.instrument,
            order.client_order_id.as_ref(),
            order.position_side,
        )?;
        let quote = self
            .quotes
            .get(&order.instrument)
            .ok_or(Reject::UnknownInstrument)?
            .clone();
        let limit = match order.order_kind {
            OrderKind::Market => None,
            _ => Some(
                order
                    .price
                    .filter(|price| *price > Decimal::ZERO)
                    .ok_or(Reject::Price)?,
            ),
        };
        check_tick(&quote, limit)?;
        self.check_size(&quote, order.size, limit, order.reduce_only)?;
        let mut size = order.size;
        if order.reduce_only || self.closes(key, order.side, order.position_side) {
            let open = self.holding(key, &order.instrument, order.position_side).size;
            let reducible = if order.side == Side::Buy { -open } else { open };
            if reducible <= Decimal::ZERO {
                return Err(Reject::ReduceOnly);
            }
            size = size.min(reducible);
        } else {
            self.check_margin(key, &quote, order.side, size, order.position_side)?;
        }
        let crosses = limit.is_none_or(|price| match order.side {
            Side::Buy => price >= quote.ask(),
            Side::Sell => price <= quote.bid(),
        });
        let in_force = order.time_in_force.unwrap_or_default();
        if in_force == TimeInForce::PostOnly && crosses {
            return Err(Reject::PostOnly);
        }
        if in_force == TimeInForce::FillOrKill {
            let there: Decimal = quote
                .levels(order.side)
                .filter(|level| within(order.side, level.price, limit))
                .map(|level| level.size)
                .sum();
            if there < size {
                return Err(Reject::FillOrKill);
            }
        }
        let (number, order_id, client_order_id) = match waited {
            Some((number, waited)) => (number, waited.order_id, waited.client_order_id),
            None => {
                let (number, order_id) = self.order_id(&order.instrument);
                (number, order_id, order.client_order_id.clone())
            }
        };
        let taken = Order {
            instrument: order.instrument.clone(),
            order_id,
            client_order_id,
            side: order.side,
            position_side: order.position_side,
            order_kind: order.order_kind,
            time_in_force: in_force,
            status: OrderStatus::Open,
            venue_status: Text::default(),
            price: limit,
            trigger_price: None,
            size: Some(size),
            filled: Decimal::ZERO,
            average_price: None,
            reduce_only: order.reduce_only,
            cause: Cause::User,
            time_ms: self.now_ms,
        };
        self.remember(key, number, taken.clone());
        self.tell_order(key, &taken, None);
        if crosses {
            self.take_from_book(key, number, &quote);
        }
        let rests = self
            .order_of(key, number)
            .is_some_and(|order| !order.status.is_final());
        if rests
            && (limit.is_none()
                || matches!(in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill))
        {
            self.end(key, number, OrderStatus::Cancelled);
        }
        Ok(self.order_of(key, number).cloned().unwrap_or(taken))
    }

    /// Takes an order as venues do that answer before they match: a post-only order that would fill at once, or a
    /// fill-or-kill order that cannot be filled whole, is taken and then ends by itself. Its `venue_status` tells that
    /// nobody cancelled it.
    ///
    /// # Errors
    /// Why it is not taken. Nothing changed then.
    pub fn place_or_end(&mut self, key: &str, order: &NewOrder) -> Result<Order, Reject> {
        match self.place(key, order) {
            Err(Reject::PostOnly | Reject::FillOrKill) => {}
            other => return other,
        }
        let (number, order_id) = self.order_id(&order.instrument);
        let taken = Order {
            instrument: order.instrument.clone(),
            order_id,
            client_order_id: order.client_order_id.clone(),
            side: order.side,
            position_side: order.position_side,
            order_kind: order.order_kind,
            time_in_force: order.time_in_force.unwrap_or_default(),
            status: OrderStatus::Open,
            venue_status: Text::const_new(ENDED_BY_VENUE),
            price: order.price,
            trigger_price: None,
            size: Some(order.size),
            filled: Decimal::ZERO,
            average_price: None,
            reduce_only: order.reduce_only,
            cause: Cause::User,
            time_ms: self.now_ms,
        };
        self.remember(key, number, taken.clone());
        self.tell_order(key, &taken, None);
        self.end(key, number, OrderStatus::Cancelled);
        Ok(self.order_of(key, number).cloned().unwrap_or(taken))
    }

    /// Takes an order that waits for a trigger.
    ///
    /// # Errors
    /// Why it is not taken. Nothing changed then.
    pub fn place_conditional(&mut self, key: &str, order: &ConditionalOrder) -> Result<Order, Reject> {
        self.check(
            key,
            &order.instrument,
            order.client_order_id.as_ref(),
            order.position_side,
        )?;
        let quote = self
            .quotes
            .get(&order.instrument)
            .ok_or(Reject::UnknownInstrument)?
            .clone();
        self.check_size(&quote, order.size, order.price, order.reduce_only)?;
        if triggered(order.order_kind, order.side, order.trigger_price, quote.price) {
            return Err(Reject::WouldTrigger);
        }
        let (number, order_id) = self.order_id(&order.instrument);
        let taken = Order {
            instrument: order.instrument.clone(),
            order_id,
            client_order_id: order.client_order_id.clone(),
            side: order.side,
            position_side: order.position_side,
            order_kind: order.order_kind,
            time_in_force: TimeInForce::GoodTilCancelled,
            status: OrderStatus::Untriggered,
            venue_status: Text::default(),
            price: order.price,
            trigger_price: Some(order.trigger_price),
            size: Some(order.size),
            filled: Decimal::ZERO,
            average_price: None,
            reduce_only: order.reduce_only,
            cause: Cause::User,
            time_ms: self.now_ms,
        };
        self.remember(key, number, taken.clone());
        self.tell_order(key, &taken, None);
        Ok(taken)
    }

    fn check(
        &self,
        key: &str,
        instrument: &str,
        client_id: Option<&Text>,
        position_side: PositionSide,
    ) -> Result<(), Reject> {
        let account = self.accounts.get(key).ok_or(Reject::Margin)?;
        if !self.quotes.contains_key(instrument) {
            return Err(Reject::UnknownInstrument);
        }
        let hedge = account.position_mode == PositionMode::Hedge;
        if hedge == (position_side == PositionSide::Net) {
            return Err(Reject::PositionMode);
        }
        if let Some(known) = client_id.and_then(|id| account.client_ids.get(id)) {
            let id = account.orders.get(known).map(|order| order.order_id.clone());
            return Err(Reject::DuplicateClientId(id.unwrap_or_default()));
        }
        Ok(())
    }

    fn check_size(
        &self,
        quote: &Quote,
        size: Decimal,
        price: Option<Decimal>,
        reduce_only: bool,
    ) -> Result<(), Reject> {
        let price = price.unwrap_or(quote.price);
        let units = match quote.instrument.size_unit {
            crate::model::SizeUnit::Base => Some(size),
            _ if is_inverse(&quote.instrument) => Some(size),
            _ => quote.instrument.from_base(size, Some(price)),
        };
        let units = units.ok_or(Reject::Size)?;
        let lot = quote.instrument.lot;
        if units <= Decimal::ZERO
            || units < quote.instrument.minimum_size
            || (!lot.is_zero() && !(units % lot).is_zero())
        {
            return Err(Reject::Size);
        }
        if !reduce_only
            && let Some(least) = quote.instrument.minimum_notional
            && value(is_inverse(&quote.instrument), size, price) < least
        {
            return Err(Reject::MinimumNotional);
        }
        Ok(())
    }

    fn check_margin(
        &self,
        key: &str,
        quote: &Quote,
        side: Side,
        size: Decimal,
        position_side: PositionSide,
    ) -> Result<(), Reject> {
        let account = self.accounts.get(key).ok_or(Reject::Margin)?;
        let open = self
            .holding(key, &quote.instrument.instrument, position_side)
            .size;
        let after = (open + side.signed(size)).abs();
        let more = (after - open.abs()).max(Decimal::ZERO);
        let more = value(is_inverse(&quote.instrument), more, quote.price)
            / account.leverage_of(&quote.instrument.instrument);
        let asset = &quote.instrument.settle;
        let free = self.wallet_of(account, asset) + self.unrealised(account, asset)
            - self.margin_used(account, asset);
        if more > free { Err(Reject::Margin) } else { Ok(()) }
    }

    /// In hedge mode an order against its own side closes.
    fn closes(&self, _key: &str, side: Side, position_side: PositionSide) -> bool {
        matches!(
            (side, position_side),
            (Side::Sell, PositionSide::Long) | (Side::Buy, PositionSide::Short)
        )
    }

    fn holding(&self, key: &str, instrument: &str, side: PositionSide) -> Holding {
        self.accounts
            .get(key)
            .and_then(|account| account.positions.get(&(Text::new(instrument), side_key(side))))
            .copied()
            .unwrap_or_default()
    }

    fn remember(&mut self, key: &str, number: u64, order: Order) {
        if let Some(account) = self.accounts.get_mut(key) {
            if let Some(id) = &order.client_order_id {
                account.client_ids.insert(id.clone(), number);
            }
            account.orders.insert(number, order);
        }
    }

    fn order_of(&self, key: &str, number: u64) -> Option<&Order> {
        self.accounts.get(key)?.orders.get(&number)
    }

    fn tell_order(&mut self, key: &str, order: &Order, fill: Option<Fill>) {
        self.updates.push(Update {
            account: Some(key.to_owned()),
            event: Event::Order(order.clone()),
            fill,
            change: None,
        });
    }

    fn tell_account(&mut self, key: &str, instrument: &Text, side: PositionSide) {
        let holding = self.holding(key, instrument, side);
        let Some(account) = self.accounts.get(key) else {
            return;
        };
        let position = self.position(account, instrument, side, holding);
        let asset = self.quotes.get(instrument).map(|quote| &quote.instrument.settle);
        let balance = self.balance_in(key, asset.unwrap_or(&self.asset));
        self.updates.push(Update {
            account: Some(key.to_owned()),
            event: Event::Position(position),
            fill: None,
            change: None,
        });
        if let Some(balance) = balance {
            self.updates.push(Update {
                account: Some(key.to_owned()),
                event: Event::Balance(balance),
                fill: None,
                change: None,
            });
        }
    }

    fn take_from_book(&mut self, key: &str, number: u64, quote: &Quote) {
        let Some(order) = self.order_of(key, number).cloned() else {
            return;
        };
        let mut open = order.size.unwrap_or_default() - order.filled;
        for level in quote.levels(order.side) {
            if open <= Decimal::ZERO || !within(order.side, level.price, order.price) {
                return;
            }
            let size = open.min(level.size);
            open -= size;
            self.fill(key, number, size, level.price, Liquidity::Taker);
        }
    }

    fn fill_resting(&mut self, key: &str, quote: &Quote) {
        let Some(account) = self.accounts.get(key) else {
            return;
        };
        let crossed: Vec<(u64, Decimal, Decimal)> = account
            .orders
            .iter()
            .filter(|(_, order)| {
                order.instrument == quote.instrument.instrument
                    && matches!(order.status, OrderStatus::Open | OrderStatus::PartiallyFilled)
            })
            .filter_map(|(number, order)| {
                let price = order.price?;
                let reached = match order.side {
                    Side::Buy => quote.ask() <= price,
                    Side::Sell => quote.bid() >= price,
                };
                reached.then(|| (*number, order.size.unwrap_or_default() - order.filled, price))
            })
            .collect();
        for (number, open, price) in crossed {
            self.fill(key, number, open.min(quote.level_size()), price, Liquidity::Maker);
        }
    }

    fn fire_triggers(&mut self, key: &str, quote: &Quote) {
        let Some(account) = self.accounts.get(key) else {
            return;
        };
        let fired: Vec<u64> = account
            .orders
            .iter()
            .filter(|(_, order)| {
                order.status == OrderStatus::Untriggered
                    && order.instrument == quote.instrument.instrument
                    && order
                        .trigger_price
                        .is_some_and(|trigger| triggered(order.order_kind, order.side, trigger, quote.price))
            })
            .map(|(number, _)| *number)
            .collect();
        for number in fired {
            let Some(order) = self.order_of(key, number).cloned() else {
                continue;
            };
            self.end(key, number, OrderStatus::Triggered);
            let child = NewOrder {
                instrument: order.instrument.clone(),
                side: order.side,
                size: order.size.unwrap_or_default(),
                order_kind: match order.order_kind {
                    OrderKind::StopLimit | OrderKind::TakeProfitLimit => OrderKind::Limit,
                    _ => OrderKind::Market,
                },
                price: order.price,
                time_in_force: None,
                reduce_only: order.reduce_only,
                position_side: order.position_side,
                margin_mode: MarginMode::Cross,
                leverage: None,
                client_order_id: None,
            };
            // Bybit's order keeps its id, elsewhere a new order comes of it.
            let waited = (self.venue == Venue::Bybit).then_some((number, order));
            // A trigger whose position is gone simply ends.
            if self.place_as(key, &child, waited).is_err() {
                self.end(key, number, OrderStatus::Expired);
            }
        }
    }

    fn fill(&mut self, key: &str, number: u64, size: Decimal, price: Decimal, liquidity: Liquidity) {
        let Some(order) = self.order_of(key, number) else {
            return;
        };
        // What closes never opens the other way: of two orders that close a position the later finds less, or nothing.
        let closes = order.reduce_only || self.closes(key, order.side, order.position_side);
        let (side, open) = (
            order.side,
            self.holding(key, &order.instrument, order.position_side).size,
        );
        let least = size.min(match (closes, side) {
            (false, _) => size,
            (true, Side::Sell) => open,
            (true, Side::Buy) => -open,
        });
        if least > Decimal::ZERO {
            self.fill_whole(key, number, least, price, liquidity);
        }
        if least < size {
            self.end(key, number, OrderStatus::Cancelled);
        }
    }

    fn fill_whole(&mut self, key: &str, number: u64, size: Decimal, price: Decimal, liquidity: Liquidity) {
        let Some(instrument) = self.order_of(key, number).map(|order| order.instrument.clone()) else {
            return;
        };
        let Some(quote) = self.quotes.get(&instrument) else {
            return;
        };
        let (inverse, asset) = (is_inverse(&quote.instrument), quote.instrument.settle.clone());
        let main = asset == self.asset;
        let (trade_id, now_ms) = (self.trade_id(&instrument), self.now_ms);
        let Some(account) = self.accounts.get_mut(key) else {
            return;
        };
        let Some(order) = account.orders.get_mut(&number) else {
            return;
        };
        let before = (order.filled, order.average_price.unwrap_or_default());
        order.filled += size;
        order.average_price =
            average(inverse, before, (size, price)).map(|average| average.round_dp(10).normalize());
        order.status = if order.size.is_some_and(|asked| order.filled >= asked) {
            OrderStatus::Filled
        } else {
            OrderStatus::PartiallyFilled
        };
        order.time_ms = now_ms;
        let rate = if liquidity == Liquidity::Maker {
            MAKER_FEE
        } else {
            TAKER_FEE
        };
        let fee = (value(inverse, size, price) * rate).round_dp(8).normalize();
        let slot = (order.instrument.clone(), side_key(order.position_side));
        let signed = order.side.signed(size);
        let order = order.clone();
        let holding = account.positions.entry(slot).or_default();
        let profit = holding.trade(inverse, signed, price);
        holding.time_ms = now_ms;
        let after = holding.size;
        if main {
            account.wallet += profit - fee;
        } else {
            *account.other_wallets.entry(asset.clone()).or_default() += profit - fee;
        }
        let fill = Fill {
            instrument: order.instrument.clone(),
            trade_id,
            order_id: order.order_id.clone(),
            client_order_id: order.client_order_id.clone(),
            side: order.side,
            position_side: Some(order.position_side),
            size,
            price,
            fee: Some(Fee { amount: fee, asset }),
            liquidity: Some(liquidity),
            cause: order.cause,
            position_after: Some(after),
            user: None,
            historic: false,
            time_ms: now_ms,
        };
        account.fills.push(fill.clone());
        let taker_side = if liquidity == Liquidity::Taker {
            fill.side
        } else {
            fill.side.opposite()
        };
        let (account_key, crowd) = (Text::new(key), Text::const_new(CROWD));
        let (buyer, seller) = match fill.side {
            Side::Buy => (account_key, crowd),
            Side::Sell => (crowd, account_key),
        };
        self.updates.push(Update {
            account: None,
            event: Event::Trade(Trade {
                instrument: fill.instrument.clone(),
                trade_id: fill.trade_id.clone(),
                side: taker_side,
                size,
                price,
                buyer: Some(buyer),
                seller: Some(seller),
                liquidation: fill.cause == Cause::Liquidation,
                time_ms: now_ms,
            }),
            fill: None,
            change: None,
        });
        self.updates.push(Update {
            account: Some(key.to_owned()),
            event: Event::Fill(fill.clone()),
            fill: None,
            change: None,
        });
        self.tell_order(key, &order, Some(fill));
        self.tell_account(key, &order.instrument, order.position_side);
    }

    fn end(&mut self, key: &str, number: u64, status: OrderStatus) {
        let now_ms = self.now_ms;
        let Some(order) = self
            .accounts
            .get_mut(key)
            .and_then(|account| account.orders.get_mut(&number))
        else {
            return;
        };
        order.status = status;
        order.time_ms = now_ms;
        let order = order.clone();
        self.tell_order(key, &order, None);
    }

    fn number_of(&self, key: &str, wanted: &OrderRef) -> Result<u64, Reject> {
        let account = self.accounts.get(key).ok_or(Reject::UnknownOrder)?;
        let order = account.order(wanted).ok_or(Reject::UnknownOrder)?;
        account
            .orders
            .iter()
            .find(|(_, known)| known.order_id == order.order_id)
            .map(|(number, _)| *number)
            .ok_or(Reject::UnknownOrder)
    }

    /// Cancels an order.
    ///
    /// # Errors
    /// When it is unknown or final.
    pub fn cancel(&mut self, key: &str, order: &OrderRef) -> Result<Order, Reject> {
        let number = self.number_of(key, order)?;
        match self.order_of(key, number) {
            Some(order) if order.status.is_final() || order.status == OrderStatus::Triggered => {
                Err(Reject::UnknownOrder)
            }
            None => Err(Reject::UnknownOrder),
            Some(_) => {
                self.end(key, number, OrderStatus::Cancelled);
                self.order_of(key, number).cloned().ok_or(Reject::UnknownOrder)
            }
        }
    }

    /// Cancels all orders of an account, of one instrument or all; conditional ones too if asked. The cancelled ones.
    pub fn cancel_all(&mut self, key: &str, instrument: Option<&str>, conditional: bool) -> Vec<Order> {
        let Some(account) = self.accounts.get(key) else {
            return Vec::new();
        };
        let numbers: Vec<u64> = account
            .orders
            .iter()
            .filter(|(_, order)| match order.status {
                OrderStatus::Open | OrderStatus::PartiallyFilled => true,
                OrderStatus::Untriggered => conditional,
                _ => false,
            })
            .filter(|(_, order)| instrument.is_none_or(|wanted| order.instrument == wanted))
            .map(|(number, _)| *number)
            .collect();
        numbers
            .into_iter()
            .filter_map(|number| {
                self.end(key, number, OrderStatus::Cancelled);
                self.order_of(key, number).cloned()
            })
            .collect()
    }

    /// Lets a client id be used again, on venues where it need not be unique.
    pub fn release_client_id(&mut self, key: &str, client_id: &str) {
        if let Some(account) = self.accounts.get_mut(key) {
            account.client_ids.remove(client_id);
        }
    }

    /// Changes an open order.
    ///
    /// # Errors
    /// When it is unknown, final, or the new values are not possible.
    pub fn amend(&mut self, key: &str, change: &AmendOrder) -> Result<Order, Reject> {
        let wanted = OrderRef {
            instrument: change.instrument.clone(),
            order_id: change.order_id.clone(),
            client_order_id: change.client_order_id.clone(),
        };
        let number = self.number_of(key, &wanted)?;
        let known = self.order_of(key, number).cloned().ok_or(Reject::UnknownOrder)?;
        if known.status.is_final() {
            return Err(Reject::UnknownOrder);
        }
        let quote = self
            .quotes
            .get(&known.instrument)
            .ok_or(Reject::UnknownInstrument)?
            .clone();
        let size = change.size.or(known.size).ok_or(Reject::Size)?;
        let price = change.price.or(known.price);
        check_tick(&quote, price)?;
        self.check_size(&quote, size, price, known.reduce_only)?;
        if size <= known.filled {
            return Err(Reject::Size);
        }
        let now_ms = self.now_ms;
        let Some(order) = self
            .accounts
            .get_mut(key)
            .and_then(|account| account.orders.get_mut(&number))
        else {
            return Err(Reject::UnknownOrder);
        };
        order.size = Some(size);
        order.price = price;
        order.time_ms = now_ms;
        let order = order.clone();
        self.tell_order(key, &order, None);
        self.fill_resting(key, &quote);
        Ok(self.order_of(key, number).cloned().unwrap_or(order))
    }

    /// Closes a position at market.
    ///
    /// # Errors
    /// When there is none.
    pub fn close_position(
        &mut self,
        key: &str,
        instrument: &str,
        side: PositionSide,
    ) -> Result<Order, Reject> {
        let open = self.holding(key, instrument, side).size;
        if open.is_zero() {
            return Err(Reject::NoPosition);
        }
        self.place(key, &closing(instrument, side, open))
    }

    /// Sets the position mode.
    ///
    /// # Errors
    /// When it is so already, or orders or positions are open.
    pub fn set_position_mode(&mut self, key: &str, mode: PositionMode) -> Result<(), Reject> {
        let flat = self.positions(key).is_empty();
        let account = self.accounts.get_mut(key).ok_or(Reject::Unchanged)?;
        if account.position_mode == mode {
            return Err(Reject::Unchanged);
        }
        // A trigger that has fired is not waiting any more: the order that came of it counts.
        let waits = |order: &Order| !order.status.is_final() && order.status != OrderStatus::Triggered;
        if !flat || account.orders.values().any(waits) {
            return Err(Reject::NotFlat);
        }
        account.position_mode = mode;
        Ok(())
    }

    fn liquidate_if_short(&mut self, key: &str, asset: &str) {
        let Some(account) = self.accounts.get(key) else {
            return;
        };
        let needed: Decimal = self
            .settled(account, asset)
            .map(|(quote, holding)| {
                value(is_inverse(&quote.instrument), holding.size.abs(), quote.price) * MAINTENANCE
            })
            .sum();
        let equity = self.wallet_of(account, asset) + self.unrealised(account, asset);
        if needed.is_zero() || equity >= needed {
            return;
        }
        let short: Vec<Position> = self
            .positions(key)
            .into_iter()
            .filter(|position| {
                self.quotes
                    .get(&position.instrument)
                    .is_some_and(|quote| quote.instrument.settle == asset)
            })
            .collect();
        for position in short {
            self.force_close(
                key,
                &position.instrument,
                position.position_side,
                Cause::Liquidation,
            );
        }
    }

    /// The venue closes a position by itself: a liquidation, deleveraging, a settlement.
    pub fn force_close(&mut self, key: &str, instrument: &str, side: PositionSide, cause: Cause) {
        let open = self.holding(key, instrument, side).size;
        let Some(quote) = self.quotes.get(instrument).cloned() else {
            return;
        };
        if open.is_zero() {
            return;
        }
        let (number, order_id) = self.order_id(instrument);
        // What Binance calls these orders; other venues say the cause in a field of their own.
        let client_id = match cause {
            Cause::Liquidation => format!("autoclose-{number}"),
            Cause::AutoDeleveraging => "adl_autoclose".to_owned(),
            _ => format!("settlement_autoclose-{number}"),
        };
        let closing = closing(instrument, side, open);
        let order = Order {
            instrument: closing.instrument.clone(),
            order_id,
            client_order_id: (self.venue == Venue::Binance).then(|| Text::from(client_id)),
            side: closing.side,
            position_side: side,
            order_kind: OrderKind::Venue,
            time_in_force: TimeInForce::ImmediateOrCancel,
            status: OrderStatus::Open,
            venue_status: Text::default(),
            price: Some(quote.price),
            trigger_price: None,
            size: Some(open.abs()),
            filled: Decimal::ZERO,
            average_price: None,
            reduce_only: true,
            cause,
            time_ms: self.now_ms,
        };
        self.remember(key, number, order);
        self.fill(key, number, open.abs(), quote.price, Liquidity::Taker);
    }

    /// Steps of the price path as a number below `bound`, for faults that need chance.
    pub fn chance(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or_default()
    }

    /// How many contracts an amount in base units is, for wires that count so.
    #[must_use]
    pub fn venue_size(&self, instrument: &str, base: Decimal) -> Decimal {
        self.quotes
            .get(instrument)
            .and_then(|quote| quote.instrument.from_base(base, Some(quote.price)))
            .unwrap_or(base)
    }

    /// A whole number of milliseconds of an amount, for wires that print it.
    #[must_use]
    pub fn whole(value: Decimal) -> u64 {
        value.trunc().to_u64().unwrap_or_default()
    }
}

fn closing(instrument: &str, side: PositionSide, open: Decimal) -> NewOrder {
    NewOrder {
        instrument: Text::new(instrument),
        side: if open.is_sign_positive() {
            Side::Sell
        } else {
            Side::Buy
        },
        size: open.abs(),
        order_kind: OrderKind::Market,
        price: None,
        time_in_force: None,
        reduce_only: true,
        position_side: side,
        margin_mode: MarginMode::Cross,
        leverage: None,
        client_order_id: None,
    }
}

fn check_tick(quote: &Quote, price: Option<Decimal>) -> Result<(), Reject> {
    let tick = quote.instrument.tick;
    match price {
        Some(price) if !tick.is_zero() && !(price % tick).is_zero() => Err(Reject::Price),
        _ => Ok(()),
    }
}

fn within(side: Side, price: Decimal, limit: Option<Decimal>) -> bool {
    limit.is_none_or(|limit| match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    })
}

fn triggered(kind: OrderKind, side: Side, trigger: Decimal, price: Decimal) -> bool {
    let stop = matches!(
        kind,
        OrderKind::StopMarket | OrderKind::StopLimit | OrderKind::TrailingStop
    );
    // A stop that sells waits for a fall, a take profit that sells for a rise; buying is the other way round.
    match (stop, side) {
        (true, Side::Sell) | (false, Side::Buy) => price <= trigger,
        (true, Side::Buy) | (false, Side::Sell) => price >= trigger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn engine() -> Engine {
        let mut instrument = Instrument::linear("BTCUSDT", "BTC", "USDT", decimal("0.1"), decimal("0.001"));
        instrument.minimum_notional = Some(decimal("5"));
        let mut engine = Engine::new(Venue::Binance, [(instrument, decimal("50000"))], 7);
        engine.add_account(Account::new("key", "secret", "", decimal("10000")));
        engine.set_clock(1_700_000_000_000);
        engine
    }

    fn order(side: Side, size: &str, price: Option<&str>) -> NewOrder {
        NewOrder {
            order_kind: if price.is_some() {
                OrderKind::Limit
            } else {
                OrderKind::Market
            },
            price: price.map(decimal),
            reduce_only: false,
            ..super::closing(
                "BTCUSDT",
                PositionSide::Net,
                side.opposite().signed(decimal(size)),
            )
        }
    }

    #[test]
    fn a_market_order_walks_the_book_and_moves_the_position() {
        let mut engine = engine();
        let taken = engine.place("key", &order(Side::Buy, "3", None)).unwrap();
        assert_eq!(taken.status, OrderStatus::Filled);
        assert!(
            taken.average_price.unwrap() > decimal("50000.1"),
            "several prices"
        );
        assert_eq!(engine.account("key").unwrap().fills().len(), 2);
        assert_eq!(engine.positions("key")[0].size, decimal("3"));
    }

    #[test]
    fn a_limit_order_rests_until_the_price_comes() {
        let mut engine = engine();
        let resting = engine
            .place("key", &order(Side::Buy, "1", Some("49000")))
            .unwrap();
        assert_eq!(resting.status, OrderStatus::Open);
        engine.set_price("BTCUSDT", decimal("48999"));
        let account = engine.account("key").unwrap();
        assert_eq!(account.fills()[0].price, decimal("49000"));
        assert_eq!(account.fills()[0].liquidity, Some(Liquidity::Maker));
    }

    #[test]
    fn refusals_change_nothing() {
        let mut engine = engine();
        assert_eq!(
            engine.place("key", &order(Side::Buy, "0.0005", None)),
            Err(Reject::Size)
        );
        assert_eq!(
            engine.place("key", &order(Side::Buy, "100", None)),
            Err(Reject::Margin)
        );
        assert_eq!(
            engine.place("key", &order(Side::Buy, "0.001", Some("1000.05"))),
            Err(Reject::Price)
        );
        assert_eq!(
            engine.place("key", &order(Side::Buy, "0.001", Some("1000"))),
            Err(Reject::MinimumNotional)
        );
        let mut reducing = order(Side::Sell, "1", None);
        reducing.reduce_only = true;
        assert_eq!(engine.place("key", &reducing), Err(Reject::ReduceOnly));
        assert!(engine.take_updates().is_empty());
    }

    #[test]
    fn what_closes_never_opens_the_other_way() {
        let mut engine = engine();
        engine.set_position_mode("key", PositionMode::Hedge).unwrap();
        let on = |side, size: &str, price| NewOrder {
            position_side: PositionSide::Long,
            ..order(side, size, price)
        };
        engine.place("key", &on(Side::Buy, "1", None)).unwrap();
        for _ in 0..2 {
            engine
                .place("key", &on(Side::Sell, "0.7", Some("50100")))
                .unwrap();
        }
        engine.set_price("BTCUSDT", decimal("50200"));
        assert!(engine.positions("key").is_empty());
        let account = engine.account("key").unwrap();
        let filled: Vec<Decimal> = account.orders().map(|order| order.filled).collect();
        assert_eq!(filled, [decimal("1"), decimal("0.7"), decimal("0.3")]);
        assert!(account.orders().all(|order| order.status.is_final()));
    }

    #[test]
    fn a_client_id_is_taken_once() {
        let mut engine = engine();
        let mut first = order(Side::Buy, "0.01", None);
        first.client_order_id = Some("one".into());
        let taken = engine.place("key", &first).unwrap();
        assert_eq!(
            engine.place("key", &first),
            Err(Reject::DuplicateClientId(taken.order_id))
        );
    }

    #[test]
    fn a_fall_liquidates_and_says_so() {
        let mut engine = engine();
        engine.place("key", &order(Side::Buy, "3", None)).unwrap();
        engine.take_updates();
        engine.set_price("BTCUSDT", decimal("46700"));
        assert!(engine.positions("key").is_empty());
        assert_eq!(
            engine.account("key").unwrap().fills().last().unwrap().cause,
            Cause::Liquidation
        );
    }

    #[test]
    fn changes_of_a_book_lead_from_one_to_the_next() {
        let mut engine = engine();
        let quote = engine.quote("BTCUSDT").unwrap().clone();
        let mut asks: BTreeMap<Decimal, Decimal> = engine
            .book(&quote)
            .asks
            .iter()
            .map(|level| (level.price, level.size))
            .collect();
        for price in ["50003.7", "50008.7", "49990.2"] {
            engine.set_price("BTCUSDT", decimal(price));
            for update in engine.take_updates() {
                let (Event::Book(whole), Some(change)) = (update.event, update.change) else {
                    continue;
                };
                for level in change.asks {
                    if level.size.is_zero() {
                        asks.remove(&level.price);
                    } else {
                        asks.insert(level.price, level.size);
                    }
                }
                let now: Vec<Decimal> = asks.keys().copied().collect();
                assert_eq!(
                    now,
                    whole.asks.iter().map(|level| level.price).collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn a_countdown_cancels_unless_it_is_set_again() {
        let mut engine = engine();
        engine
            .place("key", &order(Side::Buy, "1", Some("49000")))
            .unwrap();
        engine.cancel_all_at("key", Some(1_700_000_010_000));
        engine.set_clock(1_700_000_009_000);
        engine.cancel_all_at("key", Some(1_700_000_019_000));
        engine.set_clock(1_700_000_010_000);
        let status = |engine: &Engine| engine.account("key").unwrap().orders().next().unwrap().status;
        assert_eq!(status(&engine), OrderStatus::Open);
        engine.set_clock(1_700_000_019_000);
        assert_eq!(status(&engine), OrderStatus::Cancelled);
    }

    #[test]
    fn an_order_that_cannot_do_what_it_asks_ends_by_itself() {
        let mut engine = engine();
        let mut post_only = order(Side::Buy, "1", Some("51000"));
        post_only.time_in_force = Some(TimeInForce::PostOnly);
        let ended = engine.place_or_end("key", &post_only).unwrap();
        assert_eq!(ended.status, OrderStatus::Cancelled);
        assert_eq!(ended.venue_status, ENDED_BY_VENUE);
        assert!(engine.positions("key").is_empty());
    }

    #[test]
    fn a_stop_fires_on_its_side_only() {
        let mut engine = engine();
        engine.place("key", &order(Side::Buy, "0.5", None)).unwrap();
        let stop = ConditionalOrder {
            instrument: "BTCUSDT".into(),
            side: Side::Sell,
            size: decimal("0.5"),
            order_kind: OrderKind::StopMarket,
            trigger_price: decimal("49500"),
            trigger_by: crate::model::TriggerPrice::Last,
            price: None,
            reduce_only: true,
            position_side: PositionSide::Net,
            margin_mode: MarginMode::Cross,
            client_order_id: None,
        };
        engine.place_conditional("key", &stop).unwrap();
        engine.set_price("BTCUSDT", decimal("50500"));
        assert_eq!(engine.positions("key").len(), 1);
        engine.set_price("BTCUSDT", decimal("49400"));
        assert!(engine.positions("key").is_empty());
        let late = ConditionalOrder {
            trigger_price: decimal("50000"),
            ..stop
        };
        assert_eq!(engine.place_conditional("key", &late), Err(Reject::WouldTrigger));
    }
}
