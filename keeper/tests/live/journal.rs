//! What cannot be written down is not done: the whole process on a journal that takes no more.

use std::path::Path;
use std::process::ExitStatus;

use alloy::providers::Provider as _;
use anyhow::Context as _;
use lockstep_contracts::bindings::IStrategyVault;
use lockstep_contracts::digest::Domains;
use lockstep_contracts::relay::RelayState;
use lockstep_devnet::chain::TRANSACTION_GAS_LIMIT;
use lockstep_devnet::followers::follow_call;
use lockstep_devnet::process::{Program, eventually};
use lockstep_devnet::stack::{Master, PATIENCE, Stack};
use lockstep_keeper::journal::Journal;

use crate::common::{ETH, follow, keeper_with, looked_again, settled};

/// The same program, that can write no file beyond so many bytes and is told so instead of being killed: what a quota
/// does, and as near to a full disk as one comes without being root.
fn with_quota(program: Program, bytes: u64, log: &Path) -> Program {
    let script = format!("trap '' XFSZ; exec prlimit --fsize={bytes} \"$0\" \"$@\"");
    let keeper = program.path.to_string_lossy().into_owned();
    let arguments = ["-c".to_owned(), script, keeper]
        .into_iter()
        .chain(program.arguments)
        .collect();
    Program {
        path: "/bin/sh".into(),
        arguments,
        log: log.to_owned(),
        ..program
    }
}

async fn ended(program: &Program) -> anyhow::Result<(ExitStatus, String)> {
    let mut process = program.start()?;
    let status = tokio::time::timeout(PATIENCE, process.wait()).await??;
    Ok((status, program.last_lines(100)))
}

async fn sent(stack: &Stack) -> anyhow::Result<u64> {
    let keeper = stack.keeper_account.address();
    let provider = stack.chain.provider();
    Ok(provider.get_transaction_count(keeper).pending().await?)
}

async fn size(stack: &Stack, master: &Master, account: u32) -> anyhow::Result<i128> {
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    Ok(i128::try_from(vault.positionView(account, 0).call().await?.size)?)
}

#[tokio::test]
async fn a_journal_that_takes_no_more_ends_the_keeper_before_it_sends() -> anyhow::Result<()> {
    let mut stack = keeper_with("").await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(1)?;
    let account = follow(&stack, &follower, stack.mandate(&follower, &master, 1_000)).await?;
    looked_again(&stack, 5).await?;
    stack.kill_keeper().await?;

    let journal = stack.services.keeper_database();
    let log = std::fs::metadata(format!("{}-wal", journal.display()))?.len();
    let written = std::fs::metadata(&journal)?.len().max(log);
    let path = stack.directory().join("logs/quota.log");
    let program = with_quota(stack.keeper_program()?, written, &path);
    master.trade(&stack, ETH, 20_000).await?;
    let before = sent(&stack).await?;
    let (status, said) = ended(&program).await?;
    assert_eq!(status.code(), Some(1), "{said}");
    let last = said.lines().skip_while(|line| !line.starts_with("error: "));
    let last = last.collect::<Vec<_>>().join("\n");
    assert!(last.contains(&journal.display().to_string()), "{said}");
    assert!(last.contains("start again"), "what is there to do? {said}");
    stack.blocks(3).await?;
    assert_eq!(sent(&stack).await?, before, "sent, but not written: {said}");
    assert_eq!(size(&stack, &master, account).await?, 0);

    // With room again it goes on where it was.
    stack.start_keeper()?;
    eventually("the follower to be moved", PATIENCE, async || {
        Ok((size(&stack, &master, account).await? > 0).then_some(()))
    })
    .await?;
    assert_eq!(sent(&stack).await?, before + 1);
    Ok(())
}

#[tokio::test]
async fn a_damaged_journal_is_named_and_nothing_is_sent() -> anyhow::Result<()> {
    let mut stack = keeper_with("").await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(1)?;
    let account = follow(&stack, &follower, stack.mandate(&follower, &master, 1_000)).await?;
    looked_again(&stack, 5).await?;
    stack.kill_keeper().await?;
    let journal = stack.services.keeper_database();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", journal.display()));
    }
    std::fs::write(&journal, vec![0xa5; 64 * 1024])?;
    master.trade(&stack, ETH, 20_000).await?;
    let before = sent(&stack).await?;
    let (status, said) = ended(&stack.keeper_program()?).await?;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains(&journal.display().to_string()) && said.contains("move it away"),
        "{said}"
    );
    stack.blocks(3).await?;
    assert_eq!(sent(&stack).await?, before, "{said}");

    // As it says: moved away, the chain knows what was done.
    std::fs::rename(&journal, journal.with_extension("damaged"))?;
    stack.start_keeper()?;
    eventually("the follower to be moved", PATIENCE, async || {
        Ok((size(&stack, &master, account).await? > 0).then_some(()))
    })
    .await?;
    assert_eq!(sent(&stack).await?, before + 1);
    Ok(())
}

/// A job that could never be mined queues what it carried again, and somebody else may have carried that meanwhile.
#[tokio::test]
async fn a_queued_follow_that_somebody_else_carried_is_done_and_not_refused() -> anyhow::Result<()> {
    let mut stack = keeper_with("").await?;
    let master = stack.master(0).await?;
    looked_again(&stack, 1).await?;
    stack.kill_keeper().await?;
    let follower = stack.follower(1)?;
    let mandate = stack.mandate(&follower, &master, 1_000);
    let signed = stack.sign_funded(&follower, mandate).await?;
    let id = Domains::from(&stack.deployment).mandate(&signed);
    let journal = Journal::open(&stack.services.keeper_database(), false).await?;
    journal
        .accept(id, "mandate", &serde_json::to_string(&signed)?)
        .await?;
    journal.close().await;
    let receipt = stack
        .chain
        .execute(
            &stack.owner,
            stack.deployment.engine,
            &follow_call(&signed),
            TRANSACTION_GAS_LIMIT,
        )
        .await?;
    stack.start_keeper()?;
    let done = RelayState::Included {
        transaction: receipt.transaction_hash,
        block: receipt.block_number.context("a receipt without a block")?,
    };
    assert_eq!(settled(&stack, id).await?, done);
    // And the account is moved with its master like any other.
    master.trade(&stack, ETH, 20_000).await?;
    eventually("the follower to be moved", PATIENCE, async || {
        Ok((size(&stack, &master, 1).await? != 0).then_some(()))
    })
    .await
}
