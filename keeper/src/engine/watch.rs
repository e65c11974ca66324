//! What anyone may do and we do too: liquidations, stop-outs, NAV points.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall as _;
use futures_util::stream::{self, StreamExt as _};
use lockstep_contracts::bindings::{ILiquidator, IStrategyVault};
use lockstep_contracts::units::Wad;
use tracing::warn;

use super::{Engine, EngineError, contain};
use crate::chain::{Call, RpcError};
use crate::state::{Account, AccountIndex, Book, MarketIndex, Strategy};

/// An account that is not closed after all is asked about again this much later.
const AGAIN: Duration = Duration::from_secs(10);

/// Questions in one round trip: each runs a close at the venue, so a node takes a while over them.
const AT_ONCE: usize = 50;

/// Round trips at once: a falling market must not cost the trades their endpoint.
const ROUND_TRIPS: usize = 4;

const LIQUIDATE: &str = "liquidate";
const STOP_OUT: &str = "stop-out";

/// What an account may be close to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Danger {
    Liquidation,
    Stop,
}

impl Danger {
    const fn kind(self) -> &'static str {
        match self {
            Self::Liquidation => LIQUIDATE,
            Self::Stop => STOP_OUT,
        }
    }
}

/// An account close to its end.
#[derive(Debug)]
struct Suspect {
    vault: Address,
    account: AccountIndex,
    dangers: Vec<Danger>,
}

impl Suspect {
    fn cause(&self) -> String {
        format!("vault {} account {}", self.vault, self.account)
    }

    fn calldata(&self, danger: Danger) -> Bytes {
        let (vault, account) = (self.vault, self.account);
        match danger {
            Danger::Liquidation => ILiquidator::liquidateCall { vault, account }.abi_encode(),
            Danger::Stop => ILiquidator::stopOutCall { vault, account }.abi_encode(),
        }
        .into()
    }
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
        let mut failed = None;
        self.watched.retain(|_, asked| asked.elapsed() < AGAIN);
        let suspects = self.suspects();
        let verdicts = self.would_close(&suspects).await;
        for (suspect, verdict) in suspects.iter().zip(verdicts) {
            let key = (suspect.vault, suspect.account);
            if let Err(error) = &verdict {
                // Not asked: the next look does, and one account leaves no other open.
                self.watched.remove(&key);
                failed.get_or_insert(error.clone());
                continue;
            }
            self.watched.insert(key, Instant::now());
            for danger in verdict.unwrap_or_default() {
                let closed = match self.close(suspect, danger).await {
                    Err(EngineError::Rpc(error)) => {
                        self.watched.remove(&key);
                        failed.get_or_insert(error);
                        false
                    }
                    other => other?,
                };
                if closed {
                    break;
                }
            }
        }
        contain(self.checkpoints().await, &mut failed)?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Accounts that look close to their end, and that nobody was asked about just now.
    fn suspects(&self) -> Vec<Suspect> {
        let under_way: HashSet<&str> = self
            .tracker
            .pending()
            .filter(|job| matches!(job.kind.as_str(), LIQUIDATE | STOP_OUT))
            .map(|job| job.cause.as_str())
            .collect();
        let mut suspects = Vec::new();
        for strategy in self.book.awake() {
            for vault in &strategy.vaults {
                let accounts = self.book.vaults.get(vault).map(|cached| cached.accounts.iter());
                for (index, account) in accounts.into_iter().flatten() {
                    let suspect = Suspect {
                        vault: *vault,
                        account: *index,
                        dangers: dangers(&self.book, strategy, account),
                    };
                    if !suspect.dangers.is_empty()
                        && !self.watched.contains_key(&(*vault, *index))
                        && !under_way.contains(suspect.cause().as_str())
                    {
                        suspects.push(suspect);
                    }
                }
            }
        }
        suspects
    }

    /// Asks the chain which of them it would close now and for what, many in a round trip: when the market falls,
    /// thousands come close to their stop at once, and most of them are not there yet.
    async fn would_close(&self, suspects: &[Suspect]) -> Vec<Result<Vec<Danger>, RpcError>> {
        let asked: Vec<(usize, Danger)> = suspects
            .iter()
            .enumerate()
            .flat_map(|(i, suspect)| suspect.dangers.iter().map(move |danger| (i, *danger)))
            .collect();
        let calls: Vec<Call> = asked
            .iter()
            .filter_map(|(i, danger)| {
                Some(Call {
                    from: Some(self.submitter.address()),
                    to: self.deployment.liquidator,
                    data: suspects.get(*i)?.calldata(*danger),
                })
            })
            .collect();
        let answers: Vec<_> = stream::iter(calls.chunks(AT_ONCE).map(|part| self.rpc.each(part)))
            .buffered(ROUND_TRIPS)
            .concat()
            .await;
        let mut told: Vec<_> = suspects.iter().map(|_| (Vec::new(), None)).collect();
        for ((i, danger), answer) in asked.into_iter().zip(answers) {
            let Some((due, open)) = told.get_mut(i) else {
                continue;
            };
            match answer {
                Ok(Ok(_)) => due.push(danger),
                Ok(Err(_)) => {}
                Err(error) => *open = Some(error),
            }
        }
        told.into_iter()
            .map(|(due, open)| match open {
                // One reason to close it is enough. Without one, what was left open may be it.
                Some(error) if due.is_empty() => Err(error),
                _ => Ok(due),
            })
            .collect()
    }

    /// Gives whether a transaction that closes the account was sent.
    async fn close(&mut self, suspect: &Suspect, danger: Danger) -> Result<bool, EngineError> {
        let (kind, vault, account) = (danger.kind(), suspect.vault, suspect.account);
        let (target, calldata) = (self.deployment.liquidator, suspect.calldata(danger));
        let sent = self
            .send_simple(kind, suspect.cause(), vault, target, calldata)
            .await?;
        if sent {
            warn!(%vault, account, kind, "closing an account by force");
        }
        Ok(sent)
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
