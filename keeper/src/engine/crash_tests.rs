//! The keeper is killed at every write and started again, on a chain that also forgets and reorganises.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use alloy::consensus::transaction::SignerRecoverable as _;
use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::eips::eip2718::Decodable2718 as _;
use alloy::primitives::{Address, B256, Bytes, LogData, U256, keccak256};
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::{SolCall as _, SolError as _, SolEvent as _};
use async_trait::async_trait;
use lockstep_contracts::bindings::IMirrorEngine;
use lockstep_contracts::deployment::{Deployment, PerpContracts};
use lockstep_contracts::relay::{Intent, Mandate, RelayState, SignedIntent, SignedMandate};
use secrecy::SecretString;
use tokio::sync::watch;

use super::{Engine, EngineError, Health, Parts};
use crate::chain::{Answer, Call, Head, Receipt, Rpc, RpcError, SendOutcome};
use crate::config::Pace;
use crate::confirm::{Patience, Tracker};
use crate::guard::Limits;
use crate::journal::{Journal, JournalError, NewJob};
use crate::plan::GasModel;
use crate::relay::Relay;
use crate::source::perp_v2::PerpV2;
use crate::submit::Submitter;
use crate::submit::fees::Policy;
use crate::submit::key::Key;

/// How the endpoint treats what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Honest,
    /// Takes every transaction and never answers.
    Silent,
    /// Drops the first three.
    Forgetful,
    /// Takes the newest block back once, transactions and all.
    Reorganising,
    /// Finds that the keeper cannot pay.
    Poor,
    /// Takes transactions and mines none.
    Congested,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    /// Salt of each block's hash; a reorganised block gets another.
    blocks: Vec<u64>,
    /// Of blocks to come: a chain that went back does not make the same blocks again.
    salt: u64,
    pool: BTreeMap<u64, TxEnvelope>,
    mined: Vec<(u64, TxEnvelope)>,
    used: HashSet<(Address, U256)>,
    sends: u32,
    reorganised: bool,
    /// Nonces that transactions of nobody here have used, before all others.
    foreign: u64,
    /// How many more times the nonce is said to be 0.
    low_answers: u32,
    /// After so many more, estimates fail.
    estimates_left: Option<u32>,
    /// Every hash ever offered, by nonce: more than one is a replacement.
    offered: BTreeMap<u64, HashSet<B256>>,
}

struct FakeChain(Mutex<State>);

impl FakeChain {
    fn new(mood: Mood) -> Self {
        Self(Mutex::new(State {
            mood,
            blocks: vec![0],
            salt: 0,
            pool: BTreeMap::new(),
            mined: Vec::new(),
            used: HashSet::new(),
            sends: 0,
            reorganised: false,
            foreign: 0,
            low_answers: 0,
            estimates_left: None,
            offered: BTreeMap::new(),
        }))
    }
}

impl State {
    fn head_at(&self, number: u64) -> Option<Head> {
        let index = usize::try_from(number).unwrap();
        let salt = self.blocks.get(index)?;
        let hash = |number: u64, salt: u64| keccak256([number.to_be_bytes(), salt.to_be_bytes()].concat());
        let parent = index
            .checked_sub(1)
            .map_or(B256::ZERO, |p| hash(number - 1, self.blocks[p]));
        Some(Head {
            number,
            hash: hash(number, *salt),
            parent,
            timestamp: 1_000 + number,
            base_fee: 1,
        })
    }

    fn mine(&mut self) {
        let number = self.blocks.len() as u64;
        self.blocks.push(self.salt);
        if self.mood == Mood::Congested {
            return;
        }
        while let Some(next) = self.pool.remove(&(self.foreign + self.mined.len() as u64)) {
            self.mined.push((number, next));
        }
    }

    fn reorganise(&mut self) {
        let newest = self.blocks.len() as u64 - 1;
        *self.blocks.last_mut().unwrap() += 1;
        self.mined.retain(|(block, _)| *block != newest);
    }

    /// Logs of all mined transactions: which mandates were accepted, by the contract's own rule.
    fn logs(&mut self, hash: B256) -> Vec<Log> {
        self.used.clear();
        let mut wanted = Vec::new();
        for (_, transaction) in self.mined.clone() {
            // What only uses up a nonce has no calldata.
            let Ok(call) = IMirrorEngine::followManyCall::abi_decode(transaction.input()) else {
                continue;
            };
            for (item, signed) in call.signed.iter().enumerate() {
                let mandate = &signed.mandate;
                let data: LogData = if self.used.insert((mandate.follower, mandate.nonce)) {
                    IMirrorEngine::Followed {
                        follower: mandate.follower,
                        strategy: mandate.strategy,
                        account: 1,
                        mandateHash: B256::ZERO,
                        nonce: mandate.nonce,
                    }
                    .encode_log_data()
                } else {
                    let reason = IMirrorEngine::NonceSpent {
                        follower: mandate.follower,
                        strategy: mandate.strategy,
                        nonce: mandate.nonce,
                    };
                    IMirrorEngine::RelayFailed {
                        item: U256::from(item),
                        follower: mandate.follower,
                        reason: reason.abi_encode().into(),
                    }
                    .encode_log_data()
                };
                if *transaction.tx_hash() == hash {
                    let inner = alloy::primitives::Log {
                        address: Address::repeat_byte(2),
                        data,
                    };
                    wanted.push(Log {
                        inner,
                        ..Log::default()
                    });
                }
            }
        }
        wanted
    }
}

#[async_trait]
impl Rpc for FakeChain {
    async fn head(&self) -> Result<Head, RpcError> {
        let mut state = self.0.lock().unwrap();
        if state.mood == Mood::Reorganising && !state.reorganised && !state.mined.is_empty() {
            let newest = state.blocks.len() as u64 - 1;
            if state
                .mined
                .iter()
                .any(|(block, _)| *block + 1 == newest || *block == newest)
            {
                state.reorganised = true;
                if state.mined.iter().any(|(block, _)| *block != newest) {
                    // One block on top already: take that and the one below.
                    state.blocks.pop();
                }
                state.reorganise();
            }
        }
        state.mine();
        let newest = state.blocks.len() as u64 - 1;
        Ok(state.head_at(newest).unwrap())
    }
    async fn block(&self, number: u64) -> Result<Option<Head>, RpcError> {
        Ok(self.0.lock().unwrap().head_at(number))
    }
    async fn calls(&self, calls: &[Call]) -> Result<Vec<Answer<Bytes>>, RpcError> {
        Ok(calls.iter().map(|_| Ok(Bytes::from(vec![0; 32]))).collect())
    }
    async fn estimate(&self, _call: &Call) -> Result<Answer<u64>, RpcError> {
        let mut state = self.0.lock().unwrap();
        match state.estimates_left.as_mut() {
            Some(0) => Err(RpcError::Unreadable { what: "estimate" }),
            Some(left) => {
                *left -= 1;
                Ok(Ok(300_000))
            }
            None => Ok(Ok(300_000)),
        }
    }
    async fn nonce(&self, _address: Address) -> Result<u64, RpcError> {
        let mut state = self.0.lock().unwrap();
        if state.low_answers > 0 {
            state.low_answers -= 1;
            return Ok(0);
        }
        Ok(state.foreign + state.mined.len() as u64)
    }
    async fn priority_fee(&self) -> Result<u128, RpcError> {
        Ok(1)
    }
    async fn send(&self, raw: &[u8]) -> SendOutcome {
        let mut state = self.0.lock().unwrap();
        state.sends += 1;
        let transaction = TxEnvelope::decode_2718(&mut &raw[..]).unwrap();
        assert!(transaction.recover_signer().is_ok());
        let (nonce, hash) = (transaction.nonce(), *transaction.tx_hash());
        state.offered.entry(nonce).or_default().insert(hash);
        if nonce < state.foreign + state.mined.len() as u64 {
            return SendOutcome::NonceUsed;
        }
        if state.mood == Mood::Poor {
            return SendOutcome::InsufficientFunds;
        }
        if state.mood == Mood::Forgetful && state.sends <= 3 {
            return SendOutcome::Accepted;
        }
        state.pool.insert(nonce, transaction);
        if state.mood == Mood::Silent {
            SendOutcome::Unknown("silence".into())
        } else {
            SendOutcome::Accepted
        }
    }
    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, RpcError> {
        let mut state = self.0.lock().unwrap();
        let Some(block) = state
            .mined
            .iter()
            .find(|(_, tx)| *tx.tx_hash() == hash)
            .map(|(block, _)| *block)
        else {
            return Ok(None);
        };
        let block_hash = state.head_at(block).unwrap().hash;
        let logs = state.logs(hash);
        Ok(Some(Receipt {
            transaction: hash,
            block,
            block_hash,
            success: true,
            gas_used: 1,
            logs,
        }))
    }
    async fn knows(&self, hash: B256) -> Result<bool, RpcError> {
        let state = self.0.lock().unwrap();
        let mut all = state.pool.values().chain(state.mined.iter().map(|(_, tx)| tx));
        Ok(all.any(|tx| *tx.tx_hash() == hash))
    }
    async fn logs(&self, _filter: &Filter) -> Result<Vec<Log>, RpcError> {
        Ok(Vec::new())
    }
    async fn code(&self, _address: Address) -> Result<Bytes, RpcError> {
        Ok(Bytes::new())
    }
    async fn chain_id(&self) -> Result<u64, RpcError> {
        Ok(1)
    }
}

fn deployment() -> Deployment {
    let zero = Address::ZERO;
    Deployment {
        chain_id: 1,
        deployment_block: 0,
        registry: Address::repeat_byte(1),
        engine: Address::repeat_byte(2),
        liquidator: Address::repeat_byte(3),
        insurance: zero,
        venue: zero,
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

fn mandate(index: u8) -> SignedMandate {
    SignedMandate {
        mandate: Mandate {
            follower: Address::repeat_byte(index),
            strategy: Address::repeat_byte(9),
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
            nonce: U256::from(index),
        },
        permit_nonce: U256::from(index),
        permit_deadline: U256::MAX,
        signature: Bytes::from(vec![1]),
        token_permit: None,
    }
}

/// What happens to a life.
#[derive(Debug, Clone, Copy)]
enum End {
    Peaceful,
    /// At the n-th boundary of a write.
    Crash(i64),
    /// The disk has room for so many more pages.
    Full(u32),
}

/// One life of the keeper: from start until everything is settled, or until it ends early.
async fn live(
    path: &Path,
    chain: &Arc<FakeChain>,
    end: End,
    ids: &[(B256, String)],
) -> Result<(), EngineError> {
    let rpc: Arc<dyn Rpc> = chain.clone();
    let journal = Journal::open(path, false).await?;
    match end {
        End::Peaceful => {}
        End::Crash(point) => journal.crash_at(point),
        End::Full(pages) => journal.leave_room(pages).await,
    }
    let life = async {
        for (id, body) in ids {
            // Who got no answer hands it in again.
            journal.accept(*id, "mandate", body).await?;
        }
        let key = Key::new(&SecretString::from(format!("{:064x}", 7))).unwrap();
        let gas = GasModel {
            mandates_per_batch: 2,
            ..GasModel::default()
        };
        let (rpc, journal) = (Arc::clone(&rpc), journal.clone());
        let submitter = Submitter::resume(
            rpc.clone(),
            journal.clone(),
            key,
            1,
            Policy::default(),
            gas.clone(),
        )
        .await?;
        let unfinished = journal.unfinished().await?;
        let patience = Patience {
            confirmations: 2,
            stall_seconds: 0,
            resend_seconds: 0,
            usurped_seconds: 0,
        };
        let tracker = Tracker::new(rpc.clone(), journal.clone(), patience, unfinished);
        let mut engine = Engine::new(Parts {
            rpc,
            journal: journal.clone(),
            submitter,
            tracker,
            source: Arc::new(PerpV2::new(Address::ZERO)),
            deployment: deployment(),
            pace: Pace::default(),
            limits: Limits::default(),
            gas,
            health: watch::channel(Health::default()).0,
            masters: watch::channel(BTreeSet::new()).0,
        });
        engine.tracker.resend(&mut engine.submitter).await?;
        for _ in 0..60 {
            engine.look().await?;
            if engine.tracker.is_idle() && engine.journal.queued().await?.is_empty() {
                return Ok(());
            }
        }
        panic!("never settled");
    };
    let result = life.await;
    // What a killed process leaves behind is what is on disk; closing the files adds nothing to it.
    journal.crash_at(i64::MAX);
    journal.close().await;
    result
}

fn items(signature: usize) -> Vec<(B256, String)> {
    (1..=3u8)
        .map(|index| {
            let signed = SignedMandate {
                signature: Bytes::from(vec![1; signature]),
                ..mandate(index)
            };
            (B256::repeat_byte(index), serde_json::to_string(&signed).unwrap())
        })
        .collect()
}

async fn survives(mood: Mood) {
    let items = items(1);
    let mut crashes = 0;
    for point in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        let chain = Arc::new(FakeChain::new(mood));
        let crashed = match live(&path, &chain, End::Crash(point), &items).await {
            Ok(()) => false,
            Err(EngineError::Journal(JournalError::Crashed)) => true,
            Err(other) => panic!("{mood:?} at {point}: {other}"),
        };
        if crashed {
            crashes += 1;
            live(&path, &chain, End::Peaceful, &items).await.unwrap();
        }
        let journal = Journal::open(&path, false).await.unwrap();
        for (id, _) in &items {
            let state = journal.status(*id).await.unwrap().unwrap().state;
            assert!(
                matches!(state, RelayState::Included { .. }),
                "{mood:?} at {point}: {state:?}"
            );
        }
        journal.close().await;
        let mut state = chain.0.lock().unwrap();
        let nonces: Vec<u64> = state.mined.iter().map(|(_, tx)| tx.nonce()).collect();
        assert_eq!(
            nonces,
            (0..nonces.len() as u64).collect::<Vec<_>>(),
            "{mood:?} at {point}"
        );
        let carried: usize = state
            .mined
            .iter()
            .map(|(_, tx)| {
                IMirrorEngine::followManyCall::abi_decode(tx.input())
                    .unwrap()
                    .signed
                    .len()
            })
            .sum();
        assert_eq!(
            carried,
            items.len(),
            "{mood:?} at {point}: an item was sent twice"
        );
        if mood == Mood::Honest {
            assert!(
                state.offered.values().all(|hashes| hashes.len() <= 2),
                "fees raised without need"
            );
        }
        assert_eq!(state.reorganised, mood == Mood::Reorganising, "at {point}");
        state.pool.clear();
        if !crashed {
            break;
        }
    }
    assert!(crashes > 10, "{mood:?}: only {crashes} crash points");
}

#[tokio::test]
async fn killed_at_every_write_each_item_is_carried_once() {
    survives(Mood::Honest).await;
}

#[tokio::test]
async fn and_when_the_endpoint_never_answers() {
    survives(Mood::Silent).await;
}

#[tokio::test]
async fn and_when_the_pool_forgets() {
    survives(Mood::Forgetful).await;
}

#[tokio::test]
async fn and_when_the_chain_reorganises() {
    survives(Mood::Reorganising).await;
}

/// Nothing is sent that is not written down, however little room there is, and with room again nothing is missing.
#[tokio::test]
async fn a_disk_that_is_full_at_any_page_lets_nothing_out_unwritten() {
    // A contract wallet's signature can be long; short ones would all fit the pages the tables begin with.
    let items = items(3_000);
    let (mut refused, mut silent) = (0, 0);
    for pages in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        let chain = Arc::new(FakeChain::new(Mood::Honest));
        let full = match live(&path, &chain, End::Full(pages), &items).await {
            Ok(()) => false,
            Err(EngineError::Journal(JournalError::DiskFull { path: named })) => {
                assert_eq!(named, path);
                true
            }
            Err(other) => panic!("with room for {pages} pages: {other}"),
        };
        let journal = Journal::open(&path, false).await.unwrap();
        let written = journal.attempts_written().await;
        {
            let state = chain.0.lock().unwrap();
            let offered: HashSet<B256> = state.offered.values().flatten().copied().collect();
            assert!(
                offered.is_subset(&written),
                "with room for {pages} pages: sent, but not written"
            );
            silent += usize::from(full && state.sends == 0);
        }
        journal.close().await;
        if !full {
            break;
        }
        refused += 1;
        live(&path, &chain, End::Peaceful, &items).await.unwrap();
        let state = chain.0.lock().unwrap();
        let carried: usize = state
            .mined
            .iter()
            .map(|(_, tx)| {
                let call = IMirrorEngine::followManyCall::abi_decode(tx.input());
                call.unwrap().signed.len()
            })
            .sum();
        assert_eq!(carried, items.len(), "with room for {pages} pages");
    }
    assert!(
        refused >= 3 && silent >= 1,
        "{refused} full disks, {silent} before the first send"
    );
}

/// How a chain loses what is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Other blocks in the place of all of them, and at least as many.
    Reorganised,
    /// Back to the first block, as after a restart from an older dump.
    Restored,
    /// Nothing is lost: the endpoint only says so for a while.
    Claimed,
}

impl State {
    fn lose(&mut self, loss: Loss) {
        match loss {
            Loss::Reorganised => self.blocks.iter_mut().skip(1).for_each(|salt| *salt += 1),
            Loss::Restored => self.blocks.truncate(1),
            Loss::Claimed => {
                self.low_answers = 10;
                return;
            }
        }
        self.salt += 1;
        self.mined.clear();
        self.pool.clear();
        self.foreign = 0;
    }
}

/// Jobs that were settled are sent again, the same bytes, once the chain has lost them; nothing waits behind a gap.
#[tokio::test]
async fn what_was_settled_is_sent_again_when_the_chain_goes_back_below_it() {
    for loss in [Loss::Reorganised, Loss::Restored, Loss::Claimed] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        let chain = Arc::new(FakeChain::new(Mood::Honest));
        let items = items(1);
        let (before, after) = items.split_at(2);
        live(&path, &chain, End::Peaceful, before).await.unwrap();
        let settled: Vec<B256> = {
            let mut state = chain.0.lock().unwrap();
            let settled = state.mined.iter().map(|(_, tx)| *tx.tx_hash()).collect();
            state.lose(loss);
            settled
        };
        live(&path, &chain, End::Peaceful, after).await.unwrap();
        let journal = Journal::open(&path, false).await.unwrap();
        for (id, _) in &items {
            let status = journal.status(*id).await.unwrap().unwrap().state;
            assert!(
                matches!(status, RelayState::Included { .. }),
                "{loss:?}: {status:?}"
            );
        }
        journal.close().await;
        let state = chain.0.lock().unwrap();
        let nonces: Vec<u64> = state.mined.iter().map(|(_, tx)| tx.nonce()).collect();
        assert_eq!(nonces, (0..=settled.len() as u64).collect::<Vec<_>>(), "{loss:?}");
        for hash in settled {
            assert!(
                state.offered.values().any(|offered| offered.contains(&hash)),
                "{loss:?}"
            );
        }
    }
}

/// Nonces that no job of this journal holds: below a job they are used up, above all jobs they start again.
#[tokio::test]
async fn a_free_nonce_without_a_job_stops_nobody() {
    for jobs_before in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        let chain = Arc::new(FakeChain::new(Mood::Honest));
        chain.0.lock().unwrap().foreign = 2;
        let items = items(1);
        let (before, after) = items.split_at(if jobs_before { 2 } else { 0 });
        live(&path, &chain, End::Peaceful, before).await.unwrap();
        let (rpc, journal) = (chain.clone(), Journal::open(&path, false).await.unwrap());
        let (mut submitter, mut tracker) = hands(&chain, &journal).await;
        chain.0.lock().unwrap().lose(Loss::Restored);
        let wanted = if jobs_before { 3 } else { 0 };
        for look in 0.. {
            assert!(look < 20, "jobs before: {jobs_before}: never made good");
            let head = rpc.head().await.unwrap();
            tracker.step(&head, &mut submitter).await.unwrap();
            assert!(
                look > 0 || submitter.next_nonce() > 0,
                "believed at the first look"
            );
            let mined = chain.0.lock().unwrap().mined.len() as u64;
            if mined == wanted && submitter.next_nonce() == wanted {
                break;
            }
        }
        journal.close().await;
        live(&path, &chain, End::Peaceful, after).await.unwrap();
        let journal = Journal::open(&path, false).await.unwrap();
        for (id, _) in &items {
            let status = journal.status(*id).await.unwrap().unwrap().state;
            assert!(matches!(status, RelayState::Included { .. }), "{status:?}");
        }
        journal.close().await;
    }
}

/// A submitter and a tracker without patience, on their own.
async fn hands(chain: &Arc<FakeChain>, journal: &Journal) -> (Submitter, Tracker) {
    let key = Key::new(&SecretString::from(format!("{:064x}", 7))).unwrap();
    let rpc: Arc<dyn Rpc> = chain.clone();
    let (policy, gas) = (Policy::default(), GasModel::default());
    let submitter = Submitter::resume(rpc.clone(), journal.clone(), key, 1, policy, gas);
    let patience = Patience {
        confirmations: 2,
        stall_seconds: 0,
        resend_seconds: 0,
        usurped_seconds: 0,
    };
    let tracker = Tracker::new(rpc, journal.clone(), patience, Vec::new());
    (submitter.await.unwrap(), tracker)
}

fn nothing() -> NewJob {
    NewJob {
        kind: "checkpoint",
        cause: String::new(),
        vault: None,
        market: None,
        target: Address::repeat_byte(2),
        calldata: Bytes::new(),
        gas: 21_000,
        relays: Vec::new(),
    }
}

/// What was sent before a question went unanswered is followed all the same.
#[tokio::test]
async fn a_later_item_without_an_answer_loses_no_earlier_one() {
    let directory = tempfile::tempdir().unwrap();
    let chain = Arc::new(FakeChain::new(Mood::Honest));
    let journal = Journal::open(&directory.path().join("journal.db"), false)
        .await
        .unwrap();
    for index in 1..=2u8 {
        let signed = SignedIntent {
            intent: Intent::Stop {
                follower: Address::repeat_byte(index),
                strategy: Address::repeat_byte(9),
                nonce: U256::ZERO,
                deadline: U256::MAX,
            },
            signature: Bytes::from(vec![1]),
        };
        let body = serde_json::to_string(&signed).unwrap();
        journal
            .accept(B256::repeat_byte(index), "intent", &body)
            .await
            .unwrap();
    }
    let (mut submitter, mut tracker) = hands(&chain, &journal).await;
    chain.0.lock().unwrap().estimates_left = Some(1);
    let mut relay = Relay::new(&deployment(), 2);
    let queued = journal.queued().await.unwrap();
    let sent = relay
        .send(chain.as_ref(), &journal, &mut submitter, &mut tracker, queued)
        .await;
    assert!(sent.is_err());
    assert_eq!(tracker.pending().count(), 1, "sent, and forgotten");
}

/// A fee is raised only when a node holds the bytes and blocks pass without them.
#[tokio::test]
async fn a_fee_is_raised_only_when_it_may_be_the_fee() {
    for (mood, blocks, raised) in [
        (Mood::Congested, true, true),
        (Mood::Congested, false, false),
        (Mood::Poor, true, false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let chain = Arc::new(FakeChain::new(mood));
        let journal = Journal::open(&directory.path().join("journal.db"), false)
            .await
            .unwrap();
        let (mut submitter, mut tracker) = hands(&chain, &journal).await;
        tracker.track(submitter.submit(nothing(), None, None).await.unwrap());
        let mut head = chain.head().await.unwrap();
        for _ in 0..6 {
            tracker.step(&head, &mut submitter).await.unwrap();
            if blocks {
                head = chain.head().await.unwrap();
            }
        }
        let (offered, sends) = {
            let state = chain.0.lock().unwrap();
            (
                state.offered.values().map(HashSet::len).sum::<usize>(),
                state.sends,
            )
        };
        assert_eq!(offered > 1, raised, "{mood:?}, blocks: {blocks}: {offered}");
        assert!(mood != Mood::Poor || sends > 1, "never handed over again");
    }
}
