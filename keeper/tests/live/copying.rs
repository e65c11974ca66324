//! Followers are moved with their master, through relays, restarts, reorganisations and faulty endpoints.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use alloy::providers::Provider as _;
use anyhow::Context as _;
use lockstep_contracts::bindings::{IMasterRegistry, IMirrorEngine, IStrategyVault};
use lockstep_contracts::relay::{Intent, RelayState, SignedIntent, SignedMandate};
use lockstep_devnet::chain::wall_clock;
use lockstep_devnet::followers::{Follower, wide_mandate};
use lockstep_devnet::genesis::Role;
use lockstep_devnet::masters::MASTERS;
use lockstep_devnet::process::eventually;
use lockstep_devnet::proxy::Faults;
use lockstep_devnet::stack::{Master, PATIENCE, Stack, StackOptions};
use serde_json::Value;

use crate::common::{ETH, follow, keeper_only, post, relay, settled};

async fn join(stack: &Stack, master: &Master, index: u64, deposit: u64) -> anyhow::Result<(Follower, u32)> {
    let follower = stack.follower(index)?;
    let mandate = stack.mandate(&follower, master, deposit);
    let account = follow(stack, &follower, mandate).await?;
    Ok((follower, account))
}

async fn size(stack: &Stack, master: &Master, account: u32) -> anyhow::Result<i128> {
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    Ok(i128::try_from(vault.positionView(account, 0).call().await?.size)?)
}

/// Leverage of an account in ETH, bps, when it is within a tenth of what is wanted.
async fn at_leverage(stack: &Stack, master: &Master, account: u32, wanted_bps: i128) -> anyhow::Result<i128> {
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    eventually(
        &format!("account {account} at {wanted_bps} bps"),
        PATIENCE,
        async || {
            let size = size(stack, master, account).await?;
            let equity = i128::try_from(vault.equityOf(account).call().await?)?;
            let price = i128::from(stack.venue.price(&stack.chain, ETH).await?);
            // 1e18 × 1e8 / 1e20 = 1e6
            let bps = size / 1_000_000_000_000 * price * 10_000 / 100_000_000 / equity.max(1);
            let near = (bps - wanted_bps).abs() <= wanted_bps.abs() / 10 + 20;
            Ok(near.then_some(size))
        },
    )
    .await
}

async fn batches(stack: &Stack, master: &Master) -> anyhow::Result<usize> {
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    Ok(vault.BatchMirrored_filter().from_block(0).query().await?.len())
}

#[tokio::test]
async fn a_follower_is_moved_with_the_master_and_stops() -> anyhow::Result<()> {
    let stack = keeper_only(StackOptions::default()).await?;
    let master = stack.master(0).await?;
    let (follower, account) = join(&stack, &master, 1, 1_000).await?;
    master.trade(&stack, ETH, 20_000).await?;
    at_leverage(&stack, &master, account, 20_000).await?;
    master.trade(&stack, ETH, -10_000).await?;
    at_leverage(&stack, &master, account, -10_000).await?;

    // Who joins late is brought to the master's present state at once.
    let (_, late) = join(&stack, &master, 2, 2_000).await?;
    at_leverage(&stack, &master, late, -10_000).await?;

    let stop = Intent::Stop {
        follower: follower.address(),
        strategy: master.vault,
        nonce: alloy::primitives::U256::from(77),
        deadline: alloy::primitives::U256::MAX,
    };
    let signed: SignedIntent = follower.sign_intent(&stack.deployment, stop)?;
    let (code, body) = post(&stack, "v1/relay/intent", &signed).await?;
    assert_eq!(code, 202, "{body}");
    let again = post(&stack, "v1/relay/intent", &signed).await?;
    assert_eq!(again.0, 202, "the same item again is the same item");
    assert_eq!(again.1.get("id"), body.get("id"));
    eventually("the stopped account to be closed", PATIENCE, async || {
        Ok((size(&stack, &master, account).await? == 0).then_some(()))
    })
    .await?;
    assert_ne!(size(&stack, &master, late).await?, 0);
    Ok(())
}

#[tokio::test]
async fn killed_and_restarted_it_goes_to_the_last_state_and_repeats_nothing() -> anyhow::Result<()> {
    let mut stack = keeper_only(StackOptions::default()).await?;
    let master = stack.master(0).await?;
    let (_, account) = join(&stack, &master, 1, 1_000).await?;
    stack.kill_keeper().await?;
    let before = batches(&stack, &master).await?;
    for leverage in [10_000, 30_000, -20_000] {
        master.trade(&stack, ETH, leverage).await?;
    }
    stack.start_keeper()?;
    at_leverage(&stack, &master, account, -20_000).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        batches(&stack, &master).await?,
        before + 1,
        "three trades missed, one batch"
    );
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_takes_and_never_answers_moves_nobody_twice() -> anyhow::Result<()> {
    let options = StackOptions {
        proxies: true,
        keeper_extra: "[pace]\npoll_ms = 100\nlook_seconds = 1\n[confirm]\nstall_seconds = 2\n".into(),
        ..StackOptions::default()
    };
    let stack = keeper_only(options).await?;
    let master = stack.master(0).await?;
    let (_, account) = join(&stack, &master, 1, 1_000).await?;
    let proxy = stack.keeper_proxy.as_ref().context("proxy")?;
    proxy.set(Faults {
        swallow_send_answers: true,
        ..Faults::default()
    });
    let before = batches(&stack, &master).await?;
    master.trade(&stack, ETH, 20_000).await?;
    at_leverage(&stack, &master, account, 20_000).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(batches(&stack, &master).await?, before + 1);
    Ok(())
}

#[tokio::test]
async fn endpoints_that_lag_or_boast_or_fork_are_avoided() -> anyhow::Result<()> {
    let options = StackOptions {
        proxies: true,
        ..StackOptions::default()
    };
    let stack = keeper_only(options).await?;
    let master = stack.master(0).await?;
    let (_, account) = join(&stack, &master, 1, 1_000).await?;
    let proxy = stack.keeper_proxy.as_ref().context("proxy")?;
    proxy.set(Faults {
        down: true,
        ..Faults::default()
    });
    master.trade(&stack, ETH, 20_000).await?;
    at_leverage(&stack, &master, account, 20_000).await?;
    proxy.set(Faults {
        lag: 20,
        ..Faults::default()
    });
    master.trade(&stack, ETH, 10_000).await?;
    at_leverage(&stack, &master, account, 10_000).await?;
    proxy.set(Faults {
        one_error_in: 3,
        ..Faults::default()
    });
    master.trade(&stack, ETH, -10_000).await?;
    at_leverage(&stack, &master, account, -10_000).await?;
    Ok(())
}

#[tokio::test]
async fn a_reorganisation_is_repaired() -> anyhow::Result<()> {
    let stack = keeper_only(StackOptions::default()).await?;
    let master = stack.master(0).await?;
    let (_, account) = join(&stack, &master, 1, 1_000).await?;
    master.trade(&stack, ETH, 20_000).await?;
    at_leverage(&stack, &master, account, 20_000).await?;
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    let batch = async || -> anyhow::Result<Option<(u64, B256)>> {
        // A look between the reorganisation and its being noticed may send another: it finds everybody where they belong.
        let mut events = vault.BatchMirrored_filter().from_block(0).query().await?;
        events.retain(|(batch, _)| !batch.netSize.is_zero());
        anyhow::ensure!(events.len() <= 1, "{} batches moved somebody", events.len());
        Ok(events
            .first()
            .and_then(|(_, log)| Some((log.block_number?, log.block_hash?))))
    };
    let (block, gone) = eventually("the batch's log", PATIENCE, batch).await?;
    // A block that comes between the question and the reorganisation leaves the batch where it was: once more then.
    eventually("the batch to be reorganised away", PATIENCE, async || {
        let depth = stack.chain.height().await? - block + 1;
        stack.chain.reorg(depth).await?;
        Ok(batch().await?.is_none_or(|(_, hash)| hash != gone).then_some(()))
    })
    .await?;
    eventually("the batch to be mined again", PATIENCE, async || {
        Ok(batch().await?.map(|_| ()))
    })
    .await?;
    at_leverage(&stack, &master, account, 20_000).await?;
    let log = stack.keeper.as_ref().context("keeper")?.program().last_lines(400);
    // Whether the keeper had seen the batch in its block before it went, or only misses it in the pool.
    assert!(
        log.contains("reorganised away") || log.contains("handed over again"),
        "{log}"
    );
    batch().await?.context("the batch is gone again")?;
    Ok(())
}

#[tokio::test]
async fn bad_items_are_refused_with_stable_codes() -> anyhow::Result<()> {
    let stack = keeper_only(StackOptions::default()).await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(1)?;
    let refused = async |signed: &SignedMandate| -> anyhow::Result<(u16, String)> {
        let (code, body) = post(&stack, "v1/relay/mandate", signed).await?;
        Ok((
            code,
            body.get("code")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        ))
    };
    let good = stack.mandate(&follower, &master, 100);

    let mut poor = follower.sign_mandate(&stack.deployment, good.clone())?;
    assert_eq!(refused(&poor).await?, (422, "insufficient-balance".into()));
    poor.signature = stack
        .follower(2)?
        .sign_mandate(&stack.deployment, good.clone())?
        .signature;
    assert_eq!(refused(&poor).await?, (422, "signature-invalid".into()));

    let mut signed = stack.sign_funded(&follower, good.clone()).await?;
    let permit = signed.token_permit.take();
    assert_eq!(refused(&signed).await?, (422, "insufficient-allowance".into()));
    signed.token_permit = permit;
    signed.mandate.expiry = 1;
    assert_eq!(refused(&signed).await?, (422, "mandate-expired".into()));

    let mut stranger = good.clone();
    stranger.strategy = stack.deployment.engine;
    let stranger = follower.sign_mandate(&stack.deployment, stranger)?;
    assert_eq!(refused(&stranger).await?, (422, "unknown-strategy".into()));

    let mut unlisted = good.clone();
    unlisted.allowed_markets = vec!["DOGE-USD".into()];
    let unlisted = stack.sign_funded(&follower, unlisted).await?;
    assert_eq!(refused(&unlisted).await?, (422, "market-not-listed".into()));

    let (code, body) = post(&stack, "v1/relay/mandate", &serde_json::json!({"mandate": 1})).await?;
    assert_eq!(
        (code, body.get("code").and_then(Value::as_str)),
        (400, Some("malformed"))
    );
    Ok(())
}

#[tokio::test]
async fn a_stalled_batch_is_replaced_at_the_same_nonce() -> anyhow::Result<()> {
    let options = StackOptions {
        keeper_extra: "[pace]\npoll_ms = 100\nlook_seconds = 1\n[confirm]\nstall_seconds = 1\n".into(),
        ..StackOptions::default()
    };
    let stack = keeper_only(options).await?;
    let master = stack.master(0).await?;
    let (_, account) = join(&stack, &master, 1, 1_000).await?;
    let keeper = stack.keeper_account.address();
    let provider = stack.chain.provider();
    let nonce = provider.get_transaction_count(keeper).await?;
    // From here on nobody mines but the test.
    let () = provider.raw_request("evm_setIntervalMining".into(), [0]).await?;
    master_pending(&stack, &master).await?;
    // A block that is too dear for the batch: without a block nobody could have mined it, and no fee would be raised.
    let dear = alloy::primitives::U256::from(40_000_000_000_u64);
    let () = provider
        .raw_request("anvil_setNextBlockBaseFeePerGas".into(), [dear])
        .await?;
    stack.chain.mine(1).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let () = provider.raw_request("evm_setAutomine".into(), [true]).await?;
    stack.chain.mine(1).await?;
    at_leverage(&stack, &master, account, 10_000).await?;
    let after = provider.get_transaction_count(keeper).await?;
    assert!(after > nonce);
    let log = stack.keeper.as_ref().context("keeper")?.program().last_lines(400);
    assert!(log.contains("fee raised"), "{log}");
    Ok(())
}

/// Trades with mining off: the trade is mined by hand, what the keeper sends is not.
async fn master_pending(stack: &Stack, master: &Master) -> anyhow::Result<()> {
    let trade = master.trade(stack, ETH, 10_000);
    let mine = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stack.chain.mine(1).await
    };
    let (traded, mined) = tokio::join!(trade, mine);
    traded?;
    mined
}

#[tokio::test]
async fn a_signal_the_keeper_attests_moves_followers_of_a_master_without_a_source() -> anyhow::Result<()> {
    let stack = keeper_only(StackOptions::default()).await?;
    let plan = MASTERS.first().context("a plan")?.clone();
    let account = Role::Master(0).account()?;
    let call = plan.registration(stack.deployment.venue, Address::ZERO, vec![0]);
    stack
        .chain
        .execute(&account, stack.deployment.registry, &call, 3_000_000)
        .await?;
    let registry = IMasterRegistry::new(stack.deployment.registry, stack.chain.provider());
    let logs = registry.VaultCreated_filter().from_block(0).query().await?;
    let created = logs.last().context("a vault")?.0.clone();

    let follower = stack.follower(1)?;
    let mandate = wide_mandate(
        follower.address(),
        created.vault,
        &[ETH],
        1_000_000_000,
        wall_clock(),
    );
    let signed = stack.sign_funded(&follower, mandate).await?;
    let state = settled(&stack, relay(&stack, &signed).await?).await?;
    assert!(matches!(state, RelayState::Included { .. }), "{state:?}");

    let vault = IStrategyVault::new(created.vault, stack.chain.provider());
    for (leverage, sign) in [("1.5", 1), ("-0.5", -1)] {
        let body = serde_json::json!({
            "strategyId": u64::try_from(created.strategyId)?,
            "market": 0,
            "leverage": leverage,
            "observedAt": stack.chain.time().await? * 1_000,
        });
        let (code, answer) = post(&stack, "v1/signal", &body).await?;
        assert_eq!(code, 202, "{answer}");
        eventually("the signal to be mirrored", PATIENCE, async || {
            let size = i128::try_from(vault.positionView(1, 0).call().await?.size)?;
            Ok((size.signum() == sign).then_some(()))
        })
        .await?;
    }
    let engine = IMirrorEngine::new(stack.deployment.engine, stack.chain.provider());
    let stored = engine.signalOf(created.strategyId, 0).call().await?;
    assert_eq!((stored.sequence, stored.proof), (2, 2));
    Ok(())
}
