// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// forge-lint: disable-start(unsafe-typecast)

import {StrategyVault} from "../../contracts/StrategyVault.sol";
import {IMirrorEngine} from "../../contracts/interfaces/IMirrorEngine.sol";
import {IPermit2} from "../../contracts/interfaces/IPermit2.sol";
import {IStrategyVault} from "../../contracts/interfaces/IStrategyVault.sol";
import {Mandate, Mode, Outcome, Proof, Signal, Terms} from "../../contracts/interfaces/LockstepTypes.sol";
import {IPerpClearingHouse} from "../../contracts/venues/perp-v2/interfaces/IPerpV2.sol";
import {Lockstep, LockstepConfig} from "../../script/deploy/LockstepDeployer.sol";
import {PerpMarket} from "../../script/deploy/PerpV2Deployer.sol";
import {LockstepFactory} from "./LockstepFactory.sol";
import {PerpV2Fixture} from "./venue/PerpV2Fixture.sol";
import {Test, Vm} from "forge-std/Test.sol";

/// @title Base of the contract tests
/// @notice The real Perp v2, the real Permit2, a whole Lockstep, one master with a position source and one strategy
/// over ETH-USD (0) and BTC-USD (1). Helpers sign, follow, trade and mirror.
abstract contract LockstepFixture is PerpV2Fixture, Test {
    Lockstep internal lockstep;

    uint8 internal constant ETH = 0;
    uint8 internal constant BTC = 1;

    uint256 internal constant KEEPER_KEY = 0x6b6579;
    bytes32 internal constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 internal constant WITHDRAW_TYPEHASH =
        keccak256("Withdraw(address follower,address strategy,uint256 amount,uint256 nonce,uint256 deadline)");
    bytes32 internal constant TOKEN_PERMISSIONS_TYPEHASH = keccak256("TokenPermissions(address token,uint256 amount)");

    address internal governance = makeAddr("governance");
    address internal keeper = vm.addr(KEEPER_KEY);
    address internal master = makeAddr("master");
    address internal sender = makeAddr("sender");

    /// @dev The master whose positions the chain reads, and their strategy's first vault.
    uint256 internal strategyId;
    StrategyVault internal vault;

    uint256 private _nonce;

    /// @dev One word of a batch's `fills`.
    struct Fill {
        uint32 account;
        Outcome outcome;
        int256 size;
        int256 quote;
        uint256 fees;
    }

    function setUp() public virtual {
        _deployVenue();
        _deployAll();
        (strategyId, vault) = _register(master, master, _terms());
        _fundMaster(master, 1_000_000e6);
    }

    // ---------------------------------------------------------------- deployment

    function _deployAll() internal {
        LockstepConfig memory c;
        c.usdc = address(perp.usdc);
        c.permit2 = PERMIT2;
        c.clearingHouse = address(perp.clearingHouse);
        c.marketRegistry = address(perp.marketRegistry);
        c.maxPriceAge = 1 hours;
        c.sequencerFeed = address(sequencerFeed);
        c.governance = governance;
        c.keeper = keeper;
        c.symbols = new string[](2);
        (c.symbols[0], c.symbols[1]) = ("ETH-USD", "BTC-USD");
        c.baseTokens = new address[](2);
        (c.baseTokens[0], c.baseTokens[1]) = (address(ethMarket.baseToken), address(btcMarket.baseToken));
        _refreshPrices();
        lockstep = LockstepFactory(vm.deployCode("LockstepFactory.sol:LockstepFactory")).deploy(c);
    }

    function _terms() internal pure virtual returns (Terms memory) {
        return Terms({
            copyFeeBps: 5,
            performanceFeeBps: 1000,
            maxLeverageBps: 50_000,
            maxSlippageBps: 200,
            deadBandBps: 50,
            minTradeNotional: 5e6,
            maxOpenNotional: 1_000_000_000e6,
            disclosureDelay: 120
        });
    }

    function _register(address who, address source, Terms memory terms) internal returns (uint256 id, StrategyVault v) {
        uint16[] memory markets = new uint16[](2);
        markets[1] = 1;
        vm.prank(who);
        address created;
        (id, created) = lockstep.registry.register(address(lockstep.venue), source, "strategy", markets, terms);
        v = StrategyVault(created);
    }

    /// @dev Both oracles answer now with what they answered last.
    function _refreshPrices() internal {
        _wait(1);
        ethMarket.aggregator.set(ethMarket.aggregator.latestAnswer());
        btcMarket.aggregator.set(btcMarket.aggregator.latestAnswer());
    }

    /// @dev Time passes and both oracles keep answering.
    function _skip(uint256 seconds_) internal {
        _wait(seconds_ - 1);
        _refreshPrices();
    }

    // ---------------------------------------------------------------- the master at the venue

    function _fundMaster(address who, uint256 amount) internal {
        perp.usdc.mint(who, amount);
        vm.startPrank(who);
        perp.usdc.approve(address(perp.vault), amount);
        perp.vault.deposit(address(perp.usdc), amount);
        vm.stopPrank();
    }

    /// @dev `who` buys (or, negative, sells) exactly `size` base.
    function _trade(address who, PerpMarket memory market, int256 size) internal {
        vm.prank(who);
        perp.clearingHouse
            .openPosition(
                IPerpClearingHouse.OpenPositionParams({
                    baseToken: address(market.baseToken),
                    isBaseToQuote: size < 0,
                    isExactInput: size < 0,
                    amount: uint256(size < 0 ? -size : size),
                    oppositeAmountBound: 0,
                    deadline: vm.getBlockTimestamp(),
                    sqrtPriceLimitX96: 0,
                    referralCode: 0
                })
            );
    }

    // ---------------------------------------------------------------- followers

    function _key(uint256 i) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("follower", i)));
    }

    function _follower(uint256 i) internal pure returns (address) {
        return vm.addr(_key(i));
    }

    /// @dev A generous pro-rata mandate; tests tighten what they are about.
    function _mandate(StrategyVault v, uint256 i, uint64 deposit) internal returns (Mandate memory m) {
        m.follower = _follower(i);
        m.strategy = address(v);
        m.mode = uint8(Mode.ProRata);
        m.ratioBps = 10_000;
        m.maxLeverageBps = 50_000;
        m.maxSlippageBps = 200;
        m.maxPositionNotional = 10_000_000e6;
        m.maxDailyTurnover = 100_000_000e6;
        m.allowedMarkets = new string[](2);
        (m.allowedMarkets[0], m.allowedMarkets[1]) = ("ETH-USD", "BTC-USD");
        m.deposit = deposit;
        m.expiry = uint64(vm.getBlockTimestamp() + 365 days);
        m.nonce = ++_nonce;
    }

    /// @dev The follower's one signature: Permit2's witness transfer, or this protocol's own domain without a deposit.
    function _sign(uint256 key, Mandate memory m) internal returns (IMirrorEngine.SignedMandate memory signed) {
        signed.mandate = m;
        bytes32 mandateHash = lockstep.engine.hashMandate(m);
        bytes32 digest;
        if (m.deposit == 0) {
            digest = _digest(mandateHash);
        } else {
            signed.permitNonce = ++_nonce;
            signed.permitDeadline = vm.getBlockTimestamp() + 1 hours;
            digest = keccak256(
                abi.encodePacked(
                    "\x19\x01",
                    IPermit2(PERMIT2).DOMAIN_SEPARATOR(),
                    keccak256(
                        abi.encode(
                            _permitTypehash(),
                            keccak256(abi.encode(TOKEN_PERMISSIONS_TYPEHASH, address(perp.usdc), m.deposit)),
                            address(lockstep.engine),
                            signed.permitNonce,
                            signed.permitDeadline,
                            mandateHash
                        )
                    )
                )
            );
        }
        signed.signature = _signDigest(key, digest);
    }

    /// @dev Written out here once more, so that the test does not trust the contract's own string.
    function _permitTypehash() internal pure returns (bytes32) {
        return keccak256(
            "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Mandate witness)Mandate(address follower,address strategy,uint8 mode,uint32 ratioBps,uint64 fixedNotional,uint16 hedgeBps,uint32 maxLeverageBps,uint16 maxSlippageBps,uint64 maxPositionNotional,uint64 maxDailyTurnover,uint16 stopLossBps,uint32 takeProfitBps,string[] allowedMarkets,uint64 deposit,uint64 expiry,uint256 nonce)TokenPermissions(address token,uint256 amount)"
        );
    }

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked("\x19\x01", lockstep.engine.DOMAIN_SEPARATOR(), structHash));
    }

    function _signDigest(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev Mints the deposit, signs an EIP-2612 permit for Permit2 and relays both.
    function _follow(uint256 key, Mandate memory m) internal returns (uint32 account) {
        IMirrorEngine.SignedMandate memory signed = _sign(key, m);
        IMirrorEngine.TokenPermit memory permit;
        if (m.deposit != 0) {
            perp.usdc.mint(m.follower, m.deposit);
            permit = _tokenPermit(key);
        }
        vm.prank(sender);
        return lockstep.engine.follow(signed, permit);
    }

    function _follow(uint256 i, uint64 deposit) internal returns (uint32 account) {
        return _follow(_key(i), _mandate(vault, i, deposit));
    }

    function _tokenPermit(uint256 key) internal view returns (IMirrorEngine.TokenPermit memory permit) {
        address owner = vm.addr(key);
        permit.value = type(uint256).max;
        permit.deadline = vm.getBlockTimestamp() + 1 hours;
        bytes32 structHash = keccak256(
            abi.encode(PERMIT_TYPEHASH, owner, PERMIT2, permit.value, perp.usdc.nonces(owner), permit.deadline)
        );
        (permit.v, permit.r, permit.s) =
            vm.sign(key, keccak256(abi.encodePacked("\x19\x01", perp.usdc.DOMAIN_SEPARATOR(), structHash)));
    }

    // ---------------------------------------------------------------- batches

    /// @dev Calldata naming accounts first..last.
    function _accounts(uint256 first, uint256 last) internal pure returns (bytes memory accounts) {
        for (uint256 i = first; i <= last; ++i) {
            accounts = bytes.concat(accounts, bytes4(uint32(i)));
        }
    }

    function _mirror(uint8 market, bytes memory accounts) internal returns (Fill[] memory fills) {
        vm.recordLogs();
        vm.prank(sender);
        lockstep.engine.mirrorVenue(address(vault), market, 0, accounts);
        return _fills();
    }

    function _mirror(uint8 market) internal returns (Fill[] memory fills) {
        return _mirror(market, _accounts(1, vault.accountCount()));
    }

    function _signal(uint256 id, uint8 market, int256 leverage, uint64 sequence)
        internal
        view
        returns (Signal memory signal, bytes memory signature)
    {
        signal = Signal(id, market, leverage, sequence, uint64(vm.getBlockTimestamp()) * 1000);
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Signal(uint256 strategyId,uint8 market,int256 leverage,uint64 sequence,uint64 observedAt)"),
                signal
            )
        );
        signature = _signDigest(KEEPER_KEY, _digest(structHash));
    }

    /// @dev A keeper's signal for a vault without a source.
    function _mirrorSigned(StrategyVault v, uint8 market, int256 leverage, uint64 sequence, bytes memory accounts)
        internal
        returns (Fill[] memory fills)
    {
        (Signal memory signal, bytes memory signature) = _signal(v.strategyId(), market, leverage, sequence);
        vm.recordLogs();
        vm.prank(sender);
        lockstep.engine.mirrorSigned(address(v), signal, Proof.Keeper, signature, accounts);
        return _fills();
    }

    /// @dev Fills of the last batch among the recorded logs.
    function _fills() internal returns (Fill[] memory fills) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = logs.length; i > 0; --i) {
            if (logs[i - 1].topics[0] == IStrategyVault.BatchMirrored.selector) return _decode(logs[i - 1].data);
        }
        revert("no batch");
    }

    function _decode(bytes memory data) internal pure returns (Fill[] memory fills) {
        (,,,,,,,,, bytes memory words) =
            abi.decode(data, (int256, uint64, uint256, uint256, int256, uint256, uint256, uint256, int256, bytes));
        fills = new Fill[](words.length / 32);
        for (uint256 i = 0; i < fills.length; ++i) {
            uint256 word;
            assembly ("memory-safe") {
                word := mload(add(add(words, 0x20), mul(i, 0x20)))
            }
            fills[i] = Fill({
                account: uint32(word >> 224),
                outcome: Outcome(uint8(word >> 216)),
                size: int88(uint88(word >> 128)),
                quote: int56(uint56(word >> 72)),
                fees: uint48(word >> 24)
            });
        }
    }

    // ---------------------------------------------------------------- truth

    /// @dev The books agree with the venue: sizes to the dust, and nobody owns more than there is.
    function _assertSolvent(StrategyVault v) internal view {
        for (uint8 m = 0; m < v.marketCount(); ++m) {
            IStrategyVault.MarketView memory market = v.marketView(m);
            int256 net = int256(market.longSize) - int256(market.shortSize);
            assertApproxEqAbs(net, lockstep.venue.holding(address(v), market.venueMarket).size, 1e9, "size");
        }
        int256 owned;
        for (uint32 i = 1; i <= v.accountCount(); ++i) {
            owned += v.equityOf(i);
        }
        // A vault that has lost everything, its fees' cover included, owes nobody anything.
        int256 assets = _assets(v);
        assertLe(owned, assets > 0 ? assets : int256(0), "equities exceed assets");
    }

    /// @dev Token balance + venue account at index prices − fees owed by the vault, USDC 1e6, rounded down.
    function _assets(StrategyVault v) internal view returns (int256 assets) {
        int256 atVenue = lockstep.venue.cash(address(v));
        for (uint8 m = 0; m < v.marketCount(); ++m) {
            bytes32 id = v.marketView(m).venueMarket;
            int256 size = lockstep.venue.holding(address(v), id).size;
            if (size == 0) continue;
            (uint256 price,) = lockstep.venue.indexPrice(id);
            atVenue += size * int256(price) / 1e18 - lockstep.venue.holding(address(v), id).pendingFunding;
        }
        assets = int256(perp.usdc.balanceOf(address(v))) + atVenue / 1e12;
        assets -= int256(v.claimable(master) + v.claimable(sender) + v.claimable(address(lockstep.insurance)));
        assets -= int256(v.claimable(address(this)));
    }
}
// forge-lint: disable-end(unsafe-typecast)
