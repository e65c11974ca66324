//! Signing: HMAC-SHA256 in base64 over the method, the host, the path and the sorted query.

use time::OffsetDateTime;

use crate::credentials::Credentials;
use crate::crypto::{SecretKind, ed25519_base64, hmac_base64, secret_kind};
use crate::error::SignError;
use crate::request::{Access, Method, Request, SignedRequest, encode, query_string};

/// Signs a request. The body of a POST is not signed by this venue.
///
/// # Errors
/// When it must be signed and the credentials cannot.
pub(super) fn sign(
    request: &Request,
    rest: &str,
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<SignedRequest, SignError> {
    let path = &request.path;
    let (query, mut headers) = match request.access {
        Access::Public => (query_string(&request.query), Vec::new()),
        Access::KeyOnly | Access::Signed => {
            let credentials = credentials.ok_or(SignError::NoCredentials)?;
            let mut pairs = stamp(credentials, timestamp_ms)?;
            pairs.extend(request.query.iter().cloned());
            pairs.sort();
            let query = query_string(&pairs);
            let signature = signature(
                credentials,
                &format!("{}\n{}\n{path}\n{query}", request.method.name(), host(rest)),
            )?;
            let kind = if request.method == Method::Post {
                "application/json"
            } else {
                "application/x-www-form-urlencoded"
            };
            (
                format!("{query}&Signature={}", encode(&signature)),
                vec![("Content-Type".to_owned(), kind.to_owned())],
            )
        }
    };
    if headers.is_empty() && !request.body.is_empty() {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    let question = if query.is_empty() { "" } else { "?" };
    Ok(SignedRequest {
        method: request.method,
        url: format!("{rest}{path}{question}{query}"),
        headers,
        body: request.body.clone(),
    })
}

/// The login message of a socket.
///
/// # Errors
/// When the credentials cannot sign.
pub(super) fn login(url: &str, credentials: &Credentials, timestamp_ms: u64) -> Result<String, SignError> {
    let pairs = stamp(credentials, timestamp_ms)?;
    let (host, path) = (host(url), path(url));
    let signature = signature(
        credentials,
        &format!("GET\n{host}\n{path}\n{}", query_string(&pairs)),
    )?;
    let mut out = String::from("{\"op\":\"auth\",\"type\":\"api\"");
    for (name, value) in pairs.iter().chain([&("Signature".to_owned(), signature)]) {
        out.push_str(&format!(
            ",\"{name}\":{}",
            serde_json::Value::from(value.as_str())
        ));
    }
    out.push('}');
    Ok(out)
}

/// Who signs, how and when; sorted.
fn stamp(credentials: &Credentials, timestamp_ms: u64) -> Result<Vec<(String, String)>, SignError> {
    let method = match secret_kind(credentials.secret()) {
        SecretKind::Hmac => "HmacSHA256",
        // That the venue takes it in exactly this form is unconfirmed.
        SecretKind::Ed25519 => "Ed25519",
        SecretKind::Rsa => {
            return Err(SignError::BadSecret {
                expected: "shared secret or Ed25519 private key in PEM",
            });
        }
    };
    Ok([
        ("AccessKeyId", credentials.key.clone()),
        ("SignatureMethod", method.to_owned()),
        ("SignatureVersion", "2".to_owned()),
        ("Timestamp", timestamp(timestamp_ms)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect())
}

fn signature(credentials: &Credentials, text: &str) -> Result<String, SignError> {
    match secret_kind(credentials.secret()) {
        SecretKind::Ed25519 => ed25519_base64(credentials.secret(), text),
        _ => Ok(hmac_base64(credentials.secret(), text)),
    }
}

/// `2023-11-14T22:13:20`: UTC, without milliseconds, without a zone.
fn timestamp(timestamp_ms: u64) -> String {
    let moment = i64::try_from(timestamp_ms / 1_000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

/// The host that is called, with its port where the address has one, in lower case.
fn host(url: &str) -> String {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    after
        .split(['/', '?'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

fn path(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    after.find('/').and_then(|at| after.get(at..)).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials::new("test_api_key", "test_secret", None)
    }

    #[test]
    fn both_login_vectors_match() {
        for (path, expected) in [
            (
                "/linear-swap-notification",
                "Bn/7iD1ik6lzvgtjMZon/RUMkZJZST+axLjTVsXNir8=",
            ),
            (
                "/ws/v5/notification",
                "vCBXl8HhKvB/H7DIVPqCRs7D7KFCVNX9Scub2VzHs58=",
            ),
        ] {
            let frame = login(
                &format!("wss://api.hbdm.com{path}"),
                &credentials(),
                1_700_000_000_000,
            )
            .unwrap();
            assert_eq!(
                frame,
                format!(
                    "{{\"op\":\"auth\",\"type\":\"api\",\"AccessKeyId\":\"test_api_key\",\
                     \"SignatureMethod\":\"HmacSHA256\",\"SignatureVersion\":\"2\",\
                     \"Timestamp\":\"2023-11-14T22:13:20\",\"Signature\":\"{expected}\"}}"
                )
            );
        }
    }

    #[test]
    fn the_query_is_sorted_and_the_host_is_the_one_called() {
        let request = Request::new(Method::Get, "/v5/trade/order", Access::Signed)
            .with("order_id", "1")
            .with("contract_code", "BTC-USDT");
        let signed = sign(
            &request,
            "https://API.hbdm.com",
            Some(&credentials()),
            1_700_000_000_000,
        )
        .unwrap();
        let query = "AccessKeyId=test_api_key&SignatureMethod=HmacSHA256&SignatureVersion=2&\
                     Timestamp=2023-11-14T22%3A13%3A20&contract_code=BTC-USDT&order_id=1";
        let expected = hmac_base64(
            "test_secret",
            &format!("GET\napi.hbdm.com\n/v5/trade/order\n{query}"),
        );
        assert_eq!(
            signed.url,
            format!(
                "https://API.hbdm.com/v5/trade/order?{query}&Signature={}",
                encode(&expected)
            )
        );
        assert!(sign(&request, "https://x", None, 0).is_err());
    }
}
