//! The program itself: it starts before the indexer, tells how it is, finds the store when it comes, and stops in order.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lockstep_indexer::store::{self, Heights, Identity};
use serde_json::Value;

use crate::world::{CHAIN, START, deployment, now_ms};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep-api");

struct Running {
    child: Child,
    base: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn start(directory: &std::path::Path, deployment: &Value) -> Running {
    std::fs::write(directory.join("deployment.json"), deployment.to_string()).unwrap();
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndatabase_url = \"sqlite://{0}/store.db\"\nstate_file = \"{0}/state.db\"\n\
         deployment = \"{0}/deployment.json\"\n",
        directory.display()
    );
    std::fs::write(directory.join("api.toml"), text).unwrap();
    let mut child = Command::new(PROGRAM)
        .arg("--config")
        .arg(directory.join("api.toml"))
        .args(["--log-format", "json"])
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let base = loop {
        let line = lines.next().expect("it says where it listens").unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        if let Some(address) = line["address"].as_str() {
            break format!("http://{address}");
        }
    };
    // What else it says must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Running { child, base }
}

async fn status(base: &str, path: &str) -> u16 {
    reqwest::get(format!("{base}{path}"))
        .await
        .unwrap()
        .status()
        .as_u16()
}

async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn it_waits_for_the_store_serves_metrics_and_stops_on_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = start(directory.path(), &serde_json::to_value(deployment()).unwrap());
    let base = running.base.clone();
    assert_eq!(status(&base, "/healthz").await, 200);
    assert_eq!(status(&base, "/readyz").await, 503);
    assert_eq!(status(&base, "/api/v1/strategies").await, 503);
    assert_eq!(status(&base, "/api/v1/deployment").await, 200);

    let writer = store::open_writer(&format!("sqlite://{}/store.db", directory.path().display()))
        .await
        .unwrap();
    let identity = Identity {
        chain_id: CHAIN,
        registry: deployment().registry,
        deployment_block: START,
        confirmations: 3,
    };
    writer.attach(&identity).await.unwrap();
    writer
        .observe(&Heights {
            head: START,
            finalized: START,
            seen_ms: now_ms(),
        })
        .await
        .unwrap();
    wait_until("it finds the store", async || {
        status(&base, "/readyz").await == 200
    })
    .await;
    assert_eq!(status(&base, "/api/v1/strategies").await, 200);

    // HTTP takes any word for a method; each must not become a time series of its own.
    for method in ["MADEUP1", "MADEUP2"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        reqwest::Client::new()
            .request(method, format!("{base}/api/v1/deployment"))
            .send()
            .await
            .unwrap();
    }

    let metrics = reqwest::get(format!("{base}/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for part in [
        "lockstep_api_requests_total{method=\"GET\",route=\"/api/v1/strategies\",status=\"503\"} 1",
        "lockstep_api_requests_total{method=\"other\",route=\"/api/v1/deployment\",status=\"405\"} 2",
        "lockstep_api_request_seconds_bucket{route=\"/api/v1/deployment\"",
    ] {
        assert!(metrics.contains(part), "{part}\n{metrics}");
    }
    assert!(!metrics.contains("MADEUP"), "{metrics}");

    let id = running.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    wait_until("it stops", async || {
        reqwest::get(format!("{base}/healthz")).await.is_err()
    })
    .await;
    assert!(running.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_store_of_another_deployment_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/store.db", directory.path().display());
    let writer = store::open_writer(&url).await.unwrap();
    let registry = alloy::primitives::Address::repeat_byte(0xff);
    let identity = Identity {
        chain_id: CHAIN,
        registry,
        deployment_block: START,
        confirmations: 3,
    };
    writer.attach(&identity).await.unwrap();
    writer
        .observe(&Heights {
            head: START,
            finalized: START,
            seen_ms: now_ms(),
        })
        .await
        .unwrap();
    let mut running = start(directory.path(), &serde_json::to_value(deployment()).unwrap());
    let exited = tokio::task::spawn_blocking(move || running.child.wait().unwrap())
        .await
        .unwrap();
    assert!(!exited.success());
}

#[test]
fn it_explains_itself_and_prints_its_document() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for part in ["--config", "--log-format", "openapi"] {
        assert!(help.contains(part), "{help}");
    }
    let document = Command::new(PROGRAM).arg("openapi").output().unwrap();
    assert_eq!(
        document.stdout,
        lockstep_api::routes::openapi_json().unwrap().into_bytes()
    );
    let missing = Command::new(PROGRAM)
        .args(["--config", "/no/such.toml"])
        .output()
        .unwrap();
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("/no/such.toml"));
}
