//! What the end-to-end tests share: questions to the chain, and the mandate's arithmetic done a second time.

use std::collections::BTreeMap;

use alloy::primitives::{Address, I256};
use anyhow::Context as _;
use lockstep_contracts::bindings::IStrategyVault;
use lockstep_contracts::fills::Outcome;
use lockstep_contracts::relay::Mandate;
use lockstep_devnet::check::{Reach, nav_agrees, reach};
use lockstep_devnet::process::eventually;
use lockstep_devnet::stack::{Master, PATIENCE, Stack};

/// Larger numbers, when asked for.
#[must_use]
pub fn rounds(usual: u32, long: u32) -> u32 {
    if std::env::var_os("LOCKSTEP_LONG").is_some() {
        long
    } else {
        usual
    }
}

/// Index of a market in a master's list.
///
/// # Errors
/// When the master does not trade it.
pub fn market_index(master: &Master, symbol: &str) -> anyhow::Result<u8> {
    let index = master.strategy.markets.iter().position(|market| market == symbol);
    Ok(u8::try_from(
        index.with_context(|| format!("no market {symbol}"))?,
    )?)
}

/// Waits until a master's trade has reached everyone it should.
///
/// # Errors
/// When it has not in time; the error says who was left behind.
pub async fn followed(stack: &Stack, master: &Master, symbol: &str, block: u64) -> anyhow::Result<Reach> {
    let market = market_index(master, symbol)?;
    let mut last = None;
    let outcome = eventually(
        &format!("the trade in block {block} to be followed"),
        PATIENCE,
        async || {
            let reach = reach(
                &stack.chain,
                &stack.deployment,
                master.vault,
                master.strategy.id,
                market,
                block,
            )
            .await?;
            let complete = reach.batches > 0 && reach.left_behind.is_empty();
            last = Some(reach.clone());
            Ok(complete.then_some(reach))
        },
    )
    .await;
    outcome.with_context(|| last.map(|reach| reach.to_string()).unwrap_or_default())
}

/// Trades, and waits until everyone followed.
///
/// # Errors
/// As [`followed`] and [`Master::trade`].
pub async fn trade_and_follow(
    stack: &Stack,
    master: &Master,
    symbol: &str,
    leverage_bps: i64,
) -> anyhow::Result<Reach> {
    let block = master.trade(stack, symbol, leverage_bps).await?;
    followed(stack, master, symbol, block).await
}

/// An account's position in a market.
///
/// # Errors
/// When the chain does not answer.
pub async fn size(stack: &Stack, vault: Address, account: u32, market: u8) -> anyhow::Result<i128> {
    let contract = IStrategyVault::new(vault, stack.chain.provider());
    let position = contract.positionView(account, market).call().await?;
    Ok(i128::try_from(position.size)?)
}

/// An account's position in a market for each USDC of its equity, 1e-18 base units: what mirroring keeps in step. The
/// position itself also depends on how many trades, and so fees, the account has seen.
///
/// # Errors
/// When the chain does not answer, or the account has no equity.
pub async fn size_per_usdc(stack: &Stack, vault: Address, account: u32, market: u8) -> anyhow::Result<i128> {
    let contract = IStrategyVault::new(vault, stack.chain.provider());
    let equity = i128::try_from(contract.equityOf(account).call().await?)?;
    anyhow::ensure!(equity > 0, "account {account} has no equity");
    Ok(size(stack, vault, account, market).await? * 1_000_000 / equity)
}

/// Compares what the API says about every NAV point with the chain, once the indexer has caught up.
///
/// # Errors
/// Names the first point that differs.
pub async fn nav_equals_chain(stack: &Stack, master: &Master) -> anyhow::Result<u64> {
    stack.indexed().await?;
    eventually("the NAV record to agree", PATIENCE, async || {
        nav_agrees(&stack.chain, &stack.api_client, master.strategy.id, master.vault)
            .await
            .map(Some)
    })
    .await
}

/// What became of each account, by name.
#[must_use]
pub fn outcome_of(reach: &Reach, account: u32) -> Option<Outcome> {
    reach.accounts.get(&account).copied()
}

/// Counts of outcomes, for messages.
#[must_use]
pub fn counts(reach: &Reach) -> &BTreeMap<String, u32> {
    &reach.outcomes
}

/// The position a mandate asks for: written from the documents, not from the contract.
///
/// `leverage` is the signal's (1e18), `equity` the account's (USDC 1e-6), `price` the index price (1e18). Only what
/// bounds one market is in it: leverage over several markets and the day's turnover are left to the tests that use it.
///
/// # Errors
/// When a number does not fit.
pub fn expected_size(
    mandate: &Mandate,
    terms_max_leverage_bps: u32,
    leverage: I256,
    equity: i128,
    price: I256,
) -> anyhow::Result<I256> {
    let wad = I256::try_from(1_000_000_000_000_000_000_u64)?;
    let bps = I256::try_from(10_000)?;
    let equity = I256::try_from(equity)?;
    let sign = if leverage.is_negative() {
        I256::MINUS_ONE
    } else {
        I256::ONE
    };
    let wished = match mandate.mode {
        0 => leverage.abs() * I256::try_from(mandate.ratio_bps)? / bps * equity / wad,
        _ if leverage.is_zero() => I256::ZERO,
        _ => I256::try_from(mandate.fixed_notional)?,
    };
    let cap = mandate.max_leverage_bps.min(terms_max_leverage_bps);
    let notional = wished
        .min(equity * I256::try_from(cap)? / bps)
        .min(I256::try_from(mandate.max_position_notional)?);
    // USDC 1e-6 / (1e-18 USDC per base unit) in 1e-18 base units.
    Ok(sign * notional * I256::try_from(1_000_000_000_000_u64)? * wad / price)
}

/// Whether two sizes differ by at most `bps` of the second.
///
/// # Errors
/// When a number does not fit.
pub fn close(actual: i128, expected: I256, bps: u32) -> anyhow::Result<bool> {
    let actual = I256::try_from(actual)?;
    let room = expected.abs() * I256::try_from(bps)? / I256::try_from(10_000)? + I256::ONE;
    Ok((actual - expected).abs() <= room)
}

#[cfg(test)]
mod tests {
    use lockstep_devnet::followers::{USDC, wide_mandate};

    use super::*;

    fn wad(whole: i64) -> I256 {
        I256::try_from(whole).unwrap() * I256::try_from(1_000_000_000_000_000_000_u64).unwrap()
    }

    #[test]
    fn a_mandate_is_sized_as_the_documents_say() {
        let mandate = wide_mandate(Address::ZERO, Address::ZERO, &["ETH-USD"], 0, 0);
        let equity = i128::from(1_000 * USDC);
        // 2x of 1,000 USDC at 2,000: one ETH; short when the master is.
        assert_eq!(
            expected_size(&mandate, 50_000, wad(2), equity, wad(2_000)).unwrap(),
            wad(1)
        );
        assert_eq!(
            expected_size(&mandate, 50_000, wad(-2), equity, wad(2_000)).unwrap(),
            wad(-1)
        );
        assert_eq!(
            expected_size(&mandate, 10_000, wad(4), equity, wad(1_000)).unwrap(),
            wad(1)
        );
        let fixed = Mandate {
            mode: 1,
            fixed_notional: 500 * USDC,
            ..mandate.clone()
        };
        assert_eq!(
            expected_size(&fixed, 50_000, wad(-4), equity, wad(500)).unwrap(),
            wad(-1)
        );
        let bounded = Mandate {
            max_position_notional: 100 * USDC,
            ..mandate
        };
        assert_eq!(
            expected_size(&bounded, 50_000, wad(4), equity, wad(100)).unwrap(),
            wad(1)
        );
    }
}
