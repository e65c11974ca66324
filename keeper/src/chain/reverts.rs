//! Reverts by name: a stable code for machines and a sentence for people.

use lockstep_contracts::bindings::{ILiquidator, IMasterRegistry, IMirrorEngine, IStrategyVault, IVenue};

use super::Revert;

mod foreign {
    //! Errors of contracts that are not ours but can end one of our calls.
    #![allow(missing_docs)]
    alloy::sol! {
        interface Permit2 {
            error InvalidNonce();
            error SignatureExpired(uint256 signatureDeadline);
            error InvalidAmount(uint256 maxAmount);
            error InvalidSigner();
            error InvalidSignature();
            error InvalidSignatureLength();
            error InvalidContractSignature();
        }
        interface Token {
            error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
            error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
            error ERC2612ExpiredSignature(uint256 deadline);
            error ERC2612InvalidSigner(address signer, address owner);
            error SafeERC20FailedOperation(address token);
            error TransferFromFailed();
        }
        error Error(string reason);
    }
}

/// Name of the error, e.g. `NonceSpent`; `None` when no known contract declares it.
#[must_use]
pub fn name(revert: &Revert) -> Option<&'static str> {
    let selector: [u8; 4] = revert.data.get(..4)?.try_into().ok()?;
    IMirrorEngine::IMirrorEngineErrors::name_by_selector(selector)
        .or_else(|| IStrategyVault::IStrategyVaultErrors::name_by_selector(selector))
        .or_else(|| ILiquidator::ILiquidatorErrors::name_by_selector(selector))
        .or_else(|| IVenue::IVenueErrors::name_by_selector(selector))
        .or_else(|| IMasterRegistry::IMasterRegistryErrors::name_by_selector(selector))
        .or_else(|| foreign::Permit2::Permit2Errors::name_by_selector(selector))
        .or_else(|| foreign::Token::TokenErrors::name_by_selector(selector))
}

/// The reason text of `Error(string)`.
fn reason(revert: &Revert) -> Option<String> {
    use alloy::sol_types::SolError as _;
    foreign::Error::abi_decode(&revert.data)
        .ok()
        .map(|error| error.reason)
}

/// Stable kebab-case code, e.g. `nonce-spent`; `reverted` when the chain gave no name.
#[must_use]
pub fn code(revert: &Revert) -> String {
    match name(revert) {
        Some("InvalidNonce") => "permit-nonce-spent".into(),
        Some("SignatureExpired") => "permit-expired".into(),
        Some(
            "InvalidSigner"
            | "InvalidSignature"
            | "InvalidContractSignature"
            | "InvalidSignatureLength"
            | "BadSignature",
        ) => "signature-invalid".into(),
        Some("ERC20InsufficientBalance") => "insufficient-balance".into(),
        Some("ERC20InsufficientAllowance" | "TransferFromFailed") => "insufficient-allowance".into(),
        Some(name) => kebab(name),
        None => "reverted".into(),
    }
}

/// A sentence: the error's name, or what the node said.
#[must_use]
pub fn detail(revert: &Revert) -> String {
    match (name(revert), reason(revert)) {
        (Some(name), _) => format!("the contract refused: {name}"),
        (None, Some(reason)) => format!("the chain refused: {reason}"),
        (None, None) if revert.data.is_empty() => format!("the chain refused: {}", revert.message),
        (None, None) => format!("the chain refused with {}", revert.data),
    }
}

fn kebab(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (i, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && i > 0 {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256};
    use alloy::sol_types::SolError as _;

    use super::*;

    #[test]
    fn errors_have_stable_codes() {
        let spent = IMirrorEngine::NonceSpent {
            follower: Address::ZERO,
            strategy: Address::ZERO,
            nonce: U256::ZERO,
        };
        let revert = Revert {
            data: spent.abi_encode().into(),
            message: String::new(),
        };
        assert_eq!(code(&revert), "nonce-spent");
        let revert = Revert {
            data: alloy::primitives::Bytes::new(),
            message: "out of gas".into(),
        };
        assert_eq!(code(&revert), "reverted");
        assert!(detail(&revert).contains("out of gas"));
    }
}
