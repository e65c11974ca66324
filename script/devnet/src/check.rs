//! Whether everyone who should have been moved was, and the indexer agrees with the chain.

use std::collections::BTreeMap;
use std::fmt;

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent as _;
use anyhow::{Context as _, bail, ensure};
use lockstep_contracts::bindings::{IMasterRegistry, IMirrorEngine, IStrategyVault};
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::fills::{Outcome, decode_fills};
use lockstep_contracts::units::{Usdc, Wad};

use crate::chain::Chain;
use crate::relay::Api;
use crate::venue::{ClearingHouse, Venue};

/// One strategy as the registry has it.
#[derive(Debug, Clone)]
pub struct StrategyOnChain {
    /// Registry's id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// The followed account on the exchange; zero for a keeper-attested one.
    pub source: Address,
    /// Shards.
    pub vaults: Vec<Address>,
    /// Symbols by local market index.
    pub markets: Vec<String>,
}

/// Reads all strategies.
///
/// # Errors
/// When the chain does not answer.
pub async fn strategies(chain: &Chain, deployment: &Deployment) -> anyhow::Result<Vec<StrategyOnChain>> {
    let registry = IMasterRegistry::new(deployment.registry, chain.provider());
    let count: u64 = registry.strategyCount().call().await?.to();
    let mut found = Vec::new();
    for id in 1..=count {
        let strategy = registry.strategy(U256::from(id)).call().await?;
        let mut markets = Vec::new();
        for listing in &strategy.markets {
            let listed = deployment
                .markets
                .iter()
                .find(|market| market.listing_id == *listing);
            markets.push(
                listed
                    .context("a market that is not in the deployment")?
                    .symbol
                    .clone(),
            );
        }
        found.push(StrategyOnChain {
            id,
            name: strategy.name,
            source: strategy.source,
            vaults: strategy.vaults,
            markets,
        });
    }
    Ok(found)
}

/// What became of a master's last trade, follower by follower.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Followers by what happened to them.
    pub outcomes: BTreeMap<String, u32>,
    /// What happened to each account.
    pub accounts: BTreeMap<u32, Outcome>,
    /// Accounts that should have been moved and were not.
    pub left_behind: Vec<u32>,
    /// Batches since the trade.
    pub batches: u32,
    /// Block of the master's trade.
    pub traded_in: u64,
    /// Block of the last batch that moved someone.
    pub reached_in: u64,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes: Vec<String> = self
            .outcomes
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        write!(
            f,
            "traded in block {}, followed by block {} in {} batches: {}",
            self.traded_in,
            self.reached_in,
            self.batches,
            outcomes.join(", ")
        )?;
        if !self.left_behind.is_empty() {
            write!(
                f,
                "; {} left behind: {:?}",
                self.left_behind.len(),
                self.left_behind
            )?;
        }
        Ok(())
    }
}

/// Block of the last trade that `trader` made in `symbol`.
///
/// # Errors
/// When the chain does not answer.
pub async fn last_trade(
    chain: &Chain,
    venue: &Venue,
    trader: Address,
    symbol: &str,
) -> anyhow::Result<Option<u64>> {
    let filter = Filter::new()
        .address(venue.clearing_house)
        .event_signature(ClearingHouse::PositionChanged::SIGNATURE_HASH)
        .topic1(trader.into_word())
        .topic2(venue.market(symbol)?.base_token.into_word())
        .from_block(0);
    let logs = chain.provider().get_logs(&filter).await?;
    Ok(logs.iter().filter_map(|log| log.block_number).max())
}

/// Looks at every account of a vault after its master's last trade in one market.
///
/// An account counts as reached when a batch since the trade names it, with whatever outcome the contract gave it; or
/// when the contract itself says that there is nothing to move.
///
/// # Errors
/// When the chain does not answer.
pub async fn reach(
    chain: &Chain,
    deployment: &Deployment,
    vault: Address,
    strategy: u64,
    market: u8,
    traded_in: u64,
) -> anyhow::Result<Reach> {
    let contract = IStrategyVault::new(vault, chain.provider());
    let filter = Filter::new()
        .address(vault)
        .event_signature(IStrategyVault::BatchMirrored::SIGNATURE_HASH)
        .topic2(B256::from(U256::from(market)))
        .from_block(traded_in);
    let mut reach = Reach {
        traded_in,
        ..Reach::default()
    };
    let mut last: BTreeMap<u32, Outcome> = BTreeMap::new();
    for log in chain.provider().get_logs(&filter).await? {
        let batch = IStrategyVault::BatchMirrored::decode_log(&log.inner)?;
        reach.batches += 1;
        for fill in decode_fills(&batch.fills)? {
            if fill.outcome.traded() {
                reach.reached_in = reach.reached_in.max(log.block_number.unwrap_or_default());
                last.insert(fill.account, fill.outcome);
            } else {
                // A later pass that finds it at its target does not take the move away.
                last.entry(fill.account).or_insert(fill.outcome);
            }
        }
    }
    let engine = IMirrorEngine::new(deployment.engine, chain.provider());
    let signal = engine.signalOf(U256::from(strategy), market).call().await?;
    let accounts = contract.accountCount().call().await?;
    for account in 1..=accounts {
        let outcome = match last.get(&account) {
            Some(outcome) => *outcome,
            None => {
                let preview = contract
                    .previewTarget(account, market, signal.leverage)
                    .call()
                    .await?;
                let outcome = Outcome::try_from(preview.outcome)?;
                if outcome.traded() {
                    reach.left_behind.push(account);
                    continue;
                }
                outcome
            }
        };
        let name = serde_json::to_value(outcome)?
            .as_str()
            .unwrap_or_default()
            .to_owned();
        *reach.outcomes.entry(name).or_default() += 1;
        reach.accounts.insert(account, outcome);
    }
    Ok(reach)
}

/// Compares every NAV point of a vault on the chain with the API's. Gives how many there are.
///
/// # Errors
/// Names the first point that differs.
pub async fn nav_agrees(chain: &Chain, api: &Api, strategy: u64, vault: Address) -> anyhow::Result<u64> {
    let contract = IStrategyVault::new(vault, chain.provider());
    let count: u64 = contract.navCount().call().await?.to();
    let points = api.nav(strategy, vault).await?;
    ensure!(
        u64::try_from(points.len())? == count,
        "vault {vault}: {count} NAV points on the chain, {} in the API",
        points.len()
    );
    for (index, point) in (0..count).zip(points) {
        let truth = contract.navAt(U256::from(index)).call().await?;
        let nav_index = Wad::try_from_u256(truth.navIndex)?;
        let total_equity = Usdc::try_from_u256(truth.totalEquity)?;
        let seconds = unix_seconds(&point.time)?;
        if (point.index, seconds, point.nav_index, point.total_equity)
            != (index, truth.time, nav_index, total_equity)
        {
            bail!(
                "vault {vault}, NAV point {index}: the chain has ({}, {nav_index}, {total_equity}), the API {point:?}",
                truth.time
            );
        }
    }
    Ok(count)
}

/// Unix seconds of an RFC 3339 time in UTC with three decimals.
///
/// # Errors
/// When the text is something else.
pub fn unix_seconds(text: &str) -> anyhow::Result<u64> {
    let part = |from: usize, to: usize| -> anyhow::Result<u64> {
        Ok(text.get(from..to).context("too short")?.parse()?)
    };
    let read = || -> anyhow::Result<u64> {
        let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
        ensure!(text.ends_with('Z') && (1..=12).contains(&month), "not UTC");
        // Days since 1970, by the civil calendar with years that begin in March.
        let shifted = year - u64::from(month <= 2);
        let era_day = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + era_day - 719_468;
        Ok(days * 86_400 + part(11, 13)? * 3_600 + part(14, 16)? * 60 + part(17, 19)?)
    };
    read().with_context(|| format!("{text:?} is not a time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_seconds() {
        assert_eq!(unix_seconds("1970-01-01T00:00:00.000Z").unwrap(), 0);
        assert_eq!(unix_seconds("2026-01-31T12:00:00.000Z").unwrap(), 1_769_860_800);
        assert_eq!(unix_seconds("2024-02-29T23:59:59.000Z").unwrap(), 1_709_251_199);
        assert!(unix_seconds("yesterday").is_err());
    }
}
