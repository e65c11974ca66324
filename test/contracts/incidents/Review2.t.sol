// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// forge-lint: disable-start(unsafe-typecast)

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {IMasterRegistry} from "../../../contracts/interfaces/IMasterRegistry.sol";
import {Mandate, Outcome, Terms} from "../../../contracts/interfaces/LockstepTypes.sol";
import {FoundFixture} from "./Found.t.sol";

/// @notice A price somebody made in a thin market is paid by whoever trades at it: in a batch, and when leaving in parts.
contract Review2InThinMarketTest is FoundFixture {
    StrategyVault private own;

    function setUp() public override {
        _deployVenue(160e6 * 1e18, 80e6 * 1e6);
        _deployAll();
        _fundMaster(attacker, 20_000_000e6);
        Terms memory terms = _terms();
        (terms.maxLeverageBps, terms.maxSlippageBps) = (70_000, 500);
        // No source: whoever attests decides the leverage, as a master does with their own source.
        (, own) = _register(attacker, address(0), terms);
        vault = own;
        Mandate memory m = _mandate(own, 1, 100_000e6);
        (m.maxLeverageBps, m.maxSlippageBps) = (70_000, 10_000);
        _follow(_key(1), m);
        m = _mandate(own, 2, 100_000e6);
        (m.ratioBps, m.maxSlippageBps) = (500, 500);
        _follow(_key(2), m);
        _mirrorSigned(own, ETH, 7e18, 1, _accounts(1, 1));
        assertGt(own.positionView(1, ETH).size, 300e18);
        // As far down as it goes before the account may be liquidated.
        _setPrice(ethMarket, 1868e8);
        _pass(60);
        assertGt(own.equityOf(1), int256(own.maintenanceOf(1)));
    }

    function _poolPrice() private view returns (uint256) {
        (uint160 sqrtPrice,,,,,,) = ethMarket.pool.slot0();
        return uint256(sqrtPrice) * sqrtPrice / (1 << 96) * 1e18 >> 96;
    }

    /// @dev In steps that the venue allows, to `bps` of the index.
    function _push(uint256 bps) private {
        uint256 target = 1868e18 * bps / 10_000;
        while (_poolPrice() > target) {
            _trade(attacker, ethMarket, -100e18);
            _pass(20);
        }
        while (_poolPrice() < target) {
            _trade(attacker, ethMarket, 100e18);
            _pass(20);
        }
    }

    /// @dev A flip at the worst price that terms allow must leave what the account needs.
    function test_selfMadePrice_aBatchCostsNobodyElse() public {
        _push(9570);
        int256 honest = own.equityOf(2);
        try this.flip(_accounts(1, 1)) {} catch {}
        assertGe(own.equityOf(1), int256(own.maintenanceOf(1)), "what is open is not covered");
        _push(10_450);
        try lockstep.liquidator.liquidate(address(own), 1) {} catch {}
        assertApproxEqAbs(own.equityOf(2), honest, 1e6, "a loss was pushed onto others");
    }

    function flip(bytes calldata accounts) external returns (Fill[] memory) {
        return _mirrorSigned(own, ETH, -7e18, 2, accounts);
    }

    /// @dev Who cannot pay for the price is left out; the others of the batch move.
    function test_selfMadePrice_theOthersOfTheBatchMove() public {
        _push(9650);
        Fill[] memory fills = _mirrorSigned(own, ETH, -7e18, 2, _accounts(1, 2));
        assertEq(uint8(fills[0].outcome), uint8(Outcome.SlippageBound));
        assertEq(fills[0].size, 0);
        assertEq(uint8(fills[1].outcome), uint8(Outcome.Moved));
        assertLt(fills[1].size, 0);
        assertGt(own.equityOf(1), int256(own.maintenanceOf(1)), "untouched");
    }

    /// @dev The bound of one batch is not the account's: at an honest price the same account moves, with the slippage it
    /// has signed still in its slot.
    function test_honestPrice_theAccountMoves() public {
        _push(9650);
        _mirrorSigned(own, ETH, -7e18, 2, _accounts(1, 2));
        _push(10_000);
        Fill[] memory fills = _mirrorSigned(own, ETH, 0, 3, _accounts(1, 1));
        assertEq(uint8(fills[0].outcome), uint8(Outcome.Moved));
        assertEq(own.positionView(1, ETH).size, 0);
        assertEq(own.accountView(1).maxSlippageBps, 10_000);
    }

    /// @dev With so much margin asked for that no slippage is safe for everybody, each account is looked at before the first
    /// attempt: who keeps enough moves, who does not is left out.
    function test_noSlippageIsSafe_everyAccountIsLookedAt() public {
        vm.mockCall(address(lockstep.venue), abi.encodeWithSignature("marginRequirementsBps()"), abi.encode(2000, 1250));
        _push(10_000);
        Fill[] memory fills = _mirrorSigned(own, ETH, -7e18, 2, _accounts(1, 2));
        assertEq(uint8(fills[0].outcome), uint8(Outcome.SlippageBound));
        assertEq(uint8(fills[1].outcome), uint8(Outcome.Moved));
        assertGe(own.equityOf(2), int256(own.maintenanceOf(2)));
    }

    /// @dev What a batch leaves open is always covered by the maintenance margin at the index price.
    function test_selfMadePrice_aReductionLeavesWhatItNeeds() public {
        _push(9570);
        try this.halve() {} catch {}
        assertGe(own.equityOf(1), int256(own.maintenanceOf(1)));
        assertLt(own.positionView(1, ETH).size, 300e18, "it could pay for this one");
    }

    function halve() external {
        _mirrorSigned(own, ETH, 3e18, 2, _accounts(1, 1));
    }

    /// @dev Leaving again and again at -9 % must not eat the margin of what stays open.
    function test_selfMadePrice_leavingInPartsCostsNobodyElse() public {
        _push(9110);
        int256 honest = own.equityOf(2);
        for (uint256 i = 0; i < 6; ++i) {
            vm.prank(_follower(1));
            try own.exit(10_000) {} catch {}
            assertGe(own.equityOf(1), int256(own.maintenanceOf(1)), "what stays open is not covered");
        }
        _push(9600);
        try lockstep.liquidator.liquidate(address(own), 1) {} catch {}
        assertApproxEqAbs(own.equityOf(2), honest, 1e6, "a loss was pushed onto others");
    }

    /// @dev The same by closing a chosen part.
    function test_selfMadePrice_closingAPartLeavesWhatItNeeds() public {
        _push(9110);
        uint256 size = uint256(own.positionView(1, ETH).size);
        for (uint256 i = 2; i < 20; ++i) {
            vm.prank(_follower(1));
            try own.closePosition(ETH, size / i, 10_000) {} catch {}
            assertGe(own.equityOf(1), int256(own.maintenanceOf(1)), "what stays open is not covered");
        }
    }
}

/// @notice Fees, terms and the index.
contract Review2Test is FoundFixture {
    /// @dev A fee that the margin cannot pay is still due: the mark rises only by the profit that was paid for.
    function test_performanceFee_aThinMarginPaysLater() public {
        _follow(1, 10_000e6);
        _follow(2, 50_000e6); // flat: what the venue lets go of is not the matter here
        _trade(master, ethMarket, 500e18); // 1x
        _mirror(ETH, _accounts(1, 1));
        _rise(2000, 3000);
        vm.startPrank(_follower(1));
        vault.withdraw(1); // the fee on the first profit
        vault.withdraw(vault.accountView(1).margin - 2);
        assertLe(vault.accountView(1).margin, 2);
        vm.stopPrank();
        _rise(3000, 4000);
        vm.startPrank(_follower(1));
        uint256 before = vault.claimable(master);
        uint256 mark = vault.accountView(1).highWaterMark;
        int256 profit = vault.equityOf(1) - int256(mark);
        assertGt(profit, 4000e6);
        try vault.withdraw(type(uint256).max) {} catch {}
        assertLe(vault.accountView(1).highWaterMark, mark + 100, "the mark rose by what nobody paid for");
        vault.exit(10_000);
        vm.stopPrank();
        assertApproxEqRel(vault.claimable(master) - before, uint256(profit) / 10, 0.02e18);
    }

    /// @dev In steps that the venue follows.
    function _rise(uint256 price, uint256 target) private {
        while (price < target) {
            price = price * 109 / 100;
            if (price > target) price = target;
            _setPrice(ethMarket, int256(price * 1e8));
            _pass(20 minutes);
            _setPrice(ethMarket, int256(price * 1e8));
        }
    }

    /// @dev Terms kept ready for months are news to whoever came since.
    function test_terms_expireADayAfterTheirNotice() public {
        Terms memory terms = _terms();
        terms.copyFeeBps = 100;
        vm.prank(master);
        lockstep.registry.scheduleTerms(strategyId, terms);
        uint64 effectiveAt = uint64(vm.getBlockTimestamp()) + 3 days;
        vm.warp(effectiveAt + 1 days + 1);
        vm.expectRevert(abi.encodeWithSignature("TermsExpired(uint256,uint64)", strategyId, effectiveAt + 1 days));
        lockstep.registry.applyTerms(strategyId);
        assertEq(lockstep.registry.termsOf(strategyId).copyFeeBps, 5);

        // Announced again they take their notice again; the whole day counts.
        vm.prank(master);
        lockstep.registry.scheduleTerms(strategyId, terms);
        vm.warp(vm.getBlockTimestamp() + 4 days);
        lockstep.registry.applyTerms(strategyId);
        assertEq(lockstep.registry.termsOf(strategyId).copyFeeBps, 100);
    }

    /// @dev The venue may ask for more margin than when the terms were announced.
    function test_terms_areCheckedAgainWhenTheyApply() public {
        Terms memory terms = _terms();
        terms.maxLeverageBps = 70_000;
        vm.prank(master);
        lockstep.registry.scheduleTerms(strategyId, terms);
        vm.warp(vm.getBlockTimestamp() + 3 days);
        vm.mockCall(address(lockstep.venue), abi.encodeWithSignature("marginRequirementsBps()"), abi.encode(2000, 1250));
        vm.expectRevert(abi.encodeWithSelector(IMasterRegistry.TermsOutOfRange.selector, "maxLeverageBps"));
        lockstep.registry.applyTerms(strategyId);
    }

    function test_terms_slippageIsAtMostFivePercent() public {
        Terms memory terms = _terms();
        terms.maxSlippageBps = 501;
        vm.prank(master);
        vm.expectRevert(abi.encodeWithSelector(IMasterRegistry.TermsOutOfRange.selector, "maxSlippageBps"));
        lockstep.registry.scheduleTerms(strategyId, terms);
    }

    /// @dev One follower whose account is worth 0.0025 USDC at an index of about 1.9.
    function _tiny(uint256 left) private returns (uint256 index) {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 500e18); // 1x
        _mirror(ETH);
        _rise(2000, 3900);
        _trade(master, ethMarket, -500e18);
        _mirror(ETH);
        assertEq(vault.positionView(1, ETH).size, 0);
        vm.startPrank(_follower(1));
        vault.withdraw(1); // sweeps and charges
        vault.withdraw(vault.accountView(1).margin - left);
        vm.stopPrank();
        uint256 equity;
        (index, equity) = vault.nav();
        assertLe(equity, left);
        assertGt(index, 1.5e18);
    }

    /// @dev Deposits of less than one unit of the index minted nothing and raised it.
    function test_index_aHundredTinyDepositsLeaveItWhereItWas() public {
        uint256 before = _tiny(2500);
        for (uint256 i = 0; i < 100; ++i) {
            _follow(1, 1);
        }
        (uint256 index, uint256 equity) = vault.nav();
        assertGe(equity, 2500);
        assertApproxEqRel(index, before, 1e12, "the index was forged");
    }

    /// @dev What is left when the units are void is no gain of the next deposit.
    function test_index_dustLeftBehindIsNoGain() public {
        uint256 before = _tiny(900);
        _follow(1, 10);
        (uint256 index,) = vault.nav();
        assertApproxEqRel(index, before, 1e12, "the index was forged");
    }
}
// forge-lint: disable-end(unsafe-typecast)
