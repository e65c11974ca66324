// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {StrategyVault} from "./StrategyVault.sol";
import {IMasterRegistry} from "./interfaces/IMasterRegistry.sol";
import {IVenue} from "./interfaces/IVenue.sol";
import {Terms} from "./interfaces/LockstepTypes.sol";
import {BPS, MAX_MARKETS} from "./libraries/VaultState.sol";
import {Ownable} from "solady/auth/Ownable.sol";
import {LibClone} from "solady/utils/LibClone.sol";

/// @title MasterRegistry
/// @notice Who may be followed, where, and on what terms.
/// @dev Governance (the owner) lists venues and markets, names keepers and sets the code of vaults to come. It cannot
/// touch a vault that exists, its terms or anyone's money.
contract MasterRegistry is IMasterRegistry, Ownable {
    /// @inheritdoc IMasterRegistry
    uint64 public constant NOTICE_PERIOD = 3 days;

    /// @dev Terms apply within this of their time, or must be announced again: kept ready for longer they would be news to
    /// everyone who came since.
    uint64 internal constant APPLY_WINDOW = 1 days;

    /// @dev No follower is taken above this share of the venue's own maximum, bps.
    uint256 internal constant LEVERAGE_SHARE = 7000;

    struct Scheduled {
        Terms terms;
        uint64 effectiveAt;
    }

    /// @inheritdoc IMasterRegistry
    uint256 public strategyCount;
    /// @notice Code of the vaults created from now on.
    address public vaultImplementation;

    mapping(uint256 strategyId => Strategy) internal strategies;
    mapping(uint256 strategyId => Terms) internal terms;
    /// @dev By local index, so that a venue proof finds it in one read.
    mapping(uint256 strategyId => bytes32[MAX_MARKETS]) internal venueMarkets;
    /// @notice Terms that wait out their notice.
    mapping(uint256 strategyId => Scheduled) public scheduled;
    /// @inheritdoc IMasterRegistry
    mapping(address vault => uint256 strategyId) public strategyOf;
    /// @inheritdoc IMasterRegistry
    mapping(address keeper => bool) public isKeeper;
    mapping(address venue => bool) public isVenue;
    mapping(address venue => Market[]) internal listings;

    constructor(address governance) {
        _initializeOwner(governance);
    }

    // ---------------------------------------------------------------- governance

    /// @notice Admits a venue adapter. Its code runs inside the vaults: only audited immutable adapters belong here.
    function listVenue(address venue) external onlyOwner {
        if (venue.code.length == 0) revert UnknownVenue(venue);
        isVenue[venue] = true;
        emit VenueListed(venue);
    }

    /// @notice Lists a market of a venue. Listings are for good.
    function listMarket(address venue, bytes32 venueMarket, string calldata symbol)
        external
        onlyOwner
        returns (uint16 listingId)
    {
        if (!isVenue[venue]) revert UnknownVenue(venue);
        if (bytes(symbol).length == 0 || bytes(symbol).length > 32) revert NameLength(bytes(symbol).length);
        // A market that cannot be priced cannot be listed.
        IVenue(venue).indexPrice(venueMarket);
        listingId = uint16(listings[venue].length);
        for (uint256 i = 0; i < listingId; ++i) {
            Market storage other = listings[venue][i];
            if (other.venueMarket == venueMarket || keccak256(bytes(other.symbol)) == keccak256(bytes(symbol))) {
                revert DuplicateMarket(uint16(i));
            }
        }
        listings[venue].push(Market(venueMarket, symbol));
        emit MarketListed(venue, listingId, venueMarket, symbol);
    }

    /// @notice Names or removes a keeper whose attestations are accepted.
    function setKeeper(address keeper, bool allowed) external onlyOwner {
        isKeeper[keeper] = allowed;
        emit KeeperSet(keeper, allowed);
    }

    /// @notice Sets the code of the vaults created from now on.
    function setVaultImplementation(address implementation) external onlyOwner {
        vaultImplementation = implementation;
        emit VaultImplementationSet(implementation);
    }

    // ---------------------------------------------------------------- masters

    /// @inheritdoc IMasterRegistry
    function register(
        address venue,
        address source,
        string calldata name,
        uint16[] calldata markets,
        Terms calldata terms_
    ) external returns (uint256 strategyId, address vault) {
        if (!isVenue[venue]) revert UnknownVenue(venue);
        if (bytes(name).length == 0 || bytes(name).length > 64) revert NameLength(bytes(name).length);
        if (markets.length == 0) revert NoMarkets();
        if (markets.length > MAX_MARKETS) revert TooManyMarkets(markets.length, MAX_MARKETS);
        for (uint256 i = 0; i < markets.length; ++i) {
            if (markets[i] >= listings[venue].length) revert UnknownListing(markets[i]);
            for (uint256 j = 0; j < i; ++j) {
                if (markets[i] == markets[j]) revert DuplicateMarket(markets[i]);
            }
        }
        _checkTerms(venue, terms_);

        strategyId = ++strategyCount;
        for (uint256 i = 0; i < markets.length; ++i) {
            venueMarkets[strategyId][i] = listings[venue][markets[i]].venueMarket;
        }
        Strategy storage s = strategies[strategyId];
        s.master = msg.sender;
        s.venue = venue;
        s.name = name;
        s.source = source;
        s.markets = markets;
        terms[strategyId] = terms_;
        emit StrategyRegistered(strategyId, msg.sender, venue, source, name, markets, terms_);
        vault = _createVault(strategyId, s);
    }

    /// @inheritdoc IMasterRegistry
    function addVault(uint256 strategyId) external returns (address vault) {
        vault = _createVault(strategyId, _ownStrategy(strategyId));
    }

    /// @inheritdoc IMasterRegistry
    function scheduleTerms(uint256 strategyId, Terms calldata terms_) external {
        _checkTerms(_ownStrategy(strategyId).venue, terms_);
        uint64 effectiveAt = uint64(block.timestamp) + NOTICE_PERIOD;
        scheduled[strategyId] = Scheduled(terms_, effectiveAt);
        emit TermsScheduled(strategyId, terms_, effectiveAt);
    }

    /// @inheritdoc IMasterRegistry
    function applyTerms(uint256 strategyId) external {
        Scheduled memory next = scheduled[strategyId];
        if (next.effectiveAt == 0) revert NothingScheduled(strategyId);
        if (block.timestamp < next.effectiveAt) revert TermsNotReady(strategyId, next.effectiveAt);
        uint64 expiredAt = next.effectiveAt + APPLY_WINDOW;
        if (block.timestamp > expiredAt) revert TermsExpired(strategyId, expiredAt);
        // What the venue asks for may have changed since.
        _checkTerms(strategies[strategyId].venue, next.terms);
        delete scheduled[strategyId];
        terms[strategyId] = next.terms;
        emit TermsApplied(strategyId, next.terms);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IMasterRegistry
    function strategy(uint256 strategyId) external view returns (Strategy memory) {
        return _strategy(strategyId);
    }

    /// @inheritdoc IMasterRegistry
    function termsOf(uint256 strategyId) external view returns (Terms memory) {
        return terms[strategyId];
    }

    /// @inheritdoc IMasterRegistry
    function sourceOf(uint256 strategyId, uint8 market)
        external
        view
        returns (address venue, address source, bytes32 venueMarket)
    {
        if (market < MAX_MARKETS) venueMarket = venueMarkets[strategyId][market];
        if (venueMarket == 0) revert UnknownListing(market);
        Strategy storage s = strategies[strategyId];
        (venue, source) = (s.venue, s.source);
    }

    /// @inheritdoc IMasterRegistry
    function listing(address venue, uint16 listingId) external view returns (Market memory) {
        if (listingId >= listings[venue].length) revert UnknownListing(listingId);
        return listings[venue][listingId];
    }

    /// @inheritdoc IMasterRegistry
    function listingCount(address venue) external view returns (uint256) {
        return listings[venue].length;
    }

    // ---------------------------------------------------------------- internal

    function _createVault(uint256 strategyId, Strategy storage s) private returns (address vault) {
        uint256 count = s.markets.length;
        Market[] memory markets = new Market[](count);
        for (uint256 i = 0; i < count; ++i) {
            markets[i] = listings[s.venue][s.markets[i]];
        }
        vault = LibClone.clone(vaultImplementation);
        uint256 shard = s.vaults.length;
        s.vaults.push(vault);
        strategyOf[vault] = strategyId;
        emit VaultCreated(strategyId, vault, shard);
        StrategyVault(vault).initialize(strategyId, s.venue, s.master, markets);
    }

    function _strategy(uint256 strategyId) private view returns (Strategy storage s) {
        s = strategies[strategyId];
        if (s.master == address(0)) revert UnknownStrategy(strategyId);
    }

    function _ownStrategy(uint256 strategyId) private view returns (Strategy storage s) {
        s = _strategy(strategyId);
        if (s.master != msg.sender) revert NotMaster(strategyId, msg.sender);
    }

    function _checkTerms(address venue, Terms memory t) private view {
        (uint256 initialBps,) = IVenue(venue).marginRequirementsBps();
        uint256 maxLeverageBps = BPS * LEVERAGE_SHARE / initialBps;
        if (t.copyFeeBps > 100) revert TermsOutOfRange("copyFeeBps");
        if (t.performanceFeeBps != 0 && (t.performanceFeeBps < 500 || t.performanceFeeBps > 1500)) {
            revert TermsOutOfRange("performanceFeeBps");
        }
        if (t.maxLeverageBps < 1000 || t.maxLeverageBps > maxLeverageBps) revert TermsOutOfRange("maxLeverageBps");
        if (t.maxSlippageBps == 0 || t.maxSlippageBps > 500) revert TermsOutOfRange("maxSlippageBps");
        if (t.deadBandBps > 2000) revert TermsOutOfRange("deadBandBps");
        if (t.minTradeNotional < 1e6 || t.minTradeNotional > 10_000e6) revert TermsOutOfRange("minTradeNotional");
        if (t.maxOpenNotional == 0) revert TermsOutOfRange("maxOpenNotional");
        if (t.disclosureDelay > 1 days) revert TermsOutOfRange("disclosureDelay");
    }
}
// forge-lint: disable-end(unsafe-typecast)
