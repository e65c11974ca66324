// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {
    IPerpAccountBalance,
    IPerpBaseToken,
    IPerpClearingHouse,
    IPerpClearingHouseConfig,
    IPerpExchange,
    IPerpInsuranceFund,
    IPerpMarketRegistry,
    IPerpVault
} from "../../contracts/venues/perp-v2/interfaces/IPerpV2.sol";
import {MarketMaker} from "./local/MarketMaker.sol";
import {SettableAggregator} from "./local/SettableAggregator.sol";
import {TestUSDC} from "./local/TestUSDC.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IUniswapV3Factory} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Factory.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";
import {CommonBase} from "forge-std/Base.sol";

/// @dev What only the venue's owner calls. One interface for all its contracts: a selector is all that is needed.
interface IPerpAdmin {
    function initialize() external;
    function initialize(string memory name, string memory symbol) external;
    function initialize(string memory name, string memory symbol, address priceFeed) external;
    function initialize(address a) external;
    function initialize(address a, address b) external;
    function initialize(address a, address b, address c) external;
    function initialize(address a, address b, address c, address d) external;
    function initialize(address a, address b, address c, address d, address e, address f, address g) external;
    function initialize(
        address config,
        address vault,
        uint8 maxCollateralTokensPerAccount,
        uint24 debtNonSettlementTokenValueRatio,
        uint24 liquidationRatio,
        uint24 mmRatioBuffer,
        uint24 clInsuranceFundFeeRatio,
        uint256 debtThreshold,
        uint256 collateralValueDust
    ) external;
    function setExchange(address exchange) external;
    function setAccountBalance(address accountBalance) external;
    function setCollateralManager(address collateralManager) external;
    function setVault(address vault) external;
    function setClearingHouse(address clearingHouse) external;
    function setDelegateApproval(address delegateApproval) external;
    function setSettlementTokenBalanceCap(uint256 cap) external;
    function setFeeManager(address account, bool isFeeManager) external;
    function setFeeRatio(address baseToken, uint24 ratio) external;
    function setInsuranceFundFeeRatio(address baseToken, uint24 ratio) external;
    function setMaxTickCrossedWithinBlock(address baseToken, uint24 ticks) external;
    function setMarkPriceMarketTwapInterval(uint32 interval) external;
    function setMarkPricePremiumInterval(uint32 interval) external;
    function setMarketMaxPriceSpreadRatio(address baseToken, uint24 ratio) external;
    function mintMaximumTo(address recipient) external;
    function addWhitelist(address account) external;
    function addPool(address baseToken, uint24 feeRatio) external returns (address);
    function pause() external;
    function unpause() external;
    function close(uint256 closedPrice) external;
}

/// @dev A whole Perp v2. The deployer owns it.
struct PerpV2 {
    TestUSDC usdc;
    IUniswapV3Factory factory;
    IPerpClearingHouse clearingHouse;
    IPerpVault vault;
    IPerpExchange exchange;
    IPerpAccountBalance accountBalance;
    address orderBook;
    IPerpMarketRegistry marketRegistry;
    IPerpClearingHouseConfig config;
    IPerpInsuranceFund insuranceFund;
    address collateralManager;
    address delegateApproval;
    address quoteToken;
    MarketMaker marketMaker;
}

/// @dev One market of it.
struct PerpMarket {
    IPerpBaseToken baseToken;
    IUniswapV3Pool pool;
    SettableAggregator aggregator;
    address priceFeed;
}

/// @title The real Perp v2 on Uniswap v3, from the bytecode its npm packages ship
/// @notice In two steps with a time warp between them: for a broadcast to a local chain (`DeployLocalVenue.s.sol`) and,
/// through `test/contracts/venue/PerpV2Fixture.sol`, for forge tests.
abstract contract PerpV2Deployer is CommonBase {
    /// @dev Permit2 has this address on every chain.
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    address internal constant CREATE2_DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;

    /// @dev The first salt that gives the quote token an address from 0xffff on.
    uint256 internal constant QUOTE_TOKEN_SALT = 33_352;

    /// @dev Uniswap fee tier of the pools: tick spacing 60. Traders pay the exchange fee instead.
    uint24 internal constant POOL_FEE = 3000;
    /// @dev 0.1 % of quote, a fifth of it to the venue's insurance fund.
    uint24 internal constant EXCHANGE_FEE = 1000;
    uint24 internal constant INSURANCE_FEE = 200_000;
    /// @dev The venue's own maximum, about 10 % in 15 s.
    uint24 internal constant MAX_TICKS = 1000;

    /// @dev The mark price needs half an hour of pool history; a pool writes at most one observation a second.
    uint32 internal constant PRICE_HISTORY = 30 minutes;
    uint16 internal constant OBSERVATIONS = 1850;
    uint16 internal constant OBSERVATIONS_PER_CALL = 400;

    /// @dev Per market: 4 bn of quote and as much base from a quarter to four times the price, so that 10 M traded at
    /// once moves the price by 0.25 %; margined more than twice over.
    uint256 internal constant MAKER_QUOTE = 4e9 * 1e18;
    uint256 internal constant MAKER_COLLATERAL = 2e9 * 1e6;
    int24 internal constant MAKER_HALF_RANGE = 13_860;

    int256 internal constant ETH_PRICE = 2000e8;
    int256 internal constant BTC_PRICE = 60_000e8;

    PerpV2 internal perp;
    PerpMarket internal ethMarket;
    PerpMarket internal btcMarket;
    /// @dev Chainlink's L2 sequencer uptime feed: answer 0, up.
    SettableAggregator internal sequencerFeed;

    // --- The two steps ------------------------------------------------------------------------------------------

    /// @notice All contracts and markets. `owner` must be who makes the calls.
    function _deployContracts(address owner) internal {
        perp = _deployPerp(owner);
        ethMarket = _deployMarket("ETH", ETH_PRICE);
        btcMarket = _deployMarket("BTC", BTC_PRICE);
        perp.marketMaker = new MarketMaker(perp.clearingHouse, perp.marketRegistry);
        sequencerFeed = new SettableAggregator("L2 sequencer uptime", 0, 0);
    }

    /// @notice Fresh prices and liquidity for both markets, once the pools are {PRICE_HISTORY} old.
    function _provideLiquidity(uint256 quote, uint256 collateral) internal {
        _provideLiquidity(ethMarket, quote, collateral);
        _provideLiquidity(btcMarket, quote, collateral);
    }

    function _provideLiquidity(PerpMarket memory market, uint256 quote, uint256 collateral) internal {
        perp.marketMaker.setIndexPrice(address(market.baseToken), market.aggregator, market.aggregator.latestAnswer());
        perp.marketMaker.provide(address(market.baseToken), collateral, quote, MAKER_HALF_RANGE);
    }

    // --- Parts --------------------------------------------------------------------------------------------------

    /// @notice Permit2's runtime code. Its cached domain separator is mainnet's; elsewhere it computes its own.
    function _permit2Code() internal view returns (bytes memory) {
        string memory json = vm.readFile("node_modules/@1inch/solidity-utils/dist/src/permit2.json");
        return vm.parseJsonBytes(json, ".bytecode");
    }

    /// @notice The venue without markets.
    function _deployPerp(address owner) internal returns (PerpV2 memory v) {
        v.usdc = new TestUSDC();
        v.factory = IUniswapV3Factory(
            _create("node_modules/@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json", "")
        );
        v.config = IPerpClearingHouseConfig(_createCurie("ClearingHouseConfig"));
        IPerpAdmin(address(v.config)).initialize();
        v.quoteToken = _createQuoteToken();
        IPerpAdmin(v.quoteToken).initialize("vUSD", "vUSD");
        v.marketRegistry = IPerpMarketRegistry(_createCurie("MarketRegistry"));
        IPerpAdmin(address(v.marketRegistry)).initialize(address(v.factory), v.quoteToken);
        v.orderBook = _createCurie("OrderBook");
        IPerpAdmin(v.orderBook).initialize(address(v.marketRegistry));
        v.insuranceFund = IPerpInsuranceFund(_createCurie("InsuranceFund"));
        IPerpAdmin(address(v.insuranceFund)).initialize(address(v.usdc));
        v.exchange = IPerpExchange(_createCurie("Exchange"));
        IPerpAdmin(address(v.exchange)).initialize(address(v.marketRegistry), v.orderBook, address(v.config));
        v.accountBalance = IPerpAccountBalance(_createCurie("AccountBalance"));
        IPerpAdmin(address(v.accountBalance)).initialize(address(v.config), v.orderBook);
        v.vault = IPerpVault(_createCurie("Vault"));
        IPerpAdmin(address(v.vault))
            .initialize(address(v.insuranceFund), address(v.config), address(v.accountBalance), address(v.exchange));
        v.collateralManager = _createCurie("CollateralManager");
        IPerpAdmin(v.collateralManager)
            .initialize(address(v.config), address(v.vault), 5, 750_000, 500_000, 2000, 30_000, 10_000e6, 500e6);
        v.clearingHouse = IPerpClearingHouse(_createCurie("ClearingHouse"));
        IPerpAdmin(address(v.clearingHouse))
            .initialize(
                address(v.config),
                address(v.vault),
                v.quoteToken,
                address(v.factory),
                address(v.exchange),
                address(v.accountBalance),
                address(v.insuranceFund)
            );
        v.delegateApproval = _createCurie("DelegateApproval");
        IPerpAdmin(v.delegateApproval).initialize();
        _wire(v, owner);
    }

    /// @notice A market vSYMBOL with an oracle of its own, open for trading once the pool has its history.
    function _deployMarket(string memory symbol, int256 price) internal returns (PerpMarket memory m) {
        string memory name = string.concat("v", symbol);
        address clearingHouse = address(perp.clearingHouse);

        m.aggregator = new SettableAggregator(string.concat(symbol, " / USD"), 8, price);
        m.priceFeed = _create(_oracle("ChainlinkPriceFeedV3"), abi.encode(m.aggregator, 40 minutes, 15 minutes));
        address dispatcher = _create(_oracle("PriceFeedDispatcher"), abi.encode(m.priceFeed));

        // The venue wants the base token sorted before the quote token.
        address base;
        do {
            base = _createCurie("BaseToken");
        } while (base > perp.quoteToken);
        m.baseToken = IPerpBaseToken(base);
        IPerpAdmin(base).initialize(name, name, dispatcher);

        m.pool = IUniswapV3Pool(perp.factory.createPool(base, perp.quoteToken, POOL_FEE));
        // forge-lint: disable-next-line(unsafe-typecast) a price is positive
        m.pool.initialize(uint160(Math.sqrt(Math.mulDiv(uint256(price), 1 << 192, 1e8))));
        for (uint16 n = 0; n < OBSERVATIONS;) {
            n = n + OBSERVATIONS_PER_CALL < OBSERVATIONS ? n + OBSERVATIONS_PER_CALL : OBSERVATIONS;
            m.pool.increaseObservationCardinalityNext(n);
        }

        IPerpAdmin(base).addWhitelist(address(m.pool));
        IPerpAdmin(perp.quoteToken).addWhitelist(address(m.pool));
        IPerpAdmin(base).addWhitelist(clearingHouse);
        IPerpAdmin(base).mintMaximumTo(clearingHouse);
        IPerpAdmin(address(perp.marketRegistry)).addPool(base, POOL_FEE);
        IPerpAdmin(address(perp.marketRegistry)).setFeeRatio(base, EXCHANGE_FEE);
        IPerpAdmin(address(perp.marketRegistry)).setInsuranceFundFeeRatio(base, INSURANCE_FEE);
        IPerpAdmin(address(perp.exchange)).setMaxTickCrossedWithinBlock(base, MAX_TICKS);
    }

    function _wire(PerpV2 memory v, address owner) private {
        address clearingHouse = address(v.clearingHouse);
        IPerpAdmin(v.orderBook).setExchange(address(v.exchange));
        IPerpAdmin(address(v.exchange)).setAccountBalance(address(v.accountBalance));
        IPerpAdmin(address(v.vault)).setCollateralManager(v.collateralManager);
        IPerpAdmin(address(v.insuranceFund)).setVault(address(v.vault));
        IPerpAdmin(address(v.accountBalance)).setVault(address(v.vault));
        IPerpAdmin(address(v.marketRegistry)).setClearingHouse(clearingHouse);
        IPerpAdmin(v.orderBook).setClearingHouse(clearingHouse);
        IPerpAdmin(address(v.exchange)).setClearingHouse(clearingHouse);
        IPerpAdmin(address(v.accountBalance)).setClearingHouse(clearingHouse);
        IPerpAdmin(address(v.vault)).setClearingHouse(clearingHouse);
        IPerpAdmin(clearingHouse).setDelegateApproval(v.delegateApproval);
        IPerpAdmin(address(v.config)).setSettlementTokenBalanceCap(type(uint256).max);
        IPerpAdmin(address(v.marketRegistry)).setFeeManager(owner, true);
        IPerpAdmin(v.quoteToken).mintMaximumTo(clearingHouse);
        IPerpAdmin(v.quoteToken).addWhitelist(clearingHouse);
    }

    function _createCurie(string memory name) private returns (address) {
        return _create(_curie(name), "");
    }

    function _create(string memory artifact, bytes memory args) private returns (address created) {
        bytes memory code = bytes.concat(vm.getCode(artifact), args);
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
        }
        require(created != address(0), artifact);
    }

    /// @dev At a high address, as base tokens must sort before it; the first one free, so that several venues fit on
    /// one chain.
    function _createQuoteToken() private returns (address quoteToken) {
        bytes memory code = vm.getCode(_curie("QuoteToken"));
        bytes32 codeHash = keccak256(code);
        uint256 salt = QUOTE_TOKEN_SALT;
        while (true) {
            quoteToken = vm.computeCreate2Address(bytes32(salt), codeHash, CREATE2_DEPLOYER);
            if (uint160(quoteToken) >> 152 == 0xff && quoteToken.code.length == 0) break;
            ++salt;
        }
        (bool ok,) = CREATE2_DEPLOYER.call(bytes.concat(bytes32(salt), code));
        require(ok && quoteToken.code.length != 0, "quote token");
    }

    function _curie(string memory name) private pure returns (string memory) {
        return string.concat("node_modules/@perp/curie-contract/artifacts/contracts/", name, ".sol/", name, ".json");
    }

    function _oracle(string memory name) private pure returns (string memory) {
        return
            string.concat("node_modules/@perp/perp-oracle-contract/artifacts/contracts/", name, ".sol/", name, ".json");
    }
}
