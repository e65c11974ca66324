//! Who signed: the action is packed as the venue packs it, hashed, and the signer recovered from the signature.

use std::fmt;

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use sha3::{Digest as _, Keccak256};

/// JSON whose members keep their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON without fractions")
            }
            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Bool(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Unsigned(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Signed(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Tree::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
                let mut map: Vec<(String, Tree)> = Vec::new();
                while let Some((name, value)) = members.next_entry::<String, Tree>()? {
                    if map.iter().any(|(known, _)| *known == name) {
                        return Err(de::Error::custom(format!("member {name} twice")));
                    }
                    map.push((name, value));
                }
                Ok(Tree::Map(map))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// The members of actions in the order in which the venue packs them. It reads an action into a structure and packs that
/// structure again: a client that signed another order is not recognised.
const ORDER: [&str; 31] = [
    "type",
    "asset",
    "isBuy",
    "isCross",
    "leverage",
    "ntli",
    "orders",
    "cancels",
    "modifies",
    "oid",
    "order",
    "cloid",
    "time",
    "grouping",
    "builder",
    "a",
    "b",
    "p",
    "s",
    "r",
    "t",
    "c",
    "o",
    "f",
    "limit",
    "trigger",
    "tif",
    "isMarket",
    "triggerPx",
    "tpsl",
    "code",
];

impl Tree {
    /// As the venue holds it: members in its order, numbers of orders without zeros at their end.
    fn canonical(self) -> Self {
        match self {
            Self::List(items) => Self::List(items.into_iter().map(Self::canonical).collect()),
            Self::Map(mut members) => {
                members.sort_by_key(|(name, _)| {
                    ORDER
                        .iter()
                        .position(|known| known == name)
                        .unwrap_or(ORDER.len())
                });
                Self::Map(
                    members
                        .into_iter()
                        .map(|(name, value)| {
                            let value = match (name.as_str(), value) {
                                ("p" | "s" | "triggerPx", Self::Text(number)) => {
                                    Self::Text(without_zeros(number))
                                }
                                (_, value) => value.canonical(),
                            };
                            (name, value)
                        })
                        .collect(),
                )
            }
            other => other,
        }
    }

    fn pack(&self, out: &mut Vec<u8>) -> Option<()> {
        use rmp::encode;
        match self {
            Self::Null => encode::write_nil(out).ok(),
            Self::Bool(value) => encode::write_bool(out, *value).ok(),
            Self::Unsigned(value) => encode::write_uint(out, *value).ok().map(|_| ()),
            Self::Signed(value) => encode::write_sint(out, *value).ok().map(|_| ()),
            Self::Text(value) => encode::write_str(out, value).ok(),
            Self::List(items) => {
                encode::write_array_len(out, u32::try_from(items.len()).ok()?).ok()?;
                items.iter().try_for_each(|item| item.pack(out))
            }
            Self::Map(members) => {
                encode::write_map_len(out, u32::try_from(members.len()).ok()?).ok()?;
                members.iter().try_for_each(|(name, value)| {
                    encode::write_str(out, name).ok()?;
                    value.pack(out)
                })
            }
        }
    }
}

fn without_zeros(number: String) -> String {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        number
    }
}

pub(super) fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// Bytes of a hexadecimal text of at most `N` bytes, with or without 0x: some clients leave out leading zeros.
fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.trim_start_matches("0x");
    if digits.len() > N * 2 {
        return None;
    }
    let mut out = [0; N];
    hex::decode_to_slice(format!("{digits:0>width$}", width = N * 2), &mut out).ok()?;
    Some(out)
}

fn word(number: u64) -> [u8; 32] {
    let mut out = [0; 32];
    out[24..].copy_from_slice(&number.to_be_bytes());
    out
}

/// The signature as it is sent.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SignatureParts {
    r: String,
    s: String,
    v: u8,
}

impl SignatureParts {
    /// The address, in lower case, whose key signed this hash.
    fn signer(&self, digest: &[u8; 32]) -> Option<String> {
        let signature =
            Signature::from_scalars(hexadecimal::<32>(&self.r)?, hexadecimal::<32>(&self.s)?).ok()?;
        let recovery = RecoveryId::from_byte(self.v.checked_sub(27)?)?;
        let key = VerifyingKey::recover_from_prehash(digest, &signature, recovery).ok()?;
        let point = key.to_encoded_point(false);
        let hash = keccak(point.as_bytes().get(1..)?);
        Some(format!("0x{}", hex::encode(&hash[12..])))
    }
}

fn domain(name: &str, chain: u64) -> [u8; 32] {
    let mut text =
        keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
            .to_vec();
    text.extend(keccak(name.as_bytes()));
    text.extend(keccak(b"1"));
    text.extend(word(chain));
    text.extend([0; 32]);
    keccak(&text)
}

fn typed(domain: [u8; 32], structure: &[u8]) -> [u8; 32] {
    let mut text = vec![0x19, 0x01];
    text.extend(domain);
    text.extend(keccak(structure));
    keccak(&text)
}

/// The signer of a trading action.
pub(super) fn action_signer(
    action: Tree,
    nonce: u64,
    vault: Option<&str>,
    expires_after: Option<u64>,
    signature: &SignatureParts,
) -> Option<String> {
    let mut text = Vec::new();
    action.canonical().pack(&mut text)?;
    text.extend(nonce.to_be_bytes());
    match vault {
        Some(vault) => {
            text.push(1);
            text.extend(hexadecimal::<20>(vault)?);
        }
        None => text.push(0),
    }
    if let Some(expires) = expires_after {
        text.push(0);
        text.extend(expires.to_be_bytes());
    }
    let mut agent = keccak(b"Agent(string source,bytes32 connectionId)").to_vec();
    // "a" is the main network: what is signed for the test network is not taken here.
    agent.extend(keccak(b"a"));
    agent.extend(keccak(&text));
    signature.signer(&typed(domain("Exchange", 1337), &agent))
}

/// A field of an action that the owner's wallet signs.
pub(super) enum Field<'a> {
    Text(&'a str),
    Address(&'a str),
    Number(u64),
}

/// The signer of an action that the owner's wallet shows: its type as EIP-712 writes it, with the fields in order.
pub(super) fn wallet_signer(
    kind: &str,
    fields: &[Field<'_>],
    chain: &str,
    signature: &SignatureParts,
) -> Option<String> {
    let chain = u64::from_str_radix(chain.trim_start_matches("0x"), 16).ok()?;
    let mut structure = keccak(kind.as_bytes()).to_vec();
    for field in fields {
        structure.extend(match field {
            Field::Text(text) => keccak(text.as_bytes()),
            Field::Address(address) => {
                let mut padded = [0; 32];
                padded[12..].copy_from_slice(&hexadecimal::<20>(address)?);
                padded
            }
            Field::Number(number) => word(*number),
        });
    }
    signature.signer(&typed(domain("HyperliquidSignTransaction", chain), &structure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(r: &str, s: &str, v: u8) -> SignatureParts {
        SignatureParts {
            r: r.to_owned(),
            s: s.to_owned(),
            v,
        }
    }

    // Vectors of the venue's own Python SDK (tests/fixtures/hyperliquid/signing_vectors.json).
    const SIGNER: &str = "0x14791697260e4c9a71f18484c9f997b308e59325";

    #[test]
    fn the_signer_of_the_sdks_vectors_is_found() {
        let order = r#"{"type":"order","orders":[{"a":1,"b":true,"p":"100","s":"100","r":false,"t":{"limit":{"tif":"Gtc"}}}],"grouping":"na"}"#;
        let signed = signature(
            "0xd65369825a9df5d80099e513cce430311d7d26ddf477f5b3a33d2806b100d78e",
            "0x2b54116ff64054968aa237c20ca9ff68000f977c93289157748a3162b6ea940e",
            28,
        );
        let tree: Tree = serde_json::from_str(order).unwrap();
        assert_eq!(
            action_signer(tree, 0, None, None, &signed).as_deref(),
            Some(SIGNER)
        );
        // The venue hashes numbers without zeros at their end, whatever was sent and signed.
        let padded: Tree = serde_json::from_str(&order.replace("\"100\"", "\"100.0\"")).unwrap();
        assert_eq!(
            action_signer(padded, 0, None, None, &signed).as_deref(),
            Some(SIGNER)
        );
        let other: Tree = serde_json::from_str(&order.replace("true", "false")).unwrap();
        assert_ne!(
            action_signer(other, 0, None, None, &signed).as_deref(),
            Some(SIGNER)
        );
    }
}
