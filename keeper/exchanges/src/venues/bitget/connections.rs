//! Sockets and subscriptions of both interfaces.

use std::collections::HashSet;

use super::{sign, words};
use crate::credentials::Credentials;
use crate::error::SignError;
use crate::model::Stream;
use crate::protocol::{Connection, Endpoints, Environment};
use crate::venues::{Generation, json_object, json_text};

/// Subscriptions in one message. Bitget's limit is 4096 bytes; a subscription has about 75.
const ARGUMENTS: usize = 40;

/// Where Bitget is reached.
pub(super) fn endpoints(generation: Generation, environment: Environment) -> Endpoints {
    let version = if generation == Generation::Next {
        "v3"
    } else {
        "v2"
    };
    let (mark, host) = match environment {
        Environment::Main => ("", "wss://ws.bitget.com"),
        Environment::Test => (sign::DEMO_MARK, "wss://wspap.bitget.com"),
    };
    Endpoints {
        rest: format!("https://api.bitget.com{mark}"),
        public_socket: format!("{host}/{version}/ws/public"),
        market_socket: format!("{host}/{version}/ws/public"),
        private_socket: format!("{host}/{version}/ws/private"),
    }
}

/// The sockets to open.
pub(super) fn connections(
    generation: Generation,
    endpoints: &Endpoints,
    streams: &[Stream],
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<Vec<Connection>, SignError> {
    let unified = generation == Generation::Next;
    let (mut public, mut private) = (Vec::new(), Vec::new());
    for stream in streams {
        let market = if unified {
            unified_market(stream)
        } else {
            classic_market(stream)
        };
        if let Some(argument) = market {
            public.push(argument);
        } else if *stream == Stream::Account {
            private.extend(if unified {
                unified_account()
            } else {
                classic_account()
            });
        }
        // Fills of somebody else are not public here: there is nothing to subscribe to.
    }
    let mut connections = Vec::new();
    if !public.is_empty() {
        connections.push(Connection {
            url: endpoints.public_socket.clone(),
            login: None,
            subscribe: subscribe(public),
        });
    }
    if !private.is_empty() {
        connections.push(Connection {
            url: endpoints.private_socket.clone(),
            login: Some(sign::login(credentials, timestamp_ms)?),
            subscribe: subscribe(private),
        });
    }
    Ok(connections)
}

/// Best prices, mark price and funding are in one channel.
fn classic_market(stream: &Stream) -> Option<String> {
    let (channel, instrument) = match stream {
        Stream::Ticker { instrument } | Stream::Mark { instrument } => ("ticker".to_owned(), instrument),
        Stream::Book { instrument } => ("books".to_owned(), instrument),
        Stream::Trades { instrument } => ("trade".to_owned(), instrument),
        Stream::Klines { instrument, interval } => {
            (format!("candle{}", words::interval_word(*interval)), instrument)
        }
        Stream::Account | Stream::User { .. } => return None,
    };
    Some(json_object(&[
        ("instType", json_text(words::PRODUCT)),
        ("channel", json_text(&channel)),
        ("instId", json_text(instrument)),
    ]))
}

fn unified_market(stream: &Stream) -> Option<String> {
    let (topic, instrument, interval) = match stream {
        Stream::Ticker { instrument } | Stream::Mark { instrument } => ("ticker", instrument, None),
        Stream::Book { instrument } => ("books", instrument, None),
        Stream::Trades { instrument } => ("publicTrade", instrument, None),
        Stream::Klines { instrument, interval } => ("kline", instrument, Some(interval)),
        Stream::Account | Stream::User { .. } => return None,
    };
    let mut members = vec![
        ("instType", json_text(&words::PRODUCT.to_ascii_lowercase())),
        ("topic", json_text(topic)),
        ("symbol", json_text(instrument)),
    ];
    if let Some(interval) = interval {
        members.push(("interval", json_text(words::unified_interval_word(*interval))));
    }
    Some(json_object(&members))
}

fn classic_account() -> Vec<String> {
    let of = |channel: &str, member: &'static str| {
        json_object(&[
            ("instType", json_text(words::PRODUCT)),
            ("channel", json_text(channel)),
            (member, json_text("default")),
        ])
    };
    vec![
        of("orders", "instId"),
        of("positions", "instId"),
        of("fill", "instId"),
        of("account", "coin"),
    ]
}

fn unified_account() -> Vec<String> {
    ["order", "position", "fill", "account"]
        .map(|topic| json_object(&[("instType", json_text("UTA")), ("topic", json_text(topic))]))
        .to_vec()
}

fn subscribe(mut arguments: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    arguments.retain(|argument| seen.insert(argument.clone()));
    arguments
        .chunks(ARGUMENTS)
        .map(|chunk| {
            json_object(&[
                ("op", json_text("subscribe")),
                ("args", format!("[{}]", chunk.join(","))),
            ])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Text;

    fn credentials() -> Credentials {
        Credentials::new("key", "test_secret", Some("phrase".to_owned()))
    }

    #[test]
    fn the_account_is_one_socket_with_a_login() {
        for (generation, url, first) in [
            (
                Generation::Current,
                "wss://ws.bitget.com/v2/ws/private",
                r#"{"op":"subscribe","args":[{"instType":"USDT-FUTURES","channel":"orders","instId":"default"},"#,
            ),
            (
                Generation::Next,
                "wss://ws.bitget.com/v3/ws/private",
                r#"{"op":"subscribe","args":[{"instType":"UTA","topic":"order"},"#,
            ),
        ] {
            let endpoints = endpoints(generation, Environment::Main);
            let connections = connections(
                generation,
                &endpoints,
                &[Stream::Account],
                Some(&credentials()),
                1_700_000_000_000,
            )
            .unwrap();
            assert_eq!(connections.len(), 1);
            assert_eq!(connections[0].url, url);
            assert!(
                connections[0]
                    .login
                    .as_deref()
                    .is_some_and(|login| login.contains("tFs52ld4UvCPXyGNtieq3A1f33ocGrPqSRXdfdMhuHg="))
            );
            assert!(connections[0].subscribe[0].starts_with(first), "{connections:?}");
        }
    }

    #[test]
    fn best_prices_and_mark_price_are_one_subscription() {
        let instrument = Text::new("BTCUSDT");
        let streams = [
            Stream::Ticker {
                instrument: instrument.clone(),
            },
            Stream::Mark { instrument },
        ];
        let endpoints = endpoints(Generation::Current, Environment::Test);
        assert_eq!(endpoints.rest, "https://api.bitget.com#demo");
        let connections = connections(Generation::Current, &endpoints, &streams, None, 0).unwrap();
        assert_eq!(
            connections[0].subscribe,
            [
                r#"{"op":"subscribe","args":[{"instType":"USDT-FUTURES","channel":"ticker","instId":"BTCUSDT"}]}"#
            ]
        );
    }

    #[test]
    fn an_account_needs_credentials() {
        let endpoints = endpoints(Generation::Next, Environment::Main);
        assert_eq!(
            connections(Generation::Next, &endpoints, &[Stream::Account], None, 0),
            Err(SignError::NoCredentials)
        );
    }
}
