//! Strategies, their NAV, batches, signals and followers.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use lockstep_contracts::fills::Outcome;
use lockstep_indexer::model::{self, FillCause, PageRequest};
use lockstep_indexer::store::Reader;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::AnyProblem;
use crate::convert;
use crate::dto::account::{Account, FollowerQuery};
use crate::dto::batch::{Batch, BatchDetail, BatchQuery, OutcomeCount};
use crate::dto::nav::{NavQuery, NavSeries};
use crate::dto::page::{Page, PageQuery};
use crate::dto::problem::Problem;
use crate::dto::scalar::Timestamp;
use crate::dto::strategy::{Proof, Signal, Strategy, StrategyMarket, StrategyQuery, WindowQuery};
use crate::error::{ApiError, Kind, Result};
use crate::extract::{Query, address, optional_address, page, strategy_id};
use crate::figures;
use crate::state::App;

/// Strategies.
#[utoipa::path(
    get,
    path = "/api/v1/strategies",
    operation_id = "listStrategies",
    tag = "strategies",
    params(StrategyQuery),
    responses((status = 200, description = "A page of strategies.", body = Page<Strategy>), AnyProblem),
)]
pub async fn list(
    State(app): State<App>,
    Query(query): Query<StrategyQuery>,
) -> Result<Json<Page<Strategy>>> {
    let request = page(query.limit, query.cursor)?;
    let wanted = model::StrategyQuery {
        master: optional_address("master", query.master.as_deref())?,
        search: query.search,
        market: query.market,
        order: query.sort.unwrap_or_default().into(),
        window: query.window.unwrap_or_default().into(),
    };
    let found = app.reader()?.strategies(&wanted, &request).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for strategy in found.items {
        items.push(present(app.reader()?.as_ref(), strategy).await?);
    }
    Ok(Json(Page {
        items,
        next: found.next,
    }))
}

/// One strategy.
#[utoipa::path(
    get,
    path = "/api/v1/strategies/{id}",
    operation_id = "getStrategy",
    tag = "strategies",
    params(("id" = String, Path, description = "Strategy id.", pattern = "^\\d+$"), WindowQuery),
    responses(
        (status = 200, description = "The strategy.", body = Strategy),
        (status = 404, description = "No such strategy.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<WindowQuery>,
) -> Result<Json<Strategy>> {
    let strategy = app
        .strategy(strategy_id(&id)?, query.window.unwrap_or_default().into())
        .await?;
    Ok(Json(present(app.reader()?.as_ref(), strategy).await?))
}

/// A strategy as it travels: figures with their formulas, signals only once they are disclosed.
///
/// # Errors
/// The store's.
pub async fn present(reader: &dyn Reader, strategy: model::Strategy) -> Result<Strategy> {
    let now = Timestamp::now();
    let delay = strategy.terms.disclosure_delay;
    let mut markets = Vec::with_capacity(strategy.markets.len());
    for market in strategy.markets {
        let latest = strategy
            .signals
            .iter()
            .find(|signal| signal.market == market.index);
        let signal = match latest {
            Some(latest) if convert::disclosure(&latest.origin, delay, now).1 => Some(latest.clone()),
            Some(_) => last_disclosed(reader, strategy.id, market.index, delay, now).await?,
            None => None,
        };
        markets.push(StrategyMarket {
            index: market.index,
            listing_id: market.listing_id,
            symbol: market.symbol,
            venue_market: market.venue_market.into(),
            signal: signal.map(Into::into),
        });
    }
    Ok(Strategy {
        id: strategy.id.to_string(),
        name: strategy.name,
        master: strategy.master.into(),
        proof: if strategy.source.is_some() {
            Proof::Venue
        } else {
            Proof::Keeper
        },
        source: strategy.source.map(Into::into),
        venue: strategy.venue.into(),
        vaults: strategy.vaults.into_iter().map(Into::into).collect(),
        markets,
        terms: strategy.terms.into(),
        pending_terms: strategy.pending_terms.map(Into::into),
        followers: strategy.followers,
        accounts: strategy.accounts,
        total_equity: strategy.total_equity.into(),
        nav_index: strategy.nav_index.into(),
        nav_time: strategy.nav_time.map(Timestamp::from_seconds),
        registered_at: Timestamp::from_seconds(strategy.registered_at),
        registered_block: strategy.registered_block,
        statistics: figures::strategy(&strategy.statistics),
    })
}

/// The newest signal of a market that the disclosure delay has released. A delay is minutes, signals come seconds
/// apart at most: one page of them reaches back far enough, and if not, none is shown.
async fn last_disclosed(
    reader: &dyn Reader,
    strategy: model::StrategyId,
    market: u8,
    delay: u32,
    now: Timestamp,
) -> Result<Option<model::Signal>> {
    let request = PageRequest {
        after: None,
        limit: Some(PageRequest::MAX),
    };
    let signals = reader.signals(strategy, Some(market), &request).await?;
    Ok(signals
        .items
        .into_iter()
        .find(|signal| convert::disclosure(&signal.origin, delay, now).1))
}

/// NAV curve.
///
/// Points are the chain's own: `navAt(index)` of `vault` returns the same. Answers carry an `etag`; ask again with
/// `if-none-match`.
#[utoipa::path(
    get,
    path = "/api/v1/strategies/{id}/nav",
    operation_id = "getStrategyNav",
    tag = "strategies",
    params(("id" = String, Path, description = "Strategy id.", pattern = "^\\d+$"), NavQuery),
    responses(
        (status = 200, description = "The curve.", body = NavSeries, headers(
            ("etag" = String, description = "Changes whenever the body does."),
            ("cache-control" = String, description = "How long it may be kept."),
        )),
        (status = 304, description = "The curve is what `if-none-match` names."),
        (status = 404, description = "No such strategy or vault.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn nav(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<NavQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let id = strategy_id(&id)?;
    let vault = optional_address("vault", query.vault.as_deref())?;
    let wanted = model::NavQuery {
        from: moment("from", query.from.as_deref())?,
        to: moment("to", query.to.as_deref())?,
        points: query.points.map(points).transpose()?,
    };
    if let (Some(from), Some(to)) = (wanted.from, wanted.to)
        && from > to
    {
        return Err(ApiError::parameter(
            "from",
            "out-of-range",
            "`from` is later than `to`.",
        ));
    }
    crate::nav::respond(&app, id, vault, wanted, &headers).await
}

fn points(points: u16) -> Result<u32> {
    let points = u32::from(points);
    if (4..=model::NavQuery::MAX_POINTS).contains(&points) {
        Ok(points)
    } else {
        Err(ApiError::parameter(
            "points",
            "out-of-range",
            format!("A curve has 4 to {} points.", model::NavQuery::MAX_POINTS),
        ))
    }
}

/// Unix seconds of an RFC 3339 text.
fn moment(name: &str, text: Option<&str>) -> Result<Option<u64>> {
    text.map(|text| {
        OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .and_then(|moment| u64::try_from(moment.unix_timestamp()).ok())
            .ok_or_else(|| {
                ApiError::parameter(
                    name,
                    "not-a-time",
                    "Write times as in RFC 3339: 2026-01-31T12:00:00Z.",
                )
            })
    })
    .transpose()
}

/// Batches, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/strategies/{id}/batches",
    operation_id = "listStrategyBatches",
    tag = "strategies",
    params(("id" = String, Path, description = "Strategy id.", pattern = "^\\d+$"), BatchQuery),
    responses(
        (status = 200, description = "A page of batches.", body = Page<Batch>),
        (status = 404, description = "No such strategy or vault.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn batches(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<BatchQuery>,
) -> Result<Json<Page<Batch>>> {
    let id = strategy_id(&id)?;
    let request = page(query.limit, query.cursor)?;
    let vault = optional_address("vault", query.vault.as_deref())?;
    let strategy = app.strategy(id, model::Window::All).await?;
    let wanted = model::BatchQuery {
        strategy: Some(id),
        vault: app.vault_of(id, vault).await?,
        market: query.market,
        from_block: query.from_block,
        to_block: query.to_block,
    };
    let found = app.reader()?.batches(&wanted, &request).await?;
    let now = Timestamp::now();
    Ok(Json(convert::page(found, |batch| {
        convert::batch(batch, strategy.terms.disclosure_delay, now)
    })))
}

/// One batch with a line for every follower in it.
#[utoipa::path(
    get,
    path = "/api/v1/strategies/{id}/batches/{vault}/{number}",
    operation_id = "getStrategyBatch",
    tag = "strategies",
    params(
        ("id" = String, Path, description = "Strategy id.", pattern = "^\\d+$"),
        ("vault" = String, Path, description = "Strategy vault.", pattern = "^0x[0-9a-fA-F]{40}$"),
        ("number" = u64, Path, description = "Number of the batch in the vault."),
    ),
    responses(
        (status = 200, description = "The batch.", body = BatchDetail),
        (status = 404, description = "No such strategy, vault or batch.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn batch(
    State(app): State<App>,
    Path((id, vault, number)): Path<(String, String, String)>,
) -> Result<Json<BatchDetail>> {
    let id = strategy_id(&id)?;
    let vault = address("vault", &vault)?;
    let strategy = app.strategy(id, model::Window::All).await?;
    app.vault_of(id, Some(vault)).await?;
    let missing = || {
        ApiError::new(Kind::BatchNotFound)
            .detail(format!("There is no batch {number:?} of {vault} in the store."))
    };
    let parsed = number.parse().map_err(|_| missing())?;
    let found = app.reader()?.batch(vault, parsed).await?.ok_or_else(missing)?;
    let fills = batch_lines(&app, vault, parsed).await?;

    let mut counts = BTreeMap::<u8, (Outcome, u64)>::new();
    for fill in &fills {
        if let FillCause::Batch { outcome, .. } = fill.cause {
            counts.entry(outcome as u8).or_insert((outcome, 0)).1 += 1;
        }
    }
    let (delay, now) = (strategy.terms.disclosure_delay, Timestamp::now());
    let mut lines: Vec<_> = fills
        .into_iter()
        .map(|fill| convert::fill(fill, delay, now))
        .collect();
    lines.sort_by_key(|line| line.account);
    Ok(Json(BatchDetail {
        batch: convert::batch(found, delay, now),
        outcomes: counts
            .into_values()
            .map(|(outcome, count)| OutcomeCount {
                outcome: outcome.into(),
                count,
            })
            .collect(),
        lines,
    }))
}

/// All lines of a batch. A batch is cut to fit one transaction, so there are at most a few hundred.
async fn batch_lines(app: &App, vault: Address, number: u64) -> Result<Vec<model::Fill>> {
    let query = model::FillQuery {
        vault: Some(vault),
        batch_id: Some(number),
        ..Default::default()
    };
    let mut request = PageRequest {
        after: None,
        limit: Some(PageRequest::MAX),
    };
    let mut lines = Vec::new();
    loop {
        let found = app.reader()?.fills(&query, &request).await?;
        lines.extend(found.items);
        match found.next {
            Some(next) => request.after = Some(next),
            None => return Ok(lines),
        }
    }
}

/// Signals, newest first, once the master's disclosure delay has released them.
#[utoipa::path(
    get,
    path = "/api/v1/strategies/{id}/signals",
    operation_id = "listStrategySignals",
    tag = "strategies",
    params(("id" = String, Path, description = "Strategy id.", pattern = "^\\d+$"), PageQuery),
    responses(
        (status = 200, description = "A page of signals.", body = Page<Signal>),
        (status = 404, description = "No such strategy.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn signals(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Signal>>> {
    let id = strategy_id(&id)?;
    let request = page(query.limit, query.cursor)?;
    let strategy = app.strategy(id, model::Window::All).await?;
    let mut found = app.reader()?.signals(id, None, &request).await?;
    let now = Timestamp::now();
    found
        .items
        .retain(|signal| convert::disclosure(&signal.origin, strategy.terms.disclosure_delay, now).1);
    Ok(Json(convert::page(found, Into::into)))
}

/// Accounts that follow the strategy, by shard and index.
#[utoipa::path(
    get,
    path = "/api/v1/strategies/{id}/followers",
    operation_id = "listStrategyFollowers",
    tag = "strategies",
    params(("id" = String, Path, description = "Strategy id.", pattern = "^\\d+$"), FollowerQuery),
    responses(
        (status = 200, description = "A page of accounts.", body = Page<Account>),
        (status = 404, description = "No such strategy or vault.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn followers(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<FollowerQuery>,
) -> Result<Json<Page<Account>>> {
    let id = strategy_id(&id)?;
    let request = page(query.limit, query.cursor)?;
    let vault = optional_address("vault", query.vault.as_deref())?;
    app.strategy(id, model::Window::All).await?;
    let wanted = model::FollowerQuery {
        vault: app.vault_of(id, vault).await?,
        status: query.status.map(Into::into),
    };
    let found = app.reader()?.followers(id, &wanted, &request).await?;
    Ok(Json(convert::page(found, Into::into)))
}
