//! The venue's clock, as far as it can be told from here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::Venue;

/// Samples that are compared with each other.
const SAMPLES: usize = 16;
/// A sample older than this says nothing of now: quartz drifts by some 50 ms in ten minutes at worst.
const SAMPLE_AGE: Duration = Duration::from_secs(600);

/// Unix time counted from one reading of the system's clock on by the monotonic one: a step of the system's clock (NTP,
/// an operator) moves no timestamp; what is wrong about the first reading is in the venue's offset. It is also virtual
/// where tokio's time is.
#[derive(Debug, Clone, Copy)]
pub struct LocalClock {
    started: Instant,
    started_ms: u64,
}

impl LocalClock {
    /// Reads the system's clock once.
    #[must_use]
    pub fn start() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self::at(milliseconds(since))
    }

    /// As if it were so many Unix milliseconds now.
    #[must_use]
    pub fn at(started_ms: u64) -> Self {
        Self {
            started: Instant::now(),
            started_ms,
        }
    }

    /// Now, Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.ms_at(Instant::now())
    }

    /// A moment as Unix milliseconds.
    #[must_use]
    pub fn ms_at(&self, moment: Instant) -> u64 {
        match moment.checked_duration_since(self.started) {
            Some(after) => self.started_ms.saturating_add(milliseconds(after)),
            None => self
                .started_ms
                .saturating_sub(milliseconds(self.started.duration_since(moment))),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How far a venue's clock is from ours, by the best sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// Venue minus ours, milliseconds.
    pub milliseconds: i64,
    /// The truth is at most this far from it: half a round trip.
    pub uncertainty: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    offset: Offset,
    taken: Instant,
}

#[derive(Debug, Default)]
struct Samples {
    recent: VecDeque<Sample>,
}

/// One venue's clock. Cheap to clone; clones share what was measured.
#[derive(Debug, Clone)]
pub struct VenueClock {
    local: LocalClock,
    unique: bool,
    samples: Arc<Mutex<Samples>>,
    last: Arc<AtomicU64>,
}

impl VenueClock {
    /// Not measured yet: offset zero.
    #[must_use]
    pub fn new(venue: Venue, local: LocalClock) -> Self {
        Self {
            local,
            // Hyperliquid's timestamp is a nonce: one that was used is refused.
            unique: matches!(venue, Venue::Hyperliquid),
            samples: Arc::default(),
            last: Arc::default(),
        }
    }

    /// Our own clock.
    #[must_use]
    pub const fn local(&self) -> &LocalClock {
        &self.local
    }

    /// Takes what the venue said its time was, in a reply to a request sent and received then. Of the recent samples the
    /// one with the smallest round trip counts.
    pub fn sample(&self, sent: Instant, received: Instant, venue_ms: u64) {
        let round_trip = received.saturating_duration_since(sent);
        let middle = self.local.ms_at(sent + round_trip / 2);
        let offset = Offset {
            milliseconds: signed(venue_ms).saturating_sub(signed(middle)),
            uncertainty: round_trip / 2,
        };
        let mut samples = self.lock();
        if samples.recent.len() == SAMPLES {
            samples.recent.pop_front();
        }
        samples.recent.push_back(Sample {
            offset,
            taken: received,
        });
    }

    /// The venue refused a timestamp: whatever was measured is not true any more. The next [`Self::sample`] counts alone,
    /// and timestamps may step back to it.
    pub fn distrust(&self) {
        self.lock().recent.clear();
        if !self.unique {
            self.last.store(0, Ordering::Relaxed);
        }
    }

    /// The offset in use; none before the first sample.
    #[must_use]
    pub fn offset(&self) -> Option<Offset> {
        let now = Instant::now();
        let mut samples = self.lock();
        // The newest stays whatever its age: an old measurement is better than none.
        while samples.recent.len() > 1
            && samples
                .recent
                .front()
                .is_some_and(|sample| now.saturating_duration_since(sample.taken) > SAMPLE_AGE)
        {
            samples.recent.pop_front();
        }
        samples
            .recent
            .iter()
            .min_by_key(|sample| sample.offset.uncertainty)
            .map(|sample| sample.offset)
    }

    /// The venue's time now, Unix milliseconds, as well as it is known.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.local
            .now_ms()
            .saturating_add_signed(self.offset().map_or(0, |offset| offset.milliseconds))
    }

    /// A time that has certainly passed at the venue, Unix milliseconds: the estimate less its uncertainty. Measure the
    /// clock before it is relied on.
    #[must_use]
    pub fn certainly_passed_ms(&self) -> u64 {
        let uncertainty = self
            .offset()
            .map_or(Duration::from_secs(1), |offset| offset.uncertainty);
        self.now_ms()
            .saturating_sub(milliseconds(uncertainty).saturating_add(1))
    }

    /// A timestamp to sign with, Unix milliseconds: never before an earlier one (except after [`Self::distrust`]), and
    /// on Hyperliquid never the same twice.
    #[must_use]
    pub fn timestamp_ms(&self) -> u64 {
        let offset = self.offset();
        if offset.is_none() && !self.unique {
            // By our own clock only. Were it remembered and ahead of the venue's, the measured time could never go back
            // to what the venue takes.
            return self.local.now_ms();
        }
        self.issue(self.now_ms())
    }

    /// The last measurement is so old that another is due before times are compared with the venue's; also when there is
    /// none.
    #[must_use]
    pub fn is_measurement_due(&self) -> bool {
        let now = Instant::now();
        self.lock()
            .recent
            .back()
            .is_none_or(|sample| now.saturating_duration_since(sample.taken) > SAMPLE_AGE / 2)
    }

    fn issue(&self, now: u64) -> u64 {
        let step = u64::from(self.unique);
        let next = |last: u64| now.max(last.saturating_add(step));
        match self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)))
        {
            Ok(last) | Err(last) => next(last),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Samples> {
        // Samples are whole whenever the lock is free, also after a panic elsewhere.
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signed(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::time::advance;

    const NOW: u64 = 1_790_000_000_000;

    #[tokio::test(start_paused = true)]
    async fn the_sample_with_the_smallest_round_trip_wins_until_it_is_old() {
        let clock = VenueClock::new(Venue::Bybit, LocalClock::at(NOW));
        assert_eq!(clock.offset(), None);
        let sent = Instant::now();
        // Half a second there, nothing back: 250 ms wrong.
        advance(Duration::from_millis(500)).await;
        clock.sample(sent, Instant::now(), NOW + 500 + 2_000);
        assert_eq!(clock.offset().unwrap().milliseconds, 2_250);
        let sent = Instant::now();
        advance(Duration::from_millis(10)).await;
        clock.sample(sent, Instant::now(), NOW + 505 + 2_000);
        assert_eq!(clock.offset().unwrap().milliseconds, 2_000);
        assert_eq!(clock.now_ms(), NOW + 510 + 2_000);
        advance(SAMPLE_AGE + Duration::from_secs(1)).await;
        let sent = Instant::now();
        advance(Duration::from_millis(100)).await;
        clock.sample(sent, Instant::now(), clock.local().now_ms() - 50 + 3_000);
        assert_eq!(clock.offset().unwrap().milliseconds, 3_000);
    }

    #[tokio::test(start_paused = true)]
    async fn timestamps_never_go_back_unless_the_venue_refused_one() {
        let clock = VenueClock::new(Venue::Binance, LocalClock::at(NOW));
        let now = Instant::now();
        clock.sample(now, now, NOW + 5_000);
        let ahead = clock.timestamp_ms();
        assert_eq!(ahead, NOW + 5_000);
        clock.sample(now, now, NOW);
        assert_eq!(clock.timestamp_ms(), ahead);
        clock.distrust();
        clock.sample(now, now, NOW);
        assert_eq!(clock.timestamp_ms(), NOW);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_ahead_comes_back_with_the_first_measurement() {
        let clock = VenueClock::new(Venue::Binance, LocalClock::at(NOW));
        assert!(clock.is_measurement_due());
        // The question for the venue's time is stamped, too.
        assert_eq!(clock.timestamp_ms(), NOW);
        let now = Instant::now();
        clock.sample(now, now, NOW - 17_000);
        assert!(!clock.is_measurement_due());
        assert_eq!(clock.timestamp_ms(), NOW - 17_000);
        clock.distrust();
        assert_eq!(clock.timestamp_ms(), NOW);
        clock.sample(now, now, NOW - 17_000);
        assert_eq!(clock.timestamp_ms(), NOW - 17_000);
        advance(SAMPLE_AGE).await;
        assert!(clock.is_measurement_due());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hyperliquid_nonce_is_used_once_over_all_tasks_and_also_after_a_step_back() {
        let clock = VenueClock::new(Venue::Hyperliquid, LocalClock::at(NOW));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let clock = clock.clone();
                std::thread::spawn(move || (0..500).map(|_| clock.issue(NOW)).collect::<Vec<_>>())
            })
            .collect();
        let mut all: Vec<u64> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        clock.distrust();
        all.push(clock.issue(NOW));
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    proptest! {
        #[test]
        fn the_offset_is_within_its_uncertainty(there in 0_u64..2_000, back in 0_u64..2_000, skew in -100_000_i64..100_000) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let clock = VenueClock::new(Venue::Okx, LocalClock::at(NOW));
                let sent = Instant::now();
                advance(Duration::from_millis(there)).await;
                let venue = clock.local().now_ms().saturating_add_signed(skew);
                advance(Duration::from_millis(back)).await;
                clock.sample(sent, Instant::now(), venue);
                let offset = clock.offset().unwrap();
                let wrong = offset.milliseconds.abs_diff(skew);
                assert!(u128::from(wrong) <= offset.uncertainty.as_millis() + 1);
            });
        }
    }
}
