//! The dashboard's files and the headers around them.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::world::World;

async fn world() -> (World, tempfile::TempDir) {
    let dist = tempfile::tempdir().unwrap();
    std::fs::create_dir(dist.path().join("assets")).unwrap();
    std::fs::write(
        dist.path().join("index.html"),
        "<!doctype html><title>Lockstep</title>",
    )
    .unwrap();
    std::fs::write(dist.path().join("icon.svg"), "<svg/>").unwrap();
    std::fs::write(dist.path().join("assets/main-a1b2c3.js"), "export {}").unwrap();
    let world = World::with(json!({
        "web_dist": dist.path(),
        "public_rpc_url": "https://rpc.example/v1/key",
    }))
    .await;
    (world, dist)
}

async fn get(world: &World, path: &str) -> crate::world::Reply {
    world
        .send_unchecked(Request::get(path).body(Body::empty()).unwrap())
        .await
}

#[tokio::test]
async fn every_path_of_the_dashboard_is_its_one_page() {
    let (world, _dist) = world().await;
    for path in ["/", "/strategies/1", "/accounts/0x12?tab=fills", "/index.html"] {
        let page = get(&world, path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert_eq!(page.header("cache-control"), "no-cache", "{path}");
        assert!(page.text().contains("<title>Lockstep"), "{path}");
    }
    let head = Request::head("/strategies/1").body(Body::empty()).unwrap();
    assert_eq!(world.send_unchecked(head).await.status, 200);
}

#[tokio::test]
async fn hashed_files_are_kept_for_ever_and_others_are_asked_about() {
    let (world, _dist) = world().await;
    let script = get(&world, "/assets/main-a1b2c3.js").await;
    assert_eq!(
        script.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert!(script.header("content-type").contains("javascript"));
    let icon = get(&world, "/icon.svg").await;
    assert_eq!(icon.header("cache-control"), "no-cache");
    let tag = icon.header("etag").to_owned();
    let again = Request::get("/icon.svg")
        .header("if-none-match", tag)
        .body(Body::empty())
        .unwrap();
    assert_eq!(world.send_unchecked(again).await.status, 304);
}

#[tokio::test]
async fn what_is_not_there_is_not_the_page() {
    let (world, _dist) = world().await;
    for path in [
        "/assets/old-d4e5f6.js",
        "/favicon.ico",
        "/api/v2/strategies",
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
    ] {
        assert_eq!(
            get(&world, path).await.problem(404)["code"],
            "not-found",
            "{path}"
        );
    }
    let post = Request::post("/strategies/1").body(Body::empty()).unwrap();
    assert_eq!(
        world.send_unchecked(post).await.problem(405)["code"],
        "method-not-allowed"
    );
}

#[tokio::test]
async fn the_page_may_talk_to_us_and_the_chain_and_be_framed_by_nobody() {
    let (world, _dist) = world().await;
    let page = get(&world, "/").await;
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self' wss://lockstep.example wss://rpc.example https://rpc.example;",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe-eval") && !policy.contains("/v1/key"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert!(page.header("strict-transport-security").contains("max-age"));
    let data = get(&world, "/api/v1/deployment").await;
    assert_eq!(
        data.header("content-security-policy"),
        "default-src 'none'; frame-ancestors 'none'"
    );
    assert_eq!(data.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn a_page_that_has_not_changed_keeps_what_it_may_do() {
    let (world, _dist) = world().await;
    for path in ["/", "/account", "/strategies/1"] {
        let page = get(&world, path).await;
        let tag = page.header("etag").to_owned();
        let again = Request::get(path)
            .header("if-none-match", tag)
            .body(Body::empty())
            .unwrap();
        let again = world.send_unchecked(again).await;
        assert_eq!(again.status, 304, "{path}");
        // A browser takes the headers of this answer over into the page that it kept.
        for name in [
            "content-security-policy",
            "cross-origin-opener-policy",
            "permissions-policy",
        ] {
            assert_eq!(again.header(name), page.header(name), "{path}: {name}");
        }
    }
}

#[tokio::test]
async fn a_dashboard_that_is_not_built_is_said_to_be_so() {
    let world = World::with(json!({ "web_dist": "/nonexistent" })).await;
    let problem = get(&world, "/").await.problem(404);
    assert!(problem["detail"].as_str().unwrap().contains("not built"));
}
