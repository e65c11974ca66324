//! Weighted token buckets: how much may be asked of a venue, and who goes first when it is scarce.
//!
//! A token that was taken comes back one whole window later, so no window of the venue, wherever it begins, ever sees
//! more than the capacity. (A bucket that drips would let twice the capacity through a window that begins when it is
//! full.)
//!
//! Three grades share a bucket ([`Urgency`]): reads stop while a part is left for acts, acts stop while a part is left
//! for what lessens exposure. That last part is never lent, so a reduction is never starved, and it does not queue
//! behind anything but other reductions.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::model::Venue;
use crate::operation::Operation;

use super::limits::{self, Cost};

/// What a bucket counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Requests by their weight.
    Requests,
    /// Orders sent, changed or cancelled.
    Orders,
}

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Reads.
    Read,
    /// Acts, and the question what became of one.
    Act,
    /// What can only lessen exposure.
    Reduce,
}

impl Urgency {
    /// Of an operation.
    #[must_use]
    pub fn of(operation: &Operation) -> Self {
        if operation.is_reducing() {
            Self::Reduce
        } else if operation.is_read() && !matches!(operation, Operation::Order(_)) {
            Self::Read
        } else {
            Self::Act
        }
    }
}

/// One bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What it counts.
    pub kind: Kind,
    /// How much in a window.
    pub capacity: u32,
    /// The window.
    pub window: Duration,
    /// What reads leave.
    pub reserve_for_acts: u32,
    /// What everything but reductions leaves; at most [`Self::reserve_for_acts`].
    pub reserve_for_reductions: u32,
}

impl Rule {
    /// With the usual reserves: a quarter for acts, an eighth for reductions, at least one each where there are several.
    #[must_use]
    pub fn new(kind: Kind, capacity: u32, window: Duration) -> Self {
        Self {
            kind,
            capacity,
            window,
            reserve_for_acts: (capacity / 4).max(2).min(capacity.saturating_sub(1)),
            reserve_for_reductions: (capacity / 8).max(1).min(capacity.saturating_sub(1)),
        }
    }

    const fn reserve(&self, urgency: Urgency) -> u32 {
        match urgency {
            Urgency::Read => self.reserve_for_acts,
            Urgency::Act => self.reserve_for_reductions,
            Urgency::Reduce => 0,
        }
    }
}

/// What a venue said of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// So much of a window is used, by whomever.
    Used {
        /// Of which buckets.
        kind: Kind,
        /// Of which window.
        window: Duration,
        /// How much.
        used: u32,
    },
    /// So much is left.
    Left {
        /// Of which buckets.
        kind: Kind,
        /// How much.
        left: u32,
        /// When it is whole again; a window from now where it does not say.
        until: Option<Duration>,
    },
    /// Too many: nothing of this kind (of any, where it does not say) for so long.
    Closed {
        /// Of which kind.
        kind: Option<Kind>,
        /// From now.
        wait: Duration,
    },
    /// The address or the account is banned: nothing at all for so long.
    Banned {
        /// From now.
        wait: Duration,
    },
}

/// There is no place within the time one would wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The buckets are empty.
    #[error("{venue}: rate limit used up, a place is free in {wait:?}")]
    Full {
        /// Where.
        venue: Venue,
        /// When a place is free, from now, if nobody else takes it.
        wait: Duration,
    },
    /// The venue told to stay away.
    #[error("{venue}: told to stay away for another {wait:?}")]
    Closed {
        /// Where.
        venue: Venue,
        /// How much longer.
        wait: Duration,
    },
    /// It costs more than a whole bucket: it would never fit.
    #[error("{venue}: weighs {weight}, more than the {capacity} that ever fit")]
    TooHeavy {
        /// Where.
        venue: Venue,
        /// Its weight.
        weight: u32,
        /// The bucket's capacity for it.
        capacity: u32,
    },
}

impl LimitError {
    /// When to ask again, from now; none for what never fits.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Full { wait, .. } | Self::Closed { wait, .. } => Some(*wait),
            Self::TooHeavy { .. } => None,
        }
    }
}

/// Tokens that come back together.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// When the oldest of them could have come back.
    first: Instant,
    /// When they do: with the youngest.
    back: Instant,
    weight: u32,
}

#[derive(Debug)]
struct Bucket {
    rule: Rule,
    taken: VecDeque<Taken>,
    used: u32,
    closed_until: Option<Instant>,
}

/// A window is remembered in at most so many steps; a step's tokens come back together, with the youngest of them.
const STEPS: u32 = 64;

impl Bucket {
    const fn new(rule: Rule) -> Self {
        Self {
            rule,
            taken: VecDeque::new(),
            used: 0,
            closed_until: None,
        }
    }

    fn forget(&mut self, now: Instant) {
        while let Some(taken) = self.taken.front().copied() {
            if taken.back > now {
                break;
            }
            self.taken.pop_front();
            self.used = self.used.saturating_sub(taken.weight);
        }
    }

    fn take(&mut self, weight: u32, back: Instant) {
        if weight == 0 {
            return;
        }
        self.used = self.used.saturating_add(weight);
        let step = self.rule.window / STEPS;
        match self.taken.back_mut() {
            // Within one step of the oldest they share the later end: never a token back too early.
            Some(taken) if back.saturating_duration_since(taken.first) < step => {
                taken.weight = taken.weight.saturating_add(weight);
                taken.back = back.max(taken.back);
            }
            _ => self.taken.push_back(Taken {
                first: back,
                back,
                weight,
            }),
        }
    }

    /// When `weight` may be taken: now, or the earliest moment it could be.
    fn free_at(&self, weight: u32, urgency: Urgency, now: Instant) -> Instant {
        let room = self.rule.capacity.saturating_sub(self.rule.reserve(urgency));
        let mut used = self.used;
        let mut at = now;
        for taken in &self.taken {
            if used.saturating_add(weight) <= room {
                break;
            }
            used = used.saturating_sub(taken.weight);
            at = taken.back;
        }
        self.closed_until.map_or(at, |closed| at.max(closed))
    }
}

#[derive(Debug)]
struct State {
    buckets: Vec<Bucket>,
    closed_until: Option<Instant>,
}

/// The limits of one venue for one account. Cheap to clone; clones share the buckets.
#[derive(Debug, Clone)]
pub struct Limiter {
    venue: Venue,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    // One queue per grade and for what needs no order: tokio's mutex is first come, first served. Whoever holds one is
    // the head of its queue; heads compete for the buckets by their reserves.
    reads: tokio::sync::Mutex<()>,
    acts: tokio::sync::Mutex<()>,
    reductions: tokio::sync::Mutex<()>,
}

impl Limiter {
    /// With the venue's documented limits.
    #[must_use]
    pub fn new(venue: Venue) -> Self {
        Self::with(venue, limits::rules(venue))
    }

    /// The one that everything in this process shares which reads from this address: venues count requests by the address
    /// they come from, whichever account they are about. Orders are counted by account: who sends them has a limiter of
    /// their own.
    #[must_use]
    pub fn of_process(venue: Venue, rest: &str) -> Self {
        static ALL: OnceLock<Mutex<HashMap<(Venue, String), Limiter>>> = OnceLock::new();
        ALL.get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((venue, rest.to_owned()))
            .or_insert_with(|| Self::new(venue))
            .clone()
    }

    /// With other limits, as the venue's list of instruments or the account's tier may tell.
    #[must_use]
    pub fn with(venue: Venue, rules: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            venue,
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    buckets: rules.into_iter().map(Bucket::new).collect(),
                    closed_until: None,
                }),
                reads: tokio::sync::Mutex::default(),
                acts: tokio::sync::Mutex::default(),
                reductions: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// Takes what an operation costs, waiting at most `patience`.
    ///
    /// # Errors
    /// When there is no place in that time; nothing was taken then.
    pub async fn admit(&self, operation: &Operation, patience: Duration) -> Result<(), LimitError> {
        self.take(
            limits::cost(self.venue, operation),
            Urgency::of(operation),
            patience,
        )
        .await
    }

    /// Takes a cost, waiting at most `patience`.
    ///
    /// # Errors
    /// When there is no place in that time; nothing was taken then.
    pub async fn take(&self, cost: Cost, urgency: Urgency, patience: Duration) -> Result<(), LimitError> {
        let deadline = Instant::now() + patience;
        let lane = match urgency {
            Urgency::Read => &self.shared.reads,
            Urgency::Act => &self.shared.acts,
            Urgency::Reduce => &self.shared.reductions,
        };
        let Ok(_head) = tokio::time::timeout_at(deadline, lane.lock()).await else {
            // The queue itself was longer than the patience: say when a place would be free for its head.
            return Err(self.try_take(cost, urgency).err().unwrap_or(LimitError::Full {
                venue: self.venue,
                wait: Duration::ZERO,
            }));
        };
        loop {
            let error = match self.try_take(cost, urgency) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let Some(wait) = error.wait() else {
                return Err(error);
            };
            let at = Instant::now() + wait;
            if at > deadline {
                return Err(error);
            }
            sleep_until(at).await;
        }
    }

    /// Takes a cost now or not at all.
    ///
    /// # Errors
    /// When there is no place; nothing was taken then.
    pub fn try_take(&self, cost: Cost, urgency: Urgency) -> Result<(), LimitError> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(closed) = state.closed_until
            && closed > now
        {
            return Err(LimitError::Closed {
                venue: self.venue,
                wait: closed - now,
            });
        }
        let mut free = now;
        let mut closed = false;
        for bucket in &mut state.buckets {
            let weight = cost.of(bucket.rule.kind);
            if weight == 0 {
                continue;
            }
            let room = bucket.rule.capacity.saturating_sub(bucket.rule.reserve(urgency));
            if weight > room {
                return Err(LimitError::TooHeavy {
                    venue: self.venue,
                    weight,
                    capacity: room,
                });
            }
            bucket.forget(now);
            let at = bucket.free_at(weight, urgency, now);
            if at > free {
                free = at;
                closed = bucket.closed_until == Some(at);
            }
        }
        if free > now {
            let wait = free - now;
            return Err(if closed {
                LimitError::Closed {
                    venue: self.venue,
                    wait,
                }
            } else {
                LimitError::Full {
                    venue: self.venue,
                    wait,
                }
            });
        }
        for bucket in &mut state.buckets {
            let back = now + bucket.rule.window;
            bucket.take(cost.of(bucket.rule.kind), back);
        }
        Ok(())
    }

    /// Takes over what the venue said. Only ever makes the buckets emptier: what the venue thinks is free may be on its
    /// way to it.
    pub fn learn(&self, feedback: Feedback) {
        let now = Instant::now();
        let mut state = self.lock();
        match feedback {
            Feedback::Used { kind, window, used } => {
                for bucket in &mut state.buckets {
                    if bucket.rule.kind == kind && bucket.rule.window == window {
                        bucket.forget(now);
                        let more = used.saturating_sub(bucket.used);
                        let back = now + bucket.rule.window;
                        bucket.take(more, back);
                    }
                }
            }
            Feedback::Left { kind, left, until } => {
                for bucket in &mut state.buckets {
                    if bucket.rule.kind == kind {
                        bucket.forget(now);
                        let used = bucket.rule.capacity.saturating_sub(left);
                        let more = used.saturating_sub(bucket.used);
                        let wait = until.unwrap_or(bucket.rule.window).min(bucket.rule.window);
                        bucket.take_early(more, now + wait);
                    }
                }
            }
            Feedback::Closed { kind, wait } => {
                tracing::warn!(venue = %self.venue, ?kind, ?wait, "the venue asks for a pause");
                for bucket in &mut state.buckets {
                    if kind.is_none_or(|kind| bucket.rule.kind == kind) {
                        bucket.closed_until = later(bucket.closed_until, now + wait);
                    }
                }
            }
            Feedback::Banned { wait } => {
                tracing::error!(venue = %self.venue, ?wait, "banned by the venue");
                state.closed_until = later(state.closed_until, now + wait);
            }
        }
    }

    /// How much is used of each bucket, in the order of the rules: for metrics.
    #[must_use]
    pub fn used(&self) -> Vec<(Rule, u32)> {
        let now = Instant::now();
        self.lock()
            .buckets
            .iter_mut()
            .map(|bucket| {
                bucket.forget(now);
                (bucket.rule, bucket.used)
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Buckets are whole whenever the lock is free, also after a panic elsewhere.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    /// [`Self::take`] of what comes back before the newest does.
    fn take_early(&mut self, weight: u32, back: Instant) {
        if weight == 0 {
            return;
        }
        self.used = self.used.saturating_add(weight);
        let place = self.taken.partition_point(|taken| taken.back <= back);
        let taken = Taken {
            first: back,
            back,
            weight,
        };
        self.taken.insert(place, taken);
    }
}

impl Cost {
    const fn of(self, kind: Kind) -> u32 {
        match kind {
            Kind::Requests => self.requests,
            Kind::Orders => self.orders,
        }
    }
}

fn later(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.max(other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    fn orders(capacity: u32) -> Limiter {
        Limiter::with(Venue::Bybit, [Rule::new(Kind::Orders, capacity, SECOND)])
    }

    const ONE: Cost = Cost {
        requests: 0,
        orders: 1,
    };

    #[tokio::test]
    async fn whatever_reads_from_one_address_shares_its_limits() {
        let one = Limiter::of_process(Venue::Okx, "http://one");
        let cost = Cost {
            requests: 1,
            orders: 0,
        };
        one.try_take(cost, Urgency::Read).unwrap();
        let next = |rest| Limiter::of_process(Venue::Okx, rest).used();
        assert!(next("http://one").iter().any(|(_, used)| *used > 0));
        assert!(next("http://other").iter().all(|(_, used)| *used == 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reduction_goes_through_when_everything_else_waits() {
        let limiter = orders(10);
        let mut acts = 0;
        while limiter.try_take(ONE, Urgency::Act).is_ok() {
            acts += 1;
        }
        assert_eq!(acts, 9);
        // A crowd of acts waits in line.
        let crowd: Vec<_> = (0..50)
            .map(|_| {
                let limiter = limiter.clone();
                tokio::spawn(async move { limiter.take(ONE, Urgency::Act, 60 * SECOND).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let before = Instant::now();
        limiter.take(ONE, Urgency::Reduce, Duration::ZERO).await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO);
        for task in crowd {
            task.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn reads_leave_room_for_acts() {
        let limiter = Limiter::with(Venue::Okx, [Rule::new(Kind::Requests, 8, SECOND)]);
        let read = Cost {
            requests: 1,
            orders: 0,
        };
        let mut reads = 0;
        while limiter.try_take(read, Urgency::Read).is_ok() {
            reads += 1;
        }
        assert_eq!(reads, 6);
        assert!(limiter.try_take(read, Urgency::Act).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_in_time_takes_nothing_and_says_when() {
        let limiter = orders(2);
        limiter.try_take(ONE, Urgency::Act).unwrap();
        advance(SECOND / 4).await;
        let error = limiter.take(ONE, Urgency::Act, SECOND / 2).await.unwrap_err();
        assert_eq!(error.wait(), Some(3 * SECOND / 4));
        assert_eq!(limiter.used()[0].1, 1);
        limiter.take(ONE, Urgency::Act, SECOND).await.unwrap();
        let never = Cost {
            requests: 0,
            orders: 3,
        };
        assert!(matches!(
            limiter.take(never, Urgency::Reduce, SECOND).await,
            Err(LimitError::TooHeavy { .. })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn the_venues_count_empties_the_bucket_and_never_fills_it() {
        let limiter = Limiter::new(Venue::Binance);
        let used = |used| Feedback::Used {
            kind: Kind::Requests,
            window: 60 * SECOND,
            used,
        };
        limiter.learn(used(2_000));
        limiter.learn(used(1));
        assert_eq!(limiter.used()[0].1, 2_000);
        advance(60 * SECOND).await;
        assert_eq!(limiter.used()[0].1, 0);
        let limiter = orders(10);
        limiter.learn(Feedback::Left {
            kind: Kind::Orders,
            left: 0,
            until: Some(SECOND / 2),
        });
        assert_eq!(
            limiter.try_take(ONE, Urgency::Reduce).unwrap_err().wait(),
            Some(SECOND / 2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_its_kind_and_a_ban_holds_all() {
        let limiter = Limiter::new(Venue::Bybit);
        limiter.learn(Feedback::Closed {
            kind: Some(Kind::Orders),
            wait: 3 * SECOND,
        });
        let order = Cost {
            requests: 1,
            orders: 1,
        };
        let read = Cost {
            requests: 1,
            orders: 0,
        };
        assert!(matches!(
            limiter.try_take(order, Urgency::Reduce),
            Err(LimitError::Closed { wait, .. }) if wait == 3 * SECOND
        ));
        assert!(limiter.try_take(read, Urgency::Read).is_ok());
        limiter.learn(Feedback::Banned { wait: 100 * SECOND });
        assert!(matches!(
            limiter.try_take(read, Urgency::Read),
            Err(LimitError::Closed { wait, .. }) if wait == 100 * SECOND
        ));
        // A shorter word later does not open it.
        limiter.learn(Feedback::Banned { wait: SECOND });
        advance(99 * SECOND).await;
        assert!(limiter.try_take(read, Urgency::Reduce).is_err());
        advance(SECOND).await;
        assert!(limiter.try_take(order, Urgency::Reduce).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_window_ever_sees_more_than_the_capacity(
            capacity in 1_u32..40,
            asks in proptest::collection::vec((0_u64..200, 1_u32..6, 0_u8..3), 1..200),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let limiter = orders(capacity);
                let mut passed: Vec<(Instant, u32)> = Vec::new();
                for (pause, weight, urgency) in asks {
                    advance(Duration::from_millis(pause)).await;
                    let urgency = [Urgency::Read, Urgency::Act, Urgency::Reduce][usize::from(urgency)];
                    if limiter.try_take(Cost { requests: 0, orders: weight }, urgency).is_ok() {
                        passed.push((Instant::now(), weight));
                    }
                    let start = passed.last().map(|(at, _)| *at);
                    if let Some(end) = start {
                        let sum: u32 = passed.iter().filter(|(at, _)| end - *at < SECOND).map(|(_, weight)| weight).sum();
                        prop_assert!(sum <= capacity, "{sum} of {capacity}");
                    }
                    prop_assert!(limiter.lock().buckets[0].taken.len() <= usize::try_from(STEPS).unwrap() + 2);
                }
                Ok::<(), TestCaseError>(())
            })?;
        }
    }
}
