//! One wire format per venue.

use std::net::SocketAddr;
use std::time::Duration;

use super::engine::Engine;
use super::server::{Options, Simulator, default_account};
use super::wire::Wire;
use crate::model::{Decimal, Instrument, Venue};

mod binance;
mod bitget;
mod bybit;
mod okx;
mod shared;

/// Money of the account nobody configured.
const DEFAULT_WALLET: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// A venue that cannot be simulated yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no simulator of {0}")]
pub struct NoSimulator(pub Venue);

/// What a venue lists, with the first prices.
pub type Listing = Vec<(Instrument, Decimal)>;

/// A venue's wire format and what it lists.
///
/// # Errors
/// When there is none.
pub fn wire(venue: Venue) -> Result<(Box<dyn Wire>, Listing), NoSimulator> {
    match venue {
        Venue::Binance => Ok((Box::new(binance::Binance::default()), binance::instruments())),
        Venue::Okx => Ok((Box::new(okx::Okx::default()), okx::instruments())),
        Venue::Bybit => Ok((Box::new(bybit::Bybit::default()), bybit::instruments())),
        Venue::Bitget => Ok((Box::new(bitget::Bitget::default()), bitget::instruments())),
        other => Err(NoSimulator(other)),
    }
}

/// Starts a simulator with the account `test_api_key`/`test_secret`/`test_passphrase`. Prices move every `step`, or only
/// on command.
///
/// # Errors
/// When there is none of this venue, or the address cannot be listened on.
pub async fn start(
    venue: Venue,
    listen: SocketAddr,
    step: Option<Duration>,
    seed: u64,
) -> Result<Simulator, Box<dyn std::error::Error + Send + Sync>> {
    let (wire, instruments) = wire(venue)?;
    let mut engine = Engine::new(venue, instruments, seed);
    engine.add_account(default_account(DEFAULT_WALLET));
    Ok(Simulator::start(wire, engine, Options { listen, step }).await?)
}
