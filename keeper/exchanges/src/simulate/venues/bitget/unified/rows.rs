//! What v3 prints. Pushes and answers name some things differently: `holdSide` and `posSide`, `size` and `total`, the
//! product in small and in capital letters.

use serde_json::{Value, json};

use super::super::super::shared::{empty_or, plain, zero_or};
use super::super::Bitget;
use super::super::rows::{
    client_id, deed, fee_of, in_force_word, kind_word, margin_word, mode_of, scope_word, trade_id,
    trade_side_word,
};
use super::PRODUCT;
use crate::model::{
    Balance, Cause, Decimal, Fill, Level, Order, OrderKind, OrderStatus, Position, PositionSide, Side,
};
use crate::simulate::engine::{Account, Engine, Quote};

/// The product as pushes name it.
pub(super) const PUSHED_PRODUCT: &str = "usdt-futures";

/// The position an order is for. In one-way mode rows of orders name none.
const fn hold_side(position: PositionSide) -> &'static str {
    match position {
        PositionSide::Net => "",
        PositionSide::Long => "long",
        PositionSide::Short => "short",
    }
}

const fn direction(size: Decimal) -> &'static str {
    if size.is_sign_negative() { "short" } else { "long" }
}

/// `live` in answers is `new` in pushes.
const fn status_word(status: OrderStatus, pushed: bool) -> &'static str {
    match status {
        OrderStatus::PartiallyFilled => "partially_filled",
        OrderStatus::Filled | OrderStatus::Triggered => "filled",
        OrderStatus::Cancelled | OrderStatus::Rejected | OrderStatus::Expired => "cancelled",
        _ if pushed => "new",
        _ => "live",
    }
}

/// Who made the venue trade, as answers say it. Deleveraging has no word of its own here: `tradeSide` tells it.
const fn execution_word(cause: Cause) -> &'static str {
    match cause {
        Cause::User | Cause::AutoDeleveraging => "normal",
        Cause::Liquidation => "liquidation",
        Cause::Settlement => "delivery",
        Cause::Transfer => "offset",
    }
}

const fn delegate_word(order: &Order) -> &'static str {
    match (order.cause, order.side) {
        (Cause::Liquidation, _) => "liquidation",
        (Cause::Settlement, Side::Sell) => "delivery_close_long",
        (Cause::Settlement, Side::Buy) => "delivery_close_short",
        (Cause::Transfer, _) => "convert_hedging",
        _ if matches!(order.order_kind, OrderKind::Market) => "market",
        _ => "normal",
    }
}

fn cancel_word(order: &Order) -> &'static str {
    if order.status == OrderStatus::Cancelled {
        "normal_cancel"
    } else {
        ""
    }
}

/// In hedge mode orders that close are not called so: `side` and `posSide` tell it.
fn reduce_only(order: &Order) -> bool {
    order.reduce_only && order.position_side == PositionSide::Net
}

impl Bitget {
    /// An order in an answer.
    pub(super) fn unified_order(&self, key: &str, order: &Order, engine: &Engine) -> Value {
        let extra = self.extra(order);
        let fee = fee_of(engine.account(key).map(Account::fills).unwrap_or_default(), order);
        let fee = if order.filled.is_zero() {
            json!({ "feeCoin": "", "fee": "" })
        } else {
            json!({ "feeCoin": "USDT", "fee": plain(fee) })
        };
        let value = order.average_price.unwrap_or_default() * order.filled;
        json!({
            "orderId": order.order_id, "clientOid": client_id(order), "category": PRODUCT, "symbol": order.instrument,
            "orderType": kind_word(order.order_kind), "side": trade_side_word(order.side), "price": zero_or(order.price),
            "qty": zero_or(order.size), "amount": "0", "cumExecQty": plain(order.filled), "cumExecValue": plain(value),
            "avgPrice": zero_or(order.average_price), "timeInForce": in_force_word(order.time_in_force),
            "orderStatus": status_word(order.status, false), "posSide": hold_side(order.position_side),
            "holdMode": mode_of(order.position_side), "tradeSide": deed(order.side, order.position_side, order.cause),
            "delegateType": delegate_word(order), "reduceOnly": if reduce_only(order) { "YES" } else { "NO" },
            "marginMode": margin_word(extra.margin_mode), "feeDetail": [fee], "createdTime": extra.created_ms.to_string(),
            "updatedTime": order.time_ms.to_string(), "cancelReason": cancel_word(order),
            "execType": execution_word(order.cause), "stpMode": "none", "tpTriggerBy": null, "slTriggerBy": null,
            "takeProfit": null, "stopLoss": null, "tpOrderType": null, "slOrderType": null, "tpLimitPrice": null,
            "slLimitPrice": null,
        })
    }

    /// An order as it is pushed.
    pub(super) fn unified_pushed_order(&self, key: &str, order: &Order, engine: &Engine) -> Value {
        let extra = self.extra(order);
        let account = engine.account(key);
        let fee = fee_of(account.map(Account::fills).unwrap_or_default(), order);
        let fee = if order.filled.is_zero() {
            json!([])
        } else {
            json!([{ "feeCoin": "USDT", "fee": plain(fee) }])
        };
        let market = kind_word(order.order_kind) == "market";
        let value = order.average_price.unwrap_or_default() * order.filled;
        json!({
            "category": PUSHED_PRODUCT, "symbol": order.instrument, "orderId": order.order_id, "clientOid": client_id(order),
            "price": if market { String::new() } else { empty_or(order.price) }, "qty": zero_or(order.size), "amount": "",
            "holdMode": mode_of(order.position_side), "holdSide": hold_side(order.position_side),
            "tradeSide": deed(order.side, order.position_side, order.cause), "orderType": kind_word(order.order_kind),
            // The engine of the venue makes this of every market order.
            "timeInForce": if market { "ioc" } else { in_force_word(order.time_in_force) },
            "side": trade_side_word(order.side), "marginMode": margin_word(extra.margin_mode), "marginCoin": "USDT",
            "reduceOnly": if reduce_only(order) { "yes" } else { "no" }, "cumExecQty": plain(order.filled),
            "cumExecValue": plain(value), "avgPrice": zero_or(order.average_price), "totalProfit": "0",
            "orderStatus": status_word(order.status, true), "cancelReason": cancel_word(order),
            "leverage": empty_or(account.map(|account| account.leverage_of(&order.instrument))), "feeDetail": fee,
            "createdTime": extra.created_ms.to_string(), "updatedTime": order.time_ms.to_string(), "stpMode": "none",
            "tpTriggerBy": "", "slTriggerBy": "", "takeprofit": "", "stoploss": "", "tpOrderType": "", "slOrderType": "",
            "tpLimitPrice": "", "slLimitPrice": "", "matchType": "0",
        })
    }
}

/// A fill of answers and pushes. What was paid is positive in v3.
pub(super) fn fill(fill: &Fill, order: Option<&Order>, pushed: bool) -> Value {
    let fee = fill.fee.as_ref().map(|fee| fee.amount).unwrap_or_default();
    let position = fill.position_side.unwrap_or_default();
    let id = trade_id(fill).to_string();
    let time = fill.time_ms.to_string();
    let mut row = json!({
        "execId": id, "execLinkId": id, "orderId": fill.order_id, "clientOid": order.map(client_id),
        "category": PRODUCT, "symbol": fill.instrument,
        "orderType": order.map_or("market", |order| kind_word(order.order_kind)), "side": trade_side_word(fill.side),
        "execPrice": plain(fill.price), "execQty": plain(fill.size), "execValue": plain(fill.price * fill.size),
        "tradeScope": scope_word(fill), "tradeSide": deed(fill.side, position, fill.cause),
        "feeDetail": [{ "feeCoin": "USDT", "fee": plain(fee) }], "updatedTime": time, "execPnl": "0",
    });
    if pushed {
        let after = fill.position_after.unwrap_or_default();
        let named = match position {
            // The only position: what is left of it, or what was closed.
            PositionSide::Net if after.is_zero() => direction(-fill.side.signed(fill.size)),
            PositionSide::Net => direction(after),
            side => hold_side(side),
        };
        row["holdSide"] = named.into();
        row["execTime"] = time.into();
    } else {
        row["createdTime"] = time.into();
        row["isRPI"] = "no".into();
    }
    row
}

fn margin(position: &Position) -> Decimal {
    (position.size.abs() * position.entry_price.unwrap_or_default())
        .checked_div(position.leverage.unwrap_or(Decimal::ONE))
        .unwrap_or_default()
        .round_dp(8)
}

/// A position in an answer.
pub(super) fn position(position: &Position) -> Value {
    let size = plain(position.size.abs());
    let time = position.time_ms.to_string();
    json!({
        "category": PRODUCT, "symbol": position.instrument, "marginCoin": "USDT", "holdMode": mode_of(position.position_side),
        "posSide": direction(position.size), "marginMode": margin_word(position.margin_mode.unwrap_or_default()),
        "positionBalance": plain(margin(position)), "available": size, "frozen": "0", "total": size,
        "leverage": empty_or(position.leverage), "curRealisedPnl": "0", "avgPrice": zero_or(position.entry_price),
        "positionStatus": "normal", "unrealisedPnl": zero_or(position.unrealised_profit),
        "liquidationPrice": zero_or(position.liquidation_price), "mmr": "0.004", "profitRate": "0",
        "markPrice": zero_or(position.mark_price), "breakEvenPrice": zero_or(position.entry_price), "totalFunding": "0",
        "openFeeTotal": "0", "closeFeeTotal": "0", "createdTime": time, "updatedTime": time,
    })
}

/// A position that is open, as it is pushed.
pub(super) fn pushed_position(position: &Position) -> Value {
    let size = plain(position.size.abs());
    let time = position.time_ms.to_string();
    json!({
        "symbol": position.instrument, "leverage": empty_or(position.leverage), "openFeeTotal": "0", "mmr": "0.004",
        "breakEvenPrice": zero_or(position.entry_price), "available": size, "liqPrice": zero_or(position.liquidation_price),
        "marginMode": margin_word(position.margin_mode.unwrap_or_default()),
        "unrealisedPnl": zero_or(position.unrealised_profit), "markPrice": zero_or(position.mark_price),
        "createdTime": time, "avgPrice": zero_or(position.entry_price), "totalFundingFee": "0", "updatedTime": time,
        "marginCoin": "USDT", "frozen": "0", "profitRate": "0", "closeFeeTotal": "0", "marginSize": plain(margin(position)),
        "curRealisedPnl": "0", "size": size, "positionStatus": "opening", "posSide": direction(position.size),
        "holdMode": mode_of(position.position_side),
    })
}

/// A position that was closed: most of its numbers are empty then. `before` is its last size.
fn ended_position(position: &Position, before: Decimal) -> Value {
    let time = position.time_ms.to_string();
    json!({
        "symbol": position.instrument, "leverage": empty_or(position.leverage), "openFeeTotal": "", "mmr": "",
        "breakEvenPrice": "", "available": "0", "liqPrice": "",
        "marginMode": margin_word(position.margin_mode.unwrap_or_default()), "unrealisedPnl": "0",
        "markPrice": zero_or(position.mark_price), "createdTime": time, "avgPrice": "0", "totalFundingFee": "",
        "updatedTime": time, "marginCoin": "USDT", "frozen": "0", "profitRate": "", "closeFeeTotal": "", "marginSize": "0",
        "curRealisedPnl": "0", "size": "0", "positionStatus": "ended", "posSide": direction(before),
        "holdMode": mode_of(position.position_side),
    })
}

/// What is pushed of a change of a position. One that turned round is told as one that ended and one that began.
pub(super) fn position_change(position: &Position, key: &str, engine: &Engine) -> Vec<Value> {
    let last = engine
        .account(key)
        .map(Account::fills)
        .unwrap_or_default()
        .iter()
        .rev()
        .find(|fill| {
            fill.instrument == position.instrument
                && fill.position_side == Some(position.position_side)
                && fill.position_after == Some(position.size)
        });
    let before = last.map_or(position.size, |fill| position.size - fill.side.signed(fill.size));
    let turned = !before.is_zero()
        && (position.size.is_zero() || before.is_sign_negative() != position.size.is_sign_negative());
    let ended = turned.then(|| ended_position(position, before));
    let open = (!position.size.is_zero()).then(|| pushed_position(position));
    ended.into_iter().chain(open).collect()
}

/// The account in an answer.
pub(super) fn assets(balance: &Balance) -> Value {
    let equity = balance.equity.unwrap_or(balance.wallet);
    let free = zero_or(balance.available);
    let profit = plain(equity - balance.wallet);
    let used = plain(equity - balance.available.unwrap_or(equity));
    json!({
        "accountEquity": plain(equity), "usdtEquity": plain(equity), "btcEquity": "0", "unrealisedPnl": profit,
        "usdtUnrealisedPnl": profit, "btcUnrealizedPnl": "0", "effEquity": plain(equity), "mmr": "0", "imr": used,
        "mgnRatio": "0", "positionMgnRatio": "0",
        "assets": [{ "coin": balance.asset, "equity": plain(equity), "usdValue": plain(equity),
                     "balance": plain(balance.wallet), "available": free, "debt": "0", "locked": "0" }],
    })
}

/// The account as it is pushed.
pub(super) fn pushed_account(balance: &Balance) -> Value {
    let equity = balance.equity.unwrap_or(balance.wallet);
    let used = plain(equity - balance.available.unwrap_or(equity));
    json!({
        "unrealisedPnL": plain(equity - balance.wallet), "totalEquity": plain(equity), "positionMgnRatio": "0", "mmr": "0",
        "effEquity": plain(equity), "imr": used, "mgnRatio": "0",
        "coin": [{ "debts": "0", "balance": plain(balance.wallet), "available": zero_or(balance.available), "borrow": "0",
                   "locked": "0", "equity": plain(equity), "coin": balance.asset, "usdValue": plain(equity) }],
    })
}

pub(super) fn instrument(quote: &Quote) -> Value {
    let instrument = &quote.instrument;
    let (tick, lot) = (instrument.tick.normalize(), instrument.lot.normalize());
    json!({
        "symbol": instrument.instrument, "category": PRODUCT, "baseCoin": instrument.base, "quoteCoin": instrument.quote,
        "buyLimitPriceRatio": "0.05", "sellLimitPriceRatio": "0.05", "feeRateUpRatio": "0.005", "makerFeeRate": "0.0002",
        "takerFeeRate": "0.0006", "openCostUpRatio": "0.01", "minOrderQty": plain(instrument.minimum_size),
        "maxOrderQty": "100000000", "pricePrecision": tick.scale().to_string(), "quantityPrecision": lot.scale().to_string(),
        "quotePrecision": null, "priceMultiplier": plain(tick), "quantityMultiplier": plain(lot), "type": "perpetual",
        "minOrderAmount": zero_or(instrument.minimum_notional), "maxSymbolOrderNum": "200", "maxProductOrderNum": "1000",
        "maxPositionNum": "150", "status": "online", "offTime": "-1", "limitOpenTime": "-1", "deliveryTime": "",
        "deliveryStartTime": "", "deliveryPeriod": "", "launchTime": "", "fundInterval": "8", "minLeverage": "1",
        "maxLeverage": zero_or(instrument.maximum_leverage), "maintainTime": "",
        "maxMarketOrderQty": zero_or(instrument.maximum_market_size),
    })
}

/// Best prices; answers name the instrument and the time, pushes do not.
pub(super) fn ticker(quote: &Quote, engine: &Engine, pushed: bool) -> Value {
    let ticker = engine.ticker(quote);
    let price = plain(quote.price);
    let mut row = json!({
        "highPrice24h": price, "lowPrice24h": price, "openPrice24h": price, "lastPrice": price, "turnover24h": "1000000",
        "volume24h": "1000", "bid1Price": empty_or(ticker.bid), "ask1Price": empty_or(ticker.ask),
        "bid1Size": empty_or(ticker.bid_size), "ask1Size": empty_or(ticker.ask_size), "price24hPcnt": "0",
        "indexPrice": price, "markPrice": price, "fundingRate": "0.0001", "openInterest": "1000", "deliveryTime": "",
        "deliveryStartTime": "", "deliveryStatus": "",
    });
    if !pushed {
        row["category"] = PRODUCT.into();
        row["symbol"] = quote.instrument.instrument.as_str().into();
        row["ts"] = engine.now_ms().to_string().into();
    }
    row
}

/// Prices and sizes of one side of a book.
pub(super) fn levels(levels: &[Level], depth: usize) -> Vec<[String; 2]> {
    levels
        .iter()
        .take(depth)
        .map(|level| [plain(level.price), plain(level.size)])
        .collect()
}
