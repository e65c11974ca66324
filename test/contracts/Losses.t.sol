// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// forge-lint: disable-start(unsafe-typecast)

import {StrategyVault} from "../../contracts/StrategyVault.sol";
import {ILiquidator} from "../../contracts/interfaces/ILiquidator.sol";
import {IStrategyVault} from "../../contracts/interfaces/IStrategyVault.sol";
import {IVenue} from "../../contracts/interfaces/IVenue.sol";
import {Cause, Mandate, Outcome, Status, Terms} from "../../contracts/interfaces/LockstepTypes.sol";
import {IPerpAdmin} from "../../script/deploy/PerpV2Deployer.sol";
import {LockstepFixture} from "./LockstepFixture.sol";

/// @notice Liquidation, stops, the breaker, bad debt, and what the venue does by itself.
contract LossesTest is LockstepFixture {
    StrategyVault internal attested;
    uint64 internal sequence;

    function setUp() public override {
        super.setUp();
        (, attested) = _register(makeAddr("exchange master"), address(0), _terms());
    }

    function _signalAll(int256 leverage) internal returns (Fill[] memory) {
        return _mirrorSigned(attested, ETH, leverage, ++sequence, _accounts(1, attested.accountCount()));
    }

    /// @dev To `answer`, in steps the venue's market follows.
    function _walk(int256 answer) internal {
        int256 price = ethMarket.aggregator.latestAnswer();
        while (price != answer) {
            int256 next = answer < price ? price * 93 / 100 : price * 107 / 100;
            if (answer < price ? next < answer : next > answer) next = answer;
            _wait(20);
            _setPrice(ethMarket, next);
            price = next;
        }
        btcMarket.aggregator.set(btcMarket.aggregator.latestAnswer());
        _skip(60);
    }

    function _idle(uint256 i, uint64 deposit) internal {
        Mandate memory m = _mandate(attested, i, deposit);
        m.allowedMarkets = new string[](1);
        m.allowedMarkets[0] = "BTC-USD";
        _follow(_key(i), m);
    }

    // ---------------------------------------------------------------- liquidation

    function test_liquidate_onlyBelowMaintenance_rewardBounded() public {
        _follow(_key(1), _mandate(attested, 1, 10_000e6));
        _idle(2, 50_000e6);
        _signalAll(5e18);
        vm.expectPartialRevert(IStrategyVault.NotLiquidatable.selector);
        lockstep.liquidator.liquidate(address(attested), 1);

        _walk(1720e8);
        assertLt(attested.equityOf(1), int256(attested.maintenanceOf(1)));
        address who = makeAddr("liquidator");
        vm.prank(who);
        lockstep.liquidator.liquidate(address(attested), 1);
        assertEq(attested.positionView(1, ETH).size, 0);
        assertEq(uint8(attested.accountView(1).status), uint8(Status.Liquidated));
        // 0.5 % of the 43,000 closed, and as much to insurance.
        assertApproxEqRel(attested.claimable(who), 215e6, 0.01e18);
        assertEq(attested.accountView(2).margin, 50_000e6);
        _assertSolventWith(who);

        // The rest is the follower's.
        uint256 left = attested.accountView(1).margin;
        assertGt(left, 0);
        vm.prank(_follower(1));
        assertEq(attested.withdraw(type(uint256).max), left);
    }

    function test_badDebt_insuranceThenEveryonesMargin() public {
        perp.usdc.mint(address(this), 1000e6);
        perp.usdc.approve(address(lockstep.insurance), 1000e6);
        lockstep.insurance.donate(1000e6);

        _follow(_key(1), _mandate(attested, 1, 10_000e6));
        _idle(2, 30_000e6);
        _idle(3, 10_000e6);
        _signalAll(5e18);
        _walk(1500e8);
        int256 owed = -attested.equityOf(1);
        assertGt(owed, 2000e6);

        vm.recordLogs();
        lockstep.liquidator.liquidate(address(attested), 1);
        assertEq(attested.equityOf(1), 0);
        // 20 % of the fund; the copy fees not yet claimed stand in front of the followers as well.
        assertEq(lockstep.insurance.balance(), 800e6);
        assertEq(attested.claimable(address(lockstep.insurance)), 0);
        uint256 two = attested.accountView(2).margin;
        uint256 three = attested.accountView(3).margin;
        assertLt(two, 30_000e6);
        assertApproxEqRel(two, 3 * three, 1e12);
        assertApproxEqRel(40_000e6 - two - three, uint256(owed) - 200e6 - 20e6, 0.05e18);
        _assertSolvent(attested);

        // Everyone leaves with what is left.
        vm.prank(_follower(2));
        assertApproxEqAbs(attested.exit(200), two, 2);
        vm.prank(_follower(3));
        assertApproxEqAbs(attested.exit(200), three, 2);
    }

    // ---------------------------------------------------------------- stops

    function test_stopLossAndTakeProfit() public {
        Mandate memory m = _mandate(attested, 1, 10_000e6);
        (m.stopLossBps, m.takeProfitBps) = (2000, 3000);
        _follow(_key(1), m);
        m = _mandate(attested, 2, 10_000e6);
        (m.stopLossBps, m.takeProfitBps, m.ratioBps) = (2000, 10_000, 10_000);
        _follow(_key(2), m);
        _signalAll(3e18);
        vm.expectPartialRevert(IStrategyVault.StopNotReached.selector);
        lockstep.liquidator.stopOut(address(attested), 1);

        _walk(2220e8);
        vm.expectEmit(address(lockstep.liquidator));
        emit ILiquidator.StoppedOut(address(attested), 1, Cause.TakeProfit);
        lockstep.liquidator.stopOut(address(attested), 1);
        assertEq(uint8(attested.accountView(1).status), uint8(Status.StoppedOut));
        assertEq(attested.positionView(1, ETH).size, 0);

        _walk(1840e8);
        vm.expectEmit(address(lockstep.liquidator));
        emit ILiquidator.StoppedOut(address(attested), 2, Cause.StopLoss);
        lockstep.liquidator.stopOut(address(attested), 2);
        // Stopped out: no signal opens anything.
        Fill[] memory fills = _signalAll(2e18);
        assertEq(uint8(fills[0].outcome), uint8(Outcome.Inactive));
        assertEq(uint8(fills[1].outcome), uint8(Outcome.Inactive));
        _assertSolvent(attested);
    }

    // ---------------------------------------------------------------- breaker

    /// @dev Eleven accounts of `deposit` each in the attested vault, at 5x and below their maintenance margin, beside one
    /// careful account of `beside` in it and one in another strategy.
    function _elevenAtTheBrink(uint64 deposit, uint64 beside) private returns (uint32 careful) {
        _follow(50, 1000e6);
        for (uint256 i = 1; i <= 11; ++i) {
            _follow(_key(i), _mandate(attested, i, deposit));
        }
        Mandate memory m = _mandate(attested, 50, beside);
        m.ratioBps = 1000;
        careful = _follow(_key(50), m);
        _signalAll(5e18);
        _walk(1720e8);
        _trade(master, ethMarket, 500e18);
    }

    function _liquidate(uint32 first, uint32 last) private {
        for (uint32 i = first; i <= last; ++i) {
            lockstep.liquidator.liquidate(address(attested), i);
        }
    }

    function _outcome(uint32 account) private returns (Outcome) {
        return _mirrorSigned(attested, ETH, 6e18, ++sequence, _accounts(account, account))[0].outcome;
    }

    function _stopped(StrategyVault v) private view returns (bool) {
        return vm.getBlockTimestamp() < lockstep.liquidator.breakerUntilOf(address(v));
    }

    function test_breaker_stopsGrowthNotLeaving() public {
        uint32 careful = _elevenAtTheBrink(1000e6, 100_000e6);
        _liquidate(1, 10);
        assertFalse(_stopped(attested));
        _liquidate(11, 11);
        assertTrue(_stopped(attested));

        bytes memory one = _accounts(careful, careful);
        assertEq(uint8(_outcome(careful)), uint8(Outcome.ReduceOnly));
        Fill[] memory fills = _mirrorSigned(attested, ETH, 3e18, ++sequence, one);
        assertEq(uint8(fills[0].outcome), uint8(Outcome.Moved));
        vm.prank(_follower(50));
        assertGt(attested.exit(200), 90_000e6);

        _skip(15 minutes);
        assertFalse(_stopped(attested));
    }

    /// @dev One strategy's liquidations are nothing to another's followers.
    function test_breaker_stopsItsOwnVaultOnly() public {
        _elevenAtTheBrink(1000e6, 100_000e6);
        _liquidate(1, 11);
        assertTrue(_stopped(attested));
        assertFalse(_stopped(vault));
        assertFalse(lockstep.liquidator.breakerActive());
        assertEq(uint8(_mirror(ETH)[0].outcome), uint8(Outcome.Moved), "another strategy's follower was stopped");
    }

    /// @dev Eleven accounts worth a dinner stop nobody: not their own strategy while it is larger, and no other at all.
    function test_breaker_elevenTinyAccountsStopNobody() public {
        uint32 careful = _elevenAtTheBrink(25e6, 100_000e6);
        _liquidate(1, 11);
        assertFalse(lockstep.liquidator.breakerActive());
        assertEq(uint8(_outcome(careful)), uint8(Outcome.Moved), "a tiny share stopped the whole vault");
        assertEq(uint8(_mirror(ETH)[0].outcome), uint8(Outcome.Moved), "and another strategy's follower");
    }

    /// @dev A crash of a million USDC in positions stops growth everywhere.
    function test_breaker_aMillionStopsEveryone() public {
        _elevenAtTheBrink(25_000e6, 1000e6);
        _liquidate(1, 10);
        assertFalse(lockstep.liquidator.breakerActive());
        vm.expectEmit(address(lockstep.liquidator));
        emit ILiquidator.BreakerTripped(uint64(vm.getBlockTimestamp()) + 15 minutes, 11);
        _liquidate(11, 11);
        assertTrue(lockstep.liquidator.breakerActive());
        assertTrue(_stopped(vault));
        assertEq(uint8(_mirror(ETH)[0].outcome), uint8(Outcome.ReduceOnly));
    }

    /// @dev While both breakers are on, money and positions go out as ever: in this vault and in another.
    function test_breaker_withdrawingAndClosingGoOn() public {
        uint32 careful = _elevenAtTheBrink(25_000e6, 100_000e6);
        _liquidate(1, 11);
        assertTrue(_stopped(attested) && lockstep.liquidator.breakerActive());

        vm.startPrank(_follower(50));
        int256 held = attested.positionView(careful, ETH).size;
        attested.closePosition(ETH, uint256(held) / 2, 200);
        assertApproxEqAbs(attested.positionView(careful, ETH).size, held / 2, 1);
        assertEq(attested.withdraw(40_000e6), 40_000e6);
        attested.closePosition(ETH, type(uint256).max, 200);
        assertEq(attested.positionView(careful, ETH).size, 0);
        uint256 left = uint256(attested.equityOf(careful));
        assertApproxEqAbs(attested.withdraw(type(uint256).max), left, 2);
        assertEq(vault.withdraw(900e6), 900e6);
        vm.stopPrank();
        assertTrue(_stopped(attested) && lockstep.liquidator.breakerActive(), "still on");
    }

    function test_breaker_countsTheWindowBefore() public {
        _elevenAtTheBrink(1000e6, 100_000e6);
        _liquidate(1, 10);
        _skip(lockstep.liquidator.BREAKER_WINDOW());
        _liquidate(11, 11);
        assertTrue(_stopped(attested));
    }

    function test_breaker_forgetsTwoWindowsBack() public {
        _elevenAtTheBrink(1000e6, 100_000e6);
        _liquidate(1, 5);
        _skip(2 * lockstep.liquidator.BREAKER_WINDOW());
        _liquidate(6, 11);
        assertFalse(_stopped(attested));
    }

    // ---------------------------------------------------------------- the venue by itself

    function test_venueLiquidation_isDividedAmongTheSideItTook() public {
        _follow(_key(1), _mandate(attested, 1, 10_000e6));
        Mandate memory m = _mandate(attested, 2, 10_000e6);
        m.ratioBps = 9000;
        _follow(_key(2), m);
        _signalAll(5e18);
        _walk(1680e8);
        _skip(31 minutes);
        int256 first = attested.positionView(1, ETH).size;
        int256 second = attested.positionView(2, ETH).size;

        address taker = makeAddr("venue liquidator");
        _fundMaster(taker, 1_000_000e6);
        vm.prank(taker);
        perp.clearingHouse.liquidate(address(attested), address(ethMarket.baseToken), 0);
        int256 held = lockstep.venue.holding(address(attested), attested.marketView(ETH).venueMarket).size;
        assertLt(held, first + second);
        (, uint256 seen) = attested.nav();

        vm.expectEmit(false, false, false, false, address(attested));
        emit IStrategyVault.VenueDiverged(ETH, 1, true, 0, 0, 0);
        attested.reconcile(ETH);
        assertApproxEqAbs(attested.positionView(1, ETH).size + attested.positionView(2, ETH).size, held, 1e9);
        assertApproxEqRel(attested.positionView(1, ETH).size * second, attested.positionView(2, ETH).size * first, 1e9);
        (, uint256 known) = attested.nav();
        assertApproxEqAbs(seen, known, 2);
        _assertSolvent(attested);

        // Life goes on.
        _signalAll(0);
        _assertSolvent(attested);
    }

    /// @dev Cash the venue has lost with no change of size is everybody's, in proportion.
    function test_cashLostAtTheVenue_isShared() public {
        _follow(_key(1), _mandate(attested, 1, 10_000e6));
        _follow(_key(2), _mandate(attested, 2, 30_000e6));
        int256 cash = lockstep.venue.cash(address(attested));
        vm.mockCall(
            address(lockstep.venue), abi.encodeCall(IVenue.cash, (address(attested))), abi.encode(cash - 1000e18)
        );
        attested.reconcile(ETH);
        assertApproxEqAbs(attested.accountView(1).margin, 9750e6, 1);
        assertApproxEqAbs(attested.accountView(2).margin, 29_250e6, 1);
        _assertSolvent(attested);
    }

    /// @dev A paused market keeps its position and as much as it is worth, for it may be closed at any price; everything
    /// else leaves.
    function test_pausedMarket_exitPaysTheRest() public {
        _follow(_key(1), _mandate(attested, 1, 10_000e6));
        _idle(2, 50_000e6);
        _mirrorSigned(attested, ETH, 1e18, ++sequence, _accounts(1, 1));
        _mirrorSigned(attested, BTC, 0.3e18, ++sequence, _accounts(1, 1));
        IPerpAdmin(address(btcMarket.baseToken)).pause();

        vm.prank(_follower(1));
        uint256 paid = attested.exit(200);
        assertEq(attested.positionView(1, ETH).size, 0);
        assertGt(attested.positionView(1, BTC).size, 0);
        assertApproxEqRel(paid, 7000e6, 0.01e18);
        assertApproxEqRel(attested.equityOf(1), 3000e6, 0.01e18);
        assertEq(uint8(attested.accountView(1).status), uint8(Status.Stopped));

        IPerpAdmin(address(btcMarket.baseToken)).close(60_000e18);
        vm.prank(_follower(1));
        paid += attested.exit(200);
        assertEq(attested.positionView(1, BTC).size, 0);
        assertApproxEqRel(paid, 10_000e6, 0.01e18);
        _assertSolvent(attested);
    }

    /// @dev Both sides of a closed market get its closing price, though the venue only held the difference.
    function test_closedMarket_paysBothSides() public {
        _follow(_key(1), _mandate(attested, 1, 10_000e6));
        _follow(_key(2), _mandate(attested, 2, 10_000e6));
        _mirrorSigned(attested, ETH, 1e18, ++sequence, _accounts(1, 1));
        _mirrorSigned(attested, ETH, -0.5e18, ++sequence, _accounts(2, 2));
        int256 one = attested.equityOf(1);
        int256 two = attested.equityOf(2);
        IPerpAdmin(address(ethMarket.baseToken)).pause();
        IPerpAdmin(address(ethMarket.baseToken)).close(2200e18);
        attested.reconcile(ETH);
        assertEq(attested.marketView(ETH).longSize, 0);
        assertEq(attested.marketView(ETH).shortSize, 0);
        assertApproxEqRel(attested.equityOf(1), one + 1000e6, 0.001e18);
        assertApproxEqRel(attested.equityOf(2), two - 500e6, 0.001e18);
        _assertSolvent(attested);
    }

    function test_giftsDoNothing() public {
        _follow(_key(1), _mandate(attested, 1, 10_000e6));
        (uint256 index, uint256 equity) = attested.nav();
        perp.usdc.mint(address(attested), 1e12);
        perp.usdc.mint(address(this), 1e12);
        perp.usdc.approve(address(perp.vault), 1e12);
        perp.vault.depositFor(address(attested), address(perp.usdc), 1e12);
        attested.checkpoint();
        (uint256 after_, uint256 equityAfter) = attested.nav();
        assertEq(after_, index);
        assertEq(equityAfter, equity);
        assertEq(attested.equityOf(1), 10_000e6);
    }

    function _assertSolventWith(address who) internal view {
        int256 owned = attested.equityOf(1) + attested.equityOf(2);
        assertLe(owned, _assets(attested) - int256(attested.claimable(who)));
    }
}
// forge-lint: disable-end(unsafe-typecast)
