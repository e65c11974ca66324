// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

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
///
/// @dev Every account of a batch passes through `order`. The way of an account that no bound holds back is the straight
/// one; each bound that does is a function of its own.
library Sizing {
    using MathLib for int256;
    using MathLib for uint256;

    /// @notice What is the same for every account of a batch.
    /// @dev Ranges: price < 2^96, |leverage| <= 100e18 < 2^67, marginIndex <= 1e18, minTrade and openRoom in USDC 1e36.
    /// @param speed |leverage|, 1e18
    /// @param gate bits of an account slot that must read `open` for an active account that may hold this market
    /// @param others bits of an account slot that tell positions in other markets
    /// @param tag what is written to everyone moved: day, generation and signal
    /// @param time mandates that expire before are expired; beyond all of them when nothing may grow
    /// @param minTrade smallest trade, 1e36 (size x price)
    /// @param openRoom what the vault may still grow, 1e36; falls as accounts grow
    struct Batch {
        uint256 price;
        int256 leverage;
        uint256 speed;
        int256 fundingIndex;
        uint256 marginIndex;
        uint256 today;
        uint256 tag;
        uint256 gate;
        uint256 open;
        uint256 others;
        uint256 time;
        uint256 maxLeverageBps;
        uint256 deadBandBps;
        uint256 minTrade;
        uint256 openRoom;
        bool reduceOnly;
        uint256 market;
        uint256 generation;
    }

    /// @notice Open size limit: larger positions would not fit the ledger's int88.
    uint256 internal constant MAX_SIZE = uint256(PositionLib.MAX_SIZE);

    /// @dev USDC 1e6 as size x price; one whole USDC.
    uint256 private constant SCALE = 1e30;
    uint256 private constant WHOLE = 1e36;

    uint256 private constant STATUS_SHIFT = 188;
    uint256 private constant ALLOWED_SHIFT = 12;

    /// @notice The two words that tell an active account that may hold `market` in one comparison.
    function gateOf(uint256 market) internal pure returns (uint256 gate, uint256 open) {
        uint256 allowed = uint256(1) << (ALLOWED_SHIFT + market);
        return ((uint256(0xf) << STATUS_SHIFT) | allowed, (uint256(Status.Active) << STATUS_SHIFT) | allowed);
    }

    /// @dev Outcomes as numbers: the compiler checks the range of an enum at every step.
    uint256 internal constant MOVED = uint256(Outcome.Moved);
    uint256 internal constant CAPPED = uint256(Outcome.Capped);
    uint256 internal constant AT_TARGET = uint256(Outcome.AtTarget);

    /// @param size the account's size in this market
    /// @param equity USDC 1e6
    /// @param other notional in all other markets, USDC 1e6
    /// @param used turnover of the day in all markets, whole USDC
    /// @return delta what to trade, 1e18 base units; 0 unless the outcome is `Moved` or `Capped`
    /// @return outcome an `Outcome`
    function order(Batch memory b, Account a, int256 size, int256 equity, uint256 other, uint256 used)
        internal
        pure
        returns (int256 delta, uint256 outcome)
    {
        // Every factor is below the range its packed field proves: notional < 2^54, 0 < price < 2^96, size < 2^87,
        // equity < 2^80, leverage < 2^67, sizing < 2^32: no product reaches 2^255.
        unchecked {
            // --- the wish, and the bounds that shorten it
            int256 target;
            if (Account.unwrap(a) & b.gate != b.open) {
                if (size == 0) return (0, shut(a));
            } else if (b.speed != 0) {
                if (equity > 0) {
                    uint256 wanted = a.mode() == uint256(Mode.ProRata)
                        ? b.speed * a.sizing() * uint256(equity) / (10_000 * 1e18)
                        : a.sizing() * 1e6;
                    uint256 limit =
                        (uint256(equity) * (a.maxLeverage() * 100).min(b.maxLeverageBps) / 10_000).floorSub(other);
                    if (wanted > limit) (wanted, outcome) = (limit, uint256(Outcome.LeverageBound));
                    limit = a.maxPositionNotional() * 1e6;
                    if (wanted > limit) (wanted, outcome) = (limit, uint256(Outcome.NotionalBound));
                    wanted = (wanted * SCALE).div(b.price);
                    if (wanted > MAX_SIZE) (wanted, outcome) = (MAX_SIZE, uint256(Outcome.SizeOverflow));
                    target = b.leverage > 0 ? int256(wanted) : -int256(wanted);
                } else if (size == 0) {
                    return (0, uint256(Outcome.UnderMargined));
                }
            }

            // --- the bounds on the way there
            delta = target - size;
            uint256 value = delta.abs() * b.price;
            {
                // spent today, this trade and one unit of rounding, 1e36
                uint256 spent = (used + 1) * WHOLE + value;
                uint256 goal = target.abs();
                uint256 grown = goal.floorSub(target * size < 0 ? 0 : size.abs());
                if (grown != 0) {
                    grown *= b.price;
                    if (a.expiry() < b.time) {
                        (target, outcome) = reduced(b, a, size, target, used);
                    } else if (grown > b.openRoom) {
                        (target, outcome) = reduced(b, a, size, target, used);
                    } else if (spent + goal * b.price + (other + 1) * SCALE > a.maxDailyTurnover() * WHOLE) {
                        (target, outcome) = turned(b, a, size, target, other, used);
                    } else {
                        b.openRoom -= grown;
                    }
                } else if (spent > a.maxDailyTurnover() * WHOLE) {
                    (target, outcome) = closed(b, a, size, target, used, outcome);
                }
            }

            // --- is it worth a trade
            if (outcome != MOVED) {
                delta = target - size;
                if (delta == 0) return (0, outcome);
                value = delta.abs() * b.price;
                outcome = CAPPED;
            }
            if (value < b.minTrade && target != 0) {
                return (0, value == 0 ? AT_TARGET : uint256(Outcome.Dust));
            }
            if (value * 10_000 < b.deadBandBps * size.abs() * b.price) {
                if (target * size > 0) return (0, AT_TARGET);
            }
            if (delta == 0) return (0, AT_TARGET);
        }
    }

    /// @notice How far off the index price an account can trade and pay for it alone: its equity afterwards, fees included,
    /// still is the maintenance margin of what stays open, so that whoever liquidates it takes nothing from others. Bps of
    /// what is traded, rounded down; negative when it cannot pay even the index price.
    /// @param equity USDC 1e6, below 2^80
    /// @param left exposure afterwards in all markets, 1e36, below 2^200
    /// @param traded size times index price, 1e36, not 0
    /// @param maintenance bps of exposure
    /// @param reserve for fees, bps of what is traded
    function affordable(int256 equity, uint256 left, uint256 traded, uint256 maintenance, uint256 reserve)
        internal
        pure
        returns (int256)
    {
        unchecked {
            return (equity * 1e34 - int256(left * maintenance)).divDown(traded) - int256(reserve);
        }
    }

    /// @notice How far off the index price a batch may take every account without looking at it: who had the maintenance
    /// margin before still has it afterwards. Bps, rounded down; not above 0 when there is no such distance.
    ///
    /// With m the maintenance margin and L the strategy's leverage, as shares; x what the account holds in the batch's market,
    /// o what it holds in the others and t its target, as values at the index; E its equity, m (x + o) <= E; and c what
    /// a trade costs, as a share of its value at the index: the slippage and the fees. Then E - c * traded >= m * left
    ///
    ///   closing, t <= x:    E - c (x - t) >= m (t + o)           when c <= m
    ///   growing, t > x:     t + o <= L E, traded <= L E          when c <= (1 - m L) / L
    ///   turning round:      x <= E / m - o, t <= L E - o, so
    ///                       traded <= (1 / m + L) E, left <= L E when c <= m (1 - m L) / (1 + m L)
    ///
    /// and the last bound is the smallest. A part of an order is covered with the whole: what is left after costs is linear
    /// in the part, the margin needed is convex, and both ends are covered. Perp v2 asks for 625 bps and a fifth more is
    /// kept, so m = 7.5 %; at 7x, the most it lets terms say, c is 2.33 %: 1.78 % off the index with a copy fee of 5 bps,
    /// 0.83 % with the highest.
    /// @param maxLeverageBps the strategy's, which no mandate goes above
    /// @param maintenance bps of exposure
    /// @param reserve for fees, bps of what is traded
    function harmless(uint256 maxLeverageBps, uint256 maintenance, uint256 reserve) internal pure returns (int256) {
        uint256 needed = maintenance * maxLeverageBps;
        return (int256(maintenance) * (1e8 - int256(needed))).divDown(1e8 + needed) - int256(reserve);
    }

    /// @dev Why an account without a position takes none.
    function shut(Account a) private pure returns (uint256) {
        return uint256(a.status() != uint256(Status.Active) ? Outcome.Inactive : Outcome.MarketNotAllowed);
    }

    /// @dev Nothing may grow: a flip is cut at zero, anything else stays where it is.
    function reduced(Batch memory b, Account a, int256 size, int256 target, uint256 used)
        private
        pure
        returns (int256, uint256 outcome)
    {
        outcome = uint256(!b.reduceOnly && a.expiry() < b.time ? Outcome.Expired : Outcome.ReduceOnly);
        if (target * size < 0) return closed(b, a, size, 0, used, outcome);
        return (size, outcome);
    }

    /// @dev The day's turnover holds back growth: as far as it goes with room to close in reserve. Of a flip the closing
    /// half comes first.
    function turned(Batch memory b, Account a, int256 size, int256 target, uint256 other, uint256 used)
        private
        pure
        returns (int256, uint256)
    {
        unchecked {
            uint256 room = a.maxDailyTurnover().floorSub(used) * WHOLE;
            uint256 held = size.abs() * b.price;
            bool flip = target * size < 0;
            if (flip && held + WHOLE > room) {
                return closed(b, a, size, 0, used, uint256(Outcome.TurnoverBound));
            }
            // |trade| + |target| <= room, with |trade| = target - held or target + held
            uint256 reserve = (other + 1) * SCALE + WHOLE;
            uint256 most = (flip ? room.floorSub(held + reserve) : (room + held).floorSub(reserve)) / 2 / b.price;
            if (!flip && most < size.abs()) most = size.abs();
            if (most > target.abs()) most = target.abs();
            int256 cut = target > 0 ? int256(most) : -int256(most);
            uint256 grown = (flip ? most : most - size.abs()) * b.price;
            b.openRoom = b.openRoom.floorSub(grown);
            return (cut, cut == target ? MOVED : uint256(Outcome.TurnoverBound));
        }
    }

    /// @dev The day's turnover holds back a reduction: as much of it as is left.
    function closed(Batch memory b, Account a, int256 size, int256 target, uint256 used, uint256 why)
        private
        pure
        returns (int256, uint256)
    {
        unchecked {
            uint256 room = a.maxDailyTurnover().floorSub(used) * WHOLE;
            uint256 moved = (target - size).abs();
            // turnover is counted in whole USDC, rounded up
            if (moved * b.price <= room) return (target, why);
            moved = room / b.price;
            return (size > 0 ? size - int256(moved) : size + int256(moved), uint256(Outcome.TurnoverBound));
        }
    }
}
// forge-lint: disable-end(unsafe-typecast)
