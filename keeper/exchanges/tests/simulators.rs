//! ccxt, a client nobody here wrote, trades on every simulator: they speak the venue's protocol and do not merely agree
//! with our own code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use lockstep_exchanges::model::Venue;
use lockstep_exchanges::simulate::venues::start;

/// How long ccxt may take with one venue.
const PATIENCE: Duration = Duration::from_secs(90);

async fn ccxt_trades_on(venue: Venue) {
    ccxt_trades_as(venue, venue.name()).await;
}

/// `client` is the one of `venues.mjs` that trades.
async fn ccxt_trades_as(venue: Venue, client: &str) {
    let step = Some(Duration::from_millis(100));
    let simulator = start(venue, ([127, 0, 0, 1], 0).into(), step, 1).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ccxt/trade.mjs");
    let run = tokio::process::Command::new("node")
        .args([script.as_os_str(), client.as_ref(), simulator.url().as_ref()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run)
        .await
        .expect("ccxt did not end in time")
        .expect("node is needed to run ccxt");
    assert!(
        output.status.success(),
        "ccxt could not trade on {venue} as {client}:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn ccxt_trades_on_the_simulator_of_binance() {
    ccxt_trades_on(Venue::Binance).await;
}

#[tokio::test]
async fn ccxt_trades_on_the_simulator_of_hyperliquid() {
    ccxt_trades_on(Venue::Hyperliquid).await;
}

#[tokio::test]
async fn ccxt_trades_on_the_simulator_of_deribit() {
    ccxt_trades_on(Venue::Deribit).await;
}

#[tokio::test]
async fn ccxt_trades_on_the_simulator_of_deribit_with_an_inverse_perpetual() {
    ccxt_trades_as(Venue::Deribit, "deribitInverse").await;
}

#[tokio::test]
async fn ccxt_trades_on_the_simulator_of_htx() {
    ccxt_trades_on(Venue::Htx).await;
}

#[tokio::test]
async fn ccxt_trades_on_the_simulator_of_okx() {
    ccxt_trades_on(Venue::Okx).await;
}

#[tokio::test]
async fn ccxt_trades_on_the_simulator_of_bybit() {
    ccxt_trades_on(Venue::Bybit).await;
}

#[tokio::test]
async fn ccxt_trades_on_the_simulator_of_bitget() {
    ccxt_trades_on(Venue::Bitget).await;
}

#[tokio::test]
async fn ccxt_trades_on_the_simulator_of_bitget_with_a_unified_account() {
    ccxt_trades_as(Venue::Bitget, "bitgetUnified").await;
}
