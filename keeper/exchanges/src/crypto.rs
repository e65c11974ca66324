//! The signatures that several venues share. Hyperliquid's is in its own module.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::SignError;

/// HMAC-SHA256 in lower-case hexadecimal.
#[must_use]
pub fn hmac_hex(secret: &str, text: &str) -> String {
    hex::encode(hmac_sha256(secret, text).as_ref())
}

/// HMAC-SHA256 in base64.
#[must_use]
pub fn hmac_base64(secret: &str, text: &str) -> String {
    STANDARD.encode(hmac_sha256(secret, text).as_ref())
}

fn hmac_sha256(secret: &str, text: &str) -> hmac::Tag {
    hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        text.as_bytes(),
    )
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// What kind of secret a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// A shared secret.
    Hmac,
    /// An RSA private key (PKCS#8 or PKCS#1 PEM).
    Rsa,
    /// An Ed25519 private key (PKCS#8 PEM).
    Ed25519,
}

/// The object identifier of Ed25519 in a PKCS#8 document.
const ED25519_OBJECT_IDENTIFIER: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];

/// Tells keys from shared secrets by their PEM armour and their object identifier, never by their length: a shared
/// secret of 64 letters is valid base64 of 48 bytes, as long as an Ed25519 document.
#[must_use]
pub fn secret_kind(secret: &str) -> SecretKind {
    match pem_body(secret) {
        None => SecretKind::Hmac,
        Some(document)
            if document
                .windows(ED25519_OBJECT_IDENTIFIER.len())
                .take(32)
                .any(|window| window == ED25519_OBJECT_IDENTIFIER) =>
        {
            SecretKind::Ed25519
        }
        Some(_) => SecretKind::Rsa,
    }
}

pub(crate) fn pem_body(text: &str) -> Option<Vec<u8>> {
    let inner = text.trim().strip_prefix("-----BEGIN ")?.split_once("-----")?.1;
    let body = inner.split_once("-----END ")?.0;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

/// RSASSA-PKCS1-v1_5 with SHA-256, in base64.
///
/// # Errors
/// When the secret is no RSA private key in PEM.
pub fn rsa_base64(secret: &str, text: &str) -> Result<String, SignError> {
    let bad = || SignError::BadSecret {
        expected: "RSA private key in PEM",
    };
    let document = pem_body(secret).ok_or_else(bad)?;
    let pair = RsaKeyPair::from_pkcs8(&document)
        .or_else(|_| RsaKeyPair::from_der(&document))
        .map_err(|_| bad())?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .map_err(|_| bad())?;
    Ok(STANDARD.encode(signature))
}

/// Ed25519, in base64.
///
/// # Errors
/// When the secret is no Ed25519 private key in PKCS#8 PEM.
pub fn ed25519_base64(secret: &str, text: &str) -> Result<String, SignError> {
    let bad = || SignError::BadSecret {
        expected: "Ed25519 private key in PKCS#8 PEM",
    };
    let pair =
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pem_body(secret).ok_or_else(bad)?).map_err(|_| bad())?;
    Ok(STANDARD.encode(pair.sign(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_secret_of_64_letters_is_no_key() {
        let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
        assert_eq!(secret_kind(secret), SecretKind::Hmac);
        assert_eq!(
            hmac_hex(secret, "timestamp=1578963600000"),
            "d84e6641b1e328e7b418fff030caed655c266299c9355e36ce801ed14631eed4"
        );
    }

    #[test]
    fn an_ed25519_key_is_told_by_its_object_identifier() {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(document.as_ref())
        );
        assert_eq!(secret_kind(&pem), SecretKind::Ed25519);
        assert_eq!(
            STANDARD
                .decode(ed25519_base64(&pem, "text").unwrap())
                .unwrap()
                .len(),
            64
        );
        assert!(rsa_base64(&pem, "text").is_err());
        assert!(ed25519_base64("not a key", "text").is_err());
    }
}
