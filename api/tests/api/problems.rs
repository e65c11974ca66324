//! Every refusal is a problem, whoever raises it.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn unknown_things_are_404_with_a_code_of_their_own() {
    let world = World::new().await;
    for (path, code) in [
        ("/api/v1/nothing", "not-found"),
        ("/api", "not-found"),
        ("/nowhere", "not-found"),
        ("/api/v1/strategies/99", "strategy-not-found"),
        ("/api/v1/strategies/x", "strategy-not-found"),
        ("/api/v1/strategies/-1/nav", "strategy-not-found"),
        (
            "/api/v1/strategies/99999999999999999999999999",
            "strategy-not-found",
        ),
        (
            "/api/v1/strategies/1/nav?vault=0x1111111111111111111111111111111111111111",
            "vault-not-found",
        ),
        (
            "/api/v1/strategies/1/batches/0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1/77",
            "batch-not-found",
        ),
        (
            "/api/v1/strategies/1/batches/0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1/x",
            "batch-not-found",
        ),
        ("/metrics", "not-found"),
    ] {
        let reply = world.get(path).await;
        let problem = reply.problem(404);
        assert_eq!(problem["code"], code, "{path}");
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["instance"], path.split('?').next().unwrap());
        assert_eq!(problem["requestId"], reply.header("x-request-id"));
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn wrong_parameters_are_400_and_named() {
    let world = World::new().await;
    for (path, field) in [
        ("/api/v1/strategies?limit=0", "limit"),
        ("/api/v1/strategies?limit=201", "limit"),
        ("/api/v1/strategies?limit=many", "limit"),
        ("/api/v1/strategies?sort=luck", "sort"),
        ("/api/v1/strategies?window=1d", "window"),
        ("/api/v1/strategies?cursor=nonsense", "cursor"),
        ("/api/v1/strategies?master=0x12", "master"),
        ("/api/v1/strategies?colour=red", "colour"),
        ("/api/v1/strategies/1/nav?points=3", "points"),
        ("/api/v1/strategies/1/nav?points=5001", "points"),
        ("/api/v1/strategies/1/nav?from=yesterday", "from"),
        (
            "/api/v1/strategies/1/nav?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z",
            "from",
        ),
        ("/api/v1/accounts/alice", "address"),
        // One letter of the checksum is wrong: a mistyped address must not look like an empty account.
        (
            "/api/v1/accounts/0x000000000022d473030F116dDEE9F6B43aC78BA3",
            "address",
        ),
    ] {
        let problem = world.get(path).await.problem(400);
        assert_eq!(problem["code"], "invalid-parameter", "{path}");
        assert_eq!(problem["errors"][0]["field"], field, "{path}: {problem}");
        assert!(
            problem["errors"][0]["detail"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_foreign_method_is_405_and_says_which_are_allowed() {
    let world = World::new().await;
    let reply = world.post("/api/v1/strategies", &json!({})).await;
    assert_eq!(reply.problem(405)["code"], "method-not-allowed");
    assert!(reply.header("allow").contains("GET"), "{:?}", reply.headers);
    let reply = world.post("/somewhere", &json!({})).await;
    assert_eq!(reply.problem(404)["code"], "not-found");
}

#[tokio::test]
async fn a_wrong_body_is_400_with_a_pointer_413_or_415() {
    let world = World::with(json!({ "max_body_bytes": 2_000 })).await;
    let post = |kind: &'static str, body: String| {
        let request = Request::post("/api/v1/relay/intent").header("content-type", kind);
        world.send(request.body(Body::from(body)).unwrap())
    };
    let problem = post("application/json", "{".into()).await.problem(400);
    assert_eq!(problem["code"], "invalid-body");

    let body = json!({ "intent": { "kind": "stop", "follower": "0x12" }, "signature": "0x" });
    let problem = post("application/json; charset=utf-8", body.to_string())
        .await
        .problem(400);
    assert_eq!(
        (&problem["code"], &problem["errors"][0]["field"]),
        (&json!("invalid-body"), &json!("/intent"))
    );

    let body = json!({ "message": 5, "signature": "0x" }).to_string();
    let request = Request::post("/api/v1/session").header("content-type", "application/json");
    let problem = world
        .send(request.body(Body::from(body)).unwrap())
        .await
        .problem(400);
    assert_eq!(problem["errors"][0]["field"], "/message");

    let problem = post("application/json", "\"".to_owned() + &"x".repeat(3_000) + "\"")
        .await
        .problem(413);
    assert_eq!(problem["code"], "body-too-large");
    assert_eq!(
        post("text/plain", "{}".into()).await.problem(415)["code"],
        "unsupported-media-type"
    );
    let bare = Request::post("/api/v1/relay/intent")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(
        world.send(bare).await.problem(415)["code"],
        "unsupported-media-type"
    );
}

#[tokio::test]
async fn before_the_indexer_has_written_anything_reads_are_503_and_the_rest_works() {
    let directory = tempfile::tempdir().unwrap();
    let config = crate::world::config(directory.path(), json!({}));
    let private = lockstep_api::private::PrivateStore::open(None).await.unwrap();
    let app = lockstep_api::state::App::new(
        config,
        crate::world::deployment(),
        private,
        None,
        tokio_util::sync::CancellationToken::new(),
    )
    .unwrap();
    let router = lockstep_api::server::router(&app).unwrap();
    let status = async |path: &str| {
        use tower::ServiceExt as _;
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        (
            response.status().as_u16(),
            response.headers().get("retry-after").is_some(),
        )
    };
    assert_eq!(status("/api/v1/strategies").await, (503, true));
    assert_eq!(status("/readyz").await, (503, true));
    assert_eq!(status("/healthz").await, (200, false));
    assert_eq!(status("/api/v1/deployment").await, (200, false));
    assert_eq!(status("/api/v1/status").await, (200, false));
}

fn from(address: &str, forwarded: Option<&str>) -> Request<Body> {
    let mut request = Request::get("/api/v1/strategies");
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let peer: SocketAddr = format!("{address}:9").parse().unwrap();
    request.extension(ConnectInfo(peer)).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn too_many_requests_are_429_with_a_time_to_wait() {
    let limits = json!({ "limits": {
        "read": { "per_minute": 6, "burst": 3 }, "write": { "per_minute": 6, "burst": 1 },
    } });
    let world = World::with(limits).await;
    for left in [2, 1, 0] {
        let reply = world.send(from("1.1.1.1", None)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("ratelimit-policy"), "\"read\";q=3;w=30");
        assert!(
            reply
                .header("ratelimit")
                .starts_with(&format!("\"read\";r={left};t=")),
            "{:?}",
            reply.headers
        );
    }
    let reply = world.send(from("1.1.1.1", None)).await;
    let problem = reply.problem(429);
    assert_eq!(problem["code"], "rate-limited");
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(problem["retryAfter"], wait);
    assert_eq!(
        world.send(from("2.2.2.2", None)).await.status,
        200,
        "others are not touched"
    );
    // A stranger's word about its address is not believed.
    assert_eq!(world.send(from("1.1.1.1", Some("3.3.3.3"))).await.status, 429);
    // What keeps the service observed is never limited.
    for _ in 0..5 {
        assert_eq!(world.get("/healthz").await.status, 200);
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_clients_are_told_apart() {
    let world = World::with(json!({
        "limits": { "read": { "per_minute": 1, "burst": 1 }, "write": { "per_minute": 1, "burst": 1 } },
        "trusted_proxies": ["10.0.0.0/8"],
    }))
    .await;
    assert_eq!(world.send(from("10.0.0.1", Some("4.4.4.4"))).await.status, 200);
    assert_eq!(world.send(from("10.0.0.1", Some("5.5.5.5"))).await.status, 200);
    assert_eq!(
        world
            .send(from("10.0.0.2", Some("6.6.6.6, 5.5.5.5")))
            .await
            .status,
        429
    );
}

#[tokio::test]
async fn request_ids_are_kept_when_they_are_ids() {
    let world = World::new().await;
    let reply = world
        .get_with("/api/v1/status", &[("x-request-id", "abc-123")])
        .await;
    assert_eq!(reply.header("x-request-id"), "abc-123");
    for bad in ["", "a b", "x\u{e9}", &"x".repeat(65)] {
        let reply = world.get_with("/api/v1/status", &[("x-request-id", bad)]).await;
        assert_eq!(reply.header("x-request-id").len(), 36, "{bad}");
    }
}

#[tokio::test]
async fn cors_answers_only_those_it_knows() {
    let world = World::with(json!({ "cors_origins": ["https://app.example"] })).await;
    let reply = world
        .get_with("/api/v1/status", &[("origin", "https://app.example")])
        .await;
    assert_eq!(reply.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(reply.header("access-control-allow-credentials"), "true");
    let reply = world
        .get_with("/api/v1/status", &[("origin", "https://evil.example")])
        .await;
    assert_eq!(reply.header("access-control-allow-origin"), "");
    let open = World::with(json!({ "cors_origins": ["*"] })).await;
    let reply = open
        .get_with("/api/v1/status", &[("origin", "https://any.example")])
        .await;
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert_eq!(reply.header("access-control-allow-credentials"), "");
}
