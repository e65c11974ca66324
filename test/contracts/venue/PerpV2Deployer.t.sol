// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {IPerpClearingHouse} from "../../../contracts/venues/perp-v2/interfaces/IPerpV2.sol";
import {IPerpAdmin, PerpMarket, PerpV2} from "../../../script/deploy/PerpV2Deployer.sol";
import {SettableAggregator} from "../../../script/deploy/local/SettableAggregator.sol";
import {PerpV2Fixture} from "./PerpV2Fixture.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {SignedMath} from "@openzeppelin/contracts/utils/math/SignedMath.sol";
import {Test} from "forge-std/Test.sol";

/// @dev A contract that trades for itself, as a strategy vault will.
contract Trader {
    PerpV2 private _perp;

    constructor(PerpV2 memory perp) {
        _perp = perp;
        perp.usdc.approve(address(perp.vault), type(uint256).max);
    }

    function deposit(uint256 amount) external {
        _perp.usdc.mint(address(this), amount);
        _perp.vault.deposit(address(_perp.usdc), amount);
    }

    function withdraw(uint256 amount) external {
        _perp.vault.withdraw(address(_perp.usdc), amount);
    }

    /// @dev Buys (> 0) or sells (< 0) exactly `base`.
    function trade(address market, int256 base) external returns (uint256, uint256) {
        return _perp.clearingHouse
            .openPosition(
                IPerpClearingHouse.OpenPositionParams({
                    baseToken: market,
                    isBaseToQuote: base < 0,
                    isExactInput: base < 0,
                    amount: SignedMath.abs(base),
                    oppositeAmountBound: 0,
                    deadline: block.timestamp,
                    sqrtPriceLimitX96: 0,
                    referralCode: 0
                })
            );
    }

    function close(address market) external returns (uint256, uint256) {
        return _perp.clearingHouse
            .closePosition(
                IPerpClearingHouse.ClosePositionParams({
                    baseToken: market,
                    sqrtPriceLimitX96: 0,
                    oppositeAmountBound: 0,
                    deadline: block.timestamp,
                    referralCode: 0
                })
            );
    }

    function settleFunding() external {
        _perp.clearingHouse.settleAllFunding(address(this));
    }

    function liquidate(address trader, address market) external {
        _perp.clearingHouse.liquidate(trader, market);
    }
}

contract PerpV2DeployerTest is PerpV2Fixture, Test {
    using SafeCast for int256;
    using SafeCast for uint256;

    Trader internal trader;
    address internal eth;
    address internal btc;

    function setUp() public {
        _deployVenue();
        eth = address(ethMarket.baseToken);
        btc = address(btcMarket.baseToken);
        trader = new Trader(perp);
        trader.deposit(10_000e6);
    }

    // --- Deployment ---------------------------------------------------------------------------------------------

    function test_permit2_separatesDomainsByChain() public {
        assertEq(PERMIT2.code.length, 9152);
        _assertPermit2Domain(1);
        _assertPermit2Domain(31_337);
        _assertPermit2Domain(10);
    }

    function test_markets_openAtTheIndexPrice() public view {
        assertEq(ethMarket.baseToken.getIndexPrice(0), 2000e18);
        assertEq(btcMarket.baseToken.getIndexPrice(0), 60_000e18);
        // The mark price comes from whole ticks, 0.01 % apart.
        assertApproxEqRel(perp.accountBalance.getMarkPrice(eth), 2000e18, 1e14);
        assertApproxEqRel(perp.accountBalance.getMarkPrice(btc), 60_000e18, 1e14);
        assertEq(perp.marketRegistry.getFeeRatio(eth), 1000);
    }

    function test_secondVenueFitsOnTheChain() public {
        address quoteToken = perp.quoteToken;
        _deployVenue();
        assertTrue(perp.quoteToken != quoteToken);
        assertLt(uint160(address(ethMarket.baseToken)), uint160(perp.quoteToken));
    }

    /// @dev 200 followers of 10,000 USDC at 5x.
    function test_depth_tenMillionMovesThePriceUnderHalfAPercent() public {
        trader.deposit(5_000_000e6);
        trader.trade(eth, 5000e18);
        assertApproxEqRel(_poolPrice(ethMarket), 2000e18, 0.003e18);
        assertGt(_poolPrice(ethMarket), 2000e18);
        trader.close(eth);
        trader.trade(btc, -166.6e18);
        assertApproxEqRel(_poolPrice(btcMarket), 60_000e18, 0.003e18);
    }

    /// @dev The pool's price history is a ring: too short a one leaves a busy market stuck, reverting OLD.
    function test_history_outlastsATradeEverySecond() public {
        vm.pauseGasMetering();
        for (uint256 i = 0; i < 1860; ++i) {
            _setPrice(ethMarket, (2000e8 + (i % 7) * 1e8).toInt256());
        }
        trader.trade(eth, 1e18);
    }

    // --- Trading ------------------------------------------------------------------------------------------------

    function test_longAndClose() public {
        (uint256 base, uint256 quote) = trader.trade(eth, 10e18);
        assertEq(base, 10e18);
        // 20,000 and the fee of 0.1 %, the impact being in the eighth digit.
        assertApproxEqRel(quote, 20_020e18, 1e13);
        assertEq(_size(), 10e18);
        assertEq(_openNotional(), -quote.toInt256());
        assertEq(_owed(), 0);

        (base, quote) = trader.close(eth);
        assertEq(base, 10e18);
        assertApproxEqRel(quote, 19_980e18, 1e13);
        assertEq(_size(), 0);
        assertEq(_openNotional(), 0);
        assertApproxEqAbs(_owed(), -40e18, 0.2e18);
        assertEq(perp.accountBalance.getBaseTokens(address(trader)).length, 0);
    }

    function test_shortAndClose() public {
        (uint256 base, uint256 quote) = trader.trade(eth, -10e18);
        assertEq(base, 10e18);
        assertApproxEqRel(quote, 19_980e18, 1e13);
        assertEq(_size(), -10e18);
        assertEq(_openNotional(), quote.toInt256());

        trader.trade(eth, 10e18);
        assertEq(_size(), 0);
        assertEq(perp.accountBalance.getBaseTokens(address(trader)).length, 0);
    }

    /// @dev What the ledger relies on: an exact base amount is exact to 1 wei, and cash moves by what is returned.
    function testFuzz_cashMovesByTheReturnedQuote(int256[6] memory amounts, uint8[6] memory waits) public {
        trader.deposit(100_000_000e6);
        for (uint256 i = 0; i < amounts.length; ++i) {
            int256 amount = bound(amounts[i], -20_000e18, 20_000e18);
            if (SignedMath.abs(amount) < 1e6) continue;
            _wait(waits[i]);
            // The 10 % a position may move the market in 15 s.
            if (SignedMath.abs(_size() + amount) > 50_000e18) continue;
            trader.settleFunding();
            (int256 cash, int256 size) = (_cash(), _size());
            (uint256 base, uint256 quote) = trader.trade(eth, amount);
            assertApproxEqAbs(base, SignedMath.abs(amount), 1);
            if (_size() != 0) assertEq(_size(), size + (amount > 0 ? base.toInt256() : -base.toInt256()));
            // Closing leaves less than 10 wei behind, which the venue forgets.
            assertApproxEqAbs(
                _cash(), cash + (amount > 0 ? -quote.toInt256() : quote.toInt256()), _size() == 0 ? 10 : 0
            );
        }
    }

    /// @dev Realised profit moves from open notional to what is owed; the sum stands still.
    function test_partialClose_realisesInProportion() public {
        trader.trade(eth, 10e18);
        int256 openNotional = _openNotional();
        _setPrice(ethMarket, 2100e8);

        trader.settleFunding();
        (int256 cash, int256 owed) = (_cash(), _owed());
        (, uint256 quote) = trader.trade(eth, -4e18);
        assertEq(_owed(), owed + quote.toInt256() + openNotional * 4 / 10);
        assertEq(_openNotional(), openNotional - openNotional * 4 / 10);
        assertEq(_cash(), cash + quote.toInt256());
    }

    function test_flip_realisesTheOldPosition() public {
        trader.trade(eth, 10e18);
        int256 openNotional = _openNotional();
        _setPrice(ethMarket, 2100e8);

        trader.settleFunding();
        int256 owed = _owed();
        (, uint256 quote) = trader.trade(eth, -30e18);
        assertEq(_size(), -20e18);
        assertEq(_owed(), owed + quote.toInt256() / 3 + openNotional);
        assertEq(_openNotional(), quote.toInt256() - quote.toInt256() / 3);
    }

    function test_withdraw_settlesRealisedProfitRoundedDown() public {
        trader.trade(eth, 1e18 + 1);
        trader.close(eth);
        int256 owed = _owed();
        assertLt(owed, 0);
        assertEq(perp.vault.getBalance(address(trader)), 10_000e6);

        trader.withdraw(0);
        assertEq(_owed(), 0);
        // Towards minus infinity: up to a millionth of a dollar stays with the venue.
        int256 settled = 10_000e6 + owed / 1e12 - (owed % 1e12 == 0 ? int256(0) : int256(1));
        assertEq(perp.vault.getBalance(address(trader)), settled);

        trader.withdraw(settled.toUint256());
        assertEq(perp.usdc.balanceOf(address(trader)), settled.toUint256());
    }

    function test_withdraw_leavesInitialMargin() public {
        trader.trade(eth, 10e18);
        uint256 free = perp.vault.getFreeCollateral(address(trader));
        // 10 % of what was borrowed, and no profit counts.
        assertApproxEqAbs(free, 10_000e6 - 20e6 - 2002e6, 5e6);
        vm.expectRevert("V_NEFC");
        trader.withdraw(free + 1);
        trader.withdraw(free);
        assertEq(perp.vault.getFreeCollateral(address(trader)), 0);
    }

    function test_leverage_isBounded() public {
        vm.expectRevert("CH_NEFCI");
        trader.trade(eth, 51e18);
        trader.trade(eth, 49e18);
    }

    // --- Index --------------------------------------------------------------------------------------------------

    function test_index_moves() public {
        _setPrice(ethMarket, 2100e8);
        assertEq(ethMarket.baseToken.getIndexPrice(0), 2100e18);
        assertApproxEqRel(_poolPrice(ethMarket), 2100e18, 1e12);
        assertEq(btcMarket.baseToken.getIndexPrice(0), 60_000e18);
    }

    function test_index_marketDoesNotFollowByItself() public {
        _setIndexPrice(ethMarket, 2100e8);
        assertApproxEqRel(_poolPrice(ethMarket), 2000e18, 1e12);
        _wait(1 days);
        assertApproxEqRel(_poolPrice(ethMarket), 2000e18, 1e12);
    }

    /// @dev 10 % is as far as the venue lets the pool go in 15 seconds.
    function test_index_bigMovesTakeSteps() public {
        _wait(1);
        assertFalse(perp.marketMaker.setPrice(eth, ethMarket.aggregator, 2400e8));
        assertEq(ethMarket.baseToken.getIndexPrice(0), 2400e18);
        assertTrue(perp.exchange.isOverPriceSpread(eth));
    }

    /// @dev Every move is taken into the feed's history; otherwise its TWAP runs away from its answers.
    function test_index_twapIsBetweenItsPrices() public {
        _wait(15 minutes);
        _setIndexPrice(ethMarket, 1960e8);
        _wait(5 minutes);
        uint256 twap = ethMarket.baseToken.getIndexPrice(15 minutes);
        assertApproxEqRel(twap, 1986.6e18, 0.001e18);
        _wait(1 hours);
        assertEq(ethMarket.baseToken.getIndexPrice(15 minutes), 1960e18);
    }

    function test_aggregator_answersOnceASecond() public {
        _setIndexPrice(ethMarket, 2100e8);
        vm.expectRevert(abi.encodeWithSelector(SettableAggregator.AlreadyAnswered.selector, block.timestamp));
        ethMarket.aggregator.set(2200e8);
    }

    // --- Funding ------------------------------------------------------------------------------------------------

    function test_funding_longPaysAboveTheIndex() public {
        trader.trade(eth, 10e18);
        _setIndexPrice(ethMarket, 1960e8);
        _wait(1 hours);
        int256 pending = perp.exchange.getPendingFundingPayment(address(trader), eth);
        // 10 × a premium of about 40 × 1/24 day.
        assertApproxEqRel(pending, 16.67e18, 0.01e18);
        assertEq(perp.exchange.getAllPendingFundingPayment(address(trader)), pending);

        (int256 owed, int256 openNotional) = (_owed(), _openNotional());
        int256 value = perp.vault.getAccountValue(address(trader));
        trader.settleFunding();
        assertEq(_owed(), owed - pending);
        assertEq(_openNotional(), openNotional);
        assertEq(perp.exchange.getPendingFundingPayment(address(trader), eth), 0);
        assertEq(perp.vault.getAccountValue(address(trader)), value);
    }

    function test_funding_onlyTheTraderSettles() public {
        vm.expectRevert("CH_OVOT");
        perp.clearingHouse.settleAllFunding(address(trader));
    }

    // --- Liquidation --------------------------------------------------------------------------------------------

    function test_liquidation_takesHalfThenAll() public {
        Trader liquidator = new Trader(perp);
        liquidator.deposit(1_000_000e6);
        trader.trade(eth, 48e18);
        vm.expectRevert("CH_EAV");
        liquidator.liquidate(address(trader), eth);

        _fall(1880e8);
        int256 value = perp.clearingHouse.getAccountValue(address(trader));
        int256 cash = _cash() - perp.exchange.getAllPendingFundingPayment(address(trader));
        int256 markPrice = perp.accountBalance.getMarkPrice(eth).toInt256();
        liquidator.liquidate(address(trader), eth);
        assertEq(_size(), 24e18);
        // Sold at the mark price, less 2.5 %.
        int256 notional = 24e18 * markPrice / 1e18;
        assertApproxEqAbs(_cash(), cash + notional - notional * 25 / 1000, 1);
        assertApproxEqAbs(perp.clearingHouse.getAccountValue(address(trader)), value - notional * 25 / 1000, 1e12);
        assertEq(perp.accountBalance.getTakerPositionSize(address(liquidator), eth), 24e18);
    }

    function test_liquidation_badDebtGoesToTheVenuesFund() public {
        Trader liquidator = new Trader(perp);
        liquidator.deposit(1_000_000e6);
        perp.usdc.mint(address(perp.insuranceFund), 100_000e6);
        trader.trade(eth, 48e18);
        _fall(1880e8);
        _fall(1750e8);
        assertLt(perp.vault.getAccountValue(address(trader)), 0);
        liquidator.liquidate(address(trader), eth);
        assertEq(_size(), 0);
        // The debt is paid to the last millionth: nothing is owed either way.
        assertApproxEqAbs(_cash(), 0, 1e12);
    }

    // --- Closed markets -----------------------------------------------------------------------------------------

    function test_closedMarket_settlesAtTheClosedPrice() public {
        trader.trade(eth, 10e18);
        IPerpAdmin(eth).pause();
        vm.expectRevert("CH_MNO");
        trader.close(eth);
        vm.expectRevert("CH_MNC");
        perp.clearingHouse.quitMarket(address(trader), eth);

        IPerpAdmin(eth).close(2200e18);
        int256 cash = _cash();
        (uint256 base, uint256 quote) = perp.clearingHouse.quitMarket(address(trader), eth);
        assertEq(base, 10e18);
        assertEq(quote, 22_000e18);
        assertEq(_size(), 0);
        assertEq(_openNotional(), 0);
        assertEq(_cash(), cash + 22_000e18);
    }

    function test_pausedMarket_blocksNothingOfTheOther() public {
        trader.trade(eth, 5e18);
        trader.trade(btc, 0.1e18);
        IPerpAdmin(eth).pause();
        trader.close(btc);
        trader.withdraw(1000e6);
    }

    // --- Helpers ------------------------------------------------------------------------------------------------

    /// @dev Index and market to `price`, and the mark price after them.
    function _fall(int256 price) private {
        _wait(15);
        _setPrice(ethMarket, price);
        _wait(30 minutes);
    }

    function _poolPrice(PerpMarket memory market) private view returns (uint256) {
        (uint160 sqrtPriceX96,,,,,,) = market.pool.slot0();
        return uint256(sqrtPriceX96) * sqrtPriceX96 / (1 << 96) * 1e18 / (1 << 96);
    }

    function _size() private view returns (int256) {
        return perp.accountBalance.getTakerPositionSize(address(trader), eth);
    }

    function _openNotional() private view returns (int256) {
        return perp.accountBalance.getTakerOpenNotional(address(trader), eth);
    }

    function _owed() private view returns (int256 owed) {
        (owed,,) = perp.accountBalance.getPnlAndPendingFee(address(trader));
    }

    function _cash() private view returns (int256) {
        return perp.vault.getBalance(address(trader)) * 1e12 + _owed() + _openNotional();
    }

    function _assertPermit2Domain(uint256 chainId) private {
        vm.chainId(chainId);
        (bool ok, bytes memory result) = PERMIT2.staticcall(abi.encodeWithSignature("DOMAIN_SEPARATOR()"));
        assertTrue(ok);
        assertEq(
            abi.decode(result, (bytes32)),
            keccak256(
                abi.encode(
                    keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
                    keccak256("Permit2"),
                    chainId,
                    PERMIT2
                )
            )
        );
    }
}
