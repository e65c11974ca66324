//! A small JSON-RPC proxy that lies in the ways nodes do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use url::Url;

/// What the proxy does to answers.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Pretends that the chain ends at this height.
    pub height: Option<u64>,
    /// Answers nothing but errors.
    pub dead: bool,
    /// Leaves logs of these blocks out of ranges.
    pub without_logs: Vec<u64>,
    /// Leaves them out of answers by hash, too.
    pub without_logs_by_hash: bool,
    /// Gives logs another block hash.
    pub false_log_hash: bool,
    /// Asked for one block it gives the one before.
    pub false_height: bool,
    /// Ranges longer than this are refused.
    pub max_range: Option<u64>,
    /// Answers with more logs than this are refused.
    pub most_logs: Option<usize>,
    /// Answers of contracts, by lower-case calldata; other calls go on.
    pub calls: std::collections::HashMap<String, String>,
    /// Sends everything here instead of to its node.
    pub other: Option<Url>,
}

#[derive(Clone)]
struct Proxy {
    target: Url,
    faults: Arc<Mutex<Faults>>,
    client: reqwest::Client,
}

pub struct Running {
    pub url: Url,
    pub faults: Arc<Mutex<Faults>>,
}

impl Running {
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.lock().unwrap());
    }
}

pub async fn start(target: &Url) -> Running {
    let faults = Arc::new(Mutex::new(Faults::default()));
    let proxy = Proxy {
        target: target.clone(),
        faults: Arc::clone(&faults),
        client: reqwest::Client::new(),
    };
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let routes = Router::new().route("/", post(answer)).with_state(proxy);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Running { url, faults }
}

async fn answer(State(proxy): State<Proxy>, Json(request): Json<Value>) -> Json<Value> {
    match request {
        Value::Array(requests) => {
            let mut answers = Vec::new();
            for request in requests {
                answers.push(one(&proxy, request).await);
            }
            Json(Value::Array(answers))
        }
        request => Json(one(&proxy, request).await),
    }
}

fn quantity(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

async fn one(proxy: &Proxy, mut request: Value) -> Value {
    let faults = proxy.faults.lock().unwrap().clone();
    let id = request["id"].clone();
    let refuse =
        |message: &str| json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": message}});
    if faults.dead {
        return refuse("dead");
    }
    let method = request["method"].as_str().unwrap_or_default().to_owned();
    if let Some(height) = faults.height
        && method == "eth_getBlockByNumber"
    {
        let tag = request["params"][0].clone();
        if tag == "latest" {
            request["params"][0] = json!(format!("0x{height:x}"));
        } else if quantity(&tag).is_some_and(|number| number > height) {
            return json!({"jsonrpc": "2.0", "id": id, "result": null});
        }
    }
    if method == "eth_getLogs"
        && let (Some(most), Some(from), Some(to)) = (
            faults.max_range,
            quantity(&request["params"][0]["fromBlock"]),
            quantity(&request["params"][0]["toBlock"]),
        )
        && to - from + 1 > most
    {
        return refuse("query returned more than 10000 results");
    }
    if faults.false_height
        && method == "eth_getBlockByNumber"
        && let Some(number) = quantity(&request["params"][0])
    {
        request["params"][0] = json!(format!("0x{:x}", number.saturating_sub(1)));
    }
    if method == "eth_call" {
        let call = &request["params"][0];
        let data = call["input"]
            .as_str()
            .or(call["data"].as_str())
            .unwrap_or_default()
            .to_lowercase();
        if let Some(result) = faults.calls.get(&data) {
            return json!({"jsonrpc": "2.0", "id": id, "result": result});
        }
    }
    let by_hash = !request["params"][0]["blockHash"].is_null();
    let target = faults.other.as_ref().unwrap_or(&proxy.target).clone();
    let sent = proxy.client.post(target).json(&request).send().await;
    let mut answer: Value = match sent {
        Ok(answer) => answer.json().await.unwrap_or(Value::Null),
        Err(error) => return refuse(&error.to_string()),
    };
    if method == "eth_getLogs"
        && let Some(logs) = answer["result"].as_array_mut()
    {
        if faults.most_logs.is_some_and(|most| logs.len() > most) {
            return refuse("query returned more than 10000 results");
        }
        if !by_hash || faults.without_logs_by_hash {
            logs.retain(|log| {
                quantity(&log["blockNumber"]).is_none_or(|number| !faults.without_logs.contains(&number))
            });
        }
        if faults.false_log_hash {
            for log in logs {
                log["blockHash"] = json!(format!("0x{}", "ab".repeat(32)));
            }
        }
    }
    answer
}
