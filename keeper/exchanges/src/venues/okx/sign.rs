//! OKX's signature: HMAC-SHA256 in base64 over time, method, path with query, body.

use time::OffsetDateTime;
use time::macros::format_description;

use crate::credentials::Credentials;
use crate::crypto::{SecretKind, hmac_base64, secret_kind};
use crate::error::SignError;
use crate::model::Venue;
use crate::request::{Access, Method, Request, SignedRequest, query_string};

/// OKX's demo world has the same REST address and wants a header. An address with this mark at its end is sent without the
/// mark and with the header.
pub(super) const DEMO_MARK: &str = "#demo";

/// The path that is signed to log in to a socket.
const LOGIN_PATH: &str = "/users/self/verify";

/// Credentials that can sign, or what is wrong with them. OKX's keys have a shared secret and a passphrase.
fn parts(credentials: Option<&Credentials>) -> Result<(&Credentials, &str), SignError> {
    let credentials = credentials.ok_or(SignError::NoCredentials)?;
    if secret_kind(credentials.secret()) != SecretKind::Hmac {
        return Err(SignError::BadSecret {
            expected: "shared secret: OKX signs with HMAC only",
        });
    }
    let passphrase = credentials
        .passphrase()
        .ok_or(SignError::NoPassphrase(Venue::Okx))?;
    Ok((credentials, passphrase))
}

/// Signs a request.
pub(super) fn sign(
    request: &Request,
    rest: &str,
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<SignedRequest, SignError> {
    let (rest, demo) = rest
        .strip_suffix(DEMO_MARK)
        .map_or((rest, false), |rest| (rest, true));
    let query = query_string(&request.query);
    let separator = if query.is_empty() { "" } else { "?" };
    let path = format!("{}{separator}{query}", request.path);
    let mut headers = Vec::with_capacity(6);
    if request.access == Access::Public {
        if request.method == Method::Post {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
    } else {
        let (credentials, passphrase) = parts(credentials)?;
        let timestamp = iso8601(timestamp_ms);
        let signature = hmac_base64(
            credentials.secret(),
            &format!("{timestamp}{}{path}{}", request.method.name(), request.body),
        );
        headers.push(("OK-ACCESS-KEY".to_owned(), credentials.key.clone()));
        headers.push(("OK-ACCESS-PASSPHRASE".to_owned(), passphrase.to_owned()));
        headers.push(("OK-ACCESS-TIMESTAMP".to_owned(), timestamp));
        if request.method != Method::Get {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        headers.push(("OK-ACCESS-SIGN".to_owned(), signature));
    }
    if demo {
        headers.push(("x-simulated-trading".to_owned(), "1".to_owned()));
    }
    Ok(SignedRequest {
        method: request.method,
        url: format!("{rest}{path}"),
        headers,
        body: request.body.clone(),
    })
}

/// The message that logs in to a socket. Its time is in seconds, unlike that of requests.
pub(super) fn login(credentials: Option<&Credentials>, timestamp_ms: u64) -> Result<String, SignError> {
    let (credentials, passphrase) = parts(credentials)?;
    let timestamp = (timestamp_ms / 1000).to_string();
    let signature = hmac_base64(credentials.secret(), &format!("{timestamp}GET{LOGIN_PATH}"));
    Ok(serde_json::json!({
        "op": "login",
        "args": [{
            "apiKey": credentials.key,
            "passphrase": passphrase,
            "timestamp": timestamp,
            "sign": signature,
        }],
    })
    .to_string())
}

/// `2020-12-08T09:08:57.715Z`. A time beyond the year 9999 becomes 1970, which OKX refuses.
fn iso8601(timestamp_ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(timestamp_ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(format)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials::new(
            "key",
            "chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO",
            Some("phrase".to_owned()),
        )
    }

    fn header<'a>(signed: &'a SignedRequest, name: &str) -> Option<&'a str> {
        signed
            .headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_request_for_the_balance_has_the_documented_signature() {
        let request = Request::new(Method::Get, "/api/v5/account/balance", Access::Signed);
        // 2020-12-08T09:08:57.715Z
        let signed = sign(
            &request,
            "https://www.okx.com",
            Some(&credentials()),
            1_607_418_537_715,
        )
        .unwrap();
        assert_eq!(
            header(&signed, "OK-ACCESS-TIMESTAMP"),
            Some("2020-12-08T09:08:57.715Z")
        );
        assert_eq!(
            header(&signed, "OK-ACCESS-SIGN"),
            Some("PJ61e1nb2F2Qd7D8SPiaIcx2gjdELc+o0ygzre9z33k=")
        );
        assert_eq!(header(&signed, "x-simulated-trading"), None);
        assert_eq!(signed.url, "https://www.okx.com/api/v5/account/balance");
    }

    #[test]
    fn the_login_has_the_signature_of_the_vectors() {
        let credentials = Credentials::new("key", "test_secret", Some("phrase".to_owned()));
        let login = login(Some(&credentials), 1_700_000_000_999).unwrap();
        assert!(
            login.contains(r#""sign":"DEw2aeeERPFSK37pukYB5dZYKfsBHsXjYcJF3lAVSNM=""#),
            "{login}"
        );
        assert!(login.contains(r#""timestamp":"1700000000""#), "{login}");
    }

    #[test]
    fn the_query_is_signed_as_it_is_sent() {
        let request = Request::new(Method::Get, "/api/v5/trade/order", Access::Signed)
            .with("instId", "BTC-USDT-SWAP")
            .with("clOrdId", "a b");
        let signed = sign(&request, "http://host", Some(&credentials()), 0).unwrap();
        assert_eq!(
            signed.url,
            "http://host/api/v5/trade/order?instId=BTC-USDT-SWAP&clOrdId=a%20b"
        );
        let text = "1970-01-01T00:00:00.000ZGET/api/v5/trade/order?instId=BTC-USDT-SWAP&clOrdId=a%20b";
        assert_eq!(
            header(&signed, "OK-ACCESS-SIGN"),
            Some(hmac_base64(credentials().secret(), text).as_str())
        );
    }

    #[test]
    fn the_demo_world_is_the_same_address_and_a_header() {
        let request = Request::new(Method::Get, "/api/v5/public/time", Access::Public);
        let signed = sign(&request, "https://www.okx.com#demo", None, 0).unwrap();
        assert_eq!(signed.url, "https://www.okx.com/api/v5/public/time");
        assert_eq!(header(&signed, "x-simulated-trading"), Some("1"));
    }

    #[test]
    fn what_cannot_sign_is_refused_by_name() {
        let request = Request::new(Method::Get, "/api/v5/account/balance", Access::Signed);
        assert_eq!(sign(&request, "", None, 0), Err(SignError::NoCredentials));
        let no_phrase = Credentials::new("key", "secret", None);
        assert_eq!(
            sign(&request, "", Some(&no_phrase), 0),
            Err(SignError::NoPassphrase(Venue::Okx))
        );
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----";
        let key = Credentials::new("key", pem, Some("phrase".to_owned()));
        assert!(matches!(
            sign(&request, "", Some(&key), 0),
            Err(SignError::BadSecret { .. })
        ));
    }
}
