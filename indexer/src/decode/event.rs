//! Events of the contracts with their units.

use alloy::primitives::{Address, B256};
use lockstep_contracts::fills::Fill;
use lockstep_contracts::units::{Size, Usdc, Wad};

use crate::model::{AccountStatus, Bounds, Proof, StrategyId, Terms};

/// Why a fill happened outside a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cause {
    Exit,
    StopLoss,
    TakeProfit,
    Liquidation,
}

/// `BatchMirrored`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct BatchEvent {
    pub batch_id: u64,
    pub market: u8,
    pub sequence: u64,
    pub leverage: Wad,
    pub observed_at_ms: u64,
    pub index_price: Wad,
    pub fill_price: Wad,
    pub net_size: Size,
    pub crossed_size: Size,
    pub venue_fee: Usdc,
    pub copy_fee: Usdc,
    /// 1e9 per base unit.
    pub funding_index: i64,
    pub fills: Vec<Fill>,
}

/// `AccountFilled`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct FilledEvent {
    pub account: u32,
    pub market: u8,
    pub cause: Cause,
    pub size_delta: Size,
    pub quote_delta: Usdc,
    pub fee: Usdc,
    pub fill_price: Wad,
    pub index_price: Wad,
    /// 1e9 per base unit.
    pub funding_index: i64,
}

/// `VenueDiverged`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Change {
    pub market: u8,
    /// The same number again replaces what was said before.
    pub generation: u8,
    pub long_side: bool,
    pub scale: Wad,
    pub cash_per_size: Wad,
    /// 1e9 per base unit.
    pub funding_index: i64,
}

/// An event of Lockstep's contracts. Field meanings are those of `contracts/interfaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    MarketListed {
        venue: Address,
        listing_id: u16,
        venue_market: B256,
        symbol: String,
    },
    StrategyRegistered {
        strategy: StrategyId,
        master: Address,
        venue: Address,
        source: Option<Address>,
        name: String,
        markets: Vec<u16>,
        terms: Terms,
    },
    VaultCreated {
        strategy: StrategyId,
        vault: Address,
        shard: u64,
    },
    TermsScheduled {
        strategy: StrategyId,
        terms: Terms,
        effective_at: u64,
    },
    TermsApplied {
        strategy: StrategyId,
        terms: Terms,
    },
    SourceChanged {
        strategy: StrategyId,
        source: Option<Address>,
    },
    KeeperSet {
        keeper: Address,
        allowed: bool,
    },
    SignalAccepted {
        strategy: StrategyId,
        market: u8,
        sequence: u64,
        leverage: Wad,
        observed_at_ms: u64,
        proof: Proof,
    },
    BreakerTripped {
        until: u64,
    },
    InsurancePaid {
        amount: Usdc,
    },
    InsuranceDonated {
        amount: Usdc,
    },
    AccountOpened {
        account: u32,
        follower: Address,
    },
    MandateAccepted {
        account: u32,
        bounds: Box<Bounds>,
    },
    StatusChanged {
        account: u32,
        status: AccountStatus,
    },
    Deposited {
        account: u32,
        amount: Usdc,
    },
    Withdrawn {
        account: u32,
        amount: Usdc,
        debited: Usdc,
    },
    PerformanceFee {
        account: u32,
        profit: Usdc,
        fee: Usdc,
        high_water_mark: Usdc,
    },
    Batch(Box<BatchEvent>),
    Filled(Box<FilledEvent>),
    QuoteSwept {
        account: u32,
        market: u8,
        amount: Usdc,
    },
    Nav {
        index: u64,
        time: u64,
        nav_index: Wad,
        total_equity: Usdc,
    },
    VenueDiverged(Change),
    AccountLiquidated {
        account: u32,
        liquidator: Address,
        reward: Usdc,
        to_insurance: Usdc,
    },
    BadDebt {
        account: u32,
        amount: Usdc,
        insured: Usdc,
        socialised: Usdc,
        margin_index: Wad,
    },
    /// Read, and known to change nothing that is kept.
    Ignored(&'static str),
}

impl Event {
    /// Rank inside one block: what makes others possible comes first, whatever the order of the logs.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        match self {
            Self::MarketListed { .. } => 0,
            Self::StrategyRegistered { .. } => 1,
            Self::VaultCreated { .. } => 2,
            Self::AccountOpened { .. } => 3,
            _ => 4,
        }
    }
}
