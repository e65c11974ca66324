//! The simulators let in who signs as the venue asks and turn away the rest in the venue's own codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lockstep_exchanges::crypto::{hmac_base64, hmac_hex};
use lockstep_exchanges::model::{Decimal, OrderStatus, Venue};
use lockstep_exchanges::request::Method;
use lockstep_exchanges::simulate::engine::Engine;
use lockstep_exchanges::simulate::server::default_account;
use lockstep_exchanges::simulate::venues::wire;
use lockstep_exchanges::simulate::wire::{Incoming, Socket, Wire};
use serde_json::{Value, json};

const NOW_MS: u64 = 1_700_000_000_000;

fn venue(venue: Venue) -> (Box<dyn Wire>, Engine) {
    let (wire, instruments) = wire(venue);
    let mut engine = Engine::new(venue, instruments, 1);
    engine.add_account(default_account(Decimal::from(100_000)));
    engine.set_clock(NOW_MS);
    (wire, engine)
}

/// What a client signs with, and when by its clock.
#[derive(Clone, Copy)]
struct Client {
    key: &'static str,
    secret: &'static str,
    passphrase: &'static str,
    time_ms: u64,
}

const RIGHT: Client = Client {
    key: "test_api_key",
    secret: "test_secret",
    passphrase: "test_passphrase",
    time_ms: NOW_MS,
};

fn request(venue: Venue, method: Method, path: &str, query: &str, body: &str, client: Client) -> Incoming {
    let Client {
        key,
        secret,
        passphrase,
        time_ms,
    } = client;
    let whole = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    };
    let signed = |time: &str| hmac_base64(secret, &format!("{time}{}{whole}{body}", method.name()));
    let headers: Vec<(&str, String)> = match venue {
        Venue::Okx => {
            // 2023-11-14T22:13:20Z and the seconds that were added or taken away.
            let time = time::OffsetDateTime::from_unix_timestamp(i64::try_from(time_ms / 1_000).unwrap())
                .unwrap()
                .format(&time::format_description::well_known::Rfc3339)
                .unwrap();
            vec![
                ("ok-access-key", key.to_owned()),
                ("ok-access-sign", signed(&time)),
                ("ok-access-timestamp", time),
                ("ok-access-passphrase", passphrase.to_owned()),
            ]
        }
        Venue::Bybit => {
            let payload = if method == Method::Get { query } else { body };
            let sign = hmac_hex(secret, &format!("{time_ms}{key}5000{payload}"));
            vec![
                ("x-bapi-api-key", key.to_owned()),
                ("x-bapi-sign", sign),
                ("x-bapi-timestamp", time_ms.to_string()),
                ("x-bapi-recv-window", "5000".to_owned()),
            ]
        }
        _ => vec![
            ("access-key", key.to_owned()),
            ("access-sign", signed(&time_ms.to_string())),
            ("access-timestamp", time_ms.to_string()),
            ("access-passphrase", passphrase.to_owned()),
        ],
    };
    Incoming {
        method,
        path: path.to_owned(),
        raw_query: query.to_owned(),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        body: body.to_owned(),
        host: String::new(),
    }
}

fn code(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    match &body["code"] {
        Value::String(code) => code.clone(),
        _ => body["retCode"].to_string(),
    }
}

/// One signed read of a venue.
fn read_of(venue: Venue) -> (&'static str, &'static str) {
    match venue {
        Venue::Okx => ("/api/v5/account/balance", "ccy=USDT"),
        Venue::Bybit => ("/v5/account/wallet-balance", "accountType=UNIFIED"),
        _ => ("/api/v2/mix/account/accounts", "productType=USDT-FUTURES"),
    }
}

fn answer(which: Venue, client: Client) -> String {
    let (wire, mut engine) = venue(which);
    let (path, query) = read_of(which);
    let request = request(which, Method::Get, path, query, "", client);
    code(&wire.rest(&request, &mut engine).body)
}

#[test]
fn who_signs_right_is_let_in_and_others_are_not() {
    let wrong_key = Client {
        key: "nobody",
        ..RIGHT
    };
    let wrong_secret = Client {
        secret: "guess",
        ..RIGHT
    };
    let wrong_passphrase = Client {
        passphrase: "guess",
        ..RIGHT
    };
    let late = Client {
        time_ms: NOW_MS - 31_000,
        ..RIGHT
    };
    let early = Client {
        time_ms: NOW_MS + 31_000,
        ..RIGHT
    };
    for (venue, codes) in [
        (Venue::Okx, ["0", "50111", "50113", "50105", "50102", "50102"]),
        // Bybit has no passphrase.
        (Venue::Bybit, ["0", "10003", "10004", "0", "10002", "10002"]),
        (
            Venue::Bitget,
            ["00000", "40006", "40009", "40012", "40008", "40008"],
        ),
    ] {
        let clients = [RIGHT, wrong_key, wrong_secret, wrong_passphrase, late, early];
        assert_eq!(
            clients.map(|client| answer(venue, client)),
            codes.map(str::to_owned),
            "{venue}"
        );
    }
}

fn log_in(which: Venue, client: Client) -> (Option<String>, Value) {
    let (wire, mut engine) = venue(which);
    let mut socket = Socket {
        path: match which {
            Venue::Okx => "/ws/v5/private",
            Venue::Bybit => "/v5/private",
            _ => "/v2/ws/private",
        }
        .to_owned(),
        ..Socket::default()
    };
    wire.opened(&mut socket, &mut engine);
    let seconds = (client.time_ms / 1_000).to_string();
    let request = match which {
        Venue::Bybit => {
            let until = client.time_ms + 5_000;
            let sign = hmac_hex(client.secret, &format!("GET/realtime{until}"));
            json!({ "op": "auth", "args": [client.key, until, sign] })
        }
        _ => {
            let path = if which == Venue::Okx {
                "/users/self/verify"
            } else {
                "/user/verify"
            };
            let sign = hmac_base64(client.secret, &format!("{seconds}GET{path}"));
            json!({ "op": "login", "args": [{ "apiKey": client.key, "passphrase": client.passphrase,
                                              "timestamp": seconds, "sign": sign }] })
        }
    };
    let frames = wire.message(&mut socket, &request.to_string(), &mut engine);
    let lockstep_exchanges::simulate::wire::Frame::Text(text) = &frames[0] else {
        panic!("{frames:?}");
    };
    (socket.account, serde_json::from_str(text).unwrap())
}

#[test]
fn sockets_ask_for_the_same() {
    for venue in [Venue::Okx, Venue::Bybit, Venue::Bitget] {
        let (account, _) = log_in(venue, RIGHT);
        assert_eq!(account.as_deref(), Some("test_api_key"), "{venue}");
        for client in [
            Client {
                key: "nobody",
                ..RIGHT
            },
            Client {
                secret: "guess",
                ..RIGHT
            },
            Client {
                time_ms: NOW_MS - 60_000,
                ..RIGHT
            },
        ] {
            let (account, answer) = log_in(venue, client);
            assert_eq!(account, None, "{venue} {answer}");
            assert!(
                answer["event"] == "error" || answer["success"] == false,
                "{answer}"
            );
        }
    }
}

#[test]
fn a_triggered_order_of_bybit_keeps_its_id() {
    let (wire, mut engine) = venue(Venue::Bybit);
    let body = json!({ "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01",
                       "triggerPrice": "51000", "triggerDirection": 1, "orderLinkId": "mine" })
    .to_string();
    let order = request(Venue::Bybit, Method::Post, "/v5/order/create", "", &body, RIGHT);
    assert_eq!(code(&wire.rest(&order, &mut engine).body), "0");
    engine.set_price("BTCUSDT", Decimal::from(51_000));
    let orders: Vec<_> = engine.account(RIGHT.key).unwrap().orders().cloned().collect();
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0].status, OrderStatus::Filled);
    assert_eq!(orders[0].client_order_id.as_deref(), Some("mine"));
}

#[test]
fn bitget_closes_a_long_position_with_a_buy() {
    let (wire, mut engine) = venue(Venue::Bitget);
    let mut post = |path: &str, body: Value| {
        let body = body.to_string();
        let request = request(Venue::Bitget, Method::Post, path, "", &body, RIGHT);
        code(&wire.rest(&request, &mut engine).body)
    };
    let mut order = json!({ "symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginMode": "crossed", "marginCoin": "USDT",
                            "size": "0.01", "side": "buy", "orderType": "market", "tradeSide": "open" });
    let place = "/api/v2/mix/order/place-order";
    assert_eq!(
        post(place, order.clone()),
        "40774",
        "the account is in one-way mode"
    );
    let hedge = json!({ "productType": "USDT-FUTURES", "posMode": "hedge_mode" });
    assert_eq!(post("/api/v2/mix/account/set-position-mode", hedge), "00000");
    assert_eq!(post(place, order.clone()), "00000");
    order["tradeSide"] = "close".into();
    order["side"] = "sell".into();
    assert_eq!(post(place, order.clone()), "22002", "there is no short position");
    order["side"] = "buy".into();
    assert_eq!(post(place, order), "00000");
    assert!(engine.positions(RIGHT.key).is_empty());
}
