//! Signatures: over the query and the form exactly as they are sent; the signature itself goes last.

use crate::credentials::Credentials;
use crate::crypto::{SecretKind, ed25519_base64, hmac_hex, rsa_base64, secret_kind};
use crate::error::SignError;
use crate::request::{Access, Method, Request, SignedRequest, encode, query_string, raw_query_string};

/// How long after its timestamp the venue still takes a request. The venue's default is 5,000 and its maximum 60,000;
/// this is what ccxt asks for.
pub(super) const RECEIVE_WINDOW_MS: &str = "10000";

/// Whose list of orders is sent without percent-encoding: the venue takes it so, and signs what it gets.
const BATCH_ORDERS: &str = "/fapi/v1/batchOrders";

pub(super) fn sign(
    request: &Request,
    rest: &str,
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<SignedRequest, SignError> {
    let mut headers = Vec::new();
    let mut query = String::new();
    if request.access == Access::Public {
        query.push_str(&query_string(&request.query));
    } else {
        let credentials = credentials.ok_or(SignError::NoCredentials)?;
        headers.push(("X-MBX-APIKEY".to_owned(), credentials.key.clone()));
        if request.access == Access::KeyOnly {
            query.push_str(&query_string(&request.query));
        } else {
            query.push_str(&payload(request, timestamp_ms));
            let signature = signature(credentials.secret(), &query)?;
            query.push_str("&signature=");
            query.push_str(&encode(&signature));
        }
    }
    let in_body = matches!(request.method, Method::Post | Method::Put);
    if in_body || request.access == Access::KeyOnly {
        headers.push((
            "Content-Type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        ));
    }
    let mut url = format!("{rest}{}", request.path);
    if !in_body && !query.is_empty() {
        url.push('?');
        url.push_str(&query);
    }
    Ok(SignedRequest {
        method: request.method,
        url,
        headers,
        body: if in_body { query } else { String::new() },
    })
}

/// What is signed: the time, the parameters, the window.
fn payload(request: &Request, timestamp_ms: u64) -> String {
    let mut pairs = Vec::with_capacity(request.query.len() + 2);
    pairs.push(("timestamp".to_owned(), timestamp_ms.to_string()));
    pairs.extend(request.query.iter().cloned());
    // A request that must have it elsewhere than last brings its own.
    if !request.query.iter().any(|(name, _)| name == "recvWindow") {
        pairs.push(("recvWindow".to_owned(), RECEIVE_WINDOW_MS.to_owned()));
    }
    if request.path == BATCH_ORDERS && request.method == Method::Post {
        raw_query_string(&pairs)
    } else {
        query_string(&pairs)
    }
}

/// By the kind of the secret: HMAC in hexadecimal, RSA and Ed25519 in base64.
///
/// # Errors
/// When the secret is a private key that cannot be read.
pub(super) fn signature(secret: &str, payload: &str) -> Result<String, SignError> {
    match secret_kind(secret) {
        SecretKind::Hmac => Ok(hmac_hex(secret, payload)),
        SecretKind::Rsa => rsa_base64(secret, payload),
        SecretKind::Ed25519 => ed25519_base64(secret, payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    const REST: &str = "https://fapi.binance.com";

    fn order() -> Request {
        Request::new(Method::Post, "/fapi/v1/order", Access::Signed)
            .with("symbol", "BTCUSDT")
            .with("side", "BUY")
    }

    #[test]
    fn signatures_are_the_documented_ones() {
        let text = include_str!("../../../tests/fixtures/signing_vectors.json");
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut compared = 0;
        for vector in file["vectors"].as_array().unwrap() {
            if vector["exchange"] == "binance" {
                let field = |name: &str| vector[name].as_str().unwrap();
                assert_eq!(
                    signature(field("secret"), field("string_to_sign")).unwrap(),
                    field("signature"),
                    "{}",
                    field("description")
                );
                compared += 1;
            }
        }
        assert_eq!(compared, 3);
    }

    #[test]
    fn acts_are_forms_and_reads_are_queries() {
        let credentials = Credentials::new("key", "secret", None);
        let signed = sign(&order(), REST, Some(&credentials), 1).unwrap();
        assert_eq!(signed.url, "https://fapi.binance.com/fapi/v1/order");
        assert!(
            signed
                .body
                .starts_with("timestamp=1&symbol=BTCUSDT&side=BUY&recvWindow=10000&signature=")
        );
        assert_eq!(signed.headers[0], ("X-MBX-APIKEY".to_owned(), "key".to_owned()));

        let mut cancel = order();
        cancel.method = Method::Delete;
        let signed = sign(&cancel, REST, Some(&credentials), 1).unwrap();
        assert!(signed.body.is_empty());
        assert!(
            signed
                .url
                .starts_with("https://fapi.binance.com/fapi/v1/order?timestamp=1&")
        );
    }

    #[test]
    fn a_key_is_only_named_where_nothing_is_signed() {
        let request = Request::new(Method::Post, "/fapi/v1/listenKey", Access::KeyOnly);
        assert_eq!(sign(&request, REST, None, 1), Err(SignError::NoCredentials));
        let signed = sign(&request, REST, Some(&Credentials::new("key", "", None)), 1).unwrap();
        assert_eq!(signed.headers[0].1, "key");
        assert!(!signed.url.contains('?') && signed.body.is_empty());
    }

    #[test]
    fn an_ed25519_key_signs_in_base64_percent_encoded() {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
            STANDARD.encode(document.as_ref())
        );
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let signed = sign(&order(), REST, Some(&Credentials::new("key", pem, None)), 1).unwrap();
        let (payload, signature) = signed.body.rsplit_once("&signature=").unwrap();
        assert!(!signature.contains(['+', '/', '=']));
        let signature = percent_encoding::percent_decode_str(signature)
            .decode_utf8()
            .unwrap();
        UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref())
            .verify(
                payload.as_bytes(),
                &STANDARD.decode(signature.as_bytes()).unwrap(),
            )
            .unwrap();
    }

    #[test]
    fn an_rsa_key_signs_in_base64() {
        use aws_lc_rs::rsa::KeySize;
        use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair};
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
            STANDARD.encode(pair.as_der().unwrap().as_ref())
        );
        let signature = signature(&pem, "timestamp=1").unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .verify(b"timestamp=1", &STANDARD.decode(signature).unwrap())
            .unwrap();
    }
}
