//! EIP-712 digests of everything a follower or a signer signs.
//!
//! The digest of a relayed item is also its id: the dashboard, the API and the keeper compute the same one without
//! asking each other, and sending the same thing twice gives the same id.
//!
//! A mandate with a deposit is the witness of a Permit2 transfer and is signed in Permit2's domain; a mandate without
//! one, a stop and a withdrawal are signed in the engine's. The structs come from the contracts' ABI, and a test holds
//! the ones declared here against them.

use alloy::primitives::{Address, B256, Bytes, Signature, U256};
use alloy::sol_types::{Eip712Domain, SolStruct, eip712_domain};

use crate::bindings::IMirrorEngine;
use crate::deployment::Deployment;
use crate::relay::{Intent, Mandate, SignedIntent, SignedMandate};

/// What `SignatureTransfer.permitWitnessTransferFrom` is given as `witnessTypeString`: Permit2 puts its own stub in
/// front of it and hashes the whole, so it has to close the parenthesis that the stub leaves open and list the
/// referenced structs in alphabetical order.
pub const WITNESS_TYPE_STRING: &str = concat!(
    "Mandate witness)",
    "Mandate(address follower,address strategy,uint8 mode,uint32 ratioBps,uint64 fixedNotional,uint16 hedgeBps,",
    "uint32 maxLeverageBps,uint16 maxSlippageBps,uint64 maxPositionNotional,uint64 maxDailyTurnover,",
    "uint16 stopLossBps,uint32 takeProfitBps,string[] allowedMarkets,uint64 deposit,uint64 expiry,uint256 nonce)",
    "TokenPermissions(address token,uint256 amount)",
);

mod typed {
    //! Structs that exist only as signed data, in no ABI.
    #![allow(missing_docs)]

    alloy::sol! {
        struct Mandate {
            address follower;
            address strategy;
            uint8 mode;
            uint32 ratioBps;
            uint64 fixedNotional;
            uint16 hedgeBps;
            uint32 maxLeverageBps;
            uint16 maxSlippageBps;
            uint64 maxPositionNotional;
            uint64 maxDailyTurnover;
            uint16 stopLossBps;
            uint32 takeProfitBps;
            string[] allowedMarkets;
            uint64 deposit;
            uint64 expiry;
            uint256 nonce;
        }

        struct TokenPermissions {
            address token;
            uint256 amount;
        }

        struct PermitWitnessTransferFrom {
            TokenPermissions permitted;
            address spender;
            uint256 nonce;
            uint256 deadline;
            Mandate witness;
        }
    }
}

impl From<&Mandate> for typed::Mandate {
    fn from(mandate: &Mandate) -> Self {
        Self {
            follower: mandate.follower,
            strategy: mandate.strategy,
            mode: mandate.mode,
            ratioBps: mandate.ratio_bps,
            fixedNotional: mandate.fixed_notional,
            hedgeBps: mandate.hedge_bps,
            maxLeverageBps: mandate.max_leverage_bps,
            maxSlippageBps: mandate.max_slippage_bps,
            maxPositionNotional: mandate.max_position_notional,
            maxDailyTurnover: mandate.max_daily_turnover,
            stopLossBps: mandate.stop_loss_bps,
            takeProfitBps: mandate.take_profit_bps,
            allowedMarkets: mandate.allowed_markets.clone(),
            deposit: mandate.deposit,
            expiry: mandate.expiry,
            nonce: mandate.nonce,
        }
    }
}

/// The two signing domains of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domains {
    engine_address: Address,
    usdc: Address,
    engine: Eip712Domain,
    permit2: Eip712Domain,
}

impl Domains {
    /// Domains from the four facts they depend on.
    #[must_use]
    pub fn new(chain_id: u64, engine: Address, permit2: Address, usdc: Address) -> Self {
        Self {
            engine_address: engine,
            usdc,
            engine: eip712_domain! {
                name: "Lockstep",
                version: "1",
                chain_id: chain_id,
                verifying_contract: engine,
            },
            // Permit2's domain has no version.
            permit2: eip712_domain! {
                name: "Permit2",
                chain_id: chain_id,
                verifying_contract: permit2,
            },
        }
    }

    /// The engine's own domain: name "Lockstep", version "1".
    #[must_use]
    pub const fn engine(&self) -> &Eip712Domain {
        &self.engine
    }

    /// Permit2's domain.
    #[must_use]
    pub const fn permit2(&self) -> &Eip712Domain {
        &self.permit2
    }

    /// Digest of any struct in the engine's domain, e.g. [`IMirrorEngine::Signal`].
    #[must_use]
    pub fn in_engine<T: SolStruct>(&self, value: &T) -> B256 {
        value.eip712_signing_hash(&self.engine)
    }

    /// Digest of a mandate that moves no money: an update, signed in the engine's domain.
    #[must_use]
    pub fn update(&self, mandate: &Mandate) -> B256 {
        self.in_engine(&IMirrorEngine::Mandate::from(mandate))
    }

    /// Digest of a mandate that moves `mandate.deposit` USDC: the Permit2 transfer with the mandate as its witness.
    #[must_use]
    pub fn funded(&self, mandate: &Mandate, permit_nonce: U256, permit_deadline: U256) -> B256 {
        typed::PermitWitnessTransferFrom {
            permitted: typed::TokenPermissions {
                token: self.usdc,
                amount: U256::from(mandate.deposit),
            },
            spender: self.engine_address,
            nonce: permit_nonce,
            deadline: permit_deadline,
            witness: mandate.into(),
        }
        .eip712_signing_hash(&self.permit2)
    }

    /// Digest, and therefore id, of a mandate as it is relayed. The token permit is not part of it: a wallet that
    /// signs a second permit for the same mandate has still signed one mandate.
    #[must_use]
    pub fn mandate(&self, signed: &SignedMandate) -> B256 {
        if signed.mandate.deposit == 0 {
            self.update(&signed.mandate)
        } else {
            self.funded(&signed.mandate, signed.permit_nonce, signed.permit_deadline)
        }
    }

    /// Digest, and therefore id, of a follower's intent.
    #[must_use]
    pub fn intent(&self, intent: &Intent) -> B256 {
        match *intent {
            Intent::Stop {
                follower,
                strategy,
                nonce,
                deadline,
            } => self.in_engine(&IMirrorEngine::Stop {
                follower,
                strategy,
                nonce,
                deadline,
            }),
            Intent::Withdraw {
                follower,
                strategy,
                amount,
                nonce,
                deadline,
            } => self.in_engine(&IMirrorEngine::Withdraw {
                follower,
                strategy,
                amount,
                nonce,
                deadline,
            }),
        }
    }

    /// Digest of a signed intent as it is relayed.
    #[must_use]
    pub fn signed_intent(&self, signed: &SignedIntent) -> B256 {
        self.intent(&signed.intent)
    }
}

impl From<&Deployment> for Domains {
    fn from(deployment: &Deployment) -> Self {
        Self::new(
            deployment.chain_id,
            deployment.engine,
            deployment.permit2,
            deployment.usdc,
        )
    }
}

impl Intent {
    /// Who signs it.
    #[must_use]
    pub const fn follower(&self) -> Address {
        match self {
            Self::Stop { follower, .. } | Self::Withdraw { follower, .. } => *follower,
        }
    }

    /// The strategy vault it concerns.
    #[must_use]
    pub const fn strategy(&self) -> Address {
        match self {
            Self::Stop { strategy, .. } | Self::Withdraw { strategy, .. } => *strategy,
        }
    }

    /// Its nonce, in the group of the strategy.
    #[must_use]
    pub const fn nonce(&self) -> U256 {
        match self {
            Self::Stop { nonce, .. } | Self::Withdraw { nonce, .. } => *nonce,
        }
    }

    /// Unix seconds after which the engine refuses it.
    #[must_use]
    pub const fn deadline(&self) -> U256 {
        match self {
            Self::Stop { deadline, .. } | Self::Withdraw { deadline, .. } => *deadline,
        }
    }
}

/// The account whose key made `signature` over `digest`, judged exactly as the engine and Permit2 judge it: 65 bytes
/// with v = 27 or 28, or 64 bytes as in EIP-2098, either half of the curve.
///
/// `None`, or an address other than the follower's, proves nothing against a follower whose account is a contract:
/// those signatures mean what the account's own code says, which only the chain can tell.
#[must_use]
pub fn recover_eoa(digest: B256, signature: &Bytes) -> Option<Address> {
    let parsed = match signature.len() {
        65 if matches!(signature.last(), Some(27 | 28)) => Signature::from_raw(signature).ok()?,
        64 => Signature::from_erc2098(signature),
        _ => return None,
    };
    parsed.recover_address_from_prehash(&digest).ok()
}

#[cfg(test)]
mod tests {
    use alloy::dyn_abi::TypedData;
    use alloy::primitives::{address, keccak256, uint};
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const ENGINE: Address = address!("00000000000000000000000000000000000e0e0e");
    const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
    const USDC: Address = address!("0000000000000000000000000000000000005dc0");

    fn domains() -> Domains {
        Domains::new(31_337, ENGINE, PERMIT2, USDC)
    }

    fn mandate() -> Mandate {
        Mandate {
            follower: address!("00000000000000000000000000000000000f0110"),
            strategy: address!("0000000000000000000000000000000000057a7e"),
            mode: 0,
            ratio_bps: 10_000,
            fixed_notional: 0,
            hedge_bps: 0,
            max_leverage_bps: 50_000,
            max_slippage_bps: 50,
            max_position_notional: 25_000_000_000,
            max_daily_turnover: 100_000_000_000,
            stop_loss_bps: 2_000,
            take_profit_bps: 0,
            allowed_markets: vec!["ETH-USD".into(), "BTC-USD".into()],
            deposit: 1_000_000_000,
            expiry: 1_900_000_000,
            nonce: uint!(7_U256),
        }
    }

    /// `Mandate` as wallets are shown it.
    fn mandate_json(mandate: &Mandate) -> Value {
        json!({
            "follower": mandate.follower, "strategy": mandate.strategy, "mode": mandate.mode,
            "ratioBps": mandate.ratio_bps, "fixedNotional": mandate.fixed_notional.to_string(),
            "hedgeBps": mandate.hedge_bps, "maxLeverageBps": mandate.max_leverage_bps,
            "maxSlippageBps": mandate.max_slippage_bps,
            "maxPositionNotional": mandate.max_position_notional.to_string(),
            "maxDailyTurnover": mandate.max_daily_turnover.to_string(), "stopLossBps": mandate.stop_loss_bps,
            "takeProfitBps": mandate.take_profit_bps, "allowedMarkets": mandate.allowed_markets,
            "deposit": mandate.deposit.to_string(), "expiry": mandate.expiry.to_string(),
            "nonce": mandate.nonce.to_string(),
        })
    }

    fn mandate_fields() -> Value {
        let fields = [
            ("follower", "address"),
            ("strategy", "address"),
            ("mode", "uint8"),
            ("ratioBps", "uint32"),
            ("fixedNotional", "uint64"),
            ("hedgeBps", "uint16"),
            ("maxLeverageBps", "uint32"),
            ("maxSlippageBps", "uint16"),
            ("maxPositionNotional", "uint64"),
            ("maxDailyTurnover", "uint64"),
            ("stopLossBps", "uint16"),
            ("takeProfitBps", "uint32"),
            ("allowedMarkets", "string[]"),
            ("deposit", "uint64"),
            ("expiry", "uint64"),
            ("nonce", "uint256"),
        ];
        fields
            .iter()
            .map(|(name, kind)| json!({ "name": name, "type": kind }))
            .collect()
    }

    /// The digest as a wallet computes it from `eth_signTypedData_v4`.
    fn wallet_digest(typed_data: Value) -> B256 {
        serde_json::from_value::<TypedData>(typed_data)
            .unwrap()
            .eip712_signing_hash()
            .unwrap()
    }

    #[test]
    fn permit2_hashes_the_same_type_from_our_witness_string() {
        // PermitHash.sol: _PERMIT_TRANSFER_FROM_WITNESS_TYPEHASH_STUB
        let stub = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,";
        assert_eq!(
            <typed::PermitWitnessTransferFrom as SolStruct>::eip712_encode_type(),
            format!("{stub}{WITNESS_TYPE_STRING}")
        );
    }

    #[test]
    fn the_engine_gives_permit2_the_same_string() {
        assert!(include_str!("../libraries/MandateLib.sol").contains(WITNESS_TYPE_STRING));
    }

    #[test]
    fn the_witness_is_the_mandate_of_the_abi() {
        let ours = typed::Mandate::from(&mandate());
        let abi = IMirrorEngine::Mandate::from(&mandate());
        assert_eq!(
            typed::Mandate::eip712_encode_type(),
            IMirrorEngine::Mandate::eip712_encode_type()
        );
        assert_eq!(ours.eip712_hash_struct(), abi.eip712_hash_struct());
    }

    #[test]
    fn types_of_the_abi_read_as_the_interfaces_promise() {
        assert_eq!(
            IMirrorEngine::Stop::eip712_encode_type(),
            "Stop(address follower,address strategy,uint256 nonce,uint256 deadline)"
        );
        assert_eq!(
            IMirrorEngine::Withdraw::eip712_encode_type(),
            "Withdraw(address follower,address strategy,uint256 amount,uint256 nonce,uint256 deadline)"
        );
        assert_eq!(
            IMirrorEngine::Signal::eip712_encode_type(),
            "Signal(uint256 strategyId,uint8 market,int256 leverage,uint64 sequence,uint64 observedAt)"
        );
    }

    #[test]
    fn a_wallet_signs_the_same_permit2_digest() {
        let mandate = mandate();
        let expected = wallet_digest(json!({
            "types": {
                "EIP712Domain": [
                    { "name": "name", "type": "string" },
                    { "name": "chainId", "type": "uint256" },
                    { "name": "verifyingContract", "type": "address" },
                ],
                "PermitWitnessTransferFrom": [
                    { "name": "permitted", "type": "TokenPermissions" },
                    { "name": "spender", "type": "address" },
                    { "name": "nonce", "type": "uint256" },
                    { "name": "deadline", "type": "uint256" },
                    { "name": "witness", "type": "Mandate" },
                ],
                "TokenPermissions": [
                    { "name": "token", "type": "address" },
                    { "name": "amount", "type": "uint256" },
                ],
                "Mandate": mandate_fields(),
            },
            "primaryType": "PermitWitnessTransferFrom",
            "domain": { "name": "Permit2", "chainId": 31_337, "verifyingContract": PERMIT2 },
            "message": {
                "permitted": { "token": USDC, "amount": "1000000000" },
                "spender": ENGINE, "nonce": "5", "deadline": "1800000000",
                "witness": mandate_json(&mandate),
            },
        }));
        assert_eq!(
            domains().funded(&mandate, uint!(5_U256), uint!(1_800_000_000_U256)),
            expected
        );
    }

    #[test]
    fn a_wallet_signs_the_same_engine_digests() {
        let mut update = mandate();
        update.deposit = 0;
        let domain_fields = json!([
            { "name": "name", "type": "string" },
            { "name": "version", "type": "string" },
            { "name": "chainId", "type": "uint256" },
            { "name": "verifyingContract", "type": "address" },
        ]);
        let domain =
            json!({ "name": "Lockstep", "version": "1", "chainId": 31_337, "verifyingContract": ENGINE });
        let expected = wallet_digest(json!({
            "types": { "EIP712Domain": domain_fields, "Mandate": mandate_fields() },
            "primaryType": "Mandate", "domain": domain, "message": mandate_json(&update),
        }));
        let signed = SignedMandate {
            mandate: update.clone(),
            permit_nonce: U256::ZERO,
            permit_deadline: U256::ZERO,
            signature: Bytes::new(),
            token_permit: None,
        };
        assert_eq!(domains().mandate(&signed), expected);

        let withdraw = Intent::Withdraw {
            follower: update.follower,
            strategy: update.strategy,
            amount: U256::MAX,
            nonce: uint!(9_U256),
            deadline: uint!(1_800_000_000_U256),
        };
        let expected = wallet_digest(json!({
            "types": { "EIP712Domain": domain_fields, "Withdraw": [
                { "name": "follower", "type": "address" },
                { "name": "strategy", "type": "address" },
                { "name": "amount", "type": "uint256" },
                { "name": "nonce", "type": "uint256" },
                { "name": "deadline", "type": "uint256" },
            ] },
            "primaryType": "Withdraw", "domain": domain,
            "message": {
                "follower": update.follower, "strategy": update.strategy, "amount": U256::MAX.to_string(),
                "nonce": "9", "deadline": "1800000000",
            },
        }));
        assert_eq!(domains().intent(&withdraw), expected);
    }

    #[test]
    fn the_engine_encodes_structs_as_the_standard_says() {
        // Stop, by hand: keccak256(0x1901 || domain separator || keccak256(abi.encode(typehash, fields…))).
        let (follower, strategy) = (mandate().follower, mandate().strategy);
        let stop = Intent::Stop {
            follower,
            strategy,
            nonce: uint!(3_U256),
            deadline: uint!(4_U256),
        };
        let word = |value: U256| value.to_be_bytes::<32>();
        let hash = keccak256(
            [
                keccak256("Stop(address follower,address strategy,uint256 nonce,uint256 deadline)").0,
                follower.into_word().0,
                strategy.into_word().0,
                word(uint!(3_U256)),
                word(uint!(4_U256)),
            ]
            .concat(),
        );
        let separator = keccak256(
            [
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
                )
                .0,
                keccak256("Lockstep").0,
                keccak256("1").0,
                word(uint!(31_337_U256)),
                ENGINE.into_word().0,
            ]
            .concat(),
        );
        let expected = keccak256([&[0x19, 0x01][..], separator.as_slice(), hash.as_slice()].concat());
        assert_eq!(domains().intent(&stop), expected);
    }

    #[test]
    fn every_signed_fact_changes_the_digest() {
        let base = domains().funded(&mandate(), U256::ZERO, U256::ZERO);
        let mut other = mandate();
        other.allowed_markets.pop();
        assert_ne!(domains().funded(&other, U256::ZERO, U256::ZERO), base);
        assert_ne!(domains().funded(&mandate(), U256::ONE, U256::ZERO), base);
        assert_ne!(
            Domains::new(1, ENGINE, PERMIT2, USDC).funded(&mandate(), U256::ZERO, U256::ZERO),
            base
        );
        assert_ne!(domains().update(&mandate()), base);
    }

    #[test]
    fn recovers_plain_and_compact_signatures_and_refuses_the_rest() {
        let signer = PrivateKeySigner::random();
        let digest = domains().update(&mandate());
        let signature = signer.sign_hash_sync(&digest).unwrap();
        let plain = Bytes::from(signature.as_bytes().to_vec());
        assert_eq!(recover_eoa(digest, &plain), Some(signer.address()));
        let compact = Bytes::from(signature.as_erc2098().to_vec());
        assert_eq!(recover_eoa(digest, &compact), Some(signer.address()));

        // The same signature mirrored to the upper half of the curve order: the chain takes it, and so do we.
        let order = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
        let high = Signature::new(signature.r(), order - signature.s(), !signature.v());
        assert_eq!(
            recover_eoa(digest, &Bytes::from(high.as_bytes().to_vec())),
            Some(signer.address())
        );
        // v = 0 or 1, as some hardware wallets write it: the chain does not take it.
        let mut raw = signature.as_bytes().to_vec();
        raw[64] -= 27;
        assert_eq!(recover_eoa(digest, &Bytes::from(raw)), None);
        assert_eq!(recover_eoa(digest, &Bytes::new()), None);
        assert_eq!(recover_eoa(digest, &Bytes::from(vec![0u8; 65])), None);
    }

    proptest! {
        #[test]
        fn any_bytes_recover_or_do_not(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(recover_eoa(B256::ZERO, &Bytes::from(bytes.clone())).is_none() || [64, 65].contains(&bytes.len()));
        }
    }
}
