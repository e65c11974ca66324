//! The venue's rows: the same in answers and in pushes.

use serde_json::{Value, json};

use super::super::shared::{empty_or, next_funding, plain, zero_or};
use super::{Bybit, Extra};
use crate::model::{
    Balance, Cause, Decimal, Fill, Level, Liquidity, MarginMode, Order, OrderKind, OrderStatus, Position,
    PositionSide, Side, Text, TimeInForce,
};
use crate::simulate::engine::{Account, ENDED_BY_VENUE, Engine, Quote};

pub(super) const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "Buy",
        Side::Sell => "Sell",
    }
}

pub(super) const fn position_index(side: PositionSide) -> u8 {
    match side {
        PositionSide::Net => 0,
        PositionSide::Long => 1,
        PositionSide::Short => 2,
    }
}

const fn status_word(order: &Order) -> &'static str {
    match order.status {
        OrderStatus::Pending | OrderStatus::Open => "New",
        OrderStatus::PartiallyFilled => "PartiallyFilled",
        OrderStatus::Filled => "Filled",
        OrderStatus::Cancelled => match order.trigger_price {
            // A trigger that is cancelled before it fires is never an order.
            Some(_) => "Deactivated",
            None => "Cancelled",
        },
        OrderStatus::Rejected => "Rejected",
        OrderStatus::Expired => "Deactivated",
        OrderStatus::Untriggered => "Untriggered",
        OrderStatus::Triggered => "Triggered",
    }
}

const fn in_force_word(order: &Order) -> &'static str {
    match (order.order_kind, order.time_in_force) {
        (OrderKind::Limit | OrderKind::StopLimit | OrderKind::TakeProfitLimit, in_force) => match in_force {
            TimeInForce::ImmediateOrCancel => "IOC",
            TimeInForce::FillOrKill => "FOK",
            TimeInForce::PostOnly => "PostOnly",
            TimeInForce::GoodTilCancelled | TimeInForce::GoodTilDate => "GTC",
        },
        // Market orders are limit orders that end at once.
        _ => "IOC",
    }
}

const fn create_word(order: &Order, extra: &Extra) -> &'static str {
    match order.cause {
        Cause::User => extra.create_kind,
        Cause::Liquidation => "CreateByLiq",
        Cause::AutoDeleveraging => "CreateByAdl_PassThrough",
        Cause::Settlement => "CreateBySettle",
        Cause::Transfer => "CreateByBlockTradeMovePosition_PassThrough",
    }
}

const fn execution_word(cause: Cause) -> &'static str {
    match cause {
        Cause::User => "Trade",
        Cause::Liquidation => "BustTrade",
        Cause::AutoDeleveraging => "AdlTrade",
        Cause::Settlement => "Settle",
        Cause::Transfer => "MovePosition",
    }
}

/// Why an order ended, and who ended it.
fn end_words(order: &Order) -> (&'static str, &'static str) {
    if order.status != OrderStatus::Cancelled {
        return ("EC_NoError", "UNKNOWN");
    }
    match (order.order_kind, order.time_in_force) {
        (_, TimeInForce::PostOnly) if order.venue_status == ENDED_BY_VENUE => {
            ("EC_PostOnlyWillTakeLiquidity", "UNKNOWN")
        }
        (_, TimeInForce::FillOrKill) => ("EC_NoEnoughQtyToFill", "UNKNOWN"),
        (OrderKind::Market, _) | (_, TimeInForce::ImmediateOrCancel) if order.filled.is_zero() => {
            ("EC_NoImmediateQtyToFill", "UNKNOWN")
        }
        (OrderKind::Market, _) | (_, TimeInForce::ImmediateOrCancel) => ("EC_CancelForNoFullFill", "UNKNOWN"),
        _ => ("EC_PerCancelRequest", "CancelByUser"),
    }
}

/// Executions have long ids.
fn execution_id(fill: &Fill) -> String {
    let number: u64 = fill.trade_id.parse().unwrap_or_default();
    format!("7e2ae69c-4edf-5800-a352-{number:012x}")
}

/// All messages about one fill carry the same number.
fn sequence(fill: &Fill) -> u64 {
    140_612_000_000_000 + fill.trade_id.parse::<u64>().unwrap_or_default()
}

impl Bybit {
    fn extra(&self, order: &Order) -> Extra {
        self.extras()
            .get(&order.order_id)
            .cloned()
            .unwrap_or_else(|| Extra {
                created_ms: order.time_ms,
                create_kind: "CreateByUser",
                // An order nobody sent over the wire: a test placed it, or the venue.
                order_kind: Text::const_new(match order.order_kind {
                    OrderKind::Limit | OrderKind::StopLimit | OrderKind::TakeProfitLimit => "Limit",
                    _ => "Market",
                }),
                ..Extra::default()
            })
    }

    pub(super) fn order_row(&self, key: &str, order: &Order, engine: &Engine) -> Value {
        let extra = self.extra(order);
        let fee: Decimal = engine
            .account(key)
            .map(Account::fills)
            .unwrap_or_default()
            .iter()
            .filter(|fill| fill.order_id == order.order_id)
            .filter_map(|fill| Some(fill.fee.as_ref()?.amount))
            .sum();
        let size = order.size.unwrap_or_default();
        let left = if order.status.is_final() {
            Decimal::ZERO
        } else {
            size - order.filled
        };
        let (reason, ended) = end_words(order);
        let value = order.average_price.unwrap_or_default() * order.filled;
        let last = zero_or(engine.quote(&order.instrument).map(|quote| quote.price));
        let price = order
            .price
            .or_else(|| engine.quote(&order.instrument).map(|quote| quote.price));
        let fees = if fee.is_zero() {
            json!({})
        } else {
            json!({ "USDT": plain(fee) })
        };
        let mut row = json!({
            "category": "linear", "symbol": order.instrument, "orderId": order.order_id,
            "orderLinkId": order.client_order_id.clone().unwrap_or_default(), "side": side_word(order.side),
            "orderType": extra.order_kind, "price": zero_or(price), "qty": plain(size),
            "timeInForce": in_force_word(order), "orderStatus": status_word(order), "cancelType": ended,
            "rejectReason": reason, "leavesQty": plain(left), "leavesValue": plain(left * price.unwrap_or_default()),
            "cumExecQty": plain(order.filled), "cumExecValue": plain(value), "avgPrice": empty_or(order.average_price),
            "cumExecFee": plain(fee), "cumFeeDetail": fees, "positionIdx": position_index(order.position_side),
            "reduceOnly": order.reduce_only, "closeOnTrigger": extra.close_on_trigger, "stopOrderType": extra.stop_kind,
            "triggerPrice": empty_or(extra.trigger), "triggerDirection": extra.direction, "triggerBy": extra.trigger_by,
            "createType": create_word(order, &extra), "lastPriceOnCreated": last, "smpType": "None", "smpGroup": 0,
            "slippageTolerance": "0", "slippageToleranceType": "UNKNOWN", "tpLimitPrice": "0", "slLimitPrice": "0",
            "createdTime": extra.created_ms.to_string(), "updatedTime": order.time_ms.to_string(),
        });
        for name in [
            "isLeverage",
            "orderIv",
            "blockTradeId",
            "takeProfit",
            "stopLoss",
            "tpTriggerBy",
            "slTriggerBy",
            "tpslMode",
            "placeType",
            "smpOrderId",
            "ocoTriggerBy",
        ] {
            row[name] = "".into();
        }
        row
    }

    pub(super) fn execution_row(&self, key: &str, fill: &Fill, engine: &Engine) -> Value {
        let order = engine.account(key).and_then(|account| {
            account
                .orders()
                .rev()
                .find(|order| order.order_id == fill.order_id)
        });
        let extra = order.map(|order| self.extra(order)).unwrap_or_default();
        let fee = fill.fee.as_ref().map(|fee| fee.amount).unwrap_or_default();
        let value = fill.price * fill.size;
        let rate = fee.checked_div(value).unwrap_or_default().round_dp(6);
        let asked = order.and_then(|order| order.size).unwrap_or_default();
        let filled = order.map(|order| order.filled).unwrap_or_default();
        // What of it made a position smaller.
        let after = fill.position_after.unwrap_or_default();
        let before = after - fill.side.signed(fill.size);
        let closed = if before.is_zero() || before.is_sign_positive() == (fill.side == Side::Buy) {
            Decimal::ZERO
        } else {
            before.abs().min(fill.size)
        };
        json!({
            "category": "linear", "symbol": fill.instrument, "execFee": plain(fee), "execId": execution_id(fill),
            "execPrice": plain(fill.price), "execQty": plain(fill.size), "execType": execution_word(fill.cause),
            "execValue": plain(value), "execPnl": "0", "feeRate": plain(rate), "feeCurrency": "", "tradeIv": "", "markIv": "",
            "blockTradeId": "", "markPrice": plain(fill.price), "indexPrice": "", "underlyingPrice": "",
            "leavesQty": plain(asked - filled), "orderId": fill.order_id,
            "orderLinkId": fill.client_order_id.clone().unwrap_or_default(),
            "orderPrice": zero_or(order.and_then(|order| order.price)), "orderQty": plain(asked),
            "orderType": extra.order_kind, "stopOrderType": if extra.stop_kind.is_empty() { "UNKNOWN" } else { extra.stop_kind },
            "side": side_word(fill.side), "execTime": fill.time_ms.to_string(), "isLeverage": "0",
            "isMaker": fill.liquidity == Some(Liquidity::Maker), "closedSize": plain(closed), "seq": sequence(fill),
            "marketUnit": "", "createType": order.map_or("CreateByUser", |order| create_word(order, &extra)),
        })
    }
}

/// The short message about a fill, which comes before the long one.
pub(super) fn fast_row(fill: &Fill) -> Value {
    json!({
        "category": "linear", "symbol": fill.instrument, "execId": execution_id(fill), "execPrice": plain(fill.price),
        "execQty": plain(fill.size), "orderId": fill.order_id,
        "orderLinkId": fill.client_order_id.clone().unwrap_or_default(),
        "isMaker": fill.liquidity == Some(Liquidity::Maker), "side": side_word(fill.side),
        "execTime": fill.time_ms.to_string(), "seq": sequence(fill),
    })
}

/// A position; a flat one has no side.
pub(super) fn position_row(key: &str, position: &Position, engine: &Engine, pushed: bool) -> Value {
    let mark = position.mark_price.unwrap_or_default();
    let entry = position.entry_price.unwrap_or_default();
    let size = position.size.abs();
    let value = size * entry;
    let margin = value
        .checked_div(position.leverage.unwrap_or(Decimal::ONE))
        .unwrap_or_default()
        .round_dp(8);
    let side = if size.is_zero() {
        ""
    } else if position.size.is_sign_positive() {
        "Buy"
    } else {
        "Sell"
    };
    let last = engine.account(key).and_then(|account| {
        let of = |fill: &&Fill| fill.instrument == position.instrument;
        account.fills().iter().rev().find(of)
    });
    let value = plain(value.round_dp(8));
    let time = position.time_ms.to_string();
    let mut row = json!({
        "symbol": position.instrument, "side": side, "size": plain(size), "positionIdx": position_index(position.position_side),
        "leverage": empty_or(position.leverage), "positionValue": if size.is_zero() { "" } else { &value },
        "markPrice": plain(mark), "riskId": 1, "riskLimitValue": "2000000", "positionIM": plain(margin),
        "positionMM": plain((size * mark * Decimal::new(5, 3)).round_dp(8)), "positionBalance": plain(margin),
        "unrealisedPnl": empty_or(position.unrealised_profit), "curRealisedPnl": "0", "cumRealisedPnl": "0",
        "stopLoss": "", "takeProfit": "", "trailingStop": "0", "tpslMode": "Full", "liqPrice": "", "bustPrice": "",
        "positionStatus": "Normal", "adlRankIndicator": if size.is_zero() { 0 } else { 2 }, "autoAddMargin": 0,
        "tradeMode": u8::from(position.margin_mode == Some(MarginMode::Isolated)), "isReduceOnly": false,
        "mmrSysUpdatedTime": "", "leverageSysUpdatedTime": "", "sessionAvgPrice": "", "createdTime": time,
        "updatedTime": time, "seq": last.map_or(-1, |fill| sequence(fill).cast_signed()),
    });
    // Pushes and answers have different names for the same price.
    row[if pushed { "entryPrice" } else { "avgPrice" }] = plain(entry).into();
    if pushed {
        row["category"] = "linear".into();
    }
    row
}

pub(super) fn wallet_row(balance: &Balance) -> Value {
    let equity = balance.equity.unwrap_or(balance.wallet);
    let free = balance.available.unwrap_or(equity);
    let (wallet, profit, used) = (
        plain(balance.wallet),
        plain(equity - balance.wallet),
        plain(equity - free),
    );
    json!({
        "accountType": "UNIFIED", "accountLTV": "", "accountIMRate": "0", "accountMMRate": "0", "totalEquity": plain(equity),
        "totalWalletBalance": wallet, "totalMarginBalance": plain(equity), "totalAvailableBalance": plain(free),
        "totalPerpUPL": profit, "totalInitialMargin": used, "totalMaintenanceMargin": "0",
        "coin": [{
            "coin": balance.asset, "equity": plain(equity), "usdValue": plain(equity), "walletBalance": wallet,
            "availableToWithdraw": "", "availableToBorrow": "", "borrowAmount": "0", "accruedInterest": "0",
            "totalOrderIM": "0", "totalPositionIM": used, "totalPositionMM": "0", "unrealisedPnl": profit,
            "cumRealisedPnl": "0", "bonus": "0", "collateralSwitch": true, "marginCollateral": true, "locked": "0",
            "spotHedgingQty": "0",
        }],
    })
}

pub(super) fn instrument_row(quote: &Quote) -> Value {
    let instrument = &quote.instrument;
    json!({
        "symbol": instrument.instrument, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": instrument.base,
        "quoteCoin": instrument.quote, "launchTime": "1585526400000", "deliveryTime": "0", "deliveryFeeRate": "",
        "priceScale": instrument.tick.scale().to_string(),
        "leverageFilter": { "minLeverage": "1", "maxLeverage": empty_or(instrument.maximum_leverage), "leverageStep": "0.01" },
        "priceFilter": { "minPrice": plain(instrument.tick), "maxPrice": "1999999.8", "tickSize": plain(instrument.tick) },
        "lotSizeFilter": {
            "maxOrderQty": "100000000", "minOrderQty": plain(instrument.minimum_size), "qtyStep": plain(instrument.lot),
            "postOnlyMaxOrderQty": "100000000", "maxMktOrderQty": empty_or(instrument.maximum_market_size),
            "minNotionalValue": empty_or(instrument.minimum_notional),
        },
        "unifiedMarginTrade": true, "fundingInterval": 480, "settleCoin": instrument.settle, "copyTrading": "both",
        "upperFundingRate": "0.00375", "lowerFundingRate": "-0.00375", "isPreListing": false, "preListingInfo": null,
        "displayName": "", "symbolType": "",
    })
}

pub(super) fn ticker_row(quote: &Quote, engine: &Engine) -> Value {
    let ticker = engine.ticker(quote);
    let price = plain(quote.price);
    json!({
        "symbol": ticker.instrument, "lastPrice": price, "indexPrice": price, "markPrice": price, "prevPrice24h": price,
        "price24hPcnt": "0", "highPrice24h": price, "lowPrice24h": price, "prevPrice1h": price, "openInterest": "1000",
        "openInterestValue": "1000000", "turnover24h": "1000000", "volume24h": "1000", "fundingRate": "0.0001",
        "nextFundingTime": next_funding(engine.now_ms()).to_string(), "predictedDeliveryPrice": "", "basisRate": "",
        "deliveryFeeRate": "", "deliveryTime": "0", "tickDirection": "PlusTick", "basis": "", "curPreListingPhase": "",
        "bid1Price": empty_or(ticker.bid), "bid1Size": empty_or(ticker.bid_size), "ask1Price": empty_or(ticker.ask),
        "ask1Size": empty_or(ticker.ask_size), "fundingIntervalHour": "8", "fundingCap": "0.00375",
    })
}

pub(super) fn level_rows(levels: &[Level], depth: usize) -> Vec<[String; 2]> {
    levels
        .iter()
        .take(depth)
        .map(|level| [plain(level.price), plain(level.size)])
        .collect()
}
