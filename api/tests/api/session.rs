//! Login with a wallet, and what only the logged-in address sees.

use alloy::primitives::{Address, Bytes, U256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use axum::body::Body;
use axum::http::Request;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::door::FakeDoor;
use crate::world::{ALPHA, Reply, World, alice, bob, now};

/// The message as a wallet shows it, from what the API says should be in it.
fn message(nonce: &Value, address: Address) -> String {
    let text = |member: &str| nonce[member].as_str().unwrap();
    format!(
        "{} wants you to sign in with your Ethereum account:\n{address}\n\n{}\n\nURI: {}\nVersion: {}\nChain ID: {}\n\
         Nonce: {}\nIssued At: {}\nExpiration Time: {}",
        text("domain"),
        text("statement"),
        text("uri"),
        text("version"),
        nonce["chainId"],
        text("nonce"),
        text("issuedAt"),
        text("expirationTime"),
    )
}

fn sign(signer: &PrivateKeySigner, message: &str) -> Bytes {
    Bytes::from(
        signer
            .sign_message_sync(message.as_bytes())
            .unwrap()
            .as_bytes()
            .to_vec(),
    )
}

async fn submit(world: &World, message: &str, signature: &Bytes) -> Reply {
    world
        .post(
            "/api/v1/session",
            &json!({ "message": message, "signature": signature }),
        )
        .await
}

async fn log_in(world: &World, signer: &PrivateKeySigner) -> Reply {
    let nonce = world.read("/api/v1/session/nonce").await;
    let message = message(&nonce, signer.address());
    submit(world, &message, &sign(signer, &message)).await
}

/// The session as a header.
async fn bearer(world: &World, signer: &PrivateKeySigner) -> String {
    let reply = log_in(world, signer).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    format!("Bearer {}", reply.json()["token"].as_str().unwrap())
}

fn refusal(reply: &Reply) -> String {
    let problem = reply.problem(401);
    assert_eq!(problem["code"], "login-refused");
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    problem["errors"][0]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_wallet_logs_in_and_out() {
    let world = World::new().await;
    let reply = log_in(&world, &alice()).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.json()["address"], alice().address().to_string());
    assert_eq!(reply.header("cache-control"), "no-store");
    let cookie = reply.header("set-cookie");
    for part in [
        "HttpOnly",
        "SameSite=Strict",
        "Secure",
        "Path=/api",
        "Max-Age=86400",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = format!("theme=dark; {}", cookie.split(';').next().unwrap());
    let session = world.get_with("/api/v1/session", &[("cookie", &pair)]).await;
    assert_eq!(session.json()["address"], alice().address().to_string());
    let token = format!("Bearer {}", reply.json()["token"].as_str().unwrap());
    assert_eq!(
        world
            .get_with("/api/v1/session", &[("authorization", &token)])
            .await
            .status,
        200
    );

    let delete = Request::delete("/api/v1/session")
        .header("cookie", &pair)
        .body(Body::empty())
        .unwrap();
    let gone = world.send(delete).await;
    assert_eq!(gone.status, 204);
    assert!(gone.header("set-cookie").contains("Max-Age=0"));
    for header in [("cookie", pair.as_str()), ("authorization", token.as_str())] {
        let reply = world.get_with("/api/v1/session", &[header]).await;
        assert_eq!(
            reply.problem(401)["code"],
            "unauthenticated",
            "an ended session stays ended"
        );
    }
}

#[tokio::test]
async fn nobody_is_logged_in_by_default_or_by_a_made_up_token() {
    let world = World::new().await;
    for path in ["/api/v1/session", "/api/v1/me"] {
        assert_eq!(world.get(path).await.problem(401)["code"], "unauthenticated");
        let reply = world.get_with(path, &[("authorization", "Bearer 00ff")]).await;
        assert_eq!(reply.problem(401)["code"], "unauthenticated");
    }
}

#[tokio::test]
async fn a_message_is_refused_for_what_is_wrong_with_it() {
    let world = World::new().await;
    let nonce = world.read("/api/v1/session/nonce").await;
    let good = message(&nonce, alice().address());
    let issued = nonce["issuedAt"].as_str().unwrap();
    let expires = nonce["expirationTime"].as_str().unwrap();
    for (from, to, code) in [
        ("lockstep.example wants", "evil.example wants", "wrong-domain"),
        (
            "lockstep.example wants",
            "http://lockstep.example wants",
            "wrong-domain",
        ),
        (
            "lockstep.example wants",
            "lockstep.example:81 wants",
            "wrong-domain",
        ),
        (
            "URI: https://lockstep.example",
            "URI: https://evil.example",
            "wrong-uri",
        ),
        ("Chain ID: 31337", "Chain ID: 1", "wrong-chain"),
        (expires, "2020-01-01T00:00:00.000Z", "expired"),
        (issued, "2099-01-01T00:00:00.000Z", "not-yet"),
        ("Version: 1", "Version: 2", "not-eip-4361"),
        (nonce["nonce"].as_str().unwrap(), "0123456789abcdef", "bad-nonce"),
        ("wants you", "would like you", "not-eip-4361"),
    ] {
        let wrong = good.replacen(from, to, 1);
        assert_ne!(wrong, good, "{from}");
        assert_eq!(
            refusal(&submit(&world, &wrong, &sign(&alice(), &wrong)).await),
            code,
            "{to}"
        );
    }
    // None of that has used the nonce up.
    assert_eq!(submit(&world, &good, &sign(&alice(), &good)).await.status, 201);
}

#[tokio::test]
async fn a_nonce_logs_in_once() {
    let world = World::new().await;
    let nonce = world.read("/api/v1/session/nonce").await;
    let message = message(&nonce, alice().address());
    let signature = sign(&alice(), &message);
    assert_eq!(submit(&world, &message, &signature).await.status, 201);
    assert_eq!(refusal(&submit(&world, &message, &signature).await), "nonce-used");
}

#[tokio::test]
async fn another_keys_signature_is_refused() {
    let world = World::new().await;
    let nonce = world.read("/api/v1/session/nonce").await;
    let message = message(&nonce, alice().address());
    assert_eq!(
        refusal(&submit(&world, &message, &sign(&bob(), &message)).await),
        "bad-signature"
    );
    assert_eq!(
        refusal(&submit(&world, &message, &Bytes::new()).await),
        "bad-signature"
    );
    let changed = message.replace("Log in", "Log out");
    assert_eq!(
        refusal(&submit(&world, &changed, &sign(&alice(), &message)).await),
        "bad-signature"
    );
}

/// A chain with one contract, which takes one signature.
async fn chain(contract: Address, taken: Bytes) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |axum::Json(request): axum::Json<Value>| {
        let taken = taken.clone();
        async move {
            let is_contract = |address: &Value| address.as_str() == Some(&format!("{contract:#x}"));
            let result = match request["method"].as_str().unwrap() {
                "eth_getCode" if is_contract(&request["params"][0]) => json!("0x6001"),
                "eth_getCode" => json!("0x"),
                "eth_call" => {
                    let call = &request["params"][0];
                    let data = call["input"].as_str().or(call["data"].as_str()).unwrap();
                    let hit = data.contains(taken.to_string().trim_start_matches("0x"));
                    let magic = if hit { "1626ba7e" } else { "ffffffff" };
                    json!(format!("0x{magic:0<64}"))
                }
                other => panic!("{other}"),
            };
            axum::Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
        }
    };
    let router = axum::Router::new().route("/", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn a_contract_account_logs_in_when_its_code_says_so() {
    let wallet = Address::repeat_byte(0x5a);
    let taken = Bytes::from(vec![0xab; 130]);
    let rpc = chain(wallet, taken.clone()).await;
    let world = World::with(json!({ "rpc_url": rpc })).await;
    let nonce = world.read("/api/v1/session/nonce").await;
    let text = message(&nonce, wallet);
    assert_eq!(
        refusal(&submit(&world, &text, &Bytes::from(vec![1; 130])).await),
        "bad-signature"
    );
    assert_eq!(submit(&world, &text, &taken).await.status, 201);
    // A plain account has no code to ask.
    let nonce = world.read("/api/v1/session/nonce").await;
    let text = message(&nonce, alice().address());
    assert_eq!(refusal(&submit(&world, &text, &taken).await), "bad-signature");
}

#[tokio::test]
async fn a_silent_chain_is_no_verdict() {
    let world = World::with(json!({ "rpc_url": "http://127.0.0.1:9" })).await;
    let nonce = world.read("/api/v1/session/nonce").await;
    let text = message(&nonce, Address::repeat_byte(0x5a));
    let reply = submit(&world, &text, &Bytes::from(vec![1; 130])).await;
    assert_eq!(reply.problem(503)["code"], "chain-unavailable");
    // A key's signature needs no chain.
    assert_eq!(log_in(&world, &alice()).await.status, 201);
}

#[tokio::test]
async fn the_nonce_is_for_the_site_that_asks_if_it_is_ours() {
    let origins = json!({ "session": { "origins": ["https://a.example", "https://b.example:444"] } });
    let world = World::with(origins).await;
    let domain = async |headers: &[(&str, &str)]| {
        let nonce = world.get_with("/api/v1/session/nonce", headers).await.json();
        nonce["domain"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        domain(&[("origin", "https://b.example:444")]).await,
        "b.example:444"
    );
    assert_eq!(domain(&[("host", "b.example:444")]).await, "b.example:444");
    assert_eq!(domain(&[("origin", "https://evil.example")]).await, "a.example");
}

async fn put_label(world: &World, token: &str, vault: Address, label: &str) -> Reply {
    let request = Request::put(format!("/api/v1/me/labels/{vault}"))
        .header("authorization", token)
        .header("content-type", "application/json")
        .body(Body::from(json!({ "label": label }).to_string()))
        .unwrap();
    world.send(request).await
}

#[tokio::test]
async fn labels_and_relay_history_are_seen_by_their_owner_only() {
    let door = FakeDoor::start().await;
    let world = World::with(door.config()).await;
    let (alices, bobs) = (bearer(&world, &alice()).await, bearer(&world, &bob()).await);
    assert_eq!(
        put_label(&world, &alices, ALPHA, "  pension \u{1f680} ")
            .await
            .json()["label"],
        "pension \u{1f680}"
    );
    let intent = lockstep_contracts::relay::Intent::Stop {
        follower: alice().address(),
        strategy: ALPHA,
        nonce: U256::from(1),
        deadline: U256::from(now() + 60),
    };
    let digest = lockstep_contracts::digest::Domains::from(&crate::world::deployment()).intent(&intent);
    let signature = Bytes::from(alice().sign_hash_sync(&digest).unwrap().as_bytes().to_vec());
    let signed = lockstep_contracts::relay::SignedIntent { intent, signature };
    let body = serde_json::to_value(signed).unwrap();
    assert_eq!(world.post("/api/v1/relay/intent", &body).await.status, 202);
    door.state(json!({ "state": "rejected", "code": "X", "detail": "x" }));

    let mine = world.get_with("/api/v1/me", &[("authorization", &alices)]).await;
    assert_eq!(mine.header("cache-control"), "no-store");
    let mine = mine.json();
    assert_eq!(mine["accounts"][0]["label"], "pension \u{1f680}");
    assert_eq!(mine["relays"][0]["id"], json!(digest));
    assert_eq!(
        (&mine["relays"][0]["kind"], &mine["relays"][0]["last"]["state"]),
        (&json!("stop"), &json!("rejected"))
    );
    let theirs = world
        .get_with("/api/v1/me", &[("authorization", &bobs)])
        .await
        .json();
    assert_eq!(
        (&theirs["accounts"][0]["label"], &theirs["relays"]),
        (&Value::Null, &json!([]))
    );
    let public = world
        .get(&format!("/api/v1/accounts/{}", alice().address()))
        .await;
    assert!(!public.text().contains("pension"));

    assert_eq!(put_label(&world, &alices, ALPHA, "").await.status, 200);
    let mine = world
        .get_with("/api/v1/me", &[("authorization", &alices)])
        .await
        .json();
    assert_eq!(mine["accounts"][0]["label"], Value::Null);
}

#[tokio::test]
async fn labels_are_short_texts_for_own_accounts() {
    let world = World::new().await;
    let alices = bearer(&world, &alice()).await;
    for bad in ["x".repeat(65), "a\nb".to_owned()] {
        let problem = put_label(&world, &alices, ALPHA, &bad).await.problem(400);
        assert_eq!(problem["errors"][0]["field"], "/label");
    }
    let foreign = put_label(&world, &alices, Address::repeat_byte(0xee), "x").await;
    assert_eq!(foreign.problem(404)["code"], "account-not-found");
    assert_eq!(
        put_label(&world, "Bearer x", ALPHA, "x").await.problem(401)["code"],
        "unauthenticated"
    );
}
