// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Cause, Mandate, Outcome, Status} from "./LockstepTypes.sol";

/// @title IStrategyVault
/// @notice Custody, accounts, positions, funding, fees and the NAV record of one strategy shard.
/// @dev Only the mirror moves positions, only the liquidator closes by force, and the follower can always exit alone,
/// paused or not, keeper or not.
interface IStrategyVault {
    /// @notice What one batch is asked to do; made by the MirrorEngine from a proved signal.
    struct MirrorOrder {
        uint8 market; // local market index
        int256 leverage; // 1e18
        uint64 sequence;
        uint64 observedAt; // unix ms
        bool reduceOnly; // breaker or governance: nothing may grow
        address sender; // who sent the batch and earns the sender's part of the copy fee
    }

    struct AccountView {
        address follower;
        Status status;
        uint8 mode;
        uint32 ratioBps; // ProRata
        uint64 fixedNotional; // Fixed, USDC 1e6
        uint32 maxLeverageBps;
        uint16 maxSlippageBps;
        uint64 maxPositionNotional; // USDC 1e6
        uint64 maxDailyTurnover; // USDC 1e6
        uint16 stopLossBps;
        uint32 takeProfitBps;
        uint16 allowedMarkets; // bitmap of local market indexes
        uint16 touchedMarkets; // bitmap of local market indexes whose position slot is not empty
        uint64 expiry;
        uint256 margin; // USDC 1e6, after socialised losses
        uint256 highWaterMark; // USDC 1e6, adjusted for flows
        uint256 netDeposits; // USDC 1e6, deposits less the proportional part of withdrawals
    }

    struct PositionView {
        int256 size; // 1e18
        int256 quote; // USDC 1e6: takes fees and realised profit and loss; negative for a long
        int256 pendingFunding; // USDC 1e6 owed since the last touch, rounded up
        uint256 dayTurnover; // USDC 1e6 used today in this market
    }

    struct MarketView {
        bytes32 venueMarket;
        string symbol;
        uint256 longSize; // 1e18, sum of all long accounts
        uint256 shortSize; // 1e18, sum of all short accounts, positive
        int256 fundingIndex; // 1e9 = 1 USDC per base unit; includes what is pending at the venue
        uint8 generation; // counts changes the venue itself made to the position
    }

    struct NavPoint {
        uint64 time; // unix seconds of the block
        uint256 navIndex; // 1e18 at the start
        uint256 totalEquity; // USDC 1e6
    }

    // ---------------------------------------------------------------- events

    event AccountOpened(uint32 indexed account, address indexed follower);
    /// @notice The whole mandate as stored, so that anyone can read the bounds of anyone's account.
    event MandateAccepted(uint32 indexed account, bytes32 indexed mandateHash, Mandate mandate);
    event StatusChanged(uint32 indexed account, Status status);
    event Deposited(uint32 indexed account, uint256 amount);
    /// @param amount what the follower was paid, USDC 1e6
    /// @param debited what left the account's margin, USDC 1e6: `amount`, or one unit more where the venue had to be asked,
    /// which rounds its books down. `amount` is 0 when that unit was all there was.
    event Withdrawn(uint32 indexed account, address indexed follower, uint256 amount, uint256 debited);
    /// @param profit profit above the high-water mark that was paid for, USDC 1e6: all of it, or as much as the margin could
    /// pay the fee of
    event PerformanceFeeCharged(uint32 indexed account, uint256 profit, uint256 fee, uint256 highWaterMark);

    /// @notice One batch. `fills` holds one 32-byte word per account named in the call, in call order:
    /// bits 255..224 account index (uint32), 223..216 Outcome (uint8), 215..128 size delta (int88, 1e18 base),
    /// 127..72 change of the account's quote balance in this market (int56, USDC 1e6; trade, fees and settled funding
    /// together), 71..24 fees (uint48, USDC 1e6: copy fee + its part of the venue fee), 23..0 zero.
    /// @param batchId counts from 1 per vault
    /// @param indexPrice 1e18
    /// @param fillPrice 1e18, the one price of everyone in the batch; the index price when all of it crossed
    /// @param netSize signed, what went to the venue, 1e18
    /// @param crossedSize 1e18, volume that met inside the batch (one side)
    /// @param venueFee USDC 1e6
    /// @param copyFee USDC 1e6
    /// @param fundingIndex funding index accounts were settled to, 1e9 per base unit
    event BatchMirrored(
        uint64 indexed batchId,
        uint8 indexed market,
        uint64 indexed sequence,
        int256 leverage,
        uint64 observedAt,
        uint256 indexPrice,
        uint256 fillPrice,
        int256 netSize,
        uint256 crossedSize,
        uint256 venueFee,
        uint256 copyFee,
        int256 fundingIndex,
        bytes fills
    );

    /// @notice A fill outside a batch: the follower's own exit, a stop-out or a liquidation.
    /// @param quoteDelta change of the account's quote balance, USDC 1e6 (trade, fees and settled funding together)
    event AccountFilled(
        uint32 indexed account,
        uint8 indexed market,
        Cause indexed cause,
        int256 sizeDelta,
        int256 quoteDelta,
        uint256 fee,
        uint256 fillPrice,
        uint256 indexPrice,
        int256 fundingIndex
    );
    /// @notice Quote balances of flat positions moved into the margin. `amount` is signed, USDC 1e6.
    event QuoteSwept(uint32 indexed account, uint8 indexed market, int256 amount);

    /// @notice Point `index` of the NAV record.
    event NavRecorded(uint256 indexed index, uint64 time, uint256 navIndex, uint256 totalEquity);

    /// @notice The venue itself changed the vault's position (liquidation, ADL, closed market). Every position in the market
    /// pays funding up to `fundingIndex`, rounded up; then each of `longSide` is credited `cashPerSize` for its old size,
    /// rounded down, and keeps `scale`/1e18 of it, rounded towards zero.
    /// @param generation number of the change. The same number again replaces what was said before: nothing had touched a
    /// position of the market in between, and both changes apply as this one, with one rounding.
    /// @param scale 1e18
    /// @param cashPerSize USDC 1e18 per old base unit
    /// @param fundingIndex 1e9 per base unit, in force at the change
    event VenueDiverged(
        uint8 indexed market, uint8 generation, bool longSide, uint256 scale, int256 cashPerSize, int256 fundingIndex
    );

    event AccountLiquidated(uint32 indexed account, address indexed liquidator, uint256 reward, uint256 toInsurance);
    /// @notice A strategy's bad debt: what insurance paid at once and what was socialised inside the strategy.
    event BadDebt(uint32 indexed account, uint256 amount, uint256 insured, uint256 socialised, uint256 marginIndex);
    event FeesClaimed(address indexed to, uint256 amount);

    // ---------------------------------------------------------------- errors

    error OnlyMirror(address caller);
    error OnlyLiquidator(address caller);
    error OnlyFollower(uint32 account, address caller);
    error UnknownAccount(uint32 account);
    error UnknownMarketIndex(uint8 market);
    error AccountsNotSorted(uint256 position);
    error MalformedAccounts(uint256 length);
    error EmptyBatch();
    /// @notice The average price is further off the index than the strategy allows.
    error SlippageBeyondLimit(uint256 fillPrice, uint256 indexPrice, uint256 limitBps);
    error PriceLimit(uint256 fillPrice, uint256 limitPrice);
    error UnsupportedMode(uint8 mode);
    error MandateOutOfRange(string field);
    error MandateExpired(uint64 expiry);
    error WrongStrategy(address strategy);
    error MarketNotListed(string symbol);
    error PositionsStillOpen(uint32 account);
    error InsufficientFreeMargin(uint256 requested, uint256 available);
    error AmountZero();
    error StrategyWoundUp();
    error NotLiquidatable(uint32 account, int256 equity, uint256 maintenance);
    error StopNotReached(uint32 account, int256 equity);
    error NothingToClaim(address who);
    error TooManyAccounts();
    error PartialFill(int256 wanted, int256 filled);

    // ---------------------------------------------------------------- MirrorEngine only

    /// @notice Opens or updates the follower's account. The engine has verified the signature, and has already moved
    /// `mandate.deposit` USDC to this vault.
    function acceptMandate(Mandate calldata mandate, bytes32 mandateHash) external returns (uint32 account);

    /// @notice The batch: moves each named account to its target and gives all of them one price.
    /// @param accounts 4-byte big-endian account indexes, strictly rising
    function mirror(MirrorOrder calldata order, bytes calldata accounts)
        external
        returns (uint64 batchId, uint256 moved);

    /// @notice Stops the account on the follower's signature.
    function stopFor(address follower) external;

    /// @notice Withdraws to the follower on the follower's signature. `amount` = type(uint256).max: all that is free.
    function withdrawFor(address follower, uint256 amount) external returns (uint256 paid);

    // ---------------------------------------------------------------- follower alone

    /// @notice Stops the caller's account: the next batches close it.
    function stop() external;

    /// @notice Closes everything of the caller now, at the venue, and pays out all the venue releases. Needs nobody.
    /// @param maxSlippageBps worst fill against the index price the caller accepts; 10000 accepts any
    function exit(uint256 maxSlippageBps) external returns (uint256 paid);

    /// @notice Closes `size` (1e18, capped at the position) in one market, for a market too thin for a whole exit.
    function closePosition(uint8 market, uint256 size, uint256 maxSlippageBps) external;

    /// @notice Pays `amount` USDC of the caller's free margin. type(uint256).max = all that is free.
    function withdraw(uint256 amount) external returns (uint256 paid);

    // ---------------------------------------------------------------- Liquidator only

    /// @return notional what was closed, at index prices, USDC 1e6
    function forceClose(uint32 account, Cause cause, address rewardTo) external returns (uint256 notional);

    // ---------------------------------------------------------------- anyone

    /// @notice Appends a NAV point.
    function checkpoint() external returns (uint256 index);

    /// @notice Detects what the venue itself changed in `market` and divides it among those it belongs to.
    function reconcile(uint8 market) external;

    /// @notice Charges the performance fee of accounts whose last charge is more than 30 days ago.
    function crystallise(uint32[] calldata accounts) external;

    /// @notice Pays `who` the fees they earned (master, insurance fund, batch sender, liquidator).
    function claimFees(address who) external returns (uint256 amount);

    // ---------------------------------------------------------------- views

    function strategyId() external view returns (uint256);
    function venue() external view returns (address);
    function navCount() external view returns (uint256);
    /// @notice Point `i` of the NAV record, 0-based. The auditors' ground truth.
    function navAt(uint256 i) external view returns (uint64 time, uint256 navIndex, uint256 totalEquity);
    /// @notice NAV now, at the index price, without recording it.
    function nav() external view returns (uint256 navIndex, uint256 totalEquity);
    function accountCount() external view returns (uint32);
    /// @notice Index of a follower's account; 0 = none.
    function accountOf(address follower) external view returns (uint32);
    function accountView(uint32 account) external view returns (AccountView memory);
    function positionView(uint32 account, uint8 market) external view returns (PositionView memory);
    /// @notice Equity at index prices, USDC 1e6; negative when under water.
    function equityOf(uint32 account) external view returns (int256);
    /// @notice Maintenance margin of all the account's positions, USDC 1e6.
    function maintenanceOf(uint32 account) external view returns (uint256);
    /// @notice USDC (1e6) the account could withdraw now.
    function freeMarginOf(uint32 account) external view returns (uint256);
    function marketCount() external view returns (uint8);
    function marketView(uint8 market) external view returns (MarketView memory);
    function claimable(address who) external view returns (uint256);
    /// @notice What `mirror` would do with the account for this leverage, slippage aside.
    /// @return target 1e18 base units
    /// @return delta what would be traded, 1e18
    function previewTarget(uint32 account, uint8 market, int256 leverage)
        external
        view
        returns (int256 target, int256 delta, Outcome outcome);
}
