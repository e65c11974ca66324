//! A stack with nothing but a keeper, and its door.

use alloy::primitives::{B256, U256};
use anyhow::Context as _;
use lockstep_contracts::bindings::{IMirrorEngine, IStrategyVault};
use lockstep_contracts::relay::{Mandate, RelayState, RelayStatus, SignedMandate};
use lockstep_devnet::chain::TRANSACTION_GAS_LIMIT;
use lockstep_devnet::followers::{Follower, follow_call};
use lockstep_devnet::process::eventually;
use lockstep_devnet::setup::mint_all;
use lockstep_devnet::stack::{Master, PATIENCE, Stack, StackOptions};
use serde::Serialize;
use serde_json::Value;

pub(crate) const ETH: &str = "ETH-USD";
/// What the local stack gives the keeper.
const KEEPER_TOKEN: &str = "local-relay-token-of-the-development-stack";

/// A stack with nothing but a keeper.
pub(crate) async fn keeper_only(options: StackOptions) -> anyhow::Result<Stack> {
    Stack::with(StackOptions {
        keeper: true,
        indexer: false,
        api: false,
        ..options
    })
    .await
}

/// The same, with a keeper that looks often.
pub(crate) async fn keeper_with(configuration: &str) -> anyhow::Result<Stack> {
    keeper_only(StackOptions {
        keeper_extra: format!("[pace]\npoll_ms = 100\nlook_seconds = 1\n{configuration}"),
        ..StackOptions::default()
    })
    .await
}

/// The answer of the keeper's door, which opens some time after the process has started.
pub(crate) async fn post<T: Serialize + Sync>(
    stack: &Stack,
    path: &str,
    body: &T,
) -> anyhow::Result<(u16, Value)> {
    let url = stack.services.keeper_url()?.join(path)?;
    eventually("the keeper's door", PATIENCE, async || {
        let answer = reqwest::Client::new()
            .post(url.clone())
            .bearer_auth(KEEPER_TOKEN)
            .json(body)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(Some((
                answer.status().as_u16(),
                answer.json().await.unwrap_or_default(),
            ))),
            Err(error) if error.is_connect() => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// What the keeper's door answers, whatever its status.
pub(crate) async fn get(stack: &Stack, path: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&text(stack, path).await?)?)
}

/// The same as text.
pub(crate) async fn text(stack: &Stack, path: &str) -> anyhow::Result<String> {
    let url = stack.services.keeper_url()?.join(path)?;
    let answer = reqwest::Client::new().get(url).bearer_auth(KEEPER_TOKEN).send();
    Ok(answer.await?.text().await?)
}

/// Waits until the keeper has completed looks at this many more blocks: what it was to do again, it would have done.
pub(crate) async fn looked_again(stack: &Stack, blocks: u64) -> anyhow::Result<()> {
    let wanted = stack.chain.height().await? + blocks;
    eventually(
        &format!("the keeper to look at block {wanted}"),
        PATIENCE,
        async || {
            let health = get(stack, "healthz").await?;
            let settled = health.get("jobsInFlight").and_then(Value::as_u64) == Some(0);
            let block = health.get("block").and_then(Value::as_u64).unwrap_or(0);
            Ok((settled && block >= wanted).then_some(()))
        },
    )
    .await
}

/// Where a relayed item stands; nothing while the door is shut or does not know it.
async fn status(stack: &Stack, id: B256) -> anyhow::Result<Option<RelayStatus>> {
    let url = stack.services.keeper_url()?.join(&format!("v1/relay/{id}"))?;
    match reqwest::Client::new()
        .get(url)
        .bearer_auth(KEEPER_TOKEN)
        .send()
        .await
    {
        Ok(answer) if answer.status().is_success() => Ok(Some(answer.json().await?)),
        _ => Ok(None),
    }
}

/// Waits until a relayed item is in a block or refused.
pub(crate) async fn settled(stack: &Stack, id: B256) -> anyhow::Result<RelayState> {
    eventually("a relayed item to be settled", PATIENCE, async || {
        Ok(status(stack, id)
            .await?
            .map(|status| status.state)
            .filter(|state| matches!(state, RelayState::Included { .. } | RelayState::Rejected { .. })))
    })
    .await
}

/// Hands a mandate to the keeper.
pub(crate) async fn relay(stack: &Stack, signed: &SignedMandate) -> anyhow::Result<B256> {
    let (code, body) = post(stack, "v1/relay/mandate", signed).await?;
    anyhow::ensure!(code == 202, "{code}: {body}");
    Ok(serde_json::from_value::<RelayStatus>(body)?.id)
}

/// Relays the mandate through the keeper and waits for the chain. Gives the account.
pub(crate) async fn follow(stack: &Stack, follower: &Follower, mandate: Mandate) -> anyhow::Result<u32> {
    let vault = IStrategyVault::new(mandate.strategy, stack.chain.provider());
    let signed = stack.sign_funded(follower, mandate).await?;
    let state = settled(stack, relay(stack, &signed).await?).await?;
    anyhow::ensure!(matches!(state, RelayState::Included { .. }), "{state:?}");
    Ok(vault.accountOf(follower.address()).call().await?)
}

/// Everyone follows for the first time, many in a transaction and without the keeper.
pub(crate) async fn follow_many(
    stack: &Stack,
    master: &Master,
    mandates: &[(Follower, Mandate)],
) -> anyhow::Result<()> {
    let owed = mandates
        .iter()
        .map(|(_, mandate)| (mandate.follower, mandate.deposit));
    mint_all(&stack.chain, stack.deployment.usdc, &stack.owner, owed).await?;
    let mut calls = Vec::new();
    for (follower, mandate) in mandates {
        let mut signed = follower.sign_mandate(&stack.deployment, mandate.clone())?;
        let permit = follower.sign_token_permit(&stack.deployment, U256::ZERO, mandate.expiry)?;
        signed.token_permit = Some(permit);
        let call = follow_call(&signed);
        calls.push((call.signed, call.permit));
    }
    for part in calls.chunks(30) {
        let (signed, permits) = part.iter().cloned().unzip();
        let call = IMirrorEngine::followManyCall { signed, permits };
        let engine = stack.deployment.engine;
        stack
            .chain
            .execute(&stack.keeper_account, engine, &call, TRANSACTION_GAS_LIMIT)
            .await?;
    }
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    let accounts = usize::try_from(vault.accountCount().call().await?)?;
    anyhow::ensure!(
        accounts == mandates.len(),
        "{accounts} of {} followed",
        mandates.len()
    );
    Ok(())
}

/// What the keeper has said.
pub(crate) fn log(stack: &Stack) -> anyhow::Result<String> {
    Ok(stack
        .keeper
        .as_ref()
        .context("no keeper runs")?
        .program()
        .last_lines(400))
}
