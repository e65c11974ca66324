//! Reads what a mined job did from its receipt.

use alloy::primitives::B256;
use alloy::sol_types::SolEvent as _;
use lockstep_contracts::bindings::{IMirrorEngine, IStrategyVault};
use lockstep_contracts::fills::{Fill, decode_fills};
use tracing::{info, warn};

use super::{Engine, EngineError};
use crate::chain::Receipt;
use crate::journal::{Inclusion, Job, RelayOutcome};

impl Engine {
    pub(super) async fn on_included(&mut self, job: &Job, receipt: &Receipt) -> Result<(), EngineError> {
        let inclusion = Inclusion {
            transaction: receipt.transaction,
            block: receipt.block,
            block_hash: receipt.block_hash,
            success: receipt.success,
        };
        let (mut outcome, mut relays): (String, Vec<(B256, RelayOutcome)>) =
            (format!("gas {}", receipt.gas_used), Vec::new());
        match (job.kind.as_str(), job.vault, job.market) {
            ("mirror", Some(vault), Some(market)) => {
                let fills = fills(receipt);
                if receipt.success {
                    outcome = format!("{}, {outcome}", summary(&fills));
                    self.patience.learn(vault, market, &fills);
                } else {
                    self.patience.failed(vault, market);
                }
                if let Some(cached) = self.book.vaults.get_mut(&vault) {
                    cached.stale = true;
                    cached.dirty.extend(fills.iter().map(|fill| fill.account));
                }
            }
            ("follow" | "stop" | "withdraw", ..) => {
                let items = self.journal.relays_of(job.id).await?;
                relays = self.relay.outcomes(self.rpc.as_ref(), &items, receipt).await?;
                self.mark_touched(receipt);
            }
            _ => self.mark_touched(receipt),
        }
        self.journal
            .included(job.id, &inclusion, &outcome, &relays)
            .await?;
        self.tracker.settle(job.nonce, &inclusion);
        let took = crate::journal::now_ms().saturating_sub(job.created_at);
        if receipt.success {
            info!(
                job = job.id,
                kind = job.kind,
                block = receipt.block,
                outcome,
                took_ms = took,
                "included"
            );
        } else {
            warn!(job = job.id, kind = job.kind, block = receipt.block, transaction = %receipt.transaction, "included, but reverted");
            metrics::counter!("keeper_reverted_total", "kind" => job.kind.clone()).increment(1);
        }
        Ok(())
    }

    /// Vaults whose logs the receipt holds are read again before anything is planned for them.
    fn mark_touched(&mut self, receipt: &Receipt) {
        for log in &receipt.logs {
            self.on_log(log);
        }
    }
}

fn fills(receipt: &Receipt) -> Vec<Fill> {
    receipt
        .logs
        .iter()
        .filter_map(|log| IStrategyVault::BatchMirrored::decode_log(&log.inner).ok())
        .filter_map(|event| decode_fills(&event.fills).ok())
        .flatten()
        .collect()
}

/// E.g. `3 moved, 1 dust`.
fn summary(fills: &[Fill]) -> String {
    let mut counts = std::collections::BTreeMap::<u8, (usize, String)>::new();
    for fill in fills {
        let entry = counts.entry(fill.outcome as u8).or_insert_with(|| {
            (
                0,
                serde_json::to_string(&fill.outcome)
                    .unwrap_or_default()
                    .trim_matches('"')
                    .to_owned(),
            )
        });
        entry.0 += 1;
    }
    let parts: Vec<String> = counts
        .values()
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if parts.is_empty() {
        "nobody moved".into()
    } else {
        parts.join(", ")
    }
}

/// `Followed` events of a receipt.
pub(crate) fn followed(receipt: &Receipt) -> Vec<IMirrorEngine::Followed> {
    receipt
        .logs
        .iter()
        .filter_map(|log| {
            IMirrorEngine::Followed::decode_log(&log.inner)
                .ok()
                .map(|log| log.data)
        })
        .collect()
}

/// `RelayFailed` events of a receipt.
pub(crate) fn relay_failures(receipt: &Receipt) -> Vec<IMirrorEngine::RelayFailed> {
    receipt
        .logs
        .iter()
        .filter_map(|log| {
            IMirrorEngine::RelayFailed::decode_log(&log.inner)
                .ok()
                .map(|log| log.data)
        })
        .collect()
}
