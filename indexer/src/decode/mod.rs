//! From logs to typed events. Pure: no network, no store.
//!
//! A log of one of Lockstep's own contracts that cannot be read is an error with its place, never dropped. Whether a
//! log *is* of one of these contracts is decided later, in chain order, because a vault becomes known by an event.

use alloy::primitives::{Address, B256, Bytes, I256, U256};
use alloy::sol_types::SolEventInterface;
use lockstep_contracts::bindings::{
    IInsuranceFund, ILiquidator, IMasterRegistry, IMirrorEngine, IStrategyVault,
};
use lockstep_contracts::fills::{self, FillError};
use lockstep_contracts::units::{Size, UnitError, Usdc, Wad};

use crate::model::{AccountStatus, Bounds, Mode, Proof, StrategyId, Terms};

mod event;

pub use event::{BatchEvent, Cause, Change, Event, FilledEvent};

/// A log as the node gave it; every field must be there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawLog {
    /// Who emitted it.
    pub address: Address,
    /// Indexed fields, the first is the event's signature.
    pub topics: Vec<B256>,
    /// The other fields.
    pub data: Bytes,
    /// Block.
    #[serde(with = "alloy::serde::quantity")]
    pub block_number: u64,
    /// Hash of that block.
    pub block_hash: B256,
    /// Transaction.
    pub transaction_hash: B256,
    /// Index in the block.
    #[serde(with = "alloy::serde::quantity")]
    pub log_index: u64,
    /// True when the node takes it back.
    #[serde(default)]
    pub removed: bool,
}

/// Which contract speaks an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// `IMasterRegistry`.
    Registry,
    /// `IMirrorEngine`.
    Engine,
    /// `ILiquidator`.
    Liquidator,
    /// `IInsuranceFund`.
    Insurance,
    /// `IStrategyVault`.
    Vault,
}

/// Why a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// The bytes are not the ABI of the event.
    #[error("not ABI-encoded as the interface says: {0}")]
    Abi(String),
    /// A number beyond what it can mean.
    #[error("field `{field}`: {source}")]
    Number {
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: UnitError,
    },
    /// An enum value that this version does not know.
    #[error("field `{field}` has unknown code {code}; this reader is older than the contracts")]
    UnknownCode {
        /// The field.
        field: &'static str,
        /// The code.
        code: u8,
    },
    /// Packed fills that cannot be read.
    #[error("fills: {0}")]
    Fills(#[from] FillError),
}

/// An unreadable log and where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log {log_index} of block {block} ({address}, topic {topic}): {fault}")]
pub struct DecodeError {
    /// Block.
    pub block: u64,
    /// Index in the block.
    pub log_index: u64,
    /// Emitter.
    pub address: Address,
    /// Event signature.
    pub topic: B256,
    /// What is wrong.
    pub fault: DecodeFault,
}

/// Signatures of every event of the interfaces: the filter of `eth_getLogs`.
#[must_use]
pub fn signatures() -> Vec<B256> {
    IMasterRegistry::IMasterRegistryEvents::SELECTORS
        .iter()
        .chain(IMirrorEngine::IMirrorEngineEvents::SELECTORS)
        .chain(ILiquidator::ILiquidatorEvents::SELECTORS)
        .chain(IInsuranceFund::IInsuranceFundEvents::SELECTORS)
        .chain(IStrategyVault::IStrategyVaultEvents::SELECTORS)
        .map(|selector| B256::from(*selector))
        .collect()
}

/// Which contract speaks events with this signature; `None` = none of Lockstep's.
#[must_use]
pub fn speaker(topic: &B256) -> Option<Speaker> {
    let has = |selectors: &[[u8; 32]]| selectors.contains(&topic.0);
    if has(IStrategyVault::IStrategyVaultEvents::SELECTORS) {
        Some(Speaker::Vault)
    } else if has(IMirrorEngine::IMirrorEngineEvents::SELECTORS) {
        Some(Speaker::Engine)
    } else if has(IMasterRegistry::IMasterRegistryEvents::SELECTORS) {
        Some(Speaker::Registry)
    } else if has(ILiquidator::ILiquidatorEvents::SELECTORS) {
        Some(Speaker::Liquidator)
    } else if has(IInsuranceFund::IInsuranceFundEvents::SELECTORS) {
        Some(Speaker::Insurance)
    } else {
        None
    }
}

/// Reads one log.
///
/// # Errors
/// [`DecodeError`] with the log's place.
pub fn decode(speaker: Speaker, log: &RawLog) -> Result<Event, DecodeError> {
    let read = || match speaker {
        Speaker::Registry => registry(log),
        Speaker::Engine => engine(log),
        Speaker::Liquidator => liquidator(log),
        Speaker::Insurance => insurance(log),
        Speaker::Vault => vault(log),
    };
    read().map_err(|fault| DecodeError {
        block: log.block_number,
        log_index: log.log_index,
        address: log.address,
        topic: log.topics.first().copied().unwrap_or_default(),
        fault,
    })
}

type Fault<T> = Result<T, DecodeFault>;

fn events<E: SolEventInterface>(log: &RawLog) -> Fault<E> {
    E::decode_raw_log(&log.topics, &log.data).map_err(|error| DecodeFault::Abi(error.to_string()))
}

fn usdc(field: &'static str, value: U256) -> Fault<Usdc> {
    Usdc::try_from_u256(value).map_err(|source| DecodeFault::Number { field, source })
}

fn signed_usdc(field: &'static str, value: I256) -> Fault<Usdc> {
    Usdc::try_from_i256(value).map_err(|source| DecodeFault::Number { field, source })
}

fn size(field: &'static str, value: I256) -> Fault<Size> {
    Size::try_from_i256(value).map_err(|source| DecodeFault::Number { field, source })
}

fn wad(field: &'static str, value: U256) -> Fault<Wad> {
    Wad::try_from_u256(value).map_err(|source| DecodeFault::Number { field, source })
}

fn signed_wad(field: &'static str, value: I256) -> Fault<Wad> {
    Wad::try_from_i256(value).map_err(|source| DecodeFault::Number { field, source })
}

/// The vault keeps it in 56 bits.
fn funding_index(value: I256) -> Fault<i64> {
    i64::try_from(value).map_err(|_| DecodeFault::Number {
        field: "fundingIndex",
        source: UnitError::OutOfRange {
            text: value.to_string(),
        },
    })
}

fn number(field: &'static str, value: U256) -> Fault<u64> {
    u64::try_from(value)
        .ok()
        .filter(|number| i64::try_from(*number).is_ok())
        .ok_or_else(|| DecodeFault::Number {
            field,
            source: UnitError::OutOfRange {
                text: value.to_string(),
            },
        })
}

/// The store keeps whole numbers as signed 64-bit.
fn bounded(field: &'static str, value: u64) -> Fault<u64> {
    number(field, U256::from(value))
}

fn registry(log: &RawLog) -> Fault<Event> {
    use IMasterRegistry::IMasterRegistryEvents as E;
    let id = |value: U256| -> Fault<StrategyId> { number("strategyId", value) };
    Ok(match events::<E>(log)? {
        E::VenueListed(_) => Event::Ignored("VenueListed"),
        // Vaults are immutable: a new implementation concerns only those created after it.
        E::VaultImplementationSet(_) => Event::Ignored("VaultImplementationSet"),
        E::MarketListed(e) => Event::MarketListed {
            venue: e.venue,
            listing_id: e.listingId,
            venue_market: e.venueMarket,
            symbol: e.symbol,
        },
        E::StrategyRegistered(e) => Event::StrategyRegistered {
            strategy: id(e.strategyId)?,
            master: e.master,
            venue: e.venue,
            source: some_address(e.source),
            name: e.name,
            markets: e.markets,
            terms: terms(&e.terms),
        },
        E::VaultCreated(e) => Event::VaultCreated {
            strategy: id(e.strategyId)?,
            vault: e.vault,
            shard: number("shard", e.shard)?,
        },
        E::TermsScheduled(e) => Event::TermsScheduled {
            strategy: id(e.strategyId)?,
            terms: terms(&e.terms),
            effective_at: bounded("effectiveAt", e.effectiveAt)?,
        },
        E::TermsApplied(e) => Event::TermsApplied {
            strategy: id(e.strategyId)?,
            terms: terms(&e.terms),
        },
        E::SourceChanged(e) => Event::SourceChanged {
            strategy: id(e.strategyId)?,
            source: some_address(e.source),
        },
        E::KeeperSet(e) => Event::KeeperSet {
            keeper: e.keeper,
            allowed: e.allowed,
        },
    })
}

fn some_address(address: Address) -> Option<Address> {
    (!address.is_zero()).then_some(address)
}

fn terms(terms: &IMasterRegistry::Terms) -> Terms {
    Terms {
        copy_fee_bps: terms.copyFeeBps,
        performance_fee_bps: terms.performanceFeeBps,
        max_leverage_bps: terms.maxLeverageBps,
        max_slippage_bps: terms.maxSlippageBps,
        dead_band_bps: terms.deadBandBps,
        min_trade_notional: Usdc(i128::from(terms.minTradeNotional)),
        max_open_notional: Usdc(i128::from(terms.maxOpenNotional)),
        disclosure_delay: terms.disclosureDelay,
    }
}

fn engine(log: &RawLog) -> Fault<Event> {
    use IMirrorEngine::IMirrorEngineEvents as E;
    Ok(match events::<E>(log)? {
        // The vault's own AccountOpened and MandateAccepted say the same and more.
        E::Followed(_) => Event::Ignored("Followed"),
        E::NonceUsed(_) => Event::Ignored("NonceUsed"),
        E::NonceWordCancelled(_) => Event::Ignored("NonceWordCancelled"),
        E::RelayFailed(_) => Event::Ignored("RelayFailed"),
        E::SignalAccepted(e) => Event::SignalAccepted {
            strategy: number("strategyId", e.strategyId)?,
            market: e.market,
            sequence: bounded("sequence", e.sequence)?,
            leverage: signed_wad("leverage", e.leverage)?,
            observed_at_ms: bounded("observedAt", e.observedAt)?,
            proof: match e.proof {
                0 => Proof::Venue,
                1 => Proof::Master,
                2 => Proof::Keeper,
                code => return Err(DecodeFault::UnknownCode { field: "proof", code }),
            },
        },
    })
}

fn liquidator(log: &RawLog) -> Fault<Event> {
    use ILiquidator::ILiquidatorEvents as E;
    Ok(match events::<E>(log)? {
        // The vault's own AccountLiquidated, AccountFilled and StatusChanged say the same and more.
        E::Liquidated(_) => Event::Ignored("Liquidated"),
        E::StoppedOut(_) => Event::Ignored("StoppedOut"),
        E::BreakerTripped(e) => Event::BreakerTripped {
            until: bounded("until", e.until)?,
        },
    })
}

fn insurance(log: &RawLog) -> Fault<Event> {
    use IInsuranceFund::IInsuranceFundEvents as E;
    Ok(match events::<E>(log)? {
        E::Covered(e) => Event::InsurancePaid {
            amount: usdc("paid", e.paid)?,
        },
        E::Donated(e) => Event::InsuranceDonated {
            amount: usdc("amount", e.amount)?,
        },
    })
}

fn vault(log: &RawLog) -> Fault<Event> {
    use IStrategyVault::IStrategyVaultEvents as E;
    Ok(match events::<E>(log)? {
        E::AccountOpened(e) => Event::AccountOpened {
            account: e.account,
            follower: e.follower,
        },
        E::MandateAccepted(e) => Event::MandateAccepted {
            account: e.account,
            bounds: Box::new(bounds(e.mandateHash, e.mandate)?),
        },
        E::StatusChanged(e) => Event::StatusChanged {
            account: e.account,
            status: match e.status {
                1 => AccountStatus::Active,
                2 => AccountStatus::Stopped,
                3 => AccountStatus::StoppedOut,
                4 => AccountStatus::Liquidated,
                code => {
                    return Err(DecodeFault::UnknownCode {
                        field: "status",
                        code,
                    });
                }
            },
        },
        E::Deposited(e) => Event::Deposited {
            account: e.account,
            amount: usdc("amount", e.amount)?,
        },
        E::Withdrawn(e) => Event::Withdrawn {
            account: e.account,
            amount: usdc("amount", e.amount)?,
            debited: usdc("debited", e.debited)?,
        },
        E::PerformanceFeeCharged(e) => Event::PerformanceFee {
            account: e.account,
            profit: usdc("profit", e.profit)?,
            fee: usdc("fee", e.fee)?,
            high_water_mark: usdc("highWaterMark", e.highWaterMark)?,
        },
        E::BatchMirrored(e) => Event::Batch(Box::new(BatchEvent {
            batch_id: bounded("batchId", e.batchId)?,
            market: e.market,
            sequence: bounded("sequence", e.sequence)?,
            leverage: signed_wad("leverage", e.leverage)?,
            observed_at_ms: bounded("observedAt", e.observedAt)?,
            index_price: wad("indexPrice", e.indexPrice)?,
            fill_price: wad("fillPrice", e.fillPrice)?,
            net_size: size("netSize", e.netSize)?,
            crossed_size: Size::try_from_u256(e.crossedSize).map_err(|source| DecodeFault::Number {
                field: "crossedSize",
                source,
            })?,
            venue_fee: usdc("venueFee", e.venueFee)?,
            copy_fee: usdc("copyFee", e.copyFee)?,
            funding_index: funding_index(e.fundingIndex)?,
            fills: fills::decode_fills(&e.fills)?,
        })),
        E::AccountFilled(e) => Event::Filled(Box::new(FilledEvent {
            account: e.account,
            market: e.market,
            cause: match e.cause {
                0 => Cause::Exit,
                1 => Cause::StopLoss,
                2 => Cause::TakeProfit,
                3 => Cause::Liquidation,
                code => return Err(DecodeFault::UnknownCode { field: "cause", code }),
            },
            size_delta: size("sizeDelta", e.sizeDelta)?,
            quote_delta: signed_usdc("quoteDelta", e.quoteDelta)?,
            fee: usdc("fee", e.fee)?,
            fill_price: wad("fillPrice", e.fillPrice)?,
            index_price: wad("indexPrice", e.indexPrice)?,
            funding_index: funding_index(e.fundingIndex)?,
        })),
        E::QuoteSwept(e) => Event::QuoteSwept {
            account: e.account,
            market: e.market,
            amount: signed_usdc("amount", e.amount)?,
        },
        E::NavRecorded(e) => Event::Nav {
            index: number("index", e.index)?,
            time: bounded("time", e.time)?,
            nav_index: wad("navIndex", e.navIndex)?,
            total_equity: usdc("totalEquity", e.totalEquity)?,
        },
        E::VenueDiverged(e) => Event::VenueDiverged(Change {
            market: e.market,
            generation: e.generation,
            long_side: e.longSide,
            scale: wad("scale", e.scale)?,
            cash_per_size: signed_wad("cashPerSize", e.cashPerSize)?,
            funding_index: funding_index(e.fundingIndex)?,
        }),
        E::AccountLiquidated(e) => Event::AccountLiquidated {
            account: e.account,
            liquidator: e.liquidator,
            reward: usdc("reward", e.reward)?,
            to_insurance: usdc("toInsurance", e.toInsurance)?,
        },
        E::BadDebt(e) => Event::BadDebt {
            account: e.account,
            amount: usdc("amount", e.amount)?,
            insured: usdc("insured", e.insured)?,
            socialised: usdc("socialised", e.socialised)?,
            margin_index: wad("marginIndex", e.marginIndex)?,
        },
        // Fees become claimable with the batch that earned them; paying them out moves no follower's money.
        E::FeesClaimed(_) => Event::Ignored("FeesClaimed"),
    })
}

fn bounds(mandate_hash: B256, mandate: IStrategyVault::Mandate) -> Fault<Bounds> {
    Ok(Bounds {
        mode: match mandate.mode {
            0 => Mode::ProRata,
            1 => Mode::Fixed,
            2 => Mode::DeltaNeutral,
            code => return Err(DecodeFault::UnknownCode { field: "mode", code }),
        },
        ratio_bps: mandate.ratioBps,
        fixed_notional: Usdc(i128::from(mandate.fixedNotional)),
        hedge_bps: mandate.hedgeBps,
        max_leverage_bps: mandate.maxLeverageBps,
        max_slippage_bps: mandate.maxSlippageBps,
        max_position_notional: Usdc(i128::from(mandate.maxPositionNotional)),
        max_daily_turnover: Usdc(i128::from(mandate.maxDailyTurnover)),
        stop_loss_bps: mandate.stopLossBps,
        take_profit_bps: mandate.takeProfitBps,
        allowed_markets: mandate.allowedMarkets,
        expiry: mandate.expiry,
        mandate_hash,
        accepted_at: 0,
    })
}
