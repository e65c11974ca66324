//! Masters who trade on an exchange: their fills move the followers on the chain.

use anyhow::Context as _;
use lockstep_devnet::process::eventually;
use lockstep_devnet::stack::{PATIENCE, Stack, StackOptions};
use lockstep_exchanges::model::{Cause, Decimal, MarginMode, OrderKind, PositionSide, Scope, Side, Venue};
use lockstep_exchanges::operation::NewOrder;
use lockstep_exchanges::protocol::Environment;
use lockstep_exchanges::simulate::engine::Account;
use lockstep_exchanges::simulate::faults::Fault;
use lockstep_exchanges::simulate::server::Simulator;
use lockstep_exchanges::simulate::venues::{account, start};
use lockstep_exchanges::venues::protocol;
use serde_json::Value;

use crate::common::{get, log, looked_again, text};
use crate::signals::{Signed, join, on_side, register, stored};

const KEY: &str = "test_api_key";
const PACE: &str = "[pace]\npoll_ms = 100\nlook_seconds = 1\n";

/// What a venue calls its ETH perpetual, and what it is margined in.
const fn eth(venue: Venue) -> (&'static str, &'static str) {
    match venue {
        Venue::Binance | Venue::Bybit | Venue::Bitget => ("ETHUSDT", "USDT"),
        Venue::Okx => ("ETH-USDT-SWAP", "USDT"),
        Venue::Htx => ("ETH-USDT", "USDT"),
        Venue::Deribit => ("ETH_USDC-PERPETUAL", "USDC"),
        Venue::Hyperliquid => ("ETH", "USDC"),
    }
}

/// An account on a simulated venue that is a strategy's master.
struct Master<'a> {
    venue: Venue,
    exchange: &'a Simulator,
    account: Account,
    strategy: Signed,
}

impl<'a> Master<'a> {
    async fn register(stack: &Stack, exchange: &'a Simulator, account: Account) -> anyhow::Result<Self> {
        Ok(Self {
            venue: exchange.venue(),
            exchange,
            account,
            strategy: register(stack).await?,
        })
    }

    /// Its part of the keeper's configuration. On Hyperliquid no key and no secret: the address.
    fn configuration(&self) -> anyhow::Result<String> {
        let (instrument, asset) = eth(self.venue);
        let endpoints = protocol(self.venue)
            .endpoints(Environment::Main)
            .moved_to(&self.exchange.url());
        // Two seconds would use up what an address may ask Hyperliquid in a minute.
        let snapshot_seconds = if self.venue == Venue::Hyperliquid { 20 } else { 2 };
        let secrets = if self.venue == Venue::Hyperliquid {
            String::new()
        } else {
            let Account {
                secret, passphrase, ..
            } = &self.account;
            format!("secret = {secret:?}\npassphrase = {passphrase:?}\n")
        };
        Ok(format!(
            "[[exchange_masters]]\nstrategy = {}\nvenue = \"{}\"\nkey = {:?}\n{secrets}\
             equity_asset = \"{asset}\"\nsnapshot_seconds = {snapshot_seconds}\n\
             [exchange_masters.endpoints]\nrest = {:?}\npublic_socket = {:?}\nmarket_socket = {:?}\n\
             private_socket = {:?}\n\
             [exchange_masters.markets]\n\"ETH-USD\" = \"{instrument}\"\n",
            self.strategy.id,
            self.venue,
            self.account.key,
            endpoints.rest,
            endpoints.public_socket,
            endpoints.market_socket,
            endpoints.private_socket,
        ))
    }

    /// The account trades `size` ETH at its own page.
    fn trade(&self, side: Side, size: u32) -> anyhow::Result<()> {
        let order = NewOrder {
            instrument: eth(self.venue).0.into(),
            side,
            size: Decimal::from(size),
            order_kind: OrderKind::Market,
            price: None,
            time_in_force: None,
            reduce_only: false,
            position_side: PositionSide::Net,
            margin_mode: MarginMode::Cross,
            leverage: None,
            client_order_id: None,
        };
        let placed = self
            .exchange
            .act(|engine| engine.place(&self.account.key, &order));
        Ok(placed.map(|_| ())?)
    }
}

async fn chain_alone() -> anyhow::Result<Stack> {
    Stack::with(StackOptions {
        keeper: false,
        indexer: false,
        api: false,
        ..StackOptions::default()
    })
    .await
}

fn start_keeper(stack: &mut Stack, before: &str, masters: &[Master<'_>]) -> anyhow::Result<()> {
    let masters: Vec<String> = masters
        .iter()
        .map(Master::configuration)
        .collect::<anyhow::Result<_>>()?;
    stack.services.keeper_extra = format!("{PACE}{before}{}", masters.concat());
    stack.start_keeper()
}

/// What the keeper shows of its masters.
async fn shown(stack: &Stack) -> anyhow::Result<Vec<Value>> {
    let health = get(stack, "readyz").await?;
    Ok(health["exchangeMasters"].as_array().cloned().unwrap_or_default())
}

/// Waits until all masters' accounts are known.
async fn certain(stack: &Stack) -> anyhow::Result<Vec<Value>> {
    eventually("the masters to be certain", PATIENCE, async || {
        // The door opens some time after the process has started.
        let Ok(masters) = shown(stack).await else {
            return Ok(None);
        };
        let all = !masters.is_empty() && masters.iter().all(|master| master["certain"] == true);
        Ok(all.then_some(masters))
    })
    .await
}

/// A simulated Binance.
async fn binance() -> anyhow::Result<Simulator> {
    Ok(start(Venue::Binance, ([127, 0, 0, 1], 0).into(), None, 1).await?)
}

/// A follower of a master on a simulated Binance, and a keeper that follows the master's account there.
async fn followed(exchange: &Simulator) -> anyhow::Result<(Stack, Master<'_>, u32)> {
    let mut stack = chain_alone().await?;
    let master = Master::register(&stack, exchange, account(Venue::Binance)).await?;
    start_keeper(&mut stack, "", std::slice::from_ref(&master))?;
    let account = join(&stack, &master.strategy, 1).await?;
    Ok((stack, master, account))
}

async fn log_has(stack: &Stack, text: &str) -> anyhow::Result<()> {
    eventually(&format!("the keeper to log {text:?}"), PATIENCE, async || {
        Ok(log(stack)?.contains(text).then_some(()))
    })
    .await
}

/// One chain, seven strategies, seven venues: the same trades everywhere.
#[tokio::test]
async fn a_fill_on_any_venue_moves_the_followers_and_a_flip_turns_them() -> anyhow::Result<()> {
    let mut exchanges = Vec::new();
    for venue in Venue::ALL {
        exchanges.push(start(venue, ([127, 0, 0, 1], 0).into(), None, 1).await?);
    }
    let mut stack = chain_alone().await?;
    let mut masters = Vec::new();
    for exchange in &exchanges {
        let venue = exchange.venue();
        masters.push(Master::register(&stack, exchange, account(venue)).await?);
    }
    start_keeper(&mut stack, "", &masters)?;
    let mut accounts = Vec::new();
    for (master, index) in masters.iter().zip(1..) {
        accounts.push(join(&stack, &master.strategy, index).await?);
    }
    for (side, size, sign) in [(Side::Buy, 200, 1), (Side::Sell, 400, -1), (Side::Buy, 200, 0)] {
        for master in &masters {
            master.trade(side, size)?;
        }
        for (master, account) in masters.iter().zip(&accounts) {
            on_side(&stack, &master.strategy, *account, sign)
                .await
                .with_context(|| {
                    let log = log(&stack).unwrap_or_default();
                    format!("master on {}:\n{log}", master.venue)
                })?;
        }
    }
    let shown = certain(&stack).await?;
    for (master, shown) in masters.iter().zip(&shown) {
        assert_eq!(shown["venue"], master.venue.name());
        assert_eq!(shown["readBy"], "account");
        assert_eq!(shown["breaker"], "healthy", "{shown}");
        assert_eq!(shown["errorsPerThousand"], 0, "{shown}");
        assert!(shown["meanLatencyUs"].is_u64(), "{shown}");
        assert!(shown["dataAgeMs"].is_u64(), "{shown}");
    }
    let metrics = text(&stack, "metrics").await?;
    for venue in Venue::ALL {
        let gauge = metrics
            .lines()
            .find(|line| line.starts_with("keeper_exchange_master_certain{") && line.contains(venue.name()));
        assert!(
            gauge.is_some_and(|line| line.ends_with(" 1")),
            "{venue}: {gauge:?}"
        );
    }
    assert!(!log(&stack)?.contains("test_secret"), "a secret in the log");
    Ok(())
}

/// With more masters than the venue lets one address follow, the public trades name them; no key is needed either way.
#[tokio::test]
async fn many_hyperliquid_masters_are_read_from_the_public_trades() -> anyhow::Result<()> {
    let exchange = start(Venue::Hyperliquid, ([127, 0, 0, 1], 0).into(), None, 1).await?;
    let mut stack = chain_alone().await?;
    let mut masters = vec![Master::register(&stack, &exchange, account(Venue::Hyperliquid)).await?];
    let other = Account::new(
        "0x00000000000000000000000000000000000000aa",
        "",
        "",
        Decimal::from(1_000_000),
    );
    exchange.act(|engine| engine.add_account(other.clone()));
    masters.push(Master::register(&stack, &exchange, other).await?);
    start_keeper(&mut stack, "[hyperliquid]\nuser_streams = 1\n", &masters)?;
    let [first, second] = [
        join(&stack, &masters[0].strategy, 1).await?,
        join(&stack, &masters[1].strategy, 2).await?,
    ];
    for master in certain(&stack).await? {
        assert_eq!(master["readBy"], "publicTrades", "{master}");
    }
    masters[0].trade(Side::Buy, 200)?;
    on_side(&stack, &masters[0].strategy, first, 1).await?;
    masters[1].trade(Side::Sell, 200)?;
    on_side(&stack, &masters[1].strategy, second, -1).await?;
    // Trades that nobody saw are found when the connection is back.
    exchange.fault(&Fault::Disconnect { scope: Scope::Public });
    masters[0].trade(Side::Sell, 400)?;
    on_side(&stack, &masters[0].strategy, first, -1).await?;
    on_side(&stack, &masters[1].strategy, second, -1).await
}

/// What the chain has stored of the master's signals.
async fn sequence(stack: &Stack, master: &Master<'_>) -> anyhow::Result<u64> {
    Ok(stored(stack, &master.strategy).await?.sequence)
}

/// The state is taken anew at every start, so a fill that nobody saw is not missed; what was attested is remembered, so
/// that none is attested twice.
#[tokio::test]
async fn a_keeper_killed_around_a_fill_attests_it_once() -> anyhow::Result<()> {
    let exchange = binance().await?;
    // Small enough for one fill each.
    let mut poor = account(Venue::Binance);
    poor.wallet = Decimal::from(100_000);
    exchange.act(|engine| engine.add_account(poor));
    let (mut stack, master, account) = followed(&exchange).await?;
    master.trade(Side::Buy, 20)?;
    on_side(&stack, &master.strategy, account, 1).await?;
    looked_again(&stack, 2).await?;
    let mut attested = sequence(&stack, &master).await?;

    // Nothing happened while it was away.
    stack.kill_keeper().await?;
    stack.start_keeper()?;
    certain(&stack).await?;
    looked_again(&stack, 3).await?;
    assert_eq!(
        sequence(&stack, &master).await?,
        attested,
        "attested again:\n{}",
        log(&stack)?
    );

    // Between the fill and the signal, and after it: killed while it works, and while it was not there to see it.
    for (side, sign, killed_before) in [
        (Side::Sell, -1, true),
        (Side::Buy, 1, false),
        (Side::Sell, -1, false),
        (Side::Buy, 1, true),
    ] {
        if killed_before {
            stack.kill_keeper().await?;
            master.trade(side, 40)?;
        } else {
            master.trade(side, 40)?;
            stack.kill_keeper().await?;
        }
        stack.start_keeper()?;
        on_side(&stack, &master.strategy, account, sign).await?;
        certain(&stack).await?;
        looked_again(&stack, 3).await?;
        attested += 1;
        assert_eq!(sequence(&stack, &master).await?, attested, "{}", log(&stack)?);
    }
    Ok(())
}

#[tokio::test]
async fn a_fill_that_the_stream_lost_is_found_by_the_snapshot() -> anyhow::Result<()> {
    let exchange = binance().await?;
    let (stack, master, account) = followed(&exchange).await?;
    master.trade(Side::Buy, 200)?;
    on_side(&stack, &master.strategy, account, 1).await?;
    // The socket stays open and answers, and says nothing of what happens.
    exchange.fault(&Fault::SilentStream {
        scope: Scope::Private,
        milliseconds: 600_000,
    });
    master.trade(Side::Sell, 400)?;
    on_side(&stack, &master.strategy, account, -1).await
}

#[tokio::test]
async fn what_the_exchange_closes_for_the_master_is_followed_and_said() -> anyhow::Result<()> {
    let exchange = binance().await?;
    let (stack, master, account) = followed(&exchange).await?;
    master.trade(Side::Buy, 200)?;
    on_side(&stack, &master.strategy, account, 1).await?;
    exchange.act(|engine| engine.force_close(KEY, "ETHUSDT", PositionSide::Net, Cause::Liquidation));
    on_side(&stack, &master.strategy, account, 0).await?;
    log_has(&stack, "the exchange traded for the master").await
}
