//! Liquidations, stop-outs and NAV points: what anyone may do, and the keeper does.

use alloy::primitives::Address;
use alloy::providers::Provider as _;
use lockstep_contracts::bindings::{ILiquidator, IStrategyVault};
use lockstep_devnet::process::eventually;
use lockstep_devnet::stack::{Master, PATIENCE, Stack};

use crate::common::{ETH, follow, keeper_with, log, looked_again};

/// `Status` and `Cause` of `LockstepTypes.sol`.
const ACTIVE: u8 = 1;
const STOPPED_OUT: u8 = 3;
const LIQUIDATED: u8 = 4;
const STOP_LOSS: u8 = 1;
const LIQUIDATION: u8 = 3;

async fn size(stack: &Stack, vault: Address, account: u32) -> anyhow::Result<i128> {
    let vault = IStrategyVault::new(vault, stack.chain.provider());
    Ok(i128::try_from(vault.positionView(account, 0).call().await?.size)?)
}

async fn status(stack: &Stack, vault: Address, account: u32) -> anyhow::Result<u8> {
    let vault = IStrategyVault::new(vault, stack.chain.provider());
    Ok(vault.accountView(account).call().await?.status)
}

async fn opened(stack: &Stack, master: &Master, account: u32) -> anyhow::Result<i128> {
    eventually(&format!("account {account} to be opened"), PATIENCE, async || {
        let size = size(stack, master.vault, account).await?;
        Ok((size != 0).then_some(size))
    })
    .await
}

/// The price in percent of what it is.
async fn price_to(stack: &Stack, percent: u64) -> anyhow::Result<()> {
    let price = stack.venue.price(&stack.chain, ETH).await?;
    stack.set_price(ETH, price * percent / 100).await
}

async fn transactions(stack: &Stack) -> anyhow::Result<u64> {
    let keeper = stack.keeper_account.address();
    Ok(stack.chain.provider().get_transaction_count(keeper).await?)
}

#[tokio::test]
async fn an_account_below_maintenance_is_liquidated_once() -> anyhow::Result<()> {
    // A master who is followed only up to six times leverage: once the price has fallen the batches that would save the
    // account are held back, and what is left is the liquidation.
    let stack = keeper_with("[guard]\nmax_leverage = 6\n").await?;
    let master = stack.master(0).await?;
    let bold = stack.follower(1)?;
    let account = follow(&stack, &bold, stack.mandate(&bold, &master, 1_000)).await?;
    let careful = stack.follower(2)?;
    let mut mandate = stack.mandate(&careful, &master, 5_000);
    mandate.ratio_bps = 1_000;
    let other = follow(&stack, &careful, mandate).await?;
    master.trade(&stack, ETH, 50_000).await?;
    opened(&stack, &master, account).await?;
    let held = opened(&stack, &master, other).await?;

    price_to(&stack, 92).await?;
    price_to(&stack, 91).await?;
    eventually("the account to be liquidated", PATIENCE, async || {
        Ok((status(&stack, master.vault, account).await? == LIQUIDATED).then_some(()))
    })
    .await?;
    looked_again(&stack, 3).await?;

    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    let liquidator = ILiquidator::new(stack.deployment.liquidator, stack.chain.provider());
    let closed = vault.AccountLiquidated_filter().from_block(0).query().await?;
    let [(event, event_log)] = closed.as_slice() else {
        anyhow::bail!("{} liquidations: {}", closed.len(), log(&stack)?);
    };
    assert_eq!(
        (event.account, event.liquidator),
        (account, stack.keeper_account.address())
    );
    let told = liquidator.Liquidated_filter().from_block(0).query().await?;
    assert_eq!(told.len(), 1);
    let fills = vault.AccountFilled_filter().from_block(0).query().await?;
    assert_eq!(fills.len(), 1);
    assert_eq!((fills[0].0.account, fills[0].0.cause), (account, LIQUIDATION));
    assert_eq!(fills[0].1.block_number, event_log.block_number);
    assert_eq!(size(&stack, master.vault, account).await?, 0);
    assert!(
        vault.equityOf(account).call().await?.is_zero()
            || vault.equityOf(account).call().await?.is_positive()
    );
    // The other follower of the same master keeps what they hold.
    assert_eq!(size(&stack, master.vault, other).await?, held);
    assert_eq!(status(&stack, master.vault, other).await?, ACTIVE);

    let sent = transactions(&stack).await?;
    looked_again(&stack, 5).await?;
    assert_eq!(
        transactions(&stack).await?,
        sent,
        "nothing is repeated: {}",
        log(&stack)?
    );
    Ok(())
}

#[tokio::test]
async fn an_account_at_its_signed_stop_loss_is_stopped_out_once_and_stays_out() -> anyhow::Result<()> {
    let stack = keeper_with("").await?;
    let master = stack.master(0).await?;
    let careful = stack.follower(1)?;
    let mut mandate = stack.mandate(&careful, &master, 1_000);
    mandate.stop_loss_bps = 1_000;
    let account = follow(&stack, &careful, mandate).await?;
    let bold = stack.follower(2)?;
    let other = follow(&stack, &bold, stack.mandate(&bold, &master, 1_000)).await?;
    master.trade(&stack, ETH, 20_000).await?;
    opened(&stack, &master, account).await?;
    opened(&stack, &master, other).await?;

    // Twice two percent lower: near the level, not at it.
    price_to(&stack, 98).await?;
    price_to(&stack, 98).await?;
    looked_again(&stack, 3).await?;
    assert_eq!(status(&stack, master.vault, account).await?, ACTIVE);
    price_to(&stack, 97).await?;
    eventually("the account to be stopped out", PATIENCE, async || {
        Ok((status(&stack, master.vault, account).await? == STOPPED_OUT).then_some(()))
    })
    .await?;

    let liquidator = ILiquidator::new(stack.deployment.liquidator, stack.chain.provider());
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    let check = async || -> anyhow::Result<()> {
        let told = liquidator.StoppedOut_filter().from_block(0).query().await?;
        let [(event, _)] = told.as_slice() else {
            anyhow::bail!("{} stop-outs: {}", told.len(), log(&stack)?);
        };
        assert_eq!(
            (event.vault, event.account, event.cause),
            (master.vault, account, STOP_LOSS)
        );
        let fills = vault.AccountFilled_filter().from_block(0).query().await?;
        assert_eq!(fills.len(), 1);
        assert_eq!((fills[0].0.account, fills[0].0.cause), (account, STOP_LOSS));
        assert_eq!(size(&stack, master.vault, account).await?, 0);
        assert_ne!(size(&stack, master.vault, other).await?, 0);
        assert_eq!(status(&stack, master.vault, other).await?, ACTIVE);
        Ok(())
    };
    check().await?;
    looked_again(&stack, 3).await?;
    let sent = transactions(&stack).await?;
    looked_again(&stack, 5).await?;
    assert_eq!(
        transactions(&stack).await?,
        sent,
        "nothing is repeated: {}",
        log(&stack)?
    );

    // The master goes on; who was stopped out does not.
    master.trade(&stack, ETH, -10_000).await?;
    eventually("the other follower to be moved", PATIENCE, async || {
        Ok((size(&stack, master.vault, other).await? < 0).then_some(()))
    })
    .await?;
    check().await
}

#[tokio::test]
async fn a_quiet_strategy_gets_a_nav_point_when_it_is_due_and_no_more() -> anyhow::Result<()> {
    const INTERVAL: u64 = 600;
    let stack = keeper_with(&format!("checkpoint_seconds = {INTERVAL}\n")).await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(1)?;
    let account = follow(&stack, &follower, stack.mandate(&follower, &master, 1_000)).await?;
    master.trade(&stack, ETH, 10_000).await?;
    opened(&stack, &master, account).await?;
    looked_again(&stack, 3).await?;

    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    let points = async || -> anyhow::Result<u64> { Ok(u64::try_from(vault.navCount().call().await?)?) };
    let last = async || -> anyhow::Result<IStrategyVault::navAtReturn> {
        let index = alloy::primitives::U256::from(points().await?.saturating_sub(1));
        Ok(vault.navAt(index).call().await?)
    };
    let batches = async || -> anyhow::Result<usize> {
        Ok(vault.BatchMirrored_filter().from_block(0).query().await?.len())
    };
    let (known, moved, before) = (points().await?, batches().await?, last().await?);
    for round in 1..=2 {
        let from = stack.chain.height().await?;
        stack.advance(INTERVAL).await?;
        eventually("the NAV point that is due", PATIENCE, async || {
            Ok((points().await? == known + round).then_some(()))
        })
        .await?;
        let point = last().await?;
        assert!(point.time >= before.time + INTERVAL * round);
        let recorded = vault.NavRecorded_filter().from_block(from + 1).query().await?;
        let [(event, event_log)] = recorded.as_slice() else {
            anyhow::bail!("{} points: {}", recorded.len(), log(&stack)?);
        };
        assert_eq!(
            (event.time, event.navIndex, event.totalEquity),
            (point.time, point.navIndex, point.totalEquity)
        );
        let hash = event_log.transaction_hash.unwrap_or_default();
        let receipt = stack.chain.receipt(hash).await?;
        assert_eq!(receipt.from, stack.keeper_account.address());
        looked_again(&stack, 5).await?;
        assert_eq!(points().await?, known + round, "one point for one interval");
    }
    assert_eq!(batches().await?, moved, "nobody was moved for it");
    Ok(())
}
