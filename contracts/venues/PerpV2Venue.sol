// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IVenue} from "../interfaces/IVenue.sol";
import {
    IPerpAccountBalance,
    IPerpBaseToken,
    IPerpChainlinkPriceFeed,
    IPerpClearingHouse,
    IPerpClearingHouseConfig,
    IPerpExchange,
    IPerpMarketRegistry,
    IPerpOrderBook,
    IPerpPriceFeedDispatcher,
    IPerpVault
} from "./perp-v2/interfaces/IPerpV2.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

interface IAggregator {
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}

/// @title PerpV2Venue
/// @notice Perpetual Protocol v2 (Curie) as a venue. A market is its base token's address, left-padded.
/// @dev Configuration in immutables only: the trading functions run in the vault's context.
contract PerpV2Venue is IVenue {
    /// @notice Prices outside are absurd: below, funding per unit could not be expressed; above, the batch's arithmetic
    /// could overflow.
    uint256 public constant MIN_PRICE = 1e14;
    uint256 public constant MAX_PRICE = 1e25;
    /// @notice How long after the sequencer came back prices are not trusted yet, seconds.
    uint256 public constant SEQUENCER_GRACE = 1 hours;

    /// @inheritdoc IVenue
    address public immutable collateral;
    IPerpClearingHouse public immutable clearingHouse;
    IPerpVault public immutable perpVault;
    IPerpExchange public immutable exchange;
    IPerpAccountBalance public immutable accountBalance;
    IPerpClearingHouseConfig public immutable config;
    IPerpMarketRegistry public immutable marketRegistry;
    IPerpOrderBook public immutable orderBook;
    /// @notice Oldest oracle answer that is still a price, seconds.
    uint256 public immutable maxPriceAge;
    /// @notice Chainlink's L2 sequencer uptime feed; zero on chains without one.
    address public immutable sequencerFeed;

    constructor(address clearingHouse_, address marketRegistry_, uint256 maxPriceAge_, address sequencerFeed_) {
        clearingHouse = IPerpClearingHouse(clearingHouse_);
        marketRegistry = IPerpMarketRegistry(marketRegistry_);
        perpVault = IPerpVault(clearingHouse.getVault());
        exchange = IPerpExchange(clearingHouse.getExchange());
        accountBalance = IPerpAccountBalance(clearingHouse.getAccountBalance());
        config = IPerpClearingHouseConfig(clearingHouse.getClearingHouseConfig());
        orderBook = IPerpOrderBook(exchange.getOrderBook());
        collateral = perpVault.getSettlementToken();
        maxPriceAge = maxPriceAge_;
        sequencerFeed = sequencerFeed_;
    }

    // ---------------------------------------------------------------- DELEGATECALL

    /// @inheritdoc IVenue
    /// @dev The fee is the venue's ratio of the notional; the sum of quote and fee is exact.
    function trade(bytes32 market, int256 size) external returns (Fill memory fill) {
        address base = _base(market);
        bool sell = size < 0;
        (uint256 filled, uint256 quote) = clearingHouse.openPosition(
            IPerpClearingHouse.OpenPositionParams({
                baseToken: base,
                isBaseToQuote: sell,
                isExactInput: sell,
                amount: uint256(sell ? -size : size),
                oppositeAmountBound: 0,
                deadline: block.timestamp,
                sqrtPriceLimitX96: 0,
                referralCode: 0
            })
        );
        uint256 ratio = marketRegistry.getMarketInfoByTrader(address(this), base).exchangeFeeRatio;
        if (sell) {
            // received = notional - notional * ratio
            fill.fee = _divUp(quote * ratio, 1e6 - ratio);
            (fill.size, fill.quote) = (-int256(filled), int256(quote + fill.fee));
        } else {
            // paid = notional + fee, the fee a share of what is paid
            fill.fee = _divUp(quote * ratio, 1e6);
            (fill.size, fill.quote) = (int256(filled), -int256(quote - fill.fee));
        }
    }

    /// @inheritdoc IVenue
    function deposit(uint256 amount) external {
        SafeTransferLib.safeApproveWithRetry(collateral, address(perpVault), amount);
        perpVault.deposit(collateral, amount);
    }

    /// @inheritdoc IVenue
    function withdraw(uint256 amount) external {
        perpVault.withdraw(collateral, amount);
    }

    /// @inheritdoc IVenue
    function settleClosed(bytes32 market) external {
        clearingHouse.quitMarket(address(this), _base(market));
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IVenue
    /// @dev A closed market has its closing price, which is final. A paused one has none: it may be closed at any.
    function indexPrice(bytes32 market) external view returns (uint256 price, uint256 updatedAt) {
        IPerpBaseToken base = IPerpBaseToken(_base(market));
        if (base.isOpen()) {
            _checkSequencer();
            IPerpChainlinkPriceFeed feed =
                IPerpChainlinkPriceFeed(IPerpPriceFeedDispatcher(base.getPriceFeed()).getChainlinkPriceFeedV3());
            (price, updatedAt) = feed.getLatestOrCachedPrice();
            price = price * 1e18 / 10 ** feed.decimals();
            if (price == 0 || updatedAt > block.timestamp || block.timestamp - updatedAt > maxPriceAge) {
                revert StalePrice(market, updatedAt, maxPriceAge);
            }
        } else if (base.isClosed()) {
            (price, updatedAt) = (base.getClosedPrice(), block.timestamp);
        } else {
            revert StalePrice(market, base.getPausedTimestamp(), maxPriceAge);
        }
        if (price < MIN_PRICE || price > MAX_PRICE) revert PriceOutOfRange(market, price);
    }

    /// @inheritdoc IVenue
    function holding(address account, bytes32 market) external view returns (Holding memory h) {
        address base = _base(market);
        IPerpAccountBalance.AccountMarketInfo memory info = accountBalance.getAccountInfo(account, base);
        h.size = info.takerPositionSize;
        h.openNotional = info.takerOpenNotional;
        if (h.size != 0) h.pendingFunding = exchange.getPendingFundingPayment(account, base);
    }

    /// @inheritdoc IVenue
    function cash(address account) public view returns (int256 amount) {
        (int256 owed,, uint256 makerFee) = accountBalance.getPnlAndPendingFee(account);
        amount = perpVault.getBalance(account) * 1e12 + owed + int256(makerFee);
        address[] memory bases = accountBalance.getBaseTokens(account);
        for (uint256 i = 0; i < bases.length; ++i) {
            amount += accountBalance.getTakerOpenNotional(account, bases[i]);
        }
    }

    /// @inheritdoc IVenue
    function withdrawable(address account) external view returns (uint256) {
        return clearingHouse.paused() ? 0 : perpVault.getFreeCollateralByToken(account, collateral);
    }

    /// @inheritdoc IVenue
    /// @dev Collateral that is not USDC counts as the venue itself counts it. What a maker's orders hold is wherever the
    /// pool was just pushed to, by anyone: with orders in any market there is no leverage that a batch may rely on.
    function leverageOf(address account, bytes32 market) external view returns (int256 leverage, int256 equity) {
        address base = _base(market);
        address[] memory bases = accountBalance.getBaseTokens(account);
        if (orderBook.hasOrder(account, bases)) revert LeverageNotProvable(account);
        equity = cash(account) - exchange.getAllPendingFundingPayment(account);
        if (perpVault.getCollateralTokens(account).length != 0) {
            equity += (perpVault.getAccountValue(account) - perpVault.getSettlementTokenValue(account)) * 1e12;
        }
        int256 position;
        for (uint256 i = 0; i < bases.length; ++i) {
            int256 size = accountBalance.getTakerPositionSize(account, bases[i]);
            if (size == 0) continue;
            uint256 price;
            // The market looked at must have a price; the others count at what the venue itself would use.
            if (bases[i] == base) (price,) = this.indexPrice(market);
            else price = IPerpBaseToken(bases[i]).getIndexPrice(0);
            int256 value = size * int256(price) / 1e18;
            equity += value;
            if (bases[i] == base) position = value;
        }
        if (equity > 0) leverage = position * 1e18 / equity;
    }

    /// @inheritdoc IVenue
    function isOpen(bytes32 market) external view returns (bool) {
        address base = _base(market);
        return
            !clearingHouse.paused() && IPerpBaseToken(base).isOpen() && exchange.getMaxTickCrossedWithinBlock(base) != 0;
    }

    /// @inheritdoc IVenue
    function closedPrice(bytes32 market) external view returns (uint256) {
        IPerpBaseToken base = IPerpBaseToken(_base(market));
        return base.isClosed() ? base.getClosedPrice() : 0;
    }

    /// @inheritdoc IVenue
    function marginRequirementsBps() external view returns (uint256 initialBps, uint256 maintenanceBps) {
        return (config.getImRatio() / 100, config.getMmRatio() / 100);
    }

    // ---------------------------------------------------------------- internal

    function _base(bytes32 market) private pure returns (address) {
        if (uint256(market) >> 160 != 0) revert UnknownMarket(market);
        return address(uint160(uint256(market)));
    }

    function _checkSequencer() private view {
        if (sequencerFeed == address(0)) return;
        (, int256 answer, uint256 startedAt,,) = IAggregator(sequencerFeed).latestRoundData();
        if (answer != 0 || block.timestamp - startedAt <= SEQUENCER_GRACE) revert SequencerDown(startedAt);
    }

    function _divUp(uint256 x, uint256 d) private pure returns (uint256) {
        return (x + d - 1) / d;
    }
}
// forge-lint: disable-end(unsafe-typecast)
