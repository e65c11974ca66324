// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {IPerpBaseToken} from "../../contracts/venues/perp-v2/interfaces/IPerpV2.sol";
import {PerpMarket, PerpV2Deployer} from "./PerpV2Deployer.sol";
import {MarketMaker} from "./local/MarketMaker.sol";
import {SettableAggregator} from "./local/SettableAggregator.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Script} from "forge-std/Script.sol";

/// @title Perp v2, Permit2 and USDC on a local anvil
/// @notice Two calls, because half an hour of chain time lies between them: `run()` deploys and writes the addresses,
/// `seed()` moves the clock and provides the liquidity. Addresses go to, and are read from, the file that
/// LOCKSTEP_VENUE names (`.lockstep/venue.json`). How to call it: `script/README.md`.
contract DeployLocalVenue is PerpV2Deployer, Script {
    function run() external {
        vm.rpc("anvil_setCode", string.concat('["', vm.toString(PERMIT2), '","', vm.toString(_permit2Code()), '"]'));
        uint256 startBlock = vm.getBlockNumber();
        vm.startBroadcast();
        (, address owner,) = vm.readCallers();
        _deployContracts(owner);
        vm.stopBroadcast();
        _write(startBlock);
    }

    function seed() external {
        string memory json = vm.readFile(_path());
        perp.marketMaker = MarketMaker(vm.parseJsonAddress(json, ".marketMaker"));
        ethMarket = _read(json, ".markets.ETH");
        btcMarket = _read(json, ".markets.BTC");
        _passTime();
        vm.startBroadcast();
        _provideLiquidity(MAKER_QUOTE, MAKER_COLLATERAL);
        vm.stopBroadcast();
    }

    /// @dev To the wall clock, or to the end of {PRICE_HISTORY} where that is later.
    function _passTime() private {
        uint256 time = Math.max(vm.unixTime() / 1000, block.timestamp + PRICE_HISTORY + 1);
        vm.rpc("evm_setTime", string.concat("[", vm.toString(time), "]"));
        vm.rpc("evm_mine", "[]");
        vm.rollFork(vm.getBlockNumber() + 1);
    }

    function _write(uint256 startBlock) private {
        string memory markets = "markets";
        vm.serializeString(markets, "ETH", _serialize("ETH", ethMarket));
        markets = vm.serializeString(markets, "BTC", _serialize("BTC", btcMarket));

        string memory venue = "venue";
        vm.serializeUint(venue, "chainId", block.chainid);
        vm.serializeUint(venue, "startBlock", startBlock);
        vm.serializeAddress(venue, "permit2", PERMIT2);
        vm.serializeAddress(venue, "usdc", address(perp.usdc));
        vm.serializeAddress(venue, "sequencerFeed", address(sequencerFeed));
        vm.serializeAddress(venue, "uniswapV3Factory", address(perp.factory));
        vm.serializeAddress(venue, "clearingHouse", address(perp.clearingHouse));
        vm.serializeAddress(venue, "vault", address(perp.vault));
        vm.serializeAddress(venue, "exchange", address(perp.exchange));
        vm.serializeAddress(venue, "accountBalance", address(perp.accountBalance));
        vm.serializeAddress(venue, "orderBook", perp.orderBook);
        vm.serializeAddress(venue, "marketRegistry", address(perp.marketRegistry));
        vm.serializeAddress(venue, "config", address(perp.config));
        vm.serializeAddress(venue, "insuranceFund", address(perp.insuranceFund));
        vm.serializeAddress(venue, "collateralManager", perp.collateralManager);
        vm.serializeAddress(venue, "delegateApproval", perp.delegateApproval);
        vm.serializeAddress(venue, "quoteToken", perp.quoteToken);
        vm.serializeAddress(venue, "marketMaker", address(perp.marketMaker));
        venue = vm.serializeString(venue, "markets", markets);
        vm.createDir(".lockstep", true);
        vm.writeJson(venue, _path());
    }

    function _serialize(string memory key, PerpMarket memory m) private returns (string memory) {
        vm.serializeAddress(key, "baseToken", address(m.baseToken));
        vm.serializeAddress(key, "pool", address(m.pool));
        vm.serializeAddress(key, "aggregator", address(m.aggregator));
        return vm.serializeAddress(key, "priceFeed", m.priceFeed);
    }

    function _read(string memory json, string memory key) private pure returns (PerpMarket memory m) {
        m.baseToken = IPerpBaseToken(vm.parseJsonAddress(json, string.concat(key, ".baseToken")));
        m.aggregator = SettableAggregator(vm.parseJsonAddress(json, string.concat(key, ".aggregator")));
    }

    function _path() private view returns (string memory) {
        return vm.envOr("LOCKSTEP_VENUE", string(".lockstep/venue.json"));
    }
}
