//! Which venue's market data is followed, and the change to the next best when it fails: within a second.

use std::time::Duration;

use tokio::time::Instant;

use crate::health::State;
use crate::model::{Text, Venue};

/// How a source is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A source silent for longer is left, if another one is not. Together with the pause between two calls of
    /// [`Failover::choose`] it must stay under a second.
    pub leave_after: Duration,
    /// A better source is gone back to when it has been good for this long: sources that come and go are not chased.
    pub return_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            leave_after: Duration::from_millis(750),
            return_after: Duration::from_secs(30),
        }
    }
}

/// How often [`Failover::choose`] is to be called.
pub const CHOOSE_EVERY: Duration = Duration::from_millis(100);

/// The source changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// Of which symbol.
    pub symbol: Text,
    /// From where; none at the start.
    pub from: Option<Venue>,
    /// To where; none when no source is left.
    pub to: Option<Venue>,
    /// How old the last data of the source was that was left.
    pub age: Option<Duration>,
    /// Why.
    pub why: Why,
}

/// Why the source changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There was none before.
    Found,
    /// The one before gave no data for too long.
    Silent,
    /// The stream of the one before was lost, or its book broke.
    Lost,
    /// The circuit of the one before opened.
    CircuitOpen,
    /// A better one has been good for long enough.
    Better,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    venue: Venue,
    data: Option<Instant>,
    state: State,
    good_since: Option<Instant>,
}

/// The choice for one symbol.
#[derive(Debug, Clone)]
pub struct Failover {
    symbol: Text,
    settings: Settings,
    sources: Vec<Source>,
    current: Option<Venue>,
}

impl Failover {
    /// The venues in the order of preference.
    #[must_use]
    pub fn new(symbol: Text, preference: &[Venue], settings: Settings) -> Self {
        Self {
            symbol,
            settings,
            sources: preference
                .iter()
                .map(|venue| Source {
                    venue: *venue,
                    data: None,
                    state: State::Healthy,
                    good_since: None,
                })
                .collect(),
            current: None,
        }
    }

    /// The venue to follow; none when none is good.
    #[must_use]
    pub const fn current(&self) -> Option<Venue> {
        self.current
    }

    /// Data came from a venue.
    pub fn data(&mut self, venue: Venue, at: Instant) {
        for source in self.sources.iter_mut().filter(|source| source.venue == venue) {
            source.data = Some(source.data.map_or(at, |before| before.max(at)));
        }
    }

    /// A venue's health changed.
    pub fn state(&mut self, venue: Venue, state: State) {
        for source in self.sources.iter_mut().filter(|source| source.venue == venue) {
            source.state = state;
        }
    }

    /// A venue's stream was lost, or its book is broken.
    pub fn lost(&mut self, venue: Venue) {
        for source in self.sources.iter_mut().filter(|source| source.venue == venue) {
            source.data = None;
        }
    }

    /// Chooses. Call it every [`CHOOSE_EVERY`] and after each [`Self::lost`] and [`Self::state`].
    pub fn choose(&mut self, now: Instant) -> Option<Switched> {
        let settings = self.settings;
        let good = |source: &Source| {
            source.state.is_usable()
                && source
                    .data
                    .is_some_and(|at| now.saturating_duration_since(at) <= settings.leave_after)
        };
        for source in &mut self.sources {
            source.good_since = if good(source) {
                Some(source.good_since.unwrap_or(now))
            } else {
                None
            };
        }
        let current = self
            .sources
            .iter()
            .find(|source| Some(source.venue) == self.current);
        // Healthy before degraded, then by preference.
        let rank = |source: &Source| (source.state != State::Healthy, self.place(source.venue));
        let next = match current {
            Some(source) if good(source) => {
                self.sources
                    .iter()
                    .filter(|other| {
                        other.good_since.is_some_and(|since| {
                            now.saturating_duration_since(since) >= settings.return_after
                        }) && rank(other) < rank(source)
                    })
                    .min_by_key(|other| rank(other))
                    .or(Some(source))
            }
            _ => self
                .sources
                .iter()
                .filter(|source| good(source))
                .min_by_key(|source| rank(source)),
        };
        let why = match current {
            None => Why::Found,
            Some(source) if !source.state.is_usable() => Why::CircuitOpen,
            Some(source) if source.data.is_none() => Why::Lost,
            Some(source) if !good(source) => Why::Silent,
            Some(_) => Why::Better,
        };
        let to = next.map(|source| source.venue);
        if to == self.current {
            return None;
        }
        let switched = Switched {
            symbol: self.symbol.clone(),
            from: self.current,
            to,
            age: current.and_then(|source| Some(now.saturating_duration_since(source.data?))),
            why,
        };
        let name = |venue: Option<Venue>| venue.map_or("none", Venue::name);
        let (from, to_name) = (name(switched.from), name(to));
        match why {
            Why::Found | Why::Better if to.is_some() => {
                tracing::info!(symbol = %self.symbol, from, to = to_name, ?why, age = ?switched.age, "market data source");
            }
            _ => {
                tracing::warn!(symbol = %self.symbol, from, to = to_name, ?why, age = ?switched.age, "market data source");
            }
        }
        self.current = to;
        Some(switched)
    }

    fn place(&self, venue: Venue) -> usize {
        self.sources
            .iter()
            .position(|source| source.venue == venue)
            .unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const STEP: Duration = Duration::from_millis(100);

    fn failover() -> Failover {
        Failover::new("BTC".into(), &[Venue::Binance, Venue::Okx], Settings::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_source_is_left_within_a_second_and_returned_to_when_it_stays_good() {
        let mut failover = failover();
        failover.data(Venue::Binance, Instant::now());
        failover.data(Venue::Okx, Instant::now());
        assert_eq!(failover.choose(Instant::now()).unwrap().to, Some(Venue::Binance));
        let silent = Instant::now();
        let switched = loop {
            advance(STEP).await;
            failover.data(Venue::Okx, Instant::now());
            if let Some(switched) = failover.choose(Instant::now()) {
                break switched;
            }
        };
        assert_eq!(
            (switched.from, switched.to, switched.why),
            (Some(Venue::Binance), Some(Venue::Okx), Why::Silent)
        );
        assert!(silent.elapsed() < Duration::from_secs(1));
        let back = Instant::now();
        loop {
            advance(STEP).await;
            failover.data(Venue::Okx, Instant::now());
            failover.data(Venue::Binance, Instant::now());
            if let Some(switched) = failover.choose(Instant::now()) {
                assert_eq!((switched.to, switched.why), (Some(Venue::Binance), Why::Better));
                break;
            }
        }
        assert!(back.elapsed() >= Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_venue_is_left_at_once_and_none_is_better_than_a_stale_one() {
        let mut failover = failover();
        failover.data(Venue::Binance, Instant::now());
        failover.data(Venue::Okx, Instant::now());
        failover.choose(Instant::now());
        failover.state(Venue::Binance, State::Open);
        let switched = failover.choose(Instant::now()).unwrap();
        assert_eq!((switched.to, switched.why), (Some(Venue::Okx), Why::CircuitOpen));
        failover.lost(Venue::Okx);
        let switched = failover.choose(Instant::now()).unwrap();
        assert_eq!((switched.to, switched.why), (None, Why::Lost));
        assert_eq!(failover.current(), None);
    }
}
