//! One module per venue. Each has `requests` (operations into the venue's words), `sign`, `decode` (frames into events),
//! `replies` (REST bodies into the model) and `errors` (codes into refusals).

pub mod binance;
pub mod bitget;
pub mod bybit;
pub mod deribit;
pub mod htx;
pub mod hyperliquid;
pub mod okx;
mod pages;
mod parts;
mod rows;

use serde::{Deserialize, Serialize};

use crate::model::Venue;
use crate::protocol::Protocol;

pub(crate) use parts::{OrderId, Parameters, json_object, json_text};

/// Which of a venue's interfaces that are live side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// The one most accounts are on: Bitget v2, HTX v5; the only one elsewhere.
    #[default]
    Current,
    /// The older one: HTX's interface before v5.
    Legacy,
    /// The newer one: Bitget v3 (unified trading account).
    Next,
}

/// The words of a venue in the generation most accounts are on.
#[must_use]
pub fn protocol(venue: Venue) -> Box<dyn Protocol> {
    protocol_of(venue, Generation::Current)
}

/// The words of a venue in one of its generations.
#[must_use]
pub fn protocol_of(venue: Venue, generation: Generation) -> Box<dyn Protocol> {
    match venue {
        Venue::Binance => Box::new(binance::Binance),
        Venue::Okx => Box::new(okx::Okx),
        Venue::Bybit => Box::new(bybit::Bybit),
        Venue::Bitget => Box::new(bitget::Bitget(generation)),
        Venue::Deribit => Box::new(deribit::Deribit),
        Venue::Htx => Box::new(htx::Htx(generation)),
        Venue::Hyperliquid => Box::new(hyperliquid::Hyperliquid),
    }
}
