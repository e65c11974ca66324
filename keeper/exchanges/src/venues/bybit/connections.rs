//! Sockets: which streams live where, how they are logged in to and subscribed to.

use std::time::Duration;

use super::sign::signature;
use super::words::{self, Category};
use crate::credentials::Credentials;
use crate::error::SignError;
use crate::model::Stream;
use crate::protocol::{Connection, Endpoints, Environment, Heartbeat};
use crate::venues::json_text;

/// What is subscribed to of an account. `execution.fast` comes earlier but says neither why a trade happened nor what it
/// cost: a liquidation would look like the owner's will. So it is read where it comes, but not asked for.
const ACCOUNT_TOPICS: [&str; 4] = ["order", "execution", "position", "wallet"];

/// Topics in one message: what spot allows; other products do not say.
const TOPICS_PER_MESSAGE: usize = 10;

/// How long a login message may be on its way.
const LOGIN_WINDOW_MS: u64 = 10_000;

pub(super) fn endpoints(environment: Environment) -> Endpoints {
    let (rest, stream) = match environment {
        Environment::Main => ("https://api.bybit.com", "wss://stream.bybit.com"),
        Environment::Test => ("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"),
    };
    Endpoints {
        rest: rest.to_owned(),
        public_socket: format!("{stream}/v5/public/linear"),
        market_socket: format!("{stream}/v5/public/inverse"),
        private_socket: format!("{stream}/v5/private"),
    }
}

/// The venue drops what has been silent for ten minutes and asks for a ping every 20 seconds.
pub(super) fn heartbeat() -> Heartbeat {
    Heartbeat::Client {
        text: r#"{"req_id":"ping","op":"ping"}"#.to_owned(),
        every: Duration::from_secs(20),
    }
}

/// Linear instruments live on the public socket, inverse ones on the market socket.
pub(super) fn connections(
    endpoints: &Endpoints,
    streams: &[Stream],
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<Vec<Connection>, SignError> {
    let mut linear = Vec::new();
    let mut inverse = Vec::new();
    let mut account = false;
    for stream in streams {
        let (instrument, topic) = match stream {
            // Mark price and funding come with the ticker.
            Stream::Ticker { instrument } | Stream::Mark { instrument } => {
                (instrument, format!("tickers.{instrument}"))
            }
            Stream::Book { instrument } => (instrument, format!("orderbook.50.{instrument}")),
            Stream::Trades { instrument } => (instrument, format!("publicTrade.{instrument}")),
            Stream::Klines { instrument, interval } => (
                instrument,
                format!("kline.{}.{instrument}", words::interval_word(*interval)),
            ),
            Stream::Account => {
                account = true;
                continue;
            }
            // Fills of others are not public here: there is nothing to subscribe to.
            Stream::User { .. } => continue,
        };
        // What is no instrument of the venue is refused by it, by name.
        let topics = match words::by_name(instrument) {
            Some(Category::Inverse) => &mut inverse,
            Some(Category::Linear) | None => &mut linear,
        };
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    if endpoints.public_socket == endpoints.market_socket {
        linear.append(&mut inverse);
    }
    let mut connections = Vec::new();
    for (url, topics) in [
        (&endpoints.public_socket, linear),
        (&endpoints.market_socket, inverse),
    ] {
        if !topics.is_empty() {
            connections.push(Connection {
                url: url.clone(),
                login: None,
                subscribe: subscriptions(&topics),
            });
        }
    }
    if account {
        let credentials = credentials.ok_or(SignError::NoCredentials)?;
        connections.push(Connection {
            url: endpoints.private_socket.clone(),
            login: Some(login(credentials, timestamp_ms.saturating_add(LOGIN_WINDOW_MS))?),
            subscribe: subscriptions(&ACCOUNT_TOPICS.map(ToOwned::to_owned)),
        });
    }
    Ok(connections)
}

fn login(credentials: &Credentials, expires_ms: u64) -> Result<String, SignError> {
    let signature = signature(credentials.secret(), &format!("GET/realtime{expires_ms}"))?;
    Ok(format!(
        r#"{{"req_id":"login","op":"auth","args":[{},{expires_ms},{}]}}"#,
        json_text(&credentials.key),
        json_text(&signature)
    ))
}

fn subscriptions(topics: &[String]) -> Vec<String> {
    topics
        .chunks(TOPICS_PER_MESSAGE)
        .zip(1_u32..)
        .map(|(topics, id)| {
            let topics: Vec<String> = topics.iter().map(|topic| json_text(topic)).collect();
            format!(
                r#"{{"req_id":"{id}","op":"subscribe","args":[{}]}}"#,
                topics.join(",")
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Interval;

    #[test]
    fn the_login_is_the_documented_one() {
        let credentials = Credentials::new("key", "test_secret", None);
        assert_eq!(
            login(&credentials, 1_700_000_000_000).unwrap(),
            r#"{"req_id":"login","op":"auth","args":["key",1700000000000,"bacffe7500499eb829bb58c45d36d1b3e5ac67c14eaeba91df5e99ccee013925"]}"#
        );
    }

    #[test]
    fn streams_go_to_the_socket_of_their_product() {
        let streams = [
            Stream::Ticker {
                instrument: "BTCUSDT".into(),
            },
            Stream::Mark {
                instrument: "BTCUSDT".into(),
            },
            Stream::Book {
                instrument: "BTCUSD".into(),
            },
            Stream::Trades {
                instrument: "BTCPERP".into(),
            },
            Stream::Klines {
                instrument: "BTCUSDT".into(),
                interval: Interval::Day,
            },
            Stream::Account,
        ];
        let main = endpoints(Environment::Main);
        let credentials = Credentials::new("key", "secret", None);
        let opened = connections(&main, &streams, Some(&credentials), 1).unwrap();
        assert_eq!(
            opened
                .iter()
                .map(|one| (one.url.as_str(), one.subscribe[0].as_str()))
                .collect::<Vec<_>>(),
            [
                (
                    "wss://stream.bybit.com/v5/public/linear",
                    r#"{"req_id":"1","op":"subscribe","args":["tickers.BTCUSDT","publicTrade.BTCPERP","kline.D.BTCUSDT"]}"#
                ),
                (
                    "wss://stream.bybit.com/v5/public/inverse",
                    r#"{"req_id":"1","op":"subscribe","args":["orderbook.50.BTCUSD"]}"#
                ),
                (
                    "wss://stream.bybit.com/v5/private",
                    r#"{"req_id":"1","op":"subscribe","args":["order","execution","position","wallet"]}"#
                ),
            ]
        );
        assert!(opened[2].login.as_ref().unwrap().contains(",10001,"));
        assert_eq!(
            connections(&main, &streams, None, 1),
            Err(SignError::NoCredentials)
        );
    }

    #[test]
    fn many_topics_are_spread_over_messages() {
        let streams: Vec<Stream> = (0..21)
            .map(|number| Stream::Ticker {
                instrument: format!("A{number}USDT").into(),
            })
            .collect();
        let opened = connections(&endpoints(Environment::Main), &streams, None, 1).unwrap();
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].subscribe.len(), 3);
    }
}
