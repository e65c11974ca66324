//! The keeper's port of the sizing against the contract's own view, on accounts, positions, prices and days that a seed
//! draws. `LOCKSTEP_LONG=1` draws seven times as many.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alloy::primitives::{I256, U256};
use alloy::providers::Provider as _;
use anyhow::Context as _;
use lockstep_contracts::bindings::{IMirrorEngine, IStrategyVault};
use lockstep_contracts::fills::{Outcome, encode_accounts};
use lockstep_contracts::relay::{Intent, Mandate};
use lockstep_contracts::units::{Size, Usdc, Wad};
use lockstep_devnet::chain::{Mining, TRANSACTION_GAS_LIMIT, wall_clock};
use lockstep_devnet::followers::{Follower, USDC, drawn_mandate};
use lockstep_devnet::genesis::Role;
use lockstep_devnet::masters::MASTERS;
use lockstep_devnet::random::Random;
use lockstep_devnet::stack::{Master, Stack, StackOptions};
use lockstep_keeper::chain::pool::Pool;
use lockstep_keeper::chain::{Rpc as _, views};
use lockstep_keeper::plan::{View, sizing, sizing_of};
use lockstep_keeper::state::{Book, load};

use crate::common::follow_many;

const FOLLOWERS: u64 = 30;
const MARKETS: [&str; 2] = ["BTC-USD", "ETH-USD"];
/// Leverages asked about for each account, market and round.
const ASKED: u64 = 5;

/// Mandates around every bound: most are as on the local stack, the others are tight in one place.
fn mandate(seed: u64, index: u64, follower: &Follower, master: &Master) -> Mandate {
    let now = wall_clock();
    let mut random = Random::fork(seed, index + 1_000);
    let mut mandate = drawn_mandate(seed, index, follower.address(), master.vault, &MARKETS, now);
    let deposit = mandate.deposit / USDC;
    match index % 6 {
        0 => mandate.max_daily_turnover = random.between(deposit, 6 * deposit) * USDC,
        1 => mandate.max_position_notional = random.between(deposit / 4, 2 * deposit).max(1) * USDC,
        // Ends a few hours into the run.
        2 => mandate.expiry = now + random.between(1, 30) * 3_600,
        3 => mandate.max_leverage_bps = u32::try_from(random.between(20, 300)).unwrap_or(100) * 100,
        _ => {}
    }
    mandate
}

async fn follow_all(stack: &Stack, master: &Master, seed: u64) -> anyhow::Result<Vec<Follower>> {
    let mut mandates = Vec::new();
    for index in 0..FOLLOWERS {
        let follower = stack.follower(index)?;
        let mandate = mandate(seed, index, &follower, master);
        mandates.push((follower, mandate));
    }
    follow_many(stack, master, &mandates).await?;
    Ok(mandates.into_iter().map(|(follower, _)| follower).collect())
}

/// New prices, new positions of the master, some of the followers brought along, some time.
async fn shake(stack: &Stack, master: &Master, random: &mut Random) -> anyhow::Result<()> {
    for (market, symbol) in (0..).zip(MARKETS) {
        let price = stack.venue.price(&stack.chain, symbol).await?;
        stack
            .set_price(symbol, price * random.between(975, 1_025) / 1_000)
            .await?;
        let leverage = i64::try_from(random.between(0, 30))? * 1_000 - 15_000;
        // None: the master holds that already.
        let _ = stack
            .venue
            .trade_to_leverage(&stack.chain, &master.account, symbol, leverage)
            .await?;
        let named: BTreeSet<u32> = (1..=u32::try_from(FOLLOWERS)?)
            .filter(|_| random.between(0, 3) > 0)
            .collect();
        let call = IMirrorEngine::mirrorVenueCall {
            vault: master.vault,
            market,
            observedAt: 0,
            accounts: encode_accounts(&named).into(),
        };
        let engine = stack.deployment.engine;
        stack
            .chain
            .execute(&stack.keeper_account, engine, &call, TRANSACTION_GAS_LIMIT)
            .await?;
    }
    stack.advance(random.between(60, 20_000)).await?;
    for symbol in MARKETS {
        let price = stack.venue.price(&stack.chain, symbol).await?;
        stack.set_price(symbol, price).await?;
    }
    Ok(())
}

fn leverage(random: &mut Random) -> anyhow::Result<Wad> {
    const STEP: i128 = 1_000_000_000_000_000;
    let steps = i128::from(random.between(0, 2 * 6_000)) - 6_000;
    Ok(Wad(match random.between(0, 9) {
        0 => 0,
        1 => i128::from(random.between(0, 200)) * 1_000 * STEP - 100_000 * STEP,
        _ => steps * STEP + i128::from(random.between(0, u64::from(u32::MAX))),
    }))
}

#[tokio::test]
async fn the_port_sizes_as_the_contract_does() -> anyhow::Result<()> {
    let rounds = if std::env::var_os("LOCKSTEP_LONG").is_some() {
        20
    } else {
        3
    };
    let seed = std::env::var("LOCKSTEP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(7);
    println!("LOCKSTEP_SEED={seed}");
    let stack = Stack::with(StackOptions {
        keeper: false,
        indexer: false,
        api: false,
        mining: Mining::AtOnce,
        seed,
        ..StackOptions::default()
    })
    .await?;
    let master = register(&stack).await?;
    let followers = follow_all(&stack, &master, seed).await?;
    let rpc = Pool::new(&[stack.chain.url().clone()], Duration::from_secs(20), 5);
    let mut random = Random::fork(seed, 0);
    let mut states = 0;
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    for round in 0..rounds {
        shake(&stack, &master, &mut random).await?;
        // A few stop; were it all of them, there would be little left to size.
        if round < 3
            && let Some(follower) = followers.get(usize::try_from(round * 7)?)
        {
            stop(&stack, &master, follower).await?;
        }
        // Nothing moves while it is compared.
        blocks_every(&stack, 0).await?;
        let mut book = Book {
            head: Some(rpc.head().await?),
            ..Book::default()
        };
        for id in load::strategy_ids(&rpc, &stack.deployment).await? {
            load::strategy(&rpc, &stack.deployment, &mut book, id).await?;
        }
        load::vault(&rpc, &mut book, master.vault).await?;
        load::market_state(&rpc, &stack.deployment, &mut book).await?;
        states += compare(&rpc, &book, &master, &mut random, &mut outcomes)
            .await
            .with_context(|| format!("LOCKSTEP_SEED={seed}, round {round}"))?;
        blocks_every(&stack, 1).await?;
    }
    println!("{states} states: {outcomes:?}");
    assert!(states >= 500, "{states} states are too few");
    // A comparison of accounts that all do the same would say little.
    assert!(outcomes.len() >= 5, "{outcomes:?}");
    Ok(())
}

/// Seconds between blocks; 0: none but for a transaction.
async fn blocks_every(stack: &Stack, seconds: u64) -> anyhow::Result<()> {
    let provider = stack.chain.provider();
    Ok(provider
        .raw_request("evm_setIntervalMining".into(), [seconds])
        .await?)
}

async fn register(stack: &Stack) -> anyhow::Result<Master> {
    let plan = MASTERS.get(1).context("a master of two markets")?.clone();
    anyhow::ensure!(plan.markets == MARKETS, "the order of the markets has changed");
    let account = Role::Master(1).account()?;
    stack
        .venue
        .fund_trader(&stack.chain, &account, plan.equity)
        .await?;
    let listed = |symbol: &str| {
        let market = stack
            .deployment
            .markets
            .iter()
            .find(|market| market.symbol == symbol);
        market.map(|market| market.listing_id).context("not listed")
    };
    let listings = MARKETS.into_iter().map(listed).collect::<anyhow::Result<_>>()?;
    let mut call = plan.registration(stack.deployment.venue, account.address(), listings);
    // What the vault may hold is little, so that its room counts too.
    call.terms.maxOpenNotional = 100_000 * USDC;
    stack
        .chain
        .execute(&account, stack.deployment.registry, &call, 6_000_000)
        .await?;
    stack.master_with(1, plan).await
}

async fn stop(stack: &Stack, master: &Master, follower: &Follower) -> anyhow::Result<()> {
    let (nonce, deadline) = (U256::from(99), U256::MAX);
    let signed = follower.sign_intent(
        &stack.deployment,
        Intent::Stop {
            follower: follower.address(),
            strategy: master.vault,
            nonce,
            deadline,
        },
    )?;
    let call = IMirrorEngine::stopCall {
        intent: IMirrorEngine::Stop {
            follower: follower.address(),
            strategy: master.vault,
            nonce,
            deadline,
        },
        signature: signed.signature,
    };
    let engine = stack.deployment.engine;
    stack
        .chain
        .execute(&stack.keeper_account, engine, &call, 1_000_000)
        .await?;
    Ok(())
}

/// Compares every account in every market; gives how many states that were.
async fn compare(
    rpc: &Pool,
    book: &Book,
    master: &Master,
    random: &mut Random,
    outcomes: &mut BTreeMap<String, u32>,
) -> anyhow::Result<u32> {
    let strategy = book.strategies.values().next().context("no strategy")?;
    let vault = book.vaults.get(&master.vault).context("no vault")?;
    let mut asked = Vec::new();
    for account in vault.accounts.keys() {
        for market in [0, 1] {
            for _ in 0..ASKED {
                asked.push((*account, market, leverage(random)?));
            }
        }
    }
    let previews: Vec<_> = asked
        .iter()
        .map(|(account, market, leverage)| {
            let call = IStrategyVault::previewTargetCall {
                account: *account,
                market: *market,
                leverage: I256::try_from(leverage.0).unwrap_or_default(),
            };
            (master.vault, call)
        })
        .collect();
    let equities: Vec<_> = asked
        .iter()
        .map(|(account, ..)| (master.vault, IStrategyVault::equityOfCall { account: *account }))
        .collect();
    let previews = views::many(rpc, &previews).await?;
    let equities = views::many(rpc, &equities).await?;
    for (((index, market, leverage), preview), equity) in asked.iter().zip(previews).zip(equities) {
        let account = vault.accounts.get(index).context("no account")?;
        let view = View {
            book,
            strategy,
            market: *market,
            leverage: *leverage,
            reduce_only: false,
            tolerance_bps: 0,
        };
        let (batch, holder) = sizing_of(&view, vault, account).context("a price is missing")?;
        // The port's equity rounds price and funding of a position apart: at most 1e-6 USDC less for each of them.
        let equity = Usdc::try_from_i256(equity?)?;
        let less = equity.0 - holder.equity.0;
        let most = i128::try_from(account.positions.len())?;
        anyhow::ensure!(
            (0..=most).contains(&less),
            "equity of account {index}: the chain says {}, the port {}",
            equity.0,
            holder.equity.0
        );
        // For the same equity target and outcome are the same to the last digit.
        let preview = preview?;
        let said = (
            Size::try_from_i256(preview.target)?,
            Outcome::try_from(preview.outcome)?,
        );
        let holder = sizing::Holder { equity, ..holder };
        let port = sizing::order(&batch, &holder);
        anyhow::ensure!(
            port == said,
            "account {index} market {market} leverage {leverage}: the chain says {said:?}, the port {port:?} of \
             {batch:?} {holder:?}"
        );
        let moved = i128::try_from(preview.delta)?;
        anyhow::ensure!(
            moved == said.0.0 - holder.size.0,
            "the chain's delta is not its target"
        );
        *outcomes.entry(format!("{:?}", port.1)).or_default() += 1;
    }
    Ok(u32::try_from(asked.len())?)
}
