//! Masters and followers of the local stack. Everything asks the chain first what is already there, so that a start
//! that was interrupted is completed by the next one.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use lockstep_contracts::bindings::{IMasterRegistry, IStrategyVault};
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::relay::{Mandate, RelayState};

use crate::chain::{Account, Chain};
use crate::check::{StrategyOnChain, strategies};
use crate::followers::{Follower, drawn_mandate};
use crate::masters::MasterPlan;
use crate::relay::Api;
use crate::venue::{Usdc, Venue};

/// Gas for a registration, which creates a vault.
const REGISTER_GAS: u64 = 6_000_000;

/// How many signatures are on their way to the API at once.
const RELAYS_AT_ONCE: usize = 16;

/// Registers the master unless it is, with collateral on the exchange. Gives the strategy.
///
/// # Errors
/// When a step reverts.
pub async fn register(
    chain: &Chain,
    deployment: &Deployment,
    venue: &Venue,
    plan: &MasterPlan,
    account: &Account,
) -> anyhow::Result<StrategyOnChain> {
    let existing = async || -> anyhow::Result<Option<StrategyOnChain>> {
        let mut all = strategies(chain, deployment).await?.into_iter();
        Ok(all.find(|strategy| strategy.source == account.address() && strategy.name == plan.name))
    };
    if let Some(strategy) = existing().await? {
        return Ok(strategy);
    }
    if venue.equity(chain, account.address()).await? < i128::from(plan.equity) / 2 {
        venue.fund_trader(chain, account, plan.equity).await?;
    }
    let mut listings = Vec::new();
    for symbol in plan.markets {
        let listed = deployment.markets.iter().find(|market| market.symbol == *symbol);
        listings.push(
            listed
                .with_context(|| format!("{symbol} is not listed"))?
                .listing_id,
        );
    }
    let call = plan.registration(deployment.venue, account.address(), listings);
    chain
        .execute(account, deployment.registry, &call, REGISTER_GAS)
        .await?;
    existing().await?.context("registered, but not found")
}

/// Who follows whom.
#[derive(Debug, Clone)]
pub struct Following {
    /// The follower.
    pub follower: Follower,
    /// What they sign.
    pub mandate: Mandate,
}

/// Draws `count` followers of a strategy. Numbers begin at `first`, so that strategies do not share followers.
///
/// # Errors
/// Never in practice.
pub fn draw(
    seed: u64,
    first: u64,
    count: u64,
    strategy: &StrategyOnChain,
    now: u64,
) -> anyhow::Result<Vec<Following>> {
    let vault = *strategy.vaults.first().context("a strategy without a vault")?;
    let markets: Vec<&str> = strategy.markets.iter().map(String::as_str).collect();
    (first..first + count)
        .map(|index| {
            let follower = Follower::numbered(seed, index)?;
            let mandate = drawn_mandate(seed, index, follower.address(), vault, &markets, now);
            Ok(Following { follower, mandate })
        })
        .collect()
}

/// Gives the followers what they deposit, and relays their signatures. Those that already have an account are left
/// alone. Gives how many were new.
///
/// # Errors
/// When the relay refuses one, or the chain does not take one in time.
pub async fn follow(
    chain: &Chain,
    deployment: &Deployment,
    minter: &Account,
    api: &Api,
    followings: Vec<Following>,
    within: Duration,
) -> anyhow::Result<usize> {
    let mut new = Vec::new();
    for following in followings {
        let vault = IStrategyVault::new(following.mandate.strategy, chain.provider());
        if vault.accountOf(following.mandate.follower).call().await? == 0 {
            new.push(following);
        }
    }
    mint_all(
        chain,
        deployment.usdc,
        minter,
        new.iter()
            .map(|following| (following.mandate.follower, following.mandate.deposit)),
    )
    .await?;
    let count = new.len();
    let api = Arc::new(api.clone());
    stream::iter(new)
        .map(|following| {
            let api = Arc::clone(&api);
            async move {
                let permit_nonce = chain
                    .view(
                        deployment.usdc,
                        &Usdc::noncesCall {
                            owner: following.mandate.follower,
                        },
                    )
                    .await?;
                let mut signed = following.follower.sign_mandate(deployment, following.mandate)?;
                signed.token_permit = Some(following.follower.sign_token_permit(
                    deployment,
                    permit_nonce,
                    signed.mandate.expiry,
                )?);
                let follower = signed.mandate.follower;
                let status = api.relay_until_taken(&signed, within).await?;
                match api.settled(status.id, within).await? {
                    RelayState::Included { .. } => Ok(()),
                    other => bail!("the mandate of {follower} was not accepted: {other:?}"),
                }
            }
        })
        .buffer_unordered(RELAYS_AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(count)
}

/// Mints USDC to many, in as few blocks as possible.
///
/// # Errors
/// When the chain refuses.
pub async fn mint_all(
    chain: &Chain,
    usdc: Address,
    minter: &Account,
    amounts: impl IntoIterator<Item = (Address, u64)>,
) -> anyhow::Result<()> {
    // A node that mines each transaction at once stops doing so when more than about two thousand are waiting.
    const AT_ONCE: u32 = 100;
    let mut last = None;
    for (number, (to, amount)) in (1_u32..).zip(amounts) {
        let call = Usdc::mintCall {
            to,
            value: U256::from(amount),
        };
        let transaction = chain.send(minter, usdc, &call, 100_000).await?;
        if number.is_multiple_of(AT_ONCE) {
            chain.receipt(transaction).await?;
        }
        last = Some(transaction);
    }
    if let Some(transaction) = last {
        // One sender's transactions are mined in order: the last one is the end of all.
        chain.receipt(transaction).await?;
    }
    Ok(())
}

/// Number of accounts over all vaults.
///
/// # Errors
/// When the chain does not answer.
pub async fn account_count(chain: &Chain, strategies: &[StrategyOnChain]) -> anyhow::Result<u64> {
    let mut count = 0;
    for vault in strategies.iter().flat_map(|strategy| &strategy.vaults) {
        count += u64::from(
            IStrategyVault::new(*vault, chain.provider())
                .accountCount()
                .call()
                .await?,
        );
    }
    Ok(count)
}

/// Strategy ids the registry has given out.
///
/// # Errors
/// When the chain does not answer.
pub async fn strategy_count(chain: &Chain, deployment: &Deployment) -> anyhow::Result<u64> {
    let registry = IMasterRegistry::new(deployment.registry, chain.provider());
    Ok(registry.strategyCount().call().await?.to())
}
