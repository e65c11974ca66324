use proptest::prelude::*;

use super::*;

const FILLS: &str = r#"{"channel":"userFills","data":{"user":"0x15F43d1f2dee81424afd891943262aa90f22cc2a","fills":[{"coin":"BTC","px":"72528.0","sz":"0.11693","side":"A","time":1710208712815,"startPosition":"0.11693","dir":"Close Long","closedPnl":"-0.81851","hash":"0xc5","oid":7484888874,"crossed":true,"fee":"2.968244","tid":567547935839686,"cloid":null,"feeToken":"USDC"}]}}"#;
const ORDERS: &str = r#"{"channel":"orderUpdates","data":[{"order":{"coin":"BTC","side":"B","limitPx":"30000.0","sz":"0.001","oid":7456484275,"timestamp":1710163596492,"origSz":"0.003"},"status":"open","statusTimestamp":1710163596492}]}"#;

fn events(frame: &str) -> Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    decode(frame.as_bytes(), Scope::Private, &mut events).map(|()| events)
}

fn fill(frame: &str) -> Fill {
    match events(frame).unwrap().remove(0) {
        Event::Fill(fill) => fill,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fill_tells_the_position_after_it() {
    let fill = fill(FILLS);
    assert_eq!(fill.side, Side::Sell);
    assert_eq!(fill.position_after, Some(Decimal::ZERO));
    assert_eq!(fill.cause, Cause::User);
    assert_eq!(
        fill.user.as_deref(),
        Some("0x15f43d1f2dee81424afd891943262aa90f22cc2a")
    );
    assert!(!fill.historic);
    assert_eq!(fill.client_order_id, None);
}

#[test]
fn a_snapshot_is_history() {
    let frame = FILLS.replace("\"user\"", "\"isSnapshot\":true,\"user\"");
    assert!(fill(&frame).historic);
}

#[test]
fn a_liquidation_is_nobodys_intent_but_the_other_sides() {
    let liquidation = |user: &str| {
        FILLS.replace(
            "\"feeToken\"",
            &format!("\"liquidation\":{{\"liquidatedUser\":\"{user}\",\"markPx\":\"72000\",\"method\":\"market\"}},\"feeToken\""),
        )
    };
    assert_eq!(
        fill(&liquidation("0x15f43d1f2dee81424afd891943262aa90f22cc2a")).cause,
        Cause::Liquidation
    );
    assert_eq!(fill(&liquidation("0x1")).cause, Cause::User);
    assert_eq!(
        fill(&FILLS.replace("Close Long", "Liquidated Isolated Long")).cause,
        Cause::Liquidation
    );
    assert_eq!(
        fill(&FILLS.replace("Close Long", "Auto-Deleveraging")).cause,
        Cause::AutoDeleveraging
    );
}

#[test]
fn a_fill_that_contradicts_itself_is_refused() {
    assert!(events(&FILLS.replace("\"A\"", "\"B\"")).is_err());
    assert!(events(&FILLS.replace("Close Long", "Close Short")).is_err());
    assert!(events(&FILLS.replace("Close Long", "Closed Long")).is_err());
    assert!(events(&FILLS.replace("\"coin\":\"BTC\"", "\"coin\":\"@107\"")).is_err());
    assert!(events(&FILLS.replace("\"0.11693\",\"side\"", "\"-0.11693\",\"side\"")).is_err());
}

#[test]
fn orders_are_believed_only_on_a_socket_with_one_user() {
    let Event::Order(order) = events(ORDERS).unwrap().remove(0) else {
        panic!("no order");
    };
    assert_eq!(order.status, OrderStatus::PartiallyFilled);
    assert_eq!(order.filled.to_string(), "0.002");
    let mut shared = Vec::new();
    assert!(decode(ORDERS.as_bytes(), Scope::Public, &mut shared).is_err());
    for (word, status, cause) in [
        ("liquidatedCanceled", OrderStatus::Cancelled, Cause::Liquidation),
        ("delistedCanceled", OrderStatus::Cancelled, Cause::Settlement),
        ("reduceOnlyRejected", OrderStatus::Rejected, Cause::User),
        ("scheduledCancel", OrderStatus::Cancelled, Cause::User),
    ] {
        let frame = ORDERS.replace("\"open\"", &format!("\"{word}\""));
        let Event::Order(order) = events(&frame).unwrap().remove(0) else {
            panic!("no order");
        };
        assert_eq!((order.status, order.cause), (status, cause), "{word}");
    }
    assert!(events(&ORDERS.replace("\"open\"", "\"opened\"")).is_err());
}

#[test]
fn trades_name_their_users() {
    let frame = r#"{"channel":"trades","data":[{"coin":"BTC","side":"A","px":"68517.0","sz":"0.005","time":1710125266669,"hash":"0xc8","tid":981894269203506,"users":["0xAb","0xCd"]}]}"#;
    let Event::Trade(trade) = events(frame).unwrap().remove(0) else {
        panic!("no trade");
    };
    assert_eq!(
        (trade.buyer.as_deref(), trade.seller.as_deref()),
        (Some("0xab"), Some("0xcd"))
    );
}

#[test]
fn control_messages_are_told() {
    assert_eq!(
        events(r#"{"channel":"pong"}"#).unwrap(),
        [Event::Control(Control::Pong)]
    );
    assert_eq!(
        events(r#"{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"userFills","user":"0x1"}}}"#).unwrap(),
        [Event::Control(Control::Subscribed { topic: "userFills:0x1".into() })]
    );
    assert!(matches!(
        events(r#"{"channel":"post","data":{"id":1,"response":{"type":"action","payload":{"status":"ok","response":{"type":"order","data":{"statuses":[{"resting":{"oid":1}}]}}}}}}"#).unwrap()[..],
        [Event::Control(Control::Answered { .. })]
    ));
}

proptest! {
    #[test]
    fn a_damaged_frame_never_panics(
        which in 0_usize..2,
        cut in 0_usize..600,
        at in 0_usize..600,
        byte in any::<u8>(),
    ) {
        let mut frame = [FILLS, ORDERS][which].as_bytes().to_vec();
        let length = frame.len();
        frame[at % length] = byte;
        frame.truncate(length - cut % 3);
        let mut events = Vec::new();
        let _ = decode(&frame, Scope::Private, &mut events);
    }

    #[test]
    fn another_word_for_the_side_is_refused(word in "[a-zA-Z]{0,6}") {
        // With the right word of the other side too: the rest of the message contradicts it.
        prop_assume!(word != "A");
        let frame = FILLS.replace("\"A\"", &format!("\"{word}\""));
        prop_assert!(events(&frame).is_err());
    }

    #[test]
    fn a_frame_without_one_of_its_fields_is_refused(field in 0_usize..12) {
        let name = ["coin", "px", "sz", "side", "time", "startPosition", "dir", "oid", "crossed", "fee", "tid", "user"][field];
        let frame = FILLS.replace(&format!("\"{name}\":"), "\"gone\":");
        prop_assert!(events(&frame).is_err());
    }
}
