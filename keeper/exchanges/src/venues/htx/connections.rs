//! Which sockets, and what is said on them first.

use super::sign::login;
use crate::credentials::Credentials;
use crate::error::SignError;
use crate::model::{Interval, Scope, Stream};
use crate::protocol::{Connection, Endpoints};
use crate::venues::{Generation, json_text};

/// Path of the market data socket.
pub(super) const MARKET: &str = "/linear-swap-ws";

/// Path of the socket with mark prices. Unconfirmed.
pub(super) const INDEX: &str = "/ws_index";

/// Path of the account socket, v5.
pub(super) const ACCOUNT: &str = "/ws/v5/notification";

/// Path of the account socket, before v5.
pub(super) const LEGACY_ACCOUNT: &str = "/linear-swap-notification";

/// Topics of an account, v5: all contracts.
const TOPICS: [&str; 4] = ["orders", "trade", "positions", "account"];

/// Topics of an account before v5, with shared margin. Order messages carry their fills.
const LEGACY_TOPICS: [&str; 3] = ["orders_cross.*", "positions_cross.*", "accounts_cross.*"];

/// One socket for market data, one for mark prices, one for the account, each where it is needed.
pub(super) fn connections(
    generation: Generation,
    endpoints: &Endpoints,
    streams: &[Stream],
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<Vec<Connection>, SignError> {
    let mut market = Vec::new();
    let mut index = Vec::new();
    for stream in streams {
        let list = match stream {
            Stream::Mark { .. } => &mut index,
            _ => &mut market,
        };
        if let Some(frame) = subscription(stream).filter(|frame| !list.contains(frame)) {
            list.push(frame);
        }
    }
    let mut out = Vec::new();
    for (url, subscribe) in [
        (&endpoints.public_socket, market),
        (&endpoints.market_socket, index),
    ] {
        if !subscribe.is_empty() {
            out.push(Connection {
                url: url.clone(),
                login: None,
                subscribe,
            });
        }
    }
    if streams.iter().any(|stream| stream.scope() == Scope::Private) {
        let credentials = credentials.ok_or(SignError::NoCredentials)?;
        out.push(Connection {
            url: endpoints.private_socket.clone(),
            login: Some(login(&endpoints.private_socket, credentials, timestamp_ms)?),
            subscribe: match generation {
                Generation::Legacy => LEGACY_TOPICS
                    .iter()
                    .enumerate()
                    .map(|(id, topic)| {
                        format!("{{\"op\":\"sub\",\"cid\":\"{}\",\"topic\":\"{topic}\"}}", id + 1)
                    })
                    .collect(),
                Generation::Current | Generation::Next => TOPICS
                    .iter()
                    .enumerate()
                    .map(|(id, topic)| {
                        format!(
                            "{{\"op\":\"sub\",\"cid\":\"{}\",\"topic\":\"{topic}\",\"contract_code\":\"*\"}}",
                            id + 1
                        )
                    })
                    .collect(),
            },
        });
    }
    Ok(out)
}

/// The venue's word for an interval.
pub(super) const fn period(interval: Interval) -> &'static str {
    match interval {
        Interval::Minute => "1min",
        Interval::FiveMinutes => "5min",
        Interval::QuarterHour => "15min",
        Interval::Hour => "60min",
        Interval::FourHours => "4hour",
        Interval::Day => "1day",
    }
}

fn subscription(stream: &Stream) -> Option<String> {
    let (channel, more) = match stream {
        Stream::Ticker { instrument } => (format!("market.{instrument}.bbo"), ""),
        Stream::Book { instrument } => (
            format!("market.{instrument}.depth.size_20.high_freq"),
            ",\"data_type\":\"incremental\"",
        ),
        Stream::Trades { instrument } => (format!("market.{instrument}.trade.detail"), ""),
        Stream::Klines { instrument, interval } => {
            (format!("market.{instrument}.kline.{}", period(*interval)), "")
        }
        Stream::Mark { instrument } => (format!("market.{instrument}.mark_price.1min"), ""),
        Stream::Account | Stream::User { .. } => return None,
    };
    Some(format!(
        "{{\"sub\":{channel},\"id\":{channel}{more}}}",
        channel = json_text(&channel)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Environment, Protocol as _};
    use crate::venues::htx::Htx;

    #[test]
    fn each_generation_has_its_own_account_socket() {
        let credentials = Credentials::new("test_api_key", "test_secret", None);
        for (generation, url, topic) in [
            (
                Generation::Current,
                "wss://api.hbdm.com/ws/v5/notification",
                r#"{"op":"sub","cid":"1","topic":"orders","contract_code":"*"}"#,
            ),
            (
                Generation::Legacy,
                "wss://api.hbdm.com/linear-swap-notification",
                r#"{"op":"sub","cid":"1","topic":"orders_cross.*"}"#,
            ),
        ] {
            let endpoints = Htx(generation).endpoints(Environment::Main);
            let sockets = connections(
                generation,
                &endpoints,
                &[Stream::Account],
                Some(&credentials),
                1_700_000_000_000,
            )
            .unwrap();
            assert_eq!(sockets.len(), 1);
            assert_eq!(sockets[0].url, url);
            assert_eq!(sockets[0].subscribe[0], topic);
            assert!(sockets[0].login.is_some());
        }
    }

    #[test]
    fn mark_prices_come_from_a_socket_of_their_own() {
        let endpoints = Htx(Generation::Current).endpoints(Environment::Main);
        let streams = [
            Stream::Ticker {
                instrument: "BTC-USDT".into(),
            },
            Stream::Mark {
                instrument: "BTC-USDT".into(),
            },
        ];
        let sockets = connections(Generation::Current, &endpoints, &streams, None, 0).unwrap();
        assert_eq!(sockets[0].url, "wss://api.hbdm.com/linear-swap-ws");
        assert_eq!(
            sockets[0].subscribe,
            [r#"{"sub":"market.BTC-USDT.bbo","id":"market.BTC-USDT.bbo"}"#]
        );
        assert_eq!(sockets[1].url, "wss://api.hbdm.com/ws_index");
    }
}
