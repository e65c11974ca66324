//! NAV responses: encoded once, kept while nothing in them can have changed, sent with an entity tag.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use alloy::hex;
use alloy::primitives::{Address, keccak256};
use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use lockstep_indexer::model::{ChangeKind, Finality, IndexerStatus, NavQuery, Series, StrategyId, Window};
use lru::LruCache;

use crate::dto::nav::NavSeries;
use crate::error::{ApiError, Kind, Result};
use crate::state::App;

/// Commits that are looked through to keep an encoded curve; after more, encoding anew is cheaper.
const MAX_CHANGES: u32 = 200;

/// Curves smaller than this are not worth compressing.
const MIN_GZIP: usize = 860;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    strategy: StrategyId,
    vault: Option<Address>,
    from: Option<u64>,
    to: Option<u64>,
    points: Option<u32>,
}

/// An encoded curve.
struct Encoded {
    /// The curve holds every commit up to this one.
    seq: AtomicU64,
    /// Heights by which finality was told.
    heights: (u64, u64),
    /// Every point is final: heights no longer matter.
    settled: bool,
    json: Bytes,
    gzip: Option<Bytes>,
    tag: HeaderValue,
}

impl Encoded {
    fn size(&self) -> usize {
        self.json.len() + self.gzip.as_ref().map_or(0, Bytes::len)
    }
}

/// Encoded curves, the least recently asked dropped first.
pub struct NavCache {
    budget: usize,
    curves: Mutex<(LruCache<Key, Arc<Encoded>>, usize)>,
}

impl NavCache {
    /// With so many bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            budget,
            curves: Mutex::new((LruCache::unbounded(), 0)),
        }
    }

    fn get(&self, key: &Key) -> Option<Arc<Encoded>> {
        let mut guard = self.curves.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.get(key).map(Arc::clone)
    }

    fn put(&self, key: Key, curve: Arc<Encoded>) {
        let mut guard = self.curves.lock().unwrap_or_else(PoisonError::into_inner);
        let (curves, used) = &mut *guard;
        *used = used.saturating_add(curve.size());
        if let Some((_, old)) = curves.push(key, curve) {
            *used = used.saturating_sub(old.size());
        }
        while *used > self.budget {
            match curves.pop_lru() {
                Some((_, old)) => *used = used.saturating_sub(old.size()),
                None => break,
            }
        }
    }
}

/// Answers a request for a curve.
///
/// # Errors
/// 404 for an unknown strategy or vault, or the store's.
pub async fn respond(
    app: &App,
    strategy: StrategyId,
    vault: Option<Address>,
    query: NavQuery,
    headers: &HeaderMap,
) -> Result<Response> {
    let key = Key {
        strategy,
        vault,
        from: query.from,
        to: query.to,
        points: query.points,
    };
    let status = app.reader()?.status().await?;
    let kept = match app.nav.get(&key) {
        Some(curve) if still_true(app, &curve, strategy, &status).await? => Some(curve),
        _ => None,
    };
    let outcome = if kept.is_some() { "kept" } else { "encoded" };
    metrics::counter!("lockstep_api_nav_total", "outcome" => outcome).increment(1);
    let curve = match kept {
        Some(curve) => curve,
        None => {
            let curve = Arc::new(encode(app, strategy, vault, query, &status).await?);
            app.nav.put(key, Arc::clone(&curve));
            curve
        }
    };
    Ok(answer(&curve, headers))
}

/// True when no commit since has touched the strategy and no point can have become more final.
async fn still_true(
    app: &App,
    curve: &Encoded,
    strategy: StrategyId,
    status: &IndexerStatus,
) -> Result<bool> {
    if !curve.settled && curve.heights != (status.head, status.finalized) {
        return Ok(false);
    }
    let seq = curve.seq.load(Ordering::Relaxed);
    if seq == status.seq {
        return Ok(true);
    }
    let changes = app.reader()?.changes_since(seq, MAX_CHANGES).await?;
    let untouched = changes.len() < usize::try_from(MAX_CHANGES).unwrap_or(usize::MAX)
        && changes.iter().all(|change| {
            change.kind == ChangeKind::Applied && !change.everything && !change.strategies.contains(&strategy)
        });
    if let (true, Some(last)) = (untouched, changes.last()) {
        curve.seq.fetch_max(last.seq, Ordering::Relaxed);
    }
    Ok(untouched)
}

async fn encode(
    app: &App,
    strategy: StrategyId,
    vault: Option<Address>,
    query: NavQuery,
    status: &IndexerStatus,
) -> Result<Encoded> {
    app.strategy(strategy, Window::All).await?;
    let vault = app.vault_of(strategy, vault).await?;
    let series = vault.map_or(Series::Strategy(strategy), Series::Vault);
    // Read after `status`: the curve may hold more than `status.seq` says, never less.
    let curve = app.reader()?.nav_curve(series, &query).await?;
    let settled = curve
        .points
        .iter()
        .all(|point| point.origin.finality == Finality::Finalized);
    let body = NavSeries {
        strategy_id: strategy.to_string(),
        vault: vault.map(Into::into),
        samples: curve.samples,
        exact: curve.exact,
        points: curve.points.into_iter().map(Into::into).collect(),
    };
    let (seq, heights) = (status.seq, (status.head, status.finalized));
    tokio::task::spawn_blocking(move || {
        let json = serde_json::to_vec(&body)?;
        let gzip = if json.len() < MIN_GZIP {
            None
        } else {
            Some(gzip(&json)?)
        };
        let digest = keccak256(&json);
        // Weak: the compressed and the plain answer share it.
        let tag = format!("W/\"{}\"", hex::encode(digest.get(..12).unwrap_or_default()));
        Ok::<_, std::io::Error>(Encoded {
            seq: AtomicU64::new(seq),
            heights,
            settled,
            json: json.into(),
            gzip: gzip.map(Into::into),
            tag: HeaderValue::try_from(tag).map_err(std::io::Error::other)?,
        })
    })
    .await
    .map_err(|error| std::io::Error::other(error.to_string()))
    .and_then(|encoded| encoded)
    .map_err(|error| {
        tracing::error!(%error, "a curve cannot be encoded");
        ApiError::new(Kind::Internal)
    })
}

fn gzip(json: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(json.len() / 4), Compression::new(4));
    encoder.write_all(json)?;
    encoder.finish()
}

fn answer(curve: &Encoded, headers: &HeaderMap) -> Response {
    let mut response = if matches(headers, &curve.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (body, encoding) = match &curve.gzip {
            Some(gzip) if accepts_gzip(headers) => (gzip.clone(), Some("gzip")),
            _ => (curve.json.clone(), None),
        };
        let mut response = Response::new(Body::from(body));
        let set = response.headers_mut();
        set.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(encoding) = encoding {
            set.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    let set = response.headers_mut();
    set.insert(ETAG, curve.tag.clone());
    set.insert(VARY, HeaderValue::from_static("accept-encoding"));
    // A second keeps bursts away from us; after that the tag decides.
    set.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=1, must-revalidate"),
    );
    response
}

/// `if-none-match`, compared weakly as RFC 9110 wants it for this header.
fn matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(ours) = tag.to_str().map(opaque) else {
        return false;
    };
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|theirs| theirs.trim() == "*" || opaque(theirs) == ours)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            name.eq_ignore_ascii_case("gzip") && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: usize) -> Arc<Encoded> {
        Arc::new(Encoded {
            seq: AtomicU64::new(0),
            heights: (0, 0),
            settled: true,
            json: vec![0; bytes].into(),
            gzip: None,
            tag: HeaderValue::from_static("W/\"a\""),
        })
    }

    fn key(strategy: u64) -> Key {
        Key {
            strategy,
            vault: None,
            from: None,
            to: None,
            points: None,
        }
    }

    #[test]
    fn the_cache_stays_inside_its_budget() {
        let cache = NavCache::new(100);
        for strategy in 0..10 {
            cache.put(key(strategy), encoded(40));
        }
        assert!(cache.get(&key(7)).is_none() && cache.get(&key(8)).is_some() && cache.get(&key(9)).is_some());
        cache.put(key(9), encoded(60));
        assert!(
            cache.get(&key(8)).is_some(),
            "replacing a curve frees what it held"
        );
        cache.put(key(1), encoded(1_000));
        assert!(
            cache.get(&key(1)).is_none(),
            "a curve larger than the budget is not kept"
        );
    }

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        let tag = HeaderValue::from_static("W/\"a\"");
        let with =
            |value: &'static str| HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(value))]);
        for hit in ["W/\"a\"", "\"a\"", "\"x\", W/\"a\"", "*"] {
            assert!(matches(&with(hit), &tag), "{hit}");
        }
        assert!(!matches(&with("\"b\""), &tag) && !matches(&HeaderMap::new(), &tag));
    }

    #[test]
    fn gzip_is_sent_only_to_those_who_take_it() {
        let with =
            |value: &'static str| HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
        assert!(accepts_gzip(&with("br, gzip;q=0.8")));
        assert!(!accepts_gzip(&with("gzip;q=0, identity")));
        assert!(!accepts_gzip(&with("br")));
    }
}
