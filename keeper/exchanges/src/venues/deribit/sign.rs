//! Signing: HMAC-SHA256 in hexadecimal, in one header.

use crate::credentials::Credentials;
use crate::crypto::hmac_hex;
use crate::error::SignError;
use crate::request::{Access, Request, SignedRequest, query_string};

/// Signs a request. The nonce is the timestamp: the venue wants it to differ between requests of one timestamp only
/// where a request is repeated.
///
/// # Errors
/// When it must be signed and there are no credentials.
pub(super) fn sign(
    request: &Request,
    rest: &str,
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<SignedRequest, SignError> {
    let mut target = request.path.clone();
    if !request.query.is_empty() {
        target.push('?');
        target.push_str(&query_string(&request.query));
    }
    let headers = match request.access {
        Access::Public => Vec::new(),
        Access::KeyOnly | Access::Signed => {
            let credentials = credentials.ok_or(SignError::NoCredentials)?;
            let signature = hmac_hex(
                credentials.secret(),
                &format!(
                    "{timestamp_ms}\n{timestamp_ms}\n{}\n{target}\n{}\n",
                    request.method.name(),
                    request.body
                ),
            );
            vec![(
                "Authorization".to_owned(),
                format!(
                    "deri-hmac-sha256 id={},ts={timestamp_ms},sig={signature},nonce={timestamp_ms}",
                    credentials.key
                ),
            )]
        }
    };
    Ok(SignedRequest {
        method: request.method,
        url: format!("{rest}{target}"),
        headers,
        body: request.body.clone(),
    })
}

/// The signature of the login on a socket.
pub(super) fn login_signature(secret: &str, timestamp_ms: u64, nonce: &str, data: &str) -> String {
    hmac_hex(secret, &format!("{timestamp_ms}\n{nonce}\n{data}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Method;

    #[test]
    fn the_login_vector_matches() {
        assert_eq!(
            login_signature("test_secret", 1_700_000_000_000, "nonce1", ""),
            "3c666694d46632eb97fa1522c79723a78d5b4e9de7f49a955463956bfcee9d88"
        );
    }

    #[test]
    fn the_query_is_part_of_what_is_signed() {
        let credentials = Credentials::new("key", "secret", None);
        let request =
            Request::new(Method::Get, "/api/v2/private/cancel", Access::Signed).with("order_id", "BTC-1");
        let signed = sign(&request, "https://x", Some(&credentials), 5).unwrap();
        assert_eq!(signed.url, "https://x/api/v2/private/cancel?order_id=BTC-1");
        let expected = hmac_hex("secret", "5\n5\nGET\n/api/v2/private/cancel?order_id=BTC-1\n\n");
        assert_eq!(
            signed.headers,
            [(
                "Authorization".to_owned(),
                format!("deri-hmac-sha256 id=key,ts=5,sig={expected},nonce=5")
            )]
        );
        assert_eq!(
            sign(&request, "https://x", None, 5).unwrap_err(),
            SignError::NoCredentials
        );
    }
}
