// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

/// @title MathLib
/// @notice Signed division with the direction of rounding in the name.
/// @dev Callers keep |x| < 2^255 and 0 < d < 2^255, which every packed field of the ledger proves.
library MathLib {
    /// @notice Towards minus infinity.
    function divDown(int256 x, uint256 d) internal pure returns (int256 z) {
        assembly ("memory-safe") {
            z := sub(sdiv(x, d), slt(smod(x, d), 0))
        }
    }

    /// @notice Towards plus infinity.
    function divUp(int256 x, uint256 d) internal pure returns (int256 z) {
        assembly ("memory-safe") {
            z := add(sdiv(x, d), sgt(smod(x, d), 0))
        }
    }

    function abs(int256 x) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            let m := sar(255, x)
            z := sub(xor(x, m), m)
        }
    }

    /// @notice x, or 0 when it is negative.
    function positive(int256 x) internal pure returns (int256 z) {
        assembly ("memory-safe") {
            z := and(x, not(sar(255, x)))
        }
    }

    function min(uint256 x, uint256 y) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            z := xor(x, mul(xor(x, y), lt(y, x)))
        }
    }

    function max(uint256 x, uint256 y) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            z := xor(x, mul(xor(x, y), gt(y, x)))
        }
    }

    /// @notice x / d without the check for 0: for a divisor that is proved elsewhere.
    function div(uint256 x, uint256 d) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            z := div(x, d)
        }
    }

    function ceilDivision(uint256 x, uint256 d) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            z := add(div(x, d), iszero(iszero(mod(x, d))))
        }
    }

    /// @notice x − y, or 0.
    function floorSub(uint256 x, uint256 y) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            z := mul(gt(x, y), sub(x, y))
        }
    }
}
