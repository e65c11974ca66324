// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {MathLib} from "./MathLib.sol";

/// @title FundingLib
/// @notice The venue charges the vault's net position; the index passes it on to every account by its own size, so that
/// longs and shorts inside the vault pay each other and the remainder is what the venue asks.
library FundingLib {
    using MathLib for int256;

    /// @notice Move of the index (1e9 per base unit) that collects at least `pending`.
    /// @param pending 1e18 USDC the vault owes, negative when it will receive
    /// @param net signed net size, 1e18. When it is 0 the index does not move.
    /// @dev net * delta >= pending * 1e9 for either sign of net. |pending| < 2^160, so the product cannot overflow.
    function delta(int256 pending, int256 net) internal pure returns (int256) {
        if (net == 0 || pending == 0) return 0;
        int256 scaled = pending * 1e9;
        return net > 0 ? scaled.divUp(uint256(net)) : (-scaled).divDown(uint256(-net));
    }
}
// forge-lint: disable-end(unsafe-typecast)
