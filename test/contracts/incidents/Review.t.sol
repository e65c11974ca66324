// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {IMirrorEngine} from "../../../contracts/interfaces/IMirrorEngine.sol";
import {IVenue} from "../../../contracts/interfaces/IVenue.sol";
import {Proof, Signal} from "../../../contracts/interfaces/LockstepTypes.sol";
import {PerpV2Venue} from "../../../contracts/venues/PerpV2Venue.sol";
import {IPerpClearingHouse} from "../../../contracts/venues/perp-v2/interfaces/IPerpV2.sol";
import {IPerpAdmin} from "../../../script/deploy/PerpV2Deployer.sol";
import {TestUSDC} from "../../../script/deploy/local/TestUSDC.sol";
import {FoundFixture, IPerpLiquidate} from "./Found.t.sol";

interface ICollateralAdmin {
    struct Config {
        address priceFeed;
        uint24 collateralRatio;
        uint24 discountRatio;
        uint256 depositCap;
    }

    function addCollateral(address token, Config memory config) external;
    function setMaxCollateralTokensPerAccount(uint8 max) external;
}

/// @notice Funding while the vault's sides all but cancel out: the venue charges for its own size, which the ledger's may
/// differ from by a dust that is as large as the net itself.
contract FundingOfANetOfDustTest is FoundFixture {
    /// @dev A long by 200, B short by one wei more, C gone but for what is too small to trade: the ledger's net is one
    /// wei, the venue's 9e8.
    function _allButCancelled() private {
        _follow(1, 200_000e6);
        _trade(master, ethMarket, 1000e18);
        _mirror(ETH, _accounts(1, 1));
        _trade(master, ethMarket, -3000e18);
        _follow(2, 100_000e6);
        _follow(3, 100_000e6);
        _mirror(ETH, _accounts(2, 3));

        int256 c = vault.positionView(3, ETH).size;
        vm.startPrank(_follower(3));
        vault.closePosition(ETH, uint256(-c) - 9e8, 10_000);
        vault.closePosition(ETH, 9e8, 10_000);
        vm.stopPrank();
        assertEq(vault.positionView(3, ETH).size, 0);

        int256 a = vault.positionView(1, ETH).size;
        int256 b = vault.positionView(2, ETH).size;
        assertGt(-b, a + 1);
        vm.prank(_follower(2));
        vault.closePosition(ETH, uint256(-b - a - 1), 10_000);
        assertEq(vault.positionView(2, ETH).size, -a - 1);
        assertEq(_held(), -9e8 - 1);
    }

    function _held() private view returns (int256) {
        return lockstep.venue.holding(address(vault), vault.marketView(ETH).venueMarket).size;
    }

    /// @dev The index may move by what the venue asks for a unit, never by what it asks for all of it.
    function test_netOfOneWei_nobodyIsCreditedWhatTheVenueDoesNotPay() public {
        _allButCancelled();
        int256 before = vault.equityOf(2);
        int256 other = vault.equityOf(1);
        _setIndexPrice(ethMarket, 1999e8);
        _wait(1);
        vault.checkpoint();
        // 1 USDC up for the short, 1 down for the long, a unit of a few USDC's funding at the very most.
        assertApproxEqAbs(vault.equityOf(2), before, 1000e6, "short");
        assertApproxEqAbs(vault.equityOf(1), other, 1000e6, "long");

        vm.prank(_follower(2));
        assertLe(vault.exit(10_000), uint256(before) + 1000e6, "paid out of others' money");
        vm.prank(_follower(1));
        assertGt(vault.exit(10_000), uint256(other) - 2000e6, "paid for it");
    }

    /// @dev The same over hours: an index that no longer fits its field must not stop anyone either.
    function test_netOfOneWei_forADay_everyoneStillLeaves() public {
        _allButCancelled();
        int256 long = vault.equityOf(1);
        _setIndexPrice(ethMarket, 1980e8);
        _pass(1 days);
        vault.checkpoint();
        uint256 paid;
        for (uint256 i = 1; i <= 3; ++i) {
            vm.prank(_follower(i));
            paid += vault.exit(10_000);
            assertEq(vault.positionView(uint32(i), ETH).size, 0);
        }
        assertApproxEqRel(paid, 400_000e6, 0.02e18);
        assertGt(long, 0);
        _assertSolvent(vault);
    }
}

/// @notice Funding that has run up since the venue liquidated part of a position nobody has divided yet.
contract FundingSinceALiquidationTest is FoundFixture {
    function test_fundingSinceTheLiquidation_isPassedOnOnce() public {
        _follow(1, 10_000e6);
        _follow(2, 10_000e6);
        _trade(master, ethMarket, 2500e18); // 5x
        _mirror(ETH);
        _setPrice(ethMarket, 1850e8);
        _pass(60);
        _setPrice(ethMarket, 1700e8);
        _pass(60);
        _setPrice(ethMarket, 1620e8);
        _pass(31 minutes);
        _fundMaster(attacker, 1_000_000e6);
        vm.prank(attacker);
        IPerpLiquidate(address(perp.clearingHouse)).liquidate(address(vault), address(ethMarket.baseToken), 25e18);
        _setIndexPrice(ethMarket, 1630e8);
        _pass(6 hours);

        int256 asked = lockstep.venue.holding(address(vault), vault.marketView(ETH).venueMarket).pendingFunding / 1e12;
        assertGt(asked * asked, 100e12, "too little to tell");
        vault.reconcile(ETH);
        int256 owed = vault.positionView(1, ETH).pendingFunding + vault.positionView(2, ETH).pendingFunding;
        assertApproxEqAbs(owed, asked, 1000, "not what the venue asks");
        _assertSolvent(vault);
    }
}

/// @notice What a master has at the venue beside USDC and takers' positions.
contract MastersAccountTest is FoundFixture {
    address private other = makeAddr("other master");
    uint256 private otherId;
    StrategyVault private otherVault;

    function setUp() public override {
        super.setUp();
        (otherId, otherVault) = _register(other, other, _terms());
    }

    function _leverage() private view returns (int256 leverage) {
        (leverage,) = lockstep.venue.leverageOf(other, vault.marketView(ETH).venueMarket);
    }

    /// @dev Collateral that is not USDC is equity, at the venue's own valuation.
    function test_collateralOtherThanUsdc_isEquity() public {
        TestUSDC token = new TestUSDC();
        address feed = makeAddr("collateral feed");
        vm.etch(feed, hex"00");
        vm.mockCall(feed, abi.encodeWithSignature("decimals()"), abi.encode(uint8(8)));
        vm.mockCall(feed, abi.encodeWithSignature("getPrice(uint256)"), abi.encode(uint256(2000e8)));
        ICollateralAdmin admin = ICollateralAdmin(perp.collateralManager);
        admin.addCollateral(address(token), ICollateralAdmin.Config(feed, 700_000, 100_000, 1e30));
        admin.setMaxCollateralTokensPerAccount(3);
        token.mint(other, 500e6);
        vm.startPrank(other);
        token.approve(address(perp.vault), 500e6);
        perp.vault.deposit(address(token), 500e6); // 1,000,000, of which 70 % counts
        vm.stopPrank();
        _trade(other, ethMarket, 350e18);
        assertApproxEqRel(_leverage(), 1e18, 0.01e18, "700,000 long with 700,000");

        perp.usdc.mint(attacker, 2000e6);
        vm.startPrank(attacker);
        perp.usdc.approve(address(perp.vault), 2000e6);
        perp.vault.depositFor(other, address(perp.usdc), 2000e6);
        vm.stopPrank();
        assertApproxEqRel(_leverage(), 1e18, 0.01e18, "a gift of dust");
    }

    /// @dev A maker's position is wherever anyone pushes the pool: nothing is proved by it, and followers stay as they are.
    function test_ordersInThePool_proveNothing() public {
        _fundMaster(other, 1_000_000e6);
        _trade(other, ethMarket, 500e18);
        _follow(_key(1), _mandate(otherVault, 1, 10_000e6));
        lockstep.engine.mirrorVenue(address(otherVault), ETH, 0, _accounts(1, 1));
        int256 size = otherVault.positionView(1, ETH).size;
        assertGt(size, 0);

        IPerpClearingHouse.AddLiquidityParams memory p;
        p.baseToken = address(btcMarket.baseToken);
        p.quote = 100_000e18;
        (p.lowerTick, p.upperTick) = (60_000, 108_000); // 403 to 49,000: below the price, quote alone
        p.deadline = vm.getBlockTimestamp();
        vm.prank(other);
        perp.clearingHouse.addLiquidity(p);

        vm.expectRevert(abi.encodeWithSignature("LeverageNotProvable(address)", other));
        lockstep.engine.mirrorVenue(address(otherVault), ETH, 0, _accounts(1, 1));
        assertEq(otherVault.positionView(1, ETH).size, size);
        vm.prank(_follower(1));
        assertGt(otherVault.exit(10_000), 9900e6);
    }
}

/// @notice Keeper keys.
contract KeepersSequenceTest is FoundFixture {
    /// @dev A stolen key's last word must not be the strategy's.
    function test_sequence_doesNotJumpToItsEnd() public {
        (, StrategyVault v) = _register(makeAddr("exchange master"), address(0), _terms());
        _follow(_key(1), _mandate(v, 1, 10_000e6));
        _mirrorSigned(v, ETH, 2e18, 7, _accounts(1, 1));

        uint64[2] memory tooFar = [type(uint64).max, 7 + (1 << 20) + 1];
        for (uint256 i = 0; i < tooFar.length; ++i) {
            (Signal memory signal, bytes memory signature) = _signal(v.strategyId(), ETH, 0, tooFar[i]);
            vm.expectRevert(abi.encodeWithSignature("SequenceTooFar(uint64,uint64)", tooFar[i], uint64(7)));
            lockstep.engine.mirrorSigned(address(v), signal, Proof.Keeper, signature, _accounts(1, 1));
        }
        _mirrorSigned(v, ETH, 0, 7 + (1 << 20), _accounts(1, 1));
        assertEq(v.positionView(1, ETH).size, 0);
    }

    /// @dev A removed key's last signal counts until it is too old, or until a keeper says otherwise.
    function test_removedKeysSignal_isReplacedByTheNext() public {
        (, StrategyVault v) = _register(makeAddr("exchange master"), address(0), _terms());
        _follow(_key(1), _mandate(v, 1, 10_000e6));
        _mirrorSigned(v, ETH, 2e18, 1, _accounts(1, 1));
        vm.prank(governance);
        lockstep.registry.setKeeper(keeper, false);
        _follow(_key(2), _mandate(v, 2, 10_000e6));
        _pass(15 minutes);
        lockstep.engine.mirrorStored(address(v), ETH, _accounts(2, 2));
        _pass(1);
        vm.expectPartialRevert(IMirrorEngine.SignalTooOld.selector);
        lockstep.engine.mirrorStored(address(v), ETH, _accounts(2, 2));
    }
}

/// @notice A market its venue has paused.
contract PausedMarketTest is FoundFixture {
    /// @dev The price of before the pause is nobody's promise: the market may be closed at any other.
    function test_pausedMarket_hasNoPrice_closedHasTheLast() public {
        bytes32 id = vault.marketView(ETH).venueMarket;
        IPerpAdmin(address(ethMarket.baseToken)).pause();
        vm.expectRevert(
            abi.encodeWithSelector(
                IVenue.StalePrice.selector,
                id,
                vm.getBlockTimestamp(),
                PerpV2Venue(address(lockstep.venue)).maxPriceAge()
            )
        );
        lockstep.venue.indexPrice(id);
        IPerpAdmin(address(ethMarket.baseToken)).close(1500e18);
        (uint256 price,) = lockstep.venue.indexPrice(id);
        assertEq(price, 1500e18);
    }

    /// @dev Margin that the closing price may need is not paid out before it is known; whoever holds nothing there leaves
    /// at once.
    function test_pausedMarket_marginWaitsForTheClosingPrice() public {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 1000e18); // 2x
        _mirror(ETH);
        _follow(2, 10_000e6);
        int256 others = vault.equityOf(2);
        IPerpAdmin(address(ethMarket.baseToken)).pause();

        vm.prank(_follower(1));
        uint256 paid = vault.exit(10_000);
        // Twice the margin is at stake: nothing of it leaves.
        assertEq(paid, 0, "paid at a price nobody confirms");
        vm.prank(_follower(2));
        vault.withdraw(5000e6);

        IPerpAdmin(address(ethMarket.baseToken)).close(1500e18);
        vm.prank(_follower(1));
        paid = vault.exit(10_000);
        assertApproxEqRel(paid, 5000e6, 0.02e18);
        assertEq(vault.positionView(1, ETH).size, 0);
        vm.prank(_follower(2));
        assertApproxEqAbs(int256(vault.exit(10_000)), others - 5000e6, 10, "others paid for it");
        _assertSolvent(vault);
    }
}
