//! Masters who trade on an exchange: their fills move the followers on the chain.

use lockstep_devnet::process::eventually;
use lockstep_devnet::stack::{PATIENCE, Stack, StackOptions};
use lockstep_exchanges::model::{Cause, Decimal, MarginMode, OrderKind, PositionSide, Scope, Side, Venue};
use lockstep_exchanges::operation::NewOrder;
use lockstep_exchanges::simulate::faults::Fault;
use lockstep_exchanges::simulate::server::Simulator;
use lockstep_exchanges::simulate::venues::start;

use crate::common::log;
use crate::signals::{Signed, join, on_side, register};

const KEY: &str = "test_api_key";

/// The exchange's account trades `size` ETH at its own page.
fn trade(exchange: &Simulator, side: Side, size: u32) -> anyhow::Result<()> {
    let order = NewOrder {
        instrument: "ETHUSDT".into(),
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
    Ok(exchange.act(|engine| engine.place(KEY, &order)).map(|_| ())?)
}

/// A follower of a master on a simulated Binance, and a keeper that follows the master's account there.
async fn followed() -> anyhow::Result<(Stack, Simulator, Signed, u32)> {
    let exchange = start(Venue::Binance, ([127, 0, 0, 1], 0).into(), None, 1).await?;
    let mut stack = Stack::with(StackOptions {
        keeper: false,
        indexer: false,
        api: false,
        ..StackOptions::default()
    })
    .await?;
    let strategy = register(&stack).await?;
    let (http, socket) = (exchange.url(), exchange.url().replacen("http", "ws", 1));
    stack.services.keeper_extra = format!(
        "[pace]\npoll_ms = 100\nlook_seconds = 1\n\
         [[exchange_masters]]\nstrategy = {}\nvenue = \"binance\"\nkey = \"{KEY}\"\nsecret = \"test_secret\"\n\
         snapshot_seconds = 2\n\
         [exchange_masters.endpoints]\nrest = \"{http}\"\npublic_socket = \"{socket}/ws\"\n\
         market_socket = \"{socket}/ws\"\nprivate_socket = \"{socket}/private/ws\"\n\
         [exchange_masters.markets]\n\"ETH-USD\" = \"ETHUSDT\"\n",
        strategy.id
    );
    stack.start_keeper()?;
    let account = join(&stack, &strategy, 1).await?;
    Ok((stack, exchange, strategy, account))
}

async fn log_has(stack: &Stack, text: &str) -> anyhow::Result<()> {
    eventually(&format!("the keeper to log {text:?}"), PATIENCE, async || {
        Ok(log(stack)?.contains(text).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_fill_on_an_exchange_moves_the_followers_and_a_flip_turns_them() -> anyhow::Result<()> {
    let (stack, exchange, strategy, account) = followed().await?;
    trade(&exchange, Side::Buy, 200)?;
    on_side(&stack, &strategy, account, 1).await?;
    trade(&exchange, Side::Sell, 400)?;
    on_side(&stack, &strategy, account, -1).await?;
    trade(&exchange, Side::Buy, 200)?;
    on_side(&stack, &strategy, account, 0).await?;
    assert!(!log(&stack)?.contains("test_secret"), "a secret in the log");
    Ok(())
}

#[tokio::test]
async fn a_fill_that_the_stream_lost_is_found_by_the_snapshot() -> anyhow::Result<()> {
    let (stack, exchange, strategy, account) = followed().await?;
    trade(&exchange, Side::Buy, 200)?;
    on_side(&stack, &strategy, account, 1).await?;
    // The socket stays open and answers, and says nothing of what happens.
    exchange.fault(&Fault::SilentStream {
        scope: Scope::Private,
        milliseconds: 600_000,
    });
    trade(&exchange, Side::Sell, 400)?;
    on_side(&stack, &strategy, account, -1).await
}

#[tokio::test]
async fn what_the_exchange_closes_for_the_master_is_followed_and_said() -> anyhow::Result<()> {
    let (stack, exchange, strategy, account) = followed().await?;
    trade(&exchange, Side::Buy, 200)?;
    on_side(&stack, &strategy, account, 1).await?;
    exchange.act(|engine| engine.force_close(KEY, "ETHUSDT", PositionSide::Net, Cause::Liquidation));
    on_side(&stack, &strategy, account, 0).await?;
    log_has(&stack, "the exchange traded for the master").await
}
