//! Recorded messages and replies, and what becomes of them when they are damaged.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Bybit;
use crate::error::{DecodeError, Refusal, ReplyError};
use crate::model::{
    BookCheck, Cause, ContractKind, Control, Decimal, Event, Fill, InstrumentState, Liquidity, OrderKind,
    OrderStatus, PositionMode, PositionSide, Scope, Side, SizeUnit,
};
use crate::operation::{Operation, Reply};
use crate::protocol::Protocol as _;
use crate::request::Response;

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn decode_bytes(frame: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    let result = Bybit.decode(frame, Scope::Private, &Bybit.known_instruments(), &mut events);
    if result.is_err() {
        assert!(events.is_empty(), "events beside an error");
    }
    result.map(|()| events)
}

fn decode(frame: &Value) -> Result<Vec<Event>, DecodeError> {
    decode_bytes(frame.to_string().as_bytes())
}

const EXECUTION: &str = r#"{"topic":"execution","id":"1","creationTime":1746270400355,"data":[{"category":"linear","symbol":"BTCUSDT","execId":"5d-1","execPrice":"95900.1","execQty":"0.5","execValue":"47950.05","execFee":"26.37","feeRate":"0.00055","execType":"Trade","isMaker":false,"orderId":"9aac161b","orderLinkId":"mine","orderQty":"0.5","leavesQty":"0","closedSize":"0.5","side":"Sell","execTime":"1746270400353","seq":140612148849382}]}"#;

fn execution(change: impl FnOnce(&mut Value)) -> Result<Vec<Event>, DecodeError> {
    let mut frame: Value = serde_json::from_str(EXECUTION).unwrap();
    change(&mut frame["data"][0]);
    decode(&frame)
}

fn fill(events: &[Event]) -> &Fill {
    match events {
        [Event::Fill(fill), ..] => fill,
        other => panic!("no fill: {other:?}"),
    }
}

const ORDER: &str = r#"{"id":"1","topic":"order","creationTime":1672364262474,"data":[{"category":"linear","symbol":"BTCUSDT","orderId":"5cf98598","orderLinkId":"mine","side":"Buy","orderType":"Limit","price":"30000.50","qty":"0.100","timeInForce":"GTC","orderStatus":"PartiallyFilled","cancelType":"UNKNOWN","rejectReason":"EC_NoError","leavesQty":"0.04","cumExecQty":"0.060","cumExecValue":"1800.03","avgPrice":"30000.40","cumExecFee":"1.65","positionIdx":1,"reduceOnly":false,"closeOnTrigger":false,"stopOrderType":"","triggerPrice":"","createType":"CreateByUser","createdTime":"1672364262444","updatedTime":"1672364262457"}]}"#;

fn order(change: impl FnOnce(&mut Value)) -> Result<Vec<Event>, DecodeError> {
    let mut frame: Value = serde_json::from_str(ORDER).unwrap();
    change(&mut frame["data"][0]);
    decode(&frame)
}

#[test]
fn a_fill_says_all_but_its_position() {
    let events = decode_bytes(EXECUTION.as_bytes()).unwrap();
    let [Event::Fill(fill)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(
        (fill.side, fill.size, fill.price),
        (Side::Sell, dec("0.5"), dec("95900.1"))
    );
    assert_eq!(
        (fill.trade_id.as_str(), fill.client_order_id.as_deref()),
        ("5d-1", Some("mine"))
    );
    let fee = fill.fee.as_ref().unwrap();
    assert_eq!((fee.amount, fee.asset.as_str()), (dec("26.37"), "USDT"));
    assert_eq!(
        (fill.liquidity, fill.position_side),
        (Some(Liquidity::Taker), None)
    );
    assert_eq!(fill.cause, Cause::User);
}

#[test]
fn the_cause_of_a_fill_is_known() {
    for (word, expected) in [
        ("BustTrade", Cause::Liquidation),
        ("AdlTrade", Cause::AutoDeleveraging),
        ("Settle", Cause::Settlement),
        ("Delivery", Cause::Settlement),
        ("BlockTrade", Cause::Transfer),
        ("MovePosition", Cause::Transfer),
    ] {
        let events = execution(|fields| fields["execType"] = word.into()).unwrap();
        assert_eq!(fill(&events).cause, expected, "{word}");
    }
    // A trade of an order that the venue made.
    let events = execution(|fields| fields["createType"] = "CreateByLiq".into()).unwrap();
    assert_eq!(fill(&events).cause, Cause::Liquidation);
    // Funding is no fill.
    let events = execution(|fields| fields["execType"] = "Funding".into()).unwrap();
    assert!(matches!(
        events.as_slice(),
        [Event::Control(Control::Notice { .. })]
    ));
    assert!(execution(|fields| fields["execType"] = "Magic".into()).is_err());
}

#[test]
fn inverse_sizes_become_base_units() {
    let inverse = |symbol: &str| {
        execution(|fields| {
            fields["category"] = "inverse".into();
            fields["symbol"] = symbol.into();
            fields["execQty"] = "100".into();
            fields["execPrice"] = "50000".into();
        })
    };
    let events = inverse("BTCUSD").unwrap();
    assert_eq!(fill(&events).size, dec("0.002"));
    assert_eq!(fill(&events).fee.as_ref().unwrap().asset, "BTC");
    assert!(matches!(
        inverse("ADAUSD"),
        Err(DecodeError::UnknownInstrument(_))
    ));
}

#[test]
fn unknown_words_and_other_products_are_refused() {
    for (name, value) in [
        ("side", json!("SELL")),
        ("side", json!("")),
        ("category", json!("spot")),
        ("category", json!("option")),
        ("category", json!("swap")),
        ("execQty", json!("0")),
        ("execQty", json!("-1")),
        ("execQty", json!("x")),
        ("execPrice", json!("0")),
        ("execId", json!("")),
        ("execTime", json!("-1")),
    ] {
        assert!(
            execution(|fields| fields[name] = value.clone()).is_err(),
            "{name}: {value}"
        );
    }
    for (name, value) in [
        ("side", json!("buy")),
        ("orderType", json!("UNKNOWN")),
        ("timeInForce", json!("FOREVER")),
        ("orderStatus", json!("Done")),
        ("positionIdx", json!(3)),
        ("createType", json!("CreateByMagic")),
        ("stopOrderType", json!("Magic")),
        ("qty", json!("much")),
    ] {
        assert!(
            order(|fields| fields[name] = value.clone()).is_err(),
            "{name}: {value}"
        );
    }
    for name in [
        "category",
        "symbol",
        "execId",
        "execPrice",
        "execQty",
        "execType",
        "side",
        "orderId",
        "execTime",
    ] {
        let removed = execution(|fields| {
            fields.as_object_mut().unwrap().remove(name);
        });
        assert!(removed.is_err(), "{name}");
    }
}

#[test]
fn one_bad_item_refuses_the_whole_frame() {
    let mut frame: Value = serde_json::from_str(EXECUTION).unwrap();
    let mut second = frame["data"][0].clone();
    second["side"] = "Nobody".into();
    frame["data"].as_array_mut().unwrap().push(second);
    assert!(decode(&frame).is_err());
}

#[test]
fn a_fast_fill_has_the_key_of_the_full_one() {
    let mut fast: Value = serde_json::from_str(EXECUTION).unwrap();
    fast["topic"] = "execution.fast".into();
    let fields = fast["data"][0].as_object_mut().unwrap();
    fields.retain(|name, _| {
        [
            "category",
            "symbol",
            "execId",
            "execPrice",
            "execQty",
            "orderId",
            "orderLinkId",
            "isMaker",
            "side",
            "execTime",
        ]
        .contains(&name.as_str())
    });
    let fast = decode(&fast).unwrap();
    let full = decode_bytes(EXECUTION.as_bytes()).unwrap();
    let mut expected = fill(&full).clone();
    expected.fee = None;
    assert_eq!(fill(&fast), &expected);
}

#[test]
fn orders_are_read() {
    let events = decode_bytes(ORDER.as_bytes()).unwrap();
    let [Event::Order(read)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((read.side, read.position_side), (Side::Buy, PositionSide::Long));
    assert_eq!(
        (read.status, read.order_kind),
        (OrderStatus::PartiallyFilled, OrderKind::Limit)
    );
    assert_eq!((read.size, read.filled), (Some(dec("0.1")), dec("0.06")));
    assert_eq!(
        (read.price, read.average_price),
        (Some(dec("30000.50")), Some(dec("30000.40")))
    );
    assert_eq!(read.trigger_price, None);

    // Cancelled after a part of it was filled: the part stays.
    let events = order(|fields| fields["orderStatus"] = "Cancelled".into()).unwrap();
    assert!(matches!(events.as_slice(), [Event::Order(order)]
        if order.status == OrderStatus::Cancelled && order.filled == dec("0.06")));
    // A market order's price is the worst it would have taken.
    let events = order(|fields| fields["orderType"] = "Market".into()).unwrap();
    assert!(matches!(events.as_slice(), [Event::Order(order)] if order.price.is_none()));
    let events = order(|fields| {
        fields["stopOrderType"] = "StopLoss".into();
        fields["triggerPrice"] = "29000".into();
        fields["orderStatus"] = "Untriggered".into();
        fields["cumExecQty"] = "0".into();
        fields["avgPrice"] = "".into();
        fields["qty"] = "0".into();
        fields["closeOnTrigger"] = true.into();
    })
    .unwrap();
    assert!(matches!(events.as_slice(), [Event::Order(order)]
        if order.order_kind == OrderKind::StopLimit && order.trigger_price == Some(dec("29000"))
            && order.size.is_none() && order.reduce_only && order.status == OrderStatus::Untriggered));
    let events = order(|fields| fields["createType"] = "CreateByLiq".into()).unwrap();
    assert!(matches!(events.as_slice(), [Event::Order(order)] if order.cause == Cause::Liquidation));
}

#[test]
fn positions_are_signed_and_closed_ones_told() {
    let position = |side: &str, size: &str, index: u8, status: &str| {
        decode(
            &json!({"topic":"position","id":"1","creationTime":1,"data":[{"category":"linear","symbol":"BTCUSDT",
            "side":side,"size":size,"positionIdx":index,"entryPrice":"100","leverage":"10","liqPrice":"",
            "tradeMode":0,"positionStatus":status,"updatedTime":"5","markPrice":"101","unrealisedPnl":"1"}]}),
        )
    };
    let size = |events: &[Event]| match events {
        [Event::Position(position), ..] => position.size,
        other => panic!("{other:?}"),
    };
    assert_eq!(size(&position("Sell", "3", 2, "Normal").unwrap()), dec("-3"));
    assert_eq!(size(&position("Buy", "3", 0, "Normal").unwrap()), dec("3"));
    assert_eq!(size(&position("", "0", 0, "Normal").unwrap()), dec("0"));
    assert!(position("Buy", "3", 2, "Normal").is_err());
    assert!(position("", "3", 0, "Normal").is_err());
    assert!(position("Buy", "3", 0, "Gone").is_err());
    let liquidated = position("Buy", "3", 0, "Liq").unwrap();
    assert!(matches!(
        liquidated.as_slice(),
        [_, Event::Control(Control::MarginCall { .. })]
    ));
}

#[test]
fn the_connections_own_messages_are_controls() {
    for (frame, expected) in [
        (
            json!({"success":true,"ret_msg":"pong","op":"ping"}),
            Control::Pong,
        ),
        (
            json!({"req_id":"2","op":"pong","args":["1757405570352"],"conn_id":"x"}),
            Control::Pong,
        ),
        (
            json!({"success":true,"ret_msg":"pong","conn_id":"x","request":{"op":"ping","args":null}}),
            Control::Pong,
        ),
        (
            json!({"success":true,"ret_msg":"","op":"auth","conn_id":"x"}),
            Control::LoggedIn { valid_seconds: None },
        ),
        (
            json!({"retCode":0,"retMsg":"OK","op":"auth","connId":"x"}),
            Control::LoggedIn { valid_seconds: None },
        ),
        (
            json!({"retCode":10004,"retMsg":"error sign","op":"auth","connId":"x"}),
            Control::LoginRefused {
                code: "10004".into(),
                message: "error sign".into(),
            },
        ),
        (
            json!({"success":false,"ret_msg":"Params Error","op":"auth","conn_id":"x"}),
            Control::LoginRefused {
                code: "".into(),
                message: "Params Error".into(),
            },
        ),
        (
            json!({"success":true,"ret_msg":"","conn_id":"x","req_id":"1","op":"subscribe"}),
            Control::Subscribed { topic: "".into() },
        ),
        (
            json!({"success":false,"ret_msg":"error:handler not found","conn_id":"x","req_id":"1","op":"subscribe"}),
            Control::Refused {
                code: "".into(),
                message: "error:handler not found".into(),
            },
        ),
        (
            json!({"reqId":"7","retCode":0,"retMsg":"OK","op":"order.create","data":{},"connId":"x"}),
            Control::Answered { id: "7".into() },
        ),
    ] {
        assert_eq!(decode(&frame).unwrap(), [Event::Control(expected)], "{frame}");
    }
    // What we would say ourselves is no answer.
    assert!(decode(&json!({"op":"auth","args":["key","1","sign"]})).is_err());
}

#[test]
fn market_data_is_read() {
    let one = |frame: Value| decode(&frame).unwrap().remove(0);
    assert!(matches!(
        one(json!({"topic":"orderbook.50.BTCUSDT","type":"delta","ts":5,"data":{"s":"BTCUSDT","b":[["1","0"]],"a":[],
                   "u":7,"seq":9}})),
        Event::Book(book) if !book.snapshot && book.bids[0].size.is_zero()
            && book.check == BookCheck::Sequence { first: 7, last: 7, previous: None }
    ));
    // The count starts again: this is the whole book.
    assert!(matches!(
        one(json!({"topic":"orderbook.50.BTCUSDT","type":"delta","ts":5,"data":{"s":"BTCUSDT","b":[],"a":[],"u":1,
                   "seq":9}})),
        Event::Book(book) if book.snapshot
    ));
    assert!(matches!(
        one(json!({"topic":"publicTrade.BTCUSD","type":"snapshot","ts":5,"data":[{"T":4,"s":"BTCUSD","S":"Sell",
                   "v":"100","p":"50000","i":"a","BT":false}]})),
        Event::Trade(trade) if trade.side == Side::Sell && trade.size == dec("0.002")
    ));
    assert!(matches!(
        one(json!({"topic":"kline.60.BTCUSD","type":"snapshot","ts":5,"data":[{"start":1,"end":2,"interval":"60",
                   "open":"1","close":"2","high":"3","low":"1","volume":"100","turnover":"0.5","confirm":true,
                   "timestamp":3}]})),
        Event::Kline(kline) if kline.volume == dec("0.5") && kline.closed == Some(true)
    ));
    // Another instrument than the topic's.
    assert!(
        decode(&json!({"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":5,"data":[{"T":4,"s":"ETHUSDT","S":"Sell",
                       "v":"1","p":"1","i":"a","BT":false}]}))
        .is_err()
    );
    assert!(decode(&json!({"topic":"order.spot","creationTime":1,"data":[]})).is_err());
    assert!(decode(&json!({"topic":"order.linear","creationTime":1,"data":[]})).is_ok());
}

// ------------------------------------------------------------------------------------------------------------- replies

fn recorded(function: &str, line: u64) -> Vec<String> {
    let file: Value = serde_json::from_str(include_str!("../../../tests/fixtures/bybit/rest.json")).unwrap();
    file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["fn"] == function && case["line"] == line)
        .map(|case| case["payload"].to_string())
        .collect()
}

fn reply(operation: &str, parameters: Value, body: &str) -> Result<Reply, ReplyError> {
    let operation: Operation =
        serde_json::from_value(json!({"operation": operation, "parameters": parameters})).unwrap();
    Bybit.reply(&operation, &Response::ok(body), &Bybit.known_instruments())
}

fn named(instrument: &str) -> Value {
    json!({"instrument": instrument})
}

fn result(category: &str, list: Value) -> String {
    json!({"retCode":0,"retMsg":"OK","result":{"category":category,"list":list},"retExtInfo":{},"time":1})
        .to_string()
}

#[test]
fn the_list_of_instruments_is_read() {
    let Ok(Reply::Instruments(list)) =
        reply("instruments", json!({}), &recorded("fetchFutureMarkets", 2150)[0])
    else {
        panic!();
    };
    let [bitcoin] = list.as_slice() else { panic!() };
    assert_eq!(
        (bitcoin.tick, bitcoin.lot, bitcoin.minimum_size),
        (dec("0.50"), dec("0.001"), dec("0.001"))
    );
    assert_eq!(
        (bitcoin.maximum_market_size, bitcoin.maximum_leverage),
        (Some(dec("100")), Some(dec("100")))
    );
    assert_eq!(
        (bitcoin.kind, bitcoin.state),
        (ContractKind::Linear, InstrumentState::Trading)
    );
    let inverse = json!([{"symbol":"BTCUSD","contractType":"InversePerpetual","status":"PreLaunch","baseCoin":"BTC",
        "quoteCoin":"USD","settleCoin":"BTC","priceFilter":{"tickSize":"0.10"},
        "lotSizeFilter":{"qtyStep":"1","minOrderQty":"1","maxOrderQty":"25","maxMktOrderQty":"5",
                         "minNotionalValue":"5"}}]);
    let Ok(Reply::Instruments(list)) = reply("instruments", json!({}), &result("inverse", inverse)) else {
        panic!();
    };
    assert_eq!(
        (list[0].kind, list[0].size_unit),
        (ContractKind::Inverse, SizeUnit::Quote)
    );
    assert_eq!(
        (list[0].settle.as_str(), list[0].state),
        ("BTC", InstrumentState::Halted)
    );
    assert_eq!(
        (list[0].maximum_market_size, list[0].minimum_notional),
        (Some(dec("5")), Some(dec("5")))
    );
    assert!(reply("instruments", json!({}), &recorded("fetchSpotMarkets", 2003)[0]).is_err());
    assert!(reply("instruments", json!({}), &recorded("fetchOptionMarkets", 2347)[0]).is_err());
}

#[test]
fn market_replies_are_read() {
    assert!(matches!(
        reply("server_time", json!({}), &recorded("fetchTime", 1802)[0]),
        Ok(Reply::Time(1_666_879_482_792))
    ));
    let inverse = &recorded("fetchTicker", 2607)[0];
    assert!(matches!(
        reply("ticker", named("BTCUSD"), inverse),
        Ok(Reply::Ticker(ticker)) if ticker.bid == Some(dec("16596")) && ticker.mark == Some(dec("16596"))
            && ticker.bid_size.is_some_and(|size| size < dec("0.0001"))
    ));
    assert!(reply("ticker", named("ETHUSD"), inverse).is_err());
    let linear = &recorded("fetchFundingRates", 3021)[0];
    assert!(
        matches!(reply("mark", named("BTCUSDT"), linear), Ok(Reply::Mark(mark)) if mark.price == dec("19255"))
    );
    assert!(matches!(
        reply("funding", named("BTCUSDT"), linear),
        Ok(Reply::Funding(funding)) if funding.rate == dec("0.0001")
            && funding.next_time_ms == Some(1_663_689_600_000)
    ));
    assert!(matches!(
        reply("book", named("BTCUSDT"), &recorded("fetchOrderBook", 3511)[0]),
        Ok(Reply::Book(book)) if book.snapshot && book.asks[0].price == dec("16638.64")
    ));
    let kline = json!({"instrument": "BTCUSD", "interval": "1h"});
    assert!(matches!(
        reply("klines", kline, &recorded("fetchOHLCV", 2880)[0]),
        Ok(Reply::Klines(klines)) if klines.len() == 3 && klines[0].start_ms == 1_670_601_600_000
            && klines[2].volume == dec("15.74462667")
    ));
    // The recorded trades are spot's.
    assert!(reply("trades", named("BTCUSDT"), &recorded("fetchTrades", 3442)[0]).is_err());
    let trades = json!([{"execId":"b","symbol":"BTCUSDT","price":"2","size":"1","side":"Buy","time":"2"},
                        {"execId":"a","symbol":"BTCUSDT","price":"1","size":"1","side":"Sell","time":"1"}]);
    assert!(matches!(
        reply("trades", named("BTCUSDT"), &result("linear", trades)),
        Ok(Reply::Trades(trades)) if trades[0].trade_id == "a" && trades[0].side == Side::Sell
    ));
}

#[test]
fn account_replies_are_read() {
    let balances = recorded("fetchBalance", 3783);
    assert!(matches!(
        reply("balances", json!({}), &balances[2]),
        Ok(Reply::Balances(balances)) if balances[0].asset == "BTC" && balances[0].wallet == dec("0.805994")
    ));
    assert!(reply("balances", json!({}), &balances[0]).is_err());
    let position = &recorded("fetchPosition", 6701)[0];
    assert!(matches!(
        reply("positions", json!({}), position),
        Ok(Reply::Positions(positions)) if positions[0].size == dec("100")
            && positions[0].entry_price == Some(dec("0.3615")) && positions[0].leverage == Some(dec("10"))
    ));
    assert!(matches!(
        reply("leverage", named("XRPUSDT"), position),
        Ok(Reply::Leverage(leverage)) if leverage[0].leverage == dec("10")
    ));
    let mode = |indices: &[u8]| {
        let list: Vec<Value> = indices
            .iter()
            .map(|index| json!({"symbol":"BTCUSDT","side":"","size":"0","positionIdx":index,"avgPrice":"0"}))
            .collect();
        reply("account_mode", json!({}), &result("linear", json!(list)))
    };
    assert!(matches!(mode(&[0]), Ok(Reply::AccountMode(mode)) if mode.position_mode == PositionMode::OneWay));
    assert!(
        matches!(mode(&[1, 2]), Ok(Reply::AccountMode(mode)) if mode.position_mode == PositionMode::Hedge)
    );
    assert!(mode(&[]).is_err());
    assert!(mode(&[0, 1]).is_err());
    // A full page is not the whole list.
    let page: Vec<Value> = (0..200)
        .map(|_| json!({"symbol":"BTCUSDT","side":"","size":"0","positionIdx":0,"avgPrice":"0"}))
        .collect();
    assert!(reply("positions", json!({}), &result("linear", json!(page))).is_err());
}

#[test]
fn orders_and_fills_are_read() {
    let Ok(Reply::Orders(orders)) = reply("open_orders", json!({}), &recorded("fetchOpenOrders", 5812)[0])
    else {
        panic!();
    };
    assert_eq!(
        (orders[0].status, orders[0].side),
        (OrderStatus::Filled, Side::Sell)
    );
    assert_eq!((orders[0].filled, orders[0].reduce_only), (dec("0.001"), true));
    assert!(matches!(
        reply("order", named("BTCUSDT"), &result("linear", json!([]))),
        Err(ReplyError::Refused(error)) if error.refusal == Refusal::NotFound
    ));
    // Spot's.
    assert!(reply("order", named("BTCUSDT"), &recorded("fetchOrder", 5342)[0]).is_err());
    let Ok(Reply::Fills(fills)) = reply("fills", named("ETHPERP"), &recorded("fetchMyTrades", 5945)[0])
    else {
        panic!();
    };
    assert_eq!(
        (fills[0].side, fills[0].size, fills[0].cause),
        (Side::Buy, dec("0.1"), Cause::User)
    );
    assert_eq!(fills[0].fee.as_ref().unwrap().asset, "USDC");
}

#[test]
fn acts_are_acknowledged_one_by_one() {
    let Ok(Reply::Acknowledged(list)) = reply(
        "place_orders",
        json!({"orders": []}),
        &recorded("createOrders", 4650)[0],
    ) else {
        panic!();
    };
    let [Err(refused), Ok(taken)] = list.as_slice() else {
        panic!("{list:?}");
    };
    assert_eq!(
        (refused.refusal, refused.code.as_str()),
        (Refusal::Rejected, "10001")
    );
    assert_eq!(
        taken.order_id.as_deref(),
        Some("3c9f65b6-01ad-4ac0-9741-df17e02a4223")
    );
    assert!(matches!(
        reply("cancel_orders", json!({"orders": []}), &recorded("cancelOrders", 5020)[0]),
        Ok(Reply::Acknowledged(list)) if list.len() == 2 && list.iter().all(Result::is_ok)
    ));
    for (operation, function, line) in [
        ("amend_order", "editOrder", 4800),
        ("cancel_order", "cancelOrder", 4956),
    ] {
        let Ok(Reply::Acknowledged(list)) = reply(operation, named("BTCUSDT"), &recorded(function, line)[0])
        else {
            panic!("{operation}");
        };
        assert_eq!(
            list[0].as_ref().unwrap().order_id.as_deref(),
            Some("c6f055d9-7f21-4079-913d-e6523a9cfffa")
        );
    }
    assert!(matches!(
        reply(
            "set_position_mode",
            json!({"position_mode": "hedge"}),
            &recorded("setPositionMode", 7341)[0]
        ),
        Ok(Reply::Done)
    ));
    assert!(matches!(
        reply(
            "cancel_all_orders",
            json!({}),
            &recorded("cancelAllOrders", 5232)[0]
        ),
        Ok(Reply::Done)
    ));
    // What cannot be read is no success.
    for body in ["{}", "<html>", r#"{"retCode":0,"result":{"orderId":""}}"#] {
        assert!(
            matches!(
                reply("cancel_order", named("BTCUSDT"), body),
                Err(ReplyError::Unreadable(_))
            ),
            "{body}"
        );
    }
    assert!(matches!(
        reply("ticker", named("BTCUSDT"), &recorded("handleErrors", 10104)[1]),
        Err(ReplyError::Refused(error)) if error.refusal == Refusal::Rejected
    ));
    assert!(matches!(
        reply("set_leverage", json!({"instrument":"BTCUSDT","leverage":"5"}),
              r#"{"retCode":110043,"retMsg":"leverage not modified","result":{},"retExtInfo":{},"time":1}"#),
        Err(ReplyError::Refused(error)) if error.refusal == Refusal::AlreadyDone
    ));
    let lost = Response {
        status: 502,
        headers: Vec::new(),
        body: b"<html>".to_vec(),
    };
    let place =
        serde_json::from_value(json!({"operation":"place_orders","parameters":{"orders":[]}})).unwrap();
    assert!(matches!(
        Bybit.reply(&place, &lost, &Bybit.known_instruments()),
        Err(ReplyError::Refused(error)) if error.refusal == Refusal::Unknown
    ));
}

// ------------------------------------------------------------------------------------------------------------- damage

/// Where the values of these members stand in the frame, with their quotes.
fn spans(frame: &str, members: &[&str]) -> Vec<std::ops::Range<usize>> {
    members
        .iter()
        .map(|member| {
            let start = frame.find(&format!("\"{member}\":")).unwrap() + member.len() + 3;
            let end = start + frame[start..].find([',', '}']).unwrap();
            start..end
        })
        .collect()
}

fn sides_and_sizes(events: &[Event]) -> Vec<(Side, Option<Decimal>)> {
    events
        .iter()
        .map(|event| match event {
            Event::Fill(fill) => (fill.side, Some(fill.size)),
            Event::Order(order) => (order.side, order.size),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// With one byte replaced a frame is refused or says the same, unless the byte was in a size.
fn damage(frame: &str, at: usize, byte: u8, sizes: &[&str]) -> Result<(), TestCaseError> {
    let at = at % frame.len();
    let mut damaged = frame.as_bytes().to_vec();
    damaged[at] = byte;
    let decoded = decode_bytes(&damaged);
    let within = |members: &[&str]| spans(frame, members).iter().any(|span| span.contains(&at));
    if within(&["side"]) && damaged != frame.as_bytes() {
        // White space around a word changes nothing.
        prop_assert!(decoded.is_err() || byte.is_ascii_whitespace());
    } else if let Ok(events) = decoded
        && !within(sizes)
    {
        prop_assert_eq!(
            sides_and_sizes(&events),
            sides_and_sizes(&decode_bytes(frame.as_bytes()).unwrap())
        );
    }
    Ok(())
}

/// Follows the steps through members and items and puts `replacement` where they end.
fn replace_at(value: &mut Value, path: &[usize], replacement: &Value) {
    let [step, rest @ ..] = path else {
        *value = replacement.clone();
        return;
    };
    match value {
        Value::Object(members) if !members.is_empty() => {
            let step = step % members.len();
            replace_at(members.values_mut().nth(step).unwrap(), rest, replacement);
        }
        Value::Array(list) if !list.is_empty() => {
            let step = step % list.len();
            replace_at(&mut list[step], rest, replacement);
        }
        other => *other = replacement.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_frames_are_refused_or_say_the_same(at in any::<usize>(), byte in any::<u8>()) {
        damage(EXECUTION, at, byte, &["execQty"])?;
        damage(ORDER, at, byte, &["qty", "cumExecQty"])?;
    }

    #[test]
    fn cut_frames_are_refused(length in 0..EXECUTION.len()) {
        prop_assert!(decode_bytes(&EXECUTION.as_bytes()[..length]).is_err());
    }

    #[test]
    fn anything_is_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_bytes(&bytes);
    }

    #[test]
    fn recorded_frames_with_members_removed_or_replaced_never_panic(
        index in 0..36_usize, path in proptest::collection::vec(0..20_usize, 1..4), with in 0..6_usize,
    ) {
        let file: Value = serde_json::from_str(include_str!("../../../tests/fixtures/bybit/ws.json")).unwrap();
        let mut frame = file["cases"][index]["payload"].clone();
        let replacement = [json!(null), json!(""), json!(-1), json!([]), json!({}), json!("x")][with].clone();
        replace_at(&mut frame, &path, &replacement);
        let _ = decode(&frame);
    }
}
