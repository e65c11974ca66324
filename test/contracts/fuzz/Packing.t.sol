// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Status} from "../../../contracts/interfaces/LockstepTypes.sol";
import {Account as Slot, AccountLib, Basis, Profile} from "../../../contracts/libraries/AccountLib.sol";
import {FundingLib} from "../../../contracts/libraries/FundingLib.sol";
import {MathLib} from "../../../contracts/libraries/MathLib.sol";
import {NavLib} from "../../../contracts/libraries/NavLib.sol";
import {Position, PositionLib} from "../../../contracts/libraries/PositionLib.sol";
import {Test} from "forge-std/Test.sol";

/// @notice What is packed comes out as it went in, and no field touches its neighbour.
contract PackingFuzzTest is Test {
    function testFuzz_position(int88 size, int56 quote, int56 index, uint32 turnover, uint8 day, uint8 gen, uint16 sig)
        public
        pure
    {
        sig %= uint16(PositionLib.SIGNALS);
        turnover %= uint32(PositionLib.MAX_TURNOVER) + 1;
        Position p = PositionLib.pack(size, quote, index, turnover, PositionLib.tagOf(day, gen, sig));
        assertEq(p.size(), size);
        assertEq(p.quote(), quote);
        assertEq(p.fundingIndex(), index);
        assertEq(p.dayTurnover(), turnover);
        assertEq(p.day(), day);
        assertEq(p.generation(), gen);
        assertEq(p.signal(), sig);
        assertEq(p.turnoverOn(day), turnover);
        if (day != 0) assertEq(p.turnoverOn(day - 1), 0);
    }

    function testFuzz_position_setters(uint256 word, int56 quote, uint16 sig) public pure {
        sig %= uint16(PositionLib.SIGNALS);
        Position p = Position.wrap(word);
        Position q = p.withQuote(quote);
        assertEq(q.quote(), quote);
        assertEq(Position.unwrap(q.withQuote(p.quote())), word, "neighbours of the quote");
        q = p.withSignal(sig);
        assertEq(q.signal(), sig);
        assertEq(Position.unwrap(q.withSignal(p.signal())), word, "neighbours of the signal");
    }

    function testFuzz_account(uint256 word, uint64 shares, uint8 status, uint8 market) public pure {
        status %= 5;
        market %= 12;
        Slot a = Slot.wrap(word);
        Slot b = a.withMarginShares(shares);
        assertEq(b.marginShares(), shares);
        assertEq(Slot.unwrap(b.withMarginShares(a.marginShares())), word);
        b = a.withStatus(Status(status));
        assertEq(b.status(), status);
        assertEq(Slot.unwrap(b) & ~(uint256(0xf) << 188), word & ~(uint256(0xf) << 188));
        b = a.touch(market);
        assertEq(b.touchedMarkets(), a.touchedMarkets() | (uint256(1) << market));
        assertEq(Slot.unwrap(b) >> 12, word >> 12);
        assertEq(a.untouch(market).touchedMarkets(), a.touchedMarkets() & ~(uint256(1) << market));
        assertEq(Slot.unwrap(a.untouch(market)) >> 12, word >> 12);
    }

    struct Bounds {
        uint8 mode;
        uint32 sizing;
        uint16 leverage;
        uint16 slippage;
        uint32 notional;
        uint32 turnover;
        uint32 expiry;
        uint16 allowed;
    }

    function testFuzz_account_bounds(uint256 word, Bounds memory x) public pure {
        x.mode %= 16;
        x.allowed %= 1 << 12;
        Slot a = Slot.wrap(word);
        Slot b = a.withBounds(x.mode, x.sizing, x.leverage, x.slippage, x.notional, x.turnover, x.expiry, x.allowed);
        assertEq(b.mode(), x.mode);
        assertEq(b.sizing(), x.sizing);
        assertEq(b.maxLeverage(), x.leverage);
        assertEq(b.maxSlippageBps(), x.slippage);
        assertEq(b.maxPositionNotional(), x.notional);
        assertEq(b.maxDailyTurnover(), x.turnover);
        assertEq(b.expiry(), x.expiry);
        assertEq(b.allowedMarkets(), x.allowed);
        assertEq(b.marginShares(), a.marginShares());
        assertEq(b.status(), a.status());
        assertEq(b.touchedMarkets(), a.touchedMarkets());
    }

    function testFuzz_profileAndBasis(address who, uint16 sl, uint32 tp, uint40 time, uint40 later, uint64 h, uint64 n)
        public
        pure
    {
        Profile p = AccountLib.profile(who, sl, tp, time).withLastCrystallised(later);
        assertEq(p.follower(), who);
        assertEq(p.stopLossBps(), sl);
        assertEq(p.takeProfitBps(), tp);
        assertEq(p.lastCrystallised(), later);
        Basis b = AccountLib.basis(h, n);
        assertEq(b.highWaterMark(), h);
        assertEq(b.netDeposits(), n);
    }

    function testFuzz_navPoint(uint40 time, uint112 index, uint104 equity) public pure {
        (uint64 t, uint256 i, uint256 e) = NavLib.unpack(NavLib.pack(time, index, equity));
        assertEq(t, time);
        assertEq(i, index);
        assertEq(e, equity);
    }

    /// @notice "Rounding always favours the vault": the direction is in the name.
    function testFuzz_divisions(int256 x, uint256 d) public pure {
        x = bound(x, -type(int256).max / 2, type(int256).max / 2);
        d = bound(d, 1, uint256(type(int256).max));
        int256 down = MathLib.divDown(x, d);
        int256 up = MathLib.divUp(x, d);
        assertTrue(up == down || up == down + 1);
        assertEq(up == down, x % int256(d) == 0);
        int256 cut = x / int256(d);
        assertTrue(down <= cut && cut <= up);
    }

    /// @notice Funding passed on collects at least what the venue asks, and less than one step of the index more.
    function testFuzz_funding_collectsWhatIsOwed(int256 pending, int256 net) public pure {
        pending = bound(pending, -1e30, 1e30);
        net = bound(net, -1e26, 1e26);
        int256 delta = FundingLib.delta(pending, net, net);
        if (net >= -1e9 && net <= 1e9) {
            assertEq(delta, 0);
            return;
        }
        assertGe(net * delta, pending * 1e9, "collects less than is owed");
        assertLt(net * delta - pending * 1e9, net > 0 ? net : -net, "collects a whole step too much");
    }

    /// @notice A unit never pays or receives more than the venue's own charge for a unit, whatever the ledger's net is. All
    /// together never receive more than the venue pays, and pay what it asks but for a SIZE_DUST of it.
    function testFuzz_funding_byTheVenuesOwnSize(int256 pending, int256 held, int256 dust, bool apart) public pure {
        pending = bound(pending, -1e30, 1e30);
        held = bound(held, -1e11, 1e11);
        int256 net = held + bound(dust, -1e9, 1e9) * (apart ? int256(100) : int256(1));
        int256 delta = FundingLib.delta(pending, held, net);
        assertLe(_abs(delta) * _abs(held), _abs(pending) * 1e9 + _abs(held), "more than the venue's own charge");
        if (delta == 0) return;
        bool receives = pending < 0;
        int256 most = int256(_abs(net) < _abs(held) && !receives ? (_abs(held) - _abs(net)) * _abs(delta) : 0);
        assertGe(net * delta, pending * 1e9 - most, "the vault is short");
    }

    /// @notice However much the venue asks, the index stays inside a position's field.
    function testFuzz_funding_indexFitsItsField(int256 index, int256 pending, int256 held, int256 net) public pure {
        index = bound(index, -PositionLib.MAX_FUNDING, PositionLib.MAX_FUNDING);
        pending = bound(pending, -1e48, 1e48);
        net = bound(net, -1e26, 1e26);
        held = bound(held, -1e26, 1e26);
        int256 moved = FundingLib.moved(index, pending, held, net);
        assertEq(PositionLib.pack(0, 0, moved, 0, 0).fundingIndex(), moved);
    }

    function _abs(int256 x) private pure returns (uint256) {
        return uint256(x < 0 ? -x : x);
    }

    /// @notice Longs and shorts pay and receive by their own size; the sum is what the venue asks, rounded up.
    function testFuzz_funding_isPassedOnExactly(int256[6] memory sizes, int256 pending) public pure {
        pending = bound(pending, -1e24, 1e24);
        int256 net;
        for (uint256 i = 0; i < 6; ++i) {
            sizes[i] = bound(sizes[i], -1e23, 1e23);
            net += sizes[i];
        }
        vm.assume(net > 1e15 || net < -1e15);
        int256 delta = FundingLib.delta(pending, net, net);
        vm.assume(delta < type(int56).max && delta > type(int56).min);
        int256 collected;
        for (uint256 i = 0; i < 6; ++i) {
            Position p = PositionLib.pack(sizes[i], 0, 0, 0, 0);
            collected += p.pendingFunding(delta);
        }
        // 1e6 against 1e18; six roundings up, and a step of the index for the whole net size.
        assertGe(collected * 1e12, pending, "the vault is short");
        int256 step = (net > 0 ? net : -net) / 1e9;
        assertLe(collected * 1e12, pending + step + 6e12 + 1e12, "an account pays too much");
    }
}
