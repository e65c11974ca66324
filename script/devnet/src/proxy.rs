//! A JSON-RPC proxy that misbehaves on purpose, as public RPC endpoints do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::keccak256;
use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use crate::random::Random;

/// What is wrong with the endpoint. Nothing, by default.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Every answer comes this late.
    pub delay: Duration,
    /// It is this many blocks behind, and knows nothing of later ones.
    pub lag: u64,
    /// It says the chain is this much higher than it is.
    pub boast: u64,
    /// Blocks from this one on have other hashes and no logs: it follows another fork.
    pub forked_from: Option<u64>,
    /// Transactions are passed on, but the answer never comes.
    pub swallow_send_answers: bool,
    /// One in this many answers is an error instead; 0 = none.
    pub one_error_in: u64,
    /// Log queries over more blocks than this are refused.
    pub widest_log_range: Option<u64>,
    /// Answers nothing but 503.
    pub down: bool,
}

#[derive(Debug)]
struct Shared {
    upstream: Url,
    client: reqwest::Client,
    faults: Mutex<Faults>,
    random: Mutex<Random>,
    requests: AtomicU64,
    misbehaved: AtomicU64,
}

/// A running proxy; gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    url: Url,
    shared: Arc<Shared>,
    _running: DropGuard,
}

impl Proxy {
    /// Starts one in front of `upstream`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: Url, seed: u64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = Url::parse(&format!("http://{}", listener.local_addr()?))?;
        let shared = Arc::new(Shared {
            upstream,
            client: reqwest::Client::new(),
            faults: Mutex::new(Faults::default()),
            random: Mutex::new(Random::new(seed)),
            requests: AtomicU64::new(0),
            misbehaved: AtomicU64::new(0),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
        });
        Ok(Self {
            url,
            shared,
            _running: stop.drop_guard(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// From now on it has these faults.
    pub fn set(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Answers so far that were wrong, late or missing.
    #[must_use]
    pub fn misbehaved(&self) -> u64 {
        self.shared.misbehaved.load(Ordering::Relaxed)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let faults = shared
        .faults
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let wrong = || {
        shared.misbehaved.fetch_add(1, Ordering::Relaxed);
    };
    if faults.down {
        wrong();
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if !faults.delay.is_zero() {
        wrong();
        tokio::time::sleep(faults.delay).await;
    }
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let answer = match request {
        Value::Array(requests) => {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                match one(&shared, &faults, request).await {
                    Ok(answer) => answers.push(answer),
                    Err(status) => return status.into_response(),
                }
            }
            Ok(Value::Array(answers))
        }
        request => one(&shared, &faults, request).await,
    };
    match answer {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(status) => status.into_response(),
    }
}

async fn one(shared: &Shared, faults: &Faults, mut request: Value) -> Result<Value, StatusCode> {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let wrong = || shared.misbehaved.fetch_add(1, Ordering::Relaxed);
    let id = request.get("id").cloned().unwrap_or(Value::Null);
    let method = request
        .get("method")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if faults.one_error_in > 0 && draw(shared).is_multiple_of(faults.one_error_in) {
        wrong();
        return match draw(shared) % 3 {
            0 => Err(StatusCode::TOO_MANY_REQUESTS),
            1 => Err(StatusCode::BAD_GATEWAY),
            _ => Ok(failure(id, -32005, "limit exceeded")),
        };
    }
    let height = if faults.lag > 0 || faults.boast > 0 {
        let asked = json!({ "jsonrpc": "2.0", "id": 0, "method": "eth_blockNumber", "params": [] });
        let real = number(upstream(shared, &asked).await?.get("result"));
        wrong();
        Some(real.unwrap_or(0).saturating_sub(faults.lag) + faults.boast)
    } else {
        None
    };
    if let Some(height) = height {
        if method == "eth_blockNumber" {
            return Ok(success(id, json!(format!("0x{height:x}"))));
        }
        if let Some(parameters) = request.get_mut("params") {
            replace_latest(parameters, height);
        }
    }
    if method == "eth_getLogs"
        && let Some(widest) = faults.widest_log_range
    {
        let filter = request.pointer("/params/0");
        let bound = |name| number(filter.and_then(|filter| filter.get(name)));
        if let (Some(from), Some(to)) = (bound("fromBlock"), bound("toBlock"))
            && to.saturating_sub(from) >= widest
        {
            wrong();
            return Ok(failure(
                id,
                -32602,
                &format!("query exceeds max block range {widest}"),
            ));
        }
    }
    let mut answer = upstream(shared, &request).await?;
    if faults.swallow_send_answers && method.starts_with("eth_sendRawTransaction") {
        wrong();
        tokio::time::sleep(Duration::from_secs(3)).await;
        return Err(StatusCode::GATEWAY_TIMEOUT);
    }
    if let Some(height) = height
        && faults.lag > 0
        && block_of(&answer).is_some_and(|block| block > height)
    {
        answer = success(id.clone(), Value::Null);
    }
    if let Some(first) = faults.forked_from {
        wrong();
        fork(&method, first, &mut answer);
    }
    Ok(answer)
}

/// The height an answer is about: of a block, a transaction or a receipt.
fn block_of(answer: &Value) -> Option<u64> {
    let result = answer.get("result")?;
    number(result.get("blockNumber")).or_else(|| number(result.get("number")))
}

/// Gives every block from `first` on another hash, and takes its logs away.
fn fork(method: &str, first: u64, answer: &mut Value) {
    let other = |hash: &Value| json!(keccak256(hash.as_str().unwrap_or_default()).to_string());
    let Some(result) = answer.get_mut("result") else {
        return;
    };
    if method == "eth_getLogs" {
        if let Some(logs) = result.as_array_mut() {
            logs.retain(|log| number(log.get("blockNumber")).is_some_and(|block| block < first));
        }
        return;
    }
    let Some(block) = number(result.get("number")) else {
        return;
    };
    if block >= first {
        result["hash"] = other(&result["hash"]);
        result["logsBloom"] = json!(format!("0x{}", "0".repeat(512)));
        if block > first {
            result["parentHash"] = other(&result["parentHash"]);
        }
    }
}

fn replace_latest(value: &mut Value, height: u64) {
    match value {
        Value::String(text) if text == "latest" || text == "pending" => *text = format!("0x{height:x}"),
        Value::Array(items) => items.iter_mut().for_each(|item| replace_latest(item, height)),
        Value::Object(fields) => fields.values_mut().for_each(|item| replace_latest(item, height)),
        _ => {}
    }
}

fn number(value: Option<&Value>) -> Option<u64> {
    u64::from_str_radix(value?.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn draw(shared: &Shared) -> u64 {
    shared
        .random
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .next_u64()
}

async fn upstream(shared: &Shared, request: &Value) -> Result<Value, StatusCode> {
    let ask = async {
        let answer = shared
            .client
            .post(shared.upstream.clone())
            .json(request)
            .send()
            .await?;
        answer.json().await
    };
    ask.await.context("upstream").map_err(|_| StatusCode::BAD_GATEWAY)
}

fn success(id: Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn failure(id: Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_fork_has_other_hashes_and_no_logs() {
        let mut block = json!({ "result": { "number": "0xa", "hash": "0x01", "parentHash": "0x02" } });
        fork("eth_getBlockByNumber", 10, &mut block);
        assert_ne!(block["result"]["hash"], "0x01");
        assert_eq!(block["result"]["parentHash"], "0x02");
        let mut logs = json!({ "result": [{ "blockNumber": "0x9" }, { "blockNumber": "0xa" }] });
        fork("eth_getLogs", 10, &mut logs);
        assert_eq!(logs["result"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn one_that_lags_knows_only_its_own_latest() {
        let mut parameters = json!([{ "toBlock": "latest" }, "pending"]);
        replace_latest(&mut parameters, 16);
        assert_eq!(parameters, json!([{ "toBlock": "0x10" }, "0x10"]));
    }
}
