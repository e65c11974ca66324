use serde::{Deserialize, Serialize};

use super::{Decimal, PositionSide, Side, Text};

/// Who made a fill or an order happen. Only [`Cause::User`] is a master's intent; the rest is mirrored as state, never
/// copied as a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The account's owner, by hand or by a program, also by a stop they placed.
    User,
    /// The venue, for want of margin.
    Liquidation,
    /// The venue, to cover another account's bankruptcy.
    AutoDeleveraging,
    /// The venue, because a contract was settled, delivered or delisted.
    Settlement,
    /// The venue moved it at an agreed price: block trades, position transfers, automatic conversion.
    Transfer,
}

/// Which side of a fill the account was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Liquidity {
    /// It rested in the book.
    Maker,
    /// It took from the book.
    Taker,
}

/// What a fill cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// Positive was paid, negative was received (a rebate), whatever the venue's sign is.
    pub amount: Decimal,
    /// In which asset.
    pub asset: Text,
}

/// One execution of an order of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Unique within the account and the instrument: what deduplication goes by.
    pub trade_id: Text,
    /// The venue's id of the order.
    pub order_id: Text,
    /// The owner's id of the order, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<Text>,
    /// The account's side.
    pub side: Side,
    /// The position it changes; none where the message does not say (Bybit's executions: the order does).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_side: Option<PositionSide>,
    /// Base units, positive.
    pub size: Decimal,
    /// Price.
    pub price: Decimal,
    /// Fee; none where the message does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    /// Maker or taker; none where the message does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liquidity: Option<Liquidity>,
    /// Who caused it.
    pub cause: Cause,
    /// The signed position after it, base units, where the message says (Hyperliquid does).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_after: Option<Decimal>,
    /// Whose, on feeds that tell of several users (Hyperliquid): the address in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Text>,
    /// It repeats what happened before the subscription: to fill a gap by trade id, never to act on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub historic: bool,
    /// When, Unix milliseconds.
    pub time_ms: u64,
}

/// How margin is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarginMode {
    /// All positions share the account's margin.
    #[default]
    Cross,
    /// The position has margin of its own.
    Isolated,
}

/// How many positions an account may have in one instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionMode {
    /// One, long or short.
    OneWay,
    /// A long and a short one beside each other.
    Hedge,
}

/// A position as the venue last told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Which of the account's positions.
    pub position_side: PositionSide,
    /// Signed base units: positive long, negative short, zero closed. The sign is that of the exposure in hedge mode too.
    pub size: Decimal,
    /// Average entry price; none when closed or not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_price: Option<Decimal>,
    /// Mark price, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark_price: Option<Decimal>,
    /// Unrealised profit in the settlement asset, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrealised_profit: Option<Decimal>,
    /// Leverage that is set, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leverage: Option<Decimal>,
    /// How its margin is shared, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin_mode: Option<MarginMode>,
    /// Price of liquidation, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liquidation_price: Option<Decimal>,
    /// When the venue changed or stated it, Unix milliseconds.
    pub time_ms: u64,
}

/// What an account has of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Asset.
    pub asset: Text,
    /// Wallet balance: without unrealised profit.
    pub wallet: Decimal,
    /// With unrealised profit, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equity: Option<Decimal>,
    /// Free for new orders, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<Decimal>,
    /// When the venue changed or stated it, Unix milliseconds.
    pub time_ms: u64,
}

/// Leverage that is set for one instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leverage {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Which position.
    pub position_side: PositionSide,
    /// Times the margin.
    pub leverage: Decimal,
    /// How margin is shared, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin_mode: Option<MarginMode>,
}

/// How an account is set up: read once at the start, before the first order is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountMode {
    /// One-way or hedge.
    pub position_mode: PositionMode,
}
