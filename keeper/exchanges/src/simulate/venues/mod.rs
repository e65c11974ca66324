//! One wire format per venue.

use std::net::SocketAddr;
use std::time::Duration;

use super::engine::{Account, Engine};
use super::server::{Options, Simulator, default_account};
use super::wire::Wire;
use crate::model::{Decimal, Instrument, Text, Venue};

mod binance;
mod bitget;
mod books;
mod bybit;
mod deribit;
mod htx;
mod hyperliquid;
mod okx;
mod shared;

/// Money of the account nobody configured.
const DEFAULT_WALLET: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// What a venue lists, with the first prices.
pub type Listing = Vec<(Instrument, Decimal)>;

/// A venue's wire format and what it lists.
#[must_use]
pub fn wire(venue: Venue) -> (Box<dyn Wire>, Listing) {
    match venue {
        Venue::Binance => (Box::new(binance::Binance::default()), binance::instruments()),
        Venue::Deribit => (Box::new(deribit::Deribit::default()), deribit::instruments()),
        Venue::Htx => (Box::new(htx::Htx::default()), htx::instruments()),
        Venue::Hyperliquid => (
            Box::new(hyperliquid::Hyperliquid::default()),
            hyperliquid::instruments(),
        ),
        Venue::Okx => (Box::new(okx::Okx::default()), okx::instruments()),
        Venue::Bybit => (Box::new(bybit::Bybit::default()), bybit::instruments()),
        Venue::Bitget => (Box::new(bitget::Bitget::default()), bitget::instruments()),
    }
}

/// The same with more instruments, up to so many in all: each like the venue's first, named in the venue's way after
/// assets C0001, C0002, ….
#[must_use]
pub fn lengthened(listing: Listing, symbols: usize) -> Listing {
    let Some((first, price)) = listing.first().cloned() else {
        return listing;
    };
    let known = listing.len();
    // The venues' numbers: behind the highest, one by one.
    let last = listing
        .iter()
        .filter_map(|(instrument, _)| instrument.number)
        .max();
    let more = (known..symbols).zip(1_u32..).map(|(place, behind)| {
        let base = Text::from(format!("C{place:04}"));
        let mut instrument = first.clone();
        instrument.instrument = Text::from(first.instrument.replacen(first.base.as_str(), &base, 1));
        instrument.base = base;
        instrument.number = last.map(|last| last.saturating_add(behind));
        (instrument, price)
    });
    listing.into_iter().chain(more).collect()
}

/// The account nobody configured: `test_api_key`/`test_secret`/`test_passphrase`, on Hyperliquid an address and its
/// private key.
#[must_use]
pub fn account(venue: Venue) -> Account {
    match venue {
        Venue::Hyperliquid => hyperliquid::account(DEFAULT_WALLET),
        // Inverse perpetuals settle in bitcoin.
        Venue::Deribit => default_account(DEFAULT_WALLET).with_wallet("BTC", Decimal::ONE_HUNDRED),
        _ => default_account(DEFAULT_WALLET),
    }
}

/// Starts a simulator with the [`account`] nobody configured. Prices move every `step`, or only on command.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn start(
    venue: Venue,
    listen: SocketAddr,
    step: Option<Duration>,
    seed: u64,
) -> std::io::Result<Simulator> {
    let (wire, instruments) = wire(venue);
    let mut engine = Engine::new(venue, instruments, seed);
    engine.add_account(account(venue));
    Simulator::start(wire, engine, Options { listen, step }).await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_lengthened_list_has_as_many_different_instruments_as_were_asked_for() {
        for venue in Venue::ALL {
            let (_, listing) = wire(venue);
            let known = listing.len();
            let first = listing.first().unwrap().0.clone();
            let long = lengthened(listing, 300);
            assert_eq!(long.len(), 300, "{venue}");
            let names: HashSet<&str> = long.iter().map(|(one, _)| one.instrument.as_str()).collect();
            assert_eq!(names.len(), 300, "{venue}");
            let numbers: HashSet<Option<u32>> = long.iter().map(|(one, _)| one.number).collect();
            assert_eq!(
                numbers.len(),
                if first.number.is_some() { 300 } else { 1 },
                "{venue}"
            );
            let (added, _) = &long[known];
            assert_ne!(added.instrument, first.instrument);
            assert_eq!(added.tick, first.tick);
            assert_eq!(lengthened(long, 5).len(), 300, "{venue}: nothing is taken away");
        }
    }
}
