//! Which sockets, and what is said on them first.

use super::sign::login_signature;
use crate::credentials::Credentials;
use crate::error::SignError;
use crate::model::{Scope, Stream};
use crate::protocol::{Connection, Endpoints};
use crate::venues::json_text;

/// Path of the socket.
pub(super) const SOCKET: &str = "/ws/api/v2";

/// Id of the login request, by which its answer is known.
pub(super) const LOGIN_ID: &str = "1";

/// Id of the answer to the venue's test request.
pub(super) const TEST_ID: &str = "9999";

/// Id of the first subscription; the next ones count on.
const SUBSCRIPTION_ID: usize = 10;

/// Id of the request that switches the heartbeat on.
const HEARTBEAT_ID: &str = "2";

/// How often the venue asks whether the client is there, in seconds; at least ten.
const HEARTBEAT_SECONDS: u32 = 30;

/// Channels in one request. Unconfirmed by the venue's own pages.
const MAXIMUM_CHANNELS: usize = 500;

/// What an account is followed by: orders, fills and positions in one message each time, and the margin of all
/// currencies. Futures only: options are not supported.
const ACCOUNT: [&str; 2] = ["user.changes.future.any.raw", "user.portfolio.any"];

/// One socket for market data, one for the account.
pub(super) fn connections(
    endpoints: &Endpoints,
    streams: &[Stream],
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<Vec<Connection>, SignError> {
    let mut channels: Vec<String> = Vec::new();
    for channel in streams.iter().filter_map(channel) {
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    let mut out = Vec::new();
    if !channels.is_empty() {
        out.push(Connection {
            url: endpoints.public_socket.clone(),
            login: None,
            subscribe: frames("public/subscribe", &channels),
        });
    }
    if streams.iter().any(|stream| stream.scope() == Scope::Private) {
        let credentials = credentials.ok_or(SignError::NoCredentials)?;
        let channels: Vec<String> = ACCOUNT.iter().map(|channel| (*channel).to_owned()).collect();
        out.push(Connection {
            url: endpoints.private_socket.clone(),
            login: Some(login(credentials, timestamp_ms)),
            subscribe: frames("private/subscribe", &channels),
        });
    }
    Ok(out)
}

fn login(credentials: &Credentials, timestamp_ms: u64) -> String {
    let nonce = timestamp_ms.to_string();
    let signature = login_signature(credentials.secret(), timestamp_ms, &nonce, "");
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{LOGIN_ID},\"method\":\"public/auth\",\"params\":{{\
         \"grant_type\":\"client_signature\",\"client_id\":{},\"timestamp\":{timestamp_ms},\
         \"signature\":\"{signature}\",\"nonce\":\"{nonce}\",\"data\":\"\"}}}}",
        json_text(&credentials.key)
    )
}

fn frames(method: &str, channels: &[String]) -> Vec<String> {
    let mut out = vec![format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{HEARTBEAT_ID},\"method\":\"public/set_heartbeat\",\
         \"params\":{{\"interval\":{HEARTBEAT_SECONDS}}}}}"
    )];
    for (index, part) in channels.chunks(MAXIMUM_CHANNELS).enumerate() {
        let list: Vec<String> = part.iter().map(|channel| json_text(channel)).collect();
        out.push(format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"{method}\",\"params\":{{\"channels\":[{}]}}}}",
            SUBSCRIPTION_ID + index,
            list.join(",")
        ));
    }
    out
}

/// Without a login the finest interval is 100 ms.
fn channel(stream: &Stream) -> Option<String> {
    Some(match stream {
        // One channel carries best prices, mark price and funding.
        Stream::Ticker { instrument } | Stream::Mark { instrument } => format!("ticker.{instrument}.100ms"),
        Stream::Book { instrument } => format!("book.{instrument}.100ms"),
        Stream::Trades { instrument } => format!("trades.{instrument}.100ms"),
        Stream::Klines { instrument, interval } => {
            // Four hours have no channel; the nearest word would be a lie, so nothing is subscribed to.
            format!(
                "chart.trades.{instrument}.{}",
                super::requests::resolution(*interval)?
            )
        }
        Stream::Account | Stream::User { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Environment, Protocol as _};
    use crate::venues::deribit::Deribit;

    #[test]
    fn the_account_logs_in_and_market_data_does_not() {
        let endpoints = Deribit.endpoints(Environment::Main);
        assert_eq!(endpoints.private_socket, "wss://www.deribit.com/ws/api/v2");
        let streams = [
            Stream::Ticker {
                instrument: "BTC-PERPETUAL".into(),
            },
            Stream::Mark {
                instrument: "BTC-PERPETUAL".into(),
            },
            Stream::Account,
        ];
        let credentials = Credentials::new("test_api_key", "test_secret", None);
        let sockets = connections(&endpoints, &streams, Some(&credentials), 1_700_000_000_000).unwrap();
        assert_eq!(sockets.len(), 2);
        assert_eq!(sockets[0].login, None);
        assert_eq!(
            sockets[0].subscribe[1],
            r#"{"jsonrpc":"2.0","id":10,"method":"public/subscribe","params":{"channels":["ticker.BTC-PERPETUAL.100ms"]}}"#
        );
        let login = sockets[1].login.as_deref().unwrap();
        assert!(login.contains(
            r#""grant_type":"client_signature","client_id":"test_api_key","timestamp":1700000000000"#
        ));
        assert!(sockets[1].subscribe[1].contains("user.changes.future.any.raw"));
        assert!(connections(&endpoints, &streams, None, 0).is_err());
    }
}
