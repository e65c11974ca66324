//! The venue's rows. Answers and pushes name many things differently.

use serde_json::{Value, json};

use super::super::shared::{empty_or, plain, zero_or};
use super::{Bitget, Extra};
use crate::model::{
    Balance, Cause, Decimal, Fill, Level, Liquidity, MarginMode, Order, OrderKind, OrderStatus, Position,
    PositionMode, PositionSide, Side, Text, TimeInForce,
};
use crate::simulate::engine::{Account, Engine, Quote};

/// Ids of trades and positions are as long as those of orders.
const LONG_ID: u64 = 1_100_000_000_000_000_000;

pub(super) const fn trade_side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// The side the venue shows: in hedge mode that of the position, whether it is opened or closed.
const fn shown_side(side: Side, position: PositionSide) -> &'static str {
    match position {
        PositionSide::Net => trade_side_word(side),
        PositionSide::Long => "buy",
        PositionSide::Short => "sell",
    }
}

const fn position_word(side: PositionSide) -> &'static str {
    match side {
        PositionSide::Net => "net",
        PositionSide::Long => "long",
        PositionSide::Short => "short",
    }
}

pub(super) const fn closes(side: Side, position: PositionSide) -> bool {
    matches!(
        (side, position),
        (Side::Sell, PositionSide::Long) | (Side::Buy, PositionSide::Short)
    )
}

/// What an order does to a position, and who made it do so.
pub(super) const fn deed(side: Side, position: PositionSide, cause: Cause) -> &'static str {
    let buy = matches!(side, Side::Buy);
    match (position, cause) {
        (PositionSide::Net, Cause::User) if buy => "buy_single",
        (PositionSide::Net, Cause::User) => "sell_single",
        (PositionSide::Net, Cause::Liquidation) if buy => "burst_buy_single",
        (PositionSide::Net, Cause::Liquidation) => "burst_sell_single",
        (PositionSide::Net, Cause::AutoDeleveraging) if buy => "dte_sys_adl_buy_in_single_side_mode",
        (PositionSide::Net, Cause::AutoDeleveraging) => "dte_sys_adl_sell_in_single_side_mode",
        (PositionSide::Net, Cause::Settlement) if buy => "delivery_buy_single",
        (PositionSide::Net, Cause::Settlement) => "delivery_sell_single",
        (PositionSide::Net, Cause::Transfer) if buy => "reduce_buy_single",
        (PositionSide::Net, Cause::Transfer) => "reduce_sell_single",
        (_, Cause::User) if closes(side, position) => "close",
        (_, Cause::User) => "open",
        (PositionSide::Long, Cause::Liquidation) => "burst_close_long",
        (PositionSide::Short, Cause::Liquidation) => "burst_close_short",
        (PositionSide::Long, Cause::AutoDeleveraging) => "dte_sys_adl_close_long",
        (PositionSide::Short, Cause::AutoDeleveraging) => "dte_sys_adl_close_short",
        (PositionSide::Long, Cause::Settlement) => "delivery_close_long",
        (PositionSide::Short, Cause::Settlement) => "delivery_close_short",
        (PositionSide::Long, Cause::Transfer) => "offset_close_long",
        (PositionSide::Short, Cause::Transfer) => "offset_close_short",
    }
}

pub(super) const fn margin_word(mode: MarginMode) -> &'static str {
    match mode {
        MarginMode::Cross => "crossed",
        MarginMode::Isolated => "isolated",
    }
}

pub(super) const fn mode_word(mode: PositionMode) -> &'static str {
    match mode {
        PositionMode::OneWay => "one_way_mode",
        PositionMode::Hedge => "hedge_mode",
    }
}

pub(super) const fn mode_of(side: PositionSide) -> &'static str {
    mode_word(match side {
        PositionSide::Net => PositionMode::OneWay,
        _ => PositionMode::Hedge,
    })
}

const fn status_word(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending | OrderStatus::Open | OrderStatus::Untriggered => "live",
        OrderStatus::PartiallyFilled => "partially_filled",
        OrderStatus::Filled => "filled",
        OrderStatus::Cancelled | OrderStatus::Rejected | OrderStatus::Expired => "canceled",
        OrderStatus::Triggered => "executed",
    }
}

const fn plan_word(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Triggered => "executed",
        OrderStatus::Expired | OrderStatus::Rejected => "fail_execute",
        OrderStatus::Cancelled => "cancelled",
        _ => "live",
    }
}

pub(super) const fn in_force_word(in_force: TimeInForce) -> &'static str {
    match in_force {
        TimeInForce::GoodTilCancelled | TimeInForce::GoodTilDate => "gtc",
        TimeInForce::ImmediateOrCancel => "ioc",
        TimeInForce::FillOrKill => "fok",
        TimeInForce::PostOnly => "post_only",
    }
}

pub(super) const fn kind_word(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Limit | OrderKind::StopLimit | OrderKind::TakeProfitLimit => "limit",
        _ => "market",
    }
}

pub(super) const fn scope_word(fill: &Fill) -> &'static str {
    match fill.liquidity {
        Some(Liquidity::Maker) => "maker",
        _ => "taker",
    }
}

pub(super) fn trade_id(fill: &Fill) -> u64 {
    LONG_ID + fill.trade_id.parse::<u64>().unwrap_or_default()
}

/// An id the venue gives where the client gave none.
pub(super) fn client_id(order: &Order) -> Text {
    order.client_order_id.clone().unwrap_or_else(|| {
        let number: u64 = order.order_id.parse().unwrap_or_default();
        Text::from((number + 1_000_000_000).to_string())
    })
}

pub(super) fn fee_of(fills: &[Fill], order: &Order) -> Decimal {
    fills
        .iter()
        .filter(|fill| fill.order_id == order.order_id)
        .filter_map(|fill| Some(fill.fee.as_ref()?.amount))
        .sum()
}

impl Bitget {
    pub(super) fn extra(&self, order: &Order) -> Extra {
        self.extras()
            .get(&order.order_id)
            .cloned()
            .unwrap_or_else(|| Extra {
                margin_mode: MarginMode::Cross,
                created_ms: order.time_ms,
                plan: Text::default(),
                trigger_by: Text::const_new("fill_price"),
            })
    }

    /// An order in an answer; its state is called `state` when it is asked for alone.
    pub(super) fn order_row(&self, key: &str, order: &Order, state: &str, engine: &Engine) -> Value {
        let extra = self.extra(order);
        let account = engine.account(key);
        let fee = fee_of(account.map(Account::fills).unwrap_or_default(), order);
        let leverage = account.map(|account| account.leverage_of(&order.instrument));
        let value = order.average_price.unwrap_or_default() * order.filled;
        let reduces = order.reduce_only || closes(order.side, order.position_side);
        let mut row = json!({
            "symbol": order.instrument, "size": zero_or(order.size), "orderId": order.order_id, "clientOid": client_id(order),
            "baseVolume": plain(order.filled), "fee": plain(-fee), "price": empty_or(order.price),
            "priceAvg": empty_or(order.average_price), "side": shown_side(order.side, order.position_side),
            "force": in_force_word(order.time_in_force), "totalProfits": "0", "posSide": position_word(order.position_side),
            "marginCoin": "USDT", "presetStopSurplusPrice": "", "presetStopLossPrice": "", "quoteVolume": plain(value),
            "orderType": kind_word(order.order_kind), "leverage": empty_or(leverage),
            "marginMode": margin_word(extra.margin_mode), "reduceOnly": if reduces { "YES" } else { "NO" },
            "enterPointSource": "API", "tradeSide": deed(order.side, order.position_side, order.cause),
            "posMode": mode_of(order.position_side), "orderSource": "normal", "cTime": extra.created_ms.to_string(),
            "uTime": order.time_ms.to_string(),
        });
        row[state] = status_word(order.status).into();
        row
    }

    /// An order as it is pushed, with the fill that changed it.
    pub(super) fn pushed_order(
        &self,
        key: &str,
        order: &Order,
        fill: Option<&Fill>,
        engine: &Engine,
    ) -> Value {
        let extra = self.extra(order);
        let account = engine.account(key);
        let fee = fee_of(account.map(Account::fills).unwrap_or_default(), order);
        let leverage = account.map(|account| account.leverage_of(&order.instrument));
        let price = order
            .price
            .or_else(|| engine.quote(&order.instrument).map(|quote| quote.price));
        let notional = order.size.unwrap_or_default() * price.unwrap_or_default();
        let reduces = order.reduce_only || closes(order.side, order.position_side);
        let mut row = json!({
            "accBaseVolume": plain(order.filled), "cTime": extra.created_ms.to_string(), "clientOid": client_id(order),
            "enterPointSource": "API", "force": in_force_word(order.time_in_force), "instId": order.instrument,
            "leverage": empty_or(leverage), "marginCoin": "USDT", "marginMode": margin_word(extra.margin_mode),
            "notionalUsd": plain(notional), "orderId": order.order_id, "orderType": kind_word(order.order_kind), "pnl": "0",
            "posMode": mode_of(order.position_side), "posSide": position_word(order.position_side),
            "price": zero_or(order.price), "reduceOnly": if reduces { "yes" } else { "no" },
            "side": shown_side(order.side, order.position_side), "size": zero_or(order.size),
            "status": status_word(order.status), "stpMode": "none", "totalProfits": "0",
            "tradeSide": deed(order.side, order.position_side, order.cause), "uTime": order.time_ms.to_string(),
            "presetStopSurplusPrice": "", "presetStopLossPrice": "",
            "feeDetail": [{ "feeCoin": "USDT", "fee": plain(-fee) }],
            "cancelReason": if order.status == OrderStatus::Cancelled { "normal_cancel" } else { "" },
        });
        if let Some(fill) = fill {
            // The amount of this fill alone; all of them are accBaseVolume.
            let paid = fill.fee.as_ref().map(|fee| fee.amount).unwrap_or_default();
            row["baseVolume"] = plain(fill.size).into();
            row["fillPrice"] = plain(fill.price).into();
            row["fillTime"] = fill.time_ms.to_string().into();
            row["fillFee"] = plain(-paid).into();
            row["fillFeeCoin"] = "USDT".into();
            row["fillNotionalUsd"] = plain(fill.size * fill.price).into();
            row["tradeId"] = trade_id(fill).to_string().into();
            row["tradeScope"] = if fill.liquidity == Some(Liquidity::Maker) {
                "M".into()
            } else {
                "T".into()
            };
            row["priceAvg"] = empty_or(order.average_price).into();
        } else {
            row["baseVolume"] = "0".into();
        }
        row
    }

    /// An order that waits for its trigger; its instrument is called `instId` in pushes and its state `status`.
    pub(super) fn plan_row(&self, order: &Order, pushed: bool) -> Value {
        let extra = self.extra(order);
        let stop = extra.plan.contains("loss");
        let profit = extra.plan.contains("profit");
        let trigger = empty_or(order.trigger_price);
        let price = empty_or(order.price);
        let mut row = json!({
            "planType": extra.plan, "size": zero_or(order.size), "orderId": order.order_id, "clientOid": client_id(order),
            "price": zero_or(order.price), "executePrice": zero_or(order.price), "feeDetail": null, "baseVolume": "0",
            "callbackRatio": "", "triggerPrice": trigger, "triggerType": extra.trigger_by,
            "side": shown_side(order.side, order.position_side), "posSide": position_word(order.position_side),
            "marginCoin": "USDT", "marginMode": margin_word(extra.margin_mode), "enterPointSource": "API",
            "tradeSide": deed(order.side, order.position_side, order.cause), "posMode": mode_of(order.position_side),
            "orderType": kind_word(order.order_kind),
            "stopSurplusTriggerPrice": if profit { trigger.as_str() } else { "" },
            "stopSurplusExecutePrice": if profit { price.as_str() } else { "" }, "stopSurplusTriggerType": extra.trigger_by,
            "stopLossTriggerPrice": if stop { trigger.as_str() } else { "" },
            "stopLossExecutePrice": if stop { price.as_str() } else { "" }, "stopLossTriggerType": extra.trigger_by,
            "reduceOnly": if order.reduce_only { "YES" } else { "NO" }, "cTime": extra.created_ms.to_string(),
            "uTime": order.time_ms.to_string(),
        });
        let word = plan_word(order.status);
        if pushed {
            row["instId"] = order.instrument.as_str().into();
            row["status"] = word.into();
        } else {
            row["symbol"] = order.instrument.as_str().into();
            row["planStatus"] = word.into();
        }
        row
    }
}

/// A fill: of answers and of the fill channel.
pub(super) fn fill_row(fill: &Fill, order: Option<&Order>) -> Value {
    let fee = fill.fee.as_ref().map(|fee| fee.amount).unwrap_or_default();
    let position = fill.position_side.unwrap_or_default();
    json!({
        "tradeId": trade_id(fill).to_string(), "symbol": fill.instrument, "orderId": fill.order_id,
        "clientOid": fill.client_order_id.clone().unwrap_or_default(), "price": plain(fill.price),
        "baseVolume": plain(fill.size),
        "feeDetail": [{ "deduction": "no", "feeCoin": "USDT", "totalDeductionFee": "0", "totalFee": plain(-fee) }],
        "side": shown_side(fill.side, position), "quoteVolume": plain(fill.price * fill.size), "profit": "0",
        "enterPointSource": if fill.cause == Cause::User { "API" } else { "SYS" },
        "tradeSide": deed(fill.side, position, fill.cause), "posMode": mode_of(position), "tradeScope": scope_word(fill),
        "orderType": order.map_or("market", |order| kind_word(order.order_kind)), "cTime": fill.time_ms.to_string(),
        "uTime": fill.time_ms.to_string(),
    })
}

/// A position that is not flat; its instrument is called `instId` and has an id in pushes.
pub(super) fn position_row(position: &Position, pushed: bool) -> Value {
    let mark = position.mark_price.unwrap_or_default();
    let size = position.size.abs();
    let margin = (size * position.entry_price.unwrap_or_default())
        .checked_div(position.leverage.unwrap_or(Decimal::ONE))
        .unwrap_or_default()
        .round_dp(8);
    let long = position.size.is_sign_positive();
    let time = position.time_ms.to_string();
    let mut row = json!({
        "marginCoin": "USDT", "holdSide": if long { "long" } else { "short" }, "openDelegateSize": "0",
        "marginSize": plain(margin), "available": plain(size), "locked": "0", "frozen": "0", "total": plain(size),
        "leverage": empty_or(position.leverage), "achievedProfits": "0", "openPriceAvg": empty_or(position.entry_price),
        "marginMode": margin_word(position.margin_mode.unwrap_or_default()), "posMode": mode_of(position.position_side),
        "unrealizedPL": zero_or(position.unrealised_profit), "liquidationPrice": zero_or(position.liquidation_price),
        "keepMarginRate": "0.004", "markPrice": plain(mark), "marginRatio": "0.01", "breakEvenPrice": empty_or(position.entry_price),
        "totalFee": "", "deductedFee": "0", "grant": "", "assetMode": "single", "autoMargin": "off", "takeProfit": "",
        "stopLoss": "", "takeProfitId": "", "stopLossId": "", "cTime": time, "uTime": time,
    });
    if pushed {
        // A number of the instrument and the side: the same as long as the position is open.
        let sum: u64 = position.instrument.bytes().map(u64::from).sum();
        row["instId"] = position.instrument.as_str().into();
        row["posId"] = (LONG_ID + sum * 2 + u64::from(long)).to_string().into();
        row["marginRate"] = "0.01".into();
        row["unrealizedPLR"] = "0".into();
    } else {
        row["symbol"] = position.instrument.as_str().into();
    }
    row
}

pub(super) fn account_row(balance: &Balance) -> Value {
    let equity = balance.equity.unwrap_or(balance.wallet);
    let free = zero_or(balance.available);
    let used = plain(equity - balance.available.unwrap_or(equity));
    json!({
        "marginCoin": balance.asset, "locked": "0", "available": plain(balance.wallet), "crossedMaxAvailable": free,
        "isolatedMaxAvailable": free, "maxTransferOut": free, "accountEquity": plain(equity), "usdtEquity": plain(equity),
        "btcEquity": "0", "crossedRiskRate": "0", "unrealizedPL": plain(equity - balance.wallet), "coupon": "0",
        "unionTotalMargin": "0", "unionAvailable": "0", "unionMm": "0", "crossedMargin": used, "isolatedMargin": "0",
        "crossedUnrealizedPL": plain(equity - balance.wallet), "isolatedUnrealizedPL": "", "assetMode": "single",
    })
}

pub(super) fn pushed_account(balance: &Balance) -> Value {
    let equity = balance.equity.unwrap_or(balance.wallet);
    let free = zero_or(balance.available);
    json!({
        "marginCoin": balance.asset, "frozen": "0", "available": plain(balance.wallet), "maxOpenPosAvailable": free,
        "maxTransferOut": free, "equity": plain(equity), "usdtEquity": plain(equity), "crossedRiskRate": "0",
        "unrealizedPL": plain(equity - balance.wallet), "unionTotalMargin": "0", "unionAvailable": "0", "unionMm": "0",
        "assetsMode": "single",
    })
}

pub(super) fn instrument_row(quote: &Quote) -> Value {
    let instrument = &quote.instrument;
    let tick = instrument.tick.normalize();
    json!({
        "symbol": instrument.instrument, "baseCoin": instrument.base, "quoteCoin": instrument.quote, "buyLimitPriceRatio": "0.05",
        "sellLimitPriceRatio": "0.05", "feeRateUpRatio": "0.005", "makerFeeRate": "0.0002", "takerFeeRate": "0.0006",
        "openCostUpRatio": "0.01", "supportMarginCoins": ["USDT"], "minTradeNum": plain(instrument.minimum_size),
        // The tick is this many of the last place of the price.
        "priceEndStep": tick.mantissa().to_string(), "volumePlace": instrument.lot.normalize().scale().to_string(),
        "pricePlace": tick.scale().to_string(), "sizeMultiplier": plain(instrument.lot), "symbolType": "perpetual",
        "minTradeUSDT": zero_or(instrument.minimum_notional), "maxSymbolOrderNum": "200", "maxProductOrderNum": "1000",
        "maxPositionNum": "150", "symbolStatus": "normal", "offTime": "-1", "limitOpenTime": "-1", "deliveryTime": "",
        "deliveryStartTime": "", "deliveryPeriod": "", "launchTime": "", "fundInterval": "8", "minLever": "1",
        "maxLever": zero_or(instrument.maximum_leverage), "posLimit": "0.1", "maintainTime": "",
        "maxMarketOrderQty": zero_or(instrument.maximum_market_size), "maxOrderQty": "100000000", "openTime": "",
    })
}

pub(super) fn ticker_row(quote: &Quote, engine: &Engine) -> Value {
    let ticker = engine.ticker(quote);
    let price = plain(quote.price);
    json!({
        "symbol": ticker.instrument, "lastPr": price, "askPr": empty_or(ticker.ask), "bidPr": empty_or(ticker.bid),
        "bidSz": empty_or(ticker.bid_size), "askSz": empty_or(ticker.ask_size), "high24h": price, "low24h": price,
        "ts": engine.now_ms().to_string(), "change24h": "0", "baseVolume": "1000", "quoteVolume": "1000000",
        "usdtVolume": "1000000", "openUtc": price, "changeUtc24h": "0", "indexPrice": price, "fundingRate": "0.0001",
        "holdingAmount": "1000", "deliveryStartTime": null, "deliveryTime": null, "deliveryStatus": "", "open24h": price,
        "markPrice": price,
    })
}

pub(super) fn level_rows(levels: &[Level], depth: usize) -> Vec<[String; 2]> {
    levels
        .iter()
        .take(depth)
        .map(|level| [plain(level.price), plain(level.size)])
        .collect()
}
