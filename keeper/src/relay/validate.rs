//! Refuses at the door what the chain would refuse, with a code that does not change. The last check is a simulation of
//! the real call, so the contract has the last word on everything.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol;
use alloy::sol_types::SolCall;
use lockstep_contracts::bindings::{IMasterRegistry, IMirrorEngine, IStrategyVault};
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::digest::{Domains, recover_eoa};
use lockstep_contracts::relay::{Intent, Mandate, SignedIntent, SignedMandate};
use lockstep_contracts::units::Usdc;

use crate::chain::{Answer, Call, Rpc, RpcError, reverts, views};

sol! {
    #[allow(missing_docs)]
    interface Token {
        function balanceOf(address owner) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
    }
    #[allow(missing_docs)]
    interface ContractAccount {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }
}

/// Answer of ERC-1271 for a good signature.
const ERC1271_MAGIC: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];
/// Last 32 bytes of an ERC-6492 signature.
const ERC6492_SUFFIX: [u8; 2] = [0x64, 0x92];

/// Why an item is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// Stable.
    pub code: String,
    /// One sentence for the follower.
    pub detail: String,
}

impl Refusal {
    fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
        }
    }
}

/// Why there is no verdict or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The item is bad.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The chain cannot be asked.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// See the module.
#[derive(Clone)]
pub struct Validator {
    rpc: Arc<dyn Rpc>,
    deployment: Deployment,
    domains: Domains,
    keeper: Address,
}

impl Validator {
    /// For one deployment.
    #[must_use]
    pub fn new(rpc: Arc<dyn Rpc>, deployment: Deployment, keeper: Address) -> Self {
        let domains = Domains::from(&deployment);
        Self {
            rpc,
            deployment,
            domains,
            keeper,
        }
    }

    /// The id of a mandate.
    #[must_use]
    pub fn mandate_id(&self, signed: &SignedMandate) -> B256 {
        self.domains.mandate(signed)
    }

    /// The id of an intent.
    #[must_use]
    pub fn intent_id(&self, signed: &SignedIntent) -> B256 {
        self.domains.signed_intent(signed)
    }

    /// Checks a mandate.
    ///
    /// # Errors
    /// [`ValidateError::Refused`] with a stable code, [`ValidateError::Rpc`] when the chain cannot be asked.
    pub async fn mandate(&self, signed: &SignedMandate) -> Result<(), ValidateError> {
        let mandate = &signed.mandate;
        in_range(mandate)?;
        let now = self.rpc.head().await?.timestamp;
        if mandate.expiry <= now {
            return Err(Refusal::new("mandate-expired", "the mandate's expiry has passed").into());
        }
        if mandate.deposit > 0 && signed.permit_deadline < U256::from(now) {
            return Err(Refusal::new("permit-expired", "the transfer's deadline has passed").into());
        }
        self.known_strategy(mandate.strategy).await?;
        self.nonce_is_free(mandate.follower, mandate.strategy, mandate.nonce)
            .await?;
        self.signed_by(mandate.follower, self.mandate_id(signed), &signed.signature)
            .await?;
        if mandate.deposit > 0 {
            self.funded(signed).await?;
        }
        self.simulate(super::follow_call(signed)).await
    }

    /// Checks an intent.
    ///
    /// # Errors
    /// As [`Self::mandate`].
    pub async fn intent(&self, signed: &SignedIntent) -> Result<(), ValidateError> {
        let (follower, strategy, nonce, deadline) = match signed.intent {
            Intent::Stop {
                follower,
                strategy,
                nonce,
                deadline,
            }
            | Intent::Withdraw {
                follower,
                strategy,
                nonce,
                deadline,
                ..
            } => (follower, strategy, nonce, deadline),
        };
        if matches!(signed.intent, Intent::Withdraw { amount, .. } if amount.is_zero()) {
            return Err(Refusal::new("amount-zero", "nothing is to be withdrawn").into());
        }
        let now = self.rpc.head().await?.timestamp;
        if deadline < U256::from(now) {
            return Err(Refusal::new("deadline-passed", "the intent's deadline has passed").into());
        }
        self.known_strategy(strategy).await?;
        let account = views::one(
            self.rpc.as_ref(),
            strategy,
            IStrategyVault::accountOfCall { follower },
        )
        .await?;
        if account.unwrap_or_default() == 0 {
            return Err(Refusal::new("no-account", "the follower has no account in this strategy").into());
        }
        self.nonce_is_free(follower, strategy, nonce).await?;
        self.signed_by(follower, self.intent_id(signed), &signed.signature)
            .await?;
        self.simulate(super::intent_call(signed)).await
    }

    async fn ask<C: SolCall>(&self, to: Address, call: C) -> Result<Answer<C::Return>, RpcError> {
        views::one(self.rpc.as_ref(), to, call).await
    }

    async fn known_strategy(&self, vault: Address) -> Result<(), ValidateError> {
        let id = self
            .ask(
                self.deployment.registry,
                IMasterRegistry::strategyOfCall { vault },
            )
            .await?;
        if id.is_ok_and(|id| !id.is_zero()) {
            return Ok(());
        }
        Err(Refusal::new(
            "unknown-strategy",
            format!("{vault} is no strategy of this deployment"),
        )
        .into())
    }

    async fn nonce_is_free(
        &self,
        follower: Address,
        strategy: Address,
        nonce: U256,
    ) -> Result<(), ValidateError> {
        let call = IMirrorEngine::isNonceUsedCall {
            follower,
            strategy,
            nonce,
        };
        if self
            .ask(self.deployment.engine, call)
            .await?
            .is_ok_and(|used| used)
        {
            return Err(Refusal::new("nonce-spent", "this was carried out or cancelled before").into());
        }
        Ok(())
    }

    /// EOA first, because code at an address does not mean "not an EOA" (EIP-7702); then ERC-1271.
    async fn signed_by(&self, signer: Address, digest: B256, signature: &Bytes) -> Result<(), ValidateError> {
        if recover_eoa(digest, signature) == Some(signer) {
            return Ok(());
        }
        let invalid = || {
            Refusal::new(
                "signature-invalid",
                format!("not signed by {signer} for this chain and these contracts"),
            )
        };
        if self.rpc.code(signer).await?.is_empty() {
            // Not deployed yet: the contract deploys it while verifying, and the simulation shows whether it does.
            return if signature.ends_with(&ERC6492_SUFFIX) {
                Ok(())
            } else {
                Err(invalid().into())
            };
        }
        let call = ContractAccount::isValidSignatureCall {
            hash: digest,
            signature: signature.clone(),
        };
        match self.ask(signer, call).await {
            Ok(Ok(magic)) if magic.0 == ERC1271_MAGIC => Ok(()),
            Ok(_) | Err(RpcError::Unreadable { .. }) => Err(invalid().into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn funded(&self, signed: &SignedMandate) -> Result<(), ValidateError> {
        let (owner, usdc) = (signed.mandate.follower, self.deployment.usdc);
        let deposit = U256::from(signed.mandate.deposit);
        let balance = self
            .ask(usdc, Token::balanceOfCall { owner })
            .await?
            .unwrap_or_default();
        if balance < deposit {
            let detail = format!(
                "the deposit is {} USDC, the balance {}",
                amount(deposit),
                amount(balance)
            );
            return Err(Refusal::new("insufficient-balance", detail).into());
        }
        if signed.token_permit.is_none() {
            let call = Token::allowanceCall {
                owner,
                spender: self.deployment.permit2,
            };
            if self.ask(usdc, call).await?.unwrap_or_default() < deposit {
                let detail = "Permit2 may not take the deposit: approve it, or sign the token permit too";
                return Err(Refusal::new("insufficient-allowance", detail).into());
            }
        }
        Ok(())
    }

    async fn simulate(&self, data: Bytes) -> Result<(), ValidateError> {
        let call = Call {
            from: Some(self.keeper),
            to: self.deployment.engine,
            data,
        };
        let answer = self.rpc.calls(&[call]).await?.pop();
        match answer.ok_or(RpcError::Unreadable { what: "eth_call" })? {
            Ok(_) => Ok(()),
            Err(revert) => Err(Refusal {
                code: reverts::code(&revert),
                detail: reverts::detail(&revert),
            }
            .into()),
        }
    }
}

fn amount(value: U256) -> String {
    Usdc::try_from_u256(value).map_or_else(|_| value.to_string(), |amount| amount.to_string())
}

/// Ranges that hold for every strategy; the contract knows them all and is asked last.
fn in_range(mandate: &Mandate) -> Result<(), Refusal> {
    let out = |field: &str| {
        Err(Refusal::new(
            "mandate-out-of-range",
            format!("`{field}` is out of range"),
        ))
    };
    match mandate.mode {
        0 if mandate.ratio_bps == 0 || mandate.ratio_bps > 100_000 => return out("ratioBps"),
        1 if mandate.fixed_notional == 0 => return out("fixedNotional"),
        0 | 1 => {}
        2 => {
            return Err(Refusal::new(
                "unsupported-mode",
                "delta-neutral copying is not offered yet",
            ));
        }
        _ => return out("mode"),
    }
    if mandate.max_leverage_bps == 0 {
        return out("maxLeverageBps");
    }
    if mandate.max_slippage_bps > 10_000 {
        return out("maxSlippageBps");
    }
    if mandate.stop_loss_bps > 10_000 {
        return out("stopLossBps");
    }
    if mandate.allowed_markets.is_empty() {
        return out("allowedMarkets");
    }
    Ok(())
}
