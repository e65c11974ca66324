//! The world misbehaves: prices, endpoints, disks. Nobody is moved wrongly, and all is well again afterwards.

use std::time::Duration;

use lockstep_devnet::process::Program;
use lockstep_devnet::proxy::Faults;
use lockstep_devnet::stack::{Master, PATIENCE, Stack, StackOptions};
use lockstep_e2e::{followed, nav_equals_chain, size, trade_and_follow};

async fn with_one_follower(options: StackOptions) -> anyhow::Result<(Stack, Master, u32)> {
    let stack = Stack::with(options).await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(0)?;
    let account = stack
        .follow(&follower, stack.mandate(&follower, &master, 1_000))
        .await?;
    Ok((stack, master, account))
}

#[tokio::test]
async fn nobody_is_moved_at_a_stale_price() -> anyhow::Result<()> {
    let (stack, master, account) = with_one_follower(StackOptions::default()).await?;
    stack.advance(2 * 3_600).await?;
    // The exchange still trades at an old price; Lockstep does not.
    let block = master.trade(&stack, "ETH-USD", 20_000).await?;
    stack.blocks(4).await?;
    assert_eq!(size(&stack, master.vault, account, 0).await?, 0);
    stack.refresh_prices().await?;
    followed(&stack, &master, "ETH-USD", block).await?;
    assert!(size(&stack, master.vault, account, 0).await? > 0);
    nav_equals_chain(&stack, &master).await?;
    Ok(())
}

#[tokio::test]
async fn absurd_prices_move_nobody() -> anyhow::Result<()> {
    let (stack, master, account) = with_one_follower(StackOptions::default()).await?;
    let price = stack.venue.price(&stack.chain, "ETH-USD").await?;
    let block = master.trade(&stack, "ETH-USD", 20_000).await?;
    followed(&stack, &master, "ETH-USD", block).await?;
    let before = size(&stack, master.vault, account, 0).await?;
    let absurd = i64::try_from(price)?;
    for answer in [0, 1, absurd * 1_000] {
        stack.set_index("ETH-USD", answer).await?;
        // Seen by the keeper several times, and acted on by nobody.
        stack.blocks(4).await?;
        assert_eq!(
            size(&stack, master.vault, account, 0).await?,
            before,
            "moved at a price of {answer}"
        );
    }
    stack.set_price("ETH-USD", price).await?;
    trade_and_follow(&stack, &master, "ETH-USD", -10_000).await?;
    assert!(size(&stack, master.vault, account, 0).await? < 0);
    nav_equals_chain(&stack, &master).await?;
    Ok(())
}

#[tokio::test]
async fn endpoints_that_lag_lie_fork_and_swallow_are_survived() -> anyhow::Result<()> {
    let (stack, master, account) = with_one_follower(StackOptions {
        proxies: true,
        ..StackOptions::default()
    })
    .await?;
    let faults = [
        (
            "slow",
            Faults {
                delay: Duration::from_millis(300),
                ..Faults::default()
            },
        ),
        (
            "lagging",
            Faults {
                lag: 30,
                ..Faults::default()
            },
        ),
        (
            "boasting",
            Faults {
                boast: 500,
                ..Faults::default()
            },
        ),
        (
            "failing now and then",
            Faults {
                one_error_in: 4,
                ..Faults::default()
            },
        ),
        (
            "limiting log ranges",
            Faults {
                widest_log_range: Some(5),
                ..Faults::default()
            },
        ),
        (
            "swallowing answers",
            Faults {
                swallow_send_answers: true,
                ..Faults::default()
            },
        ),
        (
            "on a fork",
            Faults {
                forked_from: Some(stack.chain.height().await? + 3),
                ..Faults::default()
            },
        ),
        (
            "down",
            Faults {
                down: true,
                ..Faults::default()
            },
        ),
    ];
    let proxies = [&stack.keeper_proxy, &stack.indexer_proxy];
    for (round, (name, fault)) in faults.into_iter().enumerate() {
        // The fork begins here, not before.
        let forked_from = match fault.forked_from {
            Some(_) => Some(stack.chain.height().await? + 1),
            None => None,
        };
        for proxy in proxies.into_iter().flatten() {
            proxy.set(Faults {
                forked_from,
                ..fault.clone()
            });
        }
        let leverage = if round % 2 == 0 { 15_000 } else { -15_000 };
        let reach = trade_and_follow(&stack, &master, "ETH-USD", leverage).await;
        let reach = reach.map_err(|error| error.context(format!("with an endpoint that is {name}")))?;
        let held = size(&stack, master.vault, account, 0).await?;
        assert_eq!(
            held.signum(),
            i128::from(leverage.signum()),
            "with an endpoint that is {name}: {reach}"
        );
        nav_equals_chain(&stack, &master)
            .await
            .map_err(|error| error.context(format!("with an endpoint that is {name}")))?;
    }
    for proxy in proxies.into_iter().flatten() {
        proxy.set(Faults::default());
        assert!(proxy.misbehaved() > 0, "an endpoint was never asked");
    }
    trade_and_follow(&stack, &master, "ETH-USD", 5_000).await?;
    nav_equals_chain(&stack, &master).await?;
    stack.verify_index().await
}

/// As large a file as the database is now: the next page does not fit any more.
fn full_disk(program: Program, database: &std::path::Path) -> anyhow::Result<Program> {
    let size = std::fs::metadata(database)?.len();
    Ok(Program {
        file_size_limit: Some(size.max(4_096)),
        ..program
    })
}

#[tokio::test]
async fn a_full_disk_stops_a_process_and_spoils_nothing() -> anyhow::Result<()> {
    let (mut stack, master, account) = with_one_follower(StackOptions::default()).await?;
    trade_and_follow(&stack, &master, "ETH-USD", 10_000).await?;
    nav_equals_chain(&stack, &master).await?;

    stack.kill_indexer().await?;
    stack.kill_keeper().await?;
    let indexer = full_disk(stack.indexer_program()?, &stack.services.indexer_database())?.start()?;
    let keeper = full_disk(stack.keeper_program()?, &stack.services.keeper_database())?.start()?;
    let block = master.trade(&stack, "ETH-USD", -20_000).await?;
    stack.blocks(5).await?;
    indexer.kill().await?;
    keeper.kill().await?;

    stack.start_indexer()?;
    stack.start_keeper()?;
    followed(&stack, &master, "ETH-USD", block).await?;
    assert!(size(&stack, master.vault, account, 0).await? < 0);
    nav_equals_chain(&stack, &master).await?;
    stack.verify_index().await
}

#[tokio::test]
async fn a_corrupt_database_is_named_and_can_be_made_anew() -> anyhow::Result<()> {
    let (mut stack, master, account) = with_one_follower(StackOptions::default()).await?;
    trade_and_follow(&stack, &master, "ETH-USD", 10_000).await?;
    nav_equals_chain(&stack, &master).await?;
    stack.kill_indexer().await?;
    stack.kill_keeper().await?;
    for (database, program) in [
        (stack.services.indexer_database(), stack.indexer_program()?),
        (stack.services.keeper_database(), stack.keeper_program()?),
    ] {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
        }
        std::fs::write(&database, vec![0xa5; 64 * 1024])?;
        let mut process = program.start()?;
        let status = tokio::time::timeout(PATIENCE, process.wait()).await??;
        assert!(
            !status.success(),
            "{} started on a corrupt database",
            program.name
        );
        let said = program.last_lines(10);
        assert!(
            said.contains("database") || said.contains("journal") || said.contains("store"),
            "{} did not say what is wrong:\n{said}",
            program.name
        );
        std::fs::remove_file(&database)?;
    }
    // What was in them is on the chain. The API still has the old file open.
    if let Some(api) = stack.api.take() {
        api.stop().await?;
    }
    stack.start_indexer()?;
    stack.start_keeper()?;
    stack.start_api().await?;
    let before = size(&stack, master.vault, account, 0).await?;
    trade_and_follow(&stack, &master, "ETH-USD", 20_000).await?;
    assert!(size(&stack, master.vault, account, 0).await? > before);
    nav_equals_chain(&stack, &master).await?;
    stack.verify_index().await
}
