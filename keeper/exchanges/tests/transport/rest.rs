//! Reads, acts and unknown outcomes over real HTTP on loopback. Time is real here: waits are set to milliseconds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use lockstep_exchanges::health::{Health, Limits, State};
use lockstep_exchanges::model::{
    Cause, Decimal, Order, OrderKind, OrderStatus, PositionSide, Side, TimeInForce, Venue,
};
use lockstep_exchanges::operation::{Acknowledgement, Empty, NewOrder, Operation, OrderRef, Reply};
use lockstep_exchanges::protocol::Protocol as _;
use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
use lockstep_exchanges::transport::http::Pool;
use lockstep_exchanges::transport::ledger::{Ledger as _, MemoryLedger, Settlement};
use lockstep_exchanges::transport::limiter::{LimitError, Limiter};
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::rest::{
    Client, NotSent, Outcome, Parts, Patience, Resolution, UnknownCause,
};

use crate::script::{Body, Script};

/// What the server does with one request.
enum Answer {
    Say(u16, Body),
    Raw(u16, &'static str, Vec<(&'static str, &'static str)>),
    /// Takes it and never answers.
    Hang,
}

#[derive(Clone, Default)]
struct Server {
    script: Arc<Mutex<VecDeque<Answer>>>,
    got: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn then(&self, answer: Answer) -> &Self {
        self.script.lock().unwrap().push_back(answer);
        self
    }

    fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }

    async fn start(&self) -> String {
        let server = self.clone();
        let router = Router::new().fallback(move |uri: Uri, _body: Bytes| {
            let server = server.clone();
            async move {
                server.got.lock().unwrap().push(uri.path().to_owned());
                let answer = server.script.lock().unwrap().pop_front();
                match answer {
                    Some(Answer::Say(status, body)) => (
                        StatusCode::from_u16(status).unwrap(),
                        serde_json::to_string(&body).unwrap(),
                    )
                        .into_response(),
                    Some(Answer::Raw(status, body, headers)) => {
                        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
                        for (name, value) in headers {
                            response.headers_mut().insert(name, value.parse().unwrap());
                        }
                        response
                    }
                    Some(Answer::Hang) => std::future::pending().await,
                    None => (StatusCode::IM_A_TEAPOT, "no more script").into_response(),
                }
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}")
    }
}

struct Setup {
    client: Client,
    ledger: Arc<MemoryLedger>,
    health: Health,
    server: Server,
}

async fn setup(venue: Venue) -> Setup {
    let server = Server::default();
    let rest = server.start().await;
    setup_at(venue, server, rest, Arc::default()).await
}

async fn setup_at(venue: Venue, server: Server, rest: String, ledger: Arc<MemoryLedger>) -> Setup {
    let protocol = Script { venue };
    let health = Health::new(venue, Limits::default());
    let instruments = protocol.known_instruments();
    let client = Client::new(Parts {
        protocol: Arc::new(protocol),
        http: Arc::new(Pool::new(Duration::from_millis(300)).unwrap()),
        rest,
        credentials: None,
        instruments,
        clock: VenueClock::new(venue, LocalClock::start()),
        limiter: Limiter::new(venue),
        health: health.clone(),
        ledger: ledger.clone(),
        patience: Patience {
            read_attempts: 3,
            first_backoff: Duration::from_millis(1),
            limit_of_reads: Duration::from_millis(100),
            limit_of_acts: Duration::from_millis(100),
            lag: Duration::from_millis(100),
            validity: Some(Duration::from_secs(5)),
        },
        random: Random::seeded(1),
    });
    Setup {
        client,
        ledger,
        health,
        server,
    }
}

fn place(id: &str) -> Operation {
    Operation::PlaceOrder(NewOrder {
        instrument: "BTCUSDT".into(),
        side: Side::Buy,
        size: Decimal::ONE,
        order_kind: OrderKind::Market,
        price: None,
        time_in_force: None,
        reduce_only: false,
        position_side: PositionSide::Net,
        margin_mode: lockstep_exchanges::model::MarginMode::Cross,
        leverage: None,
        client_order_id: Some(id.into()),
    })
}

fn order(id: &str) -> Box<Order> {
    Box::new(Order {
        instrument: "BTCUSDT".into(),
        order_id: "77".into(),
        client_order_id: Some(id.into()),
        side: Side::Buy,
        position_side: PositionSide::Net,
        order_kind: OrderKind::Market,
        time_in_force: TimeInForce::GoodTilCancelled,
        status: OrderStatus::Filled,
        venue_status: "FILLED".into(),
        price: None,
        trigger_price: None,
        size: Some(Decimal::ONE),
        filled: Decimal::ONE,
        average_price: None,
        reduce_only: false,
        cause: Cause::User,
        time_ms: 1,
    })
}

fn acknowledged(id: &str) -> Body {
    Body::Acknowledged(vec![Acknowledgement {
        order_id: Some("77".into()),
        client_order_id: Some(id.into()),
    }])
}

fn refused(code: &str) -> Body {
    Body::Refused(code.to_owned())
}

#[tokio::test]
async fn reads_are_repeated_and_the_venues_count_is_learned() {
    let setup = setup(Venue::Binance).await;
    setup
        .server
        .then(Answer::Raw(502, "<html>", vec![]))
        .then(Answer::Say(200, refused("busy")))
        .then(Answer::Raw(
            200,
            r#"{"time":5}"#,
            vec![("X-MBX-USED-WEIGHT-1M", "1000")],
        ));
    let reply = setup.client.read(&Operation::ServerTime(Empty {})).await;
    assert_eq!(reply, Ok(Reply::Time(5)));
    assert_eq!(setup.server.got().len(), 3);
}

#[tokio::test]
async fn an_act_is_sent_once_whatever_comes_back() {
    for answer in [
        Answer::Hang,
        Answer::Raw(500, r#"{"acknowledged":[{}]}"#, vec![]),
        Answer::Raw(503, r#"{"refused":"rejected"}"#, vec![]),
        Answer::Raw(429, r#"{"refused":"rejected"}"#, vec![]),
        Answer::Raw(200, "<html>", vec![]),
        Answer::Raw(200, "", vec![]),
        Answer::Say(200, refused("busy")),
    ] {
        let setup = setup(Venue::Bybit).await;
        setup.server.then(answer);
        let outcome = setup.client.act(&place("a")).await;
        assert!(outcome.is_unknown(), "{outcome:?}");
        assert_eq!(setup.server.got().len(), 1);
        assert_eq!(setup.ledger.unsettled(Venue::Bybit).await.unwrap().len(), 1);
        let printed = format!("{outcome:?}");
        assert!(!printed.contains("do-not-print"), "{printed}");
    }
}

#[tokio::test]
async fn certain_ends_are_told_apart() {
    let setup = setup(Venue::Bybit).await;
    setup
        .server
        .then(Answer::Say(200, acknowledged("a")))
        .then(Answer::Say(200, refused("rejected")));
    assert!(matches!(setup.client.act(&place("a")).await, Outcome::Done(_)));
    assert!(matches!(setup.client.act(&place("b")).await, Outcome::Refused(_)));
    assert!(matches!(
        setup.ledger.settlement(Venue::Bybit, "a"),
        Some(Settlement::Taken { .. })
    ));
    assert!(matches!(
        setup.ledger.settlement(Venue::Bybit, "b"),
        Some(Settlement::Refused { .. })
    ));
    // The same cause again, as after a restart: not sent.
    assert_eq!(
        setup.client.act(&place("a")).await,
        Outcome::Unknown(UnknownCause::WrittenBefore)
    );
    assert_eq!(setup.server.got().len(), 2);
}

#[tokio::test]
async fn nothing_listens_means_nothing_was_sent_and_the_id_is_free_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rest = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let setup = setup_at(Venue::Okx, Server::default(), rest, Arc::default()).await;
    let outcome = setup.client.act(&place("a")).await;
    assert!(
        matches!(outcome, Outcome::NotSent(NotSent::Connection(_))),
        "{outcome:?}"
    );
    assert_eq!(
        setup.ledger.settlement(Venue::Okx, "a"),
        Some(Settlement::NotSent)
    );
    let again = setup.client.act(&place("a")).await;
    assert!(matches!(again, Outcome::NotSent(NotSent::Connection(_))));
}

#[tokio::test]
async fn an_order_that_shows_late_is_found_and_not_sent_again() {
    let setup = setup(Venue::Bybit).await;
    setup.server.then(Answer::Hang);
    assert!(setup.client.act(&place("a")).await.is_unknown());
    setup
        .server
        .then(Answer::Say(200, refused("not-found")))
        .then(Answer::Raw(500, "", vec![]))
        .then(Answer::Say(200, Body::Order(order("a"))));
    let intent = setup.ledger.unsettled(Venue::Bybit).await.unwrap().remove(0);
    let resolution = setup
        .client
        .resolve(&intent, Duration::from_secs(5))
        .await
        .unwrap();
    assert!(matches!(resolution, Resolution::Found(order) if order.order_id == "77"));
    assert!(setup.ledger.unsettled(Venue::Bybit).await.unwrap().is_empty());
    assert_eq!(
        setup
            .server
            .got()
            .iter()
            .filter(|path| *path == "/place_order")
            .count(),
        1
    );
}

#[tokio::test]
async fn not_found_means_never_arrived_only_after_validity_and_lag_and_without_fills() {
    let setup = setup(Venue::Bybit).await;
    setup.server.then(Answer::Hang);
    assert!(setup.client.act(&place("a")).await.is_unknown());
    let intent = setup.ledger.unsettled(Venue::Bybit).await.unwrap().remove(0);
    for _ in 0..200 {
        setup.server.then(Answer::Say(200, refused("not-found")));
    }
    // A minute of validity: all the "not found" in the world proves nothing yet.
    let mut young = intent.clone();
    young.valid_until_ms = Some(setup.client.clock().now_ms() + 60_000);
    let open = setup
        .client
        .resolve(&young, Duration::from_millis(300))
        .await
        .unwrap();
    assert_eq!(open, Resolution::Open);
    // No end of validity: it stays open for ever.
    let mut endless = intent.clone();
    endless.valid_until_ms = None;
    let open = setup
        .client
        .resolve(&endless, Duration::from_millis(300))
        .await
        .unwrap();
    assert_eq!(open, Resolution::Open);
    assert!(setup.server.got().iter().all(|path| path != "/fills"));
    // It is over, and the fills know nothing either.
    {
        let mut script = setup.server.script.lock().unwrap();
        script.clear();
        script.push_back(Answer::Say(200, refused("not-found")));
        script.push_back(Answer::Say(200, Body::Fills(vec![])));
    }
    let mut old = intent;
    old.written_ms = 1;
    old.valid_until_ms = Some(setup.client.clock().now_ms() - 1_000);
    let gone = setup.client.resolve(&old, Duration::from_secs(2)).await.unwrap();
    assert_eq!(gone, Resolution::NeverArrived);
    assert_eq!(
        setup.ledger.settlement(Venue::Bybit, "a"),
        Some(Settlement::NeverArrived)
    );
}

#[tokio::test]
async fn a_refused_timestamp_puts_the_clock_right() {
    let setup = setup(Venue::Binance).await;
    let ahead = setup.client.clock().now_ms() + 60_000;
    setup
        .server
        .then(Answer::Say(200, refused("clock")))
        .then(Answer::Say(200, Body::Time(ahead)))
        .then(Answer::Say(200, Body::Order(order("a"))));
    let query = Operation::Order(OrderRef {
        instrument: "BTCUSDT".into(),
        order_id: None,
        client_order_id: Some("a".into()),
    });
    assert!(matches!(setup.client.read(&query).await, Ok(Reply::Order(_))));
    assert_eq!(setup.server.got(), ["/order", "/server_time", "/order"]);
    assert!(setup.client.clock().now_ms() >= ahead);
}

#[tokio::test]
async fn a_ban_stops_everything_and_says_until_when() {
    let setup = setup(Venue::Binance).await;
    setup
        .server
        .then(Answer::Raw(418, "banned", vec![("Retry-After", "120")]));
    assert!(setup.client.act(&place("a")).await.is_unknown());
    let cancel = Operation::CancelOrder(OrderRef::default());
    let outcome = setup.client.act(&cancel).await;
    let Outcome::NotSent(NotSent::Limit(LimitError::Closed { wait, .. })) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(wait > Duration::from_secs(110) && wait <= Duration::from_secs(120));
    assert_eq!(setup.server.got().len(), 1);
    // Nothing is lost: the intent is still open.
    assert_eq!(setup.ledger.unsettled(Venue::Binance).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_open_circuit_stops_what_opens_and_lets_through_what_reduces() {
    let setup = setup(Venue::Bybit).await;
    for number in 0..5 {
        setup.server.then(Answer::Raw(500, "", vec![]));
        assert!(setup.client.act(&place(&format!("a{number}"))).await.is_unknown());
    }
    assert_eq!(setup.health.state(), State::Open);
    assert!(matches!(
        setup.client.act(&place("b")).await,
        Outcome::NotSent(NotSent::Circuit(_))
    ));
    setup.server.then(Answer::Say(200, acknowledged("")));
    let cancel = Operation::CancelOrder(OrderRef::default());
    assert!(matches!(setup.client.act(&cancel).await, Outcome::Done(_)));
    assert_eq!(setup.health.state(), State::Healthy);
}

#[tokio::test]
async fn orders_without_an_id_and_reads_do_not_pass_the_door_of_acts() {
    let setup = setup(Venue::Okx).await;
    let Operation::PlaceOrder(mut nameless) = place("a") else {
        unreachable!()
    };
    nameless.client_order_id = None;
    assert!(matches!(
        setup.client.act(&Operation::PlaceOrder(nameless)).await,
        Outcome::NotSent(NotSent::NoClientOrderId(_))
    ));
    assert!(matches!(
        setup.client.act(&Operation::ServerTime(Empty {})).await,
        Outcome::NotSent(NotSent::WrongDoor(_))
    ));
    assert!(setup.client.read(&place("a")).await.is_err());
    assert!(setup.server.got().is_empty());
}
