//! The keeper's key: pays gas and attests signed signals. It owns nothing and can only be late or absent.

use std::fmt;

use alloy::consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use secrecy::{ExposeSecret as _, SecretString};

use super::fees::Fees;
use crate::journal::Attempt;

/// Why the key cannot be used. Never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a private key.
    #[error(
        "the private key is not 32 bytes of hexadecimal: give another one in LOCKSTEP_KEEPER__KEY or `key_file`"
    )]
    Malformed,
    /// The signer failed.
    #[error("signing failed: {0}")]
    Signing(alloy::signers::Error),
}

/// See the module. `Debug` shows the address only.
#[derive(Clone)]
pub struct Key {
    signer: PrivateKeySigner,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl Key {
    /// From hexadecimal, with or without `0x`.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn new(secret: &SecretString) -> Result<Self, KeyError> {
        let signer = secret
            .expose_secret()
            .trim()
            .parse()
            .map_err(|_| KeyError::Malformed)?;
        Ok(Self { signer })
    }

    /// The keeper's address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Signs an EIP-712 digest.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub fn sign_digest(&self, digest: B256) -> Result<Bytes, KeyError> {
        let signature = self.signer.sign_hash_sync(&digest).map_err(KeyError::Signing)?;
        Ok(Bytes::copy_from_slice(&signature.as_bytes()))
    }

    /// Signs a transaction.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub fn sign(&self, unsigned: &Unsigned, fees: Fees) -> Result<Attempt, KeyError> {
        let transaction = TxEip1559 {
            chain_id: unsigned.chain_id,
            nonce: unsigned.nonce,
            gas_limit: unsigned.gas,
            max_fee_per_gas: fees.max_fee,
            max_priority_fee_per_gas: fees.tip,
            to: TxKind::Call(unsigned.to),
            value: U256::ZERO,
            access_list: alloy::eips::eip2930::AccessList::default(),
            input: unsigned.calldata.clone(),
        };
        let signature = self
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(KeyError::Signing)?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Ok(Attempt {
            hash: *envelope.tx_hash(),
            raw: envelope.encoded_2718().into(),
            max_fee: fees.max_fee,
            tip: fees.tip,
        })
    }
}

/// A transaction before its fees and signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas: u64,
    /// Contract.
    pub to: Address,
    /// Calldata.
    pub calldata: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_errors_show_the_key() {
        let text = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let key = Key::new(&SecretString::from(text)).unwrap();
        assert!(!format!("{key:?}").contains("ac0974"));
        let error = Key::new(&SecretString::from("hunter2")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
