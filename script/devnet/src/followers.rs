//! Followers with different bounds, and what they sign.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::{SolStruct as _, eip712_domain};
use anyhow::Context as _;
use lockstep_contracts::bindings::IMirrorEngine;
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::digest::Domains;
use lockstep_contracts::relay::{Intent, Mandate, SignedIntent, SignedMandate, TokenPermit};

use crate::chain::CHAIN_ID;
use crate::random::Random;

sol! {
    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

/// USDC 1e-6 in one USDC.
pub const USDC: u64 = 1_000_000;

/// A key that anyone can derive from its name. Local chains only.
///
/// # Errors
/// Never in practice: a hash that is no key has not been found yet.
pub fn key(name: &str) -> anyhow::Result<PrivateKeySigner> {
    PrivateKeySigner::from_bytes(&keccak256(name)).with_context(|| format!("no key for {name}"))
}

/// Someone who copies.
#[derive(Debug, Clone)]
pub struct Follower {
    signer: PrivateKeySigner,
}

impl Follower {
    /// The follower of a key.
    #[must_use]
    pub const fn new(signer: PrivateKeySigner) -> Self {
        Self { signer }
    }

    /// The `index`th follower of the local stack.
    ///
    /// # Errors
    /// Never in practice.
    pub fn numbered(seed: u64, index: u64) -> anyhow::Result<Self> {
        key(&format!("lockstep follower {seed} {index}")).map(Self::new)
    }

    /// Their address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Signs any digest.
    ///
    /// # Errors
    /// When the signer fails, which a local key does not.
    pub fn sign(&self, digest: &B256) -> anyhow::Result<Bytes> {
        Ok(Bytes::from(
            self.signer.sign_hash_sync(digest)?.as_bytes().to_vec(),
        ))
    }

    /// A mandate, funded through Permit2 when it deposits something, an update otherwise.
    ///
    /// # Errors
    /// As [`Follower::sign`].
    pub fn sign_mandate(&self, deployment: &Deployment, mandate: Mandate) -> anyhow::Result<SignedMandate> {
        let (permit_nonce, permit_deadline) = if mandate.deposit == 0 {
            (U256::ZERO, U256::ZERO)
        } else {
            // Permit2's nonces are unordered too; one derived from the mandate's is free whenever that one is.
            let nonce = keccak256((mandate.strategy, mandate.nonce.to_be_bytes::<32>()).concat_bytes());
            (U256::from_be_bytes(nonce.0), U256::from(mandate.expiry))
        };
        let mut signed = SignedMandate {
            mandate,
            permit_nonce,
            permit_deadline,
            signature: Bytes::new(),
            token_permit: None,
        };
        signed.signature = self.sign(&Domains::from(deployment).mandate(&signed))?;
        Ok(signed)
    }

    /// Lets Permit2 take USDC, without a transaction.
    ///
    /// # Errors
    /// As [`Follower::sign`].
    pub fn sign_token_permit(
        &self,
        deployment: &Deployment,
        nonce: U256,
        deadline: u64,
    ) -> anyhow::Result<TokenPermit> {
        let domain = eip712_domain! {
            name: "USD Coin",
            version: "2",
            chain_id: CHAIN_ID,
            verifying_contract: deployment.usdc,
        };
        let permit = Permit {
            owner: self.address(),
            spender: deployment.permit2,
            value: U256::MAX,
            nonce,
            deadline: U256::from(deadline),
        };
        let signature = self.signer.sign_hash_sync(&permit.eip712_signing_hash(&domain))?;
        Ok(TokenPermit {
            value: permit.value,
            deadline: permit.deadline,
            v: 27 + u8::from(signature.v()),
            r: signature.r().into(),
            s: signature.s().into(),
        })
    }

    /// An intent.
    ///
    /// # Errors
    /// As [`Follower::sign`].
    pub fn sign_intent(&self, deployment: &Deployment, intent: Intent) -> anyhow::Result<SignedIntent> {
        let signature = self.sign(&Domains::from(deployment).intent(&intent))?;
        Ok(SignedIntent { intent, signature })
    }
}

/// The call that puts a signed mandate on the chain: what the keeper sends, and what anyone may send.
#[must_use]
pub fn follow_call(signed: &SignedMandate) -> IMirrorEngine::followCall {
    let none = IMirrorEngine::TokenPermit {
        value: U256::ZERO,
        deadline: U256::ZERO,
        v: 0,
        r: B256::ZERO,
        s: B256::ZERO,
    };
    let permit = signed
        .token_permit
        .as_ref()
        .map_or(none, |permit| IMirrorEngine::TokenPermit {
            value: permit.value,
            deadline: permit.deadline,
            v: permit.v,
            r: permit.r,
            s: permit.s,
        });
    IMirrorEngine::followCall {
        signed: IMirrorEngine::SignedMandate {
            mandate: (&signed.mandate).into(),
            permitNonce: signed.permit_nonce,
            permitDeadline: signed.permit_deadline,
            signature: signed.signature.clone(),
        },
        permit,
    }
}

trait ConcatBytes {
    fn concat_bytes(self) -> Vec<u8>;
}

impl ConcatBytes for (Address, [u8; 32]) {
    fn concat_bytes(self) -> Vec<u8> {
        [self.0.as_slice(), self.1.as_slice()].concat()
    }
}

/// A mandate that nothing in a test runs into: pro rata, everything allowed, bounds far away.
#[must_use]
pub fn wide_mandate(
    follower: Address,
    strategy: Address,
    markets: &[&str],
    deposit: u64,
    now: u64,
) -> Mandate {
    Mandate {
        follower,
        strategy,
        mode: 0,
        ratio_bps: 10_000,
        fixed_notional: 0,
        hedge_bps: 0,
        max_leverage_bps: 50_000,
        max_slippage_bps: 300,
        max_position_notional: 10_000_000 * USDC,
        max_daily_turnover: 1_000_000_000 * USDC,
        stop_loss_bps: 0,
        take_profit_bps: 0,
        allowed_markets: markets.iter().map(|&market| market.to_owned()).collect(),
        deposit,
        expiry: now + 30 * 86_400,
        nonce: U256::ZERO,
    }
}

/// The mandate of the `index`th follower of the local stack: most are ordinary, some will run into a bound.
#[must_use]
pub fn drawn_mandate(
    seed: u64,
    index: u64,
    follower: Address,
    strategy: Address,
    markets: &[&str],
    now: u64,
) -> Mandate {
    let mut random = Random::fork(seed, index);
    let deposit = match random.between(0, 9) {
        0 => random.between(60, 300),
        1..=6 => random.between(500, 5_000),
        _ => random.between(5_000, 40_000),
    };
    let mut mandate = wide_mandate(follower, strategy, markets, deposit * USDC, now);
    if random.between(0, 4) == 0 {
        mandate.mode = 1;
        mandate.fixed_notional = random.between(1, 8) * deposit / 4 * USDC;
    } else if let Some(ratio) = random.pick(&[2_500, 5_000, 7_500, 10_000, 10_000, 12_500, 20_000]) {
        mandate.ratio_bps = *ratio;
    }
    if let Some(leverage) = random.pick(&[10_000, 15_000, 20_000, 30_000, 50_000]) {
        mandate.max_leverage_bps = *leverage;
    }
    if let Some(slippage) = random.pick(&[50, 100, 150, 300]) {
        mandate.max_slippage_bps = *slippage;
    }
    mandate.max_position_notional = random.between(1, 5) * deposit * USDC;
    mandate.max_daily_turnover = random.between(20, 200) * deposit * USDC;
    if let Some(loss) = random.pick(&[0, 1_000, 2_500, 5_000]) {
        mandate.stop_loss_bps = *loss;
    }
    if let Some(profit) = random.pick(&[0, 0, 5_000, 20_000]) {
        mandate.take_profit_bps = *profit;
    }
    if markets.len() > 1 && random.between(0, 4) == 0 {
        mandate.allowed_markets.truncate(1);
    }
    mandate.expiry = now + random.between(2, 90) * 86_400;
    mandate
}

#[cfg(test)]
mod tests {
    use lockstep_contracts::deployment::PerpContracts;
    use lockstep_contracts::digest::recover_eoa;

    use super::*;

    fn deployment() -> Deployment {
        let at = Address::repeat_byte;
        Deployment {
            chain_id: CHAIN_ID,
            deployment_block: 0,
            registry: at(1),
            engine: at(2),
            liquidator: at(3),
            insurance: at(4),
            venue: at(5),
            usdc: at(6),
            permit2: at(7),
            perp: PerpContracts {
                clearing_house: at(8),
                account_balance: at(9),
                vault: at(10),
                exchange: at(11),
            },
            markets: Vec::new(),
        }
    }

    #[test]
    fn signs_funded_mandates_and_updates_each_in_its_domain() {
        let follower = Follower::numbered(1, 1).unwrap();
        for deposit in [0, 100 * USDC] {
            let mandate = wide_mandate(
                follower.address(),
                Address::repeat_byte(9),
                &["ETH-USD"],
                deposit,
                1,
            );
            let signed = follower.sign_mandate(&deployment(), mandate).unwrap();
            let digest = Domains::from(&deployment()).mandate(&signed);
            assert_eq!(recover_eoa(digest, &signed.signature), Some(follower.address()));
        }
    }

    #[test]
    fn bounds_differ_and_a_seed_repeats_them() {
        let draw = |index| drawn_mandate(5, index, Address::ZERO, Address::ZERO, &["ETH-USD"], 0);
        assert_eq!(draw(3), draw(3));
        let different: std::collections::BTreeSet<u64> =
            (0..50).map(|index| draw(index).max_position_notional).collect();
        assert!(different.len() > 25);
    }
}
