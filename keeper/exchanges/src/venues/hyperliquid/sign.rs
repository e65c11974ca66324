//! Signing of actions: the action in MessagePack, its Keccak hash inside EIP-712 typed data, secp256k1.
//!
//! Reads the action from JSON in the order in which it stands there, because the order is part of what is signed.

use std::fmt;

use k256::ecdsa::SigningKey;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use sha3::{Digest as _, Keccak256};

use super::requests::ACCOUNT_PLACEHOLDER;
use crate::credentials::Credentials;
use crate::error::SignError;
use crate::request::{Access, Request, SignedRequest};

/// Chain id in the typed data of trading actions, whatever the network.
const ACTION_CHAIN_ID: u64 = 1337;

/// Chain id in the typed data of transfers, where the action names none (Arbitrum Sepolia, as the venue's own client).
const TRANSFER_CHAIN_ID: u64 = 421_614;

/// Where actions are sent.
pub(super) const EXCHANGE: &str = "/exchange";

/// Which of the venue's networks an address belongs to. The signature differs: an order for the test network is none
/// on the main one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// Source `a`.
    Main,
    /// Source `b`.
    Test,
}

impl Network {
    /// By the host of the REST address: the test network's says `testnet`. Any other host, a simulator's or a proxy's,
    /// is taken for the main network.
    pub(super) fn of(rest: &str) -> Self {
        let host = rest.split_once("://").map_or(rest, |(_, after)| after);
        let host = host.split(['/', '?']).next().unwrap_or_default();
        if host.contains("testnet") {
            Self::Test
        } else {
            Self::Main
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::Main => "a",
            Self::Test => "b",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Main => "Mainnet",
            Self::Test => "Testnet",
        }
    }
}

/// Signs a request. Reads (`/info`) are not signed; where they concern the account, its address is filled in. The
/// envelope of an action may carry `vaultAddress` and `expiresAfter`, given in the query of the request.
///
/// # Errors
/// When credentials are needed and missing, the secret is no key, or the body is no action.
pub(super) fn sign(
    request: &Request,
    rest: &str,
    credentials: Option<&Credentials>,
    timestamp_ms: u64,
) -> Result<SignedRequest, SignError> {
    let body = match request.access {
        Access::Public => request.body.clone(),
        Access::KeyOnly => {
            let account = account(credentials.ok_or(SignError::NoCredentials)?)?;
            request
                .body
                .replacen(ACCOUNT_PLACEHOLDER, &format!("\"user\":\"{account}\""), 1)
        }
        Access::Signed => {
            let secret = Secret::new(credentials.ok_or(SignError::NoCredentials)?)?;
            envelope(request, &secret, Network::of(rest), timestamp_ms)?
        }
    };
    Ok(SignedRequest {
        method: request.method,
        url: format!("{rest}{}", request.path),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body,
    })
}

/// The account's address: the key of the credentials, or the address of the secret where the key is empty.
///
/// # Errors
/// When the key is empty and the secret is no private key.
pub(super) fn account(credentials: &Credentials) -> Result<String, SignError> {
    if credentials.key.trim().is_empty() {
        Ok(Secret::new(credentials)?.address())
    } else {
        Ok(credentials.key.trim().to_owned())
    }
}

fn envelope(request: &Request, secret: &Secret, network: Network, nonce: u64) -> Result<String, SignError> {
    let value = |name: &str| {
        request
            .query
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| value.as_str())
    };
    let vault = value("vaultAddress").map(address_bytes).transpose()?;
    let expires_after = value("expiresAfter")
        .map(|text| text.parse::<u64>())
        .transpose()
        .map_err(|_| BAD_ACTION)?;
    let action = Node::read(&request.body)?;
    let digest = match action.text("type") {
        Some("usdSend") => transfer_digest(&action, network)?,
        _ => agent_digest(connection_id(&action, nonce, vault, expires_after)?, network),
    };
    // A transfer carries its own time as its nonce.
    let nonce = match action.text("type") {
        Some("usdSend") => action.number("time").unwrap_or(nonce),
        _ => nonce,
    };
    let signature = secret.sign(&digest)?;
    let mut out = format!(
        "{{\"action\":{},\"nonce\":{nonce},\"signature\":{}",
        request.body,
        signature.json()
    );
    if let Some(vault) = value("vaultAddress") {
        out.push_str(&format!(",\"vaultAddress\":{}", serde_json::Value::from(vault)));
    }
    if let Some(expires_after) = expires_after {
        out.push_str(&format!(",\"expiresAfter\":{expires_after}"));
    }
    out.push('}');
    Ok(out)
}

/// The body is no action that can be signed. The request is ours, so the fault is not the user's secret; there is no
/// better word among the errors of signing.
const BAD_ACTION: SignError = SignError::BadSecret {
    expected: "key that could sign this: the body is no action of Hyperliquid",
};

fn keccak(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&Keccak256::digest(bytes));
    out
}

/// A word of typed data: 32 bytes, the number at the end.
fn word(number: u64) -> [u8; 32] {
    let mut out = [0; 32];
    out[24..].copy_from_slice(&number.to_be_bytes());
    out
}

fn address_bytes(text: &str) -> Result<[u8; 20], SignError> {
    let mut out = [0; 20];
    hex::decode_to_slice(text.trim_start_matches("0x"), &mut out).map_err(|_| BAD_ACTION)?;
    Ok(out)
}

/// The hash of an action with everything that makes it unique.
fn connection_id(
    action: &Node<'_>,
    nonce: u64,
    vault: Option<[u8; 20]>,
    expires_after: Option<u64>,
) -> Result<[u8; 32], SignError> {
    let mut bytes = Vec::with_capacity(256);
    action.pack(&mut bytes)?;
    bytes.extend_from_slice(&nonce.to_be_bytes());
    match vault {
        None => bytes.push(0),
        Some(vault) => {
            bytes.push(1);
            bytes.extend_from_slice(&vault);
        }
    }
    if let Some(expires_after) = expires_after {
        bytes.push(0);
        bytes.extend_from_slice(&expires_after.to_be_bytes());
    }
    Ok(keccak(&bytes))
}

fn domain(name: &str, chain_id: u64) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(160);
    bytes.extend_from_slice(&keccak(
        b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
    ));
    bytes.extend_from_slice(&keccak(name.as_bytes()));
    bytes.extend_from_slice(&keccak(b"1"));
    bytes.extend_from_slice(&word(chain_id));
    bytes.extend_from_slice(&[0; 32]);
    keccak(&bytes)
}

fn typed_digest(domain: [u8; 32], structure: [u8; 32]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(66);
    bytes.extend_from_slice(b"\x19\x01");
    bytes.extend_from_slice(&domain);
    bytes.extend_from_slice(&structure);
    keccak(&bytes)
}

fn agent_digest(connection_id: [u8; 32], network: Network) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(96);
    bytes.extend_from_slice(&keccak(b"Agent(string source,bytes32 connectionId)"));
    bytes.extend_from_slice(&keccak(network.source().as_bytes()));
    bytes.extend_from_slice(&connection_id);
    typed_digest(domain("Exchange", ACTION_CHAIN_ID), keccak(&bytes))
}

/// A transfer of USDC is signed in its own words instead of by hash. No operation of the model sends one; a raw request
/// may.
fn transfer_digest(action: &Node<'_>, network: Network) -> Result<[u8; 32], SignError> {
    let chain_id = match action.text("signatureChainId") {
        Some(text) => u64::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|_| BAD_ACTION)?,
        None => TRANSFER_CHAIN_ID,
    };
    let mut bytes = Vec::with_capacity(160);
    bytes.extend_from_slice(&keccak(
        b"HyperliquidTransaction:UsdSend(string hyperliquidChain,string destination,string amount,uint64 time)",
    ));
    bytes.extend_from_slice(&keccak(
        action
            .text("hyperliquidChain")
            .unwrap_or(network.name())
            .as_bytes(),
    ));
    for member in ["destination", "amount"] {
        bytes.extend_from_slice(&keccak(action.text(member).ok_or(BAD_ACTION)?.as_bytes()));
    }
    bytes.extend_from_slice(&word(action.number("time").ok_or(BAD_ACTION)?));
    Ok(typed_digest(
        domain("HyperliquidSignTransaction", chain_id),
        keccak(&bytes),
    ))
}

struct Secret(SigningKey);

/// A signature as the venue wants it.
struct Signature {
    r: [u8; 32],
    s: [u8; 32],
    v: u8,
}

impl Signature {
    /// Numbers, as the venue's own client writes them: without zeros on the left.
    fn json(&self) -> String {
        let number = |bytes: [u8; 32]| {
            let digits = hex::encode(bytes);
            format!("0x{}", digits.trim_start_matches('0'))
        };
        format!(
            "{{\"r\":\"{}\",\"s\":\"{}\",\"v\":{}}}",
            number(self.r),
            number(self.s),
            self.v
        )
    }
}

impl Secret {
    fn new(credentials: &Credentials) -> Result<Self, SignError> {
        const BAD: SignError = SignError::BadSecret {
            expected: "private key of 32 bytes in hexadecimal",
        };
        let mut bytes = [0; 32];
        let text = credentials.secret().trim();
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).map_err(|_| BAD)?;
        SigningKey::from_slice(&bytes).map(Self).map_err(|_| BAD)
    }

    fn address(&self) -> String {
        let point = self.0.verifying_key().to_encoded_point(false);
        let hash = keccak(point.as_bytes().get(1..).unwrap_or_default());
        format!("0x{}", hex::encode(hash.get(12..).unwrap_or_default()))
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Signature, SignError> {
        let (signature, recovery) =
            self.0
                .sign_prehash_recoverable(digest)
                .map_err(|_| SignError::BadSecret {
                    expected: "private key that can sign",
                })?;
        Ok(Signature {
            r: signature.r().to_bytes().into(),
            s: signature.s().to_bytes().into(),
            v: 27 + recovery.to_byte(),
        })
    }
}

/// JSON with its members in the order in which they were written.
#[derive(Debug, PartialEq)]
enum Node<'a> {
    Nothing,
    Truth(bool),
    Unsigned(u64),
    Signed(i64),
    Text(std::borrow::Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<(std::borrow::Cow<'a, str>, Node<'a>)>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Node<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON without fractions")
            }
            fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
                Ok(Node::Truth(truth))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Node::Unsigned(number))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(u64::try_from(number).map_or(Node::Signed(number), Node::Unsigned))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Node::Text(text.into()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Node::Text(text.to_owned().into()))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Node::Nothing)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = list.next_element()? {
                    nodes.push(node);
                }
                Ok(Node::List(nodes))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(std::borrow::Cow<'de, str>, Node<'de>)> = Vec::new();
                while let Some((name, node)) = map.next_entry::<Name<'de>, Node<'de>>()? {
                    if members.iter().any(|(other, _)| *other == name.0) {
                        return Err(de::Error::custom("a member stands twice"));
                    }
                    members.push((name.0, node));
                }
                Ok(Node::Map(members))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// The name of a member, borrowed where it can be.
struct Name<'a>(std::borrow::Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Node::deserialize(deserializer)? {
            Node::Text(text) => Ok(Self(text)),
            _ => Err(de::Error::custom("no name")),
        }
    }
}

impl<'a> Node<'a> {
    fn read(text: &'a str) -> Result<Self, SignError> {
        match serde_json::from_str(text) {
            Ok(node @ Self::Map(_)) => Ok(node),
            _ => Err(BAD_ACTION),
        }
    }

    fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members
                .iter()
                .find(|(member, _)| member == name)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.member(name) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.member(name) {
            Some(Self::Unsigned(number)) => Some(*number),
            _ => None,
        }
    }

    /// In MessagePack, as the venue's own client packs it: the shortest form of every number.
    fn pack(&self, out: &mut Vec<u8>) -> Result<(), SignError> {
        let length = |length: usize| u32::try_from(length).map_err(|_| BAD_ACTION);
        match self {
            Self::Nothing => rmp::encode::write_nil(out).map_err(|_| BAD_ACTION)?,
            Self::Truth(truth) => rmp::encode::write_bool(out, *truth).map_err(|_| BAD_ACTION)?,
            Self::Unsigned(number) => {
                rmp::encode::write_uint(out, *number).map_err(|_| BAD_ACTION)?;
            }
            Self::Signed(number) => {
                rmp::encode::write_sint(out, *number).map_err(|_| BAD_ACTION)?;
            }
            Self::Text(text) => rmp::encode::write_str(out, text).map_err(|_| BAD_ACTION)?,
            Self::List(nodes) => {
                rmp::encode::write_array_len(out, length(nodes.len())?).map_err(|_| BAD_ACTION)?;
                for node in nodes {
                    node.pack(out)?;
                }
            }
            Self::Map(members) => {
                rmp::encode::write_map_len(out, length(members.len())?).map_err(|_| BAD_ACTION)?;
                for (name, node) in members {
                    rmp::encode::write_str(out, name).map_err(|_| BAD_ACTION)?;
                    node.pack(out)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::request::Method;

    #[derive(serde::Deserialize)]
    struct File {
        private_key: String,
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        case: String,
        action: Option<Box<RawValue>>,
        message: Option<Box<RawValue>>,
        #[serde(default)]
        nonce: u64,
        vault: Option<String>,
        #[serde(rename = "connectionId")]
        connection_id: Option<String>,
        mainnet: Option<Expected>,
        testnet: Option<Expected>,
    }

    #[derive(serde::Deserialize)]
    struct Expected {
        r: String,
        s: String,
        v: u8,
    }

    #[derive(serde::Deserialize)]
    struct Body {
        signature: Expected,
    }

    /// The vectors are printed without the zeros on the left.
    fn same(ours: &str, theirs: &str) -> bool {
        ours.trim_start_matches("0x").trim_start_matches('0')
            == theirs.trim_start_matches("0x").trim_start_matches('0')
    }

    #[test]
    fn every_vector_of_the_venues_own_client_matches() {
        let file: File = serde_json::from_str(include_str!(
            "../../../tests/fixtures/hyperliquid/signing_vectors.json"
        ))
        .unwrap();
        let credentials = Credentials::new("", file.private_key, None);
        let mut compared = 0;
        for case in &file.cases {
            let body = match (&case.action, &case.message) {
                (Some(action), _) => action.get().to_owned(),
                (None, Some(message)) => message.get().replacen('{', "{\"type\":\"usdSend\",", 1),
                (None, None) => panic!("{}: nothing to sign", case.case),
            };
            if let Some(expected) = &case.connection_id {
                let action = Node::read(&body).unwrap();
                let id = connection_id(&action, case.nonce, None, None).unwrap();
                assert_eq!(format!("0x{}", hex::encode(id)), *expected, "{}", case.case);
                compared += 1;
            }
            let mut request = Request::new(Method::Post, EXCHANGE, Access::Signed).json(body);
            if let Some(vault) = &case.vault {
                request = request.with("vaultAddress", vault.clone());
            }
            for (rest, expected) in [
                ("https://api.hyperliquid.xyz", &case.mainnet),
                ("https://api.hyperliquid-testnet.xyz", &case.testnet),
            ] {
                let Some(expected) = expected else { continue };
                let signed = sign(&request, rest, Some(&credentials), case.nonce).unwrap();
                let body: Body = serde_json::from_str(&signed.body).unwrap();
                assert!(same(&body.signature.r, &expected.r), "{} r {rest}", case.case);
                assert!(same(&body.signature.s, &expected.s), "{} s {rest}", case.case);
                assert_eq!(body.signature.v, expected.v, "{} v {rest}", case.case);
                compared += 1;
            }
        }
        assert_eq!(compared, 1 + 2 * 6 + 1, "a vector was left out");
    }

    #[test]
    fn the_network_is_told_by_the_host_alone() {
        assert_eq!(Network::of("https://api.hyperliquid-testnet.xyz"), Network::Test);
        assert_eq!(Network::of("https://api.hyperliquid.xyz/testnet"), Network::Main);
        assert_eq!(Network::of("http://127.0.0.1:9000"), Network::Main);
    }

    #[test]
    fn an_empty_key_means_the_address_of_the_secret() {
        let secret = "0x0123456789012345678901234567890123456789012345678901234567890123";
        let expected = "0x14791697260e4c9a71f18484c9f997b308e59325";
        assert_eq!(account(&Credentials::new("", secret, None)).unwrap(), expected);
        assert_eq!(
            account(&Credentials::new("0xabc", secret, None)).unwrap(),
            "0xabc"
        );
        assert!(account(&Credentials::new("", "no key", None)).is_err());
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let credentials = Credentials::new("", "0x01".repeat(2), None);
        let request = Request::new(crate::request::Method::Post, EXCHANGE, Access::Signed).json("{}");
        assert!(sign(&request, "https://x", Some(&credentials), 0).is_err());
        assert_eq!(
            sign(&request, "https://x", None, 0).unwrap_err(),
            SignError::NoCredentials
        );
        let good = Credentials::new("", "01".repeat(32), None);
        for body in ["", "[]", "{\"a\":1.5}", "{\"a\":1,\"a\":2}"] {
            let request = request.clone().json(body);
            assert!(sign(&request, "https://x", Some(&good), 0).is_err(), "{body}");
        }
    }

    #[test]
    fn the_address_of_the_account_is_filled_in_without_a_signature() {
        let request = Request::new(Method::Post, "/info", Access::KeyOnly)
            .json("{\"type\":\"userFills\",\"user\":\"\"}");
        let signed = sign(
            &request,
            "https://x",
            Some(&Credentials::new("0xabc", "", None)),
            0,
        )
        .unwrap();
        assert_eq!(signed.body, "{\"type\":\"userFills\",\"user\":\"0xabc\"}");
        assert_eq!(signed.url, "https://x/info");
    }
}
