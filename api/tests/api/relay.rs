//! Signatures on their way: what is refused here, what is handed over, and what is told when nobody knows.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use axum::http::StatusCode;
use lockstep_contracts::digest::Domains;
use lockstep_contracts::relay::{Intent, Mandate, SignedIntent, SignedMandate};
use serde_json::{Value, json};

use crate::door::{FakeDoor, Mood};
use crate::world::{ALPHA, World, accepted_mandate, alice, bob, deployment, now};

fn domains() -> Domains {
    Domains::from(&deployment())
}

fn sign(signer: &PrivateKeySigner, digest: B256) -> Bytes {
    Bytes::from(signer.sign_hash_sync(&digest).unwrap().as_bytes().to_vec())
}

/// A new mandate of Alice's, with a deposit.
fn mandate() -> Mandate {
    Mandate {
        nonce: U256::from(77),
        deposit: 50_000_000,
        expiry: now() + 1_000_000,
        ..accepted_mandate()
    }
}

fn signed_in(domains: &Domains, signer: &PrivateKeySigner, mandate: Mandate) -> SignedMandate {
    let mut signed = SignedMandate {
        mandate,
        permit_nonce: U256::from(9),
        permit_deadline: U256::from(now() + 3_600),
        signature: Bytes::new(),
        token_permit: None,
    };
    signed.signature = sign(signer, domains.mandate(&signed));
    signed
}

fn signed(mandate: Mandate) -> SignedMandate {
    signed_in(&domains(), &alice(), mandate)
}

fn stop() -> Intent {
    Intent::Stop {
        follower: alice().address(),
        strategy: ALPHA,
        nonce: U256::from(5),
        deadline: U256::from(now() + 60),
    }
}

fn signed_intent(intent: Intent) -> SignedIntent {
    let signature = sign(&alice(), domains().intent(&intent));
    SignedIntent { intent, signature }
}

fn body<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

async fn world() -> (World, FakeDoor) {
    let door = FakeDoor::start().await;
    (World::with(door.config()).await, door)
}

const MANDATE: &str = "/api/v1/relay/mandate";
const INTENT: &str = "/api/v1/relay/intent";

#[tokio::test]
async fn a_good_mandate_is_handed_over_and_can_be_asked_by_its_digest() {
    let (world, door) = world().await;
    let signed = signed(mandate());
    let id = domains().mandate(&signed);
    let reply = world.post(MANDATE, &body(&signed)).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(reply.json(), json!({ "id": id, "state": "queued" }));
    assert_eq!(reply.header("location"), format!("/api/v1/relay/{id}"));
    assert_eq!(door.taken(), [(id, body(&signed))]);

    let transaction = B256::repeat_byte(0x77);
    door.state(json!({ "state": "included", "transaction": transaction, "block": 12 }));
    let asked = world.get(reply.header("location")).await;
    assert_eq!(asked.header("cache-control"), "no-store");
    assert_eq!(
        asked.json(),
        json!({ "id": id, "state": "included", "transaction": transaction, "block": 12 })
    );
}

#[tokio::test]
async fn updates_stops_and_withdrawals_are_handed_over() {
    let (world, door) = world().await;
    let update = signed(Mandate {
        deposit: 0,
        ..mandate()
    });
    assert_eq!(world.post(MANDATE, &body(&update)).await.status, 202);
    let withdraw = Intent::Withdraw {
        follower: alice().address(),
        strategy: ALPHA,
        amount: U256::MAX,
        nonce: U256::from(6),
        deadline: U256::from(now() + 60),
    };
    for intent in [stop(), withdraw] {
        let reply = world.post(INTENT, &body(&signed_intent(intent))).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
    }
    assert_eq!(door.taken().len(), 3);
}

#[tokio::test]
async fn what_the_chain_would_refuse_is_refused_field_by_field() {
    let (world, door) = world().await;
    type Change = fn(&mut Mandate);
    let cases: [(&str, &str, Change); 12] = [
        ("/mandate/ratioBps", "out-of-range", |m| m.ratio_bps = 0),
        ("/mandate/ratioBps", "out-of-range", |m| m.ratio_bps = 100_001),
        ("/mandate/fixedNotional", "out-of-range", |m| m.mode = 1),
        ("/mandate/mode", "unsupported-mode", |m| m.mode = 2),
        ("/mandate/maxLeverageBps", "out-of-range", |m| {
            m.max_leverage_bps = 99
        }),
        ("/mandate/maxPositionNotional", "out-of-range", |m| {
            m.max_position_notional = 999_999
        }),
        ("/mandate/maxDailyTurnover", "out-of-range", |m| {
            m.max_daily_turnover = 0
        }),
        ("/mandate/maxSlippageBps", "out-of-range", |m| {
            m.max_slippage_bps = 10_001
        }),
        ("/mandate/stopLossBps", "out-of-range", |m| {
            m.stop_loss_bps = 10_000
        }),
        ("/mandate/allowedMarkets", "out-of-range", |m| {
            m.allowed_markets.clear()
        }),
        ("/mandate/allowedMarkets/1", "unknown-market", |m| {
            m.allowed_markets[1] = "DOGE-USD".into()
        }),
        ("/mandate/expiry", "expired", |m| m.expiry = now() - 1),
    ];
    for (field, code, change) in cases {
        let mut mandate = mandate();
        change(&mut mandate);
        let problem = world.post(MANDATE, &body(&signed(mandate))).await.problem(422);
        assert_eq!(problem["code"], "mandate-invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        assert_eq!(problem["errors"][0]["code"], code, "{problem}");
    }
    // All at once, not one after the other.
    let wrong = Mandate {
        ratio_bps: 0,
        max_slippage_bps: 20_000,
        ..mandate()
    };
    let problem = world.post(MANDATE, &body(&signed(wrong))).await.problem(422);
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);

    let mut late = signed(mandate());
    late.permit_deadline = U256::from(now() - 5);
    late.signature = sign(&alice(), domains().mandate(&late));
    let problem = world.post(MANDATE, &body(&late)).await.problem(422);
    assert_eq!(problem["errors"][0]["field"], "/permitDeadline");
    assert!(door.taken().is_empty(), "none of it was handed over");
}

#[tokio::test]
async fn a_wrong_intent_is_refused() {
    let (world, door) = world().await;
    let follower = alice().address();
    let (nonce, deadline) = (U256::from(1), U256::from(now() + 60));
    for (intent, field) in [
        (
            Intent::Stop {
                follower,
                strategy: ALPHA,
                nonce,
                deadline: U256::from(now() - 5),
            },
            "/intent/deadline",
        ),
        (
            Intent::Withdraw {
                follower,
                strategy: ALPHA,
                amount: U256::ZERO,
                nonce,
                deadline,
            },
            "/intent/amount",
        ),
    ] {
        let problem = world
            .post(INTENT, &body(&signed_intent(intent)))
            .await
            .problem(422);
        assert_eq!(
            (&problem["code"], &problem["errors"][0]["field"]),
            (&json!("intent-invalid"), &json!(field))
        );
    }
    assert!(door.taken().is_empty());
}

#[tokio::test]
async fn what_the_store_may_not_have_yet_is_left_to_the_keeper() {
    let (world, door) = world().await;
    let new_vault = Mandate {
        strategy: Address::repeat_byte(0xcc),
        ..mandate()
    };
    assert_eq!(world.post(MANDATE, &body(&signed(new_vault))).await.status, 202);
    let top_up = Mandate {
        nonce: U256::from(78),
        deposit: 1_000_000,
        ..mandate()
    };
    assert_eq!(world.post(MANDATE, &body(&signed(top_up))).await.status, 202);
    let new_account = Intent::Stop {
        follower: alice().address(),
        strategy: Address::repeat_byte(0xcc),
        nonce: U256::from(6),
        deadline: U256::from(now() + 60),
    };
    let status = world
        .post(INTENT, &body(&signed_intent(new_account)))
        .await
        .status;
    assert_eq!(status, 202);
    assert_eq!(door.taken().len(), 3);
}

#[tokio::test]
async fn a_signature_for_another_chain_or_in_the_other_domain_is_named_as_that() {
    let (world, door) = world().await;
    let d = deployment();
    let elsewhere = Domains::new(42_161, d.engine, d.permit2, d.usdc);
    let problem = world
        .post(MANDATE, &body(&signed_in(&elsewhere, &alice(), mandate())))
        .await
        .problem(422);
    assert_eq!(problem["errors"][0]["code"], "wrong-chain");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("42161"));

    let mut swapped = signed(mandate());
    swapped.signature = sign(&alice(), domains().update(&swapped.mandate));
    let problem = world.post(MANDATE, &body(&swapped)).await.problem(422);
    assert_eq!(problem["errors"][0]["code"], "wrong-domain");
    assert!(door.taken().is_empty());
}

#[tokio::test]
async fn a_contracts_signature_is_passed_on_because_only_the_chain_can_judge_it() {
    let (world, door) = world().await;
    // A wallet contract whose owner is Bob: recovers to Bob, and may well be right.
    let owned = signed_in(&domains(), &bob(), mandate());
    assert_eq!(world.post(MANDATE, &body(&owned)).await.status, 202);
    // A multi-signature wallet's.
    let mut long = signed(Mandate {
        nonce: U256::from(78),
        ..mandate()
    });
    long.signature = Bytes::from(vec![7; 195]);
    assert_eq!(world.post(MANDATE, &body(&long)).await.status, 202);
    assert_eq!(door.taken().len(), 2);
    long.signature = Bytes::from(vec![7; 8_193]);
    assert_eq!(
        world.post(MANDATE, &body(&long)).await.problem(422)["errors"][0]["field"],
        "/signature"
    );
}

#[tokio::test]
async fn a_hardware_wallets_v_is_mended() {
    let (world, door) = world().await;
    let mut signed = signed(mandate());
    let mut bytes = signed.signature.to_vec();
    bytes[64] -= 27;
    let good = std::mem::replace(&mut signed.signature, bytes.into());
    assert_eq!(world.post(MANDATE, &body(&signed)).await.status, 202);
    assert_eq!(door.taken()[0].1["signature"], json!(good));
}

#[tokio::test]
async fn what_the_chain_has_accepted_is_409_unless_the_keeper_knows_it() {
    let (world, door) = world().await;
    let again = signed(accepted_mandate());
    let problem = world.post(MANDATE, &body(&again)).await.problem(409);
    assert_eq!(problem["code"], "already-accepted");
    assert!(problem["detail"].as_str().unwrap().contains("0x"));
    assert!(door.taken().is_empty());

    // Relayed through us in the first place: asking again gives the same answer, and hands nothing over.
    let fresh = signed(mandate());
    assert_eq!(world.post(MANDATE, &body(&fresh)).await.status, 202);
    assert_eq!(
        world.post(MANDATE, &body(&fresh)).await.json()["id"],
        json!(domains().mandate(&fresh))
    );
}

#[tokio::test]
async fn the_keepers_refusal_is_told_in_its_own_words() {
    let (world, door) = world().await;
    let refusal = json!({ "code": "NonceSpent", "detail": "this nonce was used" }).to_string();
    door.mood(Mood::Says(StatusCode::UNPROCESSABLE_ENTITY, refusal));
    let signed = signed(mandate());
    let problem = world.post(MANDATE, &body(&signed)).await.problem(422);
    assert_eq!(problem["code"], "relay-refused");
    assert_eq!(problem["errors"][0]["code"], "NonceSpent");
    assert_eq!(problem["detail"], "this nonce was used");
    let id = domains().mandate(&signed);
    assert_eq!(
        world.get(&format!("/api/v1/relay/{id}")).await.problem(404)["code"],
        "relay-not-found"
    );
}

#[tokio::test]
async fn a_timeout_is_unknown_and_never_a_refusal() {
    let (world, door) = world().await;
    door.mood(Mood::Slow(Duration::from_secs(2)));
    let signed = signed(mandate());
    let id = domains().mandate(&signed);
    let reply = world.post(MANDATE, &body(&signed)).await;
    assert_eq!(
        (reply.status.as_u16(), reply.json()["state"].clone()),
        (202, json!("unknown"))
    );
    // It had arrived after all.
    door.mood(Mood::Good);
    let asked = world.get(&format!("/api/v1/relay/{id}")).await;
    assert_eq!(asked.json()["state"], "queued");
}

#[tokio::test]
async fn broken_answers_are_unknown() {
    let (world, door) = world().await;
    for (number, mood) in [
        Mood::Says(StatusCode::INTERNAL_SERVER_ERROR, "oops".into()),
        Mood::Says(StatusCode::BAD_GATEWAY, "<html>".into()),
        Mood::Says(
            StatusCode::SERVICE_UNAVAILABLE,
            "a proxy says so, not the keeper".into(),
        ),
        Mood::Says(StatusCode::OK, "not json".into()),
        Mood::OtherId,
    ]
    .into_iter()
    .enumerate()
    {
        door.mood(mood.clone());
        let signed = signed(Mandate {
            nonce: U256::from(100 + number),
            ..mandate()
        });
        let reply = world.post(MANDATE, &body(&signed)).await;
        assert_eq!(reply.status, 202, "{mood:?} {}", reply.text());
        assert_eq!(reply.json()["state"], "unknown", "{mood:?}");
        // The keeper says that it has nothing: for a while that may only mean "not yet".
        door.forget();
        let id = domains().mandate(&signed);
        let asked = world.get(&format!("/api/v1/relay/{id}")).await;
        assert_eq!(asked.json()["state"], "unknown", "{mood:?}");
    }
}

#[tokio::test]
async fn what_was_certainly_not_taken_is_503_and_leaves_no_trace() {
    let (world, door) = world().await;
    let signed = signed(mandate());
    let id = domains().mandate(&signed);
    let busy = json!({ "code": "journal-unavailable", "detail": "not taken" }).to_string();
    for mood in [
        Mood::Says(StatusCode::SERVICE_UNAVAILABLE, busy),
        Mood::Says(StatusCode::UNAUTHORIZED, "{}".into()),
    ] {
        door.mood(mood);
        let reply = world.post(MANDATE, &body(&signed)).await;
        assert_eq!(reply.problem(503)["code"], "keeper-unavailable");
        assert!(reply.headers.contains_key("retry-after"));
    }
    door.mood(Mood::Good);
    assert_eq!(
        world.get(&format!("/api/v1/relay/{id}")).await.problem(404)["code"],
        "relay-not-found"
    );

    // Nobody listens.
    let keeper = json!({ "keeper": { "url": "http://127.0.0.1:9", "timeout_ms": 300 } });
    let alone = World::with(keeper).await;
    assert_eq!(
        alone.post(MANDATE, &body(&signed)).await.problem(503)["code"],
        "keeper-unavailable"
    );
    assert_eq!(
        alone.get(&format!("/api/v1/relay/{id}")).await.problem(503)["code"],
        "keeper-unavailable"
    );
    assert_eq!(alone.read("/api/v1/status").await["keeper"]["health"], "down");

    let without = World::new().await;
    assert_eq!(
        without.post(MANDATE, &body(&signed)).await.problem(503)["code"],
        "relay-disabled"
    );
}

#[tokio::test]
async fn nothing_is_known_of_a_foreign_id() {
    let (world, _door) = world().await;
    for id in [format!("{}", B256::repeat_byte(1)), "0x12".into(), "x".into()] {
        assert_eq!(
            world.get(&format!("/api/v1/relay/{id}")).await.problem(404)["code"],
            "relay-not-found"
        );
    }
}

#[tokio::test]
async fn the_keepers_health_is_told_and_asked_for_seldom() {
    let (world, door) = world().await;
    assert_eq!(world.read("/api/v1/status").await["keeper"]["health"], "up");
    door.mood(Mood::Says(
        StatusCode::SERVICE_UNAVAILABLE,
        json!({ "problem": "rpc" }).to_string(),
    ));
    assert_eq!(
        world.read("/api/v1/status").await["keeper"]["health"],
        "up",
        "a fresh answer is kept"
    );
    let (late, door) = self::world().await;
    door.mood(Mood::Says(
        StatusCode::SERVICE_UNAVAILABLE,
        json!({ "problem": "rpc" }).to_string(),
    ));
    let status = late.read("/api/v1/status").await;
    assert_eq!(
        (&status["keeper"]["health"], &status["health"]),
        (&json!("degraded"), &json!("degraded"))
    );
}

/// The chain's clock is the judge, not ours: a local chain may stand still for days.
#[tokio::test]
async fn deadlines_are_judged_by_the_chains_clock_when_it_is_another() {
    let door = FakeDoor::start().await;
    let mut world = World::with(door.config()).await;
    let ahead = now() + 100 * 86_400;
    world.block(ahead, vec![]).await;
    let reply = world.post(INTENT, &body(&signed_intent(stop()))).await;
    assert_eq!(reply.problem(422)["errors"][0]["field"], "/intent/deadline");
    let follower = alice().address();
    let intent = Intent::Stop {
        follower,
        strategy: ALPHA,
        nonce: U256::from(5),
        deadline: U256::from(ahead + 60),
    };
    assert_eq!(
        world.post(INTENT, &body(&signed_intent(intent))).await.status,
        202
    );
}
