// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {
    IPerpBaseToken,
    IPerpChainlinkPriceFeed,
    IPerpClearingHouse,
    IPerpMarketRegistry,
    IPerpPriceFeedDispatcher
} from "../../../contracts/venues/perp-v2/interfaces/IPerpV2.sol";
import {SettableAggregator} from "./SettableAggregator.sol";
import {TestUSDC} from "./TestUSDC.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

interface IVaultDeposit {
    function deposit(address token, uint256 amount) external;
    function getSettlementToken() external view returns (address);
}

/// @title Liquidity and arbitrage for a local Perp v2
/// @notice The venue's market does not follow its index by itself. This account provides a wide range of liquidity
/// and trades the pool to the index; as maker and taker are one account, following the price costs it fees alone.
/// Anyone may call everything: local chains and tests only.
contract MarketMaker {
    IPerpClearingHouse public immutable clearingHouse;
    IPerpMarketRegistry public immutable registry;

    constructor(IPerpClearingHouse clearingHouse_, IPerpMarketRegistry registry_) {
        clearingHouse = clearingHouse_;
        registry = registry_;
    }

    /// @notice Mints and deposits `collateral` (6), then provides `quote` (18) and as much base on both sides of the
    /// current price, over `halfRange` ticks each way. The pool must be old enough for a mark price.
    function provide(address base, uint256 collateral, uint256 quote, int24 halfRange)
        external
        returns (IPerpClearingHouse.AddLiquidityResponse memory)
    {
        IVaultDeposit vault = IVaultDeposit(clearingHouse.getVault());
        TestUSDC usdc = TestUSDC(vault.getSettlementToken());
        usdc.mint(address(this), collateral);
        usdc.approve(address(vault), collateral);
        vault.deposit(address(usdc), collateral);

        IUniswapV3Pool pool = IUniswapV3Pool(registry.getPool(base));
        (, int24 tick,,,,,) = pool.slot0();
        int24 spacing = pool.tickSpacing();
        return clearingHouse.addLiquidity(
            IPerpClearingHouse.AddLiquidityParams({
                baseToken: base,
                base: type(uint96).max,
                quote: quote,
                lowerTick: (tick - halfRange) / spacing * spacing,
                upperTick: (tick + halfRange) / spacing * spacing,
                minBase: 0,
                minQuote: 0,
                useTakerBalance: false,
                deadline: block.timestamp
            })
        );
    }

    /// @notice Sets the oracle's answer (8 decimals), has the venue take it in, and lets the market follow as far as the
    /// venue allows at once. At most one a second.
    /// @return followed whether the pool is at the index now (else call {follow} again 15 s later)
    function setPrice(address base, SettableAggregator aggregator, int256 answer) external returns (bool followed) {
        setIndexPrice(base, aggregator, answer);
        try this.follow(base) {
            followed = true;
        } catch {}
    }

    /// @notice As {setPrice}, leaving the market where it is.
    function setIndexPrice(address base, SettableAggregator aggregator, int256 answer) public {
        aggregator.set(answer);
        address dispatcher = IPerpBaseToken(base).getPriceFeed();
        IPerpChainlinkPriceFeed(IPerpPriceFeedDispatcher(dispatcher).getChainlinkPriceFeedV3()).update();
    }

    /// @notice Trades the pool to the index price. Reverts EX_OPLAS for more than about 10 % in 15 s.
    function follow(address base) external {
        (uint160 current,,,,,,) = IUniswapV3Pool(registry.getPool(base)).slot0();
        uint160 target = sqrtPriceX96(IPerpBaseToken(base).getIndexPrice(0));
        if (Math.mulDiv(current > target ? current - target : target - current, 1e6, current) == 0) return;
        clearingHouse.openPosition(
            IPerpClearingHouse.OpenPositionParams({
                baseToken: base,
                isBaseToQuote: target < current,
                isExactInput: true,
                amount: type(uint112).max,
                oppositeAmountBound: 0,
                deadline: block.timestamp,
                sqrtPriceLimitX96: target,
                referralCode: 0
            })
        );
    }

    /// @notice √price × 2^96 for a price with 18 decimals.
    function sqrtPriceX96(uint256 price) public pure returns (uint160) {
        return uint160(Math.sqrt(Math.mulDiv(price, 1 << 192, 1e18)));
    }
}
