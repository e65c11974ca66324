//! Whose signature a login is: an EOA's is recovered here, a contract's is asked of the contract (ERC-1271).

use std::time::Duration;

use alloy::primitives::{Address, Bytes, FixedBytes, eip191_hash_message};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::sol;
use lockstep_contracts::digest::recover_eoa;
use lockstep_service::ending::causes;
use url::Url;

use crate::relay::check::with_canonical_v;

sol! {
    #[sol(rpc)]
    interface IERC1271 {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4 magic);
    }
}

/// What `isValidSignature` answers for a valid signature.
const MAGIC: FixedBytes<4> = FixedBytes([0x16, 0x26, 0xba, 0x7e]);

/// Longest to wait for the chain.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the address's.
    Valid,
    /// It is not.
    Invalid,
    /// The address may be a contract, and the chain cannot be asked.
    Undecided,
}

/// Judges signatures.
#[derive(Debug, Clone, Default)]
pub struct Wallets {
    provider: Option<RootProvider>,
}

impl Wallets {
    /// With a chain to ask, or without.
    #[must_use]
    pub fn new(rpc: Option<&Url>) -> Self {
        Self {
            provider: rpc.map(|url| RootProvider::new(RpcClient::new_http(url.clone()))),
        }
    }

    /// Judges a signature over a text. The key is tried first: code at an address does not mean that it has none
    /// (EIP-7702).
    pub async fn judge(&self, address: Address, text: &str, signature: &Bytes) -> Verdict {
        let digest = eip191_hash_message(text);
        let mended = with_canonical_v(signature);
        if [Some(signature), mended.as_ref()]
            .into_iter()
            .flatten()
            .any(|s| recover_eoa(digest, s) == Some(address))
        {
            return Verdict::Valid;
        }
        let Some(provider) = &self.provider else {
            // A plain signature of another key over a plain account is wrong, but whether the account is plain only
            // the chain knows.
            return Verdict::Undecided;
        };
        let asked = tokio::time::timeout(PATIENCE, async {
            if provider.get_code_at(address).await?.is_empty() {
                return Ok(Verdict::Invalid);
            }
            let contract = IERC1271::new(address, provider);
            match contract.isValidSignature(digest, signature.clone()).call().await {
                Ok(magic) if magic == MAGIC => Ok(Verdict::Valid),
                Ok(_) => Ok(Verdict::Invalid),
                // The contract reverted or answered something else: that is a no. Anything else is the chain's silence.
                Err(alloy::contract::Error::TransportError(error)) if error.as_error_resp().is_none() => {
                    Err(error)
                }
                Err(_) => Ok(Verdict::Invalid),
            }
        })
        .await;
        match asked {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => {
                // The error itself names the endpoint's URL, and with it the key.
                let error = causes(&error).join(": ");
                tracing::warn!(error, "chain cannot be asked about a login");
                Verdict::Undecided
            }
            Err(_) => {
                tracing::warn!("chain did not answer about a login in time");
                Verdict::Undecided
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_log_names_the_endpoint_without_its_key() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);

        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = nobody.local_addr().unwrap().port();
        drop(nobody);
        let rpc: Url = format!("http://127.0.0.1:{port}/v2/s3cr3t").parse().unwrap();
        let verdict = Wallets::new(Some(&rpc))
            .judge(Address::repeat_byte(1), "text", &Bytes::from(vec![0; 65]))
            .await;

        assert_eq!(verdict, Verdict::Undecided);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.contains("chain cannot be asked") && text.contains("127.0.0.1"),
            "{text}"
        );
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}
