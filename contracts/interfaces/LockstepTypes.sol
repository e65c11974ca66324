// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

/// @notice How a follower's target is derived from a signal.
/// @dev `DeltaNeutral` is part of the signed language but is refused by `UnsupportedMode` until its feature lands.
enum Mode {
    ProRata, // leverage x ratio
    Fixed, // a fixed notional in the master's direction
    DeltaNeutral
}

/// @notice Life of an account.
enum Status {
    None,
    Active, // follows every signal inside its mandate
    Stopped, // by the follower: the next batches close what is open; nothing is ever opened
    StoppedOut, // by stop-loss or take-profit
    Liquidated // by the liquidator
}

/// @notice Why a follower in a batch was moved, partly moved or left alone. Packed into each fill word.
enum Outcome {
    Moved, // 0: reached its target
    Capped, // 1: moved, but a signed bound kept it short of the signal (leverage, notional, turnover)
    AtTarget, // 2: already within the dead band of its target
    AlreadyApplied, // 3: this very signal has already moved it
    Dust, // 4: the order would be below the smallest trade
    Expired, // 5: mandate expired: only reductions are made
    MarketNotAllowed, // 6: the mandate does not list this market
    UnderMargined, // 7: equity does not carry any exposure
    SlippageBound, // 8: the fill would have been worse than the signed slippage, or than the account can pay for
    TurnoverBound, // 9: the day's signed turnover leaves no room
    NotionalBound, // 10: signed position notional leaves no room
    LeverageBound, // 11: signed leverage leaves no room
    ReduceOnly, // 12: breaker, capacity or notice period: nothing may be increased now
    Inactive, // 13: no such account, or nothing to do for a stopped one
    SizeOverflow // 14: the position would not fit the ledger
}

/// @notice What caused a fill outside a batch.
enum Cause {
    Exit,
    StopLoss,
    TakeProfit,
    Liquidation
}

/// @notice How a signal was proved.
enum Proof {
    Venue, // the contract read the master's position itself; anyone may call
    Master, // signed by the master's signal key
    Keeper // attested by a registered keeper key
}

/// @notice The follower's signed authorisation. Every field is shown by the wallet.
/// @dev EIP-712 type string (also the Permit2 witness):
/// Mandate(address follower,address strategy,uint8 mode,uint32 ratioBps,uint64 fixedNotional,uint16 hedgeBps,
/// uint32 maxLeverageBps,uint16 maxSlippageBps,uint64 maxPositionNotional,uint64 maxDailyTurnover,
/// uint16 stopLossBps,uint32 takeProfitBps,string[] allowedMarkets,uint64 deposit,uint64 expiry,uint256 nonce)
struct Mandate {
    address follower; // who signs and alone can ever receive the margin
    address strategy; // the strategy vault that is followed
    uint8 mode; // Mode
    uint32 ratioBps; // ProRata: 10000 = the master's leverage x 1. 1..100000
    uint64 fixedNotional; // Fixed: USDC 1e6, stored in whole USDC rounded down
    uint16 hedgeBps; // DeltaNeutral: share of the exposure hedged, 3000..7000
    uint32 maxLeverageBps; // 10000 = 1x, over all markets together; stored in steps of 100 rounded down
    uint16 maxSlippageBps; // fill against index price
    uint64 maxPositionNotional; // USDC 1e6 per market; stored in whole USDC rounded down
    uint64 maxDailyTurnover; // USDC 1e6 per UTC day over all markets, room to close included
    uint16 stopLossBps; // of net deposits; 0 = none
    uint32 takeProfitBps; // of net deposits; 0 = none
    string[] allowedMarkets; // symbols as the strategy lists them, e.g. "ETH-USD"
    uint64 deposit; // USDC 1e6 moved into the account by this signature; may be 0 for an existing account
    uint64 expiry; // unix seconds
    uint256 nonce; // unordered, in the group named by the strategy
}

/// @notice "Strategy S is now at leverage L in market M."
/// @dev EIP-712: Signal(uint256 strategyId,uint8 market,int256 leverage,uint64 sequence,uint64 observedAt)
struct Signal {
    uint256 strategyId;
    uint8 market; // index into the strategy's market list
    int256 leverage; // signed position notional / master equity, 1e18
    uint64 sequence; // strictly rising per strategy and market, by at most 2^20
    uint64 observedAt; // unix milliseconds at which the master's state was seen
}

/// @notice What a master offers. Changes wait out the registry's notice period.
struct Terms {
    uint16 copyFeeBps; // of traded notional, 0..100
    uint16 performanceFeeBps; // above each account's high-water mark, 0 or 500..1500
    uint32 maxLeverageBps; // no follower is ever taken above this, 10000 = 1x
    uint16 maxSlippageBps; // a batch whose average price is further off the index reverts
    uint16 deadBandBps; // a move smaller than this share of the current position is not made
    uint64 minTradeNotional; // USDC 1e6; smaller orders are dust
    uint64 maxOpenNotional; // USDC 1e6; the vault's gross open notional at which increases stop
    uint32 disclosureDelay; // seconds the API holds the master's metadata back
}
