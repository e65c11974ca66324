//! Exact arithmetic between units. Products go through 256 or 512 bits; nothing is rounded silently: the direction is
//! in the name or the doc comment.

use alloy::primitives::{U256, U512};
use lockstep_contracts::units::{Size, Usdc, Wad};

/// A number left its range. Names what was being computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is out of range")]
pub struct Overflow(pub &'static str);

/// 1e18.
pub const WAD: i128 = 1_000_000_000_000_000_000;
const E21: i128 = 1_000_000_000_000_000_000_000;
const E30: u128 = 1_000_000_000_000_000_000_000_000_000_000;

fn wide(value: i128) -> U256 {
    U256::from(value.unsigned_abs())
}

fn narrow(value: U256, negative: bool, what: &'static str) -> Result<i128, Overflow> {
    let magnitude = i128::try_from(value).map_err(|_| Overflow(what))?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// a × b ÷ d, towards zero; d must not be 0.
pub fn mul_div(a: i128, b: i128, d: i128, what: &'static str) -> Result<i128, Overflow> {
    if d == 0 {
        return Err(Overflow(what));
    }
    // Two 128-bit magnitudes always fit 256 bits.
    narrow(wide(a) * wide(b) / wide(d), (a < 0) ^ (b < 0) ^ (d < 0), what)
}

/// a × b ÷ d, towards minus infinity; d must be positive.
pub fn mul_div_floor(a: i128, b: i128, d: i128, what: &'static str) -> Result<i128, Overflow> {
    if d <= 0 {
        return Err(Overflow(what));
    }
    let negative = (a < 0) ^ (b < 0);
    let product = wide(a) * wide(b);
    let quotient = product / wide(d);
    let rest = product % wide(d);
    let magnitude = if negative && !rest.is_zero() {
        quotient + U256::from(1)
    } else {
        quotient
    };
    narrow(magnitude, negative, what)
}

/// |size| × price in USDC, rounded up as the vault does.
pub fn notional(size: Size, price: Wad) -> Result<Usdc, Overflow> {
    let product = wide(size.0) * wide(price.0);
    let divisor = U256::from(E30);
    narrow(product.div_ceil(divisor), false, "notional").map(Usdc)
}

/// size × price in USDC, rounded down.
pub fn value(size: Size, price: Wad) -> Result<Usdc, Overflow> {
    let negative = (size.0 < 0) ^ (price.0 < 0);
    let product = wide(size.0) * wide(price.0);
    let (quotient, rest) = (product / U256::from(E30), product % U256::from(E30));
    let magnitude = if negative && !rest.is_zero() {
        quotient + U256::from(1)
    } else {
        quotient
    };
    narrow(magnitude, negative, "value").map(Usdc)
}

/// Funding that `size` owes for a move of the index (1e9 per base unit), rounded up as the vault does.
pub fn funding(size: Size, from: i64, to: i64) -> Result<Usdc, Overflow> {
    let moved = i128::from(to) - i128::from(from);
    let size = size.0.checked_neg().ok_or(Overflow("funding"))?;
    mul_div_floor(size, moved, E21, "funding").map(|value| Usdc(-value))
}

/// What the price cost whoever traded `size`, against the index; positive = worse than the index. Rounded down.
pub fn slippage_cost(size: Size, price: Wad, index: Wad) -> Result<Usdc, Overflow> {
    let gap = price.checked_sub(index).ok_or(Overflow("price − index"))?;
    value(size, gap)
}

/// Price against the index in bps, signed against whoever trades in the direction of `size`; 0 without size or index.
pub fn slippage_bps(size: Size, price: Wad, index: Wad) -> Result<Wad, Overflow> {
    if size.0 == 0 || index.0 == 0 {
        return Ok(Wad::ZERO);
    }
    let gap = price.checked_sub(index).ok_or(Overflow("price − index"))?.0 * size.0.signum();
    // gap × 10⁴ × 10¹⁸ may pass 128 bits, but not 256.
    let scaled = wide(gap) * U256::from(10_000u64) * wide(WAD) / wide(index.0);
    narrow(scaled, gap < 0, "slippage").map(Wad)
}

/// index × (total × before + share × (after − before)) ÷ (total × before): the index after one shard, which holds
/// `share` of `total`, went from `before` to `after`. Towards zero; `None` when there is nothing to weigh by.
pub fn chained(
    index: Wad,
    total: Usdc,
    share: Usdc,
    before: Wad,
    after: Wad,
) -> Result<Option<Wad>, Overflow> {
    if total.0 <= 0 || share.0 <= 0 || before.0 <= 0 || index.0 < 0 || after.0 < 0 {
        return Ok(None);
    }
    let wide = |value: i128| U512::from(value.unsigned_abs());
    let whole = wide(total.0) * wide(before.0);
    let (gain, loss) = if after >= before {
        (wide(share.0) * wide(after.0 - before.0), U512::ZERO)
    } else {
        (U512::ZERO, wide(share.0) * wide(before.0 - after.0))
    };
    let moved = wide(index.0) * (whole + gain).saturating_sub(loss) / whole;
    u128::try_from(moved)
        .ok()
        .and_then(|value| i128::try_from(value).ok())
        .map(|value| Some(Wad(value)))
        .ok_or(Overflow("strategy index"))
}

/// amount × 1e18 ÷ index, down or up: margin shares as the vault counts them.
pub fn shares(amount: Usdc, margin_index: Wad, up: bool) -> Result<i128, Overflow> {
    if margin_index.0 <= 0 || amount.0 < 0 {
        return Err(Overflow("margin shares"));
    }
    let scaled = wide(amount.0) * wide(WAD);
    let index = wide(margin_index.0);
    narrow(
        if up {
            scaled.div_ceil(index)
        } else {
            scaled / index
        },
        false,
        "margin shares",
    )
}

/// a − b as a signed 64-bit, for times.
pub fn signed_gap(a: u64, b: u64) -> Result<i64, Overflow> {
    i64::try_from(i128::from(a) - i128::from(b)).map_err(|_| Overflow("time difference"))
}

/// Sum, or the name of what overflowed.
pub fn add(a: Usdc, b: Usdc, what: &'static str) -> Result<Usdc, Overflow> {
    a.checked_add(b).ok_or(Overflow(what))
}

/// Difference, or the name of what overflowed.
pub fn sub(a: Usdc, b: Usdc, what: &'static str) -> Result<Usdc, Overflow> {
    a.checked_sub(b).ok_or(Overflow(what))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slippage_is_signed_against_the_one_who_trades() {
        let (index, worse) = (Wad(2_000 * WAD), Wad(2_001 * WAD));
        assert_eq!(slippage_bps(Size(WAD), worse, index), Ok(Wad(5 * WAD)));
        assert_eq!(slippage_bps(Size(-WAD), worse, index), Ok(Wad(-5 * WAD)));
        assert_eq!(slippage_cost(Size(WAD), worse, index), Ok(Usdc(1_000_000)));
        assert_eq!(slippage_cost(Size(-WAD), worse, index), Ok(Usdc(-1_000_000)));
        assert_eq!(slippage_bps(Size::ZERO, worse, index), Ok(Wad::ZERO));
    }

    #[test]
    fn rounding_is_as_named() {
        assert_eq!(notional(Size(-1), Wad(1)), Ok(Usdc(1)));
        assert_eq!(value(Size(-1), Wad(1)), Ok(Usdc(-1)));
        assert_eq!(value(Size(1), Wad(1)), Ok(Usdc(0)));
        assert_eq!(mul_div_floor(-7, 1, 2, ""), Ok(-4));
        assert_eq!(mul_div(-7, 1, 2, ""), Ok(-3));
        assert_eq!(funding(Size(1), 0, 1), Ok(Usdc(1)));
        assert_eq!(funding(Size(-1), 0, 1), Ok(Usdc(0)));
        assert_eq!(funding(Size(-2 * WAD), 7, 1_000_007), Ok(Usdc(-2_000)));
    }

    proptest! {
        #[test]
        fn one_shard_alone_is_the_strategy(
            equity in 1i128..1_000_000_000_000_000,
            before in 1i128..1_000 * WAD,
            after in 0i128..1_000 * WAD,
        ) {
            let index = chained(Wad(before), Usdc(equity), Usdc(equity), Wad(before), Wad(after));
            prop_assert_eq!(index, Ok(Some(Wad(after))));
        }
    }
}
