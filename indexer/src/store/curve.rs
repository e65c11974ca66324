//! Thinning a NAV curve for drawing: of each part the first, last, lowest and highest point stay, so that no extreme
//! is lost whatever the width.

use std::collections::BTreeSet;

use crate::derive::documents::{BucketPoint, NavBucket};
use crate::derive::math::Overflow;
use crate::derive::nav;
use crate::model::NavPoint;

/// Points kept of one part.
const PER_PART: usize = 4;

/// At most `wanted` points (at least 4), extremes kept.
pub(super) fn thin(points: &[NavPoint], wanted: usize) -> Vec<NavPoint> {
    if points.len() <= wanted {
        return points.to_vec();
    }
    let parts = (wanted / PER_PART).max(1);
    let length = points.len().div_ceil(parts);
    points
        .chunks(length)
        .flat_map(|part| {
            let lowest = part.iter().min_by_key(|point| (point.nav_index, point.index));
            let highest = part
                .iter()
                .max_by_key(|point| (point.nav_index, std::cmp::Reverse(point.index)));
            let kept: BTreeSet<u64> = [part.first(), part.last(), lowest, highest]
                .into_iter()
                .flatten()
                .map(|point| point.index)
                .collect();
            part.iter()
                .filter(move |point| kept.contains(&point.index))
                .cloned()
        })
        .collect()
}

/// A bucket of points; `None` of none.
pub(super) fn bucket<'a>(points: impl Iterator<Item = &'a NavPoint>) -> Result<Option<NavBucket>, Overflow> {
    let mut bucket = None;
    for point in points {
        let next = BucketPoint {
            index: point.index,
            time: point.time,
            nav: point.nav_index,
        };
        bucket = Some(nav::extend(bucket.as_ref(), next)?);
    }
    Ok(bucket)
}

/// Indexes of at most `wanted` points of these buckets, extremes kept.
pub(super) fn extremes(buckets: &[NavBucket], wanted: usize) -> Result<BTreeSet<u64>, Overflow> {
    let parts = (wanted / PER_PART).max(1);
    let length = buckets.len().div_ceil(parts).max(1);
    let mut indexes = BTreeSet::new();
    for part in buckets.chunks(length) {
        let mut whole: Option<NavBucket> = None;
        for bucket in part {
            whole = Some(match &whole {
                Some(before) => nav::join(before, bucket)?,
                None => *bucket,
            });
        }
        if let Some(whole) = whole {
            indexes.extend([whole.first, whole.last, whole.low, whole.high].map(|point| point.index));
        }
    }
    Ok(indexes)
}
