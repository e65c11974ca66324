//! Signals the keeper attests, for masters the chain cannot read.

use alloy::primitives::{Address, U256};
use anyhow::Context as _;
use lockstep_contracts::bindings::{IMasterRegistry, IMirrorEngine, IStrategyVault};
use lockstep_devnet::chain::wall_clock;
use lockstep_devnet::followers::{USDC, wide_mandate};
use lockstep_devnet::genesis::Role;
use lockstep_devnet::masters::MASTERS;
use lockstep_devnet::process::eventually;
use lockstep_devnet::stack::{PATIENCE, Stack};
use serde_json::Value;

use crate::common::{ETH, follow, keeper_with, log, looked_again, post};

/// `Proof` of `LockstepTypes.sol`.
const KEEPER: u8 = 2;

/// A strategy whose master the chain cannot read.
pub(crate) struct Signed {
    pub(crate) id: U256,
    pub(crate) vault: Address,
}

pub(crate) async fn register(stack: &Stack) -> anyhow::Result<Signed> {
    let plan = MASTERS.first().context("a plan")?;
    let account = Role::Master(0).account()?;
    let call = plan.registration(stack.deployment.venue, Address::ZERO, vec![0]);
    stack
        .chain
        .execute(&account, stack.deployment.registry, &call, 6_000_000)
        .await?;
    let registry = IMasterRegistry::new(stack.deployment.registry, stack.chain.provider());
    let logs = registry.VaultCreated_filter().from_block(0).query().await?;
    let (created, _) = logs.last().context("no vault")?;
    Ok(Signed {
        id: created.strategyId,
        vault: created.vault,
    })
}

pub(crate) async fn join(stack: &Stack, strategy: &Signed, index: u64) -> anyhow::Result<u32> {
    let follower = stack.follower(index)?;
    let mandate = wide_mandate(
        follower.address(),
        strategy.vault,
        &[ETH],
        1_000 * USDC,
        wall_clock(),
    );
    follow(stack, &follower, mandate).await
}

async fn signal(stack: &Stack, strategy: &Signed, leverage: &str, observed_at: u64) -> anyhow::Result<()> {
    let body = serde_json::json!({
        "strategyId": u64::try_from(strategy.id)?,
        "market": 0,
        "leverage": leverage,
        "observedAt": observed_at,
    });
    let (code, answer) = post(stack, "v1/signal", &body).await?;
    anyhow::ensure!(code == 202, "{code}: {answer}");
    Ok(())
}

pub(crate) async fn stored(stack: &Stack, strategy: &Signed) -> anyhow::Result<IMirrorEngine::StoredSignal> {
    let engine = IMirrorEngine::new(stack.deployment.engine, stack.chain.provider());
    Ok(engine.signalOf(strategy.id, 0).call().await?)
}

/// Waits for a side: the sign of an account's size.
pub(crate) async fn on_side(
    stack: &Stack,
    strategy: &Signed,
    account: u32,
    sign: i128,
) -> anyhow::Result<()> {
    let vault = IStrategyVault::new(strategy.vault, stack.chain.provider());
    eventually(
        &format!("account {account} to be on side {sign}"),
        PATIENCE,
        async || {
            let size = i128::try_from(vault.positionView(account, 0).call().await?.size)?;
            Ok((size.signum() == sign).then_some(()))
        },
    )
    .await
}

#[tokio::test]
async fn a_signal_before_the_first_follower_moves_who_comes_later() -> anyhow::Result<()> {
    let mut stack = keeper_with("").await?;
    let strategy = register(&stack).await?;
    // The keeper must have read the registration.
    looked_again(&stack, 3).await?;
    let observed_at = stack.chain.time().await? * 1_000;
    signal(&stack, &strategy, "1.5", observed_at).await?;
    looked_again(&stack, 3).await?;
    // The contract takes no signal without an account: it waits in the journal, and outlives the process.
    assert_eq!(stored(&stack, &strategy).await?.sequence, 0);
    stack.kill_keeper().await?;
    stack.start_keeper()?;

    let first = join(&stack, &strategy, 1).await?;
    on_side(&stack, &strategy, first, 1).await?;
    looked_again(&stack, 3).await?;
    let signal_stored = stored(&stack, &strategy).await?;
    assert_eq!(
        (
            signal_stored.sequence,
            signal_stored.observedAt,
            signal_stored.proof
        ),
        (1, observed_at, KEEPER),
        "{}",
        log(&stack)?
    );

    // Who comes later still is moved on what is stored: no further signal is needed.
    let second = join(&stack, &strategy, 2).await?;
    on_side(&stack, &strategy, second, 1).await?;
    looked_again(&stack, 3).await?;
    assert_eq!(stored(&stack, &strategy).await?.sequence, 1);
    Ok(())
}

#[tokio::test]
async fn a_signal_that_moves_nobody_is_stored_for_who_comes_later() -> anyhow::Result<()> {
    let stack = keeper_with("").await?;
    let strategy = register(&stack).await?;
    let first = join(&stack, &strategy, 1).await?;
    signal(&stack, &strategy, "-1", stack.chain.time().await? * 1_000).await?;
    on_side(&stack, &strategy, first, -1).await?;
    looked_again(&stack, 3).await?;

    // Within the dead band: nobody moves, and yet the chain has to know.
    let vault = IStrategyVault::new(strategy.vault, stack.chain.provider());
    let held = vault.positionView(first, 0).call().await?.size;
    let observed_at = stack.chain.time().await? * 1_000;
    signal(&stack, &strategy, "-1.001", observed_at).await?;
    eventually("the signal to be stored", PATIENCE, async || {
        Ok((stored(&stack, &strategy).await?.observedAt == observed_at).then_some(()))
    })
    .await?;
    assert_eq!(stored(&stack, &strategy).await?.sequence, 2);
    assert_eq!(vault.positionView(first, 0).call().await?.size, held);

    let second = join(&stack, &strategy, 2).await?;
    on_side(&stack, &strategy, second, -1).await?;
    looked_again(&stack, 3).await?;
    assert_eq!(
        stored(&stack, &strategy).await?.sequence,
        2,
        "nothing is repeated: {}",
        log(&stack)?
    );
    Ok(())
}

#[tokio::test]
async fn a_signal_is_refused_before_it_is_taken_or_not_at_all() -> anyhow::Result<()> {
    let stack = keeper_with("").await?;
    let strategy = register(&stack).await?;
    looked_again(&stack, 3).await?;
    let id = u64::try_from(strategy.id)?;
    let followed_on_chain = stack.master(0).await?.strategy.id;
    let now = stack.chain.time().await? * 1_000;
    for (strategy, market, observed_at, wanted) in [
        (999, 0, now, (422, "unknown-strategy")),
        (followed_on_chain, 0, now, (422, "proven-by-venue")),
        (id, 9, now, (422, "unknown-market")),
        // Microseconds instead of milliseconds: taken, nothing later would ever be.
        (id, 0, now * 1_000, (422, "from-the-future")),
        (id, 0, now + 3_600_000, (422, "from-the-future")),
        (id, 0, now, (202, "")),
        (id, 0, now - 1, (409, "superseded")),
    ] {
        let body = serde_json::json!({
            "strategyId": strategy, "market": market, "leverage": "1", "observedAt": observed_at,
        });
        let (status, answer) = post(&stack, "v1/signal", &body).await?;
        let code = answer.get("code").and_then(Value::as_str).unwrap_or_default();
        assert_eq!((status, code), wanted, "{answer}");
    }
    Ok(())
}

/// Once the chain has stored a signal nothing waits any more, and an older one still does not take its place.
#[tokio::test]
async fn an_older_signal_does_not_replace_one_that_is_stored() -> anyhow::Result<()> {
    let stack = keeper_with("").await?;
    let strategy = register(&stack).await?;
    let account = join(&stack, &strategy, 1).await?;
    let observed_at = stack.chain.time().await? * 1_000;
    signal(&stack, &strategy, "1", observed_at).await?;
    on_side(&stack, &strategy, account, 1).await?;
    looked_again(&stack, 3).await?;
    let body = serde_json::json!({
        "strategyId": u64::try_from(strategy.id)?, "market": 0, "leverage": "-1", "observedAt": observed_at - 1_000,
    });
    let (status, answer) = post(&stack, "v1/signal", &body).await?;
    assert_eq!(
        (status, answer.get("code").and_then(Value::as_str)),
        (409, Some("superseded"))
    );
    looked_again(&stack, 3).await?;
    let kept = stored(&stack, &strategy).await?;
    assert_eq!((kept.sequence, kept.observedAt), (1, observed_at));
    on_side(&stack, &strategy, account, 1).await
}
