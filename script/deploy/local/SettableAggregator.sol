// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

/// @title A Chainlink aggregator whose answer anyone may set
/// @notice For local chains and tests. Serves as a price feed (8 decimals) and as the L2 sequencer uptime feed
/// (0 decimals; answer 0 is up, 1 is down, `startedAt` is when the status changed).
/// @dev Perp v2 ignores a second answer with the timestamp of the first, so one is refused here.
contract SettableAggregator {
    struct Round {
        int256 answer;
        uint64 startedAt;
        uint64 updatedAt;
    }

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    error AlreadyAnswered(uint256 updatedAt);
    error NoData(uint80 roundId);

    uint256 public constant version = 4;
    uint8 public immutable decimals;
    string public description;
    uint80 public latestRound;

    mapping(uint80 roundId => Round) private _rounds;

    /// @dev The first round started at timestamp 1: a sequencer has been up for ever.
    constructor(string memory description_, uint8 decimals_, int256 answer) {
        description = description_;
        decimals = decimals_;
        _answer(answer, 1);
    }

    /// @notice Opens a new round with `answer`. At most one a timestamp.
    function set(int256 answer) external {
        uint64 updatedAt = _rounds[latestRound].updatedAt;
        if (block.timestamp <= updatedAt) revert AlreadyAnswered(updatedAt);
        _answer(answer, uint64(block.timestamp));
    }

    function latestAnswer() external view returns (int256) {
        return _rounds[latestRound].answer;
    }

    function latestTimestamp() external view returns (uint256) {
        return _rounds[latestRound].updatedAt;
    }

    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        return getRoundData(latestRound);
    }

    function getRoundData(uint80 id)
        public
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        Round memory round = _rounds[id];
        if (round.updatedAt == 0) revert NoData(id);
        return (id, round.answer, round.startedAt, round.updatedAt, id);
    }

    function _answer(int256 answer, uint64 startedAt) private {
        uint80 id = ++latestRound;
        _rounds[id] = Round(answer, startedAt, uint64(block.timestamp));
        emit AnswerUpdated(answer, id, block.timestamp);
    }
}
