//! How well a venue is: latency, errors, age of its data, and a circuit breaker over them. Whole numbers only.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::model::Venue;

/// Limits of health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many errors in a row open the circuit.
    pub errors_to_open: u32,
    /// How long it stays open before one request is let through.
    pub open_for: Duration,
    /// A mean latency above this is degraded.
    pub degraded_above: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            errors_to_open: 5,
            open_for: Duration::from_secs(5),
            degraded_above: Duration::from_millis(500),
        }
    }
}

/// How a venue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It answers, and fast enough. The circuit is closed.
    Healthy,
    /// It answers, slowly. The circuit is closed.
    Degraded,
    /// It does not answer: the circuit is open, nothing but reductions is sent.
    Open,
    /// One request is on its way to find out: the circuit is half open.
    HalfOpen,
}

impl State {
    /// Its prices may be used and requests sent to it.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

/// A venue went from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which venue.
    pub venue: Venue,
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
}

/// The figures to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// How it is.
    pub state: State,
    /// Exponentially weighted mean latency of requests (weight 1/8), microseconds; none before the first.
    pub mean_latency_us: Option<u64>,
    /// 99th percentile of the last 256 latencies, microseconds; none before the first.
    pub p99_latency_us: Option<u64>,
    /// Errors among the last 256 requests, per thousand.
    pub errors_per_thousand: u32,
    /// Errors since the last success.
    pub consecutive_errors: u32,
    /// Milliseconds since anything was received on a stream; none before the first.
    pub data_age_ms: Option<u64>,
}

/// Requests that the figures go back.
const WINDOW: usize = 256;

#[derive(Debug)]
struct Inner {
    state: State,
    mean_us: Option<u64>,
    latencies: VecDeque<u64>,
    // Success or not, oldest first.
    outcomes: VecDeque<bool>,
    consecutive_errors: u32,
    opened: Option<Instant>,
    data: Option<Instant>,
}

/// The health of one venue. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    venue: Venue,
    limits: Limits,
    inner: Arc<Mutex<Inner>>,
    changes: broadcast::Sender<Change>,
}

/// The circuit is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{venue} does not answer: next try in {wait:?}")]
pub struct CircuitOpen {
    /// Of whom.
    pub venue: Venue,
    /// When a request will be let through.
    pub wait: Duration,
}

impl Health {
    /// Healthy until shown otherwise.
    #[must_use]
    pub fn new(venue: Venue, limits: Limits) -> Self {
        Self {
            venue,
            limits,
            inner: Arc::new(Mutex::new(Inner {
                state: State::Healthy,
                mean_us: None,
                latencies: VecDeque::with_capacity(WINDOW),
                outcomes: VecDeque::with_capacity(WINDOW),
                consecutive_errors: 0,
                opened: None,
                data: None,
            })),
            changes: broadcast::Sender::new(64),
        }
    }

    /// Of whom.
    #[must_use]
    pub const fn venue(&self) -> Venue {
        self.venue
    }

    /// Changes from now on. A reader that falls 64 behind is told so.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Whether a request may be sent. While the circuit is open one is let through each [`Limits::open_for`].
    ///
    /// # Errors
    /// When the circuit is open. Reductions are sent all the same: do not ask for them.
    pub fn admit(&self) -> Result<(), CircuitOpen> {
        let now = Instant::now();
        let mut inner = self.lock();
        let since = inner.opened.unwrap_or(now);
        let waited = now.saturating_duration_since(since);
        match inner.state {
            State::Healthy | State::Degraded => Ok(()),
            State::Open | State::HalfOpen if waited >= self.limits.open_for => {
                // A probe whose end was never told counts as failed: the next one goes after the same time.
                inner.opened = Some(now);
                self.change(&mut inner, State::HalfOpen);
                Ok(())
            }
            State::Open | State::HalfOpen => Err(CircuitOpen {
                venue: self.venue,
                wait: self.limits.open_for.saturating_sub(waited),
            }),
        }
    }

    /// The venue answered, be it with a refusal.
    pub fn answered(&self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let mut inner = self.lock();
        let mean = match inner.mean_us {
            Some(mean) if us >= mean => mean.saturating_add((us - mean) / 8),
            Some(mean) => mean - (mean - us) / 8,
            None => us,
        };
        inner.mean_us = Some(mean);
        push(&mut inner.latencies, us);
        push(&mut inner.outcomes, true);
        inner.consecutive_errors = 0;
        inner.opened = None;
        let slow = u128::from(mean) > self.limits.degraded_above.as_micros();
        self.change(&mut inner, if slow { State::Degraded } else { State::Healthy });
    }

    /// The venue did not answer, or said that it is not itself (5xx, unreadable).
    pub fn failed(&self) {
        let mut inner = self.lock();
        push(&mut inner.outcomes, false);
        inner.consecutive_errors = inner.consecutive_errors.saturating_add(1);
        let open = inner.state == State::HalfOpen || inner.consecutive_errors >= self.limits.errors_to_open;
        if open {
            inner.opened = Some(Instant::now());
            self.change(&mut inner, State::Open);
        }
    }

    /// Something was received on a stream.
    pub fn data(&self, at: Instant) {
        let mut inner = self.lock();
        inner.data = Some(inner.data.map_or(at, |before| before.max(at)));
    }

    /// How it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().state
    }

    /// The figures to show.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let now = Instant::now();
        let inner = self.lock();
        let errors = inner.outcomes.iter().filter(|good| !**good).count();
        let rate = (errors * 1_000).checked_div(inner.outcomes.len()).unwrap_or(0);
        let mut latencies: Vec<u64> = inner.latencies.iter().copied().collect();
        let place = (latencies.len() * 99).div_ceil(100).saturating_sub(1);
        let p99 = (!latencies.is_empty()).then(|| *latencies.select_nth_unstable(place).1);
        Figures {
            state: inner.state,
            mean_latency_us: inner.mean_us,
            p99_latency_us: p99,
            errors_per_thousand: u32::try_from(rate).unwrap_or(1_000),
            consecutive_errors: inner.consecutive_errors,
            data_age_ms: inner
                .data
                .map(|at| u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn change(&self, inner: &mut Inner, to: State) {
        let from = std::mem::replace(&mut inner.state, to);
        if from == to {
            return;
        }
        if to.is_usable() {
            tracing::info!(venue = %self.venue, ?from, ?to, mean_us = inner.mean_us, "venue health");
        } else {
            tracing::warn!(venue = %self.venue, ?from, ?to, errors = inner.consecutive_errors, "venue health");
        }
        // Nobody may be listening.
        let _ = self.changes.send(Change {
            venue: self.venue,
            from,
            to,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(window: &mut VecDeque<T>, value: T) {
    if window.len() == WINDOW {
        window.pop_front();
    }
    window.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn five_errors_in_a_row_open_the_circuit_one_probe_closes_it() {
        let health = Health::new(Venue::Okx, Limits::default());
        let mut changes = health.changes();
        for _ in 0..4 {
            health.failed();
        }
        health.answered(10 * MS);
        for _ in 0..4 {
            health.failed();
            assert!(health.admit().is_ok());
        }
        health.failed();
        assert_eq!(health.state(), State::Open);
        assert_eq!(health.admit().unwrap_err().wait, 5_000 * MS);
        advance(5_000 * MS).await;
        assert!(health.admit().is_ok());
        assert!(health.admit().is_err(), "only one probe");
        health.failed();
        assert!(health.admit().is_err());
        advance(5_000 * MS).await;
        health.admit().unwrap();
        health.answered(10 * MS);
        assert_eq!(health.state(), State::Healthy);
        let mut seen = Vec::new();
        while let Ok(change) = changes.try_recv() {
            seen.push(change.to);
        }
        use State::{HalfOpen, Healthy, Open};
        assert_eq!(seen, [Open, HalfOpen, Open, HalfOpen, Healthy]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_never_told_of_does_not_close_the_door_for_ever() {
        let health = Health::new(Venue::Okx, Limits::default());
        for _ in 0..5 {
            health.failed();
        }
        advance(5_000 * MS).await;
        health.admit().unwrap();
        advance(5_000 * MS).await;
        health.admit().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn slow_is_degraded_and_figures_are_exact() {
        let health = Health::new(Venue::Htx, Limits::default());
        for ms in 1..=100 {
            health.answered(ms * MS);
        }
        let figures = health.figures();
        assert_eq!(figures.p99_latency_us, Some(99_000));
        assert_eq!(figures.state, State::Healthy);
        for _ in 0..20 {
            health.answered(600 * MS);
        }
        assert_eq!(health.state(), State::Degraded);
        assert!(health.admit().is_ok());
        for _ in 0..3 {
            health.failed();
        }
        assert_eq!(health.figures().errors_per_thousand, 3_000 / 123);
        health.data(Instant::now());
        advance(700 * MS).await;
        assert_eq!(health.figures().data_age_ms, Some(700));
    }
}
