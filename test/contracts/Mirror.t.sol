// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// forge-lint: disable-start(unsafe-typecast)

import {StrategyVault} from "../../contracts/StrategyVault.sol";
import {IMirrorEngine} from "../../contracts/interfaces/IMirrorEngine.sol";
import {IStrategyVault} from "../../contracts/interfaces/IStrategyVault.sol";
import {Mandate, Mode, Outcome, Proof, Signal, Terms} from "../../contracts/interfaces/LockstepTypes.sol";
import {LockstepFixture} from "./LockstepFixture.sol";

/// @notice The batch: who is moved, who is not and why, at what price.
contract MirrorTest is LockstepFixture {
    /// @dev A vault without a source: tests choose the leverage.
    StrategyVault internal attested;
    uint64 internal sequence;

    function setUp() public override {
        super.setUp();
        (, attested) = _register(makeAddr("exchange master"), address(0), _terms());
    }

    function _signalAll(uint8 market, int256 leverage) internal returns (Fill[] memory) {
        return _mirrorSigned(attested, market, leverage, ++sequence, _accounts(1, attested.accountCount()));
    }

    function _open(uint256 i, Mandate memory m) internal returns (uint32) {
        return _follow(_key(i), m);
    }

    function _expect(Fill memory fill, Outcome outcome) internal pure {
        assertEq(uint8(fill.outcome), uint8(outcome));
        if (outcome != Outcome.Moved && outcome != Outcome.Capped) {
            assertEq(fill.size, 0);
            assertEq(fill.quote, 0);
            assertEq(fill.fees, 0);
        }
    }

    // ---------------------------------------------------------------- outcomes

    function test_outcomes() public {
        _open(1, _mandate(attested, 1, 1000e6)); // Moved

        Mandate memory m = _mandate(attested, 2, 1000e6); // Capped
        m.maxLeverageBps = 10_000;
        _open(2, m);

        m = _mandate(attested, 3, 1000e6); // Dust
        (m.mode, m.fixedNotional) = (uint8(Mode.Fixed), 2e6);
        _open(3, m);

        m = _mandate(attested, 4, 1000e6); // Expired
        m.expiry = uint64(vm.getBlockTimestamp() + 10);
        _open(4, m);

        m = _mandate(attested, 5, 1000e6); // MarketNotAllowed
        m.allowedMarkets = new string[](1);
        m.allowedMarkets[0] = "BTC-USD";
        _open(5, m);

        _open(6, _mandate(attested, 6, 1000e6)); // UnderMargined
        vm.prank(_follower(6));
        attested.withdraw(type(uint256).max);

        m = _mandate(attested, 7, 1000e6); // SlippageBound
        m.maxSlippageBps = 0;
        _open(7, m);

        m = _mandate(attested, 8, 1000e6); // TurnoverBound
        m.maxDailyTurnover = 1e6;
        _open(8, m);

        _open(9, _mandate(attested, 9, 1000e6)); // Inactive
        vm.prank(_follower(9));
        attested.stop();

        m = _mandate(attested, 10, 1000e6); // NotionalBound, the second time
        m.maxPositionNotional = 500e6;
        _open(10, m);

        _skip(20);
        Fill[] memory fills = _signalAll(ETH, 2e18);
        _expect(fills[0], Outcome.Moved);
        assertApproxEqRel(fills[0].size, 1e18, 1e12);
        _expect(fills[1], Outcome.Capped);
        assertApproxEqRel(fills[1].size, 0.5e18, 1e12);
        _expect(fills[2], Outcome.Dust);
        _expect(fills[3], Outcome.Expired);
        _expect(fills[4], Outcome.MarketNotAllowed);
        _expect(fills[5], Outcome.UnderMargined);
        _expect(fills[6], Outcome.SlippageBound);
        _expect(fills[7], Outcome.TurnoverBound);
        _expect(fills[8], Outcome.Inactive);
        _expect(fills[9], Outcome.Capped);
        assertApproxEqRel(fills[9].size, 0.25e18, 1e12);
        _assertSolvent(attested);

        // The same signal once more.
        vm.recordLogs();
        lockstep.engine.mirrorStored(address(attested), ETH, _accounts(1, 11));
        fills = _fills();
        _expect(fills[0], Outcome.AlreadyApplied);
        _expect(fills[9], Outcome.AlreadyApplied);
        _expect(fills[10], Outcome.Inactive); // no such account

        // A new signal that changes nothing.
        fills = _signalAll(ETH, 2e18);
        _expect(fills[0], Outcome.AtTarget);
        _expect(fills[9], Outcome.NotionalBound);

        // No leverage left for another market.
        m = _mandate(attested, 11, 1000e6);
        m.maxLeverageBps = 20_000;
        _open(11, m);
        _signalAll(ETH, 5e18);
        fills = _signalAll(BTC, 1e18);
        _expect(fills[10], Outcome.LeverageBound);
        _assertSolvent(attested);
    }

    function test_outcome_reduceOnly_openNotional() public {
        Terms memory terms = _terms();
        terms.maxOpenNotional = 3000e6;
        (, attested) = _register(makeAddr("small master"), address(0), terms);
        _open(1, _mandate(attested, 1, 1000e6));
        _open(2, _mandate(attested, 2, 1000e6));
        Fill[] memory fills = _signalAll(ETH, 2e18);
        _expect(fills[0], Outcome.Moved);
        _expect(fills[1], Outcome.ReduceOnly);
        // Reducing goes on, and makes room.
        _expect(_signalAll(ETH, 0.5e18)[0], Outcome.Moved);
        _expect(_signalAll(ETH, 1e18)[1], Outcome.Moved);
    }

    /// @dev Expired and stopped accounts are closed by the next batches, whatever the signal.
    function test_expiredAndStopped_areOnlyReduced() public {
        Mandate memory m = _mandate(attested, 1, 1000e6);
        m.expiry = uint64(vm.getBlockTimestamp() + 100);
        _open(1, m);
        _open(2, _mandate(attested, 2, 1000e6));
        _signalAll(ETH, 2e18);
        _skip(200);
        vm.prank(_follower(2));
        attested.stop();

        Fill[] memory fills = _signalAll(ETH, 3e18);
        _expect(fills[0], Outcome.Expired);
        assertEq(attested.positionView(2, ETH).size, 0);
        // A flip is cut at zero.
        fills = _signalAll(ETH, -3e18);
        _expect(fills[0], Outcome.Capped);
        assertEq(attested.positionView(1, ETH).size, 0);
    }

    // ---------------------------------------------------------------- one trade, one price

    function test_onePrice_crossingPaysNoVenueFee() public {
        _open(1, _mandate(attested, 1, 10_000e6));
        _open(2, _mandate(attested, 2, 10_000e6));
        _signalAll(ETH, 2e18);

        Mandate memory m = _mandate(attested, 1, 0);
        m.ratioBps = 5000;
        _open(1, m);
        m = _mandate(attested, 2, 0);
        m.ratioBps = 15_100;
        _open(2, m);

        Fill[] memory fills = _signalAll(ETH, 2e18);
        assertLt(fills[0].size, 0);
        assertGt(fills[1].size, 0);
        assertGt(fills[1].size, -fills[0].size);
        // Price from the quote change, fees taken out: the same for both.
        int256 sold = (fills[0].quote + int256(fills[0].fees)) * 1e18 / -fills[0].size;
        int256 bought = -(fills[1].quote + int256(fills[1].fees)) * 1e18 / fills[1].size;
        assertApproxEqAbs(sold, bought, 2);
        // Copy fee 5 bps; only the net's side pays the venue, and only for what crossed not.
        assertApproxEqAbs(fills[0].fees, uint256(sold * -fills[0].size / 1e18) * 5 / 10_000, 1);
        uint256 venueFee = fills[1].fees - uint256(bought * fills[1].size / 1e18) * 5 / 10_000;
        assertApproxEqRel(venueFee, uint256(bought * (fills[1].size + fills[0].size) / 1e18) / 1000, 0.01e18);
        _assertSolvent(attested);
    }

    function test_wholeBatchCrosses_withoutTheVenue() public {
        _open(1, _mandate(attested, 1, 10_000e6));
        _open(2, _mandate(attested, 2, 10_000e6));
        _signalAll(ETH, 2e18);
        bytes32 id = attested.marketView(ETH).venueMarket;
        int256 before = lockstep.venue.holding(address(attested), id).size;

        Mandate memory m = _mandate(attested, 1, 0);
        (m.mode, m.fixedNotional) = (uint8(Mode.Fixed), 10_000e6);
        _open(1, m);
        m = _mandate(attested, 2, 0);
        (m.mode, m.fixedNotional) = (uint8(Mode.Fixed), 10_000e6);
        _open(2, m);
        _signalAll(ETH, 1e18);
        m.fixedNotional = 12_000e6;
        m.nonce = 1e9;
        _open(2, m);
        m = _mandate(attested, 1, 0);
        (m.mode, m.fixedNotional) = (uint8(Mode.Fixed), 8000e6);
        _open(1, m);
        before = lockstep.venue.holding(address(attested), id).size;
        Fill[] memory fills = _signalAll(ETH, 1e18);
        assertEq(fills[0].size, -fills[1].size);
        assertEq(lockstep.venue.holding(address(attested), id).size, before);
        _assertSolvent(attested);
    }

    function test_slippage_tighterFollowersAreLeftOut() public {
        _open(1, _mandate(attested, 1, 10_000e6));
        Mandate memory m = _mandate(attested, 2, 10_000e6);
        m.maxSlippageBps = 90;
        _open(2, m);
        m = _mandate(attested, 3, 10_000e6);
        m.maxSlippageBps = 110;
        _open(3, m);
        // The market is 1 % above the index.
        _setIndexPrice(ethMarket, 1980e8);
        Fill[] memory fills = _signalAll(ETH, 1e18);
        _expect(fills[0], Outcome.Moved);
        _expect(fills[1], Outcome.SlippageBound);
        _expect(fills[2], Outcome.Moved);
        _assertSolvent(attested);
    }

    function test_slippage_beyondTheStrategysLimit_reverts() public {
        _open(1, _mandate(attested, 1, 10_000e6));
        _setIndexPrice(ethMarket, 1940e8);
        (Signal memory signal, bytes memory signature) = _signal(attested.strategyId(), ETH, 1e18, ++sequence);
        vm.expectPartialRevert(IStrategyVault.SlippageBeyondLimit.selector);
        lockstep.engine.mirrorSigned(address(attested), signal, Proof.Keeper, signature, _accounts(1, 1));
    }

    // ---------------------------------------------------------------- signals

    function test_signals_orderAgeAndProof() public {
        _open(1, _mandate(attested, 1, 1000e6));
        uint256 id = attested.strategyId();
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.NoSignal.selector, id, ETH));
        lockstep.engine.mirrorStored(address(attested), ETH, _accounts(1, 1));

        _mirrorSigned(attested, ETH, 1e18, 7, _accounts(1, 1));
        (Signal memory signal, bytes memory signature) = _signal(id, ETH, 2e18, 7);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.SignalNotNewer.selector, 7, 7));
        lockstep.engine.mirrorSigned(address(attested), signal, Proof.Keeper, signature, _accounts(1, 1));

        (signal, signature) = _signal(id, ETH, 2e18, 8);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.UnsupportedProof.selector, Proof.Master));
        lockstep.engine.mirrorSigned(address(attested), signal, Proof.Master, signature, _accounts(1, 1));
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.NoSource.selector, id));
        lockstep.engine.mirrorVenue(address(attested), ETH, 0, _accounts(1, 1));

        _skip(15 minutes + 1);
        vm.expectPartialRevert(IMirrorEngine.SignalTooOld.selector);
        lockstep.engine.mirrorSigned(address(attested), signal, Proof.Keeper, signature, _accounts(1, 1));
        vm.expectPartialRevert(IMirrorEngine.SignalTooOld.selector);
        lockstep.engine.mirrorStored(address(attested), ETH, _accounts(1, 1));

        signal.observedAt = uint64(vm.getBlockTimestamp() + 6) * 1000;
        vm.expectPartialRevert(IMirrorEngine.SignalFromFuture.selector);
        lockstep.engine.mirrorSigned(address(attested), signal, Proof.Keeper, signature, _accounts(1, 1));
    }

    function test_venueProof_followsTheMaster() public {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 500e18);
        Fill[] memory fills = _mirror(ETH);
        (int256 leverage,) = lockstep.venue.leverageOf(master, vault.marketView(ETH).venueMarket);
        assertApproxEqRel(fills[0].size, leverage * 10_000 / 2000, 1e12);
        IMirrorEngine.StoredSignal memory stored = lockstep.engine.signalOf(strategyId, ETH);
        assertEq(stored.leverage, leverage);
        assertEq(stored.sequence, 1);
        assertEq(uint8(stored.proof), uint8(Proof.Venue));
        // Flat again.
        _trade(master, ethMarket, -500e18);
        _mirror(ETH);
        assertEq(vault.positionView(1, ETH).size, 0);
        _assertSolvent(vault);
    }

    function test_previewIsWhatHappens() public {
        _open(1, _mandate(attested, 1, 10_000e6));
        (int256 target, int256 delta, Outcome outcome) = attested.previewTarget(1, ETH, 2e18);
        assertEq(target, delta);
        assertEq(uint8(outcome), uint8(Outcome.Moved));
        assertEq(_signalAll(ETH, 2e18)[0].size, delta);
    }

    function test_staleOracle_stopsBatches() public {
        _open(1, _mandate(attested, 1, 10_000e6));
        _wait(1 hours + 1);
        (Signal memory signal, bytes memory signature) = _signal(attested.strategyId(), ETH, 1e18, ++sequence);
        vm.expectRevert();
        lockstep.engine.mirrorSigned(address(attested), signal, Proof.Keeper, signature, _accounts(1, 1));
    }
}
// forge-lint: disable-end(unsafe-typecast)
