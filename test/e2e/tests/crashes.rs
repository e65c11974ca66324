//! Keeper and indexer are killed at random points, and in the end nothing is different.

use std::time::Duration;

use lockstep_devnet::random::Random;
use lockstep_devnet::stack::{Stack, StackOptions};
use lockstep_e2e::{followed, nav_equals_chain, rounds, size_per_usdc};

/// The trades of the script: the leverage after the last one is what counts.
fn script(seed: u64, trades: u32) -> Vec<i64> {
    let mut random = Random::new(seed);
    let mut held = 0_i64;
    (0..trades)
        .map(|_| {
            // Always a clear change, so that every trade is one.
            held = if held > 0 {
                -i64::try_from(random.between(5, 20)).unwrap_or(5) * 1_000
            } else {
                i64::try_from(random.between(5, 20)).unwrap_or(5) * 1_000
            };
            held
        })
        .collect()
}

async fn run(kills: bool) -> anyhow::Result<Vec<i128>> {
    const SEED: u64 = 20;
    let mut stack = Stack::with(StackOptions {
        seed: SEED,
        ..StackOptions::default()
    })
    .await?;
    let master = stack.master(0).await?;
    let mut accounts = Vec::new();
    for index in 0..5 {
        let follower = stack.follower(index)?;
        accounts.push(
            stack
                .follow(&follower, stack.mandate(&follower, &master, 1_000))
                .await?,
        );
    }
    let mut random = Random::new(SEED);
    let mut block = 0;
    for leverage in script(SEED, rounds(20, 100)) {
        block = master.trade(&stack, "ETH-USD", leverage).await?;
        if !kills {
            continue;
        }
        // Not a wait for something: the moment of the kill is what is random here.
        tokio::time::sleep(Duration::from_millis(random.between(0, 400))).await;
        if random.between(0, 1) == 0 {
            stack.kill_keeper().await?;
            stack.start_keeper()?;
        } else {
            stack.kill_indexer().await?;
            stack.start_indexer()?;
        }
    }
    followed(&stack, &master, "ETH-USD", block).await?;
    nav_equals_chain(&stack, &master).await?;
    stack.verify_index().await?;
    let mut sizes = Vec::new();
    for account in accounts {
        sizes.push(size_per_usdc(&stack, master.vault, account, 0).await?);
    }
    Ok(sizes)
}

#[tokio::test]
async fn twenty_kills_end_where_no_kill_ends() -> anyhow::Result<()> {
    let (killed, calm) = (run(true).await?, run(false).await?);
    assert_eq!(killed.len(), calm.len());
    for (account, (killed, calm)) in killed.iter().zip(&calm).enumerate() {
        // How many of the trades in between were followed differs, and with it the fees paid and the equity; the
        // position for each USDC of it does not, but for the dead band of a percent.
        let difference = (killed - calm).unsigned_abs();
        assert!(
            difference * 100 <= calm.unsigned_abs() * 2 && killed.signum() == calm.signum(),
            "account {account}: {killed} with kills, {calm} without"
        );
    }
    Ok(())
}
