//! Recorded messages and replies, and damaged ones.

use proptest::prelude::*;

use super::Okx;
use crate::error::{DecodeError, Refusal, ReplyError};
use crate::model::{Cause, Control, Decimal, Event, OrderKind, OrderStatus, PositionSide, Scope, Side};
use crate::operation::{Operation, Reply};
use crate::protocol::Protocol as _;
use crate::request::Response;

fn decode(frame: &str) -> Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    Okx.decode(
        frame.as_bytes(),
        Scope::Private,
        &Okx.known_instruments(),
        &mut events,
    )
    .inspect_err(|_| assert!(events.is_empty()))?;
    Ok(events)
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A filled order as OKX pushes it, from the fact sheet.
const FILLED: &str = r#"{"arg":{"channel":"orders","instType":"SWAP","uid":"1"},"data":[{"instId":"BTC-USDT-SWAP","instType":"SWAP","ordId":"2497956918703120384","clOrdId":"001BTCUSDT20250106001","side":"buy","posSide":"long","tdMode":"isolated","ordType":"market","sz":"0.03","px":"","state":"filled","accFillSz":"0.03","avgPx":"103698.9","fillPx":"103698.9","fillSz":"0.03","fillTime":"1746947317402","tradeId":"1518905529","execType":"M","fee":"-0.021776769","feeCcy":"USDT","lever":"2.0","reduceOnly":"false","category":"normal","cancelSource":"","cTime":"1746947317401","uTime":"1746947317402","pnl":"0"}]}"#;

#[test]
fn an_order_that_filled_is_a_fill_in_base_units_and_an_order() {
    let events = decode(FILLED).unwrap();
    let [Event::Fill(fill), Event::Order(order)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(fill.size, decimal("0.0003"));
    assert_eq!(
        (fill.side, fill.position_side),
        (Side::Buy, Some(PositionSide::Long))
    );
    assert_eq!(fill.cause, Cause::User);
    // What was paid is positive here.
    assert_eq!(
        fill.fee.as_ref().map(|fee| fee.amount),
        Some(decimal("0.021776769"))
    );
    assert_eq!(
        (order.status, order.order_kind),
        (OrderStatus::Filled, OrderKind::Market)
    );
    assert_eq!(order.filled, decimal("0.0003"));
}

#[test]
fn what_the_venue_did_is_not_the_owners() {
    for (category, cause) in [
        ("full_liquidation", Cause::Liquidation),
        ("partial_liquidation", Cause::Liquidation),
        ("adl", Cause::AutoDeleveraging),
        ("delivery", Cause::Settlement),
        ("auto_conversion", Cause::Transfer),
        ("twap", Cause::User),
    ] {
        let events =
            decode(&FILLED.replace(r#""category":"normal""#, &format!(r#""category":"{category}""#)));
        let Ok([Event::Fill(fill), Event::Order(order)]) = events.as_deref() else {
            panic!("{events:?}")
        };
        assert_eq!((fill.cause, order.cause), (cause, cause));
        assert_eq!(order.order_kind == OrderKind::Venue, cause != Cause::User);
    }
}

#[test]
fn unknown_words_and_missing_members_are_refused() {
    for (from, to) in [
        (r#""side":"buy""#, r#""side":"bid""#),
        (r#""posSide":"long""#, r#""posSide":"both""#),
        (r#""category":"normal""#, r#""category":"new_one""#),
        (r#""state":"filled""#, r#""state":"full""#),
        (r#""ordType":"market""#, r#""ordType":"smart""#),
        (r#""execType":"M""#, r#""execType":"X""#),
    ] {
        assert!(FILLED.contains(from));
        assert_eq!(
            decode(&FILLED.replace(from, to)).unwrap_err().code(),
            "unknown-word",
            "{to}"
        );
    }
    for member in [
        "side",
        "posSide",
        "sz",
        "fillSz",
        "accFillSz",
        "tradeId",
        "category",
        "state",
        "instId",
        "fillPx",
    ] {
        let damaged = FILLED.replace(&format!("\"{member}\":"), &format!("\"no{member}\":"));
        assert!(decode(&damaged).is_err(), "{member}");
    }
}

#[test]
fn other_products_are_refused_by_name() {
    assert_eq!(
        decode(&FILLED.replace("BTC-USDT-SWAP", "BTC-USD-SWAP"))
            .unwrap_err()
            .code(),
        "unsupported-product"
    );
    assert_eq!(
        decode(&FILLED.replace("BTC-USDT-SWAP", "NEW-USDT-SWAP"))
            .unwrap_err()
            .code(),
        "unknown-instrument"
    );
    assert_eq!(
        decode(&FILLED.replace(r#""instType":"SWAP""#, r#""instType":"SPOT""#))
            .unwrap_err()
            .code(),
        "unsupported-product"
    );
}

#[test]
fn a_short_position_is_negative_in_both_modes() {
    let frame = |side: &str, size: &str| {
        format!(
            r#"{{"arg":{{"channel":"positions","instType":"SWAP"}},"eventType":"snapshot","curPage":1,"lastPage":true,"data":[{{"instId":"BTC-USDT-SWAP","instType":"SWAP","mgnMode":"cross","posSide":"{side}","pos":"{size}","avgPx":"50000","lever":"3","upl":"1","uTime":"1"}}]}}"#
        )
    };
    for (side, size, held) in [
        ("net", "-2", "-0.02"),
        ("short", "2", "-0.02"),
        ("long", "2", "0.02"),
    ] {
        let events = decode(&frame(side, size)).unwrap();
        let [
            Event::Position(position),
            Event::Control(Control::PositionsComplete),
        ] = events.as_slice()
        else {
            panic!("{events:?}")
        };
        assert_eq!(position.size, decimal(held), "{side}");
    }
}

#[test]
fn what_the_venue_says_of_the_connection() {
    let control = |frame: &str| match decode(frame).unwrap().as_slice() {
        [Event::Control(control)] => control.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(control("pong"), Control::Pong);
    assert_eq!(
        control(r#"{"event":"login","code":"0","msg":"","connId":"a"}"#),
        Control::LoggedIn { valid_seconds: None }
    );
    assert!(matches!(
        control(r#"{"event":"error","code":"60009","msg":"Login failed."}"#),
        Control::LoginRefused { .. }
    ));
    assert!(matches!(
        control(r#"{"event":"error","code":"60012","msg":"Invalid request"}"#),
        Control::Refused { .. }
    ));
    assert!(matches!(
        control(r#"{"event":"notice","code":"64008","msg":"upgrade"}"#),
        Control::Maintenance { .. }
    ));
    assert!(matches!(
        control(r#"{"id":"1","op":"order","code":"1","msg":"","data":[{"sCode":"51008","sMsg":"margin"}]}"#),
        Control::Refused { code, .. } if code == "51008"
    ));
}

fn operation(text: &str) -> Operation {
    serde_json::from_str(text).unwrap()
}

fn reply(asked: &str, body: &str) -> Result<Reply, ReplyError> {
    Okx.reply(&operation(asked), &Response::ok(body), &Okx.known_instruments())
}

const PLACE: &str =
    r#"{"operation":"place_order","parameters":{"instrument":"BTC-USDT-SWAP","side":"buy","size":"1"}}"#;
const OPEN: &str = r#"{"operation":"open_orders","parameters":{}}"#;

fn refused(result: Result<Reply, ReplyError>) -> Refusal {
    match result {
        Err(ReplyError::Refused(error)) => error.refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_code_of_the_order_counts_and_not_that_of_the_reply() {
    let taken = r#"{"code":"0","msg":"","data":[{"ordId":"1","clOrdId":"a","tag":"","sCode":"0","sMsg":"","ts":"1"}]}"#;
    let Ok(Reply::Acknowledged(results)) = reply(PLACE, taken) else {
        panic!()
    };
    assert_eq!(results[0].as_ref().unwrap().order_id.as_deref(), Some("1"));
    let row = |code: &str| {
        format!(
            r#"{{"code":"1","msg":"All operations failed","data":[{{"ordId":"","clOrdId":"a","sCode":"{code}","sMsg":"no"}}]}}"#
        )
    };
    assert_eq!(refused(reply(PLACE, &row("51008"))), Refusal::Rejected);
    assert_eq!(refused(reply(PLACE, &row("51016"))), Refusal::Duplicate);
    assert_eq!(
        refused(reply(PLACE, r#"{"code":"50011","msg":"","data":[]}"#)),
        Refusal::RateLimited
    );
    assert_eq!(
        refused(reply(PLACE, r#"{"code":"50004","msg":"","data":[]}"#)),
        Refusal::Unknown
    );
    assert_eq!(
        refused(reply(OPEN, r#"{"code":"50004","msg":"","data":[]}"#)),
        Refusal::Busy
    );
    // A success without a row is no success.
    assert!(matches!(
        reply(PLACE, r#"{"code":"0","msg":"","data":[]}"#),
        Err(ReplyError::Unreadable(_))
    ));
    let page = Response {
        status: 502,
        headers: Vec::new(),
        body: b"<html>".to_vec(),
    };
    let result = Okx.reply(&operation(PLACE), &page, &Okx.known_instruments());
    assert_eq!(refused(result), Refusal::Unknown);
}

#[test]
fn a_batch_has_a_result_for_every_order() {
    let asked = r#"{"operation":"place_orders","parameters":{"orders":[
        {"instrument":"BTC-USDT-SWAP","side":"buy","size":"1"},{"instrument":"BTC-USDT-SWAP","side":"buy","size":"2"}]}}"#;
    let body = r#"{"code":"2","msg":"","data":[{"ordId":"1","clOrdId":"","sCode":"0","sMsg":""},{"ordId":"","clOrdId":"","sCode":"51020","sMsg":"too small"}]}"#;
    let Ok(Reply::Acknowledged(results)) = reply(asked, body) else {
        panic!()
    };
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().code, "51020");
    let short = r#"{"code":"0","msg":"","data":[{"ordId":"1","clOrdId":"","sCode":"0","sMsg":""}]}"#;
    assert!(matches!(reply(asked, short), Err(ReplyError::Unreadable(_))));
}

/// The recorded replies of one of ccxt's functions.
fn recorded(function: &str) -> Vec<String> {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/okx/rest.json")).unwrap();
    let found: Vec<_> = file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["fn"] == function)
        .map(|case| case["payload"].to_string())
        .collect();
    assert!(!found.is_empty(), "{function}");
    found
}

fn first(asked: &str, function: &str) -> Result<Reply, ReplyError> {
    reply(asked, &recorded(function)[0])
}

#[test]
fn recorded_replies_are_read() {
    let of = |operation: &str| {
        format!(
            r#"{{"operation":"{operation}","parameters":{{"instrument":"BTC-USDT-SWAP","interval":"1m"}}}}"#
        )
    };
    let Ok(Reply::Klines(klines)) = first(&of("klines"), "fetchOHLCV") else {
        panic!()
    };
    assert_eq!(klines.len(), 3);
    assert!(klines[0].start_ms < klines[2].start_ms);
    assert_eq!(
        (klines[2].volume, klines[2].closed),
        (decimal("2.5819"), Some(false))
    );

    let Ok(Reply::Book(book)) = first(&of("book"), "fetchOrderBook") else {
        panic!()
    };
    assert_eq!(book.bids[0].size, decimal("0.185"));

    let Ok(Reply::Leverage(leverage)) = first(&of("leverage"), "fetchLeverage") else {
        panic!()
    };
    assert_eq!(leverage[0].leverage, decimal("5"));

    let accounts = first(r#"{"operation":"account_mode","parameters":{}}"#, "fetchAccounts");
    assert!(
        matches!(accounts, Ok(Reply::AccountMode(mode)) if mode.position_mode == crate::model::PositionMode::Hedge)
    );

    let Ok(Reply::Balances(balances)) = reply(
        r#"{"operation":"balances","parameters":{}}"#,
        &recorded("fetchBalance")[1],
    ) else {
        panic!()
    };
    assert_eq!(
        (balances[0].asset.as_str(), balances[0].wallet),
        ("BTC", decimal("0.049"))
    );

    let position = format!(
        r#"{{"code":"0","msg":"","data":[{}]}}"#,
        recorded("parsePosition")[0]
    );
    let Ok(Reply::Positions(positions)) = reply(r#"{"operation":"positions","parameters":{}}"#, &position)
    else {
        panic!()
    };
    assert_eq!(positions[0].size, decimal("0.01"));

    let cancel = r#"{"operation":"cancel_order","parameters":{"instrument":"BTC-USDT-SWAP","order_id":"1"}}"#;
    assert!(matches!(first(cancel, "cancelOrder"), Ok(Reply::Acknowledged(_))));
    assert_eq!(refused(first(PLACE, "createOrderRequest")), Refusal::Rejected);
    // A spot order in a reply is refused, not read with the wrong size.
    assert!(matches!(
        first(OPEN, "fetchOpenOrders"),
        Err(ReplyError::Unreadable(_))
    ));
    // Only swaps are in the table.
    let instruments = first(
        r#"{"operation":"instruments","parameters":{}}"#,
        "fetchMarketsByType",
    );
    assert!(matches!(instruments, Ok(Reply::Instruments(list)) if list.is_empty()));
    assert_eq!(
        refused(reply(OPEN, &recorded("fetchCurrencies")[0])),
        Refusal::Authentication
    );
}

#[test]
fn an_instrument_of_the_list_has_its_contract_size() {
    let body = r#"{"code":"0","msg":"","data":[{"instId":"ETH-USDT-SWAP","instType":"SWAP","instFamily":"ETH-USDT","uly":"ETH-USDT","settleCcy":"USDT","ctType":"linear","ctVal":"0.1","ctMult":"1","ctValCcy":"ETH","tickSz":"0.01","lotSz":"0.01","minSz":"0.01","maxMktSz":"20000","lever":"100","instIdCode":10461,"state":"live"},
        {"instId":"BTC-USD-SWAP","instType":"SWAP","instFamily":"BTC-USD","settleCcy":"BTC","ctType":"inverse","ctVal":"100","ctMult":"1","ctValCcy":"USD","tickSz":"0.1","lotSz":"1","minSz":"1","state":"live"}]}"#;
    let Ok(Reply::Instruments(list)) = reply(r#"{"operation":"instruments","parameters":{}}"#, body) else {
        panic!()
    };
    let [ether] = list.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!(
        (ether.contract_size, ether.number),
        (decimal("0.1"), Some(10_461))
    );
    assert_eq!((ether.base.as_str(), ether.quote.as_str()), ("ETH", "USDT"));
}

/// Where in the frame a digit may stand: a changed digit is another valid message.
fn digits(frame: &str) -> Vec<bool> {
    frame
        .bytes()
        .map(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-')
        .collect()
}

proptest! {
    #[test]
    fn a_changed_byte_never_changes_side_or_size_silently(position in 0..FILLED.len(), byte in any::<u8>()) {
        prop_assume!(!digits(FILLED)[position]);
        let mut frame = FILLED.as_bytes().to_vec();
        frame[position] = byte;
        let mut events = Vec::new();
        let result = Okx.decode(&frame, Scope::Private, &Okx.known_instruments(), &mut events);
        if result.is_err() {
            prop_assert!(events.is_empty());
        }
        for event in &events {
            if let Event::Fill(fill) = event {
                prop_assert_eq!(fill.side, Side::Buy);
                prop_assert!(fill.size == decimal("0.0003") || fill.instrument != "BTC-USDT-SWAP");
            }
            if let Event::Order(order) = event {
                prop_assert_eq!(order.side, Side::Buy);
            }
        }
    }

    #[test]
    fn a_cut_frame_is_refused(length in 1..FILLED.len()) {
        let mut events = Vec::new();
        let result = Okx.decode(&FILLED.as_bytes()[..length], Scope::Private, &Okx.known_instruments(), &mut events);
        prop_assert!(result.is_err() && events.is_empty());
    }

    #[test]
    fn noise_never_panics(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut events = Vec::new();
        let _ = Okx.decode(&frame, Scope::Public, &Okx.known_instruments(), &mut events);
    }
}
