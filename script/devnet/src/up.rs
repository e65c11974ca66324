//! `script/up`: everything on one machine, until it is stopped; the next start continues.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::{Context as _, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::chain::{Account, Chain, ChainOptions, Mining, wall_clock};
use crate::check::{StrategyOnChain, last_trade, nav_agrees, reach};
use crate::followers::USDC;
use crate::genesis::{Genesis, Role, read_deployment};
use crate::layout::Layout;
use crate::live::{Live, LiveMaster};
use crate::masters::MASTERS;
use crate::process::{Program, eventually, free_port, stop_left_over, supervise};
use crate::real_prices::RealPrices;
use crate::relay::Api;
use crate::services::Services;
use crate::setup::{account_count, draw, follow, register};
use crate::venue::{Usdc, Venue};

/// Port of the local chain when it is free: wallets remember it.
const CHAIN_PORT: u16 = 8_545;

/// How `script/up` was called.
#[derive(Debug, Clone)]
pub struct UpOptions {
    /// Start over.
    pub fresh: bool,
    /// Check and stop, instead of running until Ctrl-C.
    pub check: bool,
    /// Port of the dashboard and the API.
    pub port: u16,
    /// Followers over all masters.
    pub followers: u64,
    /// Prices, followers and their bounds follow from it.
    pub seed: u64,
    /// Local prices follow those of real exchanges.
    pub live: bool,
}

struct Files {
    directory: PathBuf,
}

impl Files {
    fn chain_state(&self) -> PathBuf {
        self.directory.join("chain.state")
    }
    fn venue(&self) -> PathBuf {
        self.directory.join("venue.json")
    }
    fn deployment(&self) -> PathBuf {
        self.directory.join("deployment.json")
    }
    fn origin(&self) -> PathBuf {
        self.directory.join("chain.origin")
    }
    fn log(&self, name: &str) -> PathBuf {
        self.directory.join("logs").join(format!("{name}.log"))
    }
    fn pid(&self, name: &str) -> PathBuf {
        self.directory.join("run").join(format!("{name}.pid"))
    }

    /// Deletes what a stack makes, and nothing else that may be in the directory.
    fn clear(&self) -> anyhow::Result<()> {
        const MADE: [&str; 6] = [
            "chain.",
            "venue.json",
            "deployment.json",
            "keeper.",
            "indexer.",
            "api.",
        ];
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "logs" {
                std::fs::remove_dir_all(entry.path())?;
            } else if MADE.iter().any(|made| name.starts_with(made)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Says what is being done, to the person at the terminal.
fn say(text: &str) {
    println!("==> {text}");
}

/// Runs the local stack until `stop`, or until the check is done.
///
/// # Errors
/// When a part cannot be started or the check fails.
pub async fn up(layout: &Layout, options: &UpOptions, stop: CancellationToken) -> anyhow::Result<()> {
    let files = Files {
        directory: layout.state(),
    };
    std::fs::create_dir_all(files.directory.join("run"))?;
    let _lock = lock(&files.directory.join("up.lock"))?;
    let began = Instant::now();

    let chain_port = pick_port(CHAIN_PORT)?;
    let services = Services {
        directory: files.directory.clone(),
        deployment: files.deployment(),
        keeper_rpc: vec![],
        indexer_rpc: vec![],
        api_rpc: format!("http://127.0.0.1:{chain_port}").parse()?,
        public_rpc: format!("http://127.0.0.1:{chain_port}").parse()?,
        keeper_port: free_port()?,
        indexer_port: free_port()?,
        api_port: options.port,
        log_filter: "info".to_owned(),
        keeper_extra: String::new(),
        indexer_poll_ms: 500,
        api_limits: false,
    };
    let services = Services {
        keeper_rpc: vec![services.public_rpc.clone()],
        indexer_rpc: vec![services.public_rpc.clone()],
        ..services
    };
    let chain_options = ChainOptions {
        port: chain_port,
        mining: Mining::EverySecond,
        genesis_time: None,
    };
    let with_pid = |mut program: Program| {
        program.pid_file = Some(files.pid(&program.name));
        program.own_group = true;
        program
    };
    let anvil = with_pid(chain_options.program(layout, files.log("chain")));
    let keeper_account = Role::Keeper.account()?;
    let parts = [
        with_pid(services.indexer(layout)?),
        with_pid(services.keeper(layout, &keeper_account)?),
        with_pid(services.api(layout)?),
    ];
    for program in parts.iter().chain([&anvil]) {
        stop_left_over(program).await?;
    }
    if let Err(error) = std::net::TcpListener::bind(("127.0.0.1", options.port)) {
        bail!(
            "port {} is taken ({error}); choose another with --port",
            options.port
        );
    }

    if options.fresh {
        say("Starting over: the old chain, databases and logs are deleted");
        files.clear()?;
        // The configuration went with them.
        services.indexer(layout)?;
        services.keeper(layout, &keeper_account)?;
        services.api(layout)?;
    }
    let continued = files.chain_state().is_file();
    if continued {
        say("Continuing the local chain where it was (--fresh starts over)");
        warn_about_changed_contracts(layout, &files)?;
    } else {
        say("Preparing a local chain with the exchange and Lockstep on it");
        let genesis = tokio::select! {
            genesis = Genesis::prepare(layout) => genesis?,
            () = stop.cancelled() => return Ok(()),
        };
        std::fs::copy(genesis.directory.join("venue.json"), files.venue())?;
        std::fs::copy(genesis.deployment_file(), files.deployment())?;
        std::fs::write(files.origin(), genesis.key())?;
        std::fs::copy(genesis.directory.join("chain.state"), files.chain_state())?;
    }

    let chain = Chain::new(chain_options.url()?);
    let mut running = JoinSet::new();
    let stop_chain = CancellationToken::new();
    let chain_up = start_chain(&mut running, anvil, &chain, &files, stop_chain.clone()).await;
    let outcome = match chain_up {
        Ok(()) => {
            run(
                layout, options, &files, &services, &chain, parts, continued, began, stop,
            )
            .await
        }
        Err(error) => Err(error),
    };
    say("Saving the chain and stopping it");
    stop_chain.cancel();
    while running.join_next().await.is_some() {}
    if outcome.is_ok() {
        say("Stopped. The next start continues here.");
    }
    outcome
}

#[allow(clippy::too_many_arguments)]
async fn run(
    _layout: &Layout,
    options: &UpOptions,
    files: &Files,
    services: &Services,
    chain: &Chain,
    parts: [Program; 3],
    continued: bool,
    began: Instant,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let venue = Venue::read(&files.venue())?;
    let deployment = read_deployment(&files.deployment())?;
    let stop_parts = CancellationToken::new();
    let mut supervised = JoinSet::new();
    say("Starting indexer, keeper and API");
    for program in parts {
        supervised.spawn(supervise(program, stop_parts.clone()));
    }
    let stop_live = CancellationToken::new();
    let (pause, paused) = watch::channel(options.check);
    let work = async {
        let api = Api::new(services.api_url()?)?;
        api.ready(Duration::from_secs(60)).await?;

        let owner = Arc::new(Role::Owner.account()?);
        let mut strategies = Vec::new();
        let mut masters = Vec::new();
        let names: Vec<&str> = MASTERS.iter().map(|plan| plan.name).collect();
        say(&format!("Masters: {}", names.join(", ")));
        for (number, plan) in (0u8..).zip(MASTERS) {
            let account = Arc::new(Role::Master(number).account()?);
            let strategy = register(chain, &deployment, &venue, &plan, &account)
                .await
                .with_context(|| format!("master {}", plan.name))?;
            strategies.push(strategy);
            masters.push(LiveMaster { plan, account });
        }
        let before = account_count(chain, &strategies).await?;
        if before < options.followers {
            say(&format!(
                "Followers: {} sign a mandate each; their signatures go through the API's relay",
                options.followers - before
            ));
            everyone_follows(chain, &deployment, &owner, &api, options, &strategies).await?;
        }
        fund_demo_wallets(chain, &venue, &owner).await?;

        let real = options.live.then(RealPrices::start).transpose()?;
        if let Some(real) = &real {
            say(&real.first_word().await);
        }
        let live = Live {
            chain: chain.clone(),
            venue: venue.clone(),
            arbitrageur: Arc::new(Role::Arbitrageur.account()?),
            masters,
            seed: options.seed,
            step: Duration::from_secs(2),
            real,
        };
        if options.check {
            say("Checking: every master trades, every follower must follow, every NAV point must agree");
            return check(chain, &deployment, &venue, &api, &live, &strategies).await;
        }
        print_summary(services, chain, &strategies, continued, began).await?;
        pause.send_replace(false);
        live.run(paused, stop_live.clone()).await
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = stop.cancelled() => Ok(()),
    };
    stop_live.cancel();
    say("Stopping API, keeper and indexer");
    stop_parts.cancel();
    while supervised.join_next().await.is_some() {}
    outcome
}

async fn open(chain: &Chain, state: &Path) -> anyhow::Result<()> {
    chain.ready().await?;
    chain.load(tokio::fs::read(state).await?.into()).await
}

/// Starts the chain, loads its state, and keeps both up and saved until `stop`.
async fn start_chain(
    running: &mut JoinSet<()>,
    anvil: Program,
    chain: &Chain,
    files: &Files,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    const SAVE_EVERY: Duration = Duration::from_secs(10);
    let state = files.chain_state();
    let mut process = anvil.start()?;
    open(chain, &state)
        .await
        .with_context(|| format!("the saved chain {}; --fresh starts over", state.display()))?;
    let chain = chain.clone();
    running.spawn(async move {
        loop {
            // Saving a long chain takes its time; it never takes more than a twentieth of it.
            let mut pause = SAVE_EVERY;
            loop {
                tokio::select! {
                    () = sleep(pause) => {
                        let began = Instant::now();
                        if let Err(error) = chain.save(&state).await {
                            tracing::warn!("the chain could not be saved: {error:#}");
                        }
                        pause = SAVE_EVERY.max(began.elapsed() * 20);
                    }
                    status = process.wait() => {
                        tracing::error!("the local chain ended ({status:?}); starting it again from its last saved state");
                        break;
                    }
                    () = stop.cancelled() => {
                        if let Err(error) = chain.save(&state).await {
                            tracing::warn!("the chain could not be saved: {error:#}");
                        }
                        if let Err(error) = process.stop().await {
                            tracing::warn!("{error:#}");
                        }
                        return;
                    }
                }
            }
            sleep(Duration::from_secs(1)).await;
            match anvil.start() {
                Ok(started) => process = started,
                Err(error) => tracing::error!("{error:#}"),
            }
            if let Err(error) = open(&chain, &state).await {
                tracing::error!("{error:#}");
            }
        }
    });
    Ok(())
}

async fn everyone_follows(
    chain: &Chain,
    deployment: &lockstep_contracts::deployment::Deployment,
    minter: &Account,
    api: &Api,
    options: &UpOptions,
    strategies: &[StrategyOnChain],
) -> anyhow::Result<()> {
    let masters = u64::try_from(strategies.len())?.max(1);
    let began = Instant::now();
    let mut done = 0;
    let mut first = 0;
    for (number, strategy) in (0u64..).zip(strategies) {
        // What does not divide evenly goes to the first ones.
        let count = options.followers / masters + u64::from(number < options.followers % masters);
        let followings = draw(options.seed, first, count, strategy, wall_clock())?;
        first += count;
        done += follow(
            chain,
            deployment,
            minter,
            api,
            followings,
            Duration::from_secs(120),
        )
        .await?;
        say(&format!(
            "  {} follow {} ({done} new, {} s)",
            count,
            strategy.name,
            began.elapsed().as_secs()
        ));
    }
    Ok(())
}

async fn fund_demo_wallets(chain: &Chain, venue: &Venue, owner: &Account) -> anyhow::Result<()> {
    for number in 0..3 {
        let wallet = Role::Demo(number).signer()?.address();
        let balance = chain
            .view(venue.usdc, &Usdc::balanceOfCall { owner: wallet })
            .await?;
        if balance.is_zero() {
            venue.mint(chain, owner, wallet, 50_000 * USDC).await?;
        }
    }
    Ok(())
}

async fn print_summary(
    services: &Services,
    chain: &Chain,
    strategies: &[StrategyOnChain],
    continued: bool,
    began: Instant,
) -> anyhow::Result<()> {
    let accounts = account_count(chain, strategies).await?;
    println!();
    println!(
        "Lockstep is {} ({} s): {} masters, {accounts} followers, block {}",
        if continued { "running again" } else { "running" },
        began.elapsed().as_secs(),
        strategies.len(),
        chain.height().await?,
    );
    println!();
    println!("  Dashboard   {}", services.api_url()?);
    println!("  API         {}api/v1/status", services.api_url()?);
    println!(
        "  Chain       {}  (chain id {})",
        services.public_rpc,
        crate::chain::CHAIN_ID
    );
    println!("  Logs        {}", services.directory.join("logs").display());
    println!();
    println!("Wallets to import (local test keys, worthless anywhere else); each has ether and 50,000 USDC:");
    for number in 0..3 {
        let account = Role::Demo(number).account()?;
        println!("  {}  {}", account.address(), account.secret());
    }
    println!();
    println!("Masters:");
    for (number, strategy) in (0u8..).zip(strategies) {
        let vault = strategy.vaults.first().copied().unwrap_or(Address::ZERO);
        println!(
            "  {:<18} {}  trades {} as {}",
            strategy.name,
            vault,
            strategy.markets.join(" and "),
            Role::Master(number).signer()?.address()
        );
    }
    println!();
    println!("Try:");
    println!(
        "  - open the dashboard, choose a master, import a wallet above, sign a mandate: no gas is needed"
    );
    println!(
        "  - watch a master trade and its followers move in the next blocks: tail -f {}",
        services.directory.join("logs/keeper.log").display()
    );
    println!(
        "  - kill the keeper (kill -9 $(cat {})): it comes back and nobody is moved twice",
        services.directory.join("run/keeper.pid").display()
    );
    println!("  - Ctrl-C, then ./script/up again: it continues where it was");
    println!();
    Ok(())
}

/// The check: each master trades in each of its markets, and then everything must come true.
async fn check(
    chain: &Chain,
    deployment: &lockstep_contracts::deployment::Deployment,
    venue: &Venue,
    api: &Api,
    live: &Live,
    strategies: &[StrategyOnChain],
) -> anyhow::Result<()> {
    const FOLLOW_WITHIN: Duration = Duration::from_secs(120);
    for symbol in ["ETH-USD", "BTC-USD"] {
        // A chain that stood still has an old price.
        let price = venue.price(chain, symbol).await?;
        venue
            .set_price(chain, &live.arbitrageur, symbol, price + price / 10_000)
            .await?;
    }
    let mut problems = Vec::new();
    let mut points = 0;
    for (master, strategy) in live.masters.iter().zip(strategies) {
        let trader = master.account.address();
        for (index, symbol) in (0u8..).zip(&strategy.markets) {
            let held = venue.position(chain, trader, symbol).await?;
            let leverage = if held > 0 { -12_000 } else { 15_000 };
            let block = venue
                .trade_to_leverage(chain, &master.account, symbol, leverage)
                .await
                .with_context(|| format!("{} trading {symbol}", strategy.name))?
                .context("nothing to trade")?;
            debug_assert_eq!(
                last_trade(chain, venue, trader, symbol).await.ok().flatten(),
                Some(block)
            );
            let began = Instant::now();
            let mut last = None;
            for vault in &strategy.vaults {
                let reached = eventually(
                    &format!("followers of {} to follow in {symbol}", strategy.name),
                    FOLLOW_WITHIN,
                    async || {
                        let reach = reach(chain, deployment, *vault, strategy.id, index, block).await?;
                        let complete = reach.batches > 0 && reach.left_behind.is_empty();
                        last = Some(reach.clone());
                        Ok(complete.then_some(reach))
                    },
                )
                .await;
                match reached {
                    Ok(reach) => say(&format!(
                        "  {} {symbol}: {reach} ({} ms)",
                        strategy.name,
                        began.elapsed().as_millis()
                    )),
                    Err(error) => problems.push(format!(
                        "{error:#}{}",
                        last.as_ref()
                            .map(|reach| format!(" ({reach})"))
                            .unwrap_or_default()
                    )),
                }
            }
        }
    }
    let height = chain.height().await?;
    eventually("the indexer to catch up", FOLLOW_WITHIN, async || {
        Ok((api.indexed().await? >= height).then_some(()))
    })
    .await?;
    for strategy in strategies {
        for vault in &strategy.vaults {
            let agreed = eventually("the NAV record to agree", Duration::from_secs(30), async || {
                nav_agrees(chain, api, strategy.id, *vault).await.map(Some)
            })
            .await;
            match agreed {
                Ok(count) => {
                    points += count;
                    say(&format!(
                        "  {}: {count} NAV points agree with the chain",
                        strategy.name
                    ));
                }
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    say(&format!(
        "Check passed: {} masters, {} followers, {points} NAV points, block {}",
        strategies.len(),
        account_count(chain, strategies).await?,
        chain.height().await?
    ));
    Ok(())
}

fn warn_about_changed_contracts(layout: &Layout, files: &Files) -> anyhow::Result<()> {
    let now = Genesis::current_key(layout)?;
    if std::fs::read_to_string(files.origin()).is_ok_and(|origin| origin != now) {
        say("  The contracts have changed since this chain began; it continues with the old ones");
    }
    Ok(())
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    if file.try_lock().is_err() {
        bail!("another ./script/up is running in this checkout");
    }
    Ok(file)
}

fn pick_port(wanted: u16) -> anyhow::Result<u16> {
    if std::net::TcpListener::bind(("127.0.0.1", wanted)).is_ok() {
        return Ok(wanted);
    }
    Ok(free_port()?)
}
