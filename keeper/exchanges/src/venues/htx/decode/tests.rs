use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::json::MAXIMUM_FRAME;
use crate::model::{Cause, OrderStatus};
use crate::venues::htx::instruments::known;

const LEGACY: &str = r#"{"op":"notify","topic":"orders_cross.ltc-usdt","ts":1650354508696,"symbol":"LTC","contract_code":"LTC-USDT","volume":1,"price":110.34,"order_price_type":"lightning","direction":"sell","offset":"close","status":6,"lever_rate":1,"order_id":966002354015051776,"order_id_str":"966002354015051776","client_order_id":null,"order_source":"web","order_type":1,"created_at":1650354508649,"trade_volume":1,"trade_turnover":11.072,"fee":-0.005536,"trade_avg_price":110.72,"trade":[{"trade_fee":-0.005536,"fee_asset":"USDT","trade_id":86678766507,"id":"86678766507-966002354015051776-1","trade_volume":1,"trade_price":110.72,"created_at":1650354508656,"role":"taker"}],"liquidation_type":"0","margin_mode":"cross","reduce_only":1}"#;
const TRADE: &str = r#"{"op":"notify","topic":"trade","contract_code":"BTC-USDT","ts":1782367694387,"uid":"1","data":[{"direction":"buy","id":"100121555172810-1519705786942156810-1","contract_code":"BTC-USDT","contract_type":"swap","order_id":"1519705786942156810","trade_id":"155233460","position_side":"both","trade_volume":"1","trade_price":"61629","trade_turnover":"61.629","role":"taker","client_order_id":"1519705786942156810","created_time":"1782367694375"}]}"#;

fn events(frame: &str) -> Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    decode(frame.as_bytes(), &known(), &mut events).map(|()| events)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_order_before_v5_carries_its_fills() {
    let list = events(LEGACY).unwrap();
    let [Event::Fill(fill), Event::Order(order)] = &list[..] else {
        panic!("{list:?}");
    };
    assert_eq!(fill.trade_id, "86678766507-966002354015051776-1");
    assert_eq!(fill.size.to_string(), "0.1");
    assert_eq!(fill.position_side, Some(PositionSide::Long));
    assert_eq!(fill.fee.as_ref().unwrap().amount.to_string(), "0.005536");
    assert_eq!(
        (order.status, order.order_kind),
        (OrderStatus::Filled, OrderKind::Market)
    );
    assert_eq!(order.order_id, "966002354015051776");
    assert!(order.reduce_only);
}

#[test]
fn a_fill_of_v5_has_no_id_of_its_owners_where_the_venue_repeats_its_own() {
    let list = events(TRADE).unwrap();
    let [Event::Fill(fill)] = &list[..] else {
        panic!("{list:?}");
    };
    assert_eq!(fill.client_order_id, None);
    assert_eq!(fill.size.to_string(), "0.001");
    assert_eq!(fill.position_side, Some(PositionSide::Net));
}

#[test]
fn what_the_venue_forced_is_told() {
    for (from, to, expected) in [
        (
            "\"liquidation_type\":\"0\"",
            "\"liquidation_type\":\"3\"",
            Cause::Liquidation,
        ),
        (
            "\"liquidation_type\":\"0\"",
            "\"liquidation_type\":\"4\"",
            Cause::AutoDeleveraging,
        ),
        (
            "\"order_source\":\"web\"",
            "\"order_source\":\"settlement\"",
            Cause::Settlement,
        ),
    ] {
        let list = events(&LEGACY.replace(from, to)).unwrap();
        let Event::Fill(fill) = &list[0] else {
            panic!("no fill");
        };
        assert_eq!(fill.cause, expected, "{to}");
    }
    assert!(events(&LEGACY.replace("\"web\"", "\"someone\"")).is_err());
}

#[test]
fn frames_are_inflated_within_bounds() {
    let mut list = Vec::new();
    decode(&gzip(TRADE.as_bytes()), &known(), &mut list).unwrap();
    assert_eq!(list, events(TRADE).unwrap());
    let bomb = gzip(&vec![b' '; MAXIMUM_FRAME * 4]);
    assert!(bomb.len() < 100_000);
    assert!(matches!(
        decode(&bomb, &known(), &mut list),
        Err(DecodeError::TooLarge { .. })
    ));
    assert!(decode(&bomb[..20], &known(), &mut list).is_err());
    assert_eq!(list.len(), 1);
}

#[test]
fn the_venues_questions_are_answered_as_they_were_put() {
    for (frame, reply) in [
        (r#"{"ping":1583491673714}"#, r#"{"pong":1583491673714}"#),
        (
            r#"{"op":"ping","ts":"1645202800015"}"#,
            r#"{"op":"pong","ts":"1645202800015"}"#,
        ),
    ] {
        assert_eq!(
            events(frame).unwrap(),
            [Event::Control(Control::Ping { reply: reply.into() })]
        );
    }
    assert_eq!(
        events(r#"{"op":"close","ts":1}"#).unwrap(),
        [Event::Control(Control::SessionExpired)]
    );
    assert!(matches!(
        events(r#"{"op":"auth","type":"api","err-code":2002,"err-msg":"auth.fail","ts":1}"#).unwrap()[..],
        [Event::Control(Control::LoginRefused { .. })]
    ));
}

#[test]
fn linear_market_data_is_read() {
    let list = events(
        r#"{"ch":"market.BTC-USDT.depth.size_20.high_freq","tick":{"asks":[[43445.74,1]],"bids":[[43444.48,0]],"ch":"x","event":"update","id":1,"mrid":1,"ts":1645023376098,"version":37536690},"ts":1645023376098}"#,
    )
    .unwrap();
    let [Event::Book(book)] = &list[..] else {
        panic!("{list:?}");
    };
    assert!(!book.snapshot);
    assert_eq!(book.asks[0].size.to_string(), "0.001");
    assert!(book.bids[0].size.is_zero());
    let list = events(
        r#"{"ch":"market.BTC-USDT.bbo","ts":1,"tick":{"mrid":1,"id":1,"bid":[1.5,2],"ask":[1.6,3],"ts":1,"version":1,"ch":"x"}}"#,
    )
    .unwrap();
    let [Event::Ticker(ticker)] = &list[..] else {
        panic!("{list:?}");
    };
    assert_eq!(ticker.bid_size.unwrap().to_string(), "0.002");
    let list = events(
        r#"{"ch":"market.BTC-USDT.trade.detail","ts":1,"tick":{"id":1,"ts":1,"data":[{"amount":2,"ts":1,"id":1759329276980001,"price":61629,"direction":"sell"}]}}"#,
    )
    .unwrap();
    assert!(matches!(&list[..], [Event::Trade(trade)] if trade.size.to_string() == "0.002"));
    assert!(matches!(
        events(r#"{"ch":"market.BTC-USD.bbo","ts":1,"tick":{}}"#),
        Err(DecodeError::UnsupportedProduct { .. })
    ));
}

proptest! {
    #[test]
    fn a_damaged_frame_never_panics(
        which in 0_usize..2,
        compressed in any::<bool>(),
        cut in 0_usize..3,
        at in 0_usize..1200,
        byte in any::<u8>(),
    ) {
        let mut frame = [LEGACY, TRADE][which].as_bytes().to_vec();
        if compressed {
            frame = gzip(&frame);
        }
        let length = frame.len();
        frame[at % length] = byte;
        frame.truncate(length - cut);
        let mut events = Vec::new();
        let _ = decode(&frame, &known(), &mut events);
    }

    #[test]
    fn another_word_for_the_side_is_refused(word in "[a-zA-Z]{0,6}") {
        prop_assume!(!["buy", "sell"].contains(&word.as_str()));
        let put = format!("\"direction\":\"{word}\"");
        prop_assert!(events(&LEGACY.replace("\"direction\":\"sell\"", &put)).is_err());
        prop_assert!(events(&TRADE.replace("\"direction\":\"buy\"", &put)).is_err());
    }

    #[test]
    fn a_frame_without_one_of_its_fields_is_refused(field in 0_usize..9) {
        let name = ["contract_code", "volume", "order_price_type", "direction", "offset", "status", "order_id_str", "trade_volume", "trade_price"][field];
        let frame = LEGACY.replace(&format!("\"{name}\":"), "\"gone\":");
        prop_assert!(events(&frame).is_err());
    }
}
