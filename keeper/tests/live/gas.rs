//! The gas model's defaults against receipts on the real exchange.

use std::collections::BTreeSet;

use anyhow::Context as _;
use lockstep_contracts::bindings::IMirrorEngine;
use lockstep_contracts::fills::encode_accounts;
use lockstep_devnet::chain::TRANSACTION_GAS_LIMIT;
use lockstep_devnet::masters::{MASTERS, MasterPlan};
use lockstep_devnet::stack::{Master, Stack, StackOptions};
use lockstep_keeper::plan::GasModel;

use crate::common::{ETH, follow_many};

const BTC: &str = "BTC-USD";
const FOLLOWERS: u32 = 60;

/// Gas of a batch, as its receipt says.
async fn batch(stack: &Stack, master: &Master, market: u8, accounts: BTreeSet<u32>) -> anyhow::Result<u64> {
    let call = IMirrorEngine::mirrorVenueCall {
        vault: master.vault,
        market,
        observedAt: 0,
        accounts: encode_accounts(&accounts).into(),
    };
    let engine = stack.deployment.engine;
    let receipt = stack
        .chain
        .execute(&stack.keeper_account, engine, &call, TRANSACTION_GAS_LIMIT)
        .await?;
    Ok(receipt.gas_used)
}

/// A batch never costs more than the model says, or a cut batch might not fit; nor much less, or batches are cut for nothing.
fn assert_near(measured: u64, model: u64, what: &str) {
    println!("{what}: {measured} measured, {model} by the model");
    assert!(
        measured <= model,
        "{what}: {measured} measured, {model} by the model"
    );
    assert!(
        model - measured <= measured / 5,
        "{what}: {measured} measured, {model} by the model"
    );
}

#[tokio::test]
async fn the_gas_model_is_what_receipts_say() -> anyhow::Result<()> {
    let stack = Stack::with(StackOptions {
        keeper: false,
        indexer: false,
        api: false,
        ..StackOptions::default()
    })
    .await?;
    let gas = GasModel::default();
    let plans: [(&'static str, &'static [&'static str]); 2] =
        [("one market", &[ETH]), ("two markets", &[BTC, ETH])];
    for (name, markets) in plans {
        let plan = MasterPlan {
            name,
            markets,
            ..MASTERS.first().context("a plan")?.clone()
        };
        let master = stack.master_with(0, plan).await?;
        let mut mandates = Vec::new();
        for index in 0..FOLLOWERS {
            // Followers of their own for each strategy: a token permit is good for one.
            let number = u64::from(index) + u64::try_from(markets.len())? * 1_000;
            let follower = stack.follower(number)?;
            let mandate = stack.mandate(&follower, &master, 1_000);
            mandates.push((follower, mandate));
        }
        follow_many(&stack, &master, &mandates).await?;
        let few = 1..=2;
        let many = 3..=FOLLOWERS;
        for (market, symbol) in (0u8..).zip(markets) {
            stack
                .venue
                .trade_to_leverage(&stack.chain, &master.account, symbol, 10_000)
                .await?;
            // Only when all other markets are held does a batch cost what it can.
            let all_held = usize::from(market) + 1 == markets.len();
            for (accounts, opening) in [
                (few.clone(), true),
                (many.clone(), true),
                (few.clone(), false),
                (many.clone(), false),
            ] {
                if !opening {
                    let held = if accounts == few { 13_000 } else { 15_000 };
                    master.trade(&stack, symbol, held).await?;
                }
                let accounts: BTreeSet<u32> = accounts.collect();
                let count = accounts.len();
                let measured = batch(&stack, &master, market, accounts).await?;
                if all_held {
                    let opens = if opening { count } else { 0 };
                    let what = format!("{name}, {count} accounts, {opens} of them open");
                    assert_near(measured, gas.batch(count, opens, markets.len()), &what);
                }
            }
        }
    }
    Ok(())
}
