//! What can be asked of a venue, in the model's words. The serde names are the stable ones of the command line: `sign`
//! reads `{"operation": "place_order", "parameters": {…}}`.

use serde::{Deserialize, Serialize};

use crate::model::{
    AccountMode, Balance, Book, Decimal, Fill, Funding, Instrument, Interval, Kline, Leverage, MarginMode,
    Mark, Order, OrderKind, Position, PositionMode, PositionSide, Side, Text, Ticker, TimeInForce, Trade,
    TriggerPrice,
};

/// An operation with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", content = "parameters", rename_all = "snake_case")]
pub enum Operation {
    /// The venue's clock.
    ServerTime(Empty),
    /// All instruments.
    Instruments(Empty),
    /// Best prices of one instrument.
    Ticker(OneInstrument),
    /// The book of one instrument.
    Book(BookQuery),
    /// Newest public trades of one instrument.
    Trades(OneInstrument),
    /// Klines of one instrument.
    Klines(KlineQuery),
    /// Mark price of one instrument.
    Mark(OneInstrument),
    /// Funding rate of one instrument.
    Funding(OneInstrument),

    /// Balances of the account.
    Balances(Empty),
    /// Positions of the account.
    Positions(Maybe),
    /// One-way or hedge.
    AccountMode(Empty),
    /// Chooses one-way or hedge.
    SetPositionMode(SetPositionMode),
    /// Leverage of one instrument.
    Leverage(OneInstrument),
    /// Sets the leverage of one instrument.
    SetLeverage(SetLeverage),
    /// Sets how margin is shared.
    SetMarginMode(SetMarginMode),

    /// Orders that are open.
    OpenOrders(Maybe),
    /// One order, by either id.
    Order(OrderRef),
    /// Newest fills of the account.
    Fills(FillQuery),

    /// Sends an order.
    PlaceOrder(NewOrder),
    /// Sends several orders at once.
    PlaceOrders(Orders),
    /// Changes price or size of an open order.
    AmendOrder(AmendOrder),
    /// Cancels an order.
    CancelOrder(OrderRef),
    /// Cancels several orders at once.
    CancelOrders(OrderRefs),
    /// Cancels all open orders (of one instrument).
    CancelAllOrders(Maybe),
    /// Closes a position at market.
    ClosePosition(ClosePosition),
    /// Sends an order that waits for a trigger.
    PlaceConditionalOrder(ConditionalOrder),
    /// Cancels an order that waits for a trigger.
    CancelConditionalOrder(OrderRef),
    /// Sends several reduce-only triggers, each for a part of a position.
    PlaceStopLadder(StopLadder),
    /// Asks the venue to cancel everything unless asked again in time; 0 ms switches it off.
    CancelAllAfter(CancelAllAfter),

    /// Makes or gets the account stream's key (Binance).
    CreateListenKey(Empty),
    /// Keeps the account stream's key (Binance).
    KeepListenKey(Empty),
    /// Ends the account stream's key (Binance).
    CloseListenKey(Empty),
}

impl Operation {
    /// Its stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ServerTime(_) => "server_time",
            Self::Instruments(_) => "instruments",
            Self::Ticker(_) => "ticker",
            Self::Book(_) => "book",
            Self::Trades(_) => "trades",
            Self::Klines(_) => "klines",
            Self::Mark(_) => "mark",
            Self::Funding(_) => "funding",
            Self::Balances(_) => "balances",
            Self::Positions(_) => "positions",
            Self::AccountMode(_) => "account_mode",
            Self::SetPositionMode(_) => "set_position_mode",
            Self::Leverage(_) => "leverage",
            Self::SetLeverage(_) => "set_leverage",
            Self::SetMarginMode(_) => "set_margin_mode",
            Self::OpenOrders(_) => "open_orders",
            Self::Order(_) => "order",
            Self::Fills(_) => "fills",
            Self::PlaceOrder(_) => "place_order",
            Self::PlaceOrders(_) => "place_orders",
            Self::AmendOrder(_) => "amend_order",
            Self::CancelOrder(_) => "cancel_order",
            Self::CancelOrders(_) => "cancel_orders",
            Self::CancelAllOrders(_) => "cancel_all_orders",
            Self::ClosePosition(_) => "close_position",
            Self::PlaceConditionalOrder(_) => "place_conditional_order",
            Self::CancelConditionalOrder(_) => "cancel_conditional_order",
            Self::PlaceStopLadder(_) => "place_stop_ladder",
            Self::CancelAllAfter(_) => "cancel_all_after",
            Self::CreateListenKey(_) => "create_listen_key",
            Self::KeepListenKey(_) => "keep_listen_key",
            Self::CloseListenKey(_) => "close_listen_key",
        }
    }

    /// Doing it twice is as good as doing it once and it changes nothing: the only ones that are sent again blindly.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        matches!(
            self,
            Self::ServerTime(_)
                | Self::Instruments(_)
                | Self::Ticker(_)
                | Self::Book(_)
                | Self::Trades(_)
                | Self::Klines(_)
                | Self::Mark(_)
                | Self::Funding(_)
                | Self::Balances(_)
                | Self::Positions(_)
                | Self::AccountMode(_)
                | Self::Leverage(_)
                | Self::OpenOrders(_)
                | Self::Order(_)
                | Self::Fills(_)
        )
    }

    /// It can only lessen exposure: never starved by the rate limit.
    #[must_use]
    pub fn is_reducing(&self) -> bool {
        match self {
            Self::PlaceOrder(order) => order.reduce_only,
            Self::PlaceOrders(orders) => orders.orders.iter().all(|order| order.reduce_only),
            Self::PlaceConditionalOrder(order) => order.reduce_only,
            Self::CancelOrder(_)
            | Self::CancelOrders(_)
            | Self::CancelAllOrders(_)
            | Self::ClosePosition(_)
            | Self::PlaceStopLadder(_)
            | Self::CancelConditionalOrder(_)
            | Self::CancelAllAfter(_) => true,
            _ => false,
        }
    }
}

/// No parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

/// One instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneInstrument {
    /// The venue's word for it.
    pub instrument: Text,
}

/// One instrument or all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Maybe {
    /// The venue's word for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Text>,
}

/// A book as deep as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookQuery {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Prices on each side; the venue's own next depth is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
}

/// Klines in a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KlineQuery {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Their length.
    pub interval: Interval,
    /// Not before, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// Not after, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<u64>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Fills in a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FillQuery {
    /// The venue's word for the instrument; some venues want one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Text>,
    /// Not before, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// See [`Operation::SetPositionMode`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPositionMode {
    /// Which.
    pub position_mode: PositionMode,
}

/// See [`Operation::SetLeverage`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLeverage {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Times the margin.
    pub leverage: Decimal,
    /// Which position, in hedge mode.
    #[serde(default)]
    pub position_side: PositionSide,
    /// How margin is shared.
    #[serde(default)]
    pub margin_mode: MarginMode,
}

/// See [`Operation::SetMarginMode`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMarginMode {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// How margin is shared.
    pub margin_mode: MarginMode,
    /// Some venues (OKX, Hyperliquid) set it together with the leverage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leverage: Option<Decimal>,
}

/// An order by either id; the venue's goes first where both are given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrderRef {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// The venue's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Text>,
    /// The owner's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<Text>,
}

/// Several orders by their ids, all of one instrument where the venue wants that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRefs {
    /// Which.
    pub orders: Vec<OrderRef>,
}

/// A new order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Way. In hedge mode too this is the way of the order: buying closes a short position.
    pub side: Side,
    /// Base units, positive. Rounded down to the venue's lot.
    pub size: Decimal,
    /// Market or limit.
    #[serde(default = "market")]
    pub order_kind: OrderKind,
    /// Limit price. Of a market order: the worst price, on venues without market orders (Hyperliquid).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Decimal>,
    /// How long it may rest; the venue's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_in_force: Option<TimeInForce>,
    /// It may only reduce a position.
    #[serde(default)]
    pub reduce_only: bool,
    /// Which position, in hedge mode.
    #[serde(default)]
    pub position_side: PositionSide,
    /// How margin is shared, where the order says so (OKX, Bitget, HTX).
    #[serde(default)]
    pub margin_mode: MarginMode,
    /// Leverage, where the order says so (HTX legacy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leverage: Option<Decimal>,
    /// The owner's id, in the venue's alphabet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<Text>,
}

const fn market() -> OrderKind {
    OrderKind::Market
}

/// Several new orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// Which.
    pub orders: Vec<NewOrder>,
}

/// A change of an open order. Some venues want what does not change too: then all fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmendOrder {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// The venue's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Text>,
    /// The owner's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<Text>,
    /// The order's way (Binance, Hyperliquid want it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// New size in all, base units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Decimal>,
    /// New limit price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Decimal>,
    /// The order's reduce-only mark (Hyperliquid wants it).
    #[serde(default)]
    pub reduce_only: bool,
}

/// See [`Operation::ClosePosition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosePosition {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Which position, in hedge mode.
    #[serde(default)]
    pub position_side: PositionSide,
    /// How its margin is shared, where the venue wants to be told.
    #[serde(default)]
    pub margin_mode: MarginMode,
    /// Its signed size in base units, on venues that have no such request: a reduce-only order is sent instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Decimal>,
    /// Worst price, on venues without market orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Decimal>,
    /// The owner's id of the order that closes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<Text>,
}

/// An order that waits for a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionalOrder {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Way.
    pub side: Side,
    /// Base units, positive. Rounded down to the venue's lot.
    pub size: Decimal,
    /// One of the stop and take-profit kinds.
    pub order_kind: OrderKind,
    /// Where it is triggered.
    pub trigger_price: Decimal,
    /// What moves the trigger.
    #[serde(default)]
    pub trigger_by: TriggerPrice,
    /// Limit price of the limit kinds. Worst price of the market kinds, on venues without market orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Decimal>,
    /// It may only reduce a position.
    #[serde(default)]
    pub reduce_only: bool,
    /// Which position, in hedge mode.
    #[serde(default)]
    pub position_side: PositionSide,
    /// How margin is shared, where the order says so.
    #[serde(default)]
    pub margin_mode: MarginMode,
    /// The owner's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<Text>,
}

/// Several stops, each for a part of a position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopLadder {
    /// Each rung is reduce-only, whatever it says.
    pub rungs: Vec<ConditionalOrder>,
}

/// See [`Operation::CancelAllAfter`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAllAfter {
    /// From now, milliseconds; 0 switches it off.
    pub after_ms: u64,
    /// Of one instrument, on venues that want one (Binance).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Text>,
}

/// What a venue said of one order that was sent, changed or cancelled: only that it was taken, not that it filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The venue's id, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Text>,
    /// The owner's id, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<Text>,
}

/// What a venue answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Its clock, Unix milliseconds.
    Time(u64),
    /// All instruments.
    Instruments(Vec<Instrument>),
    /// Best prices.
    Ticker(Ticker),
    /// A book.
    Book(Book),
    /// Trades, oldest first.
    Trades(Vec<Trade>),
    /// Klines, oldest first.
    Klines(Vec<Kline>),
    /// Mark price.
    Mark(Mark),
    /// Funding.
    Funding(Funding),
    /// Balances.
    Balances(Vec<Balance>),
    /// Positions; complete for what was asked.
    Positions(Vec<Position>),
    /// How the account is set up.
    AccountMode(AccountMode),
    /// Leverage, one per position side.
    Leverage(Vec<Leverage>),
    /// Orders.
    Orders(Vec<Order>),
    /// One order.
    Order(Box<Order>),
    /// Fills, oldest first.
    Fills(Vec<Fill>),
    /// One result per order sent, in their order.
    Acknowledged(Vec<Result<Acknowledgement, crate::error::VenueError>>),
    /// The account stream's key.
    ListenKey(Text),
    /// Done; nothing to tell.
    Done,
}
