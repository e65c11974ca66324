//! What is read again, and for whom: everything about vaults that somebody is in, next to nothing about the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy::primitives::Address;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEvent as _;
use lockstep_contracts::bindings::IMirrorEngine;
use tracing::{debug, info};

use super::failing::{Open, Step};
use super::{Engine, EngineError};
use crate::chain::RpcError;
use crate::state::{StrategyId, Vault, load};

/// Addresses in one log filter: nodes refuse longer ones.
const FILTER: usize = 500;

/// Sleeping vaults that are asked for accounts at every refresh: one round trip, however many there are.
const SWEEP: usize = 200;

/// Vaults in a row that cannot be read: it is the endpoint, and the rest waits for the next look.
const GIVE_UP: usize = 3;

impl Engine {
    /// The logs of a range of blocks. Vaults that sleep are not asked for: the one way into a vault is a mandate that
    /// the engine accepts, and the engine's own log names the vault.
    pub(super) async fn logs(&self, from: u64, to: u64) -> Result<Vec<Log>, RpcError> {
        let deployment = &self.deployment;
        let mut addresses = vec![deployment.registry, deployment.liquidator, deployment.engine];
        addresses.extend(self.book.awake_vaults());
        let mut logs = Vec::new();
        for part in addresses.chunks(FILTER) {
            let filter = Filter::new().address(part.to_vec()).from_block(from).to_block(to);
            logs.extend(self.rpc.logs(&filter).await?);
        }
        Ok(logs)
    }

    /// Somebody comes into a vault.
    pub(super) fn wake(&mut self, vault: Address) {
        if let Some(cached) = self.book.vaults.get_mut(&vault) {
            if !cached.is_awake() {
                info!(strategy = cached.strategy, %vault, "a follower comes: looked at from now on");
            }
            cached.wake();
        }
    }

    /// Vaults that a queued mandate names, so that prices and leverage are known when the account is there.
    pub(super) fn expect(&mut self, vaults: BTreeSet<Address>) {
        for vault in vaults {
            if self
                .book
                .vaults
                .get(&vault)
                .is_some_and(|vault| !vault.is_awake())
            {
                self.wake(vault);
            }
        }
    }

    /// What the engine says: who follows.
    pub(super) fn on_engine_log(&mut self, log: &Log) {
        let Ok(event) = IMirrorEngine::Followed::decode_log(&log.inner) else {
            return;
        };
        self.wake(event.strategy);
        if let Some(cached) = self.book.vaults.get_mut(&event.strategy) {
            cached.dirty.insert(event.account);
        }
    }

    /// Everything about vaults somebody is in is read again.
    pub(super) fn mark_all(&mut self) {
        for vault in self.book.vaults.values_mut().filter(|vault| vault.is_awake()) {
            vault.stale = true;
            vault.dirty.extend(vault.accounts.keys().copied());
        }
    }

    /// A log that an endpoint kept back must not keep a follower waiting for ever: sleeping vaults are asked in turn.
    pub(super) async fn sweep(&mut self) {
        let turn = self.sweep_turn();
        if turn.is_empty() {
            return;
        }
        let (settled, failed) = load::counts(self.rpc.as_ref(), &mut self.book, &turn).await;
        if let Some(error) = failed.values().next() {
            debug!(%error, vaults = failed.len(), "sleeping vaults not asked; they are in their next turn");
        }
        for vault in settled {
            self.wake(vault);
        }
        self.swept = turn.last().copied();
    }

    /// The next sleeping vaults after those asked last, from the first again after the last.
    fn sweep_turn(&self) -> Vec<Address> {
        let sleeping = || {
            let vaults = self.book.vaults.iter();
            vaults
                .filter(|(_, vault)| !vault.is_awake() && !vault.stale)
                .map(|(address, _)| *address)
        };
        let after = self.swept;
        let next = sleeping().filter(|vault| after.is_none_or(|after| *vault > after));
        let turn: Vec<Address> = next.take(SWEEP).collect();
        if turn.is_empty() {
            return sleeping().take(SWEEP).collect();
        }
        turn
    }

    /// Reads what is stale. What cannot be read stays stale.
    pub(super) async fn reload(&mut self) {
        let ids: Vec<StrategyId> = self.stale.iter().copied().collect();
        if !ids.is_empty() {
            self.read_strategies(&ids).await;
        }
        let (open, unasked) = self.read_vaults().await;
        // Who was not asked keeps the place that the last answer, or none, gave it.
        let ids = self.book.strategies.keys().copied();
        let asked: BTreeSet<StrategyId> = ids.filter(|id| !unasked.contains(id)).collect();
        self.failing.settle(Step::Accounts, Some(&asked), open);
        self.tell_masters();
    }

    async fn read_strategies(&mut self, ids: &[StrategyId]) {
        let rpc = Arc::clone(&self.rpc);
        let open = load::strategies(rpc.as_ref(), &self.deployment, &mut self.book, ids).await;
        for id in ids.iter().filter(|id| !open.contains_key(id)) {
            self.stale.remove(id);
            if let Some(strategy) = self.book.strategies.get(id) {
                debug!(strategy = id, name = strategy.name, source = ?strategy.source, vaults = strategy.vaults.len(), "known");
            }
        }
        if open.len() < ids.len() {
            info!(
                read = ids.len() - open.len(),
                open = open.len(),
                "strategies read"
            );
        }
        self.failing.settle(Step::Record, None, open);
    }

    /// Gives what was left open, and the strategies that there was no patience left to ask about.
    async fn read_vaults(&mut self) -> (Open, BTreeSet<StrategyId>) {
        let rpc = Arc::clone(&self.rpc);
        let (mut open, mut unasked) = (Open::new(), BTreeSet::new());
        let empty = self.unread(|vault| vault.accounts.is_empty() && vault.dirty.is_empty());
        let empty: Vec<Address> = empty.into_iter().map(|(vault, _)| vault).collect();
        let (_, failed) = load::counts(rpc.as_ref(), &mut self.book, &empty).await;
        for (vault, error) in &failed {
            if let Some(cached) = self.book.vaults.get(vault) {
                open.insert(cached.strategy, error.clone());
            }
        }
        let mut vaults = self.unread(|_| true);
        vaults.retain(|(vault, _)| !failed.contains_key(vault));
        // Those that could not be read last time come last: they must not use up the patience with the others.
        vaults.sort_by_key(|(_, strategy)| self.failing.is_open(Step::Accounts, *strategy));
        let mut in_a_row = 0;
        for (vault, strategy) in vaults {
            if in_a_row >= GIVE_UP {
                unasked.insert(strategy);
                continue;
            }
            match load::vault(rpc.as_ref(), &mut self.book, vault).await {
                Ok(()) => in_a_row = 0,
                Err(error) => {
                    in_a_row += 1;
                    open.insert(strategy, error);
                }
            }
        }
        (open, unasked)
    }

    /// Vaults to read again and their strategies, of those that are `wanted`.
    fn unread(&self, wanted: impl Fn(&Vault) -> bool) -> Vec<(Address, StrategyId)> {
        let vaults = self.book.vaults.iter();
        vaults
            .filter(|(_, vault)| (vault.stale || !vault.dirty.is_empty()) && wanted(vault))
            .map(|(address, vault)| (*address, vault.strategy))
            .collect()
    }

    /// The push feed subscribes to masters whose trades move somebody.
    fn tell_masters(&self) {
        let masters = self.book.sources();
        self.masters.send_if_modified(|known| {
            let changed = *known != masters;
            if changed {
                known.clone_from(&masters);
            }
            changed
        });
    }

    /// Reads prices and masters' leverage.
    ///
    /// # Errors
    /// When nothing at all is answered.
    pub(super) async fn read_markets(&mut self) -> Result<(), EngineError> {
        let rpc = Arc::clone(&self.rpc);
        let open = load::market_state(rpc.as_ref(), &self.deployment, &mut self.book).await?;
        self.failing.settle(Step::Markets, None, open);
        Ok(())
    }
}
