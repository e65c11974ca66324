use proptest::prelude::*;

use super::*;
use crate::venues::deribit::instruments::known;

const CHANGES: &str = r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"user.changes.future.any.raw","data":{"instrument_name":"BTC-PERPETUAL","trades":[{"trade_seq":149546319,"trade_id":"219381310","timestamp":1655421193564,"state":"filled","reduce_only":false,"profit_loss":0,"price":20000,"order_type":"market","order_id":"46108941243","matching_id":null,"mark_price":20233.96,"liquidity":"T","instrument_name":"BTC-PERPETUAL","index_price":20253.31,"fee_currency":"BTC","fee":2.5e-07,"direction":"buy","amount":10,"label":"mine"}],"positions":[{"instrument_name":"BTC-PERPETUAL","size":50,"size_currency":0.0025,"direction":"buy","average_price":20000,"mark_price":20000,"leverage":34,"kind":"future","floating_profit_loss":0,"estimated_liquidation_price":1.74}],"orders":[{"order_id":"46108941243","instrument_name":"BTC-PERPETUAL","direction":"buy","order_type":"market","order_state":"filled","price":"market_price","amount":10,"filled_amount":10,"average_price":20000,"time_in_force":"good_til_cancelled","post_only":false,"reduce_only":false,"label":"mine","is_liquidation":false,"last_update_timestamp":1655421193564}]}}}"#;

fn events(frame: &str) -> Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    decode(frame.as_bytes(), &known(), &mut events).map(|()| events)
}

#[test]
fn one_message_tells_fill_order_and_position() {
    let list = events(CHANGES).unwrap();
    let [Event::Fill(fill), Event::Order(order), Event::Position(position)] = &list[..] else {
        panic!("{list:?}");
    };
    assert_eq!(fill.size.to_string(), "0.0005");
    assert_eq!(fill.cause, Cause::User);
    assert_eq!(fill.client_order_id.as_deref(), Some("mine"));
    assert_eq!(fill.fee.as_ref().unwrap().amount.to_string(), "0.00000025");
    assert_eq!(order.size, Some(fill.size));
    assert_eq!(order.filled, fill.size);
    assert_eq!(order.price, None);
    assert_eq!(position.size.to_string(), "0.0025");
    assert_eq!(position.time_ms, 1_655_421_193_564);
}

#[test]
fn a_liquidation_belongs_to_the_side_that_was_liquidated() {
    let cause = |liquidation: &str| {
        let frame = CHANGES.replace(
            "\"label\":\"mine\"}],\"positions\"",
            &format!("\"liquidation\":\"{liquidation}\"}}],\"positions\""),
        );
        match events(&frame).map(|list| list[0].clone()) {
            Ok(Event::Fill(fill)) => Ok(fill.cause),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        }
    };
    assert_eq!(cause("T").unwrap(), Cause::Liquidation);
    assert_eq!(cause("MT").unwrap(), Cause::Liquidation);
    assert_eq!(cause("M").unwrap(), Cause::User);
    assert!(cause("X").is_err());
}

#[test]
fn a_position_whose_word_and_sign_differ_is_refused() {
    assert!(events(&CHANGES.replace("\"size_currency\":0.0025", "\"size_currency\":-0.0025")).is_err());
    let sold = CHANGES.replace("0.0025,\"direction\":\"buy\"", "-0.0025,\"direction\":\"sell\"");
    let Event::Position(position) = &events(&sold).unwrap()[2] else {
        panic!("no position");
    };
    assert_eq!(position.size.to_string(), "-0.0025");
}

#[test]
fn other_products_are_refused() {
    for name in ["BTC-24JUN22-52000-P", "BTC_USDC"] {
        assert!(matches!(
            events(&CHANGES.replace("BTC-PERPETUAL", name)),
            Err(DecodeError::UnsupportedProduct { .. })
        ));
    }
    assert!(matches!(
        events(&CHANGES.replace("BTC-PERPETUAL", "BTC-27MAY22")),
        Err(DecodeError::UnknownInstrument(_))
    ));
}

#[test]
fn the_venues_questions_are_answered() {
    assert_eq!(
        events(r#"{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}"#).unwrap(),
        [Event::Control(Control::Ping {
            reply: r#"{"jsonrpc":"2.0","id":9999,"method":"public/test","params":{}}"#.into()
        })]
    );
    assert!(matches!(
        events(r#"{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}"#).unwrap()[..],
        [Event::Control(Control::Notice { .. })]
    ));
    assert_eq!(
        events(r#"{"jsonrpc":"2.0","id":9999,"result":{"version":"1.2.26"}}"#).unwrap(),
        [Event::Control(Control::Pong)]
    );
    assert_eq!(
        events(r#"{"jsonrpc":"2.0","id":5,"error":{"code":13009,"message":"unauthorized"}}"#).unwrap(),
        [Event::Control(Control::SessionExpired)]
    );
    assert!(matches!(
        events(r#"{"jsonrpc":"2.0","id":1,"error":{"code":13004,"message":"invalid_credentials"}}"#).unwrap()
            [..],
        [Event::Control(Control::LoginRefused { .. })]
    ));
    assert!(events(r#"{"jsonrpc":"2.0"}"#).is_err());
}

proptest! {
    #[test]
    fn a_damaged_frame_never_panics(cut in 0_usize..1500, at in 0_usize..1500, byte in any::<u8>()) {
        let mut frame = CHANGES.as_bytes().to_vec();
        let length = frame.len();
        frame[at % length] = byte;
        frame.truncate(length - cut % 3);
        let mut events = Vec::new();
        let _ = decode(&frame, &known(), &mut events);
    }

    #[test]
    fn another_word_for_the_side_is_refused(word in "[a-zA-Z]{0,6}") {
        prop_assume!(!["buy", "sell", "zero"].contains(&word.as_str()));
        let frame = CHANGES.replace("\"direction\":\"buy\"", &format!("\"direction\":\"{word}\""));
        prop_assert!(events(&frame).is_err());
    }

    #[test]
    fn a_frame_without_one_of_its_fields_is_refused(field in 0_usize..8) {
        let name = ["trade_id", "order_id", "price", "amount", "liquidity", "direction", "fee_currency", "order_state"][field];
        let frame = CHANGES.replace(&format!("\"{name}\":"), "\"gone\":");
        prop_assert!(events(&frame).is_err());
    }
}
