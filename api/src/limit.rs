//! Rate limits per client: one bucket for reading, one for relaying and logging in.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::client::Client;
use crate::config::{Limit, LimitsConfig};
use crate::error::{ApiError, Kind};
use crate::state::App;

/// Requests between two clean-ups of buckets that are full again.
const CLEAN_EVERY: u64 = 4_096;

type Buckets = RateLimiter<Client, DefaultKeyedStateStore<Client>, DefaultClock, StateInformationMiddleware>;

struct Bucket {
    name: &'static str,
    limit: Limit,
    buckets: Buckets,
}

impl Bucket {
    fn new(name: &'static str, limit: Limit) -> Self {
        let quota = Quota::per_minute(limit.per_minute).allow_burst(limit.burst);
        Self {
            name,
            limit,
            buckets: RateLimiter::keyed(quota).with_middleware(),
        }
    }

    /// Seconds in which `requests` come back, rounded up.
    fn seconds(&self, requests: u32) -> u64 {
        (u64::from(requests) * 60).div_ceil(u64::from(self.limit.per_minute.get()))
    }

    /// Headers that say where the client stands, or seconds to wait.
    fn take(&self, client: &Client) -> (HeaderMap, Option<u64>) {
        let burst = self.limit.burst.get();
        let (left, wait) = match self.buckets.check_key(client) {
            Ok(snapshot) => (snapshot.remaining_burst_capacity(), None),
            Err(not_until) => {
                let wait = not_until.wait_time_from(DefaultClock::default().now());
                (
                    0,
                    Some(
                        wait.as_secs()
                            .saturating_add(u64::from(wait.subsec_nanos() > 0))
                            .max(1),
                    ),
                )
            }
        };
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        set(
            "ratelimit-policy",
            format!("\"{}\";q={burst};w={}", self.name, self.seconds(burst)),
        );
        let reset = self.seconds(burst.saturating_sub(left));
        set("ratelimit", format!("\"{}\";r={left};t={reset}", self.name));
        (headers, wait)
    }
}

/// All buckets.
pub struct Limits {
    enabled: bool,
    read: Bucket,
    write: Bucket,
    taken: AtomicU64,
}

impl Limits {
    /// As configured.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        Self {
            enabled: config.enabled,
            read: Bucket::new("read", config.read),
            write: Bucket::new("write", config.write),
            taken: AtomicU64::new(0),
        }
    }

    fn bucket(&self, method: &Method) -> &Bucket {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => &self.read,
            _ => &self.write,
        }
    }

    fn clean(&self) {
        if self.taken.fetch_add(1, Ordering::Relaxed) % CLEAN_EVERY == CLEAN_EVERY - 1 {
            for bucket in [&self.read, &self.write] {
                bucket.buckets.retain_recent();
            }
        }
    }
}

/// Middleware of everything below `/api/`.
pub async fn enforce(State(app): State<App>, request: Request, next: Next) -> Response {
    if !app.limits.enabled || !request.uri().path().starts_with("/api/") {
        return next.run(request).await;
    }
    let client = Client::of(
        request.extensions(),
        request.headers(),
        &app.config.trusted_proxies,
    );
    app.limits.clean();
    let (headers, wait) = app.limits.bucket(request.method()).take(&client);
    match wait {
        None => {
            let mut response = next.run(request).await;
            response.headers_mut().extend(headers);
            response
        }
        Some(seconds) => {
            metrics::counter!("lockstep_api_rate_limited_total").increment(1);
            ApiError::new(Kind::RateLimited)
                .detail(format!("Try again in {seconds} s."))
                .retry_after(seconds)
                .headers(headers)
                .into_response()
        }
    }
}
