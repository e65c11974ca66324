//! The NAV record in the store is the chain's, whatever the chain does.

use alloy::primitives::{Address, I256, U256};
use lockstep_contracts::bindings::IStrategyVault;
use lockstep_devnet::chain::Account;
use lockstep_devnet::followers::{Follower, key};
use lockstep_devnet::process::eventually;
use lockstep_devnet::random::Random;
use lockstep_devnet::stack::{PATIENCE, Stack};
use lockstep_e2e::{followed, market_index, nav_equals_chain, rounds, size, trade_and_follow};

mod exchange {
    //! What a liquidator of the exchange calls.
    #![allow(missing_docs)]

    alloy::sol! {
        function liquidate(address trader, address baseToken, int256 positionSize) external;
    }
}

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
        if round % 2 == 1 {
            // So deep that the keeper has settled the batch and follows it no longer.
            eventually("the batch to be settled", PATIENCE, async || {
                Ok((stack.chain.height().await? >= reach.reached_in + 8).then_some(()))
            })
            .await?;
        }
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

/// The exchange liquidates the vault in slices while nobody touches a position, then once more after someone has: the
/// first slices are one change, the last is another, and each settles everyone's funding.
#[tokio::test]
async fn what_the_exchange_changed_and_what_its_roundings_cost_is_indexed_to_the_unit() -> anyhow::Result<()>
{
    let mut stack = Stack::start().await?;
    let master = stack.master(1).await?;
    let mut accounts = Vec::new();
    for (name, deposit) in [
        ("one who follows", 5_000),
        ("another", 5_777),
        ("a saver", 20_000),
    ] {
        let follower = Follower::new(key(name)?);
        let mut mandate = stack.mandate(&follower, &master, deposit);
        if name == "a saver" {
            mandate.allowed_markets = vec!["BTC-USD".to_owned()];
        }
        accounts.push(stack.follow(&follower, mandate).await?);
        stack.chain.give_ether(follower.address(), 1).await?;
    }
    let market = market_index(&master, "ETH-USD")?;
    trade_and_follow(&stack, &master, "ETH-USD", 48_000).await?;
    stack.kill_keeper().await?;

    // More than lies ready in the vault: the exchange has to be asked, and rounds.
    let saver = Account::new(key("a saver")?);
    for amount in [U256::from(9_000_000_001_u64), U256::MAX] {
        let withdraw = IStrategyVault::withdrawCall { amount };
        stack
            .chain
            .execute(&saver, master.vault, &withdraw, 5_000_000)
            .await?;
    }
    stack.verify_index().await?;

    // The market stays below the index for a while, and one trade settles with the exchange: the other is owed funding.
    let price = stack.venue.price(&stack.chain, "ETH-USD").await?;
    let (liquidator, another) = (&stack.arbitrageur, Account::new(key("another")?));
    stack
        .set_index("ETH-USD", i64::try_from(price * 1_003 / 1_000)?)
        .await?;
    stack.advance(600).await?;
    let close = IStrategyVault::closePositionCall {
        market,
        size: U256::from(2_000_000_000_000_000_u64),
        maxSlippageBps: U256::from(10_000),
    };
    stack
        .chain
        .execute(&another, master.vault, &close, 5_000_000)
        .await?;

    for share in [94, 88, 83] {
        stack.set_price("ETH-USD", price * share / 100).await?;
        stack.advance(20).await?;
    }
    stack.advance(31 * 60).await?;
    stack.refresh_prices().await?;
    stack
        .venue
        .fund_trader(&stack.chain, liquidator, 1_000_000_000_000)
        .await?;
    let slices: [i64; 4] = [
        3_000_000_000_000_007,
        5_000_000_000_000_001,
        7_000_000_000_000_003,
        0,
    ];
    for (round, slice) in slices.into_iter().enumerate() {
        let before = size(&stack, master.vault, accounts[0], market).await?;
        let liquidate = exchange::liquidateCall {
            trader: master.vault,
            baseToken: stack.venue.market("ETH-USD")?.base_token,
            positionSize: I256::try_from(slice)?,
        };
        stack
            .chain
            .execute(liquidator, stack.venue.clearing_house, &liquidate, 5_000_000)
            .await?;
        let reconcile = IStrategyVault::reconcileCall { market };
        stack
            .chain
            .execute(liquidator, master.vault, &reconcile, 3_000_000)
            .await?;
        let after = size(&stack, master.vault, accounts[0], market).await?;
        assert!(after < before, "slice {round} took nothing of {before}");
        stack.advance(300).await?;
        if round == 2 {
            assert_eq!(view(&stack, master.vault, market).await?.generation, 1);
            // A position is written: the next change is another. The exchange takes no trade of who is below its margin.
            stack.set_price("ETH-USD", price * 90 / 100).await?;
            stack.advance(31 * 60).await?;
            stack.refresh_prices().await?;
            stack
                .chain
                .execute(&another, master.vault, &close, 5_000_000)
                .await?;
            stack.advance(20).await?;
            stack.set_price("ETH-USD", price * 83 / 100).await?;
            stack.advance(31 * 60).await?;
            stack.refresh_prices().await?;
        }
        stack.verify_index().await?;
    }
    let market = view(&stack, master.vault, market).await?;
    assert_eq!(market.generation, 2);
    assert!(!market.fundingIndex.is_zero(), "no funding was owed");
    Ok(())
}

async fn view(stack: &Stack, vault: Address, market: u8) -> anyhow::Result<IStrategyVault::MarketView> {
    let contract = IStrategyVault::new(vault, stack.chain.provider());
    Ok(contract.marketView(market).call().await?)
}
