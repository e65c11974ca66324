// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {IMirrorEngine} from "../../../contracts/interfaces/IMirrorEngine.sol";
import {IStrategyVault} from "../../../contracts/interfaces/IStrategyVault.sol";
import {Mandate, Proof, Signal} from "../../../contracts/interfaces/LockstepTypes.sol";
import {LockstepFixture} from "../LockstepFixture.sol";
import {Vm} from "forge-std/Test.sol";

/// @notice Batches of random followers and random bytes, on the real venue.
/// forge-config: default.fuzz.runs = 48
/// forge-config: long.fuzz.runs = 2000
contract BatchesFuzzTest is LockstepFixture {
    StrategyVault internal v;
    uint64 internal sequence;

    struct BatchEvent {
        int256 leverage;
        uint64 observedAt;
        uint256 index;
        uint256 price;
        int256 net;
        uint256 crossed;
        uint256 venueFee;
        uint256 copyFee;
        int256 fundingIndex;
        bytes fills;
    }

    function setUp() public override {
        super.setUp();
        (, v) = _register(makeAddr("exchange master"), address(0), _terms());
    }

    /// @dev Some grow while others shrink: everyone gets one price, the parts are the whole, what crosses pays no venue
    /// fee, and nobody's money appears or disappears.
    function testFuzz_netting_onePriceForAll(uint256 seed, uint8 count, int128 first, int128 second) public {
        uint32 n = uint32(bound(count, 2, 8));
        for (uint32 i = 1; i <= n; ++i) {
            Mandate memory m = _mandate(v, i, uint64(bound(_random(seed, i), 100e6, 100_000e6)));
            m.ratioBps = uint32(bound(_random(seed, 100 + i), 2000, 15_000));
            _follow(_key(i), m);
        }
        _batch(bound(first, -4e18, 4e18));
        // New ratios: with the next signal some must buy and some must sell.
        for (uint32 i = 1; i <= n; ++i) {
            Mandate memory m = _mandate(v, i, 0);
            m.ratioBps = uint32(bound(_random(seed, 200 + i), 1000, 20_000));
            _follow(_key(i), m);
        }
        int256[] memory sizes = new int256[](n + 1);
        for (uint32 i = 1; i <= n; ++i) {
            sizes[i] = v.positionView(i, ETH).size;
        }
        BatchEvent memory e = _batch(bound(second, -4e18, 4e18));

        int256 sum;
        uint256 venueFees;
        uint256 paying = e.net > 0 ? 1 : 2;
        for (uint32 i = 0; i < n; ++i) {
            (uint32 account, int256 size, int256 quote, uint256 fees) = _word(e.fills, i);
            assertEq(account, i + 1);
            assertEq(v.positionView(account, ETH).size, sizes[account] + size, "size");
            if (size == 0) continue;
            sum += size;
            uint256 volume = uint256(size < 0 ? -size : size);
            // One price: the quote without fees and funding is the price times the size, rounded against the account.
            int256 exact = -size * int256(e.price) / 1e30;
            assertApproxEqAbs(quote + int256(fees), exact, 3, "not the batch's price");
            uint256 copyFee = volume * e.price * 5 / 1e34;
            assertGe(fees + 1, copyFee, "less than the copy fee");
            bool pays = e.net != 0 && (size > 0) == (paying == 1);
            if (!pays) assertLe(fees, copyFee + 1, "crossing pays a venue fee");
            else venueFees += fees - copyFee;
        }
        assertApproxEqAbs(sum, e.net, 1e9, "the parts are not the whole");
        if (e.net == 0) assertEq(e.venueFee, 0);
        assertApproxEqAbs(venueFees, e.venueFee, n + 2, "venue fees");
        _assertSolvent(v);
    }

    /// @dev Any bytes as the list: refused for its length or its order, or every word of the answer names the account
    /// that the call named at that place.
    function testFuzz_decoder_anyBytes(bytes calldata accounts) public {
        _follow(_key(1), _mandate(v, 1, 1000e6));
        _check(accounts);
    }

    function testFuzz_decoder_sortedOrNot(uint32[5] memory indexes, uint8 cut, bool sort, bool small) public {
        for (uint32 i = 1; i <= 3; ++i) {
            _follow(_key(i), _mandate(v, i, 1000e6));
        }
        bytes memory accounts;
        if (small) {
            for (uint256 i = 0; i < 5; ++i) {
                indexes[i] %= 6;
            }
        }
        if (sort) {
            for (uint256 i = 0; i < 5; ++i) {
                for (uint256 j = i + 1; j < 5; ++j) {
                    if (indexes[j] < indexes[i]) (indexes[i], indexes[j]) = (indexes[j], indexes[i]);
                }
            }
        }
        for (uint256 i = 0; i < 5; ++i) {
            accounts = bytes.concat(accounts, bytes4(indexes[i]));
        }
        uint256 length = bound(cut, 0, 20);
        assembly ("memory-safe") {
            mstore(accounts, length)
        }
        this.check(accounts);
    }

    function check(bytes calldata accounts) external {
        _check(accounts);
    }

    function _check(bytes calldata accounts) private {
        bool sorted = true;
        uint32 last;
        for (uint256 i = 0; i + 4 <= accounts.length; i += 4) {
            uint32 account = uint32(bytes4(accounts[i:i + 4]));
            if (account <= last) sorted = false;
            last = account;
        }
        bool good = accounts.length != 0 && accounts.length % 4 == 0 && sorted;
        try this.send(2e18, accounts) returns (BatchEvent memory e) {
            bytes memory fills = e.fills;
            assertTrue(good, "a malformed list was taken");
            assertEq(fills.length, accounts.length * 8);
            for (uint256 i = 0; i < accounts.length / 4; ++i) {
                (uint32 account, int256 size,,) = _word(fills, i);
                assertEq(account, uint32(bytes4(accounts[4 * i:4 * i + 4])), "another account");
                if (account == 0 || account > v.accountCount()) assertEq(size, 0, "an account nobody has");
            }
        } catch {
            assertFalse(good, "a good list was refused");
        }
    }

    /// @dev Raw calldata with any offset, length and tail: what is taken is what the encoding says, or nothing.
    function testFuzz_decoder_rawCalldata(uint256 offset, uint256 length, bytes memory tail) public {
        _follow(1, 1000e6);
        _trade(master, ethMarket, 500e18);
        offset = offset % 4 == 0 ? offset : bound(offset, 0, 0x140);
        length = length % 4 == 0 ? length : bound(length, 0, 64);
        bytes memory args = abi.encodePacked(abi.encode(address(vault), uint256(ETH), uint256(0), offset, length), tail);
        vm.recordLogs();
        (bool ok,) = address(lockstep.engine).call(bytes.concat(IMirrorEngine.mirrorVenue.selector, args));
        if (!ok) return;
        // It was taken: then the offset and the length lie inside, and the accounts are those bytes.
        assertLe(offset, args.length - 32);
        uint256 said = _load(args, offset);
        assertLe(offset + 32 + said, args.length, "beyond the calldata");
        BatchEvent memory e = _event(address(vault));
        assertEq(e.fills.length, said * 8);
        for (uint256 i = 0; i < said / 4; ++i) {
            (uint32 account,,,) = _word(e.fills, i);
            assertEq(account, uint32(_load(args, offset + 32 + 4 * i) >> 224), "another account");
        }
    }

    /// @dev The same signal again, whole or in part: nobody who was moved moves again.
    function testFuzz_replayedSignalMovesNobody(uint256 seed, int128 leverage, uint8 part) public {
        for (uint32 i = 1; i <= 5; ++i) {
            _follow(_key(i), _mandate(v, i, uint64(bound(_random(seed, i), 100e6, 100_000e6))));
        }
        _batch(bound(leverage, -5e18, 5e18));
        int256[6] memory sizes;
        for (uint32 i = 1; i <= 5; ++i) {
            sizes[i] = v.positionView(i, ETH).size;
        }
        lockstep.engine.mirrorStored(address(v), ETH, _accounts(1, bound(part, 1, 5)));
        lockstep.engine.mirrorStored(address(v), ETH, _accounts(1, 5));
        for (uint32 i = 1; i <= 5; ++i) {
            assertEq(v.positionView(i, ETH).size, sizes[i]);
        }
    }

    // ---------------------------------------------------------------- parts

    /// @dev From outside, so that a refusal can be caught.
    function send(int256 leverage, bytes calldata accounts) external returns (BatchEvent memory) {
        (Signal memory signal, bytes memory signature) = _signal(v.strategyId(), ETH, leverage, ++sequence);
        vm.recordLogs();
        lockstep.engine.mirrorSigned(address(v), signal, Proof.Keeper, signature, accounts);
        return _event(address(v));
    }

    function _batch(int256 leverage) private returns (BatchEvent memory) {
        return this.send(leverage, _accounts(1, v.accountCount()));
    }

    function _event(address emitter) private returns (BatchEvent memory e) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = logs.length; i > 0; --i) {
            if (logs[i - 1].emitter != emitter) continue;
            if (logs[i - 1].topics[0] != IStrategyVault.BatchMirrored.selector) continue;
            return abi.decode(bytes.concat(bytes32(uint256(32)), logs[i - 1].data), (BatchEvent));
        }
        revert("no batch");
    }

    function _word(bytes memory fills, uint256 i)
        private
        pure
        returns (uint32 account, int256 size, int256 quote, uint256 fees)
    {
        uint256 word = _load(fills, 32 * i);
        return (uint32(word >> 224), int88(uint88(word >> 128)), int56(uint56(word >> 72)), uint48(word >> 24));
    }

    function _load(bytes memory data, uint256 at) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), at))
        }
    }

    function _random(uint256 seed, uint256 i) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, i)));
    }
}
