//! Prices of real exchanges for the local stack (`up --live`): best bid and ask of several venues over their public
//! sockets; what counts is the median of their middles, so that one venue gone wrong moves nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lockstep_exchanges::aggregate::best::{Quote, Quotes};
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{Decimal, Event, Level, Stream, Text, Ticker, Venue};
use lockstep_exchanges::protocol::{Endpoints, Environment, Protocol};
use lockstep_exchanges::transport::backoff::ConnectLimiter;
use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
use lockstep_exchanges::transport::feed::{Feed, Receiver, channel};
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::socket::{Handle, Plan, Settings, plan, start};
use lockstep_exchanges::transport::websocket::WebSockets;
use lockstep_exchanges::venues::protocol;
use tokio::time::Instant;

/// A price older than this is none.
const MAXIMUM_AGE: Duration = Duration::from_secs(10);
/// How long the first prices are waited for.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Room for messages.
const ROOM: usize = 1_024;
/// Which venues are asked, and their words for the local exchange's markets.
const FEEDS: [(Venue, [(&str, &str); 2]); 4] = [
    (Venue::Binance, [("ETH-USD", "ETHUSDT"), ("BTC-USD", "BTCUSDT")]),
    (
        Venue::Okx,
        [("ETH-USD", "ETH-USDT-SWAP"), ("BTC-USD", "BTC-USDT-SWAP")],
    ),
    (Venue::Bybit, [("ETH-USD", "ETHUSDT"), ("BTC-USD", "BTCUSDT")]),
    (Venue::Hyperliquid, [("ETH-USD", "ETH"), ("BTC-USD", "BTC")]),
];
/// Largest step of the local price, bps: the local exchange's liquidity is moved along, not jumped over.
const LARGEST_STEP_BPS: u64 = 50;

/// Real prices, as long as this lives.
pub struct RealPrices {
    quotes: Arc<Mutex<Quotes>>,
    _sockets: Vec<Handle>,
}

impl std::fmt::Debug for RealPrices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RealPrices")
    }
}

impl RealPrices {
    /// Opens the venues' sockets. They are opened again for ever: no internet now may be internet later.
    ///
    /// # Errors
    /// When sockets cannot be set up at all.
    pub fn start() -> anyhow::Result<Self> {
        Self::of(|_, protocol| protocol.endpoints(Environment::Main))
    }

    /// The same from other addresses.
    ///
    /// # Errors
    /// When sockets cannot be set up at all.
    pub fn of(endpoints: impl Fn(Venue, &dyn Protocol) -> Endpoints) -> anyhow::Result<Self> {
        let quotes = Arc::new(Mutex::new(Quotes::new(MAXIMUM_AGE)));
        let connect = Arc::new(WebSockets::new()?);
        let connects = ConnectLimiter::of_process();
        let mut sockets = Vec::new();
        for (venue, markets) in FEEDS {
            let protocol: Arc<dyn Protocol> = Arc::from(protocol(venue));
            let whole = Plan {
                endpoints: endpoints(venue, protocol.as_ref()),
                streams: markets
                    .iter()
                    .map(|(_, instrument)| Stream::Ticker {
                        instrument: Text::new(instrument),
                    })
                    .collect(),
                index: 0,
                credentials: None,
                keys: None,
                instruments: protocol.known_instruments(),
                clock: VenueClock::new(venue, LocalClock::start()),
                settings: Settings::default(),
                protocol,
            };
            let (sender, receiver) = channel(ROOM);
            for (id, plan) in (0..).zip(plan(&whole)?) {
                sockets.push(start(
                    plan,
                    id,
                    connect.clone(),
                    connects.clone(),
                    Health::new(venue, Limits::default()),
                    sender.clone(),
                    Random::from_process(),
                ));
            }
            tokio::spawn(listen(venue, markets, receiver, Arc::clone(&quotes)));
        }
        Ok(Self {
            quotes,
            _sockets: sockets,
        })
    }

    /// Waits a moment for the first prices; whether each market has one, in words.
    pub async fn first_word(&self) -> String {
        let markets = FEEDS[0].1.map(|(symbol, _)| symbol);
        let _ = tokio::time::timeout(FIRST_WAIT, async {
            while markets.iter().any(|symbol| self.price(symbol).is_none()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        let words: Vec<String> = markets
            .iter()
            .filter_map(|symbol| {
                let (_, venues) = self.price(symbol)?;
                Some(format!("{symbol} follows {venues} real exchanges"))
            })
            .collect();
        if words.is_empty() {
            "Real prices: no exchange answers (no internet?); prices follow the seeded path until one does"
                .into()
        } else {
            format!("Real prices: {}", words.join(", "))
        }
    }

    /// Median of the venues' middles (of an even number the upper of the two in the middle), 1e8, and how many venues it is of. None without a fresh price.
    #[must_use]
    pub fn price(&self, symbol: &str) -> Option<(u64, usize)> {
        let symbol = Text::new(symbol);
        let now = Instant::now();
        let quotes = self.quotes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut middles: Vec<Decimal> = FEEDS
            .iter()
            .filter_map(|(venue, _)| quotes.usable(*venue, &symbol, now))
            .filter_map(|quote| {
                quote
                    .bid
                    .price
                    .checked_add(quote.ask.price)?
                    .checked_div(Decimal::TWO)
            })
            .collect();
        drop(quotes);
        middles.sort_unstable();
        let median = middles.get(middles.len() / 2)?;
        let scaled = median.checked_mul(Decimal::from(100_000_000_u64))?.trunc();
        Some((
            u64::try_from(scaled.mantissa().checked_div(10_i128.pow(scaled.scale()))?).ok()?,
            middles.len(),
        ))
    }
}

/// The next local price on the way from `last` to `target`: no further than the largest step.
#[must_use]
pub fn towards(last: u64, target: u64) -> u64 {
    let most = (last / 10_000).saturating_mul(LARGEST_STEP_BPS).max(1);
    target.clamp(last.saturating_sub(most), last.saturating_add(most))
}

async fn listen(
    venue: Venue,
    markets: [(&'static str, &'static str); 2],
    mut receiver: Receiver,
    quotes: Arc<Mutex<Quotes>>,
) {
    let mut known: [Ticker; 2] = [Ticker::default(), Ticker::default()];
    while let Some(message) = receiver.receive().await {
        let mut quotes = quotes.lock().unwrap_or_else(PoisonError::into_inner);
        match message.feed {
            Feed::Event {
                event: Event::Ticker(ticker),
                received_at,
                ..
            } => {
                for ((symbol, instrument), known) in markets.iter().zip(&mut known) {
                    if ticker.instrument != *instrument {
                        continue;
                    }
                    // Some venues send only what changed.
                    known.bid = ticker.bid.or(known.bid);
                    known.ask = ticker.ask.or(known.ask);
                    known.bid_size = ticker.bid_size.or(known.bid_size);
                    known.ask_size = ticker.ask_size.or(known.ask_size);
                    let level = |price: Option<Decimal>, size: Option<Decimal>| {
                        price.zip(size).map(|(price, size)| Level { price, size })
                    };
                    let (Some(bid), Some(ask)) =
                        (level(known.bid, known.bid_size), level(known.ask, known.ask_size))
                    else {
                        continue;
                    };
                    let quote = Quote {
                        bid,
                        ask,
                        received_at,
                    };
                    quotes.update(venue, &Text::new(symbol), quote);
                }
            }
            Feed::Lost { .. } | Feed::Ended { .. } => {
                known = [Ticker::default(), Ticker::default()];
                quotes.withdraw_venue(venue);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_price_glides_and_arrives() {
        assert_eq!(towards(200_000_000_000, 300_000_000_000), 201_000_000_000);
        assert_eq!(towards(200_000_000_000, 100_000_000_000), 199_000_000_000);
        assert_eq!(towards(200_000_000_000, 200_050_000_000), 200_050_000_000);
    }

    /// Simulators stand for the real venues: the path from the socket to the price is the same.
    #[tokio::test]
    async fn the_median_of_the_venues_is_the_price() {
        let mut simulators = std::collections::HashMap::new();
        for (venue, _) in FEEDS {
            let step = Some(Duration::from_millis(50));
            let simulator =
                lockstep_exchanges::simulate::venues::start(venue, ([127, 0, 0, 1], 0).into(), step, 1)
                    .await
                    .unwrap();
            simulators.insert(venue, simulator);
        }
        let prices = RealPrices::of(|venue, protocol| {
            let real = protocol.endpoints(Environment::Main);
            let base = simulators[&venue].url().replacen("http", "ws", 1);
            let path = |url: &str| {
                let after = url.split_once("://").map_or("", |(_, rest)| rest);
                format!("{base}/{}", after.split_once('/').map_or("", |(_, path)| path))
            };
            Endpoints {
                rest: simulators[&venue].url(),
                public_socket: path(&real.public_socket),
                market_socket: path(&real.market_socket),
                private_socket: path(&real.private_socket),
            }
        })
        .unwrap();
        let price =
            crate::process::eventually("a price of all venues", Duration::from_secs(20), async || {
                Ok(prices
                    .price("BTC-USD")
                    .filter(|(_, venues)| *venues == FEEDS.len()))
            })
            .await
            .unwrap();
        assert!(
            (4_000_000_000_000..6_000_000_000_000).contains(&price.0),
            "{price:?}"
        );
    }
}
