// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Mode, Outcome, Status} from "../interfaces/LockstepTypes.sol";
import {Account} from "./AccountLib.sol";
import {MathLib} from "./MathLib.sol";
import {PositionLib} from "./PositionLib.sol";

/// @title Sizing
/// @notice The target of one account: a pure function of the signal, the mandate and the account's equity.
///
/// TARGET. ProRata: leverage x ratio x equity. Fixed: the signed notional in the master's direction, 0 when the master
/// is flat. An account that is not active, or whose mandate no longer lists the market, has target 0.
///
/// BOUNDS on the target, in this order: leverage over all markets together (the mandate's and the strategy's), position
/// notional, expiry and reduce-only (reductions only; a flip is cut at zero), the vault's open notional, the day's
/// turnover. A reduction is never stopped by leverage, notional, expiry or reduce-only.
///
/// TURNOVER keeps room to close in reserve: an account only grows while
///     used today + this trade + everything open afterwards <= maxDailyTurnover,
/// so that slippage x turnover bounds what a stolen keeper can cost in a day, and nobody is trapped by the bound. Only
/// growth of the price can eat the reserve; the follower's own exit ignores the bound.
library Sizing {
    using MathLib for int256;
    using MathLib for uint256;

    /// @notice What is the same for every account of a batch.
    /// @dev Ranges: price < 2^96, |leverage| <= 100e18 < 2^67, marginIndex <= 1e18, minTrade and openRoom in USDC 1e6.
    struct Batch {
        uint256 price;
        int256 leverage;
        int256 fundingIndex;
        uint256 marginIndex;
        uint256 time;
        uint256 today;
        uint256 sequence;
        uint256 marketBit;
        uint256 maxLeverageBps;
        uint256 deadBandBps;
        uint256 minTrade;
        uint256 openRoom;
        bool reduceOnly;
    }

    /// @notice Open size limit: larger positions would not fit the ledger's int88.
    uint256 internal constant MAX_SIZE = uint256(PositionLib.MAX_SIZE);

    /// @dev No position may be worth more than this (USDC 1e6): a third of what the quote balance's int56 holds.
    uint256 internal constant MAX_VALUE = uint256(PositionLib.MAX_QUOTE) / 3;

    /// @param size the account's size in this market
    /// @param equity USDC 1e6
    /// @param other notional in all other markets, USDC 1e6
    /// @param used turnover of the day in all markets, USDC 1e6
    /// @return target 1e18 base units
    /// @return outcome what happens to the account when the target is traded; `Moved` and `Capped` move it
    function order(Batch memory b, Account a, int256 size, int256 equity, uint256 other, uint256 used)
        internal
        pure
        returns (int256 target, Outcome outcome)
    {
        // Every factor is below the range its packed field proves: notional < 2^52 * 2, price < 2^96, size < 2^87,
        // equity < 2^80, leverage < 2^67, ratio < 2^32: no product reaches 2^255.
        unchecked {
            uint256 held = size.abs();
            bool long = b.leverage > 0;

            // --- the wish
            uint256 wanted; // notional, USDC 1e6
            if (a.status() != uint256(Status.Active)) {
                if (held == 0) return (0, Outcome.Inactive);
            } else if (a.allowedMarkets() & b.marketBit == 0) {
                if (held == 0) return (0, Outcome.MarketNotAllowed);
            } else if (b.leverage != 0) {
                if (equity <= 0) {
                    if (held == 0) return (0, Outcome.UnderMargined);
                } else {
                    uint256 limit =
                        (uint256(equity) * (a.maxLeverage() * 100).min(b.maxLeverageBps) / 10_000).floorSub(other);
                    wanted = a.mode() == uint256(Mode.ProRata)
                        ? b.leverage.abs() * a.sizing() * uint256(equity) / (10_000 * 1e18)
                        : a.sizing() * 1e6;
                    if (wanted > limit) (wanted, outcome) = (limit, Outcome.LeverageBound);
                    limit = a.maxPositionNotional() * 1e6;
                    if (wanted > limit) (wanted, outcome) = (limit, Outcome.NotionalBound);
                    if (wanted > MAX_VALUE) (wanted, outcome) = (MAX_VALUE, Outcome.SizeOverflow);
                }
            }

            uint256 open = wanted * 1e30 / b.price; // size of the target
            if (open > MAX_SIZE) (open, outcome) = (MAX_SIZE, Outcome.SizeOverflow);
            bool flip = open != 0 && held != 0 && long != (size > 0);

            // --- reductions only
            if (flip || open > held) {
                Outcome cut;
                if (b.reduceOnly) cut = Outcome.ReduceOnly;
                else if (a.expiry() < b.time) cut = Outcome.Expired;
                else if ((flip ? open : open - held) * b.price / 1e30 > b.openRoom) cut = Outcome.ReduceOnly;
                if (cut != Outcome.Moved) (open, outcome) = (flip ? 0 : held, cut);
            }

            // --- the day's turnover
            {
                uint256 room = (a.maxDailyTurnover() * 1e6).floorSub(used);
                uint256 value = PositionLib.notionalOf(size, b.price);
                if (flip || open <= held) {
                    // first the part that reduces
                    uint256 closed = flip ? held : held - open;
                    if (closed * b.price > room * 1e30) {
                        closed = room * 1e30 / b.price;
                        (flip, open, outcome) = (false, held - closed, Outcome.TurnoverBound);
                        long = size > 0;
                    } else if (flip) {
                        uint256 most = room.floorSub(other + value + 1e6) / 2 * 1e30 / b.price;
                        if (open > most) (open, outcome) = (most, Outcome.TurnoverBound);
                    }
                } else {
                    uint256 most = (room + value).floorSub(other + 1e6) / 2 * 1e30 / b.price;
                    if (open > most) (open, outcome) = (most > held ? most : held, Outcome.TurnoverBound);
                }
            }

            target = flip == (size > 0) && held != 0 ? -int256(open) : int256(open);
            if (held == 0 && !long) target = -int256(open);

            // --- is it worth a trade
            uint256 moved = (target - size).abs();
            if (moved == 0) return (target, outcome == Outcome.Moved ? Outcome.AtTarget : outcome);
            if (target != 0) {
                if (!flip && held != 0 && moved * 10_000 < b.deadBandBps * held) return (size, Outcome.AtTarget);
                if (moved * b.price < b.minTrade * 1e30) return (size, Outcome.Dust);
            }
            if (outcome != Outcome.Moved) outcome = Outcome.Capped;
        }
    }
}
