// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {MathLib} from "./MathLib.sol";

/// @notice One account's position in one market: one slot.
/// @dev From the top: size int88 (1e18 base) | quote int56 (USDC 1e6) | fundingIndex int56 (1e9 per base) |
/// dayTurnover uint28 (whole USDC, rounded up) | tag 28. The tag is day uint8 (unix day mod 256) | generation uint8 |
/// signal uint12, and is the same for everyone a batch moves.
type Position is uint256;

using PositionLib for Position global;

/// @title PositionLib
/// @notice Packing and value of a position.
/// @dev Ranges that make the unchecked arithmetic of the batch safe: |size| < 2^87, |quote| < 2^55, |fundingIndex| <
/// 2^55, price < 2^96. So |size * price| < 2^183 and |size * (price - funding * 1e9)| < 2^184.
library PositionLib {
    using MathLib for int256;

    int256 internal constant MAX_SIZE = type(int88).max;
    int256 internal constant MAX_QUOTE = type(int56).max;
    int256 internal constant MAX_FUNDING = type(int56).max;
    uint256 internal constant MAX_TURNOVER = (1 << 28) - 1;
    /// @dev Signals of a market are counted modulo this.
    uint256 internal constant SIGNALS = 1 << 12;
    uint256 internal constant TAG_MASK = (1 << 28) - 1;

    function size(Position p) internal pure returns (int256) {
        return int256(Position.unwrap(p)) >> 168;
    }

    function quote(Position p) internal pure returns (int256 z) {
        assembly ("memory-safe") {
            z := signextend(6, shr(112, p))
        }
    }

    function fundingIndex(Position p) internal pure returns (int256 z) {
        assembly ("memory-safe") {
            z := signextend(6, shr(56, p))
        }
    }

    /// @notice Turnover used on the position's own day, whole USDC.
    function dayTurnover(Position p) internal pure returns (uint256) {
        return (Position.unwrap(p) >> 28) & MAX_TURNOVER;
    }

    /// @notice Day, generation and signal in one.
    function tag(Position p) internal pure returns (uint256) {
        return Position.unwrap(p) & TAG_MASK;
    }

    function day(Position p) internal pure returns (uint256) {
        return (Position.unwrap(p) >> 20) & 0xff;
    }

    function generation(Position p) internal pure returns (uint256) {
        return (Position.unwrap(p) >> 12) & 0xff;
    }

    /// @notice The signal that last moved the position, as the market counts them.
    function signal(Position p) internal pure returns (uint256) {
        return Position.unwrap(p) & (SIGNALS - 1);
    }

    function tagOf(uint256 day_, uint256 generation_, uint256 signal_) internal pure returns (uint256) {
        return (day_ << 20) | (generation_ << 12) | signal_;
    }

    /// @notice Turnover used on `today`, whole USDC.
    /// @dev After exactly 256 idle days old turnover counts again, which only tightens the bound.
    function turnoverOn(Position p, uint256 today) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            z := mul(eq(and(shr(20, p), 0xff), today), and(shr(28, p), 0xfffffff))
        }
    }

    /// @dev Every argument already fits its field.
    function pack(int256 size_, int256 quote_, int256 fundingIndex_, uint256 dayTurnover_, uint256 tag_)
        internal
        pure
        returns (Position p)
    {
        assembly ("memory-safe") {
            p := or(
                or(shl(168, size_), shl(112, and(quote_, 0xffffffffffffff))),
                or(shl(56, and(fundingIndex_, 0xffffffffffffff)), or(shl(28, dayTurnover_), tag_))
            )
        }
    }

    function withQuote(Position p, int256 quote_) internal pure returns (Position z) {
        assembly ("memory-safe") {
            z := or(and(p, not(shl(112, 0xffffffffffffff))), shl(112, and(quote_, 0xffffffffffffff)))
        }
    }

    function withSignal(Position p, uint256 signal_) internal pure returns (Position) {
        return Position.wrap((Position.unwrap(p) & ~(SIGNALS - 1)) | signal_);
    }

    /// @notice Funding owed since the position's last touch, USDC 1e6, rounded up (against the account).
    function pendingFunding(Position p, int256 index) internal pure returns (int256) {
        unchecked {
            return MathLib.divUp(size(p) * (index - fundingIndex(p)), 1e21);
        }
    }

    /// @notice Quote balance plus value at `price`, less pending funding, USDC 1e6, rounded down.
    function value(Position p, uint256 price, int256 index) internal pure returns (int256) {
        unchecked {
            return quote(p) + MathLib.divDown(size(p) * (int256(price) - (index - fundingIndex(p)) * 1e9), 1e30);
        }
    }

    /// @notice |size| at `price`, USDC 1e6, rounded up.
    function notional(Position p, uint256 price) internal pure returns (uint256) {
        return notionalOf(size(p), price);
    }

    /// @notice |size| at `price`, USDC 1e6, rounded up.
    function notionalOf(int256 size_, uint256 price) internal pure returns (uint256) {
        unchecked {
            return (size_.abs() * price + (1e30 - 1)) / 1e30;
        }
    }
}
// forge-lint: disable-end(unsafe-typecast)
