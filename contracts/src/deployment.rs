//! Where a Lockstep deployment lives. `script/deploy/DeployLockstep.s.sol` writes it as JSON, every process reads it.

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// Addresses of one deployment on one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Block from which logs are followed.
    pub deployment_block: u64,
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
    /// Canonical Permit2.
    pub permit2: Address,
    /// Perpetual Protocol v2 contracts behind the adapter.
    pub perp: PerpContracts,
    /// Markets the adapter lists, in listing order.
    pub markets: Vec<ListedMarket>,
}

/// The venue contracts a reader of master trades needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PerpContracts {
    /// Emits `PositionChanged`.
    pub clearing_house: Address,
    /// Holds sizes.
    pub account_balance: Address,
    /// Holds collateral.
    pub vault: Address,
    /// Quotes funding.
    pub exchange: Address,
}

/// One market of the venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedMarket {
    /// Index in the registry's listing.
    pub listing_id: u16,
    /// E.g. `ETH-USD`.
    pub symbol: String,
    /// The adapter's id; for Perp v2 the base token's address, left-padded.
    pub venue_market: B256,
}
