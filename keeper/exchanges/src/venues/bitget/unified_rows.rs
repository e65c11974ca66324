//! Rows of accounts in the newer interface, v3. `side` is always the way of the order.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rows::{fee, first_time, missing, optional, unless_zero};
use super::words::{self, Effect};
use crate::error::DecodeError;
use crate::json::{Id, Number};
use crate::model::{
    Balance, Cause, Decimal, Fill, Instrument, InstrumentState, Leverage, Order, OrderKind, Position,
    PositionMode, PositionSide, Text,
};

/// A row of `order` and of replies about orders.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderRow<'a> {
    #[serde(borrow)]
    pub(super) category: &'a str,
    symbol: &'a str,
    #[serde(borrow)]
    order_id: Id<'a>,
    #[serde(borrow, default)]
    client_oid: Option<Id<'a>>,
    #[serde(borrow, default)]
    price: Option<Number<'a>>,
    qty: Number<'a>,
    /// Orders of other products have none.
    #[serde(borrow, default)]
    hold_mode: Option<&'a str>,
    /// On the socket `holdSide`, in replies `posSide`.
    #[serde(borrow, default, alias = "posSide")]
    hold_side: Option<&'a str>,
    #[serde(borrow, default)]
    trade_side: Option<&'a str>,
    #[serde(borrow, default)]
    delegate_type: Option<&'a str>,
    #[serde(borrow, default)]
    exec_type: Option<&'a str>,
    order_type: &'a str,
    #[serde(borrow, default)]
    time_in_force: Option<&'a str>,
    side: &'a str,
    #[serde(borrow, default)]
    reduce_only: Option<&'a str>,
    cum_exec_qty: Number<'a>,
    #[serde(borrow, default)]
    avg_price: Option<Number<'a>>,
    order_status: &'a str,
    #[serde(borrow, default)]
    created_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    updated_time: Option<Number<'a>>,
}

impl OrderRow<'_> {
    pub(super) fn read(&self) -> Result<Order, DecodeError> {
        words::only_supported(self.category)?;
        let side = words::side(self.side)?;
        let mode = words::position_mode(self.hold_mode.ok_or_else(|| missing("holdMode", "order"))?)?;
        let told = self
            .trade_side
            .filter(|word| !word.is_empty())
            .map(words::trade_side)
            .transpose()?;
        let position_side = match mode {
            PositionMode::OneWay => {
                if let Some((Effect::OneWay(Some(named)), _)) = told
                    && named != side
                {
                    return Err(words::contradiction("tradeSide and side"));
                }
                PositionSide::Net
            }
            PositionMode::Hedge => {
                let position = words::direction(self.hold_side.ok_or_else(|| missing("holdSide", "order"))?)?;
                let opens = match told {
                    Some((Effect::Open, _)) => Some(true),
                    Some((Effect::Close(named), _)) => {
                        if named.is_some_and(|named| named != position) {
                            return Err(words::contradiction("tradeSide and holdSide"));
                        }
                        Some(false)
                    }
                    Some((Effect::OneWay(_), _)) => {
                        return Err(words::contradiction("tradeSide and holdMode"));
                    }
                    None => None,
                };
                if opens.is_some_and(|opens| words::side_of(opens, position) != side) {
                    return Err(words::contradiction("side, holdSide and tradeSide"));
                }
                position
            }
        };
        let cause = [
            told.map_or(Cause::User, |(_, cause)| cause),
            words::execution(self.exec_type.unwrap_or_default())?,
            words::source("delegateType", self.delegate_type.unwrap_or_default())?,
        ]
        .into_iter()
        .find(|cause| *cause != Cause::User)
        .unwrap_or(Cause::User);
        let order_kind = words::order_kind(self.order_type)?;
        Ok(Order {
            instrument: Text::new(self.symbol),
            order_id: self.order_id.owned(),
            client_order_id: self.client_oid.as_ref().and_then(Id::optional),
            side,
            position_side,
            order_kind: if cause == Cause::User {
                order_kind
            } else {
                OrderKind::Venue
            },
            time_in_force: words::time_in_force(self.time_in_force.unwrap_or_default())?,
            status: words::status(self.order_status)?,
            venue_status: Text::new(self.order_status),
            price: if order_kind == OrderKind::Market {
                None
            } else {
                unless_zero(self.price, "price")?
            },
            trigger_price: None,
            size: self.qty.optional("qty")?,
            filled: self.cum_exec_qty.decimal("cumExecQty")?,
            average_price: unless_zero(self.avg_price, "avgPrice")?,
            reduce_only: words::yes(self.reduce_only.unwrap_or_default())?,
            cause,
            time_ms: first_time(&[self.updated_time, self.created_time], "updatedTime")?,
        })
    }
}

/// A row of `fill` and of the list of fills.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FillRow<'a> {
    #[serde(borrow)]
    pub(super) category: &'a str,
    symbol: &'a str,
    #[serde(borrow)]
    exec_id: Id<'a>,
    #[serde(borrow)]
    order_id: Id<'a>,
    #[serde(borrow, default)]
    client_oid: Option<Id<'a>>,
    side: &'a str,
    #[serde(borrow, default)]
    hold_mode: Option<&'a str>,
    #[serde(borrow, default)]
    hold_side: Option<&'a str>,
    #[serde(borrow, default)]
    trade_side: Option<&'a str>,
    exec_price: Number<'a>,
    exec_qty: Number<'a>,
    #[serde(borrow, default)]
    trade_scope: Option<&'a str>,
    #[serde(borrow, default)]
    fee_detail: Option<&'a RawValue>,
    #[serde(borrow, default)]
    exec_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    created_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    updated_time: Option<Number<'a>>,
}

impl FillRow<'_> {
    pub(super) fn read(&self) -> Result<Fill, DecodeError> {
        words::only_supported(self.category)?;
        let side = words::side(self.side)?;
        let hold_side = self
            .hold_side
            .filter(|word| !word.is_empty())
            .map(words::direction)
            .transpose()?;
        let told = self
            .trade_side
            .filter(|word| !word.is_empty())
            .map(words::trade_side)
            .transpose()?;
        // Without the mode of the account `holdSide` may be a position of hedge mode or the way of the only one: then the
        // order says which.
        let position_side = match (self.hold_mode.map(words::position_mode).transpose()?, told) {
            (Some(PositionMode::OneWay), _) | (None, Some((Effect::OneWay(_), _))) => Some(PositionSide::Net),
            (Some(PositionMode::Hedge), _) => hold_side,
            (None, Some((Effect::Close(Some(position)), _))) => Some(position),
            (None, _) => None,
        };
        if let Some((Effect::OneWay(Some(named)), _)) = told
            && named != side
        {
            return Err(words::contradiction("tradeSide and side"));
        }
        Ok(Fill {
            instrument: Text::new(self.symbol),
            trade_id: self.exec_id.owned(),
            order_id: self.order_id.owned(),
            client_order_id: self.client_oid.as_ref().and_then(Id::optional),
            side,
            position_side,
            size: self.exec_qty.decimal("execQty")?,
            price: self.exec_price.decimal("execPrice")?,
            fee: fee(self.fee_detail)?,
            liquidity: words::liquidity(self.trade_scope.unwrap_or_default())?,
            // Replies of 2025 leave `tradeSide` out.
            cause: told.map_or(Cause::User, |(_, cause)| cause),
            position_after: None,
            user: None,
            historic: false,
            time_ms: first_time(
                &[self.exec_time, self.created_time, self.updated_time],
                "execTime",
            )?,
        })
    }
}

/// A row of `position` and of the list of positions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PositionRow<'a> {
    #[serde(borrow, default)]
    category: Option<&'a str>,
    symbol: &'a str,
    #[serde(borrow, default)]
    pub(super) margin_coin: Option<&'a str>,
    pos_side: &'a str,
    hold_mode: &'a str,
    margin_mode: &'a str,
    /// On the socket `size`, in replies `total`.
    #[serde(alias = "total")]
    size: Number<'a>,
    #[serde(borrow, default)]
    avg_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    mark_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    unrealised_pnl: Option<Number<'a>>,
    #[serde(borrow, default)]
    leverage: Option<Number<'a>>,
    #[serde(borrow, default, alias = "liqPrice")]
    liquidation_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    updated_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    created_time: Option<Number<'a>>,
}

impl PositionRow<'_> {
    /// The product, which rows of the socket do not name: it follows from what it is settled in.
    pub(super) fn product(&self) -> &str {
        self.category
            .or_else(|| self.margin_coin.filter(|coin| *coin != words::MARGIN_COIN))
            .unwrap_or(words::PRODUCT)
    }

    pub(super) fn read(&self) -> Result<Position, DecodeError> {
        words::only_supported(self.product())?;
        let direction = words::direction(self.pos_side)?;
        let held = self.size.decimal("size")?.abs();
        Ok(Position {
            instrument: Text::new(self.symbol),
            position_side: match words::position_mode(self.hold_mode)? {
                PositionMode::OneWay => PositionSide::Net,
                PositionMode::Hedge => direction,
            },
            size: if direction == PositionSide::Short {
                -held
            } else {
                held
            },
            entry_price: unless_zero(self.avg_price, "avgPrice")?,
            mark_price: unless_zero(self.mark_price, "markPrice")?,
            unrealised_profit: optional(self.unrealised_pnl, "unrealisedPnl")?,
            leverage: optional(self.leverage, "leverage")?,
            margin_mode: Some(words::margin_mode(self.margin_mode)?),
            liquidation_price: unless_zero(self.liquidation_price, "liquidationPrice")?
                .filter(|price| price.is_sign_positive()),
            time_ms: first_time(&[self.updated_time, self.created_time], "updatedTime")?,
        })
    }
}

/// The part of an account that belongs to one asset.
#[derive(Deserialize)]
pub(super) struct CoinRow<'a> {
    #[serde(borrow)]
    coin: &'a str,
    balance: Number<'a>,
    #[serde(borrow, default)]
    equity: Option<Number<'a>>,
    #[serde(borrow, default)]
    available: Option<Number<'a>>,
}

impl CoinRow<'_> {
    pub(super) fn read(&self, told_ms: u64) -> Result<Balance, DecodeError> {
        Ok(Balance {
            asset: Text::new(self.coin),
            wallet: self.balance.decimal("balance")?,
            equity: optional(self.equity, "equity")?,
            available: optional(self.available, "available")?,
            time_ms: told_ms,
        })
    }
}

/// An account: on the socket `coin` is the list, in replies `assets`.
#[derive(Deserialize)]
pub(super) struct AccountRow<'a> {
    #[serde(borrow, alias = "assets")]
    pub(super) coin: Vec<CoinRow<'a>>,
}

/// How the account is set up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SettingRow<'a> {
    #[serde(borrow)]
    hold_mode: &'a str,
    #[serde(borrow, default)]
    symbol_config_list: Vec<SymbolRow<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolRow<'a> {
    #[serde(borrow)]
    category: &'a str,
    symbol: &'a str,
    margin_mode: &'a str,
    leverage: Number<'a>,
}

impl SettingRow<'_> {
    pub(super) fn position_mode(&self) -> Result<PositionMode, DecodeError> {
        words::position_mode(self.hold_mode)
    }

    /// Empty for an instrument whose leverage was never set.
    pub(super) fn leverage(&self, instrument: &Text) -> Result<Vec<Leverage>, DecodeError> {
        self.symbol_config_list
            .iter()
            .filter(|row| words::is_supported(row.category) && row.symbol == instrument.as_str())
            .map(|row| {
                Ok(Leverage {
                    instrument: instrument.clone(),
                    position_side: PositionSide::Net,
                    leverage: row.leverage.decimal("leverage")?,
                    margin_mode: Some(words::margin_mode(row.margin_mode)?),
                })
            })
            .collect()
    }
}

/// An instrument of the list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstrumentRow<'a> {
    #[serde(borrow)]
    symbol: &'a str,
    category: &'a str,
    base_coin: &'a str,
    quote_coin: &'a str,
    min_order_qty: Number<'a>,
    #[serde(borrow, default)]
    price_multiplier: Option<Number<'a>>,
    price_precision: Number<'a>,
    #[serde(borrow, default)]
    quantity_multiplier: Option<Number<'a>>,
    quantity_precision: Number<'a>,
    #[serde(borrow, default)]
    min_order_amount: Option<Number<'a>>,
    #[serde(borrow, default)]
    max_market_order_qty: Option<Number<'a>>,
    #[serde(borrow, default)]
    max_leverage: Option<Number<'a>>,
    status: &'a str,
}

impl InstrumentRow<'_> {
    /// None for what is not settled in USDT.
    pub(super) fn read(&self) -> Result<Option<Instrument>, DecodeError> {
        if !words::is_supported(self.category) {
            return Ok(None);
        }
        let step = |multiplier: Option<Number<'_>>, precision: Number<'_>, field: &'static str| {
            if let Some(step) = unless_zero(multiplier, field)? {
                return Ok(step);
            }
            u32::try_from(precision.integer(field)?)
                .ok()
                .filter(|digits| *digits <= Decimal::MAX_SCALE)
                .map(|digits| Decimal::from_parts(1, 0, 0, false, digits))
                .ok_or_else(|| DecodeError::bad_number(field, precision.text()))
        };
        let tick = step(self.price_multiplier, self.price_precision, "priceMultiplier")?;
        let lot = step(
            self.quantity_multiplier,
            self.quantity_precision,
            "quantityMultiplier",
        )?;
        let mut instrument = Instrument::linear(self.symbol, self.base_coin, self.quote_coin, tick, lot);
        instrument.minimum_size = self.min_order_qty.decimal("minOrderQty")?;
        instrument.minimum_notional = optional(self.min_order_amount, "minOrderAmount")?;
        instrument.maximum_market_size = unless_zero(self.max_market_order_qty, "maxMarketOrderQty")?;
        instrument.maximum_leverage = optional(self.max_leverage, "maxLeverage")?;
        instrument.state = match self.status {
            "online" => InstrumentState::Trading,
            "limit_open" | "limit_close" | "restrictedAPI" => InstrumentState::ReduceOnly,
            "listed" | "offline" => InstrumentState::Halted,
            "off" => InstrumentState::Delisted,
            other => return Err(DecodeError::unknown_word("status", other)),
        };
        Ok(Some(instrument))
    }
}
