// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {PerpV2Deployer} from "../../../script/deploy/PerpV2Deployer.sol";
import {Test} from "forge-std/Test.sol";

contract PerpV2DeployerTest is PerpV2Deployer, Test {
    function setUp() public {
        _deployVenue();
    }

    function test_x() public view {
        assertEq(perp.accountBalance.getMarkPrice(address(ethMarket.baseToken)) / 1e18, 1999);
    }
}
