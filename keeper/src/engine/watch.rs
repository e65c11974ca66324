//! What anyone may do and we do too: liquidations, stop-outs, NAV points.

use std::time::{Duration, Instant};

use alloy::primitives::Address;
use alloy::sol_types::SolCall as _;
use lockstep_contracts::bindings::{ILiquidator, IStrategyVault};
use lockstep_contracts::units::Wad;
use tracing::warn;

use super::{Engine, EngineError, contain};
use crate::state::{Account, AccountIndex, Book, MarketIndex, Strategy};

/// An account that is not closed after all is asked about again this much later.
const AGAIN: Duration = Duration::from_secs(10);

const LIQUIDATE: &str = "liquidate";
const STOP_OUT: &str = "stop-out";

/// What an account may be close to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Danger {
    Liquidation,
    Stop,
}

/// A cheap look from the cache with a margin for its age; the chain is asked before anything is sent. An account can be
/// close to both, and at one of them only.
fn dangers(book: &Book, strategy: &Strategy, account: &Account) -> Vec<Danger> {
    numbers(book, strategy, account).map_or_else(Vec::new, |(liquidation, stop)| {
        [(liquidation, Danger::Liquidation), (stop, Danger::Stop)]
            .into_iter()
            .filter_map(|(close, danger)| close.then_some(danger))
            .collect()
    })
}

/// Whether an account is close to its liquidation, and to its stop. `None` while a price is missing.
fn numbers(book: &Book, strategy: &Strategy, account: &Account) -> Option<(bool, bool)> {
    if !account.is_open() {
        return None;
    }
    let price = |market: MarketIndex| -> Option<Wad> { book.price(strategy, market) };
    let equity = account.equity(price)?.0;
    let notional = account.notional(None, price)?.0;
    let maintenance_bps = i128::from(
        book.maintenance_bps
            .get(&strategy.venue)
            .copied()
            .unwrap_or(1_000),
    );
    // A tenth on top of the maintenance margin.
    let liquidation =
        equity.checked_mul(10_000)? < notional.checked_mul(maintenance_bps)?.checked_mul(11)? / 10;
    let net = account.net_deposits.0;
    let scaled = equity.checked_mul(10_000)?;
    // One percent around the signed level.
    let stop = account.stop_loss_bps > 0
        && scaled <= net.checked_mul(10_000 - i128::from(account.stop_loss_bps) + 100)?;
    let take = account.take_profit_bps > 0
        && scaled >= net.checked_mul(10_000 + i128::from(account.take_profit_bps) - 100)?;
    Some((liquidation, stop || take))
}

impl Engine {
    /// Closes what is due, records NAV points.
    pub(super) async fn watch(&mut self) -> Result<(), EngineError> {
        let mut due: Vec<(Address, AccountIndex, Vec<Danger>)> = Vec::new();
        for strategy in self.book.strategies.values() {
            for vault in &strategy.vaults {
                let Some(cached) = self.book.vaults.get(vault) else {
                    continue;
                };
                for (index, account) in &cached.accounts {
                    let dangers = dangers(&self.book, strategy, account);
                    if !dangers.is_empty() {
                        due.push((*vault, *index, dangers));
                    }
                }
            }
        }
        let mut failed = None;
        self.watched.retain(|_, asked| asked.elapsed() < AGAIN);
        for (vault, account, dangers) in due {
            let cause = format!("vault {vault} account {account}");
            let under_way = self
                .tracker
                .pending()
                .any(|job| matches!(job.kind.as_str(), LIQUIDATE | STOP_OUT) && job.cause == cause);
            if under_way || self.watched.contains_key(&(vault, account)) {
                continue;
            }
            self.watched.insert((vault, account), Instant::now());
            for danger in dangers {
                let (kind, calldata) = match danger {
                    Danger::Liquidation => (
                        LIQUIDATE,
                        ILiquidator::liquidateCall { vault, account }.abi_encode(),
                    ),
                    Danger::Stop => (STOP_OUT, ILiquidator::stopOutCall { vault, account }.abi_encode()),
                };
                let liquidator = self.deployment.liquidator;
                let sent = self
                    .send_simple(kind, cause.clone(), vault, liquidator, calldata.into())
                    .await;
                let sent = match sent {
                    // One account's question must not leave the others open.
                    Err(EngineError::Rpc(error)) => {
                        self.watched.remove(&(vault, account));
                        failed.get_or_insert(error);
                        false
                    }
                    other => other?,
                };
                if sent {
                    warn!(%vault, account, kind, "closing an account by force");
                    break;
                }
            }
        }
        contain(self.checkpoints().await, &mut failed)?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn checkpoints(&mut self) -> Result<(), EngineError> {
        let (Some(head), interval) = (self.book.head, self.pace.checkpoint_seconds) else {
            return Ok(());
        };
        if interval == 0 {
            return Ok(());
        }
        let due: Vec<Address> = self
            .book
            .vaults
            .iter()
            .filter(|(address, vault)| {
                let last = vault
                    .last_nav
                    .max(self.last_checkpoint.get(*address).copied().unwrap_or(0));
                !vault.accounts.is_empty() && head.timestamp >= last.saturating_add(interval)
            })
            .map(|(address, _)| *address)
            .collect();
        for vault in due {
            if self
                .tracker
                .pending()
                .any(|job| job.kind == "checkpoint" && job.vault == Some(vault))
            {
                continue;
            }
            let calldata = IStrategyVault::checkpointCall {}.abi_encode();
            let cause = format!("vault {vault}");
            self.send_simple("checkpoint", cause, vault, vault, calldata.into())
                .await?;
            // Sent or refused: not again before the interval is over.
            self.last_checkpoint.insert(vault, head.timestamp);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;
    use crate::plan::tests::{VAULT, book};

    /// An account of five times leverage with a stop at `stop_loss_bps`, once the price is `price`.
    fn at(price: i128, stop_loss_bps: u16) -> Vec<Danger> {
        let mut book = book(&[5]);
        let price = Wad(price * 1_000_000_000_000_000_000);
        book.prices.insert((Address::ZERO, B256::ZERO), price);
        let mut account = book.vaults[&VAULT].accounts[&1].clone();
        account.stop_loss_bps = stop_loss_bps;
        dangers(&book, &book.strategies[&1], &account)
    }

    #[test]
    fn an_account_close_to_both_is_asked_about_both() {
        assert_eq!(at(2_000, 0), []);
        assert_eq!(at(1_900, 2_000), [Danger::Stop]);
        // Equity 500 of 2000, notional 8500.
        assert_eq!(at(1_700, 0), [Danger::Liquidation]);
        assert_eq!(at(1_700, 7_000), [Danger::Liquidation, Danger::Stop]);
        assert_eq!(at(1_700, 9_000), [Danger::Liquidation]);
    }
}
