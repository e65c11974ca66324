//! Follower signatures as they travel: from the dashboard to the API, to the keeper, to the chain.
//!
//! Numbers inside signed structs are raw integers as the wallet signed them, written as decimal strings.

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::bindings::IMirrorEngine;

/// Raw integers as decimal strings.
pub mod decimal {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes any integer as a decimal string.
    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads a decimal string; digits only.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(serde::de::Error::custom(format!(
                "{text:?} is not a decimal integer"
            )));
        }
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The mandate as JSON. Field by field the EIP-712 struct `Mandate`; units as in `LockstepTypes.sol`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Mandate {
    pub follower: Address,
    pub strategy: Address,
    pub mode: u8,
    pub ratio_bps: u32,
    #[serde(with = "decimal")]
    pub fixed_notional: u64,
    pub hedge_bps: u16,
    pub max_leverage_bps: u32,
    pub max_slippage_bps: u16,
    #[serde(with = "decimal")]
    pub max_position_notional: u64,
    #[serde(with = "decimal")]
    pub max_daily_turnover: u64,
    pub stop_loss_bps: u16,
    pub take_profit_bps: u32,
    pub allowed_markets: Vec<String>,
    #[serde(with = "decimal")]
    pub deposit: u64,
    #[serde(with = "decimal")]
    pub expiry: u64,
    #[serde(with = "decimal")]
    pub nonce: U256,
}

impl From<&Mandate> for IMirrorEngine::Mandate {
    fn from(mandate: &Mandate) -> Self {
        Self {
            follower: mandate.follower,
            strategy: mandate.strategy,
            mode: mandate.mode,
            ratioBps: mandate.ratio_bps,
            fixedNotional: mandate.fixed_notional,
            hedgeBps: mandate.hedge_bps,
            maxLeverageBps: mandate.max_leverage_bps,
            maxSlippageBps: mandate.max_slippage_bps,
            maxPositionNotional: mandate.max_position_notional,
            maxDailyTurnover: mandate.max_daily_turnover,
            stopLossBps: mandate.stop_loss_bps,
            takeProfitBps: mandate.take_profit_bps,
            allowedMarkets: mandate.allowed_markets.clone(),
            deposit: mandate.deposit,
            expiry: mandate.expiry,
            nonce: mandate.nonce,
        }
    }
}

/// EIP-2612 permit of USDC for Permit2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TokenPermit {
    #[serde(with = "decimal")]
    pub value: U256,
    #[serde(with = "decimal")]
    pub deadline: U256,
    pub v: u8,
    pub r: B256,
    pub s: B256,
}

/// Body of `POST /api/v1/relay/mandate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedMandate {
    /// What was signed.
    pub mandate: Mandate,
    /// Permit2 nonce; ignored for an update (deposit 0), then "0".
    #[serde(with = "decimal")]
    pub permit_nonce: U256,
    /// Permit2 deadline, unix seconds; ignored for an update, then "0".
    #[serde(with = "decimal")]
    pub permit_deadline: U256,
    /// The follower's signature (65 bytes for an EOA, any length for ERC-1271).
    pub signature: Bytes,
    /// For a newcomer without a Permit2 allowance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_permit: Option<TokenPermit>,
}

/// A follower's intent, besides a mandate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[allow(missing_docs)]
pub enum Intent {
    /// EIP-712 `Stop`: nothing is opened any more, what is open is closed by the next batches.
    Stop {
        follower: Address,
        strategy: Address,
        #[serde(with = "decimal")]
        nonce: U256,
        #[serde(with = "decimal")]
        deadline: U256,
    },
    /// EIP-712 `Withdraw`: `amount` USDC 1e-6; the largest uint256 withdraws all that is free.
    Withdraw {
        follower: Address,
        strategy: Address,
        #[serde(with = "decimal")]
        amount: U256,
        #[serde(with = "decimal")]
        nonce: U256,
        #[serde(with = "decimal")]
        deadline: U256,
    },
}

/// Body of `POST /api/v1/relay/intent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedIntent {
    /// What was signed.
    pub intent: Intent,
    /// The follower's signature.
    pub signature: Bytes,
}

/// What became of something relayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RelayState {
    /// Written to the journal; it will be sent.
    Queued,
    /// Handed to the chain. Not failed until the chain says so.
    Submitted {
        /// Latest transaction that carries it.
        transaction: B256,
    },
    /// In a block.
    Included {
        /// The transaction.
        transaction: B256,
        /// Its block.
        block: u64,
    },
    /// The chain refused it; nothing was moved.
    Rejected {
        /// Name of the contract's error or of the check that failed, e.g. `MandateExpired`.
        code: String,
        /// One sentence for the follower.
        detail: String,
    },
}

/// A relayed item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayStatus {
    /// EIP-712 digest of what was signed; sending the same thing twice gives the same id.
    pub id: B256,
    /// Where it stands.
    #[serde(flatten)]
    pub state: RelayState,
}
