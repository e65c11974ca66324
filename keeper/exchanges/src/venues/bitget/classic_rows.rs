//! Rows of accounts in the older interface, v2.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rows::{fee, first_time, missing, optional, unless_zero};
use super::words::{self, Effect};
use crate::error::DecodeError;
use crate::json::{Id, Number};
use crate::model::{
    Balance, Cause, Decimal, Fee, Fill, Instrument, InstrumentState, Leverage, MarginMode, Order, OrderKind,
    Position, PositionMode, PositionSide, Side, Text,
};

/// Which way an order goes, for which position, and who made it.
struct Way {
    side: Side,
    position_side: PositionSide,
    cause: Cause,
}

/// The way of an order whose message names the position. What `side` means when a position is closed in hedge mode is not
/// the same in all of Bitget's messages, so that the way is taken from the position and from whether it opens or closes.
fn way(mode: &str, position: Option<&str>, trade_side: &str, side: &str) -> Result<Way, DecodeError> {
    let stated = words::side(side)?;
    let mode = words::position_mode(mode)?;
    if mode == PositionMode::OneWay && trade_side.is_empty() {
        return Ok(Way {
            side: stated,
            position_side: PositionSide::Net,
            cause: Cause::User,
        });
    }
    let (effect, cause) = words::trade_side(trade_side)?;
    let (side, position_side) = match (mode, effect) {
        (PositionMode::OneWay, Effect::OneWay(named)) => {
            if named.is_some_and(|named| named != stated) {
                return Err(words::contradiction("tradeSide and side"));
            }
            (stated, PositionSide::Net)
        }
        // Seen in Bitget's own examples of one-way mode.
        (PositionMode::OneWay, Effect::Open | Effect::Close(None)) => (stated, PositionSide::Net),
        (PositionMode::OneWay, Effect::Close(Some(_))) | (PositionMode::Hedge, Effect::OneWay(_)) => {
            return Err(words::contradiction("tradeSide and posMode"));
        }
        (PositionMode::Hedge, effect) => {
            let position = position.ok_or_else(|| missing("posSide", "order"))?;
            let position = words::direction(position)?;
            match effect {
                Effect::Open if words::side_of(true, position) != stated => {
                    return Err(words::contradiction("side and posSide of an order that opens"));
                }
                Effect::Close(Some(named)) if named != position => {
                    return Err(words::contradiction("tradeSide and posSide"));
                }
                _ => {}
            }
            (words::side_of(effect == Effect::Open, position), position)
        }
    };
    Ok(Way {
        side,
        position_side,
        cause,
    })
}

/// The way of a fill, whose message does not name the position: in hedge mode `side` is the position's, a recorded close of
/// a long position says `buy`. That the socket means the same is unconfirmed; no state is made of it.
fn fill_way(mode: &str, trade_side: &str, side: &str) -> Result<Way, DecodeError> {
    let stated = words::side(side)?;
    if words::position_mode(mode)? == PositionMode::OneWay {
        return way(mode, None, trade_side, side);
    }
    let (effect, cause) = words::trade_side(trade_side)?;
    let of = |bought: bool| {
        if bought {
            PositionSide::Long
        } else {
            PositionSide::Short
        }
    };
    let position = match effect {
        Effect::Close(Some(named)) => named,
        Effect::Close(None) | Effect::Open => of(stated == Side::Buy),
        Effect::OneWay(_) => return Err(words::contradiction("tradeSide and posMode")),
    };
    Ok(Way {
        side: words::side_of(effect == Effect::Open, position),
        position_side: position,
        cause,
    })
}

/// A row of `orders`, and of replies about orders, which call three of the members otherwise.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderRow<'a> {
    #[serde(borrow, alias = "symbol")]
    inst_id: &'a str,
    #[serde(borrow)]
    order_id: Id<'a>,
    #[serde(borrow, default, alias = "clientOId")]
    client_oid: Option<Id<'a>>,
    size: Number<'a>,
    #[serde(borrow, default)]
    price: Option<Number<'a>>,
    order_type: &'a str,
    #[serde(borrow, default)]
    force: Option<&'a str>,
    side: &'a str,
    #[serde(borrow, default)]
    pos_side: Option<&'a str>,
    pos_mode: &'a str,
    #[serde(borrow, default)]
    trade_side: Option<&'a str>,
    #[serde(alias = "state")]
    status: &'a str,
    #[serde(borrow, default)]
    reduce_only: Option<&'a str>,
    /// On the socket all that was filled; not in replies.
    #[serde(borrow, default)]
    acc_base_volume: Option<Number<'a>>,
    /// On the socket the size of one fill; in replies all that was filled.
    #[serde(borrow, default)]
    base_volume: Option<Number<'a>>,
    #[serde(borrow, default)]
    price_avg: Option<Number<'a>>,
    #[serde(borrow, default)]
    trade_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    fill_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    fill_fee: Option<Number<'a>>,
    #[serde(borrow, default)]
    fill_fee_coin: Option<&'a str>,
    #[serde(borrow, default)]
    fill_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    trade_scope: Option<&'a str>,
    #[serde(borrow, default)]
    order_source: Option<&'a str>,
    #[serde(borrow, default)]
    enter_point_source: Option<&'a str>,
    #[serde(borrow, default)]
    u_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    c_time: Option<Number<'a>>,
}

impl OrderRow<'_> {
    fn way(&self) -> Result<Way, DecodeError> {
        let trade_side = self.trade_side.unwrap_or_default();
        let mut way = way(self.pos_mode, self.pos_side, trade_side, self.side)?;
        if way.cause == Cause::User {
            way.cause = match words::source("orderSource", self.order_source.unwrap_or_default())? {
                Cause::User if trade_side.is_empty() => {
                    words::entry(self.enter_point_source.unwrap_or_default())
                }
                told => told,
            };
        }
        Ok(way)
    }

    fn order(&self, way: &Way, filled: Decimal) -> Result<Order, DecodeError> {
        let order_kind = words::order_kind(self.order_type)?;
        Ok(Order {
            instrument: Text::new(self.inst_id),
            order_id: self.order_id.owned(),
            client_order_id: self.client_oid.as_ref().and_then(Id::optional),
            side: way.side,
            position_side: way.position_side,
            order_kind: if way.cause == Cause::User {
                order_kind
            } else {
                OrderKind::Venue
            },
            time_in_force: words::time_in_force(self.force.unwrap_or_default())?,
            status: words::status(self.status)?,
            venue_status: Text::new(self.status),
            price: if order_kind == OrderKind::Market {
                None
            } else {
                optional(self.price, "price")?
            },
            trigger_price: None,
            size: self.size.optional("size")?,
            filled,
            average_price: unless_zero(self.price_avg, "priceAvg")?,
            reduce_only: words::yes(self.reduce_only.unwrap_or_default())?,
            cause: way.cause,
            time_ms: first_time(&[self.u_time, self.c_time], "uTime")?,
        })
    }

    /// From the socket: the fill that caused the message, if one did, and the order.
    pub(super) fn pushed(&self) -> Result<(Option<Fill>, Order), DecodeError> {
        let way = self.way()?;
        let filled = self
            .acc_base_volume
            .ok_or_else(|| missing("accBaseVolume", "orders"))?
            .decimal("accBaseVolume")?;
        let order = self.order(&way, filled)?;
        let trade_id = self.trade_id.as_ref().and_then(Id::optional);
        let size = unless_zero(self.base_volume, "baseVolume")?;
        let price = unless_zero(self.fill_price, "fillPrice")?;
        let fill = match (trade_id, size, price) {
            (None, None, None) => None,
            (Some(trade_id), Some(size), Some(price)) => Some(Fill {
                instrument: order.instrument.clone(),
                trade_id,
                order_id: order.order_id.clone(),
                client_order_id: order.client_order_id.clone(),
                side: way.side,
                position_side: Some(way.position_side),
                size,
                price,
                fee: match (optional(self.fill_fee, "fillFee")?, self.fill_fee_coin) {
                    (Some(amount), Some(asset)) if !asset.is_empty() => Some(Fee {
                        amount: -amount,
                        asset: Text::new(asset),
                    }),
                    _ => None,
                },
                liquidity: words::liquidity(self.trade_scope.unwrap_or_default())?,
                cause: way.cause,
                position_after: None,
                user: None,
                historic: false,
                time_ms: first_time(&[self.fill_time, self.u_time, self.c_time], "fillTime")?,
            }),
            // Part of a fill is none: its size or its id must not get lost silently.
            _ => return Err(missing("tradeId, baseVolume or fillPrice", "orders")),
        };
        Ok((fill, order))
    }

    /// From a reply.
    pub(super) fn replied(&self) -> Result<Order, DecodeError> {
        let filled = optional(self.base_volume, "baseVolume")?.unwrap_or_default();
        self.order(&self.way()?, filled)
    }
}

/// A row of `fill` and of the list of fills.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FillRow<'a> {
    #[serde(borrow)]
    symbol: &'a str,
    #[serde(borrow)]
    order_id: Id<'a>,
    #[serde(borrow, default)]
    client_oid: Option<Id<'a>>,
    #[serde(borrow)]
    trade_id: Id<'a>,
    side: &'a str,
    price: Number<'a>,
    base_volume: Number<'a>,
    trade_side: &'a str,
    pos_mode: &'a str,
    #[serde(borrow, default)]
    trade_scope: Option<&'a str>,
    #[serde(borrow, default)]
    fee_detail: Option<&'a RawValue>,
    #[serde(borrow, default)]
    c_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    u_time: Option<Number<'a>>,
}

impl FillRow<'_> {
    /// A row of a reply or of the socket.
    pub(super) fn read(&self) -> Result<Fill, DecodeError> {
        let way = fill_way(self.pos_mode, self.trade_side, self.side)?;
        Ok(Fill {
            instrument: Text::new(self.symbol),
            trade_id: self.trade_id.owned(),
            order_id: self.order_id.owned(),
            client_order_id: self.client_oid.as_ref().and_then(Id::optional),
            side: way.side,
            position_side: Some(way.position_side),
            size: self.base_volume.decimal("baseVolume")?,
            price: self.price.decimal("price")?,
            fee: fee(self.fee_detail)?,
            liquidity: words::liquidity(self.trade_scope.unwrap_or_default())?,
            cause: way.cause,
            position_after: None,
            user: None,
            historic: false,
            time_ms: first_time(&[self.c_time, self.u_time], "cTime")?,
        })
    }
}

/// A row of `positions` and of the list of positions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PositionRow<'a> {
    #[serde(borrow, alias = "symbol")]
    inst_id: &'a str,
    hold_side: &'a str,
    pos_mode: &'a str,
    margin_mode: &'a str,
    total: Number<'a>,
    #[serde(borrow, default)]
    open_price_avg: Option<Number<'a>>,
    #[serde(borrow, default)]
    mark_price: Option<Number<'a>>,
    #[serde(borrow, default, rename = "unrealizedPL")]
    unrealized: Option<Number<'a>>,
    #[serde(borrow, default)]
    leverage: Option<Number<'a>>,
    #[serde(borrow, default)]
    liquidation_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    u_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    c_time: Option<Number<'a>>,
}

impl PositionRow<'_> {
    pub(super) fn read(&self) -> Result<Position, DecodeError> {
        let direction = words::direction(self.hold_side)?;
        let held = self.total.decimal("total")?.abs();
        Ok(Position {
            instrument: Text::new(self.inst_id),
            position_side: match words::position_mode(self.pos_mode)? {
                PositionMode::OneWay => PositionSide::Net,
                PositionMode::Hedge => direction,
            },
            size: if direction == PositionSide::Short {
                -held
            } else {
                held
            },
            entry_price: unless_zero(self.open_price_avg, "openPriceAvg")?,
            mark_price: unless_zero(self.mark_price, "markPrice")?,
            unrealised_profit: optional(self.unrealized, "unrealizedPL")?,
            leverage: optional(self.leverage, "leverage")?,
            margin_mode: Some(words::margin_mode(self.margin_mode)?),
            liquidation_price: unless_zero(self.liquidation_price, "liquidationPrice")?
                .filter(|price| price.is_sign_positive()),
            time_ms: first_time(&[self.u_time, self.c_time], "uTime")?,
        })
    }
}

/// A row of `account` and of the list of accounts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountRow<'a> {
    #[serde(borrow)]
    margin_coin: &'a str,
    available: Number<'a>,
    #[serde(borrow, default, alias = "accountEquity")]
    equity: Option<Number<'a>>,
    #[serde(borrow, default, rename = "unrealizedPL")]
    unrealized: Option<Number<'a>>,
    #[serde(borrow, default)]
    max_open_pos_available: Option<Number<'a>>,
    #[serde(borrow, default)]
    crossed_max_available: Option<Number<'a>>,
}

impl AccountRow<'_> {
    /// `told_ms` is when the message was made: rows have no time.
    pub(super) fn read(&self, told_ms: u64) -> Result<Balance, DecodeError> {
        let equity = optional(self.equity, "equity")?;
        // Bitget's `available` is not free of what orders hold back: in its own example it equals the equity while orders
        // hold some of it. It is taken for the wallet where the unrealised profit is not told (unconfirmed).
        let wallet = match (equity, optional(self.unrealized, "unrealizedPL")?) {
            (Some(equity), Some(unrealized)) => equity - unrealized,
            _ => self.available.decimal("available")?,
        };
        let available = match optional(self.max_open_pos_available, "maxOpenPosAvailable")? {
            Some(available) => Some(available),
            None => optional(self.crossed_max_available, "crossedMaxAvailable")?,
        };
        Ok(Balance {
            asset: Text::new(self.margin_coin),
            wallet,
            equity,
            available,
            time_ms: told_ms,
        })
    }
}

/// How the account is set up for one instrument.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SettingRow<'a> {
    #[serde(borrow)]
    pos_mode: &'a str,
    margin_mode: &'a str,
    crossed_margin_leverage: Number<'a>,
    isolated_long_lever: Number<'a>,
    isolated_short_lever: Number<'a>,
}

impl SettingRow<'_> {
    pub(super) fn position_mode(&self) -> Result<PositionMode, DecodeError> {
        words::position_mode(self.pos_mode)
    }

    /// With shared margin one leverage, with margin of its own one per position.
    pub(super) fn leverage(&self, instrument: &Text) -> Result<Vec<Leverage>, DecodeError> {
        let margin_mode = words::margin_mode(self.margin_mode)?;
        let sides: &[(PositionSide, Number<'_>)] = match margin_mode {
            MarginMode::Cross => &[(PositionSide::Net, self.crossed_margin_leverage)],
            MarginMode::Isolated => &[
                (PositionSide::Long, self.isolated_long_lever),
                (PositionSide::Short, self.isolated_short_lever),
            ],
        };
        sides
            .iter()
            .map(|(position_side, leverage)| {
                Ok(Leverage {
                    instrument: instrument.clone(),
                    position_side: *position_side,
                    leverage: leverage.decimal("leverage")?,
                    margin_mode: Some(margin_mode),
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
    base_coin: &'a str,
    quote_coin: &'a str,
    #[serde(borrow)]
    support_margin_coins: Vec<&'a str>,
    min_trade_num: Number<'a>,
    price_end_step: Number<'a>,
    price_place: Number<'a>,
    size_multiplier: Number<'a>,
    #[serde(borrow, default, rename = "minTradeUSDT")]
    min_trade_usdt: Option<Number<'a>>,
    #[serde(borrow, default)]
    max_market_order_qty: Option<Number<'a>>,
    #[serde(borrow, default)]
    max_lever: Option<Number<'a>>,
    symbol_status: &'a str,
}

impl InstrumentRow<'_> {
    /// None for what is not settled in USDT.
    pub(super) fn read(&self) -> Result<Option<Instrument>, DecodeError> {
        if !self.support_margin_coins.contains(&words::MARGIN_COIN) || self.quote_coin != words::MARGIN_COIN {
            return Ok(None);
        }
        // A price has `pricePlace` digits behind the point, and its last digit is a multiple of `priceEndStep`.
        let place = self.price_place.integer("pricePlace")?;
        let tick = u32::try_from(place)
            .ok()
            .filter(|place| *place <= Decimal::MAX_SCALE)
            .and_then(|place| {
                self.price_end_step
                    .decimal("priceEndStep")
                    .ok()?
                    .checked_mul(Decimal::from_parts(1, 0, 0, false, place))
            })
            .ok_or_else(|| DecodeError::bad_number("pricePlace", self.price_place.text()))?;
        let lot = self.size_multiplier.decimal("sizeMultiplier")?;
        let mut instrument = Instrument::linear(
            self.symbol,
            self.base_coin,
            self.quote_coin,
            tick.normalize(),
            lot,
        );
        instrument.minimum_size = self.min_trade_num.decimal("minTradeNum")?;
        instrument.minimum_notional = optional(self.min_trade_usdt, "minTradeUSDT")?;
        instrument.maximum_market_size = unless_zero(self.max_market_order_qty, "maxMarketOrderQty")?;
        instrument.maximum_leverage = optional(self.max_lever, "maxLever")?;
        instrument.state = match self.symbol_status {
            "normal" => InstrumentState::Trading,
            "limit_open" | "restrictedAPI" => InstrumentState::ReduceOnly,
            "listed" | "maintain" => InstrumentState::Halted,
            "off" => InstrumentState::Delisted,
            other => return Err(DecodeError::unknown_word("symbolStatus", other)),
        };
        Ok(Some(instrument))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_in_hedge_mode_is_the_way_of_the_position_turned_round() {
        for (position, trade_side, stated, side) in [
            ("long", "open", "buy", Side::Buy),
            ("short", "open", "sell", Side::Sell),
            // Whichever of the two Bitget means by `side`, a long position is closed by selling.
            ("long", "close", "buy", Side::Sell),
            ("long", "close", "sell", Side::Sell),
            ("short", "close", "sell", Side::Buy),
            ("short", "burst_close_short", "buy", Side::Buy),
        ] {
            let way = way("hedge_mode", Some(position), trade_side, stated).unwrap();
            assert_eq!(way.side, side, "{position} {trade_side} {stated}");
        }
        for (mode, position, trade_side, stated) in [
            ("hedge_mode", Some("long"), "open", "sell"),
            ("hedge_mode", Some("long"), "burst_close_short", "buy"),
            ("hedge_mode", Some("long"), "buy_single", "buy"),
            ("hedge_mode", None, "open", "buy"),
            ("one_way_mode", Some("net"), "sell_single", "buy"),
            ("one_way_mode", Some("net"), "burst_close_long", "sell"),
            ("one_way_mode", Some("net"), "buy_single", "Kauf"),
        ] {
            assert!(
                way(mode, position, trade_side, stated).is_err(),
                "{mode} {trade_side} {stated}"
            );
        }
    }

    #[test]
    fn the_side_of_a_fill_in_hedge_mode_is_that_of_the_position() {
        let close = fill_way("hedge_mode", "close", "buy").unwrap();
        assert_eq!(
            (close.side, close.position_side),
            (Side::Sell, PositionSide::Long)
        );
        let burst = fill_way("hedge_mode", "burst_close_long", "sell").unwrap();
        assert_eq!(
            (burst.side, burst.position_side, burst.cause),
            (Side::Sell, PositionSide::Long, Cause::Liquidation)
        );
    }
}
