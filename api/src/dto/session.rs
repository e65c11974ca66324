//! Login with a wallet (EIP-4361) and what only the logged-in address sees.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::AccountWithResult;
use super::relay::RelayRecord;
use super::scalar::{Address, Timestamp};

/// What to put into the EIP-4361 message. The message is
///
/// `<domain> wants you to sign in with your Ethereum account:` / address / empty line / statement / empty line /
/// `URI:`, `Version:`, `Chain ID:`, `Nonce:`, `Issued At:`, `Expiration Time:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionNonce {
    /// Use once, before `expirationTime`.
    pub nonce: String,
    /// Domain.
    pub domain: String,
    /// URI.
    pub uri: String,
    /// Statement.
    pub statement: String,
    /// Version, always "1".
    pub version: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Issued at.
    pub issued_at: Timestamp,
    /// Expiration time of the message, not of the session.
    pub expiration_time: Timestamp,
}

/// A signed EIP-4361 message.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionRequest {
    /// The text as signed.
    #[schema(max_length = 4096)]
    pub message: String,
    /// 65 bytes for an EOA, any length for a contract (ERC-1271).
    #[schema(value_type = String, pattern = "^0x([0-9a-fA-F]{2})*$", max_length = 16386)]
    pub signature: alloy::primitives::Bytes,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Who is logged in.
    pub address: Address,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A new session. Browsers get it as a cookie as well and can forget `token`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewSession {
    /// Who is logged in.
    pub address: Address,
    /// Until when.
    pub expires_at: Timestamp,
    /// For `authorization: Bearer …`.
    pub token: String,
}

/// What only the logged-in address sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// Who is logged in.
    pub address: Address,
    /// Accounts, newest first, with the owner's own labels.
    pub accounts: Vec<LabelledAccount>,
    /// What was relayed for this address, newest first, at most 100.
    pub relays: Vec<RelayRecord>,
}

/// An account with its owner's label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelledAccount {
    /// The owner's own name for it; null when none was given.
    pub label: Option<String>,
    /// The account.
    #[serde(flatten)]
    pub account: AccountWithResult,
}

/// The owner's own name for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Label {
    /// At most 64 characters; empty removes it.
    #[schema(max_length = 64)]
    pub label: String,
}
