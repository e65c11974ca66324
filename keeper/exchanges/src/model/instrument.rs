use std::collections::HashMap;
use std::sync::Arc;

use rust_decimal::RoundingStrategy;
use serde::{Deserialize, Serialize};

use super::{Decimal, Text, Venue};

/// What a contract pays in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContractKind {
    /// Settled in the quote asset: profit is size times price change.
    Linear,
    /// Settled in the base asset: a contract is a fixed amount of quote.
    Inverse,
}

/// What the venue counts an instrument's sizes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SizeUnit {
    /// Base units: nothing to translate.
    Base,
    /// Contracts of `contract_size` base units (linear) or quote units (inverse).
    Contracts,
    /// Quote units.
    Quote,
}

/// Whether an instrument can be traded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstrumentState {
    /// Open.
    #[default]
    Trading,
    /// Positions may only shrink.
    ReduceOnly,
    /// Closed for now: before listing, suspended, in settlement.
    Halted,
    /// Gone.
    Delisted,
}

/// What must be known of an instrument before a size is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// The venue's word for it.
    pub instrument: Text,
    /// Base asset.
    pub base: Text,
    /// Quote asset.
    pub quote: Text,
    /// Asset of margin and profit.
    pub settle: Text,
    /// What it pays in.
    pub kind: ContractKind,
    /// What the venue counts sizes in.
    pub size_unit: SizeUnit,
    /// Base units (linear) or quote units (inverse) of one contract; 1 where sizes are base or quote units.
    pub contract_size: Decimal,
    /// Smallest step of a price. Hyperliquid has none (five significant figures instead): 0.
    pub tick: Decimal,
    /// Smallest step of a size, in the venue's unit.
    pub lot: Decimal,
    /// Smallest size of an order, in the venue's unit.
    pub minimum_size: Decimal,
    /// Largest size of a market order, in the venue's unit, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_market_size: Option<Decimal>,
    /// Smallest notional of an order in quote units, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_notional: Option<Decimal>,
    /// Highest leverage, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_leverage: Option<Decimal>,
    /// The number by which the venue's order messages name it: OKX `instIdCode`, Hyperliquid's asset index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Whether it can be traded.
    #[serde(default)]
    pub state: InstrumentState,
}

impl Instrument {
    /// An instrument that counts sizes in base units.
    #[must_use]
    pub fn linear(instrument: &str, base: &str, quote: &str, tick: Decimal, lot: Decimal) -> Self {
        Self {
            instrument: instrument.into(),
            base: base.into(),
            quote: quote.into(),
            settle: quote.into(),
            kind: ContractKind::Linear,
            size_unit: SizeUnit::Base,
            contract_size: Decimal::ONE,
            tick,
            lot,
            minimum_size: lot,
            maximum_market_size: None,
            minimum_notional: None,
            maximum_leverage: None,
            number: None,
            state: InstrumentState::Trading,
        }
    }

    /// The same, counted in contracts of `contract_size` base units.
    #[must_use]
    pub fn in_contracts(mut self, contract_size: Decimal) -> Self {
        self.size_unit = SizeUnit::Contracts;
        self.contract_size = contract_size;
        self
    }

    /// A size in the venue's unit as base units. Inverse sizes need the price and are rounded towards zero at 18
    /// decimals: a copier must not think a position larger than it is. None on overflow or without a needed price.
    #[must_use]
    pub fn to_base(&self, venue_size: Decimal, price: Option<Decimal>) -> Option<Decimal> {
        let linear_or_quote = match self.size_unit {
            SizeUnit::Base => return Some(venue_size),
            SizeUnit::Contracts => venue_size.checked_mul(self.contract_size)?,
            SizeUnit::Quote => venue_size,
        };
        match (self.kind, self.size_unit) {
            (ContractKind::Linear, SizeUnit::Contracts) => Some(linear_or_quote.normalize()),
            _ if linear_or_quote.is_zero() => Some(Decimal::ZERO),
            _ => {
                let price = price.filter(|price| !price.is_zero())?;
                Some(
                    linear_or_quote
                        .checked_div(price)?
                        .round_dp_with_strategy(18, RoundingStrategy::ToZero)
                        .normalize(),
                )
            }
        }
    }

    /// Base units as a size in the venue's unit, rounded down to the lot: an order is never larger than asked for. None
    /// on overflow or without a needed price.
    #[must_use]
    pub fn from_base(&self, base: Decimal, price: Option<Decimal>) -> Option<Decimal> {
        let venue_size = match (self.size_unit, self.kind) {
            (SizeUnit::Base, _) => base,
            (SizeUnit::Contracts, ContractKind::Linear) => base.checked_div(self.contract_size)?,
            (SizeUnit::Contracts, ContractKind::Inverse) => {
                base.checked_mul(price?)?.checked_div(self.contract_size)?
            }
            (SizeUnit::Quote, _) => base.checked_mul(price?)?,
        };
        Some(self.round_to_lot(venue_size))
    }

    /// Towards zero to the lot.
    #[must_use]
    pub fn round_to_lot(&self, venue_size: Decimal) -> Decimal {
        if self.lot.is_zero() {
            return venue_size;
        }
        ((venue_size / self.lot).trunc() * self.lot).normalize()
    }
}

/// A message names an instrument whose contract size is not known, so its size cannot be told in base units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{venue} {instrument}: not in the table of instruments; load the venue's list or pass one")]
pub struct UnknownInstrument {
    /// Where.
    pub venue: Venue,
    /// The venue's word for it.
    pub instrument: Text,
}

/// The instruments of one venue, by the venue's word. Cheap to clone; a new list replaces it whole.
#[derive(Debug, Clone)]
pub struct Instruments {
    venue: Venue,
    by_name: Arc<HashMap<Text, Instrument>>,
}

impl Instruments {
    /// A table.
    #[must_use]
    pub fn new(venue: Venue, instruments: impl IntoIterator<Item = Instrument>) -> Self {
        Self {
            venue,
            by_name: Arc::new(
                instruments
                    .into_iter()
                    .map(|instrument| (instrument.instrument.clone(), instrument))
                    .collect(),
            ),
        }
    }

    /// This table with those of `more` added or replaced.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = Instrument>) -> Self {
        Self::new(self.venue, self.iter().cloned().chain(more))
    }

    /// One of them.
    ///
    /// # Errors
    /// When it is not in the table.
    pub fn get(&self, instrument: &str) -> Result<&Instrument, UnknownInstrument> {
        self.by_name.get(instrument).ok_or_else(|| UnknownInstrument {
            venue: self.venue,
            instrument: instrument.into(),
        })
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Instrument> {
        self.by_name.values()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// None.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn contracts_become_base_units_and_back() {
        let swap = Instrument::linear("BTC-USDT-SWAP", "BTC", "USDT", decimal("0.1"), decimal("0.01"))
            .in_contracts(decimal("0.01"));
        assert_eq!(swap.to_base(decimal("0.03"), None), Some(decimal("0.0003")));
        assert_eq!(swap.from_base(decimal("0.0003"), None), Some(decimal("0.03")));
        // What is below a lot is left out, never rounded up.
        assert_eq!(swap.from_base(decimal("0.00039999"), None), Some(decimal("0.03")));
    }

    #[test]
    fn inverse_sizes_need_a_price() {
        let mut inverse = Instrument::linear("BTC-PERPETUAL", "BTC", "USD", decimal("0.5"), decimal("10"));
        inverse.kind = ContractKind::Inverse;
        inverse.size_unit = SizeUnit::Quote;
        assert_eq!(
            inverse.to_base(decimal("100"), Some(decimal("50000"))),
            Some(decimal("0.002"))
        );
        assert_eq!(inverse.to_base(decimal("100"), None), None);
        assert_eq!(inverse.to_base(decimal("0"), None), Some(Decimal::ZERO));
        assert_eq!(
            inverse.from_base(decimal("0.00219"), Some(decimal("50000"))),
            Some(decimal("100"))
        );
    }
}
