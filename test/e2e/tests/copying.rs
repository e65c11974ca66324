//! A master's trade reaches every follower it should, and nobody else.

use alloy::primitives::I256;
use alloy::providers::Provider as _;
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent as _;
use anyhow::Context as _;
use lockstep_contracts::bindings::IStrategyVault;
use lockstep_contracts::fills::Outcome;
use lockstep_contracts::relay::Mandate;
use lockstep_devnet::chain::{Mining, wall_clock};
use lockstep_devnet::followers::USDC;
use lockstep_devnet::process::eventually;
use lockstep_devnet::stack::{Master, PATIENCE, Stack, StackOptions};
use lockstep_e2e::{
    close, expected_size, followed, market_index, nav_equals_chain, outcome_of, size, trade_and_follow,
};

/// The last batch in a market since a block: leverage and index price as the chain recorded them.
async fn last_batch(
    stack: &Stack,
    master: &Master,
    since: u64,
) -> anyhow::Result<IStrategyVault::BatchMirrored> {
    let filter = Filter::new()
        .address(master.vault)
        .event_signature(IStrategyVault::BatchMirrored::SIGNATURE_HASH)
        .from_block(since);
    let logs = stack.chain.provider().get_logs(&filter).await?;
    let log = logs.last().context("no batch")?;
    Ok(IStrategyVault::BatchMirrored::decode_log(&log.inner)?.data)
}

#[tokio::test]
async fn a_trade_reaches_everyone_eligible_and_names_the_others() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let master = stack.master(1).await?;
    let eth = market_index(&master, "ETH-USD")?;
    let mut accounts = Vec::new();
    let mut join = async |index: u64, change: fn(&mut Mandate)| -> anyhow::Result<()> {
        let follower = stack.follower(index)?;
        let mut mandate = stack.mandate(&follower, &master, 1_000);
        change(&mut mandate);
        let account = stack.follow(&follower, mandate.clone()).await?;
        accounts.push((account, mandate));
        Ok(())
    };
    join(0, |_| {}).await?;
    join(1, |mandate| mandate.ratio_bps = 5_000).await?;
    join(2, |mandate| {
        (mandate.mode, mandate.fixed_notional) = (1, 400 * USDC)
    })
    .await?;
    join(3, |mandate| mandate.max_leverage_bps = 10_000).await?;
    join(4, |mandate| mandate.max_position_notional = 150 * USDC).await?;
    join(5, |mandate| mandate.ratio_bps = 10).await?;
    join(6, |mandate| mandate.allowed_markets = vec!["BTC-USD".into()]).await?;

    let block = master.trade(&stack, "ETH-USD", 20_000).await?;
    let reach = followed(&stack, &master, "ETH-USD", block).await?;
    assert_eq!(reach.outcomes.values().sum::<u32>(), 7, "{reach}");

    let batch = last_batch(&stack, &master, block).await?;
    let price = I256::try_from(batch.indexPrice)?;
    for (account, mandate) in accounts.iter().take(5) {
        let wanted = expected_size(
            mandate,
            master.plan.terms().maxLeverageBps,
            batch.leverage,
            i128::from(mandate.deposit),
            price,
        )?;
        let held = size(&stack, master.vault, *account, eth).await?;
        assert!(
            close(held, wanted, 20)?,
            "account {account} holds {held}, {wanted} expected; {reach}"
        );
    }
    let outcome = |index: usize| {
        accounts
            .get(index)
            .and_then(|(account, _)| outcome_of(&reach, *account))
    };
    assert_eq!(outcome(0), Some(Outcome::Moved));
    assert_eq!(outcome(3), Some(Outcome::Capped));
    assert_eq!(outcome(4), Some(Outcome::Capped));
    assert_eq!(outcome(5), Some(Outcome::Dust));
    assert_eq!(outcome(6), Some(Outcome::MarketNotAllowed));
    for (account, _) in accounts.iter().skip(5) {
        assert_eq!(size(&stack, master.vault, *account, eth).await?, 0);
    }

    // The chain itself finds nothing left to do.
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    for (account, _) in &accounts {
        let preview = vault.previewTarget(*account, eth, batch.leverage).call().await?;
        assert!(
            !Outcome::try_from(preview.outcome)?.traded(),
            "account {account} would still be moved"
        );
    }
    assert!(nav_equals_chain(&stack, &master).await? > 0);
    Ok(())
}

#[tokio::test]
async fn a_follower_whose_signed_slippage_is_too_tight_is_left_out_and_the_others_move() -> anyhow::Result<()>
{
    let stack = Stack::start().await?;
    let master = stack.master(0).await?;
    let (tight, wide) = (stack.follower(0)?, stack.follower(1)?);
    let mut mandate = stack.mandate(&tight, &master, 1_000);
    mandate.max_slippage_bps = 20;
    let tight = stack.follow(&tight, mandate).await?;
    let wide = stack.follow(&wide, stack.mandate(&wide, &master, 1_000)).await?;
    // The index falls by 1 % and the market stays: a buyer pays 1 % more than the index.
    let price = stack.venue.price(&stack.chain, "ETH-USD").await?;
    stack
        .set_index("ETH-USD", i64::try_from(price * 99 / 100)?)
        .await?;
    let block = master.trade(&stack, "ETH-USD", 15_000).await?;
    let moved = eventually("the wide follower to be moved", PATIENCE, async || {
        let held = size(&stack, master.vault, wide, 0).await?;
        Ok((held != 0).then_some(held))
    })
    .await?;
    assert!(moved > 0);
    assert_eq!(size(&stack, master.vault, tight, 0).await?, 0);
    // As soon as the market is at the index again, the tight one follows too.
    stack.set_price("ETH-USD", price).await?;
    eventually("the tight follower to be moved", PATIENCE, async || {
        Ok((size(&stack, master.vault, tight, 0).await? > 0).then_some(()))
    })
    .await?;
    followed(&stack, &master, "ETH-USD", block).await?;
    Ok(())
}

#[tokio::test]
async fn an_expired_mandate_is_only_reduced() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(0)?;
    let mut mandate = stack.mandate(&follower, &master, 1_000);
    mandate.expiry = wall_clock() + 600;
    let account = stack.follow(&follower, mandate).await?;
    trade_and_follow(&stack, &master, "ETH-USD", 20_000).await?;
    let before = size(&stack, master.vault, account, 0).await?;
    assert!(before > 0);

    stack.advance(700).await?;
    stack.refresh_prices().await?;
    master.trade(&stack, "ETH-USD", 40_000).await?;
    stack.blocks(4).await?;
    assert_eq!(size(&stack, master.vault, account, 0).await?, before);
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    let four = I256::try_from(4_000_000_000_000_000_000_u64)?;
    let preview = vault.previewTarget(account, 0, four).call().await?;
    assert_eq!(Outcome::try_from(preview.outcome)?, Outcome::Expired);

    trade_and_follow(&stack, &master, "ETH-USD", 5_000).await?;
    assert!(size(&stack, master.vault, account, 0).await? < before);
    Ok(())
}

#[tokio::test]
async fn three_trades_without_a_keeper_end_at_the_last() -> anyhow::Result<()> {
    let mut stack = Stack::start().await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(0)?;
    let mandate = stack.mandate(&follower, &master, 2_000);
    let account = stack.follow(&follower, mandate.clone()).await?;
    stack.kill_keeper().await?;
    for leverage in [20_000, -10_000] {
        master.trade(&stack, "ETH-USD", leverage).await?;
    }
    let block = master.trade(&stack, "ETH-USD", 15_000).await?;
    assert_eq!(size(&stack, master.vault, account, 0).await?, 0);
    stack.start_keeper()?;
    let reach = followed(&stack, &master, "ETH-USD", block).await?;
    let batch = last_batch(&stack, &master, block).await?;
    let price = I256::try_from(batch.indexPrice)?;
    let wanted = expected_size(
        &mandate,
        50_000,
        batch.leverage,
        i128::from(mandate.deposit),
        price,
    )?;
    let held = size(&stack, master.vault, account, 0).await?;
    assert!(
        held > 0 && close(held, wanted, 100)?,
        "{held}, {wanted} expected; {reach}"
    );
    nav_equals_chain(&stack, &master).await?;
    Ok(())
}

#[tokio::test]
async fn a_master_registered_later_is_followed_at_once() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let first = stack.master(0).await?;
    let follower = stack.follower(0)?;
    stack
        .follow(&follower, stack.mandate(&follower, &first, 500))
        .await?;
    trade_and_follow(&stack, &first, "ETH-USD", 10_000).await?;

    let second = stack.master(2).await?;
    let account = stack
        .follow(&follower, stack.mandate(&follower, &second, 500))
        .await?;
    trade_and_follow(&stack, &second, "BTC-USD", -20_000).await?;
    assert!(size(&stack, second.vault, account, 0).await? < 0);
    // One whose followers come after the trade is caught up with, too.
    let late = stack.follower(1)?;
    let late = stack.follow(&late, stack.mandate(&late, &second, 500)).await?;
    eventually("the late follower to be moved", PATIENCE, async || {
        Ok((size(&stack, second.vault, late, 0).await? < 0).then_some(()))
    })
    .await?;
    nav_equals_chain(&stack, &second).await?;
    Ok(())
}

#[tokio::test]
async fn many_followers_are_moved_in_blocks_of_one_second() -> anyhow::Result<()> {
    let stack = Stack::with(StackOptions {
        mining: Mining::EverySecond,
        ..StackOptions::default()
    })
    .await?;
    let master = stack.master(0).await?;
    let followings = lockstep_devnet::setup::draw(7, 0, 60, &master.strategy, wall_clock())?;
    let new = lockstep_devnet::setup::follow(
        &stack.chain,
        &stack.deployment,
        &stack.owner,
        &stack.api_client,
        followings,
        PATIENCE,
    )
    .await?;
    assert_eq!(new, 60);
    for leverage in [15_000, -15_000] {
        let reach = trade_and_follow(&stack, &master, "ETH-USD", leverage).await?;
        assert_eq!(reach.accounts.len(), 60, "{reach}");
    }
    nav_equals_chain(&stack, &master).await?;
    Ok(())
}
