//! Market data of one symbol from several venues, by itself: who is best is chosen at least every
//! [`CHOOSE_EVERY`], told through a watch channel and logged with the reason when it changes.
//!
//! Each venue is asked for its time every so often besides: that is its latency and its error rate, and while its circuit
//! is open it is the one request that is let through to find out whether it is back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::best::{Best, Quote, Quotes};
use super::failover::{CHOOSE_EVERY, Failover, Settings as FailoverSettings};
use crate::error::SignError;
use crate::health::{Figures, Health};
use crate::model::{
    ContractKind, Decimal, Event, Instrument, InstrumentState, Instruments, Level, Stream, Text, Ticker,
    Venue,
};
use crate::operation::{Empty, Operation, Reply};
use crate::protocol::{Endpoints, Protocol};
use crate::transport::backoff::ConnectLimiter;
use crate::transport::clock::{LocalClock, VenueClock};
use crate::transport::feed::{Feed, channel};
use crate::transport::http::Http;
use crate::transport::ledger::MemoryLedger;
use crate::transport::limiter::Limiter;
use crate::transport::random::Random;
use crate::transport::rest::{Client, Parts, Patience, ReadError};
use crate::transport::socket::{Connect, Plan, Settings as SocketSettings, plan, start};

/// Room for messages between the venues and the choice.
const ROOM: usize = 1_024;
/// Pause after a venue's instruments could not be read.
const RETRY: Duration = Duration::from_secs(2);
/// Quote assets of the contracts that are taken for the same thing, best first.
const DOLLARS: [&str; 3] = ["USDT", "USDC", "USD"];

/// How it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How a source is left and gone back to. A quote older than its `leave_after` gives no best price.
    pub failover: FailoverSettings,
    /// How often each venue is asked for its time.
    pub probe_every: Duration,
    /// How sockets wait.
    pub sockets: SocketSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failover: FailoverSettings::default(),
            probe_every: Duration::from_secs(2),
            sockets: SocketSettings::default(),
        }
    }
}

/// A venue that may be chosen.
#[derive(Clone)]
pub struct Candidate {
    /// Its words.
    pub protocol: Arc<dyn Protocol>,
    /// Where it is reached.
    pub endpoints: Endpoints,
    /// Its word for the symbol; none for its linear perpetual of this base asset against the dollar.
    pub instrument: Option<Text>,
    /// What is noted of it.
    pub health: Health,
}

/// What is chosen, and what it is chosen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Of which symbol.
    pub symbol: Text,
    /// The venue whose data is to be followed; none when none is good.
    pub venue: Option<Venue>,
    /// Best bid and ask over all that may be used.
    pub best: Option<Best>,
    /// All venues in the order of preference.
    pub venues: Vec<Standing>,
}

/// A venue as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub venue: Venue,
    /// Its word for the symbol, once it is known.
    pub instrument: Option<Text>,
    /// What it bids and asks, while that may be used.
    pub quote: Option<Quote>,
    /// Its health.
    pub figures: Figures,
}

/// What a venue's data source tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The symbol is called so there.
    Instrument(Venue, Text),
    /// It bids and asks this.
    Quote(Venue, Quote),
    /// Its stream is lost.
    Lost(Venue),
}

/// Chooses between sources that somebody else feeds, until `stop` or until nobody feeds them. `healths` are in the order of
/// preference. What is chosen is sent at every change and at least every [`CHOOSE_EVERY`].
pub async fn select(
    symbol: Text,
    healths: Vec<Health>,
    settings: FailoverSettings,
    mut heard: mpsc::Receiver<Heard>,
    selected: watch::Sender<Selected>,
    stop: CancellationToken,
) {
    let mut choice = Choice::new(symbol, healths, settings);
    let mut ticks = tokio::time::interval(CHOOSE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => choice.measure(),
            message = heard.recv() => match message {
                Some(message) => choice.hear(message),
                None => return,
            },
        }
        selected.send_replace(choice.choose());
    }
}

struct Choice {
    symbol: Text,
    quotes: Quotes,
    failover: Failover,
    venues: Vec<(Health, Standing)>,
}

impl Choice {
    fn new(symbol: Text, healths: Vec<Health>, settings: FailoverSettings) -> Self {
        let preference: Vec<Venue> = healths.iter().map(Health::venue).collect();
        let venues = healths.into_iter().map(|health| {
            let standing = Standing {
                venue: health.venue(),
                instrument: None,
                quote: None,
                figures: health.figures(),
            };
            (health, standing)
        });
        Self {
            quotes: Quotes::new(settings.leave_after),
            failover: Failover::new(symbol.clone(), &preference, settings),
            venues: venues.collect(),
            symbol,
        }
    }

    fn measure(&mut self) {
        for (health, standing) in &mut self.venues {
            standing.figures = health.figures();
        }
    }

    fn hear(&mut self, message: Heard) {
        match message {
            Heard::Instrument(venue, instrument) => {
                for (_, standing) in &mut self.venues {
                    if standing.venue == venue {
                        standing.instrument = Some(instrument.clone());
                    }
                }
            }
            Heard::Quote(venue, quote) => {
                for (health, standing) in &mut self.venues {
                    if standing.venue == venue {
                        standing.figures = health.figures();
                    }
                }
                if self.quotes.update(venue, &self.symbol, quote) {
                    self.failover.data(venue, quote.received_at);
                } else {
                    self.failover.lost(venue);
                }
            }
            Heard::Lost(venue) => {
                self.quotes.withdraw(venue, &self.symbol);
                self.failover.lost(venue);
            }
        }
    }

    fn choose(&mut self) -> Selected {
        let now = Instant::now();
        for (health, standing) in &mut self.venues {
            let state = health.state();
            self.quotes.set_state(standing.venue, state);
            self.failover.state(standing.venue, state);
            standing.quote = self.quotes.usable(standing.venue, &self.symbol, now).copied();
        }
        // It logs what changes.
        self.failover.choose(now);
        Selected {
            symbol: self.symbol.clone(),
            venue: self.failover.current(),
            best: self.quotes.best(&self.symbol, now),
            venues: self.venues.iter().map(|(_, standing)| standing.clone()).collect(),
        }
    }
}

/// Before anything was heard.
#[must_use]
pub fn nothing(symbol: Text) -> Selected {
    Selected {
        symbol,
        venue: None,
        best: None,
        venues: Vec::new(),
    }
}

/// Opens the candidates' market data, probes them and chooses, until `stop`. The candidates are in the order of preference.
pub async fn follow_best(
    symbol: Text,
    candidates: Vec<Candidate>,
    settings: Settings,
    http: Arc<dyn Http>,
    connect: Arc<dyn Connect>,
    selected: watch::Sender<Selected>,
    stop: CancellationToken,
) {
    let healths = candidates
        .iter()
        .map(|candidate| candidate.health.clone())
        .collect();
    let (tell, heard) = mpsc::channel(ROOM);
    let mut venues = JoinSet::new();
    for candidate in candidates {
        let venue = VenueData {
            client: client(&candidate, Arc::clone(&http)),
            candidate,
            base: symbol.clone(),
            settings: settings.clone(),
            connect: Arc::clone(&connect),
            tell: tell.clone(),
        };
        venues.spawn(venue.run());
    }
    drop(tell);
    // Dropping the set ends the venues.
    select(symbol, healths, settings.failover, heard, selected, stop).await;
}

fn client(candidate: &Candidate, http: Arc<dyn Http>) -> Client {
    let venue = candidate.protocol.venue();
    Client::new(Parts {
        protocol: candidate.protocol.clone(),
        http,
        rest: candidate.endpoints.rest.trim_end_matches('/').to_owned(),
        credentials: None,
        instruments: candidate.protocol.known_instruments(),
        clock: VenueClock::new(venue, LocalClock::start()),
        limiter: Limiter::of_process(venue, &candidate.endpoints.rest),
        health: candidate.health.clone(),
        ledger: Arc::new(MemoryLedger::default()),
        patience: Patience::of(venue),
        random: Random::from_process(),
    })
}

struct VenueData {
    client: Client,
    candidate: Candidate,
    base: Text,
    settings: Settings,
    connect: Arc<dyn Connect>,
    tell: mpsc::Sender<Heard>,
}

impl VenueData {
    async fn run(self) {
        let venue = self.client.venue();
        let (list, instrument) = loop {
            match self.instruments().await {
                Ok(found) => break found,
                Err(why) => {
                    tracing::warn!(%venue, why, "market data cannot be begun; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        if self
            .tell
            .send(Heard::Instrument(venue, instrument.clone()))
            .await
            .is_err()
        {
            return;
        }
        tokio::select! {
            followed = self.follow(list, instrument) => if let Err(error) = followed {
                tracing::error!(%venue, %error, "no market data");
            },
            () = self.probe() => {}
        }
    }

    async fn instruments(&self) -> Result<(Vec<Instrument>, Text), String> {
        let venue = self.client.venue();
        let read = async {
            self.client.measure_clock().await?;
            self.client.read(&Operation::Instruments(Empty {})).await
        };
        let list = match read.await {
            Ok(Reply::Instruments(list)) => list,
            Ok(_) => return Err("the venue answered with something else than its instruments".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let instrument = match &self.candidate.instrument {
            Some(instrument) => instrument.clone(),
            None => perpetual(&list, &self.base)
                .ok_or_else(|| format!("{venue} lists no linear perpetual of {}", self.base))?,
        };
        Ok((list, instrument))
    }

    async fn follow(&self, list: Vec<Instrument>, instrument: Text) -> Result<(), SignError> {
        let venue = self.client.venue();
        let whole = Plan {
            protocol: self.candidate.protocol.clone(),
            endpoints: self.candidate.endpoints.clone(),
            streams: vec![Stream::Ticker { instrument }],
            index: 0,
            credentials: None,
            keys: None,
            instruments: Instruments::new(venue, list),
            clock: self.client.clock().clone(),
            settings: self.settings.sockets.clone(),
        };
        let (sender, mut receiver) = channel(ROOM);
        let connects = ConnectLimiter::of_process();
        let _handles: Vec<_> = (0..)
            .zip(plan(&whole)?)
            .map(|(id, plan)| {
                start(
                    plan,
                    id,
                    Arc::clone(&self.connect),
                    connects.clone(),
                    self.candidate.health.clone(),
                    sender.clone(),
                    Random::from_process(),
                )
            })
            .collect();
        drop(sender);
        let mut book = Top::default();
        while let Some(message) = receiver.receive().await {
            let heard = match message.feed {
                Feed::Event {
                    event: Event::Ticker(ticker),
                    received_at,
                    ..
                } => match book.update(&ticker, received_at) {
                    Some(quote) => Heard::Quote(venue, quote),
                    None => continue,
                },
                Feed::Lost { .. } | Feed::Stale { .. } | Feed::Ended { .. } => {
                    book = Top::default();
                    Heard::Lost(venue)
                }
                _ => continue,
            };
            if self.tell.send(heard).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn probe(&self) {
        let mut ticks = tokio::time::interval(self.settings.probe_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // While the circuit is open, nothing; then one question that half opens it.
            if self.candidate.health.admit().is_ok() {
                let asked: Result<(), ReadError> = self.client.measure_clock().await;
                if let Err(error) = asked {
                    tracing::debug!(venue = %self.client.venue(), %error, "no answer to a probe");
                }
            }
        }
    }
}

/// Best bid and ask, of tickers that may tell only what changed.
#[derive(Debug, Default)]
struct Top {
    bid: Option<Level>,
    ask: Option<Level>,
}

impl Top {
    fn update(&mut self, ticker: &Ticker, received_at: Instant) -> Option<Quote> {
        let level = |price: Option<Decimal>, size: Option<Decimal>, before: Option<Level>| {
            let before_size = before.map(|level| level.size);
            Some(Level {
                price: price.or(before.map(|level| level.price))?,
                size: size.or(before_size)?,
            })
        };
        self.bid = level(ticker.bid, ticker.bid_size, self.bid);
        self.ask = level(ticker.ask, ticker.ask_size, self.ask);
        Some(Quote {
            bid: self.bid?,
            ask: self.ask?,
            received_at,
        })
    }
}

/// The venue's linear perpetual of a base asset. Dated futures have longer names.
fn perpetual(list: &[Instrument], base: &str) -> Option<Text> {
    let dollar = |instrument: &Instrument| {
        DOLLARS
            .iter()
            .position(|dollar| instrument.quote.eq_ignore_ascii_case(dollar))
    };
    list.iter()
        .filter(|instrument| {
            instrument.kind == ContractKind::Linear
                && instrument.state == InstrumentState::Trading
                && instrument.base.eq_ignore_ascii_case(base)
        })
        .filter_map(|instrument| Some((dollar(instrument)?, instrument.instrument.len(), instrument)))
        .min_by_key(|(dollar, length, _)| (*dollar, *length))
        .map(|(_, _, instrument)| instrument.instrument.clone())
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;
    use crate::health::{Limits, State};

    fn quote(bid: u32) -> Quote {
        let level = |price: u32| Level {
            price: price.into(),
            size: Decimal::ONE,
        };
        Quote {
            bid: level(bid),
            ask: level(bid + 1),
            received_at: Instant::now(),
        }
    }

    /// A venue that quotes every 100 ms while it is switched on.
    fn quoting(venue: Venue, tell: mpsc::Sender<Heard>) -> watch::Sender<bool> {
        let (switch, on) = watch::channel(true);
        tokio::spawn(async move {
            loop {
                if *on.borrow() && tell.send(Heard::Quote(venue, quote(100))).await.is_err() {
                    return;
                }
                sleep(Duration::from_millis(100)).await;
            }
        });
        switch
    }

    struct Running {
        healths: Vec<Health>,
        switches: Vec<watch::Sender<bool>>,
        selected: watch::Receiver<Selected>,
        _stop: tokio_util::sync::DropGuard,
    }

    fn running(venues: &[Venue]) -> Running {
        let healths: Vec<Health> = venues
            .iter()
            .map(|venue| Health::new(*venue, Limits::default()))
            .collect();
        let (tell, heard) = mpsc::channel(16);
        let (send, selected) = watch::channel(nothing("BTC".into()));
        let stop = CancellationToken::new();
        tokio::spawn(select(
            "BTC".into(),
            healths.clone(),
            FailoverSettings::default(),
            heard,
            send,
            stop.clone(),
        ));
        Running {
            switches: venues.iter().map(|venue| quoting(*venue, tell.clone())).collect(),
            healths,
            selected,
            _stop: stop.drop_guard(),
        }
    }

    async fn chosen(running: &mut Running, venue: Venue) -> Duration {
        let began = Instant::now();
        running
            .selected
            .wait_for(|selected| selected.venue == Some(venue))
            .await
            .unwrap();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_venue_is_left_within_a_second_by_itself_and_gone_back_to_when_it_is_good_again() {
        let mut running = running(&[Venue::Binance, Venue::Okx]);
        chosen(&mut running, Venue::Binance).await;
        running.switches[0].send_replace(false);
        let left = chosen(&mut running, Venue::Okx).await;
        assert!(left < Duration::from_secs(1), "{left:?}");
        let best = running.selected.borrow().best.unwrap();
        assert_eq!((best.bid.venue, best.ask.venue), (Venue::Okx, Venue::Okx));
        running.switches[0].send_replace(true);
        let back = chosen(&mut running, Venue::Binance).await;
        assert!(back >= FailoverSettings::default().return_after, "{back:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_venue_whose_circuit_opens_is_left_at_once_and_may_come_back_when_half_open_succeeds() {
        let mut running = running(&[Venue::Binance, Venue::Okx]);
        chosen(&mut running, Venue::Binance).await;
        for _ in 0..5 {
            running.healths[0].failed();
        }
        let left = chosen(&mut running, Venue::Okx).await;
        assert!(left <= CHOOSE_EVERY, "{left:?}");
        let standing = running.selected.borrow().venues[0].clone();
        assert_eq!((standing.quote, standing.figures.consecutive_errors), (None, 5));
        // Its quotes come all the while, and do not help.
        advance(Duration::from_secs(60)).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(running.selected.borrow().venue, Some(Venue::Okx));
        running.healths[0].admit().unwrap();
        assert_eq!(running.healths[0].state(), State::HalfOpen);
        running.healths[0].answered(Duration::from_millis(5));
        chosen(&mut running, Venue::Binance).await;
    }

    #[tokio::test(start_paused = true)]
    async fn with_nobody_left_nobody_is_chosen() {
        let mut running = running(&[Venue::Binance]);
        chosen(&mut running, Venue::Binance).await;
        running.switches[0].send_replace(false);
        let began = Instant::now();
        let none = running.selected.wait_for(|selected| selected.venue.is_none());
        assert_eq!(none.await.unwrap().best, None);
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn a_ticker_that_tells_only_what_changed_keeps_the_rest() {
        let mut top = Top::default();
        let ticker = |bid: Option<u32>, ask: Option<u32>| Ticker {
            bid: bid.map(Decimal::from),
            bid_size: bid.map(|_| Decimal::ONE),
            ask: ask.map(Decimal::from),
            ask_size: ask.map(|_| Decimal::TWO),
            ..Ticker::default()
        };
        let now = Instant::now();
        assert_eq!(top.update(&ticker(Some(9), None), now), None);
        assert!(top.update(&ticker(None, Some(11)), now).is_some());
        let quote = top.update(&ticker(Some(10), None), now).unwrap();
        assert_eq!(
            (quote.bid.price, quote.ask.price, quote.ask.size),
            (10.into(), 11.into(), Decimal::TWO)
        );
    }

    #[test]
    fn the_perpetual_of_a_base_asset_is_the_shortest_linear_one_against_the_best_dollar() {
        let linear =
            |name: &str, quote: &str| Instrument::linear(name, "BTC", quote, Decimal::ONE, Decimal::ONE);
        let mut halted = linear("BTCUSD", "USDT");
        halted.state = InstrumentState::Halted;
        let list = [
            linear("BTCUSDC", "USDC"),
            linear("BTCUSDT_260327", "USDT"),
            linear("BTCUSDT", "USDT"),
            halted,
        ];
        assert_eq!(perpetual(&list, "btc"), Some("BTCUSDT".into()));
        assert_eq!(perpetual(&list, "ETH"), None);
    }
}
