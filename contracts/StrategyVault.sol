// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IMasterRegistry} from "./interfaces/IMasterRegistry.sol";
import {IStrategyVault} from "./interfaces/IStrategyVault.sol";
import {IVenue} from "./interfaces/IVenue.sol";
import {Cause, Mandate, Outcome} from "./interfaces/LockstepTypes.sol";
import {FeeLib} from "./libraries/FeeLib.sol";
import {FlowLib} from "./libraries/FlowLib.sol";
import {MirrorLib} from "./libraries/MirrorLib.sol";
import {NavLib} from "./libraries/NavLib.sol";
import {ITradeWithin, TradeLib} from "./libraries/TradeLib.sol";
import {MAX_MARKETS, VaultState, WAD} from "./libraries/VaultState.sol";
import {ViewLib} from "./libraries/ViewLib.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";

/// @title StrategyVault
/// @notice Custody and ledger of one strategy shard. A clone: the code never changes and nobody can pause it.
///
/// LEDGER. An account is a margin and a position per market. A position's quote balance takes everything a trade
/// changes: price paid, fees, funding. Margin and quote balances only ever meet on a flow of that account. So a batch
/// reads two slots per account and writes one.
///
/// TRUTH. What the vault holds at the venue is the truth and the ledger its division (`LossLib`). Balances of tokens
/// are never read: gifts change nothing.
///
/// ROUNDING. Every amount owed by an account rounds up and every amount owned rounds down; what is left over stays in
/// the vault and belongs to nobody.
///
/// ACCESS. The engine moves positions and brings deposits, the liquidator closes by force, the follower leaves alone.
/// There is no owner.
contract StrategyVault is IStrategyVault, ITradeWithin, ReentrancyGuardTransient {
    /// @notice Creates the vaults and tells them their terms.
    address public immutable registry;
    /// @notice The only caller of `mirror`, `acceptMandate`, `stopFor` and `withdrawFor`.
    address public immutable engine;
    /// @notice The only caller of `forceClose`.
    address public immutable liquidator;
    address public immutable insurance;
    address public immutable usdc;

    VaultState internal state;

    /// @notice The vault has been initialised, or the caller is not the registry.
    error OnlyRegistry(address caller);
    error OnlySelf();
    error UnknownNavPoint(uint256 index);

    modifier onlyMirror() {
        if (msg.sender != engine) revert OnlyMirror(msg.sender);
        _;
    }

    constructor(address registry_, address engine_, address liquidator_, address insurance_, address usdc_) {
        (registry, engine, liquidator, insurance, usdc) = (registry_, engine_, liquidator_, insurance_, usdc_);
    }

    /// @notice Called once by the registry, in the transaction that creates the clone.
    function initialize(uint256 strategyId_, address venue_, address master, IMasterRegistry.Market[] calldata markets)
        external
    {
        VaultState storage s = state;
        if (msg.sender != registry || s.venue != address(0)) revert OnlyRegistry(msg.sender);
        s.venue = venue_;
        s.strategyId = uint64(strategyId_);
        s.master = master;
        s.registry = registry;
        s.insurance = insurance;
        s.usdc = usdc;
        s.marketCount = uint8(markets.length);
        (s.marginIndex, s.lastIndex) = (uint64(WAD), uint128(WAD));
        for (uint256 m = 0; m < markets.length; ++m) {
            s.markets[m].venueMarket = markets[m].venueMarket;
            s.marketOf[keccak256(bytes(markets[m].symbol))] = m + 1;
        }
    }

    // ---------------------------------------------------------------- MirrorEngine only

    /// @inheritdoc IStrategyVault
    function acceptMandate(Mandate calldata mandate, bytes32 mandateHash)
        external
        onlyMirror
        nonReentrant
        returns (uint32 account)
    {
        return FlowLib.accept(state, mandate, mandateHash);
    }

    /// @inheritdoc IStrategyVault
    function mirror(MirrorOrder calldata order, bytes calldata accounts)
        external
        onlyMirror
        nonReentrant
        returns (uint64 batchId, uint256 moved)
    {
        return MirrorLib.mirror(state, order, accounts);
    }

    /// @inheritdoc IStrategyVault
    function stopFor(address follower) external onlyMirror nonReentrant {
        FlowLib.stop(state, _accountOf(follower));
    }

    /// @inheritdoc IStrategyVault
    function withdrawFor(address follower, uint256 amount) external onlyMirror nonReentrant returns (uint256 paid) {
        return FlowLib.withdraw(state, _accountOf(follower), amount);
    }

    // ---------------------------------------------------------------- follower alone

    /// @inheritdoc IStrategyVault
    function stop() external nonReentrant {
        FlowLib.stop(state, _accountOf(msg.sender));
    }

    /// @inheritdoc IStrategyVault
    function exit(uint256 maxSlippageBps) external nonReentrant returns (uint256 paid) {
        return FlowLib.exit(state, _accountOf(msg.sender), maxSlippageBps);
    }

    /// @inheritdoc IStrategyVault
    function closePosition(uint8 market, uint256 size, uint256 maxSlippageBps) external nonReentrant {
        FlowLib.closePosition(state, _accountOf(msg.sender), market, size, maxSlippageBps);
    }

    /// @inheritdoc IStrategyVault
    function withdraw(uint256 amount) external nonReentrant returns (uint256 paid) {
        return FlowLib.withdraw(state, _accountOf(msg.sender), amount);
    }

    // ---------------------------------------------------------------- Liquidator only

    /// @inheritdoc IStrategyVault
    function forceClose(uint32 account, Cause cause, address rewardTo)
        external
        nonReentrant
        returns (uint256 notional)
    {
        if (msg.sender != liquidator) revert OnlyLiquidator(msg.sender);
        if (account == 0 || account > state.accountCount) revert UnknownAccount(account);
        return FlowLib.forceClose(state, account, cause, rewardTo);
    }

    // ---------------------------------------------------------------- anyone

    /// @inheritdoc IStrategyVault
    function checkpoint() external nonReentrant returns (uint256 index) {
        return FlowLib.checkpoint(state);
    }

    /// @inheritdoc IStrategyVault
    function reconcile(uint8 market) external nonReentrant {
        FlowLib.reconcile(state, market);
    }

    /// @inheritdoc IStrategyVault
    function crystallise(uint32[] calldata accounts) external nonReentrant {
        FlowLib.crystallise(state, accounts);
    }

    /// @inheritdoc IStrategyVault
    function claimFees(address who) external nonReentrant returns (uint256 amount) {
        return FlowLib.claim(state, who);
    }

    // ---------------------------------------------------------------- the vault itself

    /// @notice A venue trade that is undone when its price is out of range. Only the vault calls it.
    function tradeWithin(bytes32 market, int256 size, uint256 lowest, uint256 highest)
        external
        returns (IVenue.Fill memory fill, uint256 price)
    {
        if (msg.sender != address(this)) revert OnlySelf();
        return TradeLib.within(state.venue, market, size, lowest, highest);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IStrategyVault
    function strategyId() external view returns (uint256) {
        return state.strategyId;
    }

    /// @inheritdoc IStrategyVault
    function venue() external view returns (address) {
        return state.venue;
    }

    /// @inheritdoc IStrategyVault
    function navCount() external view nonReadReentrant returns (uint256) {
        return state.navCount;
    }

    /// @inheritdoc IStrategyVault
    function navAt(uint256 i)
        external
        view
        nonReadReentrant
        returns (uint64 time, uint256 navIndex, uint256 totalEquity)
    {
        if (i >= state.navCount) revert UnknownNavPoint(i);
        return NavLib.unpack(state.nav[i]);
    }

    /// @inheritdoc IStrategyVault
    function nav() external view nonReadReentrant returns (uint256 navIndex, uint256 totalEquity) {
        return ViewLib.nav(state);
    }

    /// @inheritdoc IStrategyVault
    function accountCount() external view returns (uint32) {
        return state.accountCount;
    }

    /// @inheritdoc IStrategyVault
    function accountOf(address follower) external view returns (uint32) {
        return state.accountOf[follower];
    }

    /// @inheritdoc IStrategyVault
    function accountView(uint32 account) external view nonReadReentrant returns (AccountView memory) {
        return ViewLib.accountView(state, account);
    }

    /// @inheritdoc IStrategyVault
    function positionView(uint32 account, uint8 market) external view nonReadReentrant returns (PositionView memory) {
        return ViewLib.positionView(state, account, market);
    }

    /// @inheritdoc IStrategyVault
    function equityOf(uint32 account) external view nonReadReentrant returns (int256) {
        return ViewLib.equityOf(state, account);
    }

    /// @inheritdoc IStrategyVault
    function maintenanceOf(uint32 account) external view nonReadReentrant returns (uint256) {
        return ViewLib.maintenanceOf(state, account);
    }

    /// @inheritdoc IStrategyVault
    function freeMarginOf(uint32 account) external view nonReadReentrant returns (uint256) {
        return ViewLib.freeMarginOf(state, account);
    }

    /// @inheritdoc IStrategyVault
    function marketCount() external view returns (uint8) {
        return state.marketCount;
    }

    /// @inheritdoc IStrategyVault
    function marketView(uint8 market) external view nonReadReentrant returns (MarketView memory) {
        return ViewLib.marketView(state, market);
    }

    /// @inheritdoc IStrategyVault
    function claimable(address who) external view returns (uint256) {
        return FeeLib.claimable(state, who);
    }

    /// @inheritdoc IStrategyVault
    function previewTarget(uint32 account, uint8 market, int256 leverage)
        external
        view
        nonReadReentrant
        returns (int256 target, int256 delta, Outcome outcome)
    {
        return MirrorLib.preview(state, account, market, leverage);
    }

    // ---------------------------------------------------------------- internal

    function _accountOf(address follower) private view returns (uint256 account) {
        account = state.accountOf[follower];
        if (account == 0) revert OnlyFollower(0, follower);
    }

    /// @dev Transient storage on every chain.
    function _useTransientReentrancyGuardOnlyOnMainnet() internal pure override returns (bool) {
        return false;
    }
}
// forge-lint: disable-end(unsafe-typecast)
