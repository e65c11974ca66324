//! NAV buckets: they join, so that the deepest fall over any run of buckets is exact without reading every point.

use super::documents::{BucketPoint, Fall, NavBucket};
use super::math::{Overflow, WAD, mul_div};
use crate::model::Drawdown;
use lockstep_contracts::units::Wad;

/// Seconds of an hour.
pub const HOUR: u64 = 3_600;
/// Seconds of a UTC day.
pub const DAY: u64 = 86_400;

/// Adds a later point to a bucket.
pub fn extend(bucket: Option<&NavBucket>, point: BucketPoint) -> Result<NavBucket, Overflow> {
    let single = NavBucket {
        count: 1,
        first: point,
        last: point,
        low: point,
        high: point,
        fall: None,
    };
    bucket.map_or(Ok(single), |bucket| join(bucket, &single))
}

/// Joins a bucket with the one after it.
pub fn join(a: &NavBucket, b: &NavBucket) -> Result<NavBucket, Overflow> {
    let across = (b.low.nav < a.high.nav).then_some(Fall {
        peak: a.high,
        trough: b.low,
    });
    let mut fall = deeper(a.fall, across)?;
    fall = deeper(fall, b.fall)?;
    Ok(NavBucket {
        count: a.count + b.count,
        first: a.first,
        last: b.last,
        low: if b.low.nav < a.low.nav { b.low } else { a.low },
        high: if b.high.nav > a.high.nav { b.high } else { a.high },
        fall,
    })
}

/// The deeper of two falls; the earlier one when they are equal.
fn deeper(a: Option<Fall>, b: Option<Fall>) -> Result<Option<Fall>, Overflow> {
    let (Some(first), Some(second)) = (a, b) else {
        return Ok(a.or(b));
    };
    // trough ÷ peak compared by cross multiplication: exact.
    let left = alloy::primitives::U256::from(first.trough.nav.0.unsigned_abs())
        * alloy::primitives::U256::from(second.peak.nav.0.unsigned_abs());
    let right = alloy::primitives::U256::from(second.trough.nav.0.unsigned_abs())
        * alloy::primitives::U256::from(first.peak.nav.0.unsigned_abs());
    Ok(Some(if right < left { second } else { first }))
}

/// A fall as readers see it.
pub fn drawdown(fall: &Fall) -> Result<Drawdown, Overflow> {
    let gap = fall.peak.nav.0 - fall.trough.nav.0;
    Ok(Drawdown {
        depth: Wad(mul_div(gap, WAD, fall.peak.nav.0, "drawdown")?),
        peak: fall.peak.nav,
        peak_time: fall.peak.time,
        trough: fall.trough.nav,
        trough_time: fall.trough.time,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, point by point.
    fn plain(navs: &[i128]) -> (i128, i128) {
        let (mut peak, mut worst) = (0, (1, 1));
        for &nav in navs {
            peak = peak.max(nav);
            if nav * worst.0 < worst.1 * peak {
                worst = (peak, nav);
            }
        }
        worst
    }

    proptest! {
        #[test]
        fn joined_buckets_know_the_deepest_fall(
            navs in proptest::collection::vec(1i128..1_000, 1..60),
            cuts in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let mut parts: Vec<NavBucket> = Vec::new();
            let mut open: Option<NavBucket> = None;
            for (index, nav) in navs.iter().enumerate() {
                let point = BucketPoint { index: index as u64, time: index as u64, nav: Wad(*nav) };
                open = Some(extend(open.as_ref(), point).unwrap());
                if cuts[index] {
                    parts.extend(open.take());
                }
            }
            parts.extend(open);
            let whole = parts[1..].iter().fold(parts[0], |whole, part| join(&whole, part).unwrap());
            let (peak, trough) = plain(&navs);
            match whole.fall {
                None => prop_assert_eq!(peak, trough),
                Some(fall) => {
                    prop_assert_eq!(fall.trough.nav.0 * peak, trough * fall.peak.nav.0);
                    prop_assert!(fall.peak.index < fall.trough.index);
                }
            }
            prop_assert_eq!(whole.count, navs.len() as u64);
            prop_assert_eq!(whole.low.nav.0, *navs.iter().min().unwrap());
            prop_assert_eq!(whole.high.nav.0, *navs.iter().max().unwrap());
        }
    }
}
