//! Login with a wallet (EIP-4361): nonces, messages, sessions.
//!
//! Nonces and sessions are texts with a MAC over them, so that nothing is stored for someone who only asks; what is
//! stored is small and earned by a valid signature: nonces that were used and sessions that were ended.

pub mod siwe;
pub mod wallet;

use std::time::Duration;

use alloy::hex;
use alloy::primitives::Address;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use url::Url;

use crate::dto::scalar::Timestamp;

/// Name of the session cookie.
pub const COOKIE: &str = "lockstep_session";

/// Life of a nonce and of the message that holds it.
pub const NONCE_LIFE: Duration = Duration::from_secs(600);

/// What the wallet shows as the reason.
pub const STATEMENT: &str = "Log in to Lockstep. This signature moves nothing and costs nothing.";

/// Makes and judges nonces and sessions.
pub struct Sessions {
    key: Vec<u8>,
    origins: Vec<Url>,
    life_ms: i64,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// Why sessions cannot be configured so.
#[derive(Debug, thiserror::Error)]
pub enum SessionConfigError {
    /// The secret could be guessed.
    #[error("`session.secret` is shorter than 32 characters")]
    ShortSecret,
    /// Not an origin.
    #[error("`session.origins`: {0} is not an http or https origin")]
    NotAnOrigin(Url),
    /// No randomness.
    #[error("the system gives no randomness: {0}")]
    Random(String),
}

/// Who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The address.
    pub address: Address,
    /// Until when.
    pub expires: Timestamp,
    /// The session's own id, under which it can be ended.
    pub id: String,
}

const ID_BYTES: usize = 16;
const MAC_BYTES: usize = 32;
/// address, expiry, id
const SESSION_BYTES: usize = 20 + 8 + ID_BYTES;
/// issued, random
const NONCE_BYTES: usize = 8 + 8;
const NONCE_MAC_BYTES: usize = 16;

fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

impl Sessions {
    /// Sessions under a secret, or under a random one that ends with the process.
    ///
    /// # Errors
    /// [`SessionConfigError`].
    pub fn new(
        secret: Option<&SecretString>,
        origins: Vec<Url>,
        ttl_hours: u32,
    ) -> Result<Self, SessionConfigError> {
        let key = match secret {
            Some(secret) if secret.expose_secret().len() < 32 => return Err(SessionConfigError::ShortSecret),
            Some(secret) => secret.expose_secret().as_bytes().to_vec(),
            None => random::<32>()
                .map_err(|error| SessionConfigError::Random(error.to_string()))?
                .to_vec(),
        };
        if let Some(wrong) = origins
            .iter()
            .find(|url| !url.origin().is_tuple() || !url.scheme().starts_with("http"))
        {
            return Err(SessionConfigError::NotAnOrigin(wrong.clone()));
        }
        Ok(Self {
            key,
            origins,
            life_ms: i64::from(ttl_hours) * 3_600_000,
        })
    }

    /// Origins on which one may log in.
    #[must_use]
    pub fn origins(&self) -> &[Url] {
        &self.origins
    }

    fn mac(&self, purpose: &[u8], body: &[u8]) -> Option<Hmac<Sha256>> {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(purpose);
        mac.update(body);
        Some(mac)
    }

    /// A nonce for one login.
    #[must_use]
    pub fn nonce(&self, now: Timestamp) -> Option<String> {
        let mut body = now.millis().to_be_bytes().to_vec();
        body.extend(random::<8>().ok()?);
        let mac = self.mac(b"nonce", &body)?.finalize().into_bytes();
        body.extend(mac.get(..NONCE_MAC_BYTES)?);
        Some(hex::encode(body))
    }

    /// When a nonce stops being good, if it is one of ours and still good.
    #[must_use]
    pub fn judge_nonce(&self, nonce: &str, now: Timestamp) -> Option<Timestamp> {
        let bytes = hex::decode(nonce)
            .ok()
            .filter(|bytes| bytes.len() == NONCE_BYTES + NONCE_MAC_BYTES)?;
        let (body, mac) = bytes.split_at_checked(NONCE_BYTES)?;
        self.mac(b"nonce", body)?.verify_truncated_left(mac).ok()?;
        let (issued, _) = body.split_first_chunk::<8>()?;
        let life = i64::try_from(NONCE_LIFE.as_millis()).ok()?;
        let expires = Timestamp::from_millis(i64::from_be_bytes(*issued).checked_add(life)?);
        (now < expires).then_some(expires)
    }

    /// A session for an address that has proved itself.
    #[must_use]
    pub fn issue(&self, address: Address, now: Timestamp) -> Option<(String, Identity)> {
        let expires = Timestamp::from_millis(now.millis().checked_add(self.life_ms)?);
        let id = random::<ID_BYTES>().ok()?;
        let mut body = address.to_vec();
        body.extend(expires.millis().to_be_bytes());
        body.extend(id);
        let mac = self.mac(b"session", &body)?.finalize().into_bytes();
        body.extend(mac);
        Some((
            hex::encode(&body),
            Identity {
                address,
                expires,
                id: hex::encode(id),
            },
        ))
    }

    /// Who a session belongs to, if it is one of ours and still good. Whether it was ended, the private store knows.
    #[must_use]
    pub fn judge(&self, token: &str, now: Timestamp) -> Option<Identity> {
        let bytes = hex::decode(token)
            .ok()
            .filter(|bytes| bytes.len() == SESSION_BYTES + MAC_BYTES)?;
        let (body, mac) = bytes.split_at_checked(SESSION_BYTES)?;
        self.mac(b"session", body)?.verify_slice(mac).ok()?;
        let (address, rest) = body.split_first_chunk::<20>()?;
        let (expires, id) = rest.split_first_chunk::<8>()?;
        let expires = Timestamp::from_millis(i64::from_be_bytes(*expires));
        (now < expires).then(|| Identity {
            address: Address::from(*address),
            expires,
            id: hex::encode(id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(secret: &str) -> Sessions {
        Sessions::new(Some(&SecretString::from(secret)), vec![], 1).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_session_is_good_until_it_expires_and_under_its_own_secret() {
        let ours = sessions(SECRET);
        let (token, identity) = ours.issue(Address::repeat_byte(7), at(1_000)).unwrap();
        assert_eq!(ours.judge(&token, at(2_000)), Some(identity.clone()));
        assert_eq!(ours.judge(&token, at(1_000 + 3_600_000)), None);
        assert_eq!(
            sessions("another secret of 32 characters!").judge(&token, at(2_000)),
            None
        );
    }

    #[test]
    fn no_single_digit_of_a_token_can_be_changed() {
        let ours = sessions(SECRET);
        let (token, _) = ours.issue(Address::repeat_byte(7), at(1_000)).unwrap();
        for position in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[position] = if forged[position] == b'0' { b'1' } else { b'0' };
            assert_eq!(
                ours.judge(std::str::from_utf8(&forged).unwrap(), at(2_000)),
                None,
                "{position}"
            );
        }
    }

    #[test]
    fn a_nonce_is_ours_young_and_no_session() {
        let ours = sessions(SECRET);
        let nonce = ours.nonce(at(1_000)).unwrap();
        assert!(nonce.len() >= 8 && nonce.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(ours.judge_nonce(&nonce, at(2_000)).is_some());
        assert_eq!(ours.judge_nonce(&nonce, at(1_000 + 600_000)), None);
        assert_eq!(ours.judge_nonce("deadbeef", at(2_000)), None);
        assert_eq!(ours.judge(&nonce, at(2_000)), None);
        assert_ne!(ours.nonce(at(1_000)), ours.nonce(at(1_000)));
    }

    #[test]
    fn a_short_secret_is_refused_and_no_secret_is_random() {
        assert!(Sessions::new(Some(&SecretString::from("short")), vec![], 1).is_err());
        let (a, b) = (
            Sessions::new(None, vec![], 1).unwrap(),
            Sessions::new(None, vec![], 1).unwrap(),
        );
        let (token, _) = a.issue(Address::ZERO, at(0)).unwrap();
        assert_eq!(b.judge(&token, at(1)), None);
    }
}
