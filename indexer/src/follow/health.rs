//! What the process tells about itself.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// How following goes, shared with the HTTP door.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    cursor: Option<u64>,
    head: Option<u64>,
    finalized: Option<u64>,
    seen: Option<Instant>,
    problem: Option<String>,
}

/// A snapshot of [`Health`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Last block in the store.
    pub cursor: Option<u64>,
    /// Newest block seen.
    pub head: Option<u64>,
    /// Newest final block seen.
    pub finalized: Option<u64>,
    /// Blocks between them; `None` until the chain was seen.
    pub lag_blocks: Option<u64>,
    /// Milliseconds since an endpoint with the cursor's chain answered.
    pub silent_ms: Option<u64>,
    /// What went wrong since then.
    pub problem: Option<String>,
}

impl Health {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An endpoint with the cursor's chain answered.
    pub(super) fn heard(&self, cursor: Option<u64>, head: u64, finalized: u64) {
        self.with(|state| {
            state.cursor = cursor;
            state.head = Some(head);
            state.finalized = Some(finalized);
            state.seen = Some(Instant::now());
        });
        gauge("lockstep_indexer_head", Some(head));
        gauge("lockstep_indexer_finalized", Some(finalized));
        self.tell();
    }

    /// Everything up to the cursor is in the store.
    pub(super) fn written(&self, cursor: Option<u64>) {
        self.with(|state| {
            state.cursor = cursor;
            state.problem = None;
        });
        self.tell();
    }

    fn tell(&self) {
        let report = self.report();
        gauge("lockstep_indexer_cursor", report.cursor);
        gauge("lockstep_indexer_lag_blocks", report.lag_blocks);
    }

    /// Every endpoint that answers is below the cursor.
    pub(super) fn lags(&self, height: u64) {
        self.with(|state| {
            state.problem = Some(format!(
                "every endpoint is below the cursor, the best at {height}"
            ))
        });
    }

    /// Something failed and is tried again.
    pub(super) fn failed(&self, problem: &str) {
        self.with(|state| state.problem = Some(problem.to_owned()));
    }

    /// How it goes now.
    #[must_use]
    pub fn report(&self) -> Report {
        let state = self.with(|state| state.clone());
        let silent = state.seen.map(|seen| seen.elapsed());
        Report {
            cursor: state.cursor,
            head: state.head,
            finalized: state.finalized,
            lag_blocks: state
                .head
                .map(|head| head.saturating_sub(state.cursor.unwrap_or(0))),
            silent_ms: silent.map(|silent: Duration| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
            problem: state.problem,
        }
    }
}

#[allow(clippy::cast_precision_loss)] // A gauge is a float; heights are far below 2^53.
fn gauge(name: &'static str, value: Option<u64>) {
    if let Some(value) = value {
        metrics::gauge!(name).set(value as f64);
    }
}
