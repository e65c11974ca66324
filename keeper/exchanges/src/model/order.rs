use serde::{Deserialize, Serialize};

use super::{Cause, Decimal, Text};

/// Which way an order or a trade goes. Of a public trade: the taker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Buys base.
    Buy,
    /// Sells base.
    Sell,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// `size` with the sign of its effect on a position.
    #[must_use]
    pub fn signed(self, size: Decimal) -> Decimal {
        match self {
            Self::Buy => size,
            Self::Sell => -size,
        }
    }
}

/// Which of an account's positions in an instrument: in one-way mode there is only the net one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionSide {
    /// One-way mode.
    #[default]
    Net,
    /// Hedge mode, the long position.
    Long,
    /// Hedge mode, the short position.
    Short,
}

/// What an order asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Now, at what the book gives.
    Market,
    /// At the price or better.
    Limit,
    /// A market order once the trigger price is reached against the position.
    StopMarket,
    /// A limit order once the trigger price is reached against the position.
    StopLimit,
    /// A market order once the trigger price is reached in the position's favour.
    TakeProfitMarket,
    /// A limit order once the trigger price is reached in the position's favour.
    TakeProfitLimit,
    /// A market order once the price has turned by a distance.
    TrailingStop,
    /// An order the venue placed by itself: a liquidation, a delivery.
    Venue,
}

/// How long an order may rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Until it is cancelled.
    #[default]
    GoodTilCancelled,
    /// What does not fill at once is cancelled.
    ImmediateOrCancel,
    /// All at once or nothing.
    FillOrKill,
    /// Only as maker: refused if it would fill at once.
    PostOnly,
    /// Until a date (or the venue's day).
    GoodTilDate,
}

/// What moves a conditional order's trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerPrice {
    /// The last trade of the instrument.
    #[default]
    Last,
    /// The venue's mark price.
    Mark,
    /// The venue's index price.
    Index,
}

/// Where an order stands, the same words for every venue. The venue's own word is in [`Order::venue_status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Taken by the venue, not in the book yet.
    Pending,
    /// In the book, nothing filled.
    Open,
    /// In the book, partly filled.
    PartiallyFilled,
    /// All of it filled. Final.
    Filled,
    /// Ended by its owner or by the venue; what was filled before stays. Final.
    Cancelled,
    /// Never taken. Final.
    Rejected,
    /// Its time was over. Final.
    Expired,
    /// A conditional order that waits for its trigger.
    Untriggered,
    /// A conditional order that has become another order.
    Triggered,
}

impl OrderStatus {
    /// It will not change again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Filled | Self::Cancelled | Self::Rejected | Self::Expired
        )
    }
}

/// An order as the venue last told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// The venue's id.
    pub order_id: Text,
    /// The owner's id, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<Text>,
    /// Way.
    pub side: Side,
    /// The position it is for.
    pub position_side: PositionSide,
    /// What it asks for.
    pub order_kind: OrderKind,
    /// How long it may rest.
    pub time_in_force: TimeInForce,
    /// Where it stands.
    pub status: OrderStatus,
    /// Where it stands in the venue's own word.
    pub venue_status: Text,
    /// Limit price; none for a market order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Decimal>,
    /// Trigger price of a conditional order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_price: Option<Decimal>,
    /// Asked for, base units. None where the venue does not tell it (an order that closes the whole position).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Decimal>,
    /// Filled so far, base units.
    pub filled: Decimal,
    /// Average price of what was filled; none while nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_price: Option<Decimal>,
    /// It may only reduce a position.
    pub reduce_only: bool,
    /// Who caused it.
    pub cause: Cause,
    /// When this state was reached, Unix milliseconds.
    pub time_ms: u64,
}
