//! One JSON-RPC endpoint, asked in batches, with every answer checked for what was asked.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bloom, BloomInput, U64};
use alloy::rpc::client::{ClientBuilder, RpcClient};
use alloy::transports::{RpcError as TransportFault, TransportErrorKind};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::decode::RawLog;
use crate::model::BlockRef;

/// Headers asked for in one batch.
const HEADER_BATCH: usize = 100;

/// A block header, as much of it as is needed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    #[serde(default)]
    logs_bloom: Bloom,
}

impl Header {
    /// Number, hash and time.
    #[must_use]
    pub fn block(&self) -> BlockRef {
        BlockRef {
            number: self.number.to(),
            hash: self.hash,
            time: self.timestamp.to(),
        }
    }

    /// Hash of the block before.
    #[must_use]
    pub const fn parent(&self) -> B256 {
        self.parent_hash
    }

    /// Whether the block may have a log with one of these topics.
    #[must_use]
    pub fn may_have(&self, topics: &[B256]) -> bool {
        topics
            .iter()
            .any(|topic| self.logs_bloom.contains_input(BloomInput::Raw(topic.as_slice())))
    }
}

/// How high an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heights {
    /// Newest block.
    pub latest: Header,
    /// Newest final block, where the endpoint knows the tag.
    pub finalized: Option<Header>,
}

/// What is wrong with an endpoint. Retried, elsewhere or later; never fatal by itself.
#[derive(Debug, thiserror::Error)]
pub enum RpcFault {
    /// No answer in time.
    #[error("no answer to {method} in {after:?}")]
    Timeout {
        /// Asked.
        method: &'static str,
        /// Waited.
        after: Duration,
    },
    /// It answered with an error.
    #[error("{method}: {message} ({code})")]
    Refused {
        /// Asked.
        method: &'static str,
        /// JSON-RPC code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// It cannot be reached, or what it says is no JSON-RPC.
    #[error("{method}: {detail}")]
    Transport {
        /// Asked.
        method: &'static str,
        /// What happened.
        detail: String,
    },
    /// Its answers contradict each other or themselves.
    #[error("contradicts itself: {0}")]
    Inconsistent(String),
}

/// One endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    name: String,
    client: RpcClient,
    timeout: Duration,
}

impl Endpoint {
    /// An endpoint at a URL.
    #[must_use]
    pub fn new(url: &Url, timeout: Duration) -> Self {
        Self {
            name: name_of(url),
            client: ClientBuilder::default().http(url.clone()),
            timeout,
        }
    }

    /// Scheme, host and port: what may be logged. Paths and user names of RPC URLs are keys.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn call<P, R>(&self, method: &'static str, params: P) -> Result<R, RpcFault>
    where
        P: serde::Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin + 'static,
        R: serde::de::DeserializeOwned + std::fmt::Debug + Send + Sync + Unpin + 'static,
    {
        tokio::time::timeout(self.timeout, self.client.request::<P, R>(method, params))
            .await
            .map_err(|_| RpcFault::Timeout {
                method,
                after: self.timeout,
            })?
            .map_err(|error| fault(method, error))
    }

    /// EIP-155 chain id.
    ///
    /// # Errors
    /// [`RpcFault`].
    pub async fn chain_id(&self) -> Result<u64, RpcFault> {
        self.call::<_, U64>("eth_chainId", ()).await.map(|id| id.to())
    }

    /// Newest and newest final block, and the one at `number`: three answers of one moment.
    ///
    /// # Errors
    /// [`RpcFault`].
    pub async fn heights(&self, number: Option<u64>) -> Result<(Heights, Option<Header>), RpcFault> {
        const METHOD: &str = "eth_getBlockByNumber";
        let mut batch = self.client.new_batch();
        let at = number
            .map(|number| batch.add_call::<_, Option<Header>>(METHOD, &(U64::from(number), false)))
            .transpose()
            .map_err(|error| fault(METHOD, error))?;
        let mut ask = |tag: &'static str| {
            batch
                .add_call::<_, Option<Header>>(METHOD, &(tag, false))
                .map_err(|error| fault(METHOD, error))
        };
        let latest = ask("latest")?;
        let finalized = ask("finalized")?;
        self.send(METHOD, batch).await?;
        let latest = latest
            .await
            .map_err(|error| fault(METHOD, error))?
            .ok_or_else(|| RpcFault::Inconsistent("it has no latest block".to_owned()))?;
        // Where the tag is unknown the answer is an error or null; a depth stands in for it then.
        let finalized = finalized.await.ok().flatten();
        let at = match at {
            Some(waiter) => waiter.await.map_err(|error| fault(METHOD, error))?,
            None => None,
        };
        if let (Some(header), Some(number)) = (&at, number)
            && header.block().number != number
        {
            return Err(RpcFault::Inconsistent(format!(
                "asked for block {number} it gave {}",
                header.number
            )));
        }
        Ok((Heights { latest, finalized }, at))
    }

    async fn send(
        &self,
        method: &'static str,
        batch: alloy::rpc::client::BatchRequest<'_>,
    ) -> Result<(), RpcFault> {
        tokio::time::timeout(self.timeout, batch.send())
            .await
            .map_err(|_| RpcFault::Timeout {
                method,
                after: self.timeout,
            })?
            .map_err(|error| fault(method, error))
    }

    /// Headers by number, in the order asked; `None` where the endpoint has no such block.
    ///
    /// # Errors
    /// [`RpcFault`].
    pub async fn headers(&self, numbers: &[u64]) -> Result<Vec<Option<Header>>, RpcFault> {
        const METHOD: &str = "eth_getBlockByNumber";
        let mut headers = Vec::with_capacity(numbers.len());
        for chunk in numbers.chunks(HEADER_BATCH) {
            let mut batch = self.client.new_batch();
            let waiters = chunk
                .iter()
                .map(|number| batch.add_call::<_, Option<Header>>(METHOD, &(U64::from(*number), false)))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| fault(METHOD, error))?;
            self.send(METHOD, batch).await?;
            for (number, waiter) in chunk.iter().zip(waiters) {
                let header = waiter.await.map_err(|error| fault(METHOD, error))?;
                if let Some(header) = &header
                    && header.number.to::<u64>() != *number
                {
                    let text = format!("asked for block {number} it gave {}", header.number);
                    return Err(RpcFault::Inconsistent(text));
                }
                headers.push(header);
            }
        }
        Ok(headers)
    }

    /// Logs with one of `topics` first, of blocks `from`..=`to`; with `emitters`, of these alone.
    ///
    /// # Errors
    /// [`RpcFault`].
    pub async fn logs(
        &self,
        from: u64,
        to: u64,
        topics: &[B256],
        emitters: Option<&[Address]>,
    ) -> Result<Vec<RawLog>, RpcFault> {
        let blocks = json!({ "fromBlock": U64::from(from), "toBlock": U64::from(to) });
        self.filtered(blocks, topics, emitters).await
    }

    /// Logs with one of `topics` first, of the block with this hash: an endpoint that does not have it says so.
    ///
    /// # Errors
    /// [`RpcFault`].
    pub async fn logs_of(
        &self,
        block: B256,
        topics: &[B256],
        emitters: Option<&[Address]>,
    ) -> Result<Vec<RawLog>, RpcFault> {
        self.filtered(json!({ "blockHash": block }), topics, emitters)
            .await
    }

    async fn filtered(
        &self,
        mut filter: Value,
        topics: &[B256],
        emitters: Option<&[Address]>,
    ) -> Result<Vec<RawLog>, RpcFault> {
        if let Some(filter) = filter.as_object_mut() {
            filter.insert("topics".to_owned(), json!([topics]));
            if let Some(emitters) = emitters {
                filter.insert("address".to_owned(), json!(emitters));
            }
        }
        self.call("eth_getLogs", json!([filter])).await
    }

    /// Bytes at an address, to see whether a contract is there.
    ///
    /// # Errors
    /// [`RpcFault`].
    pub async fn has_code(&self, address: Address) -> Result<bool, RpcFault> {
        let code: alloy::primitives::Bytes = self.call("eth_getCode", (address, "latest")).await?;
        Ok(!code.is_empty())
    }
}

fn fault(method: &'static str, error: TransportFault<TransportErrorKind>) -> RpcFault {
    match error {
        TransportFault::ErrorResp(payload) => RpcFault::Refused {
            method,
            code: payload.code,
            message: payload.message.into_owned(),
        },
        other => RpcFault::Transport {
            method,
            detail: without_urls(&other.to_string()),
        },
    }
}

/// Error texts of HTTP clients name the URL, which may hold a key.
#[must_use]
pub fn without_urls(text: &str) -> String {
    text.split(' ')
        .map(|word| if word.contains("://") { "(url)" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

fn name_of(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_urls_are_never_shown() {
        let url = Url::parse("https://user:pass@rpc.example:8443/v2/s3cr3t?key=s3cr3t").unwrap();
        assert_eq!(name_of(&url), "https://rpc.example:8443");
        let text = without_urls("error sending request for url (https://rpc.example/v2/s3cr3t): refused");
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}
