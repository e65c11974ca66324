//! Recorded messages and replies of both interfaces, and damaged ones.

use proptest::prelude::*;

use super::Bitget;
use crate::error::{DecodeError, Refusal, ReplyError, RequestError};
use crate::model::{Cause, Control, Decimal, Event, OrderKind, OrderStatus, PositionSide, Scope, Side};
use crate::operation::{Operation, Reply};
use crate::protocol::{Context, Protocol as _};
use crate::request::Response;
use crate::venues::Generation;

const CLASSIC: Bitget = Bitget(Generation::Current);
const UNIFIED: Bitget = Bitget(Generation::Next);

fn decode(frame: &str) -> Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    CLASSIC
        .decode(
            frame.as_bytes(),
            Scope::Private,
            &CLASSIC.known_instruments(),
            &mut events,
        )
        .inspect_err(|_| assert!(events.is_empty()))?;
    Ok(events)
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The second fill of an order that opens a short position in hedge mode, from the fact sheet.
const FILLED: &str = r#"{"action":"snapshot","arg":{"instType":"USDT-FUTURES","channel":"orders","instId":"default"},"data":[{"instId":"BTCUSDT","orderId":"1171636690028761089","clientOid":"x1","size":"13","price":"0","orderType":"market","force":"gtc","side":"sell","posSide":"short","posMode":"hedge_mode","tradeSide":"open","status":"filled","reduceOnly":"no","marginMode":"crossed","marginCoin":"USDT","leverage":"10","notionalUsd":"10.4468","accBaseVolume":"13","baseVolume":"9","priceAvg":"0.804","fillPrice":"0.804","fillFee":"-0.0062712","fillFeeCoin":"USDT","fillTime":"1715065875605","fillNotionalUsd":"10.452","tradeId":"1171636690314407937","tradeScope":"T","pnl":"0","enterPointSource":"API","feeDetail":[{"feeCoin":"USDT","fee":"-0.162003"}],"cTime":"1715065875539","uTime":"1715065875539"}],"ts":1701920595879}"#;

#[test]
fn an_order_that_filled_is_the_last_fill_and_the_order() {
    let events = decode(FILLED).unwrap();
    let [Event::Fill(fill), Event::Order(order)] = events.as_slice() else {
        panic!("{events:?}")
    };
    // `baseVolume` is this fill, `accBaseVolume` all of them.
    assert_eq!((fill.size, order.filled), (decimal("9"), decimal("13")));
    assert_eq!(
        (fill.side, fill.position_side),
        (Side::Sell, Some(PositionSide::Short))
    );
    assert_eq!(
        fill.fee.as_ref().map(|fee| fee.amount),
        Some(decimal("0.0062712"))
    );
    assert_eq!(
        (order.status, order.order_kind),
        (OrderStatus::Filled, OrderKind::Market)
    );
}

#[test]
fn closing_is_the_other_way_whatever_side_says() {
    for stated in ["buy", "sell"] {
        let frame = FILLED
            .replace(r#""tradeSide":"open""#, r#""tradeSide":"close""#)
            .replace(r#""side":"sell""#, &format!(r#""side":"{stated}""#));
        let events = decode(&frame).unwrap();
        let [Event::Fill(fill), Event::Order(_)] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(
            (fill.side, fill.position_side),
            (Side::Buy, Some(PositionSide::Short))
        );
    }
    // An order that opens must say the way of its position.
    assert!(decode(&FILLED.replace(r#""side":"sell""#, r#""side":"buy""#)).is_err());
}

#[test]
fn what_the_venue_did_is_not_the_owners() {
    for (word, cause) in [
        ("burst_close_short", Cause::Liquidation),
        ("reduce_close_short", Cause::Liquidation),
        ("delivery_close_short", Cause::Settlement),
        ("dte_sys_adl_close_short", Cause::AutoDeleveraging),
    ] {
        let events = decode(&FILLED.replace(r#""tradeSide":"open""#, &format!(r#""tradeSide":"{word}""#)));
        let Ok([Event::Fill(fill), Event::Order(order)]) = events.as_deref() else {
            panic!("{events:?}")
        };
        assert_eq!(
            (fill.cause, order.order_kind),
            (cause, OrderKind::Venue),
            "{word}"
        );
    }
}

#[test]
fn unknown_words_and_half_a_fill_are_refused() {
    for (from, to) in [
        (r#""side":"sell""#, r#""side":"ask""#),
        (r#""posSide":"short""#, r#""posSide":"both""#),
        (r#""posMode":"hedge_mode""#, r#""posMode":"new_mode""#),
        (r#""tradeSide":"open""#, r#""tradeSide":"reopen""#),
        (r#""status":"filled""#, r#""status":"done""#),
        (r#""force":"gtc""#, r#""force":"day""#),
    ] {
        assert_eq!(
            decode(&FILLED.replace(from, to)).unwrap_err().code(),
            "unknown-word",
            "{to}"
        );
    }
    for member in [
        "side",
        "posSide",
        "size",
        "accBaseVolume",
        "baseVolume",
        "tradeId",
        "fillPrice",
        "posMode",
        "tradeSide",
    ] {
        let damaged = FILLED.replace(&format!("\"{member}\":"), &format!("\"no{member}\":"));
        assert!(decode(&damaged).is_err(), "{member}");
    }
    for product in ["COIN-FUTURES", "SPOT", "MARGIN"] {
        assert_eq!(
            decode(&FILLED.replace("USDT-FUTURES", product))
                .unwrap_err()
                .code(),
            "unsupported-product"
        );
    }
}

#[test]
fn a_missing_position_is_closed_in_the_older_interface_only() {
    let frame = r#"{"action":"snapshot","arg":{"instType":"USDT-FUTURES","channel":"positions","instId":"default"},"data":[],"ts":1}"#;
    assert_eq!(
        decode(frame),
        Ok(vec![Event::Control(Control::PositionsComplete)])
    );
    let frame = r#"{"action":"snapshot","arg":{"instType":"UTA","topic":"position"},"data":[],"ts":1}"#;
    assert_eq!(decode(frame), Ok(Vec::new()));
}

#[test]
fn rows_of_other_products_do_not_hide_those_of_ours() {
    let row = |category: &str| {
        format!(
            r#"{{"category":"{category}","symbol":"BTCUSDT","orderId":"1","execId":"2","side":"buy","execPrice":"5","execQty":"0.1","execTime":"7","tradeScope":"maker","feeDetail":[{{"feeCoin":"USDT","fee":"0.5"}}]}}"#
        )
    };
    let frame = |rows: &[String]| {
        format!(
            r#"{{"action":"snapshot","arg":{{"instType":"UTA","topic":"fill"}},"data":[{}],"ts":9}}"#,
            rows.join(",")
        )
    };
    let events = decode(&frame(&[row("spot"), row("USDT-FUTURES")])).unwrap();
    let [Event::Fill(fill)] = events.as_slice() else {
        panic!("{events:?}")
    };
    // The newer interface counts what was paid up.
    assert_eq!(fill.fee.as_ref().map(|fee| fee.amount), Some(decimal("0.5")));
    assert_eq!(
        decode(&frame(&[row("spot")])).unwrap_err().code(),
        "unsupported-product"
    );
}

#[test]
fn what_the_venue_says_of_the_connection() {
    let control = |frame: &str| match decode(frame).unwrap().as_slice() {
        [Event::Control(control)] => control.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(control("pong"), Control::Pong);
    assert_eq!(
        control(r#"{"event":"login","code":0,"connId":"a"}"#),
        Control::LoggedIn { valid_seconds: None }
    );
    assert_eq!(
        control(r#"{"event":"login","code":"0"}"#),
        Control::LoggedIn { valid_seconds: None }
    );
    assert!(matches!(
        control(r#"{"event":"error","code":30005,"msg":"error"}"#),
        Control::LoginRefused { .. }
    ));
    assert!(matches!(
        control(r#"{"event":"error","code":30001,"msg":"no such channel"}"#),
        Control::Refused { .. }
    ));
}

fn operation(text: &str) -> Operation {
    serde_json::from_str(text).unwrap()
}

fn reply(venue: Bitget, asked: &str, body: &str) -> Result<Reply, ReplyError> {
    venue.reply(&operation(asked), &Response::ok(body), &venue.known_instruments())
}

fn refused(result: Result<Reply, ReplyError>) -> Refusal {
    match result {
        Err(ReplyError::Refused(error)) => error.refusal,
        other => panic!("{other:?}"),
    }
}

const PLACE: &str =
    r#"{"operation":"place_order","parameters":{"instrument":"BTCUSDT","side":"buy","size":"1"}}"#;

#[test]
fn refusals_are_told_apart() {
    let code = |code: &str| format!(r#"{{"code":"{code}","msg":"no","requestTime":1,"data":null}}"#);
    assert_eq!(refused(reply(CLASSIC, PLACE, &code("40786"))), Refusal::Duplicate);
    assert_eq!(refused(reply(CLASSIC, PLACE, &code("40725"))), Refusal::Unknown);
    assert_eq!(refused(reply(UNIFIED, PLACE, &code("40774"))), Refusal::Rejected);
    let page = Response {
        status: 504,
        headers: Vec::new(),
        body: Vec::new(),
    };
    let result = CLASSIC.reply(&operation(PLACE), &page, &CLASSIC.known_instruments());
    assert_eq!(refused(result), Refusal::Unknown);
    // A success that names no order is no success.
    let empty = r#"{"code":"00000","msg":"success","requestTime":1,"data":{}}"#;
    assert!(matches!(
        reply(CLASSIC, PLACE, empty),
        Err(ReplyError::Unreadable(_))
    ));
}

#[test]
fn the_two_lists_of_a_batch_are_put_into_the_order_of_the_request() {
    let asked = r#"{"operation":"place_orders","parameters":{"orders":[
        {"instrument":"BTCUSDT","side":"buy","size":"1","client_order_id":"a"},
        {"instrument":"BTCUSDT","side":"buy","size":"2","client_order_id":"b"}]}}"#;
    let body = r#"{"code":"00000","msg":"success","requestTime":1,"data":{"successList":[{"orderId":"7","clientOid":"b"}],"failureList":[{"orderId":"","clientOid":"a","errorMsg":"less than 5 USDT","errorCode":"45110"}]}}"#;
    let Ok(Reply::Acknowledged(results)) = reply(CLASSIC, asked, body) else {
        panic!()
    };
    assert_eq!(results[0].as_ref().unwrap_err().code, "45110");
    assert_eq!(results[1].as_ref().unwrap().order_id.as_deref(), Some("7"));
    let short =
        r#"{"code":"00000","msg":"success","requestTime":1,"data":{"successList":[],"failureList":[]}}"#;
    assert!(matches!(
        reply(CLASSIC, asked, short),
        Err(ReplyError::Unreadable(_))
    ));
    let other = body.replace(r#""clientOid":"a""#, r#""clientOid":"c""#);
    assert!(matches!(
        reply(CLASSIC, asked, &other),
        Err(ReplyError::Unreadable(_))
    ));
}

/// The recorded replies of one of ccxt's functions that contain a text.
fn recorded(function: &str, containing: &str) -> String {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/bitget/rest.json")).unwrap();
    file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["fn"] == function)
        .map(|case| case["payload"].to_string())
        .find(|payload| payload.contains(containing))
        .unwrap_or_else(|| panic!("{function} {containing}"))
}

fn of(name: &str) -> String {
    format!(
        r#"{{"operation":"{name}","parameters":{{"instrument":"BTCUSDT","interval":"1m","order_id":"1"}}}}"#
    )
}

fn all(name: &str) -> String {
    format!(r#"{{"operation":"{name}","parameters":{{}}}}"#)
}

#[test]
fn recorded_replies_of_the_older_interface_are_read() {
    let time = reply(CLASSIC, &all("server_time"), &recorded("fetchTime", ""));
    assert_eq!(time, Ok(Reply::Time(1_700_111_073_740)));
    let list = format!(
        r#"{{"code":"00000","requestTime":1,"data":[{}]}}"#,
        recorded("fetchDefaultMarkets", "priceEndStep")
    );
    let Ok(Reply::Instruments(list)) = reply(CLASSIC, &all("instruments"), &list) else {
        panic!()
    };
    assert_eq!((list[0].tick, list[0].lot), (decimal("0.1"), decimal("0.001")));
    assert_eq!(list[0].minimum_notional, Some(decimal("5")));

    let Ok(Reply::Positions(positions)) = reply(
        CLASSIC,
        &all("positions"),
        &recorded("fetchPositions", "openPriceAvg"),
    ) else {
        panic!()
    };
    assert_eq!(positions[0].size, decimal("0.002"));
    assert_eq!(positions[0].position_side, PositionSide::Long);

    let Ok(Reply::Order(order)) = reply(CLASSIC, &of("order"), &recorded("fetchOrder", "\"state\"")) else {
        panic!()
    };
    assert_eq!((order.side, order.status), (Side::Buy, OrderStatus::Open));

    let Ok(Reply::Orders(orders)) = reply(
        CLASSIC,
        &all("open_orders"),
        &recorded("fetchOpenOrders", "entrustedList"),
    ) else {
        panic!()
    };
    assert_eq!(orders.len(), 1);

    // A recorded close of a long position says `buy` here: the way of the position.
    let Ok(Reply::Fills(fills)) = reply(CLASSIC, &all("fills"), &recorded("fetchMyTrades", "fillList"))
    else {
        panic!()
    };
    assert_eq!(
        (fills[0].side, fills[0].position_side),
        (Side::Sell, Some(PositionSide::Long))
    );

    let leverage = reply(CLASSIC, &of("leverage"), &recorded("fetchLeverage", ""));
    assert!(matches!(leverage, Ok(Reply::Leverage(list)) if list[0].leverage == decimal("20")));
    let mode = reply(CLASSIC, &all("account_mode"), &recorded("fetchMarginMode", ""));
    assert!(
        matches!(mode, Ok(Reply::AccountMode(mode)) if mode.position_mode == crate::model::PositionMode::Hedge)
    );
    assert!(matches!(
        reply(CLASSIC, &of("book"), &recorded("fetchOrderBook", "asks")),
        Ok(Reply::Book(_))
    ));
    assert!(matches!(
        reply(CLASSIC, &of("ticker"), &recorded("fetchTicker", "markPrice")),
        Ok(Reply::Ticker(_))
    ));
    assert!(matches!(
        reply(
            CLASSIC,
            &all("balances"),
            &recorded("fetchBalance", "crossedMaxAvailable")
        ),
        Ok(Reply::Balances(_))
    ));
    let funding = reply(
        CLASSIC,
        &of("funding"),
        &recorded("fetchFundingRate", "fundingRateInterval"),
    );
    assert!(matches!(funding, Ok(Reply::Funding(funding)) if funding.interval_hours == Some(8)));
    assert!(matches!(
        reply(CLASSIC, PLACE, &recorded("createOrder", "")),
        Ok(Reply::Acknowledged(_))
    ));
    assert!(matches!(
        reply(CLASSIC, &of("close_position"), &recorded("closePosition", "successList")),
        Ok(Reply::Acknowledged(results)) if results.len() == 1
    ));
}

#[test]
fn recorded_replies_of_the_newer_interface_are_read() {
    let Ok(Reply::Positions(positions)) = reply(
        UNIFIED,
        &all("positions"),
        &recorded("fetchPositions", "positionStatus"),
    ) else {
        panic!()
    };
    assert_eq!(positions[0].size, decimal("0.001"));
    let Ok(Reply::Order(order)) = reply(UNIFIED, &of("order"), &recorded("fetchOrder", "holdMode")) else {
        panic!()
    };
    assert_eq!((order.side, order.position_side), (Side::Buy, PositionSide::Long));
    // A close of a long position says `sell` here: the way of the order.
    let Ok(Reply::Fills(fills)) = reply(UNIFIED, &of("fills"), &recorded("fetchMyTrades", "execId")) else {
        panic!()
    };
    assert_eq!((fills[0].side, fills[0].size), (Side::Sell, decimal("0.0001")));
    let Ok(Reply::Balances(balances)) = reply(UNIFIED, &all("balances"), &recorded("fetchBalance", "assets"))
    else {
        panic!()
    };
    assert_eq!(balances[0].wallet, decimal("6.19300826"));
    assert!(matches!(
        reply(UNIFIED, &of("book"), &recorded("fetchOrderBook", "\"a\"")),
        Ok(Reply::Book(_))
    ));
    assert!(matches!(
        reply(
            UNIFIED,
            &of("close_position"),
            &recorded("closePosition", "\"list\"")
        ),
        Ok(Reply::Acknowledged(_))
    ));
    assert_eq!(
        reply(
            UNIFIED,
            &all("set_position_mode").replace("{}", r#"{"position_mode":"hedge"}"#),
            &recorded("setPositionMode", "\"data\":\"success\"")
        ),
        Ok(Reply::Done)
    );
}

fn requests(venue: Bitget, text: &str) -> Result<Vec<String>, RequestError> {
    let instruments = venue.known_instruments();
    let context = Context {
        instruments: &instruments,
        timestamp_ms: 1_700_000_000_000,
    };
    Ok(venue
        .requests(&operation(text), &context)?
        .into_iter()
        .map(|request| format!("{}{}", request.path, request.body))
        .collect())
}

#[test]
fn the_trap_of_hedge_mode_is_one_of_the_older_interface_only() {
    let close = r#"{"operation":"place_order","parameters":{"instrument":"BTCUSDT","side":"sell","size":"1","position_side":"long","reduce_only":true}}"#;
    let classic = &requests(CLASSIC, close).unwrap()[0];
    assert!(
        classic.contains(r#""tradeSide":"Close","side":"buy""#) && !classic.contains("reduceOnly"),
        "{classic}"
    );
    let unified = &requests(UNIFIED, close).unwrap()[0];
    assert!(
        unified.contains(r#""side":"sell""#) && unified.contains(r#""posSide":"long""#),
        "{unified}"
    );
    let opens = close.replace("sell", "buy");
    for venue in [CLASSIC, UNIFIED] {
        assert!(matches!(
            requests(venue, &opens),
            Err(RequestError::BadParameter {
                parameter: "side",
                ..
            })
        ));
    }
}

#[test]
fn what_bitget_cannot_do_is_refused() {
    for (venue, text) in [
        (
            CLASSIC,
            r#"{"operation":"cancel_all_after","parameters":{"after_ms":10000}}"#,
        ),
        (
            UNIFIED,
            r#"{"operation":"set_margin_mode","parameters":{"instrument":"BTCUSDT","margin_mode":"cross"}}"#,
        ),
        (UNIFIED, r#"{"operation":"create_listen_key","parameters":{}}"#),
    ] {
        assert!(
            matches!(requests(venue, text), Err(RequestError::Unsupported { .. })),
            "{text}"
        );
    }
    for instrument in ["BTCPERP", "BTCUSD", "USDT", "BTCUSD_CM"] {
        assert!(matches!(
            requests(CLASSIC, &PLACE.replace("BTCUSDT", instrument)),
            Err(RequestError::BadParameter {
                parameter: "instrument",
                ..
            })
        ));
    }
    // Sizes are base units, so that an instrument that is not in the table is sent as it is.
    assert!(
        requests(
            CLASSIC,
            &PLACE
                .replace("BTCUSDT", "NEWUSDT")
                .replace(r#""1""#, r#""1.23456""#)
        )
        .unwrap()[0]
            .contains(r#""size":"1.23456""#)
    );
}

#[test]
fn closing_under_an_id_is_an_order_that_only_reduces() {
    let close = r#"{"operation":"close_position","parameters":{"instrument":"BTCUSDT","size":"-0.5","client_order_id":"a"}}"#;
    let sent = &requests(CLASSIC, close).unwrap()[0];
    assert!(
        sent.starts_with("/api/v2/mix/order/place-order")
            && sent.contains(r#""reduceOnly":"YES","side":"buy""#),
        "{sent}"
    );
    let no_size = close.replace(r#""size":"-0.5","#, "");
    assert!(matches!(
        requests(CLASSIC, &no_size),
        Err(RequestError::MissingParameter { .. })
    ));
}

proptest! {
    #[test]
    fn a_changed_byte_never_changes_side_or_size_silently(position in 0..FILLED.len(), byte in any::<u8>()) {
        let old = FILLED.as_bytes()[position];
        prop_assume!(!(old.is_ascii_digit() || old == b'.' || old == b'-'));
        let mut frame = FILLED.as_bytes().to_vec();
        frame[position] = byte;
        let mut events = Vec::new();
        let result = CLASSIC.decode(&frame, Scope::Private, &CLASSIC.known_instruments(), &mut events);
        if result.is_err() {
            prop_assert!(events.is_empty());
        }
        for event in &events {
            if let Event::Fill(fill) = event {
                prop_assert_eq!((fill.side, fill.size), (Side::Sell, decimal("9")));
            }
            if let Event::Order(order) = event {
                prop_assert_eq!((order.side, order.filled), (Side::Sell, decimal("13")));
            }
        }
    }

    #[test]
    fn a_cut_frame_is_refused(length in 1..FILLED.len()) {
        let mut events = Vec::new();
        let frame = &FILLED.as_bytes()[..length];
        let result = CLASSIC.decode(frame, Scope::Private, &CLASSIC.known_instruments(), &mut events);
        prop_assert!(result.is_err() && events.is_empty());
    }

    #[test]
    fn noise_never_panics(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut events = Vec::new();
        let _ = CLASSIC.decode(&frame, Scope::Public, &CLASSIC.known_instruments(), &mut events);
    }
}
