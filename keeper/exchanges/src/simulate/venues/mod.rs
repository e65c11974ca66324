//! One wire format per venue.

use std::net::SocketAddr;
use std::time::Duration;

use super::engine::{Account, Engine};
use super::server::{Options, Simulator, default_account};
use super::wire::Wire;
use crate::model::{Decimal, Instrument, Venue};

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
