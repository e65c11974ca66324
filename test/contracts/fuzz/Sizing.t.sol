// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Mode, Outcome, Status} from "../../../contracts/interfaces/LockstepTypes.sol";
import {Account as Slot} from "../../../contracts/libraries/AccountLib.sol";
import {Sizing} from "../../../contracts/libraries/Sizing.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The sizing against the sentences it was written from, in plain arithmetic and by bisection.
contract SizingFuzzTest is Test {
    struct Case {
        uint256 price; // 1e18
        int256 leverage; // 1e18
        uint256 strategyLeverageBps;
        uint256 deadBandBps;
        uint256 minTrade; // USDC 1e6
        uint256 openRoom; // USDC 1e6
        bool reduceOnly;
        uint256 status;
        uint256 mode;
        uint256 sizing;
        uint256 maxLeverage; // hundredths
        uint256 maxNotional; // whole USDC
        uint256 maxTurnover; // whole USDC
        uint256 expiry;
        bool allowed;
        int256 size; // 1e18
        int256 equity; // USDC 1e6
        uint256 other; // USDC 1e6
        uint256 used; // whole USDC
    }

    uint256 internal constant NOW = 1_800_000_000;
    uint256 internal constant MARKET = 3;

    /// @dev Whoever opens today can close today: what opens is at most half of the day's turnover.
    function test_turnover_keepsRoomToClose() public pure {
        Case memory c;
        (c.price, c.leverage, c.equity) = (2000e18, 1e18, 1000e6);
        (c.strategyLeverageBps, c.minTrade, c.openRoom) = (10_000, 5e6, 1e18);
        (c.status, c.mode, c.allowed, c.expiry) = (uint256(Status.Active), uint256(Mode.ProRata), true, NOW);
        (c.sizing, c.maxLeverage, c.maxNotional, c.maxTurnover) = (10_000, 1000, 1e6, 1500);
        (int256 target,) = _order(c);
        uint256 value = uint256(target) * 2000 / 1e12;
        assertLe(2 * value, 1500e6, "no room is left");
        assertGe(2 * value, 1490e6, "more is left than closing takes");

        (c.size, c.used, c.leverage) = (target, value / 1e6 + 1, 0);
        Outcome outcome;
        (target, outcome) = _order(c);
        assertEq(target, 0, "still open");
        assertEq(uint8(outcome), uint8(Outcome.Moved));
    }

    function test_outcome_sizeOverflow() public pure {
        Sizing.Batch memory b;
        (b.price, b.leverage, b.speed, b.openRoom) = (1e10, 1e18, 1e18, type(uint128).max);
        (b.gate, b.open) = Sizing.gateOf(0);
        b.maxLeverageBps = 100_000;
        b.openRoom = type(uint256).max;
        Slot a = Slot.wrap(b.open).withBounds(0, 10_000, 1000, 100, 4e9, 2e8, 0, 1);
        (int256 delta, uint256 outcome) = Sizing.order(b, a, 0, 2e15, 0, 0);
        assertEq(outcome, uint256(Outcome.Capped));
        assertLe(delta, type(int88).max);
        (delta, outcome) = Sizing.order(b, a, type(int88).max, 2e15, 0, 0);
        assertEq(outcome, uint256(Outcome.SizeOverflow));
        assertEq(delta, 0);
    }

    /// @dev Any trade from inside the maintenance margin to inside the leverage, at the harmless price and the highest
    /// fees, leaves the maintenance margin; the worst one at one bps more does not.
    function testFuzz_harmless_leavesTheMargin(
        uint256 equity,
        uint256 held,
        uint256 other,
        int256 target,
        uint256 leverage,
        uint256 maintenance,
        uint256 reserve
    ) public pure {
        equity = bound(equity, 1e6, 1e18);
        leverage = bound(leverage, 1000, 200_000);
        maintenance = bound(maintenance, 10, 2000);
        reserve = bound(reserve, 0, 150);
        int256 cost = Sizing.harmless(leverage, maintenance, reserve);
        if (cost <= 0) return;
        uint256 bps = uint256(cost) + reserve;

        uint256 most = equity * 10_000 / maintenance;
        uint256 grown = equity * leverage / 10_000;
        other = bound(other, 0, most);
        held = bound(held, 0, most - other);
        // As far as leverage lets it grow either way; what is held may stay.
        uint256 room = grown > other ? grown - other : 0;
        target = bound(target, -int256(room), int256(room > held ? room : held));
        uint256 traded = uint256(target > int256(held) ? target - int256(held) : int256(held) - target);
        uint256 left = uint256(target < 0 ? -target : target) + other;
        assertGe(equity * 10_000, traded * bps + left * maintenance, "left short");

        equity = 1e18;
        (held, left) = (equity * 10_000 / maintenance, equity * leverage / 10_000);
        assertLt(equity * 10_000, (held + left) * (bps + 1) + left * maintenance, "more would be harmless too");
    }

    /// @dev Most of what is drawn is stopped by a bound before the one that matters.
    /// forge-config: default.fuzz.runs = 4096
    function testFuzz_order_isTheReference(Case memory c) public pure {
        c.price = bound(c.price, 1e14, 1e27);
        c.leverage = bound(c.leverage, -100e18, 100e18);
        if (uint256(c.leverage < 0 ? -c.leverage : c.leverage) % 7 == 0) c.leverage = 0;
        c.strategyLeverageBps = bound(c.strategyLeverageBps, 1000, 70_000);
        c.deadBandBps = bound(c.deadBandBps, 0, 2000);
        c.minTrade = bound(c.minTrade, 1e6, 10_000e6);
        c.openRoom = c.openRoom % 3 == 0 ? bound(c.openRoom, 0, 1e12) : 1e18;
        c.status = c.status % 4 == 0 ? bound(c.status, 1, 4) : uint256(Status.Active);
        c.mode %= 2;
        c.sizing = c.mode == uint256(Mode.ProRata) ? bound(c.sizing, 1, 100_000) : bound(c.sizing, 1, type(uint32).max);
        c.maxLeverage = bound(c.maxLeverage, 1, 2000);
        c.maxNotional = bound(c.maxNotional, 1, 100_000_000);
        c.maxTurnover = bound(c.maxTurnover, 1, 200_000_000);
        c.expiry = bound(c.expiry, NOW - 10, NOW + 1000);
        c.equity = bound(c.equity, -1e12, 1e14);
        uint256 most = _min(1e44 / c.price, 1e26); // a position worth 100 M, or the largest the ledger holds
        c.size = c.size % 3 == 0 ? int256(0) : bound(c.size, -int256(most), int256(most));
        c.other = bound(c.other, 0, 1e13);
        c.used = bound(c.used, 0, c.maxTurnover + 10);

        (int256 target, Outcome outcome) = _order(c);
        (int256 expected, bool moves) = _reference(c);
        bool moved = outcome <= Outcome.Capped;
        // At the edge of "worth a trade" one unit of rounding decides.
        if (moved != moves) {
            int256 near = moved ? target - c.size : expected - c.size;
            uint256 value = _abs(near) * c.price / 1e30;
            uint256 band = _abs(c.size) * c.deadBandBps / 10_000;
            bool edge = value <= c.minTrade + 1 || (_abs(near) <= band + 2 && _abs(near) + 2 >= band) || value == 0;
            assertTrue(edge, "one moves and the other does not");
            return;
        }
        if (moves) assertApproxEqAbs(target, expected, 2 + 1e30 / c.price, "target");
    }

    function _order(Case memory c) private pure returns (int256 target, Outcome outcome) {
        Sizing.Batch memory b;
        b.price = c.price;
        b.leverage = c.leverage;
        b.speed = _abs(c.leverage);
        b.time = c.reduceOnly ? type(uint256).max : NOW;
        (b.gate, b.open) = Sizing.gateOf(MARKET);
        b.maxLeverageBps = c.strategyLeverageBps;
        b.deadBandBps = c.deadBandBps;
        b.minTrade = c.minTrade * 1e30;
        b.openRoom = c.openRoom * 1e30;
        b.reduceOnly = c.reduceOnly;
        b.market = MARKET;
        b.marginIndex = 1e18;
        Slot a;
        a = a.withBounds(
                c.mode,
                c.sizing,
                c.maxLeverage,
                100,
                c.maxNotional,
                c.maxTurnover,
                c.expiry,
                c.allowed ? uint256(1) << MARKET : uint256(1)
            ).withStatus(Status(c.status));
        (int256 delta, uint256 code) = Sizing.order(b, a, c.size, c.equity, c.other, c.used);
        return (c.size + delta, Outcome(code));
    }

    // ---------------------------------------------------------------- the plain words

    function _reference(Case memory c) private pure returns (int256 target, bool moves) {
        target = _wish(c);
        bool grows = _abs(target) > _abs(c.size) || _opposite(target, c.size);
        if (grows) {
            uint256 growth = _opposite(target, c.size) ? _abs(target) : _abs(target) - _abs(c.size);
            bool mayGrow = !c.reduceOnly && c.expiry >= NOW && growth * c.price <= c.openRoom * 1e30;
            if (!mayGrow) target = _opposite(target, c.size) ? int256(0) : c.size;
        }
        target = _withinTurnover(c, target);

        uint256 trade = _abs(target - c.size);
        if (trade == 0) return (target, false);
        if (target != 0) {
            bool sameSide = c.size != 0 && !_opposite(target, c.size);
            if (sameSide && trade * 10_000 < c.deadBandBps * _abs(c.size)) return (c.size, false);
            if (trade * c.price < c.minTrade * 1e30) return (c.size, false);
        }
        moves = true;
    }

    /// @dev Leverage x ratio x equity, or the fixed notional; cut by leverage and by notional.
    function _wish(Case memory c) private pure returns (int256) {
        if (c.status != uint256(Status.Active) || !c.allowed || c.leverage == 0 || c.equity <= 0) return 0;
        uint256 equity = uint256(c.equity);
        uint256 notional =
            c.mode == uint256(Mode.ProRata) ? equity * _abs(c.leverage) / 1e18 * c.sizing / 10_000 : c.sizing * 1e6;
        // One division or two differ by less than a hundredth of a cent times the ratio: take the exact one.
        if (c.mode == uint256(Mode.ProRata)) notional = equity * _abs(c.leverage) * c.sizing / 1e22;
        uint256 bps = c.maxLeverage * 100 < c.strategyLeverageBps ? c.maxLeverage * 100 : c.strategyLeverageBps;
        uint256 gross = equity * bps / 10_000;
        notional = _min(notional, gross > c.other ? gross - c.other : 0);
        notional = _min(notional, c.maxNotional * 1e6);
        uint256 size = _min(notional * 1e30 / c.price, uint256(int256(type(int88).max)));
        return c.leverage > 0 ? int256(size) : -int256(size);
    }

    /// @dev The furthest on the way to `target` that today's turnover pays for, by bisection.
    function _withinTurnover(Case memory c, int256 target) private pure returns (int256) {
        if (_fits(c, target)) return target;
        // First towards zero or as far as the target if that is nearer, then beyond.
        int256 middle = _opposite(target, c.size) ? int256(0) : c.size;
        if (_opposite(target, c.size) && !_fitsFlipClose(c)) return _furthest(c, c.size, 0);
        if (_abs(target) > _abs(middle)) return _furthest(c, middle, target);
        return _furthest(c, c.size, target);
    }

    function _furthest(Case memory c, int256 from, int256 to) private pure returns (int256) {
        uint256 low = 0; // fits, or is where it starts
        uint256 high = _abs(to - from); // does not fit
        while (high - low > 1) {
            uint256 mid = (low + high) / 2;
            if (_fits(c, to > from ? from + int256(mid) : from - int256(mid))) low = mid;
            else high = mid;
        }
        return to > from ? from + int256(low) : from - int256(low);
    }

    /// @dev Used today + this trade [+ everything open afterwards, when it grows] <= the signed turnover. Turnover is
    /// counted in whole USDC, rounded up.
    function _fits(Case memory c, int256 target) private pure returns (bool) {
        uint256 budget = c.maxTurnover > c.used ? (c.maxTurnover - c.used) * 1e36 : 0;
        uint256 trade = _abs(target - c.size) * c.price;
        bool grows = _abs(target) > _abs(c.size) || _opposite(target, c.size);
        if (!grows) return trade <= budget;
        return trade + _abs(target) * c.price + (c.other + 1) * 1e30 + 1e36 <= budget;
    }

    function _fitsFlipClose(Case memory c) private pure returns (bool) {
        uint256 budget = c.maxTurnover > c.used ? (c.maxTurnover - c.used) * 1e36 : 0;
        return _abs(c.size) * c.price + 1e36 <= budget;
    }

    function _opposite(int256 x, int256 y) private pure returns (bool) {
        return (x > 0 && y < 0) || (x < 0 && y > 0);
    }

    function _abs(int256 x) private pure returns (uint256) {
        return uint256(x < 0 ? -x : x);
    }

    function _min(uint256 x, uint256 y) private pure returns (uint256) {
        return x < y ? x : y;
    }
}
