//! Our own words for Bitget's unified accounts (v3) against the simulator, which was written without them: requests are
//! taken and read back, and an account is followed over the sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Door, Followed, KEY, NOW_MS, decimal};
use lockstep_exchanges::crypto::hmac_base64;
use lockstep_exchanges::error::Refusal;
use lockstep_exchanges::model::{
    Cause, Decimal, Fill, Instruments, OrderKind, OrderStatus, PositionMode, PositionSide, Scope, Side, Text,
    Venue,
};
use lockstep_exchanges::operation::Reply;
use lockstep_exchanges::simulate::faults::Fault;
use lockstep_exchanges::simulate::wire::{Frame, Socket};
use lockstep_exchanges::venues::Generation;
use serde_json::{Value, json};

const BTC: &str = "BTCUSDT";

fn door() -> Door {
    Door::new(Venue::Bitget, Generation::Next)
}

/// Positions as REST tells them, checked against the truth.
fn positions(door: &mut Door) -> Vec<(PositionSide, Decimal)> {
    let Reply::Positions(told) = door.ask("positions", json!({})).unwrap() else {
        panic!("no positions");
    };
    assert_eq!(told, door.engine.positions(KEY));
    told.into_iter()
        .map(|position| (position.position_side, position.size))
        .collect()
}

async fn followed() -> Followed {
    Followed::start(Venue::Bitget, Generation::Next, BTC, "USDT").await
}

#[test]
fn what_is_ordered_is_taken_and_read_back() {
    let mut door = door();
    let Reply::Instruments(list) = door.ask("instruments", json!({})).unwrap() else {
        panic!("no instruments");
    };
    let listed: Vec<_> = door
        .engine
        .quotes()
        .map(|quote| quote.instrument.clone())
        .collect();
    for instrument in &listed {
        assert!(list.contains(instrument), "{instrument:?} in {list:?}");
    }
    door.instruments = Instruments::new(Venue::Bitget, list);

    let mut limit = json!({ "instrument": BTC, "side": "buy", "size": "0.01", "order_kind": "limit", "price": "45000",
                            "client_order_id": "mine" });
    door.ask("place_order", limit.clone()).unwrap();
    assert_eq!(door.refusal("place_order", limit.clone()).0, Refusal::Duplicate);
    let mine = json!({ "instrument": BTC, "client_order_id": "mine" });
    let order = door.orders("order", mine.clone()).remove(0);
    assert_eq!((order.status, order.side), (OrderStatus::Open, Side::Buy));
    assert_eq!(order.price, Some(decimal("45000")));
    door.ask(
        "amend_order",
        json!({ "instrument": BTC, "client_order_id": "mine", "price": "44000", "size": "0.02" }),
    )
    .unwrap();
    let changed = door.orders("open_orders", json!({ "instrument": BTC }));
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].order_id, order.order_id, "a change keeps the id");
    assert_eq!(changed[0].size, Some(decimal("0.02")));
    door.ask("cancel_order", mine.clone()).unwrap();
    assert_eq!(
        door.orders("order", mine.clone())[0].status,
        OrderStatus::Cancelled
    );
    // What v3 says of an order that is not there means that, and not that something was wrong with the request.
    let gone = (Refusal::NotFound, "25204".to_owned());
    assert_eq!(door.refusal("cancel_order", mine), gone);
    assert_eq!(
        door.refusal("order", json!({ "instrument": BTC, "order_id": "1" })),
        gone
    );

    limit["price"] = "45000.05".into();
    limit["client_order_id"] = "fine".into();
    assert_eq!(door.refusal("place_order", limit.clone()).1, "41103");
    limit["price"] = "45000".into();
    limit["size"] = "0.0001".into();
    assert_eq!(door.refusal("place_order", limit.clone()).1, "45110");
    limit["size"] = "1000".into();
    assert_eq!(door.refusal("place_order", limit).1, "40762");
}

#[test]
fn several_at_once_are_answered_one_by_one() {
    let mut door = door();
    let order = |id: &str, price: &str| {
        json!({ "instrument": BTC, "side": "buy", "size": "0.01", "order_kind": "limit", "price": price,
                "client_order_id": id })
    };
    let orders = json!({ "orders": [order("a", "45000"), order("b", "45000.05"), order("c", "44000")] });
    let Reply::Acknowledged(placed) = door.ask("place_orders", orders).unwrap() else {
        panic!("no answers");
    };
    assert!(placed[0].is_ok() && placed[2].is_ok());
    assert_eq!(placed[1].as_ref().unwrap_err().code, "41103");
    let of = |id: &str| json!({ "instrument": BTC, "client_order_id": id });
    let Reply::Acknowledged(cancelled) = door
        .ask("cancel_orders", json!({ "orders": [of("a"), of("b")] }))
        .unwrap()
    else {
        panic!("no answers");
    };
    assert!(cancelled[0].is_ok());
    assert_eq!(cancelled[1].as_ref().unwrap_err().refusal, Refusal::NotFound);
    assert_eq!(door.orders("open_orders", json!({})).len(), 1);
    door.ask("cancel_all_orders", json!({ "instrument": BTC }))
        .unwrap();
    assert!(door.orders("open_orders", json!({})).is_empty());

    door.ask("place_order", order("d", "45000")).unwrap();
    door.ask("cancel_all_after", json!({ "after_ms": 5_000 }))
        .unwrap();
    door.engine.set_clock(NOW_MS + 4_999);
    assert_eq!(door.orders("open_orders", json!({})).len(), 1);
    door.engine.set_clock(NOW_MS + 5_000);
    assert!(door.orders("open_orders", json!({})).is_empty());
}

#[test]
fn positions_fills_and_settings_are_read_as_they_are() {
    let mut door = door();
    door.ask("set_leverage", json!({ "instrument": BTC, "leverage": "7" }))
        .unwrap();
    let Reply::Leverage(leverage) = door.ask("leverage", json!({ "instrument": BTC })).unwrap() else {
        panic!("no leverage");
    };
    assert_eq!(leverage[0].leverage, decimal("7"));

    let market = |side: &str, size: &str, position: &str| json!({ "instrument": BTC, "side": side, "size": size, "position_side": position });
    door.ask("place_order", market("buy", "0.3", "net")).unwrap();
    door.ask("place_order", market("sell", "0.5", "net")).unwrap();
    assert_eq!(positions(&mut door), [(PositionSide::Net, decimal("-0.2"))]);
    let rung = |trigger: &str| {
        json!({ "instrument": BTC, "side": "buy", "size": "0.1", "order_kind": "stop_market", "trigger_price": trigger,
                "reduce_only": true })
    };
    door.ask(
        "place_stop_ladder",
        json!({ "rungs": [rung("50500"), rung("51000")] }),
    )
    .unwrap();
    assert_eq!(door.refusal("place_conditional_order", rung("49000")).1, "40917");
    door.engine.set_price(BTC, decimal("50500"));
    assert_eq!(positions(&mut door), [(PositionSide::Net, decimal("-0.1"))]);
    let waiting = door.engine.account(KEY).unwrap();
    let waiting: Vec<Text> = waiting
        .orders()
        .filter(|order| order.status == OrderStatus::Untriggered)
        .map(|order| order.order_id.clone())
        .collect();
    assert_eq!(waiting.len(), 1);
    door.ask(
        "cancel_conditional_order",
        json!({ "instrument": BTC, "order_id": waiting[0] }),
    )
    .unwrap();
    let busy = json!({ "position_mode": "hedge" });
    assert_eq!(door.refusal("set_position_mode", busy.clone()).1, "40920");
    door.ask("close_position", json!({ "instrument": BTC })).unwrap();
    assert!(positions(&mut door).is_empty());
    let nothing = json!({ "instrument": BTC });
    assert_eq!(door.refusal("close_position", nothing).0, Refusal::AlreadyDone);

    door.ask("set_position_mode", busy).unwrap();
    let Reply::AccountMode(mode) = door.ask("account_mode", json!({})).unwrap() else {
        panic!("no mode");
    };
    assert_eq!(mode.position_mode, PositionMode::Hedge);
    assert_eq!(
        door.refusal("place_order", market("buy", "0.3", "net")).1,
        "40774"
    );
    door.ask("place_order", market("buy", "0.3", "long")).unwrap();
    door.ask("place_order", market("sell", "0.2", "short")).unwrap();
    // Closing is the other way round, with the position beside: never as in v2.
    door.ask("place_order", market("sell", "0.1", "long")).unwrap();
    assert_eq!(
        positions(&mut door),
        [
            (PositionSide::Long, decimal("0.2")),
            (PositionSide::Short, decimal("-0.2"))
        ]
    );
    door.engine
        .force_close(KEY, BTC, PositionSide::Long, Cause::Liquidation);
    door.engine
        .force_close(KEY, BTC, PositionSide::Short, Cause::AutoDeleveraging);
    let Reply::Fills(fills) = door.ask("fills", json!({ "start_ms": NOW_MS })).unwrap() else {
        panic!("no fills");
    };
    let truth = door.engine.account(KEY).unwrap().fills();
    let shown = |fill: &Fill| {
        (
            fill.order_id.clone(),
            fill.side,
            fill.size,
            fill.price,
            fill.fee.clone(),
            fill.cause,
        )
    };
    assert_eq!(
        fills.iter().map(shown).collect::<Vec<_>>(),
        truth.iter().map(shown).collect::<Vec<_>>()
    );
    assert_eq!(fills.last().map(|fill| fill.cause), Some(Cause::AutoDeleveraging));
    let last = truth.last().unwrap().order_id.clone();
    let closed = door
        .orders("order", json!({ "instrument": BTC, "order_id": last }))
        .remove(0);
    assert_eq!(
        (closed.cause, closed.order_kind),
        (Cause::AutoDeleveraging, OrderKind::Venue)
    );
    let Reply::Balances(balances) = door.ask("balances", json!({})).unwrap() else {
        panic!("no balances");
    };
    assert_eq!(
        Some(balances[0].wallet),
        door.engine.balance(KEY).map(|balance| balance.wallet)
    );
}

#[test]
fn market_data_is_read() {
    let mut door = door();
    for (operation, parameters) in [
        ("server_time", json!({})),
        ("ticker", json!({ "instrument": BTC })),
        ("book", json!({ "instrument": BTC, "depth": 5 })),
        ("trades", json!({ "instrument": BTC })),
        ("mark", json!({ "instrument": BTC })),
        ("funding", json!({ "instrument": BTC })),
    ] {
        let reply = door.ask(operation, parameters);
        assert!(reply.is_ok(), "{operation}: {reply:?}");
    }
    let Reply::Book(book) = door
        .ask("book", json!({ "instrument": BTC, "depth": 5 }))
        .unwrap()
    else {
        panic!("no book");
    };
    assert_eq!((book.bids.len(), book.asks.len()), (5, 5));
    let (clock, others) = door.paths.split_first().unwrap();
    assert_eq!(clock, "/api/v2/public/time", "v3 has none of its own");
    assert!(
        others.iter().all(|path| path.starts_with("/api/v3/")),
        "{others:?}"
    );
    let klines = json!({ "instrument": BTC, "interval": "1h", "limit": 3 });
    let Reply::Klines(klines) = door.ask("klines", klines).unwrap() else {
        panic!("no klines");
    };
    assert_eq!(klines.len(), 3);
}

#[test]
fn a_stranger_is_turned_away_at_both_doors() {
    let mut door = door();
    door.secret = "guess";
    assert_eq!(
        door.refusal("balances", json!({})),
        (Refusal::Authentication, "40009".to_owned())
    );
    for (secret, private, account, code) in [
        ("test_secret", true, Some(KEY), 0),
        ("guess", true, None, 30015),
        ("test_secret", false, None, 30001),
    ] {
        let mut socket = Socket {
            path: format!("/v3/ws/{}", if private { "private" } else { "public" }),
            ..Socket::default()
        };
        door.wire.opened(&mut socket, &mut door.engine);
        let sign = hmac_base64(secret, &format!("{}GET/user/verify", NOW_MS / 1_000));
        let login = json!({ "op": "login", "args": [{ "apiKey": KEY, "passphrase": "test_passphrase",
                                                      "timestamp": (NOW_MS / 1_000).to_string(), "sign": sign }] });
        let order = json!({ "op": "subscribe", "args": [{ "instType": "UTA", "topic": "order" }] });
        let message = if private { login } else { order };
        let frames = door
            .wire
            .message(&mut socket, &message.to_string(), &mut door.engine);
        let Frame::Text(text) = &frames[0] else {
            panic!("{frames:?}");
        };
        let answer: Value = serde_json::from_str(text).unwrap();
        assert_eq!(answer["code"], code, "{answer}");
        assert_eq!(socket.account.as_deref(), account);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_one_way_mode_is_followed_through_turns_and_closings_by_the_venue() {
    let mut followed = followed().await;
    followed.trade(Side::Buy, PositionSide::Net, "0.3");
    followed.until_true("a long position").await;
    followed.trade(Side::Sell, PositionSide::Net, "0.5");
    followed.until_true("the turn to a short position").await;
    followed.force_close(PositionSide::Net, Cause::Liquidation);
    followed.until_true("the liquidation").await;
    followed.trade(Side::Buy, PositionSide::Net, "0.1");
    followed.force_close(PositionSide::Net, Cause::AutoDeleveraging);
    followed.until_true("the deleveraging").await;
    assert_eq!(
        followed.causes(),
        [
            Cause::User,
            Cause::User,
            Cause::Liquidation,
            Cause::User,
            Cause::AutoDeleveraging
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_hedged_account_are_followed_and_what_the_stream_lost_is_found() {
    let mut followed = followed().await;
    followed
        .exchange
        .act(|engine| engine.set_position_mode(KEY, PositionMode::Hedge))
        .unwrap();
    followed.trade(Side::Buy, PositionSide::Long, "0.3");
    followed.trade(Side::Sell, PositionSide::Short, "0.2");
    followed.until_true("both sides").await;
    followed.trade(Side::Sell, PositionSide::Long, "0.1");
    followed.until_true("a part of the long side closed").await;
    assert!(followed.fills.iter().all(|(_, repaired)| !repaired));
    assert_eq!(followed.disagreements, 0, "REST has nothing to correct");
    // The socket stays open and answers, and says nothing of what happens.
    followed.exchange.fault(&Fault::SilentStream {
        scope: Scope::Private,
        milliseconds: 600_000,
    });
    followed.force_close(PositionSide::Short, Cause::Liquidation);
    followed.until_true("what the stream lost").await;
    let (lost, repaired) = followed.fills.last().unwrap();
    assert!(*repaired);
    assert_eq!((lost.cause, lost.side), (Cause::Liquidation, Side::Buy));
}
