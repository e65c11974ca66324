// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Status} from "../interfaces/LockstepTypes.sol";

/// @notice Margin, status and bounds of an account: the one account slot a batch reads.
/// @dev From the top: marginShares 64 | status 4 | mode 4 | sizing 32 | maxLeverage 16 | maxSlippageBps 16 |
/// maxPositionNotional 32 | maxDailyTurnover 32 | expiry 32 | allowedMarkets 12 | touchedMarkets 12.
type Account is uint256;

/// @notice Follower, stop levels and the time of the last performance fee.
/// @dev From the bottom: follower 160 | stopLossBps 16 | takeProfitBps 32 | lastCrystallised 40.
type Profile is uint256;

/// @notice High-water mark and net deposits.
/// @dev From the bottom: highWaterMark 64 | netDeposits 64.
type Basis is uint256;

using AccountLib for Account global;
using AccountLib for Profile global;
using AccountLib for Basis global;

/// @title AccountLib
/// @notice Packing of the account's slots. Getters are one shift and one mask; setters replace their own field only.
library AccountLib {
    uint256 private constant U64 = type(uint64).max;
    uint256 private constant U32 = type(uint32).max;

    /// @dev Everything a mandate decides: mode, sizing, bounds, expiry, allowed markets. Neither margin, status nor
    /// touched markets.
    uint256 private constant BOUNDS = ((uint256(1) << 188) - 1) ^ 0xfff;

    // ---------------------------------------------------------------- Account

    function marginShares(Account a) internal pure returns (uint256) {
        return Account.unwrap(a) >> 192;
    }

    function status(Account a) internal pure returns (uint256) {
        return (Account.unwrap(a) >> 188) & 0xf;
    }

    function mode(Account a) internal pure returns (uint256) {
        return (Account.unwrap(a) >> 184) & 0xf;
    }

    /// @notice ProRata: ratio in bps. Fixed: notional in whole USDC.
    function sizing(Account a) internal pure returns (uint256) {
        return (Account.unwrap(a) >> 152) & U32;
    }

    /// @notice In hundredths: 100 = 1x.
    function maxLeverage(Account a) internal pure returns (uint256) {
        return (Account.unwrap(a) >> 136) & 0xffff;
    }

    function maxSlippageBps(Account a) internal pure returns (uint256) {
        return (Account.unwrap(a) >> 120) & 0xffff;
    }

    /// @notice Whole USDC.
    function maxPositionNotional(Account a) internal pure returns (uint256) {
        return (Account.unwrap(a) >> 88) & U32;
    }

    /// @notice Whole USDC.
    function maxDailyTurnover(Account a) internal pure returns (uint256) {
        return (Account.unwrap(a) >> 56) & U32;
    }

    function expiry(Account a) internal pure returns (uint256) {
        return (Account.unwrap(a) >> 24) & U32;
    }

    function allowedMarkets(Account a) internal pure returns (uint256) {
        return (Account.unwrap(a) >> 12) & 0xfff;
    }

    function touchedMarkets(Account a) internal pure returns (uint256) {
        return Account.unwrap(a) & 0xfff;
    }

    function withMarginShares(Account a, uint256 shares) internal pure returns (Account) {
        return Account.wrap((Account.unwrap(a) & ((uint256(1) << 192) - 1)) | (shares << 192));
    }

    function withStatus(Account a, Status status_) internal pure returns (Account) {
        return Account.wrap((Account.unwrap(a) & ~(uint256(0xf) << 188)) | (uint256(status_) << 188));
    }

    function touch(Account a, uint256 market) internal pure returns (Account) {
        return Account.wrap(Account.unwrap(a) | (uint256(1) << market));
    }

    function untouch(Account a, uint256 market) internal pure returns (Account) {
        return Account.wrap(Account.unwrap(a) & ~(uint256(1) << market));
    }

    /// @notice Replaces what a mandate decides. Every argument already fits its field.
    function withBounds(
        Account a,
        uint256 mode_,
        uint256 sizing_,
        uint256 maxLeverage_,
        uint256 maxSlippageBps_,
        uint256 maxPositionNotional_,
        uint256 maxDailyTurnover_,
        uint256 expiry_,
        uint256 allowedMarkets_
    ) internal pure returns (Account) {
        uint256 bounds = (mode_ << 184) | (sizing_ << 152) | (maxLeverage_ << 136) | (maxSlippageBps_ << 120)
            | (maxPositionNotional_ << 88) | (maxDailyTurnover_ << 56) | (expiry_ << 24) | (allowedMarkets_ << 12);
        return Account.wrap((Account.unwrap(a) & ~BOUNDS) | bounds);
    }

    // ---------------------------------------------------------------- Profile

    function follower(Profile p) internal pure returns (address) {
        return address(uint160(Profile.unwrap(p)));
    }

    function stopLossBps(Profile p) internal pure returns (uint256) {
        return (Profile.unwrap(p) >> 160) & 0xffff;
    }

    function takeProfitBps(Profile p) internal pure returns (uint256) {
        return (Profile.unwrap(p) >> 176) & U32;
    }

    function lastCrystallised(Profile p) internal pure returns (uint256) {
        return (Profile.unwrap(p) >> 208) & 0xffffffffff;
    }

    function profile(address follower_, uint256 stopLossBps_, uint256 takeProfitBps_, uint256 lastCrystallised_)
        internal
        pure
        returns (Profile)
    {
        return Profile.wrap(
            uint256(uint160(follower_)) | (stopLossBps_ << 160) | (takeProfitBps_ << 176) | (lastCrystallised_ << 208)
        );
    }

    function withLastCrystallised(Profile p, uint256 time) internal pure returns (Profile) {
        return profile(follower(p), stopLossBps(p), takeProfitBps(p), time);
    }

    // ---------------------------------------------------------------- Basis

    function highWaterMark(Basis b) internal pure returns (uint256) {
        return Basis.unwrap(b) & U64;
    }

    function netDeposits(Basis b) internal pure returns (uint256) {
        return (Basis.unwrap(b) >> 64) & U64;
    }

    /// @notice Saturates both, at 18 trillion USDC.
    function basis(uint256 highWaterMark_, uint256 netDeposits_) internal pure returns (Basis) {
        return
            Basis.wrap(
                (highWaterMark_ > U64 ? U64 : highWaterMark_) | ((netDeposits_ > U64 ? U64 : netDeposits_) << 64)
            );
    }
}
