// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {IPerpClearingHouse} from "../../contracts/venues/perp-v2/interfaces/IPerpV2.sol";
import {Lockstep, LockstepConfig, LockstepDeployer} from "./LockstepDeployer.sol";
import {Script} from "forge-std/Script.sol";

/// @title Deploys Lockstep and writes where it is
/// @notice `forge script script/deploy/DeployLockstep.s.sol --broadcast --rpc-url …`
///
/// From the environment (`.env`), for a public L2:
///   USDC, PERP_CLEARING_HOUSE, PERP_MARKET_REGISTRY   what it is built on
///   MARKETS, MARKET_BASE_TOKENS                       comma-separated, e.g. ETH-USD,BTC-USD
///   GOVERNANCE                                        owner of the registry; the deployer if unset
///   KEEPER (or LOCKSTEP_KEEPER)                       first keeper key; none if unset
///   PERMIT2                                           the canonical address if unset
///   MAX_PRICE_AGE                                     seconds; 3600 if unset
///   SEQUENCER_FEED                                    Chainlink's uptime feed; none if unset
/// Without USDC everything about the venue is read from the file LOCKSTEP_VENUE names (`.lockstep/venue.json`), which
/// `DeployLocalVenue.s.sol` writes. The addresses go to the file LOCKSTEP_DEPLOYMENT names
/// (`.lockstep/deployment.json`).
contract DeployLockstep is LockstepDeployer, Script {
    address internal constant CANONICAL_PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;

    function run() external {
        uint256 startBlock = vm.getBlockNumber();
        LockstepConfig memory c = vm.envExists("USDC") ? _fromEnvironment() : _fromLocalVenue();
        c.permit2 = vm.envOr("PERMIT2", CANONICAL_PERMIT2);
        c.maxPriceAge = vm.envOr("MAX_PRICE_AGE", uint256(1 hours));
        c.keeper = vm.envOr("KEEPER", vm.envOr("LOCKSTEP_KEEPER", address(0)));

        vm.startBroadcast();
        (, address deployer,) = vm.readCallers();
        c.governance = vm.envOr("GOVERNANCE", deployer);
        Lockstep memory l = _deployLockstep(c, deployer);
        vm.stopBroadcast();
        _write(l, c, startBlock);
    }

    function _fromEnvironment() private view returns (LockstepConfig memory c) {
        c.usdc = vm.envAddress("USDC");
        c.clearingHouse = vm.envAddress("PERP_CLEARING_HOUSE");
        c.marketRegistry = vm.envAddress("PERP_MARKET_REGISTRY");
        c.sequencerFeed = vm.envOr("SEQUENCER_FEED", address(0));
        c.symbols = vm.envString("MARKETS", ",");
        c.baseTokens = vm.envAddress("MARKET_BASE_TOKENS", ",");
        require(c.symbols.length == c.baseTokens.length, "MARKETS and MARKET_BASE_TOKENS differ in length");
    }

    function _fromLocalVenue() private view returns (LockstepConfig memory c) {
        string memory json = vm.readFile(vm.envOr("LOCKSTEP_VENUE", string(".lockstep/venue.json")));
        c.usdc = vm.parseJsonAddress(json, ".usdc");
        c.clearingHouse = vm.parseJsonAddress(json, ".clearingHouse");
        c.marketRegistry = vm.parseJsonAddress(json, ".marketRegistry");
        c.sequencerFeed = vm.parseJsonAddress(json, ".sequencerFeed");
        c.symbols = new string[](2);
        (c.symbols[0], c.symbols[1]) = ("ETH-USD", "BTC-USD");
        c.baseTokens = new address[](2);
        c.baseTokens[0] = vm.parseJsonAddress(json, ".markets.ETH.baseToken");
        c.baseTokens[1] = vm.parseJsonAddress(json, ".markets.BTC.baseToken");
    }

    function _write(Lockstep memory l, LockstepConfig memory c, uint256 startBlock) private {
        IPerpClearingHouse house = IPerpClearingHouse(c.clearingHouse);
        string memory perp = "perp";
        vm.serializeAddress(perp, "clearingHouse", c.clearingHouse);
        vm.serializeAddress(perp, "accountBalance", house.getAccountBalance());
        vm.serializeAddress(perp, "vault", house.getVault());
        vm.serializeAddress(perp, "marketRegistry", c.marketRegistry);
        perp = vm.serializeAddress(perp, "exchange", house.getExchange());

        string[] memory markets = new string[](c.symbols.length);
        for (uint256 i = 0; i < markets.length; ++i) {
            string memory key = c.symbols[i];
            vm.serializeUint(key, "listingId", i);
            vm.serializeString(key, "symbol", c.symbols[i]);
            markets[i] = vm.serializeBytes32(key, "venueMarket", bytes32(uint256(uint160(c.baseTokens[i]))));
        }

        string memory root = "deployment";
        vm.serializeUint(root, "chainId", block.chainid);
        vm.serializeUint(root, "deploymentBlock", startBlock);
        vm.serializeAddress(root, "registry", address(l.registry));
        vm.serializeAddress(root, "engine", address(l.engine));
        vm.serializeAddress(root, "liquidator", address(l.liquidator));
        vm.serializeAddress(root, "insurance", address(l.insurance));
        vm.serializeAddress(root, "venue", address(l.venue));
        vm.serializeAddress(root, "vaultImplementation", address(l.vaultImplementation));
        vm.serializeAddress(root, "usdc", c.usdc);
        vm.serializeAddress(root, "permit2", c.permit2);
        vm.serializeString(root, "perp", perp);
        root = vm.serializeString(root, "markets", markets);
        vm.createDir(".lockstep", true);
        vm.writeJson(root, vm.envOr("LOCKSTEP_DEPLOYMENT", string(".lockstep/deployment.json")));
    }
}
