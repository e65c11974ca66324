//! Recorded messages and replies, and what becomes of them when they are damaged.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Binance;
use crate::error::{DecodeError, Refusal, ReplyError};
use crate::model::{
    BookCheck, Cause, Control, Decimal, Event, Fill, InstrumentState, Liquidity, MarginMode, OrderKind,
    OrderStatus, PositionMode, PositionSide, Scope, Side, TimeInForce,
};
use crate::operation::{Operation, Reply};
use crate::protocol::Protocol as _;
use crate::request::Response;

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn decode_bytes(frame: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    let result = Binance.decode(frame, Scope::Private, &Binance.known_instruments(), &mut events);
    if result.is_err() {
        assert!(events.is_empty(), "events beside an error");
    }
    result.map(|()| events)
}

fn decode(frame: &Value) -> Result<Vec<Event>, DecodeError> {
    decode_bytes(frame.to_string().as_bytes())
}

const FILL: &str = r#"{"e":"ORDER_TRADE_UPDATE","T":1568879465651,"E":1568879465652,"o":{"s":"BTCUSDT","c":"TEST","S":"BUY","o":"LIMIT","f":"GTC","q":"0.003","p":"7100.50","ap":"7100.50","sp":"0","x":"TRADE","X":"PARTIALLY_FILLED","i":8886774,"l":"0.001","z":"0.002","L":"7100.40","N":"USDT","n":"0.01000000","T":1568879465651,"t":12345678,"b":"0","a":"0","m":true,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"LONG","cp":false,"AP":"0","cr":"0","pP":false,"si":0,"ss":0,"rp":"12.34","V":"EXPIRE_TAKER"}}"#;

fn order_update(change: impl FnOnce(&mut Value)) -> Result<Vec<Event>, DecodeError> {
    let mut frame: Value = serde_json::from_str(FILL).unwrap();
    change(&mut frame["o"]);
    decode(&frame)
}

fn fill(events: &[Event]) -> &Fill {
    match events {
        [Event::Fill(fill), ..] => fill,
        other => panic!("no fill: {other:?}"),
    }
}

#[test]
fn a_fill_comes_before_the_state_of_its_order() {
    let events = decode_bytes(FILL.as_bytes()).unwrap();
    let [Event::Fill(fill), Event::Order(order)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(fill.trade_id, "12345678");
    assert_eq!(
        (fill.side, fill.size, fill.price),
        (Side::Buy, dec("0.001"), dec("7100.40"))
    );
    assert_eq!(fill.position_side, Some(PositionSide::Long));
    assert_eq!(fill.fee.as_ref().unwrap().amount, dec("0.01"));
    assert_eq!(
        (fill.liquidity, fill.cause),
        (Some(Liquidity::Maker), Cause::User)
    );
    assert_eq!(order.status, OrderStatus::PartiallyFilled);
    assert_eq!((order.size, order.filled), (Some(dec("0.003")), dec("0.002")));
    assert_eq!(order.average_price, Some(dec("7100.50")));
    assert_eq!(order.trigger_price, None);
}

#[test]
fn an_order_that_was_not_filled_now_gives_no_fill() {
    for (x, status, expected) in [
        ("NEW", "NEW", OrderStatus::Open),
        ("CANCELED", "CANCELED", OrderStatus::Cancelled),
        ("EXPIRED", "EXPIRED_IN_MATCH", OrderStatus::Expired),
        ("AMENDMENT", "PARTIALLY_FILLED", OrderStatus::PartiallyFilled),
    ] {
        let events = order_update(|order| {
            order["x"] = x.into();
            order["X"] = status.into();
        })
        .unwrap();
        assert!(
            matches!(events.as_slice(), [Event::Order(order)] if order.status == expected),
            "{x}: {events:?}"
        );
    }
}

#[test]
fn the_cause_of_a_fill_is_known() {
    for (client_id, expected) in [
        ("web_1", Cause::User),
        ("autoclose-1596107620040000020", Cause::Liquidation),
        ("adl_autoclose", Cause::AutoDeleveraging),
        ("settlement_autoclose-1", Cause::Settlement),
    ] {
        let events = order_update(|order| order["c"] = client_id.into()).unwrap();
        assert_eq!(fill(&events).cause, expected, "{client_id}");
        let lite = json!({"e":"TRADE_LITE","E":1,"T":1,"s":"BTCUSDT","c":client_id,"S":"SELL","q":"0.001","p":"0",
                          "i":8886774,"l":"0.001","L":"7100.50","t":12345678,"m":true});
        assert_eq!(fill(&decode(&lite).unwrap()).cause, expected, "{client_id}");
    }
    let events = order_update(|order| order["x"] = "CALCULATED".into()).unwrap();
    assert_eq!(fill(&events).cause, Cause::Liquidation);
    let events = order_update(|order| {
        order["x"] = "CALCULATED".into();
        order["t"] = 0.into();
    })
    .unwrap();
    assert!(matches!(events.as_slice(), [Event::Order(order)] if order.cause == Cause::Liquidation));
    let events = order_update(|order| order["X"] = "NEW_ADL".into()).unwrap();
    assert_eq!(fill(&events).cause, Cause::AutoDeleveraging);
}

#[test]
fn unknown_words_and_contradictions_are_refused() {
    for (name, value) in [
        ("S", json!("buy")),
        ("S", json!("")),
        ("ps", json!("NET")),
        ("o", json!("MAGIC")),
        ("f", json!("FOREVER")),
        ("x", json!("TRADES")),
        ("X", json!("DONE")),
        ("l", json!("0")),
        ("l", json!("-0.001")),
        ("l", json!("0.0021")),
        ("l", json!("abc")),
        ("L", json!("0")),
        ("t", json!(0)),
        ("s", json!("BTCUSD_PERP")),
        ("s", json!("BTC-260925-60000-C")),
        ("m", json!("true")),
    ] {
        assert!(
            order_update(|order| order[name] = value.clone()).is_err(),
            "{name}: {value}"
        );
    }
    for name in [
        "s", "c", "S", "o", "f", "q", "x", "X", "i", "l", "z", "L", "T", "t", "m", "ps", "R",
    ] {
        let removed = order_update(|order| {
            order.as_object_mut().unwrap().remove(name);
        });
        assert!(removed.is_err(), "{name}");
    }
}

#[test]
fn a_light_fill_has_the_key_of_the_full_one() {
    let lite = json!({"e":"TRADE_LITE","E":1,"T":2,"s":"BTCUSDT","c":"TEST","S":"BUY","q":"0.003","p":"7100.50",
                      "i":8886774,"l":"0.001","L":"7100.40","t":12345678,"m":true});
    let light = decode(&lite).unwrap();
    let full = decode_bytes(FILL.as_bytes()).unwrap();
    let key = |fill: &Fill| {
        (
            fill.instrument.clone(),
            fill.trade_id.clone(),
            fill.order_id.clone(),
            fill.side,
            fill.size,
            fill.price,
        )
    };
    assert_eq!(key(fill(&light)), key(fill(&full)));
    assert_eq!(fill(&light).position_side, None);
}

#[test]
fn conditional_orders_wait_and_become_others() {
    for (word, filled, expected) in [
        ("NEW", "0", OrderStatus::Untriggered),
        ("TRIGGERED", "0", OrderStatus::Triggered),
        ("FINISHED", "0.01", OrderStatus::Filled),
        ("FINISHED", "0.005", OrderStatus::Cancelled),
        ("EXPIRED", "0", OrderStatus::Expired),
    ] {
        let frame = json!({"e":"ALGO_UPDATE","T":5,"E":6,"o":{"caid":"a","aid":2148719,"at":"CONDITIONAL",
            "o":"STOP_MARKET","s":"BNBUSDT","S":"SELL","ps":"BOTH","f":"GTC","q":"0.01","X":word,"ai":"","ap":"0",
            "aq":filled,"act":"0","tp":"750","p":"0","cp":false,"R":true}});
        let events = decode(&frame).unwrap();
        let [Event::Order(order)] = events.as_slice() else {
            panic!("{events:?}");
        };
        assert_eq!(order.status, expected, "{word}");
        assert_eq!(order.order_kind, OrderKind::StopMarket);
        assert_eq!(order.trigger_price, Some(dec("750")));
        assert_eq!(order.price, None);
    }
}

#[test]
fn positions_are_signed_in_hedge_mode_too() {
    let update = |amount: &str, side: &str| {
        decode(
            &json!({"e":"ACCOUNT_UPDATE","T":1,"E":1,"a":{"m":"ORDER","B":[],"P":[
            {"s":"BTCUSDT","pa":amount,"ep":"6563.6","up":"1","mt":"isolated","ps":side}]}}),
        )
    };
    let size = |events: Vec<Event>| match events.as_slice() {
        [Event::Position(position)] => position.size,
        other => panic!("{other:?}"),
    };
    assert_eq!(size(update("-10", "SHORT").unwrap()), dec("-10"));
    assert_eq!(size(update("-10", "BOTH").unwrap()), dec("-10"));
    assert_eq!(size(update("20", "LONG").unwrap()), dec("20"));
    assert!(update("10", "SHORT").is_err());
    assert!(update("-20", "LONG").is_err());
}

#[test]
fn the_connections_own_messages_are_controls() {
    for (frame, expected) in [
        (
            json!({"result":null,"id":1}),
            Control::Answered { id: "1".into() },
        ),
        (
            json!({"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":1}),
            Control::Refused {
                code: "2".into(),
                message: "Invalid request: invalid stream".into(),
            },
        ),
        (
            json!({"e":"listenKeyExpired","E":1,"listenKey":"k"}),
            Control::SessionExpired,
        ),
        (
            json!({"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ac":{"s":"BTCUSDT","l":25}}),
            Control::LeverageChanged {
                instrument: "BTCUSDT".into(),
                leverage: dec("25"),
            },
        ),
        (
            json!({"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ai":{"j":true}}),
            Control::Notice {
                message: "multi-assets margin on".into(),
            },
        ),
        (
            json!({"e":"MARGIN_CALL","E":1,"cw":"3","p":[{"s":"ETHUSDT","ps":"LONG","pa":"1"}]}),
            Control::MarginCall {
                message: "ETHUSDT".into(),
            },
        ),
    ] {
        assert_eq!(decode(&frame).unwrap(), [Event::Control(expected)], "{frame}");
    }
}

#[test]
fn market_data_is_that_of_futures() {
    let one = |frame: Value| decode(&frame).unwrap().remove(0);
    assert!(matches!(
        one(json!({"e":"bookTicker","u":1,"E":1,"T":2,"s":"BNBUSDT","b":"25.35","B":"31.21","a":"25.36","A":"40.66"})),
        Event::Ticker(ticker) if ticker.bid == Some(dec("25.35")) && ticker.ask_size == Some(dec("40.66"))
            && ticker.time_ms == 2
    ));
    assert!(matches!(
        one(json!({"e":"depthUpdate","E":1,"T":2,"s":"BTCUSDT","U":157,"u":160,"pu":149,"b":[["0.0024","10"]],"a":[]})),
        Event::Book(book) if book.check == BookCheck::Sequence { first: 157, last: 160, previous: Some(149) }
            && !book.snapshot && book.bids.len() == 1
    ));
    // The buyer rested in the book: the taker sold.
    assert!(matches!(
        one(json!({"e":"aggTrade","E":1,"a":5933014,"s":"BTCUSDT","p":"0.001","q":"100","f":100,"l":105,"T":2,"m":true})),
        Event::Trade(trade) if trade.side == Side::Sell && trade.trade_id == "5933014"
    ));
    assert!(matches!(
        one(json!({"stream":"btcusdt@trade","data":{"e":"trade","E":1,"T":2,"s":"BTCUSDT","t":7,"p":"1","q":"2",
                   "X":"MARKET","m":false}})),
        Event::Trade(trade) if trade.side == Side::Buy && trade.trade_id == "7"
    ));
    let events = decode(
        &json!({"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"2","i":"3","P":"4","r":"0.0001","T":5}),
    )
    .unwrap();
    assert!(matches!(
        events.as_slice(),
        [Event::Mark(mark), Event::Funding(funding)]
            if mark.price == dec("2") && mark.index == Some(dec("3")) && funding.next_time_ms == Some(5)
    ));
    // A dated future has no funding.
    let events =
        decode(&json!({"e":"markPriceUpdate","E":1,"s":"BTCUSDT_260327","p":"2","i":"3","r":"","T":0}))
            .unwrap();
    assert!(matches!(events.as_slice(), [Event::Mark(_)]));
}

// ------------------------------------------------------------------------------------------------------------- replies

fn recorded(function: &str, line: u64) -> Vec<String> {
    let file: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/binance/rest.json")).unwrap();
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
    Binance.reply(&operation, &Response::ok(body), &Binance.known_instruments())
}

fn btc() -> Value {
    json!({"instrument": "BTCUSDT"})
}

#[test]
fn the_list_of_instruments_is_read_by_its_filters() {
    let bodies = recorded("fetchMarkets", 3504);
    let Ok(Reply::Instruments(list)) = reply("instruments", json!({}), &bodies[1]) else {
        panic!();
    };
    let [bitcoin] = list.as_slice() else { panic!() };
    assert_eq!(
        (bitcoin.tick, bitcoin.lot, bitcoin.minimum_size),
        (dec("0.01"), dec("0.001"), dec("0.001"))
    );
    assert_eq!(bitcoin.maximum_market_size, Some(dec("1000")));
    assert_eq!(bitcoin.state, InstrumentState::Trading);
    // Coin-margined, options, shares.
    for other in [0, 2, 3, 4] {
        assert!(
            reply("instruments", json!({}), &bodies[other]).is_err(),
            "{other}"
        );
    }
    let full = json!({"symbols":[{"symbol":"XUSDT","status":"SETTLING","baseAsset":"X","quoteAsset":"USDT",
        "marginAsset":"USDT","pricePrecision":1,"quantityPrecision":5,"filters":[
        {"filterType":"PRICE_FILTER","tickSize":"0.10"},
        {"filterType":"LOT_SIZE","stepSize":"0.001","minQty":"0.001","maxQty":"1000"},
        {"filterType":"MARKET_LOT_SIZE","stepSize":"0.01","minQty":"0.02","maxQty":"120"},
        {"filterType":"MIN_NOTIONAL","notional":"5"}]}]});
    let Ok(Reply::Instruments(list)) = reply("instruments", json!({}), &full.to_string()) else {
        panic!();
    };
    assert_eq!((list[0].lot, list[0].minimum_size), (dec("0.01"), dec("0.02")));
    assert_eq!(list[0].minimum_notional, Some(dec("5")));
    assert_eq!(list[0].state, InstrumentState::Halted);
}

#[test]
fn market_replies_are_read() {
    let tickers = recorded("parseTicker", 4478);
    assert!(
        matches!(reply("mark", btc(), &tickers[0]), Ok(Reply::Mark(mark)) if mark.price == dec("11793.63104563"))
    );
    assert!(matches!(
        reply("funding", btc(), &tickers[0]),
        Ok(Reply::Funding(funding)) if funding.rate == dec("0.00038246")
            && funding.next_time_ms == Some(1_597_392_000_000)
    ));
    assert!(matches!(
        reply("ticker", btc(), &tickers[6]),
        Ok(Reply::Ticker(ticker)) if ticker.bid == Some(dec("21321.90")) && ticker.ask_size == Some(dec("1.427"))
    ));
    // Spot, coin-margined.
    assert!(reply("ticker", btc(), &tickers[5]).is_err());
    assert!(reply("ticker", btc(), &tickers[7]).is_err());
    assert!(matches!(
        reply("book", btc(), &recorded("fetchOrderBook", 4436)[0]),
        Ok(Reply::Book(book)) if book.snapshot && book.bids.len() == 3
            && matches!(book.check, BookCheck::Sequence { last: 333_598_053_905, .. })
    ));
    assert!(matches!(
        reply("trades", btc(), &recorded("fetchTrades", 5696)[1]),
        Ok(Reply::Trades(trades)) if trades[0].side == Side::Buy && trades[0].trade_id == "269772814"
    ));
    assert!(matches!(
        reply("klines", json!({"instrument": "BTCUSDT", "interval": "1m"}), &recorded("fetchOHLCV", 5264)[0]),
        Ok(Reply::Klines(klines)) if klines.len() == 3 && klines[0].close == dec("0.025")
    ));
    assert!(matches!(
        reply("server_time", json!({}), r#"{"serverTime":1499827319559}"#),
        Ok(Reply::Time(1_499_827_319_559))
    ));
}

#[test]
fn account_replies_are_read() {
    assert!(matches!(
        reply("balances", json!({}), &recorded("fetchBalance", 4206)[3]),
        Ok(Reply::Balances(balances)) if balances[0].asset == "BNB" && balances[0].wallet == dec("0.01")
    ));
    let risk = recorded("fetchPositionsRisk", 12368);
    assert!(matches!(
        reply("positions", json!({}), &risk[0]),
        Ok(Reply::Positions(positions)) if positions[0].size == dec("5") && positions[0].liquidation_price.is_none()
    ));
    let older = recorded("fetchPositionsRisk", 12407);
    assert!(matches!(
        reply("positions", json!({}), &older[0]),
        Ok(Reply::Positions(positions)) if positions[0].margin_mode == Some(MarginMode::Isolated)
            && positions[0].leverage == Some(dec("10"))
    ));
    assert!(reply("positions", json!({}), &older[1]).is_err());
    assert!(matches!(
        reply("positions", json!({}), &older[2]),
        Ok(Reply::Positions(positions)) if positions[0].position_side == PositionSide::Long
    ));
    assert!(matches!(
        reply("leverage", btc(), &recorded("fetchMarginModes", 14951)[0]),
        Ok(Reply::Leverage(leverage)) if leverage[0].leverage == dec("21")
            && leverage[0].margin_mode == Some(MarginMode::Cross)
    ));
    assert!(matches!(
        reply("account_mode", json!({}), r#"{"dualSidePosition":true}"#),
        Ok(Reply::AccountMode(mode)) if mode.position_mode == PositionMode::Hedge
    ));
    assert!(matches!(
        reply("create_listen_key", json!({}), r#"{"listenKey":"abc"}"#),
        Ok(Reply::ListenKey(key)) if key == "abc"
    ));
}

#[test]
fn orders_and_fills_are_read() {
    let orders = recorded("parseOrder", 6252);
    let Ok(Reply::Order(order)) = reply("order", btc(), &orders[2]) else {
        panic!();
    };
    assert_eq!(order.order_id, "151007482392");
    assert_eq!((order.side, order.order_kind), (Side::Buy, OrderKind::Limit));
    assert_eq!(
        (order.status, order.time_in_force),
        (OrderStatus::Open, TimeInForce::GoodTilCancelled)
    );
    assert_eq!((order.price, order.average_price), (Some(dec("25000")), None));
    // Spot has no position side.
    assert!(reply("order", btc(), &orders[0]).is_err());

    let liquidated = &recorded("fetchMyLiquidations", 14577)[1];
    let Ok(Reply::Orders(list)) = reply("open_orders", json!({}), liquidated) else {
        panic!();
    };
    assert_eq!(
        (list[0].cause, list[0].filled),
        (Cause::Liquidation, dec("0.001"))
    );

    let trades = recorded("fetchMyTrades", 9192);
    let Ok(Reply::Fills(fills)) = reply("fills", btc(), &trades[2]) else {
        panic!();
    };
    assert_eq!(
        (fills[0].side, fills[0].size, fills[0].historic),
        (Side::Sell, dec("0.010"), true)
    );
    assert_eq!(fills[0].position_side, Some(PositionSide::Long));
    for other in [0, 1, 3] {
        assert!(reply("fills", btc(), &trades[other]).is_err(), "{other}");
    }
}

#[test]
fn acts_are_acknowledged_one_by_one() {
    let Ok(Reply::Acknowledged(list)) = reply(
        "place_orders",
        json!({"orders": []}),
        &recorded("createOrders", 6975)[0],
    ) else {
        panic!();
    };
    let [Err(refused), Ok(taken)] = list.as_slice() else {
        panic!("{list:?}");
    };
    assert_eq!(
        (refused.refusal, refused.code.as_str()),
        (Refusal::Rejected, "-4005")
    );
    assert_eq!(taken.order_id.as_deref(), Some("650640530"));
    let Ok(Reply::Acknowledged(list)) = reply(
        "cancel_orders",
        json!({"orders": []}),
        &recorded("cancelOrders", 8993)[0],
    ) else {
        panic!();
    };
    assert!(matches!(list.as_slice(), [Ok(_), Err(refused)] if refused.refusal == Refusal::NotFound));

    let orders = recorded("parseOrder", 6252);
    for body in orders.iter().filter(|body| body.contains("algoId")) {
        let Ok(Reply::Acknowledged(list)) = reply("cancel_conditional_order", btc(), body) else {
            panic!("{body}");
        };
        assert_eq!(list[0].as_ref().unwrap().order_id.as_deref(), Some("3358"));
    }
    assert!(matches!(
        reply(
            "cancel_all_orders",
            json!({}),
            &recorded("cancelAllOrders", 8812)[0]
        ),
        Ok(Reply::Done)
    ));
    // What cannot be read is no success.
    assert!(matches!(
        reply("cancel_order", btc(), "{}"),
        Err(ReplyError::Unreadable(_))
    ));
    assert!(matches!(
        reply("cancel_all_orders", btc(), "<html>"),
        Err(ReplyError::Unreadable(_))
    ));
    assert!(matches!(
        reply("cancel_order", btc(), &recorded("handleErrors", 13535)[0]),
        Err(ReplyError::Refused(error)) if error.refusal == Refusal::Authentication
    ));
    assert!(matches!(
        reply("set_margin_mode", json!({"instrument": "BTCUSDT", "margin_mode": "isolated"}),
              r#"{"code":-4046,"msg":"No need to change margin type."}"#),
        Err(ReplyError::Refused(error)) if error.refusal == Refusal::AlreadyDone
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
    fn damaged_frames_are_refused_or_say_the_same(at in 0..FILL.len(), byte in any::<u8>()) {
        let mut frame = FILL.as_bytes().to_vec();
        frame[at] = byte;
        let sizes = spans(FILL, &["q", "l", "z"]);
        let side = spans(FILL, &["S"]);
        let decoded = decode_bytes(&frame);
        let within = |spans: &[std::ops::Range<usize>]| spans.iter().any(|span| span.contains(&at));
        if within(&side) && frame != FILL.as_bytes() {
            // White space around a word changes nothing.
            prop_assert!(decoded.is_err() || byte.is_ascii_whitespace());
        } else if let Ok(events) = decoded && !within(&sizes) {
            let whole = sides_and_sizes(&decode_bytes(FILL.as_bytes()).unwrap());
            let damaged = sides_and_sizes(&events);
            prop_assert!(damaged == whole || damaged == whole[1..], "{damaged:?}");
        }
    }

    #[test]
    fn cut_frames_are_refused(length in 0..FILL.len()) {
        prop_assert!(decode_bytes(&FILL.as_bytes()[..length]).is_err());
    }

    #[test]
    fn anything_is_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_bytes(&bytes);
    }

    #[test]
    fn recorded_frames_with_members_removed_or_replaced_never_panic(
        index in 0..47_usize, path in proptest::collection::vec(0..20_usize, 1..4), with in 0..6_usize,
    ) {
        let file: Value = serde_json::from_str(include_str!("../../../tests/fixtures/binance/ws.json")).unwrap();
        let mut frame = file["cases"][index]["payload"].clone();
        let replacement = [json!(null), json!(""), json!(-1), json!([]), json!({}), json!("x")][with].clone();
        replace_at(&mut frame, &path, &replacement);
        let _ = decode(&frame);
    }
}
