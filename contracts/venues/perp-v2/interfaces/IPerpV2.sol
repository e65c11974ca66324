// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

/// @title Perpetual Protocol v2 (Curie 2.8.4), the parts a trader contract uses
/// @notice Units: "6" is the settlement token's decimals (USDC), "18" everything virtual. Ratios are parts per
/// million. A market is named by its base token. Names and signatures are the venue's own; the prose is ours.
/// How the figures hang together is written down in `contracts/venues/perp-v2/README.md`.

/// @notice Custody of collateral and the margin rules.
interface IPerpVault {
    /// @notice Collateral arrived. `amount` in the token's own decimals (USDC: 6).
    event Deposited(address indexed collateralToken, address indexed trader, uint256 amount);
    /// @notice Collateral left. `amount` in the token's own decimals (USDC: 6).
    event Withdrawn(address indexed collateralToken, address indexed trader, uint256 amount);
    /// @notice The insurance fund paid a trader's negative balance. `amount` with 6 decimals.
    event BadDebtSettled(address indexed trader, uint256 amount);

    /// @notice Pulls `amount` (6) of `token` from the caller into the caller's margin account.
    /// Reverts V_ZA on zero and V_GTSTBC above the deposit cap.
    function deposit(address token, uint256 amount) external;

    /// @notice As {deposit}, credited to `to`. Anyone may do it to anyone: a trader's balance can grow unasked.
    function depositFor(address to, address token, uint256 amount) external;

    /// @notice Settles funding and realised PnL into the balance, then sends `amount` (6) to the caller.
    /// Reverts V_NEFC when `amount` exceeds {getFreeCollateralByToken} (after funding).
    /// Zero is allowed and is the way to move realised PnL into the balance without moving a token.
    function withdraw(address token, uint256 amount) external;

    /// @notice Withdraws {getFreeCollateralByToken} and returns it (6).
    function withdrawAll(address token) external returns (uint256 amount);

    /// @notice Moves a negative balance of a trader without position onto the insurance fund. Anyone may call.
    function settleBadDebt(address trader) external;

    /// @notice Settlement-token balance (6), signed. Only deposits, withdrawals and bad-debt settlement change it:
    /// neither funding nor unsettled realised PnL is in it.
    function getBalance(address trader) external view returns (int256);

    /// @notice balance − pending funding + owed realised PnL + unrealised PnL at the mark price + other collateral at its
    /// discount (6, rounded down).
    function getAccountValue(address trader) external view returns (int256);

    /// @notice {getAccountValue} without the other collateral (6, rounded down).
    function getSettlementTokenValue(address trader) external view returns (int256);

    /// @notice Tokens other than USDC in which the trader has collateral.
    function getCollateralTokens(address trader) external view returns (address[] memory);

    /// @notice max(0, min(balance + owed PnL − pending funding, account value) − IM ratio × debt) (6, rounded down).
    function getFreeCollateral(address trader) external view returns (uint256);

    /// @notice What {withdraw} would let go of `token` now (6, rounded down).
    function getFreeCollateralByToken(address trader, address token) external view returns (uint256);

    /// @notice As {getFreeCollateral} for another margin ratio (1e6) and signed (6, rounded towards −∞).
    function getFreeCollateralByRatio(address trader, uint24 ratio) external view returns (int256);

    /// @notice USDC.
    function getSettlementToken() external view returns (address);

    /// @notice Decimals of the settlement token: 6.
    function decimals() external view returns (uint8);
}

/// @notice Trading. Every call here may revert `OLD` while the pool's price history is too short.
interface IPerpClearingHouse {
    /// @param baseToken market
    /// @param isBaseToQuote true sells base (short), false buys base (long)
    /// @param isExactInput whether `amount` is what goes in: base for a short, quote (fee included) for a long
    /// @param amount 18 decimals; base or quote, by the two flags
    /// @param oppositeAmountBound limit on the other amount, fee included; 0 checks nothing
    /// @param deadline last valid timestamp (CH_TE)
    /// @param sqrtPriceLimitX96 stops the fill there WITHOUT reverting; 0 is no limit, and then an exact output is exact
    /// @param referralCode emitted, else unused
    struct OpenPositionParams {
        address baseToken;
        bool isBaseToQuote;
        bool isExactInput;
        uint256 amount;
        uint256 oppositeAmountBound;
        uint256 deadline;
        uint160 sqrtPriceLimitX96;
        bytes32 referralCode;
    }

    /// @param oppositeAmountBound least quote for closing a long, most quote for closing a short; scaled down when the
    /// close is partial; 0 checks nothing
    struct ClosePositionParams {
        address baseToken;
        uint160 sqrtPriceLimitX96;
        uint256 oppositeAmountBound;
        uint256 deadline;
        bytes32 referralCode;
    }

    /// @param base most base to provide (18)
    /// @param quote most quote to provide (18)
    /// @param useTakerBalance must be false
    struct AddLiquidityParams {
        address baseToken;
        uint256 base;
        uint256 quote;
        int24 lowerTick;
        int24 upperTick;
        uint256 minBase;
        uint256 minQuote;
        bool useTakerBalance;
        uint256 deadline;
    }

    struct AddLiquidityResponse {
        uint256 base;
        uint256 quote;
        uint256 fee;
        uint256 liquidity;
    }

    /// @notice A taker position changed: by a trade, as either side of a liquidation, or by a maker taking liquidity out.
    /// @param exchangedPositionSize base gained (> 0, bought) or given (< 0, sold), 18
    /// @param exchangedPositionNotional quote gained (> 0) or given (< 0) before the fee, 18
    /// @param fee exchange fee in quote, 18; 0 in liquidations
    /// @param openNotional open notional afterwards: < 0 long, > 0 short, 0 when closed, 18
    /// @param realizedPnl moved from open notional to owed realised PnL, fee included, 18
    /// @param sqrtPriceAfterX96 pool price afterwards
    event PositionChanged(
        address indexed trader,
        address indexed baseToken,
        int256 exchangedPositionSize,
        int256 exchangedPositionNotional,
        uint256 fee,
        int256 openNotional,
        int256 realizedPnl,
        uint256 sqrtPriceAfterX96
    );

    /// @notice Follows the two PositionChanged of a liquidation. All amounts 18.
    event PositionLiquidated(
        address indexed trader,
        address indexed baseToken,
        uint256 positionNotional,
        uint256 positionSize,
        uint256 liquidationFee,
        address liquidator
    );

    /// @notice Emitted by {quitMarket} alone, never by {closePosition}. All amounts 18.
    event PositionClosed(
        address indexed trader,
        address indexed baseToken,
        int256 closedPositionSize,
        int256 closedPositionNotional,
        int256 openNotional,
        int256 realizedPnl,
        uint256 closedPrice
    );

    /// @notice Funding was taken from owed realised PnL: > 0 the trader paid (18).
    event FundingPaymentSettled(address indexed trader, address indexed baseToken, int256 fundingPayment);

    /// @notice Trades for the caller.
    /// @return base base bought or sold (18, unsigned)
    /// @return quote quote paid WITH the fee (long), or received AFTER the fee (short) (18, unsigned)
    function openPosition(OpenPositionParams memory params) external returns (uint256 base, uint256 quote);

    /// @notice Trades the caller's whole position away, as far as the venue's price limit lets it: a PARTIAL close does
    /// not revert, so read the size afterwards. Reverts CH_PSZ without a position.
    /// @return base base bought or sold (18, unsigned)
    /// @return quote as in {openPosition}
    function closePosition(ClosePositionParams calldata params) external returns (uint256 base, uint256 quote);

    /// @notice Moves pending funding of every market into owed realised PnL. Only the trader or the vault may call.
    function settleAllFunding(address trader) external;

    /// @notice Takes over up to `positionSize` of a trader under maintenance margin; the sign is the trader's position's.
    /// The caller must have collateral for what it takes over.
    function liquidate(address trader, address baseToken, int256 positionSize) external;

    /// @notice Takes over as much as the rules allow.
    function liquidate(address trader, address baseToken) external;

    /// @notice In a closed market, turns a trader's position into realised PnL at the closed price. Anyone may call.
    /// @return base size closed (18, unsigned)
    /// @return quote its value at the closed price (18, unsigned); (0, 0) when there is no position
    function quitMarket(address trader, address baseToken) external returns (uint256 base, uint256 quote);

    /// @notice Provides liquidity over a range of ticks for the caller.
    function addLiquidity(AddLiquidityParams calldata params) external returns (AddLiquidityResponse memory response);

    /// @notice {IPerpVault-getAccountValue} with 18 decimals (the last twelve are zero).
    function getAccountValue(address trader) external view returns (int256);

    function getVault() external view returns (address);
    function getExchange() external view returns (address);
    function getAccountBalance() external view returns (address);
    function getClearingHouseConfig() external view returns (address);
    function getInsuranceFund() external view returns (address);
    function getQuoteToken() external view returns (address);

    /// @notice While true every call but {settleAllFunding}, {quitMarket} and the views reverts.
    function paused() external view returns (bool);
}

/// @notice Positions and realised PnL. All amounts 18.
interface IPerpAccountBalance {
    /// @param takerPositionSize signed base
    /// @param takerOpenNotional signed quote: < 0 paid for a long, > 0 received for a short
    struct AccountMarketInfo {
        int256 takerPositionSize;
        int256 takerOpenNotional;
        int256 lastTwPremiumGrowthGlobalX96;
    }

    /// @notice Owed realised PnL changed by `amount`: realised PnL, funding, liquidation penalty or fee income.
    event PnlRealized(address indexed trader, int256 amount);

    /// @notice Markets in which the trader has a position or an order.
    function getBaseTokens(address trader) external view returns (address[] memory);

    /// @notice The raw record: neither dust nor makers' orders are taken into account.
    function getAccountInfo(address trader, address baseToken) external view returns (AccountMarketInfo memory);

    /// @notice Signed size without makers' orders; below 10 wei reads 0. The cheapest position read.
    function getTakerPositionSize(address trader, address baseToken) external view returns (int256);

    /// @notice Signed size including what a maker's orders have turned into; the same as taker size without orders.
    function getTotalPositionSize(address trader, address baseToken) external view returns (int256);

    /// @notice Signed open notional: < 0 long, > 0 short. Fees are in it until realised.
    function getTakerOpenNotional(address trader, address baseToken) external view returns (int256);

    /// @notice Open notional including makers' orders; the same as taker open notional without orders.
    function getTotalOpenNotional(address trader, address baseToken) external view returns (int256);

    /// @notice Signed size × mark price (or the paused or closed price).
    function getTotalPositionValue(address trader, address baseToken) external view returns (int256);

    /// @notice Sum of |position value| over markets.
    function getTotalAbsPositionValue(address trader) external view returns (uint256);

    /// @notice What margin ratios are taken of: max(0, −Σ open notional of all markets) + Σ |short base| × mark price.
    function getTotalDebtValue(address trader) external view returns (uint256);

    /// @notice Σ |position value| × MM ratio; an account value below it is liquidatable.
    function getMarginRequirementForLiquidation(address trader) external view returns (int256);

    /// @return owedRealizedPnl realised but not yet in the vault balance
    /// @return unrealizedPnl Σ (position value + open notional), at the mark price
    /// @return pendingFee uncollected maker fees
    function getPnlAndPendingFee(address trader)
        external
        view
        returns (int256 owedRealizedPnl, int256 unrealizedPnl, uint256 pendingFee);

    /// @notice Median of the 15 s market TWAP, the long market TWAP and index + premium.
    function getMarkPrice(address baseToken) external view returns (uint256);
}

/// @notice Swaps and funding.
interface IPerpExchange {
    /// @notice The market's funding was brought up to date (once per timestamp). Prices 18.
    event FundingUpdated(address indexed baseToken, uint256 markTwap, uint256 indexTwap);

    /// @notice Funding not yet settled, up to this block: > 0 the trader will pay (18).
    function getPendingFundingPayment(address trader, address baseToken) external view returns (int256);

    /// @notice Sum of {getPendingFundingPayment} over the trader's markets (18).
    function getAllPendingFundingPayment(address trader) external view returns (int256);

    /// @notice √(market TWAP) × 2^96; below 10 s the pool's current price.
    function getSqrtMarketTwapX96(address baseToken, uint32 twapInterval) external view returns (uint160);

    /// @notice Ticks a trade may move the price from where it was at least 15 s ago; 0 means paused.
    function getMaxTickCrossedWithinBlock(address baseToken) external view returns (uint24);

    function getOrderBook() external view returns (address);

    /// @notice Whether the pool is more than 10 % off the index TWAP.
    function isOverPriceSpread(address baseToken) external view returns (bool);
}

/// @notice Makers' orders.
interface IPerpOrderBook {
    /// @notice Whether the trader has an order in any of these markets, open or not.
    function hasOrder(address trader, address[] calldata tokens) external view returns (bool);
}

/// @notice Which pool belongs to a market, and its fees.
interface IPerpMarketRegistry {
    /// @dev Ratios are parts per million.
    struct MarketInfo {
        address pool;
        uint24 exchangeFeeRatio;
        uint24 uniswapFeeRatio;
        uint24 insuranceFundFeeRatio;
        uint24 maxPriceSpreadRatio;
    }

    /// @notice The market's Uniswap v3 pool; token0 is the base, token1 the quote, both 18 decimals. MR_PNE if unknown.
    function getPool(address baseToken) external view returns (address);
    function hasPool(address baseToken) external view returns (bool);

    /// @notice Exchange fee, parts per million of the quote amount.
    function getFeeRatio(address baseToken) external view returns (uint24);
    function getMarketInfo(address baseToken) external view returns (MarketInfo memory);

    /// @notice As {getMarketInfo} with the trader's fee discount applied.
    function getMarketInfoByTrader(address trader, address baseToken) external view returns (MarketInfo memory);
}

/// @notice Margin and funding parameters. Ratios are parts per million.
interface IPerpClearingHouseConfig {
    /// @notice Initial margin: 100000 (10 %).
    function getImRatio() external view returns (uint24);
    /// @notice Maintenance margin: 62500 (6.25 %).
    function getMmRatio() external view returns (uint24);
    /// @notice 25000 (2.5 %) of the liquidated notional.
    function getLiquidationPenaltyRatio() external view returns (uint24);
    /// @notice Cap of the premium that funding is computed from: 100000 (10 % of the index).
    function getMaxFundingRate() external view returns (uint24);
    /// @notice TWAP interval of funding, seconds.
    function getTwapInterval() external view returns (uint32);
    /// @notice Most USDC (6) the vault may hold.
    function getSettlementTokenBalanceCap() external view returns (uint256);
    function getMaxMarketsPerAccount() external view returns (uint8);
    /// @notice Seconds of the mark price's long market TWAP and of its premium.
    function getMarkPriceConfig() external view returns (uint32 marketTwapInterval, uint32 premiumInterval);
}

/// @notice A market's virtual token: index price and status.
interface IPerpBaseToken {
    /// @notice Index price (18): the latest for interval 0, else the TWAP over `interval` seconds (the latest if the
    /// feed is younger). Once the market is paused it is frozen, whatever the interval.
    function getIndexPrice(uint256 interval) external view returns (uint256);

    function isOpen() external view returns (bool);
    function isPaused() external view returns (bool);
    function isClosed() external view returns (bool);

    /// @notice 0 if never paused.
    function getPausedTimestamp() external view returns (uint256);
    /// @notice Index TWAP of 15 minutes when the market was paused (18).
    function getPausedIndexPrice() external view returns (uint256);
    /// @notice What positions are worth in a closed market (18). Reverts BT_NC unless closed.
    function getClosedPrice() external view returns (uint256);

    /// @notice Closes the market at the paused index price. Anyone may, 5 days after the pause.
    function close() external;

    /// @notice The dispatcher in front of the Chainlink feed.
    function getPriceFeed() external view returns (address);
}

/// @notice In front of the feeds of one market.
interface IPerpPriceFeedDispatcher {
    /// @notice The Chainlink feed in use.
    function getChainlinkPriceFeedV3() external view returns (address);
    /// @notice Index price (18).
    function getDispatchedPrice(uint256 interval) external view returns (uint256);
}

/// @notice Caches a Chainlink aggregator. Prices have the aggregator's decimals (8).
interface IPerpChainlinkPriceFeed {
    /// @notice The price the venue uses now and when the oracle gave it: the way to check staleness.
    function getLatestOrCachedPrice() external view returns (uint256 price, uint256 updatedAt);
    function isTimedOut() external view returns (bool);
    /// @notice Takes the aggregator's latest answer into the price history. Anyone may; CPF_NU if there is none newer.
    /// @dev An answer not taken in counts in a TWAP only from the TWAP's start on, far too much: whoever moves an
    /// aggregator must call this (or trade).
    function update() external;
    function getAggregator() external view returns (address);
    function decimals() external view returns (uint8);
}

/// @notice The venue's own backstop (not Lockstep's).
interface IPerpInsuranceFund {
    /// @notice Balance, owed PnL and wallet of the fund (6, signed). A liquidation that would leave more bad debt
    /// reverts CH_IIC.
    function getInsuranceFundCapacity() external view returns (int256);
    function getToken() external view returns (address);
}
