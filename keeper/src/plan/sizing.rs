//! The target of one account, step for step as `contracts/libraries/Sizing.sol` computes it. The chain decides; this
//! only tells which accounts are worth naming in a batch. For the same price, equity and room it gives the same target and
//! the same outcome; that a batch's accounts use up the vault's room one after the other is left to the chain.

use alloy::primitives::U256;
use lockstep_contracts::fills::Outcome;
use lockstep_contracts::units::{Size, Usdc, Wad};

use crate::state::{Sizing, Status};

/// What is the same for every account of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// Index price.
    pub price: Wad,
    /// The master's leverage.
    pub leverage: Wad,
    /// Block time, unix seconds.
    pub time: u64,
    /// The strategy's limit.
    pub max_leverage_bps: u32,
    /// The strategy's dead band.
    pub dead_band_bps: u16,
    /// Smallest trade.
    pub min_trade: Usdc,
    /// Room left in the vault, size × price: 1e36 = 1 USDC.
    pub open_room: U256,
    /// Nothing may grow.
    pub reduce_only: bool,
}

/// What the target of one account depends on.
#[derive(Debug, Clone, Copy)]
pub struct Holder {
    /// Life.
    pub status: Status,
    /// Whether the mandate lists the market.
    pub allowed: bool,
    /// How big.
    pub sizing: Sizing,
    /// Signed bound.
    pub max_leverage_bps: u32,
    /// Signed bound.
    pub max_position: Usdc,
    /// Signed bound.
    pub max_turnover: Usdc,
    /// Unix seconds.
    pub expiry: u64,
    /// Held in this market.
    pub size: Size,
    /// Equity.
    pub equity: Usdc,
    /// Notional in all other markets.
    pub other: Usdc,
    /// Turnover of the day over all markets.
    pub used: Usdc,
}

/// `Sizing.MAX_SIZE`: largest int88.
const MAX_SIZE: U256 = U256::from_limbs([u64::MAX, (1 << 23) - 1, 0, 0]);
/// `Sizing.SCALE`: USDC (1e6) as size × price.
const SCALE: U256 = U256::from_limbs([5_076_944_270_305_263_616, 54_210_108_624, 0, 0]);
/// Turnover is counted in whole USDC.
const USDC: i128 = 1_000_000;

fn unsigned(value: i128) -> U256 {
    U256::from(value.unsigned_abs())
}

fn positive(value: Usdc) -> U256 {
    U256::from(value.0.max(0).unsigned_abs())
}

/// Whole USDC as size × price; turnover and its bound are whole numbers on the chain.
fn whole(value: i128) -> U256 {
    U256::from(value.max(0).unsigned_abs()) * U256::from(USDC) * SCALE
}

/// No size beyond int88 passes the bounds.
fn magnitude(value: U256) -> i128 {
    i128::try_from(value).unwrap_or(i128::MAX)
}

fn opposite(one: i128, other: i128) -> bool {
    one.signum() * other.signum() < 0
}

/// The account's target in the market and what would happen to it.
#[must_use]
pub fn order(batch: &Batch, holder: &Holder) -> (Size, Outcome) {
    let size = holder.size.0;
    let price = unsigned(batch.price.0);
    if price.is_zero() {
        return (holder.size, Outcome::AtTarget);
    }

    // The wish, and the bounds that shorten it.
    let mut outcome = Outcome::Moved;
    let mut target = 0;
    if holder.status != Status::Active || !holder.allowed {
        if size == 0 {
            let why = if holder.status == Status::Active {
                Outcome::MarketNotAllowed
            } else {
                Outcome::Inactive
            };
            return (Size(0), why);
        }
    } else if batch.leverage.0 != 0 {
        if holder.equity.0 > 0 {
            let equity = positive(holder.equity);
            let mut wanted = match holder.sizing {
                Sizing::ProRata(ratio) => {
                    unsigned(batch.leverage.0) * U256::from(ratio) * equity
                        / U256::from(10_000_000_000_000_000_000_000u128)
                }
                Sizing::Fixed(notional) => positive(notional),
            };
            let bound = U256::from(holder.max_leverage_bps.min(batch.max_leverage_bps));
            let limit = (equity * bound / U256::from(10_000)).saturating_sub(positive(holder.other));
            if wanted > limit {
                (wanted, outcome) = (limit, Outcome::LeverageBound);
            }
            let limit = positive(holder.max_position);
            if wanted > limit {
                (wanted, outcome) = (limit, Outcome::NotionalBound);
            }
            let mut open = wanted * SCALE / price;
            if open > MAX_SIZE {
                (open, outcome) = (MAX_SIZE, Outcome::SizeOverflow);
            }
            target = magnitude(open) * batch.leverage.0.signum();
        } else if size == 0 {
            return (Size(0), Outcome::UnderMargined);
        }
    }

    // The bounds on the way there.
    let value = U256::from(target.abs_diff(size)) * price;
    // Used today, this trade and one unit of rounding.
    let spent = whole(holder.used.0 / USDC + 1) + value;
    let held = if opposite(target, size) { 0 } else { size };
    let grown = unsigned(target).saturating_sub(unsigned(held)) * price;
    if grown.is_zero() {
        if spent > whole(holder.max_turnover.0 / USDC) {
            (target, outcome) = closed(batch, holder, target, outcome);
        }
    } else if batch.reduce_only || holder.expiry < batch.time || grown > batch.open_room {
        (target, outcome) = reduced(batch, holder, target);
    } else if spent + unsigned(target) * price + (positive(holder.other) + U256::ONE) * SCALE
        > whole(holder.max_turnover.0 / USDC)
    {
        (target, outcome) = turned(batch, holder, target);
    }

    // Is it worth a trade?
    let moved = U256::from(target.abs_diff(size));
    if outcome != Outcome::Moved {
        if moved.is_zero() {
            return (holder.size, outcome);
        }
        outcome = Outcome::Capped;
    }
    if target != 0 && moved * price < positive(batch.min_trade) * SCALE {
        let why = if moved.is_zero() {
            Outcome::AtTarget
        } else {
            Outcome::Dust
        };
        return (holder.size, why);
    }
    let in_dead_band = moved * U256::from(10_000) < U256::from(batch.dead_band_bps) * unsigned(size);
    if moved.is_zero() || (in_dead_band && target.signum() == size.signum()) {
        return (holder.size, Outcome::AtTarget);
    }
    (Size(target), outcome)
}

/// What is left of the day's turnover.
fn room(holder: &Holder) -> U256 {
    whole(holder.max_turnover.0 / USDC).saturating_sub(whole(holder.used.0 / USDC))
}

/// Nothing may grow: a flip is cut at zero, anything else stays where it is.
fn reduced(batch: &Batch, holder: &Holder, target: i128) -> (i128, Outcome) {
    let why = if !batch.reduce_only && holder.expiry < batch.time {
        Outcome::Expired
    } else {
        Outcome::ReduceOnly
    };
    if opposite(target, holder.size.0) {
        closed(batch, holder, 0, why)
    } else {
        (holder.size.0, why)
    }
}

/// The day's turnover holds back growth: as far as it goes with room to close in reserve. Of a flip the closing half
/// comes first.
fn turned(batch: &Batch, holder: &Holder, target: i128) -> (i128, Outcome) {
    let (room, price, size) = (room(holder), unsigned(batch.price.0), holder.size.0);
    let held = unsigned(size) * price;
    let flip = opposite(target, size);
    if flip && held + whole(1) > room {
        return closed(batch, holder, 0, Outcome::TurnoverBound);
    }
    let reserve = (positive(holder.other) + U256::ONE) * SCALE + whole(1);
    let free = if flip {
        room.saturating_sub(held + reserve)
    } else {
        (room + held).saturating_sub(reserve)
    };
    let mut most = free / U256::from(2) / price;
    if !flip {
        most = most.max(unsigned(size));
    }
    let cut = magnitude(most.min(unsigned(target))) * target.signum();
    let why = if cut == target {
        Outcome::Moved
    } else {
        Outcome::TurnoverBound
    };
    (cut, why)
}

/// The day's turnover holds back a reduction: as much of it as is left.
fn closed(batch: &Batch, holder: &Holder, target: i128, why: Outcome) -> (i128, Outcome) {
    let (room, price, size) = (room(holder), unsigned(batch.price.0), holder.size.0);
    if U256::from(target.abs_diff(size)) * price <= room {
        return (target, why);
    }
    let moved = magnitude(room / price);
    (size - moved * size.signum(), Outcome::TurnoverBound)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: i128 = 1_000_000_000_000_000_000;

    fn batch(leverage: i128) -> Batch {
        Batch {
            price: Wad(2000 * ONE),
            leverage: Wad(leverage),
            time: 1_000,
            max_leverage_bps: 100_000,
            dead_band_bps: 100,
            min_trade: Usdc(10_000_000),
            open_room: U256::from(1_000_000_000_000u64) * SCALE,
            reduce_only: false,
        }
    }

    fn holder(size: i128) -> Holder {
        Holder {
            status: Status::Active,
            allowed: true,
            sizing: Sizing::ProRata(10_000),
            max_leverage_bps: 50_000,
            max_position: Usdc(1_000_000_000_000),
            max_turnover: Usdc(1_000_000_000_000),
            expiry: 2_000,
            size: Size(size),
            equity: Usdc(1_000_000_000),
            other: Usdc(0),
            used: Usdc(0),
        }
    }

    #[test]
    fn constants_are_the_contract_s() {
        assert_eq!(SCALE, U256::from(10).pow(U256::from(30)));
        assert_eq!(MAX_SIZE, (U256::ONE << 87) - U256::ONE);
    }

    #[test]
    fn pro_rata_follows_the_master_in_both_directions_and_flips() {
        assert_eq!(order(&batch(2 * ONE), &holder(0)), (Size(ONE), Outcome::Moved));
        assert_eq!(order(&batch(-2 * ONE), &holder(0)), (Size(-ONE), Outcome::Moved));
        assert_eq!(
            order(&batch(-2 * ONE), &holder(ONE)),
            (Size(-ONE), Outcome::Moved)
        );
        assert_eq!(order(&batch(0), &holder(ONE)), (Size(0), Outcome::Moved));
        assert_eq!(order(&batch(ONE), &holder(-ONE)), (Size(ONE / 2), Outcome::Moved));
    }

    #[test]
    fn bounds_cap_and_a_stopped_account_closes() {
        assert_eq!(
            order(&batch(9 * ONE), &holder(0)),
            (Size(5 * ONE / 2), Outcome::Capped)
        );
        let stopped = Holder {
            status: Status::Closing,
            ..holder(ONE)
        };
        assert_eq!(order(&batch(2 * ONE), &stopped), (Size(0), Outcome::Moved));
        let expired = Holder {
            expiry: 1,
            ..holder(ONE / 2)
        };
        assert_eq!(
            order(&batch(2 * ONE), &expired),
            (Size(ONE / 2), Outcome::Expired)
        );
        let breaker = Batch {
            reduce_only: true,
            ..batch(-ONE)
        };
        assert_eq!(order(&breaker, &holder(ONE)), (Size(0), Outcome::Capped));
    }

    #[test]
    fn small_moves_are_left() {
        assert_eq!(
            order(&batch(2 * ONE + ONE * 15 / 1000), &holder(ONE)),
            (Size(ONE), Outcome::AtTarget)
        );
        assert_eq!(
            order(&batch(2 * ONE + ONE / 1000), &holder(ONE)),
            (Size(ONE), Outcome::Dust)
        );
        assert_eq!(order(&batch(ONE / 1000), &holder(0)), (Size(0), Outcome::Dust));
    }

    proptest! {
        #[test]
        fn growth_never_exceeds_a_signed_bound(
            leverage in -100i128..100,
            size in -50i128..50,
            equity in -1_000i128..1_000_000,
            max_leverage_bps in 0u32..100_000,
            max_position in 0i128..1_000_000,
            max_turnover in 0i128..1_000_000,
            used in 0i128..1_000_000,
            ratio in 1u32..100_000,
        ) {
            let holder = Holder {
                sizing: Sizing::ProRata(ratio),
                max_leverage_bps,
                max_position: Usdc(max_position * 1_000_000),
                max_turnover: Usdc(max_turnover * 1_000_000),
                used: Usdc(used * 1_000_000),
                equity: Usdc(equity * 1_000_000),
                ..holder(size * ONE)
            };
            let (target, _) = order(&batch(leverage * ONE), &holder);
            let value = target.0.abs() / ONE * 2000;
            let grew = target.0.abs() > holder.size.0.abs() || (target.0 != 0 && target.0.signum() != holder.size.0.signum());
            if grew {
                prop_assert!(value <= max_position);
                prop_assert!(value * 10_000 <= equity.max(0) * i128::from(max_leverage_bps));
                prop_assert!(value <= (max_turnover - used).max(0) + (size * 2000).abs());
                prop_assert_eq!(target.0.signum(), leverage.signum());
            }
            let traded = (target.0 - holder.size.0).abs() / ONE * 2000;
            prop_assert!(traded <= (max_turnover - used).max(0));
        }

        /// A short is sized as the long it mirrors.
        #[test]
        fn both_directions_are_alike((batch, holder) in anything()) {
            let (target, outcome) = order(&batch, &holder);
            let mirrored = Batch { leverage: Wad(-batch.leverage.0), ..batch };
            let other = Holder { size: Size(-holder.size.0), ..holder };
            prop_assert_eq!(order(&mirrored, &other), (Size(-target.0), outcome));
        }

        /// What does not trade leaves the size alone, and what trades changes it.
        #[test]
        fn outcome_and_target_agree((batch, holder) in anything()) {
            let (target, outcome) = order(&batch, &holder);
            prop_assert_eq!(outcome.traded(), target != holder.size);
        }

        /// Leverage, notional, expiry, reduce-only and the vault's room never hold back a reduction: an account whose master
        /// is flat closes as far as the day's turnover goes.
        #[test]
        fn closing_is_bounded_by_turnover_alone((batch, holder) in anything()) {
            let flat = Batch { leverage: Wad(0), ..batch };
            let (target, _) = order(&flat, &holder);
            let value = unsigned(holder.size.0) * unsigned(batch.price.0);
            if value <= room(&holder) {
                prop_assert_eq!(target, Size(0));
            } else {
                prop_assert!(target.0.unsigned_abs() <= holder.size.0.unsigned_abs());
            }
        }

        /// Where nothing may grow nothing does.
        #[test]
        fn reduce_only_never_grows((batch, holder) in anything()) {
            for (batch, holder) in [
                (Batch { reduce_only: true, ..batch }, holder),
                (Batch { open_room: U256::ZERO, ..batch }, holder),
                (batch, Holder { expiry: batch.time - 1, ..holder }),
            ] {
                let (target, _) = order(&batch, &holder);
                prop_assert!(!opposite(target.0, holder.size.0));
                prop_assert!(target.0.unsigned_abs() <= holder.size.0.unsigned_abs());
            }
        }

        /// An account brought to its target stays there: only one that turnover held back moves again.
        #[test]
        fn the_same_signal_again_moves_nobody((batch, holder) in anything()) {
            let (target, outcome) = order(&batch, &holder);
            if outcome == Outcome::Moved {
                let after = Holder { size: target, ..holder };
                let (again, outcome) = order(&batch, &after);
                prop_assert!(!outcome.traded() || again.0.abs() < target.0.abs(), "{again:?} after {target:?}");
            }
        }
    }

    prop_compose! {
        fn anything()(
            price in 1i128..1_000_000,
            leverage in prop_oneof![Just(0), -100_000i128..100_000],
            terms in (0u32..100_000, 0u16..500, 0i128..100_000_000, 0u128..1_000_000_000_000),
            reduce_only in proptest::bool::weighted(0.1),
            life in (proptest::bool::weighted(0.8), proptest::bool::weighted(0.9), 900u64..5_000),
            sizing in prop_oneof![(0u32..50_000).prop_map(Sizing::ProRata), (0i128..1_000_000_000_000).prop_map(|n| Sizing::Fixed(Usdc(n)))],
            bounds in (0u32..100_000, 0i128..1_000_000, 0i128..1_000_000, 0i128..1_000_000),
            size in prop_oneof![Just(0), -1_000_000_000_000i128..1_000_000_000_000],
            equity in -1_000_000_000i128..1_000_000_000_000,
            other in prop_oneof![Just(0), 0i128..1_000_000_000_000],
        ) -> (Batch, Holder) {
            let batch = Batch {
                price: Wad(price * ONE / 10),
                leverage: Wad(leverage * ONE / 1_000),
                time: 1_000,
                max_leverage_bps: terms.0,
                dead_band_bps: terms.1,
                min_trade: Usdc(terms.2),
                open_room: U256::from(terms.3) * SCALE,
                reduce_only,
            };
            let holder = Holder {
                status: if life.0 { Status::Active } else { Status::Closing },
                allowed: life.1,
                sizing,
                max_leverage_bps: bounds.0,
                max_position: Usdc(bounds.1 * USDC),
                max_turnover: Usdc(bounds.2 * USDC),
                expiry: life.2,
                size: Size(size * ONE / 1_000_000_000),
                equity: Usdc(equity),
                other: Usdc(other),
                used: Usdc(bounds.3 * USDC),
            };
            (batch, holder)
        }
    }
}
