// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

/// @title IVenue
/// @notice One adapter per exchange. An adapter holds no funds and no storage that matters to a vault.
/// @dev The venue account belongs to the vault alone. The functions marked DELEGATECALL run in the vault's own
/// context, so that `msg.sender` at the exchange is the vault; an adapter therefore keeps its configuration in
/// immutables and must never write storage there. All other functions are views that name the account they read.
///
/// Units: prices 1e18 USDC per base unit; sizes 1e18 base units, positive = long; `cash` 1e18 USDC;
/// USDC amounts 1e6.
interface IVenue {
    /// @notice What one trade did.
    /// @param size signed base filled, 1e18, positive = bought
    /// @param quote signed quote exchanged, 1e18 USDC, fee excluded: negative when bought
    /// @param fee venue fee paid, 1e18 USDC, never negative
    struct Fill {
        int256 size;
        int256 quote;
        uint256 fee;
    }

    /// @notice What the venue holds for an account in one market.
    /// @param size signed, 1e18 base units
    /// @param openNotional signed quote balance of the position, 1e18 USDC: negative for a long
    /// @param pendingFunding 1e18 USDC the account owes but has not been charged; negative = it will receive
    struct Holding {
        int256 size;
        int256 openNotional;
        int256 pendingFunding;
    }

    error UnknownMarket(bytes32 market);
    /// @notice The index price is zero, from the future, or older than the adapter's limit.
    error StalePrice(bytes32 market, uint256 updatedAt, uint256 maxAge);
    error PriceOutOfRange(bytes32 market, uint256 price);
    /// @notice The L2 sequencer is down or came back less than the grace period ago.
    error SequencerDown(uint256 since);
    error MarketNotOpen(bytes32 market);
    /// @notice What the account holds cannot be valued at one moment without trusting whoever trades in it.
    error LeverageNotProvable(address account);

    // ---------------------------------------------------------------- DELEGATECALL, state-changing

    /// @notice Trades exactly `size` (1e18, positive buys) in `market`. DELEGATECALL.
    /// @dev A venue that fills later or in part returns what it filled now; the caller settles what was filled.
    function trade(bytes32 market, int256 size) external returns (Fill memory fill);

    /// @notice Moves `amount` USDC (1e6) from the vault to its venue account. DELEGATECALL.
    function deposit(uint256 amount) external;

    /// @notice Moves `amount` USDC (1e6) from the vault's venue account to the vault. DELEGATECALL.
    function withdraw(uint256 amount) external;

    /// @notice Turns the position in a market the venue closed for good into cash at `closedPrice`. DELEGATECALL.
    function settleClosed(bytes32 market) external;

    // ---------------------------------------------------------------- views

    /// @notice The collateral token (USDC).
    function collateral() external view returns (address);

    /// @notice Index price, 1e18 USDC per base unit. Reverts when stale, absurd, or the sequencer is down; a market that
    /// is paused has none, one that was closed for good its closing price.
    function indexPrice(bytes32 market) external view returns (uint256 price, uint256 updatedAt);

    /// @notice The account's holding in one market.
    function holding(address account, bytes32 market) external view returns (Holding memory);

    /// @notice The account's whole cash at the venue with every position valued at zero:
    /// collateral + realised profit and loss not yet swept + the quote balances of all open positions. 1e18 USDC.
    /// Pending funding is not in it.
    function cash(address account) external view returns (int256);

    /// @notice USDC (1e6) that `withdraw` would release now.
    function withdrawable(address account) external view returns (uint256);

    /// @notice Signed leverage of `account` in `market`: position notional at the index price / account equity at
    /// index prices, 1e18. 0 when it has no position. This is what a venue proof reads for a master.
    /// Reverts when it cannot be told: followers then stay as they are.
    /// @return leverage 1e18, positive = long
    /// @return equity the account's equity at index prices, 1e18 USDC; leverage is 0 when it is not positive
    function leverageOf(address account, bytes32 market) external view returns (int256 leverage, int256 equity);

    /// @notice True while the market takes trades.
    function isOpen(bytes32 market) external view returns (bool);

    /// @notice The price (1e18) at which a market that the venue closed for good settles; 0 while it is not closed.
    function closedPrice(bytes32 market) external view returns (uint256);

    /// @notice Initial and maintenance margin the venue asks of an account, bps of notional.
    function marginRequirementsBps() external view returns (uint256 initialBps, uint256 maintenanceBps);
}
