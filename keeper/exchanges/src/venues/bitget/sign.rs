//! Bitget's signature: over time, method, path with its raw query, body; HMAC-SHA256 or RSA, in base64.

use crate::credentials::Credentials;
use crate::crypto::{SecretKind, hmac_base64, rsa_base64, secret_kind};
use crate::error::SignError;
use crate::model::Venue;
use crate::request::{Access, Method, Request, SignedRequest, query_string, raw_query_string};

/// Bitget's demo world has the same REST address and wants a header. An address with this mark at its end is sent without
/// the mark and with the header.
pub(super) const DEMO_MARK: &str = "#demo";

/// The path that is signed to log in to a socket.
const LOGIN_PATH: &str = "/user/verify";

fn parts(credentials: Option<&Credentials>) -> Result<(&Credentials, &str), SignError> {
    let credentials = credentials.ok_or(SignError::NoCredentials)?;
    let passphrase = credentials
        .passphrase()
        .ok_or(SignError::NoPassphrase(Venue::Bitget))?;
    Ok((credentials, passphrase))
}

/// A text signed with whatever kind of secret the key has.
fn signature(credentials: &Credentials, text: &str) -> Result<String, SignError> {
    match secret_kind(credentials.secret()) {
        SecretKind::Hmac => Ok(hmac_base64(credentials.secret(), text)),
        SecretKind::Rsa => rsa_base64(credentials.secret(), text),
        SecretKind::Ed25519 => Err(SignError::BadSecret {
            expected: "shared secret or RSA private key: Bitget signs with nothing else",
        }),
    }
}

/// Signs a request. The query of a signed request is sorted by name; what is signed is the query as it was before it was
/// percent-encoded.
pub(super) fn sign(
    request: &Request,
    rest: &str,
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<SignedRequest, SignError> {
    let (rest, demo) = rest
        .strip_suffix(DEMO_MARK)
        .map_or((rest, false), |rest| (rest, true));
    let signed = request.access != Access::Public;
    let mut query = request.query.clone();
    if signed {
        query.sort();
    }
    let separator = if query.is_empty() { "" } else { "?" };
    let mut headers = Vec::with_capacity(6);
    if signed {
        let (credentials, passphrase) = parts(credentials)?;
        let timestamp = timestamp_ms.to_string();
        let text = format!(
            "{timestamp}{}{}{separator}{}{}",
            request.method.name(),
            request.path,
            raw_query_string(&query),
            request.body
        );
        headers.push(("ACCESS-KEY".to_owned(), credentials.key.clone()));
        headers.push(("ACCESS-SIGN".to_owned(), signature(credentials, &text)?));
        headers.push(("ACCESS-TIMESTAMP".to_owned(), timestamp));
        headers.push(("ACCESS-PASSPHRASE".to_owned(), passphrase.to_owned()));
    }
    if request.method != Method::Get {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    if demo {
        headers.push(("PAPTRADING".to_owned(), "1".to_owned()));
    }
    Ok(SignedRequest {
        method: request.method,
        url: format!("{rest}{}{separator}{}", request.path, query_string(&query)),
        headers,
        body: request.body.clone(),
    })
}

/// The message that logs in to a socket. Its time is in seconds, unlike that of requests.
pub(super) fn login(credentials: Option<&Credentials>, timestamp_ms: u64) -> Result<String, SignError> {
    let (credentials, passphrase) = parts(credentials)?;
    let timestamp = (timestamp_ms / 1000).to_string();
    let signature = signature(credentials, &format!("{timestamp}GET{LOGIN_PATH}"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials::new("key", "test_secret", Some("phrase".to_owned()))
    }

    fn header<'a>(signed: &'a SignedRequest, name: &str) -> Option<&'a str> {
        signed
            .headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_login_has_the_signature_of_the_vectors() {
        let login = login(Some(&credentials()), 1_700_000_000_999).unwrap();
        assert!(
            login.contains(r#""sign":"tFs52ld4UvCPXyGNtieq3A1f33ocGrPqSRXdfdMhuHg=""#),
            "{login}"
        );
    }

    #[test]
    fn the_query_is_sorted_and_signed_before_it_is_encoded() {
        let request = Request::new(Method::Get, "/api/v2/mix/order/detail", Access::Signed)
            .with("symbol", "BTCUSDT")
            .with("clientOid", "a#1");
        let signed = sign(&request, "https://api.bitget.com", Some(&credentials()), 7).unwrap();
        assert_eq!(
            signed.url,
            "https://api.bitget.com/api/v2/mix/order/detail?clientOid=a%231&symbol=BTCUSDT"
        );
        let text = "7GET/api/v2/mix/order/detail?clientOid=a#1&symbol=BTCUSDT";
        assert_eq!(
            header(&signed, "ACCESS-SIGN"),
            Some(hmac_base64("test_secret", text).as_str())
        );
    }

    #[test]
    fn a_public_query_keeps_its_order_and_has_no_key() {
        let request = Request::new(Method::Get, "/p", Access::Public)
            .with("symbol", "BTCUSDT")
            .with("limit", "5");
        let signed = sign(&request, "http://host#demo", None, 7).unwrap();
        assert_eq!(signed.url, "http://host/p?symbol=BTCUSDT&limit=5");
        assert_eq!(signed.headers, [("PAPTRADING".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn an_rsa_key_signs_with_rsa_and_other_keys_are_refused() {
        use aws_lc_rs::encoding::AsDer as _;
        use aws_lc_rs::rsa::{KeyPair, KeySize};
        use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;

        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let document: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
            STANDARD.encode(document.as_ref())
        );
        let key = Credentials::new("key", pem, Some("phrase".to_owned()));
        let request = Request::new(Method::Post, "/api/v2/x", Access::Signed).json(r#"{"a":"1"}"#);
        let signed = sign(&request, "", Some(&key), 7).unwrap();
        let signature = STANDARD.decode(header(&signed, "ACCESS-SIGN").unwrap()).unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .verify(br#"7POST/api/v2/x{"a":"1"}"#, &signature)
            .unwrap();

        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----";
        let key = Credentials::new("key", pem, Some("phrase".to_owned()));
        assert!(matches!(
            sign(&request, "", Some(&key), 7),
            Err(SignError::BadSecret { .. })
        ));
        assert_eq!(sign(&request, "", None, 7), Err(SignError::NoCredentials));
        assert_eq!(
            sign(&request, "", Some(&Credentials::new("k", "s", None)), 7),
            Err(SignError::NoPassphrase(Venue::Bitget))
        );
    }
}
