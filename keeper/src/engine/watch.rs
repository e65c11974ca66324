//! What anyone may do and we do too: liquidations, stop-outs, NAV points.

use std::time::{Duration, Instant};

use alloy::primitives::Address;
use alloy::sol_types::SolCall as _;
use lockstep_contracts::bindings::{ILiquidator, IStrategyVault};
use lockstep_contracts::units::Wad;
use tracing::warn;

use super::{Engine, EngineError};
use crate::state::{Account, AccountIndex, Book, MarketIndex, Strategy};

/// An account that is not closed after all is asked about again this much later.
const AGAIN: Duration = Duration::from_secs(10);

/// What an account may be close to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Danger {
    Liquidation,
    Stop,
}

/// A cheap look from the cache with a margin for its age; the chain is asked before anything is sent.
fn danger(book: &Book, strategy: &Strategy, account: &Account) -> Option<Danger> {
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
    if equity.checked_mul(10_000)? < notional.checked_mul(maintenance_bps)?.checked_mul(11)? / 10 {
        return Some(Danger::Liquidation);
    }
    let net = account.net_deposits.0;
    let scaled = equity.checked_mul(10_000)?;
    // One percent around the signed level.
    let stop = account.stop_loss_bps > 0
        && scaled <= net.checked_mul(10_000 - i128::from(account.stop_loss_bps) + 100)?;
    let take = account.take_profit_bps > 0
        && scaled >= net.checked_mul(10_000 + i128::from(account.take_profit_bps) - 100)?;
    (stop || take).then_some(Danger::Stop)
}

impl Engine {
    /// Closes what is due, records NAV points.
    pub(super) async fn watch(&mut self) -> Result<(), EngineError> {
        let mut due: Vec<(Address, AccountIndex, Danger)> = Vec::new();
        for strategy in self.book.strategies.values() {
            for vault in &strategy.vaults {
                let Some(cached) = self.book.vaults.get(vault) else {
                    continue;
                };
                for (index, account) in &cached.accounts {
                    if let Some(danger) = danger(&self.book, strategy, account) {
                        due.push((*vault, *index, danger));
                    }
                }
            }
        }
        self.watched.retain(|_, asked| asked.elapsed() < AGAIN);
        for (vault, account, danger) in due {
            if self.watched.contains_key(&(vault, account)) {
                continue;
            }
            let (kind, calldata) = match danger {
                Danger::Liquidation => (
                    "liquidate",
                    ILiquidator::liquidateCall { vault, account }.abi_encode(),
                ),
                Danger::Stop => (
                    "stop-out",
                    ILiquidator::stopOutCall { vault, account }.abi_encode(),
                ),
            };
            let cause = format!("vault {vault} account {account}");
            if self
                .tracker
                .pending()
                .any(|job| job.kind == kind && job.cause == cause)
            {
                continue;
            }
            self.watched.insert((vault, account), Instant::now());
            let liquidator = self.deployment.liquidator;
            if self
                .send_simple(kind, cause, vault, liquidator, calldata.into())
                .await?
            {
                warn!(%vault, account, kind, "closing an account by force");
            }
        }
        self.checkpoints().await
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
