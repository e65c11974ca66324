//! An isolated stack on free ports, in a directory of its own, for one test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, I256, U256};
use alloy::providers::ext::AnvilApi as _;
use anyhow::{Context as _, bail};
use lockstep_contracts::bindings::IStrategyVault;
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::relay::{Mandate, RelayState, SignedMandate};
use tempfile::TempDir;
use url::Url;

use crate::chain::{Account, Chain, ChainOptions, Mining, wall_clock};
use crate::check::StrategyOnChain;
use crate::followers::{Follower, USDC, wide_mandate};
use crate::genesis::{Genesis, Role};
use crate::layout::Layout;
use crate::masters::{MASTERS, MasterPlan};
use crate::process::{Process, Program, eventually, free_port, run};
use crate::proxy::Proxy;
use crate::relay::Api;
use crate::services::Services;
use crate::setup::{mint_all, register};
use crate::venue::{Aggregator, Usdc, Venue};

/// How long a test waits for something that normally takes a second or two.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a stack is made of.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Start the keeper.
    pub keeper: bool,
    /// Start the indexer.
    pub indexer: bool,
    /// Start the API.
    pub api: bool,
    /// When blocks are made.
    pub mining: Mining,
    /// Put a faulty RPC in front of the keeper and another one in front of the indexer.
    pub proxies: bool,
    /// Seed of the proxies and of the followers.
    pub seed: u64,
    /// More of the keeper's configuration, e.g. `[pace]`.
    pub keeper_extra: String,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            keeper: true,
            indexer: true,
            api: true,
            mining: Mining::AtOnce,
            proxies: false,
            seed: 1,
            // Tests wait for what the keeper does; it looks more often than it would on a public chain.
            keeper_extra: "[pace]\npoll_ms = 100\nlook_seconds = 1\n".to_owned(),
        }
    }
}

/// A running stack. Dropping it kills its processes and deletes its directory.
#[derive(Debug)]
pub struct Stack {
    /// Repository.
    pub layout: Layout,
    /// The chain.
    pub chain: Chain,
    /// The exchange on it.
    pub venue: Venue,
    /// Lockstep on it.
    pub deployment: Deployment,
    /// Where the parts are.
    pub services: Services,
    /// The API's client.
    pub api_client: Api,
    /// Deployer and owner.
    pub owner: Arc<Account>,
    /// The keeper's account.
    pub keeper_account: Arc<Account>,
    /// Moves prices.
    pub arbitrageur: Arc<Account>,
    /// Between keeper and chain.
    pub keeper_proxy: Option<Proxy>,
    /// Between indexer and chain.
    pub indexer_proxy: Option<Proxy>,
    /// The keeper, while it runs.
    pub keeper: Option<Process>,
    /// The indexer, while it runs.
    pub indexer: Option<Process>,
    /// The API, while it runs.
    pub api: Option<Process>,
    seed: u64,
    directory: TempDir,
    _anvil: Process,
}

impl Stack {
    /// Everything, with the default options.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with(StackOptions::default()).await
    }

    /// The parts asked for.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn with(options: StackOptions) -> anyhow::Result<Self> {
        let layout = Layout::find()?;
        let genesis = Genesis::prepare(&layout).await?;
        let directory = tempfile::Builder::new().prefix("lockstep-").tempdir()?;
        let chain_options = ChainOptions {
            port: free_port()?,
            mining: options.mining,
            genesis_time: None,
        };
        let anvil = chain_options
            .program(&layout, directory.path().join("logs/chain.log"))
            .start()?;
        let chain = Chain::new(chain_options.url()?);
        chain.ready().await?;
        chain.load(genesis.state.clone()).await?;

        let proxy = async |seed: u64| -> anyhow::Result<Option<Proxy>> {
            if !options.proxies {
                return Ok(None);
            }
            Proxy::start(chain.url().clone(), seed).await.map(Some)
        };
        let keeper_proxy = proxy(options.seed).await?;
        let indexer_proxy = proxy(options.seed.wrapping_add(1)).await?;
        // The faulty endpoint comes first, and two good ones can outvote it.
        let mut second = chain.url().clone();
        second.set_host(Some("localhost"))?;
        let endpoints = |proxy: &Option<Proxy>| -> Vec<Url> {
            let good = [chain.url().clone()]
                .into_iter()
                .chain(proxy.is_some().then(|| second.clone()));
            proxy
                .iter()
                .map(|proxy| proxy.url().clone())
                .chain(good)
                .collect()
        };
        let services = Services {
            directory: directory.path().to_owned(),
            deployment: genesis.deployment_file(),
            keeper_rpc: endpoints(&keeper_proxy),
            indexer_rpc: endpoints(&indexer_proxy),
            api_rpc: chain.url().clone(),
            public_rpc: chain.url().clone(),
            keeper_port: free_port()?,
            indexer_port: free_port()?,
            api_port: free_port()?,
            log_filter: "info,lockstep_keeper=debug,lockstep_indexer=debug,lockstep_api=debug".to_owned(),
            keeper_extra: options.keeper_extra,
            indexer_poll_ms: 100,
            api_limits: false,
        };
        let mut stack = Self {
            chain,
            venue: genesis.venue,
            deployment: genesis.deployment,
            api_client: Api::new(services.api_url()?)?,
            owner: Arc::new(Role::Owner.account()?),
            keeper_account: Arc::new(Role::Keeper.account()?),
            arbitrageur: Arc::new(Role::Arbitrageur.account()?),
            keeper_proxy,
            indexer_proxy,
            keeper: None,
            indexer: None,
            api: None,
            seed: options.seed,
            layout,
            services,
            directory,
            _anvil: anvil,
        };
        stack.refresh_prices().await?;
        if options.indexer {
            stack.start_indexer()?;
        }
        if options.keeper {
            stack.start_keeper()?;
        }
        if options.api {
            stack.start_api().await?;
        }
        Ok(stack)
    }

    /// Its directory: databases, configuration, logs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The keeper as it is configured.
    ///
    /// # Errors
    /// When it is not built.
    pub fn keeper_program(&self) -> anyhow::Result<Program> {
        self.services.keeper(&self.layout, &self.keeper_account)
    }

    /// The indexer as it is configured.
    ///
    /// # Errors
    /// When it is not built.
    pub fn indexer_program(&self) -> anyhow::Result<Program> {
        self.services.indexer(&self.layout)
    }

    /// Starts the keeper.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_keeper(&mut self) -> anyhow::Result<()> {
        self.keeper = Some(self.keeper_program()?.start()?);
        Ok(())
    }

    /// Starts the indexer.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_indexer(&mut self) -> anyhow::Result<()> {
        self.indexer = Some(self.indexer_program()?.start()?);
        Ok(())
    }

    /// Starts the API and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_api(&mut self) -> anyhow::Result<()> {
        let mut api = self.services.api(&self.layout)?.start()?;
        tokio::select! {
            ended = api.wait() => bail!("the API ended ({}):\n{}", ended?, api.program().last_lines(10)),
            ready = self.api_client.ready(PATIENCE) => ready?,
        }
        self.api = Some(api);
        Ok(())
    }

    /// SIGKILL to the keeper.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill_keeper(&mut self) -> anyhow::Result<()> {
        Ok(self.keeper.take().context("no keeper runs")?.kill().await?)
    }

    /// SIGKILL to the indexer.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill_indexer(&mut self) -> anyhow::Result<()> {
        Ok(self.indexer.take().context("no indexer runs")?.kill().await?)
    }

    /// A new answer of both oracles, at the price they have: a loaded chain's are as old as the chain.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn refresh_prices(&self) -> anyhow::Result<()> {
        for symbol in ["ETH-USD", "BTC-USD"] {
            let price = self.venue.price(&self.chain, symbol).await?;
            self.set_price(symbol, price).await?;
        }
        Ok(())
    }

    /// Sets the oracle (1e8) and takes the market along; waits for the next second when this one has its answer.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn set_price(&self, symbol: &str, price: u64) -> anyhow::Result<()> {
        eventually("the oracle to take a price", PATIENCE, async || {
            self.venue
                .set_price(&self.chain, &self.arbitrageur, symbol, price)
                .await
                .map(Some)
        })
        .await
    }

    /// Waits until the chain has this many more blocks.
    ///
    /// # Errors
    /// When it has not in time.
    pub async fn blocks(&self, count: u64) -> anyhow::Result<()> {
        let wanted = self.chain.height().await? + count;
        eventually(&format!("block {wanted}"), PATIENCE, async || {
            Ok((self.chain.height().await? >= wanted).then_some(()))
        })
        .await
    }

    /// Lets chain time pass.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn advance(&self, seconds: u64) -> anyhow::Result<()> {
        let time = self.chain.time().await?;
        self.chain.provider().anvil_set_time(time + seconds).await?;
        self.chain.mine(1).await
    }

    /// Replaces the last `depth` blocks by empty ones.
    ///
    /// # Errors
    /// When the chain cannot go back that far.
    pub async fn reorg(&self, depth: u64) -> anyhow::Result<()> {
        self.chain.reorg(depth).await?;
        for account in [&self.owner, &self.arbitrageur] {
            account.forget_nonce().await;
        }
        Ok(())
    }

    /// The indexer's own comparison of every NAV point, account and position in the store with the chain.
    ///
    /// # Errors
    /// Names the first difference.
    pub async fn verify_index(&self) -> anyhow::Result<()> {
        self.indexed().await?;
        let program = self.indexer_program()?.arguments(["verify"]);
        let log = self.directory().join("logs/verify.log");
        eventually("the whole index to agree with the chain", PATIENCE, async || {
            run(&Program {
                log: log.clone(),
                ..program.clone()
            })
            .await
            .map(Some)
        })
        .await
    }

    /// Sets the oracle (1e8) and leaves the market where it is.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn set_index(&self, symbol: &str, price: i64) -> anyhow::Result<()> {
        let call = Aggregator::setCall {
            answer: I256::try_from(price)?,
        };
        let aggregator = self.venue.market(symbol)?.aggregator;
        eventually("the oracle to take a price", PATIENCE, async || {
            self.chain
                .execute(&self.arbitrageur, aggregator, &call, 500_000)
                .await
                .map(Some)
        })
        .await
        .map(|_| ())
    }

    /// Registers one of the three masters.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn master(&self, number: u8) -> anyhow::Result<Master> {
        let plan = MASTERS
            .get(usize::from(number))
            .context("there are three masters")?
            .clone();
        self.master_with(number, plan).await
    }

    /// Registers a master with a plan of its own.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn master_with(&self, number: u8, plan: MasterPlan) -> anyhow::Result<Master> {
        let account = Arc::new(Role::Master(number).account()?);
        let strategy = register(&self.chain, &self.deployment, &self.venue, &plan, &account).await?;
        Ok(Master {
            vault: *strategy.vaults.first().context("no vault")?,
            strategy,
            account,
            plan,
        })
    }

    /// The `index`th follower of this stack.
    ///
    /// # Errors
    /// Never in practice.
    pub fn follower(&self, index: u64) -> anyhow::Result<Follower> {
        Follower::numbered(self.seed, index)
    }

    /// A mandate with wide bounds and this deposit in whole USDC, for a master.
    #[must_use]
    pub fn mandate(&self, follower: &Follower, master: &Master, deposit: u64) -> Mandate {
        wide_mandate(
            follower.address(),
            master.vault,
            master.plan.markets,
            deposit * USDC,
            wall_clock(),
        )
    }

    /// Signs a mandate, with a token permit for newcomers, and gives the follower what it deposits.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn sign_funded(&self, follower: &Follower, mandate: Mandate) -> anyhow::Result<SignedMandate> {
        if mandate.deposit > 0 {
            let owed = [(mandate.follower, mandate.deposit)];
            mint_all(&self.chain, self.deployment.usdc, &self.owner, owed).await?;
        }
        let nonce: U256 = self
            .chain
            .view(
                self.deployment.usdc,
                &Usdc::noncesCall {
                    owner: follower.address(),
                },
            )
            .await?;
        let expiry = mandate.expiry;
        let mut signed = follower.sign_mandate(&self.deployment, mandate)?;
        if signed.mandate.deposit > 0 {
            signed.token_permit = Some(follower.sign_token_permit(&self.deployment, nonce, expiry)?);
        }
        Ok(signed)
    }

    /// Follows through the API and waits for the chain. Gives the account.
    ///
    /// # Errors
    /// When the mandate is refused.
    pub async fn follow(&self, follower: &Follower, mandate: Mandate) -> anyhow::Result<u32> {
        let vault = mandate.strategy;
        let signed = self.sign_funded(follower, mandate).await?;
        let status = self.api_client.relay_until_taken(&signed, PATIENCE).await?;
        match self.api_client.settled(status.id, PATIENCE).await? {
            RelayState::Included { .. } => {}
            other => anyhow::bail!("not accepted: {other:?}"),
        }
        let contract = IStrategyVault::new(vault, self.chain.provider());
        Ok(contract.accountOf(follower.address()).call().await?)
    }

    /// Waits until the indexer has the chain's newest block.
    ///
    /// # Errors
    /// When it has not in time.
    pub async fn indexed(&self) -> anyhow::Result<()> {
        let height = self.chain.height().await?;
        eventually(
            &format!("the indexer to reach block {height}"),
            PATIENCE,
            async || Ok((self.api_client.indexed().await? >= height).then_some(())),
        )
        .await
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("LOCKSTEP_KEEP").is_some() {
            // The test's output is all that is left of a failure.
            for process in [&self.keeper, &self.indexer, &self.api].into_iter().flatten() {
                eprintln!(
                    "--- the end of the {} log:\n{}",
                    process.program().name,
                    process.program().last_lines(25)
                );
            }
        }
        if std::env::var_os("LOCKSTEP_KEEP").is_some() {
            self.directory.disable_cleanup(true);
            eprintln!("--- kept: {}", self.directory.path().display());
        }
    }
}

/// A registered master.
#[derive(Debug, Clone)]
pub struct Master {
    /// How it is set up.
    pub plan: MasterPlan,
    /// Its key.
    pub account: Arc<Account>,
    /// What the registry says.
    pub strategy: StrategyOnChain,
    /// The first shard.
    pub vault: Address,
}

impl Master {
    /// Trades to a leverage (10000 = 1x) in a market by symbol. Gives the block.
    ///
    /// # Errors
    /// When the exchange refuses.
    pub async fn trade(&self, stack: &Stack, symbol: &str, leverage_bps: i64) -> anyhow::Result<u64> {
        stack
            .venue
            .trade_to_leverage(&stack.chain, &self.account, symbol, leverage_bps)
            .await?
            .context("nothing to trade")
    }
}
