//! A stack with nothing but a keeper, and its door.

use alloy::primitives::B256;
use anyhow::Context as _;
use lockstep_contracts::bindings::IStrategyVault;
use lockstep_contracts::relay::{Mandate, RelayState, RelayStatus};
use lockstep_devnet::followers::Follower;
use lockstep_devnet::process::eventually;
use lockstep_devnet::stack::{PATIENCE, Stack, StackOptions};
use serde::Serialize;
use serde_json::Value;

pub(crate) const ETH: &str = "ETH-USD";
/// What the local stack gives the keeper.
const KEEPER_TOKEN: &str = "local-relay-token-of-the-development-stack";

pub(crate) async fn keeper_with(configuration: &str) -> anyhow::Result<Stack> {
    Stack::with(StackOptions {
        keeper: true,
        indexer: false,
        api: false,
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

async fn get(stack: &Stack, path: &str) -> anyhow::Result<Value> {
    let url = stack.services.keeper_url()?.join(path)?;
    let answer = reqwest::Client::new().get(url).bearer_auth(KEEPER_TOKEN).send();
    Ok(answer.await?.json().await?)
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

/// Relays the mandate through the keeper and waits for the chain. Gives the account.
pub(crate) async fn follow(stack: &Stack, follower: &Follower, mandate: Mandate) -> anyhow::Result<u32> {
    let vault = IStrategyVault::new(mandate.strategy, stack.chain.provider());
    let signed = stack.sign_funded(follower, mandate).await?;
    let (code, body) = post(stack, "v1/relay/mandate", &signed).await?;
    anyhow::ensure!(code == 202, "{code}: {body}");
    let id: B256 = serde_json::from_value::<RelayStatus>(body)?.id;
    let state = eventually("a mandate to be settled", PATIENCE, async || {
        let status: RelayStatus = serde_json::from_value(get(stack, &format!("v1/relay/{id}")).await?)?;
        let settled = matches!(
            status.state,
            RelayState::Included { .. } | RelayState::Rejected { .. }
        );
        Ok(settled.then_some(status.state))
    })
    .await?;
    anyhow::ensure!(matches!(state, RelayState::Included { .. }), "{state:?}");
    Ok(vault.accountOf(follower.address()).call().await?)
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
