//! How long to wait before trying again, and how many may try at once.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::random::Random;

/// Longest wait between two attempts.
pub const CAP: Duration = Duration::from_secs(60);

/// Exponential backoff with full jitter: after the n-th failure a time between nothing and `first × 2ⁿ`, at most
/// [`CAP`]. Full jitter, because clients that lost one venue together must not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
    random: Random,
}

impl Backoff {
    /// Starting at `first`, at most [`CAP`].
    #[must_use]
    pub const fn new(first: Duration, random: Random) -> Self {
        Self {
            first,
            cap: CAP,
            failures: 0,
            random,
        }
    }

    /// With a lower cap: for questions whose answer is waited for.
    #[must_use]
    pub const fn capped(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// How many failures since the last [`Self::reset`].
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The longest wait that the next call of [`Self::after_failure`] may give.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.cap)
    }

    /// Counts a failure and tells how long to wait.
    pub fn after_failure(&mut self) -> Duration {
        let ceiling = u64::try_from(self.ceiling().as_nanos()).unwrap_or(u64::MAX);
        self.failures = self.failures.saturating_add(1);
        Duration::from_nanos(self.random.up_to(ceiling))
    }

    /// It works again. Call this only when it has worked for a while: a connection that is taken and dropped at once is
    /// a failure.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// At most so many connects in a window over everything that shares it, first come first served. Venues count connects
/// per address (OKX: 3 a second), so one limiter serves the whole process.
#[derive(Debug, Clone)]
pub struct ConnectLimiter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    window: Duration,
    // tokio's mutex hands itself on in the order of asking: that is the fairness.
    recent: Mutex<VecDeque<Instant>>,
}

impl ConnectLimiter {
    /// `limit` connects in any `window`; a limit of 0 counts as 1.
    #[must_use]
    pub fn new(limit: usize, window: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                limit: limit.max(1),
                window,
                recent: Mutex::new(VecDeque::new()),
            }),
        }
    }

    /// The one of this process: 3 a second.
    #[must_use]
    pub fn of_process() -> Self {
        static ONE: OnceLock<ConnectLimiter> = OnceLock::new();
        ONE.get_or_init(|| Self::new(3, Duration::from_secs(1))).clone()
    }

    /// Returns when a connect may start. Who gives up waiting takes no place.
    pub async fn admit(&self) {
        let mut recent = self.shared.recent.lock().await;
        if recent.len() >= self.shared.limit
            && let Some(oldest) = recent.front()
        {
            sleep_until(*oldest + self.shared.window).await;
            recent.pop_front();
        }
        recent.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_is_within_its_ceiling_and_the_ceiling_within_the_cap(seed: u64, first_ms in 1_u64..5_000) {
            let mut backoff = Backoff::new(Duration::from_millis(first_ms), Random::seeded(seed));
            let mut before = Duration::ZERO;
            for _ in 0..80 {
                let ceiling = backoff.ceiling();
                prop_assert!(ceiling >= before && ceiling <= CAP);
                prop_assert!(backoff.after_failure() <= ceiling);
                before = ceiling;
            }
            prop_assert_eq!(before, CAP);
            backoff.reset();
            prop_assert_eq!(backoff.ceiling(), Duration::from_millis(first_ms));
        }
    }

    #[test]
    fn waits_are_spread_over_the_whole_span() {
        let mut low = 0;
        for seed in 0..1_000 {
            let mut backoff = Backoff::new(Duration::from_secs(1), Random::seeded(seed));
            if backoff.after_failure() < Duration::from_millis(500) {
                low += 1;
            }
        }
        assert!((400..600).contains(&low), "{low}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_ever_holds_more_connects_than_allowed_and_the_first_to_ask_is_first() {
        let window = Duration::from_secs(1);
        let limiter = ConnectLimiter::new(3, window);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..20 {
            let (limiter, order) = (limiter.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                limiter.admit().await;
                order.lock().await.push((number, Instant::now()));
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock().await;
        assert!(order.iter().map(|(number, _)| *number).eq(0..20));
        for four in order.windows(4) {
            assert!(four[3].1 - four[0].1 >= window);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_takes_no_place() {
        let limiter = ConnectLimiter::new(1, Duration::from_secs(10));
        limiter.admit().await;
        let start = Instant::now();
        assert!(
            tokio::time::timeout(Duration::from_secs(1), limiter.admit())
                .await
                .is_err()
        );
        limiter.admit().await;
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }
}
