// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {MathLib} from "./MathLib.sol";
import {PositionLib} from "./PositionLib.sol";
import {SIZE_DUST} from "./VaultState.sol";

/// @title FundingLib
/// @notice The venue charges the vault's net position; the index passes it on to every account by its own size, so that
/// longs and shorts inside the vault pay each other and the remainder is what the venue asks.
library FundingLib {
    using MathLib for int256;
    using MathLib for uint256;

    /// @notice The index after the venue's `pending` is passed on. It stops at the edge of a position's field: an index
    /// that ran on would be cut there, and one that reverted would keep everyone in.
    /// @param index 1e9 per base unit
    /// @param pending 1e18 USDC the vault owes, negative when it will receive
    /// @param held the venue's signed size, 1e18: what it charges for
    /// @param net the ledger's signed net size, 1e18
    function moved(int256 index, int256 pending, int256 held, int256 net) internal pure returns (int256) {
        index += delta(pending, held, net);
        if (index > PositionLib.MAX_FUNDING) return PositionLib.MAX_FUNDING;
        if (index < -PositionLib.MAX_FUNDING) return -PositionLib.MAX_FUNDING;
        return index;
    }

    /// @notice Move of the index (1e9 per base unit) that passes `pending` on, at most the venue's own charge per unit
    /// rounded to the vault's favour.
    /// @dev Divided by the ledger's net, which may be a single wei while the venue holds up to SIZE_DUST more, a unit would
    /// pay for 1e9. By the larger of the two the accounts together never receive more than the venue pays; what they pay
    /// less than it asks is its charge for a SIZE_DUST. A venue that holds no more than that, or the other side, charges
    /// nothing that a unit could feel: then the index stands still.
    /// |pending| < 2^160, so the product cannot overflow.
    function delta(int256 pending, int256 held, int256 net) internal pure returns (int256) {
        if (pending == 0 || net == 0 || held.abs() <= SIZE_DUST || (net > 0) != (held > 0)) return 0;
        int256 scaled = pending * 1e9;
        uint256 size = held.abs().max(net.abs());
        return held > 0 ? scaled.divUp(size) : (-scaled).divDown(size);
    }
}
// forge-lint: disable-end(unsafe-typecast)
