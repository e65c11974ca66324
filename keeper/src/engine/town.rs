//! A chain with as many strategies as wanted, that counts what it is asked and leaves open what a test tells it to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::eips::eip2718::Decodable2718 as _;
use alloy::primitives::{Address, B256, Bytes, I256, LogData, U256, keccak256};
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::{SolCall, SolError as _, SolEvent as _, SolStruct as _};
use async_trait::async_trait;
use lockstep_contracts::bindings::{ILiquidator, IMasterRegistry, IMirrorEngine, IStrategyVault, IVenue};
use lockstep_contracts::deployment::{Deployment, PerpContracts};
use lockstep_contracts::relay::{Mandate, SignedMandate};
use secrecy::SecretString;
use tokio::sync::watch;

use super::failing::Step;
use super::{Engine, Health, Parts};
use crate::chain::{Answer, Call, Head, Receipt, Revert, Rpc, RpcError, SendOutcome};
use crate::config::Pace;
use crate::confirm::{Patience, Tracker};
use crate::guard::Limits;
use crate::journal::Journal;
use crate::plan::GasModel;
use crate::source::perp_v2::PerpV2;
use crate::state::StrategyId;
use crate::submit::Submitter;
use crate::submit::fees::Policy;
use crate::submit::key::Key;

const ONE: u128 = 1_000_000_000_000_000_000;
const REGISTRY: Address = Address::repeat_byte(1);
pub(super) const ENGINE: Address = Address::repeat_byte(2);
const LIQUIDATOR: Address = Address::repeat_byte(3);
const VENUE: Address = Address::repeat_byte(4);
/// Calls in one request, as the pool sends them.
const BATCH: usize = 200;

fn numbered(group: u64, id: u64) -> Address {
    Address::from_word(U256::from(group << 32 | id).into())
}

pub(super) fn vault_of(id: StrategyId) -> Address {
    numbered(1, id)
}

fn master_of(id: StrategyId) -> Address {
    numbered(2, id)
}

pub(super) fn deployment() -> Deployment {
    let zero = Address::ZERO;
    Deployment {
        chain_id: 1,
        deployment_block: 0,
        registry: REGISTRY,
        engine: ENGINE,
        liquidator: LIQUIDATOR,
        insurance: zero,
        venue: VENUE,
        usdc: zero,
        permit2: zero,
        perp: PerpContracts {
            clearing_house: zero,
            account_balance: zero,
            vault: zero,
            exchange: zero,
        },
        markets: Vec::new(),
    }
}

/// One account: the master is at one times leverage, so one that is flat grows, and one of twice the size shrinks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holder {
    /// Whole ETH, at 2000 USDC each; the equity is 2000 USDC.
    pub(super) size: i64,
    /// The level at which the account says it wants out.
    pub(super) stop_loss_bps: u16,
    /// Whether the liquidator would stop it out.
    pub(super) due: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) strategies: u64,
    pub(super) holders: BTreeMap<StrategyId, Vec<Holder>>,
    pub(super) block: u64,
    /// By block.
    logs: Vec<(u64, Log)>,
    /// What is left open, about which strategy.
    pub(super) mute: BTreeSet<(Step, StrategyId)>,
    /// Transactions handed over and not mined.
    pool: BTreeMap<u64, TxEnvelope>,
    pub(super) mined: Vec<(u64, TxEnvelope)>,
    /// Every transaction handed over, once, oldest first.
    pub(super) sent: Vec<(B256, Address, Bytes)>,
    /// Whether blocks take transactions in.
    pub(super) mines: bool,
    /// Nonces used: a mandate with one of these is refused.
    pub(super) used: BTreeSet<(Address, U256)>,
    /// Stops are left open for accounts up to this one.
    pub(super) silent_stops: u32,
    /// Estimates for `follow` are left open.
    pub(super) silent_follows: bool,
    pub(super) asked: Asked,
}

/// What was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Requests, a batch of calls being one for every [`BATCH`].
    pub(super) requests: usize,
    /// Calls in them.
    pub(super) calls: usize,
    /// Addresses and topics in filters for logs.
    pub(super) filters: usize,
}

#[derive(Debug, Default)]
pub(super) struct Town {
    state: Mutex<State>,
    now: AtomicUsize,
    /// Most batches of calls under way at once.
    pub(super) most: AtomicUsize,
}

impl Town {
    /// Strategies from 1 on, the first of them with these accounts.
    pub(super) fn new(strategies: u64, holders: &[&[Holder]]) -> Arc<Self> {
        let holders = (1..).zip(holders.iter().map(|list| list.to_vec())).collect();
        let state = State {
            strategies,
            holders,
            mines: true,
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            ..Self::default()
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What was asked since the last time.
    pub(super) fn asked(&self) -> Asked {
        std::mem::take(&mut self.state().asked)
    }

    /// Vaults that batches were sent for, in order.
    pub(super) fn mirrored(&self) -> Vec<Address> {
        let state = self.state();
        let calls = state.sent.iter();
        calls
            .filter_map(|(.., data)| IMirrorEngine::mirrorVenueCall::abi_decode(data).ok())
            .map(|call| call.vault)
            .collect()
    }
}

impl State {
    /// A new block, with everything that waits.
    pub(super) fn mine(&mut self) {
        self.block += 1;
        if self.mines {
            while let Some(next) = self.pool.remove(&(self.mined.len() as u64)) {
                self.carry_out(next.input());
                self.mined.push((self.block, next));
            }
        }
    }

    /// A batch brings everyone it names to the master's size.
    fn carry_out(&mut self, input: &[u8]) {
        if let Ok(call) = IMirrorEngine::mirrorVenueCall::abi_decode(input) {
            for account in named(&call) {
                let index = usize::try_from(account).unwrap() - 1;
                self.holders.get_mut(&Self::id_of(call.vault)).unwrap()[index].size = 1;
            }
        }
    }

    /// Somebody follows in the next block; `told` says whether its log can be read.
    pub(super) fn follow(&mut self, mandate: &Mandate, id: StrategyId, told: bool) {
        let holders = self.holders.entry(id).or_default();
        holders.push(Holder::default());
        let account = u32::try_from(holders.len()).unwrap();
        self.used.insert((mandate.follower, mandate.nonce));
        self.mine();
        if told {
            let hash = IMirrorEngine::Mandate::from(mandate).eip712_hash_struct();
            self.followed(mandate, account, hash);
        }
    }

    /// The log of a mandate in the newest block.
    pub(super) fn followed(&mut self, mandate: &Mandate, account: u32, hash: B256) {
        let data: LogData = IMirrorEngine::Followed {
            follower: mandate.follower,
            strategy: mandate.strategy,
            account,
            mandateHash: hash,
            nonce: mandate.nonce,
        }
        .encode_log_data();
        let log = Log {
            inner: alloy::primitives::Log {
                address: ENGINE,
                data,
            },
            block_number: Some(self.block),
            transaction_hash: Some(foreign_transaction()),
            ..Log::default()
        };
        self.logs.push((self.block, log));
    }

    fn head(&self, number: u64) -> Head {
        let hash = |number: u64| keccak256(number.to_be_bytes());
        Head {
            number,
            hash: hash(number),
            parent: hash(number.saturating_sub(1)),
            timestamp: 1_000 + number,
            base_fee: 1,
        }
    }

    fn is_mute(&self, step: Step, id: StrategyId) -> bool {
        self.mute.contains(&(step, id))
    }

    /// The strategy whose vault or master this is.
    fn id_of(address: Address) -> StrategyId {
        let number: U256 = address.into_word().into();
        (number & U256::from(u32::MAX)).to()
    }

    fn answer(&self, call: &Call) -> Result<Answer<Bytes>, RpcError> {
        match call.to {
            REGISTRY => self.registry(&call.data),
            VENUE => self.venue(&call.data),
            LIQUIDATOR => self.liquidator(&call.data),
            ENGINE => Ok(Ok(vec![0; 128].into())),
            vault => self.vault(Self::id_of(vault), &call.data),
        }
    }

    fn registry(&self, data: &[u8]) -> Result<Answer<Bytes>, RpcError> {
        use IMasterRegistry::{listingCall, strategyCall, strategyCountCall, termsOfCall};
        if let Ok(call) = strategyCall::abi_decode(data) {
            let id = call.strategyId.to();
            if self.is_mute(Step::Record, id) {
                return Err(left_open());
            }
            return given::<strategyCall>(&IMasterRegistry::Strategy {
                master: master_of(id),
                venue: VENUE,
                name: format!("strategy {id}"),
                source: master_of(id),
                vaults: vec![vault_of(id)],
                markets: vec![0],
            });
        }
        if termsOfCall::abi_decode(data).is_ok() {
            return given::<termsOfCall>(&IMasterRegistry::Terms {
                copyFeeBps: 0,
                performanceFeeBps: 0,
                maxLeverageBps: 100_000,
                maxSlippageBps: 100,
                deadBandBps: 100,
                minTradeNotional: 10_000_000,
                maxOpenNotional: 1_000_000_000_000_000,
                disclosureDelay: 0,
            });
        }
        if listingCall::abi_decode(data).is_ok() {
            return given::<listingCall>(&IMasterRegistry::Market {
                venueMarket: B256::repeat_byte(9),
                symbol: "ETH-USD".into(),
            });
        }
        given::<strategyCountCall>(&U256::from(self.strategies))
    }

    fn venue(&self, data: &[u8]) -> Result<Answer<Bytes>, RpcError> {
        use IVenue::{indexPriceCall, leverageOfCall, marginRequirementsBpsCall};
        if let Ok(call) = leverageOfCall::abi_decode(data) {
            if self.is_mute(Step::Markets, Self::id_of(call.account)) {
                return Err(left_open());
            }
            let leverage = I256::try_from(ONE).unwrap();
            return given::<leverageOfCall>(&(leverage, leverage).into());
        }
        if indexPriceCall::abi_decode(data).is_ok() {
            return given::<indexPriceCall>(&(U256::from(2_000 * ONE), U256::ZERO).into());
        }
        given::<marginRequirementsBpsCall>(&(U256::from(1_000), U256::from(625)).into())
    }

    fn liquidator(&self, data: &[u8]) -> Result<Answer<Bytes>, RpcError> {
        if ILiquidator::breakerUntilOfCall::abi_decode(data).is_ok() {
            return given::<ILiquidator::breakerUntilOfCall>(&0);
        }
        let stop = ILiquidator::stopOutCall::abi_decode(data);
        if stop.as_ref().is_ok_and(|call| call.account <= self.silent_stops) {
            return Err(left_open());
        }
        let due = stop.is_ok_and(|call| self.holder(Self::id_of(call.vault), call.account).due);
        Ok(if due {
            Ok(Bytes::new())
        } else {
            Err(revert(Bytes::new()))
        })
    }

    fn holder(&self, id: StrategyId, account: u32) -> Holder {
        let index = usize::try_from(account).unwrap() - 1;
        self.holders[&id][index]
    }

    fn vault(&self, id: StrategyId, data: &[u8]) -> Result<Answer<Bytes>, RpcError> {
        use IStrategyVault::{
            accountCountCall, accountViewCall, marketCountCall, marketViewCall, navCountCall,
            positionViewCall,
        };
        if self.is_mute(Step::Accounts, id) {
            return Err(left_open());
        }
        let count = self.holders.get(&id).map_or(0, Vec::len);
        if marketCountCall::abi_decode(data).is_ok() {
            return given::<marketCountCall>(&1);
        }
        if marketViewCall::abi_decode(data).is_ok() {
            return given::<marketViewCall>(&IStrategyVault::MarketView {
                venueMarket: B256::repeat_byte(9),
                symbol: "ETH-USD".into(),
                longSize: U256::ZERO,
                shortSize: U256::ZERO,
                fundingIndex: I256::ZERO,
                generation: 0,
            });
        }
        if accountCountCall::abi_decode(data).is_ok() {
            return given::<accountCountCall>(&u32::try_from(count).unwrap());
        }
        if navCountCall::abi_decode(data).is_ok() {
            return given::<navCountCall>(&U256::ZERO);
        }
        if let Ok(call) = positionViewCall::abi_decode(data) {
            let size = self.holder(id, call.account).size;
            return given::<positionViewCall>(&IStrategyVault::PositionView {
                size: I256::try_from(i128::from(size) * i128::try_from(ONE).unwrap()).unwrap(),
                quote: I256::try_from(-i128::from(size) * 2_000_000_000).unwrap(),
                pendingFunding: I256::ZERO,
                dayTurnover: U256::ZERO,
            });
        }
        let call = accountViewCall::abi_decode(data).unwrap();
        if usize::try_from(call.account).unwrap() > count {
            return Ok(Err(revert(Bytes::new())));
        }
        let holder = self.holder(id, call.account);
        given::<accountViewCall>(&IStrategyVault::AccountView {
            follower: numbered(3, u64::from(call.account)),
            status: 1,
            mode: 0,
            ratioBps: 10_000,
            fixedNotional: 0,
            maxLeverageBps: 100_000,
            maxSlippageBps: 100,
            maxPositionNotional: 1_000_000_000_000,
            maxDailyTurnover: 1_000_000_000_000,
            stopLossBps: holder.stop_loss_bps,
            takeProfitBps: 0,
            allowedMarkets: 1,
            touchedMarkets: 1,
            expiry: u64::MAX,
            margin: U256::from(2_000_000_000u64),
            highWaterMark: U256::ZERO,
            // A tenth is lost.
            netDeposits: U256::from(2_222_222_222u64),
        })
    }

    fn estimated(&self, data: &[u8]) -> Result<Answer<u64>, RpcError> {
        if let Ok(call) = IMirrorEngine::mirrorVenueCall::abi_decode(data)
            && self.is_mute(Step::Batch, Self::id_of(call.vault))
        {
            return Err(left_open());
        }
        if let Ok(call) = IMirrorEngine::followCall::abi_decode(data) {
            let mandate = call.signed.mandate;
            if self.silent_follows {
                return Err(left_open());
            }
            if self.used.contains(&(mandate.follower, mandate.nonce)) {
                return Ok(Err(revert(spent(
                    mandate.follower,
                    mandate.strategy,
                    mandate.nonce,
                ))));
            }
        }
        Ok(Ok(300_000))
    }
}

/// A transaction that this keeper has not sent.
pub(super) fn foreign_transaction() -> B256 {
    B256::repeat_byte(0xee)
}

fn spent(follower: Address, strategy: Address, nonce: U256) -> Bytes {
    let error = IMirrorEngine::NonceSpent {
        follower,
        strategy,
        nonce,
    };
    error.abi_encode().into()
}

fn left_open() -> RpcError {
    RpcError::Unreadable { what: "left open" }
}

fn revert(data: Bytes) -> Revert {
    Revert {
        data,
        message: "reverted".into(),
    }
}

fn given<C: SolCall>(value: &C::Return) -> Result<Answer<Bytes>, RpcError> {
    Ok(Ok(C::abi_encode_returns(value).into()))
}

#[async_trait]
impl Rpc for Town {
    async fn head(&self) -> Result<Head, RpcError> {
        let mut state = self.state();
        state.asked.requests += 1;
        Ok(state.head(state.block))
    }
    async fn block(&self, number: u64) -> Result<Option<Head>, RpcError> {
        let mut state = self.state();
        state.asked.requests += 1;
        Ok((number <= state.block).then(|| state.head(number)))
    }
    async fn calls(&self, calls: &[Call]) -> Result<Vec<Answer<Bytes>>, RpcError> {
        self.each(calls).await.into_iter().collect()
    }
    async fn each(&self, calls: &[Call]) -> Vec<Result<Answer<Bytes>, RpcError>> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // Lets others begin before this one ends.
        tokio::task::yield_now().await;
        let answers = {
            let mut state = self.state();
            state.asked.requests += calls.len().div_ceil(BATCH);
            state.asked.calls += calls.len();
            calls.iter().map(|call| state.answer(call)).collect()
        };
        self.now.fetch_sub(1, Ordering::SeqCst);
        answers
    }
    async fn estimate(&self, call: &Call) -> Result<Answer<u64>, RpcError> {
        let mut state = self.state();
        state.asked.requests += 1;
        state.estimated(&call.data)
    }
    async fn nonce(&self, _address: Address) -> Result<u64, RpcError> {
        let mut state = self.state();
        state.asked.requests += 1;
        Ok(state.mined.len() as u64)
    }
    async fn priority_fee(&self) -> Result<u128, RpcError> {
        self.state().asked.requests += 1;
        Ok(1)
    }
    async fn send(&self, raw: &[u8]) -> SendOutcome {
        let mut state = self.state();
        let transaction = TxEnvelope::decode_2718(&mut &raw[..]).unwrap();
        let (hash, nonce) = (*transaction.tx_hash(), transaction.nonce());
        if state.pool.contains_key(&nonce) || state.sent.iter().any(|(known, ..)| *known == hash) {
            return SendOutcome::AlreadyKnown;
        }
        let (to, data) = (transaction.to().unwrap(), transaction.input().clone());
        state.sent.push((hash, to, data));
        state.pool.insert(nonce, transaction);
        SendOutcome::Accepted
    }
    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, RpcError> {
        let state = self.state();
        let mined = state.mined.iter().find(|(_, tx)| *tx.tx_hash() == hash);
        Ok(mined.map(|(block, transaction)| Receipt {
            transaction: hash,
            block: *block,
            block_hash: state.head(*block).hash,
            success: true,
            gas_used: 1,
            logs: effects(transaction.input()),
        }))
    }
    async fn knows(&self, _hash: B256) -> Result<bool, RpcError> {
        Ok(true)
    }
    async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, RpcError> {
        let mut state = self.state();
        state.asked.requests += 1;
        let topics = filter.topics.iter().map(|topic| topic.iter().count());
        state.asked.filters += filter.address.iter().count() + topics.sum::<usize>();
        let range = filter.get_from_block().unwrap()..=filter.get_to_block().unwrap();
        let matches = |log: &Log| {
            let topics = filter.topics.iter().zip(log.topics());
            filter.address.matches(&log.address())
                && topics.into_iter().all(|(set, topic)| set.matches(topic))
        };
        let logs = state.logs.iter();
        Ok(logs
            .filter(|(block, log)| range.contains(block) && matches(log))
            .map(|(_, log)| log.clone())
            .collect())
    }
    async fn code(&self, _address: Address) -> Result<Bytes, RpcError> {
        Ok(Bytes::new())
    }
    async fn chain_id(&self) -> Result<u64, RpcError> {
        Ok(1)
    }
}

/// The accounts that a batch names.
fn named(call: &IMirrorEngine::mirrorVenueCall) -> Vec<u32> {
    let (words, _) = call.accounts.as_chunks::<4>();
    words.iter().map(|word| u32::from_be_bytes(*word)).collect()
}

/// The logs of a transaction. A batch moves everyone; of mandates every one was carried by somebody else before.
fn effects(input: &[u8]) -> Vec<Log> {
    let logged = |address, data| Log {
        inner: alloy::primitives::Log { address, data },
        ..Log::default()
    };
    if let Ok(call) = IMirrorEngine::mirrorVenueCall::abi_decode(input) {
        let fill = |account: u32| [&account.to_be_bytes()[..], &[0; 28]].concat();
        let fills: Vec<u8> = named(&call).into_iter().flat_map(fill).collect();
        let event = IStrategyVault::BatchMirrored {
            batchId: 1,
            market: 0,
            sequence: 1,
            leverage: I256::ONE,
            observedAt: 0,
            indexPrice: U256::ZERO,
            fillPrice: U256::ZERO,
            netSize: I256::ZERO,
            crossedSize: U256::ZERO,
            venueFee: U256::ZERO,
            copyFee: U256::ZERO,
            fundingIndex: I256::ZERO,
            fills: fills.into(),
        };
        return vec![logged(call.vault, event.encode_log_data())];
    }
    let Ok(call) = IMirrorEngine::followManyCall::abi_decode(input) else {
        return Vec::new();
    };
    let refused = |(item, signed): (usize, &IMirrorEngine::SignedMandate)| {
        let mandate = &signed.mandate;
        let event = IMirrorEngine::RelayFailed {
            item: U256::from(item),
            follower: mandate.follower,
            reason: spent(mandate.follower, mandate.strategy, mandate.nonce),
        };
        logged(ENGINE, event.encode_log_data())
    };
    call.signed.iter().enumerate().map(refused).collect()
}

/// A mandate for a strategy's vault.
pub(super) fn mandate(id: StrategyId, follower: u64) -> SignedMandate {
    SignedMandate {
        mandate: Mandate {
            follower: numbered(3, follower),
            strategy: vault_of(id),
            mode: 0,
            ratio_bps: 10_000,
            fixed_notional: 0,
            hedge_bps: 0,
            max_leverage_bps: 10_000,
            max_slippage_bps: 100,
            max_position_notional: 1,
            max_daily_turnover: 1,
            stop_loss_bps: 0,
            take_profit_bps: 0,
            allowed_markets: vec!["ETH-USD".into()],
            deposit: 1,
            expiry: u64::MAX,
            nonce: U256::from(7),
        },
        permit_nonce: U256::ZERO,
        permit_deadline: U256::MAX,
        signature: Bytes::from(vec![1]),
        token_permit: None,
    }
}

/// A keeper that looks at everything at every look.
pub(super) async fn keeper(
    town: &Arc<Town>,
    directory: &Path,
    pace: Pace,
) -> (Engine, watch::Receiver<Health>) {
    let journal = Journal::open(&directory.join("journal.db"), false).await.unwrap();
    let rpc: Arc<dyn Rpc> = town.clone();
    let key = Key::new(&SecretString::from(format!("{:064x}", 7))).unwrap();
    let gas = GasModel::default();
    let submitter = Submitter::resume(
        rpc.clone(),
        journal.clone(),
        key,
        1,
        Policy::default(),
        gas.clone(),
    );
    let patience = Patience {
        confirmations: 2,
        ..Patience::default()
    };
    let (health, seen) = watch::channel(Health::default());
    let engine = Engine::new(Parts {
        submitter: submitter.await.unwrap(),
        tracker: Tracker::new(rpc.clone(), journal.clone(), patience, Vec::new()),
        rpc,
        journal,
        source: Arc::new(PerpV2::new(Address::ZERO)),
        deployment: deployment(),
        pace: Pace {
            look_seconds: 0,
            ..pace
        },
        limits: Limits::default(),
        gas,
        health,
        masters: watch::channel(BTreeSet::new()).0,
    });
    (engine, seen)
}

/// How many of each kind of call to the liquidator were sent, by account.
pub(super) fn stopped(state: &State) -> HashMap<u32, usize> {
    let mut stopped = HashMap::new();
    for (_, to, data) in &state.sent {
        if let (LIQUIDATOR, Ok(call)) = (*to, ILiquidator::stopOutCall::abi_decode(data)) {
            *stopped.entry(call.account).or_default() += 1;
        }
    }
    stopped
}
