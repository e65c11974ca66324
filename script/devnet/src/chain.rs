//! anvil: rules, state on disk, time, reorgs, sending transactions.
//!
//! The rules are those of an L2 after Osaka: a transaction may use at most 2^24 gas, blocks are large, and one comes
//! every second. anvil writes its own state only when it ends and not atomically, so the state is asked for and
//! written here, every few seconds, to a file that is replaced whole: whatever is killed, one complete state is left.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::consensus::BlockHeader as _;
use alloy::eips::BlockNumberOrTag;
use alloy::network::{EthereumWallet, NetworkTransactionBuilder as _, TransactionBuilder as _};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::ext::AnvilApi as _;
use alloy::providers::{DynProvider, Provider as _, ProviderBuilder};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use anyhow::{Context as _, bail};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::layout::Layout;
use crate::process::{Program, eventually};

/// Chain id of the local chain.
pub const CHAIN_ID: u64 = 31_337;

/// Most gas one transaction may use (EIP-7825).
pub const TRANSACTION_GAS_LIMIT: u64 = 1 << 24;

/// Gas of one block, in the range of today's large L2s. anvil drops transactions of a burst that does not fit.
const BLOCK_GAS_LIMIT: u64 = 300_000_000;

/// States kept in memory, which is how deep a reorg may go. Without a limit anvil writes every state to the home
/// directory.
const STATES_KEPT: u64 = 160;

/// How long a nonce that was used is remembered.
const NONCE_MEMORY: Duration = Duration::from_secs(3);

/// When a block is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mining {
    /// Every second, as on an L2.
    EverySecond,
    /// For each transaction at once, and every second.
    AtOnce,
    /// When told to.
    Manual,
}

/// How to run anvil.
#[derive(Debug, Clone)]
pub struct ChainOptions {
    /// Port on the loopback interface.
    pub port: u16,
    /// When a block is made.
    pub mining: Mining,
    /// Time of the first block, unix seconds; none: now.
    pub genesis_time: Option<u64>,
}

impl ChainOptions {
    /// anvil with these options.
    #[must_use]
    pub fn program(&self, layout: &Layout, log: PathBuf) -> Program {
        let mut arguments = vec![
            "--host=127.0.0.1".to_owned(),
            format!("--port={}", self.port),
            format!("--chain-id={CHAIN_ID}"),
            "--hardfork=osaka".to_owned(),
            "--enable-tx-gas-limit".to_owned(),
            format!("--gas-limit={BLOCK_GAS_LIMIT}"),
            format!("--prune-history={STATES_KEPT}"),
            "--no-request-size-limit".to_owned(),
            "--quiet".to_owned(),
        ];
        match self.mining {
            Mining::EverySecond => arguments.push("--block-time=1".to_owned()),
            Mining::AtOnce => arguments.extend(["--block-time=1".to_owned(), "--mixed-mining".to_owned()]),
            Mining::Manual => arguments.push("--no-mining".to_owned()),
        }
        if let Some(time) = self.genesis_time {
            arguments.push(format!("--timestamp={time}"));
        }
        Program::new("chain", layout.tool("anvil"), layout.root(), log).arguments(arguments)
    }

    /// Where it will listen.
    ///
    /// # Errors
    /// Never for a real port.
    pub fn url(&self) -> anyhow::Result<Url> {
        Ok(Url::parse(&format!("http://127.0.0.1:{}", self.port))?)
    }
}

/// Seconds since 1970 by this machine's clock.
#[must_use]
pub fn wall_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// Milliseconds since 1970 by this machine's clock.
#[must_use]
pub fn wall_clock_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Someone who sends transactions.
#[derive(Debug)]
pub struct Account {
    signer: PrivateKeySigner,
    wallet: EthereumWallet,
    /// The nonce after the last one used, and when that was.
    sending: Mutex<Option<(u64, Instant)>>,
}

impl Account {
    /// The account of a key.
    #[must_use]
    pub fn new(signer: PrivateKeySigner) -> Self {
        Self {
            wallet: EthereumWallet::from(signer.clone()),
            signer,
            sending: Mutex::new(None),
        }
    }

    /// Asks the chain for the next nonce again: after a reorg that took transactions away.
    pub async fn forget_nonce(&self) {
        *self.sending.lock().await = None;
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Its key.
    #[must_use]
    pub const fn signer(&self) -> &PrivateKeySigner {
        &self.signer
    }

    /// Its key as hexadecimal text, for a configuration file or a wallet. Local chains only.
    #[must_use]
    pub fn secret(&self) -> String {
        self.signer.to_bytes().to_string()
    }
}

/// A connection to the local chain.
#[derive(Debug, Clone)]
pub struct Chain {
    url: Url,
    provider: DynProvider,
}

impl Chain {
    /// Connects to `url`; nothing is sent yet.
    #[must_use]
    pub fn new(url: Url) -> Self {
        let provider = ProviderBuilder::new()
            .disable_recommended_fillers()
            .connect_http(url.clone())
            .erased();
        Self { url, provider }
    }

    /// Where it is.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// For calls of bound contracts.
    #[must_use]
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it does not within 20 seconds.
    pub async fn ready(&self) -> anyhow::Result<()> {
        // A plain loop: a future with an async closure in it cannot be spawned.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.provider.get_chain_id().await {
                Ok(CHAIN_ID) => return Ok(()),
                Ok(id) => bail!("{} is another chain ({id})", self.url),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("no answer from {}", self.url));
                }
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Height.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn height(&self) -> anyhow::Result<u64> {
        Ok(self.provider.get_block_number().await?)
    }

    /// Time of the latest block, unix seconds.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn time(&self) -> anyhow::Result<u64> {
        let block = self
            .provider
            .get_block_by_number(BlockNumberOrTag::Latest)
            .await?
            .context("no latest block")?;
        Ok(block.header.timestamp())
    }

    /// The whole chain as bytes.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn dump(&self) -> anyhow::Result<Bytes> {
        Ok(self.provider.anvil_dump_state().await?)
    }

    /// Continues the chain in `state`, with the clock set to now.
    ///
    /// # Errors
    /// When the chain refuses the state.
    pub async fn load(&self, state: Bytes) -> anyhow::Result<()> {
        if !self.provider.anvil_load_state(state).await? {
            bail!("the local chain refused its saved state");
        }
        self.provider
            .anvil_set_time(wall_clock().max(self.time().await? + 1))
            .await?;
        self.mine(1).await
    }

    /// Writes the whole chain to `path`, which is either the old state or the new one at every moment.
    ///
    /// # Errors
    /// When the chain does not answer or the disk is full.
    pub async fn save(&self, path: &Path) -> anyhow::Result<()> {
        let state = self.dump().await?;
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || write_whole(&path, &state)).await?
    }

    /// Mines blocks.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn mine(&self, blocks: u64) -> anyhow::Result<()> {
        Ok(self.provider.anvil_mine(Some(blocks), None).await?)
    }

    /// Takes `depth` blocks away and mines as many empty ones: their transactions are gone.
    ///
    /// # Errors
    /// When the chain cannot go back that far.
    pub async fn reorg(&self, depth: u64) -> anyhow::Result<()> {
        Ok(self
            .provider
            .raw_request::<_, serde_json::Value>("anvil_reorg".into(), (depth, Vec::<()>::new()))
            .await
            .map(|_| ())?)
    }

    /// Signs and sends a call. Nonce and fees are set here; `gas` is the limit, as estimates are too low for a venue
    /// whose work grows with the time since the last trade.
    ///
    /// # Errors
    /// When the chain refuses the transaction.
    pub async fn send<C: SolCall>(
        &self,
        from: &Account,
        to: Address,
        call: &C,
        gas: u64,
    ) -> anyhow::Result<B256> {
        let mut last = from.sending.lock().await;
        let counted = self
            .provider
            .get_transaction_count(from.address())
            .pending()
            .await?;
        // While a block is being made, anvil counts its transactions neither as pending nor as mined.
        let nonce = match *last {
            Some((next, at)) if at.elapsed() < NONCE_MEMORY => next.max(counted),
            _ => counted,
        };
        let transaction = TransactionRequest::default()
            .with_chain_id(CHAIN_ID)
            .with_nonce(nonce)
            .with_to(to)
            .with_input(call.abi_encode())
            .with_gas_limit(gas)
            .with_max_fee_per_gas(20_000_000_000)
            .with_max_priority_fee_per_gas(1_000_000)
            .build(&from.wallet)
            .await?;
        let sent = self.provider.send_tx_envelope(transaction).await;
        let sent = sent.with_context(|| format!("sending {}", C::SIGNATURE))?;
        *last = Some((nonce + 1, Instant::now()));
        Ok(*sent.tx_hash())
    }

    /// Waits until a transaction is in a block.
    ///
    /// # Errors
    /// When it is not within 30 seconds.
    pub async fn receipt(&self, transaction: B256) -> anyhow::Result<TransactionReceipt> {
        eventually(
            &format!("transaction {transaction} to be mined"),
            Duration::from_secs(30),
            async || Ok(self.provider.get_transaction_receipt(transaction).await?),
        )
        .await
    }

    /// Sends a call and waits until it has succeeded in a block.
    ///
    /// # Errors
    /// When it reverts; the error holds the reason.
    pub async fn execute<C: SolCall>(
        &self,
        from: &Account,
        to: Address,
        call: &C,
        gas: u64,
    ) -> anyhow::Result<TransactionReceipt> {
        let hash = self.send(from, to, call, gas).await?;
        let receipt = self.receipt(hash).await?;
        if !receipt.status() {
            let reason = self.try_call(from.address(), to, call).await.err();
            bail!(
                "{} reverted in block {}: {}",
                C::SIGNATURE,
                receipt.block_number.unwrap_or_default(),
                reason.map_or_else(|| "it would succeed now".to_owned(), |error| format!("{error:#}"))
            );
        }
        Ok(receipt)
    }

    /// Calls without sending.
    ///
    /// # Errors
    /// When the call reverts.
    pub async fn try_call<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        call: &C,
    ) -> anyhow::Result<C::Return> {
        let request = TransactionRequest::default()
            .with_from(from)
            .with_to(to)
            .with_input(call.abi_encode());
        let output = self.provider.call(request).await?;
        Ok(C::abi_decode_returns(&output)?)
    }

    /// Calls without sending, from nobody.
    ///
    /// # Errors
    /// When the call reverts.
    pub async fn view<C: SolCall>(&self, to: Address, call: &C) -> anyhow::Result<C::Return> {
        self.try_call(Address::ZERO, to, call)
            .await
            .with_context(|| format!("{} of {to}", C::SIGNATURE))
    }

    /// Ether out of nothing.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn give_ether(&self, to: Address, whole: u64) -> anyhow::Result<()> {
        let wei = U256::from(whole) * U256::from(10).pow(U256::from(18));
        Ok(self.provider.anvil_set_balance(to, wei).await?)
    }
}

/// Replaces the file at `path` as a whole.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let part = path.with_extension("part");
    let mut file = std::fs::File::create(&part).with_context(|| part.display().to_string())?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path).with_context(|| path.display().to_string())?;
    Ok(())
}
