//! The NAV record in the store is the chain's, whatever the chain does.

use lockstep_contracts::bindings::IStrategyVault;
use lockstep_devnet::process::eventually;
use lockstep_devnet::random::Random;
use lockstep_devnet::stack::{PATIENCE, Stack};
use lockstep_e2e::{followed, nav_equals_chain, rounds, size, trade_and_follow};

#[tokio::test]
async fn every_point_is_the_chains() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let master = stack.master(1).await?;
    for index in 0..3 {
        let follower = stack.follower(index)?;
        stack
            .follow(&follower, stack.mandate(&follower, &master, 1_000))
            .await?;
    }
    let mut random = Random::new(11);
    for symbol in ["ETH-USD", "BTC-USD", "ETH-USD"] {
        let price = stack.venue.price(&stack.chain, symbol).await?;
        stack
            .set_price(symbol, price * random.between(985, 1_015) / 1_000)
            .await?;
        let leverage = i64::try_from(random.between(5_000, 20_000))?;
        trade_and_follow(&stack, &master, symbol, leverage).await?;
        let checkpoint = IStrategyVault::checkpointCall {};
        stack
            .chain
            .execute(&stack.arbitrageur, master.vault, &checkpoint, 2_000_000)
            .await?;
    }
    let points = nav_equals_chain(&stack, &master).await?;
    assert!(points >= 6, "only {points} points");
    stack.verify_index().await
}

#[tokio::test]
async fn a_reorg_under_a_batch_is_made_good() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(0)?;
    let account = stack
        .follow(&follower, stack.mandate(&follower, &master, 1_000))
        .await?;
    for round in 0..rounds(2, 12) {
        let leverage = if round % 2 == 0 { 20_000 } else { -20_000 };
        let block = master.trade(&stack, "ETH-USD", leverage).await?;
        let reach = followed(&stack, &master, "ETH-USD", block).await?;
        stack.indexed().await?;
        // The batch disappears, the master's trade stays.
        let depth = stack.chain.height().await? - reach.reached_in + 1;
        stack.reorg(depth).await?;
        eventually("the batch to be sent again", PATIENCE, async || {
            let held = size(&stack, master.vault, account, 0).await?;
            Ok((held.signum() == i128::from(leverage.signum())).then_some(()))
        })
        .await?;
        followed(&stack, &master, "ETH-USD", block).await?;
        nav_equals_chain(&stack, &master).await?;
    }
    stack.verify_index().await
}

#[tokio::test]
async fn a_reorg_that_takes_the_masters_trade_away_takes_the_copies_away() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(0)?;
    let account = stack
        .follow(&follower, stack.mandate(&follower, &master, 1_000))
        .await?;
    trade_and_follow(&stack, &master, "ETH-USD", 10_000).await?;
    let before = size(&stack, master.vault, account, 0).await?;
    // Both trades of the test are far from the end: what follows is newer than the first.
    let block = master.trade(&stack, "ETH-USD", -20_000).await?;
    followed(&stack, &master, "ETH-USD", block).await?;
    stack.indexed().await?;
    stack.reorg(stack.chain.height().await? - block + 1).await?;
    master.account.forget_nonce().await;

    let master_holds = stack
        .venue
        .position(&stack.chain, master.account.address(), "ETH-USD")
        .await?;
    assert!(master_holds > 0, "the reorg did not take the trade away");
    eventually("the follower to be where the master is", PATIENCE, async || {
        let held = size(&stack, master.vault, account, 0).await?;
        Ok((held.signum() == before.signum()).then_some(()))
    })
    .await?;
    nav_equals_chain(&stack, &master).await?;
    trade_and_follow(&stack, &master, "ETH-USD", -10_000).await?;
    assert!(size(&stack, master.vault, account, 0).await? < 0);
    nav_equals_chain(&stack, &master).await?;
    stack.verify_index().await
}
