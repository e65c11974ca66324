//! The scanner's table, fed from the venues' streams: best prices, mark price and funding rate of every symbol.

use std::collections::{BTreeMap, HashMap};

use super::scanner::{Column, Row, Scale, ScaleError, Table};
use crate::model::{Decimal, Event, Text, Venue};

/// Decimal places of prices: the finest tick of any venue has ten. The largest price is 9 × 10^8 then.
const PRICE: Scale = Scale::new(10);
/// Decimal places of funding rates: OKX states them with up to sixteen.
const RATE: Scale = Scale::new(18);

/// What a condition may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Highest buy price.
    Bid,
    /// Lowest sell price.
    Ask,
    /// Mark price.
    Mark,
    /// Funding rate of the current interval, as a fraction; 10^8 times as fine as a price.
    FundingRate,
}

impl Quantity {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 4] = [Self::Bid, Self::Ask, Self::Mark, Self::FundingRate];

    const fn scale(self) -> Scale {
        match self {
            Self::Bid | Self::Ask | Self::Mark => PRICE,
            Self::FundingRate => RATE,
        }
    }
}

/// What is known of every symbol of every venue, ready to be scanned.
#[derive(Debug, Clone)]
pub struct Market {
    table: Table,
    rows: BTreeMap<Venue, HashMap<Text, Row>>,
    symbols: Vec<(Venue, Text)>,
}

impl Market {
    /// A table of these instruments, by the venues' own words for them. One that is named twice has one row.
    #[must_use]
    pub fn new(instruments: impl IntoIterator<Item = (Venue, Text)>) -> Self {
        let mut names: BTreeMap<Venue, HashMap<Text, usize>> = BTreeMap::new();
        let mut symbols = Vec::new();
        for (venue, instrument) in instruments {
            names
                .entry(venue)
                .or_default()
                .entry(instrument.clone())
                .or_insert_with(|| {
                    symbols.push((venue, instrument));
                    symbols.len() - 1
                });
        }
        let table = Table::new(symbols.len(), &Quantity::ALL.map(Quantity::scale));
        let rows = names
            .into_iter()
            .map(|(venue, names)| {
                let rows = names
                    .into_iter()
                    .filter_map(|(name, place)| Some((name, table.row(place)?)))
                    .collect();
                (venue, rows)
            })
            .collect();
        Self { table, rows, symbols }
    }

    /// The table, to make conditions and to scan.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// The column of a quantity.
    #[must_use]
    pub const fn column(&self, quantity: Quantity) -> Column {
        Column::at(quantity as usize)
    }

    /// How many symbols there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.symbols.len()
    }

    /// None.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// Whose row it is.
    #[must_use]
    pub fn symbol(&self, row: Row) -> Option<(Venue, &Text)> {
        self.symbols
            .get(row.place())
            .map(|(venue, instrument)| (*venue, instrument))
    }

    /// The row of an instrument.
    #[must_use]
    pub fn row(&self, venue: Venue, instrument: &str) -> Option<Row> {
        self.rows.get(&venue)?.get(instrument).copied()
    }

    /// Takes what an event says. A member that it does not carry is left as it was: venues leave out what has not changed.
    /// Gives the row that it is of; none where the event is of another kind or of an instrument that is not in the table.
    ///
    /// # Errors
    /// When a number does not fit the table exactly. No condition is true of the row until the number fits again.
    pub fn apply(&mut self, venue: Venue, event: &Event) -> Result<Option<Row>, ScaleError> {
        use Quantity::{Ask, Bid, FundingRate, Mark};
        let (instrument, values): (&Text, [(Quantity, Option<Decimal>); 4]) = match event {
            Event::Ticker(ticker) => (
                &ticker.instrument,
                [
                    (Bid, ticker.bid),
                    (Ask, ticker.ask),
                    (Mark, ticker.mark),
                    (FundingRate, ticker.funding_rate),
                ],
            ),
            Event::Mark(mark) => (
                &mark.instrument,
                [
                    (Mark, Some(mark.price)),
                    (Bid, None),
                    (Ask, None),
                    (FundingRate, None),
                ],
            ),
            Event::Funding(funding) => (
                &funding.instrument,
                [
                    (FundingRate, Some(funding.rate)),
                    (Bid, None),
                    (Ask, None),
                    (Mark, None),
                ],
            ),
            _ => return Ok(None),
        };
        let Some(row) = self.row(venue, instrument) else {
            return Ok(None);
        };
        // All of them are taken before the first that does not fit is told.
        let mut refused = None;
        for (quantity, value) in values {
            if let Some(value) = value
                && let Err(error) = self.table.set(row, self.column(quantity), value)
            {
                refused.get_or_insert(error);
            }
        }
        refused.map_or(Ok(Some(row)), Err)
    }

    /// The stream of an instrument is stale or lost: no condition is true of it until everything was told anew.
    pub fn blank(&mut self, venue: Venue, instrument: &str) {
        if let Some(row) = self.row(venue, instrument) {
            self.table.blank(row);
        }
    }

    /// All streams of a venue are lost.
    pub fn blank_venue(&mut self, venue: Venue) {
        for row in self.rows.get(&venue).into_iter().flat_map(HashMap::values) {
            self.table.blank(*row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::scanner::Matches;
    use crate::model::{Funding, Mark, Ticker};

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn ticker(instrument: &str, bid: Option<&str>, ask: Option<&str>) -> Event {
        Event::Ticker(Ticker {
            instrument: instrument.into(),
            bid: bid.map(decimal),
            ask: ask.map(decimal),
            ..Ticker::default()
        })
    }

    fn mark(instrument: &str, price: &str) -> Event {
        Event::Mark(Mark {
            instrument: instrument.into(),
            price: decimal(price),
            index: None,
            time_ms: 0,
        })
    }

    /// Those of which the mark price is above the ask.
    fn above(market: &Market) -> Vec<(Venue, Text)> {
        let condition = market
            .table()
            .condition(
                &[
                    (market.column(Quantity::Mark), 1),
                    (market.column(Quantity::Ask), -1),
                ],
                0,
            )
            .unwrap();
        let mut matches = Matches::default();
        market.table().scan(&condition, &mut matches);
        matches
            .rows()
            .map(|row| {
                market
                    .symbol(row)
                    .map(|(venue, name)| (venue, name.clone()))
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn a_symbol_is_found_on_the_venue_it_is_true_of() {
        let mut market = Market::new([
            (Venue::Okx, "A".into()),
            (Venue::Bybit, "A".into()),
            (Venue::Bybit, "A".into()),
        ]);
        assert_eq!(market.len(), 2);
        for venue in [Venue::Okx, Venue::Bybit] {
            market
                .apply(venue, &ticker("A", Some("9.99"), Some("10.01")))
                .unwrap();
            market.apply(venue, &mark("A", "10")).unwrap();
        }
        assert_eq!(above(&market), []);
        market.apply(Venue::Bybit, &mark("A", "10.0100000001")).unwrap();
        assert_eq!(above(&market), [(Venue::Bybit, "A".into())]);
        // What a message leaves out stays.
        market
            .apply(Venue::Bybit, &ticker("A", Some("10"), None))
            .unwrap();
        assert_eq!(above(&market), [(Venue::Bybit, "A".into())]);
        market.blank(Venue::Bybit, "A");
        assert_eq!(above(&market), []);
        market.apply(Venue::Bybit, &mark("A", "11")).unwrap();
        assert_eq!(above(&market), [], "the ask is not known yet");
        market.apply(Venue::Okx, &mark("A", "11")).unwrap();
        assert_eq!(above(&market), [(Venue::Okx, "A".into())]);
        market.blank_venue(Venue::Okx);
        assert_eq!(above(&market), []);
    }

    #[test]
    fn what_does_not_belong_to_it_changes_nothing_and_what_does_not_fit_is_said() {
        let mut market = Market::new([(Venue::Okx, "A".into())]);
        assert_eq!(market.apply(Venue::Okx, &mark("B", "1")), Ok(None));
        assert_eq!(market.apply(Venue::Bybit, &mark("A", "1")), Ok(None));
        market
            .apply(Venue::Okx, &ticker("A", Some("1"), Some("2")))
            .unwrap();
        market.apply(Venue::Okx, &mark("A", "3")).unwrap();
        assert_eq!(above(&market).len(), 1);
        // Eleven places: neither cut off nor left at what it was before.
        assert!(market.apply(Venue::Okx, &mark("A", "3.00000000001")).is_err());
        assert_eq!(above(&market), []);
        let rate = Event::Funding(Funding {
            instrument: "A".into(),
            rate: decimal("0.0000792386885340"),
            next_time_ms: None,
            interval_hours: None,
            time_ms: 0,
        });
        assert!(market.apply(Venue::Okx, &rate).unwrap().is_some());
    }
}
