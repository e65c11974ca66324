//! Keys of exchange accounts: never printed, wiped when dropped.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// A key of an exchange account. On Hyperliquid `key` is the account's address (empty: the address of the secret) and
/// `secret` the private key of the account or of its API wallet, in hexadecimal.
#[derive(Debug, Clone, Deserialize)]
pub struct Credentials {
    /// The public part.
    pub key: String,
    /// The secret part: an HMAC secret, or a private key as PEM where the venue takes those.
    secret: SecretString,
    /// What OKX and Bitget want besides.
    #[serde(default)]
    passphrase: Option<SecretString>,
}

impl Credentials {
    /// From their parts.
    #[must_use]
    pub fn new(key: impl Into<String>, secret: impl Into<String>, passphrase: Option<String>) -> Self {
        Self {
            key: key.into(),
            secret: SecretString::from(secret.into()),
            passphrase: passphrase.map(SecretString::from),
        }
    }

    /// The secret, for signing only.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.secret.expose_secret()
    }

    /// The passphrase, for signing only.
    #[must_use]
    pub fn passphrase(&self) -> Option<&str> {
        self.passphrase
            .as_ref()
            .map(|passphrase| passphrase.expose_secret())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let printed = format!(
            "{:?}",
            Credentials::new("the-key", "the-secret", Some("the-phrase".to_owned()))
        );
        assert!(printed.contains("the-key"));
        assert!(!printed.contains("the-secret") && !printed.contains("the-phrase"));
    }
}
