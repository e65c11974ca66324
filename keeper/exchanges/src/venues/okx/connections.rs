//! Sockets and subscriptions.

use super::rows::SWAP;
use super::{sign, words};
use crate::credentials::Credentials;
use crate::error::SignError;
use crate::model::{Stream, Text};
use crate::protocol::{Connection, Endpoints, Environment};
use crate::venues::{json_object, json_text};

/// Subscriptions in one message. OKX's limit is 64 KiB; a subscription has about 60 bytes.
const ARGUMENTS: usize = 100;

/// Where OKX is reached.
pub(super) fn endpoints(environment: Environment) -> Endpoints {
    let (mark, socket) = match environment {
        Environment::Main => ("", "wss://ws.okx.com:8443/ws/v5"),
        Environment::Test => (sign::DEMO_MARK, "wss://wspap.okx.com:8443/ws/v5"),
    };
    Endpoints {
        rest: format!("https://www.okx.com{mark}"),
        public_socket: format!("{socket}/public"),
        market_socket: format!("{socket}/business"),
        private_socket: format!("{socket}/private"),
    }
}

/// The sockets to open: klines are on another one than the rest of the market data.
pub(super) fn connections(
    endpoints: &Endpoints,
    streams: &[Stream],
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<Vec<Connection>, SignError> {
    let (mut public, mut business, mut private) = (Vec::new(), Vec::new(), Vec::new());
    for stream in streams {
        match stream {
            Stream::Ticker { instrument } => public.push(of_instrument("tickers", instrument)),
            Stream::Book { instrument } => public.push(of_instrument("books", instrument)),
            Stream::Trades { instrument } => public.push(of_instrument("trades", instrument)),
            Stream::Mark { instrument } => {
                public.push(of_instrument("mark-price", instrument));
                public.push(of_instrument("funding-rate", instrument));
            }
            Stream::Klines { instrument, interval } => business.push(of_instrument(
                &format!("candle{}", words::interval_word(*interval)),
                instrument,
            )),
            Stream::Account => {
                // `balance_and_position` says nothing that these do not say, and cannot be asked for swaps only.
                private.push(of_swaps("orders"));
                private.push(of_swaps("positions"));
                private.push(json_object(&[("channel", json_text("account"))]));
            }
            // Fills of somebody else are not public here: there is nothing to subscribe to.
            Stream::User { .. } => {}
        }
    }
    let login = if private.is_empty() {
        None
    } else {
        Some(sign::login(credentials, timestamp_ms)?)
    };
    Ok([
        (&endpoints.public_socket, None, public),
        (&endpoints.market_socket, None, business),
        (&endpoints.private_socket, login, private),
    ]
    .into_iter()
    .filter(|(_, _, arguments)| !arguments.is_empty())
    .map(|(url, login, arguments)| Connection {
        url: url.clone(),
        login,
        subscribe: subscribe(arguments),
    })
    .collect())
}

fn of_instrument(channel: &str, instrument: &Text) -> String {
    json_object(&[("channel", json_text(channel)), ("instId", json_text(instrument))])
}

fn of_swaps(channel: &str) -> String {
    json_object(&[("channel", json_text(channel)), ("instType", json_text(SWAP))])
}

fn subscribe(mut arguments: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
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
    use crate::model::Interval;

    fn credentials() -> Credentials {
        Credentials::new("key", "test_secret", Some("phrase".to_owned()))
    }

    #[test]
    fn each_stream_is_on_its_socket() {
        let instrument = Text::new("BTC-USDT-SWAP");
        let streams = [
            Stream::Trades {
                instrument: instrument.clone(),
            },
            Stream::Klines {
                instrument: instrument.clone(),
                interval: Interval::Day,
            },
            Stream::Account,
        ];
        let endpoints = endpoints(Environment::Main);
        let connections = connections(&endpoints, &streams, Some(&credentials()), 1_700_000_000_000).unwrap();
        let [public, business, private] = connections.as_slice() else {
            panic!("{connections:?}")
        };
        assert_eq!(public.url, "wss://ws.okx.com:8443/ws/v5/public");
        assert_eq!(
            public.subscribe,
            [r#"{"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT-SWAP"}]}"#]
        );
        assert_eq!(business.url, "wss://ws.okx.com:8443/ws/v5/business");
        assert!(business.subscribe[0].contains("candle1Dutc"));
        assert_eq!((public.login.as_ref(), business.login.as_ref()), (None, None));
        assert!(
            private
                .login
                .as_deref()
                .is_some_and(|login| login.contains("DEw2aeeERPFSK37pukYB5dZYKfsBHsXjYcJF3lAVSNM="))
        );
        assert!(private.subscribe[0].contains(r#"{"channel":"orders","instType":"SWAP"}"#));
    }

    #[test]
    fn an_account_needs_credentials() {
        assert_eq!(
            connections(&endpoints(Environment::Main), &[Stream::Account], None, 0),
            Err(SignError::NoCredentials)
        );
    }

    #[test]
    fn many_subscriptions_go_in_several_messages() {
        let streams: Vec<_> = (0..250)
            .map(|number| Stream::Book {
                instrument: Text::from(format!("A{number}-USDT-SWAP")),
            })
            .collect();
        let connections = connections(&endpoints(Environment::Test), &streams, None, 0).unwrap();
        assert_eq!(connections.len(), 1);
        assert_eq!(connections[0].subscribe.len(), 3);
    }
}
