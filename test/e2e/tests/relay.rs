//! What followers send through the API: good things happen, bad ones are refused by name and stop nobody else.

use std::time::Duration;

use alloy::primitives::{B256, Bytes, U256};
use anyhow::{Context as _, bail};
use lockstep_contracts::bindings::IStrategyVault;
use lockstep_contracts::relay::{Intent, RelayState, SignedMandate};
use lockstep_devnet::chain::{Account, wall_clock};
use lockstep_devnet::followers::{Follower, USDC, key};
use lockstep_devnet::process::eventually;
use lockstep_devnet::relay::Problem;
use lockstep_devnet::stack::{Master, PATIENCE, Stack};
use lockstep_devnet::venue::Usdc;
use lockstep_e2e::{nav_equals_chain, size, trade_and_follow};
use serde_json::{Value, json};

/// Relays anything, and gives the name under which it was refused, by the API or by the chain.
async fn refused(stack: &Stack, what: &str, body: &Value) -> anyhow::Result<String> {
    match stack
        .api_client
        .post("api/v1/relay/mandate", body)
        .await
        .context(what.to_owned())?
    {
        Err(Problem {
            status, code, fields, ..
        }) => {
            assert!((400..500).contains(&status), "{what}: status {status}");
            assert!(!code.is_empty(), "{what}: a problem without a code");
            Ok(fields
                .into_iter()
                .next()
                .map_or(code.clone(), |(field, kind)| format!("{code} {field} {kind}")))
        }
        Ok(status) => match stack.api_client.settled(status.id, PATIENCE).await? {
            RelayState::Rejected { code, .. } => Ok(code),
            other => bail!("{what} was accepted: {other:?}"),
        },
    }
}

#[tokio::test]
async fn a_list_of_bad_mandates_stops_nobody() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let master = stack.master(0).await?;
    let good = stack.follower(0)?;
    let accepted = stack
        .sign_funded(&good, stack.mandate(&good, &master, 500))
        .await?;
    let bad = stack.follower(1)?;
    let signed = async |change: fn(&mut lockstep_contracts::relay::Mandate)| -> anyhow::Result<Value> {
        let mut mandate = stack.mandate(&bad, &master, 500);
        change(&mut mandate);
        Ok(serde_json::to_value(stack.sign_funded(&bad, mandate).await?)?)
    };
    let altered = async |change: fn(&mut Value)| -> anyhow::Result<Value> {
        let mut value = signed(|_| {}).await?;
        change(&mut value);
        Ok(value)
    };
    let other_chain = {
        let mut elsewhere = stack.deployment.clone();
        elsewhere.chain_id = 1;
        serde_json::to_value(bad.sign_mandate(&elsewhere, stack.mandate(&bad, &master, 500))?)?
    };
    let other_signer = {
        let thief = stack.follower(2)?;
        serde_json::to_value(thief.sign_mandate(&stack.deployment, stack.mandate(&bad, &master, 500))?)?
    };
    let list = [
        ("no JSON object", json!("hello")),
        ("nothing in it", json!({})),
        (
            "a field too many",
            altered(|value| value["mandate"]["extra"] = json!(1)).await?,
        ),
        (
            "an amount that is no number",
            altered(|value| value["mandate"]["deposit"] = json!("1e9")).await?,
        ),
        (
            "a negative amount",
            altered(|value| value["mandate"]["deposit"] = json!("-1")).await?,
        ),
        (
            "a signature that is none",
            altered(|value| value["signature"] = json!("0x1234")).await?,
        ),
        (
            "a signature of zeros",
            altered(|value| value["signature"] = json!(Bytes::from(vec![0; 65]))).await?,
        ),
        (
            "something changed after signing",
            altered(|value| value["mandate"]["ratioBps"] = json!(20_000)).await?,
        ),
        (
            "an expired one",
            signed(|mandate| mandate.expiry = 1_600_000_000).await?,
        ),
        (
            "an unknown market",
            signed(|mandate| mandate.allowed_markets = vec!["DOGE-USD".into()]).await?,
        ),
        (
            "no market at all",
            signed(|mandate| mandate.allowed_markets.clear()).await?,
        ),
        (
            "a ratio beyond the range",
            signed(|mandate| mandate.ratio_bps = 1_000_000).await?,
        ),
        (
            "slippage beyond the range",
            signed(|mandate| mandate.max_slippage_bps = 20_000).await?,
        ),
        (
            "a mode that is not offered",
            signed(|mandate| mandate.mode = 2).await?,
        ),
        (
            "a vault that is none",
            signed(|mandate| mandate.strategy = mandate.follower).await?,
        ),
        ("one for another chain", other_chain),
        ("one by another signer", other_signer),
    ];
    // The good one goes in the middle of them.
    let (before, after) = list.split_at(list.len() / 2);
    let mut names = Vec::new();
    for (what, body) in before {
        names.push((*what, refused(&stack, what, body).await?));
    }
    let status = match stack.api_client.relay_mandate(&accepted).await? {
        Ok(status) => status,
        Err(problem) => bail!("the good one was refused: {problem:?}"),
    };
    for (what, body) in after {
        names.push((*what, refused(&stack, what, body).await?));
    }
    let state = stack.api_client.settled(status.id, PATIENCE).await?;
    assert!(
        matches!(state, RelayState::Included { .. }),
        "{state:?}; refused: {names:#?}"
    );

    // The same again has the same id and is not carried out again; the same nonce with other words is refused.
    match stack.api_client.relay_mandate(&accepted).await? {
        Ok(again) => assert_eq!(again.id, status.id),
        Err(problem) => assert_eq!(problem.code, "already-accepted", "{problem:?}"),
    }
    let mut replayed = stack.mandate(&good, &master, 500);
    replayed.ratio_bps = 5_000;
    let replayed = serde_json::to_value(stack.sign_funded(&good, replayed).await?)?;
    names.push((
        "a nonce that is spent",
        refused(&stack, "a nonce that is spent", &replayed).await?,
    ));

    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    assert_eq!(vault.accountCount().call().await?, 1, "{names:#?}");
    trade_and_follow(&stack, &master, "ETH-USD", 15_000).await?;
    Ok(())
}

async fn settled(stack: &Stack, follower: &Follower, intent: Intent) -> anyhow::Result<RelayState> {
    let signed = follower.sign_intent(&stack.deployment, intent)?;
    match stack.api_client.relay_intent(&signed).await? {
        Ok(status) => stack.api_client.settled(status.id, PATIENCE).await,
        Err(problem) => bail!("{problem:?}"),
    }
}

async fn balance(stack: &Stack, follower: &Follower) -> anyhow::Result<U256> {
    let call = Usdc::balanceOfCall {
        owner: follower.address(),
    };
    stack.chain.view(stack.deployment.usdc, &call).await
}

/// A newcomer with USDC and nothing else: no ether, no allowance.
async fn newcomer(stack: &Stack, master: &Master) -> anyhow::Result<(Follower, u32)> {
    let follower = Follower::new(key("someone new")?);
    let account = stack
        .follow(&follower, stack.mandate(&follower, master, 1_000))
        .await?;
    Ok((follower, account))
}

#[tokio::test]
async fn a_newcomer_follows_updates_stops_and_withdraws_without_gas() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let master = stack.master(0).await?;
    let (follower, account) = newcomer(&stack, &master).await?;
    trade_and_follow(&stack, &master, "ETH-USD", 20_000).await?;
    let full = size(&stack, master.vault, account, 0).await?;
    assert!(full > 0);

    // An update moves no money: half the ratio from now on.
    let mut update = stack.mandate(&follower, &master, 0);
    update.ratio_bps = 5_000;
    update.nonce = U256::from(1);
    assert_eq!(stack.follow(&follower, update).await?, account);
    trade_and_follow(&stack, &master, "ETH-USD", 18_000).await?;
    let half = size(&stack, master.vault, account, 0).await?;
    assert!(
        half > 0 && half * 10 < full * 6,
        "{half} after the update, {full} before"
    );

    let deadline = U256::from(wall_clock() + 3_600);
    let (who, strategy) = (follower.address(), master.vault);
    let stop = Intent::Stop {
        follower: who,
        strategy,
        nonce: U256::from(2),
        deadline,
    };
    let state = settled(&stack, &follower, stop.clone()).await?;
    assert!(matches!(state, RelayState::Included { .. }), "{state:?}");
    eventually("the stopped account to be closed", PATIENCE, async || {
        Ok((size(&stack, master.vault, account, 0).await? == 0).then_some(()))
    })
    .await?;

    let all = Intent::Withdraw {
        follower: who,
        strategy,
        amount: U256::MAX,
        nonce: U256::from(3),
        deadline,
    };
    let state = settled(&stack, &follower, all).await?;
    assert!(matches!(state, RelayState::Included { .. }), "{state:?}");
    let back = balance(&stack, &follower).await?;
    assert!(
        back > U256::from(900 * USDC) && back <= U256::from(1_000 * USDC),
        "{back} of 1,000 USDC came back"
    );
    nav_equals_chain(&stack, &master).await?;

    // What was signed once is carried out once.
    let again = Intent::Stop {
        follower: who,
        strategy,
        nonce: U256::from(3),
        deadline,
    };
    let refused = settled(&stack, &follower, again).await;
    assert!(
        !matches!(refused, Ok(RelayState::Included { .. })),
        "a spent nonce was accepted"
    );
    Ok(())
}

#[tokio::test]
async fn a_follower_leaves_alone_without_keeper_or_api() -> anyhow::Result<()> {
    let mut stack = Stack::start().await?;
    let master = stack.master(0).await?;
    let (follower, account) = newcomer(&stack, &master).await?;
    trade_and_follow(&stack, &master, "ETH-USD", 20_000).await?;
    stack.kill_keeper().await?;

    let wallet = Account::new(key("someone new")?);
    stack.chain.give_ether(wallet.address(), 1).await?;
    let exit = IStrategyVault::exitCall {
        maxSlippageBps: U256::from(500),
    };
    stack
        .chain
        .execute(&wallet, master.vault, &exit, 5_000_000)
        .await?;
    assert_eq!(size(&stack, master.vault, account, 0).await?, 0);
    assert!(balance(&stack, &follower).await? > U256::from(900 * USDC));
    nav_equals_chain(&stack, &master).await?;
    let seen: Value = stack
        .api_client
        .get(&format!("api/v1/accounts/{}", follower.address()))
        .await?;
    let positions = seen
        .pointer("/accounts/0/positions")
        .and_then(Value::as_array)
        .map(Vec::len);
    assert_eq!(positions, Some(0), "{seen}");

    // The keeper comes back and leaves the one who left alone.
    stack.start_keeper()?;
    let other = stack.follower(1)?;
    stack.follow(&other, stack.mandate(&other, &master, 500)).await?;
    trade_and_follow(&stack, &master, "ETH-USD", -10_000).await?;
    assert_eq!(size(&stack, master.vault, account, 0).await?, 0);
    Ok(())
}

#[tokio::test]
async fn an_item_relayed_while_the_keeper_is_down_is_not_lost_silently() -> anyhow::Result<()> {
    let mut stack = Stack::start().await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(0)?;
    let signed: SignedMandate = stack
        .sign_funded(&follower, stack.mandate(&follower, &master, 500))
        .await?;
    stack.kill_keeper().await?;
    match stack.api_client.relay_mandate(&signed).await? {
        Err(problem) => assert_eq!(problem.code, "keeper-unavailable", "{problem:?}"),
        Ok(status) => bail!("accepted by nobody: {status:?}"),
    }
    stack.start_keeper()?;
    let id = eventually("the relay to take it", Duration::from_secs(60), async || {
        Ok(stack
            .api_client
            .relay_mandate(&signed)
            .await?
            .ok()
            .map(|status| status.id))
    })
    .await?;
    assert_ne!(id, B256::ZERO);
    let state = stack.api_client.settled(id, PATIENCE).await?;
    assert!(matches!(state, RelayState::Included { .. }), "{state:?}");
    Ok(())
}
