//! The WebSocket, over a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use lockstep_api::server;
use lockstep_api::stream::feed::Feed;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::door::FakeDoor;
use crate::schema;
use crate::world::{BETA, World, alice, deployment, now, wad};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Client(Socket);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let (socket, _) = connect_async(format!("ws://{address}/api/v1/stream"))
            .await
            .unwrap();
        let mut client = Self(socket);
        assert_eq!(client.next().await["type"], "hello");
        client
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await;
            match message
                .expect("a message in time")
                .expect("an open connection")
                .unwrap()
            {
                Message::Text(text) => {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    schema::check_named("StreamMessage", &value);
                    return value;
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message of a kind; others are passed over.
    async fn wait_for(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, topics: &[&str]) -> Value {
        self.say(json!({ "type": "subscribe", "topics": topics })).await;
        self.next().await
    }
}

async fn serve(world: &World) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server::serve(world.app.clone(), listener));
    tokio::spawn(Feed::new(world.app.clone()).run());
    // The feed starts with what is new from its first look on.
    tokio::time::sleep(Duration::from_millis(100)).await;
    address
}

#[tokio::test]
async fn those_who_listen_to_a_strategy_are_told_its_batches_signals_and_points() {
    let mut world = World::new().await;
    let mut client = Client::connect(serve(&world).await).await;
    let told = client.subscribe(&["strategy:1"]).await;
    assert_eq!(told, json!({ "type": "subscribed", "topics": ["strategy:1"] }));
    world.batch(now(), "2", "0.8", "2500").await;
    let signal = client.next().await;
    assert_eq!(signal["type"], "signal");
    assert_eq!(signal["signal"]["leverage"], "2.000000000000000000");
    let batch = client.next().await;
    assert_eq!(
        (&batch["type"], &batch["batch"]["number"]),
        (&json!("batch"), &json!(3))
    );
    assert_eq!(batch["batch"]["signal"]["sequence"], "3");
    let nav = client.next().await;
    assert_eq!(
        (&nav["type"], &nav["point"]["navIndex"]),
        (&json!("nav"), &json!("1.300000000000000000"))
    );
    let strategy = client.next().await;
    assert_eq!(
        (&strategy["type"], &strategy["topic"]),
        (&json!("strategy"), &json!("strategy:1"))
    );
}

#[tokio::test]
async fn those_who_listen_to_an_account_are_told_its_fills_and_state() {
    let mut world = World::new().await;
    let mut client = Client::connect(serve(&world).await).await;
    let topic = format!("account:{}", alice().address());
    client.subscribe(&[&topic]).await;
    world.batch(now(), "2", "0.8", "2500").await;
    let fill = client.next().await;
    assert_eq!((&fill["type"], &fill["topic"]), (&json!("fill"), &json!(topic)));
    assert_eq!(fill["fill"]["sizeDelta"], "0.800000000000000000");
    let account = client.wait_for("account").await;
    assert_eq!(account["account"]["positions"][0]["size"], "0.800000000000000000");
}

#[tokio::test]
async fn a_topic_that_was_left_is_silent_and_others_go_on() {
    let mut world = World::new().await;
    let mut client = Client::connect(serve(&world).await).await;
    client.subscribe(&["strategy:1", "strategies"]).await;
    client
        .say(json!({ "type": "unsubscribe", "topics": ["strategy:1"] }))
        .await;
    assert_eq!(client.next().await["topics"], json!(["strategies"]));
    world.nav_point("1.5").await;
    let message = client.next().await;
    assert_eq!(
        (&message["type"], &message["topic"]),
        (&json!("strategy"), &json!("strategies"))
    );
    assert_eq!(message["strategy"]["navIndex"], "1.500000000000000000");
}

#[tokio::test]
async fn a_held_back_signal_is_not_in_the_stream() {
    let mut world = World::new().await;
    let mut client = Client::connect(serve(&world).await).await;
    client.subscribe(&["strategy:2"]).await;
    let signal = lockstep_indexer::decode::Event::SignalAccepted {
        strategy: 2,
        market: 1,
        sequence: 2,
        leverage: wad("-2"),
        observed_at_ms: now() * 1_000,
        proof: lockstep_indexer::model::Proof::Keeper,
    };
    let nav = lockstep_indexer::decode::Event::Nav {
        index: 1,
        time: now(),
        nav_index: wad("1.01"),
        total_equity: "505".parse().unwrap(),
    };
    world
        .block(now(), vec![(deployment().engine, signal), (BETA, nav)])
        .await;
    let message = client.next().await;
    assert_eq!(
        message["type"], "nav",
        "the point is public, the signal is not yet: {message}"
    );
}

#[tokio::test]
async fn a_reorganisation_is_told_to_everyone() {
    let mut world = World::new().await;
    world.nav_point("1.5").await;
    let mut client = Client::connect(serve(&world).await).await;
    let taken = world.head().number;
    world.reorg().await;
    assert_eq!(client.wait_for("reverted").await["fromBlock"], taken);
}

#[tokio::test]
async fn a_relayed_item_is_followed_until_it_is_settled() {
    let door = FakeDoor::start().await;
    let world = World::with(door.config()).await;
    let intent = lockstep_contracts::relay::Intent::Stop {
        follower: alice().address(),
        strategy: crate::world::ALPHA,
        nonce: alloy::primitives::U256::from(1),
        deadline: alloy::primitives::U256::from(now() + 60),
    };
    let id = lockstep_contracts::digest::Domains::from(&deployment()).intent(&intent);
    let signed = lockstep_contracts::relay::SignedIntent {
        intent,
        signature: vec![1; 3].into(),
    };
    let reply = world
        .post("/api/v1/relay/intent", &serde_json::to_value(signed).unwrap())
        .await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let mut client = Client::connect(serve(&world).await).await;
    client.subscribe(&[&format!("relay:{id}")]).await;
    assert_eq!(client.wait_for("relay").await["relay"]["state"], "queued");
    let transaction = alloy::primitives::B256::repeat_byte(5);
    door.state(json!({ "state": "included", "transaction": transaction, "block": 3 }));
    let message = client.wait_for("relay").await;
    assert_eq!(
        (&message["relay"]["state"], &message["relay"]["block"]),
        (&json!("included"), &json!(3))
    );
}

#[tokio::test]
async fn nonsense_is_answered_and_the_connection_stays() {
    let world = World::new().await;
    let mut client = Client::connect(serve(&world).await).await;
    for (message, code) in [
        (json!("hello"), "invalid-message"),
        (json!({ "type": "dance" }), "invalid-message"),
        (
            json!({ "type": "subscribe", "topics": ["weather"] }),
            "unknown-topic",
        ),
        (json!({ "type": "subscribe" }), "invalid-message"),
    ] {
        client.say(message).await;
        assert_eq!(client.next().await["code"], code);
    }
    let many: Vec<String> = (0..65).map(|id| format!("strategy:{id}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(client.subscribe(&many).await["code"], "too-many-topics");
    client.say(json!({ "type": "ping" })).await;
    let beat = client.next().await;
    assert_eq!(
        (&beat["type"], &beat["head"]["number"]),
        (&json!("heartbeat"), &json!(world.head().number))
    );
}

#[tokio::test]
async fn a_silent_connection_hears_heartbeats() {
    let world = World::with(json!({ "stream": { "heartbeat_seconds": 1, "poll_ms": 10 } })).await;
    let mut client = Client::connect(serve(&world).await).await;
    for _ in 0..2 {
        assert_eq!(client.next().await["type"], "heartbeat");
    }
}

/// A client that does not read holds nobody up, is told how much it missed, and can go on.
#[tokio::test]
async fn a_slow_client_is_told_that_it_lags() {
    let world = World::with(json!({ "stream": { "buffer": 4, "poll_ms": 10 } })).await;
    let mut client = Client::connect(serve(&world).await).await;
    client.subscribe(&["strategies"]).await;
    // More than queue, socket buffers and the client's own buffers hold, without the client reading.
    let message = lockstep_api::dto::stream::StreamMessage::Error {
        code: "x".repeat(60_000),
        detail: String::new(),
    };
    for _ in 0..400 {
        world
            .app
            .hub
            .publish(lockstep_api::stream::topic::Topic::Strategies, &message);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let lagged = client.wait_for("lagged").await;
    assert!(lagged["dropped"].as_u64().unwrap() > 4, "{lagged}");
    client.say(json!({ "type": "ping" })).await;
    client.wait_for("heartbeat").await;
}

#[tokio::test]
async fn connections_of_one_client_are_limited() {
    let world = World::with(json!({ "stream": { "max_connections_per_client": 2, "poll_ms": 10 } })).await;
    let address = serve(&world).await;
    let _first = Client::connect(address).await;
    let second = Client::connect(address).await;
    let refused = connect_async(format!("ws://{address}/api/v1/stream"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    drop(second);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _third = Client::connect(address).await;
}

#[tokio::test]
async fn a_plain_request_is_told_to_upgrade() {
    let world = World::new().await;
    let reply = world.get("/api/v1/stream").await;
    assert_eq!(reply.problem(426)["code"], "upgrade-required");
    assert_eq!(reply.header("upgrade"), "websocket");
}

#[tokio::test]
async fn the_server_says_goodbye_when_it_stops() {
    let world = World::new().await;
    let mut client = Client::connect(serve(&world).await).await;
    world.app.stop.cancel();
    let last = tokio::time::timeout(Duration::from_secs(5), client.0.next())
        .await
        .unwrap();
    match last {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1001),
        other => panic!("{other:?}"),
    }
}
