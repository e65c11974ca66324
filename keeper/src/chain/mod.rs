//! The chain as the keeper needs it: a small trait, so that everything above can be run against an RPC that fails on
//! purpose, and [`pool::Pool`], which spreads it over several endpoints and avoids those that lag, fork or lie.

pub mod pool;
pub mod reverts;
pub mod views;

use alloy::primitives::{Address, B256, Bytes};
use alloy::rpc::types::{Filter, Log};
use async_trait::async_trait;

/// The head of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Hash of the block before it.
    pub parent: B256,
    /// Unix seconds.
    pub timestamp: u64,
    /// EIP-1559 base fee, wei.
    pub base_fee: u128,
}

/// A read-only call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Sender, where it matters.
    pub from: Option<Address>,
    /// Contract.
    pub to: Address,
    /// Calldata.
    pub data: Bytes,
}

/// The chain executed the call and refused it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reverted: {message}")]
pub struct Revert {
    /// ABI-encoded error; empty when there was none.
    pub data: Bytes,
    /// What the node said.
    pub message: String,
}

/// Result of a call that reached the chain.
pub type Answer<T> = Result<T, Revert>;

/// A receipt, as far as the keeper needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// The transaction.
    pub transaction: B256,
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
    /// False when it reverted.
    pub success: bool,
    /// Gas used.
    pub gas_used: u64,
    /// Logs.
    pub logs: Vec<Log>,
}

/// The endpoint did not answer the question. Nothing may be concluded about the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// No answer in time.
    #[error("{endpoint}: {method} timed out")]
    Timeout {
        /// Which endpoint, without credentials.
        endpoint: String,
        /// JSON-RPC method.
        method: &'static str,
    },
    /// The connection failed, or the answer could not be read (5xx, 429, not JSON).
    #[error("{endpoint}: {method}: {detail}")]
    Transport {
        /// Which endpoint, without credentials.
        endpoint: String,
        /// JSON-RPC method.
        method: &'static str,
        /// What happened.
        detail: String,
    },
    /// The endpoint answered with a JSON-RPC error.
    #[error("{endpoint}: {method} refused ({code}): {message}")]
    Refused {
        /// Which endpoint, without credentials.
        endpoint: String,
        /// JSON-RPC method.
        method: &'static str,
        /// JSON-RPC error code.
        code: i64,
        /// Its message.
        message: String,
    },
    /// No endpoint can be used now.
    #[error("no RPC endpoint is usable: {reason}")]
    NoneUsable {
        /// Why not.
        reason: String,
    },
    /// The answer is not what the contract's ABI promises.
    #[error("{what}: unreadable answer")]
    Unreadable {
        /// What was asked.
        what: &'static str,
    },
}

/// What handing over a signed transaction led to.
///
/// Outcome policy: only a reply that says *refused* is a refusal. A timeout, a dropped connection, 429, 5xx or an
/// unreadable reply leaves the transaction [`SendOutcome::Unknown`]: it is in flight until the chain says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The endpoint has it.
    Accepted,
    /// The endpoint had it already.
    AlreadyKnown,
    /// The nonce is used on chain: this transaction or another with its nonce was included.
    NonceUsed,
    /// The pool holds another with this nonce and a fee that is too close.
    Underpriced,
    /// The sender cannot pay for it.
    InsufficientFunds,
    /// Refused for another reason.
    Refused(String),
    /// No answer; it may or may not have arrived.
    Unknown(String),
}

/// What the keeper asks of a chain.
#[async_trait]
pub trait Rpc: Send + Sync {
    /// Latest head.
    async fn head(&self) -> Result<Head, RpcError>;
    /// The canonical block at `number`; `None` when there is none yet.
    async fn block(&self, number: u64) -> Result<Option<Head>, RpcError>;
    /// Several calls on the latest state, in one round trip.
    async fn calls(&self, calls: &[Call]) -> Result<Vec<Answer<Bytes>>, RpcError>;
    /// The same, but a call that stays unanswered leaves the others their answers. As many answers as calls.
    async fn each(&self, calls: &[Call]) -> Vec<Result<Answer<Bytes>, RpcError>> {
        match self.calls(calls).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) => calls.iter().map(|_| Err(error.clone())).collect(),
        }
    }
    /// Gas the transaction would use on the latest state.
    async fn estimate(&self, call: &Call) -> Result<Answer<u64>, RpcError>;
    /// Number of transactions of `address` in the latest block's state.
    async fn nonce(&self, address: Address) -> Result<u64, RpcError>;
    /// Suggested priority fee, wei.
    async fn priority_fee(&self) -> Result<u128, RpcError>;
    /// Hands over signed bytes.
    async fn send(&self, raw: &[u8]) -> SendOutcome;
    /// Receipt of a transaction, `None` while it has none.
    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, RpcError>;
    /// Whether the endpoint knows the transaction, mined or waiting.
    async fn knows(&self, hash: B256) -> Result<bool, RpcError>;
    /// Logs.
    async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, RpcError>;
    /// Code at an address.
    async fn code(&self, address: Address) -> Result<Bytes, RpcError>;
    /// Chain id.
    async fn chain_id(&self) -> Result<u64, RpcError>;
    /// False while the endpoints disagree about the chain and no majority settles it.
    fn agreed(&self) -> bool {
        true
    }
}

/// One call.
///
/// # Errors
/// As [`Rpc::calls`].
pub async fn call(rpc: &dyn Rpc, to: Address, data: Bytes) -> Result<Answer<Bytes>, RpcError> {
    let mut answers = rpc.calls(&[Call { from: None, to, data }]).await?;
    answers.pop().ok_or(RpcError::Unreadable { what: "eth_call" })
}
