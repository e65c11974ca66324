// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

/// @title IInsuranceFund
/// @notice Takes 20 % of every copy fee; pays a strategy's bad debt at once, up to a cap per strategy and day, so that a
/// self-made price in a thin market cannot empty it.
interface IInsuranceFund {
    event Covered(address indexed vault, uint256 requested, uint256 paid);
    event Donated(address indexed from, uint256 amount);

    error OnlyVault(address caller);

    /// @notice Pays the calling vault up to `amount` USDC (1e6) towards bad debt.
    function cover(uint256 amount) external returns (uint256 paid);

    /// @notice Adds to the fund.
    function donate(uint256 amount) external;

    /// @notice USDC (1e6) in the fund, by its own books.
    function balance() external view returns (uint256);
    /// @notice What `cover` would pay this vault now at most.
    function available(address vault) external view returns (uint256);
}
