//! How long the keeper itself takes from a master's trade to the batch handed to the RPC endpoint.
//!
//! The real path, decoding included: log text → decode → state → guard → plan → encode → sign → journal → hand over, on
//! an endpoint that answers at once, so that only the keeper's own time is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes, I256, LogData, U256};
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::{SolCall as _, SolEvent as _, SolValue as _};
use anyhow::Context as _;
use async_trait::async_trait;
use lockstep_contracts::bindings::{ILiquidator, IVenue};
use lockstep_contracts::deployment::{Deployment, PerpContracts};
use lockstep_contracts::units::{Size, Usdc, Wad};
use secrecy::SecretString;
use tokio::sync::watch;

use crate::chain::{Answer, Call, Head, Receipt, Rpc, RpcError, SendOutcome};
use crate::config::Pace;
use crate::confirm::{Patience, Tracker};
use crate::engine::{Engine, Health, Parts};
use crate::guard::Limits;
use crate::journal::Journal;
use crate::plan::GasModel;
use crate::source::Source as _;
use crate::source::perp_v2::{PerpV2, PositionChanged};
use crate::state::{Account, Book, Market, Position, Sizing, Status, Strategy, Terms, Vault};
use crate::submit::Submitter;
use crate::submit::fees::Policy;
use crate::submit::key::Key;

const ONE: i128 = 1_000_000_000_000_000_000;
const CLEARING_HOUSE: Address = Address::repeat_byte(0x10);
const MASTER: Address = Address::repeat_byte(0x11);
const VENUE: Address = Address::repeat_byte(0x12);
const VAULT: Address = Address::repeat_byte(0x13);
const BASE: Address = Address::repeat_byte(0x14);
/// A key that owns nothing.
const KEY: &str = "0000000000000000000000000000000000000000000000000000000000000001";

/// Durations of one setting, sorted.
#[derive(Debug, Clone)]
pub struct Latency {
    /// Accounts in the batch.
    pub followers: u32,
    /// From the log's text to the hand-over, the endpoint's time left out.
    pub sorted: Vec<Duration>,
    /// What was left out: the endpoint's time before the hand-over.
    pub rpc: Vec<Duration>,
    /// Round trips, the hand-over included.
    pub round_trips: u32,
}

impl Latency {
    /// The `percent`th percentile.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.sorted, percent)
    }

    /// The `percent`th percentile of the endpoint's time.
    #[must_use]
    pub fn rpc_percentile(&self, percent: usize) -> Duration {
        percentile(&self.rpc, percent)
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

/// Milliseconds with three decimals.
#[must_use]
pub fn milliseconds(duration: Duration) -> String {
    format!(
        "{}.{:03}",
        duration.as_micros() / 1_000,
        duration.as_micros() % 1_000
    )
}

/// Answers at once.
#[derive(Default)]
struct Instantly {
    handed_over: Mutex<Option<Instant>>,
    /// Round trips, and the time spent in them.
    asked: Mutex<(u32, Duration)>,
}

impl Instantly {
    fn count(&self, since: Instant) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = (asked.0 + 1, asked.1 + since.elapsed());
    }
}

#[async_trait]
impl Rpc for Instantly {
    async fn head(&self) -> Result<Head, RpcError> {
        Ok(head())
    }
    async fn block(&self, _number: u64) -> Result<Option<Head>, RpcError> {
        self.count(Instant::now());
        Ok(Some(head()))
    }
    async fn calls(&self, calls: &[Call]) -> Result<Vec<Answer<Bytes>>, RpcError> {
        let since = Instant::now();
        let answer = |call: &Call| -> Bytes {
            let price = U256::from(2_000 * ONE.unsigned_abs());
            let leverage = I256::unchecked_from(2 * ONE);
            match call
                .data
                .get(..4)
                .and_then(|selector| <[u8; 4]>::try_from(selector).ok())
            {
                Some(ILiquidator::breakerUntilOfCall::SELECTOR) => 0_u64.abi_encode(),
                Some(IVenue::indexPriceCall::SELECTOR) => (price, U256::ZERO).abi_encode(),
                Some(IVenue::leverageOfCall::SELECTOR) => (leverage, leverage).abi_encode(),
                _ => U256::ZERO.abi_encode(),
            }
            .into()
        };
        let answers = calls.iter().map(|call| Ok(answer(call))).collect();
        self.count(since);
        Ok(answers)
    }
    async fn estimate(&self, _call: &Call) -> Result<Answer<u64>, RpcError> {
        self.count(Instant::now());
        Ok(Ok(4_000_000))
    }
    async fn nonce(&self, _address: Address) -> Result<u64, RpcError> {
        Ok(0)
    }
    async fn priority_fee(&self) -> Result<u128, RpcError> {
        Ok(1_000_000)
    }
    async fn send(&self, _raw: &[u8]) -> SendOutcome {
        self.count(Instant::now());
        *self.handed_over.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        SendOutcome::Accepted
    }
    async fn receipt(&self, _hash: B256) -> Result<Option<Receipt>, RpcError> {
        Ok(None)
    }
    async fn knows(&self, _hash: B256) -> Result<bool, RpcError> {
        Ok(true)
    }
    async fn logs(&self, _filter: &Filter) -> Result<Vec<Log>, RpcError> {
        Ok(Vec::new())
    }
    async fn code(&self, _address: Address) -> Result<Bytes, RpcError> {
        Ok(Bytes::new())
    }
    async fn chain_id(&self) -> Result<u64, RpcError> {
        Ok(31_337)
    }
}

const fn head() -> Head {
    Head {
        number: 100,
        hash: B256::repeat_byte(1),
        parent: B256::ZERO,
        timestamp: 1_700_000_000,
        base_fee: 1_000_000_000,
    }
}

fn deployment() -> Deployment {
    Deployment {
        chain_id: 31_337,
        deployment_block: 0,
        registry: Address::repeat_byte(1),
        engine: Address::repeat_byte(2),
        liquidator: Address::repeat_byte(3),
        insurance: Address::repeat_byte(4),
        venue: VENUE,
        usdc: Address::repeat_byte(5),
        permit2: Address::repeat_byte(6),
        perp: PerpContracts {
            clearing_house: CLEARING_HOUSE,
            account_balance: Address::ZERO,
            vault: Address::ZERO,
            exchange: Address::ZERO,
        },
        markets: Vec::new(),
    }
}

/// One strategy in one market, `followers` flat accounts.
fn fill(book: &mut Book, followers: u32) {
    book.head = Some(head());
    book.head_seen = Some(Instant::now());
    book.maintenance_bps.insert(VENUE, 625);
    book.prices.insert((VENUE, BASE.into_word()), Wad(2_000 * ONE));
    book.strategies.insert(
        1,
        Strategy {
            id: 1,
            name: "bench".into(),
            venue: VENUE,
            source: Some(MASTER),
            markets: vec![Market {
                venue_market: BASE.into_word(),
                symbol: "ETH-USD".into(),
                leverage: Some(Wad(0)),
                traded_at: 0,
                trades: 0,
                sequence: 0,
            }],
            terms: Terms {
                max_leverage_bps: 50_000,
                max_slippage_bps: 100,
                dead_band_bps: 100,
                min_trade: Usdc(5_000_000),
                max_open: Usdc(50_000_000_000_000),
            },
            vaults: vec![VAULT],
        },
    );
    let account = Account {
        follower: Address::repeat_byte(0x20),
        status: Status::Active,
        sizing: Sizing::ProRata(10_000),
        max_leverage_bps: 50_000,
        max_position: Usdc(1_000_000_000_000),
        max_turnover: Usdc(1_000_000_000_000),
        stop_loss_bps: 0,
        take_profit_bps: 0,
        allowed: 1,
        expiry: u64::MAX,
        margin: Usdc(1_000_000_000),
        net_deposits: Usdc(1_000_000_000),
        positions: BTreeMap::from([(0, Position::default())]),
    };
    book.vaults.insert(
        VAULT,
        Vault {
            strategy: 1,
            accounts: (1..=followers).map(|index| (index, account.clone())).collect(),
            open: vec![(Size(0), Size(0))],
            last_nav: head().timestamp,
            ..Vault::default()
        },
    );
}

/// The text of a `PositionChanged` log as a node sends it.
fn trade_text(index: u64) -> anyhow::Result<String> {
    let event = PositionChanged {
        trader: MASTER,
        baseToken: BASE,
        exchangedPositionSize: I256::unchecked_from(ONE),
        exchangedPositionNotional: I256::unchecked_from(-2_000 * ONE),
        fee: U256::from(2 * ONE.unsigned_abs()),
        openNotional: I256::unchecked_from(-2_000 * ONE),
        realizedPnl: I256::ZERO,
        sqrtPriceAfterX96: U256::from(1u128 << 96),
    };
    let log = Log {
        inner: alloy::primitives::Log::<LogData> {
            address: CLEARING_HOUSE,
            data: event.encode_log_data(),
        },
        block_hash: Some(B256::repeat_byte(2)),
        block_number: Some(101),
        block_timestamp: Some(1_700_000_002),
        transaction_hash: Some(B256::repeat_byte(3)),
        transaction_index: Some(0),
        log_index: Some(index),
        removed: false,
    };
    Ok(serde_json::to_string(&log)?)
}

/// Measures `iterations` trades followed by `followers` accounts, with a journal in `directory`.
///
/// # Errors
/// When the journal cannot be written, or a trade leads to no batch.
pub async fn keeper_latency(directory: &Path, followers: u32, iterations: u32) -> anyhow::Result<Latency> {
    let journal = Journal::open(&directory.join(format!("bench-{followers}.db")), false).await?;
    let key = Key::new(&SecretString::from(KEY))?;
    let (mut durations, mut rpc_durations, mut round_trips) = (Vec::new(), Vec::new(), 0);
    // The first tenth warms up.
    let warm_up = iterations / 10;
    for index in 0..iterations + warm_up {
        let instantly = Arc::new(Instantly::default());
        let rpc: Arc<dyn Rpc> = instantly.clone();
        let gas = GasModel::default();
        let submitter = Submitter::resume(
            Arc::clone(&rpc),
            journal.clone(),
            key.clone(),
            31_337,
            Policy::default(),
            gas.clone(),
        )
        .await?;
        let source = PerpV2::new(CLEARING_HOUSE);
        let mut engine = Engine::new(Parts {
            tracker: Tracker::new(Arc::clone(&rpc), journal.clone(), Patience::default(), Vec::new()),
            rpc,
            journal: journal.clone(),
            submitter,
            source: Arc::new(source),
            deployment: deployment(),
            pace: Pace::default(),
            limits: Limits::default(),
            gas,
            health: watch::channel(Health::default()).0,
            masters: watch::channel(BTreeSet::new()).0,
        });
        fill(engine.book_mut(), followers);
        let text = trade_text(u64::from(index))?;

        *instantly.asked.lock().unwrap_or_else(PoisonError::into_inner) = (0, Duration::ZERO);
        let received = Instant::now();
        let log: Log = serde_json::from_str(&text)?;
        let change = source
            .decode(&log, received)
            .context("the trade was not understood")?;
        engine.on_change(change).await?;
        let handed_over = *instantly
            .handed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let handed_over = handed_over.context("the trade led to no batch")?;
        if index >= warm_up {
            let (trips, spent) = *instantly.asked.lock().unwrap_or_else(PoisonError::into_inner);
            durations.push(
                handed_over
                    .saturating_duration_since(received)
                    .saturating_sub(spent),
            );
            rpc_durations.push(spent);
            round_trips = round_trips.max(trips);
        }
    }
    journal.close().await;
    durations.sort_unstable();
    rpc_durations.sort_unstable();
    Ok(Latency {
        followers,
        sorted: durations,
        rpc: rpc_durations,
        round_trips,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trade_leads_to_one_batch_with_everyone() {
        let directory = tempfile::tempdir().unwrap();
        let latency = keeper_latency(directory.path(), 5, 10).await.unwrap();
        assert_eq!((latency.sorted.len(), latency.rpc.len()), (10, 10));
        // Prices and leverage, the block's time, the simulation, the hand-over, at the most.
        assert!((2..=4).contains(&latency.round_trips), "{}", latency.round_trips);
        let journal = Journal::open(&directory.path().join("bench-5.db"), false)
            .await
            .unwrap();
        let lines = journal.tail(1).await.unwrap();
        assert!(
            lines[0].text.contains("5 accounts") || lines[0].text.contains("signal"),
            "{lines:?}"
        );
        let next = journal.next_nonce().await.unwrap();
        assert_eq!(next, Some(11));
    }
}
