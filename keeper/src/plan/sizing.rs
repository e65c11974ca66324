//! The target of one account as `contracts/libraries/Sizing.sol` computes it. The chain decides; this
//! only tells which accounts are worth naming in a batch. Two roundings are left out because the plan's tolerance covers
//! them: turnover is counted there in whole USDC, and the vault's open room falls within a batch.

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
    /// Room left in the vault.
    pub open_room: Usdc,
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
/// `Sizing.MAX_VALUE`: a third of the largest int56.
const MAX_VALUE: U256 = U256::from_limbs([((1 << 55) - 1) / 3, 0, 0, 0]);
/// 1e30.
const SIZE_PRICE: U256 = U256::from_limbs([5_076_944_270_305_263_616, 54_210_108_624, 0, 0]);

fn unsigned(value: i128) -> U256 {
    U256::from(value.unsigned_abs())
}

fn positive(value: Usdc) -> U256 {
    U256::from(value.0.max(0).unsigned_abs())
}

/// The account's target in the market and what would happen to it.
#[must_use]
pub fn order(batch: &Batch, holder: &Holder) -> (Size, Outcome) {
    let size = holder.size.0;
    let held = unsigned(size);
    let price = unsigned(batch.price.0);
    let mut long = batch.leverage.0 > 0;
    let mut outcome = Outcome::Moved;
    if price.is_zero() {
        return (holder.size, Outcome::AtTarget);
    }

    // The wish.
    let mut wanted = U256::ZERO;
    if holder.status != Status::Active {
        if held.is_zero() {
            return (Size(0), Outcome::Inactive);
        }
    } else if !holder.allowed {
        if held.is_zero() {
            return (Size(0), Outcome::MarketNotAllowed);
        }
    } else if batch.leverage.0 != 0 {
        if holder.equity.0 <= 0 {
            if held.is_zero() {
                return (Size(0), Outcome::UnderMargined);
            }
        } else {
            let equity = positive(holder.equity);
            let bound = U256::from(holder.max_leverage_bps.min(batch.max_leverage_bps));
            let limit = (equity * bound / U256::from(10_000)).saturating_sub(positive(holder.other));
            wanted = match holder.sizing {
                Sizing::ProRata(ratio) => {
                    unsigned(batch.leverage.0) * U256::from(ratio) * equity
                        / U256::from(10_000_000_000_000_000_000_000u128)
                }
                Sizing::Fixed(notional) => positive(notional),
            };
            if wanted > limit {
                (wanted, outcome) = (limit, Outcome::LeverageBound);
            }
            let limit = positive(holder.max_position);
            if wanted > limit {
                (wanted, outcome) = (limit, Outcome::NotionalBound);
            }
            if wanted > MAX_VALUE {
                (wanted, outcome) = (MAX_VALUE, Outcome::SizeOverflow);
            }
        }
    }

    let mut open = wanted * SIZE_PRICE / price;
    if open > MAX_SIZE {
        (open, outcome) = (MAX_SIZE, Outcome::SizeOverflow);
    }
    let mut flip = !open.is_zero() && !held.is_zero() && long != (size > 0);

    // Reductions only.
    if flip || open > held {
        let grown = if flip { open } else { open - held };
        let cut = if batch.reduce_only {
            Some(Outcome::ReduceOnly)
        } else if holder.expiry < batch.time {
            Some(Outcome::Expired)
        } else if grown * price / SIZE_PRICE > positive(batch.open_room) {
            Some(Outcome::ReduceOnly)
        } else {
            None
        };
        if let Some(cut) = cut {
            (open, outcome) = (if flip { U256::ZERO } else { held }, cut);
        }
    }

    // The day's turnover.
    let room = positive(holder.max_turnover).saturating_sub(positive(holder.used));
    let value = (held * price).div_ceil(SIZE_PRICE);
    let other = positive(holder.other) + U256::from(1_000_000);
    let two = U256::from(2);
    if flip || open <= held {
        let closed = if flip { held } else { held - open };
        if closed * price > room * SIZE_PRICE {
            let closed = room * SIZE_PRICE / price;
            (flip, open, outcome) = (false, held - closed, Outcome::TurnoverBound);
            long = size > 0;
        } else if flip {
            let most = room.saturating_sub(other + value) / two * SIZE_PRICE / price;
            if open > most {
                (open, outcome) = (most, Outcome::TurnoverBound);
            }
        }
    } else {
        let most = (room + value).saturating_sub(other) / two * SIZE_PRICE / price;
        if open > most {
            (open, outcome) = (most.max(held), Outcome::TurnoverBound);
        }
    }

    // No size beyond int88 passes the bounds above.
    let magnitude = i128::try_from(open).unwrap_or(i128::MAX);
    let short = if held.is_zero() { !long } else { flip == (size > 0) };
    let target = if short { -magnitude } else { magnitude };

    // Is it worth a trade?
    let moved = U256::from(target.abs_diff(size));
    if moved.is_zero() {
        return (
            Size(target),
            if outcome == Outcome::Moved {
                Outcome::AtTarget
            } else {
                outcome
            },
        );
    }
    if target != 0 {
        if !flip && !held.is_zero() && moved * U256::from(10_000) < U256::from(batch.dead_band_bps) * held {
            return (holder.size, Outcome::AtTarget);
        }
        if moved * price < positive(batch.min_trade) * SIZE_PRICE {
            return (holder.size, Outcome::Dust);
        }
    }
    (
        Size(target),
        if outcome == Outcome::Moved {
            Outcome::Moved
        } else {
            Outcome::Capped
        },
    )
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
            open_room: Usdc(1_000_000_000_000),
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
        assert_eq!(SIZE_PRICE, U256::from(10).pow(U256::from(30)));
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
            order(&batch(2 * ONE + ONE / 1000), &holder(ONE)),
            (Size(ONE), Outcome::AtTarget)
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
    }
}
