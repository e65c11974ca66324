//! Holds the store against the chain: every NAV point with `navAt`, every account with the vault's own books.

use alloy::primitives::{Address, U256};
use alloy::providers::{Provider, ProviderBuilder};
use alloy::rpc::types::BlockId;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use lockstep_contracts::bindings::IStrategyVault;
use lockstep_contracts::units::{Size, Usdc, Wad};
use serde::Serialize;
use url::Url;

use crate::model::{FollowerQuery, PageRequest, Series, StrategyId, StrategyQuery, Window};
use crate::store::Reader;

/// What was compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Block at which the chain was asked.
    pub block: u64,
    /// Vaults compared.
    pub vaults: u64,
    /// NAV points compared.
    pub points: u64,
    /// Accounts compared.
    pub accounts: u64,
    /// The first difference, if there is one.
    pub difference: Option<String>,
}

/// Calls in flight.
const PARALLEL: usize = 16;

/// Compares everything in the store with the chain at the store's cursor.
///
/// # Errors
/// When the store or the endpoint cannot be read.
pub async fn verify(store: &dyn Reader, rpc: &Url, accounts: bool) -> anyhow::Result<Verified> {
    let provider = ProviderBuilder::new().connect_http(rpc.clone());
    let cursor = store
        .status()
        .await?
        .cursor
        .ok_or_else(|| anyhow::anyhow!("nothing is indexed yet"))?;
    // By hash: a number could be another block by now.
    let at = BlockId::hash(cursor.hash);
    let mut done = Verified {
        block: cursor.number,
        ..Verified::default()
    };
    let mut page = PageRequest {
        after: None,
        limit: Some(PageRequest::MAX),
    };
    loop {
        let query = StrategyQuery {
            window: Window::Days7,
            ..StrategyQuery::default()
        };
        let strategies = store.strategies(&query, &page).await?;
        for strategy in strategies.items {
            for vault in strategy.vaults {
                done.vaults += 1;
                done.difference = nav(store, &provider, at, vault, &mut done).await?;
                if done.difference.is_none() && accounts {
                    done.difference = books(store, &provider, at, strategy.id, vault, &mut done).await?;
                }
                if done.difference.is_some() {
                    return Ok(done);
                }
            }
        }
        match strategies.next {
            Some(next) => page.after = Some(next),
            None => return Ok(done),
        }
    }
}

async fn nav<P: Provider + Clone>(
    store: &dyn Reader,
    provider: &P,
    at: BlockId,
    vault: Address,
    done: &mut Verified,
) -> anyhow::Result<Option<String>> {
    let contract = IStrategyVault::new(vault, provider.clone());
    let count: u64 = contract.navCount().block(at).call().await?.try_into()?;
    let mut next = 0;
    loop {
        let points = store.nav_points(Series::Vault(vault), next, 1_000).await?;
        if points.is_empty() {
            break;
        }
        next += points.len() as u64;
        let contract = &contract;
        let mut compared = stream::iter(points)
            .map(async |point| {
                let chain = contract.navAt(U256::from(point.index)).block(at).call().await?;
                let ours = (point.time, point.nav_index, point.total_equity);
                let theirs = (
                    chain.time,
                    Wad::try_from_u256(chain.navIndex)?,
                    Usdc::try_from_u256(chain.totalEquity)?,
                );
                anyhow::Ok((ours != theirs).then(|| {
                    format!(
                        "NAV point {} of {vault}: store {ours:?}, chain {theirs:?}",
                        point.index
                    )
                }))
            })
            .buffered(PARALLEL);
        while let Some(difference) = compared.try_next().await? {
            if difference.is_some() {
                return Ok(difference);
            }
            done.points += 1;
        }
    }
    Ok((next != count).then(|| format!("NAV points of {vault}: store {next}, chain {count}")))
}

async fn books<P: Provider + Clone>(
    store: &dyn Reader,
    provider: &P,
    at: BlockId,
    strategy: StrategyId,
    vault: Address,
    done: &mut Verified,
) -> anyhow::Result<Option<String>> {
    let contract = IStrategyVault::new(vault, provider.clone());
    let markets = contract.marketCount().block(at).call().await?;
    let mut page = PageRequest {
        after: None,
        limit: Some(PageRequest::MAX),
    };
    let query = FollowerQuery {
        vault: Some(vault),
        status: None,
    };
    loop {
        let accounts = store.followers(strategy, &query, &page).await?;
        for account in accounts.items {
            let name = format!("account {} of {vault}", account.account);
            let view = contract.accountView(account.account).block(at).call().await?;
            let margin = Usdc::try_from_u256(view.margin)?;
            if (account.follower, account.margin) != (view.follower, margin) {
                return Ok(Some(format!(
                    "{name}: store {} margin {}, chain {} margin {margin}",
                    account.follower, account.margin, view.follower
                )));
            }
            for market in 0..markets {
                let view = contract
                    .positionView(account.account, market)
                    .block(at)
                    .call()
                    .await?;
                let theirs = (Size::try_from_i256(view.size)?, Usdc::try_from_i256(view.quote)?);
                let ours = account
                    .positions
                    .iter()
                    .find(|position| position.market == market)
                    .map_or((Size::ZERO, Usdc::ZERO), |position| {
                        (position.size, position.quote)
                    });
                if ours != theirs {
                    return Ok(Some(format!(
                        "{name}, market {market}: store {ours:?}, chain {theirs:?}"
                    )));
                }
            }
            done.accounts += 1;
        }
        match accounts.next {
            Some(next) => page.after = Some(next),
            None => return Ok(None),
        }
    }
}
