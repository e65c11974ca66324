// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a time or of what was checked to fit.
// forge-lint: disable-start(unsafe-typecast)

import {ILiquidator} from "./interfaces/ILiquidator.sol";
import {IMasterRegistry} from "./interfaces/IMasterRegistry.sol";
import {IStrategyVault} from "./interfaces/IStrategyVault.sol";
import {Cause} from "./interfaces/LockstepTypes.sol";
import {BPS} from "./libraries/VaultState.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title Liquidator
/// @notice Anyone closes accounts that must be closed; too many of them at once stop new exposure.
///
/// THE BREAKER counts twice, and both times money as well as accounts, because accounts are free. One vault stops when what
/// was liquidated in it is a large share of its own equity: a strategy of eleven tiny accounts stops itself and nobody
/// else. All vaults stop only at BREAKER_NOTIONAL: anyone may register strategies, so no share of theirs means anything,
/// but a liquidation costs its account 1 % of the notional while it has that much, half of it for good. To stop everyone
/// with accounts of one's own takes some 140,000 USDC of margin at 7x, and 15 minutes of it cost 5,000 to the insurance
/// fund and the venue's fees on a million.
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
    /// @notice Notional liquidated that stops a vault, bps of what its accounts have left.
    uint256 public constant VAULT_SHARE_BPS = 2000;
    /// @notice Notional liquidated that stops all vaults, USDC 1e6.
    uint256 public constant BREAKER_NOTIONAL = 1_000_000e6;

    /// @dev What was liquidated in the window numbered `window` and in the one before it. Both count in full, so a burst is
    /// seen whole wherever the windows' edge falls.
    struct Tally {
        uint32 window;
        uint32 count;
        uint32 countBefore;
        uint64 notional;
        uint64 notionalBefore;
        uint32 until;
    }

    IMasterRegistry public immutable registry;

    /// @inheritdoc ILiquidator
    uint64 public breakerUntil;
    /// @dev By vault; of all together under the address of none.
    mapping(address vault => Tally) internal tallies;

    constructor(address registry_) {
        registry = IMasterRegistry(registry_);
    }

    /// @inheritdoc ILiquidator
    function liquidate(address vault, uint32 account) external {
        _known(vault);
        uint256 notional = IStrategyVault(vault).forceClose(account, Cause.Liquidation, msg.sender);
        emit Liquidated(vault, account, msg.sender);
        if (notional >= MIN_COUNTED_NOTIONAL) _count(vault, notional);
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
    function breakerUntilOf(address vault) external view returns (uint64) {
        return uint64(FixedPointMathLib.max(breakerUntil, tallies[vault].until));
    }

    /// @inheritdoc ILiquidator
    function breakerActive() external view returns (bool) {
        return block.timestamp < breakerUntil;
    }

    function _count(address vault, uint256 notional) private {
        uint64 until = uint64(block.timestamp) + COOL_DOWN;
        (uint256 count, uint256 sum) = _add(vault, notional);
        if (count > BREAKER_COUNT) {
            (, uint256 equity) = IStrategyVault(vault).nav();
            if (sum * BPS >= equity * VAULT_SHARE_BPS) tallies[vault].until = uint32(until);
        }
        (count, sum) = _add(address(0), notional);
        if (count > BREAKER_COUNT && sum >= BREAKER_NOTIONAL) {
            breakerUntil = until;
            emit BreakerTripped(until, count);
        }
    }

    /// @dev Adds one liquidation and returns the sums of this window and the last.
    function _add(address whose, uint256 notional) private returns (uint256 count, uint256 sum) {
        Tally memory t = tallies[whose];
        uint32 window = uint32(block.timestamp / BREAKER_WINDOW);
        if (t.window != window) {
            bool next = t.window + 1 == window;
            (t.countBefore, t.notionalBefore) = next ? (t.count, t.notional) : (0, 0);
            (t.window, t.count, t.notional) = (window, 0, 0);
        }
        ++t.count;
        t.notional = uint64(FixedPointMathLib.min(t.notional + notional, type(uint64).max));
        tallies[whose] = t;
        return (uint256(t.count) + t.countBefore, uint256(t.notional) + t.notionalBefore);
    }

    function _known(address vault) private view {
        if (registry.strategyOf(vault) == 0) revert UnknownVault(vault);
    }
}
// forge-lint: disable-end(unsafe-typecast)
