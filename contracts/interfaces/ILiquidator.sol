// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Cause} from "./LockstepTypes.sol";

/// @title ILiquidator
/// @notice Permissionless liquidation, stop-outs and the global breaker.
interface ILiquidator {
    event Liquidated(address indexed vault, uint32 indexed account, address indexed liquidator);
    event StoppedOut(address indexed vault, uint32 indexed account, Cause cause);
    /// @notice More than `BREAKER_COUNT` liquidations, and too much in all, in this `BREAKER_WINDOW` and the one before:
    /// new exposure stops everywhere until `until`. A single vault's breaker emits nothing, see `breakerUntilOf`.
    event BreakerTripped(uint64 until, uint256 liquidations);

    error UnknownVault(address vault);

    /// @notice Closes an account whose equity is below its maintenance margin. The caller earns a bounded reward.
    function liquidate(address vault, uint32 account) external;

    /// @notice Closes an account that has reached its signed stop-loss or take-profit. Anyone.
    function stopOut(address vault, uint32 account) external;

    /// @notice Unix time until which a vault takes no new exposure: by its own breaker or the one of all vaults.
    function breakerUntilOf(address vault) external view returns (uint64);

    /// @notice True while new exposure is stopped everywhere. Reducing and leaving never stop.
    function breakerActive() external view returns (bool);
    function breakerUntil() external view returns (uint64);
    function BREAKER_COUNT() external view returns (uint256);
    function BREAKER_WINDOW() external view returns (uint64);
}
