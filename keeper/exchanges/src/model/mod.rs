//! The unified model: what every venue's words are translated into.
//!
//! Sizes are base units (1 = one bitcoin in a BTC market), whatever the venue counts in; prices are in the quote asset
//! of the instrument; amounts of money carry their asset. All of them are decimals, never floats. Times are Unix
//! milliseconds as the venue stated them.

mod account;
mod event;
mod instrument;
mod market;
mod order;
mod venue;

pub use account::{
    AccountMode, Balance, Cause, Fee, Fill, Leverage, Liquidity, MarginMode, Position, PositionMode,
};
pub use event::{Control, Event, Scope, Stream};
pub use instrument::{ContractKind, Instrument, InstrumentState, Instruments, SizeUnit, UnknownInstrument};
pub use market::{Book, BookCheck, Funding, Interval, Kline, Level, Mark, Ticker, Trade};
pub use order::{Order, OrderKind, OrderStatus, PositionSide, Side, TimeInForce, TriggerPrice};
pub use venue::{ParseVenueError, Venue};

/// The venue's own word for an instrument, an order, a trade: short ones are kept without allocation.
pub use compact_str::CompactString as Text;
/// Sizes, prices, amounts.
pub use rust_decimal::Decimal;
