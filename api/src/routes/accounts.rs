//! Followers: what they have, what was filled, what happened.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use lockstep_indexer::model::{self, AccountEvent, PageRequest, Series, StrategyId};
use tokio::sync::mpsc;

use super::AnyProblem;
use crate::convert;
use crate::csv;
use crate::dto::account::{AccountEntry, AccountWithResult, AccountsOfAddress, FillQuery};
use crate::dto::batch::Fill;
use crate::dto::page::{Page, PageQuery};
use crate::dto::scalar::Timestamp;
use crate::error::{ApiError, Kind, Result};
use crate::extract::{Query, address, optional_address, page};
use crate::figures::{self, Flow};
use crate::state::App;

/// Most lines of a CSV file.
const MAX_CSV_LINES: usize = 100_000;

/// CSV files that are written at once.
pub const MAX_EXPORTS: usize = 2;

/// Longest a client may take to read one.
const EXPORT_PATIENCE: Duration = Duration::from_secs(60);

/// Seconds after which another attempt at one makes sense.
const EXPORT_RETRY: u64 = 5;

/// Most lines of an account's history that are read for its rate of return.
const MAX_FLOW_PAGES: usize = 20;

/// Everything one address has.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{address}",
    operation_id = "getAccounts",
    tag = "accounts",
    params(("address" = String, Path, description = "Follower.", pattern = "^0x[0-9a-fA-F]{40}$")),
    responses((status = 200, description = "Its accounts, with results.", body = AccountsOfAddress), AnyProblem),
)]
pub async fn get(State(app): State<App>, Path(follower): Path<String>) -> Result<Json<AccountsOfAddress>> {
    let follower = address("address", &follower)?;
    let accounts = with_results(&app, follower).await?;
    let strategies = app.reader()?.strategies_of(follower).await?;
    Ok(Json(AccountsOfAddress {
        address: follower.into(),
        accounts,
        strategies: strategies.into_iter().map(|id| id.to_string()).collect(),
    }))
}

/// Accounts of an address with what following has come to.
///
/// # Errors
/// The store's.
pub async fn with_results(app: &App, follower: Address) -> Result<Vec<AccountWithResult>> {
    let accounts = app.reader()?.accounts_of(follower).await?;
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let now = app.reader()?.status().await?.cursor.map_or(0, |block| block.time);
    let flows = flows(app, follower).await?;
    let mut found = Vec::with_capacity(accounts.len());
    for account in accounts {
        let none = Vec::new();
        let own_flows = flows.get(&(account.vault, account.account)).unwrap_or(&none);
        let nav = nav_since(app, account.strategy_id, account.opened_at).await?;
        let result = figures::follower(&account, own_flows, nav, now);
        found.push(AccountWithResult {
            account: account.into(),
            result,
        });
    }
    Ok(found)
}

/// First index since `from`, the last one, and how many points lie between.
async fn nav_since(
    app: &App,
    strategy: StrategyId,
    from: u64,
) -> Result<
    Option<(
        lockstep_contracts::units::Wad,
        lockstep_contracts::units::Wad,
        u64,
    )>,
> {
    let query = model::NavQuery {
        from: Some(from),
        to: None,
        points: Some(4),
    };
    let curve = app
        .reader()?
        .nav_curve(Series::Strategy(strategy), &query)
        .await?;
    Ok(curve
        .points
        .first()
        .zip(curve.points.last())
        .map(|(first, last)| (first.nav_index, last.nav_index, curve.samples)))
}

/// Deposits and withdrawals of each account of an address, oldest first.
async fn flows(app: &App, follower: Address) -> Result<HashMap<(Address, u32), Vec<Flow>>> {
    let mut request = PageRequest {
        after: None,
        limit: Some(PageRequest::MAX),
    };
    let mut flows = HashMap::<(Address, u32), Vec<Flow>>::new();
    for _ in 0..MAX_FLOW_PAGES {
        let found = app.reader()?.account_entries(follower, &request).await?;
        for entry in found.items {
            let amount = match entry.event {
                AccountEvent::Deposited { amount } => Some(amount),
                AccountEvent::Withdrawn { amount, .. } => {
                    lockstep_contracts::units::Usdc::ZERO.checked_sub(amount)
                }
                _ => None,
            };
            if let Some(amount) = amount {
                flows.entry((entry.vault, entry.account)).or_default().push(Flow {
                    time: entry.origin.time,
                    amount,
                });
            }
        }
        match found.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    for account in flows.values_mut() {
        account.reverse();
    }
    Ok(flows)
}

fn fill_query(follower: Address, query: &FillQuery) -> Result<model::FillQuery> {
    Ok(model::FillQuery {
        follower: Some(follower),
        vault: optional_address("vault", query.vault.as_deref())?,
        traded_only: !query.skipped.unwrap_or(false),
        from_block: query.from_block,
        to_block: query.to_block,
        ..Default::default()
    })
}

/// Disclosure delays of the strategies met so far.
#[derive(Default)]
struct Delays(HashMap<StrategyId, u32>);

impl Delays {
    async fn of(&mut self, app: &App, id: StrategyId) -> Result<u32> {
        if let Some(delay) = self.0.get(&id) {
            return Ok(*delay);
        }
        let terms = app.reader()?.terms(id).await?;
        let delay = terms.map_or(0, |terms| terms.disclosure_delay);
        self.0.insert(id, delay);
        Ok(delay)
    }
}

/// Fills, newest first. With `accept: text/csv` a file with all of them.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{address}/fills",
    operation_id = "listAccountFills",
    tag = "accounts",
    params(("address" = String, Path, description = "Follower.", pattern = "^0x[0-9a-fA-F]{40}$"), FillQuery),
    responses(
        (status = 200, description = "A page of fills.", content(
            (Page<Fill> = "application/json"),
            (String = "text/csv"),
        )),
        AnyProblem,
    ),
)]
pub async fn fills(
    State(app): State<App>,
    Path(follower): Path<String>,
    Query(query): Query<FillQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let follower = address("address", &follower)?;
    if prefers_csv(&headers) {
        return csv_file(&app, follower, &query).await;
    }
    let request = page(query.limit, query.cursor.clone())?;
    let found = app
        .reader()?
        .fills(&fill_query(follower, &query)?, &request)
        .await?;
    let items = present(&app, &mut Delays::default(), found.items).await?;
    Ok(Json(Page {
        items,
        next: found.next,
    })
    .into_response())
}

/// Fills as a CSV file, newest first, up to 100000 lines.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{address}/fills.csv",
    operation_id = "exportAccountFills",
    tag = "accounts",
    params(("address" = String, Path, description = "Follower.", pattern = "^0x[0-9a-fA-F]{40}$"), FillQuery),
    responses((status = 200, description = "The file.", body = String, content_type = "text/csv"), AnyProblem),
)]
pub async fn fills_csv(
    State(app): State<App>,
    Path(follower): Path<String>,
    Query(query): Query<FillQuery>,
) -> Result<Response> {
    csv_file(&app, address("address", &follower)?, &query).await
}

/// True when CSV is named before JSON; a browser's `*/*` means JSON.
fn prefers_csv(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept
        .split(',')
        .map(|part| part.split(';').next().unwrap_or_default().trim())
        .find(|kind| ["text/csv", "application/json"].contains(kind))
        .is_some_and(|kind| kind == "text/csv")
}

async fn csv_file(app: &App, follower: Address, query: &FillQuery) -> Result<Response> {
    let query = fill_query(follower, query)?;
    let permit = Arc::clone(&app.exports).try_acquire_owned().map_err(|_| {
        ApiError::new(Kind::Overloaded)
            .detail("Other files are being written; try again in a moment.")
            .retry_after(EXPORT_RETRY)
    })?;
    let mut export = Export {
        app: app.clone(),
        query,
        request: PageRequest {
            after: None,
            limit: Some(PageRequest::MAX),
        },
        delays: Delays::default(),
        lines: 0,
    };
    // What is wrong with the request or the store shows in the first page, while it can still be said.
    let mut text = csv::header();
    let more = export.page(&mut text).await?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _permit = permit;
        // A client that stops reading would keep others from theirs.
        if tokio::time::timeout(EXPORT_PATIENCE, export.send(text, more, sender))
            .await
            .is_err()
        {
            tracing::debug!("a file was not read in time; cut off");
        }
    });
    let mut response = Body::from_stream(parts(receiver)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        axum::http::header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
    );
    headers.insert(
        axum::http::header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"lockstep-fills.csv\""),
    );
    Ok(response)
}

/// A file on its way.
enum Part {
    Text(String),
    /// The file is whole. Without this it was cut off, and must not look whole.
    End,
}

/// Lines of a CSV file, page by page, so that no more than a page is in memory.
struct Export {
    app: App,
    query: model::FillQuery,
    request: PageRequest,
    delays: Delays,
    lines: usize,
}

impl Export {
    /// Appends the next page; whether there is another one.
    async fn page(&mut self, text: &mut String) -> Result<bool> {
        let found = self.app.reader()?.fills(&self.query, &self.request).await?;
        for fill in present(&self.app, &mut self.delays, found.items).await? {
            csv::line(text, &fill);
            self.lines = self.lines.saturating_add(1);
        }
        let more = found.next.is_some() && self.lines < MAX_CSV_LINES;
        self.request.after = found.next;
        Ok(more)
    }

    /// Gives what is written already and everything after it. Ends early when nobody reads any more or the store fails.
    async fn send(mut self, mut text: String, mut more: bool, to: mpsc::Sender<Part>) {
        loop {
            if to.send(Part::Text(std::mem::take(&mut text))).await.is_err() {
                return;
            }
            if !more {
                // Who does not read any more does not want to know either.
                let _gone = to.send(Part::End).await;
                return;
            }
            match self.page(&mut text).await {
                Ok(further) => more = further,
                Err(error) => {
                    tracing::warn!(code = error.code(), "a file was cut off");
                    return;
                }
            }
        }
    }
}

/// The parts as a body. One that was cut off ends in an error, so that the client knows.
fn parts(receiver: mpsc::Receiver<Part>) -> impl Stream<Item = std::io::Result<String>> {
    stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Part::Text(text)) => Some((Ok(text), Some(receiver))),
            Some(Part::End) => None,
            None => Some((Err(std::io::Error::other("the file was cut off")), None)),
        }
    })
    // Compression asks again after the end.
    .fuse()
}

async fn present(app: &App, delays: &mut Delays, fills: Vec<model::Fill>) -> Result<Vec<Fill>> {
    let now = Timestamp::now();
    let mut items = Vec::with_capacity(fills.len());
    for fill in fills {
        let delay = delays.of(app, fill.strategy_id).await?;
        items.push(convert::fill(fill, delay, now));
    }
    Ok(items)
}

/// History besides fills, newest first: deposits, withdrawals, mandates, fees.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{address}/history",
    operation_id = "listAccountHistory",
    tag = "accounts",
    params(("address" = String, Path, description = "Follower.", pattern = "^0x[0-9a-fA-F]{40}$"), PageQuery),
    responses((status = 200, description = "A page of entries.", body = Page<AccountEntry>), AnyProblem),
)]
pub async fn history(
    State(app): State<App>,
    Path(follower): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<AccountEntry>>> {
    let follower = address("address", &follower)?;
    let request = page(query.limit, query.cursor)?;
    let found = app.reader()?.account_entries(follower, &request).await?;
    Ok(Json(convert::page(found, Into::into)))
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    async fn read(given: Vec<Part>) -> std::io::Result<String> {
        let (sender, receiver) = mpsc::channel(8);
        for part in given {
            sender.try_send(part).ok().unwrap();
        }
        drop(sender);
        parts(receiver).try_collect().await
    }

    #[tokio::test]
    async fn a_file_that_was_cut_off_does_not_look_whole() {
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(read(vec![text("a"), text("b"), Part::End]).await.unwrap(), "ab");
        assert!(read(vec![text("a")]).await.is_err());
    }

    #[tokio::test]
    async fn a_file_that_has_ended_may_be_asked_again() {
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(Part::End).ok().unwrap();
        let mut parts = std::pin::pin!(parts(receiver));
        assert!(parts.next().await.is_none());
        assert!(parts.next().await.is_none());
    }
}
