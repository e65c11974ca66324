//! Several RPC endpoints as one. Each look at the chain asks all of them for their head; an endpoint that lags, is on
//! another fork, or claims a height nobody else sees is named in the log and avoided until it agrees again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alloy::consensus::BlockHeader as _;
use alloy::network::primitives::HeaderResponse as _;
use alloy::primitives::{Address, B256, Bytes, U64, U128};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{RpcError as WireError, RpcRecv, RpcSend};
use alloy::rpc::types::{Block, Filter, Log, TransactionReceipt, TransactionRequest};
use alloy::transports::{TransportErrorKind, TransportResult};
use async_trait::async_trait;
use futures_util::future::join_all;
use lockstep_service::ending::causes;
use serde_json::Value;
use tracing::{info, warn};
use url::Url;

use super::{Answer, Call, Head, Receipt, Revert, Rpc, RpcError, SendOutcome};

type Failure = WireError<TransportErrorKind>;

/// Calls in one JSON-RPC batch.
const BATCH: usize = 200;

/// Batches in a row without a single answer after which nobody is taken to be there.
const SILENT: usize = 2;

/// One endpoint.
struct Endpoint {
    /// Host and port only: URLs carry API keys.
    name: String,
    client: RpcClient,
    usable: AtomicBool,
}

/// See the module.
pub struct Pool {
    endpoints: Vec<Arc<Endpoint>>,
    preferred: AtomicUsize,
    agreed: AtomicBool,
    timeout: Duration,
    /// An endpoint this many blocks behind the others lags.
    max_lag: u64,
}

impl Pool {
    /// A pool over `urls`, in order of preference.
    #[must_use]
    pub fn new(urls: &[Url], timeout: Duration, max_lag: u64) -> Self {
        let endpoints = urls
            .iter()
            .map(|url| {
                let port = url.port_or_known_default().unwrap_or_default();
                Arc::new(Endpoint {
                    name: format!("{}:{port}", url.host_str().unwrap_or("?")),
                    client: RpcClient::new_http(url.clone()),
                    usable: AtomicBool::new(true),
                })
            })
            .collect();
        Self {
            endpoints,
            preferred: AtomicUsize::new(0),
            agreed: AtomicBool::new(true),
            timeout,
            max_lag,
        }
    }

    async fn ask<P: RpcSend, R: RpcRecv>(
        &self,
        endpoint: &Endpoint,
        method: &'static str,
        params: P,
    ) -> Result<R, AskError> {
        let started = Instant::now();
        let result: Result<TransportResult<R>, _> =
            tokio::time::timeout(self.timeout, endpoint.client.request(method, params)).await;
        metrics::histogram!("keeper_rpc_seconds", "method" => method).record(started.elapsed());
        match result {
            Err(_) => Err(AskError::Rpc(RpcError::Timeout {
                endpoint: endpoint.name.clone(),
                method,
            })),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failure(endpoint, method, error)),
        }
    }

    #[allow(clippy::unused_self)]
    fn failure(&self, endpoint: &Endpoint, method: &'static str, error: Failure) -> AskError {
        match error {
            // A node's own "slow down" and "internal error" are no answer to the question.
            WireError::ErrorResp(payload) if !payload.is_retry_err() => {
                let data = payload.as_revert_data();
                AskError::Refused {
                    code: payload.code,
                    message: payload.message.to_string(),
                    data,
                    endpoint: endpoint.name.clone(),
                    method,
                }
            }
            other => AskError::Rpc(RpcError::Transport {
                endpoint: endpoint.name.clone(),
                method,
                detail: causes(&other).join(": "),
            }),
        }
    }

    /// Endpoints in the order in which they should be asked.
    fn order(&self) -> Vec<Arc<Endpoint>> {
        let count = self.endpoints.len();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut order: Vec<_> = (0..count)
            .filter_map(|i| self.endpoints.get((first + i) % count).cloned())
            .collect();
        order.sort_by_key(|endpoint| !endpoint.usable.load(Ordering::Relaxed));
        order
    }

    /// Asks the preferred endpoint, and the others when it does not answer.
    async fn first<P: RpcSend + Clone, R: RpcRecv>(
        &self,
        method: &'static str,
        params: P,
    ) -> Result<R, AskError> {
        let mut last = AskError::Rpc(RpcError::NoneUsable {
            reason: "none configured".into(),
        });
        for endpoint in self.order() {
            match self.ask(&endpoint, method, params.clone()).await {
                Err(AskError::Rpc(error)) => {
                    warn!(%error, "RPC endpoint did not answer");
                    last = AskError::Rpc(error);
                }
                settled => return settled,
            }
        }
        Err(last)
    }

    async fn first_settled<P: RpcSend + Clone, R: RpcRecv>(
        &self,
        method: &'static str,
        params: P,
    ) -> Result<R, RpcError> {
        self.first(method, params).await.map_err(AskError::into_rpc)
    }

    /// Compares the heads of all endpoints and marks the ones to avoid.
    async fn judge(&self, heads: &[(usize, Head)]) {
        let mut heights: Vec<u64> = heights_of(heads);
        heights.sort_unstable();
        let Some(&lowest) = heights.first() else { return };
        // With three or more, the middle one cannot be a liar alone. With two, the higher one must prove itself by
        // being reached; until then nothing new is opened.
        let reference = heights
            .get(heights.len().saturating_sub(1) / 2)
            .copied()
            .unwrap_or(lowest);
        let lagging = |height: u64| height.saturating_add(self.max_lag) < reference;
        let racing = |height: u64| height > reference.saturating_add(self.max_lag);
        let settled = heights
            .iter()
            .filter(|height| !lagging(**height) && !racing(**height))
            .count();

        // Same height, other hash: a fork. Compare at the lowest height among those that keep up.
        let common = heights
            .iter()
            .copied()
            .filter(|height| !lagging(*height))
            .min()
            .unwrap_or(lowest);
        let at_common = join_all(heads.iter().filter(|(_, head)| !lagging(head.number)).map(
            async |(index, head)| {
                let hash = if head.number == common {
                    Some(head.hash)
                } else {
                    match self.endpoints.get(*index) {
                        Some(endpoint) => self
                            .block_at(endpoint, common)
                            .await
                            .ok()
                            .flatten()
                            .map(|head| head.hash),
                        None => None,
                    }
                };
                (*index, hash)
            },
        ))
        .await;
        let votes = |hash: B256| at_common.iter().filter(|(_, other)| *other == Some(hash)).count();
        let majority = at_common
            .iter()
            .filter_map(|(_, hash)| *hash)
            .max_by_key(|hash| votes(*hash));
        let voters = at_common.iter().filter(|(_, hash)| hash.is_some()).count();
        let forked = majority.is_some_and(|hash| votes(hash) < voters);
        let majority_wins = majority.is_some_and(|hash| votes(hash) * 2 > voters);

        for (index, head) in heads {
            let Some(endpoint) = self.endpoints.get(*index) else {
                continue;
            };
            let hash = at_common
                .iter()
                .find(|(i, _)| i == index)
                .and_then(|(_, hash)| *hash);
            let problem = if lagging(head.number) {
                Some("lags")
            } else if racing(head.number) && settled > 1 {
                Some("claims a height nobody else sees")
            } else if forked && majority_wins && hash != majority {
                Some("is on another fork")
            } else {
                None
            };
            let was_usable = endpoint.usable.swap(problem.is_none(), Ordering::Relaxed);
            match problem {
                Some(problem) if was_usable => {
                    warn!(
                        endpoint = endpoint.name,
                        height = head.number,
                        reference,
                        problem,
                        "RPC endpoint is avoided"
                    );
                }
                None if !was_usable => info!(
                    endpoint = endpoint.name,
                    height = head.number,
                    "RPC endpoint is used again"
                ),
                _ => {}
            }
            metrics::gauge!("keeper_rpc_usable", "endpoint" => endpoint.name.clone())
                .set(if problem.is_none() { 1 } else { 0 });
        }
        let disagreement =
            (forked && !majority_wins) || (heads.len() == 2 && heights.iter().any(|h| racing(*h)));
        if self.agreed.swap(!disagreement, Ordering::Relaxed) && disagreement {
            warn!(
                "RPC endpoints disagree about the chain and no majority settles it: exposure is only reduced"
            );
        }
    }

    async fn block_at(&self, endpoint: &Endpoint, number: u64) -> Result<Option<Head>, RpcError> {
        let block: Option<Block> = self
            .ask(endpoint, "eth_getBlockByNumber", (U64::from(number), false))
            .await
            .map_err(AskError::into_rpc)?;
        Ok(block.map(|block| head_of(&block)))
    }
}

fn heights_of(heads: &[(usize, Head)]) -> Vec<u64> {
    heads.iter().map(|(_, head)| head.number).collect()
}

fn head_of(block: &Block) -> Head {
    Head {
        number: block.header.number(),
        hash: block.header.hash(),
        parent: block.header.parent_hash(),
        timestamp: block.header.timestamp(),
        base_fee: block.header.base_fee_per_gas().map_or(0, u128::from),
    }
}

/// An endpoint's failure, with a refusal's revert data.
enum AskError {
    Rpc(RpcError),
    Refused {
        endpoint: String,
        method: &'static str,
        code: i64,
        message: String,
        data: Option<Bytes>,
    },
}

impl AskError {
    fn into_rpc(self) -> RpcError {
        match self {
            Self::Rpc(error) => error,
            Self::Refused {
                endpoint,
                method,
                code,
                message,
                ..
            } => RpcError::Refused {
                endpoint,
                method,
                code,
                message,
            },
        }
    }

    /// A refusal that means the call was executed and reverted.
    fn into_revert(self) -> Result<Revert, RpcError> {
        match self {
            Self::Refused {
                code, message, data, ..
            } if code == 3
                || data.is_some()
                || message.contains("revert")
                || message.contains("out of gas") =>
            {
                Ok(Revert {
                    data: data.unwrap_or_default(),
                    message,
                })
            }
            other => Err(other.into_rpc()),
        }
    }
}

fn request(call: &Call) -> TransactionRequest {
    let mut request = TransactionRequest::default()
        .to(call.to)
        .input(call.data.clone().into());
    request.from = call.from;
    request
}

#[async_trait]
impl Rpc for Pool {
    async fn head(&self) -> Result<Head, RpcError> {
        let answers = join_all(self.endpoints.iter().enumerate().map(async |(index, endpoint)| {
            let block: Result<Option<Block>, AskError> = self
                .ask(endpoint, "eth_getBlockByNumber", ("latest", false))
                .await;
            (index, block)
        }))
        .await;
        let mut heads = Vec::new();
        let mut failure = None;
        for (index, answer) in answers {
            match answer {
                Ok(Some(block)) => heads.push((index, head_of(&block))),
                Ok(None) => {}
                Err(error) => {
                    let error = error.into_rpc();
                    if let Some(endpoint) = self.endpoints.get(index) {
                        endpoint.usable.store(false, Ordering::Relaxed);
                    }
                    warn!(%error, "RPC endpoint did not answer");
                    failure = Some(error);
                }
            }
        }
        if heads.is_empty() {
            return Err(failure.unwrap_or(RpcError::NoneUsable {
                reason: "no endpoint has a block".into(),
            }));
        }
        if let [(index, _)] = heads.as_slice() {
            if let Some(endpoint) = self.endpoints.get(*index) {
                endpoint.usable.store(true, Ordering::Relaxed);
            }
            self.agreed.store(true, Ordering::Relaxed);
        } else {
            self.judge(&heads).await;
        }
        let best = heads
            .iter()
            .filter(|(index, _)| {
                self.endpoints
                    .get(*index)
                    .is_some_and(|e| e.usable.load(Ordering::Relaxed))
            })
            .max_by_key(|(index, head)| (head.number, std::cmp::Reverse(*index)));
        let Some((index, head)) = best.or(heads.first()) else {
            return Err(RpcError::NoneUsable {
                reason: "all endpoints are avoided".into(),
            });
        };
        self.preferred.store(*index, Ordering::Relaxed);
        Ok(*head)
    }

    async fn block(&self, number: u64) -> Result<Option<Head>, RpcError> {
        let block: Option<Block> = self
            .first_settled("eth_getBlockByNumber", (U64::from(number), false))
            .await?;
        Ok(block.map(|block| head_of(&block)))
    }

    async fn calls(&self, calls: &[Call]) -> Result<Vec<Answer<Bytes>>, RpcError> {
        if let [call] = calls {
            return match self.first("eth_call", (request(call), "latest")).await {
                Ok(data) => Ok(vec![Ok(data)]),
                Err(error) => Ok(vec![Err(error.into_revert()?)]),
            };
        }
        let mut answers = Vec::with_capacity(calls.len());
        for chunk in calls.chunks(BATCH) {
            for answer in self.batch(chunk).await {
                answers.push(answer?);
            }
        }
        Ok(answers)
    }

    async fn each(&self, calls: &[Call]) -> Vec<Result<Answer<Bytes>, RpcError>> {
        let mut answers = Vec::with_capacity(calls.len());
        let mut silent = 0;
        for chunk in calls.chunks(BATCH) {
            let part = self.batch(chunk).await;
            silent = if part.iter().all(Result::is_err) {
                silent + 1
            } else {
                0
            };
            let last = part.last().and_then(|answer| answer.clone().err());
            answers.extend(part);
            // Nobody is there: waiting for each further batch to time out would only keep the next look waiting.
            if let (true, Some(error)) = (silent >= SILENT, last) {
                answers.resize(calls.len(), Err(error));
                break;
            }
        }
        answers
    }

    async fn estimate(&self, call: &Call) -> Result<Answer<u64>, RpcError> {
        match self
            .first::<_, U64>("eth_estimateGas", (request(call), "latest"))
            .await
        {
            Ok(gas) => Ok(Ok(gas.to())),
            Err(error) => error.into_revert().map(Err),
        }
    }

    async fn nonce(&self, address: Address) -> Result<u64, RpcError> {
        let nonce: U64 = self
            .first_settled("eth_getTransactionCount", (address, "latest"))
            .await?;
        Ok(nonce.to())
    }

    async fn priority_fee(&self) -> Result<u128, RpcError> {
        let fee: U128 = self.first_settled("eth_maxPriorityFeePerGas", ()).await?;
        Ok(fee.to())
    }

    async fn send(&self, raw: &[u8]) -> SendOutcome {
        let params = (Bytes::copy_from_slice(raw),);
        let mut unknown = None;
        for endpoint in self.order() {
            match self
                .ask::<_, Value>(&endpoint, "eth_sendRawTransaction", params.clone())
                .await
            {
                Ok(_) => return SendOutcome::Accepted,
                Err(AskError::Refused { message, .. }) => {
                    let refused = classify(&message);
                    // Once an endpoint may have taken it, another one's refusal says nothing about it.
                    return match unknown {
                        Some(detail)
                            if !matches!(refused, SendOutcome::AlreadyKnown | SendOutcome::NonceUsed) =>
                        {
                            SendOutcome::Unknown(detail)
                        }
                        _ => refused,
                    };
                }
                Err(AskError::Rpc(error)) => {
                    warn!(%error, "outcome of a submit is unknown; it stays in flight");
                    unknown = Some(error.to_string());
                }
            }
        }
        SendOutcome::Unknown(unknown.unwrap_or_else(|| "no endpoint".into()))
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, RpcError> {
        let receipt: Option<TransactionReceipt> =
            self.first_settled("eth_getTransactionReceipt", (hash,)).await?;
        Ok(receipt.and_then(|receipt| {
            Some(Receipt {
                transaction: receipt.transaction_hash,
                block: receipt.block_number?,
                block_hash: receipt.block_hash?,
                success: receipt.status(),
                gas_used: receipt.gas_used,
                logs: receipt.inner.logs().to_vec(),
            })
        }))
    }

    async fn knows(&self, hash: B256) -> Result<bool, RpcError> {
        let transaction: Option<Value> = self.first_settled("eth_getTransactionByHash", (hash,)).await?;
        Ok(transaction.is_some_and(|value| !value.is_null()))
    }

    async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, RpcError> {
        self.first_settled("eth_getLogs", (filter.clone(),)).await
    }

    async fn code(&self, address: Address) -> Result<Bytes, RpcError> {
        self.first_settled("eth_getCode", (address, "latest")).await
    }

    async fn chain_id(&self) -> Result<u64, RpcError> {
        let id: U64 = self.first_settled("eth_chainId", ()).await?;
        Ok(id.to())
    }

    fn agreed(&self) -> bool {
        self.agreed.load(Ordering::Relaxed)
    }
}

impl Pool {
    /// Up to [`BATCH`] calls in one round trip. What one endpoint leaves unanswered the next one is asked.
    async fn batch(&self, calls: &[Call]) -> Vec<Result<Answer<Bytes>, RpcError>> {
        let mut answers: Vec<Result<Answer<Bytes>, RpcError>> = calls
            .iter()
            .map(|_| {
                Err(RpcError::NoneUsable {
                    reason: "none configured".into(),
                })
            })
            .collect();
        for endpoint in self.order() {
            let (mut open, asked): (Vec<_>, Vec<_>) = answers
                .iter_mut()
                .zip(calls)
                .filter(|(answer, _)| answer.is_err())
                .unzip();
            if asked.is_empty() {
                break;
            }
            let told = self.batch_at(&endpoint, &asked).await;
            if let Some(error) = told.iter().find_map(|answer| answer.as_ref().err()) {
                warn!(%error, "RPC endpoint did not answer");
            }
            for (answer, told) in open.iter_mut().zip(told) {
                **answer = told;
            }
        }
        answers
    }

    /// One round trip to one endpoint.
    async fn batch_at(&self, endpoint: &Endpoint, calls: &[&Call]) -> Vec<Result<Answer<Bytes>, RpcError>> {
        const METHOD: &str = "eth_call";
        let nobody = |error: &RpcError| calls.iter().map(|_| Err(error.clone())).collect();
        let started = Instant::now();
        let mut batch = endpoint.client.new_batch();
        let mut waiters = Vec::with_capacity(calls.len());
        for call in calls {
            match batch.add_call::<_, Bytes>(METHOD, &(request(call), "latest")) {
                Ok(waiter) => waiters.push(waiter),
                Err(error) => return nobody(&self.failure(endpoint, METHOD, error).into_rpc()),
            }
        }
        let sent = tokio::time::timeout(self.timeout, batch.send()).await;
        metrics::histogram!("keeper_rpc_seconds", "method" => "eth_call batch").record(started.elapsed());
        match sent {
            Err(_) => {
                return nobody(&RpcError::Timeout {
                    endpoint: endpoint.name.clone(),
                    method: METHOD,
                });
            }
            Ok(Err(error)) => return nobody(&self.failure(endpoint, METHOD, error).into_rpc()),
            Ok(Ok(())) => {}
        }
        let mut answers = Vec::with_capacity(calls.len());
        for waiter in waiters {
            answers.push(match waiter.await {
                Ok(data) => Ok(Ok(data)),
                Err(error) => self.failure(endpoint, METHOD, error).into_revert().map(Err),
            });
        }
        answers
    }
}

/// Reads a node's refusal of a transaction. Texts of geth, reth, anvil, op-geth, nethermind, erigon.
fn classify(message: &str) -> SendOutcome {
    let text = message.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if has(&[
        "already known",
        "already imported",
        "already exists",
        "alreadyknown",
    ]) {
        SendOutcome::AlreadyKnown
    } else if has(&[
        "nonce too low",
        "nonce is too low",
        "nonce_too_low",
        "oldnonce",
        "invalid nonce",
    ]) {
        SendOutcome::NonceUsed
    } else if has(&[
        "underpriced",
        "fee too low",
        "replacement",
        "feetoolow",
        "max fee per gas less",
    ]) {
        SendOutcome::Underpriced
    } else if has(&["insufficient funds", "insufficientfunds", "insufficient balance"]) {
        SendOutcome::InsufficientFunds
    } else {
        SendOutcome::Refused(message.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    /// An endpoint that answers calls of every contract but one, and counts the calls.
    async fn endpoint(mute: Address) -> (Url, Arc<Mutex<Vec<Address>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let answer = move |Json(batch): Json<Vec<Value>>| async move {
            let one = |request: &Value| {
                let to: Address = serde_json::from_value(request["params"][0]["to"].clone()).unwrap();
                seen.lock().unwrap().push(to);
                if to == mute {
                    let error = json!({"code": -32000, "message": "execution timeout"});
                    return json!({"jsonrpc": "2.0", "id": request["id"], "error": error});
                }
                json!({"jsonrpc": "2.0", "id": request["id"], "result": to})
            };
            Json(batch.iter().map(one).collect::<Vec<_>>())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
        (url, asked)
    }

    fn call(to: Address) -> Call {
        Call {
            from: None,
            to,
            data: Bytes::new(),
        }
    }

    #[tokio::test]
    async fn a_call_left_open_in_a_batch_is_asked_elsewhere_and_alone() {
        let (good, bad) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let calls = [call(good), call(bad), call(good)];
        let (first, _) = endpoint(bad).await;
        let alone = Pool::new(std::slice::from_ref(&first), Duration::from_secs(5), 5);
        let answers = alone.each(&calls).await;
        let answered: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(answered, [true, false, true]);
        assert!(alone.calls(&calls).await.is_err(), "all or nothing");

        let (second, asked) = endpoint(Address::ZERO).await;
        let both = Pool::new(&[first, second], Duration::from_secs(5), 5);
        let answers = both.each(&calls).await;
        let expected = [good, bad, good].map(|to| Ok(Ok(Bytes::copy_from_slice(to.as_slice()))));
        assert_eq!(answers, expected);
        assert_eq!(*asked.lock().unwrap(), [bad]);
    }

    /// Nobody waits for one timeout after the other.
    #[tokio::test]
    async fn an_endpoint_that_answers_nothing_is_given_up() {
        let (url, asked) = endpoint(Address::ZERO).await;
        let pool = Pool::new(&[url], Duration::from_secs(5), 5);
        let calls = vec![call(Address::ZERO); BATCH * 5 - 1];
        let answers = pool.each(&calls).await;
        assert_eq!(answers.len(), calls.len());
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(asked.lock().unwrap().len(), BATCH * SILENT);
    }

    #[test]
    fn refusals_of_common_nodes_are_read() {
        assert_eq!(classify("already known"), SendOutcome::AlreadyKnown);
        assert_eq!(
            classify("transaction already imported"),
            SendOutcome::AlreadyKnown
        );
        assert_eq!(
            classify("nonce too low: next nonce 5, tx nonce 4"),
            SendOutcome::NonceUsed
        );
        assert_eq!(
            classify("replacement transaction underpriced"),
            SendOutcome::Underpriced
        );
        assert_eq!(
            classify("Insufficient funds for gas * price + value"),
            SendOutcome::InsufficientFunds
        );
        assert!(matches!(
            classify("exceeds block gas limit"),
            SendOutcome::Refused(_)
        ));
    }

    #[tokio::test]
    async fn an_endpoint_s_failure_tells_its_cause_and_no_key() {
        let url = "http://user:SECRET@127.0.0.1:1/v2/SECRET?key=SECRET"
            .parse()
            .unwrap();
        let pool = Pool::new(&[url], Duration::from_secs(5), 5);
        let text = pool.chain_id().await.unwrap_err().to_string();
        assert!(
            text.contains("127.0.0.1:1") && text.to_lowercase().contains("refused"),
            "{text}"
        );
        assert!(!text.contains("SECRET"), "{text}");
    }
}
