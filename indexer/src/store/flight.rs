//! One computation at a time of what everyone asks for and every commit makes old.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// Longest time between two computations.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The pause is so many times what the computation took: asked without end, it keeps a tenth of a processor busy.
const PAUSE_FACTOR: u32 = 10;

/// A value that is computed for everyone who waits for it.
///
/// Nobody is given a value whose computation began before they asked, unless it is still good: who was told of a commit
/// and asks then sees it.
#[derive(Debug, Default)]
pub struct Flight<T> {
    kept: Mutex<Option<Kept<T>>>,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    begun: Instant,
    /// Not computed again before.
    next: Instant,
}

impl<T: Clone> Flight<T> {
    /// The value: the one that is kept where `good` says so, or a new one. Who finds one being computed waits for the
    /// next, together with everyone else who came meanwhile.
    ///
    /// # Errors
    /// Those of `good` and `compute`; then nothing is kept of this attempt.
    pub async fn get<E, G, C>(&self, good: impl FnOnce(T) -> G, compute: impl FnOnce() -> C) -> Result<T, E>
    where
        G: Future<Output = Result<bool, E>>,
        C: Future<Output = Result<T, E>>,
    {
        let asked = Instant::now();
        let mut kept = self.kept.lock().await;
        if let Some(kept) = &*kept {
            if kept.begun >= asked || good(kept.value.clone()).await? {
                return Ok(kept.value.clone());
            }
            tokio::time::sleep_until(kept.next.into()).await;
        }
        let begun = Instant::now();
        let value = compute().await?;
        let ended = Instant::now();
        let pause = ended
            .saturating_duration_since(begun)
            .saturating_mul(PAUSE_FACTOR)
            .min(LONGEST_PAUSE);
        *kept = Some(Kept {
            value: value.clone(),
            begun,
            next: ended + pause,
        });
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn ask(flight: &Flight<u32>, computed: &AtomicU32, good: bool) -> u32 {
        let compute = || async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, Infallible>(computed.fetch_add(1, Ordering::SeqCst) + 1)
        };
        flight.get(|_| async move { Ok(good) }, compute).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn everyone_who_asks_at_once_shares_two_computations() {
        let (flight, computed) = (Arc::new(Flight::default()), Arc::new(AtomicU32::new(0)));
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let (flight, computed) = (Arc::clone(&flight), Arc::clone(&computed));
                tokio::spawn(async move { ask(&flight, &computed, false).await })
            })
            .collect();
        for asked in asking {
            asked.await.unwrap();
        }
        // The first one's, and the one for all who came while it ran.
        assert!(computed.load(Ordering::SeqCst) <= 2, "{computed:?}");
    }

    #[tokio::test]
    async fn a_good_value_is_kept_and_an_old_one_computed_again_after_a_pause() {
        let (flight, computed) = (Flight::default(), AtomicU32::new(0));
        assert_eq!(ask(&flight, &computed, true).await, 1);
        assert_eq!(ask(&flight, &computed, true).await, 1);
        let begun = Instant::now();
        assert_eq!(ask(&flight, &computed, false).await, 2);
        assert!(begun.elapsed() >= Duration::from_millis(200));
    }

    #[tokio::test]
    async fn a_failure_is_told_and_not_kept() {
        let flight = Flight::<u32>::default();
        let failed = flight.get(|_| async { Ok(true) }, || async { Err("no") }).await;
        assert_eq!(failed, Err("no"));
        assert_eq!(ask(&flight, &AtomicU32::new(0), true).await, 1);
    }
}
