// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {ILiquidator} from "./interfaces/ILiquidator.sol";
import {IMasterRegistry} from "./interfaces/IMasterRegistry.sol";
import {IStrategyVault} from "./interfaces/IStrategyVault.sol";
import {Cause} from "./interfaces/LockstepTypes.sol";

/// @title Liquidator
/// @notice Anyone closes accounts that must be closed; too many of them at once stop new exposure everywhere.
/// @dev The vault itself checks that the account may be closed. This contract pays nobody and holds nothing.
contract Liquidator is ILiquidator {
    /// @inheritdoc ILiquidator
    uint256 public constant BREAKER_COUNT = 10;
    /// @inheritdoc ILiquidator
    uint64 public constant BREAKER_WINDOW = 300;
    /// @notice How long new exposure stays stopped, seconds.
    uint64 public constant COOL_DOWN = 15 minutes;
    /// @notice Liquidations of less than this (USDC 1e6) do not count: dust accounts must not trip the breaker.
    uint256 public constant MIN_COUNTED_NOTIONAL = 100e6;

    IMasterRegistry public immutable registry;

    /// @inheritdoc ILiquidator
    uint64 public breakerUntil;
    /// @dev Times of the last BREAKER_COUNT + 1 liquidations, a ring; `next` is the oldest.
    uint64[BREAKER_COUNT + 1] internal times;
    uint256 internal next;

    constructor(address registry_) {
        registry = IMasterRegistry(registry_);
    }

    /// @inheritdoc ILiquidator
    function liquidate(address vault, uint32 account) external {
        _known(vault);
        uint256 notional = IStrategyVault(vault).forceClose(account, Cause.Liquidation, msg.sender);
        emit Liquidated(vault, account, msg.sender);
        if (notional >= MIN_COUNTED_NOTIONAL) _count();
    }

    /// @inheritdoc ILiquidator
    function stopOut(address vault, uint32 account) external {
        _known(vault);
        IStrategyVault.AccountView memory view_ = IStrategyVault(vault).accountView(account);
        int256 equity = IStrategyVault(vault).equityOf(account);
        Cause cause = equity > int256(view_.netDeposits) && view_.takeProfitBps != 0 ? Cause.TakeProfit : Cause.StopLoss;
        IStrategyVault(vault).forceClose(account, cause, msg.sender);
        emit StoppedOut(vault, account, cause);
    }

    /// @inheritdoc ILiquidator
    function breakerActive() external view returns (bool) {
        return block.timestamp < breakerUntil;
    }

    /// @dev Trips when this is the eleventh within the window.
    function _count() private {
        times[next] = uint64(block.timestamp);
        next = (next + 1) % (BREAKER_COUNT + 1);
        uint64 oldest = times[next];
        if (oldest != 0 && block.timestamp - oldest <= BREAKER_WINDOW) {
            breakerUntil = uint64(block.timestamp) + COOL_DOWN;
            emit BreakerTripped(breakerUntil, BREAKER_COUNT + 1);
        }
    }

    function _known(address vault) private view {
        if (registry.strategyOf(vault) == 0) revert UnknownVault(vault);
    }
}
