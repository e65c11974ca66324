//! The venue's rows: the same in answers and in pushes.

use serde_json::{Value, json};

use super::super::shared::{checksum, empty_or, next_funding, plain, zero_or};
use super::{Extra, Okx};
use crate::model::{
    Balance, Book, Cause, Decimal, Fill, Instrument, Level, Liquidity, MarginMode, Order, OrderKind,
    OrderStatus, Position, PositionMode, PositionSide, Side, Text, TimeInForce,
};
use crate::simulate::engine::{Account, ENDED_BY_VENUE, Engine, Quote};

/// Ids of positions and bills are as long as those of orders.
const LONG_ID: u64 = 1_600_000_000_000_000_000;

/// Members of an order that say nothing here.
const EMPTY: [&str; 29] = [
    "algoClOrdId",
    "algoId",
    "amendResult",
    "amendSource",
    "attachAlgoClOrdId",
    "cancelSourceReason",
    "ccy",
    "execType",
    "fillFeeCcy",
    "fillMarkPx",
    "fillNotionalUsd",
    "fillPx",
    "fillTime",
    "msg",
    "pxType",
    "pxUsd",
    "pxVol",
    "quickMgnType",
    "reqId",
    "slOrdPx",
    "slTriggerPx",
    "slTriggerPxType",
    "source",
    "stpId",
    "tgtCcy",
    "tpOrdPx",
    "tpTriggerPx",
    "tpTriggerPxType",
    "tradeId",
];
/// Members of an order that waits for its trigger that say nothing here.
const EMPTY_TRIGGER: [&str; 20] = [
    "activePx",
    "actualPx",
    "actualSide",
    "amendResult",
    "callbackRatio",
    "callbackSpread",
    "ccy",
    "clOrdId",
    "closeFraction",
    "isTradeBorrowMode",
    "lever",
    "moveTriggerPx",
    "ordId",
    "pxLimit",
    "pxSpread",
    "pxVar",
    "quickMgnType",
    "szLimit",
    "tgtCcy",
    "timeInterval",
];

pub(super) const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

pub(super) const fn position_word(side: PositionSide) -> &'static str {
    match side {
        PositionSide::Net => "net",
        PositionSide::Long => "long",
        PositionSide::Short => "short",
    }
}

pub(super) const fn margin_word(mode: MarginMode) -> &'static str {
    match mode {
        MarginMode::Cross => "cross",
        MarginMode::Isolated => "isolated",
    }
}

pub(super) fn mode_word(account: &Account) -> &'static str {
    match account.position_mode {
        PositionMode::OneWay => "net_mode",
        PositionMode::Hedge => "long_short_mode",
    }
}

const fn category(cause: Cause) -> &'static str {
    match cause {
        Cause::User => "normal",
        Cause::Liquidation => "full_liquidation",
        Cause::AutoDeleveraging => "adl",
        Cause::Settlement => "delivery",
        Cause::Transfer => "auto_conversion",
    }
}

/// The venue's number for what a fill was: buying or selling by the user, or forced on the position.
const fn sub_type(fill: &Fill) -> &'static str {
    let buy = matches!(fill.side, Side::Buy);
    match (fill.cause, buy) {
        (Cause::User, true) => "1",
        (Cause::User, false) => "2",
        (Cause::Liquidation, true) => "105",
        (Cause::Liquidation, false) => "104",
        (Cause::AutoDeleveraging, true) => "126",
        (Cause::AutoDeleveraging, false) => "125",
        (Cause::Settlement, true) => "113",
        (Cause::Settlement, false) => "112",
        (Cause::Transfer, _) => "7",
    }
}

const fn state_word(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending | OrderStatus::Open | OrderStatus::Untriggered => "live",
        OrderStatus::PartiallyFilled => "partially_filled",
        OrderStatus::Filled => "filled",
        OrderStatus::Cancelled | OrderStatus::Rejected => "canceled",
        OrderStatus::Expired => "order_failed",
        OrderStatus::Triggered => "effective",
    }
}

const fn kind_word(order: &Order) -> &'static str {
    match (order.order_kind, order.time_in_force) {
        (OrderKind::Limit, TimeInForce::PostOnly) => "post_only",
        (OrderKind::Limit, TimeInForce::FillOrKill) => "fok",
        (OrderKind::Limit, TimeInForce::ImmediateOrCancel) => "ioc",
        (OrderKind::Limit, _) => "limit",
        _ => "market",
    }
}

/// Why an order ended, in the venue's numbers.
fn cancel_source(order: &Order) -> &'static str {
    match (order.status, order.time_in_force) {
        (OrderStatus::Cancelled, TimeInForce::FillOrKill) => "13",
        (OrderStatus::Cancelled, TimeInForce::ImmediateOrCancel) => "14",
        (OrderStatus::Cancelled, _) if order.venue_status == ENDED_BY_VENUE => "31",
        (OrderStatus::Cancelled, _) => "1",
        _ => "",
    }
}

fn contracts(engine: &Engine, instrument: &str, base: Decimal) -> String {
    plain(engine.venue_size(instrument, base))
}

fn fee_text(fill: &Fill) -> (String, Text) {
    // The venue's sign: what was paid is negative.
    fill.fee
        .as_ref()
        .map_or_else(Default::default, |fee| (plain(-fee.amount), fee.asset.clone()))
}

const fn exec_type(fill: &Fill) -> &'static str {
    match fill.liquidity {
        Some(Liquidity::Maker) => "M",
        _ => "T",
    }
}

impl Okx {
    pub(super) fn extra(&self, order: &Order) -> Extra {
        self.extras()
            .get(&order.order_id)
            .cloned()
            .unwrap_or_else(|| Extra {
                margin_mode: MarginMode::Cross,
                kind: Text::const_new(kind_word(order)),
                tag: Text::default(),
                created_ms: order.time_ms,
                trigger: "trigger",
            })
    }

    /// An order; with the fill that changed it, in pushes.
    pub(super) fn order_row(&self, key: &str, order: &Order, fill: Option<&Fill>, engine: &Engine) -> Value {
        let extra = self.extra(order);
        let account = engine.account(key);
        let fills = account.map(Account::fills).unwrap_or_default();
        let fee: Decimal = fills
            .iter()
            .filter(|fill| fill.order_id == order.order_id)
            .filter_map(|fill| Some(fill.fee.as_ref()?.amount))
            .sum();
        let last = fill.or_else(|| fills.iter().rev().find(|fill| fill.order_id == order.order_id));
        let leverage = account.map(|account| account.leverage_of(&order.instrument));
        let notional = order
            .size
            .zip(
                order
                    .price
                    .or_else(|| engine.quote(&order.instrument).map(|quote| quote.price)),
            )
            .map(|(size, price)| size * price);
        let mut row = json!({
            "accFillSz": contracts(engine, &order.instrument, order.filled), "attachAlgoOrds": [],
            "avgPx": empty_or(order.average_price), "cTime": extra.created_ms.to_string(),
            "cancelSource": cancel_source(order), "category": category(order.cause), "clOrdId": order.client_order_id.clone().unwrap_or_default(), "code": "0", "fee": plain(-fee), "feeCcy": "USDT", "fillFee": "0", "fillPnl": "0", "fillSz": "0", "instId": order.instrument, "instType": "SWAP",
            "isTpLimit": "false", "lastPx": zero_or(engine.quote(&order.instrument).map(|quote| quote.price)),
            "lever": empty_or(leverage), "linkedAlgoOrd": { "algoId": "" }, "notionalUsd": zero_or(notional), "ordId": order.order_id, "ordType": extra.kind, "pnl": "0",
            "posSide": position_word(order.position_side),
            "px": empty_or(order.price.filter(|_| order.order_kind != OrderKind::Market)), "rebate": "0", "rebateCcy": "USDT",
            "reduceOnly": order.reduce_only.to_string(), "side": side_word(order.side), "state": state_word(order.status), "stpMode": "cancel_maker", "sz": empty_or(order.size.map(|size| engine.venue_size(&order.instrument, size))),
            "tag": extra.tag, "tdMode": margin_word(extra.margin_mode), "uTime": order.time_ms.to_string(),
        });
        for name in EMPTY {
            row[name] = "".into();
        }
        if let (Some(fill), Some(row)) = (last, row.as_object_mut()) {
            // Pushes carry the fill only when there is a new one; queries show the last.
            let (fill_fee, asset) = fee_text(fill);
            row.insert("fillPx".into(), plain(fill.price).into());
            row.insert(
                "fillSz".into(),
                contracts(engine, &fill.instrument, fill.size).into(),
            );
            row.insert("fillTime".into(), fill.time_ms.to_string().into());
            row.insert("tradeId".into(), fill.trade_id.as_str().into());
            row.insert("execType".into(), exec_type(fill).into());
            row.insert("fillFee".into(), fill_fee.into());
            row.insert("fillFeeCcy".into(), asset.as_str().into());
            row.insert("fillNotionalUsd".into(), plain(fill.price * fill.size).into());
        }
        row
    }

    /// An order as it is pushed: without a fill that was told before.
    pub(super) fn pushed_order(
        &self,
        key: &str,
        order: &Order,
        fill: Option<&Fill>,
        engine: &Engine,
    ) -> Value {
        let mut row = self.order_row(key, order, fill, engine);
        if let (None, Some(row)) = (fill, row.as_object_mut()) {
            for (name, empty) in [
                ("fillPx", ""),
                ("fillSz", "0"),
                ("fillTime", ""),
                ("tradeId", ""),
                ("execType", ""),
                ("fillFee", "0"),
                ("fillFeeCcy", ""),
                ("fillNotionalUsd", ""),
            ] {
                row.insert(name.into(), empty.into());
            }
        }
        row
    }

    /// An order that waits for its trigger.
    pub(super) fn algo_row(&self, order: &Order, engine: &Engine) -> Value {
        let extra = self.extra(order);
        // A market order's price is -1 in the words of triggers.
        let price = order.price.map_or_else(|| "-1".to_owned(), plain);
        let trigger = empty_or(order.trigger_price);
        let of = |name: &str, value: &str| {
            if extra.trigger == name {
                value.to_owned()
            } else {
                String::new()
            }
        };
        let mut row = json!({
            "actualSz": "0",
            "algoClOrdId": order.client_order_id.clone().unwrap_or_default(), "algoId": order.order_id, "attachAlgoOrds": [], "cTime": extra.created_ms.to_string(), "uTime": order.time_ms.to_string(),
            "failCode": "0",
            "instId": order.instrument, "instType": "SWAP", "last": zero_or(engine.quote(&order.instrument).map(|quote| quote.price)), "linkedOrd": { "ordId": "" },
            "ordIdList": [], "ordPx": of("trigger", &price), "ordType": extra.kind,
            "posSide": position_word(order.position_side), "reduceOnly": order.reduce_only.to_string(), "side": side_word(order.side), "slOrdPx": of("sl", &price),
            "slTriggerPx": of("sl", &trigger), "slTriggerPxType": of("sl", "last"), "state": state_word(order.status),
            "sz": empty_or(order.size.map(|size| engine.venue_size(&order.instrument, size))), "tag": extra.tag, "tdMode": margin_word(extra.margin_mode), "tpOrdPx": of("tp", &price), "tpTriggerPx": of("tp", &trigger), "tpTriggerPxType": of("tp", "last"),
            "triggerPx": of("trigger", &trigger), "triggerPxType": of("trigger", "last"),
            "triggerTime": if order.status == OrderStatus::Triggered { order.time_ms.to_string() } else { String::new() },
        });
        for name in EMPTY_TRIGGER {
            row[name] = "".into();
        }
        row
    }
}

/// Numbers that stay the same for an instrument's position.
fn position_id(instrument: Option<&Instrument>, side: PositionSide) -> String {
    let code = instrument
        .and_then(|instrument| instrument.number)
        .unwrap_or_default();
    let side = match side {
        PositionSide::Net => 0,
        PositionSide::Long => 1,
        PositionSide::Short => 2,
    };
    (LONG_ID + u64::from(code) * 10 + side).to_string()
}

pub(super) fn position_row(key: &str, position: &Position, engine: &Engine) -> Value {
    let quote = engine.quote(&position.instrument);
    let mode = position.margin_mode.unwrap_or_default();
    let mark = position.mark_price.unwrap_or_default();
    let notional = position.size.abs() * mark;
    let margin = notional
        .checked_div(position.leverage.unwrap_or(Decimal::ONE))
        .unwrap_or_default()
        .round_dp(8);
    // In hedge mode both positions are positive: the side says which way they go.
    let size = match position.position_side {
        PositionSide::Net => position.size,
        _ => position.size.abs(),
    };
    let flat = size.is_zero();
    let size = contracts(engine, &position.instrument, size);
    let shown = |text: String| if flat { String::new() } else { text };
    let trade_id = engine
        .account(key)
        .and_then(|account| {
            let of = |fill: &&Fill| fill.instrument == position.instrument;
            account
                .fills()
                .iter()
                .rev()
                .find(of)
                .map(|fill| fill.trade_id.clone())
        })
        .unwrap_or_default();
    json!({
        "adl": if flat { "" } else { "1" }, "availPos": if position.position_side == PositionSide::Net { "" } else { &size },
        "avgPx": empty_or(position.entry_price), "baseBal": "", "bePx": empty_or(position.entry_price),
        "cTime": position.time_ms.to_string(), "ccy": "USDT", "closeOrderAlgo": [], "idxPx": plain(mark),
        "imr": shown(if mode == MarginMode::Cross { plain(margin) } else { String::new() }),
        "instId": position.instrument, "instType": "SWAP", "interest": "", "last": plain(mark),
        "lever": empty_or(position.leverage), "liab": "", "liabCcy": "", "liqPx": empty_or(position.liquidation_price),
        "margin": shown(if mode == MarginMode::Isolated { plain(margin) } else { String::new() }), "markPx": plain(mark),
        "mgnMode": margin_word(mode), "mgnRatio": "", "mmr": shown(plain((notional * Decimal::new(5, 3)).round_dp(8))),
        "notionalUsd": shown(plain(notional)), "optVal": "", "pTime": engine.now_ms().to_string(), "pos": size,
        "posCcy": "", "posId": position_id(quote.map(|quote| &quote.instrument), position.position_side),
        "posSide": position_word(position.position_side), "realizedPnl": "0", "tradeId": trade_id,
        "uTime": position.time_ms.to_string(), "upl": shown(zero_or(position.unrealised_profit)), "uplRatio": "",
    })
}

pub(super) fn account_row(balance: &Balance) -> Value {
    let equity = balance.equity.unwrap_or(balance.wallet);
    let free = zero_or(balance.available);
    let time = balance.time_ms.to_string();
    let used = equity - balance.available.unwrap_or(equity);
    json!({
        "adjEq": "", "availEq": "", "borrowFroz": "", "imr": "", "isoEq": "0", "mgnRatio": "", "mmr": "", "notionalUsd": "",
        "ordFroz": "", "totalEq": plain(equity), "uTime": time, "upl": "",
        "details": [{
            "availBal": free, "availEq": free, "cashBal": plain(balance.wallet), "ccy": balance.asset, "crossLiab": "",
            "disEq": plain(equity), "eq": plain(equity), "eqUsd": plain(equity), "fixedBal": "0", "frozenBal": plain(used),
            "interest": "", "isoEq": "0", "isoLiab": "", "isoUpl": "0", "liab": "", "maxLoan": "", "mgnRatio": "",
            "notionalLever": "", "ordFrozen": "0", "stgyEq": "0", "twap": "0", "uTime": time,
            "upl": plain(equity - balance.wallet), "uplLiab": "",
        }],
    })
}

pub(super) fn fill_row(fill: &Fill, engine: &Engine) -> Value {
    let (fee, asset) = fee_text(fill);
    json!({
        "instType": "SWAP", "instId": fill.instrument, "tradeId": fill.trade_id, "ordId": fill.order_id,
        "clOrdId": fill.client_order_id.clone().unwrap_or_default(), "billId": bill_id(fill).to_string(),
        "subType": sub_type(fill), "tag": "", "fillPx": plain(fill.price),
        "fillSz": contracts(engine, &fill.instrument, fill.size), "fillIdxPx": "", "fillPnl": "0", "fillPxVol": "",
        "fillPxUsd": "", "fillMarkVol": "", "fillFwdPx": "", "fillMarkPx": plain(fill.price),
        "side": side_word(fill.side), "posSide": position_word(fill.position_side.unwrap_or_default()),
        "execType": exec_type(fill), "feeCcy": asset, "fee": fee, "ts": fill.time_ms.to_string(),
        "fillTime": fill.time_ms.to_string(), "feeRate": "", "tradeQuoteCcy": "",
    })
}

/// The number a fill's bill has; pages are cut by it.
pub(super) fn bill_id(fill: &Fill) -> u64 {
    LONG_ID + fill.trade_id.parse::<u64>().unwrap_or_default()
}

pub(super) fn instrument_row(quote: &Quote) -> Value {
    let instrument = &quote.instrument;
    json!({
        "alias": "", "auctionEndTime": "", "baseCcy": "", "category": "1", "contTdSwTime": "1611916828000", "ctMult": "1",
        "ctType": "linear", "ctVal": plain(instrument.contract_size), "ctValCcy": instrument.base, "expTime": "",
        "futureSettlement": false, "groupId": "1", "instFamily": instrument.instrument.trim_end_matches("-SWAP"),
        "instId": instrument.instrument, "instIdCode": instrument.number, "instType": "SWAP",
        "lever": empty_or(instrument.maximum_leverage), "listTime": "1611916828000", "lotSz": plain(instrument.lot),
        "maxIcebergSz": "100000000", "maxLmtAmt": "20000000", "maxLmtSz": "100000000", "maxMktAmt": "",
        "maxMktSz": empty_or(instrument.maximum_market_size), "maxStopSz": empty_or(instrument.maximum_market_size),
        "maxTriggerSz": "100000000", "maxTwapSz": "100000000", "minSz": plain(instrument.minimum_size), "openType": "",
        "optType": "", "posLmtAmt": "250000000", "posLmtPct": "30", "preMktSwTime": "", "quoteCcy": "",
        "ruleType": "normal", "settleCcy": instrument.settle, "state": "live", "stk": "", "tickSz": plain(instrument.tick),
        "uly": instrument.instrument.trim_end_matches("-SWAP"),
    })
}

pub(super) fn ticker_row(quote: &Quote, engine: &Engine) -> Value {
    let ticker = engine.ticker(quote);
    let size =
        |size: Option<Decimal>| contracts(engine, &quote.instrument.instrument, size.unwrap_or_default());
    let price = plain(quote.price);
    json!({
        "instType": "SWAP", "instId": ticker.instrument, "last": price, "lastSz": "1", "askPx": empty_or(ticker.ask),
        "askSz": size(ticker.ask_size), "bidPx": empty_or(ticker.bid), "bidSz": size(ticker.bid_size), "open24h": price,
        "high24h": price, "low24h": price, "volCcy24h": "1000", "vol24h": "100000", "sodUtc0": price, "sodUtc8": price,
        "ts": engine.now_ms().to_string(),
    })
}

fn level_row(instrument: &Instrument, level: &Level) -> [String; 4] {
    let size = instrument
        .from_base(level.size, Some(level.price))
        .unwrap_or_default();
    let orders = if size.is_zero() { "0" } else { "1" };
    [plain(level.price), plain(size), "0".to_owned(), orders.to_owned()]
}

/// A book or its change, `depth` prices a side, with the check over the `whole` book.
pub(super) fn book_row(
    instrument: &Instrument,
    book: &Book,
    whole: &Book,
    depth: usize,
    (sequence, previous): (i64, i64),
) -> Value {
    let rows = |levels: &[Level]| -> Vec<[String; 4]> {
        levels
            .iter()
            .take(depth)
            .map(|level| level_row(instrument, level))
            .collect()
    };
    json!({
        "asks": rows(&book.asks), "bids": rows(&book.bids), "ts": book.time_ms.to_string(),
        "checksum": checksum(&rows(&whole.bids), &rows(&whole.asks)), "seqId": sequence, "prevSeqId": previous,
    })
}

pub(super) fn mark_row(quote: &Quote, engine: &Engine) -> Value {
    json!({ "instType": "SWAP", "instId": quote.instrument.instrument, "markPx": plain(quote.price),
            "ts": engine.now_ms().to_string() })
}

pub(super) fn funding_row(quote: &Quote, engine: &Engine) -> Value {
    let next = next_funding(engine.now_ms());
    json!({
        "formulaType": "withRate", "fundingRate": "0.0001", "fundingTime": next.to_string(), "impactValue": "10000",
        "instId": quote.instrument.instrument, "instType": "SWAP", "interestRate": "0.0001", "maxFundingRate": "0.00375",
        "method": "current_period", "minFundingRate": "-0.00375", "nextFundingRate": "",
        "nextFundingTime": next_funding(next).to_string(), "premium": "0", "settFundingRate": "0.0001",
        "settState": "settled", "ts": engine.now_ms().to_string(),
    })
}

/// A candle of a market that stands still.
pub(super) fn candle_row(start_ms: u64, interval_ms: u64, price: Decimal, now_ms: u64) -> Value {
    let price = plain(price);
    let confirmed = if start_ms + interval_ms <= now_ms {
        "1"
    } else {
        "0"
    };
    json!([
        start_ms.to_string(),
        price,
        price,
        price,
        price,
        "100",
        "1",
        price,
        confirmed
    ])
}
