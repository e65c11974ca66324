//! Gas and latency figures.
//!
//! Gas is what receipts say, on a node with the rules of the chain: 2^24 gas a transaction. The exchange's part of a
//! batch is what its trace says: the gas of the outermost calls into anything that is not Lockstep's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::providers::Provider as _;
use anyhow::{Context as _, bail, ensure};
use lockstep_contracts::bindings::{IMirrorEngine, IStrategyVault};
use lockstep_contracts::fills::encode_accounts;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::chain::{Account, Mining, TRANSACTION_GAS_LIMIT, wall_clock};
use crate::check::reach;
use crate::followers::{Follower, USDC, follow_call, key, wide_mandate};
use crate::layout::Layout;
use crate::masters::{MASTERS, MasterPlan};
use crate::process::eventually;
use crate::setup::mint_all;
use crate::stack::{Master, PATIENCE, Stack, StackOptions};

/// One measured figure.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Its name.
    pub figure: String,
    /// Its value.
    pub value: Value,
    /// Its unit.
    pub unit: String,
    /// What it was measured with.
    pub parameters: BTreeMap<String, Value>,
}

impl Figure {
    fn new(figure: &str, value: impl Into<Value>, unit: &str, parameters: &[(&str, Value)]) -> Self {
        Self {
            figure: figure.to_owned(),
            value: value.into(),
            unit: unit.to_owned(),
            parameters: parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        }
    }
}

/// Names of the benchmarks.
pub const NAMES: [&str; 8] = [
    "gas",
    "keeper_latency",
    "indexer_rate",
    "end_to_end_latency",
    "decode_latency",
    "fill_to_order_latency",
    "scan_rate",
    "memory",
];

/// Followers per strategy.
const SIZES: [u64; 5] = [1, 10, 50, 200, 1_000];

/// Runs the benchmarks whose name or figure contains `filter`.
///
/// # Errors
/// When one cannot be run.
pub async fn run(
    layout: &Layout,
    filter: Option<&str>,
    mut report: impl FnMut(Figure),
) -> anyhow::Result<()> {
    let wanted = |names: &[&str]| filter.is_none_or(|filter| names.iter().any(|name| name.contains(filter)));
    if wanted(&[
        "gas",
        "batch_gas_per_follower",
        "batch_transactions",
        "batch_largest_transaction_gas",
        "direct_gas_per_follower",
        "follow_gas_per_follower",
    ]) {
        gas(&mut report).await?;
    }
    for (name, program) in [
        ("keeper_latency", "lockstep-keeper"),
        ("indexer_rate", "lockstep-indexer"),
    ] {
        if wanted(&[name]) {
            of_program(layout, program, &["bench", "--json"], &mut report).await?;
        }
    }
    for name in ["decode_latency", "fill_to_order_latency", "scan_rate", "memory"] {
        if wanted(&[name]) {
            of_program(layout, "exchanges", &["bench", name, "--json"], &mut report).await?;
        }
    }
    if wanted(&["end_to_end_latency"]) {
        end_to_end(Mining::EverySecond, 60, &mut report).await?;
        end_to_end(Mining::AtOnce, 100, &mut report).await?;
    }
    Ok(())
}

/// A program's own benchmark: `bench --json` prints one figure a line.
async fn of_program(
    layout: &Layout,
    name: &str,
    arguments: &[&str],
    report: &mut impl FnMut(Figure),
) -> anyhow::Result<()> {
    let output = tokio::process::Command::new(layout.program(name)?)
        .args(arguments)
        .current_dir(layout.root())
        .output()
        .await?;
    // What it measured before it failed is measured all the same.
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let value: Value =
            serde_json::from_str(line).with_context(|| format!("{name} bench printed {line:?}"))?;
        let text = |field: &str| {
            value
                .get(field)
                .and_then(Value::as_str)
                .map(ToOwned::to_owned)
                .with_context(|| format!("{name} bench: a figure without {field}"))
        };
        report(Figure {
            figure: text("figure")?,
            value: value.get("value").cloned().unwrap_or(Value::Null),
            unit: text("unit")?,
            parameters: serde_json::from_value(
                value.get("parameters").cloned().unwrap_or_else(|| json!({})),
            )?,
        });
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{name} bench: {said}");
    }
    // What it left out, and why.
    eprint!("{said}");
    Ok(())
}

// ------------------------------------------------------------------------------------------------------------- gas

async fn gas(report: &mut impl FnMut(Figure)) -> anyhow::Result<()> {
    let stack = Stack::with(StackOptions {
        keeper: false,
        indexer: false,
        api: false,
        ..StackOptions::default()
    })
    .await?;
    for markets in [1_u8, 2] {
        for followers in SIZES {
            batch_gas(&stack, markets, followers, report).await?;
        }
    }
    direct_gas(&stack, report).await
}

/// What a batch cost, over all the transactions it was cut into.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    total: u64,
    venue: u64,
    transactions: u64,
    largest: u64,
}

async fn batch_gas(
    stack: &Stack,
    markets: u8,
    followers: u64,
    report: &mut impl FnMut(Figure),
) -> anyhow::Result<()> {
    let symbols: &'static [&'static str] = if markets == 1 {
        &["ETH-USD"]
    } else {
        &["ETH-USD", "BTC-USD"]
    };
    // A name of its own for each, so that each is a strategy of its own.
    let name: &'static str = Box::leak(format!("bench {markets}x{followers}").into_boxed_str());
    let plan = MasterPlan {
        name,
        markets: symbols,
        ..MASTERS.first().context("no master plan")?.clone()
    };
    let master = stack.master_with(0, plan).await?;
    // Flat in every market: the first batch opens.
    for symbol in symbols {
        stack
            .venue
            .trade_to_leverage(&stack.chain, &master.account, symbol, 0)
            .await?;
    }
    let follow_gas = follow_all(stack, &master, followers).await?;
    report(Figure::new(
        "follow_gas_per_follower",
        follow_gas / followers,
        "gas",
        &[("n", json!(followers)), ("markets", json!(markets))],
    ));
    let last = markets - 1;
    for market in 0..markets {
        let symbol = symbols.get(usize::from(market)).context("market")?;
        for (state, leverage) in [("first", 10_000), ("warm", 15_000)] {
            stack.refresh_prices().await?;
            master.trade(stack, symbol, leverage).await?;
            let cost = mirror_all(stack, &master, market, followers).await?;
            if market != last {
                continue;
            }
            for figure in batch_figures(cost, followers, state, markets) {
                report(figure);
            }
        }
    }
    Ok(())
}

/// What a batch's cost is told as. Parameters are what was chosen, never what was measured: a line is found again by them.
fn batch_figures(cost: Cost, followers: u64, state: &str, markets: u8) -> Vec<Figure> {
    let chosen = [
        ("n", json!(followers)),
        ("state", json!(state)),
        ("markets", json!(markets)),
    ];
    let mut figures: Vec<Figure> = [("included", cost.total), ("excluded", cost.total - cost.venue)]
        .into_iter()
        .map(|(venue_call, gas)| {
            let parameters: Vec<_> = chosen
                .iter()
                .cloned()
                .chain([("venue_call", json!(venue_call))])
                .collect();
            Figure::new("batch_gas_per_follower", gas / followers, "gas", &parameters)
        })
        .collect();
    figures.push(Figure::new(
        "batch_transactions",
        cost.transactions,
        "transactions",
        &chosen,
    ));
    figures.push(Figure::new(
        "batch_largest_transaction_gas",
        cost.largest,
        "gas",
        &chosen,
    ));
    figures
}

/// All followers of a strategy follow, many in a transaction. Gives the gas.
async fn follow_all(stack: &Stack, master: &Master, followers: u64) -> anyhow::Result<u64> {
    const PER_TRANSACTION: usize = 35;
    let mut signed = Vec::new();
    for index in 0..followers {
        let follower = Follower::new(key(&format!("{} {index}", master.plan.name))?);
        let mandate = wide_mandate(
            follower.address(),
            master.vault,
            master.plan.markets,
            1_000 * USDC,
            wall_clock(),
        );
        let mut mandate = follower.sign_mandate(&stack.deployment, mandate)?;
        mandate.token_permit =
            Some(follower.sign_token_permit(&stack.deployment, U256::ZERO, mandate.mandate.expiry)?);
        signed.push(mandate);
    }
    let owed = signed
        .iter()
        .map(|signed| (signed.mandate.follower, signed.mandate.deposit));
    mint_all(&stack.chain, stack.deployment.usdc, &stack.owner, owed).await?;
    let mut gas = 0;
    for chunk in signed.chunks(PER_TRANSACTION) {
        let (signed, permits) = chunk
            .iter()
            .map(|signed| {
                let call = follow_call(signed);
                (call.signed, call.permit)
            })
            .unzip();
        let call = IMirrorEngine::followManyCall { signed, permits };
        let receipt = stack
            .chain
            // Not with the keeper's key: a keeper that runs counts on nobody else to use its nonces.
            .execute(
                &stack.owner,
                stack.deployment.engine,
                &call,
                TRANSACTION_GAS_LIMIT,
            )
            .await?;
        gas += receipt.gas_used;
    }
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    let accounts = u64::from(vault.accountCount().call().await?);
    ensure!(accounts == followers, "{accounts} of {followers} followed");
    Ok(gas)
}

/// Moves all accounts, in as many transactions as the gas limit asks for.
async fn mirror_all(stack: &Stack, master: &Master, market: u8, followers: u64) -> anyhow::Result<Cost> {
    const PER_TRANSACTION: usize = 350;
    let accounts: Vec<u32> = (1..=u32::try_from(followers)?).collect();
    let mut cost = Cost::default();
    for chunk in accounts.chunks(PER_TRANSACTION) {
        let call = IMirrorEngine::mirrorVenueCall {
            vault: master.vault,
            market,
            observedAt: 0,
            accounts: encode_accounts(&chunk.iter().copied().collect::<BTreeSet<u32>>()).into(),
        };
        let receipt = stack
            .chain
            .execute(
                &stack.keeper_account,
                stack.deployment.engine,
                &call,
                TRANSACTION_GAS_LIMIT,
            )
            .await?;
        ensure!(
            receipt.gas_used < TRANSACTION_GAS_LIMIT,
            "a batch of {} used {} gas",
            chunk.len(),
            receipt.gas_used
        );
        cost.total += receipt.gas_used;
        cost.largest = cost.largest.max(receipt.gas_used);
        cost.transactions += 1;
        let trace: Value = stack
            .chain
            .provider()
            .raw_request(
                "debug_traceTransaction".into(),
                (receipt.transaction_hash, json!({ "tracer": "callTracer" })),
            )
            .await?;
        cost.venue += outside_gas(&trace, &own_contracts(stack, master));
    }
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    for account in [1, accounts.len().try_into()?] {
        let size = vault.positionView(account, market).call().await?.size;
        ensure!(!size.is_zero(), "account {account} was not moved");
    }
    Ok(cost)
}

fn own_contracts(stack: &Stack, master: &Master) -> BTreeSet<Address> {
    let deployment = &stack.deployment;
    BTreeSet::from([
        deployment.registry,
        deployment.engine,
        deployment.liquidator,
        deployment.insurance,
        deployment.venue,
        deployment.usdc,
        master.vault,
    ])
}

/// Gas of the outermost calls to anything but `own`. Code that runs by DELEGATECALL is its caller's.
fn outside_gas(call: &Value, own: &BTreeSet<Address>) -> u64 {
    let kind = call.get("type").and_then(Value::as_str).unwrap_or_default();
    let to = call
        .get("to")
        .and_then(Value::as_str)
        .and_then(|to| to.parse::<Address>().ok());
    if kind != "DELEGATECALL" && !to.is_some_and(|to| own.contains(&to)) {
        let gas = call.get("gasUsed").and_then(Value::as_str).unwrap_or("0x0");
        return u64::from_str_radix(gas.trim_start_matches("0x"), 16).unwrap_or(0);
    }
    call.get("calls")
        .and_then(Value::as_array)
        .map_or(0, |calls| calls.iter().map(|call| outside_gas(call, own)).sum())
}

/// As many followers, each opening and then halving by themselves on the same exchange. Their trades do not depend on
/// how many they are, so each size is the first so many of the largest.
async fn direct_gas(stack: &Stack, report: &mut impl FnMut(Figure)) -> anyhow::Result<()> {
    let mut first = 0;
    let mut warm = 0;
    for trader in 1..=SIZES.into_iter().max().unwrap_or(0) {
        if trader % 100 == 1 {
            // The exchange refuses a price that is too old.
            stack.refresh_prices().await?;
        }
        let account = Account::new(key(&format!("bench trader {trader}"))?);
        stack.chain.give_ether(account.address(), 1).await?;
        stack
            .venue
            .fund_trader(&stack.chain, &account, 1_000 * USDC)
            .await?;
        let price = stack.venue.price(&stack.chain, "ETH-USD").await?;
        // Every other one sells, so that the pool stays where it is.
        let side = if trader % 2 == 0 { -10_000 } else { 10_000 };
        let size = crate::venue::target_size(side, 1_000 * i128::from(USDC), price);
        first += direct_trade(stack, &account, size).await?;
        warm += direct_trade(stack, &account, size / 2).await?;
        if SIZES.contains(&trader) {
            for (state, gas) in [("first", first), ("warm", warm)] {
                report(Figure::new(
                    "direct_gas_per_follower",
                    gas / trader,
                    "gas",
                    &[
                        ("n", json!(trader)),
                        ("state", json!(state)),
                        ("markets", json!(1)),
                    ],
                ));
            }
        }
    }
    Ok(())
}

/// Gas of one trade of `trader`'s own.
async fn direct_trade(stack: &Stack, trader: &Account, size: i128) -> anyhow::Result<u64> {
    let block = stack.venue.trade(&stack.chain, trader, "ETH-USD", size).await?;
    let receipts = stack
        .chain
        .provider()
        .get_block_receipts(block.into())
        .await?
        .context("no such block")?;
    let receipt = receipts.iter().find(|receipt| receipt.from == trader.address());
    Ok(receipt.context("no receipt")?.gas_used)
}

// --------------------------------------------------------------------------------------------------------- latency

/// From the block with the master's trade to the block in which the last follower was moved, as seen from outside.
async fn end_to_end(mining: Mining, trades: u32, report: &mut impl FnMut(Figure)) -> anyhow::Result<()> {
    const FOLLOWERS: u64 = 50;
    let stack = Stack::with(StackOptions {
        mining,
        keeper_extra: String::new(),
        ..StackOptions::default()
    })
    .await?;
    let master = stack.master(0).await?;
    follow_all(&stack, &master, FOLLOWERS).await?;
    let mut latencies = Vec::new();
    for trade in 0..trades {
        let leverage = if trade % 2 == 0 { 15_000 } else { -15_000 };
        let block = master.trade(&stack, "ETH-USD", leverage).await?;
        let mined = Instant::now();
        eventually("the followers to follow", PATIENCE, async || {
            let reach = reach(
                &stack.chain,
                &stack.deployment,
                master.vault,
                master.strategy.id,
                0,
                block,
            )
            .await?;
            Ok((reach.batches > 0 && reach.left_behind.is_empty()).then_some(()))
        })
        .await?;
        latencies.push(mined.elapsed());
        // The next trade comes at another moment of the second.
        sleep(Duration::from_millis(u64::from(trade % 7) * 130)).await;
    }
    latencies.sort();
    let block_time = if mining == Mining::EverySecond {
        "1 s"
    } else {
        "on demand"
    };
    for (name, percent) in [("p50", 50), ("p99", 99)] {
        let rank = (latencies.len() * percent).div_ceil(100).max(1) - 1;
        let latency = latencies.get(rank).context("no trades")?;
        report(Figure::new(
            "end_to_end_latency",
            u64::try_from(latency.as_millis())?,
            "ms",
            &[
                ("quantile", json!(name)),
                ("block_time", json!(block_time)),
                ("followers", json!(FOLLOWERS)),
                ("trades", json!(trades)),
            ],
        ));
    }
    Ok(())
}

/// One line of the table for people.
#[must_use]
pub fn line(figure: &Figure) -> String {
    let value = match &figure.value {
        Value::Number(number) => group(&number.to_string()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let parameters: Vec<String> = figure
        .parameters
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    format!(
        "{:<26} {:>14} {:<10} {}",
        figure.figure,
        value,
        figure.unit,
        parameters.join(" ")
    )
}

/// Thousands separated, for reading.
fn group(number: &str) -> String {
    let (whole, fraction) = number
        .split_once('.')
        .map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && grouped != "-" {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or(grouped.clone(), |fraction| format!("{grouped}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_foreign_calls_count() {
        let own = Address::repeat_byte(1);
        let foreign = Address::repeat_byte(2);
        let trace = json!({
            "type": "CALL", "to": own, "gasUsed": "0x64", "calls": [
                { "type": "DELEGATECALL", "to": foreign, "gasUsed": "0x50", "calls": [
                    { "type": "CALL", "to": foreign, "gasUsed": "0xa", "calls": [
                        { "type": "CALL", "to": foreign, "gasUsed": "0x5" }
                    ] },
                    { "type": "STATICCALL", "to": foreign, "gasUsed": "0x3" }
                ] }
            ]
        });
        assert_eq!(outside_gas(&trace, &BTreeSet::from([own])), 13);
    }

    #[test]
    fn a_batch_is_told_by_what_was_chosen_and_not_by_what_was_measured() {
        let cost = Cost {
            total: 900,
            venue: 300,
            transactions: 2,
            largest: 500,
        };
        let figures = batch_figures(cost, 3, "warm", 1);
        let told: Vec<(&str, &Value, String)> = figures
            .iter()
            .map(|f| {
                let names: Vec<&str> = f.parameters.keys().map(String::as_str).collect();
                (f.figure.as_str(), &f.value, names.join(" "))
            })
            .collect();
        assert_eq!(
            told,
            [
                (
                    "batch_gas_per_follower",
                    &json!(300),
                    "markets n state venue_call".to_owned()
                ),
                (
                    "batch_gas_per_follower",
                    &json!(200),
                    "markets n state venue_call".to_owned()
                ),
                ("batch_transactions", &json!(2), "markets n state".to_owned()),
                (
                    "batch_largest_transaction_gas",
                    &json!(500),
                    "markets n state".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(group("1234567"), "1,234,567");
        assert_eq!(group("999"), "999");
        assert_eq!(group("1234.56"), "1,234.56");
    }
}
