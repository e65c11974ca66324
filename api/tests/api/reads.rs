//! What is read: every path, its pages, its caches.

use std::io::Read as _;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tower::ServiceExt as _;

use crate::world::{ALPHA, BETA, DAY, World, alice, bob, now};

fn texts<'a>(items: &'a Value, member: &str) -> Vec<&'a str> {
    items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item[member].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn strategies_come_with_units_formulas_windows_and_samples() {
    let world = World::new().await;
    let page = world.read("/api/v1/strategies").await;
    assert_eq!(texts(&page["items"], "id"), ["1", "2"], "largest equity first");
    assert_eq!(page["next"], Value::Null);
    let alpha = &page["items"][0];
    assert_eq!(alpha["proof"], "venue");
    assert_eq!(alpha["totalEquity"], "2100.000000");
    assert_eq!(alpha["navIndex"], "1.300000000000000000");
    assert_eq!(alpha["followers"], 2);
    let total = &alpha["statistics"]["totalReturn"];
    assert_eq!(total["value"], "0.300000000000000000");
    assert_eq!(total["unit"], "ratio");
    assert!(total["formula"].as_str().unwrap().contains("NAV index"));
    assert!(total["samples"].as_u64().unwrap() > 30);
    assert_eq!(total["window"]["name"], "all");
    assert!(alpha["statistics"]["sharpe"]["value"].is_string());
    let beta = &page["items"][1];
    assert_eq!(
        (&beta["proof"], &beta["source"]),
        (&json!("keeper"), &Value::Null)
    );
    let sharpe = &beta["statistics"]["sharpe"];
    assert_eq!(sharpe["value"], Value::Null);
    assert!(sharpe["blank"].as_str().unwrap().contains("30"));
}

#[tokio::test]
async fn strategies_are_sorted_filtered_and_paged() {
    let world = World::new().await;
    for sort in ["equity", "return", "sharpe", "drawdown", "followers", "newest"] {
        let all = world.read(&format!("/api/v1/strategies?sort={sort}")).await;
        let first = world
            .read(&format!("/api/v1/strategies?sort={sort}&limit=1"))
            .await;
        let next = first["next"].as_str().unwrap();
        let second = world
            .read(&format!("/api/v1/strategies?sort={sort}&limit=1&cursor={next}"))
            .await;
        assert_eq!(second["next"], Value::Null);
        let paged = [texts(&first["items"], "id"), texts(&second["items"], "id")].concat();
        assert_eq!(paged, texts(&all["items"], "id"), "{sort}");
    }
    assert_eq!(
        texts(&world.read("/api/v1/strategies?sort=newest").await["items"], "id"),
        ["2", "1"]
    );
    assert_eq!(
        texts(&world.read("/api/v1/strategies?search=BETA").await["items"], "id"),
        ["2"]
    );
    assert!(
        world.read("/api/v1/strategies?market=SOL-USD").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let master = format!("/api/v1/strategies?master={}", crate::world::MASTER);
    assert_eq!(world.read(&master).await["items"].as_array().unwrap().len(), 2);
    let week = world.read("/api/v1/strategies/1?window=7d").await;
    assert_eq!(week["statistics"]["window"]["name"], "7d");
}

#[tokio::test]
async fn a_signal_is_shown_only_after_its_disclosure_delay() {
    let world = World::new().await;
    let alpha = world.read("/api/v1/strategies/1").await;
    assert_eq!(alpha["markets"][0]["signal"]["leverage"], "0.000000000000000000");
    assert_eq!(alpha["markets"][0]["signal"]["proof"], "venue");
    assert_eq!(
        world.read("/api/v1/strategies/1/signals").await["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let beta = world.read("/api/v1/strategies/2").await;
    assert_eq!(beta["markets"][1]["signal"], Value::Null);
    assert!(
        world.read("/api/v1/strategies/2/signals").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let batches = world.read("/api/v1/strategies/2/batches").await;
    let batch = &batches["items"][0];
    assert_eq!(batch["signal"], Value::Null);
    assert!(batch["disclosedAt"].as_str().unwrap() > batch["at"]["time"].as_str().unwrap());
    let fills = world
        .read(&format!(
            "/api/v1/accounts/{}/fills?vault={BETA}",
            alice().address()
        ))
        .await;
    assert_eq!(fills["items"][0]["delayMs"], Value::Null);
    assert_eq!(
        fills["items"][0]["sizeDelta"], "-0.010000000000000000",
        "the fill itself is public"
    );
}

#[tokio::test]
async fn announced_terms_come_with_both_their_times_and_go_when_they_lapse() {
    let mut world = World::new().await;
    assert_eq!(
        world.read("/api/v1/strategies/1").await["pendingTerms"],
        Value::Null
    );
    let effective_at = now() + 60;
    world.announce(1, 20, effective_at).await;
    let pending = world.read("/api/v1/strategies/1").await["pendingTerms"].clone();
    assert_eq!(pending["terms"]["copyFeeBps"], 20);
    let time = |member: &str| {
        let text = pending[member].as_str().unwrap();
        let parsed = OffsetDateTime::parse(text, &Rfc3339).unwrap();
        u64::try_from(parsed.unix_timestamp()).unwrap()
    };
    assert_eq!(
        (time("effectiveAt"), time("lapsesAt")),
        (effective_at, effective_at + DAY)
    );

    world.block(effective_at + DAY, vec![]).await;
    let last_moment = world.read("/api/v1/strategies/1").await;
    assert_eq!(last_moment["pendingTerms"], pending);
    world.block(effective_at + DAY + 1, vec![]).await;
    for path in ["/api/v1/strategies/1", "/api/v1/strategies?search=alpha"] {
        let answer = world.read(path).await;
        let strategy = answer["items"].get(0).unwrap_or(&answer);
        assert_eq!(
            (&strategy["id"], &strategy["pendingTerms"]),
            (&json!("1"), &Value::Null)
        );
    }
}

#[tokio::test]
async fn the_curve_is_the_chains_record() {
    let world = World::new().await;
    let curve = world.read("/api/v1/strategies/1/nav?points=5000").await;
    let points = curve["points"].as_array().unwrap();
    assert_eq!(
        (curve["exact"].as_bool(), curve["samples"].as_u64()),
        (Some(true), Some(39))
    );
    for (position, point) in points.iter().enumerate() {
        assert_eq!(point["index"].as_u64(), u64::try_from(position).ok());
        assert_eq!(point["vault"], ALPHA.to_string());
    }
    assert_eq!(points[0]["navIndex"], "1.000000000000000000");
    assert_eq!(points[0]["finality"], "finalized");
    let own = world
        .read(&format!("/api/v1/strategies/1/nav?points=5000&vault={ALPHA}"))
        .await;
    assert_eq!(own["points"], curve["points"]);
    assert_eq!(own["vault"], ALPHA.to_string());

    let thin = world.read("/api/v1/strategies/1/nav?points=8").await;
    assert_eq!(thin["exact"], false);
    assert!(thin["points"].as_array().unwrap().len() < 30);
    for point in thin["points"].as_array().unwrap() {
        assert!(
            points.contains(point),
            "a thinned curve holds points of the record only"
        );
    }
    let from = points[10]["time"].as_str().unwrap();
    let to = points[12]["time"].as_str().unwrap();
    let part = world
        .read(&format!("/api/v1/strategies/1/nav?from={from}&to={to}"))
        .await;
    assert_eq!(part["points"].as_array().unwrap().as_slice(), &points[10..=12]);
}

#[tokio::test]
async fn a_curve_is_encoded_once_tagged_and_compressed() {
    let mut world = World::new().await;
    let path = "/api/v1/strategies/1/nav";
    let first = world.get(path).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\"") && first.header("cache-control").contains("must-revalidate"));
    let again = world.get_with(path, &[("if-none-match", &tag)]).await;
    assert_eq!(
        (again.status.as_u16(), again.bytes.len(), again.header("etag")),
        (304, 0, tag.as_str())
    );

    let packed = world.get_with(path, &[("accept-encoding", "gzip")]).await;
    assert_eq!(
        (packed.header("content-encoding"), packed.header("etag")),
        ("gzip", tag.as_str())
    );
    assert!(packed.header("vary").contains("accept-encoding"));
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(packed.bytes.as_slice())
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, first.bytes);

    // Something else happened: the curve is the same. Its own point: it is not.
    world.nav_point("1.4").await;
    let fresh = world.get_with(path, &[("if-none-match", &tag)]).await;
    assert_eq!(fresh.status, 200);
    assert_ne!(fresh.header("etag"), tag);
    let last = fresh.json()["points"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["navIndex"], &last["finality"]),
        (&json!("1.400000000000000000"), &json!("pending"))
    );

    // More blocks make the point final; that is a change too.
    let pending = fresh.header("etag").to_owned();
    let head = world.head().number;
    world.observe(head + 10, head).await;
    let settled = world.get_with(path, &[("if-none-match", &pending)]).await;
    assert_eq!(settled.status, 200);
    assert_eq!(
        settled.json()["points"].as_array().unwrap().last().unwrap()["finality"],
        "finalized"
    );

    // A reorganisation takes a point back.
    let before = world.get(path).await.bytes;
    world.nav_point("1.5").await;
    assert_eq!(world.get(path).await.json()["samples"], 41);
    world.reorg().await;
    assert_eq!(
        world.get(path).await.json()["points"],
        serde_json::from_slice::<Value>(&before).unwrap()["points"]
    );
}

#[tokio::test]
async fn a_batch_tells_what_happened_to_each_follower() {
    let world = World::new().await;
    let page = world.read("/api/v1/strategies/1/batches").await;
    let batches = page["items"].as_array().unwrap();
    assert_eq!(
        batches
            .iter()
            .map(|batch| batch["number"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(batches[1]["signal"]["delayMs"], 1_500);
    assert_eq!(batches[1]["signal"]["leverage"], "1.500000000000000000");
    assert_eq!(
        (&batches[0]["moved"], &batches[0]["skipped"]),
        (&json!(1), &json!(1))
    );

    let one = world
        .read(&format!("/api/v1/strategies/1/batches/{ALPHA}/1"))
        .await;
    assert_eq!(one["id"], batches[1]["id"]);
    assert_eq!(
        one["outcomes"],
        json!([{ "outcome": "moved", "count": 1 }, { "outcome": "dust", "count": 1 }])
    );
    assert_eq!(one["lines"][0]["follower"], alice().address().to_string());
    assert_eq!(one["lines"][1]["outcome"], "dust");

    let first = world.read("/api/v1/strategies/1/batches?limit=1").await;
    let next = first["next"].as_str().unwrap();
    let second = world
        .read(&format!("/api/v1/strategies/1/batches?limit=1&cursor={next}"))
        .await;
    assert_eq!(second["items"][0], batches[1]);
    let block = batches[1]["at"]["block"].as_u64().unwrap();
    let older = world
        .read(&format!("/api/v1/strategies/1/batches?toBlock={block}"))
        .await;
    assert_eq!(older["items"].as_array().unwrap().len(), 1);
    assert!(
        world.read("/api/v1/strategies/1/batches?market=1").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn followers_and_accounts_say_what_they_have_and_what_it_came_to() {
    let world = World::new().await;
    let followers = world.read("/api/v1/strategies/1/followers").await;
    let expected = [alice().address().to_string(), bob().address().to_string()];
    assert_eq!(texts(&followers["items"], "follower"), expected);
    assert!(
        world
            .read("/api/v1/strategies/1/followers?status=liquidated")
            .await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    let mine = world
        .read(&format!("/api/v1/accounts/{}", alice().address()))
        .await;
    let account = &mine["accounts"][0];
    assert_eq!(account["mandate"]["maxLeverageBps"], 30_000);
    assert_eq!(account["mandate"]["maxPositionNotional"], "10000.000000");
    assert_eq!(account["netDeposits"], "1000.000000");
    // 0.4 ETH bought at 2500 and sold at 2600, two fees of 1 USDC.
    assert_eq!(account["equity"], "1038.000000");
    assert_eq!(account["result"]["profit"]["value"], "38.000000");
    assert_eq!(account["result"]["winRate"]["value"], "1.00000000");
    assert_eq!(account["result"]["gap"]["fees"]["value"], "2.000000");
    assert_eq!(account["result"]["gap"]["latency"]["value"], Value::Null);
    assert!(account["result"]["gap"]["latency"]["blank"].is_string());
    let rate: f64 = account["result"]["moneyWeightedReturn"]["value"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    // 3.8 % in 40 days.
    assert!((0.38..0.43).contains(&rate), "{rate}");
    // The other account has been open for seconds.
    let young = &mine["accounts"][1]["result"]["moneyWeightedReturn"];
    assert_eq!(young["value"], Value::Null);
    assert_eq!(
        young["blank"],
        "the account is younger than 7 days, too short for a year's rate"
    );
    let nobody = world
        .read("/api/v1/accounts/0x1111111111111111111111111111111111111111")
        .await;
    assert_eq!(
        (&nobody["accounts"], &nobody["strategies"]),
        (&json!([]), &json!([]))
    );
    let master = world
        .read(&format!("/api/v1/accounts/{}", crate::world::MASTER))
        .await;
    assert_eq!(master["strategies"], json!(["1", "2"]));
}

#[tokio::test]
async fn fills_are_paged_and_skipped_lines_are_there_for_those_who_ask() {
    let mut world = World::new().await;
    world.exit().await;
    let bobs = format!("/api/v1/accounts/{}/fills", bob().address());
    let fills = world.read(&bobs).await;
    let causes = texts(&fills["items"], "cause");
    assert_eq!(causes, ["stop-loss", "exit"]);
    assert_eq!(fills["items"][0]["outcome"], Value::Null);
    let all = world.read(&format!("{bobs}?skipped=true")).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 4);
    let mut cursor = String::new();
    let mut paged = Vec::new();
    loop {
        let page = world.read(&format!("{bobs}?skipped=true&limit=1{cursor}")).await;
        paged.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(Value::Array(paged), all["items"]);
    let ids: std::collections::BTreeSet<_> = texts(&all["items"], "id").into_iter().collect();
    assert_eq!(ids.len(), 4, "ids are unique");
}

#[tokio::test]
async fn fills_are_exported_as_csv() {
    let world = World::new().await;
    let path = format!("/api/v1/accounts/{}/fills", alice().address());
    let file = world.get_with(&path, &[("accept", "text/csv")]).await;
    assert!(file.header("content-type").starts_with("text/csv"));
    assert!(file.header("content-disposition").contains(".csv"));
    let text = file.text();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let columns: Vec<&str> = lines[0].split(',').collect();
    for line in &lines[1..] {
        assert_eq!(line.split(',').count(), columns.len());
    }
    let place = columns
        .iter()
        .position(|column| *column == "size_delta_base")
        .unwrap();
    assert_eq!(lines[3].split(',').nth(place), Some("0.400000000000000000"));
    assert_eq!(world.get(&format!("{path}.csv")).await.text(), text);
    let browser = world.get_with(&path, &[("accept", "text/html,*/*;q=0.8")]).await;
    assert!(browser.header("content-type").starts_with("application/json"));
}

#[tokio::test]
async fn no_more_than_two_csv_files_are_written_at_once() {
    let world = World::new().await;
    let path = format!("/api/v1/accounts/{}/fills.csv", alice().address());
    let ask = || {
        let request = Request::get(path.as_str()).body(Body::empty()).unwrap();
        world.router.clone().oneshot(request)
    };
    // Begun, and not read to the end.
    let unread = [ask().await.unwrap(), ask().await.unwrap()];
    assert!(unread.iter().all(|response| response.status() == 200));
    let refused = world.get(&path).await;
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(refused.problem(503)["code"], "overloaded");

    for response in unread {
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(text.ends_with(b"\r\n"));
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while world.get(&path).await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "both were read");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn history_holds_what_is_no_fill() {
    let world = World::new().await;
    let history = world
        .read(&format!("/api/v1/accounts/{}/history", alice().address()))
        .await;
    let kinds = texts(&history["items"], "kind");
    assert!(kinds.contains(&"deposited") && kinds.contains(&"mandate-accepted") && kinds.contains(&"opened"));
    let deposit = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["kind"] == "deposited")
        .unwrap();
    assert_eq!(deposit["amount"], "500.000000", "newest first");
}

#[tokio::test]
async fn the_deployment_says_what_a_wallet_signs() {
    let world = World::with(json!({ "public_rpc_url": "http://127.0.0.1:8545" })).await;
    let deployment = world.read("/api/v1/deployment").await;
    assert_eq!(deployment["chainId"], 31_337);
    assert_eq!(deployment["rpcUrl"], "http://127.0.0.1:8545");
    assert_eq!(deployment["explorerUrl"], Value::Null);
    assert_eq!(deployment["markets"][1]["symbol"], "BTC-USD");
    assert_eq!(deployment["domains"]["engine"]["version"], "1");
    assert!(deployment["domains"]["permit2"].get("version").is_none());
    assert!(
        deployment["domains"]["witnessTypeString"]
            .as_str()
            .unwrap()
            .starts_with("Mandate witness)")
    );
}

#[tokio::test]
async fn status_says_how_far_the_store_is() {
    let world = World::new().await;
    let status = world.read("/api/v1/status").await;
    assert_eq!(status["indexer"]["health"], "up");
    assert_eq!(status["indexer"]["lagBlocks"], 0);
    assert_eq!(status["indexer"]["cursor"]["number"], world.head().number);
    assert_eq!(status["system"]["accounts"], 3);
    assert_eq!(status["system"]["breakerUntil"], Value::Null);
    assert_eq!(
        (&status["keeper"]["health"], &status["health"]),
        (&json!("unknown"), &json!("up"))
    );
    world.observe(world.head().number + 50, 0).await;
    let status = world.read("/api/v1/status").await;
    assert_eq!(
        (&status["health"], &status["indexer"]["lagBlocks"]),
        (&json!("degraded"), &json!(50))
    );
    assert_eq!(world.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_take_it() {
    let world = World::new().await;
    let packed = world
        .get_with("/api/v1/strategies", &[("accept-encoding", "gzip")])
        .await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut plain = String::new();
    flate2::read::GzDecoder::new(packed.bytes.as_slice())
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&plain).unwrap()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn the_document_is_served() {
    let world = World::new().await;
    let reply = world
        .send_unchecked(
            axum::http::Request::get("/openapi.json")
                .body(axum::body::Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(reply.json(), *crate::schema::document());
}
