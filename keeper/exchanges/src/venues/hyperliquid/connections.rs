//! Which sockets, and what is said on them first.

use super::sign::account;
use crate::credentials::Credentials;
use crate::error::SignError;
use crate::model::{Scope, Stream};
use crate::protocol::{Connection, Endpoints};
use crate::venues::json_text;

/// One socket for what is public (market data, other users' fills) and one for the own account: order messages do not
/// name their user, so they must not share a socket with anybody else's.
pub(super) fn connections(
    endpoints: &Endpoints,
    streams: &[Stream],
    credentials: Option<&Credentials>,
) -> Result<Vec<Connection>, SignError> {
    let mut public = Vec::new();
    let mut private = Vec::new();
    for stream in streams {
        match stream.scope() {
            Scope::Public => {
                let frame = subscription(stream);
                if !public.contains(&frame) {
                    public.push(frame);
                }
            }
            Scope::Private if private.is_empty() => {
                let user = account(credentials.ok_or(SignError::NoCredentials)?)?;
                if !is_address(&user) {
                    return Err(SignError::BadKey {
                        expected: "account's address: 0x and 40 hexadecimal digits",
                    });
                }
                let user = json_text(&user);
                for kind in ["userFills", "orderUpdates", "clearinghouseState"] {
                    private.push(frame(&format!("\"type\":\"{kind}\",\"user\":{user}")));
                }
            }
            Scope::Private => {}
        }
    }
    let connection = |url: &str, subscribe: Vec<String>| Connection {
        url: url.to_owned(),
        login: None,
        subscribe,
    };
    let mut out = Vec::new();
    if !public.is_empty() {
        out.push(connection(&endpoints.public_socket, public));
    }
    if !private.is_empty() {
        out.push(connection(&endpoints.private_socket, private));
    }
    Ok(out)
}

fn is_address(text: &str) -> bool {
    text.strip_prefix("0x")
        .is_some_and(|digits| digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn frame(subscription: &str) -> String {
    format!("{{\"method\":\"subscribe\",\"subscription\":{{{subscription}}}}}")
}

fn subscription(stream: &Stream) -> String {
    let coin = |kind: &str, coin: &str| format!("\"type\":\"{kind}\",\"coin\":{}", json_text(coin));
    frame(&match stream {
        Stream::Ticker { instrument } => coin("bbo", instrument),
        Stream::Book { instrument } => coin("l2Book", instrument),
        Stream::Trades { instrument } => coin("trades", instrument),
        Stream::Mark { instrument } => coin("activeAssetCtx", instrument),
        Stream::Klines { instrument, interval } => {
            format!("{},\"interval\":\"{interval}\"", coin("candle", instrument))
        }
        Stream::User { user } => format!("\"type\":\"userFills\",\"user\":{}", json_text(user)),
        // Never asked for: the account has a socket of its own.
        Stream::Account => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Interval;
    use crate::protocol::{Environment, Protocol as _};
    use crate::venues::hyperliquid::Hyperliquid;

    #[test]
    fn masters_share_a_socket_and_the_account_has_its_own() {
        let endpoints = Hyperliquid.endpoints(Environment::Main);
        assert_eq!(endpoints.public_socket, "wss://api.hyperliquid.xyz/ws");
        let streams = [
            Stream::User { user: "0xabc".into() },
            Stream::Trades {
                instrument: "BTC".into(),
            },
            Stream::Klines {
                instrument: "BTC".into(),
                interval: Interval::Hour,
            },
            Stream::Account,
        ];
        let address = "0x14791697260e4c9a71f18484c9f997b308e59325";
        let credentials = Credentials::new(address, "", None);
        let sockets = connections(&endpoints, &streams, Some(&credentials)).unwrap();
        assert_eq!(sockets.len(), 2);
        assert_eq!(
            sockets[0].subscribe,
            [
                r#"{"method":"subscribe","subscription":{"type":"userFills","user":"0xabc"}}"#,
                r#"{"method":"subscribe","subscription":{"type":"trades","coin":"BTC"}}"#,
                r#"{"method":"subscribe","subscription":{"type":"candle","coin":"BTC","interval":"1h"}}"#,
            ]
        );
        assert_eq!(
            sockets[1].subscribe[1],
            format!(
                r#"{{"method":"subscribe","subscription":{{"type":"orderUpdates","user":"{address}"}}}}"#
            )
        );
        assert_eq!(
            connections(&endpoints, &[Stream::Account], None).unwrap_err(),
            SignError::NoCredentials
        );
        for key in ["api key", "0x1479", "0xz4791697260e4c9a71f18484c9f997b308e59325"] {
            let credentials = Credentials::new(key, "", None);
            let refused = connections(&endpoints, &[Stream::Account], Some(&credentials));
            assert!(matches!(refused, Err(SignError::BadKey { .. })), "{key}");
        }
    }
}
