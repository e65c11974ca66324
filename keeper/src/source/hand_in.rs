//! Handing a master's state to the loop, for sources that are not on the chain.

use alloy::primitives::I256;
use lockstep_contracts::units::Wad;
use lockstep_exchanges::model::Decimal;
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Command, Seen, SignalRefused};
use crate::journal::sources::ExchangeState;
use crate::state::{MarketIndex, StrategyId};

/// The loop has ended: nothing is taken any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone;

/// The index of a strategy's market; none while the chain shows none of this name.
pub(super) async fn market_of(
    strategy: StrategyId,
    market: &str,
    commands: &mpsc::Sender<Command>,
) -> Result<Option<MarketIndex>, Gone> {
    let (answer, found) = oneshot::channel();
    let question = Command::MarketOf {
        strategy,
        symbol: market.to_owned(),
        answer,
    };
    commands.send(question).await.map_err(|_| Gone)?;
    found.await.map_err(|_| Gone)
}

/// Hands a state in, with what is to be remembered of it, and waits until both are written down, or refused.
pub(super) async fn signal(
    seen: Seen,
    exchange: Option<Box<ExchangeState>>,
    commands: &mpsc::Sender<Command>,
) -> Result<Result<(), SignalRefused>, Gone> {
    let (answer, taken) = oneshot::channel();
    let command = Command::Signal {
        seen,
        exchange,
        answer,
    };
    commands.send(command).await.map_err(|_| Gone)?;
    taken.await.map_err(|_| Gone)
}

/// In 1e-18, cut towards zero; none beyond what the contract holds.
pub(super) fn wad(value: Decimal) -> Option<Wad> {
    let scaled = value.trunc_with_scale(18);
    let missing = 18_u32.checked_sub(scaled.scale())?;
    let mantissa = I256::try_from(scaled.mantissa()).ok()?;
    let factor = I256::try_from(10_u64.checked_pow(missing)?).ok()?;
    Wad::try_from_i256(mantissa.checked_mul(factor)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i128 = 1_000_000_000_000_000_000;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn leverage_is_cut_towards_zero() {
        assert_eq!(wad(decimal("1.9999999999999999999")), Some(Wad(2 * ONE - 1)));
        assert_eq!(wad(decimal("-1.9999999999999999999")), Some(Wad(1 - 2 * ONE)));
        assert_eq!(wad(decimal("3")), Some(Wad(3 * ONE)));
    }
}
