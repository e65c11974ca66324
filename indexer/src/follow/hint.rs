//! New heads by WebSocket: a hint to look sooner. Polling goes on whether it speaks or not.

use std::sync::Arc;
use std::time::Duration;

use alloy::providers::{Provider as _, ProviderBuilder, WsConnect};
use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Wakes up whoever waits on what is returned when a block is announced.
pub(super) fn listen(url: Option<Url>, stop: CancellationToken) -> Arc<Notify> {
    let notify = Arc::new(Notify::new());
    if let Some(url) = url {
        let wake = Arc::clone(&notify);
        tokio::spawn(async move {
            let mut pause = Duration::from_secs(1);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    heard = announce(&url, &wake) => {
                        pause = if heard { Duration::from_secs(1) } else { (pause * 2).min(Duration::from_secs(60)) };
                        tracing::debug!("new heads are not announced; polling goes on");
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }
    notify
}

/// Until the connection ends; true when it announced anything.
async fn announce(url: &Url, wake: &Notify) -> bool {
    let mut heard = false;
    if let Ok(provider) = ProviderBuilder::new()
        .connect_ws(WsConnect::new(url.as_str()))
        .await
        && let Ok(subscription) = provider.subscribe_blocks().await
    {
        let mut blocks = subscription.into_stream();
        while blocks.next().await.is_some() {
            heard = true;
            wake.notify_one();
        }
    }
    heard
}
