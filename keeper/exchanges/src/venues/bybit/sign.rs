//! Signatures: over the time, the key, the window and the query or the body, exactly as they are sent.

use crate::credentials::Credentials;
use crate::crypto::{SecretKind, hmac_hex, rsa_base64, secret_kind};
use crate::error::SignError;
use crate::request::{Access, Method, Request, SignedRequest, query_string};

/// How long after its timestamp the venue still takes a request: its default.
const RECEIVE_WINDOW_MS: &str = "5000";

pub(super) fn sign(
    request: &Request,
    rest: &str,
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<SignedRequest, SignError> {
    let query = query_string(&request.query);
    let mut headers = Vec::new();
    if request.access != Access::Public {
        let credentials = credentials.ok_or(SignError::NoCredentials)?;
        let signed = if request.method == Method::Get {
            &query
        } else {
            &request.body
        };
        let payload = format!("{timestamp_ms}{}{RECEIVE_WINDOW_MS}{signed}", credentials.key);
        for (name, value) in [
            ("Content-Type", "application/json".to_owned()),
            ("X-BAPI-API-KEY", credentials.key.clone()),
            ("X-BAPI-TIMESTAMP", timestamp_ms.to_string()),
            ("X-BAPI-RECV-WINDOW", RECEIVE_WINDOW_MS.to_owned()),
            ("X-BAPI-SIGN", signature(credentials.secret(), &payload)?),
        ] {
            headers.push((name.to_owned(), value));
        }
    }
    let mut url = format!("{rest}{}", request.path);
    if !query.is_empty() {
        url.push('?');
        url.push_str(&query);
    }
    Ok(SignedRequest {
        method: request.method,
        url,
        headers,
        body: request.body.clone(),
    })
}

/// By the kind of the secret: HMAC in hexadecimal, RSA in base64.
///
/// # Errors
/// When the secret is a private key of another kind or cannot be read.
pub(super) fn signature(secret: &str, payload: &str) -> Result<String, SignError> {
    match secret_kind(secret) {
        SecretKind::Hmac => Ok(hmac_hex(secret, payload)),
        SecretKind::Rsa => rsa_base64(secret, payload),
        SecretKind::Ed25519 => Err(SignError::BadSecret {
            expected: "HMAC secret or RSA private key in PEM: Bybit takes no others",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn signatures_are_the_documented_ones() {
        let text = include_str!("../../../tests/fixtures/signing_vectors.json");
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut compared = 0;
        for vector in file["vectors"].as_array().unwrap() {
            if vector["exchange"] == "bybit" {
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
    fn the_query_or_the_body_is_signed_as_it_is_sent() {
        let credentials = Credentials::new("test_api_key", "test_secret", None);
        let header = |signed: &SignedRequest| signed.headers.last().unwrap().1.clone();
        let get = Request::new(Method::Get, "/v5/order/realtime", Access::Signed)
            .with("category", "linear")
            .with("symbol", "BTCUSDT");
        let signed = sign(
            &get,
            "https://api.bybit.com",
            Some(&credentials),
            1_700_000_000_000,
        )
        .unwrap();
        assert_eq!(
            header(&signed),
            "fd4f31228a46109dc6673062328693696df9a96c7ff04e6491a45e7f63a0fdd7"
        );
        assert_eq!(
            signed.url,
            "https://api.bybit.com/v5/order/realtime?category=linear&symbol=BTCUSDT"
        );
        let post = Request::new(Method::Post, "/v5/order/cancel", Access::Signed)
            .json(r#"{"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "test-order-1"}"#);
        let signed = sign(
            &post,
            "https://api.bybit.com",
            Some(&credentials),
            1_700_000_000_000,
        )
        .unwrap();
        assert_eq!(
            header(&signed),
            "2df4a0603d69c08d5dea29ba85b46eb7db64ce9e9ebd34a7802a3d69700cb2a1"
        );
        assert_eq!(sign(&post, "", None, 1), Err(SignError::NoCredentials));
    }

    #[test]
    fn an_rsa_key_signs_in_base64() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
            STANDARD.encode(pair.as_der().unwrap().as_ref())
        );
        let signature = signature(&pem, "GET/realtime1").unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .verify(b"GET/realtime1", &STANDARD.decode(signature).unwrap())
            .unwrap();
    }
}
