//! The packed fill words of `IStrategyVault.BatchMirrored`.

use serde::{Deserialize, Serialize};

use crate::units::{Size, Usdc};

/// Why a follower in a batch was moved, partly moved or left alone. Mirrors `Outcome` in `LockstepTypes.sol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Outcome {
    /// Reached its target.
    Moved = 0,
    /// Moved, but a signed bound kept it short of the signal.
    Capped = 1,
    /// Already within the dead band of its target.
    AtTarget = 2,
    /// This very signal has already moved it.
    AlreadyApplied = 3,
    /// The order would be below the smallest trade.
    Dust = 4,
    /// Mandate expired: only reductions are made.
    Expired = 5,
    /// The mandate does not list this market.
    MarketNotAllowed = 6,
    /// Equity does not carry any exposure.
    UnderMargined = 7,
    /// The fill would have been worse than the signed slippage.
    SlippageBound = 8,
    /// The day's signed turnover leaves no room.
    TurnoverBound = 9,
    /// The signed position notional leaves no room.
    NotionalBound = 10,
    /// The signed leverage leaves no room.
    LeverageBound = 11,
    /// Breaker, capacity or notice period: nothing may be increased now.
    ReduceOnly = 12,
    /// No such account, or nothing to do for a stopped one.
    Inactive = 13,
    /// The position would not fit the ledger.
    SizeOverflow = 14,
}

impl Outcome {
    /// All outcomes in the order of their codes.
    pub const ALL: [Self; 15] = [
        Self::Moved,
        Self::Capped,
        Self::AtTarget,
        Self::AlreadyApplied,
        Self::Dust,
        Self::Expired,
        Self::MarketNotAllowed,
        Self::UnderMargined,
        Self::SlippageBound,
        Self::TurnoverBound,
        Self::NotionalBound,
        Self::LeverageBound,
        Self::ReduceOnly,
        Self::Inactive,
        Self::SizeOverflow,
    ];

    /// True when the position changed.
    #[must_use]
    pub const fn traded(self) -> bool {
        matches!(self, Self::Moved | Self::Capped)
    }
}

impl TryFrom<u8> for Outcome {
    type Error = FillError;
    fn try_from(code: u8) -> Result<Self, FillError> {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .ok_or(FillError::UnknownOutcome { code })
    }
}

/// Why packed fills cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// Not a whole number of words.
    #[error("{length} bytes of fills are not a whole number of 32-byte words")]
    Length {
        /// Bytes given.
        length: usize,
    },
    /// An outcome this version does not know: the reader is older than the contracts.
    #[error("unknown outcome code {code}; this reader is older than the contracts")]
    UnknownOutcome {
        /// The code.
        code: u8,
    },
}

/// One follower's line of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Account index in the vault.
    pub account: u32,
    /// What happened and why.
    pub outcome: Outcome,
    /// Change of the position.
    pub size_delta: Size,
    /// Change of the account's quote balance: trade, fees and settled funding together.
    pub quote_delta: Usdc,
    /// Copy fee and the account's part of the venue fee.
    pub fee: Usdc,
}

/// Sign-extends the low `bits` bits of `value`.
const fn sign_extend(value: u128, bits: u32) -> i128 {
    let shift = 128 - bits;
    ((value << shift).cast_signed()) >> shift
}

/// Big-endian bytes (at most 16) as an unsigned number.
fn be(bytes: &[u8]) -> u128 {
    bytes
        .iter()
        .fold(0, |value, byte| (value << 8) | u128::from(*byte))
}

/// Reads the words of `BatchMirrored.fills`. Layout: see that event's documentation.
///
/// # Errors
/// [`FillError::Length`] for a torn payload, [`FillError::UnknownOutcome`] for a code this version does not know.
pub fn decode_fills(packed: &[u8]) -> Result<Vec<Fill>, FillError> {
    let (words, rest) = packed.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(FillError::Length { length: packed.len() });
    }
    words
        .iter()
        .map(|word| {
            let [a0, a1, a2, a3, code, numbers @ ..] = word;
            let (size, numbers) = numbers.split_at(11);
            let (quote, numbers) = numbers.split_at(7);
            let (fee, _unused) = numbers.split_at(6);
            Ok(Fill {
                account: u32::from_be_bytes([*a0, *a1, *a2, *a3]),
                outcome: Outcome::try_from(*code)?,
                size_delta: Size(sign_extend(be(size), 88)),
                quote_delta: Usdc(sign_extend(be(quote), 56)),
                fee: Usdc(be(fee).cast_signed()),
            })
        })
        .collect()
}

/// Packs account indexes for a batch call: 4 bytes each, big-endian, strictly rising.
#[must_use]
pub fn encode_accounts(accounts: &std::collections::BTreeSet<u32>) -> Vec<u8> {
    accounts
        .iter()
        .flat_map(|account| account.to_be_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(fill: &Fill) -> [u8; 32] {
        let mut word = [0u8; 32];
        word[..4].copy_from_slice(&fill.account.to_be_bytes());
        word[4] = fill.outcome as u8;
        word[5..16].copy_from_slice(&fill.size_delta.0.to_be_bytes()[5..]);
        word[16..23].copy_from_slice(&fill.quote_delta.0.to_be_bytes()[9..]);
        word[23..29].copy_from_slice(&fill.fee.0.to_be_bytes()[10..]);
        word
    }

    proptest! {
        #[test]
        fn words_round_trip(
            account in any::<u32>(),
            code in 0u8..15,
            size in -(1i128 << 87)..(1i128 << 87),
            quote in -(1i128 << 55)..(1i128 << 55),
            fee in 0i128..(1i128 << 48),
        ) {
            let outcome = Outcome::try_from(code).unwrap();
            let fill = Fill { account, outcome, size_delta: Size(size), quote_delta: Usdc(quote), fee: Usdc(fee) };
            prop_assert_eq!(decode_fills(&encode(&fill)), Ok(vec![fill]));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let words = bytes.len() / 32;
            match decode_fills(&bytes) {
                Ok(fills) => prop_assert_eq!(fills.len(), words),
                Err(FillError::Length { length }) => prop_assert!(!length.is_multiple_of(32)),
                Err(FillError::UnknownOutcome { code }) => prop_assert!(code > 14),
            }
        }
    }
}
