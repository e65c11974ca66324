//! Masters who trade on Perpetual Protocol v2.
//!
//! A WebSocket subscription tells at once; polling by block tells surely. The subscription counts as alive only while
//! blocks arrive on it: an open socket that says nothing is closed and opened again.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use alloy::providers::{Provider as _, ProviderBuilder, RootProvider, WsConnect};
use alloy::rpc::types::{Filter, Log};
use alloy::sol;
use alloy::sol_types::SolEvent as _;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use super::{Change, Observation, Origin, Source};
use crate::chain::{Rpc, RpcError};

sol! {
    /// Emitted for every change of a taker position, liquidations included.
    #[derive(Debug)]
    event PositionChanged(
        address indexed trader,
        address indexed baseToken,
        int256 exchangedPositionSize,
        int256 exchangedPositionNotional,
        uint256 fee,
        int256 openNotional,
        int256 realizedPnl,
        uint256 sqrtPriceAfterX96
    );
    /// Follows the `PositionChanged` it caused, in the same transaction.
    #[derive(Debug)]
    event PositionLiquidated(
        address indexed trader,
        address indexed baseToken,
        uint256 positionNotional,
        uint256 positionSize,
        uint256 liquidationFee,
        address liquidator
    );
    /// Emitted by `quitMarket` of a closed market only.
    #[derive(Debug)]
    event PositionClosed(
        address indexed trader,
        address indexed baseToken,
        int256 closedPositionSize,
        int256 closedPositionNotional,
        int256 openNotional,
        int256 realizedPnl,
        uint256 closedPrice
    );
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct PerpV2 {
    clearing_house: Address,
}

impl PerpV2 {
    /// Over one clearing house.
    #[must_use]
    pub const fn new(clearing_house: Address) -> Self {
        Self { clearing_house }
    }

    fn filter(&self, masters: &BTreeSet<Address>) -> Filter {
        Filter::new()
            .address(self.clearing_house)
            .event_signature(vec![
                PositionChanged::SIGNATURE_HASH,
                PositionLiquidated::SIGNATURE_HASH,
                PositionClosed::SIGNATURE_HASH,
            ])
            .topic1(
                masters
                    .iter()
                    .map(|master| master.into_word())
                    .collect::<Vec<_>>(),
            )
    }
}

#[async_trait]
impl Source for PerpV2 {
    fn decode(&self, log: &Log, received: Instant) -> Option<Change> {
        if log.removed || log.address() != self.clearing_house {
            return None;
        }
        let origin = match *log.topic0()? {
            PositionChanged::SIGNATURE_HASH | PositionClosed::SIGNATURE_HASH => Origin::Intent,
            PositionLiquidated::SIGNATURE_HASH => Origin::Liquidation,
            _ => return None,
        };
        let [_, trader, base, ..] = log.topics() else {
            return None;
        };
        Some(Change {
            source: Address::from_word(*trader),
            venue_market: *base,
            origin,
            block: log.block_number?,
            block_hash: log.block_hash?,
            block_time: log.block_timestamp,
            log_index: log.log_index?,
            received,
        })
    }

    async fn poll(
        &self,
        rpc: &dyn Rpc,
        masters: &BTreeSet<Address>,
        from: u64,
        to: u64,
    ) -> Result<Vec<Change>, RpcError> {
        if masters.is_empty() || from > to {
            return Ok(Vec::new());
        }
        let logs = rpc
            .logs(&self.filter(masters).from_block(from).to_block(to))
            .await?;
        let received = Instant::now();
        Ok(logs.iter().filter_map(|log| self.decode(log, received)).collect())
    }
}

/// The push feed of one clearing house.
#[derive(Debug)]
pub struct Feed {
    /// WebSocket endpoint.
    pub url: Url,
    /// Whose logs.
    pub source: PerpV2,
    /// Who is followed; a change subscribes anew.
    pub masters: watch::Receiver<BTreeSet<Address>>,
    /// No block for so long: the socket is dead, whatever it says.
    pub silence: Duration,
}

impl Feed {
    /// Runs until `stop`, reconnecting with full-jitter back-off.
    pub async fn run(mut self, out: mpsc::Sender<Observation>, stop: CancellationToken) {
        let mut failures = 0u32;
        loop {
            let connected = Instant::now();
            let reason = tokio::select! {
                () = stop.cancelled() => return,
                reason = self.connection(&out) => reason,
            };
            if out.is_closed() {
                return;
            }
            // A connection that lasted was good; one that fails at once is tried less and less often.
            failures = if connected.elapsed() > Duration::from_secs(60) {
                0
            } else {
                failures.saturating_add(1)
            };
            let wait = jitter(failures);
            metrics::counter!("keeper_feed_reconnects_total").increment(1);
            metrics::gauge!("keeper_feed_up").set(0);
            warn!(
                reason,
                wait_ms = wait.as_millis(),
                "push feed is down; polling goes on"
            );
            if out.send(Observation::Down { reason }).await.is_err() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One connection; returns why it ended.
    async fn connection(&mut self, out: &mpsc::Sender<Observation>) -> String {
        let connect = WsConnect::new(self.url.as_str()).with_max_retries(0);
        let connecting = ProviderBuilder::default().connect_ws(connect);
        let provider: RootProvider = match tokio::time::timeout(Duration::from_secs(10), connecting).await {
            Err(_) => return "connecting timed out".into(),
            Ok(Err(error)) => return error.to_string(),
            Ok(Ok(provider)) => provider,
        };
        let mut blocks = match provider.subscribe_blocks().await {
            Ok(blocks) => blocks.into_stream(),
            Err(error) => return error.to_string(),
        };
        loop {
            let masters = self.masters.borrow_and_update().clone();
            let mut logs = match provider.subscribe_logs(&self.source.filter(&masters)).await {
                Ok(logs) => logs.into_stream(),
                Err(error) => return error.to_string(),
            };
            // The filter is in place: from here on nothing is missed, and what was before is read by the looks.
            info!(masters = masters.len(), "push feed is up");
            metrics::gauge!("keeper_feed_up").set(1);
            if out.send(Observation::Up).await.is_err() {
                return "the keeper stops".into();
            }
            loop {
                let observation = tokio::select! {
                    log = logs.next() => match log {
                        Some(log) if masters.is_empty() => { let _ = log; continue }
                        Some(log) => match self.source.decode(&log, Instant::now()) {
                            Some(change) => Observation::Change(change),
                            None => continue,
                        },
                        None => return "the log subscription ended".into(),
                    },
                    block = tokio::time::timeout(self.silence, blocks.next()) => match block {
                        Ok(Some(_)) => Observation::Block,
                        Ok(None) => return "the block subscription ended".into(),
                        Err(_) => return format!("no block for {} s on an open socket", self.silence.as_secs()),
                    },
                    changed = self.masters.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return "the keeper stops".into(),
                    },
                };
                if out.send(observation).await.is_err() {
                    return "the keeper stops".into();
                }
            }
        }
    }
}

/// Full jitter: anything from 0 to 250 ms × 2^failures, at most 30 s.
fn jitter(failures: u32) -> Duration {
    let most = 250u64.saturating_mul(1 << failures.min(7)).min(30_000);
    // RandomState is seeded from the system for every new state.
    let random = RandomState::new().build_hasher().finish();
    Duration::from_millis(random % (most + 1))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, Bytes, LogData};

    use super::*;

    fn log(topic0: B256, trader: Address, base: Address) -> Log {
        let topics = vec![topic0, trader.into_word(), base.into_word()];
        Log {
            inner: alloy::primitives::Log {
                address: Address::repeat_byte(1),
                data: LogData::new_unchecked(topics, Bytes::new()),
            },
            block_hash: Some(B256::ZERO),
            block_number: Some(7),
            block_timestamp: Some(9),
            log_index: Some(3),
            ..Log::default()
        }
    }

    #[test]
    fn trades_and_liquidations_are_told_apart_and_strangers_ignored() {
        let source = PerpV2::new(Address::repeat_byte(1));
        let (trader, base) = (Address::repeat_byte(2), Address::repeat_byte(3));
        let change = source
            .decode(
                &log(PositionChanged::SIGNATURE_HASH, trader, base),
                Instant::now(),
            )
            .unwrap();
        assert_eq!((change.source, change.venue_market), (trader, base.into_word()));
        assert_eq!((change.origin, change.block_time), (Origin::Intent, Some(9)));
        let change = source
            .decode(
                &log(PositionLiquidated::SIGNATURE_HASH, trader, base),
                Instant::now(),
            )
            .unwrap();
        assert_eq!(change.origin, Origin::Liquidation);
        assert!(
            source
                .decode(&log(B256::ZERO, trader, base), Instant::now())
                .is_none()
        );
        let elsewhere = PerpV2::new(Address::repeat_byte(9));
        assert!(
            elsewhere
                .decode(
                    &log(PositionChanged::SIGNATURE_HASH, trader, base),
                    Instant::now()
                )
                .is_none()
        );
    }

    #[test]
    fn back_off_is_bounded() {
        for failures in [0, 1, 5, 100, u32::MAX] {
            assert!(jitter(failures) <= Duration::from_secs(30));
        }
    }
}
