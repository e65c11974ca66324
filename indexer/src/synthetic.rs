//! Made-up but coherent chains: logs as the contracts would emit them, from a seed. For the benchmark and the tests.

use alloy::primitives::{Address, B256, Bytes, FixedBytes, I256, LogData, U256, address};
use alloy::sol_types::SolEvent;
use lockstep_contracts::bindings::{IMasterRegistry, IMirrorEngine, IStrategyVault};
use lockstep_contracts::deployment::{Deployment, PerpContracts};

/// A log and who emits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Emitter.
    pub address: Address,
    /// Topics and data.
    pub log: LogData,
}

fn emitted<E: SolEvent>(address: Address, event: &E) -> Emitted {
    Emitted {
        address,
        log: event.encode_log_data(),
    }
}

/// A repeatable sequence of numbers (xorshift64*).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number below `limit`; 0 when the limit is.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        if limit == 0 { 0 } else { value % limit }
    }
}

/// The deployment these chains are of.
#[must_use]
pub fn deployment(chain_id: u64, deployment_block: u64) -> Deployment {
    Deployment {
        chain_id,
        deployment_block,
        registry: address!("0x00000000000000000000000000000000000a0001"),
        engine: address!("0x00000000000000000000000000000000000a0002"),
        liquidator: address!("0x00000000000000000000000000000000000a0003"),
        insurance: address!("0x00000000000000000000000000000000000a0004"),
        venue: VENUE,
        usdc: address!("0x00000000000000000000000000000000000a0006"),
        permit2: address!("0x00000000000000000000000000000000000a0007"),
        perp: PerpContracts {
            clearing_house: Address::ZERO,
            account_balance: Address::ZERO,
            vault: Address::ZERO,
            exchange: Address::ZERO,
        },
        markets: Vec::new(),
    }
}

const VENUE: Address = address!("0x00000000000000000000000000000000000a0005");
const WAD: u128 = 1_000_000_000_000_000_000;
const USD: u64 = 1_000_000;

#[derive(Debug, Clone)]
struct Holder {
    follower: Address,
    sizes: [i128; 2],
}

#[derive(Debug, Clone)]
struct Shard {
    strategy: u64,
    address: Address,
    batches: u64,
    points: u64,
    sequence: u64,
    nav: u128,
    equity: u64,
    holders: Vec<Holder>,
}

/// A made-up deployment that goes on as long as it is asked.
#[derive(Debug, Clone)]
pub struct World {
    deployment: Deployment,
    dice: Dice,
    shards: Vec<Shard>,
    strategies: u64,
    followers: u64,
}

impl World {
    /// A deployment without strategies.
    #[must_use]
    pub const fn new(deployment: Deployment, seed: u64) -> Self {
        Self {
            deployment,
            dice: Dice::new(seed),
            shards: Vec::new(),
            strategies: 0,
            followers: 0,
        }
    }

    /// Changes what comes next: another fork.
    pub const fn reseed(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
    }

    /// Addresses that emit: the deployment's contracts and the vaults so far.
    #[must_use]
    pub fn emitters(&self) -> Vec<Address> {
        let own = [
            self.deployment.registry,
            self.deployment.engine,
            self.deployment.liquidator,
            self.deployment.insurance,
        ];
        own.into_iter()
            .chain(self.shards.iter().map(|shard| shard.address))
            .collect()
    }

    /// Address of the `index`th vault that will ever be created.
    #[must_use]
    pub fn vault_address(index: u64) -> Address {
        Address::from_word(B256::from(U256::from(0x00ba_0000_u64 + index)))
    }

    /// Address of the `index`th follower that will ever come.
    #[must_use]
    pub fn follower_address(index: u64) -> Address {
        Address::from_word(B256::from(U256::from(0x00f0_0000_u64 + index)))
    }

    /// The markets are listed.
    #[must_use]
    pub fn listings(&self) -> Vec<Emitted> {
        ["ETH-USD", "BTC-USD"]
            .into_iter()
            .zip(0u16..)
            .map(|(symbol, id)| {
                let event = IMasterRegistry::MarketListed {
                    venue: VENUE,
                    listingId: id,
                    venueMarket: FixedBytes::with_last_byte(id.to_be_bytes()[1] + 1),
                    symbol: symbol.to_owned(),
                };
                emitted(self.deployment.registry, &event)
            })
            .collect()
    }

    /// A new strategy with its first vault; the vault speaks before the registry names it, as a constructor may.
    pub fn register(&mut self) -> Vec<Emitted> {
        self.strategies += 1;
        let id = self.strategies;
        let event = IMasterRegistry::StrategyRegistered {
            strategyId: U256::from(id),
            master: Address::from_word(B256::from(U256::from(0x0a_0000 + id))),
            venue: VENUE,
            source: Address::ZERO,
            name: format!("strategy {id}"),
            markets: vec![0, 1],
            terms: terms(10),
        };
        let mut logs = self.shard(id);
        logs.insert(1, emitted(self.deployment.registry, &event));
        logs
    }

    /// Another vault of a strategy.
    pub fn shard(&mut self, strategy: u64) -> Vec<Emitted> {
        let address = Self::vault_address(self.shards.len() as u64);
        let created = IMasterRegistry::VaultCreated {
            strategyId: U256::from(strategy),
            vault: address,
            shard: U256::from(
                self.shards
                    .iter()
                    .filter(|shard| shard.strategy == strategy)
                    .count(),
            ),
        };
        self.shards.push(Shard {
            strategy,
            address,
            batches: 0,
            points: 0,
            sequence: 0,
            nav: WAD,
            equity: 0,
            holders: Vec::new(),
        });
        let last = self.shards.len() - 1;
        let first = self.nav(last, 0);
        vec![first, emitted(self.deployment.registry, &created)]
    }

    /// A follower opens an account and deposits.
    pub fn follow(&mut self, shard: usize) -> Vec<Emitted> {
        let follower = Self::follower_address(self.followers);
        self.followers += 1;
        let Some(vault) = self.shards.get_mut(shard) else {
            return Vec::new();
        };
        vault.holders.push(Holder {
            follower,
            sizes: [0, 0],
        });
        let account = u32::try_from(vault.holders.len()).unwrap_or(u32::MAX);
        let deposit = 10_000 * USD;
        vault.equity += deposit;
        let address = vault.address;
        let mandate = IStrategyVault::Mandate {
            follower,
            strategy: address,
            mode: 0,
            ratioBps: 10_000,
            fixedNotional: 0,
            hedgeBps: 0,
            maxLeverageBps: 30_000,
            maxSlippageBps: 100,
            maxPositionNotional: u64::MAX,
            maxDailyTurnover: u64::MAX,
            stopLossBps: 0,
            takeProfitBps: 0,
            allowedMarkets: vec!["ETH-USD".to_owned(), "BTC-USD".to_owned()],
            deposit,
            expiry: 4_000_000_000,
            nonce: U256::from(account),
        };
        let hash = B256::from(U256::from(account));
        vec![
            emitted(address, &IStrategyVault::AccountOpened { account, follower }),
            emitted(
                address,
                &IStrategyVault::MandateAccepted {
                    account,
                    mandateHash: hash,
                    mandate,
                },
            ),
            emitted(
                address,
                &IStrategyVault::Deposited {
                    account,
                    amount: U256::from(deposit),
                },
            ),
            self.nav(shard, 0),
        ]
    }

    /// A signal and its batch with `lines` accounts, then a NAV point. `time` is the block's, in seconds.
    pub fn batch(&mut self, shard: usize, lines: usize, time: u64) -> Vec<Emitted> {
        let market = u8::from(self.dice.below(4) == 0);
        let price = u128::from(1_900 + self.dice.below(200)) * WAD;
        let index = price - u128::from(self.dice.below(5)) * WAD / 10;
        let leverage = i128::from(self.dice.below(6)) - 3;
        let observed = time.saturating_mul(1_000).saturating_sub(self.dice.below(2_000));
        let mut fills = Vec::new();
        let Some(vault) = self.shards.get_mut(shard) else {
            return Vec::new();
        };
        vault.batches += 1;
        vault.sequence += 1;
        let (mut bought, mut sold) = (0u128, 0u128);
        let count = vault.holders.len();
        let start = usize::try_from(self.dice.below(count as u64)).unwrap_or(0);
        for line in 0..lines.min(count) {
            let number = (start + line) % count;
            let Some(holder) = vault.holders.get_mut(number) else {
                continue;
            };
            let account = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let size = &mut holder.sizes[usize::from(market)];
            let target = leverage * i128::from(self.dice.below(3) + 1) * 500_000_000_000_000_000;
            let delta = target - *size;
            if delta == 0 {
                fills.extend_from_slice(&word(account, 2, 0, 0, 0));
                continue;
            }
            *size = target;
            if delta > 0 {
                bought += delta.unsigned_abs();
            } else {
                sold += delta.unsigned_abs();
            }
            let notional = delta.unsigned_abs() / 1_000_000_000 * (price / 1_000_000_000) / 1_000_000_000_000;
            let fee = notional / 1_000;
            let quote = -delta.signum() * notional.cast_signed() - fee.cast_signed();
            fills.extend_from_slice(&word(account, 0, delta, quote, fee));
        }
        let net = bought.cast_signed() - sold.cast_signed();
        let event = IStrategyVault::BatchMirrored {
            batchId: vault.batches,
            market,
            sequence: vault.sequence,
            leverage: signed(leverage * WAD.cast_signed()),
            observedAt: observed,
            indexPrice: U256::from(index),
            fillPrice: U256::from(if net == 0 { index } else { price }),
            netSize: signed(net),
            crossedSize: U256::from(bought.min(sold)),
            venueFee: U256::from(1_000u64),
            copyFee: U256::from(2_000u64),
            fundingIndex: I256::ZERO,
            fills: Bytes::from(fills),
        };
        let signal = IMirrorEngine::SignalAccepted {
            strategyId: U256::from(vault.strategy),
            market,
            sequence: vault.sequence,
            leverage: event.leverage,
            observedAt: observed,
            proof: 2,
        };
        let address = vault.address;
        let drift = self.dice.below(2_001);
        vec![
            emitted(self.deployment.engine, &signal),
            emitted(address, &event),
            self.nav(shard, i64::try_from(drift).unwrap_or(0) - 1_000),
        ]
    }

    /// A follower leaves part of their money, or stops.
    pub fn leave(&mut self, shard: usize) -> Vec<Emitted> {
        let Some(vault) = self.shards.get(shard) else {
            return Vec::new();
        };
        if vault.holders.is_empty() {
            return Vec::new();
        }
        let address = vault.address;
        let number = self.dice.below(vault.holders.len() as u64);
        let account = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let follower = vault
            .holders
            .get(usize::try_from(number).unwrap_or(0))
            .map(|holder| holder.follower);
        let what = match self.dice.below(3) {
            0 => emitted(address, &IStrategyVault::StatusChanged { account, status: 2 }),
            1 => emitted(address, &IStrategyVault::StatusChanged { account, status: 1 }),
            _ => {
                let amount = U256::from(self.dice.below(50) * USD);
                // The venue rounded, or nothing had to be asked of it.
                let debited = amount + U256::from(self.dice.below(2));
                let follower = follower.unwrap_or_default();
                emitted(
                    address,
                    &IStrategyVault::Withdrawn {
                        account,
                        follower,
                        amount,
                        debited,
                    },
                )
            }
        };
        vec![what, self.nav(shard, 0)]
    }

    /// A master announces terms.
    pub fn announce(&mut self, strategy: u64, effective_at: u64) -> Vec<Emitted> {
        let event = IMasterRegistry::TermsScheduled {
            strategyId: U256::from(strategy),
            terms: terms(u16::try_from(self.dice.below(100)).unwrap_or(0)),
            effectiveAt: effective_at,
        };
        vec![emitted(self.deployment.registry, &event)]
    }

    /// Whatever comes next, at a block's time.
    pub fn anything(&mut self, time: u64) -> Vec<Emitted> {
        let shards = self.shards.len() as u64;
        let shard = usize::try_from(self.dice.below(shards)).unwrap_or(0);
        match self.dice.below(20) {
            0 => self.register(),
            1 if shards > 0 => {
                let strategy = self.dice.below(self.strategies) + 1;
                self.shard(strategy)
            }
            2 if shards > 0 => {
                let strategy = self.dice.below(self.strategies) + 1;
                self.announce(strategy, time + 1)
            }
            3..=6 if shards > 0 => self.follow(shard),
            7..=9 if shards > 0 => self.leave(shard),
            _ if shards > 0 => {
                let lines = usize::try_from(self.dice.below(6)).unwrap_or(0);
                self.batch(shard, lines, time)
            }
            _ => self.register(),
        }
    }

    /// A NAV point `drift` millionths away from the last.
    fn nav(&mut self, shard: usize, drift: i64) -> Emitted {
        let time = 0;
        let vault = &mut self.shards[shard];
        let moved = vault.nav / 1_000_000 * u128::from(drift.unsigned_abs());
        vault.nav = if drift < 0 {
            vault.nav - moved
        } else {
            vault.nav + moved
        };
        let event = IStrategyVault::NavRecorded {
            index: U256::from(vault.points),
            time,
            navIndex: U256::from(vault.nav),
            totalEquity: U256::from(vault.equity),
        };
        vault.points += 1;
        emitted(vault.address, &event)
    }
}

/// Writes the block's time into the NAV points of a block: the chain's clock is known only then.
pub fn stamp(logs: &mut [Emitted], time: u64) {
    for emitted in logs {
        if emitted.log.topics().first() == Some(&IStrategyVault::NavRecorded::SIGNATURE_HASH) {
            let mut data = emitted.log.data.to_vec();
            if let Some(word) = data.get_mut(..32) {
                word.copy_from_slice(&U256::from(time).to_be_bytes::<32>());
            }
            emitted.log.data = Bytes::from(data);
        }
    }
}

fn terms(copy_fee_bps: u16) -> IMasterRegistry::Terms {
    IMasterRegistry::Terms {
        copyFeeBps: copy_fee_bps,
        performanceFeeBps: 1_000,
        maxLeverageBps: 50_000,
        maxSlippageBps: 100,
        deadBandBps: 50,
        minTradeNotional: 10 * USD,
        maxOpenNotional: 10_000_000 * USD,
        disclosureDelay: 120,
    }
}

fn signed(value: i128) -> I256 {
    I256::try_from(value).unwrap_or_default()
}

/// One packed line of a batch.
fn word(account: u32, outcome: u8, size: i128, quote: i128, fee: u128) -> [u8; 32] {
    let mut word = [0u8; 32];
    word[..4].copy_from_slice(&account.to_be_bytes());
    word[4] = outcome;
    word[5..16].copy_from_slice(&size.to_be_bytes()[5..]);
    word[16..23].copy_from_slice(&quote.to_be_bytes()[9..]);
    word[23..29].copy_from_slice(&fee.to_be_bytes()[10..]);
    word
}

/// Calldata for the emitter of `bench/emitter.yul`.
#[must_use]
pub fn calldata<'a>(logs: impl IntoIterator<Item = &'a LogData>) -> Bytes {
    let mut data = Vec::new();
    for log in logs {
        data.extend_from_slice(&U256::from(log.topics().len()).to_be_bytes::<32>());
        data.extend_from_slice(&U256::from(log.data.len()).to_be_bytes::<32>());
        for topic in log.topics() {
            data.extend_from_slice(topic.as_slice());
        }
        data.extend_from_slice(&log.data);
    }
    Bytes::from(data)
}

/// Runtime code of the emitter.
#[must_use]
pub fn emitter() -> Bytes {
    alloy::hex::decode(include_str!("bench/emitter.hex").trim())
        .map(Bytes::from)
        .unwrap_or_default()
}
