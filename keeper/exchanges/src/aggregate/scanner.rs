//! A condition over all symbols of all venues, on each update.
//!
//! Each column is one array of whole numbers over all symbols, each row one symbol of one venue. A condition is a sum of
//! columns times whole numbers, compared with zero; it is evaluated without a branch per row and without allocation.
//! Decimals become whole numbers in one place ([`Scale::whole`]), exactly or not at all.

use rust_decimal::Decimal;

/// Decimal places of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale(u32);

/// A decimal that does not fit a column exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// It has more places than the column.
    #[error("{value} has more than {places} decimal places")]
    Places {
        /// What was given.
        value: Decimal,
        /// Those of the column.
        places: u32,
    },
    /// It is larger than the column holds.
    #[error("{value} with {places} decimal places is beyond 64 bits")]
    Overflow {
        /// What was given.
        value: Decimal,
        /// Those of the column.
        places: u32,
    },
}

impl Scale {
    /// `places` from 0 to 18; more counts as 18.
    #[must_use]
    pub const fn new(places: u32) -> Self {
        Self(if places > 18 { 18 } else { places })
    }

    /// The value times 10^places, exactly.
    ///
    /// # Errors
    /// When it has more places, or is too large.
    pub fn whole(self, value: Decimal) -> Result<i64, ScaleError> {
        let value = value.normalize();
        let Some(missing) = self.0.checked_sub(value.scale()) else {
            return Err(ScaleError::Places {
                value,
                places: self.0,
            });
        };
        // At most 10^18.
        let factor = 10_i128.pow(missing);
        value
            .mantissa()
            .checked_mul(factor)
            .and_then(|whole| i64::try_from(whole).ok())
            .ok_or(ScaleError::Overflow {
                value,
                places: self.0,
            })
    }
}

/// Which column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Column(usize);

impl Column {
    /// At a place in the list of scales.
    pub(super) const fn at(place: usize) -> Self {
        Self(place)
    }
}

/// Which row: one symbol of one venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row(usize);

impl Row {
    /// Its place in the table.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0
    }
}

/// What is compared: `Σ factor × column + constant > 0`. Factors are meant for small numbers (10,000 for basis points);
/// the sum is in 128 bits and cannot overflow with up to eight terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    terms: Vec<(usize, i64)>,
    constant: i64,
}

/// A condition that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// There is no such column.
    #[error("the table has no column {0}")]
    NoColumn(usize),
    /// More than eight terms.
    #[error("a condition has at most 8 terms, not {0}")]
    TooLong(usize),
}

/// Columns of whole numbers, one row per symbol of a venue.
#[derive(Debug, Clone)]
pub struct Table {
    scales: Vec<Scale>,
    columns: Vec<Vec<i64>>,
    // 1 where every column of the row was set since it was last made blank.
    set: Vec<u64>,
    rows: usize,
}

impl Table {
    /// So many rows, with columns of these scales. At most 64 columns are used.
    #[must_use]
    pub fn new(rows: usize, scales: &[Scale]) -> Self {
        let scales: Vec<Scale> = scales.iter().copied().take(64).collect();
        Self {
            columns: vec![vec![0; rows]; scales.len()],
            scales,
            set: vec![0; rows],
            rows,
        }
    }

    /// The column at a place in the list of scales.
    #[must_use]
    pub fn column(&self, place: usize) -> Option<Column> {
        (place < self.columns.len()).then_some(Column(place))
    }

    /// The row at a place.
    #[must_use]
    pub fn row(&self, place: usize) -> Option<Row> {
        (place < self.rows).then_some(Row(place))
    }

    /// Sets a cell. A row counts once all of its cells are set.
    ///
    /// # Errors
    /// When the value does not fit exactly; the row is blank then, because what stands there is no longer true.
    pub fn set(&mut self, row: Row, column: Column, value: Decimal) -> Result<(), ScaleError> {
        let (Some(scale), Some(cells), Some(mask)) = (
            self.scales.get(column.0),
            self.columns.get_mut(column.0),
            self.set.get_mut(row.0),
        ) else {
            return Ok(());
        };
        let bit = 1_u64 << column.0;
        match scale.whole(value) {
            Ok(whole) => {
                if let Some(cell) = cells.get_mut(row.0) {
                    *cell = whole;
                }
                *mask |= bit;
                Ok(())
            }
            Err(error) => {
                *mask &= !bit;
                Err(error)
            }
        }
    }

    /// Nothing is known of a row any more: it is stale or its book is broken. No condition is true of it.
    pub fn blank(&mut self, row: Row) {
        if let Some(mask) = self.set.get_mut(row.0) {
            *mask = 0;
        }
    }

    /// A condition over this table's columns.
    ///
    /// # Errors
    /// When it is too long or names a column there is not.
    pub fn condition(&self, terms: &[(Column, i64)], constant: i64) -> Result<Condition, ConditionError> {
        if terms.len() > 8 {
            return Err(ConditionError::TooLong(terms.len()));
        }
        if let Some((column, _)) = terms.iter().find(|(column, _)| column.0 >= self.columns.len()) {
            return Err(ConditionError::NoColumn(column.0));
        }
        Ok(Condition {
            terms: terms.iter().map(|(column, factor)| (column.0, *factor)).collect(),
            constant,
        })
    }

    /// Evaluates a condition over all rows and puts one bit per row into `matches`, which keeps its room from call to
    /// call. Gives the number of rows of which it is true.
    pub fn scan(&self, condition: &Condition, matches: &mut Matches) -> usize {
        matches.words.clear();
        matches.words.resize(self.rows.div_ceil(BLOCK), 0);
        let needed = condition
            .terms
            .iter()
            .fold(0_u64, |mask, (column, _)| mask | 1 << column);
        let mut count = 0_usize;
        let mut sums = [0_i128; BLOCK];
        for (block, word) in matches.words.iter_mut().enumerate() {
            let start = block * BLOCK;
            let end = (start + BLOCK).min(self.rows);
            sums.fill(i128::from(condition.constant));
            for (column, factor) in &condition.terms {
                let Some(cells) = self.columns.get(*column).and_then(|cells| cells.get(start..end)) else {
                    continue;
                };
                for (sum, cell) in sums.iter_mut().zip(cells) {
                    *sum += i128::from(*cell) * i128::from(*factor);
                }
            }
            let Some(set) = self.set.get(start..end) else {
                continue;
            };
            let mut bits = 0_u64;
            for (place, (sum, mask)) in sums.iter().zip(set).enumerate() {
                bits |= (u64::from(*sum > 0) & u64::from(mask & needed == needed)) << place;
            }
            *word = bits;
            count += usize::try_from(bits.count_ones()).unwrap_or(0);
        }
        count
    }
}

/// Rows that are evaluated together.
const BLOCK: usize = 64;

/// Of which rows a condition is true.
#[derive(Debug, Clone, Default)]
pub struct Matches {
    words: Vec<u64>,
}

impl Matches {
    /// The rows, in their order.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.words.iter().enumerate().flat_map(|(block, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let place = rest.trailing_zeros();
                rest &= rest - 1;
                Some(Row(block * BLOCK + usize::try_from(place).unwrap_or(0)))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_fit_exactly_or_not_at_all() {
        let scale = Scale::new(8);
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(scale.whole(decimal("-1.50")), Ok(-150_000_000));
        assert_eq!(scale.whole(decimal("0.00000001")), Ok(1));
        assert!(matches!(
            scale.whole(decimal("0.000000001")),
            Err(ScaleError::Places { .. })
        ));
        assert!(matches!(
            scale.whole(decimal("92233720368.54775808")),
            Err(ScaleError::Overflow { .. })
        ));
        assert_eq!(scale.whole(decimal("92233720368.54775807")), Ok(i64::MAX));
        assert!(scale.whole(Decimal::MAX).is_err());
    }

    #[test]
    fn a_row_that_is_not_whole_matches_nothing() {
        let mut table = Table::new(2, &[Scale::new(2), Scale::new(2)]);
        let (bid, ask) = (table.column(0).unwrap(), table.column(1).unwrap());
        let row = table.row(1).unwrap();
        let always = table.condition(&[(bid, 0), (ask, 0)], 1).unwrap();
        let mut matches = Matches::default();
        assert_eq!(table.scan(&always, &mut matches), 0);
        table.set(row, bid, Decimal::ONE).unwrap();
        assert_eq!(table.scan(&always, &mut matches), 0);
        table.set(row, ask, Decimal::ONE).unwrap();
        assert_eq!(table.scan(&always, &mut matches), 1);
        assert!(matches.rows().eq([row]));
        assert!(table.set(row, ask, Decimal::new(1, 3)).is_err());
        assert_eq!(table.scan(&always, &mut matches), 0);
    }

    proptest! {
        #[test]
        fn a_scan_finds_what_a_loop_finds(
            cells in proptest::collection::vec((any::<i64>(), any::<i64>(), any::<bool>()), 1..300),
            factors in (any::<i64>(), any::<i64>()),
            constant: i64,
        ) {
            let mut table = Table::new(cells.len(), &[Scale::new(0), Scale::new(0)]);
            let (one, two) = (table.column(0).unwrap(), table.column(1).unwrap());
            for (place, (left, right, blank)) in cells.iter().enumerate() {
                let row = table.row(place).unwrap();
                table.set(row, one, Decimal::from(*left)).unwrap();
                table.set(row, two, Decimal::from(*right)).unwrap();
                if *blank { table.blank(row); }
            }
            let condition = table.condition(&[(one, factors.0), (two, factors.1)], constant).unwrap();
            let mut matches = Matches::default();
            let count = table.scan(&condition, &mut matches);
            let expected: Vec<usize> = cells.iter().enumerate().filter(|(_, (left, right, blank))| {
                !blank && i128::from(*left) * i128::from(factors.0) + i128::from(*right) * i128::from(factors.1) + i128::from(constant) > 0
            }).map(|(place, _)| place).collect();
            prop_assert_eq!(count, expected.len());
            prop_assert!(matches.rows().map(|row| row.0).eq(expected));
        }
    }
}
