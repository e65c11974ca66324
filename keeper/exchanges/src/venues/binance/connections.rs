//! Sockets: which streams live where, and how they are subscribed to.

use std::time::Duration;

use crate::error::SignError;
use crate::model::Stream;
use crate::protocol::{Connection, Endpoints, Environment};
use crate::venues::json_text;

/// The listen key lives for an hour and is renewed twice as often.
pub(super) const LISTEN_KEY_RENEWAL: Duration = Duration::from_secs(30 * 60);

/// Streams of one connection: what the venue's newer pages allow. Older ones say 1,024.
const STREAMS_PER_CONNECTION: usize = 200;

/// Streams in one message. The venue takes ten messages a second: a full connection is subscribed with two.
const STREAMS_PER_MESSAGE: usize = 100;

pub(super) fn endpoints(environment: Environment) -> Endpoints {
    match environment {
        Environment::Main => Endpoints {
            rest: "https://fapi.binance.com".to_owned(),
            public_socket: "wss://fstream.binance.com/public/ws".to_owned(),
            market_socket: "wss://fstream.binance.com/market/ws".to_owned(),
            private_socket: "wss://fstream.binance.com/private/ws".to_owned(),
        },
        // One address for all three; the key of the account is a part of the path here.
        Environment::Test => Endpoints {
            rest: "https://demo-fapi.binance.com".to_owned(),
            public_socket: "wss://fstream.binancefuture.com/ws".to_owned(),
            market_socket: "wss://fstream.binancefuture.com/ws".to_owned(),
            private_socket: "wss://fstream.binancefuture.com/ws".to_owned(),
        },
    }
}

pub(super) fn connections(
    endpoints: &Endpoints,
    streams: &[Stream],
    listen_key: Option<&str>,
) -> Result<Vec<Connection>, SignError> {
    let mut public = Vec::new();
    let mut market = Vec::new();
    let mut account = false;
    for stream in streams {
        match stream {
            Stream::Ticker { instrument } => public.push(topic(instrument, "bookTicker")),
            Stream::Book { instrument } => public.push(topic(instrument, "depth@100ms")),
            Stream::Trades { instrument } => market.push(topic(instrument, "aggTrade")),
            Stream::Klines { instrument, interval } => {
                market.push(topic(instrument, &format!("kline_{interval}")));
            }
            Stream::Mark { instrument } => market.push(topic(instrument, "markPrice@1s")),
            Stream::Account => account = true,
            // Fills of others are not public here: there is nothing to subscribe to.
            Stream::User { .. } => {}
        }
    }
    if endpoints.public_socket == endpoints.market_socket {
        public.append(&mut market);
    }
    let mut connections = sockets(&endpoints.public_socket, &public);
    connections.extend(sockets(&endpoints.market_socket, &market));
    if account {
        // The account's socket is opened with the key alone; nothing is said on it.
        let key = listen_key.ok_or(SignError::NoCredentials)?;
        connections.push(Connection {
            url: private_url(&endpoints.private_socket, key),
            login: None,
            subscribe: Vec::new(),
        });
    }
    Ok(connections)
}

/// Since the streams were split by path the key is a parameter; on addresses that are not split it is in the path, as it
/// was before.
fn private_url(socket: &str, listen_key: &str) -> String {
    if socket.ends_with("/private/ws") {
        format!("{socket}?listenKey={listen_key}")
    } else {
        format!("{socket}/{listen_key}")
    }
}

fn topic(instrument: &str, stream: &str) -> String {
    format!("{}@{stream}", instrument.to_lowercase())
}

fn sockets(url: &str, topics: &[String]) -> Vec<Connection> {
    topics
        .chunks(STREAMS_PER_CONNECTION)
        .map(|topics| Connection {
            url: url.to_owned(),
            login: None,
            subscribe: topics
                .chunks(STREAMS_PER_MESSAGE)
                .zip(1_u32..)
                .map(|(topics, id)| {
                    let topics: Vec<String> = topics.iter().map(|topic| json_text(topic)).collect();
                    format!(
                        "{{\"method\":\"SUBSCRIBE\",\"params\":[{}],\"id\":{id}}}",
                        topics.join(",")
                    )
                })
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Interval;

    #[test]
    fn streams_go_to_the_socket_they_live_on() {
        let instrument = || "BTCUSDT".into();
        let streams = [
            Stream::Ticker {
                instrument: instrument(),
            },
            Stream::Book {
                instrument: instrument(),
            },
            Stream::Trades {
                instrument: instrument(),
            },
            Stream::Klines {
                instrument: instrument(),
                interval: Interval::Hour,
            },
            Stream::Mark {
                instrument: instrument(),
            },
            Stream::Account,
        ];
        let main = endpoints(Environment::Main);
        let opened = connections(&main, &streams, Some("KEY")).unwrap();
        assert_eq!(
            opened.iter().map(|one| one.url.as_str()).collect::<Vec<_>>(),
            [
                "wss://fstream.binance.com/public/ws",
                "wss://fstream.binance.com/market/ws",
                "wss://fstream.binance.com/private/ws?listenKey=KEY",
            ]
        );
        assert_eq!(
            opened[0].subscribe,
            [r#"{"method":"SUBSCRIBE","params":["btcusdt@bookTicker","btcusdt@depth@100ms"],"id":1}"#]
        );
        assert_eq!(
            opened[1].subscribe,
            [
                r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@kline_1h","btcusdt@markPrice@1s"],"id":1}"#
            ]
        );
        assert_eq!(connections(&main, &streams, None), Err(SignError::NoCredentials));

        let opened = connections(&endpoints(Environment::Test), &streams, Some("KEY")).unwrap();
        assert_eq!(opened.len(), 2);
        assert_eq!(opened[1].url, "wss://fstream.binancefuture.com/ws/KEY");
    }

    #[test]
    fn addresses_that_are_configured_are_used_as_they_are() {
        let local = Endpoints::local("http://127.0.0.1:1", "/public/ws", "/market/ws", "/private/ws");
        let opened = connections(&local, &[Stream::Account], Some("KEY")).unwrap();
        assert_eq!(opened[0].url, "ws://127.0.0.1:1/private/ws?listenKey=KEY");
    }

    #[test]
    fn many_streams_are_spread_over_messages_and_connections() {
        let streams: Vec<Stream> = (0..401)
            .map(|number| Stream::Ticker {
                instrument: format!("A{number}USDT").into(),
            })
            .collect();
        let opened = connections(&endpoints(Environment::Main), &streams, None).unwrap();
        assert_eq!(
            opened.iter().map(|one| one.subscribe.len()).collect::<Vec<_>>(),
            [2, 2, 1]
        );
    }
}
