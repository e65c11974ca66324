// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Terms} from "./LockstepTypes.sol";

/// @title IMasterRegistry
/// @notice Masters register an address, their markets and terms; the registry creates the strategy's first vault.
interface IMasterRegistry {
    /// @notice A market a venue offers, as governance listed it.
    struct Market {
        bytes32 venueMarket; // the adapter's id (for Perp v2: the base token's address)
        string symbol; // e.g. "ETH-USD"
    }

    struct Strategy {
        address master; // receives the fees, and is the account whose trades are followed
        address venue; // IVenue
        string name;
        address source; // the on-chain account read by venue proofs; zero for masters proved by a keeper
        address[] vaults; // shards, oldest first
        uint16[] markets; // listing ids in the order that gives each its local index
    }

    event VenueListed(address indexed venue);
    event MarketListed(address indexed venue, uint16 indexed listingId, bytes32 venueMarket, string symbol);
    /// @param source see `Strategy.source`
    /// @param markets listing ids; position in the array = local market index in the vault and in signals
    event StrategyRegistered(
        uint256 indexed strategyId,
        address indexed master,
        address indexed venue,
        address source,
        string name,
        uint16[] markets,
        Terms terms
    );
    event VaultCreated(uint256 indexed strategyId, address indexed vault, uint256 shard);
    event TermsScheduled(uint256 indexed strategyId, Terms terms, uint64 effectiveAt);
    event TermsApplied(uint256 indexed strategyId, Terms terms);
    event SourceChanged(uint256 indexed strategyId, address source);
    event KeeperSet(address indexed keeper, bool allowed);
    /// @notice The code that vaults created from now on are clones of. Existing vaults never change.
    event VaultImplementationSet(address indexed implementation);

    error UnknownStrategy(uint256 strategyId);
    error UnknownVenue(address venue);
    error UnknownListing(uint16 listingId);
    error NotMaster(uint256 strategyId, address caller);
    error TermsOutOfRange(string field);
    error TooManyMarkets(uint256 count, uint256 max);
    error NoMarkets();
    error DuplicateMarket(uint16 listingId);
    error NameLength(uint256 length);
    error TermsNotReady(uint256 strategyId, uint64 effectiveAt);
    error TermsExpired(uint256 strategyId, uint64 expiredAt);
    error NothingScheduled(uint256 strategyId);

    /// @notice Registers the caller as a master. Followed from the next block.
    /// @param source on-chain venue account to follow (usually the caller); zero when a keeper attests
    function register(
        address venue,
        address source,
        string calldata name,
        uint16[] calldata markets,
        Terms calldata terms
    ) external returns (uint256 strategyId, address vault);

    /// @notice Adds a shard to the caller's strategy.
    function addVault(uint256 strategyId) external returns (address vault);

    /// @notice Schedules new terms; they apply `NOTICE_PERIOD` later, so that followers can leave first.
    function scheduleTerms(uint256 strategyId, Terms calldata terms) external;

    /// @notice Applies scheduled terms once their time has come, and within a day of it. Anyone.
    function applyTerms(uint256 strategyId) external;

    function strategyCount() external view returns (uint256);
    function strategy(uint256 strategyId) external view returns (Strategy memory);
    function termsOf(uint256 strategyId) external view returns (Terms memory);
    function strategyOf(address vault) external view returns (uint256 strategyId);
    /// @notice What a venue proof needs and no more.
    /// @param market local market index
    function sourceOf(uint256 strategyId, uint8 market)
        external
        view
        returns (address venue, address source, bytes32 venueMarket);
    function listing(address venue, uint16 listingId) external view returns (Market memory);
    function listingCount(address venue) external view returns (uint256);
    function isKeeper(address keeper) external view returns (bool);
    function NOTICE_PERIOD() external view returns (uint64);
}
