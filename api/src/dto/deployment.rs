//! What a client needs to build typed data and to read the chain by itself.

use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::{Address, Hash};

/// Contracts of this deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Contracts {
    /// `IMasterRegistry`.
    pub registry: Address,
    /// `IMirrorEngine`.
    pub engine: Address,
    /// `ILiquidator`.
    pub liquidator: Address,
    /// `IInsuranceFund`.
    pub insurance: Address,
    /// `IVenue` adapter.
    pub venue: Address,
    /// Collateral token, 6 decimals.
    pub usdc: Address,
    /// Permit2.
    pub permit2: Address,
}

/// An EIP-712 domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningDomain {
    /// Name.
    pub name: String,
    /// Version; Permit2's domain has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub version: Option<String>,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The contract.
    pub verifying_contract: Address,
}

/// The two domains a follower signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningDomains {
    /// Mandates without a deposit, stops, withdrawals.
    pub engine: SigningDomain,
    /// Mandates with a deposit: `PermitWitnessTransferFrom` with the mandate as witness.
    pub permit2: SigningDomain,
    /// What Permit2 is given as `witnessTypeString`.
    pub witness_type_string: String,
}

/// A market of the venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedMarket {
    /// Index in the registry's listing.
    pub listing_id: u16,
    /// E.g. `ETH-USD`.
    pub symbol: String,
    /// The venue adapter's id.
    pub venue_market: Hash,
}

/// A deployment of Lockstep on one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Block from which logs are followed.
    pub deployment_block: u64,
    /// Contracts.
    pub contracts: Contracts,
    /// Domains for signing.
    pub domains: SigningDomains,
    /// JSON-RPC door the browser may use; null when none is configured.
    pub rpc_url: Option<String>,
    /// Block explorer, without a slash at the end; null when none is configured.
    pub explorer_url: Option<String>,
    /// Markets the venue lists.
    pub markets: Vec<ListedMarket>,
}
