//! Our own words for Deribit's inverse perpetual against the simulator, which was written without them. The venue counts it
//! in dollars; outside the adapter sizes are bitcoin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Door, Followed, KEY, decimal};
use lockstep_exchanges::error::Refusal;
use lockstep_exchanges::model::{Cause, ContractKind, Instruments, OrderStatus, PositionSide, Side, Venue};
use lockstep_exchanges::operation::Reply;
use lockstep_exchanges::venues::Generation;
use serde_json::json;

const PERPETUAL: &str = "BTC-PERPETUAL";

fn door() -> Door {
    let mut door = Door::new(Venue::Deribit, Generation::Current);
    let Reply::Instruments(list) = door.ask("instruments", json!({})).unwrap() else {
        panic!("no instruments");
    };
    let inverse = list
        .iter()
        .find(|instrument| instrument.instrument == PERPETUAL)
        .unwrap();
    assert_eq!(
        (inverse.kind, inverse.settle.as_str()),
        (ContractKind::Inverse, "BTC")
    );
    assert_eq!((inverse.lot, inverse.tick), (decimal("10"), decimal("0.5")));
    assert!(
        list.iter()
            .any(|instrument| instrument.kind == ContractKind::Linear)
    );
    door.instruments = Instruments::new(Venue::Deribit, list);
    door
}

#[test]
fn an_order_in_bitcoin_is_dollars_at_the_venue() {
    let mut door = door();
    let order = json!({ "instrument": PERPETUAL, "side": "buy", "size": "0.1", "order_kind": "limit", "price": "40000",
                        "client_order_id": "mine" });
    door.ask("place_order", order).unwrap();
    let at_venue = door.engine.account(KEY).unwrap().orders().next().unwrap().clone();
    assert_eq!(
        at_venue.size,
        Some(decimal("4000")),
        "dollars at the order's price"
    );
    assert!(
        !at_venue.order_id.contains('-'),
        "ids of bitcoin name no currency"
    );
    let told = door
        .orders(
            "order",
            json!({ "instrument": PERPETUAL, "client_order_id": "mine" }),
        )
        .remove(0);
    assert_eq!(told.size, Some(decimal("0.1")));
    door.engine.set_price(PERPETUAL, decimal("39999"));
    let told = door
        .orders(
            "order",
            json!({ "instrument": PERPETUAL, "order_id": told.order_id }),
        )
        .remove(0);
    assert_eq!((told.status, told.filled), (OrderStatus::Filled, decimal("0.1")));
    let Reply::Fills(fills) = door.ask("fills", json!({ "instrument": PERPETUAL })).unwrap() else {
        panic!("no fills");
    };
    let fee = fills[0].fee.clone().unwrap();
    assert_eq!(
        (fills[0].size, fills[0].price),
        (decimal("0.1"), decimal("40000"))
    );
    // Two in ten thousand of a tenth of a bitcoin.
    assert_eq!((fee.amount, fee.asset.as_str()), (decimal("0.00002"), "BTC"));
}

#[test]
fn less_than_a_contract_and_more_than_the_margin_are_refused() {
    let mut door = door();
    let order = |size: &str| {
        json!({ "instrument": PERPETUAL, "side": "buy", "size": size, "order_kind": "limit", "price": "40000",
                "client_order_id": "mine" })
    };
    // 100 bitcoin at leverage 20 carry 2,000; the millions of USDC beside them do not help.
    let (refusal, code) = door.refusal("place_order", order("2600"));
    assert_eq!((refusal, code.as_str()), (Refusal::Rejected, "10009"));
    door.ask("place_order", order("1900")).unwrap();
    door.ask("cancel_all_orders", json!({ "instrument": PERPETUAL }))
        .unwrap();
    assert!(door.orders("open_orders", json!({})).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_holds_it_is_followed_in_bitcoin() {
    let mut followed = Followed::start(Venue::Deribit, Generation::Current, PERPETUAL, "BTC").await;
    followed.trade(Side::Buy, PositionSide::Net, "10000");
    followed.until_true("a long position").await;
    assert_eq!(
        followed.view.positions[0].size,
        decimal("0.2"),
        "ten thousand dollars at 50,000"
    );
    followed.trade(Side::Sell, PositionSide::Net, "15000");
    followed.until_true("the turn to a short position").await;
    assert_eq!(followed.view.positions[0].size, decimal("-0.1"));
    assert_eq!(followed.disagreements, 0, "REST has nothing to correct");
    let before = followed.wallet().unwrap();
    followed
        .exchange
        .act(|engine| engine.set_price(PERPETUAL, decimal("25000")));
    followed.force_close(PositionSide::Net, Cause::Liquidation);
    followed.until_true("the liquidation").await;
    assert!(
        followed
            .view
            .positions
            .iter()
            .all(|position| position.size.is_zero())
    );
    assert_eq!(followed.causes(), [Cause::User, Cause::User, Cause::Liquidation]);
    // Short 5,000 dollars from just under 50,000 to 25,000: they were 0.1 bitcoin and are 0.2.
    let earned = followed.wallet().unwrap() - before;
    assert!(earned > decimal("0.0998") && earned < decimal("0.1"), "{earned}");
}
